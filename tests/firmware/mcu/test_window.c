/* The window of the watchdog. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "firmware/mcu/window.h"

static void who_feeds_in_time_may_always(void **state)
{
    (void)state;
    struct window w = {0};
    uint32_t now = UINT32_MAX - 1000; /* it wraps */
    for (int i = 0; i < 100; i++, now += WINDOW_MS)
        assert_true(window_open(&w, now));
}

static void who_feeds_too_early_never_may_again(void **state)
{
    (void)state;
    struct window w = {0};
    assert_true(window_open(&w, 5)); /* the first time, whenever */
    assert_false(window_open(&w, 5 + WINDOW_MS - 1));
    for (uint32_t now = 1000; now < 100000; now += 1000)
        assert_false(window_open(&w, now));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_feeds_in_time_may_always),
        cmocka_unit_test(who_feeds_too_early_never_may_again),
    };
    return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
