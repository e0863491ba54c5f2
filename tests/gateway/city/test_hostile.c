/* A gateway in wrong hands has a good key: what it signs and sends costs the city nothing but its
 * own place, and harms nobody who looks at it. */
#include "tests/gateway/city/site.h"

#include "gateway/city/city_int.h"

static int setup(void **state)
{
    *state = site_open();
    return 0;
}

static int teardown(void **state)
{
    site_close(*state);
    return 0;
}

static struct sealed control(const struct site *s, uint64_t seq, const struct sealed *before,
                             const struct buf *payload)
{
    struct wire_header h = header_of(0xaa, seq, before);
    h.kind = WIRE_CONTROL;
    h.to_ms = h.from_ms;
    return seal(&h, payload, s->key);
}

/* `time` entries hold any 64 bits: no sum with a time overflows, and no reading is lost to it. */
static void a_time_entry_of_all_the_bits_moves_readings_no_further_than_time_goes(void **state)
{
    static const int64_t adds[] = {INT64_MAX, INT64_MIN};
    struct site *s = *state;
    struct sealed b[3];
    (void)state;

    b[0] = batch_make(s, 0xaa, 1, NULL);
    assert_int_equal(site_put(s, &b[0]), 201);
    for (uint64_t i = 0; i < 2; i++) {
        struct buf p;
        uint8_t boot[WIRE_ID_BYTES];
        memset(boot, 0xb0, sizeof boot);
        buf_init(&p, 4096);
        assert_int_equal(wire_put_array(&p, 2), ST_OK);
        assert_int_equal(wire_put_time(&p, boot, 1, 1, adds[i], 0), ST_OK);
        assert_int_equal(wire_put_plan(&p, "air-1/temperature", "temperature", "Cel", 1000,
                                       i ? INT64_MIN : INT64_MAX),
                         ST_OK);
        b[i + 1] = control(s, i + 2, &b[i], &p);
        assert_int_equal(site_put(s, &b[i + 1]), 201);
        buf_done(&p);
        assert_int_equal(site_rows(s), 6);
        char *text = site_dump(s, false);
        assert_non_null(strstr(text, i ? ",-9005404254440" : ",9008994255041"));
        free(text);
        const struct city_ask q = {.to_ms = INT64_MAX};
        char *report = NULL;
        size_t n = 0;
        struct err e = {.text = ""};
        FILE *f = open_memstream(&report, &n);
        assert_non_null(f);
        if (city_completeness(&s->cfg, &q, f, &e) != ST_OK)
            fail_msg("%s", e.text);
        fclose(f);
        free(report);
    }
    for (size_t i = 0; i < 3; i++)
        sealed_done(&b[i]);
}

static void a_plan_without_end_is_refused_to_those_who_ask_for_it(void **state)
{
    struct site *s = *state;
    struct sealed before = batch_make(s, 0xaa, 1, NULL);
    const uint64_t each = 8300;
    uint64_t series = 0;
    struct err e = {.text = ""};

    assert_int_equal(site_put(s, &before), 201);
    for (uint64_t seq = 2; seq < 4; seq++) {
        struct buf p;
        buf_init(&p, WIRE_BATCH_MAX);
        assert_int_equal(wire_put_array(&p, each), ST_OK);
        for (uint64_t i = 0; i < each; i++) {
            char name[40];
            snprintf(name, sizeof name, "d%llu/a", (unsigned long long)series++);
            assert_int_equal(wire_put_plan(&p, name, "temperature", "Cel", 1000, T0), ST_OK);
        }
        struct sealed b = control(s, seq, &before, &p);
        assert_int_equal(site_put(s, &b), 201); /* it is kept: it was signed */
        buf_done(&p);
        sealed_done(&before);
        before = b;
    }
    sealed_done(&before);
    const struct city_ask q = {.from_ms = T0, .to_ms = T0 + 3600000};
    FILE *f = fopen("/dev/null", "w");
    assert_non_null(f);
    assert_int_equal(city_completeness(&s->cfg, &q, f, &e), ST_FULL);
    assert_non_null(strstr(e.text, "planned more than 16384 series"));
    fclose(f);
    assert_int_equal(site_call(s, "GET",
                               "/v1/gateways/gw-1/completeness?from=2026-11-18&to=2026-11-19", NULL,
                               0, NULL),
                     503);
}

/* A reason with ESC [ 2 J would clear the screen of whoever lists it. */
static void what_a_gateway_says_does_not_steer_a_terminal(void **state)
{
    struct site *s = *state;
    struct buf p, out;
    struct err e = {.text = ""};
    char *text = NULL;
    size_t n = 0;

    buf_init(&p, 4096);
    assert_int_equal(wire_put_array(&p, 1), ST_OK);
    assert_int_equal(
        wire_put_retire(&p, "air-1/temperature", T0, "\x1b[2Jso\xc2\x9bld, b\tn\x7f\xc3\xa0"),
        ST_OK);
    struct sealed b = control(s, 1, NULL, &p);
    assert_int_equal(site_put(s, &b), 201);
    const struct city_ask q = {.to_ms = INT64_MAX};
    FILE *f = open_memstream(&text, &n);
    assert_non_null(f);
    assert_int_equal(city_retired(&s->cfg, &q, f, &e), ST_OK);
    fclose(f);
    assert_non_null(strstr(text, "\"?[2Jso?ld, b\tn?\xc3\xa0\""));
    free(text);
    buf_init(&out, 256);
    assert_int_equal(city_put_text(&out, "\x1b\xc2\x9b\"\\\n\xc3\xa0", true), ST_OK);
    assert_int_equal(buf_put(&out, "", 1), ST_OK);
    assert_string_equal((const char *)out.p, "\"\\u001b\\u009b\\\"\\\\\\u000a\xc3\xa0\"");
    buf_done(&out);
    buf_done(&p);
    sealed_done(&b);
}

static void keys_and_certificates_are_asked_for_no_faster_than_all_else(void **state)
{
    static const char *const type[] = {"Content-Type: application/cose", NULL};
    struct site *s = *state;

    city_close(s->city);
    s->cfg.rate = 3;
    site_run(s);
    for (int i = 0; i < 3; i++)
        assert_int_not_equal(site_call(s, "PUT", "/v1/gateways/gw-1/keys", "x", 1, type), 429);
    assert_int_equal(site_call(s, "PUT", "/v1/gateways/gw-1/keys", "x", 1, type), 429);
    for (int i = 0; i < 3; i++)
        assert_int_not_equal(site_call(s, "POST", "/.well-known/est/simplereenroll", "x", 1, type),
                             429);
    assert_int_equal(site_call(s, "POST", "/.well-known/est/simplereenroll", "x", 1, type), 429);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_time_entry_of_all_the_bits_moves_readings_no_further_than_time_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_plan_without_end_is_refused_to_those_who_ask_for_it,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_gateway_says_does_not_steer_a_terminal, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(keys_and_certificates_are_asked_for_no_faster_than_all_else,
                                        setup, teardown),
    };
    return cmocka_run_group_tests_name("a gateway in wrong hands", tests, NULL, NULL);
}
