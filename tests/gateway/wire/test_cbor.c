/* The reader takes deterministic CBOR and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/wire/wire_int.h"
#include "tests/gateway/wire/wire_test.h"

static enum st skip_hex(const char *hex)
{
    uint8_t b[64] = {0};
    size_t n = strlen(hex) / 2;
    struct wire_reader r = wire_reader_of(b, n);
    enum st st;

    assert_true(wire_unhex(hex, b, n));
    st = wire_skip(&r, NULL);
    return !st && !wire_end(&r) ? ST_CONFLICT : st;
}

static void deterministic_items_are_read(void **state)
{
    static const char *const good[] = {
        "00",
        "17",
        "1818",
        "19ffff",
        "1bffffffffffffffff",
        "3863",
        "40",
        "6461c3a162",
        "80",
        "8201820203",
        "a2016162616101",
        "a0",
        "c11a514b67b0",
        "f4",
        "f6",
        "f7",
        "f8ff",
        "f97e00",
        "f93c00",
        "fa47c35000",
        "fb3ff199999999999a",
        "64f09f9880",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (skip_hex(good[i]))
            fail_msg("%s was refused", good[i]);
}

static void all_else_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "1817",
        "1900ff",
        "1a0000ffff",
        "1b00000000ffffffff",
        "5800",
        "7800",
        "9800",
        "b800",
        "d800", /* long heads */
        "5f4100ff",
        "7f6161ff",
        "9f00ff",
        "bf0000ff",
        "ff", /* indefinite lengths */
        "1c",
        "5d",
        "fe", /* reserved */
        "f817",
        "f818",
        "f814", /* simple values in long form */
        "fa3f800000",
        "fb3ff0000000000000",
        "fa7fc00000",
        "f97e01", /* floats */
        "4261",
        "6261",
        "8201",

        "a101",
        "c1", /* cut */
        "9b0000000100000000",
        "bb0000000100000000",
        "5bffffffffffffffff",
        "9bffffffffffffffff",
        "61ff",
        "62c0af",
        "63eda080",
        "64f4908080",
        "62c3c3",
        "61c3", /* not UTF-8 */
        "a201000100",
        "a202000100",
        "a2616100616100",
        "a261620061610000", /* key order */
        "a26161000100",
        "a220000100",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (skip_hex(bad[i]) != ST_BAD)
            fail_msg("%s was not refused", bad[i]);
}

static void depth_ends_at_eight(void **state)
{
    (void)state;
    assert_int_equal(skip_hex("8181818181818180"), ST_OK);    /* 8 arrays */
    assert_int_equal(skip_hex("818181818181818180"), ST_BAD); /* 9 */
    assert_int_equal(skip_hex("a100a100a100a100a100a100a100a0"), ST_OK);
    assert_int_equal(skip_hex("a100a100a100a100a100a100a100a100a0"), ST_BAD);
    assert_int_equal(skip_hex("c1c1c1c1c1c1c1c100"), ST_OK); /* tags count */
    assert_int_equal(skip_hex("c1c1c1c1c1c1c1c1c100"), ST_BAD);
    assert_int_equal(skip_hex("8181818181818100"), ST_OK);
}

static void writers_write_what_the_reader_takes(void **state)
{
    struct buf b;
    struct wire_reader r;

    (void)state;
    buf_init(&b, 4096);
    assert_int_equal(wire_put_array(&b, 7), ST_OK);
    assert_int_equal(wire_put_uint(&b, UINT64_MAX), ST_OK);
    assert_int_equal(wire_put_int(&b, INT64_MIN), ST_OK);
    assert_int_equal(wire_put_text(&b, "Trà Câu"), ST_OK);
    assert_int_equal(wire_put_bytes(&b, "\0\1", 2), ST_OK);
    assert_int_equal(wire_put_null(&b), ST_OK);
    assert_int_equal(wire_put_bool(&b, true), ST_OK);
    assert_int_equal(wire_put_map(&b, 0), ST_OK);
    r = wire_reader_of(b.p, b.n);
    assert_int_equal(wire_skip(&r, NULL), ST_OK);
    assert_true(wire_end(&r));
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deterministic_items_are_read),
        cmocka_unit_test(all_else_is_refused),
        cmocka_unit_test(depth_ends_at_eight),
        cmocka_unit_test(writers_write_what_the_reader_takes),
    };

    return cmocka_run_group_tests_name("wire cbor", tests, NULL, NULL);
}
