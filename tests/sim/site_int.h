/* What site.yaml may say. Private to the site. */
#ifndef TESTS_SIM_SITE_INT_H
#define TESTS_SIM_SITE_INT_H

#include "gateway/base/cfg.h"

enum sim_bus_type { SIM_BUS_TCP, SIM_BUS_RTU };
struct sim_bus_cfg {
    char *id, *listen, *link;
    int type;
    int64_t baud;
};
struct sim_point_cfg {
    char *id, *trace, *series, *text;
    int formula;
    int64_t offset_rows;
    double scale, value, from, to, step, amplitude, period;
};
struct sim_rule_cfg {
    char *at;
    int fault;
};
struct sim_device_cfg {
    char *id, *bus, *profile, *counter, *words;
    int64_t unit, late_ms, baud;
    int parity;
    bool settings;
    struct cfg_items points, faults;
};
struct sim_generate_cfg {
    int64_t count, offset_rows_step;
    char *prefix, *profile, *counter;
    int bus_each;
    struct cfg_items points;
};
struct sim_site_cfg {
    char *log;
    struct {
        char *dir;
    } traces;
    struct cfg_items buses, devices;
    struct sim_generate_cfg generate;
};
extern const struct cfg_table sim_site_table;

#endif
