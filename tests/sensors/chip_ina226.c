/* A virtual INA226. A frame is its bus voltage and its shunt voltage register; the first is its
 * data sheet's programming example, 10 A over 2 mohm. */
#include "tests/sensors/bench.h"

#include "sensors/driver/ina226.h"

static struct {
    uint16_t bus, shunt; /* of the next conversion */
    uint16_t regs[8];
    uint8_t pointer;
    uint32_t done_ms;
    bool converting, other;
} chip;

static void power(void)
{
    for (int i = 0; i < 8; i++)
        chip.regs[i] = 0;
    chip.regs[0] = 0x4127; /* goes on and on */
    chip.pointer = 0;
    chip.converting = false;
}

/* Five bytes: it is of another maker. */
static void measures(const uint8_t *frame, size_t n)
{
    chip.bus = (uint16_t)(frame[0] << 8 | frame[1]);
    chip.shunt = (uint16_t)(frame[2] << 8 | frame[3]);
    chip.other = n > 4;
}

static void convert(void)
{
    bool on_and_on = (chip.regs[0] & 7) > 4;
    chip.converting = false;
    chip.regs[2] = on_and_on ? 1000 : chip.bus;
    chip.regs[1] = on_and_on ? 1000 : chip.shunt;
    chip.regs[6] |= 0x0008;
}

static enum st transfer(const uint8_t *w, size_t nw, uint8_t *r, size_t nr)
{
    if ((chip.regs[0] & 7) > 4 ||
        (chip.converting && !bench.never_ready && (int32_t)(bench.ms - chip.done_ms) >= 0))
        convert();
    if (nw > 0)
        chip.pointer = w[0];
    if (chip.pointer > 7 && chip.pointer < 0xFE)
        return ST_REFUSED;
    if (nw == 3 && chip.pointer < 8) {
        uint16_t value = (uint16_t)(w[1] << 8 | w[2]);
        chip.regs[chip.pointer] = value;
        if (chip.pointer == 0) {
            static const uint16_t averages[] = {1, 4, 16, 64, 128, 256, 512, 1024};
            chip.converting = (value & 7) == 3;
            chip.done_ms = bench.ms + averages[value >> 9 & 7] * 5U / 2; /* 2 x 1.21 ms and more */
            chip.regs[6] &= 0xFFF7;
        }
    }
    unsigned value = chip.pointer < 8 ? chip.regs[chip.pointer] : 0x2260;
    if (chip.pointer == 0xFE)
        value = chip.other ? 0x4D41 : 0x5449;
    for (size_t i = 0; i < nr; i++)
        r[i] = (uint8_t)(value >> (i == 0 ? 8 : 0));
    if (chip.pointer == 6 && nr > 0)
        chip.regs[6] &= 0xFFF7;
    return ST_OK;
}

static const int32_t usual[4] = {0}, bad[4] = {-1};
static const struct chip_frame frames[] = {
    {"11.98 V, 10 A over 2 mohm", "25 70 1F 40", ST_OK, {11980, 10000, 119800}, NULL},
    {"nothing", "00 00 00 00", ST_OK, {0, 0, 0}, NULL},
    {"a battery that is charged", "28 00 E0 C0", ST_OK, {12800, -10000, -128000}, NULL},
    {"a step below zero", "28 01 FF FF", ST_OK, {12801, -1, -16}, NULL},
    {"0.1 ohm at the end of its scale", "0C 80 7F FF", ST_OK, {4000, 819, 3277}, usual},
    {"0.1 ohm at the other end", "0C 80 80 00", ST_OK, {4000, -819, -3277}, usual},
    {"its highest", "7F FF 7F FF", ST_OK, {40959, 40959, 1677619}, NULL},
    {"another maker's", "25 70 1F 40 00", ST_BAD, {0}, NULL},
    {"no such shunt", "25 70 1F 40", ST_BAD, {0}, bad},
};

const struct chip chip_ina226 = {
    .bus = CHIP_I2C,
    .sensor = {.driver = &sensor_ina226, .address = 0x41, .setting = {2000}},
    .power = power,
    .measures = measures,
    .transfer = transfer,
    CHIP_FRAMES(frames),
};
