/* What a pulse counter brings over many readings: nothing twice, nothing lost, over both ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sensors/driver/pulses.h"

static uint32_t counted;

static uint32_t count(void *ctx)
{
    (void)ctx;
    return counted;
}

static const struct sensor_pulses bus = {count, NULL};

static int32_t brings(struct sensor *s)
{
    uint16_t ready_ms;
    int32_t raw = -1;
    assert_int_equal(s->driver->start(s, &ready_ms), ST_OK);
    assert_int_equal(s->driver->collect(s, &raw, &ready_ms), ST_OK);
    return raw;
}

static void a_rest_is_carried_on_in_every_reading(void **state)
{
    struct sensor s = {.driver = &sensor_pulses, .io = &bus, .setting = {5, 8}};
    (void)state;
    for (counted = 0; counted < 100000; counted += 3)
        assert_int_equal(brings(&s), (uint64_t)counted * 5 / 8);
}

static void both_counts_go_on_from_zero(void **state)
{
    struct sensor s = {.driver = &sensor_pulses, .io = &bus, .setting = {3, 7}};
    uint64_t all = 0;
    (void)state;
    for (int i = 0; i < 40; i++) {
        all += 400000007;
        counted = (uint32_t)all;
        assert_int_equal(brings(&s), (all * 3 / 7) & INT32_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rest_is_carried_on_in_every_reading),
        cmocka_unit_test(both_counts_go_on_from_zero),
    };
    return cmocka_run_group_tests_name("pulses", tests, NULL, NULL);
}
