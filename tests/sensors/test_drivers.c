/* Every driver of drivers.def on the bench with its virtual chip: what it makes of raw frames, and
 * what holds for all: no value with a failure, no call of more than 2 ms, an end to each patience,
 * and back at work when the fault is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tests/sensors/bench.h"

#define SENSOR_DRIVER(id, name) extern const struct chip chip_##name __attribute__((weak));
#include "sensors/driver/drivers.def"
#undef SENSOR_DRIVER

static const struct {
    const char *name;
    const struct chip *chip;
} chips[SENSOR_DRIVERS] = {
#define SENSOR_DRIVER(id, name) {#name, &chip_##name},
#include "sensors/driver/drivers.def"
#undef SENSOR_DRIVER
};
#define CHIPS ((size_t)SENSOR_DRIVERS)

/* What the chip measures in the first frame is brought within `runs` measurements, and nothing else
 * meanwhile. */
static void comes_back(const struct chip *c, unsigned runs, const char *after)
{
    for (unsigned i = 0;; i++) {
        struct outcome o = bench_run();
        if (o.st == ST_OK) {
            for (unsigned k = 0; k < sensor_noutputs(&bench.sensor); k++)
                if (o.raw[k] != c->frames->raw[k])
                    fail_msg("%s: %d, not %d, in output %u, after %s", c->sensor.driver->name,
                             o.raw[k], c->frames->raw[k], k, after);
            return;
        }
        if (i + 1 >= runs)
            fail_msg("%s: still status %d after %s", c->sensor.driver->name, o.st, after);
    }
}

/* Steps on the bus that a measurement with its setting up has. */
static unsigned steps_of(const struct chip *c)
{
    bench_put(c, c->frames);
    comes_back(c, 1, "nothing");
    return bench.step;
}

static void each_has_a_virtual_chip_and_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHIPS; i++) {
        const struct chip *c = chips[i].chip;
        if (!c)
            fail_msg("%s: there is no chip_%s in tests/sensors/chip_%s.c", chips[i].name,
                     chips[i].name, chips[i].name);
        assert_ptr_equal(c->sensor.driver, sensor_drivers[i]);
        assert_string_equal(c->sensor.driver->name, chips[i].name);
        assert_int_equal(c->frames->st, ST_OK);
        if (c->nframes < 3)
            fail_msg("%s has %zu frames", chips[i].name, c->nframes);
    }
}

static void a_table_says_what_each_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHIPS; i++) {
        const struct sensor_driver *d = sensor_drivers[i];
        assert_ptr_equal(sensor_driver_by_id(d->id), d);
        assert_true(d->id > 0 && d->start && d->collect && d->period_ds >= 5);
        const struct sensor *s = &chips[i].chip->sensor;
        const struct sensor_output *outputs = sensor_outputs(s);
        assert_non_null(outputs);
        assert_in_range(sensor_noutputs(s), 1, SENSOR_OUTPUTS);
        for (unsigned k = 0; k < sensor_noutputs(s); k++) {
            const struct quantity *q = quantity_by_id(outputs[k].quantity);
            assert_non_null(q);
            assert_true(outputs[k].min < outputs[k].max);
            assert_int_equal(outputs[k].counter, q->counter);
        }
    }
    assert_null(sensor_driver_by_id(0));
    assert_null(sensor_driver_by_id(UINT16_MAX));
}

static void raw_frames_give_what_the_data_sheet_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHIPS; i++)
        for (size_t f = 0; f < chips[i].chip->nframes; f++) {
            const struct chip_frame *frame = &chips[i].chip->frames[f];
            bench_put(chips[i].chip, frame);
            struct outcome o = bench_run();
            if (o.st != frame->st)
                fail_msg("%s, %s: status %d, not %d", chips[i].name, frame->what, o.st, frame->st);
            for (unsigned k = 0; o.st == ST_OK && k < sensor_noutputs(&bench.sensor); k++)
                if (o.raw[k] != frame->raw[k])
                    fail_msg("%s, %s: output %u is %d, not %d", chips[i].name, frame->what, k,
                             o.raw[k], frame->raw[k]);
        }
}

static void one_that_is_set_up_measures_again_and_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHIPS; i++) {
        bench_put(chips[i].chip, chips[i].chip->frames);
        for (int run = 0; run < 5; run++) {
            comes_back(chips[i].chip, 1, "a measurement");
            bench_pass(5000);
        }
    }
}

/* Whatever breaks at whatever step: for once, or for good until it is mended. */
static void a_fault_at_any_step_gives_no_value_and_passes(void **state)
{
    static const struct {
        enum fault fault;
        const char *what;
    } faults[] = {{FAULT_ABSENT, "an absence"},
                  {FAULT_REFUSED, "a refused byte"},
                  {FAULT_STUCK, "a stuck bus"},
                  {FAULT_SHORT, "a lost byte"}};
    (void)state;
    for (size_t i = 0; i < CHIPS; i++) {
        const struct chip *c = chips[i].chip;
        unsigned steps = steps_of(c);
        for (unsigned n = 0; n < sizeof faults / sizeof *faults * steps * 2; n++) {
            unsigned kind = n / 2 / steps, step = n / 2 % steps;
            char what[64];
            snprintf(what, sizeof what, "%s at step %u", faults[kind].what, step);
            bench_put(c, c->frames);
            bench_break(faults[kind].fault, step, n % 2 != 0);
            struct outcome o = bench_run();
            if (o.st == ST_OK) /* what it does not need, or asked for again */
                for (unsigned k = 0; k < sensor_noutputs(&bench.sensor); k++)
                    assert_int_equal(o.raw[k], c->frames->raw[k]);
            if (bench.lasts) {
                (void)bench_run();
                if (bench.fault == FAULT_ABSENT && c->power)
                    c->power();
            }
            bench_mend();
            comes_back(c, 2, what);
        }
    }
}

static void one_that_is_absent_says_so_and_is_set_up_when_it_comes(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHIPS; i++) {
        const struct chip *c = chips[i].chip;
        if (c->bus == CHIP_PULSES) /* nobody can tell */
            continue;
        for (int was_there = 0; was_there < 2; was_there++) {
            bench_put(c, c->frames);
            if (was_there)
                comes_back(c, 1, "nothing");
            bench_break(FAULT_ABSENT, 0, true);
            for (int run = 0; run < 3; run++) {
                struct outcome o = bench_run();
                if (o.st != ST_NOT_FOUND)
                    fail_msg("%s: absent, status %d", chips[i].name, o.st);
            }
            if (c->power)
                c->power();
            bench_mend();
            comes_back(c, 1, "an absence");
        }
    }
}

/* Its power fails while nobody looks, or in the middle of a measurement: it has forgotten what it
 * was set to. */
static void one_that_lost_its_power_gives_no_wrong_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHIPS; i++) {
        const struct chip *c = chips[i].chip;
        unsigned calls = SENSOR_BUSY_MAX;
        if (!c->power)
            continue;
        for (unsigned at = 0; at <= calls; at++) {
            bench_put(c, c->frames);
            comes_back(c, 1, "nothing");
            if (at == 0) {
                c->power();
                bench_pass(2000);
            }
            bench.power_at = at;
            struct outcome o = bench_run();
            for (unsigned k = 0; o.st == ST_OK && k < sensor_noutputs(&bench.sensor); k++)
                if (o.raw[k] != c->frames->raw[k])
                    fail_msg("%s: %d, not %d, without power before call %u", chips[i].name,
                             o.raw[k], c->frames->raw[k], at);
            if (at == o.calls)
                calls = at;
            bench.power_at = 0;
            comes_back(c, 2, "a loss of its power");
        }
    }
}

static void what_is_brought_is_of_now(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHIPS; i++)
        for (size_t f = 1; f < chips[i].chip->nframes; f++) {
            const struct chip *c = chips[i].chip;
            if (c->frames[f].st != ST_OK || c->frames[f].setting || c->bus == CHIP_PULSES)
                continue; /* a counter has its own test */
            bench_put(c, c->frames);
            comes_back(c, 1, "nothing");
            bench_measures(c->frames[f].hex);
            bench_pass(250);
            struct outcome o = bench_run();
            assert_int_equal(o.st, ST_OK);
            for (unsigned k = 0; k < sensor_noutputs(&bench.sensor); k++)
                if (o.raw[k] != c->frames[f].raw[k])
                    fail_msg("%s: %d in output %u is of before, not %d", chips[i].name, o.raw[k], k,
                             c->frames[f].raw[k]);
        }
}

static void a_stuck_bus_is_called_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHIPS; i++) {
        if (chips[i].chip->bus != CHIP_I2C && chips[i].chip->bus != CHIP_WIRE)
            continue;
        bench_put(chips[i].chip, chips[i].chip->frames);
        bench_break(FAULT_STUCK, 0, true);
        assert_int_equal(bench_run().st, ST_IO);
        bench_mend();
        bench_break(FAULT_REFUSED, 0, true);
        if (chips[i].chip->bus == CHIP_I2C)
            assert_int_equal(bench_run().st, ST_BAD);
    }
}

static void a_patience_has_an_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHIPS; i++) {
        bench_put(chips[i].chip, chips[i].chip->frames);
        bench.never_ready = true;
        struct outcome o = bench_run();
        for (unsigned k = 0; o.st == ST_OK && k < sensor_noutputs(&bench.sensor); k++)
            assert_int_equal(o.raw[k], chips[i].chip->frames->raw[k]); /* it has no such moment */
        bench.never_ready = false;
        comes_back(chips[i].chip, 2, "being busy for ever");
    }
}

/* A check sum of 8 bits lets one of 256 through: what comes may be a value, but it has an end. */
static void noise_on_the_bus_has_an_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHIPS; i++) {
        const struct chip *c = chips[i].chip;
        unsigned values = 0, runs = c->bus == CHIP_UART ? 100 : 2000;
        bench_put(c, c->frames);
        for (unsigned run = 0; run < runs && c->bus != CHIP_PULSES; run++) {
            bench.lot = run;
            bench_break(FAULT_NOISE, 0, true);
            values += bench_run().st == ST_OK;
        }
        if (c->checked && values > runs / 20)
            fail_msg("%s: %u values of %u are noise", chips[i].name, values, runs);
        if (c->power)
            c->power();
        bench_mend();
        comes_back(c, 2, "noise");
    }
}

/* The node gives up after ten periods, of which the shortest has 0.5 s, and begins anew. */
static bool measures_within(uint32_t patience_ms, int32_t *raw)
{
    struct sensor *s = &bench.sensor;
    uint32_t began = bench.ms;
    uint16_t wait = 0;
    enum st st = s->driver->start(s, &wait);
    while (st == ST_OK || st == ST_BUSY) {
        bench_pass(wait ? wait : 1);
        st = s->driver->collect(s, raw, &wait);
        if (st == ST_OK)
            return true;
        if (bench.ms - began >= patience_ms)
            return false;
    }
    return false;
}

static void a_node_without_patience_gets_its_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHIPS; i++)
        for (size_t f = 0; f < chips[i].chip->nframes; f++) {
            const struct chip_frame *frame = &chips[i].chip->frames[f];
            int32_t raw[SENSOR_OUTPUTS];
            bench_put(chips[i].chip, frame);
            for (int run = 0; frame->st == ST_OK && !measures_within(5000, raw); run++)
                if (run == 3)
                    fail_msg("%s: no end of setting it up", chips[i].name);
            for (unsigned k = 0; frame->st == ST_OK && k < sensor_noutputs(&bench.sensor); k++)
                assert_int_equal(raw[k], frame->raw[k]);
        }
}

/* Of what carries a check sum a wrong bit never comes out as another value. */
static void a_wrong_bit_is_no_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHIPS; i++) {
        const struct chip *c = chips[i].chip;
        unsigned steps = steps_of(c);
        for (unsigned n = 0; c->checked && n < steps * 96; n++) {
            bench_put(c, c->frames);
            bench.flip = n % 96;
            if (c->bus != CHIP_I2C && bench.flip >= 8)
                continue;
            bench_break(FAULT_FLIP, n / 96, false);
            comes_back(c, 3, "a wrong bit");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_a_virtual_chip_and_frames),
        cmocka_unit_test(a_table_says_what_each_is),
        cmocka_unit_test(raw_frames_give_what_the_data_sheet_says),
        cmocka_unit_test(one_that_is_set_up_measures_again_and_again),
        cmocka_unit_test(a_fault_at_any_step_gives_no_value_and_passes),
        cmocka_unit_test(one_that_is_absent_says_so_and_is_set_up_when_it_comes),
        cmocka_unit_test(one_that_lost_its_power_gives_no_wrong_value),
        cmocka_unit_test(what_is_brought_is_of_now),
        cmocka_unit_test(a_stuck_bus_is_called_one),
        cmocka_unit_test(a_patience_has_an_end),
        cmocka_unit_test(noise_on_the_bus_has_an_end),
        cmocka_unit_test(a_node_without_patience_gets_its_values),
        cmocka_unit_test(a_wrong_bit_is_no_value),
    };
    return cmocka_run_group_tests_name("drivers", tests, NULL, NULL);
}
