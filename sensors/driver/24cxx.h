/* 24C01 to 24C512: the memory of a node, an EEPROM on I2C. No sensor: a board's port makes its
 * port_memory_read and port_memory_write of this.
 *
 *   static struct sensor_eeprom memory = {.bus = &i2c, .now_ms = port_ms, .address = 0x50,
 *                                         .bytes = 4096, .page = 32};
 *   enum st port_memory_write(uint32_t at, const uint8_t *p, size_t n)
 *   {
 *       return sensor_eeprom_write(&memory, at, p, n);
 *   }
 *
 * Facts: "24AA256/24LC256/24FC256", Microchip DS21203, and "24AA16/24LC16B", DS21703: a write goes
 * round within its page; behind it the chip is deaf for up to 5 ms (10 ms of old ones) and does not
 * acknowledge its address, by which one asks whether it is done. Up to 2 KiB a place has one byte,
 * and its higher bits stand in the chip's address; above, it has two bytes.
 *
 * Neither waits. A byte takes 90 us at 100 kbit/s, and three or four more frame them: who has an
 * answer due moves 16 bytes a call. One thread. */
#ifndef SENSORS_DRIVER_24CXX_H
#define SENSORS_DRIVER_24CXX_H

#include "sensors/sensor.h"

#define SENSOR_EEPROM_WRITE_MAX 32U
#define SENSOR_EEPROM_WRITE_MS 20U /* that a chip may be deaf behind a write */

struct sensor_eeprom {
    const struct sensor_i2c *bus;
    uint32_t (*now_ms)(void); /* wraps */
    uint32_t bytes;           /* 128 to 65536, a power of two */
    uint16_t page;            /* bytes, a power of two */
    uint8_t address;          /* 0x50 to 0x57; of 24C04 to 24C16 the first of theirs */
    bool idle;                /* its own, begins as false, as does the next as 0 */
    uint32_t wrote_ms;
};

/* ST_OK; ST_BUSY: it still writes, ask again; ST_BAD: beyond its end, or over the end of a page, or
 * more than SENSOR_EEPROM_WRITE_MAX; ST_NOT_FOUND: it does not answer; ST_REFUSED: it answers, but
 * not to what was sent; ST_IO: the bus is stuck. ST_OK of a write says that the chip took the
 * bytes, not that it keeps them: who must know reads them again. */
ST_MUST_CHECK enum st sensor_eeprom_read(struct sensor_eeprom *e, uint32_t at, uint8_t *p,
                                         size_t n);
ST_MUST_CHECK enum st sensor_eeprom_write(struct sensor_eeprom *e, uint32_t at, const uint8_t *p,
                                          size_t n);

#endif
