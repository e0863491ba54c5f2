/* What this box sees of its own net: the default route, links, and whether others answer. */
#include "gateway/connectivity/path_int.h"

#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define LINE_BYTES 256
#define ROUTE_UP 1      /* RTF_UP of linux/route.h */
#define ROUTE_GATEWAY 2 /* RTF_GATEWAY */
#define PATH_BYTES 128

/* ---- the default route: /proc/net/route, /proc/net/ipv6_route ------------------------------- */

struct route {
    const char *only; /* NULL: any */
    bool is;
    unsigned long metric;
    char interface[CONNECTIVITY_IF_BYTES];
    struct connectivity_address hop;
};

#define WORDS 11
#define WORD_BYTES 40

/* The words of a line; how many. */
static int split(const char *line, char word[WORDS][WORD_BYTES])
{
    int n = 0;
    for (const char *at = line; n < WORDS; n++) {
        at += strspn(at, " \t\n");
        size_t len = strcspn(at, " \t\n");
        if (len == 0 || len >= WORD_BYTES)
            break;
        memcpy(word[n], at, len);
        word[n][len] = '\0';
        at += len;
    }
    return n;
}

/* Takes it when it is better than what there is. */
static bool better(struct route *best, const char *interface, unsigned long metric)
{
    if ((best->is && metric >= best->metric) || strcmp(interface, "lo") == 0 ||
        (best->only && strcmp(interface, best->only) != 0) ||
        strlen(interface) >= sizeof best->interface)
        return false;
    *best = (struct route){.only = best->only, .is = true, .metric = metric};
    (void)snprintf(best->interface, sizeof best->interface, "%s", interface);
    return true;
}

/* Interface, destination, gateway, flags, two counts, metric, mask, … */
static void take4(struct route *best, const char *line)
{
    char w[WORDS][WORD_BYTES];
    if (split(line, w) < 8 || strcmp(w[1], "00000000") != 0 || strcmp(w[7], "00000000") != 0)
        return;
    unsigned long flags = strtoul(w[3], NULL, 16);
    if (!(flags & ROUTE_UP) || !better(best, w[0], strtoul(w[6], NULL, 10)) ||
        !(flags & ROUTE_GATEWAY))
        return;
    /* the kernel prints the address as it lies in memory */
    const struct sockaddr_in a = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = (in_addr_t)strtoul(w[2], NULL, 16)};
    memcpy(&best->hop.a, &a, sizeof a);
    best->hop.n = sizeof a;
}

/* Destination, its length, source, its length, gateway, metric, two counts, flags, interface. The
 * gateway is a link-local address, which is not asked. */
static void take6(struct route *best, const char *line)
{
    char w[WORDS][WORD_BYTES];
    if (split(line, w) >= 10 && strcmp(w[1], "00") == 0 && strspn(w[0], "0") == strlen(w[0]) &&
        (strtoul(w[8], NULL, 16) & ROUTE_UP))
        (void)better(best, w[9], strtoul(w[5], NULL, 16));
}

static void routes(struct route *best, const char *root, const char *file,
                   void (*take)(struct route *, const char *))
{
    char path[PATH_BYTES], line[LINE_BYTES];
    (void)snprintf(path, sizeof path, "%s/proc/net/%s", root, file);
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    while (fgets(line, sizeof line, f))
        take(best, line);
    (void)fclose(f);
}

bool connectivity_route_read(const char *root, const char *only,
                             char interface[CONNECTIVITY_IF_BYTES],
                             struct connectivity_address *hop)
{
    struct route best = {.only = only};
    routes(&best, root, "route", take4);
    if (!best.is)
        routes(&best, root, "ipv6_route", take6);
    memcpy(interface, best.interface, sizeof best.interface);
    *hop = best.hop;
    return best.is;
}

bool connectivity_any_link(const char *root)
{
    bool any = false;
    DIR *d = opendir(root);
    if (!d)
        return true; /* nothing is known: nothing is said */
    for (const struct dirent *f; (f = readdir(d)) && !any;) {
        struct connectivity_link_state s;
        any = f->d_name[0] != '.' && strcmp(f->d_name, "lo") != 0 &&
              connectivity_link_read(root, f->d_name, &s) == ST_OK && s.up;
    }
    (void)closedir(d);
    return any;
}

/* ---- others ---------------------------------------------------------------------------------- */

bool connectivity_witness_set(struct connectivity_witness *w, size_t i,
                              const struct connectivity_address *at)
{
    if ((i == 0 && at->n == 0) || (at->n == w->at[i].n && memcmp(&at->a, &w->at[i].a, at->n) == 0))
        return false;
    w->at[i] = *at;
    w->answers[i] = false;
    return true;
}

struct asking {
    struct connectivity_socket socket[2];
    const char *interface;
    bool refused;
    uint64_t nonce;
    unsigned sent, got;
};

static bool open_socket(const struct asking *q, struct connectivity_socket *s, int family)
{
    if (connectivity_socket_open(s, family, NULL) != ST_OK)
        return false;
    if (!q->interface || setsockopt(s->fd, SOL_SOCKET, SO_BINDTODEVICE, q->interface,
                                    (socklen_t)strlen(q->interface) + 1) == 0)
        return true;
    connectivity_socket_close(s);
    return false;
}

static void send_to(struct asking *q, const struct connectivity_address *to, unsigned i)
{
    uint8_t packet[CONNECTIVITY_ECHO_BYTES];
    struct connectivity_socket *s = &q->socket[to->a.ss_family == AF_INET6];
    if (to->n == 0)
        return;
    q->refused |= s->fd < 0 && !open_socket(q, s, to->a.ss_family);
    if (s->fd < 0)
        return;
    const struct connectivity_echo echo = {.id = s->id, .seq = (uint16_t)i, .nonce = q->nonce};
    connectivity_echo_write(packet, s->family, &echo);
    q->sent |= 1U << i; /* what cannot even be sent is not answered */
    (void)!sendto(s->fd, packet, sizeof packet, 0, (const struct sockaddr *)&to->a, to->n);
}

static void receive(struct asking *q, struct connectivity_socket *s)
{
    uint8_t packet[256];
    struct connectivity_echo echo;
    ssize_t n = recv(s->fd, packet, sizeof packet, 0);
    if (n > 0 && connectivity_echo_read(packet, (size_t)n, s->family, s->raw, &echo) &&
        echo.id == s->id && echo.nonce == q->nonce && echo.seq < CONNECTIVITY_WITNESSES)
        q->got |= 1U << echo.seq;
}

int connectivity_witness_ask(const struct connectivity_address *at, size_t n, const char *interface,
                             int64_t ms, const struct thr_stop *stop)
{
    struct asking q = {.socket = {{.fd = -1}, {.fd = -1}}, .interface = interface};
    int64_t now = clk_mono(clk_real()).ms, until = now + ms, again = now;
    if (getrandom(&q.nonce, sizeof q.nonce, GRND_NONBLOCK) != sizeof q.nonce)
        q.nonce = (uint64_t)until;
    for (int sent = 0; now < until && !atomic_load(&stop->set);) {
        if (sent < CONNECTIVITY_ECHOES && now >= again) {
            for (size_t i = 0; i < n; i++)
                if (!(q.got & (1U << i)))
                    send_to(&q, &at[i], (unsigned)i);
            again = ++sent < CONNECTIVITY_ECHOES ? now + CONNECTIVITY_ECHO_AGAIN_MS : until;
        }
        if (q.got == q.sent)
            break;
        struct pollfd fds[3] = {{.fd = stop->fd, .events = POLLIN},
                                {.fd = q.socket[0].fd, .events = POLLIN},
                                {.fd = q.socket[1].fd, .events = POLLIN}};
        (void)poll(fds, 3, (int)((again < until ? again : until) - now));
        for (size_t i = 0; i < 2; i++)
            if (fds[i + 1].revents)
                receive(&q, &q.socket[i]);
        now = clk_mono(clk_real()).ms;
    }
    for (size_t i = 0; i < 2; i++)
        connectivity_socket_close(&q.socket[i]);
    return q.refused && q.sent == 0 ? -1 : (int)q.got;
}

/* A host that did not answer while the city was reached is no witness: pings to it are forbidden.
 * The first hop is one only where it answered, and says nothing of what is behind it. */
enum connectivity_beyond connectivity_witness_judge(const struct connectivity_witness *w, int got)
{
    bool any = false;
    if (got < 0)
        return CONNECTIVITY_BEYOND_UNKNOWN;
    for (size_t i = 1; i < CONNECTIVITY_WITNESSES; i++) {
        bool is = w->at[i].n > 0 && (w->answers[i] || !w->asked);
        if (is && (got & (1 << i)))
            return CONNECTIVITY_BEYOND_ALIVE;
        any |= is;
    }
    if (any || (w->answers[0] && !(got & 1)))
        return CONNECTIVITY_BEYOND_DEAD;
    return CONNECTIVITY_BEYOND_UNKNOWN;
}
