/* The memory helper with virtual chips of both kinds of addresses: places, pages, the time that a
 * chip is deaf, and what goes wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "sensors/driver/24cxx.h"

static struct {
    uint8_t cells[65536];
    uint32_t bytes, page, pointer;
    uint32_t deaf_until;
    enum st fault;
} chip;
static uint32_t ms;

static uint32_t now_ms(void)
{
    return ms;
}

static enum st transfer(void *ctx, uint8_t address, const uint8_t *w, size_t nw, uint8_t *r,
                        size_t nr)
{
    uint32_t blocks = chip.bytes > 2048 || chip.bytes < 256 ? 1 : chip.bytes / 256;
    (void)ctx;
    if (chip.fault != ST_OK)
        return chip.fault;
    if (address < 0x50 || address >= 0x50 + blocks || ms < chip.deaf_until)
        return ST_NOT_FOUND;
    size_t wide = chip.bytes > 2048 ? 2 : 1;
    if (nw >= wide) {
        chip.pointer =
            wide == 2 ? (uint32_t)w[0] << 8 | w[1] : (uint32_t)(address - 0x50) << 8 | w[0];
        for (size_t i = wide; i < nw; i++) {
            chip.cells[chip.pointer % chip.bytes] = w[i];
            uint32_t first = chip.pointer / chip.page * chip.page;
            chip.pointer = first + (chip.pointer + 1 - first) % chip.page;
        }
        if (nw > wide)
            chip.deaf_until = ms + 5;
    }
    for (size_t i = 0; i < nr; i++)
        r[i] = chip.cells[chip.pointer++ % chip.bytes];
    return ST_OK;
}

static const struct sensor_i2c bus = {transfer, NULL};

static struct sensor_eeprom fresh(uint32_t bytes, uint16_t page)
{
    memset(&chip, 0, sizeof chip);
    memset(chip.cells, 0xFF, sizeof chip.cells);
    chip.bytes = bytes;
    chip.page = page;
    ms = 1000;
    return (struct sensor_eeprom){
        .bus = &bus, .now_ms = now_ms, .address = 0x50, .bytes = bytes, .page = page};
}

static void every_size_keeps_each_place(void **state)
{
    static const struct {
        uint32_t bytes;
        uint16_t page;
    } sizes[] = {{128, 8}, {256, 8}, {512, 16}, {2048, 16}, {4096, 32}, {32768, 64}, {65536, 128}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct sensor_eeprom e = fresh(sizes[i].bytes, sizes[i].page);
        uint8_t seen[8];
        for (uint32_t at = 0; at < e.bytes; at += 8) {
            uint8_t w[8] = {(uint8_t)at, (uint8_t)(at >> 8), 1, 2, 3, 4, 5, (uint8_t)(at >> 3)};
            assert_int_equal(sensor_eeprom_write(&e, at, w, 8), ST_OK);
            ms += 5;
        }
        for (uint32_t at = 0; at < e.bytes; at += 8) {
            assert_int_equal(sensor_eeprom_read(&e, at, seen, 8), ST_OK);
            assert_int_equal(seen[0] | seen[1] << 8, at);
            assert_int_equal(seen[7], at >> 3 & 0xFF);
        }
    }
}

static void while_it_writes_it_is_busy_and_then_it_is_not(void **state)
{
    struct sensor_eeprom e = fresh(4096, 32);
    uint8_t byte = 7, seen = 0;
    (void)state;
    assert_int_equal(sensor_eeprom_write(&e, 40, &byte, 1), ST_OK);
    for (int i = 0; i < 5; i++, ms++) {
        assert_int_equal(sensor_eeprom_read(&e, 40, &seen, 1), ST_BUSY);
        assert_int_equal(sensor_eeprom_write(&e, 41, &byte, 1), ST_BUSY);
    }
    assert_int_equal(sensor_eeprom_read(&e, 40, &seen, 1), ST_OK);
    assert_int_equal(seen, 7);
    assert_int_equal(chip.cells[41], 0xFF);
}

static void one_that_still_wrote_when_the_node_began_is_waited_for(void **state)
{
    struct sensor_eeprom e = fresh(4096, 32);
    uint8_t seen;
    (void)state;
    ms = 1;
    chip.deaf_until = 4;
    assert_int_equal(sensor_eeprom_read(&e, 0, &seen, 1), ST_BUSY);
    ms = 4;
    assert_int_equal(sensor_eeprom_read(&e, 0, &seen, 1), ST_OK);
}

static void one_that_stays_deaf_is_not_there(void **state)
{
    struct sensor_eeprom e = fresh(4096, 32);
    uint8_t byte = 7;
    (void)state;
    assert_int_equal(sensor_eeprom_write(&e, 0, &byte, 1), ST_OK);
    chip.fault = ST_NOT_FOUND;
    ms += SENSOR_EEPROM_WRITE_MS - 1;
    assert_int_equal(sensor_eeprom_read(&e, 0, &byte, 1), ST_BUSY);
    ms += 1;
    assert_int_equal(sensor_eeprom_read(&e, 0, &byte, 1), ST_NOT_FOUND);
    assert_int_equal(sensor_eeprom_write(&e, 0, &byte, 1), ST_NOT_FOUND);
    chip.fault = ST_OK;
    assert_int_equal(sensor_eeprom_read(&e, 0, &byte, 1), ST_OK);
}

static void what_goes_wrong_on_the_bus_is_said(void **state)
{
    struct sensor_eeprom e = fresh(4096, 32);
    uint8_t byte = 7;
    (void)state;
    chip.fault = ST_IO;
    assert_int_equal(sensor_eeprom_read(&e, 0, &byte, 1), ST_IO);
    chip.fault = ST_OK;
    assert_int_equal(sensor_eeprom_read(&e, 0, &byte, 1), ST_OK);
    chip.fault = ST_REFUSED;
    assert_int_equal(sensor_eeprom_write(&e, 0, &byte, 1), ST_REFUSED);
}

static void nothing_goes_round_a_page_or_beyond_the_end(void **state)
{
    struct sensor_eeprom e = fresh(4096, 32);
    uint8_t bytes[64] = {0};
    (void)state;
    assert_int_equal(sensor_eeprom_write(&e, 31, bytes, 2), ST_BAD);
    assert_int_equal(sensor_eeprom_write(&e, 0, bytes, 33), ST_BAD);
    assert_int_equal(sensor_eeprom_write(&e, 4096, bytes, 1), ST_BAD);
    assert_int_equal(sensor_eeprom_write(&e, UINT32_MAX, bytes, 2), ST_BAD);
    assert_int_equal(sensor_eeprom_read(&e, 4095, bytes, 2), ST_BAD);
    assert_int_equal(sensor_eeprom_read(&e, UINT32_MAX, bytes, 1), ST_BAD);
    assert_int_equal(sensor_eeprom_read(&e, 0, bytes, SIZE_MAX), ST_BAD);
    assert_int_equal(chip.cells[0], 0xFF);
    assert_int_equal(sensor_eeprom_write(&e, 4064, bytes, 32), ST_OK);
    ms += 5;
    assert_int_equal(sensor_eeprom_read(&e, 4095, bytes, 1), ST_OK);
    assert_int_equal(bytes[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_keeps_each_place),
        cmocka_unit_test(while_it_writes_it_is_busy_and_then_it_is_not),
        cmocka_unit_test(one_that_still_wrote_when_the_node_began_is_waited_for),
        cmocka_unit_test(one_that_stays_deaf_is_not_there),
        cmocka_unit_test(what_goes_wrong_on_the_bus_is_said),
        cmocka_unit_test(nothing_goes_round_a_page_or_beyond_the_end),
    };
    return cmocka_run_group_tests_name("24cxx", tests, NULL, NULL);
}
