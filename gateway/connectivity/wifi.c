/* Wi-Fi's rate and signal by nl80211, without a library: two requests and their answers (decision
 * 0052). Numbers of the protocol are those of linux/genetlink.h and linux/nl80211.h. */
#include "gateway/connectivity/connectivity_int.h"

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/nl80211.h>
#include <net/if.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define WAIT_US 250000
#define ATTR_HEAD sizeof(struct nlattr)
#define HEADS (sizeof(struct nlmsghdr) + sizeof(struct genlmsghdr))
#define ALIGNED(n) (((n) + 3U) & ~(size_t)3)
#define ANSWERS_MAX 32   /* messages of the kernel to one request */
#define RATE_MAX 4000000 /* in 100 kbit/s */

/* ---- attributes ----------------------------------------------------------------------------- */

struct attrs {
    const uint8_t *p;
    size_t n;
};

/* The next one: its type, *in what it carries; -1: no more, or it does not fit. */
static int attr_next(struct attrs *a, struct attrs *in)
{
    struct nlattr h;
    if (a->n < ATTR_HEAD)
        return -1;
    memcpy(&h, a->p, sizeof h);
    if (h.nla_len < ATTR_HEAD || h.nla_len > a->n)
        return -1;
    size_t step = ALIGNED(h.nla_len);
    *in = (struct attrs){a->p + ATTR_HEAD, h.nla_len - ATTR_HEAD};
    a->p += step < a->n ? step : a->n;
    a->n -= step < a->n ? step : a->n;
    return h.nla_type & NLA_TYPE_MASK;
}

static bool attr_find(struct attrs a, int type, struct attrs *in)
{
    int got;
    while ((got = attr_next(&a, in)) >= 0)
        if (got == type)
            return true;
    return false;
}

/* The attributes of a message of that command (0: any); none when it is another. */
static bool message_open(const void *message, size_t n, int command, struct attrs *out)
{
    struct nlmsghdr h;
    struct genlmsghdr g;
    if (n < HEADS)
        return false;
    memcpy(&h, message, sizeof h);
    memcpy(&g, (const uint8_t *)message + sizeof h, sizeof g);
    if (h.nlmsg_len < HEADS || h.nlmsg_len > n || g.cmd != command)
        return false;
    *out = (struct attrs){(const uint8_t *)message + HEADS, h.nlmsg_len - HEADS};
    return true;
}

uint16_t connectivity_family_of(const void *message, size_t n)
{
    struct attrs a, in;
    uint16_t id;
    if (!message_open(message, n, CTRL_CMD_NEWFAMILY, &a) ||
        !attr_find(a, CTRL_ATTR_FAMILY_ID, &in) || in.n != sizeof id)
        return 0;
    memcpy(&id, in.p, sizeof id);
    return id;
}

/* ---- a station ------------------------------------------------------------------------------ */

/* Whole Mbit/s, rounded down: a link is at least that fast. */
static int64_t rate_of(struct attrs info)
{
    struct attrs rate, in;
    uint32_t wide;
    uint16_t narrow;
    int64_t v = 0;
    if (!attr_find(info, NL80211_STA_INFO_TX_BITRATE, &rate))
        return 0;
    if (attr_find(rate, NL80211_RATE_INFO_BITRATE32, &in) && in.n == sizeof wide) {
        memcpy(&wide, in.p, sizeof wide);
        v = wide;
    } else if (attr_find(rate, NL80211_RATE_INFO_BITRATE, &in) && in.n == sizeof narrow) {
        memcpy(&narrow, in.p, sizeof narrow);
        v = narrow;
    }
    return v <= RATE_MAX ? v / 10 : 0;
}

void connectivity_wifi_take(const void *message, size_t n, struct connectivity_wifi *out)
{
    struct attrs a, info, in;
    if (!message_open(message, n, NL80211_CMD_NEW_STATION, &a) ||
        !attr_find(a, NL80211_ATTR_STA_INFO, &info))
        return;
    out->stations++;
    out->rate_mbit = rate_of(info);
    out->signal = (struct num){.kind = NUM_NONE};
    if (attr_find(info, NL80211_STA_INFO_SIGNAL, &in) && in.n == 1 && (int8_t)in.p[0] < 0)
        out->signal = num_dec((int8_t)in.p[0], 0);
}

/* ---- the kernel ----------------------------------------------------------------------------- */

/* One request with one attribute. */
struct request {
    struct nlmsghdr h;
    struct genlmsghdr g;
    struct nlattr a;
    char data[GENL_NAMSIZ];
};

static bool ask(int fd, uint16_t family, uint16_t flags, uint8_t command, uint16_t attr,
                const void *data, size_t n)
{
    struct request q = {.h = {.nlmsg_type = family, .nlmsg_flags = NLM_F_REQUEST | flags},
                        .g = {.cmd = command, .version = 1},
                        .a = {.nla_type = attr, .nla_len = (uint16_t)(ATTR_HEAD + n)}};
    if (n > sizeof q.data)
        return false;
    memcpy(q.data, data, n);
    q.h.nlmsg_len = (uint32_t)(HEADS + ALIGNED(ATTR_HEAD + n));
    return send(fd, &q, q.h.nlmsg_len, 0) == (ssize_t)q.h.nlmsg_len;
}

static int socket_open(void)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct timeval wait = {.tv_usec = WAIT_US};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&kernel, sizeof kernel) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

/* Gives each message to `take` until the end or an error. */
static void answers(int fd, void (*take)(void *ctx, const void *message, size_t n), void *ctx)
{
    uint8_t buf[8192];
    for (size_t i = 0; i < ANSWERS_MAX; i++) {
        ssize_t got = recv(fd, buf, sizeof buf, 0);
        size_t left = got > 0 ? (size_t)got : 0, at = 0;
        struct nlmsghdr h = {.nlmsg_type = NLMSG_DONE, .nlmsg_flags = 0};
        while (left >= sizeof h) {
            memcpy(&h, buf + at, sizeof h);
            if (h.nlmsg_len < sizeof h || h.nlmsg_len > left || h.nlmsg_type == NLMSG_DONE ||
                h.nlmsg_type == NLMSG_ERROR)
                return;
            take(ctx, buf + at, h.nlmsg_len);
            size_t step = ALIGNED(h.nlmsg_len);
            at += step < left ? step : left;
            left -= step < left ? step : left;
        }
        if (got <= 0 || !(h.nlmsg_flags & NLM_F_MULTI))
            return;
    }
}

static void family_take(void *ctx, const void *message, size_t n)
{
    *(uint16_t *)ctx = connectivity_family_of(message, n);
}

static uint16_t family_ask(int fd, const char *name)
{
    uint16_t id = 0;
    if (ask(fd, GENL_ID_CTRL, 0, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, name, strlen(name) + 1))
        answers(fd, family_take, &id);
    return id;
}

uint16_t connectivity_family(const char *name)
{
    int fd = socket_open();
    uint16_t id = fd >= 0 ? family_ask(fd, name) : 0;
    if (fd >= 0)
        (void)close(fd);
    return id;
}

static void station_take(void *ctx, const void *message, size_t n)
{
    connectivity_wifi_take(message, n, ctx);
}

enum st connectivity_wifi_read(const char *interface, struct connectivity_wifi *out)
{
    uint32_t index = if_nametoindex(interface);
    *out = (struct connectivity_wifi){.stations = 0};
    int fd = index > 0 ? socket_open() : -1;
    if (fd < 0)
        return ST_NOT_FOUND;
    uint16_t family = family_ask(fd, NL80211_GENL_NAME);
    if (family && ask(fd, family, NLM_F_DUMP, NL80211_CMD_GET_STATION, NL80211_ATTR_IFINDEX, &index,
                      sizeof index))
        answers(fd, station_take, out);
    (void)close(fd);
    /* several: it is an access point, and no single figure is the link's */
    return out->stations == 1 ? ST_OK : ST_NOT_FOUND;
}
