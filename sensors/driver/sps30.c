#include "sensors/driver/sps30.h"

#include "sensors/chip.h"

enum { RESET = 0xD3, MEASURE = 0x00, READ = 0x03 };
enum { FLAG = 0x7E, ESCAPE = 0x7D, TURNED = 0x20 };
enum { AT_COMMAND = 1, AT_STATE, AT_LENGTH, AT_DATA };
enum { DATA = 40, NONE = 3 };
enum {
    ANSWER_MS = 30, /* it answers within 20 */
    RESET_MS = 200,
    WARM_S = 30,
    NEW_MS = 300,
    TRIES = 12,
};

/* What it does next, with the awaited answer in. */
enum step { RESETTING, BOOTING, STARTING, WARMING, READING, WAITING };

struct CHIP_STATE state {
    uint32_t value[3]; /* IEEE 754 */
    uint8_t step;
    uint8_t tries;
    bool set_up;
    bool wrong;
    /* the frame that comes in */
    bool inside, escaped;
    uint8_t n, sum;
    uint8_t head[AT_DATA];
};
CHIP_STATE_OF(struct state)

static const uint8_t resets[] = {FLAG, 0, RESET, 0, 0x2C, FLAG};
static const uint8_t measures[] = {FLAG, 0, MEASURE, 2, 1, 3, 0xF9, FLAG}; /* as numbers */
static const uint8_t reads[] = {FLAG, 0, READ, 0, 0xFC, FLAG};

static enum st send(struct sensor *s, const uint8_t *frame, size_t n, enum step step)
{
    const struct sensor_uart *uart = s->io;
    state_of(s)->step = (uint8_t)step;
    return uart->write(uart->ctx, frame, n) == ST_OK ? ST_OK : ST_IO;
}

/* A byte of the frame: kept is what is needed of it. */
static void keep(struct state *t, uint8_t byte)
{
    static const uint8_t which[DATA / 4] = {0, 1, NONE, 2, NONE, NONE, NONE, NONE, NONE, NONE};
    t->sum = (uint8_t)(t->sum + byte);
    if (t->n < AT_DATA) {
        t->head[t->n] = byte;
    } else if (t->n < AT_DATA + DATA) {
        unsigned at = which[(t->n - AT_DATA) / 4];
        if (at < NONE)
            t->value[at] = t->value[at] << 8 | byte;
    }
    if (t->n < UINT8_MAX)
        t->n++;
}

/* Takes a byte from the line; whether it ended a frame that is whole. */
static bool take(struct state *t, uint8_t byte)
{
    if (byte == FLAG) {
        bool whole = t->inside && t->n > AT_DATA && t->n == AT_DATA + t->head[AT_LENGTH] + 1 &&
                     t->sum == 0xFF && !t->escaped;
        t->wrong = t->wrong || (t->inside && t->n > 0 && !whole);
        t->inside = !whole; /* what ends a broken one may begin the next */
        t->n = t->sum = 0;
        t->escaped = false;
        return whole;
    }
    if (!t->inside)
        return false;
    if (byte == ESCAPE) {
        t->escaped = true;
        return false;
    }
    keep(t, t->escaped ? byte ^ TURNED : byte);
    t->escaped = false;
    return false;
}

/* Whether the awaited answer came, out of at most 128 bytes. */
static bool answered(struct sensor *s, uint8_t command)
{
    struct state *t = state_of(s);
    uint8_t bytes[16];
    size_t n;
    for (unsigned chunk = 0; chunk < 8 && (n = chip_uart(s, bytes, sizeof bytes)) > 0; chunk++)
        for (size_t i = 0; i < n; i++)
            if (take(t, bytes[i]) && t->head[AT_COMMAND] == command && t->head[0] == 0)
                return true;
    return false;
}

/* A number of IEEE 754 in tenths, rounded; -1: none that can be. */
static int32_t tenths(uint32_t number)
{
    uint32_t mantissa = (number & 0x7FFFFFU) | 0x800000U;
    int shift = 150 - (int)(number >> 23 & 0xFF);
    if (number == 0x80000000U || (number & 0x80000000U) == 0) {
        if (shift > 28)
            return 0;
        return shift < 1 ? -1 : (int32_t)((mantissa * 10 + (1U << (shift - 1))) >> shift);
    }
    return -1;
}

static enum st start(struct sensor *s, uint16_t *ready_ms)
{
    struct state *t = state_of(s);
    chip_uart_drain(s);
    t->inside = t->escaped = t->wrong = false;
    t->tries = t->n = 0;
    enum st st = t->set_up ? send(s, reads, sizeof reads, READING)
                           : send(s, resets, sizeof resets, RESETTING);
    if (st != ST_OK)
        return chip_failed(s, st);
    *ready_ms = ANSWER_MS;
    return ST_OK;
}

static enum st wait(struct sensor *s, enum step step, uint16_t ms, uint16_t *ready_ms)
{
    state_of(s)->step = (uint8_t)step;
    *ready_ms = ms;
    return ST_BUSY;
}

/* A pause is over. */
static enum st goes_on(struct sensor *s, uint16_t *ready_ms)
{
    bool booted = state_of(s)->step == BOOTING;
    state_of(s)->set_up = !booted;
    enum st st = booted ? send(s, measures, sizeof measures, STARTING)
                        : send(s, reads, sizeof reads, READING);
    if (st != ST_OK)
        return chip_failed(s, st);
    *ready_ms = ANSWER_MS;
    return ST_BUSY;
}

static enum st measured(struct sensor *s, int32_t *raw)
{
    struct state *t = state_of(s);
    int32_t value[3];
    if (t->head[AT_LENGTH] != DATA)
        return chip_failed(s, ST_BAD);
    for (size_t i = 0; i < 3; i++) {
        value[i] = tenths(t->value[i]);
        if (value[i] < 0)
            return chip_failed(s, ST_BAD);
    }
    for (size_t i = 0; i < 3; i++)
        raw[i] = value[i];
    return ST_OK;
}

static enum st collect(struct sensor *s, int32_t *raw, uint16_t *ready_ms)
{
    static const uint8_t awaited[] = {[RESETTING] = RESET, [STARTING] = MEASURE, [READING] = READ};
    struct state *t = state_of(s);
    enum step step = (enum step)t->step;
    if (step == BOOTING || step == WARMING || step == WAITING)
        return goes_on(s, ready_ms);
    if (!answered(s, awaited[step])) {
        bool wrong = t->wrong;
        enum st st = chip_busy(s, &t->tries, TRIES, ANSWER_MS, ready_ms);
        return st == ST_NOT_FOUND && wrong ? ST_CORRUPT : st;
    }
    if (t->head[AT_STATE] != 0) /* a fault of its own, or a refusal */
        return chip_failed(s, ST_BAD);
    if (step == RESETTING)
        return wait(s, BOOTING, RESET_MS, ready_ms);
    if (step == STARTING) {
        int32_t warm_s = s->setting[0] == 0 ? WARM_S : s->setting[0];
        return wait(s, WARMING, (uint16_t)(warm_s < 1 ? 1000 : (warm_s > 60 ? 60 : warm_s) * 1000),
                    ready_ms);
    }
    if (t->head[AT_LENGTH] > 0)
        return measured(s, raw);
    enum st st = chip_busy(s, &t->tries, TRIES, NEW_MS, ready_ms);
    return st == ST_BUSY ? wait(s, WAITING, NEW_MS, ready_ms) : st;
}

static const struct sensor_output outputs[] = {
    {QUANTITY_ID_pm1, -1, false, 0, 10000},
    {QUANTITY_ID_pm25, -1, false, 0, 10000},
    {QUANTITY_ID_pm10, -1, false, 0, 10000},
};
const struct sensor_driver sensor_sps30 = {
    .name = "sps30",
    .id = SENSOR_ID_sps30,
    .noutputs = 3,
    .outputs = outputs,
    .period_ds = 100,
    .start = start,
    .collect = collect,
};
