/* What the city says that it holds: the receipts of a store that lost its own, and the batches that
 * a city lost which was restored. */
#include "gateway/store/damage.h"

#include <stdio.h>
#include <string.h>

#define TOLD_MAX 16 /* ranges that one head's events name */

struct held_arg {
    uint32_t uplink;
    const struct store_held *v;
    size_t n;
    bool all;
    struct store_lacks *lacks;
    bool dry;     /* only look whether the head says anything new */
    bool differs; /* it does */
    int told;
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

/* What was acknowledged and is not there any more: how much of it the store has, and an event. */
static enum st count_lack(struct store *s, struct held_arg *x, const uint8_t *id, int64_t chain,
                          uint64_t a, uint64_t z, struct err *e)
{
    char hex[WIRE_ID_TEXT];
    struct store_amount here = {0, 0};
    ERR_TRY(store_batches_between(s, chain, a, z, &here, e));
    int64_t gone = (int64_t)(z - a + 1) - here.n;
    x->lacks->batches += here.n;
    x->lacks->gone += gone;
    if (here.n > 0 && store_batch_id(chain, z) > x->lacks->last_id)
        x->lacks->last_id = store_batch_id(chain, z);
    if (x->told++ >= TOLD_MAX)
        return ST_OK;
    wire_hex(id, WIRE_ID_BYTES, hex);
    store_event(s, gone ? STORE_ERROR : STORE_WARNING, "city.lacks", s->up[x->uplink].id,
                "the city has lost batches %llu to %llu of chain %s that it had acknowledged: "
                "%lld are sent again%s",
                (unsigned long long)a, (unsigned long long)z, hex, (long long)here.n,
                gone ? "; the others have left this store, or were given up: the city must "
                       "restore them from a later backup"
                     : "");
    return ST_OK;
}

/* Takes a..z out of the acknowledged ranges. */
static enum st take_back(struct store *s, struct held_arg *x, const uint8_t *id, int64_t chain,
                         uint64_t a, uint64_t z, struct err *e)
{
    const char *uplink = s->up[x->uplink].id;
    if (x->dry) {
        uint64_t from, to;
        enum st st = store_ack_range(&s->db, s, uplink, chain, a, &from, &to, e);
        if (st == ST_NOT_FOUND)
            st = store_ack_next(s, uplink, chain, a, &from, e);
        else if (st == ST_OK)
            from = a;
        x->differs = x->differs || (st == ST_OK && from <= z);
        return st;
    }
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
        ERR_TRY(count_lack(s, x, id, chain, from < a ? a : from, to > z ? z : to, e));
    }
}

/* Acknowledges a..z where that is not done yet. */
static enum st give(struct store *s, struct held_arg *x, int64_t chain, uint64_t a, uint64_t z,
                    struct err *e)
{
    const char *uplink = s->up[x->uplink].id;
    for (uint64_t at = a; at <= z;) {
        uint64_t from, to;
        enum st st = store_ack_range(&s->db, s, uplink, chain, at, &from, &to, e);
        if (st == ST_NOT_FOUND && x->dry) {
            x->differs = true;
            return ST_OK;
        }
        if (st == ST_NOT_FOUND)
            return store_ack_add(s, uplink, chain, a, z, e);
        if (st != ST_OK)
            return st;
        at = to + 1;
    }
    return ST_OK;
}

/* ST_OK: at the end of its prefix the city holds our batch; ST_CONFLICT: another one;
 * ST_NOT_FOUND: ours is not here to be compared. */
static enum st same_batch(struct store *s, int64_t chain, const struct store_held *c, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_BATCH_HASH, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, store_batch_id(chain, c->through_seq));
    ERR_TRY(store_db_row(&s->db, q, e));
    uint8_t hash[WIRE_HASH_BYTES];
    bool same =
        store_db_blob(q, 0, hash, sizeof hash) && memcmp(hash, c->through_hash, sizeof hash) == 0;
    sqlite3_reset(q);
    return same ? ST_OK : ST_CONFLICT;
}

/* The city knows more of the chain than the store: it ends, and the next follows what is there.
 * What was sealed here under numbers that the city may have had from another history of this chain
 * is proven by its own receipt alone. */
static enum st raise_chain(struct store *s, struct held_arg *x, int64_t chain, uint64_t last_seq,
                           const struct store_held *c, struct err *e)
{
    char key[32];
    if (x->dry) {
        x->differs = true;
        return ST_OK;
    }
    sqlite3_stmt *q = store_db_use(&s->db, SQL_HELD_CHAIN, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, chain);
    sqlite3_bind_int64(q, 2, (int64_t)c->through_seq);
    sqlite3_bind_blob(q, 3, c->through_hash, WIRE_HASH_BYTES, SQLITE_STATIC);
    ERR_TRY(store_db_run(&s->db, q, e));
    (void)snprintf(key, sizeof key, "fork:%llx", (unsigned long long)chain);
    ERR_TRY(store_meta_set(s, key, "", 0, e));
    store_event(s, STORE_WARNING, "chain.behind", NULL,
                "the city holds %llu batches that this store lacks; a new chain begins, and what "
                "the city lacks is sent. A copy of the store was restored here? Then all is well. "
                "Else another gateway runs with this key: find it",
                (unsigned long long)(c->through_seq - last_seq));
    return ST_OK;
}

static enum st is_forked(struct store *s, int64_t chain, bool *yes, struct err *e)
{
    char key[32];
    (void)snprintf(key, sizeof key, "fork:%llx", (unsigned long long)chain);
    sqlite3_stmt *q = store_db_use(&s->db, SQL_META_GET, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
    enum st st = store_db_row(&s->db, q, e);
    *yes = st == ST_OK;
    sqlite3_reset(q);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* From where on the links at the city lead to the end of its prefix without a break: what stands
 * before may be of another history. */
static uint64_t linked_from(const struct store_held *c)
{
    uint64_t from = 1;
    for (size_t i = 0; i < c->nbroken; i++)
        if (c->broken[i] <= c->through_seq && c->broken[i] > from)
            from = c->broken[i];
    return from;
}

static enum st one_chain(struct store *s, struct held_arg *x, const uint8_t *id, int64_t chain,
                         uint64_t last_seq, const struct store_held *c, struct err *e)
{
    if (c->through_seq) {
        bool forked = false;
        enum st st = same_batch(s, chain, c, e);
        if (st != ST_OK && st != ST_NOT_FOUND)
            return st == ST_CONFLICT ? ST_OK : st; /* told when it is sent */
        if (st == ST_NOT_FOUND)
            ERR_TRY(is_forked(s, chain, &forked, e));
        if (c->through_seq > last_seq)
            ERR_TRY(raise_chain(s, x, chain, last_seq, c, e));
        else if (!forked)
            ERR_TRY(give(s, x, chain, linked_from(c), c->through_seq, e));
    }
    for (size_t i = 0; i < c->nmissing; i++)
        ERR_TRY(take_back(s, x, id, chain, c->missing[i][0], c->missing[i][1], e));
    if (c->nmissing == 0)
        return take_back(s, x, id, chain, c->through_seq + 1, INT64_MAX - 1, e);
    return ST_OK;
}

static const struct store_held *find(const struct held_arg *a, const uint8_t *chain)
{
    for (size_t i = 0; i < a->n; i++)
        if (memcmp(a->v[i].chain, chain, WIRE_ID_BYTES) == 0)
            return &a->v[i];
    return NULL;
}

static enum st each_chain(struct store *s, struct held_arg *a, int64_t *known, struct err *e)
{
    static const struct store_held none = {.through_seq = 0};
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
        uint64_t last_seq = (uint64_t)sqlite3_column_int64(q, 2);
        sqlite3_reset(q);
        const struct store_held *c = whole ? find(a, id) : NULL;
        if (c || (whole && a->all))
            ERR_TRY(one_chain(s, a, id, last, last_seq, c ? c : &none, e));
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

static enum st write_held(struct store *s, struct held_arg *a, struct err *e)
{
    int64_t known = 0;
    ERR_TRY(each_chain(s, a, &known, e));
    return known == 0 ? follow(s, a, e) : ST_OK;
}

static enum st held_call(struct store *s, void *arg, struct err *e)
{
    struct held_arg *a = arg;
    int64_t known = 0;
    a->dry = true;
    ERR_TRY(each_chain(s, a, &known, e));
    if (!a->differs && !s->blank)
        return ST_OK; /* as nearly always: nothing is written */
    a->dry = false;
    if (s->nparked > 0) /* a head may take back what waits there */
        ERR_TRY(store_riders_commit(s, e));
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
                         bool all, struct store_lacks *lacks, struct err *e)
{
    struct held_arg a = {.uplink = uplink, .v = v, .n = n, .all = all, .lacks = lacks};
    *lacks = (struct store_lacks){0, 0, 0};
    return store_call(s, held_call, &a, e);
}
