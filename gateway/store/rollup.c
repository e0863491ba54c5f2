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
#define RETRY_MS 10000

/* ---- the walk ---- */

void store_rollup_reopen(struct store_rollup *r)
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

static enum st place(struct store *s, const struct store_rollup_reading *x, struct err *e)
{
    struct store_rollup *r = s->rollup;
    int64_t slot = store_slot_of(STORE_QUARTER, x->t_ms);
    if (r->at.slot < 0) {
        r->at.slot = slot;
        store_rollup_reopen(r);
    }
    if (slot == r->at.slot)
        return store_rolls_add(s, &r->open, x, e);
    if (slot > r->at.slot)
        r->later = slot < r->later ? slot : r->later;
    else if (x->batch > r->at.seen)
        return mark_late(r, slot, x->batch, e);
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
    enum st st = store_rollup_is_new(r, slot)
                     ? ST_OK
                     : store_db_int(&s->db, SQL_QUARTER_AT, 2, range, &is, e);
    if (st == ST_OK)
        return again(s, e);
    if (st != ST_NOT_FOUND)
        return st;
    struct store_sources from = {r->open.first, r->open.last - r->open.first, 0, 0};
    ERR_TRY(store_db_int(&s->db, SQL_BATCH_BETWEEN, 2, ids, &from.n, e));
    if (r->open.disordered)
        ERR_TRY(store_rollup_mark(r, STORE_ROLL_DIRTY, slot, 0, e));
    ERR_TRY(store_meters_end(&r->open, e));
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
    store_rollup_reopen(r);
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

/* Its readings into the open slot. use: which frames they are; NULL: they are in the file only. */
static enum st add_batch(struct store *s, const struct step *b, const bool *use, int64_t *left,
                         struct err *e)
{
    if (use)
        return b->from_ms < STORE_KNOWN_MS ? ST_OK : store_rollup_frames(s, use, b->id, place, e);
    const uint8_t *hash =
        b->id <= s->rollup->newest_at_start ? b->hash : NULL; /* else just sealed */
    enum st st = store_rollup_readings(s, b->id, b->from_ms, hash, place, left, e);
    if (st != ST_CORRUPT)
        return st;
    store_event(s, STORE_ERROR, "rollup.damaged", NULL, /* its good readings are in */
                "a batch is damaged and missing in the charts: %s", e->text);
    return ST_OK;
}

/* Closes the open slot when the batch begins behind it, else takes the batch in. */
static enum st go_on(struct store *s, const struct step *b, const bool *use, int64_t *left,
                     struct err *e)
{
    struct store_rollup *r = s->rollup;
    struct store_moved m = {b->from_ms >= STORE_KNOWN_MS, 0, 0};
    if (!use) /* none can name what is just sealed */
        ERR_TRY(store_batch_moved(&s->db, b->id, b->from_ms, &m, e));
    if (m.known && b->data && r->at.slot >= 0) {
        int64_t from_ms = b->from_ms + m.add_ms, to_ms = b->to_ms + m.add_ms;
        int64_t slot = store_slot_of(STORE_QUARTER, from_ms);
        if (slot > r->at.slot)
            return close_slot(s, r->later < slot ? r->later : slot, left, e);
        if (b->id > r->at.seen && to_ms <= store_slot_ms(STORE_QUARTER, r->at.slot))
            return close_slot(s, slot, left, e); /* the clock was set back */
    }
    --*left;
    if (b->data)
        ERR_TRY(add_batch(s, b, use, left, e));
    r->cursor = b->id;
    r->at.seen = b->id > r->at.seen ? b->id : r->at.seen;
    if (r->later == INT64_MAX)
        r->consumed = b->id;
    if (!r->open.any)
        r->at.done = r->consumed;
    return ST_OK;
}

/* ST_NOT_FOUND: no batch is left. */
static enum st forward(struct store *s, int64_t *left, struct err *e)
{
    struct step b;
    ERR_TRY(next_batch(s, s->rollup->cursor, &b, e));
    return go_on(s, &b, NULL, left, e);
}

static bool is_full(const struct store_rollup *r)
{
    return r->nrows >= STORE_ROLL_READY_ROWS || r->nmarks >= STORE_ROLL_READY_MARKS ||
           r->bytes.n >= READY_BYTES;
}

/* A compressor is large: it is not kept between turns. */
static void pack_done(struct store_rollup *r)
{
    wire_zstd_close(r->zstd);
    r->zstd = NULL;
}

static void fail(struct store *s, const struct err *e)
{
    struct store_rollup *r = s->rollup;
    if (!r->broken)
        store_event(s, STORE_WARNING, "rollup.late", NULL, "the long-term charts stand still: %s",
                    e->text);
    r->broken = true;
    r->retry.ms = clk_mono(s->clk).ms + RETRY_MS;
    store_rollup_reopen(r);
    store_rollup_forget(r);
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
    pack_done(r);
    if (st == ST_NOT_FOUND) {
        r->idle_since = s->seals; /* nothing comes but by a seal */
        r->given_up = false;
    }
    if (st == ST_OK || st == ST_NOT_FOUND)
        r->broken = false;
    else
        fail(s, &e);
}

void store_rollup_sealed(struct store *s, const struct store_sealed *b, int64_t id, const bool *use)
{
    struct store_rollup *r = s->rollup;
    if (!r)
        return;
    struct step x = {id, b->from_ms, b->to_ms, store_kind(b->kind, b->level) == 0, {0}};
    struct err e = {.text = ""};
    int64_t left = 0;
    enum st st = ST_OK;
    int64_t at = r->cursor; /* a slot that is closed may ask for batches before this one again */
    bool next = at >= r->newest && !r->broken && !s->rescue && (use || !x.data);
    r->newest = id;
    while (next && r->cursor == at && st == ST_OK && !is_full(r))
        st = go_on(s, &x, use, &left, &e);
    pack_done(r);
    if (st != ST_OK)
        fail(s, &e);
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
    r->open.cap_wanted = r->redo.cap_wanted =
        (r->names.n > s->nser ? r->names.n : s->nser) / STORE_ROLL_GROUP * STORE_ROLL_GROUP +
        STORE_ROLL_GROUP;
    store_rollup_reopen(r);
    r->idle_since = UINT64_MAX;
    r->dirty_cursor = INT64_MIN;
    enum st st = store_db_int(&s->db, SQL_BATCH_NEWEST, 0, NULL, &r->newest_at_start, e);
    r->newest = r->newest_at_start;
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
    pack_done(r);
    free(r);
    s->rollup = NULL;
}
