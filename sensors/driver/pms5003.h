/* PMS5003: particles (Plantower); PMS7003 and PMSA003 send the same frames.
 *
 * Facts: "PMS5003 series data manual", Plantower, V2.3 (2016): it sends by itself, each 0.2 to 2.3
 * s, 32 bytes: 0x42 0x4D, the length 28, 13 words with their high byte first, the sum of all bytes
 * before it. Words 4 to 6 are PM1, PM2.5 and PM10 "under atmospheric environment" in ug/m3. Values
 * hold 30 s after the fan began. The last word is reserved there; "PMS7003 series data manual"
 * calls its low byte the error code: one that is not 0 is taken for a fault.
 *
 * io: struct sensor_uart, 9600 bit/s, 8N1. Nothing is sent to it.
 * setting: [0] seconds of warming up, 0: 30, -1: none.
 * outputs: PM1, PM2.5, PM10 in ug/m3. */
#ifndef SENSORS_DRIVER_PMS5003_H
#define SENSORS_DRIVER_PMS5003_H

#include "sensors/sensor.h"

extern const struct sensor_driver sensor_pms5003;

#endif
