/* BMP280: temperature and air pressure (Bosch Sensortec): a BME280 (bme280.h, which names the
 * facts) without humidity; identity 0x58. A BME280 does in its place.
 *
 * io: struct sensor_i2c, address 0x76 or 0x77. setting: none.
 * outputs: temperature in 0.01 Cel, pressure in 0.1 Pa (0.001 hPa). */
#ifndef SENSORS_DRIVER_BMP280_H
#define SENSORS_DRIVER_BMP280_H

#include "sensors/sensor.h"

extern const struct sensor_driver sensor_bmp280;

#endif
