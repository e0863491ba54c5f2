/* One simulated device: its registers, the values behind them, and when they move on.
 *
 * Values stand still while a poll is in progress. With a counter, the device moves on (counter + 1,
 * next trace row) once a request that covers the counter's registers was answered, and the served
 * values are logged. Without one it moves on where a new poll begins: at a request that does not
 * lie above the one before. One thread. */
#ifndef TESTS_SIM_DEVICE_H
#define TESTS_SIM_DEVICE_H

#include <stdio.h>

#include "tests/sim/frame.h"
#include "tests/sim/profile.h"
#include "tests/sim/settings.h"
#include "tests/sim/trace.h"

enum sim_formula {
    SIM_CONSTANT, /* value */
    SIM_RAMP,     /* from, from + step, … and back to from beyond `to`, unless to <= from */
    SIM_SINE,     /* value + amplitude × sin, `period` polls long */
    SIM_WALK,     /* from the middle of [from, to], each poll at most `step` up or down */
    SIM_RANDOM,   /* anywhere in [from, to] */
    SIM_REPLAY,   /* rows × rescale + value, from row `row` on */
};
struct sim_source {
    enum sim_formula formula;
    double value, from, to, step, amplitude, period;
    const struct sim_series *series;
    uint64_t row;
    double rescale;
    const char *text; /* of a string point; may be NULL */
};

struct sim_point {
    const struct sim_profile_point *is;
    struct sim_spec spec;
    struct sim_source source;
    double walk;
    uint16_t regs;
    bool asked; /* since the device moved on last */
    uint8_t be[SIM_RAW_BYTES];
};

/* The registers (or bits) of one function, from its lowest point to its highest. */
struct sim_bank {
    uint32_t first, n;
    uint8_t *wire;   /* two bytes a register, one a bit */
    uint16_t *point; /* per register: index + 1 of its point, 0 in a hole */
};

struct sim_fault_rule {
    uint64_t first, last; /* polls, from 1 */
    uint64_t every;       /* or every N polls; 0: the range */
    enum sim_fault fault;
};

struct sim_device {
    const char *id;
    uint8_t unit;
    const struct sim_profile *profile;
    struct sim_point *points;
    size_t n;
    int counter;                    /* index of its point, -1: none */
    uint64_t advance;               /* what the counter says; from 1 */
    uint64_t polls;                 /* begun so far, answered or not: what fault rules count */
    int64_t baud;                   /* the only speed at which it hears; 0: at any */
    int parity;                     /* with it: 'N', 'E', 'O' */
    int64_t late_ms, busy_until_ms; /* it answers in the order in which it was asked */
    struct sim_fault_rule *rules;
    size_t nrules;
    enum sim_fault forced; /* from the control input, for forced_left requests */
    uint64_t forced_left;
    uint64_t random;
    struct sim_bank banks[4];
    uint32_t last_request;
    struct sim_settings settings; /* its unit is that of `now` when it has them */
    bool in_poll;                 /* a request was answered since the device moved on */
};

/* Lays out the registers and fills the first values. points (with is, spec-free, and source filled)
 * must stay. Fails with words when the counter is no integer or points overlap. */
enum st sim_device_open(struct sim_device *d, const char *counter, uint64_t seed,
                        struct err *e) ST_MUST_CHECK;
void sim_device_close(struct sim_device *d); /* leaves points and rules to their owner */

/* Call first for each request: counts polls, and moves a device without counter on. Returns the
 * fault that this request shall meet. */
enum sim_fault sim_device_request(struct sim_device *d, const uint8_t *pdu, size_t n);
/* The answer to a request as the registers stand: values, or an exception. Returns its bytes. */
size_t sim_device_answer(const struct sim_device *d, const uint8_t *pdu, size_t n,
                         uint8_t out[SIM_PDU_MAX_BYTES]);
/* The answer reached the master: notes the points; when the counter was among them, writes one row
 * `device,counter,point,value` per point noted to log (may be NULL) and moves on. */
void sim_device_served(struct sim_device *d, const uint8_t *pdu, FILE *log);

#endif
