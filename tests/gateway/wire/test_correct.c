/* What `correct` and `maintain` entries make of readings: batch.cddl and decision 0018. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/wire/wire.h"

#define T0 INT64_C(1790000000000)

static void add(struct wire_fixes *x, const struct buf *entry)
{
    struct wire_control c;
    struct wire_entry e;
    struct err why = {0};
    struct buf b;
    buf_init(&b, 4096);
    assert_int_equal(wire_put_array(&b, 1), ST_OK);
    assert_int_equal(buf_put(&b, entry->p, entry->n), ST_OK);
    assert_int_equal(wire_control_open(&c, b.p, b.n, &why), ST_OK);
    assert_int_equal(wire_control_next(&c, &e, &why), ST_OK);
    assert_int_equal(wire_fixes_add(x, &e, &why), ST_OK);
    buf_done(&b);
}

static void correct(struct wire_fixes *x, const char *id, const char *series, int64_t from,
                    int64_t to, const struct wire_fix *f)
{
    struct buf b;
    buf_init(&b, 4096);
    assert_int_equal(wire_put_correct(&b, id, series, T0 + from, T0 + to, f, "why", "an"), ST_OK);
    add(x, &b);
    buf_done(&b);
}

static void calibrate(struct wire_fixes *x, const char *target, int64_t from, int64_t to)
{
    static const struct wire_span empty = {(const uint8_t *)"\xa0", 1};
    int64_t to_ms = T0 + to;
    struct buf b;
    buf_init(&b, 4096);
    assert_int_equal(
        wire_put_maintain(&b, target, T0 + from, to < 0 ? NULL : &to_ms, WIRE_CALIBRATION, &empty),
        ST_OK);
    add(x, &b);
    buf_done(&b);
}

static struct wire_fix rescale(const char *scale, const char *offset)
{
    struct wire_fix f = {.what = WIRE_RESCALE};
    assert_true(num_parse(scale, &f.scale) && num_parse(offset, &f.offset));
    return f;
}

static struct wire_fix reassign(const char *target)
{
    struct wire_fix f = {.what = WIRE_REASSIGN};
    (void)snprintf(f.target, sizeof f.target, "%s", target);
    return f;
}

static const struct wire_fix gone = {.what = WIRE_INVALIDATE};

/* "device/point value q" of a reading then; "gone". */
static const char *told(struct wire_fixes *x, const char *device, const char *point, int64_t t,
                        struct num v)
{
    static char out[512];
    char value[NUM_TEXT_BYTES];
    struct wire_reading r = {.device = {(const uint8_t *)device, strlen(device)},
                             .point = {(const uint8_t *)point, strlen(point)},
                             .t_ms = T0 + t,
                             .v = v};
    if (!wire_fixes_apply(x, &r))
        return "gone";
    (void)snprintf(out, sizeof out, "%.*s/%.*s %s %u", (int)r.device.n, (const char *)r.device.p,
                   (int)r.point.n, (const char *)r.point.p, num_text(r.v, value), r.q);
    return out;
}

static struct wire_fixes *open_fixes(void)
{
    struct wire_fixes *x = NULL;
    assert_int_equal(wire_fixes_open(&x, NULL), ST_OK);
    return x;
}

static void each_does_what_it_says_within_its_time(void **state)
{
    (void)state;
    struct wire_fixes *x = open_fixes();
    struct wire_fix half = rescale("0.5", "-1"), other = reassign("e/q");
    correct(x, "1", "d/p", 10, 20, &gone);
    correct(x, "2", "d/p", 20, 30, &half);
    correct(x, "3", "d/p", 30, 40, &other);
    assert_string_equal(told(x, "d", "p", 9, num_dec(7, 0)), "d/p 7 0");
    assert_string_equal(told(x, "d", "p", 10, num_dec(7, 0)), "gone");
    assert_string_equal(told(x, "d", "p", 19, num_dec(7, 0)), "gone");
    assert_string_equal(told(x, "d", "p", 20, num_dec(7, 0)), "d/p 2.5 0");
    assert_string_equal(told(x, "d", "p", 30, num_dec(7, 0)), "e/q 7 0");
    assert_string_equal(told(x, "d", "p", 40, num_dec(7, 0)), "d/p 7 0");
    assert_string_equal(told(x, "d", "pp", 15, num_dec(7, 0)), "d/pp 7 0");
    assert_string_equal(told(x, "dd", "p", 15, num_dec(7, 0)), "dd/p 7 0");
    wire_fixes_close(x);
}

static void several_apply_in_order_and_invalidate_wins(void **state)
{
    (void)state;
    struct wire_fixes *x = open_fixes();
    struct wire_fix twice = rescale("2", "0"), more = rescale("1", "3");
    struct wire_fix e = reassign("e/q"), f = reassign("f/q");
    correct(x, "1", "d/p", 0, 100, &twice);
    correct(x, "2", "d/p", 0, 100, &more);
    correct(x, "3", "d/p", 0, 100, &e);
    correct(x, "4", "e/q", 0, 100,
            &gone); /* of readings that were e/q, not of those that are now */
    assert_string_equal(told(x, "d", "p", 5, num_dec(7, 0)), "e/q 17 0");
    assert_string_equal(told(x, "e", "q", 5, num_dec(7, 0)), "gone");
    correct(x, "5", "d/p", 0, 100, &f); /* the last name counts */
    assert_string_equal(told(x, "d", "p", 5, num_dec(7, 0)), "f/q 17 0");
    correct(x, "6", "d/p", 0, 50, &gone);
    correct(x, "7", "d/p", 0, 50, &twice);
    assert_string_equal(told(x, "d", "p", 5, num_dec(7, 0)), "gone");
    assert_string_equal(told(x, "d", "p", 50, num_dec(7, 0)), "f/q 17 0");
    wire_fixes_close(x);
}

static void the_same_id_takes_the_place(void **state)
{
    (void)state;
    struct wire_fixes *x = open_fixes();
    struct wire_fix twice = rescale("2", "0"), same = rescale("1", "0"), more = rescale("1", "1");
    correct(x, "a", "d/p", 0, 100, &twice);
    correct(x, "b", "d/p", 0, 100, &more);
    assert_string_equal(told(x, "d", "p", 5, num_dec(7, 0)), "d/p 15 0");
    correct(x, "a", "d/p", 0, 100, &twice); /* the last now: its place is that of its seal */
    assert_string_equal(told(x, "d", "p", 5, num_dec(7, 0)), "d/p 16 0");
    correct(x, "a", "d/r", 0, 100, &gone);
    assert_string_equal(told(x, "d", "p", 5, num_dec(7, 0)), "d/p 8 0");
    assert_string_equal(told(x, "d", "r", 5, num_dec(7, 0)), "gone");
    correct(x, "a", "d/r", 0, 100, &same); /* taken back */
    assert_string_equal(told(x, "d", "r", 5, num_flt(0.1)), "d/r 0.1 0");
    wire_fixes_close(x);
}

static void values_are_exact_where_decimals_can_be(void **state)
{
    (void)state;
    struct wire_fixes *x = open_fixes();
    struct wire_fix tenth = rescale("0.1", "0.02");
    correct(x, "a", "d/p", 0, 100, &tenth);
    assert_string_equal(told(x, "d", "p", 5, num_dec(3, 0)), "d/p 0.32 0");
    assert_string_equal(told(x, "d", "p", 5, num_dec(INT64_MAX, 0)),
                        "d/p 922337203685477600 0"); /* more digits than fit: binary64 */
    /* binary64: 3.0 x 0.1 is not 0.3 */
    assert_string_equal(told(x, "d", "p", 5, num_flt(3)), "d/p 0.32000000000000006 0");
    struct wire_fix huge = rescale("1000000000000000000", "0");
    correct(x, "b", "d/p", 50, 100, &huge);
    assert_string_equal(told(x, "d", "p", 60, num_flt(1e300)), "gone"); /* beyond binary64 */
    wire_fixes_close(x);
}

static void what_stands_for_many_follows(void **state)
{
    (void)state;
    struct wire_fixes *x = open_fixes();
    struct wire_fix turn = rescale("-2", "0"), other = reassign("e/q");
    correct(x, "a", "d/p", 0, 100, &turn);
    assert_string_equal(told(x, "d", "p:mean", 5, num_dec(3, 0)), "d/p:mean -6 0");
    assert_string_equal(told(x, "d", "p:min", 5, num_dec(3, 0)), "d/p:max -6 0");
    assert_string_equal(told(x, "d", "p:max", 5, num_dec(3, 0)), "d/p:min -6 0");
    assert_string_equal(told(x, "d", "p:count", 5, num_dec(3, 0)), "d/p:count 3 0");
    correct(x, "b", "d/p", 0, 100, &other);
    assert_string_equal(told(x, "d", "p:min", 5, num_dec(3, 0)), "e/q:max -6 0");
    correct(x, "c", "d/p", 0, 100, &gone);
    assert_string_equal(told(x, "d", "p:count", 5, num_dec(3, 0)), "gone");
    wire_fixes_close(x);
}

static void a_calibration_flags_what_lies_in_it(void **state)
{
    (void)state;
    struct wire_fixes *x = open_fixes();
    calibrate(x, "d/*", 10, -1);
    calibrate(x, "e/p", 10, 20);
    assert_string_equal(told(x, "d", "p", 9, num_dec(3, 0)), "d/p 3 0");
    assert_string_equal(told(x, "d", "p", 1000000, num_dec(3, 0)), "d/p 3 8");
    assert_string_equal(told(x, "e", "p", 15, num_dec(3, 0)), "e/p 3 8");
    assert_string_equal(told(x, "e", "r", 15, num_dec(3, 0)), "e/r 3 0");
    calibrate(x, "d/*", 10, 30); /* closed */
    assert_string_equal(told(x, "d", "p", 29, num_dec(3, 0)), "d/p 3 8");
    assert_string_equal(told(x, "d", "p", 30, num_dec(3, 0)), "d/p 3 0");
    calibrate(x, "e/p", 10, 10); /* never was */
    assert_string_equal(told(x, "e", "p", 15, num_dec(3, 0)), "e/p 3 0");
    wire_fixes_close(x);
}

/* ---- bytes ---- */

static bool entry_reads(const char *cbor, size_t n)
{
    struct wire_control c = {
        {(const uint8_t *)cbor, (const uint8_t *)cbor, (const uint8_t *)cbor + n}, 1, false};
    struct wire_entry e;
    return wire_control_next(&c, &e, NULL) == ST_OK;
}

#define CORRECT                                                                                    \
    "\x89\x67"                                                                                     \
    "correct\x61i\x63"                                                                             \
    "d/p"
#define TAIL                                                                                       \
    "\x61r\x61"                                                                                    \
    "a"
#define READS(s) entry_reads(s, sizeof(s) - 1)

static void arguments_are_those_of_what_it_says(void **state)
{
    (void)state;
    assert_true(READS(CORRECT "\x01\x02\x6ainvalidate\xf6" TAIL));
    assert_false(READS(CORRECT "\x02\x02\x6ainvalidate\xf6" TAIL)); /* no time at all */
    assert_false(READS(CORRECT "\x01\x02\x6ainvalidate\x80" TAIL));
    assert_true(READS(CORRECT "\x01\x02\x67rescale\x82\x02\x00" TAIL));
    assert_true(READS(CORRECT "\x01\x02\x67rescale\x82\xc4\x82\x20\x05\x00" TAIL));      /* 0.5 */
    assert_false(READS(CORRECT "\x01\x02\x67rescale\x82\xc4\x82\x20\x18\x32\x00" TAIL)); /* 5.0 */
    assert_false(READS(CORRECT "\x01\x02\x67rescale\x82\xf9\x38\x00\x00" TAIL)); /* a float */
    assert_false(READS(CORRECT "\x01\x02\x67rescale\x81\x02" TAIL));
    assert_false(READS(CORRECT "\x01\x02\x67rescale\xf6" TAIL));
    assert_true(READS(CORRECT "\x01\x02\x68reassign\x63"
                              "e/p" TAIL));
    assert_false(READS(CORRECT "\x01\x02\x68reassign\x63"
                               "d/p" TAIL)); /* onto itself */
    assert_false(READS(CORRECT "\x01\x02\x68reassign\x63"
                               "e/*" TAIL));
}

static void a_request_is_read_strictly(void **state)
{
    (void)state;
    static const uint8_t id[WIRE_ID_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct wire_request q;
    struct buf entry, whole;
    buf_init(&entry, 4096);
    buf_init(&whole, 4096);
    assert_int_equal(wire_put_array(&entry, 4), ST_OK);
    assert_int_equal(wire_put_text(&entry, "retire"), ST_OK);
    assert_int_equal(wire_put_text(&entry, "d/*"), ST_OK);
    assert_int_equal(wire_put_int(&entry, T0), ST_OK);
    assert_int_equal(wire_put_text(&entry, "sold"), ST_OK);
    assert_int_equal(wire_request_put(&whole, id, "an", T0, &entry), ST_OK);
    assert_int_equal(wire_request_open(&q, whole.p, whole.n, NULL), ST_OK);
    assert_int_equal(q.x.kind, WIRE_ENTRY_RETIRE);
    assert_memory_equal(q.id, id, sizeof id);
    assert_memory_equal(q.entry.p, entry.p, entry.n);
    for (size_t n = 0; n < whole.n; n++)
        assert_int_not_equal(wire_request_open(&q, whole.p, n, NULL), ST_OK);
    assert_int_equal(buf_put(&whole, "\n", 1), ST_OK); /* as one that was refused before */
    assert_int_not_equal(wire_request_open(&q, whole.p, whole.n, NULL), ST_OK);
    /* not what only the gateway may say */
    entry.n = whole.n = 0;
    assert_int_equal(wire_put_plan(&entry, "d/p", "voltage", "V", 1000, T0), ST_OK);
    assert_int_equal(wire_request_put(&whole, id, "an", T0, &entry), ST_OK);
    assert_int_equal(wire_request_open(&q, whole.p, whole.n, NULL), ST_BAD);
    buf_done(&entry);
    buf_done(&whole);
}

/* Who may do what: of a user, of a series, of nobody by name. */
static void a_change_names_its_author(void **state)
{
    (void)state;
    static const char *const about[] = {"lan.n", "d/p", "d/*", NULL};
    static const char *const bad[] = {"", "a b", "d/", "*", "d/p/q", "-x"};
    struct wire_control c;
    struct wire_entry x;
    struct buf b;
    for (size_t i = 0; i < sizeof about / sizeof *about; i++) {
        buf_init(&b, 4096);
        assert_int_equal(wire_put_array(&b, 1), ST_OK);
        assert_int_equal(wire_put_change(&b, T0, "user.added", about[i], "viewer", "an"), ST_OK);
        assert_int_equal(wire_control_open(&c, b.p, b.n, NULL), ST_OK);
        assert_int_equal(wire_control_next(&c, &x, NULL), ST_OK);
        assert_int_equal(x.kind, WIRE_ENTRY_CHANGE);
        assert_int_equal(x.at_ms, T0);
        assert_int_equal(x.text.n, strlen("user.added"));
        assert_int_equal(x.about.n, about[i] ? strlen(about[i]) : 0);
        assert_memory_equal(x.reason.p, "viewer", x.reason.n);
        assert_memory_equal(x.author.p, "an", x.author.n);
        buf_done(&b);
    }
    buf_init(&b, 4096);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(wire_put_change(&b, T0, "user.added", bad[i], "viewer", "an"), ST_BAD);
    assert_int_equal(wire_put_change(&b, T0, "", NULL, "viewer", "an"), ST_BAD);
    assert_int_equal(wire_put_change(&b, T0, "user.added", NULL, "", "an"), ST_BAD);
    assert_int_equal(wire_put_change(&b, T0, "user.added", NULL, "viewer", ""), ST_BAD);
    assert_int_equal(b.n, 0);
    static const uint8_t spaced[] = {0x81, 0x86, 0x66, 'c', 'h', 'a', 'n',  'g', 'e',  0,
                                     0x61, 'x',  0x63, 'a', ' ', 'b', 0x61, 'y', 0x61, 'z'};
    assert_int_equal(wire_control_open(&c, spaced, sizeof spaced, NULL), ST_OK);
    assert_int_equal(wire_control_next(&c, &x, NULL), ST_BAD);
    buf_done(&b);
}

/* An `entered` entry changes no reading; in a request it has a unit and `force` for an author. */
static void a_reading_by_hand_is_named(void **state)
{
    (void)state;
    static const uint8_t id[WIRE_ID_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct wire_control c;
    struct wire_entry x;
    struct wire_request q;
    struct buf b, whole;
    buf_init(&b, 4096);
    buf_init(&whole, 4096);
    assert_int_equal(wire_put_array(&b, 1), ST_OK);
    assert_int_equal(wire_put_entered(&b, "d/p", T0, num_dec(425, -2), "an", "slip 17"), ST_OK);
    assert_int_equal(wire_control_open(&c, b.p, b.n, NULL), ST_OK);
    assert_int_equal(wire_control_next(&c, &x, NULL), ST_OK);
    assert_int_equal(x.kind, WIRE_ENTRY_ENTERED);
    assert_int_equal(x.at_ms, T0);
    assert_int_equal(num_cmp(x.value, num_dec(425, -2)), 0);
    assert_memory_equal(x.author.p, "an", x.author.n);
    assert_memory_equal(x.reason.p, "slip 17", x.reason.n);
    struct wire_fixes *fixes = NULL;
    assert_int_equal(wire_fixes_open(&fixes, NULL), ST_OK);
    assert_int_equal(wire_fixes_add(fixes, &x, NULL), ST_OK);
    struct wire_reading r = {.t_ms = T0, .v = num_dec(425, -2), .q = WIRE_Q_HAND};
    r.device = (struct wire_span){(const uint8_t *)"d", 1};
    r.point = (struct wire_span){(const uint8_t *)"p", 1};
    assert_true(wire_fixes_apply(fixes, &r));
    assert_int_equal(r.q, WIRE_Q_HAND);
    wire_fixes_close(fixes);
    assert_int_equal(wire_put_entered(&b, "d/*", T0, num_dec(1, 0), "an", NULL), ST_BAD);
    assert_int_equal(wire_put_entered(&b, "d/p", T0, num_flt(0.5), "an", NULL), ST_BAD);
    assert_int_equal(wire_put_entered(&b, "d/p", T0, num_dec(1, 0), "", NULL), ST_BAD);
#define ENTERED                                                                                    \
    "\x86\x67"                                                                                     \
    "entered\x63"                                                                                  \
    "d/p\x01"
    assert_true(READS(ENTERED "\x02\x61"
                              "a\xf6"));
    assert_false(READS(ENTERED "\xf9\x38\x00\x61"
                               "a\xf6")); /* a float */
    assert_false(READS(ENTERED "\x02\x60\xf6"));
    assert_false(READS(ENTERED "\x02\xf6\xf6"));
    /* in a request */
    b.n = 0;
    assert_int_equal(wire_put_entered(&b, "d/p", T0, num_dec(1, 0), "an", NULL), ST_OK);
    assert_int_equal(wire_request_put(&whole, id, "an", T0, &b), ST_OK);
    assert_int_equal(wire_request_open(&q, whole.p, whole.n, NULL), ST_BAD);
    buf_done(&b);
    buf_done(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_does_what_it_says_within_its_time),
        cmocka_unit_test(several_apply_in_order_and_invalidate_wins),
        cmocka_unit_test(the_same_id_takes_the_place),
        cmocka_unit_test(values_are_exact_where_decimals_can_be),
        cmocka_unit_test(what_stands_for_many_follows),
        cmocka_unit_test(a_calibration_flags_what_lies_in_it),
        cmocka_unit_test(arguments_are_those_of_what_it_says),
        cmocka_unit_test(a_request_is_read_strictly),
        cmocka_unit_test(a_change_names_its_author),
        cmocka_unit_test(a_reading_by_hand_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
