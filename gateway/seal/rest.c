/* A chain that ends otherwise than by a rotation (another machine, 409, a damaged store) cannot
 * take the digest of its last day: what it held behind its last digest is told in the newest chain,
 * by a `rest` entry. Chains are looked at in the order of their births, and all of them before the
 * days of the newest one: STORE_META_DIGEST is one place in that order. */
#include <string.h>

#include "gateway/seal/seal_int.h"

#define A_STEP 16
/* What is not acknowledged of a forked chain so long behind its last window is told no more. */
#define WAIT_MS INT64_C(86400000)

static void open_at(struct seal_rest *r, uint64_t seq)
{
    r->open = true;
    wire_days_begin(&r->days, seq);
}

/* The chain that is looked at first. ST_NOT_FOUND: there is none. */
static enum st first(struct seal *l, struct err *e)
{
    struct seal_rest *r = &l->rest;
    uint8_t chain[WIRE_ID_BYTES];
    uint64_t seq = 0;
    enum st st = seal_digested(l, chain, &seq, e);
    if (st == ST_CORRUPT)
        return ST_NOT_FOUND;
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    ERR_TRY(st == ST_OK ? store_chain_find(l->store, chain, &r->of, e)
                        : store_chain_behind(l->store, NULL, &r->of, e));
    open_at(r, seq + 1);
    return ST_OK;
}

static enum st next(struct seal *l, struct err *e)
{
    struct seal_rest *r = &l->rest;
    struct store_chain of;
    r->open = false;
    ERR_TRY(store_chain_behind(l->store, r->of.id, &of, e));
    r->of = of;
    open_at(r, 1);
    return ST_OK;
}

static bool is_newest(const struct seal *l)
{
    return memcmp(l->rest.of.id, l->chain.id, WIRE_ID_BYTES) == 0;
}

/* The city holds other batches of a forked chain: only what it has acknowledged is what it holds,
 * and the rest is sent, or sealed once more elsewhere, soon. */
static bool waits(const struct seal *l)
{
    return l->from_unknown || l->from_ms < l->rest.of.last_to_ms + WAIT_MS;
}

/* A batch more of the chain, or its end. ST_BUSY: nothing more now. */
static enum st step(struct seal *l, bool now, struct err *e)
{
    struct seal_rest *r = &l->rest;
    bool end = wire_days_next(&r->days) > r->of.last_seq, over = false;
    enum st st = end ? ST_OK : seal_digest_follow(l, &r->of, &r->days, &over, e);
    if (st == ST_BUSY && (now || !waits(l))) {
        end = true;
        st = ST_OK;
    }
    if (st != ST_OK || (!end && !over))
        return st;
    if (r->days.run.seq_to == 0)
        return next(l, e);
    ERR_TRY(seal_digest_put(l, r->of.id, &r->days, e));
    return ST_BUSY; /* one a turn */
}

enum st seal_rest(struct seal *l, bool now, bool *done, struct err *e)
{
    struct seal_rest *r = &l->rest;
    *done = memcmp(r->none_in, l->chain.id, sizeof r->none_in) == 0;
    if (*done || l->chain.last_seq == 0)
        return ST_OK;
    enum st st = r->open ? ST_OK : first(l, e);
    for (int i = 0; i < A_STEP && st == ST_OK && !is_newest(l); i++)
        st = step(l, now, e);
    *done = st == ST_NOT_FOUND || (st == ST_OK && is_newest(l));
    if (*done) {
        r->open = false;
        memcpy(r->none_in, l->chain.id, sizeof r->none_in);
    }
    return *done || st == ST_BUSY ? ST_OK : st;
}
