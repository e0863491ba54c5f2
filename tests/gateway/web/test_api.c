/* What the read API and the page's server promise, over HTTP, with a real store behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <math.h>

#include "gateway/http/http.h"
#include "gateway/web/assets.h"
#include "gateway/web/web_int.h"
#include "tests/gateway/web/site.h"

static struct site site;
static struct http_client *client;
static struct http_reply reply;

static int start(void **state)
{
    (void)state;
    site_open(&site, "127.0.0.1:0");
    const struct http_client_cfg cfg = {.ca = site.cert,
                                        .bearer = site.console,
                                        .connect_ms = 5000,
                                        .total_ms = 20000,
                                        .max_answer = 8 << 20,
                                        .user_agent = "test"};
    SITE_TRY(http_client_open(&client, &cfg, e));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    buf_done(&reply.body);
    http_client_close(client);
    site_close(&site);
    return 0;
}

static int get(const char *path, const char *header)
{
    char url[256];
    const char *headers[] = {header, NULL};
    snprintf(url, sizeof url, "https://127.0.0.1:%u%s", web_port(site.web), path);
    const struct http_call call = {.method = "GET", .url = url, .headers = headers};
    reply.body.n = 0;
    SITE_TRY(http_client_do(client, &call, -1, &reply, e));
    return reply.status;
}

static json_t *get_json(const char *path, int status)
{
    json_error_t e;
    assert_int_equal(get(path, NULL), status);
    json_t *j = json_loadb((const char *)reply.body.p, reply.body.n, JSON_REJECT_DUPLICATES, &e);
    if (!j)
        fail_msg("%s: %s at %d", path, e.text, e.position);
    return j;
}

static const char *text(json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "";
}

static int64_t integer(json_t *j, const char *key)
{
    assert_true(json_is_integer(json_object_get(j, key)));
    return json_integer_value(json_object_get(j, key));
}

static void status_tells_site_devices_store_and_receipts(void **state)
{
    (void)state;
    json_t *j = get_json("/api/v1/status", 200), *d, *b, *u;
    assert_string_equal(text(j, "version"), "0.1.0");
    assert_string_equal(text(j, "clock"), "synced");
    assert_string_equal(text(json_object_get(j, "site"), "name"), "UBND phường Trà Câu");
    assert_int_equal(json_array_size(json_object_get(j, "devices")), SITE_DEVICES);
    d = json_array_get(json_object_get(j, "devices"), SITE_BIN);
    assert_string_equal(text(d, "id"), "bin-1");
    assert_string_equal(text(d, "state"), "silent");
    assert_string_equal(text(d, "bus"), "rs485-1");
    assert_int_equal(integer(d, "failures"), 61);
    assert_true(json_is_null(json_object_get(d, "heard")));
    d = json_array_get(json_object_get(j, "devices"), SITE_METER);
    assert_int_equal(integer(json_object_get(d, "heard"), "good"), 119);
    d = json_array_get(json_object_get(j, "devices"), SITE_HOSTILE_DEVICE);
    assert_string_equal(text(d, "name"), SITE_HOSTILE);
    assert_int_equal(json_array_size(json_object_get(j, "buses")), 3);
    b = json_array_get(json_object_get(j, "buses"), 0);
    assert_string_equal(text(b, "id"), "rs485-1");
    assert_string_equal(text(b, "state"), "silent");
    assert_int_equal(integer(b, "devices"), 2);
    assert_int_equal(integer(b, "answering"), 1);
    b = json_array_get(json_object_get(b, "findings"), 0);
    assert_string_equal(text(b, "code"), "weak");
    assert_string_equal(text(b, "devices"), "bin-1 (unit 9)");
    assert_true(json_is_false(json_object_get(b, "note")));
    b = json_array_get(json_object_get(j, "buses"), 1);
    assert_int_equal(json_array_size(json_object_get(b, "findings")), 0);
    assert_int_equal(integer(json_object_get(j, "store"), "batches_held"), 1);
    assert_true(integer(json_object_get(j, "store"), "last_commit_ms") > 0);
    u = json_array_get(json_object_get(j, "uplinks"), 0);
    assert_string_equal(text(u, "id"), "city");
    assert_string_equal(text(json_object_get(u, "receipt"), "chain"), "ab01020304050607");
    assert_int_equal(integer(json_object_get(u, "receipt"), "seq"), 1);
    u = json_object_get(u, "data");
    assert_int_equal(integer(u, "wire_bytes"), 9876);
    assert_int_equal(integer(u, "month_bytes"), 123456);
    assert_int_equal(integer(u, "budget_bytes"), 500000000);
    assert_int_equal(integer(u, "left_bytes"), 500000000 - 123456);
    assert_true(json_is_false(json_object_get(u, "metered")));
    assert_true(json_is_null(json_object_get(u, "renews_ms"))); /* the date was never known */
    json_decref(j);
}

static void a_device_that_says_error_answers(void **state)
{
    (void)state;
    site_health(&site, SITE_BIN, STORE_FAULTY, "It refuses function 3 (code 2).");
    json_t *j = get_json("/api/v1/status", 200);
    json_t *b = json_array_get(json_object_get(j, "buses"), 0);
    assert_string_equal(text(b, "state"), "faulty");
    assert_int_equal(integer(b, "answering"), 2);
    assert_int_equal(integer(b, "faulty"), 1);
    json_decref(j);
    site_health(&site, SITE_BIN, STORE_SILENT, "");
    j = get_json("/api/v1/status", 200);
    b = json_array_get(json_object_get(j, "buses"), 0);
    assert_int_equal(integer(b, "answering"), 1);
    assert_int_equal(integer(b, "faulty"), 0);
    json_decref(j);
}

static json_t *point(json_t *j, size_t i)
{
    return json_array_get(json_object_get(j, "series"), i);
}

static void every_value_has_time_age_and_quality(void **state)
{
    (void)state;
    json_t *j = get_json("/api/v1/series", 200), *p = point(j, 0);
    assert_int_equal(json_array_size(json_object_get(j, "series")), 17);
    assert_string_equal(text(p, "device"), "meter-1");
    assert_string_equal(text(p, "point"), "voltage_l1");
    assert_string_equal(text(p, "unit"), "V");
    assert_true(fabs(json_number_value(json_object_get(p, "value")) - 230.12) < 1e-12);
    assert_true(integer(p, "t_ms") > 0);
    assert_in_range(integer(p, "age_ms"), 0, 60000);
    assert_int_equal(integer(p, "q"), 0);
    assert_true(json_is_null(json_object_get(p, "missing")));
    assert_int_equal(integer(p, "period_ms"), 10000);
    assert_int_equal(integer(point(j, 3), "q"), WIRE_Q_LIMITS);
    /* the silent bin: its last value with its real age, and why there is no newer one */
    assert_true(integer(point(j, 5), "age_ms") >= SITE_SILENT_MS);
    assert_string_equal(text(point(j, 5), "missing"), "device");
    assert_non_null(strstr((const char *)reply.body.p, "\"value\":9007199254740993,"));
    json_t *label = json_object_get(json_object_get(j, "quantities"), "voltage");
    assert_true(text(label, "vi")[0] && text(label, "en")[0]);
    json_decref(j);

    j = get_json("/api/v1/series?device=internet", 200);
    assert_int_equal(json_array_size(json_object_get(j, "series")), 2);
    json_decref(j);
}

static void events_page_backwards_and_bad_queries_are_told(void **state)
{
    (void)state;
    char path[96];
    json_t *j = get_json("/api/v1/events?limit=1", 200);
    json_t *v = json_array_get(json_object_get(j, "events"), 0);
    assert_int_equal(json_array_size(json_object_get(j, "events")), 1);
    assert_string_equal(text(v, "code"), "start");
    snprintf(path, sizeof path, "/api/v1/events?before=%lld&limit=5", (long long)integer(v, "id"));
    json_decref(j);
    j = get_json(path, 200);
    v = json_array_get(json_object_get(j, "events"), 0);
    assert_string_equal(text(v, "subject"), "bin-1");
    assert_string_equal(text(v, "severity"), "warning");
    json_decref(j);
    static const char *const bad[] = {"limit=0",   "limit=201",  "limit=x",
                                      "before=-1", "before=1.5", "limit="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(path, sizeof path, "/api/v1/events?%s", bad[i]);
        assert_int_equal(get(path, NULL), 400);
    }
}

/* The site's readings are in the journal: a chart tells them before any batch or rollup does. */
static void a_chart_is_columns_of_points_and_bad_questions_are_told(void **state)
{
    (void)state;
    char path[256];
    int64_t now = clk_now(&site.clk).utc_ms;
    snprintf(path, sizeof path,
             "/api/v1/chart?series=meter-1/voltage_l1&from=%lld&to=%lld&points=7",
             (long long)now - 3600000, (long long)now + 1000);
    json_t *j = get_json(path, 200);
    static const char *const columns[] = {"count", "good", "min", "mean", "max"};
    assert_string_equal(text(j, "series"), "meter-1/voltage_l1");
    assert_string_equal(text(j, "unit"), "V");
    assert_string_equal(text(j, "source"), "readings");
    assert_int_equal(integer(j, "from_ms"), now - 3600000);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        assert_int_equal(json_array_size(json_object_get(j, columns[i])), 7);
    assert_null(json_object_get(j, "grown")); /* a voltage is no counter */
    assert_true(json_is_array(json_object_get(j, "gaps")));
    json_int_t count = 0;
    for (size_t i = 0; i < 7; i++) {
        json_int_t n = json_integer_value(json_array_get(json_object_get(j, "count"), i));
        json_t *mean = json_array_get(json_object_get(j, "mean"), i);
        count += n;
        assert_int_equal(json_is_null(mean), n == 0);
        if (n)
            assert_true(fabs(json_number_value(mean) - 230.12) < 1e-9);
    }
    assert_int_equal(count, 1);
    json_decref(j);
    static const char *const bad[] = {"series=meter-1&from=1&to=2",
                                      "series=a/b&from=x&to=2",
                                      "series=a/b&from=2026-01-02",
                                      "",
                                      "series=a/b&from=2026-01-02&to=2026-01-01",
                                      "series=a/b&from=2026-01-02&to=2026-01-03&points=2001"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(path, sizeof path, "/api/v1/chart?%s", bad[i]);
        assert_int_equal(get(path, NULL), 400);
    }
    assert_int_equal(get("/api/v1/chart?series=no/such&from=2026-01-01&to=2026-01-02", NULL), 404);
}

static void health_is_one_word(void **state)
{
    (void)state;
    json_t *j = get_json("/healthz", 200);
    assert_true(json_is_true(json_object_get(j, "ok")));
    json_decref(j);
}

static void the_page_is_served_small_and_whole(void **state)
{
    (void)state;
    size_t total = 0;
    for (size_t i = 0; i < web_assets_count; i++) {
        const struct web_asset *f = &web_assets[i];
        assert_int_equal(get(f->path, NULL), 200);
        assert_string_equal(reply.content_type, f->type);
        assert_int_equal(reply.body.n, f->form[WEB_PLAIN].n);
        assert_int_equal(get(f->path, "Accept-Encoding: gzip, deflate"), 200);
        assert_int_equal(reply.body.n, f->form[WEB_GZIP].n);
        assert_memory_equal(reply.body.p, f->form[WEB_GZIP].bytes, reply.body.n);
        total += reply.body.n;
    }
    assert_in_range(total, 1000, 150 * 1000);
    assert_int_equal(get("/web.c", NULL), 404);
    assert_int_equal(get("/a/main.js", NULL), 404);
    assert_int_equal(get("/a/..%2f..%2fetc%2fpasswd", NULL), 404);
}

static void a_browser_gets_the_smallest_form_that_it_takes(void **state)
{
    (void)state;
    static const struct {
        const char *accepted;
        enum web_form form;
    } rows[] = {{NULL, WEB_PLAIN},
                {"", WEB_PLAIN},
                {"identity", WEB_PLAIN},
                {"gzip", WEB_GZIP},
                {"deflate, GZIP;q=0.5", WEB_GZIP},
                {"gzip, deflate, br", WEB_BROTLI},
                {"br;q=0, gzip", WEB_GZIP},
                {"br; q=0.000,gzip;q=0", WEB_PLAIN},
                {"br;q=0.001", WEB_BROTLI},
                {"brotli, gzipped", WEB_PLAIN},
                {",, ,", WEB_PLAIN}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(web_form_for(rows[i].accepted), rows[i].form);
}

static void a_file_that_is_known_is_not_sent_again(void **state)
{
    (void)state;
    char known[96];
    for (size_t i = 0; i < web_assets_count; i++) {
        snprintf(known, sizeof known, "If-None-Match: %s", web_assets[i].tag);
        assert_int_equal(get(web_assets[i].path, known), 304);
        assert_int_equal(reply.body.n, 0);
        assert_int_equal(get(web_assets[i].path, "If-None-Match: W/\"other\""), 200);
    }
}

static void another_sites_page_gets_nothing(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/",
        "/api/v1/status",
        "/api/v1/series",
        "/healthz",
        "/api/v1/events",
        "/api/v1/chart?series=meter-1/voltage_l1&from=2026-01-01&to=2026-01-02"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_int_equal(get(paths[i], "Host: evil.example"), 421);
        assert_int_equal(get(paths[i], "Host: 127.0.0.1.evil.example:80"), 421);
        assert_int_equal(get(paths[i], "Host: localhost:99"), 200);
    }
}

static void only_loopback_is_loopback(void **state)
{
    (void)state;
    static const char *const yes[] = {"localhost",      "LocalHost:80", "127.0.0.1",
                                      "127.8.9.1:8080", "[::1]",        "[::1]:8080"};
    static const char *const no[] = {"",
                                     "0.0.0.0:80",
                                     "192.168.1.5:8080",
                                     "[::]:80",
                                     "::1",
                                     "[::1",
                                     "[::1]x",
                                     "localhost.",
                                     "[fe80::1]",
                                     "1270.0.0.1",
                                     "localhost.example",
                                     "127.1"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(web_is_loopback(yes[i]));
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_false(web_is_loopback(no[i]));
}

static void an_address_is_no_name_of_another_site(void **state)
{
    (void)state;
    static const char *const ours[] = {"Host: 192.168.1.5:8080", "Host: [fd00::1]",
                                       "Host: LOCALHOST", "Host: tra-cau-01:1"};
    static const char *const bad[] = {"Host: ",    "Host: [::1",       "Host: [::1]x",
                                      "Host: :80", "Host: localhost.", "Host: 127.1"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        assert_int_equal(get("/healthz", ours[i]), 200);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_not_equal(get("/healthz", bad[i]), 200);
}

static void off_is_no_page_and_a_name_must_be_one(void **state)
{
    (void)state;
    char off[] = "off", any[] = "0.0.0.0:0", bad[] = "a b", *names[] = {bad};
    const struct web_site ws = {.id = "x"};
    struct web *w = NULL;
    struct err e = {.text = ""};
    const struct web_cfg wrong = {.listen = any, .names = {names, 1}};
    assert_int_equal(web_open(&w, &(struct web_cfg){.listen = off}, &ws, site.store, &site.clk, &e),
                     ST_OK);
    assert_null(w);
    assert_int_equal(web_port(w), 0);
    assert_int_equal(web_open(&w, &wrong, &ws, site.store, &site.clk, &e), ST_BAD);
    assert_null(w);
    assert_non_null(strstr(e.text, "web.names"));
}

static void a_cut_message_is_still_json(void **state)
{
    (void)state;
    struct buf b;
    struct web_json j;
    buf_init(&b, 4096);
    web_json_begin(&j, &b);
    web_json_open(&j, NULL, '[');
    web_json_text(&j, NULL, "ph\xc6\xb0\xe1\xbb"); /* "phườ", cut */
    web_json_text(&j, NULL, "\x01\"\\\n\x7f");
    web_json_text(&j, NULL, "\xed\xa0\x80\xc0\xaf\xf5\x80\x80\x80");
    web_json_num(&j, NULL, num_flt(1e-7));
    web_json_close(&j, ']');
    assert_int_equal(web_json_end(&j), ST_OK);
    json_t *back = json_loadb((const char *)b.p, b.n, 0, NULL);
    assert_non_null(back);
    assert_string_equal(json_string_value(json_array_get(back, 0)), "phư\xef\xbf\xbd\xef\xbf\xbd");
    assert_string_equal(json_string_value(json_array_get(back, 1)), "\x01\"\\\n\x7f");
    json_decref(back);
    buf_done(&b);
    buf_init(&b, 8); /* a full buffer is an error, not a cut answer */
    web_json_begin(&j, &b);
    web_json_text(&j, NULL, "longer than that");
    assert_int_equal(web_json_end(&j), ST_FULL);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_tells_site_devices_store_and_receipts),
        cmocka_unit_test(every_value_has_time_age_and_quality),
        cmocka_unit_test(events_page_backwards_and_bad_queries_are_told),
        cmocka_unit_test(a_chart_is_columns_of_points_and_bad_questions_are_told),
        cmocka_unit_test(health_is_one_word),
        cmocka_unit_test(the_page_is_served_small_and_whole),
        cmocka_unit_test(a_browser_gets_the_smallest_form_that_it_takes),
        cmocka_unit_test(a_file_that_is_known_is_not_sent_again),
        cmocka_unit_test(another_sites_page_gets_nothing),
        cmocka_unit_test(only_loopback_is_loopback),
        cmocka_unit_test(an_address_is_no_name_of_another_site),
        cmocka_unit_test(off_is_no_page_and_a_name_must_be_one),
        cmocka_unit_test(a_cut_message_is_still_json),
        cmocka_unit_test(a_device_that_says_error_answers),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
