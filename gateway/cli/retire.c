/* fieldpost retire: a series that is not configured any more is no longer due. */
#include <getopt.h>
#include <stdio.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/request.h"

static const char usage[] =
    "usage: fieldpost retire [--config FILE] SERIES|DEVICE/* --reason TEXT [--by AUTHOR] [--at T]\n"
    "\n"
    "Whatever was once measured stays due: when a device or a point leaves the configuration, "
    "each\n"
    "window says that it is missing (`paused`). This ends it, in the signed chain, with the "
    "reason.\n"
    "A series that is still configured is refused: take it out and reload first.\n"
    "\n"
    "  --reason TEXT  why; the city reads it\n"
    "  --by AUTHOR    who says so; your user name is taken when this is left out\n"
    "  --at T         since when: 2026-11-22, 2026-11-22T03:05:10Z; now when it is left out\n";

struct retire {
    const char *target, *reason, *by, *at;
};

static enum st encode(const struct retire *x, int64_t at_ms, struct buf *entry)
{
    enum st st = wire_put_array(entry, 4);
    st = st == ST_OK ? wire_put_text(entry, "retire") : st;
    st = st == ST_OK ? wire_put_text(entry, x->target) : st;
    st = st == ST_OK ? wire_put_int(entry, at_ms) : st;
    return st == ST_OK ? wire_put_text(entry, x->reason) : st;
}

static int ask(const struct cli_config *c, const void *arg)
{
    const struct retire *x = arg;
    struct request q;
    struct buf entry;
    struct err e = {0};
    int64_t at_ms = 0;
    int code = CLI_USAGE;
    if (x->at && !request_time("retire", x->at, &at_ms)) {
        return CLI_USAGE;
    }
    buf_init(&entry, WIRE_REQUEST_MAX);
    enum st st = request_open(&q, x->by, &e);
    if (st == ST_OK && encode(x, x->at ? at_ms : q.now_ms, &entry) != ST_OK) {
        st = err_set(&e, ST_BAD, "--reason: too long");
    }
    if (st == ST_OK) {
        code = request_send(&q, c, &entry);
    } else {
        log_error("%s", e.text);
    }
    buf_done(&entry);
    return code;
}

int cli_retire(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"reason", required_argument, NULL, 'r'},
        {"by", required_argument, NULL, 'b'},     {"at", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},         {0}};
    const char *path = CLI_DEFAULT_CONFIG;
    struct retire x = {0};
    int o, code = CLI_USAGE;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        switch (o) {
        case 'c':
            path = optarg;
            break;
        case 'r':
            x.reason = optarg;
            break;
        case 'b':
            x.by = optarg;
            break;
        case 'a':
            x.at = optarg;
            break;
        default:
            (void)cli_usage(o, usage, &code);
            return code;
        }
    }
    if (optind + 1 != argc || !x.reason || !x.reason[0]) {
        (void)cli_usage('?', usage, &code);
        return code;
    }
    x.target = argv[optind];
    return request_run(path, ask, &x);
}
