#include "tests/support/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "sensors/quantity.h"
#include "tests/support/temp.h"

static struct clk_time now(void *ctx)
{
    struct line *l = ctx;
    return (struct clk_time){l->utc_ms, l->grade, l->err_ms};
}

static struct mono mono(void *ctx)
{
    struct line *l = ctx;
    return (struct mono){l->mono_ms};
}

static void boot(void *ctx, char id[CLK_BOOT_BYTES])
{
    struct line *l = ctx;
    (void)snprintf(id, CLK_BOOT_BYTES, "machine-boot-%d", l->boots);
}

static void ok(enum st st, const struct err *e)
{
    if (st != ST_OK)
        fail_msg("%s: %s", err_name(st), e->text);
}

void line_init(struct line *l)
{
    struct err e = {0};
    memset(l, 0, sizeof *l);
    l->dir = temp_make();
    assert_non_null(l->dir);
    assert_true(asprintf(&l->db, "%s/fieldpost.db", l->dir) > 0);
    assert_true(asprintf(&l->key, "%s/device.key", l->dir) > 0);
    ok(wire_key_make(l->key, &e), &e);
    l->utc_ms = LINE_T0;
    l->mono_ms = 1000000;
    l->clk = (struct clk){now, mono, boot, l};
    l->store_cfg = (struct store_cfg){.path = l->db,
                                      .max_size_bytes = INT64_C(1) << 30,
                                      .keep_ms = INT64_C(60) * 86400000,
                                      .journal_every_ms = 10000};
    l->seal_cfg = (struct seal_cfg){.key = l->key, .every_ms = 60000, .max_readings = 5000};
    l->machine = "machine-a";
    l->gateway = "gw-01";
    l->devices = LINE_DEVICES;
    l->points = LINE_POINTS;
    for (uint32_t d = 0; d < LINE_DEVICES_MAX; d++)
        l->period_ms[d] = 10000;
    l->device_name = "dev-";
    l->point_name = "p";
}

void line_done(struct line *l)
{
    line_stop(l);
    temp_done(l->dir);
    free(l->db);
    free(l->key);
}

int line_setup(void **state)
{
    static struct line l;

    line_init(&l);
    *state = &l;
    return 0;
}

int line_teardown(void **state)
{
    line_done(*state);
    return 0;
}

static enum st add_devices(struct line *l, struct err *e)
{
    for (uint32_t d = 0; d < l->devices; d++) {
        char id[64];
        snprintf(id, sizeof id, "%s%u", l->device_name, d);
        struct store_device dev = {
            .id = id, .source = "bus", .period_ms = l->period_ms[d], .legal = l->legal[d]};
        uint32_t at, series;
        ERR_TRY(store_add_device(l->store, &dev, &at, e));
        for (uint32_t p = 0; p < l->points; p++) {
            char point[64];
            snprintf(point, sizeof point, "%s%u", l->point_name, p);
            const char *key = l->quantity ? l->quantity[d * l->points + p] : "temperature";
            struct store_limits limits = {0};
            struct store_series s = {.device = at,
                                     .point = point,
                                     .quantity = quantity_by_key(key),
                                     .period_ms = l->manual[d] ? 0 : l->period_ms[d],
                                     .phase_ms = l->phase_ms[d],
                                     .manual = l->manual[d] ? &limits : NULL};
            assert_non_null(s.quantity);
            if (l->manual[d] && s.quantity->limited) {
                limits.low = num_dec(s.quantity->min, -s.quantity->decimals);
                limits.high = num_dec(s.quantity->max, -s.quantity->decimals);
            }
            ERR_TRY(store_add_series(l->store, &s, &series, e));
            assert_int_equal(series, d * l->points + p);
        }
    }
    return ST_OK;
}

enum st line_try_start(struct line *l, struct err *e)
{
    uint32_t up;
    enum st st = store_open(&l->store, &l->store_cfg, l->gateway, &l->clk, e);
    if (st == ST_OK)
        st = add_devices(l, e);
    if (st == ST_OK)
        st = store_add_uplink(l->store, "city", true, &up, e);
    if (st == ST_OK && l->declare)
        st = l->declare(l->declare_ctx, l->store, e);
    if (st == ST_OK && l->second_uplink)
        st = store_add_uplink(l->store, "ward", l->second_required, &up, e);
    if (st == ST_OK)
        st = store_start(l->store, e);
    if (st == ST_OK)
        st = seal_open(&l->seal, &l->seal_cfg, l->gateway, l->machine, l->store, &l->clk, e);
    if (st != ST_OK)
        line_stop(l);
    return st;
}

void line_start(struct line *l)
{
    struct err e = {0};
    ok(line_try_start(l, &e), &e);
}

static void put(struct line *l, uint32_t device, int64_t t_ms, int64_t v, uint32_t good,
                enum store_cause cause)
{
    struct store_poll p = {device, t_ms, t_ms, l->grade, cause, l->points};
    static struct store_value value[STORE_POLL_MAX];
    for (uint32_t i = 0; i < l->points; i++)
        value[i] = (struct store_value){i < good ? num_dec(v, -1) : (struct num){.kind = NUM_NONE},
                                        device * l->points + i, 0};
    assert_int_equal(store_put(l->store, &p, value, 0), ST_OK);
}

void line_poll(struct line *l, uint32_t device, int64_t t_ms, int64_t v)
{
    put(l, device, t_ms, v, l->points, STORE_DEVICE);
}

void line_poll_part(struct line *l, uint32_t device, int64_t t_ms, int64_t v, uint32_t good)
{
    put(l, device, t_ms, v, good, STORE_DEVICE);
}

void line_miss(struct line *l, uint32_t device, int64_t t_ms, enum store_cause cause)
{
    put(l, device, t_ms, 0, 0, cause);
}

void line_step(struct line *l, bool flush)
{
    struct err e = {0};
    ok(store_step(l->store, flush, &e), &e);
    ok(seal_step(l->seal, &e), &e);
}

void line_to(struct line *l, int64_t t_ms)
{
    l->mono_ms += t_ms - l->utc_ms;
    l->utc_ms = t_ms;
    line_step(l, false);
}

static int64_t next_tick(const struct line *l, int64_t t_ms)
{
    int64_t next = INT64_MAX;
    for (uint32_t d = 0; d < l->devices; d++) {
        int64_t tick = (t_ms / l->period_ms[d] + 1) * l->period_ms[d];
        next = tick < next ? tick : next;
    }
    return next;
}

void line_run(struct line *l, int64_t t_ms)
{
    while (l->utc_ms < t_ms) {
        for (uint32_t d = 0; d < l->devices; d++)
            if (l->utc_ms % l->period_ms[d] == 0)
                line_poll(l, d, l->utc_ms, l->utc_ms / 1000);
        int64_t next = next_tick(l, l->utc_ms);
        line_to(l, next < t_ms ? next : t_ms);
    }
}

/* Not through cmocka, which ends a test from the test's own thread alone. The calls of the test
 * that wait for this thread are served in any case. */
static void writer_main(void *arg)
{
    struct line *l = arg;
    do { /* the clock stands: store_wait would not end */
        struct err e = {.text = ""};
        enum st st = store_step(l->store, false, &e);
        if (st != ST_OK && st != ST_FULL && l->writer_st == ST_OK) {
            l->writer_st = st;
            l->writer_err = e;
        }
    } while (!thr_stop_wait(&l->writer_stop, 1));
}

void line_writer_start(struct line *l)
{
    struct err e = {0};
    l->writer_st = ST_OK;
    ok(thr_stop_open(&l->writer_stop, &e), &e);
    ok(thr_start(&l->writer, "writer", writer_main, l, &e), &e);
}

static void end_writer(struct line *l)
{
    if (!l->writer.running)
        return;
    thr_stop_now(&l->writer_stop);
    thr_join(&l->writer);
    thr_stop_close(&l->writer_stop);
}

void line_writer_stop(struct line *l)
{
    end_writer(l);
    ok(l->writer_st, &l->writer_err);
}

void line_stop(struct line *l)
{
    end_writer(l); /* a test that failed meanwhile: it works on what goes now */
    seal_close(l->seal);
    store_close(l->store);
    l->seal = NULL;
    l->store = NULL;
}

enum st line_each_batch(struct store_reader *r,
                        bool (*each)(void *ctx, const struct store_batch *b), void *ctx,
                        struct err *e)
{
    struct store_batch b = {0};
    enum st st;
    while ((st = store_batch_behind(r, b.id, INT64_MIN, INT64_MAX, &b, e)) == ST_OK &&
           each(ctx, &b))
        ;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

struct gather {
    struct line_batches *out;
    struct wire_pub *pub;
};

static bool gather_one(void *ctx, const struct store_batch *b)
{
    struct gather *g = ctx;
    struct err e = {0};
    if (g->out->n && b->id <= g->out->v[g->out->n - 1].row.id)
        return true;
    g->out->v = realloc(g->out->v, (g->out->n + 1) * sizeof *g->out->v);
    assert_non_null(g->out->v);
    struct line_batch *x = &g->out->v[g->out->n++];
    memset(x, 0, sizeof *x);
    x->row = *b;
    buf_init(&x->cose, WIRE_BATCH_MAX);
    ok(wire_zstd_unpack(b->packed.p, b->packed.n, WIRE_BATCH_MAX, &x->cose, &e), &e);
    ok(wire_batch_open(&x->batch, x->cose.p, x->cose.n, &e), &e);
    ok(wire_cose_verify(&x->batch.cose, g->pub, &e), &e);
    return true;
}

/* What the entry says to the batches of its chain and boot; the latest wins (rule 19). */
static void apply_time(struct line_batches *b, const struct line_batch *by,
                       const struct wire_entry *x)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct wire_header *h = &b->v[i].batch.header;
        if (memcmp(h->chain, by->batch.header.chain, sizeof h->chain) != 0 ||
            memcmp(h->boot, x->boot.p, sizeof h->boot) != 0 || h->seq < x->seq_from ||
            h->seq > x->seq_to)
            continue;
        b->v[i].moved = true;
        b->v[i].add_ms = x->add_ms;
        b->v[i].err_ms = x->err_ms;
    }
}

static void apply_times(struct line_batches *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct wire_control c;
        struct wire_entry x;
        struct wire_span p = b->v[i].batch.cose.payload;
        if (b->v[i].batch.header.kind != WIRE_CONTROL)
            continue;
        assert_int_equal(wire_control_open(&c, p.p, p.n, NULL), ST_OK);
        while (wire_control_next(&c, &x, NULL) == ST_OK)
            if (x.kind == WIRE_ENTRY_TIME)
                apply_time(b, &b->v[i], &x);
    }
}

void line_batches(struct line *l, struct line_batches *out)
{
    memset(out, 0, sizeof *out);
    line_batches_more(l, out);
}

void line_batches_more(struct line *l, struct line_batches *out)
{
    struct err e = {0};
    struct wire_key *key;
    struct store_reader *r;
    ok(wire_key_load(&key, l->key, &e), &e);
    struct wire_span der = wire_pub_der(wire_key_pub(key));
    struct gather g = {.out = out};
    ok(wire_pub_parse(&g.pub, der.p, der.n, &e), &e);
    ok(store_reader_open(&r, l->db, &e), &e);
    ok(line_each_batch(r, gather_one, &g, &e), &e);
    apply_times(out);
    store_reader_close(r);
    wire_pub_free(g.pub);
    wire_key_free(key);
}

void line_batches_done(struct line_batches *b)
{
    for (size_t i = 0; i < b->n; i++) {
        wire_batch_done(&b->v[i].batch);
        buf_done(&b->v[i].cose);
    }
    free(b->v);
}

uint64_t line_sealed_readings(const struct line_batches *b)
{
    uint64_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        n += b->v[i].row.n;
    return n;
}

static bool count_one(void *ctx, const struct wire_reading *w)
{
    (void)w;
    ++*(uint64_t *)ctx;
    return true;
}

uint64_t line_pending_readings(struct line *l)
{
    struct err e = {0};
    struct store_reader *r;
    uint64_t n = 0;
    ok(store_reader_open(&r, l->db, &e), &e);
    ok(store_each_pending(r, count_one, &n, &e), &e);
    store_reader_close(r);
    return n;
}

/* ---- what the contract asks ---- */

static void assert_linked(const struct line_batch *p, const struct line_batch *x)
{
    const struct wire_header *h = &x->batch.header;
    uint8_t hash[WIRE_HASH_BYTES];
    wire_sha256(p->cose.p, p->cose.n, hash);
    assert_memory_equal(p->row.hash, hash, sizeof hash);
    if (memcmp(h->chain, p->batch.header.chain, sizeof h->chain) == 0) {
        assert_int_equal(h->seq, p->batch.header.seq + 1);
        assert_memory_equal(h->prev, hash, sizeof hash);
        if (!h->step)
            assert_int_equal(h->from_ms, p->batch.header.to_ms);
        return;
    }
    assert_int_equal(h->seq, 1);
    assert_true(h->after);
    assert_memory_equal(h->after_chain, p->batch.header.chain, sizeof h->after_chain);
    assert_int_equal(h->after_seq, p->batch.header.seq);
    assert_memory_equal(h->after_hash, hash, sizeof hash);
}

void line_assert_chain(const struct line_batches *b)
{
    assert_true(b->n > 0);
    assert_int_equal(b->v[0].batch.header.seq, 1);
    for (size_t i = 0; i < b->n; i++) {
        const struct wire_header *h = &b->v[i].batch.header;
        assert_true(h->from_ms <= h->to_ms);
        assert_true(h->from_ms >= CLK_UNKNOWN_BASE_MS);
        assert_int_equal(h->clk == CLK_UNKNOWN, h->to_ms < 2 * CLK_UNKNOWN_BASE_MS);
        if (i > 0)
            assert_linked(&b->v[i - 1], &b->v[i]);
    }
}

static bool gap_names(const struct line *l, const struct wire_gap *g, uint32_t device,
                      uint32_t point)
{
    char series[128], any[128];
    snprintf(series, sizeof series, "%s%u/%s%u", l->device_name, device, l->point_name, point);
    snprintf(any, sizeof any, "%s%u/*", l->device_name, device);
    return strcmp(g->series, "*") == 0 || strcmp(g->series, any) == 0 ||
           strcmp(g->series, series) == 0;
}

const char *line_cause(const struct line *l, const struct line_batches *b, uint32_t device,
                       uint32_t point, int64_t t_ms)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct wire_header *h = &b->v[i].batch.header;
        for (size_t g = 0; g < h->ngaps; g++)
            if (h->gaps[g].from_ms + b->v[i].add_ms <= t_ms &&
                t_ms < h->gaps[g].to_ms + b->v[i].add_ms &&
                gap_names(l, &h->gaps[g], device, point))
                return h->gaps[g].cause;
    }
    return NULL;
}

/* What a device's points have told of each second in [from, to). */
struct told {
    const struct line *l;
    uint32_t device;
    int64_t from_ms, to_ms;
    size_t seconds;
    uint8_t *cell; /* [points][seconds] of these two */
};
enum { TOLD_READING = 1, TOLD_GAP = 2, TOLD_NEAR = 4 };

static void told_corrected(struct told *t, const struct line_batch *b)
{
    const struct wire_header *h = &b->batch.header;
    int64_t period_ms = t->l->period_ms[t->device]; /* to the first tick of the clock of now */
    for (size_t i = 0; i < t->seconds; i++) {
        int64_t at_ms = t->from_ms + (int64_t)i * 1000;
        for (uint32_t p = 0; p < t->l->points; p++)
            if (at_ms + 1000 > h->from_ms + b->add_ms && at_ms <= h->to_ms + b->add_ms + period_ms)
                t->cell[p * t->seconds + i] |= TOLD_NEAR;
    }
}

/* Of corrected time: a gap over a reading is looked for at its very time, which is no whole second.
 */
static void told_readings(struct told *t, const struct line_batches *all,
                          const struct line_batch *b)
{
    bool corrected = b->moved || b->batch.header.clk == CLK_CORRECTED;
    struct wire_senml s;
    struct wire_reading r;
    char id[64];
    size_t skip = strlen(t->l->point_name);
    snprintf(id, sizeof id, "%s%u", t->l->device_name, t->device);
    assert_int_equal(wire_senml_open(&s, b->batch.cose.payload.p, b->batch.cose.payload.n,
                                     t->l->gateway, NULL, NULL),
                     ST_OK);
    while (wire_senml_next(&s, &r, NULL) == ST_OK) {
        char point[64];
        r.t_ms += b->add_ms;
        if (r.device.n != strlen(id) || memcmp(r.device.p, id, r.device.n) != 0 ||
            r.t_ms < t->from_ms || r.t_ms >= t->to_ms)
            continue;
        snprintf(point, sizeof point, "%.*s", (int)r.point.n, (const char *)r.point.p);
        unsigned long p = strtoul(point + skip, NULL, 10);
        if (corrected && line_cause(t->l, all, t->device, (uint32_t)p, r.t_ms))
            fail_msg("device %u point %lu has a gap over its reading at %lld", t->device, p,
                     (long long)r.t_ms);
        t->cell[p * t->seconds + (size_t)(r.t_ms - t->from_ms) / 1000] |= TOLD_READING;
    }
}

static void told_gap(struct told *t, const struct wire_gap *g, int64_t add_ms)
{
    for (uint32_t p = 0; p < t->l->points; p++) {
        if (!gap_names(t->l, g, t->device, p))
            continue;
        for (size_t i = 0; i < t->seconds; i++) {
            int64_t at_ms = t->from_ms + (int64_t)i * 1000;
            if (g->from_ms + add_ms <= at_ms && at_ms < g->to_ms + add_ms)
                t->cell[p * t->seconds + i] |= TOLD_GAP;
        }
    }
}

static void told_init(struct told *t, const struct line *l, const struct line_batches *b,
                      uint32_t device, int64_t from_ms, int64_t to_ms)
{
    *t = (struct told){l, device, (from_ms + 999) / 1000 * 1000, to_ms, 0, NULL};
    t->seconds = (size_t)(to_ms - t->from_ms + 999) / 1000;
    t->cell = calloc(l->points, t->seconds);
    assert_non_null(t->cell);
    for (size_t i = 0; i < b->n; i++) {
        const struct wire_header *h = &b->v[i].batch.header;
        for (size_t g = 0; g < h->ngaps; g++)
            told_gap(t, &h->gaps[g], b->v[i].add_ms);
        if (h->kind == WIRE_DATA && (b->v[i].moved || h->clk == CLK_CORRECTED))
            told_corrected(t, &b->v[i]);
        if (h->kind == WIRE_DATA)
            told_readings(t, b, &b->v[i]);
    }
}

/* In time that was corrected something near will do: the ticks were of another clock. */
static bool is_told(const struct told *t, uint32_t point, size_t second)
{
    const uint8_t *cell = t->cell + point * t->seconds;
    size_t near = cell[second] & TOLD_NEAR ? (size_t)(t->l->period_ms[t->device] / 1000) : 0;
    bool told = false;
    for (size_t i = second > near ? second - near : 0; i <= second + near && i < t->seconds; i++)
        told = told || (cell[i] & (TOLD_READING | TOLD_GAP)) != 0;
    return told;
}

static void assert_no_silence(const struct told *t)
{
    for (uint32_t p = 0; p < t->l->points; p++)
        for (size_t i = 0; i < t->seconds; i++) {
            int64_t at_ms = t->from_ms + (int64_t)i * 1000;
            if (at_ms % t->l->period_ms[t->device] == 0 && !is_told(t, p, i))
                fail_msg("device %u point %u has neither reading nor gap at %lld", t->device, p,
                         (long long)at_ms);
        }
}

static void assert_no_gap_over_readings(const struct told *t)
{
    for (size_t i = 0; i < t->l->points * t->seconds; i++)
        if ((t->cell[i] & ~TOLD_NEAR) == (TOLD_READING | TOLD_GAP) && !(t->cell[i] & TOLD_NEAR))
            fail_msg("device %u point %zu has a gap over its reading at %lld", t->device,
                     i / t->seconds, (long long)(t->from_ms + (int64_t)(i % t->seconds) * 1000));
}

void line_assert_told(const struct line *l, const struct line_batches *b, uint32_t device,
                      int64_t from_ms, int64_t to_ms)
{
    struct told t;
    told_init(&t, l, b, device, from_ms, to_ms);
    assert_no_silence(&t);
    free(t.cell);
}

void line_assert_all_told(const struct line *l, const struct line_batches *b, int64_t from_ms,
                          int64_t to_ms)
{
    for (uint32_t d = 0; d < l->devices; d++) {
        struct told t;
        told_init(&t, l, b, d, from_ms, to_ms);
        assert_no_silence(&t);
        assert_no_gap_over_readings(&t);
        free(t.cell);
    }
}
