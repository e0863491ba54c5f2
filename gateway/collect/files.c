/* What of the configuration lies outside its file: profiles, and serial devices. */
#include "gateway/collect/collect_int.h"

const char *collect_profile_take(struct collect *k, size_t i, struct buf *bytes)
{
    for (size_t p = 0; p < k->nprofiles; p++) {
        const struct collect_profile *v = &k->profiles[p];
        if (v->learned) /* the device says it again */
            continue;
        if (i < v->nfiles) {
            (void)cfg_take(v->files[i], bytes);
            return cfg_path(v->files[i]);
        }
        i -= v->nfiles;
    }
    return NULL;
}

const char *collect_bus_serial(const struct collect *k, size_t i, const char **bus)
{
    const struct collect_bus_cfg *b = k->buses[i].cfg;
    *bus = b->id;
    return b->type == COLLECT_RTU ? b->port : NULL;
}
