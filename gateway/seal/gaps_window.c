/* The gaps that one window says, joined where they agree, so that they fit into its header. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/seal/gaps_int.h"

#define HEADER_ROOM (56 * 1024) /* of 64 KiB, for the entries of one header */
#define ENTRY_BYTES 40          /* times, cause and heads of an entry; its name comes on top */

static int row_order(const void *va, const void *vb)
{
    const struct gaps_row *a = va, *b = vb;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    if (a->to != b->to)
        return a->to < b->to ? -1 : 1;
    if (a->cause != b->cause)
        return a->cause < b->cause ? -1 : 1;
    return a->series < b->series ? -1 : a->series > b->series;
}

static void clip(struct gaps *g, size_t *n, struct gaps_row r, int64_t from, int64_t to)
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
        struct gaps_track *t = &g->track[i];
        /* What is not configured has nobody who would tell of a poll that failed. */
        int64_t patience = i < g->configured ? t->period_ms : 1;
        if (!t->missing && !t->gone && t->period_ms && t->next_due + patience <= to)
            gaps_miss(g, i, t->next_due, gaps_silence_of(g, i));
        if (t->missing)
            clip(g, &n, (struct gaps_row){t->miss_from, INT64_MAX, i, t->cause}, from, to);
    }
    qsort(g->rows, n, sizeof *g->rows, row_order);
    return n;
}

static const char *device_name(const struct gaps *g, uint32_t series)
{
    return series < g->configured ? store_device_at(g->store, gaps_device_of(g, series))->id
                                  : g->absent[series - g->configured].device;
}

static const char *point_name(const struct gaps *g, uint32_t series)
{
    return series < g->configured ? store_series_at(g->store, series)->point
                                  : g->absent[series - g->configured].point;
}

/* How many rows from i on say the same of different series; `device` limits it to one device. */
static size_t run_length(const struct gaps *g, size_t i, size_t n, bool device)
{
    const struct gaps_row *r = g->rows;
    uint32_t dev = gaps_device_of(g, r[i].series);
    size_t k = i + 1;
    while (k < n && r[k].from == r[i].from && r[k].to == r[i].to && r[k].cause == r[i].cause &&
           r[k].series > r[k - 1].series && (!device || gaps_device_of(g, r[k].series) == dev))
        k++;
    return k - i;
}

/* Adds an entry; its name is an offset into names until all are there. ST_FULL: the header is. */
static enum st entry(struct gaps *g, size_t *n, const struct gaps_row *r, const char *device,
                     const char *point)
{
    if (*n == GAPS_ENTRIES_MAX || g->names.n + (*n + 1) * ENTRY_BYTES > HEADER_ROOM)
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
        const struct gaps_row *r = &g->rows[i];
        const char *device = device_name(g, r->series);
        enum st st;
        size_t all = run_length(g, i, nrows, false), here = run_length(g, i, nrows, true);
        if (whole && all == g->all) {
            st = entry(g, n, r, NULL, "*");
            i += all;
        } else if (here > 1 && here == g->due[gaps_device_of(g, r->series)]) {
            st = entry(g, n, r, device, "*");
            i += here;
        } else {
            st = entry(g, n, r, device, point_name(g, r->series));
            i++;
        }
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

/* What all rows span. */
static struct gaps_row span(const struct gaps *g, size_t nrows)
{
    struct gaps_row sum = {INT64_MAX, INT64_MIN, 0, STORE_DEVICE};
    for (size_t i = 0; i < nrows; i++) {
        const struct gaps_row *r = &g->rows[i];
        sum.from = r->from < sum.from ? r->from : sum.from;
        sum.to = r->to > sum.to ? r->to : sum.to;
        sum.cause = r->cause;
    }
    return sum;
}

/* One entry for each stretch of time in which any of these series misses something. The rows are in
 * order of their begin. */
static enum st stretches(struct gaps *g, size_t nrows, uint32_t first, uint32_t last,
                         const char *device, size_t *n)
{
    struct gaps_row sum = {.from = INT64_MAX, .to = INT64_MIN};
    for (size_t i = 0; i < nrows; i++) {
        const struct gaps_row *r = &g->rows[i];
        if (r->series < first || r->series >= last)
            continue;
        bool apart = r->from > sum.to || (r->from == sum.to && r->cause != sum.cause);
        if (apart && sum.from < sum.to)
            ERR_TRY(entry(g, n, &sum, device, "*"));
        if (apart)
            sum = *r;
        else if (r->to > sum.to)
            sum.to = r->to;
    }
    return sum.from < sum.to ? entry(g, n, &sum, device, "*") : ST_OK;
}

/* Too many for one header: stretches of whole devices; where even these are too many, of all; and
 * then one from the first to the last missing moment. Says too much rather than too little:
 * readings inside, of a series that was not missed, stay readings. */
static enum st coarse_entries(struct gaps *g, size_t nrows, size_t *n)
{
    enum st st = ST_OK;
    uint32_t last = 0;
    for (uint32_t first = 0; first < g->n && st == ST_OK; first = last) {
        for (last = first; last < g->n && gaps_device_of(g, last) == gaps_device_of(g, first);
             last++)
            ;
        st = stretches(g, nrows, first, last, device_name(g, first), n);
    }
    if (st != ST_FULL)
        return st;
    *n = 0;
    g->names.n = 0;
    st = stretches(g, nrows, 0, g->n, NULL, n);
    if (st != ST_FULL)
        return st;
    struct gaps_row sum = span(g, nrows);
    *n = 0;
    g->names.n = 0;
    return entry(g, n, &sum, NULL, "*");
}

enum st gaps_window(struct gaps *g, int64_t from_ms, int64_t to_ms, bool whole,
                    const struct wire_gap **out, size_t *n, struct err *e)
{
    g->rows = reallocarray(NULL, g->nclosed + g->n + 1, sizeof *g->rows);
    if (!g->rows)
        return err_set(e, ST_MEMORY, "seal: no memory for gaps");
    size_t rows = collect_rows(g, from_ms, to_ms);
    *n = 0;
    g->names.n = 0;
    enum st st = entries(g, rows, whole, n);
    if (st == ST_FULL) {
        *n = 0;
        g->names.n = 0;
        st = coarse_entries(g, rows, n);
    }
    free(g->rows);
    g->rows = NULL;
    if (st != ST_OK)
        return err_set(e, st, "seal: no memory for gaps");
    for (size_t i = 0; i < *n; i++)
        g->entry[i].series = (const char *)g->names.p + (uintptr_t)g->entry[i].series;
    *out = g->entry;
    return ST_OK;
}
