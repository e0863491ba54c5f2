#include "tests/crash/site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TICK SITE_TICK
#define GRACE 2000

void site_ok(enum st st, const struct err *e)
{
    if (st != ST_OK)
        fail_msg("%s: %s", err_name(st), e->text);
}

/* ---- one gateway ---- */

static size_t calls(const struct site *r)
{
    return r->recording ? r->before + r->log.n : r->cut;
}

static void mark(struct site *r)
{
    const struct line *l = &r->line;
    if (!r->recording)
        return;
    r->mark = realloc(r->mark, (r->nmark + 1) * sizeof *r->mark);
    assert_non_null(r->mark);
    r->mark[r->nmark++] =
        (struct site_mark){calls(r), l->utc_ms, l->mono_ms, l->devices, l->machine};
}

uint64_t site_dice(struct site *r, uint64_t n)
{
    return rec_next(&r->random) % n;
}

void site_clock_to(struct site *r, int64_t t_ms)
{
    r->line.mono_ms += t_ms - r->line.utc_ms;
    r->line.utc_ms = t_ms;
    mark(r);
}

static void harvest(struct site *r)
{
    if (r->reader)
        ledger_harvest(&r->ledger, r->reader, calls(r));
}

/* What a call of the writer's said; a full store may be full, where that is the script. */
static bool worked(struct site *r, enum st st, const struct err *e)
{
    r->full = st == ST_FULL;
    if (!r->full || !r->may_fill)
        site_ok(st, e);
    return st == ST_OK;
}

static void step(struct site *r)
{
    struct err e = {0};
    if (worked(r, store_step(r->line.store, false, &e), &e))
        (void)worked(r, seal_step(r->line.seal, &e), &e);
    harvest(r);
}

void site_to(struct site *r, int64_t t_ms)
{
    site_clock_to(r, t_ms);
    step(r);
}

void site_flush(struct site *r)
{
    struct err e = {0};
    if (worked(r, store_step(r->line.store, true, &e), &e))
        ledger_safe(&r->ledger, calls(r));
}

int64_t site_value(uint32_t device, int64_t t_ms)
{
    return (t_ms / 1000 * 7 + device * 131) % 997;
}

void site_poll(struct site *r)
{
    struct line *l = &r->line;
    for (uint32_t d = 0; d < l->devices; d++) {
        if (site_dice(r, 13) == 0) {
            line_miss(l, d, l->utc_ms, STORE_BUS);
            continue;
        }
        int64_t v = site_value(d, l->utc_ms);
        ledger_put(&r->ledger, d, l->points, l->utc_ms, v, calls(r));
        line_poll(l, d, l->utc_ms, v);
    }
}

void site_window(struct site *r, unsigned ticks, unsigned flushed, enum site_phase poll,
                 enum site_phase seal)
{
    int64_t end = (r->line.utc_ms / LINE_MINUTE + 1) * LINE_MINUTE;
    for (unsigned i = 0; r->line.utc_ms < end; i++) {
        rec_phase((int)poll);
        site_clock_to(r, r->line.utc_ms / TICK * TICK + TICK);
        if (i < ticks)
            site_poll(r); /* else it is as if the collector stood still: nothing tells of it */
        if (i < flushed)
            site_flush(r);
        rec_phase((int)(r->line.utc_ms < end ? poll : seal));
        step(r);
    }
    site_to(r, end + GRACE);
}

void site_start(struct site *r)
{
    struct err e = {0};
    mark(r);
    line_start(&r->line);
    site_ok(store_reader_open_in(&r->reader, r->line.store, &e), &e);
    site_to(r, r->line.utc_ms);
}

void site_stop(struct site *r, bool shared)
{
    struct store_reader *other = NULL;
    struct err e = {0};
    if (shared)
        site_ok(store_reader_open(&other, r->line.db, &e), &e);
    store_reader_close(r->reader);
    r->reader = NULL;
    line_stop(&r->line);
    store_reader_close(other);
}

/* ---- the city ---- */

void site_drain(struct site *r)
{
    int64_t sent[256];
    size_t n = 0;
    struct store_batch b;
    struct err e = {0};
    enum st st = ST_OK;
    while (n < 256 && (st = store_pick_batch_but(r->reader, "city", STORE_PICK_OLDEST, sent, n, &b,
                                                 &e)) == ST_OK) {
        ledger_hand(&r->ledger, &b, calls(r));
        sent[n++] = b.id;
    }
    if (st != ST_NOT_FOUND)
        fail_msg("pick: %s", e.text);
}

void site_eager(void *ctx)
{
    static const enum store_pick picks[] = {STORE_PICK_CONTROL, STORE_PICK_NEWEST,
                                            STORE_PICK_OLDEST};
    struct site *r = ctx;
    for (size_t i = 0; i < sizeof picks / sizeof *picks; i++) {
        struct store_batch b;
        struct err e = {0};
        enum st st = store_pick_batch_but(r->reader, "city", picks[i], NULL, 0, &b, &e);
        if (st == ST_OK)
            ledger_hand(&r->ledger, &b, calls(r));
        else if (st != ST_NOT_FOUND)
            fail_msg("pick: %s", e.text);
    }
}

/* The newest batch that the city was handed and has not accepted. */
static const struct ledger_batch *newest_handed(const struct site *r)
{
    for (size_t i = r->ledger.nbatch; i-- > 0;) {
        const struct ledger_batch *x = &r->ledger.batch[i];
        if (x->handed != LEDGER_NEVER && x->accepted == LEDGER_NEVER)
            return x;
    }
    return NULL;
}

void site_answer(struct site *r, bool prefix)
{
    const struct ledger_batch *x = newest_handed(r);
    struct wire_receipt w = {.gw = "gw-01", .received_ms = r->line.utc_ms};
    struct wire_key *key;
    struct buf receipt;
    struct err e = {0};
    if (!x)
        return;
    w.seq = x->seq;
    w.n = x->n;
    w.through_seq = prefix ? x->seq : 0;
    memcpy(w.chain, x->batch.header.chain, sizeof w.chain);
    memcpy(w.sha256, x->hash, sizeof w.sha256);
    if (prefix)
        memcpy(w.through_hash, x->hash, sizeof w.through_hash);
    site_ok(wire_key_load(&key, r->line.key, &e), &e);
    buf_init(&receipt, 4096);
    site_ok(wire_receipt_sign(&w, wire_key_signer(key), &receipt, &e), &e);
    wire_key_free(key);
    ledger_accept(&r->ledger, w.chain, w.seq, prefix, calls(r));
    line_writer_start(&r->line);
    site_ok(store_ack(r->line.store, 0, w.chain, w.seq, prefix,
                      (struct wire_span){receipt.p, receipt.n}, &e),
            &e);
    line_writer_stop(&r->line);
    buf_done(&receipt);
}

void site_answer_all(struct site *r)
{
    while (newest_handed(r))
        site_answer(r, true);
}

void site_refuse(struct site *r)
{
    const struct ledger_batch *x = newest_handed(r);
    struct err e = {0};
    uint8_t chain[WIRE_ID_BYTES];
    if (!x || x->batch.header.kind != WIRE_DATA)
        return;
    uint64_t seq = x->seq;
    memcpy(chain, x->batch.header.chain, sizeof chain);
    ledger_accept(&r->ledger, chain, seq, false, calls(r));
    line_writer_start(&r->line);
    site_ok(store_refuse(r->line.store, 0, chain, seq, "bad_cbor", &e), &e);
    line_writer_stop(&r->line);
}
