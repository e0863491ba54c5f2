/* fieldpost backup: a copy of the store, taken while the gateway runs. */
#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"

static const char usage[] =
    "usage: fieldpost backup [--config FILE] --out FILE\n"
    "\n"
    "Copies the store, the readings that no batch holds yet included, the sheets of reports and\n"
    "what people asked for that is not sealed yet into FILE (mode 0600; a file that exists is\n"
    "never touched). The gateway may run meanwhile. To restore: stop the gateway, move away the\n"
    "store and what lies beside it, copy FILE to store.path and start: it begins a new chain,\n"
    "linked to the last one, and puts sheets and requests back beside it. The key that signs\n"
    "(seal.key), users and tokens are not in it.\n";

int cli_backup(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"out", required_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *path = CLI_DEFAULT_CONFIG, *to = NULL;
    int o, code = CLI_USAGE;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:o:h", options, NULL)) != -1) {
        if (o == 'c') {
            path = optarg;
        } else if (o == 'o') {
            to = optarg;
        } else {
            (void)cli_usage(o, usage, &code);
            return code;
        }
    }
    if (!to || optind < argc) {
        (void)cli_usage('?', usage, &code);
        return code;
    }
    struct cli_config c;
    struct err e = {0};
    struct stat sb;
    enum st st = cli_config_load(&c, path, &e);
    if (st != ST_OK) {
        if (cli_complain(c.cfg) == 0) {
            log_error("%s", e.text);
        }
    } else if (store_backup(c.store.path, to, &e) != ST_OK || stat(to, &sb) != 0) {
        log_error("%s", e.text[0] ? e.text : "the copy is gone");
        code = CLI_FAILED;
    } else {
        (void)printf("%s: %lld bytes\n", to, (long long)sb.st_size);
        code = fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
    }
    cli_config_done(&c);
    return code;
}
