/* The file with the numbers that alarms reach: what it may be, and that nothing of it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/connectivity/modem_int.h"
#include "tests/support/temp.h"

static char path[64];
static struct connectivity_numbers got;
static struct err e;

static int make(void **state)
{
    (void)state;
    temp_name(path, sizeof path);
    return 0;
}

static int done(void **state)
{
    (void)state;
    return unlink(path);
}

static enum st reads(const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fclose(f) == 0 && chmod(path, mode) == 0);
    e.text[0] = '\0';
    return connectivity_numbers_read(path, &got, &e);
}

static void numbers_are_read_line_by_line(void **state)
{
    (void)state;
    assert_int_equal(reads("# whom\n\n +84912345678 # the chairman\r\n0987654321\n113", 0600),
                     ST_OK);
    assert_int_equal(got.n, 3);
    assert_string_equal(got.v[0], "+84912345678");
    assert_string_equal(got.v[1], "0987654321");
    assert_string_equal(got.v[2], "113");
}

static void what_is_no_number_is_refused_and_not_told(void **state)
{
    (void)state;
    static const char *const bad[] = {"+84 912345678",     "12",    "+", "0912x45678",
                                      "+8491234567890123", "113;rm"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "113\n%s\n", bad[i]);
        assert_int_equal(reads(text, 0600), ST_BAD);
        assert_non_null(strstr(e.text, ":2:"));
        assert_true(strlen(bad[i]) < 6 || !strstr(e.text, bad[i] + 1));
    }
    assert_int_equal(reads("# nobody\n", 0600), ST_BAD);
}

static void others_may_not_read_them(void **state)
{
    (void)state;
    assert_int_equal(reads("113\n", 0640), ST_REFUSED);
    assert_int_equal(reads("113\n", 0604), ST_REFUSED);
}

static void there_are_few(void **state)
{
    (void)state;
    char text[4096] = "";
    for (int i = 0; i < 8; i++)
        (void)snprintf(text + strlen(text), 16, "11%d\n", i);
    assert_int_equal(reads(text, 0600), ST_OK);
    assert_int_equal(got.n, 8);
    (void)snprintf(text + strlen(text), 16, "118\n");
    assert_int_equal(reads(text, 0600), ST_BAD);
    memset(text, '\n', sizeof text - 1);
    assert_int_equal(reads(text, 0600), ST_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_are_read_line_by_line, make, done),
        cmocka_unit_test_setup_teardown(what_is_no_number_is_refused_and_not_told, make, done),
        cmocka_unit_test_setup_teardown(others_may_not_read_them, make, done),
        cmocka_unit_test_setup_teardown(there_are_few, make, done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
