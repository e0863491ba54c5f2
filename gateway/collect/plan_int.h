/* Private to collect: decoders, profiles, the line and the read plan. */
#ifndef GATEWAY_COLLECT_PLAN_INT_H
#define GATEWAY_COLLECT_PLAN_INT_H

#include "gateway/base/buf.h"
#include "gateway/collect/collect.h"

/* ---- decoding ------------------------------------------------------------------------------ */

/* The one table of types: name, registers (0: a bit, or a string whose profile says), form. */
#define COLLECT_TYPES(X)                                                                           \
    X(u16, 1, UNSIGNED)                                                                            \
    X(s16, 1, SIGNED)                                                                              \
    X(u32, 2, UNSIGNED)                                                                            \
    X(s32, 2, SIGNED)                                                                              \
    X(u64, 4, UNSIGNED)                                                                            \
    X(s64, 4, SIGNED)                                                                              \
    X(f32, 2, FLOAT)                                                                               \
    X(f64, 4, FLOAT)                                                                               \
    X(bit, 0, BIT)                                                                                 \
    X(bcd16, 1, BCD)                                                                               \
    X(bcd32, 2, BCD)                                                                               \
    X(string, 0, STRING)

enum collect_form {
    COLLECT_UNSIGNED,
    COLLECT_SIGNED,
    COLLECT_FLOAT,
    COLLECT_BCD,
    COLLECT_BIT,
    COLLECT_STRING
};
#define COLLECT_TYPE_ENUM(name, regs, form) COLLECT_TYPE_##name,
enum collect_type { COLLECT_TYPES(COLLECT_TYPE_ENUM) COLLECT_TYPE_COUNT };
struct collect_type_info {
    uint8_t regs, form; /* enum collect_form */
};
extern const struct collect_type_info collect_types[COLLECT_TYPE_COUNT];
extern const struct cfg_word collect_type_words[], collect_order_words[];

/* What an order does to a big-endian value, as flags. */
enum {
    COLLECT_ORDER_WORDS = 1, /* the low register comes first */
    COLLECT_ORDER_BYTES = 2, /* in each register the low byte comes first */
    COLLECT_ORDER_WIDE = 4   /* written with eight letters: 64-bit types only */
};

#define COLLECT_MARKERS_MAX 4
/* All that one point's decoding needs, worked out once. A plain value. */
struct collect_decoder {
    uint8_t form, bytes, flip; /* byte i of the big-endian value lies at i ^ flip */
    uint8_t nmarkers;
    bool quick, scaled; /* quick: mul, add, lo, hi hold; scaled: a float's scale or offset */
    int8_t exp;
    int64_t mul, add;  /* value = raw × mul + add, in units of 10^exp */
    int64_t lo, hi;    /* inclusive limits in the same units, drawn inwards */
    double fmin, fmax; /* limits of a float */
    double fscale, foffset;
    struct num scale, offset, min, max; /* the same, exact; min and max may be NUM_NONE */
    uint64_t mask, markers[COLLECT_MARKERS_MAX];
    double fmarkers[COLLECT_MARKERS_MAX];
};

struct collect_point;
/* From type, order, scale, offset, valid, no_value and quantity of a checked point. */
void collect_decoder_init(struct collect_decoder *d, const struct collect_point *p);
/* Reads the value whose first register lies at p (bytes as on the wire). NUM_NONE: a marker, NaN,
 * infinite, an invalid BCD digit, or more than 64 bits. Returns the quality flags. */
uint16_t collect_decode(const struct collect_decoder *d, const uint8_t *p, struct num *v);
/* A bit of a response to function 1 or 2. */
uint16_t collect_decode_bit(const uint8_t *p, unsigned at, struct num *v);
/* Registers as text: printable ASCII, other bytes become '?', without padding. */
void collect_decode_text(const uint8_t *p, unsigned regs, int order, char *text, size_t n);

/* ---- profiles ------------------------------------------------------------------------------ */

enum collect_identity { COLLECT_NO_IDENTITY, COLLECT_SERIAL };
/* A value of an enumeration, or a bit of a bit field, and what it means. */
struct collect_state {
    int64_t value; /* or the bit's number; 0 is the lowest */
    char *name, *todo;
    int severity; /* enum store_severity, or COLLECT_UNSAID */
};
#define COLLECT_UNSAID (-1) /* a bit whose change is no news */
#define COLLECT_STATES_MAX 64
#define COLLECT_STATE_BYTES 48 /* of a name */
#define COLLECT_ADVICE_BYTES 80
#define COLLECT_TEXT_REGISTERS 60 /* of a text, which is kept as a note */
struct collect_point {
    char *name, *quantity_key; /* quantity_key NULL: a text, a status, or identity */
    int identity;
    int64_t function, address, count;
    int type, order;
    struct num scale, offset, valid[2];
    int64_t stuck_ms;              /* 0: as the quantity says */
    struct num max_rate, rollover; /* of a counter; NUM_NONE: the file does not say */
    struct cfg_ints no_value;
    struct cfg_ints models;        /* SunSpec: numbers of the models that have it; sunspec_int.h */
    char *reg;                     /* SunSpec: its name there */
    int64_t block;                 /* SunSpec: of a model that repeats, from 1 */
    struct cfg_items states, bits; /* of a status: one of the two, struct collect_state */
    const struct quantity *quantity;
    uint16_t factor; /* index + 1 of the point that scales it, best read with it; 0: none */
    uint16_t counter,
        rest;    /* + 1: of the profile's counters, and of what never rests; 0: neither */
    bool hidden; /* it serves other points, and is no value of a poll */
    bool absent; /* it has no address: a value that never comes */
    struct collect_decoder decoder;
};
/* A status is read with the readings; its changes are told (status.c). With a quantity it is a
 * series, too. */
static inline bool collect_point_is_status(const struct collect_point *p)
{
    return p->states.n > 0 || p->bits.n > 0;
}
/* A text, such as a firmware version: read now and then, its changes are told; no series. */
static inline bool collect_point_is_text(const struct collect_point *p)
{
    return p->type == COLLECT_TYPE_string && p->identity == COLLECT_NO_IDENTITY;
}

/* Addresses, first and last, that are never read, not even within a longer request. */
struct collect_forbidden {
    int64_t function, from, to;
};

struct collect_source; /* push_int.h, like what else belongs to messages */
/* What a profile that one of our nodes made of itself says of it (node_int.h). entry 0: it is none.
 */
struct collect_node_at {
    int64_t values, length, head, entry, diagnostics;
    uint32_t sum; /* of the file */
};

#define COLLECT_EXTENDS_MAX 4
#define COLLECT_MODEL_MAX 80     /* bytes of `model`, and of `what` */
#define COLLECT_SOURCE_MAX 300   /* bytes of `source` */
#define COLLECT_TURNAROUND_MS 10 /* of a device whose profile does not say */
struct collect_profile {
    char *path;
    bool sent;                         /* it is a mapping */
    bool good;                         /* false: loaded with mistakes, already complained about */
    const char *model, *what, *source; /* what, source: NULL when no file says */
    bool verified;                     /* as the outermost file says: it is not inherited */
    struct collect_point *points;      /* those of the extended profile first */
    struct collect_source *sources;    /* of a mapping: beside the points; else NULL */
    const char *time;                  /* of a mapping: where a message has it, or NULL */
    size_t n;
    uint16_t ncounters, nrests;
    unsigned most[5];      /* registers or bits of one request, by function */
    int64_t pause_ms;      /* between requests */
    int64_t turnaround_ms; /* from the end of a request to the beginning of its answer */
    bool even_addresses;   /* start and count of a request are even */
    bool joined;           /* false: the device refuses a request of more than one point */
    bool split;            /* a point may be read in several requests */
    bool sunspec;          /* it has points of SunSpec models: where they are is found by asking */
    int64_t instance;      /* SunSpec: which of several such models of a device, from 1 */
    struct collect_node_at node;
    bool learned;                 /* from one of our nodes, or it is to be: no file of anybody's */
    struct collect_serial serial; /* as delivered; baud 0: no file says, or not 8 bits */
    int unit;                     /* as delivered; 0: no file says */
    struct collect_forbidden *forbidden;
    size_t nforbidden;
    struct collect_setup *setup; /* setup_int.h; NULL: no file says */
    struct cfg *files[COLLECT_EXTENDS_MAX];
    size_t nfiles;
};

/* Reads the file at path. Mistakes become one line each of `why`, "file:line:col: …\n". `why` is
 * the caller's, initialised. The profile is to be freed also after a failure. */
enum st collect_profile_load(struct collect_profile *p, const char *path, const char *dir,
                             struct buf *why) ST_MUST_CHECK;
void collect_profile_done(struct collect_profile *p);
void collect_complain_quantity(struct cfg *c, const struct collect_point *p); /* it is unknown */
/* Where a profile's file is: `name` of the installed set in dir, or a path (it has a '/' or ends
 * in .yaml) relative to the folder of `beside`. Caller frees; NULL: no memory. */
char *collect_profile_path(const char *name, const char *dir, const char *beside);
bool collect_profile_is_path(const char *name);
/* The names of the installed set in dir, sorted; NULL when it cannot be read. free() frees all. */
char **collect_profile_names(const char *dir, size_t *n);
/* The installed profile nearest to name, or NULL. Caller frees. */
char *collect_profile_nearest(const char *name, const char *dir);

/* A point's `states` and `bits` (state.c), and what is wrong with them. */
extern const struct cfg_table collect_state_table, collect_bit_table;
void collect_state_check(struct cfg *c, const struct collect_point *p);
/* A status in words: "throttled", "no signal + pipe empty", "none"; what the profile does not name
 * by its number. *severity: the worst of it; *todo: what that one wants, or NULL. `but`: bits that
 * count as known already. Pure. */
void collect_state_words(const struct collect_point *p, uint64_t v, uint64_t but, char *text,
                         size_t n, int *severity, const char **todo);
uint64_t collect_told_bits(const struct collect_point *p); /* whose change is news */
/* Puts `word` behind what is there, with `join` between them; false, and nothing put, when that
 * leaves less than `spare` bytes. */
bool collect_append(char *text, size_t n, size_t spare, const char *join, const char *word);

/* ---- the line ------------------------------------------------------------------------------ */

struct collect_bus_cfg;
/* What a request to one device takes of its line.
 *
 * RTU: 8 bytes out; 5 and 2 a register, or 5 and 1 for 8 bits, back; a byte has a start bit, the
 * data bits, the parity bit and the stop bits; a silence of 3.5 characters before and after the
 * request, or the device's pause before it when that is longer; its turn-around. Source: Modbus
 * over Serial Line 1.02, 2.5.1 (framing, 3.5 characters, 1.750 ms above 19200 baud) and Modbus
 * Application Protocol 1.1b3, 6.1 to 6.4 (lengths).
 * TCP: a round trip, the turn-around and the pause, and 0.8 us a byte of 12 out and 9 more than the
 * data back (Modbus Messaging on TCP/IP 1.0b, 3.1.3). */
struct collect_line {
    int64_t byte_ns, gap_ns;
    int64_t request_ns; /* all but the data of the answer */
};
/* turnaround_ms: the device's own, -1: as its profile says. */
struct collect_line collect_line_make(const struct collect_bus_cfg *bus,
                                      const struct collect_profile *p, int64_t turnaround_ms);
int64_t collect_line_ns(const struct collect_line *l, unsigned function, unsigned count);
/* The silence around a frame on a serial line: 3.5 characters. */
int64_t collect_line_gap_ns(const struct collect_bus_cfg *bus);

/* ---- the read plan ------------------------------------------------------------------------- */

#define COLLECT_REGISTERS_MAX 125
#define COLLECT_BITS_MAX 2000
/* A point as one request reads it; in several pieces where the profile says `split`. */
struct collect_item {
    uint16_t value;      /* of the plan; from nvalues on: a hidden point's */
    uint16_t at;         /* register, or bit, within its request */
    uint8_t skip, width; /* registers of the point before this piece, and of it */
};
/* A value of the poll, in this order: those of series by function and address, absent ones behind;
 * what is read for its states alone; hidden ones. */
struct collect_planned {
    uint16_t point;     /* of the profile */
    uint8_t got, width; /* `split`: registers that this poll has brought, of how many */
    uint8_t raw[8];     /* these registers */
    uint32_t series;    /* of the store */
};
struct collect_request {
    uint8_t function;
    uint16_t address, count;
    uint32_t first, n; /* its items */
    uint16_t join;     /* number of the request, as planned, that it is or is a part of */
    uint8_t silent;    /* polls in a row in which it alone was not answered */
};
struct collect_plan {
    struct collect_planned *values;
    struct collect_item *items;       /* by request */
    struct collect_request *requests; /* room for one an item */
    size_t nvalues;                   /* those of series, which come first */
    size_t nall; /* with those of a status that is no series, and hidden ones */
    size_t nitems, nrequests;
    struct collect_request probe; /* the shortest sign of life: the first point */
};
/* The requests that bring the wanted points (one flag per point of the profile) in the least time
 * of the line, within the device's limits; holes are read where that is quicker. Exact: a dynamic
 * programme over the points by address. A cheapest set of requests exists in which each request has
 * neighbours in that order, for a request that reads a point's registers anyway reads them for
 * nothing. Of equals the fewest requests, the longest first. Strings are left out. A point and the
 * one that scales it are in one request, where one can hold both. ST_MEMORY. */
enum st collect_plan_make(struct collect_plan *plan, const struct collect_profile *p,
                          const bool *wanted, const struct collect_line *line,
                          struct err *e) ST_MUST_CHECK;
void collect_plan_done(struct collect_plan *plan);
/* One request for one point, as the device's limits want it. *at: its place therein. */
struct collect_request collect_plan_single(const struct collect_profile *p, size_t point,
                                           uint16_t *at);
/* One request for the n items from `first` on of a plan. */
struct collect_request collect_plan_range(const struct collect_plan *plan,
                                          const struct collect_profile *p, uint32_t first,
                                          uint32_t n);
/* Makes two requests of request i: its items before item `at`, and the others. */
void collect_plan_cut(struct collect_plan *plan, const struct collect_profile *p, size_t i,
                      uint32_t at);
/* Takes that back: all requests of whole->join become `whole`, which they were. */
void collect_plan_rejoin(struct collect_plan *plan, const struct collect_profile *p,
                         const struct collect_request *whole);
/* The bytes of a value when an item was read, `data` being its own; NULL: there are more to come.
 */
const uint8_t *collect_plan_gather(struct collect_planned *v, const struct collect_item *item,
                                   const uint8_t *data);
/* Whether the device is never to be asked this. */
bool collect_plan_forbids(const struct collect_profile *p, const struct collect_request *r);
/* Registers or bits of a point. */
unsigned collect_point_width(const struct collect_point *p);
/* Line time of one poll. */
int64_t collect_plan_ns(const struct collect_plan *plan, const struct collect_line *line);

#endif
