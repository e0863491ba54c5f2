/* The survey's result and a phone's position, over HTTPS: who may, what is refused and how, and
 * that the server goes on while a result is reckoned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "tests/gateway/web/door_rig.h"

#define POSITION "/api/v1/position"
#define SURVEY "/api/v1/survey.geojson"
#define RANGE SURVEY "?from=2026-11-01&to=2026-11-30"
#define GOOD                                                                                       \
    "{\"lat\":14.8301,\"lon\":108.9552,\"accuracy_m\":7.5,\"stamp_ms\":1795582800123,\"age_ms\":"  \
    "40}"

static struct web_fix got;
static enum st says;
static bool told_fresh, told_used;
static atomic_int positions;

static enum st position(void *ctx, const struct web_fix *f, bool *fresh, bool *used, struct err *e)
{
    (void)ctx;
    got = *f;
    atomic_fetch_add(&positions, 1);
    *fresh = told_fresh;
    *used = told_used;
    return says == ST_OK ? ST_OK : err_set(e, says, "as it was told");
}

static atomic_bool waits, entered;
static size_t asked_most;

static enum st survey(void *ctx, const struct web_survey_ask *ask, struct buf *out, struct err *e)
{
    (void)ctx;
    atomic_store(&entered, true);
    asked_most = ask->most;
    while (atomic_load(&waits))
        if (!ask->go_on(ask->ctx))
            return err_set(e, ST_STOPPED, "given up");
    if (says != ST_OK)
        return err_set(e, says, "ask for fewer days");
    return buf_printf(out, "{\"from\":%lld,\"to\":%lld}", (long long)ask->from_ms,
                      (long long)ask->to_ms);
}

static void more(struct site *s, struct web_rooms *rooms)
{
    (void)s;
    if (!rooms)
        return;
    rooms->has_area = rooms->walks = rooms->browser = true;
    rooms->survey = survey;
    rooms->position = position;
}

static int begin(void **state)
{
    site_more = more;
    return start(state);
}

static int again(void **state)
{
    says = ST_OK;
    told_fresh = told_used = false;
    atomic_store(&positions, 0);
    atomic_store(&waits, false);
    atomic_store(&entered, false);
    fresh(state);
    site.clk.mono = site_mono;
    site.web->position.ms = 0;
    return 0;
}

static char cookie[128], csrf[128];

/* As somebody who may, and not too soon. */
static int tell(const char *body)
{
    site.web->position.ms = 0;
    return ask("POST", POSITION, cookie, csrf, body);
}

static void a_position_takes_a_technician_who_signed_in_here(void **state)
{
    (void)state;
    char bearer[128];
    struct web_token t = {.name = "all", .scopes = (1U << WEB_SCOPES) - 1};
    char text[WEB_TOKEN_TEXT];
    ask("POST", POSITION, NULL, NULL, GOOD);
    sees(401, "no_token");
    SITE_TRY(web_token_add(site.path, &t, "test", site_now(&site), text, e));
    snprintf(bearer, sizeof bearer, "Authorization: Bearer %s", text);
    ask("POST", POSITION, NULL, bearer, GOOD);
    sees(403, "wrong_scope");
    sign_in("viewer", cookie, csrf);
    tell(GOOD);
    sees(403, "wrong_role");
    sign_in("technician", cookie, csrf);
    ask("POST", POSITION, cookie, NULL, GOOD);
    sees(403, "csrf");
    assert_int_equal(atomic_load(&positions), 0);
    assert_int_equal(tell(GOOD), 200);
    assert_int_equal(atomic_load(&positions), 1);
    sign_in("administrator", cookie, csrf);
    assert_int_equal(tell(GOOD), 200);
}

static void a_position_is_these_numbers_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *body, *code;
    } bad[] = {
        {"", "bad_json"},
        {"{", "bad_json"},
        {"[1,2]", "bad_json"},
        {"{\"lat\":14,\"lat\":15,\"lon\":108,\"accuracy_m\":1,\"stamp_ms\":1,\"age_ms\":1}",
         "bad_json"},
        {"{\"lat\":NaN,\"lon\":108,\"accuracy_m\":1,\"stamp_ms\":1,\"age_ms\":1}", "bad_json"},
        {"{}", "bad_request"},
        {"{\"lat\":14,\"lon\":108,\"accuracy_m\":1,\"stamp_ms\":1}", "bad_request"},
        {"{\"lat\":\"14\",\"lon\":108,\"accuracy_m\":1,\"stamp_ms\":1,\"age_ms\":1}",
         "bad_request"},
        {"{\"lat\":14,\"lon\":null,\"accuracy_m\":1,\"stamp_ms\":1,\"age_ms\":1}", "bad_request"},
        {"{\"lat\":14,\"lon\":108,\"accuracy_m\":1,\"stamp_ms\":1,\"age_ms\":1,\"source\":0}",
         "bad_request"}};
    sign_in("technician", cookie, csrf);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tell(bad[i].body);
        sees(400, bad[i].code);
    }
    assert_int_equal(atomic_load(&positions), 0);
    assert_int_equal(tell(GOOD), 200);
    assert_true(got.lat == 14.8301 && got.lon == 108.9552 && got.accuracy_m == 7.5);
    assert_true(got.stamp_ms == INT64_C(1795582800123) && got.age_ms == 40 && !got.has_altitude);
    uint8_t from[WIRE_HASH_BYTES];
    memcpy(from, got.from, sizeof from);
    /* what no browser says does not wrap around; the same session is the same phone */
    assert_int_equal(tell("{\"lat\":1e300,\"lon\":-1e300,\"accuracy_m\":1,\"stamp_ms\":1e300,"
                          "\"age_ms\":-1e300,\"altitude_m\":12.5}"),
                     200);
    assert_true(got.lat == 1e300 && got.stamp_ms == -1 && got.age_ms == -1 && got.has_altitude);
    assert_memory_equal(got.from, from, sizeof from);
    sign_in("technician", cookie, csrf);
    assert_int_equal(tell(GOOD), 200);
    assert_memory_not_equal(got.from, from, sizeof from);
}

static void each_refusal_of_the_walk_has_its_code(void **state)
{
    (void)state;
    static const struct {
        enum st st;
        int status;
        const char *code;
    } all[] = {{ST_NOT_FOUND, 404, "no_survey"},
               {ST_BAD, 400, "bad_request"},
               {ST_TIMEOUT, 409, "stale_position"},
               {ST_REFUSED, 409, "inaccurate_position"},
               {ST_CONFLICT, 409, "other_phone"}};
    sign_in("technician", cookie, csrf);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        says = all[i].st;
        tell(GOOD);
        sees(all[i].status, all[i].code);
        assert_string_equal(said("detail"), "as it was told");
    }
    says = ST_OK;
    told_used = true;
    assert_int_equal(tell(GOOD), 200);
    assert_int_equal(reply.body.n, strlen("{\"used\":true}"));
    assert_memory_equal(reply.body.p, "{\"used\":true}", reply.body.n);
}

static struct mono frozen;
static struct mono frozen_mono(void *ctx)
{
    (void)ctx;
    return frozen;
}

static void positions_come_five_a_second_at_most(void **state)
{
    (void)state;
    sign_in("technician", cookie, csrf);
    frozen = site_mono(&site);
    site.clk.mono = frozen_mono;
    ask("POST", POSITION, cookie, csrf, GOOD);
    sees(200, "");
    frozen.ms += 199;
    ask("POST", POSITION, cookie, csrf, "{");
    sees(429, "rate");
    frozen.ms += 1;
    ask("POST", POSITION, cookie, csrf, "{"); /* one that is no good counts, too */
    sees(400, "bad_json");
    frozen.ms += 199;
    ask("POST", POSITION, cookie, csrf, GOOD);
    sees(429, "rate");
    frozen.ms += 1;
    ask("POST", POSITION, cookie, csrf, GOOD);
    sees(200, "");
    assert_int_equal(atomic_load(&positions), 2);
}

static void the_result_is_asked_for_by_its_time(void **state)
{
    (void)state;
    static const char *const bad[] = {SURVEY,
                                      SURVEY "?from=2026-11-01",
                                      SURVEY "?from=x&to=2026-11-30",
                                      SURVEY "?from=2026-11-30&to=2026-11-01",
                                      SURVEY "?from=2026-11-30&to=2026-11-30",
                                      SURVEY "?from=2025-11-01&to=2026-11-30",
                                      SURVEY "?from=0&to=1",
                                      SURVEY "?from=9223372036854775807&to=9223372036854775807"};
    ask("GET", RANGE, NULL, NULL, NULL);
    sees(401, "no_token");
    sign_in("viewer", cookie, csrf);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ask("GET", bad[i], cookie, NULL, NULL);
        sees(400, "bad_query");
    }
    assert_false(atomic_load(&entered));
    assert_int_equal(ask("GET", RANGE, cookie, NULL, NULL), 200);
    assert_int_equal(asked_most, 20000);
    static const char want[] = "{\"from\":1793491200000,\"to\":1795996800000}";
    assert_int_equal(reply.body.n, strlen(want));
    assert_memory_equal(reply.body.p, want, strlen(want));
    assert_string_equal(reply.content_type, "application/geo+json");
    says = ST_FULL;
    ask("GET", RANGE, cookie, NULL, NULL);
    sees(503, "unavailable");
    assert_string_equal(said("detail"), "ask for fewer days");
    says = ST_OK;
    site.web->site.rooms.has_area = false;
    ask("GET", RANGE, cookie, NULL, NULL);
    sees(404, "no_survey");
    site.web->site.rooms.has_area = true;
}

struct other {
    struct http_client *c;
    struct http_reply r;
    struct thr thread;
    int status;
};

static void other_main(void *arg)
{
    struct other *o = arg;
    char url[128];
    const char *headers[] = {NULL, NULL};
    char head[160];
    snprintf(head, sizeof head, "Cookie: %s", cookie);
    headers[0] = head;
    snprintf(url, sizeof url, "https://127.0.0.1:%u" RANGE, web_port(site.web));
    const struct http_call call = {.method = "GET", .url = url, .headers = headers};
    o->status = http_client_do(o->c, &call, -1, &o->r, NULL) == ST_OK ? o->r.status : 0;
}

static void other_begin(struct other *o)
{
    const struct http_client_cfg cfg = {
        .ca = site.cert, .connect_ms = 5000, .total_ms = 120000, .max_answer = 1 << 20};
    *o = (struct other){.status = -1};
    atomic_store(&waits, true);
    SITE_TRY(http_client_open(&o->c, &cfg, e));
    SITE_TRY(thr_start(&o->thread, "other", other_main, o, e));
    while (!atomic_load(&entered))
        usleep(1000);
}

static void other_end(struct other *o)
{
    thr_join(&o->thread);
    buf_done(&o->r.body);
    http_client_close(o->c);
}

static void while_a_result_is_reckoned_the_page_goes_on_and_another_waits_its_turn(void **state)
{
    (void)state;
    struct other o;
    sign_in("viewer", cookie, csrf);
    other_begin(&o);
    assert_int_equal(ask("GET", "/api/v1/status", cookie, NULL, NULL), 200);
    ask("GET", RANGE, cookie, NULL, NULL);
    sees(503, "busy");
    atomic_store(&waits, false);
    other_end(&o);
    assert_int_equal(o.status, 200);
    assert_int_equal(ask("GET", RANGE, cookie, NULL, NULL), 200);
}

static void a_result_that_takes_too_long_is_given_up(void **state)
{
    (void)state;
    struct other o;
    sign_in("viewer", cookie, csrf);
    other_begin(&o);
    atomic_store(&site.web->surveyor.until_ms, 0);
    other_end(&o);
    assert_int_equal(o.status, 503);
}

static void a_gateway_that_stops_waits_for_no_result(void **state)
{
    (void)state;
    struct other o;
    sign_in("viewer", cookie, csrf);
    other_begin(&o);
    web_close(site.web);
    site.web = NULL;
    other_end(&o);
    assert_true(o.status == 503 || o.status == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_position_takes_a_technician_who_signed_in_here, again),
        cmocka_unit_test_setup(a_position_is_these_numbers_and_nothing_else, again),
        cmocka_unit_test_setup(each_refusal_of_the_walk_has_its_code, again),
        cmocka_unit_test_setup(positions_come_five_a_second_at_most, again),
        cmocka_unit_test_setup(the_result_is_asked_for_by_its_time, again),
        cmocka_unit_test_setup(
            while_a_result_is_reckoned_the_page_goes_on_and_another_waits_its_turn, again),
        cmocka_unit_test_setup(a_result_that_takes_too_long_is_given_up, again),
        cmocka_unit_test_setup(a_gateway_that_stops_waits_for_no_result, again)};
    return cmocka_run_group_tests(tests, begin, stop);
}
