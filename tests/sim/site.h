/* A site to play: buses and the devices on them, as site.yaml describes. One thread. */
#ifndef TESTS_SIM_SITE_H
#define TESTS_SIM_SITE_H

#include "tests/sim/device.h"

struct sim_bus {
    const char *id;
    bool tcp;
    const char *listen; /* host:port, TCP */
    char *link;         /* symlink to the pty, RTU; NULL: none */
    int64_t baud;       /* paces answers on RTU; 0: at once */
    struct sim_device **devices;
    size_t n;
};

struct sim_site;
/* Reads the file with its profiles and traces. Mistakes, all that were found, are printed on
 * stderr. profile_dir: where profile names are looked up. */
enum st sim_site_open(struct sim_site **out, const char *path, const char *profile_dir,
                      uint64_t seed, struct err *e) ST_MUST_CHECK;
void sim_site_close(struct sim_site *s);
const char *sim_site_log(const struct sim_site *s); /* path; NULL: none configured */
struct sim_bus *sim_site_buses(struct sim_site *s, size_t *n);
struct sim_device *sim_site_device(struct sim_site *s, const char *id); /* NULL: none */
const struct sim_bus *sim_site_bus_of(struct sim_site *s, const struct sim_device *d);

/* Gives a device the registers of a file of words (words.h), relative to the site's file. */
enum st sim_site_words(struct sim_site *s, struct sim_device *d, const char *file,
                       struct err *e) ST_MUST_CHECK;

#endif
