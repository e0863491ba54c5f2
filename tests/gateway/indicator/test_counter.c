/* Counters and falls: what stands between two readings. */
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

/* ---- growth ---- */

static void growth_begins_with_the_last_reading_before_the_day(void **state)
{
    (void)state;
    struct kit k;
    open_of(&k, INDICATOR_DAY, "energy_import", "growth(x)");
    kit_put(&k, 0, -2 * DAY, "1");
    kit_put(&k, 0, -KIT_MINUTE, "100.25");
    kit_none(&k, 0, FOLD_MISSING);
    kit_put(&k, 0, 5, "100.5");
    kit_is(&k, 0, "0.25");
    kit_put(&k, 0, DAY - 1, "107");
    kit_is(&k, 0, "6.75");
    kit_day(&k, KIT_2026); /* none before: from the first of the day on */
    kit_put(&k, 0, 5, "100.5");
    kit_none(&k, 0, FOLD_MISSING); /* one reading says nothing of growth */
    kit_put(&k, 0, 10, "100.5");
    kit_is(&k, 0, "0");
    kit_put(&k, 0, DAY - 1, "107");
    kit_is(&k, 0, "6.5");
    kit_close(&k);
}

static void a_step_back_starts_anew(void **state)
{
    (void)state;
    struct kit k;
    open_of(&k, INDICATOR_DAY, "energy_import", "growth(x)");
    kit_put(&k, 0, -1, "99999.5");
    kit_put(&k, 0, 1, "99999.75");
    kit_put(&k, 0, KIT_HOUR, "0.5"); /* rolled over, or started over: what it had is not known */
    kit_put(&k, 0, 2 * KIT_HOUR, "3");
    assert_int_equal(kit_put_q(&k, 0, 3 * KIT_HOUR, "0", WIRE_Q_FAULT), ST_OK); /* no step */
    kit_put(&k, 0, 4 * KIT_HOUR, "4");
    kit_is(&k, 0, "3.75");
    kit_close(&k);
}

static void hours_take_the_steps_that_end_in_them(void **state)
{
    (void)state;
    struct kit k;
    open_of(&k, INDICATOR_HOUR, "energy_import", "growth(x)");
    kit_put(&k, 0, -1, "10");
    kit_put(&k, 0, 0, "11");
    kit_put(&k, 0, KIT_HOUR - 1, "12");
    kit_put(&k, 0, KIT_HOUR, "14");
    kit_put(&k, 0, 3 * KIT_HOUR, "20");
    kit_is(&k, 0, "2");
    kit_is(&k, KIT_HOUR, "2");
    kit_none(&k, 2 * KIT_HOUR, FOLD_MISSING);
    kit_is(&k, 3 * KIT_HOUR, "6");
    kit_close(&k);
}

static void over_a_change_of_the_meter_both_count(void **state)
{
    (void)state;
    static const struct {
        const char *last, *first; /* NULL: nobody wrote it down */
        int64_t at_ms;
        const char *want;
    } t[] = {
        {"105", "0", 2 * KIT_HOUR, "13"}, /* 101 … 105, 0 … 8, and 100 … 101 */
        {"105", "2", 2 * KIT_HOUR, "11"},
        {NULL, "0", 2 * KIT_HOUR, "9"},
        {"105", NULL, 2 * KIT_HOUR, "5"},
        {"90", "0", 2 * KIT_HOUR, "9"},   /* a step back adds nothing */
        {"105", "0", 3 * KIT_HOUR, "13"}, /* at the very time of the new one's reading */
        {"105", "0", KIT_HOUR, "106"},    /* the reading of that time is the new one's */
        {"105", "0", -KIT_HOUR, "1"},     /* before the last reading before the day */
        {"105", "0", 20 * KIT_HOUR, "1"}, /* after the last */
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct kit k;
        open_of(&k, INDICATOR_DAY, "energy_import", "growth(x)");
        struct fold_meter m = {.series = 0, .at_ms = k.day_ms + t[i].at_ms};
        assert_true(!t[i].last || num_parse(t[i].last, &m.last));
        assert_true(!t[i].first || num_parse(t[i].first, &m.first));
        assert_int_equal(fold_meters(k.fold, &m, 1, NULL), ST_OK);
        kit_put(&k, 0, -1000, "100");
        kit_put(&k, 0, KIT_HOUR, "101");
        kit_put(&k, 0, 3 * KIT_HOUR, "8");
        kit_is(&k, 0, t[i].want);
        assert_int_equal(fold_meters(k.fold, &m, 1, NULL), ST_CONFLICT);
        kit_close(&k);
    }
}

static void a_meter_may_change_twice_and_beside_others(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, INDICATOR_DAY, "number");
    (void)kit_input(&k, "x", "energy_import");
    (void)kit_series(&k, 0, 1);
    (void)kit_series(&k, 0, 2);
    kit_formulas(&k, "growth(x)", NULL);
    k.def.completeness = 0;
    kit_day(&k, KIT_2026);
    struct fold_meter m[] = {{.series = 1, .at_ms = k.day_ms + 40},
                             {.series = 0, .at_ms = k.day_ms + 30},
                             {.series = 1, .at_ms = k.day_ms + 20}};
    assert_true(num_parse("7", &m[0].last) && num_parse("1", &m[0].first));
    assert_true(num_parse("55", &m[1].last) && num_parse("0", &m[1].first));
    assert_true(num_parse("102", &m[2].last) && num_parse("3", &m[2].first));
    assert_int_equal(fold_meters(k.fold, m, 3, NULL), ST_OK);
    kit_put(&k, 0, 10, "50");
    kit_put(&k, 1, 10, "100");
    kit_put(&k, 0, 50, "1");
    kit_put(&k, 1, 50, "6");
    kit_is(&k, 0, "17"); /* 5 + 1 of the one, 2 + 4 + 5 of the other */
    m[0].series = 2;
    kit_day(&k, KIT_2026);
    assert_int_equal(fold_meters(k.fold, m, 3, NULL), ST_BAD);
    kit_close(&k);
}

static void a_counter_that_jumps_gives_no_figure(void **state)
{
    (void)state;
    /* energy_import: 5000 kWh in an hour at the most */
    static const struct {
        int64_t base_ms, at_ms;
        const char *base, *value;
        bool jump;
    } t[] = {
        {-1000, 1000, "0", "5000", false},
        {-1000, 1000, "0", "5000.000001", true},
        {-KIT_HOUR, KIT_HOUR, "0", "10000", false}, /* two hours */
        {-KIT_HOUR, KIT_HOUR, "0", "10000.000001", true},
        {-KIT_HOUR, KIT_HOUR / 2 + 1, "0", "7500.001388", false}, /* an hour and a half, and 1 ms */
        {-KIT_HOUR, KIT_HOUR / 2 + 1, "0", "7500.001389", true},
        {-30 * DAY, 0, "0", "3600000", false},
        {-30 * DAY, 0, "0", "3600000.01", true},
        {-1000, 1000, "4294967", "0", false},
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct kit k;
        open_of(&k, INDICATOR_DAY, "energy_import", "growth(x)");
        kit_put(&k, 0, t[i].base_ms, t[i].base);
        kit_put(&k, 0, t[i].at_ms, t[i].value);
        if (t[i].jump) {
            kit_none(&k, 0, FOLD_COUNTER);
            assert_false(k.out.has_num);
        } else {
            assert_int_equal(kit_result(&k, 0)->reason, FOLD_OK);
        }
        kit_close(&k);
    }
}

static void many_steps_may_not_add_up_to_a_jump(void **state)
{
    (void)state;
    struct kit k;
    open_of(&k, INDICATOR_HOUR, "energy_import", "growth(x)");
    kit_put(&k, 0, -KIT_MINUTE, "0");
    for (int i = 0; i < 120; i++) { /* 90 kWh a minute: 5400 an hour */
        char text[16];
        (void)snprintf(text, sizeof text, "%d", i < 60 ? i * 80 : 4720 + (i - 59) * 90);
        kit_put(&k, 0, i * KIT_MINUTE, text);
    }
    kit_is(&k, 0, "4720");
    kit_none(&k, KIT_HOUR, FOLD_COUNTER);
    kit_put(&k, 0, 2 * KIT_HOUR, "10200"); /* and afterwards it is well again */
    kit_is(&k, 2 * KIT_HOUR, "80");
    kit_close(&k);
}

static void a_jump_spoils_what_is_made_of_it_alone(void **state)
{
    (void)state;
    struct kit k;
    open_of(&k, INDICATOR_DAY, "energy_import", "max_of(growth(x), 3)");
    kit_put(&k, 0, 1, "0");
    kit_put(&k, 0, 2, "99999");
    kit_none(&k, 0, FOLD_COUNTER);
    kit_again(&k, "number(max(x)) + count(x)", NULL, KIT_2026);
    kit_put(&k, 0, 1, "0");
    kit_put(&k, 0, 2, "99999");
    kit_is(&k, 0, "100001");
    kit_again(&k, "if(count(x) > 5, growth(x), 3)", NULL, KIT_2026);
    kit_put(&k, 0, 1, "0");
    kit_put(&k, 0, 2, "99999");
    kit_is(&k, 0, "3");
    kit_close(&k);
}

static void a_counter_without_a_most_may_grow(void **state)
{
    (void)state;
    struct kit k;
    open_of(&k, INDICATOR_DAY, "counter", "growth(x)");
    kit_put(&k, 0, 1, "0");
    kit_put(&k, 0, 2, "9000000000000");
    kit_is(&k, 0, "9000000000000");
    kit_put(&k, 0, 3, "1");
    kit_put(&k, 0, 4, "9000000000000"); /* beyond 64 bits of millionths together */
    kit_none(&k, 0, FOLD_RANGE);
    kit_close(&k);
}

/* ---- falls ---- */

static void falls_at(struct kit *k, const char *const *values, int64_t from_ms)
{
    for (int i = 0; values[i]; i++) {
        kit_put(k, 0, from_ms + i * KIT_MINUTE, values[i]);
    }
}

static void a_run_of_falls_is_one_and_counts_from_least_on(void **state)
{
    (void)state;
    static const struct {
        const char *values[12], *drops, *collections;
    } t[] = {
        {{"80", "10", NULL}, "70", "1"},
        {{"80", "60", "30", "10", NULL}, "70", "1"}, /* one run, whatever its steps */
        {{"80", "66", "66", "52", NULL}, "0", "0"},  /* 14 and 14: not one of 28 */
        {{"80", "65", NULL}, "15", "1"},             /* least itself */
        {{"80", "65", "70", NULL}, "15", "1"},
        {{"80", "65.000001", "70", NULL}, "0", "0"},
        {{"80", "65.000001", NULL}, "0", "0"},
        {{"80", "70", "71", "61", "62", "52", NULL}, "0", "0"}, /* noise */
        {{"80", "10", "50", "20", "90", "89", "5", NULL}, "185", "3"},
        {{"10", "20", "80", "80", NULL}, "0", "0"},
        {{"80", NULL}, "0", "0"},
        {{"-10", "-40", "-41", NULL}, "31", "1"},
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct kit k;
        open_of(&k, INDICATOR_DAY, "weight", "drops(x, 15)");
        falls_at(&k, t[i].values, KIT_HOUR);
        kit_is(&k, 0, t[i].drops);
        kit_again(&k, "collections(x, 15)", NULL, KIT_2026);
        falls_at(&k, t[i].values, KIT_HOUR);
        kit_is(&k, 0, t[i].collections);
        kit_close(&k);
    }
}

static void a_fall_begins_with_the_last_reading_before_the_period(void **state)
{
    (void)state;
    struct kit k;
    open_of(&k, INDICATOR_HOUR, "fill", "drops(x, 15)");
    kit_put(&k, 0, -2000, "95");
    kit_put(&k, 0, -1000, "80"); /* its fall belongs to the day before */
    kit_put(&k, 0, 1000, "60");
    kit_put(&k, 0, KIT_HOUR - 1, "40");
    kit_put(&k, 0, KIT_HOUR, "30"); /* the run goes on into the next hour, and is split there */
    kit_put(&k, 0, KIT_HOUR + 1, "20");
    kit_put(&k, 0, 2 * KIT_HOUR, "6");
    kit_is(&k, 0, "40");
    kit_is(&k, KIT_HOUR, "20");
    kit_is(&k, 2 * KIT_HOUR, "0");
    kit_none(&k, 3 * KIT_HOUR, FOLD_MISSING);
    kit_close(&k);
}

static void collections_count_none_where_nothing_came(void **state)
{
    (void)state;
    struct kit k;
    open_of(&k, INDICATOR_DAY, "fill", "collections(x, 15) + count(x)");
    k.inputs[0].optional = true;
    kit_is(&k, 0, "0");
    kit_close(&k);
}

static void a_volume_is_falls_times_the_capacity_of_their_device(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, INDICATOR_DAY, "waste_volume");
    (void)kit_input(&k, "x", "fill");
    assert_true(num_parse("1100", &kit_series(&k, 0, 1)->capacity));
    assert_true(num_parse("240", &kit_series(&k, 0, 2)->capacity));
    kit_formulas(&k, "drops_volume(x, 20)", NULL);
    k.def.completeness = 0;
    kit_day(&k, KIT_2026);
    kit_put(&k, 0, 1, "90");
    kit_put(&k, 0, 2, "15");
    kit_put(&k, 1, 1, "100");
    kit_put(&k, 1, 2, "50");
    kit_put(&k, 1, 3, "100");
    kit_put(&k, 1, 4, "90");
    kit_is(&k, 0, "0.945"); /* 75 % of 1100 l, 50 % of 240 l */
    k.series[1].capacity.kind = NUM_NONE;
    kit_day(&k, KIT_2026);
    kit_put(&k, 0, 1, "90");
    kit_put(&k, 0, 2, "15");
    kit_none(&k, 0, FOLD_MISSING); /* a share of what is not known */
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(growth_begins_with_the_last_reading_before_the_day),
        cmocka_unit_test(a_step_back_starts_anew),
        cmocka_unit_test(hours_take_the_steps_that_end_in_them),
        cmocka_unit_test(over_a_change_of_the_meter_both_count),
        cmocka_unit_test(a_meter_may_change_twice_and_beside_others),
        cmocka_unit_test(a_counter_that_jumps_gives_no_figure),
        cmocka_unit_test(many_steps_may_not_add_up_to_a_jump),
        cmocka_unit_test(a_jump_spoils_what_is_made_of_it_alone),
        cmocka_unit_test(a_counter_without_a_most_may_grow),
        cmocka_unit_test(a_run_of_falls_is_one_and_counts_from_least_on),
        cmocka_unit_test(a_fall_begins_with_the_last_reading_before_the_period),
        cmocka_unit_test(collections_count_none_where_nothing_came),
        cmocka_unit_test(a_volume_is_falls_times_the_capacity_of_their_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
