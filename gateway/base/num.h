/* A value: an exact decimal (mantissa × 10^exp, exp <= 0), a binary64, or none.
 *
 * Integer registers become decimals and stay exact; float registers stay binary64. No 128-bit
 * arithmetic, so that 32-bit ARM builds. All functions are pure; any thread. */
#ifndef GATEWAY_BASE_NUM_H
#define GATEWAY_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum num_kind {
    NUM_NONE = 0, /* no value */
    NUM_DEC,      /* i × 10^exp */
    NUM_UDEC,     /* u × 10^exp, only for u > INT64_MAX */
    NUM_FLT,      /* f */
};

struct num {
    union {
        int64_t i;
        uint64_t u;
        double f;
    };
    uint8_t kind;
    int8_t exp; /* -24 … 0 */
};

#define NUM_EXP_MIN (-24)

/* Normalised: no trailing zero with exp < 0. NUM_NONE when exp > 0 or more than 24 decimals stay.
 */
struct num num_dec(int64_t mantissa, int exp);
struct num num_udec(uint64_t mantissa, int exp);
struct num num_flt(double f); /* NUM_NONE for NaN and infinities */

/* raw × scale + offset, exactly, for NUM_DEC scale and offset and NUM_DEC or NUM_UDEC raw.
 * false when the result needs more than 64 bits or 24 decimals. */
bool num_scale(struct num raw, struct num scale, struct num offset, struct num *out);
double num_double(struct num n);         /* nearest binary64; NaN for NUM_NONE */
int num_cmp(struct num a, struct num b); /* -1 0 1, exact between decimals; both have values */

/* Decimal text without exponent: "-12", "0.05". Refuses anything else, and more digits than fit. */
bool num_parse(const char *text, struct num *out);
/* As the CSV contract wants it (batch.md rule 23): decimals exactly, floats as the shortest text
 * that gives the same binary64, never an exponent; "" for NUM_NONE. Returns buf. */
#define NUM_TEXT_BYTES 352
const char *num_text(struct num n, char buf[NUM_TEXT_BYTES]);

#endif
