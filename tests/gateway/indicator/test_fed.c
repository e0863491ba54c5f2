/* What the configuration says otherwise of days that are over: they follow, once, and no others do;
 * what was removed leaves its days as they were. */
#include "tests/gateway/indicator/run_rig.h"

#define COUNTED                                                                                    \
    FILE_AS("e-all", "occurrences", "inputs: {x: {quantity: any}}\nformula: \"count(x)\"\n")
#define PLACED                                                                                     \
    FILE_AS("f-place", "temperature",                                                              \
            "unit: Cel\nby: place\ninputs: {x: {quantity: temperature}}\nformula: mean(x)\n")
#define DERIVED                                                                                    \
    FILE_AS("g-high", "occurrences",                                                               \
            "by: place\ninputs: {h: {indicator: f-place}}\nformula: \"count(h > 5)\"\n")

static int setup_fed(void **state)
{
    static const char *const more[] = {"e-all.yaml", COUNTED, "f-place.yaml", PLACED, "g-high.yaml",
                                       DERIVED,      NULL};
    return setup_with(state, more);
}

/* The meter was something else up to and with that day. */
static void was(struct rig *g, int32_t until_day, const char *role)
{
    g->was = (struct store_was){.until_day = until_day, .role = role};
    g->meter.was = &g->was;
    g->meter.nwas = 1;
}

/* The next start, and time for what it makes. */
static void start_anew(struct rig *g)
{
    cut(g);
    work(g);
    on(g, g->l.utc_ms + 3 * WINDOW);
    work(g);
}

static void a_day_on_which_a_device_was_something_else_is_taken_back(void **state)
{
    struct rig *g = *state;
    day(g, 3, 0, 0);
    assert_string_equal(partial(g, "d-grown", AT(1)), "1440 1440/1 1/1 288/288 0 r0");
    was(g, DAY0 + 1, "other");
    start_anew(g);
    assert_string_equal(partial(g, "d-grown", AT(0)), "   0/0 2 r1");
    assert_string_equal(partial(g, "d-grown", AT(1)), "   0/0 2 r1");
    assert_string_equal(partial(g, "d-grown", AT(2)), "1440 1440/1 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "a-mean", AT(0)), "11.5 23/2 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "e-all", AT(1)), "576 576/1 1/1 576/864 0 r0");
    const char *said = readings(g, "d-grown", END(1));
    if (!strstr(said, "revision=1 due=0 good=0 catalogue=") || !strstr(said, "reason=2"))
        fail_msg("%s", said);
    assert_int_equal(events(g, "indicator.kept"), 0);
    start_anew(g); /* once */
    assert_string_equal(partial(g, "d-grown", AT(1)), "   0/0 2 r1");
    g->meter.nwas = 0; /* it was right before */
    start_anew(g);
    assert_string_equal(partial(g, "d-grown", AT(1)), "1440 1440/1 1/1 288/288 0 r2");
}

static void what_a_device_was_all_along_counts_from_its_last_reading_of_the_day_before(void **state)
{
    struct rig *g = *state;
    g->meter.role = "other";
    cut(g);
    day(g, 2, 0, 0);
    assert_string_equal(partial(g, "d-grown", AT(1)), "none");
    g->meter.role = "grid";
    was(g, DAY0, "other");
    start_anew(g);
    assert_string_equal(partial(g, "d-grown", AT(0)), "none");
    assert_string_equal(partial(g, "d-grown", AT(1)), "1440 1440/1 1/1 288/288 0 r0");
}

static void what_was_wrong_from_the_first_day_is_taken_back_once_it_is_dated(void **state)
{
    struct rig *g = *state;
    day(g, 2, 0, 0);
    g->meter.role = "other";
    start_anew(g); /* nobody is there who could say so */
    assert_string_equal(partial(g, "d-grown", AT(1)), "1440 1440/1 1/1 288/288 0 r0");
    struct events kept = events_of(g, "indicator.kept");
    if (kept.n != 1 || !strstr(kept.text, "the figures of d-grown stay"))
        fail_msg("%d: %s", kept.n, kept.text);
    was(g, DAY0 - 30, "grid");
    start_anew(g);
    assert_string_equal(partial(g, "d-grown", AT(0)), "   0/0 2 r1");
    assert_string_equal(partial(g, "d-grown", AT(1)), "   0/0 2 r1");
}

static void a_place_of_before_has_figures_of_its_own(void **state)
{
    struct rig *g = *state;
    day(g, 2, 0, 0);
    assert_string_equal(partial(g, "f-place.th", AT(1)), "11.5 23/2 1/1 288/288 0 r0");
    g->was = (struct store_was){.until_day = DAY0, .place = "yard"};
    g->th.was = &g->was;
    g->th.nwas = 1;
    start_anew(g);
    assert_string_equal(partial(g, "f-place.th", AT(0)), "11.5 23/2 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "f-place.th", AT(1)), "   0/0 2 r1");
    assert_string_equal(partial(g, "f-place.th.2", AT(0)), "none");
    assert_string_equal(partial(g, "f-place.th.2", AT(1)), "11.5 23/2 1/1 288/288 0 r0");
    /* and what is made of them has as many */
    assert_string_equal(partial(g, "g-high.th", AT(0)), "1 1/1 1/1 1/1 0 r0");
    assert_string_equal(partial(g, "g-high.th", AT(1)), "   0/0 2 r1");
    assert_string_equal(partial(g, "g-high.th.2", AT(1)), "1 1/1 1/1 1/1 0 r0");
    day(g, 3, 0, 0);
    assert_string_equal(partial(g, "g-high.th", AT(2)), "none");
    assert_string_equal(partial(g, "g-high.th.2", AT(2)), "1 1/1 1/1 1/1 0 r0");
}

static void a_start_alone_folds_nothing_anew(void **state)
{
    struct rig *g = *state;
    struct err e = {.text = ""};
    day(g, 2, 0, 0);
    cut(g);
    line_writer_start(&g->l);
    ok(run_open(&g->r, &g->x, g->l.store, &g->l.clk, &e), &e);
    enum st st = run_step(g->r, &e);
    if (st != ST_NOT_FOUND)
        ok(st, &e);
    assert_true(g->r->fed_known);
    assert_int_equal(g->r->ndirty, 0);
    line_writer_stop(&g->l);
}

static void what_was_removed_leaves_its_days_and_the_others_follow(void **state)
{
    struct rig *g = *state;
    day(g, 2, 0, 0);
    g->without_meter = true;
    start_anew(g);
    assert_string_equal(partial(g, "e-all", AT(0)), "576 576/1 1/1 576/864 0 r0");
    assert_int_equal(events(g, "indicator.kept"), 0);
    ask_for(g, /* but for its last hour, so that the next day begins as it did */
            (struct store_ask){.kind = STORE_CORRECT,
                               .series = "th/temperature",
                               .change = "rescale",
                               .scale = "2",
                               .offset = "0",
                               .reason = "test"},
            AT(0), AT(1) - HOUR, NULL);
    assert_non_null(strstr(partial(g, "a-mean", AT(0)), " 529/24 1/1 288/288 0 r1"));
    assert_string_equal(partial(g, "e-all", AT(0)), "576 576/1 1/1 576/864 0 r0");
    assert_string_equal(partial(g, "d-grown", AT(0)), "1440 1440/1 1/1 288/288 0 r0");
    struct events kept = events_of(g, "indicator.kept");
    if (kept.n != 1 || !strstr(kept.text, "2026-09-24 that m/energy fed stay"))
        fail_msg("%d: %s", kept.n, kept.text);
    /* what comes back is as it was, and its days can be computed again */
    g->without_meter = false;
    start_anew(g);
    ask_for(g,
            (struct store_ask){.kind = STORE_CORRECT,
                               .series = "th/temperature",
                               .change = "invalidate",
                               .reason = "test"},
            AT(0), AT(1), NULL);
    assert_non_null(strstr(partial(g, "e-all", AT(0)), " 288/864 1 r1"));
}

static void days_whose_batches_are_gone_stay_and_say_so_of_the_configuration_too(void **state)
{
    struct rig *g = *state;
    char sql[200];
    day(g, 3, 0, 0);
    run_close(g->r);
    g->r = NULL;
    line_stop(&g->l);
    (void)snprintf(sql, sizeof sql, "DELETE FROM batch WHERE to_ms <= %lld",
                   (long long)(AT(1) + 12 * HOUR));
    run_sql(g, sql);
    line_start(&g->l);
    was(g, DAY0 + 2, "other");
    start_anew(g);
    assert_string_equal(partial(g, "d-grown", AT(0)), "1440 1440/1 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "d-grown", AT(1)), "1440 1440/1 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "d-grown", AT(2)), "   0/0 2 r1");
    struct events kept = events_of(g, "indicator.kept");
    if (kept.n != 2 || !strstr(kept.text, "days before 2026-09-25 stay") ||
        !strstr(kept.text, "of 2026-09-25 stay"))
        fail_msg("%d: %s", kept.n, kept.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_day_on_which_a_device_was_something_else_is_taken_back,
                                        setup_fed, teardown),
        cmocka_unit_test_setup_teardown(
            what_a_device_was_all_along_counts_from_its_last_reading_of_the_day_before,
            setup, /* it feeds nothing */
            teardown),
        cmocka_unit_test_setup_teardown(
            what_was_wrong_from_the_first_day_is_taken_back_once_it_is_dated, setup_fed, teardown),
        cmocka_unit_test_setup_teardown(a_place_of_before_has_figures_of_its_own, setup_fed,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_start_alone_folds_nothing_anew, setup_fed, teardown),
        cmocka_unit_test_setup_teardown(what_was_removed_leaves_its_days_and_the_others_follow,
                                        setup_fed, teardown),
        cmocka_unit_test_setup_teardown(
            days_whose_batches_are_gone_stay_and_say_so_of_the_configuration_too, setup_fed,
            teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
