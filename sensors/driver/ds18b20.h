/* DS18B20: a thermometer on 1-Wire (Maxim, now Analog Devices), with a supply wire of its own.
 *
 * Facts: "DS18B20 Programmable Resolution 1-Wire Digital Thermometer", Maxim 19-7487, rev 6: 1/16
 * Cel a step at 12 bits, at most 750 ms a conversion, during which it answers a read
 * with 0 and behind which with 1; a
 * scratchpad of nine bytes, the last the CRC-8 of the others. When its power comes it reads 85 Cel,
 * and the two alarm bytes and the resolution are those of its EEPROM: they are set, in the
 * scratchpad alone, to marks that no EEPROM will have, so that one that lost its power before it
 * converted is told from one that is hot.
 *
 * io: struct sensor_wire, on which it is alone. setting: none.
 * outputs: one, in 0.01 Cel; the board may say another quantity (water, the bin). */
#ifndef SENSORS_DRIVER_DS18B20_H
#define SENSORS_DRIVER_DS18B20_H

#include "sensors/sensor.h"

extern const struct sensor_driver sensor_ds18b20;

#endif
