/* What a row of readings says: over its limit, under it again, or nothing. A reading counts for
 * what is certain from it: an alarm is raised by what has happened at least, and cleared by what
 * can have happened at most, so that readings that lack do neither. */
#include <math.h>
#include <stdlib.h>

#include "gateway/indicator/alarm_int.h"

#define MILLION 1e6
#define LARGEST 9e12 /* in its unit */
/* A step of a counter bears the growth of its time and of so much more: clocks and polls jitter. */
#define JITTER_MS (5 * ALARM_MINUTE_MS)

bool alarm_millionths(struct num v, int64_t *out)
{
    double d = num_double(v);
    if (v.kind == NUM_NONE || !(d > -LARGEST && d < LARGEST))
        return false;
    *out = llround(d * MILLION);
    return true;
}

enum st alarm_watch_open(struct alarm_watch *w, const struct alarm_rule *rule, int64_t now_ms,
                         struct err *e)
{
    *w = (struct alarm_watch){.rule = *rule, .over_ms = INT64_MIN, .heard_ms = now_ms};
    /* a mark for each minute, one before the window, and one for each end's part of a minute */
    w->size = rule->window_ms > 0 ? (size_t)(rule->window_ms / ALARM_MINUTE_MS) + 3 : 0;
    w->mark = w->size ? calloc(w->size, sizeof *w->mark) : NULL;
    return w->size && !w->mark ? err_set(e, ST_MEMORY, "no memory for alarms") : ST_OK;
}

void alarm_watch_done(struct alarm_watch *w)
{
    free(w->mark);
    w->mark = NULL;
}

/* ---- the window ----------------------------------------------------------------------------- */

static struct alarm_mark *at(const struct alarm_watch *w, size_t i)
{
    return &w->mark[(w->first + i) % w->size];
}

static void mark_put(struct alarm_watch *w, int64_t t_ms, int64_t v)
{
    int64_t from = t_ms - w->rule.window_ms;
    if (w->n && at(w, w->n - 1)->t_ms / ALARM_MINUTE_MS == t_ms / ALARM_MINUTE_MS)
        return;
    /* of those before the window the last one stays: where it began */
    while (w->n > 1 && (at(w, 1)->t_ms <= from || w->n == w->size)) {
        w->first = (w->first + 1) % w->size;
        w->n--;
    }
    w->n++;
    *at(w, w->n - 1) = (struct alarm_mark){t_ms, v};
}

/* A fall is a new beginning, and a leap that no rain makes is none: both add nothing. */
static int64_t growth(const struct alarm_watch *w, int64_t t_ms, int64_t v)
{
    int64_t step = v - w->last;
    double hours = (double)(t_ms - w->last_ms + JITTER_MS) / ALARM_HOUR_MS;
    bool leap = w->rule.most_per_h > 0 && (double)step > (double)w->rule.most_per_h * hours;
    return w->has && step > 0 && !leap ? step : 0;
}

/* false: it is not newer. */
static bool put(struct alarm_watch *w, int64_t t_ms, int64_t v)
{
    if (w->has && t_ms <= w->last_ms)
        return false;
    if (!w->has || t_ms - w->last_ms > w->rule.silent_ms)
        w->whole_ms = t_ms;
    if (w->rule.kind == ALARM_RAIN)
        w->total += growth(w, t_ms, v);
    w->last = v;
    w->last_ms = t_ms;
    w->has = true;
    if (w->size)
        mark_put(w, t_ms, w->rule.kind == ALARM_RAIN ? w->total : v);
    return true;
}

void alarm_watch_past(struct alarm_watch *w, int64_t t_ms, int64_t v)
{
    (void)put(w, t_ms, v);
}

/* ---- what is certain ------------------------------------------------------------------------ */

struct certain {
    int64_t least, most;
    bool bounded; /* most is known */
};

/* Growth since the window's start. The mark before it may be old, after a silence: what fell since
 * then may have fallen before the window. */
static struct certain rain(const struct alarm_watch *w)
{
    int64_t from = w->last_ms - w->rule.window_ms;
    const struct alarm_mark *base = at(w, 0), *in = base;
    bool before = base->t_ms <= from;
    if (before && from - base->t_ms > 2 * ALARM_MINUTE_MS && w->n > 1)
        in = at(w, 1);
    return (struct certain){w->total - in->v, w->total - base->v, before};
}

/* Height over the lowest of the window that a second reading bears out: one reading too low would
 * stand for a rise as long as the window is. */
static struct certain rise(const struct alarm_watch *w)
{
    int64_t from = w->last_ms - w->rule.window_ms - 2 * ALARM_MINUTE_MS;
    int64_t low = INT64_MAX, second = INT64_MAX;
    for (size_t i = 0; i < w->n; i++) {
        int64_t v = at(w, i)->v;
        if (at(w, i)->t_ms < from)
            continue;
        second = v < low ? low : v < second ? v : second;
        low = v < low ? v : low;
    }
    int64_t up = second == INT64_MAX ? 0 : w->last - second;
    return (struct certain){up, up, w->whole_ms <= w->last_ms - w->rule.window_ms};
}

static struct certain certain(const struct alarm_watch *w)
{
    switch (w->rule.kind) {
    case ALARM_RAIN:
        return rain(w);
    case ALARM_RISE:
        return rise(w);
    case ALARM_ABOVE:
    case ALARM_BELOW:
        break;
    }
    return (struct certain){w->last, w->last, true};
}

/* ---- states --------------------------------------------------------------------------------- */

static bool is_over(const struct alarm_watch *w, struct certain c)
{
    return w->rule.kind == ALARM_BELOW ? c.most <= w->rule.limit : c.least >= w->rule.limit;
}

static bool is_past(const struct alarm_watch *w, struct certain c)
{
    return c.bounded &&
           (w->rule.kind == ALARM_BELOW ? c.least >= w->rule.clear : c.most <= w->rule.clear);
}

void alarm_watch_take(struct alarm_watch *w, int64_t t_ms, int64_t v)
{
    bool silence = w->has && t_ms - w->last_ms > w->rule.silent_ms;
    if (!put(w, t_ms, v))
        return;
    struct certain c = certain(w);
    w->heard_ms = t_ms;
    w->silent = false;
    w->figure = c.least;
    if (!is_over(w, c))
        w->over_ms = INT64_MIN;
    else if (w->over_ms == INT64_MIN || silence) /* nobody knows how it was meanwhile */
        w->over_ms = t_ms;
    if (w->raised && is_past(w, c)) {
        w->raised = w->acknowledged = false;
    } else if (!w->raised && w->over_ms != INT64_MIN && t_ms - w->over_ms >= w->rule.for_ms) {
        w->raised = true;
    }
}

void alarm_watch_tick(struct alarm_watch *w, int64_t now_ms)
{
    if (now_ms - w->heard_ms > w->rule.silent_ms)
        w->silent = true;
}

enum alarm_state alarm_watch_state(const struct alarm_watch *w)
{
    if (w->silent)
        return w->raised ? ALARM_UNKNOWN : ALARM_BLIND;
    return !w->raised ? ALARM_QUIET : w->acknowledged ? ALARM_ACKNOWLEDGED : ALARM_RAISED;
}
