/* When the city is asked what it holds, and what follows from the answer. */
#include <string.h>

#include "gateway/uplink/uplink_int.h"

uint32_t uplink_draw(struct uplink *u)
{
    u->random ^= u->random << 13;
    u->random ^= u->random >> 7;
    u->random ^= u->random << 17;
    return (uint32_t)(u->random >> 32);
}

int64_t uplink_again_ms(struct uplink *u, int64_t first_ms, int64_t most_ms, unsigned *failures)
{
    int64_t wait = first_ms;
    for (unsigned i = 0; i < *failures && wait < most_ms; i++) {
        wait *= 2;
    }
    wait = wait < most_ms ? wait : most_ms;
    *failures += *failures < 32;
    return wait / 2 + (int64_t)(uplink_draw(u) % (uint64_t)(wait / 2 + 1));
}

bool uplink_head_due(const struct uplink *u)
{
    return !u->asked || clk_mono(u->job->clk).ms >= u->head.due.ms;
}

static void due_in(struct uplink *u, int64_t ms)
{
    u->head.due.ms = u->head.at.ms + ms;
}

void uplink_head_soon(struct uplink *u)
{
    if (u->head.due.ms - u->head.at.ms > UPLINK_HEAD_SOON_MS) {
        due_in(u, UPLINK_HEAD_SOON_MS);
    }
}

/* A city that was put back to before a rotation has lost the batch that names the key: soon. For a
 * key that nobody has enrolled there, now and then is enough. */
void uplink_head_for_key(struct uplink *u, const uint8_t *chain)
{
    bool again = memcmp(u->head.keyless, chain, WIRE_ID_BYTES) == 0;
    int64_t ms = again ? UPLINK_HEAD_AGAIN_MS : UPLINK_HEAD_SOON_MS;
    if (u->head.due.ms - u->head.at.ms > ms) {
        due_in(u, ms);
    }
    memcpy(u->head.keyless, chain, WIRE_ID_BYTES);
}

/* Not verified yet, so all that it can do is to have the head asked. The first receipt of a batch
 * that comes again may be old: its `through` says nothing. */
void uplink_head_heard(struct uplink *u, const struct uplink_sent *s)
{
    if (u->reply.status != 201) {
        return;
    }
    bool same = memcmp(u->head.chain, s->chain, WIRE_ID_BYTES) == 0;
    if (same && s->through_seq < u->head.through) {
        uplink_head_soon(u);
    }
    memcpy(u->head.chain, s->chain, WIRE_ID_BYTES);
    u->head.through = s->through_seq;
}

/* Nothing is sent before the first answer. A city that answers without a head is no reason to wait,
 * nor is one that does not answer later on. */
void uplink_ask_head(struct uplink *u)
{
    struct err e = {0};
    struct store_lacks lacks = {0, 0, 0};
    struct http_reply reply = {.retry_after_s = -1};
    struct uplink_city_config config = {.keeps = false};
    uint64_t trust = 0;
    const struct uplink_head_call call = {.client = u->client,
                                          .url = u->url,
                                          .gw = u->gw,
                                          .keys = u->t.trust.keys,
                                          .nkeys = u->t.trust.nkeys,
                                          .now_ms = uplink_trust_now(u->job->clk),
                                          .stop_fd = u->job->stop->fd,
                                          .config = &config};
    buf_init(&reply.body, WIRE_BATCH_MAX);
    enum st st = uplink_head_ask(&call, u->job->store, u->index, &lacks, &trust, &reply, &e);
    uplink_count(u, false);
    buf_done(&reply.body);
    u->reply.retry_after_s = reply.retry_after_s;
    u->head.at = clk_mono(u->job->clk);
    int64_t every = UPLINK_HEAD_EVERY_MS / 4 * 3;
    due_in(u, every + (int64_t)((uint64_t)(UPLINK_HEAD_EVERY_MS / 2) * uplink_draw(u) >> 32));
    if (st != ST_OK && reply.status == 0) {
        uplink_call_failed(u, st, &reply, &e);
        due_in(u, UPLINK_HEAD_AGAIN_MS);
        return;
    }
    u->asked = u->asked || st == ST_OK || st == ST_NOT_FOUND || st == ST_CORRUPT;
    if (st == ST_OK) {
        u->head.good = true;
        u->head.through = 0; /* what is heard from here on counts */
        uplink_deposit_heard(u, &config);
        uplink_trust_heard(u, trust);
    }
    if (st == ST_CORRUPT && uplink_trust_ask(u)) { /* signed by the key that it told of now */
        u->asked = false;
        due_in(u, 0);
        return;
    }
    if (st == ST_OK && lacks.last_id > 0) {
        u->again_id = lacks.last_id > u->again_id ? lacks.last_id : u->again_id;
        due_in(u, UPLINK_HEAD_AGAIN_MS);
        log_warn("uplink %s: the city has lost %lld batches that are sent again", u->id,
                 (long long)lacks.batches);
    }
    if (st == ST_CORRUPT) {
        uplink_event(u, STORE_WARNING, "uplink.head", e.text);
    } else if (st != ST_OK && st != ST_NOT_FOUND && st != ST_STOPPED) {
        u->failures++;
        due_in(u, UPLINK_HEAD_SOON_MS);
        uplink_set_store_fault(u, e.text);
    }
}
