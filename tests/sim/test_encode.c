/* The encoder against values worked out by hand, and the text that a reader must get. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/encode.h"

static struct sim_spec spec(enum sim_type type, enum sim_order order, const char *scale,
                            const char *offset)
{
    struct sim_spec s = {.type = type, .order = order};
    assert_true(num_parse(scale, &s.scale));
    assert_true(num_parse(offset, &s.offset));
    return s;
}

static const struct {
    enum sim_type type;
    enum sim_order order;
    const char *scale, *offset;
    double value;
    const char *wire, *text; /* wire: bytes in the order sent */
} golden[] = {
    {SIM_F32, SIM_ABCD, "1", "0", 230.200012, "43663334", "230.20001220703125"},
    {SIM_F32, SIM_DCBA, "1", "0", 7.25, "0000e840", "7.25"},
    {SIM_F32, SIM_CDAB, "1", "0", 230.200012, "33344366", "230.20001220703125"},
    {SIM_F32, SIM_BADC, "1", "0", 230.2, "66433333", "230.1999969482422"},
    {SIM_F32, SIM_ABCD, "1", "0", 1e30, "7149f2ca", "1000000015047466200000000000000"},
    {SIM_F32, SIM_ABCD, "1", "0", 1e-7, "33d6bf95", "0.00000010000000116860974"},
    {SIM_F32, SIM_ABCD, "0.1", "0", 2.5, "41c80000", "2.5"},
    {SIM_F64, SIM_ABCD, "1", "0", 0.1, "3fb999999999999a", "0.1"},
    {SIM_F64, SIM_ABCDEFGH, "1", "0", -2, "c000000000000000", "-2"},
    {SIM_F64, SIM_CDAB, "1", "0", 0.1,
     "999a99999999"
     "3fb9",
     "0.1"},
    {SIM_U16, SIM_ABCD, "0.1", "0", 23.6, "00ec", "23.6"},
    {SIM_U16, SIM_ABCD, "1", "0", -5, "0000", "0"},
    {SIM_U16, SIM_ABCD, "1", "0", 70000, "ffff", "65535"},
    {SIM_U16, SIM_BADC, "1", "0", 258, "0201", "258"},
    {SIM_U16, SIM_CDAB, "1", "0", 258, "0102", "258"},
    {SIM_S16, SIM_ABCD, "0.1", "0", -3.4, "ffde", "-3.4"},
    {SIM_S16, SIM_ABCD, "0.1", "-40", -3.4, "016e", "-3.4"},
    {SIM_S16, SIM_ABCD, "1", "0", -40000, "8000", "-32768"},
    {SIM_U32, SIM_ABCD, "1", "0", 305419896, "12345678", "305419896"},
    {SIM_U32, SIM_CDAB, "1", "0", 305419896, "56781234", "305419896"},
    {SIM_U32, SIM_BADC, "1", "0", 305419896, "34127856", "305419896"},
    {SIM_U32, SIM_DCBA, "0.01", "0", 3054198.96, "78563412", "3054198.96"},
    {SIM_S32, SIM_CDAB, "1", "0", -2, "fffeffff", "-2"},
    {SIM_S32, SIM_ABCD, "100", "0", -200, "fffffffe", "-200"},
    {SIM_U64, SIM_ABCD, "1", "0", 1.8446744073709552e19, "ffffffffffffffff",
     "18446744073709551615"},
    {SIM_U64, SIM_GHEFCDAB, "1", "0", 283686952306183, "0607040502030001", "283686952306183"},
    {SIM_U64, SIM_CDAB, "1", "0", 283686952306183, "0607040502030001", "283686952306183"},
    {SIM_U64, SIM_BADCFEHG, "1", "0", 283686952306183, "0100030205040706", "283686952306183"},
    {SIM_U64, SIM_HGFEDCBA, "1", "0", 283686952306183, "0706050403020100", "283686952306183"},
    {SIM_S64, SIM_DCBA, "0.001", "0", -0.256, "00ffffffffffffff", "-0.256"},
    {SIM_BCD16, SIM_ABCD, "0.1", "0", 123.4, "1234", "123.4"},
    {SIM_BCD32, SIM_ABCD, "1", "0", 12345678, "12345678", "12345678"},
    {SIM_BCD32, SIM_CDAB, "1", "0", 12345678, "56781234", "12345678"},
    {SIM_BCD16, SIM_ABCD, "1", "0", 12345, "9999", "9999"},
};

static void bytes_and_text_are_those_worked_out_by_hand(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
        struct sim_spec s =
            spec(golden[i].type, golden[i].order, golden[i].scale, golden[i].offset);
        uint8_t be[SIM_RAW_BYTES], wire[SIM_RAW_BYTES];
        char hex[20] = "", text[SIM_TEXT_BYTES];
        sim_raw(&s, golden[i].value, be);
        sim_wire(&s, be, wire);
        for (size_t k = 0; k < 2 * sim_regs(s.type); k++)
            snprintf(hex + 2 * k, 3, "%02x", wire[k]);
        assert_string_equal(hex, golden[i].wire);
        assert_string_equal(sim_text(&s, be, text), golden[i].text);
    }
}

static void numbers_without_a_value_have_no_text(void **state)
{
    struct sim_spec s = spec(SIM_F32, SIM_ABCD, "1", "0");
    uint8_t be[SIM_RAW_BYTES];
    char text[SIM_TEXT_BYTES];
    (void)state;
    sim_raw(&s, NAN, be);
    assert_string_equal(sim_text(&s, be, text), "");
    sim_raw(&s, INFINITY, be);
    assert_string_equal(sim_text(&s, be, text), "");
    s = spec(SIM_U64, SIM_ABCD, "10", "0");
    memset(be, 0xff, sizeof(be));
    assert_string_equal(sim_text(&s, be, text), "");
}

static void a_bit_ignores_scale(void **state)
{
    struct sim_spec s = spec(SIM_BIT, SIM_ABCD, "0.1", "5");
    uint8_t be[SIM_RAW_BYTES];
    char text[SIM_TEXT_BYTES];
    (void)state;
    sim_raw(&s, 1, be);
    assert_string_equal(sim_text(&s, be, text), "1");
    sim_raw(&s, 0, be);
    assert_string_equal(sim_text(&s, be, text), "0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_and_text_are_those_worked_out_by_hand),
        cmocka_unit_test(numbers_without_a_value_have_no_text),
        cmocka_unit_test(a_bit_ignores_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
