/* What the page tells of the city's side: receipts, how much of a day is acknowledged, which batch
 * holds a time. Read-only; each is one statement over rows of a bounded number. */
#include "gateway/store/damage.h"
#include "gateway/store/store_int.h"

enum st store_chain_newest(struct store_reader *r, struct store_chain *out, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&r->db, SQL_CHAIN_LAST, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_row(&r->db, q, e));
    bool ok = store_chain_read(q, out);
    sqlite3_reset(q);
    return ok ? ST_OK : err_set(e, ST_CORRUPT, "store %s: the chain's row is damaged", r->db.path);
}

/* From: id, kind, from_ms, to_ms, n, hash, chain. */
static bool batch_of(sqlite3_stmt *q, struct store_batch *out)
{
    int64_t id = sqlite3_column_int64(q, 0);
    *out = (struct store_batch){.id = id,
                                .seq = store_batch_seq(id),
                                .kind = sqlite3_column_int(q, 1) == 1 ? WIRE_CONTROL : WIRE_DATA,
                                .from_ms = sqlite3_column_int64(q, 2),
                                .to_ms = sqlite3_column_int64(q, 3),
                                .n = (uint64_t)sqlite3_column_int64(q, 4)};
    return store_db_blob(q, 5, out->hash, sizeof out->hash) &&
           store_db_blob(q, 6, out->chain, sizeof out->chain);
}

enum st store_batch_holding(struct store_reader *r, int64_t t_ms, struct store_batch *out,
                            struct err *e)
{
    bool any = t_ms == INT64_MAX;
    sqlite3_stmt *q = store_db_use(&r->db, any ? SQL_BATCH_DATA_LAST : SQL_BATCH_HOLDING, e);
    if (!q)
        return ST_IO;
    if (!any)
        sqlite3_bind_int64(q, 1, t_ms);
    ERR_TRY(store_db_row(&r->db, q, e));
    bool ok = batch_of(q, out);
    sqlite3_reset(q);
    return ok ? ST_OK : err_set(e, ST_CORRUPT, "store %s: a batch is damaged", r->db.path);
}

enum st store_each_receipt(struct store_reader *r, const char *uplink, int limit,
                           void (*each)(void *ctx, const struct store_batch *b, int64_t at_ms),
                           void *ctx, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&r->db, SQL_RECEIPT_EACH, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, uplink, -1, SQLITE_STATIC);
    sqlite3_bind_int(q, 2, limit);
    enum st st;
    while ((st = store_db_row(&r->db, q, e)) == ST_OK) {
        struct store_batch b;
        if (batch_of(q, &b))
            each(ctx, &b, sqlite3_column_int64(q, 7));
    }
    sqlite3_reset(q);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st store_sealed_since(struct store_reader *r, const char *uplink, int64_t from_ms,
                           struct store_since *out, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&r->db, SQL_SEALED_SINCE, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, uplink, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, from_ms);
    ERR_TRY(store_db_row(&r->db, q, e));
    *out = (struct store_since){.batches = sqlite3_column_int64(q, 0),
                                .acked_batches = sqlite3_column_int64(q, 1),
                                .readings = sqlite3_column_int64(q, 2),
                                .acked_readings = sqlite3_column_int64(q, 3)};
    sqlite3_reset(q);
    return ST_OK;
}

enum st store_reader_version(struct store_reader *r, int64_t *out, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&r->db, SQL_VERSION, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_row(&r->db, q, e));
    *out = sqlite3_column_int64(q, 0);
    sqlite3_reset(q);
    return ST_OK;
}

enum st store_unsent_since(struct store_reader *r, int64_t *from_ms, struct err *e)
{
    const struct store *s = r->store;
    struct store_chain c;
    struct store_batch b;
    bool required = false;
    ERR_TRY(store_chain_newest(r, &c, e));
    *from_ms = c.window_to_ms;
    for (uint32_t i = 0; i < s->nup; i++) { /* they are as they were before the start */
        if (!s->up[i].required)
            continue;
        required = true;
        enum st st = store_pick_batch_but(r, s->up[i].id, STORE_PICK_OLDEST, NULL, 0, &b, e);
        if (st != ST_OK && st != ST_NOT_FOUND)
            return st;
        if (st == ST_OK && b.from_ms < *from_ms)
            *from_ms = b.from_ms;
    }
    return required ? ST_OK : ST_NOT_FOUND;
}
