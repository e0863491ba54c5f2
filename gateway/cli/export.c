/* fieldpost export: all readings that the store holds, sealed or not, or the batches themselves. */
#include <fnmatch.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"
#include "gateway/cli/format.h"
#include "gateway/cli/sealed.h"

static const char usage[] =
    "usage: fieldpost export [--config FILE] --format csv|jsonl|senml [--from T] [--to T]\n"
    "                        [--series GLOB] [--raw]\n"
    "       fieldpost export [--config FILE] --sealed DIR [--from T] [--to T] [--unsent]\n"
    "\n"
    "Prints every reading in the store, the oldest batch first; readings that no batch holds yet\n"
    "come last. The gateway may run meanwhile, and the range may be any.\n"
    "\n"
    "  --format F         csv: series,ts_ms,value,quality,chain,seq; jsonl: the same as JSON, one\n"
    "                     object on a line; senml: one array of SenML records (RFC 8428)\n"
    "  --from T, --to T   only times from T on, and before T: 2026-11-22, 2026-11-22T03:05:10Z\n"
    "                     or milliseconds since 1970\n"
    "  --series GLOB      only series (device/point) that match, such as 'meter-1/*'\n"
    "  --raw              as sealed, without corrections that were made later\n"
    "\n"
    "With --sealed it writes the signed batches themselves into DIR, such as a USB stick for a\n"
    "site without a signal. fieldpost-city import takes them and answers with a file of receipts,\n"
    "and fieldpost receipts takes that. Run again, it goes on where it was.\n"
    "\n"
    "  --sealed DIR       the folder; windows that touch --from and --to go in whole\n"
    "  --unsent           only batches that an uplink has not acknowledged\n";

#define SERIES_BYTES 160

struct export
{
    int64_t from_ms, to_ms;
    const char *glob, *gw;
    const char *sealed; /* NULL: readings to standard output */
    bool raw, unsent;
    const struct format *format;
    bool begun; /* a row is out */
    struct err e;
};

static bool print_reading(void *ctx, const struct store_told_reading *t)
{
    struct export *x = ctx;
    const struct wire_reading *w = t->now;
    char series[SERIES_BYTES], chain[WIRE_ID_TEXT];
    (void)snprintf(series, sizeof(series), "%.*s/%.*s", (int)w->device.n, (const char *)w->device.p,
                   (int)w->point.n, (const char *)w->point.p);
    if (t->gone || (x->glob && fnmatch(x->glob, series, 0) != 0)) {
        return true;
    }
    if (t->batch) {
        wire_hex(t->batch->chain, WIRE_ID_BYTES, chain);
    }
    const struct format_row row = {.gw = t->gw,
                                   .series = series,
                                   .chain = t->batch ? chain : NULL,
                                   .seq = t->batch ? t->batch->seq : 0,
                                   .reading = w};
    (void)fputs(x->begun ? x->format->between : "", stdout);
    x->format->row(&row);
    x->begun = true;
    return !ferror(stdout);
}

static int print_all(struct export *x, const char *store_path)
{
    struct store_reader *r = NULL;
    struct store_readings *all = NULL;
    const struct store_readings_ask ask = {
        .from_ms = x->from_ms, .to_ms = x->to_ms, .raw = x->raw, .gateway = x->gw};
    enum st st = store_reader_open(&r, store_path, &x->e);
    if (st == ST_OK) {
        st = store_readings_open(&all, r, &ask, &x->e);
    }
    if (st == ST_OK) {
        (void)fputs(x->format->head, stdout);
    }
    while (st == ST_OK && !ferror(stdout)) {
        st = store_readings_step(all, print_reading, x, &x->e);
    }
    store_readings_close(all);
    store_reader_close(r);
    if (st != ST_OK && st != ST_NOT_FOUND) {
        (void)fflush(stdout);
        log_error("%s", x->e.text);
        return CLI_FAILED;
    }
    (void)fputs(x->format->tail, stdout);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        log_error("standard output: not everything could be written");
        return CLI_FAILED;
    }
    return CLI_DONE;
}

static int write_sealed(struct export *x, const struct cli_config *c)
{
    const struct sealed s = {.dir = x->sealed,
                             .from_ms = x->from_ms,
                             .to_ms = x->to_ms == INT64_MAX ? INT64_MAX : x->to_ms - 1,
                             .unsent = x->unsent};
    struct sealed_done done;
    enum st st = sealed_export(&s, c, &done, &x->e);
    if (st != ST_OK && st != ST_NOT_FOUND) {
        log_error("%s", x->e.text);
        return CLI_FAILED;
    }
    if (st == ST_NOT_FOUND) {
        (void)puts(x->e.text);
    } else {
        (void)printf("%s: %llu batches, %llu of them new\n", x->sealed,
                     (unsigned long long)done.files, (unsigned long long)done.written);
    }
    return fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}

static bool parse_options(int argc, char **argv, struct export *x, const char **config, int *code)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"format", required_argument, NULL, 'f'},
        {"from", required_argument, NULL, 'a'},   {"to", required_argument, NULL, 'z'},
        {"series", required_argument, NULL, 's'}, {"raw", no_argument, NULL, 'r'},
        {"sealed", required_argument, NULL, 'd'}, {"unsent", no_argument, NULL, 'u'},
        {"help", no_argument, NULL, 'h'},         {0}};
    const char *format = NULL;
    int o;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        bool good = true;
        switch (o) {
        case 'c':
            *config = optarg;
            break;
        case 'f':
            format = optarg;
            break;
        case 'a':
            good = clk_parse(optarg, &x->from_ms);
            break;
        case 'z':
            good = clk_parse(optarg, &x->to_ms);
            break;
        case 's':
            x->glob = optarg;
            break;
        case 'r':
            x->raw = true;
            break;
        case 'd':
            x->sealed = optarg;
            break;
        case 'u':
            x->unsent = true;
            break;
        default:
            (void)cli_usage(o, usage, code);
            return false;
        }
        if (!good) {
            (void)fprintf(stderr,
                          "fieldpost export: \"%s\" is not a time such as 2026-11-22T03:05:10Z\n",
                          optarg);
            *code = CLI_USAGE;
            return false;
        }
    }
    x->format = format ? format_find(format) : NULL;
    if (format && !x->format) {
        (void)fprintf(stderr, "fieldpost export: \"%s\" is not a format\n", format);
    } else if (!format && !x->sealed) {
        (void)fputs("fieldpost export: say --format csv, jsonl or senml, or --sealed DIR\n",
                    stderr);
    }
    /* each of the two kinds takes options that say nothing to the other */
    if (optind < argc || (x->sealed ? format || x->glob || x->raw : !x->format || x->unsent)) {
        (void)cli_usage('?', usage, code);
        return false;
    }
    return true;
}

int cli_export(int argc, char **argv)
{
    struct export x = {.from_ms = INT64_MIN, .to_ms = INT64_MAX};
    const char *path = CLI_DEFAULT_CONFIG;
    struct cli_config c;
    int code = CLI_USAGE;
    if (!parse_options(argc, argv, &x, &path, &code)) {
        return code;
    }
    if (cli_config_load(&c, path, &x.e) == ST_OK) {
        x.gw = c.gateway.id;
        code = x.sealed ? write_sealed(&x, &c) : print_all(&x, c.store.path);
    } else if (cli_complain(c.cfg) == 0) {
        log_error("%s", x.e.text);
    }
    cli_config_done(&c);
    return code;
}
