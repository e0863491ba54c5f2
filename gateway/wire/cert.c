/* X.509 for the gateway: requests (RFC 2986), EST's answers (RFC 7030 4.1.3, RFC 2315), checks.
 * mbedTLS has no PKCS#7 in the versions that we build with; what EST sends of it is a frame around
 * certificates. */
#include <stdio.h>
#include <stdlib.h>

#include <mbedtls/asn1.h>
#include <mbedtls/base64.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <mbedtls/x509_csr.h>

#include "gateway/base/clk.h"
#include "gateway/wire/wire_int.h"

#define CSR_BYTES 4096
#define SPKI_BYTES 256
#define FILE_BYTES (16 * 1024)
#define CONTEXT(n) (MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_ASN1_CONSTRUCTED | (n))
#define SEQUENCE (MBEDTLS_ASN1_SEQUENCE | MBEDTLS_ASN1_CONSTRUCTED)
#define SET (MBEDTLS_ASN1_SET | MBEDTLS_ASN1_CONSTRUCTED)

enum st wire_base64(const void *p, size_t n, struct buf *out)
{
    size_t got = 0, size = 4 * (n / 3 + 1) + 1;
    enum st st = buf_reserve(out, size);

    if (st)
        return st;
    if (mbedtls_base64_encode(out->p + out->n, size, &got, p, n))
        return ST_FULL;
    out->n += got;
    return ST_OK;
}

/* ---- requests ------------------------------------------------------------------------------- */

static int ask_names(mbedtls_x509write_csr *csr, const char *const *names, size_t n)
{
    uint8_t *san = malloc(WIRE_NAMES_DER);
    int len = san ? wire_names_der(names, n, san, WIRE_NAMES_DER) : 0;
    int got =
        len < 1
            ? -1
            : mbedtls_x509write_csr_set_extension(csr, MBEDTLS_OID_SUBJECT_ALT_NAME,
                                                  MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME),
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
                                                  0,
#endif
                                                  san + WIRE_NAMES_DER - len, (size_t)len);
    free(san);
    return got;
}

/* *der: at the end of `bytes`. */
static int request(mbedtls_pk_context *pk, const char *cn, const char *const *names, size_t nnames,
                   uint8_t *bytes, size_t size)
{
    mbedtls_x509write_csr csr;
    char name[80];

    mbedtls_x509write_csr_init(&csr);
    mbedtls_x509write_csr_set_md_alg(&csr, MBEDTLS_MD_SHA256);
    mbedtls_x509write_csr_set_key(&csr, pk);
    snprintf(name, sizeof name, "CN=%s", cn);
    int n = mbedtls_x509write_csr_set_subject_name(&csr, name);
    if (!n && nnames)
        n = ask_names(&csr, names, nnames);
    if (!n)
        n = mbedtls_x509write_csr_der(&csr, bytes, size, wire_mbed_rng, NULL);
    mbedtls_x509write_csr_free(&csr);
    return n;
}

enum st wire_csr_make(const char *key_path, const char *cn, struct buf *out, struct wire_pub **pub,
                      struct err *e)
{
    return wire_csr_names(key_path, cn, NULL, 0, out, pub, e);
}

enum st wire_csr_names(const char *key_path, const char *cn, const char *const *names,
                       size_t nnames, struct buf *out, struct wire_pub **pub, struct err *e)
{
    mbedtls_pk_context pk;
    struct wire_key *checked = NULL;
    struct buf pem;
    uint8_t *der = malloc(CSR_BYTES), spki[SPKI_BYTES];
    int n = 0, len;
    enum st st;

    *pub = NULL;
    mbedtls_pk_init(&pk);
    buf_init(&pem, FILE_BYTES);
    st = wire_key_load(&checked, key_path, e); /* that it is ours alone, and of P-256 */
    if (!st)
        st = wire_file_get(key_path, &pem, e);
    if (!st && (!der || wire_mbed_key(&pk, pem.p, pem.n + 1) ||
                (n = request(&pk, cn, names, nnames, der, CSR_BYTES)) <= 0))
        st = err_set(e, ST_MEMORY, "%s: no request could be made with this key", key_path);
    if (!st && (len = mbedtls_pk_write_pubkey_der(&pk, spki, sizeof spki)) > 0)
        st = wire_pub_parse(pub, spki + sizeof spki - (size_t)len, (size_t)len, e);
    if (!st && (st = wire_base64(der + CSR_BYTES - n, (size_t)n, out)))
        err_set(e, st, "no room for a request");
    buf_wipe(&pem);
    wire_key_free(checked);
    mbedtls_pk_free(&pk);
    free(der);
    if (st) {
        wire_pub_free(*pub);
        *pub = NULL;
    }
    return st;
}

/* ---- answers ----------------------------------------------------------------------------------
 */

/* Steps into the next element, which must have this tag; *end: behind it. */
static bool enter(uint8_t **p, uint8_t **end, int tag)
{
    size_t n;

    if (mbedtls_asn1_get_tag(p, *end, &n, tag))
        return false;
    *end = *p + n;
    return true;
}

static bool step_over(uint8_t **p, uint8_t *end, int tag)
{
    uint8_t *behind = end;

    if (!enter(p, &behind, tag))
        return false;
    *p = behind;
    return true;
}

/* ContentInfo { signedData, [0] SignedData { version, digests, data, [0] certificates, … } } */
static bool find_certs(struct wire_certs *c, uint8_t *p, uint8_t *end)
{
    static const uint8_t oid[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02};
    uint8_t *whole = end, *at;

    if (!enter(&p, &end, SEQUENCE) || end != whole)
        return false;
    at = p;
    if (!step_over(&p, end, MBEDTLS_ASN1_OID) || p - at != 2 + (int)sizeof oid ||
        memcmp(at + 2, oid, sizeof oid) != 0)
        return false;
    if (!enter(&p, &end, CONTEXT(0)) || end != whole || !enter(&p, &end, SEQUENCE) ||
        end != whole || !step_over(&p, end, MBEDTLS_ASN1_INTEGER) || !step_over(&p, end, SET) ||
        !step_over(&p, end, SEQUENCE))
        return false;
    uint8_t *certs_end = end;
    if (!enter(&p, &certs_end, CONTEXT(0)))
        return false;
    while (p < certs_end) {
        at = p;
        if (c->n == WIRE_CERTS_MAX || !step_over(&p, certs_end, SEQUENCE))
            return false;
        c->v[c->n++] = (struct wire_span){at, (size_t)(p - at)};
    }
    (void)step_over(&p, end, CONTEXT(1)); /* revocations: none are looked at */
    return step_over(&p, end, SET) && p == end && c->n > 0;
}

enum st wire_certs_open(struct wire_certs *c, const void *base64, size_t n, struct err *e)
{
    size_t got = 0, size = n / 4 * 3 + 4;

    *c = (struct wire_certs){.n = 0};
    if (n > WIRE_EST_MAX)
        return err_set(e, ST_BAD, "an answer of %zu bytes, at most %d are allowed", n,
                       WIRE_EST_MAX);
    uint8_t *der = malloc(size);
    if (!der)
        return err_set(e, ST_MEMORY, "no memory for certificates");
    c->owned = der;
    if (mbedtls_base64_decode(der, size, &got, base64, n) || !find_certs(c, der, der + got)) {
        wire_certs_done(c);
        return err_set(e, ST_BAD, "the answer is no list of certificates (PKCS#7 in base64)");
    }
    return ST_OK;
}

enum st wire_certs_pem(struct wire_certs *c, const void *text, size_t n, struct err *e)
{
    mbedtls_x509_crt all;
    size_t size = 0;
    uint8_t *p = NULL;

    *c = (struct wire_certs){.n = 0};
    mbedtls_x509_crt_init(&all);
    bool good = mbedtls_x509_crt_parse(&all, text, n + 1) == 0;
    for (const mbedtls_x509_crt *x = &all; good && x; x = x->next)
        size += x->raw.len;
    c->owned = p = good ? malloc(size) : NULL;
    for (const mbedtls_x509_crt *x = &all; p && x; x = x->next) {
        good = good && c->n < WIRE_CERTS_MAX;
        if (!good)
            break;
        memcpy(p, x->raw.p, x->raw.len);
        c->v[c->n++] = (struct wire_span){p, x->raw.len};
        p += x->raw.len;
    }
    mbedtls_x509_crt_free(&all);
    if (good && c->owned)
        return ST_OK;
    wire_certs_done(c);
    return err_set(e, ST_BAD, "is no PEM text of 1 to %d certificates", WIRE_CERTS_MAX);
}

void wire_certs_done(struct wire_certs *c)
{
    free(c->owned);
    *c = (struct wire_certs){.n = 0};
}

enum st wire_cert_pem(struct wire_span der, struct buf *out)
{
    size_t size = 64 + der.n * 3 / 2 + 64, n = 0;
    enum st st = buf_reserve(out, size);

    if (st)
        return st;
    if (mbedtls_pem_write_buffer("-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n",
                                 der.p, der.n, out->p + out->n, size, &n))
        return ST_FULL;
    out->n += n - 1; /* n counts a NUL */
    return ST_OK;
}

/* ---- reading and checking ----------------------------------------------------------------------
 */

static bool date_ms(const mbedtls_x509_time *t, int64_t *ms)
{
    char text[CLK_TEXT_BYTES + 16];

    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", t->year, t->mon, t->day, t->hour,
             t->min, t->sec);
    return clk_parse(text, ms);
}

/* The subject's one CN. */
static void cn_of(const mbedtls_x509_crt *x, char out[65])
{
    unsigned seen = 0;

    out[0] = '\0';
    for (const mbedtls_x509_name *n = &x->subject; n; n = n->next) {
        struct wire_span v = {n->val.p, n->val.len};
        if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &n->oid) != 0)
            continue;
        if (seen++ == 0 && wire_is_id(v)) {
            memcpy(out, v.p, v.n);
            out[v.n] = '\0';
        } else {
            out[0] = '\0';
        }
    }
}

/* The SubjectPublicKeyInfo at the end of der; its length, or less than 1. */
static int spki_of(mbedtls_x509_crt *x, uint8_t *der, size_t size)
{
    return mbedtls_pk_write_pubkey_der(&x->pk, der, size);
}

static enum st read_crt(struct wire_cert *out, mbedtls_x509_crt *x, struct err *e)
{
    uint8_t der[1024];
    int n = spki_of(x, der, sizeof der);

    *out = (struct wire_cert){.from_ms = 0};
    if (n < 1 || !date_ms(&x->valid_from, &out->from_ms) || !date_ms(&x->valid_to, &out->to_ms))
        return err_set(e, ST_BAD, "a certificate whose key or dates cannot be read");
    wire_sha256(der + sizeof der - n, (size_t)n, out->spki);
    wire_sha256(x->raw.p, x->raw.len, out->sha256);
    cn_of(x, out->cn);
    if (x->serial.len <= 20)
        wire_hex(x->serial.p, x->serial.len, out->serial);
    return ST_OK;
}

enum st wire_cert_read(struct wire_cert *out, struct wire_span der, struct err *e)
{
    mbedtls_x509_crt x;

    mbedtls_x509_crt_init(&x);
    enum st st = mbedtls_x509_crt_parse_der(&x, der.p, der.n)
                     ? err_set(e, ST_BAD, "not a certificate")
                     : read_crt(out, &x, e);
    mbedtls_x509_crt_free(&x);
    return st;
}

enum st wire_cert_read_pem(struct wire_cert *out, const void *text, size_t n, struct err *e)
{
    mbedtls_x509_crt x;

    mbedtls_x509_crt_init(&x);
    /* not 0: an error, or how many of the certificates are damaged */
    enum st st = mbedtls_x509_crt_parse(&x, text, n + 1)
                     ? err_set(e, ST_BAD, "no certificate in PEM")
                     : read_crt(out, &x, e);
    mbedtls_x509_crt_free(&x);
    return st;
}

/* Dates are the caller's: he knows what the clock is worth. */
static bool signed_by(mbedtls_x509_crt *x, mbedtls_x509_crt *ca)
{
    const uint32_t dates = MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE;
    uint32_t flags = 0;
    int rc = mbedtls_x509_crt_verify(x, ca, NULL, NULL, &flags, NULL, NULL);

    return rc == 0 || (rc == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED && (flags & ~dates) == 0);
}

enum st wire_cert_check(struct wire_span der, struct wire_span ca_der, const struct wire_pub *pub,
                        const char *cn, struct err *e)
{
    mbedtls_x509_crt x, ca;
    struct wire_span want = wire_pub_der(pub);
    uint8_t spki[1024];
    char name[65];
    enum st st = ST_OK;

    mbedtls_x509_crt_init(&x);
    mbedtls_x509_crt_init(&ca);
    if (mbedtls_x509_crt_parse_der(&x, der.p, der.n) ||
        mbedtls_x509_crt_parse_der(&ca, ca_der.p, ca_der.n)) {
        st = err_set(e, ST_BAD, "not a certificate");
        goto out;
    }
    int n = spki_of(&x, spki, sizeof spki);
    cn_of(&x, name);
    if (n < 0 || (size_t)n != want.n || memcmp(spki + sizeof spki - n, want.p, want.n) != 0)
        st = err_set(e, ST_CONFLICT, "the certificate is for another key than ours");
    else if (strcmp(name, cn) != 0)
        st = err_set(e, ST_CONFLICT, "the certificate is not for %s", cn);
    else if (!signed_by(&x, &ca))
        st = err_set(e, ST_CORRUPT, "the certificate is not signed by the city's CA");
out:
    mbedtls_x509_crt_free(&x);
    mbedtls_x509_crt_free(&ca);
    return st;
}
