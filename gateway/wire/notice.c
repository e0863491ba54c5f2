/* What the city announces of its own keys: the next receipt key, the next CA. One form, so that it
 * is read as it is written. */
#include "gateway/wire/wire_int.h"

#define VERSION 1
#define KEYS 6 /* of the map; `ca` and `key` are on top */

static enum st put_cas(struct buf *b, const struct wire_notice *x)
{
    enum st st = wire_put_text(b, "ca");
    size_t i;

    if (!st)
        st = wire_put_array(b, x->ncas);
    for (i = 0; !st && i < x->ncas; i++)
        st = wire_put_bytes(b, x->ca[i].p, x->ca[i].n);
    return st;
}

static enum st put(struct buf *b, const struct wire_notice *x)
{
    enum st st = wire_put_map(b, KEYS + (x->ncas > 0 ? 1u : 0u) + (x->key.n > 0 ? 1u : 0u));

    if (!st)
        st = wire_put_named_uint(b, "n", x->n);
    if (!st)
        st = wire_put_named_uint(b, "v", VERSION);
    if (!st)
        st = wire_put_named_uint(b, "at", (uint64_t)x->at_ms);
    if (!st && x->ncas > 0)
        st = put_cas(b, x);
    if (!st && x->key.n > 0)
        st = wire_put_named_bytes(b, "key", x->key.p, x->key.n);
    if (!st)
        st = wire_put_named_uint(b, "from", (uint64_t)x->from_ms);
    if (!st)
        st = wire_put_named_bytes(b, "prev", x->prev, sizeof x->prev);
    return st ? st : wire_put_named_uint(b, "until", (uint64_t)x->until_ms);
}

/* What no reader takes. */
static enum st check(const struct wire_notice *x, struct err *e)
{
    struct wire_pub *pub = NULL;
    struct wire_cert cert;
    size_t i;
    enum st st = ST_OK;

    if (x->n == 0 || x->n > INT64_MAX)
        return err_set(e, ST_BAD, "a notice's number is 1 or more");
    if (x->key.n == 0 && x->ncas == 0)
        return err_set(e, ST_BAD, "a notice of neither a key nor a CA");
    if (x->at_ms < 0 || x->from_ms < x->at_ms || x->until_ms <= x->from_ms)
        return err_set(e, ST_BAD, "a notice whose times are not at <= from < until");
    if (x->key.n > 0)
        st = wire_pub_parse(&pub, x->key.p, x->key.n, e);
    wire_pub_free(pub);
    for (i = 0; !st && i < x->ncas; i++)
        st = wire_cert_read(&cert, x->ca[i], e);
    return st;
}

enum st wire_notice_sign(const struct wire_notice *x, const struct wire_signer *key,
                         struct buf *out, struct err *e)
{
    size_t before = out->n;
    struct buf b;

    ERR_TRY(check(x, e));
    buf_init(&b, WIRE_NOTICE_MAX);
    enum st st = put(&b, x);
    st = st ? err_set(e, ST_FULL, "a notice above %d bytes: fewer certificates", WIRE_NOTICE_MAX)
            : wire_answer_sign(WIRE_TYPE_TRUST, &b, key, out, e);
    if (!st && out->n - before > WIRE_NOTICE_MAX) {
        out->n = before;
        st = err_set(e, ST_FULL, "a notice above %d bytes: fewer certificates", WIRE_NOTICE_MAX);
    }
    buf_done(&b);
    return st;
}

/* The next key of the map, when it is this one. */
static bool is_key(struct wire_reader *r, const char *key)
{
    struct wire_reader ahead = *r;
    struct wire_item k;

    if (wire_next(&ahead, &k, NULL) != ST_OK || k.type != WIRE_TEXT || !wire_is(k.span, key))
        return false;
    *r = ahead;
    return true;
}

static enum st next_ms(struct wire_reader *r, const char *key, int64_t *ms, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item v = {.u = 0};

    ERR_TRY(wire_expect_key(r, key, WIRE_UINT, &v, e));
    if (v.u > INT64_MAX)
        return wire_bad(r, at, e, "a time above 2^63 - 1 ms");
    *ms = (int64_t)v.u;
    return ST_OK;
}

static enum st next_cas(struct wire_reader *r, struct wire_notice *x, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item v = {.u = 0};
    uint64_t n;

    ERR_TRY(wire_expect(r, WIRE_ARRAY, &v, e));
    n = v.u;
    if (n == 0 || n > WIRE_NOTICE_CAS)
        return wire_bad(r, at, e, "not 1 to 4 certificates");
    for (x->ncas = 0; x->ncas < n; x->ncas++) {
        ERR_TRY(wire_expect(r, WIRE_BYTES, &v, e));
        x->ca[x->ncas] = v.span;
    }
    return ST_OK;
}

static enum st open_payload(struct wire_notice *x, struct wire_span payload, struct err *e)
{
    struct wire_reader r = wire_reader_of(payload.p, payload.n);
    struct wire_item map = {.u = 0}, v = {.u = 0};

    ERR_TRY(wire_expect(&r, WIRE_MAP, &map, e));
    ERR_TRY(wire_expect_key(&r, "n", WIRE_UINT, &v, e));
    x->n = v.u;
    ERR_TRY(wire_expect_key(&r, "v", WIRE_UINT, &v, e));
    if (v.u != VERSION)
        return err_set(e, ST_UNSUPPORTED, "a notice of another version");
    ERR_TRY(next_ms(&r, "at", &x->at_ms, e));
    if (is_key(&r, "ca"))
        ERR_TRY(next_cas(&r, x, e));
    if (is_key(&r, "key")) {
        ERR_TRY(wire_expect(&r, WIRE_BYTES, &v, e));
        x->key = v.span;
        if (v.span.n == 0)
            return wire_bad(&r, r.p, e, "an empty key");
    }
    ERR_TRY(next_ms(&r, "from", &x->from_ms, e));
    ERR_TRY(wire_expect_key(&r, "prev", WIRE_BYTES, &v, e));
    if (v.span.n != sizeof x->prev)
        return wire_bad(&r, r.p, e, "prev is no hash");
    memcpy(x->prev, v.span.p, sizeof x->prev);
    ERR_TRY(next_ms(&r, "until", &x->until_ms, e));
    if (map.u != KEYS + (uint64_t)(x->ncas > 0) + (uint64_t)(x->key.n > 0) || !wire_end(&r))
        return wire_bad(&r, r.p, e, "more, or less, than a notice has");
    return check(x, e);
}

enum st wire_notice_open(struct wire_notice *x, struct wire_cose *cose, const void *p, size_t n,
                         struct err *e)
{
    *x = (struct wire_notice){.n = 0};
    if (n > WIRE_NOTICE_MAX)
        return err_set(e, ST_BAD, "a notice of %zu bytes, at most %d are allowed", n,
                       WIRE_NOTICE_MAX);
    ERR_TRY(wire_answer_open(WIRE_TYPE_TRUST, cose, x->kid, p, n, e));
    wire_sha256(p, n, x->hash);
    return open_payload(x, cose->payload, e);
}

enum st wire_notice_next(struct wire_span *rest, struct wire_span *item, struct err *e)
{
    struct wire_reader r = wire_reader_of(rest->p, rest->n);

    if (rest->n == 0)
        return ST_NOT_FOUND;
    ERR_TRY(wire_skip(&r, e));
    *item = (struct wire_span){rest->p, (size_t)(r.p - rest->p)};
    rest->p += item->n;
    rest->n -= item->n;
    return ST_OK;
}
