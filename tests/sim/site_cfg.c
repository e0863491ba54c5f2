#include "tests/sim/device.h"
#include "tests/sim/site_int.h"

#define AT(type, member) offsetof(struct sim_##type##_cfg, member)

static const struct cfg_word bus_types[] = {
    {"modbus-tcp", SIM_BUS_TCP}, {"modbus-rtu", SIM_BUS_RTU}, {NULL, 0}};
static const struct cfg_word formulas[] = {{"constant", SIM_CONSTANT}, {"ramp", SIM_RAMP},
                                           {"sine", SIM_SINE},         {"walk", SIM_WALK},
                                           {"random", SIM_RANDOM},     {NULL, 0}};

static const struct cfg_field bus_fields[] = {
    {.key = "type",
     .kind = CFG_WORD,
     .offset = AT(bus, type),
     .required = true,
     .words = bus_types},
    {.key = "listen",
     .kind = CFG_STRING,
     .offset = AT(bus, listen),
     .dflt = "127.0.0.1:0",
     .help = "modbus-tcp: address:port; port 0 takes a free one, which is printed"},
    {.key = "link",
     .kind = CFG_STRING,
     .offset = AT(bus, link),
     .help = "modbus-rtu: a symlink to the pty's slave side"},
    {.key = "baud",
     .kind = CFG_INT,
     .offset = AT(bus, baud),
     .max = 4000000,
     .help = "modbus-rtu: answers take as long as at this speed; 0: no time"},
    {0}};
static const struct cfg_table bus_table = {sizeof(struct sim_bus_cfg), bus_fields};

static const struct cfg_field point_fields[] = {
    {.key = "trace", .kind = CFG_STRING, .offset = AT(point, trace)},
    {.key = "series", .kind = CFG_STRING, .offset = AT(point, series)},
    {.key = "offset_rows", .kind = CFG_INT, .offset = AT(point, offset_rows), .max = 1e9},
    {.key = "scale",
     .kind = CFG_REAL,
     .offset = AT(point, scale),
     .dflt = "1",
     .help = "a trace's value times this, plus `value`"},
    {.key = "formula",
     .kind = CFG_WORD,
     .offset = AT(point, formula),
     .dflt = "constant",
     .words = formulas},
    {.key = "value", .kind = CFG_REAL, .offset = AT(point, value)},
    {.key = "from", .kind = CFG_REAL, .offset = AT(point, from)},
    {.key = "to", .kind = CFG_REAL, .offset = AT(point, to)},
    {.key = "step", .kind = CFG_REAL, .offset = AT(point, step)},
    {.key = "amplitude", .kind = CFG_REAL, .offset = AT(point, amplitude)},
    {.key = "period",
     .kind = CFG_REAL,
     .offset = AT(point, period),
     .dflt = "60",
     .min = 1,
     .max = 1e9,
     .help = "of a sine, in polls"},
    {.key = "text", .kind = CFG_STRING, .offset = AT(point, text), .help = "of a string point"},
    {0}};
static const struct cfg_table point_table = {sizeof(struct sim_point_cfg), point_fields};

static const struct cfg_field rule_fields[] = {{.key = "at",
                                                .kind = CFG_STRING,
                                                .offset = AT(rule, at),
                                                .required = true,
                                                .help = "polls: 5, 5-9 or \"every 10\""},
                                               {.key = "do",
                                                .kind = CFG_WORD,
                                                .offset = AT(rule, fault),
                                                .required = true,
                                                .words = sim_fault_words},
                                               {0}};
static const struct cfg_table rule_table = {sizeof(struct sim_rule_cfg), rule_fields};

static const struct cfg_word parities[] = {{"none", 'N'}, {"even", 'E'}, {"odd", 'O'}, {NULL, 0}};
static const struct cfg_field device_fields[] = {
    {.key = "bus", .kind = CFG_STRING, .offset = AT(device, bus), .required = true},
    {.key = "unit", .kind = CFG_INT, .offset = AT(device, unit), .dflt = "1", .max = 255},
    {.key = "profile", .kind = CFG_STRING, .offset = AT(device, profile)},
    {.key = "words",
     .kind = CFG_STRING,
     .offset = AT(device, words),
     .help = "instead of a profile: a file with the registers"},
    {.key = "counter", .kind = CFG_STRING, .offset = AT(device, counter)},
    {.key = "late",
     .kind = CFG_TIME,
     .offset = AT(device, late_ms),
     .dflt = "2s",
     .max = 60000,
     .help = "how late a late answer is"},
    {.key = "settings",
     .kind = CFG_BOOL,
     .offset = AT(device, settings),
     .help =
         "it plays the `setup` of its profile, at the speed and parity that `serial` there says"},
    {.key = "baud",
     .kind = CFG_INT,
     .offset = AT(device, baud),
     .max = 4000000,
     .help = "modbus-rtu: it hears only who speaks at this speed and parity; 0: at any"},
    {.key = "parity",
     .kind = CFG_WORD,
     .offset = AT(device, parity),
     .dflt = "none",
     .words = parities},
    {.key = "points", .kind = CFG_MAP, .offset = AT(device, points), .sub = &point_table},
    {.key = "faults", .kind = CFG_LIST, .offset = AT(device, faults), .sub = &rule_table},
    {0}};
static const struct cfg_table device_table = {sizeof(struct sim_device_cfg), device_fields};

static const struct cfg_field generate_fields[] = {
    {.key = "count", .kind = CFG_INT, .offset = AT(generate, count), .max = 1000},
    {.key = "prefix", .kind = CFG_ID, .offset = AT(generate, prefix), .dflt = "dev"},
    {.key = "profile", .kind = CFG_STRING, .offset = AT(generate, profile)},
    {.key = "counter", .kind = CFG_STRING, .offset = AT(generate, counter)},
    {.key = "bus_each",
     .kind = CFG_WORD,
     .offset = AT(generate, bus_each),
     .dflt = "modbus-tcp",
     .words = (const struct cfg_word[]){{"modbus-tcp", SIM_BUS_TCP}, {NULL, 0}}},
    {.key = "points", .kind = CFG_MAP, .offset = AT(generate, points), .sub = &point_table},
    {.key = "offset_rows_step",
     .kind = CFG_INT,
     .offset = AT(generate, offset_rows_step),
     .max = 1e6},
    {0}};
static const struct cfg_table generate_table = {sizeof(struct sim_generate_cfg), generate_fields};

#define TRACES(member) (AT(site, traces.member) - AT(site, traces))
static const struct cfg_field traces_fields[] = {
    {.key = "dir", .kind = CFG_STRING, .offset = TRACES(dir), .dflt = "."}, {0}};
static const struct cfg_table traces_table = {sizeof(((struct sim_site_cfg *)0)->traces),
                                              traces_fields};
static const struct cfg_field site_fields[] = {
    {.key = "log", .kind = CFG_STRING, .offset = AT(site, log)},
    {.key = "traces", .kind = CFG_STRUCT, .offset = AT(site, traces), .sub = &traces_table},
    {.key = "buses", .kind = CFG_MAP, .offset = AT(site, buses), .sub = &bus_table},
    {.key = "devices", .kind = CFG_MAP, .offset = AT(site, devices), .sub = &device_table},
    {.key = "generate", .kind = CFG_STRUCT, .offset = AT(site, generate), .sub = &generate_table},
    {0}};
const struct cfg_table sim_site_table = {sizeof(struct sim_site_cfg), site_fields};
