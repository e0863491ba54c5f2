/* The chain that batches go into: which it is, where it begins, and what was lost before it. */
#include <string.h>

#include "gateway/seal/seal_int.h"

enum st seal_chain_begin(struct seal *l, struct err *e)
{
    struct store_chain c = {.last_to_ms = l->from_ms, .window_to_ms = l->from_ms};
    ERR_TRY(wire_random(c.id, sizeof c.id, e));
    memcpy(c.kid, wire_pub_kid(l->key->pub), sizeof c.kid);
    if (l->chain.last_seq) {
        c.after = true;
        memcpy(c.after_chain, l->chain.id, sizeof c.after_chain);
        c.after_seq = l->chain.last_seq;
        memcpy(c.after_hash, l->chain.last_hash, sizeof c.after_hash);
    } else if (l->chain.after) { /* a chain that never sealed: follow the one that it followed */
        c.after = true;
        memcpy(c.after_chain, l->chain.after_chain, sizeof c.after_chain);
        c.after_seq = l->chain.after_seq;
        memcpy(c.after_hash, l->chain.after_hash, sizeof c.after_hash);
    }
    ERR_TRY(store_chain_begin(l->store, &c, e));
    l->chain = c;
    l->planned = false;
    seal_starts_chain(l);
    char hex[WIRE_ID_TEXT];
    wire_hex(c.id, sizeof c.id, hex);
    store_event(l->store, STORE_INFO, "chain.begin", hex, "a new chain of batches begins%s",
                c.after ? ", linked to the one before" : "");
    return ST_OK;
}

/* Whether the store was written on this machine; ST_NOT_FOUND: by none yet. */
static enum st same_machine(struct seal *l, const char *machine_id, bool *same, struct err *e)
{
    struct buf was;
    buf_init(&was, 4096);
    enum st st = store_meta_get(l->store, STORE_META_MACHINE, &was, e);
    size_t n = strlen(machine_id);
    *same = st == ST_OK && was.n == n && memcmp(was.p, machine_id, n) == 0;
    buf_done(&was);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* Where a store without a chain begins: at this start, or with what a journal of an earlier run
 * still has. */
static int64_t first_time(const struct seal *l)
{
    const struct store_frame *f;
    size_t n = store_frames(l->store, &f);
    int64_t first_ms = l->start_ms;
    for (size_t i = 0; i < n; i++)
        if ((f[i].grade == CLK_UNKNOWN) == (l->last.grade == CLK_UNKNOWN) && f[i].t_ms < first_ms)
            first_ms = f[i].t_ms;
    return first_ms;
}

static enum st find_chain(struct seal *l, const char *machine_id, struct err *e)
{
    bool same = false;
    ERR_TRY(same_machine(l, machine_id, &same, e));
    enum st st = store_chain_last(l->store, &l->chain, e);
    if (st == ST_NOT_FOUND) {
        seal_begin_at(l, first_time(l));
        ERR_TRY(seal_chain_begin(l, e));
    } else if (st != ST_OK) {
        return st;
    } else {
        l->from_ms = l->chain.window_to_ms;
        l->from_unknown = l->from_ms < SEAL_KNOWN_MS;
        l->step = l->from_unknown != (l->chain.last_to_ms < SEAL_KNOWN_MS); /* by control batches */
        bool other_key = memcmp(l->chain.kid, wire_pub_kid(l->key->pub), WIRE_ID_BYTES) != 0;
        if (!same || other_key || l->chain.ended)
            ERR_TRY(seal_chain_begin(l, e));
    }
    /* The identity comes last: a kill before it begins one more chain, never a shared one. */
    if (!same)
        ERR_TRY(store_meta_set(l->store, STORE_META_MACHINE, machine_id, strlen(machine_id), e));
    st = store_latest_end(l->store, &l->known_end_ms, e);
    if (st == ST_NOT_FOUND || l->known_end_ms < SEAL_KNOWN_MS)
        l->known_end_ms = 0;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st seal_enter(struct seal *l, bool now, struct err *e)
{
    if (!now && store_unsettled(l->store))
        return ST_OK;
    l->silence = store_silence(l->store);
    ERR_TRY(find_chain(l, l->machine, e));
    ERR_TRY(seal_starts_open(l, e));
    ERR_TRY(seal_absent(l, e));
    ERR_TRY(seal_owe(l, e));
    l->entered = true;
    return ST_OK;
}

/* What a damaged store had sealed and nobody has: a window of its own for each such time, with no
 * reading and one gap. The window that goes on does not abut. */
enum st seal_holes(struct seal *l, struct err *e)
{
    struct wire_gap gap = {.series = "*", .cause = store_cause_text[STORE_STORAGE]};
    enum st st;
    while ((st = store_hole_next(l->store, &gap.from_ms, &gap.to_ms, e)) == ST_OK) {
        struct seal_window w = {.kind = WIRE_DATA,
                                .from_ms = gap.from_ms,
                                .to_ms = gap.to_ms,
                                .boot = store_boot(l->store),
                                .grade =
                                    l->last.grade == CLK_UNKNOWN ? CLK_HOLDOVER : l->last.grade};
        l->payload.n = 0;
        st = wire_put_array(&l->payload, 0);
        if (st != ST_OK)
            return err_set(e, st, "seal: no memory for a batch");
        l->step = true;
        ERR_TRY(seal_batch(l, &w, &gap, 1, e));
        ERR_TRY(store_hole_told(l->store, e));
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}
