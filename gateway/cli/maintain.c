/* fieldpost maintain: what people did to a sensor or a meter. */
#include <stdio.h>
#include <string.h>

#include "gateway/cli/cli_int.h"
#include "gateway/cli/request.h"

static const char usage[] =
    "usage: fieldpost maintain [--config FILE] SERIES|DEVICE/* calibration --from T [--to T]\n"
    "       fieldpost maintain [--config FILE] SERIES|DEVICE/* calibration --to T\n"
    "       fieldpost maintain [--config FILE] SERIES|DEVICE/* swap --from T\n"
    "                          old_serial=TEXT new_serial=TEXT\n"
    "       fieldpost maintain [--config FILE] SERIES meter --from T last=NUMBER first=NUMBER\n"
    "                          [old_serial=TEXT new_serial=TEXT]\n"
    "       each with [--by AUTHOR] [KEY=TEXT...]\n"
    "\n"
    "Notes in the signed chain that a sensor was being calibrated (its readings bear the flag 8\n"
    "then; without --to until a second call with --to alone ends it), that it was changed, or "
    "that\n"
    "a meter was changed: the old one ended at `last` and the new one began at `first`, so that "
    "what\n"
    "is counted goes on. The same again with the same --from takes the place of the first; with\n"
    "--to equal to --from a calibration never was.\n";

/* SERIES, the work and its details. */
static bool rest(int n, char **v, struct store_ask *a)
{
    for (int i = 2; i < n; i++) {
        char *eq = strchr(v[i], '=');
        if (!eq || a->details == STORE_ASK_DETAILS) {
            (void)fprintf(stderr, "fieldpost maintain: \"%s\": %s\n", v[i],
                          eq ? "too many keys" : "KEY=VALUE, such as new_serial=A-1207");
            return false;
        }
        *eq = '\0';
        a->detail[a->details++] = (struct store_ask_detail){v[i], eq + 1};
    }
    a->series = n > 1 ? v[0] : NULL;
    a->work = n > 1 ? v[1] : NULL;
    return n > 1;
}

int cli_maintain(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"from", required_argument, NULL, 'w'},
        {"to", required_argument, NULL, 'w'},     {"by", required_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},         {0}};
    static const struct request_command command = {STORE_MAINTAIN, options, usage, NULL, rest};
    return request_main(&command, argc, argv);
}
