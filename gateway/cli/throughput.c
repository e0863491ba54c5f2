/* fieldpost throughput: what measuring the line costs, and measuring it once, now. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"

static const char usage[] =
    "usage: fieldpost throughput [--config FILE] [--yes] [--json] [ID]\n"
    "\n"
    "Has the gateway that runs measure the throughput of connectivity.throughput.ID once, now, "
    "and\n"
    "prints the result; ID may be left out where there is one alone. Says before what it costs at\n"
    "most and what is left of the month's budget, and asks; --yes answers that. While readings go\n"
    "out nothing is measured. Exit code 1 when a direction has no rate.\n";

struct want {
    const char *path, *id;
    bool yes, json;
};

/* The one that is meant; says what is wrong. */
static bool find(const struct cli_config *c, const char *id, struct connectivity_cost *out)
{
    struct store_reader *reader = NULL;
    struct err e = {.text = ""};
    bool is = false;
    size_t n = 0;
    enum st st = store_reader_open(&reader, c->store.path, &e);
    for (struct connectivity_cost x; st == ST_OK; n += st == ST_OK) {
        st = connectivity_throughput_cost(c->connectivity_room, n, reader, clk_real(), &x, &e);
        if (st == ST_OK && (!id || strcmp(id, x.id) == 0)) {
            *out = x;
            is = true;
        }
    }
    store_reader_close(reader);
    if (st != ST_NOT_FOUND || !n) {
        log_error("%s",
                  st != ST_NOT_FOUND || e.text[0]
                      ? e.text
                      : "connectivity.throughput has nothing: nothing is configured to measure");
        return false;
    }
    if (!is || (!id && n > 1)) {
        log_error(is ? "ID is needed: connectivity.throughput has %zu"
                     : "no such ID among the %zu of connectivity.throughput",
                  n);
        return false;
    }
    if (!out->down && !out->up) {
        log_error("%s has neither down nor up: it shows the rate of our own uploads alone",
                  out->id);
        return false;
    }
    return true;
}

/* On stderr, for the result alone is on stdout. */
static bool agreed(const struct connectivity_cost *x, bool yes)
{
    (void)fprintf(
        stderr, "%s: %s takes at most %.1f MB of data; %.1f of the month's %.1f MB are left\n",
        x->id,
        x->down && x->up ? "download and upload"
        : x->down        ? "download"
                         : "upload",
        (double)x->bytes / 1e6, (double)x->left_bytes / 1e6, (double)x->budget_bytes / 1e6);
    if (yes) {
        return true;
    }
    char line[16] = "";
    if (!isatty(STDIN_FILENO)) {
        log_error("nobody is there to agree: --yes");
        return false;
    }
    (void)fputs("Measure now? [y/N] ", stderr);
    return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static double number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

/* Whether it has a rate. */
static bool print_direction(const json_t *all, const char *name)
{
    const json_t *o = json_object_get(all, name);
    if (!o) {
        return true;
    }
    if (!json_object_get(o, "mbit")) {
        (void)printf("%-9s none: %s. %s\n", name, text(o, "result"), text(o, "text"));
        return false;
    }
    (void)printf("%-9s %.2f Mbit/s, %s (%.0f bytes in %.2f s, %.0f connections, processors %.1f %% "
                 "busy)\n",
                 name, number(o, "mbit"), text(o, "result"), number(o, "bytes"),
                 number(o, "us") / 1e6, number(o, "connections"), number(o, "load_percent"));
    return true;
}

static int print(const struct buf *answer, bool json)
{
    json_t *all = json_loadb((const char *)answer->p, answer->n, 0, NULL);
    bool good = json_is_object(all);
    if (!good) {
        log_error("the gateway's answer is not understood: it may be of another version");
    } else if (json) {
        (void)printf("%.*s", (int)answer->n, (const char *)answer->p);
        good = (!json_object_get(all, "download") ||
                json_object_get(json_object_get(all, "download"), "mbit")) &&
               (!json_object_get(all, "upload") ||
                json_object_get(json_object_get(all, "upload"), "mbit"));
    } else {
        good = print_direction(all, "download");
        good = print_direction(all, "upload") && good;
        if (number(all, "link_mbit") > 0) {
            (void)printf("link      %s, %.0f Mbit/s\n", text(all, "interface"),
                         number(all, "link_mbit"));
        } else {
            (void)printf("link      %s, its rate is not known\n", text(all, "interface"));
        }
        (void)printf("data      %.2f MB taken, %.2f MB left of the month's\n",
                     number(all, "cost_bytes") / 1e6, number(all, "left_bytes") / 1e6);
    }
    json_decref(all);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        log_error("standard output cannot be written");
        good = false;
    }
    return good ? CLI_DONE : CLI_FAILED;
}

static int measure(const struct cli_config *c, const struct want *w)
{
    struct connectivity_cost cost;
    struct buf answer;
    struct err e = {.text = ""};
    if (!find(c, w->id, &cost)) {
        return CLI_USAGE;
    }
    if (!agreed(&cost, w->yes)) {
        return CLI_USAGE;
    }
    buf_init(&answer, 8192);
    enum st st = connectivity_throughput_ask(c->store.path, cost.id, cost.wait_ms, &answer, &e);
    if (st != ST_OK) {
        log_error("%s", e.text);
    }
    int code = st == ST_OK ? print(&answer, w->json) : CLI_FAILED;
    buf_done(&answer);
    return code;
}

int cli_throughput(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"yes", no_argument, NULL, 'y'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct want w = {.path = CLI_DEFAULT_CONFIG};
    struct cli_config c = {0};
    struct err e = {.text = ""};
    int o, code = CLI_USAGE;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (o == 'c') {
            w.path = optarg;
        } else if (o == 'y') {
            w.yes = true;
        } else if (o == 'j') {
            w.json = true;
        } else {
            (void)cli_usage(o, usage, &code);
            return code;
        }
    }
    if (argc - optind > 1) {
        (void)cli_usage('?', usage, &code);
        return code;
    }
    w.id = argv[optind];
    enum st st = cli_config_open(&c, w.path, &e);
    if (st != ST_OK && cli_complain(c.cfg) == 0) {
        log_error("%s", e.text);
    }
    code = st == ST_OK ? measure(&c, &w) : CLI_USAGE;
    cli_config_done(&c);
    return code;
}
