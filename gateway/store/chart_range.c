/* Where to look for readings of a time: quarters know the batches that made them, and batches come
 * in order of time but for those that came late, and those that were moved. */
#include "gateway/store/chart_int.h"

/* How far behind its time a reading may be sealed while the rollups' job has not looked at its
 * batch yet. */
#define LATE_MS INT64_C(3600000)
/* How many batches it may be behind so that all of them are read, however late their readings are:
 * more than it ever is but after a start. */
#define FEW 64

static enum st next_late(struct store_range *x, int64_t behind, struct err *e)
{
    int64_t v[] = {store_slot_of(STORE_QUARTER, x->from_ms),
                   store_slot_of(STORE_QUARTER, x->to_ms - 1), behind};
    enum st st = store_db_int(x->db, SQL_LATE_BETWEEN, 3, v, &x->late, e);
    if (st == ST_NOT_FOUND)
        x->late = INT64_MAX;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

enum st store_range_open(struct store_range *x, struct store_db *d,
                         const struct store_roll_progress *at, int64_t from_ms, int64_t to_ms,
                         struct err *e)
{
    int64_t before = store_roll_key(store_slot_of(STORE_QUARTER, from_ms), 0);
    int64_t behind = store_roll_key(store_slot_of(STORE_QUARTER, to_ms - 1) + 1, 0);
    *x = (struct store_range){.db = d, .at = at, .from_ms = from_ms, .to_ms = to_ms};
    x->until_ms = store_slot_ms(STORE_QUARTER, store_slot_of(STORE_QUARTER, to_ms - 1) + 1);
    enum st st = store_db_int(d, SQL_QUARTER_BEFORE, 1, &before, &x->lo, e);
    if (st == ST_NOT_FOUND)
        x->lo = 1;
    else if (st != ST_OK)
        return st;
    x->lo--;
    st = store_db_int(d, SQL_QUARTER_AFTER, 1, &behind, &x->hi, e);
    if (st == ST_NOT_FOUND)
        x->hi = INT64_MAX;
    else if (st != ST_OK)
        return st;
    int64_t newest = 0;
    st = store_db_int(d, SQL_BATCH_NEWEST, 0, NULL, &newest, e);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    x->few = newest - at->seen <= FEW;
    ERR_TRY(store_moved_pending(d, &x->moved, &x->moved_to, e));
    ERR_TRY(next_late(x, 0, e));
    x->id = least(x->lo, least(x->late, x->moved) - 1);
    return ST_OK;
}

/* Whether a `time` entry has brought the batch here. */
static enum st is_moved_here(const struct store_range *x, int64_t id, int64_t from_ms,
                             int64_t to_ms, bool *is, struct err *e)
{
    struct store_moved m;
    ERR_TRY(store_batch_moved(x->db, id, from_ms, &m, e));
    *is = m.known && from_ms + m.add_ms < x->to_ms + LATE_MS && to_ms + m.add_ms > x->from_ms;
    return ST_OK;
}

/* Behind the range only what came late, what was moved, and what was not looked at yet. */
int64_t store_range_passed(const struct store_range *x)
{
    int64_t next = least(x->late - 1, x->at->seen);
    if (x->id < x->moved_to)
        next = least(next, x->moved - 1);
    return x->id >= x->hi && x->id < next ? next : x->id;
}

enum st store_range_next(struct store_range *x, int64_t *id, int64_t *from_ms, bool *wanted,
                         struct err *e)
{
    int64_t at = store_range_passed(x);
    sqlite3_stmt *q = store_db_ask(x->db, SQL_BATCH_STEP, 1, &at, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_row(x->db, q, e));
    *id = x->id = sqlite3_column_int64(q, 0);
    bool control = sqlite3_column_int(q, 1) != 0;
    *from_ms = sqlite3_column_int64(q, 2);
    int64_t to_ms = sqlite3_column_int64(q, 3);
    sqlite3_reset(q);
    if (x->late < *id)
        ERR_TRY(next_late(x, *id - 1, e));
    /* What came late while its quarter was open stands in a later batch of the quarter. */
    bool inside = *id <= x->hi && *from_ms < x->until_ms && to_ms > x->from_ms;
    bool unseen =
        *id > x->at->seen && (x->few || *from_ms < x->to_ms + LATE_MS) && to_ms > x->from_ms;
    bool moved = *id >= x->moved && *id <= x->moved_to;
    if (moved)
        ERR_TRY(is_moved_here(x, *id, *from_ms, to_ms, &moved, e));
    *wanted = !control && (inside || unseen || moved || *id == x->late);
    return ST_OK;
}
