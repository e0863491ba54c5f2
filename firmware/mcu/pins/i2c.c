/* I2C of two open-drain pins. */
#include "firmware/mcu/pins/pins.h"

static bool rise(const struct pins_i2c *b)
{
    b->scl(true);
    for (unsigned i = 0; !b->scl_is(); i++) {
        if (i == PINS_STRETCH)
            return false;
        b->wait();
    }
    b->wait();
    return true;
}

static void fall(const struct pins_i2c *b)
{
    b->scl(false);
    b->wait();
}

/* SDA falls, or rises, while SCL is high. */
static bool start(const struct pins_i2c *b)
{
    b->sda(true);
    if (!rise(b) || !b->sda_is())
        return false;
    b->sda(false);
    b->wait();
    fall(b);
    return true;
}

static bool stop(const struct pins_i2c *b)
{
    b->sda(false);
    bool rose = rise(b);
    b->sda(true);
    b->wait();
    return rose && b->sda_is();
}

static enum st clear(const struct pins_i2c *b)
{
    b->sda(true);
    for (int i = 0; i < 9 && !b->sda_is(); i++) {
        fall(b);
        if (!rise(b))
            return ST_IO;
    }
    fall(b);
    if (!stop(b))
        return ST_IO;
    if (*b->recoveries < UINT16_MAX)
        ++*b->recoveries;
    return ST_OK;
}

/* One bit out, and what the line then was. */
static int bit(const struct pins_i2c *b, bool high)
{
    b->sda(high);
    b->wait();
    if (!rise(b))
        return -1;
    bool was = b->sda_is();
    fall(b);
    return was;
}

/* -1: the bus is stuck, 0: acknowledged, 1: not. */
static int put(const struct pins_i2c *b, uint8_t byte)
{
    for (unsigned mask = 0x80; mask != 0; mask >>= 1)
        if (bit(b, (byte & mask) != 0) < 0)
            return -1;
    return bit(b, true);
}

static int get(const struct pins_i2c *b, uint8_t *byte, bool more)
{
    unsigned v = 0;
    for (int i = 0; i < 8; i++) {
        int is = bit(b, true);
        if (is < 0)
            return -1;
        v = v << 1 | (unsigned)is;
    }
    *byte = (uint8_t)v;
    return bit(b, !more);
}

static enum st addressed(const struct pins_i2c *b, uint8_t address, bool reads)
{
    if (!start(b))
        return ST_IO;
    int ack = put(b, (uint8_t)(address << 1 | reads));
    return ack < 0 ? ST_IO : ack > 0 ? ST_NOT_FOUND : ST_OK;
}

static enum st moved(const struct pins_i2c *b, uint8_t address, const uint8_t *w, size_t nw,
                     uint8_t *r, size_t nr)
{
    if (nw > 0 || nr == 0) {
        enum st st = addressed(b, address, false);
        if (st != ST_OK)
            return st;
        for (size_t i = 0; i < nw; i++) {
            int ack = put(b, w[i]);
            if (ack != 0)
                return ack < 0 ? ST_IO : ST_REFUSED;
        }
    }
    if (nr == 0)
        return ST_OK;
    enum st st = addressed(b, address, true);
    for (size_t i = 0; st == ST_OK && i < nr; i++)
        if (get(b, &r[i], i + 1 < nr) < 0)
            st = ST_IO;
    return st;
}

enum st pins_i2c_transfer(void *ctx, uint8_t address, const uint8_t *w, size_t nw, uint8_t *r,
                          size_t nr)
{
    const struct pins_i2c *b = ctx;
    b->sda(true);
    if (!rise(b))
        return ST_IO;
    if (!b->sda_is() && clear(b) != ST_OK)
        return ST_IO;
    enum st st = moved(b, address, w, nw, r, nr);
    if (!stop(b) && st == ST_OK)
        st = ST_IO;
    return st;
}
