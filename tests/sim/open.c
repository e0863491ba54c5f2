#include "tests/sim/open.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static bool parse_address(const char *text, struct sockaddr_in *out)
{
    char host[64], *end;
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
        return false;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (end == colon + 1 || *end != '\0' || port > 65535)
        return false;
    *out = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return inet_pton(AF_INET, host, &out->sin_addr) == 1;
}

enum st sim_open_tcp(const char *listen_at, int *fd, char *where, size_t size, struct err *e)
{
    struct sockaddr_in a;
    socklen_t n = sizeof(a);
    const int one = 1;
    char host[INET_ADDRSTRLEN];

    if (!parse_address(listen_at, &a))
        return err_set(e, ST_BAD, "listen: \"%s\" is no address:port such as 127.0.0.1:0",
                       listen_at);
    int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0)
        return err_set(e, ST_IO, "socket: %s", strerror(errno));
    if (setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        bind(s, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(s, 64) != 0 ||
        getsockname(s, (struct sockaddr *)&a, &n) != 0) {
        int why = errno;
        close(s);
        return err_set(e, ST_IO, "listen on %s: %s", listen_at, strerror(why));
    }
    snprintf(where, size, "%s:%u", inet_ntop(AF_INET, &a.sin_addr, host, sizeof(host)),
             ntohs(a.sin_port));
    *fd = s;
    return ST_OK;
}

static enum st point_link(const char *link, const char *target, struct err *e)
{
    struct stat now;
    if (lstat(link, &now) == 0) {
        if (!S_ISLNK(now.st_mode))
            return err_set(e, ST_CONFLICT, "%s is in the way: not a symlink", link);
        if (unlink(link) != 0)
            return err_set(e, ST_IO, "%s: %s", link, strerror(errno));
    }
    if (symlink(target, link) != 0)
        return err_set(e, ST_IO, "%s: %s", link, strerror(errno));
    return ST_OK;
}

enum st sim_open_pty(const char *link, int *fd, int *slave, char *where, size_t size, struct err *e)
{
    struct termios raw;
    enum st st;
    int s = -1, m = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    if (m < 0 || grantpt(m) != 0 || unlockpt(m) != 0 || ptsname_r(m, where, size) != 0 ||
        (s = open(where, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0 || tcgetattr(s, &raw) != 0) {
        st = err_set(e, ST_IO, "pty: %s", strerror(errno));
        goto fail;
    }
    cfmakeraw(&raw);
    if (tcsetattr(s, TCSANOW, &raw) != 0) {
        st = err_set(e, ST_IO, "%s: %s", where, strerror(errno));
        goto fail;
    }
    st = link == NULL ? ST_OK : point_link(link, where, e);
    if (st != ST_OK)
        goto fail;
    *fd = m;
    *slave = s;
    return ST_OK;
fail:
    if (s >= 0)
        close(s);
    if (m >= 0)
        close(m);
    return st;
}
