/* TLS files that are replaced while the server runs: those that do not fit are told and change
 * nothing, and connections of before end within a bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/base/clk.h"
#include "gateway/http/http_int.h"
#include "tests/support/cert.h"
#include "tests/support/temp.h"
#include "tests/support/tls.h"

#define BIG ((size_t)1024 * 1024) /* by its size alone it may take two minutes */
#define GET "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define TIMEOUT_S 1
#define BOUND_MS 10000 /* ten times that */

static struct http_server *server;
static char *dir, cert[160], key[160], next[160], next_key[160], before[160];
static char hello[] = "hello";
static struct {
    pthread_mutex_t lock;
    int good, bad;
    char text[ERR_TEXT_BYTES];
} told = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void say_hello(void *ctx, const struct http_request *q, struct http_answer *a)
{
    (void)q;
    a->status = 200;
    a->content_type = "text/plain";
    a->static_body = ctx;
    a->static_n = sizeof hello - 1;
}

static void renewed(void *ctx, enum st st, const char *text)
{
    assert_ptr_equal(ctx, hello);
    pthread_mutex_lock(&told.lock);
    *(st == ST_OK ? &told.good : &told.bad) += 1;
    snprintf(told.text, sizeof told.text, "%s", text);
    pthread_mutex_unlock(&told.lock);
}

static int start(void **state)
{
    (void)state;
    static const struct http_route routes[] = {{"GET", "/", 0, say_hello},
                                               {"PUT", "/", BIG, say_hello}};
    dir = temp_make();
    if (!dir)
        return -1;
    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    snprintf(next, sizeof next, "%s/next.pem", dir);
    snprintf(next_key, sizeof next_key, "%s/next-key.pem", dir);
    snprintf(before, sizeof before, "%s/before.pem", dir);
    (void)signal(SIGPIPE, SIG_IGN); /* GnuTLS writes to whoever hung up */
    const struct http_server_cfg cfg = {.listen = "127.0.0.1:0",
                                        .cert = cert,
                                        .key = key,
                                        .threads = 1,
                                        .max_connections = 8,
                                        .timeout_s = TIMEOUT_S,
                                        .renewed = renewed};
    return cert_make(cert, key) && cert_make(next, next_key) && link(cert, before) == 0 &&
                   http_server_open(&server, &cfg, routes, 2, hello, NULL) == ST_OK
               ? 0
               : -1;
}

static int stop(void **state)
{
    (void)state;
    http_server_close(server);
    temp_done(dir);
    return 0;
}

static struct tls *dial(const char *trust, const char *head)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)http_server_port(server)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    struct tls *t = tls_open(fd, trust);
    assert_true(tls_send(t, head, strlen(head)));
    return t;
}

static int count(const int *n, int want, int ms)
{
    int is = 0;
    for (int64_t end = clk_mono(clk_real()).ms + ms; is < want && clk_mono(clk_real()).ms < end;) {
        pthread_mutex_lock(&told.lock);
        is = *n;
        pthread_mutex_unlock(&told.lock);
        (void)poll(NULL, 0, 20);
    }
    return is;
}

static void a_pair_that_does_not_fit_is_told_once_and_changes_nothing(void **state)
{
    (void)state;
    char text[64];
    assert_int_equal(rename(next, cert), 0); /* its key comes later */
    assert_int_equal(count(&told.bad, 1, 20000), 1);
    assert_non_null(strstr(told.text, cert));
    struct tls *t = dial(before, GET); /* is verified by the one before */
    assert_true(tls_recv(t, text, sizeof text, 5000) > 0);
    tls_close(t);
    assert_int_equal(count(&told.bad, 2, 2500), 1);
    assert_int_equal(told.good, 0);
}

/* Sends slowly what may take minutes, so no other time-out ends it. */
static void a_connection_of_before_ends_at_the_bound(void **state)
{
    (void)state;
    char part[1024];
    struct tls *t =
        dial(before, "PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n");
    assert_int_equal(rename(next_key, key), 0);
    assert_int_equal(count(&told.good, 1, 20000), 1);
    int64_t began = clk_mono(clk_real()).ms, now = began;
    while (tls_recv(t, part, sizeof part, 50) == -2 && now - began < 3 * BOUND_MS) {
        if (!tls_send(t, "a", 1))
            break;
        now = clk_mono(clk_real()).ms;
    }
    tls_close(t);
    assert_in_range(now - began, BOUND_MS / 2, 2 * BOUND_MS);
    t = dial(cert, GET); /* and the new one shows the new certificate */
    assert_true(tls_recv(t, part, sizeof part, 5000) > 0);
    tls_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_that_does_not_fit_is_told_once_and_changes_nothing),
        cmocka_unit_test(a_connection_of_before_ends_at_the_bound),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
