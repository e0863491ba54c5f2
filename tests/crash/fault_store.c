/* What one failing call does to the store and the seal, and what it must not do. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "tests/crash/nth.h"
#include "tests/support/line.h"

static const char *fault_of(struct line *l)
{
    static struct store_stats stats;
    store_stats(l->store, &stats);
    return stats.fault;
}

static void minute(struct line *l)
{
    l->utc_ms = LINE_M1;
    line_start(l);
    line_run(l, LINE_M1 + 50000);
}

/* All polls of the window are in, and the next turn seals it. */
static void window_is_due(struct line *l)
{
    struct err e = {0};
    for (uint32_t d = 0; d < LINE_DEVICES; d++)
        line_poll(l, d, l->utc_ms, 1);
    l->utc_ms += 12000;
    l->mono_ms += 12000;
    assert_int_equal(store_step(l->store, true, &e), ST_OK);
}

/* A turn that commits or seals and fails once, and is visible until it is done again. */
static void assert_fails_once(struct line *l, enum st want)
{
    struct err e = {0};
    enum st a = store_step(l->store, true, &e), b = seal_step(l->seal, &e);
    assert_true(a == want || b == want);
    assert_true(strlen(e.text) > 20);
    assert_string_not_equal(fault_of(l), "");
    l->utc_ms += 1000;
    l->mono_ms += 1000;
    line_step(l, true);
    assert_string_equal(fault_of(l), "");
}

static void a_failed_commit_keeps_its_readings(void **state)
{
    struct line *l = *state;
    minute(l);
    uint64_t before = line_pending_readings(l);
    line_poll(l, 0, l->utc_ms, 1);
    nth_arm(NTH_WRITE, ENOSPC, 1, false);
    assert_fails_once(l, ST_FULL);
    nth_disarm();
    line_stop(l);
    line_start(l);
    assert_int_equal(line_pending_readings(l), before + LINE_POINTS);
}

static void a_failed_seal_keeps_its_readings(void **state)
{
    struct line *l = *state;
    minute(l);
    window_is_due(l);
    nth_arm(NTH_SYNC, EIO, 1, false);
    assert_fails_once(l, ST_IO);
    nth_disarm();
    struct line_batches b;
    line_batches(l, &b);
    assert_int_equal(line_sealed_readings(&b), 6 * LINE_DEVICES * LINE_POINTS);
    line_assert_chain(&b);
    line_batches_done(&b);
}

static void a_rollback_that_fails_holds_up_nothing(void **state)
{
    struct line *l = *state;
    struct err e = {0};
    minute(l);
    window_is_due(l);
    enum st st = ST_MEMORY;
    for (int at = 1; st != ST_OK; at++) { /* before, within and at the end of the transaction */
        nth_arm(NTH_STEP, SQLITE_NOMEM, at, true);
        st = seal_step(l->seal, &e);
        nth_disarm();
        assert_true(at < 100 && (st == ST_OK || st == ST_MEMORY));
        assert_int_equal(fault_of(l)[0] == 0, st == ST_OK);
    }
    struct line_batches b;
    line_batches(l, &b);
    assert_int_equal(line_sealed_readings(&b), 6 * LINE_DEVICES * LINE_POINTS);
    line_batches_done(&b);
}

static void a_seal_that_lacks_memory_is_visible_although_commits_work(void **state)
{
    struct line *l = *state;
    struct err e = {0};
    minute(l);
    window_is_due(l);
    nth_arm(NTH_MEMORY, ENOMEM, 1, true);
    assert_int_equal(seal_step(l->seal, &e), ST_MEMORY);
    nth_disarm();
    line_poll(l, 0, l->utc_ms, 1);
    assert_int_equal(store_step(l->store, true, &e), ST_OK);
    assert_string_not_equal(fault_of(l), "");
}

static void a_lock_is_not_waited_for_long(void **state)
{
    struct line *l = *state;
    struct err e = {0};
    sqlite3 *h = NULL;
    minute(l);
    window_is_due(l);
    assert_int_equal(sqlite3_open(l->db, &h), SQLITE_OK);
    assert_int_equal(sqlite3_exec(h, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    int64_t began = clk_mono(clk_real()).ms;
    assert_int_equal(seal_step(l->seal, &e), ST_BUSY);
    assert_true(clk_mono(clk_real()).ms - began < 2000);
    assert_non_null(strstr(fault_of(l), "another program holds it"));
    sqlite3_exec(h, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_close(h);
    l->utc_ms += 1000;
    l->mono_ms += 1000;
    line_step(l, true);
    assert_string_equal(fault_of(l), "");
}

static bool is_told(void *ctx, const struct store_event *v)
{
    int *seen = ctx;
    *seen |= strcmp(v->code, "store.fault") == 0 ? 1 : strcmp(v->code, "store.good") == 0 ? 2 : 0;
    return true;
}

static void a_fault_and_its_end_are_events(void **state)
{
    struct line *l = *state;
    struct store_reader *r = NULL;
    int seen = 0;
    minute(l);
    line_poll(l, 0, l->utc_ms, 1);
    nth_arm(NTH_WRITE, EIO, 1, false);
    assert_fails_once(l, ST_IO);
    nth_disarm();
    line_step(l, true);
    assert_int_equal(store_reader_open(&r, l->db, NULL), ST_OK);
    assert_int_equal(store_each_event(r, 0, 50, is_told, &seen, NULL), ST_OK);
    store_reader_close(r);
    assert_int_equal(seen, 3);
}

static int teardown(void **state)
{
    nth_disarm();
    return line_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, line_setup, teardown)
        T(a_failed_commit_keeps_its_readings),
        T(a_failed_seal_keeps_its_readings),
        T(a_rollback_that_fails_holds_up_nothing),
        T(a_seal_that_lacks_memory_is_visible_although_commits_work),
        T(a_lock_is_not_waited_for_long),
        T(a_fault_and_its_end_are_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
