/* Texts and states: a change is told once, in words, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "gateway/collect/collect_int.h"
#include "tests/gateway/collect/fake.h"
#include "tests/gateway/collect/rig.h"
#include "tests/gateway/collect/slave.h"

/* The profile `state` of the rig: */
enum { LEVEL, MODE, ALARMS, N };
#define MINUTE_MS 60000
#define HOUR_MS INT64_C(3600000)

static struct slave slave;
static struct rig rig;
static struct clk clk;
static struct collect_bus_job job;
static int64_t ms;

static struct mono mono(void *ctx)
{
    (void)ctx;
    return (struct mono){1000 + ms};
}

static struct clk_time now(void *ctx)
{
    (void)ctx;
    return (struct clk_time){.utc_ms = INT64_C(1795000000000) + ms, .grade = CLK_SYNCED};
}

static const char one[] = "buses: {plant: {type: modbus-tcp, host: 127.0.0.1, port: %s, timeout: "
                          "100ms}}\ndevices: {m: {bus: plant, unit: 1, profile: state, every: "
                          "100ms}}\n";

static void start(void (*how)(struct rig *r, const char *text))
{
    char text[512];
    (void)snprintf(text, sizeof text, one, slave.thread ? slave.address : "502");
    how(&rig, text);
}

static void stop(void)
{
    if (rig.dir)
        (void)rig_stop(&rig);
    rig = (struct rig){0};
}

static int end(void **state)
{
    (void)state;
    stop();
    slave_close(&slave);
    slave = (struct slave){0};
    rig_before = NULL;
    return 0;
}

/* ---- one device without a line: its values are put into the judge's hand ----------------------
 */

static int begin_alone(void **state)
{
    (void)state;
    start(rig_open);
    ms = 0;
    clk = (struct clk){now, mono, NULL, NULL};
    job = (struct collect_bus_job){.collect = rig.room, .clk = &clk};
    return 0;
}

static struct collect_device *device(void)
{
    return &rig.room->devices[0];
}

static void says(double mode, double alarms, uint16_t q)
{
    struct store_value v[N] = {0};
    for (size_t i = 0; i < N; i++)
        v[i] = (struct store_value){.v = {.kind = NUM_NONE}, .q = q};
    if (mode >= 0)
        v[MODE].v = num_dec((int64_t)mode, 0);
    if (alarms >= 0)
        v[ALARMS].v = num_dec((int64_t)alarms, 0);
    collect_says_judge(&job, device(), v);
}

static void told(size_t i, const char *subject, const char *text, enum store_severity severity)
{
    assert_true(fake_events("device.status") > i);
    struct store_event ev = fake_event("device.status", i);
    assert_string_equal(ev.subject, subject);
    assert_string_equal(ev.text, text);
    assert_int_equal(ev.severity, severity);
}

static void a_change_is_told_in_words_from_old_to_new(void **state)
{
    (void)state;
    says(1, 0, 0);
    told(0, "m/mode", "it says running", STORE_INFO);
    told(1, "m/alarms", "it says none", STORE_INFO);
    says(1, 0, 0);
    assert_int_equal(fake_events("device.status"), 2);
    says(7, 1, 0);
    told(2, "m/mode", "running → fault. Call the maker.", STORE_ERROR);
    told(3, "m/alarms", "none → pipe empty. Fill it.", STORE_WARNING);
    says(2, 3, 0);
    told(4, "m/mode", "fault → idle", STORE_INFO);
    told(5, "m/alarms", "pipe empty → pipe empty + lid open", STORE_INFO);
}

static void what_the_profile_does_not_name_is_told_by_its_number(void **state)
{
    (void)state;
    says(42, 1 << 9 | 1, 0);
    told(0, "m/mode", "it says state 42", STORE_WARNING);
    told(1, "m/alarms", "it says pipe empty + bit 9. Fill it.", STORE_WARNING);
}

static void what_is_missing_or_out_of_limits_or_in_doubt_changes_nothing(void **state)
{
    (void)state;
    says(1, 0, 0);
    says(-1, -1, 0);
    says(7, 1, WIRE_Q_LIMITS);
    device()->who.doubted = true;
    says(7, 1, 0);
    device()->who.doubted = false;
    says(1, 0, 0);
    assert_int_equal(fake_events("device.status"), 2);
}

static void a_bit_that_is_no_news_is_not_told(void **state)
{
    (void)state;
    says(1, 0, 0);
    says(1, 8, 0);
    says(1, 0, 0);
    assert_int_equal(fake_events("device.status"), 2);
}

static void what_flaps_is_told_seldom_and_counted_and_its_last_state_is_told(void **state)
{
    (void)state;
    says(1, 0, 0);
    for (int i = 0; i < 60; i++) { /* ten minutes */
        ms += 10000;
        says(i % 2 ? 1 : 7, 0, 0);
    }
    /* three changes, then one in ten minutes with those between */
    assert_int_equal(fake_events("device.status"), 6);
    told(5, "m/mode", "fault → running; 57 changes in 9 min", STORE_ERROR);
    ms += 10000;
    says(2, 0, 0);
    for (int i = 0; i < 6 * 24; i++) {
        ms += 10 * MINUTE_MS;
        says(2, 0, 0);
    }
    told(6, "m/mode", "running → idle", STORE_INFO);
    assert_int_equal(fake_events("device.status"), 7);
    for (int i = 0; i < 24 * 360; i++) { /* a day */
        ms += 10000;
        says(i % 2 ? 1 : 2, 0, 0);
    }
    assert_true(fake_events("device.status") <= 7 + 4 + 144);
}

/* A SunSpec device whose models have changed, say. */
static void what_it_no_longer_has_it_no_longer_says(void **state)
{
    char all[256], fault[256];
    struct collect_point *mode =
        (struct collect_point *)(uintptr_t)&device()->profile->points[MODE];
    (void)state;
    says(7, 0, 0);
    assert_true(collect_says_text(device(), all, sizeof all, fault, sizeof fault));
    assert_string_equal(all, "mode: fault, alarms: none");
    mode->absent = true;
    collect_says_plan(device());
    assert_false(collect_says_text(device(), all, sizeof all, fault, sizeof fault));
    assert_string_equal(all, "alarms: none");
    assert_false(collect_says_ill(device()));
}

/* ---- texts ----------------------------------------------------------------------------------- */

/* The next text, when one is due. */
static bool asks(void)
{
    struct collect_request q;
    uint16_t at;
    return collect_says_due(device(), mono(NULL), &q, &at);
}

static void a_text_is_read_at_first_hourly_and_after_silence_and_its_change_is_told(void **state)
{
    (void)state;
    assert_true(asks());
    collect_says_heard(&job, device(), (const uint8_t *)"v1.0");
    assert_string_equal(fake_event("device.text", 0).text, "it says v1.0");
    assert_string_equal(fake_event("device.text", 0).subject, "m/firmware");
    assert_false(asks());
    ms += HOUR_MS - 1;
    assert_false(asks());
    ms++;
    assert_true(asks());
    collect_says_heard(&job, device(), (const uint8_t *)"v1.1");
    assert_string_equal(fake_event("device.text", 1).text, "v1.0 → v1.1");
    assert_false(asks());
    collect_says_again(device());
    assert_true(asks());
    collect_says_heard(&job, device(), (const uint8_t *)"\0\0\0\0"); /* never filled */
    assert_false(asks());
    assert_int_equal(fake_events("device.text"), 2);
}

static void a_text_that_is_never_answered_is_asked_for_three_times(void **state)
{
    int n = 0;
    (void)state;
    for (; n < 10 && asks(); n++)
        collect_says_missed(device());
    assert_int_equal(n, 3);
    collect_says_again(device());
    assert_true(asks());
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void was_told(void)
{
    fake_note_was("says", "m/mode", "1");
    fake_note_was("says", "m/alarms", "0");
    fake_note_was("says", "m/firmware", "A0A1");
}

static void set(int point, unsigned v)
{
    atomic_store(&slave.set[1][point], v);
}

/* Two polls later. */
static void polls_go_by(void)
{
    size_t at = fake_wait_poll(0, true, fake_count());
    assert_int_not_equal(at, SIZE_MAX);
    assert_int_not_equal(fake_wait_poll(0, true, at + 1), SIZE_MAX);
}

static void a_start_tells_only_what_is_new(void **state)
{
    char note[STORE_NOTE_BYTES];
    (void)state;
    assert_int_equal(slave_open_tcp(&slave, ""), 0);
    set(MODE, 1);
    rig_before = was_told;
    start(rig_start);
    polls_go_by();
    polls_go_by();
    assert_int_equal(fake_events("device.status"), 0);
    assert_true(fake_wait_events("device.text", 1)); /* its registers say another */
    set(MODE, 2);
    assert_true(fake_wait_events("device.status", 1));
    told(0, "m/mode", "running → idle", STORE_INFO);
    polls_go_by();
    fake_note("says", "m/mode", note);
    assert_string_equal(note, "2");
}

static void a_state_is_no_reading_and_a_fault_is_the_devices(void **state)
{
    (void)state;
    assert_int_equal(slave_open_tcp(&slave, ""), 0);
    set(LEVEL, 5);
    set(MODE, 7);
    start(rig_start);
    assert_true(fake_wait_events("device.status", 2));
    assert_true(fake_wait_events("device.text", 1));
    polls_go_by();
    for (size_t i = 0; i < fake_count(); i++)
        assert_int_equal(fake_at(i).p.n, 1);
    assert_int_equal(fake_at(fake_count() - 1).v[0].q, WIRE_Q_FAULT);
    struct store_health h = fake_health(0);
    assert_int_equal(h.state, STORE_FAULTY);
    assert_string_equal(h.text, "It says mode: fault. Call the maker.");
    assert_string_equal(h.says, "mode: fault, alarms: none, firmware: AAAB");
    assert_int_equal(fake_events("device.faulty"), 0); /* the event of its point has told it */
    set(MODE, 1);
    assert_true(fake_wait_events("device.status", 3));
    polls_go_by();
    assert_int_equal(fake_at(fake_count() - 1).v[0].q, 0);
    assert_int_equal(fake_health(0).state, STORE_GOOD);
    assert_int_equal(fake_events("device.good"), 0);
}

int main(void)
{
#define ALONE(test) cmocka_unit_test_setup_teardown(test, begin_alone, end)
    const struct CMUnitTest tests[] = {
        ALONE(a_change_is_told_in_words_from_old_to_new),
        ALONE(what_the_profile_does_not_name_is_told_by_its_number),
        ALONE(what_is_missing_or_out_of_limits_or_in_doubt_changes_nothing),
        ALONE(a_bit_that_is_no_news_is_not_told),
        ALONE(what_flaps_is_told_seldom_and_counted_and_its_last_state_is_told),
        ALONE(what_it_no_longer_has_it_no_longer_says),
        ALONE(a_text_is_read_at_first_hourly_and_after_silence_and_its_change_is_told),
        ALONE(a_text_that_is_never_answered_is_asked_for_three_times),
        cmocka_unit_test_teardown(a_start_tells_only_what_is_new, end),
        cmocka_unit_test_teardown(a_state_is_no_reading_and_a_fault_is_the_devices, end),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
