/* Profiles and the sections `buses` and `devices`: every file of sensors/profile loads, every
 * mistake is told with its place and the nearest known name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/collect_int.h"
#include "tests/support/temp.h"

#define PROFILES FP_SOURCE_DIR "/sensors/profile"

static char *dir;

static int make_dir(void **state)
{
    (void)state;
    dir = temp_make();
    return dir ? 0 : -1;
}

static int drop_dir(void **state)
{
    (void)state;
    temp_done(dir);
    return 0;
}

static void write_file(const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

struct loaded {
    struct cfg *cfg;
    struct collect_cfg in;
    struct collect *room;
};

/* Loads text as the configuration; returns what collect_open says, messages in l->cfg. */
static enum st load(struct loaded *l, const char *text)
{
    char path[512];
    write_file("gw.yaml", text);
    (void)snprintf(path, sizeof path, "%s/gw.yaml", dir);
    *l = (struct loaded){0};
    const struct cfg_section sections[] = {
        {"buses", &collect_bus_table, &l->in.buses, true, false},
        {"devices", &collect_device_table, &l->in.devices, true, false},
        {NULL, NULL, NULL, false, false}};
    struct err e;
    enum st st = cfg_load(&l->cfg, path, sections, NULL, &e);
    assert_non_null(l->cfg);
    enum st opened = collect_open(&l->room, &l->in, l->cfg, PROFILES, &e);
    return st == ST_OK ? opened : st;
}

static void unload(struct loaded *l)
{
    collect_close(l->room);
    cfg_free(l->cfg);
}

static void complains(const struct loaded *l, const char *what)
{
    const char *text;
    cfg_complaints(l->cfg, &text);
    if (!strstr(text, what))
        fail_msg("\"%s\" is not in:\n%s", what, text);
}

static void every_installed_profile_loads_and_plans(void **state)
{
    DIR *d = opendir(PROFILES);
    size_t n = 0;
    (void)state;
    assert_non_null(d);
    for (struct dirent *f; (f = readdir(d)) != NULL;) {
        struct collect_profile p;
        struct collect_plan plan;
        struct buf why;
        char path[1024];
        if (!strstr(f->d_name, ".yaml"))
            continue;
        buf_init(&why, 65536);
        (void)snprintf(path, sizeof path, "%s/%s", PROFILES, f->d_name);
        if (collect_profile_load(&p, path, PROFILES, &why) != ST_OK)
            fail_msg("%.*s", (int)why.n, (const char *)why.p);
        bool *wanted = malloc(p.n);
        assert_non_null(wanted);
        memset(wanted, 1, p.n);
        const struct collect_bus_cfg bus = {.type = COLLECT_TCP};
        const struct collect_line line = collect_line_make(&bus, &p, -1);
        assert_int_equal(collect_plan_make(&plan, &p, wanted, &line, NULL), ST_OK);
        assert_true(plan.nrequests > 0 && plan.nrequests <= p.n);
        assert_true(strlen(p.model) > 0);
        collect_plan_done(&plan);
        collect_profile_done(&p);
        buf_done(&why);
        free(wanted);
        n++;
    }
    (void)closedir(d);
    assert_true(n >= 4);
}

static enum st load_profile(struct collect_profile *p, const char *text, struct buf *why)
{
    char path[512];
    write_file("about.yaml", text);
    (void)snprintf(path, sizeof path, "%s/about.yaml", dir);
    buf_init(why, 65536);
    enum st st = collect_profile_load(p, path, PROFILES, why);
    assert_int_equal(buf_put(why, "", 1), ST_OK);
    return st;
}

static void a_change_of_a_verified_map_is_not_verified(void **state)
{
    struct collect_profile p;
    struct buf why;
    (void)state;
    assert_int_equal(load_profile(&p, "extends: eastron-sdm630\nmodel: mine\n", &why), ST_OK);
    assert_false(p.verified);
    assert_string_equal(p.model, "mine");
    assert_string_equal(p.what, "three-phase energy meter");
    collect_profile_done(&p);
    buf_done(&why);
    assert_int_equal(
        load_profile(&p, "extends: eastron-sdm630\nverified: true\nsource: our own\n", &why),
        ST_OK);
    assert_true(p.verified);
    assert_string_equal(p.source, "our own");
    collect_profile_done(&p);
    buf_done(&why);
}

static void what_a_profile_says_of_itself_is_bounded_and_has_its_source(void **state)
{
    static const char point[] =
        "points:\n  - {name: a, quantity: number, function: 3, address: 0, type: u16}\n";
    char text[1024], longest[COLLECT_SOURCE_MAX + 2];
    struct collect_profile p;
    struct buf why;
    (void)state;
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    for (size_t over = 0; over < 2; over++) {
        (void)snprintf(text, sizeof text, "model: m\nsource: %s\n%s", longest + 1 - over, point);
        assert_int_equal(load_profile(&p, text, &why), over ? ST_BAD : ST_OK);
        if (over)
            assert_non_null(strstr((char *)why.p, "about.yaml:2:9: source: at most 300 bytes"));
        collect_profile_done(&p);
        buf_done(&why);
    }
    (void)snprintf(text, sizeof text, "model: m\nverified: true\n%s", point);
    assert_int_equal(load_profile(&p, text, &why), ST_BAD);
    assert_non_null(strstr((char *)why.p, "about.yaml:2:11: verified: needs \"source\""));
    collect_profile_done(&p);
    buf_done(&why);
    (void)snprintf(text, sizeof text, "model: m\nverifed: true\n%s", point);
    assert_int_equal(load_profile(&p, text, &why), ST_BAD);
    assert_non_null(strstr((char *)why.p, "did you mean \"verified\""));
    collect_profile_done(&p);
    buf_done(&why);
}

static void the_energy_meter_takes_four_requests(void **state)
{
    struct loaded l;
    (void)state;
    assert_int_equal(load(&l, "buses:\n  a: {type: modbus-tcp, host: 127.0.0.1}\n"
                              "devices:\n  m: {bus: a, unit: 1, profile: eastron-sdm630}\n"),
                     ST_OK);
    assert_int_equal(l.room->devices[0].plan.nrequests, 4);
    assert_int_equal(l.room->devices[0].plan.nitems, 48);
    assert_int_equal(l.room->buses[0].cfg->timeout_ms, 1000);
    assert_string_equal(l.room->buses[0].cfg->port, "502");
    unload(&l);
}

static void all_mistakes_are_told_at_once_with_their_place(void **state)
{
    struct loaded l;
    (void)state;
    assert_int_equal(
        load(&l,
             "buses:\n"
             "  line: {type: modbus-rtu, port: /dev/ttyUSB0, baud: 9601}\n"              /* 2 */
             "  twin: {type: modbus-rtu, port: /dev/ttyUSB0}\n"                          /* 3 */
             "  net: {type: modbus-tcp, host: plc, port: 70000, parity: even}\n"         /* 4 */
             "  bare: {type: modbus-tcp}\n"                                              /* 5 */
             "  slow: {type: modbus-tcp, host: plc, timeout: 4s}\n"                      /* 6 */
             "devices:\n"                                                                /* 7 */
             "  a: {bus: lin, unit: 1, profile: eastron-sdm630}\n"                       /* 8 */
             "  b: {bus: line, unit: 0, profile: eastron-sdm63}\n"                       /* 9 */
             "  c: {bus: line, unit: 3, profile: renke-weather, points: [temprature]}\n" /* 10 */
             "  d: {bus: line, unit: 3, profile: renke-weather, every: 50ms}\n"          /* 11 */
             "  e: {bus: net, unit: 255, profile: renke-weather, stream: fod}\n"         /* 12 */
             "  modem: {bus: net, unit: 0, profile: ./mine.yaml}\n"                      /* 13 */
             "  f: {bus: net, unit: 1, profile: renke-weather, points: [noise, noise]}\n"),
        ST_BAD);
    static const char *const expected[] = {
        "gw.yaml:2:54: bus line: 9601 baud",
        "gw.yaml:3:34: bus twin: the port /dev/ttyUSB0 is bus line already",
        "gw.yaml:4:44: bus net: port 70000",
        "gw.yaml:4:59: bus net: a modbus-tcp bus has no parity",
        "gw.yaml:5:3: bus bare: \"host\" is missing",
        "gw.yaml:6:",
        "gw.yaml:8:12: unknown bus \"lin\"; did you mean \"line\"?",
        "gw.yaml:9:24: unit 0: on a serial bus units are 1 to 247",
        "gw.yaml:9:36: unknown profile \"eastron-sdm63\"; did you mean \"eastron-sdm630\"?",
        ("gw.yaml:10:59: profile renke-weather has no point \"temprature\"; did you mean "
         "\"temperature\"?"),
        "gw.yaml:11:24: unit 3 on bus line is c already",
        "gw.yaml:11:58: ",
        "gw.yaml:12:",
        "gw.yaml:13:3: the device id modem is the gateway's own",
        "mine.yaml:1:1: cannot be read: No such file or directory",
        "gw.yaml:14:58: the point noise is named twice",
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        complains(&l, expected[i]);
    assert_null(l.room);
    assert_int_equal(cfg_complaints(l.cfg, NULL), sizeof expected / sizeof *expected);
    unload(&l);
}

static void what_a_device_was_is_told_with_its_days(void **state)
{
    struct loaded l;
    struct store *s;
    (void)state;
    assert_int_equal(
        load(&l,
             "buses:\n  n: {type: modbus-tcp, host: h}\n"
             "devices:\n  a: {bus: n, unit: 1, profile: renke-weather, role: collection-point,\n"
             "      stream: food, capacity: 1.1m3, was: [{until: 2026-01-31, stream: other,\n"
             "      capacity: 240l}, {until: 2026-06-30, place: gate}]}\n"),
        ST_OK);
    assert_int_equal(store_open_declared(&s, "g", NULL), ST_OK);
    assert_int_equal(collect_declare(l.room, s, NULL), ST_OK);
    const struct store_device *d = store_device_at(s, 0);
    assert_int_equal(num_cmp(d->capacity, num_dec(1100, 0)), 0);
    assert_int_equal(d->nwas, 2);
    assert_int_equal(d->was[0].until_day, 20484); /* 2026-01-31 */
    assert_string_equal(d->was[0].stream, "other");
    assert_string_equal(d->was[0].role, "collection-point");
    assert_int_equal(num_cmp(d->was[0].capacity, num_dec(240, 0)), 0);
    assert_int_equal(d->was[1].until_day, 20634);
    assert_string_equal(d->was[1].stream, "food");
    assert_string_equal(d->was[1].place, "gate");
    assert_int_equal(num_cmp(d->was[1].capacity, num_dec(1100, 0)), 0);
    assert_null(d->place);
    store_close(s);
    unload(&l);
}

static void what_a_device_was_is_checked(void **state)
{
    struct loaded l;
    (void)state;
    assert_int_equal(load(&l, "buses:\n  n: {type: modbus-tcp, host: h}\n"
                              "devices:\n"
                              "  a: {bus: n, unit: 1, profile: renke-weather, capacity: 240kg,\n"
                              "      was: [{until: 2026-06-31, stream: food},\n"
                              "            {until: 2026-05-30, stream: fod},\n"
                              "            {until: 2026-05-30, capacity: 0l},\n"
                              "            {until: 2026-07-30}, {stream: food}]}\n"),
                     ST_BAD);
    static const char *const expected[] = {
        "gw.yaml:4:58: device a: capacity 240kg: write a volume above 0 in l or m3",
        "gw.yaml:5:21: device a: until 2026-06-31: write a day",
        "gw.yaml:6:41: ",
        "gw.yaml:7:21: device a: until 2026-05-30 is not behind the one before",
        "gw.yaml:7:43: device a: capacity 0l",
        "gw.yaml:8:21: device a: was says nothing of the time until 2026-07-30",
        "\"until\" is missing",
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        complains(&l, expected[i]);
    assert_int_equal(cfg_complaints(l.cfg, NULL), sizeof expected / sizeof *expected);
    unload(&l);
}

static void mistakes_of_a_profile_are_told_once_at_its_own_lines(void **state)
{
    struct loaded l;
    const char *text;
    (void)state;
    write_file(
        "bad.yaml",
        "max_registers: 4\n"
        "points:\n"
        "  - {name: a, quantity: temprature, function: 3, address: 0, type: u16}\n"
        "  - {name: b, quantity: number, function: 1, address: 0, type: u16}\n"
        "  - {name: c, quantity: number, function: 3, address: 0, type: u33}\n"
        "  - {name: d, quantity: number, function: 3, address: 0, type: u16, order: HGFEDCBA}\n"
        "  - {name: e, function: 3, address: 0, type: u16}\n"
        "  - {name: f, function: 3, address: 0, type: string}\n"
        "  - {name: g, quantity: number, function: 3, address: 0, type: u16, scale: 0}\n"
        "  - {name: h, quantity: number, function: 3, address: 65535, type: u32}\n"
        "  - {name: i, quantity: number, function: 3, address: 0, type: u16, no_value: [70000]}\n"
        "  - {name: a, quantity: number, function: 3, address: 0, type: u16}\n"
        "  - {name: k, quantity: number, function: 5, address: 0, type: u16}\n"
        "  - {name: l, quantity: state, function: 2, address: 0, type: bit, scale: 2}\n");
    assert_int_equal(load(&l, "buses:\n  n: {type: modbus-tcp, host: h}\n"
                              "devices:\n  a: {bus: n, unit: 1, profile: bad.yaml}\n"
                              "  b: {bus: n, unit: 2, profile: bad.yaml}\n"),
                     ST_BAD);
    static const char *const expected[] = {
        "gw.yaml:4:33: ",
        "bad.yaml:3:25: unknown quantity \"temprature\"; did you mean \"temperature\"?",
        "bad.yaml:4:64: b: functions 1 and 2 read type bit",
        "bad.yaml:5:",
        "bad.yaml:6:76: d: an order of eight letters is for 64-bit types; write DCBA",
        "bad.yaml:7:12: e: \"quantity\" is missing",
        "bad.yaml:8:12: f: count is the number of registers of a string: it needs one",
        "bad.yaml:9:76: g: a scale of 0",
        "bad.yaml:10:55: h: ends beyond the last address",
        "bad.yaml:11:79: i: the no_value marker 70000 does not fit a u16",
        "bad.yaml:12:12: the point a stands twice",
        "bad.yaml:13:",
        "bad.yaml:14:12: l: a bit has no scale",
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        complains(&l, expected[i]);
    (void)cfg_complaints(l.cfg, &text);
    assert_null(strstr(text, "gw.yaml:5:"));
    unload(&l);
}

static void mistakes_of_sunspec_points_are_told(void **state)
{
    struct loaded l;
    (void)state;
    write_file("sun.yaml",
               "points:\n"
               "  - {name: a, quantity: active_power, models: [64110], register: W}\n"
               "  - {name: b, quantity: voltage, models: [101, 103], register: PhVPhA}\n"
               "  - {name: c, quantity: active_power, models: [103]}\n"
               "  - {name: d, quantity: active_power, models: [103], register: W, address: 40083}\n"
               "  - {name: e, quantity: active_power, register: W}\n"
               "  - {name: f, models: [103], register: W}\n"
               "  - {name: g, quantity: active_power, models: [103, 203], register: A}\n"
               "  - {name: h, quantity: active_power, models: [-1], register: W}\n");
    assert_int_equal(load(&l, "buses:\n  n: {type: modbus-tcp, host: h}\n"
                              "devices:\n  a: {bus: n, unit: 1, profile: ./sun.yaml}\n"),
                     ST_BAD);
    static const char *const expected[] = {
        "a: SunSpec model 64110 is not known here",
        "b: SunSpec model 101 has no register \"PhVPhA\" here; did you mean \"PhVphA\"?",
        "c: \"register\" is missing",
        "d: a register of a SunSpec model has no address of its own",
        "e: \"function\" is missing",
        "e: \"address\" is missing",
        "e: register and block are of SunSpec models",
        "f: \"quantity\" is missing",
        "g: model 203 has another type of A than model 103",
        "h: SunSpec model -1 is not known here",
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        complains(&l, expected[i]);
    unload(&l);
}

/* A device whose models are not where they usually are is not judged before it was asked. */
static void sunspec_points_have_a_plan_before_the_device_was_asked(void **state)
{
    struct loaded l;
    (void)state;
    write_file("sun.yaml",
               "instance: 2\npoints:\n"
               "  - {name: sn, models: [1], register: SN, identity: serial}\n"
               "  - {name: w, quantity: active_power, models: [203], register: W}\n"
               "  - {name: pv, quantity: voltage, models: [160], register: DCV, block: 5}\n");
    assert_int_equal(load(&l, "buses:\n  n: {type: modbus-tcp, host: h}\n"
                              "devices:\n  a: {bus: n, unit: 1, profile: ./sun.yaml}\n"
                              "  b: {bus: n, unit: 2, profile: ./sun.yaml, points: [pv]}\n"),
                     ST_OK);
    struct collect_show_device a, b;
    collect_show_device(l.room, 0, 0, &a);
    collect_show_device(l.room, 0, 1, &b);
    assert_true(a.assumed && b.assumed);
    assert_int_equal(a.points, 2);
    assert_int_equal(b.points, 1);
    assert_true(a.requests > 0 && b.requests > 0);
    unload(&l);
}

static void what_no_request_or_value_can_meet_is_a_mistake(void **state)
{
    struct loaded l;
    (void)state;
    write_file("tight.yaml",
               "max_registers: 2\n"
               "points:\n"
               "  - {name: a, quantity: number, function: 3, address: 0, type: u64}\n"
               "  - {name: b, quantity: humidity, function: 3, address: 9, type: u16, valid: [200, "
               "300]}\n");
    assert_int_equal(load(&l, "buses:\n  n: {type: modbus-tcp, host: h}\n"
                              "devices:\n  a: {bus: n, unit: 1, profile: ./tight.yaml}\n"),
                     ST_BAD);
    complains(&l, "the point a needs a request of 4, function 3 takes at most 2");
    complains(&l, "valid of the point b lies outside the limits of humidity");
    unload(&l);
}

static void limits_are_told_by_function_and_checked(void **state)
{
    struct loaded l;
    (void)state;
    write_file("base.yaml",
               "max_registers: 8\nmax_bits: 16\nturnaround: 40ms\n"
               "forbidden: [{function: 3, from: 20, to: 29}]\npoints:\n"
               "  - {name: a, quantity: number, function: 3, address: 1, type: u16}\n");
    write_file("mine.yaml", "extends: base.yaml\nlimits: [{function: 4, max: 4}]\n"
                            "forbidden: [{function: 3, from: 0, to: 0}]\n");
    assert_int_equal(load(&l, "buses:\n  n: {type: modbus-tcp, host: h}\n"
                              "devices:\n  a: {bus: n, unit: 1, profile: mine.yaml}\n"
                              "  b: {bus: n, unit: 2, profile: mine.yaml, turnaround: 5ms}\n"),
                     ST_OK);
    const struct collect_profile *p = &l.room->profiles[0];
    static const unsigned most[] = {16, 16, 8, 4};
    for (int f = 1; f <= 4; f++)
        assert_int_equal(p->most[f], most[f - 1]);
    assert_int_equal(p->nforbidden, 2); /* those of the base stay */
    assert_int_equal(l.room->devices[0].line.request_ns - l.room->devices[1].line.request_ns,
                     35000000);
    unload(&l);
    write_file("mine.yaml", "extends: base.yaml\nsplit: true\njoined: false\n"
                            "limits:\n  - {function: 4, max: 126}\n  - {function: 4, max: 2}\n"
                            "forbidden: [{function: 3, from: 9, to: 8}]\n");
    assert_int_equal(load(&l, "buses:\n  n: {type: modbus-tcp, host: h}\n"
                              "devices:\n  a: {bus: n, unit: 1, profile: mine.yaml}\n"),
                     ST_BAD);
    complains(&l, "mine.yaml:5:24: function 4 brings at most 125 registers");
    complains(&l, "mine.yaml:6:16: function 4 has a limit already");
    complains(&l, "mine.yaml:7:40: the last address, 8, lies before the first, 9");
    unload(&l);
    write_file("mine.yaml", "extends: base.yaml\nsplit: true\njoined: false\n"
                            "forbidden: [{function: 3, from: 1, to: 1}]\n");
    assert_int_equal(load(&l, "buses:\n  n: {type: modbus-tcp, host: h}\n"
                              "devices:\n  a: {bus: n, unit: 1, profile: mine.yaml}\n"),
                     ST_BAD);
    complains(&l, "the point a needs addresses that are forbidden");
    complains(&l, "split: what refuses joined reads takes whole points only");
    unload(&l);
}

static void a_profile_changes_points_of_the_one_it_extends(void **state)
{
    struct loaded l;
    (void)state;
    write_file("base.yaml",
               "model: Base\nmax_registers: 8\npause: 30ms\npoints:\n"
               "  - {name: w, quantity: weight, function: 3, address: 7, type: s32, scale: 0.1}\n"
               "  - {name: s, quantity: status, function: 3, address: 6, type: u16}\n");
    write_file("mine.yaml",
               "extends: base.yaml\njoined: false\npoints:\n"
               "  - {name: w, quantity: weight, function: 3, address: 7, type: s32, order: CDAB}\n"
               "  - {name: t, quantity: number, function: 4, address: 1, type: u16}\n");
    write_file("loop.yaml", "extends: loop.yaml\n");
    assert_int_equal(load(&l, "buses:\n  n: {type: modbus-tcp, host: h}\n"
                              "devices:\n  a: {bus: n, unit: 1, profile: mine.yaml}\n"),
                     ST_OK);
    const struct collect_profile *p = &l.room->profiles[0];
    assert_int_equal(p->n, 3);
    assert_string_equal(p->points[0].name, "w");
    assert_int_equal(p->points[0].order, COLLECT_ORDER_WORDS);
    assert_int_equal(num_cmp(p->points[0].scale, num_dec(1, 0)), 0);
    assert_string_equal(p->points[2].name, "t");
    assert_string_equal(p->model, "Base");
    assert_int_equal(p->most[3], 8);
    assert_int_equal(p->most[1], COLLECT_BITS_MAX);
    assert_int_equal(p->pause_ms, 30);
    assert_false(p->joined);
    unload(&l);
    assert_int_equal(load(&l, "buses:\n  n: {type: modbus-tcp, host: h}\n"
                              "devices:\n  a: {bus: n, unit: 1, profile: loop.yaml}\n"),
                     ST_BAD);
    complains(&l, "extend each other more than 4 deep");
    unload(&l);
}

static void a_bus_may_wait_for_its_devices(void **state)
{
    struct loaded l;
    (void)state;
    assert_int_equal(load(&l, "buses:\n  n: {type: modbus-tcp, host: h}\n"), ST_OK);
    assert_int_equal(collect_bus_count(l.room), 1);
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_installed_profile_loads_and_plans),
        cmocka_unit_test(a_change_of_a_verified_map_is_not_verified),
        cmocka_unit_test(what_a_profile_says_of_itself_is_bounded_and_has_its_source),
        cmocka_unit_test(the_energy_meter_takes_four_requests),
        cmocka_unit_test(all_mistakes_are_told_at_once_with_their_place),
        cmocka_unit_test(mistakes_of_a_profile_are_told_once_at_its_own_lines),
        cmocka_unit_test(mistakes_of_sunspec_points_are_told),
        cmocka_unit_test(sunspec_points_have_a_plan_before_the_device_was_asked),
        cmocka_unit_test(what_no_request_or_value_can_meet_is_a_mistake),
        cmocka_unit_test(limits_are_told_by_function_and_checked),
        cmocka_unit_test(what_a_device_was_is_told_with_its_days),
        cmocka_unit_test(what_a_device_was_is_checked),
        cmocka_unit_test(a_profile_changes_points_of_the_one_it_extends),
        cmocka_unit_test(a_bus_may_wait_for_its_devices),
    };
    return cmocka_run_group_tests_name("config", tests, make_dir, drop_dir);
}
