/* Cookies, sessions and delays, each by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "gateway/web/web_int.h"

#define HALF "0123456789abcdef0123456789abcdef"
#define ID HALF HALF

/* ---- cookies ---- */

static void a_cookie_is_one_id_or_none(void **state)
{
    (void)state;
    char id[WEB_SESSION_HEX + 1];
    static const char *const good[] = {"__Host-fp_session=" ID, "a=b; __Host-fp_session=" ID,
                                       "__Host-fp_session=" ID "; x=__Host-fp_session=1",
                                       ";;  __Host-fp_session=" ID ";"};
    static const char *const bad[] = {"",
                                      "__Host-fp_session=",
                                      "__Host-fp_session=" HALF,
                                      "__Host-fp_session=" ID "0",
                                      "__Host-fp_session=" ID "; __Host-fp_session=" ID,
                                      "__Host-fp_session=" HALF "0123456789ABCDEF0123456789abcdef",
                                      "x__Host-fp_session=" ID,
                                      "__Host-fp_session=\"" ID "\"",
                                      "__Host-fp_session =" ID,
                                      "__HOST-fp_session=" ID,
                                      "fp_session=" ID}; /* which another host may set */
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(web_cookie_read(good[i], id));
        assert_string_equal(id, ID);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(web_cookie_read(bad[i], id));
    assert_false(web_cookie_read(NULL, id));
}

/* ---- sessions ---- */

static struct web_user user(const char *name)
{
    struct web_user u = {.role = WEB_VIEWER};
    snprintf(u.name, sizeof u.name, "%s", name);
    memcpy(u.secret.salt, "0123456789abcdef", sizeof u.secret.salt);
    return u;
}

static void an_id_opens_its_session_and_no_other_does(void **state)
{
    (void)state;
    struct web_session all[WEB_SESSIONS] = {0};
    struct web_user lan = user("lan"), mai = user("mai");
    char a[WEB_SESSION_HEX + 1], b[WEB_SESSION_HEX + 1], csrf[2 * WIRE_HASH_BYTES + 1], again[65];
    struct mono now = {1000};
    assert_int_equal(web_session_begin(all, &lan, now, a, NULL), ST_OK);
    assert_int_equal(web_session_begin(all, &mai, now, b, NULL), ST_OK);
    assert_string_not_equal(a, b);
    assert_string_equal(web_session_find(all, a, now, true)->name, "lan");
    assert_string_equal(web_session_find(all, b, now, true)->name, "mai");
    for (size_t i = 0; i < sizeof all; i++) /* what a copy of the memory shows opens nothing */
        assert_true(sizeof all - i < WEB_SESSION_HEX || memcmp((char *)all + i, a, 64) != 0);
    web_csrf(a, csrf);
    web_csrf(a, again);
    assert_string_equal(csrf, again);
    web_csrf(b, again);
    assert_string_not_equal(csrf, again);
    a[0] = a[0] == '0' ? '1' : '0';
    assert_null(web_session_find(all, a, now, true));
    assert_null(web_session_find(all, "", now, true));
    web_session_end(web_session_find(all, b, now, true));
    assert_null(web_session_find(all, b, now, true));
}

static void a_session_ends_when_idle_and_for_good(void **state)
{
    (void)state;
    struct web_session all[WEB_SESSIONS] = {0};
    struct web_user lan = user("lan");
    char id[WEB_SESSION_HEX + 1];
    struct mono now = {1000};
    assert_int_equal(web_session_begin(all, &lan, now, id, NULL), ST_OK);
    now.ms += WEB_SESSION_IDLE_MS - 1;
    assert_non_null(web_session_find(all, id, now, true)); /* a use */
    now.ms += WEB_SESSION_IDLE_MS - 1;
    assert_non_null(web_session_find(all, id, now, true));
    now.ms += WEB_SESSION_IDLE_MS;
    assert_null(web_session_find(all, id, now, true));
    now.ms = 1000;
    assert_int_equal(web_session_begin(all, &lan, now, id, NULL), ST_OK);
    while (now.ms + 600000 < 1000 + WEB_SESSION_MAX_MS) {
        now.ms += 600000;
        assert_non_null(web_session_find(all, id, now, true));
    }
    now.ms += 600000;
    assert_null(web_session_find(all, id, now, true));
}

static void what_is_no_use_lengthens_no_session(void **state)
{
    (void)state;
    struct web_session all[WEB_SESSIONS] = {0};
    struct web_user lan = user("lan");
    char id[WEB_SESSION_HEX + 1];
    uint8_t hash[WIRE_HASH_BYTES];
    struct mono now = {1000};
    assert_int_equal(web_session_begin(all, &lan, now, id, NULL), ST_OK);
    wire_sha256(id, WEB_SESSION_HEX, hash);
    while (now.ms + 2000 < 1000 + WEB_SESSION_IDLE_MS) {
        now.ms += 2000;
        assert_non_null(web_session_find(all, id, now, false));
        assert_non_null(web_session_of(all, hash, now));
    }
    now.ms += 2000;
    assert_null(web_session_of(all, hash, now));
    assert_null(web_session_find(all, id, now, true));
}

static void an_address_is_known_while_its_session_lasts(void **state)
{
    (void)state;
    struct web_session all[WEB_SESSIONS] = {0};
    struct web_holds h = {.seed = {1}};
    struct web_user lan = user("lan");
    char id[WEB_SESSION_HEX + 1];
    uint8_t peer[WIRE_HASH_BYTES], next[WIRE_HASH_BYTES], far[WIRE_HASH_BYTES];
    struct mono now = {1000};
    web_address_hash(&h, "2001:db8:1:2::5", peer);
    web_address_hash(&h, "2001:db8:1:2::6", next);
    web_address_hash(&h, "2001:db8:1:3::5", far);
    assert_int_equal(web_session_begin(all, &lan, now, id, NULL), ST_OK);
    struct web_session *s = web_session_find(all, id, now, true);
    assert_false(web_session_from(all, peer, now));
    memcpy(s->peer, peer, sizeof peer);
    assert_true(web_session_from(all, peer, now));
    assert_true(web_session_from(all, next, now)); /* the same house */
    assert_false(web_session_from(all, far, now));
    now.ms += WEB_SESSION_IDLE_MS;
    assert_false(web_session_from(all, peer, now));
    now.ms = 1000;
    web_session_end(s);
    assert_false(web_session_from(all, peer, now));
}

static void a_user_has_few_sessions_and_all_have_no_more_than_fit(void **state)
{
    (void)state;
    struct web_session all[WEB_SESSIONS] = {0};
    char first[WEB_SESSION_HEX + 1], other[WEB_SESSION_HEX + 1], id[WEB_SESSION_HEX + 1];
    struct web_user lan = user("lan"), mai = user("mai");
    struct mono now = {1000};
    assert_int_equal(web_session_begin(all, &mai, now, other, NULL), ST_OK);
    for (int i = 0; i <= WEB_SESSIONS_EACH; i++, now.ms++)
        assert_int_equal(web_session_begin(all, &lan, now, i ? id : first, NULL), ST_OK);
    assert_null(web_session_find(all, first, now, true)); /* her own went, not another's */
    assert_non_null(web_session_find(all, other, now, true));
    for (int i = 0; i < 3 * WEB_SESSIONS; i++, now.ms++) {
        char name[16];
        snprintf(name, sizeof name, "u%d", i);
        struct web_user u = user(name);
        assert_int_equal(web_session_begin(all, &u, now, id, NULL), ST_OK);
        assert_non_null(web_session_find(all, id, now, true));
    }
}

/* ---- delays ---- */

static void delays_grow_to_an_end_and_are_forgiven(void **state)
{
    (void)state;
    static const int64_t delay[] = {0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300};
    struct web_hold h = {0};
    struct mono now = {5000};
    for (size_t i = 0; i < sizeof delay / sizeof *delay; i++) {
        assert_int_equal(web_hold_left(&h, now), 0);
        assert_int_equal(web_hold_wrong(&h, now), delay[i] * 1000);
        assert_int_equal(web_hold_left(&h, now), delay[i] * 1000);
        now.ms += delay[i] * 1000;
    }
    now.ms += 600001;
    assert_int_equal(web_hold_left(&h, now), 0);
    assert_int_equal(web_hold_wrong(&h, now), 0);
}

static void guess(struct web_holds *h, const char *name, const char *peer, struct mono now, int n)
{
    for (int i = 0; i < n; i++)
        (void)web_holds_wrong(h, name, peer, now);
}

static void a_name_is_held_wherever_the_guesses_come_from(void **state)
{
    (void)state;
    struct web_holds h = {.seed = {1}};
    struct mono now = {5000};
    char peer[32];
    for (int i = 0; i <= WEB_HOLD_FREE; i++) {
        snprintf(peer, sizeof peer, "10.0.%d.1", i);
        guess(&h, "lan", peer, now, 1);
    }
    assert_true(web_holds_left(&h, "lan", "172.16.0.9", now) > 0);
    assert_int_equal(web_holds_left(&h, "mai", "172.16.0.9", now), 0);
}

static void an_address_is_held_whatever_names_it_tries(void **state)
{
    (void)state;
    struct web_holds h = {.seed = {1}};
    struct mono now = {5000};
    char name[32], peer[64];
    for (int i = 0; i <= WEB_HOLD_FREE; i++) { /* of IPv6 its first half counts */
        snprintf(name, sizeof name, "user%d", i);
        snprintf(peer, sizeof peer, "2001:db8:1:2::%x", i + 1);
        guess(&h, name, peer, now, 1);
    }
    assert_true(web_holds_left(&h, "lan", "2001:db8:1:2:ffff::1", now) > 0);
    assert_int_equal(web_holds_left(&h, "lan", "2001:db8:1:3::1", now), 0);
}

/* Strangers who guess all day at the administrator's name do not keep him out. */
static void who_signed_in_from_there_before_is_not_locked_out(void **state)
{
    (void)state;
    struct web_holds h = {.seed = {1}};
    struct mono now = {5000};
    web_holds_right(&h, "admin", "192.168.1.5", now);
    for (int i = 0; i < 1000; i++) {
        char peer[32];
        snprintf(peer, sizeof peer, "10.%d.%d.1", i / 250, i % 250);
        guess(&h, "admin", peer, now, 1);
    }
    assert_true(web_holds_left(&h, "admin", "192.168.1.6", now) > 0);
    assert_int_equal(web_holds_left(&h, "admin", "192.168.1.5", now), 0);
    guess(&h, "admin", "192.168.1.5", now, WEB_HOLD_FREE + 1); /* but guesses are held there, too */
    assert_true(web_holds_left(&h, "admin", "192.168.1.5", now) > 0);
    assert_true(web_holds_left(&h, "admin", "192.168.1.5", now) <= WEB_HOLD_MAX_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cookie_is_one_id_or_none),
        cmocka_unit_test(an_id_opens_its_session_and_no_other_does),
        cmocka_unit_test(a_session_ends_when_idle_and_for_good),
        cmocka_unit_test(what_is_no_use_lengthens_no_session),
        cmocka_unit_test(an_address_is_known_while_its_session_lasts),
        cmocka_unit_test(a_user_has_few_sessions_and_all_have_no_more_than_fit),
        cmocka_unit_test(delays_grow_to_an_end_and_are_forgiven),
        cmocka_unit_test(a_name_is_held_wherever_the_guesses_come_from),
        cmocka_unit_test(an_address_is_held_whatever_names_it_tries),
        cmocka_unit_test(who_signed_in_from_there_before_is_not_locked_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
