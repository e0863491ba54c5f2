/* fieldpost probe: ends the back-off of devices that do not answer. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"

static const char usage[] = "usage: fieldpost probe [--config FILE] [--bus BUS | DEVICE...]\n"
                            "\n"
                            "A device that does not answer is tried again after a while, then "
                            "after twice as long, up to a\n"
                            "minute. This has the gateway that runs with this configuration try it "
                            "now: the devices named,\n"
                            "those of a bus, or all. Exit code 1 when no gateway runs, or when "
                            "nobody there is waited for.\n";

/* Returns 1 when somebody was waited for, 0 when nobody was, -1 when the gateway cannot be asked.
 */
static int ask(const struct cli_config *c, const char *who, const char *bus, int unit)
{
    struct collect_ask q = {.op = COLLECT_PROBE, .unit = unit};
    struct collect_reply r;
    struct err e = {.text = ""};
    (void)snprintf(q.bus, sizeof(q.bus), "%s", bus);
    enum st st = collect_ctl_call(c->store.path, &q, &r, NULL, &e);
    if (st != ST_OK || r.st != ST_OK) {
        log_error("%s", st != ST_OK ? e.text : r.text);
        return -1;
    }
    (void)printf("%s: %s\n", who, r.waited ? "is tried now" : "answers, or nobody waits for it");
    return r.waited;
}

/* All names first: a mistake in the last leaves nothing of the first. */
static bool all_known(const struct cli_config *c, const char *bus, char **names, int n)
{
    int unit;
    const char *id;
    bool found = false;
    for (int i = 0; i < n; i++) {
        if (!collect_cfg_device(&c->collect, names[i], &unit)) {
            log_error("there is no device %s in the configuration that is asked: one that sends "
                      "by itself is not probed",
                      names[i]);
            return false;
        }
    }
    for (size_t i = 0; n == 0 && (id = collect_cfg_bus(&c->collect, i)); i++) {
        found |= *id && (!bus || strcmp(id, bus) == 0);
    }
    if (n == 0 && !found) {
        log_error("there is no bus %s in the configuration that is asked", bus ? bus : "at all");
    }
    return n > 0 || found;
}

static int run(const struct cli_config *c, const char *bus, char **names, int n)
{
    int waited = 0, got = 0, unit;
    const char *id;
    if (!all_known(c, bus, names, n)) {
        return CLI_USAGE;
    }
    for (int i = 0; i < n && got >= 0; i++) {
        id = collect_cfg_device(&c->collect, names[i], &unit);
        got = ask(c, names[i], id, unit);
        waited |= got;
    }
    for (size_t i = 0; n == 0 && got >= 0 && (id = collect_cfg_bus(&c->collect, i)); i++) {
        if (*id && (!bus || strcmp(id, bus) == 0)) {
            got = ask(c, id, id, -1);
            waited |= got;
        }
    }
    return got >= 0 && waited > 0 ? CLI_DONE : CLI_FAILED;
}

int cli_probe(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"bus", required_argument, NULL, 'b'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *path = CLI_DEFAULT_CONFIG, *bus = NULL;
    struct cli_config c;
    struct err e = {.text = ""};
    int o, code = CLI_USAGE;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:b:h", options, NULL)) != -1) {
        if (o == 'c') {
            path = optarg;
        } else if (o == 'b') {
            bus = optarg;
        } else {
            (void)cli_usage(o, usage, &code);
            return code;
        }
    }
    if (bus && optind < argc) {
        (void)cli_usage('?', usage, &code);
        return code;
    }
    if (cli_config_load(&c, path, &e) == ST_OK) {
        code = run(&c, bus, argv + optind, argc - optind);
    } else if (cli_complain(c.cfg) == 0) {
        log_error("%s", e.text);
    }
    cli_config_done(&c);
    return fflush(stdout) == 0 ? code : CLI_FAILED;
}
