/* A SIM card whose data is used up: the modem is registered and has an address, but the operator
 * answers for everybody. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway/connectivity/modem_int.h"
#include "gateway/http/http.h"

#define CONNECT_MS 5000
#define TOTAL_MS 10000
#define WAIT_MAX_MS 900000
#define ANSWER_BYTES 65536 /* a page; nobody reads it */

/* "http://user@Host:80/…" -> "Host"; "" when there is none. A longer one than names may be is cut.
 */
void connectivity_host_of(const char *url, char host[CONNECTIVITY_HOST_BYTES])
{
    const char *from = strstr(url, "://");
    host[0] = '\0';
    if (!from)
        return;
    from += 3;
    size_t n = strcspn(from, "/?#");
    for (size_t i = n; i > 0; i--) /* names and passwords stand before the last @ */
        if (from[i - 1] == '@') {
            from += i;
            n -= i;
            break;
        }
    const char *end = *from == '[' ? memchr(from, ']', n) : memchr(from, ':', n);
    size_t len = !end ? n : (size_t)(end - from) + (*from == '[');
    if (len > CONNECTIVITY_HOST_BYTES - 1)
        len = CONNECTIVITY_HOST_BYTES - 1;
    memcpy(host, from, len);
    host[len] = '\0';
}

static const char *bare(const char *host)
{
    return strncasecmp(host, "www.", 4) == 0 ? host + 4 : host;
}

bool connectivity_portal_is(const char *url, int status, const char *redirect,
                            char host[CONNECTIVITY_HOST_BYTES])
{
    char ours[CONNECTIVITY_HOST_BYTES];
    connectivity_host_of(url, ours);
    connectivity_host_of(redirect, host);
    bool away = status >= 300 && status <= 399 && host[0] != '\0' &&
                strcasecmp(bare(host), bare(ours)) != 0;
    return away || status == 511;
}

static bool is_link_local(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 16 ==
               0xa9fe; /* RFC 3927 */
    return IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
}

bool connectivity_has_address(const char *interface)
{
    struct ifaddrs *all;
    bool has = false;
    if (getifaddrs(&all) != 0)
        return false;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next)
        has |= i->ifa_addr && strcmp(i->ifa_name, interface) == 0 && (i->ifa_flags & IFF_UP) &&
               (i->ifa_addr->sa_family == AF_INET || i->ifa_addr->sa_family == AF_INET6) &&
               !is_link_local(i->ifa_addr);
    freeifaddrs(all);
    return has;
}

bool connectivity_portal_ask(const char *method, const char *check, const char *interface,
                             char host[CONNECTIVITY_HOST_BYTES], const struct thr_stop *stop)
{
    const struct http_client_cfg as = {.connect_ms = CONNECT_MS,
                                       .total_ms = TOTAL_MS,
                                       .max_answer = ANSWER_BYTES,
                                       .interface = interface};
    const struct http_call call = {.method = method, .url = check};
    struct http_reply r = {.status = 0};
    struct http_client *c;
    if (http_client_open(&c, &as, NULL) != ST_OK)
        return false;
    /* what was not answered says nothing: nor does a page that is too long */
    bool is = http_client_do(c, &call, stop->fd, &r, NULL) == ST_OK &&
              connectivity_portal_is(check, r.status, r.redirect, host);
    buf_done(&r.body);
    http_client_close(c);
    return is;
}

bool connectivity_portal_look(struct connectivity_portal *p,
                              const struct connectivity_modem_cfg *cfg,
                              const struct connectivity_job *job)
{
    struct mono now = clk_mono(job->clk);
    if (!cfg->check || !job->city_lost || !job->city_lost(job->city_ctx)) {
        *p = (struct connectivity_portal){.seen = false};
        return false;
    }
    if (p->wait_ms > 0 && now.ms < p->next.ms)
        return p->seen;
    p->wait_ms = p->wait_ms == 0 ? cfg->every_ms : 2 * p->wait_ms;
    if (p->wait_ms > WAIT_MAX_MS)
        p->wait_ms = WAIT_MAX_MS;
    p->next.ms = now.ms + p->wait_ms;
    p->seen = connectivity_has_address(cfg->interface) &&
              connectivity_portal_ask("GET", cfg->check, cfg->interface, p->host, job->stop);
    return p->seen;
}
