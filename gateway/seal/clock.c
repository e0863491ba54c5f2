/* The clock: its steps, and what to do when it was unknown and is found.
 *
 * While the clock is unknown, windows count from boot. When it is found, the difference of the two
 * clocks tells the UTC of everything that was polled since: frames that wait get it now and flag
 * 128; what is sealed stays as it is and is moved by a `time` entry; and only the time between the
 * last known window and the start of this boot was really off. The entry goes first: should the
 * power fail between the two, the next run finds in it what the frames of this boot need. */
#include <stdio.h>
#include <string.h>

#include "gateway/seal/seal_int.h"

#define STEP_MS 1000 /* UTC against time since boot: more than this is a step */

static int64_t align_down(int64_t t, int64_t step)
{
    int64_t up = gaps_align_up(t, step);
    return up == t ? t : up - step;
}

static bool is_unknown(const struct seal *l)
{
    return l->last.grade == CLK_UNKNOWN;
}

void seal_begin_at(struct seal *l, int64_t now_ms)
{
    l->from_unknown = is_unknown(l);
    l->from_ms = l->from_unknown ? now_ms : align_down(now_ms, l->cfg.every_ms);
}

/* ---- where windows go on ---- */

/* The time between known_end_ms and now carries no reading: one window covers it with a gap. Also
 * after a clock that was behind was set: what was polled meanwhile has other times. */
static void resume(struct seal *l, int64_t now_ms, bool abut)
{
    if (!abut && (l->from_ms < l->known_end_ms || l->from_unknown)) {
        l->from_ms = l->known_end_ms;
        l->step = true;
    }
    l->from_unknown = abut && l->from_unknown;
    l->first = true;
    l->start_ms = now_ms;
    gaps_off(l->gaps, l->from_ms, now_ms, l->silence);
}

static void restart(struct seal *l, int64_t now_ms)
{
    seal_begin_at(l, now_ms);
    l->step = true;
    l->first = true;
    l->start_ms = now_ms;
    gaps_restart(l->gaps, now_ms);
}

void seal_go_on(struct seal *l, int64_t now_ms)
{
    bool abut = seal_starts_abut(l) && l->from_ms <= now_ms;
    if (abut || (!is_unknown(l) && l->known_end_ms && l->known_end_ms <= now_ms))
        resume(l, now_ms, abut);
    else
        restart(l, now_ms); /* the time before cannot be told on this clock */
}

/* ---- `time` entries ---- */

enum st seal_entries(struct seal *l, const struct seal_moved *m, size_t n, struct err *e)
{
    l->payload.n = 0;
    enum st st = wire_put_array(&l->payload, n);
    for (size_t i = 0; i < n && st == ST_OK; i++)
        st = wire_put_time(&l->payload, m[i].boot, m[i].seq_from, m[i].seq_to,
                           m[i].add_ms - m[i].base_ms, m[i].err_ms);
    if (st != ST_OK)
        return err_set(e, st, "seal: a time entry could not be encoded");
    struct seal_window w = seal_control_window(l);
    return seal_batch(l, &w, NULL, 0, e);
}

int64_t seal_offset_ms(struct clk_time now, struct mono mono)
{
    return now.utc_ms - (CLK_UNKNOWN_BASE_MS + mono.ms);
}

/* A clock that is known better than when it was found, and says something else. */
static enum st improve(struct seal *l, struct clk_time now, struct mono mono, struct err *e)
{
    struct seal_moved m[SEAL_MOVED];
    size_t at[SEAL_MOVED], n = 0;
    int64_t add_ms = seal_offset_ms(now, mono), off_ms = 0, worst_ms = 0;
    bool better = false;
    for (size_t i = 0; i < l->nmoved; i++) {
        int64_t err_ms = seal_offset_err_ms(now, mono, l->moved[i].since_ms);
        if (err_ms >= l->moved[i].err_ms)
            continue;
        off_ms = add_ms - l->moved[i].add_ms;
        better = better || off_ms > err_ms || off_ms < -err_ms;
        worst_ms = err_ms > worst_ms ? err_ms : worst_ms;
        m[n] = l->moved[i];
        m[n].add_ms = add_ms;
        m[n].err_ms = err_ms;
        at[n++] = i;
    }
    if (!better)
        return ST_OK;
    ERR_TRY(seal_entries(l, m, n, e));
    for (size_t i = 0; i < n; i++)
        l->moved[at[i]] = m[i];
    store_event(l->store, STORE_INFO, "clock.better", NULL,
                "the time since boot is known better: readings move by %lld ms (+-%lld ms)",
                (long long)off_ms, (long long)worst_ms);
    return ST_OK;
}

/* ---- a clock that was found ---- */

enum st seal_off(struct seal *l, const uint8_t *boot, int64_t from_ms, int64_t to_ms, struct err *e)
{
    const struct wire_gap *gaps;
    size_t n = 0;
    struct seal_window w = {.kind = WIRE_DATA,
                            .from_ms = from_ms,
                            .to_ms = to_ms,
                            .boot = boot,
                            .grade = CLK_CORRECTED};
    l->payload.n = 0;
    if (wire_put_array(&l->payload, 0) != ST_OK)
        return err_set(e, ST_MEMORY, "seal: no memory for a batch");
    gaps_off_before(l->gaps, from_ms, to_ms, l->silence);
    enum st st = gaps_window(l->gaps, from_ms, to_ms, true, &gaps, &n, e);
    l->step = true;
    if (st == ST_OK)
        st = seal_batch(l, &w, gaps, n, e);
    gaps_sealed(l->gaps, to_ms); /* what a retry would say twice */
    return st;
}

/* Everything that waits gets its UTC; what is to be sealed because of it is noted. */
static enum st find_time(struct seal *l, struct clk_time now, struct mono mono, struct err *e)
{
    int64_t add_ms = seal_offset_ms(now, mono), since_ms = seal_starts_since_ms(l);
    int64_t start_ms = seal_starts_from_ms(l) + add_ms;
    size_t n = 0;
    ERR_TRY(store_restamp(l->store, store_boot(l->store), add_ms, &n, e));
    gaps_shift(l->gaps, add_ms);
    l->from_ms += add_ms;
    l->start_ms += add_ms;
    l->from_unknown = false;
    l->offset.add_ms = add_ms;
    l->offset.err_ms = seal_offset_err_ms(now, mono, since_ms);
    l->offset.since_ms = since_ms;
    l->found.start_ms = start_ms;
    l->found.now = now;
    l->found.mono = mono;
    l->found.entry = seal_starts_wait(l);
    l->found.off = !l->known && l->known_end_ms && l->known_end_ms < l->found.start_ms;
    l->found.open = true;
    l->step = true;
    l->last = (struct clk_time){now.utc_ms, CLK_CORRECTED, l->offset.err_ms};
    l->last_mono = mono;
    if (!l->found.entry && l->known_end_ms && l->known_end_ms <= now.utc_ms)
        l->from_ms = l->known_end_ms; /* one window: what was off, and what was polled since */
    if (!l->found.entry && l->found.off) {
        gaps_off_before(l->gaps, l->known_end_ms, l->found.start_ms, l->silence);
        l->found.off = false;
    }
    store_event(l->store, STORE_INFO, "clock.found", NULL,
                "the time is known: readings since this start get theirs (+-%lld ms), %llu polls "
                "that wait and %s",
                (long long)l->offset.err_ms, (unsigned long long)n,
                l->found.entry ? "what is sealed already" : "none that is sealed");
    return ST_OK;
}

/* The first time that the found clock itself gave to a frame; its windows begin there. */
static int64_t first_known(const struct seal *l)
{
    const struct store_frame *f;
    size_t n = store_frames(l->store, &f);
    int64_t first_ms = l->found.now.utc_ms;
    for (size_t i = 0; i < n; i++)
        if (f[i].grade != CLK_CORRECTED && f[i].t_ms < first_ms)
            first_ms = f[i].t_ms;
    return first_ms;
}

static bool any_corrected(const struct seal *l)
{
    const struct store_frame *f;
    size_t n = store_frames(l->store, &f);
    for (size_t i = 0; i < n; i++)
        if (f[i].grade == CLK_CORRECTED && memcmp(f[i].boot, store_boot(l->store), 8) == 0)
            return true;
    return false;
}

/* Seals what find_time noted, each once; after a failure the next step goes on. */
static enum st settle(struct seal *l, struct err *e)
{
    if (l->found.entry) {
        ERR_TRY(seal_starts_move(l, l->offset.add_ms, l->found.now, l->found.mono, e));
        l->found.entry = false;
    }
    if (l->found.off) {
        int64_t known_ms = l->known_end_ms;
        ERR_TRY(seal_off(l, store_boot(l->store), known_ms, l->found.start_ms, e));
        l->found.off = false;
        l->step = true;
    }
    int64_t to_ms = first_known(l);
    while (any_corrected(l))
        ERR_TRY(seal_cut_group(l, to_ms, e));
    if (l->from_ms < to_ms)
        ERR_TRY(seal_data_window(l, 0, to_ms, e));
    l->first = false;
    l->last = l->found.now;
    l->last_mono = l->found.mono;
    l->found.open = false;
    l->told = true;
    return ST_OK;
}

/* The clock was found or set before anything was sealed or seen. */
static enum st start_again(struct seal *l, struct clk_time now, struct mono mono, struct err *e)
{
    l->start_ms = now.utc_ms - (mono.ms - l->last_mono.ms);
    l->last = now;
    l->last_mono = mono;
    seal_starts_own(l, mono.ms);
    if (l->chain.last_seq == 0 && !l->chain.after)
        seal_begin_at(l, l->start_ms);
    return seal_owe(l, e);
}

/* ---- the look ---- */

/* The window ends in the old time. */
static enum st end_window(struct seal *l, bool step, struct err *e)
{
    bool open = step && l->last.utc_ms > l->from_ms;
    ERR_TRY(seal_cut_group(l, l->last.utc_ms, e));
    if (open && l->from_ms < l->last.utc_ms)
        ERR_TRY(seal_data_window(l, 0, l->last.utc_ms, e));
    return ST_OK;
}

static int64_t drift_of(const struct seal *l, struct clk_time now, struct mono mono)
{
    return (now.utc_ms - l->last.utc_ms) - (mono.ms - l->last_mono.ms);
}

bool seal_clock_moved(const struct seal *l)
{
    struct clk_time now = clk_now(l->clk);
    int64_t drift = drift_of(l, now, clk_mono(l->clk));
    return drift > STEP_MS || drift < -STEP_MS || now.grade != l->last.grade;
}

enum st seal_look_at_clock(struct seal *l, bool *wait, struct err *e)
{
    if (l->found.open)
        ERR_TRY(settle(l, e));
    struct clk_time now = clk_now(l->clk);
    struct mono mono = clk_mono(l->clk);
    int64_t drift = drift_of(l, now, mono);
    bool step = drift > STEP_MS || drift < -STEP_MS, other = now.grade != l->last.grade;
    bool lost = now.grade == CLK_UNKNOWN && !is_unknown(l);
    bool found = now.grade != CLK_UNKNOWN && is_unknown(l);
    if (!l->running && (step || other)) {
        ERR_TRY(start_again(l, now, mono, e));
    } else if ((lost || found) && !l->paused) {
        l->paused = *wait = true; /* what was polled under the old clock comes with this turn */
        l->due = mono;
        return ST_OK;
    } else if (step || other) {
        store_event(l->store, step ? STORE_WARNING : STORE_INFO, "clock", NULL,
                    "the clock moved by %lld ms; grade %d is now %d", (long long)drift,
                    (int)l->last.grade, (int)now.grade);
        if (found) {
            ERR_TRY(find_time(l, now, mono, e));
            ERR_TRY(settle(l, e));
        } else {
            ERR_TRY(end_window(l, step, e));
        }
    }
    l->paused = false;
    bool moved = step && l->running && !found;
    l->last = now;
    l->last_mono = mono;
    if (lost)
        seal_starts_own(l, mono.ms);
    if (moved) {
        seal_go_on(l, now.utc_ms);
        l->step = true;
    }
    if (now.grade == CLK_UNKNOWN)
        return ST_OK;
    return improve(l, now, mono, e);
}

/* ---- strays ---- */

/* A frame of another time base than the windows' now, or of a time that a step back has made come
 * much later. */
static bool is_stray(const struct seal *l, const struct store_frame *f)
{
    bool base = (f->grade == CLK_UNKNOWN) != l->from_unknown;
    return base || f->t_ms > l->last.utc_ms + l->cfg.every_ms;
}

/* Frames like the first stray go into a window of their own, which says no gap; the windows of now
 * go on where they were. */
static enum st seal_aside(struct seal *l, struct err *e)
{
    const struct store_frame *f;
    size_t n = store_frames(l->store, &f), first = 0, seen = 0;
    while (first < n && !is_stray(l, &f[first]))
        first++;
    if (first == n)
        return ST_NOT_FOUND;
    ERR_TRY(seal_room_for(l, n, e));
    struct seal_window w = {.kind = WIRE_DATA,
                            .from_ms = f[first].t_ms,
                            .boot = store_boot(l->store),
                            .grade = f[first].grade,
                            .fold = true};
    uint64_t most = (uint64_t)l->cfg.max_readings;
    l->nparts = 1;
    for (size_t i = 0; i < n; i++) {
        l->use[i] = is_stray(l, &f[i]) && seal_same_group(&f[i], &f[first]) &&
                    (w.n == 0 || w.n + f[i].n <= most);
        if (!l->use[i])
            continue;
        w.n += f[i].n;
        w.from_ms = f[i].t_ms < w.from_ms ? f[i].t_ms : w.from_ms;
        w.to_ms = f[i].t_ms >= w.to_ms ? f[i].t_ms + 1 : w.to_ms;
        l->parts[l->nparts++] = (struct wire_span){f[i].senml, f[i].senml_n};
        seen += i < l->seen;
    }
    l->payload.n = 0;
    if (wire_put_array(&l->payload, w.n) != ST_OK)
        return err_set(e, ST_MEMORY, "seal: no memory for a batch");
    l->parts[0] = (struct wire_span){l->payload.p, l->payload.n};
    l->step = true;
    int64_t known_end_ms = l->known_end_ms;
    ERR_TRY(seal_batch(l, &w, NULL, 0, e));
    l->known_end_ms = known_end_ms; /* a time that has not come ends no window */
    l->seen -= seen;
    return ST_OK;
}

enum st seal_strays(struct seal *l, struct err *e)
{
    if (!l->from_unknown) { /* polled under the unknown clock, and late: its UTC is known */
        size_t n = 0;
        ERR_TRY(store_restamp(l->store, store_boot(l->store), seal_offset_ms(l->last, l->last_mono),
                              &n, e));
        while (n && any_corrected(l))
            ERR_TRY(seal_cut_group(l, INT64_MIN, e));
    }
    for (int i = 0; i < SEAL_A_STEP; i++) {
        enum st st = seal_aside(l, e);
        if (st != ST_OK)
            return st == ST_NOT_FOUND ? ST_OK : st;
    }
    return ST_OK;
}

/* ---- a boot before this one ---- */

enum st seal_last_boot(struct seal *l, struct err *e)
{
    struct store_offset o;
    uint8_t boot[WIRE_ID_BYTES];
    if (l->chain.last_seq == 0)
        return ST_OK;
    enum st st = seal_starts_offset(l, boot, &o, e);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    int64_t end_ms = l->from_unknown ? l->from_ms + o.add_ms : o.to_ms;
    if (!l->from_unknown && l->from_ms >= end_ms)
        return ST_OK;       /* all of it is sealed */
    if (end_ms > o.to_ms) { /* that boot lost its clock again: the same offset holds */
        struct seal_moved m = {.seq_from = o.utc_seq + 1,
                               .seq_to = l->chain.last_seq,
                               .add_ms = o.add_ms,
                               .err_ms = o.err_ms};
        memcpy(m.boot, boot, sizeof m.boot);
        ERR_TRY(seal_entries(l, &m, 1, e));
        seal_starts_told(l, m.boot, o.add_ms);
    } else if (l->from_unknown && l->known_end_ms && l->known_end_ms < o.from_ms) {
        ERR_TRY(seal_off(l, boot, l->known_end_ms, o.from_ms, e));
    }
    l->from_ms = end_ms;
    l->known_end_ms = end_ms > l->known_end_ms ? end_ms : l->known_end_ms;
    l->from_unknown = false;
    l->step = true;
    gaps_restart(l->gaps, end_ms);
    return ST_OK;
}
