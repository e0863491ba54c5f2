/* What the store can prove of a past reading: the corrections that apply to it and who made them,
 * the device's serial number then, the receipt of its batch. Read-only, for the page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/store/damage.h"
#include "gateway/store/rollup_int.h"

/* ---- corrections ---- */

struct place {
    int64_t batch;
    uint64_t n; /* the entry's place in it */
};

static enum st places_of(struct store_reader *r, const char *series, int64_t t_ms,
                         struct place out[STORE_CORRECTIONS_MAX], size_t *n, bool *more,
                         struct err *e)
{
    sqlite3_stmt *q = store_db_use(&r->db, SQL_CORRECTIONS_AT, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, series, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, t_ms);
    enum st st;
    while ((st = store_db_row(&r->db, q, e)) == ST_OK && *n < STORE_CORRECTIONS_MAX)
        out[(*n)++] =
            (struct place){sqlite3_column_int64(q, 0), (uint64_t)sqlite3_column_int64(q, 1)};
    *more = st == ST_OK;
    sqlite3_reset(q);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static void copy(char *to, size_t n, struct wire_span s)
{
    (void)snprintf(to, n, "%.*s", (int)(s.n < n ? s.n : n - 1), (const char *)s.p);
}

/* The id is any CBOR; ours are texts. */
static void copy_id(char *to, size_t n, struct wire_span cbor)
{
    struct wire_reader r = {cbor.p, cbor.p, cbor.p + cbor.n};
    struct wire_item it;
    to[0] = '\0';
    if (wire_next(&r, &it, NULL) == ST_OK && it.type == WIRE_TEXT)
        copy(to, n, it.span);
}

static enum st entry_at(const struct wire_batch *b, uint64_t n, struct wire_entry *x, struct err *e)
{
    struct wire_control c;
    ERR_TRY(wire_control_open(&c, b->cose.payload.p, b->cose.payload.n, e));
    for (uint64_t i = 0; i <= n; i++)
        ERR_TRY(wire_control_next(&c, x, e));
    return ST_OK;
}

static enum st read_entry(struct store_reader *r, const struct place *p,
                          struct store_correction *out, struct err *e)
{
    struct store_batch row;
    struct wire_batch b;
    struct wire_entry x;
    struct buf cose;
    buf_init(&cose, WIRE_BATCH_MAX);
    enum st st = store_reader_load(r, p->batch, &row, e);
    if (st == ST_OK)
        st = store_batch_check(row.packed, row.hash, &cose, e);
    if (st == ST_OK)
        st = wire_batch_open(&b, cose.p, cose.n, e);
    if (st == ST_OK) {
        st = entry_at(&b, p->n, &x, e);
        if (st == ST_OK && (x.kind != WIRE_ENTRY_CORRECT || !wire_fix_of(&x, &out->fix)))
            st = err_set(e, ST_CORRUPT, "a correction that is none");
        if (st == ST_OK) {
            copy_id(out->id, sizeof out->id, x.id);
            copy(out->reason, sizeof out->reason, x.reason);
            copy(out->author, sizeof out->author, x.author);
            out->from_ms = x.at_ms;
            out->to_ms = x.to_ms;
            memcpy(out->chain, row.chain, sizeof out->chain);
            out->held = true;
        }
        wire_batch_done(&b);
    }
    buf_done(&cose);
    return st;
}

/* Its batch may have left the store: then the table alone says that there is one. */
static enum st is_held(struct store_reader *r, int64_t batch, bool *held, struct err *e)
{
    sqlite3_stmt *q = store_db_ask(&r->db, SQL_BATCH_HASH, 1, &batch, e);
    if (!q)
        return ST_IO;
    enum st st = store_db_row(&r->db, q, e);
    *held = st == ST_OK;
    sqlite3_reset(q);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st tell_all(struct store_reader *r, const char *series, int64_t t_ms,
                        void (*each)(void *ctx, const struct store_correction *c), void *ctx,
                        bool *more, struct err *e)
{
    struct place at[STORE_CORRECTIONS_MAX];
    size_t n = 0;
    ERR_TRY(places_of(r, series, t_ms, at, &n, more, e));
    for (size_t i = 0; i < n; i++) {
        struct store_correction c = {.seq = store_batch_seq(at[i].batch)};
        bool held = false;
        ERR_TRY(is_held(r, at[i].batch, &held, e));
        if (held)
            ERR_TRY(read_entry(r, &at[i], &c, e));
        each(ctx, &c);
    }
    return ST_OK;
}

enum st store_each_correction(struct store_reader *r, const char *series, int64_t t_ms,
                              void (*each)(void *ctx, const struct store_correction *c), void *ctx,
                              bool *more, struct err *e)
{
    /* a view, so that what is found is still there to be read */
    ERR_TRY(store_db_do(&r->db, SQL_BEGIN_READ, 0, NULL, e));
    enum st st = tell_all(r, series, t_ms, each, ctx, more, e);
    enum st ended = store_db_do(&r->db, SQL_ROLLBACK, 0, NULL, e);
    return st != ST_OK ? st : ended;
}

/* ---- the serial number then ---- */

enum st store_serial_at(struct store_reader *r, const char *device, int64_t t_ms,
                        char out[STORE_NOTE_BYTES], struct err *e)
{
    char from[WIRE_SERIES_BYTES], to[WIRE_SERIES_BYTES];
    sqlite3_stmt *q = store_db_use(&r->db, SQL_WORKS_OF, e);
    out[0] = '\0';
    if (!q)
        return ST_IO;
    /* all its series lie from "device/" to "device0", the next character */
    (void)snprintf(from, sizeof from, "%s/", device);
    (void)snprintf(to, sizeof to, "%s0", device);
    sqlite3_bind_text(q, 1, from, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 2, to, -1, SQLITE_STATIC);
    enum st st;
    while ((st = store_db_row(&r->db, q, e)) == ST_OK) {
        struct wire_entry x;
        char serial[STORE_NOTE_BYTES];
        store_said_of(q, WIRE_ENTRY_MAINTAIN, &x);
        bool before = x.at_ms <= t_ms;
        store_work_serial(&x, before ? "new_serial" : "old_serial", serial);
        if (serial[0] != '\0' && (before || out[0] == '\0'))
            memcpy(out, serial, sizeof serial);
        if (!before && out[0] != '\0')
            break;
    }
    sqlite3_reset(q);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    return out[0] ? ST_OK : ST_NOT_FOUND;
}

/* ---- the receipt ---- */

enum st store_receipt_of(struct store_reader *r, const char *uplink, int64_t id, int64_t *at_ms,
                         struct err *e)
{
    sqlite3_stmt *q = store_db_use(&r->db, SQL_RECEIPT_OF, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, uplink, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, id);
    ERR_TRY(store_db_row(&r->db, q, e));
    *at_ms = sqlite3_column_int64(q, 0);
    sqlite3_reset(q);
    return ST_OK;
}
