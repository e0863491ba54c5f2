/* Links as the kernel tells them (Documentation/ABI/testing/sysfs-class-net and
 * sysfs-class-net-statistics); what of it becomes series, and how a link is. */
#include "gateway/connectivity/connectivity_int.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define SYSFS_NET "/sys/class/net"
#define RATE_MAX 400000 /* Mbit/s; drivers say UINT32_MAX for "unknown", too */

static struct num counter(const char *dir, const char *name)
{
    int64_t v;
    return connectivity_sysfs_int(dir, name, 0, INT64_MAX, &v) ? num_dec(v, 0)
                                                               : (struct num){.kind = NUM_NONE};
}

/* Both ways together; one that cannot be read leaves none, for a sum of the other would fall. */
static struct num errors(const char *dir)
{
    struct num rx = counter(dir, "statistics/rx_errors");
    struct num tx = counter(dir, "statistics/tx_errors");
    if (rx.kind == NUM_NONE || tx.kind == NUM_NONE || rx.i > INT64_MAX - tx.i)
        return (struct num){.kind = NUM_NONE};
    return num_dec(rx.i + tx.i, 0);
}

static void duplex_read(const char *dir, struct connectivity_link_state *out)
{
    char text[32];
    if (!connectivity_sysfs_line(dir, "duplex", text, sizeof text))
        return;
    if (strcmp(text, "full") == 0 || strcmp(text, "half") == 0) /* else "unknown" */
        out->duplex = num_dec(text[0] == 'f', 0);
}

static void wifi_read(const char *interface, struct connectivity_link_state *out)
{
    struct connectivity_wifi w;
    if (!out->up || connectivity_wifi_read(interface, &w) != ST_OK)
        return;
    out->signal = w.signal;
    out->rate_mbit = w.rate_mbit;
}

enum st connectivity_link_read(const char *root, const char *interface,
                               struct connectivity_link_state *out)
{
    char dir[PATH_MAX], text[32];
    *out = (struct connectivity_link_state){.up = false};
    int n = snprintf(dir, sizeof dir, "%s/%s", root, interface);
    if (n <= 0 || (size_t)n >= sizeof dir ||
        !connectivity_sysfs_line(dir, "operstate", text, sizeof text))
        return ST_NOT_FOUND;
    /* Drivers without operational state say "unknown" (loopback, some modems): the carrier rules */
    bool unknown = strcmp(text, "unknown") == 0;
    out->up = strcmp(text, "up") == 0;
    if (unknown)
        out->up = connectivity_sysfs_line(dir, "carrier", text, sizeof text) && text[0] == '1';
    out->wifi = connectivity_sysfs_has(dir, "wireless") || connectivity_sysfs_has(dir, "phy80211");
    bool wired = connectivity_sysfs_has(dir, "device") && !out->wifi;
    /* -1: not known now */
    (void)connectivity_sysfs_int(dir, "speed", 1, RATE_MAX, &out->rate_mbit);
    out->has_rate = out->rate_mbit > 0 || (wired && !out->up) || out->wifi;
    duplex_read(dir, out);
    out->has_duplex = out->duplex.kind != NUM_NONE || (wired && !out->up);
    out->changes = counter(dir, "carrier_changes");
    out->errors = errors(dir);
    if (out->wifi)
        wifi_read(interface, out);
    return ST_OK;
}

/* ---- series -------------------------------------------------------------------------------- */

static const struct {
    const char *point, *quantity;
} points[CONNECTIVITY_LINK_POINTS] = {
    [CONNECTIVITY_LINK_UP] = {"up", "link_up"},
    [CONNECTIVITY_LINK_RATE] = {"rate", "link_rate"},
    [CONNECTIVITY_LINK_DUPLEX] = {"duplex", "link_duplex"},
    [CONNECTIVITY_LINK_CHANGES] = {"changes", "link_changes"},
    [CONNECTIVITY_LINK_ERRORS] = {"errors", "link_errors"},
    [CONNECTIVITY_LINK_SIGNAL] = {"signal", "rssi"},
};

/* What an interface never tells it must not owe for ever (the rate of a tunnel). */
static bool is_owed(const struct connectivity_link_state *now, enum connectivity_link_point i)
{
    switch (i) {
    case CONNECTIVITY_LINK_RATE:
        return now->has_rate;
    case CONNECTIVITY_LINK_DUPLEX:
        return now->has_duplex;
    case CONNECTIVITY_LINK_CHANGES:
        return now->changes.kind != NUM_NONE;
    case CONNECTIVITY_LINK_ERRORS:
        return now->errors.kind != NUM_NONE;
    case CONNECTIVITY_LINK_SIGNAL:
        return now->wifi;
    default:
        return true;
    }
}

enum st connectivity_link_declare(struct connectivity_link *l, struct store *s, struct err *e)
{
    const struct connectivity_link_cfg *c = l->cfg;
    struct connectivity_link_state now;
    const struct store_device d = {.id = c->id,
                                   .name = c->name,
                                   .place = c->place,
                                   .source = "connectivity",
                                   .address = c->interface,
                                   .model = "link",
                                   .period_ms = c->every_ms};
    bool there = connectivity_link_read(SYSFS_NET, c->interface, &now) == ST_OK;
    enum st st = store_add_device(s, &d, &l->device, e);
    for (enum connectivity_link_point i = 0; i < CONNECTIVITY_LINK_POINTS; i++) {
        l->series[i] = UINT32_MAX;
        bool owed = there ? is_owed(&now, i) : i == CONNECTIVITY_LINK_UP;
        if (st == ST_OK && owed)
            st = connectivity_series_add(s, l->device, points[i].point, points[i].quantity,
                                         c->every_ms, &l->series[i], e);
    }
    return st;
}

/* ---- one look ------------------------------------------------------------------------------ */

static struct num value_of(const struct connectivity_link_state *now,
                           enum connectivity_link_point i)
{
    switch (i) {
    case CONNECTIVITY_LINK_UP:
        return num_dec(now->up, 0);
    case CONNECTIVITY_LINK_RATE:
        return now->up && now->rate_mbit > 0 ? num_dec(now->rate_mbit, 0)
                                             : (struct num){.kind = NUM_NONE};
    case CONNECTIVITY_LINK_DUPLEX:
        return now->up ? now->duplex : (struct num){.kind = NUM_NONE};
    case CONNECTIVITY_LINK_CHANGES:
        return now->changes;
    case CONNECTIVITY_LINK_ERRORS:
        return now->errors;
    default:
        return now->signal;
    }
}

void connectivity_link_step(struct connectivity_link *l, const struct connectivity_job *job)
{
    char text[sizeof l->health.now.text] = "";
    struct connectivity_link_state now;
    const char *interface = l->cfg->interface;
    int64_t due = connectivity_due(job, l->device, &l->next_ms, l->cfg->every_ms);
    if (!due)
        return;
    struct connectivity_result r = {
        .device = l->device, .id = l->cfg->id, .tick_ms = due, .state = STORE_GOOD, .text = text};
    bool there = connectivity_link_read(SYSFS_NET, interface, &now) == ST_OK;
    if (!there) {
        (void)snprintf(text, sizeof text,
                       "this box has no interface %s: see `ip link`, or plug the adapter in",
                       interface);
        r.state = STORE_FAULTY;
    } else if (!now.up) {
        (void)snprintf(text, sizeof text,
                       now.wifi ? "%s is not joined to its access point: check that one, the "
                                  "password, the distance and the antenna"
                                : "%s has no link: check the cable, the plug and the other end",
                       interface);
        r.state = STORE_SILENT;
    }
    for (enum connectivity_link_point i = 0; i < CONNECTIVITY_LINK_POINTS; i++) {
        if (l->series[i] == UINT32_MAX)
            continue;
        r.v[r.n].series = l->series[i];
        if (there)
            r.v[r.n].v = value_of(&now, i);
        r.n++;
    }
    connectivity_put(job, &l->health, &r);
}
