/* Which profiles fit a unit that answered: each reads it as it would a device of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/scan_int.h"
#include "gateway/collect/sunspec_int.h"

#define IDENTITY_TELLS 3 /* values that a readable identity is worth */
#define SHOWN 3          /* values that the reason names */

/* ---- the profiles --------------------------------------------------------------------------- */

enum st collect_set_open(struct collect_set *s, const char *dir, struct err *e)
{
    size_t found;
    *s = (struct collect_set){.names = collect_profile_names(dir, &found)};
    if (!s->names)
        return err_set(e, ST_IO, "%s: the installed profiles cannot be listed", dir);
    s->v = calloc(found + 1, sizeof *s->v);
    if (!s->v)
        return err_set(e, ST_MEMORY, "no memory for %zu profiles", found);
    for (size_t i = 0; i < found; i++) {
        struct collect_profile *p = &s->v[s->n];
        struct buf why;
        buf_init(&why, 256 * 1024);
        char *path = collect_profile_path(s->names[i], dir, "");
        enum st st = path ? collect_profile_load(p, path, dir, &why) : ST_MEMORY;
        buf_done(&why);
        free(path);
        if (st == ST_OK)
            s->names[s->n++] = s->names[i];
        else
            collect_profile_done(p);
        if (st == ST_MEMORY)
            return err_set(e, ST_MEMORY, "no memory for %zu profiles", found);
    }
    return ST_OK;
}

void collect_set_done(struct collect_set *s)
{
    for (size_t i = 0; i < s->n; i++)
        collect_profile_done(&s->v[i]);
    free(s->v);
    free(s->names);
    *s = (struct collect_set){.v = NULL};
}

/* ---- one profile ---------------------------------------------------------------------------- */

struct trial {
    const struct collect_profile *p;
    const struct collect_scan_calls *calls;
    const struct collect_ask *base;
    struct collect_plan plan;
    struct collect_fit *fit;
    unsigned within, zeros, none, shown;
    char values[120], odd[80], identity[60];
    struct err *e;
};

static bool misfit(struct trial *t, const char *what, const struct collect_request *r)
{
    (void)snprintf(t->fit->why, sizeof t->fit->why, "it %s function %u, address %u, count %u", what,
                   r->function, r->address, r->count);
    return false;
}

/* false: the unit does not give it. *st other than ST_OK: nothing more can be asked. */
static bool ask(struct trial *t, const struct collect_request *r, struct collect_reply *reply,
                enum st *st)
{
    struct collect_ask q = *t->base;
    q.function = r->function;
    q.address = r->address;
    q.count = r->count;
    *st = t->calls->ask(t->calls->ctx, &q, reply, t->e);
    if (*st == ST_OK && reply->st != ST_OK)
        *st = err_set(t->e, reply->st, "%s", reply->text);
    if (*st == ST_OK && (reply->fault == COLLECT_LOST || reply->fault == COLLECT_STOPPED))
        *st = err_set(t->e, ST_IO, "%s", reply->text);
    return *st == ST_OK && reply->fault == COLLECT_GOOD;
}

static void judge(struct trial *t, const struct collect_point *it, struct num v, uint16_t q)
{
    char number[NUM_TEXT_BYTES];
    const char *unit = it->quantity->unit;
    if (v.kind == NUM_NONE) {
        t->none++;
        return;
    }
    (void)snprintf(number, sizeof number, "%.6g", num_double(v));
    if (q & WIRE_Q_LIMITS) {
        (void)snprintf(t->odd, sizeof t->odd, "%s %s%s%s", it->name, number, unit ? " " : "",
                       unit ? unit : "");
        return;
    }
    t->within++;
    if (num_double(v) == 0 || it->decoder.form == COLLECT_BIT) {
        t->zeros++;
        return;
    }
    size_t n = strlen(t->values);
    if (t->shown++ < SHOWN)
        (void)snprintf(t->values + n, sizeof t->values - n, ", %s %s%s%s", it->name, number,
                       unit ? " " : "", unit ? unit : "");
}

static void take_item(struct trial *t, const struct collect_item *item, const uint8_t *data)
{
    struct collect_planned *of = &t->plan.values[item->value];
    const struct collect_point *it = &t->p->points[of->point];
    struct num v = {.kind = NUM_NONE};
    uint16_t q = 0;
    if (!it->quantity)
        return;
    if (it->decoder.form == COLLECT_BIT) {
        q = collect_decode_bit(data, item->at, &v);
    } else {
        const uint8_t *whole = collect_plan_gather(of, item, data + (size_t)2 * item->at);
        if (!whole)
            return; /* there are more pieces to come */
        q = collect_decode(&it->decoder, whole, &v);
    }
    judge(t, it, v, q);
}

/* A request that is refused may be one over holes: its points alone then. */
static bool read_request(struct trial *t, const struct collect_request *r, enum st *st)
{
    struct collect_reply reply;
    if (ask(t, r, &reply, st)) {
        for (uint32_t i = r->first; i < r->first + r->n; i++)
            take_item(t, &t->plan.items[i], reply.data);
        return true;
    }
    if (*st != ST_OK || reply.fault != COLLECT_EXCEPTION || r->n == 1)
        return misfit(t, reply.fault == COLLECT_EXCEPTION ? "refuses" : "does not answer", r);
    for (uint32_t i = r->first; i < r->first + r->n; i++) {
        struct collect_item item = t->plan.items[i];
        struct collect_request one = collect_plan_range(&t->plan, t->p, i, 1);
        if (!ask(t, &one, &reply, st))
            return misfit(t, "refuses", &one);
        item.at = (uint16_t)(item.at + r->address - one.address);
        take_item(t, &item, reply.data);
    }
    return true;
}

/* What a string says of a device; a serial number may be an integer, too. */
static bool read_identity(struct trial *t, size_t i, enum st *st)
{
    const struct collect_point *it = &t->p->points[i];
    struct collect_reply reply;
    char text[NUM_TEXT_BYTES] = ""; /* a string has 250 at most */
    uint16_t at;
    struct collect_request r = collect_plan_single(t->p, i, &at);
    if (!ask(t, &r, &reply, st))
        return misfit(t, reply.fault == COLLECT_EXCEPTION ? "refuses" : "does not answer", &r);
    const uint8_t *data = reply.data + (size_t)2 * at;
    if (collect_types[it->type].form == COLLECT_STRING) {
        collect_decode_text(data, (unsigned)it->count, it->order, text, sizeof text);
        if (strchr(text, '?'))
            text[0] = '\0';
    } else {
        struct num v;
        (void)collect_decode(&it->decoder, data, &v);
        if (v.kind != NUM_NONE && num_double(v) != 0)
            (void)num_text(v, text);
    }
    size_t n = strlen(t->identity);
    if (text[0]) {
        (void)snprintf(t->identity + n, sizeof t->identity - n, ", %s %s", it->name, text);
        t->fit->telling += IDENTITY_TELLS;
    }
    return true;
}

static void conclude(struct trial *t)
{
    struct collect_fit *f = t->fit;
    unsigned n = t->within + t->none;
    f->telling += t->within - t->zeros;
    f->fits = !t->odd[0] && f->telling > 0;
    if (t->odd[0])
        (void)snprintf(f->why, sizeof f->why, "%s is outside its limits", t->odd);
    else if (f->telling == 0)
        (void)snprintf(f->why, sizeof f->why,
                       "what it answers is 0 or no value, which says nothing");
    else
        (void)snprintf(f->why, sizeof f->why,
                       "%u of %u values within their limits, %u of them not 0%s%s", t->within, n,
                       t->within - t->zeros, t->identity, t->values);
}

/* A SunSpec device says itself which models it has. */
static enum st fit_models(struct trial *t)
{
    struct collect_walk w;
    struct collect_request r = {.function = 3};
    enum st st = ST_OK;
    for (size_t i = t->p->n; i-- > 0;)
        if (t->p->points[i].models.n > 0)
            r.function = (uint8_t)t->p->points[i].function;
    collect_walk_begin(&w, 0);
    while (collect_walk_next(&w, &r.address, &r.count)) {
        struct collect_reply reply;
        bool got = ask(t, &r, &reply, &st);
        if (st != ST_OK)
            return st;
        if (!got && reply.fault != COLLECT_EXCEPTION) {
            (void)misfit(t, "does not answer", &r);
            return ST_OK;
        }
        collect_walk_heard(&w, got ? reply.data : NULL);
    }
    for (size_t i = 0; w.state == COLLECT_WALK_DONE && i < t->p->n; i++) {
        const struct cfg_ints *ids = &t->p->points[i].models;
        const struct collect_model *m =
            ids->n > 0 ? collect_chain_find(&w.chain, ids, t->p->instance, 0) : NULL;
        t->fit->telling += m && m->id != SUNSPEC_COMMON;
    }
    t->fit->fits = t->fit->telling > 0;
    (void)snprintf(t->fit->why, sizeof t->fit->why, "%s",
                   w.state == COLLECT_WALK_BAD ? w.why
                   : t->fit->fits              ? "it has SunSpec models that this profile reads"
                                               : "it has no SunSpec model that this profile reads");
    return ST_OK;
}

static enum st fit_one(struct trial *t, bool *wanted)
{
    const struct collect_profile *p = t->p;
    if (p->sunspec)
        return fit_models(t);
    static const struct collect_bus_cfg none = {.type = COLLECT_TCP};
    struct collect_line line = collect_line_make(&none, p, -1);
    enum st st = ST_OK;
    memset(wanted, 1, p->n * sizeof *wanted);
    ERR_TRY(collect_plan_make(&t->plan, p, wanted, &line, t->e));
    bool good = true;
    for (size_t i = 0; good && i < p->n; i++)
        if (p->points[i].identity || collect_types[p->points[i].type].form == COLLECT_STRING)
            good = read_identity(t, i, &st);
    for (size_t i = 0; good && i < t->plan.nrequests; i++)
        good = read_request(t, &t->plan.requests[i], &st);
    if (good)
        conclude(t);
    else
        t->fit->telling = 0;
    collect_plan_done(&t->plan);
    return st;
}

static int worth(const void *a, const void *b)
{
    const struct collect_fit *x = a, *y = b;
    if (x->fits != y->fits)
        return y->fits - x->fits;
    if (x->telling != y->telling)
        return y->telling > x->telling ? 1 : -1;
    return strcmp(x->name, y->name);
}

enum st collect_fit_all(const struct collect_set *s, const struct collect_scan_calls *calls,
                        const struct collect_ask *base, struct collect_fit *fits, struct err *e)
{
    enum st st = ST_OK;
    for (size_t i = 0; i < s->n && st == ST_OK; i++) {
        struct trial t = {.p = &s->v[i], .calls = calls, .base = base, .fit = &fits[i], .e = e};
        bool *wanted = calloc(s->v[i].n, sizeof *wanted);
        if (!wanted)
            return err_set(e, ST_MEMORY, "no memory for profile %s", s->names[i]);
        fits[i] = (struct collect_fit){.fits = false};
        (void)snprintf(fits[i].name, sizeof fits[i].name, "%s", s->names[i]);
        (void)snprintf(fits[i].model, sizeof fits[i].model, "%s", s->v[i].model);
        st = fit_one(&t, wanted);
        free(wanted);
    }
    if (st == ST_OK)
        qsort(fits, s->n, sizeof *fits, worth);
    return st;
}
