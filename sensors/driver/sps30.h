/* SPS30: particles (Sensirion), on its serial interface.
 *
 * Facts: "Datasheet SPS30", Sensirion, version 1.0 D1 (2020): SHDLC frames between two 0x7E; within
 * them 0x7E, 0x7D, 0x11 and 0x13 are sent as 0x7D and themselves with bit 5 turned. To it: address,
 * command, length, data, the inverted sum of these. From it: address, command, state, length, data,
 * the inverted sum; the state's highest bit says that its fan or its laser has a fault, the others
 * why it refused the command. Reset 0xD3, measure 0x00, read 0x03: ten numbers of IEEE 754, high
 * byte first, of which 1, 2 and 4 are PM1, PM2.5 and PM10; no data when nothing new was measured,
 * which is each second. It needs 8 to 30 s to start in, the longer the cleaner the air is.
 *
 * It is reset when it is set up, which clears the faults that it keeps.
 *
 * io: struct sensor_uart, 115200 bit/s, 8N1. setting: [0] seconds of warming up, 0: 30, -1: none.
 * outputs: PM1, PM2.5, PM10 in 0.1 ug/m3. */
#ifndef SENSORS_DRIVER_SPS30_H
#define SENSORS_DRIVER_SPS30_H

#include "sensors/sensor.h"

extern const struct sensor_driver sensor_sps30;

#endif
