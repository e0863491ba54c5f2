/* What was taken is durable when its sender may be told, is known again after a restart, and what
 * could not be heard is a gap: with the real store and seal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/collect/push_int.h"
#include "tests/support/line.h"

#define T(f) cmocka_unit_test_setup_teardown(f, line_setup, line_teardown)

static void a_commit_makes_durable_what_was_put(void **state)
{
    struct line *l = *state;
    struct err e;
    l->store_cfg.journal_every_ms = 3600000;
    line_start(l);
    line_writer_start(l);
    line_poll(l, 0, LINE_M1, 1);
    assert_int_equal(line_pending_readings(l), 0);
    assert_int_equal(store_commit(l->store, &e), ST_OK);
    assert_int_equal(line_pending_readings(l), LINE_POINTS);
    assert_int_equal(store_commit(l->store, &e), ST_OK); /* nothing more to do */
    line_writer_stop(l);
    line_stop(l); /* as a kill leaves it */
    line_start(l);
    assert_int_equal(line_pending_readings(l), LINE_POINTS);
}

/* As a bus does whose only device is named so. */
static bool remembers_on(struct line *l, char *device, int64_t t_ms, int64_t v)
{
    static struct collect_seen seen;
    struct collect_device_cfg cfg = {.id = device};
    struct collect_device d = {.cfg = &cfg}, *devices[] = {&d};
    const struct collect_bus bus = {.devices = devices, .n = 1};
    struct thr_stop stop = {.fd = -1};
    struct collect_bus_job job = {.store = l->store, .stop = &stop};
    struct clk_time now = {l->utc_ms, l->grade, 0};
    struct err e;
    memset(&seen, 0, sizeof seen);
    assert_int_equal(collect_seen_recall(&seen, &job, &bus, now, &e), ST_OK);
    return collect_seen_has(&seen, collect_reading_mark("dev-0", 5, "p1", 2, t_ms, num_dec(v, -1)));
}

static bool remembers(struct line *l, int64_t t_ms, int64_t v)
{
    return remembers_on(l, "dev-0", t_ms, v);
}

static void what_was_taken_is_known_after_a_restart_pending_or_sealed(void **state)
{
    struct line *l = *state;
    line_start(l);
    line_to(l, LINE_M1);
    line_poll(l, 0, LINE_M1 + 10, 7);
    line_step(l, true);
    line_stop(l);
    line_start(l);
    assert_true(remembers(l, LINE_M1 + 10, 7)); /* in the journal */
    assert_false(remembers(l, LINE_M1 + 10, 8));
    assert_false(remembers(l, LINE_M1 + 11, 7));
    line_run(l, LINE_M1 + 3 * LINE_MINUTE);
    assert_true(remembers(l, LINE_M1 + 10, 7)); /* in a batch */
    line_stop(l);
    line_start(l);
    assert_true(remembers(l, LINE_M1 + 10, 7));
    assert_false(remembers_on(l, "dev-1", LINE_M1 + 10, 7)); /* another bus's affair */
}

/* The gap of the last data batch that names device 0 with this cause. */
static bool gap_of(struct line *l, const char *cause, int64_t from_ms, int64_t to_ms)
{
    struct line_batches b;
    bool found = false;
    line_batches(l, &b);
    for (size_t i = 0; i < b.n; i++)
        for (size_t k = 0; k < b.v[i].batch.header.ngaps; k++) {
            const struct wire_gap *g = &b.v[i].batch.header.gaps[k];
            found |= strcmp(g->cause, cause) == 0 && strncmp(g->series, "dev-0", 5) == 0 &&
                     g->from_ms == from_ms && g->to_ms == to_ms;
        }
    line_batches_done(&b);
    return found;
}

static void an_event_series_is_missing_from_when_to_when_nobody_could_hear(void **state)
{
    struct line *l = *state;
    struct store_value v[LINE_POINTS];
    l->period_ms[0] = 0;
    line_start(l);
    line_to(l, LINE_M1 + 1000);
    for (uint32_t i = 0; i < LINE_POINTS; i++)
        v[i] = (struct store_value){{.kind = NUM_NONE}, i, 0};
    for (int i = 0; i < 2; i++) { /* two stretches that touch are one gap */
        struct store_poll p = {.device = 0,
                               .due_ms = LINE_M1 + 10000 * (i + 1),
                               .t_ms = LINE_M1 + 10000 * (i + 2),
                               .grade = CLK_SYNCED,
                               .cause = STORE_BUS,
                               .n = LINE_POINTS};
        line_to(l, p.t_ms);
        assert_int_equal(store_put(l->store, &p, v, 0), ST_OK);
    }
    line_to(l, LINE_M1 + 3 * LINE_MINUTE);
    assert_true(gap_of(l, "bus", LINE_M1 + 10000, LINE_M1 + 30000)); /* and it ended there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_commit_makes_durable_what_was_put),
        T(what_was_taken_is_known_after_a_restart_pending_or_sealed),
        T(an_event_series_is_missing_from_when_to_when_nobody_could_hear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
