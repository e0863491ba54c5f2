/* fieldpost doctor: what is wrong with a line, in words. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/page.h"

static const char usage[] =
    "usage: fieldpost doctor [--config FILE] [--bus BUS] [--json]\n"
    "\n"
    "Says of each bus that is asked what is likely wrong with its line, on which evidence, and "
    "what "
    "to\n"
    "do; then what the last requests to each device brought. Asks the gateway that runs with this\n"
    "configuration, and no device. Exit code 1 when something is wrong, or when no gateway "
    "answers.\n";

static const struct column {
    const char *key, *head;
} columns[] = {{"asked", "asked"},           {"good", "good"},           {"refused", "refused"},
               {"silent", "silent"},         {"late", "late"},           {"damaged", "damaged"},
               {"overlapped", "overlapped"}, {"foreign", "foreign"},     {"beside", "stray"},
               {"answer_min_ms", "min ms"},  {"answer_max_ms", "max ms"}};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static const char *text_of(const json_t *j, const char *key)
{
    const char *text = json_string_value(json_object_get(j, key));
    return text ? text : "";
}

static bool is_wrong(const json_t *bus)
{
    const json_t *f;
    size_t i;
    json_array_foreach(json_object_get(bus, "findings"), i, f)
    {
        if (!json_is_true(json_object_get(f, "note"))) {
            return true;
        }
    }
    return false;
}

/* The devices of a bus, as the status has them; NULL: no memory. */
static json_t *devices_of(const json_t *status, const char *bus)
{
    json_t *some = json_array(), *d;
    size_t i;
    json_array_foreach(json_object_get(status, "devices"), i, d)
    {
        if (strcmp(text_of(d, "bus"), bus) == 0 && json_array_append(some, d) != 0) {
            json_decref(some);
            return NULL;
        }
    }
    return some;
}

static void print_findings(const json_t *bus)
{
    const json_t *f;
    size_t i;
    json_array_foreach(json_object_get(bus, "findings"), i, f)
    {
        char since[CLK_TEXT_BYTES];
        int64_t since_ms = json_integer_value(json_object_get(f, "since_ms"));
        (void)printf("  %s: %s\n", text_of(f, "code"), text_of(f, "fault"));
        (void)printf("    devices: %s, since %s\n", text_of(f, "devices"),
                     clk_text(since_ms, since));
        (void)printf("    seen:    %s\n", text_of(f, "seen"));
        (void)printf("    do:      %s%s%s\n", text_of(f, "also"), *text_of(f, "also") ? " " : "",
                     text_of(f, "advice"));
    }
}

static void print_figures(const json_t *devices)
{
    const json_t *d;
    size_t i;
    (void)printf("  %-24s", "last requests");
    for (size_t k = 0; k < COLUMNS; k++) {
        (void)printf(" %*s", (int)strlen(columns[k].head), columns[k].head);
    }
    json_array_foreach(devices, i, d)
    {
        const json_t *heard = json_object_get(d, "heard");
        (void)printf("\n  %-24s", text_of(d, "id"));
        for (size_t k = 0; k < COLUMNS; k++) {
            (void)printf(" %*lld", (int)strlen(columns[k].head),
                         (long long)json_integer_value(json_object_get(heard, columns[k].key)));
        }
    }
    (void)puts("");
}

static json_int_t asked_of(const json_t *devices)
{
    const json_t *d;
    json_int_t n = 0;
    size_t i;
    json_array_foreach(devices, i, d)
    {
        n += json_integer_value(json_object_get(json_object_get(d, "heard"), "asked"));
    }
    return n;
}

/* One bus, into `all` for --json, else printed. */
static bool tell(const json_t *bus, json_t *devices, json_t *all)
{
    json_t *one = NULL;
    if (!all) {
        (void)printf("bus %s: %s\n", text_of(bus, "id"),
                     is_wrong(bus)            ? "something is wrong"
                     : asked_of(devices) == 0 ? "nothing was asked so far"
                                              : "well");
        print_findings(bus);
        print_figures(devices);
        return true;
    }
    const json_t *d;
    json_t *figures = json_array();
    size_t i;
    json_array_foreach(devices, i, d)
    {
        if (json_array_append_new(figures,
                                  json_pack("{s:O, s:O, s:O, s:O}", "id", json_object_get(d, "id"),
                                            "address", json_object_get(d, "address"), "state",
                                            json_object_get(d, "state"), "heard",
                                            json_object_get(d, "heard"))) != 0) {
            json_decref(figures);
            return false;
        }
    }
    one = json_pack("{s:O, s:b, s:O, s:o}", "id", json_object_get(bus, "id"), "wrong",
                    (int)is_wrong(bus), "findings", json_object_get(bus, "findings"), "devices",
                    figures);
    return json_array_append_new(all, one) == 0;
}

/* Whether the configuration asks this bus; what sends by itself has no line to judge. */
static bool is_asked(const struct cli_config *c, const char *id)
{
    const char *bus;
    for (size_t i = 0; (bus = collect_cfg_bus(&c->collect, i)); i++) {
        if (*bus && strcmp(bus, id) == 0) {
            return true;
        }
    }
    return false;
}

static int examine(const struct cli_config *c, const json_t *status, const char *only, bool as_json)
{
    const json_t *bus;
    json_t *all = as_json ? json_array() : NULL;
    bool wrong = false, told = true, any = false;
    size_t i;
    json_array_foreach(json_object_get(status, "buses"), i, bus)
    {
        const char *id = text_of(bus, "id");
        if (!is_asked(c, id) || (only && strcmp(only, id) != 0)) {
            continue;
        }
        any = true;
        json_t *devices = devices_of(status, id);
        wrong = wrong || is_wrong(bus);
        told = told && devices && tell(bus, devices, all);
        json_decref(devices);
    }
    if (!any && !as_json) {
        (void)printf("%s%s: no device is asked there\n", only ? "bus " : "all buses",
                     only ? only : "");
    }
    if (as_json && told) {
        told = json_dumpf(all, stdout, JSON_INDENT(2)) == 0;
        (void)puts("");
    }
    json_decref(all);
    if (!told) {
        log_error("no memory");
    }
    return told && fflush(stdout) == 0 && !wrong ? CLI_DONE : CLI_FAILED;
}

static int run(const struct cli_config *c, const char *bus, bool as_json)
{
    struct err why;
    if (bus && !is_asked(c, bus)) {
        log_error("there is no bus %s in the configuration that is asked", bus);
        return CLI_USAGE;
    }
    json_t *status = cli_page_ask(c, "/api/v1/status", &why);
    if (!status) {
        log_error("%s; what is counted of a line is in the memory of the gateway that runs",
                  why.text);
        return CLI_FAILED;
    }
    int code = examine(c, status, bus, as_json);
    json_decref(status);
    return code;
}

int cli_doctor(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"bus", required_argument, NULL, 'b'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *path = CLI_DEFAULT_CONFIG, *bus = NULL;
    struct cli_config c;
    struct err e = {.text = ""};
    bool as_json = false;
    int o, code = CLI_USAGE;
    optind = 0;
    while ((o = getopt_long(argc, argv, "c:b:h", options, NULL)) != -1) {
        if (o == 'c') {
            path = optarg;
        } else if (o == 'b') {
            bus = optarg;
        } else if (o == 'j') {
            as_json = true;
        } else {
            (void)cli_usage(o, usage, &code);
            return code;
        }
    }
    if (optind < argc) {
        (void)cli_usage('?', usage, &code);
        return code;
    }
    if (cli_config_load(&c, path, &e) == ST_OK) {
        code = run(&c, bus, as_json);
    } else if (cli_complain(c.cfg) == 0) {
        log_error("%s", e.text);
    }
    cli_config_done(&c);
    return code;
}
