/* What uplinks have acknowledged, as merged ranges, and the receipts that prove it.
 *
 * A few acknowledgements are parked in RAM until a commit comes that they can ride with: a commit
 * of their own would double what each window writes to flash. A power cut before that costs a
 * second sending, which the city answers with the same receipt. */
#include "gateway/store/store_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT_ONCE 16 /* so many batches are worth a commit of their own */

/* ---- ranges ---- */

/* The parked range that holds seq. s->lock is held, or this is the writer. */
static const struct store_parked *find_parked(const struct store *s, const char *uplink,
                                              int64_t chain, uint64_t seq)
{
    for (uint32_t i = 0; i < s->nparked; i++) {
        const struct store_parked *p = &s->parked[i];
        if (p->chain == chain && p->a <= seq && p->z >= seq &&
            strcmp(s->up[p->uplink].id, uplink) == 0)
            return p;
    }
    return NULL;
}

enum st store_ack_range(struct store_db *d, struct store *s, const char *uplink, int64_t chain,
                        uint64_t seq, uint64_t *a, uint64_t *z, struct err *e)
{
    if (s) { /* before the table, where they go from here */
        pthread_mutex_lock(&s->lock);
        const struct store_parked *p = find_parked(s, uplink, chain, seq);
        if (p) {
            *a = p->a;
            *z = p->z;
        }
        pthread_mutex_unlock(&s->lock);
        if (p)
            return ST_OK;
    }
    sqlite3_stmt *q = store_db_use(d, SQL_ACK_AT, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, uplink, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, chain);
    sqlite3_bind_int64(q, 3, (int64_t)seq);
    ERR_TRY(store_db_row(d, q, e));
    *a = (uint64_t)sqlite3_column_int64(q, 0);
    *z = (uint64_t)sqlite3_column_int64(q, 1);
    sqlite3_reset(q);
    return *z >= seq ? ST_OK : ST_NOT_FOUND;
}

static void bind_range(sqlite3_stmt *q, const char *uplink, int64_t chain, uint64_t a, uint64_t z)
{
    sqlite3_bind_text(q, 1, uplink, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, chain);
    sqlite3_bind_int64(q, 3, (int64_t)a);
    sqlite3_bind_int64(q, 4, (int64_t)z);
}

/* Adds a..z, merged with the ranges that overlap or touch it. */
enum st store_ack_add(struct store *s, const char *uplink, int64_t chain, uint64_t a, uint64_t z,
                      struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_ACK_NEAR, e);
    if (!q)
        return ST_IO;
    bind_range(q, uplink, chain, a, z);
    enum st st = store_db_row(&s->db, q, e);
    if (st != ST_OK)
        return st;
    uint64_t low = a, high = z;
    if (sqlite3_column_type(q, 0) != SQLITE_NULL) {
        uint64_t first = (uint64_t)sqlite3_column_int64(q, 0);
        uint64_t last = (uint64_t)sqlite3_column_int64(q, 1);
        low = first < a ? first : a;
        high = last > z ? last : z;
    }
    sqlite3_reset(q);
    q = store_db_use(&s->db, SQL_ACK_DROP, e);
    if (!q)
        return ST_IO;
    bind_range(q, uplink, chain, a, z);
    ERR_TRY(store_db_run(&s->db, q, e));
    q = store_db_use(&s->db, SQL_ACK_ADD, e);
    if (!q)
        return ST_IO;
    bind_range(q, uplink, chain, low, high);
    return store_db_run(&s->db, q, e);
}

/* ---- how many batches are new in a..z ---- */

enum st store_ack_next(struct store *s, const char *uplink, int64_t chain, uint64_t seq,
                       uint64_t *next, struct err *e)
{
    *next = UINT64_MAX;
    for (uint32_t i = 0; i < s->nparked; i++) {
        const struct store_parked *p = &s->parked[i];
        if (p->chain == chain && p->a > seq && p->a < *next &&
            strcmp(s->up[p->uplink].id, uplink) == 0)
            *next = p->a;
    }
    sqlite3_stmt *q = store_db_use(&s->db, SQL_ACK_NEXT, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, uplink, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, chain);
    sqlite3_bind_int64(q, 3, (int64_t)seq);
    enum st st = store_db_row(&s->db, q, e);
    if (st == ST_OK && (uint64_t)sqlite3_column_int64(q, 0) < *next)
        *next = (uint64_t)sqlite3_column_int64(q, 0);
    sqlite3_reset(q);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st store_batches_between(struct store *s, int64_t chain, uint64_t a, uint64_t z,
                              struct store_amount *n, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_BATCH_BETWEEN, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, store_batch_id(chain, a));
    sqlite3_bind_int64(q, 2, store_batch_id(chain, z));
    ERR_TRY(store_db_row(&s->db, q, e));
    n->n += sqlite3_column_int64(q, 0);
    n->bytes += sqlite3_column_int64(q, 1);
    sqlite3_reset(q);
    return ST_OK;
}

static enum st count_new(struct store *s, const char *uplink, int64_t chain, uint64_t a, uint64_t z,
                         struct store_amount *n, struct err *e)
{
    *n = (struct store_amount){0};
    for (uint64_t at = a; at <= z;) {
        uint64_t from = at, to = at;
        enum st st = store_ack_range(&s->db, s, uplink, chain, at, &from, &to, e);
        if (st == ST_OK) {
            at = to + 1;
            continue;
        }
        if (st != ST_NOT_FOUND)
            return st;
        ERR_TRY(store_ack_next(s, uplink, chain, at, &to, e));
        to = to > z ? z : to - 1;
        ERR_TRY(store_batches_between(s, chain, at, to, n, e));
        at = to + 1;
    }
    return ST_OK;
}

/* ---- parked, then written ---- */

struct ack_arg {
    uint32_t uplink;
    const uint8_t *chain;
    uint64_t seq;
    bool prefix;
    struct wire_span receipt;
    const char *refused; /* code; NULL: acknowledged */
    int64_t only;        /* of a prefix: just so many batches are new in it; 0: however many */
};

/* Puts it behind the others; a parked one that it covers goes, and with it its receipt. */
static enum st park(struct store *s, const struct ack_arg *a, int64_t chain, struct err *e)
{
    struct store_parked p = {.uplink = a->uplink,
                             .chain = chain,
                             .a = a->prefix ? 1 : a->seq,
                             .z = a->seq,
                             .at_ms = clk_now(s->clk).utc_ms,
                             .receipt_n = a->receipt.n};
    if (a->refused) {
        snprintf(p.refused, sizeof p.refused, "%s", a->refused);
    } else {
        p.receipt = malloc(a->receipt.n + 1);
        if (!p.receipt)
            return err_set(e, ST_MEMORY, "store %s: no memory for a receipt", s->path);
        memcpy(p.receipt, a->receipt.p, a->receipt.n);
    }
    pthread_mutex_lock(&s->lock);
    if (s->nparked == 0)
        s->parked_since = clk_mono(s->clk);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->nparked; i++) {
        struct store_parked *o = &s->parked[i];
        if (o->uplink == p.uplink && o->chain == chain && o->a >= p.a && o->z <= p.z &&
            o->receipt && p.receipt)
            free(o->receipt);
        else
            s->parked[kept++] = *o;
    }
    s->parked[kept] = p;
    s->nparked = kept + 1;
    pthread_mutex_unlock(&s->lock);
    return ST_OK;
}

static enum st note(struct store *s, const struct store_parked *p, struct err *e)
{
    const char *uplink = s->up[p->uplink].id;
    int64_t id = store_batch_id(p->chain, p->z);
    sqlite3_stmt *q = store_db_use(&s->db, p->receipt ? SQL_RECEIPT_ADD : SQL_REFUSED_ADD, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, uplink, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, id);
    if (p->receipt) {
        sqlite3_bind_int64(q, 3, p->at_ms);
        sqlite3_bind_blob64(q, 4, p->receipt, p->receipt_n, SQLITE_STATIC);
    } else {
        sqlite3_bind_text(q, 3, p->refused, -1, SQLITE_STATIC);
        sqlite3_bind_int64(q, 4, p->at_ms);
    }
    ERR_TRY(store_db_run(&s->db, q, e));
    if (p->a > 1 || !p->receipt)
        return ST_OK;
    q = store_db_use(&s->db, SQL_RECEIPT_COVERED, e); /* its `through` proves what these did */
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, uplink, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, store_batch_id(p->chain, 1));
    sqlite3_bind_int64(q, 3, id);
    return store_db_run(&s->db, q, e);
}

enum st store_parked_write(struct store *s, uint32_t most, uint32_t *n, struct err *e)
{
    *n = s->nparked < most ? s->nparked : most;
    for (uint32_t i = 0; i < *n; i++) {
        const struct store_parked *p = &s->parked[i];
        ERR_TRY(note(s, p, e));
        ERR_TRY(store_ack_add(s, s->up[p->uplink].id, p->chain, p->a, p->z, e));
    }
    return ST_OK;
}

void store_parked_written(struct store *s, uint32_t n)
{
    pthread_mutex_lock(&s->lock);
    for (uint32_t i = 0; i < n; i++)
        free(s->parked[i].receipt);
    s->nparked -= n;
    memmove(s->parked, s->parked + n, s->nparked * sizeof *s->parked);
    pthread_mutex_unlock(&s->lock);
}

static enum st ack_call(struct store *s, void *arg, struct err *e)
{
    const struct ack_arg *a = arg;
    struct store_up *up = &s->up[a->uplink];
    int64_t chain = 0;
    struct store_amount new;
    if (s->nparked == STORE_PARKED)
        ERR_TRY(store_riders_commit(s, e));
    ERR_TRY(store_chain_row(&s->db, a->chain, &chain, e));
    ERR_TRY(count_new(s, up->id, chain, a->prefix ? 1 : a->seq, a->seq, &new, e));
    if (a->only && new.n > a->only)
        return ST_CONFLICT;
    ERR_TRY(park(s, a, chain, e));
    up->unsent.n -= new.n;
    up->unsent.bytes -= new.bytes;
    if (a->refused || new.n >= AT_ONCE)
        ERR_TRY(store_riders_commit(s, e)); /* else it stays parked, and is tried again */
    store_stats_refresh(s);
    return ST_OK;
}

enum st store_ack(struct store *s, uint32_t uplink, const uint8_t *chain, uint64_t seq, bool prefix,
                  struct wire_span receipt, struct err *e)
{
    struct ack_arg a = {uplink, chain, seq, prefix, receipt, NULL, 0};
    return store_call(s, ack_call, &a, e);
}

enum st store_ack_run(struct store *s, uint32_t uplink, const uint8_t *chain, uint64_t seq,
                      int64_t n, struct wire_span receipt, struct err *e)
{
    struct ack_arg a = {uplink, chain, seq, true, receipt, NULL, n};
    return store_call(s, ack_call, &a, e);
}

enum st store_refuse(struct store *s, uint32_t uplink, const uint8_t *chain, uint64_t seq,
                     const char *code, struct err *e)
{
    struct ack_arg a = {uplink, chain, seq, false, {NULL, 0}, code, 0};
    return store_call(s, ack_call, &a, e);
}

static enum st flush_call(struct store *s, void *arg, struct err *e)
{
    (void)arg;
    return s->nparked > 0 ? store_riders_commit(s, e) : ST_OK;
}

enum st store_ack_flush(struct store *s, struct err *e)
{
    return store_call(s, flush_call, NULL, e);
}
