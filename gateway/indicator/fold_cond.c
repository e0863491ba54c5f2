#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/fold_int.h"

bool fold_cond_holds(const struct fold *f, const struct fold_term *t, unsigned slot, int64_t v)
{
    for (unsigned i = 0; i < t->nconds; i++) {
        const struct fold_cond *c = &f->cond[t->cond + i];
        bool in = false;
        for (unsigned k = 0; k < c->n && !in; k++) {
            const struct fold_range *r = &f->range[c->first + k];
            in = v >= r->lo && v <= r->hi;
        }
        if (c->slot == slot && in == c->negate) {
            return false;
        }
    }
    return true;
}

/* ---- over several inputs: what a device says at one time ------------------------------------ */

static unsigned slot_at(const struct fold *f, int32_t at)
{
    return f->slots == 1 ? 0 : (unsigned)(at / (int32_t)INDICATOR_HOUR_MS);
}

/* What is known to be true from on_at until `until`, at most so long, and to the period's end. */
static void end_true(const struct fold *f, const struct fold_pair *p, int32_t on_at, int64_t until,
                     int64_t *sums)
{
    int64_t end = on_at + p->holds_ms;
    unsigned slot = slot_at(f, on_at);
    int64_t last = f->slots == 1 ? INDICATOR_DAY_MS : (slot + 1) * INDICATOR_HOUR_MS;
    end = until < end ? until : end;
    end = last < end ? last : end;
    sums[slot] += end > on_at ? end - on_at : 0;
}

/* One moment that all series have gone by. */
static void pass(const struct fold *f, const struct fold_pair *p, const struct fold_moment *m,
                 int32_t *on_at, int64_t *sums)
{
    const struct fold_term *t = &f->term[p->term];
    bool holds = m->seen == (uint8_t)((1u << t->ninputs) - 1) && !m->fail;
    if (t->t->fn == FORMULA_COUNT_COND) {
        sums[slot_at(f, m->at)] += holds;
        return;
    }
    if (*on_at >= 0) {
        end_true(f, p, *on_at, m->at, sums);
    }
    *on_at = holds ? m->at : -1;
}

/* Lets go of the moments that no series can add to any more. */
static void drain(struct fold *f, struct fold_pair *p, int64_t t_ms)
{
    int64_t all = t_ms;
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->nseries; i++) {
        int64_t seen = f->one[p->series[i]].seen_ms;
        all = seen < all ? seen : all;
    }
    while (n < p->n && f->day_ms + p->wait[n].at < all) {
        pass(f, p, &p->wait[n], &p->on_at, f->term[p->term].sum);
        n++;
    }
    if (n > 0) {
        memmove(p->wait, p->wait + n, (p->n - n) * sizeof *p->wait);
        p->n -= n;
    }
}

/* Room for one more. So many wait only while another series of the device is silent. */
static enum st grow(struct fold *f, struct fold_pair *p, struct err *e)
{
    uint32_t cap = p->cap > 0 ? p->cap * 2 : 8;
    struct fold_moment *more = realloc(p->wait, cap * sizeof *more);
    if (!more) {
        return err_set(e, ST_MEMORY, "no memory for a day of indicator %s", f->def->id);
    }
    f->bytes += (cap - p->cap) * sizeof *more;
    p->wait = more;
    p->cap = cap;
    return ST_OK;
}

enum st fold_pair_put(struct fold *f, const struct fold_feed *feed, int64_t t_ms, bool good,
                      int64_t v, struct err *e)
{
    struct fold_pair *p = &f->pair[feed->pair];
    const struct fold_term *t = &f->term[p->term];
    int32_t at = (int32_t)(t_ms - f->day_ms);
    if (p->n == p->cap) {
        drain(f, p, t_ms);
    }
    if (p->n == FOLD_PAIR_MAX) {
        f->large[t->inputs[feed->slot]] = UINT64_MAX;
        return ST_OK;
    }
    if (p->n == p->cap) {
        ERR_TRY(grow(f, p, e));
    }
    uint32_t i = p->n;
    while (i > 0 && p->wait[i - 1].at > at) {
        i--;
    }
    struct fold_moment *m = i > 0 && p->wait[i - 1].at == at ? &p->wait[i - 1] : NULL;
    if (!m) {
        m = &p->wait[i];
        memmove(m + 1, m, (p->n - i) * sizeof *m);
        *m = (struct fold_moment){.at = at};
        p->n++;
    }
    if (good) {
        m->seen |= (uint8_t)(1u << feed->slot);
        m->fail |= !fold_cond_holds(f, t, feed->slot, v);
    }
    return ST_OK;
}

int64_t fold_pair_rest(const struct fold *f, const struct fold_term *t,
                       const struct fold_span *span)
{
    int64_t sums[INDICATOR_HOURS] = {0};
    for (uint32_t i = 0; i < f->npairs; i++) {
        const struct fold_pair *p = &f->pair[i];
        int32_t on_at = p->on_at;
        if (&f->term[p->term] != t) {
            continue;
        }
        for (uint32_t k = 0; k < p->n; k++) {
            pass(f, p, &p->wait[k], &on_at, sums);
        }
        if (on_at >= 0) {
            end_true(f, p, on_at, f->now_ms < f->end_ms ? f->now_ms - f->day_ms : INDICATOR_DAY_MS,
                     sums);
        }
    }
    return sums[span->slot];
}
