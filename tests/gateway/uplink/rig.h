/* A real store, a real TLS server that plays the city, and the uplink's own thread between. */
#ifndef TESTS_GATEWAY_UPLINK_RIG_H
#define TESTS_GATEWAY_UPLINK_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "gateway/uplink/uplink_int.h"
#include "tests/support/cert.h"
#include "tests/support/temp.h"

#define GW "gw-01"
#define SEEN_MAX 64
#define STEPS_MAX 20000 /* of 1 ms and more each: a test that gets no further fails */
#define T0 INT64_C(1790000000000)

struct seen {
    uint64_t seq;
    bool backfill;
    int64_t at_ms; /* of the rig's clock */
};

struct city {
    char *dir, cert[128], tls_key[128], sign_key[128], pub[128], other_key[128], url[128];
    struct wire_key *sign, *other;
    struct http_server *server;
    /* Fills the answer to one PUT; `again` counts the earlier ones of this number. */
    void (*answer)(struct city *c, uint64_t seq, const uint8_t *hash, unsigned again,
                   struct http_answer *a);
    pthread_mutex_t lock;
    struct seen seen[SEEN_MAX]; /* under lock */
    size_t nseen;
    uint64_t through_seq;
    uint8_t through_hash[WIRE_HASH_BYTES];
    bool damaged; /* some bytes were not what the store holds */
    /* The head: signed by this key it says that 1 and 2 are here; NULL: there is none. */
    const struct wire_key *head_key;
    uint8_t two[WIRE_HASH_BYTES];
    uint64_t missing[1][2]; /* what it says is missing; 0: nothing */
    unsigned heads;         /* how often it was asked for; under lock */
    /* Configurations: whether it keeps them, what it holds, how it answers (0: it takes them);
     * under lock: how often one came, and how many batches had come before the last. */
    bool keeps;
    uint8_t config[WIRE_HASH_BYTES];
    int config_answer;
    unsigned configs;
    size_t configs_behind;
    /* What it announced of its own keys; under lock. */
    struct buf notices;
    uint64_t trust; /* what the head says of them */
    unsigned asked; /* how often they were asked for */
    bool waits;     /* the answer to that waits until it is false, and `goes` was told */
    pthread_cond_t goes;
    const atomic_llong *clock_ms;
};

struct rig {
    struct city city;
    char db[128], key_path[128];
    struct wire_key *key;
    atomic_llong mono_ms, utc_ms;
    atomic_int grade;
    struct clk clk;
    struct store *store;
    struct store_chain chain;
    struct uplinks *uplinks;
    struct uplink_job job;
    struct thr_stop stop;
    struct thr thread;
    atomic_bool ended;
    struct cfg_items cfg;
    struct uplink_cfg entry;
    char *keys[1];
};

static void ok(enum st st, const struct err *e)
{
    if (st != ST_OK) {
        fail_msg("%s: %s", err_name(st), e->text);
    }
}

/* ---- the city ---- */

static void receipt(struct city *c, uint64_t seq, const uint8_t *hash, const struct wire_key *key,
                    struct http_answer *a)
{
    struct wire_receipt r = {.gw = GW, .seq = seq, .n = 1, .received_ms = T0};
    memset(r.chain, 7, WIRE_ID_BYTES);
    memcpy(r.sha256, hash, WIRE_HASH_BYTES);
    (void)pthread_mutex_lock(&c->lock);
    if (seq == c->through_seq + 1) {
        c->through_seq = seq;
        memcpy(c->through_hash, hash, WIRE_HASH_BYTES);
    }
    r.through_seq = c->through_seq;
    memcpy(r.through_hash, c->through_hash, WIRE_HASH_BYTES);
    (void)pthread_mutex_unlock(&c->lock);
    a->status = 201;
    a->content_type = "application/cose; cose-type=\"cose-sign1\"";
    buf_init(&a->body, 4096);
    struct err e = {0};
    if (wire_receipt_sign(&r, wire_key_signer(key), &a->body, &e) != ST_OK) {
        a->status = 500;
    }
}

static void take_all(struct city *c, uint64_t seq, const uint8_t *hash, unsigned again,
                     struct http_answer *a)
{
    (void)again;
    receipt(c, seq, hash, c->sign, a);
}

static void problem(struct http_answer *a, int status, const char *code, const uint8_t *hash)
{
    char hex[2 * WIRE_HASH_BYTES + 1];
    wire_hex(hash, WIRE_HASH_BYTES, hex);
    http_problem(a, status, code, "as the test wants it", "sha256", hex);
}

static void on_put(void *ctx, const struct http_request *q, struct http_answer *a)
{
    struct city *c = ctx;
    struct buf cose;
    uint8_t hash[WIRE_HASH_BYTES];
    unsigned again = 0;
    uint64_t seq = strtoull(q->param[2], NULL, 10);
    const char *type = http_header(q, "Content-Type"), *zstd = http_header(q, "Content-Encoding");
    buf_init(&cose, WIRE_BATCH_MAX);
    bool good = wire_zstd_unpack(q->body, q->body_n, WIRE_BATCH_MAX, &cose, NULL) == ST_OK &&
                type && strcmp(type, "application/cose; cose-type=\"cose-sign1\"") == 0 && zstd &&
                strcmp(zstd, "zstd") == 0 && strcmp(q->param[0], GW) == 0;
    wire_sha256(cose.p, cose.n, hash);
    buf_done(&cose);
    (void)pthread_mutex_lock(&c->lock);
    c->damaged |= !good;
    for (size_t i = 0; i < c->nseen; i++) {
        again += c->seen[i].seq == seq;
    }
    if (c->nseen < SEEN_MAX) {
        const char *late = http_header(q, "Fieldpost-Backfill");
        c->seen[c->nseen++] =
            (struct seen){seq, late && strcmp(late, "1") == 0, atomic_load(c->clock_ms)};
    }
    (void)pthread_mutex_unlock(&c->lock);
    c->answer(c, seq, hash, again, a);
}

static void on_head(void *ctx, const struct http_request *q, struct http_answer *a)
{
    struct city *c = ctx;
    struct wire_head_chain chain = {.through_seq = 2};
    struct wire_head h = {.gw = GW, .chains = &chain, .nchains = 1};
    const char *nonce = http_query(q, "nonce");
    struct err e = {0};
    (void)pthread_mutex_lock(&c->lock);
    c->heads++;
    (void)pthread_mutex_unlock(&c->lock);
    if (!c->head_key || !nonce || strlen(nonce) > sizeof(h.nonce)) {
        problem(a, 404, "no_head", c->two);
        return;
    }
    memset(chain.chain, 7, WIRE_ID_BYTES);
    memcpy(chain.through_hash, c->two, WIRE_HASH_BYTES);
    chain.missing = c->missing;
    chain.nmissing = c->missing[0][0] != 0;
    (void)pthread_mutex_lock(&c->lock);
    h.trust = c->trust;
    (void)pthread_mutex_unlock(&c->lock);
    h.nonce_n = strlen(nonce);
    memcpy(h.nonce, nonce, h.nonce_n);
    h.keeps_config = c->keeps;
    memcpy(h.config, c->config, sizeof(h.config));
    a->status = 200;
    a->content_type = "application/cose; cose-type=\"cose-sign1\"";
    buf_init(&a->body, 4096);
    if (wire_head_sign(&h, wire_key_signer(c->head_key), &a->body, &e) != ST_OK) {
        a->status = 500;
    }
}

static void on_config(void *ctx, const struct http_request *q, struct http_answer *a)
{
    struct city *c = ctx;
    const char *zstd = http_header(q, "Content-Encoding");
    (void)pthread_mutex_lock(&c->lock);
    c->damaged |= !zstd || strcmp(zstd, "zstd") != 0 || q->body_n != 4;
    c->configs++;
    c->configs_behind = c->nseen;
    int status = c->config_answer;
    (void)pthread_mutex_unlock(&c->lock);
    a->status = 201;
    a->content_type = "application/json";
    if (status) {
        problem(a, status, "conflict", c->two);
    }
}

static void on_trust(void *ctx, const struct http_request *q, struct http_answer *a)
{
    struct city *c = ctx;
    (void)q;
    buf_init(&a->body, WIRE_BATCH_MAX);
    (void)pthread_mutex_lock(&c->lock);
    c->asked++;
    while (c->waits) {
        (void)pthread_cond_wait(&c->goes, &c->lock);
    }
    a->status = buf_put(&a->body, c->notices.p, c->notices.n) == ST_OK ? 200 : 500;
    (void)pthread_mutex_unlock(&c->lock);
    a->content_type = "application/cbor-seq";
}

static const struct http_route routes[] = {
    {"GET", "/v1/trust", 0, on_trust},
    {"GET", "/v1/gateways/{gw}/head", 0, on_head},
    {"PUT", "/v1/gateways/{gw}/config", WIRE_BATCH_MAX, on_config},
    {"PUT", "/v1/gateways/{gw}/batches/{chain}/{seq}", WIRE_BATCH_MAX, on_put}};

static void city_open(struct city *c)
{
    struct err e = {0};
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_cond_init(&c->goes, NULL);
    c->answer = take_all;
    buf_init(&c->notices, WIRE_BATCH_MAX);
    c->dir = temp_make();
    assert_non_null(c->dir);
    (void)snprintf(c->cert, sizeof(c->cert), "%s/tls.pem", c->dir);
    (void)snprintf(c->tls_key, sizeof(c->tls_key), "%s/tls.key", c->dir);
    (void)snprintf(c->sign_key, sizeof(c->sign_key), "%s/sign.key", c->dir);
    (void)snprintf(c->other_key, sizeof(c->other_key), "%s/other.key", c->dir);
    (void)snprintf(c->pub, sizeof(c->pub), "%s/sign.pub", c->dir);
    assert_true(cert_make(c->cert, c->tls_key));
    ok(wire_key_make(c->sign_key, &e), &e);
    ok(wire_key_make(c->other_key, &e), &e);
    ok(wire_key_load(&c->sign, c->sign_key, &e), &e);
    ok(wire_key_load(&c->other, c->other_key, &e), &e);
    struct buf pem;
    buf_init(&pem, 4096);
    ok(wire_pub_pem(wire_key_pub(c->sign), &pem), &e);
    FILE *f = fopen(c->pub, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(pem.p, 1, pem.n, f), pem.n);
    assert_int_equal(fclose(f), 0);
    buf_done(&pem);
    const struct http_server_cfg cfg = {.listen = "127.0.0.1:0",
                                        .cert = c->cert,
                                        .key = c->tls_key,
                                        .threads = 1,
                                        .max_connections = 8,
                                        .timeout_s = 30};
    ok(http_server_open(&c->server, &cfg, routes, sizeof(routes) / sizeof(routes[0]), c, &e), &e);
    (void)snprintf(c->url, sizeof(c->url), "https://127.0.0.1:%u/", http_server_port(c->server));
}

static size_t city_seen(struct city *c)
{
    (void)pthread_mutex_lock(&c->lock);
    size_t n = c->nseen;
    (void)pthread_mutex_unlock(&c->lock);
    return n;
}

/* ---- the gateway ---- */

static struct clk_time now(void *ctx)
{
    struct rig *r = ctx;
    return (struct clk_time){atomic_load(&r->utc_ms), (enum clk_grade)atomic_load(&r->grade), 0};
}

static struct mono mono(void *ctx)
{
    struct rig *r = ctx;
    return (struct mono){atomic_load(&r->mono_ms)};
}

static void seal_one(struct rig *r, enum wire_kind kind)
{
    struct err e = {0};
    struct buf payload, cose, packed;
    struct wire_zstd *z = NULL;
    struct wire_header h = {.kind = kind, .gw = GW, .seq = r->chain.last_seq + 1};
    int64_t from_ms = T0 + (int64_t)h.seq * 60000;
    buf_init(&payload, 4096);
    buf_init(&cose, 65536);
    buf_init(&packed, 65536);
    ok(wire_zstd_open(&z, &e), &e);
    ok(wire_put_array(&payload, 1), &e);
    if (kind == WIRE_DATA) {
        struct wire_point p;
        ok(wire_point_init(&p, "pm25", "ug/m3", &e), &e);
        const struct wire_record rec = {&p, num_dec((int64_t)h.seq, 0), 0};
        ok(wire_senml_poll(&payload, GW "/air-1/", from_ms, &rec, 1), &e);
    } else {
        ok(wire_put_plan(&payload, "air-1/pm25", "pm25", "ug/m3", 60000, T0), &e);
    }
    memcpy(h.kid, wire_pub_kid(wire_key_pub(r->key)), WIRE_ID_BYTES);
    memcpy(h.chain, r->chain.id, WIRE_ID_BYTES);
    memcpy(h.prev, r->chain.last_hash, WIRE_HASH_BYTES);
    memset(h.boot, 3, WIRE_ID_BYTES);
    h.from_ms = from_ms;
    h.to_ms = kind == WIRE_DATA ? from_ms + 60000 : from_ms;
    ok(wire_batch_sign(&h, payload.p, payload.n, wire_key_signer(r->key), &cose, &e), &e);
    ok(wire_zstd_pack(z, 3, cose.p, cose.n, &packed, &e), &e);
    struct store_sealed b = {.chain = r->chain.id,
                             .seq = h.seq,
                             .kind = kind,
                             .from_ms = h.from_ms,
                             .to_ms = h.to_ms,
                             .n = kind == WIRE_DATA ? 1 : 0,
                             .packed = {packed.p, packed.n}};
    wire_sha256(cose.p, cose.n, b.hash);
    ok(store_seal(r->store, &b, NULL, NULL, 0, &e), &e);
    memcpy(r->chain.last_hash, b.hash, WIRE_HASH_BYTES);
    r->chain.last_seq = h.seq;
    wire_zstd_close(z);
    buf_done(&payload);
    buf_done(&cose);
    buf_done(&packed);
}

static void rig_thread(void *arg)
{
    struct rig *r = arg;
    uplink_main(&r->job);
    atomic_store(&r->ended, true);
}

static void rig_open(struct rig *r, int batches)
{
    struct err e = {0};
    memset(r, 0, sizeof(*r));
    city_open(&r->city);
    atomic_init(&r->mono_ms, 1000000);
    atomic_init(&r->utc_ms, T0);
    atomic_init(&r->grade, CLK_SYNCED);
    r->city.clock_ms = &r->mono_ms;
    r->clk = (struct clk){now, mono, NULL, r};
    (void)snprintf(r->db, sizeof(r->db), "%s/fieldpost.db", r->city.dir);
    (void)snprintf(r->key_path, sizeof(r->key_path), "%s/device.key", r->city.dir);
    ok(wire_key_make(r->key_path, &e), &e);
    ok(wire_key_load(&r->key, r->key_path, &e), &e);
    const struct store_cfg store_cfg = {.path = r->db,
                                        .max_size_bytes = INT64_C(1) << 30,
                                        .keep_ms = INT64_C(60) * 86400000,
                                        .journal_every_ms = 10000};
    ok(store_open(&r->store, &store_cfg, GW, &r->clk, &e), &e);

    static char id[] = "city";
    r->keys[0] = r->city.pub;
    r->entry = (struct uplink_cfg){.id = id,
                                   .url = r->city.url,
                                   .ca = r->city.cert,
                                   .receipt_keys = {r->keys, 1},
                                   .required = true};
    r->cfg = (struct cfg_items){&r->entry, 1};
    ok(uplinks_open(&r->uplinks, &r->cfg, GW, NULL, &e), &e);
    ok(uplinks_declare(r->uplinks, r->store, &e), &e);
    ok(store_start(r->store, &e), &e);
    memset(r->chain.id, 7, WIRE_ID_BYTES);
    memcpy(r->chain.kid, wire_pub_kid(wire_key_pub(r->key)), WIRE_ID_BYTES);
    ok(store_chain_begin(r->store, &r->chain, &e), &e);
    for (int i = 0; i < batches; i++) {
        seal_one(r, i == 0 ? WIRE_CONTROL : WIRE_DATA);
    }
    ok(thr_stop_open(&r->stop, &e), &e);
    r->job = (struct uplink_job){r->uplinks, 0, r->store, &r->clk, &r->stop, NULL, NULL};
}

static void rig_go(struct rig *r)
{
    struct err e = {0};
    ok(thr_start(&r->thread, "uplink", rig_thread, r, &e), &e);
}

/* One turn of the writer; 10 ms of the rig's clock go by. */
static void rig_step(struct rig *r)
{
    struct err e = {0};
    ok(store_step(r->store, false, &e), &e);
    atomic_fetch_add(&r->mono_ms, 10);
    (void)poll(NULL, 0, 1); /* lets the other threads run */
}

static inline void rig_until_seen(struct rig *r, size_t n)
{
    for (int i = 0; city_seen(&r->city) < n; i++) {
        if (i == STEPS_MAX) {
            fail_msg("the city saw %zu of %zu", city_seen(&r->city), n);
        }
        rig_step(r);
    }
}

static struct uplink_status status_of(struct rig *r)
{
    struct uplink_status s;
    uplinks_status(r->uplinks, 0, &s);
    return s;
}

/* Until the uplink has taken n receipts. */
static void rig_until_sent(struct rig *r, uint64_t n)
{
    for (int i = 0; status_of(r).sent < n; i++) {
        if (i == STEPS_MAX) {
            fail_msg("%llu of %llu were accepted", (unsigned long long)status_of(r).sent,
                     (unsigned long long)n);
        }
        rig_step(r);
    }
}

/* Lets the thread settle and end, and serves its last calls. */
static void rig_stop(struct rig *r)
{
    thr_stop_now(&r->stop);
    for (int i = 0; !atomic_load(&r->ended); i++) {
        assert_true(i < STEPS_MAX);
        rig_step(r);
    }
    thr_join(&r->thread);
    struct err e = {0};
    ok(store_step(r->store, true, &e), &e); /* as the writer does at its end */
}

static void rig_close(struct rig *r)
{
    (void)pthread_mutex_lock(&r->city.lock);
    bool damaged = r->city.damaged;
    (void)pthread_mutex_unlock(&r->city.lock);
    assert_false(damaged);
    uplinks_close(r->uplinks);
    store_stop(r->store);
    store_close(r->store);
    thr_stop_close(&r->stop);
    wire_key_free(r->key);
    http_server_close(r->city.server);
    wire_key_free(r->city.sign);
    wire_key_free(r->city.other);
    buf_done(&r->city.notices);
    temp_done(r->city.dir);
}

/* What the store would still send, in order. */
static inline void assert_unsent(struct rig *r, const uint64_t *want, size_t n)
{
    struct err e = {0};
    struct store_reader *reader = NULL;
    struct store_batch b;
    int64_t but[SEEN_MAX];
    ok(store_reader_open(&reader, r->db, &e), &e);
    for (size_t i = 0; i < n; i++) {
        ok(store_pick_batch_but(reader, "city", STORE_PICK_OLDEST, but, i, &b, &e), &e);
        assert_int_equal(b.seq, want[i]);
        but[i] = b.id;
    }
    enum st st = store_pick_batch_but(reader, "city", STORE_PICK_OLDEST, but, n, &b, &e);
    if (st != ST_NOT_FOUND) {
        fail_msg("batch %llu is unsent too", (unsigned long long)b.seq);
    }
    store_reader_close(reader);
}
#define ASSERT_UNSENT(r, ...)                                                                      \
    assert_unsent(r, (const uint64_t[]){__VA_ARGS__},                                              \
                  sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* The hash of batch 2, for the head. */
static inline void know_two(struct rig *r)
{
    struct err e = {0};
    struct store_reader *reader = NULL;
    struct store_batch b;
    ok(store_reader_open(&reader, r->db, &e), &e);
    ok(store_pick_batch_but(reader, "city", STORE_PICK_OLDEST, NULL, 0, &b, &e), &e);
    const int64_t but[] = {b.id};
    ok(store_pick_batch_but(reader, "city", STORE_PICK_OLDEST, but, 1, &b, &e), &e);
    assert_int_equal(b.seq, 2);
    memcpy(r->city.two, b.hash, sizeof(b.hash));
    store_reader_close(reader);
}

#endif
