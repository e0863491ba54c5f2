/* Private to collect: what people ask of a bus (desk.c, errand.c, ctl.c, nudge.c). */
#ifndef GATEWAY_COLLECT_ERRAND_INT_H
#define GATEWAY_COLLECT_ERRAND_INT_H

#include "gateway/collect/collect.h"

struct collect_bus;

#define COLLECT_ERRANDS_MAX 8
enum collect_errand_state {
    COLLECT_ERRAND_NONE,    /* its owner's alone */
    COLLECT_ERRAND_WAITING, /* at the desk of a bus */
    COLLECT_ERRAND_SERVED,  /* the bus's thread is at it */
    COLLECT_ERRAND_HELD,    /* a pause has begun, and goes on until it is `over` */
    COLLECT_ERRAND_DONE     /* its owner's again, with a reply */
};
/* One request on its way. `state` and `over` under the desk's lock; reply is written before HELD
 * and before DONE. */
struct collect_errand {
    struct collect_ask ask;
    struct collect_reply reply;
    struct mono since;
    enum collect_errand_state state;
    bool over;
    unsigned settled; /* transactions for what the unit owes */
    int news;         /* an eventfd that tells its owner of HELD and DONE */
};
/* Where errands for a bus are left, and what its thread knows of units that no device reads. */
struct collect_desk {
    pthread_mutex_t lock;
    atomic_int wake; /* an eventfd on which the bus's thread naps; -1: nobody ever asked */
    struct collect_errand *waiting[COLLECT_ERRANDS_MAX];
    size_t n;
    struct collect_errand *pause; /* NULL: polls go on */
    /* the bus's thread alone */
    bool last_was; /* what it did last was an errand */
    bool alone;    /* there is no such thread: a tool has the bus */
    bool asks;     /* what a person asks is under way: it is no evidence of the line */
    uint8_t asked; /* the unit without device that was asked last */
    uint8_t answered[32], owes[32];
};
enum st collect_desk_open(struct collect_desk *k, struct err *e) ST_MUST_CHECK;
void collect_desk_close(struct collect_desk *k);
/* Leaves it for the bus. ST_FULL: too many wait there. Any thread. */
enum st collect_desk_leave(struct collect_desk *k, struct collect_errand *x) ST_MUST_CHECK;
/* Its owner wants no reply any more. true: it is the owner's again; else it will be, when it is
 * DONE.
 */
bool collect_desk_take_back(struct collect_desk *k, struct collect_errand *x);
enum collect_errand_state collect_desk_state(struct collect_desk *k, struct collect_errand *x);
/* What follows is the bus's thread's. Whether an errand can be served within slack_ms, or has
 * waited long enough. */
bool collect_errand_due(struct collect_bus *b, struct mono now, int64_t slack_ms);
void collect_errand_serve(const struct collect_bus_job *job, struct collect_bus *b);
/* Whether the bus is paused; ends a pause that is over. */
bool collect_errand_pauses(const struct collect_bus_job *job, struct collect_bus *b);
/* The exceptions of Modbus in words. */
const char *collect_exception_text(uint8_t code);

/* As they go over the control socket: one line. Parsed: ST_BAD, and in words why. Pure. */
#define COLLECT_ASK_TEXT 512
#define COLLECT_REPLY_TEXT 2048
enum st collect_ask_parse(const char *p, size_t n, struct collect_ask *q,
                          struct err *e) ST_MUST_CHECK;
/* The length with its '\n'; 0: no memory. */
size_t collect_ask_print(const struct collect_ask *q, char text[COLLECT_ASK_TEXT]);
enum st collect_reply_parse(const char *p, size_t n, struct collect_reply *r,
                            struct err *e) ST_MUST_CHECK;
size_t collect_reply_print(const struct collect_reply *r, char text[COLLECT_REPLY_TEXT]);

/* Probes that nobody waits for (nudge.c). */
#define COLLECT_NUDGES 4
struct collect_nudges {
    pthread_mutex_t lock;
    struct collect_nudge {
        struct collect_desk *desk; /* NULL: never used */
        struct collect_errand errand;
    } v[COLLECT_NUDGES];
};
enum st collect_nudges_open(struct collect *k, struct err *e) ST_MUST_CHECK;

#endif
