#include "gateway/base/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void notify_send(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = path ? strlen(path) : 0;
    if (n == 0 || n >= sizeof(a.sun_path) || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(a.sun_path, path, n);
    if (a.sun_path[0] == '@') {
        a.sun_path[0] = 0; /* the abstract name space */
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&a,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
    (void)close(fd);
}

/* A number of the environment; 0: none, or no number. */
static uint64_t number(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    errno = 0;
    unsigned long long v = text ? strtoull(text, &end, 10) : 0;
    return text && errno == 0 && end != text && *end == 0 ? v : 0;
}

uint64_t notify_watchdog_us(void)
{
    uint64_t pid = number("WATCHDOG_PID");
    return pid == 0 || pid == (uint64_t)getpid() ? number("WATCHDOG_USEC") : 0;
}
