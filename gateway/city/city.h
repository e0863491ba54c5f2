/* The reference receiver: verifies batches, stores them before it answers, signs receipts and
 * heads, and gives the readings back. The protocol is DESIGN section 6 and gateway/doc/batch.cddl.
 *
 * One SQLite file. One thread owns the writing connection and commits what waits for it in one
 * transaction (synchronous=FULL); each web worker reads through a connection of its own. */
#ifndef GATEWAY_CITY_CITY_H
#define GATEWAY_CITY_CITY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "gateway/base/cfg.h"
#include "gateway/base/err.h"
#include "gateway/base/thr.h"

/* The city's file. */
struct city_cfg {
    char *listen, *cert, *key; /* TLS: address and PEM files */
    char *sign_key;            /* P-256 private key that signs receipts and heads, mode 0600 */
    char *db;                  /* path of the SQLite file */
    char *read_token_file;     /* NULL: readings and gaps only for peers on loopback */
    int64_t timeout_ms;        /* what a silent or slow client may take */
    int64_t rate;              /* requests a minute of one client about one gateway; 0: no limit */
    /* The CA for the gateways' TLS certificates; cert NULL: this city enrols nobody. */
    struct city_cfg_ca {
        char *cert, *key;
        char *tls;            /* NULL: the last certificate of `cert` above */
        int64_t life_ms;      /* of a gateway's certificate */
        int64_t page_life_ms; /* of that of its page; 0: none is given */
    } ca;
};
extern const struct cfg_table city_table;

/* ST_REFUSED for a database that this build does not know ("postgresql://…"). */
enum st city_cfg_check(const struct city_cfg *cfg, struct err *e) ST_MUST_CHECK;

struct city;
/* Opens database, key and listener, and starts the threads. */
enum st city_open(struct city **out, const struct city_cfg *cfg, struct err *e) ST_MUST_CHECK;
unsigned city_port(const struct city *c);
void city_close(struct city *c); /* answers what is being handled, then stops; takes NULL */

/* Binds a public key to a gateway, which is made known by it. A second key is added beside the
 * first; the same one again changes nothing. ST_BAD for an id that is none. May run beside a
 * serving city. `kid` gets the key's id as hex (17 bytes). */
enum st city_enroll(const struct city_cfg *cfg, const char *id, const char *pub_path, char *kid,
                    struct err *e) ST_MUST_CHECK;

/* From now on nothing new is taken that this key has signed: the answer is `unauthorized`. What is
 * stored stays and verifies, and gets its receipt again. kid: 16 hexadecimal digits. ST_NOT_FOUND,
 * ST_CONFLICT: it was revoked before. May run beside a serving city. */
enum st city_revoke(const struct city_cfg *cfg, const char *id, const char *kid, const char *reason,
                    struct err *e) ST_MUST_CHECK;
/* All keys: gateway, kid, since when, how it came (enrolled, or by which batch), revoked and why; a
 * line each, or a JSON array. */
enum st city_keys(const struct city_cfg *cfg, bool json, FILE *out, struct err *e) ST_MUST_CHECK;
/* Makes the CA that the configuration names: key 0600 and certificate, neither ever overwritten. */
enum st city_ca_make(const struct city_cfg *cfg, struct err *e) ST_MUST_CHECK;
/* Makes a one-time code with which the gateway `id` may enrol until then; earlier ones for it that
 * were not used end. replaces: for another box that takes over from the one that has the id now.
 * The code is nowhere but in *out. May run beside a serving city. */
struct city_claimed {
    char code[24]; /* 4 groups of 4 */
    char pin[32];  /* whose TLS key answers at this city: 6 groups of 4 */
    int64_t until_ms;
};
enum st city_claim(const struct city_cfg *cfg, const char *id, int64_t valid_ms, bool replaces,
                   struct city_claimed *out, struct err *e) ST_MUST_CHECK;
/* Takes back all TLS certificates of a gateway; it needs a new code. How many there were. */
enum st city_distrust(const struct city_cfg *cfg, const char *id, int64_t *n,
                      struct err *e) ST_MUST_CHECK;
/* CSV: gateway,serial,issued,expires,revoked,key of the certificates that were given. */
enum st city_certs(const struct city_cfg *cfg, FILE *out, struct err *e) ST_MUST_CHECK;

/* Prints the configuration that is kept of a gateway, the latest: its text, or with `file` that of
 * a profile in it; with `list` a line for each that is kept. ST_NOT_FOUND. */
struct city_config_ask {
    bool list;
    const char *file;
};
enum st city_config(const struct city_cfg *cfg, const char *id, const struct city_config_ask *q,
                    FILE *out, struct err *e) ST_MUST_CHECK;

/* Announces what of the city's own is to be trusted next, in a notice that the receipt key of now
 * signs: a new receipt key (made here: sign_key.N, with which serve signs in time, without a
 * restart), the CA that its TLS certificate will be under, or both. May run beside a serving city.
 * n gets the notice's number. ST_BAD when something is wrong with the CA. */
struct city_announce {
    bool key;
    const char *ca;   /* PEM file; NULL: it stays */
    int64_t after_ms; /* from now: when the new key is to sign */
    int64_t both_ms;  /* from then: as long the ones before count too */
};
enum st city_announce(const struct city_cfg *cfg, const struct city_announce *q, uint64_t *n,
                      struct err *e) ST_MUST_CHECK;
/* Prints the notices, a line each; file: a new file (NULL: none) that gets them as they are, for
 * gateways that were offline too long (`fieldpost trust --file`). ST_NOT_FOUND: there is none. */
enum st city_trust(const struct city_cfg *cfg, const char *file, FILE *out,
                   struct err *e) ST_MUST_CHECK;
/* Takes notices that a restored database has forgotten back from such a file: all or none. Their
 * keys (sign_key.N) must be there. ST_CORRUPT: not this city's, or another row than here. */
enum st city_trust_restore(const struct city_cfg *cfg, const char *file, uint64_t *taken,
                           struct err *e) ST_MUST_CHECK;

/* All readings as CSV with a header line: gateway,series,ts_ms,value,quality,chain,seq; sorted by
 * gateway, series, time, age of the chain, seq; what a later chain repeats of an earlier one stands
 * once. Every batch is decoded again; sorting is SQLite's, in a temporary file. Unless raw, `time`
 * and `correct` entries of the chains are applied; raw prints everything as sealed. */
enum st city_dump(const struct city_cfg *cfg, bool raw, FILE *out, struct err *e) ST_MUST_CHECK;

/* How complete the series of a gateway are (NULL: of each), measured against the signed plan, in
 * [from, to): a row for each series and hour (UTC), day (of Viet Nam, UTC+7) or in all.
 * fieldpost-city.1 says what the columns mean. What lies after now is not due. Takes no more memory
 * for longer times. ST_NOT_FOUND: no such gateway. */
enum city_by { CITY_BY_HOUR, CITY_BY_DAY, CITY_BY_TOTAL };
struct city_ask {
    const char *gateway;
    int64_t from_ms, to_ms;
    enum city_by by;
    bool json;
};
enum st city_completeness(const struct city_cfg *cfg, const struct city_ask *q, FILE *out,
                          struct err *e) ST_MUST_CHECK;
/* Every signed retirement: gateway,series,at_ms,reason,chain,seq,received_ms. */
enum st city_retired(const struct city_cfg *cfg, const struct city_ask *q, FILE *out,
                     struct err *e) ST_MUST_CHECK;

/* What people changed at gateways, and who did it, in the order in which it came:
 * gateway,at_ms,what,about,now,author,chain,seq,received_ms. */
enum st city_changes(const struct city_cfg *cfg, const struct city_ask *q, FILE *out,
                     struct err *e) ST_MUST_CHECK;

/* What is wrong with gateways, since when, and what to do: one that is silent, two boxes that run
 * as one, chains that fork, batches that are missing or refused (decision 0019). */
enum st city_alarms(const struct city_cfg *cfg, const struct city_ask *q, FILE *out,
                    struct err *e) ST_MUST_CHECK;

/* Checks one batch file (.cose, or .cose.zst) against the keys enrolled for the gateway it names.
 * `text` (at least 256 bytes) gets a line that says what it is. */
#define CITY_VERIFY_TEXT 256
enum st city_verify(const struct city_cfg *cfg, const char *path, char text[CITY_VERIFY_TEXT],
                    struct err *e) ST_MUST_CHECK;

/* Takes the batches in a folder that `fieldpost export --sealed` wrote (wire.h: a folder of sealed
 * batches), with the checks of a PUT. May run beside a serving city. */
struct city_imported {
    uint64_t stored, known; /* new; there before with the same bytes */
    uint64_t refused;       /* each was told; also a manifest that is damaged */
    uint64_t incomplete;    /* manifests that say that the stick was full */
};
struct city_import_to {
    /* `what`: the file's path in the folder. The caller's thread. */
    void (*refused)(void *ctx, const char *what, const char *why);
    void *ctx;
};
/* receipts: a new file (NULL: none) that gets the receipt of every batch that is stored or was, one
 * behind the other as they are: a CBOR sequence (RFC 8742) of COSE_Sign1, for `fieldpost receipts`.
 * ST_CONFLICT when it exists: nothing is done then. ST_NOT_FOUND: no manifest in dir. After another
 * failure what n counts is stored, and its receipts are written. */
enum st city_import(const struct city_cfg *cfg, const char *dir, const char *receipts,
                    const struct city_import_to *to, struct city_imported *n,
                    struct err *e) ST_MUST_CHECK;

#endif
