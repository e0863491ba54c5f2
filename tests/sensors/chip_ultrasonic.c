/* A virtual A02YYUW (a frame each 100 ms), or JSN-SR04T that is asked. FF 07 A1 A7 is its makers'
 * example. */
#include "tests/sensors/bench.h"

#include <string.h>

#include "sensors/driver/ultrasonic.h"

static struct {
    uint8_t frame[16];
    size_t n;
    uint32_t next_ms;
    bool asked;
} chip;

static void power(void)
{
    chip.next_ms = bench.ms + 300;
    chip.asked = false;
}

static void measures(const uint8_t *frame, size_t n)
{
    memcpy(chip.frame, frame, n);
    chip.n = n;
}

static void sent(const uint8_t *p, size_t n)
{
    if (n != 1 || *p != 0x55)
        return;
    chip.asked = true;
    chip.next_ms = bench.ms + 90;
}

static void tick(void)
{
    if (bench.never_ready || (int32_t)(bench.ms - chip.next_ms) < 0)
        return;
    if (bench.sensor.setting[0] == 1 && !chip.asked)
        return;
    chip.next_ms = bench.ms + 100;
    chip.asked = false;
    bench_sends(chip.frame, chip.n);
}

static const int32_t asked[4] = {1}, level[4] = {0, 2000}, fill[4] = {0, 2000, 400};
static const int32_t upside_down[4] = {0, 400, 2000};
static const struct chip_frame frames[] = {
    {"1953 mm", "FF 07 A1 A7", ST_OK, {1953}, NULL},
    {"asked", "FF 07 A1 A7", ST_OK, {1953}, asked},
    {"the nearest", "FF 00 1E 1D", ST_OK, {30}, NULL},
    {"the farthest", "FF 11 94 A4", ST_OK, {4500}, NULL},
    {"beyond what it can", "FF 13 88 9A", ST_OK, {5000}, NULL},
    {"a level above the bottom", "FF 07 A1 A7", ST_OK, {47}, level},
    {"below the bottom", "FF 08 34 3B", ST_OK, {-100}, level},
    {"how full it is", "FF 04 B0 B3", ST_OK, {500}, fill},
    {"more than full", "FF 01 2C 2C", ST_OK, {1063}, fill},
    {"the end of another before it", "A1 A7 FF 07 A1 A7", ST_OK, {1953}, NULL},
    {"many bits", "FF 03 FF 01", ST_OK, {1023}, NULL},
    {"no echo", "FF 00 00 FF", ST_BAD, {0}, NULL},
    {"no object", "FF FF FD FB", ST_BAD, {0}, NULL},
    {"interference", "FF FF FE FC", ST_BAD, {0}, NULL},
    {"a wrong sum", "FF 07 A1 A8", ST_CORRUPT, {0}, NULL},
    {"a distance that cannot be", "FF 60 A1 00", ST_CORRUPT, {0}, NULL},
    {"full below the bottom", "FF 07 A1 A7", ST_BAD, {0}, upside_down},
};

const struct chip chip_ultrasonic = {
    .bus = CHIP_UART,
    .sensor = {.driver = &sensor_ultrasonic},
    .checked = true,
    .power = power,
    .measures = measures,
    .sent = sent,
    .tick = tick,
    CHIP_FRAMES(frames),
};
