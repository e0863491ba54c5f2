/* What an operator's page is, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/connectivity/modem_int.h"
#include "tests/support/skip.h"

#define LONG "a12345678901234567890123456789.b12345678901234567890123456789.c123456789"

static void a_redirect_to_another_host_is_the_operators(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        int status;
        const char *redirect;
        bool is;
        const char *host; /* NULL: it is cut */
    } rows[] = {
        {"http://city.example/", 302, "http://nap.example/?msisdn=84912345678", true,
         "nap.example"},
        {"http://city.example/", 307, "https://u:84912345678@nap.example:8080/x", true,
         "nap.example"},
        {"http://city.example/", 301, "http://[2001:db8::1]:80/", true, "[2001:db8::1]"},
        {"http://city.example/", 511, "", true, ""},
        {"http://city.example/", 301, "https://city.example/", false, "city.example"},
        {"http://city.example:80/a", 302, "http://CITY.example:81?b", false, "CITY.example"},
        {"http://city.example/", 301, "https://www.city.example/", false, "www.city.example"},
        {"http://www.city.example/", 301, "https://city.example/", false, "city.example"},
        {"http://city.example/", 200, "http://nap.example/", false, "nap.example"},
        {"http://city.example/", 200, "", false, ""},
        {"http://city.example/", 404, "", false, ""},
        {"http://city.example/", 302, "", false, ""},
        {"http://city.example/", 302, "nap.example", false, ""},
        {"http://city.example/", 302, "http://", false, ""},
        {"http://city.example/", 302, "http://[2001:db8::1", true, "[2001:db8::1"},
        {"http://city.example/", 302, "http://x@", false, ""},
        {"http://city.example/", 302, "http://" LONG ".example/?msisdn=84912345678", true,
         LONG ".example"},
        {"http://" LONG ".example/", 302, "http://www." LONG ".example/x", false,
         "www." LONG ".example"},
        {"http://city.example/", 302, "http://" LONG LONG LONG LONG LONG "/", true, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char host[CONNECTIVITY_HOST_BYTES];
        if (connectivity_portal_is(rows[i].url, rows[i].status, rows[i].redirect, host) !=
            rows[i].is)
            fail_msg("%d %s", rows[i].status, rows[i].redirect);
        if (rows[i].host)
            assert_string_equal(host, rows[i].host);
    }
}

static void an_interface_with_an_address_is_known(void **state)
{
    (void)state;
    assert_true(connectivity_has_address("lo"));
    assert_false(connectivity_has_address("none0"));
}

/* ---- a real server that redirects -------------------------------------------------------------
 */

static const char page[] = "HTTP/1.1 302 Found\r\nLocation: http://nap.example/?n=849\r\n"
                           "Content-Length: 4\r\nConnection: close\r\n\r\npage";
struct portal {
    int fd;
    char url[64], method[5]; /* of the last request */
    pthread_t thread;
};

static void *portal_main(void *arg)
{
    struct portal *p = arg;
    int fd;
    while ((fd = accept(p->fd, NULL, NULL)) >= 0) {
        char request[1024];
        if (read(fd, request, sizeof request) > 4) {
            memcpy(p->method, request, 4);
            (void)!write(fd, page, sizeof page - 1);
        }
        (void)close(fd);
    }
    return NULL;
}

static void portal_start(struct portal *p)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->fd, (struct sockaddr *)&a, n), 0);
    assert_true(listen(p->fd, 4) == 0 && getsockname(p->fd, (struct sockaddr *)&a, &n) == 0);
    (void)snprintf(p->url, sizeof p->url, "http://127.0.0.1:%u/", ntohs(a.sin_port));
    assert_int_equal(pthread_create(&p->thread, NULL, portal_main, p), 0);
}

static void portal_end(struct portal *p)
{
    assert_int_equal(shutdown(p->fd, SHUT_RDWR), 0);
    assert_int_equal(pthread_join(p->thread, NULL), 0);
    (void)close(p->fd);
}

static bool lost_now;
static bool lost(void *ctx)
{
    (void)ctx;
    return lost_now;
}

/* Nobody listens at port 1: the check fails, and says nothing. */
static void a_check_costs_data_only_while_the_city_is_lost_and_ever_less(void **state)
{
    (void)state;
    static char interface[] = "lo", check[] = "http://127.0.0.1:1/";
    struct thr_stop stop;
    assert_int_equal(thr_stop_open(&stop, NULL), ST_OK);
    const struct connectivity_modem_cfg cfg = {
        .interface = interface, .check = check, .every_ms = 60000};
    const struct connectivity_job job = {.clk = clk_real(), .stop = &stop, .city_lost = lost};
    struct connectivity_portal p = {.seen = false};
    lost_now = false;
    assert_false(connectivity_portal_look(&p, &cfg, &job));
    assert_int_equal(p.wait_ms, 0);
    lost_now = true;
    static const int64_t waits[] = {60000, 120000, 240000, 480000, 900000, 900000};
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        p.next.ms = 0; /* its time has come */
        assert_false(connectivity_portal_look(&p, &cfg, &job));
        assert_int_equal(p.wait_ms, waits[i]);
    }
    p.seen = true; /* what was seen holds until it is looked at again */
    assert_true(connectivity_portal_look(&p, &cfg, &job));
    assert_int_equal(p.wait_ms, 900000);
    lost_now = false;
    assert_false(connectivity_portal_look(&p, &cfg, &job));
    assert_int_equal(p.wait_ms, 0);
    thr_stop_close(&stop);
}

/* Another interface that has an address: the answer did not come over it. */
static char *other_interface(void)
{
    struct ifaddrs *all;
    char *name = NULL;
    assert_int_equal(getifaddrs(&all), 0);
    for (const struct ifaddrs *i = all; i && !name; i = i->ifa_next)
        if (strcmp(i->ifa_name, "lo") != 0 && connectivity_has_address(i->ifa_name))
            name = strdup(i->ifa_name);
    freeifaddrs(all);
    return name;
}

static void only_an_answer_over_the_modems_interface_counts(void **state)
{
    (void)state;
    static char lo[] = "lo";
    struct thr_stop stop;
    struct portal server = {.fd = -1};
    portal_start(&server);
    assert_int_equal(thr_stop_open(&stop, NULL), ST_OK);
    struct connectivity_modem_cfg cfg = {.interface = lo, .check = server.url, .every_ms = 60000};
    const struct connectivity_job job = {.clk = clk_real(), .stop = &stop, .city_lost = lost};
    struct connectivity_portal p = {.seen = false};
    char *other = other_interface();
    lost_now = true;
    assert_true(connectivity_portal_look(&p, &cfg, &job));
    assert_string_equal(p.host, "nap.example"); /* and no more of its address */
    p = (struct connectivity_portal){.seen = false};
    cfg.interface = other;
    if (other)
        assert_false(connectivity_portal_look(&p, &cfg, &job));
    char host[CONNECTIVITY_HOST_BYTES];
    assert_true(connectivity_portal_ask("HEAD", server.url, NULL, host, &stop));
    assert_string_equal(host, "nap.example");
    portal_end(&server);
    assert_string_equal(server.method, "HEAD"); /* a page costs data, its head is enough */
    thr_stop_close(&stop);
    if (!other)
        SKIP("this machine has no second interface with an address");
    free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_redirect_to_another_host_is_the_operators),
        cmocka_unit_test(an_interface_with_an_address_is_known),
        cmocka_unit_test(a_check_costs_data_only_while_the_city_is_lost_and_ever_less),
        cmocka_unit_test(only_an_answer_over_the_modems_interface_counts),
    };
    return skip_result(cmocka_run_group_tests(tests, NULL, NULL));
}
