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
    return (struct clk_time){l->utc_ms, l->grade};
}

static struct mono mono(void *ctx)
{
    struct line *l = ctx;
    return (struct mono){l->mono_ms};
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
    l->clk = (struct clk){now, mono, l};
    l->store_cfg = (struct store_cfg){l->db, INT64_C(1) << 30, INT64_C(60) * 86400000, 10000};
    l->seal_cfg = (struct seal_cfg){l->key, 60000, 5000};
    l->machine = "machine-a";
    l->devices = LINE_DEVICES;
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

void line_start(struct line *l)
{
    struct err e = {0};
    ok(store_open(&l->store, &l->store_cfg, "gw-01", &l->clk, &e), &e);
    for (uint32_t d = 0; d < l->devices; d++) {
        char id[16];
        snprintf(id, sizeof id, "dev-%u", d);
        struct store_device dev = {.id = id, .source = "bus", .period_ms = 10000};
        uint32_t at;
        ok(store_add_device(l->store, &dev, &at, &e), &e);
        for (uint32_t p = 0; p < LINE_POINTS; p++) {
            char point[16];
            snprintf(point, sizeof point, "p%u", p);
            struct store_series s = {at, point, quantity_by_key("temperature"), 10000};
            assert_non_null(s.quantity);
            ok(store_add_series(l->store, &s, &l->series[d][p], &e), &e);
        }
    }
    uint32_t up;
    ok(store_add_uplink(l->store, "city", true, &up, &e), &e);
    ok(store_start(l->store, &e), &e);
    ok(seal_open(&l->seal, &l->seal_cfg, "gw-01", l->machine, l->store, &l->clk, &e), &e);
}

void line_stop(struct line *l)
{
    seal_close(l->seal);
    store_close(l->store);
    l->seal = NULL;
    l->store = NULL;
}

static void put(struct line *l, uint32_t device, int64_t t_ms, struct num v, enum store_cause cause)
{
    struct store_poll p = {device, t_ms, t_ms, l->grade, cause, LINE_POINTS};
    struct store_value value[LINE_POINTS];
    for (uint32_t i = 0; i < LINE_POINTS; i++)
        value[i] = (struct store_value){v, l->series[device][i], 0};
    assert_int_equal(store_put(l->store, &p, value, 0), ST_OK);
}

void line_poll(struct line *l, uint32_t device, int64_t t_ms, int64_t v)
{
    put(l, device, t_ms, num_dec(v, -1), STORE_DEVICE);
}

void line_miss(struct line *l, uint32_t device, int64_t t_ms, enum store_cause cause)
{
    put(l, device, t_ms, (struct num){.kind = NUM_NONE}, cause);
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

void line_run(struct line *l, int64_t t_ms)
{
    while (l->utc_ms < t_ms) {
        for (uint32_t d = 0; l->utc_ms % 10000 == 0 && d < l->devices; d++)
            line_poll(l, d, l->utc_ms, l->utc_ms / 1000);
        int64_t next = (l->utc_ms / 10000 + 1) * 10000;
        line_to(l, next < t_ms ? next : t_ms);
    }
}

struct gather {
    struct line_batches *out;
    struct wire_pub *pub;
};

static bool gather_one(void *ctx, const struct store_batch *b)
{
    struct gather *g = ctx;
    struct err e = {0};
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

void line_batches(struct line *l, struct line_batches *out)
{
    struct err e = {0};
    struct wire_key *key;
    struct store_reader *r;
    memset(out, 0, sizeof *out);
    ok(wire_key_load(&key, l->key, &e), &e);
    struct wire_span der = wire_pub_der(wire_key_pub(key));
    struct gather g = {.out = out};
    ok(wire_pub_parse(&g.pub, der.p, der.n, &e), &e);
    ok(store_reader_open(&r, l->db, &e), &e);
    ok(store_each_batch(r, INT64_MIN, INT64_MAX, gather_one, &g, &e), &e);
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
