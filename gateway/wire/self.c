/* The certificate that a machine signs itself, for the server on it: by mbedTLS 2.28 or 3.x. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <mbedtls/asn1write.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#include "gateway/wire/wire_int.h"

#define PEM_BYTES 8192
#define SERIAL_BYTES 16
#define DATE_BYTES 15 /* YYYYMMDDhhmmss and NUL */

static bool set_serial(mbedtls_x509write_cert *x)
{
    uint8_t serial[SERIAL_BYTES];
    if (wire_random(serial, sizeof serial, NULL))
        return false;
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40); /* positive, and of full length */
#if MBEDTLS_VERSION_NUMBER >= 0x03040000
    return mbedtls_x509write_crt_set_serial_raw(x, serial, sizeof serial) == 0;
#else
    mbedtls_mpi n;
    mbedtls_mpi_init(&n);
    bool good = mbedtls_mpi_read_binary(&n, serial, sizeof serial) == 0 &&
                mbedtls_x509write_crt_set_serial(x, &n) == 0;
    mbedtls_mpi_free(&n);
    return good;
#endif
}

static bool date(int64_t ms, char out[DATE_BYTES])
{
    time_t s = (time_t)(ms / 1000);
    struct tm t;
    return gmtime_r(&s, &t) && strftime(out, DATE_BYTES, "%Y%m%d%H%M%S", &t) == DATE_BYTES - 1;
}

/* Written from the end, as mbedTLS does. */
int wire_names_der(const char *const *names, size_t n, uint8_t *out, size_t size)
{
    uint8_t *p = out + size, address[16];
    int len = 0, got = 0;

    for (size_t i = n; i-- > 0 && got >= 0;) {
        size_t k = inet_pton(AF_INET, names[i], address) == 1    ? 4
                   : inet_pton(AF_INET6, names[i], address) == 1 ? 16
                                                                 : 0;
        unsigned char tag = MBEDTLS_ASN1_CONTEXT_SPECIFIC | (k ? 7 : 2);
        got = mbedtls_asn1_write_raw_buffer(&p, out, k ? address : (const uint8_t *)names[i],
                                            k ? k : strlen(names[i]));
        int head = got < 0 ? got : mbedtls_asn1_write_len(&p, out, (size_t)got);
        int mark = head < 0 ? head : mbedtls_asn1_write_tag(&p, out, tag);
        len += mark < 0 ? 0 : got + head + mark;
        got = mark;
    }
    int head = got < 0 ? got : mbedtls_asn1_write_len(&p, out, (size_t)len);
    int mark = head < 0 ? head
                        : mbedtls_asn1_write_tag(&p, out,
                                                 MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE);
    return mark < 0 ? mark : len + head + mark;
}

static bool extend(mbedtls_x509write_cert *x, const struct wire_self *s)
{
    static const uint8_t server[] = {0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06,
                                     0x01, 0x05, 0x05, 0x07, 0x03, 0x01};
    uint8_t *san = malloc(WIRE_NAMES_DER);
    int n = san ? wire_names_der(s->names, s->n, san, WIRE_NAMES_DER) : 0;
    bool good =
        n > 0 && mbedtls_x509write_crt_set_basic_constraints(x, 0, -1) == 0 &&
        mbedtls_x509write_crt_set_key_usage(x, MBEDTLS_X509_KU_DIGITAL_SIGNATURE) == 0 &&
        mbedtls_x509write_crt_set_extension(x, MBEDTLS_OID_EXTENDED_KEY_USAGE,
                                            MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE), 0,
                                            server, sizeof server) == 0 &&
        mbedtls_x509write_crt_set_extension(x, MBEDTLS_OID_SUBJECT_ALT_NAME,
                                            MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME), 0,
                                            san + WIRE_NAMES_DER - n, (size_t)n) == 0;
    free(san);
    return good;
}

static bool write_cert(mbedtls_pk_context *pk, const struct wire_self *s, uint8_t pem[PEM_BYTES])
{
    mbedtls_x509write_cert x;
    char name[80], from[DATE_BYTES], to[DATE_BYTES];

    mbedtls_x509write_crt_init(&x);
    mbedtls_x509write_crt_set_version(&x, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&x, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&x, pk);
    mbedtls_x509write_crt_set_issuer_key(&x, pk);
    (void)snprintf(name, sizeof name, "CN=%s", s->cn);
    bool good = set_serial(&x) && mbedtls_x509write_crt_set_subject_name(&x, name) == 0 &&
                mbedtls_x509write_crt_set_issuer_name(&x, name) == 0 && date(s->from_ms, from) &&
                date(s->to_ms, to) && mbedtls_x509write_crt_set_validity(&x, from, to) == 0 &&
                extend(&x, s) &&
                mbedtls_x509write_crt_pem(&x, pem, PEM_BYTES, wire_mbed_rng, NULL) == 0;
    mbedtls_x509write_crt_free(&x);
    return good;
}

enum st wire_self_sign(const struct wire_self *s, const struct buf *key, struct buf *out,
                       struct err *e)
{
    mbedtls_pk_context pk;
    uint8_t *pem = malloc(PEM_BYTES);
    enum st st = ST_OK;

    mbedtls_pk_init(&pk);
    if (!pem || wire_mbed_key(&pk, key->p, key->n + 1) || !write_cert(&pk, s, pem))
        st = err_set(e, ST_BAD, "no certificate could be made with this key");
    if (!st)
        st = buf_put(out, pem, strlen((const char *)pem));
    mbedtls_pk_free(&pk);
    free(pem);
    return st;
}

/* Version 2.28 leaves addresses out of what it tells of a certificate, so the name is looked for as
 * it stands in the bytes. */
bool wire_cert_names(const void *pem, size_t n, const char *name)
{
    mbedtls_x509_crt x;
    uint8_t der[260];

    mbedtls_x509_crt_init(&x);
    int k = wire_names_der(&name, 1, der, sizeof der);
    const int head = 2; /* of the sequence around it */
    bool found = k > head && k < 128 && mbedtls_x509_crt_parse(&x, pem, n + 1) == 0 &&
                 memmem(x.raw.p, x.raw.len, der + sizeof der - k + head, (size_t)(k - head));
    mbedtls_x509_crt_free(&x);
    return found;
}

/* The value of subjectAltName in the extensions (RFC 5280 4.1); NULL: there is none. */
static const uint8_t *names_at(const mbedtls_x509_crt *x, const uint8_t **end)
{
    const int sequence = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;
    uint8_t *p = x->v3_ext.p, *last = p + x->v3_ext.len;
    size_t n;

    if (!p || mbedtls_asn1_get_tag(&p, last, &n, sequence) != 0)
        return NULL;
    while (p < last) {
        int critical = 0;
        if (mbedtls_asn1_get_tag(&p, last, &n, sequence) != 0)
            return NULL;
        uint8_t *next = p + n;
        if (mbedtls_asn1_get_tag(&p, next, &n, MBEDTLS_ASN1_OID) != 0)
            return NULL;
        bool is = n == MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME) &&
                  memcmp(p, MBEDTLS_OID_SUBJECT_ALT_NAME, n) == 0;
        p += n;
        if ((p < next && *p == MBEDTLS_ASN1_BOOLEAN &&
             mbedtls_asn1_get_bool(&p, next, &critical) != 0) ||
            mbedtls_asn1_get_tag(&p, next, &n, MBEDTLS_ASN1_OCTET_STRING) != 0)
            return NULL;
        if (is && mbedtls_asn1_get_tag(&p, next, &n, sequence) == 0) {
            *end = p + n;
            return p;
        }
        p = next;
    }
    return NULL;
}

/* A GeneralName as a text. */
static bool name_text(uint8_t tag, const uint8_t *p, size_t n, char out[WIRE_NAME_TEXT])
{
    const uint8_t address = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 7;
    const uint8_t dns = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2;

    if (tag == address && (n == 4 || n == 16))
        return inet_ntop(n == 4 ? AF_INET : AF_INET6, p, out, WIRE_NAME_TEXT) != NULL;
    if (tag != dns || n == 0 || n >= WIRE_NAME_TEXT)
        return false;
    for (size_t i = 0; i < n; i++)
        if (p[i] <= ' ' || p[i] >= 0x7f)
            return false;
    memcpy(out, p, n);
    out[n] = '\0';
    return true;
}

size_t wire_cert_list(const void *pem, size_t n, char (*out)[WIRE_NAME_TEXT], size_t max)
{
    mbedtls_x509_crt x;
    const uint8_t *end = NULL, *at = NULL;
    size_t found = 0;

    mbedtls_x509_crt_init(&x);
    if (mbedtls_x509_crt_parse(&x, pem, n + 1) == 0)
        at = names_at(&x, &end);
    while (at && at + 2 <= end &&
           found < max) { /* shorter than 128 bytes each, or it is not ours */
        size_t k = at[1];
        if (k >= 128 || k > (size_t)(end - at) - 2)
            break;
        found += name_text(at[0], at + 2, k, out[found]);
        at += 2 + k;
    }
    mbedtls_x509_crt_free(&x);
    return found;
}

/* The signature is taken out of the bytes: version 3 keeps its own copy to itself. */
static bool signed_by_itself(mbedtls_x509_crt *x)
{
    uint8_t *p = x->tbs.p + x->tbs.len, *end = x->raw.p + x->raw.len, hash[WIRE_HASH_BYTES];
    size_t n;

    if (mbedtls_asn1_get_tag(&p, end, &n, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) != 0)
        return false;
    p += n; /* the algorithm: any but ours does not fit */
    if (mbedtls_asn1_get_bitstring_null(&p, end, &n) != 0)
        return false;
    wire_sha256(x->tbs.p, x->tbs.len, hash);
    return mbedtls_pk_verify(&x->pk, MBEDTLS_MD_SHA256, hash, sizeof hash, p, n) == 0;
}

bool wire_self_is_of(const void *pem, size_t n, const struct wire_pub *pub)
{
    struct wire_span want = wire_pub_der(pub);
    mbedtls_x509_crt x;
    uint8_t spki[256];

    mbedtls_x509_crt_init(&x);
    bool is = mbedtls_x509_crt_parse(&x, pem, n + 1) == 0;
    int k = is ? mbedtls_pk_write_pubkey_der(&x.pk, spki, sizeof spki) : 0;
    is = k > 0 && (size_t)k == want.n && memcmp(spki + sizeof spki - k, want.p, want.n) == 0 &&
         signed_by_itself(&x);
    mbedtls_x509_crt_free(&x);
    return is;
}
