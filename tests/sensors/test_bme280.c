/* BME280's whole numbers beside the floating-point formulas of its data sheet's appendix, over
 * calibrations as parts have them and over the whole range of temperature, pressure and humidity.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "sensors/driver/bme280.h"
#include "tests/sensors/bme280_model.h"

static enum st transfer(void *ctx, uint8_t address, const uint8_t *w, size_t nw, uint8_t *r,
                        size_t nr)
{
    (void)ctx;
    assert_int_equal(address, 0x76);
    return bme280_transfer(w, nw, r, nr);
}

static const struct sensor_i2c bus = {transfer, NULL};
struct bench bench; /* of the model: its clock alone */

static uint32_t seed = 1;
static int between(int low, int high)
{
    seed = seed * 1664525 + 1013904223;
    return low + (int)((uint64_t)(seed >> 4) * (uint64_t)(high - low + 1) >> 28);
}

static struct bme280_calibration part(void)
{
    struct bme280_calibration c = BME280_EXAMPLE;
    c.t1 = between(26000, 29000);
    c.t2 = between(25500, 27000);
    c.t3 = between(-1100, 1100);
    c.p1 = between(35000, 39000);
    c.p2 = between(-11000, -10000);
    c.p3 = between(2900, 3200);
    c.p4 = between(2000, 9000);
    c.p5 = between(-200, 300);
    c.p6 = between(-20, 20);
    c.p7 = between(9900, 15500);
    c.p8 = between(-14600, -10000);
    c.p9 = between(4000, 6000);
    c.h1 = between(0, 80);
    c.h2 = between(330, 400);
    c.h3 = between(0, 2);
    c.h4 = between(270, 360);
    c.h5 = between(-50, 100);
    c.h6 = between(20, 40);
    return c;
}

struct is {
    double cel, pa, rh;
};

/* The data sheet's, in its own names. */
static struct is by_the_data_sheet(const struct bme280_calibration *c, int t, int p, int h)
{
    struct is is;
    double var1 = (t / 16384.0 - c->t1 / 1024.0) * c->t2;
    double var2 = (t / 131072.0 - c->t1 / 8192.0) * (t / 131072.0 - c->t1 / 8192.0) * c->t3;
    double fine = var1 + var2;
    is.cel = fine / 5120.0;
    var1 = fine / 2.0 - 64000.0;
    var2 = var1 * var1 * c->p6 / 32768.0;
    var2 = var2 + var1 * c->p5 * 2.0;
    var2 = var2 / 4.0 + c->p4 * 65536.0;
    var1 = (c->p3 * var1 * var1 / 524288.0 + c->p2 * var1) / 524288.0;
    var1 = (1.0 + var1 / 32768.0) * c->p1;
    is.pa = (1048576.0 - p - var2 / 4096.0) * 6250.0 / var1;
    var1 = c->p9 * is.pa * is.pa / 2147483648.0;
    var2 = is.pa * c->p8 / 32768.0;
    is.pa += (var1 + var2 + c->p7) / 16.0;
    double x = fine - 76800.0;
    x = (h - (c->h4 * 64.0 + c->h5 / 16384.0 * x)) *
        (c->h2 / 65536.0 * (1.0 + c->h6 / 67108864.0 * x * (1.0 + c->h3 / 67108864.0 * x)));
    is.rh = fmin(fmax(x * (1.0 - c->h1 * x / 524288.0), 0.0), 100.0);
    return is;
}

static void put(const struct bme280_calibration *c, struct sensor *s)
{
    bme280_is(0x60, c);
    bme280_power();
    *s = (struct sensor){.driver = &sensor_bme280, .io = &bus, .address = 0x76};
}

static void measure(struct sensor *s, int t, int p, int h, int32_t raw[3])
{
    const uint8_t frame[8] = {(uint8_t)(p >> 12), (uint8_t)(p >> 4), (uint8_t)(p << 4),
                              (uint8_t)(t >> 12), (uint8_t)(t >> 4), (uint8_t)(t << 4),
                              (uint8_t)(h >> 8),  (uint8_t)h};
    uint16_t ready_ms = 0;
    bme280_measures(frame, sizeof frame);
    assert_int_equal(s->driver->start(s, &ready_ms), ST_OK);
    enum st st = ST_BUSY;
    for (int i = 0; i < SENSOR_BUSY_MAX && st == ST_BUSY; i++) {
        bench.ms += ready_ms + 1U;
        st = s->driver->collect(s, raw, &ready_ms);
    }
    assert_int_equal(st, ST_OK);
}

static void the_example_of_the_data_sheet_comes_out(void **state)
{
    static const struct bme280_calibration example = BME280_EXAMPLE;
    struct is is = by_the_data_sheet(&example, 519888, 415148, 0x6D00);
    struct sensor s;
    int32_t raw[3];
    (void)state;
    assert_true(fabs(is.cel - 25.08) < 0.005 && fabs(is.pa - 100653.27) < 0.005);
    put(&example, &s);
    measure(&s, 519888, 415148, 0x6D00, raw);
    assert_int_equal(raw[0], 2508);
    assert_int_equal(raw[1], 1006533);
}

static void whole_numbers_agree_with_floating_point(void **state)
{
    unsigned looked_at = 0;
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct bme280_calibration c = part();
        struct sensor s;
        put(&c, &s);
        for (int k = 0; k < 200; k++) {
            int t = between(300000, 720000), p = between(150000, 900000), h = between(10000, 60000);
            struct is is = by_the_data_sheet(&c, t, p, h);
            if (t == 0x80000 || p == 0x80000 || h == 0x8000 || is.cel < -40 || is.cel > 85 ||
                is.pa < 30000 || is.pa > 110000)
                continue;
            int32_t raw[3];
            measure(&s, t, p, h, raw);
            if (fabs(raw[0] - is.cel * 100) > 0.6 || fabs(raw[1] - is.pa * 10) > 1.0 ||
                fabs(raw[2] - is.rh * 100) > 0.7)
                fail_msg("%d %d %d, not %f %f %f", raw[0], raw[1], raw[2], is.cel * 100, is.pa * 10,
                         is.rh * 100);
            looked_at++;
        }
    }
    assert_in_range(looked_at, 10000, 40000);
}

/* What noise on the bus may leave there: nothing overflows, and no value is one that cannot be. */
static void any_calibration_has_an_end(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct bme280_calibration c = {
            between(0, 65535),      between(-32768, 32767), between(-32768, 32767),
            between(0, 65535),      between(-32768, 32767), between(-32768, 32767),
            between(-32768, 32767), between(-32768, 32767), between(-32768, 32767),
            between(-32768, 32767), between(-32768, 32767), between(-32768, 32767),
            between(0, 255),        between(-32768, 32767), between(0, 255),
            between(-2048, 2047),   between(-2048, 2047),   between(-128, 127)};
        uint8_t frame[8];
        struct sensor s;
        uint16_t ready_ms = 0;
        int32_t raw[3] = {0};
        put(&c, &s);
        for (size_t k = 0; k < sizeof frame; k++)
            frame[k] = (uint8_t)between(0, 255);
        bme280_measures(frame, sizeof frame);
        assert_int_equal(s.driver->start(&s, &ready_ms), ST_OK);
        enum st st = ST_BUSY;
        for (int k = 0; k < SENSOR_BUSY_MAX && st == ST_BUSY; k++) {
            bench.ms += ready_ms + 1U;
            st = s.driver->collect(&s, raw, &ready_ms);
        }
        assert_true(st == ST_OK || st == ST_BAD);
        assert_true(raw[1] >= 0 && raw[2] >= 0 && raw[2] <= 10000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_data_sheet_comes_out),
        cmocka_unit_test(whole_numbers_agree_with_floating_point),
        cmocka_unit_test(any_calibration_has_an_end),
    };
    return cmocka_run_group_tests_name("bme280", tests, NULL, NULL);
}
