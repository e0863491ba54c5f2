/* A chip: what every driver is, and what it may use of its board.
 *
 * start begins one conversion, collect brings all quantities of that conversion. Neither waits:
 * what takes time is said (ready_ms), or ST_BUSY asks to be called again. One call keeps the
 * processor for at most 2 ms on an I2C of 100 kbit/s (a byte takes 90 us), so that the node answers
 * its line in time whatever a sensor does; what takes longer (1-Wire, reading a calibration) does a
 * part a call. No OS, no memory of its own, no floating point. One thread.
 *
 * A new chip is a pair driver/CHIP.h and .c, a line in driver/drivers.def, and its raw frames in
 * tests/sensors/chip_CHIP.c. What drivers share is in chip.h. */
#ifndef SENSORS_SENSOR_H
#define SENSORS_SENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sensors/status.h"

/* ---- what a board has; the functions never block beyond the transfer itself -------------------
 */

/* Writes nw bytes to the 7-bit address, then, with a repeated start, reads nr; ends with a stop.
 * Either may be 0; both 0 asks whether it is there. ST_OK; ST_NOT_FOUND: it did not acknowledge its
 * address; ST_REFUSED: it did, but not a byte; ST_IO: the bus is stuck (the board tries to clock it
 * free before it says so, in less than 1 ms). */
struct sensor_i2c {
    enum st (*transfer)(void *ctx, uint8_t address, const uint8_t *w, size_t nw, uint8_t *r,
                        size_t nr);
    void *ctx;
};
/* A serial port of the sensor's own, at the speed that its driver's header names. What came is kept
 * by the board: 128 bytes or more, the newest; a byte that came with an error is left out, which
 * the check sum then shows. */
struct sensor_uart {
    size_t (*read)(void *ctx, uint8_t *p, size_t room); /* takes the oldest, 0: nothing is there */
    enum st (*write)(void *ctx, const uint8_t *p, size_t n); /* copied; ST_BUSY: no room now */
    void *ctx;
};
/* 1-Wire. A reset takes 960 us, a byte 560 us (8 slots of 70 us); interrupts may come between
 * slots. reset: ST_OK when somebody answers with its presence, ST_NOT_FOUND when nobody does, ST_IO
 * when the line is held low. */
struct sensor_wire {
    enum st (*reset)(void *ctx);
    void (*write)(void *ctx, uint8_t byte);
    uint8_t (*read)(void *ctx);
    void *ctx;
};
/* A chip that is clocked by hand: gives `pulses` clocks (1 to 32) and brings the data line's level
 * while each is high, the first in the highest bit used; each is high for less than 50 us. `ready`:
 * the data line is low before any clock. */
struct sensor_clocked {
    bool (*ready)(void *ctx);
    uint32_t (*clock)(void *ctx, unsigned pulses);
    void *ctx;
};
/* Pulses since the start of the node, free of bounces, counted by the board's interrupt or timer;
 * wraps behind 4294967295. */
struct sensor_pulses {
    uint32_t (*count)(void *ctx);
    void *ctx;
};

/* ---- a driver ---------------------------------------------------------------------------------
 */

#define SENSOR_OUTPUTS 8
#define SENSOR_STATE_BYTES 48
#define SENSOR_NO_VALUE (-2147483647 - 1) /* a raw that there is none of: see collect */
#define SENSOR_BUSY_MAX 32                /* times running that a driver says ST_BUSY, at most */

#define SENSOR_DRIVER(id, name) SENSOR_ID_##name = (id),
enum sensor_id {
#include "sensors/driver/drivers.def"
};
#undef SENSOR_DRIVER
#define SENSOR_DRIVER(id, name) SENSOR_INDEX_##name,
enum sensor_index {
#include "sensors/driver/drivers.def"
    SENSOR_DRIVERS
};
#undef SENSOR_DRIVER

struct sensor_output {
    uint16_t quantity; /* id in quantity.def */
    int8_t exponent;   /* value = raw * 10^exponent in the quantity's unit */
    bool counter;      /* raw grows from 0 to 2147483647 and then from 0. The driver begins at 0
                        * with the node; the node adds up what it grew and keeps that sum */
    int32_t min, max;  /* what the chip, or what hangs on it, can measure, raw, inclusive */
};

struct sensor;
struct sensor_driver {
    const char *name;
    uint16_t id;      /* in drivers.def; never reused */
    uint8_t noutputs; /* at most SENSOR_OUTPUTS */
    const struct sensor_output
        *outputs;       /* NULL: they depend on the board, which has to give them */
    uint16_t period_ds; /* how often it is measured by default, 0.1 s */
    /* Begins a conversion, setting the chip up first where it was not since it came; what takes
     * more than one call goes on in collect. ST_OK: collect not before *ready_ms. Else what is the
     * matter, as collect says it, never ST_BUSY. It may be called at any time, and then drops the
     * conversion that was under way, but not a warming up that is over: a node whose patience is
     * short gets there, too. */
    enum st (*start)(struct sensor *s, uint16_t *ready_ms);
    /* raw: one per output, written only with ST_OK; SENSOR_NO_VALUE where this output alone has a
     * fault (a broken loop of several), never all of them. ST_BUSY: not yet, ask again not before
     * *ready_ms, which is written with it. A driver's patience is its own: it says so at most
     * SENSOR_BUSY_MAX times running, and then ST_NOT_FOUND. ST_NOT_FOUND: it does not answer;
     * ST_CORRUPT: a wrong check sum; ST_BAD: it says itself that something is wrong with it, or
     * answers what its data sheet excludes, or its settings are no use; ST_IO: the bus is. A value
     * beyond min or max is brought as it is. Behind ST_OK or a failure the next call is start;
     * behind a failure it sets the chip up anew. */
    enum st (*collect)(struct sensor *s, int32_t *raw, uint16_t *ready_ms);
};

/* One chip on a board; const but for its state. `setting` is the driver's own, from the board's
 * table (a shunt in milliohms, a gain), and said in its header; 0 where it has none.
 *
 * What hangs on a chip may say more than the chip: which quantity a current loop carries, that a
 * thermometer is in the water. Then the board gives the outputs here in the driver's place: as many
 * as the driver's header allows, which also says what min and max mean to it. */
struct sensor {
    const struct sensor_driver *driver;
    const void *io;  /* the bus that its driver's header names: struct sensor_i2c, _uart, … */
    uint8_t address; /* 7 bits; on I2C only */
    uint8_t noutputs;
    const struct sensor_output *outputs; /* NULL: the driver's */
    int32_t setting[4];
    union {
        uint8_t bytes[SENSOR_STATE_BYTES];
        uint32_t aligned;
    } state; /* zeroed before the first start; the driver's own */
};

/* What the sensor brings, and how many: the order of raw. */
static inline const struct sensor_output *sensor_outputs(const struct sensor *s)
{
    return s->outputs ? s->outputs : s->driver->outputs;
}
static inline unsigned sensor_noutputs(const struct sensor *s)
{
    return s->outputs ? s->noutputs : s->driver->noutputs;
}

/* All drivers, in the order of drivers.def. */
extern const struct sensor_driver *const sensor_drivers[SENSOR_DRIVERS];
/* NULL: none. */
const struct sensor_driver *sensor_driver_by_id(uint16_t id);

#endif
