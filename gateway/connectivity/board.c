/* Supply, battery and temperature of the box, as the kernel shows them: sensor CLASS/NAME is
 * power_supply/<its name>, hwmon/<what its file `name` says> or thermal/<what its file `type` says>
 * (Documentation/ABI/testing: sysfs-class-power, sysfs-class-hwmon, sysfs-class-thermal). */
#include "gateway/connectivity/connectivity_int.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYSFS "/sys/class"
#define ENTRIES_MAX 128 /* of a class; more are not looked at */
#define HOT "80"

#define FIELD(k, m) .key = (k), .offset = offsetof(struct connectivity_board_cfg, m)
static const struct cfg_field board_fields[] = {
    {FIELD("sensor", sensor), .kind = CFG_STRING, .required = true,
     .help = "power_supply/NAME, hwmon/NAME or thermal/TYPE, as below /sys/class"},
    {FIELD("every", every_ms), .kind = CFG_TIME, .dflt = "60s", .min = 1000, .max = 3600e3,
     .help = "time between looks"},
    {FIELD("hot", hot), .kind = CFG_INT, .dflt = HOT, .min = 30, .max = 125,
     .help = "degrees Celsius from which it is too hot"},
    {FIELD("name", name), .kind = CFG_STRING, .help = "what people call it"},
    {FIELD("place", place), .kind = CFG_STRING, .help = "where it stands"},
    {.key = NULL}};
const struct cfg_table connectivity_board_table = {sizeof(struct connectivity_board_cfg),
                                                   board_fields};

/* ---- what a class has ----------------------------------------------------------------------- */

enum what { OTHER, MAINS, BATTERY, UNDER, TEMPERATURE };
#define DISCHARGING 2 /* of battery_states */
static const char *const battery_states[] = {"Unknown", "Charging", "Discharging", "Not charging",
                                             "Full"};
#define BATTERY_STATES (sizeof battery_states / sizeof *battery_states)

/* The numbers of battery_state are in signed batches and never change. */
struct row {
    const char *point, *quantity;
    const char *file, *other; /* the first that there is; NULL: no other */
    int exp;                  /* of a unit */
    int64_t min, max;         /* as the file says it: beyond them it is no value */
    enum what what;
};
struct class
{
    const char *name, *prefix, *title; /* title: the file with its name; NULL: the folder's */
    struct row rows[CONNECTIVITY_BOARD_POINTS];
};
static const struct class classes[] = {
    {"power_supply",
     "",
     NULL,
     {{"on_mains", "on_mains", "online", NULL, 0, 0, 2, MAINS},
      {"battery_state", "battery_state", "status", NULL, 0, 0, 0, BATTERY},
      {"charge", "battery", "capacity", NULL, 0, 0, 100, OTHER},
      {"voltage", "supply_voltage", "voltage_now", NULL, -6, 0, 60000000, OTHER},
      {"temperature", "device_temperature", "temp", NULL, -1, -400, 1250, TEMPERATURE}}},
    {"hwmon",
     "hwmon",
     "name",
     {{"temperature", "device_temperature", "temp1_input", NULL, -3, -40000, 125000, TEMPERATURE},
      {"voltage", "supply_voltage", "in0_input", "in1_input", -3, 0, 60000, OTHER},
      {"under_voltage", "under_voltage", "in0_lcrit_alarm", NULL, 0, 0, 1, UNDER}}},
    {"thermal",
     "thermal_zone",
     "type",
     {{"temperature", "device_temperature", "temp", NULL, -3, -40000, 125000, TEMPERATURE}}},
};
#define CLASSES (sizeof classes / sizeof *classes)

/* The class of CLASS/NAME, and *name; NULL: none of them. */
static const struct class *class_of(const char *sensor, const char **name)
{
    for (size_t i = 0; i < CLASSES; i++) {
        size_t n = strlen(classes[i].name);
        if (strncmp(sensor, classes[i].name, n) == 0 && sensor[n] == '/') {
            *name = sensor + n + 1;
            return &classes[i];
        }
    }
    return NULL;
}

const char *connectivity_board_point(const char *sensor, size_t i)
{
    const char *name;
    const struct class *c = class_of(sensor, &name);
    return c && i < CONNECTIVITY_BOARD_POINTS ? c->rows[i].point : NULL;
}

/* ---- the sensors of this box ---------------------------------------------------------------- */

/* By the numbers of their folders: of two with the same name the first counts. */
static int by_number(const struct dirent **a, const struct dirent **b)
{
    size_t n = strlen((*a)->d_name), m = strlen((*b)->d_name);
    return n != m ? (n < m ? -1 : 1) : strcmp((*a)->d_name, (*b)->d_name);
}

/* Calls each(ctx, dir, name) until it says true; whether one did. */
static bool walk(const char *root, const struct class *c,
                 bool (*each)(void *ctx, const char *dir, const char *name), void *ctx)
{
    char dir[PATH_MAX], name[64];
    struct dirent **all;
    bool done = false;
    (void)snprintf(dir, sizeof dir, "%s/%s", root, c->name);
    int n = scandir(dir, &all, NULL, by_number);
    for (int i = 0; i < n; i++) {
        const char *entry = all[i]->d_name;
        bool is = entry[0] != '.' && strncmp(entry, c->prefix, strlen(c->prefix)) == 0;
        int len = snprintf(dir, sizeof dir, "%s/%s/%s", root, c->name, entry);
        if (!done && i < ENTRIES_MAX && is && len > 0 && (size_t)len < sizeof dir &&
            (!c->title || connectivity_sysfs_line(dir, c->title, name, sizeof name)))
            done = each(ctx, dir, c->title ? name : entry);
        free(all[i]);
    }
    if (n >= 0)
        free(all);
    return done;
}

struct search {
    const char *name;
    char dir[PATH_MAX];
};

static bool is_it(void *ctx, const char *dir, const char *name)
{
    struct search *s = ctx;
    if (strcmp(name, s->name) != 0)
        return false;
    (void)snprintf(s->dir, sizeof s->dir, "%s", dir);
    return true;
}

/* For whoever wrote another name: what there is, as long as the text has room. */
struct listing {
    const char *class;
    char *text;
    size_t size, n;
};

static bool list_one(void *ctx, const char *dir, const char *name)
{
    struct listing *l = ctx;
    size_t need = strlen(l->class) + strlen(name) + 4;
    (void)dir;
    if (l->n + need < l->size)
        l->n += (size_t)snprintf(l->text + l->n, l->size - l->n, "%s%s/%s", l->n ? ", " : "",
                                 l->class, name);
    return false;
}

static void list_all(const char *root, char *text, size_t size)
{
    struct listing l = {.text = text, .size = size};
    text[0] = '\0';
    for (size_t i = 0; i < CLASSES; i++) {
        l.class = classes[i].name;
        (void)walk(root, &classes[i], list_one, &l);
    }
    if (l.n == 0)
        (void)snprintf(text, size, "none");
}

/* ---- reading -------------------------------------------------------------------------------- */

static struct num value_read(const char *dir, const struct row *r, const char *file)
{
    int64_t v;
    char text[32];
    if (r->what != BATTERY)
        return connectivity_sysfs_int(dir, file, r->min, r->max, &v)
                   ? num_dec(r->what == MAINS ? v > 0 : v, r->exp)
                   : (struct num){.kind = NUM_NONE};
    if (connectivity_sysfs_line(dir, file, text, sizeof text))
        for (size_t i = 0; i < BATTERY_STATES; i++)
            if (strcmp(text, battery_states[i]) == 0)
                return num_dec((int64_t)i, 0);
    return (struct num){.kind = NUM_NONE};
}

void connectivity_board_read(const char *root, const char *sensor,
                             struct connectivity_board_state *out)
{
    struct search s = {.name = ""};
    const struct class *c = class_of(sensor, &s.name);
    *out = (struct connectivity_board_state){.found = c && walk(root, c, is_it, &s)};
    for (size_t i = 0; out->found && i < CONNECTIVITY_BOARD_POINTS && c->rows[i].point; i++) {
        const struct row *r = &c->rows[i];
        const char *file = r->other && !connectivity_sysfs_has(s.dir, r->file) ? r->other : r->file;
        out->has[i] = connectivity_sysfs_has(s.dir, file);
        out->v[i] = value_read(s.dir, r, file);
    }
}

/* ---- how it is ------------------------------------------------------------------------------ */

enum state { WELL, GONE, UNDERVOLTED, ON_BATTERY, TOO_HOT, ODD };
static const struct connectivity_kind kinds[] = {
    [WELL] = {STORE_GOOD, false, NULL, NULL, ""},
    [GONE] = {STORE_FAULTY, true, "board.gone", "board_gone",
              "this box has no such sensor: check its plug and `sensor`; it has"},
    [UNDERVOLTED] = {STORE_FAULTY, false, "board.under_voltage", "board_under_voltage",
                     "the supply is too weak: put in a stronger power adapter and a shorter, "
                     "thicker cable, and unplug what it feeds beside"},
    [ON_BATTERY] = {STORE_FAULTY, false, "board.on_battery", "board_on_battery",
                    "the box runs on its battery: check the mains, the fuse and the plug"},
    [TOO_HOT] = {STORE_FAULTY, false, "board.hot", "board_hot",
                 "the box is too hot: give it shade and air, and clean its vents"},
    [ODD] = {STORE_FAULTY, false, "board.odd", "board_odd",
             "the sensor does not tell all that it did: plug it in again, or have it changed"},
};

static bool is_at(struct num v, int64_t what)
{
    return v.kind != NUM_NONE && num_cmp(v, num_dec(what, 0)) == 0;
}

static enum state state_of(const struct class *c, const struct connectivity_board_state *now,
                           int64_t hot)
{
    bool battery = false, warm = false;
    for (size_t i = 0; i < CONNECTIVITY_BOARD_POINTS && c->rows[i].point; i++) {
        enum what what = c->rows[i].what;
        struct num v = now->v[i];
        if (what == UNDER && is_at(v, 1))
            return UNDERVOLTED;
        battery |= (what == MAINS && is_at(v, 0)) || (what == BATTERY && is_at(v, DISCHARGING));
        warm |= what == TEMPERATURE && v.kind != NUM_NONE && num_cmp(v, num_dec(hot, 0)) >= 0;
    }
    return battery ? ON_BATTERY : warm ? TOO_HOT : WELL;
}

const struct connectivity_kind *connectivity_board_judge(const struct connectivity_board_cfg *cfg,
                                                         const char *root,
                                                         const struct connectivity_board_state *now,
                                                         bool missing, char *text, size_t size)
{
    const char *name;
    const struct class *c = class_of(cfg->sensor, &name);
    enum state s = !now->found ? GONE : state_of(c, now, cfg->hot);
    if (s == WELL && missing)
        s = ODD;
    char has[96] = "";
    if (s == GONE)
        list_all(root, has, sizeof has);
    (void)snprintf(text, size, "%s%s%s", kinds[s].text, has[0] ? " " : "", has);
    return &kinds[s];
}

/* ---- the room ------------------------------------------------------------------------------- */

void connectivity_board_check(struct cfg *c, const struct connectivity_board_cfg *cfg)
{
    const char *name = "";
    char has[256];
    if (class_of(cfg->sensor, &name) && name[0] && !strchr(name, '/') && name[0] != '.')
        return;
    list_all(SYSFS, has, sizeof has);
    cfg_complain(c, &cfg->sensor,
                 "sensor %s: write power_supply/NAME, hwmon/NAME or thermal/TYPE; this box has %s",
                 cfg->sensor, has);
}

/* What the sensor shows at the start; one that is not there yet owes its first point. */
enum st connectivity_board_declare(struct connectivity_board *b, struct store *s, struct err *e)
{
    const struct connectivity_board_cfg *c = b->cfg;
    const char *name;
    const struct class *of = class_of(c->sensor, &name);
    struct connectivity_board_state now;
    const struct store_device d = {.id = c->id,
                                   .name = c->name,
                                   .place = c->place,
                                   .source = "connectivity",
                                   .address = c->sensor,
                                   .model = "board",
                                   .period_ms = c->every_ms};
    connectivity_board_read(SYSFS, c->sensor, &now);
    enum st st = store_add_device(s, &d, &b->device, e);
    for (size_t i = 0; i < CONNECTIVITY_BOARD_POINTS; i++) {
        b->series[i] = UINT32_MAX;
        bool owed = now.found ? now.has[i] : i == 0;
        if (st == ST_OK && owed && of->rows[i].point)
            st = connectivity_series_add(s, b->device, of->rows[i].point, of->rows[i].quantity,
                                         c->every_ms, &b->series[i], e);
    }
    return st;
}

void connectivity_board_step(struct connectivity_board *b, const struct connectivity_job *job)
{
    char text[sizeof b->health.now.text];
    struct connectivity_board_state now;
    bool missing = false;
    int64_t due = connectivity_due(job, b->device, &b->next_ms, b->cfg->every_ms);
    if (!due)
        return;
    struct connectivity_result r = {
        .device = b->device, .id = b->cfg->id, .tick_ms = due, .text = text};
    connectivity_board_read(SYSFS, b->cfg->sensor, &now);
    for (size_t i = 0; i < CONNECTIVITY_BOARD_POINTS; i++) {
        if (b->series[i] == UINT32_MAX)
            continue;
        missing |= now.v[i].kind == NUM_NONE;
        r.v[r.n++] = (struct store_value){.v = now.v[i], .series = b->series[i]};
    }
    const struct connectivity_kind *kind =
        connectivity_board_judge(b->cfg, SYSFS, &now, missing, text, sizeof text);
    r.state = kind->health;
    r.bus = kind->bus;
    r.event = kind->event;
    r.why = kind->why;
    connectivity_put(job, &b->health, &r);
}
