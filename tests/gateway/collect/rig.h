/* One bus of collect at work: the real thread on a configuration, the fake store behind it. */
#ifndef TESTS_GATEWAY_COLLECT_RIG_H
#define TESTS_GATEWAY_COLLECT_RIG_H

#include <stdatomic.h>

#include "gateway/collect/collect.h"

struct rig {
    char *dir;
    struct cfg *cfg;
    struct collect_cfg in;
    struct collect *room;
    struct thr_stop stop;
    struct collect_bus_job job;
    struct thr thread;
    struct clk clk;
    _Atomic int64_t shift_ms; /* of the clock's UTC */
};

/* Called by rig_start before the thread runs, to put into the fake store what was there; NULL. */
extern void (*rig_before)(void);
/* Starts bus 0 of the configuration `text`; profiles named three, one, wide, meter, state, shy,
 * sun, tight, doors, wary, behind, second and probe lie beside it. Fails the test when it cannot.
 */
void rig_start(struct rig *r, const char *text);
/* The same without the thread. */
void rig_open(struct rig *r, const char *text);
/* Folder of what nodes said; NULL: none. And how often the bus wanted the line to start over. */
extern const char *rig_nodes;
extern atomic_uint rig_reloads;
/* Stops the thread and frees all; returns how long the stop took. */
int64_t rig_stop(struct rig *r);

#endif
