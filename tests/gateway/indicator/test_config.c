/* The section `indicator`: what of the catalogue a site wants, and with which numbers. */
#include "tests/gateway/indicator/folder.h"

struct rig {
    struct folder f;
    struct indicator_cfg cfg;
    struct cfg *c;
    struct indicators *x;
    const char *said;
};

/* Opens a configuration with this text; the folder `own` beside it has GOOD. */
static enum st open_with(struct rig *r, const char *text)
{
    char path[512];
    const struct cfg_section sections[] = {
        {"indicator", &indicator_cfg_table, &r->cfg, false, false},
        {NULL, NULL, NULL, false, false}};
    *r = (struct rig){.said = ""};
    folder_open(&r->f);
    (void)snprintf(path, sizeof path, "%s/own", r->f.path);
    assert_int_equal(mkdir(path, 0700), 0);
    folder_put(&r->f, "own/good.yaml",
               FILE_OF("good", "inputs: {x: {quantity: pm25}}\nparams: {least: 2, most: 9}\n"
                               "formula: max_of(mean(x), least)\n"));
    folder_put(&r->f, "site.yaml", text);
    (void)snprintf(path, sizeof path, "%s/site.yaml", r->f.path);
    enum st st = cfg_load(&r->c, path, sections, NULL, NULL);
    assert_non_null(r->c);
    if (st == ST_OK)
        st = indicators_open(&r->x, &r->cfg, r->c, NULL);
    (void)cfg_complaints(r->c, &r->said);
    return st;
}

static void close_rig(struct rig *r)
{
    indicators_close(r->x);
    cfg_free(r->c);
    folder_close(&r->f);
}

static bool is_used(const struct rig *r, const char *id)
{
    const struct indicator_def *d = indicator_catalogue_find(r->x->catalogue, id);
    assert_non_null(d);
    return indicator_is_used(r->x, d);
}

static void without_the_section_nothing_is_computed(void **state)
{
    (void)state;
    struct rig r;
    assert_int_equal(open_with(&r, "{}\n"), ST_OK);
    assert_null(r.x->catalogue);
    close_rig(&r);
}

static void an_empty_section_wants_all_that_is_not_off(void **state)
{
    (void)state;
    struct rig r;
    assert_int_equal(open_with(&r, "indicator: {}\n"), ST_OK);
    assert_true(is_used(&r, "air-aqi-hour"));
    assert_false(is_used(&r, "wat-wqi"));
    assert_false(is_used(&r, "wat-oxygen"));
    assert_false(is_used(&r, "con-6g-area")); /* a target has no value */
    assert_null(indicator_catalogue_find(r.x->catalogue, "good"));
    close_rig(&r);
}

static void what_is_named_is_used_with_what_feeds_it(void **state)
{
    (void)state;
    struct rig r;
    assert_int_equal(open_with(&r, "indicator:\n  use: [wat-wqi, ene-peak]\n"), ST_OK);
    assert_true(is_used(&r, "wat-wqi"));
    assert_true(is_used(&r, "wat-oxygen"));
    assert_true(is_used(&r, "ene-peak"));
    assert_false(is_used(&r, "air-aqi-hour"));
    close_rig(&r);
}

static void a_site_sets_its_own_numbers(void **state)
{
    (void)state;
    struct rig r;
    assert_int_equal(open_with(&r, "indicator:\n  folder: own\n  params: {good: {most: 2.5}, "
                                   "con-5g-samples: {theta: -105}}\n"),
                     ST_OK);
    const struct indicator_def *d = indicator_catalogue_find(r.x->catalogue, "good");
    assert_non_null(d);
    const struct indicator_param *p = d->params.v;
    assert_true(num_cmp(p[0].value, num_dec(2, 0)) == 0);
    assert_true(num_cmp(p[1].value, num_dec(25, -1)) == 0);
    p = indicator_catalogue_find(r.x->catalogue, "con-5g-samples")->params.v;
    assert_true(num_cmp(p[0].value, num_dec(-105, 0)) == 0);
    close_rig(&r);
}

static void what_the_catalogue_does_not_have_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } bad[] = {
        {"indicator: {use: [air-aqi-houre]}\n",
         "site.yaml:1:19: use: unknown indicator \"air-aqi-houre\"; did you mean "
         "\"air-aqi-hour\"?"},
        {"indicator:\n  params: {con-5g-sample: {theta: 1}}\n",
         "site.yaml:2:12: params: unknown indicator \"con-5g-sample\"; did you mean "
         "\"con-5g-samples\"?"},
        {"indicator:\n  params: {con-5g-samples: {thetta: 1}}\n",
         "site.yaml:2:29: con-5g-samples has no param \"thetta\"; did you mean \"theta\"?"},
        {"indicator:\n  params: {con-5g-samples: {theta: low}}\n",
         "site.yaml:2:36: theta: \"low\" is not a decimal number"},
        {"indicator:\n  params: {con-5g-samples: 1}\n",
         "site.yaml:2:28: con-5g-samples: must be a map of ids"},
        {"indicator:\n  uses: [a]\n", "site.yaml:2:3: unknown key \"uses\"; did you mean \"use\"?"},
        {"indicator:\n  folder: nowhere\n", "nowhere/:1:1: cannot be read: No such file"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rig r;
        assert_int_equal(open_with(&r, bad[i].text), ST_BAD);
        if (!strstr(r.said, bad[i].said))
            fail_msg("wanted: %s\nthere is:\n%s", bad[i].said, r.said);
        close_rig(&r);
    }
}

static void mistakes_of_a_site_s_own_files_are_told_all_at_once(void **state)
{
    (void)state;
    struct rig r;
    assert_int_equal(open_with(&r, "indicator:\n  use: [nothing]\n  folder: own\n"), ST_BAD);
    folder_put(&r.f, "own/a.yaml", FILE_OF("a", "inputs: {x: {quantity: pm}}\nformula: mean(x)\n"));
    folder_put(&r.f, "own/b.yaml", FILE_OF("b", "inputs: {x: {quantity: pm25}}\nformula: mean(\n"));
    indicators_close(r.x);
    assert_int_equal(indicators_open(&r.x, &r.cfg, r.c, NULL), ST_BAD);
    (void)cfg_complaints(r.c, &r.said);
    assert_non_null(strstr(r.said, "site.yaml:2:9: use: unknown indicator \"nothing\""));
    assert_non_null(strstr(r.said, "site.yaml:3:11: "));
    assert_non_null(strstr(r.said, "own/a.yaml:7:24: unknown quantity \"pm\""));
    assert_non_null(strstr(r.said, "own/b.yaml:8:10: formula, from character 6 on: "));
    close_rig(&r);
}

struct told {
    size_t n;
    char first[64], last[64];
};
static enum st take(const struct indicator_about *a, void *arg)
{
    struct told *t = arg;
    (void)snprintf(t->n == 0 ? t->first : t->last, sizeof t->first, "%s", a->id);
    t->n++;
    assert_true(a->path && a->vi && a->en && a->label && a->period && a->longer && a->by);
    return ST_OK;
}

static enum st take_share(const struct indicator_about *a, void *arg)
{
    (void)arg;
    assert_int_equal(a->ninputs, 3);
    assert_string_equal(a->inputs[2].id, "pv");
    assert_string_equal(a->inputs[2].wants, "energy_import, energy_export; role: solar; point: "
                                            "energy_import, energy_export");
    assert_string_equal(a->factor, "100");
    assert_string_equal(a->targets[0].op, ">=");
    assert_string_equal(a->targets[0].value, "5");
    return ST_OK;
}

static void the_catalogue_is_told_in_the_order_of_ids(void **state)
{
    (void)state;
    struct indicators *x = NULL;
    struct buf complaints;
    struct told t = {0};
    const char *near = "";
    buf_init(&complaints, INDICATOR_COMPLAINTS_MAX_BYTES);
    assert_int_equal(indicators_installed(&x, &complaints, NULL), ST_OK);
    assert_int_equal(indicators_tell(x, NULL, NULL, take, &t, &near), ST_OK);
    assert_int_equal(t.n, indicator_catalogue_count(x->catalogue));
    assert_string_equal(t.first, "air-aqi-day");
    assert_string_equal(t.last, "wst-sorted-volume");
    assert_int_equal(indicators_tell(x, NULL, "ene-renewable-site", take_share, NULL, &near),
                     ST_OK);
    assert_int_equal(indicators_tell(x, NULL, "ene-renewable", take, &t, &near), ST_NOT_FOUND);
    assert_int_equal(indicators_tell(x, NULL, "air-aqi-dai", take, &t, &near), ST_NOT_FOUND);
    assert_string_equal(near, "air-aqi-day");
    indicators_close(x);
    buf_done(&complaints);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_the_section_nothing_is_computed),
        cmocka_unit_test(an_empty_section_wants_all_that_is_not_off),
        cmocka_unit_test(what_is_named_is_used_with_what_feeds_it),
        cmocka_unit_test(a_site_sets_its_own_numbers),
        cmocka_unit_test(what_the_catalogue_does_not_have_is_refused_with_its_place),
        cmocka_unit_test(mistakes_of_a_site_s_own_files_are_told_all_at_once),
        cmocka_unit_test(the_catalogue_is_told_in_the_order_of_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
