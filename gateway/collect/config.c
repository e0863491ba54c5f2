/* The configuration section `devices`, and the room that both sections make. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/doctor_int.h"
#include "gateway/collect/node_int.h"
#include "gateway/collect/push_int.h"
#include "gateway/collect/sunspec_int.h"

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
     .help = "an installed profile's name, a path to a file, or `node`: the device says it itself"},
    {DEVICE("every", every_ms), .kind = CFG_TIME, .dflt = "60s", .min = 100, .max = 86400e3,
     .help = "time between polls, which fall on its multiples in UTC"},
    {DEVICE("turnaround", turnaround_ms), .kind = CFG_TIME, .min = 0, .max = 2000,
     .help = "how long it takes to begin its answer, for the plan; absent: as its profile says"},
    {DEVICE("points", points), .kind = CFG_STRINGS, .help = "points to read; absent: all"},
    {DEVICE("name", name), .kind = CFG_STRING, .help = "what people call it"},
    {DEVICE("place", place), .kind = CFG_STRING, .help = "where it stands"},
    {DEVICE("stream", stream), .kind = CFG_WORD, .words = collect_stream_words,
     .help = "waste stream that it measures"},
    {DEVICE("role", role), .kind = CFG_STRING, .help = "its part in the site"},
    {DEVICE("legal", legal), .kind = CFG_BOOL, .dflt = "false",
     .help = "bound by law: thinned last when the store is full"},
    {DEVICE("location", location), .kind = CFG_STRUCT, .sub = &location_table,
     .help = "{lat, lon}"},
    {DEVICE("serial", serial), .kind = CFG_STRING, .help = "serial number"},
    {DEVICE("cable_order", cable_order), .kind = CFG_INT, .min = 0, .max = 1000,
     .help = "its place along the cable"},
    {DEVICE("capacity", capacity), .kind = CFG_STRING,
     .help = "what its container holds, such as 240l or 1.1m3"},
    {DEVICE("was", was), .kind = CFG_LIST, .sub = &collect_was_table,
     .help = "what it was before, each until a day"},
    {.key = NULL}};
const struct cfg_table collect_device_table = {sizeof(struct collect_device_cfg), device_fields};

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

/* What a device says of itself: a profile of its own. */
static enum st find_node(struct collect *k, const struct collect_device_cfg *d, const char *dir,
                         const struct collect_profile **out)
{
    struct collect_profile *p = &k->profiles[k->nprofiles];
    enum st st = collect_node_load(p, d, k->cfg->nodes, dir);
    k->nprofiles += p->path != NULL;
    *out = p;
    return st;
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
        if (st == ST_OK && p->node.entry > 0) {
            st = ST_BAD;
            p->good = false;
            if (buf_printf(&why,
                           "%s: a file of a node is written and read by `profile: node` alone\n",
                           path) != ST_OK)
                st = ST_MEMORY;
        }
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
    const struct collect_foreign keys[] = {
        {&d->format, "format"}, {&d->topic, "topic"}, {&d->dev_eui, "dev_eui"}, {&d->base, "base"}};
    collect_check_foreign(c, keys, sizeof keys / sizeof *keys, "device", d->id,
                          "a device on a Modbus bus");
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
    const struct collect_foreign keys[] = {{&cfg->unit, "unit"},
                                           {&cfg->turnaround_ms, "turnaround"},
                                           {&cfg->cable_order, "cable_order"}};
    const struct collect_foreign sent[] = {{&cfg->format, "format"},
                                           {&cfg->topic, "topic"},
                                           {&cfg->dev_eui, "dev_eui"},
                                           {&cfg->base, "base"},
                                           {&cfg->every_ms, "every"}};
    bool manual = b->cfg->type == COLLECT_MANUAL;
    const char *what = manual ? "a device on a manual bus" : "a device that sends";
    collect_check_foreign(c, keys, sizeof keys / sizeof *keys, "device", cfg->id, what);
    if (manual) {
        collect_check_foreign(c, sent, sizeof sent / sizeof *sent, "device", cfg->id, what);
        cfg->every_ms = 0; /* it is brought when there is something to weigh */
    } else {
        collect_push_check_device(c, b, cfg);
    }
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
    if (p->learned) /* it may have others meanwhile: no mistake of the file */
        return;
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
    if (strcmp(cfg->id, "fieldpost") == 0 || strcmp(cfg->id, "modem") == 0 ||
        strcmp(cfg->id, "survey") == 0)
        cfg_complain(c, &cfg->id, "the device id %s is the gateway's own: choose another", cfg->id);
    collect_check_history(c, cfg);
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
    bool node = collect_node_is(cfg) && !sent;
    if ((node ? find_node(k, cfg, dir, &d->profile)
              : find_profile(k, c, cfg, sent, dir, &d->profile)) != ST_OK)
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
    enum st st = node                  ? collect_node_open(d, k->cfg->nodes, e)
                 : d->profile->sunspec ? collect_sunspec_open(d, e)
                                       : ST_OK;
    if (st == ST_OK)
        st = collect_plan_make(&d->plan, d->profile, d->wanted, &d->line, e);
    if (st == ST_OK)
        st = collect_split_open(&d->split, &d->plan, e);
    if (st == ST_OK)
        st = collect_who_open(d, e);
    if (st == ST_OK)
        st = collect_counters_open(d, e);
    if (st == ST_OK)
        st = collect_rests_open(d, e);
    if (st == ST_OK)
        st = collect_says_open(d, e);
    if (st == ST_OK)
        st = collect_kept_open(d, e);
    if (st == ST_OK && !node && d->plan.nvalues == 0 && cfg_complaints(c, NULL) == before)
        cfg_complain(c, d->cfg, "device %s has no point to read", cfg->id);
    return st;
}

/* ---- the room ------------------------------------------------------------------------------- */

static enum st make_ports(struct collect *k, struct err *e)
{
    for (size_t i = 0; i < k->nbuses; i++) {
        struct collect_bus *b = &k->buses[i];
        size_t most = 1;
        for (size_t j = 0; j < b->n; j++) {
            const struct collect_device *d = b->devices[j]; /* SunSpec: it is planned anew */
            size_t n = d->sunspec ? d->profile->n : d->plan.nall;
            most = n > most ? n : most;
        }
        if (collect_is_sent(b->cfg->type))
            most = STORE_POLL_MAX;
        b->values = calloc(most, sizeof *b->values);
        if (!b->values)
            return err_set(e, ST_MEMORY, "collect: no memory for bus %s", b->cfg->id);
        enum st st = collect_is_sent(b->cfg->type) ? collect_push_make(b, e)
                                                   : collect_port_make(&b->port, b->cfg, e);
        if (st == ST_OK && b->port)
            st = collect_doctor_make(b, e);
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
        enum st st = collect_desk_open(&b->desk, e);
        if (st != ST_OK) {
            k->nbuses--;
            return st;
        }
        collect_check_bus(c, cfg, i);
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
    k->beside = strdup(cfg_path(c));
    k->profile_dir = strdup(profile_dir);
    enum st st = k->beside && k->profile_dir ? make(k, c, profile_dir, e)
                                             : err_set(e, ST_MEMORY, "collect: no memory");
    if (st == ST_OK)
        st = collect_nudges_open(k, e);
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
        collect_doctor_free(&k->buses[i]);
        free(k->buses[i].values);
        free(k->buses[i].devices);
        free(k->buses[i].units);
        collect_desk_close(&k->buses[i].desk);
    }
    for (size_t i = 0; i < k->ndevices; i++) {
        collect_split_done(&k->devices[i].split);
        collect_plan_done(&k->devices[i].plan);
        collect_push_close_device(&k->devices[i]);
        collect_who_done(&k->devices[i]);
        collect_counters_done(&k->devices[i]);
        collect_rests_done(&k->devices[i]);
        collect_sunspec_close(&k->devices[i]);
        collect_node_close(&k->devices[i]);
        collect_says_done(&k->devices[i]);
        collect_kept_done(&k->devices[i]);
        free(k->devices[i].wanted);
    }
    for (size_t i = 0; i < k->nprofiles; i++)
        collect_profile_done(&k->profiles[i]);
    free(k->buses);
    free(k->devices);
    free(k->profiles);
    free(k->beside);
    free(k->profile_dir);
    (void)pthread_mutex_destroy(&k->nudges.lock); /* zeroed is good, too, when it was not opened */
    free(k);
}

size_t collect_bus_count(const struct collect *k)
{
    return k->nbuses;
}
