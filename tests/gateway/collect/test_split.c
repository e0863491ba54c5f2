/* Joins that a device refuses: found, read in parts and remembered; bad moments are not. The polls
 * are those of device.c, the device is a function, and days pass at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/collect_int.h"

#define POINTS 12
#define PERIOD_MS 10000
#define HOUR_MS 3600000

struct bed;
/* How the device takes a request. */
typedef enum collect_fault device(struct bed *b, const struct collect_request *r);
struct bed {
    struct collect_profile p;
    struct collect_point points[POINTS];
    bool wanted[POINTS];
    struct collect_device_cfg cfg;
    struct collect_device d;
    device *device;
    uint8_t exception; /* of a refusal */
    struct mono now;
    bool lazy; /* the device was silent: probed before the next poll */
    unsigned asked, values, events;
    uint64_t random;
    char code[32], text[256];
};

/* POINTS registers in a row, with a hole of `hole` behind the fourth. */
static void make(struct bed *b, device *how, int hole)
{
    static const struct collect_bus_cfg bus = {
        .type = COLLECT_RTU, .baud = 9600, .parity = 'N', .data_bits = 8, .stop_bits = 1};
    *b = (struct bed){.p = {.points = b->points,
                            .n = POINTS,
                            .joined = true,
                            .turnaround_ms = 10,
                            .most = {0, 2000, 2000, 125, 125}},
                      .cfg = {.unit = 3, .every_ms = PERIOD_MS},
                      .device = how,
                      .exception = 2,
                      .random = 88172645463325252U};
    for (int i = 0; i < POINTS; i++) {
        b->points[i] = (struct collect_point){
            .function = 3, .address = 100 + i + (i >= 4 ? hole : 0), .type = COLLECT_TYPE_u16};
        b->wanted[i] = true;
    }
    struct collect_line line = collect_line_make(&bus, &b->p, -1);
    b->d = (struct collect_device){.cfg = &b->cfg, .profile = &b->p};
    assert_int_equal(collect_plan_make(&b->d.plan, &b->p, b->wanted, &line, NULL), ST_OK);
    assert_int_equal(collect_split_open(&b->d.split, &b->d.plan, NULL), ST_OK);
    assert_int_equal(b->d.plan.nrequests, 1);
}

static void drop(struct bed *b)
{
    collect_split_done(&b->d.split);
    collect_plan_done(&b->d.plan);
}

static enum collect_fault ask(struct bed *b, const struct collect_request *r)
{
    b->asked++;
    return b->device(b, r);
}

static bool ask_all(struct bed *b, bool alive)
{
    struct collect_device *d = &b->d;
    for (size_t i = 0; i < d->plan.nrequests;) {
        enum collect_fault f = ask(b, &d->plan.requests[i]);
        if (f == COLLECT_GOOD) {
            b->values += d->plan.requests[i].n;
            collect_split_answered(d, i++);
            alive = true;
            continue;
        }
        alive |= f == COLLECT_EXCEPTION;
        if (collect_split_failed(d, i, f, b->exception, alive, b->now))
            continue;
        if (f != COLLECT_EXCEPTION) {
            b->lazy = true;
            break;
        }
        i++;
    }
    return alive;
}

/* One poll; returns the values that it brought. */
static unsigned poll(struct bed *b)
{
    struct collect_device *d = &b->d;
    bool was_lazy = b->lazy, alive = false;
    b->asked = b->values = 0;
    collect_split_begin(d, was_lazy, b->now);
    b->lazy = false;
    if (was_lazy) {
        alive = ask(b, &d->plan.probe) != COLLECT_SILENT;
        b->lazy = !alive;
    }
    if (!b->lazy)
        alive = ask_all(b, alive);
    struct collect_join *j = alive ? collect_split_due(d, b->now) : NULL;
    if (j)
        collect_split_proven(d, j, ask(b, &j->whole), b->exception, b->now);
    const char *code = collect_split_news(d, b->text, sizeof b->text);
    if (code) {
        strcpy(b->code, code);
        b->events++;
    }
    b->now.ms += PERIOD_MS;
    return b->values;
}

static unsigned polls(struct bed *b, unsigned n)
{
    unsigned last = 0;
    while (n-- > 0)
        last = poll(b);
    return last;
}

/* ---- devices -------------------------------------------------------------------------------- */

static enum collect_fault good(struct bed *b, const struct collect_request *r)
{
    (void)b;
    (void)r;
    return COLLECT_GOOD;
}

static enum collect_fault refuses_all(struct bed *b, const struct collect_request *r)
{
    (void)b;
    (void)r;
    return COLLECT_EXCEPTION;
}

static enum collect_fault dead(struct bed *b, const struct collect_request *r)
{
    (void)b;
    (void)r;
    return COLLECT_SILENT;
}

static enum collect_fault refuses_joined(struct bed *b, const struct collect_request *r)
{
    (void)b;
    return r->count > 1 ? COLLECT_EXCEPTION : COLLECT_GOOD;
}

static enum collect_fault mute_to_joined(struct bed *b, const struct collect_request *r)
{
    (void)b;
    return r->count > 1 ? COLLECT_SILENT : COLLECT_GOOD;
}

static enum collect_fault refuses_more_than_five(struct bed *b, const struct collect_request *r)
{
    (void)b;
    return r->count > 5 ? COLLECT_EXCEPTION : COLLECT_GOOD;
}

static enum collect_fault refuses_the_hole(struct bed *b, const struct collect_request *r)
{
    (void)b;
    return r->address < 105 && r->address + r->count > 104 ? COLLECT_EXCEPTION : COLLECT_GOOD;
}

static enum collect_fault lacks_a_point(struct bed *b, const struct collect_request *r)
{
    (void)b;
    return r->address <= 107 && r->address + r->count > 107 ? COLLECT_EXCEPTION : COLLECT_GOOD;
}

static enum collect_fault loses_a_third(struct bed *b, const struct collect_request *r)
{
    (void)r;
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return (b->random >> 33) % 3 == 0 ? COLLECT_SILENT : COLLECT_GOOD;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void E3_a_refused_join_is_split_remembered_and_told_once(void **state)
{
    struct bed b;
    (void)state;
    make(&b, refuses_joined, 0);
    assert_true(poll(&b) > 0); /* four refusals a poll are tried in parts: the others wait */
    assert_true(b.asked <= POINTS + 5);
    assert_int_equal(polls(&b, 5), POINTS);
    assert_int_equal(b.events, 1);
    assert_string_equal(b.code, "device.split");
    assert_non_null(strstr(b.text, "function 3, address 100, count 12"));
    assert_non_null(strstr(b.text, "12 requests instead of 1"));
    for (int i = 0; i < 1000; i++) { /* nothing is asked for twice from then on */
        assert_int_equal(poll(&b), POINTS);
        assert_int_equal(b.asked, POINTS);
    }
    assert_int_equal(b.events, 1);
    drop(&b);
}

static void what_is_refused_is_cut_at_its_hole(void **state)
{
    struct bed b;
    (void)state;
    make(&b, refuses_the_hole, 2);
    assert_int_equal(poll(&b), POINTS); /* nothing is missing, not even once */
    assert_int_equal(b.d.plan.nrequests, 2);
    assert_int_equal(b.d.plan.requests[0].count, 4);
    assert_int_equal(b.d.plan.requests[1].address, 106);
    assert_int_equal(polls(&b, 3), POINTS);
    assert_int_equal(b.events, 1);
    drop(&b);
}

static void a_limit_that_the_profile_does_not_know_is_found(void **state)
{
    struct bed b;
    (void)state;
    make(&b, refuses_more_than_five, 0);
    assert_int_equal(poll(&b), POINTS);
    assert_int_equal(polls(&b, 3), POINTS);
    assert_true(b.d.plan.nrequests <= 4);
    assert_int_equal(b.events, 1);
    drop(&b);
}

static void one_point_that_is_missing_costs_no_other(void **state)
{
    struct bed b;
    (void)state;
    make(&b, lacks_a_point, 0);
    assert_int_equal(polls(&b, 5), POINTS - 1);
    assert_int_equal(polls(&b, 5), POINTS - 1);
    assert_true(b.d.plan.nrequests <= 6);
    assert_int_equal(b.events, 1);
    drop(&b);
}

static void E3_silence_to_a_join_of_a_device_that_lives_is_a_refusal(void **state)
{
    struct bed b;
    unsigned n = 0;
    (void)state;
    make(&b, mute_to_joined, 0);
    while (poll(&b) < POINTS)
        assert_true(++n < 40);
    (void)polls(&b, 6);
    assert_int_equal(b.events, 1);
    assert_int_equal(poll(&b), POINTS);
    assert_int_equal(b.asked, POINTS);
    drop(&b);
}

static void a_device_that_refuses_all_for_a_while_is_joined_again(void **state)
{
    struct bed b;
    unsigned most = 0;
    (void)state;
    make(&b, refuses_all, 0);
    for (int i = 0; i < 100; i++) {
        (void)poll(&b);
        most = b.asked > most ? b.asked : most;
    }
    assert_true(most <= 2 * POINTS); /* and after three polls of trials it is asked as planned */
    assert_int_equal(b.d.plan.nrequests, 1);
    assert_int_equal(b.asked, 1);
    b.device = good;
    assert_int_equal(polls(&b, 2), POINTS);
    assert_int_equal(b.asked, 1);
    assert_int_equal(b.events, 0);
    drop(&b);
}

static void a_refusal_of_a_moment_leaves_the_join(void **state)
{
    struct bed b;
    (void)state;
    make(&b, refuses_joined, 0);
    (void)poll(&b);
    assert_true(b.d.plan.nrequests > 1);
    b.device = good;
    assert_int_equal(poll(&b), POINTS);
    assert_int_equal(b.d.plan.nrequests, 1);
    b.device = refuses_joined; /* the next trial waits */
    (void)poll(&b);
    assert_int_equal(b.d.plan.nrequests, 1);
    assert_int_equal(b.events, 0);
    (void)polls(&b, 70);
    assert_int_equal(b.d.plan.nrequests, POINTS);
    assert_int_equal(b.events, 1);
    drop(&b);
}

static void other_refusals_and_a_dead_device_split_nothing(void **state)
{
    static const uint8_t others[] = {1, 4, 5, 6, 8, 10, 11};
    struct bed b;
    (void)state;
    make(&b, refuses_joined, 0);
    for (size_t i = 0; i < sizeof others; i++) {
        b.exception = others[i];
        (void)polls(&b, 5);
        assert_int_equal(b.d.plan.nrequests, 1);
        assert_int_equal(b.asked, 1);
    }
    b.device = dead;
    (void)polls(&b, 50);
    assert_int_equal(b.d.plan.nrequests, 1);
    assert_false(collect_split_tries(&b.d));
    drop(&b);
}

static void a_line_that_loses_a_third_does_not_stay_split(void **state)
{
    struct bed b;
    unsigned in_parts = 0;
    const unsigned n = 30 * 24 * (HOUR_MS / PERIOD_MS); /* a month */
    (void)state;
    make(&b, loses_a_third, 0);
    for (unsigned i = 0; i < n; i++) {
        (void)poll(&b);
        in_parts += b.d.plan.nrequests > 1;
    }
    print_message("a lost third: %u of %u polls in parts, %u events\n", in_parts, n, b.events);
    assert_true(in_parts < n / 100);
    assert_true(b.events <= 4);
    b.device = good;
    (void)polls(&b, 25 * HOUR_MS / PERIOD_MS);
    assert_int_equal(b.d.plan.nrequests, 1);
    drop(&b);
}

static void a_day_later_or_after_a_change_of_the_device_the_join_is_tried_again(void **state)
{
    struct bed b;
    (void)state;
    make(&b, refuses_joined, 0);
    (void)polls(&b, 10);
    assert_int_equal(b.events, 1);
    b.device = good; /* it was replaced, and nobody noticed */
    (void)polls(&b, 23 * HOUR_MS / PERIOD_MS);
    assert_int_equal(b.d.plan.nrequests, POINTS);
    (void)polls(&b, 2 * HOUR_MS / PERIOD_MS);
    assert_int_equal(b.d.plan.nrequests, 1);
    assert_int_equal(b.events, 2);
    assert_string_equal(b.code, "device.joined");
    b.device = refuses_joined;
    (void)polls(&b, HOUR_MS / PERIOD_MS);
    assert_int_equal(b.events, 3);
    b.device = dead;
    (void)polls(&b, 10);
    b.device = good;
    (void)polls(&b, 2);
    assert_int_equal(b.d.plan.nrequests, 1);
    drop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(E3_a_refused_join_is_split_remembered_and_told_once),
        cmocka_unit_test(what_is_refused_is_cut_at_its_hole),
        cmocka_unit_test(a_limit_that_the_profile_does_not_know_is_found),
        cmocka_unit_test(one_point_that_is_missing_costs_no_other),
        cmocka_unit_test(E3_silence_to_a_join_of_a_device_that_lives_is_a_refusal),
        cmocka_unit_test(a_device_that_refuses_all_for_a_while_is_joined_again),
        cmocka_unit_test(a_refusal_of_a_moment_leaves_the_join),
        cmocka_unit_test(other_refusals_and_a_dead_device_split_nothing),
        cmocka_unit_test(a_line_that_loses_a_third_does_not_stay_split),
        cmocka_unit_test(a_day_later_or_after_a_change_of_the_device_the_join_is_tried_again),
    };
    return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
