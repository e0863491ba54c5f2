/* fieldpost setup: the one command that writes to devices. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"
#include "gateway/cli/request.h"

#define WHY_MAX_BYTES (64 * 1024)
#define UNITS_MAX 32
#define UNIT_MAX 247

static const char usage[] =
    "usage: fieldpost setup [--config FILE] BUS PROFILE [--unit N] --to-unit M[-L]\n"
    "                       [--to-baud B] [--to-parity none|even|odd] [--by AUTHOR] [--yes]\n"
    "       fieldpost setup [--config FILE] BUS PROFILE [--unit N] --start [--by AUTHOR] [--yes]\n"
    "\n"
    "Gives the one new device that answers as unit N (1) the number M, and what else is said, as\n"
    "the `setup` of its profile describes. Without --yes it only shows what would be written. "
    "With\n"
    "M-L it does so for several new devices with one number, one at a time. A gateway that runs "
    "does\n"
    "it, and does not poll that bus meanwhile.\n";

struct order {
    struct collect_setup_ask ask;
    int last; /* of --to-unit */
    const char *config, *by;
    bool start;
    bool through;         /* a gateway runs, and does it */
    struct thr_stop stop; /* else: never set */
};

/* A signal ends the question, not the record of what was written. */
static void woken(int sig)
{
    (void)sig;
}

static bool hold_signals(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    const struct sigaction wake = {.sa_handler = woken}; /* no SA_RESTART: what waits goes on */
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    bool good = sigaction(SIGPIPE, &ignore, NULL) == 0;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        good = sigaction(ends[i], &wake, NULL) == 0 && good;
    }
    return good;
}

/* ---- talking -------------------------------------------------------------------------------- */

static void say(void *ctx, const char *line)
{
    (void)ctx;
    (void)printf("%s\n", line);
    (void)fflush(stdout); /* what is under way now */
}

/* Who waits for this command is there as long as it is. */
static bool there(void *ctx)
{
    (void)ctx;
    return true;
}

/* An end of the input is no. */
static bool ask(void *ctx, const char *what)
{
    (void)ctx;
    (void)printf("%s\n", what);
    (void)fflush(stdout);
    for (int c; (c = getchar()) != '\n';) {
        if (c == EOF) {
            return false;
        }
    }
    return true;
}

/* ---- the options ---------------------------------------------------------------------------- */

static bool number(const char *text, char **end, long least, long most, int *out)
{
    errno = 0;
    long v = strtol(text, end, 10);
    *out = (int)v;
    return errno == 0 && *end != text && v >= least && v <= most;
}

static bool units(const char *text, struct order *o)
{
    char *end;
    if (!number(text, &end, 1, UNIT_MAX, &o->ask.to_unit)) {
        return false;
    }
    o->last = o->ask.to_unit;
    if (*end == '-' && !number(end + 1, &end, o->ask.to_unit, UNIT_MAX, &o->last)) {
        return false;
    }
    return *end == '\0' && o->last - o->ask.to_unit < UNITS_MAX;
}

static bool option(int c, char *arg, struct order *o)
{
    char *end = arg;
    int baud;
    switch (c) {
    case 'u':
        return number(arg, &end, 1, UNIT_MAX, &o->ask.unit) && *end == '\0';
    case 't':
        return units(arg, o);
    case 'r':
        if (!number(arg, &end, 300, 921600, &baud) || *end) {
            return false;
        }
        o->ask.to_baud = baud;
        return true;
    case 'p':
        o->ask.to_parity = strcmp(arg, "none") == 0   ? 'N'
                           : strcmp(arg, "even") == 0 ? 'E'
                           : strcmp(arg, "odd") == 0  ? 'O'
                                                      : 0;
        return o->ask.to_parity != 0;
    case 'b':
        o->by = arg;
        return true;
    case 's':
        o->start = true;
        return true;
    case 'y':
        o->ask.write = true;
        return true;
    default:
        o->config = arg;
        return true;
    }
}

/* false with the exit code. */
static bool parse(int argc, char **argv, struct order *o, int *code)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"unit", required_argument, NULL, 'u'},
                                            {"to-unit", required_argument, NULL, 't'},
                                            {"to-baud", required_argument, NULL, 'r'},
                                            {"to-parity", required_argument, NULL, 'p'},
                                            {"by", required_argument, NULL, 'b'},
                                            {"start", no_argument, NULL, 's'},
                                            {"yes", no_argument, NULL, 'y'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int c;
    optind = 0;
    *code = CLI_USAGE;
    while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (c == 'h' || c == '?') {
            (void)cli_usage(c, usage, code);
            return false;
        }
        if (!option(c, optarg, o)) {
            log_error("fieldpost setup: \"%s\" is out of range; units are 1 to %d, at most %d of "
                      "them; speeds 300 to 921600; parity none, even or odd",
                      optarg, UNIT_MAX, UNITS_MAX);
            return false;
        }
    }
    if (argc - optind != 2 || (o->ask.to_unit > 0) == o->start ||
        (o->start && (o->ask.to_baud > 0 || o->ask.to_parity))) {
        (void)cli_usage('?', usage, code);
        return false;
    }
    o->ask.bus = argv[optind];
    o->ask.profile = argv[optind + 1];
    return true;
}

/* ---- doing it ------------------------------------------------------------------------------- */

static const struct collect_setup_talk talk = {.say = say, .ask = ask, .there = there};

static enum st through_gateway(const char *store, const struct order *o, const char *who,
                               struct collect_setup_done *done, struct err *e)
{
    struct collect_ask q = {.op = COLLECT_SETUP,
                            .unit = o->ask.unit,
                            .to_unit = o->ask.to_unit,
                            .to_baud = o->ask.to_baud,
                            .to_parity = o->ask.to_parity};
    *done = (struct collect_setup_done){.written = false};
    if (snprintf(q.bus, sizeof(q.bus), "%s", o->ask.bus) >= (int)sizeof(q.bus) ||
        snprintf(q.profile, sizeof(q.profile), "%s", o->ask.profile) >= (int)sizeof(q.profile) ||
        snprintf(q.by, sizeof(q.by), "%s", who) >= (int)sizeof(q.by)) {
        return err_set(e, ST_BAD, "BUS, PROFILE or --by is too long to ask the gateway");
    }
    enum st st = collect_ctl_setup(store, &q, &talk, done, e);
    if (st == ST_NOT_FOUND && !done->text[0]) {
        return err_set(e, st,
                       "the gateway runs, but cannot be asked (%s): stop it for the time of the "
                       "setup, and start it again",
                       e->text);
    }
    return st;
}

static enum st by_ourselves(const struct cli_config *c, struct order *o, const char *who,
                            struct collect_setup_done *done, struct err *e)
{
    struct buf why;
    struct err unrecorded;
    char dir[4096];
    buf_init(&why, WHY_MAX_BYTES);
    enum st st = collect_setup_run(&c->collect, o->config, cli_profile_dir(dir, sizeof(dir)),
                                   &o->ask, &talk, &o->stop, done, &why, e);
    (void)fprintf(stderr, "%.*s", (int)why.n, why.n > 0 ? (const char *)why.p : "");
    buf_done(&why);
    if (!done->written) {
        return st;
    }
    done->recorded =
        collect_setup_record(c->store.path, done->text, who, cli_utc_ms(), &unrecorded) == ST_OK;
    if (!done->recorded) {
        log_error("%s", unrecorded.text);
    }
    return st;
}

static int one(const struct cli_config *c, struct order *o, const char *who)
{
    struct collect_setup_done done;
    struct err e = {.text = "no memory"};
    enum st st = o->through ? through_gateway(c->store.path, o, who, &done, &e)
                            : by_ourselves(c, o, who, &done, &e);
    if (done.written && !done.recorded) {
        log_error("\"%s\" could not be recorded", done.text);
    }
    if (st != ST_OK) {
        log_error("%s", e.text);
        return st == ST_BAD ? CLI_USAGE : CLI_FAILED;
    }
    if (!o->ask.write) {
        (void)puts("nothing was written: --yes does it");
        return CLI_DONE;
    }
    (void)printf("done: %s\n", done.text);
    if (done.others) {
        (void)printf("somebody still answers as unit %d: another new one?\n", o->ask.unit);
    }
    return done.recorded ? CLI_DONE : CLI_FAILED;
}

static int each(const struct cli_config *c, struct order *o, const char *who)
{
    int code = CLI_DONE;
    int first = o->ask.to_unit;
    for (int unit = first; unit <= o->last && code == CLI_DONE; unit++) {
        if (unit > first && o->ask.write &&
            !ask(NULL, "Connect the next new device (those that are done may stay), then press "
                       "Enter.")) {
            log_error("%d of %d were done: nobody connected the next one", unit - first,
                      o->last - first + 1);
            return CLI_FAILED;
        }
        o->ask.to_unit = unit;
        code = one(c, o, who);
    }
    return code;
}

/* By ourselves nothing is written that cannot be told, and no signal ends it in between. A gateway
 * looks after both. */
static bool may_write(const char *store, const char *who)
{
    struct err e = {.text = ""};
    if (collect_setup_can_record(store, who, &e) != ST_OK) {
        log_error("what is written to a device is recorded beside the store, which cannot be done "
                  "(%s): start the gateway once",
                  e.text);
        return false;
    }
    if (!hold_signals()) {
        log_error("signals cannot be held: %s", strerror(errno));
        return false;
    }
    return true;
}

static int run(const struct cli_config *c, struct order *o)
{
    char who[CLI_USER_BYTES];
    struct err e = {.text = ""};
    if (!request_author(o->by, who)) {
        return CLI_USAGE;
    }
    o->through = o->ask.write && store_in_use(c->store.path);
    if (o->ask.write && !o->through && !may_write(c->store.path, who)) {
        return CLI_FAILED;
    }
    if (thr_stop_open(&o->stop, &e) != ST_OK) {
        log_error("%s", e.text);
        return CLI_FAILED;
    }
    int code = each(c, o, who);
    thr_stop_close(&o->stop);
    if (code == CLI_DONE && o->ask.write) {
        (void)puts(o->through ? "the gateway polls this bus again, and signs what was done"
                              : "the gateway signs it when it starts");
    }
    return code;
}

int cli_setup(int argc, char **argv)
{
    struct order o = {.ask = {.unit = 1}, .config = CLI_DEFAULT_CONFIG, .stop = {.fd = -1}};
    struct cli_config c;
    struct err e = {.text = ""};
    int code;
    if (!parse(argc, argv, &o, &code)) {
        return code;
    }
    code = CLI_USAGE;
    if (cli_config_load(&c, o.config, &e) == ST_OK) {
        code = run(&c, &o);
    } else if (cli_complain(c.cfg) == 0) {
        log_error("%s", e.text);
    }
    cli_config_done(&c);
    return fflush(stdout) == 0 ? code : CLI_FAILED;
}
