/* Rational: between readings, decimals and GMP's exact rationals. No float decides a figure, and
 * nothing needs more than 64 bits of the machine, so that 32-bit ARM has the same figures. */
#ifndef GATEWAY_INDICATOR_RATIONAL_INT_H
#define GATEWAY_INDICATOR_RATIONAL_INT_H

#include "gateway/indicator/indicator_int.h"

#define RATIONAL_MILLION 1000000
/* Beyond this a number is `range`: far more than any figure takes, and little memory. */
#define RATIONAL_BITS_MAX 16384

/* In millionths, half away from zero; false when that does not fit, or there is no value. Of a
 * binary64 its decimal text counts, as it stands in the export. */
bool rational_millionths(struct num v, int64_t *out);

void rational_set_int(mpz_t out, int64_t v);
/* millionths / (10^6 * n); n > 0 */
void rational_set_mean(mpq_t out, const mpz_t millionths, uint64_t n);
void rational_set_ratio(mpq_t out, int64_t num, uint64_t den);
void rational_set_num(mpq_t out, struct num v); /* a decimal; 0 of anything else */
bool rational_fits(const mpq_t v);              /* RATIONAL_BITS_MAX */
/* Half away from zero, to `decimals`: a decimal; NUM_NONE when it does not fit. */
struct num rational_round(const mpq_t v, int decimals);
void rational_round_to(mpq_t v, int decimals); /* the same, to a rational */
/* The largest number with 12 decimals whose n-th power is not above v; v >= 0. */
void rational_root(mpq_t out, const mpq_t v, unsigned n);
/* floor and ceiling of a decimal in millionths, at most INT64_MIN, INT64_MAX. */
int64_t rational_floor(struct num v);
int64_t rational_ceil(struct num v);

#endif
