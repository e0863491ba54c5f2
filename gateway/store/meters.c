/* Meters that were changed, as `maintain` entries say: what was counted goes on over the change. */
#include <stdlib.h>
#include <string.h>

#include "gateway/store/rollup_int.h"

static bool is_of(struct wire_span name, const char *series)
{
    return name.n == strlen(series) && memcmp(name.p, series, name.n) == 0;
}

enum st store_meters_of(struct store_db *d, const struct store_names *names, const char *series,
                        int64_t from_ms, int64_t to_ms, struct store_meter **out, uint32_t *n,
                        struct err *e)
{
    int64_t v[] = {from_ms, to_ms};
    sqlite3_stmt *q = store_db_ask(d, SQL_METER_OF, 2, v, e);
    enum st st = q ? ST_OK : ST_IO;
    while (st == ST_OK && (st = store_db_row(d, q, e)) == ST_OK && *n < STORE_FIXES_MAX) {
        struct wire_entry w;
        struct store_meter m = {.number = 0};
        char name[WIRE_SERIES_BYTES];
        store_said_of(q, WIRE_ENTRY_MAINTAIN, &w);
        m.at_ms = w.at_ms;
        if (w.series.n >= sizeof name || !wire_meter_of(&w, &m.last, &m.first))
            continue;
        memcpy(name, w.series.p, w.series.n);
        name[w.series.n] = '\0';
        if (series ? !is_of(w.series, series) : store_names_text(names, name, &m.number) != ST_OK)
            continue;
        struct store_meter *p = reallocarray(*out, *n + (size_t)1, sizeof *p);
        if (!p) {
            st = err_set(e, ST_MEMORY, "no memory for rollups");
            break;
        }
        *out = p;
        p[(*n)++] = m;
    }
    if (q)
        sqlite3_reset(q);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static uint32_t offset(const struct store_rolls *x, int64_t t_ms)
{
    return (uint32_t)(t_ms - store_slot_ms(STORE_QUARTER, x->slot));
}

void store_meters_apply(const struct store_rolls *x, uint32_t number, struct store_roll *r,
                        uint32_t at_ms)
{
    for (uint32_t i = 0; i < x->nmeter; i++) {
        const struct store_meter *m = &x->meter[i];
        uint32_t change_ms = offset(x, m->at_ms);
        if (m->number == number && change_ms <= at_ms && (!r->counter || r->to_ms < change_ms))
            store_roll_change(r, change_ms, m->last, m->first);
    }
}

enum st store_meters_end(struct store_rolls *x, struct err *e)
{
    for (uint32_t i = 0; i < x->nmeter; i++) {
        uint32_t number = x->meter[i].number;
        struct store_roll r;
        if (number >= x->n || x->cell[number].count == 0)
            continue;
        store_rolls_get(x, number, &r);
        if (!r.counter || r.disordered)
            continue;
        store_meters_apply(x, number, &r, STORE_QUARTER_MS);
        ERR_TRY(store_rolls_set(x, number, &r, e));
    }
    return ST_OK;
}

void store_meters_before(struct store_meter *m, uint32_t n, struct store_roll *r, int64_t from_ms,
                         int64_t to_ms)
{
    if (!r->counter)
        return;
    for (uint32_t i = n; i-- > 0;) { /* the latest is next to it */
        if (!m[i].done && m[i].at_ms < from_ms)
            store_roll_change_before(r, m[i].last, m[i].first);
        m[i].done = m[i].done || m[i].at_ms < to_ms;
    }
}

void store_meters_until(struct store_meter *m, uint32_t n, struct store_roll *r, int64_t t_ms)
{
    for (uint32_t i = 0; i < n; i++) {
        if (m[i].done || m[i].at_ms > t_ms)
            continue;
        store_roll_change(r, r->to_ms, m[i].last, m[i].first);
        m[i].done = true;
    }
}
