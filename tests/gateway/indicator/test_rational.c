/* Between readings, decimals and rationals: exact, and half away from zero. */
#include <float.h>
#include <math.h>

#include "gateway/indicator/rational_int.h"
#include "tests/gateway/indicator/kit.h"

static struct num dec(const char *text)
{
    struct num n;
    assert_true(num_parse(text, &n));
    return n;
}

static void decimals_become_millionths_half_away_from_zero(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want;
    } t[] = {
        {"0", 0},
        {"1.5", 1500000},
        {"-1.5", -1500000},
        {"0.0000005", 1},
        {"-0.0000005", -1},
        {"0.00000049999", 0},
        {"-0.00000049999", 0},
        {"0.0000014999999", 1},
        {"2.0000015", 2000002},
        {"-2.0000015", -2000002},
        {"9223372036854.775807", INT64_MAX},
        {"12345678901.5", INT64_C(12345678901500000)},
        {"0.000000000000000001", 0},
        {"0.000000999999999999999999", 1},
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        int64_t got = -7;
        assert_true(rational_millionths(dec(t[i].text), &got));
        assert_int_equal(got, t[i].want);
    }
    static const char *const large[] = {"9223372036854.775808", "9223372036855",
                                        "9223372036854775807", "18446744073709551615",
                                        "-9223372036855"};
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
        int64_t got;
        assert_false(rational_millionths(dec(large[i]), &got));
    }
    int64_t got;
    assert_false(rational_millionths((struct num){.kind = NUM_NONE}, &got));
}

static void of_a_float_its_decimal_text_counts(void **state)
{
    (void)state;
    static const struct {
        double f;
        int64_t want;
    } t[] = {
        {20.3, 20300000},
        {-20.3, -20300000},
        {0.1, 100000},
        {1.0000005, 1000001}, /* the double lies below the half, its text on it */
        {0.0000005, 1},
        {-0.0000005, -1},
        {2.0000025, 2000003},
        {4.0000035, 4000004},
        {1048576.0000005, 1048576000001},
        {0x1p-1074, 0},
        {9007199254.740993, 9007199254740993},
        {123456789012.25, 123456789012250000},
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        int64_t got = -7;
        assert_true(rational_millionths(num_flt(t[i].f), &got));
        assert_int_equal(got, t[i].want);
    }
    int64_t got;
    assert_false(rational_millionths(num_flt(1e13), &got));
    assert_false(rational_millionths(num_flt(-DBL_MAX), &got));
    /* and so by its text for any: at and around each half */
    for (int i = -2000; i <= 2000; i++) {
        double half = (i + 0.5) / 1e6;
        for (int k = -1; k <= 1; k++) {
            double f = k == 0 ? half : nextafter(half, k * (double)INFINITY);
            char text[NUM_TEXT_BYTES];
            struct num exact;
            int64_t want, have;
            if (num_parse(num_text(num_flt(f), text), &exact)) {
                assert_true(rational_millionths(exact, &want));
                assert_true(rational_millionths(num_flt(f), &have));
                assert_int_equal(have, want);
            }
        }
    }
}

static void assert_round(int64_t p, uint64_t q, int decimals, const char *want)
{
    char text[NUM_TEXT_BYTES];
    mpq_t v;
    mpq_init(v);
    rational_set_ratio(v, p, q);
    assert_string_equal(num_text(rational_round(v, decimals), text), want);
    rational_round_to(v, decimals);
    assert_string_equal(num_text(rational_round(v, decimals), text), want);
    mpq_clear(v);
}

static void a_figure_is_rounded_half_away_from_zero(void **state)
{
    (void)state;
    assert_round(219, 2, 0, "110"); /* 109.5 */
    assert_round(-219, 2, 0, "-110");
    assert_round(1, 2, 0, "1");
    assert_round(-1, 2, 0, "-1");
    assert_round(1, 3, 2, "0.33");
    assert_round(-2, 3, 2, "-0.67");
    assert_round(-5, 1000, 2, "-0.01");
    assert_round(4999999, 1000000000, 2, "0");
    assert_round(INT64_MAX, 1, 0, "9223372036854775807");
    mpq_t v;
    mpq_init(v);
    rational_set_ratio(v, INT64_MAX, 1);
    assert_int_equal(rational_round(v, 1).kind, NUM_NONE);
    mpq_clear(v);
}

static void a_root_is_the_largest_decimal_that_is_not_above(void **state)
{
    (void)state;
    static const struct {
        int64_t p;
        uint64_t q;
        unsigned n;
        const char *want;
    } t[] = {{2, 1, 2, "1.414213562373"},
             {81, 1, 4, "3"},
             {1, 8, 3, "0.5"},
             {1, 3, 2, "0.577350269189"},
             {0, 1, 5, "0"}};
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        char text[NUM_TEXT_BYTES];
        mpq_t v, r;
        mpq_inits(v, r, (mpq_ptr)NULL);
        rational_set_ratio(v, t[i].p, t[i].q);
        rational_root(r, v, t[i].n);
        assert_string_equal(num_text(rational_round(r, 12), text), t[i].want);
        mpq_clears(v, r, (mpq_ptr)NULL);
    }
}

static void a_limit_between_millionths_is_on_its_side(void **state)
{
    (void)state;
    assert_int_equal(rational_floor(dec("0.0000015")), 1);
    assert_int_equal(rational_ceil(dec("0.0000015")), 2);
    assert_int_equal(rational_floor(dec("-0.0000015")), -2);
    assert_int_equal(rational_ceil(dec("-0.0000015")), -1);
    assert_int_equal(rational_floor(dec("-110")), -110000000);
    assert_true(rational_floor(dec("9223372036854775807")) == INT64_MAX);
    assert_true(rational_ceil(dec("-9223372036854775807")) == INT64_MIN);
}

static void a_day_begins_at_midnight_of_viet_nam(void **state)
{
    (void)state;
    assert_int_equal(indicator_day_of(INT64_C(1767200400000)), KIT_2026); /* 31 Dec, 17:00 UTC */
    assert_int_equal(indicator_day_of(INT64_C(1767200399999)), KIT_2026 - 1);
    assert_true(indicator_day_ms(KIT_2026) == INT64_C(1767200400000));
    assert_int_equal(indicator_day_of(-INDICATOR_ZONE_MS), 0);
    assert_int_equal(indicator_day_of(-INDICATOR_ZONE_MS - 1), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimals_become_millionths_half_away_from_zero),
        cmocka_unit_test(of_a_float_its_decimal_text_counts),
        cmocka_unit_test(a_figure_is_rounded_half_away_from_zero),
        cmocka_unit_test(a_root_is_the_largest_decimal_that_is_not_above),
        cmocka_unit_test(a_limit_between_millionths_is_on_its_side),
        cmocka_unit_test(a_day_begins_at_midnight_of_viet_nam),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
