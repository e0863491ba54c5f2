/* Codes that people copy from a label. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "gateway/wire/wire.h"

static const char symbols[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static void make(uint8_t first, size_t n, char *out)
{
    uint8_t bytes[20];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(first + 37 * i);
    wire_code_write(bytes, n, out);
}

static void a_code_is_read_as_it_was_written_and_as_people_type_it(void **state)
{
    char text[WIRE_CODE_TEXT(WIRE_CODE_MAX)], got[WIRE_CODE_MAX + 1];

    (void)state;
    make(8, 16, text);
    assert_string_equal(text, "10PN-4XWW-R7K0-PC29");
    assert_int_equal(wire_code_read(text, 16, got, NULL), ST_OK);
    assert_string_equal(got, "10PN4XWWR7K0PC29");
    assert_int_equal(wire_code_read(" lopn 4xww-r7ko\tpc29\n", 16, got, NULL), ST_OK);
    assert_string_equal(got, "10PN4XWWR7K0PC29");
    assert_int_equal(wire_code_read("iOPN4XWWR7K0PC29", 16, got, NULL), ST_OK);
}

static void no_wrong_symbol_and_no_two_that_changed_places_fit(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first += 15) {
        char text[WIRE_CODE_TEXT(24)], good[25], got[25];
        make((uint8_t)first, 24, text);
        assert_int_equal(wire_code_read(text, 24, good, NULL), ST_OK);
        for (size_t i = 0; i < 24; i++) {
            char bad[25];
            for (const char *s = symbols; *s != '\0'; s++) {
                memcpy(bad, good, sizeof bad);
                bad[i] = *s;
                assert_int_equal(wire_code_read(bad, 24, got, NULL),
                                 *s == good[i] ? ST_OK : ST_BAD);
            }
            for (size_t k = i + 1; k < 24; k++) {
                memcpy(bad, good, sizeof bad);
                bad[i] = good[k];
                bad[k] = good[i];
                assert_int_equal(wire_code_read(bad, 24, got, NULL),
                                 good[i] == good[k] ? ST_OK : ST_BAD);
            }
        }
    }
}

static void what_is_no_code_is_refused_without_repeating_it(void **state)
{
    static const char *const bad[] = {"",
                                      "10PN-4XWW-R7K0-PC2",
                                      "10PN-4XWW-R7K0-PC290",
                                      "10PN-4XWW-R7K0-PC2!",
                                      "10PN-4XWW-R7K0-PC2U",
                                      "10PN-4XWW-R7K0-PC2\xc3\xa9"};
    char got[17], endless[4096];
    struct err e = {.text = ""};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(wire_code_read(bad[i], 16, got, &e), ST_BAD);
        assert_null(strstr(e.text, "4XWW"));
    }
    memset(endless, 'A', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    assert_int_equal(wire_code_read(endless, 16, got, &e), ST_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_is_read_as_it_was_written_and_as_people_type_it),
        cmocka_unit_test(no_wrong_symbol_and_no_two_that_changed_places_fit),
        cmocka_unit_test(what_is_no_code_is_refused_without_repeating_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
