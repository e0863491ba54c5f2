/* The one encoding of each value and time (batch.md rules 12 and 13). */
#include <math.h>

#include "gateway/wire/wire_int.h"

/* 5^0 … 5^24: m × 10^-e is a binary fraction exactly when 5^e divides m. */
static const uint64_t pow5[1 - NUM_EXP_MIN] = {1,
                                               5,
                                               25,
                                               125,
                                               625,
                                               3125,
                                               15625,
                                               78125,
                                               390625,
                                               1953125,
                                               9765625,
                                               48828125,
                                               244140625,
                                               1220703125,
                                               UINT64_C(6103515625),
                                               UINT64_C(30517578125),
                                               UINT64_C(152587890625),
                                               UINT64_C(762939453125),
                                               UINT64_C(3814697265625),
                                               UINT64_C(19073486328125),
                                               UINT64_C(95367431640625),
                                               UINT64_C(476837158203125),
                                               UINT64_C(2384185791015625),
                                               UINT64_C(11920928955078125),
                                               UINT64_C(59604644775390625)};

static uint8_t *store_be(uint8_t *p, uint8_t head, uint64_t v, int bits)
{
    *p++ = head;
    while (bits > 0) {
        bits -= 8;
        *p++ = (uint8_t)(v >> bits);
    }
    return p;
}

static uint8_t *store_single(uint8_t *p, uint32_t bits)
{
    unsigned sign = bits >> 16 & 0x8000, exp = bits >> 23 & 255, frac = bits & 0x7fffff;

    if (exp >= 113 && exp <= 142 && (frac & 0x1fff) == 0) /* a normal half */
        return store_be(p, 0xf9, sign | (exp - 112) << 10 | frac >> 13, 16);
    if (exp >= 103 && exp < 113) { /* a subnormal half: 2^-24 … */
        unsigned full = frac | 0x800000, shift = 126 - exp;

        if ((full & ((1u << shift) - 1)) == 0)
            return store_be(p, 0xf9, sign | full >> shift, 16);
    }
    if (exp == 0 && frac == 0)
        return store_be(p, 0xf9, sign, 16);
    if (exp == 255 && frac == 0)
        return store_be(p, 0xf9, sign | 0x7c00, 16);
    return store_be(p, 0xfa, bits, 32);
}

/* No conversion to float before it is known to be exact: it could overflow. */
static bool is_single(double f, uint32_t *bits)
{
    uint64_t b;
    float s;

    memcpy(&b, &f, sizeof(b));
    if ((b & 0x1fffffff) != 0 && (b >> 52 & 2047) >= 897)
        return false; /* the fraction of a normal single has 23 bits */
    if ((b >> 52 & 2047) > 1150 && (b >> 52 & 2047) != 2047)
        return false;
    s = (float)f;
    if ((double)s != f)
        return false;
    memcpy(bits, &s, sizeof(*bits));
    return true;
}

uint8_t *wire_store_float(uint8_t *p, double f)
{
    uint32_t single;
    uint64_t bits;

    if (is_single(f, &single))
        return store_single(p, single);
    memcpy(&bits, &f, sizeof(bits));
    return store_be(p, 0xfb, bits, 64);
}

static size_t int_bytes(uint64_t v)
{
    return v < 24 ? 1 : v <= UINT8_MAX ? 2 : v <= UINT16_MAX ? 3 : v <= UINT32_MAX ? 5 : 9;
}

static uint8_t *store_tag4(uint8_t *p, bool minus, uint64_t mag, unsigned decimals)
{
    *p++ = 0xc4;
    *p++ = 0x82;
    p = wire_store_head(p, 1, decimals - 1);
    return wire_store_head(p, minus, minus ? mag - 1 : mag);
}

/* Only a float of 5 bytes can be shorter than an integer, and only than one of 9. */
static uint8_t *store_integer(uint8_t *p, bool minus, uint64_t mag)
{
    uint64_t arg = minus ? mag - 1 : mag;

    if (arg > UINT32_MAX && mag >> __builtin_ctzll(mag) < 1 << 24)
        return wire_store_float(p, minus ? -(double)mag : (double)mag);
    return wire_store_head(p, minus, arg);
}

/* mag × 10^-decimals, decimals > 0, mag not divisible by 10. */
static uint8_t *store_decimal(uint8_t *p, bool minus, uint64_t mag, unsigned decimals)
{
    uint64_t five = pow5[decimals], twos = mag / five;

    if (twos > 0 && mag % five == 0 && twos < UINT64_C(1) << 53) {
        double f = (double)twos / (double)(UINT64_C(1) << decimals);
        uint8_t tmp[WIRE_CBOR_HEAD_BYTES];
        size_t bytes = (size_t)(wire_store_float(tmp, minus ? -f : f) - tmp);

        if (bytes <= 3 + int_bytes(minus ? mag - 1 : mag)) {
            memcpy(p, tmp, bytes);
            return p + bytes;
        }
    }
    return store_tag4(p, minus, mag, decimals);
}

/* A fraction that no single holds: tag 4 wins over a double when its mantissa has at most 32 bits,
 * hence at most 13 decimals. NULL when it does not. */
static uint8_t *store_fraction(uint8_t *p, bool minus, double mag)
{
    unsigned k;

    for (k = 1; k <= 13; k++) {
        double m = mag * (double)(1u << k); /* exact */
        uint64_t ten;

        if (m > UINT32_MAX)
            return NULL;
        if (m != (double)(uint32_t)m)
            continue;
        ten = (uint64_t)m * pow5[k];
        return ten - minus <= UINT32_MAX ? store_tag4(p, minus, ten, k) : NULL;
    }
    return NULL;
}

static uint8_t *store_flt(uint8_t *p, double f)
{
    bool minus = f < 0;
    double mag = minus ? -f : f;
    uint8_t *end, *tag4;

    if (mag < 18446744073709551616.0 && (double)(uint64_t)mag == mag && (f != 0 || !signbit(f)))
        return store_integer(p, minus, (uint64_t)mag);
    end = wire_store_float(p, f);
    if (end - p <= 5)
        return end;
    tag4 = store_fraction(p, minus, mag);
    return tag4 ? tag4 : wire_store_float(p, f);
}

uint8_t *wire_store_num(uint8_t *p, struct num v)
{
    bool minus = v.kind == NUM_DEC && v.i < 0;
    uint64_t mag = minus ? 0 - (uint64_t)v.i : v.u;
    int decimals = -v.exp;

    if (v.kind == NUM_FLT)
        return isfinite(v.f) ? store_flt(p, v.f) : NULL;
    if ((v.kind != NUM_DEC && v.kind != NUM_UDEC) || v.exp > 0 || v.exp < NUM_EXP_MIN)
        return NULL;
    while (decimals > 0 && mag % 10 == 0) {
        mag /= 10;
        decimals--;
    }
    return decimals ? store_decimal(p, minus, mag, (unsigned)decimals)
                    : store_integer(p, minus, mag);
}

enum st wire_put_num(struct buf *out, struct num v)
{
    enum st st = buf_reserve(out, WIRE_NUM_BYTES);
    uint8_t *end;

    if (st)
        return st;
    end = wire_store_num(out->p + out->n, v);
    if (!end)
        return ST_BAD;
    out->n = (size_t)(end - out->p);
    return ST_OK;
}

/* An integer item as a number; false when none of its kinds holds it. */
static bool num_of_item(const struct wire_item *it, int exp, struct num *v)
{
    *v = (struct num){.u = it->u, .kind = NUM_DEC, .exp = (int8_t)exp};
    if (it->type == WIRE_UINT) {
        if (it->u > INT64_MAX)
            v->kind = NUM_UDEC;
        return true;
    }
    if (it->type != WIRE_NINT)
        return false;
    if (it->u <= INT64_MAX) {
        v->i = -1 - (int64_t)it->u;
        return true;
    }
    /* Below -2^63 only a binary64 can have been meant. */
    *v = (struct num){.f = -((double)it->u + 1), .kind = NUM_FLT};
    return exp == 0;
}

enum st wire_next_num(struct wire_reader *r, struct num *v, struct err *e)
{
    const uint8_t *at = r->p;
    uint8_t form[WIRE_NUM_BYTES], *end;
    struct wire_item it;
    int64_t exp;
    enum st st = wire_next(r, &it, e);

    if (st)
        return st;
    if (it.type == WIRE_TAG && it.u == 4) {
        st = wire_expect_count(r, WIRE_ARRAY, 2, e);
        if (!st)
            st = wire_expect_int(r, &exp, e);
        if (!st)
            st = wire_next(r, &it, e);
        if (st)
            return st;
        if (exp >= 0 || exp < NUM_EXP_MIN || !num_of_item(&it, (int)exp, v))
            return wire_bad(r, at, e, "a decimal fraction out of range");
    } else if (it.type == WIRE_FLOAT) {
        *v = (struct num){.f = it.f, .kind = NUM_FLT};
    } else if (!num_of_item(&it, 0, v)) {
        return wire_bad(r, at, e, "a value that is not a number");
    }
    end = wire_store_num(form, *v);
    if (!end || end - form != r->p - at || memcmp(form, at, (size_t)(end - form)) != 0)
        return wire_bad(r, at, e, "a value that is not finite or not in its shortest exact form");
    return ST_OK;
}

uint8_t *wire_store_time(uint8_t *p, int64_t ms)
{
    if (ms % 1000 == 0)
        return wire_store_int(p, ms / 1000);
    *p++ = 0xc4;
    *p++ = 0x82;
    *p++ = 0x22;
    return wire_store_int(p, ms);
}

enum st wire_next_time(struct wire_reader *r, int64_t *ms, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_reader ahead = *r;
    int64_t limit = WIRE_TIME_MAX_MS, exp, unit = 1;
    struct wire_item it;
    enum st st = wire_next(&ahead, &it, e);

    if (st)
        return st;
    if (it.type == WIRE_TAG && it.u == 4) {
        *r = ahead;
        st = wire_expect_count(r, WIRE_ARRAY, 2, e);
        if (!st)
            st = wire_expect_int(r, &exp, e);
        if (!st && exp != -3)
            return wire_bad(r, at, e, "a time whose exponent is not -3");
    } else {
        unit = 1000;
    }
    if (!st)
        st = wire_expect_int(r, ms, e);
    if (st)
        return st;
    if (*ms > limit / unit || *ms < -limit / unit)
        return wire_bad(r, at, e, "a time out of range");
    if (unit == 1 && *ms % 1000 == 0)
        return wire_bad(r, at, e, "a time in whole seconds that is not an integer");
    *ms *= unit;
    return ST_OK;
}
