/* SHT40, SHT41, SHT45: temperature and humidity (Sensirion).
 *
 * Facts: "Datasheet SHT4x", Sensirion, version 6: a measurement of high precision (0xFD) takes at
 * most 8.3 ms, and until it is done the chip does not acknowledge a read. Two words of 16 bits,
 * each with its CRC-8: T = -45 + 175 S / 65535 Cel, RH = -6 + 125 S / 65535 %, which may lie
 * somewhat beyond 0 and 100 and is then to be taken as these.
 *
 * io: struct sensor_i2c, address 0x44 (0x45, 0x46 of other variants). setting: none.
 * outputs: temperature in 0.01 Cel, humidity in 0.01 %RH. */
#ifndef SENSORS_DRIVER_SHT4X_H
#define SENSORS_DRIVER_SHT4X_H

#include "sensors/sensor.h"

extern const struct sensor_driver sensor_sht4x;

#endif
