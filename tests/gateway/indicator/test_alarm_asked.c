/* An acknowledgement that a tool leaves beside the store: whose it may be, and what it may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/indicator/alarm_int.h"
#include "tests/support/temp.h"

static char store[64], path[128];

static int make(void **state)
{
    (void)state;
    char folder[128];
    temp_name(store, sizeof store);
    (void)snprintf(folder, sizeof folder, "%s" ALARM_ASKED, store);
    (void)snprintf(path, sizeof path, "%s/flood", folder);
    return mkdir(folder, 0700);
}

static int done(void **state)
{
    (void)state;
    char folder[128];
    (void)snprintf(folder, sizeof folder, "%s" ALARM_ASKED, store);
    (void)unlink(path);
    return rmdir(folder);
}

static void leave(const char *text, size_t n, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && write(fd, text, n) == (ssize_t)n && fchmod(fd, mode) == 0);
    assert_int_equal(close(fd), 0);
}

static void a_name_is_taken_once(void **state)
{
    (void)state;
    char by[ALARM_NAME_BYTES] = "";
    leave("Nguyễn An", strlen("Nguyễn An"), 0600);
    assert_false(alarm_asked_take(store, "storm", by));
    assert_true(alarm_asked_take(store, "flood", by));
    assert_string_equal(by, "Nguyễn An");
    assert_false(alarm_asked_take(store, "flood", by));
}

static void what_others_may_write_counts_for_nothing(void **state)
{
    (void)state;
    char by[ALARM_NAME_BYTES];
    leave("An", 2, 0620);
    assert_false(alarm_asked_take(store, "flood", by));
    assert_int_equal(access(path, F_OK), -1); /* and goes */
    assert_int_equal(symlink("/etc/hostname", path), 0);
    assert_false(alarm_asked_take(store, "flood", by));
}

static void a_name_is_a_name(void **state)
{
    (void)state;
    char by[ALARM_NAME_BYTES], two_lines[] = "An\nsince", nothing[] = "";
    char much[100];
    memset(much, 'x', sizeof much);
    leave(two_lines, strlen(two_lines), 0600);
    assert_false(alarm_asked_take(store, "flood", by));
    leave(nothing, 0, 0600);
    assert_false(alarm_asked_take(store, "flood", by));
    leave(much, sizeof much, 0600);
    assert_true(alarm_asked_take(store, "flood", by));
    assert_int_equal(strlen(by), ALARM_NAME_BYTES - 1); /* cut: no tool of ours leaves so much */
}

static void whoever_asks_without_a_gateway_is_told(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(alarms_ask(store, "flood", "An", 0, &e), ST_TIMEOUT);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(alarms_ask(store, "flood", "", 0, &e), ST_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_name_is_taken_once, make, done),
        cmocka_unit_test_setup_teardown(what_others_may_write_counts_for_nothing, make, done),
        cmocka_unit_test_setup_teardown(a_name_is_a_name, make, done),
        cmocka_unit_test_setup_teardown(whoever_asks_without_a_gateway_is_told, make, done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
