#include "tests/gateway/collect/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tests/gateway/collect/fake.h"
#include "tests/support/temp.h"

/* three: a counter and two constants in two requests; one: the counter alone, with a name. */
static const char three[] =
    "points:\n"
    "  - {name: far, quantity: number, function: 3, address: 200, type: u16}\n"
    "  - {name: counter, quantity: number, function: 3, address: 0, type: u16}\n"
    "  - {name: near, quantity: number, function: 3, address: 5, type: u16, scale: 0.1}\n";
static const char one[] =
    "points:\n"
    "  - {name: counter, quantity: number, function: 3, address: 0, type: u16}\n"
    "  - {name: label, function: 4, address: 16705, type: string, count: 2}\n";

/* A value of two registers for a device that takes one at a time. */
static const char wide[] =
    "max_registers: 1\nsplit: true\npoints:\n"
    "  - {name: wide, quantity: number, function: 3, address: 10, type: u32}\n"
    "  - {name: next, quantity: number, function: 3, address: 12, type: u16}\n";

/* A meter: what it counts, what it measures, and its serial number. */
static const char meter[] =
    "points:\n"
    "  - {name: energy, quantity: energy_import, function: 3, address: 300, type: u16}\n"
    "  - {name: power, quantity: active_power, function: 3, address: 301, type: u16}\n"
    "  - {name: serial, identity: serial, function: 4, address: 306, type: u32}\n";

/* Registers 5 and 6 must not be read. */
static const char shy[] = "points:\n"
                          "  - {name: p, quantity: number, function: 3, address: 1, type: u16}\n"
                          "forbidden: [{function: 3, from: 5, to: 6}]\n";

/* SunSpec points by model and name; tight: the same of a device that answers short requests only.
 */
static const char sun[] =
    "points:\n"
    "  - {name: serial, models: [1], register: SN, identity: serial}\n"
    "  - {name: version, models: [1], register: Vr}\n"
    "  - {name: current, quantity: current, models: [101, 103], register: A}\n"
    "  - {name: power, quantity: active_power, models: [101, 103], register: W}\n"
    "  - {name: energy, quantity: energy_export, models: [101, 103], register: WH, scale: 0.001}\n"
    "  - {name: pv2, quantity: voltage, models: [160], register: DCV, block: 2}\n";
static const char behind[] =
    "points:\n"
    "  - {name: serial, models: [1], register: SN, identity: serial}\n"
    "  - {name: power, quantity: active_power, models: [201, 203], register: W}\n"
    "  - {name: import, quantity: energy_import, models: [201, 203], register: TotWhImp, "
    "scale: 0.001}\n";
static const char second[] = "extends: behind\ninstance: 2\n";
static const char tight[] = "extends: sun\nmax_registers: 16\n";
static const char doors[] =
    "extends: sun\n"
    "points: [{name: door, quantity: state, function: 2, address: 3, type: bit}]\n";
static const char wary[] = "extends: sun\nforbidden: [{function: 3, from: 39990, to: 40010}]\n";
/* A reading, two states that are none, and a text: the label of `one`. */
static const char state[] =
    "points:\n"
    "  - {name: level, quantity: number, function: 3, address: 300, type: u16}\n"
    "  - name: mode\n    function: 3\n    address: 301\n    type: u16\n    states:\n"
    "      - {value: 1, name: running}\n"
    "      - {value: 2, name: idle}\n"
    "      - {value: 7, name: fault, severity: error, do: Call the maker.}\n"
    "  - name: alarms\n    function: 3\n    address: 302\n    type: u16\n    bits:\n"
    "      - {bit: 0, name: pipe empty, severity: warning, do: Fill it.}\n"
    "      - {bit: 1, name: lid open}\n"
    "      - {bit: 3, name: stable, severity: none}\n"
    "  - {name: firmware, function: 4, address: 16705, type: string, count: 2}\n";

/* Two values, and a start command. */
static const char probe[] =
    "setup:\n  start: {function: 3, address: 0x2500, count: 0}\n"
    "points:\n"
    "  - {name: oxygen, quantity: number, function: 3, address: 300, type: u16}\n"
    "  - {name: heat, quantity: number, function: 3, address: 301, type: u16}\n";

static void write_file(const struct rig *r, const char *name, const char *text, char path[512])
{
    (void)snprintf(path, 512, "%s/%s", r->dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static struct clk_time shifted_now(void *ctx)
{
    struct rig *r = ctx;
    struct clk_time t = clk_now(clk_real());
    t.utc_ms += r->shift_ms;
    return t;
}

static struct mono real_mono(void *ctx)
{
    (void)ctx;
    return clk_mono(clk_real());
}

void (*rig_before)(void);
const char *rig_nodes;
atomic_uint rig_reloads;

static void count_reload(void *none)
{
    (void)none;
    atomic_fetch_add(&rig_reloads, 1);
}

void rig_open(struct rig *r, const char *text)
{
    char path[512];
    const char *why;
    struct err e;
    *r = (struct rig){.dir = temp_make()};
    assert_non_null(r->dir);
    write_file(r, "three.yaml", three, path);
    write_file(r, "one.yaml", one, path);
    write_file(r, "wide.yaml", wide, path);
    write_file(r, "meter.yaml", meter, path);
    write_file(r, "shy.yaml", shy, path);
    write_file(r, "sun.yaml", sun, path);
    write_file(r, "tight.yaml", tight, path);
    write_file(r, "doors.yaml", doors, path);
    write_file(r, "wary.yaml", wary, path);
    write_file(r, "behind.yaml", behind, path);
    write_file(r, "second.yaml", second, path);
    write_file(r, "state.yaml", state, path);
    write_file(r, "probe.yaml", probe, path);
    write_file(r, "gw.yaml", text, path);
    const struct cfg_section sections[] = {
        {"buses", &collect_bus_table, &r->in.buses, true, false},
        {"devices", &collect_device_table, &r->in.devices, true, false},
        {NULL, NULL, NULL, false, false}};
    enum st st = cfg_load(&r->cfg, path, sections, NULL, &e);
    r->in.nodes = rig_nodes;
    if (st == ST_OK)
        st = collect_open(&r->room, &r->in, r->cfg, r->dir, &e);
    if (cfg_complaints(r->cfg, &why) > 0)
        fail_msg("%s", why);
    assert_int_equal(st, ST_OK);
    fake_reset();
    if (rig_before)
        rig_before();
    assert_int_equal(collect_declare(r->room, NULL, &e), ST_OK);
    assert_int_equal(thr_stop_open(&r->stop, &e), ST_OK);
    r->clk = (struct clk){shifted_now, real_mono, NULL, r};
    r->job = (struct collect_bus_job){
        .collect = r->room, .clk = &r->clk, .stop = &r->stop, .reload = count_reload};
}

void rig_start(struct rig *r, const char *text)
{
    struct err e;
    rig_open(r, text);
    assert_int_equal(thr_start(&r->thread, "bus", collect_bus_main, &r->job, &e), ST_OK);
}

int64_t rig_stop(struct rig *r)
{
    int64_t start = clk_mono(clk_real()).ms;
    thr_stop_now(&r->stop);
    thr_join(&r->thread);
    int64_t took = clk_mono(clk_real()).ms - start;
    thr_stop_close(&r->stop);
    collect_close(r->room);
    cfg_free(r->cfg);
    temp_done(r->dir);
    return took;
}
