/* The readings of batches for the rollups' job, and the rollups of one slot that they go into. */
#include "gateway/store/rollup_int.h"

#include <stdlib.h>
#include <string.h>

#define GROWTH_STEP 32
#define COSE_KEPT (64 * 1024) /* a larger buffer is given back after use */

/* ---- rollups by number ---- */

enum st store_rolls_room(struct store_rolls *x, uint32_t number, struct err *e)
{
    if (number < x->cap) {
        x->n = number < x->n ? x->n : number + 1;
        return ST_OK;
    }
    /* In steps of a group, so that encoding sees whole ones; large enough at once for all that is
     * configured. */
    uint32_t cap = (number / STORE_ROLL_GROUP + 1) * STORE_ROLL_GROUP;
    cap = cap > x->cap_wanted ? cap : x->cap_wanted;
    struct store_cell *cell = reallocarray(x->cell, cap, sizeof *cell);
    if (!cell)
        return err_set(e, ST_MEMORY, "no memory for rollups");
    memset(cell + x->cap, 0, (cap - x->cap) * sizeof *cell);
    x->cell = cell;
    x->cap = cap;
    x->n = number + 1;
    return ST_OK;
}

void store_rolls_clear(struct store_rolls *x, int64_t slot)
{
    if (x->cell)
        memset(x->cell, 0, x->cap * sizeof *x->cell);
    free(x->fix);
    free(x->meter);
    *x = (struct store_rolls){.slot = slot,
                              .cell = x->cell,
                              .growth = x->growth,
                              .cap = x->cap,
                              .cap_wanted = x->cap_wanted,
                              .growth_cap = x->growth_cap};
}

void store_rolls_done(struct store_rolls *x)
{
    free(x->cell);
    free(x->growth);
    free(x->fix);
    free(x->meter);
    *x = (struct store_rolls){.cap_wanted = x->cap_wanted};
}

void store_rolls_get(const struct store_rolls *x, uint32_t number, struct store_roll *out)
{
    const struct store_cell *c = &x->cell[number];
    *out = (struct store_roll){.min = c->min,
                               .max = c->max,
                               .first = c->first,
                               .last = c->last,
                               .sum = c->sum,
                               .count = c->count,
                               .good = c->good,
                               .first_ms = c->first_ms,
                               .last_ms = c->last_ms,
                               .scale = c->scale};
    if (!c->growth)
        return;
    const struct store_growth *g = &x->growth[c->growth - 1];
    out->from = g->from;
    out->to = g->to;
    out->grown = g->grown;
    out->to_ms = g->to_ms;
    out->resets = g->resets;
    out->counter = g->counter;
    out->disordered = g->disordered;
}

static enum st growth_room(struct store_rolls *x, struct store_cell *c, struct err *e)
{
    if (c->growth)
        return ST_OK;
    if (x->ngrowth == x->growth_cap) {
        struct store_growth *p =
            reallocarray(x->growth, x->growth_cap + GROWTH_STEP, sizeof *x->growth);
        if (!p)
            return err_set(e, ST_MEMORY, "no memory for rollups");
        x->growth = p;
        x->growth_cap += GROWTH_STEP;
    }
    c->growth = ++x->ngrowth;
    return ST_OK;
}

enum st store_rolls_set(struct store_rolls *x, uint32_t number, const struct store_roll *r,
                        struct err *e)
{
    struct store_cell *c = &x->cell[number];
    uint32_t growth = c->growth;
    bool counts = c->counts;
    *c = (struct store_cell){r->min,  r->max,      r->first,   r->last, r->sum,   r->count,
                             r->good, r->first_ms, r->last_ms, growth,  r->scale, counts};
    if (!r->counter && !r->disordered && !growth)
        return ST_OK;
    ERR_TRY(growth_room(x, c, e));
    x->growth[c->growth - 1] = (struct store_growth){r->from,   r->to,      r->grown,     r->to_ms,
                                                     r->resets, r->counter, r->disordered};
    return ST_OK;
}

enum st store_rolls_add(struct store *s, struct store_rolls *x,
                        const struct store_rollup_reading *w, struct err *e)
{
    struct store_rollup_reading is = *w;
    ERR_TRY(store_rolls_room(x, w->number, e));
    if (!x->asked)
        ERR_TRY(store_rolls_ask(s, x, e));
    x->any = true;
    x->first = x->first && x->first < w->batch ? x->first : w->batch;
    x->last = x->last > w->batch ? x->last : w->batch;
    if (!store_fixes_apply(x, &is))
        return ST_OK;
    ERR_TRY(store_rolls_room(x, is.number, e));
    struct store_cell *c = &x->cell[is.number];
    struct store_roll r;
    if (c->count == 0)
        c->counts = store_names_counter(&s->rollup->names, is.number);
    store_rolls_get(x, is.number, &r);
    uint32_t at_ms = (uint32_t)(is.t_ms - store_slot_ms(STORE_QUARTER, x->slot));
    store_roll_add(&r, at_ms, is.v, is.q, false);
    if (c->counts && store_roll_trusts(is.q)) {
        store_meters_apply(x, is.number, &r, at_ms);
        store_roll_count(&r, at_ms, is.v);
    }
    x->disordered |= r.disordered;
    return store_rolls_set(x, is.number, &r, e);
}

/* ---- one batch ---- */

enum st store_rollup_load(struct store *s, int64_t id, const uint8_t *hash, struct wire_batch *b,
                          struct err *e)
{
    struct buf *cose = &s->rollup->cose;
    ERR_TRY(store_batch_bytes(&s->db, id, hash, cose, e));
    enum st st = wire_batch_open_sealed(b, cose->p, cose->n, e);
    return st == ST_BAD ? ST_CORRUPT : st;
}

void store_rollup_unload(struct store *s, struct wire_batch *b)
{
    struct buf *cose = &s->rollup->cose;
    wire_batch_done(b);
    if (cose->cap > COSE_KEPT) {
        buf_done(cose);
        buf_init(cose, WIRE_BATCH_MAX);
    }
}

/* A value that stands for many, of a batch that was thinned: its slots were done long before. */
static bool is_thinned(struct wire_span point)
{
    return memchr(point.p, ':', point.n) != NULL;
}

enum st store_rollup_pass(struct store *s, const struct wire_batch *b, int64_t id, int64_t add_ms,
                          store_rollup_each *each, int64_t *left, struct err *e)
{
    struct store_names *names = &s->rollup->names;
    struct store_rollup_reading x = {.batch = id};
    struct wire_skim it;
    struct wire_skimmed w;
    if (b->header.kind != WIRE_DATA)
        return ST_OK;
    ERR_TRY(wire_skim_open(&it, b->cose.payload.p, b->cose.payload.n, e));
    enum st st;
    while ((st = wire_skim_next(&it, NULL, &w, e)) == ST_OK) {
        --*left;
        if (w.opens)
            store_names_device(names, w.device);
        if (is_thinned(w.point))
            continue;
        ERR_TRY(wire_skim_value(&it, &w, &x.v, e));
        ERR_TRY(store_names_find(names, &w, &x.number, e));
        x.t_ms = w.t_ms + add_ms;
        x.q = w.q;
        ERR_TRY(each(s, &x, e));
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st store_rollup_readings(struct store *s, int64_t id, int64_t from_ms, const uint8_t *hash,
                              store_rollup_each *each, int64_t *left, struct err *e)
{
    struct store_moved m;
    struct wire_batch b;
    --*left;
    ERR_TRY(store_batch_moved(&s->db, id, from_ms, &m, e));
    if (!m.known)
        return ST_OK;
    ERR_TRY(store_rollup_load(s, id, hash, &b, e));
    enum st st = store_rollup_pass(s, &b, id, m.add_ms, each, left, e);
    store_rollup_unload(s, &b);
    return st;
}

/* ---- the same, while the frames are still there ---- */

static enum st frame(struct store *s, const struct store_frame *f, int64_t id,
                     store_rollup_each *each, struct err *e)
{
    struct store_names *names = &s->rollup->names;
    struct store_rollup_reading x = {.batch = id};
    bool known = f->ngot == f->n; /* the configuration still has them all */
    struct wire_skim it;
    struct wire_skimmed w;
    enum st st;
    wire_skim_records(&it, f->senml, f->senml_n, f->n);
    for (uint32_t i = 0; (st = wire_skim_next(&it, NULL, &w, e)) == ST_OK; i++) {
        if (!known && w.opens)
            store_names_device(names, w.device);
        ERR_TRY(wire_skim_value(&it, &w, &x.v, e));
        ERR_TRY(known ? store_names_of(names, f->got[i], &x.number, e)
                      : store_names_find(names, &w, &x.number, e));
        x.t_ms = w.t_ms;
        x.q = w.q;
        ERR_TRY(each(s, &x, e));
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st store_rollup_frames(struct store *s, const bool *use, int64_t id, store_rollup_each *each,
                            struct err *e)
{
    for (size_t i = 0; i < s->nframes; i++)
        if (use[i])
            ERR_TRY(frame(s, &s->frames[i], id, each, e));
    return ST_OK;
}
