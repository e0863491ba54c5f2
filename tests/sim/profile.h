/* Device profiles as the simulator reads them: the same YAML files as the gateway's, through a
 * table of its own. One thread. */
#ifndef TESTS_SIM_PROFILE_H
#define TESTS_SIM_PROFILE_H

#include "tests/sim/settings.h"

struct sim_profile_point {
    char *name, *quantity, *identity;
    int64_t function, address, count, stuck_ms; /* count: registers of a string */
    int type, order;                            /* enum sim_type, enum sim_order */
    struct num scale, offset, valid[2], max_rate, rollover;
    struct cfg_ints no_value;
    struct cfg_items states, bits;
};

struct sim_forbidden {
    int64_t function, from, to;
};

#define SIM_EXTENDS_MAX 4
#define SIM_FORBIDDEN_MAX 32
struct sim_profile {
    struct sim_profile_point *points; /* own ones after those of the extended profile */
    size_t n;
    uint32_t most[5]; /* registers or bits of one request, by function */
    struct sim_forbidden forbidden[SIM_FORBIDDEN_MAX]; /* refused, whole or in part */
    size_t nforbidden;
    bool even_addresses; /* refuses an odd start or count */
    bool joined;         /* false: refuses a request that is not exactly one point */
    int64_t baud;        /* as delivered; 0: not said */
    int parity;          /* 'N' 'E' 'O' */
    struct sim_setup setup;
    bool has_setup;
    struct cfg *files[SIM_EXTENDS_MAX];
    size_t nfiles;
};

/* `name`: of a file in dir, or a path (has a '/' or ends in .yaml) relative to the folder of
 * `beside` (the file that names it). Mistakes are in e. Free with sim_profile_done, also after a
 * failure. */
enum st sim_profile_load(struct sim_profile *p, const char *name, const char *dir,
                         const char *beside, struct err *e) ST_MUST_CHECK;
void sim_profile_done(struct sim_profile *p);

/* "<folder of beside>/name", or name itself when it is absolute. Caller frees; NULL: no memory. */
char *sim_path_beside(const char *beside, const char *name);

#endif
