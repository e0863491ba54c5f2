/* Frames of a BMP280; see chip_bme280.c. */
#include "tests/sensors/bme280_model.h"

#include "sensors/driver/bmp280.h"

static void power(void)
{
    static const struct bme280_calibration example = BME280_EXAMPLE;
    bme280_is(0x58, &example);
    bme280_power();
}

static const struct chip_frame frames[] = {
    {"the data sheet's", "65 5A C0 7E ED 00", ST_OK, {2508, 1006533}, NULL},
    {"its lowest temperature", "5C C6 00 4E 20 00", ST_OK, {-3800, 966212}, NULL},
    {"high up", "AA E6 00 7E ED 00", ST_OK, {2508, 518984}, NULL},
    {"no temperature", "65 5A C0 80 00 00", ST_BAD, {0}, NULL},
    {"no pressure", "80 00 00 7E ED 00", ST_BAD, {0}, NULL},
};

const struct chip chip_bmp280 = {
    .bus = CHIP_I2C,
    .sensor = {.driver = &sensor_bmp280, .address = 0x77},
    .power = power,
    .measures = bme280_measures,
    .transfer = bme280_transfer,
    CHIP_FRAMES(frames),
};
