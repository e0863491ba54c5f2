/* What `correct`, `maintain`, `retire` and `enter` share: their words, and handing these to the
 * gateway that runs, or that will (store.h, "what people ask for"). */
#ifndef GATEWAY_CLI_REQUEST_H
#define GATEWAY_CLI_REQUEST_H

#include <getopt.h>

#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"

struct request_command {
    enum store_ask_kind kind;
    /* All have the long names --config and --help, and words of that kind by their names; one
     * without an argument says "true". */
    const struct option *options;
    const char *usage;
    /* An option that is no word, with its argument (may be NULL); false: what is wrong is told. */
    bool (*option)(const char *name, char *arg, struct store_ask *a); /* NULL: there is none */
    /* What stands behind the options; false: wrong usage. */
    bool (*rest)(int n, char **v, struct store_ask *a);
};
/* Runs the command to its end: waits, while the gateway runs, until the request is sealed or
 * refused and says how it went. The exit code. */
int request_main(const struct request_command *c, int argc, char **argv);
/* Says a word, once: false, told, when it is said already. */
bool request_say(struct store_ask *a, const char *word, const char *text);

/* Who asks: `by`, or the name of this user. false: told why not. */
bool request_author(const char *by, char who[CLI_USER_BYTES]);

#endif
