/* HX711: a load cell's converter, for the weight of a bin (Avia Semiconductor).
 *
 * Facts: "24-Bit Analog-to-Digital Converter (ADC) for Weigh Scales", Avia: its data line goes low
 * when a conversion is there, 10 or 80 times a second; 24 clocks bring it, highest bit first, as a
 * two's complement, and 1, 2 or 3 more choose what comes next (A with gain 128, B with 32, A with
 * 64) and leave the data line high. Behind a change of that, and when its power came, it takes
 * 400 ms to settle; which gain it has it does not tell, so that another than 128 is chosen again
 * for each measurement. 0x7FFFFF and 0x800000 say that the input is beyond its range, as of a
 * broken wire of the cell.
 *
 * io: struct sensor_clocked.
 * setting: [0] counts of the empty scale, [1] counts that it grows by under [2] grams, neither 0,
 * and [3] the gain: 128, 64 (of input A) or 32 (of B); 0: 128. [1] below 0 is a cell that hangs
 * upside down. Of a cell of 1 mV/V these are, by its nameplate, 2147484 at gain 128 under its full
 * load; the node's calibration does the rest. {0, 1, 1} brings counts, as no weight: the board then
 * says {QUANTITY_ID_number, 0, false, -8388607, 8388606}. outputs: weight in g; the board may say
 * another quantity. */
#ifndef SENSORS_DRIVER_HX711_H
#define SENSORS_DRIVER_HX711_H

#include "sensors/sensor.h"

extern const struct sensor_driver sensor_hx711;

#endif
