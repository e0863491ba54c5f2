#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "gateway/uplink/uplink_int.h"

#define PROBLEM "application/problem+json"
/* The hash of the batch in question: 32 times 0xab. */
#define HASH "abababababababababababababababababababababababababababababababab"
#define OTHER "cdababababababababababababababababababababababababababababababab"

static struct uplink_verdict judge(int status, const char *type, const char *body)
{
    uint8_t hash[WIRE_HASH_BYTES];
    struct http_reply r = {.status = status};
    memset(hash, 0xab, sizeof(hash));
    (void)snprintf(r.content_type, sizeof(r.content_type), "%s", type);
    buf_init(&r.body, 4096);
    assert_int_equal(buf_put(&r.body, body, strlen(body)), ST_OK);
    struct uplink_verdict v = uplink_judge(&r, hash);
    buf_done(&r.body);
    return v;
}

static void only_the_citys_word_about_our_bytes_is_final(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *type, *body;
        enum uplink_action action;
    } v[] = {
        {201, "application/cose", "", UPLINK_ACCEPTED},
        {200, "application/cose", "", UPLINK_ACCEPTED},
        {400, PROBLEM, "{\"code\":\"bad_cbor\",\"sha256\":\"" HASH "\"}", UPLINK_REFUSED},
        {422, PROBLEM "; charset=utf-8", "{\"sha256\":\"" HASH "\", \"code\": \"bad_signature\"}",
         UPLINK_REFUSED},
        {409, PROBLEM, "{\"code\":\"conflict\",\"sha256\":\"" HASH "\"}", UPLINK_CONFLICT},
        /* each of these lacks one thing that makes it final */
        {400, PROBLEM, "{\"code\":\"bad_cbor\"}", UPLINK_HOLD},
        {400, PROBLEM, "{\"code\":\"bad_cbor\",\"sha256\":\"" OTHER "\"}", UPLINK_HOLD},
        {400, PROBLEM, "{\"code\":\"bad_cbor\",\"sha256\":\"\"}", UPLINK_HOLD},
        {400, PROBLEM, "{\"code\":\"bad_cbor\",\"sha256\":\"" HASH "\"", UPLINK_HOLD},
        {400, PROBLEM, "{\"code\":\"bad_cbor\",\"code\":\"bad_cbor\",\"sha256\":\"" HASH "\"}",
         UPLINK_HOLD},
        {400, "application/json", "{\"code\":\"bad_cbor\",\"sha256\":\"" HASH "\"}", UPLINK_HOLD},
        {400, "application/problem+jsonx", "{\"code\":\"bad_cbor\",\"sha256\":\"" HASH "\"}",
         UPLINK_HOLD},
        {500, PROBLEM, "{\"code\":\"bad_cbor\",\"sha256\":\"" HASH "\"}", UPLINK_HOLD},
        {302, PROBLEM, "{\"code\":\"bad_cbor\",\"sha256\":\"" HASH "\"}", UPLINK_RETRY},
        {503, PROBLEM, "{\"code\":\"bad_signature\",\"sha256\":\"" HASH "\"}", UPLINK_RETRY},
        {400, PROBLEM, "{\"code\":\"conflict\",\"sha256\":\"" HASH "\"}", UPLINK_HOLD},
        {409, PROBLEM, "{\"code\":\"conflict\",\"sha256\":\"" OTHER "\"}", UPLINK_HOLD},
        {409, "text/html", "<html>conflict</html>", UPLINK_HOLD},
        /* never final, whatever they say */
        {401, PROBLEM, "{\"code\":\"unauthorized\",\"sha256\":\"" HASH "\"}", UPLINK_KEY},
        {403, PROBLEM, "{\"code\":\"wrong_gateway\",\"sha256\":\"" HASH "\"}", UPLINK_RETRY},
        {404, PROBLEM, "{\"code\":\"unknown_gateway\",\"sha256\":\"" HASH "\"}", UPLINK_RETRY},
        {403, PROBLEM, "{\"code\":\"unknown_key\",\"sha256\":\"" HASH "\"}", UPLINK_KEY},
        {413, PROBLEM, "{\"code\":\"too_large\",\"sha256\":\"" HASH "\"}", UPLINK_HOLD},
        {415, PROBLEM, "{\"code\":\"unsupported_type\",\"sha256\":\"" HASH "\"}", UPLINK_HOLD},
        {400, PROBLEM, "{\"code\":\"version\",\"sha256\":\"" HASH "\"}", UPLINK_HOLD},
        {429, PROBLEM, "{\"code\":\"rate\",\"sha256\":\"" HASH "\"}", UPLINK_RETRY},
        {503, PROBLEM, "{\"code\":\"unavailable\",\"sha256\":\"" HASH "\"}", UPLINK_RETRY},
        {400, PROBLEM, "{\"code\":\"invented\",\"sha256\":\"" HASH "\"}", UPLINK_HOLD},
        {401, "text/html", "<html>", UPLINK_RETRY},
        {403, "", "", UPLINK_RETRY},
        {404, "text/html", "<html>", UPLINK_RETRY},
        {413, "", "", UPLINK_HOLD},
        {415, "", "", UPLINK_HOLD},
        {429, "", "", UPLINK_RETRY},
        {301, "text/html", "", UPLINK_RETRY},
        {500, "text/html", "<html>", UPLINK_HOLD},
        {502, "text/html", "", UPLINK_RETRY},
        {204, "", "", UPLINK_HOLD},
        /* a sign-in page: no batch will pass it */
        {200, "text/html; charset=utf-8", "<html>sign in</html>", UPLINK_RETRY},
    };
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        struct uplink_verdict got = judge(v[i].status, v[i].type, v[i].body);
        if (got.action != v[i].action) {
            fail_msg("%d %s %s: action %d, not %d", v[i].status, v[i].type, v[i].body, got.action,
                     v[i].action);
        }
        assert_non_null(got.advice);
    }
    assert_string_equal(judge(400, PROBLEM, "{\"code\":\"bad_cbor\",\"sha256\":\"" HASH "\"}").code,
                        "bad_cbor");
}

static bool member(const char *json, const char *name, char out[16])
{
    return uplink_problem_member((const uint8_t *)json, strlen(json), name, out, 16);
}

static void problem_members_are_read_strictly(void **state)
{
    (void)state;
    char out[16];
    assert_true(member(" { \"a\" : 1.5e3 , \"b\" : true, \"code\":\"x\\\"y\" } ", "code", out));
    assert_string_equal(out, "x\"y");
    static const char *const bad[] = {"",
                                      "{}",
                                      "[\"code\"]",
                                      "{\"code\":\"x\"",
                                      "{\"code\":\"x\"} x",
                                      "{\"code\":\"x\",}",
                                      "{\"code\":5}",
                                      "{\"code\":\"0123456789abcdef\"}",
                                      "{\"a\":{\"code\":\"x\"}}",
                                      "{\"code\":\"x\",\"code\":\"y\"}",
                                      "{\"code\" \"x\"}",
                                      "{\"code\":\"x\\",
                                      "{\"code\":\"x\n\"}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (member(bad[i], "code", out)) {
            fail_msg("read from %s", bad[i]);
        }
    }
}

static void back_off_grows_is_capped_and_jitters(void **state)
{
    (void)state;
    assert_int_equal(uplink_backoff_ms(1, 0, -1), 0);
    assert_in_range(uplink_backoff_ms(1, UINT32_MAX, -1), 990, 1000);
    assert_in_range(uplink_backoff_ms(4, UINT32_MAX, -1), 7990, 8000);
    assert_in_range(uplink_backoff_ms(100, UINT32_MAX, -1), 59990, 60000);
    assert_in_range(uplink_backoff_ms(UINT32_MAX, UINT32_MAX / 2, -1), 29990, 30000);
    assert_int_equal(uplink_backoff_ms(1, 0, 5), 5000);
    assert_in_range(uplink_backoff_ms(3, UINT32_MAX, 5), 8990, 9000);
    assert_int_equal(uplink_backoff_ms(1, 0, 1000000), 600000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_citys_word_about_our_bytes_is_final),
        cmocka_unit_test(problem_members_are_read_strictly),
        cmocka_unit_test(back_off_grows_is_capped_and_jitters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
