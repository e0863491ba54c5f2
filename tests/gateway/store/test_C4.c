/* C4: what a ward's gateway writes to flash in a day is measured as the kernel counts it, and stays
 * under the budget: 102 series each minute, a journal that costs at most a minute, windows of 5
 * minutes, each acknowledged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/store/store_int.h"
#include "tests/support/line.h"

#define DEVICES 34
#define SERIES (DEVICES * LINE_POINTS)
#define HOURS 3
#define BUDGET_MB_A_DAY 12

static void minute(struct line *l)
{
    static uint32_t x = 1;
    for (uint32_t d = 0; d < DEVICES; d++) {
        struct store_poll p = {d, l->utc_ms, l->utc_ms, l->grade, STORE_DEVICE, LINE_POINTS};
        struct store_value v[LINE_POINTS];
        for (uint32_t i = 0; i < LINE_POINTS; i++) {
            x = x * 1664525 + 1013904223;
            v[i] =
                (struct store_value){num_dec(2000 + (x >> 16) % 400, -1), d * LINE_POINTS + i, 0};
        }
        assert_int_equal(store_put(l->store, &p, v, 0), ST_OK);
    }
    for (int s = 0; s < 60; s += 10)
        line_to(l, l->utc_ms + 10000);
}

static void acknowledge(struct line *l)
{
    static const uint8_t receipt[330];
    struct err e = {0};
    struct store_chain c;
    assert_int_equal(store_chain_last(l->store, &c, &e), ST_OK);
    line_writer_start(l);
    assert_int_equal(store_ack(l->store, 0, c.id, c.last_seq, true,
                               (struct wire_span){receipt, sizeof receipt}, &e),
                     ST_OK);
    line_writer_stop(l);
}

static void a_day_of_a_ward_stays_under_the_budget(void **state)
{
    struct line *l = *state;
    struct store_stats stats;
    l->devices = DEVICES;
    for (uint32_t d = 0; d < DEVICES; d++)
        l->period_ms[d] = LINE_MINUTE;
    l->store_cfg.journal_every_ms = 60000;
    l->seal_cfg.every_ms = 300000;
    l->utc_ms = LINE_M1;
    line_start(l);
    int64_t before = store_wear_written("/proc/self/io");
    assert_true(before >= 0);
    for (int m = 0; m < HOURS * 60; m++) {
        minute(l);
        if (m % 5 == 1)
            acknowledge(l);
    }
    line_step(l, true);
    int64_t written = store_wear_written("/proc/self/io") - before;
    double readings = SERIES * HOURS * 60.0, a_day = (double)written * 24 / HOURS;
    store_stats(l->store, &stats);
    print_message("%lld bytes for %.0f readings: %.1f a reading, %.2f MB a day\n",
                  (long long)written, readings, (double)written / readings, a_day / 1e6);
    if (written < (int64_t)readings * 4)
        fail_msg("the kernel does not count what is written to TMPDIR: name a folder on a disk");
    assert_true(a_day <= BUDGET_MB_A_DAY * 1e6);
    /* what the page shows is this, over the same time */
    assert_in_range(stats.figures.flash_bytes, written * 9 / 10, written + 65536);
    assert_int_equal(stats.figures.flash_window_ms, HOURS * INT64_C(3600000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_day_of_a_ward_stays_under_the_budget, line_setup,
                                        line_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
