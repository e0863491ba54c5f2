/* A virtual SCD4x. A frame is its three words with their check sums; the first is its data sheet's
 * example: 500 ppm, 25 Cel, 37 %. */
#include "tests/sensors/bench.h"

#include <string.h>

#include "sensors/driver/scd4x.h"

static struct {
    uint8_t frame[9], answer[9];
    size_t nanswer;
    uint32_t deaf_until_ms, answer_ms, next_ms;
    bool measuring;
} chip;

static void power(void)
{
    chip.measuring = false;
    chip.nanswer = 0;
    chip.deaf_until_ms = bench.ms + 990;
}

static void measures(const uint8_t *frame, size_t n)
{
    memcpy(chip.frame, frame, n);
}

static void answers(const uint8_t *p, size_t n)
{
    memcpy(chip.answer, p, n);
    chip.nanswer = n;
    chip.answer_ms = bench.ms + 1;
}

static enum st command(const uint8_t *w, size_t nw)
{
    bool data = chip.measuring && !bench.never_ready && (int32_t)(bench.ms - chip.next_ms) >= 0;
    unsigned code = (unsigned)w[0] << 8 | w[1];
    chip.nanswer = 0;
    if (code == 0x3F86 && nw == 2) {
        chip.measuring = false;
        chip.deaf_until_ms = bench.ms + 500;
        return ST_OK;
    }
    if (code == 0x21B1 && nw == 2 && !chip.measuring) {
        chip.measuring = true;
        chip.next_ms = bench.ms + 5000;
        return ST_OK;
    }
    if (code == 0x2427 && nw == 5 && !chip.measuring)
        return bench_crc8(0x31, 0xFF, w + 2, 2) == w[4] ? ST_OK : ST_REFUSED;
    if (code == 0xE4B8 && nw == 2) {
        uint8_t word[3] = {0x80, data ? 0x06 : 0x00};
        word[2] = bench_crc8(0x31, 0xFF, word, 2);
        answers(word, sizeof word);
        return ST_OK;
    }
    if (code == 0xEC05 && nw == 2 && data) {
        answers(chip.frame, sizeof chip.frame);
        chip.next_ms = bench.ms + 5000;
        return ST_OK;
    }
    return ST_REFUSED;
}

static enum st transfer(const uint8_t *w, size_t nw, uint8_t *r, size_t nr)
{
    if ((int32_t)(bench.ms - chip.deaf_until_ms) < 0)
        return ST_NOT_FOUND;
    if (nw > 0) {
        enum st st = command(w, nw);
        if (st != ST_OK)
            return st;
    }
    if (nr > 0) {
        if (chip.nanswer < nr || (int32_t)(bench.ms - chip.answer_ms) < 0)
            return ST_NOT_FOUND;
        memcpy(r, chip.answer, nr);
        chip.nanswer = 0;
    }
    return ST_OK;
}

static const int32_t mountain[4] = {1500};
static const struct chip_frame frames[] = {
    {"500 ppm, 25 Cel, 37 %", "01 F4 33 66 67 A2 5E B9 3C", ST_OK, {500, 2500, 3700}, NULL},
    {"in the mountains", "01 F4 33 66 67 A2 5E B9 3C", ST_OK, {500, 2500, 3700}, mountain},
    {"below zero", "9C 40 45 33 33 88 FF FF AC", ST_OK, {40000, -1000, 10000}, NULL},
    {"all lowest", "00 00 81 00 00 81 00 00 81", ST_OK, {0, -4500, 0}, NULL},
    {"the first sum is wrong", "01 F4 32 66 67 A2 5E B9 3C", ST_CORRUPT, {0}, NULL},
    {"the last sum is wrong", "01 F4 33 66 67 A2 5E B9 3D", ST_CORRUPT, {0}, NULL},
};

const struct chip chip_scd4x = {
    .bus = CHIP_I2C,
    .sensor = {.driver = &sensor_scd4x, .address = 0x62},
    .checked = true,
    .power = power,
    .measures = measures,
    .transfer = transfer,
    CHIP_FRAMES(frames),
};
