/* Uplink: sends sealed batches to where they are wanted and stores the receipts. One thread per
 * uplink; format/<name>.c is one feed. */
#ifndef GATEWAY_UPLINK_UPLINK_H
#define GATEWAY_UPLINK_UPLINK_H

#include "gateway/base/cfg.h"
#include "gateway/base/clk.h"
#include "gateway/base/thr.h"
#include "gateway/store/store.h"

extern const struct cfg_table uplink_table; /* of one entry of the map `uplinks` */

struct uplinks;
/* cfg: the filled map. Loads receipt keys, checks files and URLs; mistakes go to c. */
enum st uplinks_open(struct uplinks **out, const struct cfg_items *cfg, const char *gateway,
                     struct cfg *c, struct err *e) ST_MUST_CHECK;
enum st uplinks_declare(struct uplinks *u, struct store *s, struct err *e) ST_MUST_CHECK;
void uplinks_close(struct uplinks *u);

size_t uplinks_count(const struct uplinks *u);
const char *uplinks_id(const struct uplinks *u, size_t i);
/* What the page shows of an uplink. Any thread. */
struct uplink_status {
    bool online, required;
    char text[200];     /* last fault and what to do; "" when all is well */
    int64_t last_ok_ms; /* UTC; 0: never since start */
    uint64_t sent, acknowledged, bytes;
};
void uplinks_status(const struct uplinks *u, size_t i, struct uplink_status *out);

struct uplink_job {
    struct uplinks *uplinks;
    size_t i;
    struct store *store;
    const struct clk *clk;
    struct thr_stop *stop;
};
void uplink_main(void *uplink_job);

#endif
