/* Paths: their configuration and what they declare. */
#include "gateway/connectivity/path_int.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define FIELD(k, m) .key = (k), .offset = offsetof(struct connectivity_path_cfg, m)
static const struct cfg_field fields[] = {
    {FIELD("uplink", uplink), .kind = CFG_STRING,
     .help = "whose city; absent: that of the first uplink"},
    {FIELD("url", url), .kind = CFG_STRING, .help = "another https address, with its ca"},
    {FIELD("ca", ca), .kind = CFG_STRING, .help = "PEM file that verifies who answers at url"},
    {FIELD("every", every_ms), .kind = CFG_TIME, .dflt = "5min", .min = 1000, .max = 86400e3,
     .help = "time between probes"},
    {FIELD("timeout", timeout_ms), .kind = CFG_TIME, .dflt = "10s", .min = 50, .max = 60e3,
     .help = "a name, a connection or an answer that takes longer is lost"},
    {FIELD("interface", interface), .kind = CFG_STRING,
     .help = "network interface that it leaves by; absent: as the routes say"},
    {FIELD("check", check), .kind = CFG_STRING,
     .help = "plain http address that a sign-in page would answer for; absent: the city's host"},
    {FIELD("name", name), .kind = CFG_STRING, .help = "what people call it"},
    {FIELD("place", place), .kind = CFG_STRING, .help = "where it stands"},
    {.key = NULL}};
const struct cfg_table connectivity_path_table = {sizeof(struct connectivity_path_cfg), fields};

void connectivity_path_check(struct cfg *c, const struct connectivity_path_cfg *p)
{
    static const char https[] = "https://";
    int64_t longest = 3 * p->timeout_ms;
    if (!p->url != !p->ca)
        cfg_complain(c, p->url ? &p->url : &p->ca,
                     "path %s: url and ca are given together, or neither", p->id);
    if (p->url && p->uplink)
        cfg_complain(c, &p->uplink, "path %s: write uplink, or url and ca, not both", p->id);
    /* it may hold a password, so it is not repeated */
    if (p->url && (strncasecmp(p->url, https, sizeof https - 1) != 0 || strpbrk(p->url, " @#")))
        cfg_complain(c, &p->url,
                     "path %s: url must be https://HOST[:PORT][/PATH] without a name or password",
                     p->id);
    if (p->ca && access(p->ca, R_OK) != 0)
        cfg_complain(c, &p->ca, "path %s: ca %s cannot be read: copy the CA certificate there",
                     p->id, p->ca);
    if (p->check && strncasecmp(p->check, "http://", 7) != 0)
        cfg_complain(c, &p->check, "path %s: check must be an address that begins with http://",
                     p->id);
    if (p->interface)
        connectivity_interface_check(c, &p->interface);
    if (longest > p->every_ms)
        cfg_complain(c, cfg_given(c, &p->every_ms) ? (const void *)&p->every_ms : (const void *)p,
                     "path %s: name, connection and answer may take %lld ms (3 x timeout), longer "
                     "than every: lower timeout, or raise every",
                     p->id, (long long)longest);
}

void connectivity_uplinks_check(const struct connectivity_cfg *cfg, const char *const *ids,
                                size_t n, struct cfg *c)
{
    const struct connectivity_path_cfg *p = cfg->path.v;
    for (size_t i = 0; i < cfg->path.n; i++) {
        size_t at = 0;
        while (p[i].uplink && at < n && strcmp(ids[at], p[i].uplink) != 0)
            at++;
        if (p[i].url || at < n)
            continue;
        const char *near = p[i].uplink ? cfg_nearest(p[i].uplink, ids, n) : NULL;
        if (!p[i].uplink)
            cfg_complain(c, &p[i], "path %s: there is no uplink: write url and ca", p[i].id);
        else
            cfg_complain(c, &p[i].uplink, "path %s: there is no uplink %s%s%s%s", p[i].id,
                         p[i].uplink, near ? "; did you mean " : "", near ? near : "",
                         near ? "?" : "");
    }
}

size_t connectivity_path_count(const struct connectivity *k)
{
    return k->npaths;
}

enum st connectivity_path_declare(struct connectivity_path *p, struct store *s, struct err *e)
{
    static const struct {
        const char *point, *quantity;
    } points[CONNECTIVITY_PATH_POINTS] = {
        [CONNECTIVITY_AVAILABILITY] = {"availability", "availability"},
        [CONNECTIVITY_STATE] = {"state", "path_state"},
        [CONNECTIVITY_DNS] = {"dns", "dns_time"},
        [CONNECTIVITY_CONNECT] = {"connect", "connect_time"},
        [CONNECTIVITY_TLS] = {"tls", "tls_time"},
        [CONNECTIVITY_FIRST] = {"first_byte", "first_byte_time"},
        [CONNECTIVITY_MTU] = {"mtu", "path_mtu"},
    };
    const struct connectivity_path_cfg *c = p->cfg;
    const struct store_device d = {.id = c->id,
                                   .name = c->name,
                                   .place = c->place,
                                   .source = "connectivity",
                                   .address = c->url      ? c->url
                                              : c->uplink ? c->uplink
                                                          : "the city of the first uplink",
                                   .model = "path",
                                   .period_ms = c->every_ms};
    enum st st = store_add_device(s, &d, &p->device, e);
    for (size_t i = 0; i < CONNECTIVITY_PATH_POINTS && st == ST_OK; i++)
        st = connectivity_series_add(s, p->device, points[i].point, points[i].quantity,
                                     i == CONNECTIVITY_MTU ? CONNECTIVITY_MTU_EVERY * c->every_ms
                                                           : c->every_ms,
                                     &p->series[i], e);
    return st;
}
