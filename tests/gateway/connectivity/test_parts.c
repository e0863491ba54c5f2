/* What the parts promise: packets, figures, ticks, links, configuration. No network needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/connectivity/connectivity_int.h"
#include "tests/support/temp.h"

/* The reply that a host makes of our request: type 0, checksum mended (RFC 1071, incremental). */
static void reply_of(uint8_t *p, const struct connectivity_echo *q)
{
    connectivity_echo_write(p, AF_INET, q);
    p[0] = 0;
    unsigned sum = (unsigned)(p[2] << 8 | p[3]) + 0x0800;
    sum = (sum & 0xffff) + (sum >> 16);
    p[2] = (uint8_t)(sum >> 8);
    p[3] = (uint8_t)sum;
}

static void a_reply_is_read_and_anything_else_is_not(void **state)
{
    (void)state;
    const struct connectivity_echo q = {.id = 0x1234, .seq = 7, .nonce = 0x0123456789abcdef};
    struct connectivity_echo r;
    uint8_t p[20 + CONNECTIVITY_ECHO_BYTES] = {0x45};
    uint8_t *icmp = p + 20;
    p[9] = 1;
    reply_of(icmp, &q);
    assert_true(connectivity_echo_read(icmp, CONNECTIVITY_ECHO_BYTES, AF_INET, false, &r));
    assert_int_equal(r.id, q.id);
    assert_int_equal(r.seq, q.seq);
    assert_true(r.nonce == q.nonce);
    assert_true(connectivity_echo_read(p, sizeof p, AF_INET, true, &r));

    for (size_t n = 0; n < sizeof p; n++) { /* exact copies: the sanitizer sees a read beyond */
        uint8_t *cut = malloc(n + 1);
        assert_non_null(cut);
        memcpy(cut, p, n);
        assert_false(connectivity_echo_read(cut, n, AF_INET, true, &r));
        free(cut);
    }
    for (size_t i = 0; i < CONNECTIVITY_ECHO_BYTES; i++) {
        icmp[i] ^= 0x10;
        assert_false(connectivity_echo_read(icmp, CONNECTIVITY_ECHO_BYTES, AF_INET, false, &r));
        icmp[i] ^= 0x10;
    }
    p[0] = 0x4f; /* a header that claims to be longer than it is */
    assert_false(connectivity_echo_read(p, sizeof p, AF_INET, true, &r));
    connectivity_echo_write(icmp, AF_INET, &q); /* our own request, seen on a raw socket */
    assert_false(connectivity_echo_read(icmp, CONNECTIVITY_ECHO_BYTES, AF_INET, false, &r));
}

/* A forger on the same address, through a UDP socket in place of the ICMP one. */
static void only_the_answer_to_our_own_question_counts(void **state)
{
    (void)state;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    const struct connectivity_ping_cfg cfg = {.timeout_ms = 60000, .count = 1};
    struct connectivity_ping p = {.cfg = &cfg, .state = CONNECTIVITY_ECHO, .nsent = 1};
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    p.sent[0] = (struct connectivity_sent){
        .nonce = 99, .rtt_us = -1, .seq = 5, .at.mono_us = (int64_t)now.tv_sec * 1000000};
    assert_true(connectivity_address_parse("127.0.0.1", &p.to));
    struct connectivity k = {.ping = &p, .npings = 1};
    struct connectivity_socket s = {.fd = fd, .family = AF_INET, .id = 77};
    static const struct {
        struct connectivity_echo q;
        bool counts;
    } rows[] = {
        {{77, 5, 98}, false}, {{77, 6, 99}, false}, {{76, 5, 99}, false}, {{77, 5, 99}, true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t packet[CONNECTIVITY_ECHO_BYTES];
        reply_of(packet, &rows[i].q);
        assert_int_equal(sendto(fd, packet, sizeof packet, 0, (struct sockaddr *)&a, n),
                         (ssize_t)sizeof packet);
        connectivity_receive(&k, &s);
        assert_int_equal(p.sent[0].rtt_us >= 0, rows[i].counts);
    }
    p.sent[0].rtt_us = -1;
    assert_true(connectivity_address_parse("127.0.0.2", &p.to)); /* another host was asked */
    uint8_t packet[CONNECTIVITY_ECHO_BYTES];
    reply_of(packet, &rows[3].q);
    assert_int_equal(sendto(fd, packet, sizeof packet, 0, (struct sockaddr *)&a, n),
                     (ssize_t)sizeof packet);
    connectivity_receive(&k, &s);
    assert_int_equal(p.sent[0].rtt_us, -1);
    close(fd);
}

#define REAL_US INT64_C(1790000000000000)
#define HOUR_US INT64_C(3600000000)
#define WAITED_US 700000

static void what_waits_for_its_reader_is_not_later(void **state)
{
    (void)state;
    static const struct {
        int64_t read_real, stamp, rtt;
    } rows[] = {
        {REAL_US + WAITED_US, REAL_US + 20000, 20000},
        {REAL_US + WAITED_US + 800, REAL_US + 20000, 20000}, /* slewed, or read a moment later */
        {REAL_US + WAITED_US, 0, WAITED_US},                 /* no stamp */
        {REAL_US + WAITED_US + HOUR_US, REAL_US + 20000,
         WAITED_US}, /* set forward behind the stamp */
        {REAL_US + WAITED_US + HOUR_US, REAL_US + HOUR_US + 20000, WAITED_US}, /* and before it */
        {REAL_US + WAITED_US - HOUR_US, REAL_US + 20000, WAITED_US},           /* set back */
        {REAL_US + WAITED_US + 300000, REAL_US + 320000, WAITED_US},
        {REAL_US + WAITED_US - 300000, REAL_US + 20000, WAITED_US},
        {REAL_US + WAITED_US, REAL_US - 5, WAITED_US},             /* no stamp of this answer's */
        {REAL_US + WAITED_US, REAL_US + WAITED_US + 5, WAITED_US}, /* nor is this */
    };
    const struct connectivity_moment sent = {1000, REAL_US};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct connectivity_moment read = {1000 + WAITED_US, rows[i].read_real};
        assert_int_equal(connectivity_rtt_us(&sent, &read, rows[i].stamp), rows[i].rtt);
    }
}

static void figures_are_exact_decimals(void **state)
{
    (void)state;
    struct connectivity_sent s[3] = {{.rtt_us = 1000}, {.rtt_us = 1500}, {.rtt_us = 1001}};
    struct connectivity_figures f;
    connectivity_figures(s, 3, &f);
    assert_int_equal(num_cmp(f.latency, num_dec(1167, -3)), 0);
    assert_int_equal(num_cmp(f.loss, num_dec(0, 0)), 0);
    assert_int_equal(num_cmp(f.jitter, num_dec(500, -3)), 0); /* (500 + 499) / 2, half up */
    s[1].rtt_us = -1;
    connectivity_figures(s, 3, &f);
    assert_int_equal(num_cmp(f.loss, num_dec(333, -1)), 0);
    assert_int_equal(num_cmp(f.jitter, num_dec(1, -3)), 0);
    s[0].rtt_us = s[2].rtt_us = -1;
    connectivity_figures(s, 3, &f);
    assert_int_equal(num_cmp(f.loss, num_dec(100, 0)), 0);
    assert_int_equal(f.latency.kind, NUM_NONE);
    assert_int_equal(f.jitter.kind, NUM_NONE);
    connectivity_figures(s, 0, &f); /* nothing was sent: no loss was measured */
    assert_int_equal(f.loss.kind, NUM_NONE);
}

static void ticks_fall_on_utc_multiples_and_survive_clock_steps(void **state)
{
    (void)state;
    int64_t next = 0;
    assert_int_equal(connectivity_tick(&next, 100300, 1000, 0), 0);
    assert_int_equal(next, 101000);
    assert_int_equal(connectivity_tick(&next, 100999, 1000, 0), 0);
    assert_int_equal(connectivity_tick(&next, 101004, 1000, 0), 101000);
    assert_int_equal(connectivity_tick(&next, 101005, 1000, 0), 0);
    assert_int_equal(connectivity_tick(&next, 900000500, 1000, 0), 900000000); /* one, not many */
    assert_int_equal(connectivity_tick(&next, 900000600, 1000, 0), 0);
    assert_int_equal(connectivity_tick(&next, 5200, 1000, 0), 0); /* back: no stall */
    assert_int_equal(connectivity_tick(&next, 6000, 1000, 0), 6000);
}

static void a_phase_moves_every_tick(void **state)
{
    (void)state;
    int64_t next = 0;
    assert_int_equal(connectivity_tick(&next, 100300, 1000, 250), 0);
    assert_int_equal(next, 101250);
    assert_int_equal(connectivity_tick(&next, 101249, 1000, 250), 0);
    assert_int_equal(connectivity_tick(&next, 101251, 1000, 250), 101250);
    assert_int_equal(connectivity_tick(&next, 5200, 1000, 250), 0); /* back: no stall */
    assert_int_equal(connectivity_tick(&next, 5251, 1000, 250), 5250);
}

/* As whoever sets them up may call a thousand boxes. */
static const struct {
    const char *before, *after;
    int width;
} crowds[] = {{"tra-cau-", "", 1},
              {"", "", 1},
              {"ward-", "", 4},
              {"", "-gateway", 4},
              {"gw", ".quang-ngai", 1}};

static void a_thousand_boxes_are_spread_over_the_period(void **state)
{
    static const int64_t periods[] = {1000, 60000, 300000, 420000, 3600000, 604800000};
    (void)state;
    for (size_t i = 0; i < sizeof crowds / sizeof *crowds; i++) {
        for (size_t j = 0; j < sizeof periods / sizeof *periods; j++) {
            int64_t span = periods[j] < 3600000 ? periods[j] : 3600000;
            unsigned slot[10] = {0};
            char id[64];
            for (int k = 0; k < 1000; k++) {
                snprintf(id, sizeof id, "%s%0*d%s", crowds[i].before, crowds[i].width, k,
                         crowds[i].after);
                int64_t phase = connectivity_phase(id, "city", periods[j]);
                assert_in_range(phase, 0, span - 1);
                slot[phase * 10 / span]++;
            }
            for (size_t k = 0; k < 10; k++)
                assert_in_range(slot[k], 50, 150); /* a fair share is 100 */
        }
    }
}

static void the_devices_of_a_box_are_spread_too(void **state)
{
    unsigned slot[10] = {0};
    char id[64];
    (void)state;
    for (int k = 0; k < 1000; k++) {
        snprintf(id, sizeof id, "host-%d", k);
        slot[connectivity_phase("tra-cau-01", id, 60000) / 6000]++;
    }
    for (size_t k = 0; k < 10; k++)
        assert_in_range(slot[k], 50, 150);
    /* the same after each start and update; where one id ends and the other begins tells */
    assert_int_equal(connectivity_phase("tra-cau-01", "city", 300000), 52763);
    assert_int_not_equal(connectivity_phase("ab", "c", 300000),
                         connectivity_phase("a", "bc", 300000));
}

static void put_file(const char *dir, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void a_link_is_read_as_the_kernel_tells_it(void **state)
{
    (void)state;
    char root[64], dir[128], device[160];
    struct connectivity_link_state l;
    assert_non_null(mkdtemp(temp_name(root, sizeof root)));
    snprintf(dir, sizeof dir, "%s/eth0", root);
    snprintf(device, sizeof device, "%s/device", dir);
    assert_int_equal(connectivity_link_read(root, "eth0", &l), ST_NOT_FOUND);
    assert_int_equal(mkdir(dir, 0700), 0);
    put_file(dir, "operstate", "up\n");
    put_file(dir, "speed", "1000\n");
    assert_int_equal(connectivity_link_read(root, "eth0", &l), ST_OK);
    assert_true(l.up && l.has_rate);
    assert_int_equal(l.rate_mbit, 1000);
    put_file(dir, "operstate", "down\n");
    put_file(dir, "speed", "-1\n");
    assert_int_equal(connectivity_link_read(root, "eth0", &l), ST_OK);
    assert_false(l.up || l.has_rate);
    assert_int_equal(l.rate_mbit, 0);
    assert_int_equal(mkdir(device, 0700), 0); /* wired, without cable: a rate is still owed */
    assert_int_equal(connectivity_link_read(root, "eth0", &l), ST_OK);
    assert_true(l.has_rate);
    put_file(dir, "operstate", "unknown\n");
    put_file(dir, "carrier", "1\n");
    assert_int_equal(connectivity_link_read(root, "eth0", &l), ST_OK);
    assert_true(l.up);
    char command[200];
    static const char *const names[] = {"operstate", "speed", "carrier"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(command, sizeof command, "%s/%s", dir, names[i]);
        assert_int_equal(unlink(command), 0);
    }
    assert_int_equal(rmdir(device) || rmdir(dir) || rmdir(root), 0);
}

static size_t mistakes(const char *yaml, char *text, size_t size)
{
    char path[128];
    int fd = mkstemp(temp_name(path, sizeof path));
    assert_true(fd >= 0);
    assert_int_equal(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
    close(fd);
    struct connectivity_cfg cfg = {0};
    const struct cfg_section sections[] = {
        {.key = "connectivity", .table = &connectivity_cfg_table, .dst = &cfg}, {.key = NULL}};
    struct cfg *c = NULL;
    struct connectivity *k = NULL;
    enum st st = cfg_load(&c, path, sections, NULL, NULL);
    if (st == ST_OK)
        st = connectivity_open(&k, &cfg, c, NULL);
    const char *all;
    size_t n = cfg_complaints(c, &all);
    assert_int_equal(st, n ? ST_BAD : ST_OK);
    assert_true((k == NULL) == (n > 0));
    snprintf(text, size, "%s", all);
    connectivity_close(k);
    cfg_free(c);
    unlink(path);
    return n;
}

static void mistakes_are_named_with_their_place(void **state)
{
    (void)state;
    char text[2048];
    assert_int_equal(mistakes("connectivity:\n  ping:\n    vn: {host: 192.0.2.1}\n"
                              "  link:\n    lan: {interface: eth0, every: 10s}\n",
                              text, sizeof text),
                     0);
    assert_int_equal(mistakes("connectivity:\n  ping:\n"
                              "    modem: {host: a.example}\n"
                              "    vn: {host: a.example, every: 3s, timeout: 2s}\n"
                              "  link:\n"
                              "    vn: {interface: eth0}\n"
                              "    up: {interface: ../etc}\n",
                              text, sizeof text),
                     4);
    assert_non_null(strstr(text, ":3:5: the device id modem"));
    assert_non_null(strstr(text, ":4:34: ping vn: a round may take 4400 ms"));
    assert_non_null(strstr(text, ":6:5: the device id vn is used for a ping"));
    assert_non_null(strstr(text, ":7:21: interface ../etc"));
    assert_int_equal(
        mistakes("connectivity:\n  modem: {port: /dev/serial/by-id/x}\n", text, sizeof text), 0);
    assert_int_equal(mistakes("connectivity:\n  modem:\n    every: 60s\n", text, sizeof text), 1);
    assert_non_null(strstr(text, "a modem needs a port, or `through: modemmanager`"));
    assert_int_equal(
        mistakes("connectivity:\n  modem: {through: modemmanager}\n", text, sizeof text), 0);
    assert_int_equal(mistakes("connectivity:\n  modem: {through: modemmanager, port: /dev/x}\n",
                              text, sizeof text),
                     1);
    assert_int_equal(mistakes("connectivity:\n  modem: {through: at}\n", text, sizeof text), 1);
    assert_int_equal(mistakes("connectivity:\n  modem:\n    port: /dev/x\n"
                              "    points: [state, nr_rsp]\n",
                              text, sizeof text),
                     1);
    assert_non_null(strstr(text, ":4:13: a modem has no point \"nr_rsp\"; did you mean "
                                 "\"nr_rsrp\"?"));
}

static void paths_that_cannot_be_are_named(void **state)
{
    (void)state;
    char text[2048];
    assert_int_equal(mistakes("connectivity: {path: {city: {}}}\n", text, sizeof text), 0);
    assert_int_equal(mistakes("connectivity:\n  ping: {vn: {host: a.example}}\n  path:\n"
                              "    vn: {every: 10s, timeout: 2s}\n"
                              "    a: {url: \"https://a.example\"}\n"
                              "    b: {url: \"https://u:zq17@a\", ca: /nonexistent, uplink: x}\n"
                              "    c: {every: 5s, timeout: 2s, check: \"https://a.example\"}\n",
                              text, sizeof text),
                     7);
    assert_non_null(strstr(text, ":4:5: the device id vn is used for a ping"));
    assert_non_null(strstr(text, "path a: url and ca are given together"));
    assert_non_null(strstr(text, "path b: write uplink, or url and ca, not both"));
    assert_non_null(strstr(text, "path b: url must be https://"));
    assert_null(strstr(text, "zq17"));
    assert_non_null(strstr(text, "path b: ca /nonexistent cannot be read"));
    assert_non_null(strstr(text, "path c: check must be an address"));
    assert_non_null(strstr(text, "path c: name, connection and answer may take 6000 ms"));
}

static void a_sensor_is_one_of_the_kernels_and_its_id_its_own(void **state)
{
    (void)state;
    char text[2048];
    assert_int_equal(mistakes("connectivity:\n  board:\n    ups: {sensor: power_supply/BAT0}\n"
                              "    pi: {sensor: hwmon/rpi_volt, every: 10s, hot: 70}\n",
                              text, sizeof text),
                     0);
    assert_int_equal(mistakes("connectivity:\n  link:\n    lan: {interface: eth0}\n"
                              "  board:\n"
                              "    lan: {sensor: thermal/cpu-thermal}\n"
                              "    a: {sensor: battery}\n"
                              "    b: {sensor: hwmon/../net/eth0}\n"
                              "    c: {sensor: hwmon/}\n",
                              text, sizeof text),
                     4);
    assert_non_null(strstr(text, ":5:5: the device id lan is used for a link"));
    assert_non_null(strstr(text, ":6:17: sensor battery: write power_supply/NAME"));
    assert_non_null(strstr(text, "this box has "));
}

static void a_device_id_is_one_devices_whatever_its_kind(void **state)
{
    (void)state;
    char text[2048];
    assert_int_equal(mistakes("connectivity:\n  ping: {a: {host: 192.0.2.1}}\n"
                              "  link: {b: {interface: eth0}}\n  path: {c: {}}\n"
                              "  board: {d: {sensor: thermal/x}}\n"
                              "  throughput: {a: {}, b: {}, c: {}, d: {}, e: {}, survey: {}}\n",
                              text, sizeof text),
                     5);
    assert_non_null(strstr(text, "the device id a is used for a ping, too"));
    assert_non_null(strstr(text, "the device id b is used for a link, too"));
    assert_non_null(strstr(text, "the device id c is used for a path, too"));
    assert_non_null(strstr(text, "the device id d is used for a board, too"));
    assert_non_null(strstr(text, "the device id survey is the gateway's own"));
}

static void a_name_without_address_is_told_so(void **state)
{
    (void)state;
    struct connectivity_address a;
    assert_true(connectivity_address_parse("192.0.2.7", &a));
    assert_int_equal(a.a.ss_family, AF_INET);
    assert_true(connectivity_address_parse("2001:db8::1", &a));
    assert_int_equal(a.a.ss_family, AF_INET6);
    assert_false(connectivity_address_parse("host.invalid", &a));
    struct connectivity_lookup *l = connectivity_lookup_start("localhost");
    assert_non_null(l);
    struct thr_stop never;
    assert_int_equal(thr_stop_open(&never, NULL), ST_OK);
    enum st st;
    while ((st = connectivity_lookup_poll(l, &a)) == ST_BUSY)
        (void)thr_stop_wait(&never, 1);
    assert_int_equal(st, ST_OK);
    connectivity_lookup_drop(l);
    connectivity_lookup_drop(connectivity_lookup_start("localhost")); /* given up while it runs */
    thr_stop_close(&never);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_is_read_and_anything_else_is_not),
        cmocka_unit_test(only_the_answer_to_our_own_question_counts),
        cmocka_unit_test(what_waits_for_its_reader_is_not_later),
        cmocka_unit_test(figures_are_exact_decimals),
        cmocka_unit_test(ticks_fall_on_utc_multiples_and_survive_clock_steps),
        cmocka_unit_test(a_phase_moves_every_tick),
        cmocka_unit_test(a_thousand_boxes_are_spread_over_the_period),
        cmocka_unit_test(the_devices_of_a_box_are_spread_too),
        cmocka_unit_test(a_link_is_read_as_the_kernel_tells_it),
        cmocka_unit_test(mistakes_are_named_with_their_place),
        cmocka_unit_test(paths_that_cannot_be_are_named),
        cmocka_unit_test(a_sensor_is_one_of_the_kernels_and_its_id_its_own),
        cmocka_unit_test(a_device_id_is_one_devices_whatever_its_kind),
        cmocka_unit_test(a_name_without_address_is_told_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
