/* Registers in every type and order, against values that were worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "gateway/collect/collect_int.h"

struct want {
    unsigned at;
    const char *type, *order, *value; /* NULL: no such number */
    bool plausible;
};
struct looking {
    const struct want *want;
    size_t n, found;
};

static void look(void *ctx, const struct collect_view *v)
{
    struct looking *l = ctx;
    char text[NUM_TEXT_BYTES];
    for (size_t i = 0; i < l->n; i++) {
        const struct want *w = &l->want[i];
        if (w->at != v->at || strcmp(w->type, v->type) != 0 || strcmp(w->order, v->order) != 0)
            continue;
        l->found++;
        if (v->v.kind == NUM_NONE)
            assert_null(w->value);
        else
            assert_string_equal(num_text(v->v, text), w->value);
        if (v->plausible != w->plausible)
            fail_msg("%s %s at %u: plausible %d", v->type, v->order, v->at, v->plausible);
    }
}

static void check(const uint8_t *data, unsigned regs, const struct want *want, size_t n)
{
    struct looking l = {want, n, 0};
    collect_views(data, regs, look, &l);
    assert_int_equal(l.found, n);
}
#define CHECK(data, want) check(data, sizeof(data) / 2, want, sizeof(want) / sizeof *(want))

/* 230.2 as Eastron's document has it: 43 66 33 34 hex. */
static void a_float_shows_in_each_order(void **state)
{
    (void)state;
    static const uint8_t abcd[] = {0x43, 0x66, 0x33, 0x34}, cdab[] = {0x33, 0x34, 0x43, 0x66},
                         badc[] = {0x66, 0x43, 0x34, 0x33}, dcba[] = {0x34, 0x33, 0x66, 0x43};
    static const char v[] = "230.20001220703125";
    CHECK(abcd, ((const struct want[]){{0, "f32", "ABCD", v, true}}));
    CHECK(cdab, ((const struct want[]){{0, "f32", "CDAB", v, true}}));
    CHECK(badc, ((const struct want[]){{0, "f32", "BADC", v, true}}));
    CHECK(dcba, ((const struct want[]){{0, "f32", "DCBA", v, true}}));
}

static void integers_show_with_their_sign(void **state)
{
    (void)state;
    static const uint8_t minus[] = {0xff, 0xff, 0xff, 0x38}, energy[] = {0x00, 0x12, 0xd6, 0x87};
    CHECK(minus, ((const struct want[]){{0, "u16", "ABCD", "65535", false},
                                        {1, "s16", "ABCD", "-200", true},
                                        {1, "u16", "ABCD", "65336", false},
                                        {0, "s32", "ABCD", "-200", true},
                                        {0, "u32", "ABCD", "4294967096", false},
                                        {0, "f32", "ABCD", NULL, false}}));
    CHECK(energy, ((const struct want[]){{0, "u32", "ABCD", "1234567", true},
                                         {0, "s32", "ABCD", "1234567", false},
                                         {0, "u32", "DCBA", "2278953472", false},
                                         {0, "bcd32", "ABCD", NULL, false},
                                         {0, "u16", "ABCD", "18", true},
                                         {0, "bcd16", "ABCD", "12", true}}));
}

static void wide_numbers_show_where_they_fit(void **state)
{
    (void)state;
    static const uint8_t eight[] = {0, 0, 0, 0x12, 0x34, 0x56, 0x78, 0x9a};
    CHECK(eight, ((const struct want[]){{0, "u64", "ABCDEFGH", "78187493530", true},
                                        {0, "u64", "HGFEDCBA", "11130741260686458880", false},
                                        {0, "u64", "BADCFEHG", "19792655587960", false}}));
    static const uint8_t six[] = {0, 0, 0, 1, 0, 2};
    struct looking l = {(const struct want[]){{0, "u64", "ABCDEFGH", "0", false}}, 1, 0};
    collect_views(six, 3, look, &l);
    assert_int_equal(l.found, 0);
}

static void nothing_is_plausible_in_zeros_and_marks(void **state)
{
    (void)state;
    static const uint8_t none[] = {0, 0, 0, 0, 0x80, 0, 0x7f, 0xff};
    CHECK(none, ((const struct want[]){{0, "u16", "ABCD", "0", false},
                                       {0, "f32", "ABCD", "0", false},
                                       {0, "u32", "ABCD", "0", false},
                                       {2, "u16", "ABCD", "32768", false},
                                       {2, "s16", "ABCD", "-32768", false},
                                       {3, "u16", "ABCD", "32767", false}}));
}

static void text_is_read_in_both_byte_orders(void **state)
{
    (void)state;
    static const uint8_t eastron[] = "SDM120M\0", swapped[] = "DS1M02\0M", broken[] = "SD\0M12",
                         noise[] = {0x01, 0x41, 0x42, 0x43, 0x44, 0x45};
    char text[COLLECT_DATA_BYTES + 1];
    assert_true(collect_view_text(eastron, 4, false, text));
    assert_string_equal(text, "SDM120M");
    assert_true(collect_view_text(swapped, 4, true, text));
    assert_string_equal(text, "SDM120M");
    assert_false(collect_view_text(broken, 3, false, text));
    assert_string_equal(text, "SD.M12");
    assert_false(collect_view_text(noise, 3, false, text));
    static const uint8_t zeros[8];
    assert_false(collect_view_text(zeros, 4, false, text));
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_float_shows_in_each_order),
        cmocka_unit_test(integers_show_with_their_sign),
        cmocka_unit_test(wide_numbers_show_where_they_fit),
        cmocka_unit_test(nothing_is_plausible_in_zeros_and_marks),
        cmocka_unit_test(text_is_read_in_both_byte_orders),
    };
    return cmocka_run_group_tests_name("views", tests, NULL, NULL);
}
