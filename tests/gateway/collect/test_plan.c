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
    struct collect_line line; /* 9600 8N1, a turn-around of 10 ms */
    struct collect_point points[POINTS_MAX];
    bool wanted[POINTS_MAX];
    struct collect_plan plan;
};

static struct bed bed(void)
{
    static const struct collect_bus_cfg bus = {
        .type = COLLECT_RTU, .baud = 9600, .parity = 'N', .data_bits = 8, .stop_bits = 1};
    struct bed b = {.p = {.joined = true, .turnaround_ms = 10, .most = {0, 2000, 2000, 125, 125}}};
    b.line = collect_line_make(&bus, &b.p, -1);
    return b;
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
    assert_int_equal(collect_plan_make(&b->plan, &b->p, b->wanted, &b->line, NULL), ST_OK);
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
        assert_int_equal(b.plan.values[b.plan.items[i].value].point, 99 - i);
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
    b.p.most[4] = 60;
    plan(&b);
    assert_int_equal(b.plan.nrequests, 5);
    for (size_t i = 0; i < 5; i++)
        assert_true(b.plan.requests[i].count <= 60);
    collect_plan_done(&b.plan);
}

/* Another request takes 13 bytes, two silences of 3.5 characters and 10 ms: 30.8 ms at 9600 baud; a
 * register of a hole 2.1 ms. */
static void a_hole_is_read_where_that_is_quicker_than_another_request(void **state)
{
    struct bed b = bed();
    (void)state;
    add(&b, 3, 0, COLLECT_TYPE_u16);
    add(&b, 3, 15, COLLECT_TYPE_u16); /* 14 in between: 29.2 ms */
    add(&b, 3, 31, COLLECT_TYPE_u32); /* 15 in between: 31.3 ms */
    plan(&b);
    assert_int_equal(b.plan.nrequests, 2);
    request_is(&b, 0, 3, 0, 16, 2);
    request_is(&b, 1, 3, 31, 2, 1);
    assert_int_equal(b.plan.items[1].at, 15);
    assert_int_equal(b.plan.items[2].at, 0);
    collect_plan_done(&b.plan);
    b.line.request_ns += 2 * b.line.byte_ns; /* a slower device */
    plan(&b);
    assert_int_equal(b.plan.nrequests, 1);
    collect_plan_done(&b.plan);
}

/* The joins that a look at the next point alone would not choose. */
static void the_whole_plan_is_the_cheapest_not_each_step(void **state)
{
    struct bed b = bed();
    (void)state;
    b.p.most[3] = 8;
    add(&b, 3, 0, COLLECT_TYPE_u16);
    add(&b, 3, 7, COLLECT_TYPE_u16); /* fits behind the first, but reads six for nothing */
    add(&b, 3, 8, COLLECT_TYPE_u16);
    plan(&b);
    assert_int_equal(b.plan.nrequests, 2);
    request_is(&b, 0, 3, 0, 1, 1);
    request_is(&b, 1, 3, 7, 2, 2);
    collect_plan_done(&b.plan);
}

static void forbidden_addresses_are_never_read(void **state)
{
    static struct collect_forbidden f[] = {{3, 2, 3}, {4, 0, 9}};
    struct bed b = bed();
    (void)state;
    b.p.forbidden = f;
    b.p.nforbidden = 2;
    add(&b, 3, 0, COLLECT_TYPE_u16);
    add(&b, 3, 1, COLLECT_TYPE_u16);
    add(&b, 3, 4, COLLECT_TYPE_u16);
    plan(&b);
    assert_int_equal(b.plan.nrequests, 2);
    request_is(&b, 0, 3, 0, 2, 2);
    request_is(&b, 1, 3, 4, 1, 1);
    collect_plan_done(&b.plan);
    f[0].from = 3;
    b.p.even_addresses = true; /* 1 alone would be 0 and 1 */
    plan(&b);
    request_is(&b, 0, 3, 0, 2, 2);
    request_is(&b, 1, 3, 4, 2, 1);
    collect_plan_done(&b.plan);
}

static void each_function_has_its_own_limit(void **state)
{
    struct bed b = bed();
    (void)state;
    b.p.most[4] = 2;
    for (int i = 0; i < 4; i++) {
        add(&b, 3, i, COLLECT_TYPE_u16);
        add(&b, 4, i, COLLECT_TYPE_u16);
    }
    plan(&b);
    assert_int_equal(b.plan.nrequests, 3);
    request_is(&b, 0, 3, 0, 4, 4);
    request_is(&b, 1, 4, 0, 2, 2);
    request_is(&b, 2, 4, 2, 2, 2);
    collect_plan_done(&b.plan);
}

/* A value that is longer than a request, in two pieces that come in any poll together. */
static void a_value_is_split_only_where_the_profile_allows(void **state)
{
    static const uint8_t bytes[] = {0x11, 0x12, 0x21, 0x22, 0x31, 0x32, 0x41, 0x42};
    struct bed b = bed();
    (void)state;
    b.p.most[3] = 3;
    b.p.split = true;
    add(&b, 3, 10, COLLECT_TYPE_u64);
    add(&b, 3, 14, COLLECT_TYPE_u16);
    plan(&b);
    assert_int_equal(b.plan.nrequests, 2);
    request_is(&b, 0, 3, 10, 3, 1);
    request_is(&b, 1, 3, 13, 2, 2);
    assert_int_equal(b.plan.nvalues, 2);
    const struct collect_item *item = b.plan.items;
    struct collect_planned *v = b.plan.values;
    assert_null(collect_plan_gather(&v[0], &item[0], bytes));
    const uint8_t *whole = collect_plan_gather(&v[0], &item[1], bytes + 6 + 2 * item[1].at);
    assert_non_null(whole);
    assert_memory_equal(whole, bytes, 8);
    assert_int_equal(item[2].at, 1);
    assert_ptr_equal(collect_plan_gather(&v[1], &item[2], bytes), v[1].raw); /* for why.c, too */
    assert_memory_equal(v[1].raw, bytes, 2 * v[1].width);
    collect_plan_done(&b.plan);
}

/* ---- the line ------------------------------------------------------------------------------- */

static void line_is(int baud, char parity, int stop_bits, int64_t byte_ns, int64_t gap_ns)
{
    const struct collect_bus_cfg bus = {.type = COLLECT_RTU,
                                        .baud = baud,
                                        .parity = parity,
                                        .data_bits = 8,
                                        .stop_bits = stop_bits};
    struct collect_profile p = {.turnaround_ms = 0};
    struct collect_line l = collect_line_make(&bus, &p, -1);
    assert_int_equal(l.byte_ns, byte_ns);
    assert_int_equal(l.gap_ns, gap_ns);
    assert_int_equal(l.request_ns, 13 * byte_ns + 2 * gap_ns);
    assert_int_equal(collect_line_ns(&l, 3, 10) - l.request_ns, 20 * byte_ns);
    assert_int_equal(collect_line_ns(&l, 1, 9) - l.request_ns, 2 * byte_ns);
    l = collect_line_make(&bus, &p, 7); /* the device's own turn-around */
    assert_int_equal(l.request_ns, 13 * byte_ns + 2 * gap_ns + 7000000);
    p.pause_ms = 50; /* longer than the silence, in its place */
    l = collect_line_make(&bus, &p, -1);
    assert_int_equal(l.request_ns, 13 * byte_ns + gap_ns + 50000000);
}

static void a_byte_takes_its_bits_and_a_silence_is_three_and_a_half(void **state)
{
    (void)state;
    line_is(9600, 'N', 1, 1041666, 3645833);
    line_is(9600, 'E', 1, 1145833, 4010416); /* the 11 bits of the standard */
    line_is(19200, 'N', 2, 572916, 2005208);
    line_is(38400, 'N', 1, 260416, 1750000); /* fixed above 19200 */
    line_is(1200, 'O', 2, 10000000, 35000000);
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

/* The item of a point in request i, or NULL. */
static const struct collect_item *item_in(const struct bed *b, size_t i, size_t point)
{
    const struct collect_request *r = &b->plan.requests[i];
    for (uint32_t k = r->first; k < r->first + r->n; k++)
        if (b->plan.values[b->plan.items[k].value].point == point)
            return &b->plan.items[k];
    return NULL;
}

/* Forty registers lie between them: two requests were quicker on this line. */
static void a_point_is_read_with_its_factor_where_one_request_can_hold_both(void **state)
{
    struct bed b = bed();
    (void)state;
    add(&b, 3, 10, COLLECT_TYPE_s16); /* the factor, of both others */
    b.points[0].hidden = true;
    add(&b, 3, 51, COLLECT_TYPE_u32);
    add(&b, 3, 130, COLLECT_TYPE_u16);
    add(&b, 3, 0, COLLECT_TYPE_u16);
    b.points[1].factor = b.points[2].factor = 1;
    b.points[3].absent = true;
    plan(&b);
    assert_int_equal(b.plan.nrequests, 1);
    request_is(&b, 0, 3, 10, 121, 3);
    assert_int_equal(item_in(&b, 0, 0)->at, 0);
    assert_int_equal(item_in(&b, 0, 1)->at, 41);
    assert_int_equal(b.plan.nvalues, 3); /* the factor is none of them, what is absent is */
    assert_int_equal(b.plan.nall, 4);
    assert_int_equal(b.plan.values[2].point, 3);
    assert_int_equal(b.plan.values[3].point, 0);
    collect_plan_done(&b.plan);
    b.p.most[3] = 43; /* room for the one, not for the other */
    plan(&b);
    size_t both = 0, alone = 0;
    for (size_t i = 0; i < b.plan.nrequests; i++) {
        assert_true(b.plan.requests[i].count <= 43);
        both += item_in(&b, i, 1) && item_in(&b, i, 0);
        alone += item_in(&b, i, 2) && !item_in(&b, i, 0);
    }
    assert_int_equal(both, 1);
    assert_int_equal(alone, 1);
    collect_plan_done(&b.plan);
    b.p.joined = false;
    plan(&b);
    assert_int_equal(b.plan.nrequests, 3);
    collect_plan_done(&b.plan);
}

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

static void an_answer_is_read_up_to_its_end_and_no_further(void **state)
{
    static const struct collect_request bits = {.function = 1, .count = 9};
    static const uint8_t refusal[] = {1, 2, 0, 0, 0, 3, 9, 0x83, 2};
    static const uint8_t longer[] = {1, 2, 0, 0, 0xff, 0xff, 9, 3, 4};
    (void)state;
    assert_int_equal(collect_answer_bytes(&two), 13);
    assert_int_equal(collect_answer_bytes(&bits), 11);
    for (size_t n = 0; n < sizeof refusal; n++)
        assert_int_equal(collect_answer_whole(refusal, n, 13), n < 7 ? 13 : 9);
    assert_int_equal(collect_answer_whole(longer, sizeof longer, 13), 13);
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
        cmocka_unit_test(a_hole_is_read_where_that_is_quicker_than_another_request),
        cmocka_unit_test(the_whole_plan_is_the_cheapest_not_each_step),
        cmocka_unit_test(forbidden_addresses_are_never_read),
        cmocka_unit_test(each_function_has_its_own_limit),
        cmocka_unit_test(a_value_is_split_only_where_the_profile_allows),
        cmocka_unit_test(a_byte_takes_its_bits_and_a_silence_is_three_and_a_half),
        cmocka_unit_test(functions_are_never_mixed_and_bits_count_as_bits),
        cmocka_unit_test(even_addresses_only_asks_even),
        cmocka_unit_test(a_device_that_refuses_joined_reads_is_asked_point_by_point),
        cmocka_unit_test(unwanted_points_and_strings_are_not_polled),
        cmocka_unit_test(points_that_overlap_share_their_registers),
        cmocka_unit_test(a_point_is_read_with_its_factor_where_one_request_can_hold_both),
        cmocka_unit_test(ticks_are_multiples_of_the_period),
        cmocka_unit_test(a_step_forward_is_neither_burst_nor_overrun),
        cmocka_unit_test(a_step_back_stalls_at_most_one_period),
        cmocka_unit_test(ticks_that_time_really_passed_by_are_an_overrun),
        cmocka_unit_test(only_the_exact_answer_counts),
        cmocka_unit_test(an_answer_is_read_up_to_its_end_and_no_further),
        cmocka_unit_test(a_serial_answer_is_checked_alike),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
