/* Readings that are sealed once more, because the city has another batch under the number of theirs
 * (a copy of the store was restored, or two gateways ran on one), or because a person asked for it.
 * They keep their window, boot, clock grade and gaps, so that a reader knows them again. */
#include <string.h>

#include "gateway/seal/seal_int.h"

struct again {
    struct seal *l;
    struct store_again from;
    struct buf cose;
    struct wire_batch batch;
    struct seal_window w;
    const struct wire_gap *gaps;
    size_t ngaps;
    struct wire_gap gap; /* in the place of what cannot be told again */
};

/* The payload as it is; its times were stamped, and signed, once. */
static enum st take_data(struct again *a, struct err *e)
{
    const struct wire_span *p = &a->batch.cose.payload;
    a->w.n = a->from.n;
    a->gaps = a->batch.header.gaps;
    a->ngaps = a->batch.header.ngaps;
    return buf_put(&a->l->payload, p->p, p->n) == ST_OK
               ? ST_OK
               : err_set(e, ST_MEMORY, "seal: no memory for a batch");
}

/* Thinned values name numbers of their own chain: elsewhere they say nothing, and their time is a
 * gap. */
static enum st take_gap(struct again *a, struct err *e)
{
    a->gap = (struct wire_gap){"*", a->w.from_ms, a->w.to_ms, store_cause_text[STORE_STORAGE]};
    a->gaps = &a->gap;
    a->ngaps = a->gap.from_ms < a->gap.to_ms;
    return wire_put_array(&a->l->payload, 0) == ST_OK
               ? ST_OK
               : err_set(e, ST_MEMORY, "seal: no memory for a batch");
}

/* What people said, which holds in any chain, and what is said of an earlier one. Plans, voids,
 * times and digests are of a chain's own. A next key is named by the old one, which the city hears
 * also where it has another batch (decision 0017). */
static bool is_kept(const struct wire_entry *x)
{
    return x->kind == WIRE_ENTRY_CORRECT || x->kind == WIRE_ENTRY_MAINTAIN ||
           x->kind == WIRE_ENTRY_SETUP || x->kind == WIRE_ENTRY_ENTERED ||
           x->kind == WIRE_ENTRY_CHANGE || x->kind == WIRE_ENTRY_REST ||
           x->kind == WIRE_ENTRY_CONFIG || x->kind == WIRE_ENTRY_OTHER;
}

/* ST_NOT_FOUND: nothing of it is kept. */
static enum st take_entries(struct again *a, struct err *e)
{
    const struct wire_span *p = &a->batch.cose.payload;
    struct buf kept;
    struct wire_control c;
    struct wire_entry x;
    uint64_t n = 0;
    enum st st = wire_control_open(&c, p->p, p->n, e);
    buf_init(&kept, WIRE_BATCH_MAX);
    while (st == ST_OK) {
        const uint8_t *at = c.r.p;
        st = wire_control_next(&c, &x, e);
        if (st == ST_OK && is_kept(&x)) {
            n++;
            st = buf_put(&kept, at, (size_t)(c.r.p - at));
        }
    }
    if (st == ST_NOT_FOUND && n > 0) {
        st = wire_put_array(&a->l->payload, n);
        if (st == ST_OK)
            st = buf_put(&a->l->payload, kept.p, kept.n);
    }
    buf_done(&kept);
    a->w = seal_control_window(a->l);
    return st;
}

static enum st open_batch(struct again *a, struct err *e)
{
    buf_init(&a->cose, WIRE_BATCH_MAX);
    ERR_TRY(wire_zstd_unpack(a->from.packed.p, a->from.packed.n, WIRE_BATCH_MAX, &a->cose, e));
    ERR_TRY(wire_batch_open(&a->batch, a->cose.p, a->cose.n, e));
    const struct wire_header *h = &a->batch.header;
    a->w = (struct seal_window){.kind = WIRE_DATA,
                                .from_ms = h->from_ms,
                                .to_ms = h->to_ms,
                                .boot = h->boot,
                                .grade = (enum clk_grade)h->clk};
    return ST_OK;
}

/* Signs what was taken as the chain's next batch, in the place of the old one. */
static enum st put(struct again *a, struct err *e)
{
    struct seal *l = a->l;
    struct seal_made m = {0};
    l->step = true; /* neither this window nor the one that goes on abuts */
    enum st st = seal_make(l, &l->chain, &a->w, a->gaps, a->ngaps, &m, e);
    m.b.again = true;
    if (st == ST_OK)
        st = store_seal_again(l->store, &m.b, a->from.id, e);
    if (st == ST_OK) {
        seal_chain_move(&l->chain, &m.b);
        seal_note_range(l, &a->w, m.b.seq);
    }
    seal_made_done(&m);
    return st;
}

/* What an entry of the old chain had added to its times is said again for the new number. */
static enum st move(struct again *a, struct err *e)
{
    struct seal_moved m = {.seq_from = a->l->chain.last_seq,
                           .seq_to = a->l->chain.last_seq,
                           .add_ms = a->from.add_ms,
                           .err_ms = a->from.err_ms};
    if (a->from.err_ms == 0 || a->from.kind != WIRE_DATA)
        return ST_OK;
    memcpy(m.boot, a->batch.header.boot, sizeof m.boot);
    return seal_entries(a->l, &m, 1, e);
}

static enum st take(struct again *a, struct err *e)
{
    a->l->payload.n = 0;
    ERR_TRY(open_batch(a, e));
    return a->from.kind == WIRE_CONTROL ? take_entries(a, e)
           : a->from.thinned            ? take_gap(a, e)
                                        : take_data(a, e);
}

/* What cannot be read or signed must not hold up all that is sealed: it becomes a gap. */
static bool is_hopeless(enum st st)
{
    return st == ST_BAD || st == ST_CORRUPT || st == ST_UNSUPPORTED || st == ST_FULL;
}

static enum st give_up(struct again *a, const struct err *why, struct err *e)
{
    char hex[WIRE_ID_TEXT];
    wire_hex(a->from.chain, sizeof a->from.chain, hex);
    store_event(a->l->store, STORE_ERROR, "batch.lost", hex,
                "batch %llu cannot be sealed once more, and its time is told as a gap: %s",
                (unsigned long long)a->from.seq, why->text);
    if (a->from.kind == WIRE_CONTROL || a->from.from_ms >= a->from.to_ms ||
        a->from.from_ms < SEAL_KNOWN_MS)
        return store_seal_again(a->l->store, NULL, a->from.id, e);
    a->w = (struct seal_window){.kind = WIRE_DATA,
                                .from_ms = a->from.from_ms,
                                .to_ms = a->from.to_ms,
                                .boot = store_boot(a->l->store),
                                .grade = CLK_HOLDOVER};
    a->l->payload.n = 0;
    ERR_TRY(take_gap(a, e));
    return put(a, e);
}

static enum st one(struct again *a, struct err *e)
{
    struct err why = {.text = ""};
    enum st st = take(a, &why);
    if (st == ST_NOT_FOUND)
        return store_seal_again(a->l->store, NULL, a->from.id, e);
    if (st == ST_OK)
        st = put(a, &why);
    if (is_hopeless(st))
        return give_up(a, &why, e);
    if (st != ST_OK)
        return err_set(e, st, "%s", why.text);
    return move(a, e);
}

enum st seal_again(struct seal *l, struct err *e)
{
    int n = 0;
    enum st st = ST_OK;
    while (st == ST_OK && n < SEAL_A_STEP) {
        struct again a = {.l = l};
        st = store_again_next(l->store, &a.from, e);
        if (st != ST_OK)
            break;
        st = one(&a, e);
        n += st == ST_OK;
        wire_batch_done(&a.batch);
        buf_done(&a.cose);
        buf_done(&a.from.packed);
    }
    buf_done(&l->payload);
    if (n > 0)
        store_event(l->store, STORE_INFO, "batch.again", NULL,
                    "%d batches were sealed once more, under new numbers", n);
    return st == ST_NOT_FOUND ? ST_OK : st;
}
