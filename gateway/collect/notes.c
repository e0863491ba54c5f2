/* What the store kept of the devices of a bus over a restart. */
#include <string.h>

#include "gateway/collect/collect_int.h"

typedef void load_fn(const struct collect_bus_job *job, struct collect_device *d, size_t point,
                     const char *text);
static const struct kind {
    const char *name;
    load_fn *load;
    bool series; /* of a device's point; else of a device */
} kinds[] = {{"serial", collect_who_load, false},
             {"counter", collect_counter_load, true},
             {"stuck", collect_rest_load, true},
             {"says", collect_say_load, true}};

struct loading {
    const struct collect_bus_job *job;
    struct collect_bus *b;
    const struct kind *kind;
};

static void load(void *ctx, const char *name, const char *text)
{
    const struct loading *l = ctx;
    size_t n = strcspn(name, "/"), point = 0;
    for (size_t i = 0; i < l->b->n; i++) {
        struct collect_device *d = l->b->devices[i];
        if (strncmp(d->cfg->id, name, n) != 0 || d->cfg->id[n] != '\0')
            continue;
        while (l->kind->series && point < d->profile->n &&
               (name[n] == '\0' || strcmp(d->profile->points[point].name, name + n + 1) != 0))
            point++;
        if (point < d->profile->n)
            l->kind->load(l->job, d, point, text);
    }
}

void collect_notes_load(const struct collect_bus_job *job, struct collect_bus *b)
{
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct loading l = {job, b, &kinds[k]};
        struct err e;
        enum st st = store_notes_each(job->store, kinds[k].name, load, &l, &e);
        if (st != ST_OK && st != ST_STOPPED)
            store_event(job->store, STORE_WARNING, "bus.unknown", b->cfg->id,
                        "what was known of its devices before this start cannot be read: %s",
                        e.text);
    }
}
