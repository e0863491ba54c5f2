#include "sensors/driver/ds18b20.h"

#include "sensors/chip.h"

enum { SKIP_ROM = 0xCC };
enum { WRITE_PAD = 0x4E, CONVERT = 0x44, READ_PAD = 0xBE, PAD = 9 };
enum { AT_HIGH_ALARM = 2, AT_LOW_ALARM, AT_CONFIG };
enum { HIGH_ALARM = 0x7E, LOW_ALARM = 0x81, CONFIG_12_BITS = 0x7F };
enum { CONVERT_MS = 750, TRIES = 5, TRY_MS = 20 };
enum { CALL_US = 1950, RESET_US = 960, BYTE_US = 560 };

/* Each is a reset, a call to all, which is it alone, a command and its bytes. */
enum task { SETTING, CONVERTING, READING };
static const struct {
    uint8_t n, write[5];
    uint8_t nread;
} tasks[] = {
    [SETTING] = {5, {SKIP_ROM, WRITE_PAD, HIGH_ALARM, LOW_ALARM, CONFIG_12_BITS}, 0},
    [CONVERTING] = {2, {SKIP_ROM, CONVERT}, 1},
    [READING] = {2, {SKIP_ROM, READ_PAD}, PAD},
};

struct CHIP_STATE state {
    bool set_up;
    uint8_t task;
    uint8_t at; /* 0: the reset, then its bytes */
    uint8_t tries;
    uint8_t pad[PAD];
};
CHIP_STATE_OF(struct state)

/* Goes on with its task as far as a call may that already took `us`; ST_OK: it is done, ST_BUSY: it
 * is not. */
static enum st go_on(struct sensor *s, unsigned us)
{
    const struct sensor_wire *wire = s->io;
    struct state *t = state_of(s);
    unsigned written = 1U + tasks[t->task].n, all = written + tasks[t->task].nread;
    for (; t->at < all; t->at++) {
        us += t->at == 0 ? RESET_US : BYTE_US;
        if (us > CALL_US)
            return ST_BUSY;
        if (t->at == 0) {
            enum st st = wire->reset(wire->ctx);
            if (st != ST_OK)
                return st;
        } else if (t->at < written) {
            wire->write(wire->ctx, tasks[t->task].write[t->at - 1]);
        } else {
            t->pad[t->at - written] = wire->read(wire->ctx);
        }
    }
    return ST_OK;
}

static void begin(struct state *t, enum task task)
{
    t->task = (uint8_t)task;
    t->at = 0;
}

static enum st start(struct sensor *s, uint16_t *ready_ms)
{
    struct state *t = state_of(s);
    begin(t, t->set_up ? CONVERTING : SETTING);
    t->tries = 0;
    enum st st = go_on(s, 0);
    if (st != ST_OK && st != ST_BUSY)
        return chip_failed(s, st);
    *ready_ms = 1;
    return ST_OK;
}

static enum st measured(struct sensor *s, int32_t *raw)
{
    struct state *t = state_of(s);
    const uint8_t *p = t->pad;
    if (chip_crc_wire(p, PAD - 1) != p[PAD - 1])
        return chip_failed(s, ST_CORRUPT);
    if (p[AT_HIGH_ALARM] != HIGH_ALARM || p[AT_LOW_ALARM] != LOW_ALARM ||
        p[AT_CONFIG] != CONFIG_12_BITS)
        return chip_failed(s, ST_BAD);
    raw[0] = (int32_t)chip_div(chip_signed16(chip_le16(p)) * 100, 16);
    return ST_OK;
}

static enum st collect(struct sensor *s, int32_t *raw, uint16_t *ready_ms)
{
    const struct sensor_wire *wire = s->io;
    struct state *t = state_of(s);
    unsigned us = 0;
    if (t->task == READING && t->at == 0) {
        us = BYTE_US;
        if (wire->read(wire->ctx) != 0xFF) /* it still converts */
            return chip_busy(s, &t->tries, TRIES, TRY_MS, ready_ms);
    }
    enum st st = go_on(s, us);
    if (st != ST_OK && st != ST_BUSY)
        return chip_failed(s, st);
    *ready_ms = 1;
    if (st == ST_BUSY)
        return ST_BUSY;
    if (t->task == READING)
        return measured(s, raw);
    if (t->task == CONVERTING) {
        if (t->pad[0] != 0)
            return chip_failed(s, ST_BAD); /* it does not convert: the command was lost */
        *ready_ms = CONVERT_MS;
    }
    t->set_up = true;
    begin(t, t->task == SETTING ? CONVERTING : READING);
    return ST_BUSY;
}

static const struct sensor_output outputs[] = {
    {QUANTITY_ID_temperature, -2, false, -5500, 12500},
};
const struct sensor_driver sensor_ds18b20 = {
    .name = "ds18b20",
    .id = SENSOR_ID_ds18b20,
    .noutputs = 1,
    .outputs = outputs,
    .period_ds = 100,
    .start = start,
    .collect = collect,
};
