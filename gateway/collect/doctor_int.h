/* Private to collect: the line doctor. What comes of each request is counted per unit (evidence.c);
 * a pure judgement makes findings of the counts: what is seen, the likely fault, what to do
 * (doctor.c). Why these and no others: decision 0033. */
#ifndef GATEWAY_COLLECT_DOCTOR_INT_H
#define GATEWAY_COLLECT_DOCTOR_INT_H

#include "gateway/collect/collect_int.h"

/* ---- evidence ------------------------------------------------------------------------------- */

/* Counts of requests; of one unit none exceeds the window of evidence.c. */
struct collect_tally {
    uint32_t asked;
    uint32_t as[COLLECT_SIGNS];
    uint32_t beside;  /* with bytes beside it that nobody asked for */
    uint32_t doubled; /* two whole answers to one request */
    uint32_t after;   /* whole answers that came when the next request was under way, or later */
    uint32_t fitting; /* of the garbage: a third to three times as long as the answer */
    uint32_t scraps;  /* of the silent: but for a byte or two */
    uint32_t blank;   /* of the garbage: mostly 00 and ff */
    uint32_t of[COLLECT_LENGTHS], spoilt[COLLECT_LENGTHS]; /* heard, damaged; by length */
    uint32_t answer_min_ms, answer_max_ms;                 /* max 0: none was right */
    uint32_t late_ms;                                      /* of the latest that was measured */
};
void collect_tally_join(struct collect_tally *t, const struct collect_tally *more);
unsigned collect_tally_damage(const struct collect_tally *t);
unsigned collect_tally_right(const struct collect_tally *t); /* refusals, too */

/* Lengths of answers in bytes: up to 16, up to 64, more. */
size_t collect_length_class(uint16_t bytes);
uint16_t collect_length_most(size_t i); /* of class i */

/* Of one unit. The bus's thread alone. */
struct collect_evidence {
    const char *id; /* of the first device that reads it */
    uint8_t number;
    int64_t place;                   /* along the cable; 0: not known */
    bool ever;                       /* it said something right since the start */
    uint8_t last_is;                 /* enum collect_sign_is */
    unsigned mute_run;               /* requests in a row of which nothing was heard */
    unsigned failed_run;             /* requests in a row without a right answer */
    unsigned clean_run;              /* requests in a row with nothing to say against the answer */
    struct mono since;               /* of `now` */
    struct collect_tally now, older; /* the window has both */
    struct collect_tally failed;     /* of the failed run */
    /* during a judgement */
    struct collect_tally all; /* of the window */
    bool named, told;         /* named by this finding, by one before */
};
/* Counts one request. A unit that answers cleanly so often in a row that its faults of before would
 * hardly have let it (under one in a thousand) is another than before, and so is one that fails so
 * often in a row: what was is forgotten. */
void collect_evidence_add(struct collect_evidence *e, const struct collect_sign *sign,
                          struct mono now);
/* Bytes came after the last request was over; answer: a whole answer of the unit. */
void collect_evidence_stray(struct collect_evidence *e, bool answer);
/* Its figures for people. */
void collect_evidence_figures(const struct collect_evidence *e, struct store_heard *out);

/* ---- the judgement -------------------------------------------------------------------------- */

enum collect_find {
    COLLECT_FIND_PORT,
    COLLECT_FIND_CABLE,
    COLLECT_FIND_WIRES,
    COLLECT_FIND_SPEED,
    COLLECT_FIND_LOST,
    COLLECT_FIND_TWICE,
    COLLECT_FIND_NOISE,
    COLLECT_FIND_FAR,
    COLLECT_FIND_WEAK,
    COLLECT_FIND_SLOW,
    COLLECT_FIND_NEVER,
    COLLECT_FIND_GONE,
    COLLECT_FIND_UNSTEADY,
    COLLECT_FIND_FOREIGN,
    COLLECT_FIND_IDLE,
    COLLECT_FIND_ECHO,
    COLLECT_FIND_COUNT
};

/* A bus, as it is judged. Borrowed. */
struct collect_case {
    const char *bus;
    bool serial, echo;
    const char *lost; /* why there is no line, for 2 s or more; NULL: there is one */
    const struct collect_device *cable; /* the first behind a break; NULL: none */
    int64_t timeout_ms;
    int64_t frame_errors; /* framing and parity errors that the kernel counted; -1: it does not */
    struct collect_evidence **units;
    size_t n;
    uint32_t before; /* findings of the last judgement, 1 << COLLECT_FIND_…: they stay longer */
};
/* What is found, as flags 1 << COLLECT_FIND_…, STORE_FINDINGS_MAX at most; out, unless NULL, takes
 * the words of each in the order of the flags, the weightiest first; since_ms is left 0. Pure, but
 * for `all` and what stands behind it in the units. */
uint32_t collect_doctor_judge(struct collect_case *c, struct store_finding *out);
/* Whether an event of its own tells the finding; others are told by bus.down, device.silent, … */
bool collect_doctor_tells(int finding);
const char *collect_doctor_fault(int finding); /* the likely fault, a sentence */

/* ---- words (doctor_say.c) ------------------------------------------------------------------- */

/* Whom it is about, and the figures of these units together, which are `sum`. */
void collect_say(const struct collect_case *c, const struct collect_tally *sum,
                 struct store_finding *f);
/* What these do not say. */
typedef void collect_say_more(const struct collect_case *c, const struct collect_tally *sum,
                              struct store_finding *f);
collect_say_more collect_say_lost, collect_say_cut, collect_say_unwired, collect_say_speed,
    collect_say_length, collect_say_timeout, collect_say_both, collect_say_errors;
unsigned collect_tally_late(const struct collect_tally *t);

/* ---- the line doctor at a running bus (attend.c) -------------------------------------------- */

/* For a bus whose devices are known: room for what is counted of each unit. */
enum st collect_doctor_make(struct collect_bus *b, struct err *e) ST_MUST_CHECK;
void collect_doctor_free(struct collect_bus *b);
/* A request to the unit is over; bytes came after one. */
void collect_doctor_heard(struct collect_bus *b, struct collect_unit *u,
                          const struct collect_sign *sign, struct mono now);
void collect_doctor_stray(struct collect_bus *b, const struct collect_came *came);
/* The figures of a unit for its devices' health. */
void collect_doctor_figures(const struct collect_unit *u, struct store_heard *out);
/* After each poll and probe, once a second at most: judges the line, puts the findings on the
 * store's board and tells when one begins and when it ends. why: the line is lost; NULL: it is
 * not. */
void collect_doctor_attend(const struct collect_bus_job *job, struct collect_bus *b,
                           const char *why);

#endif
