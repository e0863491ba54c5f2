/* The simulator's wires: TCP listeners, ptys, the control input and the signals, in one poll loop.
 * One thread. */
#ifndef TESTS_SIM_NET_H
#define TESTS_SIM_NET_H

#include "tests/sim/site.h"

struct sim_net;
/* Opens every bus and prints `bus <id> <address>` for each, then `ready`. log may be NULL. */
enum st sim_net_open(struct sim_net **out, struct sim_site *site, FILE *log,
                     struct err *e) ST_MUST_CHECK;
/* Plays until SIGTERM or SIGINT; those let polls in progress end first (2 s at most), and `requests
 * <n>` is printed, how many came in all. SIGUSR1 does the same, prints `quiet` and stays silent. */
enum st sim_net_run(struct sim_net *n, struct err *e) ST_MUST_CHECK;
void sim_net_close(struct sim_net *n);

#endif
