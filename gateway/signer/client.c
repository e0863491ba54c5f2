/* The gateway's side: asks the signing process, and believes it nothing: each signature is checked.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gateway/signer/signer_int.h"

#define START_MS 30000 /* a token may be slow */
#define ANSWER_MS 10000

struct slot {
    struct wire_signer w;
    struct wire_pub *pub; /* NULL: no key */
    struct client *c;
};
struct client {
    struct signer s;
    struct slot slot[2];
    size_t now; /* slot of the key in force; the other is for the next one */
    int fd;
    pid_t keeper;
    uint32_t id;
    bool named;     /* seal.next_key: it keeps its name */
    bool up, other; /* other: it came back with another key */
    enum st why_st;
    char why[SIGNER_TEXT]; /* while it is not up */
};

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC_RAW,
                        &t); /* what two processes owe each other is no time of the site */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void down(struct client *c, enum st st, const char *why)
{
    c->up = false;
    c->why_st = st;
    (void)snprintf(c->why, sizeof c->why, "%s", why);
}

static enum st is_down(const struct client *c, struct err *e)
{
    return err_set(e, c->why_st, "%s", c->why);
}

/* ---- the keys that it has ---- */

static enum st sign(void *ctx, const uint8_t hash[WIRE_HASH_BYTES], uint8_t sig[64], struct err *e);

static bool is_pub(const struct slot *k, const uint8_t spki[SIGNER_SPKI])
{
    return k->pub && memcmp(wire_pub_der(k->pub).p, spki, SIGNER_SPKI) == 0;
}

static void show(struct client *c)
{
    struct slot *now = &c->slot[c->now], *next = &c->slot[1 - c->now];
    c->s.now = now->pub ? &now->w : NULL;
    c->s.next = next->pub ? &next->w : NULL;
}

static enum st set(struct client *c, struct slot *k, const uint8_t spki[SIGNER_SPKI], struct err *e)
{
    struct wire_pub *pub = NULL;
    ERR_TRY(wire_pub_parse(&pub, spki, SIGNER_SPKI, e));
    wire_pub_free(k->pub);
    *k = (struct slot){.w = {pub, sign, k}, .pub = pub, .c = c};
    return ST_OK;
}

static void clear(struct slot *k)
{
    wire_pub_free(k->pub);
    *k = (struct slot){.pub = NULL};
}

/* The key in force may change for the next one that is known, and for no other: what a restart
 * brings is for a restart of the gateway. */
static void ready_with(struct client *c, const struct signer_say *say)
{
    struct err e = {.text = ""};
    struct slot *next = &c->slot[1 - c->now];
    enum st st = ST_OK;
    if (!c->slot[c->now].pub)
        st = set(c, &c->slot[c->now], say->now, &e);
    if (st == ST_OK && !is_pub(&c->slot[c->now], say->now) && is_pub(next, say->now)) {
        clear(&c->slot[c->now]);
        c->now = 1 - c->now;
        next = &c->slot[1 - c->now];
    }
    c->other = st == ST_OK && !is_pub(&c->slot[c->now], say->now);
    if (c->other)
        st =
            err_set(&e, ST_CONFLICT,
                    "the file of seal.key holds another key than at the start: restart the gateway "
                    "if that is meant, else put the old one back");
    if (st == ST_OK && say->has_next && !next->pub)
        st = set(c, next, say->next, &e);
    memcpy(c->s.fault, say->text, sizeof c->s.fault);
    memcpy(c->s.lacks, say->lacks, sizeof c->s.lacks);
    c->s.fault[sizeof c->s.fault - 1] = c->s.lacks[sizeof c->s.lacks - 1] = '\0';
    show(c);
    c->up = st == ST_OK;
    if (st != ST_OK)
        down(c, st, e.text);
}

/* ---- messages ---- */

/* One message, at most `ms` from now. ST_TIMEOUT, ST_IO. */
static enum st hear(struct client *c, struct signer_say *say, int64_t ms, struct err *e)
{
    struct pollfd p = {c->fd, POLLIN, 0};
    int got = ms > 0 ? poll(&p, 1, (int)ms) : 1;
    if (got == 0 || (got < 0 && errno == EINTR))
        return ST_TIMEOUT;
    ssize_t n = got > 0 ? recv(c->fd, say, sizeof *say, MSG_DONTWAIT) : -1;
    if (n == (ssize_t)sizeof *say) {
        say->text[sizeof say->text - 1] = '\0';
        return ST_OK;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return ST_TIMEOUT;
    down(c, ST_IO, "the keeper of the signing process has ended: restart the gateway");
    return is_down(c, e);
}

static void take(struct client *c, const struct signer_say *say)
{
    if (say->kind == SIGNER_READY)
        ready_with(c, say);
    else if (say->kind == SIGNER_UNABLE || say->kind == SIGNER_ENDED)
        down(c, (enum st)say->st, say->text);
    if (say->kind == SIGNER_ENDED) {
        c->s.ends++;
        memcpy(c->s.how, say->text, sizeof c->s.how);
    }
}

static enum st ready(struct signer *s, struct err *e)
{
    struct client *c = (struct client *)s;
    struct signer_say say = {.kind = SIGNER_ENDED};
    enum st st;
    while ((st = hear(c, &say, 0, e)) == ST_OK)
        take(c, &say);
    if (st != ST_TIMEOUT)
        return st;
    return c->up ? ST_OK : is_down(c, e);
}

static enum st ask(struct client *c, const struct signer_ask *a, struct err *e)
{
    ERR_TRY(ready(&c->s, e));
    ssize_t n = send(c->fd, a, sizeof *a, MSG_NOSIGNAL | MSG_DONTWAIT);
    return n == (ssize_t)sizeof *a
               ? ST_OK
               : err_set(e, ST_IO, "the signing process cannot be asked: %s", strerror(errno));
}

/* Until it is ready again, or says why not. */
static enum st wait_ready(struct client *c, int64_t ms, struct err *e)
{
    int64_t end = now_ms() + ms;
    struct signer_say say = {.kind = SIGNER_ENDED};
    enum st st = ST_TIMEOUT;
    down(c, ST_TIMEOUT, "the signing process does not answer");
    while (st == ST_TIMEOUT && now_ms() < end) {
        st = hear(c, &say, end - now_ms(), e);
        if (st == ST_OK) {
            take(c, &say);
            if (say.kind != SIGNER_READY && say.kind != SIGNER_UNABLE && say.kind != SIGNER_ENDED)
                st = ST_TIMEOUT;
        }
    }
    if (st == ST_OK || st == ST_TIMEOUT)
        return c->up ? ST_OK : is_down(c, e);
    return st;
}

/* ---- what it is asked for ---- */

static enum st sign(void *ctx, const uint8_t hash[WIRE_HASH_BYTES], uint8_t sig[64], struct err *e)
{
    struct slot *k = ctx;
    struct client *c = k->c;
    struct signer_ask a = {.id = ++c->id, .op = SIGNER_SIGN};
    struct signer_say say = {.kind = SIGNER_ENDED};
    int64_t end = now_ms() + ANSWER_MS;
    memcpy(a.kid, wire_pub_kid(k->pub), sizeof a.kid);
    memcpy(a.hash, hash, sizeof a.hash);
    ERR_TRY(ask(c, &a, e));
    while (now_ms() < end) {
        enum st st = hear(c, &say, end - now_ms(), e);
        if (st == ST_TIMEOUT)
            continue;
        if (st != ST_OK)
            return st;
        if (say.id == a.id && say.kind == SIGNER_SIGNED) {
            ERR_TRY(wire_pub_check(k->pub, hash, say.sig, e));
            memcpy(sig, say.sig, 64);
            return ST_OK;
        }
        if (say.id == a.id && say.kind == SIGNER_FAILED)
            return err_set(e, (enum st)say.st, "%s", say.text);
        take(c, &say); /* an answer that came too late is for nobody */
        if (!c->up)
            return is_down(c, e);
    }
    return err_set(e, ST_TIMEOUT, "the signing process has not answered within %d s",
                   ANSWER_MS / 1000);
}

static enum st look(struct signer *s, struct err *e)
{
    struct client *c = (struct client *)s;
    const struct signer_ask a = {.id = ++c->id, .op = SIGNER_AGAIN};
    ERR_TRY(ask(c, &a, e));
    return wait_ready(c, START_MS, e);
}

static enum st promote(struct signer *s, struct err *e)
{
    struct client *c = (struct client *)s;
    const struct signer_ask a = {.id = ++c->id, .op = SIGNER_PROMOTE};
    struct signer_say say = {.kind = SIGNER_READY};
    int64_t end = now_ms() + START_MS;
    enum st st = ST_TIMEOUT;
    if (!s->next || c->named)
        return ST_OK;
    ERR_TRY(ask(c, &a, e));
    while (now_ms() < end &&
           (st == ST_TIMEOUT || say.kind == SIGNER_SIGNED || say.kind == SIGNER_FAILED))
        st = hear(c, &say, end - now_ms(), e);
    if (st == ST_OK && say.kind == SIGNER_PROMOTED && say.st != ST_OK) {
        err_set(e, (enum st)say.st, "%s", say.text);
        struct err why;
        return wait_ready(c, START_MS, &why) == ST_OK ? (enum st)say.st : ST_IO;
    }
    if (st != ST_OK)
        return st == ST_TIMEOUT ? err_set(e, st, "the signing process does not answer") : st;
    take(c, &say);
    if (say.kind == SIGNER_PROMOTED)
        ERR_TRY(wait_ready(c, START_MS, e));
    return s->next ? err_set(e, ST_IO, "the next key's file has not got its name") : ST_OK;
}

/* ---- start, end ---- */

static void close_client(struct signer *s)
{
    struct client *c = (struct client *)s;
    if (c->fd >= 0)
        (void)close(c->fd); /* which ends both */
    if (c->keeper > 0)
        while (waitpid(c->keeper, NULL, 0) < 0 && errno == EINTR)
            ;
    clear(&c->slot[0]);
    clear(&c->slot[1]);
    free(c);
}

enum st signer_fork(struct signer **out, const char *key, const char *next, struct err *e)
{
    int ends[2];
    struct client *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(e, ST_MEMORY, "signer: no memory");
    c->s.ready = ready;
    c->s.look = look;
    c->s.promote = promote;
    c->s.close = close_client;
    c->fd = -1;
    c->named = next != NULL;
    enum st st = ST_OK;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        st = err_set(e, ST_IO, "signer: %s", strerror(errno));
    if (st == ST_OK) {
        c->fd = ends[0];
        c->keeper = fork();
        if (c->keeper == 0) {
            (void)close(ends[0]); /* open there, it would never tell that this process has ended */
            signer_keep(ends[1], key, next);
        }
        (void)close(ends[1]);
        st = c->keeper > 0 ? wait_ready(c, START_MS, e)
                           : err_set(e, ST_IO, "signer: fork: %s", strerror(errno));
    }
    if (st != ST_OK) {
        close_client(&c->s);
        return st;
    }
    *out = &c->s;
    return ST_OK;
}
