/* What the job has found, and how it gets into the file: with the next seal, at no commit of its
 * own. */
#include "gateway/store/rollup_int.h"

#include <stdlib.h>
#include <string.h>

#define ZSTD_LEVEL 3
#define BYTES_KEPT (16 * 1024) /* more is given back after use */
#define EXPIRED_A_WRITE 256    /* rows beyond keep_rollups that one seal drops */

static enum st grow(void **items, size_t n, size_t *cap, size_t size, struct err *e)
{
    if (n < *cap)
        return ST_OK;
    size_t more = *cap ? 2 * *cap : 16;
    void *p = reallocarray(*items, more, size);
    if (!p)
        return err_set(e, ST_MEMORY, "no memory for rollups");
    *items = p;
    *cap = more;
    return ST_OK;
}

enum st store_rollup_mark(struct store_rollup *r, enum store_roll_marks what, int64_t slot,
                          int64_t batch, struct err *e)
{
    /* The readings of a poll that came late say the same, one after the other. */
    for (size_t i = r->nmarks; i > 0 && i + 4 > r->nmarks; i--) {
        const struct store_roll_mark *m = &r->mark[i - 1];
        if (m->what == what && m->slot == slot && m->batch == batch)
            return ST_OK;
    }
    void *items = r->mark;
    ERR_TRY(grow(&items, r->nmarks, &r->mark_cap, sizeof *r->mark, e));
    r->mark = items;
    r->mark[r->nmarks++] = (struct store_roll_mark){what, slot, batch};
    return ST_OK;
}

enum st store_rollup_keep_group(struct store_rollup *r, enum store_span span, int64_t key,
                                const struct store_roll group[STORE_ROLL_GROUP],
                                const struct store_sources *from, struct err *e)
{
    size_t i = 0, at = r->bytes.n;
    while (i < STORE_ROLL_GROUP && group[i].count == 0)
        i++;
    if (i == STORE_ROLL_GROUP)
        return ST_OK;
    void *items = r->row;
    ERR_TRY(grow(&items, r->nrows, &r->row_cap, sizeof *r->row, e));
    r->row = items;
    r->raw.n = 0;
    ERR_TRY(store_rolls_encode(group, &r->raw, e));
    if (!r->zstd)
        ERR_TRY(wire_zstd_open(&r->zstd, e));
    ERR_TRY(wire_zstd_pack(r->zstd, ZSTD_LEVEL, r->raw.p, r->raw.n, &r->bytes, e));
    r->row[r->nrows++] = (struct store_roll_row){
        span, key, from ? *from : (struct store_sources){0}, at, r->bytes.n - at};
    return ST_OK;
}

bool store_rollup_is_new(const struct store_rollup *r, int64_t slot)
{
    for (size_t i = 0; i < r->nrows; i++)
        if (r->row[i].span == STORE_QUARTER && r->row[i].key >> 16 == slot)
            return true;
    return false;
}

enum st store_rollup_keep(struct store_rollup *r, const struct store_rolls *x,
                          const struct store_sources *from, struct err *e)
{
    size_t rows = r->nrows, bytes = r->bytes.n;
    struct store_roll *group = calloc(STORE_ROLL_GROUP, sizeof *group);
    enum st st = group ? ST_OK : err_set(e, ST_MEMORY, "no memory for rollups");
    for (uint32_t g = 0; g * STORE_ROLL_GROUP < x->n && st == ST_OK; g++) {
        for (uint32_t i = 0; i < STORE_ROLL_GROUP; i++)
            store_rolls_get(x, g * STORE_ROLL_GROUP + i, &group[i]);
        st = store_rollup_keep_group(r, STORE_QUARTER, store_roll_key(x->slot, g), group, from, e);
    }
    free(group);
    if (st != ST_OK) { /* whole or not at all */
        r->nrows = rows;
        r->bytes.n = bytes;
    }
    return st;
}

static enum st write_row(struct store *s, const struct store_roll_row *row, struct err *e)
{
    int64_t v[] = {row->key, row->from.first, row->from.past, row->from.n, row->from.late};
    bool day = row->span == STORE_DAY;
    sqlite3_stmt *q = store_db_ask(&s->db, day ? SQL_DAY_SET : SQL_QUARTER_SET, day ? 1 : 5, v, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_blob64(q, day ? 2 : 6, s->rollup->bytes.p + row->at, row->n, SQLITE_STATIC);
    return store_db_run(&s->db, q, e);
}

static enum st clear(struct store *s, int64_t id, struct err *e)
{
    bool day = id >= STORE_DIRTY_DAYS;
    int64_t slot = day ? id - STORE_DIRTY_DAYS : id;
    int64_t range[] = {store_roll_key(slot, 0), store_roll_key(slot + 1, 0)};
    return store_db_do(&s->db, day ? SQL_DAY_CLEAR : SQL_QUARTER_CLEAR, 2, range, e);
}

static enum st write_mark(struct store *s, const struct store_roll_mark *m, struct err *e)
{
    int64_t v[] = {m->slot, m->batch};
    switch (m->what) {
    case STORE_ROLL_CLEAR:
        return clear(s, m->slot, e);
    case STORE_ROLL_CLEAN:
        return store_db_do(&s->db, SQL_DIRTY_DROP, 1, v, e);
    case STORE_ROLL_LATE:
        return store_db_do(&s->db, SQL_LATE_ADD, 2, v, e);
    case STORE_ROLL_DIRTY:
        return store_db_do(&s->db, SQL_DIRTY_ADD, 1, v, e);
    default:
        return ST_BAD;
    }
}

/* How far the job of an entry got. */
static enum st write_todo(struct store *s, struct err *e)
{
    struct store_rollup *r = s->rollup;
    if (!r->placing || r->todo == r->todo_row)
        return ST_OK;
    ERR_TRY(store_db_do(&s->db, SQL_DIRTY_DROP, 1, &r->todo_row, e));
    return store_db_do(&s->db, SQL_DIRTY_ADD, 1, &r->todo, e);
}

/* Whether there is anything to write. */
static bool has_news(const struct store_rollup *r)
{
    return r && (r->nrows > 0 || r->nmarks > 0 || (r->placing && r->todo != r->todo_row));
}

static enum st expire(struct store *s, struct err *e)
{
    struct clk_time now = clk_now(s->clk);
    ERR_TRY(store_db_do(&s->db, SQL_LATE_EXPIRE, 0, NULL, e));
    /* A date has to hold for as long as batches are kept before it makes anything old. */
    int64_t then_ms = s->age.old_to_ms;
    if (s->cfg.keep_rollups_ms == 0 || now.grade == CLK_UNKNOWN || then_ms < STORE_KNOWN_MS)
        return ST_OK;
    int64_t t_ms = (then_ms < now.utc_ms ? then_ms : now.utc_ms) - s->cfg.keep_rollups_ms;
    int64_t quarter[] = {store_roll_key(store_slot_of(STORE_QUARTER, t_ms), 0), EXPIRED_A_WRITE};
    int64_t day[] = {store_roll_key(store_slot_of(STORE_DAY, t_ms), 0), EXPIRED_A_WRITE};
    ERR_TRY(store_db_do(&s->db, SQL_QUARTER_EXPIRE, 2, quarter, e));
    return store_db_do(&s->db, SQL_DAY_EXPIRE, 2, day, e);
}

enum st store_rollup_write(struct store *s, struct err *e)
{
    struct store_rollup *r = s->rollup;
    if (!has_news(r))
        return ST_OK;
    ERR_TRY(store_names_write(&r->names, e));
    for (enum store_roll_marks what = STORE_ROLL_CLEAR; what < STORE_ROLL_MARKS; what++) {
        for (size_t i = 0; i < r->nmarks; i++)
            if (r->mark[i].what == what)
                ERR_TRY(write_mark(s, &r->mark[i], e));
        for (size_t i = 0; i < r->nrows && what == STORE_ROLL_CLEAR; i++)
            ERR_TRY(write_row(s, &r->row[i], e));
    }
    ERR_TRY(write_todo(s, e));
    int64_t v[] = {r->at.slot, r->at.done, r->at.seen};
    ERR_TRY(store_db_do(&s->db, SQL_ROLL_PROGRESS_SET, 3, v, e));
    return expire(s, e);
}

void store_rollup_written(struct store *s)
{
    struct store_rollup *r = s->rollup;
    if (!has_news(r))
        return;
    r->nrows = r->nmarks = 0;
    r->bytes.n = 0;
    if (r->bytes.cap > BYTES_KEPT) {
        buf_done(&r->bytes);
        buf_init(&r->bytes, SIZE_MAX / 2);
    }
    r->dirty_cursor = INT64_MIN;
    r->todo_row = r->todo;
    r->names.saved = r->names.n;
}
