/* A running city with an enrolled gateway, and a gateway's hand to make batches with. */
#ifndef TESTS_GATEWAY_CITY_SITE_H
#define TESTS_GATEWAY_CITY_SITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/city/city.h"
#include "gateway/http/http.h"
#include "gateway/wire/wire.h"
#include "tests/support/cert.h"
#include "tests/support/temp.h"

#define T0 INT64_C(1795000000000) /* a Monday in 2026 */
#define WINDOW_MS 300000
#define TYPE "Content-Type: application/cose; cose-type=\"cose-sign1\""

struct site {
    char dir[64], cert[96], tls_key[96], sign_key[96], dev_key[96], dev_pub[96], db[96];
    struct city_cfg cfg;
    struct city *city;
    struct wire_key *key, *sign;
    struct http_client *http;
    struct http_reply reply;
};

static inline void site_pub_write(const struct wire_key *k, const char *path)
{
    struct buf pem;
    FILE *f = fopen(path, "w");

    buf_init(&pem, 4096);
    assert_non_null(f);
    assert_int_equal(wire_pub_pem(wire_key_pub(k), &pem), ST_OK);
    assert_int_equal(fwrite(pem.p, 1, pem.n, f), pem.n);
    assert_int_equal(fclose(f), 0);
    buf_done(&pem);
}

static inline void site_run(struct site *s)
{
    struct err e = {.text = ""};
    if (city_open(&s->city, &s->cfg, &e) != ST_OK)
        fail_msg("%s", e.text);
}

static inline struct site *site_open(void)
{
    struct site *s = calloc(1, sizeof *s);
    char kid[17];

    assert_non_null(mkdtemp(temp_name(s->dir, sizeof s->dir)));
    snprintf(s->cert, sizeof s->cert, "%s/cert.pem", s->dir);
    snprintf(s->tls_key, sizeof s->tls_key, "%s/tls.key", s->dir);
    snprintf(s->sign_key, sizeof s->sign_key, "%s/sign.key", s->dir);
    snprintf(s->dev_key, sizeof s->dev_key, "%s/device.key", s->dir);
    snprintf(s->dev_pub, sizeof s->dev_pub, "%s/device.pub", s->dir);
    snprintf(s->db, sizeof s->db, "%s/city.db", s->dir);
    assert_true(cert_make(s->cert, s->tls_key));
    assert_int_equal(wire_key_make(s->sign_key, NULL), ST_OK);
    assert_int_equal(wire_key_make(s->dev_key, NULL), ST_OK);
    assert_int_equal(wire_key_load(&s->key, s->dev_key, NULL), ST_OK);
    assert_int_equal(wire_key_load(&s->sign, s->sign_key, NULL), ST_OK);
    site_pub_write(s->key, s->dev_pub);
    static char listen_at[] = "127.0.0.1:0";
    s->cfg = (struct city_cfg){.listen = listen_at,
                               .cert = s->cert,
                               .key = s->tls_key,
                               .sign_key = s->sign_key,
                               .db = s->db,
                               .timeout_ms = 60000}; /* a busy machine is no slow client */
    assert_int_equal(city_enroll(&s->cfg, "gw-1", s->dev_pub, kid, NULL), ST_OK);
    site_run(s);
    const struct http_client_cfg c = {
        .ca = s->cert, .connect_ms = 5000, .total_ms = 30000, .max_answer = 4 * 1024 * 1024};
    assert_int_equal(http_client_open(&s->http, &c, NULL), ST_OK);
    return s;
}

static inline void site_close(struct site *s)
{
    static const char *const names[] = {"cert.pem",   "tls.key", "sign.key",    "device.key",
                                        "device.pub", "city.db", "city.db-wal", "city.db-shm"};
    city_close(s->city);
    http_client_close(s->http);
    buf_done(&s->reply.body);
    wire_key_free(s->key);
    wire_key_free(s->sign);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", s->dir, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(s->dir), 0);
    free(s);
}

/* ---- batches ------------------------------------------------------------------------------- */

struct sealed {
    struct buf cose, zstd;
    uint8_t hash[WIRE_HASH_BYTES];
    uint8_t chain[WIRE_ID_BYTES];
    uint64_t seq;
};

static inline void sealed_done(struct sealed *b)
{
    buf_done(&b->cose);
    buf_done(&b->zstd);
}

static inline void sealed_pack(struct sealed *b)
{
    struct wire_zstd *z;
    wire_sha256(b->cose.p, b->cose.n, b->hash);
    buf_init(&b->zstd, 2 * WIRE_BATCH_MAX);
    assert_int_equal(wire_zstd_open(&z, NULL), ST_OK);
    assert_int_equal(wire_zstd_pack(z, 3, b->cose.p, b->cose.n, &b->zstd, NULL), ST_OK);
    wire_zstd_close(z);
}

static inline struct wire_header header_of(uint8_t chain, uint64_t seq, const struct sealed *before)
{
    struct wire_header h = {.kind = WIRE_DATA,
                            .gw = "gw-1",
                            .seq = seq,
                            .from_ms = T0 + (int64_t)seq * WINDOW_MS,
                            .to_ms = T0 + (int64_t)(seq + 1) * WINDOW_MS};
    memset(h.chain, chain, sizeof h.chain);
    memset(h.boot, 0xb0, sizeof h.boot);
    if (before != NULL)
        memcpy(h.prev, before->hash, sizeof h.prev);
    return h;
}

static inline struct sealed seal(const struct wire_header *h, const struct buf *payload,
                                 const struct wire_key *key)
{
    struct sealed b = {.seq = h->seq};
    struct wire_header own = *h;
    struct err e = {.text = ""};

    memcpy(b.chain, h->chain, sizeof b.chain);
    memcpy(own.kid, wire_pub_kid(wire_key_pub(key)), sizeof own.kid);
    buf_init(&b.cose, 2 * WIRE_BATCH_MAX);
    if (wire_batch_sign(&own, payload->p, payload->n, wire_key_signer(key), &b.cose, &e) != ST_OK)
        fail_msg("seal: %s", e.text);
    sealed_pack(&b);
    return b;
}

/* A payload of `polls` polls of two points, values counted from seq and poll. */
static inline void payload_make(struct buf *p, const char *base, const struct wire_header *h,
                                int64_t polls)
{
    struct wire_point t, c;
    assert_int_equal(wire_point_init(&t, "temperature", "Cel", NULL), ST_OK);
    assert_int_equal(wire_point_init(&c, "count", NULL, NULL), ST_OK);
    buf_init(p, WIRE_BATCH_MAX);
    assert_int_equal(wire_put_array(p, (uint64_t)polls * 2), ST_OK);
    for (int64_t i = 0; i < polls; i++) {
        const struct wire_record r[2] = {{&t, num_dec(235 + i, -1), 0},
                                         {&c, num_dec((int64_t)h->seq * 1000 + i, 0), 1}};
        assert_int_equal(wire_senml_poll(p, base, h->from_ms + i * 1000 + 250, r, 2), ST_OK);
    }
}

static inline struct sealed batch_make(const struct site *s, uint8_t chain, uint64_t seq,
                                       const struct sealed *before)
{
    struct wire_header h = header_of(chain, seq, before);
    struct buf p;
    payload_make(&p, "gw-1/air-1/", &h, 3);
    struct sealed b = seal(&h, &p, s->key);
    buf_done(&p);
    return b;
}

/* ---- requests ------------------------------------------------------------------------------ */

static inline int site_call(struct site *s, const char *method, const char *path, const void *body,
                            size_t n, const char *const *headers)
{
    char url[512];
    const struct http_call call = {
        .method = method, .url = url, .body = body, .body_n = n, .headers = headers};
    struct err e = {.text = ""};

    snprintf(url, sizeof url, "https://127.0.0.1:%u%s", city_port(s->city), path);
    if (http_client_do(s->http, &call, -1, &s->reply, &e) != ST_OK)
        fail_msg("%s %s: %s", method, path, e.text);
    return s->reply.status;
}

static inline int site_put_as(struct site *s, const char *gw, const char *chain, uint64_t seq,
                              const void *body, size_t n, const char *type, const char *encoding)
{
    const char *const headers[] = {type, encoding, NULL};
    char path[256];
    snprintf(path, sizeof path, "/v1/gateways/%s/batches/%s/%llu", gw, chain,
             (unsigned long long)seq);
    return site_call(s, "PUT", path, body, n, headers);
}

static inline int site_put(struct site *s, const struct sealed *b)
{
    char chain[WIRE_ID_TEXT];
    wire_hex(b->chain, WIRE_ID_BYTES, chain);
    return site_put_as(s, "gw-1", chain, b->seq, b->zstd.p, b->zstd.n, TYPE,
                       "Content-Encoding: zstd");
}

static inline bool site_answered(const struct site *s, const char *part)
{
    return memmem(s->reply.body.p, s->reply.body.n, part, strlen(part)) != NULL;
}

static inline struct wire_receipt site_receipt(const struct site *s)
{
    struct wire_receipt r;
    struct wire_cose c;
    struct err e = {.text = ""};
    if (wire_receipt_open(&r, &c, s->reply.body.p, s->reply.body.n, &e) != ST_OK ||
        wire_cose_verify(&c, wire_key_pub(s->sign), &e) != ST_OK)
        fail_msg("receipt: %s", e.text);
    return r;
}

/* The dump as a text, to be freed. */
static inline char *site_dump(const struct site *s, bool raw)
{
    char *text = NULL;
    size_t n = 0;
    struct err e = {.text = ""};
    FILE *f = open_memstream(&text, &n);
    assert_non_null(f);
    if (city_dump(&s->cfg, raw, f, &e) != ST_OK)
        fail_msg("%s", e.text);
    fclose(f);
    return text;
}

static inline size_t site_rows(const struct site *s)
{
    char *text = site_dump(s, false);
    size_t lines = 0;
    for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    free(text);
    return lines - 1;
}

#endif
