/* The same over a serial line (a pty): frames with CRC, late answers, and a line that goes away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>

#include "tests/gateway/collect/fake.h"
#include "tests/gateway/collect/rig.h"
#include "tests/gateway/collect/slave.h"

static struct slave slave;
static struct rig rig;

static void start_rig(const char *timeout, const char *devices)
{
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "buses:\n  line: {type: modbus-rtu, port: %s, baud: 115200, timeout: %s}\n"
                   "devices:\n%s",
                   slave.address, timeout, devices);
    rig_start(&rig, text);
}

static void start(const char *timeout, const char *devices)
{
    assert_int_equal(slave_open_serial(&slave), 0);
    start_rig(timeout, devices);
}

static size_t poll_of(uint32_t device, bool good, size_t after)
{
    size_t i = fake_wait_poll(device, good, after);
    assert_int_not_equal(i, SIZE_MAX);
    return i;
}

static void no_poison(void)
{
    for (size_t i = 0; i < fake_count(); i++) {
        struct fake_poll p = fake_at(i);
        for (size_t k = 0; k < p.p.n; k++)
            assert_false(p.v[k].v.kind != NUM_NONE && p.v[k].v.i == SLAVE_POISON);
    }
}

static int end(void **state)
{
    (void)state;
    if (rig.dir)
        (void)rig_stop(&rig);
    rig = (struct rig){0};
    slave_close(&slave);
    slave = (struct slave){0};
    return 0;
}

static void values_come_over_a_serial_line(void **state)
{
    (void)state;
    start("500ms", "  a: {bus: line, unit: 1, profile: three, every: 200ms}\n"
                   "  b: {bus: line, unit: 247, profile: one, every: 200ms}\n");
    struct fake_poll p = fake_at(poll_of(0, true, 0));
    assert_int_equal(p.v[0].v.i, 2); /* the first request to a unit shows that it owes nothing */
    assert_int_equal(p.v[2].v.i, 200);
    assert_int_equal(fake_at(poll_of(1, true, 0)).v[0].v.i, 2);
}

static void no_fault_of_a_serial_line_is_ever_a_value(void **state)
{
    (void)state;
    /* a late answer is SLAVE_LATE_MS late: what is drained, twice the time-out, is well longer */
    start("200ms", "  a: {bus: line, unit: 1, profile: one, every: 100ms}\n");
    size_t at = poll_of(0, true, 0);
    for (int mood = SLAVE_MUTE; mood < SLAVE_HANG_UP; mood++) {
        if (mood == SLAVE_TWICE)
            continue;
        atomic_store(&slave.mood[1], mood);
        /* ticks that pass while the identity is asked for are overruns */
        do
            at = poll_of(0, false, at + 1);
        while (fake_at(at).p.cause == STORE_OVERRUN);
        assert_int_equal(fake_at(at).p.cause, STORE_DEVICE);
        atomic_store(&slave.mood[1], SLAVE_GOOD);
        at = poll_of(0, true, at + 1);
    }
    no_poison();
}

/* The answer comes while the next request to the same unit is out, and looks like its own. */
static void a_late_answer_is_drained_not_taken(void **state)
{
    (void)state;
    start("200ms", "  a: {bus: line, unit: 1, profile: one, every: 100ms}\n");
    size_t at = poll_of(0, true, 0);
    for (int i = 0; i < 3; i++) {
        atomic_store(&slave.mood[1], SLAVE_LATE); /* 300 ms: after the time-out, before twice it */
        unsigned asked = atomic_load(&slave.requests[1]);
        while (atomic_load(&slave.requests[1]) == asked)
            (void)thr_stop_wait(&rig.stop, 1);
        atomic_store(&slave.mood[1], SLAVE_MUTE);
        while (atomic_load(&slave.requests[1]) < asked + 2)
            (void)thr_stop_wait(&rig.stop, 1);
        at = poll_of(0, false, at + 1);
        atomic_store(&slave.mood[1], SLAVE_GOOD);
        at = poll_of(0, true, at + 1);
    }
    no_poison();
}

/* Far later than twice the time-out, while requests of the same function and length go on: nothing
 * of that length is asked before the unit has answered one of another. */
static void an_answer_that_is_later_than_any_time_out_is_told_by_its_length(void **state)
{
    (void)state;
    start("60ms", "  a: {bus: line, unit: 1, profile: one, every: 100ms}\n");
    size_t at = poll_of(0, true, 0);
    for (int i = 0; i < 3; i++) {
        atomic_store(&slave.mood[1], SLAVE_LATE); /* 300 ms: five time-outs */
        unsigned asked = atomic_load(&slave.requests[1]);
        while (atomic_load(&slave.requests[1]) == asked)
            (void)thr_stop_wait(&rig.stop, 1);
        atomic_store(&slave.mood[1], SLAVE_MUTE);
        at = poll_of(0, false, at + 1);
        while (atomic_load(&slave.requests[1]) < asked + 4)
            (void)thr_stop_wait(&rig.stop, 1);
        atomic_store(&slave.mood[1], SLAVE_GOOD);
        at = poll_of(0, true, at + 1);
    }
    no_poison();
}

/* Who answered until now is likely to be late: another unit's answer must not meet that one on the
 * line. */
static void after_a_time_out_the_line_is_left_to_the_late_answer(void **state)
{
    (void)state;
    start("300ms", "  a: {bus: line, unit: 1, profile: one, every: 400ms}\n"
                   "  b: {bus: line, unit: 2, profile: one, every: 100ms}\n");
    (void)poll_of(0, true, 0);
    (void)poll_of(1, true, 0);
    atomic_store(&slave.mood[1], SLAVE_MUTE);
    unsigned asked = atomic_load(&slave.requests[1]);
    while (atomic_load(&slave.requests[1]) == asked)
        (void)thr_stop_wait(&rig.stop, 1);
    int64_t from = clk_mono(clk_real()).ms;
    unsigned other = atomic_load(&slave.requests[2]);
    while (atomic_load(&slave.requests[2]) == other)
        (void)thr_stop_wait(&rig.stop, 1);
    assert_true(clk_mono(clk_real()).ms - from >= 590);
    assert_true(poll_of(1, true, fake_count()) > 0);
}

static void a_late_answer_says_how_late_it_is(void **state)
{
    (void)state;
    start("200ms", "  a: {bus: line, unit: 1, profile: one, every: 500ms}\n");
    size_t at = poll_of(0, true, 0);
    atomic_store(&slave.mood[1], SLAVE_LATE); /* 300 ms */
    at = poll_of(0, false, at + 1);
    const char *wanted = "answers only after 3";
    for (int i = 0; i < 2000 && !strstr(fake_health(0).text, wanted); i++)
        (void)thr_stop_wait(&rig.stop, 1);
    assert_non_null(strstr(fake_health(0).text, wanted));
    assert_non_null(strstr(fake_health(0).text, "`timeout`"));
}

static void a_line_that_cannot_switch_its_direction_says_so(void **state)
{
    static const char *const how[][2] = {
        {"kernel", "`rs485: kernel` does not work with /dev/"},
        {"rts-up", "`rs485: rts-up` does not work with /dev/"},
        {"rts-down", "`rs485: rts-down` does not work with /dev/"}};
    (void)state;
    assert_int_equal(slave_open_serial(&slave), 0);
    for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
        char text[512];
        (void)snprintf(text, sizeof text,
                       "buses:\n  line: {type: modbus-rtu, port: %s, rs485: %s}\n"
                       "devices:\n  a: {bus: line, unit: 1, profile: one, every: 100ms}\n",
                       slave.address, how[i][0]);
        rig_start(&rig, text);
        assert_true(fake_wait_events("bus.down", 1));
        const char *why = fake_event("bus.down", 0).text;
        if (!strstr(why, how[i][1]))
            fail_msg("rs485: %s: \"%s\"", how[i][0], why);
        assert_non_null(strstr(why, "off, where the adapter does it"));
        (void)rig_stop(&rig);
        rig = (struct rig){0};
    }
}

/* A port that nobody has set is a terminal: it sends back to the line what it hears. libmodbus
 * leaves it as it was. */
static void a_line_that_was_used_echoes_nothing(void **state)
{
    (void)state;
    struct termios t;
    assert_int_equal(slave_open_serial(&slave), 0);
    assert_int_equal(tcgetattr(slave.keep, &t), 0);
    t.c_lflag |= ICANON | ECHO;
    assert_int_equal(tcsetattr(slave.keep, TCSANOW, &t), 0);
    start_rig("500ms", "  a: {bus: line, unit: 1, profile: one, every: 100ms}\n");
    (void)poll_of(0, true, 0);
    (void)rig_stop(&rig);
    rig = (struct rig){0};
    assert_int_equal(tcgetattr(slave.keep, &t), 0);
    assert_int_equal(t.c_lflag & (ICANON | ECHO), 0);
}

static void an_answer_said_twice_is_taken_once(void **state)
{
    (void)state;
    start("500ms", "  a: {bus: line, unit: 1, profile: three, every: 100ms}\n");
    size_t at = poll_of(0, true, 0);
    atomic_store(&slave.mood[1], SLAVE_TWICE);
    for (int i = 0; i < 10; i++)
        at = poll_of(0, true, at + 1);
    no_poison();
}

static void a_line_that_is_not_there_is_told_with_what_to_do(void **state)
{
    (void)state;
    rig_start(&rig, "buses:\n  line: {type: modbus-rtu, port: /dev/no-such-line}\n"
                    "devices:\n  a: {bus: line, unit: 1, profile: one, every: 100ms}\n");
    assert_int_equal(fake_at(poll_of(0, false, 0)).p.cause, STORE_BUS);
    assert_true(fake_wait_events("bus.down", 1));
    const char *text = fake_event("bus.down", 0).text;
    assert_non_null(strstr(text, "/dev/no-such-line"));
    assert_non_null(strstr(text, "plugged in"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(values_come_over_a_serial_line, end),
        cmocka_unit_test_teardown(no_fault_of_a_serial_line_is_ever_a_value, end),
        cmocka_unit_test_teardown(a_late_answer_is_drained_not_taken, end),
        cmocka_unit_test_teardown(an_answer_that_is_later_than_any_time_out_is_told_by_its_length,
                                  end),
        cmocka_unit_test_teardown(after_a_time_out_the_line_is_left_to_the_late_answer, end),
        cmocka_unit_test_teardown(a_late_answer_says_how_late_it_is, end),
        cmocka_unit_test_teardown(a_line_that_cannot_switch_its_direction_says_so, end),
        cmocka_unit_test_teardown(a_line_that_was_used_echoes_nothing, end),
        cmocka_unit_test_teardown(an_answer_said_twice_is_taken_once, end),
        cmocka_unit_test_teardown(a_line_that_is_not_there_is_told_with_what_to_do, end),
    };
    return cmocka_run_group_tests_name("serial", tests, NULL, NULL);
}
