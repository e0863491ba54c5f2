#include "gateway/city/city_int.h"

#include <stdio.h>
#include <string.h>

#define BATCHES_PER_PAGE 500 /* what one request may decode, however few readings it finds */

enum st city_batch_read(struct wire_span stored, struct buf *cose, struct wire_batch *b,
                        struct err *e)
{
    memset(b, 0, sizeof *b);
    cose->n = 0;
    cose->max = WIRE_BATCH_MAX;
    enum st st = wire_zstd_unpack(stored.p, stored.n, WIRE_BATCH_MAX, cose, e);
    if (st == ST_OK)
        st = wire_batch_open(b, cose->p, cose->n, e);
    return st;
}

/* moved_ms: what a `time` entry has added. */
static enum st put_reading(const struct city_query *q, const struct wire_reading *r,
                           const char *chain, int64_t seq, int64_t moved_ms, bool first,
                           struct buf *out)
{
    char value[NUM_TEXT_BYTES];

    num_text(r->v, value);
    return buf_printf(out,
                      q->json ? "%s{\"series\":\"%.*s/%.*s\",\"ts_ms\":%lld,\"value\":%s,"
                                "\"quality\":%u,\"chain\":\"%s\",\"seq\":%lld,"
                                "\"moved_ms\":%lld}"
                              : "%s%.*s/%.*s,%lld,%s,%u,%s,%lld,%lld\n",
                      q->json && !first ? ",\n" : "", (int)r->device.n, (const char *)r->device.p,
                      (int)r->point.n, (const char *)r->point.p, (long long)r->t_ms, value, r->q,
                      chain, (long long)seq, (long long)moved_ms);
}

static bool wanted(const struct city_query *q, const struct wire_reading *r)
{
    if (r->t_ms < q->from_ms || r->t_ms >= q->to_ms)
        return false;
    size_t n = r->device.n;
    return q->series == NULL ||
           (strlen(q->series) == n + 1 + r->point.n && memcmp(q->series, r->device.p, n) == 0 &&
            q->series[n] == '/' && memcmp(q->series + n + 1, r->point.p, r->point.n) == 0);
}

struct page {
    struct buf *out;
    uint64_t rows;
    int64_t stopped_at; /* index in the batch where the page is full; -1: not yet */
    struct city_correction correction;
};

static enum st read_batch(const struct city_query *q, sqlite3_stmt *s, struct buf *cose,
                          struct page *p, struct err *e)
{
    int64_t skip = sqlite3_column_int64(s, 0) == q->after_row ? q->after_index : 0;
    struct wire_span id = city_db_span(s, 1);
    char chain[WIRE_ID_TEXT];
    struct wire_batch b;
    struct wire_senml m;
    struct wire_reading r;
    enum st st = city_batch_read(city_db_span(s, 3), cose, &b, e);

    if (st == ST_OK && id.n != WIRE_ID_BYTES)
        st = err_set(e, ST_CORRUPT, "database: a chain without its id");
    if (st == ST_OK) {
        wire_hex(id.p, WIRE_ID_BYTES, chain);
        st = wire_senml_open(&m, b.cose.payload.p, b.cose.payload.n, b.header.gw, NULL, e);
    }
    city_correction_of(&p->correction, s);
    for (int64_t i = 0; st == ST_OK && (st = wire_senml_next(&m, &r, e)) == ST_OK; i++) {
        if (i < skip)
            continue;
        if (!city_reading_correct(&p->correction, &r) || !wanted(q, &r))
            continue;
        if (p->rows == q->limit) {
            p->stopped_at = i;
            break;
        }
        st = put_reading(q, &r, chain, sqlite3_column_int64(s, 2), p->correction.add_ms,
                         p->rows == 0, p->out);
        p->rows++;
    }
    wire_batch_done(&b);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st city_readings(struct city_db *d, const struct city_query *q, struct buf *out,
                      int64_t *next_row, int64_t *next_index, struct err *e)
{
    struct page p = {.out = out, .stopped_at = -1};
    struct buf cose;
    int batches = 0;
    enum st st = buf_printf(out, "%s",
                            q->json ? "{\"readings\":[\n"
                                    : "series,ts_ms,value,quality,chain,seq,moved_ms\n");
    sqlite3_stmt *s = city_db_bind(d, SQL_READ_BATCHES, "iiiii", q->gateway, q->from_ms, q->to_ms,
                                   q->after_row, (int64_t)q->raw);

    buf_init(&cose, WIRE_BATCH_MAX);
    *next_row = *next_index = 0;
    if (st == ST_OK)
        st = city_correct_load(d, q->gateway, q->raw, &p.correction, e);
    while (st == ST_OK && (st = city_db_step(d, s, e)) == ST_OK) {
        int64_t row = sqlite3_column_int64(s, 0);
        if (batches++ == BATCHES_PER_PAGE) {
            *next_row = row;
            break;
        }
        st = read_batch(q, s, &cose, &p, e);
        if (p.stopped_at >= 0) {
            *next_row = row;
            *next_index = p.stopped_at;
            break;
        }
    }
    sqlite3_reset(s);
    city_correct_done(&p.correction);
    buf_done(&cose);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    if (!q->json)
        return ST_OK;
    return *next_row > 0 ? buf_printf(out, "\n],\"next\":\"%lld.%lld\"}\n", (long long)*next_row,
                                      (long long)*next_index)
                         : buf_printf(out, "\n],\"next\":null}\n");
}

enum st city_gaps(struct city_db *d, const struct city_query *q, struct buf *out, int64_t *next_row,
                  struct err *e)
{
    uint64_t rows = 0;
    int64_t last = 0;
    enum st st =
        buf_printf(out, "%s", q->json ? "{\"gaps\":[\n" : "series,from_ms,to_ms,cause,chain,seq\n");
    sqlite3_stmt *s = city_db_bind(d, SQL_READ_GAPS, "iiiiti", q->gateway, q->from_ms, q->to_ms,
                                   q->after_row, q->series, (int64_t)q->limit + 1);

    *next_row = 0;
    while (st == ST_OK && (st = city_db_step(d, s, e)) == ST_OK) {
        struct wire_span id = city_db_span(s, 1);
        char chain[WIRE_ID_TEXT] = "";
        if (rows++ == q->limit) {
            *next_row = last;
            break;
        }
        last = sqlite3_column_int64(s, 0);
        if (id.n == WIRE_ID_BYTES)
            wire_hex(id.p, WIRE_ID_BYTES, chain);
        st = buf_printf(
            out,
            q->json ? "%s{\"series\":\"%s\",\"from_ms\":%lld,\"to_ms\":%lld,"
                      "\"cause\":\"%s\",\"chain\":\"%s\",\"seq\":%lld}"
                    : "%s%s,%lld,%lld,%s,%s,%lld\n",
            q->json && rows > 1 ? ",\n" : "", (const char *)sqlite3_column_text(s, 3),
            (long long)sqlite3_column_int64(s, 4), (long long)sqlite3_column_int64(s, 5),
            (const char *)sqlite3_column_text(s, 6), chain, (long long)sqlite3_column_int64(s, 2));
    }
    sqlite3_reset(s);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    if (!q->json)
        return ST_OK;
    return *next_row > 0 ? buf_printf(out, "\n],\"next\":\"%lld\"}\n", (long long)*next_row)
                         : buf_printf(out, "\n],\"next\":null}\n");
}
