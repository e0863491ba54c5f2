/* The schedule of the chips, the filter and the states. */
#include "firmware/node/measure.h"

#define AGE_MAX 65534U /* 0.1 s */
#define MILLION 1000000

static bool reached(uint32_t now_ms, uint32_t at_ms)
{
    return (int32_t)(now_ms - at_ms) >= 0;
}

uint16_t measure_period_ds(const struct measure *m, unsigned i)
{
    uint16_t set = m->config->period_ds[i];
    return set ? set : m->chips[i].driver->period_ds;
}

static uint32_t period_ms(const struct measure *m, unsigned i)
{
    return measure_period_ds(m, i) * 100U;
}

void measure_period_changed(struct measure *m, unsigned i, uint32_t now_ms)
{
    if (!m->sensor[i].trying)
        m->sensor[i].due_ms = now_ms;
}

void measure_start(struct measure *m, struct sensor *chips, unsigned n,
                   const struct config_kept *config, struct counters *counters, uint32_t now_ms)
{
    *m = (struct measure){.chips = chips, .config = config, .counters = counters};
    unsigned ncounters = 0;
    for (unsigned i = 0; i < n && i < LIMITS_SENSORS; i++) {
        const struct sensor_output *o = sensor_outputs(&chips[i]);
        unsigned outputs = o ? sensor_noutputs(&chips[i]) : 0, first = ncounters;
        for (unsigned k = 0; k < outputs; k++)
            ncounters += o[k].counter;
        if (outputs > SENSOR_OUTPUTS || m->npoints + outputs > LIMITS_POINTS ||
            ncounters > LIMITS_COUNTERS)
            return;
        struct measure_sensor *s = &m->sensor[m->nsensors++];
        s->first = m->npoints;
        s->counters = (uint8_t)first;
        s->state = NODE_STARTING;
        s->due_ms = now_ms;
        for (unsigned k = 0; k < outputs; k++)
            m->sensor_of[m->npoints++] = (uint8_t)i;
    }
}

/* ---- what a driver said -----------------------------------------------------------------------
 */

/* The next conversion begins a period after this one did, or at once when that has gone by. */
static void wait_period(struct measure *m, unsigned i, uint32_t now_ms)
{
    struct measure_sensor *s = &m->sensor[i];
    s->started = s->trying = false;
    s->due_ms = s->begun_ms + period_ms(m, i);
    if (reached(now_ms, s->due_ms))
        s->due_ms = now_ms;
}

static void failed(struct measure *m, unsigned i, enum st st, uint32_t now_ms)
{
    struct measure_sensor *s = &m->sensor[i];
    if (s->errors < UINT16_MAX)
        s->errors++;
    wait_period(m, i, now_ms);
    if (!s->doubtful) {
        s->doubtful = true;
        s->due_ms = now_ms + MEASURE_AGAIN_MS;
        return;
    }
    s->state = st == ST_NOT_FOUND || st == ST_TIMEOUT ? NODE_ABSENT : NODE_FAULT;
    s->have = 0;
}

static void measured(struct measure *m, unsigned i, const int32_t *raw, uint32_t now_ms)
{
    struct measure_sensor *s = &m->sensor[i];
    unsigned counter = s->counters;
    for (unsigned k = 0; k < sensor_noutputs(&m->chips[i]); k++) {
        int32_t *last = m->last[s->first + k];
        last[2] = last[1];
        last[1] = last[0];
        last[0] = raw[k];
        bool counts = measure_point(m, s->first + k)->counter;
        if (counts && raw[k] != SENSOR_NO_VALUE)
            counters_take(m->counters, counter, raw[k]);
        counter += counts;
    }
    if (s->have < MEASURE_MEDIAN)
        s->have = (s->have + 1U) & 3U;
    s->samples++;
    s->state = NODE_GOOD;
    s->good_ms = now_ms;
    s->ever = true;
    s->doubtful = s->old = false;
    wait_period(m, i, now_ms);
}

static void call(struct measure *m, unsigned i, uint32_t now_ms)
{
    struct measure_sensor *s = &m->sensor[i];
    struct sensor *chip = &m->chips[i];
    int32_t raw[SENSOR_OUTPUTS] = {0};
    uint16_t ready_ms = 0;
    if (!s->trying) {
        s->trying = true;
        s->begun_ms = now_ms;
    }
    enum st st = s->started ? chip->driver->collect(chip, raw, &ready_ms)
                            : chip->driver->start(chip, &ready_ms);
    if (st == ST_OK && s->started) {
        measured(m, i, raw, now_ms);
    } else if (st == ST_OK) {
        s->started = true;
        s->due_ms = now_ms + ready_ms;
    } else if (st != ST_BUSY) {
        failed(m, i, st, now_ms);
    } else if (now_ms - s->begun_ms >= MEASURE_PATIENCE * period_ms(m, i)) {
        failed(m, i, ST_TIMEOUT, now_ms);
    } else {
        s->due_ms = now_ms + (ready_ms > 0 ? ready_ms : 1U);
    }
}

/* Clocks wrap: what is over is noted before they do. */
static void note_time(struct measure_sensor *s, uint32_t now_ms)
{
    if (now_ms - s->good_ms >= AGE_MAX * 100U)
        s->old = true;
    if (s->calibrating && reached(now_ms, s->calibrating_ms))
        s->calibrating = false;
}

bool measure_turn(struct measure *m, uint32_t now_ms)
{
    for (unsigned k = 0; k < m->nsensors; k++) {
        unsigned i = m->next;
        m->next = i + 1U < m->nsensors ? (uint8_t)(i + 1) : 0;
        note_time(&m->sensor[i], now_ms);
        if (reached(now_ms, m->sensor[i].due_ms)) {
            call(m, i, now_ms);
            return true;
        }
    }
    return false;
}

/* ---- what is shown ----------------------------------------------------------------------------
 */

const struct sensor_output *measure_point(const struct measure *m, unsigned p)
{
    unsigned i = m->sensor_of[p];
    return &sensor_outputs(&m->chips[i])[p - m->sensor[i].first];
}

enum node_state measure_state(const struct measure *m, unsigned i, uint32_t now_ms)
{
    const struct measure_sensor *s = &m->sensor[i];
    if (s->state != NODE_GOOD)
        return (enum node_state)s->state;
    if (s->old || now_ms - s->good_ms > MEASURE_STALE * period_ms(m, i))
        return NODE_STALE;
    return measure_calibrating(m, i, now_ms) > 0 ? NODE_CALIBRATING : NODE_GOOD;
}

static int32_t median(int32_t a, int32_t b, int32_t c)
{
    int32_t low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

/* The newest of the last measurements, or their median where there are three. */
static int32_t filtered(const int32_t last[MEASURE_MEDIAN], unsigned have)
{
    if (have < MEASURE_MEDIAN || last[1] == SENSOR_NO_VALUE || last[2] == SENSOR_NO_VALUE)
        return last[0];
    return median(last[0], last[1], last[2]);
}

/* The number that a counter has among all counters. */
static unsigned counter_of(const struct measure *m, unsigned p)
{
    const struct measure_sensor *s = &m->sensor[m->sensor_of[p]];
    unsigned n = s->counters;
    for (unsigned k = s->first; k < p; k++)
        n += measure_point(m, k)->counter;
    return n;
}

/* measured * (1 + gain / 10^6) + offset, half away from zero; within what a register can say. */
static int32_t calibrated(int32_t raw, const struct config_calibration *c)
{
    if (c->gain == 0 && c->offset == 0 && raw != INT32_MIN)
        return raw; /* a division of 64 bits takes its time */
    int64_t v = (int64_t)raw * (MILLION + (int64_t)c->gain) + (int64_t)c->offset * MILLION;
    v = (v + (v < 0 ? -MILLION / 2 : MILLION / 2)) / MILLION;
    if (v > INT32_MAX)
        return INT32_MAX;
    return v < -INT32_MAX ? -INT32_MAX : (int32_t)v;
}

struct measure_value measure_value(const struct measure *m, unsigned p, uint32_t now_ms)
{
    unsigned i = m->sensor_of[p];
    const struct measure_sensor *s = &m->sensor[i];
    const struct sensor_output *o = measure_point(m, p);
    const int32_t *last = m->last[p];
    struct measure_value v = {NODE_NO_VALUE, (uint8_t)measure_state(m, i, now_ms), NODE_NEVER,
                              s->samples};
    if (s->ever) {
        uint32_t age_ds = (now_ms - s->good_ms) / 100;
        v.age_ds = (uint16_t)(s->old || age_ds > AGE_MAX ? AGE_MAX : age_ds);
    }
    if (v.state != NODE_GOOD && v.state != NODE_CALIBRATING)
        return v;
    if (last[0] == SENSOR_NO_VALUE) {
        v.state = NODE_FAULT;
        return v;
    }
    if (o->counter) {
        v.raw = counters_total(m->counters, counter_of(m, p));
        return v;
    }
    int32_t raw = filtered(last, s->have);
    if (v.state == NODE_GOOD && (raw < o->min || raw > o->max))
        v.state = NODE_LIMITS;
    v.raw = calibrated(raw, &m->config->calibration[p]);
    return v;
}

uint16_t measure_calibrating(const struct measure *m, unsigned i, uint32_t now_ms)
{
    const struct measure_sensor *s = &m->sensor[i];
    uint32_t left = s->calibrating_ms - now_ms;
    if (!s->calibrating || reached(now_ms, s->calibrating_ms))
        return 0;
    return (uint16_t)((left + 59999U) / 60000U);
}

void measure_calibrate(struct measure *m, unsigned i, uint16_t minutes, uint32_t now_ms)
{
    m->sensor[i].calibrating = minutes > 0;
    m->sensor[i].calibrating_ms = now_ms + minutes * 60000U;
}
