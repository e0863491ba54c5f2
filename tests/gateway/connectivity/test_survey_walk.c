/* The walk's data of a month, what its two threads tell each other, and where it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/connectivity/survey_int.h"
#include "tests/support/temp.h"

#define MB INT64_C(1000000)
#define NOON INT64_C(1795582800000) /* 2026-11-25T05:00:00Z */
#define MONTH_MS INT64_C(2592000000)

static struct clk_time now;
static struct clk_time fake_now(void *ctx)
{
    (void)ctx;
    return now;
}
static struct mono fake_mono(void *ctx)
{
    (void)ctx;
    return clk_mono(clk_real());
}
static const struct clk clk = {.now = fake_now, .mono = fake_mono};

struct site {
    char dir[64], path[96], gpsd[16];
    struct connectivity_survey_cfg cfg;
    struct connectivity_walk *w;
    struct store *store;
    struct thr_stop stop, writer_stop;
    struct thr writer;
    struct connectivity_job job;
};

static void writer_main(void *arg)
{
    struct site *s = arg;
    struct err e;
    while (!thr_stop_wait(&s->writer_stop, 5))
        if (store_step(s->store, false, &e) != ST_OK)
            break;
}

static void site_run(struct site *s)
{
    struct err e = {.text = ""};
    const struct store_cfg sc = {
        .path = s->path, .max_size_bytes = 1 << 30, .keep_ms = 86400000, .journal_every_ms = 500};
    if (connectivity_walk_open(&s->w, &s->cfg, &e) != ST_OK ||
        store_open(&s->store, &sc, "gw", &clk, &e) != ST_OK ||
        connectivity_walk_declare(s->w, s->store, &e) != ST_OK ||
        store_start(s->store, &e) != ST_OK || thr_stop_open(&s->stop, &e) != ST_OK ||
        thr_stop_open(&s->writer_stop, &e) != ST_OK ||
        thr_start(&s->writer, "writer", writer_main, s, &e) != ST_OK)
        fail_msg("%s", e.text);
    s->job = (struct connectivity_job){.store = s->store, .clk = &clk, .stop = &s->stop};
}

static void site_stop(struct site *s)
{
    thr_stop_now(&s->writer_stop);
    thr_join(&s->writer);
    thr_stop_close(&s->writer_stop);
    store_stop(s->store);
    store_close(s->store);
    connectivity_walk_close(s->w);
    thr_stop_close(&s->stop);
}

static void site_open(struct site *s)
{
    memset(s, 0, sizeof *s);
    strcpy(s->gpsd, "127.0.0.1:2947");
    temp_name(s->dir, sizeof s->dir);
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->path, sizeof s->path, "%s/store.db", s->dir);
    s->cfg = (struct connectivity_survey_cfg){.gpsd = s->gpsd,
                                              .every_ms = 30000,
                                              .cell_m = 100,
                                              .sample_bytes = MB,
                                              .month_bytes = 2 * MB};
    now = (struct clk_time){.utc_ms = NOON, .grade = CLK_SYNCED};
    site_run(s);
}

static void site_close(struct site *s)
{
    static const char *const suffix[] = {"", "-wal", "-shm", ".journal", ".reserve"};
    site_stop(s);
    for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s%s", s->path, suffix[i]);
        (void)unlink(name);
    }
    assert_int_equal(rmdir(s->dir), 0);
}

static void a_sample_is_counted_before_it_is_fetched_and_then_as_it_was(void **state)
{
    (void)state;
    struct site s;
    site_open(&s);
    assert_true(connectivity_walk_reserve(s.w, &s.job));
    connectivity_walk_used(s.w, &s.job, 200000);
    assert_true(connectivity_walk_reserve(s.w, &s.job));
    site_stop(&s); /* in the middle of it: what it may have taken is known after a restart */
    site_run(&s);
    assert_false(connectivity_walk_reserve(s.w, &s.job));
    assert_int_equal(s.w->budget.used, 1200000);
    site_close(&s);
}

static void a_clock_that_goes_back_frees_no_data(void **state)
{
    (void)state;
    struct site s;
    site_open(&s);
    for (int i = 0; i < 2; i++) {
        assert_true(connectivity_walk_reserve(s.w, &s.job));
        connectivity_walk_used(s.w, &s.job, MB);
    }
    assert_false(connectivity_walk_reserve(s.w, &s.job));
    now.utc_ms += MONTH_MS; /* the next month has its own */
    assert_true(connectivity_walk_reserve(s.w, &s.job));
    connectivity_walk_used(s.w, &s.job, MB);
    now.utc_ms -= MONTH_MS;
    assert_false(connectivity_walk_reserve(s.w, &s.job));
    site_close(&s);
}

static void data_of_before_the_date_was_known_counts(void **state)
{
    (void)state;
    struct site s;
    site_open(&s);
    now.grade = CLK_UNKNOWN;
    assert_true(connectivity_walk_reserve(s.w, &s.job));
    connectivity_walk_used(s.w, &s.job, MB);
    assert_true(connectivity_walk_reserve(s.w, &s.job));
    now.grade = CLK_SYNCED; /* it becomes known within a sample */
    connectivity_walk_used(s.w, &s.job, 100000);
    assert_int_equal(s.w->budget.used, 1100000);
    assert_false(connectivity_walk_reserve(s.w, &s.job));
    site_close(&s);
}

static void a_month_that_begins_within_a_sample_owes_nobody(void **state)
{
    (void)state;
    struct site s;
    site_open(&s);
    assert_true(connectivity_walk_reserve(s.w, &s.job));
    now.utc_ms += MONTH_MS;
    connectivity_walk_used(s.w, &s.job, 100000);
    assert_int_equal(s.w->budget.used, 100000);
    site_close(&s);
}

static void an_answer_to_what_was_given_up_is_none_to_the_next(void **state)
{
    (void)state;
    struct site s;
    struct connectivity_walk_answer a, late = {.moved_bytes = 1}, good = {.moved_bytes = 2};
    site_open(&s);
    assert_int_equal(connectivity_walk_take(s.w), 0);
    connectivity_walk_want(s.w);
    late.request = connectivity_walk_take(s.w);
    assert_true(late.request > 0);
    assert_int_equal(connectivity_walk_take(s.w), 0);
    assert_false(connectivity_walk_answered(s.w, true, &a));
    connectivity_walk_want(s.w); /* the next sample, while the modem is still at the first */
    connectivity_walk_give(s.w, &late);
    assert_false(connectivity_walk_answered(s.w, false, &a));
    good.request = connectivity_walk_take(s.w);
    connectivity_walk_give(s.w, &good);
    assert_true(connectivity_walk_answered(s.w, false, &a));
    assert_int_equal(a.moved_bytes, 2);
    connectivity_walk_want(s.w);
    assert_false(connectivity_walk_answered(s.w, true, &a));
    assert_int_equal(connectivity_walk_take(s.w), 0); /* what is given up is not begun */
    site_close(&s);
}

static void a_sample_is_of_one_place(void **state)
{
    (void)state;
    struct site s;
    struct mono at = {1000};
    site_open(&s);
    s.w->gps.fd = STDOUT_FILENO; /* it is not read */
    s.w->gps.heard = true;
    s.w->gps.mode = 3;
    s.w->gps.lat = 14.8301;
    s.w->gps.lon = 108.9552;
    s.w->gps.fix_at = at;
    /* a degree has 110.64 km to the north here, and 107.6 km to the east */
    assert_true(connectivity_walk_near(s.w, 14.8301, 108.9552, at));
    assert_true(connectivity_walk_near(s.w, 14.8301 + 0.00045, 108.9552, at));  /* 49.8 m */
    assert_false(connectivity_walk_near(s.w, 14.8301 - 0.00046, 108.9552, at)); /* 50.9 m */
    assert_false(connectivity_walk_near(s.w, 14.8301, 108.9552 + 0.00047, at)); /* 50.6 m */
    at.ms += CONNECTIVITY_GPS_STALE_MS + 1;
    assert_false(connectivity_walk_near(s.w, 14.8301, 108.9552, at));
    s.w->gps.fd = -1;
    site_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sample_is_counted_before_it_is_fetched_and_then_as_it_was),
        cmocka_unit_test(a_clock_that_goes_back_frees_no_data),
        cmocka_unit_test(data_of_before_the_date_was_known_counts),
        cmocka_unit_test(a_month_that_begins_within_a_sample_owes_nobody),
        cmocka_unit_test(an_answer_to_what_was_given_up_is_none_to_the_next),
        cmocka_unit_test(a_sample_is_of_one_place)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
