/* Private to the connectivity room: how fast the line is, measured on purpose and by the way. */
#ifndef GATEWAY_CONNECTIVITY_THROUGHPUT_INT_H
#define GATEWAY_CONNECTIVITY_THROUGHPUT_INT_H

#include <pthread.h>

#include "gateway/connectivity/connectivity_int.h"
#include "gateway/http/http.h"

/* ---- configuration (throughput_config.c) --------------------------------------------------- */

struct connectivity_throughput_cfg {
    char *id, *name, *place;
    char *down, *up, *ca, *interface; /* may be NULL; without down and up nothing is transferred */
    int64_t every_ms, own_every_ms, ramp_ms, duration_ms, connections;
    int64_t size_bytes, budget_bytes; /* of a direction; of a month, 0: none */
};
extern const struct cfg_table connectivity_throughput_table;
enum connectivity_direction { CONNECTIVITY_DOWN, CONNECTIVITY_UP, CONNECTIVITY_DIRECTIONS };

/* ---- what a result says (throughput_judge.c, pure) ----------------------------------------- */

/* What the series `download_result` and `upload_result` say; numbers are in signed batches and
 * never change. The first three have a rate. */
enum connectivity_speed {
    CONNECTIVITY_SPEED_MEASURED = 1, /* what the way to that server gave */
    CONNECTIVITY_SPEED_LINK = 2,     /* the box's own link was full: the line may be faster */
    CONNECTIVITY_SPEED_CPU = 3,      /* the processor was the limit: nothing is said of the line */
    CONNECTIVITY_SPEED_BUSY = 10,
    CONNECTIVITY_SPEED_BUDGET = 11,
    CONNECTIVITY_SPEED_CONNECT = 20,
    CONNECTIVITY_SPEED_STRANGER = 21,
    CONNECTIVITY_SPEED_INTERFACE = 22,
    CONNECTIVITY_SPEED_REDIRECT = 23,
    CONNECTIVITY_SPEED_PAGE = 24,
    CONNECTIVITY_SPEED_STATUS = 25,
    CONNECTIVITY_SPEED_CUT = 26,
    CONNECTIVITY_SPEED_SMALL = 27,
    CONNECTIVITY_SPEED_SILENT = 28,
    CONNECTIVITY_SPEED_SHORT = 29,
    CONNECTIVITY_SPEED_BROKEN = 30
};
struct connectivity_speed_kind {
    enum connectivity_speed code;
    enum http_transfer_fault fault; /* that it stands for; GOOD: none */
    bool paused;                    /* it was not the time to measure: nobody's fault */
    const char *word;               /* "link capability" */
    const char *text;               /* what is wrong and what to do; "" */
};
const struct connectivity_speed_kind *connectivity_speed_kind(enum connectivity_speed code);
enum connectivity_speed connectivity_speed_of(enum http_transfer_fault fault);

/* What the machine did up to a moment: /proc/stat, /proc/thread-self/schedstat. */
#define CONNECTIVITY_CPUS 64
struct connectivity_load {
    int64_t at_us, thread_us; /* the asking thread: on a processor, or waiting for one */
    int64_t busy, all;        /* of all processors, in ticks */
    int64_t soft[CONNECTIVITY_CPUS], each[CONNECTIVITY_CPUS]; /* of each: in soft interrupts; all */
    size_t ncpus;
};
/* text: of /proc/stat; false when it is not. */
bool connectivity_load_parse(struct connectivity_load *l, const char *text);
void connectivity_load_now(struct connectivity_load *l); /* all 0 where it cannot be read */
/* Between the two, tenths of a percent: of all processors; and the busiest of this thread (waiting
 * counts) and of each processor's soft interrupts, which move the packets: that one is a limit of
 * its own however idle the rest is. */
int64_t connectivity_load_permille(const struct connectivity_load *a,
                                   const struct connectivity_load *b);
int64_t connectivity_load_limit_permille(const struct connectivity_load *a,
                                         const struct connectivity_load *b);

#define CONNECTIVITY_CPU_LIMIT 900 /* tenths of a percent, from which on it is the limit */
/* What a rate says that was measured over a link of so many Mbit/s (0: not known). Of Ethernet's
 * rate 1448 of 1538 bytes a frame are payload of TCP (94.1 %: 1 GbE carries 0.94 Gbit/s); from 95 %
 * of that on the link itself was full. */
enum connectivity_speed connectivity_speed_judge(int64_t kbit, int64_t link_mbit,
                                                 int64_t limit_permille);

/* ---- a device (throughput.c) ---------------------------------------------------------------- */

enum connectivity_speed_point {
    CONNECTIVITY_SPEED_RATE, /* three for each direction */
    CONNECTIVITY_SPEED_RESULT,
    CONNECTIVITY_SPEED_LOAD,
    CONNECTIVITY_SPEED_POINTS
};
struct connectivity_throughput {
    const struct connectivity_throughput_cfg *cfg;
    uint32_t device, own, link; /* series: of our own uploads; of the link's rate */
    uint32_t series[CONNECTIVITY_DIRECTIONS][CONNECTIVITY_SPEED_POINTS];
    int64_t next_ms, own_next_ms;
    bool loaded; /* the budget, from the store */
    struct store_budget budget;
    struct connectivity_health health;
    pthread_mutex_t lock;
    int64_t own_bytes, own_us; /* since the last tick; under lock, as what follows */
    int64_t run_bytes, run_us; /* of uploads that follow one another, and say nothing yet */
    struct mono run_end;
};
/* One direction's outcome. */
struct connectivity_speed_result {
    enum connectivity_speed code;
    int64_t kbit, bytes, us, load_permille, cost_bytes;
    unsigned connections;
    char text[200]; /* what the kind's text says, and more */
};
/* Uploads below it end before a line has shown what it can: their time is that of a few turns
 * between here and there. Several do that follow one another with no longer pause, each more than
 * the first packets of a connection (10 of 1448 bytes, RFC 6928), which take one turn. */
#define CONNECTIVITY_OWN_LEAST_BYTES 65536
#define CONNECTIVITY_OWN_PART_BYTES 16384
#define CONNECTIVITY_OWN_PAUSE_MS 500
/* What one direction takes at most: bytes, heads of packets, handshakes, and about what is still on
 * its way at the end. */
int64_t connectivity_speed_cost(const struct connectivity_throughput_cfg *cfg);
const char *connectivity_speed_url(const struct connectivity_throughput_cfg *cfg,
                                   enum connectivity_direction d);
/* Name of its budget in the store. */
#define CONNECTIVITY_BUDGET_BYTES 80
void connectivity_budget_name(const char *id, char out[CONNECTIVITY_BUDGET_BYTES]);

void connectivity_throughput_check(struct cfg *c, const struct connectivity_cfg *cfg);
/* The room's devices, made and freed. */
enum st connectivity_throughput_open(struct connectivity *k, const struct cfg_items *cfg,
                                     struct err *e) ST_MUST_CHECK;
void connectivity_throughput_close(struct connectivity *k);
enum st connectivity_throughput_declare(struct connectivity_throughput *t, struct store *s,
                                        struct err *e) ST_MUST_CHECK;

/* ---- measure now (throughput_ask.c) --------------------------------------------------------- */

/* Whether somebody has asked for this device; asked once is done once. */
bool connectivity_asked_take(const char *store_path, const char *id);
/* Leaves the answer where whoever asked looks for it. */
void connectivity_asked_answer(const char *store_path, const char *id, const char *json);

#endif
