/* Statements that rollups and charts share. */
#include "gateway/store/rollup_int.h"

#include <stdlib.h>
#include <string.h>

/* The latest entry that names the batch counts. Our ranges hold batches of one boot only. */
enum st store_batch_moved(struct store_db *d, int64_t id, int64_t from_ms, struct store_moved *out,
                          struct err *e)
{
    *out = (struct store_moved){from_ms >= STORE_KNOWN_MS, 0, 0};
    int64_t v[] = {id};
    sqlite3_stmt *q = store_db_ask(d, SQL_MOVED_AT, 1, v, e);
    if (!q)
        return ST_IO;
    enum st st = store_db_row(d, q, e);
    if (st == ST_OK)
        *out = (struct store_moved){true, sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1)};
    sqlite3_reset(q);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st store_moved_pending(struct store_db *d, int64_t *first, int64_t *last, struct err *e)
{
    int64_t behind = STORE_DIRTY_RANGE / 2;
    enum st st = store_db_int(d, SQL_PENDING_MOVE, 1, &behind, first, e);
    if (st == ST_OK)
        st = store_db_int(d, SQL_MOVED_LAST, 0, NULL, last, e);
    if (st == ST_NOT_FOUND)
        *first = *last = INT64_MAX;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st store_roll_progress_get(struct store_db *d, struct store_roll_progress *out, struct err *e)
{
    sqlite3_stmt *q = store_db_use(d, SQL_ROLL_PROGRESS, e);
    *out = (struct store_roll_progress){-1, 0, 0};
    if (!q)
        return ST_IO;
    enum st st = store_db_row(d, q, e);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    *out = (struct store_roll_progress){sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1),
                                        sqlite3_column_int64(q, 2)};
    sqlite3_reset(q);
    return ST_OK;
}

enum st store_batch_bytes(struct store_db *d, int64_t id, const uint8_t *hash, struct buf *cose,
                          struct err *e)
{
    sqlite3_stmt *q = store_db_ask(d, SQL_BYTES_GET, 1, &id, e);
    if (!q)
        return ST_IO;
    cose->n = 0;
    enum st st = store_db_row(d, q, e);
    if (st == ST_NOT_FOUND)
        return err_set(e, ST_CORRUPT, "store %s: the bytes of batch %llu are lost", d->path,
                       (unsigned long long)store_batch_seq(id));
    if (st != ST_OK)
        return st;
    st = wire_zstd_unpack(sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0),
                          WIRE_BATCH_MAX, cose, e);
    sqlite3_reset(q);
    uint8_t is[WIRE_HASH_BYTES];
    if (st == ST_OK && hash) {
        wire_sha256(cose->p, cose->n, is);
        if (memcmp(is, hash, sizeof is) != 0)
            st = err_set(e, ST_BAD, "its bytes are not those that were sealed");
    }
    if (st != ST_BAD)
        return st;
    (void)err_wrap(e, st, "store %s: batch %llu", d->path, (unsigned long long)store_batch_seq(id));
    return ST_CORRUPT;
}

enum st store_rolls_next(struct store_db *d, enum store_span span, uint32_t group, int64_t *slot,
                         int64_t end, struct buf *raw, struct err *e)
{
    int64_t v[] = {store_roll_key(*slot, group), store_roll_key(end, 0)};
    for (;;) {
        sqlite3_stmt *q =
            store_db_ask(d, span == STORE_DAY ? SQL_DAY_NEXT : SQL_QUARTER_NEXT, 2, v, e);
        if (!q)
            return ST_IO;
        ERR_TRY(store_db_row(d, q, e));
        int64_t key = sqlite3_column_int64(q, 0), of = key & (STORE_ROLL_GROUPS - 1);
        *slot = key >> 16;
        if (of == group) {
            raw->n = 0;
            enum st st =
                wire_zstd_unpack(sqlite3_column_blob(q, 1), (size_t)sqlite3_column_bytes(q, 1),
                                 STORE_ROLL_BLOB_MAX, raw, e);
            sqlite3_reset(q);
            return st == ST_BAD ? err_wrap(e, ST_CORRUPT, "store %s: rollups", d->path) : st;
        }
        sqlite3_reset(q);
        v[0] = store_roll_key(*slot + (of > group), group);
    }
}
