#include "gateway/city/city_int.h"

#include <string.h>

/* What control batches say about sealed readings: `time` moves the times of a boot, `correct`
 * takes readings back (batch.md rules 16, 19 and 23). */

static bool span_is(struct wire_span s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static enum st add_time(struct city_corrections *c, int64_t chain, const struct wire_entry *x,
                        struct err *e)
{
    sqlite3_reset(c->add_time);
    sqlite3_bind_int64(c->add_time, 1, chain);
    sqlite3_bind_blob(c->add_time, 2, x->boot.p, (int)x->boot.n, SQLITE_STATIC);
    sqlite3_bind_int64(c->add_time, 3, (int64_t)x->seq_from);
    sqlite3_bind_int64(c->add_time, 4, (int64_t)x->seq_to);
    sqlite3_bind_int64(c->add_time, 5, x->add_ms);
    return city_db_run(c->db, c->add_time, e);
}

static enum st add_correct(struct city_corrections *c, const struct wire_entry *x, struct err *e)
{
    if (!span_is(x->text, "invalidate"))
        return err_set(e, ST_UNSUPPORTED,
                       "this version cannot apply a correct entry to %.*s; --raw "
                       "prints the readings as sealed",
                       (int)x->text.n, (const char *)x->text.p);
    sqlite3_reset(c->add_invalid);
    sqlite3_bind_text(c->add_invalid, 1, (const char *)x->series.p, (int)x->series.n,
                      SQLITE_STATIC);
    sqlite3_bind_int64(c->add_invalid, 2, x->at_ms);
    sqlite3_bind_int64(c->add_invalid, 3, x->to_ms);
    return city_db_run(c->db, c->add_invalid, e);
}

static enum st add_entries(struct city_corrections *c, int64_t chain, struct wire_span payload,
                           struct err *e)
{
    struct wire_control entries;
    struct wire_entry x;
    enum st st = wire_control_open(&entries, payload.p, payload.n, e);

    while (st == ST_OK && (st = wire_control_next(&entries, &x, e)) == ST_OK) {
        if (x.kind == WIRE_ENTRY_TIME)
            st = add_time(c, chain, &x, e);
        else if (x.kind == WIRE_ENTRY_CORRECT)
            st = add_correct(c, &x, e);
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
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
