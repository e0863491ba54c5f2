/* A SunSpec device: its points get their addresses from its chain of models, and their values are
 * worked out from the scale factors that came with them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/sunspec_int.h"

#define HOUR_MS INT64_C(3600000)
#define AGAIN_MS 60000 /* until a chain without sense, or one that refuses, is looked at again */
#define USUAL_BASE 40000U
#define TELLS_PER_MINUTE 4
#define PARTS 3 /* a point, its scale factor and the head of its model, at most */

/* One point, beside the profile's of the same index. */
struct held {
    uint32_t series;
    uint16_t head, model; /* head: index of its model's head + 1, 0: none; model: of the chain */
    int factor;           /* that its decoder is set to */
    unsigned in;          /* the request of this poll that brought it; 0: none did */
    bool done;            /* its value is worked out */
    uint8_t raw[8];
};

struct collect_sunspec {
    const struct collect_profile *said; /* as the file has it */
    struct collect_profile profile;     /* said, with places; behind its points heads and factors */
    struct held *held;
    struct collect_walk walk;
    struct collect_chain chain; /* that the places are of */
    uint8_t function;           /* of the walk */
    bool begun, walking, placed;
    unsigned base, requests;
    struct mono walked_at, again_at, minute;
    unsigned tells; /* events of that minute */
    char text[COLLECT_WHY_BYTES], news[2 * COLLECT_WHY_BYTES], told[2 * COLLECT_WHY_BYTES];
};

/* ---- places --------------------------------------------------------------------------------- */

/* The head or factor at that address; there is room for one more. */
static uint16_t part(struct collect_sunspec *s, size_t *n, const char *name, int64_t function,
                     unsigned address, int type)
{
    for (size_t i = s->said->n; i < *n; i++)
        if (s->profile.points[i].address == address && s->profile.points[i].type == type &&
            s->profile.points[i].function == function)
            return (uint16_t)i;
    struct collect_point *p = &s->profile.points[*n];
    *p = (struct collect_point){.name = (char *)(uintptr_t)name,
                                .function = function,
                                .address = address,
                                .type = type,
                                .hidden = true};
    return (uint16_t)(*n)++;
}

/* Whether the device can be asked for it. */
static bool reachable(const struct collect_profile *p, size_t i)
{
    uint16_t at;
    const struct collect_request r = collect_plan_single(p, i, &at);
    return r.count <= p->most[r.function] && !collect_plan_forbids(p, &r);
}

/* What people are shown has one of each. */
static int64_t instance(const struct collect_sunspec *s)
{
    return s->begun ? s->said->instance : 1;
}

static void place_point(struct collect_device *d, const struct collect_chain *c, size_t anchor,
                        size_t i, size_t *n)
{
    struct collect_sunspec *s = d->sunspec;
    struct collect_point *p = &s->profile.points[i];
    struct held *h = &s->held[i];
    *h = (struct held){.series = h->series, .factor = SUNSPEC_NO_FACTOR};
    *p = s->said->points[i];
    if (p->models.n == 0)
        return;
    const struct collect_model *m = collect_chain_find(c, &p->models, instance(s), anchor);
    const struct sunspec_point *it = m ? sunspec_point_of(m->id, p->reg) : NULL;
    unsigned offset = it ? sunspec_offset(it, m->length, m->blocks, (unsigned)p->block) : 0;
    p->absent = offset == 0 || (it->factor > 0 && it->factor >= SUNSPEC_HEAD + m->length);
    if (p->absent)
        return;
    p->address = m->address + (int64_t)offset;
    p->absent = !reachable(&s->profile, i);
    if (p->absent || collect_types[p->type].form == COLLECT_STRING || p->identity)
        return;
    h->model = (uint16_t)(m - c->models);
    h->head = (uint16_t)(part(s, n, "(head)", p->function, m->address, COLLECT_TYPE_u32) + 1);
    d->wanted[h->head - 1] |= d->wanted[i];
    if (it->factor > 0) {
        p->factor = (uint16_t)(part(s, n, "(factor)", p->function,
                                    (unsigned)m->address + it->factor, COLLECT_TYPE_s16) +
                               1);
        d->wanted[p->factor - 1] |= d->wanted[i];
    }
}

/* The place in the chain of the first model that is not the common one. */
static size_t anchor_of(const struct collect_sunspec *s, const struct collect_chain *c)
{
    for (size_t i = 0; i < s->said->n; i++) {
        const struct collect_point *p = &s->said->points[i];
        const struct collect_model *m =
            p->models.n > 0 ? collect_chain_find(c, &p->models, instance(s), 0) : NULL;
        if (m && m->id != SUNSPEC_COMMON)
            return (size_t)(m - c->models);
    }
    return c->n;
}

/* How many wanted points have a place. */
static size_t place(struct collect_device *d, const struct collect_chain *c)
{
    struct collect_sunspec *s = d->sunspec;
    size_t n = s->said->n, found = 0, anchor = anchor_of(s, c);
    memset(d->wanted + n, 0, (s->profile.n - n) * sizeof *d->wanted);
    for (size_t i = 0; i < s->said->n; i++)
        place_point(d, c, anchor, i, &n);
    for (size_t i = n; i < s->profile.n; i++)
        s->profile.points[i] = (struct collect_point){
            .name = s->profile.points[i].name, .hidden = true, .absent = true};
    for (size_t i = 0; i < s->profile.n; i++) {
        collect_decoder_init(&s->profile.points[i].decoder, &s->profile.points[i]);
        found += i < s->said->n && d->wanted[i] && s->profile.points[i].quantity &&
                 !s->profile.points[i].absent;
    }
    return found;
}

/* Puts a model behind the others, unless it is there, of the usual length, or for so many blocks.
 */
static void add_usual(struct collect_chain *c, unsigned id, int64_t blocks)
{
    const struct sunspec_models *m = sunspec_models_of(id);
    size_t i = 0;
    while (i < c->n && c->models[i].id != id)
        i++;
    if (!m || i == COLLECT_CHAIN_MAX)
        return;
    struct collect_model *to = &c->models[i];
    const struct collect_model *last = i > 0 ? to - 1 : NULL;
    if (i == c->n) {
        *to = (struct collect_model){
            .id = (uint16_t)id,
            .length = m->length,
            .address =
                (uint16_t)(last ? last->address + SUNSPEC_HEAD + last->length : USUAL_BASE + 2)};
        c->n++;
    }
    if (m->size > 0 && blocks > to->blocks && i + 1 == c->n) {
        to->blocks = (uint16_t)blocks;
        to->length = (uint16_t)(m->first + m->size * blocks - SUNSPEC_HEAD);
    }
}

/* As a device would have it: the common model, then the first one that each point names. */
static void usual_chain(const struct collect_profile *p, struct collect_chain *c)
{
    *c = (struct collect_chain){.base = USUAL_BASE};
    add_usual(c, SUNSPEC_COMMON, 0);
    for (size_t i = 0; i < p->n; i++)
        if (p->points[i].models.n > 0)
            add_usual(c, (unsigned)p->points[i].models.v[0], p->points[i].block);
}

enum st collect_sunspec_open(struct collect_device *d, struct err *e)
{
    const struct collect_profile *said = d->profile;
    size_t room = PARTS * said->n;
    struct collect_sunspec *s = d->sunspec = calloc(1, sizeof *s);
    bool *wanted = realloc(d->wanted, room * sizeof *wanted);
    if (wanted)
        d->wanted = wanted;
    if (s) {
        s->said = said;
        s->profile = *said;
        s->profile.n = room;
        s->profile.points = calloc(room, sizeof *s->profile.points);
        s->held = calloc(room, sizeof *s->held);
    }
    if (!s || !wanted || !s->profile.points || !s->held)
        return err_set(e, ST_MEMORY, "collect: no memory for device %s", d->cfg->id);
    static char none[] = "";
    for (size_t i = 0; i < room; i++)
        s->profile.points[i].name = none;
    for (size_t i = said->n; i-- > 0;)
        if (said->points[i].models.n > 0)
            s->function = (uint8_t)said->points[i].function;
    d->profile = &s->profile;
    d->finder = &collect_sunspec_finder;
    usual_chain(said, &s->chain);
    (void)place(d, &s->chain);
    return ST_OK;
}

void collect_sunspec_close(struct collect_device *d)
{
    if (!d->sunspec)
        return;
    free(d->sunspec->profile.points);
    free(d->sunspec->held);
    free(d->sunspec);
    d->sunspec = NULL;
}

/* ---- the plan ------------------------------------------------------------------------------- */

/* A new plan for new places; the values and their series stay. false: no memory, nothing changed.
 */
static bool plan_again(struct collect_device *d)
{
    struct collect_sunspec *s = d->sunspec;
    struct collect_plan plan;
    struct collect_split split;
    for (size_t i = 0; i < d->plan.nvalues; i++)
        s->held[d->plan.values[i].point].series = d->plan.values[i].series;
    if (collect_plan_make(&plan, &s->profile, d->wanted, &d->line, NULL) != ST_OK)
        return false;
    if (plan.nrequests == 0) { /* all that can be asked of it is who it is */
        plan.requests[0] = (struct collect_request){
            .function = s->function, .address = collect_bases[s->base], .count = 2};
        plan.probe = plan.requests[0];
        plan.nrequests = 1;
    }
    if (collect_split_open(&split, &plan, NULL) != ST_OK) {
        collect_plan_done(&plan);
        return false;
    }
    for (size_t i = 0; i < plan.nvalues; i++)
        plan.values[i].series = s->held[plan.values[i].point].series;
    collect_split_done(&d->split);
    collect_plan_done(&d->plan);
    d->split = split;
    d->plan = plan;
    collect_says_plan(d);
    return true;
}

/* ---- looking -------------------------------------------------------------------------------- */

static void doubt(struct collect_device *d, bool away, struct mono now)
{
    struct collect_sunspec *s = d->sunspec;
    if (s->begun && (away || now.ms - s->walked_at.ms >= AGAIN_MS))
        s->again_at = now;
}

static bool next(struct collect_device *d, struct mono now, struct collect_request *q)
{
    struct collect_sunspec *s = d->sunspec;
    if (!s->begun) { /* what was shown to people is not asked */
        static const struct collect_chain nothing;
        (void)place(d, &nothing);
        s->begun = plan_again(d);
        s->again_at = now;
        if (!s->begun)
            (void)snprintf(s->text, sizeof s->text, "no memory for its read plan");
    }
    if (!s->begun || (!s->walking && now.ms < s->again_at.ms))
        return false;
    if (!s->walking)
        collect_walk_begin(&s->walk, s->base);
    s->walking = true;
    *q = (struct collect_request){.function = s->function};
    return collect_walk_next(&s->walk, &q->address, &q->count);
}

static bool same_chain(const struct collect_chain *a, const struct collect_chain *b)
{
    return a->base == b->base && a->n == b->n &&
           memcmp(a->models, b->models, a->n * sizeof *a->models) == 0;
}

/* "1, 103, 160", as far as there is room. */
static void list_models(const struct collect_chain *c, char *text, size_t size)
{
    size_t n = 0;
    *text = '\0';
    for (size_t i = 0; i < c->n && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s%u", i > 0 ? ", " : "", c->models[i].id);
}

static void say_found(struct collect_device *d)
{
    struct collect_sunspec *s = d->sunspec;
    char models[COLLECT_WHY_BYTES / 2];
    list_models(&s->chain, models, sizeof models);
    size_t n = (size_t)snprintf(s->news, sizeof s->news, "SunSpec at %u, models %s", s->chain.base,
                                models);
    const char *before = "; it has no ";
    for (size_t i = 0; i < s->said->n && n < sizeof s->news; i++)
        if (d->wanted[i] && s->profile.points[i].absent) {
            n += (size_t)snprintf(s->news + n, sizeof s->news - n, "%s%s", before,
                                  s->profile.points[i].name);
            before = ", ";
        }
}

/* The walk came to its end. */
static void adopt(struct collect_device *d, struct mono now)
{
    struct collect_sunspec *s = d->sunspec;
    s->base = s->walk.base;
    if (s->placed && same_chain(&s->chain, &s->walk.chain))
        return;
    s->chain = s->walk.chain;
    s->placed = place(d, &s->chain) > 0;
    s->text[0] = '\0';
    d->who.due = true;
    collect_says_again(d);
    if (s->placed && plan_again(d)) {
        say_found(d);
        return;
    }
    char models[COLLECT_WHY_BYTES / 2];
    list_models(&s->chain, models, sizeof models);
    (void)snprintf(s->text, sizeof s->text,
                   s->placed ? "no memory for its read plan"
                             : "its SunSpec models are %s: none of those that its profile reads",
                   models);
    s->placed = false;
    s->again_at = (struct mono){now.ms + AGAIN_MS};
}

static void heard(const struct collect_bus_job *job, struct collect_device *d, const uint8_t *data)
{
    struct collect_sunspec *s = d->sunspec;
    struct mono now = clk_mono(job->clk);
    collect_walk_heard(&s->walk, data);
    if (s->walk.state != COLLECT_WALK_DONE && s->walk.state != COLLECT_WALK_BAD)
        return;
    s->walking = false;
    s->walked_at = now;
    s->again_at = (struct mono){now.ms + (s->walk.state == COLLECT_WALK_DONE ? HOUR_MS : AGAIN_MS)};
    if (s->walk.state == COLLECT_WALK_DONE) {
        adopt(d, now);
    } else {
        s->placed = false;
        memcpy(s->text, s->walk.why, sizeof s->text);
    }
}

static void missed(struct collect_device *d, struct mono now)
{
    struct collect_sunspec *s = d->sunspec;
    s->walking = false;
    if (s->placed) /* what is known to be there is read meanwhile */
        s->again_at = (struct mono){now.ms + AGAIN_MS};
    if (!s->begun || s->placed || d->plan.nitems > 0)
        return;
    s->base = (s->base + 1) % COLLECT_BASES;
    d->plan.requests[0].address = d->plan.probe.address = collect_bases[s->base];
}

const struct collect_profile *collect_sunspec_said(const struct collect_device *d)
{
    return d->sunspec ? d->sunspec->said : d->profile;
}

static bool ready(const struct collect_device *d)
{
    return d->sunspec->placed;
}

/* ---- a poll --------------------------------------------------------------------------------- */

static void begin(struct collect_device *d)
{
    struct collect_sunspec *s = d->sunspec;
    s->requests = 0;
    for (size_t i = 0; i < s->profile.n; i++) {
        s->held[i].in = 0;
        s->held[i].done = false;
    }
}

/* Sets the point to that factor. false: it is none. */
static bool set_factor(struct collect_device *d, size_t point, int factor)
{
    struct collect_sunspec *s = d->sunspec;
    struct held *h = &s->held[point];
    if (factor == h->factor)
        return factor != SUNSPEC_NO_FACTOR;
    if (!collect_sunspec_scale(&s->profile.points[point], s->said->points[point].scale, factor))
        return false;
    collect_counter_scaled(d, point);
    h->factor = factor;
    return true;
}

static void work_out(struct collect_device *d, size_t value, struct store_value *v)
{
    struct collect_sunspec *s = d->sunspec;
    size_t point = d->plan.values[value].point;
    const struct collect_point *p = &s->profile.points[point];
    struct held *h = &s->held[point];
    h->done = true;
    if (p->factor > 0) {
        const uint8_t *raw = s->held[p->factor - 1].raw;
        if (!set_factor(d, point, (int16_t)(raw[0] << 8 | raw[1])))
            return; /* no value without its scale */
    }
    v[value].q = collect_decode(&p->decoder, h->raw, &v[value].v);
}

static void take(struct collect_device *d, const struct collect_request *q, const uint8_t *data,
                 struct store_value *v)
{
    struct collect_sunspec *s = d->sunspec;
    s->requests++;
    for (uint32_t i = q->first; i < q->first + q->n; i++) {
        const struct collect_item *item = &d->plan.items[i];
        struct collect_planned *of = &d->plan.values[item->value];
        if (s->profile.points[of->point].decoder.form == COLLECT_BIT) {
            v[item->value].q = collect_decode_bit(data, item->at, &v[item->value].v);
            continue;
        }
        const uint8_t *whole = collect_plan_gather(of, item, data + 2 * item->at);
        if (!whole)
            continue;
        memcpy(s->held[of->point].raw, whole, 2U * of->width);
        s->held[of->point].in = s->requests;
    }
    for (uint32_t i = q->first; i < q->first + q->n; i++) {
        size_t value = d->plan.items[i].value, point = d->plan.values[value].point;
        const struct collect_point *p = &s->profile.points[point];
        if (!p->hidden && s->held[point].in == s->requests &&
            (p->factor == 0 || s->held[p->factor - 1].in == s->requests))
            work_out(d, value, v);
    }
}

/* Whether the head of the point's model was read in this poll, and is as it was found. */
static bool proven(struct collect_sunspec *s, size_t point, struct mono now)
{
    const struct held *h = &s->held[point];
    if (h->head == 0)
        return true;
    const struct held *head = &s->held[h->head - 1];
    const struct collect_model *m = &s->chain.models[h->model];
    if (head->in == 0)
        return false;
    if ((head->raw[0] << 8 | head->raw[1]) == m->id &&
        (head->raw[2] << 8 | head->raw[3]) == m->length)
        return true;
    (void)snprintf(s->text, sizeof s->text,
                   "its SunSpec model %u is no longer at address %u: its models are read again",
                   m->id, m->address);
    s->placed = s->walking = false;
    s->again_at = now;
    return false;
}

static void settle(struct collect_device *d, struct mono now, struct store_value *v)
{
    struct collect_sunspec *s = d->sunspec;
    for (size_t i = 0; i < d->plan.nall; i++) {
        size_t point = d->plan.values[i].point;
        const struct collect_point *p = &s->profile.points[point];
        const struct held *h = &s->held[point];
        if (h->in == 0 || p->hidden)
            continue;
        if (!h->done && p->factor > 0 && s->held[p->factor - 1].in > 0)
            work_out(d, i, v);
        if (!proven(s, point, now)) {
            v[i].v = (struct num){.kind = NUM_NONE};
            v[i].q = 0;
        }
    }
}

/* ---- telling -------------------------------------------------------------------------------- */

static void tell(const struct collect_bus_job *job, struct collect_device *d, struct mono now)
{
    struct collect_sunspec *s = d->sunspec;
    const char *text = s->placed ? s->news : s->text;
    if (*text == '\0' || strcmp(text, s->told) == 0)
        return;
    if (s->tells == 0 || now.ms - s->minute.ms >= 60000) {
        s->minute = now;
        s->tells = 0;
    }
    if (s->tells == TELLS_PER_MINUTE)
        return;
    s->tells++;
    (void)snprintf(s->told, sizeof s->told, "%s", text);
    store_event(job->store, s->placed ? STORE_INFO : STORE_WARNING,
                s->placed ? "device.models" : "device.sunspec", d->cfg->id, "%s", text);
}

static const char *text(const struct collect_device *d)
{
    return d->sunspec->text;
}

/* Its models are walked by short reads. */
static bool asks(const struct collect_device *d, unsigned function, unsigned count)
{
    (void)d;
    return function > 2 && count <= 2;
}

const struct collect_finder collect_sunspec_finder = {.next = next,
                                                      .heard = heard,
                                                      .missed = missed,
                                                      .doubt = doubt,
                                                      .ready = ready,
                                                      .begin = begin,
                                                      .take = take,
                                                      .settle = settle,
                                                      .tell = tell,
                                                      .text = text,
                                                      .why = "device_refuses",
                                                      .asks = asks};
