/* ADS1115: up to four loops of 4 to 20 mA, each over a shunt from an input to ground.
 *
 * Facts: "ADS111x", Texas Instruments SBAS444D: a conversion of 16 bits at 8 a second takes 125 ms,
 * 10 % more or less by its own oscillator; bit 15 of the configuration reads as 1 when it is done.
 * Loops: NAMUR NE 43: 3.8 to 20.5 mA are measured values, 3.6 mA and less or 21 mA and more say
 * that the transmitter or the wire is broken.
 *
 * io: struct sensor_i2c, address 0x48 to 0x4B.
 * setting: [0] the shunts, in 1/1000 ohm, at most 270000: 22 mA must stay below 6.144 V, and below
 * the chip's own supply.
 * outputs: the board's, one to four: the first is of input 0, and so on. min is what the
 * transmitter means by 4 mA, max by 20 mA; a loop that is broken has no value, and when all are,
 * the chip has ST_BAD. A level of 0 to 5 m: {QUANTITY_ID_water_level, -3, false, 0, 5000}. */
#ifndef SENSORS_DRIVER_ADS1115_H
#define SENSORS_DRIVER_ADS1115_H

#include "sensors/sensor.h"

extern const struct sensor_driver sensor_ads1115;

#endif
