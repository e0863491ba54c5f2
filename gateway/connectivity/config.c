/* The configuration section `connectivity` and what it declares. */
#include "gateway/connectivity/modem_int.h"
#include "gateway/connectivity/path_int.h"
#include "gateway/connectivity/survey_int.h"
#include "gateway/connectivity/throughput_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PING_FIELD(k, m) .key = (k), .offset = offsetof(struct connectivity_ping_cfg, m)
static const struct cfg_field ping_fields[] = {
    {PING_FIELD("host", host), .kind = CFG_STRING, .required = true,
     .help = "name or address that is asked"},
    {PING_FIELD("every", every_ms), .kind = CFG_TIME, .dflt = "60s", .min = 1000, .max = 3600e3,
     .help = "time between rounds"},
    {PING_FIELD("count", count), .kind = CFG_INT, .dflt = "3", .min = 1,
     .max = CONNECTIVITY_COUNT_MAX, .help = "echoes of one round"},
    {PING_FIELD("timeout", timeout_ms), .kind = CFG_TIME, .dflt = "2s", .min = 50, .max = 30e3,
     .help = "an answer, or a name, that takes longer is lost"},
    {PING_FIELD("name", name), .kind = CFG_STRING, .help = "what people call it"},
    {PING_FIELD("place", place), .kind = CFG_STRING, .help = "where it stands"},
    {.key = NULL}};
static const struct cfg_table ping_table = {sizeof(struct connectivity_ping_cfg), ping_fields};

#define LINK_FIELD(k, m) .key = (k), .offset = offsetof(struct connectivity_link_cfg, m)
static const struct cfg_field link_fields[] = {
    {LINK_FIELD("interface", interface), .kind = CFG_STRING, .required = true,
     .help = "network interface, such as eth0"},
    {LINK_FIELD("every", every_ms), .kind = CFG_TIME, .dflt = "60s", .min = 1000, .max = 3600e3,
     .help = "time between looks"},
    {LINK_FIELD("name", name), .kind = CFG_STRING, .help = "what people call it"},
    {LINK_FIELD("place", place), .kind = CFG_STRING, .help = "where it stands"},
    {.key = NULL}};
static const struct cfg_table link_table = {sizeof(struct connectivity_link_cfg), link_fields};

#define MODEM_FIELD(k, m) .key = (k), .offset = offsetof(struct connectivity_modem_cfg, m)
static const struct cfg_word through_words[] = {
    {"at", CONNECTIVITY_AT}, {"modemmanager", CONNECTIVITY_MODEMMANAGER}, {NULL, 0}};
static const struct cfg_field modem_fields[] = {
    {MODEM_FIELD("through", through), .kind = CFG_WORD, .words = through_words,
     .help = "who asks it: at, which is usual with a port, or modemmanager"},
    {MODEM_FIELD("port", port), .kind = CFG_STRING,
     .help = "serial port of its AT commands, such as /dev/serial/by-id/usb-…-if02"},
    {MODEM_FIELD("every", every_ms), .kind = CFG_TIME, .dflt = "60s", .min = 1000, .max = 3600e3,
     .help = "time between polls"},
    {MODEM_FIELD("points", points), .kind = CFG_STRINGS, .help = "points to keep; absent: all"},
    {MODEM_FIELD("interface", interface), .kind = CFG_STRING,
     .help = "its network interface, such as wwan0: see check"},
    {MODEM_FIELD("check", check), .kind = CFG_STRING,
     .help = "plain http address that is asked while the city is not reached"},
    {MODEM_FIELD("name", name), .kind = CFG_STRING, .help = "what people call it"},
    {MODEM_FIELD("place", place), .kind = CFG_STRING, .help = "where it stands"},
    {MODEM_FIELD("role", role), .kind = CFG_STRING, .help = "what kind of place that is"},
    {.key = NULL}};
static const struct cfg_table modem_table = {sizeof(struct connectivity_modem_cfg), modem_fields};

static const struct cfg_field fields[] = {
    {.key = "ping",
     .kind = CFG_MAP,
     .offset = offsetof(struct connectivity_cfg, ping),
     .sub = &ping_table,
     .help = "hosts whose latency and packet loss are measured"},
    {.key = "link",
     .kind = CFG_MAP,
     .offset = offsetof(struct connectivity_cfg, link),
     .sub = &link_table,
     .help = "network interfaces whose state and rate are read"},
    {.key = "path",
     .kind = CFG_MAP,
     .offset = offsetof(struct connectivity_cfg, path),
     .sub = &connectivity_path_table,
     .help = "ways to the city that are measured"},
    {.key = "board",
     .kind = CFG_MAP,
     .offset = offsetof(struct connectivity_cfg, board),
     .sub = &connectivity_board_table,
     .help = "supply, battery and temperature of this box"},
    {.key = "modem",
     .kind = CFG_STRUCT,
     .offset = offsetof(struct connectivity_cfg, modem),
     .sub = &modem_table,
     .help = "the modem whose radio is measured"},
    {.key = "survey",
     .kind = CFG_STRUCT,
     .offset = offsetof(struct connectivity_cfg, survey),
     .sub = &connectivity_survey_table,
     .help = "where in the ward which operator's 5G is measured"},
    {.key = "throughput",
     .kind = CFG_MAP,
     .offset = offsetof(struct connectivity_cfg, throughput),
     .sub = &connectivity_throughput_table,
     .help = "servers against which the line's throughput is measured"},
    {.key = "sms",
     .kind = CFG_STRUCT,
     .offset = offsetof(struct connectivity_cfg, sms),
     .sub = &connectivity_sms_table,
     .help = "whom alarms reach by SMS while no uplink reaches the city"},
    {.key = NULL}};
const struct cfg_table connectivity_cfg_table = {sizeof(struct connectivity_cfg), fields};

/* The maps of this section, whose ids are devices': all but the two that are one device each. */
static bool is_map(const struct cfg_field *f)
{
    return f->kind == CFG_MAP;
}

static char *const *id_of(const struct connectivity_cfg *cfg, const struct cfg_field *f, size_t i)
{
    const struct cfg_items *items =
        (const struct cfg_items *)(const void *)((const char *)cfg + f->offset);
    if (i >= items->n)
        return NULL;
    return (char *const *)(const void *)((const char *)items->v + i * f->sub->struct_size);
}

/* The kind before `end` that has a device of this id; NULL: none. */
static const char *used_before(const struct connectivity_cfg *cfg, const struct cfg_field *end,
                               const char *id)
{
    for (const struct cfg_field *f = fields; f != end && f->key; f++) {
        char *const *other;
        for (size_t i = 0; is_map(f) && (other = id_of(cfg, f, i)); i++)
            if (strcmp(*other, id) == 0)
                return f->key;
    }
    return NULL;
}

const char *connectivity_id_used(const struct connectivity_cfg *cfg, const char *id)
{
    return used_before(cfg, NULL, id);
}

static void ids_check(const struct connectivity_cfg *cfg, struct cfg *c)
{
    for (const struct cfg_field *f = fields; f->key; f++) {
        char *const *id;
        for (size_t i = 0; is_map(f) && (id = id_of(cfg, f, i)); i++) {
            const char *other = used_before(cfg, f, *id);
            if (strcmp(*id, "fieldpost") == 0 || strcmp(*id, CONNECTIVITY_MODEM_ID) == 0 ||
                strcmp(*id, CONNECTIVITY_SURVEY_ID) == 0)
                cfg_complain(c, id, "the device id %s is the gateway's own: choose another", *id);
            if (other)
                cfg_complain(c, id, "the device id %s is used for a %s, too: choose another", *id,
                             other);
        }
    }
}

static void ping_check(struct cfg *c, const struct connectivity_ping_cfg *p)
{
    /* name and last echo may each take a whole time-out; a round must end before the next */
    int64_t longest = 2 * p->timeout_ms + (p->count - 1) * CONNECTIVITY_SPACING_MS;
    if (longest > p->every_ms)
        cfg_complain(c, cfg_given(c, &p->every_ms) ? (const void *)&p->every_ms : (const void *)p,
                     "ping %s: a round may take %lld ms (2 x timeout and %d ms between echoes), "
                     "longer than every: lower timeout or count, or raise every",
                     p->id, (long long)longest, CONNECTIVITY_SPACING_MS);
}

void connectivity_interface_check(struct cfg *c, char *const *interface)
{
    if (strchr(*interface, '/') || (*interface)[0] == '.' || strlen(*interface) > 15)
        cfg_complain(c, interface, "interface %s: write a name such as eth0 (see `ip link`)",
                     *interface);
}

static void link_check(struct cfg *c, const struct connectivity_link_cfg *l)
{
    connectivity_interface_check(c, &l->interface);
}

static void check(const struct connectivity_cfg *cfg, struct cfg *c)
{
    ids_check(cfg, c);
    for (size_t i = 0; i < cfg->ping.n; i++)
        ping_check(c, (const struct connectivity_ping_cfg *)cfg->ping.v + i);
    for (size_t i = 0; i < cfg->link.n; i++)
        link_check(c, (const struct connectivity_link_cfg *)cfg->link.v + i);
    for (size_t i = 0; i < cfg->path.n; i++)
        connectivity_path_check(c, (const struct connectivity_path_cfg *)cfg->path.v + i);
    for (size_t i = 0; i < cfg->board.n; i++)
        connectivity_board_check(c, (const struct connectivity_board_cfg *)cfg->board.v + i);
    connectivity_modem_check(c, &cfg->modem);
    connectivity_survey_check(c, &cfg->survey,
                              cfg->modem.port || cfg->modem.through != CONNECTIVITY_NO_MODEM);
    connectivity_throughput_check(c, cfg);
    connectivity_sms_check(c, cfg);
}

static bool modem_open(struct connectivity *k, const struct connectivity_modem_cfg *cfg)
{
    if (!cfg->port && cfg->through == CONNECTIVITY_NO_MODEM)
        return true;
    k->modem = calloc(1, sizeof *k->modem);
    if (!k->modem)
        return false;
    *k->modem = (struct connectivity_modem){.cfg = cfg, .dialog.fd = -1};
    (void)pthread_mutex_init(&k->modem->lock, NULL); /* cannot fail with the default kind */
    return true;
}

bool connectivity_has_modem(const struct connectivity *k)
{
    return k->modem != NULL;
}

enum st connectivity_open(struct connectivity **out, const struct connectivity_cfg *cfg,
                          struct cfg *c, struct err *e)
{
    *out = NULL;
    size_t before = cfg_complaints(c, NULL);
    check(cfg, c);
    if (cfg_complaints(c, NULL) > before)
        return err_set(e, ST_BAD, "the section connectivity has mistakes");
    struct connectivity *k = calloc(1, sizeof *k);
    if (!k)
        return err_set(e, ST_MEMORY, "connectivity: no memory");
    k->socket[0].fd = k->socket[1].fd = -1;
    k->ping = calloc(cfg->ping.n + 1, sizeof *k->ping);
    k->link = calloc(cfg->link.n + 1, sizeof *k->link);
    k->board = calloc(cfg->board.n + 1, sizeof *k->board);
    k->path = calloc(cfg->path.n + 1, sizeof *k->path);
    k->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    if (!k->ping || !k->link || !k->board || !k->path || !modem_open(k, &cfg->modem)) {
        connectivity_close(k);
        return err_set(e, ST_MEMORY, "connectivity: no memory");
    }
    if (k->modem)
        k->modem->outbox.cfg = &cfg->sms;
    k->npings = cfg->ping.n;
    k->nlinks = cfg->link.n;
    k->nboards = cfg->board.n;
    for (size_t i = 0; i < k->npings; i++) {
        k->ping[i].cfg = (const struct connectivity_ping_cfg *)cfg->ping.v + i;
        k->ping[i].numeric = connectivity_address_parse(k->ping[i].cfg->host, &k->ping[i].to);
    }
    for (size_t i = 0; i < k->nlinks; i++)
        k->link[i].cfg = (const struct connectivity_link_cfg *)cfg->link.v + i;
    for (size_t i = 0; i < k->npings; i++)
        k->ping[i].told = k->ping[i].to;
    for (size_t i = 0; i < k->nboards; i++)
        k->board[i].cfg = (const struct connectivity_board_cfg *)cfg->board.v + i;
    k->npaths = cfg->path.n;
    for (size_t i = 0; i < k->npaths; i++) {
        k->path[i].cfg = (const struct connectivity_path_cfg *)cfg->path.v + i;
        k->path[i].room = k;
    }
    bool walks = cfg->survey.gpsd || cfg->survey.browser;
    enum st st = walks ? connectivity_walk_open(&k->walk, &cfg->survey, e) : ST_OK;
    if (st == ST_OK)
        st = connectivity_throughput_open(k, &cfg->throughput, e);
    if (st != ST_OK)
        connectivity_close(k);
    else
        *out = k;
    return st;
}

bool connectivity_walks(const struct connectivity *k)
{
    return k->walk != NULL;
}

void connectivity_close(struct connectivity *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->npings; i++)
        connectivity_lookup_drop(k->ping[i].lookup);
    for (size_t i = 0; i < 2; i++)
        connectivity_socket_close(&k->socket[i]);
    free(k->ping);
    free(k->link);
    free(k->path);
    (void)pthread_mutex_destroy(&k->lock);
    free(k->board);
    if (k->modem)
        (void)pthread_mutex_destroy(&k->modem->lock);
    free(k->modem);
    connectivity_walk_close(k->walk);
    connectivity_throughput_close(k);
    free(k);
}

enum st connectivity_series_add(struct store *s, uint32_t device, const char *point,
                                const char *quantity, int64_t every_ms, uint32_t *index,
                                struct err *e)
{
    const struct store_series d = {
        .device = device,
        .point = point,
        .quantity = quantity_by_key(quantity),
        .period_ms = every_ms,
        .phase_ms = connectivity_phase(store_gateway(s), store_device_at(s, device)->id, every_ms)};
    if (!d.quantity)
        return err_set(e, ST_NOT_FOUND, "the catalogue has no quantity %s", quantity);
    return store_add_series(s, &d, index, e);
}

static enum st ping_declare(struct connectivity_ping *p, struct store *s, struct err *e)
{
    const struct connectivity_ping_cfg *c = p->cfg;
    const struct store_device d = {.id = c->id,
                                   .name = c->name,
                                   .place = c->place,
                                   .source = "connectivity",
                                   .address = c->host,
                                   .model = "ping",
                                   .period_ms = c->every_ms};
    p->jitter = UINT32_MAX;
    enum st st = store_add_device(s, &d, &p->device, e);
    if (st == ST_OK)
        st = connectivity_series_add(s, p->device, "latency", "latency", c->every_ms, &p->latency,
                                     e);
    if (st == ST_OK)
        st = connectivity_series_add(s, p->device, "loss", "packet_loss", c->every_ms, &p->loss, e);
    if (st == ST_OK && c->count > 1)
        st = connectivity_series_add(s, p->device, "jitter", "jitter", c->every_ms, &p->jitter, e);
    return st;
}

enum st connectivity_declare(struct connectivity *k, struct store *s, struct err *e)
{
    enum st st = ST_OK;
    for (size_t i = 0; i < k->npings && st == ST_OK; i++)
        st = ping_declare(&k->ping[i], s, e);
    for (size_t i = 0; i < k->nlinks && st == ST_OK; i++)
        st = connectivity_link_declare(&k->link[i], s, e);
    for (size_t i = 0; i < k->nboards && st == ST_OK; i++)
        st = connectivity_board_declare(&k->board[i], s, e);
    for (size_t i = 0; i < k->npaths && st == ST_OK; i++)
        st = connectivity_path_declare(&k->path[i], s, e);
    if (st == ST_OK && k->modem)
        st = connectivity_modem_declare(k->modem, s, e);
    if (st == ST_OK && k->walk)
        st = connectivity_walk_declare(k->walk, s, e);
    for (size_t i = 0; i < k->nthroughputs && st == ST_OK; i++)
        st = connectivity_throughput_declare(&k->throughput[i], s, e);
    return st;
}
