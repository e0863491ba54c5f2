/* The configuration sections `buses` and `devices`, and what they declare. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/push_int.h"

#define RTU_TIMEOUT_MS 500
#define TCP_TIMEOUT_MS 1000

#define BUS(k, m) .key = k, .offset = offsetof(struct collect_bus_cfg, m)
static const struct cfg_word type_words[] = {{"modbus-rtu", COLLECT_RTU},
                                             {"modbus-tcp", COLLECT_TCP},
                                             {"mqtt", COLLECT_MQTT},
                                             {"http", COLLECT_HTTP},
                                             {NULL, 0}};
static const struct cfg_word parity_words[] = {
    {"none", 'N'}, {"even", 'E'}, {"odd", 'O'}, {NULL, 0}};
static const struct cfg_word rs485_words[] = {{"off", COLLECT_RS485_OFF},
                                              {"kernel", COLLECT_RS485_KERNEL},
                                              {"rts-up", COLLECT_RS485_RTS_UP},
                                              {"rts-down", COLLECT_RS485_RTS_DOWN},
                                              {NULL, 0}};
static const struct cfg_field bus_fields[] = {
    {BUS("type", type), .kind = CFG_WORD, .required = true, .words = type_words,
     .help = "kind of bus"},
    {BUS("port", port), .kind = CFG_STRING, .help = "serial device, or TCP port (502)"},
    {BUS("host", host), .kind = CFG_STRING,
     .help = "name or address of a modbus-tcp device, or of a broker"},
    {BUS("baud", baud), .kind = CFG_INT, .dflt = "9600", .help = "speed of a serial bus"},
    {BUS("parity", parity), .kind = CFG_WORD, .dflt = "none", .words = parity_words,
     .help = "of a serial bus"},
    {BUS("stop_bits", stop_bits), .kind = CFG_INT, .dflt = "1", .min = 1, .max = 2,
     .help = "of a serial bus"},
    {BUS("data_bits", data_bits), .kind = CFG_INT, .dflt = "8", .min = 7, .max = 8,
     .help = "of a serial bus"},
    {BUS("rs485", rs485), .kind = CFG_WORD, .dflt = "off", .words = rs485_words,
     .help = "who switches the direction of a serial line: off: its adapter; kernel; rts-up, "
             "rts-down: RTS"},
    {BUS("timeout", timeout_ms), .kind = CFG_TIME, .min = 10, .max = 3000,
     .help = "how long an answer may take (500ms, TCP 1s)"},
    {BUS("ca", ca), .kind = CFG_STRING, .help = "PEM file of the CA of a broker's certificate"},
    {BUS("plain", plain), .kind = CFG_BOOL, .dflt = "false",
     .help = "true: a broker on another machine without TLS"},
    {BUS("user", user), .kind = CFG_STRING, .help = "name at a broker"},
    {BUS("password_file", password_file), .kind = CFG_STRING,
     .help = "file, mode 0600, whose first line is the password at a broker"},
    {BUS("client", client), .kind = CFG_STRING, .help = "this gateway's own name at a broker"},
    {.key = NULL}};
const struct cfg_table collect_bus_table = {sizeof(struct collect_bus_cfg), bus_fields};

/* Streams are free text to the store; the configuration knows this closed set. */
static const struct cfg_word stream_words[] = {{"recyclable", 1}, {"food", 2},  {"other", 3},
                                               {"hazardous", 4},  {"bulky", 5}, {"industrial", 6},
                                               {NULL, 0}};
static const struct cfg_word format_words[] = {{"chirpstack", COLLECT_CHIRPSTACK},
                                               {"senml", COLLECT_SENML},
                                               {"json", COLLECT_JSON},
                                               {NULL, 0}};
#define DEVICE(k, m) .key = k, .offset = offsetof(struct collect_device_cfg, m)
#define PLACE(k, m)                                                                                \
    .key = k, .offset = offsetof(struct collect_device_cfg, location.m) -                          \
                        offsetof(struct collect_device_cfg, location)
static const struct cfg_field location_fields[] = {
    {PLACE("lat", lat), .kind = CFG_REAL, .required = true, .min = -90, .max = 90},
    {PLACE("lon", lon), .kind = CFG_REAL, .required = true, .min = -180, .max = 180},
    {.key = NULL}};
static const struct cfg_table location_table = {sizeof(((struct collect_device_cfg *)0)->location),
                                                location_fields};
static const struct cfg_field device_fields[] = {
    {DEVICE("bus", bus), .kind = CFG_STRING, .required = true, .help = "one of buses"},
    {DEVICE("unit", unit), .kind = CFG_INT, .min = 0, .max = 255,
     .help = "its number on a Modbus bus"},
    {DEVICE("format", format), .kind = CFG_WORD, .words = format_words,
     .help = "of its messages on an mqtt bus"},
    {DEVICE("topic", topic), .kind = CFG_STRING, .help = "filter of its messages on an mqtt bus"},
    {DEVICE("dev_eui", dev_eui), .kind = CFG_STRING, .help = "its DevEUI at ChirpStack"},
    {DEVICE("base", base), .kind = CFG_STRING, .help = "how its SenML names begin"},
    {DEVICE("profile", profile), .kind = CFG_STRING, .required = true,
     .help = "an installed profile's name, or a path to a file"},
    {DEVICE("every", every_ms), .kind = CFG_TIME, .dflt = "60s", .min = 100, .max = 86400e3,
     .help = "time between polls, which fall on its multiples in UTC"},
    {DEVICE("turnaround", turnaround_ms), .kind = CFG_TIME, .min = 0, .max = 2000,
     .help = "how long it takes to begin its answer, for the plan; absent: as its profile says"},
    {DEVICE("points", points), .kind = CFG_STRINGS, .help = "points to read; absent: all"},
    {DEVICE("name", name), .kind = CFG_STRING, .help = "what people call it"},
    {DEVICE("place", place), .kind = CFG_STRING, .help = "where it stands"},
    {DEVICE("stream", stream), .kind = CFG_WORD, .words = stream_words,
     .help = "waste stream that it measures"},
    {DEVICE("role", role), .kind = CFG_STRING, .help = "its part in the site"},
    {DEVICE("legal", legal), .kind = CFG_BOOL, .dflt = "false",
     .help = "bound by law: thinned last when the store is full"},
    {DEVICE("location", location), .kind = CFG_STRUCT, .sub = &location_table,
     .help = "{lat, lon}"},
    {DEVICE("serial", serial), .kind = CFG_STRING, .help = "serial number"},
    {DEVICE("cable_order", cable_order), .kind = CFG_INT, .min = 0, .max = 1000,
     .help = "its place along the cable"},
    {.key = NULL}};
const struct cfg_table collect_device_table = {sizeof(struct collect_device_cfg), device_fields};

/* Keys that belong to the other kinds of bus. A key is the member's, as the tables above name it.
 */
struct foreign {
    const void *member;
    const char *key;
};

static void check_foreign(struct cfg *c, const struct foreign *f, size_t n, const char *what,
                          const char *id, const char *type)
{
    for (size_t i = 0; i < n; i++)
        if (cfg_given(c, f[i].member))
            cfg_complain(c, f[i].member, "%s %s: %s has no %s", what, id, type, f[i].key);
}

/* ---- buses ---------------------------------------------------------------------------------- */

static void check_rtu(struct cfg *c, const struct collect_bus_cfg *b)
{
    static const int64_t rates[] = {1200,  2400,  4800,   9600,   19200,
                                    38400, 57600, 115200, 230400, 460800};
    bool known = false;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        known |= rates[i] == b->baud;
    if (!known)
        cfg_complain(c, &b->baud,
                     "bus %s: %lld baud: write 1200, 2400, 4800, 9600, 19200, 38400, "
                     "57600, 115200, 230400 or 460800",
                     b->id, (long long)b->baud);
    if (!b->port)
        cfg_complain(c, b,
                     "bus %s: \"port\" is missing: the serial device, such as "
                     "/dev/serial/by-id/…",
                     b->id);
    if (b->host)
        cfg_complain(c, &b->host, "bus %s: a modbus-rtu bus has no host", b->id);
}

static void check_port(struct cfg *c, const struct collect_bus_cfg *b)
{
    char *end;
    long port = strtol(b->port, &end, 10);
    if (*end != '\0' || port < 1 || port > 65535)
        cfg_complain(c, &b->port, "bus %s: port %s: a TCP port is a number from 1 to 65535", b->id,
                     b->port);
}

static void check_keys(struct cfg *c, const struct collect_bus_cfg *b)
{
    const struct foreign keys[] = {{&b->baud, "baud"},
                                   {&b->parity, "parity"},
                                   {&b->stop_bits, "stop_bits"},
                                   {&b->data_bits, "data_bits"},
                                   {&b->rs485, "rs485"},
                                   {&b->timeout_ms, "timeout"},
                                   {&b->ca, "ca"},
                                   {&b->plain, "plain"},
                                   {&b->user, "user"},
                                   {&b->password_file, "password_file"},
                                   {&b->client, "client"},
                                   {&b->host, "host"},
                                   {&b->port, "port"}};
    enum { SERIAL = 5, MODBUS = 6, ALL = 11, EVERY = sizeof keys / sizeof *keys };
    if (b->type == COLLECT_HTTP)
        check_foreign(c, keys, EVERY, "bus", b->id, "an http bus");
    else if (b->type == COLLECT_MQTT)
        check_foreign(c, keys, MODBUS, "bus", b->id, "an mqtt bus");
    else
        check_foreign(c, keys + MODBUS, ALL - MODBUS, "bus", b->id, "a Modbus bus");
    if (b->type == COLLECT_TCP)
        check_foreign(c, keys, SERIAL, "bus", b->id, "a modbus-tcp bus");
}

static void check_tcp(struct cfg *c, struct collect_bus_cfg *b)
{
    static char usual[] = "502";
    if (!b->host)
        cfg_complain(c, b, "bus %s: \"host\" is missing: the device's name or address", b->id);
    if (!b->port)
        b->port = usual;
    check_port(c, b);
}

static void check_bus(struct cfg *c, const struct collect_cfg *cfg, size_t i)
{
    struct collect_bus_cfg *all = cfg->buses.v, *b = &all[i];
    if (b->type)
        check_keys(c, b);
    if (b->type == COLLECT_MQTT) {
        collect_push_check_bus(c, b);
        check_port(c, b);
        return;
    }
    if (b->type == COLLECT_HTTP)
        return;
    if (b->timeout_ms == 0)
        b->timeout_ms = b->type == COLLECT_TCP ? TCP_TIMEOUT_MS : RTU_TIMEOUT_MS;
    if (b->type == COLLECT_TCP) {
        check_tcp(c, b);
        return;
    }
    if (b->type != COLLECT_RTU)
        return;
    check_rtu(c, b);
    for (size_t j = 0; j < i; j++)
        if (b->port && all[j].type == COLLECT_RTU && all[j].port &&
            strcmp(all[j].port, b->port) == 0)
            cfg_complain(c, &b->port, "bus %s: the port %s is bus %s already", b->id, b->port,
                         all[j].id);
}

/* ---- profiles ------------------------------------------------------------------------------- */

static void complain_profile(struct cfg *c, const struct collect_device_cfg *d, enum st st,
                             const char *path, const char *dir, const char *why)
{
    if (st == ST_NOT_FOUND && !collect_profile_is_path(d->profile)) {
        char *near = collect_profile_nearest(d->profile, dir);
        cfg_complain(c, &d->profile, "unknown profile \"%s\"%s%s%s", d->profile,
                     near ? "; did you mean \"" : "; installed ones are in ", near ? near : dir,
                     near ? "\"?" : "");
        free(near);
        return;
    }
    if (*why == '\0')
        cfg_complain(c, &d->profile, "profile %s: %s", path, err_name(st));
    while (*why) {
        int n = (int)strcspn(why, "\n");
        cfg_complain(c, &d->profile, "%.*s", n, why);
        why += why[n] == '\n' ? n + 1 : n;
    }
}

/* The device's profile; a file is read once, and its mistakes are told once. */
static enum st find_profile(struct collect *k, struct cfg *c, const struct collect_device_cfg *d,
                            bool sent, const char *dir, const struct collect_profile **out)
{
    char *path = collect_profile_path(d->profile, dir, cfg_path(c));
    struct buf why;
    enum st st = ST_OK;
    buf_init(&why, 256 * 1024);
    *out = NULL;
    if (!path)
        return ST_MEMORY;
    for (size_t i = 0; i < k->nprofiles && !*out; i++)
        if (strcmp(k->profiles[i].path, path) == 0 && k->profiles[i].sent == sent)
            *out = &k->profiles[i];
    if (!*out) {
        struct collect_profile *p = &k->profiles[k->nprofiles];
        st = sent ? collect_mapping_load(p, path, &why) : collect_profile_load(p, path, dir, &why);
        k->nprofiles += p->path != NULL;
        p->sent = sent;
        if (st != ST_OK && st != ST_MEMORY)
            complain_profile(c, d, st, path, dir,
                             why.n > 0 && buf_put(&why, "", 1) == ST_OK ? (char *)why.p : "");
        *out = p;
    }
    buf_done(&why);
    free(path);
    return st == ST_MEMORY ? st : ST_OK;
}

/* ---- devices -------------------------------------------------------------------------------- */

static struct collect_bus *find_bus(struct collect *k, struct cfg *c,
                                    const struct collect_device_cfg *d)
{
    for (size_t i = 0; i < k->nbuses; i++)
        if (strcmp(k->buses[i].cfg->id, d->bus) == 0)
            return &k->buses[i];
    const char **known = calloc(k->nbuses + 1, sizeof *known);
    for (size_t i = 0; known && i < k->nbuses; i++)
        known[i] = k->buses[i].cfg->id;
    const char *near = known ? cfg_nearest(d->bus, known, k->nbuses) : NULL;
    cfg_complain(c, &d->bus, "unknown bus \"%s\"%s%s%s", d->bus, near ? "; did you mean \"" : "",
                 near ? near : "", near ? "\"?" : "");
    free(known);
    return NULL;
}

static void check_unit(struct cfg *c, const struct collect_bus *b,
                       const struct collect_device_cfg *d)
{
    const struct foreign keys[] = {
        {&d->format, "format"}, {&d->topic, "topic"}, {&d->dev_eui, "dev_eui"}, {&d->base, "base"}};
    check_foreign(c, keys, sizeof keys / sizeof *keys, "device", d->id, "a device on a Modbus bus");
    if (!cfg_given(c, &d->unit)) {
        cfg_complain(c, d, "device %s: \"unit\" is missing: its number on the bus", d->id);
        return;
    }
    if (b->cfg->type == COLLECT_RTU && (d->unit < 1 || d->unit > 247))
        cfg_complain(c, &d->unit, "unit %lld: on a serial bus units are 1 to 247",
                     (long long)d->unit);
    /* one unit may be two devices of the configuration, each with a profile of its own */
    for (size_t i = 0; i < b->n; i++)
        if (b->devices[i]->cfg->unit == d->unit &&
            strcmp(b->devices[i]->cfg->profile, d->profile) == 0)
            cfg_complain(c, &d->unit, "unit %lld on bus %s is %s already, with the same profile",
                         (long long)d->unit, b->cfg->id, b->devices[i]->cfg->id);
}

/* One more device on the bus, and the unit that it is a part of. */
static enum st join_bus(struct collect_bus *b, struct collect_device *d, struct err *e)
{
    struct collect_device **devices = reallocarray(b->devices, b->n + 1, sizeof(void *));
    if (devices)
        b->devices = devices;
    struct collect_unit **units = reallocarray(b->units, b->nunits + 1, sizeof(void *));
    if (units)
        b->units = units;
    if (!devices || !units)
        return err_set(e, ST_MEMORY, "collect: no memory for device %s", d->cfg->id);
    b->devices[b->n++] = d;
    d->bus = b;
    for (size_t i = 0; i < b->nunits && !d->unit; i++)
        if (b->units[i]->number == d->cfg->unit)
            d->unit = b->units[i];
    if (d->unit)
        return ST_OK;
    d->unit = b->units[b->nunits++] = &d->own;
    d->own.number = (uint8_t)d->cfg->unit;
    d->own.owes =
        b->cfg->type == COLLECT_RTU; /* whoever used the line before us may have asked it */
    return ST_OK;
}

static void check_sent(struct cfg *c, const struct collect_bus *b, const struct collect *k,
                       const struct collect_device *d)
{
    struct collect_device_cfg *cfg =
        (struct collect_device_cfg *)k->cfg->devices.v + (d - k->devices);
    const struct foreign keys[] = {{&cfg->unit, "unit"},
                                   {&cfg->turnaround_ms, "turnaround"},
                                   {&cfg->cable_order, "cable_order"}};
    check_foreign(c, keys, sizeof keys / sizeof *keys, "device", cfg->id, "a device that sends");
    collect_push_check_device(c, b, cfg);
}

/* One name of a device's points: marks it. */
static void want(struct cfg *c, struct collect_device *d, const char *name)
{
    const struct collect_profile *p = d->profile;
    size_t at = 0;
    while (at < p->n && strcmp(p->points[at].name, name) != 0)
        at++;
    if (at < p->n) {
        if (d->wanted[at])
            cfg_complain(c, &d->cfg->points, "the point %s is named twice", name);
        d->wanted[at] = true;
        return;
    }
    const char **known = calloc(p->n + 1, sizeof *known);
    for (size_t i = 0; known && i < p->n; i++)
        known[i] = p->points[i].name;
    const char *near = known ? cfg_nearest(name, known, p->n) : NULL;
    cfg_complain(c, &d->cfg->points, "profile %s has no point \"%s\"%s%s%s", d->cfg->profile, name,
                 near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    free(known);
}

static enum st open_device(struct collect *k, struct cfg *c, struct collect_device *d,
                           const char *dir, struct err *e)
{
    const struct collect_device_cfg *cfg = d->cfg;
    struct collect_bus *b = *cfg->bus ? find_bus(k, c, cfg) : NULL;
    if (strcmp(cfg->id, "fieldpost") == 0 || strcmp(cfg->id, "modem") == 0)
        cfg_complain(c, &cfg->id, "the device id %s is the gateway's own: choose another", cfg->id);
    bool sent = b && collect_is_sent(b->cfg->type);
    if (b) {
        if (!sent)
            check_unit(c, b, cfg);
        else
            check_sent(c, b, k, d);
        enum st st = join_bus(b, d, e);
        if (st != ST_OK)
            return st;
    }
    if (!*cfg->profile)
        return ST_OK;
    if (find_profile(k, c, cfg, sent, dir, &d->profile) != ST_OK)
        return err_set(e, ST_MEMORY, "collect: no memory for profile %s", cfg->profile);
    if (!d->profile->good)
        return ST_OK;
    d->wanted = calloc(d->profile->n, sizeof *d->wanted);
    if (!d->wanted)
        return err_set(e, ST_MEMORY, "collect: no memory for device %s", cfg->id);
    size_t before = cfg_complaints(c, NULL);
    memset(d->wanted, cfg->points.n == 0, d->profile->n * sizeof *d->wanted);
    for (size_t i = 0; i < cfg->points.n; i++)
        want(c, d, cfg->points.v[i]);
    if (sent) {
        collect_push_check_points(c, d);
        return collect_push_open_device(d, e);
    }
    static const struct collect_bus_cfg none = {.type = COLLECT_TCP};
    d->line = collect_line_make(b ? b->cfg : &none, d->profile,
                                cfg_given(c, &cfg->turnaround_ms) ? cfg->turnaround_ms : -1);
    enum st st = collect_plan_make(&d->plan, d->profile, d->wanted, &d->line, e);
    if (st == ST_OK)
        st = collect_split_open(&d->split, &d->plan, e);
    if (st == ST_OK)
        st = collect_who_open(d, e);
    if (st == ST_OK)
        st = collect_counters_open(d, e);
    if (st == ST_OK)
        st = collect_rests_open(d, e);
    if (st == ST_OK && d->plan.nitems == 0 && cfg_complaints(c, NULL) == before)
        cfg_complain(c, d->cfg, "device %s has no point to read", cfg->id);
    return st;
}

/* ---- the room ------------------------------------------------------------------------------- */

static enum st make_ports(struct collect *k, struct err *e)
{
    for (size_t i = 0; i < k->nbuses; i++) {
        struct collect_bus *b = &k->buses[i];
        size_t most = 1;
        for (size_t j = 0; j < b->n; j++)
            if (b->devices[j]->plan.nvalues > most)
                most = b->devices[j]->plan.nvalues;
        if (collect_is_sent(b->cfg->type))
            most = STORE_POLL_MAX;
        b->values = calloc(most, sizeof *b->values);
        if (!b->values)
            return err_set(e, ST_MEMORY, "collect: no memory for bus %s", b->cfg->id);
        enum st st = collect_is_sent(b->cfg->type) ? collect_push_make(b, e)
                                                   : collect_port_make(&b->port, b->cfg, e);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

static enum st make(struct collect *k, struct cfg *c, const char *dir, struct err *e)
{
    const struct collect_cfg *cfg = k->cfg;
    size_t before = cfg_complaints(c, NULL);
    k->profiles = calloc(cfg->devices.n + 1, sizeof *k->profiles);
    k->devices = calloc(cfg->devices.n + 1, sizeof *k->devices);
    k->buses = calloc(cfg->buses.n + 1, sizeof *k->buses);
    if (!k->profiles || !k->devices || !k->buses)
        return err_set(e, ST_MEMORY, "collect: no memory");
    for (size_t i = 0; i < cfg->buses.n; i++) {
        struct collect_bus *b = &k->buses[k->nbuses++];
        b->cfg = (const struct collect_bus_cfg *)cfg->buses.v + i;
        check_bus(c, cfg, i);
    }
    for (size_t i = 0; i < cfg->devices.n; i++) {
        struct collect_device *d = &k->devices[k->ndevices++];
        d->cfg = (const struct collect_device_cfg *)cfg->devices.v + i;
        enum st st = open_device(k, c, d, dir, e);
        if (st != ST_OK)
            return st;
    }
    if (cfg_complaints(c, NULL) > before)
        return err_set(e, ST_BAD, "the sections buses and devices have mistakes");
    return make_ports(k, e);
}

enum st collect_open(struct collect **out, const struct collect_cfg *cfg, struct cfg *c,
                     const char *profile_dir, struct err *e)
{
    struct collect *k = calloc(1, sizeof *k);
    *out = NULL;
    if (!k)
        return err_set(e, ST_MEMORY, "collect: no memory");
    k->cfg = cfg;
    enum st st = make(k, c, profile_dir, e);
    if (st == ST_OK)
        *out = k;
    else
        collect_close(k);
    return st;
}

void collect_close(struct collect *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->nbuses; i++) {
        collect_port_free(k->buses[i].port);
        collect_push_free(k->buses[i].push);
        free(k->buses[i].values);
        free(k->buses[i].devices);
        free(k->buses[i].units);
    }
    for (size_t i = 0; i < k->ndevices; i++) {
        collect_split_done(&k->devices[i].split);
        collect_plan_done(&k->devices[i].plan);
        collect_push_close_device(&k->devices[i]);
        collect_who_done(&k->devices[i]);
        collect_counters_done(&k->devices[i]);
        collect_rests_done(&k->devices[i]);
        free(k->devices[i].wanted);
    }
    for (size_t i = 0; i < k->nprofiles; i++)
        collect_profile_done(&k->profiles[i]);
    free(k->buses);
    free(k->devices);
    free(k->profiles);
    free(k);
}

static const char *stream_text(int stream)
{
    for (size_t i = 0; stream_words[i].word; i++)
        if (stream_words[i].value == stream)
            return stream_words[i].word;
    return NULL;
}

static enum st declare_series(struct collect_device *d, struct store *s, struct err *e)
{
    const struct collect_profile *p = d->profile;
    for (size_t i = 0; i < p->n; i++) {
        if (!d->wanted[i] || !p->points[i].quantity)
            continue;
        uint32_t series;
        enum st st = store_add_series(s,
                                      &(struct store_series){.device = d->store,
                                                             .point = p->points[i].name,
                                                             .quantity = p->points[i].quantity,
                                                             .period_ms = d->cfg->every_ms},
                                      &series, e);
        if (st != ST_OK)
            return st;
        if (d->seen)
            d->seen[i].series = series;
        for (size_t j = 0; j < d->plan.nvalues; j++)
            if (d->plan.values[j].point == i)
                d->plan.values[j].series = series;
    }
    return ST_OK;
}

static enum st declare_device(struct collect_device *d, struct store *s, struct err *e)
{
    const struct collect_device_cfg *cfg = d->cfg;
    const struct collect_bus_cfg *b = d->bus->cfg;
    char address[128];
    if (collect_is_sent(b->type))
        (void)snprintf(address, sizeof address, "%s %s", b->id, d->topic);
    else if (b->type == COLLECT_TCP)
        (void)snprintf(address, sizeof address, "%s:%s unit %lld", b->host, b->port,
                       (long long)cfg->unit);
    else
        (void)snprintf(address, sizeof address, "%s unit %lld", b->id, (long long)cfg->unit);
    enum st st = store_add_device(s,
                                  &(struct store_device){.id = cfg->id,
                                                         .name = cfg->name,
                                                         .place = cfg->place,
                                                         .stream = stream_text(cfg->stream),
                                                         .role = cfg->role,
                                                         .legal = cfg->legal,
                                                         .serial = cfg->serial,
                                                         .source = b->id,
                                                         .address = address,
                                                         .model = d->profile->model,
                                                         .period_ms = cfg->every_ms},
                                  &d->store, e);
    return st == ST_OK ? declare_series(d, s, e) : st;
}

enum st collect_declare(struct collect *k, struct store *s, struct err *e)
{
    enum st st = ST_OK;
    for (size_t i = 0; i < k->ndevices && st == ST_OK; i++)
        st = declare_device(&k->devices[i], s, e);
    return st;
}

size_t collect_bus_count(const struct collect *k)
{
    return k->nbuses;
}
