/* One unit on one bus, whichever devices of the configuration read it: what it may still owe, and
 * how often it is tried while it is sick.
 *
 * A serial answer carries no number: one that comes late looks like the answer to the next request
 * when function and length are the same. But a slave answers in the order in which it was asked. So
 * behind a request that got no answer the next one to this unit is a fence: a short read whose
 * length no other request to the unit has. What has another length is what was owed, however late
 * it comes; once the fence's own answer is there, nothing older can follow. The fence behind one in
 * vain has again another length. A unit that refuses the fence is listened to for a time-out
 * instead, and that is then the bound: see decision 0031. */
#include <string.h>

#include "gateway/collect/doctor_int.h"

#define PROBE_FIRST_MS 100 /* the shortest time-out of a probe */
#define PROBE_SLACK_MS 50  /* of adapters and busy devices, on top of what it took so far */
#define SICK_SHARE 20      /* the sick of a bus take one part in so many of its time */
#define PROBE_MAX_MS 60000 /* between two probes */
#define MUTE_FENCES 2
#define ALONE_MAX_MS 10000 /* the same where no unit answers: nobody is kept waiting */

/* ---- the fence ------------------------------------------------------------------------------ */

static unsigned data_bytes(unsigned function, unsigned count)
{
    return function <= 2 ? (count + 7) / 8 : 2 * count;
}

static bool is_taken(const struct collect_bus *b, const struct collect_unit *u, unsigned function,
                     unsigned count)
{
    unsigned bytes = data_bytes(function, count);
    if (u->errand_function == function && u->errand_bytes == bytes)
        return true;
    for (size_t i = 0; i < b->n; i++) {
        const struct collect_device *d = b->devices[i];
        if (d->unit != u)
            continue;
        if (d->finder && d->finder->asks(d, function, count))
            return true;
        for (size_t k = 0; k < d->plan.nrequests; k++) {
            const struct collect_request *r = &d->plan.requests[k];
            if (r->function == function && data_bytes(function, r->count) == bytes)
                return true;
        }
        for (size_t k = 0; k < d->profile->n; k++) { /* identity, and parts of a refused join */
            uint16_t at;
            struct collect_request r = collect_plan_single(d->profile, k, &at);
            if (r.function == function && data_bytes(function, r.count) == bytes)
                return true;
        }
    }
    return false;
}

/* How long ago that fence was in vain: 0: it was not; 1: longest ago. */
static size_t vain_turn(const struct collect_unit *u, const struct collect_request *q)
{
    for (size_t i = 0; i < u->nvain; i++)
        if (u->vain[i].function == q->function && u->vain[i].count == q->count)
            return i + 1;
    return 0;
}

static void note_vain(struct collect_unit *u, const struct collect_request *q)
{
    size_t turn = vain_turn(u, q);
    if (turn == 0 && u->nvain == COLLECT_FENCES)
        turn = 1; /* another device's list of lengths: the oldest makes room */
    if (turn > 0)
        memmove(&u->vain[turn - 1], &u->vain[turn], (u->nvain-- - turn) * sizeof *u->vain);
    u->vain[u->nvain++] = *q;
}

bool collect_unit_fence(const struct collect_bus *b, const struct collect_device *d,
                        struct collect_request *out)
{
    const struct collect_request *base = &d->plan.requests[0];
    for (size_t i = 1; i < d->plan.nrequests; i++)
        if (d->plan.requests[i].count > base->count)
            base = &d->plan.requests[i];
    unsigned step = base->function <= 2 ? 8 : 2;
    unsigned most = base->function <= 2 ? COLLECT_BITS_MAX : COLLECT_REGISTERS_MAX;
    struct collect_request q = *base;
    size_t found = 0, best = SIZE_MAX;
    q.n = 0;
    /* within what the device is known to have, if it can be; whole 32-bit values rather than halves
     */
    for (unsigned first = step; first > 0; first = first == step && step == 2 ? 1 : 0)
        for (unsigned c = first; c <= most && found < COLLECT_FENCES && best > 0; c += step) {
            q.count = (uint16_t)c;
            if ((c >= base->count && first == step && step != 8) ||
                is_taken(b, d->unit, base->function, c) || collect_plan_forbids(d->profile, &q))
                continue;
            size_t turn = vain_turn(d->unit, &q);
            found++;
            if (turn < best) {
                best = turn;
                *out = q;
            }
        }
    return found > 0;
}

/* ---- asking --------------------------------------------------------------------------------- */

static void note(const struct collect_bus *b, struct collect_device *d, enum collect_fault f,
                 const struct collect_answer *a)
{
    struct collect_unit *u = d->unit;
    if (f == COLLECT_GOOD || f == COLLECT_EXCEPTION) {
        int64_t before = u->answer_ms - u->answer_ms / 16; /* the slowest of late */
        u->answer_ms = a->took_ms > before ? a->took_ms : before;
        u->answered = true;
        u->late_ms = 0;
        return;
    }
    u->owes = b->cfg->type == COLLECT_RTU && !a->late;
    if (a->late)
        u->late_ms = a->took_ms;
    if (f != COLLECT_STOPPED)
        d->health.lost_ms += (uint64_t)a->took_ms;
}

/* A fence of this unit is answered, late: it knows them. */
static void note_slow(const struct collect_bus *b, int number)
{
    for (size_t i = 0; i < b->nunits; i++)
        if (b->units[i]->number == number) {
            b->units[i]->mute = 0;
            b->units[i]->plain = false;
        }
}

static enum collect_fault ask(const struct collect_bus_job *job, struct collect_bus *b,
                              struct collect_device *d, const struct collect_request *q,
                              int64_t timeout_ms, struct collect_answer *a)
{
    /* whoever answered until now is likely to be late, not gone */
    bool patient = d->unit->answered && d->unit->failures == 0;
    const struct collect_call call = {.unit = d->unit->number,
                                      .request = *q,
                                      .pause_ms = d->profile->pause_ms,
                                      .timeout_ms = timeout_ms,
                                      .listen_ms = patient ? b->cfg->timeout_ms : 0,
                                      .watch = d->unit->vain,
                                      .nwatch = d->unit->nvain};
    b->last = d->unit;
    enum collect_fault f = collect_port_ask(b->port, &call, job->clk, job->stop, a);
    note(b, d, f, a);
    b->echo |= a->echo;
    if (a->sign.strange) /* it spoke in another's turn: what it was asked is not told by that */
        note_slow(b, a->sign.stranger);
    if (f < COLLECT_LOST && !b->desk.asks)
        collect_doctor_heard(b, d->unit, &a->sign, clk_mono(job->clk));
    return f;
}

/* Looks for bytes that no request explains. */
static void note_stray(struct collect_bus *b)
{
    struct collect_came came;
    if (!collect_port_stray(b->port, &came) || !b->last)
        return;
    b->last->owes = true; /* it may have answered twice */
    if (came.unit >= 0)
        note_slow(b, came.unit);
    collect_doctor_stray(b, &came);
}

/* A device may leave unanswered what it does not know, rather than refuse it: after a fence in vain
 * comes a trial without. When that is answered, twice in a row, and no answer to a fence was heard
 * meanwhile, the fence is to blame: the answers to two trials cannot both come before that to the
 * first fence. Until then the answer to a trial may be an older one's, and is no value. */
static bool has_fence(const struct collect_bus *b, const struct collect_device *d,
                      struct collect_request *q)
{
    return b->cfg->type == COLLECT_RTU && !d->unit->plain && collect_unit_fence(b, d, q);
}

static bool is_answer(enum collect_fault f)
{
    return f == COLLECT_GOOD || f == COLLECT_EXCEPTION;
}

static void note_fence(struct collect_unit *u, const struct collect_request *q,
                       enum collect_fault f, const struct collect_answer *a)
{
    if (!is_answer(f) && !a->late)
        note_vain(u, q);
    if (is_answer(f) || a->late || a->watched)
        u->mute = 0;
    u->plain =
        !is_answer(f) && !a->late && !a->watched && f != COLLECT_LOST && f != COLLECT_STOPPED;
}

static bool is_trial(const struct collect_unit *u)
{
    return u->plain && u->mute < MUTE_FENCES;
}

/* Behind a request without a fence, which was a trial or not. true: its answer is no value. */
static bool note_plain(struct collect_unit *u, bool trial, enum collect_fault f,
                       const struct collect_answer *a)
{
    if (a->watched)
        u->mute = 0;
    else
        u->mute += f == COLLECT_GOOD && u->mute < MUTE_FENCES; /* a refusal may be a fence's */
    u->plain = is_answer(f) && u->mute >= MUTE_FENCES;
    u->owes |= trial; /* its own answer too, if that was an older one's */
    u->unproven = trial && is_answer(f);
    return u->unproven;
}

enum collect_fault collect_unit_settle(const struct collect_bus_job *job, struct collect_bus *b,
                                       struct collect_device *d, struct collect_answer *a)
{
    struct collect_request q;
    enum collect_fault f = COLLECT_EXCEPTION;
    if (has_fence(b, d, &q)) {
        f = ask(job, b, d, &q, b->cfg->timeout_ms, a);
        note_fence(d->unit, &q, f, a);
    }
    if (f == COLLECT_EXCEPTION && !collect_port_listen(b->port, b->cfg->timeout_ms, job->stop)) {
        note_slow(b, d->unit->number);
        return COLLECT_GARBAGE;
    }
    if (f == COLLECT_EXCEPTION)
        f = COLLECT_GOOD;
    if (f == COLLECT_GOOD && !is_trial(d->unit))
        d->unit->owes = false;
    return f;
}

enum collect_fault collect_unit_ask(const struct collect_bus_job *job, struct collect_bus *b,
                                    struct collect_device *d, const struct collect_request *q,
                                    struct collect_answer *a, struct err *why)
{
    *a = (struct collect_answer){0};
    enum collect_fault f = collect_port_ready(b->port, job->clk, job->stop, why);
    if (f != COLLECT_GOOD)
        return f;
    d->unit->unproven = false;
    note_stray(b);
    bool plain = d->unit->plain, trial = is_trial(d->unit);
    if (d->unit->owes)
        f = collect_unit_settle(job, b, d, a);
    if (f != COLLECT_GOOD)
        return f;
    f = ask(job, b, d, q, b->cfg->timeout_ms, a);
    if (plain && note_plain(d->unit, trial, f, a) && !b->desk.asks)
        return COLLECT_GARBAGE;
    return f;
}

/* ---- sickness ------------------------------------------------------------------------------- */

int64_t collect_unit_probe_ms(const struct collect_bus *b, const struct collect_unit *u)
{
    int64_t most = b->cfg->timeout_ms, ms = most;
    if (u->answered) {
        ms = 2 * u->answer_ms + PROBE_SLACK_MS;
        ms = (ms < PROBE_FIRST_MS ? PROBE_FIRST_MS : ms) << (u->probes < 8 ? u->probes : 8);
    }
    return ms < most ? ms : most; /* with each probe in vain twice as patient */
}

enum collect_fault collect_unit_probe(const struct collect_bus_job *job, struct collect_bus *b,
                                      struct collect_device *d, struct collect_answer *a,
                                      struct err *why)
{
    struct collect_request q;
    *a = (struct collect_answer){0};
    enum collect_fault f = collect_port_ready(b->port, job->clk, job->stop, why);
    if (f != COLLECT_GOOD)
        return f;
    d->unit->unproven = false;
    note_stray(b);
    bool fence = has_fence(b, d, &q), plain = d->unit->plain, trial = is_trial(d->unit);
    f = ask(job, b, d, fence ? &q : &d->plan.probe, collect_unit_probe_ms(b, d->unit), a);
    if (fence)
        note_fence(d->unit, &q, f, a);
    else if (plain)
        (void)note_plain(d->unit, trial, f, a); /* it lives, whichever it answers */
    if (f == COLLECT_GOOD && fence)
        d->unit->owes = false;
    return f;
}

/* How many do not answer; *alone: nobody else ever did. */
static int64_t count_ailing(const struct collect_bus *b, bool *alone)
{
    int64_t n = 0;
    *alone = true;
    for (size_t i = 0; i < b->nunits; i++) {
        n += b->units[i]->failures > 0 || !b->units[i]->answered;
        *alone &= b->units[i]->failures > 0 || !b->units[i]->answered;
    }
    return n;
}

void collect_unit_failed(struct collect_bus *b, struct collect_unit *u, int64_t period_ms,
                         int64_t took_ms, struct mono now)
{
    bool alone, known = u->answered || u->failures > 0;
    u->failures += known ? 1 : COLLECT_SICK_FAILURES; /* nobody was ever there: no second look */
    if (u->failures < COLLECT_SICK_FAILURES)
        return;
    int64_t ailing = count_ailing(b, &alone);
    int64_t first_ms = alone ? period_ms : SICK_SHARE * took_ms * ailing;
    int64_t most_ms = alone ? ALONE_MAX_MS : PROBE_MAX_MS;
    u->back_off_ms *= 2;
    if (u->back_off_ms < first_ms)
        u->back_off_ms = first_ms;
    if (u->back_off_ms > most_ms)
        u->back_off_ms = most_ms;
    u->probe_at = (struct mono){now.ms + u->back_off_ms};
    u->probes += u->failures > COLLECT_SICK_FAILURES;
}

void collect_unit_good(struct collect_unit *u)
{
    u->failures = u->probes = 0;
    u->back_off_ms = 0;
}

void collect_unit_hurry(struct collect_unit *u, struct mono now)
{
    u->back_off_ms = 0;
    u->probes = 0;
    u->probe_at = now;
}

struct collect_unit *collect_unit_due(const struct collect_bus *b, struct mono now,
                                      int64_t slack_ms)
{
    struct collect_unit *first = NULL;
    for (size_t i = 0; i < b->nunits; i++) {
        struct collect_unit *u = b->units[i];
        int64_t over_ms = now.ms - u->probe_at.ms;
        if (!collect_unit_sick(u) || over_ms < 0 || (first && first->probe_at.ms <= u->probe_at.ms))
            continue;
        if (collect_unit_probe_ms(b, u) <= slack_ms || over_ms >= u->back_off_ms)
            first = u;
    }
    return first;
}
