/* Readings that come behind later ones of their series, or behind a failed poll: every tick still
 * has its reading or lies in a gap, and each reading is sealed once. FP_SEED draws another life. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/line.h"

#define TICK 10000
#define TICKS 900
#define HELD_MAX TICKS

static uint32_t seed;
static uint32_t rnd(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

struct held {
    uint32_t device;
    int64_t t_ms, until_ms;
};
static struct held bag[LINE_DEVICES * HELD_MAX];
static size_t nbag, given;

static void give(struct line *l, uint32_t device, int64_t t_ms)
{
    line_poll(l, device, t_ms, t_ms / 1000);
    given += l->points;
}

static void let_go(struct line *l, int64_t now_ms)
{
    for (size_t i = 0; i < nbag;) {
        if (bag[i].until_ms > now_ms) {
            i++;
            continue;
        }
        give(l, bag[i].device, bag[i].t_ms);
        bag[i] = bag[--nbag];
    }
}

/* One tick: read, failed, or sent later. Failures and delays come in runs, as outages do. */
static void tick(struct line *l, uint32_t device, uint32_t *mode)
{
    if (rnd(5) == 0)
        *mode = rnd(4);
    if (*mode < 2)
        give(l, device, l->utc_ms);
    else if (*mode == 2)
        line_miss(l, device, l->utc_ms, STORE_DEVICE);
    else
        bag[nbag++] =
            (struct held){device, l->utc_ms, l->utc_ms + TICK + (int64_t)rnd(60) * TICK / 2};
}

static void lives(struct line *l, uint32_t with)
{
    struct line_batches b;
    uint32_t mode[LINE_DEVICES] = {0};
    print_message("FP_SEED=%u\n", with);
    seed = with;
    nbag = given = 0;
    line_start(l);
    int64_t from = l->utc_ms;
    for (int i = 0; i < TICKS; i++) {
        for (uint32_t d = 0; d < l->devices; d++)
            tick(l, d, &mode[d]);
        let_go(l, l->utc_ms);
        if (rnd(200) == 0) {
            line_step(l, true);
            line_stop(l);
            line_start(l);
        }
        line_to(l, l->utc_ms + TICK);
    }
    let_go(l, INT64_MAX);
    line_run(l, l->utc_ms + 3 * LINE_MINUTE);
    line_batches(l, &b);
    line_assert_chain(&b);
    for (uint32_t d = 0; d < l->devices; d++)
        line_assert_told(l, &b, d, from, from + TICKS * TICK);
    assert_true(line_sealed_readings(&b) >= given);
    line_batches_done(&b);
}

static void every_tick_is_read_or_told_whatever_comes_late(void **state)
{
    const char *with = getenv("FP_SEED");
    for (uint32_t i = 0; i < (with ? 1 : 4); i++) {
        lives(*state, with ? (uint32_t)strtoul(with, NULL, 10) : 51 + i);
        line_teardown(state);
        line_setup(state);
    }
    line_start(*state);
}

/* A device that is silent since 10:00 sends a reading of 9:59: it is silent all the same. */
static void a_late_reading_does_not_end_the_gap_behind_it(void **state)
{
    struct line *l = *state;
    struct line_batches b;
    line_start(l);
    line_run(l, LINE_M1);
    for (int i = 0; i < 5; i++, line_to(l, l->utc_ms + TICK)) {
        line_poll(l, 1, l->utc_ms, 1);
        line_miss(l, 0, l->utc_ms, STORE_DEVICE);
    }
    line_poll(l, 0, LINE_M1 - 5000, 1);
    line_poll(l, 0, LINE_M1 + 2 * TICK, 1); /* and of one of the polls that failed */
    line_run(l, LINE_M1 + 3 * LINE_MINUTE);
    line_batches(l, &b);
    line_assert_chain(&b);
    for (int i = 0; i < 6; i++) {
        const char *cause = line_cause(l, &b, 0, 0, LINE_M1 + i * TICK);
        assert_int_equal(cause != NULL, i != 2 && i != 5);
        if (cause)
            assert_string_equal(cause, "device");
    }
    line_batches_done(&b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, line_setup, line_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_late_reading_does_not_end_the_gap_behind_it),
        T(every_tick_is_read_or_told_whatever_comes_late),
    };
    return cmocka_run_group_tests_name("late", tests, NULL, NULL);
}
