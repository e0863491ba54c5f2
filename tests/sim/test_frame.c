/* Frames and the ways to spoil them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/sim/frame.h"

/* Eastron's own example: read the first voltage, 230.2 V. */
static const uint8_t rtu_request[] = {1, 4, 0, 0, 0, 2, 0x71, 0xcb};
static const uint8_t rtu_answer[] = {1, 4, 4, 0x43, 0x66, 0x33, 0x34, 0x1b, 0x38};
static const uint8_t tcp_request[] = {0x12, 0x34, 0, 0, 0, 6, 1, 4, 0, 0, 0, 2};
static const uint8_t pdu[] = {4, 4, 0x43, 0x66, 0x33, 0x34};

static uint8_t out[SIM_FRAME_MAX_BYTES];
static uint64_t seed = 7;

static size_t spoil(bool tcp, enum sim_fault f)
{
    struct sim_request r;
    size_t n = tcp ? sizeof(tcp_request) : sizeof(rtu_request);
    assert_int_equal(sim_frame_take(tcp, tcp ? tcp_request : rtu_request, n, &r), n);
    assert_non_null(r.pdu);
    return sim_frame_answer(&r, pdu, sizeof(pdu), f, &seed, out);
}

static void the_manual_s_frames_are_made(void **state)
{
    (void)state;
    assert_int_equal(spoil(false, SIM_FAULT_NONE), sizeof(rtu_answer));
    assert_memory_equal(out, rtu_answer, sizeof(rtu_answer));
    assert_int_equal(spoil(true, SIM_FAULT_NONE), 13);
    assert_memory_equal(out, "\x12\x34\0\0\0\7\1\4\4\x43\x66\x33\x34", 13);
}

static void a_frame_is_taken_only_when_whole(void **state)
{
    struct sim_request r;
    (void)state;
    for (size_t n = 0; n < sizeof(tcp_request); n++)
        assert_int_equal(sim_frame_take(true, tcp_request, n, &r), 0);
    for (size_t n = 0; n < sizeof(rtu_request); n++)
        assert_int_equal(sim_frame_take(false, rtu_request, n, &r), 0);
}

static void noise_before_a_serial_request_is_skipped(void **state)
{
    uint8_t line[3 + sizeof(rtu_request)] = {0x55, 1, 3};
    struct sim_request r;
    size_t at = 0, took;
    (void)state;
    memcpy(line + 3, rtu_request, sizeof(rtu_request));
    do {
        took = sim_frame_take(false, line + at, sizeof(line) - at, &r);
        at += took;
    } while (took > 0 && r.pdu == NULL);
    assert_non_null(r.pdu);
    assert_int_equal(at, sizeof(line));
}

static void each_fault_spoils_what_it_says(void **state)
{
    (void)state;
    assert_int_equal(spoil(true, SIM_FAULT_SILENT), 0);
    assert_int_equal(spoil(true, SIM_FAULT_CLOSE), 0);
    assert_int_equal(spoil(true, SIM_FAULT_HALF), 6);
    assert_int_equal(spoil(true, SIM_FAULT_DUPLICATE), 26);
    assert_memory_equal(out, out + 13, 13);
    spoil(true, SIM_FAULT_WRONG_TID);
    assert_int_equal(out[1], 0x35);
    spoil(true, SIM_FAULT_WRONG_UNIT);
    assert_int_equal(out[6], 2);
    spoil(true, SIM_FAULT_OTHER_FUNCTION);
    assert_int_equal(out[7], 3);
    assert_int_equal(spoil(true, SIM_FAULT_EXCEPTION), 9);
    assert_memory_equal(out + 7, "\x84\4", 2);
    assert_int_equal(spoil(true, SIM_FAULT_REFUSE_JOINED), 9);
    assert_memory_equal(out + 7, "\x84\2", 2);
    assert_int_equal(spoil(true, SIM_FAULT_SILENT_JOINED), 0);
    assert_int_equal(spoil(true, SIM_FAULT_WRONG_LENGTH), 11);
    assert_int_equal(out[8], 2);
    assert_int_equal(spoil(true, SIM_FAULT_GARBAGE), 13);
    assert_memory_not_equal(out, "\x12\x34\0\0\0\7\1\4\4\x43\x66\x33\x34", 13);
}

static void serial_faults_but_the_sum_keep_a_right_sum(void **state)
{
    static const enum sim_fault faults[] = {SIM_FAULT_WRONG_UNIT, SIM_FAULT_WRONG_LENGTH,
                                            SIM_FAULT_OTHER_FUNCTION, SIM_FAULT_EXCEPTION};
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        size_t n = spoil(false, faults[i]);
        assert_int_equal(sim_crc(out, n), 0); /* over frame and sum */
    }
    assert_int_not_equal(sim_crc(out, spoil(false, SIM_FAULT_CRC)), 0);
}

static void what_is_not_served_carries_poison(void **state)
{
    static const uint8_t right[] = {0x43, 0x66, 0x33, 0x34}, poison[] = {0xde, 0xad, 0xde, 0xad};
    (void)state;
    spoil(true, SIM_FAULT_LATE);
    assert_memory_equal(out + 9, poison, 4);
    spoil(true, SIM_FAULT_SLOW);
    assert_memory_equal(out + 9, right, 4);
    spoil(true, SIM_FAULT_SWAP);
    assert_memory_equal(out + 9, "\x33\x34\x43\x66", 4);
    assert_int_equal(spoil(true, SIM_FAULT_LONG), 15);
    assert_int_equal(out[8], 6);
    assert_int_equal(spoil(true, SIM_FAULT_RESET), 6);
    assert_int_equal(spoil(false, SIM_FAULT_JOINED), 18); /* another unit's, and the right one */
    assert_int_equal(out[0], 2);
    assert_memory_equal(out + 3, poison, 4);
    assert_memory_equal(out + 9 + 3, right, 4);
    assert_int_equal(spoil(false, SIM_FAULT_ECHO), 8 + 9);
    assert_int_equal(sim_crc(out, 8), 0);
    assert_memory_equal(out + 8 + 3, right, 4);
    assert_int_equal(spoil(false, SIM_FAULT_BROADCAST), 8 + 9);
    assert_int_equal(out[0], 0);
    assert_int_equal(spoil(false, SIM_FAULT_NOISE), 7 + 9 + 5);
    assert_memory_equal(out + 7 + 3, right, 4);
}

static void faults_of_the_wire_spoil_frames_as_wires_do(void **state)
{
    uint8_t right[9];
    unsigned worn = 0;
    (void)state;
    memcpy(right, out, spoil(false, SIM_FAULT_NONE));
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(spoil(false, SIM_FAULT_WORN), 9);
        worn += memcmp(out, right, 9) != 0;
    }
    assert_in_range(worn, 45, 150); /* 9 bytes of 200: 90 */
    for (int i = 0; i < 20; i++) {
        size_t n = spoil(false, SIM_FAULT_CLASH);
        assert_in_range(n, 10, 12); /* the one that is later ends later */
        assert_int_equal(out[0], 1);
        assert_int_not_equal(sim_crc(out, 9), 0);
    }
    size_t n = spoil(false, SIM_FAULT_SPEED);
    assert_in_range(n, 9, 18);
    assert_memory_not_equal(out, right, 9);
}

static void a_fault_that_a_bus_cannot_have_is_known(void **state)
{
    (void)state;
    assert_false(sim_fault_fits(SIM_FAULT_CRC, true));
    assert_false(sim_fault_fits(SIM_FAULT_WRONG_TID, false));
    assert_false(sim_fault_fits(SIM_FAULT_CLOSE, false));
    assert_false(sim_fault_fits(SIM_FAULT_ECHO, true));
    assert_false(sim_fault_fits(SIM_FAULT_RESET, false));
    assert_true(sim_fault_fits(SIM_FAULT_LATE, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manual_s_frames_are_made),
        cmocka_unit_test(a_frame_is_taken_only_when_whole),
        cmocka_unit_test(noise_before_a_serial_request_is_skipped),
        cmocka_unit_test(each_fault_spoils_what_it_says),
        cmocka_unit_test(serial_faults_but_the_sum_keep_a_right_sum),
        cmocka_unit_test(what_is_not_served_carries_poison),
        cmocka_unit_test(faults_of_the_wire_spoil_frames_as_wires_do),
        cmocka_unit_test(a_fault_that_a_bus_cannot_have_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
