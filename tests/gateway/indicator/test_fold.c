/* A day's figure: what counts, what is due, what gives no number and why. */
#include "gateway/wire/wire.h"
#include "tests/gateway/indicator/kit.h"

#define DAY INDICATOR_DAY_MS

/* An input pm25 with one series of a reading a minute. */
static void open_one(struct kit *k, enum indicator_period period, const char *formula)
{
    kit_open(k, period, "number");
    (void)kit_input(k, "x", "pm25");
    (void)kit_series(k, 0, 1);
    kit_formulas(k, formula, NULL);
    kit_day(k, KIT_2026);
}

static void means_and_extremes_are_of_the_good_readings(void **state)
{
    (void)state;
    static const struct {
        const char *formula, *want;
    } t[] = {{"mean(x)", "1.993"},
             {"min(x)", "-7.5"},
             {"max(x)", "3"},
             {"count(x)", "1440"},
             {"due(x)", "1440"}};
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct kit k;
        open_one(&k, INDICATOR_DAY, t[i].formula);
        kit_minutes(&k, 0, 0, DAY / 2, "1");
        kit_put(&k, 0, DAY / 2, "-7.5");
        kit_minutes(&k, 0, DAY / 2 + KIT_MINUTE, DAY, "3");
        for (uint16_t q = 1; q <= 64; q = (uint16_t)(q * 2)) {
            if (q != WIRE_Q_HAND && q != WIRE_Q_TIME_UNKNOWN) {
                assert_int_equal(kit_put_q(&k, 0, DAY - 1000 + q, "900", q), ST_OK);
            }
        }
        /* its time says nothing: also not that it is out of order */
        assert_int_equal(kit_put_q(&k, 0, 5, "900", WIRE_Q_TIME_UNKNOWN), ST_OK);
        kit_is(&k, 0, t[i].want);
        assert_int_equal(k.out.due, 1440);
        assert_int_equal(k.out.good, 1440);
        kit_close(&k);
    }
}

static void flags_that_say_nothing_against_a_reading_let_it_count(void **state)
{
    (void)state;
    struct kit k;
    open_one(&k, INDICATOR_HOUR, "count(x)");
    k.def.completeness = 0;
    assert_int_equal(kit_put_q(&k, 0, 1, "1", WIRE_Q_HAND), ST_OK);
    assert_int_equal(kit_put_q(&k, 0, 2, "1", WIRE_Q_TIME_CORRECTED), ST_OK);
    assert_int_equal(kit_put_q(&k, 0, 3, "1", WIRE_Q_COMPUTED), ST_OK);
    kit_is(&k, 0, "2");
    /* what is computed counts where the input names an indicator */
    k.inputs[0].indicator = kit_text("other");
    kit_day(&k, KIT_2026);
    assert_int_equal(kit_put_q(&k, 0, 3, "1", WIRE_Q_COMPUTED), ST_OK);
    kit_is(&k, 0, "1");
    kit_close(&k);
}

static void completeness_is_judged_at_its_boundary(void **state)
{
    (void)state;
    static const struct {
        int64_t completeness;
        int64_t minutes;
        bool good;
    } t[] = {{75, 1080, true},  {75, 1079, false},  {50, 720, true}, {50, 719, false},
             {100, 1440, true}, {100, 1439, false}, {0, 1, true}};
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct kit k;
        open_one(&k, INDICATOR_DAY, "mean(x)");
        k.def.completeness = t[i].completeness;
        kit_minutes(&k, 0, 0, t[i].minutes * KIT_MINUTE, "4");
        if (t[i].good) {
            kit_is(&k, 0, "4");
        } else {
            kit_none(&k, 0, FOLD_INCOMPLETE);
            assert_true(k.out.has_num && k.out.has_den); /* for longer periods */
            assert_int_equal(mpq_cmp_ui(k.out.num, 4, 1), 0);
        }
        assert_int_equal(k.out.good, t[i].minutes);
        kit_close(&k);
    }
}

static void a_series_missing_for_half_the_day_leaves_it_incomplete(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, INDICATOR_DAY, "number");
    (void)kit_input(&k, "x", "pm25");
    (void)kit_series(&k, 0, 1);
    (void)kit_series(&k, 0, 2);
    kit_formulas(&k, "mean(x)", NULL);
    kit_day(&k, KIT_2026);
    kit_minutes(&k, 0, 0, DAY, "1");
    kit_minutes(&k, 1, DAY / 2 + KIT_MINUTE, DAY, "4"); /* 719 */
    kit_none(&k, 0, FOLD_INCOMPLETE);
    kit_day(&k, KIT_2026);
    kit_minutes(&k, 0, 0, DAY, "1");
    kit_minutes(&k, 1, DAY / 2, DAY, "4"); /* 720: 75 % of both */
    kit_is(&k, 0, "2");
    assert_int_equal(k.out.due, 2880);
    assert_int_equal(k.out.good, 2160);
    kit_close(&k);
}

static void due_is_what_fits_into_the_time_that_a_series_belongs_and_until_now(void **state)
{
    (void)state;
    struct kit k;
    static const struct {
        int64_t period_ms, from_ms, to_ms, now_ms;
        uint64_t due;
    } t[] = {
        {60000, INT64_MIN, INT64_MAX, INT64_MAX, 1440},
        {7000, INT64_MIN, INT64_MAX, INT64_MAX, 12342}, /* floor */
        {2 * DAY, INT64_MIN, INT64_MAX, INT64_MAX, 1},  /* at least one */
        {0, INT64_MIN, INT64_MAX, INT64_MAX, 0},        /* events */
        {60000, DAY / 2, INT64_MAX, INT64_MAX, 720},
        {60000, INT64_MIN, DAY / 4, INT64_MAX, 360},
        {60000, DAY / 4, DAY / 4, INT64_MAX, 0},
        {60000, DAY, INT64_MAX, INT64_MAX, 0},
        {60000, INT64_MIN, INT64_MAX, 10 * 60000, 10},
        {60000, INT64_MIN, INT64_MAX, 1, 1},
        {60000, INT64_MIN, INT64_MAX, 0, 0},
    };
    open_one(&k, INDICATOR_DAY, "due(x)");
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        int64_t day = indicator_day_ms(KIT_2026);
        k.series[0].period_ms = t[i].period_ms;
        k.series[0].due_from_ms = t[i].from_ms == INT64_MIN ? INT64_MIN : day + t[i].from_ms;
        k.series[0].due_to_ms = t[i].to_ms == INT64_MAX ? INT64_MAX : day + t[i].to_ms;
        kit_day(&k, KIT_2026);
        assert_int_equal(fold_result(k.fold, day,
                                     t[i].now_ms == INT64_MAX ? INT64_MAX : day + t[i].now_ms,
                                     &k.out, NULL),
                         ST_OK);
        assert_int_equal(k.out.due, t[i].due);
    }
    kit_close(&k);
}

static void readings_of_the_time_when_a_series_belonged_elsewhere_do_not_count(void **state)
{
    (void)state;
    struct kit k;
    open_one(&k, INDICATOR_DAY, "max(x)");
    k.series[0].due_from_ms = k.day_ms + DAY / 4;
    k.series[0].due_to_ms = k.day_ms + DAY / 2;
    kit_day(&k, KIT_2026);
    kit_minutes(&k, 0, 0, DAY / 4, "9");
    kit_minutes(&k, 0, DAY / 4, DAY / 2, "2");
    kit_minutes(&k, 0, DAY / 2, DAY, "8");
    kit_is(&k, 0, "2");
    assert_int_equal(k.out.good, 360);
    kit_close(&k);
}

static void order_within_a_series_is_demanded_and_repeats_count_once(void **state)
{
    (void)state;
    struct kit k;
    open_one(&k, INDICATOR_DAY, "mean(x)");
    k.def.completeness = 0;
    kit_put(&k, 0, 1000, "1");
    kit_put(&k, 0, 3000, "3");
    kit_put(&k, 0, 3000, "3");
    kit_put(&k, 0, 3000, "8"); /* the first of a time */
    assert_int_equal(kit_put_q(&k, 0, 2999, "5", 0), ST_CONFLICT);
    kit_is(&k, 0, "2");
    assert_int_equal(kit_put_q(&k, 0, DAY, "5", 0), ST_BAD);
    assert_int_equal(kit_put_q(&k, 1, 4000, "5", 0), ST_BAD);
    assert_int_equal(kit_put_q(&k, 0, 5000, "5", WIRE_Q_FAULT), ST_OK);
    assert_int_equal(kit_put_q(&k, 0, 5000, "5", 0), ST_OK); /* the first good one */
    kit_is(&k, 0, "3");
    kit_close(&k);
}

static void a_required_input_without_a_value_gives_no_figure(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, INDICATOR_DAY, "number");
    (void)kit_input(&k, "x", "pm25");
    (void)kit_input(&k, "y", "pm10");
    (void)kit_series(&k, 0, 1);
    (void)kit_series(&k, 1, 1);
    kit_formulas(&k, "max_of(mean(x), mean(y))", NULL);
    k.def.completeness = 0;
    kit_day(&k, KIT_2026);
    kit_put(&k, 0, 1, "3");
    kit_none(&k, 0, FOLD_MISSING);
    assert_false(k.out.has_num || k.out.has_den);
    k.inputs[1].optional = true;
    kit_is(&k, 0, "3");
    kit_again(&k, "mean(x) + mean(y)", NULL, KIT_2026); /* a sum needs both */
    kit_put(&k, 0, 1, "3");
    kit_none(&k, 0, FOLD_MISSING);
    kit_again(&k, "sum_of(mean(x), mean(y))", NULL, KIT_2026);
    kit_put(&k, 0, 1, "3");
    kit_is(&k, 0, "3");
    char *names[] = {kit_text("y")};
    struct cfg_strings require[] = {{names, 1}};
    k.def.require = (struct cfg_items){require, 1};
    kit_none(&k, 0, FOLD_MISSING);
    kit_put(&k, 1, 1, "4");
    kit_is(&k, 0, "7");
    kit_close(&k);
}

static void nothing_due_that_came_is_a_figure(void **state)
{
    (void)state;
    struct kit k;
    open_one(&k, INDICATOR_DAY, "count(x) / due(x)");
    k.def.completeness = 0;
    kit_is(&k, 0, "0");
    assert_int_equal(k.out.due, 1440);
    kit_again(&k, "count(x)", NULL, KIT_2026); /* but silence alone is no number of events */
    kit_none(&k, 0, FOLD_MISSING);
    kit_close(&k);
}

static void division_by_zero_gives_no_figure(void **state)
{
    (void)state;
    struct kit k;
    open_one(&k, INDICATOR_DAY, "count(x > 5)");
    k.def.completeness = 0;
    formula_free(k.def.den);
    assert_int_equal(kit_parse(&k, "count(x > 7)", &k.def.den), ST_OK);
    kit_day(&k, KIT_2026);
    kit_put(&k, 0, 1, "6");
    kit_none(&k, 0, FOLD_DIVISION);
    assert_true(k.out.has_num && k.out.has_den); /* a month may still add it */
    kit_again(&k, "max_of(1 / count(x > 7), 3)", NULL, KIT_2026);
    kit_put(&k, 0, 1, "6");
    kit_none(&k, 0, FOLD_DIVISION);
    kit_again(&k, "if(count(x > 7) > 0, 1 / count(x > 7), 3)", NULL, KIT_2026);
    kit_put(&k, 0, 1, "6");
    kit_is(&k, 0, "3");
    kit_close(&k);
}

static void what_is_too_large_is_range(void **state)
{
    (void)state;
    struct kit k;
    open_one(&k, INDICATOR_DAY, "mean(x)");
    k.def.completeness = 0;
    kit_put(&k, 0, 1, "9223372036854.775807");
    kit_is(&k, 0, "9223372036854.776");
    kit_put(&k, 0, 2, "1"); /* a sum of 64 bits ends here */
    kit_none(&k, 0, FOLD_RANGE);
    kit_day(&k, KIT_2026);
    kit_put(&k, 0, 1, "9223372036855"); /* a reading does */
    kit_put(&k, 0, 2, "1");
    kit_none(&k, 0, FOLD_RANGE);
    kit_again(&k, "min_of(mean(x), 3)", NULL, KIT_2026);
    kit_put(&k, 0, 1, "9223372036855");
    kit_none(&k, 0, FOLD_RANGE);
    kit_again(&k, "mean(x) * 9223372036854775807", NULL, KIT_2026);
    kit_put(&k, 0, 1, "1");
    kit_none(&k, 0, FOLD_RANGE); /* with three decimals */
    kit_again(&k,
              "product_of(number(max(x)), number(max(x))) * product_of(number(max(x)), "
              "number(max(x))) / product_of(number(max(x)), number(max(x)), number(max(x)))",
              NULL, KIT_2026);
    kit_put(&k, 0, 1, "9000000000000"); /* large on the way alone is none */
    kit_is(&k, 0, "9000000000000");
    kit_close(&k);
}

static void numbers_on_the_way_are_bounded(void **state)
{
    (void)state;
    char text[2048] = "1";
    struct kit k;
    kit_open(&k, INDICATOR_DAY, "number");
    (void)kit_input(&k, "x", "pm25");
    (void)kit_series(&k, 0, 1);
    for (int i = 0; i < 9; i++) { /* squared again and again: (10^13)^512 */
        char once[2048];
        (void)snprintf(once, sizeof once, "%s", text);
        (void)snprintf(text, sizeof text, "product_of(%s, 1)", i == 0 ? "number(max(x))" : once);
    }
    kit_formulas(&k, "number(max(x))", NULL);
    k.def.completeness = 0;
    kit_day(&k, KIT_2026);
    kit_put(&k, 0, 1, "9000000000000");
    kit_is(&k, 0, "9000000000000");
    /* many factors: 63 of 43 bits do not fit the text that a day keeps */
    text[0] = '\0';
    for (int i = 0; i < 63; i++) {
        (void)strncat(text, i == 0 ? "number(max(x))" : " * number(max(x))",
                      sizeof text - strlen(text) - 1);
    }
    kit_again(&k, text, NULL, KIT_2026);
    kit_put(&k, 0, 1, "9000000000000.000001");
    kit_none(&k, 0, FOLD_RANGE);
    assert_false(k.out.has_num);
    kit_close(&k);
}

static void negative_figures_are_rounded_away_from_zero(void **state)
{
    (void)state;
    struct kit k;
    open_one(&k, INDICATOR_DAY, "mean(x)");
    k.def.q = quantity_by_key("occurrences");
    k.def.completeness = 0;
    kit_put(&k, 0, 1, "-2");
    kit_put(&k, 0, 2, "-3");
    kit_is(&k, 0, "-3");
    kit_day(&k, KIT_2026);
    kit_put(&k, 0, 1, "2");
    kit_put(&k, 0, 2, "3");
    kit_is(&k, 0, "3");
    kit_again(&k, "round(mean(x), 1)", NULL, KIT_2026);
    k.def.q = quantity_by_key("number");
    kit_put(&k, 0, 1, "-0.25");
    kit_is(&k, 0, "-0.3");
    kit_close(&k);
}

static void a_factor_is_applied_last(void **state)
{
    (void)state;
    struct kit k;
    open_one(&k, INDICATOR_DAY, "count(x > 1)");
    assert_int_equal(kit_parse(&k, "count(x)", &k.def.den), ST_OK);
    assert_true(num_parse("100", &k.def.factor));
    k.def.completeness = 0;
    kit_day(&k, KIT_2026);
    kit_put(&k, 0, 1, "1");
    kit_put(&k, 0, 2, "2");
    kit_put(&k, 0, 3, "3");
    kit_is(&k, 0, "66.667");
    assert_int_equal(mpq_cmp_ui(k.out.num, 2, 1), 0);
    assert_int_equal(mpq_cmp_ui(k.out.den, 3, 1), 0);
    kit_close(&k);
}

static void hours_stand_for_themselves(void **state)
{
    (void)state;
    struct kit k;
    open_one(&k, INDICATOR_HOUR, "max(x)");
    kit_minutes(&k, 0, 0, KIT_HOUR, "1");
    kit_minutes(&k, 0, KIT_HOUR, 2 * KIT_HOUR, "2"); /* its first minute is the second hour's */
    kit_minutes(&k, 0, 2 * KIT_HOUR, 2 * KIT_HOUR + 44 * KIT_MINUTE, "3");
    kit_is(&k, 0, "1");
    kit_is(&k, KIT_HOUR, "2");
    kit_none(&k, 2 * KIT_HOUR, FOLD_INCOMPLETE);
    assert_int_equal(fold_result(k.fold, k.day_ms + 2 * KIT_HOUR,
                                 k.day_ms + 2 * KIT_HOUR + 45 * KIT_MINUTE, &k.out, NULL),
                     ST_OK); /* as of now: 44 of 45 */
    assert_int_equal(k.out.reason, FOLD_OK);
    assert_true(k.out.from_ms == k.day_ms + 2 * KIT_HOUR && k.out.to_ms == k.day_ms + 3 * KIT_HOUR);
    assert_int_equal(fold_result(k.fold, k.day_ms + 1, INT64_MAX, &k.out, NULL), ST_BAD);
    assert_int_equal(fold_result(k.fold, k.day_ms + DAY, INT64_MAX, &k.out, NULL), ST_BAD);
    assert_int_equal(fold_result(k.fold, k.day_ms - KIT_HOUR, INT64_MAX, &k.out, NULL), ST_BAD);
    kit_close(&k);
}

static void params_are_read_when_a_day_begins(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, INDICATOR_DAY, "number");
    (void)kit_input(&k, "x", "pm25");
    (void)kit_series(&k, 0, 1);
    kit_param(&k, "theta", "2");
    kit_formulas(&k, "count(x >= theta) + theta / 10", NULL);
    k.def.completeness = 0;
    kit_day(&k, KIT_2026);
    kit_put(&k, 0, 1, "2");
    kit_put(&k, 0, 2, "1.999999");
    kit_is(&k, 0, "1.2");
    assert_true(num_parse("2.0000005", &k.params[0].value)); /* between two millionths */
    kit_day(&k, KIT_2026);
    kit_put(&k, 0, 1, "2");
    kit_put(&k, 0, 2, "2.000001");
    kit_is(&k, 0, "1.2");
    kit_close(&k);
}

static void a_fold_of_a_hundred_series_is_small(void **state)
{
    (void)state;
    static struct fold_series series[100];
    static const char *const formulas[] = {"hour_mean(x)", "max(x)", "time(x > 3)"};
    for (size_t i = 0; i < 100; i++) {
        series[i] = (struct fold_series){.input = 0,
                                         .device = (uint32_t)i,
                                         .period_ms = KIT_MINUTE,
                                         .due_from_ms = INT64_MIN,
                                         .due_to_ms = INT64_MAX};
    }
    for (size_t i = 0; i < sizeof formulas / sizeof formulas[0]; i++) {
        struct kit k;
        struct fold *f;
        open_one(&k, INDICATOR_DAY, formulas[i]);
        assert_int_equal(fold_open(&f, &k.def, KIT_2026, series, 100, NULL), ST_OK);
        assert_in_range(fold_bytes(f), 30000, 70000);
        fold_close(f);
        kit_close(&k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means_and_extremes_are_of_the_good_readings),
        cmocka_unit_test(flags_that_say_nothing_against_a_reading_let_it_count),
        cmocka_unit_test(completeness_is_judged_at_its_boundary),
        cmocka_unit_test(a_series_missing_for_half_the_day_leaves_it_incomplete),
        cmocka_unit_test(due_is_what_fits_into_the_time_that_a_series_belongs_and_until_now),
        cmocka_unit_test(readings_of_the_time_when_a_series_belonged_elsewhere_do_not_count),
        cmocka_unit_test(order_within_a_series_is_demanded_and_repeats_count_once),
        cmocka_unit_test(a_required_input_without_a_value_gives_no_figure),
        cmocka_unit_test(nothing_due_that_came_is_a_figure),
        cmocka_unit_test(division_by_zero_gives_no_figure),
        cmocka_unit_test(what_is_too_large_is_range),
        cmocka_unit_test(numbers_on_the_way_are_bounded),
        cmocka_unit_test(negative_figures_are_rounded_away_from_zero),
        cmocka_unit_test(a_factor_is_applied_last),
        cmocka_unit_test(hours_stand_for_themselves),
        cmocka_unit_test(params_are_read_when_a_day_begins),
        cmocka_unit_test(a_fold_of_a_hundred_series_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
