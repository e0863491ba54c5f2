#include "sensors/driver/ina219.h"

#include "sensors/chip.h"

enum { REG_CONFIG = 0, REG_SHUNT = 1, REG_BUS = 2 };
/* 32 V, +-320 mV, 128 samples of both, once */
enum { CONFIG = 0x3FFB, BUS_DONE = 0x0002, BUS_SHIFT = 3, BUS_MV = 4, SHUNT_UV = 10 };
enum { CONVERSION_MS = 150, TRIES = 4, TRY_MS = 10, SHUNT_UOHM = 100000 };

struct CHIP_STATE state {
    uint8_t tries;
};
CHIP_STATE_OF(struct state)

static enum st start(struct sensor *s, uint16_t *ready_ms)
{
    if (s->setting[0] < 0)
        return ST_BAD;
    enum st st = chip_write16(s, REG_CONFIG, CONFIG);
    if (st != ST_OK)
        return chip_failed(s, st);
    state_of(s)->tries = 0;
    *ready_ms = CONVERSION_MS;
    return ST_OK;
}

static enum st collect(struct sensor *s, int32_t *raw, uint16_t *ready_ms)
{
    uint16_t config, bus, shunt;
    enum st st = chip_read16(s, REG_CONFIG, &config);
    if (st == ST_OK && config != CONFIG)
        st = ST_BAD; /* it began anew, and measures otherwise */
    if (st == ST_OK)
        st = chip_read16(s, REG_BUS, &bus);
    if (st != ST_OK)
        return chip_failed(s, st);
    if (!(bus & BUS_DONE))
        return chip_busy(s, &state_of(s)->tries, TRIES, TRY_MS, ready_ms);
    st = chip_read16(s, REG_SHUNT, &shunt);
    if (st != ST_OK)
        return chip_failed(s, st);
    int64_t uohm = s->setting[0] ? s->setting[0] : SHUNT_UOHM;
    int64_t uv = chip_signed16(shunt) * SHUNT_UV;
    int32_t mv = (bus >> BUS_SHIFT) * BUS_MV;
    raw[0] = mv;
    raw[1] = chip_clamp(chip_div(uv * 1000, uohm));
    raw[2] = chip_clamp(chip_div(uv * mv, uohm));
    return ST_OK;
}

static const struct sensor_output outputs[] = {
    {QUANTITY_ID_voltage, -3, false, 0, 26000},
    {QUANTITY_ID_current, -3, false, -3199, 3199},
    {QUANTITY_ID_active_power, -3, false, -83174, 83174},
};
const struct sensor_driver sensor_ina219 = {
    .name = "ina219",
    .id = SENSOR_ID_ina219,
    .noutputs = 3,
    .outputs = outputs,
    .period_ds = 100,
    .start = start,
    .collect = collect,
};
