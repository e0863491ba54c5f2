/* Mappings: which value of a message is which point. A file like a profile, with the same words for
 * what it says of itself, and for what a value means; only where the value is differs. */
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/push_int.h"

struct mapped {
    struct collect_point p;
    struct collect_source s;
};
struct mapping_cfg {
    char *model, *what, *source, *time;
    struct cfg_items points;
    bool verified;
};

#define RAW_WORD(name, bytes, form) {#name, COLLECT_RAW_##name},
static const struct cfg_word raw_words[] = {COLLECT_RAWS(RAW_WORD){NULL, 0}};

#define POINT(k, m) .key = k, .offset = offsetof(struct mapped, p.m)
#define SOURCE(k, m) .key = k, .offset = offsetof(struct mapped, s.m)
static const struct cfg_field point_fields[] = {
    {POINT("name", name), .kind = CFG_ID, .required = true, .help = "the series is device/name"},
    {POINT("quantity", quantity_key), .kind = CFG_STRING, .required = true,
     .help = "what it measures"},
    {SOURCE("from", from), .kind = CFG_STRING,
     .help = "JSON pointer such as /object/level, or the end of a SenML name (the point's name)"},
    {SOURCE("port", port), .kind = CFG_INT, .min = 1, .max = 223, .help = "FPort of the payload"},
    {SOURCE("at", at), .kind = CFG_INT, .min = 0, .max = COLLECT_UPLINK_MAX - 1,
     .help = "first byte in the payload"},
    {SOURCE("bit", bit), .kind = CFG_INT, .min = 0, .max = 7, .help = "of the byte; 0: the lowest"},
    {SOURCE("type", raw), .kind = CFG_WORD, .dflt = "u8", .words = raw_words,
     .help = "type in the payload"},
    {SOURCE("little", little), .kind = CFG_BOOL, .dflt = "false",
     .help = "the lowest byte comes first in the payload"},
    {POINT("scale", scale), .kind = CFG_DECIMAL, .dflt = "1",
     .help = "value = number x scale + offset"},
    {POINT("offset", offset), .kind = CFG_DECIMAL, .dflt = "0", .help = "see scale"},
    {POINT("valid", valid), .kind = CFG_RANGE,
     .help = "[min, max]: narrower than the quantity's limits"},
    {POINT("no_value", no_value), .kind = CFG_INTS,
     .help = "numbers that stand for no value, four at most"},
    {.key = NULL}};
static const struct cfg_table point_table = {sizeof(struct mapped), point_fields};

#define FIELD(k, m) .key = k, .offset = offsetof(struct mapping_cfg, m)
static const struct cfg_field fields[] = {
    {FIELD("model", model), .kind = CFG_STRING, .help = "maker and model"},
    {FIELD("what", what), .kind = CFG_STRING, .help = "what kind of device it is"},
    {FIELD("source", source), .kind = CFG_STRING,
     .help = "where the facts are from: document, revision, page"},
    {FIELD("verified", verified), .kind = CFG_BOOL,
     .help = "whether a second source, or the maker's own document, confirms every point"},
    {FIELD("time", time), .kind = CFG_STRING,
     .help = "JSON pointer to the time: RFC 3339, or seconds or milliseconds since 1970"},
    {FIELD("points", points), .kind = CFG_LIST, .required = true, .sub = &point_table,
     .help = "what is in a message"},
    {.key = NULL}};
static const struct cfg_table table = {sizeof(struct mapping_cfg), fields};

static void check_point(struct cfg *c, const struct mapping_cfg *in, struct mapped *m)
{
    struct collect_point *p = &m->p;
    p->quantity = quantity_by_key(p->quantity_key);
    if (*p->quantity_key && !p->quantity)
        collect_complain_quantity(c, p);
    if (num_double(p->scale) == 0)
        cfg_complain(c, &p->scale, "%s: a scale of 0 would make every value 0", p->name);
    if (p->no_value.n > COLLECT_MARKERS_MAX)
        cfg_complain(c, &p->no_value, "%s: at most %d no_value markers", p->name,
                     COLLECT_MARKERS_MAX);
    if (m->s.port == 0 && (cfg_given(c, &m->s.at) || cfg_given(c, &m->s.raw)))
        cfg_complain(c, m, "%s: \"port\" is missing: the FPort of the payload it stands in",
                     p->name);
    if (cfg_given(c, &m->s.bit) != (m->s.raw == COLLECT_RAW_bit))
        cfg_complain(c, m, "%s: a type of bit needs bit, the others have none", p->name);
    for (const struct mapped *other = in->points.v; other < m; other++)
        if (strcmp(other->p.name, p->name) == 0)
            cfg_complain(c, &p->name, "the point %s stands twice in this file", p->name);
}

static enum st take(struct collect_profile *p, const struct mapping_cfg *in)
{
    const struct mapped *all = in->points.v;
    p->points = calloc(in->points.n + 1, sizeof *p->points);
    p->sources = calloc(in->points.n + 1, sizeof *p->sources);
    if (!p->points || !p->sources)
        return ST_MEMORY;
    const char *slash = strrchr(p->path, '/');
    p->model = in->model ? in->model : slash ? slash + 1 : p->path;
    p->what = in->what;
    p->source = in->source;
    p->verified = in->verified;
    p->time = in->time;
    p->n = in->points.n;
    for (size_t i = 0; i < p->n; i++) {
        p->points[i] = all[i].p;
        p->points[i].type = COLLECT_TYPE_f64; /* so that the decoder has limits and scale */
        p->sources[i] = all[i].s;
        collect_decoder_init(&p->points[i].decoder, &p->points[i]);
    }
    return ST_OK;
}

enum st collect_mapping_load(struct collect_profile *p, const char *path, struct buf *why)
{
    struct mapping_cfg in = {0};
    const char *text;
    *p = (struct collect_profile){.path = strdup(path)};
    if (!p->path)
        return ST_MEMORY;
    enum st st = cfg_load_struct(&p->files[0], path, &table, &in, NULL);
    struct cfg *c = p->files[0];
    if (!c)
        return st;
    p->nfiles = 1;
    struct mapped *all = in.points.v;
    for (size_t i = 0; i < in.points.n; i++)
        check_point(c, &in, &all[i]);
    if (st == ST_OK && (in.points.n == 0 || in.points.n > STORE_POLL_MAX))
        cfg_complain(c, &in.points, "a mapping has 1 to %d points", STORE_POLL_MAX);
    if (cfg_complaints(c, &text) > 0) {
        st = st == ST_OK ? ST_BAD : st;
        return buf_printf(why, "%s", text) == ST_OK ? st : ST_MEMORY;
    }
    st = take(p, &in);
    p->good = st == ST_OK;
    return st;
}
