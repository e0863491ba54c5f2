/* An answer amid what else is heard: found where it stands, and never where it only seems to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "gateway/collect/collect_int.h"

#define UNIT 9

static const struct collect_request two = {.function = 3, .address = 0x0102, .count = 2};
static uint8_t sent[8], heard[300];
static size_t n;
static struct collect_answer a;
static bool over;

/* Frames body with its CRC behind what is heard. */
static void say(const char *body, size_t size)
{
    memcpy(heard + n, body, size);
    n += collect_answer_seal(heard + n, size);
}

static void noise(const char *bytes, size_t size)
{
    memcpy(heard + n, bytes, size);
    n += size;
}

static void begin(void)
{
    memcpy(sent, "\x09\x03\x01\x02\x00\x02", 6);
    assert_int_equal(collect_answer_seal(sent, 6), sizeof sent);
    n = 0;
}

static enum collect_fault find(void)
{
    const struct collect_heard h = {
        .p = heard, .sent = sent, .n = n, .nsent = sizeof sent, .room = sizeof heard};
    return collect_answer_find(&h, UNIT, &two, &a, &over);
}

#define GOOD "\x09\x03\x04\x11\x22\x33\x44"
static void is_good(bool echo, bool more)
{
    assert_int_equal(find(), COLLECT_GOOD);
    assert_true(over);
    assert_memory_equal(a.data, "\x11\x22\x33\x44", 4);
    assert_int_equal(a.echo, echo);
    assert_int_equal(a.more, more);
}

static void an_answer_grows_until_it_is_whole(void **state)
{
    (void)state;
    begin();
    assert_int_equal(find(), COLLECT_SILENT);
    say(GOOD, 7);
    size_t whole = n;
    for (n = 3; n < whole; n++) {
        assert_int_equal(find(), COLLECT_GARBAGE);
        assert_false(over);
    }
    is_good(false, false);
}

static void an_echo_is_no_answer_and_is_left_out(void **state)
{
    (void)state;
    begin();
    noise((const char *)sent, 5);
    assert_int_equal(find(), COLLECT_SILENT);
    noise((const char *)sent + 5, 3);
    assert_int_equal(find(), COLLECT_SILENT); /* nobody answered yet */
    assert_false(over);
    assert_true(a.echo);
    say(GOOD, 7);
    is_good(true, false);
}

/* A read of 21 bits whose own request looks like its answer. */
static void an_echo_that_looks_like_an_answer_is_left_out(void **state)
{
    static const struct collect_request bits = {.function = 1, .address = 0x0355, .count = 21};
    (void)state;
    begin();
    memcpy(sent, "\x09\x01\x03\x55\x00\x15", 6);
    (void)collect_answer_seal(sent, 6);
    memcpy(heard, sent, n = sizeof sent);
    const struct collect_heard h = {
        .p = heard, .sent = sent, .n = n, .nsent = sizeof sent, .room = sizeof heard};
    assert_int_equal(collect_answer_find(&h, UNIT, &bits, &a, &over), COLLECT_SILENT);
}

static void noise_and_other_frames_may_stand_before_it(void **state)
{
    (void)state;
    begin();
    noise("\x00\xff\x09\x03", 4);
    say(GOOD, 7);
    is_good(false, false);
    begin();
    say("\x0a\x03\x04\xde\xad\xde\xad", 7); /* another unit */
    assert_int_equal(find(), COLLECT_FOREIGN);
    say("\x09\x03\x02\xde\xad", 5);     /* another length */
    say("\x00\x06\x00\x01\x00\x03", 6); /* a write to all */
    assert_false(over);
    say(GOOD, 7);
    noise("\x55", 1);
    is_good(false, true);
}

static void nothing_is_found_inside_another_frame(void **state)
{
    uint8_t body[12] = {UNIT + 1, 3, 9};
    (void)state;
    begin();
    memcpy(body + 3, GOOD, 7);
    (void)collect_answer_seal(body + 3, 7);
    say((const char *)body, sizeof body);
    assert_int_equal(find(), COLLECT_FOREIGN);
    assert_false(over);
}

static void each_byte_of_an_answer_counts(void **state)
{
    (void)state;
    begin();
    say(GOOD, 7);
    for (size_t i = 0; i < n; i++) {
        heard[i] ^= 1;
        enum collect_fault f = find();
        assert_true(f == COLLECT_GARBAGE || f == COLLECT_FOREIGN);
        heard[i] ^= 1;
    }
    is_good(false, false);
    begin();
    say("\x09\x83\x02", 3);
    assert_int_equal(find(), COLLECT_EXCEPTION);
    assert_int_equal(a.exception, 2);
}

static void a_full_buffer_ends_the_waiting(void **state)
{
    (void)state;
    begin();
    memset(heard, 3, n = sizeof heard);
    assert_int_equal(find(), COLLECT_GARBAGE);
    assert_true(over);
}

static void a_tcp_frame_is_read_to_its_own_end(void **state)
{
    static const uint8_t frame[] = "\x01\x02\0\0\0\7\x09\x03\x04\x11\x22\x33\x44";
    struct collect_heard h = {.tcp = true, .p = frame, .sent = frame, .nsent = 12, .room = 300};
    (void)state;
    for (h.n = 0; h.n < sizeof frame - 1; h.n++) {
        assert_int_equal(collect_answer_find(&h, UNIT, &two, &a, &over),
                         h.n == 0 ? COLLECT_SILENT : COLLECT_GARBAGE);
        assert_false(over);
    }
    assert_int_equal(collect_answer_find(&h, UNIT, &two, &a, &over), COLLECT_GOOD);
    assert_true(over);
    h.sent = (const uint8_t *)"\x01\x03"; /* another transaction */
    assert_int_equal(collect_answer_find(&h, UNIT, &two, &a, &over), COLLECT_GARBAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_grows_until_it_is_whole),
        cmocka_unit_test(an_echo_is_no_answer_and_is_left_out),
        cmocka_unit_test(an_echo_that_looks_like_an_answer_is_left_out),
        cmocka_unit_test(noise_and_other_frames_may_stand_before_it),
        cmocka_unit_test(nothing_is_found_inside_another_frame),
        cmocka_unit_test(each_byte_of_an_answer_counts),
        cmocka_unit_test(a_full_buffer_ends_the_waiting),
        cmocka_unit_test(a_tcp_frame_is_read_to_its_own_end),
    };
    return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
