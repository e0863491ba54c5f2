/* When chips are asked, and what their values are worth: never a value without its state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/firmware/fake.h"

static const struct sensor_output two[] = {
    {60, -2, false, -4000, 12500},
    {61, -2, false, 0, 10000},
};
static const struct sensor_output count[] = {{137, -2, true, 0, INT32_MAX}};

static struct measure m;
static struct config_kept config;
static struct counters counters;
static uint32_t now_ms;

static int fresh(void **state)
{
    (void)state;
    fake_new();
    memset(&config, 0, sizeof config);
    memset(&counters, 0, sizeof counters);
    now_ms = UINT32_MAX - 30000; /* the clock comes around soon */
    (void)fake_add(two, 2);
    (void)fake_add(count, 1);
    fake.does[0].ready_ms = fake.does[1].ready_ms = 20;
    measure_start(&m, fake.chips, fake.board.nsensors, &config, &counters, now_ms);
    return 0;
}

/* All turns that there are in so many ms. */
static void run(uint32_t ms)
{
    for (uint32_t i = 0; i < ms; i++, now_ms++) {
        for (unsigned k = 0; k < 40 && measure_turn(&m, now_ms); k++)
            ;
    }
}

static void is(unsigned p, enum node_state state, int32_t raw)
{
    struct measure_value v = measure_value(&m, p, now_ms);
    assert_int_equal(v.state, state);
    assert_int_equal(v.raw, raw);
}

/* A point has a value in those states alone that come with one. */
static void is_without_value(unsigned p, enum node_state state)
{
    is(p, state, NODE_NO_VALUE);
}

static void value_comes_with_state_age_and_samples(void **state)
{
    (void)state;
    is_without_value(0, NODE_STARTING);
    assert_int_equal(measure_value(&m, 0, now_ms).age_ds, NODE_NEVER);
    fake.does[0].raw[0] = -525;
    fake.does[0].raw[1] = 5000;
    run(30);
    is(0, NODE_GOOD, -525);
    is(1, NODE_GOOD, 5000);
    assert_int_equal(measure_value(&m, 0, now_ms).samples, 1);
    assert_int_equal(measure_value(&m, 0, now_ms).age_ds, 0);
    run(900);
    assert_int_equal(measure_value(&m, 0, now_ms).age_ds, 9);
    run(10000);
    assert_int_equal(measure_value(&m, 1, now_ms).samples, 11);
}

static void each_chip_has_its_period(void **state)
{
    (void)state;
    config.period_ds[1] = 25;
    run(60000);
    assert_in_range(fake.does[0].starts, 59, 61);
    assert_in_range(fake.does[1].starts, 23, 25);
    assert_int_equal(fake.does[0].collects, fake.does[0].starts);
}

static void turn_makes_one_call_at_most(void **state)
{
    (void)state;
    for (unsigned turn = 0; turn < 1000; turn++) {
        unsigned before = 0, after = 0;
        for (unsigned i = 0; i < 2; i++)
            before += fake.does[i].starts + fake.does[i].collects;
        bool called = measure_turn(&m, now_ms += 3);
        for (unsigned i = 0; i < 2; i++)
            after += fake.does[i].starts + fake.does[i].collects;
        assert_int_equal(after - before, called);
    }
}

static void chip_that_is_slow_does_not_slow_another(void **state)
{
    (void)state;
    fake.does[0].collect = ST_BUSY;
    fake.does[0].ready_ms = 0;
    run(20000);
    assert_in_range(fake.does[1].starts, 19, 21);
}

static void one_leap_is_not_seen_and_a_step_is(void **state)
{
    (void)state;
    static const int32_t says[] = {100, 101, 102, 9000, 103, 104, -3000, 105, 500, 501, 502};
    static const int32_t shows[] = {100, 101, 101, 102, 103, 104, 103, 104, 105, 500, 501};
    run(500);
    measure_start(&m, fake.chips, 2, &config, &counters, now_ms);
    for (size_t i = 0; i < sizeof says / sizeof *says; i++) {
        fake.does[0].raw[0] = says[i];
        run(1000);
        is(0, NODE_GOOD, shows[i]);
    }
}

static void counter_is_not_filtered(void **state)
{
    (void)state;
    static const int32_t says[] = {5, 5, 500, 501, 40};
    static const int32_t shows[] = {5, 5, 500, 501, 541}; /* the chip began anew */
    for (size_t i = 0; i < sizeof says / sizeof *says; i++) {
        fake.does[1].raw[0] = says[i];
        run(1000);
        is(2, NODE_GOOD, shows[i]);
    }
}

static void failure_is_tried_once_more_and_then_believed(void **state)
{
    (void)state;
    static const struct {
        enum st st;
        enum node_state state;
    } kinds[] = {
        {ST_NOT_FOUND, NODE_ABSENT}, {ST_TIMEOUT, NODE_ABSENT}, {ST_CORRUPT, NODE_FAULT},
        {ST_BAD, NODE_FAULT},        {ST_IO, NODE_FAULT},       {ST_REFUSED, NODE_FAULT},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        for (unsigned at_start = 0; at_start < 2; at_start++) {
            (void)fresh(NULL);
            enum st *says = at_start ? &fake.does[0].start : &fake.does[0].collect;
            run(950);
            is(0, NODE_GOOD, 0);
            *says = kinds[i].st;
            while (m.sensor[0].errors == 0)
                run(1);
            is(0, NODE_GOOD, 0); /* once: its age says the rest */
            run(MEASURE_AGAIN_MS + 30);
            is_without_value(0, kinds[i].state);
            is_without_value(1, kinds[i].state);
            assert_int_equal(measure_state(&m, 0, now_ms), kinds[i].state);
            is(2, NODE_GOOD, 0);
            assert_int_equal(m.sensor[0].errors, 2);
            run(10000);
            assert_in_range(m.sensor[0].errors, 11, 13); /* and tried at each period */
            is_without_value(0, kinds[i].state);
            *says = ST_OK;
            run(1100);
            is(0, NODE_GOOD, 0);
        }
    }
}

static void single_failure_does_no_harm(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        fake.does[0].collect = ST_CORRUPT;
        uint16_t errors = m.sensor[0].errors;
        while (m.sensor[0].errors == errors)
            run(1);
        fake.does[0].collect = ST_OK;
        run(150);
        is(0, NODE_GOOD, 0);
    }
    assert_int_equal(m.sensor[0].errors, 20);
}

static void chip_that_is_absent_at_boot_comes_later(void **state)
{
    (void)state;
    fake.does[0].start = ST_NOT_FOUND;
    run(5000);
    is_without_value(0, NODE_ABSENT);
    assert_int_equal(measure_value(&m, 0, now_ms).age_ds, NODE_NEVER);
    fake.does[0].start = ST_OK;
    fake.does[0].raw[0] = 77;
    run(1100);
    is(0, NODE_GOOD, 77);
}

static void median_begins_anew_behind_a_failure(void **state)
{
    (void)state;
    fake.does[0].raw[0] = 10;
    run(5000);
    fake.does[0].start = ST_NOT_FOUND;
    run(5000);
    fake.does[0].start = ST_OK;
    fake.does[0].raw[0] = 2000;
    run(1100);
    is(0, NODE_GOOD, 2000);
}

static void chip_that_is_busy_for_ever_is_absent(void **state)
{
    (void)state;
    run(500);
    fake.does[0].collect = ST_BUSY;
    run(2400);
    is(0, NODE_GOOD, 0);
    run(700);
    is_without_value(0, NODE_STALE);
    run(21000);
    is_without_value(0, NODE_ABSENT);
    fake.does[0].collect = ST_OK;
    run(100);
    is(0, NODE_GOOD, 0);
}

static void old_value_is_stale_whatever_the_clock_does(void **state)
{
    (void)state;
    run(500);
    m.sensor[0].due_ms = now_ms + 2000000000; /* as if the loop forgot it */
    now_ms += 2500;
    (void)measure_turn(&m, now_ms);
    is(0, NODE_GOOD, 0);
    now_ms += 600;
    is_without_value(0, NODE_STALE);
    assert_int_equal(measure_state(&m, 0, now_ms), NODE_STALE);
    now_ms += 6553400;
    run(3);
    assert_int_equal(measure_value(&m, 0, now_ms).age_ds, 65534);
    for (unsigned day = 0; day < 50; day++) { /* around */
        m.sensor[0].due_ms = now_ms + 2000000000;
        now_ms += 86400000 - 3;
        run(3);
        is_without_value(0, NODE_STALE);
        assert_int_equal(measure_value(&m, 0, now_ms).age_ds, 65534);
    }
}

static void value_beyond_the_sensor_is_marked(void **state)
{
    (void)state;
    static const int32_t says[] = {-4000, -4001, 12500, 12501};
    for (size_t i = 0; i < sizeof says / sizeof *says; i++) {
        fake.does[0].raw[0] = says[i];
        run(3000);
        is(0, i % 2 ? NODE_LIMITS : NODE_GOOD, says[i]);
        is(1, NODE_GOOD, 0);
        assert_int_equal(measure_state(&m, 0, now_ms), NODE_GOOD);
    }
}

static void output_that_alone_is_faulty_has_no_value(void **state)
{
    (void)state;
    run(3000);
    fake.does[0].raw[1] = SENSOR_NO_VALUE;
    run(1000);
    is(0, NODE_GOOD, 0);
    is_without_value(1, NODE_FAULT);
    fake.does[0].raw[1] = 40;
    for (unsigned i = 0; i < 4; i++) { /* no median over what was none */
        run(1000);
        is(1, NODE_GOOD, 40);
    }
    fake.does[1].raw[0] = 9;
    run(1000);
    fake.does[1].raw[0] = SENSOR_NO_VALUE;
    run(1000);
    is_without_value(2, NODE_FAULT);
    fake.does[1].raw[0] = 11;
    run(1000);
    is(2, NODE_GOOD, 11);
}

static void calibration_is_exact_and_rounds_half_away(void **state)
{
    (void)state;
    static const struct {
        int32_t raw, gain, offset, shows;
    } cases[] = {
        {1000, 0, 0, 1000},
        {1000, 0, -25, 975},
        {1000, 1000, 0, 1001},
        {500, 1000, 0, 501},    /* 500.5 */
        {-500, 1000, 0, -501},  /* -500.5 */
        {499, 1000, 0, 499},    /* 499.499 */
        {-500, -1000, 0, -500}, /* -499.5 */
        {500, -1000, 1, 501},   /* 500.5 */
        {1, -1500000, 0, -1},   /* -0.5 */
        {1, -1000000, 0, 0},
        {INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX},
        {INT32_MAX, INT32_MIN, INT32_MIN, -INT32_MAX},
        {-INT32_MAX, INT32_MAX, INT32_MIN, -INT32_MAX},
        {-INT32_MAX, 0, -1, -INT32_MAX}, /* never what says that there is none */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fake.does[0].raw[0] = cases[i].raw;
        config.calibration[0] = (struct config_calibration){cases[i].gain, cases[i].offset};
        run(3000);
        assert_int_equal(measure_value(&m, 0, now_ms).raw, cases[i].shows);
        is(1, NODE_GOOD, 0);
    }
}

static void calibrating_is_said_until_it_is_over(void **state)
{
    (void)state;
    fake.does[0].raw[0] = 30000; /* beyond, but somebody is at work */
    measure_calibrate(&m, 0, 2, now_ms);
    is_without_value(0, NODE_STARTING);
    run(2000);
    is(0, NODE_CALIBRATING, 30000);
    assert_int_equal(measure_calibrating(&m, 0, now_ms), 2);
    run(100000);
    assert_int_equal(measure_calibrating(&m, 0, now_ms), 1);
    fake.does[0].start = ST_NOT_FOUND;
    run(2200);
    is_without_value(0, NODE_ABSENT);
    fake.does[0].start = ST_OK;
    run(20000);
    is(0, NODE_LIMITS, 30000);
    assert_int_equal(measure_calibrating(&m, 0, now_ms), 0);
    measure_calibrate(&m, 0, MEASURE_CALIBRATING_MAX, now_ms);
    assert_int_equal(measure_calibrating(&m, 0, now_ms), 1440);
    measure_calibrate(&m, 0, 0, now_ms);
    assert_int_equal(measure_calibrating(&m, 0, now_ms), 0);
}

static void more_than_there_is_room_for_is_left_out(void **state)
{
    (void)state;
    static const struct sensor_output eight[8] = {{.quantity = 1}};
    fake_new();
    for (unsigned i = 0; i < 6; i++)
        (void)fake_add(eight, 8);
    measure_start(&m, fake.chips, 6, &config, &counters, now_ms);
    assert_int_equal(m.nsensors, 4);
    assert_int_equal(m.npoints, LIMITS_POINTS);
    fake_new();
    for (unsigned i = 0; i < FAKE_CHIPS; i++)
        (void)fake_add(eight, 1);
    measure_start(&m, fake.chips, FAKE_CHIPS, &config, &counters, now_ms);
    assert_int_equal(m.nsensors, LIMITS_SENSORS);
    fake_new();
    for (unsigned i = 0; i < FAKE_CHIPS; i++)
        (void)fake_add(count, 1);
    measure_start(&m, fake.chips, FAKE_CHIPS, &config, &counters, now_ms);
    assert_int_equal(m.nsensors, LIMITS_COUNTERS);
    fake_new(); /* a board that forgot to say what hangs on its chip */
    (void)fake_add(NULL, 4);
    (void)fake_add(two, 2);
    measure_start(&m, fake.chips, 2, &config, &counters, now_ms);
    assert_int_equal(m.nsensors, 2);
    assert_int_equal(m.npoints, 2);
    measure_start(&m, fake.chips, 0, &config, &counters, now_ms);
    assert_false(measure_turn(&m, now_ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(value_comes_with_state_age_and_samples, fresh),
        cmocka_unit_test_setup(each_chip_has_its_period, fresh),
        cmocka_unit_test_setup(turn_makes_one_call_at_most, fresh),
        cmocka_unit_test_setup(chip_that_is_slow_does_not_slow_another, fresh),
        cmocka_unit_test_setup(one_leap_is_not_seen_and_a_step_is, fresh),
        cmocka_unit_test_setup(counter_is_not_filtered, fresh),
        cmocka_unit_test_setup(failure_is_tried_once_more_and_then_believed, fresh),
        cmocka_unit_test_setup(single_failure_does_no_harm, fresh),
        cmocka_unit_test_setup(chip_that_is_absent_at_boot_comes_later, fresh),
        cmocka_unit_test_setup(median_begins_anew_behind_a_failure, fresh),
        cmocka_unit_test_setup(chip_that_is_busy_for_ever_is_absent, fresh),
        cmocka_unit_test_setup(old_value_is_stale_whatever_the_clock_does, fresh),
        cmocka_unit_test_setup(value_beyond_the_sensor_is_marked, fresh),
        cmocka_unit_test_setup(output_that_alone_is_faulty_has_no_value, fresh),
        cmocka_unit_test_setup(calibration_is_exact_and_rounds_half_away, fresh),
        cmocka_unit_test_setup(calibrating_is_said_until_it_is_over, fresh),
        cmocka_unit_test_setup(more_than_there_is_room_for_is_left_out, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
