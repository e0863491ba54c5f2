/* Handing a request to the gateway that runs, or that will (seal.h says where). */
#ifndef GATEWAY_CLI_REQUEST_H
#define GATEWAY_CLI_REQUEST_H

#include "gateway/cli/config.h"

struct request {
    uint8_t id[WIRE_ID_BYTES];
    char hex[WIRE_ID_TEXT]; /* the same */
    char who[65];
    int64_t now_ms;
};
/* A fresh id, the time, and who asks: by, or (NULL) the name of this user. */
enum st request_open(struct request *q, const char *by, struct err *e) ST_MUST_CHECK;
/* Hands the entry over and waits while the gateway runs until it is sealed or refused. Says how it
 * went; the exit code. */
int request_send(const struct request *q, const struct cli_config *c, const struct buf *entry);
/* Loads the configuration for fn; says what is wrong with it. The exit code. */
int request_run(const char *config, int (*fn)(const struct cli_config *c, const void *arg),
                const void *arg);
/* Parses a time of an option; complains. */
bool request_time(const char *command, const char *text, int64_t *ms);

#endif
