/* The thread against this machine's loopback: what arrives on the board of a real store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/connectivity/connectivity_int.h"
#include "tests/support/skip.h"
#include "tests/support/temp.h"

#define NOBODY 65534
#define WAIT_MS 15000
#define NO_PING "this machine does not permit pings"

struct site {
    char dir[64], path[96];
    struct connectivity_ping_cfg ping[2];
    struct connectivity_link_cfg link[2];
    struct connectivity *k;
    struct store *store;
    struct thr_stop stop, tick;
    struct thr thr;
    struct connectivity_job job;
};

static void site_open(struct site *s, const char *host)
{
    struct err e = {.text = ""};
    memset(s, 0, sizeof *s);
    assert_non_null(mkdtemp(temp_name(s->dir, sizeof s->dir)));
    snprintf(s->path, sizeof s->path, "%s/store.db", s->dir);
    static char a[] = "there", b[] = "gone", c[] = "lo", d[] = "none0";
    s->ping[0] = (struct connectivity_ping_cfg){
        .id = a, .host = strdup(host), .every_ms = 1000, .count = 2, .timeout_ms = 300};
    s->ping[1] = (struct connectivity_ping_cfg){
        .id = b, .host = strdup("host.invalid"), .every_ms = 1000, .count = 1, .timeout_ms = 400};
    s->link[0] = (struct connectivity_link_cfg){.id = c, .interface = c, .every_ms = 1000};
    s->link[1] = (struct connectivity_link_cfg){.id = d, .interface = d, .every_ms = 1000};
    const struct connectivity_cfg cfg = {.ping = {s->ping, 2}, .link = {s->link, 2}};
    const struct store_cfg sc = {
        .path = s->path, .max_size_bytes = 1 << 30, .keep_ms = 86400000, .journal_every_ms = 10000};
    /* no mistake is made here, so no cfg is needed to complain to */
    struct cfg *none = NULL;
    const struct cfg_section sections[] = {{.key = NULL}};
    assert_int_not_equal(cfg_load(&none, "/nonexistent", sections, NULL, NULL), ST_OK);
    assert_int_equal(connectivity_open(&s->k, &cfg, none, &e), ST_OK);
    cfg_free(none);
    if (store_open(&s->store, &sc, "gw", clk_real(), &e) != ST_OK)
        fail_msg("%s", e.text);
    assert_int_equal(connectivity_declare(s->k, s->store, &e), ST_OK);
    assert_int_equal(store_start(s->store, &e), ST_OK);
    assert_int_equal(thr_stop_open(&s->stop, &e), ST_OK);
    assert_int_equal(thr_stop_open(&s->tick, &e), ST_OK);
    s->job = (struct connectivity_job){
        .connectivity = s->k, .store = s->store, .clk = clk_real(), .stop = &s->stop};
    assert_int_equal(thr_start(&s->thr, "connectivity", connectivity_main, &s->job, &e), ST_OK);
}

static void site_close(struct site *s)
{
    int64_t from = clk_mono(clk_real()).ms;
    thr_stop_now(&s->stop);
    thr_join(&s->thr);
    assert_true(clk_mono(clk_real()).ms - from < 1000);
    store_stop(s->store);
    store_close(s->store);
    connectivity_close(s->k);
    thr_stop_close(&s->stop);
    thr_stop_close(&s->tick);
    free(s->ping[0].host);
    free(s->ping[1].host);
    static const char *const suffix[] = {"", "-wal", "-shm", ".journal", ".reserve"};
    for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s%s", s->path, suffix[i]);
        (void)unlink(name);
    }
    assert_int_equal(rmdir(s->dir), 0);
}

static void polls_wait(struct site *s, uint32_t device, uint64_t polls, struct store_health *h)
{
    int64_t until = clk_mono(clk_real()).ms + WAIT_MS;
    do {
        store_health_get(s->store, device, h);
        if (h->polls >= polls)
            return;
    } while (!thr_stop_wait(&s->tick, 20) && clk_mono(clk_real()).ms < until);
    fail_msg("device %u made no poll", device);
}

static bool may_ping(int family)
{
    struct connectivity_socket s;
    bool may = connectivity_socket_open(&s, family, NULL) == ST_OK;
    connectivity_socket_close(&s);
    return may;
}

static void loopback_answers_and_links_are_told(void **state)
{
    (void)state;
    if (!may_ping(AF_INET))
        SKIP(NO_PING);
    struct site s;
    struct store_health h;
    struct store_now now[3];
    site_open(&s, "127.0.0.1");
    polls_wait(&s, 0, 2, &h);
    assert_int_equal(h.state, STORE_GOOD);
    assert_int_equal(h.failures, 0);
    store_board(s.store, 0, 3, now);
    assert_false(now[0].missing || now[1].missing || now[2].missing);
    assert_true(num_cmp(now[0].v, num_dec(0, 0)) > 0 && num_cmp(now[0].v, num_dec(300, 0)) < 0);
    assert_int_equal(num_cmp(now[1].v, num_dec(0, 0)), 0);
    assert_int_equal(now[0].t_ms % 1000, connectivity_phase("gw", "there", 1000));

    polls_wait(&s, 1, 1, &h); /* a name that is not there: nothing was measured, nothing is said */
    assert_int_equal(h.state, STORE_FAULTY);
    assert_non_null(strstr(h.text, "host.invalid: the name is not found"));
    store_board(s.store, 3, 2, now);
    assert_true(now[0].missing && now[1].missing);
    assert_int_equal(now[1].cause, STORE_DEVICE);

    polls_wait(&s, 2, 1, &h);
    store_board(s.store, 5, 2, now);
    assert_int_equal(h.state, STORE_GOOD);
    assert_int_equal(num_cmp(now[0].v, num_dec(1, 0)), 0);
    assert_string_equal(store_series_at(s.store, 6)->point, "changes"); /* it tells no rate */
    store_board(s.store, 6, 2, now);
    assert_true(!now[0].missing && !now[1].missing && now[1].v.i >= 0);
    polls_wait(&s, 3, 1, &h);
    assert_int_equal(h.state, STORE_FAULTY);
    assert_non_null(strstr(h.text, "no interface none0"));
    site_close(&s);
}

static void a_silent_host_is_all_loss_and_no_latency(void **state)
{
    (void)state;
    if (!may_ping(AF_INET))
        SKIP(NO_PING);
    struct site s;
    struct store_health h;
    struct store_now now[2];
    site_open(&s, "240.0.0.1"); /* reserved (RFC 1112): nobody answers */
    polls_wait(&s, 0, 1, &h);
    assert_int_equal(h.state, STORE_SILENT);
    store_board(s.store, 0, 2, now);
    assert_true(now[0].missing);
    assert_false(now[1].missing);
    assert_int_equal(num_cmp(now[1].v, num_dec(100, 0)), 0);
    site_close(&s);
}

static void ipv6_loopback_answers(void **state)
{
    (void)state;
    if (!may_ping(AF_INET6))
        SKIP(NO_PING " over IPv6");
    if (access("/proc/net/if_inet6", R_OK) != 0)
        SKIP("this machine has no IPv6");
    struct site s;
    struct store_health h;
    site_open(&s, "::1");
    polls_wait(&s, 0, 1, &h);
    site_close(&s);
    assert_int_equal(h.state, STORE_GOOD);
}

/* One echo, whose answer waits for 0.7 s when it has come; its time. */
static int64_t read_late(int family, const char *host)
{
    const struct connectivity_ping_cfg cfg = {.count = 1, .timeout_ms = 500};
    const struct connectivity_job job = {.clk = clk_real()};
    struct connectivity_ping p = {.cfg = &cfg, .state = CONNECTIVITY_ECHO};
    struct connectivity k = {.ping = &p, .npings = 1, .socket = {{.fd = -1}, {.fd = -1}}};
    struct connectivity_socket *s = &k.socket[family == AF_INET6];
    assert_true(connectivity_address_parse(host, &p.to));
    connectivity_ping_step(&k, &p, &job);
    struct pollfd came = {.fd = s->fd, .events = POLLIN};
    assert_int_equal(poll(&came, 1, WAIT_MS), 1);
    (void)poll(NULL, 0, 700);
    connectivity_receive(&k, s);
    connectivity_socket_close(s);
    return p.sent[0].rtt_us;
}

/* The thread is held elsewhere for longer than the time-out, as by a slow sensor. In the first
 * moments after somebody wants stamps the kernel has none; a busy one answers itself late. */
static void an_answer_that_waits_is_as_old_as_it_came(void **state)
{
    static const struct {
        int family;
        const char *host;
    } rows[] = {{AF_INET, "127.0.0.1"}, {AF_INET6, "::1"}};
    bool tried = false;
    int on = 1, fd = socket(AF_INET, SOCK_DGRAM, 0);
    (void)state;
    if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0) {
        (void)close(fd);
        SKIP("this kernel, or its emulator, stamps no packets");
    }
    for (size_t i = 0; i < 2; i++) {
        int64_t rtt_us = -1;
        if (!may_ping(rows[i].family) || (i == 1 && access("/proc/net/if_inet6", R_OK) != 0))
            continue;
        tried = true;
        for (int tries = 0; tries < 10 && rtt_us < 0; tries++)
            rtt_us = read_late(rows[i].family, rows[i].host);
        print_message("%s: %lld us\n", rows[i].host, (long long)rtt_us);
        assert_in_range(rtt_us, 0, 350000);
    }
    (void)close(fd); /* while it was open, the kernel went on stamping */
    if (!tried)
        SKIP(NO_PING);
}

static void without_permission_it_says_what_to_do(void **state)
{
    (void)state;
    if (geteuid() != 0)
        SKIP("only root can give the permission up");
    pid_t child = fork();
    if (child == 0) {
        struct connectivity_socket s;
        struct err e = {.text = ""};
        if (setresuid(NOBODY, NOBODY, NOBODY) != 0 || setresgid(NOBODY, NOBODY, NOBODY) == 0)
            _exit(2);
        enum st st = connectivity_socket_open(&s, AF_INET, &e);
        if (st == ST_OK) /* this machine lets everybody ping */
            _exit(0);
        _exit(st == ST_REFUSED && strstr(e.text, "ping_group_range") && strstr(e.text, "NET_RAW")
                  ? 0
                  : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_that_waits_is_as_old_as_it_came),
        cmocka_unit_test(without_permission_it_says_what_to_do),
        cmocka_unit_test(loopback_answers_and_links_are_told),
        cmocka_unit_test(a_silent_host_is_all_loss_and_no_latency),
        cmocka_unit_test(ipv6_loopback_answers),
    };
    return skip_result(cmocka_run_group_tests(tests, NULL, NULL));
}
