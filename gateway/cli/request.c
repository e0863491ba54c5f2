#include "gateway/cli/request.h"

#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/base/drop.h"
#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"

#define WAIT_MS 60000 /* a full disk or a busy gateway */
#define LOOK_MS 50

static int64_t utc_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

enum st request_open(struct request *q, const char *by, struct err *e)
{
    const struct passwd *user = by ? NULL : getpwuid(getuid());
    *q = (struct request){.now_ms = utc_ms()};
    int n = by     ? snprintf(q->who, sizeof(q->who), "%s", by)
            : user ? snprintf(q->who, sizeof(q->who), "%s", user->pw_name)
                   : snprintf(q->who, sizeof(q->who), "uid %u", (unsigned)getuid());
    if (n <= 0 || (size_t)n >= sizeof(q->who)) {
        return err_set(e, ST_BAD, "--by: a name of 1 to %zu bytes", sizeof(q->who) - 1);
    }
    ERR_TRY(wire_random(q->id, sizeof(q->id), e));
    wire_hex(q->id, sizeof(q->id), q->hex);
    return ST_OK;
}

bool request_time(const char *command, const char *text, int64_t *ms)
{
    if (clk_parse(text, ms)) {
        return true;
    }
    (void)fprintf(stderr, "fieldpost %s: \"%s\" is not a time such as 2026-11-22T03:05:10Z\n",
                  command, text);
    return false;
}

/* The reason stands behind the request, in a line of its own. */
static void print_refusal(const char *path)
{
    char text[WIRE_REQUEST_MAX + 1024];
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    if (f) {
        (void)fclose(f);
    }
    while (n > 0 && text[n - 1] == '\n') {
        n--;
    }
    text[n] = '\0';
    size_t at = n;
    while (at > 0 && text[at - 1] != '\n') {
        at--;
    }
    log_error("refused: %s", at > 0 ? text + at : "see the gateway's events");
}

static int wait_taken(const struct request *q, const char *name, const char *refused)
{
    for (int ms = 0; ms < WAIT_MS; ms += LOOK_MS) {
        if (access(refused, F_OK) == 0) {
            print_refusal(refused);
            return CLI_FAILED;
        }
        if (access(name, F_OK) != 0 && access(refused, F_OK) != 0) {
            (void)printf("sealed: %s\n", q->hex);
            return CLI_DONE;
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
    log_error("%s: the gateway has not taken it yet: see its page, it will", name);
    return CLI_FAILED;
}

static enum st hand_over(const struct request *q, const struct cli_config *c,
                         const struct buf *entry, char *name, char *refused, size_t size,
                         struct err *e)
{
    char folder_path[DROP_PATH_BYTES], file[64];
    struct wire_request check;
    struct buf whole;
    int folder = -1;
    buf_init(&whole, WIRE_REQUEST_MAX);
    enum st st = wire_request_put(&whole, q->id, q->who, q->now_ms, entry);
    st = st == ST_OK ? wire_request_open(&check, whole.p, whole.n, e)
                     : err_set(e, st, "what is asked for is too long");
    if (st == ST_OK) {
        st = drop_open(c->store.path, SEAL_REQUESTS, 0700, folder_path, &folder, e);
    }
    int at = snprintf(file, sizeof(file), "%016llx-%s", (unsigned long long)q->now_ms, q->hex);
    (void)snprintf(name, size, "%s/%s" SEAL_REQUEST, folder_path, file);
    (void)snprintf(refused, size, "%s/%s" SEAL_REFUSED, folder_path, file);
    (void)snprintf(file + at, sizeof(file) - (size_t)at, SEAL_REQUEST);
    if (st == ST_OK) {
        st = drop_put(folder, folder_path, file, whole.p, whole.n, SEAL_REQUESTS_MAX, SEAL_REFUSED,
                      e);
    }
    if (folder >= 0) {
        (void)close(folder);
    }
    buf_done(&whole);
    return st;
}

int request_send(const struct request *q, const struct cli_config *c, const struct buf *entry)
{
    char name[DROP_PATH_BYTES + 64], refused[DROP_PATH_BYTES + 64];
    struct err e = {0};
    bool running = store_in_use(c->store.path);
    if (hand_over(q, c, entry, name, refused, sizeof(name), &e) != ST_OK) {
        log_error("%s", e.text);
        return CLI_FAILED;
    }
    if (running) {
        return wait_taken(q, name, refused);
    }
    (void)printf(
        "waiting: %s: the gateway does not run: it takes this when it starts, or says in its "
        "events why not\n",
        q->hex);
    return CLI_DONE;
}

int request_run(const char *config, int (*fn)(const struct cli_config *c, const void *arg),
                const void *arg)
{
    struct cli_config c;
    struct err e = {0};
    int code = CLI_USAGE;
    if (cli_config_load(&c, config, &e) == ST_OK) {
        code = fn(&c, arg);
    } else if (cli_complain(c.cfg) == 0) {
        log_error("%s", e.text);
    }
    cli_config_done(&c);
    return fflush(stdout) == 0 ? code : CLI_FAILED;
}
