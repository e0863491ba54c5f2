#include "gateway/city/city_int.h"

#include <stdio.h>
#include <string.h>

/* What control batches say about sealed readings: `time` moves the times of a boot, `correct`
 * takes readings back (batch.md rules 16, 19 and 23). Kept in tables as they come; SQL_READ_BATCHES
 * finds what moves a batch, and city_reading_correct applies all of it to a reading. */

static bool span_is(struct wire_span s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

enum st city_correct_keep(struct city_db *d, const struct city_entry_at *at,
                          const struct wire_entry *x, struct err *e)
{
    if (x->kind == WIRE_ENTRY_TIME)
        return city_db_run(d,
                           city_db_bind(d, SQL_MOVED_ADD, "iiiibiiii", at->batch, at->n, at->chain,
                                        at->seq, x->boot.p, x->boot.n, (int64_t)x->seq_from,
                                        (int64_t)x->seq_to, x->add_ms, x->err_ms),
                           e);
    if (x->kind == WIRE_ENTRY_CORRECT)
        return city_db_run(d,
                           city_db_bind(d, SQL_CORRECTED_ADD, "iibiibi", at->batch, at->n,
                                        x->series.p, x->series.n, x->at_ms, x->to_ms, x->text.p,
                                        x->text.n, (int64_t)span_is(x->text, "invalidate")),
                           e);
    if (x->kind == WIRE_ENTRY_DIGEST)
        return city_digest_keep(d, at, x, e);
    return ST_OK;
}

static enum st fill_batch(struct city_db *d, sqlite3_stmt *row, struct buf *cose, struct err *e)
{
    struct city_entry_at at = {sqlite3_column_int64(row, 0), 0, sqlite3_column_int64(row, 1),
                               sqlite3_column_int64(row, 2)};
    struct wire_batch b;
    struct wire_control c;
    struct wire_entry x;
    enum st st = city_batch_read(city_db_span(row, 3), cose, &b, e);

    if (st == ST_OK)
        st = wire_control_open(&c, b.cose.payload.p, b.cose.payload.n, e);
    for (; st == ST_OK && (st = wire_control_next(&c, &x, e)) == ST_OK; at.n++)
        st = city_correct_keep(d, &at, &x, e);
    wire_batch_done(&b);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st city_correct_fill(struct city_db *d, struct err *e)
{
    struct buf cose;
    enum st st;
    sqlite3_stmt *s = city_db_bind(d, SQL_READ_CONTROL, "");

    buf_init(&cose, WIRE_BATCH_MAX);
    while ((st = city_db_step(d, s, e)) == ST_OK && (st = fill_batch(d, s, &cose, e)) == ST_OK)
        ;
    sqlite3_reset(s);
    buf_done(&cose);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st city_correct_can(struct city_db *d, int64_t gateway, bool *any, struct err *e)
{
    sqlite3_stmt *s = city_db_bind(d, SQL_CORRECTED_ANY, "i", gateway);
    enum st st = city_db_step(d, s, e);

    *any = st == ST_OK;
    if (st == ST_OK && sqlite3_column_int(s, 0) == 0) {
        struct wire_span what = city_db_span(s, 1);
        st =
            err_set(e, ST_UNSUPPORTED,
                    "this version cannot apply a correct entry to %.*s; raw readings are as sealed",
                    (int)what.n, (const char *)what.p);
    }
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st city_reading_correct(struct city_db *d, const struct city_correction *c,
                             struct wire_reading *r, bool *taken, struct err *e)
{
    char series[2 * WIRE_POINT_MAX + 2];

    *taken = false;
    r->t_ms += c->add_ms;
    /* rule 19: what is moved is corrected, and no longer unknown */
    if (c->moved && r->q & WIRE_Q_TIME_UNKNOWN)
        r->q = (r->q & ~(uint32_t)WIRE_Q_TIME_UNKNOWN) | WIRE_Q_TIME_CORRECTED;
    if (!c->any_taken)
        return ST_OK;
    int n = snprintf(series, sizeof series, "%.*s/%.*s", (int)r->device.n,
                     (const char *)r->device.p, (int)r->point.n, (const char *)r->point.p);
    if (n < 0 || (size_t)n >= sizeof series)
        return err_set(e, ST_CORRUPT, "a series name that is too long");
    sqlite3_stmt *s = city_db_bind(d, SQL_CORRECTED_AT, "iti", c->gateway, series, r->t_ms);
    enum st st = city_db_step(d, s, e);
    *taken = st == ST_OK;
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

void city_correction_of(struct city_correction *c, sqlite3_stmt *row)
{
    c->moved = sqlite3_column_type(row, 6) != SQLITE_NULL;
    c->add_ms = sqlite3_column_int64(row, 6);
}
