/* What interrupts hand to the loop: bytes of the line with their times, bytes of a sensor's UART.
 * Each has one writer, an interrupt, and one reader, the loop. */
#ifndef FIRMWARE_MCU_RING_H
#define FIRMWARE_MCU_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* At 115200 bit/s a byte comes in 87 us: 5 ms of a loop that is elsewhere. */
#define RING_LINE 64U
struct ring_line {
    uint32_t at[RING_LINE]; /* us; the lowest bit says that the byte is flawed */
    uint8_t byte[RING_LINE];
    volatile uint8_t head, tail; /* count on from 255 to 0 */
    volatile bool lost;          /* since the last byte that was put */
};
/* By the interrupt. What does not fit is lost, and the next byte says so. */
void ring_line_put(struct ring_line *r, uint8_t byte, uint32_t at_us, bool flaw);
/* As port_line_get. */
bool ring_line_get(struct ring_line *r, uint8_t *byte, uint32_t *at_us, bool *flaw);
static inline bool ring_line_empty(const struct ring_line *r)
{
    return r->head == r->tail;
}
void ring_line_drop(struct ring_line *r);

/* The newest 64 bytes: two frames of a particle sensor. */
#define RING_BYTES 64U
struct ring_bytes {
    uint8_t byte[RING_BYTES];
    volatile uint32_t head;
    uint32_t tail;
};
void ring_bytes_put(struct ring_bytes *r, uint8_t byte);
/* As sensor_uart's read. The interrupt must not come while it copies: its caller masks it. */
size_t ring_bytes_take(struct ring_bytes *r, uint8_t *p, size_t room);

/* A command on its way to a sensor: the longest is SPS30's, 7 bytes that may be stuffed. */
#define RING_COMMAND 24U
struct ring_command {
    uint8_t byte[RING_COMMAND];
    volatile uint8_t n, at;
};
/* false: the one before is still under way, or it is too long. Else the caller sends the first byte
 * (ring_command_next), and the interrupt the others. Masked like ring_bytes_take. */
bool ring_command_put(struct ring_command *c, const uint8_t *p, size_t n);
bool ring_command_next(struct ring_command *c, uint8_t *byte);

#endif
