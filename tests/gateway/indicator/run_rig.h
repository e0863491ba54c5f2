/* A gateway's line with two devices, a thermometer and a meter, and figures of them: on a real
 * store, with real batches. */
#ifndef TESTS_GATEWAY_INDICATOR_RUN_RIG_H
#define TESTS_GATEWAY_INDICATOR_RUN_RIG_H

#include "tests/gateway/indicator/folder.h"

#include <sqlite3.h>
#include <stdlib.h>

#include "gateway/indicator/run_int.h"
#include "tests/support/line.h"

#define DAY0 20720 /* 2026-09-24 */
#define MINUTE INT64_C(60000)
#define STEP (5 * MINUTE) /* of readings */
#define HOUR INDICATOR_HOUR_MS
#define WINDOW (30 * MINUTE)
#define FILE_AS(id, quantity, more)                                                                \
    "id: " id "\nname: {vi: a, en: b}\nquantity: " quantity "\nlabel: measured\n"                  \
    "sentence: {vi: c, en: d}\ncompleteness: 50\n" more
#define MEAN                                                                                       \
    FILE_AS("a-mean", "temperature",                                                               \
            "unit: Cel\ninputs: {x: {quantity: temperature}}\nformula: mean(x)\n")
#define HOURS                                                                                      \
    FILE_AS("b-hours", "temperature",                                                              \
            "unit: Cel\nperiod: hour\ninputs: {x: {quantity: temperature}}\nformula: max(x)\n")
#define WARM                                                                                       \
    FILE_AS("c-warm", "occurrences",                                                               \
            "inputs: {h: {indicator: b-hours}}\nformula: \"count(h > 5)\"\n")
#define GROWN                                                                                      \
    FILE_AS(                                                                                       \
        "d-grown", "energy_import",                                                                \
        "unit: kWh\ninputs: {x: {quantity: energy_import, role: [grid]}}\nformula: growth(x)\n")

struct rig {
    struct line l;
    struct folder f;
    struct indicator_cfg cfg;
    struct indicators x;
    struct run *r;
    struct store_was was;
    struct store_device th, meter;
    bool without_meter;
    uint32_t warm, grid, temperature, energy;
};

static inline void ok(enum st st, const struct err *e)
{
    if (st != ST_OK)
        fail_msg("%s: %s", err_name(st), e->text);
}

static inline enum st declare(void *ctx, struct store *s, struct err *e)
{
    struct rig *g = ctx;
    ERR_TRY(store_add_device(s, &g->th, &g->warm, e));
    const struct store_series t = {.device = g->warm,
                                   .point = "temperature",
                                   .quantity = quantity_by_key("temperature"),
                                   .period_ms = STEP};
    ERR_TRY(store_add_series(s, &t, &g->temperature, e));
    if (!g->without_meter) {
        ERR_TRY(store_add_device(s, &g->meter, &g->grid, e));
        const struct store_series w = {.device = g->grid,
                                       .point = "energy",
                                       .quantity = quantity_by_key("energy_import"),
                                       .period_ms = STEP};
        ERR_TRY(store_add_series(s, &w, &g->energy, e));
    }
    instances_close(g->x.instances);
    g->x.instances = NULL;
    return indicators_declare(&g->x, s, e);
}

/* more: further files, name and text; NULL behind the last. */
static inline int setup_with(void **state, const char *const *more)
{
    static struct rig g;
    memset(&g, 0, sizeof g);
    line_init(&g.l);
    folder_open(&g.f);
    folder_put(&g.f, "a-mean.yaml", MEAN);
    folder_put(&g.f, "b-hours.yaml", HOURS);
    folder_put(&g.f, "c-warm.yaml", WARM);
    folder_put(&g.f, "d-grown.yaml", GROWN);
    for (; more && *more; more += 2)
        folder_put(&g.f, more[0], more[1]);
    if (folder_load(&g.f, NULL) != ST_OK)
        fail_msg("%s", (const char *)g.f.complaints.p);
    g.x = (struct indicators){.cfg = &g.cfg, .catalogue = g.f.catalogue};
    g.th = (struct store_device){.id = "th", .place = "gate", .source = "bus", .period_ms = STEP};
    g.meter = (struct store_device){.id = "m", .role = "grid", .source = "bus", .period_ms = STEP};
    g.l.devices = 0;
    g.l.declare = declare;
    g.l.declare_ctx = &g;
    g.l.seal_cfg.every_ms = WINDOW;
    g.l.utc_ms = indicator_day_ms(DAY0) - WINDOW;
    *state = &g;
    line_start(&g.l);
    return 0;
}

static inline int setup(void **state)
{
    return setup_with(state, NULL);
}

static inline int teardown(void **state)
{
    struct rig *g = *state;
    run_close(g->r);
    g->r = NULL;
    line_done(&g->l);
    instances_close(g->x.instances);
    folder_close(&g->f);
    return 0;
}

static inline void put(struct rig *g, uint32_t device, uint32_t series, int64_t t_ms,
                       int64_t tenths)
{
    const struct store_poll p = {device, t_ms, t_ms, g->l.grade, STORE_DEVICE, 1};
    const struct store_value v = {num_dec(tenths, -1), series, 0};
    assert_int_equal(store_put(g->l.store, &p, &v, 0), ST_OK);
}

/* As main's thread: until nothing is to be done. */
static inline void work(struct rig *g)
{
    struct err e = {.text = ""};
    enum st st = ST_OK;
    line_writer_start(&g->l);
    if (!g->r)
        ok(run_open(&g->r, &g->x, g->l.store, &g->l.clk, &e), &e);
    while ((st = run_step(g->r, &e)) == ST_OK)
        ;
    if (st != ST_NOT_FOUND)
        ok(st, &e);
    line_writer_stop(&g->l);
    line_step(&g->l, true);
}

/* Temperature is the hour of the day, in degrees; the meter counts 1 a minute. */
static inline int64_t warmth(int64_t t_ms)
{
    return (t_ms - indicator_day_ms(DAY0)) % INDICATOR_DAY_MS / HOUR * 10;
}

static inline int64_t counted(int64_t t_ms)
{
    return (t_ms - indicator_day_ms(DAY0)) / MINUTE * 10 + 10000;
}

/* Goes on to t, with readings of a minute but for those of the thermometer within [but, till). */
static inline void go(struct rig *g, int64_t until_ms, int64_t but_ms, int64_t till_ms)
{
    for (int64_t t = g->l.utc_ms; t < until_ms; t += STEP) {
        if (t < but_ms || t >= till_ms)
            put(g, g->warm, g->temperature, t, warmth(t));
        if (!g->without_meter)
            put(g, g->grid, g->energy, t, counted(t));
        line_to(&g->l, t + STEP);
        if ((t + STEP) % HOUR == 0)
            work(g);
    }
}

static inline void on(struct rig *g, int64_t until_ms)
{
    go(g, until_ms, 0, 0);
}

static inline void day(struct rig *g, int days, int64_t but_ms, int64_t till_ms)
{
    go(g, indicator_day_ms(DAY0 + days) + 2 * WINDOW, but_ms, till_ms);
    work(g);
}

/* As a power cut does, after the last commit. */
static inline void cut(struct rig *g)
{
    run_close(g->r);
    g->r = NULL;
    line_stop(&g->l);
    line_start(&g->l);
}

struct seen {
    const char *device;
    int64_t t_ms;
    char text[1024];
};

static inline bool see(void *ctx, const struct store_told_reading *t)
{
    struct seen *s = ctx;
    char v[NUM_TEXT_BYTES];
    if (t->now->t_ms != s->t_ms || t->now->device.n != strlen(s->device) ||
        memcmp(t->now->device.p, s->device, t->now->device.n) != 0)
        return true;
    size_t n = strlen(s->text);
    (void)snprintf(s->text + n, sizeof s->text - n, "%s%.*s=%s", n ? " " : "", (int)t->now->point.n,
                   (const char *)t->now->point.p, num_text(t->now->v, v));
    return true;
}

/* All readings of a device at a time, in order of their seal. */
static inline const char *readings(struct rig *g, const char *device, int64_t t_ms)
{
    static struct seen s;
    struct store_reader *r;
    struct store_readings *x;
    struct err e = {.text = ""};
    const struct store_readings_ask ask = {INT64_MIN, INT64_MAX, true, false, "gw-01"};
    enum st st;
    s = (struct seen){device, t_ms, ""};
    ok(store_reader_open(&r, g->l.db, &e), &e);
    ok(store_readings_open(&x, r, &ask, &e), &e);
    while ((st = store_readings_step(x, see, &s, &e)) == ST_OK)
        ;
    assert_int_equal(st, ST_NOT_FOUND);
    store_readings_close(x);
    store_reader_close(r);
    return s.text;
}

/* A partial: "value numerator denominator good/due reason rREVISION". */
static inline const char *partial(struct rig *g, const char *indicator, int64_t from_ms)
{
    static char text[1024];
    struct store_partial p;
    struct store_reader *r;
    struct err e = {.text = ""};
    ok(store_reader_open(&r, g->l.db, &e), &e);
    struct buf texts;
    buf_init(&texts, 4096);
    enum st st = store_partial_find(r, indicator, from_ms, &p, &texts, &e);
    (void)snprintf(text, sizeof text, "none");
    if (st == ST_OK)
        (void)snprintf(text, sizeof text, "%s %s %s %llu/%llu %d r%u", p.value, p.numerator,
                       p.denominator, (unsigned long long)p.good, (unsigned long long)p.due,
                       p.reason, p.revision);
    buf_done(&texts);
    store_reader_close(r);
    return text;
}

struct events {
    const char *code;
    int n;
    char text[2048]; /* of all of them, in lines */
};

static inline bool event_is(void *ctx, const struct store_event *v)
{
    struct events *x = ctx;
    size_t n = strlen(x->text);
    if (strcmp(v->code, x->code) != 0)
        return true;
    x->n++;
    (void)snprintf(x->text + n, sizeof x->text - n, "%s\n", v->text);
    return true;
}

static inline struct events events_of(struct rig *g, const char *code)
{
    struct store_reader *r;
    struct err e = {.text = ""};
    struct events n = {.code = code};
    ok(store_reader_open(&r, g->l.db, &e), &e);
    ok(store_each_event(r, 0, 1000, event_is, &n, &e), &e);
    store_reader_close(r);
    return n;
}

static inline int events(struct rig *g, const char *code)
{
    return events_of(g, code).n;
}

#define AT(days) indicator_day_ms(DAY0 + (days))
#define END(days) (indicator_day_ms(DAY0 + (days) + 1) - 1)

/* What people ask for, by the way that they ask; id gets the correction's. */
static inline void ask_for(struct rig *g, struct store_ask ask, int64_t from_ms, int64_t to_ms,
                           char *id)
{
    struct err e = {.text = ""};
    struct store_reader *r = NULL;
    struct store_request q;
    char from[32], to[32];
    (void)snprintf(from, sizeof from, "%lld", (long long)from_ms);
    (void)snprintf(to, sizeof to, "%lld", (long long)to_ms);
    if (!ask.undo)
        ask.from = from;
    if (ask.kind == STORE_CORRECT && !ask.undo)
        ask.to = to;
    ok(store_reader_open(&r, g->l.db, &e), &e);
    ok(store_request_make(&q, &ask, "me", g->l.utc_ms, r, &e), &e);
    ok(store_request_put(g->l.db, &q, &e), &e);
    if (id)
        strcpy(id, q.correction);
    store_request_free(&q);
    store_reader_close(r);
    on(g, g->l.utc_ms + 4 * WINDOW);
    work(g);
}

static inline size_t times(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        n++;
    return n;
}

static inline void run_sql(struct rig *g, const char *sql)
{
    sqlite3 *h;
    assert_int_equal(sqlite3_open(g->l.db, &h), SQLITE_OK);
    char *why = NULL;
    if (sqlite3_exec(h, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s", why);
    sqlite3_close(h);
}

#endif
