/* What control batches say about sealed readings, as every reader of the store applies it: kept in
 * tables with the seal, found again by a migration and in a store that was not migrated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "tests/support/line.h"

#define ADD INT64_C(1500000000000)

static const uint8_t boot_a[] = "boot-no1", boot_b[] = "boot-no2";

static struct wire_reading reading(const char *point, int64_t t_ms, uint32_t q)
{
    return (struct wire_reading){.device = {(const uint8_t *)"dev-0", 5},
                                 .point = {(const uint8_t *)point, strlen(point)},
                                 .t_ms = t_ms,
                                 .q = q};
}

static void check(struct line *l, const uint8_t *chain)
{
    struct err e = {0};
    struct store_reader *r = NULL;
    struct store_times *t = NULL;
    static const uint8_t other[WIRE_ID_BYTES] = {9};
    assert_int_equal(store_reader_open(&r, l->db, &e), ST_OK);
    assert_int_equal(store_times_open(&t, r, &e), ST_OK);
    struct store_shift s = store_times_of(t, chain, boot_a, 7);
    assert_true(s.moved && s.add_ms == ADD + 5 && s.err_ms == 2); /* the latest wins … */
    s = store_times_of(t, chain, boot_a, 4);
    assert_true(s.moved && s.add_ms == ADD && s.err_ms == 900); /* … where it speaks */
    assert_false(store_times_of(t, chain, boot_a, 2).moved);
    assert_false(store_times_of(t, chain, boot_a, 10).moved);
    assert_false(store_times_of(t, chain, boot_b, 7).moved);
    assert_false(store_times_of(t, other, boot_a, 7).moved);
    assert_int_equal(store_times_reach_ms(t), 40);

    struct wire_reading w = reading("p0", CLK_UNKNOWN_BASE_MS + 1000, 64 | 1);
    assert_true(store_times_apply(t, s, &w));
    assert_int_equal(w.t_ms, CLK_UNKNOWN_BASE_MS + 1000 + ADD);
    assert_int_equal(w.q, 128 | 1);
    w = reading("p0", LINE_T0, 0);
    assert_true(store_times_apply(t, (struct store_shift){0}, &w));
    assert_true(w.t_ms == LINE_T0 && w.q == 0);
    struct wire_reading gone[] = {reading("p1", LINE_T0, 0), reading("p1", LINE_T0 + 999, 0)};
    struct wire_reading stay[] = {reading("p1", LINE_T0 - 1, 0), reading("p1", LINE_T0 + 1000, 0),
                                  reading("p", LINE_T0, 0), reading("p11", LINE_T0, 0)};
    for (size_t i = 0; i < 2; i++)
        assert_false(store_times_apply(t, (struct store_shift){0}, &gone[i]));
    for (size_t i = 0; i < 4; i++)
        assert_true(store_times_apply(t, (struct store_shift){0}, &stay[i]));
    store_times_close(t);
    store_reader_close(r);
}

static void run_sql(struct line *l, const char *text)
{
    sqlite3 *h = NULL;
    assert_int_equal(sqlite3_open(l->db, &h), SQLITE_OK);
    assert_int_equal(sqlite3_exec(h, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(h);
}

static int64_t ask_sql(struct line *l, const char *text)
{
    sqlite3 *h = NULL;
    sqlite3_stmt *q = NULL;
    assert_int_equal(sqlite3_open(l->db, &h), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(h, text, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    int64_t v = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(h);
    return v;
}

/* No table of a database without its head can be read: all comes from the batches. */
static void C1_what_batches_say_of_each_other_is_rescued_with_them(void **state)
{
    struct line *l = *state;
    struct buf b;
    struct err e = {0};
    struct store_chain c;
    static const uint8_t zero[512];
    buf_init(&b, 4096);
    line_start(l);
    line_run(l, LINE_M1 + 3000);
    assert_int_equal(store_chain_last(l->store, &c, &e), ST_OK);
    assert_int_equal(wire_put_array(&b, 2), ST_OK);
    assert_int_equal(wire_put_time(&b, boot_a, 3, 9, ADD, 900), ST_OK);
    line_put_correct(&b, "dev-0/p1", LINE_T0, LINE_T0 + 1000);
    line_seal_control(l, &b);
    b.n = 0;
    assert_int_equal(wire_put_array(&b, 2), ST_OK);
    assert_int_equal(wire_put_time(&b, boot_a, 5, 9, ADD + 5, 2), ST_OK);
    assert_int_equal(wire_put_time(&b, boot_a, 11, 12, 40, 2), ST_OK);
    line_seal_control(l, &b);
    b.n = 0;
    assert_int_equal(wire_put_array(&b, 0), ST_OK);
    line_seal_as(l, 2, &b);
    line_stop(l);
    int64_t bytes = ask_sql(l, "SELECT sum(bytes) FROM batch");
    FILE *f = fopen(l->db, "r+b");
    assert_true(f && fwrite(zero, sizeof zero, 1, f) == 1 && fclose(f) == 0);
    line_start(l);
    for (int i = 0; i < 50; i++)
        line_step(l, false);
    check(l, c.id);
    assert_int_equal(ask_sql(l, "SELECT sum(bytes) FROM batch WHERE id >> 40 = 1"), bytes);
    assert_int_equal(ask_sql(l, "SELECT count(*) FROM batch WHERE kind > 1"), 1);
    line_stop(l);
    buf_done(&b);
}

static void H1_entries_hold_in_tables_by_scan_and_through_a_migration(void **state)
{
    struct line *l = *state;
    struct buf b;
    struct err e = {0};
    struct store_chain c;
    buf_init(&b, 4096);
    line_start(l);
    line_run(l, LINE_M1 + 3000);
    assert_int_equal(store_chain_last(l->store, &c, &e), ST_OK);
    assert_int_equal(wire_put_array(&b, 2), ST_OK);
    assert_int_equal(wire_put_time(&b, boot_a, 3, 9, ADD, 900), ST_OK);
    line_put_correct(&b, "dev-0/p1", LINE_T0, LINE_T0 + 1000);
    line_seal_control(l, &b);
    b.n = 0;
    assert_int_equal(wire_put_array(&b, 2), ST_OK);
    assert_int_equal(wire_put_time(&b, boot_a, 5, 9, ADD + 5, 2), ST_OK);
    assert_int_equal(wire_put_time(&b, boot_a, 11, 12, 40, 2), ST_OK);
    line_seal_control(l, &b);
    check(l, c.id);
    line_stop(l);

    run_sql(l,
            "DROP VIEW correction; DROP VIEW maintenance; DROP TABLE maintained; "
            "DROP TABLE request; DROP TABLE entered; ALTER TABLE plan DROP COLUMN said; "
            "DROP TABLE moved; DROP TABLE corrected; DROP TABLE indicator; DROP TABLE catalogue; "
            "DROP TABLE partial; DROP TABLE partial_unput; DROP TABLE partial_day; "
            "DROP TABLE partial_dirty; CREATE TABLE v AS SELECT 1");
    check(l, c.id); /* an older store, not migrated yet: scanned */
    run_sql(l, "DROP TABLE v; PRAGMA user_version = 4; " /* as of schema/004 */
               "UPDATE meta SET value = 4 WHERE key = 'schema'");
    line_start(l);
    check(l, c.id); /* the migration found them */

    buf_done(&b);
}

static void the_clock_of_this_boot_is_remembered(void **state)
{
    struct line *l = *state;
    struct err e = {0};
    struct clk_past past;
    l->grade = CLK_UNKNOWN;
    l->utc_ms = CLK_UNKNOWN_BASE_MS + l->mono_ms;
    line_start(l);
    line_run(l, l->utc_ms + 130000);
    assert_int_equal(store_clock_note(l->store, &e), ST_OK);
    assert_int_equal(store_clock_recall(l->store, &past, &e), ST_OK);
    assert_true(!past.same_boot && past.newest_ms == 0); /* nothing is known */
    l->grade = CLK_SYNCED;
    l->utc_ms = LINE_M1;
    line_step(l, true);
    line_run(l, LINE_M1 + 70000);
    assert_int_equal(store_clock_note(l->store, &e), ST_OK);
    int64_t offset_ms = l->utc_ms - l->mono_ms;
    line_stop(l);
    line_start(l);
    assert_int_equal(store_clock_recall(l->store, &past, &e), ST_OK);
    assert_true(past.same_boot && past.offset_ms == offset_ms);
    assert_true(past.newest_ms >= LINE_M1 + LINE_MINUTE && past.newest_ms <= l->utc_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, line_setup, line_teardown)
        T(C1_what_batches_say_of_each_other_is_rescued_with_them),
        T(H1_entries_hold_in_tables_by_scan_and_through_a_migration),
        T(the_clock_of_this_boot_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
