#include "gateway/city/city_int.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
    int status;
    const char *text;
} codes[] = {
    [CITY_OK] = {201, "ok"},
    [CITY_BAD_CBOR] = {400, "bad_cbor"},
    [CITY_BAD_SIGNATURE] = {400, "bad_signature"},
    [CITY_CONFLICT] = {409, "conflict"},
    [CITY_WRONG_GATEWAY] = {403, "wrong_gateway"},
    [CITY_UNKNOWN_GATEWAY] = {404, "unknown_gateway"},
    [CITY_UNKNOWN_KEY] = {403, "unknown_key"},
    [CITY_UNAUTHORIZED] = {401, "unauthorized"},
    [CITY_VERSION] = {400, "version"},
    [CITY_UNSUPPORTED_TYPE] = {415, "unsupported_type"},
    [CITY_TOO_LARGE] = {413, "too_large"},
    [CITY_RATE] = {429, "rate"},
    [CITY_UNAVAILABLE] = {503, "unavailable"},
};

const char *city_code_text(enum city_code c)
{
    return codes[c].text;
}

int city_code_status(enum city_code c)
{
    return codes[c].status;
}

static enum city_code refuse(enum city_code c, struct err *e, const char *why)
{
    err_set(e, ST_REFUSED, "%s", why);
    return c;
}

/* application/cose, with no parameter but cose-type="cose-sign1" (RFC 9052 section 11.3). */
static bool type_fits(const char *type)
{
    static const char media[] = "application/cose";
    static const char *const params[] = {"cose-type=\"cose-sign1\"", "cose-type=cose-sign1"};

    if (type == NULL || strncasecmp(type, media, strlen(media)) != 0)
        return false;
    type += strlen(media);
    type += strspn(type, " \t");
    if (*type == '\0')
        return true;
    if (*type++ != ';')
        return false;
    type += strspn(type, " \t");
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(params[i]);
        if (strncasecmp(type, params[i], n) == 0 && type[n + strspn(type + n, " \t")] == '\0')
            return true;
    }
    return false;
}

enum city_code city_unpack(const char *type, const char *encoding, const void *body, size_t n,
                           struct city_batch *b, struct err *e)
{
    bool zstd = encoding != NULL && strcasecmp(encoding, "zstd") == 0;

    buf_init(&b->cose, WIRE_BATCH_MAX);
    buf_init(&b->packed, WIRE_BATCH_MAX + 64 * 1024);
    if (!type_fits(type))
        return refuse(CITY_UNSUPPORTED_TYPE, e,
                      "Content-Type: application/cose; cose-type=\"cose-sign1\"");
    if (!zstd && encoding != NULL && strcasecmp(encoding, "identity") != 0)
        return refuse(CITY_UNSUPPORTED_TYPE, e, "Content-Encoding: zstd or identity");
    if (!zstd && n > WIRE_BATCH_MAX)
        return refuse(CITY_TOO_LARGE, e, "at most 1 MiB");
    /* the buffer is the limit: it says ST_FULL, so that too long is told from damaged */
    enum st st =
        zstd ? wire_zstd_unpack(body, n, SIZE_MAX / 2, &b->cose, e) : buf_put(&b->cose, body, n);
    if (st == ST_FULL)
        return refuse(CITY_TOO_LARGE, e, "at most 1 MiB");
    if (st != ST_OK)
        return st == ST_MEMORY ? CITY_UNAVAILABLE : CITY_BAD_CBOR;
    if (zstd) {
        b->stored.p = body;
        b->stored.n = n;
    }
    wire_sha256(b->cose.p, b->cose.n, b->sha256);
    return CITY_OK;
}

/* The same bytes again need no second verification: their receipt says all. */
static enum city_code look_up(struct city_db *d, const struct city_where *w, struct city_batch *b,
                              struct err *e)
{
    uint8_t held[WIRE_HASH_BYTES];
    sqlite3_stmt *s = city_db_bind(d, SQL_RECEIPT_FIND, "ibi", b->gateway, w->chain,
                                   sizeof w->chain, (int64_t)w->seq);
    enum st st = city_db_step(d, s, e);

    if (st != ST_OK)
        return st == ST_NOT_FOUND ? CITY_OK : CITY_UNAVAILABLE;
    if (city_db_blob(s, 0, held, sizeof held) && memcmp(held, b->sha256, sizeof held) == 0) {
        struct wire_span r = city_db_span(s, 1);
        buf_init(&b->receipt, 4096);
        st = buf_put(&b->receipt, r.p, r.n);
        b->known = st == ST_OK;
    }
    sqlite3_reset(s);
    return st == ST_OK ? CITY_OK : CITY_UNAVAILABLE;
}

static enum city_code check_revoked(struct city_db *d, int64_t key, struct err *e)
{
    bool revoked = false;

    if (city_key_revoked(d, key, &revoked, e) != ST_OK)
        return CITY_UNAVAILABLE;
    return revoked ? refuse(CITY_UNAUTHORIZED, e, "this key was revoked") : CITY_OK;
}

enum city_code city_check_key(struct city_db *d, int64_t gateway, const struct wire_batch *b,
                              int64_t *key, struct err *e)
{
    enum city_code code = CITY_UNKNOWN_KEY;
    sqlite3_stmt *s = city_db_bind(d, SQL_KEYS, "ib", gateway, b->header.kid, sizeof b->header.kid);
    enum st st;

    /* the key id is a hint of 8 bytes: more than one key may bear it */
    while ((st = city_db_step(d, s, e)) == ST_OK && code != CITY_OK) {
        struct wire_span der = city_db_span(s, 1);
        enum st fits = city_signed_by(&b->cose, der, e);
        if (fits != ST_OK && fits != ST_CORRUPT) {
            code = CITY_UNAVAILABLE;
            break;
        }
        code = fits == ST_OK ? CITY_OK : CITY_BAD_SIGNATURE;
        if (code == CITY_OK)
            *key = sqlite3_column_int64(s, 0);
    }
    sqlite3_reset(s);
    if (st == ST_IO)
        return CITY_UNAVAILABLE;
    return code == CITY_UNKNOWN_KEY
               ? refuse(code, e, "no key with this key id is enrolled for the gateway")
               : code;
}

/* Counts the readings, and finds the first and the last time: batches may hold late ones. */
static enum city_code measure(struct city_batch *b, struct err *e)
{
    const struct wire_cose *c = &b->batch.cose;
    struct wire_senml s;
    struct wire_reading r;
    enum st st;

    b->t_min = 0;
    b->t_max = -1;
    if (b->batch.header.kind != WIRE_DATA)
        return CITY_OK;
    st = wire_senml_open(&s, c->payload.p, c->payload.n, b->batch.header.gw, NULL, e);
    while (st == ST_OK && (st = wire_senml_next(&s, &r, e)) == ST_OK) {
        if (b->n == 0 || r.t_ms < b->t_min)
            b->t_min = r.t_ms;
        if (b->n == 0 || r.t_ms > b->t_max)
            b->t_max = r.t_ms;
        b->n++;
    }
    return st == ST_NOT_FOUND ? CITY_OK : CITY_BAD_CBOR;
}

static enum city_code check_header(const struct city_where *w, const struct wire_header *h,
                                   struct err *e)
{
    if (strcmp(h->gw, w->gw) != 0)
        return refuse(CITY_WRONG_GATEWAY, e, "the batch names another gateway than the URL");
    if (memcmp(h->chain, w->chain, sizeof w->chain) != 0 || h->seq != w->seq)
        return refuse(CITY_WRONG_GATEWAY, e, "the batch has another chain or seq than the URL");
    return CITY_OK;
}

enum city_code city_pack(struct city_batch *b, struct err *e)
{
    struct wire_zstd *z = NULL;
    enum st st = wire_zstd_open(&z, e);

    if (st == ST_OK)
        st = wire_zstd_pack(z, wire_batch_level(b->cose.n), b->cose.p, b->cose.n, &b->packed, e);
    wire_zstd_close(z);
    b->stored.p = b->packed.p;
    b->stored.n = b->packed.n;
    return st == ST_OK ? CITY_OK : CITY_UNAVAILABLE;
}

enum city_code city_ingest(struct city_db *d, const struct city_where *w, const char *type,
                           const char *encoding, const void *body, size_t n, struct city_batch *b,
                           struct err *e)
{
    enum city_code code;

    memset(b, 0, sizeof *b);
    wire_sha256(body, n, b->sha256);
    sqlite3_stmt *s = city_db_bind(d, SQL_GATEWAY_FIND, "t", w->gw);
    enum st st = city_db_step(d, s, e);
    if (st == ST_NOT_FOUND)
        return refuse(CITY_UNKNOWN_GATEWAY, e, "this gateway is not enrolled");
    if (st != ST_OK)
        return CITY_UNAVAILABLE;
    b->gateway = sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    code = city_unpack(type, encoding, body, n, b, e);
    if (code == CITY_OK)
        code = look_up(d, w, b, e);
    if (code != CITY_OK || b->known)
        return code;
    st = wire_batch_open(&b->batch, b->cose.p, b->cose.n, e);
    if (st != ST_OK) {
        memset(&b->batch, 0, sizeof b->batch);
        return st == ST_UNSUPPORTED ? CITY_VERSION
               : st == ST_MEMORY    ? CITY_UNAVAILABLE
                                    : CITY_BAD_CBOR;
    }
    code = check_header(w, &b->batch.header, e);
    if (code == CITY_OK)
        code = city_check_key(d, b->gateway, &b->batch, &b->key, e);
    if (code == CITY_OK)
        code = check_revoked(d, b->key, e);
    if (code == CITY_OK)
        code = city_check_handed(d, b->gateway, b->key, &b->batch.header, e);
    if (code == CITY_OK)
        code = measure(b, e);
    if (code == CITY_OK && b->stored.p == NULL)
        code = city_pack(b, e);
    return code;
}

void city_batch_done(struct city_batch *b)
{
    wire_batch_done(&b->batch);
    buf_done(&b->cose);
    buf_done(&b->packed);
    buf_done(&b->receipt);
    memset(b, 0, sizeof *b);
}
