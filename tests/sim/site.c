#include "tests/sim/site.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/site_int.h"
#include "tests/sim/words.h"

#define DEVICES_MAX 2000

struct sim_site {
    struct sim_site_cfg cfg;
    struct cfg *file;
    const char *path, *profile_dir;
    uint64_t seed;
    char *log, *trace_dir;
    struct sim_trace *traces;
    size_t ntraces;
    struct {
        const char *name;
        struct sim_profile p;
    } * profiles;
    size_t nprofiles;
    struct sim_bus *buses;
    size_t nbuses;
    struct sim_device **devices;
    char **names; /* of generated devices */
    size_t ndevices, nnames;
};

static const struct sim_trace *trace_of(struct sim_site *s, const char *name, struct err *e)
{
    for (size_t i = 0; i < s->ntraces; i++)
        if (strcmp(s->traces[i].name, name) == 0)
            return &s->traces[i];
    struct sim_trace *more = reallocarray(s->traces, s->ntraces + 1, sizeof(*more));
    if (more == NULL) {
        err_set(e, ST_MEMORY, "no memory for trace %s", name);
        return NULL;
    }
    s->traces = more;
    if (sim_trace_load(&more[s->ntraces], s->trace_dir, name, e) != ST_OK)
        return NULL;
    return &more[s->ntraces++];
}

/* Profiles are kept by pointer from devices: the array is allocated once, for all that can be. */
static const struct sim_profile *profile_of(struct sim_site *s, const char *name, struct err *e)
{
    for (size_t i = 0; i < s->nprofiles; i++)
        if (strcmp(s->profiles[i].name, name) == 0)
            return &s->profiles[i].p;
    struct sim_profile *p = &s->profiles[s->nprofiles].p;
    enum st st = sim_profile_load(p, name, s->profile_dir, s->path, e);
    if (st != ST_OK) {
        sim_profile_done(p);
        return NULL;
    }
    s->profiles[s->nprofiles++].name = name;
    return p;
}

/* The source of one configured point; series stay valid while the site lives. */
static bool fill_source(struct sim_site *s, const struct sim_point_cfg *c, uint64_t offset_rows,
                        struct sim_source *out)
{
    struct err e;
    *out = (struct sim_source){.formula = (enum sim_formula)c->formula,
                               .value = c->value,
                               .from = c->from,
                               .to = c->to,
                               .step = c->step,
                               .amplitude = c->amplitude,
                               .period = c->period,
                               .rescale = c->scale,
                               .row = (uint64_t)c->offset_rows + offset_rows,
                               .text = c->text};
    if (c->trace == NULL)
        return true;
    if (c->series == NULL) {
        cfg_complain(s->file, c, "%s: a trace needs a series", c->id);
        return false;
    }
    const struct sim_trace *t = trace_of(s, c->trace, &e);
    if (t == NULL) {
        cfg_complain(s->file, &c->trace, "%s", e.text);
        return false;
    }
    out->formula = SIM_REPLAY;
    out->series = sim_trace_find(t, c->series);
    if (out->series == NULL)
        cfg_complain(s->file, &c->series, "trace %s has no series %s", c->trace, c->series);
    return out->series != NULL;
}

static void fill_points(struct sim_site *s, struct sim_device *d, const struct cfg_items *items,
                        uint64_t offset_rows)
{
    const struct sim_point_cfg *c = items->v;
    for (size_t k = 0; k < items->n; k++) {
        size_t i = 0;
        while (i < d->n && strcmp(d->points[i].is->name, c[k].id) != 0)
            i++;
        if (i == d->n)
            cfg_complain(s->file, &c[k], "%s: its profile has no point %s", d->id, c[k].id);
        else
            (void)fill_source(s, &c[k], offset_rows, &d->points[i].source); /* has complained */
    }
}

static bool parse_at(const char *at, struct sim_fault_rule *r)
{
    int end = 0;
    if (sscanf(at, "every %" SCNu64 "%n", &r->every, &end) == 1)
        return at[end] == '\0' && r->every > 0;
    if (sscanf(at, "%" SCNu64 "-%" SCNu64 "%n", &r->first, &r->last, &end) == 2)
        return at[end] == '\0' && r->first <= r->last;
    r->last = 0;
    if (sscanf(at, "%" SCNu64 "%n", &r->first, &end) != 1 || at[end] != '\0')
        return false;
    r->last = r->first;
    return true;
}

static enum st fill_rules(struct sim_site *s, struct sim_device *d, const struct cfg_items *items,
                          bool tcp)
{
    const struct sim_rule_cfg *c = items->v;
    d->rules = calloc(items->n + 1, sizeof(*d->rules));
    if (d->rules == NULL)
        return ST_MEMORY;
    for (size_t i = 0; i < items->n; i++) {
        struct sim_fault_rule *r = &d->rules[d->nrules++];
        r->fault = (enum sim_fault)c[i].fault;
        if (!parse_at(c[i].at, r))
            cfg_complain(s->file, &c[i].at, "\"%s\": write 5, 5-9 or \"every 10\"", c[i].at);
        if (!sim_fault_fits(r->fault, tcp))
            cfg_complain(s->file, &c[i].fault, "this fault is not possible on a %s bus",
                         tcp ? "modbus-tcp" : "modbus-rtu");
    }
    return ST_OK;
}

static enum st attach(struct sim_bus *b, struct sim_device *d)
{
    struct sim_device **more = reallocarray(b->devices, b->n + 1, sizeof(*more));
    if (more == NULL)
        return ST_MEMORY;
    b->devices = more;
    more[b->n++] = d;
    return ST_OK;
}

/* One device, configured or generated; `at` is where complaints point. */
static enum st add_device(struct sim_site *s, const struct sim_device_cfg *c, const char *id,
                          struct sim_bus *b, uint64_t offset_rows, const void *at, struct err *e)
{
    static const struct sim_profile plain = {.most = {0, 2000, 2000, 125, 125}, .joined = true};
    struct err why = {.text = "it needs a profile, or words"};
    const struct sim_profile *p = c->words != NULL     ? &plain
                                  : c->profile != NULL ? profile_of(s, c->profile, &why)
                                                       : NULL;
    if (p == NULL) {
        cfg_complain(s->file, at, "%s", why.text);
        return ST_OK;
    }
    struct sim_device *d = calloc(1, sizeof(*d));
    struct sim_point *points = calloc(p->n + 1, sizeof(*points));
    if (d == NULL || points == NULL) {
        free(d);
        free(points);
        return err_set(e, ST_MEMORY, "no memory for device %s", id);
    }
    s->devices[s->ndevices++] = d;
    *d = (struct sim_device){.id = id,
                             .unit = (uint8_t)c->unit,
                             .profile = p,
                             .points = points,
                             .n = p->n,
                             .late_ms = c->late_ms,
                             .baud = c->baud,
                             .parity = c->parity};
    if (c->settings && !p->has_setup)
        cfg_complain(s->file, at, "the profile %s has no setup", c->profile);
    if (c->settings) {
        const struct sim_values v = {c->unit, p->baud, p->parity};
        d->settings = (struct sim_settings){.setup = &p->setup, .now = v, .written = v, .saved = v};
    }
    for (size_t i = 0; i < p->n; i++) {
        points[i].is = &p->points[i];
        points[i].source.period = 1;
    }
    fill_points(s, d, &c->points, offset_rows);
    if (fill_rules(s, d, &c->faults, b->tcp) != ST_OK || attach(b, d) != ST_OK)
        return err_set(e, ST_MEMORY, "no memory for device %s", id);
    const char *text;
    if (cfg_complaints(s->file, &text) > 0)
        return ST_OK; /* sources may be missing: do not start it */
    if (sim_device_open(d, c->counter, s->seed, &why) != ST_OK ||
        (c->words != NULL && sim_site_words(s, d, c->words, &why) != ST_OK))
        cfg_complain(s->file, at, "%s", why.text);
    return ST_OK;
}

enum st sim_site_words(struct sim_site *s, struct sim_device *d, const char *file, struct err *e)
{
    char *path = sim_path_beside(s->path, file);
    if (path == NULL)
        return err_set(e, ST_MEMORY, "no memory for %s", file);
    enum st st = sim_words_load(d, path, e);
    free(path);
    return st;
}

static enum st add_buses(struct sim_site *s, struct err *e)
{
    const struct sim_bus_cfg *c = s->cfg.buses.v;
    for (size_t i = 0; i < s->cfg.buses.n; i++) {
        struct sim_bus *b = &s->buses[s->nbuses++];
        *b = (struct sim_bus){.id = c[i].id,
                              .tcp = c[i].type == SIM_BUS_TCP,
                              .listen = c[i].listen,
                              .baud = c[i].baud};
        if (c[i].link != NULL && (b->link = sim_path_beside(s->path, c[i].link)) == NULL)
            return err_set(e, ST_MEMORY, "no memory for bus %s", b->id);
    }
    return ST_OK;
}

static enum st add_configured(struct sim_site *s, struct err *e)
{
    const struct sim_device_cfg *c = s->cfg.devices.v;
    for (size_t i = 0; i < s->cfg.devices.n; i++) {
        size_t b = 0;
        while (b < s->nbuses && strcmp(s->buses[b].id, c[i].bus) != 0)
            b++;
        if (b == s->nbuses) {
            cfg_complain(s->file, &c[i].bus, "%s: there is no bus %s", c[i].id, c[i].bus);
            continue;
        }
        for (size_t k = 0; k < s->buses[b].n; k++)
            if (s->buses[b].devices[k]->unit == c[i].unit && !c[i].settings)
                cfg_complain(s->file, &c[i].unit, "%s: unit %u is taken on bus %s", c[i].id,
                             (unsigned)c[i].unit, c[i].bus);
        enum st st = add_device(s, &c[i], c[i].id, &s->buses[b], 0, &c[i].profile, e);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

static enum st add_generated(struct sim_site *s, struct err *e)
{
    const struct sim_generate_cfg *g = &s->cfg.generate;
    const struct sim_device_cfg c = {.unit = 1,
                                     .late_ms = 2000,
                                     .profile = g->profile,
                                     .counter = g->counter,
                                     .points = g->points};
    if (g->count > 0 && g->profile == NULL) {
        cfg_complain(s->file, &g->count, "generate needs a profile");
        return ST_OK;
    }
    for (int64_t i = 0; i < g->count; i++) {
        char *id = NULL;
        if (asprintf(&id, "%s-%02" PRId64, g->prefix, i + 1) < 0)
            return err_set(e, ST_MEMORY, "no memory for generated devices");
        s->names[s->nnames++] = id;
        struct sim_bus *b = &s->buses[s->nbuses++];
        *b = (struct sim_bus){.id = id, .tcp = true, .listen = "127.0.0.1:0"};
        enum st st = add_device(s, &c, id, b, (uint64_t)(i * g->offset_rows_step), &g->profile, e);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

static enum st fill(struct sim_site *s, struct err *e)
{
    struct sim_site_cfg *c = &s->cfg;
    size_t n = c->devices.n + (size_t)c->generate.count;
    if (n > DEVICES_MAX)
        return err_set(e, ST_FULL, "%zu devices; at most %d", n, DEVICES_MAX);
    s->profiles = calloc(n + 1, sizeof(*s->profiles));
    s->buses = calloc(c->buses.n + (size_t)c->generate.count + 1, sizeof(*s->buses));
    s->devices = calloc(n + 1, sizeof(*s->devices));
    s->names = calloc((size_t)c->generate.count + 1, sizeof(*s->names));
    s->trace_dir = sim_path_beside(s->path, c->traces.dir);
    s->log = c->log == NULL ? NULL : sim_path_beside(s->path, c->log);
    if (s->profiles == NULL || s->buses == NULL || s->devices == NULL || s->names == NULL ||
        s->trace_dir == NULL || (c->log != NULL && s->log == NULL))
        return err_set(e, ST_MEMORY, "no memory for %zu devices", n);
    enum st st = add_buses(s, e);
    if (st == ST_OK)
        st = add_configured(s, e);
    if (st == ST_OK)
        st = add_generated(s, e);
    return st;
}

enum st sim_site_open(struct sim_site **out, const char *path, const char *profile_dir,
                      uint64_t seed, struct err *e)
{
    const char *text = "";
    struct sim_site *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return err_set(e, ST_MEMORY, "no memory for %s", path);
    s->path = path;
    s->profile_dir = profile_dir;
    s->seed = seed;
    enum st st = cfg_load_struct(&s->file, path, &sim_site_table, &s->cfg, e);
    if (st == ST_OK)
        st = fill(s, e);
    else if (s->file == NULL)
        goto out;
    if (s->file != NULL && cfg_complaints(s->file, &text) > 0) {
        fputs(text, stderr);
        st = err_set(e, ST_BAD, "%s cannot be played", path);
    }
out:
    if (st != ST_OK) {
        sim_site_close(s);
        s = NULL;
    }
    *out = s;
    return st;
}

void sim_site_close(struct sim_site *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->ndevices; i++) {
        sim_device_close(s->devices[i]);
        free(s->devices[i]->points);
        free(s->devices[i]->rules);
        free(s->devices[i]);
    }
    for (size_t i = 0; i < s->nbuses; i++) {
        free(s->buses[i].devices);
        free(s->buses[i].link);
    }
    for (size_t i = 0; i < s->nnames; i++)
        free(s->names[i]);
    for (size_t i = 0; i < s->nprofiles; i++)
        sim_profile_done(&s->profiles[i].p);
    for (size_t i = 0; i < s->ntraces; i++)
        sim_trace_done(&s->traces[i]);
    free(s->devices);
    free(s->buses);
    free(s->names);
    free(s->profiles);
    free(s->traces);
    free(s->trace_dir);
    free(s->log);
    cfg_free(s->file);
    free(s);
}

const char *sim_site_log(const struct sim_site *s)
{
    return s->log;
}

struct sim_bus *sim_site_buses(struct sim_site *s, size_t *n)
{
    *n = s->nbuses;
    return s->buses;
}

struct sim_device *sim_site_device(struct sim_site *s, const char *id)
{
    for (size_t i = 0; i < s->ndevices; i++)
        if (strcmp(s->devices[i]->id, id) == 0)
            return s->devices[i];
    return NULL;
}

const struct sim_bus *sim_site_bus_of(struct sim_site *s, const struct sim_device *d)
{
    for (size_t i = 0; i < s->nbuses; i++)
        for (size_t k = 0; k < s->buses[i].n; k++)
            if (s->buses[i].devices[k] == d)
                return &s->buses[i];
    return NULL;
}
