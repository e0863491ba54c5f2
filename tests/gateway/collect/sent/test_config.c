/* Brokers and devices that send, in the configuration: every mistake is told with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gateway/collect/push_int.h"
#include "tests/support/temp.h"

static char *dir;
static struct cfg *cfg;
static struct collect_cfg in;
static struct collect *room;

static void file(const char *name, const char *text, mode_t mode)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
    assert_int_equal(chmod(path, mode), 0);
}

/* What is wrong with this bus and device. */
static const char *complaints_of(const char *type, const char *bus, const char *device)
{
    static char text[2048], conf[4096], path[512];
    const char *why;
    struct err e;
    collect_close(room);
    cfg_free(cfg);
    snprintf(conf, sizeof conf, "buses:\n  lora: {type: %s%s}\ndevices:\n  d: {bus: lora, %s}\n",
             type, bus, device);
    file("gw.yaml", conf, 0644);
    snprintf(path, sizeof path, "%s/gw.yaml", dir);
    in = (struct collect_cfg){0};
    room = NULL;
    const struct cfg_section sections[] = {
        {"buses", &collect_bus_table, &in.buses, true, false},
        {"devices", &collect_device_table, &in.devices, true, false},
        {NULL, NULL, NULL, false, false}};
    enum st loaded = cfg_load(&cfg, path, sections, NULL, &e);
    assert_non_null(cfg);
    enum st opened = collect_open(&room, &in, cfg, dir, &e);
    size_t n = cfg_complaints(cfg, &why);
    assert_int_equal(n == 0, loaded == ST_OK && opened == ST_OK);
    snprintf(text, sizeof text, "%s", n ? why : "");
    return text;
}

static const char *complaints(const char *bus, const char *device)
{
    char all[1100];
    snprintf(all, sizeof all, ", %s", bus);
    return complaints_of("mqtt", all, device);
}

#define GOOD_BUS "host: localhost, client: gw-1"
#define GOOD "format: json, topic: a/b, profile: ./json.yaml"

static void good_ones_are_taken(void **state)
{
    (void)state;
    assert_string_equal(complaints(GOOD_BUS, GOOD), "");
    const struct collect_device *d = &room->devices[0];
    assert_int_equal(d->cfg->every_ms, 0); /* event-driven unless the file says otherwise */
    assert_string_equal(d->topic, "a/b");
    assert_string_equal(d->bus->cfg->port, "1883");
    assert_string_equal(complaints(GOOD_BUS, GOOD ", every: 10min"), "");
    assert_int_equal(room->devices[0].cfg->every_ms, 600000);
    assert_string_equal(complaints(GOOD_BUS, "format: chirpstack, dev_eui: A81758FFFE0512F3, "
                                             "profile: ./json.yaml"),
                        "");
    assert_string_equal(room->devices[0].topic, "application/+/device/a81758fffe0512f3/event/up");
    char tls[1024];
    snprintf(tls, sizeof tls, "host: far, client: g, ca: /x, user: u, password_file: %s/secret",
             dir);
    assert_string_equal(complaints(tls, GOOD), "");
    assert_string_equal(room->devices[0].bus->cfg->port, "8883");
}

static void mistakes_are_told(void **state)
{
    static const struct {
        const char *bus, *device, *says;
    } c[] = {
        {"client: gw-1", GOOD, "\"host\" is missing"},
        {"host: localhost", GOOD, "\"client\" is missing"},
        {"host: far, client: g", GOOD, "\"ca\" is missing"},
        {"host: far, client: g, plain: true, user: u, password_file: SECRET", GOOD,
         "a password does not travel without TLS"},
        {GOOD_BUS ", user: u", GOOD, "user and password_file go together"},
        {GOOD_BUS ", user: u, password_file: OPEN", GOOD, "chmod 600"},
        {GOOD_BUS ", user: u, password_file: NONE", GOOD, "password_file"},
        {GOOD_BUS ", baud: 9600", GOOD, "an mqtt bus has no baud"},
        {GOOD_BUS ", timeout: 1s", GOOD, "an mqtt bus has no timeout"},
        {GOOD_BUS ", port: 70000", GOOD, "a TCP port is a number"},
        {GOOD_BUS ", clent: x", GOOD, "clent"},
        {GOOD_BUS, "topic: a, profile: ./json.yaml", "\"format\" is missing"},
        {GOOD_BUS, "format: json, profile: ./json.yaml", "\"topic\" is missing"},
        {GOOD_BUS, "format: json, topic: a#, profile: ./json.yaml", "stand alone"},
        {GOOD_BUS, GOOD ", unit: 3", "a device that sends has no unit"},
        {GOOD_BUS, GOOD ", dev_eui: a81758fffe0512f3", "dev_eui is for format chirpstack"},
        {GOOD_BUS, GOOD ", base: x", "base is for format senml"},
        {GOOD_BUS, "format: chirpstack, profile: ./json.yaml", "\"dev_eui\" is missing"},
        {GOOD_BUS, "format: chirpstack, dev_eui: a81758, profile: ./json.yaml", "16 hex digits"},
        {GOOD_BUS, GOOD ", points: [levl]", "did you mean \"level\"?"},
        {GOOD_BUS, "format: json, topic: a, profile: ./nowhere.yaml", "does not say where x is"},
        {GOOD_BUS, "format: json, topic: a, profile: ./wrong.yaml", "unknown quantity \"levle\""},
        {GOOD_BUS, "format: json, topic: a, profile: ./wrong.yaml", "a type of bit needs bit"},
        {GOOD_BUS, "format: json, topic: a, profile: ./wrong.yaml", "\"port\" is missing"},
        {GOOD_BUS, "format: json, topic: a, profile: ./none.yaml", "none.yaml"},
    };
    char bus[1024];
    (void)state;
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        const char *at = strstr(c[i].bus, "password_file: ");
        const char *secret = !at                    ? ""
                             : strstr(at, "SECRET") ? "secret"
                             : strstr(at, "OPEN")   ? "open"
                                                    : "none";
        if (at)
            snprintf(bus, sizeof bus, "%.*spassword_file: %s/%s", (int)(at - c[i].bus), c[i].bus,
                     dir, secret);
        else
            snprintf(bus, sizeof bus, "%s", c[i].bus);
        const char *text = complaints(bus, c[i].device);
        if (!strstr(text, c[i].says))
            fail_msg("%s / %s: \"%s\"", c[i].bus, c[i].device, text);
        assert_null(strstr(text, "geheim"));
    }
}

static void an_http_bus_has_devices_of_senml_alone(void **state)
{
    static const char good[] = "format: senml, base: 'd:', profile: ./json.yaml";
    (void)state;
    assert_string_equal(complaints_of("http", "", good), "");
    assert_non_null(strstr(complaints_of("http", ", host: here", good), "an http bus has no host"));
    assert_non_null(strstr(complaints_of("http", "", "format: senml, profile: ./json.yaml"),
                           "\"base\" is missing"));
    assert_non_null(strstr(complaints_of("http", "", "format: json, base: d, profile: ./json.yaml"),
                           "what is posted is senml"));
    assert_non_null(strstr(complaints_of("http", "",
                                         "format: senml, base: d, topic: a, "
                                         "profile: ./json.yaml"),
                           "has no topic"));
}

/* What a person brings has a name, a quantity and limits, and nothing else. */
static void a_manual_bus_has_what_is_entered_by_hand(void **state)
{
    (void)state;
    assert_string_equal(complaints_of("manual", "", "profile: ./slip.yaml"), "");
    const struct collect_device *d = &room->devices[0];
    struct store *s = NULL;
    assert_int_equal(store_open_declared(&s, "gw-1", NULL), ST_OK);
    assert_int_equal(collect_declare(room, s, NULL), ST_OK);
    const struct store_series *x = store_series_at(s, 0);
    assert_true(x->manual);
    assert_int_equal(x->period_ms, 0);
    assert_int_equal(num_cmp(x->manual->low, num_dec(0, 0)), 0);
    assert_int_equal(num_cmp(x->manual->high, num_dec(40000, 0)), 0);
    assert_string_equal(store_device_at(s, 0)->address, "lora by hand");
    assert_int_equal(d->cfg->every_ms, 0);
    store_close(s);
    static const struct {
        const char *bus, *device, *says;
    } wrong[] = {
        {", host: here", "profile: ./slip.yaml", "a manual bus has no host"},
        {", baud: 9600", "profile: ./slip.yaml", "a manual bus has no baud"},
        {"", "profile: ./slip.yaml, unit: 3", "a device on a manual bus has no unit"},
        {"", "profile: ./slip.yaml, every: 1min", "a device on a manual bus has no every"},
        {"", "profile: ./slip.yaml, format: json", "a device on a manual bus has no format"},
        {"", "profile: ./json.yaml", "level is entered by hand"},
        {"", "profile: ./nowhere.yaml", "x is entered by hand"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *text = complaints_of("manual", wrong[i].bus, wrong[i].device);
        if (!strstr(text, wrong[i].says))
            fail_msg("%s / %s: \"%s\"", wrong[i].bus, wrong[i].device, text);
    }
}

static int make(void **state)
{
    (void)state;
    dir = temp_make();
    if (!dir)
        return -1;
    file("json.yaml", "points: [{name: level, quantity: water_level, from: /l}]\n", 0644);
    file("slip.yaml", "points: [{name: net, quantity: weight, valid: [0, 40000]}]\n", 0644);
    file("nowhere.yaml", "points: [{name: x, quantity: number, port: 1, at: 0}]\n", 0644);
    file("wrong.yaml",
         "points:\n  - {name: a, quantity: levle, from: /a}\n"
         "  - {name: b, quantity: state, port: 1, at: 0, type: bit}\n"
         "  - {name: c, quantity: state, at: 0}\n",
         0644);
    file("secret", "geheim\n", 0600);
    file("open", "geheim\n", 0644);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    collect_close(room);
    cfg_free(cfg);
    temp_done(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones_are_taken),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(an_http_bus_has_devices_of_senml_alone),
        cmocka_unit_test(a_manual_bus_has_what_is_entered_by_hand),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
