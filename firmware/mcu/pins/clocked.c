/* A chip that shifts out a bit with each clock. */
#include "firmware/mcu/pins/pins.h"

bool pins_clocked_ready(void *ctx)
{
    const struct pins_clocked *c = ctx;
    return !c->data_is();
}

uint32_t pins_clocked_clock(void *ctx, unsigned pulses)
{
    const struct pins_clocked *c = ctx;
    uint32_t bits = 0;
    for (unsigned i = 0; i < pulses; i++) {
        c->mask();
        c->clock(true);
        c->wait();
        bool is = c->data_is();
        c->clock(false);
        c->unmask();
        c->wait();
        bits = bits << 1 | is;
    }
    return bits;
}
