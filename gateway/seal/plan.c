/* Control batches: plan, config, void. They say what the chain should hold. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/seal/seal_int.h"

#define CONTROL_MAX (900 * 1024) /* entries of a control batch */

struct named {
    char *name; /* device/point, owned */
    uint32_t series;
};
struct plan_diff {
    struct seal *l;
    struct store_planned *entry;
    char **names; /* owned texts of entry */
    size_t n, max;
    bool *same;           /* per series: stands in the plan as configured */
    struct named *series; /* by index */
    struct named *sorted; /* by name, for finding */
    enum st st;
    struct err *e;
    size_t nabsent;
    char first[80]; /* of them */
};

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static uint32_t find_series(const struct plan_diff *d, const char *name)
{
    struct named key = {(char *)(uintptr_t)name, 0};
    const struct named *found =
        bsearch(&key, d->sorted, store_series_count(d->l->store), sizeof key, by_name);
    return found ? found->series : UINT32_MAX;
}

static enum st diff_add(struct plan_diff *d, const struct store_planned *p)
{
    size_t name = strlen(p->series) + 1, quantity = strlen(p->quantity) + 1;
    size_t unit = p->unit ? strlen(p->unit) + 1 : 0;
    if (d->n == d->max)
        return ST_FULL;
    char *text = malloc(name + quantity + unit);
    if (!text)
        return ST_MEMORY;
    struct store_planned *to = &d->entry[d->n];
    d->names[d->n++] = text;
    *to = *p;
    to->series = memcpy(text, p->series, name);
    to->quantity = memcpy(text + name, p->quantity, quantity);
    if (unit)
        to->unit = memcpy(text + name + quantity, p->unit, unit);
    return ST_OK;
}

/* This start; while its UTC is unknown, the end of what is known: a plan counts in UTC. */
static int64_t known_start(const struct seal *l)
{
    return l->from_unknown && l->known_end_ms ? l->known_end_ms : l->start_ms;
}

/* Whether the chain takes over where an earlier one ended, known or lost. */
static bool takes_over(const struct seal *l)
{
    return l->chain.last_seq == 0 && (l->chain.after || l->silence == STORE_STORAGE);
}

/* From when a series that the chain does not know yet is due: a later chain takes over where the
 * one before ended; an addition is due from this start. */
static int64_t plan_from(const struct seal *l)
{
    return takes_over(l) ? l->from_ms : known_start(l);
}

/* Marks a series that stands in the plan as it is configured. One that is not configured stays due:
 * a later chain says so itself. */
static void diff_old(void *ctx, const struct store_planned *p)
{
    struct plan_diff *d = ctx;
    uint32_t i = find_series(d, p->series);
    if (i != UINT32_MAX) {
        const struct store_series *s = store_series_at(d->l->store, i);
        d->same[i] = p->said && same_text(p->quantity, s->quantity->key) &&
                     same_text(p->unit, s->quantity->unit) && p->period_ms == s->period_ms;
    } else if (!p->said && d->st == ST_OK) {
        struct store_planned still = *p;
        still.from_ms = plan_from(d->l);
        d->st = diff_add(d, &still);
    }
}

static enum st diff_new(struct plan_diff *d)
{
    struct seal *l = d->l;
    for (uint32_t i = 0; i < store_series_count(l->store); i++) {
        if (d->same[i])
            continue;
        const struct store_series *s = store_series_at(l->store, i);
        struct store_planned p = {.series = d->series[i].name,
                                  .quantity = s->quantity->key,
                                  .unit = s->quantity->unit,
                                  .period_ms = s->period_ms,
                                  .from_ms = plan_from(l)};
        ERR_TRY(diff_add(d, &p));
        if (!l->running)
            gaps_owe(l->gaps, i, l->from_unknown ? l->start_ms : p.from_ms);
    }
    return ST_OK;
}

static enum st diff_encode(struct plan_diff *d, size_t n)
{
    struct buf *b = &d->l->payload;
    b->n = 0;
    ERR_TRY(wire_put_array(b, n));
    for (size_t i = 0; i < n; i++) {
        const struct store_planned *p = &d->entry[i];
        ERR_TRY(wire_put_plan(b, p->series, p->quantity, p->unit, p->period_ms, p->from_ms));
    }
    return ST_OK;
}

static enum st names_make(struct plan_diff *d, struct err *e)
{
    struct seal *l = d->l;
    uint32_t n = store_series_count(l->store);
    d->series = calloc(n + 1, sizeof *d->series);
    d->sorted = calloc(n + 1, sizeof *d->sorted);
    if (!d->series || !d->sorted)
        return err_set(e, ST_MEMORY, "seal: no memory for the plan");
    for (uint32_t i = 0; i < n; i++) {
        const struct store_series *s = store_series_at(l->store, i);
        if (asprintf(&d->series[i].name, "%s/%s", store_device_at(l->store, s->device)->id,
                     s->point) < 0) {
            d->series[i].name = NULL;
            return err_set(e, ST_MEMORY, "seal: no memory for the plan");
        }
        d->series[i].series = i;
        d->sorted[i] = d->series[i];
    }
    qsort(d->sorted, n, sizeof *d->sorted, by_name);
    return ST_OK;
}

static enum st diff_make(struct plan_diff *d, struct err *e)
{
    struct seal *l = d->l;
    uint32_t n = store_series_count(l->store);
    ERR_TRY(names_make(d, e));
    d->max = 2 * (size_t)n + 65536;
    d->entry = calloc(d->max, sizeof *d->entry);
    d->names = calloc(d->max, sizeof *d->names);
    d->same = calloc(n + 1, sizeof *d->same);
    if (!d->entry || !d->names || !d->same)
        return err_set(e, ST_MEMORY, "seal: no memory for the plan");
    ERR_TRY(store_planned_each(l->store, diff_old, d, e));
    if (d->st == ST_OK)
        d->st = diff_new(d);
    return d->st == ST_OK ? ST_OK : err_set(e, d->st, "seal: the plan has too many entries");
}

static void diff_done(struct plan_diff *d)
{
    for (size_t i = 0; i < d->n; i++)
        free(d->names[i]);
    for (uint32_t i = 0; d->series && i < store_series_count(d->l->store); i++)
        free(d->series[i].name);
    free(d->entry);
    free(d->names);
    free(d->same);
    free(d->series);
    free(d->sorted);
}

static void owe_one(void *ctx, const struct store_planned *p)
{
    struct plan_diff *d = ctx;
    uint32_t i = find_series(d, p->series);
    if (i == UINT32_MAX)
        i = gaps_find_absent(d->l->gaps, p->series);
    bool due = i < store_series_count(d->l->store) ? p->said : i != UINT32_MAX;
    if (due)
        gaps_owe(d->l->gaps, i, d->l->from_ms);
}

static void absent_one(void *ctx, const struct store_planned *p)
{
    struct plan_diff *d = ctx;
    uint32_t i;
    if (d->st != ST_OK || find_series(d, p->series) != UINT32_MAX)
        return;
    d->st = gaps_add_absent(d->l->gaps, p->series, p->period_ms, &i, d->e);
    if (d->st == ST_OK && d->nabsent++ == 0)
        (void)snprintf(d->first, sizeof d->first, "%s", p->series);
}

enum st seal_absent(struct seal *l, struct err *e)
{
    struct plan_diff d = {.l = l, .e = e};
    enum st st = names_make(&d, e);
    if (st == ST_OK)
        st = store_planned_each(l->store, absent_one, &d, e);
    diff_done(&d);
    if (st == ST_OK)
        st = d.st;
    if (st == ST_OK && d.nabsent)
        store_event(l->store, STORE_WARNING, "series.absent", d.first,
                    "%zu series are due but not configured any more: windows say `paused` for them "
                    "until they are configured again or retired with `fieldpost retire`",
                    d.nabsent);
    return st;
}

/* Series that the signed plan knows go on owing from where the last window ended; others, and all
 * of a new store, from this start. A chain that follows another has no plan of its own yet. */
enum st seal_owe(struct seal *l, struct err *e)
{
    bool follows = takes_over(l);
    for (uint32_t i = 0; i < store_series_count(l->store); i++)
        gaps_owe(l->gaps, i, follows ? l->from_ms : l->start_ms);
    struct plan_diff d = {.l = l};
    enum st st = names_make(&d, e);
    if (st == ST_OK)
        st = store_planned_each(l->store, owe_one, &d, e);
    diff_done(&d);
    return st == ST_OK ? seal_underway_owe(l, e) : st;
}

struct seal_window seal_control_window(const struct seal *l)
{
    int64_t at_ms = l->chain.last_seq ? l->chain.last_to_ms : l->from_ms;
    enum clk_grade known = l->last.grade == CLK_UNKNOWN ? CLK_HOLDOVER : l->last.grade;
    return (struct seal_window){.kind = WIRE_CONTROL,
                                .from_ms = at_ms,
                                .to_ms = at_ms,
                                .boot = store_boot(l->store),
                                .grade = at_ms < SEAL_KNOWN_MS ? CLK_UNKNOWN : known};
}

/* Brings the chain's plan to what is configured; more than one batch where it must. */
enum st seal_plan(struct seal *l, struct err *e)
{
    struct plan_diff d = {.l = l, .st = ST_OK};
    enum st st = diff_make(&d, e);
    size_t done = 0;
    while (st == ST_OK && done < d.n) {
        struct plan_diff part = d;
        part.entry += done;
        size_t n = d.n - done;
        while ((st = diff_encode(&part, n)) == ST_FULL ||
               (st == ST_OK && l->payload.n > CONTROL_MAX))
            n /= 2;
        if (st != ST_OK) {
            st = err_set(e, st, "seal: the plan could not be encoded");
            break;
        }
        struct seal_window w = seal_control_window(l);
        w.plan = part.entry;
        w.nplan = n;
        st = seal_batch(l, &w, NULL, 0, e);
        done += n;
    }
    diff_done(&d);
    buf_done(&l->payload);
    if (st == ST_OK)
        l->planned = true;
    return st;
}

void seal_config(struct seal *l, const uint8_t hash[WIRE_HASH_BYTES], const char *who)
{
    memcpy(l->config, hash, sizeof l->config);
    (void)snprintf(l->config_who, sizeof l->config_who, "%s", who);
}

enum st seal_say_config(struct seal *l, struct err *e)
{
    struct buf was;
    if (!l->config_who[0] || l->last.grade == CLK_UNKNOWN)
        return ST_OK;
    buf_init(&was, WIRE_HASH_BYTES);
    enum st st = store_meta_get(l->store, STORE_META_CONFIG, &was, e);
    bool same = st == ST_OK && was.n == sizeof l->config && memcmp(was.p, l->config, was.n) == 0;
    buf_done(&was);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    if (!same) {
        struct seal_window w = seal_control_window(l);
        w.config = l->config;
        l->payload.n = 0;
        st = wire_put_array(&l->payload, 1);
        if (st == ST_OK)
            st = wire_put_config(&l->payload, l->config, l->last.utc_ms, l->config_who);
        if (st != ST_OK)
            return err_set(e, st, "seal: a config entry could not be encoded");
        ERR_TRY(seal_batch(l, &w, NULL, 0, e));
    }
    l->config_who[0] = '\0';
    return ST_OK;
}

/* Gives up, in the chain, what an uplink has refused for ever. */
enum st seal_voids(struct seal *l, struct err *e)
{
    for (int i = 0; i < SEAL_A_STEP; i++) {
        struct store_refused r;
        enum st st = store_refused_next(l->store, &r, e);
        if (st != ST_OK)
            return st == ST_NOT_FOUND ? ST_OK : st;
        l->payload.n = 0;
        const uint8_t(*hash)[WIRE_HASH_BYTES] = (const uint8_t(*)[WIRE_HASH_BYTES])r.hash;
        st = wire_put_array(&l->payload, 1);
        if (st == ST_OK)
            st = wire_put_void(&l->payload, r.seq, r.seq, hash, "refused");
        if (st != ST_OK)
            return err_set(e, st, "seal: a void entry could not be encoded");
        struct seal_window w = seal_control_window(l);
        w.voided = &r.seq;
        w.nvoided = 1;
        ERR_TRY(seal_batch(l, &w, NULL, 0, e));
    }
    return ST_OK;
}
