/* What a month may cost: months, what is counted when, and which links cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/uplink/uplink_int.h"
#include "tests/support/temp.h"

#define MB INT64_C(1000000)

static int64_t at(const char *text)
{
    int64_t ms = 0;
    assert_true(clk_parse(text, &ms));
    return ms;
}

static struct clk_time known(const char *text)
{
    return (struct clk_time){at(text), CLK_SYNCED, 0};
}

static void months_are_those_of_viet_nam(void **state)
{
    static const struct {
        const char *utc;
        int64_t month;
    } cases[] = {
        {"2026-11-30T16:59:59.999Z", 2026 * 12 + 10}, {"2026-11-30T17:00:00.000Z", 2026 * 12 + 11},
        {"2026-12-31T16:59:59.999Z", 2026 * 12 + 11}, {"2026-12-31T17:00:00.000Z", 2027 * 12},
        {"2028-02-29T16:59:59.999Z", 2028 * 12 + 1},  {"2028-02-29T17:00:00.000Z", 2028 * 12 + 2},
        {"2027-02-28T17:00:00.000Z", 2027 * 12 + 2},  {"2000-02-29T00:00:00.000Z", 2000 * 12 + 1},
        {"2100-02-28T17:00:00.000Z", 2100 * 12 + 2}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(store_month_of(at(cases[i].utc)), cases[i].month);
    for (int64_t m = 1970 * 12 + 1; m < 2200 * 12; m++) {
        int64_t start_ms = store_month_start_ms(m);
        assert_int_equal(store_month_of(start_ms), m);
        assert_int_equal(store_month_of(start_ms - 1), m - 1);
    }
    assert_int_equal(store_month_start_ms(2026 * 12 + 11), at("2026-11-30T17:00:00Z"));
}

static void at_80_and_100_percent_less_goes_out_until_the_next_month(void **state)
{
    struct store_budget b = {.limit = 10 * MB};
    struct clk_time now = known("2026-11-26T01:00:00Z");
    (void)state;
    store_budget_add(&b, now, 8 * MB - 1);
    assert_int_equal(store_budget_spend(&b, now), STORE_SPEND_ALL);
    store_budget_add(&b, now, 1);
    assert_int_equal(store_budget_spend(&b, now), STORE_SPEND_NEWEST);
    store_budget_add(&b, now, 2 * MB - 1);
    assert_int_equal(store_budget_spend(&b, now), STORE_SPEND_NEWEST);
    store_budget_add(&b, now, 1);
    assert_int_equal(store_budget_spend(&b, now), STORE_SPEND_NOTHING);
    b.told = STORE_SPEND_NOTHING;
    assert_int_equal(store_budget_spend(&b, known("2026-11-30T16:59:59Z")), STORE_SPEND_NOTHING);
    assert_int_equal(store_budget_spend(&b, known("2026-11-30T17:00:00Z")), STORE_SPEND_ALL);
    assert_int_equal(b.used, 0);
    assert_int_equal(b.told, STORE_SPEND_ALL);
    struct store_budget none = {.limit = 0};
    store_budget_add(&none, now, 1000 * MB);
    assert_int_equal(store_budget_spend(&none, now), STORE_SPEND_ALL);
    assert_int_equal(none.used, 1000 * MB);
}

static void
what_is_sent_without_a_date_counts_at_once_and_for_the_month_that_turns_out(void **state)
{
    struct store_budget b = {.limit = 10 * MB};
    struct clk_time unknown = {CLK_UNKNOWN_BASE_MS + 5000, CLK_UNKNOWN, 0};
    (void)state;
    store_budget_add(&b, unknown, 9 * MB);
    assert_int_equal(store_budget_spend(&b, unknown), STORE_SPEND_NEWEST);
    assert_int_equal(b.undated, 9 * MB);
    assert_int_equal(store_budget_spend(&b, known("2026-11-26T01:00:00Z")), STORE_SPEND_NEWEST);
    assert_int_equal(b.used, 9 * MB);
    assert_int_equal(b.undated, 0);
    /* another month begins while the date is not known */
    store_budget_add(&b, unknown, 2 * MB);
    assert_int_equal(store_budget_spend(&b, unknown), STORE_SPEND_NOTHING);
    assert_int_equal(store_budget_spend(&b, known("2026-12-02T01:00:00Z")), STORE_SPEND_ALL);
    assert_int_equal(b.used, 2 * MB);
}

static void a_clock_that_jumps_over_the_end_of_a_month_and_back_begins_nothing_anew(void **state)
{
    struct store_budget b = {.limit = 10 * MB}, back = {.limit = 10 * MB};
    struct clk_time now = known("2026-11-30T10:00:00Z"), ahead = known("2026-12-01T10:00:00Z");
    char text[128];
    (void)state;
    store_budget_add(&b, now, 10 * MB);
    assert_int_equal(store_budget_spend(&b, now), STORE_SPEND_NOTHING);
    assert_int_equal(store_budget_spend(&b, ahead), STORE_SPEND_ALL);
    store_budget_add(&b, ahead, 3 * MB);
    store_budget_text(&b, text, sizeof text); /* over a restart, too */
    assert_true(store_budget_parse(&back, text));
    assert_int_equal(store_budget_spend(&back, now), STORE_SPEND_NOTHING);
    assert_int_equal(back.used, 10 * MB);
    assert_int_equal(store_budget_spend(&back, ahead), STORE_SPEND_ALL);
    assert_int_equal(back.used, 3 * MB);
    assert_true(store_budget_parse(&back, "24322 5 7 1")); /* as a store from before has it */
    assert_int_equal(back.last_used, 0);
}

static void the_count_is_kept_as_text_and_damaged_text_is_refused(void **state)
{
    static const char *const bad[] = {
        "",         "1 2 3",   "1 -2 3 0",  "1 2 -3 0",     "1 2 3 3",
        "1 2 3 -1", "x 2 3 0", "1 2 3 0 4", "1 2 3 0 4 -5", "1 2 3 0 4 5 6"};
    struct store_budget b = {.month = 24322, .used = 5, .undated = 7, .told = STORE_SPEND_NEWEST};
    struct store_budget back = {.limit = 9};
    char text[128];
    (void)state;
    store_budget_text(&b, text, sizeof text);
    assert_true(store_budget_parse(&back, text));
    assert_int_equal(back.month, 24322);
    assert_int_equal(back.used, 5);
    assert_int_equal(back.undated, 7);
    assert_int_equal(back.told, STORE_SPEND_NEWEST);
    assert_int_equal(back.limit, 9);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(store_budget_parse(&back, bad[i]));
        assert_int_equal(back.used, 5);
    }
}

/* ---- links ---- */

static char *root;

static void put(const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        (void)mkdir(path, 0755);
        *p = '/';
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void interface(const char *name, const char *type, const char *uevent, const char *driver)
{
    char path[512], to[128];
    (void)snprintf(path, sizeof path, "sys/class/net/%s/type", name);
    put(path, type);
    (void)snprintf(path, sizeof path, "sys/class/net/%s/uevent", name);
    put(path, uevent);
    if (!driver)
        return;
    (void)snprintf(path, sizeof path, "sys/class/net/%s/device/modalias", name);
    put(path, "usb\n");
    (void)snprintf(path, sizeof path, "%s/sys/class/net/%s/device/driver", root, name);
    (void)snprintf(to, sizeof to, "../../../../bus/usb/drivers/%s", driver);
    assert_int_equal(symlink(to, path), 0);
}

#define ROUTES                                                                                     \
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"

static void modems_cost_and_cable_and_wifi_do_not(void **state)
{
    (void)state;
    root = temp_make();
    assert_non_null(root);
    interface("eth0", "1\n", "INTERFACE=eth0\nIFINDEX=2\n", "e1000e");
    interface("wlan0", "1\n", "DEVTYPE=wlan\nINTERFACE=wlan0\n", "brcmfmac");
    interface("eth1", "1\n", "INTERFACE=eth1\n", "r8152");
    interface("wwan0", "65534\n", "DEVTYPE=wwan\nINTERFACE=wwan0\n", "qmi_wwan");
    interface("wwp0", "1\n", "DEVTYPE=wwan\nINTERFACE=wwp0\n", "an_unheard_of_driver");
    interface("ppp0", "512\n", "INTERFACE=ppp0\n", NULL);
    interface("usb0", "1\n", "INTERFACE=usb0\n", "cdc_ether");
    interface("usb1", "1\n", "DEVTYPE=gadget\nINTERFACE=usb1\n", "rndis_host");
    interface("wg0", "65534\n", "DEVTYPE=wireguard\nINTERFACE=wg0\n", NULL);
    assert_false(uplink_link_metered(root, "eth0"));
    assert_false(uplink_link_metered(root, "wlan0"));
    assert_false(uplink_link_metered(root, "eth1"));
    assert_true(uplink_link_metered(root, "wwan0"));
    assert_true(uplink_link_metered(root, "wwp0"));
    assert_true(uplink_link_metered(root, "ppp0"));
    assert_true(uplink_link_metered(root, "usb0"));
    assert_true(uplink_link_metered(root, "usb1"));
    /* without a route nothing is said; a tunnel costs what it runs over costs */
    assert_false(uplink_link_metered(root, "wg0"));
    assert_false(uplink_link_metered(root, ""));
    put("proc/net/route", ROUTES "wwan0\t00000000\t010AA8C0\t0003\t0\t0\t700\t00000000\t0\t0\t0\n"
                                 "eth0\t000AA8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n");
    assert_true(uplink_link_metered(root, "wg0"));
    assert_true(uplink_link_metered(root, ""));
    assert_false(uplink_link_metered(root, "eth0"));
    put("proc/net/route", ROUTES "wwan0\t00000000\t010AA8C0\t0003\t0\t0\t700\t00000000\t0\t0\t0\n"
                                 "eth0\t00000000\t010AA8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
                                 "ppp0\t00000000\t010AA8C0\t0002\t0\t0\t1\t00000000\t0\t0\t0\n");
    assert_false(uplink_link_metered(root, "wg0"));
    assert_false(uplink_link_metered(root, ""));
    put("proc/net/route", ROUTES);
    put("proc/net/ipv6_route",
        "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
        "00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n"
        "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
        "fe800000000000000000000000000001 00000400 00000001 00000000 00000003    wwan0\n");
    assert_true(uplink_link_metered(root, ""));
    temp_done(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(months_are_those_of_viet_nam),
        cmocka_unit_test(at_80_and_100_percent_less_goes_out_until_the_next_month),
        cmocka_unit_test(
            what_is_sent_without_a_date_counts_at_once_and_for_the_month_that_turns_out),
        cmocka_unit_test(a_clock_that_jumps_over_the_end_of_a_month_and_back_begins_nothing_anew),
        cmocka_unit_test(the_count_is_kept_as_text_and_damaged_text_is_refused),
        cmocka_unit_test(modems_cost_and_cable_and_wifi_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
