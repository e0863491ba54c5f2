/* A converter that gives each answer of a unit in order, but some requests later: none of them is
 * taken for another's. And a unit that leaves fences unanswered: it is read, once that is certain.
 */
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
#include "tests/gateway/collect/slave.h"

#define AGAIN 100 /* tries, on a machine that is busy */

static struct slave slave;
static struct rig rig;
static struct collect_bus *bus;
static struct collect_device *device;

/* Unit 1, whose register 0 counts the requests to it; the test is the bus's thread. */
static int begin(void **state)
{
    char text[512];
    (void)state;
    assert_int_equal(slave_open_serial(&slave), 0);
    (void)snprintf(text, sizeof text,
                   "buses:\n  line: {type: modbus-rtu, port: %s, baud: 115200, timeout: 150ms}\n"
                   "devices:\n  a: {bus: line, unit: 1, profile: one, every: 100ms}\n"
                   "  m: {bus: line, unit: 2, profile: meter, every: 100ms}\n",
                   slave.address);
    rig_open(&rig, text);
    bus = &rig.room->buses[0];
    device = bus->devices[0];
    return 0;
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

/* Asks for the counter. What comes must be its own answer: the number of this very request. And a
 * unit that owes nothing has answered all before it. */
static enum collect_fault ask(void)
{
    static const struct collect_request counter = {.function = 3, .address = 0, .count = 1};
    struct collect_answer a;
    struct err why;
    enum collect_fault f = collect_unit_ask(&rig.job, bus, device, &counter, &a, &why);
    if (f == COLLECT_GOOD)
        assert_int_equal(a.data[0] << 8 | a.data[1], atomic_load(&slave.requests[1]));
    if (!device->unit->owes)
        assert_int_equal(atomic_load(&slave.held), 0);
    return f;
}

static void probe(void)
{
    struct collect_answer a;
    struct err why;
    (void)collect_unit_probe(&rig.job, bus, device, &a, &why);
    if (!device->unit->owes)
        assert_int_equal(atomic_load(&slave.held), 0);
}

static void reads_again(void)
{
    int i = 0;
    while (i < AGAIN && ask() != COLLECT_GOOD)
        i++;
    assert_true(i < AGAIN);
}

static void is_never_fooled(unsigned behind, int asks, bool probes)
{
    reads_again();
    atomic_store(&slave.behind[1], behind);
    for (int i = 0; i < asks; i++) {
        assert_int_not_equal(ask(), COLLECT_GOOD); /* each answer comes when another is asked */
        if (probes)
            probe();
    }
    atomic_store(&slave.behind[1], 0);
    reads_again();
}

static void an_answer_one_request_late_is_never_anothers(void **state)
{
    (void)state;
    is_never_fooled(1, 6, false);
    is_never_fooled(1, 6, true);
}

static void an_answer_two_requests_late_is_never_anothers(void **state)
{
    (void)state;
    is_never_fooled(2, 11, false);
    is_never_fooled(2, 6, true);
}

/* A late refusal of a fence has no length that would tell it from one of another request. */
static void a_refusal_one_request_late_proves_nothing(void **state)
{
    (void)state;
    atomic_store(&slave.mood[1], SLAVE_REFUSE_JOINED);
    is_never_fooled(1, 8, false);
}

/* No value until two trials without a fence were answered: what they bring is evidence, and the
 * unit owes. */
static void a_unit_that_leaves_fences_unanswered_is_read_when_that_is_certain(void **state)
{
    (void)state;
    atomic_store(&slave.mood[1], SLAVE_MUTE_JOINED); /* one register at a time */
    int trials = 0;
    enum collect_fault f = COLLECT_SILENT;
    for (int i = 0; i < AGAIN && f != COLLECT_GOOD; i++) {
        f = ask();
        assert_true(f != COLLECT_GOOD || trials >= 2);
        trials += device->unit->unproven;
        if (device->unit->unproven) {
            assert_int_equal(f, COLLECT_GARBAGE);
            assert_true(device->unit->owes);
        }
    }
    assert_int_equal(f, COLLECT_GOOD);
    for (int i = 0; i < 3; i++)
        reads_again();
}

/* Trials are no sign that it does not tell its serial number. */
static void a_unit_that_leaves_fences_unanswered_tells_who_it_is(void **state)
{
    (void)state;
    char serial[STORE_NOTE_BYTES];
    struct collect_device *m = bus->devices[1];
    atomic_store(&slave.mood[2], SLAVE_MUTE_LONG);
    atomic_store(&slave.set[2][7], 4711);
    bool good = false;
    for (int i = 0; i < AGAIN && !good; i++) {
        if (i == 1) /* it was sick after its first poll */
            collect_device_probe(&rig.job, bus, m);
        collect_unit_good(m->unit);
        collect_device_poll(&rig.job, bus, m);
        good = fake_count() > 0 && fake_at(fake_count() - 1).v[0].v.kind != NUM_NONE;
    }
    assert_true(good);
    fake_note("serial", "m", serial);
    assert_string_equal(serial, "4711");
    assert_int_equal(fake_events("device.no_serial"), 0);
}

static void a_poll_whose_answer_may_be_older_says_so_and_stores_nothing(void **state)
{
    (void)state;
    atomic_store(&slave.mood[1], SLAVE_MUTE_JOINED);
    struct store_health h = {.polls = 0};
    for (int i = 0; i < AGAIN && !strstr(h.text, "older answer"); i++) {
        collect_unit_good(device->unit); /* polled, not probed */
        collect_device_poll(&rig.job, bus, device);
        h = fake_health(0);
    }
    assert_non_null(strstr(h.text, "not taken"));
    assert_non_null(strstr(h.text, "`timeout`"));
    assert_string_equal(h.why, "device_slow");
    for (size_t i = 0; i < fake_count(); i++)
        assert_int_equal(fake_at(i).v[0].v.kind, NUM_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_answer_one_request_late_is_never_anothers, begin, end),
        cmocka_unit_test_setup_teardown(an_answer_two_requests_late_is_never_anothers, begin, end),
        cmocka_unit_test_setup_teardown(a_refusal_one_request_late_proves_nothing, begin, end),
        cmocka_unit_test_setup_teardown(
            a_unit_that_leaves_fences_unanswered_is_read_when_that_is_certain, begin, end),
        cmocka_unit_test_setup_teardown(a_unit_that_leaves_fences_unanswered_tells_who_it_is, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_poll_whose_answer_may_be_older_says_so_and_stores_nothing,
                                        begin, end),
    };
    return cmocka_run_group_tests_name("late", tests, NULL, NULL);
}
