/* Times, conditions and peaks: what holds between the readings, and together. */
#include "gateway/wire/wire.h"
#include "tests/gateway/indicator/kit.h"

#define DAY INDICATOR_DAY_MS

static void open_of(struct kit *k, enum indicator_period period, const char *quantity,
                    const char *formula)
{
    kit_open(k, period, "number");
    (void)kit_input(k, "x", quantity);
    (void)kit_series(k, 0, 1);
    kit_formulas(k, formula, NULL);
    k->def.completeness = 0;
    kit_day(k, KIT_2026);
}

/* ---- time ---- */

static void a_reading_holds_for_two_periods_at_most(void **state)
{
    (void)state;
    static const struct {
        int64_t second_ms;
        const char *seconds;
    } t[] = {{60000, "180"}, {119000, "239"}, {120000, "240"}, {121000, "240"}, {900000, "240"}};
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct kit k;
        open_of(&k, INDICATOR_DAY, "fill", "time(x) * 3600");
        kit_put(&k, 0, 1000, "5");
        kit_put(&k, 0, 1000 + t[i].second_ms, "5");
        kit_is(&k, 0, t[i].seconds);
        kit_close(&k);
    }
}

static void time_ends_with_the_period_with_now_and_with_a_bad_reading(void **state)
{
    (void)state;
    struct kit k;
    open_of(&k, INDICATOR_HOUR, "fill", "time(x) * 3600");
    kit_put(&k, 0, -1000, "5"); /* holds to the end of its own period */
    kit_put(&k, 0, KIT_HOUR - 10000, "5");
    kit_put(&k, 0, KIT_HOUR + 1000, "5");
    assert_int_equal(kit_put_q(&k, 0, KIT_HOUR + 8000, "5", WIRE_Q_STUCK), ST_OK);
    kit_put(&k, 0, 2 * KIT_HOUR, "5");
    kit_is(&k, 0, "10");
    kit_is(&k, KIT_HOUR, "7");
    kit_is(&k, 2 * KIT_HOUR, "120");
    assert_int_equal(
        fold_result(k.fold, k.day_ms + 2 * KIT_HOUR, k.day_ms + 2 * KIT_HOUR + 30000, &k.out, NULL),
        ST_OK);
    assert_int_equal(mpq_cmp_ui(k.out.num, 30, 1), 0);
    kit_close(&k);
}

static void the_time_of_a_condition_is_that_of_the_readings_that_fulfil_it(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, INDICATOR_DAY, "number");
    (void)kit_input(&k, "x", "fill");
    (void)kit_series(&k, 0, 1);
    (void)kit_series(&k, 0, 2);
    kit_formulas(&k, "time(x > 80)", "time(x)");
    assert_true(num_parse("100", &k.def.factor));
    k.def.completeness = 0;
    kit_day(&k, KIT_2026);
    kit_minutes(&k, 0, 0, 6 * KIT_HOUR, "80");
    kit_minutes(&k, 0, 6 * KIT_HOUR, 12 * KIT_HOUR, "81");
    kit_minutes(&k, 1, 0, 3 * KIT_HOUR, "90");
    kit_is(&k, 0, "60.089"); /* the last of each holds a minute longer: 542 of 902 */
    kit_close(&k);
}

static void a_series_of_events_holds_nothing(void **state)
{
    (void)state;
    struct kit k;
    open_of(&k, INDICATOR_DAY, "fill", "time(x)");
    k.series[0].period_ms = 0;
    kit_day(&k, KIT_2026);
    kit_put(&k, 0, 1, "5");
    kit_put(&k, 0, 5000, "5");
    kit_is(&k, 0, "0");
    kit_close(&k);
}

/* ---- conditions over several inputs ---- */

static void open_radio(struct kit *k, const char *formula)
{
    kit_open(k, INDICATOR_DAY, "number");
    (void)kit_input(k, "tech", "radio_technology");
    (void)kit_input(k, "rsrp", "rsrp");
    (void)kit_series(k, 0, 1);
    (void)kit_series(k, 1, 1);
    (void)kit_series(k, 0, 2);
    (void)kit_series(k, 1, 2);
    kit_param(k, "theta", "-110");
    kit_formulas(k, formula, NULL);
    k->def.completeness = 0;
    kit_day(k, KIT_2026);
}

static void a_condition_compares_one_device_at_one_time(void **state)
{
    (void)state;
    struct kit k;
    open_radio(&k, "count(tech in [11, 12, 13] and rsrp >= theta)");
    kit_put(&k, 0, 10, "11");
    kit_put(&k, 1, 10, "-110"); /* yes */
    kit_put(&k, 0, 20, "11");
    kit_put(&k, 3, 20, "-90"); /* of another device */
    kit_put(&k, 1, 21, "-90"); /* at another time */
    kit_put(&k, 0, 30, "12");
    kit_put(&k, 1, 30, "-110.1");
    kit_put(&k, 0, 40, "7");
    kit_put(&k, 1, 40, "-80");
    kit_put(&k, 2, 50, "13");
    kit_put(&k, 3, 50, "-109"); /* yes */
    kit_is(&k, 0, "2");
    kit_is(&k, 0, "2"); /* asking changes nothing */
    kit_close(&k);
}

static void the_order_between_series_changes_nothing(void **state)
{
    (void)state;
    for (int order = 0; order < 3; order++) {
        struct kit k;
        open_radio(&k, "count(tech == 11 and rsrp > theta) + 1000 * number(time(tech == 11 and "
                       "rsrp > theta))");
        for (int pass = 0; pass < (order == 0 ? 1 : 2); pass++) {
            for (int i = 0; i < 1440; i++) {
                int64_t t = i * KIT_MINUTE;
                char level[16];
                (void)snprintf(level, sizeof level, "%d", -100 - i % 20);
                bool a = order == 0 || pass == (order == 1 ? 0 : 1), b = order == 0 || !a;
                if (a && i % 7 != 3) {
                    kit_put(&k, 0, t, i % 5 == 0 ? "7" : "11");
                }
                if (b) {
                    kit_put(&k, 1, t, level);
                }
            }
        }
        size_t count = 0;
        for (int i = 0; i < 1440; i++) {
            count += i % 7 != 3 && i % 5 != 0 && i % 20 < 10;
        }
        char want[NUM_TEXT_BYTES]; /* each holds a minute: to the next reading of its device */
        (void)num_text(num_dec((int64_t)count * 1000 + (int64_t)(count * 1000000 / 60), -3), want);
        const struct fold_result *r = kit_result(&k, 0);
        char have[NUM_TEXT_BYTES];
        (void)num_text(r->value, have);
        assert_int_equal(strncmp(have, want, strlen(want) - 2), 0);
        if (order == 0) {
            assert_in_range(fold_bytes(k.fold), 0, 20000); /* nothing piles up */
        }
        kit_close(&k);
    }
}

static void a_condition_is_true_until_its_device_says_anything_else(void **state)
{
    (void)state;
    struct kit k;
    open_radio(&k, "time(tech == 11 and rsrp > theta) * 3600");
    kit_put(&k, 0, 1000, "11");
    kit_put(&k, 1, 1000, "-100");
    kit_put(&k, 1, 4000, "-100"); /* of one alone: not known any more */
    kit_put(&k, 0, 10000, "11");
    kit_put(&k, 1, 10000, "-100");
    assert_int_equal(kit_put_q(&k, 0, 15000, "11", WIRE_Q_FAULT), ST_OK);
    kit_put(&k, 0, 600000, "11");
    kit_put(&k, 1, 600000, "-100");
    kit_is(&k, 0, "128"); /* 3, 5, and two periods */
    kit_close(&k);
}

static void a_device_without_one_of_the_inputs_never_fulfils(void **state)
{
    (void)state;
    struct kit k;
    open_radio(&k, "count(tech == 11 and rsrp > theta)");
    k.nseries = 3;
    kit_day(&k, KIT_2026);
    kit_put(&k, 0, 1, "11");
    kit_put(&k, 1, 1, "-100");
    kit_put(&k, 2, 1, "11");
    kit_is(&k, 0, "1");
    kit_close(&k);
}

static void readings_that_wait_for_their_like_are_bounded(void **state)
{
    (void)state;
    struct kit k;
    open_radio(&k, "count(tech == 11 and rsrp > theta)");
    for (int64_t t = 0; t < 131072; t++) { /* all of one, and then the other */
        kit_put(&k, 0, t * 500, "11");
    }
    kit_put(&k, 1, 5000, "-100");
    kit_is(&k, 0, "1");
    assert_in_range(fold_bytes(k.fold), 1 << 20, 1100000);
    kit_put(&k, 0, 131072 * 500, "11");
    kit_put(&k, 0, 131073 * 500, "11");
    kit_is(&k, 0, "1"); /* some have gone by */
    kit_close(&k);
    open_radio(&k, "count(tech == 11 and rsrp > theta)");
    for (int64_t t = 0; t <= 131072; t++) {
        kit_put(&k, 0, t * 500, "11");
    }
    kit_none(&k, 0, FOLD_RANGE);
    kit_close(&k);
}

static void the_comparisons_are_those_of_their_signs(void **state)
{
    (void)state;
    static const struct {
        const char *formula, *want; /* of 1, 2, 3 */
    } t[] = {{"count(x < 2)", "1"},
             {"count(x <= 2)", "2"},
             {"count(x > 2)", "1"},
             {"count(x >= 2)", "2"},
             {"count(x == 2)", "1"},
             {"count(x != 2)", "2"},
             {"count(x in [1, 3])", "2"},
             {"count(x > 1 and x < 3)", "1"},
             {"count(x != 1 and x != 3)", "1"},
             {"count(x < 2.0000001)", "2"},
             {"count(x == 2.0000001)", "0"},
             {"count(x != 2.0000001)", "3"},
             {"count(x > -5)", "3"}};
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct kit k;
        open_of(&k, INDICATOR_DAY, "fill", t[i].formula);
        kit_put(&k, 0, 1, "1");
        kit_put(&k, 0, 2, "2");
        kit_put(&k, 0, 3, "3");
        kit_is(&k, 0, t[i].want);
        kit_close(&k);
    }
}

/* ---- peak ---- */

static void a_peak_is_the_largest_window_of_all_series_together(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, INDICATOR_DAY, "number");
    (void)kit_input(&k, "x", "active_power");
    (void)kit_series(&k, 0, 1);
    (void)kit_series(&k, 0, 2);
    kit_formulas(&k, "peak(x, 15)", NULL);
    k.def.completeness = 0;
    kit_day(&k, KIT_2026);
    kit_none(&k, 0, FOLD_MISSING);
    kit_put(&k, 0, 15 * KIT_MINUTE - 1, "-500");
    kit_is(&k, 0, "-500");
    for (int i = 15; i < 30; i++) { /* 15 … 29: 22 in the mean */
        char text[8];
        (void)snprintf(text, sizeof text, "%d", i);
        kit_put(&k, 0, i * KIT_MINUTE, text);
    }
    kit_put(&k, 0, 30 * KIT_MINUTE, "30"); /* of the next window, alone */
    kit_put(&k, 1, 16 * KIT_MINUTE, "5");
    kit_put(&k, 1, 17 * KIT_MINUTE, "16"); /* 10.5 and 22 */
    kit_is(&k, 0, "32.5");
    kit_again(&k, "peak(x, 30)", NULL, KIT_2026);
    kit_put(&k, 0, 15 * KIT_MINUTE, "10");
    kit_put(&k, 0, 29 * KIT_MINUTE, "20");
    kit_put(&k, 0, 30 * KIT_MINUTE, "12");
    kit_is(&k, 0, "15");
    kit_close(&k);
}

static void the_peak_of_an_hour_is_its_own(void **state)
{
    (void)state;
    struct kit k;
    open_of(&k, INDICATOR_HOUR, "active_power", "peak(x, 60)");
    kit_put(&k, 0, 1, "7");
    kit_put(&k, 0, KIT_HOUR, "5");
    kit_put(&k, 0, DAY - 1, "6");
    kit_is(&k, 0, "7");
    kit_is(&k, KIT_HOUR, "5");
    kit_is(&k, 23 * KIT_HOUR, "6");
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reading_holds_for_two_periods_at_most),
        cmocka_unit_test(time_ends_with_the_period_with_now_and_with_a_bad_reading),
        cmocka_unit_test(the_time_of_a_condition_is_that_of_the_readings_that_fulfil_it),
        cmocka_unit_test(a_series_of_events_holds_nothing),
        cmocka_unit_test(a_condition_compares_one_device_at_one_time),
        cmocka_unit_test(the_order_between_series_changes_nothing),
        cmocka_unit_test(a_condition_is_true_until_its_device_says_anything_else),
        cmocka_unit_test(a_device_without_one_of_the_inputs_never_fulfils),
        cmocka_unit_test(readings_that_wait_for_their_like_are_bounded),
        cmocka_unit_test(the_comparisons_are_those_of_their_signs),
        cmocka_unit_test(a_peak_is_the_largest_window_of_all_series_together),
        cmocka_unit_test(the_peak_of_an_hour_is_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
