/* Routes, the page's files, and who may ask. */
#include "gateway/web/web_int.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_MAX 16
#define TIMEOUT_S 30

static const struct cfg_field fields[] = {{.key = "listen",
                                           .kind = CFG_STRING,
                                           .offset = offsetof(struct web_cfg, listen),
                                           .dflt = "127.0.0.1:8080",
                                           .help = "loopback address and port of the page, or off"},
                                          {.key = NULL}};
const struct cfg_table web_cfg_table = {sizeof(struct web_cfg), fields};

/* Nothing but our own files, no inline script or style, no frame around the page. */
static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

bool web_is_loopback(const char *host_port)
{
    char host[64];
    struct in6_addr v6;
    struct in_addr v4;
    const char *start = host_port, *end;
    if (*start == '[') {
        end = strchr(++start, ']');
        if (!end || (end[1] != '\0' && end[1] != ':'))
            return false;
    } else {
        end = start + strcspn(start, ":");
    }
    size_t n = (size_t)(end - start);
    if (n == 0 || n >= sizeof host)
        return false;
    memcpy(host, start, n);
    host[n] = '\0';
    if (start != host_port)
        return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
    return strcasecmp(host, "localhost") == 0 ||
           (inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

bool web_is_here(const char *peer)
{
    struct in6_addr v6;
    struct in_addr v4;
    return inet_pton(AF_INET, peer, &v4) == 1
               ? ntohl(v4.s_addr) >> 24 == 127
               : inet_pton(AF_INET6, peer, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* A page of another site may resolve its own name to 127.0.0.1 and read us through the visitor's
 * browser (DNS rebinding): only requests that name the loopback itself are answered. */
static bool host_refused(const struct http_request *q, struct http_answer *a)
{
    const char *host = http_header(q, "Host");
    if (host && web_is_loopback(host))
        return false;
    http_problem(a, 421, "wrong_host", "this page answers to localhost and 127.0.0.1 only", NULL,
                 NULL);
    return true;
}

/* FNV-1a over the file, so that a browser keeps it until an upgrade changes it. */
static uint64_t tag_of(const struct web_asset *f)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (unsigned long i = 0; i < *f->n; i++)
        h = (h ^ f->bytes[i]) * UINT64_C(1099511628211);
    return h;
}

static void page(void *web, const struct http_request *q, struct http_answer *a)
{
    const struct web_asset *f = web_assets;
    char tag[24] = "\"";
    uint8_t be[8];
    (void)web;
    if (host_refused(q, a))
        return;
    while (strcmp(f->path, q->path) != 0) /* the routes are made of these paths */
        f++;
    uint64_t h = tag_of(f);
    for (size_t i = 0; i < sizeof be; i++)
        be[i] = (uint8_t)(h >> (56 - 8 * i));
    wire_hex(be, sizeof be, tag + 1);
    tag[17] = '"';
    const char *have = http_header(q, "If-None-Match");
    a->status = have && strcmp(have, tag) == 0 ? 304 : 200;
    a->content_type = f->type;
    if (a->status == 200) {
        a->static_body = f->bytes;
        a->static_n = *f->n;
    }
    http_answer_header(a, "Content-Security-Policy", "%s", policy);
    http_answer_header(a, "Referrer-Policy", "no-referrer");
    http_answer_header(a, "Cache-Control", "no-cache");
    http_answer_header(a, "ETag", "%s", tag);
}

#define API(name)                                                                                  \
    static void name(void *web, const struct http_request *q, struct http_answer *a)               \
    {                                                                                              \
        if (!host_refused(q, a))                                                                   \
            web_api_##name(web, q, a);                                                             \
    }
API(status)
API(series)
API(events)
API(chart)
API(health)
API(correct)
API(maintain)
API(retire)
API(readings)
API(request)

static const struct http_route routes[] = {
    {"GET", "/", 0, page},
    {"GET", "/app.js", 0, page},
    {"GET", "/app.css", 0, page},
    {"GET", "/vi.json", 0, page},
    {"GET", "/en.json", 0, page},
    {"GET", "/icon.svg", 0, page},
    {"GET", "/api/v1/status", 0, status},
    {"GET", "/api/v1/series", 0, series},
    {"GET", "/api/v1/events", 0, events},
    {"GET", "/api/v1/chart", 0, chart},
    {"POST", "/api/v1/corrections", WEB_ASK_MAX, correct},
    {"POST", "/api/v1/maintenance", WEB_ASK_MAX, maintain},
    {"POST", "/api/v1/retirements", WEB_ASK_MAX, retire},
    {"POST", "/api/v1/readings", WEB_PACK_MAX, readings},
    {"GET", "/api/v1/requests/{id}", 0, request},
    {"GET", "/healthz", 0, health},
};

enum st web_check(const struct web_cfg *cfg, struct err *e)
{
    if (strcmp(cfg->listen, "off") == 0 || web_is_loopback(cfg->listen))
        return ST_OK;
    return err_set(e, ST_REFUSED,
                   "web.listen %s: the page has no login yet, so it opens on this machine alone; "
                   "write 127.0.0.1:8080 and reach it from elsewhere with "
                   "ssh -L 8080:127.0.0.1:8080",
                   cfg->listen);
}

enum st web_open(struct web **out, const struct web_cfg *cfg, const struct web_site *site,
                 struct store *s, const struct clk *clk, struct err *e)
{
    *out = NULL;
    enum st st = web_check(cfg, e);
    if (st != ST_OK || strcmp(cfg->listen, "off") == 0)
        return st;
    struct web *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(e, ST_MEMORY, "web: no memory");
    w->site = *site;
    w->store = s;
    w->clk = clk;
    const struct http_server_cfg server = {.listen = cfg->listen,
                                           .threads = 1,
                                           .max_connections = CONNECTIONS_MAX,
                                           .timeout_s = TIMEOUT_S};
    st = http_server_open(&w->server, &server, routes, sizeof routes / sizeof *routes, w, e);
    if (st != ST_OK) {
        web_close(w);
        return err_wrap(e, st, "web.listen");
    }
    *out = w;
    return ST_OK;
}

unsigned web_port(const struct web *w)
{
    return w ? http_server_port(w->server) : 0;
}

void web_close(struct web *w)
{
    if (!w)
        return;
    http_server_close(w->server);
    store_reader_close(w->reader);
    free(w);
}
