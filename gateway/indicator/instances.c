/* Which series feed which input of whom, and since when: from the devices and series that the other
 * rooms declared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/instances_int.h"

static enum st no_memory(struct err *e)
{
    return err_set(e, ST_MEMORY, "indicators: no memory");
}

/* ---- what is said of a device, and since when ---- */

bool instances_stay(const struct store_device *d, uint32_t i, struct instance_stay *out)
{
    if (i > d->nwas)
        return false;
    int32_t from = i == 0 ? INT32_MIN : d->was[i - 1].until_day + 1;
    if (i == d->nwas)
        *out = (struct instance_stay){from, INT32_MAX, d->stream, d->role, d->place, d->capacity};
    else
        *out = (struct instance_stay){from,           d->was[i].until_day, d->was[i].stream,
                                      d->was[i].role, d->was[i].place,     d->was[i].capacity};
    return true;
}

static bool is_in(const struct cfg_strings *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++)
        if (text && strcmp(list->v[i], text) == 0)
            return true;
    return list->n == 0;
}

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool quantity_fits(const struct indicator_input *in, const char *quantity)
{
    for (size_t i = 0; i < in->quantity.n; i++)
        if (strcmp(in->quantity.v[i], INDICATOR_ANY) == 0 ||
            strcmp(in->quantity.v[i], quantity) == 0)
            return true;
    return false;
}

bool instances_fit(const struct indicator_input *in, const struct instance_said *w)
{
    return !in->indicator && quantity_fits(in, w->quantity) && is_in(&in->point, w->point) &&
           is_in(&in->device, w->device) && is_in(&in->role, w->role) &&
           is_in(&in->stream, w->stream) && is_in(&in->place, w->place);
}

static bool fits(const struct indicator_input *in, const struct store_device *d,
                 const struct store_series *s, const struct instance_stay *t)
{
    const struct instance_said w = {d->id,   s->point,  s->quantity->key,
                                    t->role, t->stream, t->place};
    return instances_fit(in, &w);
}

/* ---- feeds ---- */

static uint32_t hash_of(struct wire_span device, struct wire_span point)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < device.n; i++)
        h = (h ^ device.p[i]) * 16777619u;
    h = (h ^ '/') * 16777619u;
    for (size_t i = 0; i < point.n; i++)
        h = (h ^ point.p[i]) * 16777619u;
    return h;
}

static struct wire_span span_of(const char *text)
{
    return (struct wire_span){(const uint8_t *)text, strlen(text)};
}

static bool is_text(struct wire_span s, const char *text)
{
    return strncmp(text, (const char *)s.p, s.n) == 0 && text[s.n] == '\0';
}

static bool is_feed(const struct instance_feed *f, struct wire_span device, struct wire_span point)
{
    return is_text(point, f->point) && is_text(device, f->device);
}

uint32_t instances_find(const struct instances *in, struct wire_span device, struct wire_span point,
                        uint32_t like)
{
    uint32_t next = like + 1 < in->nfeeds ? like + 1 : 0;
    if (next < in->nfeeds && is_feed(&in->feed[next], device, point))
        return next;
    if (in->nslots == 0)
        return UINT32_MAX;
    for (uint32_t i = hash_of(device, point);; i++) {
        uint32_t at = in->slot[i & (in->nslots - 1)];
        if (at == 0)
            return UINT32_MAX;
        if (is_feed(&in->feed[at - 1], device, point))
            return at - 1;
    }
}

static enum st index_feeds(struct instances *in, struct err *e)
{
    in->nslots = 16;
    while (in->nslots < 2 * in->nfeeds)
        in->nslots *= 2;
    in->slot = calloc(in->nslots, sizeof *in->slot);
    if (!in->slot)
        return no_memory(e);
    for (uint32_t f = 0; f < in->nfeeds; f++) {
        uint32_t i = hash_of(span_of(in->feed[f].device), span_of(in->feed[f].point));
        while (in->slot[i & (in->nslots - 1)])
            i++;
        in->slot[i & (in->nslots - 1)] = f + 1;
    }
    return ST_OK;
}

/* ---- members ---- */

struct find {
    const struct indicators *x;
    const struct store *s;
    struct instances *in;
    uint32_t *feed; /* of each series of the store, + 1; 0: none yet */
};

static uint32_t feed_of(struct find *f, uint32_t series)
{
    struct instances *in = f->in;
    if (!f->feed[series]) {
        const struct store_series *s = store_series_at(f->s, series);
        in->feed[in->nfeeds++] =
            (struct instance_feed){.device = store_device_at(f->s, s->device)->id,
                                   .point = s->point,
                                   .of = s->device,
                                   .period_ms = s->period_ms,
                                   .quantity = s->quantity};
        f->feed[series] = in->nfeeds;
    }
    return f->feed[series] - 1;
}

/* A time more; one that only goes on is the same. */
static enum st member_add(struct instance *i, const struct instance_member *m, struct err *e)
{
    struct instance_member *last = i->nmembers ? &i->member[i->nmembers - 1] : NULL;
    if (last && last->feed == m->feed && last->input == m->input &&
        last->until_day + 1 == m->from_day && last->capacity.kind == m->capacity.kind &&
        (m->capacity.kind == NUM_NONE || num_cmp(last->capacity, m->capacity) == 0)) {
        last->until_day = m->until_day;
        return ST_OK;
    }
    struct instance_member *p = reallocarray(i->member, i->nmembers + (size_t)1, sizeof *p);
    if (!p)
        return no_memory(e);
    i->member = p;
    p[i->nmembers++] = *m;
    return ST_OK;
}

static enum st members_of(struct find *f, struct instance *i, uint32_t input, struct err *e)
{
    const struct indicator_input *in = (const struct indicator_input *)i->def->inputs.v + input;
    for (uint32_t n = 0; n < store_series_count(f->s); n++) {
        const struct store_series *s = store_series_at(f->s, n);
        const struct store_device *d = store_device_at(f->s, s->device);
        struct instance_stay t;
        if (i->of != UINT32_MAX && s->device != i->of)
            continue;
        for (uint32_t k = 0; instances_stay(d, k, &t); k++) {
            struct instance_member m = {.input = input,
                                        .from_day = t.from_day,
                                        .until_day = t.until_day,
                                        .capacity = t.capacity};
            if (!fits(in, d, s, &t) || (i->place && !same(i->place, t.place)))
                continue;
            m.feed = feed_of(f, n);
            ERR_TRY(member_add(i, &m, e));
        }
    }
    return ST_OK;
}

/* The instance of another indicator that is about the same; UINT32_MAX: there is none. */
static uint32_t other_of(const struct instances *in, const struct instance *i, const char *id)
{
    for (uint32_t k = 0; k < in->n; k++)
        if (strcmp(in->v[k].def->id, id) == 0 && in->v[k].of == i->of &&
            same(in->v[k].place, i->place))
            return k;
    return UINT32_MAX;
}

static enum st source_add(struct instance *i, uint32_t instance, uint32_t input, struct err *e)
{
    struct instance_source *p = reallocarray(i->source, i->nsources + (size_t)1, sizeof *p);
    if (!p)
        return no_memory(e);
    i->source = p;
    p[i->nsources++] = (struct instance_source){instance, input};
    return ST_OK;
}

/* All inputs; *whole: each that is needed has a series. */
static enum st inputs_of(struct find *f, struct instance *i, bool *whole, struct err *e)
{
    const struct indicator_input *in = i->def->inputs.v;
    *whole = i->def->inputs.n > 0;
    for (uint32_t k = 0; k < i->def->inputs.n; k++) {
        uint32_t before = i->nmembers + i->nsources;
        if (in[k].indicator) {
            uint32_t other = other_of(f->in, i, in[k].indicator);
            if (other != UINT32_MAX)
                ERR_TRY(source_add(i, other, k, e));
        } else {
            ERR_TRY(members_of(f, i, k, e));
        }
        if (i->nmembers + i->nsources == before && !in[k].optional)
            *whole = false;
    }
    *whole = *whole && i->nmembers + i->nsources > 0;
    return ST_OK;
}

static void instance_done(struct instance *i)
{
    free(i->id);
    free(i->member);
    free(i->source);
}

/* Keeps it where its inputs are there, or in any case where *whole is to say whether they are.
 * tail: what its device is called behind the id; NULL. */
static enum st try_instance(struct find *f, const struct indicator_def *def, const char *place,
                            uint32_t of, const char *tail, bool *whole, struct err *e)
{
    struct instance i = {.def = def, .place = place, .of = of};
    bool there = false;
    enum st st = inputs_of(f, &i, &there, e);
    bool kept = there || whole;
    if (st == ST_OK && kept) {
        struct instance *p = reallocarray(f->in->v, f->in->n + (size_t)1, sizeof *p);
        if (p)
            f->in->v = p;
        if (!p || asprintf(&i.id, "%s%s%s", def->id, tail ? "." : "", tail ? tail : "") < 0) {
            i.id = NULL;
            st = no_memory(e);
        }
    }
    if (whole)
        *whole = there;
    if (st != ST_OK || !kept) {
        instance_done(&i);
        return st;
    }
    f->in->v[f->in->n++] = i;
    return ST_OK;
}

/* Whether a device before it, or an earlier time of its own, had that place. */
static bool place_was(const struct store *s, uint32_t device, uint32_t time, const char *place)
{
    struct instance_stay t;
    for (uint32_t d = 0; d <= device; d++)
        for (uint32_t k = 0;
             instances_stay(store_device_at(s, d), k, &t) && (d < device || k < time); k++)
            if (same(t.place, place))
                return true;
    return false;
}

/* Those of the places that are called after a device; the second is ID.DEVICE.2. All of them, when
 * one has what it needs: what was said by a name that is another place's now can be taken back. */
static enum st by_places_of(struct find *f, const struct indicator_def *def, uint32_t d,
                            struct err *e)
{
    const struct store_device *is = store_device_at(f->s, d);
    char tail[WIRE_SERIES_BYTES];
    struct instance_stay t;
    uint32_t first = f->in->n;
    unsigned n = 0;
    bool some = false;
    for (uint32_t k = 0; instances_stay(is, k, &t); k++) {
        bool whole = false;
        if (!t.place || place_was(f->s, d, k, t.place))
            continue;
        if (n++ == 0)
            (void)snprintf(tail, sizeof tail, "%s", is->id);
        else
            (void)snprintf(tail, sizeof tail, "%s.%u", is->id, n);
        ERR_TRY(try_instance(f, def, t.place, UINT32_MAX, tail, &whole, e));
        some |= whole;
    }
    while (!some && f->in->n > first)
        instance_done(&f->in->v[--f->in->n]);
    return ST_OK;
}

static enum st by_place(struct find *f, const struct indicator_def *def, struct err *e)
{
    for (uint32_t d = 0; d < store_device_count(f->s); d++)
        ERR_TRY(by_places_of(f, def, d, e));
    return ST_OK;
}

static enum st instances_of(struct find *f, const struct indicator_def *def, struct err *e)
{
    if (def->by == INDICATOR_SITE)
        return try_instance(f, def, NULL, UINT32_MAX, NULL, NULL, e);
    if (def->by == INDICATOR_PLACE)
        return by_place(f, def, e);
    for (uint32_t d = 0; d < store_device_count(f->s); d++)
        ERR_TRY(try_instance(f, def, NULL, d, store_device_at(f->s, d)->id, NULL, e));
    return ST_OK;
}

enum st instances_open(struct instances **out, const struct indicators *x, const struct store *s,
                       struct err *e)
{
    struct instances *in = calloc(1, sizeof *in);
    struct find f = {.x = x, .s = s, .in = in};
    enum st st = in ? ST_OK : no_memory(e);
    f.feed = calloc(store_series_count(s) + (size_t)1, sizeof *f.feed);
    if (st == ST_OK)
        in->feed = calloc(store_series_count(s) + (size_t)1, sizeof *in->feed);
    if (!f.feed || !in || !in->feed)
        st = no_memory(e);
    size_t n = x->catalogue ? indicator_catalogue_count(x->catalogue) : 0;
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        const struct indicator_def *def = indicator_catalogue_at(x->catalogue, i);
        if (indicator_is_used(x, def))
            st = instances_of(&f, def, e);
    }
    if (st == ST_OK)
        st = index_feeds(in, e);
    free(f.feed);
    if (st != ST_OK)
        instances_close(in);
    else
        *out = in;
    return st;
}

void instances_close(struct instances *in)
{
    if (!in)
        return;
    for (uint32_t i = 0; i < in->n; i++)
        instance_done(&in->v[i]);
    free(in->v);
    free(in->feed);
    free(in->slot);
    free(in);
}

bool instances_own(const struct instances *in, uint32_t device)
{
    for (uint32_t i = 0; i < in->n; i++)
        if (in->v[i].device == device)
            return true;
    return false;
}

bool instances_match(const struct instances *in, const struct store *s,
                     const struct indicator_input *input)
{
    struct instance_stay t;
    for (uint32_t i = 0; input->indicator && i < in->n; i++)
        if (strcmp(in->v[i].def->id, input->indicator) == 0)
            return true;
    for (uint32_t n = 0; n < store_series_count(s); n++) {
        const struct store_series *series = store_series_at(s, n);
        const struct store_device *d = store_device_at(s, series->device);
        /* what an indicator came to is nobody's series */
        bool own = instances_own(in, series->device);
        for (uint32_t k = 0; !own && instances_stay(d, k, &t); k++)
            if (fits(input, d, series, &t))
                return true;
    }
    return false;
}

/* ---- what they add to the store ---- */

bool indicators_id_used(const struct indicators *x, const char *id)
{
    size_t n = strcspn(id, ".");
    for (size_t i = 0; x->catalogue && i < indicator_catalogue_count(x->catalogue); i++) {
        const char *of = indicator_catalogue_at(x->catalogue, i)->id;
        if (strlen(of) == n && memcmp(of, id, n) == 0)
            return true;
    }
    return false;
}

static const struct {
    enum instance_point point;
    const char *name, *quantity;               /* NULL: the indicator's own */
} points[] = {{INSTANCE_VALUE, "value", NULL}, /* in the order in which the page shows them */
              {INSTANCE_NUMERATOR, "numerator", "number"},
              {INSTANCE_DENOMINATOR, "denominator", "number"},
              {INSTANCE_DUE, "due", "number"},
              {INSTANCE_GOOD, "good", "number"},
              {INSTANCE_REASON, "reason", "number"},
              {INSTANCE_REVISION, "revision", "number"},
              {INSTANCE_CATALOGUE, "catalogue", "number"}};

static enum st declare(struct instance *i, struct store *s, struct err *e)
{
    static const char *const labels[] = {"measured", "proxy", "indicative"};
    char name[256];
    const char *about = i->place              ? i->place
                        : i->of != UINT32_MAX ? store_device_at(s, i->of)->id
                                              : NULL;
    if (i->of != UINT32_MAX && store_device_at(s, i->of)->name)
        about = store_device_at(s, i->of)->name;
    (void)snprintf(name, sizeof name, "%s%s%s", i->def->name.vi ? i->def->name.vi : i->def->id,
                   about ? ": " : "", about ? about : "");
    const struct store_device d = {.id = i->id,
                                   .name = name,
                                   .place = i->place,
                                   .source = "indicator",
                                   .address = labels[i->def->label],
                                   .model = "indicator"};
    ERR_TRY(store_add_device(s, &d, &i->device, e));
    for (size_t k = 0; k < sizeof points / sizeof *points; k++) {
        const struct store_series x = {
            .device = i->device,
            .point = points[k].name,
            .quantity = points[k].quantity ? quantity_by_key(points[k].quantity) : i->def->q};
        ERR_TRY(store_add_series(s, &x, &i->series[points[k].point], e));
    }
    return ST_OK;
}

enum st instances_declare(struct instances *in, struct store *s, struct err *e)
{
    for (uint32_t i = 0; i < in->n; i++)
        ERR_TRY(declare(&in->v[i], s, e));
    return ST_OK;
}
