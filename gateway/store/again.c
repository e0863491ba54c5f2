/* Batches whose readings are sealed once more, under new numbers: their own are taken at the city,
 * or were given up. */
#include "gateway/store/rollup_int.h"

#include <stdio.h>
#include <string.h>

enum st store_again_next(struct store *s, struct store_again *out, struct err *e)
{
    struct store_moved moved = {0};
    sqlite3_stmt *q = store_db_use(&s->db, SQL_AGAIN_NEXT, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_row(&s->db, q, e));
    int kind = sqlite3_column_int(q, 3);
    *out = (struct store_again){.id = sqlite3_column_int64(q, 0),
                                .seq = store_batch_seq(sqlite3_column_int64(q, 0)),
                                .n = (uint64_t)sqlite3_column_int64(q, 4),
                                .from_ms = sqlite3_column_int64(q, 1),
                                .to_ms = sqlite3_column_int64(q, 6),
                                .kind = kind == STORE_KIND_CONTROL ? WIRE_CONTROL : WIRE_DATA,
                                .thinned = kind > STORE_KIND_CONTROL};
    bool whole = store_db_blob(q, 2, out->chain, sizeof out->chain);
    buf_init(&out->packed, 2 * WIRE_BATCH_MAX);
    enum st st =
        buf_put(&out->packed, sqlite3_column_blob(q, 5), (size_t)sqlite3_column_bytes(q, 5));
    sqlite3_reset(q);
    if (st != ST_OK)
        return err_set(e, st, "store %s: no memory", s->path);
    st = whole ? store_batch_moved(&s->db, out->id, 0, &moved, e)
               : err_set(e, ST_CORRUPT, "store %s: a refused batch is damaged", s->path);
    out->add_ms = moved.add_ms;
    out->err_ms = moved.err_ms;
    if (st != ST_OK)
        buf_done(&out->packed);
    return st;
}

static enum st replace(struct store *s, const struct store_sealed *b, int64_t id,
                       struct store_gone *gone, struct err *e)
{
    int64_t chain = 0;
    ERR_TRY(store_batch_drop(s, id, gone, e)); /* first: its pages serve the new one */
    if (!b)
        return ST_OK;
    ERR_TRY(store_chain_row(&s->db, b->chain, &chain, e));
    ERR_TRY(store_batch_add(s, chain, b, e));
    return b->kind == WIRE_CONTROL
               ? store_times_note(&s->db, store_batch_id(chain, b->seq), b->packed, e)
               : ST_OK;
}

enum st store_seal_again(struct store *s, const struct store_sealed *b, int64_t id, struct err *e)
{
    struct store_gone gone = {0};
    if (atomic_load(&s->suspect))
        return err_set(e, ST_CORRUPT, "store %s: damaged", s->path);
    ERR_TRY(store_begin(s, b ? b->packed.n : 0, e));
    ERR_TRY(store_db_end(&s->db, replace(s, b, id, &gone, e), e));
    store_gone_tell(s, &gone);
    if (b)
        store_sealed_tell(s, b);
    return ST_OK;
}

/* ---- asked for by a person ---- */

struct again_arg {
    const uint8_t *chain;
    uint64_t seq;
};

static enum st again_set(struct store *s, const struct again_arg *a, struct err *e)
{
    int64_t chain = 0;
    ERR_TRY(store_chain_row(&s->db, a->chain, &chain, e));
    int64_t id = store_batch_id(chain, a->seq);
    ERR_TRY(store_db_has(&s->db, SQL_REFUSED_AT, id, e));
    ERR_TRY(store_db_has(&s->db, SQL_BATCH_KIND, id, e));
    sqlite3_stmt *q = store_db_use(&s->db, SQL_AGAIN_SET, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, id);
    ERR_TRY(store_db_run(&s->db, q, e));
    return sqlite3_changes(s->db.h) > 0 ? ST_OK : ST_BUSY;
}

static enum st again_call(struct store *s, void *arg, struct err *e)
{
    ERR_TRY(store_db_begin(&s->db, e));
    return store_db_end(&s->db, again_set(s, arg, e), e);
}

enum st store_refused_again(struct store *s, const uint8_t *chain, uint64_t seq, struct err *e)
{
    struct again_arg a = {chain, seq};
    if (seq >> STORE_SEQ_BITS)
        return ST_NOT_FOUND;
    return store_call(s, again_call, &a, e);
}

enum st store_each_refusal(struct store_reader *r,
                           bool (*each)(void *ctx, const struct store_refusal *f), void *ctx,
                           struct err *e)
{
    sqlite3_stmt *q = store_db_use(&r->db, SQL_REFUSED_EACH, e);
    if (!q)
        return ST_IO;
    enum st st;
    while ((st = store_db_row(&r->db, q, e)) == ST_OK) {
        struct store_refusal f = {.seq = store_batch_seq(sqlite3_column_int64(q, 1)),
                                  .n = (uint64_t)sqlite3_column_int64(q, 2),
                                  .at_ms = sqlite3_column_int64(q, 3)};
        const char *code = (const char *)sqlite3_column_text(q, 4);
        (void)snprintf(f.code, sizeof f.code, "%s", code ? code : "");
        if (!store_db_blob(q, 0, f.chain, sizeof f.chain) || !each(ctx, &f))
            break;
    }
    sqlite3_reset(q);
    return st == ST_NOT_FOUND ? ST_OK : st;
}
