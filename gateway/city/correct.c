#include "gateway/city/city_int.h"

#include <string.h>

#include "gateway/base/log.h"

/* What control batches say about sealed readings: `time` moves the times of a boot, `correct` takes
 * readings back, scales or renames them, `maintain` flags them (batch.md rules 16, 19 and 23,
 * decision 0018). Kept in tables as they come; SQL_READ_BATCHES finds what moves a batch, and
 * city_reading_correct applies all of it to a reading. */

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
                           city_db_bind(d, SQL_CORRECTED_ADD, "iibiibbb", at->batch, at->n,
                                        x->series.p, x->series.n, x->at_ms, x->to_ms, x->text.p,
                                        x->text.n, x->arguments.p, x->arguments.n, x->id.p,
                                        x->id.n),
                           e);
    if (x->kind == WIRE_ENTRY_MAINTAIN)
        return city_db_run(d,
                           city_db_bind(d, SQL_MAINTAINED_ADD, "iibiibb", at->batch, at->n,
                                        x->series.p, x->series.n, x->at_ms, x->to_ms, x->text.p,
                                        x->text.n, x->arguments.p, x->arguments.n),
                           e);
    if (x->kind == WIRE_ENTRY_DIGEST)
        return city_digest_keep(d, at, x, e);
    if (x->kind == WIRE_ENTRY_CONFIG)
        ERR_TRY(city_db_run(
            d, city_db_bind(d, SQL_CONFIG_SAY, "ib", at->chain, x->hash.p, x->hash.n), e));
    if (x->kind == WIRE_ENTRY_CHANGE || x->kind == WIRE_ENTRY_SETUP || x->kind == WIRE_ENTRY_CONFIG)
        return city_change_keep(d, at, x, e);
    if (x->kind == WIRE_ENTRY_REST)
        return city_rest_keep(d, at, x, e);
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
    while ((st = city_db_step(d, s, e)) == ST_OK) {
        struct err why = {.text = ""};
        st = fill_batch(d, s, &cose, &why);
        if (st == ST_BAD || st == ST_CORRUPT || st == ST_UNSUPPORTED) /* the others still count */
            log_warn("batch %lld of the database cannot be read, and its entries are left out: %s",
                     (long long)sqlite3_column_int64(s, 0), why.text);
        else if (st != ST_OK) {
            (void)err_set(e, st, "%s", why.text);
            break;
        }
    }
    sqlite3_reset(s);
    buf_done(&cose);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st load(struct city_db *d, enum city_sql sql, enum wire_entry_kind kind,
                    struct city_correction *c, struct err *e)
{
    sqlite3_stmt *s = city_db_bind(d, sql, "i", c->gateway);
    enum st st;

    while ((st = city_db_step(d, s, e)) == ST_OK) {
        struct wire_entry x = {.kind = kind,
                               .series = city_db_span(s, 0),
                               .at_ms = sqlite3_column_int64(s, 1),
                               .to_ms = sqlite3_column_int64(s, 2),
                               .text = city_db_span(s, 3),
                               .arguments = city_db_span(s, 4)};
        if (kind == WIRE_ENTRY_CORRECT)
            x.id = city_db_span(s, 5);
        st = wire_fixes_add(c->fixes, &x, e);
        if (st != ST_OK)
            break;
    }
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st city_correct_load(struct city_db *d, int64_t gateway, bool raw, struct city_correction *c,
                          struct err *e)
{
    *c = (struct city_correction){.gateway = gateway};
    if (raw)
        return ST_OK;
    enum st st = wire_fixes_open(&c->fixes, e);
    if (st == ST_OK)
        st = load(d, SQL_CORRECTED_ALL, WIRE_ENTRY_CORRECT, c, e);
    return st == ST_OK ? load(d, SQL_MAINTAINED_ALL, WIRE_ENTRY_MAINTAIN, c, e) : st;
}

void city_correct_done(struct city_correction *c)
{
    wire_fixes_close(c->fixes);
    c->fixes = NULL;
}

bool city_reading_correct(const struct city_correction *c, struct wire_reading *r)
{
    r->t_ms += c->add_ms;
    /* rule 19: what is moved is corrected, and no longer unknown */
    if (c->moved && r->q & WIRE_Q_TIME_UNKNOWN)
        r->q = (r->q & ~(uint32_t)WIRE_Q_TIME_UNKNOWN) | WIRE_Q_TIME_CORRECTED;
    return c->fixes == NULL || wire_fixes_apply(c->fixes, r);
}

void city_correction_of(struct city_correction *c, sqlite3_stmt *row)
{
    c->moved = sqlite3_column_type(row, 6) != SQLITE_NULL;
    c->add_ms = sqlite3_column_int64(row, 6);
}
