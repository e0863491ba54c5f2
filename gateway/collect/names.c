/* Names in a loaded configuration, for who asks something of a bus. */
#include <string.h>

#include "gateway/collect/collect_int.h"

const char *collect_cfg_bus(const struct collect_cfg *cfg, size_t i)
{
    const struct collect_bus_cfg *all = cfg->buses.v;
    if (i >= cfg->buses.n)
        return NULL;
    return collect_is_sent(all[i].type) ? "" : all[i].id;
}

const char *collect_cfg_device(const struct collect_cfg *cfg, const char *id, int *unit)
{
    const struct collect_device_cfg *all = cfg->devices.v;
    const struct collect_bus_cfg *buses = cfg->buses.v;
    for (size_t i = 0; i < cfg->devices.n; i++)
        if (strcmp(all[i].id, id) == 0)
            for (size_t j = 0; j < cfg->buses.n; j++)
                if (strcmp(buses[j].id, all[i].bus) == 0 && !collect_is_sent(buses[j].type)) {
                    *unit = (int)all[i].unit;
                    return all[i].bus;
                }
    return NULL;
}

bool collect_cfg_serial(const struct collect_cfg *cfg, const char *bus, struct collect_serial *line)
{
    const struct collect_bus_cfg *all = cfg->buses.v;
    *line = (struct collect_serial){.baud = 0};
    for (size_t i = 0; i < cfg->buses.n; i++)
        if (strcmp(all[i].id, bus) == 0 && all[i].type == COLLECT_RTU)
            *line = (struct collect_serial){all[i].baud, all[i].parity, all[i].stop_bits};
    return line->baud > 0;
}
