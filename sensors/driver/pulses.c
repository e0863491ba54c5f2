#include "sensors/driver/pulses.h"

#include "sensors/chip.h"

struct CHIP_STATE state {
    uint32_t seen;  /* pulses */
    uint32_t total; /* steps */
    uint32_t rest;  /* of a step, in pulses * [0] */
};
CHIP_STATE_OF(struct state)

static enum st start(struct sensor *s, uint16_t *ready_ms)
{
    *ready_ms = 0;
    return s->setting[0] >= 0 && s->setting[1] >= 0 ? ST_OK : ST_BAD;
}

static enum st collect(struct sensor *s, int32_t *raw, uint16_t *ready_ms)
{
    const struct sensor_pulses *pulses = s->io;
    struct state *t = state_of(s);
    uint32_t steps = s->setting[0] ? (uint32_t)s->setting[0] : 1;
    uint32_t each = s->setting[1] ? (uint32_t)s->setting[1] : 1;
    uint32_t count = pulses->count(pulses->ctx);
    (void)ready_ms;
    uint64_t grown = (uint64_t)(count - t->seen) * steps + t->rest;
    t->seen = count;
    t->rest = (uint32_t)(grown % each);
    t->total = (uint32_t)(t->total + grown / each) & INT32_MAX;
    raw[0] = (int32_t)t->total;
    return ST_OK;
}

const struct sensor_driver sensor_pulses = {
    .name = "pulses",
    .id = SENSOR_ID_pulses,
    .period_ds = 50,
    .start = start,
    .collect = collect,
};
