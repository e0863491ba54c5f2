/* Requests that are refused before their body, and those whose answer another thread finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/thr.h"
#include "gateway/http/http.h"

static struct http_server *server;
static struct http_client *client;
static struct http_reply reply;
static struct thr finder;
static atomic_int called, dropped;

static void find(void *impl)
{
    http_resume(impl);
}

static void drop(void *job)
{
    assert_ptr_equal(job, &called);
    atomic_fetch_add(&dropped, 1);
}

static void later(void *ctx, const struct http_request *q, struct http_answer *a)
{
    (void)ctx;
    atomic_fetch_add(&called, 1);
    if (!q->later->job) {
        http_later(q, &called, drop);
        assert_int_equal(thr_start(&finder, "finder", find, q->impl, NULL), ST_OK);
        return;
    }
    a->status = 200;
    a->content_type = "text/plain";
    buf_init(&a->body, 100);
    assert_int_equal(buf_printf(&a->body, "%.*s", (int)q->body_n, (const char *)q->body), ST_OK);
}

static bool admit(void *ctx, const struct http_request *q, struct http_answer *a)
{
    (void)ctx;
    assert_int_equal(q->body_n, 0);
    assert_string_equal(q->route->pattern, "/{x}");
    if (strcmp(q->param[0], "open") == 0)
        return true;
    http_problem(a, 403, "closed", "not for you", NULL, NULL);
    return false;
}

static int ask(const char *path, const char *body)
{
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", http_server_port(server), path);
    const struct http_call call = {
        .method = "POST", .url = url, .body = body, .body_n = strlen(body)};
    reply.body.n = 0;
    assert_int_equal(http_client_do(client, &call, -1, &reply, NULL), ST_OK);
    return reply.status;
}

static int start(void **state)
{
    (void)state;
    static const struct http_route routes[] = {{"POST", "/{x}", 1000, later}};
    const struct http_server_cfg cfg = {.listen = "127.0.0.1:0",
                                        .threads = 1,
                                        .max_connections = 4,
                                        .timeout_s = 5,
                                        .admit = admit,
                                        .policy = "default-src 'none'"};
    const struct http_client_cfg ask_cfg = {
        .connect_ms = 5000, .total_ms = 10000, .max_answer = 1000, .user_agent = "test"};
    buf_init(&reply.body, 1000);
    return http_server_open(&server, &cfg, routes, 1, NULL, NULL) == ST_OK &&
                   http_client_open(&client, &ask_cfg, NULL) == ST_OK
               ? 0
               : -1;
}

static int stop(void **state)
{
    (void)state;
    http_client_close(client);
    http_server_close(server);
    buf_done(&reply.body);
    return 0;
}

static void a_request_that_waits_is_asked_again_with_its_body(void **state)
{
    (void)state;
    for (int i = 1; i <= 20; i++) { /* over one connection, too */
        assert_int_equal(ask("/open", "words"), 200);
        assert_int_equal(reply.body.n, 5);
        assert_memory_equal(reply.body.p, "words", 5);
        thr_join(&finder);
        assert_int_equal(atomic_load(&called), 2 * i);
    }
    assert_int_equal(stop(state), 0);
    assert_int_equal(atomic_load(&dropped), 20);
    assert_int_equal(start(state), 0);
}

static void who_is_not_admitted_reaches_no_handler(void **state)
{
    (void)state;
    int before = atomic_load(&called);
    assert_int_equal(ask("/shut", "words"), 403);
    assert_int_equal(atomic_load(&called), before);
    assert_int_equal(ask("/open", "words"), 200);
    thr_join(&finder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_that_waits_is_asked_again_with_its_body),
        cmocka_unit_test(who_is_not_admitted_reaches_no_handler),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
