/* What a connection takes on the wire, as the kernel counts it: payload (TLS and all) both ways,
 * repeats included, and the heads of the segments that carried it. */
#include <linux/tcp.h> /* its struct tcp_info counts bytes; that of netinet/tcp.h does not */

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "gateway/http/http_int.h"

#define TCP_HEAD 20
#define TCP_STAMPS 12 /* the option that nearly every connection carries in each segment */
#define IPV4_HEAD 20
#define IPV6_HEAD 40
#define HANDSHAKE 3000       /* of TLS, about, each way */
#define TCP_SYN_SENT_STATE 2 /* as the kernel numbers states (tcp_states.h) */
#define CALL 130             /* a TLS record and its segment, and one that acknowledges */
#define OVERHEAD 25          /* a guess adds one byte to so many: heads of the other segments */

static bool is_v4(const struct sockaddr_storage *a)
{
    const struct sockaddr_in6 *six = (const void *)a;
    return a->ss_family == AF_INET ||
           (a->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr));
}

static bool local_address(int fd, struct sockaddr_storage *a)
{
    socklen_t n = sizeof *a;
    memset(a, 0, sizeof *a);
    return getsockname(fd, (struct sockaddr *)a, &n) == 0 &&
           (a->ss_family == AF_INET || a->ss_family == AF_INET6);
}

/* All that went over the socket so far; *head: of one segment. */
static bool totals(int fd, int64_t *sent, int64_t *received, int64_t *head)
{
    struct tcp_info t;
    struct sockaddr_storage a;
    socklen_t n = sizeof t;
    memset(&t, 0, sizeof t);
    if (!local_address(fd, &a) || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &t, &n) != 0 ||
        n < offsetof(struct tcp_info, tcpi_bytes_sent) + sizeof t.tcpi_bytes_sent)
        return false; /* Linux before 4.19, and qemu-user */
    *head = TCP_HEAD + (t.tcpi_options & TCPI_OPT_TIMESTAMPS ? TCP_STAMPS : 0) +
            (is_v4(&a) ? IPV4_HEAD : IPV6_HEAD);
    *sent = (int64_t)t.tcpi_bytes_sent + t.tcpi_segs_out * *head;
    *received = (int64_t)t.tcpi_bytes_received + t.tcpi_segs_in * *head;
    return true;
}

bool http_meter_acked(int fd, int64_t *acked)
{
    struct tcp_info t;
    socklen_t n = sizeof t;
    memset(&t, 0, sizeof t);
    *acked = 0;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &t, &n) != 0 || t.tcpi_state == TCP_SYN_SENT_STATE ||
        n < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof t.tcpi_bytes_acked)
        return false;
    *acked = (int64_t)t.tcpi_bytes_acked;
    return true;
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr *b)
{
    if (!b || a->ss_family != b->sa_family)
        return false;
    if (b->sa_family == AF_INET)
        return memcmp(&((const struct sockaddr_in *)(const void *)a)->sin_addr,
                      &((const struct sockaddr_in *)(const void *)b)->sin_addr,
                      sizeof(struct in_addr)) == 0;
    return b->sa_family == AF_INET6 &&
           memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr,
                  sizeof(struct in6_addr)) == 0;
}

/* The interface with this end's address; "" when there is none. */
static void find_interface(int fd, char out[HTTP_INTERFACE_BYTES])
{
    struct sockaddr_storage a;
    struct ifaddrs *all = NULL;
    out[0] = '\0';
    if (!local_address(fd, &a) || getifaddrs(&all) != 0)
        return;
    for (const struct ifaddrs *i = all; i && !out[0]; i = i->ifa_next)
        if (same_address(&a, i->ifa_addr))
            (void)snprintf(out, HTTP_INTERFACE_BYTES, "%s", i->ifa_name);
    freeifaddrs(all);
}

/* Where the connection's last look stands; a new one takes a free place, or that of the first. */
static size_t place_of(struct http_meter *m, int fd)
{
    size_t free_at = 0;
    for (size_t i = HTTP_METERED; i-- > 0;) {
        if (m->seen[i].is && m->seen[i].fd == fd)
            return i;
        if (!m->seen[i].is)
            free_at = i;
    }
    m->seen[free_at].is = true;
    m->seen[free_at].fd = fd;
    m->seen[free_at].sent = m->seen[free_at].received = 0;
    find_interface(fd, m->wire->interface);
    return free_at;
}

static void add(struct http_wire *w, int64_t sent, int64_t received)
{
    w->sent_bytes += sent;
    w->received_bytes += received;
}

bool http_meter_read(struct http_meter *m, int fd)
{
    int64_t sent, received, head;
    if (!m->wire || fd < 0)
        return true;
    if (!totals(fd, &sent, &received, &head))
        return false;
    size_t i = place_of(m, fd);
    add(m->wire, sent - m->seen[i].sent, received - m->seen[i].received);
    m->seen[i].sent = sent;
    m->seen[i].received = received;
    return true;
}

void http_meter_guess(struct http_meter *m, int fd, int64_t sent, int64_t received, bool fresh)
{
    int64_t both = CALL + (fresh ? HANDSHAKE : 0);
    (void)place_of(m, fd);
    add(m->wire, sent + sent / OVERHEAD + both, received + received / OVERHEAD + both);
}

/* Whoever ends it, two segments without payload go out and two come in behind what is counted. */
void http_meter_end(struct http_meter *m, int fd)
{
    int64_t sent, received, head = TCP_HEAD + TCP_STAMPS + IPV4_HEAD;
    if (!m->wire)
        return;
    (void)totals(fd, &sent, &received, &head);
    (void)http_meter_read(m, fd); /* else it was guessed when the call was over */
    add(m->wire, 2 * head, 2 * head);
    m->seen[place_of(m, fd)].is = false;
}

int64_t http_meter_packet(int fd)
{
    struct tcp_info t;
    struct sockaddr_storage a;
    socklen_t n = sizeof t;
    memset(&t, 0, sizeof t);
    if (fd < 0 || !local_address(fd, &a) || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &t, &n) != 0)
        return 0;
    return (int64_t)t.tcpi_snd_mss + TCP_HEAD +
           (t.tcpi_options & TCPI_OPT_TIMESTAMPS ? TCP_STAMPS : 0) +
           (is_v4(&a) ? IPV4_HEAD : IPV6_HEAD);
}
