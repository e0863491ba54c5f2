/* A virtual TMP105. Frames: "TMP105", SBOS348, table of temperatures and their bits. */
#include "tests/sensors/bench.h"

#include "sensors/driver/tmp105.h"

static struct {
    uint16_t temperature, converted;
    uint8_t pointer, config;
    uint32_t set_ms;
} chip;

static void power(void)
{
    chip.pointer = chip.config = 0;
    chip.set_ms = bench.ms - 1000;
}

static void measures(const uint8_t *frame, size_t n)
{
    (void)n;
    chip.temperature = (uint16_t)(frame[0] << 8 | frame[1]);
    chip.converted = chip.temperature;
}

static enum st transfer(const uint8_t *w, size_t nw, uint8_t *r, size_t nr)
{
    static const uint16_t bits[] = {0xFF80, 0xFFC0, 0xFFE0, 0xFFFF};
    if (bench.ms - chip.set_ms >= 320)
        chip.converted = chip.temperature & bits[chip.config >> 5 & 3];
    if (nw > 0)
        chip.pointer = w[0] & 3;
    if (nw > 1 && chip.pointer == 1) {
        chip.config = w[1];
        chip.set_ms = bench.ms;
    }
    unsigned value = chip.pointer == 1 ? chip.config * 0x101U : chip.converted;
    for (size_t i = 0; i < nr; i++)
        r[i] = (uint8_t)(value >> (i == 0 ? 8 : 0));
    return ST_OK;
}

static const struct chip_frame frames[] = {
    {"32.4375", "20 70", ST_OK, {3244}, NULL},
    {"its highest", "7F F0", ST_OK, {12794}, NULL},
    {"100", "64 00", ST_OK, {10000}, NULL},
    {"25", "19 00", ST_OK, {2500}, NULL},
    {"0.25", "00 40", ST_OK, {25}, NULL},
    {"0", "00 00", ST_OK, {0}, NULL},
    {"-0.25", "FF C0", ST_OK, {-25}, NULL},
    {"-0.0625", "FF F0", ST_OK, {-6}, NULL},
    {"-25", "E7 00", ST_OK, {-2500}, NULL},
    {"-55", "C9 00", ST_OK, {-5500}, NULL},
    {"a line that floats", "FF FF", ST_BAD, {0}, NULL},
};

const struct chip chip_tmp105 = {
    .bus = CHIP_I2C,
    .sensor = {.driver = &sensor_tmp105, .address = 0x48},
    .power = power,
    .measures = measures,
    .transfer = transfer,
    CHIP_FRAMES(frames),
};
