/* The line doctor's judgement, on made evidence: each finding, what is near to it and is not, and
 * that no evidence whatever leads it astray. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/doctor_int.h"

#define UNITS 4
#define SHORT 9
#define LONG 125

static struct collect_evidence ev[UNITS], *units[UNITS];
static struct store_finding out[STORE_FINDINGS_MAX];
static struct collect_case c;
static size_t found;
static struct mono now;

static int start(void **state)
{
    static const char *const ids[UNITS] = {"m1", "m2", "m3", "m4"};
    (void)state;
    now = (struct mono){1000};
    for (size_t i = 0; i < UNITS; i++) {
        ev[i] = (struct collect_evidence){
            .id = ids[i], .number = (uint8_t)(i + 1), .place = (int64_t)i + 1};
        units[i] = &ev[i];
    }
    c = (struct collect_case){.bus = "line",
                              .serial = true,
                              .timeout_ms = 500,
                              .frame_errors = -1,
                              .units = units,
                              .n = UNITS};
    return 0;
}

static void feed(size_t i, struct collect_sign s, int n)
{
    if (s.wanted == 0)
        s.wanted = SHORT;
    if (s.took_ms == 0)
        s.took_ms = 30;
    while (n-- > 0) {
        now.ms += 50;
        collect_evidence_add(&ev[i], &s, now);
    }
}

static void hear(size_t i, enum collect_sign_is is, int n)
{
    feed(i, (struct collect_sign){.is = (uint8_t)is, .bytes = SHORT}, n);
}

/* `bad` of each 20 are so, the others between them good. */
static void mix(size_t i, struct collect_sign s, int bad, int rounds)
{
    const struct collect_sign good = {.wanted = s.wanted, .bytes = s.wanted};
    for (int k = 0; k < 20 * rounds; k++)
        feed(i, k * bad % 20 < bad ? s : good, 1);
}

static void all_good(int n)
{
    for (size_t i = 0; i < c.n; i++)
        hear(i, COLLECT_SIGN_GOOD, n);
}

static void judge(void)
{
    memset(out, 0, sizeof out);
    uint32_t quiet = collect_doctor_judge(&c, NULL);
    uint32_t all = collect_doctor_judge(&c, out);
    assert_int_equal(quiet, all);
    found = (size_t)__builtin_popcount(all);
    c.before = all;
}

static const struct store_finding *only(const char *code)
{
    judge();
    if (found != 1 || strcmp(out[0].code, code) != 0)
        fail_msg("wanted %s, found %zu: %s (%s) %s (%s)", code, found, found ? out[0].code : "",
                 out[0].seen, found > 1 ? out[1].code : "", out[1].seen);
    return &out[0];
}

static void nothing(void)
{
    judge();
    if (found > 0)
        fail_msg("found %s: %s; %s", out[0].code, out[0].devices, out[0].seen);
}

static void says(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

/* ---- the whole line ------------------------------------------------------------------------- */

static void where_nothing_was_ever_heard_the_wires_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNITS; i++)
        hear(i, COLLECT_SIGN_SILENT, 2);
    const struct store_finding *f = only("wires");
    assert_string_equal(f->devices, "all");
    says(f->fault, "A and B swapped");
    says(f->seen, "of 8 requests 8 unanswered");
    assert_null(strstr(f->also, "only device"));
}

static void stray_bytes_on_a_dead_line_are_the_wires_too(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNITS; i++)
        feed(i, (struct collect_sign){.is = COLLECT_SIGN_SILENT, .beside = true, .bytes = 1}, 3);
    says(only("wires")->seen, "a stray byte or two 12 times");
}

static void an_adapter_that_hears_itself_is_told_from_its_wires(void **state)
{
    (void)state;
    c.echo = true;
    for (size_t i = 0; i < UNITS; i++)
        hear(i, COLLECT_SIGN_SILENT, 2);
    says(only("wires")->also, "hears itself");
}

static void of_a_single_device_it_is_said_that_it_is_the_only_one(void **state)
{
    (void)state;
    c.n = 1;
    hear(0, COLLECT_SIGN_SILENT, 2);
    nothing();
    hear(0, COLLECT_SIGN_SILENT, 1);
    says(only("wires")->also, "only device");
}

static void before_each_was_tried_nothing_is_said(void **state)
{
    (void)state;
    nothing();
    for (size_t i = 0; i < UNITS; i++)
        hear(i, COLLECT_SIGN_SILENT, 1); /* once is no silence */
    nothing();
    ev[3] = (struct collect_evidence){.id = "m4", .number = 4};
    for (size_t i = 0; i < UNITS - 1; i++)
        hear(i, COLLECT_SIGN_SILENT, 1);
    nothing();
}

static void one_refusal_is_a_working_line(void **state)
{
    (void)state;
    hear(0, COLLECT_SIGN_REFUSED, 1);
    for (size_t i = 0; i < UNITS; i++)
        hear(i, COLLECT_SIGN_SILENT, 2);
    nothing();
    for (size_t i = 0; i < UNITS; i++)
        hear(i, COLLECT_SIGN_SILENT, 1);
    only("lost");
}

static void garbage_as_long_as_an_answer_is_the_speed(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNITS; i++)
        feed(i, (struct collect_sign){.is = COLLECT_SIGN_GARBAGE, .bytes = 15, .blank = true}, 3);
    c.frame_errors = 77;
    const struct store_finding *f = only("speed");
    says(f->seen, "00 and ff");
    says(f->seen, "77 framing or parity errors");
}

static void one_right_answer_is_the_right_speed(void **state)
{
    (void)state;
    hear(2, COLLECT_SIGN_GOOD, 1);
    for (size_t i = 0; i < UNITS; i++)
        hear(i, COLLECT_SIGN_GARBAGE, 5);
    only("noise");
}

static void bytes_of_any_length_are_not_the_speed(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNITS; i++)
        feed(i, (struct collect_sign){.is = COLLECT_SIGN_GARBAGE, .bytes = 200}, 5);
    only("noise");
}

static void who_answered_before_and_all_are_silent_lost_the_line(void **state)
{
    (void)state;
    all_good(30);
    for (size_t i = 0; i < UNITS; i++)
        hear(i, COLLECT_SIGN_SILENT, 3);
    only("lost");
}

static void an_adapter_that_is_away_is_all_that_is_said(void **state)
{
    (void)state;
    all_good(3);
    hear(1, COLLECT_SIGN_SILENT, 5);
    c.lost = "Bus line: cannot open /dev/ttyUSB0: No such file or directory";
    says(only("port")->seen, "/dev/ttyUSB0");
}

static void a_broken_cable_speaks_for_all_behind_it(void **state)
{
    static const struct collect_device_cfg cfg = {.id = (char *)(uintptr_t) "m3", .cable_order = 3};
    static const struct collect_device third = {.cfg = &cfg};
    (void)state;
    all_good(20);
    hear(2, COLLECT_SIGN_SILENT, 5);
    hear(3, COLLECT_SIGN_SILENT, 5);
    c.cable = &third;
    const struct store_finding *f = only("cable");
    assert_string_equal(f->devices, "m3 (unit 3), m4 (unit 4)");
    says(f->seen, "from m3 (place 3)");
}

/* ---- damage --------------------------------------------------------------------------------- */

static void damage(size_t i, uint16_t wanted, int of_20, int rounds)
{
    mix(i, (struct collect_sign){.is = COLLECT_SIGN_DAMAGED, .wanted = wanted, .bytes = wanted},
        of_20, rounds);
}

static void damage_that_grows_with_the_length_is_the_cable(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNITS; i++) {
        damage(i, LONG, 4, 3);
        damage(i, SHORT, 0, 1);
    }
    const struct store_finding *f = only("noise");
    assert_string_equal(f->devices, "all");
    says(f->fault, "no terminator");
    says(f->advice, "120 ohm");
    says(f->seen, "0 % of answers up to 16 bytes are damaged, 20 % of those over 64");
    says(f->also, "The longer");
}

static void damage_of_any_length_is_said_to_be_so(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNITS; i++) {
        damage(i, LONG, 2, 3);
        damage(i, SHORT, 2, 3);
    }
    says(only("noise")->also, "as badly as long ones");
}

static void a_healthy_line_may_lose_one_in_a_hundred(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNITS; i++)
        for (int k = 0; k < 3; k++) {
            hear(i, COLLECT_SIGN_DAMAGED, 1);
            hear(i, COLLECT_SIGN_GOOD, 99);
        }
    nothing();
}

static void only_one_that_is_damaged_is_itself_at_fault(void **state)
{
    (void)state;
    all_good(100);
    damage(1, SHORT, 3, 3);
    assert_string_equal(only("weak")->devices, "m2 (unit 2)");
}

static void nobody_is_called_weak_before_the_others_are_known(void **state)
{
    (void)state;
    all_good(10);
    damage(1, SHORT, 3, 2);
    nothing();
}

static void damage_at_the_far_end_is_told_by_the_cable_order(void **state)
{
    (void)state;
    all_good(100);
    damage(2, SHORT, 3, 3);
    damage(3, SHORT, 3, 3);
    assert_string_equal(only("far")->devices, "m3 (unit 3), m4 (unit 4)");
    ev[2].place = 0; /* where it is nobody knows */
    only("weak");
}

static void two_with_one_number_are_told_by_answers_that_overlap(void **state)
{
    (void)state;
    all_good(100);
    mix(1, (struct collect_sign){.is = COLLECT_SIGN_OVERLAP, .bytes = SHORT + 2}, 10, 1);
    const struct store_finding *f = only("twice");
    assert_string_equal(f->devices, "m2 (unit 2)");
    says(f->seen, "10 damaged and too long");
}

static void two_with_one_number_are_told_by_two_whole_answers(void **state)
{
    (void)state;
    all_good(100);
    mix(1, (struct collect_sign){.is = COLLECT_SIGN_GOOD, .doubled = true}, 8, 1);
    says(only("twice")->seen, "two whole answers 8 times");
}

static void answers_too_long_at_all_units_are_no_double_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNITS; i++)
        mix(i, (struct collect_sign){.is = COLLECT_SIGN_OVERLAP, .bytes = SHORT + 2}, 5, 2);
    only("noise");
}

/* ---- a unit --------------------------------------------------------------------------------- */

static void late_answers_say_which_time_out_to_set(void **state)
{
    (void)state;
    all_good(30);
    feed(3, (struct collect_sign){.is = COLLECT_SIGN_LATE, .took_ms = 610}, 4);
    const struct store_finding *f = only("slow");
    assert_string_equal(f->also, "Set `timeout: 800ms` at bus line.");
    says(f->seen, "the latest after 610 ms; the time-out is 500 ms");
}

static void answers_that_come_at_the_next_request_are_late_too(void **state)
{
    (void)state;
    all_good(30);
    for (int i = 0; i < 3; i++) {
        hear(3, COLLECT_SIGN_SILENT, 1);
        collect_evidence_stray(&ev[3], true);
    }
    assert_string_equal(only("slow")->also, "Set `timeout: 1000ms` at bus line.");
}

static void no_time_out_beyond_what_the_configuration_takes(void **state)
{
    (void)state;
    all_good(30);
    feed(3, (struct collect_sign){.is = COLLECT_SIGN_LATE, .took_ms = 4000}, 4);
    says(only("slow")->also, "3000ms");
}

static void two_late_ones_are_chance(void **state)
{
    (void)state;
    all_good(30);
    hear(3, COLLECT_SIGN_LATE, 2);
    nothing();
}

static void who_never_answered_and_who_fell_silent_are_told_apart(void **state)
{
    (void)state;
    hear(0, COLLECT_SIGN_GOOD, 30);
    hear(1, COLLECT_SIGN_GOOD, 30);
    hear(1, COLLECT_SIGN_SILENT, 3);
    hear(2, COLLECT_SIGN_SILENT, 3);
    hear(3, COLLECT_SIGN_GOOD, 30);
    judge();
    assert_int_equal(found, 2);
    assert_string_equal(out[0].code, "never");
    assert_string_equal(out[0].devices, "m3 (unit 3)");
    assert_string_equal(out[1].code, "gone");
    assert_string_equal(out[1].devices, "m2 (unit 2)");
}

static void silence_now_and_then_is_a_contact(void **state)
{
    (void)state;
    all_good(30);
    mix(0, (struct collect_sign){.is = COLLECT_SIGN_SILENT}, 2, 3);
    assert_string_equal(only("unsteady")->devices, "m1 (unit 1)");
}

static void another_unit_s_answers_are_told(void **state)
{
    (void)state;
    all_good(30);
    mix(0, (struct collect_sign){.is = COLLECT_SIGN_FOREIGN, .bytes = SHORT}, 3, 1);
    only("foreign");
}

/* A whole answer of unit 2 comes while unit 1 is asked. */
static void an_answer_behind_its_time_out_is_told_from_another_device_s(void **state)
{
    (void)state;
    struct collect_unit u[2] = {{.number = 1, .evidence = &ev[0]},
                                {.number = 2, .evidence = &ev[1]}};
    struct collect_unit *both[2] = {&u[0], &u[1]};
    struct collect_bus b = {.units = both, .nunits = 2};
    const struct collect_sign theirs = {
        .is = COLLECT_SIGN_FOREIGN, .strange = true, .stranger = 2, .bytes = SHORT};
    all_good(1);
    hear(1, COLLECT_SIGN_SILENT, 1);
    collect_doctor_heard(&b, &u[0], &theirs, now); /* it was waited for */
    assert_int_equal(ev[0].now.as[COLLECT_SIGN_OTHER], 1);
    assert_int_equal(ev[0].now.as[COLLECT_SIGN_FOREIGN], 0);
    assert_int_equal(ev[1].mute_run, 0);
    collect_doctor_heard(&b, &u[0], &theirs, now); /* and now nobody waited for one */
    assert_int_equal(ev[0].now.as[COLLECT_SIGN_OTHER], 1);
    assert_int_equal(ev[0].now.as[COLLECT_SIGN_FOREIGN], 1);
}

static void bytes_nobody_asked_for_are_the_bias(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNITS; i++)
        mix(i, (struct collect_sign){.is = COLLECT_SIGN_GOOD, .beside = true}, 4, 1);
    only("idle");
}

static void an_echo_is_a_note(void **state)
{
    (void)state;
    all_good(30);
    c.echo = true;
    assert_true(only("echo")->note);
}

static void a_connection_has_no_wires_to_swap(void **state)
{
    (void)state;
    c.serial = false;
    for (size_t i = 0; i < UNITS; i++)
        hear(i, COLLECT_SIGN_SILENT, 3);
    only("never");
}

/* ---- words are taken back ------------------------------------------------------------------- */

static void what_is_well_again_is_forgotten_before_the_window_is_over(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNITS; i++)
        damage(i, LONG, 4, 10);
    only("noise");
    all_good(20); /* 4 of 20 went wrong: 20 right ones in a row are chance once in 100 times */
    only("noise");
    all_good(20);
    nothing();
    for (size_t i = 0; i < UNITS; i++)
        hear(i, COLLECT_SIGN_SILENT, 3);
    only("lost");
    all_good(1);
    nothing();
}

static void a_finding_stays_until_its_share_has_halved(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNITS; i++)
        for (int k = 0; k < 4; k++) {
            hear(i, COLLECT_SIGN_DAMAGED, 1);
            hear(i, COLLECT_SIGN_GOOD, 65); /* 1.5 %: more than one, less than two */
        }
    nothing();
    c.before = 1 << COLLECT_FIND_NOISE;
    only("noise");
}

static void the_window_slides(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNITS; i++)
        damage(i, SHORT, 1, 10);
    only("noise");
    for (int k = 0; k < 40; k++) /* never long enough without one that it were another line */
        for (size_t i = 0; i < UNITS; i++) {
            hear(i, COLLECT_SIGN_GOOD, k % 4 == 0 ? 9 : 10);
            hear(i, COLLECT_SIGN_REFUSED, k % 4 == 0);
        }
    nothing();
    assert_in_range(ev[0].now.asked + ev[0].older.asked, 1, 400);
}

static void old_evidence_is_dropped_by_time(void **state)
{
    (void)state;
    all_good(30);
    mix(0, (struct collect_sign){.is = COLLECT_SIGN_SILENT}, 4, 1);
    only("unsteady");
    for (int k = 0; k < 2; k++) {
        now.ms += 900000;
        hear(0, COLLECT_SIGN_GOOD, 1);
    }
    nothing();
}

static void what_breaks_is_seen_at_once_however_long_it_was_well(void **state)
{
    (void)state;
    all_good(400);
    feed(1, (struct collect_sign){.is = COLLECT_SIGN_OVERLAP, .bytes = SHORT + 2}, 2);
    nothing();
    feed(1, (struct collect_sign){.is = COLLECT_SIGN_OVERLAP, .bytes = SHORT + 2}, 1);
    says(only("twice")->seen, "of 3 requests 3 damaged and too long");
}

/* ---- any evidence whatever ------------------------------------------------------------------ */

static uint64_t seed;

static unsigned any(unsigned n)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (unsigned)((seed * UINT64_C(2685821657736338717)) >> 33) % n;
}

static void random_unit(size_t i)
{
    for (unsigned runs = any(12); runs > 0; runs--) {
        struct collect_sign s = {.is = (uint8_t)any(COLLECT_SIGNS),
                                 .beside = any(4) == 0,
                                 .doubled = any(6) == 0,
                                 .belated = any(6) == 0,
                                 .blank = any(2) == 0,
                                 .bytes = (uint16_t)any(640),
                                 .wanted = (uint16_t)(5 + any(251)),
                                 .took_ms = any(100000)};
        feed(i, s, (int)any(120));
        if (any(3) == 0)
            collect_evidence_stray(&ev[i], any(2) == 0);
        now.ms += any(10) == 0 ? any(2000000) : 0;
    }
}

static void well_formed(void)
{
    uint32_t flags = 0;
    assert_in_range(found, 0, STORE_FINDINGS_MAX);
    for (size_t i = 0; i < found; i++) {
        const struct store_finding *f = &out[i];
        assert_non_null(memchr(f->devices, '\0', sizeof f->devices));
        assert_non_null(memchr(f->seen, '\0', sizeof f->seen));
        assert_non_null(memchr(f->also, '\0', sizeof f->also));
        assert_true(f->code[0] && f->fault[0] && f->advice[0] && f->seen[0]);
        assert_true(f->devices[0] || c.n == 0);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(out[k].code, f->code);
        flags++;
    }
    assert_int_equal(__builtin_popcount(c.before), flags);
}

static void no_evidence_leads_it_astray(void **state)
{
    const char *given = getenv("FP_SEED");
    seed = given ? strtoull(given, NULL, 0) : 20261126;
    seed |= 1;
    (void)state;
    for (int round = 0; round < 3000; round++) {
        assert_int_equal(start(NULL), 0);
        c.n = any(UNITS + 1);
        c.serial = any(5) > 0;
        c.echo = any(4) == 0;
        c.frame_errors = any(3) - 1;
        c.before = any(1U << 16);
        for (size_t i = 0; i < c.n; i++) {
            ev[i].place = any(4);
            random_unit(i);
        }
        uint32_t before = c.before;
        judge();
        well_formed();
        uint32_t once = c.before;
        c.before = before;
        judge(); /* of the same evidence the same */
        assert_int_equal(once, c.before);
        well_formed();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(where_nothing_was_ever_heard_the_wires_are_named, start),
        cmocka_unit_test_setup(stray_bytes_on_a_dead_line_are_the_wires_too, start),
        cmocka_unit_test_setup(an_adapter_that_hears_itself_is_told_from_its_wires, start),
        cmocka_unit_test_setup(of_a_single_device_it_is_said_that_it_is_the_only_one, start),
        cmocka_unit_test_setup(before_each_was_tried_nothing_is_said, start),
        cmocka_unit_test_setup(one_refusal_is_a_working_line, start),
        cmocka_unit_test_setup(garbage_as_long_as_an_answer_is_the_speed, start),
        cmocka_unit_test_setup(one_right_answer_is_the_right_speed, start),
        cmocka_unit_test_setup(bytes_of_any_length_are_not_the_speed, start),
        cmocka_unit_test_setup(who_answered_before_and_all_are_silent_lost_the_line, start),
        cmocka_unit_test_setup(an_adapter_that_is_away_is_all_that_is_said, start),
        cmocka_unit_test_setup(a_broken_cable_speaks_for_all_behind_it, start),
        cmocka_unit_test_setup(damage_that_grows_with_the_length_is_the_cable, start),
        cmocka_unit_test_setup(damage_of_any_length_is_said_to_be_so, start),
        cmocka_unit_test_setup(a_healthy_line_may_lose_one_in_a_hundred, start),
        cmocka_unit_test_setup(only_one_that_is_damaged_is_itself_at_fault, start),
        cmocka_unit_test_setup(nobody_is_called_weak_before_the_others_are_known, start),
        cmocka_unit_test_setup(damage_at_the_far_end_is_told_by_the_cable_order, start),
        cmocka_unit_test_setup(two_with_one_number_are_told_by_answers_that_overlap, start),
        cmocka_unit_test_setup(two_with_one_number_are_told_by_two_whole_answers, start),
        cmocka_unit_test_setup(answers_too_long_at_all_units_are_no_double_numbers, start),
        cmocka_unit_test_setup(late_answers_say_which_time_out_to_set, start),
        cmocka_unit_test_setup(answers_that_come_at_the_next_request_are_late_too, start),
        cmocka_unit_test_setup(no_time_out_beyond_what_the_configuration_takes, start),
        cmocka_unit_test_setup(two_late_ones_are_chance, start),
        cmocka_unit_test_setup(who_never_answered_and_who_fell_silent_are_told_apart, start),
        cmocka_unit_test_setup(silence_now_and_then_is_a_contact, start),
        cmocka_unit_test_setup(another_unit_s_answers_are_told, start),
        cmocka_unit_test_setup(an_answer_behind_its_time_out_is_told_from_another_device_s, start),
        cmocka_unit_test_setup(bytes_nobody_asked_for_are_the_bias, start),
        cmocka_unit_test_setup(an_echo_is_a_note, start),
        cmocka_unit_test_setup(a_connection_has_no_wires_to_swap, start),
        cmocka_unit_test_setup(what_is_well_again_is_forgotten_before_the_window_is_over, start),
        cmocka_unit_test_setup(a_finding_stays_until_its_share_has_halved, start),
        cmocka_unit_test_setup(the_window_slides, start),
        cmocka_unit_test_setup(what_breaks_is_seen_at_once_however_long_it_was_well, start),
        cmocka_unit_test_setup(old_evidence_is_dropped_by_time, start),
        cmocka_unit_test_setup(no_evidence_leads_it_astray, start),
    };
    return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
