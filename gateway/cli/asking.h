/* How a command asks a bus: through the gateway that runs with this configuration, or, when none
 * does, on the line itself. Not thread-safe. */
#ifndef GATEWAY_CLI_ASKING_H
#define GATEWAY_CLI_ASKING_H

#include "gateway/cli/config.h"

struct asking {
    struct cli_config c;
    bool through; /* a gateway was asked */
    bool own;     /* none runs: the line is this command's */
    struct thr_stop stop;
};
/* Loads the configuration; says what is wrong. The bus must be one that is asked. Returns an exit
 * code: 0 when it is open. */
int asking_open(struct asking *a, const char *path, const char *bus);
void asking_close(struct asking *a);
/* ST_OK when there is a reply. held: as collect_ctl_call; where no gateway runs nothing polls, and
 * a pause holds nothing. ST_NOT_FOUND: the gateway that was asked before has gone. */
enum st asking_ask(struct asking *a, const struct collect_ask *q, struct collect_reply *r,
                   int *held, struct err *e) ST_MUST_CHECK;
/* Whether all of text is a number from min to max, decimal or 0x…; says what is wrong. */
bool asking_number(const char *what, const char *text, long min, long max, unsigned *out);

#endif
