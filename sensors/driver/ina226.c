#include "sensors/driver/ina226.h"

#include "sensors/chip.h"

enum { REG_CONFIG = 0, REG_SHUNT = 1, REG_BUS = 2, REG_MASK = 6, REG_MAKER = 0xFE };
/* 16 averages, 1.1 ms of both, once */
enum { CONFIG = 0x4523, MASK_DONE = 0x0008, MAKER = 0x5449 };
enum { CONVERSION_MS = 40, TRIES = 4, TRY_MS = 5, SHUNT_UOHM = 100000 };

struct CHIP_STATE state {
    bool known;
    uint8_t tries;
};
CHIP_STATE_OF(struct state)

static enum st start(struct sensor *s, uint16_t *ready_ms)
{
    struct state *t = state_of(s);
    uint16_t maker = MAKER;
    enum st st = ST_OK;
    if (s->setting[0] < 0)
        return ST_BAD;
    if (!t->known)
        st = chip_read16(s, REG_MAKER, &maker);
    if (st == ST_OK && maker != MAKER)
        st = ST_BAD;
    if (st == ST_OK)
        st = chip_write16(s, REG_CONFIG, CONFIG);
    if (st != ST_OK)
        return chip_failed(s, st);
    t->known = true;
    t->tries = 0;
    *ready_ms = CONVERSION_MS;
    return ST_OK;
}

static enum st collect(struct sensor *s, int32_t *raw, uint16_t *ready_ms)
{
    uint16_t config, mask, bus, shunt;
    enum st st = chip_read16(s, REG_CONFIG, &config);
    if (st == ST_OK && config != CONFIG)
        st = ST_BAD; /* it began anew, and measures otherwise */
    if (st == ST_OK)
        st = chip_read16(s, REG_MASK, &mask);
    if (st != ST_OK)
        return chip_failed(s, st);
    if (!(mask & MASK_DONE))
        return chip_busy(s, &state_of(s)->tries, TRIES, TRY_MS, ready_ms);
    st = chip_read16(s, REG_BUS, &bus);
    if (st == ST_OK)
        st = chip_read16(s, REG_SHUNT, &shunt);
    if (st != ST_OK)
        return chip_failed(s, st);
    int64_t uohm = s->setting[0] ? s->setting[0] : SHUNT_UOHM;
    int64_t nv = (int64_t)chip_signed16(shunt) * 2500;
    int64_t uv = (int64_t)bus * 1250;
    raw[0] = (int32_t)chip_div(uv, 1000);
    raw[1] = chip_clamp(chip_div(nv, uohm));
    raw[2] = chip_clamp(chip_div(nv * uv, uohm * 1000000));
    return ST_OK;
}

static const struct sensor_output outputs[] = {
    {QUANTITY_ID_voltage, -3, false, 0, 36000},
    {QUANTITY_ID_current, -3, false, -818, 818},
    {QUANTITY_ID_active_power, -3, false, -29448, 29448},
};
const struct sensor_driver sensor_ina226 = {
    .name = "ina226",
    .id = SENSOR_ID_ina226,
    .noutputs = 3,
    .outputs = outputs,
    .period_ds = 100,
    .start = start,
    .collect = collect,
};
