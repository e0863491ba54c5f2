/* test-report-site STORE KEY [late]: a store with the figures of the first half of 2026, whose sums
 * are known by hand, for tests/system/report.py. With `late` it is that store once more, and three
 * days of May have another figure of the next revision.
 *
 *   con-5g-samples      every day 3 of 4, the days of June 1 of 4: 543 - 60 of 724
 *   ene-renewable-site  every day 10 of 40 kWh, but March has no day at all
 *   air-pm25-mean       of air-1: 20 every day
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/indicator/report_int.h"
#include "tests/support/line.h"

static const char *store_path_, *key_path;
static bool late;

#define DAYS_MAX 200

static void write_days(struct store *s, const char *instance, const char *from, const char *to,
                       const struct store_partial *like)
{
    int64_t a = 0, b = 0;
    struct err e = {.text = ""};
    assert_true(wire_day_parse((struct wire_span){(const uint8_t *)from, 10}, &a));
    assert_true(wire_day_parse((struct wire_span){(const uint8_t *)to, 10}, &b));
    struct store_partial row[DAYS_MAX];
    size_t n = 0;
    for (int64_t day = a; day <= b; day++, n++) {
        assert_true(n < DAYS_MAX);
        row[n] = *like;
        row[n].indicator = instance;
        row[n].from_ms = wire_day_begin_ms(day);
        row[n].to_ms = row[n].at_ms = wire_day_begin_ms(day + 1);
    }
    const struct store_partials all = {
        .row = row, .n = n, .progress = {.done_ms = wire_day_begin_ms(a + 400)}};
    if (store_partials_write(s, &all, &e) != ST_OK)
        fail_msg("%s", e.text);
}

static void write_all(struct store *s)
{
    const struct store_partial three = {
        .value = "75", .numerator = "3", .denominator = "4", .due = 4, .good = 4};
    const struct store_partial one = {
        .value = "25", .numerator = "1", .denominator = "4", .due = 4, .good = 4};
    const struct store_partial power = {
        .value = "25", .numerator = "10", .denominator = "40", .due = 288, .good = 280};
    const struct store_partial dust = {
        .value = "20", .numerator = "20", .denominator = "1", .due = 1440, .good = 1440};
    write_days(s, "con-5g-samples", "2026-01-01", "2026-05-31", &three);
    write_days(s, "con-5g-samples", "2026-06-01", "2026-06-30", &one);
    write_days(s, "ene-renewable-site", "2026-01-01", "2026-02-28", &power);
    write_days(s, "ene-renewable-site", "2026-04-01", "2026-06-30", &power);
    write_days(s, "air-pm25-mean.air-1", "2026-01-01", "2026-06-30", &dust);
}

static void write_late(struct store *s)
{
    const struct store_partial two = {
        .value = "50", .numerator = "2", .denominator = "4", .due = 4, .good = 4, .revision = 1};
    write_days(s, "con-5g-samples", "2026-05-04", "2026-05-06", &two);
}

static void make(void **state)
{
    struct line *l = *state;
    struct err e = {.text = ""};
    struct buf key;
    l->gateway = "tra-cau-01";
    line_start(l);
    line_writer_start(l);
    write_all(l->store);
    if (late)
        write_late(l->store);
    line_writer_stop(l);
    line_stop(l);
    (void)remove(store_path_);
    if (store_backup(l->db, store_path_, &e) != ST_OK)
        fail_msg("%s", e.text);
    buf_init(&key, 4096);
    assert_int_equal(wire_file_get(l->key, &key, &e), ST_OK);
    assert_int_equal(wire_file_put(key_path, key.p, key.n, 0600, true, &e), ST_OK);
    buf_done(&key);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(make, line_setup, line_teardown)};
    if (argc < 3)
        return 2;
    store_path_ = argv[1];
    key_path = argv[2];
    late = argc > 3;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
