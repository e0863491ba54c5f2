/* Who may come in, over HTTPS with the gateway's own certificate, and an injected clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/gateway/web/door_rig.h"

static bool is_first(void)
{
    json_t *j = json_loadb((const char *)reply.body.p, reply.body.n, 0, NULL);
    bool is = json_is_true(json_object_get(j, "first"));
    json_decref(j);
    return is;
}

static int try(const char *name, const char *password)
{
    char body[256];
    snprintf(body, sizeof body, "{\"name\":\"%s\",\"password\":\"%s\"}", name, password);
    return ask("POST", SESSION, NULL, NULL, body);
}

static void without_a_session_or_a_token_nothing_is_told(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/api/v1/status", "/api/v1/series", "/api/v1/events",
        "/api/v1/users",  "/api/v1/tokens", "/api/v1/chart?series=meter-1/voltage_l1"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        ask("GET", paths[i], NULL, NULL, NULL);
        sees(401, "no_token");
        ask("HEAD", paths[i], NULL, NULL, NULL);
        assert_int_equal(reply.status, 401);
    }
    assert_int_equal(ask("GET", "/healthz", NULL, NULL, NULL), 200);
    assert_int_equal(ask("GET", "/", NULL, NULL, NULL), 200);
}

static void each_role_may_do_its_part(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
        enum web_role least;
    } all[] = {{"GET", "/api/v1/status", WEB_VIEWER},
               {"GET", "/api/v1/requests/0123456789abcdef", WEB_VIEWER},
               {"POST", "/api/v1/corrections", WEB_TECHNICIAN},
               {"POST", "/api/v1/maintenance", WEB_TECHNICIAN},
               {"POST", "/api/v1/retirements", WEB_TECHNICIAN},
               {"POST", "/api/v1/slips", WEB_TECHNICIAN},
               {"POST", "/api/v1/readings", WEB_TECHNICIAN},
               {"POST", "/api/v1/position", WEB_TECHNICIAN},
               {"GET", "/api/v1/survey.geojson", WEB_VIEWER},
               {"GET", "/api/v1/users", WEB_ADMINISTRATOR},
               {"POST", "/api/v1/users", WEB_ADMINISTRATOR},
               {"PUT", "/api/v1/users/viewer", WEB_ADMINISTRATOR},
               {"DELETE", "/api/v1/users/nobody", WEB_ADMINISTRATOR},
               {"GET", "/api/v1/tokens", WEB_ADMINISTRATOR},
               {"POST", "/api/v1/tokens", WEB_ADMINISTRATOR},
               {"DELETE", "/api/v1/tokens/nobody", WEB_ADMINISTRATOR}};
    for (enum web_role r = WEB_VIEWER; r < WEB_ROLES; r++) {
        char cookie[128], csrf[128];
        sign_in(web_role_text[r], cookie, csrf);
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            int status = ask(all[i].method, all[i].path, cookie, csrf, NULL);
            if (r < all[i].least)
                sees(403, "wrong_role");
            else
                assert_true(status != 401 && status != 403);
        }
    }
}

static void by_cookie_a_change_says_the_csrf_token(void **state)
{
    (void)state;
    char cookie[128], csrf[128], other[128], others[128];
    sign_in("administrator", cookie, csrf);
    sign_in("administrator", other, others);
    assert_int_equal(ask("GET", "/api/v1/users", cookie, NULL, NULL), 200);
    static const char *const paths[][2] = {{"POST", "/api/v1/users"},
                                           {"POST", "/api/v1/corrections"},
                                           {"DELETE", "/api/v1/users/viewer"},
                                           {"POST", "/api/v1/password"},
                                           {"DELETE", SESSION}};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        ask(paths[i][0], paths[i][1], cookie, NULL, NULL);
        sees(403, "csrf");
        ask(paths[i][0], paths[i][1], cookie, "X-CSRF-Token: ", NULL);
        sees(403, "csrf");
        ask(paths[i][0], paths[i][1], cookie, others, NULL);
        sees(403, "csrf");
    }
    assert_int_equal(ask("DELETE", SESSION, cookie, csrf, NULL), 204);
    ask("GET", "/api/v1/users", cookie, NULL, NULL);
    sees(401, "no_session");
    assert_int_equal(ask("GET", "/api/v1/users", other, NULL, NULL), 200);
}

static void a_sign_in_from_another_sites_page_is_none(void **state)
{
    (void)state;
    char own[64];
    const char *body = "{\"name\":\"viewer\",\"password\":\"" PASSWORD "\"}";
    snprintf(own, sizeof own, "Origin: https://127.0.0.1:%u", web_port(site.web));
    ask("POST", SESSION, NULL, "Origin: https://evil.example", body);
    sees(403, "csrf");
    ask("POST", SESSION, NULL, "Origin: null", body);
    sees(403, "csrf");
    assert_int_equal(ask("POST", SESSION, NULL, own, body), 200);
    assert_string_equal(said("role"), "viewer");
}

static void a_forged_or_ended_session_is_refused(void **state)
{
    (void)state;
    char cookie[128], csrf[128], bad[256];
    sign_in("viewer", cookie, csrf);
    assert_int_equal(ask("GET", SESSION, cookie, NULL, NULL), 200);
    snprintf(bad, sizeof bad, "%s", cookie);
    size_t last = strlen(bad) - 1;
    bad[last] = bad[last] == '0' ? '1' : '0';
    static const char *const forged[] = {
        "__Host-fp_session=",
        "__Host-fp_session=0000000000000000000000000000000000000000000000000000000000000000",
        "__Host-fp_session=' OR 1=1", "x=y"};
    ask("GET", "/api/v1/status", bad, NULL, NULL);
    sees(401, "no_session");
    for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
        ask("GET", "/api/v1/status", forged[i], NULL, NULL);
        sees(401, "no_session");
    }
    snprintf(bad, sizeof bad, "%s; %s", cookie, cookie);
    ask("GET", "/api/v1/status", bad, NULL, NULL);
    sees(401, "no_session");
    assert_int_equal(ask("GET", "/api/v1/status", cookie, NULL, NULL), 200);
    site.back_ms = -WEB_SESSION_IDLE_MS;
    ask("GET", "/api/v1/status", cookie, NULL, NULL);
    sees(401, "no_session");
}

/* A tab that somebody left open asks on and on. */
static void what_the_page_asks_by_itself_is_no_use(void **state)
{
    (void)state;
    char cookie[128], csrf[128];
    const char *alone = "X-Unasked: 1";
    sign_in("viewer", cookie, csrf);
    for (int i = 0; i < 2; i++) { /* somebody is there */
        site.back_ms -= WEB_SESSION_IDLE_MS - 1000;
        assert_int_equal(ask("GET", "/api/v1/status", cookie, NULL, NULL), 200);
    }
    site.back_ms -= WEB_SESSION_IDLE_MS / 2;
    assert_int_equal(ask("GET", "/api/v1/status", cookie, alone, NULL), 200);
    assert_int_equal(ask("GET", SESSION, cookie, alone, NULL), 200);
    site.back_ms -= WEB_SESSION_IDLE_MS / 2;
    ask("GET", "/api/v1/status", cookie, alone, NULL);
    sees(401, "no_session");
}

static void strangers_may_hold_a_part_of_the_connections(void **state)
{
    (void)state;
    const struct http_room most = {32, 16};
    struct http_room stranger = most, known = most, own = most;
    char cookie[128], csrf[128];
    web_room(site.web, "127.0.0.1", &own);
    assert_true(own.all == most.all && own.each == most.each);
    own = most;
    web_room(site.web, "::1", &own);
    assert_true(own.all == most.all && own.each == most.each);
    web_room(site.web, "192.168.1.7", &stranger);
    assert_true(stranger.all < own.all && stranger.each < own.each);
    assert_true(3 * stranger.each > stranger.all); /* three of them, and yet there is room */
    sign_in("viewer", cookie, csrf);
    assert_int_equal(ask("GET", "/api/v1/status", cookie, NULL, NULL), 200);
    web_address_hash(&site.web->door->holds, "192.168.1.7", site.web->door->session[0].peer);
    web_room(site.web, "192.168.1.7", &known);
    assert_true(known.all > stranger.all && known.each > stranger.each && known.all < own.all);
    assert_int_equal(ask("DELETE", SESSION, cookie, csrf, NULL), 204);
    known = most;
    web_room(site.web, "192.168.1.7", &known);
    assert_true(known.all == stranger.all && known.each == stranger.each);
}

static struct clk_time tomorrow(void *ctx)
{
    struct clk_time t = site_now(ctx);
    t.utc_ms += 100 * INT64_C(86400000);
    return t;
}

static struct clk_time unset(void *ctx)
{
    (void)ctx;
    return (struct clk_time){CLK_UNKNOWN_BASE_MS + 1000, CLK_UNKNOWN, 0};
}

static void a_change_of_the_clock_ends_no_session_and_lengthens_none(void **state)
{
    (void)state;
    char cookie[128], csrf[128];
    sign_in("viewer", cookie, csrf);
    site.clk.now = tomorrow;
    assert_int_equal(ask("GET", SESSION, cookie, NULL, NULL), 200);
    site.clk.now = unset;
    assert_int_equal(ask("GET", SESSION, cookie, NULL, NULL), 200);
    site.back_ms = -WEB_SESSION_IDLE_MS;
    assert_int_equal(ask("GET", SESSION, cookie, NULL, NULL), 401);
}

static void what_is_changed_of_a_user_counts_at_once(void **state)
{
    (void)state;
    char cookie[128], csrf[128];
    const enum web_role role = WEB_VIEWER;
    const struct web_user_put p = {
        .name = "technician", .role = &role, .how = WEB_USER_CHANGE, .force = true};
    sign_in("technician", cookie, csrf);
    ask("POST", "/api/v1/corrections", cookie, csrf, "x");
    sees(400, "bad_json");
    SITE_TRY(web_user_put(site.path, &p, "test", site_now(&site), e));
    ask("POST", "/api/v1/corrections", cookie, csrf, "x");
    sees(403, "wrong_role");
    site_user(&site, "technician", WEB_TECHNICIAN, PASSWORD); /* a password anew */
    ask("GET", "/api/v1/status", cookie, NULL, NULL);
    sees(401, "no_session");
    sign_in("technician", cookie, csrf);
    SITE_TRY(web_user_remove(site.path, "technician", true, "test", site_now(&site), e));
    ask("GET", "/api/v1/status", cookie, NULL, NULL);
    sees(401, "no_session");
}

static void wrong_passwords_are_held_up_longer_each_time(void **state)
{
    (void)state;
    static const long delays[] = {1, 2, 4, 8};
    for (int i = 0; i < WEB_HOLD_FREE; i++) {
        try("administrator", "not the right one");
        sees(401, "wrong_password");
    }
    for (size_t i = 0; i < sizeof delays / sizeof *delays; i++) {
        try("administrator", "not the right one");
        sees(401, "wrong_password");
        try("administrator", PASSWORD); /* nor is a right one looked at */
        sees(429, "rate");
        assert_in_range(reply.retry_after_s, delays[i] - 1, delays[i]);
        site.back_ms -= delays[i] * 1000;
    }
    assert_int_equal(try("administrator", PASSWORD), 200);
    try("administrator", "not the right one"); /* all is forgiven */
    sees(401, "wrong_password");
    assert_int_equal(try("administrator", PASSWORD), 200);
}

static void who_is_not_there_is_refused_like_who_is(void **state)
{
    (void)state;
    static const char *const names[] = {"nobody", "viewer", "a b", ""};
    char detail[256] = "";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        try(names[i], "not the right one");
        sees(401, "wrong_password");
        if (!detail[0])
            snprintf(detail, sizeof detail, "%s", said("detail"));
        assert_string_equal(said("detail"), detail);
    }
}

static void a_code_makes_one_administrator(void **state)
{
    (void)state;
    char code[WEB_CLAIM_TEXT], body[256], path[160];
    snprintf(path, sizeof path, "%s" WEB_USERS, site.path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ask("GET", SESSION, NULL, NULL, NULL), 401);
    assert_true(is_first());
    SITE_TRY(web_claim_make(site.path, "test", site_now(&site), code, e));
    for (int i = 0; i < WEB_HOLD_FREE + 1; i++) {
        ask("POST", "/api/v1/first", NULL, NULL,
            "{\"code\":\"0000-0000-0000-0000\",\"name\":\"eve\",\"password\":\"a long password\"}");
        sees(401, "wrong_code");
    }
    ask("POST", "/api/v1/first", NULL, NULL,
        "{\"code\":\"0000-0000-0000-0000\",\"name\":\"eve\",\"password\":\"a long password\"}");
    sees(429, "rate");
    snprintf(body, sizeof body, FORM, code, "lan", "short");
    ask("POST", "/api/v1/first", NULL, NULL, body);
    sees(400, "bad_request");
    snprintf(body, sizeof body, FORM, code, "lan", PASSWORD);
    assert_int_equal(ask("POST", "/api/v1/first", NULL, NULL, body),
                     200); /* a right one is never held */
    assert_string_equal(said("role"), "administrator");
    assert_int_equal(ask("POST", "/api/v1/first", NULL, NULL, body), 401); /* once */
    assert_int_equal(try("lan", PASSWORD), 200);
    assert_int_equal(ask("GET", SESSION, NULL, NULL, NULL), 401);
    assert_false(is_first());
    SITE_TRY(web_user_remove(site.path, "lan", true, "test", site_now(&site), e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_a_session_or_a_token_nothing_is_told, fresh),
        cmocka_unit_test_setup(each_role_may_do_its_part, fresh),
        cmocka_unit_test_setup(by_cookie_a_change_says_the_csrf_token, fresh),
        cmocka_unit_test_setup(a_sign_in_from_another_sites_page_is_none, fresh),
        cmocka_unit_test_setup(a_forged_or_ended_session_is_refused, fresh),
        cmocka_unit_test_setup(what_the_page_asks_by_itself_is_no_use, fresh),
        cmocka_unit_test_setup(strangers_may_hold_a_part_of_the_connections, fresh),
        cmocka_unit_test_setup(a_change_of_the_clock_ends_no_session_and_lengthens_none, fresh),
        cmocka_unit_test_setup(what_is_changed_of_a_user_counts_at_once, fresh),
        cmocka_unit_test_setup(wrong_passwords_are_held_up_longer_each_time, fresh),
        cmocka_unit_test_setup(who_is_not_there_is_refused_like_who_is, fresh),
        cmocka_unit_test_setup(a_code_makes_one_administrator, fresh),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
