/* One day of all instances: their folds, what feeds them, and where the series stood before. A day
 * is fed while it goes on, or filled from the store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/day_int.h"

#define BAD_FLAGS                                                                                  \
    (WIRE_Q_LIMITS | WIRE_Q_STUCK | WIRE_Q_FAULT | WIRE_Q_CALIBRATING | WIRE_Q_TIME_UNKNOWN |      \
     WIRE_Q_COMPUTED)
#define OF_INDICATORS UINT32_MAX /* the device of values of other instances */

static enum st no_memory(struct err *e)
{
    return err_set(e, ST_MEMORY, "indicators: no memory for a day");
}

/* ---- which series are whose on that day ---- */

static bool is_valid(const struct instance_member *m, int32_t day)
{
    return day >= m->from_day && day <= m->until_day;
}

static int64_t period_of(const struct instance *i)
{
    return i->def->period == INDICATOR_HOUR ? INDICATOR_HOUR_MS : INDICATOR_DAY_MS;
}

/* Whether there is a series then, and one for each input that needs it; of another instance,
 * whether that is there. */
static bool is_whole(const struct day *d, uint32_t at)
{
    const struct instance *i = &d->in->v[at];
    const struct indicator_input *in = i->def->inputs.v;
    bool some = false;
    for (uint32_t k = 0; k < i->def->inputs.n; k++) {
        bool any = false;
        for (uint32_t m = 0; m < i->nmembers && !any; m++)
            any = i->member[m].input == k && is_valid(&i->member[m], d->day);
        for (uint32_t s = 0; s < i->nsources && !any; s++)
            any = i->source[s].input == k && d->fold[i->source[s].instance];
        if (!any && !in[k].optional)
            return false;
        some |= any;
    }
    return some;
}

/* Since when, or until when, the series is what its member says, another capacity aside. */
static void belongs(const struct instance *i, const struct instance_member *of,
                    struct fold_series *s)
{
    int32_t from = of->from_day, until = of->until_day;
    for (uint32_t k = 0; k < i->nmembers; k++) { /* in order of their days */
        const struct instance_member *m = &i->member[k];
        if (m->feed == of->feed && m->input == of->input && until != INT32_MAX &&
            m->from_day == until + 1)
            until = m->until_day;
    }
    for (uint32_t k = i->nmembers; k-- > 0;) {
        const struct instance_member *m = &i->member[k];
        if (m->feed == of->feed && m->input == of->input && m->until_day != INT32_MAX &&
            m->until_day + 1 == from)
            from = m->from_day;
    }
    s->due_from_ms = from == INT32_MIN ? INT64_MIN : indicator_day_ms(from);
    s->due_to_ms = until == INT32_MAX ? INT64_MAX : indicator_day_ms(until) + INDICATOR_DAY_MS;
}

static enum st open_fold(struct day *d, uint32_t at, struct err *e)
{
    const struct instances *in = d->in;
    const struct instance *i = &in->v[at];
    struct fold_series *s = calloc(i->nmembers + i->nsources + (size_t)1, sizeof *s);
    uint32_t n = 0;
    if (!s)
        return no_memory(e);
    for (uint32_t k = 0; k < i->nmembers; k++) {
        const struct instance_member *m = &i->member[k];
        const struct instance_feed *f = &in->feed[m->feed];
        if (!is_valid(m, d->day))
            continue;
        s[n] = (struct fold_series){.input = m->input,
                                    .device = f->of,
                                    .period_ms = f->period_ms,
                                    .capacity = m->capacity,
                                    .quantity = f->quantity};
        belongs(i, m, &s[n++]);
    }
    for (uint32_t k = 0; k < i->nsources; k++) {
        const struct instance *from = &in->v[i->source[k].instance];
        bool there = d->fold[i->source[k].instance] != NULL; /* else it owes nothing */
        s[n++] = (struct fold_series){.input = i->source[k].input,
                                      .device = OF_INDICATORS,
                                      .period_ms = there ? period_of(from) : 0,
                                      .due_from_ms = INT64_MIN,
                                      .due_to_ms = INT64_MAX,
                                      .capacity = {.kind = NUM_NONE},
                                      .quantity = from->def->q};
    }
    enum st st = fold_open(&d->fold[at], i->def, d->day, s, n, e);
    free(s);
    return st;
}

/* The folds' series by feed: counted, then placed. */
static enum st map_feeds(struct day *d, struct err *e)
{
    const struct instances *in = d->in;
    uint32_t total = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < in->n; i++) {
            uint32_t n = 0;
            for (uint32_t k = 0; k < in->v[i].nmembers && d->fold[i]; k++) {
                const struct instance_member *m = &in->v[i].member[k];
                if (!is_valid(m, d->day))
                    continue;
                if (pass == 0)
                    d->first_use[m->feed + 1]++;
                else
                    d->use[d->first_use[m->feed]++] = (struct day_use){i, n};
                n++;
                total += pass == 0;
            }
        }
        if (pass == 1)
            break;
        for (uint32_t f = 0; f < in->nfeeds; f++)
            d->first_use[f + 1] += d->first_use[f];
        d->use = calloc(total + (size_t)1, sizeof *d->use);
        if (!d->use)
            return no_memory(e);
    }
    for (uint32_t f = in->nfeeds; f > 0; f--) /* placing moved each to its end */
        d->first_use[f] = d->first_use[f - 1];
    d->first_use[0] = 0;
    return ST_OK;
}

/* ---- meters ---- */

struct meters {
    struct day *d;
    bool full;
};

static void take_meter(void *ctx, struct wire_span series, int64_t at_ms, struct num last,
                       struct num first)
{
    struct meters *m = ctx;
    struct day *d = m->d;
    const uint8_t *slash = memchr(series.p, '/', series.n);
    size_t n = slash ? (size_t)(slash - series.p) : 0;
    if (!slash)
        return;
    uint32_t f = instances_find(d->in, (struct wire_span){series.p, n},
                                (struct wire_span){slash + 1, series.n - n - 1}, UINT32_MAX);
    if (f == UINT32_MAX || at_ms <= d->before[f].t_ms ||
        (d->before[f].t_ms == INT64_MIN && at_ms < d->from_ms))
        return;
    struct day_meter *p = reallocarray(d->meter, d->nmeters + (size_t)1, sizeof *p);
    m->full = m->full || !p;
    if (!p)
        return;
    d->meter = p;
    p[d->nmeters++] = (struct day_meter){f, at_ms, last, first};
}

/* Those of one fold. */
static enum st give_meters(struct day *d, uint32_t at, struct err *e)
{
    struct fold_meter *m = NULL;
    size_t n = 0;
    for (uint32_t k = 0; k < d->nmeters; k++)
        for (uint32_t u = d->first_use[d->meter[k].feed]; u < d->first_use[d->meter[k].feed + 1];
             u++) {
            if (d->use[u].instance != at)
                continue;
            struct fold_meter *p = reallocarray(m, n + 1, sizeof *p);
            if (!p) {
                free(m);
                return no_memory(e);
            }
            m = p;
            m[n++] = (struct fold_meter){d->use[u].series, d->meter[k].at_ms, d->meter[k].last,
                                         d->meter[k].first};
        }
    enum st st = n ? fold_meters(d->fold[at], m, n, e) : ST_OK;
    free(m);
    return st;
}

/* ---- a day ---- */

static enum st use_put(struct day *d, const struct day_use *u, int64_t t_ms, struct num v,
                       uint32_t q, struct err *e)
{
    const struct fold_reading r = {u->series, t_ms, v, (uint16_t)q};
    enum st st = fold_put(d->fold[u->instance], &r, e);
    if (st == ST_CONFLICT)
        d->disordered = true;
    return st == ST_CONFLICT ? ST_OK : st;
}

/* The folds as they are before any reading: with the one before the day, unless it comes again with
 * the time that they reach back to. */
enum st day_begin(struct day *d, struct err *e)
{
    const struct instances *in = d->in;
    enum st st = ST_OK;
    for (uint32_t i = 0; i < in->n && st == ST_OK; i++) {
        fold_close(d->fold[i]);
        d->fold[i] = NULL;
        if (is_whole(d, i)) /* each comes behind those whose values it takes */
            st = open_fold(d, i, e);
    }
    if (st == ST_OK && !d->use)
        st = map_feeds(d, e);
    for (uint32_t i = 0; i < in->n && st == ST_OK; i++)
        if (d->fold[i])
            st = give_meters(d, i, e);
    for (uint32_t f = 0; f < in->nfeeds && st == ST_OK; f++) {
        d->last_ms[f] = INT64_MIN;
        d->stood[f] = d->before[f];
        for (uint32_t u = d->first_use[f];
             u < d->first_use[f + 1] && d->before[f].t_ms != INT64_MIN && st == ST_OK; u++) {
            int64_t reach_ms = fold_reaches_ms(in->v[d->use[u].instance].def);
            if (d->before[f].t_ms < d->from_ms - reach_ms)
                st = use_put(d, &d->use[u], d->before[f].t_ms, d->before[f].v, 0, e);
        }
    }
    d->disordered = false;
    d->fresh = true;
    d->batch_first = d->batch_last = 0;
    d->readings = 0;
    return st;
}

static uint32_t sources_of(const struct instances *in)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < in->n; i++)
        n += in->v[i].nsources;
    return n;
}

enum st day_open(struct day **out, const struct instances *in, int32_t day,
                 const struct day_stood *before, struct store_reader *r, struct err *e)
{
    struct day *d = calloc(1, sizeof *d);
    size_t n = in->nfeeds + (size_t)1;
    *out = NULL;
    if (!d)
        return no_memory(e);
    d->in = in;
    d->day = day;
    d->from_ms = indicator_day_ms(day);
    d->to_ms = d->from_ms + INDICATOR_DAY_MS;
    d->fold = calloc(in->n + (size_t)1, sizeof(void *));
    d->first_use = calloc(n, sizeof *d->first_use);
    d->last_ms = calloc(n, sizeof *d->last_ms);
    d->before = calloc(n, sizeof *d->before);
    d->stood = calloc(n, sizeof *d->stood);
    d->got = calloc((in->n + (size_t)1) * INDICATOR_HOURS, sizeof *d->got);
    d->given = calloc(sources_of(in) + (size_t)1, sizeof *d->given);
    for (uint32_t i = 0; i < in->n; i++) {
        int64_t reach_ms = fold_reaches_ms(in->v[i].def);
        d->reach_ms = reach_ms > d->reach_ms ? reach_ms : d->reach_ms;
    }
    struct meters m = {d, false};
    enum st st =
        d->fold && d->first_use && d->last_ms && d->before && d->stood && d->got && d->given
            ? ST_OK
            : no_memory(e);
    if (st == ST_OK) {
        memcpy(d->before, before, in->nfeeds * sizeof *before);
        st = store_each_meter(r, INT64_MIN, d->to_ms, take_meter, &m, e);
    }
    if (st == ST_OK && m.full)
        st = no_memory(e);
    if (st == ST_OK)
        st = day_begin(d, e);
    if (st == ST_OK)
        *out = d;
    else
        day_close(d);
    return st;
}

void day_close(struct day *d)
{
    if (!d)
        return;
    for (uint32_t i = 0; i < d->in->n && d->fold; i++)
        fold_close(d->fold[i]);
    free(d->fold);
    free(d->use);
    free(d->first_use);
    free(d->last_ms);
    free(d->before);
    free(d->stood);
    free(d->got);
    free(d->given);
    free(d->meter);
    free(d);
}

size_t day_bytes(const struct day *d)
{
    size_t n = sizeof *d + d->in->nfeeds * (sizeof(uint32_t) + sizeof(int64_t) +
                                            2 * sizeof(struct day_stood) + sizeof(struct day_use));
    for (uint32_t i = 0; i < d->in->n; i++)
        n += INDICATOR_HOURS * sizeof *d->got + (d->fold[i] ? fold_bytes(d->fold[i]) : 0);
    return n;
}

enum st day_put(struct day *d, uint32_t f, int64_t t_ms, struct num v, uint32_t q, int64_t batch,
                struct err *e)
{
    if (t_ms < d->last_ms[f]) {
        d->disordered = true;
        return ST_OK;
    }
    bool of_day = t_ms >= d->from_ms;
    d->last_ms[f] = t_ms;
    for (uint32_t u = d->first_use[f]; u < d->first_use[f + 1]; u++)
        if (of_day || t_ms >= d->from_ms - fold_reaches_ms(d->in->v[d->use[u].instance].def))
            ERR_TRY(use_put(d, &d->use[u], t_ms, v, q, e));
    if (!of_day)
        return ST_OK;
    if (!(q & BAD_FLAGS))
        d->stood[f] = (struct day_stood){t_ms, v};
    d->readings++;
    d->batch_first = d->batch_first == 0 || batch < d->batch_first ? batch : d->batch_first;
    d->batch_last = batch > d->batch_last ? batch : d->batch_last;
    return ST_OK;
}

/* ---- where the series stood ---- */

enum st day_stood_text(const struct day *d, struct buf *out, struct err *e)
{
    char v[NUM_TEXT_BYTES];
    enum st st = ST_OK;
    for (uint32_t f = 0; f < d->in->nfeeds && st == ST_OK; f++) {
        const struct day_stood *s = &d->stood[f];
        if (s->t_ms == INT64_MIN)
            continue;
        st = buf_printf(out, "%s/%s %lld %s", d->in->feed[f].device, d->in->feed[f].point,
                        (long long)s->t_ms, num_text(s->v, v));
        /* a meter's change since then is the next days' matter: they are computed anew for it */
        for (uint32_t m = 0; m < d->nmeters && st == ST_OK; m++)
            if (d->meter[m].feed == f && d->meter[m].at_ms > s->t_ms)
                st = buf_printf(out, " %lld:%s", (long long)d->meter[m].at_ms,
                                num_text(d->meter[m].first, v));
        if (st == ST_OK)
            st = buf_put(out, "\n", 1);
    }
    return st == ST_OK ? ST_OK : no_memory(e);
}

/* Whose line it is: "device/point ms value …"; UINT32_MAX: nobody's. */
static uint32_t feed_of(const struct instances *in, const char *line)
{
    size_t slash = strcspn(line, "/ "), space = slash + strcspn(line + slash, " ");
    if (line[slash] != '/' || line[space] != ' ')
        return UINT32_MAX;
    return instances_find(in, (struct wire_span){(const uint8_t *)line, slash},
                          (struct wire_span){(const uint8_t *)line + slash + 1, space - slash - 1},
                          UINT32_MAX);
}

size_t day_stood_known(const struct instances *in, uint8_t *text, size_t n)
{
    size_t kept = 0;
    for (size_t at = 0, end; at < n; at = end) {
        const uint8_t *newline = memchr(text + at, '\n', n - at);
        char own[WIRE_SERIES_BYTES + 2];
        end = newline ? (size_t)(newline - text) + 1 : n;
        (void)snprintf(own, sizeof own, "%.*s", (int)(end - at), (const char *)text + at);
        if (feed_of(in, own) == UINT32_MAX)
            continue;
        memmove(text + kept, text + at, end - at);
        kept += end - at;
    }
    return kept;
}

/* What is no such line is another version's. */
static void read_line(const struct instances *in, char *line, struct day_stood *out)
{
    uint32_t f = feed_of(in, line);
    char *end;
    struct num v;
    if (f == UINT32_MAX)
        return;
    long long t = strtoll(line + strcspn(line, " "), &end, 10);
    if (*end != ' ')
        return;
    char *value = end + 1;
    value[strcspn(value, " ")] = '\0';
    if (num_parse(value, &v))
        out[f] = (struct day_stood){t, v};
}

void day_stood_read(const struct instances *in, struct wire_span text, struct day_stood *out)
{
    for (uint32_t f = 0; f < in->nfeeds; f++)
        out[f] = (struct day_stood){.t_ms = INT64_MIN};
    for (size_t at = 0; at < text.n;) {
        const char *line = (const char *)text.p + at;
        const char *end = memchr(line, '\n', text.n - at);
        size_t n = end ? (size_t)(end - line) : text.n - at;
        char own[WIRE_SERIES_BYTES + 2 * NUM_TEXT_BYTES];
        (void)snprintf(own, sizeof own, "%.*s", (int)n, line);
        read_line(in, own, out);
        at += n + 1;
    }
}
