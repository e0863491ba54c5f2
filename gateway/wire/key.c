/* P-256 keys and ES256 over a hash: by mbedTLS 2.28 or 3.x, but signatures are checked by Nettle,
 * six times as fast (decision 0028). */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mbedtls/ecdsa.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <nettle/ecc-curve.h>
#include <nettle/ecdsa.h>

#include "gateway/wire/wire_int.h"

#define MBEDTLS_3 (MBEDTLS_VERSION_NUMBER >= 0x03000000)
#define FILE_MAX (16 * 1024)
#define POINT_BYTES 65
#define SPKI_BYTES 91
#define LIMBS (32 / sizeof(mp_limb_t)) /* of a number modulo p or n */

/* SubjectPublicKeyInfo of a P-256 key up to its uncompressed point (RFC 5480): the only form that
 * the contract knows, so DER is compared and not parsed. */
static const uint8_t spki_head[SPKI_BYTES - POINT_BYTES] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
/* n/2, rounded down */
static const uint8_t half_order[32] = {
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8};
static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
                                  0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                  0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};

struct wire_pub {
    mp_limb_t q[2 * LIMBS]; /* x, y */
    uint8_t der[SPKI_BYTES];
    uint8_t kid[WIRE_ID_BYTES];
};
struct wire_key {
    mbedtls_mpi d;
    struct wire_pub pub;
    struct wire_signer signer;
};

/* One curve for all keys. Version 2.28 computes its table of multiples of G with the first
 * multiplication and only reads it afterwards; doing one here makes the curve safe to share. */
static pthread_mutex_t curve_lock = PTHREAD_MUTEX_INITIALIZER;
static mbedtls_ecp_group curve;
static bool curve_ready; /* under the lock; where memory was short, the next key tries again */

int wire_mbed_rng(void *ctx, unsigned char *out, size_t n)
{
    (void)ctx;
    return wire_random(out, n, NULL) ? -1 : 0;
}

int wire_mbed_key(struct mbedtls_pk_context *pk, const uint8_t *pem, size_t n)
{
#if MBEDTLS_3
    return mbedtls_pk_parse_key(pk, pem, n, NULL, 0, wire_mbed_rng, NULL);
#else
    return mbedtls_pk_parse_key(pk, pem, n, NULL, 0);
#endif
}

static bool curve_load(void)
{
    mbedtls_ecp_point p;
    mbedtls_mpi three;

    mbedtls_ecp_group_init(&curve);
    mbedtls_ecp_point_init(&p);
    mbedtls_mpi_init(&three);
    bool good = !mbedtls_ecp_group_load(&curve, MBEDTLS_ECP_DP_SECP256R1) &&
                !mbedtls_mpi_lset(&three, 3) &&
                !mbedtls_ecp_mul(&curve, &p, &three, &curve.G, wire_mbed_rng, NULL);
    if (!good)
        mbedtls_ecp_group_free(&curve);
    mbedtls_mpi_free(&three);
    mbedtls_ecp_point_free(&p);
    return good;
}

static enum st need_curve(struct err *e)
{
    pthread_mutex_lock(&curve_lock);
    bool good = curve_ready = curve_ready || curve_load();
    pthread_mutex_unlock(&curve_lock);
    return good ? ST_OK : err_set(e, ST_MEMORY, "no memory to set up the curve P-256");
}

/* ---- public keys -------------------------------------------------------------------------- */

/* 32 bytes, the highest first, as Nettle takes them: limbs, the lowest first. */
static void to_limbs(mp_limb_t to[LIMBS], const uint8_t from[32])
{
    memset(to, 0, LIMBS * sizeof(*to));
    for (size_t i = 0; i < 32; i++)
        to[i / sizeof(*to)] |= (mp_limb_t)from[31 - i] << 8 * (i % sizeof(*to));
}

static enum st on_curve(const uint8_t point[POINT_BYTES], struct err *e)
{
    mbedtls_ecp_point q;
    int rc = MBEDTLS_ERR_ECP_INVALID_KEY;

    mbedtls_ecp_point_init(&q);
    if (point[0] == 4)
        rc = mbedtls_ecp_point_read_binary(&curve, &q, point, POINT_BYTES);
    if (point[0] == 4 && rc == 0)
        rc = mbedtls_ecp_check_pubkey(&curve, &q);
    mbedtls_ecp_point_free(&q);
    if (rc == MBEDTLS_ERR_MPI_ALLOC_FAILED)
        return err_set(e, ST_MEMORY, "no memory to check a key");
    return rc ? err_set(e, ST_BAD, "not a point on the curve P-256") : ST_OK;
}

/* Fills *k from an uncompressed point. */
static enum st pub_set(struct wire_pub *k, const uint8_t point[POINT_BYTES], struct err *e)
{
    uint8_t hash[WIRE_HASH_BYTES];

    ERR_TRY(on_curve(point, e));
    to_limbs(k->q, point + 1);
    to_limbs(k->q + LIMBS, point + 33);
    memcpy(k->der, spki_head, sizeof(spki_head));
    memcpy(k->der + sizeof(spki_head), point, POINT_BYTES);
    wire_sha256(k->der, SPKI_BYTES, hash);
    memcpy(k->kid, hash, WIRE_ID_BYTES);
    return ST_OK;
}

enum st wire_pub_parse(struct wire_pub **out, const uint8_t *der, size_t n, struct err *e)
{
    if (n != SPKI_BYTES || memcmp(der, spki_head, sizeof(spki_head)) != 0)
        return err_set(e, ST_BAD, "not a P-256 public key with a named curve and a plain point");
    return wire_pub_point(out, der + sizeof(spki_head), e);
}

enum st wire_pub_point(struct wire_pub **out, const uint8_t point[POINT_BYTES], struct err *e)
{
    struct wire_pub *k;
    enum st st = need_curve(e);

    if (st)
        return st;
    k = calloc(1, sizeof(*k));
    if (!k)
        return err_set(e, ST_MEMORY, "no memory for a key");
    st = pub_set(k, point, e);
    if (st) {
        wire_pub_free(k);
        return st;
    }
    *out = k;
    return ST_OK;
}

void wire_pub_free(struct wire_pub *k)
{
    free(k);
}

struct wire_span wire_pub_der(const struct wire_pub *k)
{
    return (struct wire_span){k->der, SPKI_BYTES};
}

const uint8_t *wire_pub_kid(const struct wire_pub *k)
{
    return k->kid;
}

enum st wire_pub_pem(const struct wire_pub *k, struct buf *out)
{
    uint8_t text[256];
    size_t n;

    if (mbedtls_pem_write_buffer("-----BEGIN PUBLIC KEY-----\n", "-----END PUBLIC KEY-----\n",
                                 k->der, SPKI_BYTES, text, sizeof(text), &n))
        return ST_MEMORY;
    return buf_put(out, text, n - 1); /* n counts a NUL */
}

/* ---- files -------------------------------------------------------------------------------- */

/* Reads a small file whole and puts a NUL behind it, as the PEM parsers want. */
static enum st read_fd(int fd, const char *path, uint8_t text[FILE_MAX], size_t *n, struct err *e)
{
    ssize_t got = 1;

    *n = 0;
    while (got > 0 && *n < FILE_MAX - 1) {
        got = read(fd, text + *n, FILE_MAX - 1 - *n);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got < 0)
            return err_set(e, ST_IO, "%s: %s", path, strerror(errno));
        else
            *n += (size_t)got;
    }
    if (*n == FILE_MAX - 1)
        return err_set(e, ST_BAD, "%s: too large for a key", path);
    text[*n] = 0;
    return ST_OK;
}

static enum st open_read(int *fd, const char *path, struct err *e)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return err_set(e, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s: %s", path, strerror(errno));
    return ST_OK;
}

/* The key in a PEM text, public key or certificate, as SubjectPublicKeyInfo at the end of der;
 * returns its length, or less than 1. */
static int pem_to_der(const uint8_t *text, size_t n, uint8_t *der, size_t size)
{
    mbedtls_x509_crt crt;
    mbedtls_pk_context pk;
    int len = -1;

    mbedtls_x509_crt_init(&crt);
    mbedtls_pk_init(&pk);
    if (strstr((const char *)text, "-----BEGIN CERTIFICATE-----")) {
        /* not 0: an error, or how many of the certificates are damaged */
        if (!mbedtls_x509_crt_parse(&crt, text, n + 1))
            len = mbedtls_pk_write_pubkey_der(&crt.pk, der, size);
    } else if (!mbedtls_pk_parse_public_key(&pk, text, n + 1)) {
        len = mbedtls_pk_write_pubkey_der(&pk, der, size);
    }
    mbedtls_pk_free(&pk);
    mbedtls_x509_crt_free(&crt);
    return len;
}

enum st wire_pub_load(struct wire_pub **out, const char *path, struct err *e)
{
    uint8_t text[FILE_MAX], der[1024];
    size_t n;
    int fd, len;
    enum st st = open_read(&fd, path, e);

    if (st)
        return st;
    st = read_fd(fd, path, text, &n, e);
    close(fd);
    if (st)
        return st;
    len = pem_to_der(text, n, der, sizeof(der));
    if (len < 1)
        return err_set(e, ST_BAD, "%s: neither a public key nor a certificate in PEM", path);
    st = wire_pub_parse(out, der + sizeof(der) - (size_t)len, (size_t)len, e);
    return st ? err_wrap(e, st, "%s", path) : ST_OK;
}

/* Takes d and the point out of a parsed key. */
static enum st key_take(struct wire_key *k, mbedtls_pk_context *pk, struct err *e)
{
    mbedtls_ecp_keypair *pair;
    mbedtls_ecp_point q;
    uint8_t point[POINT_BYTES];
    size_t n = 0;
    int rc = -1;

    if (mbedtls_pk_get_type(pk) != MBEDTLS_PK_ECKEY)
        return err_set(e, ST_BAD, "not an EC key");
    pair = mbedtls_pk_ec(*pk);
    mbedtls_ecp_point_init(&q);
#if MBEDTLS_3
    mbedtls_ecp_group grp;

    mbedtls_ecp_group_init(&grp);
    rc = mbedtls_ecp_export(pair, &grp, &k->d, &q);
    if (!rc && grp.id != MBEDTLS_ECP_DP_SECP256R1)
        rc = -1;
    mbedtls_ecp_group_free(&grp);
#else
    if (pair->grp.id == MBEDTLS_ECP_DP_SECP256R1)
        rc = mbedtls_mpi_copy(&k->d, &pair->d) || mbedtls_ecp_copy(&q, &pair->Q);
#endif
    if (!rc)
        rc = mbedtls_ecp_point_write_binary(&curve, &q, MBEDTLS_ECP_PF_UNCOMPRESSED, &n, point,
                                            sizeof(point));
    mbedtls_ecp_point_free(&q);
    return rc ? err_set(e, ST_BAD, "not a P-256 key") : pub_set(&k->pub, point, e);
}

static enum st key_sign(void *ctx, const uint8_t hash[WIRE_HASH_BYTES], uint8_t sig[64],
                        struct err *e);

static enum st key_parse(struct wire_key **out, const uint8_t *text, size_t n, struct err *e)
{
    mbedtls_pk_context pk;
    struct wire_key *k;
    enum st st = need_curve(e);
    int rc;

    if (st)
        return st;
    k = calloc(1, sizeof(*k));
    if (!k)
        return err_set(e, ST_MEMORY, "no memory for a key");
    mbedtls_mpi_init(&k->d);
    mbedtls_pk_init(&pk);
    rc = wire_mbed_key(&pk, text, n + 1);
    st = rc ? err_set(e, ST_BAD, "not a private key in PEM") : key_take(k, &pk, e);
    mbedtls_pk_free(&pk);
    if (st) {
        wire_key_free(k);
        return st;
    }
    k->signer = (struct wire_signer){&k->pub, key_sign, k};
    *out = k;
    return ST_OK;
}

enum st wire_key_load(struct wire_key **out, const char *path, struct err *e)
{
    uint8_t text[FILE_MAX];
    struct stat s;
    size_t n;
    int fd;
    enum st st = open_read(&fd, path, e);

    if (st)
        return st;
    if (fstat(fd, &s))
        st = err_set(e, ST_IO, "%s: %s", path, strerror(errno));
    else if (s.st_mode & (S_IRWXG | S_IRWXO))
        st = err_set(e, ST_REFUSED, "%s: others can read this private key; chmod 600 %s", path,
                     path);
    else
        st = read_fd(fd, path, text, &n, e);
    close(fd);
    if (st)
        return st;
    st = key_parse(out, text, n, e);
    mbedtls_platform_zeroize(text, sizeof(text));
    return st ? err_wrap(e, st, "%s", path) : ST_OK;
}

void wire_key_free(struct wire_key *k)
{
    if (!k)
        return;
    mbedtls_mpi_free(&k->d); /* zeroizes */
    free(k);
}

const struct wire_pub *wire_key_pub(const struct wire_key *k)
{
    return &k->pub;
}

const struct wire_signer *wire_key_signer(const struct wire_key *k)
{
    return &k->signer;
}

/* A new key as PEM; returns 0 when it worked. */
static int make_pem(uint8_t *text, size_t size)
{
    mbedtls_pk_context pk;
    int rc;

    mbedtls_pk_init(&pk);
    rc = mbedtls_pk_setup(&pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (!rc)
        rc = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(pk), wire_mbed_rng, NULL);
    if (!rc)
        rc = mbedtls_pk_write_key_pem(&pk, text, size);
    mbedtls_pk_free(&pk);
    return rc;
}

enum st wire_key_make(const char *path, struct err *e)
{
    uint8_t text[1024];
    enum st st = make_pem(text, sizeof(text))
                     ? err_set(e, ST_MEMORY, "cannot make a key")
                     : wire_file_put(path, text, strlen((char *)text), 0600, false, e);

    mbedtls_platform_zeroize(text, sizeof(text));
    return st;
}

/* ---- signatures ---------------------------------------------------------------------------- */

bool wire_sig_is_low(const uint8_t sig[64])
{
    return memcmp(sig + 32, half_order, 32) <= 0;
}

void wire_sig_lower(uint8_t sig[64])
{
    int borrow = 0;

    if (wire_sig_is_low(sig))
        return;
    for (int i = 31; i >= 0; i--) {
        int d = order[i] - sig[32 + i] - borrow;

        sig[32 + i] = (uint8_t)d;
        borrow = d < 0;
    }
}

static enum st key_sign(void *ctx, const uint8_t hash[WIRE_HASH_BYTES], uint8_t sig[64],
                        struct err *e)
{
    const struct wire_key *k = ctx;
    mbedtls_mpi r, s;
    int rc;

    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    rc = mbedtls_ecdsa_sign_det_ext(&curve, &r, &s, &k->d, hash, WIRE_HASH_BYTES, MBEDTLS_MD_SHA256,
                                    wire_mbed_rng, NULL);
    if (!rc)
        rc = mbedtls_mpi_write_binary(&s, sig + 32, 32);
    if (!rc)
        rc = mbedtls_mpi_write_binary(&r, sig, 32);
    mbedtls_mpi_free(&r);
    mbedtls_mpi_free(&s);
    return rc ? err_set(e, ST_MEMORY, "no memory to sign (mbedTLS -0x%04x)", (unsigned)-rc) : ST_OK;
}

enum st wire_pub_check(const struct wire_pub *k, const uint8_t hash[WIRE_HASH_BYTES],
                       const uint8_t sig[64], struct err *e)
{
    const struct ecc_curve *p256 = nettle_get_secp_256r1();
    mp_limb_t r[LIMBS], s[LIMBS];
    mp_limb_t *scratch = calloc((size_t)ecc_ecdsa_verify_itch(p256), sizeof(*scratch));

    if (!scratch)
        return err_set(e, ST_MEMORY, "no memory to check a signature");
    to_limbs(r, sig);
    to_limbs(s, sig + 32);
    bool good = ecc_ecdsa_verify(p256, k->q, WIRE_HASH_BYTES, hash, r, s, scratch) == 1;
    free(scratch);
    return good ? ST_OK : err_set(e, ST_CORRUPT, "the signature does not fit");
}
