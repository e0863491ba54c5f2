#include "tests/sim/encode.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct cfg_word sim_type_words[] = {
    {"u16", SIM_U16}, {"s16", SIM_S16},     {"u32", SIM_U32},     {"s32", SIM_S32},
    {"u64", SIM_U64}, {"s64", SIM_S64},     {"f32", SIM_F32},     {"f64", SIM_F64},
    {"bit", SIM_BIT}, {"bcd16", SIM_BCD16}, {"bcd32", SIM_BCD32}, {"string", SIM_STRING},
    {NULL, 0}};
const struct cfg_word sim_order_words[] = {
    {"ABCD", SIM_ABCD},         {"CDAB", SIM_CDAB},         {"BADC", SIM_BADC},
    {"DCBA", SIM_DCBA},         {"ABCDEFGH", SIM_ABCDEFGH}, {"GHEFCDAB", SIM_GHEFCDAB},
    {"BADCFEHG", SIM_BADCFEHG}, {"HGFEDCBA", SIM_HGFEDCBA}, {NULL, 0}};

enum form { UNSIGNED, SIGNED, FLOATING, BCD, BIT, TEXT };
static const struct {
    enum form form;
    unsigned bytes;
} types[] = {
    [SIM_U16] = {UNSIGNED, 2}, [SIM_S16] = {SIGNED, 2},   [SIM_U32] = {UNSIGNED, 4},
    [SIM_S32] = {SIGNED, 4},   [SIM_U64] = {UNSIGNED, 8}, [SIM_S64] = {SIGNED, 8},
    [SIM_F32] = {FLOATING, 4}, [SIM_F64] = {FLOATING, 8}, [SIM_BIT] = {BIT, 1},
    [SIM_BCD16] = {BCD, 2},    [SIM_BCD32] = {BCD, 4},    [SIM_STRING] = {TEXT, 0},
};

unsigned sim_regs(enum sim_type type)
{
    return types[type].bytes / 2;
}

static void put_be(uint64_t v, unsigned bytes, uint8_t *be)
{
    for (unsigned i = bytes; i-- > 0; v >>= 8)
        be[i] = (uint8_t)v;
}

static uint64_t get_be(const uint8_t *be, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | be[i];
    return v;
}

static double decimal(struct num n)
{
    return (double)n.i / pow(10, -n.exp);
}

/* Casting a double outside the type's range is undefined, so the range comes first. */
static uint64_t clamp_unsigned(double v, unsigned bits)
{
    double top = ldexp(1, (int)bits);
    if (!(v > 0))
        return 0;
    return v >= top ? UINT64_MAX >> (64 - bits) : (uint64_t)v;
}

static int64_t clamp_signed(double v, unsigned bits)
{
    double top = ldexp(1, (int)bits - 1);
    int64_t max = INT64_MAX >> (64 - bits);
    return v >= top ? max : v < -top ? -max - 1 : (int64_t)v;
}

static uint64_t to_bcd(uint64_t v, unsigned digits)
{
    uint64_t out = 0, max = digits == 4 ? 9999 : 99999999;
    v = v > max ? max : v;
    for (unsigned i = 0; i < digits; i++, v /= 10)
        out |= v % 10 << 4 * i;
    return out;
}

static uint64_t from_bcd(uint64_t v)
{
    uint64_t out = 0;
    for (int shift = 60; shift >= 0; shift -= 4)
        out = out * 10 + (v >> shift & 15);
    return out;
}

void sim_raw(const struct sim_spec *s, double value, uint8_t be[SIM_RAW_BYTES])
{
    unsigned bytes = types[s->type].bytes;
    double v = (value - decimal(s->offset)) / decimal(s->scale);
    double r = isnan(v) ? 0 : round(v);
    float f = (float)v;
    uint64_t bits = 0;

    switch (types[s->type].form) {
    case UNSIGNED:
        bits = clamp_unsigned(r, 8 * bytes);
        break;
    case SIGNED:
        bits = (uint64_t)clamp_signed(r, 8 * bytes);
        break;
    case FLOATING:
        if (bytes == 4) {
            uint32_t low;
            memcpy(&low, &f, 4);
            bits = low;
        } else {
            memcpy(&bits, &v, 8);
        }
        break;
    case BCD:
        bits = to_bcd(clamp_unsigned(r, 8 * bytes), 2 * bytes);
        break;
    case BIT:
        bits = value >= 0.5; /* neither scale nor offset apply to a bit */
        break;
    case TEXT:
        break;
    }
    put_be(bits, bytes, be);
}

void sim_wire(const struct sim_spec *s, const uint8_t be[SIM_RAW_BYTES], uint8_t *wire)
{
    const char *name = sim_order_words[s->order].word;
    unsigned bytes = types[s->type].bytes;
    bool four = strlen(name) == 4;

    for (unsigned i = 0; i < bytes; i++) {
        /* The four letters on 8 bytes: CDAB says words last to first, BADC bytes swapped. */
        unsigned from = (unsigned)(name[four ? i % 4 : i] - 'A');
        if (four && bytes == 8)
            from += name[0] == 'A' || name[0] == 'B' ? i / 4 * 4 : 4 - i / 4 * 4;
        if (bytes == 2) /* one register: only its two bytes can change places */
            from = name[0] == 'B' || name[0] == 'D' || name[0] == 'H' ? 1 - i : i;
        wire[i] = be[from];
    }
}

int64_t sim_raw_integer(const struct sim_spec *s, const uint8_t be[SIM_RAW_BYTES])
{
    unsigned bytes = types[s->type].bytes;
    uint64_t v = get_be(be, bytes);
    if (types[s->type].form == SIGNED)
        return (int64_t)(v << (64 - 8 * bytes)) >> (64 - 8 * bytes);
    return (int64_t)v;
}

/* ---- text ----------------------------------------------------------------------------------- */

struct dec {
    bool negative;
    uint64_t magnitude;
    int exp; /* <= 0 */
};

static struct dec dec_of(int64_t i, int exp)
{
    return (struct dec){i < 0, i < 0 ? 0 - (uint64_t)i : (uint64_t)i, exp};
}

static bool dec_align(struct dec *d, int exp)
{
    for (; d->exp > exp; d->exp--)
        if (__builtin_mul_overflow(d->magnitude, 10u, &d->magnitude))
            return false;
    return true;
}

static bool dec_add(struct dec *a, struct dec b)
{
    if (b.magnitude == 0)
        return true;
    if (!dec_align(a, b.exp) || !dec_align(&b, a->exp))
        return false;
    if (a->negative == b.negative)
        return !__builtin_add_overflow(a->magnitude, b.magnitude, &a->magnitude);
    if (a->magnitude < b.magnitude) {
        struct dec t = *a;
        *a = b;
        b = t;
    }
    a->magnitude -= b.magnitude;
    return true;
}

/* Digits and a decimal exponent (of a binary64, at most) as plain text. */
static void plain(bool negative, const char *digits, int exp, char *buf)
{
    const char *sign = negative ? "-" : "";
    char zeros[340];
    int n = (int)strlen(digits);

    memset(zeros, '0', sizeof(zeros));
    while (exp < 0 && n > 1 && digits[n - 1] == '0') {
        n--;
        exp++;
    }
    if (n == 1 && digits[0] == '0')
        snprintf(buf, SIM_TEXT_BYTES, "%s0", sign);
    else if (exp >= 0)
        snprintf(buf, SIM_TEXT_BYTES, "%s%.*s%.*s", sign, n, digits, exp, zeros);
    else if (n + exp > 0)
        snprintf(buf, SIM_TEXT_BYTES, "%s%.*s.%.*s", sign, n + exp, digits, -exp, digits + n + exp);
    else
        snprintf(buf, SIM_TEXT_BYTES, "%s0.%.*s%.*s", sign, -exp - n, zeros, n, digits);
}

static void float_text(double v, char *buf)
{
    char e[40], digits[24];
    int n = 0;

    for (int precision = 0; precision < 17; precision++) {
        snprintf(e, sizeof(e), "%.*e", precision, fabs(v));
        if (strtod(e, NULL) == fabs(v))
            break;
    }
    const char *p = e;
    for (; *p != 'e'; p++)
        if (*p != '.' && n < 20)
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    digits[n] = '\0';
    plain(signbit(v) != 0, digits, (int)strtol(p + 1, NULL, 10) - (n - 1), buf);
}

static void integer_text(const struct sim_spec *s, uint64_t bits, char *buf)
{
    struct dec d = {false, bits, 0}, scale = dec_of(s->scale.i, s->scale.exp);
    char digits[24];

    if (types[s->type].form == SIGNED)
        d = dec_of((int64_t)bits, 0);
    if (types[s->type].form == BCD)
        d.magnitude = from_bcd(bits);
    d.negative ^= scale.negative;
    d.exp += scale.exp;
    buf[0] = '\0';
    if (__builtin_mul_overflow(d.magnitude, scale.magnitude, &d.magnitude) ||
        !dec_add(&d, dec_of(s->offset.i, s->offset.exp)))
        return;
    snprintf(digits, sizeof(digits), "%" PRIu64, d.magnitude);
    plain(d.negative && d.magnitude != 0, digits, d.exp, buf);
}

const char *sim_text(const struct sim_spec *s, const uint8_t be[SIM_RAW_BYTES],
                     char buf[SIM_TEXT_BYTES])
{
    uint64_t bits = get_be(be, types[s->type].bytes);
    double v = 0;
    float f;

    buf[0] = '\0';
    switch (types[s->type].form) {
    case TEXT:
        return buf;
    case BIT:
        snprintf(buf, SIM_TEXT_BYTES, "%u", (unsigned)bits);
        return buf;
    case FLOATING:
        break;
    default:
        integer_text(s, (uint64_t)sim_raw_integer(s, be), buf);
        return buf;
    }
    if (s->type == SIM_F32) {
        uint32_t low = (uint32_t)bits;
        memcpy(&f, &low, 4);
        v = f;
    } else {
        memcpy(&v, &bits, 8);
    }
    bool unscaled = s->scale.i == 1 && s->scale.exp == 0 && s->offset.i == 0;
    if (!unscaled) { /* two roundings, on every machine: no fused multiply-add */
        volatile double product = v * decimal(s->scale);
        v = product + decimal(s->offset);
    }
    if (isfinite(v))
        float_text(v, buf);
    return buf;
}
