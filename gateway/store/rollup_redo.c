/* Quarters that are computed again, from the batches that made them and those that came late; and
 * days, of their quarters. */
#include "gateway/store/rollup_int.h"

#include <stdlib.h>
#include <string.h>

/* The day of a quarter. */
static int64_t day_of(int64_t slot)
{
    return store_slot_of(STORE_DAY, store_slot_ms(STORE_QUARTER, slot));
}

/* ---- a quarter ---- */

static enum st begin(struct store *s, int64_t slot, struct err *e)
{
    struct store_rollup *r = s->rollup;
    int64_t range[] = {store_roll_key(slot, 0), store_roll_key(slot + 1, 0)};
    sqlite3_stmt *q = store_db_ask(&s->db, SQL_QUARTER_AT, 2, range, e);
    if (!q)
        return ST_IO;
    enum st st = store_db_row(&s->db, q, e);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    r->sources = (struct store_sources){0};
    if (st == ST_OK)
        r->sources = (struct store_sources){sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1),
                                            sqlite3_column_int64(q, 2), sqlite3_column_int64(q, 3)};
    sqlite3_reset(q);
    store_rolls_clear(&r->redo, slot);
    r->redoing = true;
    r->recount = false;
    r->in_late = r->sources.n == 0;
    r->redo_cursor = r->in_late ? 0 : r->sources.first - 1;
    return ST_OK;
}

static void end(struct store_rollup *r)
{
    r->redoing = false;
    store_rolls_done(&r->redo);
    free(r->counted);
    r->counted = NULL;
    r->ncounted = 0;
}

/* The rows of the slot as they are, into r->redo. */
static enum st load_rows(struct store *s, struct store_roll group[STORE_ROLL_GROUP], struct err *e)
{
    struct store_rollup *r = s->rollup;
    int64_t slot = r->redo.slot;
    enum st st = ST_NOT_FOUND;
    store_rolls_clear(&r->redo, slot);
    for (uint32_t g = 0; g * STORE_ROLL_GROUP < r->names.n; g++) {
        int64_t at = slot;
        st = store_rolls_next(&s->db, STORE_QUARTER, g, &at, slot + 1, &r->raw, e);
        if (st == ST_NOT_FOUND)
            continue;
        ERR_TRY(st);
        ERR_TRY(store_rolls_room(&r->redo, (g + 1) * STORE_ROLL_GROUP - 1, e));
        st = store_rolls_decode(r->raw.p, r->raw.n, -1, group, e);
        for (uint32_t i = 0; i < STORE_ROLL_GROUP && st == ST_OK; i++)
            st = store_rolls_set(&r->redo, g * STORE_ROLL_GROUP + i, &group[i], e);
        ERR_TRY(st);
    }
    return ST_OK;
}

/* Takes the series out that `correct` entries take back for the whole slot; *whole: that is all
 * that entries say of it. */
static enum st take_out(struct store *s, bool *whole, struct err *e)
{
    struct store_rollup *r = s->rollup;
    int64_t from_ms = store_slot_ms(STORE_QUARTER, r->redo.slot);
    struct store_roll *group = calloc(STORE_ROLL_GROUP, sizeof *group);
    if (!group)
        return err_set(e, ST_MEMORY, "store %s: no memory for rollups", s->path);
    enum st st = load_rows(s, group, e);
    free(group);
    ERR_TRY(st);
    ERR_TRY(store_rolls_ask(s, &r->redo, e));
    *whole = r->redo.nfix > 0;
    for (uint32_t i = 0; i < r->redo.nfix; i++) {
        const struct store_fix *t = &r->redo.fix[i];
        if (t->number >= r->redo.n || r->redo.cell[t->number].count == 0)
            continue;
        if (t->calibrates || t->f.what != WIRE_INVALIDATE || t->from_ms > from_ms ||
            t->to_ms < from_ms + STORE_QUARTER_MS)
            *whole = false;
        else
            r->redo.cell[t->number].count = 0;
    }
    return ST_OK;
}

static enum st replace(struct store *s, struct err *e);

/* Not all that made the slot is held any more: its rows say what it was, and stay, but for series
 * that were taken back. */
static enum st give_up(struct store *s, const char *why, struct err *e)
{
    struct store_rollup *r = s->rollup;
    struct err bad = {.text = ""};
    bool whole = false, more = r->sources.late > r->late_was;
    enum st st = take_out(s, &whole, &bad);
    if (st != ST_OK && st != ST_CORRUPT && e)
        *e = bad;
    if (st != ST_OK && st != ST_CORRUPT)
        return st;
    if ((!whole || more) && !r->given_up) {
        char when[CLK_TEXT_BYTES];
        store_event(s, STORE_WARNING, "rollup.late", NULL,
                    "the rollup of %s, and maybe of other times, stays without what came late: %s",
                    clk_text(store_slot_ms(STORE_QUARTER, r->redo.slot), when), why);
        r->given_up = true;
    }
    r->sources.late = r->late_was;
    if (st == ST_OK && r->redo.nfix > 0)
        return replace(s, e);
    int64_t slot = r->redo.slot;
    end(r);
    return store_rollup_mark(r, STORE_ROLL_CLEAN, slot, 0, e);
}

/* Whether the file still holds all that made the slot. */
static enum st is_whole(struct store *s, bool *whole, struct err *e)
{
    struct store_rollup *r = s->rollup;
    int64_t ids[] = {r->sources.first, r->sources.first + r->sources.past}, n = 0, late = 0;
    ERR_TRY(store_db_int(&s->db, SQL_BATCH_BETWEEN, 2, ids, &n, e));
    ERR_TRY(store_db_int(&s->db, SQL_LATE_COUNT, 1, &r->redo.slot, &late, e));
    *whole = n == r->sources.n && late >= r->sources.late;
    r->late_was = r->sources.late;
    r->sources.late = late;
    return ST_OK;
}

static enum st add(struct store *s, const struct store_rollup_reading *x, struct err *e)
{
    struct store_rolls *to = &s->rollup->redo;
    if (store_slot_of(STORE_QUARTER, x->t_ms) != to->slot)
        return ST_OK;
    return store_rolls_add(s, to, x, e);
}

/* The second pass: gathers what is to be put in order. */
static enum st gather(struct store *s, const struct store_rollup_reading *x, struct err *e)
{
    struct store_rollup *r = s->rollup;
    struct store_rollup_reading is = *x;
    (void)e;
    if (store_slot_of(STORE_QUARTER, x->t_ms) != r->redo.slot ||
        !store_fixes_apply(&r->redo, &is) || !store_roll_trusts(is.q))
        return ST_OK;
    uint32_t growth = is.number < r->redo.n ? r->redo.cell[is.number].growth : 0;
    if (!growth || !r->redo.growth[growth - 1].disordered)
        return ST_OK;
    if (r->ncounted < STORE_ROLL_COUNTED)
        r->counted[r->ncounted] = (struct store_counted){is.t_ms, is.number, r->ncounted, is.v};
    r->ncounted++;
    return ST_OK;
}

static int in_order(const void *a, const void *b)
{
    const struct store_counted *x = a, *y = b;
    if (x->series != y->series)
        return x->series < y->series ? -1 : 1;
    if (x->t_ms != y->t_ms)
        return x->t_ms < y->t_ms ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

/* Growth of each disordered counter; too many readings for the bound, and it stays unknown. */
static enum st recount(struct store_rollup *r, struct err *e)
{
    if (r->ncounted > STORE_ROLL_COUNTED)
        return ST_OK;
    qsort(r->counted, r->ncounted, sizeof *r->counted, in_order);
    for (uint32_t i = 0, n; i < r->ncounted; i += n) {
        const struct store_counted *c = &r->counted[i];
        for (n = 1; i + n < r->ncounted && c[n].series == c->series; n++)
            ;
        struct store_roll roll;
        store_rolls_get(&r->redo, c->series, &roll);
        store_roll_restart(&roll);
        for (uint32_t k = 0; k < n; k++) {
            uint32_t at_ms = (uint32_t)(c[k].t_ms - store_slot_ms(STORE_QUARTER, r->redo.slot));
            store_meters_apply(&r->redo, c->series, &roll, at_ms);
            store_roll_count(&roll, at_ms, c[k].v);
        }
        ERR_TRY(store_rolls_set(&r->redo, c->series, &roll, e));
    }
    return ST_OK;
}

/* The slot's new rows are r->redo's. */
static enum st replace(struct store *s, struct err *e)
{
    struct store_rollup *r = s->rollup;
    int64_t slot = r->redo.slot, day = day_of(slot);
    ERR_TRY(store_rollup_mark(r, STORE_ROLL_CLEAR, slot, 0, e));
    ERR_TRY(store_rollup_keep(r, &r->redo, &r->sources, e));
    ERR_TRY(store_rollup_mark(r, STORE_ROLL_CLEAN, slot, 0, e));
    if (day < day_of(r->at.slot))
        ERR_TRY(store_rollup_mark(r, STORE_ROLL_DIRTY, store_dirty_id(STORE_DAY, day), 0, e));
    end(r);
    return ST_OK;
}

static enum st finish(struct store *s, struct err *e)
{
    struct store_rollup *r = s->rollup;
    int64_t slot = r->redo.slot, made = r->sources.n + r->sources.late;
    if (r->recount) {
        ERR_TRY(recount(r, e));
    } else if (r->redo.disordered) {
        r->counted = malloc(STORE_ROLL_COUNTED * sizeof *r->counted);
        if (!r->counted)
            return err_set(e, ST_MEMORY, "store %s: no memory for rollups", s->path);
        r->recount = true;
        r->in_late = r->sources.n == 0;
        r->redo_cursor = r->in_late ? 0 : r->sources.first - 1;
        return ST_OK;
    }
    ERR_TRY(store_meters_end(&r->redo, e));
    if (made > 0)
        return replace(s, e);
    end(r);
    return store_rollup_mark(r, STORE_ROLL_CLEAN, slot, 0, e);
}

/* The next batch of the slot: those that made it, then those that came late. */
static enum st next_source(struct store *s, int64_t *id, int64_t *from_ms,
                           uint8_t hash[WIRE_HASH_BYTES], struct err *e)
{
    struct store_rollup *r = s->rollup;
    int64_t v[] = {r->redo.slot, r->redo_cursor};
    enum store_sql sql = r->in_late ? SQL_LATE_NEXT : SQL_BATCH_STEP;
    sqlite3_stmt *q = store_db_ask(&s->db, sql, r->in_late ? 2 : 1, r->in_late ? v : v + 1, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_row(&s->db, q, e));
    *id = sqlite3_column_int64(q, 0);
    *from_ms = sqlite3_column_int64(q, r->in_late ? 1 : 2);
    bool held = store_db_blob(q, r->in_late ? 2 : 4, hash, WIRE_HASH_BYTES);
    bool control = !r->in_late && sqlite3_column_int(q, 1) != 0;
    sqlite3_reset(q);
    if (!r->in_late && *id > r->sources.first + r->sources.past)
        return ST_NOT_FOUND;
    if (control)
        *from_ms = INT64_MIN;
    return held ? ST_OK : err_set(e, ST_CORRUPT, "a batch of it has left the store");
}

static enum st quarter_step(struct store *s, int64_t *left, struct err *e)
{
    struct store_rollup *r = s->rollup;
    uint8_t hash[WIRE_HASH_BYTES];
    int64_t id = 0, from_ms = 0;
    bool whole = true;
    --*left;
    if (!r->recount && !r->redo.any)
        ERR_TRY(is_whole(s, &whole, e));
    if (!whole)
        return give_up(s, "the batches of that time have left the store", e);
    enum st st = next_source(s, &id, &from_ms, hash, e);
    if (st == ST_NOT_FOUND && r->in_late)
        return finish(s, e);
    if (st == ST_NOT_FOUND) {
        r->in_late = true;
        r->redo_cursor = 0;
        return ST_OK;
    }
    bool twice = r->in_late && r->sources.n > 0 && id >= r->sources.first &&
                 id <= r->sources.first + r->sources.past;
    if (st == ST_OK && !twice && from_ms != INT64_MIN)
        st = store_rollup_readings(s, id, from_ms, hash, r->recount ? gather : add, left, e);
    if (st == ST_CORRUPT)
        return give_up(s, e->text, e);
    r->redo_cursor = id;
    return st;
}

/* ---- a day ---- */

struct day {
    struct store_roll sum[STORE_ROLL_GROUP], quarter[STORE_ROLL_GROUP];
    struct store_meter *meter;
    uint32_t nmeter;
};

/* Changes of meters that no quarter has within it: those before the quarters of `slot`. */
static void changes_before(struct day *d, uint32_t group, int64_t slot)
{
    int64_t from_ms = store_slot_ms(STORE_QUARTER, slot);
    for (uint32_t i = d->nmeter; i-- > 0;) { /* the latest is next to it */
        struct store_meter *m = &d->meter[i];
        struct store_roll *q = &d->quarter[m->number % STORE_ROLL_GROUP];
        if (m->done || m->number / STORE_ROLL_GROUP != group || q->count == 0 || !q->counter)
            continue;
        if (m->at_ms < from_ms)
            store_roll_change_before(q, m->last, m->first);
        m->done = m->at_ms < from_ms + STORE_QUARTER_MS;
    }
}

/* And those behind the last one of the day. */
static void changes_behind(struct day *d, uint32_t group)
{
    for (uint32_t i = 0; i < d->nmeter; i++) {
        struct store_meter *m = &d->meter[i];
        struct store_roll *sum = &d->sum[m->number % STORE_ROLL_GROUP];
        if (!m->done && m->number / STORE_ROLL_GROUP == group && sum->count && sum->counter)
            store_roll_change(sum, 0, m->last, m->first);
    }
}

static enum st add_quarters(struct store *s, struct day *d, struct err *e)
{
    struct store_rollup *r = s->rollup;
    int64_t slot = store_slot_of(STORE_QUARTER, store_slot_ms(STORE_DAY, r->day));
    int64_t end_slot = slot + STORE_DAY_MS / STORE_QUARTER_MS;
    enum st st;
    for (;; slot++) {
        st = store_rolls_next(&s->db, STORE_QUARTER, r->group, &slot, end_slot, &r->raw, e);
        if (st == ST_OK)
            st = store_rolls_decode(r->raw.p, r->raw.n, -1, d->quarter, e);
        if (st == ST_CORRUPT) {
            store_event(s, STORE_ERROR, "rollup.damaged", NULL, "a day is without a quarter: %s",
                        e->text);
            continue;
        }
        if (st == ST_NOT_FOUND)
            changes_behind(d, r->group);
        if (st != ST_OK)
            return st == ST_NOT_FOUND ? ST_OK : st;
        changes_before(d, r->group, slot);
        for (size_t i = 0; i < STORE_ROLL_GROUP; i++)
            store_roll_merge(&d->sum[i], &d->quarter[i]);
    }
}

static enum st day_step(struct store *s, int64_t *left, struct err *e)
{
    struct store_rollup *r = s->rollup;
    int64_t id = store_dirty_id(STORE_DAY, r->day);
    *left -=
        STORE_DAY_MS / STORE_QUARTER_MS * STORE_ROLL_GROUP / 8; /* as long as so many readings */
    if (r->group == 0)
        ERR_TRY(store_rollup_mark(r, STORE_ROLL_CLEAR, id, 0, e));
    struct day *d = calloc(1, sizeof *d);
    if (!d)
        return err_set(e, ST_MEMORY, "store %s: no memory for rollups", s->path);
    enum st st = store_meters_of(&s->db, &r->names, NULL, store_slot_ms(STORE_DAY, r->day),
                                 store_slot_ms(STORE_DAY, r->day + 1), &d->meter, &d->nmeter, e);
    if (st == ST_OK)
        st = add_quarters(s, d, e);
    if (st == ST_OK)
        st = store_rollup_keep_group(r, STORE_DAY, store_roll_key(r->day, r->group), d->sum, NULL,
                                     e);
    free(d->meter);
    free(d);
    if (st == ST_OK && ++r->group * STORE_ROLL_GROUP >= r->names.n) {
        r->in_day = false;
        st = store_rollup_mark(r, STORE_ROLL_CLEAN, id, 0, e);
    }
    return st;
}

/* ---- what is next ---- */

/* Whether quarters of that day wait for a seal: a day is made of rows that are in the file. Or the
 * day's own rows do, which a seal that came between two of its groups has made it forget. */
static bool waits(const struct store_rollup *r, int64_t day)
{
    for (size_t i = 0; i < r->nrows; i++)
        if (r->row[i].span == STORE_QUARTER ? day_of(r->row[i].key >> 16) == day
                                            : r->row[i].key >> 16 == day)
            return true;
    for (size_t i = 0; i < r->nmarks; i++)
        if (r->mark[i].slot >= 0 && r->mark[i].slot < STORE_DIRTY_DAYS &&
            day_of(r->mark[i].slot) == day)
            return true;
    return false;
}

static enum st take_up(struct store *s, struct err *e)
{
    struct store_rollup *r = s->rollup;
    int64_t id = 0;
    ERR_TRY(store_db_int(&s->db, SQL_DIRTY_NEXT, 1, &r->dirty_cursor, &id, e));
    bool day = id >= STORE_DIRTY_DAYS;
    int64_t slot = day ? id - STORE_DIRTY_DAYS : id;
    r->dirty_cursor = id;
    if (id < 0) {
        store_rollup_place_begin(r, id);
        return ST_OK;
    }
    if (slot >= (day ? day_of(r->at.slot) : r->at.slot) ||
        (day ? waits : store_rollup_is_new)(r, slot))
        return ST_OK; /* time came back to it, or it is not whole in the file: later */
    if (!day)
        return begin(s, slot, e);
    r->in_day = true;
    r->day = slot;
    r->group = 0;
    return ST_OK;
}

enum st store_rollup_redo(struct store *s, int64_t *left, struct err *e)
{
    struct store_rollup *r = s->rollup;
    if (r->redoing)
        return quarter_step(s, left, e);
    if (r->in_day)
        return day_step(s, left, e);
    if (r->placing)
        return store_rollup_place(s, left, e);
    return take_up(s, e);
}

void store_rollup_forget(struct store_rollup *r)
{
    end(r);
    r->in_day = r->placing = false;
    r->dirty_cursor = INT64_MIN;
    for (size_t i = 0; i < r->nmarks; i++) /* an entry's row stays until it is worked off anew */
        if (r->mark[i].what == STORE_ROLL_CLEAN && r->mark[i].slot < 0)
            r->mark[i--] = r->mark[--r->nmarks];
}
