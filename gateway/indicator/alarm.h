/* Alarms: rain, water, wind and whatever else passes a limit, told at once (decision 0057). Data
 * alone: official warning levels are the met service's to issue. A part of indicator.h. */
#ifndef GATEWAY_INDICATOR_ALARM_H
#define GATEWAY_INDICATOR_ALARM_H

#include "gateway/base/cfg.h"
#include "gateway/base/clk.h"
#include "gateway/base/thr.h"
#include "gateway/store/store.h"

/* Section `alarms`: {ID: {series, when, clear, for, text, sms, severity}}. */
#define ALARMS_MAX 32
#define ALARM_TEXT_MAX 80 /* characters of what people read of it */
#define ALARM_NAME_BYTES 65
struct alarm_cfg {
    char *id; /* first: cfg.h */
    char *series;
    struct { /* one of them */
        struct num rain_1h, rain_3h, rain_24h, above, below, rise_per_h;
    } when;
    struct num clear;
    int64_t for_ms;
    struct {
        char *vi, *en;
    } text;
    bool sms;
    int severity; /* enum store_severity */
};
extern const struct cfg_table alarm_cfg_table;

struct alarms;
/* Checks the section; every mistake is complained about in c. */
enum st alarms_open(struct alarms **out, const struct cfg_items *cfg, struct cfg *c,
                    struct err *e) ST_MUST_CHECK;
/* Finds the series among those of the store and adds the device `alarm`, with two series for each
 * alarm, where there is one at all; after all other rooms. ST_BAD: a series that is not there or
 * does not fit; complained about in c (may be NULL). May be called again with another store.
 * An alarm whose device says itself what it measures (store_device.learned) rests while the series
 * is not there: it is not counted, and told by alarms_rest_tell once the store has started. */
enum st alarms_declare(struct alarms *x, struct store *s, struct cfg *c,
                       struct err *e) ST_MUST_CHECK;
void alarms_rest_tell(const struct alarms *x, struct store *s);
void alarms_close(struct alarms *x); /* takes NULL */
size_t alarms_count(const struct alarms *x);

/* What the series alarm/ID says; numbers are in signed batches and never change. */
enum alarm_state {
    ALARM_QUIET = 0,
    ALARM_RAISED = 1,
    ALARM_ACKNOWLEDGED = 2, /* raised, and a person has said that they know */
    ALARM_UNKNOWN = 3,      /* raised, and its series says nothing any more */
    ALARM_BLIND = 4,        /* not raised, and its series says nothing: it watches nothing */
    ALARM_STATES
};
extern const char *const alarm_state_text[ALARM_STATES]; /* "quiet", … */

struct alarms_job {
    struct alarms *alarms;
    struct store *store;
    const struct clk *clk;
    struct thr_stop *stop;
    const char *gateway; /* its name for people, in messages */
    bool english;        /* else Vietnamese */
    /* Whether an uplink reaches the city; NULL: there is none, so it does not. Any thread. */
    bool (*online)(void *ctx);
    /* Takes a text for the numbers that are configured; NULL: there are none. Waits for nothing. */
    void (*sms)(void *ctx, const char *text);
    void *ctx;
};
/* The thread, where alarms_count is not 0: looks at the board twice a second. */
void alarms_main(void *alarms_job);

/* One alarm, for people. Texts live as long as x. */
struct alarm_view {
    const struct alarm_cfg *cfg;
    const char *quantity, *unit; /* of value and limit; unit NULL: a bare number */
    const char *kind;            /* its key of `when` */
    int decimals;                /* of value and limit */
    struct num limit;
    enum alarm_state state;
    int64_t since_ms; /* UTC, when it was raised; 0: it is not */
    struct num value; /* the last that counted; NUM_NONE: none since start */
    int64_t value_ms; /* its own time */
    struct mono at;   /* for its age */
    int64_t known_ms; /* when it was acknowledged; 0: it is not */
    char by[ALARM_NAME_BYTES];
};
/* Those from `first` on, in the file's order; returns how many. Any thread. */
size_t alarms_look(struct alarms *x, size_t first, struct alarm_view *out, size_t max);
/* A person knows of it. ST_NOT_FOUND: there is no such alarm; ST_CONFLICT: it is not raised, or
 * acknowledged already; ST_BAD: a name of 1 to 64 bytes without control characters is wanted. It
 * counts within a second. Any thread. */
enum st alarms_acknowledge(struct alarms *x, const char *id, const char *by,
                           struct err *e) ST_MUST_CHECK;

/* ---- beside the gateway -------------------------------------------------------------------- */

/* How it stood when it last changed, as the store keeps it: text of a note of this kind. */
#define ALARM_NOTE "alarm"
struct alarm_kept {
    enum alarm_state state;
    int64_t since_ms, known_ms;
    char by[ALARM_NAME_BYTES];
};
bool alarm_kept_read(const char *text, struct alarm_kept *out);
void alarm_kept_text(const struct alarm_kept *k, char out[STORE_NOTE_BYTES]);
/* Asks the gateway that runs on this store to take the acknowledgement, through the folder
 * STORE.alarms, and waits until it has: ST_TIMEOUT: none took it within wait_ms. */
#define ALARM_ASKED ".alarms"
enum st alarms_ask(const char *store_path, const char *id, const char *by, int64_t wait_ms,
                   struct err *e) ST_MUST_CHECK;

#endif
