/* The way to the city, its pure parts: how causes are told apart, when outages are told, what the
 * routes say, and who is a witness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/connectivity/modem_int.h"
#include "gateway/connectivity/path_int.h"
#include "tests/support/skip.h"
#include "tests/support/temp.h"

#define UTC INT64_C(1785555555000)
#define LATER(ms) ((struct mono){1000 + (ms)})
#define AT(ms) ((struct clk_time){UTC + (ms), CLK_SYNCED, 0})

static void what_is_nearer_to_the_box_is_the_cause(void **state)
{
    (void)state;
    static const struct {
        struct connectivity_seen s;
        enum connectivity_cause cause;
    } rows[] = {
        {{.stage = CONNECTIVITY_STAGE_DONE, .link_down = true}, CONNECTIVITY_PATH_UP},
        {{.stage = CONNECTIVITY_STAGE_NAME}, CONNECTIVITY_PATH_DNS},
        {{.stage = CONNECTIVITY_STAGE_CONNECT}, CONNECTIVITY_PATH_CITY},
        {{.stage = CONNECTIVITY_STAGE_TLS}, CONNECTIVITY_PATH_CITY},
        {{.stage = CONNECTIVITY_STAGE_ANSWER}, CONNECTIVITY_PATH_CITY},
        {{.stage = CONNECTIVITY_STAGE_TLS, .stranger = true}, CONNECTIVITY_PATH_PORTAL},
        {{.stage = CONNECTIVITY_STAGE_CONNECT, .portal = true}, CONNECTIVITY_PATH_PORTAL},
        {{.stage = CONNECTIVITY_STAGE_CONNECT, .no_data = true, .radio_lost = true},
         CONNECTIVITY_PATH_PORTAL},
        {{.stage = CONNECTIVITY_STAGE_NAME, .link_down = true, .no_address = true},
         CONNECTIVITY_PATH_LINK},
        {{.stage = CONNECTIVITY_STAGE_NAME, .link_down = true, .radio_lost = true},
         CONNECTIVITY_PATH_RADIO},
        {{.stage = CONNECTIVITY_STAGE_NAME, .no_address = true}, CONNECTIVITY_PATH_OPERATOR},
        {{.stage = CONNECTIVITY_STAGE_NAME, .beyond = CONNECTIVITY_BEYOND_DEAD},
         CONNECTIVITY_PATH_OPERATOR},
        {{.stage = CONNECTIVITY_STAGE_CONNECT, .beyond = CONNECTIVITY_BEYOND_DEAD},
         CONNECTIVITY_PATH_OPERATOR},
        {{.stage = CONNECTIVITY_STAGE_NAME, .beyond = CONNECTIVITY_BEYOND_ALIVE},
         CONNECTIVITY_PATH_DNS},
        /* a name that another link may have asked for in vain says nothing of this one */
        {{.stage = CONNECTIVITY_STAGE_NAME, .bound = true, .beyond = CONNECTIVITY_BEYOND_DEAD},
         CONNECTIVITY_PATH_DNS},
        {{.stage = CONNECTIVITY_STAGE_CONNECT, .bound = true, .beyond = CONNECTIVITY_BEYOND_DEAD},
         CONNECTIVITY_PATH_OPERATOR},
        /* it took the connection: the net works, whoever does not answer pings */
        {{.stage = CONNECTIVITY_STAGE_ANSWER, .beyond = CONNECTIVITY_BEYOND_DEAD},
         CONNECTIVITY_PATH_CITY},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (connectivity_path_judge(&rows[i].s) != rows[i].cause)
            fail_msg("row %zu: %d", i, connectivity_path_judge(&rows[i].s));
}

static void a_port_that_says_nothing_of_the_network_is_no_lost_radio(void **state)
{
    (void)state;
    for (int i = 0; i < CONNECTIVITY_MODEM_STATES; i++) {
        bool lost = i >= CONNECTIVITY_MODEM_SIM_MISSING && i != CONNECTIVITY_MODEM_NO_DATA;
        for (int down = 0; down <= 1; down++) {
            struct connectivity_seen s = {.link_down = down};
            connectivity_path_modem(&s, i);
            assert_int_equal(s.no_data, i == CONNECTIVITY_MODEM_NO_DATA);
            assert_int_equal(s.radio_lost, lost || (i == CONNECTIVITY_MODEM_GONE && down));
        }
    }
}

static enum connectivity_turn note(struct connectivity_outage *o, enum connectivity_cause cause,
                                   int64_t ms, char text[200])
{
    return connectivity_outage_note(o, cause, LATER(ms), AT(ms), text, 200);
}

static void an_outage_is_told_with_its_duration_and_its_longest_cause(void **state)
{
    (void)state;
    struct connectivity_outage o = {.known = false};
    char text[200];
    assert_int_equal(note(&o, CONNECTIVITY_PATH_UP, 0, text), CONNECTIVITY_STAYS);
    assert_int_equal(note(&o, CONNECTIVITY_PATH_OPERATOR, 60000, text), CONNECTIVITY_WENT);
    assert_int_equal(note(&o, CONNECTIVITY_PATH_DNS, 75000, text), CONNECTIVITY_STAYS);
    assert_int_equal(note(&o, CONNECTIVITY_PATH_CITY, 245000, text), CONNECTIVITY_STAYS);
    assert_int_equal(note(&o, CONNECTIVITY_PATH_UP, 252999, text), CONNECTIVITY_CAME);
    assert_string_equal(text, "back after 3 min 12 s; cause: DNS");
    /* 60 s of 252.999 s were good */
    assert_int_equal(num_cmp(connectivity_outage_share(&o), num_dec(237, -1)), 0);
    (void)note(&o, CONNECTIVITY_PATH_UP, 300000, text);
    assert_int_equal(num_cmp(connectivity_outage_share(&o), num_dec(100, 0)), 0);
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {{999, "0 s"}, {59999, "59 s"}, {3600000, "1 h 0 min"}, {90061000, "1 d 1 h"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        connectivity_duration(rows[i].ms, text, sizeof text);
        assert_string_equal(text, rows[i].text);
    }
}

static void time_without_a_probe_is_of_no_state(void **state)
{
    (void)state;
    struct connectivity_outage o = {.known = false};
    char text[200];
    (void)note(&o, CONNECTIVITY_PATH_UP, 0, text);
    (void)note(&o, CONNECTIVITY_PATH_DNS, 30000, text);
    connectivity_outage_blind(&o);
    (void)note(&o, CONNECTIVITY_PATH_CITY, 3600000, text);
    (void)note(&o, CONNECTIVITY_PATH_UP, 3630000, text);
    assert_string_equal(text, "back after 1 h 0 min; cause: city");
    assert_int_equal(num_cmp(connectivity_outage_share(&o), num_dec(500, -1)), 0);
    connectivity_outage_blind(&o);
    (void)note(&o, CONNECTIVITY_PATH_CITY, 7200000, text);
    assert_int_equal(num_cmp(connectivity_outage_share(&o), num_dec(0, 0)), 0);
}

static void a_clock_that_is_not_set_judges_no_certificate(void **state)
{
    (void)state;
    struct http_reply dates = {.cert.to_ms = UTC}, other = {.status = 0};
    assert_true(connectivity_path_undated(ST_CORRUPT, &dates, CLK_UNKNOWN));
    assert_false(connectivity_path_undated(ST_CORRUPT, &dates, CLK_SYNCED));
    assert_false(connectivity_path_undated(ST_CORRUPT, &other, CLK_UNKNOWN)); /* a stranger's */
    assert_false(connectivity_path_undated(ST_IO, &other, CLK_UNKNOWN));
}

static void large_packets_are_lost_only_where_small_ones_are_not(void **state)
{
    (void)state;
    assert_true(connectivity_large_lost(false, -1, 0));
    assert_false(connectivity_large_lost(false, -1, -1)); /* the way was gone */
    assert_true(connectivity_large_lost(true, -1, -1));
    assert_false(connectivity_large_lost(true, 0, -1));
}

/* A line that fails each 20 s for a day: what is told is bounded, and nothing is left out. */
static void a_line_that_flaps_fills_no_log(void **state)
{
    (void)state;
    struct connectivity_outage o = {.known = false};
    char text[200];
    int64_t ms = 0, went = 0, came = 0, counted = 0, n;
    for (; ms < 86400000; ms += 20000) {
        went += note(&o, CONNECTIVITY_PATH_LINK, ms, text) == CONNECTIVITY_WENT;
        if (sscanf(text, "; %" SCNd64 " outages", &n) == 1)
            counted += n;
        came += note(&o, CONNECTIVITY_PATH_UP, ms + 10000, text) == CONNECTIVITY_CAME;
        if (strstr(text, "; cause: ") && sscanf(strstr(text, "link") + 4, "; %" SCNd64, &n) == 1)
            counted += n;
    }
    assert_int_equal(went, came);
    assert_in_range(went, CONNECTIVITY_TOLD_MAX,
                    CONNECTIVITY_TOLD_MAX + 86400000 / CONNECTIVITY_TOLD_MS + 1);
    assert_int_equal(went + counted + o.quiet, 86400000 / 20000);
}

static void an_outage_outlives_a_restart(void **state)
{
    (void)state;
    struct connectivity_outage o = {.known = false}, then;
    char text[200], kept[48];
    (void)note(&o, CONNECTIVITY_PATH_CITY, 0, text);
    connectivity_outage_write(&o, kept, sizeof kept);
    assert_true(connectivity_outage_read(&then, kept, (struct mono){5}));
    assert_int_equal(connectivity_outage_note(&then, CONNECTIVITY_PATH_CITY, (struct mono){9},
                                              AT(3600000), text, sizeof text),
                     CONNECTIVITY_STAYS);
    assert_int_equal(connectivity_outage_note(&then, CONNECTIVITY_PATH_UP, (struct mono){10009},
                                              AT(7260000), text, sizeof text),
                     CONNECTIVITY_CAME);
    assert_string_equal(
        text, "back after 2 h 1 min; cause: city; the gateway was started anew meanwhile");
    /* without a date nothing is invented */
    assert_true(connectivity_outage_read(&then, "0 5", (struct mono){5}));
    (void)connectivity_outage_note(&then, CONNECTIVITY_PATH_UP, (struct mono){10009}, AT(0), text,
                                   sizeof text);
    assert_string_equal(text, "back; for how long it was down is not known; cause: city");
    static const char *const bad[] = {"", "x", "5", "5 ", "-1 5", "5 0", "5 7", "5 5 5", "5 x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(connectivity_outage_read(&then, bad[i], (struct mono){5}));
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/proc/net/%s", dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void the_default_route_is_the_one_with_the_least_metric(void **state)
{
    (void)state;
    static const char head[] =
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";
    char dir[128], path[160], interface[CONNECTIVITY_IF_BYTES], text[1024];
    struct connectivity_address hop;
    assert_non_null(mkdtemp(temp_name(dir, sizeof dir)));
    (void)snprintf(path, sizeof path, "%s/proc", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/proc/net", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_false(connectivity_route_read(dir, NULL, interface, &hop)); /* no files */
    (void)snprintf(text, sizeof text, "%s%s", head,
                   "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
                   "wwan0\t00000000\t00000000\t0001\t0\t0\t700\t00000000\t0\t0\t0\n"
                   "eth1\t00000000\t0101A8C0\t0002\t0\t0\t5\t00000000\t0\t0\t0\n"
                   "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
                   "cut\t00000000\t01\n");
    write_file(dir, "route", text);
    assert_true(connectivity_route_read(dir, NULL, interface, &hop));
    assert_string_equal(interface, "eth0");
    const struct sockaddr_in *a = (const void *)&hop.a;
    assert_int_equal(a->sin_addr.s_addr, (in_addr_t)0x0101A8C0);
    /* that of one interface alone */
    assert_true(connectivity_route_read(dir, "wwan0", interface, &hop));
    assert_string_equal(interface, "wwan0");
    assert_int_equal(hop.n, 0);
    assert_false(connectivity_route_read(dir, "eth1", interface, &hop));
    assert_int_equal(hop.n, 0);
    /* none over IPv4: that of IPv6, but not the kernel's own that refuses */
    write_file(dir, "route", head);
    write_file(dir, "ipv6_route",
               "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
               "00000000000000000000000000000000 ffffffff 00000001 00000000 00200201       lo\n"
               "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
               "fe800000000000000000000000000001 00000400 00000001 00000000 00000003    wwan0\n");
    assert_true(connectivity_route_read(dir, NULL, interface, &hop));
    assert_string_equal(interface, "wwan0");
    assert_int_equal(hop.n, 0);
    (void)snprintf(text, sizeof text, "rm -r %s", dir);
    assert_int_equal(system(text), 0);
}

static void a_host_that_never_answered_is_no_witness(void **state)
{
    (void)state;
    struct connectivity_witness w = {.at[0].n = 1, .at[1].n = 1, .at[2].n = 1};
    /* before the city was ever reached, who is configured counts, and the router does not */
    assert_int_equal(connectivity_witness_judge(&w, 0), CONNECTIVITY_BEYOND_DEAD);
    assert_int_equal(connectivity_witness_judge(&w, 1 << 2), CONNECTIVITY_BEYOND_ALIVE);
    w.asked = true;
    assert_int_equal(connectivity_witness_judge(&w, 0), CONNECTIVITY_BEYOND_UNKNOWN);
    w.answers[1] = true;
    assert_int_equal(connectivity_witness_judge(&w, 0), CONNECTIVITY_BEYOND_DEAD);
    assert_int_equal(connectivity_witness_judge(&w, 1 << 1), CONNECTIVITY_BEYOND_ALIVE);
    assert_int_equal(connectivity_witness_judge(&w, 1), CONNECTIVITY_BEYOND_DEAD);
    w.answers[1] = false;
    w.answers[0] = true; /* the router alone: its silence says something, its answer nothing */
    assert_int_equal(connectivity_witness_judge(&w, 0), CONNECTIVITY_BEYOND_DEAD);
    assert_int_equal(connectivity_witness_judge(&w, 1), CONNECTIVITY_BEYOND_UNKNOWN);
    assert_int_equal(connectivity_witness_judge(&w, -1), CONNECTIVITY_BEYOND_UNKNOWN);
}

static void a_witness_with_another_address_has_not_answered(void **state)
{
    (void)state;
    struct connectivity_witness w = {.asked = true};
    struct connectivity_address a = {.n = 0}, b = {.n = 0};
    assert_true(connectivity_address_parse("192.0.2.1", &a));
    assert_true(connectivity_address_parse("192.0.2.2", &b));
    for (size_t i = 0; i < 2; i++) {
        assert_true(connectivity_witness_set(&w, i, &a));
        w.answers[i] = true;
        assert_false(connectivity_witness_set(&w, i, &a));
        assert_true(w.answers[i]);
        assert_true(connectivity_witness_set(&w, i, &b));
        assert_false(w.answers[i]);
    }
    w.answers[0] = true; /* the way is gone: the router is missed all the more */
    a.n = 0;
    assert_false(connectivity_witness_set(&w, 0, &a));
    assert_true(w.answers[0]);
}

/* ---- echoes, in a net of its own ---------------------------------------------------------------
 */

static bool put(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    if (!f)
        return false;
    bool is = fputs(text, f) >= 0;
    return fclose(f) == 0 && is;
}

/* Echo requests that this net has sent, by its kernel; -1: it does not say. */
static long echoes(void)
{
    char line[2][1024];
    FILE *f = fopen("/proc/thread-self/net/snmp", "re");
    if (!f)
        return -1;
    long n = 0; /* without a line: none of that type was sent */
    while (fgets(line[0], sizeof line[0], f)) {
        if (strncmp(line[0], "IcmpMsg:", 8) != 0 || !fgets(line[1], sizeof line[1], f))
            continue;
        char *save[2], *name = strtok_r(line[0], " \n", &save[0]),
                       *value = strtok_r(line[1], " \n", &save[1]);
        for (; name && value;
             name = strtok_r(NULL, " \n", &save[0]), value = strtok_r(NULL, " \n", &save[1]))
            if (strcmp(name, "OutType8") == 0)
                n = strtol(value, NULL, 10);
    }
    (void)fclose(f);
    return n;
}

static bool own_net(void)
{
    char map[32];
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    (void)snprintf(map, sizeof map, "0 %u 1", (unsigned)getuid());
    if (unshare(CLONE_NEWNET) != 0 &&
        (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0 || !put("/proc/self/uid_map", map)))
        return false;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool is = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
    if (fd >= 0)
        (void)close(fd);
    return is;
}

/* Last of all: what comes after it is in that net, too. */
static void who_does_not_answer_is_asked_three_times_by_that_interface(void **state)
{
    (void)state;
    static const char ignore[] = "/proc/sys/net/ipv4/icmp_echo_ignore_all";
    struct connectivity_address at[2] = {{.n = 0}};
    struct thr_stop stop;
    assert_true(connectivity_address_parse("127.0.0.1", &at[1]));
    if (!own_net() || echoes() != 0)
        SKIP("this machine permits no net of its own");
    assert_int_equal(thr_stop_open(&stop, NULL), ST_OK);
    assert_int_equal(connectivity_witness_ask(at, 2, NULL, 60000, &stop), 2);
    assert_int_equal(echoes(), 1); /* who answers at once is not asked again */
    assert_int_equal(connectivity_witness_ask(at, 2, "lo", 60000, &stop), 2);
    assert_int_equal(connectivity_witness_ask(at, 2, "none0", 60000, &stop), -1);
    long before = echoes();
    assert_true(put(ignore, "1"));
    assert_int_equal(connectivity_witness_ask(at, 2, NULL, 3000, &stop), 0);
    assert_int_equal(echoes() - before, CONNECTIVITY_ECHOES);
    thr_stop_close(&stop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_nearer_to_the_box_is_the_cause),
        cmocka_unit_test(a_port_that_says_nothing_of_the_network_is_no_lost_radio),
        cmocka_unit_test(an_outage_is_told_with_its_duration_and_its_longest_cause),
        cmocka_unit_test(time_without_a_probe_is_of_no_state),
        cmocka_unit_test(a_clock_that_is_not_set_judges_no_certificate),
        cmocka_unit_test(large_packets_are_lost_only_where_small_ones_are_not),
        cmocka_unit_test(a_line_that_flaps_fills_no_log),
        cmocka_unit_test(an_outage_outlives_a_restart),
        cmocka_unit_test(the_default_route_is_the_one_with_the_least_metric),
        cmocka_unit_test(a_host_that_never_answered_is_no_witness),
        cmocka_unit_test(a_witness_with_another_address_has_not_answered),
        cmocka_unit_test(who_does_not_answer_is_asked_three_times_by_that_interface),
    };
    return skip_result(cmocka_run_group_tests(tests, NULL, NULL));
}
