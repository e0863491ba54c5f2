/* One round of echoes: name, send, collect answers, figures. */
#include "gateway/connectivity/connectivity_int.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define NAME_KEEP_MS (10 * 60 * 1000) /* an address that answers is not looked up more often */
#define RECEIVE_MAX 64                /* packets of one wake-up: a flood cannot hold the thread */

#define STEP_US 1000 /* the clocks differ by more than before: one was set, not slewed */

static int64_t us_of(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000 + t->tv_nsec / 1000;
}

static struct connectivity_moment moment_now(void)
{
    struct timespec mono = {0}, real = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &mono);
    (void)clock_gettime(CLOCK_REALTIME, &real);
    return (struct connectivity_moment){us_of(&mono), us_of(&real)};
}

/* The kernel has no stamp by the monotonic clock; both are slewed alike, and only one is set. */
int64_t connectivity_rtt_us(const struct connectivity_moment *sent,
                            const struct connectivity_moment *read, int64_t stamp_us)
{
    int64_t whole = read->mono_us - sent->mono_us, arrived = stamp_us - sent->real_us;
    bool set = llabs(read->real_us - sent->real_us - whole) > STEP_US;
    return stamp_us == 0 || set || arrived < 0 || arrived > whole ? whole : arrived;
}

void connectivity_figures(const struct connectivity_sent *sent, int64_t n,
                          struct connectivity_figures *out)
{
    int64_t got = 0, sum = 0, steps = 0, wander = 0, last = -1;
    for (int64_t i = 0; i < n; i++) {
        int64_t rtt = sent[i].rtt_us;
        if (rtt < 0)
            continue;
        got++;
        sum += rtt;
        if (last >= 0) {
            wander += llabs(rtt - last);
            steps++;
        }
        last = rtt;
    }
    *out = (struct connectivity_figures){0};
    if (n > 0) /* percent, one decimal */
        out->loss = num_dec(((n - got) * 1000 + n / 2) / n, -1);
    if (got > 0)
        out->latency = num_dec((sum + got / 2) / got, -3);
    if (steps > 0)
        out->jitter = num_dec((wander + steps / 2) / steps, -3);
}

static void finish(struct connectivity_ping *p, const struct connectivity_job *job,
                   enum store_state state, const char *text)
{
    struct connectivity_figures f;
    connectivity_figures(p->sent, p->nsent, &f);
    struct connectivity_result r = {.device = p->device,
                                    .id = p->cfg->id,
                                    .tick_ms = p->tick_ms,
                                    .n = 2,
                                    .state = state,
                                    .text = text};
    r.v[0] = (struct store_value){.v = f.latency, .series = p->latency};
    r.v[1] = (struct store_value){.v = f.loss, .series = p->loss};
    if (p->jitter != UINT32_MAX)
        r.v[r.n++] = (struct store_value){.v = f.jitter, .series = p->jitter};
    if (f.latency.kind != NUM_NONE)
        r.answer_ms = (uint32_t)num_double(f.latency);
    p->again = state != STORE_GOOD;
    p->state = CONNECTIVITY_IDLE;
    connectivity_lookup_drop(p->lookup);
    p->lookup = NULL;
    connectivity_put(job, &p->health, &r);
}

static void echoes_done(struct connectivity_ping *p, const struct connectivity_job *job)
{
    char text[sizeof p->health.now.text];
    bool any = false;
    for (int64_t i = 0; i < p->nsent; i++)
        any |= p->sent[i].rtt_us >= 0;
    if (any) {
        finish(p, job, STORE_GOOD, "");
        return;
    }
    if (p->refused == p->nsent)
        snprintf(text, sizeof text,
                 "no way to %.60s (%s): check the cable, modem and default route", p->cfg->host,
                 strerror(p->refused_errno));
    else
        snprintf(text, sizeof text,
                 "no answer from %.60s: check the link, then whether this host "
                 "answers ping",
                 p->cfg->host);
    finish(p, job, STORE_SILENT, text);
}

/* The socket of the target's family; NULL: the round has ended without one. */
static struct connectivity_socket *socket_of(struct connectivity *k, struct connectivity_ping *p,
                                             const struct connectivity_job *job)
{
    struct connectivity_socket *s = &k->socket[p->to.a.ss_family == AF_INET6];
    struct err e;
    if (s->fd >= 0 || connectivity_socket_open(s, p->to.a.ss_family, &e) == ST_OK)
        return s;
    /* Tried again in every round: what the text asks for helps without a restart. */
    finish(p, job, STORE_FAULTY, e.text);
    return NULL;
}

static void echo_send(struct connectivity *k, struct connectivity_ping *p,
                      struct connectivity_socket *s, int64_t now_ms)
{
    uint8_t packet[CONNECTIVITY_ECHO_BYTES];
    struct connectivity_sent *t = &p->sent[p->nsent++];
    *t = (struct connectivity_sent){.rtt_us = -1, .seq = k->seq++};
    struct connectivity_echo q = {.id = s->id, .seq = t->seq};
    if (getrandom(&t->nonce, sizeof t->nonce, GRND_NONBLOCK) != sizeof t->nonce)
        t->nonce =
            (uint64_t)moment_now().mono_us; /* before the kernel's pool is ready: still no repeat */
    q.nonce = t->nonce;
    connectivity_echo_write(packet, s->family, &q);
    t->at = moment_now();
    if (sendto(s->fd, packet, sizeof packet, 0, (struct sockaddr *)&p->to.a, p->to.n) < 0) {
        p->refused++;
        p->refused_errno = errno;
    }
    p->deadline_ms =
        now_ms + (p->nsent < p->cfg->count ? CONNECTIVITY_SPACING_MS : p->cfg->timeout_ms);
}

void connectivity_pings_copy(struct connectivity *k, struct connectivity_address *out, size_t n)
{
    (void)pthread_mutex_lock(&k->lock);
    for (size_t i = 0; i < n; i++)
        out[i] = i < k->npings ? k->ping[i].told : (struct connectivity_address){.n = 0};
    (void)pthread_mutex_unlock(&k->lock);
}

static void name_step(struct connectivity *k, struct connectivity_ping *p,
                      const struct connectivity_job *job, int64_t now_ms)
{
    char text[sizeof p->health.now.text];
    struct connectivity_address found;
    enum st st = p->lookup ? connectivity_lookup_poll(p->lookup, &found) : ST_NOT_FOUND;
    if (st == ST_BUSY && now_ms < p->deadline_ms)
        return;
    if (st == ST_OK) {
        p->to = found;
        p->named_ms = now_ms;
        (void)pthread_mutex_lock(&k->lock);
        p->told = found;
        (void)pthread_mutex_unlock(&k->lock);
    } else if (p->to.n == 0) { /* else the address it had may still do */
        snprintf(text, sizeof text,
                 "%.60s: the name is not found: check the name, the link and the "
                 "DNS servers of this box",
                 p->cfg->host);
        finish(p, job, STORE_FAULTY, text);
        return;
    }
    connectivity_lookup_drop(p->lookup);
    p->lookup = NULL;
    p->state = CONNECTIVITY_ECHO;
    p->deadline_ms = now_ms;
}

static void begin(struct connectivity_ping *p, int64_t now_ms)
{
    p->nsent = p->refused = 0;
    p->deadline_ms = now_ms;
    p->state = CONNECTIVITY_ECHO;
    if (p->numeric || (p->to.n > 0 && !p->again && now_ms - p->named_ms < NAME_KEEP_MS))
        return;
    p->state = CONNECTIVITY_NAME;
    p->deadline_ms = now_ms + p->cfg->timeout_ms;
    p->lookup = connectivity_lookup_start(p->cfg->host);
}

static bool all_answered(const struct connectivity_ping *p)
{
    for (int64_t i = 0; i < p->nsent; i++)
        if (p->sent[i].rtt_us < 0)
            return false;
    return p->nsent == p->cfg->count;
}

void connectivity_ping_step(struct connectivity *k, struct connectivity_ping *p,
                            const struct connectivity_job *job)
{
    int64_t now_ms = clk_mono(job->clk).ms;
    if (p->state == CONNECTIVITY_IDLE) {
        p->tick_ms = connectivity_due(job, p->device, &p->next_ms, p->cfg->every_ms);
        if (!p->tick_ms)
            return;
        begin(p, now_ms);
    }
    if (p->state == CONNECTIVITY_NAME)
        name_step(k, p, job, now_ms);
    if (p->state != CONNECTIVITY_ECHO)
        return;
    if (all_answered(p) || (p->nsent == p->cfg->count && now_ms >= p->deadline_ms)) {
        echoes_done(p, job);
        return;
    }
    if (p->nsent < p->cfg->count && now_ms >= p->deadline_ms) {
        struct connectivity_socket *s = socket_of(k, p, job);
        if (s)
            echo_send(k, p, s, now_ms);
    }
}

static bool same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET)
        return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)b)->sin_addr.s_addr;
    return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

static void answered(struct connectivity *k, const struct sockaddr_storage *from,
                     const struct connectivity_echo *q, int64_t stamp_us)
{
    const struct connectivity_moment now = moment_now();
    for (size_t i = 0; i < k->npings; i++) {
        struct connectivity_ping *p = &k->ping[i];
        if (p->state != CONNECTIVITY_ECHO || !same_host(from, &p->to.a))
            continue;
        for (int64_t j = 0; j < p->nsent; j++) {
            struct connectivity_sent *t = &p->sent[j];
            if (t->rtt_us >= 0 || t->seq != q->seq || t->nonce != q->nonce)
                continue;
            int64_t rtt_us = connectivity_rtt_us(&t->at, &now, stamp_us);
            /* an answer later than the time-out is a lost one, whenever it is read */
            if (rtt_us <= p->cfg->timeout_ms * 1000)
                t->rtt_us = rtt_us;
        }
    }
}

/* When the kernel had the packet; 0: it does not say. */
static int64_t stamp_of(struct msghdr *m)
{
    struct timespec t;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS ||
            c->cmsg_len != CMSG_LEN(sizeof t))
            continue;
        memcpy(&t, CMSG_DATA(c), sizeof t);
        return us_of(&t);
    }
    return 0;
}

void connectivity_receive(struct connectivity *k, struct connectivity_socket *s)
{
    uint8_t packet[256];
    for (int i = 0; i < RECEIVE_MAX; i++) {
        struct sockaddr_storage from = {0};
        struct iovec part = {packet, sizeof packet};
        _Alignas(struct cmsghdr) char more[CMSG_SPACE(sizeof(struct timespec))];
        struct msghdr m = {.msg_name = &from,
                           .msg_namelen = sizeof from,
                           .msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = more,
                           .msg_controllen = sizeof more};
        struct connectivity_echo q;
        ssize_t n = recvmsg(s->fd, &m, MSG_TRUNC);
        if (n < 0)
            return; /* nothing more, or an error report that a time-out will tell */
        if ((size_t)n <= sizeof packet &&
            connectivity_echo_read(packet, (size_t)n, s->family, s->raw, &q) && q.id == s->id)
            answered(k, &from, &q, stamp_of(&m));
    }
}
