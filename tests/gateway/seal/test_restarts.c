/* Starts of the program within one boot of the machine, whose clock is unknown: cases H1 and H3. */
#include "tests/gateway/seal/world.h"

/* Everything polled since the machine booted has its time, and what was off says so. */
static void assert_told_since(int64_t start, int64_t off, size_t entries)
{
    struct line_batches b;
    struct seen s = look(&b);
    assert_int_equal(s.readings + line_pending_readings(w.l), w.polls);
    assert_int_equal(s.unknown, 0);
    assert_int_equal(s.corrected, w.blind);
    assert_int_equal(s.worst_ms, 0);
    assert_int_equal(s.entries, entries);
    line_assert_all_told(w.l, &b, LINE_T0, w.true_ms - 70000);
    assert_string_equal(line_cause(w.l, &b, 0, 0, start - 1000), "off");
    assert_null(line_cause(w.l, &b, 0, 0, start + 2000));
    assert_string_equal(line_cause(w.l, &b, 0, 0, off), "off");
    line_batches_done(&b);
}

static void H1_restarts_before_the_sync_are_told_too(void **state)
{
    (void)state;
    int64_t start = boot_at_1970(), off = 0;
    run(3 * LINE_MINUTE + 25000);
    for (int i = 0; i < 3; i++) { /* with and without a window sealed in between */
        turn(true);
        off = w.true_ms + 20000;
        restart(40000, CLK_UNKNOWN);
        run(i == 1 ? 15000 : 2 * LINE_MINUTE + 5000);
    }
    clock_is(CLK_SYNCED, 200);
    run(3 * LINE_MINUTE);
    assert_told_since(start, off, 4);
}

static void H1_a_clock_found_while_the_program_was_off(void **state)
{
    (void)state;
    int64_t start = boot_at_1970();
    run(3 * LINE_MINUTE + 25000);
    turn(true);
    restart(40000, CLK_UNKNOWN);
    run(LINE_MINUTE + 35000);
    turn(true);
    int64_t off = w.true_ms + 20000;
    restart(40000, CLK_SYNCED);
    run(3 * LINE_MINUTE);
    assert_told_since(start, off, 2);
}

static void H1_a_better_offset_reaches_earlier_starts(void **state)
{
    (void)state;
    boot_at_1970();
    run(3 * LINE_MINUTE + 25000);
    turn(true);
    w.error_ms = 20000;
    restart(40000, CLK_HOLDOVER); /* set by hand */
    w.l->err_ms = 60000;
    run(2 * LINE_MINUTE);
    w.error_ms = 0;
    clock_is(CLK_SYNCED, 200);
    run(2 * LINE_MINUTE);
    struct line_batches b;
    (void)look(&b);
    size_t moved = 0, blind = 0;
    for (size_t i = 0; i < b.n; i++) {
        int clk = b.v[i].batch.header.clk;
        if (b.v[i].batch.header.kind == WIRE_CONTROL)
            continue;
        blind += clk == CLK_UNKNOWN || clk == CLK_CORRECTED;
        moved += b.v[i].moved && b.v[i].err_ms < 1000;
    }
    assert_true(moved >= 5);
    assert_int_equal(moved, blind);
    line_batches_done(&b);
}

/* Killed at each seal that the found clock asks for, with starts before this one to tell. */
static void H1_a_kill_at_any_seal_tells_earlier_starts(void **state)
{
    for (int how = 0; how < 8; how++)
        for (int at = 0; at < 4; at++) {
            bool off = how & 1, reboot = how & 2, blind_again = how & 4;
            int64_t start = boot_at_1970();
            run(3 * LINE_MINUTE + 25000);
            turn(true);
            restart(40000, CLK_UNKNOWN);
            run(15000);
            turn(true);
            fail_at = at;
            if (off)
                restart(40000, CLK_SYNCED);
            clock_is(CLK_SYNCED, 200);
            fail_at = -1;
            if (reboot) {
                cut_power(HOUR);
                boot(blind_again ? CLK_UNKNOWN : CLK_SYNCED);
            } else {
                restart(50000, blind_again ? CLK_UNKNOWN : CLK_SYNCED);
            }
            run(2 * LINE_MINUTE + 5000);
            if (blind_again)
                clock_is(CLK_SYNCED, 200);
            run(3 * LINE_MINUTE);
            struct line_batches b;
            struct seen s = look(&b);
            assert_int_equal(s.readings + line_pending_readings(w.l), w.polls);
            assert_int_equal(s.worst_ms, 0);
            bool told = s.unknown == 0;
            if (!told && !(reboot && at == 0))
                fail_msg("how %d at %d: %zu of %zu stay unknown", how, at, s.unknown, w.blind);
            if (told) {
                line_assert_all_told(w.l, &b, LINE_T0, w.true_ms - 70000);
                assert_string_equal(line_cause(w.l, &b, 0, 0, start - 1000), "off");
            }
            line_batches_done(&b);
            line_teardown(state);
            setup(state);
        }
}

/* The kernel's id of its boot comes again, its clock does not: a copied machine. */
static void H3_a_time_since_boot_that_went_back_is_another_boot(void **state)
{
    (void)state;
    boot_at_1970();
    pass(HOUR);
    run(3 * LINE_MINUTE + 25000);
    turn(true);
    size_t blind = w.blind;
    restart(-HOUR, CLK_UNKNOWN);
    w.true_ms += 2 * HOUR;
    run(2 * LINE_MINUTE + 5000);
    clock_is(CLK_SYNCED, 200);
    run(3 * LINE_MINUTE);
    struct line_batches b;
    struct seen s = look(&b);
    assert_int_equal(s.unknown, blind);
    assert_int_equal(s.worst_ms, 0);
    line_batches_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, line_teardown)
        T(H1_restarts_before_the_sync_are_told_too),
        T(H1_a_clock_found_while_the_program_was_off),
        T(H1_a_better_offset_reaches_earlier_starts),
        T(H1_a_kill_at_any_seal_tells_earlier_starts),
        T(H3_a_time_since_boot_that_went_back_is_another_boot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
