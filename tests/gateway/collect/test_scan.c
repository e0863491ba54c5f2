/* A scan against a line that a test plays: in which order it tries, what it finds, and what it
 * makes of the profiles. No wire, no time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/collect_int.h"
#include "tests/support/temp.h"

/* Two meters of one family, and a sensor; `other` has the sensor's first register elsewhere. */
static const char *const files[][2] = {
    {"meter",
     "model: Meter\nserial: {baud: 2400, parity: even, unit: 5}\npoints:\n"
     "  - {name: volts, quantity: voltage, function: 4, address: 0, type: u16, scale: 0.1}\n"
     "  - {name: amps, quantity: current, function: 4, address: 2, type: u16, scale: 0.1}\n"
     "  - {name: number, identity: serial, function: 3, address: 90, type: u32}\n"},
    {"meter-small",
     "model: Small meter\nserial: {baud: 2400, parity: even, unit: 5}\npoints:\n"
     "  - {name: volts, quantity: voltage, function: 4, address: 0, type: u16, scale: 0.1}\n"},
    {"sensor", "model: Sensor\nserial: {baud: 9600}\npoints:\n"
               "  - {name: humidity, quantity: humidity, function: 3, address: 7, type: u16}\n"},
    {"other", "model: Other\npoints:\n"
              "  - {name: humidity, quantity: humidity, function: 3, address: 8, type: u16}\n"},
    {"broken", "model: Broken\npoints: []\n"}};

struct played {
    int unit;
    int64_t baud; /* with even parity; 0: whatever the bus has */
    unsigned function, address[4], value[4], n;
    bool singles;  /* refuses joined reads */
    int exception; /* instead of all */
};
#define TURN_MS 1300 /* that a request waits for its turn */
#define TCP_MS 900

struct scene {
    const struct played *devices;
    size_t n, asked;
    struct collect_ask asks[2000];
    int64_t left_ms[2000], spent_ms[2000], now_ms; /* of each trial; of all that was asked */
    size_t trials;
    struct collect_found found[8];
    struct collect_fit fits[8][8];
    size_t nfound;
    enum collect_fault noise; /* what an empty line answers */
    /* What all devices have from 40000 on; they are mute about the rest. NULL: no SunSpec. */
    const unsigned short *chain;
    unsigned chain_n;
};
static struct scene *scene;
static char *dir;

static bool register_of(const struct played *d, unsigned function, unsigned address, unsigned *v)
{
    for (unsigned i = 0; i < d->n; i++)
        if (d->function == function && d->address[i] == address) {
            *v = d->value[i];
            return true;
        }
    unsigned at = address - 40000;
    bool in = scene->chain && function == 3 && address >= 40000 && at < scene->chain_n;
    *v = in ? scene->chain[at] : 0;
    return in;
}

static enum st ask(void *ctx, const struct collect_ask *q, struct collect_reply *r, struct err *e)
{
    struct scene *s = ctx;
    (void)e;
    assert_true(s->asked < 2000);
    s->asks[s->asked++] = *q;
    if (q->trial)
        s->now_ms += TURN_MS + (q->timeout_ms > 0 ? q->timeout_ms : TCP_MS); /* the worst */
    *r = (struct collect_reply){.st = ST_OK, .fault = s->noise, .took_ms = 12};
    for (size_t i = 0; i < s->n; i++) {
        const struct played *d = &s->devices[i];
        if (d->unit != q->unit || d->baud != q->line.baud || (d->baud && q->line.parity != 'E'))
            continue;
        r->fault = COLLECT_GOOD;
        r->exception = d->exception ? d->exception : 2;
        r->bytes = (size_t)2 * q->count;
        if (d->exception || (d->singles && q->count > 1))
            r->fault = COLLECT_EXCEPTION;
        for (unsigned k = 0; k < q->count && r->fault == COLLECT_GOOD; k++) {
            unsigned v = 0;
            if (!register_of(d, q->function, q->address + k, &v))
                r->fault = s->chain ? COLLECT_SILENT : COLLECT_EXCEPTION;
            r->data[2 * k] = (uint8_t)(v >> 8);
            r->data[2 * k + 1] = (uint8_t)v;
        }
    }
    return ST_OK;
}

static void trial(void *ctx, int unit, const struct collect_serial *line, int64_t left_ms)
{
    struct scene *s = ctx;
    (void)unit, (void)line;
    assert_true(s->trials < 2000);
    s->left_ms[s->trials] = left_ms;
    s->spent_ms[s->trials++] = s->now_ms;
}

static enum st found(void *ctx, const struct collect_found *f)
{
    struct scene *s = ctx;
    assert_true(s->nfound < 8 && f->n <= 8);
    memcpy(s->fits[s->nfound], f->fits, f->n * sizeof *f->fits);
    s->found[s->nfound] = *f;
    s->found[s->nfound].fits = s->fits[s->nfound];
    s->nfound++;
    return ST_OK;
}

static struct collect_scan_sum scan(const struct played *devices, size_t n, bool tune, bool all)
{
    struct collect_scan_sum sum;
    struct err e = {.text = ""};
    const struct collect_scan_how how = {.bus = "line",
                                         .profile_dir = dir,
                                         .serial = true,
                                         .line = {9600, 'N', 1},
                                         .tune = tune,
                                         .all = all,
                                         .timeout_ms = TCP_MS,
                                         .turn_ms = TURN_MS,
                                         .from = 1,
                                         .to = 10};
    scene->devices = devices;
    scene->n = n;
    const struct collect_scan_calls calls = {scene, ask, trial, found};
    if (collect_scan(&how, &calls, &sum, &e) != ST_OK)
        fail_msg("%s", e.text);
    return sum;
}

static const struct collect_fit *fit_of(size_t f, const char *name)
{
    for (size_t i = 0; i < scene->found[f].n; i++)
        if (strcmp(scene->fits[f][i].name, name) == 0)
            return &scene->fits[f][i];
    fail_msg("no word of %s", name);
    return NULL;
}

/* What is left is not less than it takes, each to its time-out, and only falls. */
static void time_left_is_true(void)
{
    assert_true(scene->trials > 1);
    for (size_t i = 0; i < scene->trials; i++) {
        assert_true(scene->left_ms[i] >= scene->now_ms - scene->spent_ms[i]);
        assert_true(i == 0 || scene->left_ms[i] < scene->left_ms[i - 1]);
    }
}

/* ---- cases ---------------------------------------------------------------------------------- */

#define METER 5, 2400, 4, {0, 2}, {2301, 15}, 2, false, 0

static void delivered_settings_come_first_and_the_first_find_ends_it(void **state)
{
    (void)state;
    const struct played devices[] = {{METER}, {7, 0, 3, {0}, {1}, 1, false, 0}};
    struct collect_scan_sum sum = scan(devices, 2, true, false);
    assert_int_equal(scene->nfound, 1);
    assert_int_equal(scene->found[0].unit, 5);
    assert_int_equal(scene->found[0].line.baud, 2400);
    assert_int_equal(scene->found[0].line.parity, 'E');
    /* unit 1 on the bus's own line as `sensor` and `other` are read, and unit 5 on the meter's */
    assert_int_equal(sum.trials, 3);
    assert_int_equal(scene->asks[0].address, 8);
    assert_int_equal(scene->asks[1].address, 7);
    assert_true(scene->asks[2].trial && scene->asks[2].line.baud == 2400);
    assert_false(scene->asks[3].trial);
}

static void without_other_speeds_the_line_is_left_as_it_is(void **state)
{
    (void)state;
    const struct played devices[] = {{METER}, {7, 0, 3, {0}, {1}, 1, false, 0}};
    (void)scan(devices, 2, false, false);
    assert_int_equal(scene->nfound, 1);
    assert_int_equal(scene->found[0].unit, 7);
    for (size_t i = 0; i < scene->asked; i++)
        assert_int_equal(scene->asks[i].line.baud, 0);
    time_left_is_true();
}

static void all_goes_on_and_finds_each_once(void **state)
{
    (void)state;
    const struct played devices[] = {
        {METER}, {7, 0, 3, {0}, {1}, 1, false, 0}, {1, 0, 3, {7}, {55}, 1, false, 0}};
    struct collect_scan_sum sum = scan(devices, 3, true, true);
    assert_int_equal(sum.found, 3);
    assert_int_equal(scene->nfound, 3);
    assert_true(fit_of(0, "sensor")->fits);
    time_left_is_true();
}

/* Where nobody answers it is not much more, either: 50 ms a trial. */
static void time_left_is_what_a_silent_bus_takes(void **state)
{
    (void)state;
    (void)scan(NULL, 0, true, true);
    time_left_is_true();
    assert_true(scene->left_ms[0] <= scene->now_ms + 50 * (int64_t)scene->trials);
    struct collect_scan_sum sum;
    struct err e = {.text = ""};
    const struct collect_scan_how tcp = {.bus = "line",
                                         .profile_dir = dir,
                                         .timeout_ms = TCP_MS,
                                         .turn_ms = TURN_MS,
                                         .from = 1,
                                         .to = 10};
    const struct collect_scan_calls calls = {scene, ask, trial, found};
    scene->trials = scene->asked = 0;
    assert_int_equal(collect_scan(&tcp, &calls, &sum, &e), ST_OK);
    time_left_is_true();
}

/* A converter says 10 or 11 where nobody answers; any other refusal is an answer. */
static void a_refusal_is_an_answer_unless_it_is_the_converter_s(void **state)
{
    (void)state;
    const struct played devices[] = {{2, 0, 3, {0}, {0}, 0, false, 11},
                                     {3, 0, 3, {0}, {0}, 0, false, 10},
                                     {4, 0, 3, {0}, {0}, 0, false, 1}};
    (void)scan(devices, 3, false, true);
    assert_int_equal(scene->nfound, 1);
    assert_int_equal(scene->found[0].unit, 4);
    for (size_t i = 0; i < scene->found[0].n; i++)
        assert_false(scene->fits[0][i].fits);
}

static void damage_is_counted_and_is_no_find(void **state)
{
    (void)state;
    scene->noise = COLLECT_GARBAGE;
    struct collect_scan_sum sum = scan(NULL, 0, false, true);
    assert_int_equal(sum.found, 0);
    assert_int_equal(sum.damaged, sum.trials);
    assert_int_equal(sum.at.baud, 9600);
}

static void a_profile_fits_when_all_it_reads_is_there_and_within_limits(void **state)
{
    (void)state;
    const struct played devices[] = {{METER}};
    (void)scan(devices, 1, true, false);
    const struct collect_fit *small = fit_of(0, "meter-small"), *meter = fit_of(0, "meter");
    assert_true(small->fits);
    assert_string_equal(small->why,
                        "1 of 1 values within their limits, 1 of them not 0, volts 230.1 V");
    assert_false(meter->fits); /* it has no serial number where the profile looks */
    assert_string_equal(meter->why, "it refuses function 3, address 90, count 2");
    assert_string_equal(fit_of(0, "sensor")->why, "it refuses function 3, address 7, count 1");
    assert_int_equal(scene->found[0].n, 4); /* not the broken one */
}

static void values_outside_their_limits_do_not_fit(void **state)
{
    (void)state;
    const struct played wet[] = {{1, 0, 3, {7}, {101}, 1, false, 0}};
    (void)scan(wet, 1, false, false);
    assert_false(fit_of(0, "sensor")->fits);
    assert_string_equal(fit_of(0, "sensor")->why, "humidity 101 %RH is outside its limits");
}

static void zeros_say_nothing(void **state)
{
    (void)state;
    const struct played zero[] = {{1, 0, 3, {7}, {0}, 1, false, 0}};
    (void)scan(zero, 1, false, false);
    assert_false(fit_of(0, "sensor")->fits);
    assert_non_null(strstr(fit_of(0, "sensor")->why, "says nothing"));
}

/* A device that refuses joined reads is read point by point. */
static void a_refused_join_is_read_in_parts(void **state)
{
    (void)state;
    static const char text[] =
        "model: Pair\nserial: {baud: 9600}\npoints:\n"
        "  - {name: humidity, quantity: humidity, function: 3, address: 7, type: u16}\n"
        "  - {name: inside, quantity: humidity, function: 3, address: 8, type: u16}\n";
    char path[512];
    (void)snprintf(path, sizeof path, "%s/pair.yaml", dir);
    FILE *f = fopen(path, "w");
    assert_true(f && fputs(text, f) >= 0 && fclose(f) == 0);
    const struct played devices[] = {{1, 0, 3, {7, 8}, {55, 44}, 2, true, 0}};
    (void)scan(devices, 1, false, false);
    assert_true(fit_of(0, "pair")->fits);
    assert_string_equal(scene->fits[0][0].name, "pair"); /* it tells most */
    assert_string_equal(fit_of(0, "pair")->why,
                        "2 of 2 values within their limits, 2 of them not 0, "
                        "humidity 55 %RH, inside 44 %RH");
    assert_int_equal(remove(path), 0);
}

/* ---- SunSpec: its points have no place of their own ----------------------------------------- */

/* A common model, and another. */
#define CHAIN(id, length)                                                                          \
    {                                                                                              \
        0x5375, 0x6E53, 1, 66, [70] = id, length, [122] = 0xFFFF, 0                                \
    }
static const unsigned short inverter[] = CHAIN(103, 50), meter[] = CHAIN(203, 50),
                            nonsense[] = CHAIN(103, 65535);
enum { CHAIN_N = sizeof inverter / sizeof *inverter };

/* What the scan makes of a device with that chain, for a profile of an inverter. */
static struct collect_fit sunny(const unsigned short *chain)
{
    static const char text[] =
        "model: Sunny\nserial: {baud: 9600}\npoints:\n"
        "  - {name: serial, models: [1], register: SN, identity: serial}\n"
        "  - {name: power, quantity: active_power, models: [103], register: W}\n";
    const struct played devices[] = {{.unit = 1, .function = 3}};
    scene->chain = chain;
    scene->chain_n = CHAIN_N;
    char path[512];
    (void)snprintf(path, sizeof path, "%s/sunny.yaml", dir);
    FILE *f = fopen(path, "w");
    assert_true(f && fputs(text, f) >= 0 && fclose(f) == 0);
    (void)scan(devices, 1, false, false);
    assert_int_equal(remove(path), 0);
    assert_int_equal(scene->nfound, 1);
    return *fit_of(0, "sunny");
}

static void a_sunspec_device_is_found_and_known_by_its_chain(void **state)
{
    (void)state;
    struct collect_fit fit = sunny(inverter);
    assert_true(fit.fits);
    assert_string_equal(fit.why, "it has SunSpec models that this profile reads");
}

static void the_model_that_all_have_does_not_make_a_profile_fit(void **state)
{
    (void)state;
    struct collect_fit fit = sunny(meter);
    assert_false(fit.fits);
    assert_string_equal(fit.why, "it has no SunSpec model that this profile reads");
}

static void a_chain_without_sense_fits_nothing(void **state)
{
    (void)state;
    struct collect_fit fit = sunny(nonsense);
    assert_false(fit.fits);
    assert_non_null(strstr(fit.why, "cannot be 65535 registers long"));
}

static int begin(void **state)
{
    (void)state;
    scene = calloc(1, sizeof *scene);
    if (scene)
        scene->noise = COLLECT_SILENT;
    return scene ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    free(scene);
    return 0;
}

static int make_dir(void **state)
{
    char path[512];
    (void)state;
    dir = temp_make();
    for (size_t i = 0; dir && i < sizeof files / sizeof *files; i++) {
        (void)snprintf(path, sizeof path, "%s/%s.yaml", dir, files[i][0]);
        FILE *f = fopen(path, "w");
        if (!f || fputs(files[i][1], f) < 0 || fclose(f) != 0)
            return -1;
    }
    return dir ? 0 : -1;
}

static int drop_dir(void **state)
{
    (void)state;
    temp_done(dir);
    return 0;
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(delivered_settings_come_first_and_the_first_find_ends_it),
        CASE(without_other_speeds_the_line_is_left_as_it_is),
        CASE(all_goes_on_and_finds_each_once),
        CASE(time_left_is_what_a_silent_bus_takes),
        CASE(a_refusal_is_an_answer_unless_it_is_the_converter_s),
        CASE(damage_is_counted_and_is_no_find),
        CASE(a_profile_fits_when_all_it_reads_is_there_and_within_limits),
        CASE(values_outside_their_limits_do_not_fit),
        CASE(zeros_say_nothing),
        CASE(a_refused_join_is_read_in_parts),
        CASE(a_sunspec_device_is_found_and_known_by_its_chain),
        CASE(the_model_that_all_have_does_not_make_a_profile_fit),
        CASE(a_chain_without_sense_fits_nothing),
    };
    return cmocka_run_group_tests_name("scan", tests, make_dir, drop_dir);
}
