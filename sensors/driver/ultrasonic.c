#include "sensors/driver/ultrasonic.h"

#include "sensors/chip.h"

enum { FRAME = 4, HEAD = 0xFF, ASK = 0x55 };
enum { FARTHEST = 10000, NO_OBJECT = 0xFFFD }; /* mm; and above: interference */
enum { TRIES = 10, TRY_MS = 100 };

struct CHIP_STATE state {
    uint8_t last[FRAME]; /* that came */
    uint8_t n;
    uint8_t tries;
    bool wrong;
};
CHIP_STATE_OF(struct state)

static enum st start(struct sensor *s, uint16_t *ready_ms)
{
    const struct sensor_uart *uart = s->io;
    struct state *t = state_of(s);
    static const uint8_t ask = ASK;
    int32_t bottom = s->setting[1], full = s->setting[2];
    if (bottom < 0 || full < 0 || (bottom > 0 && full >= bottom))
        return ST_BAD;
    chip_uart_drain(s);
    t->n = t->tries = 0;
    t->wrong = false;
    if (s->setting[0] == 1 && uart->write(uart->ctx, &ask, 1) != ST_OK)
        return chip_failed(s, ST_IO);
    *ready_ms = TRY_MS;
    return ST_OK;
}

/* Takes a byte; whether the last four are a frame. One that says what cannot be is none: bytes of
 * two frames may look like one. */
static bool take(struct state *t, uint8_t byte)
{
    for (size_t i = 1; i < FRAME; i++)
        t->last[i - 1] = t->last[i];
    t->last[FRAME - 1] = byte;
    if (t->n < FRAME)
        t->n++;
    if (t->n < FRAME)
        return false;
    uint16_t mm = chip_be16(t->last + 1);
    if (t->last[0] == HEAD && (uint8_t)(HEAD + t->last[1] + t->last[2]) == t->last[3] &&
        (mm <= FARTHEST || mm >= NO_OBJECT))
        return true;
    t->wrong = true;
    return false;
}

/* What a distance means on this board. */
static int32_t meant(const struct sensor *s, int32_t mm)
{
    int32_t bottom = s->setting[1], full = s->setting[2];
    if (bottom == 0)
        return mm;
    if (full == 0)
        return bottom - mm;
    return (int32_t)chip_div((int64_t)(bottom - mm) * 1000, bottom - full);
}

static enum st collect(struct sensor *s, int32_t *raw, uint16_t *ready_ms)
{
    struct state *t = state_of(s);
    uint8_t bytes[16];
    size_t n;
    for (unsigned chunk = 0; chunk < 8 && (n = chip_uart(s, bytes, sizeof bytes)) > 0; chunk++)
        for (size_t i = 0; i < n; i++) {
            if (!take(t, bytes[i]))
                continue;
            uint16_t mm = chip_be16(t->last + 1);
            if (mm == 0 || mm >= NO_OBJECT)
                return chip_failed(s, ST_BAD);
            raw[0] = meant(s, mm);
            return ST_OK;
        }
    bool wrong = t->wrong;
    enum st st = chip_busy(s, &t->tries, TRIES, TRY_MS, ready_ms);
    return st == ST_NOT_FOUND && wrong ? ST_CORRUPT : st;
}

static const struct sensor_output outputs[] = {{QUANTITY_ID_distance, 0, false, 30, 4500}};
const struct sensor_driver sensor_ultrasonic = {
    .name = "ultrasonic",
    .id = SENSOR_ID_ultrasonic,
    .noutputs = 1,
    .outputs = outputs,
    .period_ds = 50,
    .start = start,
    .collect = collect,
};
