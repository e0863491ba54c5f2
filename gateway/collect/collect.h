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

/* Names in a loaded configuration: bus i, NULL behind the last; a device's bus and unit, NULL when
 * there is none of this id. */
const char *collect_cfg_bus(const struct collect_cfg *cfg, size_t i);
const char *collect_cfg_device(const struct collect_cfg *cfg, const char *id, int *unit);
/* Asks the gateway on this store to probe a bus, or one unit of it (-1: all), now: it ends the
 * back-off of who does not answer. The request is the file `name`, which goes away when the gateway
 * takes it (about a second); it takes none while all on that bus answer. Any process. */
enum st collect_probe_ask(const char *store_path, const char *bus, int unit, char *name, size_t n,
                          struct err *e) ST_MUST_CHECK;

#endif
