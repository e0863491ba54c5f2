/* Completeness in pages, for GET. */
#include <inttypes.h>
#include <string.h>

#include "gateway/city/report_int.h"

#define PAGE_MS (168 * CITY_HOUR_MS) /* what one request may decode, however few rows it finds */

struct page {
    const struct city_query *q;
    const char *gw;
    struct buf *out;
    uint64_t rows;
    int64_t next_ms, next_key; /* where the page is full; next_ms 0: it is not */
};

/* Whether the page before had this row. */
static bool was_there(const struct page *g, const struct city_plan *p, int64_t from_ms,
                      uint32_t series)
{
    if (from_ms != g->q->after_row)
        return from_ms < g->q->after_row;
    for (uint32_t i = 0; i < series; i++)
        if (p->series[i].key == g->q->after_index)
            return false;
    return p->series[series].key != g->q->after_index && g->q->after_index != 0;
}

static enum st take(void *ctx, const struct city_plan *p, int64_t from_ms, int64_t to_ms,
                    uint32_t series, const struct city_cell *c, struct err *e)
{
    struct page *g = ctx;

    if (c == NULL || was_there(g, p, from_ms, series) ||
        (g->q->series != NULL && strcmp(g->q->series, p->series[series].name) != 0))
        return ST_OK;
    if (g->rows == g->q->limit) {
        g->next_ms = from_ms;
        g->next_key = p->series[series].key;
        return ST_STOPPED;
    }
    enum st st = g->q->json && g->rows > 0 ? buf_printf(g->out, ",\n") : ST_OK;
    if (st == ST_OK)
        st = city_rows_put(g->out, g->gw, p->series[series].name, from_ms, to_ms, c, g->q->json);
    g->rows++;
    return st == ST_OK ? ST_OK : err_set(e, st, "no memory for a page");
}

enum st city_completeness_page(struct city_db *d, const struct city_query *q, const char *gw,
                               struct buf *out, int64_t *next_row, int64_t *next_index,
                               struct err *e)
{
    struct page g = {.q = q, .gw = gw, .out = out};
    struct city_report r = {.gateway = q->gateway,
                            .from_ms = most(most(q->from_ms, 0), q->after_row),
                            .to_ms = least(q->to_ms, clk_now(clk_real()).utc_ms),
                            .max_ms = PAGE_MS,
                            .row = take,
                            .ctx = &g};
    enum st st = buf_printf(out, "%s", q->json ? "{\"completeness\":[\n" : city_rows_head);

    *next_row = *next_index = 0;
    int64_t to_ms = r.to_ms;
    if (st == ST_OK) /* one moment for all of it */
        st = city_db_exec(d, "BEGIN", e);
    if (st != ST_OK)
        return st;
    st = city_report_run(d, &r, e);
    sqlite3_exec(d->db, "COMMIT", NULL, NULL, NULL);
    if (st == ST_STOPPED) {
        *next_row = g.next_ms;
        *next_index = g.next_key;
        st = ST_OK;
    } else if (st == ST_OK && r.end_ms < to_ms) {
        *next_row = r.end_ms;
    }
    if (st != ST_OK || !q->json)
        return st;
    return *next_row > 0 ? buf_printf(out, "\n],\"next\":\"%" PRId64 ".%" PRId64 "\"}\n", *next_row,
                                      *next_index)
                         : buf_printf(out, "\n],\"next\":null}\n");
}
