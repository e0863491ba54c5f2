/* The proof with which a batch key is registered. One form, so that it is read as it is written. */
#include "gateway/wire/wire_int.h"

static enum st put(struct buf *b, const struct wire_bind *w, struct wire_span spki)
{
    enum st st = wire_put_map(b, w->replaces ? 5 : 4);

    if (!st)
        st = wire_put_named_uint(b, "v", 1);
    if (!st)
        st = wire_put_named_text(b, "gw", w->gw);
    if (!st)
        st = wire_put_named_bytes(b, "cert", w->cert, sizeof w->cert);
    if (!st)
        st = wire_put_named_bytes(b, "spki", spki.p, spki.n);
    if (!st && w->replaces)
        st = wire_put_text(b, "replaces");
    if (!st && w->replaces)
        st = wire_put_bool(b, true);
    return st;
}

enum st wire_bind_sign(const struct wire_bind *w, const struct wire_signer *key, struct buf *out,
                       struct err *e)
{
    struct buf b;

    buf_init(&b, 1024);
    enum st st = put(&b, w, wire_pub_der(key->pub));
    st = st ? err_set(e, st, "no room for a proof")
            : wire_answer_sign(WIRE_TYPE_KEY, &b, key, out, e);
    buf_done(&b);
    return st;
}

static enum st open_payload(struct wire_bind *w, struct wire_span payload, struct err *e)
{
    struct wire_reader r = wire_reader_of(payload.p, payload.n);
    struct wire_item map = {.u = 0}, v = {.u = 0};

    *w = (struct wire_bind){.replaces = false};
    ERR_TRY(wire_expect(&r, WIRE_MAP, &map, e));
    ERR_TRY(wire_expect_key(&r, "v", WIRE_UINT, &v, e));
    if (v.u != 1)
        return err_set(e, ST_UNSUPPORTED, "a proof of another version");
    ERR_TRY(wire_expect_key(&r, "gw", WIRE_TEXT, &v, e));
    if (!wire_is_id(v.span))
        return wire_bad(&r, v.span.p, e, "gw is no id");
    memcpy(w->gw, v.span.p, v.span.n);
    ERR_TRY(wire_expect_key(&r, "cert", WIRE_BYTES, &v, e));
    if (v.span.n != sizeof w->cert)
        return wire_bad(&r, v.span.p, e, "cert is no hash");
    memcpy(w->cert, v.span.p, sizeof w->cert);
    ERR_TRY(wire_expect_key(&r, "spki", WIRE_BYTES, &v, e));
    w->spki = v.span;
    if (map.u == 5) {
        ERR_TRY(wire_expect_key(&r, "replaces", WIRE_BOOL, &v, e));
        w->replaces = v.u == 1;
    }
    if (map.u != 4 + (uint64_t)w->replaces || !wire_end(&r))
        return wire_bad(&r, r.p, e, "more, or less, than a proof has");
    return ST_OK;
}

enum st wire_bind_open(struct wire_bind *w, struct wire_cose *cose, const void *p, size_t n,
                       struct err *e)
{
    uint8_t kid[WIRE_ID_BYTES];

    ERR_TRY(wire_answer_open(WIRE_TYPE_KEY, cose, kid, p, n, e));
    return open_payload(w, cose->payload, e);
}
