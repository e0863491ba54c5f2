/* An uplink's thread: picks a batch, sends it, and takes the receipt. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/uplink/uplink_int.h"

#define HELD_MS 60000
#define KEY_MS 10000    /* a chain whose key the city does not take */
#define SETTLE_MS 10000 /* how long accepted batches wait for others to share a verification */
#define IDLE_MS 1000    /* also how fast a stop is noticed */

/* ---- status ---- */

/* What fails on the way to the city and back. */
static void set_fault(struct uplink *u, const char *text)
{
    (void)pthread_mutex_lock(&u->lock);
    bool was = u->status.text[0] != '\0';
    u->status.online = false;
    u->of_store = false;
    (void)snprintf(u->status.text, sizeof(u->status.text), "%s", text);
    (void)pthread_mutex_unlock(&u->lock);
    if (!was) {
        store_event(u->job->store, STORE_WARNING, "uplink.offline", u->id, "%s", text);
        log_warn("uplink %s: %s", u->id, text);
    }
}

/* What fails here, in the store: it is over when the store works again, batch or no batch. */
static void set_store_fault(struct uplink *u, const char *text)
{
    set_fault(u, text);
    u->of_store = true;
}

static void set_store_good(struct uplink *u)
{
    if (!u->of_store) {
        return;
    }
    u->of_store = false;
    u->failures = 0;
    (void)pthread_mutex_lock(&u->lock);
    u->status.online = u->status.last_ok_ms != 0;
    u->status.text[0] = '\0';
    (void)pthread_mutex_unlock(&u->lock);
    store_event(u->job->store, STORE_INFO, "uplink.online", u->id, "the store works again");
    log_info("uplink %s: the store works again", u->id);
}

static void set_good(struct uplink *u)
{
    int64_t now_ms = clk_now(u->job->clk).utc_ms;
    (void)pthread_mutex_lock(&u->lock);
    bool was = u->status.text[0] != '\0';
    u->status.online = true;
    u->status.text[0] = '\0';
    u->of_store = false;
    u->status.last_ok_ms = now_ms;
    u->status.sent++;
    (void)pthread_mutex_unlock(&u->lock);
    if (was) {
        store_event(u->job->store, STORE_INFO, "uplink.online", u->id, "batches go out again");
        log_info("uplink %s: batches go out again", u->id);
    }
}

/* ---- what to send next ---- */

static void hold_for(struct uplink *u, int64_t id, int64_t ms)
{
    struct mono now = clk_mono(u->job->clk);
    if (u->nheld == UPLINK_HELD_MAX) {
        memmove(u->held, u->held + 1, (UPLINK_HELD_MAX - 1) * sizeof(u->held[0]));
        u->nheld--;
    }
    u->held[u->nheld++] = (struct uplink_held){id, {now.ms + ms}};
}

static void hold(struct uplink *u, int64_t id)
{
    hold_for(u, id, HELD_MS);
}

/* The next batch and whether it is backlog: control first, then the newest when it is new, then
 * the oldest. What is on its way or held is passed over. */
static enum st pick(struct uplink *u, struct store_batch *b, bool *backfill, struct err *e)
{
    int64_t but[UPLINK_HELD_MAX + UPLINK_RUN_MAX];
    size_t n = 0, kept = 0;
    int64_t now_ms = clk_mono(u->job->clk).ms;
    for (size_t i = 0; i < u->nheld; i++) {
        if (u->held[i].until.ms > now_ms) {
            u->held[kept++] = u->held[i];
            but[n++] = u->held[i].id;
        }
    }
    u->nheld = kept;
    for (size_t i = 0; i < u->run.count; i++) {
        but[n++] = u->run.sent[i].id;
    }
    *backfill = false;
    enum st st = store_pick_batch_but(u->reader, u->id, STORE_PICK_CONTROL, but, n, b, e);
    if (st != ST_NOT_FOUND) {
        return st;
    }
    st = store_pick_batch_but(u->reader, u->id, STORE_PICK_NEWEST, but, n, b, e);
    if (st != ST_OK || b->id > u->live_id) {
        return st;
    }
    *backfill = true;
    return store_pick_batch_but(u->reader, u->id, STORE_PICK_OLDEST, but, n, b, e);
}

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
    u->status.acknowledged++;
    (void)pthread_mutex_unlock(&u->lock);
}

static void settle(struct uplink *u)
{
    struct err e = {0};
    enum st st =
        uplink_run_settle(&u->run, u->keys, u->nkeys, u->job->store, u->index, acknowledged, u, &e);
    if (st != ST_OK && st != ST_STOPPED) {
        u->failures++;
        (st == ST_CORRUPT ? set_fault : set_store_fault)(u, e.text);
    }
}

static void refused(struct uplink *u, const struct store_batch *b, const struct uplink_verdict *v)
{
    struct err e = {0};
    char name[64];
    batch_name(b->chain, b->seq, name, sizeof(name));
    enum st st = store_refuse(u->job->store, u->index, b->chain, b->seq, v->code, &e);
    if (st != ST_OK) {
        hold(u, b->id);
        set_fault(u, e.text);
        return;
    }
    store_event(u->job->store, STORE_ERROR, "batch.refused", name, "uplink %s: %s (%s)", u->id,
                v->advice, v->code);
    log_error("uplink %s: batch %s: %s (%s)", u->id, name, v->advice, v->code);
}

/* The chain cannot go on at the city; its batches stay here, and the next seal begins another. */
static void conflict(struct uplink *u, const struct store_batch *b, const struct uplink_verdict *v)
{
    struct err e = {0};
    char name[64];
    hold(u, b->id);
    if (memcmp(u->ended, b->chain, WIRE_ID_BYTES) == 0) {
        return;
    }
    if (store_chain_end(u->job->store, b->chain, &e) != ST_OK) {
        set_fault(u, e.text);
        return;
    }
    memcpy(u->ended, b->chain, WIRE_ID_BYTES);
    batch_name(b->chain, b->seq, name, sizeof(name));
    store_event(u->job->store, STORE_ERROR, "chain.conflict", name,
                "uplink %s: %s; a new chain begins", u->id, v->advice);
    log_error("uplink %s: batch %s: %s; a new chain begins", u->id, name, v->advice);
}

static void accepted(struct uplink *u, const struct store_batch *b)
{
    struct err e = {0};
    enum st st = uplink_run_add(&u->run, u->gw, b, &u->reply.body, clk_mono(u->job->clk), &e);
    if (st != ST_OK) {
        u->failures++;
        hold(u, b->id); /* whoever answers so for one batch may be right about others */
        set_fault(u, e.text);
        return;
    }
    u->failures = 0;
    if (b->kind == WIRE_DATA && b->id > u->live_id) {
        u->live_id = b->id;
    }
    set_good(u);
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
        hold(u, b->id);
        break;
    case UPLINK_KEY: /* -id: all of its chain */
        hold_for(u, -b->id, KEY_MS);
        break;
    case UPLINK_RETRY:
        break;
    }
    char text[200];
    u->failures++;
    (void)snprintf(text, sizeof(text), "answer %d%s%s: %s", u->reply.status, v.code[0] ? " " : "",
                   v.code, v.advice);
    set_fault(u, text);
}

static void call_failed(struct uplink *u, enum st st, const struct http_reply *r,
                        const struct err *e)
{
    if (st == ST_STOPPED) {
        return;
    }
    if (st != ST_CORRUPT || r->cert.to_ms == 0) {
        u->failures++;
        set_fault(u, e->text);
        return;
    }
    char text[sizeof u->status.text];
    uplink_clock_words(r, clk_now(u->job->clk).grade, text, sizeof(text));
    set_fault(u, text);
    uplink_clock_wait(u->job);
    u->failures = 0; /* what the clock refused says nothing about the line */
}

static void send_one(struct uplink *u, const struct store_batch *b, bool backfill)
{
    struct err e = {0};
    enum st st =
        uplink_city_put(u->client, u->url, u->gw, b, backfill, u->job->stop->fd, &u->reply, &e);
    (void)pthread_mutex_lock(&u->lock);
    u->status.bytes += (uint64_t)u->reply.sent_bytes;
    (void)pthread_mutex_unlock(&u->lock);
    if (st == ST_OK) {
        judge(u, b);
    } else {
        call_failed(u, st, &u->reply, &e);
    }
}

/* ---- the thread ---- */

static uint32_t draw(struct uplink *u)
{
    u->random ^= u->random << 13;
    u->random ^= u->random >> 7;
    u->random ^= u->random << 17;
    return (uint32_t)(u->random >> 32);
}

/* Whether that worked. */
static bool take_carried(struct uplink *u)
{
    const struct uplink_taker t = {.id = u->id,
                                   .gw = u->gw,
                                   .keys = u->keys,
                                   .nkeys = u->nkeys,
                                   .index = u->index,
                                   .reader = u->reader,
                                   .store = u->job->store,
                                   .stop = u->job->stop};
    struct err e = {0};
    uint64_t acked = 0;
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
    set_store_fault(u, e.text);
    return false;
}

/* Once, before anything is sent. A city that answers without a head is no reason to wait. */
static void ask_head(struct uplink *u)
{
    struct err e = {0};
    struct http_reply reply = {.retry_after_s = -1};
    const struct uplink_head_call call = {u->url,  u->ca,    u->gw,
                                          u->keys, u->nkeys, u->job->stop->fd};
    buf_init(&reply.body, WIRE_BATCH_MAX);
    enum st st = uplink_head_ask(&call, u->job->store, u->index, &reply, &e);
    buf_done(&reply.body);
    if (st != ST_OK && reply.status == 0) {
        call_failed(u, st, &reply, &e);
        return;
    }
    u->asked = st == ST_OK || st == ST_NOT_FOUND || st == ST_CORRUPT;
    if (st == ST_CORRUPT) {
        store_event(u->job->store, STORE_WARNING, "uplink.head", u->id, "%s", e.text);
        log_warn("uplink %s: %s", u->id, e.text);
    } else if (!u->asked && st != ST_STOPPED) {
        u->failures++;
        set_store_fault(u, e.text);
    }
}

/* Sleeps, but not past a file of receipts; a stop wakes it. */
static void pause_for(struct uplink *u, int64_t ms)
{
    for (int64_t part; ms > 0 && !thr_stop_wait(u->job->stop, 0); ms -= part) {
        part = ms < IDLE_MS ? ms : IDLE_MS;
        (void)thr_stop_wait(u->job->stop, part);
        (void)take_carried(u);
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
    if (!u->asked) {
        ask_head(u);
    }
    if (u->asked) {
        st = pick(u, &b, &backfill, &e);
    }
    if (st == ST_OK) {
        send_one(u, &b, backfill);
    } else if (st == ST_NOT_FOUND) {
        store_wait_sealed(u->job->store, IDLE_MS);
    } else if (u->asked) {
        if (st == ST_CORRUPT) { /* a damaged batch does not keep the others back */
            hold(u, b.id);
        }
        u->failures++;
        set_store_fault(u, e.text);
    }
    int64_t age_ms = clk_mono(u->job->clk).ms - u->run.since.ms;
    if (u->run.count == UPLINK_RUN_MAX ||
        (u->run.count > 0 && (age_ms >= SETTLE_MS || u->failures > before))) {
        settle(u);
    }
    if (take_carried(u) && u->run.count == 0 && (st == ST_OK || st == ST_NOT_FOUND)) {
        set_store_good(u);
    }
    if (u->failures > before) {
        pause_for(u, uplink_backoff_ms(u->failures, draw(u), u->reply.retry_after_s));
    }
}

static enum st open_thread(struct uplink *u, struct err *e)
{
    const struct http_client_cfg cfg = {.ca = u->ca,
                                        .connect_ms = UPLINK_CONNECT_MS,
                                        .total_ms = UPLINK_CALL_MS,
                                        .max_answer = UPLINK_ANSWER_MAX,
                                        .user_agent = "fieldpost"};
    enum st st = ST_OK;
    if (!u->reader) {
        st = store_reader_open_in(&u->reader, u->job->store, e);
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
    u->gw = job->uplinks->gw;
    while (open_thread(u, &e) != ST_OK) {
        set_fault(u, e.text);
        if (thr_stop_wait(job->stop, uplink_backoff_ms(++u->failures, UINT32_MAX, -1))) {
            goto out;
        }
    }
    u->failures = 0;
    while (!thr_stop_wait(job->stop, 0)) {
        step(u);
    }
    settle(u); /* what the city has acknowledged need not be sent again */
out:
    http_client_close(u->client);
    store_reader_close(u->reader);
    u->client = NULL;
    u->reader = NULL;
}
