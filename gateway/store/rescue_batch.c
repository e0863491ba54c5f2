/* One batch of a damaged store: whether it is proven, and what of the journal it has. */
#include <string.h>

#include "gateway/store/rescue_int.h"

static bool is_proven(struct store_rescue *r, int64_t rowid, const struct wire_batch *b,
                      const uint8_t hash[WIRE_HASH_BYTES])
{
    uint8_t told[WIRE_HASH_BYTES];
    sqlite3_stmt *q = r->readable ? store_db_use(&r->src, SQL_BATCH_HASH, NULL) : NULL;
    bool same = false;
    if (q) {
        sqlite3_bind_int64(q, 1, rowid);
        same = store_db_row(&r->src, q, NULL) == ST_OK && store_db_blob(q, 0, told, sizeof told) &&
               memcmp(told, hash, sizeof told) == 0;
        sqlite3_reset(q);
    }
    return same || (r->s->pub && wire_cose_verify(&b->cose, r->s->pub, NULL) == ST_OK);
}

/* Marks the frames of the journal that are this poll. */
static void mark_poll(struct store_rescue *r, const struct wire_header *h,
                      const struct wire_reading *w)
{
    struct store *s = r->s;
    for (size_t i = 0; i < r->nold; i++) {
        const struct store_frame *f = &s->frames[i];
        if (r->sealed[i] || f->n == 0 || f->t_ms != w->t_ms ||
            memcmp(f->boot, h->boot, sizeof f->boot) != 0)
            continue;
        struct wire_senml it;
        struct wire_reading x;
        wire_senml_open_records(&it, f->senml, f->senml_n, f->n, NULL);
        r->sealed[i] = wire_senml_next(&it, &x, NULL) == ST_OK && x.device.n == w->device.n &&
                       w->device.p && memcmp(x.device.p, w->device.p, x.device.n) == 0;
    }
}

/* A failed poll has no reading: the batch of its time told it. */
static void mark_failed(struct store_rescue *r, const struct wire_header *h)
{
    for (size_t i = 0; i < r->nold; i++) {
        const struct store_frame *f = &r->s->frames[i];
        if (f->n == 0 && memcmp(f->boot, h->boot, sizeof f->boot) == 0 && f->t_ms >= h->from_ms &&
            f->t_ms < h->to_ms)
            r->sealed[i] = true;
    }
}

/* What this batch has of the journal; *n: its records. */
static bool read_batch(struct store_rescue *r, const struct wire_batch *b, uint64_t *n)
{
    const struct wire_header *h = &b->header;
    struct wire_senml it;
    struct wire_reading w;
    struct wire_span device = {NULL, 0};
    int64_t t_ms = 0;
    *n = 0;
    if (h->kind != WIRE_DATA)
        return true;
    if (wire_senml_open(&it, b->cose.payload.p, b->cose.payload.n, h->gw, n, NULL) != ST_OK)
        return false;
    if (h->for_from || r->s->epoch != r->epoch || r->nold == 0)
        return true;
    mark_failed(r, h);
    while (wire_senml_next(&it, &w, NULL) == ST_OK) {
        if (w.device.p == device.p && w.t_ms == t_ms)
            continue;
        mark_poll(r, h, &w);
        device = w.device;
        t_ms = w.t_ms;
    }
    return true;
}

/* The chain's row, made when only its batches are left. */
static enum st chain_of(struct store_rescue *r, int64_t rowid, const struct wire_header *h,
                        int64_t *id, struct err *e)
{
    struct store *s = r->s;
    enum st st = store_chain_row(&s->db, h->chain, id, e);
    if (st != ST_NOT_FOUND)
        return st;
    sqlite3_stmt *q = store_db_use(&s->db, SQL_NEW_CHAIN, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, rowid >> STORE_SEQ_BITS);
    sqlite3_bind_blob(q, 2, h->chain, WIRE_ID_BYTES, SQLITE_STATIC);
    sqlite3_bind_blob(q, 3, h->kid, WIRE_ID_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(q, 7, 0);
    sqlite3_bind_int64(q, 9, h->to_ms);
    sqlite3_bind_int64(q, 10, h->clk);
    sqlite3_bind_int64(q, 12, (int64_t)s->epoch);
    ERR_TRY(store_db_run(&s->db, q, e));
    return store_chain_row(&s->db, h->chain, id, e);
}

static enum st raise_chain(struct store *s, int64_t chain, const struct wire_header *h,
                           const uint8_t hash[WIRE_HASH_BYTES], struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_CHAIN_RAISE, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, chain);
    sqlite3_bind_int64(q, 2, (int64_t)h->seq);
    sqlite3_bind_blob(q, 3, hash, WIRE_HASH_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(q, 4, h->to_ms);
    sqlite3_bind_int(q, 5, h->clk);
    sqlite3_bind_blob(q, 6, h->boot, WIRE_ID_BYTES, SQLITE_STATIC);
    ERR_TRY(store_db_run(&s->db, q, e));
    if (h->kind != WIRE_DATA || h->for_from)
        return ST_OK;
    q = store_db_use(&s->db, SQL_CHAIN_WINDOW, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, chain);
    sqlite3_bind_int64(q, 2, h->to_ms);
    return store_db_run(&s->db, q, e);
}

static enum st count_unsent(struct store_rescue *r, int64_t chain, uint64_t seq, int64_t bytes,
                            struct err *e)
{
    struct store *s = r->s;
    for (uint32_t i = 0; i < s->nup; i++) {
        uint64_t a, z;
        enum st st = store_ack_range(&s->db, s, s->up[i].id, chain, seq, &a, &z, e);
        if (st != ST_OK && st != ST_NOT_FOUND)
            return st;
        if (st == ST_NOT_FOUND) {
            r->part_unsent[i].n++;
            r->part_unsent[i].bytes += bytes;
        }
    }
    return ST_OK;
}

/* How far the batch is thinned. Its header does not say; where its row is lost, least. */
static enum store_level level_of(struct store_rescue *r, int64_t rowid, const struct wire_header *h)
{
    sqlite3_stmt *q =
        h->for_from && r->readable ? store_db_use(&r->src, SQL_BATCH_KIND, NULL) : NULL;
    int64_t level = 0;
    if (q) {
        sqlite3_bind_int64(q, 1, rowid);
        if (store_db_row(&r->src, q, NULL) == ST_OK)
            level = sqlite3_column_int64(q, 0) - STORE_KIND_CONTROL;
        sqlite3_reset(q);
    }
    if (!h->for_from)
        return STORE_RAW;
    return level > STORE_RAW && level < STORE_LEVELS ? (enum store_level)level : STORE_1MIN;
}

static enum st keep(struct store_rescue *r, int64_t rowid, const struct wire_header *h, uint64_t n,
                    const uint8_t hash[WIRE_HASH_BYTES], struct wire_span packed, struct err *e)
{
    struct store *s = r->s;
    int64_t chain = 0;
    ERR_TRY(chain_of(r, rowid, h, &chain, e));
    int64_t id = store_batch_id(chain, h->seq);
    enum st st = store_db_has(&s->db, SQL_BATCH_HASH, id, e);
    if (st != ST_NOT_FOUND)
        return st;
    ERR_TRY(raise_chain(s, chain, h, hash, e));
    st = store_room(s, packed.n, NULL);
    if (st == ST_FULL) { /* what the city has is history: the first to go, and not to come */
        st = store_acked(s, chain, h->seq, h->seq, e);
        if (st == ST_OK)
            r->part.skipped++;
        return st == ST_NOT_FOUND ? store_room(s, packed.n, e) : st;
    }
    struct store_sealed b = {.chain = h->chain,
                             .seq = h->seq,
                             .kind = h->kind,
                             .level = level_of(r, rowid, h),
                             .from_ms = h->from_ms,
                             .to_ms = h->to_ms,
                             .clk = h->clk,
                             .n = n,
                             .packed = packed};
    memcpy(b.hash, hash, sizeof b.hash);
    ERR_TRY(store_batch_put(s, id, &b, e));
    if (h->kind == WIRE_CONTROL)
        ERR_TRY(store_times_add(&s->db, id, packed, e));
    r->part.batches++;
    r->part.readings += (int64_t)n;
    r->part.bytes += (int64_t)packed.n;
    return count_unsent(r, chain, h->seq, (int64_t)packed.n, e);
}

enum st store_rescue_row(void *ctx, int64_t rowid, struct wire_span blob, struct err *e)
{
    static const uint8_t zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
    struct store_rescue *r = ctx;
    struct wire_batch b;
    uint8_t hash[WIRE_HASH_BYTES];
    uint64_t n = 0;
    if (rowid >> STORE_SEQ_BITS <= 0 || store_batch_seq(rowid) == 0 || blob.n < sizeof zstd ||
        memcmp(blob.p, zstd, sizeof zstd) != 0)
        return ST_OK;
    r->raw.n = 0;
    enum st st = wire_zstd_unpack(blob.p, blob.n, WIRE_BATCH_MAX, &r->raw, NULL);
    if (st == ST_OK)
        st = wire_batch_open(&b, r->raw.p, r->raw.n, NULL);
    if (st == ST_MEMORY)
        return err_set(e, st, "rescue: no memory for a batch");
    if (st != ST_OK) {
        r->part.unreadable++;
        return ST_OK;
    }
    wire_sha256(r->raw.p, r->raw.n, hash);
    const struct wire_header *h = &b.header;
    if (strcmp(h->gw, r->s->gateway) == 0 && h->seq == store_batch_seq(rowid) &&
        is_proven(r, rowid, &b, hash) && read_batch(r, &b, &n))
        st = keep(r, rowid, h, n, hash, blob, e);
    else
        r->part.unreadable++;
    wire_batch_done(&b);
    return st;
}
