/* ICMP sockets and echo packets. */
#include "gateway/connectivity/connectivity_int.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define ICMP_FILTER_OPTION 1 /* linux/icmp.h, which collides with netinet's names */

struct echo_types {
    uint8_t request, reply;
};
static const struct echo_types types4 = {8, 0}, types6 = {ICMP6_ECHO_REQUEST, ICMP6_ECHO_REPLY};

/* RFC 1071. Over a packet with its checksum in place the result is 0. */
static uint16_t checksum(const uint8_t *p, size_t n)
{
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < n; i += 2)
        sum += (uint32_t)p[i] << 8 | p[i + 1];
    if (n % 2)
        sum += (uint32_t)p[n - 1] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

void connectivity_echo_write(uint8_t out[CONNECTIVITY_ECHO_BYTES], int family,
                             const struct connectivity_echo *q)
{
    memset(out, 0, CONNECTIVITY_ECHO_BYTES);
    out[0] = family == AF_INET6 ? types6.request : types4.request;
    put16(out + 4, q->id);
    put16(out + 6, q->seq);
    memcpy(out + 8, &q->nonce, sizeof q->nonce);
    if (family == AF_INET) /* the kernel fills in IPv6's: it covers the addresses */
        put16(out + 2, checksum(out, CONNECTIVITY_ECHO_BYTES));
}

bool connectivity_echo_read(const uint8_t *p, size_t n, int family, bool raw,
                            struct connectivity_echo *out)
{
    if (family == AF_INET && raw) {
        if (n < 20 || p[0] >> 4 != 4)
            return false;
        size_t head = (size_t)(p[0] & 15) * 4;
        if (head < 20 || head > n || p[9] != IPPROTO_ICMP)
            return false;
        p += head;
        n -= head;
    }
    const struct echo_types *t = family == AF_INET6 ? &types6 : &types4;
    if (n != CONNECTIVITY_ECHO_BYTES || p[0] != t->reply || p[1] != 0)
        return false;
    if (family == AF_INET && checksum(p, n) != 0)
        return false;
    out->id = get16(p + 4);
    out->seq = get16(p + 6);
    memcpy(&out->nonce, p + 8, sizeof out->nonce);
    return true;
}

/* A ping socket's id is its port: the kernel chooses it and writes it into every request. */
static bool datagram_id(struct connectivity_socket *s)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a = {.any.sa_family = (sa_family_t)s->family};
    socklen_t n = s->family == AF_INET6 ? sizeof a.v6 : sizeof a.v4;
    if (bind(s->fd, &a.any, n) != 0 || getsockname(s->fd, &a.any, &n) != 0)
        return false;
    s->id = ntohs(s->family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
    return true;
}

/* Only echo replies: a raw socket would be woken by all ICMP of the machine. */
static bool raw_filter(struct connectivity_socket *s)
{
    if (getrandom(&s->id, sizeof s->id, 0) != sizeof s->id)
        return false;
    if (s->family == AF_INET6) {
        struct icmp6_filter f;
        ICMP6_FILTER_SETBLOCKALL(&f);
        ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &f);
        return setsockopt(s->fd, IPPROTO_ICMPV6, ICMP6_FILTER, &f, sizeof f) == 0;
    }
    uint32_t blocked = ~(UINT32_C(1) << types4.reply);
    return setsockopt(s->fd, SOL_RAW, ICMP_FILTER_OPTION, &blocked, sizeof blocked) == 0;
}

enum st connectivity_socket_open(struct connectivity_socket *s, int family, struct err *e)
{
    int protocol = family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
    const int flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
    *s = (struct connectivity_socket){.family = family};
    s->fd = socket(family, SOCK_DGRAM | flags, protocol);
    if (s->fd < 0 && (errno == EACCES || errno == EPERM)) {
        s->fd = socket(family, SOCK_RAW | flags, protocol);
        s->raw = true;
        if (s->fd < 0 && (errno == EACCES || errno == EPERM))
            return err_set(e, ST_REFUSED,
                           "this program may not ping: allow it with sysctl -w "
                           "net.ipv4.ping_group_range=\"0 2147483647\", or give it CAP_NET_RAW");
    }
    if (s->fd < 0)
        return err_set(e, ST_IO, "cannot open an ICMP socket: %s", strerror(errno));
    if (s->raw ? raw_filter(s) : datagram_id(s)) {
        /* A kernel without: then the reader's clock has to do. It does for what comes in the first
         * moments, too, until the kernel has begun to stamp. */
        int on = 1;
        (void)setsockopt(s->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
        return ST_OK;
    }
    enum st st = err_set(e, ST_IO, "cannot prepare the ICMP socket: %s", strerror(errno));
    connectivity_socket_close(s);
    return st;
}

void connectivity_socket_close(struct connectivity_socket *s)
{
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
}
