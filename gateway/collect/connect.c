/* TCP connections that a stop can interrupt: neither a dead name server nor a dead host holds the
 * program. libmodbus takes the connected socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/collect/collect_int.h"

#define NAME_TIMEOUT_MS 5000
/* Resolver modules of the system run on it; only touched pages count. */
#define NAME_STACK_BYTES ((size_t)512 * 1024)

/* Waits for events on fd until the deadline. 0: in time; else ETIMEDOUT or ECANCELED (stop). */
static int wait_for(int fd, short events, int64_t until_ms, const struct thr_stop *stop)
{
    for (;;) {
        int64_t left = until_ms - clk_physical_ms();
        struct pollfd p[2] = {{fd, events, 0}, {stop->fd, POLLIN, 0}};
        int n = poll(p, 2, left > 0 ? (int)left : 0);
        if (n > 0)
            return p[1].revents ? ECANCELED : 0;
        if (n == 0 && left <= 0)
            return ETIMEDOUT;
    }
}

/* ---- names ---------------------------------------------------------------------------------- */

/* Shared by the asker and the thread that resolves; the last one to leave frees it. */
struct lookup {
    atomic_int owners;
    int wake;         /* eventfd: done is worth a look */
    atomic_bool done; /* rc and list are set */
    int rc;
    struct addrinfo *list;
    const char *port;
    char text[]; /* host and port */
};

static const struct addrinfo hints = {
    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};

static void lookup_drop(struct lookup *l)
{
    if (atomic_fetch_sub(&l->owners, 1) != 1)
        return;
    if (l->list)
        freeaddrinfo(l->list);
    if (l->wake >= 0)
        (void)close(l->wake);
    free(l);
}

static void *lookup_main(void *arg)
{
    struct lookup *l = arg;
    uint64_t one = 1;
    l->rc = getaddrinfo(l->text, l->port, &hints, &l->list);
    atomic_store(&l->done, true);
    (void)!write(l->wake, &one, sizeof one); /* a fresh counter has room */
    lookup_drop(l);
    return NULL;
}

static struct lookup *lookup_start(const char *host, const char *port)
{
    size_t n = strlen(host) + 1, m = strlen(port) + 1;
    struct lookup *l = calloc(1, sizeof *l + n + m);
    if (!l)
        return NULL;
    memcpy(l->text, host, n);
    memcpy(l->text + n, port, m);
    l->port = l->text + n;
    atomic_init(&l->owners, 2);
    l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_t id;
    pthread_attr_t attr;
    bool made = l->wake >= 0 && pthread_attr_init(&attr) == 0;
    bool runs = false;
    if (made) {
        /* it inherits the signal mask of the bus's thread: all blocked */
        runs = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0 &&
               pthread_attr_setstacksize(&attr, NAME_STACK_BYTES) == 0 &&
               pthread_create(&id, &attr, lookup_main, l) == 0;
        (void)pthread_attr_destroy(&attr);
    }
    if (runs)
        return l;
    atomic_store(&l->owners, 1);
    lookup_drop(l);
    return NULL;
}

/* ---- connecting ----------------------------------------------------------------------------- */

/* A connected socket, or -1 with the reason in *why. */
static int connect_one(const struct addrinfo *a, int64_t until_ms, struct thr_stop *stop, int *why)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
    if (fd < 0) {
        *why = errno;
        return -1;
    }
    *why = connect(fd, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
    if (*why == EINPROGRESS) {
        socklen_t n = sizeof *why;
        int rc = wait_for(fd, POLLOUT, until_ms, stop);
        if (rc != 0)
            *why = rc;
        else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, why, &n) != 0)
            *why = errno;
    }
    if (*why == 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static int connect_list(const struct addrinfo *list, const char *host, const char *port,
                        int64_t timeout_ms, struct thr_stop *stop, struct err *e)
{
    int64_t until = clk_physical_ms() + timeout_ms;
    int why = 0;
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        int fd = connect_one(a, until, stop, &why);
        if (fd >= 0)
            return fd;
    }
    err_set(e, ST_IO,
            "cannot connect to %s:%s: %s; check its power, its network cable and the "
            "address",
            host, port, strerror(why));
    return -1;
}

/* A number, not a name: without getaddrinfo, whose frames would cost the stack of each bus a page
 * more for good. Those that it cannot read (a scope) are looked up. */
static bool numeric(const char *host, const char *port, struct sockaddr_storage *to,
                    struct addrinfo *a)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)to;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;
    char *end;
    unsigned long n = strtoul(port, &end, 10);
    memset(to, 0, sizeof *to);
    if (*end || n > UINT16_MAX)
        return false;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)n);
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)n);
    } else {
        return false;
    }
    *a = (struct addrinfo){.ai_family = to->ss_family,
                           .ai_addr = (struct sockaddr *)to,
                           .ai_addrlen = to->ss_family == AF_INET ? sizeof *v4 : sizeof *v6};
    return true;
}

int collect_tcp_connect(const char *host, const char *port, int64_t timeout_ms,
                        struct thr_stop *stop, struct err *e)
{
    struct sockaddr_storage address;
    struct addrinfo list;
    int fd = -1;
    if (numeric(host, port, &address, &list))
        return connect_list(&list, host, port, timeout_ms, stop, e);
    struct lookup *l = lookup_start(host, port);
    if (!l) {
        err_set(e, ST_MEMORY, "no memory to look up %s", host);
        return -1;
    }
    int rc = wait_for(l->wake, POLLIN, clk_physical_ms() + NAME_TIMEOUT_MS, stop);
    bool done = rc == 0 && atomic_load(&l->done);
    if (done && l->rc == 0)
        fd = connect_list(l->list, host, port, timeout_ms, stop, e);
    else
        err_set(e, ST_IO,
                "cannot find the address of %s: %s; check the name and the network, or "
                "write the number",
                host, done ? gai_strerror(l->rc) : strerror(rc));
    lookup_drop(l);
    return fd;
}
