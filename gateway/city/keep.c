#include "gateway/city/city_int.h"

#include <stdio.h>
#include <string.h>

#define EVIDENCE_PER_CHAIN 64 /* a gateway that contradicts itself cannot fill the disk */

struct row {
    int64_t chain, batch;
    uint64_t through_seq;
    uint8_t through_hash[WIRE_HASH_BYTES];
};

static enum city_code code_of(enum st st)
{
    return st == ST_OK ? CITY_OK : CITY_UNAVAILABLE;
}

/* Finds or makes the chain. One key signs a whole chain (batch.md rule 3). */
static enum city_code chain_of(struct city_db *d, const struct city_batch *b, struct row *r,
                               struct err *e)
{
    const struct wire_header *h = &b->batch.header;
    sqlite3_stmt *s = city_db_bind(d, SQL_CHAIN_FIND, "ib", b->gateway, h->chain, sizeof h->chain);
    enum st st = city_db_step(d, s, e);

    memset(r, 0, sizeof *r);
    if (st == ST_NOT_FOUND) {
        st = city_db_run(
            d, city_db_bind(d, SQL_CHAIN_ADD, "ibi", b->gateway, h->chain, sizeof h->chain, b->key),
            e);
        r->chain = sqlite3_last_insert_rowid(d->db);
        return code_of(st);
    }
    if (st != ST_OK)
        return CITY_UNAVAILABLE;
    r->chain = sqlite3_column_int64(s, 0);
    r->through_seq = (uint64_t)sqlite3_column_int64(s, 2);
    bool whole = city_db_blob(s, 3, r->through_hash, sizeof r->through_hash);
    bool same_key = sqlite3_column_int64(s, 1) == b->key;
    sqlite3_reset(s);
    if (!whole)
        return code_of(err_set(e, ST_CORRUPT, "database: a chain without its hash"));
    if (!same_key) {
        err_set(e, ST_REFUSED, "this chain was begun by another key of the gateway");
        return CITY_UNKNOWN_KEY;
    }
    return CITY_OK;
}

/* CITY_CONFLICT with the bytes kept when others stand under the number; *same when these do. */
static enum city_code compare(struct city_db *d, struct row *r, const struct city_batch *b,
                              int64_t now_ms, bool *same, struct err *e)
{
    uint8_t held[WIRE_HASH_BYTES];
    int64_t seq = (int64_t)b->batch.header.seq;
    sqlite3_stmt *s = city_db_bind(d, SQL_BATCH_AT, "ii", r->chain, seq);
    enum st st = city_db_step(d, s, e);

    *same = false;
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? CITY_OK : CITY_UNAVAILABLE;
    bool whole = city_db_blob(s, 1, held, sizeof held);
    r->batch = sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    *same = whole && memcmp(held, b->sha256, sizeof held) == 0;
    if (*same)
        return CITY_OK;
    s = city_db_bind(d, SQL_EVIDENCE_COUNT, "i", r->chain);
    st = city_db_step(d, s, e);
    if (st != ST_OK)
        return CITY_UNAVAILABLE;
    bool room = sqlite3_column_int64(s, 0) < EVIDENCE_PER_CHAIN;
    sqlite3_reset(s);
    if (room)
        st = city_db_run(d,
                         city_db_bind(d, SQL_EVIDENCE_ADD, "iibib", r->chain, seq, b->sha256,
                                      sizeof b->sha256, now_ms, b->stored.p, b->stored.n),
                         e);
    if (st != ST_OK)
        return CITY_UNAVAILABLE;
    err_set(e, ST_CONFLICT, "other bytes are stored under this number");
    return CITY_CONFLICT;
}

static enum city_code same_receipt(struct city_db *d, const struct city_batch *b, struct buf *out,
                                   struct err *e)
{
    const struct wire_header *h = &b->batch.header;
    sqlite3_stmt *s = city_db_bind(d, SQL_RECEIPT_FIND, "ibi", b->gateway, h->chain,
                                   sizeof h->chain, (int64_t)h->seq);
    enum st st = city_db_step(d, s, e);

    if (st != ST_OK)
        return CITY_UNAVAILABLE;
    struct wire_span r = city_db_span(s, 1);
    st = buf_put(out, r.p, r.n);
    sqlite3_reset(s);
    return code_of(st);
}

static enum st add_batch(struct city_db *d, struct row *r, const struct city_batch *b,
                         int64_t now_ms, struct err *e)
{
    const struct wire_header *h = &b->batch.header;
    enum st st =
        city_db_run(d,
                    city_db_bind(d, SQL_BATCH_ADD, "iibbiiibiiiiiib", r->chain, (int64_t)h->seq,
                                 b->sha256, sizeof b->sha256, h->seq > 1 ? h->prev : NULL,
                                 sizeof h->prev, (int64_t)h->kind, h->from_ms, h->to_ms, h->boot,
                                 sizeof h->boot, (int64_t)h->clk, (int64_t)h->step, (int64_t)b->n,
                                 b->t_min, b->t_max, now_ms, b->stored.p, b->stored.n),
                    e);
    r->batch = sqlite3_last_insert_rowid(d->db);
    if (st == ST_OK)
        st = city_hold(d, r->chain, h->seq, e);
    for (size_t i = 0; st == ST_OK && i < h->ngaps; i++)
        st = city_db_run(d,
                         city_db_bind(d, SQL_GAP_ADD, "itiit", r->batch, h->gaps[i].series,
                                      h->gaps[i].from_ms, h->gaps[i].to_ms, h->gaps[i].cause),
                         e);
    if (st == ST_OK && h->for_from)
        st = city_db_run(d,
                         city_db_bind(d, SQL_THINNED_ADD, "iiii", r->batch, r->chain,
                                      (int64_t)h->for_from, (int64_t)h->for_to),
                         e);
    if (st == ST_OK && h->seq == 1 && h->after)
        st = city_db_run(d,
                         city_db_bind(d, SQL_CHAIN_AFTER, "ibib", r->chain, h->after_chain,
                                      sizeof h->after_chain, (int64_t)h->after_seq, h->after_hash,
                                      sizeof h->after_hash),
                         e);
    return st;
}

static enum st judge(struct city_db *d, int64_t chain, uint64_t seq, struct err *e)
{
    return city_db_run(d, city_db_bind(d, SQL_JUDGE, "ii", chain, (int64_t)seq), e);
}

/* The hash of the last batch that a void gives up: the next one's prev. */
static bool last_hash(const struct wire_entry *v, uint8_t out[WIRE_HASH_BYTES])
{
    struct wire_reader r = {v->hashes.p, v->hashes.p, v->hashes.p + v->hashes.n};
    struct wire_item it;
    bool found = false;

    if (wire_next(&r, &it, NULL) != ST_OK || it.type != WIRE_ARRAY ||
        it.u != v->seq_to - v->seq_from + 1)
        return false;
    for (uint64_t left = it.u; left > 0; left--) {
        if (wire_next(&r, &it, NULL) != ST_OK || it.type != WIRE_BYTES ||
            it.span.n != WIRE_HASH_BYTES)
            return false;
        memcpy(out, it.span.p, WIRE_HASH_BYTES);
        found = true;
    }
    return found;
}

static char *text_of(char *out, size_t n, struct wire_span s)
{
    snprintf(out, n, "%.*s", (int)(s.n < n ? s.n : n - 1), s.p != NULL ? (const char *)s.p : "");
    return out;
}

static enum st add_void(struct city_db *d, const struct row *r, const struct wire_entry *v,
                        uint64_t own_seq, struct err *e)
{
    uint8_t hash[WIRE_HASH_BYTES];
    char cause[64];

    if (v->seq_to >= own_seq) /* nothing can be given up before it was sealed */
        return ST_OK;
    bool known = last_hash(v, hash);
    enum st st = city_db_run(d,
                             city_db_bind(d, SQL_VOID_ADD, "iiibti", r->chain, (int64_t)v->seq_from,
                                          (int64_t)v->seq_to, known ? hash : NULL, sizeof hash,
                                          text_of(cause, sizeof cause, v->text), r->batch),
                             e);
    return st == ST_OK ? judge(d, r->chain, v->seq_to + 1, e) : st;
}

static enum st add_entries(struct city_db *d, const struct row *r, const struct city_batch *b,
                           int64_t now_ms, struct err *e)
{
    const struct wire_span *p = &b->batch.cose.payload;
    struct wire_control c;
    struct wire_entry x;
    struct city_entry_at at = {r->batch, 0, r->chain, (int64_t)b->batch.header.seq};
    char series[160], a[160], unit[64];
    enum st st;

    if (b->batch.header.kind != WIRE_CONTROL)
        return ST_OK;
    st = wire_control_open(&c, p->p, p->n, e);
    for (; st == ST_OK && (st = wire_control_next(&c, &x, e)) == ST_OK; at.n++) {
        sqlite3_stmt *s = NULL;
        text_of(series, sizeof series, x.series);
        if (x.kind == WIRE_ENTRY_PLAN)
            s = city_db_bind(
                d, SQL_PLAN_ADD, "itttii", r->batch, series, text_of(a, sizeof a, x.quantity),
                x.unit.p != NULL ? text_of(unit, sizeof unit, x.unit) : NULL, x.period_ms, x.at_ms);
        else if (x.kind == WIRE_ENTRY_RETIRE)
            s = city_db_bind(d, SQL_RETIRE_ADD, "itit", r->batch, series, x.at_ms,
                             text_of(a, sizeof a, x.text));
        if (s != NULL)
            st = city_db_run(d, s, e);
        else if (x.kind == WIRE_ENTRY_VOID)
            st = add_void(d, r, &x, b->batch.header.seq, e);
        else if (x.kind == WIRE_ENTRY_KEY)
            st = city_key_named(d, b->gateway, r->batch, &x, now_ms, e);
        else
            st = city_correct_keep(d, &at, &x, e);
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* Of a batch that does not count, for another one stands under its number, the key that it names
 * still is the next: who sealed it holds the old key, and its chain is over (decision 0017). */
static enum st learn_keys(struct city_db *d, struct row *r, const struct city_batch *b,
                          int64_t now_ms, struct err *e)
{
    const struct wire_span *p = &b->batch.cose.payload;
    struct err told = *e; /* why it does not count */
    struct wire_control c;
    struct wire_entry x;

    if (b->batch.header.kind != WIRE_CONTROL)
        return ST_OK;
    enum st st = wire_control_open(&c, p->p, p->n, e);
    while (st == ST_OK && (st = wire_control_next(&c, &x, e)) == ST_OK)
        if (x.kind == WIRE_ENTRY_KEY)
            st = city_key_named(d, b->gateway, r->batch, &x, now_ms, e);
    if (st != ST_NOT_FOUND)
        return st;
    *e = told;
    return ST_OK;
}

/* Judges every link that this batch is an end of: to its neighbours, and between chains. */
static enum st judge_links(struct city_db *d, const struct row *r, const struct city_batch *b,
                           struct err *e)
{
    const struct wire_header *h = &b->batch.header;
    enum st st = judge(d, r->chain, h->seq + 1, e);

    if (st == ST_OK && h->seq > 1)
        st = judge(d, r->chain, h->seq, e);
    /* this one is followed by chains that came first */
    if (st == ST_OK)
        st =
            city_db_run(d,
                        city_db_bind(d, SQL_JUDGE_AFTER, "ibib", b->gateway, h->chain,
                                     sizeof h->chain, (int64_t)h->seq, b->sha256, sizeof b->sha256),
                        e);
    if (st != ST_OK || h->seq != 1 || !h->after)
        return st;
    /* this one begins a chain that follows one that is held */
    sqlite3_stmt *s = city_db_bind(d, SQL_AFTER_HASH, "ibi", b->gateway, h->after_chain,
                                   sizeof h->after_chain, (int64_t)h->after_seq);
    uint8_t held[WIRE_HASH_BYTES];
    st = city_db_step(d, s, e);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    bool whole = city_db_blob(s, 0, held, sizeof held);
    sqlite3_reset(s);
    if (!whole)
        return err_set(e, ST_CORRUPT, "database: a batch without its hash");
    return city_db_run(d,
                       city_db_bind(d, SQL_JUDGE_AFTER, "ibib", b->gateway, h->after_chain,
                                    sizeof h->after_chain, (int64_t)h->after_seq, held,
                                    sizeof held),
                       e);
}

static enum st receipt(struct city_db *d, const struct wire_key *sign, struct row *r,
                       struct city_batch *b, int64_t now_ms, struct err *e)
{
    const struct wire_header *h = &b->batch.header;
    struct wire_receipt w = {.seq = h->seq, .n = b->n, .received_ms = now_ms};
    enum st st = city_through(d, r->chain, &r->through_seq, r->through_hash, e);

    if (st == ST_OK)
        st =
            city_db_run(d,
                        city_db_bind(d, SQL_CHAIN_THROUGH, "iib", r->chain, (int64_t)r->through_seq,
                                     r->through_hash, sizeof r->through_hash),
                        e);
    if (st != ST_OK)
        return st;
    snprintf(w.gw, sizeof w.gw, "%s", h->gw);
    memcpy(w.chain, h->chain, sizeof w.chain);
    memcpy(w.sha256, b->sha256, sizeof w.sha256);
    w.through_seq = r->through_seq;
    memcpy(w.through_hash, r->through_hash, sizeof w.through_hash);
    st = wire_receipt_sign(&w, wire_key_signer(sign), &b->receipt, e);
    if (st == ST_OK)
        st = city_db_run(
            d, city_db_bind(d, SQL_RECEIPT_ADD, "ib", r->batch, b->receipt.p, b->receipt.n), e);
    return st;
}

enum city_code city_keep(struct city_db *d, const struct wire_key *sign, struct city_batch *b,
                         int64_t now_ms, bool *same, struct err *e)
{
    struct row r;
    bool revoked = false;
    /* it may have been since the batch was looked at */
    enum st st = city_key_revoked(d, b->key, &revoked, e);
    enum city_code code = code_of(st);

    buf_done(&b->receipt);
    buf_init(&b->receipt, 4096);
    *same = false;
    if (code == CITY_OK && revoked) {
        err_set(e, ST_REFUSED, "this key was revoked");
        code = CITY_UNAUTHORIZED;
    }
    if (code == CITY_OK)
        code = chain_of(d, b, &r, e);
    if (code == CITY_OK)
        code = compare(d, &r, b, now_ms, same, e);
    if (code == CITY_CONFLICT && learn_keys(d, &r, b, now_ms, e) != ST_OK)
        return CITY_UNAVAILABLE;
    if (code != CITY_OK)
        return code;
    if (*same)
        return same_receipt(d, b, &b->receipt, e);
    st = add_batch(d, &r, b, now_ms, e);
    if (st == ST_OK)
        st = add_entries(d, &r, b, now_ms, e);
    if (st == ST_OK)
        st = judge_links(d, &r, b, e);
    if (st == ST_OK)
        st = receipt(d, sign, &r, b, now_ms, e);
    return code_of(st);
}
