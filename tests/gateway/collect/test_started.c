/* A probe that has to be started: the gateway sees that it does not measure, says so, and writes
 * nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "gateway/collect/collect_int.h"
#include "tests/gateway/collect/fake.h"
#include "tests/gateway/collect/rig.h"

#define MINUTE_MS 60000

static struct rig rig;
static struct clk clk;
static struct collect_bus_job job;
static int64_t ms;

static struct mono mono(void *ctx)
{
    (void)ctx;
    return (struct mono){1000 + ms};
}

static void start(const char *profile)
{
    char text[512];
    (void)snprintf(text, sizeof text,
                   "buses: {wet: {type: modbus-tcp, host: 127.0.0.1, port: 502}}\n"
                   "devices: {p: {bus: wet, unit: 5, profile: %s, every: 1min}}\n",
                   profile);
    rig_open(&rig, text);
    ms = 0;
    clk = (struct clk){NULL, mono, NULL, NULL};
    job = (struct collect_bus_job){.collect = rig.room, .clk = &clk};
}

static int end(void **state)
{
    (void)state;
    (void)rig_stop(&rig);
    return 0;
}

static struct collect_device *device(void)
{
    return &rig.room->devices[0];
}

/* A poll each minute; a: of the first value, below 0: there is none. */
static void polls(int n, int a, int b)
{
    for (int i = 0; i < n; i++) {
        struct store_value v[2] = {{.v = {.kind = NUM_NONE}}, {.v = num_dec(b, 0)}};
        if (a >= 0)
            v[0].v = num_dec(a, 0);
        collect_started_judge(&job, device(), v);
        ms += MINUTE_MS;
    }
}

static void one_that_says_the_same_after_it_was_away_is_to_be_started(void **state)
{
    char text[160];
    (void)state;
    start("probe");
    polls(3, 8, 21);
    polls(1, 9, 21);
    polls(60, 9, 21); /* it has moved: what rests then is for others to judge */
    assert_int_equal(fake_events("device.unstarted"), 0);
    collect_started_again(device());
    polls(10, 9, 21);
    assert_int_equal(fake_events("device.unstarted"), 0);
    assert_false(collect_started_text(device(), text, sizeof text));
    polls(30, 9, 21);
    assert_int_equal(fake_events("device.unstarted"), 1);
    assert_non_null(strstr(fake_event("device.unstarted", 0).text,
                           "fieldpost setup wet probe --unit 5 --start --yes"));
    assert_true(collect_started_text(device(), text, sizeof text));
    assert_string_equal(text, "It says the same all the time. Start it: fieldpost setup wet probe "
                              "--unit 5 --start --yes");
    collect_started_again(device()); /* it is told already */
    polls(20, 9, 21);
    assert_int_equal(fake_events("device.unstarted"), 1);
    polls(1, 9, 22);
    assert_int_equal(fake_events("device.started"), 1);
    assert_false(collect_started_text(device(), text, sizeof text));
}

static void one_that_has_no_value_from_the_start_is_told_too(void **state)
{
    (void)state;
    start("probe");
    polls(12, -1, 21);
    assert_int_equal(fake_events("device.unstarted"), 1);
}

static void what_needs_no_start_may_say_the_same(void **state)
{
    (void)state;
    start("meter");
    polls(60, 9, 21);
    assert_int_equal(fake_events("device.unstarted"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(one_that_says_the_same_after_it_was_away_is_to_be_started, end),
        cmocka_unit_test_teardown(one_that_has_no_value_from_the_start_is_told_too, end),
        cmocka_unit_test_teardown(what_needs_no_start_may_say_the_same, end),
    };
    return cmocka_run_group_tests_name("started", tests, NULL, NULL);
}
