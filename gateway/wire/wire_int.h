/* What the files of this room share. */
#ifndef GATEWAY_WIRE_WIRE_INT_H
#define GATEWAY_WIRE_WIRE_INT_H

#include <string.h>

#include "gateway/base/id.h"
#include "gateway/wire/wire.h"

#define WIRE_DEPTH_MAX 8
#define WIRE_GW_MAX ID_MAX_BYTES /* bytes of a gateway or device id, a point name */
#define WIRE_TIME_MIN_MS (INT64_C(268435456) * 1000) /* RFC 8428: below 2^28 s it is relative */
#define WIRE_TIME_MAX_MS (INT64_C(1) << 53)

/* ---- cbor.c ---- */

#define WIRE_CBOR_HEAD_BYTES 9 /* the longest */
/* Writes the shortest head of a major type; returns what is behind it. */
static inline uint8_t *wire_store_head(uint8_t *p, unsigned major, uint64_t v)
{
    uint8_t m = (uint8_t)(major << 5);

    if (v < 24) {
        *p++ = (uint8_t)(m | v);
    } else if (v <= UINT8_MAX) {
        *p++ = m | 24;
        *p++ = (uint8_t)v;
    } else if (v <= UINT16_MAX) {
        *p++ = m | 25;
        *p++ = (uint8_t)(v >> 8);
        *p++ = (uint8_t)v;
    } else {
        int bits = v <= UINT32_MAX ? 32 : 64;

        *p++ = (uint8_t)(m | (bits == 32 ? 26 : 27));
        while (bits > 0) {
            bits -= 8;
            *p++ = (uint8_t)(v >> bits);
        }
    }
    return p;
}
static inline uint8_t *wire_store_int(uint8_t *p, int64_t v)
{
    return v < 0 ? wire_store_head(p, 1, ~(uint64_t)v) : wire_store_head(p, 0, (uint64_t)v);
}

enum st wire_put_text_n(struct buf *out, const void *p, size_t n) ST_MUST_CHECK;
/* For mbedTLS (key.c): random bytes, 0 when there are some; and a private key in PEM, n bytes with
 * the NUL behind it, 0 when it is one. */
struct mbedtls_pk_context;
int wire_mbed_rng(void *ctx, unsigned char *out, size_t n);
int wire_mbed_key(struct mbedtls_pk_context *pk, const uint8_t *pem, size_t n);

/* ST_BAD with the place of the item that begins at `at`. */
enum st wire_bad(const struct wire_reader *r, const uint8_t *at, struct err *e, const char *what);
/* wire_skip for an item that stands inside `depth` others. */
enum st wire_skip_in(struct wire_reader *r, unsigned depth, struct err *e) ST_MUST_CHECK;
/* Reads the next key of a map: an integer or a text, behind `last` in the deterministic order.
 * Start with an empty `last`. */
enum st wire_next_key(struct wire_reader *r, struct wire_span *last, struct wire_item *key,
                      struct err *e) ST_MUST_CHECK;
/* The next item, which must have this type. */
enum st wire_expect(struct wire_reader *r, enum wire_type type, struct wire_item *it,
                    struct err *e) ST_MUST_CHECK;
enum st wire_expect_count(struct wire_reader *r, enum wire_type type, uint64_t count,
                          struct err *e) ST_MUST_CHECK;
/* For a map of one form: the key that must stand here; and its value, of that type. */
enum st wire_expect_name(struct wire_reader *r, const char *key, struct err *e) ST_MUST_CHECK;
enum st wire_expect_key(struct wire_reader *r, const char *key, enum wire_type type,
                        struct wire_item *v, struct err *e) ST_MUST_CHECK;
enum st wire_expect_int(struct wire_reader *r, int64_t *v, struct err *e) ST_MUST_CHECK;
/* A sequence number: 1 … INT64_MAX. */
enum st wire_expect_seq(struct wire_reader *r, uint64_t *v, struct err *e) ST_MUST_CHECK;
/* A byte string of exactly n bytes. */
enum st wire_expect_bytes(struct wire_reader *r, uint8_t *out, size_t n,
                          struct err *e) ST_MUST_CHECK;
bool wire_end(const struct wire_reader *r);
struct wire_reader wire_reader_of(const void *p, size_t n);
bool wire_is(struct wire_span s, const char *text);

/* ---- value.c ---- */

/* The shortest float that holds f exactly; f is not NaN. */
uint8_t *wire_store_float(uint8_t *p, double f);

#define WIRE_NUM_BYTES 13 /* the longest value: tag 4 with a 64-bit mantissa */
/* Writes a value in its one form; NULL when it has none. */
uint8_t *wire_store_num(uint8_t *p, struct num v);
/* Reads a value; refuses what wire_store_num would have written otherwise. */
enum st wire_next_num(struct wire_reader *r, struct num *v, struct err *e) ST_MUST_CHECK;
/* A SenML time: whole seconds, or milliseconds as tag 4 with exponent -3. */
uint8_t *wire_store_time(uint8_t *p, int64_t ms);
enum st wire_next_time(struct wire_reader *r, int64_t *ms, struct err *e) ST_MUST_CHECK;

/* ---- correct.c ---- */

enum st wire_put_arguments(struct buf *out, const struct wire_fix *f) ST_MUST_CHECK;

/* ---- senml.c ---- */

bool wire_is_id(struct wire_span s);                /* base/id.h */
bool wire_is_series(struct wire_span s, bool star); /* device/point; with star also device/STAR */

/* ---- self.c ---- */

/* GeneralNames (RFC 5280 4.2.1.6): iPAddress [7] for what is an address, dNSName [2] for the rest.
 * Bytes written at the end of out, or less than 1. */
#define WIRE_NAMES_DER 4096
int wire_names_der(const char *const *names, size_t n, uint8_t *out, size_t size);

/* ---- answer.c ---- */

/* A key and its value. */
enum st wire_put_named_uint(struct buf *out, const char *key, uint64_t v) ST_MUST_CHECK;
enum st wire_put_named_text(struct buf *out, const char *key, const char *v) ST_MUST_CHECK;
enum st wire_put_named_bytes(struct buf *out, const char *key, const void *p,
                             size_t n) ST_MUST_CHECK;
/* Takes the envelope of a message of that type apart; ST_BAD: of another. */
enum st wire_answer_open(const char *type, struct wire_cose *cose, uint8_t kid[WIRE_ID_BYTES],
                         const void *p, size_t n, struct err *e) ST_MUST_CHECK;
/* Signs an answer of that type. */
enum st wire_answer_sign(const char *type, const struct buf *payload, const struct wire_signer *key,
                         struct buf *out, struct err *e) ST_MUST_CHECK;

/* ---- key.c, tool.c ---- */

void wire_sha256_parts(const struct wire_span *parts, size_t n, uint8_t out[WIRE_HASH_BYTES]);
/* s <= n/2 */
bool wire_sig_is_low(const uint8_t sig[64]);
/* n - s for an s above n/2: the other of the two that fit (r, s), and the one that the contract
 * knows. */
void wire_sig_lower(uint8_t sig[64]);

/* ---- cose.c ---- */

#define WIRE_TYPE_SENML 112 /* application/senml+cbor as a CoAP content format */
#define WIRE_TYPE_CONTROL "application/vnd.fieldpost.control+cbor"
#define WIRE_TYPE_RECEIPT "application/vnd.fieldpost.receipt+cbor"
#define WIRE_TYPE_HEAD "application/vnd.fieldpost.head+cbor"
#define WIRE_TYPE_DIGEST "application/vnd.fieldpost.digest+cbor"
#define WIRE_TYPE_KEY "application/vnd.fieldpost.key+cbor"
#define WIRE_TYPE_CONFIG "application/vnd.fieldpost.config+cbor"
#define WIRE_TYPE_TRUST "application/vnd.fieldpost.trust+cbor"

/* Opens the protected map behind its alg, type (WIRE_TYPE_SENML when NULL) and kid; the caller
 * appends `more_keys` others. */
enum st wire_cose_begin(struct buf *header, unsigned more_keys, const char *type,
                        const struct wire_signer *key) ST_MUST_CHECK;
/* Signs; appends the whole to out, which is unchanged on failure. ST_FULL beyond the limits. */
enum st wire_cose_sign(struct wire_span header, struct wire_span payload,
                       const struct wire_signer *key, struct buf *out, struct err *e) ST_MUST_CHECK;
/* The same with a payload that lies in parts. */
enum st wire_cose_sign_parts(struct wire_span header, const struct wire_span *parts, size_t nparts,
                             const struct wire_signer *key, struct buf *out,
                             struct err *e) ST_MUST_CHECK;
/* Takes the envelope apart and checks its form. */
enum st wire_cose_open(struct wire_cose *c, const void *p, size_t n, struct err *e) ST_MUST_CHECK;
/* Walks the protected map: alg must be ES256, type and kid be there. `more` reads the value of any
 * other key, or answers ST_NOT_FOUND and the value is stepped over; NULL: all are. */
enum st wire_cose_header(const struct wire_cose *c, struct wire_item *type,
                         uint8_t kid[WIRE_ID_BYTES],
                         enum st (*more)(void *ctx, struct wire_reader *r,
                                         const struct wire_item *key, struct err *e),
                         void *ctx, struct err *e) ST_MUST_CHECK;

#endif
