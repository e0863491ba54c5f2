/* A series stays due until a person retires it: what the windows say of one that is not configured
 * any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/line.h"

#define T(f) cmocka_unit_test_setup_teardown(f, line_setup, line_teardown)

/* Starts again with so many devices and points, and runs for two minutes; when it began. */
static int64_t again(struct line *l, uint32_t devices, uint32_t points)
{
    line_stop(l);
    l->utc_ms += 3 * LINE_MINUTE + 7000;
    l->mono_ms += 3 * LINE_MINUTE + 7000;
    l->devices = devices;
    l->points = points;
    int64_t start = l->utc_ms;
    line_start(l);
    line_run(l, start + 2 * LINE_MINUTE + 3000);
    return start;
}

static int64_t sealed_to(const struct line_batches *b)
{
    return b->v[b->n - 1].batch.header.to_ms;
}

/* The last sealed window says one gap of this name and cause, and no other. */
static void assert_only_gap(const struct line_batches *b, const char *series, const char *cause)
{
    const struct wire_header *h = &b->v[b->n - 1].batch.header;
    assert_int_equal(h->kind, WIRE_DATA);
    assert_int_equal(h->ngaps, 1);
    assert_string_equal(h->gaps[0].series, series);
    assert_string_equal(h->gaps[0].cause, cause);
    assert_int_equal(h->gaps[0].from_ms, h->from_ms);
    assert_int_equal(h->gaps[0].to_ms, h->to_ms);
}

static size_t count_entries(const struct line_batches *b, enum wire_entry_kind kind,
                            const char *series)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct wire_control c;
        struct wire_entry x;
        struct wire_span p = b->v[i].batch.cose.payload;
        if (b->v[i].batch.header.kind != WIRE_CONTROL)
            continue;
        assert_int_equal(wire_control_open(&c, p.p, p.n, NULL), ST_OK);
        while (wire_control_next(&c, &x, NULL) == ST_OK)
            n += x.kind == kind && x.series.n == strlen(series) &&
                 memcmp(x.series.p, series, x.series.n) == 0;
    }
    return n;
}

static void each_window_says_paused_for_a_device_that_is_gone(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1 + 65000);
    int64_t first = again(l, 1, LINE_POINTS), second = again(l, 1, LINE_POINTS);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    assert_only_gap(&b, "dev-1/*", "paused");
    line_assert_told(l, &b, 1, LINE_T0, sealed_to(&b));
    assert_string_equal(line_cause(l, &b, 1, 2, first - LINE_MINUTE), "off");
    assert_string_equal(line_cause(l, &b, 1, 2, first + LINE_MINUTE), "paused");
    assert_string_equal(line_cause(l, &b, 1, 2, second - LINE_MINUTE), "off");
    assert_string_equal(line_cause(l, &b, 1, 2, sealed_to(&b) - 1), "paused");
    assert_int_equal(count_entries(&b, WIRE_ENTRY_RETIRE, "dev-1/p0"), 0);
    assert_int_equal(count_entries(&b, WIRE_ENTRY_PLAN, "dev-1/p0"), 1);
    line_batches_done(&b);
}

static void a_point_that_is_gone_is_told_beside_those_that_stay(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1 + 65000);
    l->period_ms[1] = 30000;
    int64_t start = again(l, LINE_DEVICES, LINE_POINTS - 1);
    line_miss(l, 0, l->utc_ms / 10000 * 10000 + 10000, STORE_DEVICE);
    line_to(l, start + 3 * LINE_MINUTE + 3000);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    assert_string_equal(line_cause(l, &b, 0, 2, start + LINE_MINUTE), "paused");
    assert_string_equal(line_cause(l, &b, 1, 2, start + LINE_MINUTE), "paused");
    assert_null(line_cause(l, &b, 0, 1, start + LINE_MINUTE));
    /* `dev-0/ *` would say of the point that is gone what is not so */
    for (size_t i = 0; i < b.n; i++)
        for (size_t g = 0; g < b.v[i].batch.header.ngaps; g++)
            assert_string_not_equal(b.v[i].batch.header.gaps[g].series, "dev-0/*");
    l->points = LINE_POINTS;
    line_assert_told(l, &b, 0, LINE_T0, sealed_to(&b));
    line_batches_done(&b);
}

static void what_comes_back_goes_on_under_its_name(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1 + 65000);
    int64_t gone = again(l, 1, LINE_POINTS), back = again(l, 2, LINE_POINTS);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    line_assert_all_told(l, &b, LINE_T0, gone + LINE_MINUTE);
    line_assert_all_told(l, &b, back, sealed_to(&b));
    assert_string_equal(line_cause(l, &b, 1, 0, back - LINE_MINUTE), "off");
    assert_string_equal(line_cause(l, &b, 1, 0, gone + LINE_MINUTE), "paused");
    assert_null(line_cause(l, &b, 1, 0, sealed_to(&b) - 1));
    assert_int_equal(b.v[b.n - 1].batch.header.ngaps, 0);
    assert_int_equal(count_entries(&b, WIRE_ENTRY_PLAN, "dev-1/p0"), 1);
    line_batches_done(&b);
}

/* The new chain has a plan of its own: what is due must stand in it, also when it is not
 * configured. */
static void a_later_chain_says_what_is_still_due(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1 + 65000);
    again(l, 1, LINE_POINTS);
    l->machine = "machine-b";
    again(l, 1, LINE_POINTS);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    assert_int_equal(count_entries(&b, WIRE_ENTRY_PLAN, "dev-1/p0"), 2);
    assert_only_gap(&b, "dev-1/*", "paused");
    line_assert_told(l, &b, 1, LINE_T0, sealed_to(&b));
    again(l, 1, LINE_POINTS);
    line_batches_more(l, &b);
    assert_only_gap(&b, "dev-1/*", "paused");
    assert_int_equal(count_entries(&b, WIRE_ENTRY_PLAN, "dev-1/p0"), 2);
    line_batches_done(&b);
}

/* It is due at 59 s of each minute, and takes 5 s to answer: nothing was due before. */
static void with_a_phase_nothing_is_owed_before_the_first_poll(void **state)
{
    struct line *l = *state;
    l->devices = l->points = 1;
    l->period_ms[0] = LINE_MINUTE;
    l->phase_ms[0] = 59000;
    l->mono_ms += LINE_M1 - 500 - l->utc_ms;
    l->utc_ms = LINE_M1 - 500;
    line_start(l);
    for (int i = 0; i < 4; i++) {
        int64_t due_ms = LINE_M1 + i * LINE_MINUTE + 59000;
        line_to(l, due_ms + 4000); /* the window's end is past */
        line_to(l, due_ms + 5000);
        const struct store_poll q = {
            .due_ms = due_ms, .t_ms = l->utc_ms, .grade = l->grade, .n = 1};
        const struct store_value v = {.v = num_dec(i, 0)};
        assert_int_equal(store_put(l->store, &q, &v, 0), ST_OK);
    }
    line_to(l, LINE_M1 + 4 * LINE_MINUTE + 5000);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    assert_true(sealed_to(&b) >= LINE_M1 + 4 * LINE_MINUTE);
    for (size_t i = 0; i < b.n; i++)
        for (size_t g = 0; g < b.v[i].batch.header.ngaps; g++)
            assert_true(b.v[i].batch.header.gaps[g].to_ms <= LINE_M1);
    line_batches_done(&b);
}

static void a_step_of_the_clock_does_not_end_it(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_run(l, LINE_M1 + 65000);
    again(l, 1, LINE_POINTS);
    l->utc_ms += 50 * LINE_MINUTE; /* and the monotonic clock does not */
    line_step(l, false);
    int64_t stepped = l->utc_ms;
    line_run(l, stepped + 2 * LINE_MINUTE);
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    assert_only_gap(&b, "dev-1/*", "paused");
    line_batches_done(&b);
}

static void many_devices_that_are_gone_fit_into_the_header(void **state)
{
    struct line *l = *state;
    l->devices = 60;
    l->points = 40;
    line_start(l);
    line_run(l, LINE_M1 + 5000);
    again(l, 1, 40);
    struct line_batches b;
    line_batches(l, &b);
    const struct wire_header *h = &b.v[b.n - 1].batch.header;
    assert_int_equal(h->ngaps, 59);
    for (size_t i = 0; i < h->ngaps; i++)
        assert_non_null(strstr(h->gaps[i].series, "/*"));
    line_batches_done(&b);
}

/* Device 0 is polled, device 1 is not. */
static void run_without_1(struct line *l, int64_t to_ms)
{
    for (int64_t t = l->utc_ms / 10000 * 10000 + 10000; t <= to_ms; t += 10000) {
        line_to(l, t);
        line_poll(l, 0, t, 215);
    }
    line_to(l, to_ms);
}

/* A slow poll whose window is sealed without it, and a kill before it has its answer: its series
 * is not silent up to its next tick. */
static void what_was_under_way_at_a_kill_is_told(void **state)
{
    struct line *l = *state;
    const int64_t hour = 60 * LINE_MINUTE;
    for (int slow = 0; slow < 2; slow++) {
        l->period_ms[1] = hour;
        line_start(l);
        int64_t tick = (l->utc_ms / hour + 1) * hour;
        run_without_1(l, tick);
        line_poll(l, 1, tick, 215);
        tick += hour;
        run_without_1(l, tick + 4 * LINE_MINUTE + 5000);
        if (!slow)
            line_poll(l, 1, l->utc_ms, 215); /* its answer is there in time */
        run_without_1(l, tick + 7 * LINE_MINUTE + 5000);
        int64_t killed = l->utc_ms;
        line_stop(l);
        l->utc_ms += LINE_MINUTE;
        l->mono_ms += LINE_MINUTE;
        line_start(l);
        run_without_1(l, tick + hour);
        line_poll(l, 1, tick + hour, 215);
        run_without_1(l, tick + hour + 3 * LINE_MINUTE);
        struct line_batches b;
        line_batches(l, &b);
        line_assert_chain(&b);
        const char *cause = line_cause(l, &b, 1, 0, killed + 20 * LINE_MINUTE);
        if (slow)
            assert_string_equal(cause, "off");
        else
            assert_null(cause);
        assert_null(line_cause(l, &b, 1, 0, tick + hour + LINE_MINUTE));
        assert_null(line_cause(l, &b, 0, 0, killed + 20 * LINE_MINUTE));
        line_batches_done(&b);
        line_stop(l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_was_under_way_at_a_kill_is_told),
        T(each_window_says_paused_for_a_device_that_is_gone),
        T(a_point_that_is_gone_is_told_beside_those_that_stay),
        T(what_comes_back_goes_on_under_its_name),
        T(a_later_chain_says_what_is_still_due),
        T(with_a_phase_nothing_is_owed_before_the_first_poll),
        T(a_step_of_the_clock_does_not_end_it),
        T(many_devices_that_are_gone_fit_into_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
