/* The way to the city: one probe, and the thread that makes them. */
#include "gateway/connectivity/path_int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/connectivity/modem_int.h"
#include "gateway/http/http.h"

#define SYSFS_NET "/sys/class/net"
#define STEP_MS 1000 /* longest sleep: a stepped UTC clock is noticed within it */
#define LOOKUP_MS 20 /* how often a running lookup is asked */
#define PUT_WAIT_MS 500
#define TICK_MS 1000 /* a result so soon after its tick bears the tick's time */
#define HINT_MS 10000
#define HINT_MAX_MS 3600000
#define AGAIN_MS 15000 /* an outage is looked at anew after so long, then ever more seldom */
#define PORTAL_MAX_MS 900000
#define ECHO_MS 2000
#define ANSWER_BYTES 4096 /* nobody reads it */
#define PADDING 3000      /* more than two packets of the usual size */
#define ADDRESSES_BYTES 256
#define NOTE "path"

/* ---- one probe ------------------------------------------------------------------------------- */

struct probe {
    struct connectivity_city city;
    char host[CONNECTIVITY_HOST_BYTES];
    int64_t dns_us, mtu; /* -1: not known */
    struct http_took took;
    bool made;    /* false: it says nothing of the way; `text` says why */
    int os_errno; /* why there was no connection */
    struct connectivity_seen seen;
    enum connectivity_cause cause;
    char detail[120]; /* of the library */
};

static int64_t now_us(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static long port_of(const char *url, const char *host)
{
    const char *at = strstr(url, host);
    long port = at && at[strlen(host)] == ':' ? strtol(at + strlen(host) + 1, NULL, 10) : 0;
    return port > 0 ? port : 443;
}

/* "HOST:PORT:ADDRESS,…" for libcurl; "" for a host that is a number. ST_STOPPED, ST_TIMEOUT,
 * ST_NOT_FOUND. */
static enum st find(struct connectivity_path *p, struct probe *q, struct thr_stop *stop,
                    char *resolved, size_t n)
{
    struct connectivity_address to;
    char bare[CONNECTIVITY_HOST_BYTES], all[ADDRESSES_BYTES];
    int64_t from = now_us(), until = from + 1000 * p->cfg->timeout_ms;
    const char *host = q->host[0] == '[' ? q->host + 1 : q->host;
    (void)snprintf(bare, sizeof bare, "%.*s", (int)strcspn(host, "]"), host);
    resolved[0] = '\0';
    q->dns_us = 0;
    if (connectivity_address_parse(bare, &to))
        return ST_OK;
    q->dns_us = -1;
    struct connectivity_lookup *l = connectivity_lookup_start(bare);
    if (!l)
        return ST_MEMORY;
    enum st st;
    while ((st = connectivity_lookup_poll(l, &to)) == ST_BUSY) {
        if (now_us() >= until || thr_stop_wait(stop, LOOKUP_MS))
            break;
    }
    if (st == ST_OK) {
        int64_t took = connectivity_lookup_said(l, all, sizeof all);
        q->dns_us = took;
        (void)snprintf(resolved, n, "%s:%ld:%s", q->host, port_of(q->city.url, q->host), all);
    }
    bool silent = st == ST_BUSY || (st == ST_NOT_FOUND && !connectivity_lookup_answered(l));
    connectivity_lookup_drop(l);
    (void)snprintf(q->detail, sizeof q->detail, "%s",
                   silent               ? "no DNS server answers"
                   : st == ST_NOT_FOUND ? "the name is not found"
                                        : "");
    return atomic_load(&stop->set) ? ST_STOPPED : st == ST_BUSY ? ST_TIMEOUT : st;
}

static enum connectivity_stage stage_of(const struct http_took *t)
{
    return t->first_us >= 0     ? CONNECTIVITY_STAGE_DONE
           : t->tls_us >= 0     ? CONNECTIVITY_STAGE_ANSWER
           : t->connect_us >= 0 ? CONNECTIVITY_STAGE_TLS
                                : CONNECTIVITY_STAGE_CONNECT;
}

/* A request of several packets of the largest size, on the same connection where the server keeps
 * it: its answer proves that these came through. What routers said meanwhile, the kernel knows. One
 * that has none proves something only when a plain one behind it has: the way may be gone. */
static void try_large(struct connectivity_path *p, struct probe *q, struct http_client *c,
                      struct thr_stop *stop)
{
    static const char name[] = "X-Padding: ";
    char header[PADDING];
    const char *const headers[] = {header, NULL};
    struct http_call call = {.method = "GET", .url = q->city.url, .headers = headers};
    struct http_reply r = {.status = 0};
    memset(header, '0', sizeof header);
    memcpy(header, name, sizeof name - 1);
    header[sizeof header - 1] = '\0';
    enum st st = http_client_do(c, &call, stop->fd, &r, NULL);
    buf_done(&r.body);
    if (st == ST_STOPPED)
        return;
    int64_t large_us = r.took.first_us, plain_us = -1;
    if (large_us < 0) {
        const struct http_call plain = {.method = "GET", .url = q->city.url};
        struct http_reply behind = {.status = 0};
        st = http_client_do(c, &plain, stop->fd, &behind, NULL);
        plain_us = behind.took.first_us;
        buf_done(&behind.body);
    }
    if (st == ST_STOPPED)
        return;
    p->large_lost = connectivity_large_lost(p->large_lost, large_us, plain_us);
    if (large_us >= 0 && r.packet_bytes > 0)
        q->mtu = r.packet_bytes < CONNECTIVITY_MTU_MAX ? r.packet_bytes : CONNECTIVITY_MTU_MAX;
}

/* TLS is there, and no answer: with TLS 1.3 that is how a client is told that its certificate is
 * missing, or not taken. The library has no word for it. */
static const char *hung_up(bool shown)
{
    return shown ? "it hangs up before it answers: it may not take this gateway's certificate "
                   "(fieldpost enroll)"
                 : "it hangs up before it answers: it may demand this gateway's certificate "
                   "(fieldpost enroll)";
}

static void call(struct connectivity_path *p, struct probe *q, const char *resolved, bool large,
                 const struct connectivity_job *job)
{
    bool known = q->city.identity && access(q->city.identity, R_OK) == 0;
    const struct http_client_cfg as = {.ca = q->city.ca,
                                       .cert = known ? q->city.identity : NULL,
                                       .connect_ms = p->cfg->timeout_ms,
                                       .total_ms = 2 * p->cfg->timeout_ms,
                                       .max_answer = ANSWER_BYTES,
                                       .interface = p->cfg->interface,
                                       .resolved = resolved[0] ? resolved : NULL};
    const struct http_call get = {.method = "GET", .url = q->city.url};
    struct http_reply r = {.status = 0};
    struct http_client *c = NULL;
    struct err e = {.text = ""};
    enum st st = http_client_open(&c, &as, &e);
    if (st == ST_OK) {
        st = http_client_do(c, &get, job->stop->fd, &r, &e);
        q->took = r.took;
        q->os_errno = r.os_errno;
        q->seen.stage = stage_of(&r.took);
        q->seen.stranger = st == ST_CORRUPT && r.cert.to_ms == 0;
        bool undated = connectivity_path_undated(st, &r, clk_now(job->clk).grade);
        q->made = st != ST_STOPPED && st != ST_MEMORY && st != ST_BAD && !undated;
        if (undated)
            (void)err_set(&e, st, "this box's clock is not set: certificates cannot be judged");
        if (st == ST_IO && q->seen.stage == CONNECTIVITY_STAGE_ANSWER)
            (void)err_set(&e, st, "%s", hung_up(known));
        /* an answer that has no end is one, too */
        if (q->seen.stage == CONNECTIVITY_STAGE_DONE && large)
            try_large(p, q, c, job->stop);
    }
    (void)snprintf(q->detail, sizeof q->detail, "%s", e.text);
    buf_done(&r.body);
    http_client_close(c);
}

/* ---- what else is seen ----------------------------------------------------------------------- */

/* Whether any is another than before. */
static bool witnesses(struct connectivity_path *p, const struct connectivity_address *hop)
{
    struct connectivity_address at[CONNECTIVITY_WITNESSES] = {*hop};
    bool other = false;
    connectivity_pings_copy(p->room, at + 1, CONNECTIVITY_WITNESSES - 1);
    for (size_t i = 0; i < CONNECTIVITY_WITNESSES; i++)
        other |= connectivity_witness_set(&p->witness, i, &at[i]);
    return other;
}

static int ask(const struct connectivity_path *p, const struct thr_stop *stop)
{
    return connectivity_witness_ask(p->witness.at, CONNECTIVITY_WITNESSES, p->cfg->interface,
                                    ECHO_MS, stop);
}

/* While the city is reached: who would be missed. Again with each look at large packets, and when
 * one has another address. */
static void learn(struct connectivity_path *p, bool again, struct thr_stop *stop)
{
    char interface[CONNECTIVITY_IF_BYTES];
    struct connectivity_address hop;
    bool is = connectivity_route_read("", p->cfg->interface, interface, &hop);
    if (p->cfg->interface)
        (void)snprintf(p->interface, sizeof p->interface, "%s", p->cfg->interface);
    else if (is)
        memcpy(p->interface, interface, sizeof p->interface);
    if (!witnesses(p, &hop) && p->witness.asked && !again)
        return;
    int got = ask(p, stop);
    for (size_t i = 0; got >= 0 && i < CONNECTIVITY_WITNESSES; i++)
        p->witness.answers[i] = got & (1 << i);
    p->witness.asked = got >= 0;
}

static void look_at_modem(const struct connectivity_path *p, struct connectivity_seen *s,
                          bool routed)
{
    struct connectivity_modem *m = p->room->modem;
    if (!m)
        return;
    int state = atomic_load(&m->seen) - 1;
    bool carries = m->cfg->interface ? strcmp(m->cfg->interface, p->interface) == 0
                                     : strncmp(p->interface, "ww", 2) == 0;
    if (state < 0 || !(carries || (p->interface[0] == '\0' && !routed)))
        return;
    connectivity_path_modem(s, state);
}

/* Asked at once when the city is lost, then ever more seldom: it costs data. */
static bool portal_answers(struct connectivity_path *p, const struct probe *q,
                           const struct connectivity_job *job)
{
    char url[CONNECTIVITY_HOST_BYTES + 16], host[CONNECTIVITY_HOST_BYTES];
    struct mono now = clk_mono(job->clk);
    if (p->portal_ms > 0 && now.ms < p->portal_at.ms)
        return p->portal;
    p->portal_ms = p->portal_ms == 0                  ? AGAIN_MS
                   : 2 * p->portal_ms < PORTAL_MAX_MS ? 2 * p->portal_ms
                                                      : PORTAL_MAX_MS;
    (void)snprintf(url, sizeof url, "http://%s/", q->host);
    p->portal =
        p->cfg->check
            ? connectivity_portal_ask("GET", p->cfg->check, p->cfg->interface, host, job->stop)
            : connectivity_portal_ask("HEAD", url, p->cfg->interface, host, job->stop);
    p->portal_at.ms = clk_mono(job->clk).ms + p->portal_ms;
    return p->portal;
}

static void look(struct connectivity_path *p, struct probe *q, const struct connectivity_job *job)
{
    struct connectivity_seen *s = &q->seen;
    struct connectivity_link_state link;
    struct connectivity_address hop;
    char interface[CONNECTIVITY_IF_BYTES];
    bool routed = connectivity_route_read("", p->cfg->interface, interface, &hop);
    s->bound = p->cfg->interface;
    /* names are looked up over whichever link: that one is not found says nothing of this one */
    bool lost = q->os_errno == ENETUNREACH || (s->stage == CONNECTIVITY_STAGE_NAME && !s->bound);
    if (s->bound)
        (void)snprintf(p->interface, sizeof p->interface, "%s", p->cfg->interface);
    else if (routed)
        memcpy(p->interface, interface, sizeof p->interface);
    if (p->interface[0]) {
        s->link_down = connectivity_link_read(SYSFS_NET, p->interface, &link) != ST_OK || !link.up;
        s->no_address = !connectivity_has_address(p->interface);
    } else if (!routed && lost) {
        s->link_down = !connectivity_any_link(SYSFS_NET);
    }
    look_at_modem(p, s, routed);
    s->no_address |= lost && !routed;
    if (s->link_down || s->no_address || s->radio_lost || s->no_data)
        return;
    if (s->stage != CONNECTIVITY_STAGE_NAME || p->cfg->check)
        s->portal = portal_answers(p, q, job);
    if (s->stage > CONNECTIVITY_STAGE_CONNECT || s->portal)
        return;
    (void)witnesses(p, &hop);
    s->beyond = connectivity_witness_judge(&p->witness, ask(p, job->stop));
}

static bool city_of(const struct connectivity_path *p, const struct connectivity_job *job,
                    struct connectivity_city *out)
{
    *out = (struct connectivity_city){.url = p->cfg->url};
    if (!p->cfg->url)
        return job->city && job->city(job->city_ctx, p->cfg->uplink, out);
    (void)snprintf(out->ca, sizeof out->ca, "%s", p->cfg->ca);
    return true;
}

static void probe(struct connectivity_path *p, bool large, const struct connectivity_job *job,
                  struct probe *q)
{
    char resolved[CONNECTIVITY_HOST_BYTES + 16 + ADDRESSES_BYTES];
    *q = (struct probe){.dns_us = -1, .mtu = -1, .took = {-1, -1, -1}};
    if (!city_of(p, job, &q->city)) {
        (void)snprintf(q->detail, sizeof q->detail, "there is no uplink to go to");
        return;
    }
    connectivity_host_of(q->city.url, q->host);
    enum st st = find(p, q, job->stop, resolved, sizeof resolved);
    q->made = st == ST_NOT_FOUND || st == ST_TIMEOUT;
    if (st == ST_OK)
        call(p, q, resolved, large, job);
    if (!q->made)
        return;
    if (q->seen.stage == CONNECTIVITY_STAGE_DONE) {
        p->portal_ms = 0;
        p->portal = false;
        learn(p, large, job->stop);
    } else {
        look(p, q, job);
    }
    q->cause = connectivity_path_judge(&q->seen);
}

/* ---- what becomes of it ---------------------------------------------------------------------- */

static struct num ms_of(int64_t us)
{
    return us >= 0 ? num_dec(us, -3) : (struct num){.kind = NUM_NONE};
}

static void put(struct connectivity_path *p, const struct connectivity_job *job, int64_t tick_ms,
                bool large, const struct probe *q)
{
    const struct num none = {.kind = NUM_NONE};
    const struct num v[CONNECTIVITY_PATH_POINTS] = {
        [CONNECTIVITY_AVAILABILITY] = q->made ? connectivity_outage_share(&p->outage) : none,
        [CONNECTIVITY_STATE] = q->made ? num_dec(q->cause, 0) : none,
        [CONNECTIVITY_DNS] = ms_of(q->dns_us),
        [CONNECTIVITY_CONNECT] = ms_of(q->took.connect_us),
        [CONNECTIVITY_TLS] = ms_of(q->took.tls_us),
        [CONNECTIVITY_FIRST] = ms_of(q->took.first_us),
        [CONNECTIVITY_MTU] = q->mtu >= 0 ? num_dec(q->mtu, 0) : none,
    };
    struct store_value values[CONNECTIVITY_PATH_POINTS];
    struct clk_time now = clk_now(job->clk);
    bool near = now.utc_ms >= tick_ms && now.utc_ms - tick_ms <= TICK_MS;
    struct store_poll poll = {.device = p->device,
                              .due_ms = tick_ms,
                              .t_ms = near ? tick_ms : now.utc_ms,
                              .grade = now.grade,
                              .cause = STORE_DEVICE};
    for (uint32_t i = 0; i < CONNECTIVITY_PATH_POINTS; i++)
        if (i != CONNECTIVITY_MTU || large)
            values[poll.n++] = (struct store_value){.v = v[i], .series = p->series[i]};
    /* ST_FULL: the store has written the gap; ST_STOPPED: so is this thread, soon */
    enum st st = store_put(job->store, &poll, values, PUT_WAIT_MS);
    (void)st;
}

static void tell_health(struct connectivity_path *p, const struct connectivity_job *job,
                        const struct probe *q)
{
    struct store_health *h = &p->health;
    const struct connectivity_cause_kind *kind = &connectivity_causes[q->cause];
    bool good = q->made && q->cause == CONNECTIVITY_PATH_UP;
    enum store_state state = good ? STORE_GOOD : q->made ? STORE_SILENT : STORE_FAULTY;
    if (state != h->state || kind->why != h->why)
        h->since_ms = clk_now(job->clk).utc_ms;
    h->state = state;
    h->why = kind->why;
    h->polls++;
    h->failures += !good;
    if (good)
        h->answer_ms = (uint32_t)(q->took.first_us / 1000);
    (void)snprintf(h->text, sizeof h->text, "%s", q->made ? kind->text : q->detail);
    (void)snprintf(h->says, sizeof h->says, "%s%s",
                   p->large_lost ? "large packets do not come through: a smaller MTU on the way, "
                                   "and a router that does not say so; "
                                 : "",
                   good || !q->made ? "" : q->detail);
    store_health_set(job->store, p->device, h);
}

/* What a restart needs to go on: two writes for each outage that is told. */
static void keep(const struct connectivity_path *p, const struct connectivity_job *job)
{
    char text[48] = "";
    struct err e;
    if (p->outage.down)
        connectivity_outage_write(&p->outage, text, sizeof text);
    if (store_note_set(job->store, NOTE, p->cfg->id, text, &e) != ST_OK)
        store_event(job->store, STORE_WARNING, "path.unkept", p->cfg->id,
                    "an outage is not known after a restart: %s", e.text);
}

static void note(struct connectivity_path *p, const struct connectivity_job *job,
                 const struct probe *q)
{
    char text[200];
    bool was = p->outage.down;
    enum connectivity_turn turn = connectivity_outage_note(&p->outage, q->cause, clk_mono(job->clk),
                                                           clk_now(job->clk), text, sizeof text);
    if (turn == CONNECTIVITY_WENT)
        store_event(job->store, STORE_WARNING, "path.down", p->cfg->id, "%s%s",
                    connectivity_causes[q->cause].text, text);
    if (turn == CONNECTIVITY_CAME)
        store_event(job->store, STORE_INFO, "path.back", p->cfg->id, "%s", text);
    if (turn != CONNECTIVITY_STAYS)
        keep(p, job);
    if (was != p->outage.down)
        p->hint_ms = 0;
}

static void plan(struct connectivity_path *p, const struct connectivity_job *job)
{
    int64_t most = p->cfg->every_ms, wait = p->again_ms == 0 ? AGAIN_MS : 2 * p->again_ms;
    p->again_ms = p->outage.down ? (wait < most ? wait : most) : 0;
    p->again.ms = p->outage.down ? clk_mono(job->clk).ms + p->again_ms : 0;
}

/* ---- when ------------------------------------------------------------------------------------ */

/* The uplink's own traffic costs nothing: where it fails, or comes through in an outage, that is
 * looked at. */
static bool is_hinted(struct connectivity_path *p, const struct connectivity_job *job)
{
    struct connectivity_city city;
    struct mono now = clk_mono(job->clk);
    if (p->cfg->url || !city_of(p, job, &city) || now.ms < p->hint_at.ms)
        return false;
    /* a success that no look was made for yet, and a failure since, or none in an outage */
    if (city.ok_ms == p->ok_ms || city.ok_ms == 0 || city.online != p->outage.down)
        return false;
    p->ok_ms = city.ok_ms;
    /* one that changes nothing is followed ever more seldom: a city that refuses costs no data */
    p->hint_ms = p->hint_ms == 0 ? HINT_MS : 2 * p->hint_ms;
    if (p->hint_ms > HINT_MAX_MS)
        p->hint_ms = HINT_MAX_MS;
    p->hint_at.ms = now.ms + p->hint_ms;
    return true;
}

static void step(struct connectivity_path *p, const struct connectivity_job *job)
{
    struct probe q;
    int64_t due = connectivity_due(job, p->device, &p->next_ms, p->cfg->every_ms);
    bool again = p->outage.down && clk_mono(job->clk).ms >= p->again.ms;
    if (!due && !is_hinted(p, job) && !again)
        return;
    bool large = due && connectivity_due(job, p->device, &p->next_mtu_ms,
                                         CONNECTIVITY_MTU_EVERY * p->cfg->every_ms) != 0;
    probe(p, large, job, &q);
    if (atomic_load(&job->stop->set)) /* a probe that the stop cut short says nothing */
        return;
    if (q.made)
        note(p, job, &q);
    else
        connectivity_outage_blind(&p->outage);
    plan(p, job);
    tell_health(p, job, &q);
    if (due)
        put(p, job, due, large, &q);
}

struct recall {
    struct connectivity_path *p;
    struct mono now;
};

static void recall(void *ctx, const char *name, const char *text)
{
    const struct recall *r = ctx;
    if (strcmp(name, r->p->cfg->id) == 0)
        (void)connectivity_outage_read(&r->p->outage, text, r->now);
}

void connectivity_path_main(void *connectivity_path_job)
{
    const struct connectivity_path_job *of = connectivity_path_job;
    const struct connectivity_job *job = of->job;
    struct connectivity_path *p = &job->connectivity->path[of->i];
    struct recall r = {.p = p, .now = clk_mono(job->clk)};
    struct err e;
    if (store_notes_each(job->store, NOTE, recall, &r, &e) != ST_OK)
        store_event(job->store, STORE_WARNING, "path.unkept", p->cfg->id,
                    "an outage before this start is not known: %s", e.text);
    while (!atomic_load(&job->stop->set)) {
        step(p, job);
        int64_t wait = p->next_ms - clk_now(job->clk).utc_ms;
        (void)thr_stop_wait(job->stop, wait < 0 ? 0 : wait < STEP_MS ? wait : STEP_MS);
    }
}
