/* Cells of a table that people open: RFC 4180, and nothing in them is a formula. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/web/web_int.h"

static void a_cell_is_a_text_whatever_is_in_it(void **state)
{
    static const struct {
        const char *text, *cell;
    } is[] = {
        {"", ""},
        {"kg", "kg"},
        {"%RH", "%RH"},
        {"a,b", "\"a,b\""},
        {"a\"b", "\"a\"\"b\""},
        {"a\r\nb", "\"a\r\nb\""},
        {"=1+1", "'=1+1"},
        {"+1", "'+1"},
        {"-1", "'-1"},
        {"@SUM(A1)", "'@SUM(A1)"},
        {"\t=1", "'\t=1"},
        {"\r=1", "\"'\r=1\""},
        {"=cmd|' /C calc'!A0,", "\"'=cmd|' /C calc'!A0,\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof is / sizeof *is; i++) {
        struct buf b;
        buf_init(&b, 256);
        assert_int_equal(web_csv_text(&b, is[i].text, strlen(is[i].text)), ST_OK);
        assert_int_equal(buf_put(&b, "", 1), ST_OK);
        assert_string_equal((const char *)b.p, is[i].cell);
        buf_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_cell_is_a_text_whatever_is_in_it)};
    return cmocka_run_group_tests_name("csv", tests, NULL, NULL);
}
