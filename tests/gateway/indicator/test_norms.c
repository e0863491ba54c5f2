/* Means of hours, and what norms make of them: percentiles, limits with their days, tables. */
#include "tests/gateway/indicator/kit.h"

#define DAY INDICATOR_DAY_MS

static void a_percentile_is_the_nearest_rank(void **state)
{
    (void)state;
    static const struct {
        const char *p, *want;
    } t[] = {{"98", "24"}, {"50", "12"}, {"50.1", "13"}, {"100", "24"}, {"4", "1"},
             {"4.2", "2"}, {"0", "1"},   {"200", "24"},  {"95", "23"}};
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct kit k;
        kit_open(&k, INDICATOR_DAY, "number");
        (void)kit_input(&k, "x", "pm25");
        (void)kit_series(&k, 0, 1);
        kit_param(&k, "p", t[i].p);
        kit_formulas(&k, "percentile(x, p)", NULL);
        kit_day(&k, KIT_2026);
        for (int h = 0; h < 24; h++) { /* 7, 14, 21, 4, … each of 1 … 24 but in no order */
            char value[8];
            (void)snprintf(value, sizeof value, "%d", (h + 1) * 7 % 25);
            kit_minutes(&k, 0, h * KIT_HOUR, (h + 1) * KIT_HOUR, value);
        }
        kit_is(&k, 0, t[i].want);
        kit_close(&k);
    }
}

static char *no_rows[1];
static struct indicator_limit limits[] = {
    {.parameter = "pm25",
     .unit = "ug/m3",
     .window = "24h",
     .from_day = 19500,
     .until_day = KIT_2026 - 1},
    {.parameter = "pm25",
     .unit = "ug/m3",
     .window = "24h",
     .from_day = KIT_2026,
     .until_day = INT32_MAX},
    {.parameter = "pm25",
     .unit = "ug/m3",
     .window = "1h",
     .from_day = 19500,
     .until_day = KIT_2026 - 1},
    {.parameter = "pm25",
     .unit = "ug/m3",
     .window = "8h",
     .from_day = INT32_MIN,
     .until_day = INT32_MAX},
};
static const struct indicator_norm norms[] = {
    {.id = "qcvn-05-2023", .index = {no_rows, 0}, .limit = {limits, 4}}};

static void open_limit(struct kit *k, const char *formula, int32_t day)
{
    assert_true(num_parse("50", &limits[0].value) && num_parse("45", &limits[1].value) &&
                num_parse("100", &limits[2].value) && num_parse("60", &limits[3].value));
    kit_open(k, INDICATOR_DAY, "occurrences");
    k->norms = norms;
    k->nnorms = 1;
    (void)kit_input(k, "x", "pm25");
    (void)kit_series(k, 0, 1);
    kit_formulas(k, formula, NULL);
    kit_day(k, day);
}

static void a_limit_holds_on_its_days_alone(void **state)
{
    (void)state;
    static const struct {
        int32_t day;
        const char *value, *want;
    } t[] = {{KIT_2026 - 1, "50", "0"}, {KIT_2026 - 1, "50.000001", "1"},
             {KIT_2026, "45", "0"},     {KIT_2026, "45.000001", "1"},
             {KIT_2026, "50", "1"},     {19500, "51", "1"}};
    struct kit k;
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        open_limit(&k, "exceed(x, qcvn-05-2023, pm25, 24)", t[i].day);
        kit_minutes(&k, 0, 0, DAY, t[i].value);
        kit_is(&k, 0, t[i].want);
        kit_close(&k);
    }
    open_limit(&k, "exceed(x, qcvn-05-2023, pm25, 1)", KIT_2026 - 1);
    kit_minutes(&k, 0, 0, DAY / 2, "100");
    kit_minutes(&k, 0, DAY / 2, DAY, "100.1");
    kit_is(&k, 0, "12");
    kit_day(&k, KIT_2026); /* it has ended */
    kit_minutes(&k, 0, 0, DAY, "100.1");
    kit_none(&k, 0, FOLD_NORM);
    assert_false(k.out.has_num);
    kit_close(&k);
    open_limit(&k, "exceed(x, qcvn-05-2023, pm25, 24)", 19499); /* not yet */
    kit_minutes(&k, 0, 0, DAY, "1");
    kit_none(&k, 0, FOLD_NORM);
    kit_close(&k);
}

static void windows_need_their_hours(void **state)
{
    (void)state;
    static const struct {
        const char *formula;
        int hours; /* of the day that are there, from its first on */
        const char *want;
    } t[] = {{"windows(x, 1)", 24, "24"},
             {"windows(x, 1)", 5, "5"},
             {"windows(x, 8)", 24, "17"},
             {"windows(x, 8)", 6, "1"},
             {"windows(x, 8)", 5, "0"},
             {"windows(x, 8)", 8, "3"},
             {"windows(x, 24)", 18, "1"},
             {"windows(x, 24)", 17, "0"},
             {"exceed(x, qcvn-05-2023, pm25, 8)", 9, "4"}};
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct kit k;
        open_limit(&k, t[i].formula, KIT_2026);
        k.def.completeness = 20;
        kit_minutes(&k, 0, 0, t[i].hours * KIT_HOUR, "70");
        kit_is(&k, 0, t[i].want);
        kit_close(&k);
    }
}

static void tables_step_where_a_breakpoint_stands_twice(void **state)
{
    (void)state;
    static char *index[] = {"100", "75", "50", "10", "-1", "7"};
    static char *bp[] = {"0.3", "0.3", "0.6", "0.9", "0.9", "-"};
    static struct indicator_column column[] = {{.id = "step", .unit = "ug/m3", .bp = {bp, 6}}};
    static const struct indicator_norm step[] = {
        {.id = "n", .index = {index, 6}, .column = {column, 1}}};
    static const struct {
        const char *value, *want;
    } t[] = {{"-1", "100"}, {"0.299999", "100"}, {"0.3", "75"},     {"0.45", "62.5"},
             {"0.6", "50"}, {"0.9", "10"},       {"0.900001", "-1"}};
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct kit k;
        kit_open(&k, INDICATOR_DAY, "number");
        k.norms = step;
        k.nnorms = 1;
        (void)kit_input(&k, "x", "pm25");
        (void)kit_series(&k, 0, 1);
        kit_formulas(&k, "lookup(n, step, max(x))", NULL);
        k.def.completeness = 0;
        kit_day(&k, KIT_2026);
        kit_put(&k, 0, 1, t[i].value);
        kit_is(&k, 0, t[i].want);
        kit_close(&k);
    }
}

static void oxygen_saturation_comes_of_its_polynomial(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, INDICATOR_DAY, "number");
    (void)kit_input(&k, "oxygen", "dissolved_oxygen");
    (void)kit_input(&k, "t", "water_temperature");
    (void)kit_series(&k, 0, 1);
    (void)kit_series(&k, 1, 1);
    kit_formulas(&k, "number(mean(oxygen))",
                 "14.652 - 0.41022 * number(mean(t)) + 0.0079910 * number(mean(t)) * "
                 "number(mean(t)) - 0.000077774 * number(mean(t)) * number(mean(t)) * "
                 "number(mean(t))");
    assert_true(num_parse("100", &k.def.factor));
    k.def.completeness = 0;
    kit_day(&k, KIT_2026);
    kit_put(&k, 0, 1, "6.2");
    kit_put(&k, 1, 1, "28");
    kit_is(&k, 0, "80.275"); /* of 7.7235 mg/l */
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_percentile_is_the_nearest_rank),
        cmocka_unit_test(a_limit_holds_on_its_days_alone),
        cmocka_unit_test(windows_need_their_hours),
        cmocka_unit_test(tables_step_where_a_breakpoint_stands_twice),
        cmocka_unit_test(oxygen_saturation_comes_of_its_polynomial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
