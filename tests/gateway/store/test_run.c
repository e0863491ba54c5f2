/* A run that never said that it stops is told from one that did, with its last sign of life. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/line.h"

static struct store_last_run last_run(struct line *l)
{
    struct store_last_run x;
    struct err e = {.text = ""};
    line_start(l);
    if (store_last_run(l->store, &x, &e) != ST_OK)
        fail_msg("%s", e.text);
    return x;
}

static void told(struct line *l, const char *code)
{
    store_event(l->store, STORE_INFO, code, "gw", "as the program does");
    line_step(l, true);
}

static void a_run_without_a_stop_was_cut(void **state)
{
    struct line *l = *state;
    assert_false(last_run(l).cut); /* there was none before */
    told(l, "start");
    l->utc_ms += 5000;
    l->mono_ms += 5000;
    line_poll(l, 0, l->utc_ms, 7); /* what its journal says last */
    line_step(l, true);
    int64_t life_ms = l->utc_ms;
    line_stop(l); /* as killed: nothing says so */
    l->utc_ms += LINE_MINUTE;
    l->mono_ms += LINE_MINUTE;
    struct store_last_run x = last_run(l);
    assert_true(x.cut);
    assert_int_equal(x.life_ms, life_ms);
    told(l, "power.cut");
    told(l, "start");
    told(l, "device.good"); /* others between do not count */
    told(l, "stop");
    line_stop(l);
    assert_false(last_run(l).cut);
    line_stop(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_without_a_stop_was_cut, line_setup, line_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
