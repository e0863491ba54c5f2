/* Who answers, and who does not along a broken cable: a meter that was changed, or two whose cables
 * were interchanged, is asked about, and what it says is flagged until somebody says what was done.
 */
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

#define SERIAL_LOW 7 /* the register of SLAVE_SET on that holds the serial number's lower half */

static struct slave slave;
static struct rig rig;

static void start(const char *devices)
{
    char text[1024];
    if (!slave.thread)
        assert_int_equal(slave_open_tcp(&slave, ""), 0);
    (void)snprintf(text, sizeof text,
                   "buses:\n  plant: {type: modbus-tcp, host: 127.0.0.1, port: %s, timeout: "
                   "100ms}\ndevices:\n%s",
                   slave.address, devices);
    rig_start(&rig, text);
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

static void serial_is(int unit, unsigned serial)
{
    atomic_store(&slave.set[unit][SERIAL_LOW], serial);
}

static void away(int unit, bool away)
{
    atomic_store(&slave.mood[unit], away ? SLAVE_MUTE : SLAVE_GOOD);
}

/* The device does not answer for a while, and is another then. */
static size_t changed_to(int unit, uint32_t device, unsigned serial)
{
    away(unit, true);
    size_t at = fake_wait_poll(device, false, fake_count());
    assert_int_not_equal(at, SIZE_MAX);
    serial_is(unit, serial);
    away(unit, false);
    return at;
}

/* The flags of the two values of the first good poll from `after` on. */
static void flags_are(uint32_t device, size_t after, unsigned energy, unsigned power)
{
    size_t at = fake_wait_poll(device, true, after);
    assert_int_not_equal(at, SIZE_MAX);
    struct fake_poll p = fake_at(at);
    assert_int_equal(p.p.n, 2);
    assert_int_equal(p.v[0].q, energy);
    assert_int_equal(p.v[1].q, power);
}

static void kept(const char *device, const char *serial)
{
    char text[STORE_NOTE_BYTES];
    fake_note("serial", device, text);
    assert_string_equal(text, serial);
}

static const char one_meter[] = "  m: {bus: plant, unit: 1, profile: meter, every: 100ms}\n";

static void a_change_that_nobody_declared_is_flagged_from_the_first_reading_on(void **state)
{
    (void)state;
    assert_int_equal(slave_open_tcp(&slave, ""), 0);
    serial_is(1, 4711);
    start(one_meter);
    flags_are(0, 0, 0, 0);
    (void)fake_wait_poll(0, true, fake_count());
    kept("m", "4711");
    size_t at = changed_to(1, 0, 4712);
    flags_are(0, at, WIRE_Q_FAULT, WIRE_Q_FAULT);
    assert_true(fake_wait_events("device.changed", 1));
    struct store_event ev = fake_event("device.changed", 0);
    assert_string_equal(ev.subject, "m");
    assert_non_null(strstr(ev.text, "4712 instead of 4711"));
    assert_non_null(strstr(ev.text, "fieldpost maintain m/energy meter --from T last=N first=N "
                                    "old_serial=4711 new_serial=4712"));
    (void)fake_wait_poll(0, true, fake_count());
    struct store_health h = fake_health(0);
    assert_int_equal(h.state, STORE_FAULTY);
    assert_non_null(strstr(h.text, "fieldpost maintain m/energy meter"));
    kept("m", "4711"); /* so that a restart asks again */
    /* what was there before comes back */
    at = changed_to(1, 0, 4711);
    flags_are(0, at, 0, 0);
    assert_int_equal(fake_events("device.changed"), 1);
}

static void is_known_as_4700(void)
{
    fake_note_was("serial", "m", "4700");
}

static void a_change_while_the_gateway_was_off_is_seen_at_its_start(void **state)
{
    (void)state;
    assert_int_equal(slave_open_tcp(&slave, ""), 0);
    serial_is(1, 4711);
    start(one_meter);
    (void)rig_stop(&rig);
    rig.dir = NULL;
    rig_before = is_known_as_4700;
    start(one_meter);
    rig_before = NULL;
    flags_are(0, 0, WIRE_Q_FAULT, WIRE_Q_FAULT);
    kept("m", "4700");
}

static void a_swap_that_was_declared_frees_all_but_counters_which_want_their_meter(void **state)
{
    (void)state;
    assert_int_equal(slave_open_tcp(&slave, ""), 0);
    serial_is(1, 4711);
    start(one_meter);
    flags_are(0, 0, 0, 0);
    size_t at = changed_to(1, 0, 4712);
    flags_are(0, at, WIRE_Q_FAULT, WIRE_Q_FAULT);
    /* one that names another device changes nothing */
    fake_work("m", "", &(struct store_work){.serial = "4713"});
    (void)fake_wait_poll(0, true, fake_count());
    flags_are(0, fake_count() + 1, WIRE_Q_FAULT, WIRE_Q_FAULT);
    fake_work("m", "", &(struct store_work){.serial = "04712"}); /* as the label has it */
    (void)fake_wait_poll(0, true, fake_count());
    flags_are(0, fake_count() + 1, WIRE_Q_FAULT, 0);
    kept("m", "4711");
    fake_work("m", "energy", &(struct store_work){.serial = "4712"});
    (void)fake_wait_poll(0, true, fake_count());
    flags_are(0, fake_count() + 1, 0, 0);
    (void)fake_wait_poll(0, true, fake_count());
    kept("m", "4712");
    assert_int_equal(fake_health(0).state, STORE_GOOD);
}

static void cables_that_were_interchanged_are_named(void **state)
{
    (void)state;
    assert_int_equal(slave_open_tcp(&slave, ""), 0);
    serial_is(1, 4711);
    serial_is(2, 4712);
    start("  a: {bus: plant, unit: 1, profile: meter, every: 100ms}\n"
          "  b: {bus: plant, unit: 2, profile: meter, every: 100ms}\n");
    flags_are(0, 0, 0, 0);
    flags_are(1, 0, 0, 0);
    (void)fake_wait_poll(0, true, fake_count());
    (void)fake_wait_poll(1, true, fake_count());
    size_t at = changed_to(1, 0, 4712);
    flags_are(0, at, WIRE_Q_FAULT, WIRE_Q_FAULT);
    assert_true(fake_wait_events("device.changed", 1));
    assert_non_null(strstr(fake_event("device.changed", 0).text, "interchanged with b?"));
}

static void another_than_the_configured_is_asked_about_at_the_first_start(void **state)
{
    (void)state;
    assert_int_equal(slave_open_tcp(&slave, ""), 0);
    serial_is(1, 4711);
    start("  m: {bus: plant, unit: 1, profile: meter, every: 100ms, serial: \"4799\"}\n");
    flags_are(0, 0, WIRE_Q_FAULT, WIRE_Q_FAULT);
    assert_true(fake_wait_events("device.changed", 1));
    assert_non_null(strstr(fake_event("device.changed", 0).text, "4711 instead of 4799"));
}

static void a_device_that_is_mute_about_its_number_alone_is_read_all_the_same(void **state)
{
    (void)state;
    assert_int_equal(slave_open_tcp(&slave, ""), 0);
    atomic_store(&slave.mute_function, 4);
    start(one_meter);
    flags_are(0, 0, 0, 0);
    assert_true(fake_wait_events("device.no_serial", 1));
    assert_int_equal(fake_events("device.changed"), 0);
    kept("m", "");
}

/* It said its number once; another stands there now, that has no such register. */
static void a_device_that_grows_mute_about_its_number_is_read_all_the_same(void **state)
{
    (void)state;
    assert_int_equal(slave_open_tcp(&slave, ""), 0);
    serial_is(1, 4711);
    start(one_meter);
    flags_are(0, 0, 0, 0);
    (void)fake_wait_poll(0, true, fake_count());
    kept("m", "4711");
    atomic_store(&slave.mute_function, 4);
    size_t at = changed_to(1, 0, 0);
    assert_int_not_equal(fake_wait_poll(0, true, at), SIZE_MAX);
    assert_true(fake_wait_events("device.no_serial", 1));
}

static void silence_from_one_place_on_names_where_the_cable_is_broken(void **state)
{
    (void)state;
    start("  d: {bus: plant, unit: 4, profile: one, every: 200ms, cable_order: 40}\n"
          "  a: {bus: plant, unit: 1, profile: one, every: 200ms, cable_order: 10}\n"
          "  c: {bus: plant, unit: 3, profile: one, every: 200ms, cable_order: 30}\n"
          "  b: {bus: plant, unit: 2, profile: one, every: 200ms, cable_order: 20}\n"
          "  x: {bus: plant, unit: 5, profile: one, every: 200ms}\n");
    for (uint32_t d = 0; d < 5; d++)
        assert_int_not_equal(fake_wait_poll(d, true, 0), SIZE_MAX);
    /* one alone, and one before others that answer, are at fault themselves */
    away(4, true);
    away(2, true);
    assert_true(fake_wait_events("device.silent", 2));
    assert_int_not_equal(fake_wait_poll(1, true, fake_count()), SIZE_MAX);
    assert_int_equal(fake_events("bus.cable"), 0);
    away(2, false);
    assert_true(fake_wait_events("device.good", 1));
    away(3, true);
    assert_true(fake_wait_events("bus.cable", 1));
    struct store_event ev = fake_event("bus.cable", 0);
    assert_string_equal(ev.subject, "plant");
    assert_non_null(strstr(ev.text, "broken after b (place 20), before c?"));
    assert_int_not_equal(fake_wait_poll(3, true, fake_count()), SIZE_MAX);
    assert_non_null(strstr(fake_health(0).text, "broken after b"));
    assert_non_null(strstr(fake_health(2).text, "broken after b"));
    assert_string_equal(fake_health(4).text, ""); /* whose place nobody said */
    away(3, false);
    away(4, false);
    assert_int_not_equal(fake_wait_poll(0, true, fake_count()), SIZE_MAX);
    assert_int_not_equal(fake_wait_poll(2, true, fake_count()), SIZE_MAX);
    assert_true(fake_wait_events("device.good", 3));
    assert_string_equal(fake_health(2).text, "");
    assert_int_equal(fake_events("bus.cable"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(
            a_change_that_nobody_declared_is_flagged_from_the_first_reading_on, end),
        cmocka_unit_test_teardown(a_change_while_the_gateway_was_off_is_seen_at_its_start, end),
        cmocka_unit_test_teardown(
            a_swap_that_was_declared_frees_all_but_counters_which_want_their_meter, end),
        cmocka_unit_test_teardown(cables_that_were_interchanged_are_named, end),
        cmocka_unit_test_teardown(another_than_the_configured_is_asked_about_at_the_first_start,
                                  end),
        cmocka_unit_test_teardown(a_device_that_is_mute_about_its_number_alone_is_read_all_the_same,
                                  end),
        cmocka_unit_test_teardown(a_device_that_grows_mute_about_its_number_is_read_all_the_same,
                                  end),
        cmocka_unit_test_teardown(silence_from_one_place_on_names_where_the_cable_is_broken, end),
    };
    return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
