/* What a message means: SenML in both forms, JSON by pointers, ChirpStack, payloads, times; and
 * what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/push_int.h"
#include "tests/support/temp.h"

#define NOW INT64_C(1795000000000)
#define EUI "a81758fffe0512f3"

static struct collect_pack pack;
static struct collect_profile profile;
static bool wanted[STORE_POLL_MAX];

/* A mapping of these points, loaded from a file. */
static void map(const char *points)
{
    char *dir = temp_make(), path[512];
    struct buf why;
    assert_non_null(dir);
    snprintf(path, sizeof path, "%s/m.yaml", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(points, f) >= 0 && fclose(f) == 0);
    buf_init(&why, 65536);
    collect_profile_done(&profile);
    if (collect_mapping_load(&profile, path, &why) != ST_OK)
        fail_msg("%.*s", (int)why.n, (const char *)why.p);
    buf_done(&why);
    temp_done(dir);
    memset(wanted, 1, sizeof wanted);
}

static void begin(void)
{
    pack = (struct collect_pack){.profile = &profile, .wanted = wanted, .now_ms = NOW};
}

static enum st senml(const char *base, const char *text)
{
    begin();
    return collect_senml_read(&pack, base, text, strlen(text), NULL);
}

static enum st uplink(const char *text)
{
    begin();
    return collect_chirpstack_read(&pack, EUI, text, strlen(text), NULL);
}

/* Value i of the pack. */
static void is(size_t i, size_t point, const char *v, int64_t t_ms, int q)
{
    char text[NUM_TEXT_BYTES];
    assert_true(i < pack.n);
    assert_int_equal(pack.v[i].point, point);
    assert_string_equal(num_text(pack.v[i].v, text), v);
    assert_int_equal(pack.v[i].t_ms, t_ms);
    assert_int_equal(pack.v[i].q, q);
}

static const char air[] = "points:\n"
                          "  - {name: temperature, quantity: temperature}\n"
                          "  - {name: humidity, quantity: humidity, from: rh}\n"
                          "  - {name: on, quantity: state}\n";

static void senml_base_fields_are_resolved(void **state)
{
    (void)state;
    map(air);
    assert_int_equal(senml("dev:", "[{\"bn\":\"dev:\",\"bt\":1794000000,\"bu\":\"Cel\",\"bv\":20,"
                                   "\"n\":\"temperature\",\"v\":1.7,\"t\":0.5},"
                                   "{\"n\":\"rh\",\"u\":\"%RH\",\"v\":0.25},"
                                   "{\"bn\":\"dev\",\"n\":\":on\",\"u\":\"\",\"vb\":true}]"),
                     ST_OK);
    assert_int_equal(pack.n, 3);
    is(0, 0, "21.7", INT64_C(1794000000500), 0); /* exact, not 21.699999… */
    is(1, 1, "20.25", INT64_C(1794000000000), 0);
    is(2, 2, "1", INT64_C(1794000000000), 0);
    assert_int_equal(pack.v[0].v.kind, NUM_DEC);
}

static void senml_times_are_absolute_or_from_now(void **state)
{
    (void)state;
    map(air);
    assert_int_equal(senml(NULL,
                           "[{\"n\":\"rh\",\"v\":1,\"t\":-10.25},{\"n\":\"rh\",\"v\":2},"
                           "{\"n\":\"rh\",\"v\":3,\"t\":0},{\"n\":\"rh\",\"v\":4,\"t\":1e300},"
                           "{\"n\":\"rh\",\"v\":5,\"t\":-1e300}]"),
                     ST_OK);
    assert_int_equal(pack.n, 3);
    is(0, 1, "1", NOW - 10250, 0);
    is(1, 1, "2", 0, 0); /* it does not say */
    is(2, 1, "3", 0, 0);
    assert_int_equal(pack.strange, 2);
}

static void senml_of_another_unit_or_device_is_not_taken(void **state)
{
    (void)state;
    map(air);
    assert_int_equal(senml("a:", "[{\"bn\":\"a:\",\"n\":\"temperature\",\"u\":\"K\",\"v\":300},"
                                 "{\"n\":\"other\",\"v\":1},{\"bn\":\"b:\",\"n\":\"rh\",\"v\":1}]"),
                     ST_OK);
    assert_int_equal(pack.n, 0);
    assert_int_equal(pack.strange, 1);
}

static void senml_outside_the_limits_is_flagged(void **state)
{
    (void)state;
    map(air);
    assert_int_equal(senml(NULL, "[{\"n\":\"rh\",\"v\":101}]"), ST_OK);
    is(0, 1, "101", 0, WIRE_Q_LIMITS);
}

static void senml_that_breaks_a_rule_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "{}",
                                      "[1]",
                                      "[{\"n\":1}]",
                                      "[{\"v\":\"1\"}]",
                                      "[{\"vb\":1}]",
                                      "[{\"must_\":1}]",
                                      "[{\"bver\":11,\"n\":\"rh\",\"v\":1}]",
                                      "[{\"n\":\"rh\",\"v\":1,\"v\":2}]",
                                      "[",
                                      "[{\"t\":[]}]"};
    char deep[200];
    (void)state;
    map(air);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (senml(NULL, bad[i]) != ST_BAD)
            fail_msg("%s", bad[i]);
    memset(deep, '[', sizeof deep - 1); /* the parser would recurse on a small stack */
    deep[sizeof deep - 1] = '\0';
    struct err e = {0};
    begin();
    assert_int_equal(collect_senml_read(&pack, NULL, deep, strlen(deep), &e), ST_BAD);
    assert_non_null(strstr(e.text, "nested deeper"));
    assert_int_equal(senml(NULL, "[{\"n\":\"rh\",\"v\":1,\"x\":\"[[\\\"[[\"}]"), ST_OK);
}

static void a_pack_of_too_many_values_is_refused(void **state)
{
    struct buf b;
    (void)state;
    map(air);
    buf_init(&b, 1 << 20);
    assert_int_equal(buf_printf(&b, "["), ST_OK);
    for (int i = 0; i <= STORE_POLL_MAX; i++)
        assert_int_equal(
            buf_printf(&b, "%s{\"n\":\"rh\",\"v\":%d,\"t\":-%d}", i ? "," : "", i, i + 1), ST_OK);
    assert_int_equal(buf_printf(&b, "]%c", 0), ST_OK);
    assert_int_equal(senml(NULL, (char *)b.p), ST_BAD);
    buf_done(&b);
}

/* Labels as RFC 8428 numbers them; floats that are not the shortest, as others send them. */
static void senml_in_cbor_is_the_same(void **state)
{
    static const uint8_t good[] = {
        0x83,                                                                    /* three records */
        0xa4, 0x21, 0x62, 'd',  ':',         0x22, 0x1a, 0x6a, 0xee, 0x2c, 0x80, /* bn, bt */
        0x00, 0x6b, 't',  'e',  'm',         'p',  'e',  'r',  'a',  't',  'u',  'r',  'e', /* n */
        0x02, 0xfb, 0x40, 0x35, 0x80,        0,    0,    0,    0,    0, /* v: 21.5 as double */
        0xa3, 0x00, 0x62, 'r',  'h',         0x02, 0xc4, 0x82, 0x21, 0x19, 0x19, 0xe1, /* 66.25 */
        0x63, 'f',  'o',  'o',  0x9f - 0x1f, /* another's field, an empty array */
        0xa3, 0x00, 0x62, 'o',  'n',         0x04, 0xf5, 0x06, 0x18, 0x01}; /* vb, t: 1 in two bytes
                                                                             */
    static const uint8_t bad[][6] = {{0xa0},
                                     {0x81, 0x01},
                                     {0x81, 0xa1, 0x02, 0x61, '1'},
                                     {0x81, 0xa1, 0x62, 'a', '_', 0x01},
                                     {0x9f, 0xff},
                                     {0x81, 0xa1, 0x02, 0xc4, 0x01},
                                     {0x82, 0xa0}};
    static const size_t sizes[] = {1, 2, 5, 6, 2, 5, 2};
    (void)state;
    map(air);
    begin();
    struct err e = {0};
    if (collect_senml_read(&pack, "d:", good, sizeof good, &e) != ST_OK)
        fail_msg("%s", e.text);
    assert_int_equal(pack.n, 3);
    is(0, 0, "21.5", INT64_C(1793993856000), 0);
    is(1, 1, "66.25", INT64_C(1793993856000), 0);
    is(2, 2, "1", INT64_C(1793993857000), 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        begin();
        if (collect_senml_read(&pack, "d:", bad[i], sizes[i], NULL) != ST_BAD)
            fail_msg("bad %zu", i);
    }
    for (size_t n = 0; n < sizeof good; n++) { /* cut anywhere */
        begin();
        assert_int_equal(collect_senml_read(&pack, "d:", good, n, NULL), ST_BAD);
    }
}

static const char bin[] =
    "points:\n"
    "  - {name: fill, quantity: fill, from: /object/fill, port: 2, at: 0, type: u8}\n"
    "  - {name: temperature, quantity: temperature, from: /object/t, port: 2, at: 1, type: s16,\n"
    "     scale: 0.1}\n"
    "  - {name: level, quantity: number, port: 2, at: 3, type: s24, little: true, no_value: [-1]}\n"
    "  - {name: open, quantity: state, port: 2, at: 0, type: bit, bit: 7}\n"
    "  - {name: volt, quantity: number, port: 3, at: 0, type: f32}\n"
    "  - {name: snr, quantity: number, from: /rxInfo/0/snr}\n";
#define HEAD                                                                                       \
    "{\"deduplicationId\":\"x\",\"time\":\"2026-11-22T10:05:07.123456+07:00\",\"deviceInfo\":{"    \
    "\"devEui\":\"" EUI "\"},\"devAddr\":\"00189440\",\"fCnt\":4,\"fPort\":2,"
#define AT INT64_C(1795316707123)

static void an_uplink_is_read_by_its_object(void **state)
{
    (void)state;
    map(bin);
    assert_int_equal(uplink(HEAD "\"data\":\"AQID\",\"object\":{\"fill\":7,\"t\":\"21.5\"},"
                                 "\"rxInfo\":[{\"rssi\":-90}]}"),
                     ST_OK);
    assert_int_equal(pack.n, 3);
    is(0, 0, "7", AT, 0);
    is(1, 1, "21.5", AT, 0); /* the scale is the payload's alone */
    is(2, 5, "0", AT, 0);    /* a zero that its gateway left out */
}

static void an_uplink_without_object_is_read_by_its_bytes(void **state)
{
    (void)state;
    map(bin);
    /* 0x85 0xff 0x38 0x00 0x00 0x80: fill 133, -20.0, -2^23, open */
    assert_int_equal(uplink(HEAD "\"data\":\"hf84AACA\",\"object\":null}"), ST_OK);
    assert_int_equal(pack.n, 4);
    is(0, 0, "133", AT, WIRE_Q_LIMITS);
    is(1, 1, "-20", AT, 0);
    is(2, 2, "-8388608", AT, 0);
    is(3, 3, "1", AT, 0);
    assert_int_equal(uplink(HEAD "\"data\":\"BQAA////\"}"), ST_OK);
    assert_int_equal(pack.v[2].v.kind, NUM_NONE); /* the marker */
    assert_int_equal(uplink(HEAD "\"data\":\"BQ==\"}"), ST_OK);
    assert_int_equal(pack.n, 2); /* bytes that are not there leave a point out */
}

static void a_float_in_a_payload_is_exact(void **state)
{
    static const uint8_t bytes[] = {0x40, 0x49, 0x0f, 0xdb};
    (void)state;
    map(bin);
    begin();
    assert_int_equal(collect_payload_read(&pack, 3, bytes, sizeof bytes, AT), ST_OK);
    is(0, 4, "3.1415927410125732", AT, 0);
}

static void an_uplink_is_known_again(void **state)
{
    uint64_t id, radio;
    (void)state;
    map(bin);
    assert_int_equal(uplink(HEAD "\"data\":\"BQ==\"}"), ST_OK);
    id = pack.marks[0];
    radio = pack.marks[1];
    assert_true(id && radio);
    assert_int_equal(uplink("{\"deduplicationId\":\"y\",\"time\":\"2026-11-22T03:05:09Z\","
                            "\"deviceInfo\":{\"devEui\":\"" EUI "\"},\"devAddr\":\"00189440\","
                            "\"fCnt\":4,\"fPort\":2,\"data\":\"BQ==\"}"),
                     ST_OK);
    assert_true(pack.marks[0] != id && pack.marks[1] == radio);
    /* it joined again and counts from the start: another address */
    assert_int_equal(uplink("{\"deduplicationId\":\"z\",\"time\":\"2026-11-22T03:05:09Z\","
                            "\"deviceInfo\":{\"devEui\":\"" EUI "\"},\"devAddr\":\"00189441\","
                            "\"fCnt\":4,\"fPort\":2,\"data\":\"BQ==\"}"),
                     ST_OK);
    assert_true(pack.marks[1] != radio);
}

static void uplinks_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"deviceInfo\":{\"devEui\":1}}",
        "{\"deviceInfo\":{\"devEui\":\"" EUI "\"},\"data\":\"BQ==\"}",
        "{\"time\":\"yesterday\",\"deviceInfo\":{\"devEui\":\"" EUI "\"},\"data\":\"BQ==\"}",
        "{\"time\":\"1013-11-22T03:05:09Z\",\"deviceInfo\":{\"devEui\":\"" EUI "\"}}",
        HEAD "\"data\":\"BQ\"}",
        HEAD "\"data\":\"B*==\"}",
        HEAD "\"data\":\"====\"}"};
    (void)state;
    map(bin);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (uplink(bad[i]) != ST_BAD)
            fail_msg("%s", bad[i]);
    assert_int_equal(uplink("{\"deviceInfo\":{\"devEui\":\"0000000000000000\"}}"), ST_OK);
    assert_true(pack.empty); /* another device's */
}

static void json_is_read_by_pointers(void **state)
{
    static const char text[] = "{\"a/b\":{\"m~n\":[0,{\"x\":-1.5}]},\"t\":1794000000.25,"
                               "\"s\":false,\"n\":null,\"text\":\"hot\"}";
    (void)state;
    map("time: /t\npoints:\n"
        "  - {name: x, quantity: number, from: /a~1b/m~0n/1/x, scale: 2}\n"
        "  - {name: s, quantity: state, from: /s}\n"
        "  - {name: n, quantity: number, from: /n}\n"
        "  - {name: text, quantity: number, from: /text}\n"
        "  - {name: gone, quantity: number, from: /a~1b/m~0n/7/x}\n");
    begin();
    assert_int_equal(collect_json_read(&pack, text, strlen(text), NULL), ST_OK);
    assert_int_equal(pack.n, 3);
    assert_int_equal(pack.strange, 1);
    is(0, 0, "-3", INT64_C(1794000000250), 0);
    is(1, 1, "0", INT64_C(1794000000250), 0);
    assert_int_equal(pack.v[2].v.kind, NUM_NONE);
    begin();
    assert_int_equal(collect_json_read(&pack, "{}", 2, NULL), ST_BAD); /* it has no time */
}

static void times_of_rfc_3339_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: none */
    } c[] = {{"2026-11-22T03:05:07.123+00:00", AT},
             {"2026-11-22t03:05:07.1239999z", AT},
             {"2026-11-21T22:35:07.123-04:30", AT},
             {"2026-11-22T03:05:07Z", AT - 123},
             {"2026-11-22T03:05:07.Z", -1},
             {"2026-11-22T03:05:07", -1},
             {"2026-11-22 03:05:07Z", -1},
             {"2026-13-22T03:05:07Z", -1},
             {"2026-11-22T03:05:07+7:00", -1},
             {"2026-11-22T03:05:07+24:00", -1},
             {"", -1}};
    (void)state;
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        int64_t ms = -1;
        bool good = collect_time_parse(c[i].text, &ms);
        if (good != (c[i].ms >= 0) || (good && ms != c[i].ms))
            fail_msg("%s", c[i].text);
    }
}

static int done(void **state)
{
    (void)state;
    collect_profile_done(&profile);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(senml_base_fields_are_resolved),
        cmocka_unit_test(senml_times_are_absolute_or_from_now),
        cmocka_unit_test(senml_of_another_unit_or_device_is_not_taken),
        cmocka_unit_test(senml_outside_the_limits_is_flagged),
        cmocka_unit_test(senml_that_breaks_a_rule_is_refused),
        cmocka_unit_test(a_pack_of_too_many_values_is_refused),
        cmocka_unit_test(senml_in_cbor_is_the_same),
        cmocka_unit_test(an_uplink_is_read_by_its_object),
        cmocka_unit_test(an_uplink_without_object_is_read_by_its_bytes),
        cmocka_unit_test(a_float_in_a_payload_is_exact),
        cmocka_unit_test(an_uplink_is_known_again),
        cmocka_unit_test(uplinks_that_are_none_are_refused),
        cmocka_unit_test(json_is_read_by_pointers),
        cmocka_unit_test(times_of_rfc_3339_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, done);
}
