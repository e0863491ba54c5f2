/* The reference receiver: verifies batches, stores them before it answers, signs receipts and
 * heads, and gives the readings back. The protocol is DESIGN section 6 and gateway/doc/batch.cddl.
 *
 * One SQLite file. One thread owns the writing connection and commits what waits for it in one
 * transaction (synchronous=FULL); each web worker reads through a connection of its own. */
#ifndef GATEWAY_CITY_CITY_H
#define GATEWAY_CITY_CITY_H

#include <stdbool.h>
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

/* All readings as CSV with a header line: gateway,series,ts_ms,value,quality,chain,seq; sorted by
 * gateway, series, time, age of the chain, seq; what a later chain repeats of an earlier one stands
 * once. Every batch is decoded again; sorting is SQLite's, in a temporary file. Unless raw, `time`
 * and `correct` entries of the chains are applied; raw prints everything as sealed. */
enum st city_dump(const struct city_cfg *cfg, bool raw, FILE *out, struct err *e) ST_MUST_CHECK;

/* Checks one batch file (.cose, or .cose.zst) against the keys enrolled for the gateway it names.
 * `text` (at least 256 bytes) gets a line that says what it is. */
#define CITY_VERIFY_TEXT 256
enum st city_verify(const struct city_cfg *cfg, const char *path, char text[CITY_VERIFY_TEXT],
                    struct err *e) ST_MUST_CHECK;

#endif
