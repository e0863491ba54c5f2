#include "gateway/seal/seal_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRACE_MS 2000            /* a poll of the window may still be on its way */
#define RECORDS_MAX (950 * 1024) /* encoded records of a batch; header and envelope fit too */
#define BEHIND_MS 100            /* when to look again for polls that had no room yet */
#define LOOK_MS 1000             /* how often to look for steps and full windows */
#define READINGS_LIMIT 65535

static const struct cfg_field fields[] = {
    {.key = "key",
     .kind = CFG_STRING,
     .offset = offsetof(struct seal_cfg, key),
     .required = true,
     .help = "the gateway's private key: a file, made by fieldpost keygen, or a pkcs11: URI"},
    {.key = "next_key",
     .kind = CFG_STRING,
     .offset = offsetof(struct seal_cfg, next_key),
     .help = "pkcs11: URI of the key that takes over at the next start"},
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
    l->start_ms = l->last.utc_ms;
    store_windows(s, cfg->every_ms);
    buf_init(&l->payload, WIRE_BATCH_MAX);
    l->gateway = strdup(gateway);
    l->machine = strdup(machine_id);
    enum st st = l->gateway && l->machine ? ST_OK : err_set(e, ST_MEMORY, "seal: no memory");
    if (st == ST_OK)
        st = seal_key_open(l, e);
    if (st == ST_OK)
        st = gaps_open(&l->gaps, s, e);
    if (st == ST_OK) {
        store_key(s, l->key->pub);
        st = seal_enter(l, false, e);
    }
    if (st != ST_OK) {
        seal_close(l);
        return st;
    }
    *out = l;
    return ST_OK;
}

void seal_close(struct seal *l)
{
    if (!l)
        return;
    store_key(l->store, NULL);
    signer_close(l->own_signer);
    gaps_close(l->gaps);
    buf_done(&l->payload);
    buf_done(&l->deposit.files);
    buf_done(&l->underway);
    buf_done(&l->underway_now);
    free(l->use);
    free(l->parts);
    free(l->gateway);
    free(l->machine);
    free(l);
}

struct mono seal_due(const struct seal *l)
{
    return l->due;
}

/* ---- one batch ---- */

/* Signs the payload into cose and compresses it into packed. */
static enum st sign_and_pack(struct seal *l, const struct wire_header *h, bool fold,
                             struct buf *cose, struct buf *packed, struct err *e)
{
    struct wire_span whole = {l->payload.p, l->payload.n};
    ERR_TRY(
        wire_batch_sign_parts(h, fold ? l->parts : &whole, fold ? l->nparts : 1, l->key, cose, e));
    struct wire_zstd *z = NULL;
    ERR_TRY(wire_zstd_open(&z, e));
    enum st st = wire_zstd_pack(z, wire_batch_level(cose->n), cose->p, cose->n, packed, e);
    wire_zstd_close(z);
    return st;
}

enum st seal_make(struct seal *l, const struct store_chain *at, const struct seal_window *w,
                  const struct wire_gap *gaps, size_t ngaps, struct seal_made *out, struct err *e)
{
    struct wire_header h = {.kind = w->kind,
                            .gw = l->gateway,
                            .seq = at->last_seq + 1,
                            .after = at->after,
                            .after_seq = at->after_seq,
                            .from_ms = w->from_ms,
                            .to_ms = w->to_ms,
                            .clk = (int)w->grade,
                            .step = l->step && w->kind == WIRE_DATA && w->level == STORE_RAW,
                            .gaps = gaps,
                            .ngaps = ngaps,
                            .for_from = w->for_from,
                            .for_to = w->for_to};
    memcpy(h.kid, at->kid, sizeof h.kid);
    memcpy(h.chain, at->id, sizeof h.chain);
    memcpy(h.prev, at->last_hash, sizeof h.prev);
    memcpy(h.after_chain, at->after_chain, sizeof h.after_chain);
    memcpy(h.after_hash, at->after_hash, sizeof h.after_hash);
    memcpy(h.boot, w->boot, sizeof h.boot);
    out->b = (struct store_sealed){.chain = l->chain.id,
                                   .seq = h.seq,
                                   .kind = w->kind,
                                   .level = w->level,
                                   .from_ms = w->from_ms,
                                   .to_ms = w->to_ms,
                                   .clk = h.clk,
                                   .n = w->n,
                                   .voided = w->voided,
                                   .nvoided = w->nvoided,
                                   .request = w->request,
                                   .config = w->config,
                                   .entered = w->entered,
                                   .digested = w->digested,
                                   .next_kid = w->next_kid};
    struct buf cose;
    buf_init(&cose, WIRE_BATCH_MAX);
    buf_init(&out->packed, 2 * WIRE_BATCH_MAX);
    enum st st = sign_and_pack(l, &h, w->fold, &cose, &out->packed, e);
    if (st == ST_OK) {
        wire_sha256(cose.p, cose.n, out->b.hash);
        wire_day_batch(&out->day, &h, w->n, out->b.hash);
        out->b.packed = (struct wire_span){out->packed.p, out->packed.n};
    }
    buf_done(&cose);
    return st;
}

void seal_made_done(struct seal_made *m)
{
    buf_done(&m->packed);
}

void seal_chain_move(struct store_chain *c, const struct store_sealed *b)
{
    c->last_seq = b->seq;
    memcpy(c->last_hash, b->hash, sizeof b->hash);
    c->last_to_ms = b->to_ms;
    if (b->kind == WIRE_DATA && b->level == STORE_RAW && !b->again)
        c->window_to_ms = b->to_ms;
}

/* Signs payload and stores the batch; moves the chain on. What it takes meanwhile, some bytes for
 * each byte of the payload, it gives back: a batch is rare. */
enum st seal_batch(struct seal *l, const struct seal_window *w, const struct wire_gap *gaps,
                   size_t ngaps, struct err *e)
{
    struct seal_made m = {0};
    enum st st = seal_make(l, &l->chain, w, gaps, ngaps, &m, e);
    if (st == ST_OK)
        st = store_seal(l->store, &m.b, w->fold ? l->use : NULL, w->plan, w->nplan, e);
    if (st == ST_OK) {
        seal_chain_move(&l->chain, &m.b);
        seal_digest_stored(l, &m.day);
    }
    seal_made_done(&m);
    if (st == ST_OK && w->to_ms >= SEAL_KNOWN_MS && w->to_ms > l->known_end_ms)
        l->known_end_ms = w->to_ms;
    if (st == ST_OK)
        seal_note_range(l, w, m.b.seq);
    return st;
}

/* ---- data batches ---- */

bool seal_same_group(const struct store_frame *a, const struct store_frame *b)
{
    return a->grade == b->grade && memcmp(a->boot, b->boot, sizeof a->boot) == 0;
}

/* The leading frames that may share a batch: one boot, one clock grade. */
static size_t group_length(const struct store_frame *f, size_t n)
{
    size_t k = 0;
    while (k < n && seal_same_group(f, &f[k]))
        k++;
    return k;
}

enum st seal_room_for(struct seal *l, size_t nframes, struct err *e)
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
                    struct seal_window *w, struct err *e)
{
    ERR_TRY(seal_room_for(l, nframes, e));
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

enum st seal_data_window(struct seal *l, size_t group, int64_t to_ms, struct err *e)
{
    const struct store_frame *f;
    size_t n = store_frames(l->store, &f);
    struct seal_window w = {.kind = WIRE_DATA,
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
    ERR_TRY(gaps_window(l->gaps, w.from_ms, w.to_ms, l->planned && l->old_done, &gaps, &ngaps, e));
    ERR_TRY(seal_underway_keep(l, to_ms, e));
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

/* Shows the tracker the frames of a group that it has not seen. How many of the group it has seen
 * then: fewer when it can remember no more gaps, and a window must end behind that tick. */
static size_t see_frames(struct seal *l, size_t group)
{
    const struct store_frame *f;
    (void)store_frames(l->store, &f);
    bool full = false;
    for (; l->seen < group; l->seen++) {
        if (full && f[l->seen].t_ms != f[l->seen - 1].t_ms)
            break; /* a tick is seen whole: what comes in it is no gap */
        full = gaps_frame(l->gaps, &f[l->seen]) == ST_FULL;
    }
    return l->seen < group ? l->seen : group;
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
    return seal_data_window(l, group, to_ms, e);
}

enum st seal_cut_group(struct seal *l, int64_t to_ms, struct err *e)
{
    const struct store_frame *f;
    size_t n = store_frames(l->store, &f), left = group_length(f, n);
    while (left > 0) {
        size_t part = see_frames(l, left);
        ERR_TRY(cut(l, part, part == left ? to_ms : INT64_MIN, e));
        size_t now = store_frames(l->store, &f);
        left -= n - now;
        n = now;
    }
    return ST_OK;
}

/* What earlier runs left in the journal becomes batches of their own; then the time in between is
 * a gap. */
static enum st seal_old(struct seal *l, struct err *e)
{
    ERR_TRY(seal_starts_past(l, e));
    ERR_TRY(seal_last_boot(l, e));
    if (l->silence == STORE_STORAGE)
        gaps_silence(l->gaps, STORE_STORAGE);
    for (;;) {
        const struct store_frame *f;
        size_t n = store_frames(l->store, &f);
        if (n == 0 || memcmp(f->boot, store_boot(l->store), WIRE_ID_BYTES) == 0)
            break;
        ERR_TRY(seal_restamp_old(l, f->boot, e));
        (void)store_frames(l->store, &f);
        bool unknown = f->grade == CLK_UNKNOWN;
        /* that run changed its time base and sealed no more */
        if (unknown != l->from_unknown || seal_starts_rebased(l, f->boot)) {
            l->from_ms = !unknown && l->known_end_ms ? l->known_end_ms : f->t_ms;
            l->from_unknown = unknown;
            l->step = true;
            if (unknown)
                gaps_restart(l->gaps, f->t_ms); /* the time before cannot be told on that clock */
            else
                gaps_off(l->gaps, l->from_ms, f->t_ms, l->silence);
        }
        ERR_TRY(seal_cut_group(l, INT64_MIN, e));
    }
    l->old_done = true;
    seal_starts_done(l);
    if (l->chain.last_seq || l->chain.after)
        seal_go_on(l, l->start_ms);
    gaps_pause(l->gaps, l->start_ms);
    gaps_silence(l->gaps, STORE_OVERRUN);
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

/* A window in UTC has said what is missing before this start; one in time since boot cannot. */
static enum st tell_silence(struct seal *l, struct err *e)
{
    if (l->from_unknown)
        return ST_OK;
    if (l->silence == STORE_STORAGE)
        ERR_TRY(store_silence_told(l->store, e));
    l->silence = STORE_OFF;
    return ST_OK;
}

/* Seals the next window that is due; *more says whether there may be another. */
static enum st seal_next(struct seal *l, bool *more, struct err *e)
{
    const struct store_frame *f;
    size_t n = store_frames(l->store, &f), waiting = group_length(f, n);
    size_t seen = see_frames(l, waiting), group = seen;
    int64_t now = l->last.utc_ms;
    /* The first window after a start ends behind the start, however long the time before. */
    int64_t base = l->first && l->start_ms > l->from_ms ? l->start_ms : l->from_ms;
    int64_t to = gaps_align_up(base + 1, l->cfg.every_ms);
    int64_t full = full_at(l, f, group), urged = store_urged(l->store);
    *more = true;
    if (urged > base && urged < to)
        to = urged;
    if (full <= l->from_ms)
        full = l->from_ms + 1;
    if (full < to)
        to = full;
    else if (seen < waiting) /* behind the last tick that the tracker has seen */
        to = latest(f, seen) >= l->from_ms ? latest(f, seen) + 1 : l->from_ms + 1;
    else if (store_crowded(l->store)) /* not up to now: there may be no room yet for later polls */
        to = latest(f, group) >= l->from_ms ? latest(f, group) + 1 : l->from_ms + 1;
    else if (now < to || store_behind(l->store) ||
             (now < to + GRACE_MS && !gaps_complete(l->gaps, to))) {
        int64_t left = now < to ? to - now : now < to + GRACE_MS ? to + GRACE_MS - now : BEHIND_MS;
        *more = false;
        l->due.ms = l->last_mono.ms + (left < LOOK_MS ? left : LOOK_MS);
        return ST_OK;
    }
    ERR_TRY(seal_voids(l, e));
    ERR_TRY(seal_thin(l, e));
    if (!l->first) { /* a chain begins with its own time */
        ERR_TRY(seal_holes(l, e));
        ERR_TRY(seal_again(l, e));
    }
    ERR_TRY(seal_data_window(l, group, to, e));
    l->first = false;
    return tell_silence(l, e);
}

static enum st step(struct seal *l, struct err *e)
{
    bool wait = false;
    /* A step of the clock ends the waiting: what was polled before it is sealed in the old time. */
    bool moved = !l->entered && seal_clock_moved(l);
    if (!l->entered)
        ERR_TRY(seal_enter(l, moved, e));
    if (!l->entered) {
        l->due.ms = clk_mono(l->clk).ms + LOOK_MS;
        return ST_OK;
    }
    if (!moved)
        ERR_TRY(seal_look_at_clock(l, &wait, e));
    if (wait)
        return ST_OK;
    struct store_chain c;
    ERR_TRY(store_chain_last(l->store, &c, e));
    if (c.ended) {
        if (c.last_seq > l->chain.last_seq) { /* the city knew more of it */
            l->chain.last_seq = c.last_seq;
            memcpy(l->chain.last_hash, c.last_hash, sizeof c.last_hash);
        }
        ERR_TRY(seal_chain_begin(l, e));
    }
    ERR_TRY(seal_starts_save(l, e));
    if (!l->planned && l->chain.last_seq == 0)
        ERR_TRY(seal_plan(l, e));
    if (!l->old_done) {
        ERR_TRY(seal_old(l, e));
        ERR_TRY(seal_starts_save(l, e));
    }
    if (!l->planned)
        ERR_TRY(seal_plan(l, e));
    l->running = true;
    l->known = l->known || !l->from_unknown;
    ERR_TRY(seal_say_config(l, e));
    ERR_TRY(seal_requests(l, e));
    ERR_TRY(seal_strays(l, e));
    bool over = false;
    ERR_TRY(seal_rotate(l, &over, e));
    if (over) { /* the next turn, which begins a chain, is due at once */
        l->due = l->last_mono;
        return ST_OK;
    }
    bool more = true;
    for (int i = 0; more && i < SEAL_A_STEP; i++)
        ERR_TRY(seal_next(l, &more, e));
    seal_deposit_step(l);
    return seal_digests(l, e);
}

enum st seal_step(struct seal *l, struct err *e)
{
    struct err why = {0};
    enum st st = step(l, &why);
    store_seal_fault(l->store, st == ST_OK ? "" : why.text);
    if (st == ST_OK)
        return ST_OK;
    l->due.ms = clk_mono(l->clk).ms + LOOK_MS;
    if (e)
        *e = why;
    return st;
}
