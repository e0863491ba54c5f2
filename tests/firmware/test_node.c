/* A whole node over a port of the test's own: the line, its settings on trial, what is kept, the
 * watchdog, and how soon it answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensors/node.h"
#include "tests/firmware/fake.h"

#define SECOND 1000000U
#define REG(block, name) NODE_##block, NODE_##block##_##name

static const struct sensor_output weather[] = {
    {60, -2, false, -4000, 12500},
    {61, -2, false, 0, 10000},
};
static const struct sensor_output water[] = {{137, -2, true, 0, INT32_MAX}};

static int start(void **state)
{
    (void)state;
    fake_new();
    fake_add(weather, 2);
    fake_add(water, 1);
    return fake_boot() ? 0 : -1;
}

static void put(uint8_t unit, unsigned block, unsigned offset, unsigned value, int gives)
{
    assert_int_equal(fake_write(unit, fake_block(unit, block) + offset, value), gives);
}

static unsigned get(uint8_t unit, unsigned block, unsigned offset)
{
    uint16_t v = 0;
    assert_int_equal(fake_read(unit, fake_block(unit, block) + offset, 1, &v), 0);
    return v;
}

static bool is_at(uint8_t unit)
{
    uint16_t v[2];
    return fake_read(unit, 0, 2, v) == 0;
}

/* Field `offset` of entry e. */
static unsigned field(unsigned block, unsigned entry_length, unsigned e, unsigned offset)
{
    return node_head(block) + e * entry_length + offset;
}
#define FIELD(block, e, name)                                                                      \
    NODE_##block, field(NODE_##block, NODE_##block##_ENTRY, e, NODE_##block##_##name)

static void new_node_is_at_1_with_9600_8n1(void **state)
{
    (void)state;
    assert_int_equal(get(1, REG(LINE, address)), 1);
    assert_int_equal(get(1, REG(LINE, speed)), 96);
    assert_int_equal(fake.line.baud, 9600);
    assert_int_equal(fake.line.parity, 0);
    assert_int_equal(fake.line.stop_bits, 1);
}

/* ---- how soon ---------------------------------------------------------------------------------
 */

/* From the end of the frame's silence to the answer. The chips take all that they may, always. */
static void answer_comes_within_5_ms_whatever_a_sensor_does(void **state)
{
    (void)state;
    static const uint8_t q[] = {1, 3, 0, 0, 0, 125};
    uint64_t worst = 0;
    for (unsigned i = 0; i < 12; i++)
        (void)fake_add(water, 1);
    fake.board.nsensors = 8;
    for (unsigned i = 0; i < fake.board.nsensors; i++) {
        fake.does[i].takes_us = 2000;
        fake.does[i].collect = i % 2 ? ST_BUSY : ST_OK;
    }
    assert_true(fake_boot());
    for (unsigned i = 0; i < 300; i++) {
        unsigned sends = fake.sends;
        record_save(&fake.node.config.record);
        assert_true(fake_run(i * 37 % 2000));
        fake_ask(q, sizeof q);
        uint64_t end = fake.queue[fake.put - 1].at_us + fake.node.frame.t35_us;
        while (fake.sends == sends)
            assert_true(fake_run(100));
        if (fake.sent_us - end > worst)
            worst = fake.sent_us - end;
        assert_true(fake_run(300000));
    }
    (void)printf("the latest answer came %u us behind the silence\n", (unsigned)worst);
    assert_true(worst > 1000 && worst <= 5000);
}

static void answer_waits_for_the_silence(void **state)
{
    (void)state;
    static const uint8_t q[] = {1, 3, 0, 0, 0, 1};
    assert_true(fake_run(100000));
    for (unsigned i = 0; i < 50; i++) {
        unsigned sends = fake.sends;
        fake_ask(q, sizeof q);
        uint64_t end = fake.queue[fake.put - 1].at_us;
        while (fake.sends == sends)
            assert_true(fake_run(50));
        assert_true(fake.sent_us >= end + fake.node.frame.t35_us);
        assert_true(fake_run(50000));
    }
}

/* ---- a line with others -----------------------------------------------------------------------
 */

static void others_frames_and_noise_are_not_answered(void **state)
{
    (void)state;
    static const uint8_t ask_2[] = {2, 3, 0, 0, 0, 2}, says_2[] = {2, 3, 4, 1, 3, 0, 0};
    static const uint8_t noise[] = {0xFF, 0x00, 0x01, 0x03};
    for (unsigned i = 0; i < 50; i++) {
        fake_ask(ask_2, sizeof ask_2);
        fake_ask(says_2, sizeof says_2);
        fake_say(noise, 1 + i % 4, 5000 + i);
    }
    assert_true(fake_run(5 * SECOND));
    assert_int_equal(fake.sends, 0);
    assert_true(is_at(1));
    assert_int_equal(fake.node.slave.requests, 1);
}

/* A master that does not wait: requests with hardly a silence between them, for a minute. */
static void flood_neither_hangs_nor_fells_it(void **state)
{
    (void)state;
    uint8_t q[8] = {1, 3, 0, 0, 0, 40};
    uint16_t crc = fake_crc(q, 6);
    q[6] = (uint8_t)crc;
    q[7] = (uint8_t)(crc >> 8);
    fake.worst_feed_us = 0;
    for (unsigned i = 0; i < 1500; i++) {
        fake_say(q, sizeof q, i % 3 ? 0 : 4000 + i % 700);
        if (i % 20 == 0)
            assert_true(fake_run(10000));
        if (fake.put - fake.got > FAKE_QUEUE / 2)
            assert_true(fake_run(SECOND));
    }
    while (fake.got < fake.put)
        assert_true(fake_run(SECOND));
    assert_true(fake.worst_feed_us < SECOND);
    assert_true(fake_run(SECOND));
    assert_true(is_at(1));
    /* Nothing but zeroes, and nothing but ones, as a cut line may give. */
    uint8_t bytes[600];
    for (unsigned v = 0; v < 256; v += 255) {
        memset(bytes, (int)v, sizeof bytes);
        fake_say(bytes, sizeof bytes, 0);
        assert_true(fake_run(2 * SECOND));
        assert_true(is_at(1));
    }
}

/* The answer to one that is overtaken by the next frame would go into it. */
static void overtaken_request_is_not_answered(void **state)
{
    (void)state;
    static const uint8_t first[] = {1, 6, 0, 0, 0, 1}, second[] = {2, 3, 0, 0, 0, 1};
    assert_true(fake_run(100000));
    uint64_t requests = fake.node.slave.requests;
    fake_ask(first, sizeof first);
    fake_ask(second, sizeof second);
    fake.us = fake.queue[fake.put - 1].at_us + 20000; /* the loop was away for long */
    assert_true(fake_run(50000));
    assert_int_equal(fake.sends, 0);
    assert_int_equal(fake.node.slave.requests, requests);
}

static void cut_in_mid_frame_costs_that_frame(void **state)
{
    (void)state;
    uint8_t q[8] = {1, 3, 0, 0, 0, 1};
    uint16_t crc = fake_crc(q, 6);
    q[6] = (uint8_t)crc;
    q[7] = (uint8_t)(crc >> 8);
    for (size_t n = 1; n < sizeof q; n++) {
        fake_say(q, n, 5000);
        assert_true(fake_run(SECOND));
        assert_int_equal(fake.sends, n - 1);
        assert_true(is_at(1));
    }
}

static void by_content_there_is_no_silence_to_wait_for(void **state)
{
    (void)state;
    fake.board.by_content = true;
    fake.board.t35_us = 50000;
    assert_true(fake_boot());
    uint8_t q[8] = {1, 3, 0, 0, 0, 1};
    static const uint8_t other[] = {2, 3, 2, 0, 1, 0x3D};
    uint16_t crc = fake_crc(q, 6);
    q[6] = (uint8_t)crc;
    q[7] = (uint8_t)(crc >> 8);
    for (unsigned i = 0; i < 20; i++) {
        fake_say(other, sizeof other, 5000);
        fake_say(q, 4, 0);
        fake_say(q + 4, 4, 30000); /* the emulator was away */
        unsigned sends = fake.sends;
        uint64_t end = fake.queue[fake.put - 1].at_us;
        assert_true(fake_run(200000));
        assert_int_equal(fake.sends, sends + 1);
        assert_true(fake.sent_us < end + 3000);
    }
}

/* A request that comes while an answer is on its way, where a line goes both ways at once. */
static void request_during_an_answer_is_not_answered(void **state)
{
    (void)state;
    fake.board.by_content = true;
    fake.board.t35_us = 50000;
    assert_true(fake_boot());
    static const uint8_t q[] = {1, 3, 0, 0, 0, 100};
    fake_ask(q, sizeof q);
    fake_ask(q, sizeof q);
    assert_true(fake_run(100000));
    assert_int_equal(fake.sends, 1);
    assert_true(fake_run(SECOND));
    assert_true(is_at(1));
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

/* ---- the watchdog -----------------------------------------------------------------------------
 */

static void watchdog_is_fed_in_its_window(void **state)
{
    (void)state;
    assert_true(fake.watchdog);
    for (unsigned i = 0; i < 2; i++)
        fake.does[i].takes_us = 2000;
    assert_true(fake_run(20 * SECOND));
    assert_true(fake.feeds > 50);
    assert_true(fake.soonest_feed_us >= NODE_FEED_MS * 1000 - 1000);
    assert_true(fake.worst_feed_us < 2 * NODE_FEED_MS * 1000);
}

static void watchdog_starves_when_a_part_stands(void **state)
{
    (void)state;
    assert_true(fake_run(SECOND));
    assert_true(is_at(1));
    fake.hangs = true; /* an answer that is never over */
    assert_true(fake_run(NODE_SENDING_MS * 1000 + SECOND / 2));
    unsigned feeds = fake.feeds;
    assert_true(fake_run(10 * SECOND));
    assert_int_equal(fake.feeds, feeds);
    fake.hangs = false;
    assert_true(fake_run(SECOND));
    assert_true(fake.feeds > feeds);
    feeds = fake.feeds;
    for (unsigned i = 0; i < 100000; i++) /* the clock stands */
        (void)node_turn(&fake.node);
    assert_true(fake.feeds <= feeds + 1);
}

/* ---- whatever comes ---------------------------------------------------------------------------
 */

static uint32_t draws;

static uint32_t draw(void)
{
    draws = draws * 1664525U + 1013904223U;
    return draws >> 8;
}

/* All that a node keeps and shows, but for what counts requests. */
static uint32_t all_of(struct node *n)
{
    uint8_t two[2];
    uint32_t crc = node_crc32(0, (const uint8_t *)&n->config.kept, sizeof n->config.kept);
    struct slave_map map = node_map(n);
    for (unsigned at = 0; map.read(n, at, 1, two) == SLAVE_DONE; at++)
        crc = node_crc32(crc, two, sizeof two);
    return crc;
}

static void refused_writes_change_nothing(void **state)
{
    (void)state;
    const char *seed = getenv("FP_SEED");
    draws = seed ? (uint32_t)strtoul(seed, NULL, 10) : 1;
    (void)printf("FP_SEED=%lu\n", (unsigned long)draws);
    struct node *n = &fake.node;
    struct slave_map map = node_map(n);
    unsigned done = 0, refused = 0;
    assert_true(fake_run(SECOND));
    for (unsigned i = 0; i < 2000; i++) {
        unsigned count = draw() % 8 == 0 ? 1 + draw() % SLAVE_WRITE_MAX : 1 + draw() % 9;
        unsigned at = draw() % 4 ? 110 + draw() % 80 : 117 + draw() % 5;
        if (draw() % 4 == 0) { /* the serials and calibrations, whole */
            static const uint8_t whole[][2] = {{142, 8}, {156, 8}, {168, 2}, {168, 4}, {174, 2}};
            unsigned k = draw() % 5;
            at = whole[k][0];
            count = whole[k][1];
        }
        uint8_t *p = malloc(2 * count);
        assert_non_null(p);
        for (unsigned k = 0; k < 2 * count; k++)
            p[k] = (uint8_t)(k % 2 ? draw() % (draw() % 2 ? 6 : 256) : draw() % 16 ? 0 : draw());
        if (draw() % 4 == 0)
            memset(p, 'A' + (int)(draw() % 4), 2 * count);
        uint32_t before = all_of(n);
        enum slave_exception e = map.write(n, at, count, p, false);
        if (e != SLAVE_DONE)
            assert_int_equal(all_of(n), before);
        else
            assert_true(config_line_is_good(line_shown(&n->line)));
        done += e == SLAVE_DONE;
        refused += e != SLAVE_DONE;
        free(p);
    }
    (void)printf("%u written, %u refused\n", done, refused);
    assert_true(done > 200 && refused > 500);
}

static void every_range_reads_as_its_registers_do(void **state)
{
    (void)state;
    struct node *n = &fake.node;
    struct slave_map map = node_map(n);
    uint8_t one[600], many[SLAVE_READ_MAX * 2];
    unsigned size = 0;
    assert_true(fake_run(SECOND));
    while (map.read(n, size, 1, one + 2 * size) == SLAVE_DONE)
        size++;
    assert_int_equal(size, 181);
    for (unsigned at = 0; at <= size; at++) {
        for (unsigned count = 1; count <= SLAVE_READ_MAX; count++) {
            enum slave_exception e = map.read(n, at, count, many);
            assert_int_equal(e, at + count <= size ? SLAVE_DONE : SLAVE_ADDRESS);
            if (e == SLAVE_DONE)
                assert_memory_equal(many, one + 2 * at, 2 * count);
        }
    }
    assert_int_equal(map.read(n, 65535, 1, many), SLAVE_ADDRESS);
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
        cmocka_unit_test_setup(answer_comes_within_5_ms_whatever_a_sensor_does, start),
        cmocka_unit_test_setup(answer_waits_for_the_silence, start),
        cmocka_unit_test_setup(others_frames_and_noise_are_not_answered, start),
        cmocka_unit_test_setup(flood_neither_hangs_nor_fells_it, start),
        cmocka_unit_test_setup(overtaken_request_is_not_answered, start),
        cmocka_unit_test_setup(cut_in_mid_frame_costs_that_frame, start),
        cmocka_unit_test_setup(by_content_there_is_no_silence_to_wait_for, start),
        cmocka_unit_test_setup(request_during_an_answer_is_not_answered, start),
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
        cmocka_unit_test_setup(watchdog_is_fed_in_its_window, start),
        cmocka_unit_test_setup(watchdog_starves_when_a_part_stands, start),
        cmocka_unit_test_setup(refused_writes_change_nothing, start),
        cmocka_unit_test_setup(every_range_reads_as_its_registers_do, start),
        cmocka_unit_test_setup(points_of_one_quantity_are_numbered, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
