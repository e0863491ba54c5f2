/* fieldpost export: all readings that the store holds, sealed or not, as CSV or JSON lines. */
#include <fnmatch.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"

static const char usage[] =
    "usage: fieldpost export [--config FILE] --format csv|jsonl [--from T] [--to T]\n"
    "                        [--series GLOB] [--raw]\n"
    "\n"
    "Prints series,ts_ms,value,quality,chain,seq of every reading in the store, the oldest batch\n"
    "first; readings that no batch holds yet come last, with empty chain and seq. The gateway may\n"
    "run meanwhile.\n"
    "\n"
    "  --from T, --to T   only times from T on, and before T: 2026-11-22, 2026-11-22T03:05:10Z\n"
    "                     or milliseconds since 1970\n"
    "  --series GLOB      only series (device/point) that match, such as 'meter-1/*'\n"
    "  --raw              as sealed, without corrections that were made later\n";

#define SERIES_BYTES 160

struct export
{
    int64_t from_ms, to_ms;
    const char *glob;
    bool raw, jsonl;
    struct buf cose;
    const struct store_batch *batch; /* NULL: not sealed yet */
    char chain[WIRE_ID_TEXT];
    enum st st;
    struct err e;
};

static void print_reading(struct export *x, const struct wire_reading *w)
{
    char series[SERIES_BYTES], value[NUM_TEXT_BYTES];
    if (w->t_ms < x->from_ms || w->t_ms >= x->to_ms) {
        return;
    }
    (void)snprintf(series, sizeof(series), "%.*s/%.*s", (int)w->device.n, (const char *)w->device.p,
                   (int)w->point.n, (const char *)w->point.p);
    if (x->glob && fnmatch(x->glob, series, 0) != 0) {
        return;
    }
    (void)num_text(w->v, value);
    if (!x->jsonl) {
        (void)printf("%s,%lld,%s,%u,", series, (long long)w->t_ms, value, (unsigned)w->q);
        if (x->batch) {
            (void)printf("%s,%llu\n", x->chain, (unsigned long long)x->batch->seq);
        } else {
            (void)puts(",");
        }
        return;
    }
    /* names are letters, digits and ._- only: nothing to escape */
    (void)printf("{\"series\":\"%s\",\"ts_ms\":%lld,\"value\":%s,\"quality\":%u,", series,
                 (long long)w->t_ms, value, (unsigned)w->q);
    if (x->batch) {
        (void)printf("\"chain\":\"%s\",\"seq\":%llu}\n", x->chain,
                     (unsigned long long)x->batch->seq);
    } else {
        (void)puts("\"chain\":null,\"seq\":null}");
    }
}

static bool is_name(const struct wire_span *s, const char *name)
{
    return s->n == strlen(name) && memcmp(s->p, name, s->n) == 0;
}

/* Without --raw a store that holds corrections must not be printed as if it held none. */
static enum st refuse_corrections(const struct wire_batch *b, struct err *e)
{
    struct wire_control c;
    struct wire_entry entry;
    enum st st = wire_control_open(&c, b->cose.payload.p, b->cose.payload.n, e);
    while (st == ST_OK && (st = wire_control_next(&c, &entry, e)) == ST_OK) {
        if (is_name(&entry.name, "time") || is_name(&entry.name, "correct")) {
            return err_set(e, ST_UNSUPPORTED,
                           "batch %llu corrects earlier readings, which this version cannot "
                           "apply: use --raw",
                           (unsigned long long)b->header.seq);
        }
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st print_payload(struct export *x, const struct wire_batch *b)
{
    if (b->header.kind == WIRE_CONTROL) {
        return x->raw ? ST_OK : refuse_corrections(b, &x->e);
    }
    struct wire_senml s;
    struct wire_reading w;
    enum st st =
        wire_senml_open(&s, b->cose.payload.p, b->cose.payload.n, b->header.gw, NULL, &x->e);
    while (st == ST_OK && (st = wire_senml_next(&s, &w, &x->e)) == ST_OK) {
        print_reading(x, &w);
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static bool each_batch(void *ctx, const struct store_batch *row)
{
    struct export *x = ctx;
    struct wire_batch b;
    x->cose.n = 0;
    x->batch = row;
    wire_hex(row->chain, WIRE_ID_BYTES, x->chain);
    x->st = wire_zstd_unpack(row->packed.p, row->packed.n, WIRE_BATCH_MAX, &x->cose, &x->e);
    if (x->st == ST_OK) {
        x->st = wire_batch_open(&b, x->cose.p, x->cose.n, &x->e);
    }
    if (x->st == ST_OK) {
        x->st = print_payload(x, &b);
        wire_batch_done(&b);
    }
    if (x->st != ST_OK) {
        (void)err_wrap(&x->e, x->st, "batch %s/%llu", x->chain, (unsigned long long)row->seq);
    }
    return x->st == ST_OK && !ferror(stdout);
}

static bool each_pending(void *ctx, const struct wire_reading *w)
{
    print_reading(ctx, w);
    return !ferror(stdout);
}

static int print_all(struct export *x, const char *store_path)
{
    struct store_reader *r = NULL;
    enum st st = store_reader_open(&r, store_path, &x->e);
    if (st != ST_OK) {
        log_error("%s", x->e.text);
        return CLI_FAILED;
    }
    buf_init(&x->cose, WIRE_BATCH_MAX);
    if (!x->jsonl) {
        (void)puts("series,ts_ms,value,quality,chain,seq");
    }
    /* one view of both: what is sealed meanwhile must neither vanish nor come twice */
    st = store_reader_begin(r, &x->e);
    if (st == ST_OK) {
        /* a late reading precedes its window: only the lower bound may pass over windows */
        st = store_each_batch(r, x->from_ms, INT64_MAX, each_batch, x, &x->e);
    }
    st = st == ST_OK ? x->st : st;
    x->batch = NULL;
    if (st == ST_OK && !ferror(stdout)) {
        st = store_each_pending(r, each_pending, x, &x->e);
    }
    store_reader_end(r);
    store_reader_close(r);
    buf_done(&x->cose);
    if (st != ST_OK) {
        log_error("%s", x->e.text);
        return CLI_FAILED;
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        log_error("standard output: not everything could be written");
        return CLI_FAILED;
    }
    return CLI_DONE;
}

static bool parse_options(int argc, char **argv, struct export *x, const char **config, int *code)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"format", required_argument, NULL, 'f'},
        {"from", required_argument, NULL, 'a'},   {"to", required_argument, NULL, 'z'},
        {"series", required_argument, NULL, 's'}, {"raw", no_argument, NULL, 'r'},
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
    x->jsonl = format && strcmp(format, "jsonl") == 0;
    if (optind < argc || !format || (!x->jsonl && strcmp(format, "csv") != 0)) {
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
        code = print_all(&x, c.store.path);
    } else if (cli_complain(c.cfg) == 0) {
        log_error("%s", x.e.text);
    }
    cli_config_done(&c);
    return code;
}
