/* SCD40, SCD41: carbon dioxide, with temperature and humidity (Sensirion).
 *
 * Facts: "Datasheet SCD4x", Sensirion, version 1.3 (2022): 1 s behind its power it takes commands;
 * stop 0x3F86 (then deaf for 500 ms), altitude 0x2427, measure each 5 s 0x21B1, is data there
 * 0xE4B8 (of whose word the low 11 bits are then not all 0), read 0xEC05: three words, each with
 * its CRC-8, 1 ms behind the command: CO2 in ppm, T = -45 + 175 S / 65535, RH = 100 S / 65535. It
 * calibrates itself against the fresh air of a week.
 *
 * io: struct sensor_i2c, address 0x62. setting: [0] its altitude in m, for the pressure of the air.
 * outputs: CO2 in ppm, temperature in 0.01 Cel (warm by itself), humidity in 0.01 %RH. */
#ifndef SENSORS_DRIVER_SCD4X_H
#define SENSORS_DRIVER_SCD4X_H

#include "sensors/sensor.h"

extern const struct sensor_driver sensor_scd4x;

#endif
