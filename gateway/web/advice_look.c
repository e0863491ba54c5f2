/* What is wrong with buses, their devices and their values. */
#include "gateway/web/advice_int.h"

#include <stdio.h>
#include <string.h>

#define OWN "connectivity" /* the source of the gateway's own probes */
#define OVERRUNS_MIN 3     /* fewer are a moment's */
#define NAMES_MAX 3

static const char *text_of(const char *text)
{
    return text ? text : "";
}

static const char *bus_of(const struct web_known *k, uint32_t device)
{
    return text_of(store_device_at(k->store, device)->source);
}

/* As the page calls it: its name, and its place where the name does not say it. */
static void put_name(struct web_advice *a, const char *key, const struct web_known *k, uint32_t i)
{
    const struct store_device *d = store_device_at(k->store, i);
    const char *name = d->name && d->name[0] ? d->name : d->id, *place = text_of(d->place);
    char text[512];
    bool more = place[0] && !strstr(name, place);
    (void)snprintf(text, sizeof text, "%.300s%s%.150s%s", name, more ? " (" : "", more ? place : "",
                   more ? ")" : "");
    web_param_text(a, key, text);
}

/* Another device by its id, named as people know it. */
static void put_other(struct web_advice *a, const char *key, const struct web_known *k,
                      const char *id)
{
    for (uint32_t i = 0; i < store_device_count(k->store); i++)
        if (strcmp(store_device_at(k->store, i)->id, id) == 0) {
            put_name(a, key, k, i);
            return;
        }
    web_param_text(a, key, id);
}

static struct web_advice *about_device(const struct web_known *k, struct web_advices *all,
                                       enum web_advice_code code, uint32_t i,
                                       const struct store_health *h)
{
    const struct store_device *d = store_device_at(k->store, i);
    struct web_advice *a = web_advice_add(all, code, d->id);
    put_name(a, "name", k, i);
    web_param_text(a, "device", d->id);
    web_param_text(a, "place", d->place);
    web_param_text(a, "bus", d->source);
    web_param_since(a, h->since_ms, k->now);
    return a;
}

/* ---- a bus -------------------------------------------------------------------------------- */

struct bus {
    uint32_t first; /* of its devices */
    int64_t n, bad, silent, cut, since_ms;
    const char *why;                /* of the first, … */
    bool one_why;                   /* and of all that are bad */
    uint32_t cut_first;             /* behind a broken cable */
    struct store_health cut_health; /* of that one */
};

static bool is_bad(const struct store_health *h)
{
    return h->state == STORE_SILENT ||
           (h->state == STORE_FAULTY && h->why && strcmp(h->why, "device_garbled") == 0);
}

static bool is_cut(const struct store_health *h)
{
    return h->state == STORE_SILENT && h->why && strcmp(h->why, "line_cable") == 0;
}

static void count(const struct web_known *k, uint32_t first, struct bus *b)
{
    *b = (struct bus){.first = first, .one_why = true};
    for (uint32_t i = first; i < store_device_count(k->store); i++) {
        struct store_health h;
        if (strcmp(bus_of(k, i), bus_of(k, first)) != 0)
            continue;
        store_health_get(k->store, i, &h);
        b->n++;
        b->bad += is_bad(&h);
        b->silent += h.state == STORE_SILENT;
        if (is_cut(&h) && b->cut++ == 0) {
            b->cut_first = i;
            b->cut_health = h;
        }
        if (!is_bad(&h))
            continue;
        if (b->bad == 1)
            b->why = h.why;
        b->one_why &= strcmp(text_of(b->why), text_of(h.why)) == 0;
        if (h.since_ms > b->since_ms) /* since then all are */
            b->since_ms = h.since_ms;
    }
}

static struct web_advice *about_bus(const struct web_known *k, struct web_advices *all,
                                    enum web_advice_code code, const struct bus *b)
{
    const char *id = bus_of(k, b->first);
    struct web_advice *a = web_advice_add(all, code, id);
    web_param_text(a, "bus", id);
    web_param_int(a, "n", b->n);
    return a;
}

/* Whom a finding is about; "all" is no word of every language. */
static void put_devices(struct web_advice *a, const struct web_known *k, const struct bus *b,
                        const struct store_finding *f)
{
    char text[512] = "";
    size_t at = 0, named = 0;
    if (strcmp(f->devices, "all") != 0) {
        web_param_text(a, "devices", f->devices);
        return;
    }
    for (uint32_t i = b->first; i < store_device_count(k->store); i++)
        if (strcmp(bus_of(k, i), bus_of(k, b->first)) == 0 && named++ < NAMES_MAX)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%.64s", named > 1 ? ", " : "",
                                   store_device_at(k->store, i)->id);
    if (named > NAMES_MAX)
        (void)snprintf(text + at, sizeof text - at, ", …");
    web_param_text(a, "devices", text);
}

/* What the line doctor finds; `never` and `gone` are told of each device, `echo` is no fault. */
static bool look_at_findings(const struct web_known *k, struct web_advices *all,
                             const struct bus *b)
{
    struct store_finding f[STORE_FINDINGS_MAX];
    size_t n = store_findings_get(k->store, b->first, f);
    bool whole = false;
    for (size_t i = 0; i < n; i++) {
        char name[40];
        (void)snprintf(name, sizeof name, "line_%s", f[i].code);
        enum web_advice_code code = web_advice_code_of(name, WEB_ADVICE_COUNT);
        if (code == WEB_ADVICE_COUNT || code == WEB_ADVICE_line_cable || f[i].note)
            continue;
        struct web_advice *a = about_bus(k, all, code, b);
        put_devices(a, k, b, &f[i]);
        web_param_since(a, f[i].since_ms, k->now);
        whole |= code < WEB_ADVICE_bus_silent || code == WEB_ADVICE_line_noise; /* of them all */
    }
    return whole;
}

/* Whether it says what is wrong with all of its devices. */
static bool look_at_bus(const struct web_known *k, struct web_advices *all, const struct bus *b)
{
    bool whole = b->bad == b->n && look_at_findings(k, all, b);
    if (b->bad < b->n)
        (void)look_at_findings(k, all, b);
    if (b->cut > 0) {
        struct bus cut = *b;
        cut.n = b->cut;
        struct web_advice *a = about_bus(k, all, WEB_ADVICE_line_cable, &cut);
        put_other(a, "after", k, text_of(b->cut_health.other));
        web_param_since(a, b->cut_health.since_ms, k->now);
    }
    if (whole || b->bad < b->n)
        return whole;
    bool port = b->one_why && strcmp(text_of(b->why), "line_port") == 0;
    if (b->silent < b->n || (!port && b->n < 2))
        return false;
    enum web_advice_code code = port ? WEB_ADVICE_line_port : WEB_ADVICE_bus_silent;
    web_param_since(about_bus(k, all, code, b), b->since_ms, k->now);
    return true;
}

/* ---- a device ----------------------------------------------------------------------------- */

static void look_at_device(const struct web_known *k, struct web_advices *all, uint32_t i,
                           const struct store_health *h, bool own)
{
    static const enum web_advice_code usual[] = {[STORE_NEVER] = WEB_ADVICE_device_waiting,
                                                 [STORE_LATE] = WEB_ADVICE_device_late,
                                                 [STORE_SILENT] = WEB_ADVICE_device_silent,
                                                 [STORE_FAULTY] = WEB_ADVICE_device_faulty};
    enum web_advice_code code = usual[h->state];
    if (h->state == STORE_SILENT || h->state == STORE_FAULTY)
        code = web_advice_code_of(h->why, own ? WEB_ADVICE_network_down : code);
    if (code == WEB_ADVICE_line_port) /* others on its bus had another fault last */
        code = WEB_ADVICE_device_silent;
    struct web_advice *a = about_device(k, all, code, i, h);
    if (h->other)
        put_other(a, "other", k, h->other);
    web_param_text(a, "text", h->text);
}

/* ---- its values --------------------------------------------------------------------------- */

static void look_at_value(const struct web_known *k, struct web_advices *all, uint32_t series,
                          const struct store_health *h)
{
    static const struct {
        uint16_t q;
        enum web_advice_code code;
    } flags[] = {{WIRE_Q_STUCK, WEB_ADVICE_sensor_stuck}, {WIRE_Q_LIMITS, WEB_ADVICE_value_limits}};
    const struct store_series *s = store_series_at(k->store, series);
    struct store_now v;
    store_board(k->store, series, 1, &v);
    if (v.missing && v.cause == STORE_QUEUE)
        (void)about_device(k, all, WEB_ADVICE_queue_lost, s->device, h);
    if (v.missing && v.cause == STORE_PAUSED) {
        const struct bus b = {.first = s->device};
        (void)about_bus(k, all, WEB_ADVICE_bus_paused, &b);
    }
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        bool order = h->order && flags[i].q == WIRE_Q_LIMITS;
        if (v.missing || v.v.kind == NUM_NONE || !(v.q & flags[i].q) || order)
            continue;
        struct web_advice *a = about_device(k, all, flags[i].code, s->device, h);
        web_param_text(a, "point", s->point);
    }
}

/* Series stand in the order of their devices. */
static uint32_t first_series(const struct web_known *k, uint32_t device)
{
    uint32_t from = 0, to = store_series_count(k->store);
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        if (store_series_at(k->store, mid)->device < device)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

static void look_at_values(const struct web_known *k, struct web_advices *all, uint32_t device)
{
    const struct store_device *d = store_device_at(k->store, device);
    struct store_health h;
    store_health_get(k->store, device, &h);
    bool answers = h.state == STORE_GOOD || h.state == STORE_LATE;
    if (answers && h.order)
        web_param_text(about_device(k, all, WEB_ADVICE_word_order, device, &h), "order", h.order);
    if (answers && h.overrun_run >= OVERRUNS_MIN &&
        k->mono.ms - h.overrun_at.ms <= store_overrun_ms(d->period_ms)) {
        struct web_advice *a = web_advice_add(all, WEB_ADVICE_overloaded, bus_of(k, device));
        put_name(a, "name", k, device);
        web_param_text(a, "device", d->id);
        web_param_text(a, "bus", d->source);
        web_param_int(a, "n", h.overrun_run);
    }
    for (uint32_t i = first_series(k, device); answers && i < store_series_count(k->store) &&
                                               store_series_at(k->store, i)->device == device;
         i++)
        look_at_value(k, all, i, &h);
}

void web_advise_lines(const struct web_known *k, struct web_advices *all)
{
    for (uint32_t i = 0; i < store_device_count(k->store); i++) {
        bool own = strcmp(bus_of(k, i), OWN) == 0, whole = false;
        uint32_t first = 0;
        while (strcmp(bus_of(k, first), bus_of(k, i)) != 0)
            first++;
        struct bus b;
        if (first == i && !own) {
            count(k, i, &b);
            whole = look_at_bus(k, all, &b);
        }
        for (uint32_t n = i; first == i && n < store_device_count(k->store); n++) {
            struct store_health h;
            if (strcmp(bus_of(k, n), bus_of(k, i)) != 0)
                continue;
            store_health_get(k->store, n, &h);
            if (h.state != STORE_GOOD && !is_cut(&h) && !(whole && is_bad(&h)))
                look_at_device(k, all, n, &h, own);
            look_at_values(k, all, n);
        }
    }
}
