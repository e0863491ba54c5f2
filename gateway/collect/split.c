/* Joined reads that a device refuses: found, read in parts, and remembered while the program runs.
 */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/collect/collect_int.h"

#define REFUSALS_PER_POLL 4 /* tried in parts at once: some 30 ms of a line at 9600 baud each */
#define SILENT_POLLS 2      /* in a row, before silence is tried in parts */
/* How often the whole is asked again: an answer is lost more easily than a refusal is invented. */
#define PROOFS_REFUSED 2
#define PROOFS_SILENT 5
#define FRUITLESS_POLLS 3 /* in which parts failed and none was answered, until a trial ends … */
#define UNASKED_POLLS 30  /* … or in which its turn did not come */
#define HOLD_MIN_MS (INT64_C(10) * 60000)
#define DAY_MS INT64_C(86400000)
enum { ILLEGAL_ADDRESS = 2, ILLEGAL_VALUE = 3 };

enum st collect_split_open(struct collect_split *s, const struct collect_plan *plan, struct err *e)
{
    *s = (struct collect_split){.joins = calloc(plan->nrequests + 1, sizeof *s->joins),
                                .n = plan->nrequests};
    if (!s->joins)
        return err_set(e, ST_MEMORY, "collect: no memory for %zu requests", plan->nrequests);
    for (size_t i = 0; i < s->n; i++)
        s->joins[i].whole = plan->requests[i];
    return ST_OK;
}

void collect_split_done(struct collect_split *s)
{
    free(s->joins);
    *s = (struct collect_split){0};
}

static bool is_refusal(enum collect_fault f, uint8_t exception)
{
    return f == COLLECT_EXCEPTION && (exception == ILLEGAL_ADDRESS || exception == ILLEGAL_VALUE);
}

/* ---- where to cut --------------------------------------------------------------------------- */

/* The item that the second part begins with: behind the largest hole, else nearest to the middle.
 * 0: every cut leaves one part as long as the whole. */
static uint32_t cut_of(const struct collect_plan *plan, const struct collect_profile *p,
                       const struct collect_request *r)
{
    uint32_t best = 0;
    unsigned end = 0;
    int best_hole = 0, best_off = 0;
    for (uint32_t i = r->first; i < r->first + r->n; i++) {
        const struct collect_item *item = &plan->items[i];
        int hole = item->at > end ? (int)(item->at - end) : 0;
        int off = abs(2 * (int)item->at - (int)r->count);
        if (i > r->first &&
            (hole > best_hole || best == 0 || (hole == best_hole && off < best_off)) &&
            collect_plan_range(plan, p, i, r->first + r->n - i).count < r->count &&
            collect_plan_range(plan, p, r->first, i - r->first).count < r->count) {
            best = i;
            best_hole = hole;
            best_off = off;
        }
        end = item->at + item->width > end ? item->at + item->width : end;
    }
    return best;
}

/* ---- a poll --------------------------------------------------------------------------------- */

void collect_split_begin(struct collect_device *d, bool back, struct mono now)
{
    d->split.refusals = 0;
    for (size_t i = 0; i < d->split.n; i++) {
        struct collect_join *j = &d->split.joins[i];
        j->answered = j->failed = j->restless = false;
        if (back && j->state == COLLECT_REFUSED)
            j->again_at = now;
    }
}

void collect_split_answered(struct collect_device *d, size_t i)
{
    d->plan.requests[i].silent = 0;
    d->split.joins[d->plan.requests[i].join].answered = true;
}

/* Whether this failure of request r says that its parts are worth a try. */
static bool suspicious(struct collect_split *s, struct collect_request *r,
                       const struct collect_join *j, enum collect_fault f, uint8_t exception,
                       bool alive)
{
    if (is_refusal(f, exception))
        return s->refusals++ < REFUSALS_PER_POLL;
    if (f != COLLECT_SILENT || !alive)
        return false;
    if (r->silent < SILENT_POLLS)
        r->silent++;
    return j->state == COLLECT_TRIED || r->silent == SILENT_POLLS;
}

bool collect_split_failed(struct collect_device *d, size_t i, enum collect_fault f,
                          uint8_t exception, bool alive, struct mono now)
{
    struct collect_request *r = &d->plan.requests[i];
    struct collect_join *j = &d->split.joins[r->join];
    uint32_t at = cut_of(&d->plan, d->profile, r);
    j->failed = true;
    j->restless |= at > 0;
    if (at == 0 || (j->state == COLLECT_WHOLE && now.ms < j->again_at.ms) ||
        !suspicious(&d->split, r, j, f, exception, alive))
        return false;
    if (j->state != COLLECT_TRIED) {
        j->state = COLLECT_TRIED;
        j->proofs = j->fruitless = 0;
        j->again_at = now;
    }
    if (f == COLLECT_SILENT)
        j->fruitless = 0; /* one cut a poll is as fast as it goes */
    collect_plan_cut(&d->plan, d->profile, i, at);
    return f == COLLECT_EXCEPTION; /* after a silence the device has its rest */
}

bool collect_split_tries(const struct collect_device *d)
{
    for (size_t i = 0; i < d->plan.nrequests; i++)
        if (d->plan.requests[i].silent > 0)
            return true;
    for (size_t i = 0; i < d->split.n; i++)
        if (d->split.joins[i].state == COLLECT_TRIED)
            return true;
    return false;
}

/* ---- proof ---------------------------------------------------------------------------------- */

/* The whole is asked again from the next poll on, and its parts are left alone for a while. */
static void give_up(struct collect_device *d, struct collect_join *j, struct mono now)
{
    collect_plan_rejoin(&d->plan, d->profile, &j->whole);
    j->hold_ms = j->hold_ms == 0 ? HOLD_MIN_MS : 2 * j->hold_ms;
    if (j->hold_ms > DAY_MS)
        j->hold_ms = DAY_MS;
    j->again_at = (struct mono){now.ms + j->hold_ms};
    j->state = COLLECT_WHOLE;
}

struct collect_join *collect_split_due(struct collect_device *d, struct mono now)
{
    struct collect_join *due = NULL;
    for (size_t i = 0; i < d->split.n; i++) {
        struct collect_join *j = &d->split.joins[i];
        if (j->state == COLLECT_TRIED && !j->answered &&
            ++j->fruitless >= (j->failed ? FRUITLESS_POLLS : UNASKED_POLLS))
            give_up(d, j, now);
        else if (j->state != COLLECT_WHOLE && j->answered && !j->restless &&
                 now.ms >= j->again_at.ms && !due)
            due = j;
    }
    return due;
}

void collect_split_proven(struct collect_device *d, struct collect_join *j, enum collect_fault f,
                          uint8_t exception, struct mono now)
{
    if (f == COLLECT_GOOD) {
        give_up(d, j, now);
    } else if (is_refusal(f, exception) || f == COLLECT_SILENT) {
        j->proofs += j->proofs < PROOFS_SILENT;
        if (j->proofs < (f == COLLECT_SILENT ? PROOFS_SILENT : PROOFS_REFUSED))
            return;
        j->state = COLLECT_REFUSED;
        j->again_at = (struct mono){now.ms + DAY_MS};
    }
}

/* ---- news ----------------------------------------------------------------------------------- */

const char *collect_split_news(struct collect_device *d, char *text, size_t n)
{
    struct collect_join *refused = NULL, *back = NULL;
    for (size_t i = 0; i < d->split.n; i++) {
        struct collect_join *j = &d->split.joins[i];
        if (j->state == COLLECT_TRIED)
            return NULL; /* one event tells it all */
        if (j->state == COLLECT_REFUSED && !j->told)
            refused = refused ? refused : j;
        if (j->state == COLLECT_WHOLE && j->told)
            back = back ? back : j;
    }
    const struct collect_join *j = refused ? refused : back;
    if (!j)
        return NULL;
    for (size_t i = 0; i < d->split.n; i++)
        d->split.joins[i].told = d->split.joins[i].state == COLLECT_REFUSED;
    const struct collect_request *w = &j->whole;
    (void)snprintf(text, n,
                   refused ? "Unit %lld refuses function %d, address %d, count %d in one request "
                             "and answers in parts: %zu requests instead of %zu, nothing is lost. "
                             "Its profile may say so: max_registers, forbidden or joined: false."
                           : "Unit %lld answers function %d, address %d, count %d in one request "
                             "again: %zu requests, %zu as planned.",
                   (long long)d->cfg->unit, w->function, w->address, w->count, d->plan.nrequests,
                   d->split.n);
    return refused ? "device.split" : "device.joined";
}
