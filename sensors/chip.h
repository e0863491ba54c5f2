/* What chip drivers share: numbers on the wire, check sums, arithmetic, registers on I2C.
 *
 * Pure but for the transfers; any thread that owns the sensor. */
#ifndef SENSORS_CHIP_H
#define SENSORS_CHIP_H

#include "sensors/quantity.h"
#include "sensors/sensor.h"

/* Declares state_of(s): the sensor's state as the driver's own struct, which must be declared with
 * CHIP_STATE before its name. All zero means that the chip is not set up. */
#define CHIP_STATE __attribute__((may_alias))
#define CHIP_STATE_OF(type)                                                                        \
    _Static_assert(sizeof(type) <= SENSOR_STATE_BYTES, "the state is too large");                  \
    static inline type *state_of(struct sensor *s)                                                 \
    {                                                                                              \
        return (type *)(void *)s->state.bytes;                                                     \
    }

static inline uint16_t chip_be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint16_t chip_le16(const uint8_t *p)
{
    return (uint16_t)(p[1] << 8 | p[0]);
}
static inline int32_t chip_signed16(uint16_t v)
{
    return v < 0x8000 ? (int32_t)v : (int32_t)v - 0x10000;
}

/* a / b, rounded half away from zero; b > 0. */
int64_t chip_div(int64_t a, int64_t b);
/* Into the range of a raw value that is one. */
int32_t chip_clamp(int64_t v);

/* CRC-8 of Sensirion's chips: polynomial 0x31, begins with 0xFF; 0xBEEF gives 0x92. */
uint8_t chip_crc_sensirion(const uint8_t *p, size_t n);
/* CRC-8 of 1-Wire: polynomial 0x31 reflected (0x8C), begins with 0. */
uint8_t chip_crc_wire(const uint8_t *p, size_t n);

/* A failure: the chip counts as not set up. Gives `why`, as a driver may say it: a refused byte is
 * ST_BAD. */
enum st chip_failed(struct sensor *s, enum st why);
/* ST_BUSY, and *ready_ms = wait_ms; the (most + 1)th time running the failure ST_NOT_FOUND.
 * `tries` lies in the state, and is zeroed by who gets on. */
enum st chip_busy(struct sensor *s, uint8_t *tries, unsigned most, uint16_t wait_ms,
                  uint16_t *ready_ms);

/* A transfer on the sensor's bus, to its address. */
ST_MUST_CHECK enum st chip_i2c(struct sensor *s, const uint8_t *w, size_t nw, uint8_t *r,
                               size_t nr);
/* Writes two bytes of a command. */
ST_MUST_CHECK enum st chip_command(struct sensor *s, uint16_t command);
/* Reads n words (at most 3) of Sensirion's, each followed by its CRC. ST_CORRUPT; else the bus's.
 */
ST_MUST_CHECK enum st chip_read_words(struct sensor *s, uint16_t *words, size_t n);
/* What such a word means where 0 is `from` and 65535 is `span` more. */
int32_t chip_linear(uint16_t word, int32_t from, int32_t span);
/* Registers of 8 and of 16 bits, high byte first, behind an address of 8. */
ST_MUST_CHECK enum st chip_write8(struct sensor *s, uint8_t at, uint8_t value);
ST_MUST_CHECK enum st chip_write16(struct sensor *s, uint8_t at, uint16_t value);
ST_MUST_CHECK enum st chip_read16(struct sensor *s, uint8_t at, uint16_t *value);

/* What came on the sensor's serial port, at most `room`. */
size_t chip_uart(struct sensor *s, uint8_t *p, size_t room);
/* Drops what the sensor sent until now: it is of before. */
void chip_uart_drain(struct sensor *s);

#endif
