/* The days of a chain and their digests (batch.cddl, "the days of a chain"). */
#include <stdio.h>

#include "gateway/base/clk.h"
#include "gateway/wire/wire_int.h"

#define VIET_NAM_MS (INT64_C(7) * 3600 * 1000) /* ahead of UTC; no summer time */

/* ---- the calendar -------------------------------------------------------------------------- */

int64_t wire_day_of(int64_t utc_ms)
{
    int64_t local = utc_ms + VIET_NAM_MS;

    return local / WIRE_DAY_MS - (local % WIRE_DAY_MS < 0);
}

int64_t wire_day_begin_ms(int64_t day)
{
    return day * WIRE_DAY_MS - VIET_NAM_MS;
}

enum st wire_day_text(int64_t day, char out[WIRE_DAY_TEXT])
{
    char text[CLK_TEXT_BYTES];

    if (day < -719528 || day > 2932896) /* 0000-01-01 and 9999-12-31 */
        return ST_BAD;
    snprintf(out, WIRE_DAY_TEXT, "%.10s", clk_text(day * WIRE_DAY_MS, text));
    return ST_OK;
}

bool wire_day_parse(struct wire_span text, int64_t *day)
{
    char copy[WIRE_DAY_TEXT], again[WIRE_DAY_TEXT];
    int64_t ms;

    if (text.n != WIRE_DAY_TEXT - 1)
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = 0;
    if (!clk_parse(copy, &ms) || wire_day_text(ms / WIRE_DAY_MS - (ms % WIRE_DAY_MS < 0), again))
        return false;
    *day = ms / WIRE_DAY_MS - (ms % WIRE_DAY_MS < 0);
    return strcmp(copy, again) == 0; /* neither a plain number nor February 30 */
}

/* ---- the reckoning ------------------------------------------------------------------------- */

void wire_day_batch(struct wire_day_batch *out, const struct wire_header *h, uint64_t readings,
                    const uint8_t hash[WIRE_HASH_BYTES])
{
    *out = (struct wire_day_batch){.seq = h->seq,
                                   .hash = hash,
                                   .tells = h->kind == WIRE_DATA && h->for_to == 0 &&
                                            h->clk != CLK_UNKNOWN,
                                   .to_ms = h->to_ms,
                                   .readings = readings,
                                   .gaps = h->ngaps};
}

void wire_days_begin(struct wire_days *d, uint64_t seq)
{
    *d = (struct wire_days){.open = {.seq_from = seq, .seq_to = seq - 1}};
}

uint64_t wire_days_next(const struct wire_days *d)
{
    return d->open.seq_to + 1;
}

void wire_days_fold(uint8_t hash[WIRE_HASH_BYTES], const uint8_t batch[WIRE_HASH_BYTES])
{
    struct wire_span parts[] = {{hash, WIRE_HASH_BYTES}, {batch, WIRE_HASH_BYTES}};

    wire_sha256_parts(parts, 2, hash);
}

bool wire_days_add(struct wire_days *d, const struct wire_day_batch *b)
{
    int64_t day = wire_day_of(b->to_ms - 1);

    if (b->tells && d->run.seq_to && d->run.day != day)
        return false;
    d->open.seq_to = b->seq;
    d->open.readings += b->readings;
    d->open.gaps += b->gaps;
    wire_days_fold(d->open.hash, b->hash);
    if (b->tells) {
        d->open.day = day;
        d->run = d->open;
    }
    return true;
}

/* ---- the city's answer --------------------------------------------------------------------- */

static enum st put_seq(struct buf *b, const struct wire_digest *d)
{
    enum st st = wire_put_text(b, "seq");

    if (!st)
        st = wire_put_array(b, 2);
    if (!st)
        st = wire_put_uint(b, d->seq_from);
    return st ? st : wire_put_uint(b, d->seq_to);
}

/* [batch, readings, gaps, hash], or null. */
static enum st put_said(struct buf *b, const struct wire_day_run *r)
{
    enum st st = wire_put_text(b, "sealed");

    if (st || !r->sealed)
        return st ? st : wire_put_null(b);
    st = wire_put_array(b, 4);
    if (!st)
        st = wire_put_uint(b, r->sealed_in);
    if (!st)
        st = wire_put_uint(b, r->said.readings);
    if (!st)
        st = wire_put_uint(b, r->said.gaps);
    return st ? st : wire_put_bytes(b, r->said.hash, WIRE_HASH_BYTES);
}

/* Keys in their order: the shorter first. */
static enum st put_run(struct buf *b, const struct wire_day_run *r)
{
    enum st st = wire_put_map(b, r->elsewhere ? 8 : 7);

    if (!st && r->elsewhere)
        st = wire_put_named_bytes(b, "in", r->sealed_chain, WIRE_ID_BYTES);
    if (!st)
        st = put_seq(b, &r->held);
    if (!st)
        st = wire_put_named_uint(b, "gaps", r->held.gaps);
    if (!st)
        st = wire_put_text(b, "hash");
    if (!st)
        st = r->whole ? wire_put_bytes(b, r->held.hash, WIRE_HASH_BYTES) : wire_put_null(b);
    if (!st)
        st = wire_put_named_uint(b, "held", r->batches);
    if (!st)
        st = wire_put_named_bytes(b, "chain", r->chain, WIRE_ID_BYTES);
    if (!st)
        st = put_said(b, r);
    return st ? st : wire_put_named_uint(b, "readings", r->held.readings);
}

static enum st put_day(struct buf *b, const struct wire_day *d)
{
    char day[WIRE_DAY_TEXT];
    enum st st = wire_day_text(d->day, day);

    if (!st)
        st = wire_put_map(b, 5);
    if (!st)
        st = wire_put_named_uint(b, "v", 1);
    if (!st)
        st = wire_put_named_text(b, "gw", d->gw);
    if (!st)
        st = wire_put_named_text(b, "day", day);
    if (!st)
        st = wire_put_text(b, "made");
    if (!st)
        st = wire_put_int(b, d->made_ms);
    if (!st)
        st = wire_put_text(b, "runs");
    if (!st)
        st = wire_put_array(b, d->nruns);
    for (size_t i = 0; !st && i < d->nruns; i++)
        st = put_run(b, &d->runs[i]);
    return st;
}

enum st wire_day_sign(const struct wire_day *d, const struct wire_signer *key, struct buf *out,
                      struct err *e)
{
    struct buf b;
    enum st st;

    buf_init(&b, WIRE_BATCH_MAX);
    st = put_day(&b, d);
    st = st ? err_set(e, st, "a digest that cannot be or is too large")
            : wire_answer_sign(WIRE_TYPE_DIGEST, &b, key, out, e);
    buf_done(&b);
    return st;
}
