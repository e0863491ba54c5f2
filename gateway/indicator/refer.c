/* What the files of a catalogue say of each other: whose values an indicator takes, which limit
 * stands beside it, and what its formulas name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/indicator_int.h"

struct refer {
    struct indicator_file *files;
    size_t n;
    const char **ids; /* of the indicators, for hints */
    size_t nids;
    size_t *order, norder;
    enum mark { NEW, OPEN, DONE } * mark; /* of each file */
    size_t *path, npath;                  /* files that are OPEN, in the order of the walk */
    bool broken;                          /* a formula named a norm that has mistakes */
};

/* Whether its content may be looked at: it is an indicator's, and was read. */
static bool is_def(const struct indicator_file *f)
{
    return !f->is_norm && f->def.id;
}

/* The file of that name; an id is the name of its file. */
static struct indicator_file *find(const struct refer *r, bool is_norm, const char *id)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct indicator_file *f = &r->files[i];
        const char *name = f->name + (f->is_norm ? strlen(INDICATOR_NORM_PREFIX) : 0);
        size_t n = strlen(id);
        if (f->is_norm == is_norm && strncmp(name, id, n) == 0 && strcmp(name + n, ".yaml") == 0)
            return &r->files[i];
    }
    return NULL;
}

static const struct indicator_norm *find_norm(void *ctx, const char *id)
{
    struct refer *r = ctx;
    const struct indicator_file *f = find(r, true, id);
    r->broken |= f && !f->good;
    return f && f->good ? &f->norm : NULL;
}

/* ---- indicators that feed indicators -------------------------------------------------------- */

static void check_fed(struct refer *r, struct indicator_file *f, const struct indicator_input *in,
                      const struct quantity **q)
{
    const struct indicator_file *from = find(r, false, in->indicator);
    const struct indicator_def *d = &f->def;
    if (!from) {
        const char *near = cfg_nearest(in->indicator, r->ids, r->nids);
        cfg_complain(f->cfg, &in->indicator, "unknown indicator \"%s\"%s%s%s", in->indicator,
                     near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
        return;
    }
    if (!is_def(from))
        return; /* it has been told what is wrong with that file */
    *q = from->def.q;
    if (!from->def.formula && !from->def.numerator)
        cfg_complain(f->cfg, &in->indicator, "%s has no values: it is a target alone",
                     in->indicator);
    else if (from->def.by != d->by)
        cfg_complain(f->cfg, &in->indicator, "%s is by another thing: `by` of both is the same",
                     in->indicator);
    else if (from->def.period == INDICATOR_DAY && d->period == INDICATOR_HOUR)
        cfg_complain(f->cfg, &in->indicator, "%s has one value a day, which no hour can take",
                     in->indicator);
}

static void complain_cycle(struct refer *r, struct indicator_file *f,
                           const struct indicator_input *in, size_t to)
{
    char text[300];
    size_t at = 0, n = 0;
    while (r->path[at] != to)
        at++;
    for (; at < r->npath && n < sizeof text; at++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s → ", r->files[r->path[at]].def.id);
    if (n < sizeof text)
        (void)snprintf(text + n, sizeof text - n, "%s", r->files[to].def.id);
    else
        (void)snprintf(text + sizeof text - 4, 4, "...");
    cfg_complain(f->cfg, &in->indicator, "a cycle: %s", text);
}

/* Depth first; a file comes behind those that it takes values of. At most INDICATOR_FILES_MAX deep.
 */
static void visit(struct refer *r, size_t i)
{
    struct indicator_file *f = &r->files[i];
    struct indicator_def *d = &f->def;
    const struct indicator_input *in = d->inputs.v;
    r->mark[i] = OPEN;
    r->path[r->npath++] = i;
    for (size_t k = 0; k < d->inputs.n; k++) {
        const struct indicator_file *from =
            in[k].indicator ? find(r, false, in[k].indicator) : NULL;
        if (!from || !is_def(from))
            continue;
        size_t to = (size_t)(from - r->files);
        if (r->mark[to] == OPEN)
            complain_cycle(r, f, &in[k], to);
        else if (r->mark[to] == NEW)
            visit(r, to);
    }
    r->npath--;
    r->mark[i] = DONE;
    r->order[r->norder++] = i;
}

/* ---- limits --------------------------------------------------------------------------------- */

static void check_limit(struct refer *r, struct indicator_file *f)
{
    const struct indicator_def *d = &f->def;
    r->broken = false;
    const struct indicator_norm *n = d->limit.norm ? find_norm(r, d->limit.norm) : NULL;
    if (!n) {
        if (d->limit.norm && !r->broken)
            cfg_complain(f->cfg, &d->limit.norm, "unknown norm \"%s\"", d->limit.norm);
        return;
    }
    const struct indicator_limit *l = n->limit.v;
    for (size_t i = 0; i < n->limit.n; i++)
        if (strcmp(l[i].parameter, d->limit.parameter) == 0 &&
            strcmp(l[i].window, d->limit.window) == 0) {
            if (d->q && !indicator_same_unit(l[i].unit, d->q->unit))
                cfg_complain(f->cfg, &d->limit, "%s limits %s in %s, not in %s", n->id,
                             d->limit.parameter, l[i].unit ? l[i].unit : "none",
                             d->q->unit ? d->q->unit : "none");
            return;
        }
    cfg_complain(f->cfg, &d->limit.parameter, "%s has no limit of %s over %s", n->id,
                 d->limit.parameter, d->limit.window);
}

/* ---- formulas ------------------------------------------------------------------------------- */

/* true: *unit is that of the formula. */
static bool parse(struct refer *r, struct indicator_file *f, char *const *text, const char *key,
                  struct formula **out, const char **unit, enum st *worst)
{
    const struct formula_scope scope = {
        .def = &f->def, .quantities = f->def.quantities, .norm = find_norm, .ctx = r};
    size_t at = 0;
    struct err e = {0};
    r->broken = false;
    enum st st = formula_parse(out, *text, &scope, unit, &at, &e);
    if (st == ST_MEMORY)
        *worst = st;
    else if (st != ST_OK && !r->broken)
        cfg_complain(f->cfg, text, "%s, from character %zu on: %s", key, at + 1, e.text);
    return st == ST_OK;
}

/* A bare number becomes what is declared of it; any other unit is the quantity's own. */
static bool fits(const char *unit, const char *declared)
{
    return indicator_same_unit(unit, declared) ||
           (indicator_same_unit(unit, NULL) &&
            (strcmp(declared, "/100") == 0 || strcmp(declared, "/") == 0));
}

static void check_unit(struct indicator_file *f, const void *member, const char *num,
                       const char *den)
{
    const struct indicator_def *d = &f->def;
    if (den && !indicator_same_unit(num, den)) {
        cfg_complain(f->cfg, member, "a ratio of %s and %s has no unit of the catalogue",
                     num ? num : "a bare number", den);
        return;
    }
    const char *unit = den ? NULL : num;
    if (!fits(unit, d->q->unit))
        cfg_complain(f->cfg, member, "the formula gives %s, but %s is in %s",
                     unit ? unit : "a bare number", d->q->key, d->q->unit ? d->q->unit : "none");
}

static enum st check_formulas(struct refer *r, struct indicator_file *f)
{
    struct indicator_def *d = &f->def;
    const char *num = NULL, *den = NULL;
    enum st worst = ST_OK;
    bool good = d->q && d->inputs.n > 0;
    const struct indicator_input *in = d->inputs.v;
    for (size_t i = 0; i < d->inputs.n; i++) /* else it has been told */
        good &= d->quantities[i] ||
                (in[i].quantity.n > 0 && strcmp(in[i].quantity.v[0], INDICATOR_ANY) == 0);
    if (!good || !(d->formula || (d->numerator && d->denominator)))
        return ST_OK;
    if (d->formula) {
        if (parse(r, f, &d->formula, "formula", &d->num, &num, &worst))
            check_unit(f, &d->formula, num, NULL);
        return worst;
    }
    good = parse(r, f, &d->numerator, "numerator", &d->num, &num, &worst);
    good &= parse(r, f, &d->denominator, "denominator", &d->den, &den, &worst);
    if (good)
        check_unit(f, &d->numerator, num, den);
    return worst;
}

enum st indicator_refer(struct indicator_file *files, size_t n, size_t *order, size_t *norder,
                        struct err *e)
{
    struct refer r = {.files = files, .n = n, .order = order};
    enum st st = ST_OK;
    r.ids = calloc(n + 1, sizeof *r.ids);
    r.mark = calloc(n + 1, sizeof *r.mark);
    r.path = calloc(n + 1, sizeof *r.path);
    if (!r.ids || !r.mark || !r.path) {
        st = err_set(e, ST_MEMORY, "no memory for the catalogue of indicators");
        goto out;
    }
    for (size_t i = 0; i < n; i++)
        if (is_def(&files[i]))
            r.ids[r.nids++] = files[i].def.id;
    for (size_t i = 0; i < n; i++) {
        struct indicator_input *in = files[i].def.inputs.v;
        for (size_t k = 0; is_def(&files[i]) && k < files[i].def.inputs.n; k++)
            if (in[k].indicator)
                check_fed(&r, &files[i], &in[k], &files[i].def.quantities[k]);
    }
    for (size_t i = 0; i < n; i++)
        if (is_def(&files[i]) && r.mark[i] == NEW)
            visit(&r, i);
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        if (!is_def(&files[i]))
            continue;
        check_limit(&r, &files[i]);
        if (check_formulas(&r, &files[i]) == ST_MEMORY)
            st = err_set(e, ST_MEMORY, "no memory for the formulas of the indicators");
    }
out:
    *norder = r.norder;
    free(r.ids);
    free(r.mark);
    free(r.path);
    return st;
}
