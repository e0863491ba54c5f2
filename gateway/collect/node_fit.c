/* Whether a unit that answered is one of our nodes, and what it says of itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/node_int.h"

#define TRIES 3 /* of what is not answered, or damaged, by one that has the mark */
#define SAID_BYTES 160

/* Reads one part of the chain; *got: the unit gave it, refused: it said that it does not. */
static enum st read_part(const struct collect_scan_calls *calls, const struct collect_ask *base,
                         const struct collect_node_walk *w, struct collect_reply *r, bool *got,
                         bool *refused, struct err *e)
{
    struct collect_ask q = *base;
    uint16_t address, count;
    *got = *refused = false;
    if (!collect_node_walk_next(w, &address, &count))
        return ST_OK;
    q.function = 3;
    q.address = address;
    q.count = count;
    int tries = w->state == COLLECT_NODE_MARK ? 1 : TRIES;
    for (int n = 0; n < tries && !*got && !*refused; n++) {
        ERR_TRY(calls->ask(calls->ctx, &q, r, e));
        if (r->st != ST_OK)
            return err_set(e, r->st, "%s", r->text);
        if (r->fault == COLLECT_LOST || r->fault == COLLECT_STOPPED)
            return err_set(e, ST_IO, "%s", r->text);
        *got = r->fault == COLLECT_GOOD && r->bytes == (size_t)2 * count;
        *refused = r->fault == COLLECT_EXCEPTION;
    }
    return ST_OK;
}

static void tell(const struct collect_node_walk *w, struct collect_fit *fit)
{
    struct collect_node_table t;
    struct buf profile = {.max = 64 * 1024};
    char said[SAID_BYTES];
    collect_node_table_read(w, &t);
    if (collect_node_profile(&t, &profile, said, sizeof said) != ST_OK) {
        (void)snprintf(fit->why, sizeof fit->why, "no memory for what it says");
    } else {
        const char *points = strstr(said, ": ");
        fit->fits = true;
        fit->telling = (unsigned)t.n;
        (void)snprintf(fit->model, sizeof fit->model, "%s%s%s", t.vendor,
                       *t.vendor && *t.model ? " " : "", t.model);
        (void)snprintf(fit->why, sizeof fit->why, "serial number %s, firmware %s, it measures %s",
                       *t.serial ? t.serial : "none", *t.firmware ? t.firmware : "unknown",
                       points ? points + 2 : said);
    }
    buf_done(&profile);
}

enum st collect_node_fit(const struct collect_scan_calls *calls, const struct collect_ask *base,
                         bool *is, struct collect_fit *fit, struct err *e)
{
    struct collect_node_walk *w = malloc(sizeof *w);
    struct collect_reply r;
    bool got = true, refused = true;
    uint16_t address, count;
    enum st st = w ? ST_OK : err_set(e, ST_MEMORY, "no memory for a walk");
    *is = false;
    if (!w)
        return st;
    *fit = (struct collect_fit){.name = COLLECT_NODE_PROFILE, .model = "sensor node"};
    collect_node_walk_begin(w);
    while (st == ST_OK && (got || refused) && collect_node_walk_next(w, &address, &count)) {
        st = read_part(calls, base, w, &r, &got, &refused, e);
        if (st == ST_OK && (got || refused))
            collect_node_walk_heard(w, got ? r.data : NULL);
    }
    *is = w->version != 0; /* it has the mark */
    if (*is && w->state == COLLECT_NODE_DONE)
        tell(w, fit);
    else if (*is)
        (void)snprintf(
            fit->why, sizeof fit->why, "%s",
            w->state == COLLECT_NODE_BAD ? w->why : "it does not answer when its blocks are read");
    free(w);
    return st;
}
