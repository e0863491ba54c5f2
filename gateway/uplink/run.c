/* Receipts that wait for one verification. A receipt's `through` acknowledges the whole prefix, so
 * the last receipt of a run stands for all before it; nothing is applied unverified. Where the
 * prefix reaches further, to batches that this gateway has neither sent nor acknowledged, the head
 * is asked first: after a restored copy of the store the city may hold other batches there. */
#include <stdlib.h>
#include <string.h>

#include "gateway/uplink/uplink_int.h"

enum st uplink_run_add(struct uplink_run *run, const char *gw, const struct store_batch *b,
                       const struct buf *receipt, struct mono now, struct err *e)
{
    struct wire_receipt r;
    struct wire_cose cose;
    if (run->count == UPLINK_RUN_MAX) {
        return err_set(e, ST_FULL, "too many receipts wait");
    }
    if (receipt->n > UPLINK_RECEIPT_MAX ||
        wire_receipt_open(&r, &cose, receipt->p, receipt->n, NULL) != ST_OK) {
        return err_set(e, ST_CORRUPT, "the answer is not a receipt: see who answers at url");
    }
    if (strcmp(r.gw, gw) != 0 || memcmp(r.chain, b->chain, WIRE_ID_BYTES) != 0 || r.seq != b->seq ||
        memcmp(r.sha256, b->hash, WIRE_HASH_BYTES) != 0) {
        return err_set(e, ST_CORRUPT, "the receipt is for another batch: see who answers at url");
    }
    struct uplink_sent *s = &run->sent[run->count];
    *s = (struct uplink_sent){.id = b->id,
                              .seq = b->seq,
                              .readings = b->n,
                              .to_ms = b->to_ms,
                              .through_seq = r.through_seq,
                              .at = run->bytes.n,
                              .n = receipt->n};
    memcpy(s->chain, b->chain, WIRE_ID_BYTES);
    memcpy(s->hash, b->hash, WIRE_HASH_BYTES);
    memcpy(s->through_hash, r.through_hash, WIRE_HASH_BYTES);
    enum st st = buf_put(&run->bytes, receipt->p, receipt->n);
    if (st != ST_OK) {
        return err_set(e, st, "no memory for a receipt");
    }
    if (run->count++ == 0) {
        run->since = now;
    }
    return ST_OK;
}

/* Whether the key may speak of that batch: whoever stole one that has ended can date a receipt
 * back, but nobody had a receipt for what was sealed behind its end. Times since boot lie before
 * any. */
static bool may_speak(const struct uplink_key *k, const struct uplink_sent *s)
{
    return uplink_key_counts(k, s->to_ms);
}

/* The key that signed its receipt, which counted when that was made and may speak of its batch.
 * ST_CORRUPT: none; ST_MEMORY: it is not known. */
static enum st signer(const struct uplink_run *run, const struct uplink_sent *s,
                      const struct uplink_key *keys, size_t nkeys, size_t *i, struct err *e)
{
    struct wire_receipt r;
    struct wire_cose cose;
    ERR_TRY(wire_receipt_open(&r, &cose, run->bytes.p + s->at, s->n, NULL) == ST_OK ? ST_OK
                                                                                    : ST_CORRUPT);
    /* the first receipt of a batch comes again however old it is */
    int64_t at_ms = r.received_ms > s->to_ms ? r.received_ms : s->to_ms;
    return uplink_signer_of(&cose, keys, nkeys, at_ms, i, e);
}

bool uplink_run_stranger(const struct uplink_run *run, const struct uplink_key *keys, size_t nkeys)
{
    const struct uplink_sent *s = run->count > 0 ? &run->sent[run->count - 1] : NULL;
    struct wire_receipt r;
    struct wire_cose cose;
    uint8_t kid[WIRE_ID_BYTES];
    if (!s || wire_receipt_open(&r, &cose, run->bytes.p + s->at, s->n, NULL) != ST_OK ||
        wire_cose_kid(&cose, kid, NULL) != ST_OK) {
        return false;
    }
    for (size_t i = 0; i < nkeys; i++) {
        if (memcmp(wire_pub_kid(keys[i].pub), kid, sizeof(kid)) == 0) {
            return false;
        }
    }
    return true;
}

/* The batch of this run that `last` acknowledges with all before it; NULL: none of ours. */
static const struct uplink_sent *prefix_end(const struct uplink_run *run,
                                            const struct uplink_sent *last)
{
    for (size_t i = 0; i < run->count; i++) {
        const struct uplink_sent *s = &run->sent[i];
        if (s->seq == last->through_seq && memcmp(s->chain, last->chain, WIRE_ID_BYTES) == 0 &&
            memcmp(s->hash, last->through_hash, WIRE_HASH_BYTES) == 0) {
            return s;
        }
    }
    return NULL;
}

/* Takes out what `end` covers: of its chain, up to its number. */
static void drop_prefix(struct uplink_run *run, struct uplink_sent end,
                        void (*acked)(void *ctx, const struct uplink_sent *s), void *ctx)
{
    size_t kept = 0;
    for (size_t i = 0; i < run->count; i++) {
        const struct uplink_sent *s = &run->sent[i];
        if (s->seq > end.seq || memcmp(s->chain, end.chain, WIRE_ID_BYTES) != 0) {
            run->sent[kept++] = *s;
        } else {
            acked(ctx, s);
        }
    }
    run->count = kept;
}

/* How many of the run `end` covers; -1: the key may not speak of one of them. */
static int64_t count_prefix(const struct uplink_run *run, const struct uplink_sent *end,
                            const struct uplink_key *key)
{
    int64_t n = 0;
    for (size_t i = 0; i < run->count; i++) {
        const struct uplink_sent *s = &run->sent[i];
        if (s->seq > end->seq || memcmp(s->chain, end->chain, WIRE_ID_BYTES) != 0) {
            continue;
        }
        if (!may_speak(key, s)) {
            return -1;
        }
        n++;
    }
    return n;
}

/* All of the run that the last receipt stands for; ST_NOT_FOUND: nothing but its own batch. */
static enum st settle_prefix(struct uplink_run *run, const struct uplink_key *key,
                             struct wire_span receipt, struct store *store, uint32_t uplink,
                             void (*acked)(void *ctx, const struct uplink_sent *s), void *ctx,
                             struct err *e)
{
    const struct uplink_sent *end = prefix_end(run, &run->sent[run->count - 1]);
    int64_t n = end ? count_prefix(run, end, key) : -1;
    if (n < 0) {
        return ST_NOT_FOUND;
    }
    enum st st = store ? store_ack_run(store, uplink, end->chain, end->seq, n, receipt, e) : ST_OK;
    if (st == ST_OK) {
        drop_prefix(run, *end, acked, ctx);
    }
    run->ask = run->ask || st == ST_CONFLICT;
    return st == ST_CONFLICT ? ST_NOT_FOUND : st;
}

enum st uplink_run_settle(struct uplink_run *run, const struct uplink_key *keys, size_t nkeys,
                          struct store *store, uint32_t uplink,
                          void (*acked)(void *ctx, const struct uplink_sent *s), void *ctx,
                          struct err *e)
{
    enum st worst = ST_OK;
    while (run->count > 0) {
        struct uplink_sent last = run->sent[run->count - 1];
        size_t key;
        enum st st = signer(run, &last, keys, nkeys, &key, e);
        if (st == ST_CORRUPT) {
            run->count--;
            worst =
                err_set(e, ST_CORRUPT,
                        "a receipt is not signed by the city: see receipt_keys, and who answers "
                        "at url; a key that it has replaced no longer counts");
            continue;
        }
        if (st != ST_OK) {
            return st;
        }
        struct wire_span receipt = {run->bytes.p + last.at, last.n};
        st = settle_prefix(run, &keys[key], receipt, store, uplink, acked, ctx, e);
        if (st != ST_OK && st != ST_NOT_FOUND) {
            return st;
        }
        bool left = run->count > 0 && run->sent[run->count - 1].id == last.id;
        if (left) {
            st = store ? store_ack(store, uplink, last.chain, last.seq, false, receipt, e) : ST_OK;
            if (st != ST_OK) {
                return st;
            }
            run->count--;
            acked(ctx, &last);
        }
    }
    run->bytes.n = 0;
    return worst;
}
