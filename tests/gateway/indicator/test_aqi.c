/* Decision 1459's index of air quality: its examples, its rules for gaps, and its rounding. The
 * table stands here once more, from the decision, so that a wrong breakpoint of the data is seen.
 */
#include "tests/gateway/indicator/kit.h"

static char *rows[] = {"0", "50", "100", "150", "200", "300", "400", "500"};
static char *o3_1h[] = {"0", "160", "200", "300", "400", "800", "1000", "1200"};
static char *o3_8h[] = {"0", "100", "120", "170", "210", "400", "-", "-"};
static char *no2[] = {"0", "100", "200", "700", "1200", "2350", "3100", "3850"};
static char *pm10[] = {"0", "50", "150", "250", "350", "420", "500", "600"};
static char *pm25[] = {"0", "25", "50", "80", "150", "250", "350", "500"};
static char air[] = "ug/m3";
static struct indicator_column columns[] = {{.id = "o3_1h", .unit = air, .bp = {o3_1h, 8}},
                                            {.id = "o3_8h", .unit = air, .bp = {o3_8h, 8}},
                                            {.id = "no2", .unit = air, .bp = {no2, 8}},
                                            {.id = "pm10", .unit = air, .bp = {pm10, 8}},
                                            {.id = "pm25", .unit = air, .bp = {pm25, 8}}};
static const struct indicator_norm norms[] = {
    {.id = "vn-aqi", .index = {rows, 8}, .column = {columns, 5}}};

#define HOUR_FORMULA                                                                               \
    "max_of(index(vn-aqi, pm25, nowcast(pm25)), index(vn-aqi, pm10, nowcast(pm10)),"               \
    " index(vn-aqi, o3_1h, hour_mean(o3)), index(vn-aqi, no2, hour_mean(no2)))"
#define DAY_FORMULA                                                                                \
    "max_of(index(vn-aqi, pm25, hour_mean(pm25)), index(vn-aqi, pm10, hour_mean(pm10)),"           \
    " index(vn-aqi, o3_1h, hour_max(o3)), index(vn-aqi, no2, hour_max(no2)),"                      \
    " if(hour8_max(o3) <= 400, index(vn-aqi, o3_8h, hour8_max(o3)), 0))"

enum { PM25, PM10, O3, NO2 };

static char *dust[] = {"pm25", "pm10"};
static struct cfg_strings require[] = {{dust, 2}};

/* A station with one series of each; what is not put is not due. */
static void open_station(struct kit *k, enum indicator_period period, const char *formula,
                         unsigned inputs)
{
    static const char *const names[] = {"pm25", "pm10", "o3", "no2"};
    kit_open(k, period, "aqi");
    k->norms = norms;
    k->nnorms = 1;
    k->def.require = (struct cfg_items){require, 1};
    for (uint32_t i = 0; i < 4; i++) {
        kit_input(k, names[i], names[i])->optional = true;
        if (inputs >> i & 1) {
            (void)kit_series(k, i, 1);
        }
    }
    kit_formulas(k, formula, NULL);
    kit_day(k, KIT_2026 + 40);
}

static void hour(struct kit *k, uint32_t series, int h, const char *value)
{
    kit_minutes(k, series, h * KIT_HOUR, (h + 1) * KIT_HOUR, value);
}

/* The 12 hours of the decision's example, by their ends 09:00 … 20:00. */
static const char *const example[] = {"26.9", "24.7", "20.5", "23.5", "19.5", "16.5",
                                      "19.0", "16.5", "20.3", "22.4", "19.6", "20.6"};

static void the_decisions_hour_comes_out(void **state)
{
    (void)state;
    struct kit k;
    open_station(&k, INDICATOR_HOUR, HOUR_FORMULA, 1u << PM25);
    for (int h = 0; h < 12; h++) {
        hour(&k, 0, 8 + h, example[h]);
    }
    kit_is(&k, 19 * KIT_HOUR, "41");
    /* w = 16.5/26.9 = 0.613; NowCast 20.266…, whose index is 40.53 */
    mpq_t r;
    mpq_init(r);
    mpq_set_ui(r, 4053, 100);
    mpq_canonicalize(r);
    mpq_sub(r, k.out.num, r);
    mpq_abs(r, r);
    assert_true(mpq_cmp_ui(r, 1, 200) < 0);
    mpq_clear(r);
    kit_close(&k);
}

static void the_decisions_gases_come_out(void **state)
{
    (void)state;
    struct kit k;
    open_station(&k, INDICATOR_HOUR, "index(vn-aqi, no2, hour_mean(no2))", 1u << NO2);
    k.def.require.n = 0;
    hour(&k, 0, 5, "118.7");
    kit_is(&k, 5 * KIT_HOUR, "59"); /* 59.35; the decision prints 60 */
    kit_close(&k);
    open_station(&k, INDICATOR_HOUR, "index(vn-aqi, o3_1h, hour_mean(o3))", 1u << O3);
    k.def.require.n = 0;
    hour(&k, 0, 5, "136.1");
    kit_is(&k, 5 * KIT_HOUR, "43");
    kit_close(&k);
    open_station(&k, INDICATOR_HOUR, HOUR_FORMULA, 1u << PM25 | 1u << O3 | 1u << NO2);
    for (int h = 0; h < 12; h++) {
        hour(&k, 0, 8 + h, example[h]);
    }
    hour(&k, 1, 19, "136.1");
    hour(&k, 2, 19, "118.7");
    kit_is(&k, 19 * KIT_HOUR, "59");
    kit_close(&k);
}

static void the_decisions_day_comes_out_through_exactly_a_half(void **state)
{
    (void)state;
    struct kit k;
    open_station(&k, INDICATOR_DAY, DAY_FORMULA, 1u << PM25 | 1u << O3 | 1u << NO2);
    for (int h = 0; h < 24; h++) {
        hour(&k, 0, h, "55.7");
        hour(&k, 1, h, h == 12 ? "114.6" : h >= 9 && h < 17 ? "85.6857142" : "40");
        hour(&k, 2, h, h == 3 ? "130.8" : "60");
    }
    kit_is(&k, 0, "110");
    assert_int_equal(mpq_cmp_ui(k.out.num, 219, 2), 0); /* 109.5 */
    kit_close(&k);
}

static void each_part_of_the_decisions_day_comes_out(void **state)
{
    (void)state;
    static const struct {
        const char *formula, *want;
    } parts[] = {{"index(vn-aqi, o3_8h, hour8_max(o3))", "45"}, /* 89.3: 44.65 */
                 {"index(vn-aqi, o3_1h, hour_max(o3))", "36"},  /* 114.6: 35.81 */
                 {"round(hour8_max(o3), 1)", "89"}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct kit k;
        open_station(&k, INDICATOR_DAY, parts[i].formula, 1u << O3);
        k.def.require.n = 0;
        for (int h = 0; h < 24; h++) {
            hour(&k, 0, h, h == 12 ? "114.6" : h >= 9 && h < 17 ? "85.685714" : "40");
        }
        kit_is(&k, 0, parts[i].want);
        kit_close(&k);
    }
    struct kit k;
    open_station(&k, INDICATOR_DAY, "index(vn-aqi, no2, hour_max(no2))", 1u << NO2);
    k.def.require.n = 0;
    for (int h = 0; h < 24; h++) {
        hour(&k, 0, h, h == 3 ? "130.8" : "60");
    }
    kit_is(&k, 0, "65");
    kit_close(&k);
}

static void nowcast_needs_two_of_the_latest_three_hours(void **state)
{
    (void)state;
    for (unsigned there = 0; there < 8; there++) {
        struct kit k;
        open_station(&k, INDICATOR_HOUR, HOUR_FORMULA, 1u << PM25);
        k.def.completeness = 0; /* of the hour itself: nothing is demanded but what NowCast does */
        for (int h = 0; h < 9; h++) {
            hour(&k, 0, h, "20");
        }
        unsigned count = 0;
        for (int h = 9; h < 12; h++) {
            if (there >> (h - 9) & 1) {
                hour(&k, 0, h, "20");
                count++;
            }
        }
        if (count >= 2) {
            kit_is(&k, 11 * KIT_HOUR, "40");
        } else {
            kit_none(&k, 11 * KIT_HOUR, there >> 2 & 1 ? FOLD_NO_HOURS : FOLD_MISSING);
        }
        kit_close(&k);
    }
}

/* Hours with a value of their own, "-" for a gap, c12 first; the NowCast that comes of them. */
static void assert_nowcast(const char *const hours[12], const char *want)
{
    struct kit k;
    open_station(&k, INDICATOR_HOUR, "nowcast(pm25)", 1u << PM25);
    k.def.q = quantity_by_key("water_level"); /* three decimals */
    for (int h = 0; h < 12; h++) {
        if (strcmp(hours[h], "-") != 0) {
            hour(&k, 0, 8 + h, hours[h]);
        }
    }
    kit_is(&k, 19 * KIT_HOUR, want);
    kit_close(&k);
}

static void nowcast_weighs_as_the_decision_says(void **state)
{
    (void)state;
    assert_nowcast(example, "20.266");
    /* gaps fall out of both sums: w = 0.8; (0.8 * 10 + 1 * 8) / 1.8 */
    assert_nowcast(
        (const char *const[]){"-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "10", "8"},
        "8.889");
    /* w = 0.8, c3 missing: (1 * 8 + 0.8 * 10 + 0.8^3 * 10) / (1 + 0.8 + 0.512) */
    assert_nowcast(
        (const char *const[]){"-", "-", "-", "-", "-", "-", "-", "-", "10", "-", "10", "8"},
        "9.135");
    /* below a half the weights 0.5^i are not divided by their sum: 0.5 * 4 + 0.25 * 10 */
    assert_nowcast(
        (const char *const[]){"-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "10", "4"}, "4.5");
    /* and at exactly a half */
    assert_nowcast(
        (const char *const[]){"-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "10", "5"}, "5");
    /* just above it they are */
    assert_nowcast(
        (const char *const[]){"-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "10", "5.1"},
        "6.755");
    /* the oldest of twelve has its weight, one before it none */
    assert_nowcast(
        (const char *const[]){"40", "0", "0", "0", "0", "0", "0", "0", "0", "0", "0", "0"},
        "0.01"); /* 40 / 4096 = 0.00977 */
    assert_nowcast(
        (const char *const[]){"0", "0", "0", "0", "0", "0", "0", "0", "0", "0", "0", "0"}, "0");
}

static void nowcast_reaches_into_the_day_before(void **state)
{
    (void)state;
    struct kit k;
    open_station(&k, INDICATOR_HOUR, "nowcast(pm25)", 1u << PM25);
    k.def.q = quantity_by_key("water_level");
    assert_true(fold_reaches_ms(&k.def) == 11 * KIT_HOUR);
    for (int h = 0; h < 12; h++) {
        hour(&k, 0, h - 11, example[h]);
    }
    kit_is(&k, 0, "20.266");
    kit_close(&k);
}

static void an_hour_with_too_few_minutes_has_no_mean(void **state)
{
    (void)state;
    for (int minutes = 44; minutes <= 45; minutes++) {
        struct kit k;
        open_station(&k, INDICATOR_DAY, "hour_mean(pm25)", 1u << PM25);
        for (int h = 0; h < 23; h++) {
            hour(&k, 0, h, "10");
        }
        kit_minutes(&k, 0, 23 * KIT_HOUR, 23 * KIT_HOUR + minutes * KIT_MINUTE, "58");
        kit_is(&k, 0, minutes == 44 ? "10" : "12");
        kit_close(&k);
    }
}

static void no_index_without_dust(void **state)
{
    (void)state;
    struct kit k;
    open_station(&k, INDICATOR_HOUR, HOUR_FORMULA, 1u << PM10 | 1u << NO2);
    hour(&k, 1, 4, "90");
    kit_none(&k, 4 * KIT_HOUR, FOLD_INCOMPLETE);
    k.def.completeness = 50;
    kit_none(&k, 4 * KIT_HOUR, FOLD_MISSING);
    hour(&k, 0, 3, "70");
    kit_none(&k, 4 * KIT_HOUR, FOLD_MISSING); /* one hour of dust is no NowCast */
    hour(&k, 0, 4, "70");
    kit_is(&k, 4 * KIT_HOUR, "60");
    kit_close(&k);
}

static void above_400_the_8_hours_of_ozone_are_not_counted(void **state)
{
    (void)state;
    struct kit k;
    open_station(&k, INDICATOR_DAY,
                 "max_of(if(hour8_max(o3) <= 400, index(vn-aqi, o3_8h, hour8_max(o3)), 0), "
                 "index(vn-aqi, o3_1h, hour_max(o3)))",
                 1u << O3);
    k.def.require.n = 0;
    for (int h = 0; h < 24; h++) {
        hour(&k, 0, h, h < 8 ? "400" : "10");
    }
    kit_is(&k, 0, "300");
    kit_day(&k, KIT_2026);
    for (int h = 0; h < 24; h++) {
        hour(&k, 0, h, h < 8 ? "401" : "10");
    }
    kit_is(&k, 0, "200"); /* 401 in an hour: 200.25 */
    kit_close(&k);
}

static void eight_hours_need_six_and_stay_within_the_day(void **state)
{
    (void)state;
    struct kit k;
    open_station(&k, INDICATOR_DAY, "hour8_max(o3)", 1u << O3);
    k.def.require.n = 0;
    k.def.completeness = 20;
    k.def.q = quantity_by_key("o3");
    for (int h = -4; h < 4; h++) { /* four of them are of the day before */
        hour(&k, 0, h, "500");
    }
    hour(&k, 0, 5, "30");
    kit_none(&k, 0, FOLD_NO_HOURS);
    hour(&k, 0, 7, "40"); /* six of the first eight now */
    kit_is(&k, 0, "345");
    for (int h = 9; h < 24; h++) {
        hour(&k, 0, h, "350");
    }
    kit_is(&k, 0, "350");
    kit_close(&k);
}

static void beyond_the_table_stands_its_last_index(void **state)
{
    (void)state;
    struct kit k;
    open_station(&k, INDICATOR_DAY, DAY_FORMULA, 1u << PM25);
    kit_minutes(&k, 0, 0, 24 * KIT_HOUR, "740");
    kit_is(&k, 0, "500");
    kit_day(&k, KIT_2026);
    kit_minutes(&k, 0, 0, 24 * KIT_HOUR, "-3");
    kit_is(&k, 0, "0");
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_decisions_hour_comes_out),
        cmocka_unit_test(the_decisions_gases_come_out),
        cmocka_unit_test(the_decisions_day_comes_out_through_exactly_a_half),
        cmocka_unit_test(each_part_of_the_decisions_day_comes_out),
        cmocka_unit_test(nowcast_needs_two_of_the_latest_three_hours),
        cmocka_unit_test(nowcast_weighs_as_the_decision_says),
        cmocka_unit_test(nowcast_reaches_into_the_day_before),
        cmocka_unit_test(an_hour_with_too_few_minutes_has_no_mean),
        cmocka_unit_test(no_index_without_dust),
        cmocka_unit_test(above_400_the_8_hours_of_ozone_are_not_counted),
        cmocka_unit_test(eight_hours_need_six_and_stay_within_the_day),
        cmocka_unit_test(beyond_the_table_stands_its_last_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
