/* What a batch says at the edges: changed configurations, clocks that come late, crowds of gaps.
 * Rules: batch.md 6 to 11, 16 to 18. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/line.h"

#define OFF_MS (10 * LINE_MINUTE)
#define SYNC_MS (LINE_M1 + 3665000) /* an hour after LINE_M1 + 65 s, when the power goes */

/* The power goes: what the journal holds stays. */
static void cut_power(struct line *l)
{
    line_step(l, true);
    line_stop(l);
}

static void be_off(struct line *l)
{
    cut_power(l);
    l->utc_ms += OFF_MS;
    l->mono_ms += OFF_MS;
}

/* A boot that does not know the time, 20 s after the kernel's. */
static void boot_without_clock(struct line *l)
{
    l->grade = CLK_UNKNOWN;
    l->mono_ms = 20000;
    l->utc_ms = CLK_UNKNOWN_BASE_MS + 20000;
    line_start(l);
}

static void sync_clock(struct line *l, int64_t t_ms)
{
    l->grade = CLK_SYNCED;
    l->utc_ms = t_ms;
    l->mono_ms += 100;
    line_step(l, false);
}

static void boot_with_clock(struct line *l, int64_t t_ms)
{
    l->grade = CLK_SYNCED;
    l->utc_ms = t_ms;
    l->mono_ms = 20000;
    line_start(l);
}

/* The last entry of that kind for the series says this time; -1: there is none. */
static int64_t entry_at(const struct line_batches *b, enum wire_entry_kind kind, const char *series)
{
    int64_t at_ms = -1;
    for (size_t i = 0; i < b->n; i++) {
        struct wire_control c;
        struct wire_entry x;
        struct wire_span p = b->v[i].batch.cose.payload;
        if (b->v[i].batch.header.kind != WIRE_CONTROL)
            continue;
        assert_int_equal(wire_control_open(&c, p.p, p.n, NULL), ST_OK);
        while (wire_control_next(&c, &x, NULL) == ST_OK)
            if (x.kind == kind && x.series.n == strlen(series) &&
                memcmp(x.series.p, series, x.series.n) == 0)
                at_ms = x.at_ms;
    }
    return at_ms;
}

static void a_period_changed_while_off_leaves_no_silence(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1 + 65000);
    be_off(l);
    l->period_ms[0] = 20000;
    int64_t start = l->utc_ms;
    line_start(l);
    line_run(l, start + 130000);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    line_assert_all_told(l, &b, LINE_T0, start + 2 * LINE_MINUTE - 5000);
    for (uint32_t d = 0; d < l->devices; d++)
        assert_string_equal(line_cause(l, &b, d, 0, start - LINE_MINUTE), "off");
    l->period_ms[0] = 10000; /* until the new plan, the old period is what is due */
    line_assert_told(l, &b, 0, LINE_T0, LINE_M1 + LINE_MINUTE + 1);
    line_batches_done(&b);
}

static void a_chain_that_ends_inside_a_window_loses_no_tick(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1 + 100500);
    struct err e = {0};
    struct store_chain c;
    assert_int_equal(store_chain_last(l->store, &c, &e), ST_OK);
    line_writer_start(l);
    assert_int_equal(store_chain_end(l->store, c.id, &e), ST_OK);
    line_writer_stop(l);
    line_run(l, LINE_M1 + 190000);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    line_assert_all_told(l, &b, LINE_T0, LINE_M1 + 3 * LINE_MINUTE);
    const struct wire_header *h = &b.v[b.n - 1].batch.header;
    assert_memory_not_equal(h->chain, c.id, WIRE_ID_BYTES);
    for (size_t i = 0; i < b.n; i++)
        assert_int_equal(b.v[i].batch.header.ngaps, 0); /* every poll was good */
    line_batches_done(&b);
}

static void a_chain_begun_after_an_outage_tells_of_it(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1 + 65000);
    be_off(l);
    l->machine = "machine-b";
    int64_t start = l->utc_ms;
    line_start(l);
    line_run(l, start + 130000);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    line_assert_all_told(l, &b, LINE_T0, start + 2 * LINE_MINUTE - 5000);
    assert_string_equal(line_cause(l, &b, 0, 0, start - LINE_MINUTE), "off");
    assert_true(entry_at(&b, WIRE_ENTRY_PLAN, "dev-0/p0") <= LINE_M1 + 70000);
    line_batches_done(&b);
}

static void removed_while_off(struct line *l, uint32_t left)
{
    l->points = 1;
    uint32_t gone = l->devices - 1;
    line_start(l);
    line_run(l, LINE_M1 + 65000);
    be_off(l);
    l->devices = left;
    int64_t start = l->utc_ms;
    line_start(l);
    line_run(l, start + 130000);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    line_assert_all_told(l, &b, LINE_T0, start + 2 * LINE_MINUTE - 5000);
    char series[16];
    snprintf(series, sizeof series, "dev-%u/p0", gone);
    assert_int_equal(entry_at(&b, WIRE_ENTRY_RETIRE, series), -1); /* due, and told */
    line_assert_told(l, &b, gone, LINE_T0, start + 2 * LINE_MINUTE - 5000);
    assert_string_equal(line_cause(l, &b, 0, 0, start - LINE_MINUTE), "off");
    assert_string_equal(line_cause(l, &b, gone, 0, start - LINE_MINUTE), "off");
    assert_string_equal(line_cause(l, &b, gone, 0, start + LINE_MINUTE), "paused");
    line_batches_done(&b);
}

static void a_device_removed_while_off_is_told_still(void **state)
{
    removed_while_off(*state, 1);
}

static void a_removed_device_leaves_the_gaps_of_the_others(void **state)
{
    struct line *l = *state;
    l->devices = 3;
    l->period_ms[1] = 20000;
    removed_while_off(l, 2);
}

/* 900 single gaps with long names are more than a header holds: the batch says less finely what is
 * missing, and sealing goes on. */
static void gaps_with_long_names_never_stop_sealing(void **state)
{
    struct line *l = *state;
    l->devices = 10;
    l->points = 180;
    l->device_name = "cooling-tower-on-the-north-side-";
    l->point_name = "active_energy_import_of_phase_";
    line_start(l);
    line_run(l, LINE_M1);
    for (int64_t t = LINE_M1; t < LINE_M1 + 2 * LINE_MINUTE; t += 10000) {
        for (uint32_t d = 0; d < l->devices; d++)
            line_poll_part(l, d, t, 7, 90);
        line_to(l, t + 10000);
    }
    line_to(l, l->utc_ms + 3000);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    assert_int_equal(b.v[b.n - 1].batch.header.to_ms, LINE_M1 + 2 * LINE_MINUTE);
    for (uint32_t d = 0; d < l->devices; d++)
        line_assert_told(l, &b, d, LINE_T0, LINE_M1 + 2 * LINE_MINUTE);
    assert_int_equal(line_pending_readings(l), 0);
    line_batches_done(&b);
}

/* The same, where whole polls come between the halves: no gap stands over these. */
static void a_header_with_too_many_gaps_says_none_over_whole_polls(void **state)
{
    struct line *l = *state;
    l->devices = 3;
    l->points = 400;
    line_start(l);
    line_run(l, LINE_M1);
    for (int64_t t = LINE_M1; t < LINE_M1 + LINE_MINUTE; t += 10000) {
        bool whole = t / 10000 % 2 == 0;
        for (uint32_t d = 0; d < l->devices; d++)
            line_poll_part(l, d, t, 7, whole ? l->points : 1);
        line_to(l, t + 10000);
    }
    line_to(l, l->utc_ms + 3000);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    const struct wire_header *h = &b.v[b.n - 1].batch.header;
    assert_int_equal(h->to_ms, LINE_M1 + LINE_MINUTE);
    assert_in_range(h->ngaps, 1, l->devices * 4); /* not one each of 3,591 */
    for (size_t i = 0; i < h->ngaps; i++)
        for (int64_t t = LINE_M1; t < LINE_M1 + LINE_MINUTE; t += 10000)
            if (t / 10000 % 2 == 0)
                assert_false(h->gaps[i].from_ms <= t && t < h->gaps[i].to_ms);
    for (uint32_t d = 0; d < l->devices; d++)
        line_assert_told(l, &b, d, LINE_T0, LINE_M1 + LINE_MINUTE);
    line_batches_done(&b);
}

/* Failed polls take room where frames wait; the window ends early rather than refuse the others.
 * A full window of these failures is more than that room (512 Ki series). */
static void dead_devices_never_crowd_out_a_healthy_one(void **state)
{
    struct line *l = *state;
    l->devices = 4;
    l->points = 1000;
    l->seal_cfg.every_ms = 300000;
    l->seal_cfg.max_readings = 60000;
    l->utc_ms = (LINE_T0 / 300000 + 1) * 300000;
    int64_t start = l->utc_ms;
    line_start(l);
    for (int64_t t = start; t < start + 250000; t += 1000) {
        for (uint32_t d = 0; d < 3; d++)
            line_miss(l, d, t, STORE_DEVICE);
        if (t % 10000 == 0)
            line_poll(l, 3, t, 7);
        line_to(l, t + 1000);
    }
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    int64_t sealed = b.v[b.n - 1].batch.header.to_ms;
    assert_true(sealed > start);
    line_assert_all_told(l, &b, start, sealed);
    assert_string_equal(line_cause(l, &b, 0, 999, start + 50000), "device");
    assert_null(line_cause(l, &b, 3, 999, start + 50000));
    line_batches_done(&b);
}

/* One missed poll of more series than the tracker remembers gaps, on a writer that is slow. */
static void a_blip_of_thousands_of_series_is_told_for_each(void **state)
{
    struct line *l = *state;
    l->devices = 9;
    l->points = 1000;
    l->seal_cfg.max_readings = 60000;
    for (uint32_t d = 0; d < l->devices; d++)
        l->period_ms[d] = 1000;
    l->utc_ms = LINE_M1;
    line_start(l);
    line_run(l, LINE_M1 + 2000);
    int64_t blip = l->utc_ms;
    for (int i = 0; i < 3; i++) {
        struct err e = {0};
        for (uint32_t d = 0; d < l->devices; d++)
            line_poll_part(l, d, l->utc_ms, 7, i == 0 ? 0 : l->points);
        l->utc_ms += 1000;
        l->mono_ms += 1000;
        assert_int_equal(store_step(l->store, false, &e), ST_OK);
    }
    line_run(l, LINE_M1 + 8000);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    int64_t sealed = b.v[b.n - 1].batch.header.to_ms;
    assert_true(sealed > blip + 1000);
    line_assert_all_told(l, &b, LINE_M1, sealed);
    for (uint32_t d = 0; d < l->devices; d++)
        assert_string_equal(line_cause(l, &b, d, 999, blip), "device");
    line_batches_done(&b);
}

/* The same in the journal of a run that was killed, and the restart on top of it. */
static void a_blip_in_the_journal_and_a_restart_are_both_told(void **state)
{
    struct line *l = *state;
    l->devices = 6;
    l->points = 1000;
    l->seal_cfg.max_readings = 60000;
    l->seal_cfg.every_ms = 10000;
    for (uint32_t d = 0; d < l->devices; d++)
        l->period_ms[d] = 1000;
    l->utc_ms = LINE_M1;
    line_start(l);
    line_step(l, false); /* the plan: from here on all is owed */
    for (int i = 0; i < 4; i++) {
        struct err e = {0};
        for (uint32_t d = 0; d < l->devices; d++)
            line_poll_part(l, d, l->utc_ms, 7, i == 2 ? 0 : l->points);
        l->utc_ms += 1000;
        l->mono_ms += 1000;
        assert_int_equal(store_step(l->store, true, &e), ST_OK);
    }
    line_stop(l);
    l->utc_ms += 2000;
    l->mono_ms += 2000;
    line_start(l);
    line_run(l, LINE_M1 + 13000);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    int64_t sealed = b.v[b.n - 1].batch.header.to_ms;
    assert_true(sealed > LINE_M1 + 6000);
    line_assert_all_told(l, &b, LINE_M1, sealed);
    assert_string_equal(line_cause(l, &b, 5, 999, LINE_M1 + 2000), "device");
    assert_string_equal(line_cause(l, &b, 5, 999, LINE_M1 + 5000), "off");
    line_batches_done(&b);
}

/* All ends of the clock's stories look alike: nothing untold since LINE_T0, the power cut `off`. */
static void assert_told_after_sync(struct line *l, int64_t sync)
{
    line_run(l, sync + 130000);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    line_assert_all_told(l, &b, LINE_T0, sync + 2 * LINE_MINUTE - 5000);
    assert_string_equal(line_cause(l, &b, 0, 0, LINE_M1 + 70000), "off");
    line_batches_done(&b);
}

static void before_the_cut(struct line *l)
{
    l->devices = 1;
    l->points = 1;
    line_start(l);
    line_run(l, LINE_M1 + 65000);
    cut_power(l);
}

static void a_clock_that_comes_late_leaves_no_silence(void **state)
{
    struct line *l = *state;
    before_the_cut(l);
    boot_without_clock(l);
    line_run(l, l->utc_ms + 90000);
    sync_clock(l, SYNC_MS);
    assert_told_after_sync(l, SYNC_MS);
}

static void a_second_cut_before_the_clock_came_leaves_no_silence(void **state)
{
    struct line *l = *state;
    before_the_cut(l);
    boot_without_clock(l);
    line_run(l, l->utc_ms + 30000);
    cut_power(l);
    boot_with_clock(l, SYNC_MS);
    assert_told_after_sync(l, SYNC_MS);
}

static void a_second_cut_after_the_clock_came_leaves_no_silence(void **state)
{
    struct line *l = *state;
    before_the_cut(l);
    boot_without_clock(l);
    line_run(l, l->utc_ms + 130000);
    sync_clock(l, SYNC_MS - 64000);
    line_run(l, SYNC_MS - 34500);
    cut_power(l);
    boot_with_clock(l, SYNC_MS - 4500);
    assert_told_after_sync(l, SYNC_MS - 4500);
}

/* A clock that was saved at the cut stands an hour behind until it syncs. */
static void a_clock_that_stood_still_leaves_no_silence(void **state)
{
    struct line *l = *state;
    before_the_cut(l);
    l->grade = CLK_HOLDOVER;
    l->mono_ms = 20000;
    l->utc_ms = LINE_M1 + 66000;
    line_start(l);
    line_run(l, LINE_M1 + 156000);
    sync_clock(l, SYNC_MS);
    line_run(l, SYNC_MS + 130000);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    line_assert_all_told(l, &b, LINE_T0, SYNC_MS + 2 * LINE_MINUTE - 5000);
    assert_non_null(line_cause(l, &b, 0, 0, SYNC_MS - LINE_MINUTE));
    line_batches_done(&b);
}

static void a_new_store_without_a_clock_counts_from_boot(void **state)
{
    struct line *l = *state;
    l->devices = 1;
    l->points = 1;
    boot_without_clock(l);
    line_run(l, l->utc_ms + 4 * LINE_MINUTE);
    sync_clock(l, SYNC_MS);
    line_run(l, SYNC_MS + 4 * LINE_MINUTE);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    line_assert_all_told(l, &b, SYNC_MS - 4 * LINE_MINUTE - 100, SYNC_MS + 3 * LINE_MINUTE);
    assert_int_equal(b.v[1].batch.header.clk, CLK_UNKNOWN);
    assert_int_equal(b.v[b.n - 1].batch.header.clk, CLK_SYNCED);
    line_batches_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, line_setup, line_teardown)
        T(a_period_changed_while_off_leaves_no_silence),
        T(a_chain_that_ends_inside_a_window_loses_no_tick),
        T(a_chain_begun_after_an_outage_tells_of_it),
        T(a_device_removed_while_off_is_told_still),
        T(a_removed_device_leaves_the_gaps_of_the_others),
        T(gaps_with_long_names_never_stop_sealing),
        T(a_header_with_too_many_gaps_says_none_over_whole_polls),
        T(dead_devices_never_crowd_out_a_healthy_one),
        T(a_blip_of_thousands_of_series_is_told_for_each),
        T(a_blip_in_the_journal_and_a_restart_are_both_told),
        T(a_clock_that_comes_late_leaves_no_silence),
        T(a_second_cut_before_the_clock_came_leaves_no_silence),
        T(a_second_cut_after_the_clock_came_leaves_no_silence),
        T(a_clock_that_stood_still_leaves_no_silence),
        T(a_new_store_without_a_clock_counts_from_boot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
