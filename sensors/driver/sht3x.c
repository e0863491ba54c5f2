#include "sensors/driver/sht3x.h"

#include "sensors/chip.h"

enum { MEASURE = 0x2400, MEASURE_MS = 16, TRIES = 3, TRY_MS = 5 };

struct CHIP_STATE state {
    uint8_t tries;
};
CHIP_STATE_OF(struct state)

static enum st start(struct sensor *s, uint16_t *ready_ms)
{
    enum st st = chip_command(s, MEASURE);
    if (st != ST_OK)
        return chip_failed(s, st);
    state_of(s)->tries = 0;
    *ready_ms = MEASURE_MS;
    return ST_OK;
}

static enum st collect(struct sensor *s, int32_t *raw, uint16_t *ready_ms)
{
    uint16_t words[2];
    enum st st = chip_read_words(s, words, 2);
    if (st == ST_NOT_FOUND)
        return chip_busy(s, &state_of(s)->tries, TRIES, TRY_MS, ready_ms);
    if (st != ST_OK)
        return chip_failed(s, st);
    raw[0] = chip_linear(words[0], -4500, 17500);
    raw[1] = chip_linear(words[1], 0, 10000);
    return ST_OK;
}

static const struct sensor_output outputs[] = {
    {QUANTITY_ID_temperature, -2, false, -4000, 12500},
    {QUANTITY_ID_humidity, -2, false, 0, 10000},
};
const struct sensor_driver sensor_sht3x = {
    .name = "sht3x",
    .id = SENSOR_ID_sht3x,
    .noutputs = 2,
    .outputs = outputs,
    .period_ds = 100,
    .start = start,
    .collect = collect,
};
