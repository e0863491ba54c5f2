/* Collect: Modbus buses (RTU and TCP, through libmodbus), devices, the read plan and the decode
 * table. One thread per bus; every poll goes to store_put as one block. */
#ifndef GATEWAY_COLLECT_COLLECT_H
#define GATEWAY_COLLECT_COLLECT_H

#include "gateway/base/cfg.h"
#include "gateway/base/clk.h"
#include "gateway/base/thr.h"
#include "gateway/store/store.h"

/* The configuration sections `buses` and `devices`. */
struct collect_cfg {
    struct cfg_items buses, devices;
};
extern const struct cfg_table collect_bus_table, collect_device_table; /* of one map entry */

struct collect;
/* Loads profiles (`profile_dir`: the installed set; a device may also name a file, relative to
 * the configuration file), checks units, buses, points and quantities; every mistake goes to `c`
 * with its line. Returns ST_BAD when there was one. */
enum st collect_open(struct collect **out, const struct collect_cfg *cfg, struct cfg *c,
                     const char *profile_dir, struct err *e) ST_MUST_CHECK;
/* Declares devices and series. */
enum st collect_declare(struct collect *k, struct store *s, struct err *e) ST_MUST_CHECK;
void collect_close(struct collect *k);

/* Threads: main starts collect_bus_main once for each i < collect_bus_count. */
size_t collect_bus_count(const struct collect *k);
struct collect_bus_job {
    struct collect *collect;
    size_t bus;
    struct store *store;
    const struct clk *clk;
    struct thr_stop *stop;
};
void collect_bus_main(void *collect_bus_job);

#endif
