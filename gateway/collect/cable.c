/* Where a cable is broken: from one place along it on, all are silent. */
#include <stdio.h>

#include "gateway/collect/collect_int.h"

#define SILENT_LEAST 2 /* one that is silent alone may be at fault itself */

/* The last device that answers and the first that does not, when all behind it are silent; false:
 * not so, or not settled yet. */
static bool broken(const struct collect_bus *b, const struct collect_device **last,
                   const struct collect_device **first)
{
    size_t silent = 0;
    *last = *first = NULL;
    for (size_t i = 0; i < b->n; i++) {
        const struct collect_device *d = b->devices[i];
        enum store_state state = d->health.state;
        if (d->cfg->cable_order == 0)
            continue;
        if (state == STORE_NEVER || state == STORE_LATE)
            return false;
        if (state != STORE_SILENT && (!*last || d->cfg->cable_order > (*last)->cfg->cable_order))
            *last = d;
    }
    for (size_t i = 0; *last && i < b->n; i++) {
        const struct collect_device *d = b->devices[i];
        if (d->cfg->cable_order <= (*last)->cfg->cable_order)
            continue;
        silent++;
        if (!*first || d->cfg->cable_order < (*first)->cfg->cable_order)
            *first = d;
    }
    return silent >= SILENT_LEAST;
}

void collect_cable_judge(const struct collect_bus_job *job, struct collect_bus *b)
{
    const struct collect_device *last, *first;
    bool is = broken(b, &last, &first);
    if (!is) {
        /* one of those behind answers: it was whole, or is again */
        if (b->cable && b->cable->health.state != STORE_SILENT)
            b->cable = NULL;
        return;
    }
    for (size_t i = 0; i < b->n; i++) {
        struct collect_device *d = b->devices[i];
        if (d->cfg->cable_order <= last->cfg->cable_order)
            continue;
        d->health.why = "line_cable";
        d->health.other = last->cfg->id;
        (void)snprintf(d->health.text, sizeof d->health.text,
                       "Cable broken after %s (place %lld), before %s? All from there on are "
                       "silent. Check it and its terminals.",
                       last->cfg->id, (long long)last->cfg->cable_order, first->cfg->id);
        store_health_set(job->store, d->store, &d->health);
    }
    if (b->cable == first)
        return;
    b->cable = first;
    store_event(job->store, STORE_WARNING, "bus.cable", b->cfg->id, "%s", first->health.text);
}
