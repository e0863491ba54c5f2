/* Private to collect: configuration, the port, units, and one device's poll. */
#ifndef GATEWAY_COLLECT_COLLECT_INT_H
#define GATEWAY_COLLECT_COLLECT_INT_H

#include "gateway/base/buf.h"
#include "gateway/collect/collect.h"
#include "gateway/collect/errand_int.h"
#include "gateway/collect/plan_int.h"
/* ---- configuration ------------------------------------------------------------------------- */

enum collect_bus_type {
    COLLECT_RTU = 1,
    COLLECT_TCP,
    COLLECT_MQTT,
    COLLECT_HTTP,
    COLLECT_MANUAL                           /* a person brings it: store_enter_of */
};                                           /* 0: the file does not say */
static inline bool collect_is_sent(int type) /* what comes is sent, nothing is asked */
{
    return type == COLLECT_MQTT || type == COLLECT_HTTP || type == COLLECT_MANUAL;
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
    char *capacity;
    struct cfg_items was; /* struct collect_was_cfg, in order of their days */
};
/* What it was up to and with a day; NULL and 0: as today. */
struct collect_was_cfg {
    char *until, *role, *place, *capacity;
    int stream;
};
extern const struct cfg_table collect_was_table;
/* history.c: complains of what they say; and what they say for the store, *out to be freed when it
 * was added. */
void collect_check_history(struct cfg *c, const struct collect_device_cfg *d);
enum st collect_history(const struct collect_device_cfg *d, struct store_device *to,
                        struct store_was **out, struct err *e) ST_MUST_CHECK;
const char *collect_stream_text(int stream); /* NULL: 0 */

/* Keys that belong to the other kinds of bus. A key is the member's, as the tables name it. */
struct collect_foreign {
    const void *member;
    const char *key;
};
/* Complains of each that the file gives. */
void collect_check_foreign(struct cfg *c, const struct collect_foreign *f, size_t n,
                           const char *what, const char *id, const char *type);
/* Checks bus i against its kind and the buses before it, and sets what the kind decides. */
void collect_check_bus(struct cfg *c, const struct collect_cfg *cfg, size_t i);
extern const struct cfg_word collect_stream_words[]; /* waste streams: the closed set */
extern const struct cfg_word collect_parity_words[];

/* ---- the port: one serial line or TCP connection ------------------------------------------- */

/* What one request brought, as the line doctor counts it (decision 0033). */
enum collect_sign_is {
    COLLECT_SIGN_GOOD,
    COLLECT_SIGN_REFUSED,
    COLLECT_SIGN_SILENT,  /* or a byte or two */
    COLLECT_SIGN_LATE,    /* the right answer, after the time-out */
    COLLECT_SIGN_DAMAGED, /* it begins as it should and is as long, but its CRC is wrong */
    COLLECT_SIGN_CUT,     /* the same, shorter */
    COLLECT_SIGN_OVERLAP, /* longer, and the first byte at least is as it should be */
    COLLECT_SIGN_GARBAGE, /* nothing of it is as it should be */
    COLLECT_SIGN_FOREIGN, /* another unit's */
    COLLECT_SIGN_OTHER,   /* the unit's own, but to another request */
    COLLECT_SIGNS
};
#define COLLECT_LENGTHS 3
struct collect_sign {
    uint8_t is;   /* enum collect_sign_is */
    bool beside;  /* bytes beside it that nobody asked for */
    bool doubled; /* a second whole answer to it */
    bool belated; /* the unit's answer to an earlier request */
    bool strange; /* a whole answer of another unit, `stranger`, was there */
    uint8_t stranger;
    bool blank;             /* more than half is 00 or ff */
    uint16_t bytes, wanted; /* heard, without an echo; a right answer would have */
    uint32_t took_ms;       /* of an answer */
};
struct collect_answer {
    struct collect_sign sign; /* after COLLECT_LOST and COLLECT_STOPPED: none */
    const uint8_t *data;      /* registers or bits as on the wire; valid until the next request */
    uint8_t exception;
    bool echo;       /* the line gave our own request back before it */
    bool more;       /* bytes followed that nobody asked for */
    bool late;       /* RTU: no answer in time, but it came while the line was listened to */
    bool watched;    /* RTU: the unit's answer to one of call.watch was heard */
    int64_t took_ms; /* from the request to the end of the answer, late or not */
};

/* One request to one unit. */
struct collect_call {
    uint8_t unit;
    struct collect_request request;
    int64_t pause_ms;   /* what the device wants between two requests */
    int64_t timeout_ms; /* until its answer begins */
    int64_t listen_ms;  /* RTU: after a silence, how long a late answer is waited for */
    const struct collect_request *watch; /* earlier requests whose late answers are of interest */
    size_t nwatch;
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
void collect_port_leave(struct collect_port *p); /* closes it: another may have the line */
/* One request and its answer on a ready port. After every fault but COLLECT_EXCEPTION the line is
 * quiet again, or the connection closed. On TCP a late answer then meets no later request; on a
 * serial line one may that comes later than listen_ms: unit.c tells it. */
enum collect_fault collect_port_ask(struct collect_port *p, const struct collect_call *call,
                                    const struct clk *clk, struct thr_stop *stop,
                                    struct collect_answer *out);
/* RTU: listens for ms and until the line is quiet; true when it heard nothing. */
bool collect_port_listen(struct collect_port *p, int64_t ms, struct thr_stop *stop);
/* Sets a serial line to `line`; baud 0: as it is configured. It is opened anew with the next
 * request when that is a change. ST_BAD, ST_MEMORY: it stays as it was. */
enum st collect_port_tune(struct collect_port *p, const struct collect_serial *line, bool *changed,
                          struct err *e) ST_MUST_CHECK;
/* RTU: whether bytes came that no request explains; asking forgets it. */
struct collect_came { /* after the last request was over */
    bool any;
    int unit; /* whose whole answer is among them; -1: none */
};
bool collect_port_stray(struct collect_port *p, struct collect_came *came);
/* RTU: framing and parity errors and breaks since it was opened, as the kernel counts them; -1: it
 * does not, or the line is closed. */
int64_t collect_port_errors(const struct collect_port *p);

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

/* What came of a request that ended with fault f, all that was heard until the line was quiet being
 * in h. Pure. */
struct collect_sign collect_answer_sign(const struct collect_heard *h, uint8_t unit,
                                        const struct collect_request *r, enum collect_fault f,
                                        const struct collect_answer *a);
/* The unit whose whole answer to a read is the first among the n bytes; -1: none. Pure. */
int collect_answer_within(const uint8_t *p, size_t n);
/* RTU: whether a whole answer of the unit that is one to r by function and length is among the n
 * bytes. Pure. */
bool collect_answer_has(const uint8_t *p, size_t n, uint8_t unit, const struct collect_request *r);

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
#define COLLECT_FENCES 4        /* lengths that a unit's fences take turns with */
/* The number of a unit is the device's whole address: devices of the configuration that share it
 * share this. Bus thread alone. */
struct collect_unit {
    uint8_t number;
    bool owes;     /* RTU: an answer to an earlier request may still come */
    bool answered; /* ever */
    bool alive;    /* it answered a probe; no device polled it since */
    bool plain;    /* the fence was not answered: the next trial does without */
    unsigned mute; /* fences without an answer, where another request had one */
    bool unproven; /* its last answer may be an older one's: it is not taken */
    struct collect_request vain[COLLECT_FENCES]; /* fences without an answer, each once, … */
    size_t nvain;                                /* the last one last */
    unsigned failures, probes;                   /* in a row */
    int64_t answer_ms;                           /* the slowest of late */
    int64_t late_ms;                             /* how late its last answer was, 0: in time */
    unsigned errand_function, errand_bytes;      /* of the answer that a person asked for last */
    int64_t back_off_ms;
    struct mono probe_at;
    struct collect_evidence *evidence;
};
static inline bool collect_unit_sick(const struct collect_unit *u)
{
    return u->failures >= COLLECT_SICK_FAILURES;
}

struct collect_evidence; /* doctor_int.h, like what else belongs to the line doctor */
struct collect_bus;
/* One request of the device and its answer; before it whatever the unit owes is settled.
 * COLLECT_LOST: `why` says why. COLLECT_GARBAGE with unit->unproven: it was answered, but without a
 * fence, by a unit that owes; a person who asks gets that answer. */
enum collect_fault collect_unit_ask(const struct collect_bus_job *job, struct collect_bus *b,
                                    struct collect_device *d, const struct collect_request *q,
                                    struct collect_answer *a, struct err *why);
/* Settles, on a ready port, what the unit owes. GOOD: no answer to an earlier request can come any
 * more, unless it still owes: then what comes next is a trial. */
enum collect_fault collect_unit_settle(const struct collect_bus_job *job, struct collect_bus *b,
                                       struct collect_device *d, struct collect_answer *a);
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
/* A read that the unit is likely to have, of a length that no request of its devices has. Of the
 * first COLLECT_FENCES that are such: the first that was not in vain, or the one that was so
 * longest ago. false: there is none. */
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
struct collect_bus_job;
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
/* The question, for the device's health. The other device of this serial number, or NULL. */
const char *collect_who_text(const struct collect_bus_job *job, const struct collect_device *d,
                             char *text, size_t n);

/* ---- counters (counter.c) ------------------------------------------------------------------- */

/* A counter's readings that cannot be are flagged (1), so that they count for nothing. */
struct collect_counter {
    bool has, doubted, told;
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
/* The scale of the point has changed. */
void collect_counter_scaled(struct collect_device *d, size_t point);
/* Takes a note of before the restart: one that was in doubt. */
void collect_counter_load(const struct collect_bus_job *job, struct collect_device *d, size_t point,
                          const char *text);
/* Flags the values of one poll, and tells what is news. */
void collect_counters_judge(const struct collect_bus_job *job, struct collect_device *d,
                            struct store_value *v);

/* ---- sensors that are stuck (stuck.c) ------------------------------------------------------- */

/* What never rests and says the same for too long is flagged (2) until it changes. */
struct collect_rest {
    int64_t limit_ms;
    bool has, stuck;
    struct num v;
    struct mono since, last; /* of the value; of the newest reading */
};
enum st collect_rests_open(struct collect_device *d, struct err *e) ST_MUST_CHECK;
void collect_rests_done(struct collect_device *d);
/* Takes a note of before the restart: one that was stuck. */
void collect_rest_load(const struct collect_bus_job *job, struct collect_device *d, size_t point,
                       const char *text);
void collect_rests_judge(const struct collect_bus_job *job, struct collect_device *d,
                         struct store_value *v);

/* ---- texts and states (status.c) ------------------------------------------------------------ */

/* What a text or status point says. A change becomes an event, in words; what was told last is a
 * note of the store, so that a start does not tell it again. One point: four events at once, then
 * one in ten minutes, which counts what it left out. A value that is missing, outside its limits or
 * of a device that is in doubt (who.doubted) changes nothing. */
struct collect_say {
    uint16_t point; /* of the profile */
    uint16_t value; /* of the plan; UINT16_MAX: a text */
    bool read;      /* since the start: `now` holds */
    uint8_t mute;   /* a text: how often in a row it was not answered */
    uint8_t tokens; /* events that it may tell, and when their number was looked at */
    struct mono filled;
    uint32_t changes;                                   /* since it was told last */
    struct mono since;                                  /* the first of them */
    int worst;                                          /* of them: enum store_severity */
    char now[STORE_NOTE_BYTES], told[STORE_NOTE_BYTES]; /* a text, or a number; "": never */
};
struct collect_says {
    struct collect_say *v;
    size_t n;
    size_t next; /* the text to be read next; n: all were */
    struct mono read_at;
};
enum st collect_says_open(struct collect_device *d, struct err *e) ST_MUST_CHECK;
/* After a new plan of the same points. */
void collect_says_plan(struct collect_device *d);
void collect_says_done(struct collect_device *d);
/* Takes a note of before the restart: what was told last. */
void collect_say_load(const struct collect_bus_job *job, struct collect_device *d, size_t point,
                      const char *text);
/* Looks at the values of a poll, plan.nall of them, and tells what is news. */
void collect_says_judge(const struct collect_bus_job *job, struct collect_device *d,
                        const struct store_value *v);
/* Texts are read when the device appears, after each poll that it did not answer, and each hour,
 * one behind each poll. Whether one is to be read now, and with which request. */
bool collect_says_due(struct collect_device *d, struct mono now, struct collect_request *q,
                      uint16_t *at);
void collect_says_again(struct collect_device *d); /* it did not answer: it may be another */
/* What came of it; data NULL: it was refused. */
void collect_says_heard(const struct collect_bus_job *job, struct collect_device *d,
                        const uint8_t *data);
void collect_says_missed(struct collect_device *d); /* no answer */
/* All that it says, for people; true with what is to be done where one of it is an error. */
bool collect_says_text(const struct collect_device *d, char *says, size_t n, char *fault,
                       size_t room);
/* Whether one of its states is an error: its readings bear flag 4 then. */
bool collect_says_ill(const struct collect_device *d);
/* ---- probes that are to be started (started.c) ---------------------------------------------- */

/* Whether a device whose profile has a start command measures: known once one of its values has
 * changed since it was met, or was away. */
struct collect_started {
    bool moved, told;
    unsigned polls; /* with the same values */
    uint64_t mark;  /* of these values */
    struct mono since;
};
void collect_started_again(
    struct collect_device *d); /* it was away: its power may have been, too */
/* Looks at the values of a poll, and tells that it is to be started, or measures again. */
void collect_started_judge(const struct collect_bus_job *job, struct collect_device *d,
                           const struct store_value *v);
/* true with what is to be done, while that is told. */
bool collect_started_text(const struct collect_device *d, char *text, size_t n);

/* ---- what stands behind a value (why.c) ------------------------------------------------------ */

/* The registers of the last value of each point of a profile, for other threads. */
struct collect_kept {
    pthread_mutex_t lock;
    struct collect_kept_point {
        uint16_t address;
        uint8_t bytes, raw[8]; /* bytes 0: never read */
    } * v;
};
enum st collect_kept_open(struct collect_device *d, struct err *e) ST_MUST_CHECK;
void collect_kept_done(struct collect_device *d);
/* The values of a poll, before they are put: keeps the registers of those that came. */
void collect_kept_take(struct collect_device *d, const struct store_value *v);

/* ---- devices and buses --------------------------------------------------------------------- */

/* What has been told of a device or bus as an event, and how often it may be told. */
struct collect_teller {
    enum store_state told;
    uint32_t used; /* events of this minute */
    struct mono minute;
};

/* Whether the state is news that may be told now; then it counts as told. */
bool collect_is_news(struct collect_teller *t, enum store_state state, struct mono now);

/* Whether another word order would make sense of values that cannot be. A plain value. */
#define COLLECT_ORDERS 4 /* COLLECT_ORDER_WORDS and _BYTES against the profile's */
struct collect_order {
    bool armed;     /* the last poll had impossible values: this one is looked at closely */
    uint8_t fits;   /* 1 << flags: all values of this poll are possible with these */
    uint8_t kept;   /* the flags that were chosen last, … */
    uint8_t run;    /* and in how many polls in a row */
    uint16_t odd;   /* impossible values in this poll */
    int order;      /* the profile's, of the first of these */
    unsigned bytes; /* of that value */
};

/* How a device is read that says itself where its values are: its places are found by asking it,
 * and proven in each poll. The bus's thread. */
struct collect_finder {
    /* What is to be asked for that now. false: nothing. And what came of it; data NULL: it was
     * refused. */
    bool (*next)(struct collect_device *d, struct mono now, struct collect_request *q);
    void (*heard)(const struct collect_bus_job *job, struct collect_device *d, const uint8_t *data);
    /* No answer to it, or to a probe. */
    void (*missed)(struct collect_device *d, struct mono now);
    /* The device was away, or refuses what it had: it may be another. The latter is looked into
     * once a minute. */
    void (*doubt)(struct collect_device *d, bool away, struct mono now);
    bool (*ready)(const struct collect_device *d); /* whether its places are known */
    /* A poll's answers, in any number; settle says which of its values count. */
    void (*begin)(struct collect_device *d);
    void (*take)(struct collect_device *d, const struct collect_request *q, const uint8_t *data,
                 struct store_value *v);
    void (*settle)(struct collect_device *d, struct mono now, struct store_value *v);
    /* Tells what is new of it, four times a minute at most. */
    void (*tell)(const struct collect_bus_job *job, struct collect_device *d, struct mono now);
    /* What is wrong with it, for its health; "": nothing. Its code there: why. */
    const char *(*text)(const struct collect_device *d);
    const char *why;
    /* Whether its places are found by reads of that length. */
    bool (*asks)(const struct collect_device *d, unsigned function, unsigned count);
};
extern const struct collect_finder collect_sunspec_finder, collect_node_finder;

struct collect_device {
    const struct collect_device_cfg *cfg;
    struct collect_bus *bus;
    struct collect_unit *unit, own; /* unit: its own, or that of a device with the same number */
    const struct collect_profile *profile;
    bool *wanted; /* one flag per point of the profile */
    struct collect_line line;
    struct collect_plan plan;
    struct collect_split split;
    const struct collect_finder *finder; /* NULL: its profile has addresses; else one of: */
    struct collect_sunspec *sunspec;
    struct collect_node *node;
    uint32_t store; /* its index there */
    /* the bus's thread alone */
    int64_t due_ms;     /* the next tick */
    struct mono due_at; /* the same on the other clock, as it was when the tick was set */
    bool away;          /* it was sick at its last tick */
    struct mono polled; /* its last poll began */
    int64_t read_ms;    /* the time that its last poll was given */
    struct store_health health;
    struct collect_teller teller;
    char *topic;                     /* of what is sent: the filter of its messages */
    struct collect_point_seen *seen; /* one per point of a mapping */
    struct collect_who who;
    struct collect_counter *counters; /* one per counter of the profile */
    struct collect_rest *rests;       /* one per point of it that never rests */
    struct collect_says says;
    struct collect_started started;
    struct collect_order order;
    struct collect_kept kept;
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

/* ---- a wrong word order (order.c, decision 0042) --------------------------------------------- */

/* Each poll: begin, look at each value that came (whole: its registers as on the wire), settle: the
 * word of the order in which all would be possible that are not now; NULL: there is none, or no
 * need. The bus's thread. */
void collect_order_begin(struct collect_order *o);
void collect_order_look(struct collect_order *o, const struct collect_point *p,
                        const uint8_t *whole, struct num v, uint16_t q);
const char *collect_order_settle(struct collect_order *o);
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
    struct collect_desk desk;
    bool full;                          /* the store refused the last poll */
    bool lost;                          /* the line is down */
    bool echo, echo_told;               /* what is sent comes back */
    const struct collect_device *cable; /* told: the cable is broken before it */
    struct collect_doctor *doctor;      /* NULL: what it brings is sent */
    atomic_llong turned_ms; /* when its thread was last at the head of its loop; 0: not counted */
};

struct collect {
    const struct collect_cfg *cfg;
    char *beside, *profile_dir; /* the configuration's file; the installed set */
    struct store *store;        /* once it is declared */
    struct collect_profile *profiles;
    struct collect_device *devices;
    struct collect_bus *buses;
    size_t nprofiles, ndevices, nbuses;
    struct collect_nudges nudges;
};

/* Polls one device for its tick, puts the poll and the health, and tells what changed. */
void collect_device_poll(const struct collect_bus_job *job, struct collect_bus *b,
                         struct collect_device *d);
/* Puts a poll without values for the tick: its turn never came, nor that of `more` ticks after it.
 */
void collect_device_overrun(const struct collect_bus_job *job, struct collect_bus *b,
                            struct collect_device *d, int64_t more);
/* Puts a poll without values for the tick: a person has paused the bus. */
void collect_device_paused(const struct collect_bus_job *job, struct collect_bus *b,
                           struct collect_device *d);
/* Probes the sick unit that this device reads, and judges what came of it. */
void collect_device_probe(const struct collect_bus_job *job, struct collect_bus *b,
                          struct collect_device *d);
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
