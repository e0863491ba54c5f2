/* What the seal room puts into batches: windows, chain, gaps, plan. Rules: batch.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/line.h"

static void the_plan_is_the_first_batch(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_to(l, LINE_M1 + 3000);
    struct line_batches b;
    line_batches(l, &b);
    assert_true(b.n >= 2);
    assert_int_equal(b.v[0].batch.header.kind, WIRE_CONTROL);
    struct wire_control c;
    struct wire_entry x;
    size_t n = 0;
    assert_int_equal(
        wire_control_open(&c, b.v[0].batch.cose.payload.p, b.v[0].batch.cose.payload.n, NULL),
        ST_OK);
    while (wire_control_next(&c, &x, NULL) == ST_OK) {
        assert_int_equal(x.kind, WIRE_ENTRY_PLAN);
        assert_int_equal(x.period_ms, 10000);
        n++;
    }
    assert_int_equal(n, LINE_DEVICES * LINE_POINTS);
    line_batches_done(&b);
}

static void windows_are_aligned_and_abut(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1 + 5 * LINE_MINUTE + 3000);
    struct line_batches b;
    line_batches(l, &b);
    assert_int_equal(b.n, 1 + 6);
    line_assert_chain(&b);
    for (size_t i = 1; i < b.n; i++) {
        assert_int_equal(b.v[i].batch.header.from_ms % LINE_MINUTE, 0);
        assert_int_equal(b.v[i].batch.header.to_ms % LINE_MINUTE, 0);
        assert_int_equal(b.v[i].batch.header.ngaps, 0);
    }
    line_assert_all_told(l, &b, LINE_T0, LINE_M1 + 5 * LINE_MINUTE);
    line_batches_done(&b);
}

static void an_empty_window_is_sealed_with_its_gap(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1);
    line_miss(l, 0, LINE_M1, STORE_DEVICE);
    line_miss(l, 1, LINE_M1, STORE_DEVICE);
    for (int64_t t = LINE_M1; t <= LINE_M1 + 2 * LINE_MINUTE + 3000; t += 1000)
        line_to(l, t);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    const struct line_batch *last = &b.v[b.n - 1];
    assert_int_equal(last->row.n, 0);
    assert_int_equal(last->batch.header.ngaps, 1);
    assert_string_equal(last->batch.header.gaps[0].series, "*");
    assert_string_equal(last->batch.header.gaps[0].cause, "device");
    assert_int_equal(last->batch.header.gaps[0].from_ms, last->batch.header.from_ms);
    assert_int_equal(last->batch.header.gaps[0].to_ms, last->batch.header.to_ms);
    line_batches_done(&b);
}

static void a_missed_poll_is_a_gap_to_the_next_reading(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1);
    line_miss(l, 0, LINE_M1, STORE_BUS);
    line_poll(l, 1, LINE_M1, 7);
    line_to(l, LINE_M1 + 10000);
    line_miss(l, 0, LINE_M1 + 10000, STORE_BUS);
    line_poll(l, 1, LINE_M1 + 10000, 7);
    line_to(l, LINE_M1 + 20000);
    line_run(l, LINE_M1 + LINE_MINUTE + 3000);
    struct line_batches b;
    line_batches(l, &b);
    const struct wire_header *h = &b.v[b.n - 1].batch.header;
    assert_int_equal(h->ngaps, 1);
    assert_string_equal(h->gaps[0].series, "dev-0/*");
    assert_string_equal(h->gaps[0].cause, "bus");
    assert_int_equal(h->gaps[0].from_ms, LINE_M1);
    assert_int_equal(h->gaps[0].to_ms, LINE_M1 + 20000);
    line_assert_all_told(l, &b, LINE_T0, LINE_M1 + LINE_MINUTE);
    line_batches_done(&b);
}

static void a_silent_collector_is_an_overrun(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1);
    for (int64_t t = LINE_M1; t <= LINE_M1 + 3 * LINE_MINUTE + 3000; t += 1000)
        line_to(l, t);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_all_told(l, &b, LINE_T0, LINE_M1 + 3 * LINE_MINUTE);
    assert_string_equal(b.v[b.n - 1].batch.header.gaps[0].cause, "overrun");
    line_batches_done(&b);
}

/* The window with the open gap is sealed, and a restart forgets that the gap was open: the first
 * tick behind the edge is still part of it (rule 18). */
static void an_overrun_across_a_window_and_a_restart_loses_no_tick(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1 + 30000);
    for (int64_t t = l->utc_ms; t < LINE_M1 + LINE_MINUTE + 10000; t += 1000)
        line_to(l, t);
    line_to(l, LINE_M1 + LINE_MINUTE + 10000);
    line_run(l, LINE_M1 + LINE_MINUTE + 25000);
    line_step(l, true);
    line_stop(l);
    line_start(l);
    line_run(l, LINE_M1 + 3 * LINE_MINUTE + 3000);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    line_assert_all_told(l, &b, LINE_T0, LINE_M1 + 3 * LINE_MINUTE);
    assert_string_equal(line_cause(l, &b, 0, 0, LINE_M1 + LINE_MINUTE - 1), "overrun");
    assert_string_equal(line_cause(l, &b, 0, 0, LINE_M1 + LINE_MINUTE), "overrun");
    line_batches_done(&b);
}

/* An answer that comes after later ticks were due: they lie in the gap before it, and in none over
 * it or behind it, though the collector tells of them, too. */
static void a_late_answer_lies_in_no_gap(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1);
    struct store_value v[LINE_POINTS];
    for (uint32_t i = 0; i < LINE_POINTS; i++)
        v[i] = (struct store_value){num_dec(7, -1), i, 0};
    struct store_poll late = {0, LINE_M1, LINE_M1 + 33000, CLK_SYNCED, STORE_DEVICE, LINE_POINTS};
    for (int64_t t = LINE_M1; t < LINE_M1 + 33000; t += 1000) {
        if (t % 10000 == LINE_M1 % 10000)
            line_poll(l, 1, t, 7);
        line_to(l, t + 1000);
    }
    assert_int_equal(store_put(l->store, &late, v, 0), ST_OK);
    line_miss(l, 0, LINE_M1 + 20000, STORE_OVERRUN);
    line_miss(l, 0, LINE_M1 + 30000, STORE_OVERRUN);
    line_to(l, LINE_M1 + 40000);
    line_run(l, LINE_M1 + LINE_MINUTE + 3000);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_all_told(l, &b, LINE_T0, LINE_M1 + LINE_MINUTE);
    assert_string_equal(line_cause(l, &b, 0, 0, LINE_M1 + 30000), "overrun");
    assert_null(line_cause(l, &b, 0, 0, LINE_M1 + 33000));
    assert_null(line_cause(l, &b, 0, 0, LINE_M1 + 39999));
    line_batches_done(&b);
}

static void a_restart_is_a_gap_off_and_keeps_the_journal(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1 + 25000);
    line_step(l, true);
    assert_int_equal(line_pending_readings(l), 3 * LINE_DEVICES * LINE_POINTS);
    line_stop(l);

    l->utc_ms += 10 * LINE_MINUTE;
    l->mono_ms += 10 * LINE_MINUTE;
    int64_t start = l->utc_ms;
    line_start(l);
    line_run(l, start + 2 * LINE_MINUTE);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    line_assert_all_told(l, &b, LINE_T0, LINE_M1 + 11 * LINE_MINUTE);
    /* One batch for what the journal held, one across the downtime, not one a window. */
    size_t off = 0;
    for (size_t i = 0; i < b.n; i++)
        for (size_t g = 0; g < b.v[i].batch.header.ngaps; g++)
            if (strcmp(b.v[i].batch.header.gaps[g].cause, "off") == 0) {
                assert_memory_equal(b.v[i].batch.header.boot, store_boot(l->store), WIRE_ID_BYTES);
                assert_string_equal(b.v[i].batch.header.gaps[g].series, "*");
                off++;
            }
    assert_int_equal(off, 1);
    line_batches_done(&b);
}

static void boots_never_share_a_batch(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1 + 15000);
    line_step(l, true);
    uint64_t held = line_pending_readings(l);
    uint8_t boot[WIRE_ID_BYTES];
    memcpy(boot, store_boot(l->store), sizeof boot);
    line_stop(l);
    l->utc_ms += 15000;
    l->mono_ms += 15000;
    line_start(l);
    line_poll(l, 0, l->utc_ms, 1); /* in the queue before the writer's first turn */
    line_run(l, LINE_M1 + LINE_MINUTE + 3000);
    struct line_batches b;
    line_batches(l, &b);
    uint64_t old = 0;
    for (size_t i = 0; i < b.n; i++)
        if (b.v[i].batch.header.from_ms >= LINE_M1 &&
            memcmp(b.v[i].batch.header.boot, boot, sizeof boot) == 0)
            old += b.v[i].row.n;
    assert_int_equal(old, held);
    line_batches_done(&b);
}

static void a_kill_loses_at_most_what_no_commit_held(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1 + 35000);
    uint64_t durable = line_pending_readings(l);
    struct line_batches b;
    line_batches(l, &b);
    durable += line_sealed_readings(&b);
    line_batches_done(&b);
    line_stop(l);
    l->utc_ms += 3 * LINE_MINUTE;
    l->mono_ms += 3 * LINE_MINUTE;
    line_start(l);
    line_to(l, l->utc_ms + 3000);
    line_batches(l, &b);
    assert_int_equal(line_sealed_readings(&b) + line_pending_readings(l), durable);
    line_assert_chain(&b);
    line_batches_done(&b);
}

static void a_full_window_is_cut_at_a_tick(void **state)
{
    struct line *l = *state;
    l->seal_cfg.max_readings = 2 * LINE_DEVICES * LINE_POINTS + 1;
    line_start(l);
    line_run(l, LINE_M1 + LINE_MINUTE + 3000);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    for (size_t i = 0; i < b.n; i++)
        assert_true(b.v[i].row.n <= (uint64_t)l->seal_cfg.max_readings);
    line_assert_all_told(l, &b, LINE_T0, LINE_M1 + LINE_MINUTE);
    line_batches_done(&b);
}

static void a_removed_device_stays_due_and_its_readings_stay(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1 + 15000);
    line_step(l, true);
    uint64_t held = line_pending_readings(l);
    line_stop(l);
    l->devices = 1;
    line_start(l);
    line_run(l, LINE_M1 + LINE_MINUTE + 3000);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    uint64_t old = 0;
    for (size_t i = 1; i < b.n; i++)
        if (b.v[i].batch.header.kind == WIRE_DATA &&
            memcmp(b.v[i].batch.header.boot, store_boot(l->store), WIRE_ID_BYTES) != 0 &&
            b.v[i].batch.header.from_ms >= LINE_M1)
            old += b.v[i].row.n;
    assert_int_equal(old, held);
    assert_string_equal(line_cause(l, &b, 1, 0, LINE_M1 + 40000), "paused");
    line_assert_told(l, &b, 1, LINE_T0, LINE_M1 + LINE_MINUTE);
    line_batches_done(&b);
}

static void another_key_or_machine_begins_a_linked_chain(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1 + 3000);
    line_stop(l);
    l->machine = "machine-b";
    line_start(l);
    line_run(l, LINE_M1 + LINE_MINUTE + 3000);
    struct line_batches b;
    line_batches(l, &b);
    size_t i = 1;
    while (i < b.n && b.v[i].batch.header.seq != 1)
        i++;
    assert_true(i < b.n);
    const struct wire_header *h = &b.v[i].batch.header, *p = &b.v[i - 1].batch.header;
    assert_memory_not_equal(h->chain, p->chain, WIRE_ID_BYTES);
    assert_true(h->after);
    assert_memory_equal(h->after_chain, p->chain, WIRE_ID_BYTES);
    assert_int_equal(h->after_seq, p->seq);
    assert_memory_equal(h->after_hash, b.v[i - 1].row.hash, WIRE_HASH_BYTES);
    line_batches_done(&b);
}

static void a_clock_step_cuts_the_window_and_is_marked(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1 + 25000);
    l->utc_ms -= INT64_C(86400000); /* a day back; the monotonic clock goes on */
    line_step(l, false);
    int64_t day = LINE_M1 - INT64_C(86400000);
    line_run(l, day + 2 * LINE_MINUTE + 3000);
    struct line_batches b;
    line_batches(l, &b);
    size_t steps = 0;
    for (size_t i = 0; i < b.n; i++)
        steps += b.v[i].batch.header.step;
    assert_int_equal(steps, 1);
    assert_true(b.n < 12); /* no burst of windows */
    line_assert_chain(&b);
    line_assert_all_told(l, &b, day + 30000, day + 2 * LINE_MINUTE);
    line_batches_done(&b);
}

static void grades_never_share_a_batch(void **state)
{
    struct line *l = *state;
    l->grade = CLK_HOLDOVER;
    line_start(l);
    line_run(l, LINE_M1 + 25000);
    l->grade = CLK_SYNCED;
    line_run(l, LINE_M1 + LINE_MINUTE + 3000);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    int last = CLK_HOLDOVER;
    for (size_t i = 1; i < b.n; i++) {
        assert_true(b.v[i].batch.header.clk <= last);
        last = b.v[i].batch.header.clk;
    }
    assert_int_equal(last, CLK_SYNCED);
    line_assert_all_told(l, &b, LINE_T0, LINE_M1 + LINE_MINUTE);
    line_batches_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, line_setup, line_teardown)
        T(the_plan_is_the_first_batch),
        T(windows_are_aligned_and_abut),
        T(an_empty_window_is_sealed_with_its_gap),
        T(a_missed_poll_is_a_gap_to_the_next_reading),
        T(a_silent_collector_is_an_overrun),
        T(an_overrun_across_a_window_and_a_restart_loses_no_tick),
        T(a_late_answer_lies_in_no_gap),
        T(a_restart_is_a_gap_off_and_keeps_the_journal),
        T(boots_never_share_a_batch),
        T(a_kill_loses_at_most_what_no_commit_held),
        T(a_full_window_is_cut_at_a_tick),
        T(a_removed_device_stays_due_and_its_readings_stay),
        T(another_key_or_machine_begins_a_linked_chain),
        T(a_clock_step_cuts_the_window_and_is_marked),
        T(grades_never_share_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
