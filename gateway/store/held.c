/* What the city says that it holds: the receipts of a store that lost its own, and the batches that
 * a city lost which was restored. */
#include "gateway/store/damage.h"

#include <string.h>

struct held_arg {
    uint32_t uplink;
    const struct store_held *v;
    size_t n;
    bool all;
};

static enum st run_range(struct store *s, enum store_sql id, const char *uplink, int64_t chain,
                         uint64_t a, uint64_t z, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, id, e);
    if (!q)
        return ST_IO;
    int n = sqlite3_bind_parameter_count(q);
    sqlite3_bind_text(q, 1, uplink, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, chain);
    sqlite3_bind_int64(q, 3, (int64_t)a);
    if (n > 3)
        sqlite3_bind_int64(q, 4, (int64_t)z);
    return store_db_run(&s->db, q, e);
}

/* Takes a..z out of the acknowledged ranges. */
static enum st take_back(struct store *s, const char *uplink, int64_t chain, uint64_t a, uint64_t z,
                         struct err *e)
{
    for (;;) {
        sqlite3_stmt *q = store_db_use(&s->db, SQL_ACK_OVER, e);
        if (!q)
            return ST_IO;
        sqlite3_bind_text(q, 1, uplink, -1, SQLITE_STATIC);
        sqlite3_bind_int64(q, 2, chain);
        sqlite3_bind_int64(q, 3, (int64_t)a);
        sqlite3_bind_int64(q, 4, (int64_t)z);
        enum st st = store_db_row(&s->db, q, e);
        if (st != ST_OK)
            return st == ST_NOT_FOUND ? ST_OK : st;
        uint64_t from = (uint64_t)sqlite3_column_int64(q, 0);
        uint64_t to = (uint64_t)sqlite3_column_int64(q, 1);
        sqlite3_reset(q);
        ERR_TRY(run_range(s, SQL_ACK_DEL, uplink, chain, from, 0, e));
        if (from < a)
            ERR_TRY(run_range(s, SQL_ACK_ADD, uplink, chain, from, a - 1, e));
        if (to > z)
            ERR_TRY(run_range(s, SQL_ACK_ADD, uplink, chain, z + 1, to, e));
    }
}

/* ST_CONFLICT: the city holds another batch at the end of its prefix than the store does. */
static enum st same_batch(struct store *s, int64_t chain, const struct store_held *c, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_BATCH_HASH, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, store_batch_id(chain, c->through_seq));
    enum st st = store_db_row(&s->db, q, e);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    uint8_t hash[WIRE_HASH_BYTES];
    bool same =
        store_db_blob(q, 0, hash, sizeof hash) && memcmp(hash, c->through_hash, sizeof hash) == 0;
    sqlite3_reset(q);
    return same ? ST_OK : ST_CONFLICT;
}

/* The city knows more of the chain than the store: it ends, and the next follows what is there. */
static enum st raise_chain(struct store *s, int64_t chain, const struct store_held *c,
                           struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_HELD_CHAIN, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, chain);
    sqlite3_bind_int64(q, 2, (int64_t)c->through_seq);
    sqlite3_bind_blob(q, 3, c->through_hash, WIRE_HASH_BYTES, SQLITE_STATIC);
    ERR_TRY(store_db_run(&s->db, q, e));
    if (sqlite3_changes(s->db.h))
        store_event(s, STORE_WARNING, "chain.behind", NULL,
                    "the city holds batches of this gateway that the store has lost; a new chain "
                    "begins");
    return ST_OK;
}

static enum st one_chain(struct store *s, const char *uplink, int64_t chain,
                         const struct store_held *c, struct err *e)
{
    if (c->through_seq) {
        enum st st = same_batch(s, chain, c, e);
        if (st != ST_OK)
            return st == ST_CONFLICT ? ST_OK : st; /* told when it is sent */
        ERR_TRY(raise_chain(s, chain, c, e));
        ERR_TRY(store_ack_add(s, uplink, chain, 1, c->through_seq, e));
    }
    for (size_t i = 0; i < c->nmissing; i++)
        ERR_TRY(take_back(s, uplink, chain, c->missing[i][0], c->missing[i][1], e));
    if (c->nmissing == 0)
        return take_back(s, uplink, chain, c->through_seq + 1, INT64_MAX - 1, e);
    return ST_OK;
}

static const struct store_held *find(const struct held_arg *a, const uint8_t *chain)
{
    for (size_t i = 0; i < a->n; i++)
        if (memcmp(a->v[i].chain, chain, WIRE_ID_BYTES) == 0)
            return &a->v[i];
    return NULL;
}

static enum st each_chain(struct store *s, const struct held_arg *a, int64_t *known, struct err *e)
{
    static const struct store_held none = {.through_seq = 0};
    const char *uplink = s->up[a->uplink].id;
    int64_t last = 0;
    for (*known = 0;; ++*known) {
        uint8_t id[WIRE_ID_BYTES];
        sqlite3_stmt *q = store_db_use(&s->db, SQL_CHAIN_NEXT, e);
        if (!q)
            return ST_IO;
        sqlite3_bind_int64(q, 1, last);
        enum st st = store_db_row(&s->db, q, e);
        if (st != ST_OK)
            return st == ST_NOT_FOUND ? ST_OK : st;
        last = sqlite3_column_int64(q, 0);
        bool whole = store_db_blob(q, 1, id, sizeof id);
        sqlite3_reset(q);
        const struct store_held *c = whole ? find(a, id) : NULL;
        if (c || (whole && a->all))
            ERR_TRY(one_chain(s, uplink, last, c ? c : &none, e));
    }
}

/* Nothing is known here: the new chain follows the longest one that the city has. */
static enum st follow(struct store *s, const struct held_arg *a, struct err *e)
{
    const struct store_held *best = NULL;
    for (size_t i = 0; i < a->n; i++)
        if (a->v[i].through_seq && (!best || a->v[i].through_seq > best->through_seq))
            best = &a->v[i];
    if (!best || !s->blank)
        return ST_OK;
    uint8_t zero[WIRE_ID_BYTES] = {0};
    sqlite3_stmt *q = store_db_use(&s->db, SQL_NEW_CHAIN, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, 1);
    sqlite3_bind_blob(q, 2, best->chain, WIRE_ID_BYTES, SQLITE_STATIC);
    sqlite3_bind_blob(q, 3, zero, sizeof zero, SQLITE_STATIC); /* its key is not known */
    sqlite3_bind_int64(q, 7, (int64_t)best->through_seq);
    sqlite3_bind_blob(q, 8, best->through_hash, WIRE_HASH_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(q, 9, store_frames_from(s)); /* what was before is told as a hole */
    sqlite3_bind_int64(q, 10, CLK_HOLDOVER);
    sqlite3_bind_blob(q, 11, zero, sizeof zero, SQLITE_STATIC); /* nor its boot */
    sqlite3_bind_int64(q, 12, (int64_t)s->epoch);
    return store_db_run(&s->db, q, e);
}

static enum st write_held(struct store *s, const struct held_arg *a, struct err *e)
{
    int64_t known = 0;
    ERR_TRY(each_chain(s, a, &known, e));
    return known == 0 ? follow(s, a, e) : ST_OK;
}

static enum st held_call(struct store *s, void *arg, struct err *e)
{
    const struct held_arg *a = arg;
    ERR_TRY(store_db_begin(&s->db, e));
    ERR_TRY(store_db_end(&s->db, write_held(s, a, e), e));
    s->blank = false;
    ERR_TRY(store_count(s, e));
    store_stats_refresh(s);
    pthread_mutex_lock(&s->lock);
    s->seals++;
    pthread_cond_broadcast(&s->sealed);
    pthread_mutex_unlock(&s->lock);
    return ST_OK;
}

enum st store_city_holds(struct store *s, uint32_t uplink, const struct store_held *v, size_t n,
                         bool all, struct err *e)
{
    struct held_arg a = {uplink, v, n, all};
    return store_call(s, held_call, &a, e);
}
