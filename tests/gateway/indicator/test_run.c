/* What is sealed becomes values, which are readings: once, complete, anew where something was said
 * later, and neither lost nor doubled where the power goes. On a real store, with real batches. */
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
    struct store_device meter;
    uint32_t warm, grid, temperature, energy;
};

static void ok(enum st st, const struct err *e)
{
    if (st != ST_OK)
        fail_msg("%s: %s", err_name(st), e->text);
}

static enum st declare(void *ctx, struct store *s, struct err *e)
{
    struct rig *g = ctx;
    const struct store_device warm = {
        .id = "th", .place = "gate", .source = "bus", .period_ms = STEP};
    ERR_TRY(store_add_device(s, &warm, &g->warm, e));
    const struct store_series t = {.device = g->warm,
                                   .point = "temperature",
                                   .quantity = quantity_by_key("temperature"),
                                   .period_ms = STEP};
    ERR_TRY(store_add_series(s, &t, &g->temperature, e));
    ERR_TRY(store_add_device(s, &g->meter, &g->grid, e));
    const struct store_series w = {.device = g->grid,
                                   .point = "energy",
                                   .quantity = quantity_by_key("energy_import"),
                                   .period_ms = STEP};
    ERR_TRY(store_add_series(s, &w, &g->energy, e));
    instances_close(g->x.instances);
    g->x.instances = NULL;
    return indicators_declare(&g->x, s, e);
}

static int setup(void **state)
{
    static struct rig g;
    memset(&g, 0, sizeof g);
    line_init(&g.l);
    folder_open(&g.f);
    folder_put(&g.f, "a-mean.yaml", MEAN);
    folder_put(&g.f, "b-hours.yaml", HOURS);
    folder_put(&g.f, "c-warm.yaml", WARM);
    folder_put(&g.f, "d-grown.yaml", GROWN);
    if (folder_load(&g.f, NULL) != ST_OK)
        fail_msg("%s", (const char *)g.f.complaints.p);
    g.x = (struct indicators){.cfg = &g.cfg, .catalogue = g.f.catalogue};
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

static int teardown(void **state)
{
    struct rig *g = *state;
    run_close(g->r);
    g->r = NULL;
    line_done(&g->l);
    instances_close(g->x.instances);
    folder_close(&g->f);
    return 0;
}

static void put(struct rig *g, uint32_t device, uint32_t series, int64_t t_ms, int64_t tenths)
{
    const struct store_poll p = {device, t_ms, t_ms, g->l.grade, STORE_DEVICE, 1};
    const struct store_value v = {num_dec(tenths, -1), series, 0};
    assert_int_equal(store_put(g->l.store, &p, &v, 0), ST_OK);
}

/* As main's thread: until nothing is to be done. */
static void work(struct rig *g)
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
static int64_t warmth(int64_t t_ms)
{
    return (t_ms - indicator_day_ms(DAY0)) % INDICATOR_DAY_MS / HOUR * 10;
}

static int64_t counted(int64_t t_ms)
{
    return (t_ms - indicator_day_ms(DAY0)) / MINUTE * 10 + 10000;
}

/* Goes on to t, with readings of a minute but for those of the thermometer within [but, till). */
static void go(struct rig *g, int64_t until_ms, int64_t but_ms, int64_t till_ms)
{
    for (int64_t t = g->l.utc_ms; t < until_ms; t += STEP) {
        if (t < but_ms || t >= till_ms)
            put(g, g->warm, g->temperature, t, warmth(t));
        put(g, g->grid, g->energy, t, counted(t));
        line_to(&g->l, t + STEP);
        if ((t + STEP) % HOUR == 0)
            work(g);
    }
}

static void on(struct rig *g, int64_t until_ms)
{
    go(g, until_ms, 0, 0);
}

static void day(struct rig *g, int days, int64_t but_ms, int64_t till_ms)
{
    go(g, indicator_day_ms(DAY0 + days) + 2 * WINDOW, but_ms, till_ms);
    work(g);
}

/* As a power cut does, after the last commit. */
static void cut(struct rig *g)
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

static bool see(void *ctx, const struct store_told_reading *t)
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
static const char *readings(struct rig *g, const char *device, int64_t t_ms)
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
static const char *partial(struct rig *g, const char *indicator, int64_t from_ms)
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
};

static bool event_is(void *ctx, const struct store_event *v)
{
    struct events *x = ctx;
    x->n += strcmp(v->code, x->code) == 0;
    return true;
}

static int events(struct rig *g, const char *code)
{
    struct store_reader *r;
    struct err e = {.text = ""};
    struct events n = {code, 0};
    ok(store_reader_open(&r, g->l.db, &e), &e);
    ok(store_each_event(r, 0, 1000, event_is, &n, &e), &e);
    store_reader_close(r);
    return n.n;
}

#define AT(days) indicator_day_ms(DAY0 + (days))
#define END(days) (indicator_day_ms(DAY0 + (days) + 1) - 1)

static void a_day_is_computed_once_it_is_sealed(void **state)
{
    struct rig *g = *state;
    on(g, AT(1) - 10 * MINUTE);
    work(g);
    assert_string_equal(partial(g, "a-mean", AT(0)), "none"); /* the day goes on */
    assert_string_equal(partial(g, "b-hours", AT(0) + 20 * HOUR), "20 20/1 1/1 12/12 0 r0");
    day(g, 1, 0, 0);
    assert_string_equal(partial(g, "a-mean", AT(0)), "11.5 23/2 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "b-hours", AT(0) + 23 * HOUR), "23 23/1 1/1 12/12 0 r0");
    assert_string_equal(partial(g, "c-warm", AT(0)), "18 18/1 1/1 24/24 0 r0");
    /* 1 a minute, in kilo: from the last one of the day before */
    assert_string_equal(partial(g, "d-grown", AT(0)), "1440 1440/1 1/1 288/288 0 r0");
    const char *said = readings(g, "a-mean", END(0));
    if (!strstr(said, "revision=0 value=11.5 numerator=11.5 denominator=1 due=288 good=288 "
                      "catalogue="))
        fail_msg("%s", said);
    assert_null(strstr(said, "reason"));
    assert_null(strstr(strstr(said, "value=") + 1, "value=")); /* once */
}

static void no_device_of_the_site_has_the_id_of_a_result(void **state)
{
    struct rig *g = *state;
    assert_true(indicators_id_used(&g->x, "a-mean"));
    assert_true(indicators_id_used(&g->x, "a-mean.gate"));
    assert_false(indicators_id_used(&g->x, "a-mean-2"));
    assert_false(indicators_id_used(&g->x, "th"));
}

static void what_comes_late_makes_a_new_revision_of_its_day_alone(void **state)
{
    struct rig *g = *state;
    day(g, 2, AT(0) + 3 * HOUR, AT(0) + 4 * HOUR);
    assert_string_equal(partial(g, "a-mean", AT(0)), "11.9 273/23 1/1 276/288 0 r0");
    assert_string_equal(partial(g, "b-hours", AT(0) + 3 * HOUR), "   0/12 1 r0");
    const char *said = readings(g, "b-hours", AT(0) + 4 * HOUR - 1);
    if (!strstr(said, "revision=0 due=12 good=0 catalogue=") || !strstr(said, "reason=1"))
        fail_msg("%s", said);
    for (int64_t t = AT(0) + 3 * HOUR; t < AT(0) + 4 * HOUR; t += STEP)
        put(g, g->warm, g->temperature, t, warmth(t));
    on(g, g->l.utc_ms + 3 * WINDOW);
    work(g);
    assert_string_equal(partial(g, "a-mean", AT(0)), "11.5 23/2 1/1 288/288 0 r1");
    assert_string_equal(partial(g, "b-hours", AT(0) + 3 * HOUR), "3 3/1 1/1 12/12 0 r1");
    assert_string_equal(partial(g, "b-hours", AT(0) + 4 * HOUR), "4 4/1 1/1 12/12 0 r0");
    assert_string_equal(partial(g, "c-warm", AT(0)), "18 18/1 1/1 24/24 0 r1"); /* 23 were good */
    assert_string_equal(partial(g, "d-grown", AT(0)), "1440 1440/1 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "a-mean", AT(1)), "11.5 23/2 1/1 288/288 0 r0");
    said = readings(g, "a-mean", END(0));
    const char *first = strstr(said, "revision=0 value=11.9"),
               *second = strstr(said, "revision=1 value=11.5");
    if (!first || !second || second < first)
        fail_msg("%s", said);
}

static void a_late_hour_of_the_open_day_is_said_again(void **state)
{
    struct rig *g = *state;
    go(g, AT(0) + 6 * HOUR, AT(0) + 3 * HOUR + 30 * MINUTE, AT(0) + 5 * HOUR);
    assert_string_equal(partial(g, "b-hours", AT(0) + 3 * HOUR), "3 3/1 1/1 6/12 0 r0");
    for (int64_t t = AT(0) + 5 * HOUR - STEP; t >= AT(0) + 3 * HOUR + 30 * MINUTE; t -= STEP)
        put(g, g->warm, g->temperature, t, warmth(t)); /* and out of order */
    day(g, 1, 0, 0);
    assert_string_equal(partial(g, "b-hours", AT(0) + 3 * HOUR), "3 3/1 1/1 12/12 0 r1");
    assert_string_equal(partial(g, "b-hours", AT(0) + 4 * HOUR), "4 4/1 1/1 12/12 0 r1");
    assert_string_equal(partial(g, "a-mean", AT(0)), "11.5 23/2 1/1 288/288 0 r0");
}

/* What people ask for, by the way that they ask; id gets the correction's. */
static void ask_for(struct rig *g, struct store_ask ask, int64_t from_ms, int64_t to_ms, char *id)
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

static void late_hours_of_the_open_day_in_order_are_said_again(void **state)
{
    struct rig *g = *state;
    int64_t from = AT(0) + 3 * HOUR + 30 * MINUTE, to = AT(0) + 6 * HOUR;
    go(g, to, from, to);
    assert_string_equal(partial(g, "b-hours", AT(0) + 4 * HOUR), "   0/12 1 r0");
    for (int64_t t = from; t < to; t += STEP)
        put(g, g->warm, g->temperature, t, warmth(t));
    on(g, to + 2 * HOUR);
    assert_string_equal(partial(g, "b-hours", AT(0) + 3 * HOUR), "3 3/1 1/1 12/12 0 r1");
    assert_string_equal(partial(g, "b-hours", AT(0) + 4 * HOUR), "4 4/1 1/1 12/12 0 r1");
}

static void a_counter_that_comes_late_over_midnight_moves_both_days(void **state)
{
    struct rig *g = *state;
    int64_t from = AT(1) - 2 * HOUR, to = AT(1) + 3 * HOUR;
    for (int64_t t = g->l.utc_ms; t < AT(1) + 8 * HOUR; t += STEP) {
        put(g, g->warm, g->temperature, t, warmth(t));
        if (t < from || t >= to)
            put(g, g->grid, g->energy, t, counted(t));
        line_to(&g->l, t + STEP);
        if ((t + STEP) % HOUR == 0)
            work(g);
    }
    assert_string_equal(partial(g, "d-grown", AT(0)), "1320 1320/1 1/1 264/288 0 r0");
    for (int64_t t = from; t < to; t += STEP)
        put(g, g->grid, g->energy, t, counted(t));
    day(g, 2, 0, 0);
    assert_string_equal(partial(g, "d-grown", AT(0)), "1440 1440/1 1/1 288/288 0 r1");
    assert_string_equal(partial(g, "d-grown", AT(1)), "1440 1440/1 1/1 288/288 0 r0");
}

static void what_is_corrected_is_computed_anew(void **state)
{
    struct rig *g = *state;
    char id[STORE_CORRECTION_BYTES];
    day(g, 2, 0, 0);
    ask_for(g,
            (struct store_ask){.kind = STORE_CORRECT,
                               .series = "th/temperature",
                               .change = "rescale",
                               .scale = "2",
                               .offset = "0",
                               .reason = "test"},
            AT(0), AT(1), id);
    assert_string_equal(partial(g, "a-mean", AT(0)), "23 23/1 1/1 288/288 0 r1");
    assert_string_equal(partial(g, "a-mean", AT(1)), "11.5 23/2 1/1 288/288 0 r0");
    ask_for(g, (struct store_ask){.kind = STORE_CORRECT, .undo = id, .reason = "test"}, 0, 0, NULL);
    assert_string_equal(partial(g, "a-mean", AT(0)), "11.5 23/2 1/1 288/288 0 r2");
}

static void times_that_are_found_later_count_in_their_day(void **state)
{
    struct rig *g = *state;
    day(g, 1, 0, 0);
    int64_t real = g->l.utc_ms;
    run_close(g->r);
    g->r = NULL;
    line_stop(&g->l);
    g->l.boots++; /* the machine comes up without a clock */
    g->l.grade = CLK_UNKNOWN;
    g->l.mono_ms = STEP;
    g->l.utc_ms = CLK_UNKNOWN_BASE_MS + STEP;
    line_start(&g->l);
    for (int64_t end = real + 3 * HOUR; real < end; real += STEP) {
        put(g, g->warm, g->temperature, g->l.utc_ms, warmth(real));
        put(g, g->grid, g->energy, g->l.utc_ms, counted(real));
        line_to(&g->l, g->l.utc_ms + STEP);
    }
    work(g);
    assert_string_equal(partial(g, "b-hours", AT(1) + HOUR), "none");
    g->l.grade = CLK_SYNCED;
    g->l.utc_ms = real;
    on(g, AT(1) + 8 * HOUR);
    assert_string_equal(partial(g, "b-hours", AT(1) + HOUR), "1 1/1 1/1 12/12 0 r0");
    day(g, 2, 0, 0);
    assert_string_equal(partial(g, "a-mean", AT(1)), "11.5 23/2 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "d-grown", AT(1)), "1440 1440/1 1/1 288/288 0 r0");
}

static void more_out_of_order_than_can_be_sorted_does_not_stop_the_rest(void **state)
{
    struct rig *g = *state;
    if (!getenv("FP_FULL")) {
        print_message("SKIPPED: 32768 readings out of order take half a minute; set FP_FULL\n");
        skip();
    }
    on(g, AT(0) + 3 * HOUR);
    for (int i = 0; i < DAY_LATE_MAX + 100; i++) { /* each before the one before */
        put(g, g->warm, g->temperature, AT(0) + HOUR - 1 - 50 * i, 0);
        if (i % 1000 == 0)
            line_step(&g->l, false);
    }
    day(g, 1, 0, 0);
    assert_true(events(g, "indicator.cut") > 0);
    assert_string_not_equal(partial(g, "a-mean", AT(0)), "none");
    assert_string_equal(partial(g, "d-grown", AT(0)), "1440 1440/1 1/1 288/288 0 r0");
}

static void a_device_is_what_it_was_on_that_day(void **state)
{
    struct rig *g = *state;
    g->was = (struct store_was){.until_day = DAY0, .role = "other"};
    g->meter.was = &g->was;
    g->meter.nwas = 1;
    cut(g);
    day(g, 2, 0, 0);
    assert_string_equal(partial(g, "d-grown", AT(0)), "none");
    assert_string_equal(partial(g, "d-grown", AT(1)), "1440 1440/1 1/1 288/288 0 r0");
}

static void a_restart_in_the_day_changes_nothing(void **state)
{
    struct rig *g = *state;
    on(g, AT(0) + 7 * HOUR + 20 * MINUTE);
    work(g);
    cut(g);
    on(g, AT(0) + 17 * HOUR + 40 * MINUTE);
    cut(g);
    day(g, 1, 0, 0);
    assert_string_equal(partial(g, "a-mean", AT(0)), "11.5 23/2 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "c-warm", AT(0)), "18 18/1 1/1 24/24 0 r0");
    assert_string_equal(partial(g, "d-grown", AT(0)), "1440 1440/1 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "b-hours", AT(0) + 7 * HOUR), "7 7/1 1/1 12/12 0 r0");
}

/* Up to a part of run_flush; then the power goes. */
static void cut_behind(struct rig *g, int parts)
{
    struct err e = {.text = ""};
    struct store_partial p = {.indicator = "a-mean",
                              .from_ms = AT(0),
                              .to_ms = AT(1),
                              .revision = 1,
                              .value = "99",
                              .numerator = "99/1",
                              .denominator = "1/1",
                              .due = 1,
                              .good = 1};
    line_writer_start(&g->l);
    ok(run_row_add(g->r, &p, 0, &e), &e);
    assert_string_equal(g->x.instances->v[0].id, "a-mean");
    ok(run_write(g->r, &e), &e);
    if (parts > 1)
        ok(run_put(g->r, &e), &e);
    if (parts > 2)
        ok(run_told(g->r, &e), &e);
    line_writer_stop(&g->l);
    cut(g);
}

static size_t times(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        n++;
    return n;
}

static void a_revision_is_there_once_wherever_the_power_goes(void **state)
{
    struct rig *g = *state;
    for (int parts = 1; parts <= 3; parts++) {
        for (int sealed = 0; sealed < 2; sealed++) {
            if (parts > 1 || sealed > 0) {
                teardown(state);
                setup(state);
            }
            day(g, 1, 0, 0);
            cut_behind(g, parts);
            if (sealed) /* it is in a batch before anyone looks */
                line_to(&g->l, g->l.utc_ms + 2 * WINDOW);
            work(g);
            work(g);
            const char *said = readings(g, "a-mean", END(0));
            if (times(said, "revision=1 value=99") != 1 || times(said, "revision=0") != 1)
                fail_msg("behind %d: %s", parts, said);
        }
    }
}

static void run_sql(struct rig *g, const char *sql)
{
    sqlite3 *h;
    assert_int_equal(sqlite3_open(g->l.db, &h), SQLITE_OK);
    char *why = NULL;
    if (sqlite3_exec(h, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s", why);
    sqlite3_close(h);
}

static void a_day_whose_batches_are_gone_stays_and_says_so(void **state)
{
    struct rig *g = *state;
    char sql[200];
    day(g, 3, 0, 0);
    run_close(g->r);
    g->r = NULL;
    line_stop(&g->l);
    (void)snprintf(sql, sizeof sql, "DELETE FROM batch WHERE kind = 0 AND to_ms <= %lld",
                   (long long)(AT(1) + 12 * HOUR));
    run_sql(g, sql);
    line_start(&g->l);
    ask_for(g,
            (struct store_ask){.kind = STORE_CORRECT,
                               .series = "th/temperature",
                               .change = "invalidate",
                               .reason = "test"},
            AT(0), AT(3), NULL);
    assert_string_equal(partial(g, "a-mean", AT(0)), "11.5 23/2 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "a-mean", AT(1)), "11.5 23/2 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "a-mean", AT(2)), "   0/288 1 r1");
    assert_int_equal(events(g, "indicator.kept"), 2);
}

static void a_meter_changed_in_the_night_is_one_counter(void **state)
{
    struct rig *g = *state;
    day(g, 2, 0, 0);
    assert_string_equal(partial(g, "d-grown", AT(1)), "1440 1440/1 1/1 288/288 0 r0");
    /* the new meter begins 10 below where the old one ended: so much more was counted */
    ask_for(g,
            (struct store_ask){.kind = STORE_MAINTAIN,
                               .series = "m/energy",
                               .work = "meter",
                               .detail = {{"last", "2440"}, {"first", "2430"}},
                               .details = 2},
            AT(1) - 30000, 0, NULL);
    assert_string_equal(partial(g, "d-grown", AT(0)), "1440 1440/1 1/1 288/288 0 r0");
    assert_string_equal(partial(g, "d-grown", AT(1)), "1450 1450/1 1/1 288/288 0 r1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_day_is_computed_once_it_is_sealed, setup, teardown),
        cmocka_unit_test_setup_teardown(what_comes_late_makes_a_new_revision_of_its_day_alone,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(no_device_of_the_site_has_the_id_of_a_result, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_late_hour_of_the_open_day_is_said_again, setup, teardown),
        cmocka_unit_test_setup_teardown(late_hours_of_the_open_day_in_order_are_said_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_counter_that_comes_late_over_midnight_moves_both_days,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_corrected_is_computed_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(times_that_are_found_later_count_in_their_day, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(more_out_of_order_than_can_be_sorted_does_not_stop_the_rest,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_device_is_what_it_was_on_that_day, setup, teardown),
        cmocka_unit_test_setup_teardown(a_restart_in_the_day_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_revision_is_there_once_wherever_the_power_goes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_day_whose_batches_are_gone_stays_and_says_so, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_meter_changed_in_the_night_is_one_counter, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
