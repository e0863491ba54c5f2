/* E4: a counter that falls or jumps is flagged where that cannot be, and goes on where it can. I3:
 * a sensor that is stuck is flagged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "gateway/collect/collect_int.h"
#include "tests/gateway/collect/fake.h"
#include "tests/support/temp.h"

#define START_MS INT64_C(1795000000000)

/* energy: 5,000 kWh in an hour at most, 0.1 kWh steps, 6553.6 is its rollover; dial: six digits, as
 * the profile says; pulses: no rate is known. */
static const char profile[] =
    "points:\n"
    "  - {name: energy, quantity: energy_import, function: 3, address: 0, type: u16, scale: 0.1}\n"
    "  - {name: dial, quantity: water_total, function: 3, address: 1, type: f32, max_rate: 60, "
    "rollover: 999999}\n"
    "  - {name: pulses, quantity: counter, function: 3, address: 3, type: u16}\n"
    "  - {name: power, quantity: active_power, function: 3, address: 4, type: u16}\n"
    "  - {name: noise, quantity: noise, function: 3, address: 5, type: u16, scale: 0.1}\n"
    "  - {name: heat, quantity: number, function: 3, address: 6, type: u16, stuck: 2h}\n";

enum { ENERGY, DIAL, PULSES, POWER, NOISE, HEAT, N };

static struct site {
    char *dir;
    struct cfg *cfg;
    struct collect_cfg in;
    struct collect *room;
    struct clk clk;
    struct collect_bus_job job;
    int64_t ms;
    enum clk_grade grade;
} site;

static struct clk_time now(void *ctx)
{
    (void)ctx;
    return (struct clk_time){.utc_ms = START_MS + site.ms, .grade = site.grade};
}

static struct mono mono(void *ctx)
{
    (void)ctx;
    return (struct mono){1000 + site.ms};
}

static void write_file(const char *name, const char *text, char path[512])
{
    (void)snprintf(path, 512, "%s/%s", site.dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void open_site(void)
{
    char path[512];
    struct err e;
    const struct cfg_section sections[] = {
        {"buses", &collect_bus_table, &site.in.buses, true, false},
        {"devices", &collect_device_table, &site.in.devices, true, false},
        {NULL, NULL, NULL, false, false}};
    write_file("meter.yaml", profile, path);
    write_file("gw.yaml",
               "buses: {plant: {type: modbus-tcp, host: 127.0.0.1}}\n"
               "devices: {m: {bus: plant, unit: 1, profile: meter, every: 10s}}\n",
               path);
    assert_int_equal(cfg_load(&site.cfg, path, sections, NULL, &e), ST_OK);
    assert_int_equal(collect_open(&site.room, &site.in, site.cfg, site.dir, &e), ST_OK);
    assert_int_equal(collect_declare(site.room, NULL, &e), ST_OK);
    site.clk = (struct clk){now, mono, NULL, NULL};
    site.job = (struct collect_bus_job){.collect = site.room, .clk = &site.clk};
    collect_notes_load(&site.job, &site.room->buses[0]);
}

static void close_site(void)
{
    collect_close(site.room);
    cfg_free(site.cfg);
    site.room = NULL;
    site.cfg = NULL;
}

static int begin(void **state)
{
    (void)state;
    site = (struct site){.dir = temp_make(), .grade = CLK_SYNCED};
    fake_reset();
    open_site();
    return 0;
}

static int end(void **state)
{
    (void)state;
    close_site();
    temp_done(site.dir);
    return 0;
}

/* A poll in which that point showed v: its flags. The others are missing. */
static unsigned shows(int point, double v)
{
    struct collect_device *d = &site.room->devices[0];
    struct store_value values[N];
    size_t at = N;
    assert_int_equal(collect_device_values(d), N);
    for (size_t i = 0; i < N; i++) {
        values[i] = (struct store_value){.v = {.kind = NUM_NONE}};
        if (collect_device_point(d, i) == point)
            at = i;
    }
    assert_true(at < N);
    values[at].v = point == DIAL ? num_flt(v) : num_dec((int64_t)(v * 10 + 0.5), -1);
    collect_counters_judge(&site.job, d, values);
    collect_rests_judge(&site.job, d, values);
    return values[at].q;
}

/* The same s seconds later. */
static unsigned after(double s, int point, double v)
{
    site.ms += (int64_t)(s * 1000);
    return shows(point, v);
}

static void a_spike_is_flagged_and_what_goes_on_is_not(void **state)
{
    (void)state;
    assert_int_equal(shows(ENERGY, 100), 0);
    assert_int_equal(after(10, ENERGY, 100.1), 0);
    assert_int_equal(after(10, ENERGY, 9.1), WIRE_Q_LIMITS);
    assert_int_equal(after(10, ENERGY, 100.2), 0);
    assert_int_equal(after(10, ENERGY, 6000), WIRE_Q_LIMITS);
    assert_int_equal(after(10, ENERGY, 100.2), 0);
    assert_int_equal(fake_events("counter.spike"), 1); /* and not more often than once a minute */
    assert_int_equal(fake_events("counter.jump"), 0);
    assert_int_equal(after(10, POWER, 0), 0);
    assert_int_equal(after(10, POWER, 60000), 0); /* no counter */
}

static void what_is_possible_in_the_time_counts(void **state)
{
    (void)state;
    assert_int_equal(shows(ENERGY, 100), 0);
    assert_int_equal(after(1, ENERGY, 183.3), 0); /* what a minute brings may come at once */
    assert_int_equal(after(1, ENERGY, 266.9), WIRE_Q_LIMITS);
    assert_int_equal(after(1, ENERGY, 183.4), 0);
    assert_int_equal(after(3600, ENERGY, 5183.4), 0); /* after an hour of silence */
    assert_int_equal(shows(PULSES, 10), 0);
    assert_int_equal(after(1, PULSES, 60000), 0); /* how fast it may be nobody says */
    assert_int_equal(shows(DIAL, 1000), 0);
    assert_int_equal(after(10, DIAL, 1000.9), 0);
    assert_int_equal(after(10, DIAL, 1002.1), WIRE_Q_LIMITS);
}

static void a_jump_that_stays_is_asked_about_and_never_counted_by_waiting(void **state)
{
    (void)state;
    assert_int_equal(shows(ENERGY, 100), 0);
    for (int i = 0; i < 400; i++) /* more than an hour: 5,000 kWh would be possible by now */
        assert_int_equal(after(10, ENERGY, 3000 + 0.1 * i), WIRE_Q_LIMITS);
    assert_int_equal(fake_events("counter.jump"), 1);
    struct store_event ev = fake_event("counter.jump", 0);
    assert_string_equal(ev.subject, "m/energy");
    assert_non_null(strstr(ev.text, "fieldpost maintain m/energy meter --from T last=100 first="));
    /* of another series; of long ago; then the one that it waits for */
    fake_work("m", "dial", &(struct store_work){.at_ms = START_MS + site.ms});
    assert_int_equal(after(10, ENERGY, 3041), WIRE_Q_LIMITS);
    fake_work("m", "energy", &(struct store_work){.at_ms = START_MS - 2 * 3600000});
    assert_int_equal(after(10, ENERGY, 3042), WIRE_Q_LIMITS);
    fake_work("m", "energy", &(struct store_work){.at_ms = START_MS + 5000});
    assert_int_equal(after(10, ENERGY, 3043), 0);
    assert_int_equal(after(10, ENERGY, 3044), 0);
    assert_int_equal(after(10, ENERGY, 6500), WIRE_Q_LIMITS); /* it explains one jump */
}

static void a_doubt_outlives_a_restart(void **state)
{
    char text[STORE_NOTE_BYTES];
    (void)state;
    assert_int_equal(shows(ENERGY, 100), 0);
    assert_int_equal(after(10, ENERGY, 3000), WIRE_Q_LIMITS);
    close_site();
    site.ms += 2 * 3600000; /* time enough for 10,000 kWh */
    open_site();
    for (int i = 0; i < 5; i++)
        assert_int_equal(after(10, ENERGY, 3000.1), WIRE_Q_LIMITS);
    assert_int_equal(fake_events("counter.jump"), 1);
    assert_int_equal(after(10, ENERGY, 100.1), 0);
    fake_note("counter", "m/energy", text);
    assert_string_equal(text, "");
    close_site();
    open_site();
    assert_int_equal(shows(ENERGY, 3000), 0); /* a jump while it was off is not seen */
}

static void a_fall_that_stays_is_a_reset(void **state)
{
    (void)state;
    assert_int_equal(shows(PULSES, 500), 0);
    assert_int_equal(after(10, PULSES, 0), WIRE_Q_LIMITS);
    for (int i = 0; i < 5; i++)
        assert_int_equal(after(10, PULSES, 0), WIRE_Q_LIMITS);
    assert_int_equal(after(10, PULSES, 1), 0);
    assert_int_equal(fake_events("counter.reset"), 1);
    assert_int_equal(after(10, PULSES, 2), 0);
    /* zeros for a moment while it starts up are none */
    assert_int_equal(after(10, PULSES, 0), WIRE_Q_LIMITS);
    assert_int_equal(after(10, PULSES, 0), WIRE_Q_LIMITS);
    assert_int_equal(after(10, PULSES, 3), 0);
    assert_int_equal(fake_events("counter.reset"), 1);
}

static void a_rollover_goes_on_with_what_its_width_says(void **state)
{
    struct store_work w;
    (void)state;
    assert_int_equal(shows(ENERGY, 6553), 0);
    assert_int_equal(after(10, ENERGY, 0.4), 0);
    assert_int_equal(store_work_last(NULL, "m", "energy", &w, NULL), ST_OK);
    assert_int_equal(w.at_ms, START_MS + site.ms - 10000 + 1); /* between the two */
    assert_int_equal(num_cmp(w.last, num_dec(65536, -1)), 0);
    assert_int_equal(num_cmp(w.first, num_dec(0, 0)), 0);
    assert_int_equal(fake_events("counter.rollover"), 1);
    assert_int_equal(after(10, ENERGY, 0.5), 0);
    assert_int_equal(after(10, ENERGY, 900), WIRE_Q_LIMITS); /* the entry explains no other step */
    assert_int_equal(shows(DIAL, 999998.5), 0);
    assert_int_equal(after(10, DIAL, 0.25), 0);
    assert_int_equal(store_work_last(NULL, "m", "dial", &w, NULL), ST_OK);
    assert_int_equal(num_cmp(w.last, num_dec(999999, 0)), 0);
    assert_int_equal(shows(PULSES, 65000), 0);
    assert_int_equal(after(10, PULSES, 4), 0);
    assert_int_equal(store_work_last(NULL, "m", "pulses", &w, NULL), ST_OK);
    assert_int_equal(shows(PULSES, 4), 0);
    /* far from its end nothing rolls over */
    assert_int_equal(after(10, PULSES, 40000), 0);
    assert_int_equal(after(10, PULSES, 4), WIRE_Q_LIMITS);
}

static void a_rollover_without_a_clock_says_that_it_is_not_counted(void **state)
{
    struct store_work w;
    (void)state;
    site.grade = CLK_UNKNOWN;
    assert_int_equal(shows(ENERGY, 6553), 0);
    assert_int_equal(after(10, ENERGY, 0.4), 0);
    assert_int_equal(store_work_last(NULL, "m", "energy", &w, NULL), ST_NOT_FOUND);
    assert_non_null(strstr(fake_event("counter.rollover", 0).text, "not counted"));
}

static void what_never_rests_is_stuck_after_its_hours(void **state)
{
    char text[STORE_NOTE_BYTES];
    (void)state;
    assert_int_equal(shows(NOISE, 55.5), 0);
    assert_int_equal(shows(HEAT, 20), 0);
    assert_int_equal(shows(POWER, 0), 0);
    assert_int_equal(after(3600, NOISE, 55.6), 0);
    assert_int_equal(shows(HEAT, 20), 0);
    for (int i = 1; i < 12; i++) {
        assert_int_equal(after(1800, NOISE, 55.6), 0);
        assert_int_equal(shows(HEAT, 20), i < 4 ? 0 : WIRE_Q_STUCK); /* as its profile says */
    }
    assert_int_equal(after(1800, NOISE, 55.6), WIRE_Q_STUCK);
    assert_int_equal(after(3600, NOISE, 55.6), WIRE_Q_STUCK);
    assert_int_equal(after(100 * 3600, POWER, 0), 0); /* what may rest */
    assert_int_equal(fake_events("sensor.stuck"), 2);
    assert_string_equal(fake_event("sensor.stuck", 1).subject, "m/noise");
    close_site();
    open_site();
    assert_int_equal(shows(NOISE, 55.6), WIRE_Q_STUCK); /* a restart moves nothing */
    assert_int_equal(after(10, NOISE, 55.7), 0);
    assert_int_equal(fake_events("sensor.moves"), 1);
    fake_note("stuck", "m/noise", text);
    assert_string_equal(text, "");
    assert_int_equal(after(3600, NOISE, 55.7), 0);
    assert_int_equal(shows(HEAT, 21), 0);
    assert_int_equal(after(1801, HEAT, 21), 0); /* it was away: nobody saw it rest */
    assert_int_equal(after(1800, HEAT, 21), 0);
    assert_int_equal(after(1800, HEAT, 21), 0);
    assert_int_equal(after(1800, HEAT, 21), 0);
    assert_int_equal(after(1800, HEAT, 21), WIRE_Q_STUCK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_spike_is_flagged_and_what_goes_on_is_not, begin, end),
        cmocka_unit_test_setup_teardown(what_is_possible_in_the_time_counts, begin, end),
        cmocka_unit_test_setup_teardown(
            a_jump_that_stays_is_asked_about_and_never_counted_by_waiting, begin, end),
        cmocka_unit_test_setup_teardown(a_doubt_outlives_a_restart, begin, end),
        cmocka_unit_test_setup_teardown(a_fall_that_stays_is_a_reset, begin, end),
        cmocka_unit_test_setup_teardown(a_rollover_goes_on_with_what_its_width_says, begin, end),
        cmocka_unit_test_setup_teardown(a_rollover_without_a_clock_says_that_it_is_not_counted,
                                        begin, end),
        cmocka_unit_test_setup_teardown(what_never_rests_is_stuck_after_its_hours, begin, end),
    };
    return cmocka_run_group_tests_name("counter", tests, NULL, NULL);
}
