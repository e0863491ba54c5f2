/* Private to the connectivity room: its parts. One thread runs pings and links, and none of them
 * blocks; the modem, which does, has its own (modem_int.h). */
#ifndef GATEWAY_CONNECTIVITY_CONNECTIVITY_INT_H
#define GATEWAY_CONNECTIVITY_CONNECTIVITY_INT_H

#include <pthread.h>
#include <sys/socket.h>

#include "gateway/connectivity/connectivity.h"

/* ---- ICMP echo: RFC 792, RFC 4443 -------------------------------------------------------- */

#define CONNECTIVITY_ECHO_BYTES 40 /* header 8, nonce 8, filling 24 */

struct connectivity_socket {
    int fd; /* -1: closed */
    int family;
    bool raw;    /* the answer carries the IPv4 header, and others' answers come too */
    uint16_t id; /* of our requests */
};
/* A non-blocking datagram ICMP socket, or a raw one where that is not permitted. ST_REFUSED when
 * neither is: e says what to do. */
enum st connectivity_socket_open(struct connectivity_socket *s, int family,
                                 struct err *e) ST_MUST_CHECK;
void connectivity_socket_close(struct connectivity_socket *s);

struct connectivity_echo {
    uint16_t id, seq;
    uint64_t nonce;
};
void connectivity_echo_write(uint8_t out[CONNECTIVITY_ECHO_BYTES], int family,
                             const struct connectivity_echo *q);
/* Whether p is an echo reply of ours in shape; *out is what it answers. */
bool connectivity_echo_read(const uint8_t *p, size_t n, int family, bool raw,
                            struct connectivity_echo *out);

/* ---- names -------------------------------------------------------------------------------- */

struct connectivity_address {
    struct sockaddr_storage a;
    socklen_t n; /* 0: none */
};
/* Numeric hosts only. */
bool connectivity_address_parse(const char *host, struct connectivity_address *out);

/* A DNS lookup on a thread of its own: getaddrinfo() can be neither timed out nor aborted. The
 * thread is detached and shares the lookup with its asker; whoever is last frees it. */
struct connectivity_lookup;
struct connectivity_lookup *connectivity_lookup_start(const char *host); /* NULL: no memory */
/* ST_BUSY while it runs, ST_OK with *out, ST_NOT_FOUND. */
enum st connectivity_lookup_poll(struct connectivity_lookup *l, struct connectivity_address *out);
/* Of one that has found something: its time in us, and all addresses with commas, IPv6 in brackets,
 * as far as they fit. */
int64_t connectivity_lookup_said(const struct connectivity_lookup *l, char *all, size_t n);
/* Of one that has found nothing: whether there was an answer that says so. */
bool connectivity_lookup_answered(const struct connectivity_lookup *l);
void connectivity_lookup_drop(struct connectivity_lookup *l); /* takes NULL, and a running one */

/* ---- health -------------------------------------------------------------------------------- */

/* A state of a modem or of the box: one row of a table of them. */
struct connectivity_kind {
    enum store_state health;
    bool bus;          /* the way to it is what is wrong: the cause of its gaps */
    const char *event; /* its code */
    const char *why;   /* a code of gateway/web/advice.def */
    const char *text;  /* what is wrong and what to do; "" when good */
};
struct connectivity_health {
    struct store_health now;
    const char *event; /* the last one's code, see connectivity_result */
};

/* ---- ping --------------------------------------------------------------------------------- */

#define CONNECTIVITY_COUNT_MAX 20
#define CONNECTIVITY_SPACING_MS 200 /* between the echoes of one round */

struct connectivity_ping_cfg {
    char *id, *name, *place, *host;
    int64_t every_ms, count, timeout_ms;
};

struct connectivity_moment {
    int64_t mono_us, real_us; /* of both clocks, read one after the other */
};
/* The time from sent to the answer, which the kernel had at stamp_us of the realtime clock (0: it
 * does not say): an answer that waited for its reader is not later for it. Until it was read where
 * the stamp cannot be: none, or the realtime clock was set meanwhile. Pure. */
int64_t connectivity_rtt_us(const struct connectivity_moment *sent,
                            const struct connectivity_moment *read, int64_t stamp_us);

struct connectivity_sent {
    uint64_t nonce;
    struct connectivity_moment at;
    int64_t rtt_us; /* -1: no answer yet */
    uint16_t seq;
};
struct connectivity_ping {
    const struct connectivity_ping_cfg *cfg;
    uint32_t device, latency, loss, jitter; /* jitter UINT32_MAX: count is 1 */
    enum { CONNECTIVITY_IDLE, CONNECTIVITY_NAME, CONNECTIVITY_ECHO } state;
    int64_t next_ms;     /* UTC of the next round; 0 before the first step */
    int64_t tick_ms;     /* UTC that this round was due */
    int64_t deadline_ms; /* monotonic: when the state has something to do; IDLE: unused */
    int64_t named_ms;    /* monotonic: when `to` was looked up */
    bool numeric, again; /* again: the last round failed, look the name up anew */
    struct connectivity_address to;
    struct connectivity_address told; /* the same, under the room's lock */
    struct connectivity_lookup *lookup;
    struct connectivity_sent sent[CONNECTIVITY_COUNT_MAX];
    int64_t nsent, refused; /* refused: of them, not even sent */
    int refused_errno;
    struct connectivity_health health;
};
/* The figures of one round, from its rtt_us. */
struct connectivity_figures {
    struct num latency, loss, jitter; /* NUM_NONE: cannot be said */
};
void connectivity_figures(const struct connectivity_sent *sent, int64_t n,
                          struct connectivity_figures *out);

/* ---- files of the kernel (sysfs.c) --------------------------------------------------------- */

/* One short line of `dir`/`name`, without its end; false when it cannot be read, or is empty. */
bool connectivity_sysfs_line(const char *dir, const char *name, char *out, size_t size);
/* A whole decimal number within [min, max]. */
bool connectivity_sysfs_int(const char *dir, const char *name, int64_t min, int64_t max,
                            int64_t *out);
bool connectivity_sysfs_has(const char *dir, const char *name);

/* ---- link --------------------------------------------------------------------------------- */

struct connectivity_link_cfg {
    char *id, *name, *place, *interface;
    int64_t every_ms;
};
struct connectivity_link_state {
    bool up, wifi;
    int64_t rate_mbit; /* 0: the kernel tells none now */
    bool has_rate;     /* a wired interface, or Wi-Fi: it tells one whenever it is up */
    bool has_duplex;
    /* NUM_NONE: not told. Counters since the interface was made. */
    struct num duplex;          /* 1 full, 0 half */
    struct num changes, errors; /* of the carrier; frames that did not come through, both ways */
    struct num signal;          /* dBm; Wi-Fi alone */
};
/* What becomes a series, in this order; `up` always does. */
enum connectivity_link_point {
    CONNECTIVITY_LINK_UP,
    CONNECTIVITY_LINK_RATE,
    CONNECTIVITY_LINK_DUPLEX,
    CONNECTIVITY_LINK_CHANGES,
    CONNECTIVITY_LINK_ERRORS,
    CONNECTIVITY_LINK_SIGNAL,
    CONNECTIVITY_LINK_POINTS
};
struct connectivity_link {
    const struct connectivity_link_cfg *cfg;
    uint32_t device, series[CONNECTIVITY_LINK_POINTS]; /* UINT32_MAX: the kernel tells none */
    int64_t next_ms;
    struct connectivity_health health;
};
/* Reads `root`/<interface>/; root is "/sys/class/net". ST_NOT_FOUND: no such interface. Wi-Fi's
 * rate and signal come from the kernel of this machine (wifi.c), whatever root is. */
enum st connectivity_link_read(const char *root, const char *interface,
                               struct connectivity_link_state *out) ST_MUST_CHECK;
enum st connectivity_link_declare(struct connectivity_link *l, struct store *s,
                                  struct err *e) ST_MUST_CHECK;
void connectivity_link_step(struct connectivity_link *l, const struct connectivity_job *job);

/* ---- Wi-Fi by nl80211 (wifi.c): linux/nl80211.h, linux/genetlink.h --------------------------- */

struct connectivity_wifi {
    int stations; /* that the interface talks with: one where it is a client */
    struct num signal;
    int64_t rate_mbit; /* 0: none */
};
/* The id of a family of generic netlink, as a message of the kernel says it; 0: it does not. */
uint16_t connectivity_family_of(const void *message, size_t n);
uint16_t connectivity_family(const char *name); /* asks this machine's kernel; 0: it has none */
/* Takes one message of NL80211_CMD_NEW_STATION. Of the station nothing is read but its figures: no
 * address. */
void connectivity_wifi_take(const void *message, size_t n, struct connectivity_wifi *out);
/* ST_NOT_FOUND: the kernel has no nl80211, or the interface no station. Waits 0.5 s at most, and in
 * fact never: the kernel has its answer ready. */
enum st connectivity_wifi_read(const char *interface, struct connectivity_wifi *out) ST_MUST_CHECK;

/* ---- supply and temperature of the box (board.c) --------------------------------------------- */

struct connectivity_board_cfg {
    char *id, *name, *place, *sensor; /* CLASS/NAME, see board.c */
    int64_t every_ms, hot;            /* degrees Celsius */
};
extern const struct cfg_table connectivity_board_table;
#define CONNECTIVITY_BOARD_POINTS 5 /* of one class at most */
struct connectivity_board {
    const struct connectivity_board_cfg *cfg;
    uint32_t device, series[CONNECTIVITY_BOARD_POINTS]; /* UINT32_MAX: not there */
    int64_t next_ms;
    struct connectivity_health health;
};
struct connectivity_board_state {
    bool found;                              /* the box has this sensor */
    bool has[CONNECTIVITY_BOARD_POINTS];     /* it has this file */
    struct num v[CONNECTIVITY_BOARD_POINTS]; /* NUM_NONE: its file says nothing usable */
};
/* Reads the sensor below root, which is "/sys/class". */
void connectivity_board_read(const char *root, const char *sensor,
                             struct connectivity_board_state *out);
const char *connectivity_board_point(const char *sensor, size_t i); /* NULL: it has no more */
/* How it is; missing: a point that was there at the start and is not told now. text gets the
 * sentence. Returns what is told of it. */
const struct connectivity_kind *connectivity_board_judge(const struct connectivity_board_cfg *cfg,
                                                         const char *root,
                                                         const struct connectivity_board_state *now,
                                                         bool missing, char *text, size_t size);
void connectivity_board_check(struct cfg *c, const struct connectivity_board_cfg *cfg);
enum st connectivity_board_declare(struct connectivity_board *b, struct store *s,
                                   struct err *e) ST_MUST_CHECK;
void connectivity_board_step(struct connectivity_board *b, const struct connectivity_job *job);

/* ---- the room ----------------------------------------------------------------------------- */

struct connectivity_modem;      /* modem_int.h */
struct connectivity_walk;       /* survey_int.h */
struct connectivity_throughput; /* throughput_int.h */
struct connectivity_path;       /* path_int.h */
struct connectivity {
    struct connectivity_ping *ping;
    struct connectivity_link *link;
    struct connectivity_board *board;
    struct connectivity_modem *modem; /* NULL: none is configured */
    struct connectivity_walk *walk;   /* as well */
    size_t npings, nlinks, nboards;
    struct connectivity_socket socket[2]; /* IPv4, IPv6; opened when first needed */
    uint16_t seq;
    struct connectivity_throughput *throughput;
    size_t nthroughputs;
    struct connectivity_path *path;
    size_t npaths;
    pthread_mutex_t lock; /* of each ping's `told` */
};
/* The addresses of up to n pings, for another thread; the rest have none. */
void connectivity_pings_copy(struct connectivity *k, struct connectivity_address *out, size_t n);

/* What all kinds do with a result: put it, and tell health and its change. `text` "" is good. */
#define CONNECTIVITY_VALUES_MAX 24
struct connectivity_result {
    uint32_t device;
    const char *id;
    int64_t tick_ms;
    struct store_value v[CONNECTIVITY_VALUES_MAX];
    uint32_t n;
    enum store_state state;
    bool bus;    /* the cause of what is missing: the way to the device, not the device */
    bool paused; /* or: it was not the time to measure */
    uint32_t answer_ms;
    const char *text;
    /* Static; NULL: the usual ones. Another `event` is a change of its own. */
    const char *event, *why;
};
void connectivity_put(const struct connectivity_job *job, struct connectivity_health *h,
                      const struct connectivity_result *r);
/* How long after the multiples of its period a device is due: below the period and an hour, the
 * same after each start, and spread over gateways and devices, so that a city is not asked by all
 * of its boxes in one second. Pure. */
int64_t connectivity_phase(const char *gateway, const char *device, int64_t every_ms);
/* The tick that is due now (a multiple of the period, and the phase), or 0; *next (0 at start)
 * moves on. After a step of the clock ticks neither stall nor come in a burst. Times are not below
 * the phase. */
int64_t connectivity_tick(int64_t *next, int64_t now_ms, int64_t every_ms, int64_t phase_ms);
/* The same for a device, by the job's clock and in its own phase. */
int64_t connectivity_due(const struct connectivity_job *job, uint32_t device, int64_t *next_ms,
                         int64_t every_ms);
void connectivity_interface_check(struct cfg *c, char *const *interface);
enum st connectivity_series_add(struct store *s, uint32_t device, const char *point,
                                const char *quantity, int64_t every_ms, uint32_t *index,
                                struct err *e) ST_MUST_CHECK;
/* Does what is due for one ping; receives what has come. */
void connectivity_ping_step(struct connectivity *k, struct connectivity_ping *p,
                            const struct connectivity_job *job);
void connectivity_receive(struct connectivity *k, struct connectivity_socket *s);

#endif
