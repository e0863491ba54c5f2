/* Reports: which rows there are, what their figures come to over a period, which target counts, and
 * why there is no value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/indicator/report_int.h"
#include "tests/support/temp.h"

#define TERRITORIES FP_SOURCE_DIR "/gateway/indicator/territory"

/* ---- a catalogue of the test's own --------------------------------------------------------------
 */

static const struct {
    const char *name, *text;
} files[] = {
    {"share",
     "numerator: \"count(x > 3)\"\ndenominator: \"count(x)\"\nfactor: 100\nlonger: ratio\n"
     "targets:\n"
     "  - {territory: \"21451\", year: 2025, op: \">\", value: 50, source: \"a\"}\n"
     "  - {territory: tra-cau, year: 2040, op: \">=\", value: 100, source: \"z\"}\n"
     "  - {territory: tra-cau, year: 2030, op: \">=\", value: 100, source: \"b\", note: \"n\"}\n"
     "  - {territory: kinh-mon, year: 2026, op: \">=\", value: 1, source: \"c\"}\n"},
    {"total", "formula: \"sum_of(mean(x))\"\nlonger: sum\n"},
    {"never", "formula: \"mean(x)\"\nlonger: none\n"},
    {"future",
     "reason: {vi: \"Chưa có\", en: \"Not yet\"}\n"
     "targets:\n  - {territory: \"21451\", year: 2035, op: \">=\", value: 50, source: \"d\"}\n"},
    {"elsewhere", "formula: \"mean(x)\"\nlonger: mean\n"
                  "targets:\n  - {territory: kinh-mon, year: 2030, op: \">=\", value: 1, source: "
                  "\"e\"}\n"},
    {"missing", "formula: \"mean(x)\"\nlonger: mean\n"
                "targets:\n  - {territory: tra-cau, year: 2020, op: \"<\", value: 1, source: "
                "\"f\"}\n  - {territory: tra-cau, year: 2024, op: \"<\", value: 2, source: "
                "\"g\"}\n"},
    {"there", "formula: \"mean(x)\"\nlonger: mean\nby: place\n"},
};

struct site {
    char *dir;
    struct indicator_catalogue *catalogue;
    struct report_territory territory;
    struct report_period period;
};

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s.yaml", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    bool target = strstr(text, "formula") == NULL && strstr(text, "numerator") == NULL;
    (void)fprintf(f,
                  "id: %s\nname: {vi: \"Tên %s\", en: \"Name %s\"}\nquantity: %s\nunit: \"%s\"\n"
                  "label: proxy\nsentence: {vi: \"Câu\", en: \"Sentence\"}\n%s%s",
                  name, name, name, "share", "/100",
                  target ? "" : "period: day\ncompleteness: 75\ninputs: {x: {quantity: share}}\n",
                  text);
    if (!target && !strstr(text, "by: "))
        (void)fprintf(f, "by: site\n");
    assert_int_equal(fclose(f), 0);
}

static void open_site(struct site *s, const char *period, enum report_closing closing)
{
    const char *complaints;
    struct err e = {.text = ""};
    struct buf b;
    s->dir = temp_make();
    assert_non_null(s->dir);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        write_file(s->dir, files[i].name, files[i].text);
    buf_init(&b, INDICATOR_COMPLAINTS_MAX_BYTES);
    if (indicator_catalogue_open(&s->catalogue, (const char *const[]){s->dir, NULL}, &b, &e) !=
        ST_OK)
        fail_msg("%s: %.*s", e.text, (int)b.n, (const char *)b.p);
    buf_done(&b);
    assert_int_equal(report_territory_open(&s->territory, (const char *const[]){TERRITORIES, NULL},
                                           "21451", &complaints, &e),
                     ST_OK);
    assert_int_equal(report_period_parse(&s->period, period, closing, &e), ST_OK);
}

static void close_site(struct site *s)
{
    indicator_catalogue_close(s->catalogue);
    report_territory_close(&s->territory);
    temp_done(s->dir);
}

/* ---- figures
 * ------------------------------------------------------------------------------------- */

struct figure {
    const char *instance;
    const char *day; /* the first of `days` that are alike */
    int days;
    const char *num, *den, *value; /* "": none */
    uint64_t due, good;
    uint32_t revision;
};
struct source {
    const struct figure *v;
    size_t n;
};

static int32_t day_of(const char *text)
{
    int64_t d = 0;
    assert_true(wire_day_parse((struct wire_span){(const uint8_t *)text, strlen(text)}, &d));
    return (int32_t)d;
}

static enum st instances(void *ctx, enum st (*each)(void *each_ctx, const char *instance),
                         void *each_ctx, struct err *e)
{
    const struct source *s = ctx;
    (void)e;
    for (size_t i = 0; i < s->n; i++)
        if (i == 0 || strcmp(s->v[i].instance, s->v[i - 1].instance) != 0)
            ERR_TRY(each(each_ctx, s->v[i].instance));
    return ST_OK;
}

static enum st figures(void *ctx, const char *instance, int64_t from_ms, int64_t to_ms,
                       report_take *take, void *take_ctx, struct err *e)
{
    const struct source *s = ctx;
    struct fold_result r;
    enum st st = ST_OK;
    (void)e;
    fold_result_init(&r);
    for (size_t i = 0; i < s->n; i++) {
        const struct figure *f = &s->v[i];
        for (int k = 0; st == ST_OK && k < f->days && strcmp(f->instance, instance) == 0; k++) {
            r.from_ms = indicator_day_ms(day_of(f->day) + k);
            r.to_ms = r.from_ms + INDICATOR_DAY_MS;
            if (r.from_ms < from_ms || r.from_ms >= to_ms)
                continue;
            r.has_num = f->num[0] && mpq_set_str(r.num, f->num, 10) == 0;
            r.has_den = f->den[0] && mpq_set_str(r.den, f->den, 10) == 0;
            r.value = (struct num){.kind = NUM_NONE};
            r.reason = f->value[0] && num_parse(f->value, &r.value) ? FOLD_OK : FOLD_INCOMPLETE;
            r.due = f->due;
            r.good = f->good;
            const struct report_figure figure = {r.from_ms, f->revision, &r};
            st = take(take_ctx, &figure);
        }
    }
    fold_result_done(&r);
    return st;
}

static void make_of(struct report *r, const struct site *s, const struct source *from,
                    const char *now, const char *done, const struct store *names)
{
    const struct report_source source = {(void *)(uintptr_t)from, instances, figures};
    const struct report_ask ask = {.gateway = "gw",
                                   .site = "Site",
                                   .territory = &s->territory,
                                   .period = &s->period,
                                   .now_ms = indicator_day_ms(day_of(now)) + 1,
                                   .until_day = INT32_MAX,
                                   .names = names};
    struct err e = {.text = ""};
    if (report_make_from(r, s->catalogue, &ask, &source, indicator_day_ms(day_of(done)), &e) !=
        ST_OK)
        fail_msg("%s", e.text);
}

static void make(struct report *r, const struct site *s, const struct source *from, const char *now,
                 const char *done)
{
    make_of(r, s, from, now, done, NULL);
}

static const struct report_row *row_of(const struct report *r, const char *id)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->rows[i].id, id) == 0)
            return &r->rows[i];
    return NULL;
}

static void is_number(struct num v, const char *text)
{
    char got[NUM_TEXT_BYTES];
    assert_string_equal(num_text(v, got), text);
}

/* ---- tests
 * ---------------------------------------------------------------------------------------- */

/* The ratio of the sums, never the mean of the days' ratios: 1 of 2 and 9 of 10 are 10 of 12. Days
 * that nobody computed owe what the one before owed. */
static void a_period_is_the_sum_of_its_days(void **state)
{
    (void)state;
    static const struct figure v[] = {
        {"share", "2026-01-01", 1, "1", "2", "50", 100, 100, 0},
        {"share", "2026-01-02", 1, "9", "10", "90", 100, 90, 3},
        {"share", "2026-01-04", 28, "0", "1", "0", 100, 100, 0},
    };
    struct site s;
    struct report r;
    open_site(&s, "2026-01", REPORT_CALENDAR);
    make(&r, &s, &(struct source){v, 3}, "2026-03-01", "2026-03-01");
    const struct report_row *x = row_of(&r, "share");
    assert_non_null(x);
    is_number(x->value, "25"); /* 10 of 40 */
    assert_string_equal(x->numerator, "10");
    assert_string_equal(x->denominator, "40");
    assert_int_equal(x->due, 3100); /* the day without figures owes 100 */
    assert_int_equal(x->good, 2990);
    assert_string_equal(x->reason, "");
    assert_int_equal(x->nruns, 3);
    assert_int_equal(x->runs[1].revision, 3);
    assert_int_equal(x->runs[2].days, 28);
    /* the year has no target: the next one ahead counts */
    assert_string_equal(x->target.op, ">=");
    assert_int_equal(x->target.year, 2030);
    is_number(x->target.distance, "-75");
    assert_false(x->target.met);
    report_done(&r);
    close_site(&s);
}

static void a_place_is_called_by_its_name_wherever_its_device_went(void **state)
{
    (void)state;
    static const struct figure v[] = {
        {"there.air-1", "2026-01-01", 5, "1", "1", "1", 100, 100, 0},
        {"there.air-1.2", "2026-01-06", 5, "2", "1", "2", 100, 100, 0},
    };
    static const struct store_device devices[] = {{.id = "air-1", .name = "Air", .place = "yard"},
                                                  {.id = "there.air-1", .place = "gate"},
                                                  {.id = "there.air-1.2", .place = "yard"}};
    struct site s;
    struct report r;
    struct store *names = NULL;
    struct err e = {.text = ""};
    uint32_t at;
    assert_int_equal(store_open_declared(&names, "gw", &e), ST_OK);
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        assert_int_equal(store_add_device(names, &devices[i], &at, &e), ST_OK);
    open_site(&s, "2026-01", REPORT_CALENDAR);
    make_of(&r, &s, &(struct source){v, 2}, "2026-03-01", "2026-03-01", names);
    size_t found = 0;
    for (size_t i = 0; i < r.n; i++) {
        if (strcmp(r.rows[i].id, "there") != 0)
            continue;
        assert_string_equal(r.rows[i].about, found++ == 0 ? "gate" : "yard");
    }
    assert_int_equal(found, 2);
    report_done(&r);
    store_close(names);
    close_site(&s);
}

/* Rows: what the site has, what the territory has a target of, and nothing else. */
static void rows_are_figures_and_targets(void **state)
{
    (void)state;
    static const struct figure v[] = {
        {"gone.old", "2026-01-01", 31, "1", "1", "5", 1, 1, 0},
        {"never", "2026-01-01", 31, "1", "1", "5", 10, 9, 0},
        {"total.a", "2026-01-01", 31, "1", "1", "5", 1, 1, 0},
        {"total.b", "2025-06-01", 31, "1", "1", "5", 1, 1, 0},
    };
    struct site s;
    struct report r;
    open_site(&s, "2026-01", REPORT_CALENDAR);
    make(&r, &s, &(struct source){v, 4}, "2026-03-01", "2026-03-01");
    static const char *const rows[][3] = {
        {"future", "", "target"},  {"gone", "gone.old", "uncatalogued"},
        {"missing", "", "absent"}, {"never", "never", "not_joined"},
        {"share", "", "absent"},   {"total", "total.a", ""}};
    assert_int_equal(r.n, sizeof rows / sizeof *rows);
    for (size_t i = 0; i < r.n; i++) {
        assert_string_equal(r.rows[i].id, rows[i][0]);
        assert_string_equal(r.rows[i].instance, rows[i][1]);
        assert_string_equal(r.rows[i].reason, rows[i][2]);
    }
    assert_string_equal(r.rows[0].reason_text[REPORT_VI], "Chưa có");
    assert_int_equal(r.rows[0].target.year, 2035);
    assert_int_equal(row_of(&r, "missing")->target.year, 2024); /* the last that was named */
    is_number(row_of(&r, "total")->value, "155");
    assert_int_equal(row_of(&r, "never")->due, 310);
    report_done(&r);
    close_site(&s);
}

/* In the year of a target that one counts, not the next. */
static void the_target_of_the_year_counts(void **state)
{
    (void)state;
    static const struct figure v[] = {{"share", "2025-01-01", 31, "3", "4", "75", 4, 4, 0}};
    struct site s;
    struct report r;
    open_site(&s, "2025-01", REPORT_CALENDAR);
    make(&r, &s, &(struct source){v, 1}, "2026-03-01", "2026-03-01");
    const struct report_row *x = row_of(&r, "share");
    assert_int_equal(x->target.year, 2025);
    assert_string_equal(x->target.source, "a");
    is_number(x->target.distance, "25");
    assert_true(x->target.met);
    report_done(&r);
    close_site(&s);
}

/* Too little, nothing yet, nothing at all: no value, and why. */
static void no_value_without_enough_readings(void **state)
{
    (void)state;
    static const struct figure v[] = {{"share", "2026-01-01", 10, "1", "2", "50", 100, 100, 0}};
    static const struct {
        const char *period, *now, *done, *reason, *until;
        uint64_t due;
    } cases[] = {
        {"2026-01", "2026-03-01", "2026-03-01", "incomplete", "2026-01-31", 3100},
        /* the days that are over alone */
        {"2026-01", "2026-01-11", "2026-01-11", "", "2026-01-10", 1000},
        /* they are about to be computed, or nobody computes any more */
        {"2026-01", "2026-01-13", "2026-01-11", "", "2026-01-10", 1000},
        {"2026-01", "2026-01-15", "2026-01-11", "incomplete", "2026-01-14", 1400},
        {"2026-02", "2026-01-11", "2026-01-11", "not_begun", "2026-01-31", 0},
        {"2025-12", "2026-01-11", "2026-01-11", "no_days", "2025-12-31", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char until[WIRE_DAY_TEXT];
        struct site s;
        struct report r;
        open_site(&s, cases[i].period, REPORT_CALENDAR);
        make(&r, &s, &(struct source){v, 1}, cases[i].now, cases[i].done);
        const struct report_row *x = row_of(&r, "share");
        assert_string_equal(x->reason, cases[i].reason);
        assert_int_equal(x->value.kind == NUM_NONE, cases[i].reason[0] != '\0');
        assert_int_equal(x->target.distance.kind == NUM_NONE, cases[i].reason[0] != '\0');
        assert_int_equal(x->due, cases[i].due);
        assert_int_equal(wire_day_text(r.until_day, until), ST_OK);
        assert_string_equal(until, cases[i].until);
        report_done(&r);
        close_site(&s);
    }
}

/* Closed on the 14th, the days around the close are in the right period. */
static void the_close_parts_the_days(void **state)
{
    (void)state;
    static const struct figure v[] = {{"total", "2025-12-14", 1, "1", "1", "100", 1, 1, 0},
                                      {"total", "2025-12-15", 31, "1", "1", "1", 1, 1, 0},
                                      {"total", "2026-01-15", 1, "1", "1", "1000", 1, 1, 0}};
    struct site s;
    struct report r;
    open_site(&s, "2026-01", REPORT_ON_14TH);
    make(&r, &s, &(struct source){v, 3}, "2026-03-01", "2026-03-01");
    is_number(row_of(&r, "total")->value, "31");
    report_done(&r);
    close_site(&s);
}

/* The same figures have the same digest whenever they are told; another revision of one day, or
 * another count, has another. */
static void the_digest_is_of_the_figures_and_their_revisions(void **state)
{
    (void)state;
    struct figure v[] = {{"share", "2026-01-01", 31, "1", "2", "50", 100, 100, 0}};
    struct site s;
    struct report r;
    char first[65];
    open_site(&s, "2026-01", REPORT_CALENDAR);
    make(&r, &s, &(struct source){v, 1}, "2026-03-01", "2026-03-01");
    (void)snprintf(first, sizeof first, "%s", r.digest);
    assert_int_equal(strlen(first), 64);
    report_done(&r);
    make(&r, &s, &(struct source){v, 1}, "2026-08-01", "2026-08-01");
    assert_string_equal(r.digest, first);
    report_done(&r);
    v[0].revision = 1;
    make(&r, &s, &(struct source){v, 1}, "2026-03-01", "2026-03-01");
    assert_string_not_equal(r.digest, first);
    report_done(&r);
    v[0] = (struct figure){"share", "2026-01-01", 31, "2", "4", "50", 100, 99, 0};
    make(&r, &s, &(struct source){v, 1}, "2026-03-01", "2026-03-01");
    assert_string_not_equal(r.digest, first);
    report_done(&r);
    close_site(&s);
}

/* Whatever a name holds, the content is whole UTF-8 without controls. */
static void texts_are_made_whole(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {{"Trà Câu", "Trà Câu"},
                 {"a\tb\nc\x01", "a b c "},
                 {"\xc3", "\xef\xbf\xbd"},
                 {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* half a surrogate */
                 {"\xc0\xaf<", "\xef\xbf\xbd\xef\xbf\xbd<"},               /* overlong */
                 {"\xc2\x85", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* NEL */
                 {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
                 {NULL, ""}};
    struct report r;
    report_init(&r);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(report_text(&r, cases[i].in), cases[i].out);
    report_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_is_called_by_its_name_wherever_its_device_went),
        cmocka_unit_test(a_period_is_the_sum_of_its_days),
        cmocka_unit_test(rows_are_figures_and_targets),
        cmocka_unit_test(the_target_of_the_year_counts),
        cmocka_unit_test(no_value_without_enough_readings),
        cmocka_unit_test(the_close_parts_the_days),
        cmocka_unit_test(the_digest_is_of_the_figures_and_their_revisions),
        cmocka_unit_test(texts_are_made_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
