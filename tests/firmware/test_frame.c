/* Where frames begin and end: silences to the microsecond, and by content where there are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "firmware/slave/frame.h"

#define ME 17U

static const uint8_t ask[] = {0x11, 0x03, 0x00, 0x00, 0x00, 0x03, 0x07, 0x5B};

static struct frame f;
static uint32_t t; /* when the last byte was complete */

static void open_at(uint32_t baud, unsigned bits, bool by_content)
{
    struct frame_line as = {.baud = baud,
                            .bits = (uint8_t)bits,
                            .t15_us = 750,
                            .t35_us = by_content ? 50000 : 1750,
                            .by_content = by_content};
    frame_open(&f, &as, ME);
    t = 0xFFFFF000U; /* the clock comes around in the first frames */
}

/* A byte that begins `gap` after the one before ended. */
static bool byte_after(uint32_t gap, uint8_t byte)
{
    t += gap + f.char_us;
    return frame_put(&f, byte, t, false);
}

static void say(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)byte_after(0, p[i]);
}

static bool takes(const uint8_t *p, size_t n)
{
    uint8_t *got;
    size_t size = frame_take(&f, &got);
    return size == n && (n == 0 || memcmp(got, p, n) == 0);
}

/* Characters of 10 or 11 bits, silences rounded up to the next microsecond: by hand. */
static const struct speed {
    uint32_t baud;
    unsigned bits;
    uint32_t char_us, t15_us, t35_us;
} speeds[] = {
    {1200, 11, 9166, 13750, 32084}, {2400, 10, 4166, 6250, 14584}, {4800, 11, 2291, 3438, 8021},
    {9600, 10, 1041, 1563, 3646},   {9600, 11, 1145, 1719, 4011},  {19200, 10, 520, 782, 1823},
    {19200, 11, 572, 860, 2006},    {38400, 11, 286, 750, 1750},   {57600, 10, 173, 750, 1750},
    {115200, 10, 86, 750, 1750},
};
#define SPEEDS (sizeof speeds / sizeof *speeds)

static void silences_are_as_the_standard_has_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < SPEEDS; i++) {
        open_at(speeds[i].baud, speeds[i].bits, false);
        assert_int_equal(f.char_us, speeds[i].char_us);
        assert_int_equal(f.t15_us, speeds[i].t15_us);
        assert_int_equal(f.t35_us, speeds[i].t35_us);
    }
}

static void frame_ends_with_three_and_a_half_characters(void **state)
{
    (void)state;
    for (size_t i = 0; i < SPEEDS; i++) {
        open_at(speeds[i].baud, speeds[i].bits, false);
        assert_false(frame_ended(&f, t + 10000000));
        for (unsigned k = 0; k < 3; k++) {
            say(ask, sizeof ask);
            assert_true(frame_hearing(&f));
            assert_false(frame_ended(&f, t));
            assert_false(frame_ended(&f, t - 5)); /* the clock was read before the byte was */
            assert_false(frame_ended(&f, t + speeds[i].t35_us - 1));
            assert_true(frame_ended(&f, t + speeds[i].t35_us));
            assert_true(takes(ask, sizeof ask));
            assert_false(frame_hearing(&f));
            t += speeds[i].t35_us;
        }
        assert_int_equal(f.crc_errors + f.flaws, 0);
    }
}

static void gap_of_one_and_a_half_characters_spoils_a_frame(void **state)
{
    (void)state;
    for (size_t i = 0; i < SPEEDS; i++) {
        for (unsigned at = 1; at < sizeof ask; at++) {
            open_at(speeds[i].baud, speeds[i].bits, false);
            for (unsigned k = 0; k < sizeof ask; k++)
                (void)byte_after(k == at ? speeds[i].t15_us : 0, ask[k]);
            assert_true(takes(ask, sizeof ask));
            t += 100000;
            uint32_t flaws = f.flaws;
            for (unsigned k = 0; k < sizeof ask; k++)
                (void)byte_after(k == at ? speeds[i].t15_us + 1 : 0, ask[k]);
            assert_true(takes(NULL, 0));
            assert_int_equal(f.flaws, flaws + 1);
            t += 100000;
            say(ask, sizeof ask); /* and the next is none the worse */
            assert_true(takes(ask, sizeof ask));
        }
    }
}

static void flaw_spoils_its_frame_alone(void **state)
{
    (void)state;
    for (unsigned at = 0; at < sizeof ask; at++) {
        open_at(9600, 10, false);
        for (unsigned k = 0; k < sizeof ask; k++) {
            t += f.char_us;
            (void)frame_put(&f, ask[k], t, k == at);
        }
        assert_true(frame_ended(&f, t + f.t35_us));
        assert_true(takes(NULL, 0));
        assert_false(frame_ended(&f, t + 2 * f.t35_us));
        t += f.t35_us;
        say(ask, sizeof ask);
        assert_true(takes(ask, sizeof ask));
    }
}

static void wrong_crc_is_counted_and_dropped(void **state)
{
    (void)state;
    open_at(9600, 10, false);
    f.crc_errors = 0;
    for (unsigned bit = 0; bit < 8 * sizeof ask; bit++) {
        uint8_t bad[sizeof ask];
        memcpy(bad, ask, sizeof ask);
        bad[bit / 8] ^= (uint8_t)(1U << bit % 8);
        say(bad, sizeof bad);
        assert_true(takes(NULL, 0));
        assert_int_equal(f.crc_errors, bit + 1);
        t += f.t35_us;
    }
    say(ask, 3); /* what cannot be a frame is noise */
    assert_true(takes(NULL, 0));
    assert_int_equal(f.crc_errors, 8 * sizeof ask);
}

static void longest_frame_fits_and_a_longer_does_not(void **state)
{
    (void)state;
    uint8_t long_one[SLAVE_FRAME_MAX + 60] = {ME, 16};
    open_at(115200, 10, false);
    uint16_t crc = slave_crc(long_one, SLAVE_FRAME_MAX - 2);
    long_one[SLAVE_FRAME_MAX - 2] = (uint8_t)crc;
    long_one[SLAVE_FRAME_MAX - 1] = (uint8_t)(crc >> 8);
    say(long_one, SLAVE_FRAME_MAX);
    assert_true(takes(long_one, SLAVE_FRAME_MAX));
    t += f.t35_us;
    say(long_one, SLAVE_FRAME_MAX + 1);
    assert_true(takes(NULL, 0));
    t += f.t35_us;
    say(long_one, sizeof long_one);
    assert_true(takes(NULL, 0));
    t += f.t35_us;
    say(ask, sizeof ask);
    assert_true(takes(ask, sizeof ask));
}

static void noise_before_and_behind_costs_nothing_when_it_is_apart(void **state)
{
    (void)state;
    static const uint8_t noise[] = {0x00, 0xFF, 0x11};
    open_at(9600, 10, false);
    say(noise, sizeof noise);
    assert_true(frame_ended(&f, t + f.t35_us));
    assert_true(takes(NULL, 0));
    t += f.t35_us;
    say(ask, sizeof ask);
    assert_true(takes(ask, sizeof ask));
    t += f.t35_us;
    say(noise, sizeof noise);
    assert_true(takes(NULL, 0));
    t += f.t35_us;
    say(noise, 1); /* without a silence it is part of the frame */
    say(ask, sizeof ask);
    assert_true(takes(NULL, 0));
}

/* ---- by content -------------------------------------------------------------------------------
 */

static void request_is_found_behind_whatever_was_heard(void **state)
{
    (void)state;
    static const uint8_t others[] = {0x12, 0x03, 0x00, 0x00, 0x00, 0x03, 0x07, 0x68, 0x12,
                                     0x03, 0x06, 0x11, 0x03, 0x00, 0x00, 0x00, 0x03};
    open_at(9600, 10, true);
    for (unsigned repeat = 0; repeat < 40; repeat++) { /* more than the window holds */
        for (size_t i = 0; i < sizeof others; i++)
            assert_false(byte_after(0, others[i]));
    }
    for (size_t i = 0; i < sizeof ask; i++) /* long gaps, but no end */
        assert_int_equal(byte_after(40000, ask[i]), i == sizeof ask - 1);
    assert_true(takes(ask, sizeof ask));
    assert_false(frame_hearing(&f));
}

static void long_silence_within_a_request_does_not_part_it(void **state)
{
    (void)state;
    open_at(9600, 10, true);
    say(ask, 5);
    t += 200000;
    assert_true(frame_ended(&f, t));
    assert_true(takes(NULL, 0));
    for (size_t i = 5; i < sizeof ask; i++)
        assert_int_equal(byte_after(0, ask[i]), i == sizeof ask - 1);
    assert_true(takes(ask, sizeof ask));
}

static void every_function_is_known_by_its_length(void **state)
{
    (void)state;
    static const uint8_t heads[][9] = {
        {ME, 3, 0, 0, 0, 1},
        {ME, 4, 0, 0, 0, 1},
        {ME, 6, 0, 0, 0, 1},
        {ME, 0x2B, 14, 1, 0},
        {ME, 16, 0, 117, 0, 1, 2, 0, 9},
        {0, 16, 0, 117, 0, 1, 2, 0, 9},
    };
    static const size_t lengths[] = {6, 6, 6, 5, 9, 9};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint8_t q[16];
        size_t n = lengths[i];
        uint16_t crc = slave_crc(heads[i], n);
        memcpy(q, heads[i], n);
        q[n] = (uint8_t)crc;
        q[n + 1] = (uint8_t)(crc >> 8);
        open_at(9600, 10, true);
        for (size_t k = 0; k < n + 2; k++)
            assert_int_equal(byte_after(0, q[k]), k == n + 1);
        assert_true(takes(q, n + 2));
    }
}

/* A function that is not known has no length: the silence behind it ends it. */
static void unknown_function_ends_with_the_silence(void **state)
{
    (void)state;
    static const uint8_t q[] = {0x11, 0x05, 0x00, 0x75, 0xFF, 0x00, 0x9F, 0x70};
    open_at(9600, 10, true);
    for (size_t i = 0; i < sizeof q; i++)
        assert_false(byte_after(0, q[i]));
    assert_false(frame_ended(&f, t + 49999));
    assert_true(frame_ended(&f, t + 50000));
    assert_true(takes(q, sizeof q));
    uint32_t errors = f.crc_errors;
    say(ask, 6); /* a request to this node that did not come to its end */
    assert_true(takes(NULL, 0));
    assert_int_equal(f.crc_errors, errors + 1);
}

/* Two nodes on a line, requests to both in any order with the other's answers, noise and gaps. */
static void three_thousand_requests_among_the_others(void **state)
{
    (void)state;
    srand(20260101);
    open_at(9600, 10, true);
    unsigned found = 0;
    for (unsigned i = 0; i < 3000; i++) {
        uint8_t q[8] = {(uint8_t)((int)ME + rand() % 2), 3, 0, (uint8_t)(rand() % 200), 0, 5};
        uint8_t a[15] = {q[0], 3, 10};
        uint16_t crc = slave_crc(q, 6);
        q[6] = (uint8_t)crc;
        q[7] = (uint8_t)(crc >> 8);
        if (rand() % 10 == 0)
            (void)byte_after(0, (uint8_t)rand());
        for (size_t k = 0; k < sizeof q; k++) {
            bool whole = byte_after(rand() % 20 == 0 ? 30000 : 0, q[k]);
            assert_int_equal(whole, q[0] == ME && k == sizeof q - 1);
            if (whole) {
                assert_true(takes(q, sizeof q));
                found++;
            }
        }
        if (q[0] == ME)
            continue;
        for (size_t k = 3; k < 13; k++)
            a[k] = (uint8_t)(rand() % 20);
        crc = slave_crc(a, 13);
        a[13] = (uint8_t)crc;
        a[14] = (uint8_t)(crc >> 8);
        for (size_t k = 0; k < sizeof a; k++)
            assert_false(byte_after(0, a[k]));
    }
    assert_in_range(found, 1300, 1700);
}

static void flaw_by_content_drops_what_was_heard(void **state)
{
    (void)state;
    open_at(9600, 10, true);
    uint32_t flaws = f.flaws;
    say(ask, 4);
    assert_false(frame_put(&f, ask[4], t, true));
    for (size_t i = 5; i < sizeof ask; i++)
        assert_false(byte_after(0, ask[i]));
    assert_int_equal(f.flaws, flaws + 1);
    for (size_t i = 0; i < sizeof ask; i++)
        assert_int_equal(byte_after(0, ask[i]), i == sizeof ask - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silences_are_as_the_standard_has_them),
        cmocka_unit_test(frame_ends_with_three_and_a_half_characters),
        cmocka_unit_test(gap_of_one_and_a_half_characters_spoils_a_frame),
        cmocka_unit_test(flaw_spoils_its_frame_alone),
        cmocka_unit_test(wrong_crc_is_counted_and_dropped),
        cmocka_unit_test(longest_frame_fits_and_a_longer_does_not),
        cmocka_unit_test(noise_before_and_behind_costs_nothing_when_it_is_apart),
        cmocka_unit_test(request_is_found_behind_whatever_was_heard),
        cmocka_unit_test(long_silence_within_a_request_does_not_part_it),
        cmocka_unit_test(every_function_is_known_by_its_length),
        cmocka_unit_test(unknown_function_ends_with_the_silence),
        cmocka_unit_test(three_thousand_requests_among_the_others),
        cmocka_unit_test(flaw_by_content_drops_what_was_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
