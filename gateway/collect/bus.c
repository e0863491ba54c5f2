/* The thread of one bus: whose tick is due is polled, the earliest deadline first. */
#include "gateway/collect/collect_int.h"

/* A step of the clock is noticed at the latest after this. */
#define NAP_MAX_MS 1000

static void align(const struct collect_bus_job *job, struct collect_bus *b, struct clk_time t,
                  struct mono now)
{
    for (size_t i = 0; i < b->n; i++) {
        struct collect_device *d = b->devices[i];
        int64_t missed_ms = d->due_ms;
        if (!collect_tick_align(d, t.utc_ms, now))
            continue;
        int64_t newest_ms = d->due_ms;
        d->due_ms = missed_ms;
        collect_device_overrun(job, b, d);
        d->due_ms = newest_ms;
    }
}

/* Where a bus is too slow for its devices many are equally late: none of them waits for ever. */
static bool comes_before(const struct collect_device *a, const struct collect_device *b)
{
    int64_t a_ms = a->due_ms + a->cfg->every_ms, b_ms = b->due_ms + b->cfg->every_ms;
    return a_ms != b_ms ? a_ms < b_ms : a->polled.ms < b->polled.ms;
}

/* The due device whose next tick comes first, or NULL; *wake_ms: the earliest tick of all. */
static struct collect_device *pick(const struct collect_bus *b, int64_t utc_ms, int64_t *wake_ms)
{
    struct collect_device *first = NULL;
    *wake_ms = INT64_MAX;
    for (size_t i = 0; i < b->n; i++) {
        struct collect_device *d = b->devices[i];
        if (d->due_ms < *wake_ms)
            *wake_ms = d->due_ms;
        if (d->due_ms <= utc_ms && (!first || comes_before(d, first)))
            first = d;
    }
    return first;
}

void collect_bus_main(void *collect_bus_job)
{
    const struct collect_bus_job *job = collect_bus_job;
    struct collect_bus *b = &job->collect->buses[job->bus];
    struct clk_time t = clk_now(job->clk);
    for (size_t i = 0; i < b->n; i++)
        collect_tick_start(b->devices[i], t.utc_ms, clk_mono(job->clk));
    while (!atomic_load(&job->stop->set)) {
        t = clk_now(job->clk);
        struct mono now = clk_mono(job->clk);
        int64_t wake_ms;
        align(job, b, t, now);
        struct collect_device *d = pick(b, t.utc_ms, &wake_ms);
        if (d) {
            d->polled = now;
            collect_device_poll(job, b, d);
            collect_tick_next(d, t.utc_ms, now);
        } else {
            int64_t nap_ms = b->n > 0 ? wake_ms - t.utc_ms : NAP_MAX_MS;
            (void)thr_stop_wait(job->stop, nap_ms < NAP_MAX_MS ? nap_ms : NAP_MAX_MS);
        }
    }
}
