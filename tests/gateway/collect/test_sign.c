/* What the line doctor makes of the bytes that a request brought. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/collect_int.h"

#define UNIT 5
#define OTHER_UNIT 7

/* Two registers: an answer of 9 bytes. */
static const struct collect_request request = {.function = 3, .address = 10, .count = 2};
static uint8_t sent[8] = {UNIT, 3, 0, 10, 0, 2};
static uint8_t heard[640];
static size_t n;
static bool over;

static int start(void **state)
{
    (void)state;
    (void)collect_answer_seal(sent, 6);
    n = 0;
    return 0;
}

static void bytes(const void *p, size_t size)
{
    memcpy(heard + n, p, size);
    n += size;
}

static void answer(uint8_t unit, unsigned registers)
{
    uint8_t *p = heard + n;
    p[0] = unit;
    p[1] = 3;
    p[2] = (uint8_t)(2 * registers);
    for (unsigned i = 0; i < 2 * registers; i++)
        p[3 + i] = (uint8_t)(0x20 + i);
    n += collect_answer_seal(p, 3 + 2 * registers);
}

/* As the port does: what it was, and the sign of it. */
static struct collect_sign sign(bool late)
{
    const struct collect_heard h = {
        .p = heard, .n = n, .sent = sent, .nsent = sizeof sent, .room = sizeof heard};
    struct collect_answer a;
    enum collect_fault f = collect_answer_find(&h, UNIT, &request, &a, &over);
    if (late || n == 0)
        f = COLLECT_SILENT;
    a.late = late;
    a.took_ms = 33;
    return collect_answer_sign(&h, UNIT, &request, f, &a);
}

static void is(enum collect_sign_is wanted)
{
    assert_int_equal(sign(false).is, wanted);
}

static void what_is_right_is_good(void **state)
{
    (void)state;
    answer(UNIT, 2);
    struct collect_sign s = sign(false);
    assert_int_equal(s.is, COLLECT_SIGN_GOOD);
    assert_false(s.beside || s.doubled || s.belated || s.strange);
    assert_int_equal(s.wanted, 9);
    assert_int_equal(s.took_ms, 33);
}

static void an_echo_is_no_byte_of_the_answer(void **state)
{
    (void)state;
    bytes(sent, sizeof sent);
    answer(UNIT, 2);
    struct collect_sign s = sign(false);
    assert_int_equal(s.is, COLLECT_SIGN_GOOD);
    assert_int_equal(s.bytes, 9);
    assert_false(s.beside);
}

static void silence_is_silence_even_with_a_stray_byte(void **state)
{
    (void)state;
    is(COLLECT_SIGN_SILENT);
    bytes("\0", 1);
    struct collect_sign s = sign(false);
    assert_int_equal(s.is, COLLECT_SIGN_SILENT);
    assert_true(s.beside);
}

static void a_right_answer_after_the_time_out_is_late(void **state)
{
    (void)state;
    answer(UNIT, 2);
    assert_int_equal(sign(true).is, COLLECT_SIGN_LATE);
}

static void a_wrong_sum_a_short_end_and_a_long_one_are_told_apart(void **state)
{
    (void)state;
    answer(UNIT, 2);
    heard[5] ^= 1;
    is(COLLECT_SIGN_DAMAGED);
    n = 7;
    is(COLLECT_SIGN_CUT);
    n = 9;
    bytes("\x11\x22", 2);
    is(COLLECT_SIGN_OVERLAP);
    heard[1] = 1;
    is(COLLECT_SIGN_OVERLAP);
    n = 9;
    is(COLLECT_SIGN_GARBAGE);
}

static void a_damaged_refusal_is_damaged(void **state)
{
    (void)state;
    bytes("\5\x83\2\0\0", 5);
    is(COLLECT_SIGN_DAMAGED);
}

static void a_damaged_head_is_garbage(void **state)
{
    (void)state;
    answer(UNIT, 2);
    heard[0] ^= 4;
    is(COLLECT_SIGN_GARBAGE);
}

static void zeros_are_seen_as_such(void **state)
{
    static const uint8_t wrong_speed[] = {0, 0xff, 0, 0x18, 0, 0, 0xff, 0x80, 0};
    (void)state;
    bytes(wrong_speed, sizeof wrong_speed);
    struct collect_sign s = sign(false);
    assert_int_equal(s.is, COLLECT_SIGN_GARBAGE);
    assert_true(s.blank);
    assert_int_equal(s.bytes, 9);
}

static void noise_around_an_answer_is_beside_it(void **state)
{
    (void)state;
    bytes("\xfe", 1);
    answer(UNIT, 2);
    struct collect_sign s = sign(false);
    assert_int_equal(s.is, COLLECT_SIGN_GOOD);
    assert_true(s.beside);
    heard[4] ^= 1;
    s = sign(false);
    assert_int_equal(s.is, COLLECT_SIGN_DAMAGED);
    assert_true(s.beside);
}

static void a_second_whole_answer_is_a_second_device_s(void **state)
{
    (void)state;
    answer(UNIT, 2);
    answer(UNIT, 2);
    struct collect_sign s = sign(false);
    assert_int_equal(s.is, COLLECT_SIGN_GOOD);
    assert_true(s.doubled);
    assert_false(s.belated);
}

static void an_answer_of_another_length_is_to_an_earlier_request(void **state)
{
    (void)state;
    answer(UNIT, 3);
    struct collect_sign s = sign(false);
    assert_int_equal(s.is, COLLECT_SIGN_OTHER);
    assert_true(s.belated);
    answer(UNIT, 2);
    s = sign(false);
    assert_int_equal(s.is, COLLECT_SIGN_GOOD);
    assert_true(s.belated);
    assert_false(s.doubled);
}

static void another_unit_s_answer_says_whose_it_is(void **state)
{
    (void)state;
    answer(OTHER_UNIT, 2);
    struct collect_sign s = sign(false);
    assert_int_equal(s.is, COLLECT_SIGN_FOREIGN);
    assert_true(s.strange);
    assert_int_equal(s.stranger, OTHER_UNIT);
    answer(UNIT, 2);
    s = sign(false);
    assert_int_equal(s.is, COLLECT_SIGN_GOOD);
    assert_true(s.strange);
    assert_false(s.beside);
    assert_int_equal(collect_answer_within(heard, n), OTHER_UNIT);
    assert_int_equal(collect_answer_within(heard + 1, 8), -1);
}

static void a_converter_without_an_answer_is_silence(void **state)
{
    static const uint8_t call[12] = {0, 1, 0, 0, 0, 6, UNIT, 3, 0, 10, 0, 2};
    (void)state;
    for (uint8_t code = 1; code <= 11; code++) {
        const uint8_t said[] = {0, 1, 0, 0, 0, 3, UNIT, 0x83, code};
        const struct collect_heard h = {.tcp = true,
                                        .p = said,
                                        .n = sizeof said,
                                        .sent = call,
                                        .nsent = sizeof call,
                                        .room = sizeof heard};
        struct collect_answer a;
        enum collect_fault f = collect_answer_find(&h, UNIT, &request, &a, &over);
        assert_int_equal(f, COLLECT_EXCEPTION);
        assert_int_equal(collect_answer_sign(&h, UNIT, &request, f, &a).is,
                         code >= 10 ? COLLECT_SIGN_SILENT : COLLECT_SIGN_REFUSED);
    }
}

static void any_bytes_have_a_sign(void **state)
{
    unsigned random = 20261126;
    (void)state;
    for (int round = 0; round < 20000; round++) {
        uint8_t *p = malloc(sizeof heard); /* of its own size, so that a byte too far is seen */
        size_t most = round % 2 ? 20 : sizeof heard;
        n = 0;
        if (round % 3 == 0)
            answer(round % 2 ? UNIT : OTHER_UNIT, (unsigned)round % 4);
        for (size_t left = (random >> 8) % (most - n); left > 0; left--) {
            random = random * 1103515245U + 12345U;
            heard[n++] = random >> 30 ? (uint8_t)(random >> 16) : (uint8_t)(random >> 16) % 8;
        }
        assert_non_null(p);
        memcpy(p, heard, n);
        p = realloc(p, n > 0 ? n : 1);
        assert_non_null(p);
        const struct collect_heard h = {
            .p = p, .n = n, .sent = sent, .nsent = sizeof sent, .room = sizeof heard};
        struct collect_answer a;
        enum collect_fault f = collect_answer_find(&h, UNIT, &request, &a, &over);
        struct collect_sign s = collect_answer_sign(&h, UNIT, &request, f, &a);
        assert_in_range(s.is, 0, COLLECT_SIGNS - 1);
        assert_true(s.bytes <= n);
        if (f == COLLECT_GOOD)
            assert_int_equal(s.is, COLLECT_SIGN_GOOD);
        free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_right_is_good, start),
        cmocka_unit_test_setup(an_echo_is_no_byte_of_the_answer, start),
        cmocka_unit_test_setup(silence_is_silence_even_with_a_stray_byte, start),
        cmocka_unit_test_setup(a_right_answer_after_the_time_out_is_late, start),
        cmocka_unit_test_setup(a_wrong_sum_a_short_end_and_a_long_one_are_told_apart, start),
        cmocka_unit_test_setup(a_damaged_refusal_is_damaged, start),
        cmocka_unit_test_setup(a_damaged_head_is_garbage, start),
        cmocka_unit_test_setup(zeros_are_seen_as_such, start),
        cmocka_unit_test_setup(noise_around_an_answer_is_beside_it, start),
        cmocka_unit_test_setup(a_second_whole_answer_is_a_second_device_s, start),
        cmocka_unit_test_setup(an_answer_of_another_length_is_to_an_earlier_request, start),
        cmocka_unit_test_setup(another_unit_s_answer_says_whose_it_is, start),
        cmocka_unit_test_setup(a_converter_without_an_answer_is_silence, start),
        cmocka_unit_test_setup(any_bytes_have_a_sign, start),
    };
    return cmocka_run_group_tests_name("sign", tests, NULL, NULL);
}
