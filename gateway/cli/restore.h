/* A box that replaces another: its first configuration, and the one that comes back. Private to the
 * CLI. */
#ifndef GATEWAY_CLI_RESTORE_H
#define GATEWAY_CLI_RESTORE_H

#include "gateway/cli/config.h"

/* Where nothing is: a configuration with which a box can be enrolled, and its key. Files of the
 * city go beside it; key and store too, or for one in /etc/fieldpost into /var/lib/fieldpost.
 * ST_CONFLICT when path exists. */
enum st cli_first_config(const char *path, const char *id, const char *city,
                         struct err *e) ST_MUST_CHECK;

/* For uplink_enroll. Writes the configuration that came as PATH.restored, and each profile where
 * the configuration looks for it, if that is beside or below the configuration, and a name that can
 * do no harm, and nothing else stands there; else as PATH.restored.N.yaml. Nothing is ever
 * overwritten, and a profile that is in the way stops nothing. Says what of it is not so on this
 * box, and the next step. */
struct cli_restore {
    const char *path;           /* of the configuration that enrols */
    const struct cli_config *c; /* which it is */
    void (*say)(const char *text);
};
enum st cli_restore(void *restore, const struct wire_deposit *d, const char *why,
                    struct err *e) ST_MUST_CHECK;

#endif
