/* A virtual ADS1115 with shunts of 100 ohm. A frame is the code of each input at +-4.096 V, which
 * is 3200 a 4 mA. Its oscillator is slow by a tenth. */
#include "tests/sensors/bench.h"

#include "sensors/driver/ads1115.h"

static struct {
    int32_t code[4]; /* at +-4.096 V */
    uint16_t config, conversion;
    uint32_t done_ms;
    uint8_t pointer;
    bool converting;
} chip;

static void power(void)
{
    chip.config = 0x8583;
    chip.conversion = 0;
    chip.pointer = 0;
    chip.converting = false;
}

static void measures(const uint8_t *frame, size_t n)
{
    for (size_t i = 0; i < n / 2; i++)
        chip.code[i] = (int16_t)(frame[2 * i] << 8 | frame[2 * i + 1]);
}

static void convert(void)
{
    static const int32_t mv[] = {6144, 4096, 2048, 1024, 512, 256, 256, 256};
    int32_t code = chip.code[chip.config >> 12 & 3] * 4096 / mv[chip.config >> 9 & 7];
    if (!(chip.config & 0x4000)) /* between two inputs */
        code = 0;
    code = code > 32767 ? 32767 : code < -32768 ? -32768 : code;
    chip.conversion = (uint16_t)code;
    chip.converting = false;
}

static enum st transfer(const uint8_t *w, size_t nw, uint8_t *r, size_t nr)
{
    static const uint32_t took_ms[] = {138, 69, 35, 18, 9, 5, 3, 2};
    if (chip.converting && !bench.never_ready && (int32_t)(bench.ms - chip.done_ms) >= 0)
        convert();
    if (nw > 0)
        chip.pointer = w[0] & 3;
    if (nw == 3 && chip.pointer == 1) {
        chip.config = (uint16_t)((w[1] & 0x7F) << 8 | w[2]);
        if (w[1] & 0x80) {
            chip.converting = true;
            chip.done_ms = bench.ms + took_ms[w[2] >> 5];
        }
    }
    unsigned value = chip.conversion;
    if (chip.pointer == 1)
        value = chip.config | (chip.converting ? 0U : 0x8000U);
    for (size_t i = 0; i < nr; i++)
        r[i] = (uint8_t)(value >> (i == 0 ? 8 : 0));
    return ST_OK;
}

static const struct sensor_output outputs[] = {
    {QUANTITY_ID_water_level, -3, false, 0, 5000},
    {QUANTITY_ID_temperature, -1, false, -500, 1500},
    {QUANTITY_ID_ph, -2, false, 0, 1400},
    {QUANTITY_ID_active_power, 0, false, -2000000000, 2000000000},
};
static const int32_t fine_shunt[4] = {10000}, no_shunt[4] = {0}, high_shunt[4] = {280000};
#define NONE SENSOR_NO_VALUE
static const struct chip_frame frames[] = {
    {"12 mA, 4 mA, 20 mA, 8 mA",
     "25 80 0C 80 3E 80 19 00",
     ST_OK,
     {2500, -500, 1400, -1000000000},
     NULL},
    {"4 mA", "0C 80 0C 80 0C 80 0C 80", ST_OK, {0, -500, 0, -2000000000}, NULL},
    {"20 mA", "3E 80 3E 80 3E 80 3E 80", ST_OK, {5000, 1500, 1400, 2000000000}, NULL},
    {"3.8 mA and 20.5 mA still measure",
     "0B E0 0B E0 40 10 40 10",
     ST_OK,
     {-63, -525, 1444, 2125000000},
     NULL},
    {"a broken wire and one across", "00 00 25 80 7F FF 25 80", ST_OK, {NONE, 500, NONE, 0}, NULL},
    {"3.6 mA and 21 mA are alarms",
     "0B 40 41 A0 0B 41 41 9F",
     ST_OK,
     {NONE, NONE, -35, INT32_MAX},
     NULL},
    {"the wrong way round", "F3 80 25 80 25 80 25 80", ST_OK, {NONE, 500, 700, 0}, NULL},
    {"all broken", "00 00 FF FF 00 03 0B 40", ST_BAD, {0}, NULL},
    {"10 ohm: a tenth of the voltage",
     "03 C0 01 40 06 40 02 80",
     ST_OK,
     {2500, -500, 1400, -1000000000},
     fine_shunt},
    {"no shunt", "25 80 25 80 25 80 25 80", ST_BAD, {0}, no_shunt},
    {"a shunt for which there is no range", "25 80 25 80 25 80 25 80", ST_BAD, {0}, high_shunt},
};

const struct chip chip_ads1115 = {
    .bus = CHIP_I2C,
    .sensor = {.driver = &sensor_ads1115,
               .address = 0x48,
               .noutputs = 4,
               .outputs = outputs,
               .setting = {100000}},
    .power = power,
    .measures = measures,
    .transfer = transfer,
    CHIP_FRAMES(frames),
};
