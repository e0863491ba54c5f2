/* The gateway's TLS identity: private key and certificate in one PEM file, so that no reader ever
 * sees the one without the other. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/uplink/enrol_int.h"

#define IDENTITY_BYTES (16 * 1024)
#define PATH_BYTES 512

/* Where the next key waits for its certificate. */
static enum st next_key(const char *path, char out[PATH_BYTES], struct err *e)
{
    int n = snprintf(out, PATH_BYTES, "%s.next", path);
    return n > 0 && n < PATH_BYTES ? ST_OK : err_set(e, ST_BAD, "%s: the path is too long", path);
}

enum st uplink_identity_read(const char *path, const char *gw, struct wire_cert *out, struct err *e)
{
    struct wire_key *key = NULL;
    struct buf pem;
    uint8_t spki[WIRE_HASH_BYTES];
    buf_init(&pem, IDENTITY_BYTES);
    enum st st = wire_key_load(&key, path, e); /* also that nobody else can read it */
    if (st == ST_OK) {
        st = wire_file_get(path, &pem, e);
    }
    if (st == ST_OK) {
        st = wire_cert_read_pem(out, pem.p, pem.n, e);
    }
    if (st == ST_OK) {
        struct wire_span der = wire_pub_der(wire_key_pub(key));
        wire_sha256(der.p, der.n, spki);
        if (strcmp(out->cn, gw) != 0 || memcmp(spki, out->spki, sizeof(spki)) != 0) {
            st = err_set(e, ST_BAD, "its certificate is not for %s and this key", gw);
        }
    }
    if (st != ST_OK && st != ST_NOT_FOUND && st != ST_REFUSED) {
        err_wrap(e, st, "%s", path);
    }
    wire_key_free(key);
    buf_wipe(&pem);
    return st;
}

enum st uplink_identity_request(const char *path, const char *gw, struct buf *csr,
                                struct wire_pub **pub, struct err *e)
{
    char next[PATH_BYTES];
    ERR_TRY(next_key(path, next, e));
    /* Whoever lost the answer asks again with the same key: the city then gives the same again. */
    if (access(next, F_OK) != 0) {
        ERR_TRY(wire_key_make(next, e));
    }
    return wire_csr_make(next, gw, csr, pub, e);
}

/* The certificate that fits, or why none does. */
static enum st choose(const char *gw, const struct wire_pub *pub, const struct wire_certs *certs,
                      const struct wire_certs *cas, struct wire_span *out, struct err *e)
{
    enum st st = ST_BAD;
    for (size_t i = 0; i < certs->n; i++) {
        for (size_t k = 0; k < cas->n; k++) {
            *out = certs->v[i];
            st = wire_cert_check(certs->v[i], cas->v[k], pub, gw, e);
            if (st == ST_OK) {
                return st;
            }
        }
    }
    return st;
}

enum st uplink_identity_put(const char *path, const char *gw, const struct wire_pub *pub,
                            const struct wire_certs *certs, const struct wire_certs *cas,
                            struct wire_cert *out, struct err *e)
{
    char next[PATH_BYTES];
    struct wire_span der = {NULL, 0};
    struct buf pem;
    ERR_TRY(next_key(path, next, e));
    ERR_TRY(choose(gw, pub, certs, cas, &der, e));
    ERR_TRY(wire_cert_read(out, der, e));
    buf_init(&pem, IDENTITY_BYTES);
    enum st st = wire_file_get(next, &pem, e);
    if (st == ST_OK && wire_cert_pem(der, &pem) != ST_OK) {
        st = err_set(e, ST_FULL, "the certificate is too large");
    }
    if (st == ST_OK) {
        st = wire_file_put(path, pem.p, pem.n, 0600, true, e);
    }
    buf_wipe(&pem);
    if (st == ST_OK && unlink(next) != 0 && errno != ENOENT) {
        st = err_set(e, ST_IO, "%s: %s", next, strerror(errno));
    }
    return st;
}
