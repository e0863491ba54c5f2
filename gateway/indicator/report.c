/* A report: which rows it has, and where their figures come from. */
#include <gmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/report_int.h"

#define LAG_DAYS 2 /* the gateway may be about to compute the last days */

struct maker {
    struct report *r;
    const struct indicator_catalogue *catalogue;
    const struct report_ask *ask;
    const struct report_source *source;
    char **instance; /* all that the source has, sorted */
    size_t n, room;
    struct err *e;
};

static enum st no_memory(struct err *e)
{
    return err_set(e, ST_MEMORY, "no memory for a report");
}

/* ---- instances ----------------------------------------------------------------------------------
 */

static enum st collect(void *ctx, const char *instance)
{
    struct maker *m = ctx;
    if (m->n == m->room) {
        size_t room = m->room ? 2 * m->room : 32;
        char **more = realloc(m->instance, room * sizeof *more);
        if (!more)
            return no_memory(m->e);
        m->instance = more;
        m->room = room;
    }
    m->instance[m->n] = strdup(instance);
    return m->instance[m->n++] ? ST_OK : no_memory(m->e);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "ID" or "ID.DEVICE": ids of indicators have no dot. */
static bool is_of(const char *instance, const char *id)
{
    size_t n = strlen(id);
    return strncmp(instance, id, n) == 0 && (instance[n] == '\0' || instance[n] == '.');
}

static const struct store_device *named(const struct maker *m, const char *id)
{
    for (uint32_t i = 0; m->ask->names && i < store_device_count(m->ask->names); i++)
        if (strcmp(store_device_at(m->ask->names, i)->id, id) == 0)
            return store_device_at(m->ask->names, i);
    return NULL;
}

/* What an instance is about, as people call it: a place that it has as a device of its own, for the
 * one that it is called after may have moved. */
static const char *about(struct maker *m, const struct indicator_def *d, const char *instance)
{
    const char *dot = strchr(instance, '.'), *device = dot ? dot + 1 : "";
    const struct store_device *own = named(m, instance), *x = dot ? named(m, device) : NULL;
    const char *name = x ? x->name : NULL;
    if (d->by == INDICATOR_PLACE && own && own->place && *own->place)
        name = own->place;
    else if (d->by == INDICATOR_PLACE && x && x->place && *x->place)
        name = x->place;
    return report_text(m->r, name && *name ? name : device);
}

/* ---- rows ---------------------------------------------------------------------------------------
 */

static struct report_row *add_row(struct maker *m, const struct indicator_def *d)
{
    struct report *r = m->r;
    if (r->n == REPORT_ROWS_MAX) {
        (void)err_set(m->e, ST_FULL, "more than %d rows: ask for fewer indicators",
                      REPORT_ROWS_MAX);
        return NULL;
    }
    struct report_row *x = &r->rows[r->n];
    if (report_row_of(r, x, d, m->catalogue, m->ask->territory, m->e) != ST_OK)
        return NULL;
    r->n++;
    return x;
}

/* Of several those that have figures in the period; where none has, all: each says so. */
static enum st add_instances(struct maker *m, const struct indicator_def *d, size_t from, size_t to)
{
    struct report *r = m->r;
    size_t first = r->n, kept = first;
    bool some = false;
    for (size_t i = from; i < to; i++) {
        struct report_row *x = add_row(m, d);
        bool any = false;
        if (!x)
            return m->e->st;
        x->instance = report_text(r, m->instance[i]);
        x->about = about(m, d, m->instance[i]);
        if (!x->instance || !x->about)
            return no_memory(m->e);
        ERR_TRY(report_row_fill(r, x, d, m->ask->territory, m->source, &any, m->e));
        some = some || any;
    }
    for (size_t i = first; i < r->n; i++)
        if (!some || r->rows[i].nruns > 0)
            r->rows[kept++] = r->rows[i];
    r->n = kept;
    return ST_OK;
}

static enum st add_indicator(struct maker *m, const struct indicator_def *d)
{
    size_t from = 0, to;
    while (from < m->n && !is_of(m->instance[from], d->id))
        from++;
    for (to = from; to < m->n && is_of(m->instance[to], d->id); to++)
        ;
    if (to > from)
        return add_instances(m, d, from, to);
    if (!report_target_of(d, m->ask->territory, m->r->period.year))
        return ST_OK;
    return add_row(m, d) ? ST_OK : m->e->st;
}

static enum st seen(void *ctx, const struct report_figure *f)
{
    (void)ctx;
    (void)f;
    return ST_FULL; /* that was enough */
}

/* Figures of what is in the catalogue no more: nobody can say what they mean. */
static enum st add_stranger(struct maker *m, const char *instance)
{
    const struct report_period *p = &m->r->period;
    char id[65];
    (void)snprintf(id, sizeof id, "%.*s", (int)strcspn(instance, "."), instance);
    if (indicator_catalogue_find(m->catalogue, id) || m->r->until_day < p->from_day)
        return ST_OK;
    struct err e;
    enum st st = m->source->figures(m->source->ctx, instance, indicator_day_ms(p->from_day),
                                    indicator_day_ms(m->r->until_day + 1), seen, NULL, &e);
    if (st != ST_FULL)
        return st == ST_OK ? st : err_set(m->e, st, "%s", e.text);
    const struct indicator_def unknown = {
        .id = id, .name = {id, id}, .label = INDICATOR_INDICATIVE, .formula = id};
    struct report_row *x = add_row(m, &unknown);
    if (!x)
        return m->e->st;
    x->instance = report_text(m->r, instance);
    x->reason = "uncatalogued";
    x->reason_text[REPORT_VI] = "Danh mục không còn chỉ tiêu này";
    x->reason_text[REPORT_EN] = "The catalogue has no such indicator any more";
    return x->instance ? ST_OK : no_memory(m->e);
}

static int by_id(const void *a, const void *b)
{
    const struct report_row *x = a, *y = b;
    int c = strcmp(x->id, y->id);
    return c != 0 ? c : strcmp(x->instance, y->instance);
}

static enum st add_rows(struct maker *m)
{
    ERR_TRY(m->source->instances(m->source->ctx, collect, m, m->e));
    if (m->n > 0)
        qsort(m->instance, m->n, sizeof *m->instance, by_name);
    for (size_t i = 0; i < indicator_catalogue_count(m->catalogue); i++)
        ERR_TRY(add_indicator(m, indicator_catalogue_at(m->catalogue, i)));
    for (size_t i = 0; i < m->n; i++)
        ERR_TRY(add_stranger(m, m->instance[i]));
    if (m->r->n > 0)
        qsort(m->r->rows, m->r->n, sizeof *m->r->rows, by_id);
    return ST_OK;
}

/* ---- the head
 * ------------------------------------------------------------------------------------ */

/* The last day that is over; where the gateway is about to compute it, the last that it has. */
static int32_t until(const struct report_period *p, int64_t now_ms, int64_t done_ms)
{
    int32_t over = indicator_day_of(now_ms) - 1, done = indicator_day_of(done_ms) - 1;
    int32_t last = done < over && over - done <= LAG_DAYS ? done : over;
    return last < p->from_day ? p->from_day - 1 : last < p->to_day ? last : p->to_day;
}

static enum st head(struct report *r, const struct report_ask *ask,
                    const struct indicator_catalogue *c, int64_t done_ms)
{
    char hash[2 * WIRE_HASH_BYTES + 1];
    const struct report_territory *t = ask->territory;
    r->period = *ask->period;
    const struct report_duty *duty = report_duty_of(t, &r->period, &r->due_day);
    wire_hex(indicator_catalogue_hash(c), WIRE_HASH_BYTES, hash);
    const struct {
        const char **to, *from;
    } texts[] = {{&r->gateway, ask->gateway},
                 {&r->site, ask->site},
                 {&r->territory, t->id},
                 {&r->code, t->code},
                 {&r->territory_name[REPORT_VI], t->name[REPORT_VI]},
                 {&r->territory_name[REPORT_EN], t->name[REPORT_EN]},
                 {&r->office, t->office},
                 {&r->duty_to, duty ? duty->to : NULL},
                 {&r->duty_source, duty ? duty->source : NULL},
                 {&r->catalogue, hash}};
    bool good = true;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        good &= (*texts[i].to = report_text(r, texts[i].from)) != NULL;
    r->until_day = until(&r->period, ask->now_ms, done_ms);
    r->until_day = ask->until_day < r->until_day ? ask->until_day : r->until_day;
    r->made_ms = ask->now_ms;
    r->rows = report_bytes(r, REPORT_ROWS_MAX * sizeof *r->rows);
    return good && r->rows ? ST_OK : ST_MEMORY;
}

enum st report_make_from(struct report *out, const struct indicator_catalogue *c,
                         const struct report_ask *ask, const struct report_source *s,
                         int64_t done_ms, struct err *e)
{
    struct err why = {.st = ST_MEMORY, .text = ""};
    struct maker m = {.r = out, .catalogue = c, .ask = ask, .source = s, .e = &why};
    report_init(out);
    enum st st = head(out, ask, c, done_ms);
    st = st == ST_OK ? add_rows(&m) : no_memory(&why);
    if (st == ST_OK)
        st = report_seal(out, &why);
    for (size_t i = 0; i < m.n; i++)
        free(m.instance[i]);
    free(m.instance);
    return st == ST_OK ? st : err_set(e, st, "%s", why.text);
}

/* ---- from a store
 * -------------------------------------------------------------------------------- */

struct from_store {
    struct store_reader *r;
    /* of the call that goes on */
    enum st (*each)(void *ctx, const char *instance);
    report_take *take;
    void *ctx;
    struct fold_result figure;
    int64_t last_ms; /* where the last one began */
    size_t n;
    enum st st;
    struct err *e;
};

static bool tell_name(void *ctx, const char *indicator)
{
    struct from_store *f = ctx;
    f->st = f->each(f->ctx, indicator);
    return f->st == ST_OK;
}

static enum st instances(void *ctx, enum st (*each)(void *each_ctx, const char *instance),
                         void *each_ctx, struct err *e)
{
    struct from_store *f = ctx;
    f->each = each;
    f->ctx = each_ctx;
    f->st = ST_OK;
    ERR_TRY(store_partial_names(f->r, tell_name, f, e));
    return f->st;
}

/* "p/q"; "": there is none. */
static bool rational(const char *text, mpq_ptr to, bool *there)
{
    *there = text[0] != '\0';
    if (!*there)
        return true;
    return mpq_set_str(to, text, 10) == 0 && mpz_sgn(mpq_denref(to)) > 0;
}

static bool tell_figure(void *ctx, const struct store_partial *p)
{
    struct from_store *f = ctx;
    struct fold_result *r = &f->figure;
    r->from_ms = p->from_ms;
    r->to_ms = p->to_ms;
    r->reason = (enum fold_reason)p->reason;
    r->value = (struct num){.kind = NUM_NONE};
    r->due = p->due;
    r->good = p->good;
    bool good = p->reason >= 0 && p->reason < FOLD_REASONS &&
                (!p->value[0] || num_parse(p->value, &r->value)) &&
                rational(p->numerator, r->num, &r->has_num) &&
                rational(p->denominator, r->den, &r->has_den);
    const struct report_figure figure = {.from_ms = p->from_ms, .revision = p->revision, .r = r};
    f->st = good ? f->take(f->ctx, &figure)
                 : err_set(f->e, ST_CORRUPT, "the store's figures of %s are damaged", p->indicator);
    f->last_ms = p->from_ms;
    f->n++;
    return f->st == ST_OK && f->n % 64 != 0; /* a call is one transaction: be short */
}

static enum st figures(void *ctx, const char *instance, int64_t from_ms, int64_t to_ms,
                       report_take *take, void *take_ctx, struct err *e)
{
    struct from_store *f = ctx;
    f->take = take;
    f->ctx = take_ctx;
    f->st = ST_OK;
    f->e = e;
    f->n = 0;
    do {
        size_t before = f->n;
        enum st st = store_partial_each(f->r, instance, from_ms, to_ms, tell_figure, f, e);
        if (st != ST_OK && st != ST_NOT_FOUND)
            return st;
        if (f->n == before)
            break;
        from_ms = f->last_ms + 1;
    } while (f->st == ST_OK && f->n % 64 == 0);
    return f->st;
}

enum st report_make(struct report *out, const struct indicators *x, const struct report_ask *ask,
                    struct store_reader *r, struct err *e)
{
    struct from_store f = {.r = r};
    const struct report_source s = {.ctx = &f, .instances = instances, .figures = figures};
    struct store_partial_progress p = {.done_ms = 0};
    report_init(out);
    if (!x->catalogue)
        return err_set(e, ST_BAD,
                       "the configuration has no section `indicator`: add `indicator: {}`, and "
                       "figures are computed from then on");
    enum st st = store_partial_progress_get(r, &p, e);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    fold_result_init(&f.figure);
    st = report_make_from(out, x->catalogue, ask, &s, p.done_ms, e);
    fold_result_done(&f.figure);
    return st;
}
