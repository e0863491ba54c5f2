/* One serial line or TCP connection, through libmodbus.
 *
 * Requests are sent raw and answers received raw, and every byte is checked here: libmodbus 3.1.6
 * accepts another unit's answer over TCP, knows no echo and no noise before a frame, and its own
 * waiting cannot be interrupted by a stop. Its raw requests carry transaction 0 over TCP, so those
 * 12 bytes are written to its socket instead.
 */
#include <errno.h>
#include <linux/serial.h>
#include <modbus.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "gateway/collect/collect_int.h"
#include "gateway/collect/direction.h"

#define OPEN_AGAIN_MIN_MS 1000
#define OPEN_AGAIN_MAX_MS 10000
#define RTU_FRAME_BYTES 256
#define REQUEST_BYTES 12
/* A frame with its echo and as much noise again. */
#define HEARD_BYTES 640
#define CHARACTER_BITS 11
#define TCP_REST_MS 1000
/* Noise without end is not waited out for ever: what comes then fails its check. */
#define NOISE_MAX_MS 1000
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

struct collect_port {
    const struct collect_bus_cfg *as; /* as configured */
    struct collect_bus_cfg own;       /* the same with the settings that it is tuned to */
    const struct collect_bus_cfg *cfg;
    modbus_t *ctx;
    int lock; /* of an open serial line; else -1 */
    bool open;
    uint16_t transaction;
    int64_t quiet_ms; /* 3.5 characters, rounded up */
    int64_t gap_ns;   /* the same, exactly */
    int64_t rest_ms;  /* for the rest of an answer that has begun */
    int64_t last_ns;  /* physical time of the last byte heard or awaited */
    int64_t back_off_ms;
    struct mono open_at; /* not tried again before */
    struct err why;      /* it is not open */
    bool stray;          /* bytes came that no request explains */
    uint8_t sent[REQUEST_BYTES], heard[HEARD_BYTES];
    size_t nsent, nheard;
};

/* Time-outs of the line are physical: a test's clock does not move them. */
static int64_t physical_ns(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static int64_t characters_ms(const struct collect_bus_cfg *cfg, int64_t bits)
{
    return (bits * 1000 + cfg->baud - 1) / cfg->baud;
}

static modbus_t *make_ctx(const struct collect_bus_cfg *cfg)
{
    if (cfg->type != COLLECT_RTU)
        return modbus_new_tcp(NULL, 0);
    return modbus_new_rtu(cfg->port, (int)cfg->baud, (char)cfg->parity, (int)cfg->data_bits,
                          (int)cfg->stop_bits);
}

/* Times of the line that follow from its settings. */
static void set_times(struct collect_port *p)
{
    p->rest_ms = TCP_REST_MS;
    if (p->cfg->type != COLLECT_RTU)
        return;
    p->quiet_ms = characters_ms(p->cfg, CHARACTER_BITS * 7 / 2) + 1;
    p->gap_ns = collect_line_gap_ns(p->cfg);
    p->rest_ms = characters_ms(p->cfg, CHARACTER_BITS * RTU_FRAME_BYTES) + 200;
}

enum st collect_port_make(struct collect_port **out, const struct collect_bus_cfg *cfg,
                          struct err *e)
{
    struct collect_port *p = calloc(1, sizeof *p);
    *out = NULL;
    if (!p)
        return err_set(e, ST_MEMORY, "collect: no memory for bus %s", cfg->id);
    p->as = cfg;
    p->own = *cfg;
    p->cfg = &p->own;
    p->lock = -1;
    p->ctx = make_ctx(cfg);
    if (!p->ctx) {
        enum st st = err_set(e, errno == ENOMEM ? ST_MEMORY : ST_BAD, "bus %s: %s", cfg->id,
                             modbus_strerror(errno));
        collect_port_free(p);
        return st;
    }
    set_times(p);
    *out = p;
    return ST_OK;
}

static void port_close(struct collect_port *p)
{
    if (p->open)
        modbus_close(p->ctx);
    p->open = false;
    if (p->lock >= 0)
        (void)close(p->lock);
    p->lock = -1;
}

void collect_port_free(struct collect_port *p)
{
    if (!p)
        return;
    port_close(p);
    if (p->ctx)
        modbus_free(p->ctx);
    free(p);
}

/* ---- opening -------------------------------------------------------------------------------- */

static bool set_direction(struct collect_port *p, struct err *e)
{
    int mode = p->cfg->rs485;
    if (collect_direction_set(p->ctx, mode))
        return true;
    err_set(
        e, ST_IO, "`rs485: %s` does not work with %s (%s): try %soff, where the adapter does it",
        mode == COLLECT_RS485_KERNEL   ? "kernel"
        : mode == COLLECT_RS485_RTS_UP ? "rts-up"
                                       : "rts-down",
        p->cfg->port, modbus_strerror(errno), mode == COLLECT_RS485_KERNEL ? "rts-up, or " : "");
    return false;
}

static bool open_rtu(struct collect_port *p, struct err *e)
{
    p->lock = collect_direction_lock(p->cfg->port, p->cfg->rs485);
    if (p->lock >= 0 && modbus_connect(p->ctx) == 0) {
        if (set_direction(p, e))
            return true;
        modbus_close(p->ctx);
        port_close(p);
        return false;
    }
    int why = errno;
    port_close(p);
    const char *advice = why == ENOENT || why == ENXIO || why == ENODEV
                             ? "check that the adapter is plugged in and `port` names it"
                         : why == EACCES ? "add the gateway's user to the group dialout"
                         : why == EBUSY  ? "another program uses it, a gateway or a tool"
                                         : "check the adapter and its settings";
    err_set(e, ST_IO, "cannot open %s: %s; %s", p->cfg->port, modbus_strerror(why), advice);
    return false;
}

static bool open_tcp(struct collect_port *p, struct thr_stop *stop, struct err *e)
{
    int fd = collect_tcp_connect(p->cfg->host, p->cfg->port, p->cfg->timeout_ms, stop, e);
    if (fd < 0)
        return false;
    if (modbus_set_socket(p->ctx, fd) == 0)
        return true;
    (void)close(fd);
    err_set(e, ST_IO, "cannot use the connection: %s", modbus_strerror(errno));
    return false;
}

/* A connection is as good as new when nothing waits on it: neither an end nor stray bytes. */
static bool tcp_is_clean(const struct collect_port *p)
{
    uint8_t byte;
    return recv(modbus_get_socket(p->ctx), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           errno == EAGAIN;
}

enum collect_fault collect_port_ready(struct collect_port *p, const struct clk *clk,
                                      struct thr_stop *stop, struct err *e)
{
    if (p->open && p->cfg->type == COLLECT_TCP && !tcp_is_clean(p))
        port_close(p);
    if (p->open)
        return COLLECT_GOOD;
    if (clk_mono(clk).ms < p->open_at.ms) {
        *e = p->why;
        return COLLECT_LOST;
    }
    p->open = p->cfg->type == COLLECT_RTU ? open_rtu(p, &p->why) : open_tcp(p, stop, &p->why);
    if (atomic_load(&stop->set))
        return COLLECT_STOPPED;
    if (p->open) {
        p->back_off_ms = 0;
        return COLLECT_GOOD;
    }
    p->back_off_ms = p->back_off_ms == 0 ? OPEN_AGAIN_MIN_MS : 2 * p->back_off_ms;
    if (p->back_off_ms > OPEN_AGAIN_MAX_MS)
        p->back_off_ms = OPEN_AGAIN_MAX_MS;
    p->open_at = (struct mono){clk_mono(clk).ms + p->back_off_ms};
    *e = p->why;
    return COLLECT_LOST;
}

void collect_port_leave(struct collect_port *p)
{
    port_close(p);
}

void collect_port_hurry(struct collect_port *p)
{
    p->open_at = (struct mono){0};
    p->back_off_ms = 0;
}

enum st collect_port_tune(struct collect_port *p, const struct collect_serial *line, bool *changed,
                          struct err *e)
{
    struct collect_bus_cfg to = *p->as;
    if (line->baud > 0) {
        to.baud = line->baud;
        to.parity = line->parity;
        to.stop_bits = line->stop_bits;
    }
    if (to.baud == p->own.baud && to.parity == p->own.parity && to.stop_bits == p->own.stop_bits)
        return ST_OK;
    *changed = true;
    modbus_t *ctx = make_ctx(&to);
    if (!ctx)
        return err_set(e, errno == ENOMEM ? ST_MEMORY : ST_BAD, "bus %s: %s", to.id,
                       modbus_strerror(errno));
    port_close(p);
    modbus_free(p->ctx);
    p->ctx = ctx;
    p->own = to;
    set_times(p);
    collect_port_hurry(p);
    return ST_OK;
}

/* ---- one request ---------------------------------------------------------------------------- */

/* Waits until something can be read: GOOD, SILENT at the deadline, STOPPED. */
static enum collect_fault wait_readable(const struct collect_port *p, int64_t until_ms,
                                        const struct thr_stop *stop)
{
    for (;;) {
        int64_t left = until_ms - clk_physical_ms();
        struct pollfd f[2] = {{modbus_get_socket(p->ctx), POLLIN, 0}, {stop->fd, POLLIN, 0}};
        int n = poll(f, 2, left > 0 ? (int)left : 0);
        if (n > 0)
            return f[1].revents ? COLLECT_STOPPED : COLLECT_GOOD;
        if (n == 0 && left <= 0)
            return COLLECT_SILENT;
    }
}

/* The line's silence of 3.5 characters, or what the device wants when that is longer. To the
 * microsecond: at 9600 baud a millisecond more before each request would be 3 % of a short one. */
static bool rest(const struct collect_port *p, int64_t pause_ms, const struct thr_stop *stop)
{
    int64_t pause_ns = pause_ms * NS_PER_MS;
    int64_t until = p->last_ns + (pause_ns > p->gap_ns ? pause_ns : p->gap_ns), left;
    int n = 0;
    while (n <= 0 && (left = until - physical_ns()) > 0) {
        struct pollfd f = {stop->fd, POLLIN, 0};
        n = ppoll(&f, 1, &(struct timespec){left / NS_PER_S, left % NS_PER_S}, NULL);
    }
    return n <= 0;
}

/* Reads what is there, at most `room` bytes more. 0: nothing; -1: the line is gone. */
static ssize_t take(struct collect_port *p, size_t room)
{
    ssize_t got = read(modbus_get_socket(p->ctx), p->heard + p->nheard, room);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got <= 0)
        return -1;
    p->nheard += (size_t)got;
    p->last_ns = physical_ns();
    return got;
}

/* Listens until the time is over and the line is quiet; ends early when `call` gets its answer.
 * Noise without end is not waited out. */
static void listen_for(struct collect_port *p, int64_t ms, const struct collect_call *call,
                       struct collect_answer *out, const struct thr_stop *stop)
{
    int64_t now = clk_physical_ms(), end = now + ms, most = end + NOISE_MAX_MS;
    const struct collect_heard h = {
        .p = p->heard, .sent = p->sent, .nsent = p->nsent, .room = sizeof p->heard};
    bool over = false;
    for (;;) {
        int64_t quiet = p->last_ns / NS_PER_MS + p->quiet_ms;
        int64_t until = quiet > end || over ? quiet : end;
        if (until > most)
            until = most;
        if (now >= until || wait_readable(p, until, stop) != COLLECT_GOOD)
            return;
        if (p->nheard == sizeof p->heard)
            p->nheard = 0; /* noise: what came is of no use any more */
        ssize_t got = take(p, sizeof p->heard - p->nheard);
        now = clk_physical_ms();
        if (got < 0)
            return; /* the line is gone: the next request finds out */
        p->stray |= got > 0;
        if (got == 0 || !call || over)
            continue;
        struct collect_heard all = h;
        struct collect_answer a;
        all.n = p->nheard;
        enum collect_fault f = collect_answer_find(&all, call->unit, &call->request, &a, &over);
        over = f == COLLECT_GOOD || f == COLLECT_EXCEPTION;
        if (over) {
            out->late = true;
            out->echo |= a.echo;
            p->stray = a.more;
        }
    }
}

bool collect_port_listen(struct collect_port *p, int64_t ms, struct thr_stop *stop)
{
    bool before = p->stray;
    p->stray = false;
    p->nheard = 0;
    listen_for(p, ms, NULL, NULL, stop);
    bool quiet = !p->stray;
    p->stray = before;
    return quiet;
}

bool collect_port_stray(struct collect_port *p, struct collect_came *came)
{
    uint8_t waste[256];
    bool stray = p->stray;
    p->stray = false;
    *came = (struct collect_came){.unit = -1};
    if (p->cfg->type != COLLECT_RTU || !p->open)
        return stray;
    ssize_t got;
    for (int i = 0; i < 64 && (got = read(modbus_get_socket(p->ctx), waste, sizeof waste)) > 0;
         i++) {
        if (came->unit < 0)
            came->unit = collect_answer_within(waste, (size_t)got);
        stray = came->any = true;
        p->last_ns = physical_ns();
    }
    return stray;
}

int64_t collect_port_errors(const struct collect_port *p)
{
    struct serial_icounter_struct all;
    if (p->cfg->type != COLLECT_RTU || !p->open ||
        ioctl(modbus_get_socket(p->ctx), TIOCGICOUNT, &all) != 0)
        return -1;
    return (int64_t)all.frame + all.parity + all.brk;
}

static bool send_request(struct collect_port *p, const struct collect_call *call)
{
    const struct collect_request *r = &call->request;
    uint8_t req[REQUEST_BYTES] = {0, 0, 0, 0, 0, 6, call->unit, r->function};
    req[8] = (uint8_t)(r->address >> 8);
    req[9] = (uint8_t)r->address;
    req[10] = (uint8_t)(r->count >> 8);
    req[11] = (uint8_t)r->count;
    p->nheard = 0;
    if (p->cfg->type == COLLECT_RTU) {
        memcpy(p->sent, req + 6, 6);
        p->nsent = collect_answer_seal(p->sent, 6);
        (void)modbus_flush(p->ctx); /* stray bytes; what stays fails its check */
        return modbus_set_slave(p->ctx, call->unit) == 0 &&
               modbus_send_raw_request(p->ctx, req + 6, 6) > 0;
    }
    p->transaction++;
    req[0] = (uint8_t)(p->transaction >> 8);
    req[1] = (uint8_t)p->transaction;
    memcpy(p->sent, req, sizeof req);
    p->nsent = sizeof req;
    return send(modbus_get_socket(p->ctx), req, sizeof req, MSG_NOSIGNAL) == sizeof req;
}

/* Over TCP nothing is read beyond a good answer, or less where its head says so: what follows it
 * shows that the connection is not clean. One call in most cases. */
static size_t wanted(const struct collect_port *p, const struct collect_request *r)
{
    size_t whole = p->cfg->type == COLLECT_TCP
                       ? collect_answer_whole(p->heard, p->nheard, collect_answer_bytes(r))
                       : sizeof p->heard;
    return whole > p->nheard ? whole - p->nheard : 0;
}

static enum collect_fault receive(struct collect_port *p, const struct collect_call *call,
                                  int64_t sent_ms, const struct thr_stop *stop,
                                  struct collect_answer *out)
{
    struct collect_heard h = {.tcp = p->cfg->type == COLLECT_TCP,
                              .p = p->heard,
                              .sent = p->sent,
                              .nsent = p->nsent,
                              .room = sizeof p->heard};
    int64_t until = sent_ms + call->timeout_ms;
    enum collect_fault f = COLLECT_SILENT;
    bool over = false, begun = false;
    while (!over) {
        enum collect_fault w = wait_readable(p, until, stop);
        if (w != COLLECT_GOOD)
            return w == COLLECT_STOPPED ? w : f;
        size_t room = wanted(p, &call->request);
        if (room == 0)
            return COLLECT_GARBAGE; /* it says that it is longer */
        ssize_t got = take(p, room);
        if (got < 0)
            return COLLECT_LOST;
        h.n = p->nheard;
        f = collect_answer_find(&h, call->unit, &call->request, out, &over);
        if (!begun && f != COLLECT_SILENT) {
            begun = true;
            int64_t rest = clk_physical_ms() + p->rest_ms;
            until = rest > until ? rest : until;
        }
    }
    return f;
}

static void recover(struct collect_port *p, enum collect_fault fault,
                    const struct collect_call *call, const struct clk *clk,
                    const struct thr_stop *stop, struct collect_answer *out)
{
    if (fault == COLLECT_GOOD || fault == COLLECT_EXCEPTION) {
        p->stray = out->more;
        return;
    }
    if (p->cfg->type == COLLECT_RTU && fault != COLLECT_LOST && fault != COLLECT_STOPPED) {
        listen_for(p, fault == COLLECT_SILENT ? call->listen_ms : 0, call, out, stop);
        return;
    }
    port_close(p);
    p->open_at = clk_mono(clk);
}

enum collect_fault collect_port_ask(struct collect_port *p, const struct collect_call *call,
                                    const struct clk *clk, struct thr_stop *stop,
                                    struct collect_answer *out)
{
    enum collect_fault f = COLLECT_STOPPED;
    *out = (struct collect_answer){0};
    if (rest(p, call->pause_ms, stop)) {
        int64_t sent_ms = clk_physical_ms();
        f = send_request(p, call) ? receive(p, call, sent_ms, stop, out) : COLLECT_LOST;
        p->last_ns = physical_ns();
        recover(p, f, call, clk, stop, out);
        out->took_ms = clk_physical_ms() - sent_ms;
        out->sign = collect_answer_sign(&(struct collect_heard){.tcp = p->cfg->type == COLLECT_TCP,
                                                                .p = p->heard,
                                                                .sent = p->sent,
                                                                .n = p->nheard,
                                                                .nsent = p->nsent,
                                                                .room = sizeof p->heard},
                                        call->unit, &call->request, f, out);
        for (size_t i = 0; i < call->nwatch; i++)
            out->watched |= collect_answer_has(p->heard, p->nheard, call->unit, &call->watch[i]);
    }
    return f;
}
