/* Private to alarms: what their files share. */
#ifndef GATEWAY_INDICATOR_ALARM_INT_H
#define GATEWAY_INDICATOR_ALARM_INT_H

#include <pthread.h>

#include "gateway/indicator/indicator.h"

/* ---- alarm_rule.c: values to a state; pure, on monotonic time ------------------------------- */

/* A reading counts unless it is outside its limits, stuck, of a device that reports a fault, or
 * made while calibrating: a faulty sensor raises nothing, and clears nothing. An unknown time does
 * not matter here, and after a power cut in a storm there is no other. */
#define ALARM_Q_BAD (WIRE_Q_LIMITS | WIRE_Q_STUCK | WIRE_Q_FAULT | WIRE_Q_CALIBRATING)

#define ALARM_MINUTE_MS 60000
#define ALARM_HOUR_MS 3600000
enum alarm_kind { ALARM_RAIN, ALARM_ABOVE, ALARM_BELOW, ALARM_RISE };
/* Values are in millionths of the unit. */
struct alarm_rule {
    enum alarm_kind kind;
    int64_t window_ms; /* rain, rise */
    int64_t limit, clear;
    int64_t for_ms;     /* so long before it is raised */
    int64_t silent_ms;  /* without a reading that counts: its series says nothing */
    int64_t most_per_h; /* that a counter can grow; 0: not known */
};
struct alarm_mark {  /* the first reading of a minute */
    int64_t t_ms, v; /* v: of rain the sum of all growth so far */
};
struct alarm_watch {
    struct alarm_rule rule;
    struct alarm_mark *mark; /* size of them, from first; of rain and rise */
    size_t size, first, n;
    bool has;                     /* a reading counted */
    int64_t last_ms, last, total; /* last: as it was read */
    int64_t whole_ms;             /* since when no silence was in its readings */
    int64_t over_ms;              /* since when it is over its limit; INT64_MIN: it is not */
    int64_t heard_ms;             /* when it last said something, or when the watch began */
    bool raised, silent, acknowledged;
    int64_t figure; /* what the last reading gives at least: height, growth, rise */
};
enum st alarm_watch_open(struct alarm_watch *w, const struct alarm_rule *rule, int64_t now_ms,
                         struct err *e) ST_MUST_CHECK;
void alarm_watch_done(struct alarm_watch *w);
/* A reading of the past, which judges nothing; in order of time, before any alarm_watch_take. */
void alarm_watch_past(struct alarm_watch *w, int64_t t_ms, int64_t v);
/* A reading that counts. One that is not newer than the one before is left out. */
void alarm_watch_take(struct alarm_watch *w, int64_t t_ms, int64_t v);
/* Time has passed. */
void alarm_watch_tick(struct alarm_watch *w, int64_t now_ms);
enum alarm_state alarm_watch_state(const struct alarm_watch *w);
/* Millionths of a value, half away from zero; false: it is none, or too large. */
bool alarm_millionths(struct num v, int64_t *out);

/* ---- alarm_text.c --------------------------------------------------------------------------- */

/* Vietnamese without its marks, all else that is no ASCII as '?': what every telephone shows and
 * one message holds. */
#define ALARM_SMS_BYTES 161 /* GSM 7 bit: 160 characters in one message */
void alarm_plain(char *out, size_t size, const char *utf8);
/* Shortens a text to `bytes` at most, between characters. */
void alarm_cut(char *utf8, size_t bytes);
/* What is wrong with a name; NULL: nothing. */
const char *alarm_name_wrong(const char *by);

/* ---- alarm_asked.c -------------------------------------------------------------------------- */

/* Takes what was left for that alarm: false: nothing was. */
bool alarm_asked_take(const char *store_path, const char *id, char by[ALARM_NAME_BYTES]);

/* ---- alarm.c -------------------------------------------------------------------------------- */

struct alarm {
    const struct alarm_cfg *cfg;
    const char *kind;        /* the key of `when` */
    const struct num *limit; /* its value in cfg */
    struct alarm_rule rule;
    uint32_t series;                 /* that it watches */
    const struct quantity *quantity; /* of value and limit */
    uint32_t state_series, value_series;
    struct alarm_watch watch;
    uint64_t count;             /* of the board, when it was last looked at */
    int told;                   /* the state that was last told; -1: none since start */
    bool untold;                /* that state is not in the queue yet */
    bool urgent;                /* and is to go out at once */
    bool kept;                  /* it stands in the store as it is */
    bool filled;                /* its window has what the store knew */
    int64_t sms_until_ms;       /* monotonic: until then the city is watched for it; 0: not */
    int64_t since_ms, known_ms; /* UTC */
    char by[ALARM_NAME_BYTES];
    char asked[ALARM_NAME_BYTES]; /* under the lock: who acknowledges it; "": nobody */
    struct alarm_view view;       /* under the lock: as others see it */
};
struct alarms {
    const struct cfg_items *cfg;
    struct alarm *v;
    size_t n, resting; /* behind the n: those without a series */
    uint32_t device;
    struct store_health health;
    int64_t urge_next_ms; /* monotonic */
    bool urge;
    int64_t urge_t_ms;
    struct mono asked_due;
    pthread_mutex_t lock;
};
/* One round of the thread. */
void alarms_step(struct alarms *x, const struct alarms_job *job);
/* Before the first: what the store keeps of them. */
enum st alarms_begin(struct alarms *x, const struct alarms_job *job, struct err *e) ST_MUST_CHECK;
void alarms_end(struct alarms *x);
/* alarm_past.c: fills the windows from the store, once the time is known. */
void alarms_fill(struct alarms *x, const struct alarms_job *job);

#endif
