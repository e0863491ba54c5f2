/* Commands and answers on a serial port. Time-outs are physical: a test's clock does not move
 * them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "gateway/connectivity/modem_int.h"

/* ---- the port ------------------------------------------------------------------------------ */

static bool settle(int fd)
{
    struct termios t;
    if (tcgetattr(fd, &t) != 0)
        return false;
    cfmakeraw(&t);
    /* without HUPCL: a modem may end its call when DTR falls */
    t.c_cflag = (t.c_cflag & ~(tcflag_t)(HUPCL | CRTSCTS | CSTOPB)) | CLOCAL | CREAD;
    t.c_cc[VMIN] = 1; /* so that nothing there is EAGAIN, and 0 the end */
    t.c_cc[VTIME] = 0;
    return cfsetspeed(&t, B115200) == 0 && tcsetattr(fd, TCSANOW, &t) == 0 &&
           tcflush(fd, TCIOFLUSH) == 0;
}

/* root passes TIOCEXCL, so it is asked whether another has set it. */
static bool is_anothers(int fd)
{
    int exclusive = 0;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return true;
    return ioctl(fd, TIOCGEXCL, &exclusive) == 0 && exclusive;
}

enum st connectivity_dialog_open(struct connectivity_dialog *d, const char *port, struct err *e)
{
    *d = (struct connectivity_dialog){.fd = open(port, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)};
    int why = errno;
    if (d->fd < 0 && (why == ENOENT || why == ENXIO || why == ENODEV))
        return err_set(e, ST_NOT_FOUND, "%s: %s", port, strerror(why));
    if ((d->fd < 0 && why == EBUSY) || (d->fd >= 0 && is_anothers(d->fd))) {
        if (d->fd >= 0)
            (void)close(d->fd); /* no more: what it sends and TIOCEXCL are the other's */
        d->fd = -1;
        return err_set(e, ST_CONFLICT, "%s is in use", port);
    }
    if (d->fd < 0)
        return err_set(e, ST_IO, "%s: %s%s", port, strerror(why),
                       why == EACCES ? "; add the gateway's user to the group dialout" : "");
    if (settle(d->fd) && ioctl(d->fd, TIOCEXCL) == 0)
        return ST_OK;
    why = errno;
    connectivity_dialog_close(d);
    return err_set(e, ST_IO, "%s: %s; is it a serial port?", port, strerror(why));
}

void connectivity_dialog_close(struct connectivity_dialog *d)
{
    if (d->fd < 0)
        return;
    (void)tcflush(d->fd, TCOFLUSH);
    (void)ioctl(d->fd, TIOCNXCL);
    (void)close(d->fd);
    d->fd = -1;
}

/* ---- lines --------------------------------------------------------------------------------- */

/* Whether a line is whole; it is in d->line then. */
static bool line_add(struct connectivity_dialog *d, char c)
{
    if (c == '\r' || c == '\n' || c == '\0') {
        bool whole = d->n > 0 && !d->skip;
        d->line[d->n] = '\0';
        d->n = 0;
        d->skip = false;
        return whole;
    }
    if (d->n == sizeof d->line - 1)
        d->skip = true;
    else
        d->line[d->n++] = c;
    return false;
}

enum kind { LINE_OTHER, LINE_GOOD, LINE_REFUSED, LINE_ECHO };

static enum kind kind_of(const char *line)
{
    if (strcmp(line, "OK") == 0)
        return LINE_GOOD;
    if (strcmp(line, "ERROR") == 0 || strncmp(line, "+CME ERROR:", 11) == 0 ||
        strncmp(line, "+CMS ERROR:", 11) == 0)
        return LINE_REFUSED;
    return strncasecmp(line, "AT", 2) == 0 && (line[2] == '\0' || strchr("+&EIZ^#%", line[2]))
               ? LINE_ECHO
               : LINE_OTHER;
}

/* ---- one command --------------------------------------------------------------------------- */

/* Waits for the port or the stop; ST_OK: there is something. */
static enum st wait_for(const struct connectivity_dialog *d, short what, int64_t until_ms,
                        const struct thr_stop *stop)
{
    for (;;) {
        int64_t left = until_ms - clk_physical_ms();
        struct pollfd f[2] = {{.fd = d->fd, .events = what}, {.fd = stop->fd, .events = POLLIN}};
        int n = poll(f, 2, left > 0 ? (int)left : 0);
        if (n > 0)
            return f[1].revents ? ST_STOPPED : ST_OK;
        if (left <= 0)
            return ST_TIMEOUT;
        if (n < 0 && errno != EINTR)
            return ST_IO;
    }
}

static enum st send_all(const struct connectivity_dialog *d, const char *text, int64_t until_ms,
                        const struct thr_stop *stop)
{
    size_t at = 0, n = strlen(text);
    while (at < n) {
        ssize_t put = write(d->fd, text + at, n - at);
        if (put > 0)
            at += (size_t)put;
        else if (put < 0 && errno == EAGAIN)
            ERR_TRY(wait_for(d, POLLOUT, until_ms, stop));
        else if (put == 0 || errno != EINTR)
            return ST_IO;
    }
    return ST_OK;
}

/* What came since the last command: nobody asked for it. */
static enum st drain(struct connectivity_dialog *d)
{
    char waste[256];
    for (size_t i = 0; i < CONNECTIVITY_ANSWER_BYTES / sizeof waste; i++) {
        ssize_t n = read(d->fd, waste, sizeof waste);
        if (n == 0 || (n < 0 && errno == EAGAIN))
            break;
        if (n < 0 && errno != EINTR)
            return ST_IO;
    }
    d->n = 0;
    d->skip = false;
    return ST_OK;
}

static void line_take(struct connectivity_dialog *d, const struct connectivity_ask *q,
                      enum kind kind)
{
    if (kind == LINE_ECHO) /* a late one is of an earlier command of ours */
        d->stranger |= !d->late && strcasecmp(d->line, q->command) != 0;
    else if (q->take)
        q->take(q->ctx, d->line);
}

/* Reads what is there, a byte at a time as the kernel has it ready. ST_OK: a line is whole;
 * ST_TIMEOUT: none is by then. */
static enum st line_read(struct connectivity_dialog *d, size_t *left, int64_t until_ms,
                         const struct thr_stop *stop)
{
    for (;;) {
        char c;
        ssize_t n = read(d->fd, &c, 1);
        if (n < 0 && errno == EAGAIN)
            ERR_TRY(wait_for(d, POLLIN, until_ms, stop));
        else if (n == 0 || (n < 0 && errno != EINTR)) /* 0: hung up */
            return ST_IO;
        else if (n > 0 && (*left)-- == 0)
            return ST_BAD;
        else if (n > 0 && line_add(d, c))
            return ST_OK;
    }
}

enum st connectivity_dialog_ask(struct connectivity_dialog *d, const struct connectivity_ask *q,
                                const struct thr_stop *stop)
{
    int64_t until = clk_physical_ms() + q->ms;
    size_t left = q->most > 0 ? q->most : CONNECTIVITY_ANSWER_BYTES;
    bool done = false;
    enum st result = ST_TIMEOUT;
    ERR_TRY(drain(d));
    ERR_TRY(send_all(d, q->command, until, stop));
    ERR_TRY(send_all(d, "\r", until, stop));
    while (!done || q->quiet_ms > 0) {
        int64_t quiet = clk_physical_ms() + q->quiet_ms;
        bool rests = done && quiet <= until; /* a port that talks without end never does */
        enum st st = line_read(d, &left, rests ? quiet : until, stop);
        if (rests && st == ST_TIMEOUT)
            break;
        d->late |= st == ST_TIMEOUT;
        if (st != ST_OK)
            return st;
        enum kind kind = kind_of(d->line);
        line_take(d, q, kind);
        if ((kind != LINE_GOOD && kind != LINE_REFUSED) || done)
            continue;
        result = kind == LINE_GOOD ? ST_OK : ST_REFUSED;
        done = true;
    }
    if (q->quiet_ms > 0)
        d->late = false;
    return result;
}
