/* Certificates: requests for them, what an EST answer or a PEM text holds, and those that a gateway
 * signs itself. X.509 v3 (RFC 5280), PKCS#10 (RFC 2986), EST (RFC 7030). Any thread. */
#ifndef GATEWAY_WIRE_CERT_H
#define GATEWAY_WIRE_CERT_H

#include "gateway/wire/wire.h"

/* A request (PKCS#10, base64) for a certificate with CN=cn, signed by the private key in the PEM
 * file key_path; *pub (free it) gets its public half. */
enum st wire_csr_make(const char *key_path, const char *cn, struct buf *out, struct wire_pub **pub,
                      struct err *e) ST_MUST_CHECK;

/* The same, which also asks for these DNS names and addresses (subjectAltName). */
enum st wire_csr_names(const char *key_path, const char *cn, const char *const *names,
                       size_t nnames, struct buf *out, struct wire_pub **pub,
                       struct err *e) ST_MUST_CHECK;

/* The certificates in an EST answer: a certs-only PKCS#7 in base64. ST_BAD. */
#define WIRE_CERTS_MAX 8
#define WIRE_EST_MAX (32 * 1024) /* bytes of an answer */
struct wire_certs {
    struct wire_span v[WIRE_CERTS_MAX]; /* DER, in owned */
    size_t n;
    void *owned;
};
enum st wire_certs_open(struct wire_certs *c, const void *base64, size_t n,
                        struct err *e) ST_MUST_CHECK;
/* The certificates in a PEM text with NUL behind it. ST_BAD: none, one that is none, too many. */
enum st wire_certs_pem(struct wire_certs *c, const void *text, size_t n,
                       struct err *e) ST_MUST_CHECK;
void wire_certs_done(struct wire_certs *c);                                 /* takes a zeroed one */
enum st wire_cert_pem(struct wire_span der, struct buf *out) ST_MUST_CHECK; /* appends */

struct wire_cert {
    int64_t from_ms, to_ms; /* its dates, UTC */
    char cn[65];            /* "": none that could be an id */
    char serial[41];        /* hex */
    uint8_t sha256[WIRE_HASH_BYTES];
    uint8_t spki[WIRE_HASH_BYTES]; /* SHA-256 of its SubjectPublicKeyInfo, as pins have it */
};
enum st wire_cert_read(struct wire_cert *out, struct wire_span der, struct err *e) ST_MUST_CHECK;
/* The first certificate in a PEM text with NUL behind it. */
enum st wire_cert_read_pem(struct wire_cert *out, const void *text, size_t n,
                           struct err *e) ST_MUST_CHECK;
/* Whether the CA signed the certificate, and it is for this key and this name; not its dates.
 * ST_CORRUPT: not this CA; ST_CONFLICT: another key or name. */
enum st wire_cert_check(struct wire_span der, struct wire_span ca, const struct wire_pub *pub,
                        const char *cn, struct err *e) ST_MUST_CHECK;

/* The certificate of a server that nobody else vouches for. */
struct wire_self {
    const char *cn;           /* an id */
    const char *const *names; /* what it is good for: DNS names, and addresses as texts */
    size_t n;
    int64_t from_ms, to_ms; /* UTC */
};
/* Appends it, signed by the private key in the PEM text with NUL behind it. ST_BAD. */
enum st wire_self_sign(const struct wire_self *s, const struct buf *key, struct buf *out,
                       struct err *e) ST_MUST_CHECK;
/* Whether the first certificate in a PEM text, with NUL behind it, is good for this DNS name or
 * address, byte for byte. */
bool wire_cert_names(const void *pem, size_t n, const char *name);
/* The DNS names and addresses that it is good for, in its order, at most max; what is neither, or
 * too long, is left out. How many. */
#define WIRE_NAME_TEXT 80
size_t wire_cert_list(const void *pem, size_t n, char (*out)[WIRE_NAME_TEXT], size_t max);
/* Whether the first certificate in a PEM text, with NUL behind it, is of this key, and whole:
 * signed with it. */
bool wire_self_is_of(const void *pem, size_t n, const struct wire_pub *pub);

#endif
