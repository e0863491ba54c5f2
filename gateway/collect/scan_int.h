/* Private to the scan: what it asks, and what it makes of a unit that answered. */
#ifndef GATEWAY_COLLECT_SCAN_INT_H
#define GATEWAY_COLLECT_SCAN_INT_H

#include "gateway/collect/collect_int.h"

/* The installed profiles of devices that are asked; those with mistakes are left out. */
struct collect_set {
    struct collect_profile *v;
    char **names; /* one for each */
    size_t n;
};
enum st collect_set_open(struct collect_set *s, const char *dir, struct err *e) ST_MUST_CHECK;
void collect_set_done(struct collect_set *s);

/* Asks the unit of `base` what each profile reads; fits has room for one for each, in order of
 * worth. ST_OK unless nothing more can be asked. */
enum st collect_fit_all(const struct collect_set *s, const struct collect_scan_calls *calls,
                        const struct collect_ask *base, struct collect_fit *fits,
                        struct err *e) ST_MUST_CHECK;

#endif
