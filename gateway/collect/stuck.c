/* Sensors that say the same for too long. */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/collect/collect_int.h"

/* What was not read for a quarter of its time (or two periods, of a device that is read seldom) was
 * not seen at rest. */
#define UNSEEN 4
#define HOUR_MS INT64_C(3600000)
#define MINUTE_MS INT64_C(60000)

/* NULL: it may rest. */
static struct collect_rest *rest_of(const struct collect_device *d, size_t point)
{
    uint16_t number = d->profile->points[point].rest;
    return number ? &d->rests[number - 1] : NULL;
}

enum st collect_rests_open(struct collect_device *d, struct err *e)
{
    const struct collect_profile *p = d->profile;
    d->rests = calloc(p->nrests, sizeof *d->rests);
    if (!d->rests && p->nrests > 0)
        return err_set(e, ST_MEMORY, "collect: no memory for device %s", d->cfg->id);
    for (size_t i = 0; i < p->n; i++)
        if (p->points[i].rest)
            rest_of(d, i)->limit_ms = p->points[i].stuck_ms > 0
                                          ? p->points[i].stuck_ms
                                          : p->points[i].quantity->stuck_hours * HOUR_MS;
    return ST_OK;
}

void collect_rests_done(struct collect_device *d)
{
    free(d->rests);
    d->rests = NULL;
}

static void series_of(const struct collect_device *d, size_t point, char text[WIRE_SERIES_BYTES])
{
    (void)snprintf(text, WIRE_SERIES_BYTES, "%s/%s", d->cfg->id, d->profile->points[point].name);
}

void collect_rest_load(const struct collect_bus_job *job, struct collect_device *d, size_t point,
                       const char *text)
{
    struct collect_rest *r = rest_of(d, point);
    (void)job;
    if (r && num_parse(text, &r->v))
        r->has = r->stuck = true;
}

/* A note that cannot be written costs no more than the time over again. */
static void tell(const struct collect_bus_job *job, const struct collect_device *d, size_t point)
{
    const struct collect_rest *r = rest_of(d, point);
    char series[WIRE_SERIES_BYTES], text[NUM_TEXT_BYTES], note[STORE_NOTE_BYTES];
    series_of(d, point, series);
    (void)num_text(r->v, text);
    (void)snprintf(note, sizeof note, "%s", r->stuck ? text : "");
    enum st st = store_note_set(job->store, "stuck", series, note, NULL);
    if (r->stuck)
        store_event(job->store, STORE_WARNING, "sensor.stuck", series,
                    "it says %s for %lld %s: stuck? Flagged until it changes%s. Check the "
                    "sensor.",
                    text, (long long)(r->limit_ms / (r->limit_ms < HOUR_MS ? MINUTE_MS : HOUR_MS)),
                    r->limit_ms < HOUR_MS ? "minutes" : "hours",
                    st == ST_OK ? "" : ", or the gateway starts again");
    else
        store_event(job->store, STORE_INFO, "sensor.moves", series, "it moves again: %s", text);
}

void collect_rests_judge(const struct collect_bus_job *job, struct collect_device *d,
                         struct store_value *v)
{
    if (d->profile->nrests == 0)
        return;
    struct mono now = clk_mono(job->clk);
    for (size_t i = 0; i < collect_device_values(d); i++) {
        size_t point = collect_device_point(d, i);
        struct collect_rest *r = rest_of(d, point);
        if (!r || v[i].v.kind == NUM_NONE)
            continue;
        bool was = r->stuck;
        int64_t unseen_ms = r->limit_ms / UNSEEN;
        if (unseen_ms < 2 * d->cfg->every_ms)
            unseen_ms = 2 * d->cfg->every_ms;
        if (!r->has || num_cmp(v[i].v, r->v) != 0) {
            *r = (struct collect_rest){
                .limit_ms = r->limit_ms, .has = true, .v = v[i].v, .since = now};
        } else if (!r->stuck) {
            if (now.ms - r->last.ms > unseen_ms)
                r->since = now;
            r->stuck = now.ms - r->since.ms >= r->limit_ms;
        }
        r->last = now;
        if (r->stuck)
            v[i].q |= WIRE_Q_STUCK;
        if (r->stuck != was)
            tell(job, d, point);
    }
}
