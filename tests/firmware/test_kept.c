/* What the EEPROM keeps: a power cut at each byte of each write leaves the old or the new, counters
 * lose no more than is promised, and worn cells are passed over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "sensors/node.h"
#include "tests/firmware/fake.h"

#define HASH 0x1234U

static struct config config;
static struct counters counters;
static uint32_t now_ms;

/* Both start from the memory as it is, as node_start does it. */
static void start_both(void)
{
    memset(&config, 0, sizeof config);
    memset(&counters, 0, sizeof counters);
    fake.memory_us = 0;
    uint32_t at = record_place(&config.record, 0, FAKE_MEMORY, fake.page, CONFIG_ROOM, 2);
    (void)record_place(&counters.record, at, FAKE_MEMORY, fake.page,
                       sizeof counters.now + RECORD_OVERHEAD, RECORD_SLOTS_MAX);
    config_start(&config, HASH);
    counters_start(&counters, HASH, false, now_ms);
}

/* Until nothing is to be saved; false: the power went. */
static bool settle(void)
{
    if (setjmp(fake.gone))
        return false;
    for (unsigned i = 0; i < 4000; i++) {
        now_ms++;
        fake.us += 1000;
        counters_turn(&counters, now_ms, false);
        if (!record_turn(&config.record, now_ms))
            (void)record_turn(&counters.record, now_ms);
        if (record_idle(&config.record) && record_idle(&counters.record))
            return true;
    }
    return true;
}

static void save_counters(void)
{
    now_ms += COUNTERS_EVERY_MS;
    counters_turn(&counters, now_ms, false);
}

static void save_counters_anyway(void)
{
    record_save(&counters.record);
    assert_true(settle());
}

static void change_config(uint8_t value)
{
    config.kept.line.address = value;
    for (unsigned i = 0; i < LIMITS_SENSORS; i++)
        memset(config.kept.serial[i], value, CONFIG_TEXT);
    for (unsigned i = 0; i < LIMITS_POINTS; i++)
        config.kept.calibration[i] = (struct config_calibration){value, value};
    record_save(&config.record);
}

/* All of it is of one change. */
static uint8_t config_value(void)
{
    uint8_t v = config.kept.line.address;
    for (unsigned i = 0; i < LIMITS_SENSORS; i++) {
        for (unsigned k = 0; k < CONFIG_TEXT; k++)
            assert_int_equal(config.kept.serial[i][k], v);
    }
    for (unsigned i = 0; i < LIMITS_POINTS; i++) {
        assert_int_equal(config.kept.calibration[i].gain, v);
        assert_int_equal(config.kept.calibration[i].offset, v);
    }
    return v;
}

static void new_memory(uint32_t page)
{
    fake_new();
    fake.page = page;
    now_ms = 1000;
    start_both();
    assert_true(settle());
}

static void nothing_kept_is_the_default(void **state)
{
    (void)state;
    new_memory(32);
    assert_int_equal(config.kept.line.address, 1);
    assert_int_equal(config.kept.line.speed, 96);
    assert_int_equal(counters.now.boots, 1);
    assert_int_equal(counters_total(&counters, 0), 0);
    memset(fake.memory, 0, sizeof fake.memory);
    start_both();
    assert_int_equal(config.kept.line.address, 1);
    assert_int_equal(counters.now.boots, 1);
}

static void what_was_saved_is_there_after_a_start(void **state)
{
    (void)state;
    static const uint32_t pages[] = {8, 16, 32, 64, 128};
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        new_memory(pages[i]);
        for (unsigned round = 1; round < 90; round++) { /* more than there are slots */
            counters_take(&counters, 0, (int32_t)(7 * round));
            counters_take(&counters, LIMITS_COUNTERS - 1, (int32_t)round);
            save_counters();
            change_config((uint8_t)round);
            assert_true(settle());
            uint32_t boots = counters.now.boots;
            int32_t total = counters_total(&counters, 0);
            if (round % 30 == 0) {
                start_both();
                assert_int_equal(counters.now.boots, boots + 1);
                assert_true(settle());
                counters.last[0] = 7 * round; /* the chip went on */
                counters.last[LIMITS_COUNTERS - 1] = round;
            }
            assert_int_equal(counters_total(&counters, 0), total);
            assert_int_equal(counters_total(&counters, LIMITS_COUNTERS - 1), round);
            assert_int_equal(config_value(), round);
        }
        assert_int_equal(counters.record.faults + config.record.faults, 0);
    }
}

/* Cut at every byte of a save. */
static void counters_after_a_cut_are_the_old_or_the_new(void **state)
{
    (void)state;
    static const struct {
        uint32_t page;
        bool torn;
    } kinds[] = {{32, false}, {32, true}, {16, true}, {128, true}};
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        unsigned seen_old = 0, seen_new = 0;
        for (uint64_t cut = 1;; cut++) {
            new_memory(kinds[kind].page);
            if (cut % 2) /* in whichever slot it is */
                save_counters_anyway();
            for (unsigned i = 0; i < 5; i++) { /* older records lie about, too */
                counters_take(&counters, 0, (int32_t)(100 + 100 * i));
                counters_take(&counters, 1, (int32_t)(10 + 10 * i));
                save_counters();
                assert_true(settle());
            }
            counters_take(&counters, 0, 777);
            counters_take(&counters, 1, 77);
            save_counters();
            fake.torn = kinds[kind].torn;
            fake.cut_at = fake.written + cut;
            bool whole = settle();
            fake.cut_at = 0;
            start_both();
            int32_t a = counters_total(&counters, 0), b = counters_total(&counters, 1);
            assert_true((a == 500 && b == 50) || (a == 777 && b == 77));
            assert_true(!whole || a == 777);
            seen_old += a == 500;
            seen_new += a == 777;
            /* and it goes on from there */
            assert_true(settle());
            counters_take(&counters, 0, 1);
            save_counters();
            assert_true(settle());
            start_both();
            assert_int_equal(counters_total(&counters, 0), a + 1);
            if (whole && cut % 2)
                break;
        }
        assert_true(seen_old >= sizeof counters.now && seen_new >= 1);
    }
}

static void config_after_a_cut_is_the_old_or_the_new(void **state)
{
    (void)state;
    for (unsigned torn = 0; torn < 2; torn++) {
        unsigned seen_old = 0;
        for (uint64_t cut = 1;; cut++) {
            new_memory(32);
            for (uint8_t v = 20; v < 23; v++) {
                change_config(v);
                assert_true(settle());
            }
            change_config(99);
            fake.torn = torn;
            fake.cut_at = fake.written + cut;
            bool whole = settle();
            fake.cut_at = 0;
            start_both();
            uint8_t v = config_value();
            assert_true(whole ? v == 99 : v == 22 || v == 99);
            seen_old += v == 22;
            if (whole)
                break;
        }
        assert_true(seen_old >= sizeof config.kept);
    }
}

/* A cut at each byte of the save that a start makes, again and again: nothing is lost by it. */
static void start_after_start_is_cut(void **state)
{
    (void)state;
    new_memory(32);
    counters_take(&counters, 0, 4711);
    save_counters();
    change_config(42);
    assert_true(settle());
    fake.torn = true;
    for (uint64_t cut = 1; cut < 200; cut++) {
        start_both();
        fake.cut_at = fake.written + cut % 70 + 1;
        (void)settle();
        fake.cut_at = 0;
        start_both();
        assert_int_equal(counters_total(&counters, 0), 4711);
        assert_int_equal(config_value(), 42);
    }
}

static void change_during_a_save_makes_no_mix(void **state)
{
    (void)state;
    for (unsigned steps = 1; steps < 90; steps++) {
        new_memory(32);
        change_config(22);
        assert_true(settle());
        change_config(50);
        for (unsigned i = 0; i < steps; i++) {
            fake.us += 6000;
            (void)record_turn(&config.record, ++now_ms);
        }
        change_config(60);
        assert_true(settle());
        start_both();
        assert_int_equal(config_value(), 60);
    }
}

/* And none that a cut would leave. */
static void change_during_a_save_that_is_cut_makes_no_mix(void **state)
{
    (void)state;
    for (unsigned steps = 1; steps < 80; steps += 3) {
        for (uint64_t cut = 1; cut < 700; cut += 13) {
            new_memory(32);
            change_config(22);
            assert_true(settle());
            change_config(50);
            for (unsigned i = 0; i < steps; i++) {
                fake.us += 6000;
                (void)record_turn(&config.record, ++now_ms);
            }
            change_config(60);
            fake.cut_at = fake.written + cut;
            (void)settle();
            fake.cut_at = 0;
            start_both();
            (void)config_value();
        }
    }
}

static void worn_cells_are_passed_over(void **state)
{
    (void)state;
    new_memory(32);
    /* Two slots of the ring, one behind the other, keep nothing any more. */
    for (unsigned i = 0; i < 2U * counters.record.stride; i++)
        fake.worn[counters.record.base + 5U * counters.record.stride + i] = true;
    for (unsigned round = 1; round <= 100; round++) {
        counters_take(&counters, 0, (int32_t)round);
        save_counters();
        assert_true(settle());
        if (round % 7 == 0) {
            start_both();
            assert_int_equal(counters_total(&counters, 0), round);
            assert_true(settle());
            counters.last[0] = round;
        }
    }
    assert_false(counters.record.failed);
}

static void worn_memory_is_said_and_not_written_for_ever(void **state)
{
    (void)state;
    new_memory(32);
    memset(fake.worn, 1, sizeof fake.worn);
    change_config(50);
    unsigned before = fake.writes;
    assert_true(settle());
    assert_true(config.record.failed);
    assert_int_equal(config.record.faults, RECORD_TRIES);
    assert_true(fake.writes - before <= RECORD_TRIES * (sizeof config.kept / RECORD_CHUNK + 2));
    /* An hour later it is tried once more, and keeps it. */
    memset(fake.worn, 0, sizeof fake.worn);
    assert_true(settle());
    assert_true(config.record.failed);
    now_ms += RECORD_AGAIN_MS;
    assert_true(settle());
    assert_false(config.record.failed);
    start_both();
    assert_int_equal(config_value(), 50);
}

static void memory_that_is_absent_or_hangs_stops_nothing(void **state)
{
    (void)state;
    static const enum st says[] = {ST_NOT_FOUND, ST_IO, ST_BUSY};
    for (size_t i = 0; i < sizeof says / sizeof *says; i++) {
        new_memory(32);
        fake.memory_st = says[i];
        change_config(50);
        counters_take(&counters, 0, 5);
        save_counters();
        assert_true(settle());
        assert_true(config.record.failed);
        assert_true(counters.record.failed);
        assert_int_equal(config_value(), 50);
        assert_int_equal(counters_total(&counters, 0), 5);
    }
    struct record none = {0};
    assert_int_equal(record_place(&none, 0, 0, 0, 640, 2), 0);
    assert_int_equal(none.slots, 0);
    assert_int_equal(record_place(&none, 0, 1000, 32, 640, 2), 0); /* one slot is none */
    assert_false(record_load(&none));
    record_save(&none);
    assert_false(record_turn(&none, 0));
    assert_true(record_idle(&none));
}

static void counters_are_saved_no_more_often_than_promised(void **state)
{
    (void)state;
    new_memory(32);
    unsigned before = fake.writes;
    uint32_t end = now_ms + 3600000, raw = 0;
    while (now_ms < end) { /* 2 pulses a second for an hour */
        now_ms += 500;
        fake.us += 500000;
        counters_take(&counters, 0, (int32_t)++raw);
        counters_turn(&counters, now_ms, false);
        for (unsigned i = 0; i < 12; i++) {
            fake.us += 6000;
            (void)record_turn(&counters.record, now_ms);
        }
        /* What a cut at this moment would cost. */
        struct counters_kept kept = counters.saving;
        assert_true(raw - kept.total[0] <= 2 * COUNTERS_EVERY_MS / 1000);
    }
    unsigned saves = (fake.writes - before) / 4; /* 56 bytes are four chunks */
    assert_in_range(saves, 11, 12);
    /* One that rests is not saved. */
    before = fake.writes;
    for (unsigned i = 0; i < 10; i++)
        save_counters();
    assert_true(settle());
    assert_in_range(fake.writes - before, 0, 4);
}

static void other_points_take_nothing_over_but_the_line(void **state)
{
    (void)state;
    new_memory(32);
    counters_take(&counters, 0, 100);
    save_counters();
    change_config(33);
    assert_true(settle());
    memset(&config.kept, 0, sizeof config.kept);
    config_start(&config, HASH + 1);
    counters_start(&counters, HASH + 1, true, now_ms);
    assert_int_equal(config.kept.line.address, 33);
    assert_int_equal(config.kept.serial[0][0], 0);
    assert_int_equal(config.kept.calibration[0].gain, 0);
    assert_int_equal(counters_total(&counters, 0), 0);
    assert_int_equal(counters.now.boots, 2);
    assert_int_equal(counters.now.watchdogs, 1);
    /* Nor does another number of points that there is room for: all lies elsewhere. */
    start_both();
    config.kept.points = LIMITS_POINTS - 1;
    record_save(&config.record);
    assert_true(settle());
    start_both();
    assert_int_equal(config.kept.line.address, 33);
    assert_int_equal(config.kept.serial[0][0], 0);
}

static void settings_that_cannot_be_are_the_default(void **state)
{
    (void)state;
    new_memory(32);
    change_config(33);
    config.kept.line.address = 250;
    config.kept.line.speed = 97;
    record_save(&config.record);
    assert_true(settle());
    start_both();
    assert_int_equal(config.kept.line.address, 1);
    assert_int_equal(config.kept.line.speed, 96);
    assert_int_equal(config.kept.serial[3][0], 33); /* the rest stands */
}

/* A version that has more to keep, or less, in the same slots. */
static void another_versions_record_is_read_as_far_as_both_go(void **state)
{
    (void)state;
    static uint8_t longer[CONFIG_ROOM - RECORD_OVERHEAD];
    new_memory(32);
    change_config(44);
    memcpy(longer, &config.kept, sizeof config.kept);
    config.record.data = longer;
    config.record.size = sizeof longer;
    record_save(&config.record);
    assert_true(settle());
    start_both();
    assert_int_equal(config_value(), 44);
    config.record.size = offsetof(struct config_kept, serial);
    record_save(&config.record);
    assert_true(settle());
    start_both();
    assert_int_equal(config.kept.line.address, 44);
    assert_int_equal(config.kept.serial[0][0], 0);
}

static uint32_t draw(void)
{
    static uint32_t draws = 1;
    draws = draws * 1664525U + 1013904223U;
    return draws >> 8;
}

/* Whatever a memory holds, a node starts, with settings that can be. */
static void any_memory_does_no_harm(void **state)
{
    (void)state;
    static const uint16_t kinds[] = {0xF901, 0xF902};
    new_memory(32);
    for (unsigned i = 0; i < 300; i++) {
        for (size_t k = 0; k < sizeof fake.memory; k++)
            fake.memory[k] = (uint8_t)(draw() >> 16);
        for (size_t k = 0; k < sizeof fake.memory;
             k += 32) { /* heads with any length, some whole */
            uint8_t *p = fake.memory + k;
            uint32_t size = draw() % (draw() % 2 ? 65536 : 64);
            p[4] = (uint8_t)kinds[k / 32 % 2];
            p[5] = (uint8_t)(kinds[k / 32 % 2] >> 8);
            p[6] = (uint8_t)size;
            p[7] = (uint8_t)(size >> 8);
            if (size > FAKE_MEMORY - 12 - k || draw() % 3)
                continue;
            uint32_t crc = node_crc32(0, p, 8 + size);
            for (unsigned n = 0; n < 4; n++)
                p[8 + size + n] = (uint8_t)(crc >> 8 * n);
        }
        start_both();
        assert_true(config_line_is_good(&config.kept.line));
        assert_true(settle());
        uint32_t boots = counters.now.boots;
        start_both();
        assert_int_equal(counters.now.boots, boots + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_kept_is_the_default),
        cmocka_unit_test(what_was_saved_is_there_after_a_start),
        cmocka_unit_test(counters_after_a_cut_are_the_old_or_the_new),
        cmocka_unit_test(config_after_a_cut_is_the_old_or_the_new),
        cmocka_unit_test(start_after_start_is_cut),
        cmocka_unit_test(change_during_a_save_makes_no_mix),
        cmocka_unit_test(change_during_a_save_that_is_cut_makes_no_mix),
        cmocka_unit_test(worn_cells_are_passed_over),
        cmocka_unit_test(worn_memory_is_said_and_not_written_for_ever),
        cmocka_unit_test(memory_that_is_absent_or_hangs_stops_nothing),
        cmocka_unit_test(counters_are_saved_no_more_often_than_promised),
        cmocka_unit_test(other_points_take_nothing_over_but_the_line),
        cmocka_unit_test(settings_that_cannot_be_are_the_default),
        cmocka_unit_test(another_versions_record_is_read_as_far_as_both_go),
        cmocka_unit_test(any_memory_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
