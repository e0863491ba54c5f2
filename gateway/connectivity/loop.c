/* The thread: ticks, results, health. */
#include "gateway/connectivity/connectivity_int.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/id.h"

#define STEP_MS 1000 /* longest sleep: a stepped UTC clock is noticed within it */
#define TICK_MS 1000 /* a result so soon after its tick bears the tick's time */
#define LOOKUP_MS 20 /* how often a running lookup is asked */
#define PUT_WAIT_MS 500
/* Of a period of days as well: whoever waits for it finds it, and reports count polls by the hour.
 */
#define PHASE_MAX_MS 3600000

int64_t connectivity_phase(const char *gateway, const char *device, int64_t every_ms)
{
    uint64_t h = id_hash(id_hash(ID_HASH, gateway, strlen(gateway) + 1), device, strlen(device));
    return (int64_t)(h % (uint64_t)(every_ms < PHASE_MAX_MS ? every_ms : PHASE_MAX_MS));
}

int64_t connectivity_tick(int64_t *next, int64_t now_ms, int64_t every_ms, int64_t phase_ms)
{
    int64_t last = now_ms - (now_ms - phase_ms) % every_ms;
    if (*next == 0 || *next > last + every_ms) /* at start, and when the clock stepped back */
        *next = last + every_ms;
    if (now_ms < *next)
        return 0;
    *next = last + every_ms;
    return last;
}

int64_t connectivity_due(const struct connectivity_job *job, uint32_t device, int64_t *next_ms,
                         int64_t every_ms)
{
    const char *id = store_device_at(job->store, device)->id;
    return connectivity_tick(next_ms, clk_now(job->clk).utc_ms, every_ms,
                             connectivity_phase(store_gateway(job->store), id, every_ms));
}

static void health_tell(const struct connectivity_job *job, const struct connectivity_result *r,
                        struct connectivity_health *told, int64_t now_ms)
{
    struct store_health *h = &told->now;
    bool good = r->state == STORE_GOOD, changed = h->state != r->state || told->event != r->event;
    bool was_bad = h->state == STORE_SILENT || h->state == STORE_FAULTY;
    if (changed)
        h->since_ms = now_ms;
    h->state = r->state;
    h->why = r->why;
    told->event = r->event;
    h->polls++;
    h->failures += good ? 0 : 1;
    if (good)
        h->answer_ms = r->answer_ms;
    snprintf(h->text, sizeof h->text, "%s", r->text);
    store_health_set(job->store, r->device, h);
    if (changed && good && was_bad)
        store_event(job->store, STORE_INFO, "device.back", r->id, "%s answers again", r->id);
    else if (changed && !good)
        store_event(job->store, STORE_WARNING,
                    r->event                   ? r->event
                    : r->state == STORE_FAULTY ? "device.faulty"
                                               : "device.silent",
                    r->id, "%s", r->text);
}

void connectivity_put(const struct connectivity_job *job, struct connectivity_health *h,
                      const struct connectivity_result *r)
{
    struct clk_time now = clk_now(job->clk);
    bool near = now.utc_ms >= r->tick_ms && now.utc_ms - r->tick_ms <= TICK_MS;
    const struct store_poll poll = {.device = r->device,
                                    .due_ms = r->tick_ms,
                                    .t_ms = near ? r->tick_ms : now.utc_ms,
                                    .grade = now.grade,
                                    .cause = r->paused ? STORE_PAUSED
                                             : r->bus  ? STORE_BUS
                                                       : STORE_DEVICE,
                                    .n = r->n};
    health_tell(job, r, h, now.utc_ms);
    /* ST_FULL: the store has written the gap; ST_STOPPED: so is this thread, soon */
    enum st st = store_put(job->store, &poll, r->v, PUT_WAIT_MS);
    (void)st;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ms until something is due. */
static int wait_ms(const struct connectivity *k, const struct connectivity_job *job)
{
    int64_t utc = clk_now(job->clk).utc_ms, mono = clk_mono(job->clk).ms, wait = STEP_MS;
    for (size_t i = 0; i < k->npings; i++) {
        const struct connectivity_ping *p = &k->ping[i];
        if (p->state == CONNECTIVITY_IDLE)
            wait = sooner(wait, p->next_ms - utc);
        else if (p->state == CONNECTIVITY_NAME)
            wait = sooner(wait, LOOKUP_MS);
        else
            wait = sooner(wait, p->deadline_ms - mono);
    }
    for (size_t i = 0; i < k->nlinks; i++)
        wait = sooner(wait, k->link[i].next_ms - utc);
    for (size_t i = 0; i < k->nboards; i++)
        wait = sooner(wait, k->board[i].next_ms - utc);
    return wait < 0 ? 0 : (int)wait;
}

void connectivity_main(void *connectivity_job)
{
    const struct connectivity_job *job = connectivity_job;
    struct connectivity *k = job->connectivity;
    while (!atomic_load(&job->stop->set)) {
        for (size_t i = 0; i < k->nlinks; i++)
            connectivity_link_step(&k->link[i], job);
        for (size_t i = 0; i < k->nboards; i++)
            connectivity_board_step(&k->board[i], job);
        /* A slow sensor waits above: what came meanwhile bears the kernel's time, and is read
         * before a round is found to be over. */
        for (size_t i = 0; i < 2; i++)
            if (k->socket[i].fd >= 0)
                connectivity_receive(k, &k->socket[i]);
        for (size_t i = 0; i < k->npings; i++)
            connectivity_ping_step(k, &k->ping[i], job);
        struct pollfd fds[3] = {{.fd = job->stop->fd, .events = POLLIN},
                                {.fd = k->socket[0].fd, .events = POLLIN},
                                {.fd = k->socket[1].fd, .events = POLLIN}};
        /* woken by time, a packet or the stop: each is looked at anyway */
        (void)poll(fds, 3, wait_ms(k, job));
    }
}
