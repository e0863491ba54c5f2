#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "gateway/city/city_int.h"

#define DER_MAX 80 /* ECDSA-Sig-Value of two integers of 32 bytes: at most 72 */

/* The signature as libcrypto wants it; 0: no memory. */
static int der_of(const uint8_t sig[64], uint8_t der[DER_MAX])
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(sig, 32, NULL), *s = BN_bin2bn(sig + 32, 32, NULL);
    int n = 0;

    if (pair != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(pair, r, s) == 1) {
        r = s = NULL; /* the pair's now */
        n = i2d_ECDSA_SIG(pair, NULL);
        n = n > 0 && n <= DER_MAX ? i2d_ECDSA_SIG(pair, &der) : 0;
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(pair);
    return n > 0 ? n : 0;
}

/* 1: it fits, 0: it does not, below: it could not be told. */
static int fits(const uint8_t hash[WIRE_HASH_BYTES], const uint8_t sig[64], struct wire_span spki)
{
    const unsigned char *at = spki.p;
    uint8_t der[DER_MAX];
    int n = der_of(sig, der), rc = -1;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)spki.n);
    EVP_PKEY_CTX *ctx = key != NULL ? EVP_PKEY_CTX_new(key, NULL) : NULL;

    if (n > 0 && ctx != NULL && EVP_PKEY_verify_init(ctx) == 1)
        rc = EVP_PKEY_verify(ctx, der, (size_t)n, hash, WIRE_HASH_BYTES);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    return rc;
}

enum st city_signed_by(const struct wire_cose *c, struct wire_span spki, struct err *e)
{
    uint8_t hash[WIRE_HASH_BYTES];

    ERR_TRY(wire_cose_digest(c, hash, e));
    int rc = fits(hash, c->signature.p, spki);
    if (rc < 0)
        return err_set(e, ST_MEMORY, "a signature could not be checked");
    return rc == 1 ? ST_OK : err_set(e, ST_CORRUPT, "the signature does not fit");
}
