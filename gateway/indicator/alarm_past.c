/* The windows of rain and rise after a start: from what the store has, so that a restart forgets no
 * rain. */
#include <stdlib.h>

#include "gateway/base/log.h"
#include "gateway/indicator/alarm_int.h"

/* First and last reading of each stretch in which all were good: a minute, or 15 where a site has
 * so many readings that the store tells no more. */
static void take(struct alarm *a, const struct store_chart *c, int64_t add_ms, int64_t now_ms)
{
    for (uint32_t i = 0; i < c->n; i++) {
        const struct store_chart_point *p = &c->point[i];
        int64_t from = c->from_ms + (int64_t)i * c->step_ms, to = from + c->step_ms - 1, v;
        if (p->count == 0 || p->good != p->count)
            continue;
        if (alarm_millionths(p->first, &v))
            alarm_watch_past(&a->watch, from + add_ms, v);
        if (alarm_millionths(p->last, &v))
            alarm_watch_past(&a->watch, (to < now_ms ? to : now_ms - 1) + add_ms, v);
    }
}

static enum st fill(struct alarm *a, struct store_reader *r, const struct alarms_job *job,
                    struct err *e)
{
    const struct store_series *s = store_series_at(job->store, a->series);
    int64_t now_ms = clk_now(job->clk).utc_ms, add_ms = clk_mono(job->clk).ms - now_ms;
    int64_t span = a->rule.window_ms + 3 * ALARM_MINUTE_MS;
    int64_t to_ms = now_ms - now_ms % ALARM_MINUTE_MS + ALARM_MINUTE_MS;
    const struct store_chart_ask ask = {.device = store_device_at(job->store, s->device)->id,
                                        .point = s->point,
                                        .from_ms = to_ms - span,
                                        .to_ms = to_ms,
                                        .points = (uint32_t)(span / ALARM_MINUTE_MS)};
    struct store_chart c = {.n = 0};
    enum st st = store_chart_read(r, &ask, &c, e);
    if (st == ST_OK)
        take(a, &c, add_ms, now_ms);
    store_chart_done(&c);
    return st;
}

void alarms_fill(struct alarms *x, const struct alarms_job *job)
{
    struct store_reader *r = NULL;
    struct err e = {.text = ""};
    enum st st = ST_OK;
    if (clk_now(job->clk).grade == CLK_UNKNOWN)
        return;
    for (size_t i = 0; i < x->n; i++) {
        struct alarm *a = &x->v[i];
        /* what it has read since the start is worth more than what was before */
        bool wanted = !a->filled && a->rule.window_ms > 0 && !a->watch.has;
        a->filled = true;
        if (wanted && st == ST_OK && !r)
            st = store_reader_open_in(&r, job->store, &e);
        if (wanted && st == ST_OK)
            st = fill(a, r, job, &e);
    }
    store_reader_close(r);
    if (st != ST_OK)
        log_warn("alarms begin without what was before the start: %s", e.text);
}
