/* The read plan: how points become requests; ticks: when a device is due; answers: which frame
 * counts. All pure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "gateway/collect/collect_int.h"

#define POINTS_MAX 300
struct bed {
    struct collect_profile p;
    struct collect_point points[POINTS_MAX];
    bool wanted[POINTS_MAX];
    struct collect_plan plan;
};

static struct bed bed(void)
{
    return (struct bed){.p = {.joined = true}};
}

static void add(struct bed *b, int function, int address, int type)
{
    b->points[b->p.n] =
        (struct collect_point){.function = function, .address = address, .type = type, .count = 8};
    b->wanted[b->p.n++] = true;
}

static void plan(struct bed *b)
{
    b->p.points = b->points;
    assert_int_equal(collect_plan_make(&b->plan, &b->p, b->wanted, NULL), ST_OK);
}

static void request_is(const struct bed *b, size_t i, int function, int address, int count, int n)
{
    assert_true(i < b->plan.nrequests);
    const struct collect_request *r = &b->plan.requests[i];
    assert_int_equal(r->function, function);
    assert_int_equal(r->address, address);
    assert_int_equal(r->count, count);
    assert_int_equal(r->n, n);
}

static void a_hundred_registers_in_a_row_are_one_request(void **state)
{
    struct bed b = bed();
    (void)state;
    for (int i = 99; i >= 0; i--) /* whatever the file's order */
        add(&b, 3, 1000 + i, COLLECT_TYPE_u16);
    plan(&b);
    assert_int_equal(b.plan.nrequests, 1);
    request_is(&b, 0, 3, 1000, 100, 100);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(b.plan.items[i].at, i);
        assert_int_equal(b.plan.items[i].point, 99 - i);
    }
    collect_plan_done(&b.plan);
}

static void what_exceeds_the_largest_request_is_split(void **state)
{
    struct bed b = bed();
    (void)state;
    for (int i = 0; i < 130; i++)
        add(&b, 4, 2 * i, COLLECT_TYPE_f32);
    plan(&b);
    assert_int_equal(b.plan.nrequests, 3);
    request_is(&b, 0, 4, 0, 124, 62); /* half a value is never asked for */
    request_is(&b, 1, 4, 124, 124, 62);
    request_is(&b, 2, 4, 248, 12, 6);
    collect_plan_done(&b.plan);
    b.p.max_registers = 60;
    plan(&b);
    assert_int_equal(b.plan.nrequests, 5);
    for (size_t i = 0; i < 5; i++)
        assert_true(b.plan.requests[i].count <= 60);
    collect_plan_done(&b.plan);
}

static void small_holes_are_read_and_large_ones_are_not(void **state)
{
    struct bed b = bed();
    (void)state;
    add(&b, 3, 0, COLLECT_TYPE_u16);
    add(&b, 3, 17, COLLECT_TYPE_u16); /* 16 in between */
    add(&b, 3, 35, COLLECT_TYPE_u32); /* 17 in between */
    plan(&b);
    assert_int_equal(b.plan.nrequests, 2);
    request_is(&b, 0, 3, 0, 18, 2);
    request_is(&b, 1, 3, 35, 2, 1);
    assert_int_equal(b.plan.items[1].at, 17);
    assert_int_equal(b.plan.items[2].at, 0);
    collect_plan_done(&b.plan);
}

static void functions_are_never_mixed_and_bits_count_as_bits(void **state)
{
    struct bed b = bed();
    (void)state;
    add(&b, 1, 0, COLLECT_TYPE_bit);
    add(&b, 1, 200, COLLECT_TYPE_bit);
    add(&b, 1, 1999, COLLECT_TYPE_bit);
    add(&b, 2, 0, COLLECT_TYPE_bit);
    add(&b, 3, 0, COLLECT_TYPE_u16);
    add(&b, 4, 0, COLLECT_TYPE_u16);
    plan(&b);
    assert_int_equal(b.plan.nrequests, 5);
    request_is(&b, 0, 1, 0, 201, 2);
    request_is(&b, 1, 1, 1999, 1, 1);
    request_is(&b, 2, 2, 0, 1, 1);
    request_is(&b, 3, 3, 0, 1, 1);
    request_is(&b, 4, 4, 0, 1, 1);
    assert_int_equal(b.plan.probe.function, 1);
    assert_int_equal(b.plan.probe.count, 1);
    collect_plan_done(&b.plan);
}

static void even_addresses_only_asks_even(void **state)
{
    struct bed b = bed();
    (void)state;
    b.p.even_addresses = true;
    add(&b, 4, 1, COLLECT_TYPE_u16);
    add(&b, 4, 4, COLLECT_TYPE_u16);
    add(&b, 4, 101, COLLECT_TYPE_f32);
    plan(&b);
    assert_int_equal(b.plan.nrequests, 2);
    request_is(&b, 0, 4, 0, 6, 2);
    request_is(&b, 1, 4, 100, 4, 1);
    assert_int_equal(b.plan.items[0].at, 1);
    assert_int_equal(b.plan.items[1].at, 4);
    assert_int_equal(b.plan.items[2].at, 1);
    assert_int_equal(b.plan.probe.address, 0);
    assert_int_equal(b.plan.probe.count, 2);
    collect_plan_done(&b.plan);
}

static void a_device_that_refuses_joined_reads_is_asked_point_by_point(void **state)
{
    struct bed b = bed();
    (void)state;
    b.p.joined = false;
    for (int i = 0; i < 4; i++)
        add(&b, 3, 2 * i, COLLECT_TYPE_s32);
    plan(&b);
    assert_int_equal(b.plan.nrequests, 4);
    for (size_t i = 0; i < 4; i++)
        request_is(&b, i, 3, 2 * (int)i, 2, 1);
    collect_plan_done(&b.plan);
}

static void unwanted_points_and_strings_are_not_polled(void **state)
{
    struct bed b = bed();
    (void)state;
    add(&b, 3, 0, COLLECT_TYPE_u16);
    add(&b, 3, 1, COLLECT_TYPE_string);
    add(&b, 3, 9, COLLECT_TYPE_u16);
    b.wanted[2] = false;
    plan(&b);
    assert_int_equal(b.plan.nrequests, 1);
    request_is(&b, 0, 3, 0, 1, 1);
    collect_plan_done(&b.plan);
}

static void points_that_overlap_share_their_registers(void **state)
{
    struct bed b = bed();
    (void)state;
    add(&b, 3, 10, COLLECT_TYPE_u64);
    add(&b, 3, 11, COLLECT_TYPE_u16);
    add(&b, 3, 65535, COLLECT_TYPE_u16);
    plan(&b);
    assert_int_equal(b.plan.nrequests, 2);
    request_is(&b, 0, 3, 10, 4, 2);
    request_is(&b, 1, 3, 65535, 1, 1);
    collect_plan_done(&b.plan);
}

/* ---- ticks ---------------------------------------------------------------------------------- */

static const struct collect_device_cfg every_minute = {.every_ms = 60000};

static void ticks_are_multiples_of_the_period(void **state)
{
    struct collect_device d = {.cfg = &every_minute};
    (void)state;
    collect_tick_start(&d, 60001, (struct mono){5});
    assert_int_equal(d.due_ms, 120000);
    collect_tick_next(&d, 120010, (struct mono){60014});
    assert_int_equal(d.due_ms, 180000);
    collect_tick_start(&d, 120000, (struct mono){0});
    assert_int_equal(d.due_ms, 120000);
    assert_false(collect_tick_align(&d, 150000, (struct mono){30000}));
    assert_int_equal(d.due_ms, 120000); /* late, but within its period */
}

static void a_step_forward_is_neither_burst_nor_overrun(void **state)
{
    struct collect_device d = {.cfg = &every_minute};
    (void)state;
    collect_tick_start(&d, 60000, (struct mono){0});
    assert_false(collect_tick_align(&d, 86400000 + 61234, (struct mono){1234}));
    assert_int_equal(d.due_ms, 86400000 + 60000); /* the newest tick, once */
}

static void a_step_back_stalls_at_most_one_period(void **state)
{
    struct collect_device d = {.cfg = &every_minute};
    (void)state;
    collect_tick_start(&d, 86400000, (struct mono){0});
    collect_tick_next(&d, 86400000, (struct mono){0});
    assert_false(collect_tick_align(&d, 3600001, (struct mono){1000}));
    assert_int_equal(d.due_ms, 3660000);
}

static void ticks_that_time_really_passed_by_are_an_overrun(void **state)
{
    struct collect_device d = {.cfg = &every_minute};
    (void)state;
    collect_tick_start(&d, 60000, (struct mono){1000});
    assert_true(collect_tick_align(&d, 300500, (struct mono){1000 + 240500}));
    assert_int_equal(d.due_ms, 300000);
}

/* ---- answers -------------------------------------------------------------------------------- */

static const struct collect_request two = {.function = 3, .address = 7, .count = 2};

static enum collect_fault tcp(const char *adu, size_t n)
{
    struct collect_answer a;
    return collect_answer_check((const uint8_t *)adu, n, 0x0102, 9, &two, &a);
}

static void only_the_exact_answer_counts(void **state)
{
    static const char good[] = "\x01\x02\0\0\0\x07\x09\x03\x04\x11\x22\x33\x44";
    const size_t n = sizeof good - 1;
    char bad[sizeof good];
    (void)state;
    assert_int_equal(tcp(good, n), COLLECT_GOOD);
    for (size_t i = 0; i < n - 4; i++) { /* any bit flipped before the data */
        for (int bit = 0; bit < 8; bit++) {
            memcpy(bad, good, sizeof good);
            bad[i] = (char)(bad[i] ^ 1 << bit);
            assert_int_not_equal(tcp(bad, n), COLLECT_GOOD);
            assert_int_not_equal(tcp(bad, n), COLLECT_EXCEPTION);
        }
    }
    for (size_t i = 0; i < n; i++)
        assert_int_equal(tcp(good, i), COLLECT_GARBAGE);
    memcpy(bad, good, sizeof good);
    bad[6] = 8;
    assert_int_equal(tcp(bad, n), COLLECT_FOREIGN);
    assert_int_equal(tcp("\x01\x02\0\0\0\x03\x09\x83\x02", 9), COLLECT_EXCEPTION);
    assert_int_equal(tcp("\x01\x02\0\0\0\x03\x09\x84\x02", 9), COLLECT_GARBAGE);
}

static void a_serial_answer_is_checked_alike(void **state)
{
    static const uint8_t adu[] = {9, 3, 4, 0x11, 0x22, 0x33, 0x44, 0, 0}; /* CRC: libmodbus's job */
    struct collect_answer a;
    (void)state;
    assert_int_equal(collect_answer_check(adu, sizeof adu, -1, 9, &two, &a), COLLECT_GOOD);
    assert_ptr_equal(a.data, adu + 3);
    assert_int_equal(collect_answer_check(adu, sizeof adu, -1, 8, &two, &a), COLLECT_FOREIGN);
    assert_int_equal(collect_answer_check(adu, sizeof adu - 1, -1, 9, &two, &a), COLLECT_GARBAGE);
    assert_null(a.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_registers_in_a_row_are_one_request),
        cmocka_unit_test(what_exceeds_the_largest_request_is_split),
        cmocka_unit_test(small_holes_are_read_and_large_ones_are_not),
        cmocka_unit_test(functions_are_never_mixed_and_bits_count_as_bits),
        cmocka_unit_test(even_addresses_only_asks_even),
        cmocka_unit_test(a_device_that_refuses_joined_reads_is_asked_point_by_point),
        cmocka_unit_test(unwanted_points_and_strings_are_not_polled),
        cmocka_unit_test(points_that_overlap_share_their_registers),
        cmocka_unit_test(ticks_are_multiples_of_the_period),
        cmocka_unit_test(a_step_forward_is_neither_burst_nor_overrun),
        cmocka_unit_test(a_step_back_stalls_at_most_one_period),
        cmocka_unit_test(ticks_that_time_really_passed_by_are_an_overrun),
        cmocka_unit_test(only_the_exact_answer_counts),
        cmocka_unit_test(a_serial_answer_is_checked_alike),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
