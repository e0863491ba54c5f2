/* What `correct` and `maintain` entries do to rollups and charts: loaded for one slot, or for one
 * chart. */
#include "gateway/store/rollup_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SQLS 2
static const struct {
    enum store_sql sql;
    enum wire_entry_kind kind;
} said[SQLS] = {{SQL_CORRECTION_OF, WIRE_ENTRY_CORRECT}, {SQL_CALIBRATION_OF, WIRE_ENTRY_MAINTAIN}};

/* ---- of a slot ---- */

static enum st add(struct store_rolls *x, const struct store_fix *f, struct err *e)
{
    struct store_fix *p = reallocarray(x->fix, x->nfix + (size_t)1, sizeof *p);
    if (!p)
        return err_set(e, ST_MEMORY, "no memory for rollups");
    x->fix = p;
    p[x->nfix++] = *f;
    return ST_OK;
}

/* A calibration of all that a device measures, series by series. */
static enum st add_device(const struct store_names *names, struct store_rolls *x,
                          struct wire_span device, struct store_fix *f, struct err *e)
{
    for (uint32_t i = 0; i < names->n; i++) {
        char buf[WIRE_SERIES_BYTES];
        const char *text = store_names_get(names, i, buf);
        f->number = f->to = i;
        if (strncmp(text, (const char *)device.p, device.n) == 0)
            ERR_TRY(add(x, f, e));
    }
    return ST_OK;
}

static enum st take(struct store *s, struct store_rolls *x, const struct wire_entry *w,
                    struct err *e)
{
    struct store_names *names = &s->rollup->names;
    struct store_fix f = {.from_ms = w->at_ms, .to_ms = w->to_ms};
    f.calibrates = w->kind == WIRE_ENTRY_MAINTAIN;
    if (!f.calibrates && !wire_fix_of(w, &f.f))
        return ST_OK; /* a damaged row */
    if (f.calibrates && w->series.p[w->series.n - 1] == '*')
        return add_device(names, x, (struct wire_span){w->series.p, w->series.n - 1}, &f, e);
    ERR_TRY(store_names_number(names, w->series, &f.number, e));
    f.to = f.number;
    if (f.f.what == WIRE_REASSIGN)
        ERR_TRY(store_names_number(
            names, (struct wire_span){(const uint8_t *)f.f.target, strlen(f.f.target)}, &f.to, e));
    return add(x, &f, e);
}

enum st store_rolls_ask(struct store *s, struct store_rolls *x, struct err *e)
{
    int64_t v[] = {store_slot_ms(STORE_QUARTER, x->slot),
                   store_slot_ms(STORE_QUARTER, x->slot + 1)};
    uint32_t rows = 0;
    enum st st = ST_OK;
    free(x->fix);
    free(x->meter);
    x->fix = NULL;
    x->meter = NULL;
    x->nfix = x->nmeter = 0;
    ERR_TRY(store_meters_of(&s->db, &s->rollup->names, NULL, v[0], v[1], &x->meter, &x->nmeter, e));
    for (size_t i = 0; i < SQLS && (st == ST_OK || st == ST_NOT_FOUND); i++) {
        sqlite3_stmt *q = store_db_ask(&s->db, said[i].sql, 2, v, e);
        st = q ? ST_OK : ST_IO;
        while (st == ST_OK && (st = store_db_row(&s->db, q, e)) == ST_OK &&
               rows++ < STORE_FIXES_MAX) {
            struct wire_entry w;
            store_said_of(q, said[i].kind, &w);
            st = take(s, x, &w, e);
        }
        if (q)
            sqlite3_reset(q);
    }
    if (st == ST_OK) {
        char when[CLK_TEXT_BYTES];
        store_event(s, STORE_WARNING, "rollup.uncorrected", NULL,
                    "the rollup of %s applies %d correct entries, there are more",
                    clk_text(v[0], when), STORE_FIXES_MAX);
    }
    x->asked = st == ST_OK || st == ST_NOT_FOUND;
    return x->asked ? ST_OK : st;
}

bool store_fixes_apply(const struct store_rolls *x, struct store_rollup_reading *r)
{
    struct wire_fixed fate = {0};
    uint32_t number = r->number;
    for (uint32_t i = 0; i < x->nfix; i++) {
        const struct store_fix *f = &x->fix[i];
        if (f->number != number || r->t_ms < f->from_ms || r->t_ms >= f->to_ms)
            continue;
        if (f->calibrates) {
            r->q |= WIRE_Q_CALIBRATING;
            continue;
        }
        wire_fix_apply(&f->f, &fate, &r->v);
        r->number = f->f.what == WIRE_REASSIGN ? f->to : r->number;
    }
    return !fate.gone;
}

/* ---- of a chart ---- */

static enum st add_source(struct store_chart_fixes *x, struct wire_span name, struct err *e)
{
    for (size_t i = 0; i < x->n; i++)
        if (strlen(x->source[i]) == name.n && memcmp(x->source[i], name.p, name.n) == 0)
            return ST_OK;
    char(*p)[WIRE_SERIES_BYTES] = reallocarray(x->source, x->n + 1, sizeof *p);
    if (!p)
        return err_set(e, ST_MEMORY, "no memory for a chart");
    x->source = p;
    (void)snprintf(p[x->n++], sizeof *p, "%.*s", (int)name.n, (const char *)name.p);
    return ST_OK;
}

static enum st chart_take(struct store_chart_fixes *x, const struct wire_entry *w, struct err *e)
{
    struct wire_fix f;
    ERR_TRY(wire_fixes_add(x->fixes, w, e));
    if (w->kind == WIRE_ENTRY_CORRECT && wire_fix_of(w, &f) && f.what == WIRE_REASSIGN &&
        strcmp(f.target, x->source[0]) == 0)
        return add_source(x, w->series, e);
    return ST_OK;
}

enum st store_chart_fixes_open(struct store_chart_fixes *x, struct store_db *d, const char *series,
                               int64_t from_ms, int64_t to_ms, struct err *e)
{
    int64_t v[] = {from_ms, to_ms};
    *x = (struct store_chart_fixes){.n = 0};
    ERR_TRY(add_source(x, (struct wire_span){(const uint8_t *)series, strlen(series)}, e));
    enum st st = wire_fixes_open(&x->fixes, e);
    for (size_t i = 0; i < SQLS && (st == ST_OK || st == ST_NOT_FOUND); i++) {
        sqlite3_stmt *q = store_db_ask(d, said[i].sql, 2, v, e);
        st = q ? ST_OK : ST_IO;
        while (st == ST_OK && (st = store_db_row(d, q, e)) == ST_OK) {
            struct wire_entry w;
            store_said_of(q, said[i].kind, &w);
            st = chart_take(x, &w, e);
        }
        if (q)
            sqlite3_reset(q);
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

void store_chart_source(const struct store_chart_fixes *x, size_t i, struct wire_span *device,
                        struct wire_span *point)
{
    const char *text = x->source[i], *slash = strchr(text, '/');
    *device = (struct wire_span){(const uint8_t *)text, (size_t)(slash - text)};
    *point = (struct wire_span){(const uint8_t *)slash + 1, strlen(slash + 1)};
}

void store_chart_fixes_close(struct store_chart_fixes *x)
{
    wire_fixes_close(x->fixes);
    free(x->source);
    *x = (struct store_chart_fixes){.n = 0};
}

bool store_chart_fixes_apply(struct store_chart_fixes *x, struct wire_reading *r)
{
    if (!wire_fixes_apply(x->fixes, r))
        return false;
    const char *series = x->source[0];
    size_t n = r->device.n;
    return strlen(series) == n + 1 + r->point.n && memcmp(series, r->device.p, n) == 0 &&
           series[n] == '/' && memcmp(series + n + 1, r->point.p, r->point.n) == 0;
}

/* ---- at the source ---- */

static void calibrate_one(const struct store *s, const char *target, int64_t from_ms,
                          int64_t *since_ms)
{
    for (uint32_t i = 0; i < s->nser; i++) {
        char name[WIRE_SERIES_BYTES + 2];
        int n = snprintf(name, sizeof name, "%s/*", s->dev[s->ser[i].s.device].d.id);
        bool is = strcmp(target, name) == 0;
        (void)snprintf(name + n - 1, sizeof name - (size_t)n + 1, "%s", s->ser[i].s.point);
        if ((is || strcmp(target, name) == 0) && from_ms < since_ms[i])
            since_ms[i] = from_ms;
    }
}

enum st store_calibrate(struct store *s, struct err *e)
{
    atomic_fetch_add(&s->works, 1);
    int64_t *since_ms = calloc(s->nser + (size_t)1, sizeof *since_ms);
    if (!since_ms)
        return err_set(e, ST_MEMORY, "store %s: no memory", s->path);
    for (uint32_t i = 0; i < s->nser; i++)
        since_ms[i] = INT64_MAX;
    sqlite3_stmt *q = store_db_use(&s->db, SQL_CALIBRATIONS_OPEN, e);
    enum st st = q ? ST_OK : ST_IO;
    while (st == ST_OK && (st = store_db_row(&s->db, q, e)) == ST_OK) {
        const char *target = (const char *)sqlite3_column_text(q, 0);
        if (target)
            calibrate_one(s, target, sqlite3_column_int64(q, 1), since_ms);
    }
    if (q)
        sqlite3_reset(q);
    if (st == ST_NOT_FOUND) {
        pthread_mutex_lock(&s->board_lock);
        for (uint32_t i = 0; i < s->nser; i++)
            s->ser[i].calibrating_ms = since_ms[i];
        pthread_mutex_unlock(&s->board_lock);
    }
    free(since_ms);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* ---- for tools ---- */

static enum st find(struct store_reader *r, sqlite3_stmt *q, struct store_said *out, struct err *e)
{
    struct wire_entry x;
    enum st st = store_db_row(store_reader_db(r), q, e);
    if (st == ST_OK) {
        store_said_of(q, WIRE_ENTRY_MAINTAIN, &x);
        *out = (struct store_said){.from_ms = x.at_ms, .to_ms = x.to_ms};
        (void)snprintf(out->series, sizeof out->series, "%.*s", (int)x.series.n,
                       (const char *)x.series.p);
    }
    sqlite3_reset(q);
    return st;
}

enum st store_correction_find(struct store_reader *r, const char *id, struct store_said *out,
                              struct err *e)
{
    struct buf cbor;
    buf_init(&cbor, 4096);
    enum st st = wire_put_text(&cbor, id);
    sqlite3_stmt *q = st == ST_OK ? store_db_use(store_reader_db(r), SQL_CORRECTION_FIND, e) : NULL;
    if (q) {
        sqlite3_bind_blob(q, 1, cbor.p, (int)cbor.n, SQLITE_STATIC);
        st = find(r, q, out, e);
    } else {
        st = err_set(e, ST_IO,
                     "the store cannot tell its corrections: start the gateway on it once");
    }
    buf_done(&cbor);
    return st;
}

enum st store_calibration_open(struct store_reader *r, const char *series, struct store_said *out,
                               struct err *e)
{
    sqlite3_stmt *q = store_db_use(store_reader_db(r), SQL_CALIBRATION_OPEN, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, series, -1, SQLITE_STATIC);
    return find(r, q, out, e);
}

enum st store_calibration_last(struct store_reader *r, const char *series, const char *device,
                               int64_t t_ms, struct store_said *out, struct err *e)
{
    sqlite3_stmt *q = store_db_use(store_reader_db(r), SQL_CALIBRATION_LAST, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, series, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 2, device, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 3, t_ms);
    return find(r, q, out, e);
}
