/* The other end of the control socket: a command that asks a gateway. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "gateway/collect/ctl_int.h"

#define REPLY_MS 40000 /* longer than the gateway lets a request wait */

enum st collect_ctl_dial(const char *store_path, int *fd, struct err *e)
{
    char name[CTL_NAME_BYTES];
    struct sockaddr_un a;
    const struct timeval dial_time = {.tv_sec = CTL_DIAL_S};
    int folder;
    enum st st = collect_ctl_address(store_path, &folder, name, &a, e);
    if (st != ST_OK)
        return st;
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0 || setsockopt(*fd, SOL_SOCKET, SO_SNDTIMEO, &dial_time, sizeof dial_time) != 0)
        st = err_set(e, ST_IO, "cannot make a socket: %s", strerror(errno));
    else if (connect(*fd, (const struct sockaddr *)&a, sizeof a) != 0)
        st = errno == ENOENT || errno == ECONNREFUSED
                 ? err_set(e, ST_NOT_FOUND, "no gateway runs with this configuration")
             : errno == EACCES || errno == EPERM
                 ? err_set(e, ST_REFUSED,
                           "the gateway is another user's: run this as that user or as root")
                 : err_set(e, ST_IO, "the gateway's control socket %s: %s", name, strerror(errno));
    (void)close(folder);
    if (st != ST_OK && *fd >= 0)
        (void)close(*fd);
    return st;
}

static enum st receive(int fd, struct collect_reply *r, struct err *e)
{
    char text[COLLECT_REPLY_TEXT];
    for (size_t n = 0; n < sizeof text;) {
        struct pollfd f = {fd, POLLIN, 0};
        if (poll(&f, 1, REPLY_MS) <= 0)
            return err_set(e, ST_TIMEOUT, "the gateway does not reply");
        ssize_t got = read(fd, text + n, 1); /* a second line is not this reply's */
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_set(e, ST_IO,
                           "the gateway ended the connection: it stops, or it is another user's");
        if (text[n++] == '\n')
            return collect_reply_parse(text, n, r, e);
    }
    return err_set(e, ST_BAD, "the gateway's reply is too long");
}

enum st collect_ctl_call(const char *store_path, const struct collect_ask *q,
                         struct collect_reply *r, int *held, struct err *e)
{
    char text[COLLECT_ASK_TEXT];
    size_t n = collect_ask_print(q, text);
    int fd = -1;
    if (n == 0)
        return err_set(e, ST_MEMORY, "no memory to ask the gateway");
    enum st st = collect_ctl_dial(store_path, &fd, e);
    if (st != ST_OK)
        return st;
    if (send(fd, text, n, MSG_NOSIGNAL) != (ssize_t)n)
        st = err_set(e, ST_IO, "the gateway cannot be asked: %s", strerror(errno));
    else
        st = receive(fd, r, e);
    if (st == ST_OK && held && r->st == ST_OK)
        *held = fd;
    else
        (void)close(fd);
    return st;
}
