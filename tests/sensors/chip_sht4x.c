/* A virtual SHT4x. A frame is what it answers to a read: two words and their check sums. */
#include "tests/sensors/sht_model.h"

#include "sensors/driver/sht4x.h"

static void power(void)
{
    sht_is("\xFD", 1, 9);
}

static const struct chip_frame frames[] = {
    {"25 Cel, 56.5 %", "66 66 93 80 00 A2", ST_OK, {2500, 5650}, NULL},
    {"drier than dry", "00 00 81 00 00 81", ST_OK, {-4500, 0}, NULL},
    {"wetter than wet", "FF FF AC FF FF AC", ST_OK, {13000, 10000}, NULL},
    {"below zero", "33 33 88 BE EF 92", ST_OK, {-1000, 8723}, NULL},
    {"the first sum is wrong", "66 66 92 80 00 A2", ST_CORRUPT, {0}, NULL},
    {"the second sum is wrong", "66 66 93 80 00 A3", ST_CORRUPT, {0}, NULL},
};

const struct chip chip_sht4x = {
    .bus = CHIP_I2C,
    .sensor = {.driver = &sensor_sht4x, .address = 0x44},
    .checked = true,
    .power = power,
    .measures = sht_measures,
    .transfer = sht_transfer,
    CHIP_FRAMES(frames),
};
