/* The thread of one bus: whose tick is due is polled, the earliest deadline first. Between polls,
 * where nobody is kept waiting, sick units are probed. */
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "gateway/collect/push_int.h"

/* A step of the clock is noticed at the latest after this. */
#define NAP_MAX_MS 1000
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

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
        collect_device_overrun(job, b, d, (newest_ms - missed_ms) / d->cfg->every_ms - 1);
        d->due_ms = newest_ms;
    }
}

/* Where a bus is too slow for its devices many are equally late: none of them waits for ever. */
static bool comes_before(const struct collect_device *a, const struct collect_device *b)
{
    int64_t a_ms = a->due_ms + a->cfg->every_ms, b_ms = b->due_ms + b->cfg->every_ms;
    return a_ms != b_ms ? a_ms < b_ms : a->polled.ms < b->polled.ms;
}

/* What comes next, in UTC. */
struct next {
    int64_t tick_ms; /* of any device */
    int64_t line_ms; /* of one that takes the line for it */
};

/* The due device whose next tick comes first, or NULL. */
static struct collect_device *pick(const struct collect_bus *b, int64_t utc_ms, struct next *next)
{
    struct collect_device *first = NULL;
    *next = (struct next){INT64_MAX, INT64_MAX};
    for (size_t i = 0; i < b->n; i++) {
        struct collect_device *d = b->devices[i];
        if (d->due_ms < next->tick_ms)
            next->tick_ms = d->due_ms;
        if (d->due_ms < next->line_ms && !collect_unit_sick(d->unit))
            next->line_ms = d->due_ms;
        if (d->due_ms <= utc_ms && (!first || comes_before(d, first)))
            first = d;
    }
    return first;
}

/* true: a sick unit was probed. */
static bool probe(const struct collect_bus_job *job, struct collect_bus *b, int64_t slack_ms,
                  struct mono now)
{
    const struct collect_unit *u = collect_unit_due(b, now, slack_ms);
    for (size_t i = 0; u && i < b->n; i++)
        if (b->devices[i]->unit == u) {
            collect_device_probe(job, b, b->devices[i]);
            b->desk.last_was = false;
            return true;
        }
    return false;
}

/* How long nothing is to be done. */
static int64_t nap_ms(const struct collect_bus *b, int64_t tick_ms, int64_t utc_ms, struct mono now)
{
    int64_t ms = NAP_MAX_MS;
    if (b->n > 0 && tick_ms - utc_ms < ms)
        ms = tick_ms - utc_ms;
    for (size_t i = 0; i < b->nunits; i++) {
        int64_t left = b->units[i]->probe_at.ms - now.ms;
        if (collect_unit_sick(b->units[i]) && left > 0 && left < ms)
            ms = left;
    }
    return ms;
}

/* Sleeps until the clock's ms-th millisecond from now begins: the clock is read in whole ones, and
 * what of the present one is over already counts. A stop ends it,
 * and an errand. */
static void nap(const struct thr_stop *stop, struct collect_desk *desk, int64_t ms)
{
    struct timespec t = {0};
    uint64_t news;
    struct pollfd f[2] = {{stop->fd, POLLIN, 0}, {atomic_load(&desk->wake), POLLIN, 0}};
    (void)clock_gettime(CLOCK_REALTIME, &t);
    int64_t ns = ms * NS_PER_MS - t.tv_nsec % NS_PER_MS;
    if (ns > 0) /* however it ends, the loop looks again */
        (void)ppoll(f, 2, &(struct timespec){ns / NS_PER_S, ns % NS_PER_S}, NULL);
    if (f[1].revents) /* what it tells is looked for next */
        (void)!read(f[1].fd, &news, sizeof news);
}

/* What a person asks, where it fits before the next poll, or after its time of waiting: but not two
 * before a poll or a probe that is due. */
static bool serve(const struct collect_bus_job *job, struct collect_bus *b, bool due,
                  int64_t slack_ms, struct mono now)
{
    if (b->desk.last_was && (due || (!b->desk.pause && collect_unit_due(b, now, slack_ms))))
        return false;
    if (!collect_errand_due(b, now, due ? 0 : slack_ms))
        return false;
    b->desk.last_was = true;
    collect_errand_serve(job, b);
    return true;
}

static void poll_device(const struct collect_bus_job *job, struct collect_bus *b,
                        struct collect_device *d, bool paused, struct mono now)
{
    b->desk.last_was = false;
    d->polled = now;
    if (paused)
        collect_device_paused(job, b, d);
    else
        collect_device_poll(job, b, d);
}

void collect_bus_main(void *collect_bus_job)
{
    const struct collect_bus_job *job = collect_bus_job;
    struct collect_bus *b = &job->collect->buses[job->bus];
    if (b->push) {
        collect_push_main(job, b);
        return;
    }
    collect_notes_load(job, b);
    struct clk_time t = clk_now(job->clk);
    for (size_t i = 0; i < b->n; i++)
        collect_tick_start(b->devices[i], t.utc_ms, clk_mono(job->clk));
    while (!atomic_load(&job->stop->set)) {
        t = clk_now(job->clk);
        struct mono now = clk_mono(job->clk);
        struct next next;
        atomic_store(&b->turned_ms, now.ms);
        align(job, b, t, now);
        bool paused = collect_errand_pauses(job, b);
        struct collect_device *d = pick(b, t.utc_ms, &next);
        int64_t slack_ms = paused ? INT64_MAX : next.line_ms - t.utc_ms;
        if (serve(job, b, d != NULL, slack_ms, now))
            continue;
        if (d) {
            poll_device(job, b, d, paused, now);
            collect_tick_next(d, t.utc_ms, now);
        } else if (paused || !probe(job, b, slack_ms, now)) {
            nap(job->stop, &b->desk, nap_ms(b, next.tick_ms, t.utc_ms, now));
        }
    }
}
