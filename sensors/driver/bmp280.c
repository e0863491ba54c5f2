#include "sensors/driver/bmp280.h"

#include "sensors/driver/bme280.h"
#include "sensors/quantity.h"

static const struct sensor_output outputs[] = {
    {QUANTITY_ID_temperature, -2, false, -4000, 8500},
    {QUANTITY_ID_pressure, -3, false, 300000, 1100000},
};
const struct sensor_driver sensor_bmp280 = {
    .name = "bmp280",
    .id = SENSOR_ID_bmp280,
    .noutputs = 2,
    .outputs = outputs,
    .period_ds = 100,
    .start = sensor_bme280_start,
    .collect = sensor_bme280_collect,
};
