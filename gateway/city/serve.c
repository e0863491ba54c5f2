#include "gateway/city/serve_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/clk.h"
#include "gateway/base/log.h"

#define CONNECTIONS 512
#define CONNECTIONS_PER_IP 128
#define BODY_MAX (WIRE_BATCH_MAX + 64 * 1024) /* what zstd may add to bytes it cannot shrink */
#define CSR_MAX (16 * 1024)

/* There are as many connections as workers; while TLS files are renewed there are more of these. */
struct city_db *city_reader_take(struct city *c)
{
    size_t i = 0;

    pthread_mutex_lock(&c->lock);
    while (c->taken[i]) {
        i = (i + 1) % CITY_WORKERS;
        if (i == 0)
            pthread_cond_wait(&c->given, &c->lock);
    }
    c->taken[i] = true;
    pthread_mutex_unlock(&c->lock);
    return &c->reader[i];
}

void city_reader_give(struct city *c, const struct city_db *d)
{
    pthread_mutex_lock(&c->lock);
    c->taken[d - c->reader] = false;
    pthread_cond_signal(&c->given);
    pthread_mutex_unlock(&c->lock);
}

void city_problem(struct http_answer *a, enum city_code code, const char *why,
                  const uint8_t *sha256)
{
    char hex[2 * WIRE_HASH_BYTES + 1];

    if (sha256 != NULL)
        wire_hex(sha256, WIRE_HASH_BYTES, hex);
    http_problem(a, city_code_status(code), city_code_text(code), why,
                 sha256 != NULL ? "sha256" : NULL, sha256 != NULL ? hex : NULL);
    if (code == CITY_UNAUTHORIZED)
        http_answer_header(a, "WWW-Authenticate", "Bearer");
    if (code == CITY_UNAVAILABLE)
        http_answer_header(a, "Retry-After", "30");
}

bool city_in_time(struct city *c, const struct http_request *q, struct http_answer *a)
{
    uint8_t sha256[WIRE_HASH_BYTES];
    int64_t wait_s;

    if (city_rate_take(c->rate, q->param[0] != NULL ? q->param[0] : "", q->peer,
                       clk_mono(clk_real()).ms, &wait_s))
        return true;
    wire_sha256(q->body, q->body_n, sha256); /* of what came: nothing is unpacked for it */
    city_problem(a, CITY_RATE, "too many requests about this gateway from this address", sha256);
    http_answer_header(a, "Retry-After", "%" PRId64, wait_s);
    return false;
}

bool city_number(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;

    if (*text == '\0' || (*text == '0' && text[1] != '\0'))
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        uint64_t digit = (uint64_t)(*text - '0');
        if (v > (max - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

/* ---- PUT /v1/gateways/{gw}/batches/{chain}/{seq} ------------------------------------------ */

static void put_batch(void *ctx, const struct http_request *q, struct http_answer *a)
{
    struct city *c = ctx;
    struct city_where w = {.gw = q->param[0]};
    struct city_batch b;
    struct err e = {.text = ""};
    bool same = false;
    if (!city_in_time(c, q, a))
        return;
    /* no batch has seq 0: what cannot be read fits none */
    if (!wire_unhex(q->param[1], w.chain, sizeof w.chain) ||
        !city_number(q->param[2], INT64_MAX, &w.seq))
        w.seq = 0;
    struct city_db *d = city_reader_take(c);
    enum city_code code =
        city_ingest(d, &w, http_header(q, "Content-Type"), http_header(q, "Content-Encoding"),
                    q->body, q->body_n, &b, &e);
    city_reader_give(c, d);
    if (code == CITY_OK && !b.known)
        code = city_writer_put(c->writer, &b, &same, &e);
    if (code == CITY_OK) {
        a->status = b.known || same ? 200 : 201;
        a->content_type = "application/cose; cose-type=\"cose-sign1\"";
        a->body = b.receipt;
        memset(&b.receipt, 0, sizeof b.receipt);
    } else {
        city_problem(a, code, e.text, b.sha256);
        if (code != CITY_UNAVAILABLE)
            city_writer_refused(c->writer, b.gateway, code, e.text);
    }
    city_batch_done(&b);
}

/* ---- GET ----------------------------------------------------------------------------------- */

enum city_code city_gateway_of(struct city_db *d, const char *gw, int64_t *id, struct err *e)
{
    enum st st = city_gateway_find(d, gw, id, e);

    return st == ST_OK ? CITY_OK : st == ST_NOT_FOUND ? CITY_UNKNOWN_GATEWAY : CITY_UNAVAILABLE;
}

static enum st sign_now(struct city *c, struct city_db *d, const struct wire_key **key,
                        struct err *e)
{
    return city_sign_now(c->sign, d, clk_now(clk_real()).utc_ms, key, e);
}

/* What a question about one gateway is answered with, signed: appends it to out. */
struct signed_answer {
    enum st (*make)(const struct signed_answer *s, struct city_db *d, int64_t gateway,
                    struct buf *out, struct err *e);
    const char *gw, *nonce;
    int64_t day;
    const struct wire_key *sign;
};

static enum st make_head(const struct signed_answer *s, struct city_db *d, int64_t gateway,
                         struct buf *out, struct err *e)
{
    return city_head(d, gateway, s->gw, s->nonce, s->sign, out, e);
}

static enum st make_digest(const struct signed_answer *s, struct city_db *d, int64_t gateway,
                           struct buf *out, struct err *e)
{
    return city_digest(d, gateway, s->gw, s->day, clk_now(clk_real()).utc_ms, s->sign, out, e);
}

static void answer_signed(struct city *c, struct signed_answer *s, struct http_answer *a)
{
    int64_t gateway = 0;
    struct err e = {.text = ""};

    struct city_db *d = city_reader_take(c);
    enum city_code code = city_gateway_of(d, s->gw, &gateway, &e);
    buf_init(&a->body, 2 * WIRE_BATCH_MAX);
    if (code == CITY_OK &&
        (sign_now(c, d, &s->sign, &e) != ST_OK || s->make(s, d, gateway, &a->body, &e) != ST_OK))
        code = CITY_UNAVAILABLE;
    city_reader_give(c, d);
    a->status = 200;
    a->content_type = "application/cose; cose-type=\"cose-sign1\"";
    if (code != CITY_OK)
        city_problem(a, code, e.text, NULL);
}

static void get_head(void *ctx, const struct http_request *q, struct http_answer *a)
{
    struct city *c = ctx;
    struct signed_answer s = {
        .make = make_head, .gw = q->param[0], .nonce = http_query(q, "nonce")};

    if (!city_in_time(c, q, a))
        return;
    if (s.nonce == NULL || s.nonce[0] == '\0' || strlen(s.nonce) > 64)
        http_problem(a, 400, "bad_request", "head?nonce=… wants 1 to 64 characters", NULL, NULL);
    else
        answer_signed(c, &s, a);
}

/* As public as the head: counts and hashes, for anyone to compare with what a gateway shows. */
static void get_digest(void *ctx, const struct http_request *q, struct http_answer *a)
{
    struct city *c = ctx;
    const char *text = http_query(q, "day");
    struct signed_answer s = {.make = make_digest, .gw = q->param[0]};

    if (!city_in_time(c, q, a))
        return;
    if (text == NULL ||
        !wire_day_parse((struct wire_span){(const uint8_t *)text, strlen(text)}, &s.day))
        http_problem(a, 400, "bad_request", "digest?day=2026-11-25 wants a day of Viet Nam", NULL,
                     NULL);
    else
        answer_signed(c, &s, a);
}

/* ---- enrolment ----------------------------------------------------------------------------- */

static void get_cacerts(void *ctx, const struct http_request *q, struct http_answer *a)
{
    const struct city *c = ctx;
    (void)q;
    city_est_cacerts(c->est, a);
}

static void post_enroll(void *ctx, const struct http_request *q, struct http_answer *a)
{
    const struct city *c = ctx;
    city_est_enroll(c->est, q, a);
}

static void post_reenroll(void *ctx, const struct http_request *q, struct http_answer *a)
{
    struct city *c = ctx;
    if (city_in_time(c, q, a))
        city_est_reenroll(c->est, q, a);
}

static void post_page(void *ctx, const struct http_request *q, struct http_answer *a)
{
    struct city *c = ctx;
    if (city_in_time(c, q, a))
        city_est_page(c->est, q, a);
}

static void put_key(void *ctx, const struct http_request *q, struct http_answer *a)
{
    struct city *c = ctx;
    const struct wire_key *key = NULL;
    struct err e = {.text = ""};

    if (!city_in_time(c, q, a)) /* each one waits for the database's one writer */
        return;
    struct city_db *d = city_reader_take(c);
    enum st st = sign_now(c, d, &key, &e);

    city_reader_give(c, d);
    if (st == ST_OK)
        city_est_bind(c->est, wire_key_pub(key), q, a);
    else
        city_problem(a, CITY_UNAVAILABLE, e.text, NULL);
}

/* ---- the city's own keys --------------------------------------------------------------------- */

/* For everybody: they are worth what their signatures are worth. */
static void get_trust(void *ctx, const struct http_request *q, struct http_answer *a)
{
    struct city *c = ctx;
    struct err e = {.text = ""};

    if (!city_in_time(c, q, a))
        return;
    struct city_db *d = city_reader_take(c);
    buf_init(&a->body, WIRE_NOTICES_MAX * WIRE_NOTICE_MAX);
    enum st st = city_trust_put(d, &a->body, &e);
    city_reader_give(c, d);
    a->status = 200;
    a->content_type = "application/cbor-seq";
    if (st != ST_OK)
        city_problem(a, CITY_UNAVAILABLE, e.text, NULL);
}

/* ---- configurations ------------------------------------------------------------------------ */

static void put_config(void *ctx, const struct http_request *q, struct http_answer *a)
{
    struct city *c = ctx;
    struct city_batch b;
    struct err e = {.text = ""};
    bool same = false;

    if (!city_in_time(c, q, a))
        return;
    enum city_code code = city_deposit_put(c->deposits, q, &b, &same, &e);
    a->status = same ? 200 : 201;
    a->content_type = "application/json";
    a->static_body = "{}\n";
    a->static_n = 3;
    if (code != CITY_OK) {
        city_problem(a, code, e.text, b.sha256);
        if (code != CITY_UNAVAILABLE && code != CITY_CONFLICT) /* which time mends */
            city_writer_refused(c->writer, b.gateway, code, e.text);
    }
    city_batch_done(&b);
}

static void get_config(void *ctx, const struct http_request *q, struct http_answer *a)
{
    struct city *c = ctx;
    if (city_in_time(c, q, a))
        city_deposit_get(c->deposits, c->est, q, a, false);
}

static void get_keys(void *ctx, const struct http_request *q, struct http_answer *a)
{
    struct city *c = ctx;
    if (city_in_time(c, q, a))
        city_deposit_get(c->deposits, c->est, q, a, true);
}

/* ---- start and stop ------------------------------------------------------------------------ */

static const struct http_route routes[] = {
    {"PUT", "/v1/gateways/{gw}/batches/{chain}/{seq}", BODY_MAX, put_batch},
    {"GET", "/v1/gateways/{gw}/head", 0, get_head},
    {"GET", "/v1/gateways/{gw}/digest", 0, get_digest},
    {"GET", "/v1/gateways/{gw}/gaps", 0, city_list_gaps},
    {"GET", "/v1/gateways/{gw}/readings", 0, city_list_readings},
    {"GET", "/v1/gateways/{gw}/completeness", 0, city_list_completeness},
    {"GET", "/v1/gateways/{gw}/alarms", 0, city_list_alarms},
    {"GET", "/v1/gateways/{gw}/changes", 0, city_list_changes},
    {"GET", "/.well-known/est/cacerts", 0, get_cacerts},
    {"POST", "/.well-known/est/simpleenroll", CSR_MAX, post_enroll},
    {"POST", "/.well-known/est/simplereenroll", CSR_MAX, post_reenroll},
    {"POST", "/.well-known/est/page/simpleenroll", CSR_MAX, post_page},
    {"PUT", "/v1/gateways/{gw}/keys", CSR_MAX, put_key},
    {"GET", "/v1/gateways/{gw}/keys", 0, get_keys},
    {"PUT", "/v1/gateways/{gw}/config", BODY_MAX, put_config},
    {"GET", "/v1/gateways/{gw}/config", 0, get_config},
    {"GET", "/v1/trust", 0, get_trust},
};

static void say_renewed(void *ctx, enum st st, const char *text)
{
    (void)ctx;
    if (st == ST_OK)
        log_info("TLS: %s", text);
    else
        log_warn("TLS: the files before stay in use: %s", text);
}

enum st city_open(struct city **out, const struct city_cfg *cfg, struct err *e)
{
    const struct http_server_cfg http = {.listen = cfg->listen,
                                         .cert = cfg->cert,
                                         .key = cfg->key,
                                         .client_ca = city_enrols(cfg) ? cfg->ca.cert : NULL,
                                         .threads = CITY_WORKERS,
                                         .max_connections = CONNECTIONS,
                                         .per_ip = CONNECTIONS_PER_IP,
                                         .renewed = say_renewed,
                                         .timeout_s = (unsigned)(cfg->timeout_ms / 1000)};
    struct city *c = calloc(1, sizeof *c);
    const struct wire_key *key = NULL;
    enum st st = city_cfg_check(cfg, e);

    *out = NULL;
    if (c == NULL)
        return err_set(e, ST_MEMORY, "no memory for the city");
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->given, NULL);
    if (st == ST_OK && clk_now(clk_real()).grade == CLK_UNKNOWN)
        st = err_set(e, ST_BUSY, "the clock is not set: receipts would carry a wrong time");
    if (st == ST_OK && cfg->read_token_file != NULL)
        st = city_token_read(c, cfg->read_token_file, e);
    if (st == ST_OK)
        st = city_sign_open(&c->sign, cfg->sign_key, e);
    if (st == ST_OK)
        st = city_writer_open(&c->writer, cfg->db, c->sign, e);
    if (st == ST_OK)
        st = city_rate_open(&c->rate, cfg->rate, e);
    for (size_t i = 0; i < CITY_WORKERS && st == ST_OK; i++)
        st = city_db_open(&c->reader[i], cfg->db, CITY_DB_READ, e);
    if (st == ST_OK) /* rather no start than one that can answer nothing */
        st = sign_now(c, &c->reader[0], &key, e);
    if (st == ST_OK)
        st = city_est_open(&c->est, cfg, e);
    if (st == ST_OK)
        st = city_deposits_open(&c->deposits, cfg, e);
    if (st == ST_OK)
        st = city_silence_open(&c->silence, cfg->db, c->sign, e);
    if (st == ST_OK)
        st = http_server_open(&c->http, &http, routes, sizeof routes / sizeof *routes, c, e);
    if (st != ST_OK) {
        city_close(c);
        c = NULL;
    }
    *out = c;
    return st;
}

unsigned city_port(const struct city *c)
{
    return http_server_port(c->http);
}

void city_close(struct city *c)
{
    if (c == NULL)
        return;
    http_server_close(c->http);
    city_silence_close(c->silence);
    city_est_close(c->est);
    city_deposits_close(c->deposits);
    city_writer_close(c->writer);
    for (size_t i = 0; i < CITY_WORKERS; i++)
        city_db_close(&c->reader[i]);
    city_rate_close(c->rate);
    city_sign_close(c->sign);
    explicit_bzero(c->token, sizeof c->token);
    pthread_cond_destroy(&c->given);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
