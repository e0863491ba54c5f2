#include "gateway/uplink/uplink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/uplink/uplink_int.h"

#define HELD_MAX 16
#define HELD_MS 60000
#define SETTLE_MS 10000 /* how long accepted batches wait for others to share a verification */
#define IDLE_MS 1000    /* also how fast a stop is noticed */
#define ANSWER_MAX_BYTES 16384

enum uplink_type { TYPE_CITY };
static const struct cfg_word types[] = {{"city", TYPE_CITY}, {NULL, 0}};
static const struct cfg_field fields[] = {
    {.key = "type",
     .kind = CFG_WORD,
     .offset = offsetof(struct uplink_cfg, type),
     .dflt = "city",
     .words = types,
     .help = "the protocol"},
    {.key = "url",
     .kind = CFG_STRING,
     .offset = offsetof(struct uplink_cfg, url),
     .required = true,
     .help = "the city's address, such as https://city.example:8443"},
    {.key = "ca",
     .kind = CFG_STRING,
     .offset = offsetof(struct uplink_cfg, ca),
     .required = true,
     .help = "PEM file with the certificate that signs the city's TLS certificate"},
    {.key = "receipt_keys",
     .kind = CFG_STRINGS,
     .offset = offsetof(struct uplink_cfg, receipt_keys),
     .required = true,
     .help = "PEM files with the public keys that sign the city's receipts"},
    {.key = "required",
     .kind = CFG_BOOL,
     .offset = offsetof(struct uplink_cfg, required),
     .dflt = "true",
     .help = "whether batches stay in the store until this uplink acknowledged them"},
    {.key = NULL}};
const struct cfg_table uplink_table = {sizeof(struct uplink_cfg), fields};

/* A batch that the city cannot take now; others pass it. */
struct held {
    int64_t id;
    struct mono until;
};

struct uplink {
    char *id, *url, *ca;
    bool required;
    struct wire_pub **keys;
    size_t nkeys;
    uint32_t index; /* in the store */
    pthread_mutex_t lock;
    struct uplink_status status; /* under lock */

    /* The thread's own. */
    struct uplink_job *job;
    const char *gw;
    struct store_reader *reader;
    struct http_client *client;
    struct http_reply reply;
    struct uplink_run run;
    struct held held[HELD_MAX];
    size_t nheld;
    int64_t live_id; /* newest data batch that was sent */
    bool asked;      /* the city has been asked what it holds */
    uint8_t ended[WIRE_ID_BYTES];
    unsigned failures;
    uint64_t random;
    struct log_limit acked_limit;
    bool of_store; /* status.text tells of the store */
};

struct uplinks {
    char *gw;
    struct uplink *v;
    size_t n;
};

/* ---- configuration ---- */

static bool check_entry(const struct uplink_cfg *u, struct cfg *c)
{
    bool good = true;
    if (strncmp(u->url, "https://", 8) != 0 || strpbrk(u->url, " ?#@") || !u->url[8]) {
        cfg_complain(c, &u->url,
                     "url: must be https://HOST[:PORT][/PATH], such as https://city.example:8443");
        good = false;
    } else if (strlen(u->url) > UPLINK_URL_BYTES / 2) {
        cfg_complain(c, &u->url, "url: is longer than %d bytes", UPLINK_URL_BYTES / 2);
        good = false;
    }
    if (access(u->ca, R_OK) != 0) {
        cfg_complain(c, &u->ca, "ca: %s cannot be read: copy the city's CA certificate there",
                     u->ca);
        good = false;
    }
    if (u->receipt_keys.n == 0) {
        cfg_complain(c, &u->receipt_keys, "receipt_keys: name at least one public key of the city");
        good = false;
    }
    return good;
}

static enum st open_entry(struct uplink *u, const struct uplink_cfg *cfg, struct cfg *c,
                          struct err *e)
{
    bool good = check_entry(cfg, c);
    u->id = strdup(cfg->id);
    u->url = strdup(cfg->url);
    u->ca = strdup(cfg->ca);
    u->keys = calloc(cfg->receipt_keys.n + 1, sizeof(struct wire_pub *));
    if (!u->id || !u->url || !u->ca || !u->keys) {
        return err_set(e, ST_MEMORY, "uplinks.%s: no memory", cfg->id);
    }
    u->required = cfg->required;
    for (size_t i = 0; i < cfg->receipt_keys.n; i++) {
        struct err why = {0};
        if (wire_pub_load(&u->keys[u->nkeys], cfg->receipt_keys.v[i], &why) == ST_OK) {
            u->nkeys++;
        } else {
            cfg_complain(c, &cfg->receipt_keys.v[i], "receipt_keys: %s", why.text);
            good = false;
        }
    }
    return good ? ST_OK : err_set(e, ST_BAD, "uplinks.%s: see the configuration", cfg->id);
}

enum st uplinks_open(struct uplinks **out, const struct cfg_items *cfg, const char *gateway,
                     struct cfg *c, struct err *e)
{
    *out = NULL;
    struct uplinks *us = calloc(1, sizeof(*us));
    if (!us) {
        return err_set(e, ST_MEMORY, "uplinks: no memory");
    }
    us->gw = strdup(gateway);
    us->v = calloc(cfg->n + 1, sizeof(*us->v));
    if (!us->gw || !us->v) {
        uplinks_close(us);
        return err_set(e, ST_MEMORY, "uplinks: no memory");
    }
    const struct uplink_cfg *entries = cfg->v;
    enum st worst = ST_OK;
    for (size_t i = 0; i < cfg->n; i++) {
        struct uplink *u = &us->v[us->n++];
        (void)pthread_mutex_init(&u->lock, NULL); /* default attributes: cannot fail on Linux */
        buf_init(&u->reply.body, ANSWER_MAX_BYTES);
        buf_init(&u->run.bytes, (size_t)UPLINK_RUN_MAX * UPLINK_RECEIPT_MAX);
        enum st st = open_entry(u, &entries[i], c, e);
        worst = worst == ST_OK ? st : worst;
    }
    if (worst != ST_OK) {
        uplinks_close(us);
        return worst;
    }
    *out = us;
    return ST_OK;
}

enum st uplinks_declare(struct uplinks *us, struct store *s, struct err *e)
{
    enum st st = ST_OK;
    for (size_t i = 0; i < us->n && st == ST_OK; i++) {
        struct uplink *u = &us->v[i];
        st = store_add_uplink(s, u->id, u->required, &u->index, e);
    }
    return st;
}

void uplinks_close(struct uplinks *us)
{
    if (!us) {
        return;
    }
    for (size_t i = 0; i < us->n; i++) {
        struct uplink *u = &us->v[i];
        for (size_t k = 0; k < u->nkeys; k++) {
            wire_pub_free(u->keys[k]);
        }
        free(u->keys);
        buf_done(&u->reply.body);
        buf_done(&u->run.bytes);
        (void)pthread_mutex_destroy(&u->lock);
        free(u->id);
        free(u->url);
        free(u->ca);
    }
    free(us->v);
    free(us->gw);
    free(us);
}

size_t uplinks_count(const struct uplinks *us)
{
    return us->n;
}

const char *uplinks_id(const struct uplinks *us, size_t i)
{
    return us->v[i].id;
}

void uplinks_status(const struct uplinks *us, size_t i, struct uplink_status *out)
{
    struct uplink *u = &us->v[i];
    (void)pthread_mutex_lock(&u->lock);
    *out = u->status;
    out->required = u->required;
    (void)pthread_mutex_unlock(&u->lock);
}

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

static void hold(struct uplink *u, int64_t id)
{
    struct mono now = clk_mono(u->job->clk);
    if (u->nheld == HELD_MAX) {
        memmove(u->held, u->held + 1, (HELD_MAX - 1) * sizeof(u->held[0]));
        u->nheld--;
    }
    u->held[u->nheld++] = (struct held){id, {now.ms + HELD_MS}};
}

/* The next batch and whether it is backlog: control first, then the newest when it is new, then
 * the oldest. What is on its way or held is passed over. */
static enum st pick(struct uplink *u, struct store_batch *b, bool *backfill, struct err *e)
{
    int64_t but[HELD_MAX + UPLINK_RUN_MAX];
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
    case UPLINK_RETRY:
        break;
    }
    char text[200];
    u->failures++;
    (void)snprintf(text, sizeof(text), "answer %d%s%s: %s", u->reply.status, v.code[0] ? " " : "",
                   v.code, v.advice);
    set_fault(u, text);
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
    } else if (st == ST_CORRUPT && u->reply.cert.to_ms != 0) {
        char text[sizeof u->status.text];
        uplink_clock_words(&u->reply, clk_now(u->job->clk).grade, text, sizeof(text));
        set_fault(u, text);
        uplink_clock_wait(u->job);
        u->failures = 0; /* what the clock refused says nothing about the line */
    } else if (st != ST_STOPPED) {
        u->failures++;
        set_fault(u, e.text);
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
    const struct uplink_head_call call = {u->url,  u->ca,    u->gw,
                                          u->keys, u->nkeys, u->job->stop->fd};
    enum st st = uplink_head_ask(&call, u->job->store, u->index, &e);
    u->asked = st == ST_OK || st == ST_NOT_FOUND || st == ST_CORRUPT;
    if (st == ST_CORRUPT) {
        store_event(u->job->store, STORE_WARNING, "uplink.head", u->id, "%s", e.text);
        log_warn("uplink %s: %s", u->id, e.text);
    } else if (!u->asked && st != ST_STOPPED) {
        u->failures++;
        set_fault(u, e.text);
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
                                        .max_answer = ANSWER_MAX_BYTES,
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

/* ---- receipts in files ---- */

enum st uplinks_carried(const struct uplinks *us, size_t i, struct store_reader *r,
                        const char *path, struct uplink_carried *n, struct err *e)
{
    const struct uplink *u = &us->v[i];
    const struct uplink_taker t = {
        .id = u->id, .gw = us->gw, .keys = u->keys, .nkeys = u->nkeys, .reader = r};
    return uplink_carried_take(&t, path, n, e);
}
