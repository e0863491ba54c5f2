/* Enrolment and renewal: private to the uplink room. */
#ifndef GATEWAY_UPLINK_ENROL_INT_H
#define GATEWAY_UPLINK_ENROL_INT_H

#include "gateway/uplink/uplink_int.h"

/* ---- est.c: a city that is asked (RFC 7030) -------------------------------------------------- */

struct uplink_est {
    const char *url, *gw;
    const char *ca, *pin, *cert; /* as http_client_cfg has them */
    int stop_fd;
};
/* All of these: ST_REFUSED, the city said no and e has its words (ST_CONFLICT: the code was used);
 * ST_NOT_FOUND, it has no such thing; ST_BUSY, not now; ST_BAD, what answers is no such city; else
 * as http_client_do. */
enum st uplink_est_cacerts(const struct uplink_est *s, struct wire_certs *out,
                           struct err *e) ST_MUST_CHECK;
/* csr: base64. code NULL: with the certificate of s. */
enum st uplink_est_enroll(const struct uplink_est *s, const struct buf *csr, const char *code,
                          struct wire_certs *out, struct err *e) ST_MUST_CHECK;
/* The page's certificate: with the certificate of s, under a label of its own (RFC 7030 3.2.2). */
enum st uplink_est_page(const struct uplink_est *s, const struct buf *csr, struct wire_certs *out,
                        struct err *e) ST_MUST_CHECK;
/* Registers the batch key; out: the city's receipt keys, PEM, behind a line on the chain that a box
 * which replaces another follows. */
enum st uplink_est_bind(const struct uplink_est *s, const struct buf *proof, struct buf *out,
                        struct err *e) ST_MUST_CHECK;

/* GETs what has that content type; at most out->max bytes. */
enum st uplink_est_get(const struct uplink_est *s, const char *path, const char *type,
                       struct buf *out, struct err *e) ST_MUST_CHECK;

/* ---- follow.c ----------------------------------------------------------------------------------
 */

/* Leaves a note beside the store that is not there yet where the box ended that this one replaces.
 * answer: that of uplink_est_bind. */
enum st uplink_follow(const struct uplink_est *s, const struct cfg_strings *keys,
                      const struct buf *answer, const char *store_path,
                      struct err *e) ST_MUST_CHECK;

/* ---- restore.c ---------------------------------------------------------------------------------
 */

/* The configuration that the city keeps of this gateway, whose spans point into cose. ST_NOT_FOUND:
 * it keeps none; ST_CORRUPT: one that does not verify. */
enum st uplink_restore(const struct uplink_est *s, struct buf *cose, struct wire_deposit *out,
                       struct err *e) ST_MUST_CHECK;
/* Whether it is of gw and signed by one of the keys, a CBOR array of SubjectPublicKeyInfo. */
enum st uplink_restore_check(const struct wire_deposit *d, const struct wire_cose *cose,
                             const char *gw, const struct buf *keys, struct err *e) ST_MUST_CHECK;

/* ---- identity.c: the file with the TLS key and its certificate ---------------------------------
 */

/* The configured path, or ID.pem beside the key that seals. */
enum st uplink_identity_path(const char *named, const char *beside, const char *id, char *out,
                             size_t size, struct err *e) ST_MUST_CHECK;
/* Reads it: ST_NOT_FOUND without; ST_BAD when it is none, or not for gw. */
enum st uplink_identity_read(const char *path, const char *gw, struct wire_cert *out,
                             struct err *e) ST_MUST_CHECK;
/* A key beside it for the next request (made, or left from a try before) and a request for it. */
enum st uplink_identity_request(const char *path, const char *gw, struct buf *csr,
                                struct wire_pub **pub, struct err *e) ST_MUST_CHECK;
/* Checks that one of the certificates is for that key and gw and signed by one of the CAs, then
 * puts key and certificate there in one step, and removes the key beside it. */
enum st uplink_identity_put(const char *path, const char *gw, const struct wire_pub *pub,
                            const struct wire_certs *certs, const struct wire_certs *cas,
                            struct wire_cert *out, struct err *e) ST_MUST_CHECK;

#endif
