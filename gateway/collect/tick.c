/* When a device is due. */
#include "gateway/collect/collect_int.h"

static int64_t down(int64_t utc_ms, int64_t period_ms)
{
    int64_t rest = utc_ms % period_ms;
    return utc_ms - rest - (rest < 0 ? period_ms : 0);
}

static void set(struct collect_device *d, int64_t due_ms, int64_t utc_ms, struct mono now)
{
    d->due_ms = due_ms;
    d->due_at = (struct mono){now.ms + due_ms - utc_ms};
}

void collect_tick_start(struct collect_device *d, int64_t utc_ms, struct mono now)
{
    set(d, down(utc_ms + d->cfg->every_ms - 1, d->cfg->every_ms), utc_ms, now);
}

void collect_tick_next(struct collect_device *d, int64_t utc_ms, struct mono now)
{
    set(d, d->due_ms + d->cfg->every_ms, utc_ms, now);
}

bool collect_tick_align(struct collect_device *d, int64_t utc_ms, struct mono now)
{
    int64_t period = d->cfg->every_ms;
    if (d->due_ms > utc_ms + period) {
        collect_tick_start(d, utc_ms, now);
        return false;
    }
    if (utc_ms - d->due_ms < period)
        return false;
    bool really = now.ms - d->due_at.ms >= period;
    set(d, down(utc_ms, period), utc_ms, now);
    return really;
}
