/* Texts and states: what a device says of itself, and what of that is news. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/collect_int.h"

#define NOTE "says"
#define BURST 4 /* events of one point at once; then one in: */
#define AGAIN_MS 600000
#define READ_AGAIN_MS 3600000 /* texts */
#define MUTE_MAX 3            /* so often no answer to one text: it is read no more */
#define WORDS_BYTES 64
#define NO_VALUE UINT16_MAX

static const struct collect_point *point_of(const struct collect_device *d,
                                            const struct collect_say *s)
{
    return &d->profile->points[s->point];
}

static uint16_t value_of(const struct collect_plan *plan, size_t point)
{
    for (size_t i = 0; i < plan->nall; i++)
        if (plan->values[i].point == point)
            return (uint16_t)i;
    return NO_VALUE;
}

/* A text is read whatever points are wanted; a state is among them. */
static bool says(const struct collect_device *d, size_t point)
{
    const struct collect_point *p = &d->profile->points[point];
    return collect_point_is_text(p) || (collect_point_is_status(p) && d->wanted[point]);
}

enum st collect_says_open(struct collect_device *d, struct err *e)
{
    struct collect_says *all = &d->says;
    size_t n = 0;
    for (size_t i = 0; i < d->profile->n; i++)
        n += says(d, i);
    *all = (struct collect_says){.v = calloc(n, sizeof *all->v)};
    if (!all->v && n > 0)
        return err_set(e, ST_MEMORY, "collect: no memory for device %s", d->cfg->id);
    for (size_t i = 0; i < d->profile->n; i++)
        if (says(d, i))
            all->v[all->n++] = (struct collect_say){
                .point = (uint16_t)i, .value = value_of(&d->plan, i), .tokens = BURST};
    return ST_OK;
}

void collect_says_plan(struct collect_device *d)
{
    for (size_t i = 0; i < d->says.n; i++) {
        d->says.v[i].value = value_of(&d->plan, d->says.v[i].point);
        d->says.v[i].read &= !point_of(d, &d->says.v[i])->absent;
    }
}

void collect_says_done(struct collect_device *d)
{
    free(d->says.v);
    d->says.v = NULL;
}

void collect_say_load(const struct collect_bus_job *job, struct collect_device *d, size_t point,
                      const char *text)
{
    (void)job;
    for (size_t i = 0; i < d->says.n; i++)
        if (d->says.v[i].point == point)
            (void)snprintf(d->says.v[i].told, STORE_NOTE_BYTES, "%s", text);
}

/* ---- in words ------------------------------------------------------------------------------- */

/* The last character is whole, wherever the text was cut. */
static void end_whole(char *text)
{
    size_t n = strlen(text), at = n;
    while (at > 0 && ((unsigned char)text[at - 1] & 0xC0) == 0x80)
        at--;
    unsigned char lead = at > 0 ? (unsigned char)text[at - 1] : 0;
    size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (at > 0 && n - (at - 1) < want)
        text[at - 1] = '\0';
}

static void words(const struct collect_point *p, const char *value, char text[WORDS_BYTES])
{
    int severity;
    const char *todo;
    if (collect_point_is_text(p))
        (void)snprintf(text, WORDS_BYTES, "%s", value);
    else
        collect_state_words(p, (uint64_t)strtoll(value, NULL, 10), 0, text, WORDS_BYTES, &severity,
                            &todo);
}

bool collect_says_text(const struct collect_device *d, char *all, size_t n, char *fault,
                       size_t room)
{
    bool ill = false;
    *all = *fault = '\0';
    for (size_t i = 0; i < d->says.n; i++) {
        const struct collect_say *s = &d->says.v[i];
        const struct collect_point *p = point_of(d, s);
        char text[WORDS_BYTES], named[WORDS_BYTES + 80];
        int severity = STORE_INFO;
        const char *todo = NULL;
        if (!s->read)
            continue;
        words(p, s->now, text);
        (void)snprintf(named, sizeof named, "%s: %s", p->name, text);
        (void)collect_append(all, n, 0, ", ", named);
        if (collect_point_is_status(p))
            collect_state_words(p, (uint64_t)strtoll(s->now, NULL, 10), 0, text, sizeof text,
                                &severity, &todo);
        if (severity < STORE_ERROR || ill)
            continue;
        ill = true;
        (void)snprintf(fault, room, "It says %s: %s.%s%s", p->name, text, todo ? " " : "",
                       todo ? todo : "");
        end_whole(fault);
    }
    return ill;
}

bool collect_says_ill(const struct collect_device *d)
{
    char all[8], fault[8];
    return collect_says_text(d, all, sizeof all, fault, sizeof fault);
}

/* ---- telling -------------------------------------------------------------------------------- */

static bool may_tell(struct collect_say *s, struct mono now)
{
    while (s->tokens < BURST && now.ms - s->filled.ms >= AGAIN_MS) {
        s->tokens++;
        s->filled.ms += AGAIN_MS;
    }
    if (s->tokens == BURST)
        s->filled = now;
    if (s->tokens == 0)
        return false;
    s->tokens--;
    return true;
}

/* How bad what is new in `now` is against `before`, and what it wants. */
static int judge(const struct collect_point *p, const char *now, const char *before,
                 const char **todo)
{
    char text[WORDS_BYTES];
    int severity = STORE_INFO;
    *todo = NULL;
    if (collect_point_is_status(p))
        collect_state_words(p, (uint64_t)strtoll(now, NULL, 10),
                            (uint64_t)strtoll(before, NULL, 10), text, sizeof text, &severity,
                            todo);
    return severity;
}

static void tell(const struct collect_bus_job *job, const struct collect_device *d,
                 struct collect_say *s, struct mono now)
{
    const struct collect_point *p = point_of(d, s);
    char series[WIRE_SERIES_BYTES], old[WORDS_BYTES], new[WORDS_BYTES], flaps[64] = "";
    const char *todo, *code = collect_point_is_text(p) ? "device.text" : "device.status";
    bool first = s->told[0] == '\0';
    (void)snprintf(series, sizeof series, "%s/%s", d->cfg->id, p->name);
    words(p, s->told, old);
    words(p, s->now, new);
    (void)judge(p, s->now, s->told, &todo);
    if (s->changes > 1)
        (void)snprintf(flaps, sizeof flaps, "; %u changes in %lld min", s->changes,
                       (long long)((now.ms - s->since.ms) / 60000));
    enum st st = store_note_set(job->store, NOTE, series, s->now, NULL);
    store_event(job->store, (enum store_severity)s->worst, code, series, "%s%s%s%s%s%s%s",
                first ? "it says " : old, first ? "" : " → ", new, flaps, todo ? ". " : "",
                todo ? todo : "",
                st == ST_OK || st == ST_STOPPED ? "" : " (not kept: a restart tells it again)");
    memcpy(s->told, s->now, sizeof s->told);
    s->changes = 0;
    s->worst = STORE_INFO;
}

/* Takes what the point says now. */
static void take(const struct collect_bus_job *job, const struct collect_device *d,
                 struct collect_say *s, const char *text)
{
    struct mono now = clk_mono(job->clk);
    const char *before = s->read ? s->now : s->told, *todo;
    if (strcmp(text, before) != 0) {
        int severity = judge(point_of(d, s), text, before, &todo);
        s->worst = severity > s->worst ? severity : s->worst;
        if (s->changes++ == 0)
            s->since = now;
    }
    s->read = true;
    (void)snprintf(s->now, sizeof s->now, "%s", text);
    if (s->changes > 0 && may_tell(s, now))
        tell(job, d, s, now);
}

void collect_says_judge(const struct collect_bus_job *job, struct collect_device *d,
                        const struct store_value *v)
{
    for (size_t i = 0; i < d->says.n && !d->who.doubted; i++) {
        struct collect_say *s = &d->says.v[i];
        const struct collect_point *p = point_of(d, s);
        char text[32];
        if (s->value == NO_VALUE)
            continue;
        const struct store_value *x = &v[s->value];
        if (x->v.kind == NUM_NONE || x->q & WIRE_Q_LIMITS)
            continue;
        uint64_t raw = x->v.kind == NUM_UDEC ? x->v.u : (uint64_t)x->v.i;
        if (p->bits.n > 0)
            raw &= collect_told_bits(p);
        (void)snprintf(text, sizeof text, "%lld", (long long)raw);
        take(job, d, s, text);
    }
}

/* ---- reading texts -------------------------------------------------------------------------- */

static bool is_asked(const struct collect_device *d, const struct collect_say *s)
{
    const struct collect_point *p = point_of(d, s);
    return collect_point_is_text(p) && !p->absent && s->mute < MUTE_MAX;
}

bool collect_says_due(struct collect_device *d, struct mono now, struct collect_request *q,
                      uint16_t *at)
{
    struct collect_says *all = &d->says;
    if (all->next == all->n && now.ms - all->read_at.ms >= READ_AGAIN_MS)
        all->next = 0;
    while (all->next < all->n && !is_asked(d, &all->v[all->next]))
        if (++all->next == all->n)
            all->read_at = now;
    if (all->next == all->n || d->who.doubted)
        return false;
    *q = collect_plan_single(d->profile, all->v[all->next].point, at);
    return true;
}

void collect_says_again(struct collect_device *d)
{
    d->says.next = 0;
    for (size_t i = 0; i < d->says.n; i++)
        d->says.v[i].mute = 0;
}

void collect_says_missed(struct collect_device *d)
{
    struct collect_say *s = &d->says.v[d->says.next];
    if (s->mute < MUTE_MAX)
        s->mute++;
}

void collect_says_heard(const struct collect_bus_job *job, struct collect_device *d,
                        const uint8_t *data)
{
    struct collect_says *all = &d->says;
    struct collect_say *s = &all->v[all->next++];
    const struct collect_point *p = point_of(d, s);
    char text[STORE_NOTE_BYTES];
    s->mute = 0;
    if (all->next == all->n)
        all->read_at = clk_mono(job->clk);
    if (!data)
        return;
    collect_decode_text(data, (unsigned)p->count, p->order, text, sizeof text);
    if (text[0]) /* registers that nobody ever filled say nothing */
        take(job, d, s, text);
}
