/* Probes that measure only once they were started, and forget that at a power cut. The gateway
 * starts none: it writes to no device by itself (decision 0038). It sees that one that was away, or
 * that it meets, says the same in all its values, and tells who is to start it. */
#include <stdio.h>
#include <string.h>

#include "gateway/collect/setup_int.h"

/* All values of a probe at work do not stay the same to the last bit for that long. */
#define SAME_MS (10 * 60 * 1000)
#define SAME_POLLS 3
#define FNV_PRIME 1099511628211U
#define FNV_START 14695981039346656037U

static bool needs_start(const struct collect_device *d)
{
    return d->profile && d->profile->setup && d->profile->setup->start.given;
}

void collect_started_again(struct collect_device *d)
{
    d->started = (struct collect_started){.told = d->started.told};
}

static uint64_t mark_of(const struct collect_device *d, const struct store_value *v)
{
    uint64_t mark = FNV_START;
    for (size_t i = 0; i < collect_device_values(d); i++) {
        char text[NUM_TEXT_BYTES] = "-";
        if (v[i].v.kind != NUM_NONE)
            (void)num_text(v[i].v, text);
        for (const char *c = text; *c; c++)
            mark = (mark ^ (uint8_t)*c) * FNV_PRIME;
        mark = (mark ^ '/') * FNV_PRIME;
    }
    return mark;
}

static void command(const struct collect_device *d, char *text, size_t n)
{
    (void)snprintf(text, n, "fieldpost setup %s %s --unit %lld --start --yes", d->bus->cfg->id,
                   d->cfg->profile, (long long)d->cfg->unit);
}

void collect_started_judge(const struct collect_bus_job *job, struct collect_device *d,
                           const struct store_value *v)
{
    struct collect_started *s = &d->started;
    struct mono now = clk_mono(job->clk);
    char how[200];
    if (!needs_start(d) || s->moved)
        return;
    uint64_t mark = mark_of(d, v);
    if (s->polls == 0) {
        s->mark = mark;
        s->since = now;
    }
    s->polls++;
    s->moved = mark != s->mark;
    command(d, how, sizeof how);
    if (s->moved && s->told) {
        store_event(job->store, STORE_INFO, "device.started", d->cfg->id, "%s measures again",
                    d->cfg->id);
        s->told = false;
    } else if (!s->told && !s->moved && s->polls >= SAME_POLLS && now.ms - s->since.ms >= SAME_MS) {
        store_event(job->store, STORE_WARNING, "device.unstarted", d->cfg->id,
                    "%s says the same for %lld min: after a power cut it measures only when it is "
                    "started, which the gateway does not do by itself: %s",
                    d->cfg->id, (long long)(now.ms - s->since.ms) / 60000, how);
        s->told = true;
    }
}

bool collect_started_text(const struct collect_device *d, char *text, size_t n)
{
    char how[200];
    if (!d->started.told)
        return false;
    command(d, how, sizeof how);
    (void)snprintf(text, n, "It says the same all the time. Start it: %s", how);
    return true;
}
