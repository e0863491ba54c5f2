/* A board's counter. A frame is how many pulses it counted since the node began. */
#include "tests/sensors/bench.h"

#include "sensors/driver/pulses.h"

static uint32_t pulses;

static void measures(const uint8_t *frame, size_t n)
{
    pulses = 0;
    for (size_t i = 0; i < n; i++)
        pulses = pulses << 8 | frame[i];
}

static uint32_t count(void)
{
    return pulses;
}

static const struct sensor_output outputs[] = {
    {QUANTITY_ID_energy_import, -3, true, 0, INT32_MAX},
};
static const int32_t bucket[4] = {2, 1}, plain[4] = {0}, bad[4] = {-1, 1};
static const struct chip_frame frames[] = {
    {"1600 a kWh: 1 kWh", "00 00 06 40", ST_OK, {1000}, NULL},
    {"none yet", "00 00 00 00", ST_OK, {0}, NULL},
    {"less than a step", "00 00 00 01", ST_OK, {0}, NULL},
    {"a step and a rest", "00 00 00 03", ST_OK, {1}, NULL},
    {"0.2 mm each", "00 00 00 07", ST_OK, {14}, bucket},
    {"one each, all that it counts", "FF FF FF FF", ST_OK, {INT32_MAX}, plain},
    {"over the end of what it brings", "80 00 00 05", ST_OK, {5}, plain},
    {"a setting of no use", "00 00 00 05", ST_BAD, {0}, bad},
};

const struct chip chip_pulses = {
    .bus = CHIP_PULSES,
    .sensor = {.driver = &sensor_pulses, .noutputs = 1, .outputs = outputs, .setting = {5, 8}},
    .measures = measures,
    .count = count,
    CHIP_FRAMES(frames),
};
