/* fieldpost user: who may sign in at the page. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"

static const char usage[] =
    "usage: fieldpost user claim  [--config FILE]\n"
    "       fieldpost user list   [--config FILE]\n"
    "       fieldpost user add    [--config FILE] --name WHO --role ROLE\n"
    "       fieldpost user reset  [--config FILE] --name WHO [--role ROLE]\n"
    "       fieldpost user remove [--config FILE] --name WHO\n"
    "\n"
    "claim   prints a code, once: who types it at the page becomes administrator, or is one again\n"
    "        with a new password. It is good once, and takes the place of the code before it.\n"
    "list    prints name, role, and when the password was set.\n"
    "add     adds a user; the password is read from the terminal, or a line of standard input.\n"
    "reset   gives a user another password, read in the same way, and with --role another role;\n"
    "        whoever is signed in as WHO is not any more.\n"
    "remove  ends it now.\n"
    "The gateway that runs takes note at once, and has an event of it. Who may write the store may "
    "do\n"
    "this.\n"
    "\n"
    "  --name WHO   letters, digits, dots, _ and -: the author of what he does, in the chain\n"
    "  --role ROLE  viewer, technician (also enters and corrects), administrator (also users)\n";

struct user {
    const char *config, *name, *role;
};

static int failed(const struct err *e)
{
    log_error("%s", e->text);
    return CLI_FAILED;
}

/* ---- passwords ---- */

/* A line without its end; false: none, or too long. */
static bool line_of(char out[WEB_PASSWORD_MAX + 2])
{
    if (!fgets(out, WEB_PASSWORD_MAX + 2, stdin)) {
        return false;
    }
    size_t n = strcspn(out, "\n");
    bool whole = out[n] == '\n' || feof(stdin);
    out[n] = '\0';
    return whole;
}

static bool ask(const char *what, char out[WEB_PASSWORD_MAX + 2])
{
    struct termios old, quiet;
    (void)fprintf(stderr, "%s: ", what);
    if (tcgetattr(STDIN_FILENO, &old) != 0) {
        return false;
    }
    quiet = old;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) != 0) {
        return false;
    }
    bool good = line_of(out);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
    (void)fputc('\n', stderr);
    return good;
}

static enum st password_of(const char *name, char out[WEB_PASSWORD_MAX + 2], struct err *e)
{
    char again[WEB_PASSWORD_MAX + 2];
    bool person = isatty(STDIN_FILENO);
    if (!(person ? ask("password", out) : line_of(out))) {
        return err_set(e, ST_BAD, "no password of at most %d bytes came", WEB_PASSWORD_MAX);
    }
    ERR_TRY(web_password_check(out, name, e));
    bool same = !person || (ask("once more", again) && strcmp(out, again) == 0);
    explicit_bzero(again, sizeof(again));
    return same ? ST_OK : err_set(e, ST_BAD, "the two are not the same");
}

/* ---- what it does ---- */

static int claim(const struct cli_config *c, const struct user *x, const enum web_role *role)
{
    char by[CLI_USER_BYTES], text[WEB_CLAIM_TEXT];
    struct err e;
    (void)x;
    (void)role;
    cli_user(by);
    if (web_claim_make(c->store.path, by, clk_now(clk_real()), text, &e) != ST_OK) {
        return failed(&e);
    }
    (void)puts(text);
    explicit_bzero(text, sizeof(text));
    return CLI_DONE;
}

static int list(const struct cli_config *c, const struct user *x, const enum web_role *role)
{
    struct web_users all;
    struct err e;
    (void)x;
    (void)role;
    if (web_users_read(c->store.path, &all, &e) != ST_OK) {
        return failed(&e);
    }
    for (size_t i = 0; i < all.n; i++) {
        const struct web_user *u = &all.v[i];
        char made[CLK_TEXT_BYTES];
        (void)printf("%s %s password of %s\n", u->name, web_role_text[u->role],
                     clk_text(u->made_ms, made));
    }
    return CLI_DONE;
}

static int put(const struct cli_config *c, const struct user *x, const enum web_role *role,
               enum web_user_how how)
{
    char by[CLI_USER_BYTES], password[WEB_PASSWORD_MAX + 2];
    struct web_secret s;
    struct err e;
    struct web_user_put p = {
        .name = x->name, .role = role, .secret = &s, .how = how, .force = true};
    cli_user(by);
    enum st st = password_of(x->name, password, &e);
    if (st == ST_OK) {
        st = web_secret_new(&s, &e);
    }
    if (st == ST_OK) {
        web_secret_hash(&s, password, s.hash);
        st = web_user_put(c->store.path, &p, by, clk_now(clk_real()), &e);
    }
    explicit_bzero(password, sizeof(password));
    return st == ST_OK ? CLI_DONE : failed(&e);
}

static int add(const struct cli_config *c, const struct user *x, const enum web_role *role)
{
    return put(c, x, role, WEB_USER_ADD);
}

static int reset(const struct cli_config *c, const struct user *x, const enum web_role *role)
{
    return put(c, x, role, WEB_USER_CHANGE);
}

static int take_away(const struct cli_config *c, const struct user *x, const enum web_role *role)
{
    char by[CLI_USER_BYTES];
    struct err e;
    (void)role;
    cli_user(by);
    return web_user_remove(c->store.path, x->name, true, by, clk_now(clk_real()), &e) == ST_OK
               ? CLI_DONE
               : failed(&e);
}

enum need { NEVER, MAY, MUST };
static const struct act {
    const char *name;
    int (*run)(const struct cli_config *c, const struct user *x, const enum web_role *role);
    enum need names, roles;
} acts[] = {{"claim", claim, NEVER, NEVER},
            {"list", list, NEVER, NEVER},
            {"add", add, MUST, MUST},
            {"reset", reset, MUST, MAY},
            {"remove", take_away, MUST, NEVER}};
#define ACTS (sizeof(acts) / sizeof(acts[0]))

static bool fits(enum need need, const char *said)
{
    return need == MAY || (need == MUST) == (said != NULL);
}

/* false: with the exit code. */
static bool parse(int argc, char **argv, struct user *x, int *code)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"name", required_argument, NULL, 'n'},
                                            {"role", required_argument, NULL, 'r'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int o;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (o == 'c') {
            x->config = optarg;
        } else if (o == 'n') {
            x->name = optarg;
        } else if (o == 'r') {
            x->role = optarg;
        } else {
            (void)cli_usage(o, usage, code);
            return false;
        }
    }
    return optind == argc;
}

int cli_people(int argc, char **argv)
{
    struct user x = {.config = CLI_DEFAULT_CONFIG};
    struct cli_config c;
    struct err e = {.text = ""};
    enum web_role role = WEB_VIEWER;
    size_t act = 0;
    int code = -1;
    while (argc > 1 && act < ACTS && strcmp(argv[1], acts[act].name) != 0) {
        act++;
    }
    bool named = argc > 1 && act < ACTS, good = parse(argc - named, argv + named, &x, &code);
    if (code >= 0) {
        return code; /* --help, or an option that is none */
    }
    if (!good || !named || !fits(acts[act].names, x.name) || !fits(acts[act].roles, x.role)) {
        (void)cli_usage('?', usage, &code);
        return code;
    }
    if (x.role && !web_role_parse(x.role, &role)) {
        (void)fputs("fieldpost user: --role: viewer, technician or administrator\n", stderr);
        return CLI_USAGE;
    }
    code = CLI_USAGE;
    web_kept_wait(CLI_KEPT_WAIT_MS);
    if (cli_config_load(&c, x.config, &e) == ST_OK) {
        code = acts[act].run(&c, &x, x.role ? &role : NULL);
    } else if (cli_complain(c.cfg) == 0) {
        log_error("%s", e.text);
    }
    cli_config_done(&c);
    return fflush(stdout) == 0 ? code : CLI_FAILED;
}
