/* fieldpost probe: ends the back-off of devices that do not answer. */
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"

#define WAIT_MS 5000
#define LOOK_MS 50

static const char usage[] = "usage: fieldpost probe [--config FILE] [--bus BUS | DEVICE...]\n"
                            "\n"
                            "A device that does not answer is tried again after a while, then "
                            "after twice as long, up to a\n"
                            "minute. This has the gateway that runs with this configuration try it "
                            "now: the devices named,\n"
                            "those of a bus, or all. Exit code 1 when no gateway runs, or when "
                            "nobody there is waited for.\n";

/* What was asked for, each a file until the gateway takes it. */
struct asked {
    const char *who;
    char name[1024];
};

static bool ask(const struct cli_config *c, const char *bus, int unit, struct asked *a)
{
    struct err e = {.text = ""};
    if (collect_probe_ask(c->store.path, bus, unit, a->name, sizeof(a->name), &e) == ST_OK) {
        return true;
    }
    log_error("%s", e.text);
    return false;
}

/* All that was asked for, or each device that is named. Returns how many, or -1. */
static int ask_all(const struct cli_config *c, const char *bus, char **names, int n,
                   struct asked *all)
{
    int count = 0;
    const char *id;
    for (int i = 0; i < n; i++) {
        int unit;
        const char *on = collect_cfg_device(&c->collect, names[i], &unit);
        all[count].who = names[i];
        if (!on) {
            log_error("there is no device %s in the configuration", names[i]);
        }
        if (!on || !ask(c, on, unit, &all[count++])) {
            return -1;
        }
    }
    for (size_t i = 0; n == 0 && (id = collect_cfg_bus(&c->collect, i)); i++) {
        if (bus && strcmp(id, bus) != 0) {
            continue;
        }
        all[count].who = id;
        if (!ask(c, id, -1, &all[count++])) {
            return -1;
        }
    }
    if (count == 0) {
        log_error("there is no bus %s in the configuration", bus ? bus : "at all");
    }
    return count > 0 ? count : -1;
}

/* Waits until all are taken; what is not within the time is taken back. Returns how many were. */
static int wait_taken(struct asked *all, int n)
{
    int taken = 0;
    for (int ms = 0; ms < WAIT_MS && taken < n; ms += LOOK_MS) {
        (void)poll(NULL, 0, LOOK_MS);
        taken = 0;
        for (int i = 0; i < n; i++) {
            taken += access(all[i].name, F_OK) != 0;
        }
    }
    taken = 0;
    for (int i = 0; i < n; i++) {
        bool ours = unlink(all[i].name) == 0;
        taken += !ours;
        (void)printf("%s: %s\n", all[i].who,
                     ours ? "answers, or nobody waits for it" : "is tried now");
    }
    return taken;
}

static int run(const struct cli_config *c, const char *bus, char **names, int n)
{
    size_t most = (n > 0 ? (size_t)n : c->collect.buses.n) + 1;
    if (!store_in_use(c->store.path)) {
        log_error("no gateway runs with this configuration");
        return CLI_FAILED;
    }
    struct asked *all = calloc(most, sizeof(*all));
    if (!all) {
        log_error("no memory");
        return CLI_FAILED;
    }
    int asked = ask_all(c, bus, names, n, all);
    int code = asked < 0 ? CLI_USAGE : wait_taken(all, asked) > 0 ? CLI_DONE : CLI_FAILED;
    free(all);
    return code;
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
