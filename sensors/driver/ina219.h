/* INA219: voltage, current and power of a direct-current supply (Texas Instruments).
 *
 * Facts: "INA219 Zero-Drift, Bidirectional Current/Power Monitor", Texas Instruments SBOS448G:
 * shunt voltage of 10 uV a step, up to +-320 mV; bus voltage of 4 mV a step in the bits from 3 on,
 * whose bit 1 says that the conversion is done; both of 128 samples take 136.2 ms, 10 % more or
 * less. Current and power are computed here from these two: the chip's own registers would need a
 * scale that a loss of its power undoes.
 *
 * io: struct sensor_i2c, address 0x40 to 0x4F.
 * setting: [0] the shunt in uohm, 0: 100000 (0.1 ohm).
 * outputs: voltage in mV, current in mA, power in mW. Their limits are of a shunt of 0.1 ohm; those
 * of another the board gives. max of the current lies a step below the end of the scale, so that
 * what stands at that end counts as beyond it. */
#ifndef SENSORS_DRIVER_INA219_H
#define SENSORS_DRIVER_INA219_H

#include "sensors/sensor.h"

extern const struct sensor_driver sensor_ina219;

#endif
