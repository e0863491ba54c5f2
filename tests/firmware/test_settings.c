/* What can be set on a node, and what of it is kept: trials, twins, chips, starts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/firmware/ask.h"

static void new_node_is_at_1_with_9600_8n1(void **state)
{
    (void)state;
    assert_int_equal(get(1, REG(LINE, address)), 1);
    assert_int_equal(get(1, REG(LINE, speed)), 96);
    assert_int_equal(fake.line.baud, 9600);
    assert_int_equal(fake.line.parity, 0);
    assert_int_equal(fake.line.stop_bits, 1);
}

/* ---- settings ---------------------------------------------------------------------------------
 */

static void trial_falls_back_after_a_minute(void **state)
{
    (void)state;
    put(1, REG(LINE, address), 18, 0);
    put(1, REG(LINE, speed), 192, 0);
    put(1, REG(LINE, parity), 1, 0);
    assert_int_equal(fake.line.baud, 9600);
    assert_true(is_at(1));
    put(1, REG(LINE, command), NODE_COMMAND_TRY, 0); /* answered as it was asked */
    uint64_t since = fake.us;
    assert_true(fake_run(10000));
    assert_int_equal(fake.line.baud, 19200);
    assert_int_equal(fake.line.parity, 1);
    assert_false(is_at(1));
    assert_true(is_at(18));
    assert_in_range(get(18, REG(LINE, trial)), 58, 60);
    while (fake.us < since + 59 * (uint64_t)SECOND)
        assert_true(fake_run(SECOND / 4));
    assert_true(is_at(18));
    assert_true(fake_run(2 * SECOND));
    assert_int_equal(fake.line.baud, 9600);
    assert_int_equal(fake.line.parity, 0);
    assert_true(is_at(1));
    assert_int_equal(get(1, REG(LINE, address)), 1);
    assert_int_equal(get(1, REG(LINE, trial)), 0);
    assert_true(fake_boot());
    assert_true(is_at(1));
}

static void trial_that_is_kept_stays_through_a_power_cut(void **state)
{
    (void)state;
    put(1, REG(LINE, address), 18, 0);
    put(1, REG(LINE, command), NODE_COMMAND_TRY, 0);
    put(18, REG(LINE, command), NODE_COMMAND_KEEP, 0);
    put(18, REG(LINE, command), NODE_COMMAND_KEEP, 0); /* the answer was lost */
    assert_int_equal(get(18, REG(LINE, trial)), 0);
    assert_true(fake_run(70 * SECOND));
    assert_true(is_at(18));
    assert_true(fake_boot());
    assert_true(is_at(18));
    assert_false(is_at(1));
}

static void trial_that_is_cut_off_was_none(void **state)
{
    (void)state;
    put(1, REG(LINE, address), 18, 0);
    put(1, REG(LINE, command), NODE_COMMAND_TRY, 0);
    assert_true(is_at(18));
    assert_true(fake_boot());
    assert_true(is_at(1));
}

static void forgotten_trial_ends_at_once(void **state)
{
    (void)state;
    put(1, REG(LINE, address), 18, 0);
    put(1, REG(LINE, command), NODE_COMMAND_TRY, 0);
    put(18, REG(LINE, command), NODE_COMMAND_FORGET, 0);
    assert_true(is_at(1));
    assert_int_equal(get(1, REG(LINE, trial)), 0);
}

static void what_was_written_waits_for_a_minute(void **state)
{
    (void)state;
    put(1, REG(LINE, address), 18, 0);
    assert_true(fake_run(50 * SECOND));
    assert_int_equal(get(1, REG(LINE, address)), 18);
    assert_true(fake_run(11 * SECOND));
    assert_int_equal(get(1, REG(LINE, address)), 1);
    put(1, REG(LINE, command), NODE_COMMAND_TRY, 0); /* of what is in force */
    assert_true(is_at(1));
}

static void all_of_the_line_goes_in_one_request(void **state)
{
    (void)state;
    static const uint16_t v[] = {247, 1152, 2, 2, NODE_COMMAND_TRY};
    assert_int_equal(fake_write_many(1, fake_block(1, NODE_LINE), 5, v), 0);
    assert_true(is_at(247));
    assert_int_equal(fake.line.baud, 115200);
    assert_int_equal(fake.line.parity, 2);
    assert_int_equal(fake.line.stop_bits, 2);
}

static void settings_that_cannot_be_are_refused_and_change_nothing(void **state)
{
    (void)state;
    static const struct {
        unsigned offset, value;
    } bad[] = {
        {NODE_LINE_address, 0},  {NODE_LINE_address, 248}, {NODE_LINE_address, 257},
        {NODE_LINE_speed, 0},    {NODE_LINE_speed, 97},    {NODE_LINE_parity, 3},
        {NODE_LINE_parity, 256}, {NODE_LINE_stop_bits, 0}, {NODE_LINE_stop_bits, 3},
        {NODE_LINE_command, 0},  {NODE_LINE_command, 5},   {NODE_LINE_command, 0xFFFF},
    };
    unsigned line = fake_block(1, NODE_LINE);
    uint16_t before[15], after[15];
    assert_int_equal(fake_read(1, line, 15, before), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(fake_write(1, line + bad[i].offset, bad[i].value), SLAVE_VALUE);
    static const uint16_t good_and_bad[] = {18, 192, 7, 1};
    assert_int_equal(fake_write_many(1, line, 4, good_and_bad), SLAVE_VALUE);
    assert_int_equal(fake_write(1, line + NODE_LINE_trial, 1), SLAVE_ADDRESS);
    assert_int_equal(fake_write(1, line + NODE_LINE_for_serial, 1), SLAVE_ADDRESS);
    assert_int_equal(fake_write(1, line + NODE_LINE_new_address, 9), SLAVE_ADDRESS);
    assert_int_equal(fake_read(1, line, 15, after), 0);
    assert_memory_equal(before, after, sizeof before);
}

/* ---- two nodes with one address ---------------------------------------------------------------
 */

static void say_serial(const char *serial, unsigned address, unsigned at, unsigned count)
{
    uint8_t q[40] = {
        0, 16, (uint8_t)(at >> 8), (uint8_t)at, 0, (uint8_t)count, (uint8_t)(2 * count)};
    memcpy(q + 7, serial, strlen(serial));
    q[7 + 16] = (uint8_t)(address >> 8);
    q[7 + 17] = (uint8_t)address;
    fake_ask(q, 7 + 2 * count);
    assert_true(fake_run(300000));
}

static void broadcast_gives_an_address_to_the_serial_it_names(void **state)
{
    (void)state;
    unsigned line = fake_block(1, NODE_LINE), at = line + NODE_LINE_for_serial;
    unsigned sends = fake.sends;
    say_serial("0011223344556678", 18, at, 9);
    say_serial("00112233", 18, at, 9);
    say_serial("0011223344556677", 0, at, 9);
    say_serial("0011223344556677", 248, at, 9);
    say_serial("0011223344556677", 18 + 256, at, 9);
    say_serial("0011223344556677", 18, at, 8);
    say_serial("0011223344556677", 18, at - 1, 9);
    assert_int_equal(fake.sends, sends);
    assert_true(is_at(1));
    say_serial("0011223344556677", 18, at, 9);
    assert_false(is_at(1));
    assert_in_range(get(18, REG(LINE, trial)), 57, 60);
    assert_true(fake_run(61 * SECOND));
    assert_true(is_at(1));
    say_serial("0011223344556677", 19, at, 9);
    put(19, REG(LINE, command), NODE_COMMAND_KEEP, 0);
    assert_true(fake_run(61 * SECOND));
    assert_true(fake_boot());
    assert_true(is_at(19));
}

/* Nodes that have no serial number are not meant by a broadcast without one. */
static void broadcast_to_nobody_is_for_nobody(void **state)
{
    (void)state;
    fake.serial = "";
    assert_true(fake_boot());
    say_serial("", 18, fake_block(1, NODE_LINE) + NODE_LINE_for_serial, 9);
    assert_true(is_at(1));
}

static void broadcast_writes_nothing_else(void **state)
{
    (void)state;
    unsigned line = fake_block(1, NODE_LINE);
    uint8_t q[] = {0, 6, (uint8_t)(line >> 8), (uint8_t)line, 0, 18};
    fake_ask(q, sizeof q);
    assert_true(fake_run(SECOND));
    assert_int_equal(get(1, REG(LINE, address)), 1);
    q[3] = (uint8_t)(line + NODE_LINE_command);
    q[5] = NODE_COMMAND_RESTART;
    fake_ask(q, sizeof q);
    assert_true(fake_run(5 * SECOND));
}

/* ---- what is kept -----------------------------------------------------------------------------
 */

static void chips_settings_are_kept(void **state)
{
    (void)state;
    static const uint16_t serial[] = {0x5348, 0x542D, 0x3432, 0, 0, 0, 0, 0};
    static const uint16_t bad[] = {0x5348, 0, 0x3432, 0, 0, 0, 0, 0};
    static const uint16_t calibration[] = {0, 1000, 0xFFFF, 0xFFE7};
    unsigned sensors = fake_block(1, NODE_SENSORS), cal = fake_block(1, NODE_CALIBRATION);
    unsigned serial_at = sensors + field(NODE_SENSORS, NODE_SENSORS_ENTRY, 1, NODE_SENSORS_serial);
    uint16_t read[8];
    fake.does[0].raw[0] = 1000;
    put(1, FIELD(SENSORS, 0, period), 100, 0);
    put(1, FIELD(SENSORS, 0, period), 4, SLAVE_VALUE);
    put(1, FIELD(SENSORS, 1, calibrating), 1440, 0);
    put(1, FIELD(SENSORS, 1, calibrating), 1441, SLAVE_VALUE);
    put(1, FIELD(SENSORS, 1, errors), 0, SLAVE_ADDRESS);
    assert_int_equal(fake_write_many(1, serial_at, 8, serial), 0);
    assert_int_equal(fake_write_many(1, serial_at, 8, bad), SLAVE_VALUE);
    assert_int_equal(fake_write_many(1, serial_at, 7, serial), SLAVE_ADDRESS);
    unsigned at = cal + field(NODE_CALIBRATION, NODE_CALIBRATION_ENTRY, 0, 0);
    assert_int_equal(fake_write_many(1, at, 4, calibration), 0);
    assert_int_equal(fake_write(1, at + 1, 5), SLAVE_ADDRESS); /* half a number */
    at = cal + field(NODE_CALIBRATION, NODE_CALIBRATION_ENTRY, 2, 0);
    assert_int_equal(fake_write_many(1, at, 4, calibration), SLAVE_VALUE); /* a counter has none */
    assert_true(fake_run(2 * SECOND));
    for (unsigned boot = 0; boot < 2; boot++) {
        assert_int_equal(get(1, FIELD(SENSORS, 0, period)), 100);
        assert_int_equal(fake_read(1, serial_at, 8, read), 0);
        assert_memory_equal(read, serial, sizeof serial);
        assert_int_equal(get(1, FIELD(VALUES, 0, raw) + 1), 976);
        assert_int_equal(get(1, FIELD(SENSORS, 1, calibrating)), boot ? 0 : 1440);
        assert_true(fake_boot());
        assert_true(fake_run(SECOND));
    }
}

static void what_cannot_be_kept_is_refused(void **state)
{
    (void)state;
    put(1, FIELD(SENSORS, 0, period), 100, 0);
    assert_true(fake_run(SECOND));
    fake.memory_st = ST_NOT_FOUND;
    put(1, FIELD(SENSORS, 0, period), 200, 0); /* not known yet */
    assert_true(fake_run(3 * SECOND));
    put(1, FIELD(SENSORS, 0, period), 300, SLAVE_DEVICE);
    put(1, REG(LINE, address), 18, 0);
    put(1, REG(LINE, command), NODE_COMMAND_TRY, 0);
    put(18, REG(LINE, command), NODE_COMMAND_KEEP, SLAVE_DEVICE);
    assert_true(get(18, REG(DIAGNOSTICS, memory_faults)) >= RECORD_TRIES);
    fake.board.memory_bytes = 0;
    fake.memory_st = ST_OK;
    assert_true(fake_boot());
    put(1, FIELD(SENSORS, 0, period), 300, SLAVE_DEVICE);
}

static void restart_by_command_loses_no_count(void **state)
{
    (void)state;
    fake.does[1].raw[0] = 1234;
    assert_true(fake_run(3 * SECOND));
    unsigned at = fake_block(1, NODE_LINE) + NODE_LINE_command, sends = fake.sends;
    const uint8_t q[] = {1, 6, (uint8_t)(at >> 8), (uint8_t)at, 0, NODE_COMMAND_RESTART};
    fake_ask(q, sizeof q);
    assert_false(fake_run(5 * SECOND));
    assert_true(fake.restarted);
    assert_int_equal(fake.sends, sends + 1);
    assert_true(fake.us >= fake.sending_us); /* behind the answer */
    fake.reset_cause = NODE_RESET_COMMAND;
    fake.does[1].raw[0] = 0;
    assert_true(fake_boot());
    assert_true(fake_run(SECOND / 2));
    assert_int_equal(get(1, FIELD(VALUES, 2, raw) + 1), 1234);
    assert_int_equal(get(1, REG(DIAGNOSTICS, reset_cause)), NODE_RESET_COMMAND);
    assert_int_equal(get(1, REG(DIAGNOSTICS, boots) + 1), 2);
    /* Without a memory it does not wait for ever. */
    fake.memory_st = ST_BUSY;
    fake.does[1].raw[0] = 5;
    assert_true(fake_run(2 * SECOND));
    fake_ask(q, sizeof q);
    assert_false(fake_run(10 * SECOND));
}

static void starts_by_the_watchdog_are_counted(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_true(fake_run(SECOND));
        fake.reset_cause = i == 1 ? NODE_RESET_POWER : NODE_RESET_WATCHDOG;
        assert_true(fake_boot());
    }
    assert_int_equal(get(1, REG(DIAGNOSTICS, boots) + 1), 4);
    assert_int_equal(get(1, REG(DIAGNOSTICS, watchdogs)), 2);
    assert_int_equal(get(1, REG(DIAGNOSTICS, reset_cause)), NODE_RESET_WATCHDOG);
}

/* Of a quantity that several points have, each has its number. */
static void points_of_one_quantity_are_numbered(void **state)
{
    (void)state;
    (void)fake_add(water, 1);
    (void)fake_add(weather, 2);
    assert_true(fake_boot());
    static const unsigned instances[] = {1, 1, 1, 2, 2, 2}, sensors[] = {0, 0, 1, 2, 3, 3};
    assert_int_equal(get(1, REG(POINTS, entries)), 6);
    for (unsigned p = 0; p < 6; p++) {
        assert_int_equal(get(1, FIELD(POINTS, p, instance)), instances[p]);
        assert_int_equal(get(1, FIELD(POINTS, p, sensor)), sensors[p]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(new_node_is_at_1_with_9600_8n1, start),
        cmocka_unit_test_setup(trial_falls_back_after_a_minute, start),
        cmocka_unit_test_setup(trial_that_is_kept_stays_through_a_power_cut, start),
        cmocka_unit_test_setup(trial_that_is_cut_off_was_none, start),
        cmocka_unit_test_setup(forgotten_trial_ends_at_once, start),
        cmocka_unit_test_setup(what_was_written_waits_for_a_minute, start),
        cmocka_unit_test_setup(all_of_the_line_goes_in_one_request, start),
        cmocka_unit_test_setup(settings_that_cannot_be_are_refused_and_change_nothing, start),
        cmocka_unit_test_setup(broadcast_gives_an_address_to_the_serial_it_names, start),
        cmocka_unit_test_setup(broadcast_to_nobody_is_for_nobody, start),
        cmocka_unit_test_setup(broadcast_writes_nothing_else, start),
        cmocka_unit_test_setup(chips_settings_are_kept, start),
        cmocka_unit_test_setup(what_cannot_be_kept_is_refused, start),
        cmocka_unit_test_setup(restart_by_command_loses_no_count, start),
        cmocka_unit_test_setup(starts_by_the_watchdog_are_counted, start),
        cmocka_unit_test_setup(points_of_one_quantity_are_numbered, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
