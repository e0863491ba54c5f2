/* All indicators of the catalogue over 100 series of minutes, by the product's own code: indicator.
 *
 * month: a month of minutes into the folds, and every period's figure out of them. minute: what one
 * minute of the 100 series takes there. day: a day folded anew from a store that holds it in
 * windows of 5 minutes, with every figure compared. walk: the same day as it is sealed, batch by
 * batch. Prints `name value unit` lines, raw counts first; times are the thread's processor time.
 */
#include <inttypes.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "gateway/indicator/run_int.h"
#include "tests/support/line.h"

#define MINUTE INT64_C(60000)
#define WINDOW (5 * MINUTE)
#define DAYS 30
#define DAY0 20720
#define SERIES 100

static const struct {
    const char *device, *role, *stream;
    unsigned n; /* devices of that kind, each with a place of its own */
    const char *quantity[7];
} kinds[] = {{"air", NULL, NULL, 5, {"pm25", "pm10", "o3", "co", "so2", "no2", NULL}},
             {"grid", "grid", NULL, 3, {"energy_import", "energy_export", "active_power", NULL}},
             {"sun", "solar", NULL, 2, {"energy_import", "energy_export", "active_power", NULL}},
             {"food", NULL, "food", 5, {"fill", "weight", NULL}},
             {"rest", NULL, "other", 5, {"fill", "weight", NULL}},
             {"sky", NULL, NULL, 5, {"rain", "wind_speed", "noise_laeq", "water_level", NULL}},
             {"way", NULL, NULL, 5, {"path_state", "registration", "radio_technology", NULL}}};

struct bench {
    struct line l;
    struct indicator_cfg cfg;
    struct indicators x;
    uint32_t device[SERIES], series[SERIES], n;
    bool counter[SERIES];
};

static void refuse(const char *what, const struct err *e)
{
    (void)fprintf(stderr, "indicator: %s%s%s\n", what, e ? ": " : "", e ? e->text : "");
    exit(1);
}

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static enum st declare(void *ctx, struct store *s, struct err *e)
{
    struct bench *b = ctx;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (unsigned i = 0; i < kinds[k].n; i++) {
            char id[32], place[32];
            uint32_t device;
            (void)snprintf(id, sizeof id, "%s-%u", kinds[k].device, i);
            (void)snprintf(place, sizeof place, "place %u", i);
            const struct store_device d = {.id = id,
                                           .place = place,
                                           .role = kinds[k].role,
                                           .stream = kinds[k].stream,
                                           .source = "bus",
                                           .period_ms = MINUTE};
            ERR_TRY(store_add_device(s, &d, &device, e));
            for (size_t q = 0; kinds[k].quantity[q]; q++) {
                const struct store_series w = {.device = device,
                                               .point = kinds[k].quantity[q],
                                               .quantity = quantity_by_key(kinds[k].quantity[q]),
                                               .period_ms = MINUTE};
                b->counter[b->n] = w.quantity->counter;
                b->device[b->n] = device;
                ERR_TRY(store_add_series(s, &w, &b->series[b->n++], e));
            }
        }
    return indicators_declare(&b->x, s, e);
}

/* Wanders within what each quantity can be; counters grow. */
static struct num value(const struct bench *b, uint32_t i, int64_t minute)
{
    static uint32_t x = 1;
    x = x * 1664525 + 1013904223;
    if (b->counter[i])
        return num_dec(1000 + minute * 3, -2);
    return num_dec((int64_t)(x >> 16) % 9, 0);
}

static void minute(struct bench *b, int64_t t_ms)
{
    for (uint32_t i = 0; i < b->n;) {
        struct store_value v[8];
        struct store_poll p = {b->device[i], t_ms, t_ms, CLK_SYNCED, STORE_DEVICE, 0};
        for (; i < b->n && b->device[i] == p.device; i++)
            v[p.n++] = (struct store_value){value(b, i, t_ms / MINUTE % 100000), b->series[i], 0};
        if (store_put(b->l.store, &p, v, 0) != ST_OK)
            refuse("the queue is full", NULL);
    }
}

/* Every period's figure; how many. */
static uint64_t figures(struct day *d, struct fold_result *r)
{
    struct err e;
    uint64_t n = 0;
    for (uint32_t i = 0; i < d->in->n; i++) {
        int64_t step =
            d->in->v[i].def->period == INDICATOR_HOUR ? INDICATOR_HOUR_MS : INDICATOR_DAY_MS;
        for (int64_t t = d->from_ms; d->fold[i] && t < d->to_ms; t += step, n++)
            if (fold_result(d->fold[i], t, INT64_MAX, r, &e) != ST_OK)
                refuse("a figure", &e);
    }
    return n;
}

static void month(struct bench *b, struct store_reader *r)
{
    const struct instances *in = b->x.instances;
    struct day_stood *before = calloc(in->nfeeds, sizeof *before);
    struct fold_result x;
    struct err e;
    uint64_t readings = 0, n = 0;
    size_t held = mallinfo2().uordblks, most = 0;
    for (uint32_t f = 0; f < in->nfeeds; f++)
        before[f].t_ms = INT64_MIN;
    fold_result_init(&x);
    double since = cpu_ms(), puts = 0;
    for (int32_t day = DAY0; day < DAY0 + DAYS; day++) {
        struct day *d;
        if (day_open(&d, in, day, before, r, &e) != ST_OK)
            refuse("a day", &e);
        double at = cpu_ms();
        for (int64_t t = d->from_ms; t < d->to_ms; t += MINUTE)
            for (uint32_t f = 0; f < in->nfeeds; f++, readings++)
                if (day_put(d, f, t, value(b, f, t / MINUTE % 100000), 0, 1, &e) != ST_OK)
                    refuse("a reading", &e);
        puts += cpu_ms() - at;
        n += figures(d, &x);
        size_t now = mallinfo2().uordblks;
        most = now > held + most ? now - held : most;
        memcpy(before, d->stood, in->nfeeds * sizeof *before);
        day_close(d);
    }
    double took = cpu_ms() - since;
    fold_result_done(&x);
    free(before);
    printf("indicator.month_readings %" PRIu64 " 1\nindicator.month_figures %" PRIu64
           " 1\nindicator.instances %u 1\nindicator.series %u 1\n",
           readings, n, in->n, in->nfeeds);
    printf("indicator.month_s %.3f s\nindicator.minute_ms %.4f ms\nindicator.day_bytes %zu B\n",
           took / 1e3, puts / (DAYS * 1440.0), most);
}

static void work(struct run *r)
{
    struct err e = {.text = ""};
    enum st st;
    while ((st = run_step(r, &e)) == ST_OK)
        ;
    if (st != ST_NOT_FOUND)
        refuse("a step", &e);
}

/* Two days sealed, then the second one folded anew. */
static void day(struct bench *b)
{
    struct run *r;
    struct err e = {.text = ""};
    double walk = 0, best = 1e9;
    for (int64_t t = b->l.utc_ms; t < indicator_day_ms(DAY0 + 1) + 3 * WINDOW; t += MINUTE) {
        minute(b, t);
        line_to(&b->l, t + MINUTE);
    }
    size_t held = mallinfo2().uordblks;
    line_writer_start(&b->l);
    if (run_open(&r, &b->x, b->l.store, &b->l.clk, &e) != ST_OK)
        refuse("a run", &e);
    walk = cpu_ms();
    work(r);
    walk = cpu_ms() - walk;
    size_t more = mallinfo2().uordblks - held;
    for (int i = 0; i < 5; i++) {
        r->data_batch++; /* as if one more window had been looked at */
        run_mark(r, DAY0, 1);
        double at = cpu_ms();
        if (run_redo(r, &e) != ST_OK)
            refuse("a day anew", &e);
        at = cpu_ms() - at;
        best = at < best ? at : best;
    }
    printf("indicator.walk_ms %.1f ms\nindicator.day_ms %.1f ms\nindicator.run_bytes %zu B\n", walk,
           best, more);
    run_close(r);
    line_writer_stop(&b->l);
}

int main(void)
{
    static struct bench b;
    const char *const folders[] = {FP_SOURCE_DIR "/gateway/indicator/catalogue", NULL};
    struct buf complaints;
    struct store_reader *r;
    struct err e = {.text = ""};
    line_init(&b.l);
    buf_init(&complaints, INDICATOR_COMPLAINTS_MAX_BYTES);
    b.x.cfg = &b.cfg;
    if (indicator_catalogue_open(&b.x.catalogue, folders, &complaints, &e) != ST_OK)
        refuse("the catalogue", &e);
    b.l.devices = 0;
    b.l.declare = declare;
    b.l.declare_ctx = &b;
    b.l.seal_cfg.every_ms = WINDOW;
    b.l.utc_ms = indicator_day_ms(DAY0) - WINDOW;
    line_start(&b.l);
    if (store_reader_open(&r, b.l.db, &e) != ST_OK)
        refuse("a reader", &e);
    month(&b, r);
    store_reader_close(r);
    day(&b);
    line_done(&b.l);
    instances_close(b.x.instances);
    indicator_catalogue_close(b.x.catalogue);
    buf_done(&complaints);
    return 0;
}
