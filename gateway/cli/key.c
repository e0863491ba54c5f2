/* fieldpost key: which key signs, and the change to the next one. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/config.h"

static const char usage[] =
    "usage: fieldpost key show   [--config FILE]\n"
    "       fieldpost key rotate [--config FILE]\n"
    "\n"
    "show    prints the public key that signs (PEM on standard output, its id on standard error),\n"
    "        as it is known from the key file, and whether a next one waits.\n"
    "rotate  makes the next key on this device (seal.key with .next behind it, mode 0600). The\n"
    "        gateway seals it into the chain, signed by the old key, and signs the next chain "
    "with\n"
    "        it; the city then knows it by itself. When the gateway does not run, it does so when\n"
    "        it next starts. The old key stays as seal.key with its id behind it.\n"
    "        Repeated while a rotation waits, it makes no other key.\n";

#define WAIT_MS 60000 /* the writer may be busy with a large store */
#define LOOK_MS 100

static int print_key(const struct wire_pub *pub, const char *what)
{
    struct buf pem;
    char kid[WIRE_ID_TEXT];
    int code = CLI_FAILED;
    buf_init(&pem, 4096);
    wire_hex(wire_pub_kid(pub), WIRE_ID_BYTES, kid);
    if (wire_pub_pem(pub, &pem) == ST_OK && fwrite(pem.p, 1, pem.n, stdout) == pem.n &&
        fflush(stdout) == 0) {
        (void)fprintf(stderr, "kid %s (%s)\n", kid, what);
        code = CLI_DONE;
    } else {
        log_error("the public key could not be printed");
    }
    buf_done(&pem);
    return code;
}

/* The key in force as the files say, the next one, or both. */
static int print_keys(const struct cli_config *c, bool now, bool next_too)
{
    struct signer *s = NULL;
    const char *fault = NULL;
    struct err e = {.text = ""};
    if (signer_here(&s, c->seal.key, c->seal.next_key, &e) != ST_OK) {
        log_error("%s", e.text);
        return CLI_FAILED;
    }
    const struct wire_signer *next = signer_next(s, &fault);
    int code = now ? print_key(signer_now(s)->pub, "in force") : CLI_DONE;
    if (code == CLI_DONE && next_too && next) {
        code = print_key(next->pub, "waits to take over");
    }
    if (next_too && fault) {
        log_error("%s", fault);
        code = CLI_FAILED;
    }
    signer_close(s);
    return code;
}

static int show(const struct cli_config *c)
{
    return print_keys(c, true, true);
}

/* The gateway gives the next key the name of the old one when it has taken over. */
static bool wait_taken(const char *next)
{
    for (int ms = 0; ms < WAIT_MS; ms += LOOK_MS) {
        if (access(next, F_OK) != 0) {
            return true;
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
    return false;
}

static int rotate(const struct cli_config *c)
{
    char next[SIGNER_PATH];
    struct err e = {.text = ""};
    bool running = store_in_use(c->store.path);
    if (signer_is_token(c->seal.key)) {
        log_error("seal.key is in a token: make the next key there, name it as seal.next_key, and "
                  "restart the gateway");
        return CLI_FAILED;
    }
    enum st st = signer_next_path(c->seal.key, next, &e);
    if (st == ST_OK) {
        st = signer_make_next(c->seal.key, &e);
    }
    if (st == ST_CONFLICT) {
        log_warn("a rotation waits already: %s", next);
        st = ST_OK;
    }
    if (st == ST_OK) {
        st = seal_rotation_ask(c->store.path, &e);
        st = st == ST_NOT_FOUND ? ST_OK : st; /* it never ran: its first start looks */
    }
    if (st != ST_OK) {
        log_error("%s", e.text);
        return CLI_FAILED;
    }
    if (!running) {
        (void)fputs("the gateway does not run: the next key takes over when it starts\n", stderr);
        return print_keys(c, false, true);
    }
    if (!wait_taken(next)) {
        log_error("the gateway has not taken %s yet: its events say why, and it will", next);
        return CLI_FAILED;
    }
    return print_keys(c, true, false);
}

int cli_key(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const struct cli_config *c);
    } acts[] = {{"show", show}, {"rotate", rotate}};
    const size_t n = sizeof(acts) / sizeof(acts[0]);
    size_t act = 0;
    int code = CLI_USAGE;
    while (argc > 1 && act < n && strcmp(argv[1], acts[act].name) != 0) {
        act++;
    }
    bool named = argc > 1 && act < n;
    const char *path = cli_config_option(argc - named, argv + named, usage, &code);
    if (!path || !named) {
        if (path) {
            (void)cli_usage('?', usage, &code);
        }
        return code;
    }
    struct cli_config c;
    struct err e = {.text = ""};
    if (cli_config_load(&c, path, &e) == ST_OK) {
        code = acts[act].run(&c);
    } else if (cli_complain(c.cfg) == 0) {
        log_error("%s", e.text);
        code = CLI_USAGE;
    } else {
        code = CLI_USAGE;
    }
    cli_config_done(&c);
    return code;
}
