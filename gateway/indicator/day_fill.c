/* A day filled from the store: what comes late within its series is put between the others. */
#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/day_int.h"

static enum st no_memory(struct err *e)
{
    return err_set(e, ST_MEMORY, "indicators: no memory for a day");
}

struct late {
    int64_t t_ms, batch;
    struct num v;
    uint32_t feed, q, order;
};
struct fill {
    struct day *d;
    int64_t batch;
    int64_t *newest; /* of each feed, of the readings that come in order */
    struct late *late;
    uint32_t nlate, cap;
    uint32_t *next; /* of each feed: its first late reading that is not put; NULL: first pass */
    uint32_t like;
    bool end;
    enum st st;
    struct err e;
};

static bool add_late(struct fill *x, const struct late *l)
{
    if (x->nlate == DAY_LATE_MAX) {
        x->d->cut++;
        return true;
    }
    if (x->nlate == x->cap) {
        uint32_t cap = x->cap ? 2 * x->cap : 64;
        struct late *p = reallocarray(x->late, cap, sizeof *p);
        if (!p) {
            x->st = no_memory(&x->e);
            return false;
        }
        x->late = p;
        x->cap = cap;
    }
    x->late[x->nlate] = *l;
    x->late[x->nlate].order = x->nlate;
    x->nlate++;
    return true;
}

/* Those of a feed before t. */
static bool put_late(struct fill *x, uint32_t feed, int64_t before_ms)
{
    for (; x->next[feed] < x->nlate; x->next[feed]++) {
        const struct late *l = &x->late[x->next[feed]];
        if (l->feed != feed || l->t_ms >= before_ms)
            break;
        x->st = day_put(x->d, feed, l->t_ms, l->v, l->q, l->batch, &x->e);
        if (x->st != ST_OK)
            return false;
    }
    return true;
}

static bool each_reading(void *ctx, const struct store_told_reading *t)
{
    struct fill *x = ctx;
    const struct wire_reading *w = t->now;
    if (!t->batch) { /* not sealed yet: they come with their batch */
        x->end = true;
        return false;
    }
    if (t->gone || t->batch->id > x->batch)
        return true;
    uint32_t f = instances_find(x->d->in, w->device, w->point, x->like);
    if (f == UINT32_MAX)
        return true;
    x->like = f;
    bool late = w->t_ms < x->newest[f];
    if (!late)
        x->newest[f] = w->t_ms;
    if (late && x->next)
        return true;
    if (late) {
        const struct late l = {w->t_ms, t->batch->id, w->v, f, w->q, 0};
        return add_late(x, &l);
    }
    if (x->next && !put_late(x, f, w->t_ms))
        return false;
    if (x->nlate && !x->next)
        return true; /* all of it is put in the second pass */
    x->st = day_put(x->d, f, w->t_ms, w->v, w->q, t->batch->id, &x->e);
    return x->st == ST_OK;
}

static enum st walk(struct fill *x, struct store_reader *r, struct err *e)
{
    const struct store_readings_ask ask = {.from_ms = x->d->from_ms - x->d->reach_ms,
                                           .to_ms = x->d->to_ms,
                                           .part = true,
                                           .gateway = ""};
    struct store_readings *all = NULL;
    for (uint32_t f = 0; f < x->d->in->nfeeds; f++)
        x->newest[f] = INT64_MIN;
    x->end = false;
    x->like = UINT32_MAX;
    ERR_TRY(store_readings_open(&all, r, &ask, e));
    enum st st = ST_OK;
    while (st == ST_OK && x->st == ST_OK && !x->end)
        st = store_readings_step(all, each_reading, x, e);
    store_readings_close(all);
    if (x->st != ST_OK && e)
        *e = x->e;
    return x->st != ST_OK ? x->st : st == ST_NOT_FOUND ? ST_OK : st;
}

static int in_order(const void *a, const void *b)
{
    const struct late *x = a, *y = b;
    if (x->feed != y->feed)
        return x->feed < y->feed ? -1 : 1;
    if (x->t_ms != y->t_ms)
        return x->t_ms < y->t_ms ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

/* The late ones, sorted, between the others. */
static enum st second_pass(struct fill *x, struct store_reader *r, struct err *e)
{
    uint32_t n = x->d->in->nfeeds;
    qsort(x->late, x->nlate, sizeof *x->late, in_order);
    x->next = calloc(n + (size_t)1, sizeof *x->next);
    if (!x->next)
        return no_memory(e);
    for (uint32_t f = 0; f < n; f++)
        x->next[f] = x->nlate;
    for (uint32_t i = x->nlate; i-- > 0;)
        x->next[x->late[i].feed] = i;
    ERR_TRY(day_begin(x->d, e));
    ERR_TRY(walk(x, r, e));
    for (uint32_t f = 0; f < n; f++)
        if (!put_late(x, f, INT64_MAX)) {
            if (e)
                *e = x->e;
            return x->st;
        }
    return ST_OK;
}

enum st day_fill(struct day *d, struct store_reader *r, int64_t batch, struct err *e)
{
    struct fill x = {.d = d, .batch = batch, .newest = calloc(d->in->nfeeds + (size_t)1, 8)};
    enum st st = x.newest ? walk(&x, r, e) : no_memory(e);
    if (st == ST_OK && x.nlate)
        st = second_pass(&x, r, e);
    free(x.newest);
    free(x.late);
    free(x.next);
    return st;
}
