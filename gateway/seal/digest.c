/* The digest of each day (batch.cddl, "the days of a chain"): follows what is sealed, batch by
 * batch, and seals a `digest` entry once a day is over. */
#include <string.h>

#include "gateway/seal/seal_int.h"

/* What the store remembers of the last digest, in the transaction that sealed it: the chain's id
 * and the last number that is digested, big endian. */
#define A_STEP 16 /* batches: after a start some hundreds are read again */
#define NOTE_BYTES (WIRE_ID_BYTES + 8)

static void note_make(const uint8_t *chain, uint64_t seq, uint8_t note[NOTE_BYTES])
{
    memcpy(note, chain, WIRE_ID_BYTES);
    for (int i = 0; i < 8; i++)
        note[WIRE_ID_BYTES + i] = (uint8_t)(seq >> (56 - 8 * i));
}

enum st seal_digested(struct seal *l, uint8_t chain[WIRE_ID_BYTES], uint64_t *seq, struct err *e)
{
    struct buf note;
    buf_init(&note, 4096);
    enum st st = store_meta_get(l->store, STORE_META_DIGEST, &note, e);
    if (st == ST_OK && note.n != NOTE_BYTES)
        st = ST_CORRUPT;
    *seq = 0;
    for (int i = 0; st == ST_OK && i < 8; i++)
        *seq = *seq << 8 | note.p[WIRE_ID_BYTES + i];
    if (st == ST_OK)
        memcpy(chain, note.p, WIRE_ID_BYTES);
    buf_done(&note);
    return st;
}

/* Where to go on in the chain: behind its last digest, at 1 in one that has none. */
static enum st begin(struct seal *l, struct err *e)
{
    struct seal_digest *d = &l->digest;
    uint8_t chain[WIRE_ID_BYTES];
    uint64_t seq = 0;
    enum st st = seal_digested(l, chain, &seq, e);
    if (st != ST_OK && st != ST_NOT_FOUND && st != ST_CORRUPT)
        return st;
    if (st == ST_OK && memcmp(chain, l->chain.id, WIRE_ID_BYTES) != 0)
        seq = 0;
    memcpy(d->chain, l->chain.id, sizeof d->chain);
    wire_days_begin(&d->days, seq + 1);
    return ST_OK;
}

enum st seal_digest_put(struct seal *l, const uint8_t *chain, struct wire_days *days, struct err *e)
{
    struct wire_digest run = days->run;
    uint8_t note[NOTE_BYTES];
    bool own = memcmp(chain, l->chain.id, WIRE_ID_BYTES) == 0;
    l->payload.n = 0;
    enum st st = wire_put_array(&l->payload, 1);
    if (st == ST_OK)
        st = own ? wire_put_digest(&l->payload, &run) : wire_put_rest(&l->payload, chain, &run);
    if (st != ST_OK)
        return err_set(e, st, "seal: a digest could not be encoded");
    note_make(chain, run.seq_to, note);
    struct seal_window w = seal_control_window(l);
    w.digested = (struct wire_span){note, sizeof note};
    ERR_TRY(seal_batch(l, &w, NULL, 0, e));
    wire_days_begin(days, run.seq_to + 1);
    return ST_OK;
}

static enum st seal_it(struct seal *l, struct err *e)
{
    return seal_digest_put(l, l->digest.chain, &l->digest.days, e);
}

/* One batch that is there. *over: the run before it is complete, as it is of another day or does
 * not reach it; then the batch is not reckoned with yet. */
static enum st take(struct wire_days *days, const struct store_batch *row, const struct buf *cose,
                    bool *over, struct err *e)
{
    struct wire_batch b;
    struct wire_day_batch x;
    if (row->seq != wire_days_next(days)) {
        *over = days->run.seq_to != 0;
        if (*over)
            return ST_OK;
        wire_days_begin(days, row->seq);
    }
    ERR_TRY(wire_batch_open_sealed(&b, cose->p, cose->n, e));
    wire_day_batch(&x, &b.header, row->n, row->hash);
    *over = !wire_days_add(days, &x);
    wire_batch_done(&b);
    return ST_OK;
}

/* What the store no longer holds, or cannot read, is in no digest: a run ends before it, and the
 * next begins behind it. */
enum st seal_digest_follow(struct seal *l, const struct store_chain *c, struct wire_days *days,
                           bool *over, struct err *e)
{
    struct store_batch row;
    struct buf cose;
    buf_init(&cose, WIRE_BATCH_MAX);
    enum st st = store_sealed_from(l->store, c->id, wire_days_next(days), &row, &cose, e);
    if (st == ST_OK && c->forked) {
        st = store_acknowledged(l->store, c->id, row.seq, e);
        st = st == ST_NOT_FOUND ? ST_BUSY : st;
    }
    if (st == ST_OK)
        st = take(days, &row, &cose, over, e);
    buf_done(&cose);
    if (st != ST_NOT_FOUND && st != ST_CORRUPT && st != ST_BAD)
        return st;
    *over = days->run.seq_to != 0;
    if (!*over)
        wire_days_begin(days, st == ST_NOT_FOUND ? c->last_seq + 1 : row.seq + 1);
    return ST_OK;
}

void seal_digest_stored(struct seal *l, const struct wire_day_batch *b)
{
    struct wire_days *days = &l->digest.days;
    if (memcmp(l->digest.chain, l->chain.id, WIRE_ID_BYTES) != 0 || !days->open.seq_from ||
        b->seq != wire_days_next(days))
        return;
    (void)wire_days_add(days, b); /* of another day: read again, when this one is digested */
}

enum st seal_digests(struct seal *l, struct err *e)
{
    struct wire_days *days = &l->digest.days;
    bool done = false;
    ERR_TRY(seal_rest(l, false, &done, e));
    if (!done)
        return ST_OK;
    if (memcmp(l->digest.chain, l->chain.id, WIRE_ID_BYTES) != 0 || !days->open.seq_from)
        ERR_TRY(begin(l, e));
    for (int i = 0; i < A_STEP && wire_days_next(days) <= l->chain.last_seq; i++) {
        bool over = false;
        ERR_TRY(seal_digest_follow(l, &l->chain, days, &over, e));
        if (over)
            return seal_it(l, e);
    }
    /* All that is sealed is reckoned with, and windows stand at the end of the day or behind. */
    if (days->run.seq_to && wire_days_next(days) > l->chain.last_seq && !l->from_unknown &&
        l->from_ms >= wire_day_begin_ms(days->run.day + 1))
        return seal_it(l, e);
    return ST_OK;
}

enum st seal_digest_close(struct seal *l, bool *done, struct err *e)
{
    struct wire_days *days = &l->digest.days;
    ERR_TRY(seal_rest(l, true, done, e));
    if (!*done)
        return ST_OK;
    ERR_TRY(seal_digests(l, e));
    *done = wire_days_next(days) > l->chain.last_seq;
    return *done && days->run.seq_to ? seal_it(l, e) : ST_OK;
}
