/* What is sealed becomes values, which are readings: once, complete, anew where something was said
 * later, and neither lost nor doubled where the power goes. On a real store, with real batches. */
#include "tests/gateway/indicator/run_rig.h"
#include "tests/support/skip.h"

static void a_day_is_computed_once_it_is_sealed(void **state)
{
    struct rig *g = *state;
    on(g, AT(1) - 10 * MINUTE);
    work(g);
    assert_string_equal(partial(g, "a-mean", AT(0)), "none"); /* the day goes on */
    assert_string_equal(partial(g, "b-hours", AT(0) + 20 * HOUR), "20 20/1 1/1 12/12 0 r0");
    day(g, 1, 0, 0);
    assert_string_equal(partial(g, "a-mean", AT(0)), "11.5 23/2 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "b-hours", AT(0) + 23 * HOUR), "23 23/1 1/1 12/12 0 r0");
    assert_string_equal(partial(g, "c-warm", AT(0)), "18 18/1 1/1 24/24 0 r0");
    /* 1 a minute, in kilo: from the last one of the day before */
    assert_string_equal(partial(g, "d-grown", AT(0)), "1440 1440/1 1/1 288/288 0 r0");
    const char *said = readings(g, "a-mean", END(0));
    if (!strstr(said, "revision=0 value=11.5 numerator=11.5 denominator=1 due=288 good=288 "
                      "catalogue="))
        fail_msg("%s", said);
    assert_null(strstr(said, "reason"));
    assert_null(strstr(strstr(said, "value=") + 1, "value=")); /* once */
}

static void no_device_of_the_site_has_the_id_of_a_result(void **state)
{
    struct rig *g = *state;
    assert_true(indicators_id_used(&g->x, "a-mean"));
    assert_true(indicators_id_used(&g->x, "a-mean.gate"));
    assert_false(indicators_id_used(&g->x, "a-mean-2"));
    assert_false(indicators_id_used(&g->x, "th"));
}

static void what_comes_late_makes_a_new_revision_of_its_day_alone(void **state)
{
    struct rig *g = *state;
    day(g, 2, AT(0) + 3 * HOUR, AT(0) + 4 * HOUR);
    assert_string_equal(partial(g, "a-mean", AT(0)), "11.9 273/23 1/1 276/288 0 r0");
    assert_string_equal(partial(g, "b-hours", AT(0) + 3 * HOUR), "   0/12 1 r0");
    const char *said = readings(g, "b-hours", AT(0) + 4 * HOUR - 1);
    if (!strstr(said, "revision=0 due=12 good=0 catalogue=") || !strstr(said, "reason=1"))
        fail_msg("%s", said);
    for (int64_t t = AT(0) + 3 * HOUR; t < AT(0) + 4 * HOUR; t += STEP)
        put(g, g->warm, g->temperature, t, warmth(t));
    on(g, g->l.utc_ms + 3 * WINDOW);
    work(g);
    assert_string_equal(partial(g, "a-mean", AT(0)), "11.5 23/2 1/1 288/288 0 r1");
    assert_string_equal(partial(g, "b-hours", AT(0) + 3 * HOUR), "3 3/1 1/1 12/12 0 r1");
    assert_string_equal(partial(g, "b-hours", AT(0) + 4 * HOUR), "4 4/1 1/1 12/12 0 r0");
    assert_string_equal(partial(g, "c-warm", AT(0)), "18 18/1 1/1 24/24 0 r1"); /* 23 were good */
    assert_string_equal(partial(g, "d-grown", AT(0)), "1440 1440/1 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "a-mean", AT(1)), "11.5 23/2 1/1 288/288 0 r0");
    said = readings(g, "a-mean", END(0));
    const char *first = strstr(said, "revision=0 value=11.9"),
               *second = strstr(said, "revision=1 value=11.5");
    if (!first || !second || second < first)
        fail_msg("%s", said);
}

static void a_late_hour_of_the_open_day_is_said_again(void **state)
{
    struct rig *g = *state;
    go(g, AT(0) + 6 * HOUR, AT(0) + 3 * HOUR + 30 * MINUTE, AT(0) + 5 * HOUR);
    assert_string_equal(partial(g, "b-hours", AT(0) + 3 * HOUR), "3 3/1 1/1 6/12 0 r0");
    for (int64_t t = AT(0) + 5 * HOUR - STEP; t >= AT(0) + 3 * HOUR + 30 * MINUTE; t -= STEP)
        put(g, g->warm, g->temperature, t, warmth(t)); /* and out of order */
    day(g, 1, 0, 0);
    assert_string_equal(partial(g, "b-hours", AT(0) + 3 * HOUR), "3 3/1 1/1 12/12 0 r1");
    assert_string_equal(partial(g, "b-hours", AT(0) + 4 * HOUR), "4 4/1 1/1 12/12 0 r1");
    assert_string_equal(partial(g, "a-mean", AT(0)), "11.5 23/2 1/1 288/288 0 r0");
}

static void late_hours_of_the_open_day_in_order_are_said_again(void **state)
{
    struct rig *g = *state;
    int64_t from = AT(0) + 3 * HOUR + 30 * MINUTE, to = AT(0) + 6 * HOUR;
    go(g, to, from, to);
    assert_string_equal(partial(g, "b-hours", AT(0) + 4 * HOUR), "   0/12 1 r0");
    for (int64_t t = from; t < to; t += STEP)
        put(g, g->warm, g->temperature, t, warmth(t));
    on(g, to + 2 * HOUR);
    assert_string_equal(partial(g, "b-hours", AT(0) + 3 * HOUR), "3 3/1 1/1 12/12 0 r1");
    assert_string_equal(partial(g, "b-hours", AT(0) + 4 * HOUR), "4 4/1 1/1 12/12 0 r1");
}

static void a_counter_that_comes_late_over_midnight_moves_both_days(void **state)
{
    struct rig *g = *state;
    int64_t from = AT(1) - 2 * HOUR, to = AT(1) + 3 * HOUR;
    for (int64_t t = g->l.utc_ms; t < AT(1) + 8 * HOUR; t += STEP) {
        put(g, g->warm, g->temperature, t, warmth(t));
        if (t < from || t >= to)
            put(g, g->grid, g->energy, t, counted(t));
        line_to(&g->l, t + STEP);
        if ((t + STEP) % HOUR == 0)
            work(g);
    }
    assert_string_equal(partial(g, "d-grown", AT(0)), "1320 1320/1 1/1 264/288 0 r0");
    for (int64_t t = from; t < to; t += STEP)
        put(g, g->grid, g->energy, t, counted(t));
    day(g, 2, 0, 0);
    assert_string_equal(partial(g, "d-grown", AT(0)), "1440 1440/1 1/1 288/288 0 r1");
    assert_string_equal(partial(g, "d-grown", AT(1)), "1440 1440/1 1/1 288/288 0 r0");
}

static void what_is_corrected_is_computed_anew(void **state)
{
    struct rig *g = *state;
    char id[STORE_CORRECTION_BYTES];
    day(g, 2, 0, 0);
    ask_for(g,
            (struct store_ask){.kind = STORE_CORRECT,
                               .series = "th/temperature",
                               .change = "rescale",
                               .scale = "2",
                               .offset = "0",
                               .reason = "test"},
            AT(0), AT(1), id);
    assert_string_equal(partial(g, "a-mean", AT(0)), "23 23/1 1/1 288/288 0 r1");
    assert_string_equal(partial(g, "a-mean", AT(1)), "11.5 23/2 1/1 288/288 0 r0");
    ask_for(g, (struct store_ask){.kind = STORE_CORRECT, .undo = id, .reason = "test"}, 0, 0, NULL);
    assert_string_equal(partial(g, "a-mean", AT(0)), "11.5 23/2 1/1 288/288 0 r2");
}

static void times_that_are_found_later_count_in_their_day(void **state)
{
    struct rig *g = *state;
    day(g, 1, 0, 0);
    int64_t real = g->l.utc_ms;
    run_close(g->r);
    g->r = NULL;
    line_stop(&g->l);
    g->l.boots++; /* the machine comes up without a clock */
    g->l.grade = CLK_UNKNOWN;
    g->l.mono_ms = STEP;
    g->l.utc_ms = CLK_UNKNOWN_BASE_MS + STEP;
    line_start(&g->l);
    for (int64_t end = real + 3 * HOUR; real < end; real += STEP) {
        put(g, g->warm, g->temperature, g->l.utc_ms, warmth(real));
        put(g, g->grid, g->energy, g->l.utc_ms, counted(real));
        line_to(&g->l, g->l.utc_ms + STEP);
    }
    work(g);
    assert_string_equal(partial(g, "b-hours", AT(1) + HOUR), "none");
    g->l.grade = CLK_SYNCED;
    g->l.utc_ms = real;
    on(g, AT(1) + 8 * HOUR);
    assert_string_equal(partial(g, "b-hours", AT(1) + HOUR), "1 1/1 1/1 12/12 0 r0");
    day(g, 2, 0, 0);
    assert_string_equal(partial(g, "a-mean", AT(1)), "11.5 23/2 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "d-grown", AT(1)), "1440 1440/1 1/1 288/288 0 r0");
}

static void more_out_of_order_than_can_be_sorted_does_not_stop_the_rest(void **state)
{
    struct rig *g = *state;
    if (!getenv("FP_FULL"))
        SKIP("32768 readings out of order take half a minute; set FP_FULL");
    on(g, AT(0) + 3 * HOUR);
    for (int i = 0; i < DAY_LATE_MAX + 100; i++) { /* each before the one before */
        put(g, g->warm, g->temperature, AT(0) + HOUR - 1 - 50 * i, 0);
        if (i % 1000 == 0)
            line_step(&g->l, false);
    }
    day(g, 1, 0, 0);
    assert_true(events(g, "indicator.cut") > 0);
    assert_string_not_equal(partial(g, "a-mean", AT(0)), "none");
    assert_string_equal(partial(g, "d-grown", AT(0)), "1440 1440/1 1/1 288/288 0 r0");
}

static void a_device_is_what_it_was_on_that_day(void **state)
{
    struct rig *g = *state;
    g->was = (struct store_was){.until_day = DAY0, .role = "other"};
    g->meter.was = &g->was;
    g->meter.nwas = 1;
    cut(g);
    day(g, 2, 0, 0);
    assert_string_equal(partial(g, "d-grown", AT(0)), "none");
    assert_string_equal(partial(g, "d-grown", AT(1)), "1440 1440/1 1/1 288/288 0 r0");
}

static void a_restart_in_the_day_changes_nothing(void **state)
{
    struct rig *g = *state;
    on(g, AT(0) + 7 * HOUR + 20 * MINUTE);
    work(g);
    cut(g);
    on(g, AT(0) + 17 * HOUR + 40 * MINUTE);
    cut(g);
    day(g, 1, 0, 0);
    assert_string_equal(partial(g, "a-mean", AT(0)), "11.5 23/2 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "c-warm", AT(0)), "18 18/1 1/1 24/24 0 r0");
    assert_string_equal(partial(g, "d-grown", AT(0)), "1440 1440/1 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "b-hours", AT(0) + 7 * HOUR), "7 7/1 1/1 12/12 0 r0");
}

/* Up to a part of run_flush; then the power goes. */
static void cut_behind(struct rig *g, int parts)
{
    struct err e = {.text = ""};
    struct store_partial p = {.indicator = "a-mean",
                              .from_ms = AT(0),
                              .to_ms = AT(1),
                              .revision = 1,
                              .value = "99",
                              .numerator = "99/1",
                              .denominator = "1/1",
                              .due = 1,
                              .good = 1};
    line_writer_start(&g->l);
    ok(run_row_add(g->r, &p, 0, &e), &e);
    assert_string_equal(g->x.instances->v[0].id, "a-mean");
    ok(run_write(g->r, &e), &e);
    if (parts > 1)
        ok(run_put(g->r, &e), &e);
    if (parts > 2)
        ok(run_told(g->r, &e), &e);
    line_writer_stop(&g->l);
    cut(g);
}

static void a_revision_is_there_once_wherever_the_power_goes(void **state)
{
    struct rig *g = *state;
    for (int parts = 1; parts <= 3; parts++) {
        for (int sealed = 0; sealed < 2; sealed++) {
            if (parts > 1 || sealed > 0) {
                teardown(state);
                setup(state);
            }
            day(g, 1, 0, 0);
            cut_behind(g, parts);
            if (sealed) /* it is in a batch before anyone looks */
                line_to(&g->l, g->l.utc_ms + 2 * WINDOW);
            work(g);
            work(g);
            const char *said = readings(g, "a-mean", END(0));
            if (times(said, "revision=1 value=99") != 1 || times(said, "revision=0") != 1)
                fail_msg("behind %d: %s", parts, said);
        }
    }
}

/* Three days, of which the batches of the first one and a half are gone; then days [from, to) are
 * corrected. What was said of what stays. */
static struct events correct_what_is_gone(struct rig *g, int from, int to)
{
    char sql[200];
    day(g, 3, 0, 0);
    run_close(g->r);
    g->r = NULL;
    line_stop(&g->l);
    (void)snprintf(sql, sizeof sql, "DELETE FROM batch WHERE to_ms <= %lld",
                   (long long)(AT(1) + 12 * HOUR));
    run_sql(g, sql);
    line_start(&g->l);
    ask_for(g,
            (struct store_ask){.kind = STORE_CORRECT,
                               .series = "th/temperature",
                               .change = "invalidate",
                               .reason = "test"},
            AT(from), AT(to), NULL);
    assert_string_equal(partial(g, "a-mean", AT(0)), "11.5 23/2 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "a-mean", AT(1)), "11.5 23/2 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "a-mean", AT(2)),
                        to > 2 ? "   0/288 1 r1" : "11.5 23/2 1/1 288/288 0 r0");
    return events_of(g, "indicator.kept");
}

#define WHOLE "the figures of days before 2026-09-25 stay as they were computed"
#define PARTLY "the figures of 2026-09-25 stay as they were computed"

static void a_day_of_which_batches_are_gone_stays_and_says_so(void **state)
{
    struct events kept = correct_what_is_gone(*state, 1, 2);
    if (kept.n != 1 || !strstr(kept.text, PARTLY))
        fail_msg("%d: %s", kept.n, kept.text);
}

static void a_day_before_all_batches_stays_and_says_so(void **state)
{
    struct events kept = correct_what_is_gone(*state, 0, 1);
    if (kept.n != 1 || !strstr(kept.text, WHOLE))
        fail_msg("%d: %s", kept.n, kept.text);
}

static void days_that_are_gone_do_not_keep_the_others(void **state)
{
    struct events kept = correct_what_is_gone(*state, 0, 3);
    if (kept.n != 2 || !strstr(kept.text, WHOLE) || !strstr(kept.text, PARTLY))
        fail_msg("%d: %s", kept.n, kept.text);
}

static void a_meter_changed_in_the_night_is_one_counter(void **state)
{
    struct rig *g = *state;
    day(g, 2, 0, 0);
    assert_string_equal(partial(g, "d-grown", AT(1)), "1440 1440/1 1/1 288/288 0 r0");
    /* the new meter begins 10 below where the old one ended: so much more was counted */
    ask_for(g,
            (struct store_ask){.kind = STORE_MAINTAIN,
                               .series = "m/energy",
                               .work = "meter",
                               .detail = {{"last", "2440"}, {"first", "2430"}},
                               .details = 2},
            AT(1) - 30000, 0, NULL);
    assert_string_equal(partial(g, "d-grown", AT(0)), "1440 1440/1 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "d-grown", AT(1)), "1450 1450/1 1/1 288/288 0 r1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_day_is_computed_once_it_is_sealed, setup, teardown),
        cmocka_unit_test_setup_teardown(what_comes_late_makes_a_new_revision_of_its_day_alone,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(no_device_of_the_site_has_the_id_of_a_result, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_late_hour_of_the_open_day_is_said_again, setup, teardown),
        cmocka_unit_test_setup_teardown(late_hours_of_the_open_day_in_order_are_said_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_counter_that_comes_late_over_midnight_moves_both_days,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_corrected_is_computed_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(times_that_are_found_later_count_in_their_day, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(more_out_of_order_than_can_be_sorted_does_not_stop_the_rest,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_device_is_what_it_was_on_that_day, setup, teardown),
        cmocka_unit_test_setup_teardown(a_restart_in_the_day_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_revision_is_there_once_wherever_the_power_goes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_day_of_which_batches_are_gone_stays_and_says_so, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_day_before_all_batches_stays_and_says_so, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(days_that_are_gone_do_not_keep_the_others, setup, teardown),
        cmocka_unit_test_setup_teardown(a_meter_changed_in_the_night_is_one_counter, setup,
                                        teardown),
    };
    return skip_result(cmocka_run_group_tests(tests, NULL, NULL));
}
