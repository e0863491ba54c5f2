/* fieldpost resend: batches that the city has refused for ever, and sending them once more. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"

static const char usage[] =
    "usage: fieldpost resend [--config FILE] [--all | CHAIN/SEQ...]\n"
    "\n"
    "Without a name: lists the batches that the city has refused for ever and that the store\n"
    "still holds, one a line. With names, or --all: asks the gateway to seal their readings\n"
    "once more, under new numbers, and to send them: when the city has been mended. The gateway\n"
    "does it with its next window, or when it next starts. Exit code 1 when a batch is not in\n"
    "the list.\n";

struct batch {
    uint8_t chain[WIRE_ID_BYTES];
    uint64_t seq;
};
struct resend {
    const char *store_path;
    const struct batch *wanted; /* NULL: all */
    size_t nwanted;
    bool *found;
    bool list;
    uint64_t n;
    enum st st;
    struct err e;
};

static bool each(void *ctx, const struct store_refusal *f)
{
    struct resend *r = ctx;
    char hex[WIRE_ID_TEXT], at[CLK_TEXT_BYTES];
    wire_hex(f->chain, WIRE_ID_BYTES, hex);
    bool is_wanted = r->wanted == NULL;
    for (size_t i = 0; r->wanted && i < r->nwanted; i++) {
        if (r->wanted[i].seq == f->seq &&
            memcmp(r->wanted[i].chain, f->chain, WIRE_ID_BYTES) == 0) {
            is_wanted = r->found[i] = true;
        }
    }
    if (!is_wanted) {
        return true;
    }
    r->n++;
    (void)printf("%s/%llu %llu readings, %s at %s\n", hex, (unsigned long long)f->seq,
                 (unsigned long long)f->n, f->code, clk_text(f->at_ms, at));
    if (!r->list) {
        r->st = uplinks_ask_again(r->store_path, f->chain, f->seq, &r->e);
    }
    return r->st == ST_OK;
}

static int resend(const struct cli_config *c, struct resend *r, char *const *names)
{
    struct store_reader *reader = NULL;
    r->store_path = c->store.path;
    enum st st = store_reader_open(&reader, c->store.path, &r->e);
    if (st == ST_OK) {
        st = store_each_refusal(reader, each, r, &r->e);
    }
    store_reader_close(reader);
    st = st == ST_OK ? r->st : st;
    if (st != ST_OK) {
        log_error("%s", r->e.text);
        return CLI_FAILED;
    }
    int code = CLI_DONE;
    for (size_t i = 0; i < r->nwanted; i++) {
        if (!r->found[i]) {
            log_error("%s: the store holds no batch of this name that was refused for ever",
                      names[i]);
            code = CLI_FAILED;
        }
    }
    if (!r->list && r->n > 0 && c->uplinks_cfg.n == 0) {
        log_error("no uplink is configured that could send them");
        code = CLI_FAILED;
    } else if (!r->list && r->n > 0) {
        (void)puts(store_in_use(c->store.path)
                       ? "they go out with the gateway's next window"
                       : "the gateway does not run: they go out when it has started");
    }
    return fflush(stdout) == 0 ? code : CLI_FAILED;
}

/* CHAIN/SEQ */
static bool parse(const char *text, struct batch *b)
{
    char hex[WIRE_ID_TEXT];
    size_t n = WIRE_ID_TEXT - 1;
    if (strlen(text) <= n + 1 || text[n] != '/' ||
        strspn(text + n + 1, "0123456789") != strlen(text + n + 1)) {
        return false;
    }
    memcpy(hex, text, n);
    hex[n] = '\0';
    errno = 0;
    b->seq = strtoull(text + n + 1, NULL, 10);
    return errno == 0 && wire_unhex(hex, b->chain, WIRE_ID_BYTES);
}

static int run(const char *path, bool all, char **names, size_t n)
{
    struct cli_config c;
    struct err e = {0};
    struct batch *wanted = calloc(n + 1, sizeof(*wanted));
    struct resend r = {.list = !all && n == 0, .nwanted = n, .found = calloc(n + 1, sizeof(bool))};
    int code = CLI_USAGE;
    for (size_t i = 0; wanted && i < n; i++) {
        if (!parse(names[i], &wanted[i])) {
            log_error("%s: is no CHAIN/SEQ as fieldpost resend lists them", names[i]);
            goto out;
        }
    }
    r.wanted = n > 0 ? wanted : NULL;
    if (!wanted || !r.found) {
        log_error("no memory");
        code = CLI_FAILED;
        goto out;
    }
    if (cli_config_load(&c, path, &e) == ST_OK) {
        code = resend(&c, &r, names);
    } else if (cli_complain(c.cfg) == 0) {
        log_error("%s", e.text);
    }
    cli_config_done(&c);
out:
    free(wanted);
    free(r.found);
    return code;
}

int cli_resend(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"all", no_argument, NULL, 'a'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *path = CLI_DEFAULT_CONFIG;
    bool all = false;
    int o, code = CLI_USAGE;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (o == 'c') {
            path = optarg;
        } else if (o == 'a') {
            all = true;
        } else {
            (void)cli_usage(o, usage, &code);
            return code;
        }
    }
    if (all && optind < argc) {
        (void)cli_usage('?', usage, &code);
        return code;
    }
    return run(path, all, argv + optind, (size_t)(argc - optind));
}
