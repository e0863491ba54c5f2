/* What the section `alarms` says, checked against the series that there are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/id.h"
#include "gateway/indicator/alarm_int.h"

#define DEVICE "alarm"
#define VALUE ".value"
#define SILENT_PERIODS 3
#define SILENT_LEAST_MS ALARM_MINUTE_MS
#define SILENT_EVENTS_MS ALARM_HOUR_MS /* of a series without a period */
#define FOR_MAX_MS 86400e3

#define WHEN(m) offsetof(struct alarm_cfg, when.m) - offsetof(struct alarm_cfg, when)
static const struct cfg_field when_fields[] = {
    {.key = "rain_1h",
     .kind = CFG_DECIMAL,
     .offset = WHEN(rain_1h),
     .help = "so much rain within an hour, of a counter of rain"},
    {.key = "rain_3h", .kind = CFG_DECIMAL, .offset = WHEN(rain_3h), .help = "within 3 hours"},
    {.key = "rain_24h", .kind = CFG_DECIMAL, .offset = WHEN(rain_24h), .help = "within 24 hours"},
    {.key = "above",
     .kind = CFG_DECIMAL,
     .offset = WHEN(above),
     .help = "the value is this or more"},
    {.key = "below",
     .kind = CFG_DECIMAL,
     .offset = WHEN(below),
     .help = "the value is this or less"},
    {.key = "rise_per_h",
     .kind = CFG_DECIMAL,
     .offset = WHEN(rise_per_h),
     .help = "the value is so much above the lowest of the last hour"},
    {.key = NULL}};
static const struct cfg_table when_table = {sizeof(((struct alarm_cfg *)0)->when), when_fields};

/* The rows of `when`, in order. */
static const struct {
    enum alarm_kind kind;
    int64_t window_ms;
    bool rain;
} kinds[] = {{ALARM_RAIN, ALARM_HOUR_MS, true},
             {ALARM_RAIN, INT64_C(3) * ALARM_HOUR_MS, true},
             {ALARM_RAIN, INT64_C(24) * ALARM_HOUR_MS, true},
             {ALARM_ABOVE, 0, false},
             {ALARM_BELOW, 0, false},
             {ALARM_RISE, ALARM_HOUR_MS, false}};
#define KINDS (sizeof kinds / sizeof *kinds)
_Static_assert(KINDS + 1 == sizeof when_fields / sizeof *when_fields, "one for each key");

#define TEXT(m) offsetof(struct alarm_cfg, text.m) - offsetof(struct alarm_cfg, text)
static const struct cfg_field text_fields[] = {
    {.key = "vi",
     .kind = CFG_STRING,
     .offset = TEXT(vi),
     .required = true,
     .help = "in Vietnamese, at most 80 characters"},
    {.key = "en", .kind = CFG_STRING, .offset = TEXT(en), .help = "in English"},
    {.key = NULL}};
static const struct cfg_table text_table = {sizeof(((struct alarm_cfg *)0)->text), text_fields};

static const struct cfg_word severities[] = {
    {"info", STORE_INFO}, {"warning", STORE_WARNING}, {"error", STORE_ERROR}, {NULL, 0}};

#define FIELD(k, m) .key = (k), .offset = offsetof(struct alarm_cfg, m)
static const struct cfg_field fields[] = {
    {FIELD("series", series), .kind = CFG_STRING, .required = true,
     .help = "DEVICE/POINT that it watches"},
    {FIELD("when", when), .kind = CFG_STRUCT, .sub = &when_table, .required = true,
     .help = "one of rain_1h, rain_3h, rain_24h, above, below, rise_per_h, in the series' unit"},
    {FIELD("clear", clear), .kind = CFG_DECIMAL, .required = true,
     .help = "back at this it is over: on the other side of `when`"},
    {FIELD("for", for_ms), .kind = CFG_TIME, .dflt = "0s", .max = FOR_MAX_MS,
     .help = "so long it holds before the alarm is raised"},
    {FIELD("text", text), .kind = CFG_STRUCT, .sub = &text_table, .required = true,
     .help = "what people read: {vi, en}"},
    {FIELD("sms", sms), .kind = CFG_BOOL, .dflt = "false",
     .help = "raised while no uplink reaches the city, it goes out by SMS"},
    {FIELD("severity", severity), .kind = CFG_WORD, .dflt = "warning", .words = severities,
     .help = "of its event"},
    {.key = NULL}};
const struct cfg_table alarm_cfg_table = {sizeof(struct alarm_cfg), fields};

const char *const alarm_state_text[ALARM_STATES] = {"quiet", "raised", "acknowledged", "unknown",
                                                    "blind"};

/* ---- one alarm ------------------------------------------------------------------------------ */

static size_t characters(const char *utf8)
{
    size_t n = 0;
    for (; *utf8; utf8++)
        n += ((unsigned char)*utf8 & 0xc0) != 0x80;
    return n;
}

static void check_text(struct cfg *c, char *const *text)
{
    if (*text && characters(*text) > ALARM_TEXT_MAX)
        cfg_complain(c, text, "a text of an alarm has %d characters at most", ALARM_TEXT_MAX);
}

static void check_rule(struct alarm *a, struct cfg *c)
{
    const struct alarm_cfg *cfg = a->cfg;
    size_t given = 0, row = 0;
    for (size_t i = 0; i < KINDS; i++) {
        const struct num *v =
            (const struct num *)(const void *)((const char *)&cfg->when + when_fields[i].offset);
        if (!cfg_given(c, v))
            continue;
        given++;
        row = i;
        a->limit = v;
    }
    if (given != 1) {
        cfg_complain(c, &cfg->when,
                     "when of an alarm has one of rain_1h, rain_3h, rain_24h, above, below and "
                     "rise_per_h");
        a->limit = &cfg->when.above;
        return;
    }
    a->kind = when_fields[row].key;
    a->rule.kind = kinds[row].kind;
    a->rule.window_ms = kinds[row].window_ms;
    a->rule.for_ms = cfg->for_ms;
    bool down = a->rule.kind == ALARM_BELOW, sized = kinds[row].window_ms > 0;
    if (!alarm_millionths(*a->limit, &a->rule.limit) || (sized && a->rule.limit <= 0))
        cfg_complain(c, a->limit, "%s of an alarm is a number above 0 and below 9 million million",
                     a->kind);
    else if (!alarm_millionths(cfg->clear, &a->rule.clear) ||
             (down ? a->rule.clear <= a->rule.limit : a->rule.clear >= a->rule.limit))
        cfg_complain(c, &cfg->clear,
                     "clear lies %s the value of %s, so that the alarm does not come and go",
                     down ? "above" : "below", a->kind);
    else if (sized && a->rule.clear < 0)
        cfg_complain(c, &cfg->clear, "clear is 0 or more: %s is never below 0", a->kind);
}

static enum st complained(struct cfg *c, size_t before, struct err *e)
{
    return cfg_complaints(c, NULL) == before
               ? ST_OK
               : err_set(e, ST_BAD, "the section alarms has mistakes");
}

enum st alarms_open(struct alarms **out, const struct cfg_items *cfg, struct cfg *c, struct err *e)
{
    size_t before = cfg_complaints(c, NULL);
    struct alarms *x = calloc(1, sizeof *x);
    if (x)
        x->v = calloc(cfg->n + 1, sizeof *x->v);
    if (!x || !x->v) {
        free(x);
        return err_set(e, ST_MEMORY, "no memory for alarms");
    }
    (void)pthread_mutex_init(&x->lock, NULL);
    x->cfg = cfg;
    x->n = cfg->n < ALARMS_MAX ? cfg->n : ALARMS_MAX;
    for (size_t i = 0; i < cfg->n; i++) {
        const struct alarm_cfg *one = (const struct alarm_cfg *)cfg->v + i;
        struct alarm *a = &x->v[i];
        a->cfg = one;
        if (i == ALARMS_MAX)
            cfg_complain(c, one, "there are %d alarms at most", ALARMS_MAX);
        check_rule(a, c);
        check_text(c, &one->text.vi);
        check_text(c, &one->text.en);
    }
    *out = x;
    return complained(c, before, e);
}

void alarms_close(struct alarms *x)
{
    if (!x)
        return;
    (void)pthread_mutex_destroy(&x->lock);
    free(x->v);
    free(x);
}

size_t alarms_count(const struct alarms *x)
{
    return x->n;
}

/* ---- its series ----------------------------------------------------------------------------- */

static void say(struct cfg *c, const void *member, struct err *e, const char *id, const char *what,
                const char *which)
{
    (void)err_set(e, ST_BAD, "alarm %s: %s %s", id, what, which);
    if (c)
        cfg_complain(c, member, "alarm %s: %s %s", id, what, which);
}

/* The series DEVICE/POINT; UINT32_MAX: there is none. */
static uint32_t find(const struct store *s, const char *name)
{
    const char *slash = strchr(name, '/');
    for (uint32_t i = 0; slash && i < store_series_count(s); i++) {
        const struct store_series *it = store_series_at(s, i);
        const char *device = store_device_at(s, it->device)->id;
        size_t n = strlen(device);
        if (n == (size_t)(slash - name) && strncmp(device, name, n) == 0 &&
            strcmp(it->point, slash + 1) == 0)
            return i;
    }
    return UINT32_MAX;
}

static int64_t silent_ms(const struct store_series *s)
{
    if (s->period_ms == 0)
        return SILENT_EVENTS_MS;
    int64_t ms = SILENT_PERIODS * s->period_ms;
    return ms < SILENT_LEAST_MS ? SILENT_LEAST_MS : ms;
}

static int64_t most_per_h(const struct quantity *q)
{
    int64_t most = q->most_per_hour;
    for (unsigned i = q->decimals; i < 6; i++)
        most *= 10;
    return most;
}

/* Whether the device of such a name says itself which series it has. */
static bool is_learned(const struct store *s, const char *name)
{
    size_t n = strcspn(name, "/");
    for (uint32_t i = 0; i < store_device_count(s); i++) {
        const struct store_device *d = store_device_at(s, i);
        if (d->learned && strlen(d->id) == n && strncmp(d->id, name, n) == 0)
            return true;
    }
    return false;
}

/* Puts those behind the others whose series a device does not have now that may have it some day:
 * no mistake of the file. */
static void rest(struct alarms *x, const struct store *s)
{
    x->n += x->resting;
    x->resting = 0;
    for (size_t i = x->n; i-- > 0;) {
        struct alarm a = x->v[i];
        if (!a.kind || find(s, a.cfg->series) != UINT32_MAX || !is_learned(s, a.cfg->series))
            continue;
        memmove(&x->v[i], &x->v[i + 1], (x->n - i - 1) * sizeof *x->v);
        x->v[--x->n] = a;
        x->resting++;
    }
}

void alarms_rest_tell(const struct alarms *x, struct store *s)
{
    for (size_t i = 0; i < x->resting; i++) {
        const struct alarm_cfg *cfg = x->v[x->n + i].cfg;
        store_event(s, STORE_WARNING, "alarm.rests", cfg->id,
                    "nothing watches %s: the node does not have it, or was not met yet",
                    cfg->series);
    }
}

/* false: it does not fit. */
static bool bind(struct alarm *a, const struct store *s, struct cfg *c, struct err *e)
{
    const struct alarm_cfg *cfg = a->cfg;
    a->series = find(s, cfg->series);
    if (a->series == UINT32_MAX) {
        say(c, &cfg->series, e, cfg->id, "there is no series", cfg->series);
        return false;
    }
    const struct store_series *it = store_series_at(s, a->series);
    bool rain = a->rule.kind == ALARM_RAIN;
    if (rain && strcmp(it->quantity->key, "rain") != 0) {
        say(c, &cfg->series, e, cfg->id, "wants a counter of rain, and that is none:", cfg->series);
        return false;
    }
    if (!rain && it->quantity->counter) {
        say(c, &cfg->series, e, cfg->id, "a counter only grows: for rain there is rain_1h, not",
            a->kind);
        return false;
    }
    a->quantity = rain ? quantity_by_key("rainfall") : it->quantity;
    a->rule.most_per_h = rain ? most_per_h(it->quantity) : 0;
    a->rule.silent_ms = silent_ms(it);
    a->view = (struct alarm_view){.cfg = cfg,
                                  .quantity = a->quantity->key,
                                  .unit = a->quantity->unit,
                                  .kind = a->kind,
                                  .decimals = a->quantity->decimals,
                                  .limit = *a->limit};
    return true;
}

static enum st add(struct alarms *x, struct alarm *a, struct store *s, struct err *e)
{
    char point[ID_MAX_BYTES + sizeof VALUE];
    (void)snprintf(point, sizeof point, "%s" VALUE, a->cfg->id);
    struct store_series series = {
        .device = x->device, .point = a->cfg->id, .quantity = quantity_by_key("alarm_state")};
    ERR_TRY(store_add_series(s, &series, &a->state_series, e));
    series.point = point;
    series.quantity = a->quantity;
    return store_add_series(s, &series, &a->value_series, e);
}

enum st alarms_declare(struct alarms *x, struct store *s, struct cfg *c, struct err *e)
{
    const struct store_device d = {
        .id = DEVICE, .source = "indicator", .address = "", .model = "alarm"};
    bool good = true;
    rest(x, s);
    if (x->n == 0)
        return ST_OK;
    for (size_t i = 0; i < x->n; i++)
        if (x->v[i].kind) /* else it was complained about */
            good = bind(&x->v[i], s, c, e) && good;
    if (!good)
        return ST_BAD;
    enum st st = store_add_device(s, &d, &x->device, e);
    if (st == ST_CONFLICT && c)
        cfg_complain(c, x->v[0].cfg,
                     "the device id " DEVICE " is taken by the alarms: choose "
                     "another for the device that has it");
    for (size_t i = 0; i < x->n && st == ST_OK; i++)
        st = add(x, &x->v[i], s, e);
    return st;
}
