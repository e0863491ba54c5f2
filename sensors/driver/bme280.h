/* BME280: temperature, air pressure and humidity (Bosch Sensortec). BMP280 (bmp280.h) is the same
 * without humidity.
 *
 * Facts: "BME280 Combined humidity and pressure sensor", BST-BME280-DS002, 1.6, and "BMP280 Digital
 * pressure sensor", BST-BMP280-DS001: identity 0x60, calibration at 0x88, 0xA1 and 0xE1, measured
 * once when it is told so (forced mode), without oversampling at most 9.3 ms; 0x80000 (0x8000 of
 * the humidity) where it did not measure. The formulas are those of its appendix on floating point,
 * written out and computed here with whole numbers (bme280.c).
 *
 * io: struct sensor_i2c, address 0x76 or 0x77. setting: none.
 * outputs: temperature in 0.01 Cel, pressure in 0.1 Pa (0.001 hPa), humidity in 0.01 %RH. */
#ifndef SENSORS_DRIVER_BME280_H
#define SENSORS_DRIVER_BME280_H

#include "sensors/sensor.h"

extern const struct sensor_driver sensor_bme280;

/* For bmp280.c: start and collect of both; how many outputs there are tells them apart. */
enum st sensor_bme280_start(struct sensor *s, uint16_t *ready_ms);
enum st sensor_bme280_collect(struct sensor *s, int32_t *raw, uint16_t *ready_ms);

#endif
