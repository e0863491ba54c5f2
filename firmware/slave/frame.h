/* Where a frame begins and ends on the line (MODBUS over Serial Line V1.02, 2.5.1.1).
 *
 * By silence: a frame ends with 3.5 characters of it, and a gap of more than 1.5 within it spoils
 * the frame. Both are computed from the speed up to 19200 bit/s and fixed above. By content, where
 * time tells nothing: a frame is there as soon as the tail of what was heard is a whole request to
 * this node; the board's silence then only ends what nobody understood.
 *
 * Pure: time comes with the bytes, in µs that wrap. One thread. */
#ifndef FIRMWARE_FRAME_H
#define FIRMWARE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "firmware/slave/slave.h"

struct frame_line {
    uint32_t baud;
    uint8_t bits;            /* of a character: start, data, parity and stop, 10 to 12 */
    uint32_t t15_us, t35_us; /* above 19200 bit/s */
    bool by_content;
};

struct frame {
    uint8_t byte[SLAVE_FRAME_MAX];
    uint16_t n;     /* bytes there */
    uint16_t run;   /* of them, those since the last silence */
    uint16_t whole; /* by content: length of the request at the tail */
    bool by_content, spoilt;
    uint8_t address;                  /* the node's own */
    uint32_t char_us, t15_us, t35_us; /* in force */
    uint32_t last_us;                 /* when the newest byte was complete */
    uint32_t crc_errors;              /* frames; kept by frame_open */
    uint32_t flaws;                   /* bytes; kept by frame_open */
};

/* Begins anew on such a line. */
void frame_open(struct frame *f, const struct frame_line *as, uint8_t address);
/* Whether something was heard whose end is not yet known: do not sleep, a silence must be measured.
 */
bool frame_hearing(const struct frame *f);
/* Whether a frame has ended when no character began before until_us: then frame_take, before the
 * next byte is put. For a byte that came at t this is t - char_us; for the time now, when nothing
 * more had come, now - char_us. */
bool frame_ended(const struct frame *f, uint32_t until_us);
/* A byte that was complete at at_us. true: by content a request is whole; then frame_take. */
bool frame_put(struct frame *f, uint8_t byte, uint32_t at_us, bool flaw);
/* What ended: its bytes, within f and good until the next put; 0 bytes: it is spoilt, too long, or
 * its CRC is wrong, and that is counted. It is gone then. */
size_t frame_take(struct frame *f, uint8_t **p);

#endif
