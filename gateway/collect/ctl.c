/* The control socket of a gateway: one thread, a few clients, one request each. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gateway/collect/ctl_int.h"

#define CLIENTS COLLECT_ERRANDS_MAX /* all may ask one bus */
#define ASK_MS 5000                 /* for a client to send its request, and to take its reply */
#define WAIT_MS 30000               /* for a bus to find time */
#define LISTEN_AGAIN_MS 1000        /* after the system had no descriptor left */

struct client {
    int fd;        /* -1: there is none, or it has gone while the bus is at its errand */
    bool asked;    /* its request has come */
    bool with_bus; /* the errand is */
    bool paused;   /* and the client knows that its pause has begun */
    int64_t until_ms;
    struct collect_desk *desk;
    struct collect_errand errand;
    size_t nin, nout, sent;
    char in[COLLECT_ASK_TEXT], out[2 * COLLECT_REPLY_TEXT];
};
struct collect_ctl {
    struct collect *k;
    const struct clk *clk;
    struct thr_stop *stop;
    int folder, listener, news;
    char name[CTL_NAME_BYTES];
    int64_t listen_at_ms;
    struct collect_commission *commission;
    struct client clients[CLIENTS];
};

/* ---- opening -------------------------------------------------------------------------------- */

/* The name of a socket has 107 bytes: the folder is named by its descriptor. */
enum st collect_ctl_address(const char *store_path, int *folder, char name[CTL_NAME_BYTES],
                            struct sockaddr_un *a, struct err *e)
{
    char parent[CTL_PATH_BYTES];
    const char *slash = strrchr(store_path, '/');
    const char *file = slash ? slash + 1 : store_path;
    int n = slash ? (int)(slash - store_path) + (slash == store_path) : 1;
    *folder = -1;
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (snprintf(parent, sizeof parent, "%.*s", n, slash ? store_path : ".") >=
            (int)sizeof parent ||
        snprintf(name, CTL_NAME_BYTES, "%s" CTL_SUFFIX, file) >= CTL_NAME_BYTES)
        return err_set(e, ST_BAD, "store.path is too long for a control socket beside it");
    *folder = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*folder < 0)
        return err_set(e, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s: %s", parent,
                       strerror(errno));
    (void)snprintf(a->sun_path, sizeof a->sun_path, "/proc/self/fd/%d/%s", *folder, name);
    return ST_OK;
}

/* Its mode is set before it has a name. */
static enum st listen_there(struct collect_ctl *c, const struct sockaddr_un *a, struct err *e)
{
    c->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->listener >= 0 && fchmod(c->listener, S_IRUSR | S_IWUSR) == 0 &&
        (unlinkat(c->folder, c->name, 0) == 0 || errno == ENOENT) &&
        bind(c->listener, (const struct sockaddr *)a, sizeof *a) == 0 &&
        listen(c->listener, CLIENTS) == 0)
        return ST_OK;
    return err_set(e, ST_IO, "the control socket %s: %s", c->name, strerror(errno));
}

enum st collect_ctl_open(struct collect_ctl **out, struct collect *k, const char *store_path,
                         const struct clk *clk, struct thr_stop *stop, struct err *e)
{
    struct sockaddr_un a;
    struct collect_ctl *c = calloc(1, sizeof *c);
    *out = NULL;
    if (!c)
        return err_set(e, ST_MEMORY, "collect: no memory for the control socket");
    *c = (struct collect_ctl){
        .k = k, .clk = clk, .stop = stop, .folder = -1, .listener = -1, .news = -1};
    for (size_t i = 0; i < CLIENTS; i++)
        c->clients[i].fd = -1;
    enum st st = collect_ctl_address(store_path, &c->folder, c->name, &a, e);
    if (st == ST_OK && (c->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        st = err_set(e, ST_IO, "cannot make an eventfd: %s", strerror(errno));
    if (st == ST_OK)
        st = collect_commission_open(&c->commission, k, store_path, clk, stop, e);
    if (st == ST_OK)
        st = listen_there(c, &a, e);
    if (st == ST_OK)
        *out = c;
    else
        collect_ctl_close(c);
    return st;
}

static void hang_up(struct client *x)
{
    if (x->fd >= 0)
        (void)close(x->fd);
    x->fd = -1;
}

void collect_ctl_close(struct collect_ctl *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < CLIENTS; i++)
        hang_up(&c->clients[i]);
    if (c->listener >= 0) {
        (void)unlinkat(c->folder, c->name, 0);
        (void)close(c->listener);
    }
    if (c->news >= 0)
        (void)close(c->news);
    if (c->folder >= 0)
        (void)close(c->folder);
    collect_commission_close(c->commission);
    free(c);
}

/* ---- one client ----------------------------------------------------------------------------- */

static int64_t now_ms(const struct collect_ctl *c)
{
    return clk_mono(c->clk).ms;
}

static bool is_free(const struct client *x)
{
    return x->fd < 0 && !x->with_bus;
}

/* What the bus has of it is taken back, or comes back when the bus has done it. */
static void drop(struct client *x)
{
    hang_up(x);
    if (x->with_bus && collect_desk_take_back(x->desk, &x->errand))
        x->with_bus = false;
}

static void reply(struct collect_ctl *c, struct client *x, const struct collect_reply *r)
{
    char text[COLLECT_REPLY_TEXT];
    size_t n = collect_reply_print(r, text);
    if (n == 0 || n > sizeof x->out - x->nout) {
        drop(x); /* no memory: the client sees that nothing comes */
        return;
    }
    memcpy(x->out + x->nout, text, n);
    x->nout += n;
    x->until_ms = now_ms(c) + ASK_MS;
}

static void refuse(struct collect_ctl *c, struct client *x, enum st st, const char *text)
{
    struct collect_reply r = {.st = st};
    (void)snprintf(r.text, sizeof r.text, "%s", text);
    reply(c, x, &r);
}

static void give(struct collect_ctl *c, struct client *x)
{
    struct collect_bus *b = NULL;
    for (size_t i = 0; i < c->k->nbuses && !b; i++)
        if (strcmp(c->k->buses[i].cfg->id, x->errand.ask.bus) == 0)
            b = &c->k->buses[i];
    if (!b || !b->port) {
        refuse(c, x, ST_NOT_FOUND,
               b ? "what is on this bus sends by itself, and is not asked"
                 : "the gateway that runs has no such bus: it may run with another configuration");
        return;
    }
    if (x->errand.ask.op == COLLECT_SETUP) {
        if (collect_commission_leave(c->commission, b, &x->errand.ask, x->fd) == ST_OK)
            x->fd = -1;
        else
            refuse(c, x, ST_BUSY, "another device is being set up: one at a time");
        return;
    }
    x->desk = &b->desk;
    x->until_ms = now_ms(c) + WAIT_MS;
    x->errand.news = c->news;
    x->errand.since = clk_mono(c->clk);
    x->with_bus = collect_desk_leave(x->desk, &x->errand) == ST_OK;
    if (!x->with_bus)
        refuse(c, x, ST_BUSY, "too much is asked of this bus");
}

/* One line, and nothing behind it: whatever comes then ends it, as the connection's end does. */
static void take(struct collect_ctl *c, struct client *x)
{
    struct err e = {.text = ""};
    ssize_t got = read(x->fd, x->in + x->nin, sizeof x->in - x->nin);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 || x->asked) {
        drop(x);
        return;
    }
    size_t n = x->nin + (size_t)got;
    const char *end = memchr(x->in, '\n', n);
    x->asked = end || n == sizeof x->in;
    x->nin = x->asked ? 0 : n;
    if (!x->asked)
        return;
    if (!end || end + 1 != x->in + n)
        refuse(c, x, ST_BAD, "a request is one line of JSON, of at most 512 bytes");
    else if (collect_ask_parse(x->in, n - 1, &x->errand.ask, &e) != ST_OK)
        refuse(c, x, ST_BAD, e.text);
    else
        give(c, x);
}

static void send_rest(struct client *x)
{
    ssize_t n = send(x->fd, x->out + x->sent, x->nout - x->sent, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(x);
        return;
    }
    x->sent += (size_t)n;
    if (x->sent == x->nout && !x->with_bus)
        hang_up(x); /* all is said */
}

/* The bus may have done its part. */
static void look(struct collect_ctl *c, struct client *x)
{
    if (!x->with_bus)
        return;
    enum collect_errand_state s = collect_desk_state(x->desk, &x->errand);
    x->with_bus = s != COLLECT_ERRAND_DONE;
    if (x->fd < 0)
        return;
    if (s == COLLECT_ERRAND_HELD && !x->paused) {
        x->paused = true;
        reply(c, x, &(struct collect_reply){.st = ST_OK});
    } else if (s == COLLECT_ERRAND_DONE) {
        reply(c, x, &x->errand.reply);
    }
}

static bool sends(const struct client *x)
{
    return x->fd >= 0 && x->sent < x->nout;
}

/* The time of what it does now is over. A pause is ended by its bus. */
static void expire(struct collect_ctl *c, struct client *x)
{
    if (!x->with_bus || sends(x)) {
        drop(x);
    } else if (!x->paused && collect_desk_take_back(x->desk, &x->errand)) {
        x->with_bus = false;
        refuse(c, x, ST_TIMEOUT, "the bus had no time for it within 30 s");
    } else {
        x->until_ms = now_ms(c) + ASK_MS; /* the bus is at it */
    }
}

static bool has_deadline(const struct client *x)
{
    return x->fd >= 0 && (!x->paused || sends(x));
}

/* ---- all of them ---------------------------------------------------------------------------- */

/* Root, and whoever the gateway runs as. */
static bool is_owner(int fd)
{
    struct ucred who;
    socklen_t n = sizeof who;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
           (who.uid == 0 || who.uid == geteuid());
}

static void greet(struct collect_ctl *c, struct client *x)
{
    int fd = accept4(c->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            c->listen_at_ms = now_ms(c) + LISTEN_AGAIN_MS;
        return;
    }
    if (!is_owner(fd)) {
        (void)close(fd);
        return;
    }
    memset(x, 0, sizeof *x);
    x->fd = fd;
    x->until_ms = now_ms(c) + ASK_MS;
}

static struct client *free_client(struct collect_ctl *c)
{
    for (size_t i = 0; i < CLIENTS; i++)
        if (is_free(&c->clients[i]))
            return &c->clients[i];
    return NULL;
}

/* How long nothing can happen but what the descriptors tell; -1: for ever. */
static int quiet_ms(const struct collect_ctl *c, bool listening)
{
    int64_t now = now_ms(c), least = INT64_MAX;
    if (!listening && c->listen_at_ms > now)
        least = c->listen_at_ms;
    for (size_t i = 0; i < CLIENTS; i++)
        if (has_deadline(&c->clients[i]) && c->clients[i].until_ms < least)
            least = c->clients[i].until_ms;
    if (least == INT64_MAX)
        return -1;
    return least > now ? (int)(least - now) : 0;
}

enum { STOP, NEWS, LISTENER, FIRST };

/* One look at all descriptors. */
static void turn(struct collect_ctl *c)
{
    struct client *room = free_client(c);
    bool listening = room && now_ms(c) >= c->listen_at_ms;
    struct pollfd f[FIRST + CLIENTS] = {[STOP] = {c->stop->fd, POLLIN, 0},
                                        [NEWS] = {c->news, POLLIN, 0},
                                        [LISTENER] = {listening ? c->listener : -1, POLLIN, 0}};
    uint64_t news;
    for (size_t i = 0; i < CLIENTS; i++)
        f[FIRST + i] = (struct pollfd){c->clients[i].fd,
                                       (short)(POLLIN | (sends(&c->clients[i]) ? POLLOUT : 0)), 0};
    if (poll(f, FIRST + CLIENTS, quiet_ms(c, listening)) < 0)
        return;
    if (f[NEWS].revents)
        (void)!read(c->news, &news, sizeof news);
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *x = &c->clients[i];
        if (x->fd >= 0 && f[FIRST + i].revents & POLLOUT)
            send_rest(x);
        if (x->fd >= 0 && f[FIRST + i].revents & (POLLIN | POLLHUP | POLLERR))
            take(c, x);
        look(c, x);
        if (has_deadline(x) && now_ms(c) >= x->until_ms)
            expire(c, x);
    }
    if (f[LISTENER].revents)
        greet(c, room);
}

void collect_ctl_setup_main(void *collect_ctl)
{
    const struct collect_ctl *c = collect_ctl;
    collect_commission_main(c->commission);
}

void collect_ctl_main(void *collect_ctl)
{
    struct collect_ctl *c = collect_ctl;
    while (!atomic_load(&c->stop->set))
        turn(c);
}
