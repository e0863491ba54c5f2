/* Private to the CLI: `export --sealed`, the signed batches themselves on a stick. */
#ifndef GATEWAY_CLI_SEALED_H
#define GATEWAY_CLI_SEALED_H

#include "gateway/cli/config.h"

struct sealed {
    const char *dir;        /* the stick; made when only its last part is missing */
    int64_t from_ms, to_ms; /* windows that touch [from_ms, to_ms] */
    bool unsent;            /* only what some uplink has not acknowledged */
};
struct sealed_done {
    uint64_t files, written; /* named by the manifest; of these, not there before */
    uint64_t damaged;        /* batches that could not be read */
};
/* Writes DIR/{gw}/{chain}/{seq}.cose.zst for every batch that is asked for, and last
 * DIR/{gw}/manifest.json (wire.h), which names these. A file gets its name when it is whole, and
 * all are durable before the manifest is; what lies there already with the same bytes stays.
 * ST_NOT_FOUND: nothing was asked for, and nothing is written. ST_FULL: the stick is full; what
 * fits is there, in a manifest that says that it is not all. ST_CORRUPT: the same for batches that
 * the store can no longer read. After any other failure the manifest of before, if any, still
 * stands. */
enum st sealed_export(const struct sealed *x, const struct cli_config *c, struct sealed_done *done,
                      struct err *e) ST_MUST_CHECK;

#endif
