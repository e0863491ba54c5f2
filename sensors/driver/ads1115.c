#include "sensors/driver/ads1115.h"

#include "sensors/chip.h"

enum { REG_CONVERSION = 0, REG_CONFIG = 1, INPUTS = 4 };
enum {
    CONFIG_DONE = 0x8000,   /* written, it begins a conversion */
    CONFIG_INPUT0 = 0x4000, /* to ground; the next ones at 0x1000 more each */
    CONFIG_RANGE_SHIFT = 9,
    CONFIG_SINGLE = 0x0100,
    CONFIG_8_SPS = 0x0000,
    CONFIG_NO_COMPARATOR = 0x0003,
};
enum { CONVERSION_MS = 139, TRIES = 4, TRY_MS = 5 };
/* nA */
enum { LOOP_ZERO = 4000000, LOOP_SPAN = 16000000, LOOP_LOW = 3600000, LOOP_HIGH = 21000000 };
enum { LOOP_MOST = 22 }; /* mA, that must fit the range */

/* uV at the end of the scale, by the range's number. */
enum { RANGES = 6 };
static const int32_t ranges[RANGES] = {6144000, 4096000, 2048000, 1024000, 512000, 256000};

struct CHIP_STATE state {
    int16_t code[INPUTS];
    uint16_t config; /* as written for the input that is converted */
    uint8_t range;   /* less than RANGES */
    uint8_t input;
    uint8_t tries;
};
CHIP_STATE_OF(struct state)

/* The smallest range in which the loops fit, by its number; RANGES: none. */
static unsigned range_of(const struct sensor *s)
{
    unsigned best = RANGES;
    for (unsigned i = 0; i < RANGES && s->setting[0] > 0; i++)
        if ((int64_t)s->setting[0] * LOOP_MOST <= ranges[i])
            best = i;
    return best;
}

static enum st convert(struct sensor *s, uint8_t input)
{
    struct state *t = state_of(s);
    t->input = input;
    t->tries = 0;
    t->config = (uint16_t)((CONFIG_INPUT0 + 0x1000 * input) | t->range << CONFIG_RANGE_SHIFT |
                           CONFIG_SINGLE | CONFIG_8_SPS | CONFIG_NO_COMPARATOR);
    return chip_write16(s, REG_CONFIG, t->config | CONFIG_DONE);
}

static enum st start(struct sensor *s, uint16_t *ready_ms)
{
    unsigned range = range_of(s);
    if (range >= RANGES || !s->outputs || s->noutputs < 1 || s->noutputs > INPUTS)
        return ST_BAD;
    state_of(s)->range = (uint8_t)range;
    enum st st = convert(s, 0);
    if (st != ST_OK)
        return chip_failed(s, st);
    *ready_ms = CONVERSION_MS;
    return ST_OK;
}

/* What the transmitter means by that code. */
static int32_t meant(struct sensor *s, unsigned input)
{
    const struct sensor_output *o = &s->outputs[input];
    const struct state *t = state_of(s);
    int64_t uv_1e6 = (int64_t)t->code[input] * ranges[t->range] * 1000000;
    int64_t na = chip_div(uv_1e6, (int64_t)32768 * s->setting[0]);
    if (na <= LOOP_LOW || na >= LOOP_HIGH)
        return SENSOR_NO_VALUE;
    int64_t span = (int64_t)o->max - o->min;
    return chip_clamp(o->min + chip_div((na - LOOP_ZERO) * span, LOOP_SPAN));
}

static enum st finish(struct sensor *s, int32_t *raw)
{
    bool any = false;
    for (unsigned i = 0; i < s->noutputs; i++)
        any = any || meant(s, i) != SENSOR_NO_VALUE;
    if (!any)
        return chip_failed(s, ST_BAD);
    for (unsigned i = 0; i < s->noutputs; i++)
        raw[i] = meant(s, i);
    return ST_OK;
}

static enum st collect(struct sensor *s, int32_t *raw, uint16_t *ready_ms)
{
    struct state *t = state_of(s);
    uint16_t config, code;
    enum st st = chip_read16(s, REG_CONFIG, &config);
    if (st != ST_OK)
        return chip_failed(s, st);
    if ((config & ~CONFIG_DONE) != t->config)
        return chip_failed(s, ST_BAD); /* it began anew, and measured something else */
    if (!(config & CONFIG_DONE))
        return chip_busy(s, &t->tries, TRIES, TRY_MS, ready_ms);
    st = chip_read16(s, REG_CONVERSION, &code);
    if (st != ST_OK)
        return chip_failed(s, st);
    t->code[t->input] = (int16_t)chip_signed16(code);
    if (t->input + 1 >= s->noutputs)
        return finish(s, raw);
    st = convert(s, (uint8_t)(t->input + 1));
    if (st != ST_OK)
        return chip_failed(s, st);
    *ready_ms = CONVERSION_MS;
    return ST_BUSY;
}

const struct sensor_driver sensor_ads1115 = {
    .name = "ads1115",
    .id = SENSOR_ID_ads1115,
    .period_ds = 100,
    .start = start,
    .collect = collect,
};
