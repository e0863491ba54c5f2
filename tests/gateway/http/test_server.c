/* What the server promises to good and bad peers, over real sockets on free ports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "gateway/http/http_int.h"

static void echo(void *ctx, const struct http_request *q, struct http_answer *a)
{
    (void)ctx;
    const char *x = http_query(q, "x"), *h = http_header(q, "X-In");
    a->status = 200;
    a->content_type = "text/plain";
    buf_init(&a->body, 4096);
    assert_int_equal(buf_printf(&a->body, "%s|%s|%s|%zu|%s|%s|%s", q->method,
                                q->param[0] ? q->param[0] : "-", q->param[1] ? q->param[1] : "-",
                                q->body_n, x ? x : "-", h ? h : "-", q->peer),
                     ST_OK);
    http_answer_header(a, "X-Out", "%d", 7);
}

static void page(void *ctx, const struct http_request *q, struct http_answer *a)
{
    (void)ctx;
    (void)q;
    a->status = 200;
    a->content_type = "text/html";
    a->static_body = "<p>hello";
    a->static_n = 8;
}

/* Made while it is sent, a piece between two turns of the others; the end is one, or it is not. */
static struct made {
    struct http_stream stream;
    int left, closed, beside;
    int64_t end;
} made;

static int64_t made_fill(void *ctx, char *to, size_t max)
{
    struct made *m = ctx;
    assert_true(max > 6);
    if (m->left == 0)
        return m->end;
    if (m->left-- % 2 == 0) {
        http_stream_wake(&m->stream);
        return 0;
    }
    memcpy(to, "piece\n", 6);
    return 6;
}

static _Atomic(struct http_server *) alone; /* has one thread; NULL: there is none such */

static void made_closed(void *ctx)
{
    struct made *m = ctx;
    struct http_server *s = alone;
    m->closed++;
    if (s != NULL && pthread_mutex_trylock(&s->turn) == 0) {
        m->beside++;
        pthread_mutex_unlock(&s->turn);
    }
}

static void table(void *ctx, const struct http_request *q, struct http_answer *a)
{
    struct made *m = ctx != NULL ? ctx : &made;
    const char *x = http_query(q, "broken");
    *m = (struct made){
        .stream = {made_fill, made_closed, m, NULL, true}, .left = 20, .closed = m->closed};
    m->end = x ? HTTP_STREAM_BROKEN : -1;
    a->status = 200;
    a->content_type = "text/csv";
    a->stream = &m->stream;
}

static const struct http_route routes[] = {
    {"GET", "/table", 0, table},          {"GET", "/", 0, page},
    {"GET", "/a/{x}/b/{y}", 0, echo},     {"PUT", "/a/{x}/b/{y}", 1000, echo},
    {"GET", "/a/fixed/b/fixed", 0, page},
};

#define ROUTES (sizeof routes / sizeof *routes)

struct site {
    struct http_server *s;
};

static int start(void **state)
{
    static struct site site;
    const struct http_server_cfg cfg = {
        .listen = "127.0.0.1:0", .threads = 2, .max_connections = 16, .timeout_s = 1};
    struct err e = {0};
    if (http_server_open(&site.s, &cfg, routes, ROUTES, NULL, &e) != ST_OK) {
        print_error("%s\n", e.text);
        return -1;
    }
    *state = &site;
    return 0;
}

static int stop(void **state)
{
    http_server_close(((struct site *)*state)->s);
    return 0;
}

static int dial(const struct site *site)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)http_server_port(site->s)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* Sends a whole request and returns all that comes until the server closes or 5 s pass. */
static const char *ask(const struct site *site, const char *request)
{
    static char got[16384];
    size_t n = 0;
    int fd = dial(site);
    struct pollfd p = {.fd = fd, .events = POLLIN};

    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    while (n < sizeof got - 1 && poll(&p, 1, 5000) == 1) {
        ssize_t k = recv(fd, got + n, sizeof got - 1 - n, 0);
        if (k <= 0)
            break;
        n += (size_t)k;
    }
    got[n] = '\0';
    close(fd);
    return got;
}

static void expect(const struct site *site, const char *request, const char *status,
                   const char *part)
{
    const char *got = ask(site, request);
    if (strstr(got, status) != got + 9 || strstr(got, part) == NULL)
        fail_msg("%s\nanswered\n%s\nexpected %s and %s", request, got, status, part);
}

static void a_request_reaches_its_handler(void **state)
{
    const struct site *s = *state;
    expect(s, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "200", "<p>hello");
    expect(s, "GET /a/1/b/2?x=%41+b HTTP/1.1\r\nHost: h\r\nX-In: y\r\nConnection: close\r\n\r\n",
           "200", "GET|1|2|0|A b|y|127.0.0.1");
    expect(s,
           "PUT /a/g.1/b/%78 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nConnection: close\r\n"
           "\r\nabc",
           "200", "PUT|g.1|x|3|-|-|");
    expect(s, "GET /a/1/b/2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "200",
           "X-Content-Type-Options: nosniff");
    expect(s, "GET /a/1/b/2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "200", "X-Out: 7");
}

static void head_answers_as_get_without_a_body(void **state)
{
    const char *got = ask(*state, "HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_true(strstr(got, " 200 ") != NULL);
    assert_true(strstr(got, "Content-Length: 8") != NULL);
    assert_true(strstr(got, "hello") == NULL);
}

static void unknown_paths_and_methods_are_told_apart(void **state)
{
    const struct site *s = *state;
    expect(s, "GET /nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "404",
           "application/problem+json");
    expect(s, "DELETE /a/1/b/2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "405",
           "Allow: GET, HEAD, PUT");
}

static void a_path_trick_matches_no_route(void **state)
{
    static const char *const paths[] = {
        "/a/1%2Fb/2",     "/a/x%2Fy/b/2", "/a//b/2",   "/a/1/b/",    "/a/1/b/2/", "/a/%00/b/2",
        "/a/1%0d%0a/b/2", "/a/%/b/2",     "/a/%4/b/2", "/a/%zz/b/2", "a/1/b/2",   "/a/1/b/2/../2",
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char q[256];
        snprintf(q, sizeof q, "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", paths[i]);
        const char *got = ask(*state, q);
        if (strncmp(got + 9, "404", 3) != 0)
            fail_msg("%s answered %.20s", paths[i], got);
    }
}

static void a_long_path_is_refused(void **state)
{
    char q[1400];
    memset(q, 'a', sizeof q);
    memcpy(q, "GET /a/", 7);
    snprintf(q + 1200, sizeof q - 1200, " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    expect(*state, q, "414", "problem+json");
}

static void a_body_too_long_is_refused_before_it_is_read(void **state)
{
    /* nothing of the body is ever sent, and the answer comes all the same */
    expect(*state, "PUT /a/1/b/2 HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n", "413",
           "too_large");
    expect(*state, "PUT /a/1/b/2 HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\n\r\n", "413",
           "Connection: close");
    expect(*state,
           "PUT /a/1/b/2 HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\n"
           "Expect: 100-continue\r\n\r\n",
           "413", "too_large");
}

/* A simple client writes all it has and only then reads: the answer must still be there. */
static void a_client_that_sends_on_still_reads_its_refusal(void **state)
{
    static const char head[] =
        "PUT /a/1/b/2 HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\n\r\n";
    static char part[1 << 16], got[4096];
    int fd = dial(*state);
    size_t n = 0;
    ssize_t k;

    assert_int_equal(send(fd, head, sizeof head - 1, MSG_NOSIGNAL), (ssize_t)sizeof head - 1);
    for (size_t sent = 0; sent < 20000000; sent += (size_t)k) {
        k = send(fd, part, sizeof part, MSG_NOSIGNAL);
        if (k < 0)
            fail_msg("sending stopped after %zu bytes: %s", sent, strerror(errno));
    }
    shutdown(fd, SHUT_WR);
    while (n < sizeof got - 1 && (k = recv(fd, got + n, sizeof got - 1 - n, 0)) > 0)
        n += (size_t)k;
    got[n] = '\0';
    assert_non_null(strstr(got, " 413 "));
    close(fd);
}

static void a_chunked_body_too_long_is_refused(void **state)
{
    char q[4096];
    int n = snprintf(q, sizeof q,
                     "PUT /a/1/b/2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
                     "Connection: close\r\n\r\n3e9\r\n");
    memset(q + n, 'x', 1001);
    snprintf(q + n + 1001, sizeof q - (size_t)n - 1001, "\r\n0\r\n\r\n");
    expect(*state, q, "413", "too_large");
}

static void a_body_at_the_limit_is_taken(void **state)
{
    char q[4096];
    int n = snprintf(q, sizeof q,
                     "PUT /a/1/b/2 HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n"
                     "Connection: close\r\n\r\n");
    memset(q + n, 'x', 1000);
    q[n + 1000] = '\0';
    expect(*state, q, "200", "PUT|1|2|1000|");
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* One byte each 50 ms, for ever: no idle time-out ever fires. Returns after how long it ended. */
static int64_t trickle(const struct site *site, const char *head)
{
    int fd = dial(site);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int64_t began = now_ms();
    char c;

    assert_int_equal(send(fd, head, strlen(head), MSG_NOSIGNAL), (ssize_t)strlen(head));
    while (now_ms() - began < 20000) {
        if (poll(&p, 1, 50) == 1 && recv(fd, &c, 1, 0) <= 0)
            break;
        if (send(fd, "a", 1, MSG_NOSIGNAL) < 0)
            break;
    }
    close(fd);
    return now_ms() - began;
}

static void a_client_that_trickles_is_ended(void **state)
{
    /* the time-out of this server is 1 s: in the head, and in the body */
    assert_in_range(trickle(*state, "GET /a/1/b/2 HTTP/1.1\r\nX-Slow: "), 500, 6000);
    assert_in_range(
        trickle(*state, "PUT /a/1/b/2 HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"), 500,
        6000);
}

static void a_silent_client_is_ended(void **state)
{
    int fd = dial(*state);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char c;
    assert_int_equal(poll(&p, 1, 8000), 1);
    assert_true(recv(fd, &c, 1, 0) <= 0);
    close(fd);
}

static void two_requests_share_a_connection(void **state)
{
    const char *got = ask(*state, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
                                  "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    const char *first = strstr(got, "<p>hello");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "<p>hello"));
}

static void wrong_addresses_and_certificates_say_what_is_wrong(void **state)
{
    static const char *const bad[] = {"",       ":80",   "127.0.0.1", "host:80",
                                      "::1:80", "[::1]", "1.2.3.4:x"};
    struct http_server_cfg cfg = {.threads = 1, .max_connections = 4, .timeout_s = 1};
    struct http_server *s;
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cfg.listen = bad[i];
        assert_int_equal(http_server_open(&s, &cfg, routes, ROUTES, NULL, &e), ST_BAD);
        assert_null(s);
    }
    cfg.listen = "127.0.0.1:0";
    cfg.cert = cfg.key = "/nonexistent.pem";
    assert_int_equal(http_server_open(&s, &cfg, routes, ROUTES, NULL, &e), ST_NOT_FOUND);
    assert_non_null(strstr(e.text, "/nonexistent.pem"));
    cfg.cert = cfg.key = FP_SOURCE_DIR "/CMakeLists.txt";
    assert_int_equal(http_server_open(&s, &cfg, routes, ROUTES, NULL, &e), ST_BAD);
    assert_non_null(strstr(e.text, "certificate"));
}

static void a_taken_port_is_an_error(void **state)
{
    const struct site *site = *state;
    char at[32];
    struct http_server_cfg cfg = {.listen = at, .threads = 1, .max_connections = 4, .timeout_s = 1};
    struct http_server *s;
    struct err e;
    snprintf(at, sizeof at, "127.0.0.1:%u", http_server_port(site->s));
    assert_int_equal(http_server_open(&s, &cfg, routes, ROUTES, NULL, &e), ST_IO);
    assert_non_null(strstr(e.text, at));
}

static void an_answer_that_is_broken_off_does_not_look_whole(void **state)
{
    struct site *site = *state;
    char url[80], whole[10 * 6 + 1] = "";
    struct http_client *c;
    struct http_reply r = {0};
    const struct http_client_cfg cfg = {
        .connect_ms = 5000, .total_ms = 20000, .max_answer = 65536, .user_agent = "test"};
    assert_int_equal(http_client_open(&c, &cfg, NULL), ST_OK);
    for (int i = 0; i < 10; i++)
        memcpy(whole + 6 * i, "piece\n", 7);
    for (int i = 0; i < 2; i++) {
        snprintf(url, sizeof url, "http://127.0.0.1:%u/table%s", http_server_port(site->s),
                 i ? "?broken=1" : "");
        const struct http_call k = {.method = "GET", .url = url};
        r.body.n = 0;
        assert_int_equal(http_client_do(c, &k, -1, &r, NULL), i ? ST_IO : ST_OK);
        assert_int_equal(made.left, 0);
        if (i == 0) {
            assert_int_equal(r.body.n, sizeof whole - 1);
            assert_memory_equal(r.body.p, whole, sizeof whole - 1);
        }
    }
    buf_done(&r.body);
    http_client_close(c);
}

/* Beside an old daemon that drains there are two threads, though one was promised. */
static void a_stream_ends_in_a_turn_of_its_own(void **state)
{
    (void)state;
    const struct http_server_cfg cfg = {
        .listen = "127.0.0.1:0", .threads = 1, .max_connections = 16, .timeout_s = 1};
    struct site site;
    struct made own = {.left = 0};
    assert_int_equal(http_server_open(&site.s, &cfg, routes, ROUTES, &own, NULL), ST_OK);
    alone = site.s;
    assert_non_null(strstr(ask(&site, "GET /table HTTP/1.1\r\nHost: x\r\n\r\n"), "piece"));
    http_server_close(site.s);
    alone = NULL;
    assert_int_equal(own.closed, 1);
    assert_int_equal(own.beside, 0);
}

static void a_problem_is_json_whatever_it_says(void **state)
{
    struct http_answer a = {0};
    (void)state;
    http_problem(&a, 400, "bad", "a \"quote\" \\ \n \xff é", "sha256", "00");
    assert_int_equal(buf_put(&a.body, "", 1), ST_OK);
    assert_string_equal((const char *)a.body.p,
                        "{\"type\":\"about:blank\",\"status\":400,\"code\":\"bad\",\"detail\":"
                        "\"a \\\"quote\\\" \\\\ \\u000a ? é\",\"sha256\":\"00\"}\n");
    buf_done(&a.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_reaches_its_handler),
        cmocka_unit_test(head_answers_as_get_without_a_body),
        cmocka_unit_test(unknown_paths_and_methods_are_told_apart),
        cmocka_unit_test(a_path_trick_matches_no_route),
        cmocka_unit_test(a_long_path_is_refused),
        cmocka_unit_test(a_body_too_long_is_refused_before_it_is_read),
        cmocka_unit_test(a_client_that_sends_on_still_reads_its_refusal),
        cmocka_unit_test(a_chunked_body_too_long_is_refused),
        cmocka_unit_test(a_body_at_the_limit_is_taken),
        cmocka_unit_test(a_client_that_trickles_is_ended),
        cmocka_unit_test(a_silent_client_is_ended),
        cmocka_unit_test(two_requests_share_a_connection),
        cmocka_unit_test(wrong_addresses_and_certificates_say_what_is_wrong),
        cmocka_unit_test(a_taken_port_is_an_error),
        cmocka_unit_test(an_answer_that_is_broken_off_does_not_look_whole),
        cmocka_unit_test(a_stream_ends_in_a_turn_of_its_own),
        cmocka_unit_test(a_problem_is_json_whatever_it_says),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
