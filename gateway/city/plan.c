/* What is due: the signed plan of a gateway's chains, less what they retire; and the times that
 * windows here speak of (batch.md rules 8, 11, 16, 17, 19). */
#include <stdlib.h>
#include <string.h>

#include "gateway/city/report_int.h"

#define INTERVALS_MAX ((size_t)1 << 20)
#define SERIES_MAX ((size_t)1 << 14) /* of a gateway: one that plans more is not asked about */

/* ---- intervals ---- */

enum st city_iv_add(struct city_ivs *l, struct city_iv x)
{
    if (l->v == NULL || l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 256;
        if (cap > INTERVALS_MAX)
            return ST_FULL;
        struct city_iv *v = reallocarray(l->v, cap, sizeof *v);
        if (v == NULL)
            return ST_MEMORY;
        l->v = v;
        l->cap = cap;
    }
    l->v[l->n++] = x;
    return ST_OK;
}

static int by_place(const void *va, const void *vb)
{
    const struct city_iv *a = va, *b = vb;

    if (a->target != b->target)
        return a->target < b->target ? -1 : 1;
    if (a->from_ms != b->from_ms)
        return a->from_ms < b->from_ms ? -1 : 1;
    return a->to_ms < b->to_ms ? -1 : a->to_ms > b->to_ms;
}

void city_iv_sort(struct city_ivs *l)
{
    if (l->n > 0)
        qsort(l->v, l->n, sizeof *l->v, by_place);
}

void city_iv_join(struct city_ivs *l)
{
    size_t n = 0;

    city_iv_sort(l);
    for (size_t i = 0; i < l->n; i++) {
        struct city_iv *last = n > 0 ? &l->v[n - 1] : NULL, x = l->v[i];
        if (last == NULL || x.target != last->target || x.why != last->why ||
            x.from_ms > last->to_ms)
            l->v[n++] = x;
        else if (x.to_ms > last->to_ms)
            last->to_ms = x.to_ms;
    }
    l->n = n;
}

static enum st add_to(struct city_ivs *l, int64_t from_ms, int64_t to_ms, uint8_t why,
                      struct err *e)
{
    struct city_iv *last = l->n > 0 ? &l->v[l->n - 1] : NULL;
    enum st st = ST_OK;

    if (last != NULL && last->why == why && from_ms >= last->from_ms && from_ms <= last->to_ms)
        last->to_ms = to_ms > last->to_ms ? to_ms : last->to_ms;
    else if (from_ms < to_ms)
        st = city_iv_add(l, (struct city_iv){from_ms, to_ms, CITY_TARGET_ALL, why});
    return st == ST_OK ? ST_OK : err_set(e, st, "more windows than a report can hold");
}

/* ---- series ---- */

static bool is_named(const struct city_series *s, struct wire_span device, struct wire_span point)
{
    return s->device_n == device.n && s->name_n == device.n + 1 + point.n &&
           memcmp(s->name, device.p, device.n) == 0 &&
           memcmp(s->name + device.n + 1, point.p, point.n) == 0;
}

/* The place of the series in the table, or the free one where it belongs. */
static uint32_t *place_of(const struct city_plan *p, struct wire_span device,
                          struct wire_span point)
{
    uint64_t h = id_hash(ID_HASH, device.p, device.n);

    h = id_hash(id_hash(h, "/", 1), point.p, point.n);
    for (size_t i = (size_t)h & (p->slots - 1);; i = (i + 1) & (p->slots - 1))
        if (p->slot[i] == 0 || is_named(&p->series[p->slot[i] - 1], device, point))
            return &p->slot[i];
}

uint32_t city_plan_find(struct city_plan *p, struct wire_span device, struct wire_span point,
                        uint32_t near)
{
    if (p->n == 0)
        return UINT32_MAX;
    /* polls repeat: what stood behind that one stands behind it again */
    uint32_t guess = near < p->n ? p->series[near].follows : 0;
    if (is_named(&p->series[guess], device, point))
        return guess;
    uint32_t at = *place_of(p, device, point);
    if (at == 0)
        return UINT32_MAX;
    if (near < p->n)
        p->series[near].follows = at - 1;
    return at - 1;
}

static struct wire_span span_of(const char *text, size_t n)
{
    return (struct wire_span){(const uint8_t *)text, n};
}

static bool split(const char *series, struct wire_span *device, struct wire_span *point)
{
    const char *slash = strchr(series, '/');

    if (slash == NULL)
        return false;
    *device = span_of(series, (size_t)(slash - series));
    *point = span_of(slash + 1, strlen(slash + 1));
    return true;
}

static enum st grow(struct city_plan *p)
{
    if (2 * (p->n + 1) > p->slots) {
        size_t slots = p->slots ? 2 * p->slots : 256;
        uint32_t *slot = calloc(slots, sizeof *slot);
        if (slot == NULL)
            return ST_MEMORY;
        free(p->slot);
        p->slot = slot;
        p->slots = slots;
        for (size_t i = 0; i < p->n; i++) {
            struct wire_span device, point;
            if (split(p->series[i].name, &device, &point))
                *place_of(p, device, point) = (uint32_t)i + 1;
        }
    }
    if (p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 64;
        struct city_series *s = reallocarray(p->series, cap, sizeof *s);
        if (s == NULL)
            return ST_MEMORY;
        p->series = s;
        p->cap = cap;
    }
    return ST_OK;
}

/* The number of the device that a series before has as well; UINT32_MAX: none. */
static uint32_t device_of(const struct city_plan *p, struct wire_span device)
{
    for (size_t i = p->n; i-- > 0;)
        if (p->series[i].device_n == device.n && memcmp(p->series[i].name, device.p, device.n) == 0)
            return p->series[i].device;
    return UINT32_MAX;
}

/* Finds or makes the series. */
static enum st series_of(struct city_plan *p, const char *name, int64_t key,
                         struct city_series **out, struct err *e)
{
    struct wire_span device, point;

    *out = NULL;
    if (name == NULL || !split(name, &device, &point))
        return err_set(e, ST_CORRUPT, "database: a plan without a series");
    enum st st = grow(p);
    if (st != ST_OK)
        return err_set(e, st, "no memory for a report");
    uint32_t *at = place_of(p, device, point);
    if (*at == 0 && p->n == SERIES_MAX)
        return err_set(e, ST_FULL,
                       "its gateway has planned more than %zu series: no report is made of it",
                       SERIES_MAX);
    if (*at == 0) {
        uint32_t number = device_of(p, device);
        struct city_series s = {.name = strdup(name),
                                .name_n = strlen(name),
                                .device_n = device.n,
                                .device = number != UINT32_MAX ? number : p->devices++,
                                .key = key};
        if (s.name == NULL)
            return err_set(e, ST_MEMORY, "no memory for a report");
        p->series[p->n++] = s;
        *at = (uint32_t)p->n;
    }
    *out = &p->series[*at - 1];
    return ST_OK;
}

bool city_plan_target(struct city_plan *p, const char *series, uint32_t *target)
{
    struct wire_span device, point;

    *target = CITY_TARGET_ALL;
    if (strcmp(series, "*") == 0)
        return true;
    if (!split(series, &device, &point))
        return false;
    if (point.n == 1 && point.p[0] == '*') {
        uint32_t number = device_of(p, device);
        *target = CITY_TARGET_DEVICE + number;
        return number != UINT32_MAX;
    }
    *target = city_plan_find(p, device, point, UINT32_MAX);
    return *target != UINT32_MAX;
}

struct city_due *city_plan_due(const struct city_series *s, int64_t t_ms)
{
    for (size_t i = s->ndue; i-- > 0;)
        if (t_ms >= s->due[i].from_ms)
            return t_ms < s->due[i].to_ms ? &s->due[i] : NULL;
    return NULL;
}

/* From at_ms on nothing that was said before holds. */
static void end_at(struct city_series *s, int64_t at_ms)
{
    if (s->due == NULL)
        return;
    while (s->ndue > 0 && s->due[s->ndue - 1].from_ms >= at_ms)
        s->ndue--;
    if (s->ndue > 0 && s->due[s->ndue - 1].to_ms > at_ms)
        s->due[s->ndue - 1].to_ms = at_ms;
}

static enum st due_from(struct city_series *s, int64_t from_ms, int64_t period_ms)
{
    const struct city_due *last = s->ndue > 0 ? &s->due[s->ndue - 1] : NULL;

    if (period_ms > CITY_PERIOD_MAX_MS)
        period_ms = 0;
    /* a later chain says again what holds */
    if (last != NULL && last->from_ms <= from_ms && last->to_ms == INT64_MAX &&
        last->period_ms == period_ms)
        return ST_OK;
    end_at(s, from_ms);
    struct city_due *due = reallocarray(s->due, s->ndue + 1, sizeof *due);
    if (due == NULL)
        return ST_MEMORY;
    s->due = due;
    due[s->ndue++] =
        (struct city_due){.from_ms = from_ms, .to_ms = INT64_MAX, .period_ms = period_ms};
    return ST_OK;
}

/* ---- windows ---- */

struct walk {
    struct city_plan *plan;
    struct city_db *db;
    struct first { /* the first known time of each chain, by chain */
        int64_t chain, from_ms;
    } * first;
    size_t nfirst;
    int64_t chain, seq, to_ms; /* of the last raw window with a known time; chain 0: none */
    uint8_t boot[WIRE_ID_BYTES];
    bool blind; /* windows without a known time stand behind it */
};

/* What lies between two windows of one chain that do not abut. */
static enum st between(struct walk *w, int64_t seq, int64_t from_ms, bool step, struct err *e)
{
    int64_t numbers = seq - w->seq - 1, held = 0, given_up = 0;

    if (from_ms <= w->to_ms)
        return ST_OK;
    if (numbers > 0) {
        sqlite3_stmt *s = city_db_bind(w->db, SQL_BETWEEN, "iii", w->chain, w->seq, seq);
        enum st st = city_db_step(w->db, s, e);
        if (st != ST_OK)
            return st;
        held = sqlite3_column_int64(s, 0);
        given_up = sqlite3_column_int64(s, 1);
        sqlite3_reset(s);
    }
    if (held + given_up < numbers)
        return ST_OK; /* not received */
    if (given_up > 0)
        return add_to(&w->plan->holes, w->to_ms, from_ms, CITY_WHY_VOID, e);
    if (step || w->blind)
        return add_to(&w->plan->holes, w->to_ms, from_ms, CITY_WHY_CLOCK, e);
    return add_to(&w->plan->held, w->to_ms, from_ms, CITY_HELD, e); /* unexplained */
}

static enum st first_of(struct walk *w, int64_t chain, int64_t from_ms, struct err *e)
{
    if (w->nfirst > 0 && w->first[w->nfirst - 1].chain == chain)
        return ST_OK;
    struct first *f = reallocarray(w->first, w->nfirst + 1, sizeof *f);
    if (f == NULL)
        return err_set(e, ST_MEMORY, "no memory for a report");
    w->first = f;
    f[w->nfirst++] = (struct first){chain, from_ms};
    return ST_OK;
}

static enum st window(struct walk *w, sqlite3_stmt *row, struct err *e)
{
    int64_t chain = sqlite3_column_int64(row, 0), seq = sqlite3_column_int64(row, 1);
    int64_t add_ms = sqlite3_column_int64(row, 6);
    int64_t from_ms = sqlite3_column_int64(row, 2) + add_ms;
    int64_t to_ms = sqlite3_column_int64(row, 3) + add_ms;
    enum st st = ST_OK;

    if (chain != w->chain)
        w->seq = 0;
    if (from_ms < CITY_KNOWN_MS) {
        w->blind = true;
        return ST_OK;
    }
    if (sqlite3_column_int(row, 7)) /* thinned: takes no part in abutting */
        return add_to(&w->plan->held, from_ms, to_ms, CITY_HELD, e);
    if (w->seq > 0)
        st = between(w, seq, from_ms, sqlite3_column_int(row, 4) != 0, e);
    else
        st = first_of(w, chain, from_ms, e);
    w->chain = chain;
    w->seq = seq;
    w->to_ms = to_ms;
    w->blind = false;
    return st == ST_OK ? add_to(&w->plan->held, from_ms, to_ms, CITY_HELD, e) : st;
}

static enum st windows(struct walk *w, int64_t gateway, struct err *e)
{
    sqlite3_stmt *s = city_db_bind(w->db, SQL_WINDOWS, "i", gateway);
    enum st st;

    while ((st = city_db_step(w->db, s, e)) == ST_OK && (st = window(w, s, e)) == ST_OK)
        ;
    sqlite3_reset(s);
    if (st != ST_NOT_FOUND)
        return st;
    city_iv_join(&w->plan->held);
    city_iv_sort(&w->plan->holes);
    return ST_OK;
}

/* ---- all of it ---- */

/* A time that counts from a boot stands for the beginning of what is known of its chain. */
static int64_t known(const struct walk *w, int64_t chain, int64_t t_ms)
{
    if (t_ms >= CITY_KNOWN_MS)
        return t_ms;
    for (size_t i = 0; i < w->nfirst; i++)
        if (w->first[i].chain == chain)
            return w->first[i].from_ms;
    return INT64_MAX;
}

static enum st entries(struct walk *w, int64_t gateway, struct err *e)
{
    sqlite3_stmt *s = city_db_bind(w->db, SQL_PLAN_ENTRIES, "ii", gateway, CITY_KNOWN_MS);
    enum st st;

    while ((st = city_db_step(w->db, s, e)) == ST_OK) {
        int64_t period_ms = sqlite3_column_int64(s, 1), at_ms = sqlite3_column_int64(s, 2);
        struct city_series *x = NULL;
        if (at_ms < CITY_KNOWN_MS) /* rule 19: every time of that boot; none lies before it */
            at_ms = known(w, sqlite3_column_int64(s, 3),
                          (at_ms > 0 ? at_ms : 0) + sqlite3_column_int64(s, 4));
        const char *name = (const char *)sqlite3_column_text(s, 0);
        if (period_ms < 0) {
            uint32_t at = CITY_TARGET_ALL;
            if (name != NULL && city_plan_target(w->plan, name, &at) && at < w->plan->n)
                end_at(&w->plan->series[at], at_ms);
            continue;
        }
        st = series_of(w->plan, name, sqlite3_column_int64(s, 5), &x, e);
        if (st == ST_OK && due_from(x, at_ms, period_ms) != ST_OK)
            st = err_set(e, ST_MEMORY, "no memory for a report");
        if (st != ST_OK)
            break;
    }
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st corrections(struct city_plan *p, struct city_db *d, int64_t gateway, struct err *e)
{
    sqlite3_stmt *s = city_db_bind(d, SQL_TAKEN, "i", gateway);
    enum st st;

    while ((st = city_db_step(d, s, e)) == ST_OK) {
        struct wire_span device, point;
        const char *name = (const char *)sqlite3_column_text(s, 0);
        if (name == NULL || !split(name, &device, &point))
            continue;
        uint32_t at = city_plan_find(p, device, point, UINT32_MAX);
        p->corrected = true;
        if (at == UINT32_MAX)
            continue;
        if (sqlite3_column_int(s, 3) && sqlite3_column_int64(s, 1) < sqlite3_column_int64(s, 2))
            st = city_iv_add(&p->taken,
                             (struct city_iv){sqlite3_column_int64(s, 1),
                                              sqlite3_column_int64(s, 2), at, CITY_WHY_INVALID});
        if (st != ST_OK) {
            err_set(e, st, "more corrections than a report can hold");
            break;
        }
    }
    sqlite3_reset(s);
    city_iv_sort(&p->taken);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st city_plan_read(struct city_plan *p, struct city_db *d, int64_t gateway, struct err *e)
{
    struct walk w = {.plan = p, .db = d};

    memset(p, 0, sizeof *p);
    enum st st = windows(&w, gateway, e);
    if (st == ST_OK)
        st = entries(&w, gateway, e);
    if (st == ST_OK)
        st = corrections(p, d, gateway, e);
    free(w.first);
    return st;
}

void city_plan_done(struct city_plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->series[i].name);
        free(p->series[i].due);
    }
    free(p->series);
    free(p->slot);
    free(p->held.v);
    free(p->holes.v);
    free(p->taken.v);
    memset(p, 0, sizeof *p);
}
