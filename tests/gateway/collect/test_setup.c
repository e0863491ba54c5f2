/* Commissioning: what a profile may say of it, what was heard on a line, and how values are put
 * into registers. The whole way is system.setup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "gateway/collect/setup_int.h"
#include "tests/support/temp.h"

#define POINT "points: [{name: a, quantity: number, function: 3, address: 0, type: u16}]\n"

static char *dir;

static int begin(void **state)
{
    (void)state;
    dir = temp_make();
    return dir ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    temp_done(dir);
    return 0;
}

/* Loads a profile of this text; its mistakes. */
static enum st load(struct collect_profile *p, const char *text, char why[2048])
{
    char path[512];
    struct buf b;
    (void)snprintf(path, sizeof path, "%s/p.yaml", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    buf_init(&b, 65536);
    enum st st = collect_profile_load(p, path, dir, &b);
    (void)snprintf(why, 2048, "%.*s", (int)b.n, b.n > 0 ? (const char *)b.p : "");
    buf_done(&b);
    return st;
}

static void mistakes_of_a_setup_are_told_with_line_and_column(void **state)
{
    static const struct {
        const char *text, *line, *what;
    } bad[] = {
        {"setup:\n  unit: {type: u16}\n", ":2:", "address"},
        {"setup:\n  unit: {address: 1, type: f64}\n", ":2:", "32 bits"},
        {"setup:\n  unit: {address: 65535, type: f32}\n", ":2:", "last address"},
        {"setup:\n  unit: {address: 1, type: f32, write: 6}\n", ":2:", "function 16"},
        {"setup:\n  unit: {address: 1, write: 7}\n", ":2:", "function 16"},
        {"setup:\n  baud: {address: 1}\n", ":2:", "speeds"},
        {"setup:\n  baud:\n    address: 1\n    speeds: [{code: 1, baud: 9600}, {code: 1, baud: "
         "2400}]\n",
         ":4:", "stands twice"},
        {"setup:\n  parity: {address: 1, parities: [{code: 1, parity: mark}]}\n", ":2:", "mark"},
        {"setup:\n  unlock: {address: 1}\n", ":2:", "value"},
        {"setup:\n  unlock: {address: 1, value: 70000}\n", ":2:", "does not fit"},
        {"setup:\n  save: {address: 1, value: 0.5}\n", ":2:", "does not fit"},
        {"setup:\n  start: {function: 3, address: 1}\n", ":2:", "count"},
        {"setup:\n  start: {function: 5, address: 1, count: 0}\n", ":2:", "3, 6 or 16"},
        {"setup:\n  adress: {address: 1}\n", ":2:", "adress"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct collect_profile p = {0};
        char text[1024], why[2048];
        (void)snprintf(text, sizeof text, "%s" POINT, bad[i].text);
        if (load(&p, text, why) != ST_BAD || !strstr(why, bad[i].line) || !strstr(why, bad[i].what))
            fail_msg("%s\n%s", text, why);
        collect_profile_done(&p);
    }
}

static void a_setup_is_what_the_file_says_and_the_outer_file_wins(void **state)
{
    struct collect_profile p = {0};
    char why[2048];
    (void)state;
    assert_int_equal(
        load(&p,
             "serial: {baud: 4800, parity: even}\n"
             "setup:\n  unit: {address: 0x14, type: f32}\n"
             "  parity: {address: 2, parities: [{code: 3, parity: none, stop_bits: 2}]}\n"
             "  unlock: {address: 3, value: 1000}\n  power_cycle: true\n"
             "  start: {function: 16, address: 0x1c00, count: 0}\n" POINT,
             why),
        ST_OK);
    const struct collect_setup *s = p.setup;
    assert_non_null(s);
    assert_true(s->place[COLLECT_SETUP_UNIT].given);
    assert_int_equal(s->place[COLLECT_SETUP_UNIT].function, 16);
    assert_int_equal(s->place[COLLECT_SETUP_UNLOCK].function, 6);
    assert_false(s->place[COLLECT_SETUP_SAVE].given);
    assert_false(s->place[COLLECT_SETUP_BAUD].given);
    const struct collect_setup_code *c = s->place[COLLECT_SETUP_PARITY].codes.v;
    assert_int_equal(c->parity, 'N');
    assert_int_equal(c->stop_bits, 2);
    assert_true(s->power_cycle && s->start.given);
    assert_int_equal(p.serial.baud, 4800);
    assert_int_equal(p.serial.parity, 'E');
    collect_profile_done(&p);
    assert_int_equal(load(&p, POINT, why), ST_OK);
    assert_null(p.setup);
    collect_profile_done(&p);
}

static void encodes(int type, int order, struct num v, const char *hex)
{
    const struct collect_setup_place p = {.type = type, .order = order};
    uint8_t raw[8];
    char text[17] = "";
    size_t n = collect_setup_encode(&p, v, raw);
    for (size_t i = 0; i < n; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", raw[i]);
    assert_string_equal(text, hex);
}

static void values_are_put_into_registers_as_their_type_and_order_say(void **state)
{
    (void)state;
    encodes(COLLECT_TYPE_u16, 0, num_dec(11, 0), "000b");
    encodes(COLLECT_TYPE_u16, COLLECT_ORDER_BYTES, num_dec(11, 0), "0b00");
    encodes(COLLECT_TYPE_f32, 0, num_dec(11, 0), "41300000");
    encodes(COLLECT_TYPE_f32, COLLECT_ORDER_WORDS, num_dec(11, 0), "00004130");
    encodes(COLLECT_TYPE_f32, COLLECT_ORDER_WORDS | COLLECT_ORDER_BYTES, num_dec(11, 0),
            "00003041");
    encodes(COLLECT_TYPE_u32, 0, num_dec(4294967295, 0), "ffffffff");
    encodes(COLLECT_TYPE_s16, 0, num_dec(-1, 0), "ffff");
    encodes(COLLECT_TYPE_u16, 0, num_dec(65536, 0), "");
    encodes(COLLECT_TYPE_u16, 0, num_dec(-1, 0), "");
    encodes(COLLECT_TYPE_s16, 0, num_dec(32768, 0), "");
    encodes(COLLECT_TYPE_u16, 0, num_dec(5, -1), "");
}

/* ---- what was heard -------------------------------------------------------------------------- */

struct frame {
    uint8_t p[64];
    size_t n;
};

static struct frame frame(const char *hex)
{
    struct frame f = {.n = 0};
    unsigned byte;
    for (; *hex && sscanf(hex, "%2x", &byte) == 1; hex += 2)
        f.p[f.n++] = (uint8_t)byte;
    f.n = collect_answer_seal(f.p, f.n);
    return f;
}

static struct frame both(struct frame a, struct frame b)
{
    memcpy(a.p + a.n, b.p, b.n);
    a.n += b.n;
    return a;
}

static enum collect_heard_what heard(struct frame sent, struct frame f)
{
    struct collect_setup_answer a;
    return collect_setup_heard(sent.p, sent.n, f.p, f.n, &a);
}

static void only_one_whole_answer_is_one_device(void **state)
{
    struct frame ask = frame("010300000001"), one = frame("0103020005"), two = frame("0103020006");
    struct frame none = {.n = 0}, mixed = one, cut = one;
    (void)state;
    assert_int_equal(heard(ask, none), COLLECT_HEARD_NOTHING);
    assert_int_equal(heard(ask, one), COLLECT_HEARD_ONE);
    assert_int_equal(heard(ask, frame("018302")), COLLECT_HEARD_REFUSAL);
    assert_int_equal(heard(ask, both(one, two)), COLLECT_HEARD_MORE);
    for (size_t i = 0; i < mixed.n; i++)
        mixed.p[i] &= two.p[i];
    assert_int_equal(heard(ask, mixed), COLLECT_HEARD_MORE);
    cut.n--;
    assert_int_equal(heard(ask, cut), COLLECT_HEARD_MORE);
    assert_int_equal(heard(ask, frame("0203020005")), COLLECT_HEARD_MORE);
    assert_int_equal(heard(ask, frame("0104020005")), COLLECT_HEARD_MORE);
    /* behind an echo */
    assert_int_equal(heard(ask, ask), COLLECT_HEARD_NOTHING);
    assert_int_equal(heard(ask, both(ask, one)), COLLECT_HEARD_ONE);
    assert_int_equal(heard(ask, both(ask, both(one, two))), COLLECT_HEARD_MORE);
}

static void the_answer_to_a_write_is_told_from_an_echo_where_that_can_be(void **state)
{
    struct frame six = frame("01060002000b"), many = frame("011000140002044130000000");
    (void)state;
    assert_int_equal(heard(six, six), COLLECT_HEARD_ONE); /* or an echo: it is read back anyway */
    assert_int_equal(heard(six, both(six, six)), COLLECT_HEARD_ONE);
    assert_int_equal(heard(many, frame("011000140002")), COLLECT_HEARD_ONE);
    assert_int_equal(heard(many, many), COLLECT_HEARD_NOTHING);
    assert_int_equal(heard(many, frame("019003")), COLLECT_HEARD_REFUSAL);
}

/* ---- what is refused before a line is opened --------------------------------------------------
 */

static void hush(void *ctx, const char *line)
{
    (void)ctx, (void)line;
}

/* Unit 11 of bus `line` is m, with the profile `other`. */
static enum st set_up(const char *profile, const char *bus, int to_unit, struct err *e)
{
    struct collect_bus_cfg buses[] = {
        {.id = (char *)(uintptr_t) "line", .baud = 9600, .parity = 'N'},
        {.id = (char *)(uintptr_t) "wet", .baud = 9600, .parity = 'N'}};
    struct collect_device_cfg m = {.id = (char *)(uintptr_t) "m",
                                   .bus = (char *)(uintptr_t) "line",
                                   .unit = 11,
                                   .profile = (char *)(uintptr_t) "other"};
    const struct collect_cfg cfg = {.buses = {buses, 2}, .devices = {&m, 1}};
    const struct collect_setup_ask ask = {
        .bus = bus, .profile = profile, .unit = 1, .to_unit = to_unit};
    const struct collect_setup_talk talk = {.say = hush};
    struct collect_setup_done done;
    struct buf why;
    struct thr_stop stop;
    *e = (struct err){.text = ""};
    assert_int_equal(thr_stop_open(&stop, NULL), ST_OK);
    buf_init(&why, 65536);
    enum st st = collect_setup_run(&cfg, "gw.yaml", dir, &ask, &talk, &stop, &done, &why, e);
    buf_done(&why);
    thr_stop_close(&stop);
    assert_false(done.written);
    return st;
}

static void a_number_that_the_configuration_gives_to_another_is_refused(void **state)
{
    struct collect_profile p = {0};
    struct err e;
    char why[2048];
    (void)state;
    assert_int_equal(load(&p, "setup:\n  unit: {address: 1}\n" POINT, why), ST_OK);
    collect_profile_done(&p);
    assert_int_equal(set_up("p", "line", 11, &e), ST_CONFLICT);
    assert_string_equal(e.text, "unit 11 on bus line is m in the configuration, with the profile "
                                "other: choose another number");
    assert_int_equal(set_up("p", "line", 12, &e), ST_OK);
    assert_int_equal(set_up("p", "wet", 11, &e), ST_OK);
    /* the one that the configuration waits for */
    char from[512], to[512];
    (void)snprintf(from, sizeof from, "%s/p.yaml", dir);
    (void)snprintf(to, sizeof to, "%s/other.yaml", dir);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(set_up("other", "line", 11, &e), ST_OK);
}

static void a_sunspec_device_is_not_set_up(void **state)
{
    struct collect_profile p = {0};
    struct err e;
    char why[2048];
    (void)state;
    assert_int_equal(
        load(&p,
             "setup:\n  unit: {address: 1}\n"
             "points: [{name: w, quantity: active_power, models: [103], register: W}]\n",
             why),
        ST_OK);
    collect_profile_done(&p);
    assert_int_equal(set_up("p", "line", 12, &e), ST_BAD);
    assert_non_null(strstr(e.text, "found by asking"));
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(mistakes_of_a_setup_are_told_with_line_and_column),
        IN_FOLDER(a_setup_is_what_the_file_says_and_the_outer_file_wins),
        IN_FOLDER(a_number_that_the_configuration_gives_to_another_is_refused),
        IN_FOLDER(a_sunspec_device_is_not_set_up),
        cmocka_unit_test(values_are_put_into_registers_as_their_type_and_order_say),
        cmocka_unit_test(only_one_whole_answer_is_one_device),
        cmocka_unit_test(the_answer_to_a_write_is_told_from_an_echo_where_that_can_be),
    };
    return cmocka_run_group_tests_name("setup", tests, NULL, NULL);
}
