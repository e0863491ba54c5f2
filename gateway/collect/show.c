/* What the plan asks of each bus, for people, and whether the periods can be met. */
#include <stdio.h>

#include "gateway/collect/collect_int.h"

#define NS_PER_MS 1e6

void collect_show_bus(const struct collect *k, size_t bus, struct collect_show_bus *out)
{
    const struct collect_bus *b = &k->buses[bus];
    const struct collect_profile any = {.turnaround_ms = 0};
    *out = (struct collect_show_bus){
        .id = b->cfg->id, .devices = b->n, .byte_ns = collect_line_make(b->cfg, &any, -1).byte_ns};
    if (b->push) { /* nothing is asked there */
        (void)snprintf(out->line, sizeof out->line, "its devices send");
        out->devices = 0;
        out->byte_ns = 0;
        return;
    }
    if (b->cfg->type == COLLECT_TCP)
        (void)snprintf(out->line, sizeof out->line, "modbus-tcp");
    else
        (void)snprintf(out->line, sizeof out->line, "modbus-rtu %lld %lld%c%lld",
                       (long long)b->cfg->baud, (long long)b->cfg->data_bits, b->cfg->parity,
                       (long long)b->cfg->stop_bits);
    for (size_t i = 0; i < b->n; i++) {
        const struct collect_device *d = b->devices[i];
        out->load +=
            (double)collect_plan_ns(&d->plan, &d->line) / NS_PER_MS / (double)d->cfg->every_ms;
    }
}

static bool is_shown(const struct collect_device *d, size_t value)
{
    return !d->profile->points[d->plan.values[value].point].hidden;
}

static size_t shown_points(const struct collect_device *d)
{
    size_t n = 0;
    for (size_t i = 0; i < d->plan.nall; i++)
        n += is_shown(d, i);
    return n;
}

/* Line time when each value has a request of its own. */
static int64_t singles_ns(const struct collect_device *d)
{
    int64_t ns = 0;
    for (size_t i = 0; i < d->plan.nall; i++) {
        uint16_t at;
        if (!is_shown(d, i))
            continue;
        const struct collect_request r =
            collect_plan_single(d->profile, d->plan.values[i].point, &at);
        ns += collect_line_ns(&d->line, r.function, r.count);
    }
    return ns;
}

void collect_show_device(const struct collect *k, size_t bus, size_t device,
                         struct collect_show_device *out)
{
    const struct collect_device *d = k->buses[bus].devices[device];
    *out = (struct collect_show_device){.id = d->cfg->id,
                                        .model = d->profile->model,
                                        .unit = d->cfg->unit,
                                        .every_ms = d->cfg->every_ms,
                                        .requests = d->plan.nrequests,
                                        .points = shown_points(d),
                                        .line_ns = collect_plan_ns(&d->plan, &d->line),
                                        .singles_ns = singles_ns(d),
                                        .unmet = d->node && d->profile->node.entry == 0,
                                        .assumed = d->sunspec != NULL};
}

void collect_show_request(const struct collect *k, size_t bus, size_t device, size_t request,
                          struct collect_show_request *out)
{
    const struct collect_device *d = k->buses[bus].devices[device];
    const struct collect_request *r = &d->plan.requests[request];
    *out =
        (struct collect_show_request){.function = r->function,
                                      .address = r->address,
                                      .count = r->count,
                                      .points = r->n,
                                      .line_ns = collect_line_ns(&d->line, r->function, r->count)};
}

const char *collect_show_point(const struct collect *k, size_t bus, size_t device, size_t request,
                               size_t point)
{
    const struct collect_device *d = k->buses[bus].devices[device];
    const struct collect_item *item = &d->plan.items[d->plan.requests[request].first + point];
    return d->profile->points[d->plan.values[item->value].point].name;
}

/* A poll is not interrupted: whoever is due meanwhile waits for its end. */
static bool held_up(const struct collect_bus *b, const struct collect_device *d, char *text,
                    size_t n)
{
    const struct collect_device *longest = NULL;
    int64_t most_ns = 0, own_ns = collect_plan_ns(&d->plan, &d->line);
    for (size_t i = 0; i < b->n; i++) {
        const struct collect_device *other = b->devices[i];
        int64_t ns = collect_plan_ns(&other->plan, &other->line);
        if (other != d && ns > most_ns) {
            longest = other;
            most_ns = ns;
        }
    }
    if (!longest || (double)(most_ns + own_ns) / NS_PER_MS <= (double)d->cfg->every_ms)
        return false;
    (void)snprintf(text, n,
                   "device %s: its period of %lld ms cannot always be met: a poll of %s takes the "
                   "line for %.0f ms, its own %.0f ms; raise `every`, or read %s elsewhere",
                   d->cfg->id, (long long)d->cfg->every_ms, longest->cfg->id,
                   (double)most_ns / NS_PER_MS, (double)own_ns / NS_PER_MS, longest->cfg->id);
    return true;
}

bool collect_show_warning(const struct collect *k, size_t bus, size_t i, char *text, size_t n)
{
    const struct collect_bus *b = &k->buses[bus];
    struct collect_show_bus shown;
    collect_show_bus(k, bus, &shown);
    bool over = shown.load > 1;
    if (i > 0)
        return !over && held_up(b, b->devices[i - 1], text, n);
    if (over)
        (void)snprintf(text, n,
                       "bus %s: its periods cannot be met: they want the line for %.0f %% of the "
                       "time; raise `every`, the speed, or read fewer points",
                       b->cfg->id, 100 * shown.load);
    return over;
}
