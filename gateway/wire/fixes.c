/* All entries that say something of readings, and what they make of one. */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/wire/wire_int.h"

#define FIXES_MAX 10000 /* that are in force; more than people sign */

struct fix {
    char series[WIRE_SERIES_BYTES]; /* or device/STAR, of a calibration */
    uint8_t *id;                    /* CBOR; NULL: a calibration */
    size_t id_n;
    int64_t from_ms, to_ms;
    struct wire_fix f;
};
struct wire_fixes {
    struct fix *v;
    size_t n;
    int64_t from_ms, to_ms; /* of all of them */
    char point[WIRE_SERIES_BYTES + 16];
};

enum st wire_fixes_open(struct wire_fixes **out, struct err *e)
{
    *out = calloc(1, sizeof(**out));
    if (!*out)
        return err_set(e, ST_MEMORY, "no memory for corrections");
    (*out)->from_ms = INT64_MAX;
    (*out)->to_ms = INT64_MIN;
    return ST_OK;
}

void wire_fixes_close(struct wire_fixes *x)
{
    size_t i;

    for (i = 0; x && i < x->n; i++)
        free(x->v[i].id);
    free(x ? x->v : NULL);
    free(x);
}

static bool replaces(const struct fix *f, const struct fix *was)
{
    if (f->id && was->id)
        return f->id_n == was->id_n && memcmp(f->id, was->id, f->id_n) == 0;
    return !f->id && !was->id && f->from_ms == was->from_ms && strcmp(f->series, was->series) == 0;
}

/* What it replaces goes; the new one is the last. */
static enum st add(struct wire_fixes *x, const struct fix *f, struct err *e)
{
    struct fix *p;
    size_t i, kept = 0;

    for (i = 0; i < x->n; i++) {
        if (replaces(f, &x->v[i]))
            free(x->v[i].id);
        else
            x->v[kept++] = x->v[i];
    }
    x->n = kept;
    if (x->n == FIXES_MAX)
        return err_set(e, ST_FULL, "more than %d corrections are in force", FIXES_MAX);
    p = reallocarray(x->v, x->n + 1, sizeof(*p));
    if (!p)
        return err_set(e, ST_MEMORY, "no memory for corrections");
    x->v = p;
    p[x->n++] = *f;
    x->from_ms = f->from_ms < x->from_ms ? f->from_ms : x->from_ms;
    x->to_ms = f->to_ms > x->to_ms ? f->to_ms : x->to_ms;
    return ST_OK;
}

enum st wire_fixes_add(struct wire_fixes *x, const struct wire_entry *entry, struct err *e)
{
    struct fix f = {.from_ms = entry->at_ms, .to_ms = entry->to_ms};
    bool correct = entry->kind == WIRE_ENTRY_CORRECT;
    enum st st;

    if (!correct && !(entry->kind == WIRE_ENTRY_MAINTAIN && wire_is(entry->text, "calibration")))
        return ST_OK;
    if (entry->series.n >= sizeof(f.series) || (correct && !wire_fix_of(entry, &f.f)))
        return err_set(e, ST_CORRUPT, "a correct entry for %.*s without what it needs",
                       (int)entry->series.n, (const char *)entry->series.p);
    memcpy(f.series, entry->series.p, entry->series.n);
    if (correct) {
        f.id_n = entry->id.n;
        f.id = malloc(f.id_n + 1);
        if (!f.id)
            return err_set(e, ST_MEMORY, "no memory for corrections");
        memcpy(f.id, entry->id.p, f.id_n);
    }
    st = add(x, &f, e);
    if (st)
        free(f.id);
    return st;
}

static bool is_of(const char *series, struct wire_span device, struct wire_span point)
{
    const char *rest;

    if (strncmp(series, (const char *)device.p, device.n) != 0 || series[device.n] != '/')
        return false;
    rest = series + device.n + 1;
    return strcmp(rest, "*") == 0 ||
           (strlen(rest) == point.n && memcmp(rest, point.p, point.n) == 0);
}

/* A thinned value stands for many: a count is not scaled, and what was the least is the greatest
 * when the scale turns them round. */
static void apply_thinned(const struct wire_fix *f, struct wire_fixed *fate, struct num *v,
                          const char **suffix)
{
    bool scales = f->what == WIRE_RESCALE;

    if (scales && strcmp(*suffix, ":count") == 0)
        return;
    wire_fix_apply(f, fate, v);
    if (scales && f->scale.i < 0 && strcmp(*suffix, ":min") == 0)
        *suffix = ":max";
    else if (scales && f->scale.i < 0 && strcmp(*suffix, ":max") == 0)
        *suffix = ":min";
}

/* The reading gets the name that it has now. */
static void rename_to(struct wire_fixes *x, const struct wire_fix *name, struct wire_span base,
                      const char *suffix, struct wire_reading *r)
{
    const char *slash = name ? strchr(name->target, '/') : NULL;
    int n;

    if (slash) {
        r->device =
            (struct wire_span){(const uint8_t *)name->target, (size_t)(slash - name->target)};
        base = (struct wire_span){(const uint8_t *)slash + 1, strlen(slash + 1)};
    }
    n = snprintf(x->point, sizeof(x->point), "%.*s%s", (int)base.n, (const char *)base.p, suffix);
    r->point = (struct wire_span){(const uint8_t *)x->point, (size_t)n};
}

bool wire_fixes_apply(struct wire_fixes *x, struct wire_reading *r)
{
    struct wire_span base = r->point;
    struct wire_fixed fate = {0};
    const uint8_t *colon;
    char was[16] = "";
    const char *suffix = was;
    size_t i;

    if (r->t_ms < x->from_ms || r->t_ms >= x->to_ms)
        return true;
    colon = memchr(base.p, ':', base.n);
    if (colon) {
        (void)snprintf(was, sizeof(was), "%.*s", (int)(base.p + base.n - colon),
                       (const char *)colon);
        base.n = (size_t)(colon - base.p);
    }
    for (i = 0; i < x->n; i++) {
        const struct fix *f = &x->v[i];

        if (r->t_ms < f->from_ms || r->t_ms >= f->to_ms || !is_of(f->series, r->device, base))
            continue;
        if (f->id)
            apply_thinned(&f->f, &fate, &r->v, &suffix);
        else
            r->q |= WIRE_Q_CALIBRATING;
    }
    if (fate.gone)
        return false;
    if (fate.name || suffix != was)
        rename_to(x, fate.name, base, suffix, r);
    return true;
}
