/* One unit on one bus, whichever devices of the configuration read it: what it may still owe, and
 * how often it is tried while it is sick.
 *
 * A serial answer carries no number: one that comes late looks like the answer to the next request
 * when function and length are the same. But a slave answers in the order in which it was asked. So
 * behind a request that got no answer the next one to this unit is a fence: a short read whose
 * length no other request to the unit has. What has another length is what was owed, however late
 * it comes; once the fence's own answer is there, nothing older can follow. A unit that refuses the
 * fence is listened to for a time-out instead, and that is then the bound: see decision 0031. */
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
        if (d->sunspec && function > 2 && bytes <= 4) /* its models are walked so */
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

bool collect_unit_fence(const struct collect_bus *b, const struct collect_device *d,
                        struct collect_request *out)
{
    const struct collect_request *base = &d->plan.requests[0];
    for (size_t i = 1; i < d->plan.nrequests; i++)
        if (d->plan.requests[i].count > base->count)
            base = &d->plan.requests[i];
    unsigned step = base->function <= 2 ? 8 : 2;
    unsigned most = base->function <= 2 ? COLLECT_BITS_MAX : COLLECT_REGISTERS_MAX;
    *out = *base;
    out->n = 0;
    /* within what the device is known to have, if it can be; whole 32-bit values rather than halves
     */
    for (unsigned first = step; first > 0; first = first == step && step == 2 ? 1 : 0)
        for (unsigned c = first; c <= most; c += step)
            if ((c < base->count || first != step || step == 8) &&
                !is_taken(b, d->unit, base->function, c)) {
                out->count = (uint16_t)c;
                if (!collect_plan_forbids(d->profile, out))
                    return true;
            }
    return false;
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
                                      .listen_ms = patient ? b->cfg->timeout_ms : 0};
    b->last = d->unit;
    enum collect_fault f = collect_port_ask(b->port, &call, job->clk, job->stop, a);
    note(b, d, f, a);
    b->echo |= a->echo;
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
    collect_doctor_stray(b, &came);
}

/* A device may leave unanswered what it does not know, rather than refuse it: after a fence in vain
 * comes a trial without. When that is answered, twice in a row, the fence is to blame. */
static bool has_fence(const struct collect_bus *b, const struct collect_device *d,
                      struct collect_request *q)
{
    return b->cfg->type == COLLECT_RTU && !d->unit->plain && collect_unit_fence(b, d, q);
}

static void note_fence(struct collect_unit *u, enum collect_fault f)
{
    if (f == COLLECT_GOOD || f == COLLECT_EXCEPTION)
        u->mute = 0;
    else
        u->plain = true;
}

static void note_plain(struct collect_unit *u, enum collect_fault f)
{
    bool answers = f == COLLECT_GOOD || f == COLLECT_EXCEPTION;
    u->mute += answers && u->mute < MUTE_FENCES;
    u->plain = answers && u->mute >= MUTE_FENCES;
}

enum collect_fault collect_unit_settle(const struct collect_bus_job *job, struct collect_bus *b,
                                       struct collect_device *d, struct collect_answer *a)
{
    struct collect_request q;
    enum collect_fault f = COLLECT_EXCEPTION;
    if (has_fence(b, d, &q)) {
        f = ask(job, b, d, &q, b->cfg->timeout_ms, a);
        note_fence(d->unit, f);
    }
    if (f == COLLECT_EXCEPTION)
        f = collect_port_listen(b->port, b->cfg->timeout_ms, job->stop) ? COLLECT_GOOD
                                                                        : COLLECT_GARBAGE;
    if (f == COLLECT_GOOD)
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
    note_stray(b);
    bool plain = d->unit->plain;
    if (d->unit->owes)
        f = collect_unit_settle(job, b, d, a);
    if (f != COLLECT_GOOD)
        return f;
    f = ask(job, b, d, q, b->cfg->timeout_ms, a);
    if (plain)
        note_plain(d->unit, f);
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
    note_stray(b);
    bool fence = has_fence(b, d, &q);
    f = ask(job, b, d, fence ? &q : &d->plan.probe, collect_unit_probe_ms(b, d->unit), a);
    if (fence)
        note_fence(d->unit, f);
    else
        note_plain(d->unit, f);
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
