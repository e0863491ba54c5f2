/* A gateway's batch key: registered by the box itself, over its TLS certificate, with a proof that
 * it holds the key. And the hand-over from a box to the one that replaces it. */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "gateway/city/est_int.h"

#define KEY_TYPE "application/cose"

/* What the request says, before the database is asked. */
static enum city_refusal read_proof(const struct city_est *s, const struct http_request *q,
                                    struct city_peer *p, struct wire_bind *b, struct err *e)
{
    const char *type = http_header(q, "Content-Type");
    uint8_t shown[WIRE_HASH_BYTES];
    struct wire_cose cose;
    struct wire_pub *pub = NULL;
    size_t n;
    enum city_refusal r = city_est_peer(s, q, p, e);

    if (r != CITY_R_NONE)
        return r;
    if (type == NULL || strncasecmp(type, KEY_TYPE, strlen(KEY_TYPE)) != 0)
        return CITY_R_COSE_TYPE;
    if (wire_bind_open(b, &cose, q->body, q->body_n, e) != ST_OK ||
        wire_pub_parse(&pub, b->spki.p, b->spki.n, e) != ST_OK)
        return CITY_R_CBOR;
    wire_pub_free(pub);
    if (strcmp(p->gw, q->param[0]) != 0 || strcmp(b->gw, p->gw) != 0)
        return CITY_R_GATEWAY;
    const uint8_t *der = http_peer_cert(q, &n);
    wire_sha256(der, n, shown);
    if (memcmp(shown, b->cert, sizeof shown) != 0)
        return CITY_R_PROOF;
    enum st st = city_signed_by(&cose, b->spki, e);
    return st == ST_OK ? CITY_R_NONE : st == ST_CORRUPT ? CITY_R_SIGNATURE : CITY_R_BUSY;
}

/* How the key stands to those that the gateway has. */
static enum st compare(struct city_db *d, int64_t gateway, struct wire_span spki, bool *same,
                       bool *others, struct err *e)
{
    sqlite3_stmt *s = city_db_bind(d, SQL_KEYS_OF, "i", gateway);
    enum st st;

    *same = *others = false;
    while ((st = city_db_step(d, s, e)) == ST_OK) {
        struct wire_span der = city_db_span(s, 0);
        bool is = der.n == spki.n && memcmp(der.p, spki.p, der.n) == 0;
        *(is ? same : others) = true;
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st add(struct city_db *d, int64_t gateway, struct wire_span spki, struct err *e)
{
    struct wire_pub *pub = NULL;

    ERR_TRY(wire_pub_parse(&pub, spki.p, spki.n, e));
    enum st st = city_key_add(d, gateway, pub, 0, clk_now(clk_real()).utc_ms, e);
    wire_pub_free(pub);
    return st;
}

/* From now on nothing that ends later is taken from the other keys, and their certificates end. */
static enum st hand_over(struct city_db *d, int64_t gateway, const struct city_peer *p,
                         struct wire_span spki, struct err *e)
{
    int64_t now_ms = clk_now(clk_real()).utc_ms;

    ERR_TRY(
        city_db_run(d, city_db_bind(d, SQL_HAND_OVER, "ibi", gateway, spki.p, spki.n, now_ms), e));
    ERR_TRY(city_db_run(
        d, city_db_bind(d, SQL_DEVICE_END, "ibi", gateway, p->serial, sizeof p->serial, now_ms),
        e));
    return city_db_run(d, city_db_bind(d, SQL_DEVICE_DONE, "b", p->serial, sizeof p->serial), e);
}

/* Inside a transaction. */
static enum city_refusal bind_in(struct city_db *d, const struct city_peer *p,
                                 const struct wire_bind *b, bool *known, struct err *e)
{
    bool replaces, others;
    enum city_refusal r = city_est_known(d, p, &replaces, e);

    if (r != CITY_R_NONE)
        return r;
    enum st st = city_db_run(d, city_db_bind(d, SQL_GATEWAY_ADD, "t", p->gw), e);
    sqlite3_stmt *s = city_db_bind(d, SQL_GATEWAY_FIND, "t", p->gw);
    if (st == ST_OK)
        st = city_db_step(d, s, e);
    int64_t gateway = st == ST_OK ? sqlite3_column_int64(s, 0) : 0;
    sqlite3_reset(s);
    if (st == ST_OK)
        st = compare(d, gateway, b->spki, known, &others, e);
    if (st == ST_OK && !*known && replaces && !b->replaces)
        return CITY_R_REPLACES;
    if (st == ST_OK && !*known && others && !(replaces && b->replaces))
        return CITY_R_KEY_EXISTS;
    if (st == ST_OK && !*known)
        st = add(d, gateway, b->spki, e);
    if (st == ST_OK && !*known && replaces)
        st = hand_over(d, gateway, p, b->spki, e);
    return st == ST_OK ? CITY_R_NONE : CITY_R_BUSY;
}

/* For a box that replaces another: the chain that it follows, and where its last window ended. */
static enum st put_last(struct city_db *d, const char *gw, struct buf *out, struct err *e)
{
    sqlite3_stmt *s = city_db_bind(d, SQL_LAST_HANDED, "t", gw);
    enum st st = city_db_step(d, s, e);

    if (st == ST_OK)
        st = buf_printf(out, "last %s %" PRId64 "\n", (const char *)sqlite3_column_text(s, 0),
                        (int64_t)sqlite3_column_int64(s, 1));
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

void city_est_bind(struct city_est *s, const struct wire_pub *receipts,
                   const struct http_request *q, struct http_answer *a)
{
    struct city_peer p;
    struct wire_bind b;
    struct err e = {.text = ""};
    bool known = false;
    enum city_refusal r = s == NULL ? CITY_R_OFF : read_proof(s, q, &p, &b, &e);

    buf_init(&a->body, 4096);
    if (r == CITY_R_NONE) {
        pthread_mutex_lock(&s->lock);
        r = city_db_exec(&s->db, "BEGIN IMMEDIATE", &e) == ST_OK ? CITY_R_NONE : CITY_R_BUSY;
        if (r == CITY_R_NONE)
            r = city_est_commit(&s->db, bind_in(&s->db, &p, &b, &known, &e), &e);
        if (r == CITY_R_NONE && b.replaces && put_last(&s->db, p.gw, &a->body, &e) != ST_OK)
            r = CITY_R_BUSY;
        pthread_mutex_unlock(&s->lock);
    }
    if (r == CITY_R_NONE && wire_pub_pem(receipts, &a->body) != ST_OK)
        r = CITY_R_BUSY;
    a->status = known ? 200 : 201;
    a->content_type = "application/x-pem-file";
    if (r != CITY_R_NONE)
        city_est_refuse(a, r, e.text);
}

/* Whether a window in time since boot ended before at_ms: a `time` entry says so, or something
 * behind it in its chain, or in the one that follows, did. */
static enum st ended_before(struct city_db *d, int64_t gateway, const struct wire_header *h,
                            int64_t at_ms, bool *yes, struct err *e)
{
    sqlite3_stmt *s =
        city_db_bind(d, SQL_ENDED_BEFORE, "ibiibi", gateway, h->chain, sizeof h->chain,
                     (int64_t)h->seq, at_ms, h->boot, sizeof h->boot, h->to_ms);
    enum st st = city_db_step(d, s, e);

    *yes = st == ST_OK;
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum city_code city_check_handed(struct city_db *d, int64_t gateway, int64_t key,
                                 const struct wire_header *h, struct err *e)
{
    sqlite3_stmt *s = city_db_bind(d, SQL_HANDED, "i", key);
    enum st st = city_db_step(d, s, e);
    int64_t at_ms = st == ST_OK ? sqlite3_column_int64(s, 0) : 0;
    bool good = h->clk != 3 && h->to_ms <= at_ms;

    sqlite3_reset(s);
    if (st == ST_OK && h->clk == 3)
        st = ended_before(d, gateway, h, at_ms, &good, e);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? CITY_OK : CITY_UNAVAILABLE;
    if (good)
        return CITY_OK;
    if (h->clk == 3)
        err_set(e, ST_REFUSED,
                "batch %" PRIu64 ": another box has taken over from the one with this key, the "
                "clock was not set, and nothing that is here says that it ended before that",
                h->seq);
    else
        err_set(e, ST_REFUSED,
                "another box has taken over from the one with this key: only what ended before "
                "that is taken");
    return CITY_UNAUTHORIZED;
}
