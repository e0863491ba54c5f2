/* Enrolment at the city: claim codes, the CA for the gateways' TLS certificates, EST (RFC 7030).
 * Private to the room. */
#ifndef GATEWAY_CITY_EST_INT_H
#define GATEWAY_CITY_EST_INT_H

#include "gateway/city/city_int.h"

/* Whether the configuration has a CA. */
static inline bool city_enrols(const struct city_cfg *cfg)
{
    return cfg->ca.cert != NULL && cfg->ca.cert[0] != '\0';
}

/* ---- ca.c: X.509 and PKCS#7 by libcrypto ---------------------------------------------------- */

#define CITY_CERT_MAX 8192
#define CITY_SERIAL_BYTES 16

struct city_ca;
enum st city_ca_open(struct city_ca **out, const struct city_cfg *cfg, struct err *e) ST_MUST_CHECK;
void city_ca_close(struct city_ca *ca); /* takes NULL */

struct city_cert {
    uint8_t serial[CITY_SERIAL_BYTES];
    uint8_t spki[WIRE_HASH_BYTES]; /* SHA-256 of the SubjectPublicKeyInfo */
    int64_t until_ms;
    uint8_t der[CITY_CERT_MAX];
    size_t n;
};
/* A PKCS#10 request as EST carries it, base64. Of what it asks for only the key is taken: it must
 * be of P-256, have signed the request, and the subject's CN must be gw. ST_BAD says what is wrong.
 * *out has the key's hash; free csr with city_csr_done. */
struct city_csr {
    void *req;
    uint8_t spki[WIRE_HASH_BYTES];
};
enum st city_csr_open(struct city_csr *csr, const void *base64, size_t n, const char *gw,
                      struct err *e) ST_MUST_CHECK;
void city_csr_done(struct city_csr *csr);
/* Signs a certificate for the key: subject and alternative name gw, for TLS on both sides, from a
 * little before now until now + life. */
enum st city_ca_issue(const struct city_ca *ca, const struct city_csr *csr, const char *gw,
                      int64_t now_ms, int64_t life_ms, struct city_cert *out,
                      struct err *e) ST_MUST_CHECK;
/* The same for the gateway's page: for servers alone, with these alternative names, as
 * X509V3_EXT_conf takes them. */
enum st city_ca_issue_page(const struct city_ca *ca, const struct city_csr *csr, const char *gw,
                           const char *san, int64_t now_ms, int64_t life_ms, struct city_cert *out,
                           struct err *e) ST_MUST_CHECK;
/* Whether the city's own TLS certificate names this address (4 or 16 bytes). */
bool city_ca_is_own(const struct city_ca *ca, const uint8_t *ip, size_t n);
/* The names that a request asks for, as city_ca_issue_page takes
 * them. ST_BAD: none, or one too many; ST_REFUSED, with its words: one that is not this gateway's
 * to have (est_page.c). */
#define CITY_SAN_BYTES 2048
enum st city_csr_names(const struct city_ca *ca, const struct city_csr *csr, const char *gw,
                       char san[CITY_SAN_BYTES], struct err *e) ST_MUST_CHECK;
/* Appends a certs-only PKCS#7 in base64 with this certificate, or (der NULL) with the certificates
 * that a gateway is to trust: the CA's own, then that of the city's TLS. */
enum st city_ca_answer(const struct city_ca *ca, const uint8_t *der, size_t n, struct buf *out,
                       struct err *e) ST_MUST_CHECK;

/* What a client's certificate says, once it is known to be ours. */
struct city_peer {
    char gw[65];
    uint8_t serial[CITY_SERIAL_BYTES];
};
/* ST_REFUSED: not signed by this CA, or not for a client; ST_TIMEOUT: out of its dates. */
enum st city_ca_check(const struct city_ca *ca, const uint8_t *der, size_t n, int64_t now_ms,
                      struct city_peer *out, struct err *e) ST_MUST_CHECK;
/* SHA-256 over the SubjectPublicKeyInfo of the first certificate in a PEM file. */
enum st city_ca_pin(const char *path, uint8_t out[WIRE_HASH_BYTES], struct err *e) ST_MUST_CHECK;

/* ---- claim.c: one-time codes --------------------------------------------------------------- */

#define CITY_CLAIM_SYMBOLS 16 /* 75 random bits and the check symbol */
#define CITY_PIN_SYMBOLS 24   /* the first 115 bits of the hash of the city's TLS key */
struct city_claim {
    int64_t id;
    bool replaces;
    bool again; /* used before, for this very key */
};
/* Which code this is, in the order of the words in claim.c. Nothing is changed. */
enum city_claim_is {
    CITY_CLAIM_GOOD,
    CITY_CLAIM_MISTYPED,
    CITY_CLAIM_UNKNOWN,
    CITY_CLAIM_FOREIGN,
    CITY_CLAIM_EXPIRED,
    CITY_CLAIM_USED,
    CITY_CLAIM_UNAVAILABLE,
};
enum city_claim_is city_claim_find(struct city_db *d, const char *gw, const char *code,
                                   const uint8_t spki[WIRE_HASH_BYTES], int64_t now_ms,
                                   struct city_claim *out, struct err *e);

/* Wrong guesses, of one peer and about one gateway: leaky buckets in a table of fixed size, where
 * those who share a bucket share the limit. Not thread-safe. */
#define CITY_GUESS_BUCKETS 1024
struct city_guesses {
    uint8_t seed[16];
    struct {
        int64_t at_ms;
        unsigned wrong;
    } bucket[2][CITY_GUESS_BUCKETS];
};
enum st city_guesses_init(struct city_guesses *g, struct err *e) ST_MUST_CHECK;
/* Whether this peer may guess about this gateway; else *wait_s. now_ms is monotonic. */
bool city_guesses_may(const struct city_guesses *g, const char *peer, const char *gw,
                      int64_t now_ms, int64_t *wait_s);
void city_guesses_wrong(struct city_guesses *g, const char *peer, const char *gw, int64_t now_ms);

/* ---- est.c: the requests ------------------------------------------------------------------- */

struct city_est {
    struct city_ca *ca;
    int64_t life_ms, page_life_ms;
    pthread_mutex_t lock; /* of what follows */
    struct city_db db;
    struct city_guesses guesses;
};
/* Why a request is not fulfilled: a problem code each (est.c). */
enum city_refusal {
    CITY_R_NONE,
    CITY_R_BAD,
    CITY_R_OFF,
    CITY_R_WHO,
    CITY_R_TYPE,
    CITY_R_MISTYPED,
    CITY_R_UNKNOWN,
    CITY_R_FOREIGN,
    CITY_R_EXPIRED,
    CITY_R_USED,
    CITY_R_RATE,
    CITY_R_NO_CERT,
    CITY_R_CERT_UNKNOWN,
    CITY_R_CERT_EXPIRED,
    CITY_R_CERT_REVOKED,
    CITY_R_GATEWAY,
    CITY_R_COSE_TYPE,
    CITY_R_CBOR,
    CITY_R_SIGNATURE,
    CITY_R_PROOF,
    CITY_R_KEY_EXISTS,
    CITY_R_REPLACES,
    CITY_R_NAME,
    CITY_R_NO_PAGES,
    CITY_R_BUSY,
};
/* Answers with it; why: words for those that have none of their own. */
void city_est_refuse(struct http_answer *a, enum city_refusal r, const char *why);
/* Whose certificate the request comes with. */
enum city_refusal city_est_peer(const struct city_est *s, const struct http_request *q,
                                struct city_peer *p, struct err *e);
/* Whether it was taken back; replaces: it came with a code for a replacement that is not done. */
enum city_refusal city_est_known(struct city_db *d, const struct city_peer *p, bool *replaces,
                                 struct err *e);
/* The same, and whether its gateway has had too many certificates today. */
enum city_refusal city_est_look(struct city_db *d, const struct city_peer *p, int64_t now_ms,
                                struct err *e);
/* Inside a transaction: notes a certificate; claim: the code that it came for, or NULL. */
enum st city_est_keep(struct city_db *d, const char *gw, const struct city_cert *c,
                      const struct city_claim *claim, int64_t now_ms, struct err *e) ST_MUST_CHECK;
bool city_est_is_pkcs10(const struct http_request *q);
/* Answers with the certificate, or (NULL) with the CAs. */
enum city_refusal city_est_certs(const struct city_est *s, struct http_answer *a,
                                 const struct city_cert *c, struct err *e);
/* Ends the transaction: commits for CITY_R_NONE. */
enum city_refusal city_est_commit(struct city_db *d, enum city_refusal r, struct err *e);

/* *out NULL, and every request says so, without `ca` in the configuration. */
enum st city_est_open(struct city_est **out, const struct city_cfg *cfg,
                      struct err *e) ST_MUST_CHECK;
void city_est_close(struct city_est *s);
void city_est_cacerts(struct city_est *s, struct http_answer *a);
void city_est_enroll(struct city_est *s, const struct http_request *q, struct http_answer *a);
void city_est_reenroll(struct city_est *s, const struct http_request *q, struct http_answer *a);
/* est_page.c: the certificate of a gateway's page, for who shows that of enrolment. */
void city_est_page(struct city_est *s, const struct http_request *q, struct http_answer *a);
/* bind.c: registers the key that signs the gateway's batches. receipts: the key of the answer. */
void city_est_bind(struct city_est *s, const struct wire_pub *receipts,
                   const struct http_request *q, struct http_answer *a);

/* ---- deposit.c ------------------------------------------------------------------------------- */

/* Gives a gateway its own configuration, or (keys) a CBOR array of its keys that are not revoked.
 */
void city_deposit_get(struct city_deposits *s, const struct city_est *est,
                      const struct http_request *q, struct http_answer *a, bool keys);

#endif
