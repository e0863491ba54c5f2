/* Every type, order and scale against values worked out by hand, markers, limits, and what holds
 * no value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "gateway/collect/collect_int.h"

static int word(const struct cfg_word *words, const char *name)
{
    for (size_t i = 0; words[i].word; i++)
        if (strcmp(words[i].word, name) == 0)
            return words[i].value;
    fail_msg("no word %s", name);
    return -1;
}

static struct collect_point point(const char *type, const char *order, const char *scale,
                                  const char *offset)
{
    struct collect_point p = {.type = word(collect_type_words, type),
                              .order = word(collect_order_words, order)};
    assert_true(num_parse(scale, &p.scale));
    assert_true(num_parse(offset, &p.offset));
    return p;
}

/* Decodes hex bytes; the text as the CSV contract prints it ("" for no value). */
static const char *decode(struct collect_point *p, const char *hex, uint16_t *q, char *text)
{
    uint8_t wire[8] = {0};
    unsigned n = 0;
    for (; *hex; n++, hex += 2) {
        unsigned byte;
        assert_int_equal(sscanf(hex, "%2x", &byte), 1);
        wire[n] = (uint8_t)byte;
    }
    collect_decoder_init(&p->decoder, p);
    assert_int_equal(n, p->decoder.bytes);
    struct num v;
    *q = collect_decode(&p->decoder, wire, &v);
    return num_text(v, text);
}

static void every_type_in_every_order_gives_the_value_worked_out_by_hand(void **state)
{
    static const struct {
        const char *type, *order, *scale, *offset, *hex, *text;
    } cases[] = {
        {"u16", "ABCD", "1", "0", "1234", "4660"},
        {"u16", "CDAB", "1", "0", "1234", "4660"}, /* one register has no words to swap */
        {"u16", "BADC", "1", "0", "1234", "13330"},
        {"u16", "DCBA", "1", "0", "1234", "13330"},
        {"u16", "ABCD", "0.1", "0", "00FA", "25"},
        {"u16", "ABCD", "0.1", "0", "00FB", "25.1"},
        {"u16", "ABCD", "0.01", "-40", "0FA1", "0.01"},
        {"u16", "ABCD", "100", "0.5", "0003", "300.5"},
        {"u16", "ABCD", "0.5", "0.25", "0000", "0.25"},
        {"u16", "ABCD", "-1", "0", "0000", "0"},
        {"s16", "ABCD", "1", "0", "FF9C", "-100"},
        {"s16", "BADC", "1", "0", "9CFF", "-100"},
        {"s16", "ABCD", "0.1", "0", "FFFF", "-0.1"},
        {"s16", "ABCD", "1", "0", "8000", "-32768"},
        {"s16", "ABCD", "1", "0", "7FFF", "32767"},
        {"u32", "ABCD", "1", "0", "12345678", "305419896"},
        {"u32", "CDAB", "1", "0", "56781234", "305419896"},
        {"u32", "BADC", "1", "0", "34127856", "305419896"},
        {"u32", "DCBA", "1", "0", "78563412", "305419896"},
        {"u32", "ABCD", "0.001", "0", "FFFFFFFF", "4294967.295"},
        {"s32", "ABCD", "1", "0", "FFFFFFFE", "-2"},
        {"s32", "CDAB", "0.1", "0", "FFFEFFFF", "-0.2"},
        {"s32", "DCBA", "1", "0", "00000080", "-2147483648"},
        {"u64", "ABCD", "1", "0", "0102030405060708", "72623859790382856"},
        {"u64", "ABCDEFGH", "1", "0", "0102030405060708", "72623859790382856"},
        {"u64", "CDAB", "1", "0", "0708050603040102", "72623859790382856"},
        {"u64", "GHEFCDAB", "1", "0", "0708050603040102", "72623859790382856"},
        {"u64", "BADC", "1", "0", "0201040306050807", "72623859790382856"},
        {"u64", "BADCFEHG", "1", "0", "0201040306050807", "72623859790382856"},
        {"u64", "DCBA", "1", "0", "0807060504030201", "72623859790382856"},
        {"u64", "HGFEDCBA", "1", "0", "0807060504030201", "72623859790382856"},
        {"u64", "ABCD", "1", "0", "FFFFFFFFFFFFFFFF", "18446744073709551615"},
        {"u64", "ABCD", "0.1", "0", "FFFFFFFFFFFFFFFF", "1844674407370955161.5"},
        {"u64", "ABCD", "10", "0", "FFFFFFFFFFFFFFFF", ""},
        {"u64", "ABCD", "1", "1", "FFFFFFFFFFFFFFFF", ""},
        {"u64", "ABCD", "1", "-1", "FFFFFFFFFFFFFFFF", "18446744073709551614"},
        {"s64", "ABCD", "1", "0", "8000000000000000", "-9223372036854775808"},
        {"s64", "ABCD", "-1", "0", "8000000000000000", "9223372036854775808"},
        {"s64", "HGFEDCBA", "0.001", "0", "FEFFFFFFFFFFFFFF", "-0.002"},
        {"f32", "ABCD", "1", "0", "43663334", "230.20001220703125"},
        {"f32", "CDAB", "1", "0", "33344366", "230.20001220703125"},
        {"f32", "BADC", "1", "0", "66433433", "230.20001220703125"},
        {"f32", "DCBA", "1", "0", "0000E840", "7.25"},
        {"f32", "ABCD", "0.1", "0", "40E80000", "0.7250000000000001"},
        {"f32", "ABCD", "0.001", "0", "43663334", "0.23020001220703126"},
        {"f32", "ABCD", "1", "273", "C2C80000", "173"},
        {"f32", "ABCD", "1", "0", "80000000", "-0"},
        {"f32", "ABCD", "1", "0", "7FC00000", ""},
        {"f32", "ABCD", "1", "0", "7F800000", ""},
        {"f32", "ABCD", "1", "0", "FF800000", ""},
        {"f64", "ABCD", "1", "0", "400921FB54442D18", "3.141592653589793"},
        {"f64", "CDAB", "1", "0", "2D18544421FB4009", "3.141592653589793"},
        {"f64", "BADCFEHG", "1", "0", "0940FB214454182D", "3.141592653589793"},
        {"f64", "DCBA", "1", "0", "182D4454FB210940", "3.141592653589793"},
        {"f64", "ABCD", "1", "0", "7FF8000000000000", ""},
        {"f64", "ABCD", "10", "0", "7FE0000000000000", ""}, /* infinite after scaling */
        {"bcd16", "ABCD", "1", "0", "1234", "1234"},
        {"bcd16", "BADC", "0.1", "0", "3412", "123.4"},
        {"bcd16", "ABCD", "1", "0", "123A", ""},
        {"bcd16", "ABCD", "1", "0", "F000", ""},
        {"bcd32", "ABCD", "1", "0", "12345678", "12345678"},
        {"bcd32", "CDAB", "0.01", "0", "56781234", "123456.78"},
        {"bcd32", "DCBA", "1", "0", "78563412", "12345678"},
        {"bcd32", "ABCD", "1", "0", "1234567C", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct collect_point p =
            point(cases[i].type, cases[i].order, cases[i].scale, cases[i].offset);
        char text[NUM_TEXT_BYTES];
        uint16_t q;
        if (strcmp(decode(&p, cases[i].hex, &q, text), cases[i].text) != 0)
            fail_msg("%s %s x %s + %s of %s: \"%s\" instead of \"%s\"", cases[i].type,
                     cases[i].order, cases[i].scale, cases[i].offset, cases[i].hex, text,
                     cases[i].text);
        assert_int_equal(q, 0);
    }
}

static void integers_become_decimals_and_floats_stay_floats(void **state)
{
    static const struct {
        const char *type, *hex;
        uint8_t kind;
    } cases[] = {{"u32", "00000001", NUM_DEC},
                 {"u64", "FFFFFFFFFFFFFFFF", NUM_UDEC},
                 {"f32", "3F800000", NUM_FLT},
                 {"f64", "3FF0000000000000", NUM_FLT},
                 {"bcd16", "0001", NUM_DEC}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct collect_point p = point(cases[i].type, "ABCD", "1", "0");
        uint8_t wire[8];
        struct num v;
        for (unsigned j = 0; j < strlen(cases[i].hex) / 2; j++) {
            unsigned byte;
            assert_int_equal(sscanf(cases[i].hex + 2 * j, "%2x", &byte), 1);
            wire[j] = (uint8_t)byte;
        }
        collect_decoder_init(&p.decoder, &p);
        collect_decode(&p.decoder, wire, &v);
        assert_int_equal(v.kind, cases[i].kind);
    }
}

static void a_marker_is_no_value_whatever_its_sign(void **state)
{
    static const struct {
        const char *type;
        int64_t marker;
        const char *hex, *text;
    } cases[] = {{"u16", 0xFFFF, "FFFF", ""},
                 {"u16", 0xFFFF, "FFFE", "65534"},
                 {"s16", 0xFFFF, "FFFF", ""}, /* -1, too, when the file says so */
                 {"s16", -1, "FFFF", ""},
                 {"s16", -32768, "8000", ""},
                 {"u32", 0xFFFFFFFF, "FFFFFFFF", ""},
                 {"s64", INT64_MIN, "8000000000000000", ""},
                 {"u64", -1, "FFFFFFFFFFFFFFFF", ""},
                 {"bcd16", 0xFFFF, "FFFF", ""},
                 {"f32", -9999, "C61C3C00", ""},
                 {"f32", 0x7F7FFFFF, "7F7FFFFF", ""},
                 {"f64", -9999, "C0C3878000000000", ""}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct collect_point p = point(cases[i].type, "ABCD", "1", "0");
        int64_t markers[] = {12345, cases[i].marker};
        char text[NUM_TEXT_BYTES];
        uint16_t q;
        p.no_value = (struct cfg_ints){markers, 2};
        assert_string_equal(decode(&p, cases[i].hex, &q, text), cases[i].text);
        assert_int_equal(q, 0);
    }
}

static void a_value_outside_its_limits_is_kept_and_flagged(void **state)
{
    static const struct {
        const char *type, *scale, *min, *max, *hex;
        int q;
    } cases[] = {
        {"s16", "0.1", NULL, NULL, "FE6F", WIRE_Q_LIMITS}, /* -40.1 °C */
        {"s16", "0.1", NULL, NULL, "FE70", 0},             /* -40.0 */
        {"s16", "0.1", NULL, NULL, "0320", 0},             /* 80.0 */
        {"s16", "0.1", NULL, NULL, "0321", WIRE_Q_LIMITS}, /* 80.1 */
        {"s16", "1", NULL, NULL, "FFD8", 0},               /* -40 */
        {"s16", "1", NULL, NULL, "FFD7", WIRE_Q_LIMITS},
        {"s16", "0.1", "0", "25.05", "00FA", 0},
        {"s16", "0.1", "0", "25.05", "00FB", WIRE_Q_LIMITS},
        {"s16", "0.1", "0", "25.05", "FFFF", WIRE_Q_LIMITS},
        {"s16", "0.1", "-100", "100", "0321", WIRE_Q_LIMITS}, /* valid narrows, never widens */
        {"s16", "100", "-0.5", "0.5", "0000", 0},
        {"f32", "1", NULL, NULL, "42A00000", 0}, /* 80 */
        {"f32", "1", NULL, NULL, "42A00001", WIRE_Q_LIMITS},
        {"u64", "1", NULL, NULL, "FFFFFFFFFFFFFFFF", WIRE_Q_LIMITS},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct collect_point p = point(cases[i].type, "ABCD", cases[i].scale, "0");
        char text[NUM_TEXT_BYTES];
        uint16_t q;
        p.quantity = quantity_by_key("temperature");
        if (cases[i].min)
            assert_true(num_parse(cases[i].min, &p.valid[0]) &&
                        num_parse(cases[i].max, &p.valid[1]));
        assert_string_not_equal(decode(&p, cases[i].hex, &q, text), "");
        if (q != cases[i].q)
            fail_msg("case %zu (%s): flags %u instead of %d", i, text, q, cases[i].q);
    }
}

static void a_bit_is_0_or_1_from_the_lowest_up(void **state)
{
    static const uint8_t wire[] = {0x05, 0x80};
    static const int expected[] = {1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        struct num v;
        assert_int_equal(collect_decode_bit(wire, i, &v), 0);
        assert_int_equal(v.kind, NUM_DEC);
        assert_int_equal(v.i, expected[i]);
    }
}

static void a_string_ends_at_its_padding_and_hides_what_is_not_text(void **state)
{
    static const uint8_t plain[] = {'S', 'N', ' ', '1', '2', 0, 'x', 'y'};
    static const uint8_t bytes[] = {'N', 'S', '1', ' ', ' ', 7};
    char text[16];
    (void)state;
    collect_decode_text(plain, 4, 0, text, sizeof text);
    assert_string_equal(text, "SN 12");
    collect_decode_text(bytes, 3, COLLECT_ORDER_BYTES, text, sizeof text);
    assert_string_equal(text, "SN 1?");
    collect_decode_text((const uint8_t *)"12SN", 2, COLLECT_ORDER_WORDS, text, sizeof text);
    assert_string_equal(text, "SN12");
    collect_decode_text(plain, 4, 0, text, 3);
    assert_string_equal(text, "SN");
}

/* The quick way and num_scale must agree on whatever they are given. */
static void the_quick_way_agrees_with_exact_arithmetic(void **state)
{
    static const char *const scales[] = {"1",  "0.1",        "0.001",      "-0.25",
                                         "10", "4294967296", "1000000007", "0.000000000001"};
    static const char *const offsets[] = {"0", "-40", "0.05", "9223372036854775807", "-0.0000001"};
    uint64_t seed = 88172645463325252U;
    (void)state;
    for (size_t s = 0; s < sizeof scales / sizeof *scales; s++)
        for (size_t o = 0; o < sizeof offsets / sizeof *offsets; o++) {
            struct collect_point p = point("s64", "ABCD", scales[s], offsets[o]);
            collect_decoder_init(&p.decoder, &p);
            for (int i = 0; i < 2000; i++) {
                seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
                int64_t raw = (int64_t)seed >> seed % 64;
                uint8_t wire[8];
                for (int b = 0; b < 8; b++)
                    wire[b] = (uint8_t)((uint64_t)raw >> (56 - 8 * b));
                struct num v, exact = {.kind = NUM_NONE};
                char a[NUM_TEXT_BYTES], b[NUM_TEXT_BYTES];
                collect_decode(&p.decoder, wire, &v);
                if (!num_scale((struct num){.i = raw, .kind = NUM_DEC}, p.scale, p.offset, &exact))
                    exact.kind = NUM_NONE;
                assert_string_equal(num_text(v, a), num_text(exact, b));
                assert_int_equal(v.kind, exact.kind);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_in_every_order_gives_the_value_worked_out_by_hand),
        cmocka_unit_test(integers_become_decimals_and_floats_stay_floats),
        cmocka_unit_test(a_marker_is_no_value_whatever_its_sign),
        cmocka_unit_test(a_value_outside_its_limits_is_kept_and_flagged),
        cmocka_unit_test(a_bit_is_0_or_1_from_the_lowest_up),
        cmocka_unit_test(a_string_ends_at_its_padding_and_hides_what_is_not_text),
        cmocka_unit_test(the_quick_way_agrees_with_exact_arithmetic),
    };
    return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
