/* What the writer gives up when the file nears its limit and no uplink takes anything. */
#include <string.h>

#include "gateway/store/rollup_int.h"

#define LOOKS 4096 /* batches that one search may pass over: some ten milliseconds */

/* ST_OK: every required uplink has it, or one said never. ST_NOT_FOUND: it is unsent. */
static enum st is_settled(struct store *s, int64_t id, struct err *e)
{
    enum st st = ST_OK;
    for (uint32_t i = 0; i < s->nup && st == ST_OK; i++) {
        uint64_t a, z;
        if (s->up[i].required)
            st = store_ack_range(&s->db, s, s->up[i].id, id >> STORE_SEQ_BITS, store_batch_seq(id),
                                 &a, &z, e);
    }
    if (st != ST_NOT_FOUND)
        return st;
    sqlite3_stmt *q = store_db_use(&s->db, SQL_REFUSED_AT, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, id);
    st = store_db_row(&s->db, q, e);
    sqlite3_reset(q);
    return st;
}

/* The numbers of the newest chain as ids: above *low, below *high, which is its newest raw batch.
 * ST_NOT_FOUND: it has none. */
static enum st newest_chain(struct store *s, int64_t *low, int64_t *high, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_CHAINS_BACK, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_row(&s->db, q, e));
    *low = store_batch_id(sqlite3_column_int64(q, 0), 0);
    sqlite3_reset(q);
    q = store_db_use(&s->db, SQL_BATCH_PREV, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, INT64_MAX);
    sqlite3_bind_int64(q, 2, *low);
    ERR_TRY(store_db_row(&s->db, q, e));
    *high = sqlite3_column_int64(q, 0);
    sqlite3_reset(q);
    return ST_OK;
}

static enum st load_bytes(struct store *s, struct store_unsent_batch *b, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_UNSENT_BYTES, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, b->id);
    enum st st = store_db_row(&s->db, q, e);
    if (st == ST_NOT_FOUND)
        return err_set(e, ST_CORRUPT, "store %s: a part of batch %llu is lost", s->path,
                       (unsigned long long)b->seq);
    if (st != ST_OK)
        return st;
    buf_init(&b->packed, 2 * WIRE_BATCH_MAX);
    st = buf_put(&b->packed, sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0));
    sqlite3_reset(q);
    return st == ST_OK ? ST_OK : err_set(e, st, "store %s: no memory", s->path);
}

/* The first batch between id and high; *may: it is unsent data below this level. */
static enum st look(struct store *s, enum store_level level, int64_t id, int64_t high,
                    struct store_unsent_batch *b, bool *may, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_UNSENT_NEXT, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, id);
    sqlite3_bind_int64(q, 2, high);
    ERR_TRY(store_db_row(&s->db, q, e));
    int kind = sqlite3_column_int(q, 1);
    *b = (struct store_unsent_batch){.id = sqlite3_column_int64(q, 0),
                                     .seq = store_batch_seq(sqlite3_column_int64(q, 0)),
                                     .level = kind > STORE_KIND_CONTROL
                                                  ? (enum store_level)(kind - STORE_KIND_CONTROL)
                                                  : STORE_RAW,
                                     .n = (uint64_t)sqlite3_column_int64(q, 2),
                                     .to_ms = sqlite3_column_int64(q, 3)};
    bool whole = store_db_blob(q, 4, b->hash, sizeof b->hash);
    sqlite3_reset(q);
    *may = false;
    if (!whole || kind == STORE_KIND_CONTROL || b->level >= level)
        return ST_OK;
    enum st st = is_settled(s, b->id, e);
    *may = st == ST_NOT_FOUND;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* Whether b goes on the row that out holds so far. */
static bool goes_on(const struct store_unsent_batch *out, size_t n,
                    const struct store_unsent_batch *b, uint64_t readings)
{
    return n == 0 || (out[0].level == STORE_RAW && b->level == STORE_RAW &&
                      b->id == out[n - 1].id + 1 && readings + b->n <= STORE_THIN_READINGS);
}

static enum st find_row(struct store *s, enum store_level level, int64_t *id, int64_t high,
                        struct store_unsent_batch *out, size_t max, size_t *n, bool *more,
                        struct err *e)
{
    uint64_t readings = 0;
    for (int looks = 0; looks < LOOKS && *n < max; looks++) {
        struct store_unsent_batch b;
        bool may;
        enum st st = look(s, level, *n ? out[*n - 1].id : *id, high, &b, &may, e);
        if (st == ST_NOT_FOUND) {
            *more = false;
            return *n ? ST_OK : ST_NOT_FOUND;
        }
        if (st != ST_OK)
            return st;
        if (*n && (!may || !goes_on(out, *n, &b, readings)))
            return ST_OK;
        if (may)
            out[(*n)++] = b;
        else
            *id = b.id;
        readings += b.n;
        if (may && b.level != STORE_RAW)
            return ST_OK;
    }
    return *n ? ST_OK : ST_BUSY;
}

enum st store_unsent_next(struct store *s, enum store_level level, int64_t *id,
                          struct store_unsent_batch *out, size_t max, size_t *n, bool *more,
                          struct err *e)
{
    int64_t low, high;
    *n = 0;
    *more = true;
    ERR_TRY(newest_chain(s, &low, &high, e));
    if (*id < low)
        *id = low;
    ERR_TRY(find_row(s, level, id, high, out, max, n, more, e));
    enum st st = ST_OK;
    for (size_t i = 0; i < *n && st == ST_OK; i++) {
        struct store_moved m = {0};
        st = store_batch_moved(&s->db, out[i].id, 0, &m, e);
        out[i].add_ms = m.add_ms;
        out[i].err_ms = m.err_ms;
        if (st == ST_OK)
            st = load_bytes(s, &out[i], e);
    }
    for (size_t i = 0; i < *n && st != ST_OK; i++)
        buf_done(&out[i].packed);
    return st;
}

static enum st thinned(struct store *s, const struct store_sealed *b, size_t n, uint64_t seq_from,
                       uint64_t seq_to, struct store_gone *gone, struct err *e)
{
    int64_t chain = 0;
    ERR_TRY(store_chain_row(&s->db, b->chain, &chain, e));
    for (uint64_t seq = seq_from; seq <= seq_to; seq++) /* first: their pages serve the new ones */
        ERR_TRY(store_batch_drop(s, store_batch_id(chain, seq), gone, e));
    for (size_t i = 0; i < n; i++) {
        ERR_TRY(store_batch_add(s, chain, &b[i], e));
        if (b[i].kind == WIRE_CONTROL)
            ERR_TRY(store_times_note(&s->db, store_batch_id(chain, b[i].seq), b[i].packed, e));
    }
    return ST_OK;
}

enum st store_seal_thinned(struct store *s, const struct store_sealed *b, size_t n,
                           uint64_t seq_from, uint64_t seq_to, struct err *e)
{
    struct store_gone gone = {0};
    size_t bytes = 0;
    if (atomic_load(&s->suspect))
        return err_set(e, ST_CORRUPT, "store %s: damaged", s->path);
    for (size_t i = 0; i < n; i++)
        bytes += b[i].packed.n;
    ERR_TRY(store_begin(s, bytes, e));
    ERR_TRY(store_db_end(&s->db, thinned(s, b, n, seq_from, seq_to, &gone, e), e));
    store_gone_tell(s, &gone);
    pthread_mutex_lock(&s->board_lock);
    s->stats.figures.thinned++;
    pthread_mutex_unlock(&s->board_lock);
    for (size_t i = 0; i < n; i++)
        store_sealed_tell(s, &b[i]);
    return ST_OK;
}
