#include "tests/sim/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct profile_cfg {
    char *model, *what, *source, *extends;
    struct cfg_items points, limits, forbidden;
    int64_t max_registers, max_bits, pause_ms, turnaround_ms;
    bool verified, even_addresses, joined, split;
    struct {
        int64_t baud, stop_bits, data_bits, unit;
        char *parity;
    } serial;
    struct sim_setup setup;
};

/* What the values mean is for people: read so that they are no unknown keys. */
struct state_cfg {
    int64_t number;
    char *name, *severity, *todo;
};
#define STATE(member) offsetof(struct state_cfg, member)
#define STATE_TEXTS                                                                                \
    {.key = "name", .kind = CFG_STRING, .offset = STATE(name)},                                    \
        {.key = "severity", .kind = CFG_STRING, .offset = STATE(severity)},                        \
    {                                                                                              \
        .key = "do", .kind = CFG_STRING, .offset = STATE(todo)                                     \
    }
static const struct cfg_field state_fields[] = {
    {.key = "value", .kind = CFG_INT, .offset = STATE(number)}, STATE_TEXTS, {0}};
static const struct cfg_field bit_fields[] = {
    {.key = "bit", .kind = CFG_INT, .offset = STATE(number)}, STATE_TEXTS, {0}};
static const struct cfg_table state_table = {sizeof(struct state_cfg), state_fields};
static const struct cfg_table bit_table = {sizeof(struct state_cfg), bit_fields};

#define POINT(member) offsetof(struct sim_profile_point, member)
static const struct cfg_field point_fields[] = {
    {.key = "name", .kind = CFG_ID, .offset = POINT(name), .required = true},
    {.key = "quantity", .kind = CFG_STRING, .offset = POINT(quantity)},
    {.key = "function",
     .kind = CFG_INT,
     .offset = POINT(function),
     .required = true,
     .min = 1,
     .max = 4},
    {.key = "address", .kind = CFG_INT, .offset = POINT(address), .required = true, .max = 65535},
    {.key = "count", .kind = CFG_INT, .offset = POINT(count), .dflt = "1", .min = 1, .max = 125},
    {.key = "type",
     .kind = CFG_WORD,
     .offset = POINT(type),
     .required = true,
     .words = sim_type_words},
    {.key = "order",
     .kind = CFG_WORD,
     .offset = POINT(order),
     .dflt = "ABCD",
     .words = sim_order_words},
    {.key = "scale", .kind = CFG_DECIMAL, .offset = POINT(scale), .dflt = "1"},
    {.key = "offset", .kind = CFG_DECIMAL, .offset = POINT(offset), .dflt = "0"},
    {.key = "valid", .kind = CFG_RANGE, .offset = POINT(valid)},
    {.key = "no_value", .kind = CFG_INTS, .offset = POINT(no_value)},
    {.key = "stuck", .kind = CFG_TIME, .offset = POINT(stuck_ms)},
    {.key = "max_rate", .kind = CFG_DECIMAL, .offset = POINT(max_rate)},
    {.key = "rollover", .kind = CFG_DECIMAL, .offset = POINT(rollover)},
    {.key = "identity", .kind = CFG_STRING, .offset = POINT(identity)},
    {.key = "states", .kind = CFG_LIST, .offset = POINT(states), .sub = &state_table},
    {.key = "bits", .kind = CFG_LIST, .offset = POINT(bits), .sub = &bit_table},
    {0}};
static const struct cfg_table point_table = {sizeof(struct sim_profile_point), point_fields};

struct limit_cfg {
    int64_t function, max;
};
static const struct cfg_field limit_fields[] = {{.key = "function",
                                                 .kind = CFG_INT,
                                                 .offset = offsetof(struct limit_cfg, function),
                                                 .required = true,
                                                 .min = 1,
                                                 .max = 4},
                                                {.key = "max",
                                                 .kind = CFG_INT,
                                                 .offset = offsetof(struct limit_cfg, max),
                                                 .required = true,
                                                 .min = 1,
                                                 .max = 2000},
                                                {0}};
static const struct cfg_table limit_table = {sizeof(struct limit_cfg), limit_fields};

#define FORBIDDEN(member) offsetof(struct sim_forbidden, member)
static const struct cfg_field forbidden_fields[] = {
    {.key = "function",
     .kind = CFG_INT,
     .offset = FORBIDDEN(function),
     .required = true,
     .min = 1,
     .max = 4},
    {.key = "from", .kind = CFG_INT, .offset = FORBIDDEN(from), .required = true, .max = 65535},
    {.key = "to", .kind = CFG_INT, .offset = FORBIDDEN(to), .required = true, .max = 65535},
    {0}};
static const struct cfg_table forbidden_table = {sizeof(struct sim_forbidden), forbidden_fields};

/* The line's own parameters are the master's business: read so that they are no unknown keys. */
#define FIELD(member) offsetof(struct profile_cfg, member)
#define SERIAL(member) (FIELD(serial.member) - FIELD(serial))
static const struct cfg_field serial_fields[] = {
    {.key = "baud", .kind = CFG_INT, .offset = SERIAL(baud)},
    {.key = "parity", .kind = CFG_STRING, .offset = SERIAL(parity)},
    {.key = "stop_bits", .kind = CFG_INT, .offset = SERIAL(stop_bits)},
    {.key = "data_bits", .kind = CFG_INT, .offset = SERIAL(data_bits)},
    {.key = "unit", .kind = CFG_INT, .offset = SERIAL(unit)},
    {0}};
static const struct cfg_table serial_table = {sizeof(((struct profile_cfg *)0)->serial),
                                              serial_fields};
static const struct cfg_field profile_fields[] = {
    {.key = "model", .kind = CFG_STRING, .offset = FIELD(model)},
    {.key = "what", .kind = CFG_STRING, .offset = FIELD(what)},
    {.key = "source", .kind = CFG_STRING, .offset = FIELD(source)},
    {.key = "verified", .kind = CFG_BOOL, .offset = FIELD(verified)},
    {.key = "extends", .kind = CFG_STRING, .offset = FIELD(extends)},
    {.key = "points", .kind = CFG_LIST, .offset = FIELD(points), .sub = &point_table},
    {.key = "max_registers", .kind = CFG_INT, .offset = FIELD(max_registers), .max = 125},
    {.key = "max_bits", .kind = CFG_INT, .offset = FIELD(max_bits), .max = 2000},
    {.key = "limits", .kind = CFG_LIST, .offset = FIELD(limits), .sub = &limit_table},
    {.key = "forbidden", .kind = CFG_LIST, .offset = FIELD(forbidden), .sub = &forbidden_table},
    {.key = "turnaround", .kind = CFG_TIME, .offset = FIELD(turnaround_ms)},
    {.key = "split", .kind = CFG_BOOL, .offset = FIELD(split)},
    {.key = "even_addresses", .kind = CFG_BOOL, .offset = FIELD(even_addresses)},
    {.key = "pause", .kind = CFG_TIME, .offset = FIELD(pause_ms)},
    {.key = "joined", .kind = CFG_BOOL, .offset = FIELD(joined), .dflt = "true"},
    {.key = "serial", .kind = CFG_STRUCT, .offset = FIELD(serial), .sub = &serial_table},
    {.key = "setup", .kind = CFG_STRUCT, .offset = FIELD(setup), .sub = &sim_setup_table},
    {0}};
static const struct cfg_table profile_table = {sizeof(struct profile_cfg), profile_fields};

char *sim_path_beside(const char *beside, const char *name)
{
    const char *slash = strrchr(beside, '/');
    char *path = NULL;
    if (name[0] == '/' || slash == NULL)
        return strdup(name);
    if (asprintf(&path, "%.*s/%s", (int)(slash - beside), beside, name) < 0)
        return NULL;
    return path;
}

static char *locate(const char *name, const char *dir, const char *beside)
{
    size_t n = strlen(name);
    char *path = NULL;
    if (strchr(name, '/') != NULL || (n > 5 && strcmp(name + n - 5, ".yaml") == 0))
        return sim_path_beside(beside, name);
    return asprintf(&path, "%s/%s.yaml", dir, name) < 0 ? NULL : path;
}

static enum st check_point(const struct sim_profile_point *p, const char *path, struct err *e)
{
    unsigned bytes = 2 * sim_regs((enum sim_type)p->type);
    if ((p->type == SIM_BIT) != (p->function <= 2))
        return err_set(e, ST_BAD, "%s: %s: functions 1 and 2 read bits, 3 and 4 registers", path,
                       p->name);
    if (p->order >= SIM_ABCDEFGH && bytes != 8)
        return err_set(e, ST_BAD, "%s: %s: an order of 8 letters needs a 64-bit type", path,
                       p->name);
    if (p->scale.i == 0)
        return err_set(e, ST_BAD, "%s: %s: scale is 0", path, p->name);
    return ST_OK;
}

/* Puts the file's points behind those there are; a name that is there already is replaced. */
static enum st merge(struct sim_profile *p, const struct profile_cfg *in, const char *path,
                     struct err *e)
{
    const struct sim_profile_point *own = in->points.v;
    struct sim_profile_point *all =
        reallocarray(p->points, p->n + in->points.n + 1, sizeof(*p->points));
    if (all == NULL)
        return err_set(e, ST_MEMORY, "no memory for %s", path);
    p->points = all;
    for (size_t i = 0; i < in->points.n; i++) {
        size_t at = 0;
        enum st st = check_point(&own[i], path, e);
        if (st != ST_OK)
            return st;
        while (at < p->n && strcmp(all[at].name, own[i].name) != 0)
            at++;
        all[at] = own[i];
        p->n += at == p->n;
    }
    return ST_OK;
}

/* Those of an extended profile hold where this file says nothing; its forbidden ranges stay. */
static enum st take_limits(struct sim_profile *p, const struct cfg *file,
                           const struct profile_cfg *in, const char *path, struct err *e)
{
    const struct limit_cfg *limits = in->limits.v;
    const struct sim_forbidden *forbidden = in->forbidden.v;
    if (cfg_given(file, &in->max_bits))
        p->most[1] = p->most[2] = (uint32_t)in->max_bits;
    if (cfg_given(file, &in->max_registers))
        p->most[3] = p->most[4] = (uint32_t)in->max_registers;
    for (size_t i = 0; i < in->limits.n; i++)
        p->most[limits[i].function] = (uint32_t)limits[i].max;
    for (size_t i = 0; i < in->forbidden.n; i++) {
        if (p->nforbidden == SIM_FORBIDDEN_MAX)
            return err_set(e, ST_BAD, "%s: more than %d forbidden ranges", path, SIM_FORBIDDEN_MAX);
        p->forbidden[p->nforbidden++] = forbidden[i];
    }
    return ST_OK;
}

static enum st load(struct sim_profile *p, const char *name, const char *dir, const char *beside,
                    struct err *e)
{
    struct profile_cfg in = {0};
    struct cfg *file = NULL;
    char *path = locate(name, dir, beside);
    enum st st;

    if (path == NULL)
        return err_set(e, ST_MEMORY, "no memory for profile %s", name);
    if (p->nfiles == SIM_EXTENDS_MAX) {
        st = err_set(e, ST_BAD, "%s: profiles extend each other more than %d deep", path,
                     SIM_EXTENDS_MAX);
        goto out;
    }
    st = cfg_load_struct(&file, path, &profile_table, &in, e);
    if (file == NULL)
        goto out;
    p->files[p->nfiles++] = file;
    if (st != ST_OK) {
        const char *text;
        cfg_complaints(file, &text);
        st = err_set(e, st, "%s", text);
        goto out;
    }
    if (in.extends != NULL && (st = load(p, in.extends, dir, path, e)) != ST_OK)
        goto out;
    st = take_limits(p, file, &in, path, e);
    if (st != ST_OK)
        goto out;
    if (cfg_given(file, &in.even_addresses))
        p->even_addresses = in.even_addresses;
    if (cfg_given(file, &in.joined))
        p->joined = in.joined;
    if (in.serial.baud > 0)
        p->baud = in.serial.baud;
    if (in.serial.parity != NULL)
        p->parity = in.serial.parity[0] - 'a' + 'A';
    if (sim_setup_given(file, &in.setup)) {
        p->setup = in.setup;
        p->has_setup = true;
    }
    st = merge(p, &in, path, e);
out:
    free(path);
    return st;
}

enum st sim_profile_load(struct sim_profile *p, const char *name, const char *dir,
                         const char *beside, struct err *e)
{
    memset(p, 0, sizeof(*p));
    p->joined = true;
    p->most[1] = p->most[2] = 2000;
    p->most[3] = p->most[4] = 125;
    enum st st = load(p, name, dir, beside, e);
    if (st == ST_OK && p->n == 0)
        return err_set(e, ST_BAD, "profile %s has no points", name);
    return st;
}

void sim_profile_done(struct sim_profile *p)
{
    free(p->points);
    for (size_t i = 0; i < p->nfiles; i++)
        cfg_free(p->files[i]);
    memset(p, 0, sizeof(*p));
}
