#include "sensors/driver/scd4x.h"

#include "sensors/chip.h"

enum { STOP = 0x3F86, ALTITUDE = 0x2427, MEASURE = 0x21B1, IS_READY = 0xE4B8, READ = 0xEC05 };
enum { WAKE_MS = 1000, STOP_MS = 500, FIRST_MS = 5100, ANSWER_MS = 2, AGAIN_MS = 500, TRIES = 12 };
enum { READY_BITS = 0x07FF };

/* What collect does next. */
enum step { STOPPING, SETTING, MEASURING, ASKING, ASKED, FETCHING };

struct CHIP_STATE state {
    bool set_up;
    uint8_t step;
    uint8_t tries;
};
CHIP_STATE_OF(struct state)

static enum st start(struct sensor *s, uint16_t *ready_ms)
{
    struct state *t = state_of(s);
    t->tries = 0;
    t->step = t->set_up ? ASKING : STOPPING;
    *ready_ms = t->set_up ? 0 : WAKE_MS;
    return ST_OK;
}

/* Sends a command, and says what comes next and when. */
static enum st tell(struct sensor *s, uint16_t command, enum step next, uint16_t ms,
                    uint16_t *ready_ms)
{
    enum st st = chip_command(s, command);
    if (st != ST_OK)
        return chip_failed(s, st);
    state_of(s)->step = (uint8_t)next;
    state_of(s)->set_up = next > MEASURING;
    *ready_ms = ms;
    return ST_BUSY;
}

static enum st set_altitude(struct sensor *s, uint16_t *ready_ms)
{
    uint8_t w[5] = {ALTITUDE >> 8, ALTITUDE & 0xFF, (uint8_t)(s->setting[0] >> 8),
                    (uint8_t)s->setting[0]};
    w[4] = chip_crc_sensirion(w + 2, 2);
    enum st st = chip_i2c(s, w, sizeof w, NULL, 0);
    if (st != ST_OK)
        return chip_failed(s, st);
    state_of(s)->step = MEASURING;
    *ready_ms = ANSWER_MS;
    return ST_BUSY;
}

/* Whether there is data. */
static enum st asked(struct sensor *s, uint16_t *ready_ms)
{
    uint16_t word;
    enum st st = chip_read_words(s, &word, 1);
    if (st != ST_OK)
        return chip_failed(s, st);
    if (word & READY_BITS)
        return tell(s, READ, FETCHING, ANSWER_MS, ready_ms);
    state_of(s)->step = ASKING;
    return chip_busy(s, &state_of(s)->tries, TRIES, AGAIN_MS, ready_ms);
}

static enum st fetch(struct sensor *s, int32_t *raw)
{
    uint16_t words[3];
    enum st st = chip_read_words(s, words, 3);
    if (st != ST_OK)
        return chip_failed(s, st);
    raw[0] = words[0];
    raw[1] = chip_linear(words[1], -4500, 17500);
    raw[2] = chip_linear(words[2], 0, 10000);
    return ST_OK;
}

static enum st collect(struct sensor *s, int32_t *raw, uint16_t *ready_ms)
{
    switch ((enum step)state_of(s)->step) {
    case STOPPING:
        return tell(s, STOP, s->setting[0] ? SETTING : MEASURING, STOP_MS, ready_ms);
    case SETTING:
        return set_altitude(s, ready_ms);
    case MEASURING:
        return tell(s, MEASURE, ASKING, FIRST_MS, ready_ms);
    case ASKING:
        return tell(s, IS_READY, ASKED, ANSWER_MS, ready_ms);
    case ASKED:
        return asked(s, ready_ms);
    case FETCHING:
        break;
    }
    return fetch(s, raw);
}

static const struct sensor_output outputs[] = {
    {QUANTITY_ID_co2, 0, false, 0, 40000},
    {QUANTITY_ID_temperature, -2, false, -1000, 6000},
    {QUANTITY_ID_humidity, -2, false, 0, 10000},
};
const struct sensor_driver sensor_scd4x = {
    .name = "scd4x",
    .id = SENSOR_ID_scd4x,
    .noutputs = 3,
    .outputs = outputs,
    .period_ds = 100,
    .start = start,
    .collect = collect,
};
