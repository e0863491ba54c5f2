/* Collect: Modbus buses (RTU and TCP, through libmodbus), devices, the read plan and the decode
 * table. One thread per bus; every poll goes to store_put as one block. */
#ifndef GATEWAY_COLLECT_COLLECT_H
#define GATEWAY_COLLECT_COLLECT_H

#include "gateway/base/buf.h"
#include "gateway/base/cfg.h"
#include "gateway/base/clk.h"
#include "gateway/base/thr.h"
#include "gateway/store/store.h"

/* The configuration sections `buses` and `devices`. */
struct collect_cfg {
    struct cfg_items buses, devices;
    const char *nodes; /* the folder of what our nodes said of themselves; NULL: there is none */
};
extern const struct cfg_table collect_bus_table, collect_device_table; /* of one map entry */

struct collect;
/* Loads profiles (`profile_dir`: the installed set; a device may also name a file, relative to
 * the configuration file), checks units, buses, points and quantities; every mistake goes to `c`
 * with its line. Returns ST_BAD when there was one. */
enum st collect_open(struct collect **out, const struct collect_cfg *cfg, struct cfg *c,
                     const char *profile_dir, struct err *e) ST_MUST_CHECK;
/* What a profile says of itself, for people. Valid while it is told. */
struct collect_about {
    const char *name, *model;  /* name: as a device's `profile:` gives it */
    const char *what, *source; /* NULL: its file does not say */
    bool verified; /* its map was confirmed: by the maker's own document or by a second source */
    const struct quantity *const *quantities; /* what it measures, each once */
    size_t n;
};
typedef enum st collect_tell(const struct collect_about *about, void *arg);
/* Tells of the named profiles (installed ones, or paths), or of all that are installed in dir when
 * n is 0, in that order, until tell returns other than ST_OK. The mistakes of a file that does not
 * load go to `why` (the caller's, initialised), and the others are told all the same: ST_BAD at the
 * end. A name that is none: ST_NOT_FOUND, with the nearest in `why`. */
enum st collect_profiles_tell(const char *dir, char *const *names, size_t n, collect_tell *tell,
                              void *arg, struct buf *why) ST_MUST_CHECK;
/* Tells of the profiles that the configuration uses, in the order of their devices. */
enum st collect_used_tell(const struct collect *k, collect_tell *tell, void *arg) ST_MUST_CHECK;

/* Declares devices and series. */
enum st collect_declare(struct collect *k, struct store *s, struct err *e) ST_MUST_CHECK;
void collect_close(struct collect *k);

/* The i-th file that profiles were read from, those that they extend too: its path (borrowed), NULL
 * behind the last. One may come more than once. bytes: as they were read, the caller's to free, the
 * first time that they are asked for. */
const char *collect_profile_take(struct collect *k, size_t i, struct buf *bytes);
/* The serial device of bus i (borrowed, as its id is); NULL: it has none. */
const char *collect_bus_serial(const struct collect *k, size_t i, const char **bus);

/* Threads: main starts collect_bus_main once for each i < collect_bus_count. */
size_t collect_bus_count(const struct collect *k);
struct collect_bus_job {
    struct collect *collect;
    size_t bus;
    struct store *store;
    const struct clk *clk;
    struct thr_stop *stop;
    /* Wants the line to start over with the configuration as it is then: a node has said what it
     * measures. Any thread; NULL: it waits for the next start. */
    void (*reload)(void *ctx);
    void *reload_ctx;
};
void collect_bus_main(void *collect_bus_job);

/* A SenML pack that was posted to this gateway: the devices of buses of type http take what is
 * theirs, and it is durable when this returns ST_OK. *taken: readings that are new. ST_BAD: it is
 * no pack; ST_NOT_FOUND: it names no point of any of them; else the store cannot take it now, and
 * the sender may send it again. Any thread. */
enum st collect_post(struct collect *k, const void *p, size_t n, size_t *taken,
                     struct err *e) ST_MUST_CHECK;
#define COLLECT_POST_MAX (256 * 1024) /* bytes */

/* What is asked on each bus, as planned, and what it takes of the line: for `fieldpost check
 * --plan`. Reckoned, not measured: no device is asked. Strings live as long as the room. Any
 * thread, while no bus runs. */
struct collect_show_bus {
    const char *id;
    char line[32]; /* "modbus-rtu 9600 8N1", "modbus-tcp" */
    size_t devices;
    int64_t byte_ns; /* of one byte on the line; 0: nothing is asked there */
    double load;     /* part of the time in which the line is busy; over 1: it cannot be */
};
struct collect_show_device {
    const char *id, *model;
    int64_t unit, every_ms;
    size_t requests, points;
    int64_t line_ns;    /* of a poll, silences, turn-around and pauses in it */
    int64_t singles_ns; /* what it would be with one request for each point */
    bool unmet;         /* one of our nodes, which has not said yet what it measures */
    bool assumed; /* SunSpec: where its points are is not known until it was asked; reckoned as if
                     its models lay one behind the other at 40000 */
};
struct collect_show_request {
    unsigned function, address, count; /* registers or bits */
    size_t points;
    int64_t line_ns;
};
void collect_show_bus(const struct collect *k, size_t bus, struct collect_show_bus *out);
void collect_show_device(const struct collect *k, size_t bus, size_t device,
                         struct collect_show_device *out);
void collect_show_request(const struct collect *k, size_t bus, size_t device, size_t request,
                          struct collect_show_request *out);
const char *collect_show_point(const struct collect *k, size_t bus, size_t device, size_t request,
                               size_t point);
/* Warning i of a bus, 0 to its devices: a period that cannot be met, and what to do. false: there
 * is none of this number. */
bool collect_show_warning(const struct collect *k, size_t bus, size_t i, char *text, size_t n);

/* ---- what stands behind a value (why.c) ------------------------------------------------------ */

/* The registers that the last value of a point was read from. Strings live as long as the room. */
struct collect_behind {
    unsigned function, address;
    const char *type, *order;
    bool scaled; /* false: the device says its scale by itself (SunSpec) */
    struct num scale, offset;
    unsigned bytes; /* as on the wire; of a bit 2, which are 0 and the bit */
    uint8_t raw[8];
};
/* false: nothing was read that way since the start. Any thread. */
bool collect_behind_of(const struct collect *k, const char *device, const char *point,
                       struct collect_behind *out);
/* What the profile of a device says of itself; no quantities. false: no such device. Any thread. */
bool collect_about_of(const struct collect *k, const char *device, struct collect_about *out);
/* Ends the back-off of a unit that does not answer, and waits for nothing: its bus does it between
 * two polls. ST_NOT_FOUND; ST_FULL: ask again in a moment. Any thread, while the buses run. */
enum st collect_nudge(struct collect *k, const char *bus, int unit, const struct clk *clk,
                      struct err *e) ST_MUST_CHECK;
/* How long the slowest thread of a bus has not come round; ms. 0: none runs. Any thread. */
int64_t collect_stands_ms(struct collect *k, const struct clk *clk);

/* Names in a loaded configuration: bus i, NULL behind the last, "" for one on which nothing is
 * asked; a device's bus and unit, NULL when there is none of this id. */
const char *collect_cfg_bus(const struct collect_cfg *cfg, size_t i);
const char *collect_cfg_device(const struct collect_cfg *cfg, const char *id, int *unit);

/* ---- what a person asks of a bus ------------------------------------------------------------ */

enum collect_op {
    COLLECT_READ,  /* one Modbus read */
    COLLECT_PROBE, /* ends the back-off of who does not answer */
    COLLECT_PAUSE, /* a maintenance pause: the bus's devices are not polled meanwhile */
    COLLECT_SETUP  /* such a pause in which a device is set up; by collect_ctl_setup alone */
};
/* The settings of a serial line. */
struct collect_serial {
    int64_t baud; /* 0: as the configuration has them */
    int parity;   /* 'N' 'E' 'O' */
    int64_t stop_bits;
};
#define COLLECT_ID_BYTES 80
#define COLLECT_DATA_BYTES 250
#define COLLECT_PAUSE_MAX_MS (60 * 60 * 1000)
#define COLLECT_PROFILE_BYTES 160
#define COLLECT_BY_BYTES 65
struct collect_ask {
    enum collect_op op;
    char bus[COLLECT_ID_BYTES];
    int unit;                          /* 0 to 255; of a probe -1: all units of the bus */
    unsigned function, address, count; /* of a read: 1 to 4, from 0, registers or bits */
    int64_t timeout_ms;                /* of a read: the longest wait for its answer, at most the
                                        * bus's while that is at work, and 0: the bus's; of a pause:
                                        * how long it may be */
    bool trial;                        /* of a read: that somebody answers is all that matters, so
                                        * a late answer to an earlier one may be taken for it; not
                                        * for the units of devices */
    struct collect_serial line;        /* of a read: only in a pause, or where no gateway runs */
    /* of a setup, as in struct collect_setup_ask, and who does it */
    char profile[COLLECT_PROFILE_BYTES], by[COLLECT_BY_BYTES];
    int to_unit, to_parity;
    int64_t to_baud;
};
/* What one request on the line brought. */
enum collect_fault {
    COLLECT_GOOD,
    COLLECT_EXCEPTION, /* a well-formed refusal */
    COLLECT_SILENT,    /* no answer in time */
    COLLECT_GARBAGE,   /* an answer that is cut off, damaged, or not the one to our request */
    COLLECT_FOREIGN,   /* another unit's answer */
    COLLECT_LOST,      /* the line or the connection broke, or cannot be opened */
    COLLECT_STOPPED,
    COLLECT_FAULTS
};
struct collect_reply {
    enum st
        st; /* ST_OK: it was done, and the rest says with what result; else `text` says why not */
    enum collect_fault fault; /* of a read */
    int exception;            /* its code, 0: none */
    bool late;                /* there was an answer, but not in time */
    bool waited;              /* of a probe: somebody was waited for */
    int64_t took_ms;          /* from the request to the end of the answer */
    char text[256];           /* in words; "" when all is good */
    size_t bytes;
    uint8_t data[COLLECT_DATA_BYTES]; /* of a good read: as on the wire */
};

/* The settings of a serial bus as configured; false: it is none. */
bool collect_cfg_serial(const struct collect_cfg *cfg, const char *bus,
                        struct collect_serial *line);
/* The longest that a request waits for its turn on a bus at work whose devices answer: its time of
 * waiting, one poll, and one time-out. *timeout_ms: the bus's. */
int64_t collect_turn_ms(const struct collect *k, const char *bus, int64_t *timeout_ms);
/* Does what is asked at once, on a bus whose thread does not run: without a gateway. The line is
 * locked against a gateway, and other tools, as long as it is open. ST_OK when there is a reply. */
enum st collect_ask_now(struct collect *k, const struct clk *clk, struct thr_stop *stop,
                        const struct collect_ask *q, struct collect_reply *r,
                        struct err *e) ST_MUST_CHECK;

/* The control socket of a gateway: STORE.control beside the store, of its owner alone. A client
 * sends one request, a line of JSON, and gets lines of JSON: a reply, and of a pause two, when it
 * begins and when it is over. It ends with the client's connection, or when its time is over. What
 * is asked is done by the bus's thread between its polls: a read where it fits before the next
 * poll, or after a second of waiting; no poll waits for more than one. A setup has a thread of its
 * own (decision 0038). */
struct collect_ctl;
/* Opens it; takes away what an earlier start left. The store must be this process's own. */
enum st collect_ctl_open(struct collect_ctl **out, struct collect *k, const char *store_path,
                         const struct clk *clk, struct thr_stop *stop, struct err *e) ST_MUST_CHECK;
void collect_ctl_main(void *collect_ctl);       /* the one thread that serves it */
void collect_ctl_setup_main(void *collect_ctl); /* the one that sets devices up */
/* Once its threads and those of all buses have ended. Takes NULL. */
void collect_ctl_close(struct collect_ctl *c);
/* Asks the gateway on this store. *held, when not NULL, is the connection, the caller's to close:
 * as long as it is open a pause goes on. ST_NOT_FOUND: no gateway runs there; ST_REFUSED: it is
 * another user's; ST_OK when there is a reply. */
enum st collect_ctl_call(const char *store_path, const struct collect_ask *q,
                         struct collect_reply *r, int *held, struct err *e) ST_MUST_CHECK;

/* ---- what is on a line ---------------------------------------------------------------------- */

#define COLLECT_SCAN_TIMEOUT_MS 200 /* of a trial, and the time that its bytes take */
struct collect_scan_how {
    const char *bus;
    const char *profile_dir;
    bool serial;                /* it has speed and parity */
    struct collect_serial line; /* as configured */
    bool tune;                  /* other speeds and parities are tried */
    bool all;                   /* goes on behind the first find */
    int64_t timeout_ms;         /* of a bus over TCP: its own */
    int64_t turn_ms;            /* that a request waits at most: collect_turn_ms; 0: not at all */
    int from, to;               /* units */
};
/* What a profile is worth for a unit that answered. */
struct collect_fit {
    char name[80], model[COLLECT_ID_BYTES];
    bool fits;        /* all that it reads is answered and within its limits */
    unsigned telling; /* values that say something: within limits and not 0; and identity */
    char why[240];    /* in words */
};
struct collect_found {
    int unit;
    struct collect_serial line; /* baud 0: a bus over TCP */
    int64_t took_ms;
    const struct collect_fit *fits; /* those that fit first, the most telling first */
    size_t n;
    bool node; /* one of ours: fits has what it said, alone */
};
/* How it goes. All are called on the caller's thread. */
struct collect_scan_calls {
    void *ctx;
    /* One request; ST_OK when there is a reply. */
    enum st (*ask)(void *ctx, const struct collect_ask *q, struct collect_reply *r, struct err *e);
    /* Before a trial. left_ms: what all that are left take at most, each to its time-out, beside
     * what is made of a find: it never grows. */
    void (*trial)(void *ctx, int unit, const struct collect_serial *line, int64_t left_ms);
    enum st (*found)(void *ctx, const struct collect_found *f);
};
struct collect_scan_sum {
    size_t trials, found;
    size_t damaged; /* answers that were damaged: somebody speaks, at another speed or twice */
    struct collect_serial at; /* of the first of these */
};
/* Looks for units: first where installed profiles say that their devices are as delivered (speed,
 * parity, unit, with a read that they have), on the configured line first; then for every unit on
 * every line, with a read of holding register 0. A unit is there when it answers, with an exception
 * too. Each found one is then read as each installed profile would: its identity, then its values.
 * ST_OK also when nothing is found; profiles with mistakes are left out. */
enum st collect_scan(const struct collect_scan_how *how, const struct collect_scan_calls *calls,
                     struct collect_scan_sum *sum, struct err *e) ST_MUST_CHECK;

/* ---- what registers may mean ---------------------------------------------------------------- */

/* One way to read what lies at register `at`: in `regs` registers, as this type and order. */
struct collect_view {
    unsigned at, regs;
    const char *type, *order; /* words of a profile */
    struct num v;             /* NUM_NONE: it is no such number */
    bool plausible;
};
/* All ways to read n registers (bytes as on the wire) as a number: by register, then type, then
 * order, of those that differ.
 *
 * Plausible is, and none of it when all its bits are 0: an integer of 16 bits that is not one of
 * the usual marks of no value (7fff, 8000, ffff), as unsigned up to 32767, as signed from -10000 to
 * -1; of 32 bits up to 10^8, as signed from -10^8 to -1; of 64 bits up to 10^12, as signed from
 * -10^12 to -1; a float from 0.001 to 10^7 in magnitude; BCD of decimal digits alone. */
void collect_views(const uint8_t *data, unsigned n,
                   void (*each)(void *ctx, const struct collect_view *v), void *ctx);
/* Registers as text, COLLECT_DATA_BYTES + 1 bytes; swapped: the low byte of each comes first.
 * Returns whether all of it can be read: printable, up to its padding, and four characters at
 * least. */
bool collect_view_text(const uint8_t *data, unsigned n, bool swapped, char *text);

/* ---- commissioning (setup.c) ---------------------------------------------------------------- */

/* Gives the one device that answers as `unit` another number, speed and parity, as its profile's
 * `setup` says. Nothing else in the program writes to a device. */
struct collect_setup_ask {
    const char *bus, *profile; /* of the configuration; a name, or a file */
    int unit, to_unit;         /* to_unit 0: only its start command is sent */
    int64_t to_baud;           /* 0: as it is */
    int to_parity;             /* 'N' 'E' 'O'; 0: as it is */
    bool write;                /* false: only says what would be written, and opens no line */
};
struct collect_setup_talk {
    void (*say)(void *ctx, const char *line);
    bool (*ask)(void *ctx, const char *what); /* waits until it is done; false: nobody does it */
    bool (*there)(void *ctx); /* false: whoever wants it has gone, and nothing is begun */
    void *ctx;
};
struct collect_setup_done {
    bool written;   /* something was, also when it failed behind that */
    bool others;    /* somebody still answers where it was */
    bool recorded;  /* what was written waits for the chain, under the name of who did it */
    char text[400]; /* what was done, for the record */
};
/* In order: nobody answers where it is to be (ST_CONFLICT); exactly one device of this model
 * answers as `unit`, with the bus's settings or those as delivered (ST_NOT_FOUND: none;
 * ST_CONFLICT: two, or another model); unlock, parity, speed, unit and save are written, each of
 * the middle three read back; it is switched off and on where that is needed; all of it is read
 * back at its new place; its start command. ST_BAD: what is asked, or the profile, of which `why`
 * has the mistakes. `cfg` is a loaded configuration, `beside` its file. The line is to be nobody's:
 * ST_BUSY. A stop (of the caller) ends it at the next request, and what was written by then is in
 * `done`. It records nothing: see collect_setup_record. */
enum st collect_setup_run(const struct collect_cfg *cfg, const char *beside,
                          const char *profile_dir, const struct collect_setup_ask *ask,
                          const struct collect_setup_talk *talk, struct thr_stop *stop,
                          struct collect_setup_done *done, struct buf *why,
                          struct err *e) ST_MUST_CHECK;
/* Whether what is written could be told to the chain, under this name: asked before. ST_BAD: the
 * name; else why not. */
enum st collect_setup_can_record(const char *store_path, const char *who,
                                 struct err *e) ST_MUST_CHECK;
/* Leaves for the chain that `who` did `what`: a `setup` entry, once. utc_ms: now. */
enum st collect_setup_record(const char *store_path, const char *what, const char *who,
                             int64_t utc_ms, struct err *e) ST_MUST_CHECK;
/* The same by the gateway that runs on this store, which records it, too: it pauses the bus, and
 * goes on to the end when the caller dies behind the first write; nothing is written before it
 * knows that the caller is there. q: op, bus, unit, and what is of a setup. ST_NOT_FOUND with
 * done->text "": no gateway is reached; the rest as above. */
enum st collect_ctl_setup(const char *store_path, const struct collect_ask *q,
                          const struct collect_setup_talk *talk, struct collect_setup_done *done,
                          struct err *e) ST_MUST_CHECK;

#endif
