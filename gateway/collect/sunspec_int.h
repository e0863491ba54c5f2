/* Private to collect: devices whose profile names registers of SunSpec models, not addresses.
 *
 * Method (as public SunSpec clients do it; models: sensors/sunspec.def): "SunS" stands
 * at 40000, 0 or 50000; behind it lies a chain of models, each with its number and its length. It
 * is walked when the device is polled first, after it was away, when a model's head no longer reads
 * as it was found, and each hour. The points' addresses follow from it; their series do not change.
 */
#ifndef GATEWAY_COLLECT_SUNSPEC_INT_H
#define GATEWAY_COLLECT_SUNSPEC_INT_H

#include "gateway/collect/collect_int.h"
#include "sensors/sunspec.h"

/* ---- the walk (chain.c). Pure; any input. --------------------------------------------------- */

#define COLLECT_BASES 3 /* where "SunS" may stand */
#define COLLECT_CHAIN_MAX 64
#define COLLECT_WHY_BYTES 200
struct collect_model {
    uint16_t id, length, blocks; /* blocks: as many as it says and has room for; 0: it has none */
    uint16_t address;            /* of its ID */
};
struct collect_chain {
    uint16_t base; /* of "SunS" */
    size_t n;
    struct collect_model models[COLLECT_CHAIN_MAX];
};
enum collect_walk_state {
    COLLECT_WALK_MARK,   /* looks for "SunS" */
    COLLECT_WALK_HEAD,   /* for the next model */
    COLLECT_WALK_BLOCKS, /* for the number of blocks of the last one */
    COLLECT_WALK_LAST,   /* for the end alone: where two registers were refused */
    COLLECT_WALK_DONE,
    COLLECT_WALK_BAD /* `why` says what is wrong, in words for people */
};
struct collect_walk {
    enum collect_walk_state state;
    unsigned tried, base; /* base: of collect_bases */
    unsigned at;          /* of the next model */
    struct collect_chain chain;
    char why[COLLECT_WHY_BYTES];
};
extern const uint16_t collect_bases[COLLECT_BASES];
/* Begins at that base; the others follow. */
void collect_walk_begin(struct collect_walk *w, unsigned base);
/* What is to be read next: its address, and how many registers (1 or 2). false: the walk is over.
 */
bool collect_walk_next(const struct collect_walk *w, uint16_t *address, uint16_t *count);
/* What came: the registers as on the wire; NULL: the device refuses to read there. Each call brings
 * the walk nearer to its end: 3 marks, 64 models, 64 counts and two for the end are the most. */
void collect_walk_heard(struct collect_walk *w, const uint8_t *data);

/* The model that a point of `ids` is read from: number `instance` (from 1) of the chain's models
 * with one of these ids. Those of the common model: the last one before `anchor`, the place of the
 * first other model that the profile reads (n: none). NULL: it is not there. Pure. */
const struct collect_model *collect_chain_find(const struct collect_chain *c,
                                               const struct cfg_ints *ids, int64_t instance,
                                               size_t anchor);

/* ---- a device (sunspec.c). Bus thread alone, once it runs. ----------------------------------- */

struct collect_sunspec;
/* Gives the device a profile of its own, in which the points get their addresses; until the device
 * was asked they lie as in a usual chain at 40000, for the plan that people are shown. Before the
 * plan is made; ST_MEMORY. */
enum st collect_sunspec_open(struct collect_device *d, struct err *e) ST_MUST_CHECK;
void collect_sunspec_close(struct collect_device *d);
/* Checks a profile's point that names a model, and fills in what the model says of it. */
void collect_sunspec_check(struct cfg *c, struct collect_point *p);

/* Sets the point's scale to `scale` times ten to the power of a device's factor, and its decoder
 * accordingly. false: no factor, or one beyond what SunSpec has; nothing changed. */
bool collect_sunspec_scale(struct collect_point *p, struct num scale, int factor);

/* The profile as it was loaded, of any device: nobody writes it, so any thread may read it. */
const struct collect_profile *collect_sunspec_said(const struct collect_device *d);

#endif
