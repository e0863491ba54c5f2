/* A whole node over a port of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "sensors/node.h"
#include "tests/firmware/fake.h"

static const struct sensor_output weather[] = {
    {60, -2, false, -4000, 12500},
    {61, -2, false, 0, 10000},
};
static const struct sensor_output water[] = {{137, -2, true, 0, INT32_MAX}};

static void put(unsigned block, unsigned offset, unsigned value, int gives)
{
    assert_int_equal(fake_write(1, fake_block(1, block) + offset, value), gives);
}

static unsigned get(uint8_t unit, unsigned block, unsigned offset)
{
    uint16_t v = 0;
    assert_int_equal(fake_read(unit, fake_block(unit, block) + offset, 1, &v), 0);
    return v;
}

static int start(void **state)
{
    (void)state;
    fake_new();
    fake_add(weather, 2);
    fake_add(water, 1);
    return fake_boot() ? 0 : -1;
}

static void new_node_is_at_1_with_9600_8n1(void **state)
{
    (void)state;
    assert_int_equal(get(1, NODE_LINE, NODE_LINE_address), 1);
    assert_int_equal(get(1, NODE_LINE, NODE_LINE_speed), 96);
    assert_int_equal(fake.line.baud, 9600);
    assert_int_equal(fake.line.parity, 0);
    assert_int_equal(fake.line.stop_bits, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(new_node_is_at_1_with_9600_8n1, start),
    };
    (void)put;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
