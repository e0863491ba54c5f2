/* fieldpost check: all mistakes of a configuration at once. */
#include <stdio.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"

static const char usage[] =
    "usage: fieldpost check [--config FILE]\n"
    "\n"
    "Reads the configuration (default " CLI_DEFAULT_CONFIG ") with all that it names: profiles,\n"
    "buses, keys of the city. Prints every mistake as file:line:col: what is wrong, what would be\n"
    "right. Exit code 0 when there is none, else 2. Touches neither devices nor the store. Says "
    "of\n"
    "each profile that is used whether its register map is verified, and where it is from.\n";

int cli_check(int argc, char **argv)
{
    int code = CLI_DONE;
    const char *path = cli_config_option(argc, argv, usage, &code);
    if (!path) {
        return code;
    }
    struct cli_config c;
    struct err e = {0};
    enum st st = cli_config_open(&c, path, &e);
    int n = cli_complain(c.cfg);
    if (st != ST_OK && n == 0) {
        log_error("%s", e.text);
    }
    if (st == ST_OK && n == 0) {
        cli_note_profiles(c.collect_room);
        (void)fprintf(stderr, "%s: good\n", path);
    } else {
        code = CLI_USAGE;
    }
    cli_config_done(&c);
    return code;
}
