/* What rows of readings raise and clear, and what they do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "gateway/indicator/alarm_int.h"

#define MIN INT64_C(60000)
#define HOUR (60 * MIN)
#define T0 (INT64_C(1000) * HOUR)
#define M(x) ((int64_t)((x)*1000000.0 + ((x) < 0 ? -0.5 : 0.5)))

static struct alarm_watch w;

static void watch(enum alarm_kind kind, int64_t window_ms, double limit, double clear,
                  int64_t for_ms)
{
    const struct alarm_rule rule = {.kind = kind,
                                    .window_ms = window_ms,
                                    .limit = M(limit),
                                    .clear = M(clear),
                                    .for_ms = for_ms,
                                    .silent_ms = 3 * MIN,
                                    .most_per_h = kind == ALARM_RAIN ? M(500) : 0};
    assert_int_equal(alarm_watch_open(&w, &rule, T0, NULL), ST_OK);
}

static enum alarm_state after(int64_t t_ms, double v)
{
    alarm_watch_take(&w, T0 + t_ms, M(v));
    alarm_watch_tick(&w, T0 + t_ms);
    return alarm_watch_state(&w);
}

static int done(void **state)
{
    (void)state;
    alarm_watch_done(&w);
    return 0;
}

static void a_level_comes_and_goes_by_two_marks(void **state)
{
    (void)state;
    watch(ALARM_ABOVE, 0, 2.5, 2.2, 0);
    assert_int_equal(after(0, 2.49), ALARM_QUIET);
    assert_int_equal(after(MIN, 2.5), ALARM_RAISED); /* the mark itself is reached */
    assert_int_equal(after(2 * MIN, 2.3), ALARM_RAISED);
    assert_int_equal(after(3 * MIN, 2.21), ALARM_RAISED);
    assert_int_equal(after(4 * MIN, 2.2), ALARM_QUIET);
    assert_int_equal(after(5 * MIN, 2.4), ALARM_QUIET); /* and is not back before the upper */
    assert_int_equal(after(6 * MIN, 2.6), ALARM_RAISED);
    alarm_watch_done(&w);
    watch(ALARM_BELOW, 0, 0.5, 0.8, 0);
    assert_int_equal(after(0, 0.51), ALARM_QUIET);
    assert_int_equal(after(MIN, 0.5), ALARM_RAISED);
    assert_int_equal(after(2 * MIN, 0.79), ALARM_RAISED);
    assert_int_equal(after(3 * MIN, 0.8), ALARM_QUIET);
}

static void one_reading_is_no_alarm_where_it_must_hold(void **state)
{
    (void)state;
    watch(ALARM_ABOVE, 0, 20, 15, MIN);
    assert_int_equal(after(0, 25), ALARM_QUIET);
    assert_int_equal(after(MIN / 2, 12), ALARM_QUIET); /* begins anew */
    assert_int_equal(after(MIN, 25), ALARM_QUIET);
    assert_int_equal(after(2 * MIN - 1, 25), ALARM_QUIET);
    assert_int_equal(after(2 * MIN, 25), ALARM_RAISED);
    alarm_watch_done(&w);
    watch(ALARM_ABOVE, 0, 20, 15, MIN);
    assert_int_equal(after(0, 25), ALARM_QUIET);
    /* what was between is not known */
    assert_int_equal(after(30 * MIN, 25), ALARM_QUIET);
    assert_int_equal(after(31 * MIN, 25), ALARM_RAISED);
}

static void a_sensor_that_falls_silent_clears_nothing(void **state)
{
    (void)state;
    watch(ALARM_ABOVE, 0, 2.5, 2.2, 0);
    assert_int_equal(after(0, 2.6), ALARM_RAISED);
    w.acknowledged = true;
    alarm_watch_tick(&w, T0 + 3 * MIN);
    assert_int_equal(alarm_watch_state(&w), ALARM_ACKNOWLEDGED);
    alarm_watch_tick(&w, T0 + 3 * MIN + 1);
    assert_int_equal(alarm_watch_state(&w), ALARM_UNKNOWN);
    assert_true(w.raised);
    assert_int_equal(after(10 * MIN, 2.4), ALARM_ACKNOWLEDGED); /* a person still knows of it */
    assert_int_equal(after(11 * MIN, 2.1), ALARM_QUIET);
    alarm_watch_tick(&w, T0 + HOUR);
    assert_int_equal(alarm_watch_state(&w), ALARM_BLIND); /* it is not well: nothing is known */
    assert_int_equal(after(HOUR + 1, 2.6), ALARM_RAISED); /* and is to be acknowledged anew */
}

static void rain_is_what_fell_within_the_hour(void **state)
{
    (void)state;
    watch(ALARM_RAIN, HOUR, 50, 10, 0);
    double total = 130;
    int raised = -1, quiet = -1;
    for (int m = 0; m <= 180; m++) {
        total += m > 0 && m <= 60 ? 1 : 0; /* 1 mm a minute, for an hour */
        enum alarm_state s = after(m * MIN, total);
        raised = raised < 0 && s == ALARM_RAISED ? m : raised;
        quiet = quiet < 0 && raised >= 0 && s == ALARM_QUIET ? m : quiet;
    }
    assert_int_equal(raised, 50);
    assert_int_equal(quiet, 110); /* from 50 to 60 fell 10 mm */
    assert_int_equal(w.figure, 0);
}

static void rain_within_one_minute_counts(void **state)
{
    (void)state;
    watch(ALARM_RAIN, HOUR, 5, 1, 0);
    for (int s = 0; s < 25; s++)
        assert_int_equal(after(s * INT64_C(1000), 100 + 0.2 * s), ALARM_QUIET);
    assert_int_equal(after(25000, 105), ALARM_RAISED);
}

static void a_counter_that_begins_again_is_no_rain(void **state)
{
    (void)state;
    watch(ALARM_RAIN, HOUR, 50, 10, 0);
    assert_int_equal(after(0, 900), ALARM_QUIET);
    assert_int_equal(after(MIN, 920), ALARM_QUIET);
    assert_int_equal(after(2 * MIN, 0), ALARM_QUIET); /* it was reset */
    assert_int_equal(w.figure, M(20));
    assert_int_equal(after(3 * MIN, 29.9), ALARM_QUIET);
    assert_int_equal(w.figure, M(49.9));
    assert_int_equal(after(4 * MIN, 30), ALARM_RAISED); /* what fell before is still counted */
    alarm_watch_done(&w);
    watch(ALARM_RAIN, HOUR, 50, 10, 0);
    assert_int_equal(after(0, 0.2), ALARM_QUIET);
    assert_int_equal(after(MIN, 900), ALARM_QUIET); /* 500 mm an hour at most */
    assert_int_equal(after(2 * MIN, 901), ALARM_QUIET);
    assert_int_equal(w.figure, M(1));
}

static void rain_of_a_silence_counts_where_it_is_certain(void **state)
{
    (void)state;
    watch(ALARM_RAIN, HOUR, 50, 10, 0);
    assert_int_equal(after(0, 100), ALARM_QUIET);
    assert_int_equal(after(30 * MIN, 150), ALARM_RAISED); /* all of it within the hour */
    /* two hours later: 60 mm, and nobody knows when */
    assert_int_equal(after(150 * MIN, 210), ALARM_RAISED);
    assert_int_equal(after(200 * MIN, 210), ALARM_RAISED); /* it may have been the last hour */
    assert_int_equal(after(210 * MIN, 210), ALARM_QUIET);  /* now it cannot */
    alarm_watch_done(&w);
    watch(ALARM_RAIN, HOUR, 50, 10, 0);
    assert_int_equal(after(0, 100), ALARM_QUIET);
    assert_int_equal(after(180 * MIN, 160), ALARM_QUIET); /* 60 mm in three hours raise nothing */
    assert_int_equal(w.figure, 0);
}

static void after_a_start_nothing_is_cleared_that_is_not_known(void **state)
{
    (void)state;
    watch(ALARM_RAIN, HOUR, 50, 10, 0);
    w.raised = true; /* as it was kept */
    assert_int_equal(after(0, 500), ALARM_RAISED);
    assert_int_equal(after(59 * MIN, 500), ALARM_RAISED);
    assert_int_equal(after(60 * MIN, 500), ALARM_QUIET);
    alarm_watch_done(&w);
    watch(ALARM_RAIN, HOUR, 50, 10, 0);
    w.raised = true;
    for (int m = 60; m > 0; m--) /* what the store knows: dry */
        alarm_watch_past(&w, T0 - m * MIN, M(500));
    assert_int_equal(alarm_watch_state(&w), ALARM_RAISED); /* the past alone judges nothing */
    assert_int_equal(after(0, 500), ALARM_QUIET);
    alarm_watch_done(&w);
    watch(ALARM_RISE, HOUR, 0.3, 0.1, 0);
    w.raised = true;
    for (int m = 0; m < 60; m++)
        assert_int_equal(after(m * MIN, 1.5), ALARM_RAISED);
    assert_int_equal(after(60 * MIN, 1.5), ALARM_QUIET);
}

static void water_that_rises_is_told_at_once(void **state)
{
    (void)state;
    watch(ALARM_RISE, HOUR, 0.3, 0.1, 0);
    int raised = -1;
    for (int m = 0; m < 60; m++)
        assert_int_equal(after(m * MIN, 1.0), ALARM_QUIET);
    for (int m = 60; m < 90 && raised < 0; m++) /* 2 cm a minute */
        raised = after(m * MIN, 1.0 + 0.02 * (m - 59)) == ALARM_RAISED ? m : -1;
    assert_int_equal(raised, 74); /* 15 minutes, not an hour */
    alarm_watch_done(&w);
    /* as much in ten hours is no such rise */
    watch(ALARM_RISE, HOUR, 0.3, 0.1, 0);
    for (int m = 0; m < 600; m++)
        assert_int_equal(after(m * MIN, 1.0 + 0.0015 * m), ALARM_QUIET);
    alarm_watch_done(&w);
    /* one reading too low is none, either: it would stand for an hour */
    watch(ALARM_RISE, HOUR, 0.3, 0.1, 0);
    for (int m = 0; m < 60; m++)
        assert_int_equal(after(m * MIN, m == 20 ? 0.1 : 1.0), ALARM_QUIET);
}

static void a_rise_over_a_silence_counts_within_the_hour(void **state)
{
    (void)state;
    watch(ALARM_RISE, HOUR, 0.3, 0.1, 0);
    assert_int_equal(after(0, 1.0), ALARM_QUIET);
    assert_int_equal(after(MIN, 1.0), ALARM_QUIET);
    assert_int_equal(after(40 * MIN, 1.4), ALARM_RAISED);
    for (int m = 41; m < 100; m++) /* an hour without a silence has to pass */
        assert_int_equal(after(m * MIN, 1.4), ALARM_RAISED);
    assert_int_equal(after(100 * MIN, 1.4), ALARM_QUIET);
    alarm_watch_done(&w);
    watch(ALARM_RISE, HOUR, 0.3, 0.1, 0);
    assert_int_equal(after(0, 1.0), ALARM_QUIET);
    assert_int_equal(after(MIN, 1.0), ALARM_QUIET);
    assert_int_equal(after(120 * MIN, 1.4), ALARM_QUIET); /* it had two hours */
}

static void what_is_not_newer_is_left_out(void **state)
{
    (void)state;
    watch(ALARM_ABOVE, 0, 2.5, 2.2, 0);
    assert_int_equal(after(MIN, 2.6), ALARM_RAISED);
    assert_int_equal(after(MIN, 1.0), ALARM_RAISED);
    assert_int_equal(after(0, 1.0), ALARM_RAISED);
}

static void the_window_stays_as_large_as_it_is(void **state)
{
    (void)state;
    watch(ALARM_RAIN, 24 * HOUR, 100, 50, 0);
    double total = 0;
    int raised = -1;
    for (int s = 0; s < 2 * 24 * 360; s++) { /* 0.7 mm each 10 min, a reading each 10 s */
        total += s % 60 == 0 ? 0.7 : 0;
        if (after(s * INT64_C(10000), total) == ALARM_RAISED && raised < 0)
            raised = s;
    }
    assert_true(w.n <= w.size && w.size <= 24 * 60 + 3);
    assert_in_range(w.figure, M(100.7), M(100.9)); /* 144 tips of 0.7 mm */
    assert_int_equal(raised, 143 * 60);            /* 143 of them behind the first reading */
}

static void words_are_plain_on_every_telephone(void **state)
{
    (void)state;
    char out[ALARM_SMS_BYTES], small[8];
    alarm_plain(out, sizeof out, "Nước sông vượt báo động II: Đặng Xá, ỹ Ỵ ư Ư ơ Ờ ă Ẵ ê Ễ í Ị");
    assert_string_equal(out, "Nuoc song vuot bao dong II: Dang Xa, y Y u U o O a A e E i I");
    alarm_plain(out, sizeof out, "a\u0301\n{m³} 水");
    assert_string_equal(out, "a ?m?? ?");
    alarm_plain(out, sizeof out, "\xc3");
    assert_string_equal(out, "?");
    alarm_plain(small, sizeof small, "Nước sông");
    assert_string_equal(small, "Nuoc so");
}

static void a_text_is_cut_between_characters(void **state)
{
    (void)state;
    char text[] = "nước";
    alarm_cut(text, 7);
    assert_string_equal(text, "nước");
    alarm_cut(text, 6); /* n, 2 of ư, 3 of ớ */
    assert_string_equal(text, "nướ");
    alarm_cut(text, 5);
    assert_string_equal(text, "nư");
    alarm_cut(text, 2);
    assert_string_equal(text, "n");
}

static void what_is_kept_is_read_again(void **state)
{
    (void)state;
    char text[STORE_NOTE_BYTES];
    struct alarm_kept k = {.state = ALARM_ACKNOWLEDGED, .since_ms = 1764201600000, .known_ms = 17},
                      back;
    memset(k.by, 'x', sizeof k.by - 1);
    alarm_kept_text(&k, text);
    assert_true(alarm_kept_read(text, &back));
    assert_int_equal(back.state, k.state);
    assert_int_equal(back.since_ms, k.since_ms);
    assert_int_equal(back.known_ms, 17);
    assert_string_equal(back.by, k.by);
    k = (struct alarm_kept){.state = ALARM_QUIET};
    alarm_kept_text(&k, text);
    assert_true(alarm_kept_read(text, &back) && back.by[0] == '\0');
    assert_false(alarm_kept_read("", &back));
    assert_false(alarm_kept_read("9 0 0 ", &back));
    assert_false(alarm_kept_read("1 x", &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_level_comes_and_goes_by_two_marks, done),
        cmocka_unit_test_teardown(one_reading_is_no_alarm_where_it_must_hold, done),
        cmocka_unit_test_teardown(a_sensor_that_falls_silent_clears_nothing, done),
        cmocka_unit_test_teardown(rain_is_what_fell_within_the_hour, done),
        cmocka_unit_test_teardown(rain_within_one_minute_counts, done),
        cmocka_unit_test_teardown(a_counter_that_begins_again_is_no_rain, done),
        cmocka_unit_test_teardown(rain_of_a_silence_counts_where_it_is_certain, done),
        cmocka_unit_test_teardown(after_a_start_nothing_is_cleared_that_is_not_known, done),
        cmocka_unit_test_teardown(water_that_rises_is_told_at_once, done),
        cmocka_unit_test_teardown(a_rise_over_a_silence_counts_within_the_hour, done),
        cmocka_unit_test_teardown(what_is_not_newer_is_left_out, done),
        cmocka_unit_test_teardown(the_window_stays_as_large_as_it_is, done),
        cmocka_unit_test(words_are_plain_on_every_telephone),
        cmocka_unit_test(a_text_is_cut_between_characters),
        cmocka_unit_test(what_is_kept_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
