#include "sensors/driver/24cxx.h"

enum { ONE_BYTE = 2048 }; /* the largest whose places have one byte */

/* Whether it hears: at the start of the node it may still write what the last one wrote. */
static enum st heard(struct sensor_eeprom *e)
{
    if (e->idle)
        return ST_OK;
    enum st st = e->bus->transfer(e->bus->ctx, e->address, NULL, 0, NULL, 0);
    if (st == ST_NOT_FOUND && e->now_ms() - e->wrote_ms < SENSOR_EEPROM_WRITE_MS)
        return ST_BUSY;
    e->idle = st == ST_OK;
    return st;
}

/* The chip's address for that place, and the place's bytes into w. */
static uint8_t place(const struct sensor_eeprom *e, uint32_t at, uint8_t *w, size_t *n)
{
    *n = 0;
    if (e->bytes > ONE_BYTE)
        w[(*n)++] = (uint8_t)(at >> 8);
    w[(*n)++] = (uint8_t)at;
    return e->bytes > ONE_BYTE ? e->address : (uint8_t)(e->address | at >> 8);
}

static bool inside(const struct sensor_eeprom *e, uint32_t at, size_t n)
{
    return n <= e->bytes && at <= e->bytes - n;
}

enum st sensor_eeprom_read(struct sensor_eeprom *e, uint32_t at, uint8_t *p, size_t n)
{
    uint8_t w[2];
    size_t nw;
    if (!inside(e, at, n))
        return ST_BAD;
    enum st st = heard(e);
    if (st != ST_OK || n == 0)
        return st;
    uint8_t address = place(e, at, w, &nw);
    return e->bus->transfer(e->bus->ctx, address, w, nw, p, n);
}

enum st sensor_eeprom_write(struct sensor_eeprom *e, uint32_t at, const uint8_t *p, size_t n)
{
    uint8_t w[2 + SENSOR_EEPROM_WRITE_MAX];
    size_t nw;
    if (!inside(e, at, n) || n > SENSOR_EEPROM_WRITE_MAX || at % e->page + n > e->page)
        return ST_BAD;
    enum st st = heard(e);
    if (st != ST_OK || n == 0)
        return st;
    uint8_t address = place(e, at, w, &nw);
    for (size_t i = 0; i < n; i++)
        w[nw++] = p[i];
    /* Of a write that broke off it may have kept some, and be at it. */
    e->idle = false;
    e->wrote_ms = e->now_ms();
    return e->bus->transfer(e->bus->ctx, address, w, nw, NULL, 0);
}
