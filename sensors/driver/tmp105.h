/* TMP105: a thermometer (Texas Instruments), and the TMP75, which has the same registers.
 *
 * Facts: "TMP105 Digital Temperature Sensor", Texas Instruments SBOS348: a register of 12 bits
 * that stands left in 16, 1/16 Cel a step; at 12 bits a conversion takes 220 ms, at most 320 ms. It
 * converts all the time; it is set to 12 bits, which a loss of its power undoes: so each start
 * and each collect look whether it still is.
 *
 * io: struct sensor_i2c, address 0x48 or 0x49 (0x48 to 0x4F of the TMP75).
 * setting: none. outputs: one, in 0.01 Cel; the board may say another quantity. */
#ifndef SENSORS_DRIVER_TMP105_H
#define SENSORS_DRIVER_TMP105_H

#include "sensors/sensor.h"

extern const struct sensor_driver sensor_tmp105;

#endif
