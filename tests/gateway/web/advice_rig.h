/* A gateway of four devices that is well, and each fault of it: what test_advice.c asks about. The
 * store is real; the clock stands. Header only; included behind cmocka. */
#ifndef TESTS_GATEWAY_WEB_ADVICE_RIG_H
#define TESTS_GATEWAY_WEB_ADVICE_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/web/advice_int.h"
#include "tests/support/temp.h"

#define NOW_MS INT64_C(1785555555000) /* 2026-08-01 10:39:15 in Viet Nam */
#define MIN_MS INT64_C(60000)
#define DAY_MS (1440 * MIN_MS)
#define BOOT_MS (1000 * MIN_MS) /* the machine has run for so long */
#define SINCE_MS (NOW_MS - 12 * MIN_MS)

enum { M1, M2, AIR, PING, DEVICES };
static struct rig {
    char dir[64], path[96];
    struct clk clk;
    struct store *store;
    struct web_uplink up;
    struct web_told told;
    struct web_known k;
    struct web_advices out;
} rig;

static struct clk_time rig_now(void *ctx)
{
    (void)ctx;
    return (struct clk_time){NOW_MS, CLK_SYNCED, 0};
}

static struct mono rig_mono(void *ctx)
{
    (void)ctx;
    return (struct mono){BOOT_MS};
}

static void device(const char *id, const char *name, const char *place, const char *source)
{
    const struct store_device d = {
        .id = id, .name = name, .place = place, .source = source, .period_ms = 1000};
    uint32_t i, k;
    assert_int_equal(store_add_device(rig.store, &d, &i, NULL), ST_OK);
    const struct store_series s = {
        .device = i, .point = "t", .quantity = quantity_by_key("temperature"), .period_ms = 1000};
    assert_int_equal(store_add_series(rig.store, &s, &k, NULL), ST_OK);
}

static void health(uint32_t i, enum store_state state, const char *why)
{
    const struct store_health h = {.state = state, .why = why, .since_ms = SINCE_MS};
    store_health_set(rig.store, i, &h);
}

static void value(uint32_t i, uint16_t q, bool missing, enum store_cause cause)
{
    const struct store_value v = {
        .v = missing ? (struct num){.kind = NUM_NONE} : num_dec(251, -1), .series = i, .q = q};
    const struct store_poll p = {i, NOW_MS, NOW_MS, CLK_SYNCED, cause, 1};
    assert_int_equal(store_put(rig.store, &p, &v, 0), ST_OK);
}

/* All is well. */
static void reset(void)
{
    assert_int_equal(store_step(rig.store, true, NULL), ST_OK);
    for (uint32_t i = 0; i < DEVICES; i++) {
        health(i, STORE_GOOD, NULL);
        value(i, 0, false, STORE_DEVICE);
        assert_int_equal(store_findings_set(rig.store, i, NULL, 0), ST_OK);
    }
    rig.up = (struct web_uplink){.id = "city", .online = true, .last_ok_ms = SINCE_MS};
    memset(&rig.told, 0, sizeof rig.told);
    rig.told.last[WEB_TOLD_START] = (struct web_told_event){10, NOW_MS - BOOT_MS, CLK_SYNCED};
    rig.k = (struct web_known){.store = rig.store,
                               .now = {NOW_MS, CLK_SYNCED, 0},
                               .mono = {BOOT_MS},
                               .up = &rig.up,
                               .nup = 1,
                               .told = &rig.told,
                               .disk_bytes = 1 << 30,
                               .disk_free_bytes = 1 << 29};
    rig.k.stats.figures.autonomy_ms = -1;
    rig.k.stats.figures.max_bytes = 1 << 30;
}

static int open_rig(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(temp_name(rig.dir, sizeof rig.dir)));
    snprintf(rig.path, sizeof rig.path, "%s/store.db", rig.dir);
    rig.clk = (struct clk){rig_now, rig_mono, NULL, NULL};
    const struct store_cfg c = {
        .path = rig.path, .max_size_bytes = 1 << 30, .keep_ms = DAY_MS, .journal_every_ms = 1000};
    assert_int_equal(store_open(&rig.store, &c, "gw-1", &rig.clk, NULL), ST_OK);
    device("m-1", "Công tơ 1", NULL, "rs485-1");
    device("m-2", NULL, "tầng 2", "rs485-1");
    device("air-1", "Trạm khí", "cổng chợ", "plant");
    device("internet", NULL, NULL, "connectivity");
    assert_int_equal(store_start(rig.store, NULL), ST_OK);
    return 0;
}

static int close_rig(void **state)
{
    char command[128];
    (void)state;
    store_stop(rig.store);
    store_close(rig.store);
    snprintf(command, sizeof command, "rm -rf %s", rig.dir);
    return system(command);
}

/* ---- a condition for each code ------------------------------------------------------------- */

static void finding(uint32_t bus, const char *code, const char *devices)
{
    struct store_finding f = {.code = code, .since_ms = SINCE_MS};
    snprintf(f.devices, sizeof f.devices, "%s", devices);
    assert_int_equal(store_findings_set(rig.store, bus, &f, 1), ST_OK);
}

static void both_silent(const char *why)
{
    health(M1, STORE_SILENT, why);
    health(M2, STORE_SILENT, why);
}

static void told(enum web_told_kind kind, int64_t ago_ms)
{
    rig.told.last[kind] = (struct web_told_event){20, NOW_MS - ago_ms, CLK_SYNCED};
}

static void fault(const char *why)
{
    snprintf(rig.k.stats.fault, sizeof rig.k.stats.fault, "it failed");
    rig.k.stats.fault_why = why;
}

static void other(const char *why, const char *id, enum store_state state)
{
    const struct store_health h = {.state = state, .why = why, .other = id, .since_ms = SINCE_MS};
    store_health_set(rig.store, M2, &h);
}

static void uplink(const char *why)
{
    rig.up.why = why;
    snprintf(rig.up.text, sizeof rig.up.text, "the uplink's own words");
}

static void certificate(int64_t to_ms, const char *text)
{
    rig.up.cert_to_ms = to_ms;
    snprintf(rig.up.cert_text, sizeof rig.up.cert_text, "%s", text);
}

static void make_bus_port(void)
{
    both_silent("line_port");
    finding(M1, "port", "all");
}
static void make_cable(void)
{
    other("line_cable", "m-1", STORE_SILENT);
    finding(M1, "cable", "m-2 (unit 2)");
}
static void make_wires(void)
{
    both_silent("device_silent");
    finding(M1, "wires", "all");
}
static void make_speed(void)
{
    health(M1, STORE_FAULTY, "device_garbled");
    health(M2, STORE_FAULTY, "device_garbled");
    finding(M1, "speed", "all");
}
static void make_lost(void)
{
    both_silent("device_silent");
    finding(M1, "lost", "all");
}
static void make_noise(void)
{
    health(M1, STORE_FAULTY, "device_garbled");
    health(M2, STORE_FAULTY, "device_garbled");
    finding(M1, "noise", "all");
}
static void make_order(void)
{
    const struct store_health h = {.state = STORE_GOOD, .since_ms = SINCE_MS, .order = "CDAB"};
    value(M1, WIRE_Q_LIMITS, false, STORE_DEVICE);
    store_health_set(rig.store, M1, &h);
}
static void overrun(uint32_t n, int64_t ago_ms)
{
    const struct store_health h = {
        .state = STORE_GOOD, .overrun_run = n, .overrun_at = {BOOT_MS - ago_ms}};
    store_health_set(rig.store, M1, &h);
}

static void make(enum web_advice_code code)
{
    switch (code) {
    case WEB_ADVICE_store_fault:
        fault("store_fault");
        return;
    case WEB_ADVICE_disk_full:
        fault("disk_full");
        return;
    case WEB_ADVICE_queue_lost:
        value(M1, 0, true, STORE_QUEUE);
        return;
    case WEB_ADVICE_signer_gone:
        fault("seal_fault");
        told(WEB_TOLD_SIGNER_DOWN, MIN_MS);
        return;
    case WEB_ADVICE_seal_fault:
        fault("seal_fault");
        return;
    case WEB_ADVICE_line_port:
        make_bus_port();
        return;
    case WEB_ADVICE_line_cable:
        make_cable();
        return;
    case WEB_ADVICE_line_wires:
        make_wires();
        return;
    case WEB_ADVICE_line_speed:
        make_speed();
        return;
    case WEB_ADVICE_line_lost:
        make_lost();
        return;
    case WEB_ADVICE_bus_silent:
        both_silent("device_silent");
        return;
    case WEB_ADVICE_cables_crossed:
        other("cables_crossed", "m-1", STORE_FAULTY);
        return;
    case WEB_ADVICE_device_changed:
        health(AIR, STORE_FAULTY, "device_changed");
        return;
    case WEB_ADVICE_device_silent:
        health(AIR, STORE_SILENT, NULL);
        return;
    case WEB_ADVICE_device_slow:
        health(AIR, STORE_SILENT, "device_slow");
        return;
    case WEB_ADVICE_device_garbled:
        health(AIR, STORE_FAULTY, "device_garbled");
        return;
    case WEB_ADVICE_device_refuses:
        health(AIR, STORE_FAULTY, "device_refuses");
        return;
    case WEB_ADVICE_device_alarm:
        health(AIR, STORE_FAULTY, "device_alarm");
        return;
    case WEB_ADVICE_device_unstarted:
        health(AIR, STORE_FAULTY, "device_unstarted");
        return;
    case WEB_ADVICE_device_faulty:
        health(AIR, STORE_FAULTY, NULL);
        return;
    case WEB_ADVICE_word_order:
        make_order();
        return;
    case WEB_ADVICE_line_twice:
        finding(M1, "twice", "m-1 (unit 1)");
        return;
    case WEB_ADVICE_line_noise:
        make_noise();
        return;
    case WEB_ADVICE_overloaded:
        overrun(3, 10000);
        return;
    case WEB_ADVICE_chain_forked:
        told(WEB_TOLD_CONFLICT, DAY_MS);
        return;
    case WEB_ADVICE_thinning:
        uplink("city_down");
        rig.k.stats.figures.autonomy_ms = 0;
        return;
    case WEB_ADVICE_disk_low:
        rig.k.disk_free_bytes = 1 << 25;
        return;
    case WEB_ADVICE_clock_unknown:
        rig.k.now.grade = CLK_UNKNOWN;
        return;
    case WEB_ADVICE_clock_wrong:
        rig.up.clock_off_ms = -20 * MIN_MS;
        return;
    case WEB_ADVICE_certificate_ended:
        certificate(NOW_MS - 1, "it ended");
        return;
    case WEB_ADVICE_receipt_key:
        rig.up.unproven = true;
        return;
    case WEB_ADVICE_trust_refused:
        strcpy(rig.up.trust_text, "refused");
        return;
    case WEB_ADVICE_batches_refused:
        rig.k.refused = (struct store_set_aside){.batches = 2, .at_ms = SINCE_MS};
        strcpy(rig.k.refused.code, "bad_cbor");
        return;
    case WEB_ADVICE_autonomy_short:
        rig.up.why = "";
        rig.k.stats.figures.autonomy_ms = 3 * DAY_MS;
        return;
    case WEB_ADVICE_line_far:
        finding(M1, "far", "m-2 (unit 2)");
        return;
    case WEB_ADVICE_line_weak:
        finding(M1, "weak", "m-2 (unit 2)");
        return;
    case WEB_ADVICE_line_slow:
        finding(M1, "slow", "all");
        return;
    case WEB_ADVICE_line_foreign:
        finding(M1, "foreign", "m-2 (unit 2)");
        return;
    case WEB_ADVICE_line_unsteady:
        finding(M1, "unsteady", "m-2 (unit 2)");
        return;
    case WEB_ADVICE_line_idle:
        finding(M1, "idle", "all");
        return;
    case WEB_ADVICE_network_down:
        health(PING, STORE_SILENT, NULL);
        return;
    case WEB_ADVICE_modem_silent:
        health(PING, STORE_SILENT, "modem_silent");
        return;
    case WEB_ADVICE_path_link:
        health(PING, STORE_SILENT, "path_link");
        return;
    case WEB_ADVICE_path_radio:
        health(PING, STORE_SILENT, "path_radio");
        return;
    case WEB_ADVICE_path_operator:
        health(PING, STORE_SILENT, "path_operator");
        return;
    case WEB_ADVICE_path_portal:
        health(PING, STORE_SILENT, "path_portal");
        return;
    case WEB_ADVICE_path_dns:
        health(PING, STORE_SILENT, "path_dns");
        return;
    case WEB_ADVICE_path_city:
        health(PING, STORE_SILENT, "path_city");
        return;
    case WEB_ADVICE_sim_no_data:
        health(PING, STORE_FAULTY, "sim_no_data");
        return;
    case WEB_ADVICE_board_under_voltage:
        health(PING, STORE_FAULTY, "board_under_voltage");
        return;
    case WEB_ADVICE_board_on_battery:
        health(PING, STORE_FAULTY, "board_on_battery");
        return;
    case WEB_ADVICE_board_hot:
        health(PING, STORE_FAULTY, "board_hot");
        return;
    case WEB_ADVICE_board_gone:
        health(PING, STORE_FAULTY, "board_gone");
        return;
    case WEB_ADVICE_board_odd:
        health(PING, STORE_FAULTY, "board_odd");
        return;
    case WEB_ADVICE_sim_missing:
        health(PING, STORE_FAULTY, "sim_missing");
        return;
    case WEB_ADVICE_sim_locked:
        health(PING, STORE_FAULTY, "sim_locked");
        return;
    case WEB_ADVICE_modem_denied:
        health(PING, STORE_FAULTY, "modem_denied");
        return;
    case WEB_ADVICE_modem_searching:
        health(PING, STORE_FAULTY, "modem_searching");
        return;
    case WEB_ADVICE_sensor_stuck:
        value(AIR, WIRE_Q_STUCK, false, STORE_DEVICE);
        return;
    case WEB_ADVICE_value_limits:
        value(AIR, WIRE_Q_LIMITS, false, STORE_DEVICE);
        return;
    case WEB_ADVICE_device_late:
        health(AIR, STORE_LATE, NULL);
        return;
    case WEB_ADVICE_bus_paused:
        value(M1, 0, true, STORE_PAUSED);
        return;
    case WEB_ADVICE_power_cut:
        told(WEB_TOLD_POWER_CUT, 30 * 60 * MIN_MS);
        return;
    case WEB_ADVICE_run_killed:
        told(WEB_TOLD_KILLED, MIN_MS);
        return;
    case WEB_ADVICE_config_refused:
        told(WEB_TOLD_CONFIG, MIN_MS);
        return;
    case WEB_ADVICE_store_damaged:
        rig.k.stats.aside_sets = 1;
        return;
    case WEB_ADVICE_certificate_bad:
        certificate(0, "it is none");
        return;
    case WEB_ADVICE_certificate_ends:
        certificate(NOW_MS + 20 * DAY_MS, "it ends");
        return;
    case WEB_ADVICE_budget_low:
        rig.up.metered = true;
        rig.up.budget_bytes = 1000000;
        rig.up.month_bytes = 900000;
        return;
    case WEB_ADVICE_flash_worn:
        rig.k.stats.wear.pre_eol = 2;
        strcpy(rig.k.stats.wear.device, "mmcblk0");
        return;
    case WEB_ADVICE_not_configured:
        strcpy(rig.k.due, "old-1/t");
        return;
    case WEB_ADVICE_device_waiting:
        health(AIR, STORE_NEVER, NULL);
        return;
    case WEB_ADVICE_no_uplink:
        rig.k.nup = 0;
        return;
    case WEB_ADVICE_all_well:
    case WEB_ADVICE_COUNT:
        return;
    default:
        uplink(web_advice_kinds[code].code);
        return; /* an uplink names them itself */
    }
}

#endif
