/* Private to collect: our own sensor nodes, which say themselves what they measure (decision 0058).
 *
 * A device with `profile: node`. Its chain of blocks (sensors/node.def) is walked when it is polled
 * first, after it was away, when a head in front of its values no longer reads as it was found, and
 * each hour. What it says becomes a profile, a file beside the store; when that is new, or another
 * than before, the line is asked to start over with it. */
#ifndef GATEWAY_COLLECT_NODE_INT_H
#define GATEWAY_COLLECT_NODE_INT_H

#include "gateway/collect/collect_int.h"
#include "sensors/node.h"

#define COLLECT_NODE_PROFILE "node" /* the word in the configuration */

/* ---- the walk (node_walk.c). Pure; any input. ------------------------------------------------ */

#define COLLECT_NODE_BLOCKS 64
#define COLLECT_NODE_POINTS 32  /* that are taken; more are left out */
#define COLLECT_NODE_TABLE 1000 /* registers of a block with entries */
#define COLLECT_NODE_TEXT 17    /* bytes of a text of its identity */
#define COLLECT_NODE_WHY_BYTES 200
/* A mark, the heads, the end twice, and what is read of blocks. */
#define COLLECT_NODE_READS (1 + COLLECT_NODE_BLOCKS + 2 + 2 * (COLLECT_NODE_TABLE / 125) + 2)

struct collect_node_block {
    uint16_t id, length, address; /* address: of the register behind its length */
};
enum collect_node_state {
    COLLECT_NODE_MARK,
    COLLECT_NODE_HEAD, /* for the next block */
    COLLECT_NODE_LAST, /* for the end alone: where two registers were refused */
    COLLECT_NODE_READ, /* what the wanted blocks hold */
    COLLECT_NODE_DONE,
    COLLECT_NODE_BAD /* `why` says what is wrong, in words for people */
};
struct collect_node_walk {
    enum collect_node_state state;
    unsigned at; /* of the next block */
    uint16_t version;
    size_t n;
    struct collect_node_block blocks[COLLECT_NODE_BLOCKS];
    size_t part;  /* that is read */
    unsigned got; /* registers of it */
    uint8_t identity[68], points[2 * COLLECT_NODE_TABLE], sensors[2 * COLLECT_NODE_TABLE];
    uint8_t values[8];
    char why[COLLECT_NODE_WHY_BYTES];
};
void collect_node_walk_begin(struct collect_node_walk *w);
/* What is to be read next, by function 3. false: the walk is over. */
bool collect_node_walk_next(const struct collect_node_walk *w, uint16_t *address, uint16_t *count);
/* What came: the registers as on the wire; NULL: the device refuses to read there. At most
 * COLLECT_NODE_READS calls end it. */
void collect_node_walk_heard(struct collect_node_walk *w, const uint8_t *data);

/* ---- what it said (node_table.c). Pure. ------------------------------------------------------ */

struct collect_node_point {
    uint16_t quantity, instance, sensor;
    int16_t exponent;
    bool ranged, counter; /* ranged: min and max are there */
    int32_t min, max;
};
struct collect_node_table {
    char vendor[COLLECT_NODE_TEXT], model[COLLECT_NODE_TEXT], firmware[COLLECT_NODE_TEXT],
        serial[COLLECT_NODE_TEXT];
    uint32_t hash;
    struct collect_node_block identity, values, diagnostics; /* length 0: it has none */
    unsigned head, entry;                                    /* of VALUES */
    unsigned entries;                                        /* as it says */
    size_t n;
    struct collect_node_point points[COLLECT_NODE_POINTS]; /* the first n of the entries */
    size_t nsensors;
    uint16_t periods[COLLECT_NODE_POINTS]; /* of sensors, 0.1 s; 0: it does not say */
};
/* Of a walk that is done. */
void collect_node_table_read(const struct collect_node_walk *w, struct collect_node_table *t);
/* The table as a profile; the same table gives the same text. `said`, when not NULL: in words for
 * people, what it is, its points, and what of it is left out. ST_MEMORY. */
enum st collect_node_profile(const struct collect_node_table *t, struct buf *out, char *said,
                             size_t n) ST_MUST_CHECK;
/* Whether a value counts that came with this state and age (0.1 s; NODE_NEVER), by a sensor of this
 * period (0.1 s; 0: unknown); then *q has its flags. *stale: its age alone is against it. */
bool collect_node_counts(unsigned state, unsigned age, unsigned period, uint16_t *q, bool *stale);

/* ---- its file (node_file.c). Any thread but collect_node_keep, which is the bus's. ------------
 */

#define COLLECT_NODE_FILE_MAX (64 * 1024)
#define COLLECT_NODE_KEEP_MS 600000 /* between two times that it is written: a restart each */
/* Whether the configuration calls it one. */
bool collect_node_is(const struct collect_device_cfg *cfg);
extern const struct cfg_table collect_node_at_table; /* `node` of its file */
/* Fills the device's profile `p` from what it said before: the file of its name in the folder
 * `dir`. A file that is not there, or damaged, makes a profile without points. ST_MEMORY. */
enum st collect_node_load(struct collect_profile *p, const struct collect_device_cfg *cfg,
                          const char *dir, const char *profile_dir) ST_MUST_CHECK;
/* Writes what it said, whole or not at all. false: `why` says why not, in words; what was there
 * stays, unless the new one makes no profile. */
bool collect_node_keep(const char *dir, const char *id, const struct buf *profile, int64_t utc_ms,
                       char *why, size_t n);

/* ---- a device (node.c). Bus thread alone, once it runs. -------------------------------------- */

struct collect_node;
/* Puts what is read beside its points into a profile of its own. Before the plan is made; its
 * `wanted` are set. ST_MEMORY. */
enum st collect_node_open(struct collect_device *d, const char *dir, struct err *e) ST_MUST_CHECK;
void collect_node_close(struct collect_device *d);

/* Asks whether a unit that answered is a node (base: a read of it), and walks it then. *is: it has
 * the mark; `fit` says the rest. ST_OK unless nothing more can be asked. */
enum st collect_node_fit(const struct collect_scan_calls *calls, const struct collect_ask *base,
                         bool *is, struct collect_fit *fit, struct err *e) ST_MUST_CHECK;

#endif
