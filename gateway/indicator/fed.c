/* What the configuration said of each series, as text: a line for each time of each series,
 * "device/point quantity gone until role stream place capacity", between tabs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/fed_int.h"

#define FIELDS 8
#define FIGURE '='

static enum st no_memory(struct err *e)
{
    return err_set(e, ST_MEMORY, "indicators: no memory for what feeds them");
}

static bool is_figure(const struct fed_line *l)
{
    return l->device[0] == FIGURE;
}

static bool same_series(const struct fed_line *a, const struct fed_line *b)
{
    return strcmp(a->point, b->point) == 0 && strcmp(a->device, b->device) == 0;
}

/* ---- read ---- */

static bool day_of(const char *text, int32_t *day)
{
    char *end;
    long long v = strtoll(text, &end, 10);
    *day = (int32_t)v;
    return end != text && *end == '\0' && v >= INT32_MIN && v <= INT32_MAX;
}

static bool read_line(char *text, struct fed_line *l)
{
    char *field[FIELDS];
    for (size_t i = 0; i < FIELDS; i++) {
        field[i] = text;
        if (i + 1 == FIELDS)
            break;
        text = strchr(text, '\t');
        if (!text)
            return false;
        *text++ = '\0';
    }
    char *slash = strchr(field[0], '/');
    if (!slash)
        return false;
    *slash = '\0';
    *l = (struct fed_line){.device = field[0],
                           .point = slash + 1,
                           .quantity = field[1],
                           .role = field[4],
                           .stream = field[5],
                           .place = field[6],
                           .capacity = field[7]};
    return day_of(field[2], &l->gone) && day_of(field[3], &l->until_day);
}

/* Each series' lines fill all time. */
static bool fill_time(struct fed *f)
{
    for (uint32_t i = 0; i < f->n; i++) {
        struct fed_line *l = &f->line[i];
        bool first = i == 0 || !same_series(l - 1, l);
        bool last = i + 1 == f->n || !same_series(l, l + 1);
        l->from_day = first ? INT32_MIN : l[-1].until_day + 1;
        if (last != (l->until_day == INT32_MAX) || l->until_day < l->from_day)
            return false;
    }
    return true;
}

enum st fed_read(struct fed *out, struct wire_span text, struct err *e)
{
    uint32_t lines = 0;
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    *out = (struct fed){.text = malloc(text.n + 1),
                        .line = calloc(lines + (size_t)1, sizeof *out->line)};
    if (!out->text || !out->line)
        return no_memory(e);
    if (text.n)
        memcpy(out->text, text.p, text.n);
    out->text[text.n] = '\0';
    bool good = true;
    for (char *at = out->text, *end; good && (end = strchr(at, '\n')); at = end + 1) {
        *end = '\0';
        good = out->n < lines && read_line(at, &out->line[out->n++]);
    }
    if (!good || !fill_time(out))
        out->n = 0;
    return ST_OK;
}

void fed_done(struct fed *f)
{
    free(f->text);
    free(f->line);
    *f = (struct fed){.text = NULL};
}

/* ---- write ---- */

/* What the format needs is no part of a text. */
static enum st put_field(struct buf *out, char before, const char *text)
{
    enum st st = buf_put(out, &before, 1);
    for (; st == ST_OK && text && *text; text++) {
        char c = (unsigned char)*text < ' ' ? ' ' : *text;
        st = buf_put(out, &c, 1);
    }
    return st;
}

static enum st put_line(struct buf *out, const struct fed_line *l)
{
    enum st st = buf_printf(out, "%s/%s\t%s\t%d\t%d", l->device, l->point, l->quantity,
                            (int)l->gone, (int)l->until_day);
    const char *const texts[] = {l->role, l->stream, l->place, l->capacity};
    for (size_t i = 0; st == ST_OK && i < sizeof texts / sizeof *texts; i++)
        st = put_field(out, '\t', texts[i]);
    return st == ST_OK ? buf_put(out, "\n", 1) : st;
}

static enum st put_series(struct buf *out, const struct store_device *d,
                          const struct store_series *s)
{
    enum st st = ST_OK;
    struct instance_stay t;
    for (uint32_t k = 0; st == ST_OK && instances_stay(d, k, &t); k++) {
        char litres[NUM_TEXT_BYTES];
        const struct fed_line l = {
            .device = d->id,
            .point = s->point,
            .quantity = s->quantity->key,
            .gone = INT32_MAX,
            .until_day = t.until_day,
            .role = t.role,
            .stream = t.stream,
            .place = t.place,
            .capacity = t.capacity.kind == NUM_NONE ? "" : num_text(t.capacity, litres)};
        st = put_line(out, &l);
    }
    return st;
}

static enum st put_figure(struct buf *out, const struct instance *i)
{
    char id[WIRE_SERIES_BYTES];
    (void)snprintf(id, sizeof id, "%c%s", FIGURE, i->id);
    const struct fed_line l = {.device = id,
                               .point = "",
                               .quantity = "",
                               .gone = INT32_MAX,
                               .until_day = INT32_MAX,
                               .place = i->place};
    return put_line(out, &l);
}

/* The first line of that series, looked for from a line on; n: there is none. */
static uint32_t find(const struct fed *f, const struct fed_line *of, uint32_t from)
{
    for (uint32_t k = 0; k < f->n; k++) {
        uint32_t at = from + k < f->n ? from + k : from + k - f->n;
        if (f->line[at].from_day == INT32_MIN && same_series(&f->line[at], of))
            return at;
    }
    return f->n;
}

static enum st put_gone(struct buf *out, const struct fed *was, const struct fed *now, int32_t day,
                        int32_t forget_before)
{
    enum st st = ST_OK;
    uint32_t at = 0;
    for (uint32_t i = 0; st == ST_OK && i < was->n; i++) {
        struct fed_line l = was->line[i];
        l.gone = l.gone < day ? l.gone : day;
        uint32_t found = is_figure(&l) ? now->n : find(now, &l, at);
        at = found < now->n ? found : at;
        if (found == now->n && !is_figure(&l) && l.gone > forget_before)
            st = put_line(out, &l);
    }
    return st;
}

enum st fed_text(struct buf *out, const struct instances *in, const struct store *s,
                 const struct fed *was, int32_t day, int32_t forget_before, struct err *e)
{
    struct fed now = {.text = NULL};
    enum st st = ST_OK;
    for (uint32_t n = 0; st == ST_OK && n < store_series_count(s); n++) {
        const struct store_series *x = store_series_at(s, n);
        if (!instances_own(in, x->device))
            st = put_series(out, store_device_at(s, x->device), x);
    }
    for (uint32_t i = 0; st == ST_OK && i < in->n; i++)
        st = put_figure(out, &in->v[i]);
    if (st == ST_OK)
        st = fed_read(&now, (struct wire_span){out->p, out->n}, e);
    if (st == ST_OK)
        st = put_gone(out, was, &now, day, forget_before);
    fed_done(&now);
    return st == ST_OK ? ST_OK : no_memory(e);
}

/* ---- compare ---- */

static bool same_said(const struct fed_line *a, const struct fed_line *b)
{
    return strcmp(a->role, b->role) == 0 && strcmp(a->stream, b->stream) == 0 &&
           strcmp(a->place, b->place) == 0 && strcmp(a->capacity, b->capacity) == 0;
}

void fed_compare(const struct fed *was, const struct fed *now,
                 void (*differs)(void *ctx, int32_t from_day, int32_t until_day), void *ctx)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < now->n; i++) {
        const struct fed_line *b = &now->line[i];
        if (b->from_day != INT32_MIN || b->gone != INT32_MAX)
            continue;
        uint32_t k = find(was, b, at);
        if (k == was->n)
            continue;
        at = k;
        const struct fed_line *a = &was->line[k];
        for (int32_t from = INT32_MIN, until = INT32_MIN; until != INT32_MAX; from = until + 1) {
            until = a->until_day < b->until_day ? a->until_day : b->until_day;
            if (!same_said(a, b))
                differs(ctx, from, until);
            if (until == INT32_MAX)
                break;
            a += a->until_day == until;
            b += b->until_day == until;
        }
    }
}

void fed_figures_but(const struct fed *of, const struct fed *but,
                     void (*each)(void *ctx, const char *figure), void *ctx)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < of->n; i++) {
        const struct fed_line *l = &of->line[i];
        uint32_t k = is_figure(l) ? find(but, l, at) : at;
        if (is_figure(l) && k == but->n)
            each(ctx, l->device + 1);
        else
            at = k;
    }
}

/* ---- what is gone ---- */

void fed_keep_gone(struct fed *f)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->n; i++)
        if (f->line[i].gone != INT32_MAX)
            f->line[n++] = f->line[i];
    f->n = n;
    if (n == 0)
        fed_done(f);
}

const struct fed_line *fed_gone_of(const struct fed *gone, const struct instance *i,
                                   const char *device, int32_t day)
{
    const struct indicator_input *in = i->def->inputs.v;
    for (uint32_t n = 0; n < gone->n; n++) {
        const struct fed_line *l = &gone->line[n];
        const struct instance_said said = {l->device, l->point,  l->quantity,
                                           l->role,   l->stream, l->place};
        if (day >= l->gone || day < l->from_day || day > l->until_day ||
            (device && strcmp(device, l->device) != 0) ||
            (i->place && strcmp(i->place, l->place) != 0))
            continue;
        for (size_t k = 0; k < i->def->inputs.n; k++)
            if (instances_fit(&in[k], &said))
                return l;
    }
    return NULL;
}
