/* The section `connectivity.throughput` and what it declares. */
#include "gateway/connectivity/throughput_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/connectivity/modem_int.h"

#define ROOM_PER_CONNECTION 131072 /* heads, handshakes, what is on its way */
#define CONNECT_MS 10000           /* as in throughput.c */

#define FIELD(k, m) .key = (k), .offset = offsetof(struct connectivity_throughput_cfg, m)
static const struct cfg_field fields[] = {
    {FIELD("down", down), .kind = CFG_STRING,
     .help = "http or https address of a large file; absent: no download"},
    {FIELD("up", up), .kind = CFG_STRING,
     .help = "http or https address that takes a POST of any size; absent: no upload"},
    {FIELD("ca", ca), .kind = CFG_STRING, .help = "PEM file of the CA of an https server"},
    {FIELD("interface", interface), .kind = CFG_STRING,
     .help = "network interface to measure through; absent: as the box routes"},
    {FIELD("every", every_ms), .kind = CFG_TIME, .dflt = "7d", .min = 60e3, .max = 31 * 86400e3,
     .help = "time between measurements"},
    {FIELD("size", size_bytes), .kind = CFG_DATA, .dflt = "100MB", .min = 1e6, .max = 100e9,
     .help = "bytes of one direction at most"},
    {FIELD("budget", budget_bytes), .kind = CFG_DATA, .dflt = "1GB", .min = 1e6, .max = 1e12,
     .help = "data that measuring may take in a calendar month"},
    {FIELD("connections", connections), .kind = CFG_INT, .dflt = "4", .min = 1,
     .max = HTTP_TRANSFER_CONNECTIONS, .help = "connections side by side"},
    {FIELD("ramp", ramp_ms), .kind = CFG_TIME, .dflt = "2s", .min = 0, .max = 30e3,
     .help = "time at the begin of a transfer that does not count"},
    {FIELD("duration", duration_ms), .kind = CFG_TIME, .dflt = "8s", .min = HTTP_TRANSFER_LEAST_MS,
     .max = 60e3, .help = "time behind it that is measured"},
    {FIELD("uploads_every", own_every_ms), .kind = CFG_TIME, .dflt = "1h", .min = 1e3,
     .max = 86400e3, .help = "period of own_upload, the rate of what uplinks sent anyway"},
    {FIELD("name", name), .kind = CFG_STRING, .help = "what people call it"},
    {FIELD("place", place), .kind = CFG_STRING, .help = "where it stands"},
    {.key = NULL}};
const struct cfg_table connectivity_throughput_table = {sizeof(struct connectivity_throughput_cfg),
                                                        fields};

const char *connectivity_speed_url(const struct connectivity_throughput_cfg *cfg,
                                   enum connectivity_direction d)
{
    return d == CONNECTIVITY_DOWN ? cfg->down : cfg->up;
}

int64_t connectivity_speed_cost(const struct connectivity_throughput_cfg *cfg)
{
    return cfg->size_bytes + cfg->size_bytes / 16 + cfg->connections * ROOM_PER_CONNECTION;
}

void connectivity_budget_name(const char *id, char out[CONNECTIVITY_BUDGET_BYTES])
{
    (void)snprintf(out, CONNECTIVITY_BUDGET_BYTES, "throughput:%s", id);
}

/* ---- checks --------------------------------------------------------------------------------- */

static void url_check(struct cfg *c, const struct connectivity_throughput_cfg *t, char *const *url)
{
    bool tls = *url && strncasecmp(*url, "https://", 8) == 0;
    if (!*url)
        return;
    if (!tls && strncasecmp(*url, "http://", 7) != 0)
        cfg_complain(c, url, "throughput %s: an address begins with http:// or https://", t->id);
    else if (strchr(*url, '@'))
        cfg_complain(c, url, "throughput %s: no name or password in an address", t->id);
    else if (tls && !t->ca)
        cfg_complain(c, url,
                     "throughput %s: an https server needs ca, such as "
                     "/etc/ssl/certs/ca-certificates.crt",
                     t->id);
}

static void cost_check(struct cfg *c, const struct connectivity_throughput_cfg *t)
{
    int64_t cost = connectivity_speed_cost(t);
    int64_t longest = CONNECTIVITY_DIRECTIONS * (CONNECT_MS + t->ramp_ms + t->duration_ms);
    if ((t->down || t->up) && cost > t->budget_bytes)
        cfg_complain(c,
                     cfg_given(c, &t->budget_bytes) ? (const void *)&t->budget_bytes
                                                    : (const void *)&t->size_bytes,
                     "throughput %s: one direction may take %lld MB, more than a month's budget: "
                     "lower size or raise budget",
                     t->id, (long long)((cost + 999999) / 1000000));
    if ((t->down || t->up) && longest > t->every_ms)
        cfg_complain(c, cfg_given(c, &t->every_ms) ? (const void *)&t->every_ms : (const void *)t,
                     "throughput %s: a measurement may take %lld s, longer than every", t->id,
                     (long long)(longest / 1000));
}

void connectivity_throughput_check(struct cfg *c, const struct connectivity_cfg *cfg)
{
    const struct connectivity_throughput_cfg *t = cfg->throughput.v;
    for (size_t i = 0; i < cfg->throughput.n; i++) {
        if (t[i].interface)
            connectivity_interface_check(c, &t[i].interface);
        url_check(c, &t[i], &t[i].down);
        url_check(c, &t[i], &t[i].up);
        cost_check(c, &t[i]);
    }
}

/* ---- devices -------------------------------------------------------------------------------- */

enum st connectivity_throughput_open(struct connectivity *k, const struct cfg_items *cfg,
                                     struct err *e)
{
    const struct connectivity_throughput_cfg *t = cfg->v;
    k->throughput = calloc(cfg->n + 1, sizeof *k->throughput);
    if (!k->throughput)
        return err_set(e, ST_MEMORY, "connectivity: no memory");
    for (; k->nthroughputs < cfg->n; k->nthroughputs++) {
        struct connectivity_throughput *to = &k->throughput[k->nthroughputs];
        to->cfg = &t[k->nthroughputs];
        to->budget.limit = to->cfg->budget_bytes;
        if (pthread_mutex_init(&to->lock, NULL) != 0)
            return err_set(e, ST_MEMORY, "connectivity: no memory");
    }
    return ST_OK;
}

void connectivity_throughput_close(struct connectivity *k)
{
    for (size_t i = 0; i < k->nthroughputs; i++)
        (void)pthread_mutex_destroy(&k->throughput[i].lock);
    free(k->throughput);
}

enum st connectivity_throughput_declare(struct connectivity_throughput *t, struct store *s,
                                        struct err *e)
{
    static const char *const points[CONNECTIVITY_DIRECTIONS][CONNECTIVITY_SPEED_POINTS] = {
        {"download", "download_result", "download_load"},
        {"upload", "upload_result", "upload_load"}};
    static const char *const quantities[CONNECTIVITY_DIRECTIONS][CONNECTIVITY_SPEED_POINTS] = {
        {"download_rate", "throughput_result", "cpu_load"},
        {"upload_rate", "throughput_result", "cpu_load"}};
    const struct connectivity_throughput_cfg *c = t->cfg;
    bool active = c->down || c->up;
    struct connectivity_link_state now;
    int64_t every_ms = active ? c->every_ms : c->own_every_ms;
    const struct store_device d = {.id = c->id,
                                   .name = c->name,
                                   .place = c->place,
                                   .source = "connectivity",
                                   .address = c->down ? c->down
                                              : c->up ? c->up
                                                      : "own uploads",
                                   .model = "throughput",
                                   .period_ms = every_ms};
    enum st st = store_add_device(s, &d, &t->device, e);
    for (size_t i = 0; i < CONNECTIVITY_DIRECTIONS; i++)
        for (size_t j = 0; j < CONNECTIVITY_SPEED_POINTS && st == ST_OK; j++)
            if (connectivity_speed_url(c, (enum connectivity_direction)i))
                st = connectivity_series_add(s, t->device, points[i][j], quantities[i][j], every_ms,
                                             &t->series[i][j], e);
    t->link = UINT32_MAX;
    /* an interface that never tells a rate (Wi-Fi, a modem) must not owe one for ever */
    if (st == ST_OK && active &&
        (!c->interface || connectivity_link_read("/sys/class/net", c->interface, &now) != ST_OK ||
         now.has_rate))
        st = connectivity_series_add(s, t->device, "link", "link_rate", every_ms, &t->link, e);
    if (st == ST_OK)
        st = connectivity_series_add(s, t->device, "own_upload", "upload_rate", c->own_every_ms,
                                     &t->own, e);
    return st;
}

enum st connectivity_throughput_cost(const struct connectivity *k, size_t i,
                                     struct store_reader *reader, const struct clk *clk,
                                     struct connectivity_cost *out, struct err *e)
{
    if (i >= k->nthroughputs)
        return ST_NOT_FOUND;
    const struct connectivity_throughput_cfg *c = k->throughput[i].cfg;
    struct store_budget b = {.limit = c->budget_bytes};
    char name[CONNECTIVITY_BUDGET_BYTES];
    int directions = (c->down != NULL) + (c->up != NULL);
    connectivity_budget_name(c->id, name);
    if (reader)
        ERR_TRY(store_budget_load(&b, reader, name, e));
    b.limit = c->budget_bytes;
    *out = (struct connectivity_cost){
        .id = c->id,
        .bytes = directions * connectivity_speed_cost(c),
        .wait_ms = 2 * CONNECT_MS + directions * (CONNECT_MS + c->ramp_ms + c->duration_ms),
        .budget_bytes = c->budget_bytes,
        .left_bytes = store_budget_left(&b, clk_now(clk)),
        .down = c->down != NULL,
        .up = c->up != NULL};
    return ST_OK;
}
