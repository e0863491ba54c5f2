/* Frames of a BME280: pressure, temperature and humidity as from register 0xF7 on. The first is the
 * worked example of BMP280's data sheet, 25.08 Cel and 100653.27 Pa; the others by the
 * floating-point formulas of BME280's, in Python. */
#include "tests/sensors/bme280_model.h"

#include "sensors/driver/bme280.h"

static void power(void)
{
    static const struct bme280_calibration example = BME280_EXAMPLE;
    bme280_is(0x60, &example);
    bme280_power();
}

static const struct chip_frame frames[] = {
    {"the data sheet's", "65 5A C0 7E ED 00 6D 00", ST_OK, {2508, 1006533, 4332}, NULL},
    {"frost", "65 5A C0 5F 37 00 6D 00", ST_OK, {-1581, 944433, 4262}, NULL},
    {"its lowest temperature", "5C C6 00 4E 20 00 85 00", ST_OK, {-3800, 966212, 7131}, NULL},
    {"drier than dry", "53 02 00 92 7C 00 20 00", ST_OK, {5011, 1180679, 0}, NULL},
    {"wetter than wet", "53 02 00 92 7C 00 FF 00", ST_OK, {5011, 1180679, 10000}, NULL},
    {"heat", "7E F4 00 AA E6 00 6D 00", ST_OK, {8115, 896433, 4322}, NULL},
    {"high up", "AA E6 00 7E ED 00 55 00", ST_OK, {2508, 518984, 886}, NULL},
    {"no temperature", "65 5A C0 80 00 00 6D 00", ST_BAD, {0}, NULL},
    {"no pressure", "80 00 00 7E ED 00 6D 00", ST_BAD, {0}, NULL},
    {"no humidity", "65 5A C0 7E ED 00 80 00", ST_BAD, {0}, NULL},
    {"a line that floats", "FF FF FF FF FF FF FF FF", ST_BAD, {0}, NULL},
};

const struct chip chip_bme280 = {
    .bus = CHIP_I2C,
    .sensor = {.driver = &sensor_bme280, .address = 0x76},
    .power = power,
    .measures = bme280_measures,
    .transfer = bme280_transfer,
    CHIP_FRAMES(frames),
};
