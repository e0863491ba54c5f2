/* What a `time`, `correct` or `maintain` entry changes in rollups that are made: a control batch
 * that holds one leaves, in its own transaction, a row in table rollup_dirty, and this job marks
 * the slots that are to be computed again, batch by batch or slot by slot. How far it got is
 * written with the marks, so that a power cut costs a piece of it, and doing a piece twice changes
 * nothing. */
#include "gateway/store/rollup_int.h"

#define SLOT_TAKES 32 /* finding one slot takes about as long as so many readings */
#define SLOT_MASK ((INT64_C(1) << STORE_DIRTY_SLOT_BITS) - 1)

/* ---- what an entry leaves to do ---- */

enum st store_rollup_noted(struct store *s, int64_t id, struct err *e)
{
    int64_t any = 0, range[] = {id, STORE_DIRTY_RANGE};
    enum st st = store_db_int(&s->db, SQL_ENTRIES_OF, 1, &id, &any, e);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    ERR_TRY(store_db_do(&s->db, SQL_DIRTY_MOVED, 1, &id, e));
    ERR_TRY(store_db_do(&s->db, SQL_DIRTY_CORRECTED, 2, range, e));
    ERR_TRY(store_db_do(&s->db, SQL_DIRTY_CALIBRATED, 2, range, e));
    ERR_TRY(store_db_do(&s->db, SQL_DIRTY_METER, 2, range, e));
    if (s->rollup) { /* what is in the making may hold readings as they were before */
        store_rollup_reopen(s->rollup);
        store_rollup_forget(s->rollup);
    }
    return ST_OK;
}

/* ---- batches that were moved ---- */

static enum st mark(struct store *s, const struct store_rollup_reading *x, struct err *e)
{
    struct store_rollup *r = s->rollup;
    int64_t slot = store_slot_of(STORE_QUARTER, x->t_ms);
    if (slot < 0 || slot > SLOT_MASK)
        return ST_OK; /* no chart shows such a time */
    if (r->place_late)
        ERR_TRY(store_rollup_mark(r, STORE_ROLL_LATE, slot, x->batch, e));
    return store_rollup_mark(r, STORE_ROLL_DIRTY, slot, 0, e);
}

/* The slots that the batch ever was in, by the times it was sealed with and by each entry, and
 * those it is in now: the latest entry counts. */
static enum st place_batch(struct store *s, int64_t id, int64_t from_ms, int64_t *left,
                           struct err *e)
{
    struct store_rollup *r = s->rollup;
    struct wire_batch b;
    ERR_TRY(store_rollup_load(s, id, NULL, &b, e));
    sqlite3_stmt *q = store_db_ask(&s->db, SQL_MOVED_EACH, 1, &id, e);
    enum st st = q ? ST_OK : ST_IO;
    r->place_late = true;
    while (st == ST_OK && (st = store_db_row(&s->db, q, e)) == ST_OK) {
        st = store_rollup_pass(s, &b, id, sqlite3_column_int64(q, 0), mark, left, e);
        r->place_late = false;
    }
    if (q)
        sqlite3_reset(q);
    if (st == ST_NOT_FOUND)
        st = from_ms < STORE_KNOWN_MS ? ST_OK : store_rollup_pass(s, &b, id, 0, mark, left, e);
    store_rollup_unload(s, &b);
    return st;
}

static enum st place_moved(struct store *s, int64_t *left, struct err *e)
{
    struct store_rollup *r = s->rollup;
    int64_t id = -r->todo, before = id - 1, end = 0;
    r->todo = 0;
    --*left;
    enum st st = store_db_int(&s->db, SQL_MOVED_END, 1, &id, &end, e);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st; /* all its batches have left the store */
    sqlite3_stmt *q = store_db_ask(&s->db, SQL_BATCH_STEP, 1, &before, e);
    if (!q)
        return ST_IO;
    st = store_db_row(&s->db, q, e);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    id = sqlite3_column_int64(q, 0);
    bool data = sqlite3_column_int(q, 1) == 0;
    int64_t from_ms = sqlite3_column_int64(q, 2);
    sqlite3_reset(q);
    if (id > end)
        return ST_OK;
    if (data)
        st = place_batch(s, id, from_ms, left, e);
    if (st == ST_CORRUPT) {
        store_event(s, STORE_ERROR, "rollup.damaged", NULL,
                    "a batch is damaged and missing in the charts: %s", e->text);
        st = ST_OK;
    }
    r->todo = -(id + 1);
    return st;
}

/* ---- slots that were corrected ---- */

static enum st place_taken(struct store *s, int64_t *left, struct err *e)
{
    struct store_rollup *r = s->rollup;
    int64_t from = (r->todo - STORE_DIRTY_RANGE) >> STORE_DIRTY_SLOT_BITS, slot = 0;
    int64_t to = (r->todo - STORE_DIRTY_RANGE) & SLOT_MASK;
    int64_t range[] = {store_roll_key(from, 0), store_roll_key(to + 1, 0)};
    *left -= SLOT_TAKES;
    r->todo = 0;
    enum st st = store_db_int(&s->db, SQL_QUARTER_SLOT, 2, range, &slot, e);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    ERR_TRY(store_rollup_mark(r, STORE_ROLL_DIRTY, slot, 0, e));
    if (slot < to)
        r->todo = STORE_DIRTY_RANGE + ((slot + 1) << STORE_DIRTY_SLOT_BITS) + to;
    return ST_OK;
}

/* ---- the job ---- */

void store_rollup_place_begin(struct store_rollup *r, int64_t row)
{
    r->todo_row = r->todo = row;
    r->placing = true;
}

enum st store_rollup_place(struct store *s, int64_t *left, struct err *e)
{
    struct store_rollup *r = s->rollup;
    ERR_TRY(r->todo < STORE_DIRTY_RANGE / 2 ? place_taken(s, left, e) : place_moved(s, left, e));
    if (r->todo != 0)
        return ST_OK;
    r->placing = false;
    r->dirty_cursor = r->todo_row > r->dirty_cursor ? r->todo_row : r->dirty_cursor;
    return store_rollup_mark(r, STORE_ROLL_CLEAN, r->todo_row, 0, e);
}
