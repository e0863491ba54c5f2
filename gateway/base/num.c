#include "gateway/base/num.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A decimal on the way: sign, 128-bit magnitude in two halves, exponent. Products and sums may
 * need more than 64 bits before their trailing zeros are dropped. */
struct wide {
    bool minus;
    uint64_t hi, lo;
    int exp;
};

static bool wide_is_zero(const struct wide *w)
{
    return w->hi == 0 && w->lo == 0;
}

static void mul_64(uint64_t a, uint64_t b, uint64_t *hi, uint64_t *lo)
{
    uint64_t al = (uint32_t)a, ah = a >> 32, bl = (uint32_t)b, bh = b >> 32;
    uint64_t ll = al * bl, lh = al * bh, hl = ah * bl, hh = ah * bh;
    uint64_t mid = (ll >> 32) + (uint32_t)lh + (uint32_t)hl;
    *lo = (mid << 32) | (uint32_t)ll;
    *hi = hh + (lh >> 32) + (hl >> 32) + (mid >> 32);
}

static bool wide_mul10(struct wide *w)
{
    uint64_t carry;
    mul_64(w->lo, 10, &carry, &w->lo);
    return !__builtin_mul_overflow(w->hi, UINT64_C(10), &w->hi) &&
           !__builtin_add_overflow(w->hi, carry, &w->hi);
}

/* Divides by ten when that leaves no rest. */
static bool wide_div10(struct wide *w)
{
    uint32_t part[4] = {(uint32_t)(w->hi >> 32), (uint32_t)w->hi, (uint32_t)(w->lo >> 32),
                        (uint32_t)w->lo};
    uint64_t rest = 0;
    for (int i = 0; i < 4; i++) {
        uint64_t v = rest << 32 | part[i];
        part[i] = (uint32_t)(v / 10);
        rest = v % 10;
    }
    if (rest != 0) {
        return false;
    }
    w->hi = (uint64_t)part[0] << 32 | part[1];
    w->lo = (uint64_t)part[2] << 32 | part[3];
    return true;
}

static void wide_normalise(struct wide *w)
{
    if (wide_is_zero(w)) {
        w->exp = 0;
        w->minus = false;
    }
    while (w->exp < 0 && wide_div10(w)) {
        w->exp++;
    }
}

static struct wide wide_of(struct num n)
{
    if (n.kind == NUM_UDEC) {
        return (struct wide){.lo = n.u, .exp = n.exp};
    }
    uint64_t mag = n.i < 0 ? 0 - (uint64_t)n.i : (uint64_t)n.i;
    return (struct wide){.minus = n.i < 0, .lo = mag, .exp = n.exp};
}

static bool wide_num(struct wide w, struct num *out)
{
    wide_normalise(&w);
    if (w.hi != 0 || w.exp < NUM_EXP_MIN) {
        return false;
    }
    if (!w.minus && w.lo > INT64_MAX) {
        *out = (struct num){.u = w.lo, .kind = NUM_UDEC, .exp = (int8_t)w.exp};
        return true;
    }
    if (w.lo > (uint64_t)INT64_MAX + (w.minus ? 1 : 0)) {
        return false;
    }
    int64_t i = w.minus ? (int64_t)(0 - w.lo) : (int64_t)w.lo;
    *out = (struct num){.i = i, .kind = NUM_DEC, .exp = (int8_t)w.exp};
    return true;
}

static int wide_cmp_mag(const struct wide *a, const struct wide *b)
{
    if (a->hi != b->hi) {
        return a->hi < b->hi ? -1 : 1;
    }
    return a->lo < b->lo ? -1 : a->lo > b->lo;
}

/* Brings both to the smaller exponent; false when the larger one leaves 128 bits on the way. */
static bool wide_align(struct wide *a, struct wide *b)
{
    struct wide *up = a->exp > b->exp ? a : b;
    int exp = a->exp > b->exp ? b->exp : a->exp;
    while (up->exp > exp && !wide_is_zero(up)) {
        if (!wide_mul10(up)) {
            return false;
        }
        up->exp--;
    }
    up->exp = exp;
    return true;
}

static bool wide_add(struct wide a, struct wide b, struct wide *out)
{
    if (!wide_align(&a, &b)) {
        return false;
    }
    if (a.minus == b.minus) {
        uint64_t carry = __builtin_add_overflow(a.lo, b.lo, &a.lo);
        if (__builtin_add_overflow(a.hi, b.hi, &a.hi) ||
            __builtin_add_overflow(a.hi, carry, &a.hi)) {
            return false;
        }
        *out = a;
        return true;
    }
    bool a_less = wide_cmp_mag(&a, &b) < 0;
    struct wide big = a_less ? b : a, small = a_less ? a : b;
    uint64_t borrow = __builtin_sub_overflow(big.lo, small.lo, &big.lo);
    big.hi -= small.hi + borrow;
    *out = big;
    return true;
}

struct num num_dec(int64_t mantissa, int exp)
{
    struct num out = {.kind = NUM_NONE};
    struct wide w = wide_of((struct num){.i = mantissa, .kind = NUM_DEC});
    w.exp = exp;
    if (exp > 0 || !wide_num(w, &out)) {
        return (struct num){.kind = NUM_NONE};
    }
    return out;
}

struct num num_udec(uint64_t mantissa, int exp)
{
    struct num out = {.kind = NUM_NONE};
    if (exp > 0 || !wide_num((struct wide){.lo = mantissa, .exp = exp}, &out)) {
        return (struct num){.kind = NUM_NONE};
    }
    return out;
}

struct num num_flt(double f)
{
    return isfinite(f) ? (struct num){.f = f, .kind = NUM_FLT} : (struct num){.kind = NUM_NONE};
}

static bool is_decimal(struct num n)
{
    return n.kind == NUM_DEC || n.kind == NUM_UDEC;
}

bool num_scale(struct num raw, struct num scale, struct num offset, struct num *out)
{
    if (!is_decimal(raw) || !is_decimal(scale) || !is_decimal(offset)) {
        return false;
    }
    struct wide a = wide_of(raw), b = wide_of(scale), p, sum;
    p = (struct wide){.minus = a.minus != b.minus, .exp = a.exp + b.exp};
    mul_64(a.lo, b.lo, &p.hi, &p.lo);
    wide_normalise(&p);
    return wide_add(p, wide_of(offset), &sum) && wide_num(sum, out);
}

double num_double(struct num n)
{
    static const double ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (n.kind == NUM_FLT) {
        return n.f;
    }
    if (n.kind == NUM_NONE) {
        return (double)NAN;
    }
    /* both exact in binary64: one division rounds once, to the nearest */
    if (n.kind == NUM_DEC && n.exp >= -22 && n.i <= INT64_C(1) << 53 &&
        n.i >= -(INT64_C(1) << 53)) {
        return (double)n.i / ten[-n.exp];
    }
    char text[NUM_TEXT_BYTES];
    return strtod(num_text(n, text), NULL);
}

int num_cmp(struct num a, struct num b)
{
    if (!is_decimal(a) || !is_decimal(b)) {
        double x = num_double(a), y = num_double(b);
        return x < y ? -1 : x > y;
    }
    struct wide w = wide_of(a), x = wide_of(b);
    if (w.minus != x.minus) {
        return w.minus ? -1 : 1;
    }
    /* who leaves 128 bits while it is brought to the smaller exponent is the larger one */
    bool a_up = w.exp > x.exp;
    int mag = wide_align(&w, &x) ? wide_cmp_mag(&w, &x) : a_up ? 1 : -1;
    return w.minus ? -mag : mag;
}

bool num_parse(const char *text, struct num *out)
{
    struct wide w = {0};
    const char *p = text;
    if (*p == '-') {
        w.minus = true;
        p++;
    }
    bool fraction = false, digit = false;
    const char *last = p + strlen(p);
    const char *dot = strchr(p, '.');
    while (dot && last > dot + 2 && last[-1] == '0') {
        last--; /* zeros at the end of a fraction say nothing and may be more than fit */
    }
    for (; p < last; p++) {
        if (*p == '.' && digit && !fraction) {
            fraction = true;
            digit = false; /* one must follow */
            continue;
        }
        if (*p < '0' || *p > '9' || !wide_mul10(&w)) {
            return false;
        }
        uint64_t carry = __builtin_add_overflow(w.lo, (uint64_t)(*p - '0'), &w.lo);
        if (__builtin_add_overflow(w.hi, carry, &w.hi)) {
            return false;
        }
        digit = true;
        w.exp -= fraction;
    }
    return digit && wide_num(w, out);
}

static char *put_zeros(char *p, int n)
{
    for (; n > 0; n--) {
        *p++ = '0';
    }
    return p;
}

/* Lays out n significant digits, the first of weight 10^exp10, without an exponent. */
static void layout(char *p, bool minus, const char *digits, int n, int exp10)
{
    if (minus) {
        *p++ = '-';
    }
    if (exp10 < 0) {
        *p++ = '0';
        *p++ = '.';
        p = put_zeros(p, -exp10 - 1);
        memcpy(p, digits, (size_t)n);
        p += n;
    } else if (n <= exp10 + 1) {
        memcpy(p, digits, (size_t)n);
        p = put_zeros(p + n, exp10 + 1 - n);
    } else {
        memcpy(p, digits, (size_t)exp10 + 1);
        p += exp10 + 1;
        *p++ = '.';
        memcpy(p, digits + exp10 + 1, (size_t)(n - exp10 - 1));
        p += n - exp10 - 1;
    }
    *p = '\0';
}

static void float_text(double f, char *buf)
{
    char e[40] = "";
    double mag = fabs(f);
    /* A decimal of up to DBL_DIG digits survives decimal -> normal double -> decimal, so when one
     * names this double, printing DBL_DIG digits shows it; subnormals hold fewer digits. */
    int prec = mag >= DBL_MIN ? DBL_DIG - 1 : 0;
    for (; prec < DBL_DECIMAL_DIG; prec++) {
        (void)snprintf(e, sizeof(e), "%.*e", prec, mag);
        if (strtod(e, NULL) == mag) {
            break;
        }
    }
    char digits[DBL_DECIMAL_DIG + 1];
    int n = 0;
    const char *p = e;
    for (; *p && *p != 'e'; p++) {
        if (*p >= '0' && *p <= '9' && n < DBL_DECIMAL_DIG) {
            digits[n++] = *p;
        }
    }
    while (n > 1 && digits[n - 1] == '0') {
        n--;
    }
    layout(buf, signbit(f), digits, n, *p ? (int)strtol(p + 1, NULL, 10) : 0);
}

const char *num_text(struct num n, char buf[NUM_TEXT_BYTES])
{
    buf[0] = '\0';
    if (n.kind == NUM_FLT) {
        float_text(n.f, buf);
    } else if (n.kind != NUM_NONE) {
        struct wide w = wide_of(n);
        char digits[24];
        int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)w.lo);
        layout(buf, w.minus, digits, len, len - 1 + n.exp);
    }
    return buf;
}
