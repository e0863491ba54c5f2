/* A chip: what every driver is, and what it may use of its board.
 *
 * start begins one conversion, collect brings all quantities of that conversion. Neither waits:
 * what takes time is said (ready_ms), or ST_BUSY asks to be called again. One call keeps the
 * processor for at most 2 ms on an I2C of 100 kbit/s, so that the node answers its line in time
 * whatever a sensor does; what takes longer (1-Wire, HX711) does a part a call. No OS, no memory of
 * its own, no floating point. One thread. */
#ifndef SENSORS_SENSOR_H
#define SENSORS_SENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sensors/status.h"

/* ---- what a board has; the functions never block beyond the transfer itself -------------------
 */

/* Writes nw bytes to the 7-bit address, then, with a repeated start, reads nr. Either may be 0;
 * both 0 asks whether it is there. ST_OK; ST_NOT_FOUND: it did not acknowledge its address;
 * ST_REFUSED: nor a byte; ST_IO: the bus is stuck (the board tries to clock it free before it says
 * so). */
struct sensor_i2c {
    enum st (*transfer)(void *ctx, uint8_t address, const uint8_t *w, size_t nw, uint8_t *r,
                        size_t nr);
    void *ctx;
};
/* What came is kept by the board, the newest `room` bytes. */
struct sensor_uart {
    size_t (*read)(void *ctx, uint8_t *p, size_t room);      /* takes what is there, 0: nothing */
    enum st (*write)(void *ctx, const uint8_t *p, size_t n); /* ST_BUSY: there is no room now */
    void *ctx;
};
/* reset: ST_NOT_FOUND when nobody answers with its presence, ST_IO when the line is held low. */
struct sensor_wire {
    enum st (*reset)(void *ctx);
    void (*write)(void *ctx, uint8_t byte);
    uint8_t (*read)(void *ctx);
    void *ctx;
};
/* A chip that is clocked by hand: gives `pulses` clocks (at most 32) and brings the data line's
 * level at each, the first in the highest bit used. `ready` is that level before any clock. */
struct sensor_clocked {
    bool (*ready)(void *ctx);
    uint32_t (*clock)(void *ctx, unsigned pulses);
    void *ctx;
};
/* Pulses since the start, counted by the board's interrupt or timer; wraps. */
struct sensor_pulses {
    uint32_t (*count)(void *ctx);
    void *ctx;
};

/* ---- a driver ---------------------------------------------------------------------------------
 */

#define SENSOR_OUTPUTS 8
#define SENSOR_STATE_BYTES 48

struct sensor_output {
    uint16_t quantity; /* id in quantity.def */
    int8_t exponent;   /* value = raw * 10^exponent in the quantity's unit */
    bool counter;      /* raw grows from 0 to 2147483647 and then from 0; kept through power loss */
    int32_t min, max;  /* what the chip can measure, raw, inclusive */
};

struct sensor;
struct sensor_driver {
    const char *name;
    uint16_t id; /* in drivers.def; never reused */
    uint8_t noutputs;
    const struct sensor_output *outputs;
    uint16_t period_ds; /* how often it is measured by default, 0.1 s */
    /* Begins a conversion, setting the chip up first where it was not since it came. ST_OK: collect
     * after *ready_ms. Else what is the matter, as collect says it. */
    enum st (*start)(struct sensor *s, uint16_t *ready_ms);
    /* raw: one per output, written only with ST_OK. ST_BUSY: not yet, ask again in *ready_ms (the
     * node gives up after ten periods of patience of its own). ST_NOT_FOUND: it does not answer;
     * ST_CORRUPT: a wrong check sum; ST_BAD: it says itself that something is wrong with it, or
     * answers what its data sheet excludes; ST_IO: the bus is. After a failure the next start
     * sets the chip up anew. */
    enum st (*collect)(struct sensor *s, int32_t *raw, uint16_t *ready_ms);
};

/* One chip on a board; const but for its state. `setting` is the driver's own, from the board's
 * table (a shunt in milliohms, a gain), and said in its header; 0 where it has none. */
struct sensor {
    const struct sensor_driver *driver;
    const void *io; /* the bus that its driver's header names: struct sensor_i2c, _uart, … */
    uint8_t address;
    int32_t setting[4];
    union {
        uint8_t bytes[SENSOR_STATE_BYTES];
        uint32_t aligned;
    } state; /* zeroed before the first start; the driver's own */
};

/* All drivers, in the order of drivers.def. */
extern const struct sensor_driver *const sensor_drivers[];
extern const size_t sensor_driver_count;
/* NULL: none. */
const struct sensor_driver *sensor_driver_by_id(uint16_t id);

#endif
