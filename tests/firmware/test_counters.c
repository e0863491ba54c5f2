/* How a counter goes on from what its chip says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "firmware/node/counters.h"

static void counters_come_around_and_chips_begin_anew(void **state)
{
    (void)state;
    struct counters counters = {0};
    counters_take(&counters, 2, 100);
    counters_take(&counters, 2, 250);
    assert_int_equal(counters_total(&counters, 2), 250);
    counters_take(&counters, 2, 30); /* the chip was without power */
    assert_int_equal(counters_total(&counters, 2), 280);
    counters.last[2] = INT32_MAX - 4;
    counters_take(&counters, 2, 5); /* came around: 10 more */
    assert_int_equal(counters_total(&counters, 2), 290);
    counters.now.total[2] = INT32_MAX;
    counters_take(&counters, 2, 7);
    assert_int_equal(counters_total(&counters, 2), 1);
    counters_take(&counters, LIMITS_COUNTERS, 9); /* there is none */
    assert_int_equal(counters_total(&counters, LIMITS_COUNTERS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_come_around_and_chips_begin_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
