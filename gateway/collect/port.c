/* One serial line, through libmodbus, or TCP connection.
 *
 * Requests are sent raw and answers received raw, and every byte is checked here: libmodbus 3.1.6
 * accepts another unit's answer over TCP, and its own waiting cannot be interrupted by a stop. Its
 * raw requests carry transaction 0 over TCP, so those 12 bytes are written to its socket instead,
 * and the answer is read from it.
 */
#include <errno.h>
#include <modbus.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "gateway/collect/collect_int.h"

#define OPEN_AGAIN_MIN_MS 1000
#define OPEN_AGAIN_MAX_MS 30000
#define RTU_FRAME_BYTES 256
#define CHARACTER_BITS 11
#define TCP_REST_MAX_MS 1000
/* Noise without end is not waited out for ever: what comes then fails its check. */
#define NOISE_MAX_MS 1000
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

struct collect_port {
    const struct collect_bus_cfg *cfg;
    modbus_t *ctx;
    bool open;
    uint16_t transaction;
    int64_t rest_ms;  /* what the rest of a frame may take */
    int64_t quiet_ms; /* 3.5 characters, rounded up */
    int64_t gap_ns;   /* the same, exactly */
    int64_t last_ns;  /* physical time of the last byte heard or awaited */
    int64_t back_off_ms;
    struct mono open_at; /* not tried again before */
    struct err why;      /* it is not open */
    uint8_t adu[MODBUS_TCP_MAX_ADU_LENGTH];
};

/* Time-outs of the line are physical: a test's clock does not move them. */
static int64_t physical_ns(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static int64_t physical_ms(void)
{
    return physical_ns() / NS_PER_MS;
}

static int64_t characters_ms(const struct collect_bus_cfg *cfg, int64_t bits)
{
    return (bits * 1000 + cfg->baud - 1) / cfg->baud;
}

enum st collect_port_make(struct collect_port **out, const struct collect_bus_cfg *cfg,
                          struct err *e)
{
    struct collect_port *p = calloc(1, sizeof *p);
    *out = NULL;
    if (!p)
        return err_set(e, ST_MEMORY, "collect: no memory for bus %s", cfg->id);
    p->cfg = cfg;
    /* for the rest of a frame that has begun; on a serial line a stop waits for it */
    p->rest_ms = cfg->timeout_ms < TCP_REST_MAX_MS ? cfg->timeout_ms : TCP_REST_MAX_MS;
    if (cfg->type == COLLECT_RTU) {
        p->ctx = modbus_new_rtu(cfg->port, (int)cfg->baud, (char)cfg->parity, (int)cfg->data_bits,
                                (int)cfg->stop_bits);
        p->quiet_ms = characters_ms(cfg, CHARACTER_BITS * 7 / 2) + 1;
        p->gap_ns = collect_line_gap_ns(cfg);
        p->rest_ms = characters_ms(cfg, CHARACTER_BITS * RTU_FRAME_BYTES) + 200;
    } else {
        p->ctx = modbus_new_tcp(NULL, 0);
    }
    /* without a time-out per byte the one of the answer holds for the whole rest of the frame */
    if (!p->ctx || modbus_set_byte_timeout(p->ctx, 0, 0) != 0 ||
        modbus_set_response_timeout(p->ctx, (uint32_t)(p->rest_ms / 1000),
                                    (uint32_t)(p->rest_ms % 1000 * 1000)) != 0) {
        enum st st = err_set(e, errno == ENOMEM ? ST_MEMORY : ST_BAD, "bus %s: %s", cfg->id,
                             modbus_strerror(errno));
        collect_port_free(p);
        return st;
    }
    *out = p;
    return ST_OK;
}

static void port_close(struct collect_port *p)
{
    if (p->open)
        modbus_close(p->ctx);
    p->open = false;
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

static bool open_rtu(struct collect_port *p, struct err *e)
{
    if (modbus_connect(p->ctx) == 0)
        return true;
    const char *advice = errno == ENOENT || errno == ENXIO || errno == ENODEV
                             ? "check that the adapter is plugged in and `port` names it"
                         : errno == EACCES ? "add the gateway's user to the group dialout"
                         : errno == EBUSY  ? "another program uses it"
                                           : "check the adapter and its settings";
    err_set(e, ST_IO, "cannot open %s: %s; %s", p->cfg->port, modbus_strerror(errno), advice);
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

/* ---- one request ---------------------------------------------------------------------------- */

/* Waits until something can be read: GOOD, SILENT at the deadline, STOPPED. */
static enum collect_fault wait_readable(const struct collect_port *p, int64_t until_ms,
                                        const struct thr_stop *stop)
{
    for (;;) {
        int64_t left = until_ms - physical_ms();
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

static bool send_request(struct collect_port *p, uint8_t unit, const struct collect_request *r)
{
    uint8_t req[12] = {0, 0, 0, 0, 0, 6, unit, r->function};
    req[8] = (uint8_t)(r->address >> 8);
    req[9] = (uint8_t)r->address;
    req[10] = (uint8_t)(r->count >> 8);
    req[11] = (uint8_t)r->count;
    if (p->cfg->type == COLLECT_RTU) {
        (void)modbus_flush(p->ctx); /* stray bytes; what stays fails its check */
        return modbus_set_slave(p->ctx, unit) == 0 &&
               modbus_send_raw_request(p->ctx, req + 6, 6) > 0;
    }
    p->transaction++;
    req[0] = (uint8_t)(p->transaction >> 8);
    req[1] = (uint8_t)p->transaction;
    return send(modbus_get_socket(p->ctx), req, sizeof req, MSG_NOSIGNAL) == sizeof req;
}

/* What a good answer has, or less where its head says so: a refusal. libmodbus waits and reads
 * three times for each answer, and that was half of the system calls of a poll. */
static enum collect_fault receive_tcp(struct collect_port *p, uint8_t unit,
                                      const struct collect_request *r, const struct thr_stop *stop,
                                      struct collect_answer *out)
{
    int64_t until_ms = physical_ms() + p->rest_ms;
    size_t n = 0, whole = collect_answer_bytes(r);
    while (n < whole) {
        ssize_t got = recv(modbus_get_socket(p->ctx), p->adu + n, whole - n, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            return COLLECT_LOST;
        enum collect_fault f = got < 0 ? wait_readable(p, until_ms, stop) : COLLECT_GOOD;
        if (f != COLLECT_GOOD)
            return f == COLLECT_SILENT ? COLLECT_GARBAGE : f; /* cut off */
        n += got > 0 ? (size_t)got : 0;
        whole = collect_answer_whole(p->adu, n, whole);
    }
    return collect_answer_check(p->adu, n, p->transaction, unit, r, out);
}

static enum collect_fault receive_rtu(struct collect_port *p, uint8_t unit,
                                      const struct collect_request *r, struct collect_answer *out)
{
    int n = modbus_receive_confirmation(p->ctx, p->adu);
    if (n > 0)
        return collect_answer_check(p->adu, (size_t)n, -1, unit, r, out);
    if (n == 0) /* libmodbus's word for a frame of another unit on a serial line */
        return COLLECT_FOREIGN;
    /* cut off, or one of libmodbus's own numbers; others are of the medium */
    return errno == ETIMEDOUT || errno >= MODBUS_ENOBASE ? COLLECT_GARBAGE : COLLECT_LOST;
}

/* Listens until a late answer has had its time and the line is quiet. */
static void drain(struct collect_port *p, const struct thr_stop *stop)
{
    int64_t now = physical_ms(), late = now + p->cfg->timeout_ms, most = late + NOISE_MAX_MS;
    int64_t heard = now;
    while (now < most && (now < late || now < heard + p->quiet_ms)) {
        int64_t until = now < late ? late : heard + p->quiet_ms;
        enum collect_fault f = wait_readable(p, until < most ? until : most, stop);
        if (f == COLLECT_STOPPED)
            return;
        now = physical_ms();
        if (f == COLLECT_GOOD) {
            if (read(modbus_get_socket(p->ctx), p->adu, sizeof p->adu) <= 0)
                break; /* the line is gone: the next request finds out */
            heard = now;
        }
    }
    p->last_ns = now * NS_PER_MS;
}

static void recover(struct collect_port *p, enum collect_fault fault, const struct clk *clk,
                    const struct thr_stop *stop)
{
    if (fault == COLLECT_GOOD || fault == COLLECT_EXCEPTION)
        return;
    if (p->cfg->type == COLLECT_RTU && fault != COLLECT_LOST && fault != COLLECT_STOPPED) {
        drain(p, stop);
        return;
    }
    port_close(p);
    p->open_at = clk_mono(clk);
}

enum collect_fault collect_port_ask(struct collect_port *p, uint8_t unit,
                                    const struct collect_request *r, int64_t pause_ms,
                                    const struct clk *clk, struct thr_stop *stop,
                                    struct collect_answer *out)
{
    enum collect_fault f = COLLECT_STOPPED;
    *out = (struct collect_answer){0};
    if (rest(p, pause_ms, stop)) {
        f = send_request(p, unit, r) ? COLLECT_GOOD : COLLECT_LOST;
        if (f == COLLECT_GOOD)
            f = wait_readable(p, physical_ms() + p->cfg->timeout_ms, stop);
        if (f == COLLECT_GOOD)
            f = p->cfg->type == COLLECT_RTU ? receive_rtu(p, unit, r, out)
                                            : receive_tcp(p, unit, r, stop, out);
    }
    p->last_ns = physical_ns();
    recover(p, f, clk, stop);
    return f;
}
