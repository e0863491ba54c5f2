/* Buses of two pins, with a chip at the other end of the pins that a test moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "firmware/mcu/pins/pins.h"

/* ---- I2C: a chip at 0x50 that keeps what is written and gives it back from the first byte ---- */

static struct {
    bool scl, sda;      /* as we drive them */
    bool chip_sda;      /* as the chip lets it */
    unsigned stretch;   /* questions for which SCL stays low behind each rise */
    unsigned stretched; /* of them, those that are left */
    unsigned stuck;     /* pulses for which SDA stays low; UINT32_MAX: for ever */
    bool scl_stuck;
    unsigned pulses, starts, stops;
    bool open, begun;      /* between start and stop; behind the start, before SCL falls */
    unsigned bit, byte, n; /* of this byte, 8: the acknowledgement; bytes since the start */
    bool mine, reads, sampled;
    unsigned accepts; /* data bytes that it acknowledges */
    uint8_t held[32];
    unsigned nheld;
} i2c;
static uint16_t recoveries;

static bool sda_level(void)
{
    return i2c.sda && i2c.chip_sda && i2c.stuck == 0;
}

/* A whole byte is there: whether the chip acknowledges it. */
static bool chip_takes(void)
{
    if (i2c.n == 0) {
        i2c.mine = i2c.byte >> 1 == 0x50;
        i2c.reads = i2c.byte & 1U;
        if (i2c.mine && !i2c.reads)
            i2c.nheld = 0;
        return i2c.mine;
    }
    if (!i2c.mine || i2c.reads || i2c.nheld >= i2c.accepts)
        return false;
    i2c.held[i2c.nheld++ % sizeof i2c.held] = (uint8_t)i2c.byte;
    return true;
}

static void chip_falls(void)
{
    if (!i2c.open)
        return;
    if (i2c.begun) {
        i2c.begun = false;
    } else if (i2c.bit < 8) {
        i2c.byte = i2c.byte << 1 | i2c.sampled;
        i2c.bit++;
    } else {
        if (i2c.mine && i2c.reads && i2c.n > 0 && i2c.sampled)
            i2c.mine = false; /* the master has enough */
        i2c.bit = i2c.byte = 0;
        i2c.n++;
    }
    i2c.chip_sda = true;
    if (i2c.bit == 8)
        i2c.chip_sda = i2c.n > 0 && i2c.reads ? true : !chip_takes();
    else if (i2c.mine && i2c.reads && i2c.n > 0)
        i2c.chip_sda = ((unsigned)i2c.held[i2c.n - 1] >> (7 - i2c.bit) & 1U) != 0;
}

static void scl(bool high)
{
    bool was = i2c.scl;
    i2c.scl = high;
    if (high && !was) {
        i2c.pulses++;
        i2c.stretched = i2c.stretch;
        i2c.sampled = sda_level();
    }
    if (!high && was) {
        if (i2c.stuck > 0 && i2c.stuck != UINT32_MAX)
            i2c.stuck--;
        chip_falls();
    }
}

static void sda(bool high)
{
    bool was = sda_level();
    i2c.sda = high;
    if (!i2c.scl || was == sda_level())
        return;
    i2c.open = i2c.begun = was;
    i2c.bit = i2c.byte = i2c.n = 0;
    i2c.mine = false;
    i2c.starts += was;
    i2c.stops += !was;
}

static bool scl_is(void)
{
    if (i2c.stretched > 0) {
        i2c.stretched--;
        return false;
    }
    return i2c.scl && !i2c.scl_stuck;
}

static bool sda_is(void)
{
    return sda_level();
}

static void no_wait(void)
{
}

static const struct pins_i2c pins = {scl, sda, scl_is, sda_is, no_wait, &recoveries};

static int fresh(void **state)
{
    (void)state;
    memset(&i2c, 0, sizeof i2c);
    i2c.scl = i2c.sda = i2c.chip_sda = true;
    i2c.accepts = UINT32_MAX;
    recoveries = 0;
    return 0;
}

static enum st transfer(uint8_t address, const char *w, uint8_t *r, size_t nr)
{
    return pins_i2c_transfer((void *)&pins, address, (const uint8_t *)w, strlen(w), r, nr);
}

static void i2c_writes_and_reads_with_a_repeated_start(void **state)
{
    (void)state;
    uint8_t r[4] = {0};
    assert_int_equal(transfer(0x50, "\x12\xA5", r, 2), ST_OK);
    assert_int_equal(i2c.nheld, 2);
    assert_memory_equal(i2c.held, "\x12\xA5", 2);
    assert_memory_equal(r, "\x12\xA5", 2);
    assert_int_equal(i2c.starts, 2);
    assert_int_equal(i2c.stops, 1);
    assert_true(i2c.scl && i2c.sda);
}

static void i2c_says_who_did_not_acknowledge(void **state)
{
    (void)state;
    uint8_t r[1];
    assert_int_equal(transfer(0x51, "x", r, 1), ST_NOT_FOUND);
    assert_int_equal(transfer(0x51, "", r, 1), ST_NOT_FOUND);
    assert_int_equal(transfer(0x51, "", r, 0), ST_NOT_FOUND);
    assert_int_equal(transfer(0x50, "", r, 0), ST_OK);
    i2c.accepts = 1;
    assert_int_equal(transfer(0x50, "ab", r, 0), ST_REFUSED);
    assert_false(i2c.open);
    assert_int_equal(recoveries, 0);
}

static void i2c_bears_a_clock_that_is_stretched_and_no_longer_one(void **state)
{
    (void)state;
    uint8_t r[1];
    i2c.stretch = PINS_STRETCH;
    assert_int_equal(transfer(0x50, "a", r, 1), ST_OK);
    assert_int_equal(r[0], 'a');
    i2c.stretch = PINS_STRETCH + 1;
    assert_int_equal(transfer(0x50, "a", r, 1), ST_IO);
    i2c.stretch = 0;
    assert_int_equal(transfer(0x50, "a", r, 1), ST_OK);
}

static void i2c_clocks_a_stuck_bus_free(void **state)
{
    (void)state;
    uint8_t r[1];
    for (unsigned held = 1; held <= 9; held++) {
        fresh(NULL);
        i2c.stuck = held;
        assert_int_equal(transfer(0x50, "a", r, 1), ST_OK);
        assert_int_equal(r[0], 'a');
        assert_int_equal(recoveries, 1);
        assert_int_equal(transfer(0x50, "a", r, 1), ST_OK);
        assert_int_equal(recoveries, 1);
    }
}

static void i2c_gives_up_a_bus_that_stays_stuck(void **state)
{
    (void)state;
    uint8_t r[1];
    i2c.stuck = UINT32_MAX;
    assert_int_equal(transfer(0x50, "a", r, 1), ST_IO);
    assert_true(i2c.pulses <= 12);
    assert_int_equal(recoveries, 0);
    i2c.stuck = 0;
    i2c.scl_stuck = true;
    assert_int_equal(transfer(0x50, "a", r, 1), ST_IO);
    i2c.scl_stuck = false;
    assert_int_equal(transfer(0x50, "a", r, 1), ST_OK);
    recoveries = UINT16_MAX;
    i2c.stuck = 1;
    assert_int_equal(transfer(0x50, "a", r, 1), ST_OK);
    assert_int_equal(recoveries, UINT16_MAX);
}

/* ---- 1-Wire: a chip that measures how long the line is low ---- */

static struct {
    uint32_t us, fell_us, reset_us;
    bool low, present, held, masked;
    uint32_t hold_until; /* the chip's own low */
    unsigned wrote, bits;
    unsigned gives; /* bits that it answers, lowest first */
    bool answers;
} wire;

static void line(bool high)
{
    if (!high && !wire.low) {
        wire.fell_us = wire.us;
        if (wire.answers) { /* a bit of 0 is held for 30 us from the fall */
            wire.hold_until = wire.gives & 1U ? wire.us : wire.us + 30;
            wire.gives >>= 1;
        }
    } else if (high && wire.low) {
        uint32_t took = wire.us - wire.fell_us;
        if (took >= 480) {
            wire.reset_us = wire.us;
            if (wire.present)
                wire.hold_until = wire.us + 15 + 120;
        } else {
            assert_true(wire.masked);
            assert_true(took <= 120);
            if (took < 15)
                wire.wrote |= 1U << wire.bits;
            wire.bits++;
        }
    }
    wire.low = !high;
}

static bool line_is(void)
{
    if (!wire.low && wire.answers)
        assert_true(wire.us - wire.fell_us <= 15 || wire.us > wire.hold_until);
    return !wire.low && !wire.held && wire.us >= wire.hold_until;
}

static void wait_us(uint32_t us)
{
    wire.us += us;
}

static void mask(void)
{
    wire.masked = true;
}

static void unmask(void)
{
    wire.masked = false;
}

static const struct pins_wire wire_pins = {line, line_is, wait_us, mask, unmask};

static void wire_tells_who_is_there(void **state)
{
    (void)state;
    memset(&wire, 0, sizeof wire);
    assert_int_equal(pins_wire_reset((void *)&wire_pins), ST_NOT_FOUND);
    wire.present = true;
    uint32_t began = wire.us;
    assert_int_equal(pins_wire_reset((void *)&wire_pins), ST_OK);
    assert_in_range(wire.us - began, 960, 1000);
    wire.held = true;
    assert_int_equal(pins_wire_reset((void *)&wire_pins), ST_IO);
    assert_false(wire.masked || wire.low);
}

static void wire_slots_are_as_long_as_bits(void **state)
{
    (void)state;
    memset(&wire, 0, sizeof wire);
    uint32_t began = wire.us;
    pins_wire_write((void *)&wire_pins, 0xCC);
    assert_int_equal(wire.bits, 8);
    assert_int_equal(wire.wrote, 0xCC);
    assert_in_range(wire.us - began, 8 * 61, 8 * 75);
    wire.answers = true;
    wire.gives = 0x5A;
    assert_int_equal(pins_wire_read((void *)&wire_pins), 0x5A);
    assert_false(wire.masked || wire.low);
}

/* ---- a chip that is clocked ---- */

static struct {
    bool high, masked_high;
    uint32_t word;
    unsigned left, clocks;
} shift;

static void shift_clock(bool high)
{
    if (high && !shift.high) {
        shift.clocks++;
        shift.masked_high = wire.masked;
        shift.left = shift.left > 0 ? shift.left - 1 : 0;
    }
    shift.high = high;
}

static bool shift_data(void)
{
    return shift.word >> shift.left & 1U;
}

static const struct pins_clocked shift_pins = {shift_clock, shift_data, no_wait, mask, unmask};

static void clocked_brings_the_highest_bit_first(void **state)
{
    (void)state;
    memset(&wire, 0, sizeof wire);
    shift.word = 0x800001, shift.left = 24;
    assert_true(pins_clocked_ready((void *)&shift_pins));
    assert_int_equal(pins_clocked_clock((void *)&shift_pins, 24), 0x800001);
    assert_int_equal(shift.clocks, 24);
    assert_true(shift.masked_high);
    assert_false(shift.high || wire.masked);
    shift.word = 1, shift.left = 0;
    assert_false(pins_clocked_ready((void *)&shift_pins));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(i2c_writes_and_reads_with_a_repeated_start, fresh),
        cmocka_unit_test_setup(i2c_says_who_did_not_acknowledge, fresh),
        cmocka_unit_test_setup(i2c_bears_a_clock_that_is_stretched_and_no_longer_one, fresh),
        cmocka_unit_test_setup(i2c_clocks_a_stuck_bus_free, fresh),
        cmocka_unit_test_setup(i2c_gives_up_a_bus_that_stays_stuck, fresh),
        cmocka_unit_test(wire_tells_who_is_there),
        cmocka_unit_test(wire_slots_are_as_long_as_bits),
        cmocka_unit_test(clocked_brings_the_highest_bit_first),
    };
    return cmocka_run_group_tests_name("pins", tests, NULL, NULL);
}
