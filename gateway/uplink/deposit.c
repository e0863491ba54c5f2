/* The configuration goes to the city for safe keeping (decision 0024): when the city's signed head
 * says that it keeps such and has another than the store, and only while no batch waits. */
#include <stdio.h>
#include <string.h>

#include "gateway/uplink/uplink_int.h"

#define FIRST_MS 10000
#define MOST_MS (6 * 3600000)
#define TELL_AT 3 /* failures in a row: the first may come before the city has what it rests on */

void uplink_deposit_heard(struct uplink *u, const struct uplink_city_config *c)
{
    u->deposit.city = *c;
    u->deposit.look = c->keeps;
}

/* At least what the city asks for, which has a bound. */
static void later(struct uplink *u, long retry_after_s)
{
    struct uplink_deposit *d = &u->deposit;
    int64_t wait = uplink_again_ms(u, FIRST_MS, MOST_MS, &d->failures);
    int64_t asked = retry_after_s > 0 ? (int64_t)retry_after_s * 1000 : 0;
    asked = asked < UPLINK_RETRY_AFTER_MAX_MS ? asked : UPLINK_RETRY_AFTER_MAX_MS;
    d->due.ms = clk_mono(u->job->clk).ms + (wait > asked ? wait : asked);
}

static void failed(struct uplink *u, const char *why)
{
    later(u, u->reply.retry_after_s);
    if (u->deposit.failures == TELL_AT) {
        store_event(u->job->store, STORE_WARNING, "config.deposit", u->id,
                    "the city does not keep the configuration yet: %s", why);
        log_warn("uplink %s: the city does not keep the configuration yet: %s", u->id, why);
    }
}

static enum st put(struct uplink *u, const struct store_deposit *k, struct err *e)
{
    static const char *const headers[] = {
        "Content-Type: application/cose; cose-type=\"cose-sign1\"", "Content-Encoding: zstd", NULL};
    char url[UPLINK_URL_BYTES];
    ERR_TRY(uplink_url_put(url, u->url, e, "/v1/gateways/%s/config", u->gw));
    /* no more time than a call without a body has: readings may come meanwhile */
    const struct http_call call = {.method = "PUT",
                                   .url = url,
                                   .body = k->packed.p,
                                   .body_n = k->packed.n,
                                   .headers = headers};
    atomic_store(&u->busy, true);
    enum st st = http_client_do(u->client, &call, u->job->stop->fd, &u->reply, e);
    uplink_count(u, false);
    (void)pthread_mutex_lock(&u->lock);
    u->status.bytes += (uint64_t)u->reply.sent_bytes;
    (void)pthread_mutex_unlock(&u->lock);
    return st;
}

/* Why not, in the city's words where it has some. */
static enum st refused(const struct http_reply *r, const struct uplink_verdict *v, struct err *e)
{
    char detail[256];
    if (v->code[0] &&
        uplink_problem_member(r->body.p, r->body.n, "detail", detail, sizeof(detail))) {
        return err_set(e, ST_REFUSED, "answer %d %s: %s", r->status, v->code, detail);
    }
    return err_set(e, ST_REFUSED, "answer %d: %s", r->status, v->advice);
}

static void send(struct uplink *u, const struct store_deposit *k)
{
    struct err e = {.text = ""};
    enum st st = put(u, k, &e);
    if (st == ST_STOPPED) {
        return;
    }
    if (st == ST_OK) {
        struct uplink_verdict v = uplink_judge(&u->reply, k->sha256);
        st = v.action == UPLINK_ACCEPTED ? ST_OK : refused(&u->reply, &v, &e);
    }
    if (st != ST_OK) {
        failed(u, e.text);
        return;
    }
    bool first = !u->deposit.told;
    u->deposit.look = false;
    u->deposit.failures = 0;
    u->deposit.told = true;
    memcpy(u->deposit.city.sha256, k->sha256, sizeof(k->sha256));
    if (first || u->reply.status == 201) {
        store_event(u->job->store, STORE_INFO, "config.deposited", u->id,
                    "the city keeps the configuration that is in force, for a box that replaces "
                    "this one");
    }
}

bool uplink_deposit_step(struct uplink *u)
{
    struct uplink_deposit *d = &u->deposit;
    struct store_deposit k;
    struct err e = {.text = ""};
    unsigned kept = store_deposits(u->job->store);
    d->look = d->city.keeps && (d->look || kept != d->seen);
    if (!d->look || clk_mono(u->job->clk).ms < d->due.ms) {
        return false;
    }
    d->seen = kept;
    enum st st = store_reader_deposit(u->reader, &k, &e);
    if (st == ST_NOT_FOUND) { /* seal says when there is one */
        d->look = false;
        return false;
    }
    if (st != ST_OK) {
        failed(u, e.text);
        return false;
    }
    bool same = memcmp(k.sha256, d->city.sha256, sizeof(k.sha256)) == 0;
    if (same) {
        d->look = false;
    } else {
        send(u, &k);
    }
    buf_done(&k.packed);
    return !same;
}
