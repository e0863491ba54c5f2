/* What gateways leave for a box that replaces them: their configuration, signed by a key of theirs
 * (batch.cddl, config-deposit; decision 0024). The last few of each are kept. */
#include "gateway/city/est_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT 8           /* of each gateway */
#define EVERY_MS 2000    /* one gateway does not keep the disk busy */
#define AHEAD_MS 3600000 /* a clock that is ahead of ours must not shut out what comes later */
#define KEYS_MAX 32      /* of those that a gateway has had: the latest */
#define KEYS_BYTES 8192

struct city_deposits {
    pthread_mutex_t lock; /* of db: they are rare, and SQLite has one writer */
    struct city_db db;
};

enum st city_deposits_open(struct city_deposits **out, const struct city_cfg *cfg, struct err *e)
{
    struct city_deposits *s = calloc(1, sizeof *s);

    *out = NULL;
    if (s == NULL)
        return err_set(e, ST_MEMORY, "no memory for configurations");
    pthread_mutex_init(&s->lock, NULL);
    enum st st = city_db_open(&s->db, cfg->db, CITY_DB_WRITE, e);
    if (st != ST_OK) {
        city_deposits_close(s);
        return st;
    }
    *out = s;
    return ST_OK;
}

void city_deposits_close(struct city_deposits *s)
{
    if (s == NULL)
        return;
    city_db_close(&s->db);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- taking -------------------------------------------------------------------------------- */

static enum city_code refuse(enum city_code c, struct err *e, const char *why)
{
    err_set(e, ST_REFUSED, "%s", why);
    return c;
}

/* Whoever signed it must be a key of the gateway's that counts still; one that another box has
 * taken over from leaves nothing any more. */
static enum city_code check_key(struct city_db *d, int64_t gateway, const struct wire_deposit *w,
                                const struct wire_cose *cose, int64_t *key, struct err *e)
{
    struct wire_batch of = {.cose = *cose, .header = {.to_ms = INT64_MAX}}; /* of now: behind it */
    bool revoked = false;

    memcpy(of.header.kid, w->kid, sizeof of.header.kid);
    enum city_code code = city_check_key(d, gateway, &of, key, e);
    if (code != CITY_OK)
        return code;
    if (city_key_revoked(d, *key, &revoked, e) != ST_OK)
        return CITY_UNAVAILABLE;
    if (revoked)
        return refuse(CITY_UNAUTHORIZED, e, "this key was revoked");
    return city_check_handed(d, gateway, *key, &of.header, e);
}

static enum city_code open_deposit(struct city_batch *b, const char *gw, struct wire_deposit *w,
                                   struct wire_cose *cose, struct err *e)
{
    enum st st = wire_deposit_open(w, cose, b->cose.p, b->cose.n, e);

    if (st != ST_OK)
        return st == ST_UNSUPPORTED ? CITY_VERSION : CITY_BAD_CBOR;
    if (strcmp(w->gw, gw) != 0)
        return refuse(CITY_WRONG_GATEWAY, e,
                      "the configuration names another gateway than the URL");
    return CITY_OK;
}

/* Whether the chains of the gateway have said that this configuration is in force. */
static enum city_code check_said(struct city_db *d, int64_t gateway, const struct wire_deposit *w,
                                 struct err *e)
{
    sqlite3_stmt *s = city_db_bind(d, SQL_CONFIG_SAID, "ib", gateway, w->hash, sizeof w->hash);
    enum st st = city_db_step(d, s, e);

    sqlite3_reset(s);
    return st == ST_OK ? CITY_OK
           : st == ST_NOT_FOUND
               ? refuse(CITY_CONFLICT, e, "no config entry of this gateway has this hash yet")
               : CITY_UNAVAILABLE;
}

/* How it stands to those that are held. */
static enum city_code compare(struct city_db *d, const struct city_batch *b,
                              const struct wire_deposit *w, int64_t now_ms, bool *same,
                              struct err *e)
{
    sqlite3_stmt *s = city_db_bind(d, SQL_DEPOSITS, "i", b->gateway);
    enum city_code code = CITY_OK;
    uint8_t held[WIRE_HASH_BYTES];
    enum st st;

    while ((st = city_db_step(d, s, e)) == ST_OK) {
        if (city_db_blob(s, 0, held, sizeof held) && memcmp(held, b->sha256, sizeof held) == 0)
            *same = true;
        else if (sqlite3_column_int64(s, 1) >= w->when_ms)
            code = refuse(CITY_CONFLICT, e, "a later configuration of this gateway is held");
        else if (code == CITY_OK && now_ms - sqlite3_column_int64(s, 2) < EVERY_MS &&
                 sqlite3_column_int64(s, 2) <= now_ms)
            code = refuse(CITY_RATE, e, "one configuration every two seconds");
    }
    return st != ST_NOT_FOUND ? CITY_UNAVAILABLE : *same ? CITY_OK : code;
}

/* Inside a transaction. */
static enum city_code keep(struct city_db *d, struct city_batch *b, const struct wire_deposit *w,
                           const struct wire_cose *cose, bool *same, struct err *e)
{
    int64_t now_ms = clk_now(clk_real()).utc_ms;
    enum city_code code = check_key(d, b->gateway, w, cose, &b->key, e);

    if (code == CITY_OK)
        code = compare(d, b, w, now_ms, same, e);
    if (code != CITY_OK || *same)
        return code;
    if (w->when_ms > now_ms + AHEAD_MS)
        return refuse(CITY_CONFLICT, e, "the gateway's clock is more than an hour ahead of here");
    code = check_said(d, b->gateway, w, e);
    if (code != CITY_OK)
        return code;
    enum st st = city_db_run(d,
                             city_db_bind(d, SQL_DEPOSIT_ADD, "iibbiib", b->gateway, b->key,
                                          w->hash, sizeof w->hash, b->sha256, sizeof b->sha256,
                                          w->when_ms, now_ms, b->stored.p, b->stored.n),
                             e);
    if (st == ST_OK)
        st =
            city_db_run(d, city_db_bind(d, SQL_DEPOSIT_FORGET, "ii", b->gateway, (int64_t)KEPT), e);
    return st == ST_OK ? CITY_OK : CITY_UNAVAILABLE;
}

/* Under the lock. Only what a key of the gateway's has signed costs the disk anything. */
static enum city_code take(struct city_db *d, struct city_batch *b, const struct wire_deposit *w,
                           const struct wire_cose *cose, bool *same, struct err *e)
{
    enum city_code code = check_key(d, b->gateway, w, cose, &b->key, e);

    if (code != CITY_OK)
        return code;
    code = city_db_exec(d, "BEGIN IMMEDIATE", e) == ST_OK ? keep(d, b, w, cose, same, e)
                                                          : CITY_UNAVAILABLE;
    if (code == CITY_OK && city_db_exec(d, "COMMIT", e) != ST_OK)
        code = CITY_UNAVAILABLE;
    if (code != CITY_OK)
        sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
    return code;
}

enum city_code city_deposit_put(struct city_deposits *s, const struct http_request *q,
                                struct city_batch *b, bool *same, struct err *e)
{
    struct wire_deposit *w = calloc(1, sizeof *w);
    struct wire_cose cose;
    enum st st;

    *same = false;
    memset(b, 0, sizeof *b);
    wire_sha256(q->body, q->body_n, b->sha256);
    if (w == NULL)
        return refuse(CITY_UNAVAILABLE, e, "no memory for a configuration");
    pthread_mutex_lock(&s->lock);
    st = city_gateway_find(&s->db, q->param[0], &b->gateway, e);
    pthread_mutex_unlock(&s->lock);
    enum city_code code = st == ST_OK          ? CITY_OK
                          : st == ST_NOT_FOUND ? CITY_UNKNOWN_GATEWAY
                                               : CITY_UNAVAILABLE;
    if (code == CITY_OK)
        code = city_unpack(http_header(q, "Content-Type"), http_header(q, "Content-Encoding"),
                           q->body, q->body_n, b, e);
    if (code == CITY_OK)
        code = open_deposit(b, q->param[0], w, &cose, e);
    if (code == CITY_OK && b->stored.p == NULL)
        code = city_pack(b, e);
    if (code == CITY_OK) {
        pthread_mutex_lock(&s->lock);
        code = take(&s->db, b, w, &cose, same, e);
        pthread_mutex_unlock(&s->lock);
    }
    free(w);
    return code;
}

/* ---- giving back --------------------------------------------------------------------------- */

enum st city_deposit_held(struct city_db *d, int64_t gateway, uint8_t sha256[WIRE_HASH_BYTES],
                          struct err *e)
{
    sqlite3_stmt *s = city_db_bind(d, SQL_DEPOSIT_LAST, "i", gateway);
    enum st st = city_db_step(d, s, e);

    memset(sha256, 0, WIRE_HASH_BYTES);
    if (st == ST_OK && !city_db_blob(s, 0, sha256, WIRE_HASH_BYTES))
        st = err_set(e, ST_CORRUPT, "database: a configuration without its hash");
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* The COSE bytes. ST_NOT_FOUND. */
static enum st last(struct city_db *d, int64_t gateway, struct buf *out, struct err *e)
{
    sqlite3_stmt *s = city_db_bind(d, SQL_DEPOSIT_LAST, "i", gateway);
    enum st st = city_db_step(d, s, e);

    if (st == ST_OK) {
        struct wire_span packed = city_db_span(s, 1);
        st = wire_zstd_unpack(packed.p, packed.n, WIRE_BATCH_MAX, out, e);
    }
    sqlite3_reset(s);
    return st;
}

/* The keys of the gateway that are not revoked, as a CBOR array. */
static enum st put_keys(struct city_db *d, int64_t gateway, struct buf *out, struct err *e)
{
    struct buf keys;
    uint64_t n = 0;
    enum st st = ST_OK;

    buf_init(&keys, KEYS_BYTES);
    sqlite3_stmt *s = city_db_bind(d, SQL_KEYS_GOOD, "ii", gateway, (int64_t)KEYS_MAX);
    while (st == ST_OK && (st = city_db_step(d, s, e)) == ST_OK) {
        struct wire_span der = city_db_span(s, 0);
        st = wire_put_bytes(&keys, der.p, der.n);
        n++;
    }
    sqlite3_reset(s);
    if (st == ST_NOT_FOUND)
        st = wire_put_array(out, n);
    if (st == ST_OK)
        st = buf_put(out, keys.p, keys.n);
    buf_done(&keys);
    return st;
}

/* Under the lock: who asks must be the gateway itself, by a certificate that counts. */
static enum city_refusal who(struct city_deposits *s, const struct city_est *est,
                             const struct http_request *q, int64_t *gateway, struct err *e)
{
    struct city_peer p;
    bool replaces;
    enum city_refusal r = est == NULL ? CITY_R_OFF : city_est_peer(est, q, &p, e);

    if (r == CITY_R_NONE && strcmp(p.gw, q->param[0]) != 0)
        r = CITY_R_GATEWAY;
    if (r == CITY_R_NONE)
        r = city_est_known(&s->db, &p, &replaces, e);
    if (r == CITY_R_NONE && city_gateway_find(&s->db, p.gw, gateway, e) != ST_OK)
        r = CITY_R_GATEWAY;
    return r;
}

void city_deposit_get(struct city_deposits *s, const struct city_est *est,
                      const struct http_request *q, struct http_answer *a, bool keys)
{
    struct err e = {.text = ""};
    int64_t gateway = 0;
    enum st st = ST_OK;

    buf_init(&a->body, WIRE_BATCH_MAX);
    a->status = 200;
    a->content_type = keys ? "application/cbor" : "application/cose; cose-type=\"cose-sign1\"";
    pthread_mutex_lock(&s->lock);
    enum city_refusal r = who(s, est, q, &gateway, &e);
    if (r == CITY_R_NONE)
        st = keys ? put_keys(&s->db, gateway, &a->body, &e) : last(&s->db, gateway, &a->body, &e);
    pthread_mutex_unlock(&s->lock);
    if (r == CITY_R_NONE && st != ST_OK && st != ST_NOT_FOUND)
        r = CITY_R_BUSY;
    if (r != CITY_R_NONE)
        city_est_refuse(a, r, e.text);
    else if (st == ST_NOT_FOUND)
        http_problem(a, 404, "no_config",
                     "no configuration of this gateway is kept here, or a revoked key signed it",
                     NULL, NULL);
}

/* ---- the operator's command ---------------------------------------------------------------- */

enum { C_WHEN, C_RECEIVED, C_HASH, C_KID, C_REVOKED, C_COSE };

static enum st open_row(sqlite3_stmt *s, struct buf *cose, struct wire_deposit *w, struct err *e)
{
    struct wire_span packed = city_db_span(s, C_COSE);
    struct wire_cose c;

    cose->n = 0;
    ERR_TRY(wire_zstd_unpack(packed.p, packed.n, WIRE_BATCH_MAX, cose, e));
    return wire_deposit_open(w, &c, cose->p, cose->n, e);
}

static void print_row(sqlite3_stmt *s, const struct wire_deposit *w, FILE *out)
{
    char when[CLK_TEXT_BYTES], received[CLK_TEXT_BYTES];

    fprintf(out, "%s received %s hash %s key %s%s:", clk_text(w->when_ms, when),
            clk_text(sqlite3_column_int64(s, C_RECEIVED), received),
            (const char *)sqlite3_column_text(s, C_HASH),
            (const char *)sqlite3_column_text(s, C_KID),
            sqlite3_column_int(s, C_REVOKED) != 0 ? " (revoked)" : "");
    for (size_t i = 0; i < w->nfiles; i++)
        fprintf(out, " %.*s (%zu bytes)", (int)w->file[i].name.n, (const char *)w->file[i].name.p,
                w->file[i].content.n);
    fputc('\n', out);
}

/* The latest: its configuration, or the file of that name. */
static enum st print_file(const struct wire_deposit *w, const char *file, FILE *out, struct err *e)
{
    size_t i = 0;

    while (file != NULL && i < w->nfiles &&
           (strlen(file) != w->file[i].name.n ||
            memcmp(file, w->file[i].name.p, w->file[i].name.n) != 0))
        i++;
    if (i == w->nfiles)
        return err_set(e, ST_NOT_FOUND, "%s: the last configuration has no such file: see --list",
                       file);
    fwrite(w->file[i].content.p, 1, w->file[i].content.n, out);
    return ST_OK;
}

static enum st print(struct city_db *d, const char *id, const struct city_config_ask *q, FILE *out,
                     struct wire_deposit *w, struct err *e)
{
    struct buf cose;
    int64_t gateway = 0;
    size_t n = 0;

    ERR_TRY(city_gateway_find(d, id, &gateway, e));
    buf_init(&cose, WIRE_BATCH_MAX);
    sqlite3_stmt *s = city_db_bind(d, SQL_DEPOSIT_LIST, "i", gateway);
    enum st st;
    while ((st = city_db_step(d, s, e)) == ST_OK) {
        st = open_row(s, &cose, w, e);
        if (st == ST_OK && q->list)
            print_row(s, w, out);
        else if (st == ST_OK)
            st = print_file(w, q->file, out, e);
        n++;
        if (st != ST_OK || !q->list)
            break;
    }
    sqlite3_reset(s);
    buf_done(&cose);
    if (st == ST_NOT_FOUND && n == 0)
        return err_set(e, st, "%s: no configuration of this gateway is kept here", id);
    return st == ST_NOT_FOUND && q->list ? ST_OK : st;
}

enum st city_config(const struct city_cfg *cfg, const char *id, const struct city_config_ask *q,
                    FILE *out, struct err *e)
{
    struct city_db d = {0};
    struct wire_deposit *w = calloc(1, sizeof *w);
    enum st st = w != NULL ? city_cfg_check(cfg, e) : err_set(e, ST_MEMORY, "no memory");

    if (st == ST_OK)
        st = city_db_open(&d, cfg->db, CITY_DB_READ, e);
    if (st == ST_OK)
        st = print(&d, id, q, out, w, e);
    if (st == ST_OK && fflush(out) != 0)
        st = err_set(e, ST_IO, "cannot write");
    city_db_close(&d);
    free(w);
    return st;
}
