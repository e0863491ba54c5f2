/* The control input: lines `fault <device> <kind> <count>` (the next requests of a device meet the
 * fault) and `heal <device>` (no more faults, also none of the site's file), each answered on
 * stdout with `ok` or `error: …`. For devices with settings: `unplug` and `plug`, `power` (off and
 * on), and `stubborn` (writes are confirmed and not done; again: they are). One thread. */
#ifndef TESTS_SIM_CONTROL_H
#define TESTS_SIM_CONTROL_H

#include "tests/sim/site.h"

struct sim_control {
    char line[256];
    size_t n;
};
/* Reads what stdin holds now and obeys whole lines. false at its end. */
bool sim_control_read(struct sim_control *c, struct sim_site *s);
/* Obeys one line; what is wrong with it, or NULL. */
const char *sim_control_obey(struct sim_site *s, const char *line);

#endif
