/* INA226: voltage, current and power of a direct-current supply up to 36 V (Texas Instruments).
 *
 * Facts: "INA226 High-Side or Low-Side Measurement, Bi-Directional Current and Power Monitor",
 * Texas Instruments SBOS547A: shunt voltage of 2.5 uV a step, up to +-81.92 mV; bus voltage of 1.25
 * mV a step; bit 3 of register 6 says that the conversion is done, and reading it clears it; both
 * of 16 averages of 1.1 ms (at most 1.21 ms) take 38.7 ms at most. Register 0xFE holds 0x5449,
 * "TI". Current and power are computed here, as in ina219.h.
 *
 * io: struct sensor_i2c, address 0x40 to 0x4F.
 * setting: [0] the shunt in uohm, 0: 100000 (0.1 ohm).
 * outputs: voltage in mV, current in mA, power in mW; limits as in ina219.h. */
#ifndef SENSORS_DRIVER_INA226_H
#define SENSORS_DRIVER_INA226_H

#include "sensors/sensor.h"

extern const struct sensor_driver sensor_ina226;

#endif
