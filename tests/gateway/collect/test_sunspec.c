/* SunSpec devices on the real bus thread: registers typed here by hand from the documents that
 * sensors/sunspec.def names, so that neither our walk nor our table made them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "gateway/collect/collect_int.h"
#include "tests/gateway/collect/fake.h"
#include "tests/gateway/collect/rig.h"
#include "tests/gateway/collect/slave.h"

#define NONE "" /* no value */
enum { CURRENT, POWER, ENERGY, PV2, VALUES };

static struct slave slave;
static struct rig rig;

/* An inverter: "SunS", the common model of 65, a vendor's model 64110 of 4, 103, 160 of two
 * strings. Values: A 1234 (-2), W 4321 (-1), WH 8760123 (0), string 2 3915 (-1). */
#define COMMON_65                                                                                  \
    0x5375, 0x6E53, 1, 65, [4] = 0x4163, 0x6D65, [20] = 0x5831, [44] = 0x312E,                     \
                           0x3000, [52] = 0x534E, 0x3437, 0x3131
#define INVERTER(at)                                                                               \
    [at] = 103, 50, 1234, 411, 411, 412, 0xFFFE, 0xFFFF, 0xFFFF, 0xFFFF, 2301, 2302, 2303, 0xFFFF, \
    4321, 0xFFFF, 5001, 0xFFFE, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x0085, 0xAB3B, 0, \
    0xFFFF, 0x8000, 0xFFFF, 0x8000, 4500, 0xFFFF, 0x8000, 412, 0x8000, 0x8000, 0xFFFF, 4
#define STRINGS(at)                                                                                \
    [at] = 160, 48, 0xFFFE, 0xFFFF, 0, 0, 0, 0, 2, 0xFFFF, [(at) + 19] = 511, 4012, 2050,          \
    [(at) + 39] = 498, 3915, 1949
static const unsigned short usual[] = {COMMON_65,    [69] = 64110,   4,      0xDEAD,
                                       0xDEAD,       0xDEAD,         0xDEAD, INVERTER(75),
                                       STRINGS(127), [177] = 0xFFFF, 0};
#define W 89 /* places in it */
#define SF_W 90
#define WH 99
#define SF_WH 101
#define SF_V2 130
enum { WORDS = sizeof usual / sizeof *usual };

/* What the unit has; copies stand as long as it may be asked. */
static struct slave_words held[8];
static unsigned short copies[8][WORDS + 1];
static unsigned nheld;

static unsigned short *lay(unsigned base)
{
    memcpy(copies[nheld], usual, sizeof usual);
    held[nheld] = (struct slave_words){base, WORDS, copies[nheld], 0};
    return copies[nheld++];
}

static void show(unsigned which)
{
    atomic_store(&slave.words[1], &held[which]);
}

static void start_all(const char *devices)
{
    char text[1024];
    bool serial = slave.address[0] == '/';
    (void)snprintf(text, sizeof text,
                   "buses:\n  plant: {type: modbus-%s, port: %s, timeout: 100ms}\ndevices:\n%s",
                   serial ? "rtu" : "tcp, host: 127.0.0.1", slave.address, devices);
    rig_start(&rig, text);
}

static void start(const char *profile)
{
    char text[256];
    (void)snprintf(text, sizeof text, "  m: {bus: plant, unit: 1, profile: %s, every: 100ms}\n",
                   profile);
    start_all(text);
}

static int begin(void **state)
{
    (void)state;
    nheld = 0;
    return slave_open_tcp(&slave, "");
}

static int end(void **state)
{
    (void)state;
    if (rig.dir)
        (void)rig_stop(&rig);
    rig = (struct rig){0};
    slave_close(&slave);
    slave = (struct slave){0};
    return 0;
}

static void values_are(const struct fake_poll *p, const char *const v[VALUES])
{
    char text[NUM_TEXT_BYTES];
    assert_int_equal(p->p.n, VALUES);
    for (size_t i = 0; i < VALUES; i++)
        assert_string_equal(num_text(p->v[i].v, text), v[i]);
}

/* The next good poll has these values. */
static size_t next_is(size_t after, const char *const v[VALUES])
{
    size_t at = fake_wait_poll(0, true, after);
    assert_int_not_equal(at, SIZE_MAX);
    struct fake_poll p = fake_at(at);
    values_are(&p, v);
    return at;
}

static const char *const right[VALUES] = {"12.34", "432.1", "8760.123", "391.5"};

static void it_is_found_at_each_place_behind_a_model_that_nobody_knows(void **state)
{
    static const unsigned bases[] = {40000, 0, 50000};
    for (size_t i = 0; i < 3; i++) {
        (void)end(state);
        assert_int_equal(begin(state), 0);
        (void)lay(bases[i]);
        show(0);
        start("sun");
        (void)next_is(0, right);
        assert_true(fake_wait_events("device.models", 1));
        char found[64];
        (void)snprintf(found, sizeof found, "SunSpec at %u, models 1, 64110, 103, 160", bases[i]);
        assert_string_equal(fake_event("device.models", 0).text, found);
        assert_true(fake_wait_events("device.text", 1));
        assert_string_equal(fake_event("device.text", 0).subject, "m/version");
        assert_string_equal(fake_event("device.text", 0).text, "it says 1.0");
        char text[STORE_NOTE_BYTES];
        (void)fake_wait_poll(0, true, fake_count());
        fake_note("serial", "m", text);
        assert_string_equal(text, "SN4711");
    }
}

/* Some leave unanswered what they do not have: one silence each, and the next place is tried. */
static void a_device_that_is_silent_where_it_has_nothing_is_found(void **state)
{
    (void)state;
    for (unsigned serial = 0; serial < 2; serial++) {
        (void)end(state);
        nheld = 0;
        assert_int_equal(serial ? slave_open_serial(&slave) : slave_open_tcp(&slave, ""), 0);
        (void)lay(50000);
        held[0].mute = 1;
        show(0);
        start("sun");
        (void)next_is(0, right);
        assert_int_equal(fake_events("device.sunspec"), 0);
    }
}

/* One unit, three devices, as SolarEdge lays them: each meter has a common model of its own. */
static void meters_behind_an_inverter_are_told_apart(void **state)
{
    static unsigned short all[WORDS + 2 * 174];
    static const struct slave_words words = {40000, sizeof all / sizeof *all, all, 0};
    (void)state;
    memcpy(all, usual, sizeof usual);
    unsigned at = WORDS - 2; /* in the place of the end */
    for (unsigned meter = 0; meter < 2; meter++, at += 174) {
        unsigned short *w = all + at;
        memset(w, 0, 174 * sizeof *w);
        w[0] = 1;
        w[1] = 65;
        w[50] = (unsigned short)(0x4D31 + meter); /* "M1", "M2" */
        w[67] = meter == 0 ? 203 : 201;
        w[68] = 105;
        w[67 + 18] = meter == 0 ? 0xF6A0 : 800; /* -2400 */
        w[67 + 46] = 0x00BC;
        w[67 + 47] = meter == 0 ? 0x614E : 0x614F;
    }
    all[at] = 0xFFFF;
    atomic_store(&slave.words[1], &words);
    start_all("  m: {bus: plant, unit: 1, profile: sun, every: 100ms}\n"
              "  a: {bus: plant, unit: 1, profile: behind, every: 100ms}\n"
              "  b: {bus: plant, unit: 1, profile: second, every: 100ms}\n");
    (void)next_is(0, right);
    static const char *const power[] = {"-2400", "800"}, *const energy[] = {"12345.678",
                                                                            "12345.679"};
    static const char *const ids[] = {"a", "b"}, *const serials[] = {"M1", "M2"};
    for (uint32_t d = 0; d < 2; d++) {
        char text[NUM_TEXT_BYTES], note[STORE_NOTE_BYTES];
        size_t i = fake_wait_poll(d + 1, true, 0);
        assert_int_not_equal(i, SIZE_MAX);
        struct fake_poll p = fake_at(i);
        assert_string_equal(num_text(p.v[0].v, text), power[d]);
        assert_string_equal(num_text(p.v[1].v, text), energy[d]);
        (void)fake_wait_poll(d + 1, true, fake_count());
        fake_note("serial", ids[d], note);
        assert_string_equal(note, serials[d]);
    }
    assert_int_equal(fake_events("device.sunspec"), 0);
}

static void no_value_is_scaled_by_another_polls_factor(void **state)
{
    (void)state;
    unsigned short *a = lay(40000), *b = lay(40000);
    a[SF_W] = 0;
    a[W] = 1234;
    b[SF_W] = 0xFFFF;
    b[W] = 12340;
    show(0);
    start("sun");
    static const char *const same[VALUES] = {"12.34", "1234", "8760.123", "391.5"};
    size_t at = next_is(0, same);
    for (unsigned i = 1; i <= 12; i++) {
        show(i % 2);
        at = next_is(at + 1, same);
    }
    assert_int_equal(fake_events("device.sunspec"), 0);
}

/* The registers of the device do not fit into one request. */
static void what_no_request_can_hold_together_is_of_one_poll(void **state)
{
    (void)state;
    (void)lay(40000);
    unsigned short *b = lay(40000);
    b[SF_V2] = 0xFFFE;
    show(0);
    start("tight");
    size_t at = next_is(0, right);
    show(1);
    (void)fake_wait_poll(0, true, at + 1); /* the change may be in the middle of it */
    static const char *const less[VALUES] = {"12.34", "432.1", "8760.123", "39.15"};
    (void)next_is(fake_count(), less);
}

static void what_the_device_does_not_have_is_no_value(void **state)
{
    (void)state;
    unsigned short *a = lay(40000);
    a[W] = 0x8000;
    a[WH] = a[WH + 1] = 0; /* acc32 */
    a[127 + 8] = 1;        /* one string */
    show(0);
    start("sun");
    static const char *const some[VALUES] = {"12.34", NONE, NONE, NONE};
    (void)next_is(0, some);
    assert_true(fake_wait_events("device.models", 1));
    assert_non_null(strstr(fake_event("device.models", 0).text, "; it has no pv2"));
    (void)fake_wait_poll(0, true, fake_count());
    assert_int_equal(fake_health(0).state, STORE_GOOD);
}

static void a_factor_that_is_none_leaves_its_values_out_and_no_others(void **state)
{
    (void)state;
    unsigned short *a = lay(40000), *b = lay(40000), *c = lay(40000);
    a[SF_W] = 0x8000;
    b[SF_W] = 11;
    c[SF_W] = 0xFFFF;
    show(0);
    start("sun");
    static const char *const but[VALUES] = {"12.34", NONE, "8760.123", "391.5"};
    (void)next_is(0, but);
    show(1);
    (void)fake_wait_poll(0, true, fake_count());
    (void)next_is(fake_count(), but);
    show(2);
    (void)fake_wait_poll(0, true, fake_count());
    (void)next_is(fake_count(), right);
}

static void a_chain_that_moves_is_found_again_and_no_wrong_value_comes(void **state)
{
    (void)state;
    (void)lay(40000);
    /* new firmware: a common model of 66, all others one register further */
    unsigned short *b = copies[nheld];
    memcpy(b, usual, 69 * sizeof *b);
    memcpy(b + 70, usual + 69, (WORDS - 69) * sizeof *b);
    b[3] = 66;
    b[69] = 0;
    held[nheld++] = (struct slave_words){40000, WORDS + 1, b, 0};
    show(0);
    start("sun");
    size_t from = next_is(0, right);
    struct fake_poll before = fake_at(from);
    show(1);
    assert_true(fake_wait_events("device.models", 1));
    size_t gap = fake_wait_poll(0, false, from);
    assert_int_not_equal(gap, SIZE_MAX);
    size_t to = next_is(gap, right);
    for (size_t i = from; i <= to; i++) {
        struct fake_poll p = fake_at(i);
        if (p.v[0].v.kind != NUM_NONE)
            values_are(&p, right);
        for (size_t k = 0; k < VALUES; k++) { /* or nothing */
            assert_int_equal(p.v[k].series, before.v[k].series);
            if (p.v[0].v.kind == NUM_NONE)
                assert_int_equal(p.v[k].v.kind, NUM_NONE);
        }
    }
    assert_int_equal(fake_events("device.changed"), 0);
}

static void a_device_that_was_away_may_be_back_at_another_place(void **state)
{
    (void)state;
    (void)lay(40000);
    (void)lay(50000);
    show(0);
    start("sun");
    size_t at = next_is(0, right);
    atomic_store(&slave.mood[1], SLAVE_MUTE);
    assert_true(fake_wait_events("device.silent", 1));
    at = fake_wait_poll(0, false, at);
    show(1);
    atomic_store(&slave.mood[1], SLAVE_GOOD);
    (void)next_is(at, right);
    assert_true(fake_wait_events("device.models", 2));
    assert_non_null(strstr(fake_event("device.models", 1).text, "SunSpec at 50000"));
}

static void refused(const char *words)
{
    start("sun");
    assert_true(fake_wait_events("device.sunspec", 1));
    struct store_event e = fake_event("device.sunspec", 0);
    if (!strstr(e.text, words))
        fail_msg("\"%s\" is not said: %s", words, e.text);
    size_t at = fake_count();
    assert_int_not_equal(fake_wait_poll(0, false, at + 2), SIZE_MAX);
    for (size_t i = 0; i < fake_count(); i++)
        assert_int_equal(fake_at(i).v[0].v.kind, NUM_NONE);
    struct store_health h = fake_health(0);
    assert_int_equal(h.state, STORE_FAULTY);
    assert_non_null(strstr(h.text, words));
    assert_int_equal(fake_events("device.sunspec"), 1);
    /* it answers: nobody waits for it, and it is asked no more until the next look */
    unsigned asked = atomic_load(&slave.requests[1]);
    assert_int_not_equal(fake_wait_poll(0, false, fake_count() + 2), SIZE_MAX);
    assert_int_equal(atomic_load(&slave.requests[1]), asked);
}

static void a_length_without_sense_is_refused(void **state)
{
    (void)state;
    unsigned short *a = lay(40000);
    a[70] = 65535;
    show(0);
    refused("its SunSpec model 64110 at address 40069 cannot be 65535 registers long");
}

static void a_device_that_is_no_sunspec_device_is_told(void **state)
{
    (void)state;
    unsigned short *a = lay(40000);
    a[1] = 0x6E54;
    show(0);
    refused("\"SunS\" stands neither at 40000 nor at 0 or 50000");
}

static void a_device_of_other_models_is_told(void **state)
{
    (void)state;
    unsigned short *a = lay(40000);
    a[75] = 113;
    a[127] = 122;
    show(0);
    refused("its SunSpec models are 1, 64110, 113, 122: none of those that its profile reads");
}

/* What is planned is known once the chain is: there is room for all that the profile names. */
static void there_is_room_for_whatever_it_turns_out_to_have(void **state)
{
    (void)state;
    (void)lay(40000);
    show(0);
    start("sun");
    const struct collect_bus *b = &rig.room->buses[0];
    size_t room = malloc_usable_size(b->values);
    assert_true(room >= b->devices[0]->profile->n * sizeof *b->values);
    (void)next_is(0, right);
}

static void a_bit_beside_the_models_is_a_value(void **state)
{
    char text[NUM_TEXT_BYTES];
    (void)state;
    (void)lay(0); /* what the bit is of: 65, the length of the common model */
    show(0);
    start("doors");
    size_t at = fake_wait_poll(0, true, 0);
    assert_int_not_equal(at, SIZE_MAX);
    struct fake_poll p = fake_at(at);
    assert_int_equal(p.p.n, VALUES + 1);
    assert_string_equal(num_text(p.v[0].v, text), "1"); /* a profile's own points come first */
    assert_string_equal(num_text(p.v[1 + POWER].v, text), right[POWER]);
}

static void its_chain_is_not_looked_for_where_the_profile_forbids_to_read(void **state)
{
    (void)state;
    (void)lay(40000);
    show(0);
    start("wary");
    assert_true(fake_wait_events("device.sunspec", 1));
    (void)end(state);
    assert_int_equal(begin(state), 0);
    (void)lay(50000);
    show(0);
    start("wary");
    (void)next_is(0, right);
}

/* Whoever stands there now may be another: where the old one had its version, it has what it has.
 */
static void no_text_is_read_where_the_chain_is_in_doubt(void **state)
{
    (void)state;
    (void)lay(40000);
    unsigned short *b = lay(40000);
    b[1] = 0x6E54;  /* no "SunS" */
    b[44] = 0x322E; /* "2." */
    show(0);
    start("sun");
    (void)next_is(0, right);
    assert_true(fake_wait_events("device.text", 1));
    atomic_store(&slave.mood[1], SLAVE_MUTE);
    assert_true(fake_wait_events("device.silent", 1));
    show(1);
    atomic_store(&slave.mood[1], SLAVE_GOOD);
    assert_true(fake_wait_events("device.sunspec", 1));
    for (size_t i = 0, at = fake_count(); i < 3; i++)
        at = fake_wait_poll(0, false, at) + 1;
    assert_int_equal(fake_events("device.text"), 1);
}

static void another_serial_number_behind_the_same_models_is_asked_about(void **state)
{
    (void)state;
    (void)lay(40000);
    unsigned short *b = lay(40000);
    b[54] = 0x3132;
    show(0);
    start("sun");
    size_t at = next_is(0, right);
    (void)fake_wait_poll(0, true, at + 1);
    atomic_store(&slave.mood[1], SLAVE_MUTE);
    assert_int_not_equal(fake_wait_poll(0, false, at), SIZE_MAX);
    at = fake_count();
    show(1);
    atomic_store(&slave.mood[1], SLAVE_GOOD);
    at = fake_wait_poll(0, true, at);
    assert_int_not_equal(at, SIZE_MAX);
    assert_true(fake_wait_events("device.changed", 1));
    struct fake_poll p = fake_at(fake_wait_poll(0, true, fake_count()));
    assert_int_equal(p.v[POWER].q, WIRE_Q_FAULT);
}

/* 8760.123 kWh in Wh, then in hundreds of Wh: 8760.1. Nothing fell, and nothing is counted twice.
 */
static void a_counter_that_is_told_more_coarsely_did_not_fall(void **state)
{
    (void)state;
    (void)lay(40000);
    unsigned short *b = lay(40000), *c = lay(40000);
    b[SF_WH] = 2;
    b[WH] = 1;
    b[WH + 1] = 0x5631; /* 87601 */
    c[SF_WH] = 2;
    c[WH] = 1;
    c[WH + 1] = 0x5632;
    show(0);
    start("sun");
    size_t at = next_is(0, right);
    assert_int_equal(fake_at(at).v[ENERGY].q, 0);
    show(1);
    (void)fake_wait_poll(0, true, fake_count());
    struct fake_poll p = fake_at(fake_wait_poll(0, true, fake_count()));
    static const char *const coarse[VALUES] = {"12.34", "432.1", "8760.1", "391.5"};
    values_are(&p, coarse);
    assert_int_equal(p.v[ENERGY].q, WIRE_Q_LIMITS);
    show(2);
    (void)fake_wait_poll(0, true, fake_count());
    p = fake_at(fake_wait_poll(0, true, fake_count()));
    assert_int_equal(p.v[ENERGY].q, 0);
    assert_int_equal(fake_events("counter.spike"), 0);
    assert_int_equal(fake_events("counter.reset"), 0);
}

/* By another thread than the bus's, which gives the points their places meanwhile. */
static void what_stands_behind_a_value_may_be_asked_while_its_chain_is_read(void **state)
{
    (void)state;
    struct collect_behind b;
    (void)lay(50000);
    show(0);
    start("sun");
    while (!collect_behind_of(rig.room, "m", "power", &b) && fake_count() < 50)
        for (int i = 0; i < 1000; i++)
            (void)collect_behind_of(rig.room, "m", "pv2", &b);
    assert_true(collect_behind_of(rig.room, "m", "power", &b));
    assert_int_equal(b.address, 50000 + W);
    assert_int_equal(b.raw[0] << 8 | b.raw[1], 4321);
    assert_string_equal(b.type, "s16");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(it_is_found_at_each_place_behind_a_model_that_nobody_knows),
        TEST(a_device_that_is_silent_where_it_has_nothing_is_found),
        TEST(meters_behind_an_inverter_are_told_apart),
        TEST(no_value_is_scaled_by_another_polls_factor),
        TEST(what_no_request_can_hold_together_is_of_one_poll),
        TEST(what_the_device_does_not_have_is_no_value),
        TEST(a_factor_that_is_none_leaves_its_values_out_and_no_others),
        TEST(a_chain_that_moves_is_found_again_and_no_wrong_value_comes),
        TEST(a_device_that_was_away_may_be_back_at_another_place),
        TEST(a_length_without_sense_is_refused),
        TEST(a_device_that_is_no_sunspec_device_is_told),
        TEST(a_device_of_other_models_is_told),
        TEST(there_is_room_for_whatever_it_turns_out_to_have),
        TEST(a_bit_beside_the_models_is_a_value),
        TEST(its_chain_is_not_looked_for_where_the_profile_forbids_to_read),
        TEST(no_text_is_read_where_the_chain_is_in_doubt),
        TEST(another_serial_number_behind_the_same_models_is_asked_about),
        TEST(a_counter_that_is_told_more_coarsely_did_not_fall),
        TEST(what_stands_behind_a_value_may_be_asked_while_its_chain_is_read),
    };
    return cmocka_run_group_tests_name("sunspec", tests, NULL, NULL);
}
