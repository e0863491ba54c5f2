/* fieldpost scan: who is on a bus, at which settings, and which profiles fit. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/cli/asking.h"
#include "gateway/cli/cli_int.h"

static const char usage[] =
    "usage: fieldpost scan [--config FILE] --bus B [--baud auto] [--units A-B] [--all] [--pause] "
    "[--json]\n"
    "\n"
    "Looks for units on a bus: first where devices are as delivered, by their profiles, then all. "
    "Says of\n"
    "each which profiles fit, and why. Stops at the first find unless --all. While the gateway "
    "runs it polls\n"
    "in between, and the speed stays; --pause stops polls until the scan ends, and with --baud "
    "auto other\n"
    "speeds and parities are tried. Exit code 1 when nothing is found.\n";

#define UNIT_MIN 1
#define UNIT_MAX 247
#define TELL_EACH_MS 10000 /* where the time left is a line of its own */
#define FITS_SHOWN 5

struct scan {
    struct asking a;
    const char *bus;
    bool tune, all, pause, json, broken; /* broken: standard output */
    unsigned from, to;
    int held; /* the pause; -1: none */
    int64_t told_ms;
    json_t *found;
};

/* ---- how it goes ---------------------------------------------------------------------------- */

static enum st ask(void *ctx, const struct collect_ask *q, struct collect_reply *r, struct err *e)
{
    struct scan *s = ctx;
    return asking_ask(&s->a, q, r, NULL, e);
}

static const char *line_text(const struct collect_serial *line, char text[32])
{
    if (line->baud == 0) {
        return "the bus";
    }
    (void)snprintf(text, 32, "%lld 8%c%lld", (long long)line->baud, (char)line->parity,
                   (long long)line->stop_bits);
    return text;
}

static void trial(void *ctx, int unit, const struct collect_serial *line, int64_t left_ms)
{
    struct scan *s = ctx;
    char text[32];
    bool screen = isatty(STDERR_FILENO);
    int64_t now = clk_mono(clk_real()).ms;
    if (!screen && s->told_ms != 0 && now - s->told_ms < TELL_EACH_MS) {
        return;
    }
    s->told_ms = now;
    left_ms += 999; /* whole seconds, upwards */
    (void)fprintf(stderr, "%s%lld:%02lld left at most, beside finds: unit %d on %s%s",
                  screen ? "\r\033[K" : "", (long long)(left_ms / 60000),
                  (long long)(left_ms / 1000 % 60), unit, line_text(line, text),
                  screen ? "" : "\n");
}

/* ---- what is found -------------------------------------------------------------------------- */

static void print_node(const struct scan *s, const struct collect_found *f)
{
    const struct collect_fit *it = &f->fits[0];
    (void)printf("    %s: %s\n", it->model, it->why);
    if (it->fits) {
        (void)printf(
            "    to read it, add under devices:\n        node-%d: {bus: %s, unit: %d, profile: "
            "%s, every: 60s}\n",
            f->unit, s->bus, f->unit, it->name);
    }
}

static void print_found(const struct scan *s, const struct collect_found *f)
{
    char text[32];
    size_t fitting = 0;
    (void)printf("unit %d on %s answers within %lld ms\n", f->unit, line_text(&f->line, text),
                 (long long)f->took_ms);
    if (f->node) {
        print_node(s, f);
        return;
    }
    while (fitting < f->n && f->fits[fitting].fits) {
        fitting++;
    }
    for (size_t i = 0; i < fitting && i < FITS_SHOWN; i++) {
        (void)printf("    %s (%s) fits: %s\n", f->fits[i].name, f->fits[i].model, f->fits[i].why);
    }
    if (fitting > FITS_SHOWN) {
        (void)printf("    and %zu more that tell less: see --json\n", fitting - FITS_SHOWN);
    }
    if (fitting == 0) {
        (void)printf("    no profile fits; --json says of each why not\n");
    }
}

static json_t *fits_json(const struct collect_found *f)
{
    json_t *all = json_array();
    for (size_t i = 0; all && i < f->n; i++) {
        const struct collect_fit *x = &f->fits[i];
        if (json_array_append_new(all, json_pack("{s:s, s:s, s:b, s:i, s:s}", "profile", x->name,
                                                 "model", x->model, "fits", (int)x->fits, "telling",
                                                 (int)x->telling, "why", x->why)) != 0) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

static enum st keep_found(struct scan *s, const struct collect_found *f)
{
    char parity[2] = {(char)f->line.parity, '\0'};
    json_t *o = json_pack("{s:i, s:I, s:o}", "unit", f->unit, "ms", (json_int_t)f->took_ms, "fits",
                          fits_json(f));
    int rc = o ? 0 : -1;
    if (rc == 0 && f->line.baud > 0) {
        rc = json_object_update_new(o, json_pack("{s:I, s:s, s:I}", "baud",
                                                 (json_int_t)f->line.baud, "parity", parity,
                                                 "stop_bits", (json_int_t)f->line.stop_bits));
    }
    if (rc != 0) {
        json_decref(o);
        return ST_MEMORY;
    }
    return json_array_append_new(s->found, o) == 0 ? ST_OK : ST_MEMORY;
}

static enum st found(void *ctx, const struct collect_found *f)
{
    struct scan *s = ctx;
    if (s->json) {
        return keep_found(s, f);
    }
    if (isatty(STDERR_FILENO)) {
        (void)fprintf(stderr, "\r\033[K");
    }
    print_found(s, f);
    s->broken |= fflush(stdout) != 0;
    return s->broken ? ST_IO : ST_OK;
}

static void print_sum(const struct scan *s, const struct collect_scan_sum *sum, bool whole)
{
    char text[32];
    if (isatty(STDERR_FILENO)) {
        (void)fprintf(stderr, "\r\033[K");
    }
    if (s->json) {
        json_t *o =
            json_pack("{s:O, s:I, s:I, s:b}", "found", s->found, "trials", (json_int_t)sum->trials,
                      "damaged", (json_int_t)sum->damaged, "whole", (int)whole);
        (void)json_dumpf(o, stdout, JSON_INDENT(2));
        (void)putchar('\n');
        json_decref(o);
        return;
    }
    if (sum->damaged > 0) {
        (void)printf("something damaged came back %zu times, first on %s: another speed or parity, "
                     "two devices of one unit, or a bad cable\n",
                     sum->damaged, line_text(&sum->at, text));
    }
    if (sum->found == 0 && whole) {
        (void)printf("nothing answers: %zu trials. Check power, A and B, and the speed%s\n",
                     sum->trials, s->tune ? "" : " (--baud auto)");
    }
}

/* ---- the command ---------------------------------------------------------------------------- */

/* Speed and parity of a bus at work change in a pause alone: said before the first trial. */
static bool may_tune(struct scan *s, struct err *e)
{
    struct collect_ask q = {.op = COLLECT_PROBE, .unit = 0}; /* of no device: a sign of life */
    struct collect_reply r;
    (void)snprintf(q.bus, sizeof(q.bus), "%s", s->bus);
    enum st st = collect_ctl_call(s->a.c.store.path, &q, &r, NULL, e);
    if (st == ST_OK) {
        (void)err_set(
            e, ST_REFUSED,
            "the gateway runs, so bus %s keeps its speed and parity: leave --baud out, or "
            "accept with --pause that its devices are not polled meanwhile",
            s->bus);
    }
    return st == ST_NOT_FOUND;
}

static bool begin_pause(struct scan *s, struct err *e)
{
    struct collect_ask q = {.op = COLLECT_PAUSE, .unit = -1, .timeout_ms = COLLECT_PAUSE_MAX_MS};
    struct collect_reply r;
    (void)snprintf(q.bus, sizeof(q.bus), "%s", s->bus);
    enum st st = asking_ask(&s->a, &q, &r, &s->held, e);
    if (st == ST_OK && r.st != ST_OK) {
        st = err_set(e, r.st, "bus %s: %s", s->bus, r.text);
    }
    return st == ST_OK;
}

static int run(struct scan *s)
{
    char dir[512];
    struct err e = {.text = ""};
    struct collect_scan_sum sum = {.trials = 0};
    struct collect_scan_how how = {.bus = s->bus,
                                   .profile_dir = cli_profile_dir(dir, sizeof(dir)),
                                   .tune = s->tune,
                                   .all = s->all,
                                   .from = (int)s->from,
                                   .to = (int)s->to};
    const struct collect_scan_calls calls = {s, ask, trial, found};
    how.serial = collect_cfg_serial(&s->a.c.collect, s->bus, &how.line);
    if (s->tune && !how.serial) {
        log_error("bus %s is no serial line: it has no speed", s->bus);
        return CLI_USAGE;
    }
    if ((s->tune && !s->pause && !may_tune(s, &e)) || (s->pause && !begin_pause(s, &e))) {
        log_error("%s", e.text);
        return CLI_FAILED;
    }
    how.turn_ms = collect_turn_ms(s->a.c.collect_room, s->bus, &how.timeout_ms);
    if (s->pause || !store_in_use(s->a.c.store.path)) {
        how.turn_ms = 0; /* nobody else asks */
    }
    enum st st = collect_scan(&how, &calls, &sum, &e);
    print_sum(s, &sum, st == ST_OK);
    if (s->held >= 0) {
        (void)close(s->held); /* the gateway polls again */
    }
    if (st != ST_OK && !s->broken) {
        log_error("%s", e.text[0] ? e.text : err_name(st));
    }
    if (fflush(stdout) != 0 || ferror(stdout) || s->broken) {
        log_error("standard output cannot be written");
        return CLI_FAILED;
    }
    return st == ST_OK && sum.found > 0 ? CLI_DONE : CLI_FAILED;
}

static bool range_of(const char *text, struct scan *s)
{
    char first[16];
    const char *dash = strchr(text, '-');
    size_t n = dash ? (size_t)(dash - text) : strlen(text);
    (void)snprintf(first, sizeof(first), "%.*s", (int)(n < sizeof(first) ? n : 0), text);
    if (!asking_number("--units", first, UNIT_MIN, UNIT_MAX, &s->from)) {
        return false;
    }
    return asking_number("--units", dash ? dash + 1 : first, (long)s->from, UNIT_MAX, &s->to);
}

static bool take_option(struct scan *s, int o, const char **path)
{
    switch (o) {
    case 'c':
        *path = optarg;
        return true;
    case 'b':
        s->bus = optarg;
        return true;
    case 's':
        s->tune = strcmp(optarg, "auto") == 0;
        if (!s->tune) {
            log_error("--baud: auto; without it the bus's own speed and parity are used");
        }
        return s->tune;
    case 'u':
        return range_of(optarg, s);
    case 'a':
        return s->all = true;
    case 'p':
        return s->pause = true;
    default:
        return s->json = true;
    }
}

int cli_scan(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"bus", required_argument, NULL, 'b'},
                                            {"baud", required_argument, NULL, 's'},
                                            {"units", required_argument, NULL, 'u'},
                                            {"all", no_argument, NULL, 'a'},
                                            {"pause", no_argument, NULL, 'p'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *path = CLI_DEFAULT_CONFIG;
    struct scan s = {.from = UNIT_MIN, .to = UNIT_MAX, .held = -1};
    int o, code = CLI_USAGE;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:b:h", options, NULL)) != -1) {
        if (o == 'h' || o == '?') {
            (void)cli_usage(o, usage, &code);
            return code;
        }
        if (!take_option(&s, o, &path)) {
            return CLI_USAGE;
        }
    }
    if (!s.bus || optind < argc) {
        (void)cli_usage('?', usage, &code);
        return code;
    }
    code = asking_open(&s.a, path, s.bus);
    if (code == CLI_DONE) {
        s.found = json_array();
        code = run(&s);
        json_decref(s.found);
    }
    asking_close(&s.a);
    return code;
}
