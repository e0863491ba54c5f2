/* What the tools read: walks over everything in many short transactions. A long one would keep the
 * WAL of a running gateway from being folded. */
#include "gateway/store/damage.h"
#include "gateway/store/store_int.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static enum st id_behind(struct store_reader *r, int64_t after, int64_t from_ms, int64_t to_ms,
                         int64_t *id, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&r->db, SQL_BATCH_BEHIND, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, after);
    sqlite3_bind_int64(q, 2, from_ms);
    sqlite3_bind_int64(q, 3, to_ms);
    ERR_TRY(store_db_row(&r->db, q, e));
    *id = sqlite3_column_int64(q, 0);
    sqlite3_reset(q);
    return ST_OK;
}

enum st store_batch_behind(struct store_reader *r, int64_t after, int64_t from_ms, int64_t to_ms,
                           struct store_batch *out, struct err *e)
{
    int64_t id = 0;
    /* a view, so that what is found is still there to be read */
    ERR_TRY(store_db_do(&r->db, SQL_BEGIN_READ, 0, NULL, e));
    enum st st = id_behind(r, after, from_ms, to_ms, &id, e);
    if (st == ST_OK)
        st = store_reader_load(r, id, out, e);
    enum st ended = store_db_do(&r->db, SQL_ROLLBACK, 0, NULL, e);
    return st != ST_OK ? st : ended;
}

enum st store_control_before(struct store_reader *r, int64_t before, struct store_batch *out,
                             struct err *e)
{
    ERR_TRY(store_db_do(&r->db, SQL_BEGIN_READ, 0, NULL, e));
    sqlite3_stmt *q = store_db_use(&r->db, SQL_CONTROL_BEFORE, e);
    enum st st = q ? ST_OK : ST_IO;
    if (q) {
        sqlite3_bind_int64(q, 1, before);
        st = store_db_row(&r->db, q, e);
    }
    if (st == ST_OK) {
        int64_t id = sqlite3_column_int64(q, 0);
        sqlite3_reset(q);
        st = store_reader_load(r, id, out, e);
    }
    enum st ended = store_db_do(&r->db, SQL_ROLLBACK, 0, NULL, e);
    return st != ST_OK ? st : ended;
}

enum st store_sealed_from(struct store *s, const uint8_t *chain, uint64_t seq,
                          struct store_batch *out, struct buf *cose, struct err *e)
{
    struct buf packed;
    int64_t row = 0;
    *out = (struct store_batch){.seq = seq};
    ERR_TRY(store_chain_row(&s->db, chain, &row, e));
    sqlite3_stmt *q = store_db_use(&s->db, SQL_BATCH_NEXT, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, store_batch_id(row, seq));
    sqlite3_bind_int64(q, 2, store_batch_id(row + 1, 0) - 1);
    ERR_TRY(store_db_row(&s->db, q, e));
    int64_t id = sqlite3_column_int64(q, 0);
    sqlite3_reset(q);
    buf_init(&packed, 2 * WIRE_BATCH_MAX);
    enum st st = store_batch_load(&s->db, id, out, &packed, e);
    if (st == ST_OK)
        st = store_batch_check(out->packed, out->hash, cose, e);
    out->packed = (struct wire_span){NULL, 0};
    buf_done(&packed);
    return st;
}

/* ---- what waits to be sealed ---- */

/* Packed blobs, each behind its length: those in the database, then those in the journal's file. */
static enum st add_blob(struct buf *to, const void *p, size_t n)
{
    ERR_TRY(buf_put(to, &n, sizeof n));
    return buf_put(to, p, n);
}

struct within {
    const struct store_readings_ask *ask;
    bool any;
};

/* All readings of a poll have its time, and no shift moves them before they are sealed. */
static enum st is_within(void *ctx, const struct store_entry *x, struct err *e)
{
    struct within *w = ctx;
    (void)e;
    w->any = w->any || (x->t_ms >= w->ask->from_ms && x->t_ms < w->ask->to_ms);
    return ST_OK;
}

static enum st copy_blob(struct store_reader *r, struct wire_span blob,
                         const struct store_readings_ask *only, struct buf *to, struct err *e)
{
    struct within w = {only, only == NULL};
    if (only)
        ERR_TRY(store_entries_each(blob, is_within, &w, e));
    enum st st = w.any ? add_blob(to, blob.p, blob.n) : ST_OK;
    return st == ST_OK ? ST_OK : err_set(e, st, "store %s: no memory for its journal", r->db.path);
}

static enum st copy_blobs(struct store_reader *r, const struct store_readings_ask *only,
                          struct buf *to, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&r->db, SQL_JOURNAL_ALL, e);
    if (!q)
        return ST_IO;
    enum st st;
    while ((st = store_db_row(&r->db, q, e)) == ST_OK) {
        const struct wire_span blob = {sqlite3_column_blob(q, 0),
                                       (size_t)sqlite3_column_bytes(q, 0)};
        st = copy_blob(r, blob, only, to, e);
        if (st != ST_OK) {
            sqlite3_reset(q);
            return st;
        }
    }
    if (st != ST_NOT_FOUND)
        return st;
    st = ST_OK;
    for (size_t i = 0; i < r->njournal && st == ST_OK; i++)
        st = copy_blob(r, (struct wire_span){r->journal[i].p, r->journal[i].n}, only, to, e);
    return st;
}

enum st store_pending_copy(struct store_reader *r, int64_t after, int64_t from_ms, int64_t to_ms,
                           const struct store_readings_ask *only, struct buf *out, struct err *e)
{
    int64_t id = 0;
    out->n = 0;
    ERR_TRY(store_reader_begin(r, e));
    enum st st = id_behind(r, after, from_ms, to_ms, &id, e);
    if (st == ST_OK)
        st = ST_BUSY;
    else if (st == ST_NOT_FOUND)
        st = copy_blobs(r, only, out, e);
    store_reader_end(r);
    return st;
}

enum st store_pending_next(const struct buf *blobs, size_t *at,
                           bool (*each)(void *ctx, const struct wire_reading *w), void *ctx,
                           bool *stopped, struct err *e)
{
    size_t n = 0;
    if (*at >= blobs->n)
        return ST_NOT_FOUND;
    memcpy(&n, blobs->p + *at, sizeof n);
    const struct wire_span blob = {blobs->p + *at + sizeof n, n};
    ERR_TRY(store_blob_readings(blob, each, ctx, stopped, e));
    if (!*stopped)
        *at += sizeof n + n;
    return ST_OK;
}

enum st store_pending_behind(struct store_reader *r, int64_t after, int64_t from_ms, int64_t to_ms,
                             bool (*each)(void *ctx, const struct wire_reading *w), void *ctx,
                             struct err *e)
{
    struct buf blobs;
    buf_init(&blobs, STORE_PENDING_MAX);
    enum st st = store_pending_copy(r, after, from_ms, to_ms, NULL, &blobs, e);
    bool stopped = false;
    for (size_t at = 0; st == ST_OK && !stopped;)
        st = store_pending_next(&blobs, &at, each, ctx, &stopped, e);
    buf_done(&blobs);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* ---- one batch, one value ---- */

enum st store_batch_find(struct store_reader *r, const uint8_t *chain, uint64_t seq,
                         struct store_batch *out, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&r->db, SQL_BATCH_FIND, e);
    if (!q)
        return ST_IO;
    if (seq >> STORE_SEQ_BITS)
        return ST_NOT_FOUND;
    sqlite3_bind_blob(q, 1, chain, WIRE_ID_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, (int64_t)seq);
    ERR_TRY(store_db_row(&r->db, q, e));
    *out = (struct store_batch){
        .id = sqlite3_column_int64(q, 0),
        .seq = seq,
        .kind = sqlite3_column_int(q, 1) == STORE_KIND_CONTROL ? WIRE_CONTROL : WIRE_DATA,
        .from_ms = sqlite3_column_int64(q, 2),
        .to_ms = sqlite3_column_int64(q, 3),
        .n = (uint64_t)sqlite3_column_int64(q, 4)};
    memcpy(out->chain, chain, WIRE_ID_BYTES);
    bool ok = store_db_blob(q, 5, out->hash, WIRE_HASH_BYTES);
    sqlite3_reset(q);
    return ok ? ST_OK
              : err_set(e, ST_CORRUPT, "store %s: batch %llu is damaged", r->db.path,
                        (unsigned long long)seq);
}

enum st store_batch_acked(struct store_reader *r, const char *uplink, int64_t id, bool *acked,
                          struct err *e)
{
    uint64_t a, z;
    enum st st = store_ack_range(&r->db, r->store, uplink, id >> STORE_SEQ_BITS,
                                 store_batch_seq(id), &a, &z, e);
    *acked = st == ST_OK;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st store_reader_meta(struct store_reader *r, const char *key, struct buf *out, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&r->db, SQL_META_GET, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
    ERR_TRY(store_db_row(&r->db, q, e));
    enum st st = buf_put(out, sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0));
    sqlite3_reset(q);
    return st == ST_OK ? ST_OK : err_set(e, st, "store %s: no memory", r->db.path);
}

bool store_in_use(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool used = flock(fd, LOCK_SH | LOCK_NB) != 0;
    close(fd);
    return used;
}
