/* A day as the city holds it, beside the digests that the gateway sealed of it. */
#include "tests/gateway/city/site.h"

#define MIDNIGHT INT64_C(1795021200000) /* 2026-11-18T17:00:00Z, behind T0 */
#define DAY "2026-11-18"

static int start(void **state)
{
    *state = site_open();
    return 0;
}

static int stop(void **state)
{
    site_close(*state);
    return 0;
}

#define OLD 0xaa
#define NEW 0xbb

static struct sealed data_to(const struct site *s, uint64_t seq, const struct sealed *before,
                             int64_t to_ms)
{
    struct wire_header h = header_of(OLD, seq, before);
    const struct wire_gap gap = {"air-1/*", to_ms - WINDOW_MS, to_ms - 1000, "bus"};
    struct buf p;
    h.to_ms = to_ms;
    h.from_ms = to_ms - WINDOW_MS;
    h.gaps = &gap;
    h.ngaps = 1;
    payload_make(&p, "gw-1/air-1/", &h, 3);
    struct sealed b = seal(&h, &p, s->key);
    buf_done(&p);
    return b;
}

static struct sealed control(const struct site *s, uint8_t chain, uint64_t seq,
                             const struct sealed *before, const struct buf *entry)
{
    struct wire_header h = header_of(chain, seq, before);
    struct buf p;
    h.kind = WIRE_CONTROL;
    h.from_ms = h.to_ms = MIDNIGHT;
    buf_init(&p, WIRE_BATCH_MAX);
    assert_int_equal(wire_put_array(&p, 1), ST_OK);
    assert_int_equal(buf_put(&p, entry->p, entry->n), ST_OK);
    struct sealed b = seal(&h, &p, s->key);
    buf_done(&p);
    return b;
}

static struct sealed digest(const struct site *s, uint64_t seq, const struct sealed *before,
                            const struct wire_digest *d)
{
    struct buf p;
    buf_init(&p, 4096);
    assert_int_equal(wire_put_digest(&p, d), ST_OK);
    struct sealed b = control(s, OLD, seq, before, &p);
    buf_done(&p);
    return b;
}

/* What the chain that follows says of the first one. */
static struct sealed rest(const struct site *s, uint64_t seq, const struct sealed *before,
                          const struct wire_digest *d)
{
    static const uint8_t old[WIRE_ID_BYTES] = {OLD, OLD, OLD, OLD, OLD, OLD, OLD, OLD};
    struct buf p;
    buf_init(&p, 4096);
    assert_int_equal(wire_put_rest(&p, old, d), ST_OK);
    struct sealed b = control(s, NEW, seq, before, &p);
    buf_done(&p);
    return b;
}

static void fold(struct wire_digest *d, const struct sealed *b, size_t n)
{
    memset(d->hash, 0, sizeof d->hash);
    for (size_t i = 0; i < n; i++)
        wire_days_fold(d->hash, b[i].hash);
}

/* The one run of the day, as the city signs it. */
struct run {
    uint64_t from, to, held, readings, gaps, sealed_in;
    bool whole, sealed, elsewhere;
    uint8_t in[WIRE_ID_BYTES];
    uint8_t hash[WIRE_HASH_BYTES], said[WIRE_HASH_BYTES];
};

static uint64_t next_uint(struct wire_reader *r)
{
    struct wire_item it;
    assert_int_equal(wire_next(r, &it, NULL), ST_OK);
    assert_int_equal(it.type, WIRE_UINT);
    return it.u;
}

static bool next_hash(struct wire_reader *r, uint8_t out[WIRE_HASH_BYTES])
{
    struct wire_item it;
    assert_int_equal(wire_next(r, &it, NULL), ST_OK);
    if (it.type == WIRE_NULL)
        return false;
    assert_int_equal(it.span.n, WIRE_HASH_BYTES);
    memcpy(out, it.span.p, WIRE_HASH_BYTES);
    return true;
}

static void key_is(struct wire_reader *r, const char *want)
{
    struct wire_item it;
    assert_int_equal(wire_next(r, &it, NULL), ST_OK);
    assert_int_equal(it.type, WIRE_TEXT);
    assert_int_equal(it.span.n, strlen(want));
    assert_memory_equal(it.span.p, want, it.span.n);
}

static struct run run_next(struct wire_reader *r)
{
    struct run x = {0};
    struct wire_item it;
    assert_int_equal(wire_next(r, &it, NULL), ST_OK);
    assert_int_equal(it.type, WIRE_MAP);
    x.elsewhere = it.u == 8;
    if (x.elsewhere) {
        key_is(r, "in");
        assert_int_equal(wire_next(r, &it, NULL), ST_OK);
        assert_int_equal(it.span.n, sizeof x.in);
        memcpy(x.in, it.span.p, sizeof x.in);
    }
    key_is(r, "seq");
    assert_int_equal(wire_next(r, &it, NULL), ST_OK);
    x.from = next_uint(r);
    x.to = next_uint(r);
    key_is(r, "gaps");
    x.gaps = next_uint(r);
    key_is(r, "hash");
    x.whole = next_hash(r, x.hash);
    key_is(r, "held");
    x.held = next_uint(r);
    key_is(r, "chain");
    assert_int_equal(wire_next(r, &it, NULL), ST_OK);
    key_is(r, "sealed");
    assert_int_equal(wire_next(r, &it, NULL), ST_OK);
    x.sealed = it.type == WIRE_ARRAY;
    if (x.sealed) {
        x.sealed_in = next_uint(r);
        (void)next_uint(r);
        (void)next_uint(r);
        assert_true(next_hash(r, x.said));
    }
    key_is(r, "readings");
    x.readings = next_uint(r);
    return x;
}

static size_t ask(struct site *s, const char *day, struct run *out, size_t max)
{
    struct wire_cose c;
    struct wire_item it;
    char path[128];
    snprintf(path, sizeof path, "/v1/gateways/gw-1/digest?day=%s", day);
    assert_int_equal(site_call(s, "GET", path, NULL, 0, NULL), 200);
    /* no reader of ours takes it apart: the envelope is that of a head but for its type */
    struct wire_reader r = {s->reply.body.p, s->reply.body.p, s->reply.body.p + s->reply.body.n};
    c.whole = (struct wire_span){s->reply.body.p, s->reply.body.n};
    for (int i = 0; i < 6; i++) {
        assert_int_equal(wire_next(&r, &it, NULL), ST_OK);
        if (i == 2)
            c.protected_ = it.span;
        if (i == 4)
            c.payload = it.span;
        if (i == 5)
            c.signature = it.span;
    }
    assert_int_equal(wire_cose_verify(&c, wire_key_pub(s->sign), NULL), ST_OK);
    assert_non_null(
        memmem(c.protected_.p, c.protected_.n, "application/vnd.fieldpost.digest+cbor", 37));
    r = (struct wire_reader){c.payload.p, c.payload.p, c.payload.p + c.payload.n};
    assert_int_equal(wire_next(&r, &it, NULL), ST_OK);
    assert_int_equal(it.u, 5);
    for (const char *const *k = (const char *const[]){"v", "gw", "day", "made", NULL}; *k; k++) {
        key_is(&r, *k);
        assert_int_equal(wire_next(&r, &it, NULL), ST_OK);
    }
    key_is(&r, "runs");
    assert_int_equal(wire_next(&r, &it, NULL), ST_OK);
    assert_true(it.u <= max);
    for (size_t i = 0; i < it.u; i++)
        out[i] = run_next(&r);
    assert_ptr_equal(r.p, r.end);
    return it.u;
}

static void a_day_is_reckoned_and_stands_beside_what_was_sealed(void **state)
{
    struct site *s = *state;
    struct sealed b[5];
    struct run x[2];
    b[0] = data_to(s, 1, NULL, MIDNIGHT - WINDOW_MS);
    b[1] = data_to(s, 2, &b[0], MIDNIGHT);
    struct wire_digest d = {
        .day = wire_day_of(MIDNIGHT - 1), .seq_from = 1, .seq_to = 2, .readings = 12, .gaps = 2};
    fold(&d, b, 2);
    b[2] = digest(s, 3, &b[1], &d);
    b[3] = data_to(s, 4, &b[2], MIDNIGHT + WINDOW_MS);
    assert_int_equal(ask(s, DAY, x, 2), 0);
    assert_int_equal(site_put(s, &b[1]), 201);
    assert_int_equal(ask(s, DAY, x, 2), 1);
    assert_false(x[0].whole); /* the first is not here yet */
    assert_int_equal(x[0].from, 1);
    assert_int_equal(x[0].held, 1);
    assert_int_equal(site_put(s, &b[0]), 201);
    assert_int_equal(site_put(s, &b[3]), 201);
    assert_int_equal(ask(s, DAY, x, 2), 1);
    assert_true(x[0].whole);
    assert_false(x[0].sealed);
    assert_int_equal(x[0].to, 2);
    assert_memory_equal(x[0].hash, d.hash, sizeof d.hash);
    assert_int_equal(site_put(s, &b[2]), 201);
    assert_int_equal(ask(s, DAY, x, 2), 1);
    assert_true(x[0].sealed);
    assert_int_equal(x[0].sealed_in, 3);
    assert_int_equal(x[0].readings, 12);
    assert_int_equal(x[0].gaps, 2);
    assert_memory_equal(x[0].said, d.hash, sizeof d.hash);
    /* the next day begins with the batch of the digest */
    assert_int_equal(ask(s, "2026-11-19", x, 2), 1);
    assert_int_equal(x[0].from, 3);
    assert_int_equal(x[0].to, 4);
    for (size_t i = 0; i < 4; i++)
        sealed_done(&b[i]);
}

static void given_up_batches_have_the_hash_that_a_void_names(void **state)
{
    struct site *s = *state;
    struct sealed b[6];
    struct run x[2];
    struct buf p;
    b[0] = data_to(s, 1, NULL, MIDNIGHT - 3 * WINDOW_MS);
    b[1] = data_to(s, 2, &b[0], MIDNIGHT - 2 * WINDOW_MS);
    b[2] = data_to(s, 3, &b[1], MIDNIGHT - WINDOW_MS);
    b[3] = data_to(s, 4, &b[2], MIDNIGHT);
    uint8_t lost[2][WIRE_HASH_BYTES];
    memcpy(lost[0], b[1].hash, WIRE_HASH_BYTES);
    memcpy(lost[1], b[2].hash, WIRE_HASH_BYTES);
    buf_init(&p, 4096);
    assert_int_equal(wire_put_void(&p, 2, 3, (const uint8_t(*)[WIRE_HASH_BYTES])lost, "refused"),
                     ST_OK);
    b[4] = control(s, OLD, 5, &b[3], &p);
    buf_done(&p);
    assert_int_equal(site_put(s, &b[0]), 201);
    assert_int_equal(site_put(s, &b[3]), 201);
    assert_int_equal(ask(s, DAY, x, 2), 1);
    assert_false(x[0].whole);
    assert_int_equal(site_put(s, &b[4]), 201);
    assert_int_equal(ask(s, DAY, x, 2), 1);
    struct wire_digest want;
    fold(&want, b, 4);
    assert_true(x[0].whole);
    assert_int_equal(x[0].held, 2);
    assert_memory_equal(x[0].hash, want.hash, sizeof want.hash);
    for (size_t i = 0; i < 5; i++)
        sealed_done(&b[i]);
}

static void what_a_later_chain_tells_stands_beside_the_day(void **state)
{
    struct site *s = *state;
    struct sealed b[2], r[2], own;
    struct run x[2];
    b[0] = data_to(s, 1, NULL, MIDNIGHT - WINDOW_MS);
    b[1] = data_to(s, 2, &b[0], MIDNIGHT);
    struct wire_digest d = {
        .day = wire_day_of(MIDNIGHT - 1), .seq_from = 1, .seq_to = 2, .readings = 12, .gaps = 2};
    fold(&d, b, 2);
    r[0] = rest(s, 1, NULL, &d);
    assert_int_equal(site_put(s, &r[0]), 201); /* before the city has heard of that chain */
    assert_int_equal(ask(s, DAY, x, 2), 0);
    assert_int_equal(site_put(s, &b[0]), 201);
    assert_int_equal(site_put(s, &b[1]), 201);
    assert_int_equal(ask(s, DAY, x, 2), 1);
    assert_true(x[0].whole && x[0].sealed && x[0].elsewhere);
    assert_memory_equal(x[0].in, r[0].chain, sizeof x[0].in);
    assert_int_equal(x[0].sealed_in, 1);
    assert_memory_equal(x[0].said, d.hash, sizeof d.hash);
    assert_memory_equal(x[0].hash, d.hash, sizeof d.hash);
    struct wire_digest other = d; /* the first that was told counts, */
    memset(other.hash, 7, sizeof other.hash);
    r[1] = rest(s, 2, &r[0], &other);
    assert_int_equal(site_put(s, &r[1]), 201);
    assert_int_equal(ask(s, DAY, x, 2), 1);
    assert_int_equal(x[0].sealed_in, 1);
    own = digest(s, 3, &b[1], &other); /* and what the chain says of itself before any other */
    assert_int_equal(site_put(s, &own), 201);
    assert_int_equal(ask(s, DAY, x, 2), 1);
    assert_true(x[0].sealed && !x[0].elsewhere);
    assert_int_equal(x[0].sealed_in, 3);
    assert_memory_equal(x[0].said, other.hash, sizeof other.hash);
    sealed_done(&b[0]);
    sealed_done(&b[1]);
    sealed_done(&r[0]);
    sealed_done(&r[1]);
    sealed_done(&own);
}

static void a_day_that_is_none_is_refused(void **state)
{
    struct site *s = *state;
    static const char *const paths[] = {"gw-1/digest", "gw-1/digest?day=2026-02-30",
                                        "gw-1/digest?day=yesterday"};
    char path[128];
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "/v1/gateways/%s", paths[i]);
        assert_int_equal(site_call(s, "GET", path, NULL, 0, NULL), 400);
    }
    assert_int_equal(site_call(s, "GET", "/v1/gateways/gw-9/digest?day=" DAY, NULL, 0, NULL), 404);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
        TEST(a_day_is_reckoned_and_stands_beside_what_was_sealed),
        TEST(given_up_batches_have_the_hash_that_a_void_names),
        TEST(what_a_later_chain_tells_stands_beside_the_day),
        TEST(a_day_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
