/* The rings between interrupts and the loop. */
#include "firmware/mcu/ring.h"

void ring_line_put(struct ring_line *r, uint8_t byte, uint32_t at_us, bool flaw)
{
    uint8_t head = r->head;
    if ((uint8_t)(head - r->tail) >= RING_LINE) {
        r->lost = true;
        return;
    }
    r->byte[head % RING_LINE] = byte;
    r->at[head % RING_LINE] = (at_us & ~1U) | (flaw || r->lost);
    r->lost = false;
    __asm volatile("" ::: "memory"); /* the byte before the count that shows it */
    r->head = (uint8_t)(head + 1);
}

bool ring_line_get(struct ring_line *r, uint8_t *byte, uint32_t *at_us, bool *flaw)
{
    uint8_t tail = r->tail;
    if (r->head == tail)
        return false;
    __asm volatile("" ::: "memory");
    *byte = r->byte[tail % RING_LINE];
    *at_us = r->at[tail % RING_LINE] & ~1U;
    *flaw = r->at[tail % RING_LINE] & 1U;
    __asm volatile("" ::: "memory"); /* read before its place is given back */
    r->tail = (uint8_t)(tail + 1);
    return true;
}

void ring_line_drop(struct ring_line *r)
{
    r->tail = r->head;
    r->lost = false;
}

void ring_bytes_put(struct ring_bytes *r, uint8_t byte)
{
    r->byte[r->head % RING_BYTES] = byte;
    r->head++;
}

size_t ring_bytes_take(struct ring_bytes *r, uint8_t *p, size_t room)
{
    if (r->head - r->tail > RING_BYTES)
        r->tail = r->head - RING_BYTES;
    size_t n = 0;
    while (n < room && r->tail != r->head)
        p[n++] = r->byte[r->tail++ % RING_BYTES];
    return n;
}

bool ring_command_put(struct ring_command *c, const uint8_t *p, size_t n)
{
    if (c->at < c->n || n > RING_COMMAND)
        return false;
    for (size_t i = 0; i < n; i++)
        c->byte[i] = p[i];
    c->at = 0;
    c->n = (uint8_t)n;
    return true;
}

bool ring_command_next(struct ring_command *c, uint8_t *byte)
{
    if (c->at >= c->n)
        return false;
    *byte = c->byte[c->at++];
    return true;
}
