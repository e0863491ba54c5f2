#include "gateway/cli/asking.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"

static bool is_asked(const struct cli_config *c, const char *bus)
{
    const char *id;
    for (size_t i = 0; (id = collect_cfg_bus(&c->collect, i)); i++) {
        if (*id && strcmp(id, bus) == 0) {
            return true;
        }
    }
    log_error("there is no bus %s in the configuration that is asked", bus);
    return false;
}

int asking_open(struct asking *a, const char *path, const char *bus)
{
    struct err e = {.text = ""};
    *a = (struct asking){.stop = {.fd = -1}};
    enum st st = cli_config_load(&a->c, path, &e);
    int code = CLI_USAGE;
    if (st == ST_OK && !is_asked(&a->c, bus)) {
        return code;
    }
    if (st == ST_OK) {
        st = cli_collect_open(&a->c, &e);
    }
    if (st == ST_OK) {
        code = CLI_FAILED;
        st = thr_stop_open(&a->stop, &e);
    }
    if (st != ST_OK && (code == CLI_FAILED || cli_complain(a->c.cfg) == 0)) {
        log_error("%s", e.text);
    }
    return st == ST_OK ? CLI_DONE : code;
}

void asking_close(struct asking *a)
{
    cli_config_done(&a->c);
    thr_stop_close(&a->stop);
}

enum st asking_ask(struct asking *a, const struct collect_ask *q, struct collect_reply *r,
                   int *held, struct err *e)
{
    if (!a->own) {
        enum st st = collect_ctl_call(a->c.store.path, q, r, held, e);
        a->own = st == ST_NOT_FOUND && !a->through;
        a->through |= st == ST_OK;
        if (!a->own) {
            return st;
        }
    }
    if (q->op == COLLECT_PAUSE) {
        *r = (struct collect_reply){.st = ST_OK};
        return ST_OK;
    }
    return collect_ask_now(a->c.collect_room, clk_real(), &a->stop, q, r, e);
}

bool asking_number(const char *what, const char *text, long min, long max, unsigned *out)
{
    char *end;
    errno = 0;
    int base = strncmp(text, "0x", 2) == 0 || strncmp(text, "0X", 2) == 0 ? 16 : 10;
    long v = strtol(text, &end, base);
    if (errno != 0 || end == text || *end != '\0' || v < min || v > max) {
        log_error("%s: %s: a number from %ld to %ld", what, text, min, max);
        return false;
    }
    *out = (unsigned)v;
    return true;
}
