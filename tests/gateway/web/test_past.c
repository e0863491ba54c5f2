/* Which reading GET /api/v1/why/past takes for the one that was asked for, in a store of more
 * batches than it looks into. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>

#include "gateway/http/http.h"
#include "gateway/web/web_int.h"
#include "tests/support/line.h"

#define HOUR (60 * LINE_MINUTE)
#define DAY (24 * HOUR)
#define FIRST (LINE_M1 + 5000)    /* what was put in by hand: then, */
#define SECOND (FIRST + 5 * HOUR) /* and then */

static struct line line;
static struct web *web;
static struct http_client *client;
static json_t *answer;

static void ok(enum st st, const struct err *e)
{
    if (st != ST_OK)
        fail_msg("%s", e->text);
}

/* One device is polled and sealed every two minutes; the other is read by nobody. */
static void live(void)
{
    struct err e = {.text = ""};
    line.manual[1] = true;
    line.seal_cfg.every_ms = 2 * LINE_MINUTE;
    line_start(&line);
    line.devices = 1;
    line_run(&line, FIRST);
    line_poll(&line, 1, FIRST, 1);
    line_run(&line, SECOND);
    line_poll(&line, 1, SECOND, 2);
    line_run(&line, SECOND + HOUR);
    ok(store_step(line.store, true, &e), &e);
}

static int start(void **state)
{
    (void)state;
    struct err e = {.text = ""};
    char cert[300], console[WEB_TOKEN_TEXT];
    const struct web_cfg wc = {.listen = "127.0.0.1:0"};
    const struct web_site ws = {.id = "gw-01", .language = "vi", .version = "0"};
    line_init(&line);
    live();
    ok(web_open(&web, &wc, &ws, line.store, &line.clk, &e), &e);
    ok(web_console_read(line.db, console, &e), &e);
    (void)snprintf(cert, sizeof cert, "%s" WEB_TLS_CERT, line.db);
    const struct http_client_cfg cfg = {.ca = cert,
                                        .bearer = console,
                                        .connect_ms = 5000,
                                        .total_ms = 20000,
                                        .max_answer = 1 << 20,
                                        .user_agent = "test"};
    ok(http_client_open(&client, &cfg, &e), &e);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    json_decref(answer);
    http_client_close(client);
    web_close(web);
    line_stop(&line);
    line_done(&line);
    return 0;
}

/* The time of the reading that is named; 0: none is. */
static int64_t named(const char *series, int64_t at_ms, int64_t within_ms, bool *cut)
{
    char url[200];
    struct err e = {.text = ""};
    struct http_reply reply = {0};
    (void)snprintf(url, sizeof url,
                   "https://127.0.0.1:%u/api/v1/why/past?series=%s&at=%lld&within_ms=%lld",
                   web_port(web), series, (long long)at_ms, (long long)within_ms);
    const struct http_call call = {.method = "GET", .url = url};
    ok(http_client_do(client, &call, -1, &reply, &e), &e);
    assert_int_equal(reply.status, 200);
    json_decref(answer);
    answer = json_loadb((const char *)reply.body.p, reply.body.n, JSON_REJECT_DUPLICATES, NULL);
    buf_done(&reply.body);
    assert_non_null(answer);
    assert_true(json_is_boolean(json_object_get(answer, "cut")));
    *cut = json_is_true(json_object_get(answer, "cut"));
    return json_integer_value(json_object_get(json_object_get(answer, "reading"), "t_ms"));
}

static void the_nearest_is_named_however_many_batches_lie_before_it(void **state)
{
    (void)state;
    bool cut = true;
    static const int64_t off[] = {0, 1, -1, 2000, -70000, 5 * LINE_MINUTE, -20 * LINE_MINUTE};
    for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
        assert_int_equal(named("dev-1/p0", SECOND + off[i], DAY, &cut), SECOND);
        assert_false(cut);
    }
    assert_int_equal(named("dev-1/p0", FIRST + LINE_MINUTE, DAY, &cut), FIRST);
    assert_false(cut);
    int64_t tick = (FIRST + 2 * HOUR) / 10000 * 10000;
    assert_int_equal(named("dev-0/p0", tick + 4000, DAY, &cut), tick);
    assert_int_equal(named("dev-0/p0", tick + 6000, DAY, &cut), tick + 10000);
    assert_false(cut);
}

static void how_far_it_may_be_is_kept_to_the_millisecond(void **state)
{
    (void)state;
    bool cut = true;
    for (int side = -1; side <= 1; side += 2) {
        assert_int_equal(named("dev-1/p0", SECOND + side * 240000, 240000, &cut), SECOND);
        assert_int_equal(named("dev-1/p0", SECOND + side * 240000, 239999, &cut), 0);
        assert_int_equal(named("dev-1/p0", SECOND + side * 240001, DAY, &cut), SECOND);
    }
    assert_false(cut);
}

/* Between the two there are too many batches: neither is shown as if it were the nearest. */
static void a_search_that_was_cut_says_so_and_names_none(void **state)
{
    (void)state;
    bool cut = false;
    assert_int_equal(named("dev-1/p0", FIRST + 150 * LINE_MINUTE, DAY, &cut), 0);
    assert_true(cut);
    assert_true(json_is_null(json_object_get(answer, "batch")));
    assert_int_equal(named("dev-1/p0", FIRST + 150 * LINE_MINUTE, 5 * LINE_MINUTE, &cut), 0);
    assert_false(cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_is_named_however_many_batches_lie_before_it),
        cmocka_unit_test(how_far_it_may_be_is_kept_to_the_millisecond),
        cmocka_unit_test(a_search_that_was_cut_says_so_and_names_none),
    };
    return cmocka_run_group_tests_name("past", tests, start, stop);
}
