/* A virtual HX711 at 10 conversions a second. A frame is 24 bits of the bridge at gain 128. */
#include "tests/sensors/bench.h"

#include "sensors/driver/hx711.h"

static struct {
    int32_t bridge;
    uint32_t value; /* 24 bits, of the last conversion */
    uint32_t next_ms, settled_ms;
    unsigned gain;
    bool there;
} chip;

static void power(void)
{
    chip.gain = 128;
    chip.there = false;
    chip.next_ms = chip.settled_ms = bench.ms + 400;
}

static void measures(const uint8_t *frame, size_t n)
{
    (void)n;
    uint32_t bits = (uint32_t)frame[0] << 16 | (uint32_t)frame[1] << 8 | frame[2];
    chip.bridge = (int32_t)(bits ^ 0x800000) - 0x800000;
}

static void tick(void)
{
    if (bench.never_ready || (int32_t)(bench.ms - chip.next_ms) < 0)
        return;
    chip.next_ms = bench.ms + 100;
    int32_t v = chip.bridge;
    if (v != 0x7FFFFF && v != -0x800000)
        v = (int32_t)(v * (int64_t)chip.gain / 128);
    if ((int32_t)(bench.ms - chip.settled_ms) < 0)
        v /= 2; /* on its way */
    chip.value = (uint32_t)v & 0xFFFFFF;
    chip.there = true;
}

static bool ready(void)
{
    return chip.there && !bench.never_ready;
}

/* The clocked fault "stuck" holds the line low: what is high is let go. */
static uint32_t clock(unsigned pulses)
{
    unsigned gain = pulses == 26 ? 32 : pulses == 27 ? 64 : 128;
    if (gain != chip.gain)
        chip.settled_ms = bench.ms + 400;
    chip.gain = gain;
    chip.there = false;
    return pulses < 24 ? chip.value >> (24 - pulses)
                       : chip.value << (pulses - 24) | ((1U << (pulses - 24)) - 1);
}

/* Empty 100000; a bag of 10 kg makes it 500000. */
static const int32_t upside_down[4] = {100000, -40, 1, 0}, counts[4] = {0, 1, 1},
                     no_scale[4] = {0, 0, 1};
static const int32_t gain64[4] = {50000, 200000, 10000, 64}, gain96[4] = {0, 1, 1, 96};
static const struct chip_frame frames[] = {
    {"5 kg", "04 93 E0", ST_OK, {5000}, NULL},
    {"empty", "01 86 A0", ST_OK, {0}, NULL},
    {"lifted", "FF FF FE", ST_OK, {-2500}, NULL},
    {"a cut data line", "FF FF FF", ST_IO, {0}, NULL},
    {"half of a gram rounds away", "01 86 B4", ST_OK, {1}, NULL},
    {"its highest", "7F FF FE", ST_OK, {207215}, NULL},
    {"its lowest", "80 00 01", ST_OK, {-212215}, NULL},
    {"beyond its range", "7F FF FF", ST_BAD, {0}, NULL},
    {"below its range", "80 00 00", ST_BAD, {0}, NULL},
    {"a cell upside down", "00 00 00", ST_OK, {2500}, upside_down},
    {"counts as they are", "FF FF FE", ST_OK, {-2}, counts},
    {"nobody said what it weighs", "04 93 E0", ST_BAD, {0}, no_scale},
    {"gain 64", "04 93 E0", ST_OK, {5000}, gain64},
    {"a gain that is none", "04 93 E0", ST_BAD, {0}, gain96},
};

const struct chip chip_hx711 = {
    .bus = CHIP_CLOCKED,
    .sensor = {.driver = &sensor_hx711, .setting = {100000, 400000, 10000, 0}},
    .power = power,
    .measures = measures,
    .tick = tick,
    .ready = ready,
    .clock = clock,
    CHIP_FRAMES(frames),
};
