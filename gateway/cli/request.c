#include "gateway/cli/request.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"

#define WAIT_MS 60000 /* a full disk or a busy gateway */
#define LOOK_MS 50

bool request_author(const char *by, char who[CLI_USER_BYTES])
{
    if (!by) {
        cli_user(who);
        return true;
    }
    int n = snprintf(who, CLI_USER_BYTES, "%s", by);
    if (n > 0 && n < CLI_USER_BYTES) {
        return true;
    }
    log_error("--by: a name of 1 to %d bytes", CLI_USER_BYTES - 1);
    return false;
}

static int wait_taken(const struct store_request *q, const char *path, struct store_reader *r)
{
    struct store_fate f = {.is = STORE_WAITS};
    struct err e;
    for (int ms = 0; ms < WAIT_MS && f.is == STORE_WAITS; ms += LOOK_MS) {
        if (store_request_fate(path, r, q->hex, &f, &e) != ST_OK) {
            log_error("%s: %s: see the gateway's events", q->hex, e.text);
            return CLI_FAILED;
        }
        if (f.is == STORE_WAITS) {
            (void)poll(NULL, 0, LOOK_MS);
        }
    }
    if (f.is == STORE_SEALED) {
        (void)printf("sealed: %s\n", q->hex);
        return CLI_DONE;
    }
    if (f.is == STORE_REFUSED) {
        log_error("refused: %s", f.why);
    } else {
        log_error("%s: the gateway has not taken it yet: see its page, it will", q->hex);
    }
    return CLI_FAILED;
}

/* The gateway that does not run cannot say no now: this looks as it will. */
static enum st look_ahead(struct cli_config *c, const struct store_request *q,
                          struct store_reader *r, struct err *e)
{
    struct store *s = NULL;
    enum st st = cli_config_declared(c, &s, e);
    if (st == ST_OK) {
        st = store_request_check(s, r, &q->open, q->at_ms, NULL, NULL, e);
    }
    store_close(s);
    return st;
}

/* r NULL: `unread` says why. */
static int hand_over(struct cli_config *c, const struct store_request *q, struct store_reader *r,
                     bool running, const struct err *unread)
{
    struct err e = *unread;
    enum st st = r ? ST_OK : e.st;
    if (st == ST_OK && !running) {
        st = look_ahead(c, q, r, &e);
    }
    if (st == ST_OK) {
        st = store_request_put(c->store.path, q, &e);
    }
    if (st != ST_OK) {
        if (cli_complain(c->cfg) == 0) {
            log_error("%s", e.text);
        }
        return CLI_FAILED;
    }
    if (q->correction[0]) {
        (void)printf("correction: %s\n", q->correction);
    }
    if (running) {
        return wait_taken(q, c->store.path, r);
    }
    (void)printf(
        "waiting: %s: the gateway does not run: it takes this when it starts, or says in its "
        "events why not\n",
        q->hex);
    return CLI_DONE;
}

static int ask(struct cli_config *c, const struct store_ask *a)
{
    char who[CLI_USER_BYTES];
    struct store_request q;
    struct store_reader *r = NULL;
    struct err e = {.st = ST_OK}, unread = {.st = ST_OK};
    if (!request_author(a->by, who)) {
        return CLI_USAGE;
    }
    bool running = store_in_use(c->store.path);
    if (store_reader_open(&r, c->store.path, &unread) != ST_OK) {
        r = NULL; /* some mistakes need no store to be told */
    }
    enum st st = store_request_make(&q, a, who, cli_utc_ms(), r, &e);
    int code = st == ST_BAD ? CLI_USAGE : CLI_FAILED;
    if (st == ST_OK) {
        code = hand_over(c, &q, r, running, &unread);
    } else {
        log_error("%s", e.text);
    }
    store_request_free(&q);
    store_reader_close(r);
    return code;
}

bool request_say(struct store_ask *a, const char *word, const char *text)
{
    const char **to = store_ask_at(a, store_ask_word_of(a->kind, word));
    if (*to) {
        (void)fprintf(stderr, "fieldpost: %s: said twice\n", word);
        return false;
    }
    *to = text;
    return true;
}

/* The options; false with the exit code. */
static bool options(const struct request_command *c, int argc, char **argv, struct store_ask *a,
                    const char **path, int *code)
{
    int o, at = -1;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:h", c->options, &at)) != -1) {
        const char *name = at >= 0 ? c->options[at].name : "";
        at = -1;
        if (o == 'h' || o == '?') {
            (void)cli_usage(o, c->usage, code);
            return false;
        }
        if (o == 'c') {
            *path = optarg;
        } else if (store_ask_word_of(a->kind, name)
                       ? !request_say(a, name, optarg ? optarg : "true")
                       : !c->option(name, optarg, a)) {
            *code = CLI_USAGE;
            return false;
        }
    }
    return true;
}

int request_main(const struct request_command *c, int argc, char **argv)
{
    const char *path = CLI_DEFAULT_CONFIG;
    struct store_ask a = {.kind = c->kind};
    struct cli_config config;
    struct err e = {.st = ST_OK};
    int code = CLI_USAGE;
    if (!options(c, argc, argv, &a, &path, &code)) {
        return code;
    }
    if (!c->rest(argc - optind, argv + optind, &a)) {
        (void)cli_usage('?', c->usage, &code);
        return code;
    }
    if (cli_config_load(&config, path, &e) == ST_OK) {
        code = ask(&config, &a);
    } else if (cli_complain(config.cfg) == 0) {
        log_error("%s", e.text);
    }
    cli_config_done(&config);
    return fflush(stdout) == 0 ? code : CLI_FAILED;
}
