/* Buses that are made of two pins: I2C (UM10204), 1-Wire, and a chip that is clocked by hand. They
 * are the same on every part; the board gives the pins. Tested on the host with pins that a test
 * moves. One thread: the loop; interrupts may lengthen a level, which I2C and the clocked chip
 * bear, and 1-Wire does not, so that it masks them for its slots of 70 us. */
#ifndef FIRMWARE_MCU_PINS_PINS_H
#define FIRMWARE_MCU_PINS_PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sensors/sensor.h"

/* Open drain: true lets go. */
struct pins_i2c {
    void (*scl)(bool high);
    void (*sda)(bool high);
    bool (*scl_is)(void);
    bool (*sda_is)(void);
    void (*wait)(void);   /* half a period: 5 us for 100 kbit/s */
    uint16_t *recoveries; /* counts the times that a stuck bus was clocked free, up to 65535 */
};
/* struct sensor_i2c's transfer; ctx is a const struct pins_i2c. A chip may hold SCL low for at most
 * PINS_STRETCH half periods. Before a transfer on a bus whose SDA is low it is clocked free with up
 * to nine pulses and a stop (UM10204, 3.1.16). */
enum st pins_i2c_transfer(void *ctx, uint8_t address, const uint8_t *w, size_t nw, uint8_t *r,
                          size_t nr);
#define PINS_STRETCH 100U

/* ctx of the functions of struct sensor_wire; times are those of the DS18B20's data sheet. */
struct pins_wire {
    void (*line)(bool high); /* true lets go */
    bool (*line_is)(void);
    void (*wait_us)(uint32_t us);
    void (*mask)(void);
    void (*unmask)(void);
};
enum st pins_wire_reset(void *ctx);
void pins_wire_write(void *ctx, uint8_t byte);
uint8_t pins_wire_read(void *ctx);

/* ctx of the functions of struct sensor_clocked. A clock that stays high for 60 us switches an
 * HX711 off, so that interrupts are masked while it is high. */
struct pins_clocked {
    void (*clock)(bool high);
    bool (*data_is)(void);
    void (*wait)(void); /* at least 1 us */
    void (*mask)(void);
    void (*unmask)(void);
};
bool pins_clocked_ready(void *ctx);
uint32_t pins_clocked_clock(void *ctx, unsigned pulses);

#endif
