/* The file of a sheet: what is read back, and what is told to be damaged. The seeds of
 * tests/fuzz/fuzz_sheet.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/sheet_keep.h"

#define SEEDS FP_SOURCE_DIR "/tests/fuzz/corpus/sheet/"

static void load(const char *name, struct buf *b)
{
    char path[512];
    struct err e = {.text = ""};
    (void)snprintf(path, sizeof path, SEEDS "%s", name);
    buf_init(b, SHEET_FILE_MAX);
    if (wire_file_get(path, b, &e) != ST_OK)
        fail_msg("%s", e.text);
}

static enum st read_seed(const char *name, struct report *r)
{
    struct buf b;
    load(name, &b);
    enum st st = sheet_file_read(r, (const char *)b.p, b.n, NULL);
    buf_done(&b);
    return st;
}

static void a_sheet_is_read_back_as_it_was_written(void **state)
{
    static const struct {
        const char *name, *period, *by, *also;
        size_t rows;
    } seeds[] = {{"approved", "2026-05", "lan", "", 1},
                 {"submitted", "2026-H1", "lan", "Bình <x>", 2},
                 {"range", "2026-01-15..2026-06-14", "l", "b", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        struct report r;
        assert_int_equal(read_seed(seeds[i].name, &r), ST_OK);
        assert_string_equal(r.period.text, seeds[i].period);
        assert_string_equal(r.approved.who, seeds[i].by);
        assert_string_equal(r.submitted.who, seeds[i].also);
        assert_int_equal(r.n, seeds[i].rows);
        report_done(&r);
    }
}

static void a_later_version_names_the_one_before_and_why(void **state)
{
    struct report r;
    (void)state;
    assert_int_equal(read_seed("second", &r), ST_OK);
    assert_int_equal(r.version, 2);
    assert_int_equal(strspn(r.replaces, "ab"), 64);
    assert_string_equal(r.reason, "đính chính lab-7: <x>");
    report_done(&r);
}

static void numbers_with_more_digits_than_a_double_has_stay_exact(void **state)
{
    char text[NUM_TEXT_BYTES];
    struct report r;
    (void)state;
    assert_int_equal(read_seed("wide", &r), ST_OK);
    assert_string_equal(num_text(r.rows[0].value, text), "1234567890123.456789");
    report_done(&r);
}

static void what_is_not_as_it_would_be_written_is_damaged(void **state)
{
    static const char *const bad[] = {"bad-digest",  "bad-act",  "bad-number", "bad-until",
                                      "bad-control", "bad-head", "bad-twice",  "bad-version"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct report r;
        assert_int_equal(read_seed(bad[i], &r), ST_CORRUPT);
        report_done(&r);
    }
}

static void a_file_that_was_cut_anywhere_is_damaged(void **state)
{
    struct buf b;
    (void)state;
    load("submitted", &b);
    for (size_t n = 0; n < b.n; n++) {
        struct report r;
        char *cut = strndup((const char *)b.p, n);
        assert_non_null(cut);
        assert_int_equal(sheet_file_read(&r, cut, n, NULL), ST_CORRUPT);
        report_done(&r);
        free(cut);
    }
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sheet_is_read_back_as_it_was_written),
        cmocka_unit_test(a_later_version_names_the_one_before_and_why),
        cmocka_unit_test(numbers_with_more_digits_than_a_double_has_stay_exact),
        cmocka_unit_test(what_is_not_as_it_would_be_written_is_damaged),
        cmocka_unit_test(a_file_that_was_cut_anywhere_is_damaged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
