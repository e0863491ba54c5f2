/* Modbus frames, TCP and RTU, as a slave sees them, and every way to get an answer wrong.
 * Pure; any thread. */
#ifndef TESTS_SIM_FRAME_H
#define TESTS_SIM_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/base/cfg.h"

#define SIM_PDU_MAX_BYTES 253
#define SIM_FRAME_MAX_BYTES 600 /* two answers, or one with noise around it */

enum sim_fault {
    SIM_FAULT_NONE,
    SIM_FAULT_EXCEPTION,  /* 4: slave device failure */
    SIM_FAULT_GARBAGE,    /* random bytes */
    SIM_FAULT_WRONG_UNIT, /* as if from the next unit */
    SIM_FAULT_LATE,       /* the right answer after the device's `late` */
    SIM_FAULT_SILENT,
    SIM_FAULT_HALF,           /* the first half of the frame */
    SIM_FAULT_CRC,            /* RTU only */
    SIM_FAULT_WRONG_LENGTH,   /* one register fewer than asked for, else well formed */
    SIM_FAULT_OTHER_FUNCTION, /* 3 for 4 and so on */
    SIM_FAULT_DUPLICATE,      /* the right answer twice */
    SIM_FAULT_WRONG_TID,      /* TCP only: another transaction */
    SIM_FAULT_CLOSE,          /* TCP only: hangs up without an answer */
    SIM_FAULT_REFUSE_JOINED,  /* exception 2, when it asks for anything but exactly one point */
    SIM_FAULT_SILENT_JOINED,  /* the same, without an answer */
    SIM_FAULT_LONG,           /* one register more than asked for, else well formed */
    SIM_FAULT_SLOW,           /* the right answer, byte by byte */
    SIM_FAULT_JOINED,         /* another's answer and the right one at once */
    SIM_FAULT_RESET,          /* TCP only: half a frame, then a reset of the connection */
    SIM_FAULT_ECHO,           /* RTU only: the request, then the right answer */
    SIM_FAULT_NOISE,          /* RTU only: the right answer amid random bytes */
    SIM_FAULT_BROADCAST,      /* RTU only: another master writes to all, then the right answer */
    SIM_FAULT_SWAP,           /* the words of each pair of registers change places */
    SIM_FAULT_WORN,           /* RTU only: of each byte one bit is wrong once in 200 times */
    SIM_FAULT_CLASH, /* RTU only: a second device with its number answers a byte or more later */
    SIM_FAULT_SPEED, /* RTU only: heard at twice the speed that it was sent with */
    SIM_FAULTS
};
extern const struct cfg_word sim_fault_words[];
bool sim_fault_fits(enum sim_fault f, bool tcp);
/* Whether a master gets the values all the same; one that is strict may refuse some of them. All
 * other answers carry SIM_POISON instead of values, so that a master that believes them shows it.
 */
bool sim_fault_serves(enum sim_fault f);
#define SIM_POISON 0xdead

struct sim_request {
    bool tcp;
    uint16_t tid;
    uint8_t unit;
    const uint8_t *pdu; /* into the buffer; NULL: what was taken is no request */
    size_t n;
};
/* Takes one request from the front of buf; returns the bytes it took, 0 when there must be more. */
size_t sim_frame_take(bool tcp, const uint8_t *buf, size_t n, struct sim_request *out);
/* Frames an answer, spoilt as f says; random is the source of garbage. Returns bytes in out, 0 for
 * none. SIM_FAULT_LATE is framed well: when it is sent is the caller's. */
size_t sim_frame_answer(const struct sim_request *r, const uint8_t *pdu, size_t n, enum sim_fault f,
                        uint64_t *random, uint8_t out[SIM_FRAME_MAX_BYTES]);

uint16_t sim_crc(const uint8_t *p, size_t n);
uint64_t sim_random(uint64_t *state); /* xorshift64*; the state must not be 0 */

#endif
