/* Folders beside a file: what writers that were killed leave there goes, and nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/base/drop.h"
#include "tests/support/temp.h"

#define SUFFIX ".asked"
#define DAY_S 86400

static char *dir, beside[300], path[DROP_PATH_BYTES];
static int folder;

static int begin(void **state)
{
    (void)state;
    dir = temp_make();
    (void)snprintf(beside, sizeof beside, "%s/store.db", dir);
    return dir && drop_open(beside, SUFFIX, 0700, path, &folder, NULL) == ST_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    (void)close(folder);
    temp_done(dir);
    return 0;
}

/* A file that was written so long ago. */
static void put_old(const char *name, int64_t ago_s)
{
    const struct timespec at[] = {{.tv_sec = time(NULL) - ago_s}, {.tv_sec = time(NULL) - ago_s}};
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(futimens(fd, at), 0);
    (void)close(fd);
}

static bool is_there(const char *name)
{
    return faccessat(folder, name, F_OK, 0) == 0;
}

static enum st put(const char *name, size_t max)
{
    return drop_put(folder, path, name, "x", 1, max, "", NULL);
}

static void the_next_writer_takes_away_what_a_killed_one_left(void **state)
{
    (void)state;
    put_old("killed.part", 120);
    put_old("before-the-clock-went-back.part", -DAY_S);
    put_old("at-work.part", 2);
    put_old("whole", DAY_S);
    put_old("partly", DAY_S);
    assert_int_equal(mkdirat(folder, "folder.part", 0700), 0);
    assert_int_equal(put("new", 100), ST_OK);
    assert_false(is_there("killed.part"));
    assert_false(is_there("before-the-clock-went-back.part"));
    assert_true(is_there("at-work.part"));
    assert_true(is_there("whole"));
    assert_true(is_there("partly"));
    assert_true(is_there("folder.part"));
    assert_true(is_there("new"));
    assert_false(is_there("new.part"));
}

/* However often they are killed. */
static void those_that_are_killed_at_once_have_a_bound(void **state)
{
    (void)state;
    put_old("one.part", 0);
    put_old("two.part", 0);
    assert_int_equal(put("new", 2), ST_FULL);
    put_old("two.part", 120);
    assert_int_equal(put("new", 2), ST_OK);
    assert_int_equal(put("more", 2), ST_FULL);
}

static void the_owner_takes_them_away_at_its_start(void **state)
{
    (void)state;
    put_old("killed.part", 120);
    put_old("at-work.part", 2);
    put_old("whole", DAY_S);
    drop_clean_at(beside, SUFFIX);
    drop_clean_at(beside, ".never"); /* nobody ever dropped anything there */
    assert_false(is_there("killed.part"));
    assert_true(is_there("at-work.part"));
    assert_true(is_there("whole"));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(the_next_writer_takes_away_what_a_killed_one_left),
        CASE(those_that_are_killed_at_once_have_a_bound),
        CASE(the_owner_takes_them_away_at_its_start),
    };
    return cmocka_run_group_tests_name("drop", tests, NULL, NULL);
}
