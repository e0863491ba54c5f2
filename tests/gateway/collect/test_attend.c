/* The line doctor at a running bus, with a slave that misbehaves on demand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tests/gateway/collect/fake.h"
#include "tests/gateway/collect/rig.h"
#include "tests/gateway/collect/slave.h"

#define WAIT_MS 60000
#define TOLD_MS 4000 /* by then it would be told */

static struct slave slave;
static struct rig rig;

/* Units 1 and 2 in this mood from the start on. */
static void start(enum slave_mood mood, const char *timeout)
{
    char text[512];
    assert_int_equal(slave_open_serial(&slave), 0);
    atomic_store(&slave.mood[1], mood);
    atomic_store(&slave.mood[2], mood);
    (void)snprintf(text, sizeof text,
                   "buses:\n  line: {type: modbus-rtu, port: %s, baud: 115200, timeout: %s}\n"
                   "devices:\n  a: {bus: line, unit: 1, profile: three, every: 100ms}\n"
                   "  b: {bus: line, unit: 2, profile: three, every: 100ms}\n",
                   slave.address, timeout);
    rig_start(&rig, text);
}

static int end(void **state)
{
    (void)state;
    (void)rig_stop(&rig);
    slave_close(&slave);
    slave = (struct slave){0};
    return 0;
}

static struct store_finding wait_for(const char *code, bool is)
{
    struct store_finding f = {0};
    int64_t until = clk_mono(clk_real()).ms + WAIT_MS;
    while (fake_finding(code, &f) != is) {
        if (clk_mono(clk_real()).ms > until)
            fail_msg("%s: %s", code, is ? "not found" : "not taken back");
        (void)thr_stop_wait(&rig.stop, 10);
    }
    return f;
}

static void a_dead_line_is_told_once_and_taken_back_when_it_answers(void **state)
{
    (void)state;
    start(SLAVE_MUTE, "50ms");
    assert_string_equal(wait_for("wires", true).devices, "all");
    assert_true(fake_wait_events("line.wires", 1));
    assert_non_null(strstr(fake_event("line.wires", 0).text, "A and B swapped"));
    assert_string_equal(fake_event("line.wires", 0).subject, "line");
    atomic_store(&slave.mood[1], SLAVE_GOOD);
    atomic_store(&slave.mood[2], SLAVE_GOOD);
    (void)wait_for("wires", false);
    assert_true(fake_wait_events("line.over", 1));
    assert_int_equal(fake_events("line.wires"), 1);
    assert_true(fake_health(0).heard.asked > 0);
}

static void a_slow_device_amid_others_is_told_with_the_time_out_to_set(void **state)
{
    (void)state;
    start(SLAVE_GOOD, "200ms");
    assert_true(fake_wait_poll(1, true, 0) != SIZE_MAX);
    atomic_store(&slave.mood[2], SLAVE_LATE); /* 300 ms */
    struct store_finding f = wait_for("slow", true);
    assert_string_equal(f.devices, "b (unit 2)");
    /* a quarter above the latest: of 300 ms, and of what a busy machine adds within the 400 that
     * are listened for */
    unsigned ms = 0;
    assert_int_equal(sscanf(f.also, "Set `timeout: %ums` at bus line.", &ms), 1);
    assert_in_range(ms, 400, 500);
    assert_false(fake_finding("foreign", &f));
    assert_false(fake_finding("gone", &f));
}

static void two_answers_to_each_request_are_two_devices(void **state)
{
    (void)state;
    start(SLAVE_GOOD, "200ms");
    assert_true(fake_wait_poll(1, true, 0) != SIZE_MAX);
    atomic_store(&slave.mood[1], SLAVE_TWICE);
    assert_string_equal(wait_for("twice", true).devices, "a (unit 1)");
    assert_true(fake_wait_events("line.twice", 1));
    atomic_store(&slave.mood[1], SLAVE_GOOD);
    (void)wait_for("twice", false);
    /* it comes back at once: on the board, but no event so soon */
    atomic_store(&slave.mood[1], SLAVE_TWICE);
    (void)wait_for("twice", true);
    (void)thr_stop_wait(&rig.stop, TOLD_MS);
    (void)wait_for("twice", true);
    assert_int_equal(fake_events("line.twice"), 1);
    assert_int_equal(fake_events("line.over"), 1);
}

static void a_port_that_is_not_there_is_found_after_a_while(void **state)
{
    (void)state;
    rig_start(&rig, "buses:\n  line: {type: modbus-rtu, port: /dev/no-such-line}\n"
                    "devices:\n  a: {bus: line, unit: 1, profile: one, every: 100ms}\n");
    struct store_finding f = wait_for("port", true);
    assert_non_null(strstr(f.seen, "/dev/no-such-line"));
    assert_int_equal(fake_events("line.port"), 0); /* bus.down tells it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_dead_line_is_told_once_and_taken_back_when_it_answers, end),
        cmocka_unit_test_teardown(a_slow_device_amid_others_is_told_with_the_time_out_to_set, end),
        cmocka_unit_test_teardown(two_answers_to_each_request_are_two_devices, end),
        cmocka_unit_test_teardown(a_port_that_is_not_there_is_found_after_a_while, end),
    };
    return cmocka_run_group_tests_name("attend", tests, NULL, NULL);
}
