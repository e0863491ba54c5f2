/* A device's registers, its limits, and when its values move on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/device.h"

static struct num one = {.i = 1, .kind = NUM_DEC}, none = {.i = 0, .kind = NUM_DEC};

static struct sim_profile_point defs[] = {
    {.name = "level", .function = 3, .address = 10, .type = SIM_U16},
    {.name = "mark", .function = 3, .address = 12, .type = SIM_U16},
    {.name = "poll", .function = 3, .address = 20, .type = SIM_U32},
    {.name = "door", .function = 1, .address = 5, .count = 1, .type = SIM_BIT},
};
static int64_t markers[] = {0xffff};

struct site {
    struct sim_profile profile;
    struct sim_point points[4];
    struct sim_device d;
};

static void open_device(struct site *s, const char *counter)
{
    struct err e;
    memset(s, 0, sizeof(*s));
    s->profile = (struct sim_profile){
        .points = defs, .n = 4, .joined = true, .most = {0, 2000, 2000, 125, 125}};
    for (size_t i = 0; i < 4; i++) {
        defs[i].scale = one;
        defs[i].offset = none;
        s->points[i] = (struct sim_point){.is = &defs[i], .source = {.period = 1}};
    }
    defs[1].no_value = (struct cfg_ints){markers, 1};
    s->points[0].source = (struct sim_source){.formula = SIM_RAMP, .from = 100, .step = 1};
    s->points[1].source = (struct sim_source){.formula = SIM_CONSTANT, .value = 0xffff};
    s->points[3].source = (struct sim_source){.formula = SIM_CONSTANT, .value = 1};
    s->d = (struct sim_device){
        .id = "d", .unit = 1, .profile = &s->profile, .points = s->points, .n = 4};
    assert_int_equal(sim_device_open(&s->d, counter, 1, &e), ST_OK);
}

static uint8_t out[SIM_PDU_MAX_BYTES];

/* One request, answered well; returns the first register (or byte of bits). */
static int ask(struct site *s, uint8_t function, int address, int n, FILE *log)
{
    const uint8_t pdu[] = {function, (uint8_t)(address >> 8), (uint8_t)address, 0, (uint8_t)n};
    assert_int_equal(sim_device_request(&s->d, pdu, 5), SIM_FAULT_NONE);
    size_t bytes = sim_device_answer(&s->d, pdu, 5, out);
    if (out[0] & 0x80)
        return -out[1];
    sim_device_served(&s->d, pdu, log);
    return bytes == 3 ? out[2] : out[2] << 8 | out[3];
}

static void values_stand_still_until_the_counter_was_read(void **state)
{
    struct site s;
    (void)state;
    open_device(&s, "poll");
    assert_int_equal(ask(&s, 3, 10, 1, NULL), 100);
    assert_int_equal(ask(&s, 3, 10, 1, NULL), 100);
    assert_int_equal(ask(&s, 3, 20, 1, NULL), 0); /* half of the counter is not the counter */
    assert_int_equal(ask(&s, 3, 10, 1, NULL), 100);
    ask(&s, 3, 20, 2, NULL);
    assert_int_equal(out[5], 1);
    assert_int_equal(ask(&s, 3, 10, 12, NULL), 101);
    assert_int_equal(out[2 + 23], 2);
    sim_device_close(&s.d);
}

static void the_log_names_what_was_asked_and_holds_a_value(void **state)
{
    struct site s;
    char *text = NULL;
    size_t n = 0;
    FILE *log = open_memstream(&text, &n);
    (void)state;
    assert_non_null(log);
    open_device(&s, "poll");
    ask(&s, 3, 10, 3, log); /* level, hole, mark = its no_value */
    ask(&s, 3, 20, 2, log);
    ask(&s, 1, 5, 1, log);
    ask(&s, 3, 20, 2, log);
    fclose(log);
    assert_string_equal(text, "d,1,level,100\nd,1,poll,1\nd,2,poll,2\nd,2,door,1\n");
    free(text);
    sim_device_close(&s.d);
}

static void without_a_counter_values_move_on_with_each_poll(void **state)
{
    struct site s;
    (void)state;
    open_device(&s, NULL);
    assert_int_equal(ask(&s, 3, 10, 1, NULL), 100);
    ask(&s, 3, 20, 2, NULL);
    assert_int_equal(ask(&s, 3, 10, 1, NULL), 101);
    assert_int_equal(ask(&s, 3, 10, 1, NULL), 102);
    sim_device_close(&s.d);
}

static void limits_are_answered_with_the_right_exception(void **state)
{
    struct site s;
    const uint8_t write[] = {6, 0, 10, 0, 1};
    (void)state;
    open_device(&s, "poll");
    assert_int_equal(ask(&s, 3, 9, 2, NULL), -2);
    assert_int_equal(ask(&s, 3, 21, 2, NULL), -2);
    assert_int_equal(ask(&s, 4, 10, 1, NULL), -2);
    assert_int_equal(ask(&s, 3, 10, 0, NULL), -3);
    assert_int_equal(ask(&s, 3, 10, 126, NULL), -3);
    assert_int_equal(sim_device_answer(&s.d, write, 5, out), 2);
    assert_int_equal(out[1], 1);
    s.profile.most[3] = 3;
    assert_int_equal(ask(&s, 3, 10, 4, NULL), -3);
    s.profile.most[3] = 125;
    s.profile.forbidden[0] = (struct sim_forbidden){3, 11, 11};
    s.profile.nforbidden = 1;
    assert_int_equal(ask(&s, 3, 10, 2, NULL), -2);
    assert_int_equal(ask(&s, 3, 11, 2, NULL), -2);
    assert_int_equal(ask(&s, 3, 10, 1, NULL), 100);
    s.profile.nforbidden = 0;
    s.profile.even_addresses = true;
    assert_int_equal(ask(&s, 3, 11, 2, NULL), -2);
    assert_int_equal(ask(&s, 3, 10, 3, NULL), -3);
    s.profile.even_addresses = false;
    s.profile.joined = false;
    assert_int_equal(ask(&s, 3, 10, 3, NULL), -2);
    assert_int_equal(ask(&s, 3, 12, 1, NULL), 0xffff);
    sim_device_close(&s.d);
}

static void faults_follow_the_polls_and_the_control_input(void **state)
{
    struct site s;
    struct sim_fault_rule rules[] = {{.first = 2, .last = 2, .fault = SIM_FAULT_SILENT},
                                     {.every = 4, .fault = SIM_FAULT_LATE}};
    const uint8_t low[] = {3, 0, 10, 0, 1}, high[] = {3, 0, 20, 0, 2};
    (void)state;
    open_device(&s, "poll");
    s.d.rules = rules;
    s.d.nrules = 2;
    assert_int_equal(sim_device_request(&s.d, low, 5), SIM_FAULT_NONE);
    assert_int_equal(sim_device_request(&s.d, high, 5), SIM_FAULT_NONE);
    assert_int_equal(sim_device_request(&s.d, low, 5), SIM_FAULT_SILENT);
    assert_int_equal(sim_device_request(&s.d, high, 5), SIM_FAULT_SILENT);
    assert_int_equal(sim_device_request(&s.d, low, 5), SIM_FAULT_NONE);
    assert_int_equal(sim_device_request(&s.d, low, 5), SIM_FAULT_LATE);
    s.d.forced = SIM_FAULT_HALF;
    s.d.forced_left = 1;
    assert_int_equal(sim_device_request(&s.d, low, 5), SIM_FAULT_HALF);
    assert_int_equal(sim_device_request(&s.d, low, 5), SIM_FAULT_NONE);
    sim_device_close(&s.d);
}

static void a_fault_of_joined_reads_spares_single_points(void **state)
{
    struct site s;
    struct sim_fault_rule rule = {.first = 1, .last = 99, .fault = SIM_FAULT_REFUSE_JOINED};
    const uint8_t joined[] = {3, 0, 10, 0, 3}, half[] = {3, 0, 20, 0, 1},
                  whole[] = {3, 0, 20, 0, 2};
    (void)state;
    open_device(&s, "poll");
    s.d.rules = &rule;
    s.d.nrules = 1;
    assert_int_equal(sim_device_request(&s.d, joined, 5), SIM_FAULT_REFUSE_JOINED);
    assert_int_equal(sim_device_request(&s.d, half, 5), SIM_FAULT_REFUSE_JOINED);
    assert_int_equal(sim_device_request(&s.d, whole, 5), SIM_FAULT_NONE);
    rule.fault = SIM_FAULT_SILENT_JOINED;
    assert_int_equal(sim_device_request(&s.d, joined, 5), SIM_FAULT_SILENT_JOINED);
    assert_int_equal(sim_device_request(&s.d, whole, 5), SIM_FAULT_NONE);
    sim_device_close(&s.d);
}

static void overlapping_points_and_a_lost_counter_are_refused(void **state)
{
    struct site s;
    struct err e;
    (void)state;
    open_device(&s, "poll");
    sim_device_close(&s.d);
    assert_int_equal(sim_device_open(&s.d, "polls", 1, &e), ST_NOT_FOUND);
    sim_device_close(&s.d);
    defs[1].address = 21;
    assert_int_equal(sim_device_open(&s.d, "poll", 1, &e), ST_BAD);
    sim_device_close(&s.d);
    defs[1].address = 12;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_stand_still_until_the_counter_was_read),
        cmocka_unit_test(the_log_names_what_was_asked_and_holds_a_value),
        cmocka_unit_test(without_a_counter_values_move_on_with_each_poll),
        cmocka_unit_test(limits_are_answered_with_the_right_exception),
        cmocka_unit_test(faults_follow_the_polls_and_the_control_input),
        cmocka_unit_test(a_fault_of_joined_reads_spares_single_points),
        cmocka_unit_test(overlapping_points_and_a_lost_counter_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
