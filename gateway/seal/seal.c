#include "gateway/seal/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/seal/gaps.h"

#define GRACE_MS 2000            /* a poll of the window may still be on its way */
#define RECORDS_MAX (950 * 1024) /* encoded records of a batch; header and envelope fit too */
#define CONTROL_MAX (900 * 1024) /* entries of a control batch */
#define STEP_MS 1000             /* UTC against monotonic: more than this is a clock step */
#define LOOK_MS 1000             /* how often to look for steps and full windows */
#define WINDOWS_A_STEP 64        /* bounded work: the rest at the next step */
#define READINGS_LIMIT 65535
#define ZSTD_LEVEL 3

static const struct cfg_field fields[] = {
    {.key = "key",
     .kind = CFG_STRING,
     .offset = offsetof(struct seal_cfg, key),
     .required = true,
     .help = "the gateway's private key, made by fieldpost keygen"},
    {.key = "every",
     .kind = CFG_TIME,
     .offset = offsetof(struct seal_cfg, every_ms),
     .dflt = "5min",
     .min = 1000,
     .max = 86400e3,
     .help = "length of a window; windows begin at multiples of it in UTC"},
    {.key = "max_readings",
     .kind = CFG_INT,
     .offset = offsetof(struct seal_cfg, max_readings),
     .dflt = "5000",
     .min = 1,
     .max = READINGS_LIMIT,
     .help = "a window with more readings is cut"},
    {.key = NULL}};
const struct cfg_table seal_cfg_table = {sizeof(struct seal_cfg), fields};

struct seal {
    struct seal_cfg cfg;
    char *gateway;
    struct store *store;
    const struct clk *clk;
    struct wire_key *key;
    struct gaps *gaps;
    struct store_chain chain; /* id all zero: none yet */
    int64_t from_ms;          /* of the next window */
    int64_t start_ms;         /* this start, in the time base of then */
    bool old_done;            /* frames of earlier runs are sealed */
    bool first;               /* no window of this run is sealed yet */
    bool step;                /* the next window does not abut */
    bool planned;             /* the inventory stands in the chain */
    size_t seen;              /* frames that the gap tracker has seen */
    struct clk_time last;     /* at the last look */
    struct mono last_mono;
    struct mono due;
    bool *use;               /* per frame: it is in the window */
    struct wire_span *parts; /* the array head and the records of these frames */
    size_t nuse, nparts;
    struct buf payload; /* of a control batch; of a data batch its array head */
};

static int64_t align_down(int64_t t, int64_t step)
{
    int64_t up = gaps_align_up(t, step);
    return up == t ? t : up - step;
}

/* ---- birth of a chain ---- */

static enum st chain_begin(struct seal *l, struct err *e)
{
    struct store_chain c = {.last_to_ms = l->from_ms};
    ERR_TRY(wire_random(c.id, sizeof c.id, e));
    memcpy(c.kid, wire_pub_kid(wire_key_pub(l->key)), sizeof c.kid);
    if (l->chain.last_seq) {
        c.after = true;
        memcpy(c.after_chain, l->chain.id, sizeof c.after_chain);
        c.after_seq = l->chain.last_seq;
        memcpy(c.after_hash, l->chain.last_hash, sizeof c.after_hash);
    }
    ERR_TRY(store_chain_begin(l->store, &c, e));
    l->chain = c;
    l->planned = false;
    char hex[WIRE_ID_TEXT];
    wire_hex(c.id, sizeof c.id, hex);
    store_event(l->store, STORE_INFO, "chain.begin", hex, "a new chain of batches begins%s",
                c.after ? ", linked to the one before" : "");
    return ST_OK;
}

/* Whether this machine and key are those that the store was written by. */
static enum st machine_changed(struct seal *l, const char *machine_id, bool *changed, struct err *e)
{
    struct buf was;
    buf_init(&was, 4096);
    enum st st = store_meta_get(l->store, "machine-id", &was, e);
    size_t n = strlen(machine_id);
    *changed = st == ST_OK && (was.n != n || memcmp(was.p, machine_id, n) != 0);
    if (st == ST_NOT_FOUND || *changed)
        st = store_meta_set(l->store, "machine-id", machine_id, n, e);
    buf_done(&was);
    return st;
}

static enum st find_chain(struct seal *l, const char *machine_id, struct err *e)
{
    struct clk_time now = clk_now(l->clk);
    l->start_ms = now.utc_ms;
    bool changed = false;
    ERR_TRY(machine_changed(l, machine_id, &changed, e));
    enum st st = store_chain_last(l->store, &l->chain, e);
    if (st == ST_NOT_FOUND) {
        l->from_ms = align_down(now.utc_ms, l->cfg.every_ms);
        return chain_begin(l, e);
    }
    if (st != ST_OK)
        return st;
    l->from_ms = l->chain.last_to_ms;
    bool other_key = memcmp(l->chain.kid, wire_pub_kid(wire_key_pub(l->key)), WIRE_ID_BYTES) != 0;
    if (changed || other_key || l->chain.ended)
        ERR_TRY(chain_begin(l, e));
    return ST_OK;
}

/* ---- open, close ---- */

enum st seal_open(struct seal **out, const struct seal_cfg *cfg, const char *gateway,
                  const char *machine_id, struct store *s, const struct clk *clk, struct err *e)
{
    struct seal *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(e, ST_MEMORY, "seal: no memory");
    l->cfg = *cfg;
    l->store = s;
    l->clk = clk;
    l->first = true;
    l->last = clk_now(clk);
    l->last_mono = clk_mono(clk);
    buf_init(&l->payload, WIRE_BATCH_MAX);
    l->gateway = strdup(gateway);
    enum st st = l->gateway ? ST_OK : err_set(e, ST_MEMORY, "seal: no memory");
    if (st == ST_OK)
        st = wire_key_load(&l->key, cfg->key, e);
    if (st == ST_OK)
        st = gaps_open(&l->gaps, s, e);
    if (st == ST_OK)
        st = find_chain(l, machine_id, e);
    if (st != ST_OK) {
        seal_close(l);
        return st;
    }
    for (uint32_t i = 0; i < store_series_count(s); i++)
        gaps_owe(l->gaps, i, l->chain.last_seq || l->chain.after ? l->from_ms : l->start_ms);
    *out = l;
    return ST_OK;
}

void seal_close(struct seal *l)
{
    if (!l)
        return;
    wire_key_free(l->key);
    gaps_close(l->gaps);
    buf_done(&l->payload);
    free(l->use);
    free(l->parts);
    free(l->gateway);
    free(l);
}

struct mono seal_due(const struct seal *l)
{
    return l->due;
}

/* ---- one batch ---- */

struct window {
    enum wire_kind kind;
    int64_t from_ms, to_ms;
    const uint8_t *boot;
    enum clk_grade grade;
    uint64_t n;
    bool fold; /* l->use says which frames */
    const struct store_planned *plan;
    size_t nplan;
    const uint64_t *voided;
    size_t nvoided;
};

/* Signs the payload into cose and compresses it into packed. */
static enum st sign_and_pack(struct seal *l, const struct wire_header *h, bool fold,
                             struct buf *cose, struct buf *packed, struct err *e)
{
    struct wire_span whole = {l->payload.p, l->payload.n};
    ERR_TRY(
        wire_batch_sign_parts(h, fold ? l->parts : &whole, fold ? l->nparts : 1, l->key, cose, e));
    struct wire_zstd *z = NULL;
    ERR_TRY(wire_zstd_open(&z, e));
    enum st st = wire_zstd_pack(z, ZSTD_LEVEL, cose->p, cose->n, packed, e);
    wire_zstd_close(z);
    return st;
}

/* Signs payload and stores the batch; moves the chain on. What it takes meanwhile, some bytes for
 * each byte of the payload, it gives back: a batch is rare. */
static enum st seal_batch(struct seal *l, const struct window *w, const struct wire_gap *gaps,
                          size_t ngaps, struct err *e)
{
    struct wire_header h = {.kind = w->kind,
                            .gw = l->gateway,
                            .seq = l->chain.last_seq + 1,
                            .after = l->chain.after,
                            .after_seq = l->chain.after_seq,
                            .from_ms = w->from_ms,
                            .to_ms = w->to_ms,
                            .clk = (int)w->grade,
                            .step = l->step && w->kind == WIRE_DATA,
                            .gaps = gaps,
                            .ngaps = ngaps};
    memcpy(h.kid, l->chain.kid, sizeof h.kid);
    memcpy(h.chain, l->chain.id, sizeof h.chain);
    memcpy(h.prev, l->chain.last_hash, sizeof h.prev);
    memcpy(h.after_chain, l->chain.after_chain, sizeof h.after_chain);
    memcpy(h.after_hash, l->chain.after_hash, sizeof h.after_hash);
    memcpy(h.boot, w->boot, sizeof h.boot);
    struct buf cose, packed;
    buf_init(&cose, WIRE_BATCH_MAX);
    buf_init(&packed, 2 * WIRE_BATCH_MAX);
    struct store_sealed b = {.chain = l->chain.id,
                             .seq = h.seq,
                             .kind = w->kind,
                             .from_ms = w->from_ms,
                             .to_ms = w->to_ms,
                             .clk = h.clk,
                             .n = w->n,
                             .voided = w->voided,
                             .nvoided = w->nvoided};
    enum st st = sign_and_pack(l, &h, w->fold, &cose, &packed, e);
    if (st == ST_OK) {
        wire_sha256(cose.p, cose.n, b.hash);
        b.packed = (struct wire_span){packed.p, packed.n};
        buf_done(&cose);
        st = store_seal(l->store, &b, w->fold ? l->use : NULL, w->plan, w->nplan, e);
    }
    buf_done(&cose);
    buf_done(&packed);
    if (st != ST_OK)
        return st;
    l->chain.last_seq = h.seq;
    memcpy(l->chain.last_hash, b.hash, sizeof b.hash);
    l->chain.last_to_ms = w->to_ms;
    return ST_OK;
}

/* ---- control batches: plan, retire, void ---- */

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
    if (d->n == d->max)
        return ST_FULL;
    char *name = strdup(p->series);
    if (!name)
        return ST_MEMORY;
    d->names[d->n] = name;
    d->entry[d->n] = *p;
    d->entry[d->n++].series = name;
    return ST_OK;
}

/* Marks a series that stands in the plan as it is configured; lists one that no longer exists. */
static void diff_old(void *ctx, const struct store_planned *p)
{
    struct plan_diff *d = ctx;
    uint32_t i = find_series(d, p->series);
    if (i != UINT32_MAX) {
        const struct store_series *s = store_series_at(d->l->store, i);
        d->same[i] = same_text(p->quantity, s->quantity->key) &&
                     same_text(p->unit, s->quantity->unit) && p->period_ms == s->period_ms;
        return;
    }
    struct store_planned gone = {.series = p->series, .from_ms = d->l->start_ms};
    if (d->st == ST_OK)
        d->st = diff_add(d, &gone);
}

/* From when a series that the chain does not know yet is due: a later chain takes over where the
 * one before ended; an addition is due from this start. */
static int64_t plan_from(const struct seal *l)
{
    return l->chain.last_seq == 0 && l->chain.after ? l->from_ms : l->start_ms;
}

static enum st diff_new(struct plan_diff *d)
{
    struct seal *l = d->l;
    for (uint32_t i = 0; i < store_series_count(l->store); i++) {
        if (d->same[i])
            continue;
        const struct store_series *s = store_series_at(l->store, i);
        struct store_planned p = {d->series[i].name, s->quantity->key, s->quantity->unit,
                                  s->period_ms, plan_from(l)};
        ERR_TRY(diff_add(d, &p));
        gaps_owe(l->gaps, i, p.from_ms);
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
        ERR_TRY(p->quantity
                    ? wire_put_plan(b, p->series, p->quantity, p->unit, p->period_ms, p->from_ms)
                    : wire_put_retire(b, p->series, p->from_ms, "no longer in the configuration"));
    }
    return ST_OK;
}

static enum st diff_make(struct plan_diff *d, struct err *e)
{
    struct seal *l = d->l;
    uint32_t n = store_series_count(l->store);
    d->max = 2 * (size_t)n + 65536;
    d->entry = calloc(d->max, sizeof *d->entry);
    d->names = calloc(d->max, sizeof *d->names);
    d->same = calloc(n + 1, sizeof *d->same);
    d->series = calloc(n + 1, sizeof *d->series);
    d->sorted = calloc(n + 1, sizeof *d->sorted);
    if (!d->entry || !d->names || !d->same || !d->series || !d->sorted)
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

/* A control batch stands at the end of the batch before it and says no time of its own. */
static struct window control_window(const struct seal *l)
{
    return (struct window){.kind = WIRE_CONTROL,
                           .from_ms = l->from_ms,
                           .to_ms = l->from_ms,
                           .boot = store_boot(l->store),
                           .grade = l->last.grade};
}

/* Brings the chain's plan to what is configured; more than one batch where it must. */
static enum st seal_plan(struct seal *l, struct err *e)
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
        struct window w = control_window(l);
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

/* Gives up, in the chain, what an uplink has refused for ever. */
static enum st seal_voids(struct seal *l, struct err *e)
{
    for (int i = 0; i < WINDOWS_A_STEP; i++) {
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
        struct window w = control_window(l);
        w.voided = &r.seq;
        w.nvoided = 1;
        ERR_TRY(seal_batch(l, &w, NULL, 0, e));
    }
    return ST_OK;
}

/* ---- data batches ---- */

static bool same_group(const struct store_frame *a, const struct store_frame *b)
{
    return a->grade == b->grade && memcmp(a->boot, b->boot, sizeof a->boot) == 0;
}

/* The leading frames that may share a batch: one boot, one clock grade. */
static size_t group_length(const struct store_frame *f, size_t n)
{
    size_t k = 0;
    while (k < n && same_group(f, &f[k]))
        k++;
    return k;
}

static enum st room_for(struct seal *l, size_t nframes, struct err *e)
{
    if (nframes <= l->nuse && l->parts)
        return ST_OK;
    bool *use = reallocarray(l->use, nframes + 1, sizeof *use);
    if (use)
        l->use = use;
    struct wire_span *parts = reallocarray(l->parts, nframes + 1, sizeof *parts);
    if (parts)
        l->parts = parts;
    if (!use || !parts)
        return err_set(e, ST_MEMORY, "seal: no memory");
    l->nuse = nframes;
    return ST_OK;
}

/* Marks the frames of the window and lists the parts of its payload. */
static enum st fold(struct seal *l, const struct store_frame *f, size_t nframes, size_t group,
                    struct window *w, struct err *e)
{
    ERR_TRY(room_for(l, nframes, e));
    if (nframes)
        memset(l->use, 0, nframes * sizeof *l->use);
    size_t bytes = 0;
    for (size_t i = 0; i < group; i++) {
        if (f[i].t_ms >= w->to_ms)
            continue;
        if (w->n && (w->n + f[i].n > READINGS_LIMIT || bytes + f[i].senml_n > RECORDS_MAX))
            break; /* later ones go into the next batch, as readings that came late */
        l->use[i] = true;
        w->n += f[i].n;
        bytes += f[i].senml_n;
    }
    w->fold = true;
    l->payload.n = 0;
    enum st st = wire_put_array(&l->payload, w->n);
    l->parts[0] = (struct wire_span){l->payload.p, l->payload.n};
    l->nparts = 1;
    for (size_t i = 0; i < group; i++)
        if (l->use[i])
            l->parts[l->nparts++] = (struct wire_span){f[i].senml, f[i].senml_n};
    return st == ST_OK ? ST_OK : err_set(e, st, "seal: no memory for a batch");
}

static enum st seal_window(struct seal *l, size_t group, int64_t to_ms, struct err *e)
{
    const struct store_frame *f;
    size_t n = store_frames(l->store, &f);
    struct window w = {.kind = WIRE_DATA,
                       .from_ms = l->from_ms,
                       .to_ms = to_ms,
                       .boot = store_boot(l->store),
                       .grade = l->last.grade};
    uint8_t boot[WIRE_ID_BYTES];
    if (group) {
        memcpy(boot, f->boot, sizeof boot);
        w.boot = boot;
        w.grade = f->grade;
    }
    ERR_TRY(fold(l, f, n, group, &w, e));
    size_t used = 0;
    for (size_t i = 0; i < n; i++)
        used += l->use[i];
    const struct wire_gap *gaps;
    size_t ngaps = 0;
    ERR_TRY(gaps_window(l->gaps, w.from_ms, w.to_ms, &gaps, &ngaps, e));
    ERR_TRY(seal_batch(l, &w, gaps, ngaps, e));
    gaps_sealed(l->gaps, to_ms);
    l->seen = l->seen > used ? l->seen - used : 0;
    l->from_ms = to_ms;
    l->step = false;
    return ST_OK;
}

static int64_t latest(const struct store_frame *f, size_t n)
{
    int64_t t = INT64_MIN;
    for (size_t i = 0; i < n; i++)
        if (f[i].t_ms > t)
            t = f[i].t_ms;
    return t;
}

static enum st see_frames(struct seal *l, size_t group)
{
    const struct store_frame *f;
    (void)store_frames(l->store, &f);
    enum st st = ST_OK;
    for (; l->seen < group && st == ST_OK; l->seen++)
        st = gaps_frame(l->gaps, &f[l->seen]);
    return st;
}

/* Ends the window at `to` or, when frames of the group are later, behind the last of them. */
static enum st cut(struct seal *l, size_t group, int64_t to_ms, struct err *e)
{
    const struct store_frame *f;
    (void)store_frames(l->store, &f);
    int64_t last = latest(f, group);
    if (last >= to_ms)
        to_ms = last + 1;
    if (to_ms <= l->from_ms)
        to_ms = l->from_ms + 1;
    return seal_window(l, group, to_ms, e);
}

/* What earlier runs left in the journal becomes batches of their own; then the time in between is
 * a gap. */
static enum st seal_old(struct seal *l, struct err *e)
{
    for (;;) {
        const struct store_frame *f;
        size_t n = store_frames(l->store, &f);
        if (n == 0 || memcmp(f->boot, store_boot(l->store), WIRE_ID_BYTES) == 0)
            break;
        size_t group = group_length(f, n);
        (void)see_frames(l, group);
        ERR_TRY(cut(l, group, INT64_MIN, e));
    }
    l->old_done = true;
    bool base_changed = (l->chain.last_clk == CLK_UNKNOWN) != (l->last.grade == CLK_UNKNOWN);
    if ((l->chain.last_seq || l->chain.after) && (base_changed || l->from_ms > l->start_ms)) {
        l->step = true; /* the clock stands before what was sealed, or speaks another time */
        l->from_ms = align_down(l->start_ms, l->cfg.every_ms);
        gaps_restart(l->gaps, l->start_ms);
        return ST_OK;
    }
    gaps_off(l->gaps, l->from_ms, l->start_ms);
    return ST_OK;
}

/* A step of the clock ends the window in the old time and begins one in the new. */
static enum st look_at_clock(struct seal *l, struct err *e)
{
    struct clk_time now = clk_now(l->clk);
    struct mono mono = clk_mono(l->clk);
    int64_t drift = (now.utc_ms - l->last.utc_ms) - (mono.ms - l->last_mono.ms);
    bool step = drift > STEP_MS || drift < -STEP_MS;
    if (step || now.grade != l->last.grade) {
        const struct store_frame *f;
        size_t n = store_frames(l->store, &f), group = group_length(f, n);
        (void)see_frames(l, group);
        if (group)
            ERR_TRY(cut(l, group, l->last.utc_ms, e));
        store_event(l->store, step ? STORE_WARNING : STORE_INFO, "clock", NULL,
                    "the clock moved by %lld ms; grade %d is now %d", (long long)drift,
                    (int)l->last.grade, (int)now.grade);
    }
    if (step) {
        l->from_ms = align_down(now.utc_ms, l->cfg.every_ms);
        l->step = true;
        l->start_ms = now.utc_ms;
        gaps_restart(l->gaps, now.utc_ms);
    }
    l->last = now;
    l->last_mono = mono;
    return ST_OK;
}

/* Where the window must be cut because it is full; INT64_MAX when it is not. */
static int64_t full_at(const struct seal *l, const struct store_frame *f, size_t group)
{
    uint64_t n = 0;
    size_t bytes = 0, k = 0;
    while (k < group && n + f[k].n <= (uint64_t)l->cfg.max_readings &&
           bytes + f[k].senml_n <= RECORDS_MAX) {
        n += f[k].n;
        bytes += f[k++].senml_n;
    }
    if (k == group)
        return INT64_MAX;
    int64_t t = latest(f, k ? k : 1);
    bool before = false; /* keep a poll's tick whole where that leaves something to seal */
    for (size_t i = 0; i < k; i++)
        before = before || f[i].t_ms < t;
    return before ? t : t + 1;
}

/* Seals the next window that is due; *more says whether there may be another. */
static enum st seal_next(struct seal *l, bool *more, struct err *e)
{
    const struct store_frame *f;
    size_t n = store_frames(l->store, &f), group = group_length(f, n);
    bool crowded = see_frames(l, group) == ST_FULL;
    int64_t now = l->last.utc_ms;
    /* The first window after a start ends behind the start, however long the time before. */
    int64_t base = l->first && l->start_ms > l->from_ms ? l->start_ms : l->from_ms;
    int64_t to = gaps_align_up(base + 1, l->cfg.every_ms);
    int64_t full = full_at(l, f, group);
    *more = true;
    if (full <= l->from_ms)
        full = l->from_ms + 1;
    if (full < to)
        to = full;
    else if (crowded)
        to = now > l->from_ms ? now : l->from_ms + 1;
    else if (now < to + GRACE_MS) {
        *more = false;
        l->due.ms =
            l->last_mono.ms + (to + GRACE_MS - now < LOOK_MS ? to + GRACE_MS - now : LOOK_MS);
        return ST_OK;
    }
    ERR_TRY(seal_voids(l, e));
    ERR_TRY(seal_window(l, group, to, e));
    l->first = false;
    return ST_OK;
}

static enum st step(struct seal *l, struct err *e)
{
    ERR_TRY(look_at_clock(l, e));
    struct store_chain c;
    ERR_TRY(store_chain_last(l->store, &c, e));
    if (c.ended)
        ERR_TRY(chain_begin(l, e));
    if (!l->planned && l->chain.last_seq == 0)
        ERR_TRY(seal_plan(l, e));
    if (!l->old_done)
        ERR_TRY(seal_old(l, e));
    if (!l->planned)
        ERR_TRY(seal_plan(l, e));
    bool more = true;
    for (int i = 0; more && i < WINDOWS_A_STEP; i++)
        ERR_TRY(seal_next(l, &more, e));
    return ST_OK;
}

enum st seal_step(struct seal *l, struct err *e)
{
    enum st st = step(l, e);
    if (st != ST_OK)
        l->due.ms = clk_mono(l->clk).ms + LOOK_MS;
    return st;
}
