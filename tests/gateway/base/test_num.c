#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/num.h"

static struct num dec(const char *text)
{
    struct num n;
    assert_true(num_parse(text, &n));
    return n;
}

static void assert_text(struct num n, const char *want)
{
    char buf[NUM_TEXT_BYTES];
    assert_string_equal(num_text(n, buf), want);
}

static void decimals_are_normalised(void **state)
{
    (void)state;
    struct num n = num_dec(12300, -4);
    assert_int_equal(n.i, 123);
    assert_int_equal(n.exp, -2);
    assert_text(num_dec(0, -7), "0");
    assert_text(num_dec(INT64_MIN, 0), "-9223372036854775808");
    assert_text(num_udec(UINT64_MAX, -3), "18446744073709551.615");
    assert_int_equal(num_udec(7, 0).kind, NUM_DEC);
    assert_int_equal(num_dec(1, 1).kind, NUM_NONE);
    assert_int_equal(num_dec(1, -25).kind, NUM_NONE);
    assert_text(num_dec(10, -25), "0.000000000000000000000001");
}

static void scaling_is_exact(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *scale, *offset, *want; /* want NULL: does not fit */
    } v[] = {
        {"235", "0.1", "0", "23.5"},
        {"235", "0.1", "-40", "-16.5"},
        {"-1", "0.001", "0.001", "0"},
        {"65535", "1", "0", "65535"},
        {"18446744073709551615", "1", "0", "18446744073709551615"},
        {"18446744073709551615", "0.001", "0", "18446744073709551.615"},
        {"18446744073709551610", "0.5", "0", "9223372036854775805"}, /* product needs 67 bits */
        {"18446744073709551615", "0.5", "0", NULL},
        {"18446744073709551615", "0.1", "0.5", "1844674407370955162"}, /* so does this sum */
        {"18446744073709551615", "1", "1", NULL},
        {"18446744073709551615", "1", "-1", "18446744073709551614"},
        {"9223372036854775807", "-1", "-1", "-9223372036854775808"},
        {"9223372036854775807", "-1", "-2", NULL},
        {"4294967295", "4294967297", "0", "18446744073709551615"},
        {"4294967296", "4294967296", "0", NULL},
        {"18446744073709551615", "18446744073709551615", "0", NULL},
        {"1", "0.000000000000000000000001", "0", "0.000000000000000000000001"},
        {"0.1", "0.000000000000000000000001", "0", NULL},
        {"5", "0.3333", "0.00005", "1.66655"},
    };
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        struct num out;
        bool fits = num_scale(dec(v[i].raw), dec(v[i].scale), dec(v[i].offset), &out);
        assert_int_equal(fits, v[i].want != NULL);
        if (fits) {
            assert_text(out, v[i].want);
        }
    }
    struct num out;
    assert_false(num_scale(num_flt(1), num_dec(1, 0), num_dec(0, 0), &out));
}

static void parsing_takes_plain_decimals_only(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "-",
                                      ".",
                                      "1.",
                                      ".5",
                                      "+1",
                                      "1e3",
                                      "0x10",
                                      " 1",
                                      "1 ",
                                      "1.2.3",
                                      "--1",
                                      "nan",
                                      "1,5",
                                      "18446744073709551616",
                                      "-9223372036854775809",
                                      "0.0000000000000000000000001",
                                      "99999999999999999999999999999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct num n;
        if (num_parse(bad[i], &n)) {
            fail_msg("accepted \"%s\"", bad[i]);
        }
    }
    assert_text(dec("-12"), "-12");
    assert_text(dec("0.05"), "0.05");
    assert_text(dec("-0.0"), "0");
    assert_text(dec("007.50"), "7.5");
    assert_text(dec("1.00000000000000000000000000000000000000000000000000"), "1");
}

static void float_text_is_shortest_and_plain(void **state)
{
    (void)state;
    assert_text(num_flt(0.1), "0.1");
    assert_text(num_flt(231.7f), "231.6999969482422"); /* 16 digits do */
    assert_text(num_flt(-0.0), "-0");
    assert_text(num_flt(1e21), "1000000000000000000000");
    assert_text(num_flt(1e-7), "0.0000001");
    assert_text(num_flt(123456789.125), "123456789.125");
    assert_text(num_flt(9007199254740993.0), "9007199254740992");
    assert_text(num_flt(NAN), "");
    assert_text(num_flt(INFINITY), "");
    char buf[NUM_TEXT_BYTES];
    assert_int_equal(strlen(num_text(num_flt(-DBL_TRUE_MIN), buf)), 327); /* -0. 323 zeros 5 */
    assert_int_equal(strlen(num_text(num_flt(DBL_MAX), buf)), 309);
}

static void float_text_gives_the_same_double(void **state)
{
    (void)state;
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        double f;
        memcpy(&f, &x, sizeof(f));
        if (!isfinite(f)) {
            continue;
        }
        char buf[NUM_TEXT_BYTES];
        double back = strtod(num_text(num_flt(f), buf), NULL);
        assert_memory_equal(&back, &f, sizeof(f));
        assert_null(strpbrk(buf, "eE"));
    }
}

static void doubles_are_nearest(void **state)
{
    (void)state;
    static const char *const v[] = {"0.1",
                                    "9007199254740993",
                                    "18446744073709551615",
                                    "-1234567890123456789",
                                    "0.000000000000000000000123",
                                    "1844674407370955.1615"};
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        assert_true(num_double(dec(v[i])) == strtod(v[i], NULL));
    }
    assert_true(isnan(num_double((struct num){.kind = NUM_NONE})));
}

static void comparison_is_exact_between_decimals(void **state)
{
    (void)state;
    assert_int_equal(num_cmp(dec("9007199254740993"), dec("9007199254740992")), 1);
    assert_int_equal(num_cmp(dec("1844674407370955162"), dec("1844674407370955161.5")), 1);
    assert_int_equal(num_cmp(dec("18446744073709551615"), dec("0.000000000000000000000001")), 1);
    assert_int_equal(num_cmp(dec("0.000000000000000000000001"), dec("18446744073709551615")), -1);
    assert_int_equal(num_cmp(dec("-18.5"), dec("-18.50")), 0);
    assert_int_equal(num_cmp(dec("-19"), dec("-18.5")), -1);
    assert_int_equal(num_cmp(dec("-1"), dec("0")), -1);
    assert_int_equal(num_cmp(num_flt(1.5), dec("1.5")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimals_are_normalised),
        cmocka_unit_test(scaling_is_exact),
        cmocka_unit_test(parsing_takes_plain_decimals_only),
        cmocka_unit_test(float_text_is_shortest_and_plain),
        cmocka_unit_test(float_text_gives_the_same_double),
        cmocka_unit_test(doubles_are_nearest),
        cmocka_unit_test(comparison_is_exact_between_decimals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
