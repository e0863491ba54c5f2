/* Supply, battery and temperature of the box, and what links and Wi-Fi tell beside their state: in
 * trees as the kernel makes them, well and ill, and against the kernel of this machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/nl80211.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/connectivity/connectivity_int.h"
#include "tests/support/skip.h"
#include "tests/support/temp.h"

/* ---- a tree of files ------------------------------------------------------------------------ */

static char root[64];

static int root_make(void **state)
{
    (void)state;
    temp_name(root, sizeof root);
    return mkdtemp(root) ? 0 : -1;
}

static int removed(const char *path, const struct stat *s, int flag, struct FTW *at)
{
    (void)s;
    (void)flag;
    (void)at;
    return remove(path);
}

static int root_remove(void **state)
{
    (void)state;
    return nftw(root, removed, 16, FTW_DEPTH | FTW_PHYS);
}

/* With the folders that it needs. */
static void put(const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
        *p = '/';
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void gone(const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    assert_int_equal(unlink(path), 0);
}

static bool is(struct num v, const char *text)
{
    char said[NUM_TEXT_BYTES];
    return strcmp(num_text(v, said), text) == 0;
}

/* ---- the box -------------------------------------------------------------------------------- */

static struct connectivity_board_state now;

static struct num point(const char *sensor, const char *name)
{
    for (size_t i = 0; i < CONNECTIVITY_BOARD_POINTS; i++) {
        const char *p = connectivity_board_point(sensor, i);
        if (p && strcmp(p, name) == 0)
            return now.v[i];
    }
    fail_msg("%s has no point %s", sensor, name);
    return (struct num){.kind = NUM_NONE};
}

/* The event of its state, or "" when it is well. */
static const char *told(char *sensor, bool missing)
{
    static char text[160];
    const struct connectivity_board_cfg cfg = {.sensor = sensor, .hot = 80};
    connectivity_board_read(root, sensor, &now);
    const struct connectivity_kind *k =
        connectivity_board_judge(&cfg, root, &now, missing, text, sizeof text);
    assert_true((k->event == NULL) == (text[0] == '\0') && (k->event == NULL) == (k->why == NULL));
    assert_true((k->health == STORE_GOOD) == (k->event == NULL));
    return k->event ? k->event : "";
}

static void a_ups_tells_its_mains_and_its_battery(void **state)
{
    (void)state;
    char mains[] = "power_supply/AC", battery[] = "power_supply/BAT0";
    put("power_supply/AC/online", "1\n");
    put("power_supply/BAT0/status", "Full\n");
    put("power_supply/BAT0/capacity", "97\n");
    put("power_supply/BAT0/voltage_now", "12345000\n");
    put("power_supply/BAT0/temp", "314\n");
    assert_string_equal(told(mains, false), "");
    assert_true(is(point(mains, "on_mains"), "1"));
    assert_false(now.has[1]); /* it owes nothing of a battery */
    assert_string_equal(told(battery, false), "");
    assert_true(is(point(battery, "battery_state"), "4") && is(point(battery, "charge"), "97"));
    assert_true(is(point(battery, "voltage"), "12.345") &&
                is(point(battery, "temperature"), "31.4"));
    put("power_supply/AC/online", "0\n");
    put("power_supply/BAT0/status", "Discharging\n");
    assert_string_equal(told(mains, false), "board.on_battery");
    assert_true(is(point(mains, "on_mains"), "0"));
    assert_string_equal(told(battery, false), "board.on_battery");
    put("power_supply/AC/online", "2\n"); /* a voltage that can be asked for */
    assert_string_equal(told(mains, false), "");
    assert_true(is(point(mains, "on_mains"), "1"));
}

static void a_raspberry_pi_tells_of_a_weak_supply(void **state)
{
    (void)state;
    char pi[] = "hwmon/rpi_volt", cpu[] = "hwmon/cpu_thermal";
    put("hwmon/hwmon0/name", "cpu_thermal\n");
    put("hwmon/hwmon0/temp1_input", "48312\n");
    put("hwmon/hwmon1/name", "rpi_volt\n");
    put("hwmon/hwmon1/in0_lcrit_alarm", "0\n");
    assert_string_equal(told(pi, false), "");
    assert_true(is(point(pi, "under_voltage"), "0"));
    put("hwmon/hwmon1/in0_lcrit_alarm", "1\n");
    assert_string_equal(told(pi, false), "board.under_voltage");
    assert_true(is(point(pi, "under_voltage"), "1"));
    assert_string_equal(told(cpu, false), "");
    assert_true(is(point(cpu, "temperature"), "48.312"));
}

static void a_hot_box_is_told_at_its_limit(void **state)
{
    (void)state;
    char zone[] = "thermal/cpu-thermal";
    put("thermal/thermal_zone0/type", "gpu-thermal\n");
    put("thermal/thermal_zone0/temp", "91000\n");
    put("thermal/thermal_zone1/type", "cpu-thermal\n");
    put("thermal/thermal_zone1/temp", "79999\n");
    put("thermal/thermal_zone10/type", "cpu-thermal\n"); /* of two the lower number counts */
    put("thermal/thermal_zone10/temp", "99000\n");
    put("thermal/cooling_device0/type", "cpu-thermal\n");
    assert_string_equal(told(zone, false), "");
    put("thermal/thermal_zone1/temp", "80000\n");
    assert_string_equal(told(zone, false), "board.hot");
    assert_true(is(point(zone, "temperature"), "80"));
}

/* Whatever a file says in the place of a number: no value, and a cause. */
static void files_that_lie_are_no_values(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "\n",
                                      "abc\n",
                                      "12x\n",
                                      "0x20\n",
                                      "1e3\n",
                                      "20.5\n",
                                      "-274000\n",
                                      "126000\n",
                                      "-\n",
                                      "99999999999999999999999999999999999999\n"};
    char zone[] = "thermal/cpu-thermal", battery[] = "power_supply/B";
    put("thermal/thermal_zone0/type", "cpu-thermal\n");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put("thermal/thermal_zone0/temp", bad[i]);
        assert_string_equal(told(zone, true), "board.odd");
        assert_true(now.found && now.has[0] && now.v[0].kind == NUM_NONE);
    }
    gone("thermal/thermal_zone0/temp");
    assert_string_equal(told(zone, true), "board.odd");
    assert_false(now.has[0]);
    put("power_supply/B/status", "Sleeping\n");
    put("power_supply/B/capacity", "101\n");
    put("power_supply/B/voltage_now", "-5\n");
    assert_string_equal(told(battery, true), "board.odd");
    for (size_t i = 0; i < CONNECTIVITY_BOARD_POINTS; i++)
        assert_int_equal(now.v[i].kind, NUM_NONE);
    /* what is known stands before what is missing */
    put("power_supply/B/status", "Discharging\n");
    assert_string_equal(told(battery, true), "board.on_battery");
}

static void a_sensor_that_is_not_there_names_those_that_are(void **state)
{
    (void)state;
    char none[] = "hwmon/rpi_volt";
    static char text[160];
    const struct connectivity_board_cfg cfg = {.sensor = none, .hot = 80};
    assert_string_equal(told(none, true), "board.gone"); /* not even the class */
    put("hwmon/hwmon3/name", "cpu_thermal\n");
    put("hwmon/hwmon4/temp1_input", "1\n"); /* without a name */
    put("power_supply/AC/online", "1\n");
    connectivity_board_read(root, none, &now);
    assert_false(now.found);
    const struct connectivity_kind *k =
        connectivity_board_judge(&cfg, root, &now, true, text, sizeof text);
    assert_true(k->bus);
    assert_non_null(strstr(text, "it has power_supply/AC, hwmon/cpu_thermal"));
}

static void this_machine_is_read_without_a_fault(void **state)
{
    (void)state;
    static char text[160];
    static const char *const some[] = {"power_supply/none", "hwmon/none", "thermal/none"};
    for (size_t i = 0; i < 3; i++) {
        char sensor[32];
        (void)snprintf(sensor, sizeof sensor, "%s", some[i]);
        const struct connectivity_board_cfg cfg = {.sensor = sensor, .hot = 80};
        connectivity_board_read("/sys/class", sensor, &now);
        assert_false(now.found);
        (void)connectivity_board_judge(&cfg, "/sys/class", &now, true, text, sizeof text);
        assert_non_null(strstr(text, "it has"));
    }
}

/* ---- links ---------------------------------------------------------------------------------- */

static void a_cable_tells_duplex_changes_and_errors(void **state)
{
    (void)state;
    struct connectivity_link_state l;
    put("eth0/operstate", "up\n");
    put("eth0/speed", "100\n");
    put("eth0/duplex", "half\n");
    put("eth0/carrier_changes", "7\n");
    put("eth0/statistics/rx_errors", "40\n");
    put("eth0/statistics/tx_errors", "2\n");
    put("eth0/device/x", "");
    assert_int_equal(connectivity_link_read(root, "eth0", &l), ST_OK);
    assert_true(is(l.duplex, "0") && is(l.changes, "7") && is(l.errors, "42"));
    assert_true(l.has_duplex && !l.wifi && l.rate_mbit == 100);
    put("eth0/duplex", "full\n");
    assert_int_equal(connectivity_link_read(root, "eth0", &l), ST_OK);
    assert_true(is(l.duplex, "1"));
    /* each file ill by itself: no value of that point alone */
    put("eth0/duplex", "unknown\n");
    put("eth0/speed", "4294967295\n");
    put("eth0/carrier_changes", "-3\n");
    put("eth0/statistics/tx_errors", "many\n");
    assert_int_equal(connectivity_link_read(root, "eth0", &l), ST_OK);
    assert_true(l.up && l.rate_mbit == 0 && l.duplex.kind == NUM_NONE);
    assert_true(l.changes.kind == NUM_NONE && l.errors.kind == NUM_NONE);
    gone("eth0/statistics/tx_errors"); /* half a sum is none */
    assert_int_equal(connectivity_link_read(root, "eth0", &l), ST_OK);
    assert_int_equal(l.errors.kind, NUM_NONE);
    put("eth0/operstate", "");
    assert_int_equal(connectivity_link_read(root, "eth0", &l), ST_NOT_FOUND);
}

static void the_loopback_of_this_kernel_has_its_counters(void **state)
{
    (void)state;
    struct connectivity_link_state l;
    assert_int_equal(connectivity_link_read("/sys/class/net", "lo", &l), ST_OK);
    assert_true(l.errors.kind == NUM_DEC && l.errors.i >= 0);
    assert_true(l.changes.kind == NUM_DEC && l.changes.i >= 0);
    assert_true(l.duplex.kind == NUM_NONE && l.signal.kind == NUM_NONE && !l.wifi);
}

/* ---- Wi-Fi ---------------------------------------------------------------------------------- */

struct message {
    uint8_t p[512];
    size_t n;
};

static size_t attr_open(struct message *m, uint16_t type)
{
    const struct nlattr h = {.nla_type = type, .nla_len = sizeof h};
    memcpy(m->p + m->n, &h, sizeof h);
    m->n += sizeof h;
    return m->n - sizeof h;
}

static void attr_close(struct message *m, size_t at)
{
    uint16_t len = (uint16_t)(m->n - at);
    memcpy(m->p + at, &len, sizeof len);
    while (m->n % 4)
        m->p[m->n++] = 0;
}

static void attr(struct message *m, uint16_t type, const void *v, size_t n)
{
    size_t at = attr_open(m, type);
    memcpy(m->p + m->n, v, n);
    m->n += n;
    attr_close(m, at);
}

/* A station as mac80211 tells it: its address, then its figures, most of them not ours. */
static void station(struct message *m, uint8_t command, int8_t signal, uint16_t rate,
                    uint32_t rate32)
{
    static const uint8_t mac[6] = {2, 0, 0, 0xaa, 0xbb, 0xcc};
    const uint32_t inactive = 12, index = 3;
    struct nlmsghdr h = {.nlmsg_type = 28, .nlmsg_flags = NLM_F_MULTI};
    const struct genlmsghdr g = {.cmd = command, .version = 1};
    *m = (struct message){.n = sizeof h + sizeof g};
    attr(m, NL80211_ATTR_IFINDEX, &index, sizeof index);
    attr(m, NL80211_ATTR_MAC, mac, sizeof mac);
    size_t info = attr_open(m, NL80211_ATTR_STA_INFO | NLA_F_NESTED);
    attr(m, NL80211_STA_INFO_INACTIVE_TIME, &inactive, sizeof inactive);
    attr(m, NL80211_STA_INFO_SIGNAL, &signal, 1);
    size_t tx = attr_open(m, NL80211_STA_INFO_TX_BITRATE | NLA_F_NESTED);
    if (rate)
        attr(m, NL80211_RATE_INFO_BITRATE, &rate, sizeof rate);
    if (rate32)
        attr(m, NL80211_RATE_INFO_BITRATE32, &rate32, sizeof rate32);
    attr_close(m, tx);
    attr_close(m, info);
    h.nlmsg_len = (uint32_t)m->n;
    memcpy(m->p, &h, sizeof h);
    memcpy(m->p + sizeof h, &g, sizeof g);
}

static void a_station_tells_signal_and_rate(void **state)
{
    (void)state;
    struct message m;
    struct connectivity_wifi w = {.stations = 0};
    station(&m, NL80211_CMD_NEW_STATION, -57, 8667, 8667);
    connectivity_wifi_take(m.p, m.n, &w);
    assert_int_equal(w.stations, 1);
    assert_true(is(w.signal, "-57"));
    assert_int_equal(w.rate_mbit, 866);
    station(&m, NL80211_CMD_NEW_STATION, -57, 65, 0); /* an old kernel */
    connectivity_wifi_take(m.p, m.n, &w);
    assert_int_equal(w.rate_mbit, 6);
    station(&m, NL80211_CMD_NEW_STATION, 0, 0, 0); /* 0 dBm: the driver has none */
    connectivity_wifi_take(m.p, m.n, &w);
    assert_true(w.signal.kind == NUM_NONE && w.rate_mbit == 0);
    station(&m, NL80211_CMD_NEW_STATION, -1, 0, UINT32_MAX);
    connectivity_wifi_take(m.p, m.n, &w);
    assert_int_equal(w.rate_mbit, 0);
    w = (struct connectivity_wifi){.stations = 0};
    station(&m, NL80211_CMD_DEL_STATION, -57, 65, 0);
    connectivity_wifi_take(m.p, m.n, &w);
    assert_int_equal(w.stations, 0);
}

/* Cut anywhere, and with every length wrong: nothing beyond the message is read, and no figure is
 * beyond its range. */
static void a_broken_message_is_read_no_further(void **state)
{
    struct message m;
    /* without rates: they are sought up to the end */
    station(&m, NL80211_CMD_NEW_STATION, -57, *state ? 8667 : 0, *state ? 8667 : 0);
    for (size_t n = 0; n <= m.n; n++)
        for (unsigned v = 0; v < 256; v += n < 24 ? 51 : 15) {
            struct connectivity_wifi w = {.stations = 0};
            uint8_t *p = malloc(n + 1), *q = malloc(m.n);
            assert_true(p && q);
            memcpy(p, m.p, n);
            connectivity_wifi_take(p, n, &w);
            memcpy(q, m.p, m.n);
            if (n < m.n)
                q[n] = (uint8_t)v;
            connectivity_wifi_take(q, m.n, &w);
            assert_true(w.rate_mbit >= 0 && w.rate_mbit <= 400000 &&
                        (w.signal.kind == NUM_NONE || w.signal.i < 0));
            (void)connectivity_family_of(q, m.n);
            free(p);
            free(q);
        }
}

/* An attribute that claims more than its message has: what lies behind is not its. */
static void what_lies_behind_a_message_is_not_its(void **state)
{
    (void)state;
    struct message m;
    struct connectivity_wifi w = {.stations = 0};
    const uint32_t rate = 1000;
    const uint16_t claimed = 64;
    station(&m, NL80211_CMD_NEW_STATION, -57, 0, 0);
    size_t n = m.n;
    memcpy(m.p + n - sizeof(struct nlattr), &claimed, sizeof claimed);
    attr(&m, NL80211_RATE_INFO_BITRATE32, &rate, sizeof rate);
    connectivity_wifi_take(m.p, n, &w);
    assert_int_equal(w.stations, 1);
    assert_int_equal(w.rate_mbit, 0);
}

static void the_kernel_of_this_machine_answers(void **state)
{
    (void)state;
    struct connectivity_wifi w;
    if (connectivity_family("nlctrl") == 0)
        SKIP("this machine has no generic netlink");
    assert_int_equal(connectivity_family("nlctrl"), GENL_ID_CTRL);
    assert_int_equal(connectivity_family("fp-no-family"), 0);
    assert_int_equal(connectivity_wifi_read("lo", &w), ST_NOT_FOUND);
    assert_int_equal(connectivity_wifi_read("fp-none0", &w), ST_NOT_FOUND);
}

#define WITH_ROOT(f) cmocka_unit_test_setup_teardown(f, root_make, root_remove)
int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ROOT(a_ups_tells_its_mains_and_its_battery),
        WITH_ROOT(a_raspberry_pi_tells_of_a_weak_supply),
        WITH_ROOT(a_hot_box_is_told_at_its_limit),
        WITH_ROOT(files_that_lie_are_no_values),
        WITH_ROOT(a_sensor_that_is_not_there_names_those_that_are),
        WITH_ROOT(a_cable_tells_duplex_changes_and_errors),
        cmocka_unit_test(this_machine_is_read_without_a_fault),
        cmocka_unit_test(the_loopback_of_this_kernel_has_its_counters),
        cmocka_unit_test(a_station_tells_signal_and_rate),
        cmocka_unit_test(a_broken_message_is_read_no_further),
        cmocka_unit_test_prestate(a_broken_message_is_read_no_further, root),
        cmocka_unit_test(what_lies_behind_a_message_is_not_its),
        cmocka_unit_test(the_kernel_of_this_machine_answers),
    };
    return skip_result(cmocka_run_group_tests(tests, NULL, NULL));
}
