/* Which numbers of a chain are missing: right in whatever order they come, and found without a look
 * at each batch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "gateway/city/city_int.h"
#include "tests/support/temp.h"

#define CHAIN 7
#define N 60

static char *dir;
static struct city_db db;
static uint64_t range[CITY_RANGES_MAX][2];

static int begin(void **state)
{
    char path[300];
    struct err e = {.text = ""};
    (void)state;
    dir = temp_make();
    (void)snprintf(path, sizeof path, "%s/city.db", dir);
    return dir && city_db_open(&db, path, CITY_DB_WRITE, &e) == ST_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    city_db_close(&db);
    temp_done(dir);
    return 0;
}

static void hold(int64_t chain, uint64_t seq)
{
    assert_int_equal(city_hold(&db, chain, seq, NULL), ST_OK);
}

static size_t missing(uint64_t through)
{
    struct wire_head_chain c = {.through_seq = through, .missing = range};
    assert_int_equal(city_missing(&db, CHAIN, &c, NULL), ST_OK);
    return c.nmissing;
}

/* One by one, as nobody would do it with a million. */
static void assert_missing(const bool held[N + 2], uint64_t through)
{
    size_t n = missing(through), at = 0;
    uint64_t last = N;
    while (last > 0 && !held[last])
        last--;
    for (uint64_t i = through + 1; i < last; i++) {
        uint64_t from = i;
        while (!held[i])
            i++;
        if (i == from)
            continue;
        assert_true(at < n);
        assert_int_equal(range[at][0], from);
        assert_int_equal(range[at++][1], i - 1);
    }
    assert_int_equal(at, n);
}

/* No run is kept that another has taken over. */
static void assert_runs(const bool held[N + 2])
{
    sqlite3_stmt *q = NULL;
    int runs = 0;
    for (int i = 1; i <= N; i++)
        runs += held[i] && !held[i - 1];
    assert_int_equal(
        sqlite3_prepare_v2(db.db, "SELECT count(*) FROM run WHERE chain = 7", -1, &q, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(q, 0), runs);
    sqlite3_finalize(q);
}

static void holes_are_right_in_any_order(void **state)
{
    uint32_t random = 12345;
    (void)state;
    for (int round = 0; round < 20; round++) {
        bool held[N + 2] = {false};
        assert_int_equal(city_db_exec(&db, "DELETE FROM run", NULL), ST_OK);
        for (int k = 0; k < N; k++) {
            random = random * 1664525 + 1013904223;
            uint64_t seq = 1 + (random >> 8) % N, through = 0;
            if (!held[seq])
                hold(CHAIN, seq);
            hold(CHAIN + 1, seq); /* another chain's numbers, and one that comes twice */
            held[seq] = true;
            while (held[through + 1])
                through++;
            assert_runs(held);
            assert_missing(held, through);
            assert_missing(held, 0);
        }
    }
}

static void what_was_given_up_is_not_missing(void **state)
{
    (void)state;
    hold(CHAIN, 1);
    for (uint64_t seq = 10; seq <= 20; seq++)
        hold(CHAIN, seq);
    hold(CHAIN, 30);
    assert_int_equal(missing(1), 2);
    assert_int_equal(
        city_db_exec(&db, "INSERT INTO void VALUES(1, 7, 2, 15, NULL, 'thinned', 1)", NULL), ST_OK);
    assert_int_equal(missing(1), 1);
    assert_int_equal(range[0][0], 21);
    assert_int_equal(range[0][1], 29);
    assert_int_equal(
        city_db_exec(&db, "INSERT INTO void VALUES(2, 7, 16, 29, NULL, 'thinned', 1)", NULL),
        ST_OK);
    assert_int_equal(missing(1), 0);
}

/* A chain of years that lacks an early number is not read from there on for each head. */
static void a_long_chain_with_an_early_hole_costs_nothing(void **state)
{
    (void)state;
    assert_int_equal(city_db_exec(&db, "BEGIN", NULL), ST_OK);
    for (uint64_t seq = 1; seq <= 20000; seq++)
        if (seq != 2)
            hold(CHAIN, seq);
    assert_int_equal(city_db_exec(&db, "COMMIT", NULL), ST_OK);
    (void)sqlite3_stmt_status(db.stmt[SQL_RUNS_FROM], SQLITE_STMTSTATUS_VM_STEP, 1);
    assert_int_equal(missing(1), 1);
    assert_int_equal(range[0][0], 2);
    assert_int_equal(range[0][1], 2);
    assert_true(sqlite3_stmt_status(db.stmt[SQL_RUNS_FROM], SQLITE_STMTSTATUS_VM_STEP, 0) < 200);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(holes_are_right_in_any_order),
        CASE(what_was_given_up_is_not_missing),
        CASE(a_long_chain_with_an_early_hole_costs_nothing),
    };
    return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
