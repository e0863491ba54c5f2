/* Whom of the city an uplink trusts, and how that changes: private to the uplink room. */
#ifndef GATEWAY_UPLINK_TRUST_INT_H
#define GATEWAY_UPLINK_TRUST_INT_H

#include <sys/types.h>
#include <time.h>

#include "gateway/base/buf.h"
#include "gateway/wire/wire.h"

/* ---- trust.c: keys, CAs and the notices that changed them, pure --------------------------------
 */

struct uplink_key {
    struct wire_pub *pub;
    int64_t until_ms; /* UTC: what it signs from then on is refused; INT64_MAX: no end is known */
};
/* A head that was asked for, or a receipt that was made, at that time. */
bool uplink_key_counts(const struct uplink_key *k, int64_t at_ms);
/* Which of the keys that count at that time signed it (*i). ST_CORRUPT: none of them; ST_MEMORY: it
 * is not known, for memory was short: try again. e is set by ST_MEMORY alone. */
enum st uplink_signer_of(const struct wire_cose *cose, const struct uplink_key *keys, size_t nkeys,
                         int64_t at_ms, size_t *i, struct err *e) ST_MUST_CHECK;

struct uplink_ca {
    uint64_t notice; /* that named it */
    int64_t until_ms;
};
struct uplink_trust {
    struct uplink_key *keys; /* the administrator's, then those of notices */
    size_t nkeys, files;     /* files: how many are the administrator's */
    size_t newest;           /* with n > 0: signs the next notice */
    int64_t ca_until_ms;     /* the end of the administrator's CA file */
    struct uplink_ca cas[WIRE_NOTICES_MAX];
    size_t ncas;
    uint64_t first, n; /* the notices that count; 0: none */
    uint8_t last[WIRE_HASH_BYTES];
    struct buf notices; /* these, as they came, in order */
};
/* Room for that many keys of files: put them into keys, and count nkeys and files up. */
enum st uplink_trust_init(struct uplink_trust *t, size_t files, struct err *e) ST_MUST_CHECK;
void uplink_trust_done(struct uplink_trust *t); /* takes a zeroed one */
/* Back to the files alone. */
void uplink_trust_forget(struct uplink_trust *t);

struct uplink_trust_how {
    bool by_hand;   /* a person brought it, or it counted here before: an ended key's word counts */
    int64_t now_ms; /* UTC; INT64_MIN: the date is not known, so nothing has ended */
    void (*each)(void *ctx, const struct wire_notice *x); /* told of each new one; may be NULL */
    void *ctx;
};
struct uplink_trust_took {
    uint64_t fresh, known; /* notices that count from now on; that did before, or are older */
    uint64_t before;       /* that were signed before the files' keys were the city's */
};
/* Takes notices (a CBOR sequence) in their order, up to the first that is refused: those before it
 * count then. ST_BAD: not a notice; ST_CORRUPT: forged, replayed, of another city or out of order;
 * ST_NOT_FOUND: none is signed by a key of the files; ST_REFUSED: too late, unless by hand. */
enum st uplink_trust_take(struct uplink_trust *t, const void *p, size_t n,
                          const struct uplink_trust_how *how, struct uplink_trust_took *took,
                          struct err *e) ST_MUST_CHECK;
/* Appends the CA certificates of notices that count then, PEM. */
enum st uplink_trust_cas(const struct uplink_trust *t, int64_t now_ms, struct buf *pem,
                         struct err *e) ST_MUST_CHECK;
/* When the next of what counts ends; INT64_MAX: nothing does. */
int64_t uplink_trust_next_end(const struct uplink_trust *t, int64_t now_ms);

/* ---- trust_file.c: where they are kept ----------------------------------------------------------
 */

/* The folder STORE.trust has, for each uplink, ID.notices (the notices that count, as the city
 * signed them: read again, they are verified again) and ID.ca (PEM: the CAs that count now). */
#define UPLINK_TRUST ".trust"
#define UPLINK_NOTICES ".notices"
#define UPLINK_CA ".ca"
enum st uplink_trust_path(const char *store_path, const char *id, const char *suffix, char *out,
                          size_t size, struct err *e) ST_MUST_CHECK;
/* Reads ID.notices into t, which forgets others. A file that is not there is none. After ST_BAD and
 * ST_CORRUPT what verified counts. */
enum st uplink_trust_load(struct uplink_trust *t, const char *store_path, const char *id,
                          struct err *e) ST_MUST_CHECK;
/* Takes notices on top of what the file has, and keeps them there; for any process, one at a time.
 * As uplink_trust_take, or the file's errors, after which nothing has changed but t. */
enum st uplink_trust_keep(struct uplink_trust *t, const char *store_path, const char *id,
                          const void *p, size_t n, const struct uplink_trust_how *how,
                          struct uplink_trust_took *took, struct err *e) ST_MUST_CHECK;
/* The PEM file for TLS: ca_file while no notice names a CA, else ID.ca, which is written when it
 * says something else. */
enum st uplink_trust_ca(const struct uplink_trust *t, const char *store_path, const char *id,
                        const char *ca_file, int64_t now_ms, char *out, size_t size,
                        struct err *e) ST_MUST_CHECK;

#endif
