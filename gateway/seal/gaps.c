#include "gateway/seal/gaps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOSED_FULL 4096        /* gaps that wait: a window is cut; a whole tick still fits */
#define HEADER_ROOM (56 * 1024) /* of 64 KiB, for the entries of one header */
#define ENTRY_BYTES 40          /* times, cause and heads of an entry; its name comes on top */
#define ENTRIES_MAX 1000        /* in one header: 64 KiB at about 60 bytes each */

struct track {
    int64_t next_due;  /* of the first poll that is neither read nor missed */
    int64_t miss_from; /* open gap */
    int64_t period_ms;
    enum store_cause cause;
    bool missing;
};
struct row {
    int64_t from, to;
    uint32_t series;
    enum store_cause cause;
};
struct gaps {
    const struct store *store;
    struct track *track;
    uint32_t n;
    struct row *closed;
    size_t nclosed, max_closed;
    enum store_cause silence; /* of polls that never came */
    struct row *rows;         /* scratch of gaps_window */
    struct wire_gap *entry;   /* its result */
    struct buf names;
};

int64_t gaps_align_up(int64_t t, int64_t step)
{
    if (step <= 0)
        return t;
    int64_t rest = t % step;
    return rest == 0 ? t : rest > 0 ? t + step - rest : t - rest;
}

enum st gaps_open(struct gaps **out, const struct store *s, struct err *e)
{
    struct gaps *g = calloc(1, sizeof *g);
    if (!g)
        return err_set(e, ST_MEMORY, "seal: no memory");
    g->store = s;
    g->n = store_series_count(s);
    g->silence = STORE_OVERRUN;
    g->track = calloc(g->n + 1, sizeof *g->track);
    g->max_closed = CLOSED_FULL + 2 * (size_t)g->n;
    g->closed = calloc(g->max_closed, sizeof *g->closed);
    g->rows = calloc(g->max_closed + g->n + 1, sizeof *g->rows);
    g->entry = calloc(ENTRIES_MAX, sizeof *g->entry);
    buf_init(&g->names, ENTRIES_MAX * 256);
    if (!g->track || !g->closed || !g->rows || !g->entry) {
        gaps_close(g);
        return err_set(e, ST_MEMORY, "seal: no memory");
    }
    for (uint32_t i = 0; i < g->n; i++)
        g->track[i].period_ms = store_series_at(s, i)->period_ms;
    *out = g;
    return ST_OK;
}

void gaps_close(struct gaps *g)
{
    if (!g)
        return;
    free(g->track);
    free(g->closed);
    free(g->rows);
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
    g->closed[g->nclosed++] = (struct row){from, to, series, cause};
}

void gaps_owe(struct gaps *g, uint32_t series, int64_t from_ms)
{
    struct track *t = &g->track[series];
    if (t->missing)
        note(g, series, t->miss_from, from_ms, t->cause);
    t->next_due = gaps_align_up(from_ms, t->period_ms);
    t->missing = false;
}

void gaps_restart(struct gaps *g, int64_t now_ms)
{
    g->nclosed = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        struct track *t = &g->track[i];
        t->next_due = gaps_align_up(now_ms, t->period_ms);
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
        note(g, i, from_ms, to_ms, cause);
}

static void miss(struct gaps *g, uint32_t series, int64_t from, enum store_cause cause)
{
    struct track *t = &g->track[series];
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
        struct track *t = &g->track[i];
        if (t->missing)
            miss(g, i, until_ms > t->miss_from ? until_ms : t->miss_from, cause);
        else if (t->period_ms == 0)
            note(g, i, until_ms, now_ms, cause);
        else if (t->next_due < now_ms)
            miss(g, i, t->next_due, cause);
    }
}

static void got(struct gaps *g, uint32_t series, const struct store_frame *f)
{
    struct track *t = &g->track[series];
    if (t->missing)
        note(g, series, t->miss_from, f->t_ms, t->cause);
    else if (t->period_ms &&
             (f->t_ms >= t->next_due + t->period_ms ||
              (g->silence == STORE_STORAGE && f->due_ms > t->next_due))) /* each one was recorded */
        note(g, series, t->next_due, f->t_ms, g->silence); /* polls that never happened */
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
    struct track *t = &g->track[series];
    if (!t->missing && f->cause == STORE_OVERRUN && f->due_ms < t->next_due)
        return; /* a late answer has told of it */
    bool behind = !t->missing && t->period_ms && f->due_ms >= t->next_due + t->period_ms;
    miss(g, series, behind ? t->next_due : f->due_ms, f->cause);
    if (f->due_ms + t->period_ms > t->next_due)
        t->next_due = f->due_ms + t->period_ms;
}

enum st gaps_frame(struct gaps *g, const struct store_frame *f)
{
    for (uint32_t i = 0; i < f->ngot; i++)
        got(g, f->got[i], f);
    for (uint32_t i = 0; i < f->nmissed; i++)
        missed(g, f->missed[i], f);
    return g->nclosed >= CLOSED_FULL ? ST_FULL : ST_OK;
}

bool gaps_complete(const struct gaps *g, int64_t to_ms)
{
    for (uint32_t i = 0; i < g->n; i++)
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

/* ---- the entries of a window ---- */

static int row_order(const void *va, const void *vb)
{
    const struct row *a = va, *b = vb;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    if (a->to != b->to)
        return a->to < b->to ? -1 : 1;
    if (a->cause != b->cause)
        return a->cause < b->cause ? -1 : 1;
    return a->series < b->series ? -1 : a->series > b->series;
}

static void clip(struct gaps *g, size_t *n, struct row r, int64_t from, int64_t to)
{
    if (r.from < from)
        r.from = from;
    if (r.to > to)
        r.to = to;
    if (r.from < r.to)
        g->rows[(*n)++] = r;
}

static size_t collect_rows(struct gaps *g, int64_t from, int64_t to)
{
    size_t n = 0;
    for (size_t i = 0; i < g->nclosed; i++)
        clip(g, &n, g->closed[i], from, to);
    for (uint32_t i = 0; i < g->n; i++) {
        struct track *t = &g->track[i];
        if (!t->missing && t->period_ms && t->next_due + t->period_ms <= to)
            miss(g, i, t->next_due, g->silence);
        if (t->missing)
            clip(g, &n, (struct row){t->miss_from, INT64_MAX, i, t->cause}, from, to);
    }
    qsort(g->rows, n, sizeof *g->rows, row_order);
    return n;
}

/* How many rows from i on say the same of different series; `device` limits it to one device. */
static size_t run_length(const struct gaps *g, size_t i, size_t n, bool device)
{
    const struct row *r = g->rows;
    uint32_t dev = store_series_at(g->store, r[i].series)->device;
    size_t k = i + 1;
    while (k < n && r[k].from == r[i].from && r[k].to == r[i].to && r[k].cause == r[i].cause &&
           r[k].series > r[k - 1].series &&
           (!device || store_series_at(g->store, r[k].series)->device == dev))
        k++;
    return k - i;
}

static uint32_t device_series(const struct gaps *g, uint32_t series)
{
    uint32_t dev = store_series_at(g->store, series)->device, n = 0;
    while (series > 0 && store_series_at(g->store, series - 1)->device == dev)
        series--;
    while (series + n < g->n && store_series_at(g->store, series + n)->device == dev)
        n++;
    return n;
}

/* Adds an entry; its name is an offset into names until all are there. ST_FULL: the header is. */
static enum st entry(struct gaps *g, size_t *n, const struct row *r, const char *device,
                     const char *point)
{
    if (*n == ENTRIES_MAX || g->names.n + (*n + 1) * ENTRY_BYTES > HEADER_ROOM)
        return ST_FULL;
    struct wire_gap *w = &g->entry[*n];
    w->series = (const char *)(uintptr_t)g->names.n;
    w->from_ms = r->from;
    w->to_ms = r->to;
    w->cause = store_cause_text[r->cause];
    enum st st =
        device ? buf_printf(&g->names, "%s/%s", device, point) : buf_printf(&g->names, "%s", point);
    if (st == ST_OK)
        st = buf_put(&g->names, "", 1);
    if (st == ST_OK)
        (*n)++;
    return st;
}

static enum st entries(struct gaps *g, size_t nrows, bool whole, size_t *n)
{
    for (size_t i = 0; i < nrows;) {
        const struct row *r = &g->rows[i];
        const struct store_series *s = store_series_at(g->store, r->series);
        const char *device = store_device_at(g->store, s->device)->id;
        enum st st;
        size_t all = run_length(g, i, nrows, false), here = run_length(g, i, nrows, true);
        if (whole && all == g->n) {
            st = entry(g, n, r, NULL, "*");
            i += all;
        } else if (here > 1 && here == device_series(g, r->series)) {
            st = entry(g, n, r, device, "*");
            i += here;
        } else {
            st = entry(g, n, r, device, s->point);
            i++;
        }
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

/* What the rows of series first … last-1 span; empty (from > to) when there are none. */
static struct row span(const struct gaps *g, size_t nrows, uint32_t first, uint32_t last)
{
    struct row sum = {INT64_MAX, INT64_MIN, first, STORE_DEVICE};
    for (size_t i = 0; i < nrows; i++) {
        const struct row *r = &g->rows[i];
        if (r->series < first || r->series >= last)
            continue;
        sum.from = r->from < sum.from ? r->from : sum.from;
        sum.to = r->to > sum.to ? r->to : sum.to;
        sum.cause = r->cause;
    }
    return sum;
}

/* Too many for one header: one entry per device, from its first to its last missing moment, and
 * where even these are too many, one for all. Says too much rather than too little; readings
 * inside stay readings. */
static enum st coarse_entries(struct gaps *g, size_t nrows, size_t *n)
{
    enum st st = ST_OK;
    uint32_t last = 0;
    for (uint32_t first = 0; first < g->n && st == ST_OK; first = last) {
        last = first + device_series(g, first);
        struct row sum = span(g, nrows, first, last);
        uint32_t device = store_series_at(g->store, first)->device;
        if (sum.from < sum.to)
            st = entry(g, n, &sum, store_device_at(g->store, device)->id, "*");
    }
    if (st != ST_FULL)
        return st;
    struct row sum = span(g, nrows, 0, g->n);
    *n = 0;
    g->names.n = 0;
    return entry(g, n, &sum, NULL, "*");
}

enum st gaps_window(struct gaps *g, int64_t from_ms, int64_t to_ms, bool whole,
                    const struct wire_gap **out, size_t *n, struct err *e)
{
    size_t rows = collect_rows(g, from_ms, to_ms);
    *n = 0;
    g->names.n = 0;
    enum st st = entries(g, rows, whole, n);
    if (st == ST_FULL) {
        *n = 0;
        g->names.n = 0;
        st = coarse_entries(g, rows, n);
    }
    if (st != ST_OK)
        return err_set(e, st, "seal: no memory for gaps");
    for (size_t i = 0; i < *n; i++)
        g->entry[i].series = (const char *)g->names.p + (uintptr_t)g->entry[i].series;
    *out = g->entry;
    return ST_OK;
}
