#include "tests/sensors/bme280_model.h"

#include <string.h>

static struct {
    uint8_t id, regs[256], frame[8];
    uint8_t osrs_h; /* in force */
    uint8_t calibration[256];
    uint32_t done_ms, copied_ms;
    bool measuring;
} chip;

static void word(uint8_t at, int value)
{
    chip.calibration[at] = (uint8_t)value;
    chip.calibration[at + 1] = (uint8_t)(value >> 8);
}

void bme280_is(uint8_t id, const struct bme280_calibration *c)
{
    const int words[] = {c->t1, c->t2, c->t3, c->p1, c->p2, c->p3,
                         c->p4, c->p5, c->p6, c->p7, c->p8, c->p9};
    chip.id = id;
    memset(chip.calibration, 0, sizeof chip.calibration);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        word((uint8_t)(0x88 + 2 * i), words[i]);
    if (id != 0x60)
        return;
    chip.calibration[0xA1] = (uint8_t)c->h1;
    word(0xE1, c->h2);
    chip.calibration[0xE3] = (uint8_t)c->h3;
    chip.calibration[0xE4] = (uint8_t)(c->h4 >> 4);
    chip.calibration[0xE5] = (uint8_t)((c->h4 & 15) | (c->h5 & 15) << 4);
    chip.calibration[0xE6] = (uint8_t)(c->h5 >> 4);
    chip.calibration[0xE7] = (uint8_t)c->h6;
}

void bme280_power(void)
{
    memset(chip.regs, 0, sizeof chip.regs);
    memcpy(chip.regs + 0xF7, "\x80\x00\x00\x80\x00\x00\x80\x00", 8);
    chip.measuring = false;
    chip.copied_ms = bench.ms + 3;
}

void bme280_measures(const uint8_t *frame, size_t n)
{
    memcpy(chip.frame, frame, n);
}

/* What has come to its end until now. */
static void look(void)
{
    bool copies = (int32_t)(bench.ms - chip.copied_ms) < 0;
    if (chip.measuring && !bench.never_ready && (int32_t)(bench.ms - chip.done_ms) >= 0) {
        memcpy(chip.regs + 0xF7, chip.frame, 8);
        if (chip.id == 0x60 && !chip.osrs_h)
            memcpy(chip.regs + 0xFD, "\x80\x00", 2);
        if (!(chip.regs[0xF4] >> 5))
            memcpy(chip.regs + 0xFA, "\x80\x00", 3);
        if (!(chip.regs[0xF4] >> 2 & 7))
            memcpy(chip.regs + 0xF7, "\x80\x00", 3);
        chip.measuring = false;
        chip.regs[0xF4] &= 0xFC;
    }
    chip.regs[0xD0] = chip.id;
    chip.regs[0xF3] = (uint8_t)((copies ? 1 : 0) | (chip.measuring ? 8 : 0));
    for (int i = 0x88; i < 0xE8; i++)
        if (i < 0xA2 || i > 0xE0)
            chip.regs[i] = copies ? 0xFF : chip.calibration[i];
}

enum st bme280_transfer(const uint8_t *w, size_t nw, uint8_t *r, size_t nr)
{
    look();
    for (size_t i = 0; i + 1 < nw; i += 2) {
        if (w[i] != 0xF2 && w[i] != 0xF4 && w[i] != 0xF5)
            return ST_REFUSED;
        chip.regs[w[i]] = w[i + 1];
        if (w[i] == 0xF4) {
            chip.osrs_h = chip.regs[0xF2] & 7;
            chip.measuring = (w[i + 1] & 3) == 1;
            chip.done_ms = bench.ms + 10;
        }
    }
    for (size_t i = 0; i < nr; i++)
        r[i] = chip.regs[(w[0] + i) % 256];
    return ST_OK;
}
