/* Private to collect: profiles, decoders, the read plan, the port, and one device's poll. */
#ifndef GATEWAY_COLLECT_COLLECT_INT_H
#define GATEWAY_COLLECT_COLLECT_INT_H

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
struct collect_point {
    char *name, *quantity_key; /* quantity_key NULL: a string, or identity */
    int identity;
    int64_t function, address, count;
    int type, order;
    struct num scale, offset, valid[2];
    int64_t stuck_ms;              /* 0: as the quantity says */
    struct num max_rate, rollover; /* of a counter; NUM_NONE: the file does not say */
    struct cfg_ints no_value;
    const struct quantity *quantity;
    struct collect_decoder decoder;
};

/* Addresses, first and last, that are never read, not even within a longer request. */
struct collect_forbidden {
    int64_t function, from, to;
};

struct collect_source; /* push_int.h, like what else belongs to messages */
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
    unsigned most[5];      /* registers or bits of one request, by function */
    int64_t pause_ms;      /* between requests */
    int64_t turnaround_ms; /* from the end of a request to the beginning of its answer */
    bool even_addresses;   /* start and count of a request are even */
    bool joined;           /* false: the device refuses a request of more than one point */
    bool split;            /* a point may be read in several requests */
    struct collect_forbidden *forbidden;
    size_t nforbidden;
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
    uint16_t value;      /* of the plan */
    uint16_t at;         /* register, or bit, within its request */
    uint8_t skip, width; /* registers of the point before this piece, and of it */
};
/* A value of the poll, in this order: by function and address. */
struct collect_planned {
    uint16_t point;     /* of the profile */
    uint8_t got, width; /* `split`: registers that this poll has brought, of how many */
    uint8_t raw[8];     /* `split`: these registers */
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
    size_t nvalues, nitems, nrequests;
    struct collect_request probe; /* the shortest sign of life: the first point */
};
/* The requests that bring the wanted points (one flag per point of the profile) in the least time
 * of the line, within the device's limits; holes are read where that is quicker. Exact: a dynamic
 * programme over the points by address. A cheapest set of requests exists in which each request has
 * neighbours in that order, for a request that reads a point's registers anyway reads them for
 * nothing. Of equals the fewest requests, the longest first. Strings are left out. ST_MEMORY. */
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

/* ---- configuration ------------------------------------------------------------------------- */

enum collect_bus_type {
    COLLECT_RTU = 1,
    COLLECT_TCP,
    COLLECT_MQTT,
    COLLECT_HTTP
};                                           /* 0: the file does not say */
static inline bool collect_is_sent(int type) /* what comes is sent, nothing is asked */
{
    return type == COLLECT_MQTT || type == COLLECT_HTTP;
}
struct collect_bus_cfg {
    char *id;
    int type;
    char *port, *host; /* port: a serial device, or a TCP port as text */
    int64_t baud, stop_bits, data_bits, timeout_ms;
    int parity;                               /* 'N' 'E' 'O' */
    int rs485;                                /* enum collect_rs485 */
    char *ca, *user, *password_file, *client; /* of a broker */
    bool plain;                               /* a broker without TLS beyond this machine */
};
/* Who turns the line's driver on while we send. */
enum collect_rs485 {
    COLLECT_RS485_OFF,     /* the adapter by itself */
    COLLECT_RS485_KERNEL,  /* the serial driver (TIOCSRS485) */
    COLLECT_RS485_RTS_UP,  /* we, by RTS: high while sending */
    COLLECT_RS485_RTS_DOWN /* low while sending */
};
struct collect_device_cfg {
    char *id;
    char *bus, *profile, *name, *place, *role, *serial;
    int64_t unit, every_ms, turnaround_ms, cable_order;
    int stream;
    bool legal;
    int format; /* enum collect_format; 0: the device is asked */
    char *topic, *dev_eui, *base;
    struct cfg_strings points;
    struct {
        double lat, lon;
    } location;
};

/* ---- the port: one serial line or TCP connection ------------------------------------------- */

enum collect_fault {
    COLLECT_GOOD,
    COLLECT_EXCEPTION, /* a well-formed refusal */
    COLLECT_SILENT,    /* no answer in time */
    COLLECT_GARBAGE,   /* an answer that is cut off, damaged, or not the one to our request */
    COLLECT_FOREIGN,   /* another unit's answer */
    COLLECT_LOST,      /* the line or the connection broke, or cannot be opened */
    COLLECT_STOPPED
};
struct collect_answer {
    const uint8_t *data; /* registers or bits as on the wire; valid until the next request */
    uint8_t exception;
    bool echo;       /* the line gave our own request back before it */
    bool more;       /* bytes followed that nobody asked for */
    bool late;       /* RTU: no answer in time, but it came while the line was listened to */
    int64_t took_ms; /* from the request to the end of the answer, late or not */
};

/* One request to one unit. */
struct collect_call {
    uint8_t unit;
    struct collect_request request;
    int64_t pause_ms;   /* what the device wants between two requests */
    int64_t timeout_ms; /* until its answer begins */
    int64_t listen_ms;  /* RTU: after a silence, how long a late answer is waited for */
};

struct collect_port;
enum st collect_port_make(struct collect_port **out, const struct collect_bus_cfg *cfg,
                          struct err *e) ST_MUST_CHECK;
void collect_port_free(struct collect_port *p);
/* Opens it unless it is open; a TCP connection that the other side has closed meanwhile is opened
 * anew. COLLECT_LOST: `e` says why; asked again too soon it answers so without trying. */
enum collect_fault collect_port_ready(struct collect_port *p, const struct clk *clk,
                                      struct thr_stop *stop, struct err *e);
void collect_port_hurry(struct collect_port *p); /* a closed one may be tried at once */
/* One request and its answer on a ready port. After every fault but COLLECT_EXCEPTION the line is
 * quiet again, or the connection closed. On TCP a late answer then meets no later request; on a
 * serial line one may that comes later than listen_ms: unit.c tells it. */
enum collect_fault collect_port_ask(struct collect_port *p, const struct collect_call *call,
                                    const struct clk *clk, struct thr_stop *stop,
                                    struct collect_answer *out);
/* RTU: listens for ms and until the line is quiet; true when it heard nothing. */
bool collect_port_listen(struct collect_port *p, int64_t ms, struct thr_stop *stop);
/* RTU: whether bytes came that no request explains; asking forgets it. */
bool collect_port_stray(struct collect_port *p);

/* Whether the n bytes at adu answer request r to `unit`. transaction < 0: RTU, with its CRC already
 * checked. Pure. */
enum collect_fault collect_answer_check(const uint8_t *adu, size_t n, int transaction, uint8_t unit,
                                        const struct collect_request *r,
                                        struct collect_answer *out);
/* Puts the CRC behind n bytes of a serial frame; returns its length. Pure. */
size_t collect_answer_seal(uint8_t *adu, size_t n);
/* What was heard since a request. */
struct collect_heard {
    bool tcp;
    const uint8_t *p, *sent; /* sent: the request as it went out */
    size_t n, nsent, room;   /* room: n never grows beyond it */
};
/* Looks for the answer in what was heard so far. On a serial line noise, an echo of the request and
 * other frames may stand before it: it is found behind them, by its unit, function, length and CRC,
 * but never inside another whole frame. *over: waiting for more changes nothing. Else what it would
 * be if no more came. Pure. */
enum collect_fault collect_answer_find(const struct collect_heard *h, uint8_t unit,
                                       const struct collect_request *r, struct collect_answer *out,
                                       bool *over);

/* Of a good answer over TCP. And how many of these are to be read when its first n are there. Pure.
 */
size_t collect_answer_bytes(const struct collect_request *r);
size_t collect_answer_whole(const uint8_t *adu, size_t n, size_t whole);

/* Connects to host and port within timeout_ms; -1 with the reason in e, or when stop is set. */
int collect_tcp_connect(const char *host, const char *port, int64_t timeout_ms,
                        struct thr_stop *stop, struct err *e);

/* ---- joins that a device refuses ------------------------------------------------------------ */

/* A planned request that the device refuses (exception 2 or 3), or never answers, although it
 * answers others, is read in parts: cut at its largest hole, or in the middle, until parts are
 * answered. That the joining is to blame, and not a bad moment, is proven by asking for the whole
 * again, behind polls that the parts answered: refused twice more (silence: five times), the parts
 * stay, and one event tells it; answered, the whole is back and the next trial waits for 10 min,
 * then twice as long, up to a day. Trials in which no part is answered end alike. Kept in memory;
 * asked again once a day, and when the device was away. Bus thread alone. */
enum collect_join_state {
    COLLECT_WHOLE,
    COLLECT_TRIED, /* in parts, to be proven */
    COLLECT_REFUSED
};
struct collect_join {
    struct collect_request whole;
    enum collect_join_state state;
    unsigned proofs, fruitless;
    bool answered, failed; /* in this poll: parts */
    bool restless;         /* in this poll: a part that can be cut failed */
    bool told;
    struct mono again_at; /* in parts: the whole is asked again; else: it is not tried before */
    int64_t hold_ms;      /* of the last trial that proved nothing */
};
struct collect_split {
    struct collect_join *joins; /* one for each request, as planned */
    size_t n;
    unsigned refusals; /* of this poll that were tried in parts */
};

struct collect_device;
enum st collect_split_open(struct collect_split *s, const struct collect_plan *plan,
                           struct err *e) ST_MUST_CHECK;
void collect_split_done(struct collect_split *s);
/* A poll begins. `back`: the device was away, and may be another one. */
void collect_split_begin(struct collect_device *d, bool back, struct mono now);
void collect_split_answered(struct collect_device *d, size_t i); /* request i */
/* Request i failed. alive: the device answered something in this poll. true: request i is the first
 * of two parts now, to be asked at once. */
bool collect_split_failed(struct collect_device *d, size_t i, enum collect_fault f,
                          uint8_t exception, bool alive, struct mono now);
/* Whether the poll showed that a join may be refused: the next one is worth its time. */
bool collect_split_tries(const struct collect_device *d);
/* The poll is over: a whole that is to be asked again now, and what came of it; NULL: none. */
struct collect_join *collect_split_due(struct collect_device *d, struct mono now);
void collect_split_proven(struct collect_device *d, struct collect_join *j, enum collect_fault f,
                          uint8_t exception, struct mono now);
/* What is new of it and certain, as text for an event with this code; NULL: nothing. */
const char *collect_split_news(struct collect_device *d, char *text, size_t n);

/* ---- units ---------------------------------------------------------------------------------- */

#define COLLECT_SICK_FAILURES 2 /* so many in a row make a unit sick: it is probed, not polled */
/* The number of a unit is the device's whole address: devices of the configuration that share it
 * share this. Bus thread alone. */
struct collect_unit {
    uint8_t number;
    bool owes;                 /* RTU: an answer to an earlier request may still come */
    bool answered;             /* ever */
    bool alive;                /* it answered a probe; no device polled it since */
    bool plain;                /* the fence was not answered: the next trial does without */
    unsigned mute;             /* fences without an answer, where another request had one */
    unsigned failures, probes; /* in a row */
    int64_t answer_ms;         /* the slowest of late */
    int64_t late_ms;           /* how late its last answer was, 0: in time */
    int64_t back_off_ms;
    struct mono probe_at;
};
static inline bool collect_unit_sick(const struct collect_unit *u)
{
    return u->failures >= COLLECT_SICK_FAILURES;
}

struct collect_bus;
struct collect_device;
/* One request of the device and its answer; before it whatever the unit owes is settled.
 * COLLECT_LOST: `why` says why. */
enum collect_fault collect_unit_ask(const struct collect_bus_job *job, struct collect_bus *b,
                                    struct collect_device *d, const struct collect_request *q,
                                    struct collect_answer *a, struct err *why);
/* Asks a sick unit for a short sign of life, which may also be an exception. */
enum collect_fault collect_unit_probe(const struct collect_bus_job *job, struct collect_bus *b,
                                      struct collect_device *d, struct collect_answer *a,
                                      struct err *why);
/* How long a probe waits: what the unit took so far and some, twice as long with each in vain, at
 * most the bus's time-out. */
int64_t collect_unit_probe_ms(const struct collect_bus *b, const struct collect_unit *u);
/* A poll or probe failed that kept the line for took_ms; sets the next probe: such that all sick
 * units of the bus together take a twentieth of its time, then twice as late, up to 60 s. Where no
 * unit answers nobody waits: from the device's period up to 10 s. */
void collect_unit_failed(struct collect_bus *b, struct collect_unit *u, int64_t period_ms,
                         int64_t took_ms, struct mono now);
void collect_unit_good(struct collect_unit *u);
void collect_unit_hurry(struct collect_unit *u, struct mono now); /* its next probe is due now */
/* The sick unit whose probe is due and fits into slack_ms, in which nobody else wants the line; one
 * that found no such time for as long as it was to wait takes it. NULL: none. */
struct collect_unit *collect_unit_due(const struct collect_bus *b, struct mono now,
                                      int64_t slack_ms);
/* A read that the unit is likely to have, of a length that no request of its devices has. false:
 * there is none.
 */
bool collect_unit_fence(const struct collect_bus *b, const struct collect_device *d,
                        struct collect_request *out);

/* ---- who a device is (identity.c) ---------------------------------------------------------- */

/* By the serial number that a profile's point with `identity: serial` tells. It is read before the
 * readings when the device appears, after each poll that it did not answer, and each hour. Where it
 * is another than before and nobody said so, all readings are flagged (4) until a `maintain` entry,
 * or the configuration, names it; those of counters until a `meter` entry of the series does. */
struct collect_who {
    int point; /* of the profile; -1: it tells no serial number */
    bool due, stale, doubted, told, missed, mute_told;
    unsigned mute; /* requests that it did not answer, before the first one that it did */
    struct mono read_at, told_at;
    uint64_t works;                                       /* store_works, when it was last asked */
    char read[STORE_NOTE_BYTES], known[STORE_NOTE_BYTES]; /* written under a lock; "": none */
    bool *apart; /* per point of the profile: its readings are flagged */
};
struct collect_bus;
struct collect_bus_job;
struct collect_device;
enum st collect_who_open(struct collect_device *d, struct err *e) ST_MUST_CHECK;
void collect_who_done(struct collect_device *d);
/* Takes a note of before the restart: the serial number. */
void collect_who_load(const struct collect_bus_job *job, struct collect_device *d, size_t point,
                      const char *text);
/* Whether the serial number is to be read now, with which request; *at: its place therein. */
bool collect_who_due(const struct collect_device *d, struct mono now, struct collect_request *q,
                     uint16_t *at);
/* No answer to it; what became of the poll as a whole. */
void collect_who_missed(struct collect_device *d);
void collect_who_polled(const struct collect_bus_job *job, struct collect_device *d, bool alive);
/* What came; NULL: it was refused. */
void collect_who_heard(const struct collect_bus_job *job, struct collect_device *d,
                       const uint8_t *data);
/* Each poll: looks whether the question is answered meanwhile, and tells what is news. */
void collect_who_settle(const struct collect_bus_job *job, struct collect_device *d);
/* The question, for the device's health. */
void collect_who_text(const struct collect_bus_job *job, const struct collect_device *d, char *text,
                      size_t n);

/* ---- counters (counter.c) ------------------------------------------------------------------- */

/* A counter's readings that cannot be are flagged (1), so that they count for nothing. */
struct collect_counter {
    bool is, has, doubted, told;
    unsigned seen;        /* readings in a row that are doubted and go on from each other */
    double per_ms, step;  /* at most; 0: not known. step: of its integer */
    struct num rollover;  /* NUM_NONE: not known */
    struct num base, odd; /* the last believed and the last doubted one */
    int64_t base_ms, odd_ms, used_ms;
    struct mono base_at, odd_at, since, told_at, spike_at;
    uint64_t works;
};
enum st collect_counters_open(struct collect_device *d, struct err *e) ST_MUST_CHECK;
void collect_counters_done(struct collect_device *d);
/* Takes a note of before the restart: one that was in doubt. */
void collect_counter_load(const struct collect_bus_job *job, struct collect_device *d, size_t point,
                          const char *text);
/* Flags the values of one poll, and tells what is news. */
void collect_counters_judge(const struct collect_bus_job *job, struct collect_device *d,
                            struct store_value *v);

/* ---- sensors that are stuck (stuck.c) ------------------------------------------------------- */

/* What never rests and says the same for too long is flagged (2) until it changes. */
struct collect_rest {
    int64_t limit_ms; /* 0: it may rest */
    bool has, stuck;
    struct num v;
    struct mono since;
};
enum st collect_rests_open(struct collect_device *d, struct err *e) ST_MUST_CHECK;
void collect_rests_done(struct collect_device *d);
/* Takes a note of before the restart: one that was stuck. */
void collect_rest_load(const struct collect_bus_job *job, struct collect_device *d, size_t point,
                       const char *text);
void collect_rests_judge(const struct collect_bus_job *job, struct collect_device *d,
                         struct store_value *v);

/* ---- devices and buses --------------------------------------------------------------------- */

/* What has been told of a device or bus as an event, and how often it may be told. */
struct collect_teller {
    enum store_state told;
    uint32_t used; /* events of this minute */
    struct mono minute;
};

/* Whether the state is news that may be told now; then it counts as told. */
bool collect_is_news(struct collect_teller *t, enum store_state state, struct mono now);

struct collect_bus;
struct collect_device {
    const struct collect_device_cfg *cfg;
    struct collect_bus *bus;
    struct collect_unit *unit, own; /* unit: its own, or that of a device with the same number */
    const struct collect_profile *profile;
    bool *wanted; /* one flag per point of the profile */
    struct collect_line line;
    struct collect_plan plan;
    struct collect_split split;
    uint32_t store; /* its index there */
    /* the bus's thread alone */
    int64_t due_ms;     /* the next tick */
    struct mono due_at; /* the same on the other clock, as it was when the tick was set */
    bool away;          /* it was sick at its last tick */
    struct mono polled; /* its last poll began */
    int64_t read_ms;    /* the time that its last poll was given */
    struct store_health health;
    struct collect_teller teller;
    char identity[120];
    char *topic;                     /* of what is sent: the filter of its messages */
    struct collect_point_seen *seen; /* one per point of a mapping */
    struct collect_who who;
    struct collect_counter *counters; /* one per point of the profile, and so are these */
    struct collect_rest *rests;
};
/* The point of the profile that value i of a poll is of, and how many values there are. */
static inline uint16_t collect_device_point(const struct collect_device *d, size_t i)
{
    return d->plan.values[i].point;
}
static inline size_t collect_device_values(const struct collect_device *d)
{
    return d->plan.nvalues;
}

struct collect_bus {
    const struct collect_bus_cfg *cfg;
    struct collect_device **devices;
    size_t n;
    struct collect_unit **units; /* each is the own one of a device */
    size_t nunits;
    struct collect_unit *last;  /* asked last */
    struct collect_port *port;  /* NULL: what it brings is sent */
    struct collect_push *push;  /* NULL: it is asked */
    struct store_value *values; /* of one poll */
    struct collect_teller teller;
    bool full;                          /* the store refused the last poll */
    bool lost;                          /* the line is down */
    bool echo, echo_told;               /* what is sent comes back */
    struct mono asked_at;               /* it was looked whether somebody wants a probe now */
    const struct collect_device *cable; /* told: the cable is broken before it */
};

struct collect {
    const struct collect_cfg *cfg;
    struct collect_profile *profiles;
    struct collect_device *devices;
    struct collect_bus *buses;
    size_t nprofiles, ndevices, nbuses;
};

/* Polls one device for its tick, puts the poll and the health, and tells what changed. */
void collect_device_poll(const struct collect_bus_job *job, struct collect_bus *b,
                         struct collect_device *d);
/* Puts a poll without values for the tick: its turn never came, nor that of `more` ticks after it.
 */
void collect_device_overrun(const struct collect_bus_job *job, struct collect_bus *b,
                            struct collect_device *d, int64_t more);
/* Probes the sick unit that this device reads, and judges what came of it. */
void collect_device_probe(const struct collect_bus_job *job, struct collect_bus *b,
                          struct collect_device *d);
/* Ends the back-off of the units for which somebody asked that (collect_probe_ask). */
void collect_probe_take(const struct collect_bus_job *job, struct collect_bus *b);

/* At the start of the bus's thread: hands all notes of its devices to the three above. */
void collect_notes_load(const struct collect_bus_job *job, struct collect_bus *b);
/* After each poll: whether all devices from one `cable_order` on are silent, while one before
 * answers. Tells it, and sets their health. */
void collect_cable_judge(const struct collect_bus_job *job, struct collect_bus *b);

/* ---- ticks: multiples of the period in UTC. Pure. ------------------------------------------ */

/* Sets the first tick at or after utc_ms. */
void collect_tick_start(struct collect_device *d, int64_t utc_ms, struct mono now);
/* Sets the tick after this one. */
void collect_tick_next(struct collect_device *d, int64_t utc_ms, struct mono now);
/* Follows the clock: a tick that a step back put more than a period ahead is drawn near; of ticks
 * that went by unused the newest stands. true: they went by in real time, not by a step. */
bool collect_tick_align(struct collect_device *d, int64_t utc_ms, struct mono now);

#endif
