/* The digest of each day (batch.cddl, "the days of a chain"): follows what is sealed, batch by
 * batch, and seals a `digest` entry once a day is over. */
#include <string.h>

#include "gateway/seal/seal_int.h"

/* What the store remembers of the last digest, in the transaction that sealed it: the chain's id
 * and the last number that is digested, big endian. */
#define A_STEP 16 /* batches: after a start some hundreds are read again */
#define NOTE_BYTES (WIRE_ID_BYTES + 8)

static void note_make(const struct seal *l, uint64_t seq, uint8_t note[NOTE_BYTES])
{
    memcpy(note, l->chain.id, WIRE_ID_BYTES);
    for (int i = 0; i < 8; i++)
        note[WIRE_ID_BYTES + i] = (uint8_t)(seq >> (56 - 8 * i));
}

/* Where to go on in the chain: behind its last digest, at 1 in one that has none. */
static enum st begin(struct seal *l, struct err *e)
{
    struct seal_digest *d = &l->digest;
    struct buf note;
    uint64_t seq = 0;
    buf_init(&note, 4096);
    enum st st = store_meta_get(l->store, STORE_META_DIGEST, &note, e);
    if (st == ST_OK && note.n == NOTE_BYTES && memcmp(note.p, l->chain.id, WIRE_ID_BYTES) == 0)
        for (int i = 0; i < 8; i++)
            seq = seq << 8 | note.p[WIRE_ID_BYTES + i];
    buf_done(&note);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    memcpy(d->chain, l->chain.id, sizeof d->chain);
    wire_days_begin(&d->days, seq + 1);
    return ST_OK;
}

/* Seals the digest of d->days.run in a control batch of its own, and goes on behind that run. */
static enum st seal_it(struct seal *l, struct err *e)
{
    struct wire_digest run = l->digest.days.run;
    uint8_t note[NOTE_BYTES];
    l->payload.n = 0;
    enum st st = wire_put_array(&l->payload, 1);
    if (st == ST_OK)
        st = wire_put_digest(&l->payload, &run);
    if (st != ST_OK)
        return err_set(e, st, "seal: a digest could not be encoded");
    note_make(l, run.seq_to, note);
    struct seal_window w = seal_control_window(l);
    w.digested = (struct wire_span){note, sizeof note};
    ERR_TRY(seal_batch(l, &w, NULL, 0, e));
    wire_days_begin(&l->digest.days, run.seq_to + 1);
    return ST_OK;
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

/* Reckons with one more batch. What the store no longer holds, or cannot read, is in no digest: a
 * run ends before it, and the next begins behind it. */
static enum st follow(struct seal *l, bool *over, struct err *e)
{
    struct wire_days *days = &l->digest.days;
    struct store_batch row;
    struct buf cose;
    buf_init(&cose, WIRE_BATCH_MAX);
    enum st st = store_sealed_from(l->store, wire_days_next(days), &row, &cose, e);
    if (st == ST_OK)
        st = take(days, &row, &cose, over, e);
    buf_done(&cose);
    if (st != ST_NOT_FOUND && st != ST_CORRUPT && st != ST_BAD)
        return st;
    *over = days->run.seq_to != 0;
    if (!*over)
        wire_days_begin(days, st == ST_NOT_FOUND ? l->chain.last_seq + 1 : row.seq + 1);
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
    if (memcmp(l->digest.chain, l->chain.id, WIRE_ID_BYTES) != 0 || !days->open.seq_from)
        ERR_TRY(begin(l, e));
    for (int i = 0; i < A_STEP && wire_days_next(days) <= l->chain.last_seq; i++) {
        bool over = false;
        ERR_TRY(follow(l, &over, e));
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
    ERR_TRY(seal_digests(l, e));
    *done = wire_days_next(days) > l->chain.last_seq;
    return *done && days->run.seq_to ? seal_it(l, e) : ST_OK;
}
