#include "sensors/driver/hx711.h"

#include "sensors/chip.h"

enum { BITS = 24, LOWEST = -8388608, HIGHEST = 8388607 };
enum { SETTLE_MS = 500, TRIES = 12, TRY_MS = 50 };

struct CHIP_STATE state {
    bool settled;
    uint8_t tries;
};
CHIP_STATE_OF(struct state)

/* Clocks behind the data, by the gain; 0: no such gain. */
static unsigned more_clocks(const struct sensor *s)
{
    switch (s->setting[3]) {
    case 0:
    case 128:
        return 1;
    case 32:
        return 2;
    case 64:
        return 3;
    default:
        return 0;
    }
}

static enum st start(struct sensor *s, uint16_t *ready_ms)
{
    if (more_clocks(s) == 0 || s->setting[1] == 0 || s->setting[2] == 0)
        return ST_BAD;
    state_of(s)->tries = 0;
    if (more_clocks(s) != 1)
        state_of(s)->settled = false;
    *ready_ms = 0;
    return ST_OK;
}

static enum st collect(struct sensor *s, int32_t *raw, uint16_t *ready_ms)
{
    const struct sensor_clocked *bus = s->io;
    struct state *t = state_of(s);
    unsigned more = more_clocks(s);
    if (!bus->ready(bus->ctx))
        return chip_busy(s, &t->tries, TRIES, TRY_MS, ready_ms);
    uint32_t bits = bus->clock(bus->ctx, BITS + more);
    uint32_t left = (1U << more) - 1;
    if ((bits & left) != left)
        return chip_failed(s, ST_IO); /* it does not let go of its line */
    if (bits == (1U << (BITS + more)) - 1)
        return chip_failed(s, ST_IO); /* a cut line; by a real -1 one reading is lost */
    if (!t->settled) {
        t->settled = true;
        *ready_ms = SETTLE_MS;
        return ST_BUSY;
    }
    int32_t counts = (int32_t)(bits >> more & 0xFFFFFF);
    if (counts > HIGHEST)
        counts += 2 * LOWEST;
    if (counts == LOWEST || counts == HIGHEST)
        return chip_failed(s, ST_BAD);
    int64_t grown = ((int64_t)counts - s->setting[0]) * s->setting[2], by = s->setting[1];
    raw[0] = chip_clamp(by < 0 ? chip_div(-grown, -by) : chip_div(grown, by));
    return ST_OK;
}

static const struct sensor_output outputs[] = {
    {QUANTITY_ID_weight, -3, false, -1000000, 1000000000},
};
const struct sensor_driver sensor_hx711 = {
    .name = "hx711",
    .id = SENSOR_ID_hx711,
    .noutputs = 1,
    .outputs = outputs,
    .period_ds = 20,
    .start = start,
    .collect = collect,
};
