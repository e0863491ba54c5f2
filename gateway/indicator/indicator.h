/* Indicators: the figures of the wards' plans, computed from readings where the data is, by a
 * catalogue of data files, so that anyone can compute them again (gateway/doc/indicator.md).
 * Results are readings. */
#ifndef GATEWAY_INDICATOR_INDICATOR_H
#define GATEWAY_INDICATOR_INDICATOR_H

#include "gateway/base/cfg.h"
#include "gateway/base/clk.h"
#include "gateway/base/thr.h"
#include "gateway/indicator/alarm.h"
#include "gateway/store/store.h"

/* Section `indicator`; absent: nothing is computed. */
struct indicator_cfg {
    struct cfg_strings use;  /* ids; none: all whose inputs are there and that are not `off` */
    char *folder;            /* a site's own files, or NULL */
    struct cfg_items params; /* {indicator id: {param: number}} */
};
extern const struct cfg_table indicator_cfg_table;

struct indicators;
/* Loads the catalogue; every mistake is complained about in c. */
enum st indicators_open(struct indicators **out, const struct indicator_cfg *cfg, struct cfg *c,
                        struct err *e) ST_MUST_CHECK;
/* Finds the instances among the devices and series of the store, and adds their own: after all
 * other rooms have declared theirs. */
enum st indicators_declare(struct indicators *x, struct store *s, struct err *e) ST_MUST_CHECK;
void indicators_close(struct indicators *x);

struct indicators_job {
    struct indicators *indicators;
    struct store *store;
    const struct clk *clk;
    struct thr_stop *stop;
};
void indicators_main(void *indicators_job);

#endif
