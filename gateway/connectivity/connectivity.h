/* Connectivity: what the gateway sees of its own links, as readings: ICMP latency and loss, link
 * state and rate. One thread for all probes of a kind that may block. */
#ifndef GATEWAY_CONNECTIVITY_CONNECTIVITY_H
#define GATEWAY_CONNECTIVITY_CONNECTIVITY_H

#include "gateway/base/cfg.h"
#include "gateway/base/clk.h"
#include "gateway/base/thr.h"
#include "gateway/store/store.h"

/* Section `connectivity`: `ping: {<device id>: {host, every, count, timeout}}` and
 * `link: {<device id>: {interface, every}}`. Each entry is a device of the gateway. */
struct connectivity_cfg {
    struct cfg_items ping, link;
};
extern const struct cfg_table connectivity_cfg_table;

struct connectivity;
enum st connectivity_open(struct connectivity **out, const struct connectivity_cfg *cfg,
                          struct cfg *c, struct err *e) ST_MUST_CHECK;
enum st connectivity_declare(struct connectivity *k, struct store *s, struct err *e) ST_MUST_CHECK;
void connectivity_close(struct connectivity *k);

struct connectivity_job {
    struct connectivity *connectivity;
    struct store *store;
    const struct clk *clk;
    struct thr_stop *stop;
};
void connectivity_main(void *connectivity_job);

#endif
