/* The job that makes quarters of sealed batches, in their order, each batch once: the readings of
 * the open slot are added up in RAM, and the slot is done when a batch begins behind its end. What
 * comes out waits for the next seal. Nothing is lost with the RAM: `at` in the file says which slot
 * is open and up to where batches are in the slots before it, and the walk goes on from there.
 *
 * A reading of a slot that is done marks it to be computed again (rollup_redo.c). */
#include "gateway/store/rollup_int.h"

#include <stdlib.h>
#include <string.h>

#define READY_BYTES (256 * 1024)
#define COSE_KEPT (64 * 1024) /* a larger buffer is given back after use */
#define RETRY_MS 10000

/* ---- rollups by number ---- */

enum st store_rolls_room(struct store_rolls *x, uint32_t number, struct err *e)
{
    if (number < x->cap) {
        x->n = number < x->n ? x->n : number + 1;
        return ST_OK;
    }
    /* In steps of a group, so that encoding sees whole ones. */
    uint32_t cap = (number / STORE_ROLL_GROUP + 1) * STORE_ROLL_GROUP;
    struct store_roll *r = reallocarray(x->r, cap, sizeof *r);
    if (!r)
        return err_set(e, ST_MEMORY, "no memory for rollups");
    memset(r + x->cap, 0, (cap - x->cap) * sizeof *r);
    x->r = r;
    x->cap = cap;
    x->n = number + 1;
    return ST_OK;
}

void store_rolls_clear(struct store_rolls *x, int64_t slot)
{
    if (x->r)
        memset(x->r, 0, x->cap * sizeof *x->r);
    *x = (struct store_rolls){.slot = slot, .r = x->r, .cap = x->cap};
}

void store_rolls_done(struct store_rolls *x)
{
    free(x->r);
    *x = (struct store_rolls){.r = NULL};
}

enum st store_rolls_add(struct store *s, struct store_rolls *x, const struct wire_skimmed *w,
                        int64_t t_ms, struct num v, int64_t batch, struct err *e)
{
    struct store_names *names = &s->rollup->names;
    uint32_t number = 0;
    ERR_TRY(store_names_find(names, w, &number, e));
    ERR_TRY(store_rolls_room(x, number, e));
    struct store_roll *r = &x->r[number];
    store_roll_add(r, (uint32_t)(t_ms - store_slot_ms(STORE_QUARTER, x->slot)), v, w->q,
                   store_names_counter(names, number));
    x->disordered |= r->disordered;
    x->any = true;
    x->first = x->first && x->first < batch ? x->first : batch;
    x->last = x->last > batch ? x->last : batch;
    return ST_OK;
}

/* ---- one batch ---- */

/* A value that stands for many, of a batch that was thinned: its slots were done long before. */
static bool is_thinned(struct wire_span point)
{
    return memchr(point.p, ':', point.n) != NULL;
}

static enum st readings(struct store *s, const struct wire_batch *b, const struct store_moved *m,
                        int64_t id, store_rollup_each *each, int64_t *left, struct err *e)
{
    struct wire_skim it;
    struct wire_skimmed w;
    struct num v;
    ERR_TRY(wire_skim_open(&it, b->cose.payload.p, b->cose.payload.n, e));
    enum st st;
    while ((st = wire_skim_next(&it, NULL, &w, e)) == ST_OK) {
        --*left;
        if (w.opens)
            store_names_device(&s->rollup->names, w.device);
        if (is_thinned(w.point))
            continue;
        ERR_TRY(wire_skim_value(&it, &w, &v, e));
        ERR_TRY(each(s, &w, w.t_ms + m->add_ms, v, id, e));
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st store_rollup_readings(struct store *s, int64_t id, int64_t from_ms, const uint8_t *hash,
                              store_rollup_each *each, int64_t *left, struct err *e)
{
    struct buf *cose = &s->rollup->cose;
    struct store_moved m;
    struct wire_batch b;
    --*left;
    ERR_TRY(store_batch_moved(&s->db, id, from_ms, &m, e));
    if (!m.known)
        return ST_OK;
    ERR_TRY(store_batch_bytes(&s->db, id, hash, cose, e));
    enum st st = wire_batch_open_sealed(&b, cose->p, cose->n, e);
    if (st == ST_OK) {
        if (b.header.kind == WIRE_DATA)
            st = readings(s, &b, &m, id, each, left, e);
        wire_batch_done(&b);
    }
    if (cose->cap > COSE_KEPT) {
        buf_done(cose);
        buf_init(cose, WIRE_BATCH_MAX);
    }
    return st == ST_BAD ? ST_CORRUPT : st;
}

/* ---- the walk ---- */

/* Starts the open slot over: what is in it was not seen whole. */
static void reopen(struct store_rollup *r)
{
    store_rolls_clear(&r->open, r->at.slot);
    r->cursor = r->consumed = r->at.done;
    r->later = INT64_MAX;
}

static enum st mark_late(struct store_rollup *r, int64_t slot, int64_t batch, struct err *e)
{
    ERR_TRY(store_rollup_mark(r, STORE_ROLL_LATE, slot, batch, e));
    return store_rollup_mark(r, STORE_ROLL_DIRTY, slot, 0, e);
}

static enum st place(struct store *s, const struct wire_skimmed *w, int64_t t_ms, struct num v,
                     int64_t batch, struct err *e)
{
    struct store_rollup *r = s->rollup;
    int64_t slot = store_slot_of(STORE_QUARTER, t_ms);
    if (r->at.slot < 0) {
        r->at.slot = slot;
        reopen(r);
    }
    if (slot == r->at.slot)
        return store_rolls_add(s, &r->open, w, t_ms, v, batch, e);
    if (slot > r->at.slot)
        r->later = slot < r->later ? slot : r->later;
    else if (batch > r->at.seen)
        return mark_late(r, slot, batch, e);
    return ST_OK;
}

/* The slot was done before and time came to it again (a clock that was set back): its batches are
 * late ones. */
static enum st again(struct store *s, struct err *e)
{
    struct store_rollup *r = s->rollup;
    for (int64_t id = r->open.first - 1; id < r->open.last;) {
        enum st st = store_db_int(&s->db, SQL_BATCH_STEP, 1, &id, &id, e);
        if (st != ST_OK)
            return st == ST_NOT_FOUND ? ST_OK : st;
        if (id <= r->open.last)
            ERR_TRY(mark_late(r, r->open.slot, id, e));
    }
    return ST_OK;
}

static enum st keep_open(struct store *s, struct err *e)
{
    struct store_rollup *r = s->rollup;
    int64_t slot = r->open.slot, is = 0;
    int64_t range[] = {store_roll_key(slot, 0), store_roll_key(slot + 1, 0)};
    int64_t ids[] = {r->open.first, r->open.last};
    enum st st = store_db_int(&s->db, SQL_QUARTER_AT, 2, range, &is, e);
    if (st == ST_OK)
        return again(s, e);
    if (st != ST_NOT_FOUND)
        return st;
    struct store_sources from = {r->open.first, r->open.last - r->open.first, 0, 0};
    ERR_TRY(store_db_int(&s->db, SQL_BATCH_BETWEEN, 2, ids, &from.n, e));
    if (r->open.disordered)
        ERR_TRY(store_rollup_mark(r, STORE_ROLL_DIRTY, slot, 0, e));
    return store_rollup_keep(r, &r->open, &from, e);
}

/* The open slot is done; the next one is where the next reading is. */
static enum st close_slot(struct store *s, int64_t next, int64_t *left, struct err *e)
{
    struct store_rollup *r = s->rollup;
    *left -= r->open.n + 1; /* a row's series takes about as long as a reading */
    if (r->open.any)
        ERR_TRY(keep_open(s, e));
    int64_t day = store_slot_of(STORE_DAY, store_slot_ms(STORE_QUARTER, r->at.slot));
    if (store_slot_of(STORE_DAY, store_slot_ms(STORE_QUARTER, next)) != day)
        ERR_TRY(store_rollup_mark(r, STORE_ROLL_DIRTY, store_dirty_id(STORE_DAY, day), 0, e));
    r->at.slot = next;
    r->at.done = r->consumed;
    reopen(r);
    return ST_OK;
}

struct step {
    int64_t id, from_ms, to_ms;
    bool data;
    uint8_t hash[WIRE_HASH_BYTES];
};

static enum st next_batch(struct store *s, int64_t after, struct step *out, struct err *e)
{
    sqlite3_stmt *q = store_db_ask(&s->db, SQL_BATCH_STEP, 1, &after, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_row(&s->db, q, e));
    *out = (struct step){sqlite3_column_int64(q, 0),
                         sqlite3_column_int64(q, 2),
                         sqlite3_column_int64(q, 3),
                         sqlite3_column_int(q, 1) == 0,
                         {0}};
    bool ok = store_db_blob(q, 4, out->hash, sizeof out->hash);
    sqlite3_reset(q);
    return ok ? ST_OK : err_set(e, ST_CORRUPT, "store %s: a batch's row is damaged", s->path);
}

/* ST_NOT_FOUND: no batch is left. */
static enum st forward(struct store *s, int64_t *left, struct err *e)
{
    struct store_rollup *r = s->rollup;
    struct step b;
    struct store_moved m;
    ERR_TRY(next_batch(s, r->cursor, &b, e));
    ERR_TRY(store_batch_moved(&s->db, b.id, b.from_ms, &m, e));
    if (m.known && b.data && r->at.slot >= 0) {
        int64_t from_ms = b.from_ms + m.add_ms, to_ms = b.to_ms + m.add_ms;
        int64_t slot = store_slot_of(STORE_QUARTER, from_ms);
        if (slot > r->at.slot)
            return close_slot(s, r->later < slot ? r->later : slot, left, e);
        if (b.id > r->at.seen && to_ms <= store_slot_ms(STORE_QUARTER, r->at.slot))
            return close_slot(s, slot, left, e); /* the clock was set back */
    }
    --*left;
    if (b.data) {
        const uint8_t *hash = b.id <= r->newest_at_start ? b.hash : NULL; /* else just sealed */
        enum st st = store_rollup_readings(s, b.id, b.from_ms, hash, place, left, e);
        if (st == ST_CORRUPT) /* its good readings are in */
            store_event(s, STORE_ERROR, "rollup.damaged", NULL,
                        "a batch is damaged and missing in the charts: %s", e->text);
        else if (st != ST_OK)
            return st;
    }
    r->cursor = b.id;
    r->at.seen = b.id > r->at.seen ? b.id : r->at.seen;
    if (r->later == INT64_MAX)
        r->consumed = b.id;
    if (!r->open.any)
        r->at.done = r->consumed;
    return ST_OK;
}

static bool is_full(const struct store_rollup *r)
{
    return r->nrows >= STORE_ROLL_READY_ROWS || r->nmarks >= STORE_ROLL_READY_MARKS ||
           r->bytes.n >= READY_BYTES;
}

void store_rollup_step(struct store *s)
{
    struct store_rollup *r = s->rollup;
    struct err e = {.text = ""};
    int64_t left = STORE_ROLL_TURN;
    enum st st = ST_OK;
    if (!r || r->idle_since == s->seals || clk_mono(s->clk).ms < r->retry.ms)
        return;
    while (left > 0 && st == ST_OK && !is_full(r)) {
        st = forward(s, &left, &e);
        if (st == ST_NOT_FOUND)
            st = store_rollup_redo(s, &left, &e);
    }
    if (st == ST_NOT_FOUND)
        r->idle_since = s->seals; /* nothing comes but by a seal */
    if (st == ST_OK || st == ST_NOT_FOUND) {
        r->broken = false;
        return;
    }
    if (!r->broken)
        store_event(s, STORE_WARNING, "rollup.late", NULL, "the long-term charts stand still: %s",
                    e.text);
    r->broken = true;
    r->retry.ms = clk_mono(s->clk).ms + RETRY_MS;
    reopen(r);
    store_rollup_forget(r);
}

/* ---- open, close ---- */

enum st store_rollup_open(struct store *s, struct err *e)
{
    struct store_rollup *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ST_MEMORY, "store %s: no memory for rollups", s->path);
    s->rollup = r;
    buf_init(&r->bytes, SIZE_MAX / 2);
    buf_init(&r->cose, WIRE_BATCH_MAX);
    buf_init(&r->raw, STORE_ROLL_BLOB_MAX);
    ERR_TRY(store_names_open(&r->names, s, e));
    ERR_TRY(store_roll_progress_get(&s->db, &r->at, e));
    reopen(r);
    r->idle_since = UINT64_MAX;
    enum st st = store_db_int(&s->db, SQL_BATCH_NEWEST, 0, NULL, &r->newest_at_start, e);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

void store_rollup_close(struct store *s)
{
    struct store_rollup *r = s->rollup;
    if (!r)
        return;
    store_names_close(&r->names);
    store_rolls_done(&r->open);
    store_rolls_done(&r->redo);
    free(r->counted);
    free(r->row);
    free(r->mark);
    buf_done(&r->bytes);
    buf_done(&r->cose);
    buf_done(&r->raw);
    free(r);
    s->rollup = NULL;
}
