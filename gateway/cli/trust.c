/* fieldpost trust: whom of the city this gateway trusts, and notices that a person brings. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"

static const char usage[] =
    "usage: fieldpost trust [--config FILE] [--file F]\n"
    "\n"
    "Shows which receipt keys and CAs of the city this gateway trusts, and until when.\n"
    "With --file: takes the notices in F, with which the city changes them (from\n"
    "fieldpost-city trust, or https://CITY/v1/trust), for a gateway that was offline while\n"
    "they changed. Each must be signed by the key that was trusted before it. A gateway that\n"
    "runs uses them within a second. Exit code 1 when no uplink trusts what is in F, or\n"
    "something of it is refused.\n"
    "\n"
    "  --file F   from a phone or a USB stick\n";

static void print_line(const char *text)
{
    (void)printf("%s\n", text);
}

/* Every uplink is asked: which of them are this city's, its signature says. */
static int take(const struct cli_config *c, const char *file)
{
    struct uplinks *u = c->uplinks_room;
    size_t taken = 0, known = 0, bad = 0, n = uplinks_count(u);
    struct err first = {.text = ""};
    if (access(c->store.path, F_OK) != 0) {
        log_error("%s: there is no store yet: start the gateway once, then bring the notices",
                  c->store.path);
        return CLI_FAILED;
    }
    for (size_t i = 0; i < n; i++) {
        struct uplink_trusted got;
        struct err e = {.text = ""};
        enum st st =
            uplinks_trust_take(u, i, c->store.path, file, clk_real(), print_line, &got, &e);
        taken += got.fresh > 0;
        known += got.fresh == 0 && got.known > 0 && st == ST_OK;
        if (st != ST_OK && (n == 1 || got.fresh + got.known > 0 || st != ST_NOT_FOUND)) {
            bad++;
            log_error("uplink %s: %s", uplinks_id(u, i), e.text);
        }
        if (st != ST_OK && !first.text[0]) {
            first = e;
        }
    }
    if (taken + known + bad == 0) {
        log_error("%s: of no city of this gateway: %s", file,
                  n > 0 ? first.text : "no uplink is configured");
    } else if (taken == 0 && bad == 0) {
        (void)printf("nothing new: all of it counted before\n");
    } else if (taken > 0 && !store_in_use(c->store.path)) {
        (void)printf("the gateway does not run: they count when it starts\n");
    }
    return fflush(stdout) == 0 && taken + known > 0 && bad == 0 ? CLI_DONE : CLI_FAILED;
}

static int show(const struct cli_config *c)
{
    for (size_t i = 0; i < uplinks_count(c->uplinks_room); i++) {
        uplinks_trust_say(c->uplinks_room, i, print_line);
    }
    return fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}

int cli_trust(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"file", required_argument, NULL, 'f'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *path = CLI_DEFAULT_CONFIG, *file = NULL;
    int o, code = CLI_USAGE;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (o == 'c') {
            path = optarg;
        } else if (o == 'f') {
            file = optarg;
        } else {
            (void)cli_usage(o, usage, &code);
            return code;
        }
    }
    if (optind < argc) {
        (void)cli_usage('?', usage, &code);
        return code;
    }
    struct cli_config c;
    struct err e = {0};
    enum st st = cli_config_uplinks(&c, path, &e);
    if (st == ST_OK || (c.uplinks_room && file)) { /* what is damaged there, the file mends */
        code = file ? take(&c, file) : show(&c);
    } else if (cli_complain(c.cfg) == 0) {
        log_error("%s", e.text);
    }
    cli_config_done(&c);
    return code;
}
