/* A line of its own for commissioning: any request, and all that comes back.
 *
 * The ports that poll send requests that read and find the answer amid other bytes. Here it matters
 * that nothing else is on the line: two new devices with one number answer at once. So all is
 * listened to until the line is quiet, and only one whole answer counts. */
#include <errno.h>
#include <modbus.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "gateway/collect/direction.h"
#include "gateway/collect/setup_int.h"

#define QUIET_MS 50 /* of a line behind an answer, on top of 3.5 characters */
#define TIMEOUT_MIN_MS 200
#define TIMEOUT_MS 1000 /* where the bus does not say */
#define HEARD_BYTES 1024
#define MBAP_BYTES 6
#define CHARACTER_BITS 11
#define NOISE_MAX_MS 3000

/* ---- opening -------------------------------------------------------------------------------- */

void collect_setup_close(struct collect_setup_line *l)
{
    if (l->ctx) {
        modbus_close(l->ctx);
        modbus_free(l->ctx);
        if (l->lock >= 0)
            (void)close(l->lock);
    }
    l->ctx = NULL;
}

static enum st open_rtu(struct collect_setup_line *l, struct err *e)
{
    l->lock = collect_direction_lock(l->bus->port, l->bus->rs485);
    if (l->lock < 0 && errno == EBUSY)
        return err_set(e, ST_BUSY, "%s is in use by another program, a gateway or a tool",
                       l->bus->port);
    if (l->lock < 0)
        return err_set(e, ST_IO, "cannot open %s: %s", l->bus->port, strerror(errno));
    if (modbus_connect(l->ctx) != 0 || !collect_direction_set(l->ctx, l->bus->rs485))
        return err_set(e, ST_IO, "cannot use %s: %s", l->bus->port, modbus_strerror(errno));
    return ST_OK;
}

static enum st open_tcp(struct collect_setup_line *l, struct err *e)
{
    int fd = collect_tcp_connect(l->bus->host, l->bus->port ? l->bus->port : "502", l->timeout_ms,
                                 l->stop, e);
    if (fd < 0)
        return ST_IO;
    if (modbus_set_socket(l->ctx, fd) == 0)
        return ST_OK;
    (void)close(fd);
    return err_set(e, ST_IO, "cannot use the connection: %s", modbus_strerror(errno));
}

enum st collect_setup_open(struct collect_setup_line *l, const struct collect_bus_cfg *bus,
                           const struct collect_setup_where *w, struct err *e)
{
    bool rtu = bus->type == COLLECT_RTU;
    collect_setup_close(l);
    *l = (struct collect_setup_line){
        .bus = bus, .as = *w, .lock = -1, .timeout_ms = bus->timeout_ms, .stop = l->stop};
    if (l->timeout_ms == 0)
        l->timeout_ms = TIMEOUT_MS;
    if (l->timeout_ms < TIMEOUT_MIN_MS)
        l->timeout_ms = TIMEOUT_MIN_MS;
    if (rtu ? !bus->port || w->baud <= 0 : !bus->host)
        return err_set(e, ST_BAD, "bus %s has mistakes: see fieldpost check", bus->id);
    l->ctx = rtu ? modbus_new_rtu(bus->port, (int)w->baud, (char)w->parity, (int)bus->data_bits,
                                  (int)w->stop_bits)
                 : modbus_new_tcp(NULL, 0);
    if (!l->ctx)
        return err_set(e, errno == ENOMEM ? ST_MEMORY : ST_BAD, "bus %s: %s", bus->id,
                       modbus_strerror(errno));
    enum st st = rtu ? open_rtu(l, e) : open_tcp(l, e);
    if (st != ST_OK)
        collect_setup_close(l);
    return st;
}

/* ---- what was heard ------------------------------------------------------------------------- */

/* How long the answer to a PDU is that begins with these bytes (unit, function, …); 0: no such. */
static size_t whole(const uint8_t *sent, const uint8_t *p, size_t n)
{
    if (n < 5 || p[0] != sent[0])
        return 0;
    if (p[1] == (sent[1] | 0x80))
        return 5;
    if (p[1] != sent[1])
        return 0;
    return p[1] <= 4 ? 5U + p[2] : 8;
}

enum collect_heard_what collect_setup_heard(const uint8_t *sent, size_t nsent, const uint8_t *heard,
                                            size_t n, struct collect_setup_answer *out)
{
    uint8_t frame[256 + 2];
    /* the answer to a write of one register is the request itself: an echo has it before that */
    if (n > nsent && memcmp(heard, sent, nsent) == 0) {
        heard += nsent;
        n -= nsent;
    } else if (n == nsent && sent[1] != 6 && memcmp(heard, sent, nsent) == 0) {
        n = 0;
    }
    if (n == 0)
        return COLLECT_HEARD_NOTHING;
    size_t size = whole(sent, heard, n);
    if (size == 0 || size != n || n > sizeof frame)
        return COLLECT_HEARD_MORE;
    memcpy(frame, heard, n - 2);
    if (collect_answer_seal(frame, n - 2) != n || memcmp(frame, heard, n) != 0)
        return COLLECT_HEARD_MORE;
    out->n = n - 3;
    memcpy(out->pdu, heard + 1, out->n);
    return out->pdu[0] & 0x80 ? COLLECT_HEARD_REFUSAL : COLLECT_HEARD_ONE;
}

static enum collect_heard_what heard_tcp(const struct collect_setup_line *l, const uint8_t *sent,
                                         const uint8_t *heard, size_t n,
                                         struct collect_setup_answer *out)
{
    if (n == 0)
        return COLLECT_HEARD_NOTHING;
    if (n < MBAP_BYTES + 3 || (heard[0] << 8 | heard[1]) != l->transaction ||
        (size_t)(heard[4] << 8 | heard[5]) != n - MBAP_BYTES || n - MBAP_BYTES > sizeof out->pdu ||
        heard[6] != sent[6] || (heard[7] & 0x7f) != sent[7])
        return COLLECT_HEARD_MORE;
    out->n = n - MBAP_BYTES - 1;
    memcpy(out->pdu, heard + MBAP_BYTES + 1, out->n);
    if (!(out->pdu[0] & 0x80))
        return COLLECT_HEARD_ONE;
    /* a converter says so of a unit that does not answer it */
    return out->pdu[1] == 10 || out->pdu[1] == 11 ? COLLECT_HEARD_NOTHING : COLLECT_HEARD_REFUSAL;
}

/* ---- asking --------------------------------------------------------------------------------- */

static bool send_all(struct collect_setup_line *l, int unit, const uint8_t *pdu, size_t n,
                     uint8_t *sent, size_t *nsent)
{
    if (l->bus->type == COLLECT_RTU) {
        sent[0] = (uint8_t)unit;
        memcpy(sent + 1, pdu, n);
        *nsent = collect_answer_seal(sent, n + 1);
        (void)modbus_flush(l->ctx);
        return modbus_set_slave(l->ctx, unit) == 0 &&
               modbus_send_raw_request(l->ctx, sent, (int)(*nsent - 2)) > 0;
    }
    l->transaction++;
    const uint8_t head[] = {(uint8_t)(l->transaction >> 8),
                            (uint8_t)l->transaction,
                            0,
                            0,
                            0,
                            (uint8_t)(n + 1),
                            (uint8_t)unit};
    memcpy(sent, head, sizeof head);
    memcpy(sent + sizeof head, pdu, n);
    *nsent = sizeof head + n;
    return send(modbus_get_socket(l->ctx), sent, *nsent, MSG_NOSIGNAL) == (ssize_t)*nsent;
}

/* Reads until the line is quiet behind an answer, or the time is over. -1: the line is gone, or it
 * is stopped. */
static ssize_t listen_all(const struct collect_setup_line *l, bool to_the_end, uint8_t *heard)
{
    int64_t start = clk_physical_ms(), until = start + l->timeout_ms, now = start;
    int64_t quiet =
        QUIET_MS +
        (l->bus->type == COLLECT_RTU ? CHARACTER_BITS * 7 * 1000 / 2 / l->as.baud + 1 : 0);
    size_t n = 0;
    while (now < until && now - start < l->timeout_ms + NOISE_MAX_MS && n < HEARD_BYTES) {
        struct pollfd f[2] = {{modbus_get_socket(l->ctx), POLLIN, 0}, {l->stop->fd, POLLIN, 0}};
        int rc = poll(f, 2, (int)(until - now));
        now = clk_physical_ms();
        if (rc <= 0)
            continue;
        if (f[1].revents)
            return -1;
        ssize_t got = read(f[0].fd, heard + n, HEARD_BYTES - n);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got <= 0)
            return -1;
        n += (size_t)got;
        if (!to_the_end || now + quiet > until)
            until = now + quiet;
    }
    return (ssize_t)n;
}

enum collect_heard_what collect_setup_ask(struct collect_setup_line *l, int unit,
                                          const uint8_t *pdu, size_t n, bool whole,
                                          struct collect_setup_answer *out)
{
    uint8_t sent[64], heard[HEARD_BYTES];
    size_t nsent;
    *out = (struct collect_setup_answer){.n = 0};
    if (n > sizeof sent - MBAP_BYTES - 1 || !send_all(l, unit, pdu, n, sent, &nsent))
        return COLLECT_HEARD_LOST;
    ssize_t got = listen_all(l, whole, heard);
    if (got < 0)
        return COLLECT_HEARD_LOST;
    return l->bus->type == COLLECT_RTU ? collect_setup_heard(sent, nsent, heard, (size_t)got, out)
                                       : heard_tcp(l, sent, heard, (size_t)got, out);
}
