/* A virtual INA219. A frame is its bus voltage register (without the bit that says done) and its
 * shunt voltage register; the first is its data sheet's programming example, 10 A over 2 mohm. */
#include "tests/sensors/bench.h"

#include "sensors/driver/ina219.h"

static struct {
    uint16_t bus, shunt; /* of the next conversion */
    uint16_t regs[6];
    uint8_t pointer;
    uint32_t done_ms;
    bool converting;
} chip;

static void power(void)
{
    for (int i = 0; i < 6; i++)
        chip.regs[i] = 0;
    chip.regs[0] = 0x399F; /* goes on and on, 12 bits */
    chip.pointer = 0;
    chip.converting = false;
}

static void measures(const uint8_t *frame, size_t n)
{
    (void)n;
    chip.bus = (uint16_t)(frame[0] << 8 | frame[1]);
    chip.shunt = (uint16_t)(frame[2] << 8 | frame[3]);
}

static void convert(void)
{
    chip.converting = false;
    chip.regs[2] = chip.bus | 0x0002;
    chip.regs[1] = chip.shunt;
    if ((chip.regs[0] & 7) > 4) { /* of 12 bits: of another moment */
        chip.regs[2] = 0x1F4A;
        chip.regs[1] = 0x0100;
    }
}

static enum st transfer(const uint8_t *w, size_t nw, uint8_t *r, size_t nr)
{
    bool on_and_on = (chip.regs[0] & 7) > 4;
    if (on_and_on ||
        (chip.converting && !bench.never_ready && (int32_t)(bench.ms - chip.done_ms) >= 0))
        convert();
    if (nw > 0)
        chip.pointer = w[0];
    if (chip.pointer > 5)
        return ST_REFUSED;
    if (nw == 3) {
        uint16_t value = (uint16_t)(w[1] << 8 | w[2]);
        chip.regs[chip.pointer] = value;
        if (chip.pointer == 0) {
            bool samples = (value >> 3 & 15) == 15 && (value >> 7 & 15) == 15;
            chip.converting = (value & 7) == 3;
            chip.done_ms = bench.ms + (samples ? 149 : 2);
            chip.regs[2] &= 0xFFFD;
        }
    }
    for (size_t i = 0; i < nr; i++)
        r[i] = (uint8_t)(chip.regs[chip.pointer] >> (i == 0 ? 8 : 0));
    return ST_OK;
}

static const int32_t usual[4] = {0}, bad[4] = {-1};
static const struct chip_frame frames[] = {
    {"11.98 V, 10 A over 2 mohm", "5D 98 07 D0", ST_OK, {11980, 10000, 119800}, NULL},
    {"nothing", "00 00 00 00", ST_OK, {0, 0, 0}, NULL},
    {"a battery that is charged", "64 00 F8 30", ST_OK, {12800, -10000, -128000}, NULL},
    {"a step below zero", "64 00 FF FF", ST_OK, {12800, -5, -64}, NULL},
    {"0.1 ohm at the end of its scale", "1F 40 7D 00", ST_OK, {4000, 3200, 12800}, usual},
    {"0.1 ohm at the other end", "1F 40 83 00", ST_OK, {4000, -3200, -12800}, usual},
    {"its highest", "FF F8 7D 00", ST_OK, {32764, 160000, 5242240}, NULL},
    {"no such shunt", "1F 40 00 00", ST_BAD, {0}, bad},
};

const struct chip chip_ina219 = {
    .bus = CHIP_I2C,
    .sensor = {.driver = &sensor_ina219, .address = 0x40, .setting = {2000}},
    .power = power,
    .measures = measures,
    .transfer = transfer,
    CHIP_FRAMES(frames),
};
