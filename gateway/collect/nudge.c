/* Probes that nobody waits for: what came of one is in the device's health. */
#include <stdio.h>
#include <string.h>

#include "gateway/collect/collect_int.h"

enum st collect_nudges_open(struct collect *k, struct err *e)
{
    for (size_t i = 0; i < COLLECT_NUDGES; i++)
        k->nudges.v[i].errand.news = -1; /* nobody listens */
    return pthread_mutex_init(&k->nudges.lock, NULL) == 0
               ? ST_OK
               : err_set(e, ST_MEMORY, "collect: no memory");
}

static bool has_unit(const struct collect_bus *b, int unit)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->devices[i]->cfg->unit == unit)
            return true;
    return false;
}

/* One that no bus has any more. */
static struct collect_nudge *free_one(struct collect_nudges *n)
{
    for (size_t i = 0; i < COLLECT_NUDGES; i++)
        if (!n->v[i].desk ||
            collect_desk_state(n->v[i].desk, &n->v[i].errand) == COLLECT_ERRAND_DONE)
            return &n->v[i];
    return NULL;
}

static enum st leave(struct collect *k, struct collect_bus *b, int unit, const struct clk *clk)
{
    struct collect_nudge *x = free_one(&k->nudges);
    if (!x)
        return ST_FULL;
    x->errand.ask = (struct collect_ask){.op = COLLECT_PROBE, .unit = unit};
    (void)snprintf(x->errand.ask.bus, sizeof x->errand.ask.bus, "%s", b->cfg->id);
    x->errand.since = clk_mono(clk);
    x->errand.state = COLLECT_ERRAND_NONE;
    x->desk = &b->desk;
    enum st st = collect_desk_leave(x->desk, &x->errand);
    if (st != ST_OK)
        x->desk = NULL;
    return st;
}

enum st collect_nudge(struct collect *k, const char *bus, int unit, const struct clk *clk,
                      struct err *e)
{
    struct collect_bus *b = NULL;
    for (size_t i = 0; i < k->nbuses && !b; i++)
        if (strcmp(k->buses[i].cfg->id, bus) == 0 && k->buses[i].port)
            b = &k->buses[i];
    if (!b)
        return err_set(e, ST_NOT_FOUND, "there is no bus %s on which devices are asked", bus);
    if (!has_unit(b, unit))
        return err_set(e, ST_NOT_FOUND, "no device on bus %s has unit %d", bus, unit);
    (void)pthread_mutex_lock(&k->nudges.lock);
    enum st st = leave(k, b, unit, clk);
    (void)pthread_mutex_unlock(&k->nudges.lock);
    return st == ST_OK
               ? ST_OK
               : err_set(e, st, "too much is asked of bus %s already: try again in a moment", bus);
}

int64_t collect_stands_ms(struct collect *k, const struct clk *clk)
{
    int64_t now = clk_mono(clk).ms, longest = 0;
    for (size_t i = 0; i < k->nbuses; i++) {
        int64_t at = atomic_load(&k->buses[i].turned_ms);
        if (at > 0 && now - at > longest)
            longest = now - at;
    }
    return longest;
}
