/* The read API: what the page and scripts see. Built for each request, bounded. */
#include "gateway/web/web_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX (4 * 1024 * 1024) /* some 20,000 points */
#define EVENTS_MAX 200
#define EVENTS_DEFAULT 50
#define DAY_MS 86400e3

const char *const web_state_text[] = {[STORE_NEVER] = "never",
                                      [STORE_GOOD] = "good",
                                      [STORE_LATE] = "late",
                                      [STORE_SILENT] = "silent",
                                      [STORE_FAULTY] = "faulty"};
const char *const web_grade_text[] = {[CLK_SYNCED] = "synced",
                                      [CLK_HOLDOVER] = "holdover",
                                      [CLK_CORRECTED] = "corrected",
                                      [CLK_UNKNOWN] = "unknown"};
static const char *const severity_text[] = {
    [STORE_INFO] = "info", [STORE_WARNING] = "warning", [STORE_ERROR] = "error"};

void web_answer_begin(struct http_answer *a, struct web_json *j)
{
    buf_init(&a->body, ANSWER_MAX);
    web_json_begin(j, &a->body);
    web_json_open(j, NULL, '{');
}

void web_answer_end(struct http_answer *a, struct web_json *j, int status)
{
    web_json_close(j, '}');
    if (web_json_end(j) != ST_OK) {
        buf_done(&a->body);
        http_problem(a, 503, "unavailable",
                     "the answer is too large for this gateway: ask for one device", NULL, NULL);
        return;
    }
    a->status = status;
    a->content_type = "application/json";
    http_answer_header(a, "Cache-Control", "no-store");
}

struct store_reader *web_reader(struct web *w)
{
    if (!w->reader && store_reader_open_in(&w->reader, w->store, NULL) != ST_OK)
        w->reader = NULL;
    return w->reader;
}

/* ---- status ------------------------------------------------------------------------------- */

static void put_site(struct web_json *j, const struct web_site *s)
{
    web_json_open(j, "site", '{');
    web_json_text(j, "id", s->id);
    web_json_text(j, "name", s->name);
    web_json_text(j, "territory", s->territory);
    web_json_text(j, "language", s->language);
    if (s->located) {
        web_json_num(j, "lat", num_flt(s->lat));
        web_json_num(j, "lon", num_flt(s->lon));
    }
    web_json_close(j, '}');
}

/* How bad a state is, for the summary of a bus. */
static int rank(enum store_state s)
{
    static const int ranks[] = {[STORE_NEVER] = 1,
                                [STORE_GOOD] = 0,
                                [STORE_LATE] = 2,
                                [STORE_SILENT] = 3,
                                [STORE_FAULTY] = 4};
    return ranks[s];
}

static const char *source_of(const struct store *s, uint32_t device)
{
    const char *source = store_device_at(s, device)->source;
    return source ? source : "";
}

/* A figure, or null while it is not known. */
static void put_known(struct web_json *j, const char *key, bool known, double v)
{
    web_json_num(j, key, known ? num_flt(v) : (struct num){.kind = NUM_NONE});
}

/* 0 for what is not known yet, such as a rate over no time. */
static double round_to(double v, double step)
{
    return v > 0 && v / step < 9e18 ? (double)(int64_t)(v / step + 0.5) * step : 0;
}

/* What its devices count, together. */
struct sums {
    int64_t devices, answering, faulty, polls, failures, ticks, overruns, lost_ms;
    enum store_state worst;
};

static struct sums sums_of(struct store *s, uint32_t first)
{
    struct sums x = {.worst = STORE_GOOD};
    const char *id = source_of(s, first);
    for (uint32_t i = first; i < store_device_count(s); i++) {
        struct store_health h;
        if (strcmp(source_of(s, i), id) != 0)
            continue;
        store_health_get(s, i, &h);
        x.devices++;
        x.answering += h.state != STORE_NEVER && h.state != STORE_SILENT;
        x.faulty += h.state == STORE_FAULTY; /* an error is an answer */
        x.polls += (int64_t)h.polls;
        x.failures += (int64_t)h.failures;
        x.ticks += (int64_t)h.ticks;
        x.overruns += (int64_t)h.overruns;
        x.lost_ms += (int64_t)h.lost_ms;
        x.worst = rank(h.state) > rank(x.worst) ? h.state : x.worst;
    }
    return x;
}

static void put_bus(struct web_json *j, struct web *w, uint32_t first)
{
    const char *id = source_of(w->store, first);
    const struct sums x = sums_of(w->store, first);
    const struct web_rooms *m = &w->site.rooms;
    struct web_bus bus;
    bool known = m->bus && m->bus(m->ctx, id, &bus);
    web_json_open(j, NULL, '{');
    web_json_text(j, "id", id);
    web_json_text(j, "line", known ? bus.line : NULL);
    web_json_int(j, "devices", x.devices);
    web_json_int(j, "answering", x.answering);
    web_json_int(j, "faulty", x.faulty);
    web_json_text(j, "state", web_state_text[x.worst]);
    put_known(j, "planned_load", known && bus.asked, known ? round_to(bus.load, 0.0001) : 0);
    web_json_int(j, "polls", x.polls);
    web_json_int(j, "failures", x.failures);
    web_json_int(j, "ticks", x.ticks);
    web_json_int(j, "overruns", x.overruns);
    web_json_int(j, "lost_ms", x.lost_ms);
    web_put_findings(j, w->store, first);
    web_json_close(j, '}');
}

static void put_buses(struct web_json *j, struct web *w)
{
    struct store *s = w->store;
    web_json_open(j, "buses", '[');
    for (uint32_t i = 0; i < store_device_count(s); i++) {
        uint32_t first = 0;
        while (strcmp(source_of(s, first), source_of(s, i)) != 0)
            first++;
        if (first == i)
            put_bus(j, w, i);
    }
    web_json_close(j, ']');
}

void web_put_device(struct web_json *j, const char *key, struct store *s, uint32_t i)
{
    const struct store_device *d = store_device_at(s, i);
    struct store_health h;
    store_health_get(s, i, &h);
    web_json_open(j, key, '{');
    web_json_text(j, "id", d->id);
    web_json_text(j, "name", d->name);
    web_json_text(j, "place", d->place);
    web_json_text(j, "stream", d->stream);
    web_json_text(j, "role", d->role);
    web_json_text(j, "serial", d->serial);
    web_json_text(j, "bus", d->source);
    web_json_text(j, "address", d->address);
    web_json_text(j, "model", d->model);
    web_json_int(j, "period_ms", d->period_ms);
    web_json_text(j, "state", web_state_text[h.state]);
    web_json_text(j, "text", h.text);
    web_json_text(j, "says", h.says);
    web_json_int(j, "since_ms", h.since_ms);
    web_json_int(j, "polls", (int64_t)h.polls);
    web_json_int(j, "failures", (int64_t)h.failures);
    web_json_int(j, "answer_ms", h.answer_ms);
    web_json_int(j, "lost_ms", (int64_t)h.lost_ms);
    web_json_int(j, "ticks", (int64_t)h.ticks);
    web_json_int(j, "overruns", (int64_t)h.overruns);
    web_put_heard(j, &h.heard);
    web_json_close(j, '}');
}

/* How much is held and how long the rest lasts; days are null until they can be told. */
static void put_limits(struct web_json *j, const struct store_figures *f, int64_t now_ms)
{
    bool rate = f->sealed_window_ms >= STORE_RATE_MS && f->sealed_bytes > 0;
    web_json_int(j, "max_bytes", f->max_bytes);
    put_known(j, "days_held", f->held_from_ms > 0 && f->held_from_ms < now_ms,
              round_to((double)(now_ms - f->held_from_ms) / DAY_MS, 0.0001));
    put_known(j, "days_of_autonomy", f->autonomy_ms >= 0,
              round_to((double)f->autonomy_ms / DAY_MS, 0.01));
    put_known(j, "sealed_bytes_a_day", rate,
              round_to((double)f->sealed_bytes * DAY_MS / (double)f->sealed_window_ms, 1));
    put_known(j, "measured_over_hours", f->sealed_window_ms > 0,
              round_to((double)f->sealed_window_ms / 3600000, 0.01));
    web_json_int(j, "thinned", f->thinned);
}

static void put_flash(struct web_json *j, const struct store_stats *t)
{
    static const char *const pre_eol[] = {NULL, "normal", "warning", "urgent"};
    const struct store_figures *f = &t->figures;
    const struct store_wear *w = &t->wear;
    bool rate = f->flash_window_ms >= STORE_RATE_MS;
    double a_day = rate ? (double)f->flash_bytes * DAY_MS / (double)f->flash_window_ms : 0;
    double life = (double)w->capacity_bytes * STORE_WEAR_CYCLES;
    web_json_open(j, "flash", '{');
    web_json_text(j, "device", w->device[0] ? w->device : NULL);
    put_known(j, "written_bytes_a_day", rate, round_to(a_day, 1));
    put_known(j, "measured_over_hours", f->flash_window_ms > 0,
              round_to((double)f->flash_window_ms / 3600000, 0.01));
    put_known(j, "capacity_bytes", w->capacity_bytes > 0, (double)w->capacity_bytes);
    web_json_int(j, "assumed_erase_cycles", STORE_WEAR_CYCLES);
    put_known(j, "years_left", a_day > 0 && life > 0, round_to(life / a_day / 365, 1));
    put_known(j, "life_used_percent_a", w->life_percent[0] >= 0, w->life_percent[0]);
    put_known(j, "life_used_percent_b", w->life_percent[1] >= 0, w->life_percent[1]);
    web_json_text(j, "pre_eol", pre_eol[w->pre_eol]);
    web_json_close(j, '}');
}

static void put_store(struct web_json *j, struct store *s, int64_t now_ms)
{
    struct store_stats t;
    store_stats(s, &t);
    web_json_open(j, "store", '{');
    web_json_int(j, "queue_polls", t.queue_polls);
    web_json_int(j, "queue_dropped", t.queue_dropped);
    web_json_int(j, "readings_waiting", t.readings_waiting);
    web_json_int(j, "batches_held", t.batches_held);
    web_json_int(j, "batches_unsent", t.batches_unsent);
    web_json_int(j, "db_bytes", t.db_bytes);
    web_json_int(j, "last_commit_ms", t.last_commit_ms);
    web_json_text(j, "fault", t.fault);
    put_limits(j, &t.figures, now_ms);
    web_json_bool(j, "rescuing", t.rescuing);
    web_json_int(j, "damaged_files", t.aside_sets);
    web_json_int(j, "damaged_bytes", t.aside_bytes);
    web_json_close(j, '}');
    put_flash(j, &t);
}

static void put_receipt(struct web_json *j, struct web *w, const char *uplink)
{
    struct store_receipt r;
    char chain[WIRE_ID_TEXT];
    struct store_reader *from = web_reader(w);
    if (!from || store_last_receipt(from, uplink, &r, NULL) != ST_OK) {
        web_json_text(j, "receipt", NULL);
        return;
    }
    wire_hex(r.chain, sizeof r.chain, chain);
    web_json_open(j, "receipt", '{');
    web_json_text(j, "chain", chain);
    web_json_int(j, "seq", (int64_t)r.seq);
    web_json_int(j, "at_ms", r.at_ms);
    web_json_close(j, '}');
}

/* What it costs. left_bytes is null without a budget. */
static void put_data(struct web_json *j, const struct web_uplink *u)
{
    int64_t left = u->budget_bytes - u->month_bytes;
    bool any = u->budget_bytes > 0;
    web_json_open(j, "data", '{');
    web_json_int(j, "wire_bytes", (int64_t)u->wire_bytes);
    web_json_bool(j, "metered", u->metered);
    web_json_int(j, "month_bytes", u->month_bytes);
    put_known(j, "budget_bytes", any, (double)u->budget_bytes);
    put_known(j, "left_bytes", any, left > 0 ? (double)left : 0);
    put_known(j, "renews_ms", u->renews_ms > 0, (double)u->renews_ms);
    web_json_close(j, '}');
}

static void put_certificate(struct web_json *j, const struct web_uplink *u, int64_t now_ms)
{
    if (u->cert_to_ms == 0) {
        web_json_text(j, "certificate", NULL);
        return;
    }
    web_json_open(j, "certificate", '{');
    web_json_int(j, "ends_ms", u->cert_to_ms);
    web_json_int(j, "days_left",
                 u->cert_to_ms > now_ms ? (u->cert_to_ms - now_ms) / INT64_C(86400000) : 0);
    web_json_text(j, "text", u->cert_text);
    web_json_close(j, '}');
}

/* What the city announced of its own keys. */
static void put_trust(struct web_json *j, const struct web_uplink *u)
{
    if (u->trust_n == 0 && !u->trust_text[0]) {
        web_json_text(j, "trust", NULL);
        return;
    }
    web_json_open(j, "trust", '{');
    web_json_int(j, "notice", (int64_t)u->trust_n);
    put_known(j, "ends_ms", u->trust_to_ms > 0, (double)u->trust_to_ms);
    web_json_text(j, "text", u->trust_text);
    web_json_close(j, '}');
}

void web_put_uplink(struct web_json *j, struct web *w, const struct web_uplink *u)
{
    web_json_text(j, "id", u->id);
    web_json_bool(j, "online", u->online);
    web_json_bool(j, "required", u->required);
    web_json_text(j, "text", u->text);
    web_json_int(j, "last_ok_ms", u->last_ok_ms);
    web_json_int(j, "sent", (int64_t)u->sent);
    web_json_int(j, "acknowledged", (int64_t)u->acknowledged);
    web_json_int(j, "bytes", (int64_t)u->bytes);
    put_data(j, u);
    put_certificate(j, u, clk_now(w->clk).utc_ms);
    put_trust(j, u);
    put_receipt(j, w, u->id);
}

size_t web_uplinks(const struct web *w, struct web_uplink out[WEB_UPLINKS_MAX])
{
    return w->site.uplinks ? w->site.uplinks(w->site.uplinks_ctx, out, WEB_UPLINKS_MAX) : 0;
}

static void put_uplinks(struct web_json *j, struct web *w)
{
    struct web_uplink up[WEB_UPLINKS_MAX];
    size_t n = web_uplinks(w, up);
    web_json_open(j, "uplinks", '[');
    for (size_t i = 0; i < n; i++) {
        web_json_open(j, NULL, '{');
        web_put_uplink(j, w, &up[i]);
        web_json_close(j, '}');
    }
    web_json_close(j, ']');
}

/* What the city refused for ever. */
static void put_refused(struct web_json *j, struct web *w)
{
    struct store_set_aside r;
    char chain[WIRE_ID_TEXT];
    struct store_reader *from = web_reader(w);
    if (!from || store_set_aside_last(from, &r, NULL) != ST_OK) {
        web_json_text(j, "refused", NULL);
        return;
    }
    wire_hex(r.chain, sizeof r.chain, chain);
    web_json_open(j, "refused", '{');
    web_json_int(j, "batches", r.batches);
    web_json_text(j, "chain", chain);
    web_json_int(j, "seq", (int64_t)r.seq);
    web_json_text(j, "code", r.code);
    web_json_int(j, "at_ms", r.at_ms);
    web_json_close(j, '}');
}

static void put_survey(struct web_json *j, const struct web_rooms *m)
{
    web_json_open(j, "survey", '{');
    web_json_bool(j, "area", m->has_area);
    web_json_bool(j, "walks", m->walks);
    web_json_bool(j, "browser", m->browser);
    web_json_close(j, '}');
}

void web_api_status(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    struct web_json j;
    struct clk_time now = clk_now(w->clk);
    (void)q;
    web_answer_begin(a, &j);
    web_json_text(&j, "version", w->site.version);
    web_json_int(&j, "now_ms", now.utc_ms);
    web_json_int(&j, "up_ms", clk_mono(w->clk).ms - w->started.ms);
    web_json_text(&j, "clock", web_grade_text[now.grade]);
    put_site(&j, &w->site);
    put_buses(&j, w);
    web_json_open(&j, "devices", '[');
    for (uint32_t i = 0; i < store_device_count(w->store); i++)
        web_put_device(&j, NULL, w->store, i);
    web_json_close(&j, ']');
    put_store(&j, w->store, now.utc_ms);
    put_uplinks(&j, w);
    put_survey(&j, &w->site.rooms);
    web_json_int(&j, "alarms", (int64_t)web_alarm_count(w));
    web_put_not_configured(&j, w);
    put_refused(&j, w);
    web_answer_end(a, &j, 200);
}

/* ---- events and health -------------------------------------------------------------------- */

bool web_query_int(const struct http_request *q, const char *key, int64_t min, int64_t max,
                   int64_t dflt, int64_t *out)
{
    const char *text = http_query(q, key);
    struct num v;
    *out = dflt;
    if (!text)
        return true;
    if (!num_parse(text, &v) || v.kind != NUM_DEC || v.exp != 0 || v.i < min || v.i > max)
        return false;
    *out = v.i;
    return true;
}

static bool put_event(void *ctx, const struct store_event *v)
{
    struct web_json *j = ctx;
    web_json_open(j, NULL, '{');
    web_json_int(j, "id", v->id);
    web_json_int(j, "t_ms", v->t_ms);
    web_json_text(j, "clock", web_grade_text[v->grade]);
    web_json_text(j, "severity", severity_text[v->severity]);
    web_json_text(j, "code", v->code);
    web_json_text(j, "subject", v->subject);
    web_json_text(j, "text", v->text);
    web_json_close(j, '}');
    return true;
}

void web_api_events(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    struct web_json j;
    int64_t before, limit;
    struct err e = {.text = "the store cannot be read"};
    if (!web_query_int(q, "before", 0, INT64_MAX, 0, &before) ||
        !web_query_int(q, "limit", 1, EVENTS_MAX, EVENTS_DEFAULT, &limit)) {
        http_problem(a, 400, "bad_query", "before is an event id, limit is 1 to 200", NULL, NULL);
        return;
    }
    struct store_reader *r = web_reader(w);
    web_answer_begin(a, &j);
    web_json_open(&j, "events", '[');
    enum st st = r ? store_each_event(r, before, (int)limit, put_event, &j, &e) : ST_IO;
    web_json_close(&j, ']');
    web_answer_end(a, &j, 200);
    if (st != ST_OK && st != ST_NOT_FOUND) {
        buf_done(&a->body);
        http_problem(a, 503, "unavailable", e.text, NULL, NULL);
    }
}

/* For whoever watches from outside: nothing of the gateway but that it lives. */
void web_api_health(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    struct web_json j;
    (void)q;
    bool ok = !w->site.rooms.alive || w->site.rooms.alive(w->site.rooms.ctx);
    web_answer_begin(a, &j);
    web_json_bool(&j, "ok", ok);
    web_answer_end(a, &j, ok ? 200 : 503);
}
