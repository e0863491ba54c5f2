/* Profiles: a model's register map, one YAML file each; a file may extend another. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/node_int.h"
#include "gateway/collect/setup_int.h"
#include "gateway/collect/sunspec_int.h"

/* One file, before it is merged with what it extends. */
struct profile_cfg {
    char *model, *what, *source, *extends;
    struct cfg_items points, limits, forbidden;
    int64_t max_registers, max_bits, pause_ms, turnaround_ms, instance;
    bool verified, even_addresses, joined, split;
    struct {
        int64_t baud, stop_bits, data_bits, unit;
        int parity;
    } serial;
    struct collect_setup setup;
    struct collect_node_at node;
};

#define POINT(k, m) .key = k, .offset = offsetof(struct collect_point, m)
static const struct cfg_word identity_words[] = {{"serial", COLLECT_SERIAL}, {NULL, 0}};
static const struct cfg_field point_fields[] = {
    {POINT("name", name), .kind = CFG_ID, .required = true, .help = "the series is device/name"},
    {POINT("quantity", quantity_key), .kind = CFG_STRING,
     .help = "what it measures; a text needs none, nor does a status"},
    {POINT("function", function), .kind = CFG_INT, .min = 1, .max = 4,
     .help = "1 coils, 2 discrete inputs, 3 holding registers, 4 input registers"},
    {POINT("address", address), .kind = CFG_INT, .min = 0, .max = 65535,
     .help = "from 0, as on the wire"},
    {POINT("type", type), .kind = CFG_WORD, .words = collect_type_words,
     .help = "type of the registers"},
    {POINT("models", models), .kind = CFG_INTS,
     .help = "instead of address and type: numbers of the SunSpec models that have it"},
    {POINT("register", reg), .kind = CFG_STRING, .help = "its name in these models"},
    {POINT("block", block), .kind = CFG_INT, .dflt = "1", .min = 1, .max = 100,
     .help = "of a model that repeats"},
    {POINT("order", order), .kind = CFG_WORD, .dflt = "ABCD", .words = collect_order_words,
     .help = "order of the bytes on the wire; A is the highest"},
    {POINT("scale", scale), .kind = CFG_DECIMAL, .dflt = "1",
     .help = "value = raw x scale + offset"},
    {POINT("offset", offset), .kind = CFG_DECIMAL, .dflt = "0", .help = "see scale"},
    {POINT("valid", valid), .kind = CFG_RANGE,
     .help = "[min, max]: narrower than the quantity's limits"},
    {POINT("no_value", no_value), .kind = CFG_INTS,
     .help = "raw values that stand for no value, four at most"},
    {POINT("stuck", stuck_ms), .kind = CFG_TIME, .min = 60e3, .max = 366 * 86400e3,
     .help = "a sensor that says the same so long is stuck; absent: as its quantity says"},
    {POINT("max_rate", max_rate), .kind = CFG_DECIMAL,
     .help = "most that a counter grows in an hour; absent: as its quantity says"},
    {POINT("rollover", rollover), .kind = CFG_DECIMAL,
     .help = "value at which a counter begins again at 0; absent: as its type says"},
    {POINT("count", count), .kind = CFG_INT, .min = 1, .max = COLLECT_TEXT_REGISTERS,
     .help = "registers of a string"},
    {POINT("identity", identity), .kind = CFG_WORD, .words = identity_words,
     .help = "serial: the device's serial number, which is watched and is no reading"},
    {POINT("states", states), .kind = CFG_LIST, .sub = &collect_state_table,
     .help = "a status: what its values mean; a change is told"},
    {POINT("bits", bits), .kind = CFG_LIST, .sub = &collect_bit_table,
     .help = "a status: what its bits mean; a change is told"},
    {.key = NULL}};
static const struct cfg_table point_table = {sizeof(struct collect_point), point_fields};

/* A limit of one function where it differs from the others. */
struct limit_cfg {
    int64_t function, max;
};
#define LIMIT(k, m) .key = k, .offset = offsetof(struct limit_cfg, m)
static const struct cfg_field limit_fields[] = {
    {LIMIT("function", function), .kind = CFG_INT, .required = true, .min = 1, .max = 4,
     .help = "Modbus function"},
    {LIMIT("max", max), .kind = CFG_INT, .required = true, .min = 1, .max = COLLECT_BITS_MAX,
     .help = "registers or bits of one request"},
    {.key = NULL}};
static const struct cfg_table limit_table = {sizeof(struct limit_cfg), limit_fields};

#define FORBIDDEN(k, m) .key = k, .offset = offsetof(struct collect_forbidden, m)
static const struct cfg_field forbidden_fields[] = {
    {FORBIDDEN("function", function), .kind = CFG_INT, .required = true, .min = 1, .max = 4,
     .help = "Modbus function"},
    {FORBIDDEN("from", from), .kind = CFG_INT, .required = true, .min = 0, .max = 65535,
     .help = "first address"},
    {FORBIDDEN("to", to), .kind = CFG_INT, .required = true, .min = 0, .max = 65535,
     .help = "last address"},
    {.key = NULL}};
static const struct cfg_table forbidden_table = {sizeof(struct collect_forbidden),
                                                 forbidden_fields};

#define FIELD(k, m) .key = k, .offset = offsetof(struct profile_cfg, m)
#define SERIAL(k, m)                                                                               \
    .key = k,                                                                                      \
    .offset = offsetof(struct profile_cfg, serial.m) - offsetof(struct profile_cfg, serial)
static const struct cfg_field serial_fields[] = {
    {SERIAL("baud", baud), .kind = CFG_INT, .min = 300, .max = 4000000, .help = "as delivered"},
    {SERIAL("parity", parity), .kind = CFG_WORD, .dflt = "none", .words = collect_parity_words,
     .help = "as delivered"},
    {SERIAL("stop_bits", stop_bits), .kind = CFG_INT, .dflt = "1", .min = 1, .max = 2,
     .help = "as delivered"},
    {SERIAL("data_bits", data_bits), .kind = CFG_INT, .dflt = "8", .min = 7, .max = 8,
     .help = "as delivered"},
    {SERIAL("unit", unit), .kind = CFG_INT, .min = 1, .max = 247,
     .help = "its number as delivered; absent: the document does not say"},
    {.key = NULL}};
static const struct cfg_table serial_table = {sizeof(((struct profile_cfg *)0)->serial),
                                              serial_fields};
static const struct cfg_field fields[] = {
    {FIELD("model", model), .kind = CFG_STRING, .help = "maker and model"},
    {FIELD("what", what), .kind = CFG_STRING, .help = "what kind of device it is"},
    {FIELD("source", source), .kind = CFG_STRING,
     .help = "where the facts are from: document, revision, page"},
    {FIELD("verified", verified), .kind = CFG_BOOL,
     .help = "whether a second source, or the maker's own document, confirms every point"},
    {FIELD("extends", extends), .kind = CFG_STRING, .help = "the profile that this one changes"},
    {FIELD("points", points), .kind = CFG_LIST, .sub = &point_table, .help = "what can be read"},
    {FIELD("max_registers", max_registers), .kind = CFG_INT, .min = 1, .max = COLLECT_REGISTERS_MAX,
     .help = "of one request with function 3 or 4; absent: what Modbus allows"},
    {FIELD("max_bits", max_bits), .kind = CFG_INT, .min = 1, .max = COLLECT_BITS_MAX,
     .help = "of one request with function 1 or 2; absent: what Modbus allows"},
    {FIELD("limits", limits), .kind = CFG_LIST, .sub = &limit_table,
     .help = "largest request of a function that differs"},
    {FIELD("forbidden", forbidden), .kind = CFG_LIST, .sub = &forbidden_table,
     .help = "ranges that no request may touch"},
    {FIELD("even_addresses", even_addresses), .kind = CFG_BOOL,
     .help = "an odd start or count is refused"},
    {FIELD("pause", pause_ms), .kind = CFG_TIME, .min = 0, .max = 2000,
     .help = "rest between two requests"},
    {FIELD("turnaround", turnaround_ms), .kind = CFG_TIME, .min = 0, .max = 2000,
     .help = "from a request to its answer, for the plan; absent: 10 ms"},
    {FIELD("joined", joined), .kind = CFG_BOOL, .dflt = "true",
     .help = "false: each point in a request of its own"},
    {FIELD("split", split), .kind = CFG_BOOL, .help = "a value may be read in several requests"},
    {FIELD("instance", instance), .kind = CFG_INT, .min = 1, .max = COLLECT_CHAIN_MAX,
     .help = "which of several such SunSpec models of a device; absent: the first"},
    {FIELD("serial", serial), .kind = CFG_STRUCT, .sub = &serial_table,
     .help = "the line as delivered: what `fieldpost scan` tries first"},
    {FIELD("setup", setup), .kind = CFG_STRUCT, .sub = &collect_setup_table,
     .help = "how it is given its address, speed and parity"},
    {FIELD("node", node), .kind = CFG_STRUCT, .sub = &collect_node_at_table,
     .help = "where a node of ours has its values: written by fieldpost alone"},
    {.key = NULL}};
static const struct cfg_table table = {sizeof(struct profile_cfg), fields};

/* ---- where it is ---------------------------------------------------------------------------- */

bool collect_profile_is_path(const char *name)
{
    size_t n = strlen(name);
    return strchr(name, '/') || (n > 5 && strcmp(name + n - 5, ".yaml") == 0);
}

char *collect_profile_path(const char *name, const char *dir, const char *beside)
{
    char *path = NULL;
    const char *slash = strrchr(beside, '/');
    int n;
    if (!collect_profile_is_path(name))
        n = asprintf(&path, "%s/%s.yaml", dir, name);
    else if (name[0] == '/' || !slash)
        n = asprintf(&path, "%s", name);
    else
        n = asprintf(&path, "%.*s/%s", (int)(slash - beside), beside, name);
    return n < 0 ? NULL : path;
}

/* ---- checks --------------------------------------------------------------------------------- */

void collect_complain_quantity(struct cfg *c, const struct collect_point *p)
{
    const char **known = calloc(quantity_count + 1, sizeof *known);
    const char *near = NULL;
    for (size_t i = 0; known && i < quantity_count; i++)
        known[i] = quantity_table[i].key;
    if (known)
        near = cfg_nearest(p->quantity_key, known, quantity_count);
    cfg_complain(c, &p->quantity_key, "unknown quantity \"%s\"%s%s%s", p->quantity_key,
                 near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    free(known);
}

/* Whether a marker can stand in `bytes` bytes, signed or not. */
static bool marker_fits(int64_t v, unsigned bytes)
{
    unsigned bits = 8 * bytes;
    return bits >= 64 || (v >= -(INT64_C(1) << (bits - 1)) && v < INT64_C(1) << bits);
}

static void check_values(struct cfg *c, const struct collect_point *p)
{
    const struct collect_type_info *t = &collect_types[p->type];
    bool number = t->regs > 0;
    if (!number && (cfg_given(c, &p->scale) || cfg_given(c, &p->offset) ||
                    cfg_given(c, &p->valid) || cfg_given(c, &p->no_value)))
        cfg_complain(c, p, "%s: a %s has no scale, offset, valid or no_value", p->name,
                     collect_type_words[p->type].word);
    if (number && num_double(p->scale) == 0)
        cfg_complain(c, &p->scale, "%s: a scale of 0 would make every value 0", p->name);
    if (p->no_value.n > COLLECT_MARKERS_MAX)
        cfg_complain(c, &p->no_value, "%s: at most %d no_value markers", p->name,
                     COLLECT_MARKERS_MAX);
    for (size_t i = 0; number && i < p->no_value.n; i++)
        if (t->form != COLLECT_FLOAT && !marker_fits(p->no_value.v[i], 2U * t->regs))
            cfg_complain(c, &p->no_value, "%s: the no_value marker %lld does not fit a %s", p->name,
                         (long long)p->no_value.v[i], collect_type_words[p->type].word);
    if (p->order & COLLECT_ORDER_WIDE && t->regs != 4)
        cfg_complain(c, &p->order, "%s: an order of eight letters is for 64-bit types; write %s",
                     p->name, collect_order_words[p->order & 3].word);
}

static void check_point(struct cfg *c, const struct profile_cfg *in, struct collect_point *p)
{
    size_t before = cfg_complaints(c, NULL);
    collect_sunspec_check(c, p);
    if (cfg_complaints(c, NULL) > before) /* the rest would be told of what is not there */
        return;
    const struct collect_type_info *t = &collect_types[p->type];
    bool string = t->form == COLLECT_STRING;
    if ((t->form == COLLECT_BIT) != (p->function <= 2))
        cfg_complain(c, &p->type, "%s: functions 1 and 2 read type bit, 3 and 4 the other types",
                     p->name);
    if (string != (p->count > 0))
        cfg_complain(c, string ? (const void *)p : &p->count,
                     "%s: count is the number of registers of a string%s", p->name,
                     string ? ": it needs one" : "");
    if (p->address + collect_point_width(p) > 65536)
        cfg_complain(c, &p->address, "%s: ends beyond the last address, 65535", p->name);
    check_values(c, p);
    collect_state_check(c, p);
    p->quantity = p->quantity_key ? quantity_by_key(p->quantity_key) : NULL;
    if (p->quantity_key && string)
        cfg_complain(c, &p->quantity_key, "%s: a text has no quantity", p->name);
    else if (p->quantity_key && !p->quantity)
        collect_complain_quantity(c, p);
    else if (p->identity && (p->quantity_key || t->form == COLLECT_FLOAT || t->form == COLLECT_BIT))
        cfg_complain(c, &p->identity,
                     "%s: a serial number is a string, an integer or BCD without a quantity",
                     p->name);
    else if (!p->quantity_key && !string && !p->identity && !collect_point_is_status(p))
        cfg_complain(c, p, "%s: \"quantity\" is missing: what it measures", p->name);
    if (!(p->quantity && p->quantity->counter) &&
        (p->max_rate.kind != NUM_NONE || p->rollover.kind != NUM_NONE))
        cfg_complain(c, p, "%s: max_rate and rollover are of counters", p->name);
    if ((p->max_rate.kind != NUM_NONE && num_double(p->max_rate) <= 0) ||
        (p->rollover.kind != NUM_NONE && num_double(p->rollover) <= 0))
        cfg_complain(c, p, "%s: max_rate and rollover are above 0", p->name);
    const struct collect_point *all = in->points.v;
    for (const struct collect_point *other = all; other < p; other++)
        if (strcmp(other->name, p->name) == 0)
            cfg_complain(c, &p->name, "the point %s stands twice in this file", p->name);
}

/* What people are shown fits a line or two. */
static void check_texts(struct cfg *c, const struct profile_cfg *in)
{
    const struct {
        char *const *text;
        const char *key;
        size_t most;
    } texts[] = {{&in->model, "model", COLLECT_MODEL_MAX},
                 {&in->what, "what", COLLECT_MODEL_MAX},
                 {&in->source, "source", COLLECT_SOURCE_MAX}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (*texts[i].text && strlen(*texts[i].text) > texts[i].most)
            cfg_complain(c, texts[i].text, "%s: at most %zu bytes", texts[i].key, texts[i].most);
    if (in->verified && !in->source)
        cfg_complain(c, &in->verified, "verified: needs \"source\": by what it was verified");
}

/* ---- loading -------------------------------------------------------------------------------- */

/* The file's points behind those there are; a name that is there already is replaced. */
static enum st merge(struct collect_profile *p, const struct profile_cfg *in)
{
    const struct collect_point *own = in->points.v;
    struct collect_point *all = reallocarray(p->points, p->n + in->points.n + 1, sizeof *all);
    if (!all)
        return ST_MEMORY;
    p->points = all;
    for (size_t i = 0; i < in->points.n; i++) {
        size_t at = 0;
        while (at < p->n && strcmp(all[at].name, own[i].name) != 0)
            at++;
        all[at] = own[i];
        p->n += at == p->n;
        p->sunspec |= own[i].models.n > 0;
    }
    return ST_OK;
}

static void take_head(struct collect_profile *p, const struct cfg *c, const struct profile_cfg *in)
{
    const struct limit_cfg *limits = in->limits.v;
    if (in->model)
        p->model = in->model;
    if (in->what)
        p->what = in->what;
    if (in->source)
        p->source = in->source;
    p->verified = in->verified; /* whoever changes a verified map has to verify the change */
    if (cfg_given(c, &in->max_bits))
        p->most[1] = p->most[2] = (unsigned)in->max_bits;
    if (cfg_given(c, &in->max_registers))
        p->most[3] = p->most[4] = (unsigned)in->max_registers;
    for (size_t i = 0; i < in->limits.n; i++)
        p->most[limits[i].function] = (unsigned)limits[i].max;
    if (cfg_given(c, &in->pause_ms))
        p->pause_ms = in->pause_ms;
    if (cfg_given(c, &in->turnaround_ms))
        p->turnaround_ms = in->turnaround_ms;
    if (cfg_given(c, &in->even_addresses))
        p->even_addresses = in->even_addresses;
    if (cfg_given(c, &in->joined))
        p->joined = in->joined;
    if (cfg_given(c, &in->split))
        p->split = in->split;
    if (cfg_given(c, &in->instance))
        p->instance = in->instance;
    if (in->serial.data_bits == 8 && in->serial.baud > 0)
        p->serial = (struct collect_serial){.baud = in->serial.baud,
                                            .parity = in->serial.parity,
                                            .stop_bits = in->serial.stop_bits};
    if (in->serial.unit > 0)
        p->unit = (int)in->serial.unit;
    if (in->node.entry > 0)
        p->node = in->node;
}

/* A file's `setup` takes the place of that which it extends. */
static enum st take_setup(struct collect_profile *p, const struct profile_cfg *in)
{
    if (!p->setup)
        p->setup = malloc(sizeof *p->setup);
    if (!p->setup)
        return ST_MEMORY;
    *p->setup = in->setup;
    return ST_OK;
}

/* Ranges of the extended profile stay forbidden. */
static enum st take_forbidden(struct collect_profile *p, const struct profile_cfg *in)
{
    size_t n = in->forbidden.n;
    struct collect_forbidden *all = reallocarray(p->forbidden, p->nforbidden + n + 1, sizeof *all);
    if (!all)
        return ST_MEMORY;
    p->forbidden = all;
    if (n > 0)
        memcpy(all + p->nforbidden, in->forbidden.v, n * sizeof *all);
    p->nforbidden += n;
    return ST_OK;
}

static void check_limits(struct cfg *c, const struct profile_cfg *in)
{
    const struct limit_cfg *limits = in->limits.v;
    const struct collect_forbidden *forbidden = in->forbidden.v;
    for (size_t i = 0; i < in->limits.n; i++) {
        if (limits[i].function > 2 && limits[i].max > COLLECT_REGISTERS_MAX)
            cfg_complain(c, &limits[i].max, "function %lld brings at most %d registers",
                         (long long)limits[i].function, COLLECT_REGISTERS_MAX);
        for (size_t k = 0; k < i; k++)
            if (limits[k].function == limits[i].function)
                cfg_complain(c, &limits[i].function, "function %lld has a limit already",
                             (long long)limits[i].function);
    }
    for (size_t i = 0; i < in->forbidden.n; i++)
        if (forbidden[i].to < forbidden[i].from)
            cfg_complain(c, &forbidden[i].to, "the last address, %lld, lies before the first, %lld",
                         (long long)forbidden[i].to, (long long)forbidden[i].from);
}

static enum st load(struct collect_profile *p, const char *path, const char *dir, struct buf *why)
{
    struct profile_cfg in = {0};
    struct cfg *c = NULL;
    char *parent = NULL;
    const char *text;
    if (p->nfiles == COLLECT_EXTENDS_MAX)
        return buf_printf(why, "%s:1:1: profiles extend each other more than %d deep\n", path,
                          COLLECT_EXTENDS_MAX) == ST_OK
                   ? ST_BAD
                   : ST_MEMORY;
    enum st st = cfg_load_struct(&c, path, &table, &in, NULL);
    if (!c)
        return st;
    p->files[p->nfiles++] = c;
    struct collect_point *own = in.points.v;
    check_texts(c, &in);
    for (size_t i = 0; i < in.points.n; i++)
        check_point(c, &in, &own[i]);
    check_limits(c, &in);
    bool setup = collect_setup_check(c, &in.setup);
    if (cfg_complaints(c, &text) > 0) {
        st = st == ST_OK ? ST_BAD : st;
        return buf_printf(why, "%s", text) == ST_OK ? st : ST_MEMORY;
    }
    if (in.extends) {
        parent = collect_profile_path(in.extends, dir, path);
        st = parent ? load(p, parent, dir, why) : ST_MEMORY;
        st = st == ST_NOT_FOUND ? ST_BAD : st; /* this file is there; what it names is not */
        free(parent);
    }
    take_head(p, c, &in);
    if (st == ST_OK)
        st = take_forbidden(p, &in);
    if (st == ST_OK && setup)
        st = take_setup(p, &in);
    return st == ST_OK ? merge(p, &in) : st;
}

/* Whether one request can hold the point; split: each of its registers. ST_BAD with the reason. */
static enum st check_reach(const struct collect_profile *p, size_t i, struct buf *why)
{
    uint16_t at;
    const struct collect_request r = collect_plan_single(p, i, &at);
    bool in_parts = p->split && collect_types[p->points[i].type].form != COLLECT_STRING;
    unsigned least = !in_parts ? r.count : p->even_addresses ? 2 : 1;
    enum st st = ST_OK;
    if (least > p->most[r.function])
        st = buf_printf(why,
                        "%s: the point %s needs a request of %u, function %d takes at most %u\n",
                        p->path, p->points[i].name, least, r.function, p->most[r.function]);
    else if (collect_plan_forbids(p, &r))
        st = buf_printf(why, "%s: the point %s needs addresses that are forbidden\n", p->path,
                        p->points[i].name);
    else
        return ST_OK;
    return st == ST_OK ? ST_BAD : ST_MEMORY;
}

/* A point that no request can hold, or limits that no value meets, show after the merge only. */
static enum st check_whole(const struct collect_profile *p, struct buf *why)
{
    bool bad = false;
    for (size_t i = 0; i < p->n; i++) {
        const struct collect_point *it = &p->points[i];
        const struct collect_decoder *d = &it->decoder;
        enum st st = it->models.n > 0 ? ST_OK : check_reach(p, i, why);
        if (st == ST_MEMORY)
            return st;
        bad |= st != ST_OK;
        if (d->min.kind != NUM_NONE && d->max.kind != NUM_NONE && num_cmp(d->min, d->max) > 0) {
            bad = true;
            if (buf_printf(why, "%s: valid of the point %s lies outside the limits of %s\n",
                           p->path, it->name, it->quantity->key) != ST_OK)
                return ST_MEMORY;
        }
    }
    if (p->n == 0 || p->n > STORE_POLL_MAX) {
        bad = true;
        if (buf_printf(why, "%s: a profile has 1 to %d points\n", p->path, STORE_POLL_MAX) != ST_OK)
            return ST_MEMORY;
    }
    if (p->split && !p->joined) {
        bad = true;
        if (buf_printf(why, "%s: split: what refuses joined reads takes whole points only\n",
                       p->path) != ST_OK)
            return ST_MEMORY;
    }
    return bad ? ST_BAD : ST_OK;
}

/* Numbers what each device keeps something of. */
static void number(struct collect_profile *p)
{
    for (size_t i = 0; i < p->n; i++) {
        struct collect_point *it = &p->points[i];
        bool rests = !it->quantity || (it->stuck_ms <= 0 && it->quantity->stuck_hours == 0);
        it->counter = it->quantity && it->quantity->counter ? ++p->ncounters : 0;
        it->rest = rests ? 0 : ++p->nrests;
    }
}

enum st collect_profile_load(struct collect_profile *p, const char *path, const char *dir,
                             struct buf *why)
{
    *p = (struct collect_profile){.joined = true,
                                  .path = strdup(path),
                                  .turnaround_ms = COLLECT_TURNAROUND_MS,
                                  .instance = 1,
                                  .most = {0, COLLECT_BITS_MAX, COLLECT_BITS_MAX,
                                           COLLECT_REGISTERS_MAX, COLLECT_REGISTERS_MAX}};
    if (!p->path)
        return ST_MEMORY;
    enum st st = load(p, path, dir, why);
    for (size_t i = 0; st == ST_OK && i < p->n; i++)
        collect_decoder_init(&p->points[i].decoder, &p->points[i]);
    if (st == ST_OK)
        st = check_whole(p, why);
    if (st == ST_OK)
        number(p);
    if (!p->model && st == ST_OK) {
        const char *slash = strrchr(p->path, '/');
        p->model = p->path + (slash ? slash + 1 - p->path : 0);
    }
    p->good = st == ST_OK;
    return st;
}

void collect_profile_done(struct collect_profile *p)
{
    for (size_t i = 0; i < p->nfiles; i++)
        cfg_free(p->files[i]);
    free(p->points);
    free(p->forbidden);
    free(p->sources);
    free(p->setup);
    free(p->path);
    *p = (struct collect_profile){0};
}
