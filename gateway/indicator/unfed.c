/* Devices that measure what figures are made of and feed none, for something is not said of them.
 */
#include <stdio.h>
#include <string.h>

#include "gateway/indicator/instances_int.h"

#define SHOWN 4   /* of a list; the others are counted */
#define LISTED 64 /* that are told apart */

struct list {
    const char *v[LISTED];
    size_t n;
};
struct unfed {
    const struct indicators *x;
    const struct store_device *d;
    bool place, role, stream; /* what is not said and was asked for */
    struct list points, roles, streams, ids;
};

static void list_add(struct list *l, const char *text)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->v[i], text) == 0)
            return;
    if (l->n < LISTED)
        l->v[l->n++] = text;
}

static void list_all(struct list *l, const struct cfg_strings *from)
{
    for (size_t i = 0; i < from->n; i++)
        list_add(l, from->v[i]);
}

/* Whether it would feed an input if all were said that is not; then what that is. */
static bool would_feed(struct unfed *u, const struct indicator_def *def,
                       const struct indicator_input *in, const struct store_series *s)
{
    struct instance_said w = {u->d->id,   s->point,     s->quantity->key,
                              u->d->role, u->d->stream, u->d->place};
    bool role = in->role.n > 0 && !w.role, stream = in->stream.n > 0 && !w.stream;
    bool place = !w.place && (in->place.n > 0 || def->by == INDICATOR_PLACE);
    if (in->indicator || strcmp(in->quantity.v[0], INDICATOR_ANY) == 0 ||
        !(role || stream || place))
        return false;
    w.role = role ? in->role.v[0] : w.role;
    w.stream = stream ? in->stream.v[0] : w.stream;
    w.place = place && in->place.n > 0 ? in->place.v[0] : w.place;
    if (!instances_fit(in, &w))
        return false;
    u->place |= place;
    u->role |= role;
    u->stream |= stream;
    if (role)
        list_all(&u->roles, &in->role);
    if (stream)
        list_all(&u->streams, &in->stream);
    return true;
}

static void look_at(struct unfed *u, const struct store_series *s)
{
    size_t n = indicator_catalogue_count(u->x->catalogue);
    for (size_t i = 0; i < n; i++) {
        const struct indicator_def *def = indicator_catalogue_at(u->x->catalogue, i);
        const struct indicator_input *in = def->inputs.v;
        bool feeds = false;
        for (size_t k = 0; indicator_is_used(u->x, def) && k < def->inputs.n; k++)
            feeds |= would_feed(u, def, &in[k], s);
        if (!feeds)
            continue;
        list_add(&u->points, s->point);
        list_add(&u->ids, def->id);
    }
}

/* What takes all readings is no figure of what it measures. */
static bool is_fed(const struct instances *in, const struct store_series *s)
{
    for (uint32_t i = 0; i < in->n; i++) {
        const struct indicator_input *input = in->v[i].def->inputs.v;
        for (uint32_t m = 0; m < in->v[i].nmembers; m++) {
            const struct instance_member *x = &in->v[i].member[m];
            const struct instance_feed *f = &in->feed[x->feed];
            if (x->until_day == INT32_MAX && f->of == s->device &&
                strcmp(f->point, s->point) == 0 &&
                strcmp(input[x->input].quantity.v[0], INDICATOR_ANY) != 0)
                return true;
        }
    }
    return false;
}

/* ---- in words ---- */

struct words {
    char *out;
    size_t n;
};

static void put(struct words *w, const char *a, const char *b)
{
    if (w->n < INDICATOR_WANTS_BYTES)
        w->n += (size_t)snprintf(w->out + w->n, INDICATOR_WANTS_BYTES - w->n, "%s%s", a, b);
}

static void put_list(struct words *w, const struct list *l)
{
    char more[32];
    for (size_t i = 0; i < l->n && i < SHOWN; i++)
        put(w, i > 0 ? ", " : "", l->v[i]);
    (void)snprintf(more, sizeof more, " and %zu more", l->n - SHOWN);
    if (l->n > SHOWN)
        put(w, more, "");
}

static void put_lack(struct words *w, const char *key, const struct list *such, bool *any)
{
    put(w, *any ? " and no `" : "it has no `", key);
    put(w, "`", such ? " (" : "");
    if (such) {
        put_list(w, such);
        put(w, ")", "");
    }
    *any = true;
}

static void in_words(const struct unfed *u, struct indicator_unfed *out)
{
    struct words w = {out->why, 0};
    bool any = false;
    if (u->place)
        put_lack(&w, "place", NULL, &any);
    if (u->role)
        put_lack(&w, "role", &u->roles, &any);
    if (u->stream)
        put_lack(&w, "stream", &u->streams, &any);
    put(&w, ", so that no indicator is computed from ", "");
    put_list(&w, &u->points);
    put(&w, "; with it: ", "");
    put_list(&w, &u->ids);
}

void indicators_unfed(const struct indicators *x, const struct store *s,
                      void (*take)(const struct indicator_unfed *u, void *arg), void *arg)
{
    uint32_t n = 0;
    for (uint32_t d = 0; x->instances && d < store_device_count(s); d++) {
        struct unfed u = {.x = x, .d = store_device_at(s, d)};
        bool own = instances_own(x->instances, d);
        for (; n < store_series_count(s) && store_series_at(s, n)->device == d; n++)
            if (!own && !is_fed(x->instances, store_series_at(s, n)))
                look_at(&u, store_series_at(s, n));
        struct indicator_unfed out = {.device = u.d->id};
        if (u.points.n > 0) {
            in_words(&u, &out);
            take(&out, arg);
        }
    }
}
