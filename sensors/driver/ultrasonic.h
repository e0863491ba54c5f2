/* A02YYUW, JSN-SR04T (modes 1 and 2) and their kin: an ultrasonic distance on a serial line, for
 * the level of a bin or of water.
 *
 * Facts: "A02YYUW Waterproof Ultrasonic Sensor" (DFRobot SEN0311, and its maker's A02 data sheet)
 * and the JSN-SR04T-3.0 manual: four bytes, 0xFF, the distance in mm with its high byte first, the
 * sum of these three; each 100 to 300 ms by itself, or when it is asked with a byte 0x55. 30 to
 * 4500 mm can be measured. 0 comes when no echo does; 0xFFFD and 0xFFFE say no object and
 * interference.
 *
 * io: struct sensor_uart, 9600 bit/s, 8N1.
 * setting: [0] 1: it has to be asked. [1] mm from the sensor down to the bottom, 0: the distance
 * itself is brought. Else [2] 0: the level above the bottom, in mm; not 0: how full it is, in 0.1
 * %, where [2] mm from the sensor is full. outputs: one, a distance in mm; for the others the board
 * gives it: a level of water {QUANTITY_ID_water_level, -3, false, 0, 4470}, a bin
 * {QUANTITY_ID_fill, -1, false, 0, 1000}. */
#ifndef SENSORS_DRIVER_ULTRASONIC_H
#define SENSORS_DRIVER_ULTRASONIC_H

#include "sensors/sensor.h"

extern const struct sensor_driver sensor_ultrasonic;

#endif
