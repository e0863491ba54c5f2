/* What the client promises: verified TLS, bounded answers, no redirects, a stop that stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "gateway/http/http.h"
#include "tests/support/cert.h"
#include "tests/support/temp.h"

static char dir[64], cert[96], key[96], other[96], other_key[96];

static void on_put(void *ctx, const struct http_request *q, struct http_answer *a)
{
    (void)ctx;
    const char *h = http_header(q, "X-In"), *auth = http_header(q, "Authorization");
    a->status = 201;
    a->content_type = "text/plain";
    buf_init(&a->body, 4096);
    assert_int_equal(buf_printf(&a->body, "%zu %s %s", q->body_n, h ? h : "-", auth ? auth : "-"),
                     ST_OK);
}

static void on_get(void *ctx, const struct http_request *q, struct http_answer *a)
{
    static const char big[5000];
    (void)ctx;
    if (strcmp(q->param[0], "moved") == 0) {
        a->status = 302;
        http_answer_header(a, "Location", "/x/plain");
    } else if (strcmp(q->param[0], "busy") == 0) {
        http_problem(a, 503, "unavailable", "later", NULL, NULL);
        http_answer_header(a, "Retry-After", "17");
    } else if (strncmp(q->param[0], "later", 5) == 0) {
        a->status = 429;
        http_answer_header(a, "Retry-After", "%s", q->param[0] + 5);
    } else {
        a->status = 200;
        a->static_body = big;
        a->static_n = sizeof big;
    }
}

static const struct http_route routes[] = {{"PUT", "/x/{y}", 2000000, on_put},
                                           {"GET", "/x/{y}", 0, on_get}};
static struct http_server *server;

static int start(void **state)
{
    struct err e = {0};
    (void)state;
    if (mkdtemp(temp_name(dir, sizeof dir)) == NULL)
        return -1;
    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    snprintf(other, sizeof other, "%s/other.pem", dir);
    snprintf(other_key, sizeof other_key, "%s/other.key", dir);
    if (!cert_make(cert, key) || !cert_make(other, other_key))
        return -1;
    const struct http_server_cfg cfg = {.listen = "127.0.0.1:0",
                                        .cert = cert,
                                        .key = key,
                                        .threads = 2,
                                        .max_connections = 16,
                                        .timeout_s = 10};
    /* proxies of the environment must not be asked */
    setenv("https_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    if (http_server_open(&server, &cfg, routes, 2, NULL, &e) != ST_OK) {
        print_error("%s\n", e.text);
        return -1;
    }
    return 0;
}

static int stop(void **state)
{
    const char *const files[] = {cert, key, other, other_key};
    (void)state;
    http_server_close(server);
    for (size_t i = 0; i < 4; i++)
        unlink(files[i]);
    return rmdir(dir);
}

static struct http_client *client(const char *ca, int64_t total_ms)
{
    struct http_client *c;
    const struct http_client_cfg cfg = {.ca = ca,
                                        .bearer = "t0ken",
                                        .connect_ms = 3000,
                                        .total_ms = total_ms,
                                        .max_answer = 4096,
                                        .user_agent = "test"};
    assert_int_equal(http_client_open(&c, &cfg, NULL), ST_OK);
    return c;
}

static enum st call(struct http_client *c, const char *method, const char *host, const char *path,
                    const char *body, size_t n, struct http_reply *r, struct err *e)
{
    static const char *const headers[] = {"X-In: yes", "Content-Type: application/cose", NULL};
    char url[128];
    const struct http_call k = {
        .method = method, .url = url, .body = body, .body_n = n, .headers = headers};
    snprintf(url, sizeof url, "https://%s:%u%s", host, http_server_port(server), path);
    return http_client_do(c, &k, -1, r, e);
}

static void a_body_arrives_and_the_answer_returns(void **state)
{
    struct http_reply r = {0};
    struct http_client *c = client(cert, 10000);
    char *big = calloc(1, 1500000);
    struct err e = {0};

    (void)state;
    assert_int_equal(call(c, "PUT", "127.0.0.1", "/x/1", "abc", 3, &r, &e), ST_OK);
    assert_int_equal(r.status, 201);
    assert_string_equal(r.content_type, "text/plain");
    assert_int_equal(r.body.n, strlen("3 yes Bearer t0ken"));
    assert_memory_equal(r.body.p, "3 yes Bearer t0ken", r.body.n);
    assert_in_range(r.sent_bytes, 100, 400);
    assert_int_equal(r.retry_after_s, -1);
    assert_int_equal(call(c, "PUT", "localhost", "/x/1", big, 1500000, &r, &e), ST_OK);
    assert_int_equal(r.status, 201);
    assert_in_range(r.sent_bytes, 1500100, 1500500);
    /* the head goes out with some of the body, which is counted once */
    for (size_t n = 10000; n < 300000; n *= 2) {
        assert_int_equal(call(c, "PUT", "localhost", "/x/1", big, n, &r, &e), ST_OK);
        assert_in_range(r.sent_bytes, n, n + 500);
    }
    assert_int_equal(call(c, "GET", "127.0.0.1", "/x/busy", NULL, 0, &r, &e), ST_OK);
    assert_int_equal(r.status, 503);
    assert_int_equal(r.retry_after_s, 17);
    free(big);
    buf_done(&r.body);
    http_client_close(c);
}

/* Seconds, or a date of HTTP; what is neither says nothing. */
static void retry_after_is_seconds_or_a_date(void **state)
{
    static const struct {
        const char *text;
        time_t in_s; /* not 0: the date of so many seconds from now, in the place of text */
        long low, high;
    } cases[] = {{"0", 0, -1, -1},
                 {"120", 0, 120, 120},
                 {"soon", 0, -1, -1},
                 {"-5", 0, -1, -1},
                 {"4000000000", 0, 1, LONG_MAX}, /* whoever waits has a bound of his own */
                 {NULL, 90, 80, 90},
                 {NULL, -90, -1, -1},
                 {"Wed, 99 Foo 2026 99:99:99 GMT", 0, -1, -1}};
    struct http_reply r = {0};
    struct http_client *c = client(cert, 10000);
    struct err e = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[128] = "/x/later", text[64];
        struct tm tm;
        time_t at = time(NULL) + cases[i].in_s;
        gmtime_r(&at, &tm);
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        for (const char *p = cases[i].text ? cases[i].text : text; *p; p++)
            snprintf(path + strlen(path), sizeof path - strlen(path), *p == ' ' ? "%%20" : "%c",
                     *p);
        assert_int_equal(call(c, "GET", "127.0.0.1", path, NULL, 0, &r, &e), ST_OK);
        assert_int_equal(r.status, 429);
        assert_in_range(r.retry_after_s + 1, cases[i].low + 1,
                        cases[i].high == LONG_MAX ? LONG_MAX : cases[i].high + 1);
    }
    buf_done(&r.body);
    http_client_close(c);
}

/* More than the bodies, and not by far: TLS and the heads of packets. A second call on the same
 * connection costs no handshake; the end of a connection is counted when it comes. */
static void what_goes_over_the_wire_is_counted(void **state)
{
    struct http_wire w = {0, 0, ""};
    const struct http_client_cfg cfg = {.ca = cert,
                                        .connect_ms = 5000,
                                        .total_ms = 10000,
                                        .max_answer = 10000,
                                        .user_agent = "test",
                                        .wire = &w};
    struct http_client *c = NULL;
    struct http_reply r = {0};
    struct err e = {0};
    static char body[100000];

    (void)state;
    assert_int_equal(http_client_open(&c, &cfg, &e), ST_OK);
    assert_int_equal(call(c, "PUT", "127.0.0.1", "/x/1", body, sizeof body, &r, &e), ST_OK);
    int64_t sent = w.sent_bytes, received = w.received_bytes;
    assert_in_range(sent, sizeof body + 1000, sizeof body + 8000);
    assert_in_range(received, 1000, 8000);
    assert_string_equal(w.interface, "lo");
    assert_int_equal(call(c, "PUT", "127.0.0.1", "/x/1", "abc", 3, &r, &e), ST_OK);
    assert_in_range(w.sent_bytes - sent, 200, 900);
    assert_in_range(w.received_bytes - received, 200, 900);
    sent = w.sent_bytes;
    http_client_close(c);
    assert_in_range(w.sent_bytes - sent, 80, 300);
    buf_done(&r.body);
}

static void an_early_refusal_is_read_though_the_body_was_not(void **state)
{
    struct http_reply r = {0};
    struct http_client *c = client(cert, 10000);
    char *big = calloc(1, 20000000);
    struct err e = {0};

    (void)state;
    assert_int_equal(call(c, "PUT", "127.0.0.1", "/x/1", big, 20000000, &r, &e), ST_OK);
    assert_int_equal(r.status, 413);
    free(big);
    buf_done(&r.body);
    http_client_close(c);
}

static void another_certificate_is_refused(void **state)
{
    struct http_reply r = {0};
    struct http_client *c = client(other, 10000);
    struct err e = {0};

    (void)state;
    assert_int_equal(call(c, "GET", "127.0.0.1", "/x/busy", NULL, 0, &r, &e), ST_CORRUPT);
    assert_int_equal(r.status, 0);
    http_client_close(c);
    buf_done(&r.body);
}

static void another_host_name_is_refused(void **state)
{
    struct http_reply r = {0};
    struct http_client *c = client(cert, 10000);
    struct err e = {0};

    (void)state;
    assert_int_equal(call(c, "GET", "127.0.0.2", "/x/busy", NULL, 0, &r, &e), ST_IO);
    http_client_close(c);
    /* the server listens on 127.0.0.1 alone; by name the certificate decides */
    c = client(cert, 10000);
    assert_int_equal(call(c, "GET", "ip6-localhost.localhost", "/x/busy", NULL, 0, &r, &e),
                     ST_CORRUPT);
    http_client_close(c);
    buf_done(&r.body);
}

static void plain_http_is_refused_with_a_ca(void **state)
{
    struct http_reply r = {0};
    struct http_client *c = client(cert, 10000);
    const struct http_call k = {.method = "GET", .url = "http://127.0.0.1:1/"};

    (void)state;
    assert_int_equal(http_client_do(c, &k, -1, &r, NULL), ST_BAD);
    http_client_close(c);
    buf_done(&r.body);
}

static void a_redirect_is_not_followed_and_a_long_answer_is_cut(void **state)
{
    struct http_reply r = {0};
    struct http_client *c = client(cert, 10000);
    struct err e = {0};

    (void)state;
    assert_int_equal(call(c, "GET", "127.0.0.1", "/x/moved", NULL, 0, &r, &e), ST_OK);
    assert_int_equal(r.status, 302);
    assert_int_equal(call(c, "GET", "127.0.0.1", "/x/plain", NULL, 0, &r, &e), ST_FULL);
    assert_true(r.body.n <= 4096);
    http_client_close(c);
    buf_done(&r.body);
}

/* A listener that never answers. */
static int silent(unsigned *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static void silence_ends_by_time_or_by_stop(void **state)
{
    struct http_reply r = {0};
    struct http_client *c = client(cert, 300);
    unsigned port;
    int fd = silent(&port), stop_fd = eventfd(1, EFD_CLOEXEC);
    char url[64];
    const struct http_call k = {.method = "GET", .url = url};
    struct err e = {0};

    (void)state;
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", port);
    assert_int_equal(http_client_do(c, &k, -1, &r, &e), ST_TIMEOUT);
    http_client_close(c);
    c = client(cert, 60000);
    assert_int_equal(http_client_do(c, &k, stop_fd, &r, &e), ST_STOPPED);
    close(fd);
    /* nobody listens any more */
    assert_int_equal(http_client_do(c, &k, -1, &r, &e), ST_IO);
    close(stop_fd);
    http_client_close(c);
    buf_done(&r.body);
}

static void a_missing_ca_is_an_error_at_once(void **state)
{
    const struct http_client_cfg cfg = {.ca = "/nonexistent/ca.pem"};
    struct http_client *c;
    struct err e;

    (void)state;
    assert_int_equal(http_client_open(&c, &cfg, &e), ST_NOT_FOUND);
    assert_null(c);
}

/* libcurl's libraries name OpenSSL's: it takes 1.5 MiB, and HTTPS is GnuTLS' (gateway/http/lean).
 */
static void no_openssl_is_loaded(void **state)
{
    struct http_client *c = client(cert, 0);
    char line[512];
    bool gnutls = false;
    FILE *maps = fopen("/proc/self/maps", "re");

    (void)state;
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps)) {
        gnutls |= strstr(line, "/libgnutls.so") != NULL;
        if (strstr(line, "/libcrypto.so"))
            fail_msg("%s", line);
    }
    assert_true(gnutls); /* this is how it would be found */
    (void)fclose(maps);
    http_client_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_arrives_and_the_answer_returns),
        cmocka_unit_test(retry_after_is_seconds_or_a_date),
        cmocka_unit_test(what_goes_over_the_wire_is_counted),
        cmocka_unit_test(an_early_refusal_is_read_though_the_body_was_not),
        cmocka_unit_test(another_certificate_is_refused),
        cmocka_unit_test(another_host_name_is_refused),
        cmocka_unit_test(plain_http_is_refused_with_a_ca),
        cmocka_unit_test(a_redirect_is_not_followed_and_a_long_answer_is_cut),
        cmocka_unit_test(silence_ends_by_time_or_by_stop),
        cmocka_unit_test(a_missing_ca_is_an_error_at_once),
        cmocka_unit_test(no_openssl_is_loaded),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
