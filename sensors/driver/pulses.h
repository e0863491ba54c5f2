/* A pulse counter: an S0 output of an electricity meter (IEC 62053-31), a water meter's reed
 * contact, a rain gauge's bucket. The board counts and keeps bounces out; this scales.
 *
 * io: struct sensor_pulses.
 * setting: [0] steps of the output that [1] pulses are; 0 is 1. What is left over is carried on,
 * and lost with the node's power alone. outputs: the board's, one, a counter. A meter of 1600
 * pulses a kWh: {QUANTITY_ID_energy_import, -3, true, 0, INT32_MAX} with {5, 8}; a bucket of 0.2
 * mm: {QUANTITY_ID_rain, -1, …} with {2, 1}; a liter a pulse: {QUANTITY_ID_water_total, -3, …} with
 * {1, 1}. */
#ifndef SENSORS_DRIVER_PULSES_H
#define SENSORS_DRIVER_PULSES_H

#include "sensors/sensor.h"

extern const struct sensor_driver sensor_pulses;

#endif
