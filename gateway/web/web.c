/* Routes, the page's files, and who may ask. */
#include "gateway/web/web_int.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_MAX 32 /* each some 70 kB with TLS */
#define PER_ADDRESS 16
#define TIMEOUT_S 30
#define HEAD_S 10 /* a handshake over a slow modem fits */

static const struct cfg_field fields[] = {{.key = "listen",
                                           .kind = CFG_STRING,
                                           .offset = offsetof(struct web_cfg, listen),
                                           .dflt = "127.0.0.1:8080",
                                           .help = "address and port of the page, or off"},
                                          {.key = "cert",
                                           .kind = CFG_STRING,
                                           .offset = offsetof(struct web_cfg, cert),
                                           .help = "PEM file with the page's key and certificate; "
                                                   "without it the gateway makes its own"},
                                          {.key = "names",
                                           .kind = CFG_STRINGS,
                                           .offset = offsetof(struct web_cfg, names),
                                           .help = "names under which browsers find the page"},
                                          {.key = NULL}};
const struct cfg_table web_cfg_table = {sizeof(struct web_cfg), fields};

/* Of every answer. Nothing but our own files, no inline script or style, no frame around the page.
 */
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

static const struct http_route routes[] = {
    {"GET", "/", 0, web_page},
    {"GET", "/a/{name}", 0, web_page},
    {"GET", "/api/v1/status", 0, web_api_status},
    {"GET", "/api/v1/series", 0, web_api_series},
    {"GET", "/api/v1/advice", 0, web_api_advice},
    {"GET", "/api/v1/events", 0, web_api_events},
    {"GET", "/api/v1/chart", 0, web_api_chart},
    {"POST", "/api/v1/corrections", WEB_ASK_MAX, web_api_correct},
    {"POST", "/api/v1/maintenance", WEB_ASK_MAX, web_api_maintain},
    {"POST", "/api/v1/retirements", WEB_ASK_MAX, web_api_retire},
    {"POST", "/api/v1/slips", WEB_ASK_MAX, web_api_enter},
    {"POST", "/api/v1/readings", WEB_PACK_MAX, web_api_readings},
    {"GET", "/api/v1/requests/{id}", 0, web_api_request},
    {"GET", "/api/v1/chart.csv", 0, web_api_chart_csv},
    {"GET", "/api/v1/readings.csv", 0, web_api_readings_csv},
    {"GET", "/api/v1/devices/{device}", 0, web_api_device},
    {"GET", "/api/v1/messages", 0, web_api_messages},
    {"GET", "/api/v1/survey.geojson", 0, web_api_survey},
    {"POST", "/api/v1/position", WEB_ASK_MAX, web_api_position},
    {"GET", "/api/v1/why", 0, web_api_why},
    {"GET", "/api/v1/why/past", 0, web_api_why_past},
    {"POST", "/api/v1/buses/{bus}/units/{unit}/probe", 0, web_api_probe},
    {"GET", "/api/v1/alarms", 0, web_api_alarms},
    {"POST", "/api/v1/alarms/{alarm}/acknowledgement", 0, web_api_acknowledge},
    {"GET", "/api/v1/city", 0, web_api_city},
    {"GET", "/api/v1/digest.svg", 0, web_api_digest_svg},
    {"GET", "/api/v1/about", 0, web_api_about},
    {"GET", "/api/v1/openapi.yaml", 0, web_api_openapi},
    {"GET", "/api/v1/live", 0, web_api_live},
    {"GET", "/metrics", 0, web_api_metrics},
    {"POST", "/api/v1/session", WEB_ASK_MAX, web_api_sign_in},
    {"GET", "/api/v1/session", 0, web_api_session},
    {"DELETE", "/api/v1/session", 0, web_api_sign_out},
    {"POST", "/api/v1/first", WEB_ASK_MAX, web_api_first},
    {"POST", "/api/v1/password", WEB_ASK_MAX, web_api_password},
    {"GET", "/api/v1/users", 0, web_api_users},
    {"POST", "/api/v1/users", WEB_ASK_MAX, web_api_user_add},
    {"PUT", "/api/v1/users/{name}", WEB_ASK_MAX, web_api_user_set},
    {"DELETE", "/api/v1/users/{name}", 0, web_api_user_remove},
    {"GET", "/api/v1/tokens", 0, web_api_tokens},
    {"POST", "/api/v1/tokens", WEB_ASK_MAX, web_api_token_add},
    {"DELETE", "/api/v1/tokens/{name}", 0, web_api_token_remove},
    {"GET", "/healthz", 0, web_api_health},
};

bool web_is_page(const struct http_route *r)
{
    return r->handle == web_page;
}

/* Which one is in use, whoever made it, is told by the hasher's thread (web_certificate_tell). */
static void renewed(void *web, enum st st, const char *text)
{
    struct web *w = web;
    if (st != ST_OK)
        store_event(w->store, STORE_WARNING, "page.certificate", NULL,
                    "the files before stay in use: %s", text);
    else
        atomic_store(&w->door->taken_up, true);
}

static enum st serve(struct web *w, const struct web_cfg *cfg, struct err *e)
{
    char cert[DROP_PATH_BYTES], key[DROP_PATH_BYTES];
    const struct http_server_cfg server = {.listen = cfg->listen,
                                           .cert = cert,
                                           .key = key,
                                           .threads = 1,
                                           .max_connections = CONNECTIONS_MAX,
                                           .per_ip = PER_ADDRESS,
                                           .room = web_room,
                                           .timeout_s = TIMEOUT_S,
                                           .head_s = HEAD_S,
                                           .admit = web_admit,
                                           .policy = policy,
                                           .renewed = renewed};
    ERR_TRY(web_tls_paths(cfg, store_path(w->store), cert, key, e));
    return http_server_open(&w->server, &server, routes, sizeof routes / sizeof *routes, w, e);
}

enum st web_open(struct web **out, const struct web_cfg *cfg, const struct web_site *site,
                 struct store *s, const struct clk *clk, struct err *e)
{
    struct err why;
    *out = NULL;
    enum st settled = web_change_settle(store_path(s), &why);
    if (settled != ST_OK && settled != ST_BUSY) /* whoever has the lock settles it */
        store_event(s, STORE_WARNING, "change.untold", NULL, "%s", why.text);
    enum st st = web_check(cfg, e);
    if (st != ST_OK || strcmp(cfg->listen, "off") == 0)
        return st;
    struct web *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(e, ST_MEMORY, "web: no memory");
    web_json_wipes();
    w->site = *site;
    w->store = s;
    w->clk = clk;
    w->started = clk_mono(clk);
    w->started_ms = clk_now(clk).utc_ms;
    st = web_surveyor_open(w, e);
    if (st == ST_OK)
        st = web_live_open(&w->live, w, e);
    if (st == ST_OK)
        st = web_door_open(w, cfg, e);
    if (st == ST_OK)
        st = serve(w, cfg, e);
    if (st != ST_OK) {
        web_close(w);
        return err_wrap(e, st, "the page");
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
    web_door_stop(w);
    web_surveyor_stop(w);
    web_live_stop(w->live);
    http_server_close(w->server);
    web_live_close(w->live);
    if (w->door)
        (void)!web_kept_remove(store_path(w->store), WEB_CONSOLE, NULL);
    web_door_close(w);
    web_due_done(&w->due);
    web_surveyor_close(w);
    store_reader_close(w->reader);
    free(w);
}
