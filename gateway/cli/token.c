/* fieldpost token: who may ask for changes through the API. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/id.h"
#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"

static const char usage[] =
    "usage: fieldpost token add    [--config FILE] --name WHO --scope SCOPE[,SCOPE...]\n"
    "                              [--expires TIME]\n"
    "       fieldpost token list   [--config FILE]\n"
    "       fieldpost token remove [--config FILE] --name WHO\n"
    "\n"
    "add     makes a token for WHO and prints it, once: nothing keeps it. Whoever holds it may "
    "ask\n"
    "        for changes through the API, or read it; WHO is their author in the chain.\n"
    "list    prints name, scopes, when it was made and when it ends.\n"
    "remove  ends it now.\n"
    "The gateway that runs takes note at once, and has an event of it: by whom, whose, which "
    "scopes.\n"
    "Who may write the store may do this.\n"
    "\n"
    "  --name WHO      letters, digits, dots, _ and -; one token each\n"
    "  --scope SCOPE   read, correct, maintain, retire, push, enter, probe,\n"
    "                  metrics: what it is for\n"
    "  --expires TIME  such as 90d or 12h; without it the token does not end\n";

struct token {
    const char *config, *name, *scope, *expires;
};

static int wrong(const char *what, const char *why)
{
    (void)fprintf(stderr, "fieldpost token: %s: %s\n", what, why);
    return CLI_USAGE;
}

static int add(const struct cli_config *c, const struct token *x)
{
    char text[WEB_TOKEN_TEXT];
    struct web_token t = {.made_ms = cli_utc_ms()};
    struct err e;
    char by[CLI_USER_BYTES];
    int64_t lasts_ms = 0;
    cli_user(by);
    if (!id_is_text(x->name)) {
        return wrong("--name", "1 to 64 letters, digits, dots, _ and -, such as lab-1");
    }
    if (!web_scopes_parse(x->scope, &t.scopes)) {
        return wrong("--scope", "read, correct, maintain, retire, push, enter, probe or metrics; "
                                "several with a comma between");
    }
    if (x->expires && (!cfg_time_parse(x->expires, &lasts_ms) || lasts_ms <= 0 ||
                       lasts_ms > INT64_C(36500) * 86400000)) {
        return wrong("--expires", "a time such as 90d or 12h");
    }
    if (x->expires && clk_now(clk_real()).grade == CLK_UNKNOWN) {
        log_error("the clock is not set, so no end can be reckoned: set the date, or leave "
                  "--expires out");
        return CLI_FAILED;
    }
    (void)snprintf(t.name, sizeof(t.name), "%s", x->name);
    t.ends_ms = x->expires ? t.made_ms + lasts_ms : 0;
    if (web_token_add(c->store.path, &t, by, clk_now(clk_real()), text, &e) != ST_OK) {
        log_error("%s", e.text);
        return CLI_FAILED;
    }
    (void)puts(text);
    explicit_bzero(text, sizeof(text));
    return CLI_DONE;
}

static int list(const struct cli_config *c, const struct token *x)
{
    struct web_tokens all;
    struct err e;
    int64_t now_ms = cli_utc_ms();
    (void)x;
    if (web_tokens_read(c->store.path, &all, &e) != ST_OK) {
        log_error("%s", e.text);
        return CLI_FAILED;
    }
    for (size_t i = 0; i < all.n; i++) {
        const struct web_token *t = &all.v[i];
        char scopes[WEB_SCOPES_TEXT], made[CLK_TEXT_BYTES], ends[CLK_TEXT_BYTES] = "";
        web_scopes_print(t->scopes, scopes);
        if (t->ends_ms) {
            (void)clk_text(t->ends_ms, ends);
        }
        (void)printf("%s %s made %s %s%s\n", t->name, scopes, clk_text(t->made_ms, made),
                     !t->ends_ms            ? "does not end"
                     : t->ends_ms <= now_ms ? "ended "
                                            : "ends ",
                     ends);
    }
    return CLI_DONE;
}

static int take_away(const struct cli_config *c, const struct token *x)
{
    char by[CLI_USER_BYTES];
    struct err e;
    cli_user(by);
    if (web_token_remove(c->store.path, x->name, by, clk_now(clk_real()), &e) == ST_OK) {
        return CLI_DONE;
    }
    log_error("%s", e.text);
    return CLI_FAILED;
}

static const struct act {
    const char *name;
    int (*run)(const struct cli_config *c, const struct token *x);
    bool names, scopes; /* --name; --scope */
} acts[] = {
    {"add", add, true, true}, {"list", list, false, false}, {"remove", take_away, true, false}};
#define ACTS (sizeof(acts) / sizeof(acts[0]))

/* false: with the exit code. */
static bool parse(int argc, char **argv, struct token *x, int *code)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"name", required_argument, NULL, 'n'},
        {"scope", required_argument, NULL, 's'},  {"expires", required_argument, NULL, 'e'},
        {"help", no_argument, NULL, 'h'},         {0}};
    const struct {
        int o;
        const char **to;
    } texts[] = {{'c', &x->config}, {'n', &x->name}, {'s', &x->scope}, {'e', &x->expires}};
    int o;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        size_t i = 0;
        while (i < sizeof(texts) / sizeof(texts[0]) && texts[i].o != o) {
            i++;
        }
        if (o == 'h') {
            (void)cli_usage(o, usage, code);
        }
        if (i == sizeof(texts) / sizeof(texts[0])) {
            return false;
        }
        *texts[i].to = optarg;
    }
    return optind == argc;
}

int cli_token(int argc, char **argv)
{
    struct token x = {.config = CLI_DEFAULT_CONFIG};
    struct cli_config c;
    struct err e = {.text = ""};
    size_t act = 0;
    int code = CLI_USAGE;
    while (argc > 1 && act < ACTS && strcmp(argv[1], acts[act].name) != 0) {
        act++;
    }
    bool named = argc > 1 && act < ACTS, good = parse(argc - named, argv + named, &x, &code);
    if (code == CLI_DONE) {
        return code; /* --help */
    }
    if (!good || !named || acts[act].names != (x.name != NULL) ||
        acts[act].scopes != (x.scope != NULL) || (x.expires && !acts[act].scopes)) {
        (void)cli_usage('?', usage, &code);
        return code;
    }
    web_kept_wait(CLI_KEPT_WAIT_MS);
    if (cli_config_load(&c, x.config, &e) == ST_OK) {
        code = acts[act].run(&c, &x);
    } else if (cli_complain(c.cfg) == 0) {
        log_error("%s", e.text);
    }
    cli_config_done(&c);
    return fflush(stdout) == 0 ? code : CLI_FAILED;
}
