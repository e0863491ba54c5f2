/* How old a batch is: by what has been recorded since, not by the date.
 *
 * A date that jumps ahead makes nothing old: what counts is the windows sealed behind a batch, each
 * at most as long as a window is. So times without power, steps of the clock and gaps of any length
 * count as one window, and history is kept a little longer rather than shorter. */
#include "gateway/store/store_int.h"

static int64_t lived(const struct store *s, int64_t from_ms, int64_t to_ms)
{
    int64_t ms = to_ms > from_ms ? to_ms - from_ms : 0;
    return ms < s->age.window_ms ? ms : s->age.window_ms;
}

void store_windows(struct store *s, int64_t every_ms)
{
    s->age = (struct store_age){.window_ms = every_ms};
}

/* From the newest window back, until keep is reached. */
static enum st look_back(struct store *s, struct err *e)
{
    struct store_age a = {.window_ms = s->age.window_ms, .known = true};
    sqlite3_stmt *q = store_db_use(&s->db, SQL_WINDOWS_BACK, e);
    if (!q)
        return ST_IO;
    enum st st;
    while ((st = store_db_row(&s->db, q, e)) == ST_OK) {
        if (a.behind_ms >= s->cfg.keep_ms) {
            a.old_id = sqlite3_column_int64(q, 0);
            a.old_to_ms = sqlite3_column_int64(q, 2);
            break;
        }
        a.behind_ms += lived(s, sqlite3_column_int64(q, 1), sqlite3_column_int64(q, 2));
    }
    sqlite3_reset(q);
    if (st == ST_OK || st == ST_NOT_FOUND)
        s->age = a;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st store_age_step(struct store *s, struct err *e)
{
    struct store_age *a = &s->age;
    if (a->window_ms == 0)
        return ST_OK;
    if (!a->known)
        return look_back(s, e);
    while (a->behind_ms >= s->cfg.keep_ms) { /* the next one may be old, too */
        sqlite3_stmt *q = store_db_use(&s->db, SQL_WINDOW_NEXT, e);
        if (!q)
            return ST_IO;
        sqlite3_bind_int64(q, 1, a->old_id);
        enum st st = store_db_row(&s->db, q, e);
        if (st != ST_OK)
            return st == ST_NOT_FOUND ? ST_OK : st;
        int64_t id = sqlite3_column_int64(q, 0), to_ms = sqlite3_column_int64(q, 2);
        int64_t ms = lived(s, sqlite3_column_int64(q, 1), to_ms);
        sqlite3_reset(q);
        if (a->behind_ms - ms < s->cfg.keep_ms)
            return ST_OK;
        a->behind_ms -= ms;
        a->old_id = id;
        a->old_to_ms = to_ms;
    }
    return ST_OK;
}

void store_age_sealed(struct store *s, const struct store_sealed *b)
{
    if (b->kind == WIRE_DATA && b->level == STORE_RAW)
        s->age.behind_ms += lived(s, b->from_ms, b->to_ms);
}

int64_t store_age_gone(const struct store *s, int64_t id, int64_t from_ms, int64_t to_ms)
{
    return id > s->age.old_id ? lived(s, from_ms, to_ms) : 0;
}
