/* The CA that signs the gateways' TLS certificates. RFC 5280, RFC 2986 (PKCS#10), RFC 2315
 * (PKCS#7, certs-only as RFC 7030 4.1.3 has it). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>

#include "gateway/city/est_int.h"

#define BEFORE_MS 300000
#define CA_DAYS 3650

struct city_ca {
    X509 *cert, *tls; /* tls: the city's TLS CA, for gateways that do not know it */
    X509 *own;        /* the city's TLS certificate: its names are nobody else's */
    EVP_PKEY *key;
};

/* ---- making one ----------------------------------------------------------------------------- */

static bool extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = x != NULL && X509_add_ext(cert, x, -1) == 1;
    X509_EXTENSION_free(x);
    return ok;
}

static bool set_serial(X509 *cert, uint8_t serial[CITY_SERIAL_BYTES])
{
    if (wire_random(serial, CITY_SERIAL_BYTES, NULL) != ST_OK)
        return false;
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40); /* positive, and always as long */
    BIGNUM *n = BN_bin2bn(serial, CITY_SERIAL_BYTES, NULL);
    bool ok = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL;
    BN_free(n);
    return ok;
}

/* It begins a little before now: a gateway's clock may be behind. */
static bool set_dates(X509 *cert, int64_t now_ms, int64_t until_ms)
{
    int64_t before_ms = (until_ms - now_ms) / 100;

    if (before_ms > BEFORE_MS)
        before_ms = BEFORE_MS;
    return ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)((now_ms - before_ms) / 1000)) !=
               NULL &&
           ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(until_ms / 1000)) != NULL;
}

static bool add_name(X509_NAME *name, const char *cn)
{
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1,
                                      0) == 1;
}

static X509 *ca_cert(EVP_PKEY *key, int64_t now_ms)
{
    uint8_t serial[CITY_SERIAL_BYTES];
    char hex[9], cn[64];
    X509 *x = X509_new();

    if (x == NULL || !set_serial(x, serial))
        goto bad;
    wire_hex(serial + 1, 4, hex);
    snprintf(cn, sizeof cn, "fieldpost device CA %s", hex);
    if (X509_set_version(x, 2) != 1 || !add_name(X509_get_subject_name(x), cn) ||
        X509_set_issuer_name(x, X509_get_subject_name(x)) != 1 || X509_set_pubkey(x, key) != 1 ||
        !set_dates(x, now_ms, now_ms + (int64_t)CA_DAYS * 86400000) ||
        !extend(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !extend(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !extend(x, x, NID_subject_key_identifier, "hash") || X509_sign(x, key, EVP_sha256()) <= 0)
        goto bad;
    return x;
bad:
    X509_free(x);
    return NULL;
}

/* A new file, whole or not at all. */
static FILE *create(const char *path, mode_t mode, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

    if (f == NULL)
        err_set(e, errno == EEXIST ? ST_CONFLICT : ST_IO, "%s: %s", path,
                errno == EEXIST ? "exists, and is never overwritten" : strerror(errno));
    return f;
}

static bool done(FILE *f)
{
    bool ok = fflush(f) == 0 && fsync(fileno(f)) == 0;
    return fclose(f) == 0 && ok;
}

enum st city_ca_make(const struct city_cfg *cfg, struct err *e)
{
    if (!city_enrols(cfg))
        return err_set(e, ST_BAD, "the configuration has no ca: write ca: {cert: FILE, key: FILE}");
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = key != NULL ? ca_cert(key, clk_now(clk_real()).utc_ms) : NULL;
    FILE *k = NULL, *c = NULL;
    enum st st = ST_OK;

    if (cert == NULL)
        st = err_set(e, ST_MEMORY, "no CA could be made");
    else if ((k = create(cfg->ca.key, 0600, e)) == NULL ||
             (c = create(cfg->ca.cert, 0644, e)) == NULL)
        st = ST_IO;
    bool good = st == ST_OK && PEM_write_PrivateKey(k, key, NULL, NULL, 0, NULL, NULL) == 1 &&
                PEM_write_X509(c, cert) == 1;
    good = (k == NULL || done(k)) && good;
    good = (c == NULL || done(c)) && good;
    if (st == ST_OK && !good)
        st = err_set(e, ST_IO, "%s, %s: cannot be written", cfg->ca.cert, cfg->ca.key);
    if (!good && k != NULL)
        unlink(cfg->ca.key);
    if (!good && c != NULL)
        unlink(cfg->ca.cert);
    X509_free(cert);
    EVP_PKEY_free(key);
    return st;
}

/* ---- opening -------------------------------------------------------------------------------- */

/* The first certificate of a file, or (last) the last one: that which signed the others. */
static X509 *cert_read(const char *path, bool last, struct err *e)
{
    FILE *f = fopen(path, "re");
    X509 *x = NULL, *next;

    if (f == NULL) {
        err_set(e, ST_IO, "%s: %s", path, strerror(errno));
        return NULL;
    }
    while ((x == NULL || last) && (next = PEM_read_X509(f, NULL, NULL, NULL)) != NULL) {
        X509_free(x);
        x = next;
    }
    fclose(f);
    if (x == NULL)
        err_set(e, ST_BAD, "%s: no certificate in PEM", path);
    return x;
}

static EVP_PKEY *key_read(const char *path, struct err *e)
{
    FILE *f = fopen(path, "re");
    EVP_PKEY *key = NULL;
    struct stat s;

    if (f == NULL || fstat(fileno(f), &s) != 0)
        err_set(e, ST_IO, "%s: %s", path, strerror(errno));
    else if (s.st_mode & (S_IRWXG | S_IRWXO))
        err_set(e, ST_REFUSED, "%s: others can read this private key; chmod 600 %s", path, path);
    else if ((key = PEM_read_PrivateKey(f, NULL, NULL, NULL)) == NULL)
        err_set(e, ST_BAD, "%s: no private key in PEM", path);
    if (f != NULL)
        fclose(f);
    return key;
}

enum st city_ca_open(struct city_ca **out, const struct city_cfg *cfg, struct err *e)
{
    struct city_ca *ca = calloc(1, sizeof *ca);
    enum st st = ST_OK;

    *out = NULL;
    if (ca == NULL)
        return err_set(e, ST_MEMORY, "no memory for the CA");
    if ((ca->cert = cert_read(cfg->ca.cert, false, e)) == NULL ||
        (ca->key = key_read(cfg->ca.key, e)) == NULL ||
        (ca->tls = cfg->ca.tls != NULL ? cert_read(cfg->ca.tls, false, e)
                                       : cert_read(cfg->cert, true, e)) == NULL ||
        (ca->own = cert_read(cfg->cert, false, e)) == NULL)
        st = err_wrap(e, ST_BAD, "ca");
    else if (X509_check_private_key(ca->cert, ca->key) != 1 || X509_check_ca(ca->cert) != 1)
        st = err_set(e, ST_BAD, "ca: %s is not the certificate of a CA with the key %s",
                     cfg->ca.cert, cfg->ca.key);
    if (st != ST_OK) {
        city_ca_close(ca);
        return st;
    }
    *out = ca;
    return ST_OK;
}

void city_ca_close(struct city_ca *ca)
{
    if (ca == NULL)
        return;
    X509_free(ca->cert);
    X509_free(ca->tls);
    X509_free(ca->own);
    EVP_PKEY_free(ca->key);
    free(ca);
}

static bool spki_hash(const X509_PUBKEY *key, uint8_t out[WIRE_HASH_BYTES])
{
    uint8_t *der = NULL;
    int n = i2d_X509_PUBKEY(key, &der);

    if (n > 0)
        wire_sha256(der, (size_t)n, out);
    OPENSSL_free(der);
    return n > 0;
}

enum st city_ca_pin(const char *path, uint8_t out[WIRE_HASH_BYTES], struct err *e)
{
    X509 *x = cert_read(path, false, e);
    if (x == NULL)
        return ST_BAD;
    bool ok = spki_hash(X509_get_X509_PUBKEY(x), out);
    X509_free(x);
    return ok ? ST_OK : err_set(e, ST_MEMORY, "%s: its key has no hash", path);
}

/* ---- requests ------------------------------------------------------------------------------- */

static X509_REQ *req_parse(const void *base64, size_t n)
{
    EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
    uint8_t *der = malloc(n + 64);
    int got = 0, tail = 0;
    X509_REQ *req = NULL;

    if (ctx != NULL && der != NULL) {
        EVP_DecodeInit(ctx);
        if (EVP_DecodeUpdate(ctx, der, &got, base64, (int)n) >= 0 &&
            EVP_DecodeFinal(ctx, der + got, &tail) == 1) {
            const uint8_t *at = der;
            req = d2i_X509_REQ(NULL, &at, got + tail);
            if (req != NULL && at != der + got + tail) { /* bytes behind it */
                X509_REQ_free(req);
                req = NULL;
            }
        }
    }
    EVP_ENCODE_CTX_free(ctx);
    free(der);
    return req;
}

static bool is_p256(EVP_PKEY *key)
{
    char group[64] = "";

    return key != NULL && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
           EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
           strcmp(group, SN_X9_62_prime256v1) == 0;
}

/* The one CN of a name, as it stands; false: none, several, or one that is no id. */
static bool cn_of(const X509_NAME *name, char gw[65])
{
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);

    if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
        return false;
    const ASN1_STRING *s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    int n = ASN1_STRING_length(s);
    if (n < 1 || n > 64 || memchr(ASN1_STRING_get0_data(s), 0, (size_t)n) != NULL)
        return false;
    memcpy(gw, ASN1_STRING_get0_data(s), (size_t)n);
    gw[n] = '\0';
    return id_is_text(gw);
}

enum st city_csr_open(struct city_csr *csr, const void *base64, size_t n, const char *gw,
                      struct err *e)
{
    X509_REQ *req = req_parse(base64, n);
    EVP_PKEY *key = req != NULL ? X509_REQ_get0_pubkey(req) : NULL;
    char cn[65];
    enum st st = ST_OK;

    csr->req = req;
    if (req == NULL)
        st = err_set(e, ST_BAD, "the body is no PKCS#10 request in base64");
    else if (!is_p256(key))
        st = err_set(e, ST_BAD, "the request's key is not of the curve P-256");
    else if (X509_REQ_verify(req, key) != 1)
        st = err_set(e, ST_BAD, "the request is not signed by its own key");
    else if (!cn_of(X509_REQ_get_subject_name(req), cn) || strcmp(cn, gw) != 0)
        st = err_set(e, ST_BAD, "the request's subject must be CN=%s, the gateway that asks", gw);
    else if (!spki_hash(X509_REQ_get_X509_PUBKEY(req), csr->spki))
        st = err_set(e, ST_MEMORY, "no memory for a request");
    if (st != ST_OK)
        city_csr_done(csr);
    return st;
}

void city_csr_done(struct city_csr *csr)
{
    X509_REQ_free(csr->req);
    csr->req = NULL;
}

/* ---- answers -------------------------------------------------------------------------------- */

/* What a certificate is to say beside its key. */
struct saying {
    const char *gw, *san, *uses;
    int64_t now_ms;
};

static X509 *issue(const struct city_ca *ca, const struct city_csr *csr, const struct saying *s,
                   struct city_cert *out)
{
    X509 *x = X509_new();

    if (x != NULL && set_serial(x, out->serial) && X509_set_version(x, 2) == 1 &&
        add_name(X509_get_subject_name(x), s->gw) &&
        X509_set_issuer_name(x, X509_get_subject_name(ca->cert)) == 1 &&
        X509_set_pubkey(x, X509_REQ_get0_pubkey(csr->req)) == 1 &&
        set_dates(x, s->now_ms, out->until_ms) &&
        extend(x, ca->cert, NID_basic_constraints, "critical,CA:FALSE") &&
        extend(x, ca->cert, NID_key_usage, "critical,digitalSignature") &&
        extend(x, ca->cert, NID_ext_key_usage, s->uses) &&
        extend(x, ca->cert, NID_subject_alt_name, s->san) &&
        extend(x, ca->cert, NID_authority_key_identifier, "keyid") &&
        X509_sign(x, ca->key, EVP_sha256()) > 0)
        return x;
    X509_free(x);
    return NULL;
}

static enum st issue_until(const struct city_ca *ca, const struct city_csr *csr,
                           const struct saying *s, int64_t life_ms, struct city_cert *out,
                           struct err *e)
{
    *out = (struct city_cert){.until_ms = (s->now_ms + life_ms) / 1000 * 1000};
    memcpy(out->spki, csr->spki, sizeof out->spki);
    X509 *x = issue(ca, csr, s, out);
    int n = x != NULL ? i2d_X509(x, NULL) : 0;
    uint8_t *at = out->der;
    if (n > 0 && n <= CITY_CERT_MAX)
        out->n = (size_t)i2d_X509(x, &at);
    X509_free(x);
    return out->n > 0 ? ST_OK : err_set(e, ST_MEMORY, "the certificate could not be made");
}

enum st city_ca_issue(const struct city_ca *ca, const struct city_csr *csr, const char *gw,
                      int64_t now_ms, int64_t life_ms, struct city_cert *out, struct err *e)
{
    char san[72];
    const struct saying s = {gw, san, "clientAuth,serverAuth", now_ms};

    snprintf(san, sizeof san, "DNS:%s", gw);
    return issue_until(ca, csr, &s, life_ms, out, e);
}

enum st city_ca_issue_page(const struct city_ca *ca, const struct city_csr *csr, const char *gw,
                           const char *san, int64_t now_ms, int64_t life_ms, struct city_cert *out,
                           struct err *e)
{
    const struct saying s = {gw, san, "serverAuth", now_ms};

    return issue_until(ca, csr, &s, life_ms, out, e);
}

bool city_ca_is_own(const struct city_ca *ca, const uint8_t *ip, size_t n)
{
    return X509_check_ip(ca->own, ip, n, 0) == 1;
}

/* RFC 2315: SignedData without content and signers, which only carries certificates. */
static PKCS7 *carrier(STACK_OF(X509) * certs)
{
    PKCS7 *p7 = PKCS7_new();

    if (p7 == NULL || PKCS7_set_type(p7, NID_pkcs7_signed) != 1 ||
        PKCS7_content_new(p7, NID_pkcs7_data) != 1 || PKCS7_set_detached(p7, 1) != 1) {
        PKCS7_free(p7);
        return NULL;
    }
    for (int i = 0; i < sk_X509_num(certs); i++) {
        if (PKCS7_add_certificate(p7, sk_X509_value(certs, i)) != 1) {
            PKCS7_free(p7);
            return NULL;
        }
    }
    return p7;
}

static enum st put_base64(struct buf *out, const uint8_t *der, size_t n)
{
    enum st st = ST_OK;

    for (size_t at = 0; st == ST_OK && at < n; at += 48) {
        uint8_t line[68];
        size_t part = n - at < 48 ? n - at : 48;
        int got = EVP_EncodeBlock(line, der + at, (int)part);
        line[got] = '\n';
        st = buf_put(out, line, (size_t)got + 1);
    }
    return st;
}

enum st city_ca_answer(const struct city_ca *ca, const uint8_t *der, size_t n, struct buf *out,
                       struct err *e)
{
    STACK_OF(X509) *certs = sk_X509_new_null();
    X509 *one = der != NULL ? d2i_X509(NULL, &der, (long)n) : NULL;
    uint8_t *bytes = NULL;
    int len = 0;
    enum st st = ST_MEMORY;
    bool ok = certs != NULL && sk_X509_push(certs, one != NULL ? one : ca->cert) > 0 &&
              (one != NULL || X509_cmp(ca->cert, ca->tls) == 0 || sk_X509_push(certs, ca->tls) > 0);
    PKCS7 *p7 = ok ? carrier(certs) : NULL;

    if (p7 != NULL && (len = i2d_PKCS7(p7, &bytes)) > 0)
        st = put_base64(out, bytes, (size_t)len);
    OPENSSL_free(bytes);
    PKCS7_free(p7);
    X509_free(one);
    sk_X509_free(certs);
    return st == ST_OK ? ST_OK : err_set(e, st, "no memory for an answer");
}

/* ---- clients -------------------------------------------------------------------------------- */

static int verify(const struct city_ca *ca, X509 *x, int64_t now_ms)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    int why = X509_V_ERR_OUT_OF_MEM;

    if (store != NULL && ctx != NULL && X509_STORE_add_cert(store, ca->cert) == 1 &&
        X509_STORE_CTX_init(ctx, store, x, NULL) == 1) {
        X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT);
        X509_STORE_CTX_set_time(ctx, 0, (time_t)(now_ms / 1000));
        why = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
    }
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return why;
}

enum st city_ca_check(const struct city_ca *ca, const uint8_t *der, size_t n, int64_t now_ms,
                      struct city_peer *out, struct err *e)
{
    const uint8_t *at = der;
    X509 *x = d2i_X509(NULL, &at, (long)n);
    int why = x != NULL ? verify(ca, x, now_ms) : X509_V_ERR_UNSPECIFIED;
    BIGNUM *serial = x != NULL ? ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL) : NULL;
    enum st st = ST_OK;

    if (why == X509_V_ERR_CERT_HAS_EXPIRED || why == X509_V_ERR_CERT_NOT_YET_VALID)
        st = err_set(e, ST_TIMEOUT, "the client certificate is out of its dates");
    else if (why != X509_V_OK || !cn_of(X509_get_subject_name(x), out->gw) || serial == NULL ||
             BN_bn2binpad(serial, out->serial, CITY_SERIAL_BYTES) != CITY_SERIAL_BYTES)
        st = err_set(e, ST_REFUSED, "the client certificate is none of this city's: %s",
                     X509_verify_cert_error_string(why));
    BN_free(serial);
    X509_free(x);
    return st;
}
