/* A site of meters, and a slow oracle that keeps every reading: what rollups and charts say is held
 * against it. */
#ifndef TESTS_GATEWAY_STORE_ORACLE_H
#define TESTS_GATEWAY_STORE_ORACLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "gateway/store/rollup_int.h"
#include "tests/support/line.h"

#define DAY0                                                                                       \
    ((LINE_T0 / STORE_DAY_MS + 1) * STORE_DAY_MS - STORE_DAY_ZONE_MS) /* a local midnight */
#define MINUTE INT64_C(60000)

/* ---- a site of its own: decimals, floats, counters ---- */

static const struct {
    const char *device, *point, *quantity;
} site[] = {{"meter", "energy", "energy_import"},
            {"meter", "voltage", "voltage"},
            {"meter", "import_f", "energy_import"},
            {"air", "temperature", "temperature"},
            {"air", "rain", "rain"}};
#define SERIES (sizeof site / sizeof *site)

struct reading {
    int64_t t_ms;
    struct num v;
    uint32_t q;
};
struct oracle {
    struct reading *v[SERIES];
    size_t n[SERIES];
};
static struct oracle all;
static uint32_t seed;

static inline uint32_t rnd(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

static inline void ok(enum st st, const struct err *e)
{
    if (st != ST_OK)
        fail_msg("%s: %s", err_name(st), e->text);
}

static inline void start(struct line *l)
{
    struct err e = {0};
    uint32_t at = 0, series = 0;
    ok(store_open(&l->store, &l->store_cfg, "gw-01", &l->clk, &e), &e);
    for (size_t i = 0; i < SERIES; i++) {
        if (i == 0 || strcmp(site[i].device, site[i - 1].device) != 0) {
            struct store_device d = {.id = site[i].device, .source = "bus", .period_ms = MINUTE};
            ok(store_add_device(l->store, &d, &at, &e), &e);
        }
        struct store_series s = {.device = at,
                                 .point = site[i].point,
                                 .quantity = quantity_by_key(site[i].quantity),
                                 .period_ms = MINUTE};
        ok(store_add_series(l->store, &s, &series, &e), &e);
    }
    uint32_t up;
    ok(store_add_uplink(l->store, "city", false, &up, &e), &e);
    ok(store_start(l->store, &e), &e);
    ok(seal_open(&l->seal, &l->seal_cfg, "gw-01", l->machine, l->store, &l->clk, &e), &e);
}

static inline int setup(void **state)
{
    static struct line l;
    line_init(&l);
    l.seal_cfg.every_ms = 5 * MINUTE;
    l.store_cfg.journal_every_ms = 60 * MINUTE; /* the test commits where it counts */
    *state = &l;
    return 0;
}

/* A reader that lives as long as the test, as the page's does: what it keeps of batches is held
 * against what the readings say at every turn. */
static struct store_reader *lasting;

static inline int teardown(void **state)
{
    store_reader_close(lasting);
    lasting = NULL;
    for (size_t i = 0; i < SERIES; i++)
        free(all.v[i]);
    memset(&all, 0, sizeof all);
    return line_teardown(state);
}

static inline void note(size_t series, struct reading r)
{
    size_t n = all.n[series]++;
    if ((n & (n - 1)) == 0) {
        all.v[series] = realloc(all.v[series], (n ? 2 * n : 1) * sizeof r);
        assert_non_null(all.v[series]);
    }
    all.v[series][n] = r;
}

/* What the site's meters say; a counter starts over now and then, one with a rollover. */
static int64_t energy = 99990000, rain = 0;
static double imported = 100;
static inline struct num value(size_t series)
{
    static const double step[] = {0.1, 0.25, 0.7, 3};
    switch (series) {
    case 0:
        energy = rnd(400) == 0 ? 0 : (energy + rnd(50)) % 100000000;
        return num_dec(energy, -2);
    case 1:
        return num_dec(2300 + (int64_t)rnd(60) - 30, -1);
    case 2:
        imported = rnd(500) == 0 ? 0 : (double)(float)(imported + step[rnd(4)]);
        return num_flt(imported);
    case 3:
        return num_dec(250 + (int64_t)rnd(100) - 50, rnd(3) ? -1 : -2);
    default:
        rain += rnd(10) == 0;
        return num_dec(rain, -1);
    }
}

/* A poll of one device, as made at t. */
struct polled {
    struct store_poll p;
    struct store_value v[SERIES];
    struct reading r[SERIES];
};
static inline struct polled poll_make(uint32_t device, int64_t t_ms)
{
    static const uint16_t flags[] = {WIRE_Q_LIMITS, WIRE_Q_STUCK, WIRE_Q_FAULT, WIRE_Q_HAND};
    struct polled x = {.p = {device, t_ms, t_ms, CLK_SYNCED, STORE_DEVICE, 0}};
    for (size_t i = 0; i < SERIES; i++) {
        if (strcmp(site[i].device, device ? "air" : "meter") != 0)
            continue;
        struct num v = value(i); /* one draw a statement: each build has the same life */
        struct reading r = {t_ms, v, 0};
        if (rnd(30) == 0)
            r.q = flags[rnd(4)];
        bool gone = rnd(50) == 0;
        x.r[x.p.n] = r;
        x.v[x.p.n++] = (struct store_value){gone ? (struct num){.kind = NUM_NONE} : r.v,
                                            (uint32_t)i, (uint16_t)r.q};
    }
    return x;
}

/* Gives it to the store and to the oracle. */
static inline void poll_put(struct line *l, const struct polled *x)
{
    for (uint32_t i = 0; i < x->p.n; i++)
        if (x->v[i].v.kind != NUM_NONE)
            note(x->v[i].series, x->r[i]);
    struct store_poll p = x->p;
    p.grade = l->grade;
    assert_int_equal(store_put(l->store, &p, x->v, 0), ST_OK);
}

static inline void poll(struct line *l, uint32_t device, int64_t t_ms)
{
    struct polled x = poll_make(device, t_ms);
    poll_put(l, &x);
}

/* ---- the oracle ---- */

static inline int by_time(const void *a, const void *b)
{
    const struct reading *x = a, *y = b;
    return x->t_ms < y->t_ms ? -1 : x->t_ms > y->t_ms;
}

struct truth {
    uint32_t count, good, resets;
    struct num min, max, first, last;
    double mean, grown;
    bool counted;
};

/* The growth since the last trusted reading before from is in it, if that is not before seen_ms. */
static inline struct truth truth(size_t series, int64_t from_ms, int64_t to_ms, int64_t seen_ms)
{
    struct truth t = {0};
    const struct reading *last = NULL;
    for (size_t i = 0; i < all.n[series]; i++) {
        const struct reading *r = &all.v[series][i];
        bool trusted = !(r->q & (WIRE_Q_LIMITS | WIRE_Q_FAULT | WIRE_Q_CALIBRATING));
        bool inside = r->t_ms >= from_ms && r->t_ms < to_ms;
        if (inside) {
            if (!t.count || num_cmp(r->v, t.min) < 0)
                t.min = r->v;
            if (!t.count || num_cmp(r->v, t.max) > 0)
                t.max = r->v;
            if (!t.count)
                t.first = r->v;
            t.last = r->v;
            t.mean += num_double(r->v);
            t.count++;
            t.good += r->q == 0;
        }
        if (!trusted || r->t_ms >= to_ms)
            continue;
        if (inside && last && last->t_ms >= seen_ms) {
            if (num_cmp(r->v, last->v) < 0)
                t.resets++;
            else
                t.grown += num_double(r->v) - num_double(last->v);
        }
        t.counted |= inside;
        last = r;
    }
    if (t.count)
        t.mean /= t.count;
    return t;
}

static inline void same_num(struct num a, struct num b)
{
    char x[NUM_TEXT_BYTES], y[NUM_TEXT_BYTES];
    assert_string_equal(num_text(a, x), num_text(b, y));
}

static inline void near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-6 * (1 + fabs(b))))
        fail_msg("%.12g is not %.12g", a, b);
}

static inline bool is_counter(size_t series)
{
    return quantity_by_key(site[series].quantity)->counter;
}

/* All points of a chart by this reader are what the readings say. */
static inline void compare_by(struct store_reader *r, size_t series, int64_t from_ms, int64_t to_ms,
                              uint32_t points, struct store_chart *out)
{
    struct err e = {0};
    struct store_chart c;
    struct store_chart_ask ask = {site[series].device, site[series].point, from_ms, to_ms, points};
    ok(store_chart_read(r, &ask, &c, &e), &e);
    assert_true(c.n <= points);
    for (uint32_t i = 0; i < c.n; i++) {
        const struct store_chart_point *p = &c.point[i];
        int64_t a = c.from_ms + i * c.step_ms, z = a + c.step_ms;
        if (c.source == STORE_CHART_READINGS)
            z = z < to_ms ? z : to_ms;
        struct truth t = truth(series, a, z, c.from_ms);
        if (p->count != t.count)
            fail_msg("%s/%s point %u of %u at %lld: %u readings, not %u", site[series].device,
                     site[series].point, i, c.n, (long long)a, p->count, t.count);
        assert_int_equal(p->good, t.good);
        if (!t.count)
            continue;
        same_num(p->min, t.min);
        same_num(p->max, t.max);
        same_num(p->first, t.first);
        same_num(p->last, t.last);
        near(p->mean, t.mean);
        assert_int_equal(p->grown.kind != NUM_NONE, is_counter(series) && t.counted);
        if (p->grown.kind == NUM_NONE)
            continue;
        near(num_double(p->grown), t.grown);
        assert_int_equal(p->resets, t.resets);
    }
    *out = c;
}

static inline void same_gaps(const struct store_chart *a, const struct store_chart *b)
{
    assert_int_equal(a->ngaps, b->ngaps);
    for (uint32_t i = 0; i < a->ngaps; i++) {
        assert_int_equal(a->gap[i].from_ms, b->gap[i].from_ms);
        assert_int_equal(a->gap[i].to_ms, b->gap[i].to_ms);
        assert_int_equal(a->gap[i].cause, b->gap[i].cause);
    }
}

/* By one that has just been opened, too. */
static inline void compare(struct line *l, size_t series, int64_t from_ms, int64_t to_ms,
                           uint32_t points, struct store_chart *out)
{
    struct err e = {0};
    struct store_reader *r;
    struct store_chart c, kept;
    if (!lasting)
        ok(store_reader_open(&lasting, l->db, &e), &e);
    ok(store_reader_open(&r, l->db, &e), &e);
    compare_by(r, series, from_ms, to_ms, points, &c);
    compare_by(lasting, series, from_ms, to_ms, points, &kept);
    store_reader_close(r);
    same_gaps(&c, &kept);
    store_chart_done(&kept);
    if (out)
        *out = c;
    else
        store_chart_done(&c);
}

static inline void compare_all(struct line *l, int64_t from_ms, int64_t to_ms, uint32_t points)
{
    for (size_t i = 0; i < SERIES; i++) {
        qsort(all.v[i], all.n[i], sizeof *all.v[i], by_time);
        compare(l, i, from_ms, to_ms, points, NULL);
    }
}

static inline int64_t ask(struct line *l, const char *sql)
{
    sqlite3_stmt *q = NULL;
    assert_int_equal(sqlite3_prepare_v2(l->store->db.h, sql, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    int64_t v = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return v;
}

static inline void begin(struct line *l, uint32_t with)
{
    seed = with;
    energy = 99990000;
    rain = 0;
    imported = 100;
    l->utc_ms = DAY0 - 3 * 3600000;
    start(l);
}

#endif
