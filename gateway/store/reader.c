/* Read-only connections: uplinks pick what to send, the page and the CLI read history. */
#include "gateway/store/chart_int.h"
#include "gateway/store/damage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VIEW_TRIES 20 /* of one view of database and journal file */

enum st store_reader_open(struct store_reader **out, const char *path, struct err *e)
{
    struct store_reader *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ST_MEMORY, "store %s: no memory", path);
    buf_init(&r->bytes, 2 * WIRE_BATCH_MAX);
    enum st st = store_db_open(&r->db, path, true, e);
    if (st != ST_OK) {
        free(r);
        return st;
    }
    *out = r;
    return ST_OK;
}

struct store_db *store_reader_db(struct store_reader *r)
{
    return &r->db;
}

enum st store_reader_open_in(struct store_reader **out, struct store *s, struct err *e)
{
    ERR_TRY(store_reader_open(out, s->path, e));
    (*out)->store = s;
    (*out)->db.suspect = &s->suspect;
    return ST_OK;
}

static void journal_done(struct store_reader *r)
{
    for (size_t i = 0; i < r->njournal; i++)
        buf_done(&r->journal[i]);
    free(r->journal);
    r->journal = NULL;
    r->njournal = 0;
}

void store_reader_close(struct store_reader *r)
{
    if (!r)
        return;
    journal_done(r);
    store_kept_close(r->kept);
    store_db_close(&r->db);
    buf_done(&r->bytes);
    free(r);
}

static enum st keep_record(void *ctx, struct wire_span payload, struct err *e)
{
    struct store_reader *r = ctx;
    struct buf *more = reallocarray(r->journal, r->njournal + 1, sizeof *more);
    if (!more)
        return err_set(e, ST_MEMORY, "store %s: no memory", r->db.path);
    r->journal = more;
    buf_init(&more[r->njournal], payload.n);
    enum st st = buf_put(&more[r->njournal++], payload.p, payload.n);
    return st == ST_OK ? ST_OK : err_set(e, st, "store %s: no memory", r->db.path);
}

static enum st read_journal(struct store_reader *r, uint64_t of, struct err *e)
{
    struct store_jfile j;
    journal_done(r);
    ERR_TRY(store_jfile_open(&j, r->db.path, true, e));
    enum st st = store_jfile_each(&j, of, keep_record, r, e);
    store_jfile_close(&j);
    return st;
}

/* The file's records belong to one epoch of the database: when that has not moved while they were
 * read, nothing of them was folded or overwritten. */
static enum st try_view(struct store_reader *r, bool *moved, struct err *e)
{
    int64_t before = 0, now = 0;
    ERR_TRY(store_db_int(&r->db, SQL_EPOCH, 0, NULL, &before, e));
    ERR_TRY(read_journal(r, (uint64_t)before, e));
    ERR_TRY(store_db_do(&r->db, SQL_BEGIN_READ, 0, NULL, e));
    r->view = true;
    ERR_TRY(store_db_int(&r->db, SQL_EPOCH, 0, NULL, &now, e)); /* this read fixes the view */
    *moved = now != before;
    return ST_OK;
}

enum st store_reader_begin(struct store_reader *r, struct err *e)
{
    for (int i = 0; i < VIEW_TRIES; i++) {
        bool moved = false;
        enum st st = try_view(r, &moved, e);
        if (st == ST_OK && !moved)
            return ST_OK;
        store_reader_end(r);
        if (st != ST_OK)
            return st;
    }
    return err_set(e, ST_BUSY,
                   "store %s: windows are sealed faster than they can be read; try again",
                   r->db.path);
}

void store_reader_end(struct store_reader *r)
{
    if (r->view)
        (void)store_db_do(&r->db, SQL_ROLLBACK, 0, NULL, NULL);
    r->view = false;
    journal_done(r);
}

enum st store_batch_load(struct store_db *d, int64_t id, struct store_batch *out, struct buf *bytes,
                         struct err *e)
{
    sqlite3_stmt *q = store_db_use(d, SQL_BATCH_GET, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, id);
    *out = (struct store_batch){.id = id, .seq = store_batch_seq(id)};
    enum st row = store_db_row(d, q, e);
    if (row == ST_NOT_FOUND)
        return err_set(e, ST_CORRUPT, "store %s: a part of batch %llu is lost", d->path,
                       (unsigned long long)store_batch_seq(id));
    if (row != ST_OK)
        return row;
    out->kind = sqlite3_column_int(q, 1) == STORE_KIND_CONTROL ? WIRE_CONTROL : WIRE_DATA;
    out->from_ms = sqlite3_column_int64(q, 2);
    out->to_ms = sqlite3_column_int64(q, 3);
    out->n = (uint64_t)sqlite3_column_int64(q, 4);
    bool ok = store_db_blob(q, 5, out->hash, WIRE_HASH_BYTES) &&
              store_db_blob(q, 7, out->chain, WIRE_ID_BYTES);
    bytes->n = 0;
    enum st st = buf_put(bytes, sqlite3_column_blob(q, 6), (size_t)sqlite3_column_bytes(q, 6));
    sqlite3_reset(q);
    if (!ok)
        return err_set(e, ST_CORRUPT, "store %s: batch %llu is damaged", d->path,
                       (unsigned long long)out->seq);
    out->packed = (struct wire_span){bytes->p, bytes->n};
    return st == ST_OK ? ST_OK : err_set(e, st, "store %s: no memory", d->path);
}

enum st store_reader_load(struct store_reader *r, int64_t id, struct store_batch *out,
                          struct err *e)
{
    return store_batch_load(&r->db, id, out, &r->bytes, e);
}

/* Batches that a pick passes over. */
struct but {
    const int64_t *id;
    size_t n;
    int64_t above; /* and all up to this id */
};

/* A negative id stands for the whole chain of that batch. */
static bool is_chain_passed_over(const struct but *but, int64_t chain)
{
    for (size_t i = 0; i < but->n; i++)
        if (but->id[i] < 0 && -but->id[i] >> STORE_SEQ_BITS == chain)
            return true;
    return false;
}

static bool is_passed_over(const struct but *but, int64_t id)
{
    for (size_t i = 0; i < but->n; i++)
        if (but->id[i] == id)
            return true;
    return false;
}

/* One chain: the first (or last) batch of this kind that no acknowledged range holds. */
static enum st pick_in(struct store_reader *r, const char *uplink, enum store_pick pick,
                       const struct but *but, int64_t chain, uint64_t last_seq, int64_t *id,
                       struct err *e)
{
    static const enum store_sql step[] = {[STORE_PICK_CONTROL] = SQL_CONTROL_NEXT,
                                          [STORE_PICK_NEWEST] = SQL_BATCH_PREV,
                                          [STORE_PICK_OLDEST] = SQL_BATCH_NEXT};
    uint64_t low = chain == but->above >> STORE_SEQ_BITS ? store_batch_seq(but->above) + 1 : 1;
    uint64_t seq = pick == STORE_PICK_NEWEST ? last_seq : low;
    while (seq >= low && seq <= last_seq) {
        sqlite3_stmt *q = store_db_use(&r->db, step[pick], e);
        if (!q)
            return ST_IO;
        sqlite3_bind_int64(q, 1, store_batch_id(chain, seq));
        sqlite3_bind_int64(q, 2, store_batch_id(chain, pick == STORE_PICK_NEWEST ? low : last_seq));
        ERR_TRY(store_db_row(&r->db, q, e));
        *id = sqlite3_column_int64(q, 0);
        sqlite3_reset(q);
        uint64_t a = store_batch_seq(*id), z = a;
        enum st st = is_passed_over(but, *id) ? ST_OK
                                              : store_ack_range(&r->db, r->store, uplink, chain,
                                                                store_batch_seq(*id), &a, &z, e);
        if (st != ST_OK)
            return st == ST_NOT_FOUND ? ST_OK : st;
        seq = pick == STORE_PICK_NEWEST ? a - 1 : z + 1;
    }
    return ST_NOT_FOUND;
}

enum st store_pick_batch_but(struct store_reader *r, const char *uplink, enum store_pick pick,
                             const int64_t *but, size_t nbut, struct store_batch *out,
                             struct err *e)
{
    return store_pick_batch_above(r, uplink, pick, 0, but, nbut, out, e);
}

/* Kept, the unpacked bytes would be the largest thing that the program holds. */
static enum st check(const struct store_batch *b, struct err *e)
{
    struct buf raw;
    buf_init(&raw, WIRE_BATCH_MAX);
    enum st st = store_batch_check(b->packed, b->hash, &raw, e);
    buf_done(&raw);
    return st;
}

enum st store_pick_batch_above(struct store_reader *r, const char *uplink, enum store_pick pick,
                               int64_t above, const int64_t *but, size_t nbut,
                               struct store_batch *out, struct err *e)
{
    const struct but over = {but, nbut, above};
    sqlite3_stmt *q =
        store_db_use(&r->db, pick == STORE_PICK_NEWEST ? SQL_CHAINS_BACK : SQL_CHAINS, e);
    if (!q)
        return ST_IO;
    enum st st;
    while ((st = store_db_row(&r->db, q, e)) == ST_OK) {
        int64_t id = 0;
        int64_t chain = sqlite3_column_int64(q, 0);
        if (chain < above >> STORE_SEQ_BITS || is_chain_passed_over(&over, chain))
            continue;
        st = pick_in(r, uplink, pick, &over, sqlite3_column_int64(q, 0),
                     (uint64_t)sqlite3_column_int64(q, 1), &id, e);
        if (st == ST_NOT_FOUND)
            continue;
        sqlite3_reset(q);
        if (st == ST_OK)
            st = store_reader_load(r, id, out, e);
        if (st == ST_OK) /* what goes out is what was sealed, or the store is rescued first */
            st = check(out, e);
        if (st == ST_CORRUPT && r->store)
            atomic_store(&r->store->suspect, true);
        return st;
    }
    return st;
}

enum st store_unsent(struct store_reader *r, const char *uplink, int64_t *batches,
                     int64_t *readings, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&r->db, SQL_BATCH_UNSENT, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, uplink, -1, SQLITE_STATIC);
    ERR_TRY(store_db_row(&r->db, q, e));
    *batches = sqlite3_column_int64(q, 0);
    *readings = sqlite3_column_int64(q, 2);
    sqlite3_reset(q);
    return ST_OK;
}

struct pending_ctx {
    bool (*each)(void *ctx, const struct wire_reading *w);
    void *ctx;
    bool stopped;
};

static enum st pending_entry(void *arg, const struct store_entry *x, struct err *e)
{
    struct pending_ctx *p = arg;
    struct wire_senml it;
    struct wire_reading w;
    wire_senml_open_records(&it, x->senml.p, x->senml.n, x->n, NULL);
    enum st st;
    while ((st = wire_senml_next(&it, &w, e)) == ST_OK)
        if (!p->each(p->ctx, &w)) {
            p->stopped = true;
            return ST_STOPPED;
        }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st store_blob_readings(struct wire_span packed,
                            bool (*each)(void *ctx, const struct wire_reading *w), void *ctx,
                            bool *stopped, struct err *e)
{
    struct pending_ctx p = {each, ctx, false};
    enum st st = store_entries_each(packed, pending_entry, &p, e);
    *stopped = p.stopped;
    return p.stopped ? ST_OK : st;
}

enum st store_each_entry(struct store_reader *r,
                         enum st (*each)(void *ctx, const struct store_entry *x, struct err *e),
                         void *ctx, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&r->db, SQL_JOURNAL_ALL, e);
    if (!q)
        return ST_IO;
    enum st st;
    while ((st = store_db_row(&r->db, q, e)) == ST_OK) {
        struct wire_span packed = {sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0)};
        st = store_entries_each(packed, each, ctx, e);
        if (st != ST_OK)
            break;
    }
    sqlite3_reset(q);
    if (st == ST_NOT_FOUND)
        st = ST_OK;
    for (size_t i = 0; i < r->njournal && st == ST_OK; i++)
        st = store_entries_each((struct wire_span){r->journal[i].p, r->journal[i].n}, each, ctx, e);
    return st;
}

static enum st each_pending(struct store_reader *r, struct pending_ctx *p, struct err *e)
{
    enum st st = store_each_entry(r, pending_entry, p, e);
    return p->stopped ? ST_OK : st;
}

enum st store_each_pending(struct store_reader *r,
                           bool (*each)(void *ctx, const struct wire_reading *w), void *ctx,
                           struct err *e)
{
    struct pending_ctx p = {each, ctx, false};
    if (r->view)
        return each_pending(r, &p, e);
    ERR_TRY(store_reader_begin(r, e));
    enum st st = each_pending(r, &p, e);
    store_reader_end(r);
    return st;
}

static void column_text(sqlite3_stmt *q, int column, char *to, size_t n)
{
    const char *t = (const char *)sqlite3_column_text(q, column);
    snprintf(to, n, "%s", t ? t : "");
}

enum st store_each_event(struct store_reader *r, int64_t before, int limit,
                         bool (*each)(void *ctx, const struct store_event *v), void *ctx,
                         struct err *e)
{
    sqlite3_stmt *q = store_db_use(&r->db, SQL_EVENT_LIST, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, before);
    sqlite3_bind_int(q, 2, limit);
    enum st st;
    while ((st = store_db_row(&r->db, q, e)) == ST_OK) {
        struct store_event v = {.id = sqlite3_column_int64(q, 0),
                                .t_ms = sqlite3_column_int64(q, 1),
                                .grade = (enum clk_grade)sqlite3_column_int(q, 2),
                                .severity = (enum store_severity)sqlite3_column_int(q, 3)};
        column_text(q, 4, v.code, sizeof v.code);
        column_text(q, 5, v.subject, sizeof v.subject);
        column_text(q, 6, v.text, sizeof v.text);
        if (!each(ctx, &v))
            break;
    }
    sqlite3_reset(q);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static bool last_parked(struct store *s, const char *uplink, struct store_receipt *out,
                        int64_t *chain)
{
    bool any = false;
    pthread_mutex_lock(&s->lock);
    for (uint32_t i = 0; i < s->nparked; i++) {
        const struct store_parked *p = &s->parked[i];
        if (!p->receipt || strcmp(s->up[p->uplink].id, uplink) != 0)
            continue;
        *out = (struct store_receipt){.seq = p->z, .at_ms = p->at_ms};
        *chain = p->chain;
        any = true;
    }
    pthread_mutex_unlock(&s->lock);
    return any;
}

enum st store_last_receipt(struct store_reader *r, const char *uplink, struct store_receipt *out,
                           struct err *e)
{
    int64_t chain = 0;
    bool parked = r->store && last_parked(r->store, uplink, out, &chain);
    sqlite3_stmt *q = store_db_use(&r->db, parked ? SQL_CHAIN_GET : SQL_RECEIPT_LAST, e);
    if (!q)
        return ST_IO;
    if (parked)
        sqlite3_bind_int64(q, 1, chain);
    else
        sqlite3_bind_text(q, 1, uplink, -1, SQLITE_STATIC);
    ERR_TRY(store_db_row(&r->db, q, e));
    bool ok = store_db_blob(q, 0, out->chain, WIRE_ID_BYTES);
    if (!parked) {
        out->seq = store_batch_seq(sqlite3_column_int64(q, 1));
        out->at_ms = sqlite3_column_int64(q, 2);
    }
    sqlite3_reset(q);
    return ok ? ST_OK : err_set(e, ST_CORRUPT, "store %s: a receipt is damaged", r->db.path);
}

enum st store_set_aside_last(struct store_reader *r, struct store_set_aside *out, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&r->db, SQL_REFUSED_LAST, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_row(&r->db, q, e));
    *out = (struct store_set_aside){.batches = sqlite3_column_int64(q, 0),
                                    .seq = store_batch_seq(sqlite3_column_int64(q, 1)),
                                    .at_ms = sqlite3_column_int64(q, 3)};
    column_text(q, 2, out->code, sizeof out->code);
    bool ok = store_db_blob(q, 4, out->chain, WIRE_ID_BYTES);
    sqlite3_reset(q);
    return ok ? ST_OK : err_set(e, ST_CORRUPT, "store %s: a refusal is damaged", r->db.path);
}
