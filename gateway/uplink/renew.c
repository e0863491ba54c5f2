/* The TLS certificate while the gateway runs: shown to the city, renewed in time with a new key
 * (EST simplereenroll), said to end when it does. Whatever becomes of it, batches go out: the city
 * takes them by their own signature. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "gateway/uplink/enrol_int.h"

#define LOOK_MS 1000
#define A_DAY_MS INT64_C(86400000)
#define WARN_MS (30 * A_DAY_MS)
#define AGAIN_MIN_MS 1000
#define AGAIN_MAX_MS (6 * 3600000)

static void set_status(struct uplink *u, const char *text)
{
    (void)pthread_mutex_lock(&u->lock);
    u->status.cert_to_ms = u->identity.good ? u->identity.cert.to_ms : 0;
    (void)snprintf(u->status.cert_text, sizeof(u->status.cert_text), "%s", text);
    (void)pthread_mutex_unlock(&u->lock);
}

/* ---- the file ---- */

/* Somewhere after two thirds of its life, so that boxes that enrolled together do not come
 * together; by a tenth of what is left then. */
static int64_t renew_at(struct uplink *u, const struct wire_cert *c)
{
    int64_t life = c->to_ms - c->from_ms, jitter = life / 30;
    return c->from_ms + life / 3 * 2 +
           (jitter > 0 ? (int64_t)(uplink_draw(u) % (uint64_t)(jitter + 1)) : 0);
}

/* Reads the file again when it is another than before; the next connection then shows it. */
static void look(struct uplink *u)
{
    struct uplink_identity *i = &u->identity;
    struct err e = {0};
    struct stat s;
    if (!i->path[0]) {
        return;
    }
    if (stat(i->path, &s) != 0) {
        memset(&s, 0, sizeof(s));
    }
    if (i->looked && s.st_ino == i->ino && s.st_mtim.tv_sec == i->mtime.tv_sec &&
        s.st_mtim.tv_nsec == i->mtime.tv_nsec && s.st_size == i->size) {
        return;
    }
    bool again = i->looked, was = i->good;
    i->looked = true;
    i->ino = s.st_ino;
    i->mtime = s.st_mtim;
    i->size = s.st_size;
    enum st st = uplink_identity_read(i->path, u->gw, &i->cert, &e);
    i->good = st == ST_OK;
    i->renew_ms = i->good ? renew_at(u, &i->cert) : INT64_MAX;
    i->failures = 0;
    i->ended = false;
    if (i->good || was) {
        http_client_close(u->client);
        u->client = NULL;
    }
    if (st != ST_OK && st != ST_NOT_FOUND) {
        uplink_event(u, STORE_ERROR, "certificate.bad", e.text);
    } else if (i->good && again) {
        char text[160], to[CLK_TEXT_BYTES];
        (void)snprintf(text, sizeof(text), "a new certificate is in use, serial %s, until %s",
                       i->cert.serial, clk_text(i->cert.to_ms, to));
        uplink_event(u, STORE_INFO, "certificate.new", text);
    }
    set_status(u, st == ST_OK || st == ST_NOT_FOUND ? "" : e.text);
}

const char *uplink_client_cert(const struct uplink *u)
{
    const struct uplink_identity *i = &u->identity;
    struct clk_time now = clk_now(u->job->clk);
    bool ended = now.grade != CLK_UNKNOWN && now.utc_ms >= i->cert.to_ms;
    return i->good && !ended ? i->path : NULL;
}

/* ---- renewal ---- */

static enum st renew(struct uplink *u, struct err *e)
{
    const struct uplink_est est = {.url = u->url,
                                   .gw = u->gw,
                                   .ca = u->t.ca,
                                   .cert = u->identity.path,
                                   .stop_fd = u->job->stop->fd};
    struct wire_certs cas = {.n = 0}, certs = {.n = 0};
    struct wire_pub *pub = NULL;
    struct wire_cert cert;
    struct buf csr;
    buf_init(&csr, 8192);
    enum st st = uplink_est_cacerts(&est, &cas, e);
    if (st == ST_OK) {
        st = uplink_identity_request(u->identity.path, u->gw, &csr, &pub, e);
    }
    if (st == ST_OK) {
        st = uplink_est_enroll(&est, &csr, NULL, &certs, e);
    }
    if (st == ST_OK) {
        st = uplink_identity_put(u->identity.path, u->gw, pub, &certs, &cas, &cert, e);
    }
    wire_certs_done(&cas);
    wire_certs_done(&certs);
    wire_pub_free(pub);
    buf_done(&csr);
    return st;
}

/* From a hundredth of what is left of the life on; at most six hours. */
static void try_later(struct uplink *u, int64_t now_ms)
{
    struct uplink_identity *i = &u->identity;
    int64_t wait = (i->cert.to_ms - i->cert.from_ms) / 300;
    wait = wait < AGAIN_MIN_MS ? AGAIN_MIN_MS : wait;
    i->renew_ms = now_ms + uplink_again_ms(u, wait, AGAIN_MAX_MS, &i->failures);
}

static void renew_when_due(struct uplink *u, int64_t now_ms)
{
    struct uplink_identity *i = &u->identity;
    struct err e = {0};
    char text[ERR_TEXT_BYTES + 40];
    /* one that has ended opens no door: that takes a new code */
    if (!i->good || now_ms < i->renew_ms || now_ms >= i->cert.to_ms) {
        return;
    }
    enum st st = renew(u, &e);
    if (st == ST_OK) {
        look(u);
        return;
    }
    if (st == ST_STOPPED) {
        return;
    }
    (void)snprintf(text, sizeof(text), "the certificate is not renewed yet: %s", e.text);
    if (i->failures == 0) {
        uplink_event(u, STORE_WARNING, "certificate.renewal", text);
    }
    set_status(u, text);
    try_later(u, now_ms);
}

/* ---- its end ---- */

static void warn(struct uplink *u, int64_t now_ms)
{
    struct uplink_identity *i = &u->identity;
    char text[200], to[CLK_TEXT_BYTES];
    int64_t left = i->cert.to_ms - now_ms;
    if (!i->good) {
        return;
    }
    if (left > 0 && i->ended) { /* the clock was set: it is shown again */
        i->ended = false;
        http_client_close(u->client);
        u->client = NULL;
    }
    if (left > WARN_MS) {
        if (i->warned_ms != 0 && i->failures == 0) {
            set_status(u, "");
        }
        i->warned_ms = 0;
        return;
    }
    (void)clk_text(i->cert.to_ms, to);
    if (left > 0) {
        (void)snprintf(text, sizeof(text), "the certificate ends in %lld days, at %s",
                       (long long)(left / A_DAY_MS), to);
    } else {
        (void)snprintf(text, sizeof(text),
                       "the certificate ended at %s: enrol again with a new claim code (fieldpost "
                       "enroll); batches go on",
                       to);
    }
    if (i->failures == 0 || left <= 0) { /* else it says why it is not renewed */
        set_status(u, text);
    }
    if (left <= 0 && !i->ended) { /* it is not shown any more */
        i->ended = true;
        i->warned_ms = 0; /* told at once, then each day */
        http_client_close(u->client);
        u->client = NULL;
    }
    if (now_ms - i->warned_ms >= A_DAY_MS || now_ms < i->warned_ms) {
        i->warned_ms = now_ms;
        uplink_event(u, left > 0 ? STORE_WARNING : STORE_ERROR,
                     left > 0 ? "certificate.ends" : "certificate.ended", text);
    }
}

void uplink_renew_step(struct uplink *u)
{
    struct mono mono = clk_mono(u->job->clk);
    if (u->identity.looked && mono.ms < u->identity.next_look.ms) {
        return;
    }
    u->identity.next_look.ms = mono.ms + LOOK_MS;
    look(u);
    struct clk_time now = clk_now(u->job->clk);
    if (now.grade == CLK_UNKNOWN) { /* its dates mean nothing */
        return;
    }
    renew_when_due(u, now.utc_ms);
    warn(u, now.utc_ms);
}
