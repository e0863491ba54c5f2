/* A virtual DS18B20, alone on its wire. A frame is its scratchpad without the check sum, which it
 * makes, or with one. Temperatures: its data sheet's table. */
#include "tests/sensors/bench.h"

#include <string.h>

#include "sensors/driver/ds18b20.h"

static struct {
    uint8_t pad[9], temperature[2];
    uint8_t given[9];
    size_t ngiven;
    uint32_t done_ms;
    bool converting;
    enum { IDLE, ROM, FUNCTION, WRITES, READS, CONVERTS } phase;
    unsigned at;
} chip;

static void power(void)
{
    static const uint8_t fresh[8] = {0x50, 0x05, 0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10};
    memcpy(chip.pad, fresh, sizeof fresh);
    chip.converting = false;
    chip.phase = IDLE;
}

static void measures(const uint8_t *frame, size_t n)
{
    memcpy(chip.temperature, frame, 2);
    memcpy(chip.given, frame, n);
    chip.ngiven = n;
}

/* Its sum sends the low bit first: turned, so that the bench's goes the other way round. */
static uint8_t turned(uint8_t byte)
{
    uint8_t out = 0;
    for (int bit = 0; bit < 8; bit++)
        out = (uint8_t)(out << 1 | (byte >> bit & 1));
    return out;
}

static void look(void)
{
    uint8_t other[8];
    if (chip.converting && !bench.never_ready && (int32_t)(bench.ms - chip.done_ms) >= 0) {
        chip.converting = false;
        memcpy(chip.pad, chip.temperature, 2);
        if (chip.ngiven > 2)
            memcpy(chip.pad, chip.given, chip.ngiven);
    }
    for (size_t i = 0; i < sizeof other; i++)
        other[i] = turned(chip.pad[i]);
    if (chip.ngiven < 9)
        chip.pad[8] = turned(bench_crc8(0x31, 0, other, sizeof other));
}

static void wire_reset(void)
{
    look();
    chip.phase = ROM;
}

static void wire_write(uint8_t byte)
{
    look();
    switch (chip.phase) {
    case ROM:
        chip.phase = byte == 0xCC ? FUNCTION : IDLE;
        break;
    case FUNCTION:
        chip.at = 0;
        chip.phase = byte == 0x4E ? WRITES : byte == 0xBE ? READS : IDLE;
        if (byte == 0x44) {
            chip.phase = CONVERTS;
            chip.converting = true;
            chip.done_ms = bench.ms + 750;
        }
        break;
    case WRITES:
        if (chip.at < 3)
            chip.pad[2 + chip.at++] = byte;
        break;
    default:
        break;
    }
}

static uint8_t wire_read(void)
{
    look();
    if (chip.phase == CONVERTS && chip.converting)
        return 0;
    return chip.phase == READS && chip.at < 9 ? chip.pad[chip.at++] : 0xFF;
}

static const struct chip_frame frames[] = {
    {"25.0625", "91 01", ST_OK, {2506}, NULL},
    {"85 that is measured", "50 05", ST_OK, {8500}, NULL},
    {"125", "D0 07", ST_OK, {12500}, NULL},
    {"10.125", "A2 00", ST_OK, {1013}, NULL},
    {"0.5", "08 00", ST_OK, {50}, NULL},
    {"0", "00 00", ST_OK, {0}, NULL},
    {"-0.5", "F8 FF", ST_OK, {-50}, NULL},
    {"-10.125", "5E FF", ST_OK, {-1013}, NULL},
    {"-25.0625", "6F FE", ST_OK, {-2506}, NULL},
    {"-55", "90 FC", ST_OK, {-5500}, NULL},
    {"85 of a power that just came", "50 05 4B 46 7F FF 0C 10", ST_BAD, {0}, NULL},
    {"a line that is held", "00 00 00 00 00 00 00 00 00", ST_BAD, {0}, NULL},
    {"nobody on the line", "FF FF FF FF FF FF FF FF FF", ST_CORRUPT, {0}, NULL},
    {"a wrong sum", "91 01 7E 81 7F FF 0F 10 00", ST_CORRUPT, {0}, NULL},
};

const struct chip chip_ds18b20 = {
    .bus = CHIP_WIRE,
    .sensor = {.driver = &sensor_ds18b20},
    .checked = true,
    .power = power,
    .measures = measures,
    .wire_reset = wire_reset,
    .wire_write = wire_write,
    .wire_read = wire_read,
    CHIP_FRAMES(frames),
};
