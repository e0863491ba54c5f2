/* Private to seal. Writer thread only. */
#ifndef GATEWAY_SEAL_SEAL_INT_H
#define GATEWAY_SEAL_SEAL_INT_H

#include "gateway/seal/gaps.h"
#include "gateway/seal/seal.h"

#define SEAL_A_STEP 64                          /* bounded work: the rest at the next step */
#define SEAL_KNOWN_MS (2 * CLK_UNKNOWN_BASE_MS) /* earlier times count from boot: 8 years of it */

struct seal {
    struct seal_cfg cfg;
    char *gateway;
    struct store *store;
    const struct clk *clk;
    struct wire_key *key;
    struct gaps *gaps;
    struct store_chain chain; /* id all zero: none yet */
    int64_t from_ms;          /* of the next window */
    int64_t start_ms;         /* this start, in the time base of then */
    bool old_done;            /* frames of earlier runs are sealed */
    bool first;               /* no window of this run is sealed yet */
    bool step;                /* the next window does not abut */
    bool running;             /* the first step is done: series are tracked */
    bool from_unknown;        /* from_ms counts from boot */
    int64_t known_end_ms;     /* latest end of a window in UTC; 0: none */
    bool planned;             /* the inventory stands in the chain */
    size_t seen;              /* frames that the gap tracker has seen */
    struct clk_time last;     /* at the last look */
    struct mono last_mono;
    struct mono due;
    bool *use;               /* per frame: it is in the window */
    struct wire_span *parts; /* the array head and the records of these frames */
    size_t nuse, nparts;
    struct buf payload; /* of a control batch; of a data batch its array head */
};

/* What one batch says, beside its gaps. */
struct seal_window {
    enum wire_kind kind;
    int64_t from_ms, to_ms;
    const uint8_t *boot;
    enum clk_grade grade;
    uint64_t n;
    bool fold; /* l->use says which frames */
    const struct store_planned *plan;
    size_t nplan;
    const uint64_t *voided;
    size_t nvoided;
};

/* seal.c: signs the payload (or, with fold, the parts) and stores the batch; moves the chain on.
 * What it takes meanwhile, some bytes for each byte of the payload, it gives back. */
enum st seal_batch(struct seal *l, const struct seal_window *w, const struct wire_gap *gaps,
                   size_t ngaps, struct err *e) ST_MUST_CHECK;

/* plan.c: the control batches. */
/* Series that the signed plan knows go on owing from where the last window ended; others, and all
 * of a new store, from this start. */
enum st seal_owe(struct seal *l, struct err *e) ST_MUST_CHECK;
/* Brings the chain's plan to what is configured; more than one batch where it must. */
enum st seal_plan(struct seal *l, struct err *e) ST_MUST_CHECK;
/* Gives up, in the chain, what an uplink has refused for ever. */
enum st seal_voids(struct seal *l, struct err *e) ST_MUST_CHECK;

#endif
