/* Starts whose time is unknown: which batches a `time` entry has to name once it is found.
 *
 * A start is one of this program (its id is the `boot` of its batches), while the time since boot
 * is the machine's and goes on from start to start. So whoever finds the time tells all that was
 * polled since the machine booted; only a reboot ends what can be told. */
#include <string.h>

#include "gateway/seal/seal_int.h"

#define DRIFT_PART 10000 /* 100 ppm: what a clock that nobody steers may gain or lose */

static bool is_boot(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, WIRE_ID_BYTES) == 0;
}

static bool is_unknown(const struct seal *l)
{
    return l->last.grade == CLK_UNKNOWN;
}

int64_t seal_offset_err_ms(struct clk_time now, struct mono mono, int64_t since_ms)
{
    return now.err_ms + (mono.ms - since_ms) / DRIFT_PART + 1;
}

/* ---- the list ---- */

static void list_drop(struct store_starts *b, size_t i)
{
    memmove(&b->v[i], &b->v[i + 1], (b->n - i - 1) * sizeof *b->v);
    b->n--;
}

static struct store_start *list_add(struct seal *l, const uint8_t *boot, uint64_t seq,
                                    int64_t since_ms)
{
    struct store_starts *b = &l->blind;
    if (b->n == STORE_STARTS) {
        store_event(l->store, STORE_WARNING, "clock.forgotten", NULL,
                    "the program was started so often without a clock that the first of these "
                    "times stay unknown");
        list_drop(b, 0);
    }
    struct store_start *v = &b->v[b->n++];
    *v = (struct store_start){.seq_from = seq, .seq_to = seq, .since_ms = since_ms};
    memcpy(v->boot, boot, sizeof v->boot);
    l->blind_unsaved = true;
    return v;
}

static struct store_start *list_find(struct seal *l, const uint8_t *boot)
{
    for (size_t i = l->blind.n; i-- > 0;)
        if (is_boot(l->blind.v[i].boot, boot))
            return &l->blind.v[i];
    return NULL;
}

/* The newest start of which readings are sealed. */
static const struct store_start *last_sealed(const struct seal *l)
{
    for (size_t i = l->blind.n; i-- > 0;)
        if (l->blind.v[i].data)
            return &l->blind.v[i];
    return NULL;
}

static bool has_frames(struct seal *l, const uint8_t *boot)
{
    const struct store_frame *f;
    size_t n = store_frames(l->store, &f);
    for (size_t i = 0; i < n; i++)
        if (is_boot(f[i].boot, boot))
            return true;
    return false;
}

void seal_starts_own(struct seal *l, int64_t since_ms)
{
    struct store_start *own = list_find(l, store_boot(l->store));
    if (is_unknown(l) && l->blind.same_boot && (!own || own->seq_from))
        (void)list_add(l, store_boot(l->store), 0, since_ms);
    else if (!is_unknown(l) && own && !own->seq_from)
        list_drop(&l->blind, (size_t)(own - l->blind.v));
}

enum st seal_starts_open(struct seal *l, struct err *e)
{
    struct store_starts *b = &l->blind;
    bool moved = false;
    ERR_TRY(store_starts_recall(l->store, b, e));
    for (size_t i = b->n; i-- > 0;) {
        moved = moved || b->v[i].moved;
        if (!b->v[i].seq_from && !has_frames(l, b->v[i].boot))
            list_drop(b, i);
    }
    if (!b->same_boot && !moved)
        b->n = 0; /* nothing tells it any more */
    b->same_boot = b->same_boot || b->n == 0;
    if (is_unknown(l))
        seal_starts_own(l, l->start_ms - CLK_UNKNOWN_BASE_MS);
    return ST_OK;
}

void seal_starts_chain(struct seal *l)
{
    l->blind.n = l->nmoved = 0;
    l->blind.same_boot = true;
    if (l->running && is_unknown(l))
        seal_starts_own(l, l->last_mono.ms);
}

/* Windows go on in UTC: nobody asks for these again. */
static void drop_told(struct seal *l)
{
    for (size_t i = l->blind.n; i-- > 0;) {
        const struct store_start *v = &l->blind.v[i];
        if (v->moved || (!v->seq_from && !is_boot(v->boot, store_boot(l->store))))
            list_drop(&l->blind, i);
    }
    l->told = false;
    l->blind_unsaved = true;
}

enum st seal_starts_save(struct seal *l, struct err *e)
{
    /* a window of before, which an entry brought to light, is not the one that goes on */
    if (l->told && l->old_done && l->chain.window_to_ms >= SEAL_KNOWN_MS &&
        l->chain.window_to_ms >= l->known_end_ms)
        drop_told(l);
    if (!l->blind_unsaved || !l->blind.same_boot)
        return ST_OK;
    struct store_start v[STORE_STARTS];
    memcpy(v, l->blind.v, sizeof v);
    const struct store_frame *f;
    bool old = !l->old_done && store_frames(l->store, &f) > 0;
    for (size_t i = 0; i < l->blind.n; i++)
        if (!v[i].seq_from && !old && is_boot(v[i].boot, store_boot(l->store)))
            v[i].seq_from = l->chain.last_seq + 1; /* what it seals from now on */
    ERR_TRY(store_starts_note(l->store, v, l->blind.n, e));
    l->blind_unsaved = old; /* then again, with its number */
    return ST_OK;
}

/* ---- what was sealed ---- */

static void note_unknown(struct seal *l, const uint8_t *boot, uint64_t seq, bool data)
{
    struct store_start *v = list_find(l, boot);
    if (!v)
        return; /* of a boot of the machine that is over */
    if (!v->seq_from)
        v->seq_from = v->seq_to = seq;
    else if (!v->moved && v->seq_to == seq - 1)
        v->seq_to = seq;
    else
        v = list_add(l, boot, seq, v->since_ms);
    v->data = v->data || data;
}

static void note_corrected(struct seal *l, const uint8_t *boot, uint64_t seq)
{
    struct seal_moved *m = l->nmoved ? &l->moved[l->nmoved - 1] : NULL;
    if (!l->offset.err_ms)
        return; /* moved by what an entry of another run says */
    if (m && m->base_ms == l->offset.add_ms && m->seq_to == seq - 1 && is_boot(m->boot, boot)) {
        m->seq_to = seq;
        return;
    }
    if (l->nmoved == SEAL_MOVED)
        return; /* it keeps the time that it has */
    m = &l->moved[l->nmoved++];
    *m = (struct seal_moved){.seq_from = seq,
                             .seq_to = seq,
                             .since_ms = l->offset.since_ms,
                             .base_ms = l->offset.add_ms,
                             .add_ms = l->offset.add_ms,
                             .err_ms = l->offset.err_ms};
    memcpy(m->boot, boot, sizeof m->boot);
}

void seal_note_range(struct seal *l, const struct seal_window *w, uint64_t seq)
{
    if (w->grade == CLK_UNKNOWN)
        note_unknown(l, w->boot, seq, w->kind == WIRE_DATA);
    else if (w->grade == CLK_CORRECTED)
        note_corrected(l, w->boot, seq);
}

/* ---- entries ---- */

bool seal_starts_wait(const struct seal *l)
{
    for (size_t i = 0; i < l->blind.n; i++)
        if (l->blind.v[i].seq_from && !l->blind.v[i].moved)
            return true;
    return false;
}

bool seal_starts_waits(struct seal *l, const uint8_t *boot)
{
    return list_find(l, boot) && !is_boot(boot, store_boot(l->store));
}

int64_t seal_starts_from_ms(const struct seal *l)
{
    for (size_t i = 0; i < l->blind.n; i++)
        if (l->blind.v[i].data && !l->blind.v[i].moved)
            return CLK_UNKNOWN_BASE_MS + l->blind.v[i].since_ms;
    return l->start_ms;
}

int64_t seal_starts_since_ms(const struct seal *l)
{
    return l->blind.n ? l->blind.v[0].since_ms : l->last_mono.ms;
}

/* One control batch for all that waits for its time. */
enum st seal_starts_move(struct seal *l, int64_t add_ms, struct clk_time now, struct mono mono,
                         struct err *e)
{
    struct store_starts *b = &l->blind;
    struct seal_moved m[STORE_STARTS];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (!b->v[i].seq_from || b->v[i].moved)
            continue;
        m[n] = (struct seal_moved){.seq_from = b->v[i].seq_from,
                                   .seq_to = b->v[i].seq_to,
                                   .since_ms = b->v[i].since_ms,
                                   .add_ms = add_ms,
                                   .err_ms = seal_offset_err_ms(now, mono, b->v[i].since_ms)};
        memcpy(m[n++].boot, b->v[i].boot, WIRE_ID_BYTES);
    }
    ERR_TRY(seal_entries(l, m, n, e));
    for (size_t i = 0; i < b->n; i++)
        if (b->v[i].seq_from && !b->v[i].moved) {
            b->v[i].moved = true;
            b->v[i].add_ms = add_ms;
        }
    for (size_t i = 0; i < n && l->nmoved < SEAL_MOVED; i++)
        l->moved[l->nmoved++] = m[i];
    return ST_OK;
}

void seal_starts_told(struct seal *l, const uint8_t *boot, int64_t add_ms)
{
    for (size_t i = 0; i < l->blind.n; i++)
        if (l->blind.v[i].seq_from && is_boot(l->blind.v[i].boot, boot)) {
            l->blind.v[i].moved = true;
            l->blind.v[i].add_ms = add_ms;
        }
}

/* ---- starts before this one ---- */

/* An offset that holds for all of them: of an entry, or of the clock of now. */
static bool past_offset(const struct seal *l, int64_t *add_ms)
{
    for (size_t i = 0; i < l->blind.n; i++)
        if (l->blind.v[i].moved) {
            *add_ms = l->blind.v[i].add_ms;
            return true;
        }
    *add_ms = l->offset.add_ms;
    return l->offset.err_ms != 0 && l->blind.n > 0;
}

enum st seal_starts_past(struct seal *l, struct err *e)
{
    if (l->blind.n == 0)
        return ST_OK;
    if (!is_unknown(l) && l->blind.same_boot && !l->offset.err_ms) {
        int64_t since_ms = seal_starts_since_ms(l);
        l->offset.add_ms = seal_offset_ms(l->last, l->last_mono);
        l->offset.since_ms = since_ms;
        l->offset.err_ms = seal_offset_err_ms(l->last, l->last_mono, since_ms);
        store_event(l->store, STORE_INFO, "clock.found", NULL,
                    "the time is known: readings of earlier starts since the machine booted get "
                    "theirs (+-%lld ms)",
                    (long long)l->offset.err_ms);
    }
    if (l->offset.err_ms && seal_starts_wait(l))
        ERR_TRY(seal_starts_move(l, l->offset.add_ms, l->last, l->last_mono, e));
    int64_t add_ms;
    l->told = l->told || past_offset(l, &add_ms);
    return ST_OK;
}

enum st seal_starts_offset(struct seal *l, uint8_t boot[WIRE_ID_BYTES], struct store_offset *o,
                           struct err *e)
{
    const struct store_start *last = last_sealed(l);
    bool moved = last && last->moved;
    memcpy(boot, moved ? last->boot : l->chain.last_boot, WIRE_ID_BYTES);
    ERR_TRY(store_boot_offset(l->store, boot, o, e));
    int64_t first_ms = CLK_UNKNOWN_BASE_MS + seal_starts_since_ms(l) + o->add_ms;
    if (moved && first_ms < o->from_ms)
        o->from_ms = first_ms; /* of one before that */
    return ST_OK;
}

void seal_starts_done(struct seal *l)
{
    if (l->blind.same_boot)
        return;
    l->blind.n = 0; /* of a boot of the machine that is over, and all told */
    l->blind.same_boot = true;
    l->told = false;
    l->blind_unsaved = true;
    if (is_unknown(l))
        seal_starts_own(l, l->start_ms - CLK_UNKNOWN_BASE_MS);
}

bool seal_starts_abut(const struct seal *l)
{
    const struct store_start *last = last_sealed(l);
    return is_unknown(l) && l->from_unknown && l->blind.same_boot && last && !last->moved &&
           !is_boot(last->boot, store_boot(l->store));
}

bool seal_starts_rebased(const struct seal *l, const uint8_t *boot)
{
    return l->from_unknown && l->chain.last_seq && !is_boot(boot, l->chain.last_boot) &&
           !last_sealed(l);
}

enum st seal_restamp_old(struct seal *l, const uint8_t *boot, struct err *e)
{
    struct store_offset o;
    size_t n;
    uint8_t id[WIRE_ID_BYTES];
    memcpy(id, boot, sizeof id); /* the frames move */
    enum st st = ST_OK;
    if (!list_find(l, id) || !past_offset(l, &o.add_ms))
        st = store_boot_offset(l->store, id, &o, e);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    return store_restamp(l->store, id, o.add_ms, &n, e);
}
