/* An uplink's thread: picks a batch, sends it, and takes the receipt. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/uplink/uplink_int.h"

#define KEY_MS 10000    /* a chain whose key the city does not take */
#define SETTLE_MS 10000 /* how long accepted batches wait for others to share a verification */
#define IDLE_MS 1000    /* also how fast a stop is noticed */

/* ---- sending ---- */

static void batch_name(const uint8_t *chain, uint64_t seq, char *out, size_t n)
{
    char hex[WIRE_ID_TEXT];
    wire_hex(chain, WIRE_ID_BYTES, hex);
    (void)snprintf(out, n, "%s/%llu", hex, (unsigned long long)seq);
}

static void acknowledged(void *ctx, const struct uplink_sent *s)
{
    struct uplink *u = ctx;
    char name[64];
    batch_name(s->chain, s->seq, name, sizeof(name));
    log_limited(&u->acked_limit, 60, LOG_LEVEL_INFO,
                "uplink %s: batch %s acknowledged, %llu readings", u->id, name,
                (unsigned long long)s->readings);
    (void)pthread_mutex_lock(&u->lock);
    u->status.unproven = false;
    u->status.acknowledged++;
    (void)pthread_mutex_unlock(&u->lock);
}

static void settle(struct uplink *u)
{
    struct err e = {0};
    if (uplink_run_stranger(&u->run, u->t.trust.keys, u->t.trust.nkeys)) {
        (void)uplink_trust_ask(u); /* it may have changed its key */
    }
    enum st st = uplink_run_settle(&u->run, u->t.trust.keys, u->t.trust.nkeys, u->job->store,
                                   u->index, acknowledged, u, &e);
    if (u->run.ask) {
        uplink_head_soon(u);
        u->run.ask = false;
    }
    if (st != ST_OK && st != ST_STOPPED) {
        u->failures++;
        if (st == ST_CORRUPT) {
            uplink_set_unproven(u, true); /* until one verifies: batches are taken meanwhile */
            uplink_set_fault_as(u, "receipt_key", e.text);
        } else {
            uplink_set_store_fault(u, e.text);
        }
    }
}

static void refused(struct uplink *u, const struct store_batch *b, const struct uplink_verdict *v)
{
    struct err e = {0};
    char name[64];
    batch_name(b->chain, b->seq, name, sizeof(name));
    enum st st = store_refuse(u->job->store, u->index, b->chain, b->seq, v->code, &e);
    if (st != ST_OK) {
        uplink_hold(u, b->id);
        uplink_set_fault(u, e.text);
        return;
    }
    store_event(u->job->store, STORE_ERROR, "batch.refused", name, "uplink %s: %s (%s)", u->id,
                v->advice, v->code);
    log_error("uplink %s: batch %s: %s (%s)", u->id, name, v->advice, v->code);
}

/* The chain cannot go on at the city: the next seal begins another, and seals there once more what
 * this batch says. */
static void conflict(struct uplink *u, const struct store_batch *b, const struct uplink_verdict *v)
{
    struct err e = {0};
    char name[64];
    enum st st = store_chain_end(u->job->store, b->chain, &e);
    if (st == ST_OK) {
        st = store_refuse(u->job->store, u->index, b->chain, b->seq, v->code, &e);
    }
    if (st != ST_OK) {
        uplink_hold(u, b->id);
        uplink_set_fault(u, e.text);
        return;
    }
    uplink_head_soon(u);
    if (memcmp(u->ended, b->chain, WIRE_ID_BYTES) == 0) {
        return; /* told */
    }
    memcpy(u->ended, b->chain, WIRE_ID_BYTES);
    batch_name(b->chain, b->seq, name, sizeof(name));
    store_event(u->job->store, STORE_ERROR, "chain.conflict", name,
                "uplink %s: %s: its readings go out again in a new chain. A copy of the store was "
                "restored here? Then all is well. Else another gateway runs with this key: find it",
                u->id, v->advice);
    log_error("uplink %s: batch %s: %s; a new chain begins", u->id, name, v->advice);
}

static void accepted(struct uplink *u, const struct store_batch *b)
{
    struct err e = {0};
    enum st st = uplink_run_add(&u->run, u->gw, b, &u->reply.body, clk_mono(u->job->clk), &e);
    if (st != ST_OK) {
        u->failures++;
        uplink_hold(u, b->id); /* whoever answers so for one batch may be right about others */
        uplink_set_fault(u, e.text);
        return;
    }
    u->failures = 0;
    struct wire_receipt r;
    struct wire_cose cose;
    if (u->reply.status == 201 && /* one that is given again says when it was first */
        wire_receipt_open(&r, &cose, u->reply.body.p, u->reply.body.n, NULL) == ST_OK) {
        uplink_set_clock_off(u, &r);
    }
    uplink_head_heard(u, &u->run.sent[u->run.count - 1]);
    if (b->kind == WIRE_DATA && b->id > u->live_id) {
        u->live_id = b->id;
    }
    uplink_set_good(u);
}

static void judge(struct uplink *u, const struct store_batch *b)
{
    struct uplink_verdict v = uplink_judge(&u->reply, b->hash);
    switch (v.action) {
    case UPLINK_ACCEPTED:
        accepted(u, b);
        return;
    case UPLINK_REFUSED:
        refused(u, b, &v);
        return;
    case UPLINK_CONFLICT:
        conflict(u, b, &v);
        return;
    case UPLINK_HOLD:
        uplink_hold(u, b->id);
        break;
    case UPLINK_KEY: /* -id: all of its chain */
        uplink_hold_for(u, -b->id, KEY_MS);
        if (strcmp(v.code, "unknown_key") == 0) {
            uplink_head_for_key(u, b->chain);
        }
        break;
    case UPLINK_RETRY:
        break;
    }
    char text[200];
    u->failures++;
    (void)snprintf(text, sizeof(text), "answer %d%s%s: %s", u->reply.status, v.code[0] ? " " : "",
                   v.code, v.advice);
    uplink_set_fault_as(u, v.why, text);
}

static void send_one(struct uplink *u, const struct store_batch *b, bool backfill)
{
    struct err e = {0};
    if (b->id <= u->again_id) {
        u->again_due.ms = clk_mono(u->job->clk).ms + UPLINK_AGAIN_MS;
    }
    atomic_store(&u->busy, true);
    enum st st =
        uplink_city_put(u->client, u->url, u->gw, b, backfill, u->job->stop->fd, &u->reply, &e);
    uplink_count(u, false);
    (void)pthread_mutex_lock(&u->lock);
    u->status.bytes += (uint64_t)u->reply.sent_bytes;
    (void)pthread_mutex_unlock(&u->lock);
    /* whoever refuses may do so before all has gone: that is no rate */
    bool taken = u->reply.status == 200 || u->reply.status == 201;
    if (st == ST_OK && taken && u->job->uploaded) {
        u->job->uploaded(u->job->ctx, u->wire.interface, u->reply.sent_bytes, u->reply.call_us);
    }
    if (st == ST_OK) {
        judge(u, b);
    } else {
        uplink_call_failed(u, st, &u->reply, &e);
    }
}

/* ---- the thread ---- */

/* Whether that worked. */
static bool take_carried(struct uplink *u)
{
    const struct uplink_taker t = {.id = u->id,
                                   .gw = u->gw,
                                   .keys = u->t.trust.keys,
                                   .nkeys = u->t.trust.nkeys,
                                   .index = u->index,
                                   .reader = u->reader,
                                   .store = u->job->store,
                                   .stop = u->job->stop};
    struct err e = {0};
    uint64_t acked = 0;
    if (u->job->i == 0) { /* one of them does it for all */
        uplink_again_all(u->job->store);
    }
    enum st st = uplink_carried_all(&t, &acked, &e);
    if (acked > 0) {
        log_info("uplink %s: %llu batches acknowledged by a file of receipts", u->id,
                 (unsigned long long)acked);
        (void)pthread_mutex_lock(&u->lock);
        u->status.acknowledged += acked;
        (void)pthread_mutex_unlock(&u->lock);
    }
    if (st == ST_OK || st == ST_STOPPED) {
        return true;
    }
    uplink_set_store_fault(u, e.text);
    return false;
}

/* Sleeps, but not past a file of receipts, nor, once for each, past what urges, unless the city
 * named a time; a stop wakes it. */
static void pause_for(struct uplink *u, int64_t ms)
{
    int64_t urgent = 0;
    atomic_store(&u->busy, false);
    for (int64_t part; ms > 0 && !thr_stop_wait(u->job->stop, 0); ms -= part) {
        part = ms < IDLE_MS ? ms : IDLE_MS;
        (void)thr_stop_wait(u->job->stop, part);
        (void)take_carried(u);
        if (u->reply.retry_after_s < 0) {
            urgent = store_urgent_behind(u->job->store, u->urgent_tried);
        }
        if (urgent != 0) {
            u->urgent_tried = urgent;
            return;
        }
    }
}

static void step(struct uplink *u)
{
    struct store_batch b = {.id = 0};
    struct err e = {0};
    bool backfill;
    unsigned before = u->failures;
    enum st st = ST_BUSY;
    u->reply.retry_after_s = -1;
    enum store_spend spend = uplink_may_spend(u);
    if (spend == STORE_SPEND_NOTHING && !uplink_urged(u)) {
        settle(u);
        pause_for(u, IDLE_MS);
        return;
    }
    if (uplink_head_due(u)) {
        settle(u); /* what was accepted is not missing */
        atomic_store(&u->busy, true);
        uplink_ask_head(u);
    }
    if (u->asked) {
        st = uplink_pick(u, spend, &b, &backfill, &e);
    }
    if (st == ST_OK) {
        send_one(u, &b, backfill);
    } else if (st == ST_NOT_FOUND && spend == STORE_SPEND_ALL && uplink_deposit_step(u)) {
        st = ST_OK; /* and look again at once */
    } else if (st == ST_NOT_FOUND) {
        atomic_store(&u->busy, false);
        store_wait_sealed(u->job->store, IDLE_MS);
    } else if (u->asked) {
        if (st == ST_CORRUPT) { /* a damaged batch does not keep the others back */
            uplink_hold(u, b.id);
        }
        u->failures++;
        uplink_set_store_fault(u, e.text);
    }
    int64_t age_ms = clk_mono(u->job->clk).ms - u->run.since.ms;
    if (u->run.count == UPLINK_RUN_MAX ||
        (u->run.count > 0 && (age_ms >= SETTLE_MS || u->failures > before))) {
        settle(u);
    }
    if (take_carried(u) && u->run.count == 0 && (st == ST_OK || st == ST_NOT_FOUND)) {
        uplink_set_store_good(u);
        if (st == ST_NOT_FOUND && spend == STORE_SPEND_ALL && u->nheld == 0 && u->again_id == 0) {
            uplink_set_settled(u);
        }
    }
    if (u->failures > before) {
        pause_for(u, uplink_backoff_ms(u->failures, uplink_draw(u), u->reply.retry_after_s));
    }
}

static enum st open_thread(struct uplink *u, struct err *e)
{
    const struct http_client_cfg cfg = {.ca = u->t.ca,
                                        .cert = uplink_client_cert(u),
                                        .connect_ms = UPLINK_CONNECT_MS,
                                        .total_ms = UPLINK_CALL_MS,
                                        .max_answer = UPLINK_ANSWER_MAX,
                                        .user_agent = "fieldpost",
                                        .wire = &u->wire};
    enum st st = ST_OK;
    if (!u->reader) {
        st = store_reader_open_in(&u->reader, u->job->store, e);
        if (st == ST_OK) {
            st = store_budget_load(&u->budget, u->reader, u->id, e);
        }
    }
    if (st == ST_OK && !u->client) {
        st = http_client_open(&u->client, &cfg, e);
    }
    if (st == ST_OK && u->random == 0) {
        st = wire_random(&u->random, sizeof(u->random), e);
        u->random |= 1;
    }
    return st;
}

void uplink_main(void *uplink_job)
{
    struct uplink_job *job = uplink_job;
    struct uplink *u = &job->uplinks->v[job->i];
    struct err e = {0};
    u->job = job;
    u->asked = false;
    u->head.due = u->head.at = (struct mono){0};
    u->gw = job->uplinks->gw;
    u->t.looked = false;
    while (uplink_trust_step(u, &e) != ST_OK || open_thread(u, &e) != ST_OK) {
        uplink_set_fault(u, e.text);
        if (thr_stop_wait(job->stop, uplink_backoff_ms(++u->failures, UINT32_MAX, -1))) {
            goto out;
        }
    }
    u->failures = 0;
    while (!thr_stop_wait(job->stop, 0)) {
        uplink_renew_step(u);
        uplink_page_step(u);
        if (uplink_trust_step(u, &e) == ST_OK && (u->client || open_thread(u, &e) == ST_OK)) {
            step(u);
        } else {
            uplink_set_fault(u, e.text);
            (void)thr_stop_wait(job->stop, IDLE_MS);
        }
    }
    settle(u); /* what the city has acknowledged need not be sent again */
out:
    atomic_store(&u->busy, false);
    http_client_close(u->client);
    uplink_count(u, true);
    store_reader_close(u->reader);
    u->client = NULL;
    u->reader = NULL;
}
