/* A bus at work on a Modbus TCP slave that misbehaves on demand: never a wrong value, always the
 * cause, and the others keep their period. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/collect/collect_int.h"
#include "tests/gateway/collect/fake.h"
#include "tests/gateway/collect/rig.h"
#include "tests/gateway/collect/slave.h"

static struct slave slave;
static struct rig rig;

/* A configuration with the slave's port; devices as given. */
static void start(const char *timeout, const char *devices)
{
    char text[1024];
    if (!slave.thread)
        assert_int_equal(slave_open_tcp(&slave, ""), 0);
    (void)snprintf(text, sizeof text,
                   "buses:\n  plant: {type: modbus-tcp, host: 127.0.0.1, port: %s, timeout: %s}\n"
                   "devices:\n%s",
                   slave.address, timeout, devices);
    rig_start(&rig, text);
}

static void no_poison(void)
{
    for (size_t i = 0; i < fake_count(); i++) {
        struct fake_poll p = fake_at(i);
        for (size_t k = 0; k < p.p.n; k++)
            assert_false(p.v[k].v.kind != NUM_NONE && num_double(p.v[k].v) > 3276.7 &&
                         p.v[k].v.i % SLAVE_POISON == 0);
    }
}

static size_t poll_of(uint32_t device, bool good, size_t after)
{
    size_t i = fake_wait_poll(device, good, after);
    assert_int_not_equal(i, SIZE_MAX);
    return i;
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

static void a_poll_is_one_aligned_block_in_ascending_order(void **state)
{
    (void)state;
    start("1s", "  a: {bus: plant, unit: 1, profile: three, every: 500ms}\n");
    size_t ticks = 0;
    for (size_t i = 0, n = 0; n < 4; n++, i++) {
        i = poll_of(0, true, i);
        struct fake_poll p = fake_at(i);
        assert_int_equal(p.p.n, 3);
        assert_int_equal(p.p.due_ms % 500, 0);
        assert_true(p.p.t_ms >= p.p.due_ms);
        ticks += p.p.t_ms == p.p.due_ms;
        assert_int_equal(p.v[0].series, 1); /* declared in the file's order */
        assert_int_equal(p.v[1].series, 2);
        assert_int_equal(p.v[2].series, 0);
        assert_int_equal(p.v[0].v.i, 2 * n + 1); /* two requests a poll */
        assert_int_equal(num_cmp(p.v[1].v, num_dec(5, -1)), 0);
        assert_int_equal(p.v[2].v.i, 200);
    }
    assert_true(ticks > 0);
    struct store_health h = fake_health(0);
    assert_int_equal(h.state, STORE_GOOD);
    assert_string_equal(h.text, "");
    assert_int_equal(fake_events("device.good"), 0);
}

static void every_fault_is_a_missing_value_with_its_cause_and_heals(void **state)
{
    static const char *const name[] = {
        [SLAVE_MUTE] = "does not answer",
        [SLAVE_REFUSE] = "refuses function 3, address 0",
        [SLAVE_GARBAGE] = "damaged or wrong",
        [SLAVE_HALF] = "damaged or wrong",
        [SLAVE_OTHER_UNIT] = "another unit answers",
        [SLAVE_OTHER_FUNCTION] = "damaged or wrong",
        [SLAVE_OTHER_REQUEST] = "damaged or wrong",
        [SLAVE_SHORT] = "damaged or wrong",
        [SLAVE_LATE] = "does not answer",
        [SLAVE_HANG_UP] = "the connection broke",
    };
    (void)state;
    start("100ms", "  a: {bus: plant, unit: 1, profile: one, every: 100ms}\n");
    size_t at = poll_of(0, true, 0);
    for (int mood = SLAVE_MUTE; mood <= SLAVE_HANG_UP; mood++) {
        if (mood == SLAVE_TWICE)
            continue;
        atomic_store(&slave.mood[1], mood);
        /* ticks that pass while the identity is asked for are overruns */
        do
            at = poll_of(0, false, at + 1);
        while (fake_at(at).p.cause == STORE_OVERRUN);
        struct fake_poll p = fake_at(at);
        assert_int_equal(p.p.cause, mood == SLAVE_HANG_UP ? STORE_BUS : STORE_DEVICE);
        at = poll_of(0, false, at + 1); /* its health is set by then */
        struct store_health h = fake_health(0);
        assert_int_not_equal(h.state, STORE_GOOD);
        if (!strstr(h.text, name[mood]) && mood != SLAVE_LATE)
            fail_msg("mood %d: \"%s\" does not say \"%s\"", mood, h.text, name[mood]);
        atomic_store(&slave.mood[1], SLAVE_GOOD);
        at = poll_of(0, true, at + 1);
    }
    no_poison();
}

static void a_second_answer_never_meets_the_next_request(void **state)
{
    (void)state;
    start("200ms", "  a: {bus: plant, unit: 1, profile: three, every: 100ms}\n");
    size_t at = poll_of(0, true, 0);
    atomic_store(&slave.mood[1], SLAVE_TWICE);
    unsigned before = atomic_load(&slave.requests[1]);
    for (int i = 0; i < 20 || atomic_load(&slave.requests[1]) < before + 20; i++)
        at = poll_of(0, true, at + 1);
    no_poison();
}

static void an_answer_may_come_in_pieces(void **state)
{
    (void)state;
    start("1s", "  a: {bus: plant, unit: 1, profile: three, every: 100ms}\n");
    size_t at = poll_of(0, true, 0);
    atomic_store(&slave.mood[1], SLAVE_PIECES);
    unsigned before = atomic_load(&slave.requests[1]);
    while (atomic_load(&slave.requests[1]) < before + 9)
        at = poll_of(0, true, at + 1);
    assert_int_equal(fake_health(0).failures, 0);
    no_poison();
}

static void a_sick_device_is_probed_seldom_and_the_other_keeps_its_period(void **state)
{
    size_t at = 0, missing = 0, good = 0;
    (void)state;
    assert_int_equal(slave_open_tcp(&slave, ""), 0);
    atomic_store(&slave.mood[1], SLAVE_MUTE);
    start("300ms", "  sick: {bus: plant, unit: 1, profile: three, every: 100ms}\n"
                   "  well: {bus: plant, unit: 2, profile: one, every: 100ms}\n");
    for (int i = 0; i < 60; i++)
        at = poll_of(1, true, at + 1);
    for (size_t i = 0; i <= at; i++) {
        struct fake_poll p = fake_at(i);
        missing += p.p.device == 0 && p.v[0].v.kind == NUM_NONE;
        good += p.p.device == 1 && p.v[0].v.kind != NUM_NONE;
    }
    /* 6 s at 100 ms: two polls, then probes after 0.1 0.2 0.4 0.8 1.6 3.2 s */
    assert_true(atomic_load(&slave.requests[1]) <= 9);
    assert_true(missing >= 40); /* silence is told for each period all the same */
    assert_true(good >= 59);
    assert_int_equal(fake_events("device.silent"), 1);
    assert_int_equal(fake_health(0).state, STORE_SILENT);
    atomic_store(&slave.mood[1], SLAVE_GOOD);
    (void)poll_of(0, true, at);
    assert_true(fake_wait_events("device.good", 1));
}

static void E3_refused_joins_are_read_in_parts_and_told_once(void **state)
{
    static const enum slave_mood moods[] = {SLAVE_REFUSE_JOINED, SLAVE_MUTE_JOINED};
    (void)state;
    assert_int_equal(slave_open_tcp(&slave, ""), 0);
    for (size_t i = 0; i < 2; i++) {
        atomic_store(&slave.mood[1], moods[i]);
        /* no answer of a busy machine comes so late that it would be one more proof */
        start("400ms", "  a: {bus: plant, unit: 1, profile: three, every: 200ms}\n");
        assert_true(fake_wait_events("device.split", 1));
        size_t at = fake_count();
        for (int k = 0; k < 3; k++) {
            at = poll_of(0, true, at + 1);
            struct fake_poll p = fake_at(at);
            assert_int_equal(num_cmp(p.v[1].v, num_dec(5, -1)), 0);
            assert_int_equal(p.v[2].v.i, 200);
        }
        assert_int_equal(fake_events("device.split"), 1);
        assert_int_equal(fake_events("device.faulty"), 0);
        assert_int_equal(fake_health(0).state, STORE_GOOD);
        (void)rig_stop(&rig);
        rig.dir = NULL;
    }
    no_poison();
}

static void a_bus_that_is_too_slow_leaves_none_of_its_devices_out(void **state)
{
    (void)state;
    assert_int_equal(slave_open_tcp(&slave, ""), 0);
    for (int unit = 1; unit <= 3; unit++)
        atomic_store(&slave.mood[unit], SLAVE_LATE); /* later than the period */
    start("2s", "  a: {bus: plant, unit: 1, profile: one, every: 200ms}\n"
                "  b: {bus: plant, unit: 2, profile: one, every: 200ms}\n"
                "  c: {bus: plant, unit: 3, profile: one, every: 200ms}\n");
    for (uint32_t d = 0; d < 3; d++) {
        size_t at = 0;
        for (int i = 0; i < 3; i++)
            at = poll_of(d, true, at) + 1;
        struct store_health h = fake_health(d); /* and the figure says how much of it is lost */
        assert_true(h.overruns > 0 && h.ticks > h.overruns);
    }
}

static void a_bus_that_cannot_be_opened_is_the_cause_and_is_tried_again(void **state)
{
    char port[64];
    (void)state;
    assert_int_equal(slave_open_tcp(&slave, ""), 0);
    memcpy(port, slave.address, sizeof port);
    start("500ms", "  a: {bus: plant, unit: 1, profile: one, every: 100ms}\n");
    size_t at = poll_of(0, true, 0);
    slave_close(&slave);
    for (int i = 0; i < 5; i++) {
        int missed = 0;
        do /* a busy machine misses ticks, a few */
            at = poll_of(0, false, at + 1);
        while (fake_at(at).p.cause == STORE_OVERRUN && ++missed <= 5);
        assert_int_equal(fake_at(at).p.cause, STORE_BUS);
    }
    assert_int_equal(fake_events("bus.down"), 1);
    assert_int_equal(fake_events("device.silent"), 0); /* one event tells it */
    assert_non_null(strstr(fake_health(0).text, "127.0.0.1"));
    assert_int_equal(fake_health(0).state, STORE_SILENT);
    assert_int_equal(slave_open_tcp(&slave, port), 0);
    (void)poll_of(0, true, at);
    assert_true(fake_wait_events("bus.up", 1));
}

static void a_stop_does_not_wait_for_a_silent_device(void **state)
{
    (void)state;
    assert_int_equal(slave_open_tcp(&slave, ""), 0);
    atomic_store(&slave.mood[1], SLAVE_MUTE);
    start("3s", "  a: {bus: plant, unit: 1, profile: one, every: 100ms}\n");
    while (atomic_load(&slave.requests[1]) == 0)
        (void)thr_stop_wait(&rig.stop, 5);
    int64_t took = rig_stop(&rig);
    rig.dir = NULL;
    assert_true(took < 2000);
    assert_int_equal(fake_count(), 0); /* a poll that was cut off is no failed poll */
}

static void a_step_of_the_clock_neither_bursts_nor_stalls(void **state)
{
    static const int64_t steps[] = {86400000, -3600000, 500};
    (void)state;
    start("1s", "  a: {bus: plant, unit: 1, profile: one, every: 200ms}\n");
    size_t at = poll_of(0, true, 0);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        atomic_fetch_add(&rig.shift_ms, steps[i]);
        struct mono start_at = clk_mono(clk_real());
        for (int k = 0; k < 10; k++) {
            at = poll_of(0, true, at + 1);
            assert_int_equal(fake_at(at).p.due_ms % 200, 0);
        }
        assert_true(clk_mono(clk_real()).ms - start_at.ms >= 1400); /* no burst */
        int64_t off_ms = fake_at(at).p.t_ms - clk_now(&rig.clk).utc_ms;
        assert_true(off_ms < 1000 && off_ms > -20000);
    }
}

static void a_full_store_is_told_once(void **state)
{
    (void)state;
    start("1s", "  a: {bus: plant, unit: 1, profile: one, every: 100ms}\n");
    (void)poll_of(0, true, 0);
    atomic_store(&fake_full, true);
    assert_true(fake_wait_events("queue.full", 1));
    unsigned asked = atomic_load(&slave.requests[1]);
    while (atomic_load(&slave.requests[1]) < asked + 5)
        (void)thr_stop_wait(&rig.stop, 5);
    assert_int_equal(fake_events("queue.full"), 1);
    atomic_store(&fake_full, false);
    (void)poll_of(0, true, fake_count());
}

static void a_device_tells_its_texts_when_it_appears(void **state)
{
    (void)state;
    start("1s", "  a: {bus: plant, unit: 1, profile: one, every: 100ms}\n");
    assert_true(fake_wait_events("device.text", 1));
    assert_string_equal(fake_event("device.text", 0).subject, "a/label");
    assert_string_equal(fake_event("device.text", 0).text, "it says AAAB");
    size_t at = poll_of(0, true, fake_count());
    (void)poll_of(0, true, at + 1);
    assert_int_equal(fake_events("device.text"), 1);
    for (size_t i = 0; i < fake_count(); i++)
        assert_int_equal(fake_at(i).p.n, 1); /* text is never a reading */
}

static void a_name_is_resolved_and_one_that_is_unknown_is_told(void **state)
{
    char text[512];
    (void)state;
    assert_int_equal(slave_open_tcp(&slave, ""), 0);
    (void)snprintf(text, sizeof text,
                   "buses:\n  plant: {type: modbus-tcp, host: localhost, port: %s}\n"
                   "devices:\n  a: {bus: plant, unit: 1, profile: one, every: 100ms}\n",
                   slave.address);
    rig_start(&rig, text);
    (void)poll_of(0, true, 0);
    (void)rig_stop(&rig);
    rig_start(&rig, "buses:\n  plant: {type: modbus-tcp, host: no-such-host.invalid}\n"
                    "devices:\n  a: {bus: plant, unit: 1, profile: one, every: 100ms}\n");
    assert_int_equal(fake_at(poll_of(0, false, 0)).p.cause, STORE_BUS);
    assert_true(fake_wait_events("bus.down", 1));
    assert_non_null(strstr(fake_event("bus.down", 0).text, "no-such-host.invalid"));
}

static void a_value_that_is_read_in_parts_is_whole_or_missing(void **state)
{
    (void)state;
    start("1s", "  a: {bus: plant, unit: 1, profile: wide, every: 100ms}\n");
    size_t at = 0;
    for (int i = 0; i < 3; i++) {
        at = poll_of(0, true, at + 1);
        assert_int_equal(fake_at(at).p.n, 2);
        assert_int_equal(fake_at(at).v[0].v.i, 10 << 16 | 11);
        assert_int_equal(fake_at(at).v[1].v.i, 12);
    }
    atomic_store(&slave.mood[1], SLAVE_SHORT);
    at = poll_of(0, false, at + 1);
    atomic_store(&slave.mood[1], SLAVE_GOOD);
    at = poll_of(0, true, at + 1);
    assert_int_equal(fake_at(at).v[0].v.i, 10 << 16 | 11);
}

static void a_number_is_an_address_of_either_kind(void **state)
{
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t n = sizeof at;
    struct thr_stop stop;
    struct err e = {.text = ""};
    char port[8];
    (void)state;
    assert_int_equal(thr_stop_open(&stop, &e), ST_OK);
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool listens = fd >= 0 && bind(fd, (struct sockaddr *)&at, n) == 0 && listen(fd, 1) == 0 &&
                   getsockname(fd, (struct sockaddr *)&at, &n) == 0;
    (void)snprintf(port, sizeof port, "%u", listens ? ntohs(at.sin6_port) : 1U);
    int c = collect_tcp_connect("::1", port, 1000, &stop, &e);
    if (listens)
        assert_true(c >= 0);
    else /* a machine without IPv6 */
        assert_non_null(strstr(e.text, "cannot connect to ::1"));
    if (c >= 0)
        assert_int_equal(close(c), 0);
    if (fd >= 0)
        assert_int_equal(close(fd), 0);
    thr_stop_close(&stop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_poll_is_one_aligned_block_in_ascending_order, end),
        cmocka_unit_test_teardown(every_fault_is_a_missing_value_with_its_cause_and_heals, end),
        cmocka_unit_test_teardown(a_second_answer_never_meets_the_next_request, end),
        cmocka_unit_test_teardown(an_answer_may_come_in_pieces, end),
        cmocka_unit_test_teardown(a_sick_device_is_probed_seldom_and_the_other_keeps_its_period,
                                  end),
        cmocka_unit_test_teardown(E3_refused_joins_are_read_in_parts_and_told_once, end),
        cmocka_unit_test_teardown(a_bus_that_is_too_slow_leaves_none_of_its_devices_out, end),
        cmocka_unit_test_teardown(a_bus_that_cannot_be_opened_is_the_cause_and_is_tried_again, end),
        cmocka_unit_test_teardown(a_stop_does_not_wait_for_a_silent_device, end),
        cmocka_unit_test_teardown(a_step_of_the_clock_neither_bursts_nor_stalls, end),
        cmocka_unit_test_teardown(a_full_store_is_told_once, end),
        cmocka_unit_test_teardown(a_device_tells_its_texts_when_it_appears, end),
        cmocka_unit_test_teardown(a_name_is_resolved_and_one_that_is_unknown_is_told, end),
        cmocka_unit_test_teardown(a_value_that_is_read_in_parts_is_whole_or_missing, end),
        cmocka_unit_test(a_number_is_an_address_of_either_kind),
    };
    return cmocka_run_group_tests_name("bus", tests, NULL, NULL);
}
