/* A virtual SHT3x. A frame is what it answers to a read: two words and their check sums; the sums
 * of 0xBEEF and 0x0000 are those that Sensirion prints. */
#include "tests/sensors/sht_model.h"

#include "sensors/driver/sht3x.h"

static void power(void)
{
    sht_is("\x24\x00", 2, 16);
}

static const struct chip_frame frames[] = {
    {"25 Cel, 50 %", "66 66 93 80 00 A2", ST_OK, {2500, 5000}, NULL},
    {"both lowest", "00 00 81 00 00 81", ST_OK, {-4500, 0}, NULL},
    {"both highest", "FF FF AC FF FF AC", ST_OK, {13000, 10000}, NULL},
    {"below zero", "33 33 88 BE EF 92", ST_OK, {-1000, 7458}, NULL},
    {"the first sum is wrong", "66 66 92 80 00 A2", ST_CORRUPT, {0}, NULL},
    {"the second sum is wrong", "66 66 93 80 00 A3", ST_CORRUPT, {0}, NULL},
    {"a line that floats", "FF FF FF FF FF FF", ST_CORRUPT, {0}, NULL},
};

const struct chip chip_sht3x = {
    .bus = CHIP_I2C,
    .sensor = {.driver = &sensor_sht3x, .address = 0x44},
    .checked = true,
    .power = power,
    .measures = sht_measures,
    .transfer = sht_transfer,
    CHIP_FRAMES(frames),
};
