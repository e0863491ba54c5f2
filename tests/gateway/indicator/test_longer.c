/* Longer periods: from days, never a mean of ratios; and how far a value is from its target. */
#include "gateway/indicator/longer_int.h"
#include "tests/gateway/indicator/kit.h"

/* A day with num / den (den 0: neither) and a value ("": none). */
struct day {
    long num;
    unsigned long den;
    const char *value;
    uint64_t due, good;
};

static const struct fold_result *over(struct kit *k, enum indicator_longer how,
                                      const struct day *days, size_t n)
{
    struct longer *l;
    struct fold_result day;
    fold_result_init(&day);
    if (!k->out.num->_mp_den._mp_d) {
        fold_result_init(&k->out);
    }
    k->def.longer = (int)how;
    assert_int_equal(longer_open(&l, &k->def, &k->e), ST_OK);
    for (size_t i = 0; i < n; i++) {
        day.from_ms = (int64_t)i * INDICATOR_DAY_MS;
        day.to_ms = day.from_ms + INDICATOR_DAY_MS;
        day.due = days[i].due;
        day.good = days[i].good;
        day.has_num = day.has_den = days[i].den > 0 || days[i].num > 0;
        mpq_set_si(day.num, days[i].num, 1);
        mpq_set_ui(day.den, days[i].den, 1);
        day.value = (struct num){.kind = NUM_NONE};
        assert_true(!days[i].value[0] || num_parse(days[i].value, &day.value));
        assert_int_equal(longer_add(l, &day, &k->e), ST_OK);
    }
    assert_int_equal(longer_result(l, &k->out, &k->e), ST_OK);
    longer_close(l);
    fold_result_done(&day);
    return &k->out;
}

static void assert_over(enum indicator_longer how, const struct day *days, size_t n,
                        const char *want)
{
    struct kit k;
    char text[NUM_TEXT_BYTES];
    kit_open(&k, INDICATOR_DAY, "number");
    assert_true(num_parse("100", &k.def.factor));
    assert_string_equal(num_text(over(&k, how, days, n)->value, text), want);
    assert_true(k.out.reason == FOLD_OK && k.out.has_num && k.out.has_den);
    kit_close(&k);
}

static void assert_none(enum indicator_longer how, const struct day *days, size_t n,
                        enum fold_reason why)
{
    struct kit k;
    kit_open(&k, INDICATOR_DAY, "number");
    assert_int_equal(over(&k, how, days, n)->value.kind, NUM_NONE);
    assert_string_equal(fold_reason_text[k.out.reason], fold_reason_text[why]);
    kit_close(&k);
}

static void a_ratio_is_of_sums_never_a_mean_of_ratios(void **state)
{
    (void)state;
    /* 10 % of a little, 90 % of much */
    const struct day days[] = {{1, 10, "10", 100, 100}, {900, 1000, "90", 100, 100}};
    assert_over(INDICATOR_RATIO, days, 2, "89.208"); /* 901 / 1010; the mean of both were 50 */
    struct kit k;
    kit_open(&k, INDICATOR_DAY, "number");
    (void)over(&k, INDICATOR_RATIO, days, 2);
    assert_true(mpq_cmp_ui(k.out.num, 901, 1) == 0 && mpq_cmp_ui(k.out.den, 1010, 1) == 0);
    assert_true(k.out.from_ms == 0 && k.out.to_ms == 2 * INDICATOR_DAY_MS);
    kit_close(&k);
}

static void sums_means_and_extremes_are_of_the_days_values(void **state)
{
    (void)state;
    const struct day days[] = {
        {1, 10, "-3.5", 10, 10}, {2, 10, "", 10, 10}, {3, 10, "8", 10, 10}, {4, 10, "-4", 10, 10}};
    assert_over(INDICATOR_SUM, days, 4, "0.5");
    assert_over(INDICATOR_MEAN, days, 4, "0.167"); /* of three */
    assert_over(INDICATOR_MAX, days, 4, "8");
    assert_over(INDICATOR_MIN, days, 4, "-4");
    assert_none(INDICATOR_NONE, days, 4, FOLD_MISSING);
}

static void a_day_that_was_never_there_is_due_all_the_same(void **state)
{
    (void)state;
    struct day days[] = {{1, 2, "50", 1440, 1440},
                         {1, 2, "50", 1440, 1440},
                         {1, 2, "50", 1440, 1440},
                         {0, 0, "", 1440, 0}};
    assert_over(INDICATOR_RATIO, days, 4, "50"); /* 75 % exactly */
    days[0].good--;
    assert_none(INDICATOR_RATIO, days, 4, FOLD_INCOMPLETE);
    assert_none(INDICATOR_MEAN, days, 4, FOLD_INCOMPLETE);
    assert_over(INDICATOR_RATIO, days, 3, "50");
}

static void an_incomplete_day_adds_to_a_ratio_and_has_no_value_to_add(void **state)
{
    (void)state;
    const struct day days[] = {{30, 100, "", 1440, 700}, {10, 100, "10", 1440, 1440}};
    struct kit k;
    kit_open(&k, INDICATOR_DAY, "number");
    k.def.completeness = 50;
    (void)over(&k, INDICATOR_RATIO, days, 2);
    assert_true(num_cmp(k.out.value, num_dec(2, -1)) == 0);
    (void)over(&k, INDICATOR_SUM, days, 2);
    assert_true(num_cmp(k.out.value, num_dec(10, 0)) == 0);
    kit_close(&k);
}

static void nothing_over_nothing_has_no_value(void **state)
{
    (void)state;
    const struct day days[] = {{5, 0, "", 10, 10}, {7, 0, "", 10, 10}};
    assert_none(INDICATOR_RATIO, days, 2, FOLD_DIVISION);
    assert_none(INDICATOR_SUM, days, 2, FOLD_MISSING);
    assert_none(INDICATOR_RATIO, days, 0, FOLD_MISSING);
    const struct day large[] = {{0, 0, "9223372036854775", 1, 1}, {0, 0, "9223372036854775", 1, 1}};
    assert_none(INDICATOR_SUM, large, 2, FOLD_RANGE);
    assert_over(INDICATOR_MEAN, large, 2, "9223372036854775");
}

static void days_of_a_fold_make_a_month(void **state)
{
    (void)state;
    struct kit k;
    struct longer *l;
    char text[NUM_TEXT_BYTES];
    kit_open(&k, INDICATOR_DAY, "number");
    (void)kit_input(&k, "x", "energy_import");
    (void)kit_series(&k, 0, 1);
    kit_formulas(&k, "growth(x)", "count(x)");
    k.def.longer = INDICATOR_RATIO;
    assert_int_equal(longer_open(&l, &k.def, &k.e), ST_OK);
    for (int d = 0; d < 30; d++) { /* d kWh on the d-th day; of the days from 20 on, nothing came */
        kit_day(&k, KIT_2026 + d);
        if (d < 24) {
            kit_put(&k, 0, -1, "0");
            kit_minutes(&k, 0, 0, INDICATOR_DAY_MS - KIT_MINUTE, "0");
            (void)snprintf(text, sizeof text, "%d", d);
            kit_put(&k, 0, INDICATOR_DAY_MS - KIT_MINUTE, text);
        }
        assert_int_equal(longer_add(l, kit_result(&k, 0), &k.e), ST_OK);
    }
    assert_int_equal(longer_result(l, &k.out, &k.e), ST_OK);
    assert_int_equal(k.out.reason, FOLD_OK);                   /* 24 of 30: 80 % */
    assert_string_equal(num_text(k.out.value, text), "0.008"); /* 276 / 34560 */
    assert_int_equal(k.out.due, 30 * 1440);
    assert_int_equal(k.out.good, 24 * 1440);
    longer_close(l);
    kit_close(&k);
}

static void a_target_is_met_by_its_own_sign(void **state)
{
    (void)state;
    static const struct {
        const char *value, *target, *distance;
        unsigned met; /* a bit for each of < <= > >= == != */
    } t[] = {{"99.9", "100", "-0.1", 1 | 2 | 32},
             {"100", "100", "0", 2 | 8 | 16},
             {"100.1", "100", "0.1", 4 | 8 | 32},
             {"-5", "-7.5", "2.5", 4 | 8 | 32}};
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        char text[NUM_TEXT_BYTES];
        struct num value, target, none = {.kind = NUM_NONE};
        assert_true(num_parse(t[i].value, &value));
        assert_true(num_parse(t[i].target, &target));
        assert_string_equal(num_text(indicator_distance(value, target), text), t[i].distance);
        assert_int_equal(indicator_distance(none, target).kind, NUM_NONE);
        for (int op = INDICATOR_LT; op <= INDICATOR_NE; op++) {
            assert_int_equal(indicator_met(value, (enum indicator_op)op, target),
                             t[i].met >> op & 1);
            assert_false(indicator_met(none, (enum indicator_op)op, target));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ratio_is_of_sums_never_a_mean_of_ratios),
        cmocka_unit_test(sums_means_and_extremes_are_of_the_days_values),
        cmocka_unit_test(a_day_that_was_never_there_is_due_all_the_same),
        cmocka_unit_test(an_incomplete_day_adds_to_a_ratio_and_has_no_value_to_add),
        cmocka_unit_test(nothing_over_nothing_has_no_value),
        cmocka_unit_test(days_of_a_fold_make_a_month),
        cmocka_unit_test(a_target_is_met_by_its_own_sign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
