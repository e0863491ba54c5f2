#include "sensors/chip.h"

int64_t chip_div(int64_t a, int64_t b)
{
    return a < 0 ? -((b / 2 - a) / b) : (a + b / 2) / b;
}

int32_t chip_clamp(int64_t v)
{
    if (v > INT32_MAX)
        return INT32_MAX;
    return v < -INT32_MAX ? -INT32_MAX : (int32_t)v;
}

uint8_t chip_crc_sensirion(const uint8_t *p, size_t n)
{
    unsigned crc = 0xFF;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x80U ? (crc << 1 ^ 0x31U) & 0xFFU : crc << 1;
    }
    return (uint8_t)crc;
}

uint8_t chip_crc_wire(const uint8_t *p, size_t n)
{
    unsigned crc = 0;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1U ? crc >> 1 ^ 0x8CU : crc >> 1;
    }
    return (uint8_t)crc;
}

enum st chip_failed(struct sensor *s, enum st why)
{
    for (size_t i = 0; i < sizeof s->state.bytes; i++)
        s->state.bytes[i] = 0;
    return why == ST_REFUSED ? ST_BAD : why;
}

enum st chip_busy(struct sensor *s, uint8_t *tries, unsigned most, uint16_t wait_ms,
                  uint16_t *ready_ms)
{
    if (*tries >= most)
        return chip_failed(s, ST_NOT_FOUND);
    *tries = (uint8_t)(*tries + 1);
    *ready_ms = wait_ms;
    return ST_BUSY;
}

enum st chip_i2c(struct sensor *s, const uint8_t *w, size_t nw, uint8_t *r, size_t nr)
{
    const struct sensor_i2c *bus = s->io;
    return bus->transfer(bus->ctx, s->address, w, nw, r, nr);
}

enum st chip_command(struct sensor *s, uint16_t command)
{
    uint8_t w[] = {(uint8_t)(command >> 8), (uint8_t)command};
    return chip_i2c(s, w, sizeof w, NULL, 0);
}

enum st chip_read_words(struct sensor *s, uint16_t *words, size_t n)
{
    uint8_t frame[9];
    enum st st = chip_i2c(s, NULL, 0, frame, 3 * n);
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        const uint8_t *p = frame + 3 * i;
        if (chip_crc_sensirion(p, 2) != p[2])
            st = ST_CORRUPT;
        words[i] = chip_be16(p);
    }
    return st;
}

int32_t chip_linear(uint16_t word, int32_t from, int32_t span)
{
    return from + (int32_t)chip_div((int64_t)span * word, 65535);
}

enum st chip_write8(struct sensor *s, uint8_t at, uint8_t value)
{
    uint8_t w[] = {at, value};
    return chip_i2c(s, w, sizeof w, NULL, 0);
}

enum st chip_write16(struct sensor *s, uint8_t at, uint16_t value)
{
    uint8_t w[] = {at, (uint8_t)(value >> 8), (uint8_t)value};
    return chip_i2c(s, w, sizeof w, NULL, 0);
}

enum st chip_read16(struct sensor *s, uint8_t at, uint16_t *value)
{
    uint8_t r[2];
    enum st st = chip_i2c(s, &at, 1, r, sizeof r);
    if (st == ST_OK)
        *value = chip_be16(r);
    return st;
}

size_t chip_uart(struct sensor *s, uint8_t *p, size_t room)
{
    const struct sensor_uart *uart = s->io;
    return uart->read(uart->ctx, p, room);
}

void chip_uart_drain(struct sensor *s)
{
    uint8_t bytes[16];
    /* No more than a board keeps, and some that come meanwhile. */
    for (unsigned i = 0; i < 20 && chip_uart(s, bytes, sizeof bytes) > 0; i++)
        ;
}
