/* SHT30, SHT31, SHT35: temperature and humidity (Sensirion).
 *
 * Facts: "Datasheet SHT3x-DIS", Sensirion, version 6: a single measurement of high repeatability
 * without clock stretching (0x2400) takes at most 15.5 ms, and until it is done the chip does not
 * acknowledge a read. Two words of 16 bits, each with its CRC-8:
 * T = -45 + 175 S / 65535 Cel, RH = 100 S / 65535 %.
 *
 * io: struct sensor_i2c, address 0x44 or 0x45. setting: none.
 * outputs: temperature in 0.01 Cel, humidity in 0.01 %RH. */
#ifndef SENSORS_DRIVER_SHT3X_H
#define SENSORS_DRIVER_SHT3X_H

#include "sensors/sensor.h"

extern const struct sensor_driver sensor_sht3x;

#endif
