/* Connections that strangers hold: others keep their places, and slow heads end soon. The addresses
 * are those of the loopback, 127.0.0.0/8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/base/clk.h"
#include "gateway/http/http_int.h"

#define ALL 8U
#define STRANGERS 5U
#define EACH 3U
#define HEAD_MS 1000

static struct http_server *server;

static void hello(void *ctx, const struct http_request *q, struct http_answer *a)
{
    (void)ctx;
    (void)q;
    a->status = 200;
    a->content_type = "text/plain";
    a->static_body = "hello";
    a->static_n = 5;
}

/* 127.0.0.1 is known. */
static void room(void *ctx, const char *peer, struct http_room *r)
{
    (void)ctx;
    assert_int_equal(r->all, ALL);
    assert_int_equal(r->each, EACH);
    if (strcmp(peer, "127.0.0.1") == 0)
        r->each = ALL;
    else
        r->all = STRANGERS;
}

static int start(void **state)
{
    (void)state;
    static const struct http_route routes[] = {{"GET", "/", 0, hello}, {"PUT", "/", 100, hello}};
    const struct http_server_cfg cfg = {.listen = "127.0.0.1:0",
                                        .threads = 1,
                                        .max_connections = ALL,
                                        .per_ip = EACH,
                                        .room = room,
                                        .timeout_s = 30,
                                        .head_s = HEAD_MS / 1000};
    return http_server_open(&server, &cfg, routes, 2, NULL, NULL) == ST_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    http_server_close(server);
    return 0;
}

static int dial(const char *from)
{
    struct sockaddr_in me = {.sin_family = AF_INET},
                       to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)http_server_port(server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(inet_pton(AF_INET, from, &me.sin_addr), 1);
    assert_int_equal(bind(fd, (const struct sockaddr *)&me, sizeof me), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    (void)send(fd, text, strlen(text), MSG_NOSIGNAL); /* to one that hung up, too */
}

/* Whether it ends, or else answers, within ms. */
static bool ends(int fd, int ms)
{
    char c;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) == 1 && recv(fd, &c, 1, MSG_PEEK) <= 0;
}

static bool answers(int fd)
{
    char text[1024] = "";
    size_t n = 0;
    ssize_t got = 1;
    say(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    while (!strstr(text, "hello") && got > 0 && n < sizeof text - 1) {
        got = recv(fd, text + n, sizeof text - 1 - n, 0);
        n += got > 0 ? (size_t)got : 0;
        text[n] = '\0';
    }
    return strncmp(text, "HTTP/1.1 200", 12) == 0 && got > 0;
}

/* Connections that have had an answer: no deadline of a head ends them now. */
static int taken(const char *from)
{
    int fd = dial(from);
    assert_true(answers(fd));
    return fd;
}

static void refused(const char *from)
{
    int fd = dial(from);
    assert_false(answers(fd));
    close(fd);
}

static void until_free(void)
{
    size_t each;
    struct http_peer none = {{0}};
    for (int i = 0; i < 500 && http_watch_count(&server->watch, &none, &each) > 0; i++)
        (void)poll(NULL, 0, 10);
    assert_int_equal(http_watch_count(&server->watch, &none, &each), 0);
}

static void strangers_leave_places_for_who_is_known(void **state)
{
    (void)state;
    int fd[ALL];
    size_t n = 0;
    while (n < EACH)
        fd[n++] = taken("127.0.0.2");
    refused("127.0.0.2"); /* of one address no more */
    while (n < STRANGERS)
        fd[n++] = taken("127.0.0.3");
    refused("127.0.0.3"); /* of all of them no more */
    refused("127.0.0.4");
    while (n < ALL)
        fd[n++] = taken("127.0.0.1");
    for (size_t i = 0; i < n; i++) {
        assert_true(answers(fd[i])); /* nobody lost his */
        close(fd[i]);
    }
    until_free();
    fd[0] = taken("127.0.0.4"); /* a place that was left is a place */
    close(fd[0]);
    until_free();
}

/* One byte each 50 ms. How long the server takes it. */
static int64_t trickle(int fd, const char *head)
{
    int64_t began = clk_mono(clk_real()).ms;
    say(fd, head);
    while (!ends(fd, 50) && clk_mono(clk_real()).ms - began < 20000)
        say(fd, "a");
    close(fd);
    return clk_mono(clk_real()).ms - began;
}

static void a_head_that_comes_slowly_is_ended_soon(void **state)
{
    (void)state;
    /* the time-out of this server is 30 s */
    assert_in_range(trickle(dial("127.0.0.1"), ""), HEAD_MS / 2, 4 * HEAD_MS);
    assert_in_range(trickle(dial("127.0.0.1"), "GET / HTTP/1.1\r\nX: "), HEAD_MS / 2, 4 * HEAD_MS);
    int fd = taken("127.0.0.1"); /* nor is a later one for ever */
    assert_in_range(trickle(fd, "GET / HTTP/1.1\r\nX: "), HEAD_MS / 2, 4 * HEAD_MS);
    until_free();
}

static void a_body_may_take_longer(void **state)
{
    (void)state;
    char text[13] = "";
    int fd = dial("127.0.0.1");
    say(fd, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel");
    assert_false(ends(fd, 2 * HEAD_MS));
    say(fd, "lo");
    assert_int_equal(recv(fd, text, 12, MSG_WAITALL), 12);
    assert_string_equal(text, "HTTP/1.1 200");
    close(fd);
    until_free();
}

static struct http_peer key(int family, const char *text)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a = {.any.sa_family = (sa_family_t)family};
    struct http_peer k;
    assert_int_equal(
        inet_pton(family, text,
                  family == AF_INET ? (void *)&a.v4.sin_addr : (void *)&a.v6.sin6_addr),
        1);
    http_peer_key(&a.any, &k);
    return k;
}

static void of_ipv6_a_house_is_one_address(void **state)
{
    (void)state;
    struct http_peer a = key(AF_INET6, "2001:db8:1:2::1"), b = key(AF_INET6, "2001:db8:1:2:f::9"),
                     c = key(AF_INET6, "2001:db8:1:3::1"), d = key(AF_INET6, "::ffff:10.0.0.1"),
                     e = key(AF_INET6, "::ffff:10.0.0.2"), f = key(AF_INET, "10.0.0.1");
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_not_equal(&a, &c, sizeof a);
    assert_memory_not_equal(&d, &e, sizeof d);
    assert_memory_equal(&d, &f, sizeof d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_leave_places_for_who_is_known),
        cmocka_unit_test(a_head_that_comes_slowly_is_ended_soon),
        cmocka_unit_test(a_body_may_take_longer),
        cmocka_unit_test(of_ipv6_a_house_is_one_address),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
