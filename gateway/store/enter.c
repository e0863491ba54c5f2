/* Readings that a person brings: whether the series takes them, and how one gets into the journal
 * together with the control batch that names its author. */
#include "gateway/store/store_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is brought ---- */

static bool is_named(const struct store *s, uint32_t i, struct wire_span name)
{
    char series[WIRE_SERIES_BYTES];
    const struct store_series *x = store_series_at(s, i);
    int n = snprintf(series, sizeof series, "%s/%s", store_device_at(s, x->device)->id, x->point);
    return n > 0 && (size_t)n == name.n && memcmp(series, name.p, name.n) == 0;
}

static enum st find(const struct store *s, struct wire_span name, uint32_t *series, struct err *e)
{
    uint32_t i = 0, n = store_series_count(s);
    while (i < n && !is_named(s, i, name))
        i++;
    if (i == n)
        return err_set(e, ST_NOT_FOUND,
                       "%.*s: no such series is configured; `fieldpost status` names them",
                       (int)name.n, (const char *)name.p);
    *series = i;
    const struct store_series *x = store_series_at(s, i);
    const struct store_device *d = store_device_at(s, x->device);
    if (x->manual)
        return ST_OK;
    return err_set(
        e, ST_CONFLICT,
        "%.*s is read from %s: it is not entered by hand. What is wrong with its readings "
        "is said with `fieldpost correct`",
        (int)name.n, (const char *)name.p,
        d->address  ? d->address
        : d->source ? d->source
                    : "its device");
}

static enum st in_its_unit(const struct store_series *x, const struct wire_entry *w, struct num *v,
                           struct err *e)
{
    char unit[32];
    const char *to = x->quantity->unit;
    *v = w->value;
    if (w->unit.n == 0)
        return ST_OK;
    if (snprintf(unit, sizeof unit, "%.*s", (int)w->unit.n, (const char *)w->unit.p) >=
        (int)sizeof unit)
        unit[0] = '\0'; /* no unit has such a name */
    if (!to)
        return err_set(e, ST_BAD, "unit: %s is a bare number: leave the unit out",
                       x->quantity->key);
    return store_unit_convert(w->value, unit, to, v, e);
}

static enum st in_its_limits(const struct store_series *x, const struct wire_entry *w,
                             struct store_entered *out, struct err *e)
{
    const struct store_limits *limits = x->manual;
    char value[NUM_TEXT_BYTES], low[NUM_TEXT_BYTES], high[NUM_TEXT_BYTES];
    bool under = limits->low.kind != NUM_NONE && num_cmp(out->v, limits->low) < 0;
    bool over = limits->high.kind != NUM_NONE && num_cmp(out->v, limits->high) > 0;
    if (!under && !over)
        return ST_OK;
    out->q |= WIRE_Q_LIMITS;
    if (w->force)
        return ST_OK;
    return err_set(e, ST_CONFLICT,
                   "%s %s is outside %s to %s: look at the slip again; forced it is taken, and "
                   "flagged",
                   num_text(out->v, value), x->quantity->unit ? x->quantity->unit : "",
                   limits->low.kind == NUM_NONE ? "any" : num_text(limits->low, low),
                   limits->high.kind == NUM_NONE ? "any" : num_text(limits->high, high));
}

enum st store_enter_of(struct store *s, const struct wire_request *q, int64_t now_ms,
                       struct store_entered *out, struct err *e)
{
    const struct wire_entry *w = &q->x;
    char at[CLK_TEXT_BYTES], now[CLK_TEXT_BYTES];
    *out = (struct store_entered){.t_ms = w->at_ms, .q = WIRE_Q_HAND};
    ERR_TRY(find(s, w->series, &out->series, e));
    const struct store_series *x = store_series_at(s, out->series);
    ERR_TRY(in_its_unit(x, w, &out->v, e));
    ERR_TRY(in_its_limits(x, w, out, e));
    if (now_ms == 0)
        return err_set(e, ST_BUSY,
                       "the gateway's clock is not set, and it cannot tell whether that time lies "
                       "ahead: set the date");
    return out->t_ms <= now_ms ? ST_OK
                               : err_set(e, ST_BAD, "at: %s lies ahead: it is %s",
                                         clk_text(out->t_ms, at), clk_text(now_ms, now));
}

enum st store_entered_before(struct store *s, struct store_db *d, const struct store_entered *x,
                             bool *is, struct err *e)
{
    const struct store_series *w = store_series_at(s, x->series);
    char series[WIRE_SERIES_BYTES], value[NUM_TEXT_BYTES];
    (void)snprintf(series, sizeof series, "%s/%s", store_device_at(s, w->device)->id, w->point);
    sqlite3_stmt *q = store_db_use(d, SQL_ENTERED_HAS, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, series, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, x->t_ms);
    sqlite3_bind_text(q, 3, num_text(x->v, value), -1, SQLITE_STATIC);
    enum st st = store_db_row(d, q, e);
    sqlite3_reset(q);
    *is = st == ST_OK;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* ---- into the journal ---- */

/* The frame is told to be journalled, for the seal's transaction writes all that is into the table
 * anew: so the reading, its author and the request's id are there together or not at all. */
enum st store_seal_entered(struct store *s, const struct store_sealed *b, struct err *e)
{
    const struct store_entered *x = b->entered;
    const struct store_poll p = {.device = s->ser[x->series].s.device,
                                 .due_ms = x->t_ms,
                                 .t_ms = x->t_ms,
                                 .grade = x->grade,
                                 .n = 1};
    const struct store_value v = {x->v, x->series, x->q};
    size_t frames = s->nframes, journalled = s->njournalled, index = s->nindex, senml = s->senml.n;
    uint64_t waiting = s->waiting;
    struct mono due = s->journal_due;
    if (!store_frame_room(s, 1))
        return err_set(e, ST_FULL, "store %s: too much waits to be sealed", s->path);
    bool *use = calloc(frames + 1, sizeof *use);
    if (!use)
        return err_set(e, ST_MEMORY, "store %s: no memory", s->path);
    enum st st = store_frame_add(s, &p, &v);
    if (st != ST_OK)
        (void)err_set(e, st, "store %s: what was entered could not be encoded", s->path);
    s->njournalled = s->nframes;
    if (st == ST_OK)
        st = store_seal(s, b, use, NULL, 0, e);
    if (st == ST_OK) {
        store_board_update(s, &p, &v);
    } else {
        s->nframes = frames;
        s->njournalled = journalled;
        s->nindex = index;
        s->senml.n = senml;
        s->waiting = waiting;
        s->journal_due = due;
    }
    free(use);
    return st;
}
