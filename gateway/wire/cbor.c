/* Deterministic CBOR (RFC 8949 §4.2.1): a writer, and a reader that refuses all else. */
#include "gateway/wire/wire_int.h"

static enum st put_head(struct buf *out, unsigned major, uint64_t v)
{
    enum st st = buf_reserve(out, WIRE_CBOR_HEAD_BYTES);

    if (st)
        return st;
    out->n = (size_t)(wire_store_head(out->p + out->n, major, v) - out->p);
    return ST_OK;
}

static enum st put_string(struct buf *out, unsigned major, const void *p, size_t n)
{
    enum st st = buf_reserve(out, WIRE_CBOR_HEAD_BYTES + n);

    if (st)
        return st;
    st = put_head(out, major, n);
    return st ? st : buf_put(out, p, n);
}

enum st wire_put_uint(struct buf *out, uint64_t v)
{
    return put_head(out, 0, v);
}

enum st wire_put_int(struct buf *out, int64_t v)
{
    return v < 0 ? put_head(out, 1, ~(uint64_t)v) : put_head(out, 0, (uint64_t)v);
}

enum st wire_put_text(struct buf *out, const char *s)
{
    return put_string(out, 3, s, strlen(s));
}

enum st wire_put_text_n(struct buf *out, const void *p, size_t n)
{
    return put_string(out, 3, p, n);
}

enum st wire_put_bytes(struct buf *out, const void *p, size_t n)
{
    return put_string(out, 2, p, n);
}

enum st wire_put_array(struct buf *out, uint64_t n)
{
    return put_head(out, 4, n);
}

enum st wire_put_map(struct buf *out, uint64_t n)
{
    return put_head(out, 5, n);
}

enum st wire_put_null(struct buf *out)
{
    return put_head(out, 7, 22);
}

enum st wire_put_bool(struct buf *out, bool b)
{
    return put_head(out, 7, b ? 21 : 20);
}

/* ---- reader ------------------------------------------------------------------------------- */

enum st wire_bad(const struct wire_reader *r, const uint8_t *at, struct err *e, const char *what)
{
    return err_set(e, ST_BAD, "CBOR byte %zu: %s", (size_t)(at - r->start), what);
}

/* RFC 3629: no overlong forms, no surrogates, at most U+10FFFF. */
static bool is_utf8(const uint8_t *p, size_t n)
{
    const uint8_t *end = p + n;

    while (p < end) {
        uint8_t c = *p++;
        unsigned more = c < 0x80   ? 0
                        : c < 0xc2 ? 9
                        : c < 0xe0 ? 1
                        : c < 0xf0 ? 2
                        : c < 0xf5 ? 3
                                   : 9;
        uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
        uint8_t high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;

        if (more == 9 || more > (size_t)(end - p))
            return false;
        for (; more > 0; more--, low = 0x80, high = 0xbf)
            if (*p < low || *p++ > high)
                return false;
    }
    return true;
}

static uint64_t load_be(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    while (n-- > 0)
        v = v << 8 | *p++;
    return v;
}

static double half_value(unsigned h)
{
    unsigned exp = h >> 10 & 31, frac = h & 1023;
    uint64_t bits = (uint64_t)(h >> 15) << 63;
    double f;

    if (exp == 0) {
        f = (double)frac / 16777216; /* 2^-24 */
        return h >> 15 ? -f : f;
    }
    bits |= (uint64_t)(exp == 31 ? 2047 : exp + 1008) << 52 | (uint64_t)frac << 42;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

static double single_value(uint32_t bits)
{
    float f;

    memcpy(&f, &bits, sizeof(f));
    return (double)f;
}

/* Whether a float of `bytes` bytes is the shortest that holds its value. */
static bool float_is_shortest(double f, size_t bytes, uint64_t bits)
{
    uint8_t tmp[WIRE_CBOR_HEAD_BYTES];

    if (f != f) /* NaN has one form */
        return bytes == 2 && bits == 0x7e00;
    return bytes == 2 || (size_t)(wire_store_float(tmp, f) - tmp) == bytes + 1;
}

static enum st next_simple(struct wire_reader *r, const uint8_t *at, unsigned ai, uint64_t u,
                           bool strict, struct wire_item *it, struct err *e)
{
    size_t bytes = ai < 24 ? 0 : (size_t)1 << (ai - 24);

    it->u = u;
    if (bytes >= 2) {
        it->type = WIRE_FLOAT;
        if (bytes == 2)
            it->f = half_value((unsigned)u);
        else if (bytes == 4)
            it->f = single_value((uint32_t)u);
        else
            memcpy(&it->f, &u, sizeof(it->f));
        if (strict && !float_is_shortest(it->f, bytes, u))
            return wire_bad(r, at, e, "a float that is not in its shortest form");
        return ST_OK;
    }
    if (bytes == 1 && u < 32)
        return wire_bad(r, at, e, "a simple value that is not in its shortest form");
    it->type = u == 20 || u == 21 ? WIRE_BOOL : u == 22 ? WIRE_NULL : WIRE_SIMPLE;
    if (it->type == WIRE_BOOL)
        it->u = u - 20;
    return ST_OK;
}

static enum st next(struct wire_reader *r, bool strict, struct wire_item *it, struct err *e)
{
    const uint8_t *at = r->p;
    size_t left = (size_t)(r->end - at), bytes;
    unsigned major, ai;
    uint64_t u;

    if (left == 0)
        return wire_bad(r, at, e, "ends where an item should begin");
    major = *at >> 5;
    ai = *at & 31;
    if (ai > 27)
        return wire_bad(r, at, e, "an indefinite length or a reserved head");
    bytes = ai < 24 ? 0 : (size_t)1 << (ai - 24);
    if (left <= bytes)
        return wire_bad(r, at, e, "ends inside an item");
    u = bytes ? load_be(at + 1, bytes) : ai;
    r->p = at + 1 + bytes;
    left -= 1 + bytes;
    it->span = (struct wire_span){NULL, 0};
    if (major == 7)
        return next_simple(r, at, ai, u, strict, it, e);
    if (strict && bytes && (bytes == 1 ? u < 24 : u >> (bytes * 4) == 0))
        return wire_bad(r, at, e, "a head that is not in its shortest form");
    it->u = u;
    it->type = (enum wire_type)major;
    if (major == 2 || major == 3) {
        if (u > left)
            return wire_bad(r, at, e, "ends inside a string");
        it->span = (struct wire_span){r->p, (size_t)u};
        r->p += u;
        if (major == 3 && !is_utf8(it->span.p, it->span.n))
            return wire_bad(r, at, e, "a text that is not UTF-8");
    } else if ((major == 4 && u > left) || (major == 5 && u > left / 2)) {
        return wire_bad(r, at, e, "ends before all items that it announces");
    }
    return ST_OK;
}

enum st wire_next(struct wire_reader *r, struct wire_item *it, struct err *e)
{
    return next(r, true, it, e);
}

enum st wire_next_any(struct wire_reader *r, struct wire_item *it, struct err *e)
{
    return next(r, false, it, e);
}

static bool key_order(struct wire_span a, struct wire_span b)
{
    int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

    return c < 0 || (c == 0 && a.n < b.n);
}

/* Depth counts the containers an item stands in, and bounds the recursion. */
enum st wire_skip_in(struct wire_reader *r, unsigned depth, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_span last = {NULL, 0};
    struct wire_item it;
    enum st st = wire_next(r, &it, e);
    uint64_t i;

    if (st || (it.type != WIRE_ARRAY && it.type != WIRE_MAP && it.type != WIRE_TAG))
        return st;
    if (depth >= WIRE_DEPTH_MAX)
        return wire_bad(r, at, e, "nested deeper than 8");
    if (it.type == WIRE_TAG)
        return wire_skip_in(r, depth + 1, e);
    for (i = 0; !st && i < it.u; i++) {
        const uint8_t *key = r->p;

        st = wire_skip_in(r, depth + 1, e);
        if (st || it.type == WIRE_ARRAY)
            continue;
        if (last.p && !key_order(last, (struct wire_span){key, (size_t)(r->p - key)}))
            return wire_bad(r, key, e, "a map key out of order or twice");
        last = (struct wire_span){key, (size_t)(r->p - key)};
        st = wire_skip_in(r, depth + 1, e);
    }
    return st;
}

enum st wire_skip(struct wire_reader *r, struct err *e)
{
    return wire_skip_in(r, 0, e);
}

enum st wire_next_key(struct wire_reader *r, struct wire_span *last, struct wire_item *key,
                      struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_span now;
    enum st st = wire_next(r, key, e);

    if (st)
        return st;
    if (key->type != WIRE_UINT && key->type != WIRE_NINT && key->type != WIRE_TEXT)
        return wire_bad(r, at, e, "a map key that is neither integer nor text");
    now = (struct wire_span){at, (size_t)(r->p - at)};
    if (last->p && !key_order(*last, now))
        return wire_bad(r, at, e, "a map key out of order or twice");
    *last = now;
    return ST_OK;
}

/* ---- the shapes that the contract knows ----------------------------------------------------- */

enum st wire_expect(struct wire_reader *r, enum wire_type type, struct wire_item *it, struct err *e)
{
    static const char *const text[] = {"should be an unsigned integer",
                                       "should be a negative integer",
                                       "should be a byte string",
                                       "should be a text",
                                       "should be an array",
                                       "should be a map",
                                       "should be a tag",
                                       "should be a float",
                                       "should be a boolean",
                                       "should be null",
                                       "should be a simple value"};
    const uint8_t *at = r->p;
    enum st st = wire_next(r, it, e);

    if (!st && it->type != type)
        return wire_bad(r, at, e, text[type]);
    return st;
}

enum st wire_expect_count(struct wire_reader *r, enum wire_type type, uint64_t count, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item it;
    enum st st = wire_expect(r, type, &it, e);

    if (!st && it.u != count)
        return wire_bad(r, at, e, "has another number of members than it should");
    return st;
}

enum st wire_expect_name(struct wire_reader *r, const char *key, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item k;

    ERR_TRY(wire_expect(r, WIRE_TEXT, &k, e));
    return wire_is(k.span, key) ? ST_OK
                                : wire_bad(r, at, e, "another key than this message has here");
}

enum st wire_expect_key(struct wire_reader *r, const char *key, enum wire_type type,
                        struct wire_item *v, struct err *e)
{
    ERR_TRY(wire_expect_name(r, key, e));
    return wire_expect(r, type, v, e);
}

enum st wire_expect_int(struct wire_reader *r, int64_t *v, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item it;
    enum st st = wire_next(r, &it, e);

    if (st)
        return st;
    if ((it.type != WIRE_UINT && it.type != WIRE_NINT) || it.u > INT64_MAX)
        return wire_bad(r, at, e, "should be a 64-bit integer");
    *v = it.type == WIRE_UINT ? (int64_t)it.u : -1 - (int64_t)it.u;
    return ST_OK;
}

enum st wire_expect_seq(struct wire_reader *r, uint64_t *v, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item it;
    enum st st = wire_expect(r, WIRE_UINT, &it, e);

    if (st)
        return st;
    if (it.u == 0 || it.u > INT64_MAX)
        return wire_bad(r, at, e, "should be a sequence number, from 1");
    *v = it.u;
    return ST_OK;
}

enum st wire_expect_bytes(struct wire_reader *r, uint8_t *out, size_t n, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item it;
    enum st st = wire_expect(r, WIRE_BYTES, &it, e);

    if (st)
        return st;
    if (it.span.n != n)
        return wire_bad(r, at, e, "a byte string of the wrong length");
    memcpy(out, it.span.p, n);
    return ST_OK;
}

bool wire_end(const struct wire_reader *r)
{
    return r->p == r->end;
}

struct wire_reader wire_reader_of(const void *p, size_t n)
{
    const uint8_t *b = p ? p : (const uint8_t *)""; /* no bytes may have no address */

    return (struct wire_reader){b, b, b + n};
}

bool wire_is(struct wire_span s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}
