/* The city's keys while the gateway runs: notices that the city gives, or that a person brings, are
 * in use without a restart, and what has ended is told. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "gateway/uplink/enrol_int.h"

#define LOOK_MS 1000
#define ASK_AGAIN_MS 60000 /* after one that brought nothing new */
#define NOTICES_MAX_BYTES (WIRE_NOTICES_MAX * WIRE_NOTICE_MAX)

int64_t uplink_trust_now(const struct clk *clk)
{
    struct clk_time now = clk_now(clk);
    return now.grade == CLK_UNKNOWN ? INT64_MIN : now.utc_ms;
}

static void set_status(struct uplink *u, const char *text)
{
    (void)pthread_mutex_lock(&u->lock);
    u->status.trust_n = u->t.trust.n;
    u->status.trust_to_ms = u->t.ends_ms == INT64_MAX ? 0 : u->t.ends_ms;
    (void)snprintf(u->status.trust_text, sizeof(u->status.trust_text), "%s", text);
    (void)pthread_mutex_unlock(&u->lock);
}

/* ---- what counts now ------------------------------------------------------------------------- */

static enum st use(struct uplink *u, int64_t now_ms, struct err *e)
{
    struct uplink_trusting *t = &u->t;
    char ca[sizeof(t->ca)];
    ERR_TRY(uplink_trust_ca(&t->trust, store_path(u->job->store), u->id, u->ca, now_ms, ca,
                            sizeof(ca), e));
    (void)pthread_mutex_lock(&u->lock); /* uplinks_reach reads it */
    memcpy(t->ca, ca, sizeof(t->ca));
    (void)pthread_mutex_unlock(&u->lock);
    t->at_ms = now_ms;
    t->ends_ms = uplink_trust_next_end(&t->trust, now_ms);
    t->reopen = t->reopen || t->trust.ncas > 0; /* the next connection is under the CAs of now */
    return ST_OK;
}

static void tell_new(struct uplink *u, uint64_t before)
{
    char text[200], until[CLK_TEXT_BYTES];
    const struct uplink_trusting *t = &u->t;
    if (t->trust.n <= before) {
        return;
    }
    (void)snprintf(text, sizeof(text),
                   "the city's keys have changed: notice %" PRIu64 " counts, and what it replaces "
                   "until %s",
                   t->trust.n, t->ends_ms == INT64_MAX ? "now" : clk_text(t->ends_ms, until));
    uplink_event(u, STORE_INFO, "trust.changed", text);
}

static bool is_other_file(struct uplink_trusting *t, const char *path)
{
    struct stat s;
    if (stat(path, &s) != 0) {
        memset(&s, 0, sizeof(s));
    }
    if (t->looked && s.st_ino == t->ino && s.st_mtim.tv_sec == t->mtime.tv_sec &&
        s.st_mtim.tv_nsec == t->mtime.tv_nsec && s.st_size == t->size) {
        return false;
    }
    t->ino = s.st_ino;
    t->mtime = s.st_mtim;
    t->size = s.st_size;
    return true;
}

/* The file is another than before: by `fieldpost trust`, or by a hand. */
static enum st read_again(struct uplink *u, int64_t now_ms, struct err *e)
{
    struct uplink_trusting *t = &u->t;
    struct err why = {.text = ""};
    uint64_t before = t->trust.n;
    bool first = !t->looked;
    enum st st = uplink_trust_load(&t->trust, store_path(u->job->store), u->id, &why);
    t->looked = false; /* until all of it is done: else the next step tries again */
    if (st != ST_OK && st != ST_BAD && st != ST_CORRUPT) {
        return err_set(e, st, "%s", why.text); /* of this machine: it says nothing of the file */
    }
    if (st != ST_OK) {
        uplink_event(u, STORE_ERROR, "trust.bad", why.text);
    }
    ERR_TRY(use(u, now_ms, e));
    t->looked = true;
    t->told = false;
    if (!first) {
        tell_new(u, before);
    }
    set_status(u, why.text);
    return ST_OK;
}

enum st uplink_trust_step(struct uplink *u, struct err *e)
{
    struct uplink_trusting *t = &u->t;
    struct mono mono = clk_mono(u->job->clk);
    char path[DROP_PATH_BYTES + 128], text[160], at[CLK_TEXT_BYTES];
    if (t->reopen) {
        http_client_close(u->client);
        u->client = NULL;
        t->reopen = false;
    }
    if (t->looked && mono.ms < t->next_look.ms) {
        return ST_OK;
    }
    int64_t now_ms = uplink_trust_now(u->job->clk);
    t->next_look.ms = mono.ms + LOOK_MS;
    ERR_TRY(
        uplink_trust_path(store_path(u->job->store), u->id, UPLINK_NOTICES, path, sizeof(path), e));
    if (is_other_file(t, path)) {
        return read_again(u, now_ms, e);
    }
    if (now_ms < t->at_ms) { /* the clock was ahead: what it had ended counts again */
        set_status(u, use(u, now_ms, e) == ST_OK ? "" : e->text);
        return ST_OK;
    }
    if (now_ms < t->ends_ms) {
        return ST_OK;
    }
    (void)snprintf(text, sizeof(text),
                   "a key or CA of the city that was replaced has ended at %s: nothing under it is "
                   "taken any more",
                   clk_text(t->ends_ms, at));
    if (use(u, now_ms, e) !=
        ST_OK) { /* a CA that ended is in the file still: rather that than nothing */
        set_status(u, e->text);
        return ST_OK; /* what waits goes out, and may make room for it */
    }
    uplink_event(u, STORE_INFO, "trust.ended", text);
    set_status(u, "");
    return ST_OK;
}

/* ---- asking the city ------------------------------------------------------------------------- */

static enum st fetch(struct uplink *u, struct http_reply *r, struct err *e)
{
    char url[UPLINK_URL_BYTES];
    ERR_TRY(uplink_url_put(url, u->url, e, "/v1/trust"));
    const struct http_call call = {.method = "GET", .url = url, .max_answer = NOTICES_MAX_BYTES};
    atomic_store(&u->busy, true);
    enum st st = http_client_do(u->client, &call, u->job->stop->fd, r, e);
    uplink_count(u, false);
    if (st == ST_OK && r->status != 200) {
        st = err_set(e, ST_BUSY, "answer %d to the question for the city's notices", r->status);
    }
    return st;
}

static void refused(struct uplink *u, const char *text)
{
    set_status(u, text);
    if (!u->t.told) {
        u->t.told = true;
        uplink_event(u, STORE_WARNING, "trust.refused", text);
    }
}

/* *answered: there is no use in asking again soon. */
static bool ask(struct uplink *u, bool *answered)
{
    struct uplink_trusting *t = &u->t;
    const struct uplink_trust_how how = {.now_ms = uplink_trust_now(u->job->clk)};
    struct uplink_trust_took took = {.fresh = 0};
    struct http_reply r = {.retry_after_s = -1};
    struct err e = {.text = ""};
    char path[DROP_PATH_BYTES + 128];
    uint64_t before = t->trust.n;
    buf_init(&r.body, NOTICES_MAX_BYTES);
    enum st st = fetch(u, &r, &e);
    *answered = st == ST_OK;
    if (st == ST_OK) {
        st = uplink_trust_keep(&t->trust, store_path(u->job->store), u->id, r.body.p, r.body.n,
                               &how, &took, &e);
        *answered = st == ST_OK || st == ST_REFUSED || st == ST_BAD || st == ST_CORRUPT ||
                    st == ST_UNSUPPORTED;
        if (st != ST_OK && st != ST_STOPPED) {
            refused(u, e.text);
        }
    }
    buf_done(&r.body);
    if (took.fresh == 0 && t->trust.n == before) { /* else a person brought a file meanwhile */
        return false;
    }
    if (uplink_trust_path(store_path(u->job->store), u->id, UPLINK_NOTICES, path, sizeof(path),
                          NULL) == ST_OK) {
        (void)is_other_file(t, path); /* it is what counts: not to be read again */
    }
    struct err why = {.text = ""};
    if (use(u, how.now_ms, &why) != ST_OK) { /* tried again with the next look */
        t->looked = false;
        return false;
    }
    t->told = t->told && st != ST_OK;
    tell_new(u, before);
    set_status(u, st == ST_OK ? "" : e.text);
    return true;
}

bool uplink_trust_ask(struct uplink *u)
{
    struct mono now = clk_mono(u->job->clk);
    bool answered = false;
    if (now.ms < u->t.next_ask.ms || !u->client) {
        return false;
    }
    bool fresh = ask(u, &answered);
    u->t.next_ask.ms = fresh ? 0 : now.ms + ASK_AGAIN_MS;
    return fresh;
}

void uplink_trust_heard(struct uplink *u, uint64_t n)
{
    bool answered = false;
    if (n <= u->t.trust.n || n == u->t.heard || !u->client) {
        return;
    }
    (void)ask(u, &answered);
    u->t.heard = answered ? n : u->t.heard;
}
