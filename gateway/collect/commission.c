/* A device is set up beside the polls: by a thread of the gateway, on a line that the bus's thread
 * has left for the time, for a client of the control socket. What has begun goes on to its end
 * without that client, and is recorded here. See decision 0038. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/collect/ctl_int.h"
#include "gateway/collect/setup_int.h"

#define BUS_MS 30000             /* for the bus to leave its line */
#define SEND_MS 5000             /* for the client to take a line */
#define HANDS_MS (60 * 60000)    /* for a person to do what is asked */
#define RECORD_TRIES 30          /* one each second, where the record cannot be left */
#define WHY_MAX_BYTES (8 * 1024) /* of a profile's mistakes */

struct collect_commission {
    const struct collect *k;
    const struct clk *clk;
    struct thr_stop *stop;
    char *store_path;
    pthread_mutex_t lock;
    int wake; /* a request has come */
    int news; /* the bus has done something about the errand */
    bool busy;
    /* of the request: whoever left it had `busy` for it */
    struct collect_bus *bus;
    struct collect_ask ask;
    int fd; /* -1: none, or it has gone */
    struct collect_errand pause;
};

/* ---- opening -------------------------------------------------------------------------------- */

enum st collect_commission_open(struct collect_commission **out, const struct collect *k,
                                const char *store_path, const struct clk *clk,
                                struct thr_stop *stop, struct err *e)
{
    struct collect_commission *c = calloc(1, sizeof *c);
    *out = NULL;
    if (!c || pthread_mutex_init(&c->lock, NULL) != 0) {
        free(c);
        return err_set(e, ST_MEMORY, "collect: no memory for setting up devices");
    }
    c->k = k;
    c->clk = clk;
    c->stop = stop;
    c->fd = -1;
    c->store_path = strdup(store_path);
    c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!c->store_path || c->wake < 0 || c->news < 0) {
        collect_commission_close(c);
        return err_set(e, ST_IO, "setting up devices: cannot make an eventfd: %s", strerror(errno));
    }
    *out = c;
    return ST_OK;
}

static void hang_up(struct collect_commission *c)
{
    if (c->fd >= 0)
        (void)close(c->fd);
    c->fd = -1;
}

void collect_commission_close(struct collect_commission *c)
{
    if (!c)
        return;
    hang_up(c);
    if (c->wake >= 0)
        (void)close(c->wake);
    if (c->news >= 0)
        (void)close(c->news);
    (void)pthread_mutex_destroy(&c->lock);
    free(c->store_path);
    free(c);
}

enum st collect_commission_leave(struct collect_commission *c, struct collect_bus *b,
                                 const struct collect_ask *q, int fd)
{
    uint64_t one = 1;
    (void)pthread_mutex_lock(&c->lock);
    bool busy = c->busy;
    c->busy = true;
    (void)pthread_mutex_unlock(&c->lock);
    if (busy)
        return ST_BUSY;
    c->bus = b;
    c->ask = *q;
    c->fd = fd;
    (void)!write(c->wake, &one, sizeof one); /* a full one wakes, too */
    return ST_OK;
}

/* ---- the client ----------------------------------------------------------------------------- */

static int64_t now_ms(const struct collect_commission *c)
{
    return clk_mono(c->clk).ms;
}

/* Waits until fd (-1: none) shows `events`; false: the time is over, or it is stopped. */
static bool wait_for(const struct collect_commission *c, int fd, short events, int64_t until_ms)
{
    for (;;) {
        int64_t left = until_ms - now_ms(c);
        struct pollfd f[2] = {{fd, events, 0}, {c->stop->fd, POLLIN, 0}};
        int n = poll(f, 2, left > 0 ? (int)left : 0);
        if (f[1].revents || (n == 0 && left <= 0))
            return false;
        if (n > 0)
            return true;
    }
}

static void tell(struct collect_commission *c, const struct collect_news *w)
{
    char text[COLLECT_REPLY_TEXT];
    int64_t until = now_ms(c) + SEND_MS;
    size_t n = collect_news_print(w, text), sent = 0;
    while (c->fd >= 0 && sent < n) {
        ssize_t got = send(c->fd, text + sent, n - sent, MSG_NOSIGNAL);
        if (got > 0)
            sent += (size_t)got;
        else if ((errno != EAGAIN && errno != EINTR) || !wait_for(c, c->fd, POLLOUT, until))
            hang_up(c);
    }
}

static void say(void *ctx, const char *line)
{
    struct collect_news w = {.kind = COLLECT_NEWS_SAY};
    (void)snprintf(w.text, sizeof w.text, "%s", line);
    tell(ctx, &w);
}

static bool there(void *ctx)
{
    struct collect_commission *c = ctx;
    char byte;
    ssize_t n = c->fd >= 0 ? recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) : 0;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        hang_up(c);
    return c->fd >= 0;
}

/* An empty line is yes; any other, and the end of the connection, is no. */
static bool ask(void *ctx, const char *what)
{
    struct collect_commission *c = ctx;
    struct collect_news w = {.kind = COLLECT_NEWS_ASK};
    int64_t until = now_ms(c) + HANDS_MS;
    bool yes = true;
    char byte;
    (void)snprintf(w.text, sizeof w.text, "%s", what);
    tell(c, &w);
    while (c->fd >= 0 && wait_for(c, c->fd, POLLIN, until)) {
        ssize_t n = recv(c->fd, &byte, 1, MSG_DONTWAIT);
        if (n == 1 && byte == '\n')
            return yes;
        yes = false;
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            hang_up(c);
    }
    return false;
}

/* ---- the bus -------------------------------------------------------------------------------- */

/* Waits until the bus's thread has brought the errand there; false: not in time, or a stop. */
static bool reaches(struct collect_commission *c, enum collect_errand_state state, int64_t ms)
{
    int64_t until = now_ms(c) + ms;
    uint64_t news;
    for (;;) {
        enum collect_errand_state s = collect_desk_state(&c->bus->desk, &c->pause);
        if (s == state || s == COLLECT_ERRAND_DONE)
            return s == state;
        if (!wait_for(c, c->news, POLLIN, until))
            return false;
        (void)!read(c->news, &news, sizeof news);
    }
}

/* The bus's thread polls again, with a line of its own. Where it has stopped, too, the errand stays
 * with it, and is freed behind it. */
static void end_pause(struct collect_commission *c)
{
    if (collect_desk_take_back(&c->bus->desk, &c->pause))
        return;
    while (!reaches(c, COLLECT_ERRAND_DONE, BUS_MS) && !atomic_load(&c->stop->set))
        continue;
}

static enum st begin_pause(struct collect_commission *c, struct err *e)
{
    c->pause = (struct collect_errand){.ask = c->ask, .news = c->news, .since = clk_mono(c->clk)};
    if (collect_desk_leave(&c->bus->desk, &c->pause) != ST_OK)
        return err_set(e, ST_BUSY, "too much is asked of this bus");
    if (reaches(c, COLLECT_ERRAND_HELD, BUS_MS))
        return ST_OK;
    end_pause(c);
    if (atomic_load(&c->stop->set))
        return err_set(e, ST_STOPPED, "the gateway stops");
    if (c->pause.state == COLLECT_ERRAND_DONE && c->pause.reply.st != ST_OK)
        return err_set(e, c->pause.reply.st, "%s", c->pause.reply.text);
    return err_set(e, ST_TIMEOUT, "the bus had no time for it within %d s", BUS_MS / 1000);
}

/* ---- one setup ------------------------------------------------------------------------------- */

static void say_lines(struct collect_commission *c, const struct buf *why)
{
    char line[512];
    const char *p = (const char *)why->p, *end = p ? p + why->n : p;
    for (const char *at; p && p < end; p = at + 1) {
        at = memchr(p, '\n', (size_t)(end - p));
        if (!at)
            at = end;
        (void)snprintf(line, sizeof line, "%.*s", (int)(at - p), p);
        say(c, line);
    }
}

static enum st write_it(struct collect_commission *c, struct collect_setup_done *done,
                        struct err *e)
{
    const struct collect_setup_talk talk = {.say = say, .ask = ask, .there = there, .ctx = c};
    const struct collect_setup_ask how = {.bus = c->ask.bus,
                                          .profile = c->ask.profile,
                                          .unit = c->ask.unit,
                                          .to_unit = c->ask.to_unit,
                                          .to_baud = c->ask.to_baud,
                                          .to_parity = c->ask.to_parity,
                                          .write = true};
    struct buf why;
    ERR_TRY(collect_setup_can_record(c->store_path, c->ask.by, e));
    ERR_TRY(begin_pause(c, e));
    buf_init(&why, WHY_MAX_BYTES);
    enum st st = collect_setup_run(c->k->cfg, c->k->beside, c->k->profile_dir, &how, &talk, c->stop,
                                   done, &why, e);
    end_pause(c);
    say_lines(c, &why);
    buf_done(&why);
    return st;
}

/* A full disk may have room again. */
static void record(struct collect_commission *c, struct collect_setup_done *done)
{
    struct err e = {.text = ""};
    for (int i = 0; i < RECORD_TRIES && !done->recorded; i++) {
        if (i > 0 && thr_stop_wait(c->stop, 1000))
            break;
        done->recorded = collect_setup_record(c->store_path, done->text, c->ask.by,
                                              clk_now(c->clk).utc_ms, &e) == ST_OK;
    }
    if (!done->recorded)
        store_event(c->k->store, STORE_ERROR, "setup.unrecorded", c->ask.bus,
                    "%s, by %s: the chain could not be told: %s", done->text, c->ask.by, e.text);
}

static void serve(struct collect_commission *c)
{
    struct collect_news w = {.kind = COLLECT_NEWS_DONE};
    struct err e = {.text = ""};
    w.st = write_it(c, &w.done, &e);
    if (w.done.written)
        record(c, &w.done);
    (void)snprintf(w.text, sizeof w.text, "%s", w.st == ST_OK ? "" : e.text);
    tell(c, &w);
    hang_up(c);
}

void collect_commission_main(struct collect_commission *c)
{
    uint64_t news;
    while (!atomic_load(&c->stop->set)) {
        if (!wait_for(c, c->wake, POLLIN, now_ms(c) + HANDS_MS))
            continue;
        (void)!read(c->wake, &news, sizeof news);
        serve(c);
        (void)pthread_mutex_lock(&c->lock);
        c->busy = false;
        (void)pthread_mutex_unlock(&c->lock);
    }
}

/* ---- the other end --------------------------------------------------------------------------- */

/* What the control socket refuses by itself is a reply as all are. */
static enum st read_news(const char *text, size_t n, struct collect_news *w, struct err *e)
{
    struct collect_reply r;
    if (collect_news_parse(text, n, w, e) == ST_OK)
        return ST_OK;
    ERR_TRY(collect_reply_parse(text, n, &r, e));
    return err_set(e, r.st == ST_OK ? ST_BAD : r.st, "%s", r.text);
}

static enum st next_news(int fd, struct collect_news *w, struct err *e)
{
    char text[COLLECT_REPLY_TEXT];
    for (size_t n = 0; n < sizeof text;) {
        ssize_t got = read(fd, text + n, 1); /* what follows is another's line */
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_set(e, ST_IO,
                           "the gateway ended the connection: it stops, or it is another "
                           "user's; what was written by then is in its events");
        if (text[n++] == '\n')
            return read_news(text, n, w, e);
    }
    return err_set(e, ST_BAD, "what the gateway says is too long");
}

static enum st follow(int fd, const struct collect_setup_talk *talk,
                      struct collect_setup_done *done, struct err *e)
{
    struct collect_news w;
    for (;;) {
        ERR_TRY(next_news(fd, &w, e));
        if (w.kind == COLLECT_NEWS_DONE)
            break;
        if (w.kind == COLLECT_NEWS_SAY) {
            talk->say(talk->ctx, w.text);
            continue;
        }
        const char *reply = talk->ask(talk->ctx, w.text) ? "\n" : "no\n";
        (void)!send(fd, reply, strlen(reply), MSG_NOSIGNAL); /* a gone gateway shows next */
    }
    *done = w.done;
    return w.st == ST_OK ? ST_OK : err_set(e, w.st, "%s", w.text);
}

enum st collect_ctl_setup(const char *store_path, const struct collect_ask *q,
                          const struct collect_setup_talk *talk, struct collect_setup_done *done,
                          struct err *e)
{
    char text[COLLECT_ASK_TEXT];
    size_t n = collect_ask_print(q, text);
    int fd = -1;
    *done = (struct collect_setup_done){.written = false};
    if (n == 0)
        return err_set(e, ST_BAD, "too long to ask a gateway: a shorter profile name, or --by");
    ERR_TRY(collect_ctl_dial(store_path, &fd, e));
    enum st st = send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n
                     ? follow(fd, talk, done, e)
                     : err_set(e, ST_IO, "the gateway cannot be asked: %s", strerror(errno));
    (void)close(fd);
    return st;
}
