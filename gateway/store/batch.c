/* Chains, sealed batches, acknowledgements: what the writer does to them. */
#include "gateway/store/rollup_int.h"

#include <stdio.h>
#include <string.h>

bool store_db_blob(sqlite3_stmt *q, int column, void *to, size_t n)
{
    const void *p = sqlite3_column_blob(q, column);
    if (!p || (size_t)sqlite3_column_bytes(q, column) != n)
        return false;
    memcpy(to, p, n);
    return true;
}

/* A statement with up to two integers bound, run to its end. */
static enum st run_ids(struct store_db *d, enum store_sql id, int64_t a, int64_t b, struct err *e)
{
    sqlite3_stmt *q = store_db_use(d, id, e);
    if (!q)
        return ST_IO;
    int n = sqlite3_bind_parameter_count(q);
    if (n > 0)
        sqlite3_bind_int64(q, 1, a);
    if (n > 1)
        sqlite3_bind_int64(q, 2, b);
    return store_db_run(d, q, e);
}

/* ---- chains ---- */

enum st store_chain_row(struct store_db *d, const uint8_t *chain, int64_t *id, struct err *e)
{
    sqlite3_stmt *q = store_db_use(d, SQL_CHAIN_ID, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_blob(q, 1, chain, WIRE_ID_BYTES, SQLITE_STATIC);
    ERR_TRY(store_db_row(d, q, e));
    *id = sqlite3_column_int64(q, 0);
    sqlite3_reset(q);
    return ST_OK;
}

bool store_chain_read(sqlite3_stmt *q, struct store_chain *c)
{
    *c = (struct store_chain){.last_seq = (uint64_t)sqlite3_column_int64(q, 1),
                              .last_to_ms = sqlite3_column_int64(q, 3),
                              .last_clk = sqlite3_column_int(q, 4),
                              .ended = sqlite3_column_int(q, 7) != 0,
                              .forked = sqlite3_column_int(q, 7) == 2,
                              .after_seq = (uint64_t)sqlite3_column_int64(q, 9),
                              .window_to_ms = sqlite3_column_int64(q, 11)};
    bool ok =
        store_db_blob(q, 0, c->id, WIRE_ID_BYTES) && store_db_blob(q, 6, c->kid, WIRE_ID_BYTES);
    if (c->last_seq)
        ok = ok && store_db_blob(q, 2, c->last_hash, WIRE_HASH_BYTES) &&
             store_db_blob(q, 5, c->last_boot, WIRE_ID_BYTES);
    c->after = sqlite3_column_type(q, 8) != SQLITE_NULL;
    if (c->after)
        ok = ok && store_db_blob(q, 8, c->after_chain, WIRE_ID_BYTES) &&
             store_db_blob(q, 10, c->after_hash, WIRE_HASH_BYTES);
    return ok;
}

enum st store_chain_last(struct store *s, struct store_chain *c, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_CHAIN_LAST, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_row(&s->db, q, e));
    bool ok = store_chain_read(q, c);
    sqlite3_reset(q);
    return ok ? ST_OK : err_set(e, ST_CORRUPT, "store %s: the chain's row is damaged", s->path);
}

static enum st chain_begin(struct store *s, const struct store_chain *c, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_CHAIN_ADD, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_blob(q, 1, c->id, WIRE_ID_BYTES, SQLITE_STATIC);
    sqlite3_bind_blob(q, 2, c->kid, WIRE_ID_BYTES, SQLITE_STATIC);
    if (c->after) {
        sqlite3_bind_blob(q, 3, c->after_chain, WIRE_ID_BYTES, SQLITE_STATIC);
        sqlite3_bind_int64(q, 4, (int64_t)c->after_seq);
        sqlite3_bind_blob(q, 5, c->after_hash, WIRE_HASH_BYTES, SQLITE_STATIC);
    }
    sqlite3_bind_int64(q, 6, c->last_to_ms);
    sqlite3_bind_int64(q, 7, (int64_t)s->epoch);
    sqlite3_bind_int64(q, 8, c->window_to_ms);
    ERR_TRY(store_db_run(&s->db, q, e));
    return run_ids(&s->db, SQL_PLAN_UNSAID, 0, 0, e); /* the new chain says its plan itself */
}

enum st store_chain_begin(struct store *s, const struct store_chain *c, struct err *e)
{
    ERR_TRY(store_begin(s, 0, e));
    return store_db_end(&s->db, chain_begin(s, c, e), e);
}

/* ---- sealing ---- */

/* Both or neither: where this is not stored the old key is in force, where it is the new one. */
static enum st key_handed_over(struct store *s, int64_t chain, const uint8_t *next_kid,
                               struct err *e)
{
    ERR_TRY(run_ids(&s->db, SQL_CHAIN_END, chain, 0, e));
    return store_meta_set(s, STORE_META_KEY, next_kid, WIRE_ID_BYTES, e);
}

enum st store_batch_put(struct store *s, int64_t id, const struct store_sealed *b, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_BATCH_ADD, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, id);
    sqlite3_bind_int(q, 2, store_kind(b->kind, b->level));
    sqlite3_bind_int64(q, 3, b->from_ms);
    sqlite3_bind_int64(q, 4, b->to_ms);
    sqlite3_bind_int64(q, 5, (int64_t)b->n);
    sqlite3_bind_blob(q, 6, b->hash, WIRE_HASH_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(q, 7, (int64_t)b->packed.n);
    ERR_TRY(store_db_run(&s->db, q, e));
    q = store_db_use(&s->db, SQL_BYTES_ADD, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, id);
    sqlite3_bind_blob64(q, 2, b->packed.p, b->packed.n, SQLITE_STATIC);
    return store_db_run(&s->db, q, e);
}

static enum st chain_move(struct store *s, int64_t chain, const struct store_sealed *b,
                          struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_CHAIN_MOVE, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, chain);
    sqlite3_bind_int64(q, 2, (int64_t)b->seq);
    sqlite3_bind_blob(q, 3, b->hash, WIRE_HASH_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(q, 4, b->to_ms);
    sqlite3_bind_int(q, 5, b->clk);
    sqlite3_bind_blob(q, 6, s->boot, WIRE_ID_BYTES, SQLITE_STATIC);
    sqlite3_bind_int(q, 7, b->kind == WIRE_DATA && b->level == STORE_RAW && !b->again);
    ERR_TRY(store_db_run(&s->db, q, e));
    if (sqlite3_changes(s->db.h) != 1)
        return err_set(e, ST_CONFLICT, "store %s: batch %llu is not the chain's next", s->path,
                       (unsigned long long)b->seq);
    return ST_OK;
}

enum st store_batch_add(struct store *s, int64_t chain, const struct store_sealed *b, struct err *e)
{
    ERR_TRY(chain_move(s, chain, b, e));
    return store_batch_put(s, store_batch_id(chain, b->seq), b, e);
}

static enum st plan_write(struct store *s, const struct store_planned *p, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, p->quantity ? SQL_PLAN_SET : SQL_PLAN_DROP, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, p->series, -1, SQLITE_STATIC);
    if (p->quantity) {
        sqlite3_bind_text(q, 2, p->quantity, -1, SQLITE_STATIC);
        if (p->unit)
            sqlite3_bind_text(q, 3, p->unit, -1, SQLITE_STATIC);
        sqlite3_bind_int64(q, 4, p->period_ms);
        sqlite3_bind_int64(q, 5, p->from_ms);
    }
    return store_db_run(&s->db, q, e);
}

static enum st request_write(struct store *s, const uint8_t *request, int64_t id, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_REQUEST_ADD, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_blob(q, 1, request, WIRE_ID_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, id);
    ERR_TRY(store_db_run(&s->db, q, e));
    return run_ids(&s->db, SQL_REQUEST_TRIM, 0, 0, e);
}

static enum st seal(struct store *s, const struct store_sealed *b, const bool *use,
                    const struct store_planned *plan, size_t nplan, struct store_riders *r,
                    int64_t *id, struct err *e)
{
    int64_t chain = 0;
    ERR_TRY(store_chain_row(&s->db, b->chain, &chain, e));
    ERR_TRY(store_batch_add(s, chain, b, e));
    *id = store_batch_id(chain, b->seq);
    if (b->kind == WIRE_CONTROL) {
        ERR_TRY(store_times_note(&s->db, *id, b->packed, e));
        ERR_TRY(store_rollup_noted(s, *id, e));
        ERR_TRY(store_calibrate(s, e));
    }
    for (size_t i = 0; i < nplan; i++)
        ERR_TRY(plan_write(s, &plan[i], e));
    if (b->request)
        ERR_TRY(request_write(s, b->request, *id, e));
    if (b->config)
        ERR_TRY(store_meta_set(s, STORE_META_CONFIG, b->config, WIRE_HASH_BYTES, e));
    for (size_t i = 0; i < b->nvoided; i++)
        ERR_TRY(run_ids(&s->db, SQL_REFUSED_VOIDED, store_batch_id(chain, b->voided[i]), 0, e));
    if (b->digested.n)
        ERR_TRY(store_meta_set(s, STORE_META_DIGEST, b->digested.p, b->digested.n, e));
    if (b->next_kid)
        ERR_TRY(key_handed_over(s, chain, b->next_kid, e));
    if (use)
        ERR_TRY(store_journal_fold(s, use, e));
    ERR_TRY(store_rollup_write(s, e));
    return store_riders_write(s, r, e);
}

void store_sealed_tell(struct store *s, const struct store_sealed *b)
{
    int64_t bytes = (int64_t)b->packed.n;
    s->held.n++;
    s->held.bytes += bytes;
    for (uint32_t i = 0; i < s->nup; i++) {
        s->up[i].unsent.n++;
        s->up[i].unsent.bytes += bytes;
    }
    store_age_sealed(s, b);
    if (b->level == STORE_RAW)
        store_day_add(&s->sealed_day, clk_mono(s->clk).ms, bytes);
    store_stats_refresh(s);
    pthread_mutex_lock(&s->lock);
    s->seals++;
    pthread_cond_broadcast(&s->sealed);
    pthread_mutex_unlock(&s->lock);
}

enum st store_seal(struct store *s, const struct store_sealed *b, const bool *use,
                   const struct store_planned *plan, size_t nplan, struct err *e)
{
    struct store_riders riders;
    int64_t id = 0;
    if (b->entered && !use)
        return store_seal_entered(s, b, e);
    if (atomic_load(&s->suspect))
        return err_set(e, ST_CORRUPT, "store %s: damaged", s->path);
    ERR_TRY(store_retention(s, e));
    ERR_TRY(store_room(s, b->packed.n, e));
    ERR_TRY(store_begin(s, b->packed.n, e));
    ERR_TRY(store_db_end(&s->db, seal(s, b, use, plan, nplan, &riders, &id, e), e));
    store_riders_written(s, &riders);
    store_rollup_written(s);
    store_rollup_sealed(s, b, id, use);
    if (use)
        store_frames_drop(s, use);
    store_urge_sealed(s, b, id);
    store_sealed_tell(s, b);
    return ST_OK;
}

enum st store_planned_of(struct store_db *d, void (*each)(void *ctx, const struct store_planned *p),
                         void *ctx, struct err *e)
{
    sqlite3_stmt *q = store_db_use(d, SQL_PLAN_ALL, e);
    if (!q)
        return ST_IO;
    enum st st;
    while ((st = store_db_row(d, q, e)) == ST_OK) {
        struct store_planned p = {(const char *)sqlite3_column_text(q, 0),
                                  (const char *)sqlite3_column_text(q, 1),
                                  (const char *)sqlite3_column_text(q, 2),
                                  sqlite3_column_int64(q, 3),
                                  sqlite3_column_int64(q, 4),
                                  sqlite3_column_int(q, 5) != 0};
        each(ctx, &p);
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st store_planned_each(struct store *s, void (*each)(void *ctx, const struct store_planned *p),
                           void *ctx, struct err *e)
{
    return store_planned_of(&s->db, each, ctx, e);
}

enum st store_due_each(struct store_reader *r,
                       void (*each)(void *ctx, const struct store_planned *p), void *ctx,
                       struct err *e)
{
    return store_planned_of(store_reader_db(r), each, ctx, e);
}

enum st store_request_done(struct store *s, const uint8_t id[WIRE_ID_BYTES], bool *done,
                           struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_REQUEST_HAS, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_blob(q, 1, id, WIRE_ID_BYTES, SQLITE_STATIC);
    enum st st = store_db_row(&s->db, q, e);
    sqlite3_reset(q);
    *done = st == ST_OK;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st store_refused_next(struct store *s, struct store_refused *out, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_REFUSED_NEXT, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_row(&s->db, q, e));
    out->seq = store_batch_seq(sqlite3_column_int64(q, 0));
    bool ok = store_db_blob(q, 1, out->chain, WIRE_ID_BYTES) &&
              store_db_blob(q, 2, out->hash, WIRE_HASH_BYTES);
    snprintf(out->code, sizeof out->code, "%s", (const char *)sqlite3_column_text(q, 3));
    sqlite3_reset(q);
    return ok ? ST_OK : err_set(e, ST_CORRUPT, "store %s: a refused batch is damaged", s->path);
}

/* ---- small values ---- */

enum st store_meta_get(struct store *s, const char *key, struct buf *out, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_META_GET, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
    ERR_TRY(store_db_row(&s->db, q, e));
    enum st st = buf_put(out, sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0));
    sqlite3_reset(q);
    return st == ST_OK ? ST_OK : err_set(e, st, "store %s: no memory", s->path);
}

enum st store_meta_set(struct store *s, const char *key, const void *p, size_t n, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_META_SET, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_blob64(q, 2, p, n, SQLITE_STATIC);
    return store_db_run(&s->db, q, e);
}

/* ---- the end of a chain ---- */

static enum st end_call(struct store *s, void *arg, struct err *e)
{
    int64_t chain = 0;
    ERR_TRY(store_db_begin(&s->db, e));
    enum st st = store_chain_row(&s->db, arg, &chain, e);
    if (st == ST_OK)
        st = run_ids(&s->db, SQL_CHAIN_FORK, chain, 0, e);
    return store_db_end(&s->db, st, e);
}

enum st store_chain_end(struct store *s, const uint8_t *chain, struct err *e)
{
    return store_call(s, end_call, (void *)(uintptr_t)chain, e);
}

/* ---- out ---- */

/* Adds the batch to what goes: of all, and of each uplink that has not acknowledged it. */
static enum st gone_add(struct store *s, int64_t id, int64_t bytes, struct store_gone *gone,
                        struct err *e)
{
    gone->all.n++;
    gone->all.bytes += bytes;
    for (uint32_t i = 0; i < s->nup; i++) {
        uint64_t a, z;
        enum st st = store_ack_range(&s->db, s, s->up[i].id, id >> STORE_SEQ_BITS,
                                     store_batch_seq(id), &a, &z, e);
        if (st == ST_NOT_FOUND) {
            gone->unsent[i].n++;
            gone->unsent[i].bytes += bytes;
        } else if (st != ST_OK) {
            return st;
        }
    }
    return ST_OK;
}

enum st store_batch_drop(struct store *s, int64_t id, struct store_gone *gone, struct err *e)
{
    static const enum store_sql from[] = {SQL_BATCH_DROP, SQL_BYTES_DROP, SQL_RECEIPT_DROP,
                                          SQL_REFUSED_DROP};
    sqlite3_stmt *q = store_db_use(&s->db, SQL_BATCH_SIZE, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, id);
    enum st st = store_db_row(&s->db, q, e);
    int64_t bytes = st == ST_OK ? sqlite3_column_int64(q, 0) : 0;
    if (st == ST_OK && sqlite3_column_int(q, 3) == 0)
        gone->lived_ms +=
            store_age_gone(s, id, sqlite3_column_int64(q, 1), sqlite3_column_int64(q, 2));
    sqlite3_reset(q);
    if (st == ST_OK)
        st = gone_add(s, id, bytes, gone, e);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    for (size_t i = 0; i < sizeof from / sizeof *from; i++)
        ERR_TRY(run_ids(&s->db, from[i], id, 0, e));
    return ST_OK;
}

void store_gone_tell(struct store *s, const struct store_gone *gone)
{
    s->age.behind_ms -= gone->lived_ms;
    s->held.n -= gone->all.n;
    s->held.bytes -= gone->all.bytes;
    for (uint32_t i = 0; i < s->nup; i++) {
        s->up[i].unsent.n -= gone->unsent[i].n;
        s->up[i].unsent.bytes -= gone->unsent[i].bytes;
    }
}

enum st store_latest_end(struct store *s, int64_t *to_ms, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_BATCH_LATEST, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_row(&s->db, q, e));
    bool any = sqlite3_column_type(q, 0) != SQLITE_NULL;
    *to_ms = sqlite3_column_int64(q, 0);
    sqlite3_reset(q);
    return any ? ST_OK : ST_NOT_FOUND;
}

static enum st count(struct store *s, enum store_sql id, const char *uplink, struct store_amount *n,
                     struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, id, e);
    if (!q)
        return ST_IO;
    if (uplink)
        sqlite3_bind_text(q, 1, uplink, -1, SQLITE_STATIC);
    ERR_TRY(store_db_row(&s->db, q, e));
    *n = (struct store_amount){sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1)};
    sqlite3_reset(q);
    return ST_OK;
}

enum st store_count(struct store *s, struct err *e)
{
    ERR_TRY(count(s, SQL_BATCH_COUNT, NULL, &s->held, e));
    for (uint32_t i = 0; i < s->nup; i++)
        ERR_TRY(count(s, SQL_BATCH_UNSENT, s->up[i].id, &s->up[i].unsent, e));
    return ST_OK;
}

void store_stats_refresh(struct store *s)
{
    int64_t unsent = 0;
    struct store_figures f;
    store_figures(s, &f);
    for (uint32_t i = 0; i < s->nup; i++)
        if (s->up[i].required && s->up[i].unsent.n > unsent)
            unsent = s->up[i].unsent.n;
    pthread_mutex_lock(&s->board_lock);
    f.thinned = s->stats.figures.thinned;
    s->stats.figures = f;
    s->stats.batches_held = s->held.n;
    s->stats.batches_unsent = unsent;
    s->stats.last_commit_ms = clk_now(s->clk).utc_ms;
    pthread_mutex_unlock(&s->board_lock);
}
