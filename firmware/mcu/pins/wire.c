/* 1-Wire: a slot is begun by the master's low level; its length, or who holds the line longer, is
 * the bit. */
#include "firmware/mcu/pins/pins.h"

enum st pins_wire_reset(void *ctx)
{
    const struct pins_wire *w = ctx;
    w->line(true);
    w->wait_us(5);
    if (!w->line_is())
        return ST_IO;
    w->line(false);
    w->wait_us(480);
    w->mask();
    w->line(true);
    w->wait_us(70);
    bool present = !w->line_is();
    w->unmask();
    w->wait_us(410);
    if (!w->line_is())
        return ST_IO;
    return present ? ST_OK : ST_NOT_FOUND;
}

static bool slot(const struct pins_wire *w, bool high)
{
    w->mask();
    w->line(false);
    w->wait_us(high ? 2 : 60);
    w->line(true);
    w->wait_us(high ? 7 : 1); /* read within 15 us of the fall, calls and all */
    bool was = w->line_is();
    w->unmask();
    w->wait_us(high ? 53 : 5);
    return was;
}

void pins_wire_write(void *ctx, uint8_t byte)
{
    for (unsigned i = 0; i < 8; i++)
        (void)slot(ctx, ((unsigned)byte >> i & 1U) != 0);
}

uint8_t pins_wire_read(void *ctx)
{
    unsigned v = 0;
    for (unsigned i = 0; i < 8; i++)
        v |= (unsigned)slot(ctx, true) << i;
    return (uint8_t)v;
}
