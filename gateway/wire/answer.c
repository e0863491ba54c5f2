/* What the city signs: receipts and heads (batch.md rules 20 and 21). */
#include <stdlib.h>

#include "gateway/wire/wire_int.h"

#define VERSION 1

/* ---- shared -------------------------------------------------------------------------------- */

enum st wire_answer_sign(const char *type, const struct buf *payload, const struct wire_signer *key,
                         struct buf *out, struct err *e)
{
    struct buf header;
    enum st st;

    buf_init(&header, WIRE_HEADER_MAX);
    st = wire_cose_begin(&header, 0, type, key);
    if (st)
        st = err_set(e, st, "no room for a header");
    else
        st = wire_cose_sign((struct wire_span){header.p, header.n},
                            (struct wire_span){payload->p, payload->n}, key, out, e);
    buf_done(&header);
    return st;
}

enum st wire_answer_open(const char *type, struct wire_cose *cose, uint8_t kid[WIRE_ID_BYTES],
                         const void *p, size_t n, struct err *e)
{
    struct wire_item got;
    enum st st = wire_cose_open(cose, p, n, e);

    if (!st)
        st = wire_cose_header(cose, &got, kid, NULL, NULL, e);
    if (!st && (got.type != WIRE_TEXT || !wire_is(got.span, type)))
        return err_set(e, ST_BAD, "not a message of type %s", type);
    return st;
}

enum st wire_put_named_uint(struct buf *out, const char *key, uint64_t v)
{
    enum st st = wire_put_text(out, key);

    return st ? st : wire_put_uint(out, v);
}

enum st wire_put_named_text(struct buf *out, const char *key, const char *v)
{
    enum st st = wire_put_text(out, key);

    return st ? st : wire_put_text(out, v);
}

enum st wire_put_named_bytes(struct buf *out, const char *key, const void *p, size_t n)
{
    enum st st = wire_put_text(out, key);

    return st ? st : wire_put_bytes(out, p, n);
}

/* Walks a map with text keys: known ones go to next(ctx, index), others are stepped over; `depth`
 * is that of the values. The first `need` of `keys` must be there. */
static enum st walk(struct wire_reader *r, unsigned depth, const char *const *keys, int need,
                    enum st (*next)(void *ctx, int k, struct wire_reader *r, struct err *e),
                    void *ctx, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_span last = {NULL, 0};
    struct wire_item map, key;
    int k, seen = 0, n = 0;
    enum st st = wire_expect(r, WIRE_MAP, &map, e);
    uint64_t i;

    while (keys[n])
        n++;
    for (i = 0; !st && i < map.u; i++) {
        st = wire_next_key(r, &last, &key, e);
        if (st)
            return st;
        k = 0;
        while (k < n && (key.type != WIRE_TEXT || !wire_is(key.span, keys[k])))
            k++;
        seen += k < need;
        st = k < n ? next(ctx, k, r, e) : wire_skip_in(r, depth, e);
    }
    return !st && seen != need ? wire_bad(r, at, e, "a map without all its keys") : st;
}

static enum st next_version(struct wire_reader *r, struct err *e)
{
    struct wire_item it;
    enum st st = wire_expect(r, WIRE_UINT, &it, e);

    return !st && it.u != VERSION ? err_set(e, ST_UNSUPPORTED, "an answer of another version") : st;
}

static enum st next_gw(struct wire_reader *r, char gw[WIRE_GW_MAX + 1], struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item it;
    enum st st = wire_expect(r, WIRE_TEXT, &it, e);

    if (st)
        return st;
    if (!wire_is_id(it.span))
        return wire_bad(r, at, e, "gw is no id");
    memcpy(gw, it.span.p, it.span.n);
    gw[it.span.n] = 0;
    return ST_OK;
}

static enum st put_through(struct buf *b, uint64_t seq, const uint8_t hash[WIRE_HASH_BYTES])
{
    enum st st = wire_put_text(b, "through");

    if (!st)
        st = wire_put_array(b, 2);
    if (!st)
        st = wire_put_uint(b, seq);
    return st ? st : wire_put_bytes(b, hash, WIRE_HASH_BYTES);
}

static enum st next_count(struct wire_reader *r, uint64_t *n, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item it;
    enum st st = wire_expect(r, WIRE_UINT, &it, e);

    *n = it.u;
    return !st && it.u > INT64_MAX ? wire_bad(r, at, e, "a number above 2^63 - 1") : st;
}

static enum st next_through(struct wire_reader *r, uint64_t *seq, uint8_t hash[WIRE_HASH_BYTES],
                            struct err *e)
{
    enum st st = wire_expect_count(r, WIRE_ARRAY, 2, e);

    if (!st)
        st = next_count(r, seq, e);
    return st ? st : wire_expect_bytes(r, hash, WIRE_HASH_BYTES, e);
}

/* ---- receipts ------------------------------------------------------------------------------ */

enum receipt_key { R_N, R_V, R_GW, R_SEQ, R_CHAIN, R_SHA256, R_THROUGH, R_RECEIVED };
static const char *const receipt_keys[] = {"n",      "v",       "gw",       "seq", "chain",
                                           "sha256", "through", "received", NULL};

static enum st put_receipt(struct buf *b, const struct wire_receipt *r)
{
    enum st st = wire_put_map(b, 8);

    if (!st)
        st = wire_put_named_uint(b, receipt_keys[R_N], r->n);
    if (!st)
        st = wire_put_named_uint(b, receipt_keys[R_V], VERSION);
    if (!st)
        st = wire_put_named_text(b, receipt_keys[R_GW], r->gw);
    if (!st)
        st = wire_put_named_uint(b, receipt_keys[R_SEQ], r->seq);
    if (!st)
        st = wire_put_named_bytes(b, receipt_keys[R_CHAIN], r->chain, WIRE_ID_BYTES);
    if (!st)
        st = wire_put_named_bytes(b, receipt_keys[R_SHA256], r->sha256, WIRE_HASH_BYTES);
    if (!st)
        st = put_through(b, r->through_seq, r->through_hash);
    return st ? st : wire_put_named_uint(b, receipt_keys[R_RECEIVED], (uint64_t)r->received_ms);
}

enum st wire_receipt_sign(const struct wire_receipt *r, const struct wire_signer *key,
                          struct buf *out, struct err *e)
{
    struct buf b;
    enum st st;

    buf_init(&b, 1024);
    st = put_receipt(&b, r);
    st = st ? err_set(e, st, "no room for a receipt")
            : wire_answer_sign(WIRE_TYPE_RECEIPT, &b, key, out, e);
    buf_done(&b);
    return st;
}

static enum st next_receipt_key(void *ctx, int k, struct wire_reader *r, struct err *e)
{
    struct wire_receipt *out = ctx;

    switch (k) {
    case R_N:
        return next_count(r, &out->n, e);
    case R_V:
        return next_version(r, e);
    case R_GW:
        return next_gw(r, out->gw, e);
    case R_SEQ:
        return wire_expect_seq(r, &out->seq, e);
    case R_CHAIN:
        return wire_expect_bytes(r, out->chain, WIRE_ID_BYTES, e);
    case R_SHA256:
        return wire_expect_bytes(r, out->sha256, WIRE_HASH_BYTES, e);
    case R_THROUGH:
        return next_through(r, &out->through_seq, out->through_hash, e);
    default:
        return wire_expect_int(r, &out->received_ms, e);
    }
}

enum st wire_receipt_open(struct wire_receipt *r, struct wire_cose *cose, const void *p, size_t n,
                          struct err *e)
{
    uint8_t kid[WIRE_ID_BYTES];
    struct wire_reader in;
    enum st st = wire_answer_open(WIRE_TYPE_RECEIPT, cose, kid, p, n, e);

    if (st)
        return st;
    in = wire_reader_of(cose->payload.p, cose->payload.n);
    st = walk(&in, 1, receipt_keys, R_RECEIVED + 1, next_receipt_key, r, e);
    return !st && !wire_end(&in) ? wire_bad(&in, in.p, e, "bytes behind the receipt") : st;
}

/* ---- heads --------------------------------------------------------------------------------- */

enum head_key { H_V, H_GW, H_NONCE, H_CHAINS, H_CONFIG, H_TRUST }; /* the last two may be absent */
static const char *const head_keys[] = {"v", "gw", "nonce", "chains", "config", "trust", NULL};
enum chain_key { C_BROKEN, C_MISSING, C_THROUGH };
static const char *const chain_keys[] = {"broken", "missing", "through", NULL};
#define CHAIN_MIN_BYTES 64 /* of its encoding: id, three keys, a hash */

static enum st put_chain(struct buf *b, const struct wire_head_chain *c)
{
    enum st st = wire_put_bytes(b, c->chain, WIRE_ID_BYTES);
    size_t i;

    if (!st)
        st = wire_put_map(b, 3);
    if (!st)
        st = wire_put_text(b, chain_keys[C_BROKEN]);
    if (!st)
        st = wire_put_array(b, c->nbroken);
    for (i = 0; !st && i < c->nbroken; i++)
        st = wire_put_uint(b, c->broken[i]);
    if (!st)
        st = wire_put_text(b, chain_keys[C_MISSING]);
    if (!st)
        st = wire_put_array(b, c->nmissing);
    for (i = 0; !st && i < c->nmissing; i++) {
        st = wire_put_array(b, 2);
        if (!st)
            st = wire_put_uint(b, c->missing[i][0]);
        if (!st)
            st = wire_put_uint(b, c->missing[i][1]);
    }
    return st ? st : put_through(b, c->through_seq, c->through_hash);
}

/* The chain whose id follows `last` (NULL: the first) in the order of map keys. */
static const struct wire_head_chain *chain_after(const struct wire_head *h,
                                                 const struct wire_head_chain *last)
{
    const struct wire_head_chain *best = NULL, *c;

    for (c = h->chains; c < h->chains + h->nchains; c++)
        if ((!last || memcmp(c->chain, last->chain, WIRE_ID_BYTES) > 0) &&
            (!best || memcmp(c->chain, best->chain, WIRE_ID_BYTES) < 0))
            best = c;
    return best;
}

static bool is_zero(const uint8_t hash[WIRE_HASH_BYTES])
{
    static const uint8_t zero[WIRE_HASH_BYTES];

    return memcmp(hash, zero, sizeof zero) == 0;
}

static enum st put_config(struct buf *b, const uint8_t hash[WIRE_HASH_BYTES])
{
    enum st st = wire_put_text(b, head_keys[H_CONFIG]);

    return st ? st : is_zero(hash) ? wire_put_null(b) : wire_put_bytes(b, hash, WIRE_HASH_BYTES);
}

static enum st put_head(struct buf *b, const struct wire_head *h)
{
    const struct wire_head_chain *c = NULL;
    enum st st = wire_put_map(b, 4 + (h->keeps_config ? 1u : 0u) + (h->trust > 0 ? 1u : 0u));
    size_t i;

    if (!st)
        st = wire_put_named_uint(b, head_keys[H_V], VERSION);
    if (!st)
        st = wire_put_named_text(b, head_keys[H_GW], h->gw);
    if (!st)
        st = wire_put_text(b, head_keys[H_NONCE]);
    if (!st)
        st = wire_put_text_n(b, h->nonce, h->nonce_n);
    if (!st && h->trust > 0)
        st = wire_put_named_uint(b, head_keys[H_TRUST], h->trust);
    if (!st)
        st = wire_put_text(b, head_keys[H_CHAINS]);
    if (!st)
        st = wire_put_map(b, h->nchains);
    for (i = 0; !st && i < h->nchains; i++) {
        c = chain_after(h, c);
        st = c ? put_chain(b, c) : ST_BAD; /* an id twice */
    }
    return !st && h->keeps_config ? put_config(b, h->config) : st;
}

enum st wire_head_sign(const struct wire_head *h, const struct wire_signer *key, struct buf *out,
                       struct err *e)
{
    struct buf b;
    enum st st;

    buf_init(&b, WIRE_BATCH_MAX);
    st = put_head(&b, h);
    st = st ? err_set(e, st, "a head that cannot be or is too large")
            : wire_answer_sign(WIRE_TYPE_HEAD, &b, key, out, e);
    buf_done(&b);
    return st;
}

struct parse {
    struct wire_head *h;
    struct wire_head_chain *chain; /* the one being read */
    uint64_t *numbers;             /* room for the lists that are still to come */
};

static enum st next_missing(struct parse *p, struct wire_reader *r, struct err *e)
{
    struct wire_head_chain *c = p->chain;
    struct wire_item it;
    enum st st = wire_expect(r, WIRE_ARRAY, &it, e);

    c->missing = (uint64_t(*)[2])(void *)p->numbers;
    for (c->nmissing = 0; !st && c->nmissing < it.u; c->nmissing++) {
        uint64_t *range = c->missing[c->nmissing];
        const uint8_t *at = r->p;

        st = wire_expect_count(r, WIRE_ARRAY, 2, e);
        if (!st)
            st = wire_expect_seq(r, &range[0], e);
        if (!st)
            st = wire_expect_seq(r, &range[1], e);
        if (!st && range[0] > range[1])
            return wire_bad(r, at, e, "a range that ends before it begins");
        p->numbers += 2;
    }
    return st;
}

static enum st next_broken(struct parse *p, struct wire_reader *r, struct err *e)
{
    struct wire_head_chain *c = p->chain;
    struct wire_item it;
    enum st st = wire_expect(r, WIRE_ARRAY, &it, e);

    c->broken = p->numbers;
    for (c->nbroken = 0; !st && c->nbroken < it.u; c->nbroken++)
        st = wire_expect_seq(r, p->numbers++, e);
    return st;
}

static enum st next_chain_key(void *ctx, int k, struct wire_reader *r, struct err *e)
{
    struct parse *p = ctx;

    switch (k) {
    case C_BROKEN:
        return next_broken(p, r, e);
    case C_MISSING:
        return next_missing(p, r, e);
    default:
        return next_through(r, &p->chain->through_seq, p->chain->through_hash, e);
    }
}

static enum st next_chains(struct parse *p, struct wire_reader *r, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item it;
    enum st st = wire_expect(r, WIRE_MAP, &it, e);
    uint64_t i;

    if (!st && it.u > (size_t)(r->end - r->p) / CHAIN_MIN_BYTES)
        return wire_bad(r, at, e, "ends before all chains that it announces");
    for (i = 0; !st && i < it.u; i++) {
        p->chain = &p->h->chains[i];
        st = wire_expect_bytes(r, p->chain->chain, WIRE_ID_BYTES, e);
        if (!st && i && memcmp(p->chain[-1].chain, p->chain->chain, WIRE_ID_BYTES) >= 0)
            return wire_bad(r, at, e, "a chain out of order or twice");
        if (!st)
            st = walk(r, 3, chain_keys, C_THROUGH + 1, next_chain_key, p, e);
    }
    p->h->nchains = i;
    return st;
}

static enum st next_nonce(struct wire_head *h, struct wire_reader *r, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item it;
    enum st st = wire_expect(r, WIRE_TEXT, &it, e);

    if (st)
        return st;
    if (it.span.n > sizeof(h->nonce))
        return wire_bad(r, at, e, "a nonce above 64 bytes");
    memcpy(h->nonce, it.span.p, it.span.n);
    h->nonce_n = it.span.n;
    return ST_OK;
}

static enum st next_config(struct wire_head *h, struct wire_reader *r, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item it;
    enum st st = wire_next(r, &it, e);

    h->keeps_config = true;
    if (st || it.type == WIRE_NULL)
        return st;
    if (it.type != WIRE_BYTES || it.span.n != WIRE_HASH_BYTES)
        return wire_bad(r, at, e, "config is no hash");
    memcpy(h->config, it.span.p, WIRE_HASH_BYTES);
    return ST_OK;
}

static enum st next_head_key(void *ctx, int k, struct wire_reader *r, struct err *e)
{
    struct parse *p = ctx;

    switch (k) {
    case H_V:
        return next_version(r, e);
    case H_GW:
        return next_gw(r, p->h->gw, e);
    case H_NONCE:
        return next_nonce(p->h, r, e);
    case H_CONFIG:
        return next_config(p->h, r, e);
    case H_TRUST:
        return next_count(r, &p->h->trust, e);
    default:
        return next_chains(p, r, e);
    }
}

enum st wire_head_open(struct wire_head *h, struct wire_cose *cose, const void *p, size_t n,
                       struct err *e)
{
    struct parse parse = {.h = h};
    uint8_t kid[WIRE_ID_BYTES];
    struct wire_reader r;
    size_t chains;
    enum st st;

    *h = (struct wire_head){.owned = NULL};
    st = wire_answer_open(WIRE_TYPE_HEAD, cose, kid, p, n, e);
    if (st)
        return st;
    /* A number takes at least one byte of the payload. */
    chains = cose->payload.n / CHAIN_MIN_BYTES + 1;
    h->owned = calloc(1, chains * sizeof(*h->chains) + cose->payload.n * sizeof(uint64_t));
    if (!h->owned)
        return err_set(e, ST_MEMORY, "no memory for a head");
    h->chains = h->owned;
    parse.numbers = (uint64_t *)(void *)(h->chains + chains);
    r = wire_reader_of(cose->payload.p, cose->payload.n);
    st = walk(&r, 1, head_keys, H_CONFIG, next_head_key, &parse, e);
    if (!st && !wire_end(&r))
        st = wire_bad(&r, r.p, e, "bytes behind the head");
    if (st)
        wire_head_done(h);
    return st;
}

void wire_head_done(struct wire_head *h)
{
    free(h->owned);
    *h = (struct wire_head){.owned = NULL};
}
