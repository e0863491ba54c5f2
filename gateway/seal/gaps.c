#include "gateway/seal/gaps_int.h"

#include <stdlib.h>
#include <string.h>

#define CLOSED_FULL 4096 /* gaps that wait: a window is cut; a whole tick still fits */
#define ABSENT_MAX 65536 /* series that are due and not configured */

int64_t gaps_align_up(int64_t t, int64_t step)
{
    if (step <= 0)
        return t;
    int64_t rest = t % step;
    return rest == 0 ? t : rest > 0 ? t + step - rest : t - rest;
}

static enum st no_memory(struct err *e)
{
    return err_set(e, ST_MEMORY, "seal: no memory for gaps");
}

/* Room for what n series may tell. */
static enum st room(struct gaps *g, uint32_t n, struct err *e)
{
    size_t most = CLOSED_FULL + 2 * (size_t)n;
    struct gaps_track *track = reallocarray(g->track, n + (size_t)1, sizeof *track);
    if (track)
        g->track = track;
    struct gaps_row *closed = reallocarray(g->closed, most, sizeof *closed);
    if (closed)
        g->closed = closed;
    if (!track || !closed)
        return no_memory(e);
    g->max_closed = most;
    return ST_OK;
}

enum st gaps_open(struct gaps **out, const struct store *s, struct err *e)
{
    struct gaps *g = calloc(1, sizeof *g);
    if (!g)
        return no_memory(e);
    g->store = s;
    g->n = g->configured = g->all = store_series_count(s);
    g->ndev = store_device_count(s);
    g->silence = STORE_OVERRUN;
    g->due = calloc(g->ndev + (size_t)1, sizeof *g->due);
    g->entry = calloc(GAPS_ENTRIES_MAX, sizeof *g->entry);
    buf_init(&g->names, GAPS_ENTRIES_MAX * 256);
    enum st st = g->due && g->entry ? room(g, g->n, e) : no_memory(e);
    if (st != ST_OK) {
        gaps_close(g);
        return st;
    }
    for (uint32_t i = 0; i < g->n; i++) {
        const struct store_series *x = store_series_at(s, i);
        g->track[i] = (struct gaps_track){.period_ms = x->period_ms, .phase_ms = x->phase_ms};
        g->due[x->device]++;
    }
    *out = g;
    return ST_OK;
}

void gaps_close(struct gaps *g)
{
    if (!g)
        return;
    for (uint32_t i = g->configured; i < g->n; i++)
        free(g->absent[i - g->configured].device);
    free(g->absent);
    free(g->due);
    free(g->track);
    free(g->closed);
    free(g->entry);
    buf_done(&g->names);
    free(g);
}

static void note(struct gaps *g, uint32_t series, int64_t from, int64_t to, enum store_cause cause)
{
    if (from >= to)
        return;
    if (g->nclosed == g->max_closed) { /* lengthen the newest of this series rather than lose it */
        for (size_t i = g->nclosed; i-- > 0;)
            if (g->closed[i].series == series) {
                g->closed[i].to = to;
                return;
            }
        g->nclosed--;
    }
    g->closed[g->nclosed++] = (struct gaps_row){from, to, series, cause};
}

/* The same, as the rest of the gap before where it goes on from there. */
static void note_on(struct gaps *g, uint32_t series, int64_t from, int64_t to,
                    enum store_cause cause)
{
    for (size_t i = g->nclosed; i-- > 0;) {
        struct gaps_row *r = &g->closed[i];
        if (r->series == series && r->cause == cause && r->to >= from && r->from <= from) {
            r->to = to > r->to ? to : r->to;
            return;
        }
    }
    note(g, series, from, to, cause);
}

static int64_t due_from(const struct gaps_track *t, int64_t from_ms)
{
    return gaps_align_up(from_ms - t->phase_ms, t->period_ms) + t->phase_ms;
}

void gaps_owe(struct gaps *g, uint32_t series, int64_t from_ms)
{
    struct gaps_track *t = &g->track[series];
    if (t->missing)
        note(g, series, t->miss_from, from_ms, t->cause);
    t->next_due = due_from(t, from_ms);
    t->missing = false;
}

void gaps_restart(struct gaps *g, int64_t now_ms)
{
    g->nclosed = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        struct gaps_track *t = &g->track[i];
        t->next_due = due_from(t, now_ms);
        t->miss_from = now_ms;
    }
}

void gaps_shift(struct gaps *g, int64_t add_ms)
{
    for (size_t i = 0; i < g->nclosed; i++) {
        g->closed[i].from += add_ms;
        g->closed[i].to += add_ms;
    }
    for (uint32_t i = 0; i < g->n; i++) {
        g->track[i].next_due += add_ms;
        g->track[i].miss_from += add_ms;
    }
}

void gaps_off_before(struct gaps *g, int64_t from_ms, int64_t to_ms, enum store_cause cause)
{
    for (uint32_t i = 0; i < g->n; i++)
        if (!g->track[i].gone)
            note(g, i, from_ms, to_ms, cause);
}

void gaps_miss(struct gaps *g, uint32_t series, int64_t from, enum store_cause cause)
{
    struct gaps_track *t = &g->track[series];
    if (t->missing && t->cause == cause)
        return;
    if (t->missing)
        note(g, series, t->miss_from, from, t->cause);
    t->missing = true;
    t->miss_from = from;
    t->cause = cause;
}

void gaps_silence(struct gaps *g, enum store_cause cause)
{
    g->silence = cause;
}

void gaps_off(struct gaps *g, int64_t until_ms, int64_t now_ms, enum store_cause cause)
{
    for (uint32_t i = 0; i < g->n; i++) {
        struct gaps_track *t = &g->track[i];
        if (t->gone)
            continue;
        if (t->missing)
            gaps_miss(g, i, until_ms > t->miss_from ? until_ms : t->miss_from, cause);
        else if (t->period_ms == 0)
            note(g, i, until_ms, now_ms, cause);
        else if (t->next_due < now_ms)
            gaps_miss(g, i, t->next_due, cause);
    }
    if (g->pausing)
        gaps_pause(g, now_ms);
}

/* The journal keeps no failed poll of what is not configured: nobody knows why it is not there. */
enum store_cause gaps_silence_of(const struct gaps *g, uint32_t series)
{
    bool absent = series >= g->configured && g->silence == STORE_OVERRUN;
    return absent ? STORE_PAUSED : g->silence;
}

/* Polls behind it failed: the gap goes on from there. */
static void got_late(struct gaps *g, uint32_t series, const struct store_frame *f)
{
    struct gaps_track *t = &g->track[series];
    if (f->t_ms < t->miss_from)
        return;
    note(g, series, t->miss_from, f->t_ms, t->cause);
    t->miss_from = f->due_ms + t->period_ms;
}

static void got(struct gaps *g, uint32_t series, const struct store_frame *f)
{
    struct gaps_track *t = &g->track[series];
    if (t->missing && t->period_ms && f->t_ms < t->next_due - t->period_ms) {
        got_late(g, series, f);
        return;
    }
    if (t->missing)
        note(g, series, t->miss_from, f->t_ms, t->cause);
    else if (t->period_ms &&
             (f->t_ms >= t->next_due + t->period_ms ||
              (g->silence == STORE_STORAGE && f->due_ms > t->next_due))) /* each one was recorded */
        note(g, series, t->next_due, f->t_ms,
             gaps_silence_of(g, series)); /* polls that never happened */
    t->missing = false;
    /* An answer that took longer than the period: what was due meanwhile is told by its gap. */
    int64_t due = f->due_ms + t->period_ms;
    if (t->period_ms && due < f->t_ms)
        due += gaps_align_up(f->t_ms - due, t->period_ms);
    if (due > t->next_due)
        t->next_due = due;
}

static void missed(struct gaps *g, uint32_t series, const struct store_frame *f)
{
    struct gaps_track *t = &g->track[series];
    if (t->period_ms == 0) { /* nothing is due: whoever could not hear says from when to when */
        note_on(g, series, f->due_ms, f->t_ms > f->due_ms ? f->t_ms : f->due_ms + 1, f->cause);
        return;
    }
    if (!t->missing && f->cause == STORE_OVERRUN && f->due_ms < t->next_due)
        return; /* a late answer has told of it */
    bool behind = !t->missing && t->period_ms && f->due_ms >= t->next_due + t->period_ms;
    gaps_miss(g, series, behind ? t->next_due : f->due_ms, f->cause);
    if (f->due_ms + t->period_ms > t->next_due)
        t->next_due = f->due_ms + t->period_ms;
}

/* ---- what is due and not configured ---- */

static uint32_t device_number(struct gaps *g, const char *device, struct err *e)
{
    for (uint32_t i = 0; i < store_device_count(g->store); i++)
        if (strcmp(store_device_at(g->store, i)->id, device) == 0)
            return i;
    if (g->n > g->configured) { /* in byte order: a device's series follow each other */
        const struct gaps_absent *last = &g->absent[g->n - 1 - g->configured];
        if (strcmp(last->device, device) == 0)
            return last->dev;
    }
    uint32_t *due = reallocarray(g->due, g->ndev + (size_t)2, sizeof *due);
    if (!due) {
        (void)no_memory(e);
        return UINT32_MAX;
    }
    g->due = due;
    due[g->ndev] = 0;
    return g->ndev++;
}

enum st gaps_add_absent(struct gaps *g, const char *name, int64_t period_ms, uint32_t *series,
                        struct err *e)
{
    uint32_t k = g->n - g->configured;
    const char *slash = strchr(name, '/');
    if (!slash)
        return err_set(e, ST_CORRUPT, "seal: the plan names a series %s", name);
    if (k == ABSENT_MAX)
        return err_set(e, ST_FULL,
                       "seal: more than %d series are due and not configured: retire them with "
                       "`fieldpost retire`",
                       ABSENT_MAX);
    struct gaps_absent *p = reallocarray(g->absent, k + (size_t)1, sizeof *p);
    if (p)
        g->absent = p;
    ERR_TRY(p ? room(g, g->n + 1, e) : no_memory(e));
    struct gaps_absent a = {.device = strdup(name)};
    if (!a.device)
        return no_memory(e);
    a.point = a.device + (slash - name) + 1;
    a.device[slash - name] = '\0';
    a.dev = device_number(g, a.device, e);
    if (a.dev == UINT32_MAX) {
        free(a.device);
        return ST_MEMORY;
    }
    p[k] = a;
    g->track[g->n] = (struct gaps_track){.period_ms = period_ms};
    g->due[a.dev]++;
    g->all++;
    *series = g->n++;
    return ST_OK;
}

void gaps_pause(struct gaps *g, int64_t now_ms)
{
    g->pausing = true;
    for (uint32_t i = g->configured; i < g->n; i++) {
        const struct gaps_track *t = &g->track[i];
        bool owes = t->missing || t->period_ms == 0 || t->next_due <= now_ms;
        if (!t->gone)
            gaps_miss(g, i, owes ? now_ms : t->next_due, STORE_PAUSED);
    }
}

static bool is_text(struct wire_span s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static uint32_t find_absent(const struct gaps *g, struct wire_span device, struct wire_span point)
{
    for (uint32_t i = g->configured; i < g->n; i++)
        if (!g->track[i].gone && is_text(device, g->absent[i - g->configured].device) &&
            is_text(point, g->absent[i - g->configured].point))
            return i;
    return UINT32_MAX;
}

uint32_t gaps_find_absent(const struct gaps *g, const char *name)
{
    const char *slash = strchr(name, '/');
    if (!slash)
        return UINT32_MAX;
    return find_absent(g, (struct wire_span){(const uint8_t *)name, (size_t)(slash - name)},
                       (struct wire_span){(const uint8_t *)slash + 1, strlen(slash + 1)});
}

void gaps_retire(struct gaps *g, uint32_t series, int64_t at_ms)
{
    struct gaps_track *t = &g->track[series];
    if (t->missing)
        note(g, series, t->miss_from, at_ms, t->cause);
    t->missing = false;
    t->gone = true;
    g->due[gaps_device_of(g, series)]--;
    g->all--;
}

/* Readings that an earlier run left, when more was configured. */
static void got_absent(struct gaps *g, const struct store_frame *f)
{
    struct wire_skim it;
    struct wire_skimmed w;
    wire_skim_records(&it, f->senml, f->senml_n, f->n);
    while (wire_skim_next(&it, NULL, &w, NULL) == ST_OK) {
        uint32_t i = find_absent(g, w.device, w.point);
        if (i != UINT32_MAX)
            got(g, i, f);
    }
}

enum st gaps_frame(struct gaps *g, const struct store_frame *f)
{
    for (uint32_t i = 0; i < f->ngot; i++)
        got(g, f->got[i], f);
    if (f->ngot < f->n)
        got_absent(g, f);
    for (uint32_t i = 0; i < f->nmissed; i++)
        missed(g, f->missed[i], f);
    return g->nclosed >= CLOSED_FULL ? ST_FULL : ST_OK;
}

void gaps_underway(const struct gaps *g, int64_t to_ms,
                   void (*each)(void *ctx, uint32_t series, int64_t due_ms), void *ctx)
{
    for (uint32_t i = 0; i < g->configured; i++) {
        const struct gaps_track *t = &g->track[i];
        if (t->period_ms && !t->missing && !t->gone && t->next_due < to_ms)
            each(ctx, i, t->next_due);
    }
}

bool gaps_complete(const struct gaps *g, int64_t to_ms)
{
    for (uint32_t i = 0; i < g->configured; i++)
        if (g->track[i].period_ms && g->track[i].next_due < to_ms)
            return false;
    return true;
}

void gaps_sealed(struct gaps *g, int64_t to_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->nclosed; i++)
        if (g->closed[i].to > to_ms)
            g->closed[kept++] = g->closed[i];
    g->nclosed = kept;
}
