/* A virtual SHT4x. A frame is what it answers to a read: two words and their check sums. */
#include "tests/sensors/bench.h"

#include <string.h>

#include "sensors/driver/sht4x.h"

static struct {
    uint8_t frame[6];
    uint32_t done_ms;
    bool measured;
} chip;

static void power(void)
{
    chip.measured = false;
}

static void measures(const uint8_t *frame, size_t n)
{
    memcpy(chip.frame, frame, n);
}

static bool measuring(void)
{
    return chip.measured && (bench.never_ready || (int32_t)(bench.ms - chip.done_ms) < 0);
}

static enum st transfer(const uint8_t *w, size_t nw, uint8_t *r, size_t nr)
{
    if (nw > 0) {
        if (measuring())
            return ST_NOT_FOUND;
        if (nw != 1 || w[0] != 0xFD)
            return ST_REFUSED;
        chip.measured = true;
        chip.done_ms = bench.ms + 9;
    }
    if (nr > 0) {
        if (!chip.measured || measuring() || nr > sizeof chip.frame)
            return ST_NOT_FOUND;
        memcpy(r, chip.frame, nr);
        chip.measured = false;
    }
    return ST_OK;
}

static const struct chip_frame frames[] = {
    {"25 Cel, 56.5 %", "66 66 93 80 00 A2", ST_OK, {2500, 5650}, NULL},
    {"drier than dry", "00 00 81 00 00 81", ST_OK, {-4500, 0}, NULL},
    {"wetter than wet", "FF FF AC FF FF AC", ST_OK, {13000, 10000}, NULL},
    {"below zero", "33 33 88 BE EF 92", ST_OK, {-1000, 8723}, NULL},
    {"the first sum is wrong", "66 66 92 80 00 A2", ST_CORRUPT, {0}, NULL},
    {"the second sum is wrong", "66 66 93 80 00 A3", ST_CORRUPT, {0}, NULL},
};

const struct chip chip_sht4x = {
    .bus = CHIP_I2C,
    .sensor = {.driver = &sensor_sht4x, .address = 0x44},
    .checked = true,
    .power = power,
    .measures = measures,
    .transfer = transfer,
    CHIP_FRAMES(frames),
};
