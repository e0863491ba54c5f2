/* Completeness as a table: hours, or their sums. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/city/report_int.h"

#define VIET_NAM_MS (7 * CITY_HOUR_MS) /* ahead of UTC, all year */
#define DAY_MS (24 * CITY_HOUR_MS)
#define FLUSH_BYTES ((size_t)64 * 1024)

const char city_rows_head[] =
    "gateway,series,from_ms,to_ms,period_ms,due,good,flagged,thinned,invalid,due_ms,read_ms,"
    "off_ms,bus_ms,device_ms,overrun_ms,queue_ms,paused_ms,storage_ms,thinned_ms,invalid_ms,"
    "unexplained_ms,void_ms,clock_ms,not_received_ms,q1,q2,q4,q8,q16,q32,q64,q128,complete\n";

static enum st put_csv(struct buf *out, const struct city_cell *c)
{
    enum st st = buf_printf(out,
                            ",%" PRId64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
                            ",%" PRId64 ",%" PRId64,
                            c->period_ms, c->due, c->good, c->flagged, c->thinned, c->invalid,
                            c->due_ms, c->read_ms);
    for (size_t i = 0; st == ST_OK && i < CITY_WHYS; i++)
        st = buf_printf(out, ",%" PRId64, c->why_ms[i]);
    for (size_t i = 0; st == ST_OK && i < 8; i++)
        st = buf_printf(out, ",%" PRIu64, c->flag[i]);
    return st;
}

/* Causes and flags that are not there are left out. */
static enum st put_json(struct buf *out, const struct city_cell *c)
{
    const char *comma = "";
    enum st st = buf_printf(out,
                            ",\"period_ms\":%" PRId64 ",\"due\":%" PRIu64 ",\"good\":%" PRIu64
                            ",\"flagged\":%" PRIu64 ",\"thinned\":%" PRIu64 ",\"invalid\":%" PRIu64
                            ",\"due_ms\":%" PRId64 ",\"read_ms\":%" PRId64 ",\"missing_ms\":{",
                            c->period_ms, c->due, c->good, c->flagged, c->thinned, c->invalid,
                            c->due_ms, c->read_ms);

    for (size_t i = 0; st == ST_OK && i < CITY_WHYS; i++)
        if (c->why_ms[i] > 0) {
            st = buf_printf(out, "%s\"%s\":%" PRId64, comma, city_why_text[i], c->why_ms[i]);
            comma = ",";
        }
    if (st == ST_OK)
        st = buf_printf(out, "},\"flags\":{");
    comma = "";
    for (unsigned i = 0; st == ST_OK && i < 8; i++)
        if (c->flag[i] > 0) {
            st = buf_printf(out, "%s\"%u\":%" PRIu64, comma, 1U << i, c->flag[i]);
            comma = ",";
        }
    return st == ST_OK ? buf_printf(out, "}") : st;
}

enum st city_rows_put(struct buf *out, const char *gw, const char *series, int64_t from_ms,
                      int64_t to_ms, const struct city_cell *c, bool json)
{
    /* of the due time, in hundredths of a percent; cut, for 100.00 means all of it */
    int64_t part = c->due_ms > 0 ? c->read_ms * 10000 / c->due_ms : 0;
    enum st st = buf_printf(out,
                            json ? "{\"gateway\":\"%s\",\"series\":\"%s\",\"from_ms\":%" PRId64
                                   ",\"to_ms\":%" PRId64
                                 : "%s,%s,%" PRId64 ",%" PRId64,
                            gw, series, from_ms, to_ms);

    if (st == ST_OK)
        st = json ? put_json(out, c) : put_csv(out, c);
    if (st == ST_OK)
        st = buf_printf(
            out, json ? ",\"complete\":%" PRId64 ".%02" PRId64 "}" : ",%" PRId64 ".%02" PRId64 "\n",
            part / 100, part % 100);
    return st;
}

/* ---- sums ---- */

struct sums {
    struct city_db *db;
    const struct city_ask *q;
    const char *gw;
    FILE *file;
    struct buf out;
    bool any; /* a JSON object stands already */
    struct {
        struct city_cell cell;
        int64_t from_ms, to_ms;
    } * sum; /* per series; due_ms 0: nothing */
    size_t n;
    int64_t bucket;
};

static enum st flush(struct sums *s, size_t least, struct err *e)
{
    if (s->out.n < least || s->out.n == 0)
        return ST_OK;
    if (fwrite(s->out.p, 1, s->out.n, s->file) != s->out.n)
        return err_set(e, ST_IO, "output: %s", strerror(errno));
    s->out.n = 0;
    return ST_OK;
}

static enum st put(struct sums *s, const char *series, int64_t from_ms, int64_t to_ms,
                   const struct city_cell *c, struct err *e)
{
    enum st st = s->q->json && s->any ? buf_printf(&s->out, ",\n") : ST_OK;

    s->any = true;
    if (st == ST_OK)
        st = city_rows_put(&s->out, s->gw, series, from_ms, to_ms, c, s->q->json);
    return st == ST_OK ? flush(s, FLUSH_BYTES, e) : err_set(e, st, "no memory for a report");
}

static void sum(struct city_cell *to, const struct city_cell *c)
{
    to->due += c->due;
    to->good += c->good;
    to->flagged += c->flagged;
    to->thinned += c->thinned;
    to->invalid += c->invalid;
    to->due_ms += c->due_ms;
    to->read_ms += c->read_ms;
    to->period_ms = c->period_ms;
    for (size_t i = 0; i < 8; i++)
        to->flag[i] += c->flag[i];
    for (size_t i = 0; i < CITY_WHYS; i++)
        to->why_ms[i] += c->why_ms[i];
}

static enum st put_sums(struct sums *s, const struct city_plan *p, struct err *e)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->sum[i].cell.due_ms > 0)
            ERR_TRY(
                put(s, p->series[i].name, s->sum[i].from_ms, s->sum[i].to_ms, &s->sum[i].cell, e));
        memset(&s->sum[i], 0, sizeof s->sum[i]);
    }
    return ST_OK;
}

static enum st take(void *ctx, const struct city_plan *p, int64_t from_ms, int64_t to_ms,
                    uint32_t series, const struct city_cell *c, struct err *e)
{
    struct sums *s = ctx;
    int64_t bucket = s->q->by == CITY_BY_DAY ? (from_ms + VIET_NAM_MS) / DAY_MS : 0;

    if (c == NULL)
        return s->sum != NULL ? put_sums(s, p, e) : ST_OK;
    if (s->q->by == CITY_BY_HOUR)
        return put(s, p->series[series].name, from_ms, to_ms, c, e);
    if (s->sum == NULL) {
        s->sum = calloc(p->n, sizeof *s->sum);
        if (s->sum == NULL)
            return err_set(e, ST_MEMORY, "no memory for a report");
        s->n = p->n;
    } else if (bucket != s->bucket) {
        ERR_TRY(put_sums(s, p, e));
    }
    s->bucket = bucket;
    if (s->sum[series].cell.due_ms == 0)
        s->sum[series].from_ms = from_ms;
    s->sum[series].to_ms = to_ms;
    sum(&s->sum[series].cell, c);
    return ST_OK;
}

static enum st one_gateway(void *ctx, int64_t gateway, const char *gw, struct err *e)
{
    struct sums *s = ctx;
    struct city_report r = {.gateway = gateway,
                            .from_ms = s->q->from_ms,
                            .to_ms = least(s->q->to_ms, clk_now(clk_real()).utc_ms),
                            .row = take,
                            .ctx = s};

    s->gw = gw;
    enum st st = city_report_run(s->db, &r, e);
    free(s->sum);
    s->sum = NULL;
    if (st == ST_OK)
        st = flush(s, 1, e);
    return st == ST_OK ? ST_OK : err_wrap(e, st, "%s", gw);
}

enum st city_completeness(const struct city_cfg *cfg, const struct city_ask *q, FILE *out,
                          struct err *e)
{
    struct city_db d = {0};
    struct sums s = {.db = &d, .q = q, .file = out};
    enum st st = city_cfg_check(cfg, e);

    if (st == ST_OK)
        st = city_db_open(&d, cfg->db, CITY_DB_READ, e);
    buf_init(&s.out, 4 * FLUSH_BYTES);
    if (st == ST_OK) /* one moment for all of it */
        st = city_db_exec(&d, "BEGIN", e);
    if (st == ST_OK && fputs(q->json ? "[" : city_rows_head, out) == EOF)
        st = err_set(e, ST_IO, "output: %s", strerror(errno));
    if (st == ST_OK)
        st = city_gateway_each(&d, q->gateway, one_gateway, &s, e);
    if (st == ST_OK && ((q->json && fputs("]\n", out) == EOF) || fflush(out) != 0))
        st = err_set(e, ST_IO, "output: %s", strerror(errno));
    buf_done(&s.out);
    city_db_close(&d);
    return st;
}
