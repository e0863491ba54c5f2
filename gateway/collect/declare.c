/* What the configured devices are to the store. */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/collect/push_int.h"

/* Streams are free text to the store; the configuration knows this closed set. */
const struct cfg_word collect_stream_words[] = {{"recyclable", 1}, {"food", 2},  {"other", 3},
                                                {"hazardous", 4},  {"bulky", 5}, {"industrial", 6},
                                                {NULL, 0}};

const char *collect_stream_text(int stream)
{
    for (size_t i = 0; collect_stream_words[i].word; i++)
        if (collect_stream_words[i].value == stream)
            return collect_stream_words[i].word;
    return NULL;
}

static enum st declare_series(struct collect_device *d, struct store *s, struct err *e)
{
    const struct collect_profile *p = d->profile;
    bool manual = d->bus->cfg->type == COLLECT_MANUAL;
    for (size_t i = 0; i < p->n; i++) {
        if (!d->wanted[i] || !p->points[i].quantity)
            continue;
        const struct collect_decoder *to = &p->points[i].decoder;
        const struct store_limits limits = {to->min, to->max};
        uint32_t series;
        enum st st = store_add_series(s,
                                      &(struct store_series){.device = d->store,
                                                             .point = p->points[i].name,
                                                             .quantity = p->points[i].quantity,
                                                             .period_ms = d->cfg->every_ms,
                                                             .manual = manual ? &limits : NULL},
                                      &series, e);
        if (st != ST_OK)
            return st;
        if (d->seen)
            d->seen[i].series = series;
        for (size_t j = 0; j < d->plan.nvalues; j++)
            if (d->plan.values[j].point == i)
                d->plan.values[j].series = series;
    }
    return ST_OK;
}

static enum st declare_device(struct collect_device *d, struct store *s, struct err *e)
{
    const struct collect_device_cfg *cfg = d->cfg;
    const struct collect_bus_cfg *b = d->bus->cfg;
    char address[128];
    if (collect_is_sent(b->type))
        (void)snprintf(address, sizeof address, "%s %s", b->id, d->topic);
    else if (b->type == COLLECT_TCP)
        (void)snprintf(address, sizeof address, "%s:%s unit %lld", b->host, b->port,
                       (long long)cfg->unit);
    else
        (void)snprintf(address, sizeof address, "%s unit %lld", b->id, (long long)cfg->unit);
    struct store_device to = {.id = cfg->id,
                              .name = cfg->name,
                              .place = cfg->place,
                              .stream = collect_stream_text(cfg->stream),
                              .role = cfg->role,
                              .legal = cfg->legal,
                              .learned = d->profile->learned,
                              .serial = cfg->serial,
                              .source = b->id,
                              .address = address,
                              .model = d->profile->model,
                              .period_ms = cfg->every_ms};
    struct store_was *was = NULL;
    enum st st = collect_history(cfg, &to, &was, e);
    if (st == ST_OK)
        st = store_add_device(s, &to, &d->store, e);
    free(was);
    return st == ST_OK ? declare_series(d, s, e) : st;
}

enum st collect_declare(struct collect *k, struct store *s, struct err *e)
{
    enum st st = ST_OK;
    k->store = s;
    for (size_t i = 0; i < k->ndevices && st == ST_OK; i++)
        st = declare_device(&k->devices[i], s, e);
    return st;
}
