#include "gateway/indicator/rational_int.h"

#include <math.h>
#include <stdlib.h>

static const int64_t ten[] = {1,
                              10,
                              100,
                              1000,
                              10000,
                              100000,
                              1000000,
                              10000000,
                              100000000,
                              1000000000,
                              10000000000,
                              100000000000,
                              1000000000000,
                              10000000000000,
                              100000000000000,
                              1000000000000000,
                              10000000000000000,
                              100000000000000000,
                              1000000000000000000};

/* A decimal text without exponent; what is behind the sixth decimal is rounded by its first digit.
 */
static bool of_text(const char *p, int64_t *out)
{
    bool minus = *p == '-', fits = true;
    int64_t v = 0;
    int decimals = -1; /* -1: no point yet */
    for (p += minus; *p && decimals < 6; p++) {
        if (*p == '.') {
            decimals = 0;
        } else {
            decimals += decimals >= 0;
            fits = fits && !__builtin_mul_overflow(v, 10, &v) &&
                   !__builtin_add_overflow(v, *p - '0', &v);
        }
    }
    int up = decimals == 6 && *p >= '5';
    fits = fits && !__builtin_mul_overflow(v, ten[6 - (decimals < 0 ? 0 : decimals)], &v) &&
           !__builtin_add_overflow(v, up, &v);
    *out = minus ? -v : v;
    return fits;
}

static bool of_float(double f, int64_t *out)
{
    double product = f * RATIONAL_MILLION, nearest = round(product);
    /* The product and the text each differ from f * 10^6 by less than its last place: only where
     * that much would cross the half does the text have to be asked. */
    double away = fabs(fabs(product - nearest) - 0.5);
    if (fabs(product) < 0x1p49 && away > fabs(product) * 0x1p-50 + 0x1p-40) {
        *out = (int64_t)nearest;
        return true;
    }
    char text[NUM_TEXT_BYTES];
    return of_text(num_text(num_flt(f), text), out);
}

bool rational_millionths(struct num v, int64_t *out)
{
    if (v.kind == NUM_DEC && v.exp >= -6) {
        return !__builtin_mul_overflow(v.i, ten[6 + v.exp], out);
    }
    if (v.kind == NUM_DEC) {
        int drop = -6 - v.exp; /* up to 18 */
        int64_t rest = v.i % ten[drop], half = ten[drop] / 2;
        *out = v.i / ten[drop] + (rest >= half ? 1 : rest <= -half ? -1 : 0);
        return true;
    }
    if (v.kind == NUM_UDEC) {
        char text[NUM_TEXT_BYTES];
        return of_text(num_text(v, text), out);
    }
    return v.kind == NUM_FLT && of_float(v.f, out);
}

static void set_unsigned(mpz_t out, uint64_t v)
{
    mpz_import(out, 1, 1, sizeof v, 0, 0, &v);
}

void rational_set_int(mpz_t out, int64_t v)
{
    set_unsigned(out, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
    if (v < 0) {
        mpz_neg(out, out);
    }
}

void rational_set_mean(mpq_t out, const mpz_t millionths, uint64_t n)
{
    mpz_set(mpq_numref(out), millionths);
    set_unsigned(mpq_denref(out), n);
    mpz_mul_ui(mpq_denref(out), mpq_denref(out), RATIONAL_MILLION);
    mpq_canonicalize(out);
}

void rational_set_ratio(mpq_t out, int64_t num, uint64_t den)
{
    rational_set_int(mpq_numref(out), num);
    set_unsigned(mpq_denref(out), den);
    mpq_canonicalize(out);
}

void rational_set_num(mpq_t out, struct num v)
{
    mpq_set_ui(out, 0, 1);
    if (v.kind == NUM_DEC) {
        rational_set_int(mpq_numref(out), v.i);
    } else if (v.kind == NUM_UDEC) {
        set_unsigned(mpq_numref(out), v.u);
    } else {
        return;
    }
    mpz_ui_pow_ui(mpq_denref(out), 10, (unsigned long)-v.exp);
    mpq_canonicalize(out);
}

bool rational_fits(const mpq_t v)
{
    return mpz_sizeinbase(mpq_numref(v), 2) + mpz_sizeinbase(mpq_denref(v), 2) <= RATIONAL_BITS_MAX;
}

/* v * 10^decimals, half away from zero. */
static void round_scaled(mpz_t out, const mpq_t v, int decimals)
{
    mpz_t den;
    mpz_init(den);
    mpz_ui_pow_ui(out, 10, (unsigned long)decimals);
    mpz_mul(out, out, mpq_numref(v));
    /* trunc((2 |a| + b) / 2 b) with the sign of a */
    bool minus = mpz_sgn(out) < 0;
    mpz_abs(out, out);
    mpz_mul_2exp(out, out, 1);
    mpz_add(out, out, mpq_denref(v));
    mpz_mul_2exp(den, mpq_denref(v), 1);
    mpz_fdiv_q(out, out, den);
    if (minus) {
        mpz_neg(out, out);
    }
    mpz_clear(den);
}

static bool to_int(const mpz_t v, int64_t *out)
{
    uint64_t m = 0;
    if (mpz_sizeinbase(v, 2) > 63) {
        return false;
    }
    (void)mpz_export(&m, NULL, 1, sizeof m, 0, 0, v);
    *out = mpz_sgn(v) < 0 ? -(int64_t)m : (int64_t)m;
    return true;
}

struct num rational_round(const mpq_t v, int decimals)
{
    mpz_t z;
    int64_t i;
    mpz_init(z);
    round_scaled(z, v, decimals);
    bool fits = to_int(z, &i);
    mpz_clear(z);
    return fits ? num_dec(i, -decimals) : (struct num){.kind = NUM_NONE};
}

void rational_round_to(mpq_t v, int decimals)
{
    mpz_t z;
    mpz_init(z);
    round_scaled(z, v, decimals);
    mpz_set(mpq_numref(v), z);
    mpz_ui_pow_ui(mpq_denref(v), 10, (unsigned long)decimals);
    mpq_canonicalize(v);
    mpz_clear(z);
}

void rational_root(mpq_t out, const mpq_t v, unsigned n)
{
    mpz_t z;
    mpz_init(z);
    mpz_ui_pow_ui(z, 10, 12UL * n);
    mpz_mul(z, z, mpq_numref(v));
    mpz_fdiv_q(z, z, mpq_denref(v));
    (void)mpz_root(mpq_numref(out), z, n);
    mpz_ui_pow_ui(mpq_denref(out), 10, 12);
    mpq_canonicalize(out);
    mpz_clear(z);
}

static int64_t whole(struct num v, bool up)
{
    mpq_t q;
    mpz_t z;
    int64_t out;
    mpq_init(q);
    mpz_init(z);
    rational_set_num(q, v);
    mpz_mul_ui(z, mpq_numref(q), RATIONAL_MILLION);
    if (up) {
        mpz_cdiv_q(z, z, mpq_denref(q));
    } else {
        mpz_fdiv_q(z, z, mpq_denref(q));
    }
    if (!to_int(z, &out)) {
        out = mpz_sgn(z) < 0 ? INT64_MIN : INT64_MAX;
    }
    mpq_clear(q);
    mpz_clear(z);
    return out;
}

int64_t rational_floor(struct num v)
{
    return whole(v, false);
}

int64_t rational_ceil(struct num v)
{
    return whole(v, true);
}
