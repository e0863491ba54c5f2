/* COSE_Sign1 with ES256 (RFC 9052, 9053). */
#include "gateway/wire/wire_int.h"

enum { COSE_ALG = 1, COSE_CRIT = 2, COSE_TYPE = 3, COSE_KID = 4 };
#define TAG_SIGN1 18
#define ALG_ES256 (-7)
#define SIGNATURE_BYTES 64

/* Sig_structure: ["Signature1", protected, external_aad = h'', payload] */
static void to_be_signed(struct wire_span header, struct wire_span payload,
                         uint8_t hash[WIRE_HASH_BYTES])
{
    static const uint8_t context[] = {0x84, 0x6a, 'S', 'i', 'g', 'n', 'a', 't', 'u', 'r', 'e', '1'};
    uint8_t head[WIRE_CBOR_HEAD_BYTES], middle[1 + WIRE_CBOR_HEAD_BYTES] = {0x40};
    struct wire_span parts[] = {
        {context, sizeof(context)},
        {head, (size_t)(wire_store_head(head, 2, header.n) - head)},
        header,
        {middle, (size_t)(wire_store_head(middle + 1, 2, payload.n) - middle)},
        payload};

    wire_sha256_parts(parts, sizeof(parts) / sizeof(parts[0]), hash);
}

enum st wire_cose_begin(struct buf *header, unsigned more_keys, const char *type,
                        const struct wire_signer *key)
{
    enum st st = wire_put_map(header, 3 + more_keys);

    if (!st)
        st = wire_put_uint(header, COSE_ALG);
    if (!st)
        st = wire_put_int(header, ALG_ES256);
    if (!st)
        st = wire_put_uint(header, COSE_TYPE);
    if (!st)
        st = type ? wire_put_text(header, type) : wire_put_uint(header, WIRE_TYPE_SENML);
    if (!st)
        st = wire_put_uint(header, COSE_KID);
    return st ? st : wire_put_bytes(header, wire_pub_kid(key->pub), WIRE_ID_BYTES);
}

/* Writes the message without its signature at p; *end: behind it. Says where header and payload
 * lie therein. */
static struct wire_cose lay_out(uint8_t *p, struct wire_span header, const struct wire_span *parts,
                                size_t nparts, size_t payload_n, uint8_t **end)
{
    struct wire_cose c;
    size_t i;

    *p++ = 0xc0 | TAG_SIGN1;
    *p++ = 0x84;
    p = wire_store_head(p, 2, header.n);
    memcpy(p, header.p, header.n);
    c.protected_ = (struct wire_span){p, header.n};
    p += header.n;
    *p++ = 0xa0;
    p = wire_store_head(p, 2, payload_n);
    c.payload = (struct wire_span){p, payload_n};
    for (i = 0; i < nparts; i++) {
        if (parts[i].n)
            memcpy(p, parts[i].p, parts[i].n);
        p += parts[i].n;
    }
    *end = p;
    return c;
}

enum st wire_cose_sign_parts(struct wire_span header, const struct wire_span *parts, size_t nparts,
                             const struct wire_signer *key, struct buf *out, struct err *e)
{
    size_t payload_n = 0, bytes, i;
    uint8_t hash[WIRE_HASH_BYTES], sig[SIGNATURE_BYTES], *start, *p;
    struct wire_cose c;
    enum st st;

    for (i = 0; i < nparts && payload_n <= WIRE_BATCH_MAX; i++)
        payload_n = parts[i].n <= WIRE_BATCH_MAX ? payload_n + parts[i].n : SIZE_MAX;
    if (header.n > WIRE_HEADER_MAX || payload_n > WIRE_BATCH_MAX)
        return err_set(e, ST_FULL, "a header of %zu and a payload of %zu bytes are too large",
                       header.n, payload_n);
    bytes = 2 * WIRE_CBOR_HEAD_BYTES + 5 + header.n + payload_n + SIGNATURE_BYTES;
    st = buf_reserve(out, bytes);
    if (st)
        return err_set(e, st, "no room for a signed message of %zu bytes", bytes);
    start = out->p + out->n;
    c = lay_out(start, header, parts, nparts, payload_n, &p);
    to_be_signed(c.protected_, c.payload, hash);
    st = key->sign(key->ctx, hash, sig, e);
    if (st)
        return st;
    wire_sig_lower(sig);
    p = wire_store_head(p, 2, SIGNATURE_BYTES);
    memcpy(p, sig, SIGNATURE_BYTES);
    p += SIGNATURE_BYTES;
    if ((size_t)(p - start) > WIRE_BATCH_MAX)
        return err_set(e, ST_FULL, "a signed message above %d bytes", WIRE_BATCH_MAX);
    out->n = (size_t)(p - out->p);
    return ST_OK;
}

enum st wire_cose_sign(struct wire_span header, struct wire_span payload,
                       const struct wire_signer *key, struct buf *out, struct err *e)
{
    return wire_cose_sign_parts(header, &payload, 1, key, out, e);
}

enum st wire_cose_open(struct wire_cose *c, const void *p, size_t n, struct err *e)
{
    struct wire_reader r = wire_reader_of(p, n);
    struct wire_item tag, header, payload, sig;
    enum st st;

    if (n > WIRE_BATCH_MAX)
        return err_set(e, ST_BAD, "a message of %zu bytes, at most %d are allowed", n,
                       WIRE_BATCH_MAX);
    st = wire_expect(&r, WIRE_TAG, &tag, e);
    if (!st && tag.u != TAG_SIGN1)
        return wire_bad(&r, r.start, e, "not a COSE_Sign1");
    if (!st)
        st = wire_expect_count(&r, WIRE_ARRAY, 4, e);
    if (!st)
        st = wire_expect(&r, WIRE_BYTES, &header, e);
    if (!st)
        st = wire_expect_count(&r, WIRE_MAP, 0, e);
    if (!st)
        st = wire_expect(&r, WIRE_BYTES, &payload, e);
    if (!st)
        st = wire_expect(&r, WIRE_BYTES, &sig, e);
    if (st)
        return st;
    if (header.span.n > WIRE_HEADER_MAX)
        return wire_bad(&r, header.span.p, e, "a protected header above 64 KiB");
    if (sig.span.n != SIGNATURE_BYTES)
        return wire_bad(&r, sig.span.p, e, "a signature that has not 64 bytes");
    if (!wire_end(&r))
        return wire_bad(&r, r.p, e, "bytes behind the message");
    *c = (struct wire_cose){(struct wire_span){r.start, n}, header.span, payload.span, sig.span};
    return ST_OK;
}

struct walk {
    struct wire_item *type;
    uint8_t *kid;
    unsigned seen;
};

/* The keys of RFC 9052 itself; ST_NOT_FOUND for others. */
static enum st own_key(struct walk *w, struct wire_reader *r, const struct wire_item *key,
                       struct err *e)
{
    const uint8_t *at = r->p;
    int64_t alg;
    enum st st;

    if (key->type != WIRE_UINT || key->u < COSE_ALG || key->u > COSE_KID)
        return ST_NOT_FOUND;
    w->seen |= 1u << key->u;
    switch (key->u) {
    case COSE_ALG:
        st = wire_expect_int(r, &alg, e);
        return !st && alg != ALG_ES256 ? wire_bad(r, at, e, "an algorithm other than ES256") : st;
    case COSE_CRIT: /* names headers that must be understood; there are none */
        return wire_bad(r, at, e, "a critical header");
    case COSE_TYPE:
        return wire_next(r, w->type, e);
    default:
        return wire_expect_bytes(r, w->kid, WIRE_ID_BYTES, e);
    }
}

enum st wire_cose_header(const struct wire_cose *c, struct wire_item *type,
                         uint8_t kid[WIRE_ID_BYTES],
                         enum st (*more)(void *ctx, struct wire_reader *r,
                                         const struct wire_item *key, struct err *e),
                         void *ctx, struct err *e)
{
    struct wire_reader r = wire_reader_of(c->protected_.p, c->protected_.n);
    struct walk w = {.type = type, .kid = kid};
    struct wire_span last = {NULL, 0};
    struct wire_item map, key;
    enum st st = wire_expect(&r, WIRE_MAP, &map, e);
    uint64_t i;

    for (i = 0; !st && i < map.u; i++) {
        st = wire_next_key(&r, &last, &key, e);
        if (!st)
            st = own_key(&w, &r, &key, e);
        if (st == ST_NOT_FOUND && more)
            st = more(ctx, &r, &key, e);
        if (st == ST_NOT_FOUND)
            st = wire_skip_in(&r, 1, e);
    }
    if (st)
        return st;
    if (!wire_end(&r))
        return wire_bad(&r, r.p, e, "bytes behind the protected header");
    if (w.seen != (1u << COSE_ALG | 1u << COSE_TYPE | 1u << COSE_KID))
        return wire_bad(&r, r.start, e, "a protected header without alg, content type or kid");
    return ST_OK;
}

enum st wire_cose_digest(const struct wire_cose *c, uint8_t hash[WIRE_HASH_BYTES], struct err *e)
{
    if (!wire_sig_is_low(c->signature.p))
        return err_set(e, ST_CORRUPT, "the signature's s is above n/2");
    to_be_signed(c->protected_, c->payload, hash);
    return ST_OK;
}

enum st wire_cose_verify(const struct wire_cose *c, const struct wire_pub *pub, struct err *e)
{
    uint8_t hash[WIRE_HASH_BYTES];

    ERR_TRY(wire_cose_digest(c, hash, e));
    return wire_pub_check(pub, hash, c->signature.p, e);
}

enum st wire_cose_kid(const struct wire_cose *c, uint8_t kid[WIRE_ID_BYTES], struct err *e)
{
    struct wire_item type;

    return wire_cose_header(c, &type, kid, NULL, NULL, e);
}
