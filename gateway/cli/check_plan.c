/* fieldpost check --plan: what is asked on each bus, and what it takes of the line. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/cli/check_plan.h"

#define NS_PER_MS 1e6

static double load_of(const struct collect_show_device *d)
{
    return 100 * (double)d->line_ns / NS_PER_MS / (double)d->every_ms;
}

/* ---- text ----------------------------------------------------------------------------------- */

static void print_device(const struct collect *k, size_t bus, size_t device)
{
    struct collect_show_device d;
    collect_show_device(k, bus, device, &d);
    (void)printf("  %s: unit %lld, %s, every %g s: %zu point%s in %zu request%s, %.1f ms, %.1f %% "
                 "of the time (a request for each: %.1f ms)\n",
                 d.id, (long long)d.unit, d.model, (double)d.every_ms / 1000, d.points,
                 d.points == 1 ? "" : "s", d.requests, d.requests == 1 ? "" : "s",
                 (double)d.line_ns / NS_PER_MS, load_of(&d), (double)d.singles_ns / NS_PER_MS);
    if (d.unmet) {
        (void)printf("    it was not met yet: it says itself what it measures\n");
    }
    if (d.assumed) {
        (void)printf(
            "    where its SunSpec models are is found by asking it; reckoned as if they lay "
            "one behind the other at 40000\n");
    }
    for (size_t i = 0; i < d.requests; i++) {
        struct collect_show_request r;
        collect_show_request(k, bus, device, i, &r);
        (void)printf("    function %u  address %5u  count %4u  %8.1f ms ", r.function, r.address,
                     r.count, (double)r.line_ns / NS_PER_MS);
        for (size_t p = 0; p < r.points; p++) {
            (void)printf(" %s", collect_show_point(k, bus, device, i, p));
        }
        (void)putchar('\n');
    }
}

static void print_text(const struct collect *k)
{
    for (size_t bus = 0; bus < collect_bus_count(k); bus++) {
        struct collect_show_bus b;
        collect_show_bus(k, bus, &b);
        if (b.byte_ns == 0) { /* nothing is asked there */
            (void)printf("%s: %s\n", b.id, b.line);
            continue;
        }
        (void)printf("%s: %s, %.3f ms a byte, busy %.1f %% of the time\n", b.id, b.line,
                     (double)b.byte_ns / NS_PER_MS, 100 * b.load);
        for (size_t device = 0; device < b.devices; device++) {
            print_device(k, bus, device);
        }
    }
}

/* ---- JSON ----------------------------------------------------------------------------------- */

/* Lack of memory makes the list NULL, and so all that it would be in. */
static void append(json_t **list, json_t *item)
{
    if (json_array_append_new(*list, item) != 0) {
        json_decref(*list);
        *list = NULL;
    }
}

static json_t *request_json(const struct collect *k, size_t bus, size_t device, size_t request)
{
    struct collect_show_request r;
    json_t *points = json_array();
    collect_show_request(k, bus, device, request, &r);
    for (size_t p = 0; p < r.points; p++) {
        (void)json_array_append_new(points,
                                    json_string(collect_show_point(k, bus, device, request, p)));
    }
    return json_pack("{si si si sf so}", "function", (int)r.function, "address", (int)r.address,
                     "count", (int)r.count, "line_ms", (double)r.line_ns / NS_PER_MS, "points",
                     points);
}

static json_t *device_json(const struct collect *k, size_t bus, size_t device)
{
    struct collect_show_device d;
    json_t *requests = json_array();
    collect_show_device(k, bus, device, &d);
    for (size_t i = 0; i < d.requests; i++) {
        append(&requests, request_json(k, bus, device, i));
    }
    return json_pack("{ss sI ss sI sI sf sf sf sb so}", "id", d.id, "unit", (json_int_t)d.unit,
                     "model", d.model, "every_ms", (json_int_t)d.every_ms, "points",
                     (json_int_t)d.points, "line_ms", (double)d.line_ns / NS_PER_MS,
                     "line_ms_of_singles", (double)d.singles_ns / NS_PER_MS, "load_percent",
                     load_of(&d), "assumed", d.assumed, "requests", requests);
}

static json_t *bus_json(const struct collect *k, size_t bus)
{
    struct collect_show_bus b;
    char text[256];
    json_t *devices = json_array(), *warnings = json_array();
    collect_show_bus(k, bus, &b);
    for (size_t i = 0; i < b.devices; i++) {
        append(&devices, device_json(k, bus, i));
    }
    for (size_t i = 0; i <= b.devices; i++) {
        if (collect_show_warning(k, bus, i, text, sizeof(text))) {
            append(&warnings, json_string(text));
        }
    }
    return json_pack("{ss ss sf sf so so}", "id", b.id, "line", b.line, "byte_ms",
                     (double)b.byte_ns / NS_PER_MS, "load_percent", 100 * b.load, "devices",
                     devices, "warnings", warnings);
}

static bool print_json(const struct collect *k)
{
    json_t *buses = json_array();
    for (size_t bus = 0; bus < collect_bus_count(k); bus++) {
        append(&buses, bus_json(k, bus));
    }
    json_t *all = json_pack("{so}", "buses", buses);
    bool done = all && json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0 &&
                putchar('\n') != EOF;
    json_decref(all);
    return done;
}

bool check_plan_print(const struct collect *k, const char *path, bool json)
{
    char text[256];
    bool done = true;
    if (json) {
        done = print_json(k);
    } else {
        print_text(k);
    }
    for (size_t bus = 0; bus < collect_bus_count(k); bus++) {
        struct collect_show_bus b;
        collect_show_bus(k, bus, &b);
        for (size_t i = 0; i <= b.devices; i++) {
            if (collect_show_warning(k, bus, i, text, sizeof(text))) {
                (void)fprintf(stderr, "%s: warning: %s\n", path, text);
            }
        }
    }
    if (!done || fflush(stdout) != 0 || ferror(stdout)) {
        log_error("the plan could not be printed");
        return false;
    }
    return true;
}
