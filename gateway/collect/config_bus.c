/* The configuration section `buses`. */
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/push_int.h"

#define RTU_TIMEOUT_MS 500
#define TCP_TIMEOUT_MS 1000

#define BUS(k, m) .key = k, .offset = offsetof(struct collect_bus_cfg, m)
static const struct cfg_word type_words[] = {
    {"modbus-rtu", COLLECT_RTU}, {"modbus-tcp", COLLECT_TCP}, {"mqtt", COLLECT_MQTT},
    {"http", COLLECT_HTTP},      {"manual", COLLECT_MANUAL},  {NULL, 0}};
const struct cfg_word collect_parity_words[] = {
    {"none", 'N'}, {"even", 'E'}, {"odd", 'O'}, {NULL, 0}};
static const struct cfg_word rs485_words[] = {{"off", COLLECT_RS485_OFF},
                                              {"kernel", COLLECT_RS485_KERNEL},
                                              {"rts-up", COLLECT_RS485_RTS_UP},
                                              {"rts-down", COLLECT_RS485_RTS_DOWN},
                                              {NULL, 0}};
static const struct cfg_field bus_fields[] = {
    {BUS("type", type), .kind = CFG_WORD, .required = true, .words = type_words,
     .help = "kind of bus"},
    {BUS("port", port), .kind = CFG_STRING, .help = "serial device, or TCP port (502)"},
    {BUS("host", host), .kind = CFG_STRING,
     .help = "name or address of a modbus-tcp device, or of a broker"},
    {BUS("baud", baud), .kind = CFG_INT, .dflt = "9600", .help = "speed of a serial bus"},
    {BUS("parity", parity), .kind = CFG_WORD, .dflt = "none", .words = collect_parity_words,
     .help = "of a serial bus"},
    {BUS("stop_bits", stop_bits), .kind = CFG_INT, .dflt = "1", .min = 1, .max = 2,
     .help = "of a serial bus"},
    {BUS("data_bits", data_bits), .kind = CFG_INT, .dflt = "8", .min = 7, .max = 8,
     .help = "of a serial bus"},
    {BUS("rs485", rs485), .kind = CFG_WORD, .dflt = "off", .words = rs485_words,
     .help = "who switches the direction of a serial line: off: its adapter; kernel; rts-up, "
             "rts-down: RTS"},
    {BUS("timeout", timeout_ms), .kind = CFG_TIME, .min = 10, .max = 3000,
     .help = "how long an answer may take (500ms, TCP 1s)"},
    {BUS("ca", ca), .kind = CFG_STRING, .help = "PEM file of the CA of a broker's certificate"},
    {BUS("plain", plain), .kind = CFG_BOOL, .dflt = "false",
     .help = "true: a broker on another machine without TLS"},
    {BUS("user", user), .kind = CFG_STRING, .help = "name at a broker"},
    {BUS("password_file", password_file), .kind = CFG_STRING,
     .help = "file, mode 0600, whose first line is the password at a broker"},
    {BUS("client", client), .kind = CFG_STRING, .help = "this gateway's own name at a broker"},
    {.key = NULL}};
const struct cfg_table collect_bus_table = {sizeof(struct collect_bus_cfg), bus_fields};

void collect_check_foreign(struct cfg *c, const struct collect_foreign *f, size_t n,
                           const char *what, const char *id, const char *type)
{
    for (size_t i = 0; i < n; i++)
        if (cfg_given(c, f[i].member))
            cfg_complain(c, f[i].member, "%s %s: %s has no %s", what, id, type, f[i].key);
}

static void check_rtu(struct cfg *c, const struct collect_bus_cfg *b)
{
    static const int64_t rates[] = {1200,  2400,  4800,   9600,   19200,
                                    38400, 57600, 115200, 230400, 460800};
    bool known = false;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        known |= rates[i] == b->baud;
    if (!known)
        cfg_complain(c, &b->baud,
                     "bus %s: %lld baud: write 1200, 2400, 4800, 9600, 19200, 38400, "
                     "57600, 115200, 230400 or 460800",
                     b->id, (long long)b->baud);
    if (!b->port)
        cfg_complain(c, b,
                     "bus %s: \"port\" is missing: the serial device, such as "
                     "/dev/serial/by-id/…",
                     b->id);
    if (b->host)
        cfg_complain(c, &b->host, "bus %s: a modbus-rtu bus has no host", b->id);
}

static void check_port(struct cfg *c, const struct collect_bus_cfg *b)
{
    char *end;
    long port = strtol(b->port, &end, 10);
    if (*end != '\0' || port < 1 || port > 65535)
        cfg_complain(c, &b->port, "bus %s: port %s: a TCP port is a number from 1 to 65535", b->id,
                     b->port);
}

static void check_keys(struct cfg *c, const struct collect_bus_cfg *b)
{
    const struct collect_foreign keys[] = {{&b->baud, "baud"},
                                           {&b->parity, "parity"},
                                           {&b->stop_bits, "stop_bits"},
                                           {&b->data_bits, "data_bits"},
                                           {&b->rs485, "rs485"},
                                           {&b->timeout_ms, "timeout"},
                                           {&b->ca, "ca"},
                                           {&b->plain, "plain"},
                                           {&b->user, "user"},
                                           {&b->password_file, "password_file"},
                                           {&b->client, "client"},
                                           {&b->host, "host"},
                                           {&b->port, "port"}};
    enum { SERIAL = 5, MODBUS = 6, ALL = 11, EVERY = sizeof keys / sizeof *keys };
    if (b->type == COLLECT_HTTP || b->type == COLLECT_MANUAL)
        collect_check_foreign(c, keys, EVERY, "bus", b->id,
                              b->type == COLLECT_HTTP ? "an http bus" : "a manual bus");
    else if (b->type == COLLECT_MQTT)
        collect_check_foreign(c, keys, MODBUS, "bus", b->id, "an mqtt bus");
    else
        collect_check_foreign(c, keys + MODBUS, ALL - MODBUS, "bus", b->id, "a Modbus bus");
    if (b->type == COLLECT_TCP)
        collect_check_foreign(c, keys, SERIAL, "bus", b->id, "a modbus-tcp bus");
}

static void check_tcp(struct cfg *c, struct collect_bus_cfg *b)
{
    static char usual[] = "502";
    if (!b->host)
        cfg_complain(c, b, "bus %s: \"host\" is missing: the device's name or address", b->id);
    if (!b->port)
        b->port = usual;
    check_port(c, b);
}

void collect_check_bus(struct cfg *c, const struct collect_cfg *cfg, size_t i)
{
    struct collect_bus_cfg *all = cfg->buses.v, *b = &all[i];
    if (b->type)
        check_keys(c, b);
    if (b->type == COLLECT_MQTT) {
        collect_push_check_bus(c, b);
        check_port(c, b);
        return;
    }
    if (b->type == COLLECT_HTTP || b->type == COLLECT_MANUAL)
        return;
    if (b->timeout_ms == 0)
        b->timeout_ms = b->type == COLLECT_TCP ? TCP_TIMEOUT_MS : RTU_TIMEOUT_MS;
    if (b->type == COLLECT_TCP) {
        check_tcp(c, b);
        return;
    }
    if (b->type != COLLECT_RTU)
        return;
    check_rtu(c, b);
    for (size_t j = 0; j < i; j++)
        if (b->port && all[j].type == COLLECT_RTU && all[j].port &&
            strcmp(all[j].port, b->port) == 0)
            cfg_complain(c, &b->port, "bus %s: the port %s is bus %s already", b->id, b->port,
                         all[j].id);
}
