#include "sensors/driver/pms5003.h"

#include "sensors/chip.h"

enum {
    FRAME = 32,
    LENGTH = 28, /* of what follows it */
    AT_PM1 = 10,
    AT_ERROR = 29,
    WARM_S = 30,
    TRY_MS = 500, /* ten of them hold two of its longest pauses */
    TRIES = 10,
};

struct CHIP_STATE state {
    uint8_t frame[FRAME];
    uint8_t n;
    uint8_t tries;
    bool warm, warming;
    bool wrong; /* something came that is no frame */
};
CHIP_STATE_OF(struct state)

/* Whether the n bytes may begin a frame. */
static bool begins(const uint8_t *p, size_t n)
{
    static const uint8_t head[] = {0x42, 0x4D, 0, LENGTH};
    for (size_t i = 0; i < n && i < sizeof head; i++)
        if (p[i] != head[i])
            return false;
    return true;
}

/* Drops the first byte, and what then cannot begin a frame. */
static void drop(struct state *t)
{
    uint8_t from = 1;
    t->wrong = true;
    while (from < t->n && !begins(t->frame + from, (size_t)(t->n - from)))
        from++;
    for (uint8_t i = from; i < t->n; i++)
        t->frame[i - from] = t->frame[i];
    t->n = (uint8_t)(t->n - from);
}

/* Takes a byte; whether a whole frame stands there. */
static bool take(struct state *t, uint8_t byte)
{
    unsigned sum = 0;
    t->frame[t->n++] = byte;
    if (!begins(t->frame, t->n))
        drop(t);
    if (t->n < FRAME)
        return false;
    for (size_t i = 0; i < FRAME - 2; i++)
        sum += t->frame[i];
    if (sum == chip_be16(t->frame + FRAME - 2))
        return true;
    drop(t);
    return false;
}

static enum st start(struct sensor *s, uint16_t *ready_ms)
{
    struct state *t = state_of(s);
    chip_uart_drain(s);
    t->n = t->tries = 0;
    t->wrong = false;
    *ready_ms = TRY_MS;
    if (t->warm)
        return ST_OK;
    int32_t warm_s = s->setting[0] == 0 ? WARM_S : s->setting[0];
    t->warming = warm_s > 0;
    t->warm = !t->warming;
    if (t->warming)
        *ready_ms = (uint16_t)((warm_s > 60 ? 60 : warm_s) * 1000);
    return ST_OK;
}

static enum st collect(struct sensor *s, int32_t *raw, uint16_t *ready_ms)
{
    struct state *t = state_of(s);
    uint8_t bytes[16];
    size_t n;
    if (t->warming) {
        t->warming = false;
        t->warm = true;
        chip_uart_drain(s);
        t->n = 0;
        *ready_ms = TRY_MS;
        return ST_BUSY;
    }
    for (unsigned chunk = 0; chunk < 8 && (n = chip_uart(s, bytes, sizeof bytes)) > 0; chunk++)
        for (size_t i = 0; i < n; i++) {
            if (!take(t, bytes[i]))
                continue;
            if (t->frame[AT_ERROR] != 0)
                return chip_failed(s, ST_BAD);
            for (size_t k = 0; k < 3; k++)
                raw[k] = chip_be16(t->frame + AT_PM1 + 2 * k);
            return ST_OK;
        }
    bool wrong = t->wrong;
    enum st st = chip_busy(s, &t->tries, TRIES, TRY_MS, ready_ms);
    return st == ST_NOT_FOUND && wrong ? ST_CORRUPT : st;
}

static const struct sensor_output outputs[] = {
    {QUANTITY_ID_pm1, 0, false, 0, 1000},
    {QUANTITY_ID_pm25, 0, false, 0, 1000},
    {QUANTITY_ID_pm10, 0, false, 0, 1000},
};
const struct sensor_driver sensor_pms5003 = {
    .name = "pms5003",
    .id = SENSOR_ID_pms5003,
    .noutputs = 3,
    .outputs = outputs,
    .period_ds = 100,
    .start = start,
    .collect = collect,
};
