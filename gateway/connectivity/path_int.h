/* Private to the connectivity room: the way to the city (decision 0049), each on a thread of its
 * own, so that what is slow or silent keeps nobody waiting. */
#ifndef GATEWAY_CONNECTIVITY_PATH_INT_H
#define GATEWAY_CONNECTIVITY_PATH_INT_H

#include "gateway/connectivity/connectivity_int.h"
#include "gateway/http/http.h"

/* ---- configuration (path_config.c) ----------------------------------------------------------- */

struct connectivity_path_cfg {
    char *id, *name, *place;
    char *uplink;    /* whose city; NULL: the first uplink's, unless there is a url */
    char *url, *ca;  /* both or neither */
    char *interface; /* NULL: by whichever the kernel takes */
    char *check;     /* NULL: port 80 of the city's host */
    int64_t every_ms, timeout_ms;
};
extern const struct cfg_table connectivity_path_table;
void connectivity_path_check(struct cfg *c, const struct connectivity_path_cfg *p);

/* ---- what stands between here and the city (path_cause.c, pure) ------------------------------ */

/* What the series `state` says; numbers are in signed batches and never change. */
enum connectivity_cause {
    CONNECTIVITY_PATH_UP = 0,
    CONNECTIVITY_PATH_LINK = 1,
    CONNECTIVITY_PATH_RADIO = 2,
    CONNECTIVITY_PATH_OPERATOR = 3,
    CONNECTIVITY_PATH_DNS = 4,
    CONNECTIVITY_PATH_CITY = 5,
    CONNECTIVITY_PATH_PORTAL = 6,
    CONNECTIVITY_PATH_STATES
};
struct connectivity_cause_kind {
    const char *word; /* for events */
    const char *why;  /* a code of gateway/web/advice.def */
    const char *text; /* what is wrong and what to do */
};
extern const struct connectivity_cause_kind connectivity_causes[CONNECTIVITY_PATH_STATES];

/* How far the probe came, and what else was seen when it failed. */
enum connectivity_stage {
    CONNECTIVITY_STAGE_NAME,
    CONNECTIVITY_STAGE_CONNECT,
    CONNECTIVITY_STAGE_TLS,
    CONNECTIVITY_STAGE_ANSWER,
    CONNECTIVITY_STAGE_DONE /* a byte of the answer came: whatever it says, the way is there */
};
enum connectivity_beyond { /* of others that are asked */
                           CONNECTIVITY_BEYOND_UNKNOWN,
                           CONNECTIVITY_BEYOND_DEAD,
                           CONNECTIVITY_BEYOND_ALIVE
};
struct connectivity_seen {
    enum connectivity_stage stage; /* that failed */
    bool stranger;                 /* TLS: the certificate is not the city's */
    bool portal;                   /* an operator's page answers a plain request */
    bool no_data;                  /* the modem says so */
    bool radio_lost;               /* the modem that carries it is not registered */
    bool link_down;
    bool no_address; /* or no route */
    bool bound;      /* to an interface: names are looked up over whichever link all the same */
    enum connectivity_beyond beyond;
};
enum connectivity_cause connectivity_path_judge(const struct connectivity_seen *s);
/* What the modem that carries it says (enum connectivity_modem_state), link_down being known: a SIM
 * card or a network that is missing. A port that is busy, silent or odd says nothing of it, one
 * that is gone only together with the link. */
void connectivity_path_modem(struct connectivity_seen *s, int state);

/* A certificate whose dates do not hold is the city's fault only by a clock that is set. */
bool connectivity_path_undated(enum st st, const struct http_reply *r, enum clk_grade grade);
/* Whether large packets are lost, by when the first byte of the answer to a padded request came,
 * and to a plain one behind it (-1: it did not): where neither came through, as before. */
bool connectivity_large_lost(bool before, int64_t large_us, int64_t plain_us);

/* ---- an outage (path_outage.c, pure) ----------------------------------------------------------
 */

#define CONNECTIVITY_TOLD_MAX 10    /* outages that are told in a row, and */
#define CONNECTIVITY_TOLD_MS 360000 /* one more each so often; shorter ones are counted */
struct connectivity_outage {
    bool known, down, told;
    bool resumed;            /* it began before this run */
    bool blind;              /* since `last` no probe could be made: that time is of no state */
    struct mono since, last; /* when it began (of this run); when it was looked at */
    int64_t since_ms;        /* UTC; 0: the date was not known */
    int64_t by_ms[CONNECTIVITY_PATH_STATES]; /* how long each cause was seen */
    enum connectivity_cause cause;           /* now */
    int64_t up_ms, down_ms;                  /* since the last share was taken */
    int64_t tokens_ms;                       /* each CONNECTIVITY_TOLD_MS tells one */
    int64_t quiet, quiet_ms;                 /* outages that were not told, and their time */
};
enum connectivity_turn { CONNECTIVITY_STAYS, CONNECTIVITY_WENT, CONNECTIVITY_CAME };
/* Takes what was seen. WENT, CAME: to be told, `text` says what (WENT: not why). */
enum connectivity_turn connectivity_outage_note(struct connectivity_outage *o,
                                                enum connectivity_cause cause, struct mono now,
                                                struct clk_time utc, char *text, size_t n);
/* No probe could be made. */
void connectivity_outage_blind(struct connectivity_outage *o);
/* Of an earlier run, as connectivity_outage_write wrote it; false: it is not that. */
bool connectivity_outage_read(struct connectivity_outage *o, const char *text, struct mono now);
void connectivity_outage_write(const struct connectivity_outage *o, char *text, size_t n);
/* Percent of the time since the last call in which the way was there; one decimal. */
struct num connectivity_outage_share(struct connectivity_outage *o);
/* "3 min 12 s" */
void connectivity_duration(int64_t ms, char *text, size_t n);

/* ---- what is seen from here (path_look.c) ---------------------------------------------------- */

#define CONNECTIVITY_WITNESSES 9 /* the first hop, and up to eight hosts that are pinged */
#define CONNECTIVITY_IF_BYTES 16
struct connectivity_witness {
    struct connectivity_address at[CONNECTIVITY_WITNESSES]; /* [0]: the first hop */
    bool answers[CONNECTIVITY_WITNESSES];                   /* it did while the city was reached */
    bool asked;                                             /* so that it is known of all */
};
/* The interface of the default route with the least metric, and its gateway (n 0: none). `only`:
 * among those of this interface; NULL: of all. */
bool connectivity_route_read(const char *root, const char *only,
                             char interface[CONNECTIVITY_IF_BYTES],
                             struct connectivity_address *hop);
/* Whether any interface but the loopback has a link. */
bool connectivity_any_link(const char *root);
/* Takes an address (n 0 for the first hop: it keeps the last). Another one has not answered yet.
 * True: it is another. */
bool connectivity_witness_set(struct connectivity_witness *w, size_t i,
                              const struct connectivity_address *at);
/* Sends an echo to each by that interface (NULL: as the routes say), up to two more to those that
 * do not answer, and waits; bit i: at[i] answered. -1: not permitted, or no such interface. */
#define CONNECTIVITY_ECHOES 3
#define CONNECTIVITY_ECHO_AGAIN_MS 200
int connectivity_witness_ask(const struct connectivity_address *at, size_t n, const char *interface,
                             int64_t ms, const struct thr_stop *stop);
/* What the answers say of the net beyond this box. */
enum connectivity_beyond connectivity_witness_judge(const struct connectivity_witness *w, int got);

/* ---- a path (path.c) ------------------------------------------------------------------------ */

#define CONNECTIVITY_MTU_EVERY 12 /* each so many ticks large packets are tried */
#define CONNECTIVITY_MTU_MAX 1500 /* what the padded request proves at most */
enum connectivity_path_point {
    CONNECTIVITY_AVAILABILITY,
    CONNECTIVITY_STATE,
    CONNECTIVITY_DNS,
    CONNECTIVITY_CONNECT,
    CONNECTIVITY_TLS,
    CONNECTIVITY_FIRST,
    CONNECTIVITY_MTU,
    CONNECTIVITY_PATH_POINTS
};
struct connectivity_path {
    const struct connectivity_path_cfg *cfg;
    struct connectivity *room;
    uint32_t device, series[CONNECTIVITY_PATH_POINTS];
    int64_t next_ms, next_mtu_ms;
    struct mono again;   /* when an outage is looked at next; 0: with the tick */
    int64_t again_ms;    /* how long that waited */
    struct mono hint_at; /* before it no uplink's traffic causes a look */
    int64_t hint_ms;     /* how long that waited; 0: the last look changed something */
    int64_t ok_ms;       /* the uplink's last success, at the last look that it caused */
    char interface[CONNECTIVITY_IF_BYTES]; /* by which the city was reached last */
    struct connectivity_witness witness;
    struct mono portal_at;
    int64_t portal_ms;
    bool portal;
    bool large_lost; /* large packets do not get through */
    struct connectivity_outage outage;
    struct store_health health;
};
enum st connectivity_path_declare(struct connectivity_path *p, struct store *s,
                                  struct err *e) ST_MUST_CHECK;

#endif
