/* fieldpost receipts: what the city answered to batches that went there on a stick. */
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"

static const char usage[] =
    "usage: fieldpost receipts [--config FILE] RECEIPTS\n"
    "\n"
    "Takes the file of receipts that fieldpost-city import wrote for batches that fieldpost\n"
    "export had put on a stick. Each receipt is checked against the city's receipt_keys and\n"
    "against the batch that it is for; the gateway then counts these batches as acknowledged.\n"
    "It may run meanwhile, or takes the file when it next starts. Receipts for other gateways\n"
    "may stand in the same file. Exit code 1 when there is none for this one, or when one is\n"
    "not what it should be.\n";

#define WAIT_MS 60000 /* an uplink may be busy with a city that does not answer */
#define LOOK_MS 100

struct taken {
    const struct cli_config *c;
    const char *file;
    bool running;
    struct uplink_carried sum; /* of the uplink that made most of it */
    bool cut;
};

static void print_counts(const char *id, const struct uplink_carried *n)
{
    static const char *const names[] = {"for batches that are not in the store any more",
                                        "for other gateways", "for other bytes than ours",
                                        "not signed by this city", "not receipts"};
    const uint64_t counts[] = {n->absent, n->foreign, n->other, n->unsigned_, n->strange};
    (void)printf("%s: %llu batches acknowledged, %llu were before\n", id,
                 (unsigned long long)n->acked, (unsigned long long)n->known);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        if (counts[i]) {
            (void)printf("%s: %llu %s\n", id, (unsigned long long)counts[i], names[i]);
        }
    }
}

/* The gateway removes the file when it has taken it. */
static bool wait_taken(const char *name)
{
    for (int ms = 0; ms < WAIT_MS; ms += LOOK_MS) {
        if (access(name, F_OK) != 0) {
            return true;
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
    return false;
}

static enum st for_uplink(struct taken *t, size_t i, struct store_reader *r, struct err *e)
{
    char name[1200];
    struct uplink_carried n;
    const struct uplinks *u = t->c->uplinks_room;
    enum st st = uplinks_carried(u, i, r, t->file, &n, e);
    if (st != ST_OK && st != ST_BAD) {
        return st;
    }
    if (st == ST_BAD && !t->cut) {
        t->cut = true;
        log_error("%s", e->text);
    }
    if (i == 0 || n.acked + n.known > t->sum.acked + t->sum.known) {
        t->sum = n;
    }
    if (n.acked > 0) {
        ERR_TRY(uplinks_hand_over(u, i, t->c->store.path, t->file, name, sizeof(name), e));
        if (t->running && !wait_taken(name)) {
            return err_set(e, ST_TIMEOUT,
                           "%s: the gateway has not taken it yet: see its page, it will", name);
        }
    }
    print_counts(uplinks_id(u, i), &n);
    return ST_OK;
}

static int take(const struct cli_config *c, const char *file)
{
    struct taken t = {.c = c, .file = file, .running = store_in_use(c->store.path)};
    struct store_reader *r = NULL;
    struct err e = {0};
    enum st st = uplinks_count(c->uplinks_room) > 0
                     ? store_reader_open(&r, c->store.path, &e)
                     : err_set(&e, ST_NOT_FOUND, "no uplink is configured that waits for receipts");
    for (size_t i = 0; st == ST_OK && i < uplinks_count(c->uplinks_room); i++) {
        st = for_uplink(&t, i, r, &e);
    }
    store_reader_close(r);
    if (st != ST_OK) {
        log_error("%s", e.text);
        return CLI_FAILED;
    }
    if (t.sum.acked > 0 && !t.running) {
        (void)puts("the gateway does not run: it takes them when it starts");
    }
    if (t.sum.acked + t.sum.known == 0) {
        log_error("%s: no receipt for this gateway (%s) and its batches", file, c->gateway.id);
    }
    bool good = t.sum.acked + t.sum.known > 0 && !t.cut && !t.sum.other && !t.sum.unsigned_ &&
                !t.sum.strange;
    return fflush(stdout) == 0 && good ? CLI_DONE : CLI_FAILED;
}

int cli_receipts(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *path = CLI_DEFAULT_CONFIG;
    int o, code = CLI_USAGE;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (o != 'c') {
            (void)cli_usage(o, usage, &code);
            return code;
        }
        path = optarg;
    }
    if (optind + 1 != argc) {
        (void)cli_usage('?', usage, &code);
        return code;
    }
    struct cli_config c;
    struct err e = {0};
    enum st st = cli_config_uplinks(&c, path, &e);
    if (c.uplinks_room && (st == ST_BAD || st == ST_CORRUPT)) { /* what verified counts */
        log_warn("%s", e.text);
        st = ST_OK;
    }
    if (st == ST_OK) {
        code = take(&c, argv[optind]);
    } else if (cli_complain(c.cfg) == 0) {
        log_error("%s", e.text);
    }
    cli_config_done(&c);
    return code;
}
