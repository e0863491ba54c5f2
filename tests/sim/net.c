#include "tests/sim/net.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/control.h"
#include "tests/sim/open.h"

#define QUIESCE_MS 2000
#define LINE_SILENCE_MS 50 /* on a serial line: what came before is no part of this request */
#define SLOW_BYTE_MS 8     /* of a slow answer */
#define WAITING_MAX 1000   /* answers that wait for their time */
#define CONNECTIONS_MAX 1000

enum end_kind { LISTENER, WIRE, STDIN, SIGNALS };
struct end {
    enum end_kind kind;
    int fd;
    int slave_fd; /* of a pty: kept open, so that a master that leaves hangs nothing up */
    const struct sim_bus *bus;
    int64_t last_ms;
    size_t n;
    uint8_t buf[512];
    struct end *next;
};
struct waiting { /* an answer whose time has not come */
    int64_t due_ms;
    struct end *to;
    size_t n;
    struct waiting *next;
    uint8_t bytes[];
};
struct sim_net {
    struct sim_site *site;
    FILE *log;
    int epoll;
    struct end *ends;
    size_t connections, nwaiting;
    uint64_t requests; /* to any unit, answered or not */
    struct waiting *waiting;
    bool quiet, quiet_said, stopping, log_dirty;
    int64_t quiet_since_ms, flushed_ms;
    struct sim_control control;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct end *add_end(struct sim_net *n, enum end_kind kind, int fd, const struct sim_bus *b)
{
    struct end *x = calloc(1, sizeof(*x));
    if (x == NULL)
        return NULL;
    *x = (struct end){.kind = kind, .fd = fd, .slave_fd = -1, .bus = b, .next = n->ends};
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = x};
    if (epoll_ctl(n->epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
        free(x);
        return NULL;
    }
    n->ends = x;
    return x;
}

/* Takes the answers to x out of the waiting list. */
static void forget_waiting(struct sim_net *n, const struct end *x)
{
    for (struct waiting **at = &n->waiting; *at != NULL;) {
        struct waiting *w = *at;
        if (w->to != x) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        n->nwaiting--;
        free(w);
    }
}

static void drop_end(struct sim_net *n, struct end *x)
{
    forget_waiting(n, x);
    for (struct end **at = &n->ends; *at != NULL; at = &(*at)->next) {
        if (*at == x) {
            *at = x->next;
            break;
        }
    }
    n->connections -= x->kind == WIRE && x->bus->tcp;
    if (x->fd != STDIN_FILENO)
        close(x->fd);
    else /* it stays open: its end is told no more */
        (void)epoll_ctl(n->epoll, EPOLL_CTL_DEL, x->fd, NULL);
    if (x->slave_fd >= 0)
        close(x->slave_fd);
    free(x);
}

/* ---- answers -------------------------------------------------------------------------------- */

/* A short or failed write is a broken wire: the master's time-out deals with it. */
static void put(const struct end *x, const uint8_t *p, size_t n)
{
    ssize_t done = x->bus->tcp ? send(x->fd, p, n, MSG_NOSIGNAL) : write(x->fd, p, n);
    (void)done;
}

static void put_at(struct sim_net *n, struct end *x, const uint8_t *p, size_t bytes, int64_t due_ms)
{
    struct waiting **at = &n->waiting;
    if (n->nwaiting == WAITING_MAX)
        return;
    struct waiting *w = malloc(sizeof(*w) + bytes);
    if (w == NULL)
        return;
    *w = (struct waiting){.due_ms = due_ms, .to = x, .n = bytes};
    memcpy(w->bytes, p, bytes);
    while (*at != NULL && (*at)->due_ms <= due_ms)
        at = &(*at)->next;
    w->next = *at;
    *at = w;
    n->nwaiting++;
}

static void put_due(struct sim_net *n, int64_t now)
{
    while (n->waiting != NULL && n->waiting->due_ms <= now) {
        struct waiting *w = n->waiting;
        put(w->to, w->bytes, w->n);
        n->waiting = w->next;
        n->nwaiting--;
        free(w);
    }
}

static int64_t baud_of(speed_t speed)
{
    static const struct {
        speed_t speed;
        int64_t baud;
    } all[] = {{B1200, 1200},   {B2400, 2400},   {B4800, 4800},   {B9600, 9600},
               {B19200, 19200}, {B38400, 38400}, {B57600, 57600}, {B115200, 115200}};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        if (all[i].speed == speed)
            return all[i].baud;
    return -1;
}

/* Whether the master has set its end to the device's speed and parity: who hears another speed
 * understands nothing. A pty carries bytes at any, but keeps what was set; of parity it keeps
 * whether it is checked (INPCK), and which. */
static bool hears(const struct end *x, const struct sim_device *d)
{
    const struct sim_settings *s = &d->settings;
    int64_t baud = s->setup ? s->now.baud : d->baud, want = s->setup ? s->now.parity : d->parity;
    int parity = 'N';
    struct termios t;
    if (s->setup && s->unplugged)
        return false;
    if (x->slave_fd < 0 || baud == 0)
        return true;
    if (tcgetattr(x->slave_fd, &t) != 0)
        return false;
    if (t.c_iflag & INPCK)
        parity = t.c_cflag & PARODD ? 'O' : 'E';
    return baud_of(cfgetospeed(&t)) == baud && (want == 0 || parity == want);
}

/* The first device behind `after` (NULL: of all) that this unit reaches. */
static struct sim_device *addressed(const struct end *x, uint8_t unit,
                                    const struct sim_device *after)
{
    const struct sim_bus *b = x->bus;
    bool from = after == NULL;
    for (size_t i = 0; i < b->n; i++) {
        struct sim_device *d = b->devices[i];
        uint8_t is = d->settings.setup ? (uint8_t)d->settings.now.unit : d->unit;
        if (from && is == unit && hears(x, d))
            return d;
        from |= d == after;
    }
    return NULL;
}

/* Others with the same unit answer at once: where two speak, a 0 wins. */
static size_t collide(const struct end *x, const struct sim_request *r, struct sim_device *d,
                      uint8_t *frame, size_t bytes)
{
    while ((d = addressed(x, r->unit, d)) != NULL) {
        uint8_t pdu[SIM_PDU_MAX_BYTES], other[SIM_FRAME_MAX_BYTES];
        size_t n = sim_settings_answer(&d->settings, r->pdu, r->n, pdu);
        if (n == 0)
            n = sim_device_answer(d, r->pdu, r->n, pdu);
        n = sim_frame_answer(r, pdu, n, SIM_FAULT_NONE, &d->random, other);
        for (size_t i = 0; i < n; i++)
            frame[i] = i < bytes ? frame[i] & other[i] : other[i];
        bytes = n > bytes ? n : bytes;
    }
    return bytes;
}

static bool mid_poll(const struct sim_device *d)
{
    return d->counter >= 0 && d->in_poll;
}

/* Bytes of 10 bits on the line, there and back. */
static int64_t line_ms(const struct sim_bus *b, size_t bytes)
{
    return b->tcp || b->baud == 0 ? 0 : (int64_t)bytes * 10 * 1000 / b->baud;
}

/* false: the connection is to be closed. */
static bool answer(struct sim_net *n, struct end *x, const struct sim_request *r, int64_t now)
{
    uint8_t pdu[SIM_PDU_MAX_BYTES], frame[SIM_FRAME_MAX_BYTES];
    struct sim_device *d = addressed(x, r->unit, NULL);
    uint64_t unused = 1;

    n->requests++;
    if (d != NULL && !hears(x, d))
        return true;
    if (d == NULL) { /* a serial line stays silent, a TCP gateway says that nobody answers */
        const uint8_t nobody[2] = {(uint8_t)(r->pdu[0] | 0x80), 11};
        if (r->tcp)
            put(x, frame, sim_frame_answer(r, nobody, 2, SIM_FAULT_NONE, &unused, frame));
        return true;
    }
    if (n->quiet && (n->quiet_said || !mid_poll(d)))
        return true;
    enum sim_fault f = sim_device_request(d, r->pdu, r->n);
    size_t bytes = sim_settings_answer(&d->settings, r->pdu, r->n, pdu);
    bool setting = bytes > 0;
    if (!setting)
        bytes = sim_device_answer(d, r->pdu, r->n, pdu);
    bool served = sim_fault_serves(f) && pdu[0] < 0x80 && !setting;
    bytes = sim_frame_answer(r, pdu, bytes, f, &d->random, frame);
    if (d->settings.setup != NULL)
        bytes = collide(x, r, d, frame, bytes);
    int64_t due = now + line_ms(x->bus, r->n + 3 + bytes);
    if (due < d->busy_until_ms)
        due = d->busy_until_ms;
    if (f == SIM_FAULT_LATE)
        d->busy_until_ms = due += d->late_ms;
    if (f == SIM_FAULT_SLOW)
        for (size_t i = 0; i < bytes; i++)
            put_at(n, x, frame + i, 1, due + (int64_t)i * SLOW_BYTE_MS);
    else if (due > now)
        put_at(n, x, frame, bytes, due);
    else if (bytes > 0)
        put(x, frame, bytes);
    if (served) {
        sim_device_served(d, r->pdu, n->log);
        n->log_dirty = true;
    }
    const struct linger none = {.l_onoff = 1};
    if (f == SIM_FAULT_RESET)
        (void)setsockopt(x->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    return f != SIM_FAULT_CLOSE && f != SIM_FAULT_RESET;
}

static void take(struct sim_net *n, struct end *x)
{
    int64_t now = now_ms();
    if (!x->bus->tcp && now - x->last_ms > LINE_SILENCE_MS)
        x->n = 0;
    x->last_ms = now;
    ssize_t got = read(x->fd, x->buf + x->n, sizeof(x->buf) - x->n);
    if (got < 0 && (errno == EAGAIN || errno == EINTR || (errno == EIO && !x->bus->tcp)))
        return;
    if (got <= 0) {
        drop_end(n, x);
        return;
    }
    x->n += (size_t)got;
    size_t used = 0;
    for (size_t more; used < x->n; used += more) {
        struct sim_request r;
        more = sim_frame_take(x->bus->tcp, x->buf + used, x->n - used, &r);
        if (more == 0)
            break;
        if (r.pdu != NULL && !answer(n, x, &r, now)) {
            drop_end(n, x);
            return;
        }
    }
    x->n -= used;
    memmove(x->buf, x->buf + used, x->n);
    if (x->n == sizeof(x->buf)) /* no request is that long */
        x->n = 0;
}

static void greet(struct sim_net *n, struct end *listener)
{
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (n->connections == CONNECTIONS_MAX || add_end(n, WIRE, fd, listener->bus) == NULL) {
        close(fd);
        return;
    }
    n->connections++;
}

/* ---- the loop ------------------------------------------------------------------------------- */

static void go_quiet(struct sim_net *n)
{
    if (n->quiet)
        return;
    n->quiet = true;
    n->quiet_since_ms = now_ms();
}

static void take_signal(struct sim_net *n, int fd)
{
    struct signalfd_siginfo s;
    if (read(fd, &s, sizeof(s)) != (ssize_t)sizeof(s))
        return;
    go_quiet(n);
    if (s.ssi_signo != SIGUSR1)
        n->stopping = true;
}

static void flush_log(struct sim_net *n, int64_t now)
{
    if (n->log == NULL || !n->log_dirty)
        return;
    fflush(n->log); /* a failure stays in the stream: main looks at it at the end */
    n->log_dirty = false;
    n->flushed_ms = now;
}

/* Whether all polls have ended, or had their time. */
static bool rested(const struct sim_net *n, int64_t now)
{
    size_t buses;
    const struct sim_bus *b = sim_site_buses(n->site, &buses);
    if (now - n->quiet_since_ms >= QUIESCE_MS)
        return true;
    for (size_t i = 0; i < buses; i++)
        for (size_t k = 0; k < b[i].n; k++)
            if (mid_poll(b[i].devices[k]))
                return false;
    return n->nwaiting == 0;
}

static int sleep_ms(const struct sim_net *n, int64_t now)
{
    int64_t ms = n->waiting != NULL ? n->waiting->due_ms - now : 60000;
    if (n->quiet && !n->quiet_said && ms > 20)
        ms = 20;
    if (n->log_dirty && ms > 1000)
        ms = 1000;
    return ms < 0 ? 0 : (int)ms;
}

/* Between two sleeps; true when the play is over. */
static bool keep_up(struct sim_net *n)
{
    int64_t now = now_ms();
    put_due(n, now);
    if (now - n->flushed_ms >= 1000)
        flush_log(n, now);
    if (!n->quiet || (!n->quiet_said && !rested(n, now)))
        return false;
    if (!n->quiet_said) {
        flush_log(n, now);
        n->quiet_said = true;
        puts("quiet");
        fflush(stdout);
    }
    return n->stopping;
}

static void handle(struct sim_net *n, struct end *x)
{
    switch (x->kind) {
    case LISTENER:
        greet(n, x);
        break;
    case WIRE:
        take(n, x);
        break;
    case STDIN:
        if (!sim_control_read(&n->control, n->site))
            drop_end(n, x);
        break;
    case SIGNALS:
        take_signal(n, x->fd);
        break;
    }
}

enum st sim_net_run(struct sim_net *n, struct err *e)
{
    while (!keep_up(n)) {
        /* One at a time: handling one may close any other. */
        struct epoll_event ev;
        int got = epoll_wait(n->epoll, &ev, 1, sleep_ms(n, now_ms()));
        if (got < 0 && errno != EINTR)
            return err_set(e, ST_IO, "epoll_wait: %s", strerror(errno));
        if (got == 1)
            handle(n, ev.data.ptr);
    }
    printf("requests %" PRIu64 "\n", n->requests);
    fflush(stdout);
    return ST_OK;
}

static enum st open_bus(struct sim_net *n, const struct sim_bus *b, struct err *e)
{
    char where[128];
    int fd = -1, slave = -1;
    enum st st = b->tcp ? sim_open_tcp(b->listen, &fd, where, sizeof(where), e)
                        : sim_open_pty(b->link, &fd, &slave, where, sizeof(where), e);
    if (st != ST_OK)
        return err_wrap(e, st, "bus %s", b->id);
    struct end *x = add_end(n, b->tcp ? LISTENER : WIRE, fd, b);
    if (x == NULL) {
        close(fd);
        if (slave >= 0)
            close(slave);
        return err_set(e, ST_MEMORY, "bus %s: cannot be watched", b->id);
    }
    x->slave_fd = slave;
    printf("bus %s %s\n", b->id, where);
    return ST_OK;
}

enum st sim_net_open(struct sim_net **out, struct sim_site *site, FILE *log, struct err *e)
{
    struct sim_net *n = calloc(1, sizeof(*n));
    enum st st = ST_OK;
    size_t buses;
    sigset_t signals;

    *out = NULL;
    if (n == NULL)
        return err_set(e, ST_MEMORY, "no memory for the wires");
    n->site = site;
    n->log = log;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    n->epoll = epoll_create1(EPOLL_CLOEXEC);
    int fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (n->epoll < 0 || fd < 0 || add_end(n, SIGNALS, fd, NULL) == NULL) {
        st = err_set(e, ST_IO, "epoll and signalfd: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        goto out;
    }
    (void)add_end(n, STDIN, STDIN_FILENO, NULL); /* a file or /dev/null is no control input */
    const struct sim_bus *b = sim_site_buses(site, &buses);
    for (size_t i = 0; i < buses && st == ST_OK; i++)
        st = open_bus(n, &b[i], e);
    if (st != ST_OK)
        goto out;
    puts("ready");
    fflush(stdout);
    *out = n;
    n = NULL;
out:
    sim_net_close(n);
    return st;
}

void sim_net_close(struct sim_net *n)
{
    if (n == NULL)
        return;
    while (n->ends != NULL) {
        if (n->ends->slave_fd >= 0 && n->ends->bus->link != NULL)
            unlink(n->ends->bus->link);
        drop_end(n, n->ends);
    }
    if (n->epoll >= 0)
        close(n->epoll);
    free(n);
}
