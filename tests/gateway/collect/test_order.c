/* A wrong word order is said only where another makes sense of values that cannot be (decision
 * 0042). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "gateway/collect/collect_int.h"

static struct collect_point point(int type, int order, const char *quantity, struct num scale)
{
    struct collect_point p = {.type = type,
                              .order = order,
                              .scale = scale,
                              .offset = num_dec(0, 0),
                              .quantity = quantity_by_key(quantity)};
    collect_decoder_init(&p.decoder, &p);
    return p;
}

struct reading {
    int type;
    const char *quantity;
    uint64_t bits; /* as the device means it */
};

/* What is said after so many polls of a device that sends in order `sent`, read in `set`. */
static const char *said(const struct reading *r, size_t n, int sent, int set, int polls)
{
    struct collect_order o = {0};
    const char *word = NULL;
    for (int k = 0; k < polls; k++) {
        collect_order_begin(&o);
        for (size_t i = 0; i < n; i++) {
            struct collect_point as = point(r[i].type, sent, r[i].quantity, num_dec(1, 0)),
                                 p = point(r[i].type, set, r[i].quantity, num_dec(1, 0));
            uint8_t wire[8];
            struct num v;
            for (unsigned b = 0; b < as.decoder.bytes; b++)
                wire[b ^ as.decoder.flip] = (uint8_t)(r[i].bits >> 8 * (as.decoder.bytes - 1 - b));
            uint16_t q = collect_decode(&p.decoder, wire, &v);
            collect_order_look(&o, &p, wire, v, q);
        }
        word = collect_order_settle(&o);
    }
    return word;
}

static const struct reading meter[] = {{COLLECT_TYPE_f32, "voltage", 0x43661999},    /* 230.1 */
                                       {COLLECT_TYPE_f32, "current", 0x40a6e979},    /* 5.216 */
                                       {COLLECT_TYPE_f32, "active_power", 0},        /* 0 */
                                       {COLLECT_TYPE_f32, "frequency", 0x42480a3d}}; /* 50.01 */
static const struct reading counter[] = {{COLLECT_TYPE_u32, "pickups", 12345},
                                         {COLLECT_TYPE_s32, "voltage", 231}};
#define N(a) (sizeof(a) / sizeof *(a))

static void swapped_words_are_named_after_a_few_polls(void **state)
{
    (void)state;
    assert_null(said(meter, N(meter), COLLECT_ORDER_WORDS, 0, 3));
    assert_string_equal(said(meter, N(meter), COLLECT_ORDER_WORDS, 0, 4), "CDAB");
    assert_string_equal(said(meter, N(meter), 0, COLLECT_ORDER_WORDS, 4), "ABCD");
    assert_string_equal(said(counter, N(counter), COLLECT_ORDER_WORDS, 0, 9), "CDAB");
    assert_string_equal(said(meter, 1, COLLECT_ORDER_WORDS, 0, 4), "CDAB"); /* one is enough */
}

static void swapped_bytes_need_two_values(void **state)
{
    (void)state;
    assert_string_equal(said(meter, N(meter), COLLECT_ORDER_BYTES, 0, 9), "BADC");
    assert_string_equal(
        said(meter, N(meter), COLLECT_ORDER_BYTES | COLLECT_ORDER_WORDS, COLLECT_ORDER_WORDS, 9),
        "DCBA");
    assert_null(said(meter, 1, COLLECT_ORDER_BYTES, 0, 9));
}

static void wide_types_have_words_of_their_own(void **state)
{
    (void)state;
    static const struct reading wide[] = {{COLLECT_TYPE_f64, "voltage", 0x406cc33333333333},
                                          {COLLECT_TYPE_f64, "frequency", 0x4049000000000000}};
    assert_string_equal(said(wide, N(wide), COLLECT_ORDER_WIDE | COLLECT_ORDER_WORDS, 0, 9),
                        "GHEFCDAB");
}

static void what_is_right_or_wrong_in_every_order_says_nothing(void **state)
{
    (void)state;
    static const struct reading high[] = {{COLLECT_TYPE_f32, "voltage", 0x44fa0000}, /* 2000 V */
                                          {COLLECT_TYPE_f32, "frequency", 0x42480000}};
    static const struct reading one[] = {{COLLECT_TYPE_f32, "voltage", 0x43661999},
                                         {COLLECT_TYPE_f32, "frequency", 0x00004248}};
    static const struct reading none[] = {{COLLECT_TYPE_f32, "voltage", 0x7fc00000}}; /* NaN */
    static const struct reading all[] = {{COLLECT_TYPE_u32, "number", 0xfffe0001}}; /* no limits */
    static const struct reading zero[] = {{COLLECT_TYPE_u32, "voltage", 0}};
    for (int order = 0; order < 4; order++)
        assert_null(said(meter, N(meter), order, order, 9));
    assert_null(said(high, N(high), 0, 0, 9));
    assert_null(said(high, 1, 0, 0, 9));
    assert_null(said(one, N(one), 0, 0, 9)); /* swapping would spoil the other */
    assert_null(said(none, 1, 0, 0, 9));
    assert_null(said(all, 1, 0, 0, 9));
    assert_null(said(zero, 1, 0, 0, 9));
}

static void it_is_taken_back_with_the_first_good_poll(void **state)
{
    (void)state;
    struct collect_order o = {0};
    struct collect_point p = point(COLLECT_TYPE_f32, 0, "frequency", num_dec(1, 0));
    static const uint8_t bad[4] = {0x0a, 0x3d, 0x42, 0x48}, good[4] = {0x42, 0x48, 0x0a, 0x3d};
    const char *word = NULL;
    for (int k = 0; k < 6; k++) {
        struct num v;
        const uint8_t *wire = k == 5 ? good : bad;
        collect_order_begin(&o);
        uint16_t q = collect_decode(&p.decoder, wire, &v);
        collect_order_look(&o, &p, wire, v, q);
        word = collect_order_settle(&o);
        assert_int_equal(word != NULL, k == 3 || k == 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(swapped_words_are_named_after_a_few_polls),
        cmocka_unit_test(swapped_bytes_need_two_values),
        cmocka_unit_test(wide_types_have_words_of_their_own),
        cmocka_unit_test(what_is_right_or_wrong_in_every_order_says_nothing),
        cmocka_unit_test(it_is_taken_back_with_the_first_good_poll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
