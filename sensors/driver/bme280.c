#include "sensors/driver/bme280.h"

#include "sensors/chip.h"

enum {
    REG_CALIBRATION = 0x88,
    REG_H1 = 0xA1,
    REG_H2 = 0xE1,
    REG_ID = 0xD0,
    REG_HUMIDITY = 0xF2,
    REG_STATUS = 0xF3,
    REG_MEASURE = 0xF4,
    REG_DATA = 0xF7,
};
enum { ID_BME = 0x60, ID_BMP = 0x58 };
enum { STATUS_COPIES = 0x01, STATUS_MEASURES = 0x08 };
enum { HUMIDITY_ONCE = 0x01, ALL_ONCE = 0x25 };
enum { NOT_MEASURED = 0x80000, NO_HUMIDITY = 0x8000 };
enum { MEASURE_MS = 10, TRIES = 5, TRY_MS = 3 };
enum { WORDS = 12, FIRST_PART = 16, H_BYTES = 7 };

/* What collect does next; the parts of the calibration take a call each. */
enum step { COPYING, FIRST, SECOND, THIRD, MEASURING };

struct CHIP_STATE state {
    uint8_t words[2 * WORDS]; /* T1 to T3, P1 to P9, low byte first */
    uint8_t h1, h[H_BYTES];
    bool set_up;
    uint8_t step;
    uint8_t tries;
};
CHIP_STATE_OF(struct state)

static bool has_humidity(const struct sensor *s)
{
    return s->driver->noutputs > 2;
}

/* ---- what it measured ---- */

/* T2, T3, P2 to P9 are signed, T1 and P1 are not. */
static int64_t word(const struct state *t, unsigned i)
{
    uint16_t v = chip_le16(t->words + (size_t)2 * i);
    return i == 0 || i == 3 ? (int64_t)v : (int64_t)chip_signed16(v);
}

#define TWO(n) (INT64_C(1) << (n))

/* The temperature in 1/5120 Cel: with d = adc - 16 T1 it is d T2 / 2^14 + d^2 T3 / 2^34. */
static int64_t fine_temperature(const struct state *t, int64_t adc)
{
    int64_t d = adc - 16 * word(t, 0);
    return chip_div(d * word(t, 1) * TWO(20) + d * d * word(t, 2), TWO(34));
}

/* In 1/256 Pa; below 0: its calibration is none. With u = fine - 128000:
 *   zero  = 16 P4 + u P5 / 2^14 + u^2 P6 / 2^31
 *   slope = P1 (1 + u P2 / 2^35 + u^2 P3 / 2^55)
 *   p     = (2^20 - adc - zero) 6250 / slope
 *   p    += (P7 + p P8 / 2^15 + p^2 P9 / 2^31) / 16 */
static int64_t pressure(const struct state *t, int64_t adc, int64_t fine)
{
    int64_t u = fine - 128000;
    int64_t zero = word(t, 6) * TWO(35) + u * word(t, 7) * TWO(17) + u * u * word(t, 8);
    int64_t slope = (TWO(55) + u * word(t, 4) * TWO(20) + u * u * word(t, 5)) / TWO(24);
    slope = slope * word(t, 3) / TWO(12); /* times 2^19 */
    int64_t above = ((TWO(20) - adc) * TWO(31) - zero) / TWO(12);
    if (slope <= 0 || above < 0)
        return -1;
    int64_t p = above * 6250 * 256 / slope;
    if (p > TWO(27)) /* 5 bar */
        return -1;
    int64_t more =
        word(t, 9) * 256 + p * word(t, 10) / TWO(15) + p * p / TWO(10) * word(t, 11) / TWO(29);
    return p + more / 16;
}

/* In 1/16384 %RH. With v = fine - 76800:
 *   x = adc - 64 H4 - v H5 / 2^14
 *   h = x H2 / 2^16 (1 + v H6 / 2^26 (1 + v H3 / 2^26))
 *   h = h (1 - h H1 / 2^19) */
static int64_t humidity(const struct state *t, int64_t adc, int64_t fine)
{
    const uint8_t *b = t->h; /* H2, H3, H4 and H5 of 12 bits each, H6 */
    int64_t h2 = chip_signed16(chip_le16(b)), h3 = b[2];
    int64_t h4 = (int64_t)(b[3] ^ 0x80) * 16 + (b[4] & 15) - 2048;
    int64_t h5 = (int64_t)(b[5] ^ 0x80) * 16 + (b[4] >> 4) - 2048;
    int64_t h6 = (b[6] ^ 0x80) - 128;
    int64_t v = fine - 76800;
    int64_t x = (adc - 64 * h4) * TWO(14) - v * h5;
    int64_t bend = TWO(26) + v * h6 * (TWO(26) + v * h3) / TWO(26);
    int64_t h = x * h2 / TWO(16) * bend / TWO(26);
    int64_t most = 200 * TWO(14);
    h = h < -most ? -most : h > most ? most : h;
    h -= h * h * t->h1 / TWO(33);
    most = 100 * TWO(14);
    return h < 0 ? 0 : h > most ? most : h;
}

static enum st measured(struct sensor *s, const uint8_t *data, int32_t *raw)
{
    struct state *t = state_of(s);
    int32_t adc_p = data[0] << 12 | data[1] << 4 | data[2] >> 4;
    int32_t adc_t = data[3] << 12 | data[4] << 4 | data[5] >> 4;
    uint16_t adc_h = chip_be16(data + 6);
    if (adc_p == NOT_MEASURED || adc_t == NOT_MEASURED || (has_humidity(s) && adc_h == NO_HUMIDITY))
        return chip_failed(s, ST_BAD);
    int64_t fine = fine_temperature(t, adc_t);
    int64_t p = fine > -TWO(19) && fine < TWO(19) ? pressure(t, adc_p, fine) : -1;
    if (p < 0)
        return chip_failed(s, ST_BAD);
    raw[0] = (int32_t)chip_div(fine * 5, 256);
    raw[1] = (int32_t)chip_div(p * 10, 256);
    if (has_humidity(s))
        raw[2] = (int32_t)chip_div(humidity(t, adc_h, fine) * 100, TWO(14));
    return ST_OK;
}

/* ---- how it is asked ---- */
static enum st measure(struct sensor *s, uint16_t *ready_ms)
{
    enum st st = ST_OK;
    if (has_humidity(s))
        st = chip_write8(s, REG_HUMIDITY, HUMIDITY_ONCE);
    if (st == ST_OK)
        st = chip_write8(s, REG_MEASURE, ALL_ONCE);
    if (st != ST_OK)
        return chip_failed(s, st);
    state_of(s)->step = MEASURING;
    state_of(s)->tries = 0;
    *ready_ms = MEASURE_MS;
    return ST_OK;
}

enum st sensor_bme280_start(struct sensor *s, uint16_t *ready_ms)
{
    struct state *t = state_of(s);
    uint8_t at = REG_ID, id;
    if (t->set_up)
        return measure(s, ready_ms);
    enum st st = chip_i2c(s, &at, 1, &id, 1);
    if (st == ST_OK && id != ID_BME && (has_humidity(s) || id != ID_BMP))
        st = ST_BAD;
    if (st != ST_OK)
        return chip_failed(s, st);
    t->step = COPYING;
    t->tries = 0;
    *ready_ms = 0;
    return ST_OK;
}

static enum st read(struct sensor *s, uint8_t at, uint8_t *p, size_t n)
{
    return chip_i2c(s, &at, 1, p, n);
}

/* Does a step of setting it up. */
static enum st set_up(struct sensor *s, uint16_t *ready_ms)
{
    struct state *t = state_of(s);
    enum st st = ST_OK;
    uint8_t status = 0;
    switch ((enum step)t->step) {
    case COPYING: /* its calibration, from where it keeps it, when its power came */
        st = read(s, REG_STATUS, &status, 1);
        if (st == ST_OK && status & STATUS_COPIES)
            return chip_busy(s, &t->tries, TRIES, TRY_MS, ready_ms);
        break;
    case FIRST:
        st = read(s, REG_CALIBRATION, t->words, FIRST_PART);
        break;
    case SECOND:
        st = read(s, REG_CALIBRATION + FIRST_PART, t->words + FIRST_PART, 2 * WORDS - FIRST_PART);
        if (st == ST_OK && has_humidity(s))
            st = read(s, REG_H1, &t->h1, 1);
        break;
    default:
        if (has_humidity(s))
            st = read(s, REG_H2, t->h, H_BYTES);
        if (st != ST_OK)
            break;
        t->set_up = true;
        st = measure(s, ready_ms);
        return st == ST_OK ? ST_BUSY : st;
    }
    if (st != ST_OK)
        return chip_failed(s, st);
    t->step++;
    *ready_ms = 0;
    return ST_BUSY;
}

enum st sensor_bme280_collect(struct sensor *s, int32_t *raw, uint16_t *ready_ms)
{
    struct state *t = state_of(s);
    uint8_t status, data[8] = {0};
    if (t->step != MEASURING)
        return set_up(s, ready_ms);
    enum st st = read(s, REG_STATUS, &status, 1);
    if (st == ST_OK && status & STATUS_MEASURES)
        return chip_busy(s, &t->tries, TRIES, TRY_MS, ready_ms);
    if (st == ST_OK)
        st = read(s, REG_DATA, data, has_humidity(s) ? 8 : 6);
    return st == ST_OK ? measured(s, data, raw) : chip_failed(s, st);
}

static const struct sensor_output outputs[] = {
    {QUANTITY_ID_temperature, -2, false, -4000, 8500},
    {QUANTITY_ID_pressure, -3, false, 300000, 1100000},
    {QUANTITY_ID_humidity, -2, false, 0, 10000},
};
const struct sensor_driver sensor_bme280 = {
    .name = "bme280",
    .id = SENSOR_ID_bme280,
    .noutputs = 3,
    .outputs = outputs,
    .period_ds = 100,
    .start = sensor_bme280_start,
    .collect = sensor_bme280_collect,
};
