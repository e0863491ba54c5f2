/* Counters that fall or jump: what cannot be is kept and flagged, so that no difference counts it.
 *
 * Each reading is held against the last one that was believed. One that lies below it, or above it
 * by more than can be in that time, is doubted, and so is what goes on from there. A reading that
 * goes on from the believed one ends the doubt: it was a spike. A fall that stays is a reset; a
 * jump that stays is asked about, for nobody but a person knows whether a meter was changed. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/collect_int.h"

#define HOUR_MS 3600000.0
/* Meters renew their registers now and then: what a minute brings may come at once. */
#define LEAST_MS 60000
#define STAYS_READINGS 3
#define STAYS_MS 60000
#define TELL_AGAIN_MS 60000
#define CLOCK_OFF_MS 1000 /* a clock that was set in between does not tell where */
#define BESIDE_MS                                                                                  \
    3600000               /* that the time in a `meter` entry may be before the last believed one  \
                           */
#define WHOLE_STEP 0.9999 /* a fall by one step may come out a little less */
#define FLOAT_STEP 1.2e-7 /* of a value in 32 bits */

static struct num rollover_of(const struct collect_point *p)
{
    const struct collect_type_info *t = &collect_types[p->type];
    struct num raw = {.kind = NUM_DEC}, v = {.kind = NUM_NONE};
    if (p->rollover.kind != NUM_NONE)
        return p->rollover;
    if (num_double(p->offset) != 0 || num_double(p->scale) < 0)
        return v;
    if (t->form == COLLECT_UNSIGNED && t->regs < 4)
        raw.i = INT64_C(1) << 16 * t->regs;
    else if (t->form == COLLECT_BCD)
        raw.i = t->regs == 1 ? 10000 : 100000000;
    else
        return v;
    if (!num_scale(raw, p->scale, p->offset, &v))
        v.kind = NUM_NONE;
    return v;
}

/* NULL: it is no counter. */
static struct collect_counter *counter_of(const struct collect_device *d, size_t point)
{
    uint16_t number = d->profile->points[point].counter;
    return number ? &d->counters[number - 1] : NULL;
}

enum st collect_counters_open(struct collect_device *d, struct err *e)
{
    const struct collect_profile *p = d->profile;
    d->counters = calloc(p->ncounters, sizeof *d->counters);
    if (!d->counters && p->ncounters > 0)
        return err_set(e, ST_MEMORY, "collect: no memory for device %s", d->cfg->id);
    for (size_t i = 0; i < p->n; i++) {
        const struct collect_point *it = &p->points[i];
        struct collect_counter *c = counter_of(d, i);
        if (!c)
            continue;
        c->per_ms = num_double(it->max_rate.kind != NUM_NONE ? it->max_rate
                                                             : num_dec(it->quantity->most_per_hour,
                                                                       -it->quantity->decimals)) /
                    HOUR_MS;
        collect_counter_scaled(d, i);
    }
    return ST_OK;
}

void collect_counter_scaled(struct collect_device *d, size_t point)
{
    const struct collect_point *it = &d->profile->points[point];
    struct collect_counter *c = counter_of(d, point);
    if (!c)
        return;
    c->step = it->decoder.form == COLLECT_FLOAT ? 0 : fabs(num_double(it->scale));
    c->rollover = rollover_of(it);
}

void collect_counters_done(struct collect_device *d)
{
    free(d->counters);
    d->counters = NULL;
}

static void series_of(const struct collect_device *d, size_t point, char text[WIRE_SERIES_BYTES])
{
    (void)snprintf(text, WIRE_SERIES_BYTES, "%s/%s", d->cfg->id, d->profile->points[point].name);
}

/* ---- over a restart: a doubt alone; else the first reading is believed ----------------------- */

static void keep(const struct collect_bus_job *job, const struct collect_device *d, size_t point)
{
    const struct collect_counter *c = counter_of(d, point);
    char series[WIRE_SERIES_BYTES], text[STORE_NOTE_BYTES] = "";
    char base[NUM_TEXT_BYTES], odd[NUM_TEXT_BYTES];
    struct err e;
    series_of(d, point, series);
    if (c->doubted)
        (void)snprintf(text, sizeof text, "%s %" PRId64 " %s %" PRId64, num_text(c->base, base),
                       c->base_ms, num_text(c->odd, odd), c->odd_ms);
    enum st st = store_note_set(job->store, "counter", series, text, &e);
    if (st != ST_OK && st != ST_STOPPED)
        store_event(job->store, STORE_WARNING, "counter.unkept", series,
                    "a restart would not know what it showed before: %s", e.text);
}

void collect_counter_load(const struct collect_bus_job *job, struct collect_device *d, size_t point,
                          const char *text)
{
    struct clk_time t = clk_now(job->clk);
    struct mono now = clk_mono(job->clk);
    struct collect_counter *c = counter_of(d, point);
    char copy[STORE_NOTE_BYTES], *save = NULL;
    const char *part[4] = {NULL};
    (void)snprintf(copy, sizeof copy, "%s", text);
    for (size_t k = 0; k < 4 && (k == 0 || part[k - 1]); k++)
        part[k] = strtok_r(k == 0 ? copy : NULL, " ", &save);
    if (!c || !part[3] || !num_parse(part[0], &c->base) || !num_parse(part[2], &c->odd))
        return;
    c->base_ms = strtoll(part[1], NULL, 10);
    c->odd_ms = strtoll(part[3], NULL, 10);
    bool known = t.grade != CLK_UNKNOWN && t.utc_ms > c->odd_ms && c->odd_ms > c->base_ms;
    c->base_at.ms = known ? now.ms - (t.utc_ms - c->base_ms) : now.ms;
    c->odd_at.ms = known ? now.ms - (t.utc_ms - c->odd_ms) : now.ms;
    c->since = now;
    c->seen = 1;
    c->has = c->doubted = true;
}

/* ---- judging -------------------------------------------------------------------------------- */

static double most(const struct collect_counter *c, struct mono from, struct mono now, struct num v)
{
    int64_t ms = now.ms - from.ms;
    if (c->per_ms <= 0)
        return (double)INFINITY;
    return c->per_ms * (double)(ms > LEAST_MS ? ms : LEAST_MS) + c->step +
           (c->step > 0 ? 0 : FLOAT_STEP * fabs(num_double(v)));
}

static bool goes_on(const struct collect_counter *c, struct num from, struct mono at, struct num v,
                    struct mono now)
{
    return num_cmp(v, from) >= 0 && num_double(v) - num_double(from) <= most(c, at, now, v);
}

/* Whether the value lies below the believed one for its step alone, which grew: nothing fell. */
static bool coarser(const struct collect_counter *c, struct num v)
{
    double fall = num_double(c->base) - num_double(v);
    return c->has && !c->doubted && fall > 0 && fall < WHOLE_STEP * c->step;
}

/* Whether a fall is the counter's own beginning again. */
static bool rolled(const struct collect_counter *c, struct num v, struct mono now)
{
    double end = num_double(c->rollover), from = num_double(c->base), to = num_double(v);
    if (c->rollover.kind == NUM_NONE || from >= end || to < 0)
        return false;
    return c->per_ms > 0 ? end - from + to <= most(c, c->base_at, now, v)
                         : from >= 0.9 * end && to <= 0.1 * end;
}

static void believe(struct collect_counter *c, struct num v, struct clk_time t, struct mono now)
{
    c->base = v;
    c->base_ms = t.utc_ms;
    c->base_at = now;
    c->has = true;
    c->doubted = c->told = false;
}

static void doubt(struct collect_counter *c, struct num v, struct clk_time t, struct mono now,
                  bool goes)
{
    if (!goes) {
        c->since = now;
        c->seen = 0;
        c->told = false;
    }
    c->odd = v;
    c->odd_ms = t.utc_ms;
    c->odd_at = now;
    c->seen++;
    c->doubted = true;
}

/* Whether a person, or the gateway before, said that it goes on from another value. */
static bool was_said(const struct collect_bus_job *job, const struct collect_device *d,
                     size_t point, struct clk_time t)
{
    struct collect_counter *c = counter_of(d, point);
    struct store_work w;
    uint64_t works = store_works(job->store);
    if (c->doubted && works == c->works)
        return false;
    enum st st = store_work_last(job->store, d->cfg->id, d->profile->points[point].name, &w, NULL);
    if (st == ST_OK || st == ST_NOT_FOUND)
        c->works = works;
    if (st != ST_OK || w.at_ms < c->base_ms - BESIDE_MS || w.at_ms > t.utc_ms ||
        w.at_ms == c->used_ms)
        return false;
    c->used_ms = w.at_ms;
    return true;
}

/* Each kind once a minute; false: not now. */
static bool tell(const struct collect_bus_job *job, const struct collect_device *d, size_t point,
                 const char *code, struct num v, struct mono now)
{
    struct collect_counter *c = counter_of(d, point);
    char series[WIRE_SERIES_BYTES], a[NUM_TEXT_BYTES], b[NUM_TEXT_BYTES];
    struct mono *at = strcmp(code, "counter.spike") == 0 ? &c->spike_at : &c->told_at;
    if (at->ms != 0 && now.ms - at->ms < TELL_AGAIN_MS)
        return false;
    *at = now;
    series_of(d, point, series);
    const char *from = num_text(c->base, a), *to = num_text(v, b);
    if (strcmp(code, "counter.jump") == 0)
        store_event(job->store, STORE_WARNING, code, series,
                    "from %s to %s, more than can be in that time: flagged, not counted. If the "
                    "meter was changed or set: fieldpost maintain %s meter --from T last=%s "
                    "first=%s",
                    from, to, series, from, to);
    else if (strcmp(code, "counter.spike") == 0)
        store_event(job->store, STORE_INFO, code, series,
                    "%s for a moment, after %s: flagged, not counted", to, from);
    else
        store_event(job->store, STORE_WARNING, code, series,
                    "%s: from %s to %s; what was in between is not counted",
                    strcmp(code, "counter.reset") == 0 ? "it began again" : "it rolled over", from,
                    to);
    return true;
}

static void roll(const struct collect_bus_job *job, const struct collect_device *d, size_t point,
                 struct num v, struct clk_time t, struct mono now)
{
    struct collect_counter *c = counter_of(d, point);
    const char *name = d->profile->points[point].name;
    char series[WIRE_SERIES_BYTES], a[NUM_TEXT_BYTES], b[NUM_TEXT_BYTES], end[NUM_TEXT_BYTES];
    struct err e;
    /* behind the last one that was believed: this one may bear the time of its tick */
    int64_t at_ms = c->base_ms + 1, off_ms = t.utc_ms - c->base_ms - (now.ms - c->base_at.ms);
    if (t.grade == CLK_UNKNOWN || off_ms > CLOCK_OFF_MS || off_ms < -CLOCK_OFF_MS ||
        store_meter_rolled(job->store, d->cfg->id, name, at_ms, c->rollover, num_dec(0, 0), &e) !=
            ST_OK) {
        (void)tell(job, d, point, "counter.rollover", v, now);
        return;
    }
    c->used_ms = at_ms; /* it explains no other step */
    series_of(d, point, series);
    store_event(job->store, STORE_INFO, "counter.rollover", series,
                "it rolled over at %s: from %s to %s, which is counted", num_text(c->rollover, end),
                num_text(c->base, a), num_text(v, b));
}

/* Whether the value is believed. */
static bool judge(const struct collect_bus_job *job, const struct collect_device *d, size_t point,
                  struct num v, struct clk_time t, struct mono now)
{
    struct collect_counter *c = counter_of(d, point);
    bool on = c->has && goes_on(c, c->base, c->base_at, v, now);
    bool odd_on = c->doubted && goes_on(c, c->odd, c->odd_at, v, now);
    bool fell = c->doubted && num_cmp(c->odd, c->base) < 0;
    if (!c->has || (!c->doubted && on) || was_said(job, d, point, t)) {
        believe(c, v, t, now);
        return true;
    }
    if (coarser(c, v))
        return false;
    if (!c->doubted && rolled(c, v, now)) {
        roll(job, d, point, v, t, now);
        believe(c, v, t, now);
        return true;
    }
    /* time makes a jump possible that was not: what goes on from it stays in doubt */
    if (c->doubted && on && (fell || !odd_on)) {
        (void)tell(job, d, point, "counter.spike", c->odd, now);
        believe(c, v, t, now);
        return true;
    }
    doubt(c, v, t, now, odd_on);
    if (c->seen < STAYS_READINGS)
        return false;
    if (num_cmp(v, c->base) < 0 && now.ms - c->since.ms >= STAYS_MS) {
        (void)tell(job, d, point, "counter.reset", v, now);
        believe(c, v, t, now);
        return true;
    }
    if (num_cmp(v, c->base) > 0 && !c->told)
        c->told = tell(job, d, point, "counter.jump", v, now);
    return false;
}

void collect_counters_judge(const struct collect_bus_job *job, struct collect_device *d,
                            struct store_value *v)
{
    if (d->profile->ncounters == 0)
        return;
    struct clk_time t = clk_now(job->clk);
    struct mono now = clk_mono(job->clk);
    for (size_t i = 0; i < collect_device_values(d); i++) {
        size_t point = collect_device_point(d, i);
        struct collect_counter *c = counter_of(d, point);
        /* what bears a flag is not counted as it is */
        if (!c || v[i].v.kind == NUM_NONE || v[i].q != 0)
            continue;
        bool before = c->doubted;
        if (!judge(job, d, point, v[i].v, t, now))
            v[i].q |= WIRE_Q_LIMITS;
        if (c->doubted != before)
            keep(job, d, point);
    }
}
