/* What interrupts hand to the loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "firmware/mcu/ring.h"

static void bytes_of_the_line_keep_their_times(void **state)
{
    (void)state;
    static struct ring_line r;
    uint8_t byte;
    uint32_t at;
    bool flaw;
    assert_false(ring_line_get(&r, &byte, &at, &flaw));
    for (unsigned i = 0; i < 1000; i++) { /* round and round */
        ring_line_put(&r, (uint8_t)i, i * 88, i % 3 == 0);
        assert_false(ring_line_empty(&r));
        assert_true(ring_line_get(&r, &byte, &at, &flaw));
        assert_int_equal(byte, (uint8_t)i);
        assert_int_equal(at, i * 88);
        assert_int_equal(flaw, i % 3 == 0);
        assert_true(ring_line_empty(&r));
    }
}

static void what_does_not_fit_is_said_with_the_next_byte(void **state)
{
    (void)state;
    static struct ring_line r;
    uint8_t byte;
    uint32_t at;
    bool flaw;
    for (unsigned i = 0; i < RING_LINE + 5; i++)
        ring_line_put(&r, (uint8_t)i, 0, false);
    assert_true(ring_line_get(&r, &byte, &at, &flaw));
    ring_line_put(&r, 200, 0, false);
    for (unsigned i = 1; i < RING_LINE; i++) {
        assert_true(ring_line_get(&r, &byte, &at, &flaw));
        assert_int_equal(byte, i);
        assert_false(flaw);
    }
    assert_true(ring_line_get(&r, &byte, &at, &flaw));
    assert_int_equal(byte, 200);
    assert_true(flaw);
    assert_false(ring_line_get(&r, &byte, &at, &flaw));
    ring_line_put(&r, 1, 0, false);
    ring_line_drop(&r);
    assert_false(ring_line_get(&r, &byte, &at, &flaw));
}

static void a_sensors_newest_bytes_are_kept(void **state)
{
    (void)state;
    static struct ring_bytes r;
    uint8_t p[2 * RING_BYTES];
    assert_int_equal(ring_bytes_take(&r, p, sizeof p), 0);
    for (unsigned i = 0; i < 3 * RING_BYTES; i++)
        ring_bytes_put(&r, (uint8_t)i);
    assert_int_equal(ring_bytes_take(&r, p, 10), 10);
    assert_int_equal(p[0], 2 * RING_BYTES);
    assert_int_equal(ring_bytes_take(&r, p, sizeof p), RING_BYTES - 10);
    assert_int_equal(p[0], 2 * RING_BYTES + 10);
    assert_int_equal(ring_bytes_take(&r, p, sizeof p), 0);
}

static void a_command_goes_out_whole_before_the_next(void **state)
{
    (void)state;
    static struct ring_command c;
    static const uint8_t long_one[RING_COMMAND + 1];
    uint8_t byte;
    assert_false(ring_command_put(&c, long_one, sizeof long_one));
    assert_false(ring_command_next(&c, &byte));
    assert_true(ring_command_put(&c, (const uint8_t *)"ab", 2));
    assert_false(ring_command_put(&c, (const uint8_t *)"cd", 2));
    assert_true(ring_command_next(&c, &byte));
    assert_int_equal(byte, 'a');
    assert_false(ring_command_put(&c, (const uint8_t *)"cd", 2));
    assert_true(ring_command_next(&c, &byte));
    assert_int_equal(byte, 'b');
    assert_false(ring_command_next(&c, &byte));
    assert_true(ring_command_put(&c, long_one, RING_COMMAND));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_of_the_line_keep_their_times),
        cmocka_unit_test(what_does_not_fit_is_said_with_the_next_byte),
        cmocka_unit_test(a_sensors_newest_bytes_are_kept),
        cmocka_unit_test(a_command_goes_out_whole_before_the_next),
    };
    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
