/* What a unit is asked as a fence, and when a sick one is tried: no line, no clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "gateway/collect/collect_int.h"

static struct collect_point points[] = {
    {.name = "a", .function = 3, .address = 10, .type = COLLECT_TYPE_u32},
    {.name = "b", .function = 3, .address = 20, .type = COLLECT_TYPE_u16},
    {.name = "c", .function = 1, .address = 5, .type = COLLECT_TYPE_bit},
};
static struct collect_profile profile = {.points = points, .n = 3, .joined = true};
static struct collect_bus_cfg bus_cfg = {.id = "line", .type = COLLECT_RTU, .timeout_ms = 500};
static struct collect_unit units[8], *listed[8];
static struct collect_request requests[3];
static struct collect_device_cfg device_cfg = {.id = "d", .every_ms = 1000};
static struct collect_device device, other, *both[] = {&device, &other};
static struct collect_bus bus;

static int begin(void **state)
{
    (void)state;
    memset(units, 0, sizeof units);
    memset(requests, 0, sizeof requests);
    for (size_t i = 0; i < 8; i++) {
        units[i] = (struct collect_unit){.number = (uint8_t)(i + 1), .answered = true};
        listed[i] = &units[i];
    }
    bus = (struct collect_bus){
        .cfg = &bus_cfg, .devices = both, .n = 1, .units = listed, .nunits = 8};
    device = (struct collect_device){.cfg = &device_cfg,
                                     .bus = &bus,
                                     .unit = &units[0],
                                     .profile = &profile,
                                     .plan = {.requests = requests, .nrequests = 1}};
    other = device;
    return 0;
}

static unsigned fence(void)
{
    struct collect_request q;
    assert_true(collect_unit_fence(&bus, &device, &q));
    assert_int_equal(q.function, requests[0].function);
    assert_int_equal(q.address, requests[0].address);
    return q.count;
}

/* Points have 2 and 1 registers, so that no fence has. */
static void a_fence_has_a_length_that_nothing_else_has(void **state)
{
    (void)state;
    requests[0] = (struct collect_request){.function = 3, .address = 10, .count = 20};
    assert_int_equal(fence(), 4);
    requests[0].count = 4;
    assert_int_equal(fence(), 3); /* within what it has rather than beyond */
    requests[0].count = 2;
    assert_int_equal(fence(), 3);
    requests[0] = (struct collect_request){.function = 1, .address = 5, .count = 1};
    assert_int_equal(fence(), 16);
    requests[0].count = 12; /* two bytes of bits, and 24 bits are three */
    assert_int_equal(fence(), 24);
}

static void a_fence_minds_every_device_of_the_unit(void **state)
{
    struct collect_request more = {.function = 3, .address = 100, .count = 4};
    (void)state;
    requests[0] = (struct collect_request){.function = 3, .address = 10, .count = 20};
    other.plan = (struct collect_plan){.requests = &more, .nrequests = 1};
    bus.n = 2;
    assert_int_equal(fence(), 6);
    other.unit = &units[1];
    assert_int_equal(fence(), 4);
}

/* What the bus does of a fence that nobody answers. */
static void in_vain(unsigned count)
{
    struct collect_unit *u = device.unit;
    size_t at = 0;
    while (at < u->nvain && u->vain[at].count != count)
        at++;
    if (at < u->nvain)
        memmove(&u->vain[at], &u->vain[at + 1], (--u->nvain - at) * sizeof *u->vain);
    u->vain[u->nvain++] =
        (struct collect_request){.function = 3, .address = 10, .count = (uint16_t)count};
}

static void a_fence_behind_one_in_vain_has_another_length(void **state)
{
    static const unsigned turn[] = {4, 6, 8, 10, 4, 6, 8, 10};
    (void)state;
    requests[0] = (struct collect_request){.function = 3, .address = 10, .count = 20};
    for (size_t i = 0; i < sizeof turn / sizeof *turn; i++) {
        assert_int_equal(fence(), turn[i]);
        in_vain(turn[i]);
    }
    assert_int_equal(fence(), 4); /* answered, it stays */
    assert_int_equal(fence(), 4);
}

static void the_sick_share_a_twentieth_of_the_time(void **state)
{
    struct mono now = {1000000};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        collect_unit_failed(&bus, &units[i], 1000, 100, now);
    assert_false(collect_unit_sick(&units[0])); /* a failure is no sickness */
    for (size_t i = 0; i < 3; i++)
        collect_unit_failed(&bus, &units[i], 1000, 100, now);
    for (size_t i = 0; i < 3; i++) {
        assert_true(collect_unit_sick(&units[i]));
        assert_int_equal(units[i].back_off_ms, 6000); /* 3 x 100 ms in 6 s */
    }
    for (int i = 0; i < 10; i++)
        collect_unit_failed(&bus, &units[0], 1000, 100, now);
    assert_int_equal(units[0].back_off_ms, 60000);
    collect_unit_good(&units[0]);
    assert_false(collect_unit_sick(&units[0]));
}

static void who_never_answered_is_sick_at_once(void **state)
{
    (void)state;
    units[0].answered = false;
    collect_unit_failed(&bus, &units[0], 1000, 500, (struct mono){0});
    assert_true(collect_unit_sick(&units[0]));
}

static void where_nobody_answers_nobody_waits(void **state)
{
    struct mono now = {1000000};
    (void)state;
    bus.nunits = 2;
    for (int k = 0; k < 12; k++)
        for (size_t i = 0; i < 2; i++)
            collect_unit_failed(&bus, &units[i], 1000, 500, now);
    assert_int_equal(units[0].back_off_ms, 10000);
}

static void a_probe_waits_for_a_moment_that_nobody_wants(void **state)
{
    struct mono now = {1000000};
    (void)state;
    units[2].failures = COLLECT_SICK_FAILURES;
    units[2].answer_ms = 200; /* its probe waits 450 ms */
    units[2].back_off_ms = 6000;
    units[2].probe_at = (struct mono){now.ms + 1};
    assert_null(collect_unit_due(&bus, now, 1000));
    now.ms++;
    assert_null(collect_unit_due(&bus, now, 449));
    assert_ptr_equal(collect_unit_due(&bus, now, 450), &units[2]);
    now.ms += 6000; /* it found none for as long as it was to wait */
    assert_ptr_equal(collect_unit_due(&bus, now, 0), &units[2]);
    collect_unit_hurry(&units[2], now);
    assert_ptr_equal(collect_unit_due(&bus, now, 0), &units[2]);
}

static void a_probe_is_short_and_grows_with_each_in_vain(void **state)
{
    (void)state;
    units[0].answer_ms = 20;
    assert_int_equal(collect_unit_probe_ms(&bus, &units[0]), 100);
    units[0].answer_ms = 60;
    assert_int_equal(collect_unit_probe_ms(&bus, &units[0]), 170);
    units[0].probes = 1;
    assert_int_equal(collect_unit_probe_ms(&bus, &units[0]), 340);
    units[0].probes = 60;
    assert_int_equal(collect_unit_probe_ms(&bus, &units[0]), 500);
    units[1].answered = false;
    assert_int_equal(collect_unit_probe_ms(&bus, &units[1]), 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_fence_has_a_length_that_nothing_else_has, begin),
        cmocka_unit_test_setup(a_fence_minds_every_device_of_the_unit, begin),
        cmocka_unit_test_setup(a_fence_behind_one_in_vain_has_another_length, begin),
        cmocka_unit_test_setup(the_sick_share_a_twentieth_of_the_time, begin),
        cmocka_unit_test_setup(who_never_answered_is_sick_at_once, begin),
        cmocka_unit_test_setup(where_nobody_answers_nobody_waits, begin),
        cmocka_unit_test_setup(a_probe_waits_for_a_moment_that_nobody_wants, begin),
        cmocka_unit_test_setup(a_probe_is_short_and_grows_with_each_in_vain, begin),
    };
    return cmocka_run_group_tests_name("unit", tests, NULL, NULL);
}
