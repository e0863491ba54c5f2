/* The line doctor at a running bus: collects the evidence, has it judged, and says what is new. */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/collect/doctor_int.h"

#define LOOK_MS 1000
#define LOST_MS 2000         /* a connection that breaks and is made anew is no finding */
#define TELL_AFTER_MS 3000   /* what is found for so long is told */
#define TELL_AGAIN_MS 600000 /* one finding of one bus */
#define ERRORS_MS 900000     /* framing errors are counted for as long */

/* Most buses never have a finding. */
struct told {
    int64_t since_ms[COLLECT_FIND_COUNT]; /* UTC, of those found */
    struct mono found_at[COLLECT_FIND_COUNT], told_at[COLLECT_FIND_COUNT];
};
struct collect_doctor {
    struct mono looked, lost_at, errors_at;
    bool lost;
    uint32_t found, told;            /* 1 << COLLECT_FIND_… */
    struct told *when;               /* NULL: nothing was ever found */
    int64_t errors;                  /* of the kernel, when they were counted from */
    struct collect_evidence **units; /* in the order of b->units */
    struct collect_evidence all[];
};

enum st collect_doctor_make(struct collect_bus *b, struct err *e)
{
    size_t each = sizeof(struct collect_evidence) + sizeof(struct collect_evidence *);
    struct collect_doctor *d = calloc(1, sizeof *d + b->nunits * each);
    if (!d)
        return err_set(e, ST_MEMORY, "collect: no memory for bus %s", b->cfg->id);
    d->units = (struct collect_evidence **)(void *)(d->all + b->nunits);
    for (size_t i = 0; i < b->nunits; i++) {
        struct collect_unit *u = b->units[i];
        u->evidence = d->units[i] = &d->all[i];
        d->all[i].number = u->number;
        for (size_t k = b->n; k-- > 0;) /* the first device's */
            if (b->devices[k]->unit == u) {
                d->all[i].id = b->devices[k]->cfg->id;
                d->all[i].place = b->devices[k]->cfg->cable_order;
            }
    }
    b->doctor = d;
    return ST_OK;
}

void collect_doctor_free(struct collect_bus *b)
{
    if (b->doctor)
        free(b->doctor->when);
    free(b->doctor);
    b->doctor = NULL;
}

static struct collect_evidence *of_number(const struct collect_bus *b, int number)
{
    for (size_t i = 0; i < b->nunits; i++)
        if (b->units[i]->number == number)
            return b->units[i]->evidence;
    return NULL;
}

/* A whole answer of another unit: that one's own, later than its time-out, when it was silent the
 * last time. */
void collect_doctor_heard(struct collect_bus *b, struct collect_unit *u,
                          const struct collect_sign *sign, struct mono now)
{
    struct collect_sign s = *sign;
    struct collect_evidence *late = s.strange ? of_number(b, s.stranger) : NULL;
    if (late && late->mute_run > 0) {
        collect_evidence_stray(late, true);
        if (s.is == COLLECT_SIGN_FOREIGN)
            s.is = COLLECT_SIGN_OTHER;
    } else {
        s.beside |= s.strange && s.is != COLLECT_SIGN_FOREIGN;
    }
    collect_evidence_add(u->evidence, &s, now);
}

void collect_doctor_stray(struct collect_bus *b, const struct collect_came *came)
{
    struct collect_evidence *e = came->unit >= 0 ? of_number(b, came->unit) : NULL;
    if (came->any)
        collect_evidence_stray(e ? e : b->last->evidence, e);
}

void collect_doctor_figures(const struct collect_unit *u, struct store_heard *out)
{
    collect_evidence_figures(u->evidence, out);
}

/* Errors since the window began; a line that is opened anew counts from 0. */
static int64_t errors(struct collect_doctor *d, const struct collect_bus *b, struct mono now)
{
    int64_t n = collect_port_errors(b->port);
    if (n < d->errors || now.ms - d->errors_at.ms >= ERRORS_MS) {
        d->errors = n < 0 || n < d->errors ? 0 : n;
        d->errors_at = now;
    }
    return n < 0 ? -1 : n - d->errors;
}

/* One event when a finding begins and one when it ends; what comes and goes is told every 10 min.
 */
static void tell(const struct collect_bus_job *job, const struct collect_bus *b,
                 const struct store_finding *f, size_t n, struct mono now)
{
    struct collect_doctor *d = b->doctor;
    const char *bus = b->cfg->id;
    char code[32];
    size_t at = 0;
    for (int k = 0; k < COLLECT_FIND_COUNT; k++) {
        uint32_t bit = UINT32_C(1) << k;
        bool is = d->found & bit, told = d->told & bit;
        const struct store_finding *of = is && at < n ? &f[at++] : NULL; /* both in this order */
        if (is == told || !collect_doctor_tells(k))
            continue;
        if (!of) {
            store_event(job->store, STORE_INFO, "line.over", bus, "bus %s: no more: %s", bus,
                        collect_doctor_fault(k));
        } else if (now.ms - d->when->found_at[k].ms >= TELL_AFTER_MS &&
                   (d->when->told_at[k].ms == 0 ||
                    now.ms - d->when->told_at[k].ms >= TELL_AGAIN_MS)) {
            (void)snprintf(code, sizeof code, "line.%s", of->code);
            store_event(job->store, STORE_WARNING, code, bus,
                        "bus %s, %s: %s %s `fieldpost doctor` says more.", bus, of->devices,
                        of->fault, of->also);
            d->when->told_at[k] = now;
        } else {
            continue;
        }
        d->told ^= bit;
    }
}

/* Something is found, or was before. The findings take more of the stack than all else that a bus
 * does: a bus that is well never comes here, and its thread's pages stay untouched. */
__attribute__((noinline)) static bool speak(const struct collect_bus_job *job,
                                            const struct collect_bus *b, struct collect_case *c,
                                            struct mono now)
{
    struct collect_doctor *d = b->doctor;
    struct store_finding f[STORE_FINDINGS_MAX];
    if (!d->when && !(d->when = calloc(1, sizeof *d->when)))
        return false;
    uint32_t found = collect_doctor_judge(c, f);
    int64_t utc_ms = clk_now(job->clk).utc_ms;
    size_t n = 0;
    for (int k = 0; k < COLLECT_FIND_COUNT; k++) {
        bool is = found >> k & 1;
        if (!is || !(c->before >> k & 1)) {
            d->when->since_ms[k] = utc_ms;
            d->when->found_at[k] = now;
        }
        if (is)
            f[n++].since_ms = d->when->since_ms[k];
    }
    if (store_findings_set(job->store, b->devices[0]->store, f, n) != ST_OK)
        return false;
    d->found = found;
    tell(job, b, f, n, now);
    return true;
}

void collect_doctor_attend(const struct collect_bus_job *job, struct collect_bus *b,
                           const char *why)
{
    struct collect_doctor *d = b->doctor;
    struct mono now = clk_mono(job->clk);
    if (why && !d->lost)
        d->lost_at = now;
    d->lost = why;
    if (d->looked.ms != 0 && now.ms - d->looked.ms < LOOK_MS && now.ms >= d->looked.ms)
        return;
    d->looked = now;
    struct collect_case c = {
        .bus = b->cfg->id,
        .serial = b->cfg->type == COLLECT_RTU,
        .echo = b->echo,
        .lost = why && now.ms - d->lost_at.ms >= LOST_MS ? why : NULL,
        .cable = b->cable,
        .timeout_ms = b->cfg->timeout_ms,
        .frame_errors = errors(d, b, now),
        .units = d->units,
        .n = b->nunits,
        .before = d->found,
    };
    if ((collect_doctor_judge(&c, NULL) | d->found | d->told) != 0 && !speak(job, b, &c, now))
        d->looked = (struct mono){0}; /* no memory now: with the next poll again */
}
