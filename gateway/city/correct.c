#include "gateway/city/city_int.h"

#include <string.h>

/* What control batches say about sealed readings: `time` moves the times of a boot, `correct`
 * takes readings back (batch.md rules 16, 19 and 23). */

static bool next_int(struct wire_reader *r, int64_t *v)
{
    struct wire_item it;

    if (wire_next(r, &it, NULL) != ST_OK || it.u > INT64_MAX)
        return false;
    *v = it.type == WIRE_NINT ? -1 - (int64_t)it.u : (int64_t)it.u;
    return it.type == WIRE_UINT || it.type == WIRE_NINT;
}

static bool next_span(struct wire_reader *r, enum wire_type type, struct wire_span *s)
{
    struct wire_item it;

    if (wire_next(r, &it, NULL) != ST_OK || it.type != type)
        return false;
    *s = it.span;
    return true;
}

static bool span_is(struct wire_span s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static enum st add_time(struct city_corrections *c, int64_t chain, struct wire_reader r,
                        struct err *e)
{
    struct wire_span boot;
    int64_t from, to, add;

    if (!next_span(&r, WIRE_BYTES, &boot) || !next_int(&r, &from) || !next_int(&r, &to) ||
        !next_int(&r, &add))
        return err_set(e, ST_BAD, "a time entry that cannot be read");
    sqlite3_reset(c->add_time);
    sqlite3_bind_int64(c->add_time, 1, chain);
    sqlite3_bind_blob(c->add_time, 2, boot.p, (int)boot.n, SQLITE_STATIC);
    sqlite3_bind_int64(c->add_time, 3, from);
    sqlite3_bind_int64(c->add_time, 4, to);
    sqlite3_bind_int64(c->add_time, 5, add);
    return city_db_run(c->db, c->add_time, e);
}

static enum st add_correct(struct city_corrections *c, struct wire_reader r, struct err *e)
{
    struct wire_span series, what;
    int64_t from, to;

    if (wire_skip(&r, NULL) != ST_OK || !next_span(&r, WIRE_TEXT, &series) ||
        !next_int(&r, &from) || !next_int(&r, &to) || !next_span(&r, WIRE_TEXT, &what))
        return err_set(e, ST_BAD, "a correct entry that cannot be read");
    if (!span_is(what, "invalidate"))
        return err_set(e, ST_UNSUPPORTED,
                       "this version cannot apply a correct entry to %.*s; --raw "
                       "prints the readings as sealed",
                       (int)what.n, (const char *)what.p);
    sqlite3_reset(c->add_invalid);
    sqlite3_bind_text(c->add_invalid, 1, (const char *)series.p, (int)series.n, SQLITE_STATIC);
    sqlite3_bind_int64(c->add_invalid, 2, from);
    sqlite3_bind_int64(c->add_invalid, 3, to);
    return city_db_run(c->db, c->add_invalid, e);
}

static enum st add_entries(struct city_corrections *c, int64_t chain, struct wire_span payload,
                           struct err *e)
{
    struct wire_reader r = {payload.p, payload.p, payload.p + payload.n};
    struct wire_item it;
    enum st st = wire_next(&r, &it, e);

    for (uint64_t left = st == ST_OK ? it.u : 0; st == ST_OK && left > 0; left--) {
        struct wire_reader entry = r;
        struct wire_span name;
        st = wire_skip(&r, e);
        if (st != ST_OK || wire_next(&entry, &it, NULL) != ST_OK ||
            !next_span(&entry, WIRE_TEXT, &name))
            continue;
        if (span_is(name, "time"))
            st = add_time(c, chain, entry, e);
        else if (span_is(name, "correct"))
            st = add_correct(c, entry, e);
    }
    return st;
}

enum st city_corrections_open(struct city_corrections *c, struct city_db *d, struct err *e)
{
    *c = (struct city_corrections){.db = d};
    enum st st = city_db_exec(
        d,
        "CREATE TEMP TABLE t(chain INTEGER, boot BLOB, seq_from INTEGER, seq_to INTEGER,"
        " add_ms INTEGER);"
        "CREATE TEMP TABLE invalid(series TEXT, from_ms INTEGER, to_ms INTEGER);",
        e);
    if (st == ST_OK &&
        (sqlite3_prepare_v2(d->db, "INSERT INTO temp.t VALUES(?1, ?2, ?3, ?4, ?5)", -1,
                            &c->add_time, NULL) != SQLITE_OK ||
         sqlite3_prepare_v2(d->db, "INSERT INTO temp.invalid VALUES(?1, ?2, ?3)", -1,
                            &c->add_invalid, NULL) != SQLITE_OK ||
         sqlite3_prepare_v2(d->db,
                            "SELECT add_ms FROM temp.t WHERE chain = ?1 AND boot = ?2 AND "
                            "seq_from <= ?3 AND seq_to >= ?3 ORDER BY rowid DESC LIMIT 1",
                            -1, &c->find_time, NULL) != SQLITE_OK))
        st = city_db_fail(d, e);
    return st;
}

void city_corrections_close(struct city_corrections *c)
{
    sqlite3_finalize(c->add_time);
    sqlite3_finalize(c->add_invalid);
    sqlite3_finalize(c->find_time);
}

enum st city_corrections_load(struct city_corrections *c, int64_t gateway, struct buf *cose,
                              struct err *e)
{
    enum st st = city_db_exec(c->db, "DELETE FROM temp.t; DELETE FROM temp.invalid", e);
    sqlite3_stmt *s = city_db_bind(c->db, SQL_READ_CONTROL, "i", gateway);

    while (st == ST_OK && (st = city_db_step(c->db, s, e)) == ST_OK) {
        struct wire_batch b;
        st = city_batch_read(city_db_span(s, 1), cose, &b, e);
        if (st == ST_OK)
            st = add_entries(c, sqlite3_column_int64(s, 0), b.cose.payload, e);
        wire_batch_done(&b);
    }
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st city_corrections_time(struct city_corrections *c, int64_t chain, struct wire_span boot,
                              int64_t seq, bool *moved, int64_t *add_ms, struct err *e)
{
    sqlite3_stmt *s = c->find_time;

    sqlite3_reset(s);
    sqlite3_bind_int64(s, 1, chain);
    sqlite3_bind_blob(s, 2, boot.p, (int)boot.n, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, seq);
    enum st st = city_db_step(c->db, s, e);
    *moved = st == ST_OK;
    *add_ms = st == ST_OK ? sqlite3_column_int64(s, 0) : 0;
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? ST_OK : st;
}
