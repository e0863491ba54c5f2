/* GET /api/v1/why/past: what stands behind a value of the past, as far as the store and the sealed
 * batch can prove it, and what is not kept. */
#include <stdio.h>
#include <string.h>

#include "gateway/web/web_int.h"

#define WITHIN_DEFAULT_MS INT64_C(900000)
#define WITHIN_MAX_MS INT64_C(86400000)
#define STEPS_MAX 100 /* batches that are opened for one answer: the server's thread does it */
#define QUARTER_MS INT64_C(900000) /* batches are looked up by it */

/* The reading nearest to the time that was asked for, copied. */
struct found {
    const char *series;
    int64_t at_ms;
    bool is, gone, sealed;
    int steps;             /* that are left */
    bool cut;              /* there were too few for all of the time */
    int64_t t_ms, read_ms; /* as corrected; as sealed */
    struct num v, read;
    uint32_t q, read_q;
    const char *state;
    char name[WIRE_SERIES_BYTES + 16], read_name[WIRE_SERIES_BYTES + 16];
    struct store_batch batch;
    struct store_shift shift;
};

static void name_of(const struct wire_reading *w, char *out, size_t n)
{
    (void)snprintf(out, n, "%.*s/%.*s", (int)w->device.n, (const char *)w->device.p,
                   (int)w->point.n, (const char *)w->point.p);
}

static int64_t off_ms(const struct found *f, int64_t t_ms)
{
    return t_ms < f->at_ms ? f->at_ms - t_ms : t_ms - f->at_ms;
}

/* No other is nearer. */
static bool is_there(const struct found *f)
{
    return f->is && f->t_ms == f->at_ms;
}

static bool look(void *ctx, const struct store_told_reading *t)
{
    struct found *f = ctx;
    char name[sizeof f->name], read_name[sizeof f->read_name];
    name_of(t->now, name, sizeof name);
    name_of(t->sealed, read_name, sizeof read_name);
    if ((strcmp(name, f->series) != 0 && strcmp(read_name, f->series) != 0) ||
        (f->is && off_ms(f, t->now->t_ms) >= off_ms(f, f->t_ms)))
        return true;
    f->is = true;
    f->gone = t->gone;
    f->sealed = t->batch != NULL;
    f->t_ms = t->now->t_ms;
    f->read_ms = t->sealed->t_ms;
    f->v = t->now->v;
    f->read = t->sealed->v;
    f->q = t->now->q;
    f->read_q = t->sealed->q;
    f->state = web_reading_state(t);
    memcpy(f->name, name, sizeof name);
    memcpy(f->read_name, read_name, sizeof read_name);
    if (t->batch)
        f->batch = *t->batch;
    f->shift = t->shift;
    return !is_there(f);
}

/* All of [from_ms, to_ms), but for what is left of the steps. */
static enum st search(struct web *w, struct store_reader *r, struct found *f, int64_t from_ms,
                      int64_t to_ms, struct err *e)
{
    struct store_readings *all;
    struct store_readings_ask ask = {.part = true, .gateway = w->site.id, .to_ms = to_ms};
    ask.from_ms = from_ms < WEB_FIRST_MS ? WEB_FIRST_MS : from_ms;
    if (ask.from_ms >= to_ms || f->cut)
        return ST_OK;
    f->steps--; /* the entries of time and what waits for its seal are read for each search */
    ERR_TRY(store_readings_open(&all, r, &ask, e));
    enum st st = ST_OK;
    while (st == ST_OK && f->steps > 0 && !is_there(f)) {
        f->steps--;
        st = store_readings_step(all, look, f, e);
    }
    f->cut = st == ST_OK && !is_there(f);
    store_readings_close(all);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static int64_t wider(int64_t half_ms)
{
    return 2 * half_ms < QUARTER_MS ? QUARTER_MS : 2 * half_ms;
}

/* Outward, for batches come in the order of their seal: what is found is the nearest once all that
 * is as near was searched. Of a search that was cut nothing is said. */
static enum st find(struct web *w, struct store_reader *r, struct found *f, int64_t near_ms,
                    int64_t within_ms, struct err *e)
{
    int64_t at_ms = f->at_ms, half_ms = near_ms < within_ms ? near_ms : within_ms;
    enum st st = search(w, r, f, at_ms - half_ms, at_ms + half_ms + 1, e);
    while (st == ST_OK && !f->is && !f->cut && half_ms < within_ms) {
        int64_t was_ms = half_ms;
        half_ms = wider(was_ms) < within_ms ? wider(was_ms) : within_ms;
        st = search(w, r, f, at_ms - half_ms, at_ms - was_ms, e);
        if (st == ST_OK)
            st = search(w, r, f, at_ms + was_ms + 1, at_ms + half_ms + 1, e);
    }
    f->is = f->is && !f->cut;
    return st;
}

/* ---- the answer ----------------------------------------------------------------------------- */

static void put_reading(struct web_json *j, const struct found *f)
{
    if (!f->is) {
        web_json_text(j, "reading", NULL);
        return;
    }
    web_json_open(j, "reading", '{');
    web_json_text(j, "state", f->state);
    web_json_text(j, "series", f->name);
    web_json_num(j, "value", f->gone ? (struct num){.kind = NUM_NONE} : f->v);
    web_json_int(j, "t_ms", f->t_ms);
    web_json_int(j, "q", f->q);
    web_json_text(j, "series_read", f->read_name);
    web_json_num(j, "value_read", f->read);
    web_json_int(j, "t_read_ms", f->read_ms);
    web_json_int(j, "q_read", f->read_q);
    if (f->shift.moved)
        web_json_int(j, "t_error_ms", f->shift.err_ms);
    else
        web_json_text(j, "t_error_ms", NULL);
    web_json_close(j, '}');
}

static void put_correction(void *ctx, const struct store_correction *c)
{
    struct web_json *j = ctx;
    const struct num none = {.kind = NUM_NONE};
    bool scaled = c->held && c->fix.what == WIRE_RESCALE;
    char chain[WIRE_ID_TEXT];
    wire_hex(c->chain, sizeof c->chain, chain);
    web_json_open(j, NULL, '{');
    web_json_bool(j, "held", c->held);
    web_json_text(j, "chain", c->held ? chain : NULL);
    web_json_int(j, "seq", (int64_t)c->seq);
    web_json_text(j, "id", c->id[0] ? c->id : NULL);
    web_json_text(j, "change", c->held ? wire_changes[c->fix.what] : NULL);
    web_json_num(j, "scale", scaled ? c->fix.scale : none);
    web_json_num(j, "offset", scaled ? c->fix.offset : none);
    web_json_text(j, "target", c->held && c->fix.what == WIRE_REASSIGN ? c->fix.target : NULL);
    web_json_text(j, "reason", c->held ? c->reason : NULL);
    web_json_text(j, "author", c->held ? c->author : NULL);
    web_json_close(j, '}');
}

/* Of the series that it was read as: corrections name that. */
static enum st put_corrections(struct web_json *j, struct store_reader *r, struct found *f,
                               struct err *e)
{
    bool more = false;
    enum st st = ST_OK;
    f->read_name[strcspn(f->read_name, ":")] = '\0';
    web_json_open(j, "corrections", '[');
    if (f->is)
        st = store_each_correction(r, f->read_name, f->t_ms, put_correction, j, &more, e);
    web_json_close(j, ']');
    web_json_bool(j, "corrections_cut", more);
    return st;
}

static void put_serial(struct web_json *j, struct store_reader *r, const struct store_device *d,
                       int64_t t_ms)
{
    char serial[STORE_NOTE_BYTES];
    bool noted = store_serial_at(r, d->id, t_ms, serial, NULL) == ST_OK;
    web_json_text(j, "serial", noted ? serial : d->serial);
    web_json_bool(j, "serial_noted", noted);
}

static enum st put_all(struct web_json *j, struct web *w, struct store_reader *r, uint32_t i,
                       struct found *f, struct err *e)
{
    const struct store_series *s = store_series_at(w->store, i);
    const struct store_device *d = store_device_at(w->store, s->device);
    struct store_stats stats;
    store_stats(w->store, &stats);
    int64_t t_ms = f->is ? f->t_ms : f->at_ms;
    web_json_int(j, "now_ms", clk_now(w->clk).utc_ms);
    web_json_text(j, "gateway", w->site.id);
    web_json_text(j, "series", f->series);
    web_json_int(j, "at_ms", f->at_ms);
    web_json_text(j, "quantity", s->quantity->key);
    web_json_text(j, "unit", s->quantity->unit);
    web_json_int(j, "decimals", s->quantity->decimals);
    put_reading(j, f);
    web_json_bool(j, "cut", f->cut);
    ERR_TRY(put_corrections(j, r, f, e));
    put_serial(j, r, d, t_ms);
    web_put_calibration(j, r, f->series, t_ms);
    web_put_device(j, "device", w->store, s->device);
    web_put_profile(j, w, d->id);
    if (f->is && f->sealed)
        web_put_batch(j, "batch", w, r, &f->batch);
    else
        web_json_text(j, "batch", NULL);
    if (stats.figures.held_from_ms > 0)
        web_json_int(j, "held_from_ms", stats.figures.held_from_ms);
    else
        web_json_text(j, "held_from_ms", NULL);
    return ST_OK;
}

void web_api_why_past(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    struct err e = {.text = "the store cannot be read"};
    struct web_json j;
    int64_t within_ms;
    const char *series = http_query(q, "series"), *at = http_query(q, "at");
    struct found f = {.series = series, .steps = STEPS_MAX};
    if (!series || !at || !clk_parse(at, &f.at_ms) || f.at_ms < WEB_FIRST_MS ||
        f.at_ms > WEB_LAST_MS ||
        !web_query_int(q, "within_ms", 0, WITHIN_MAX_MS, WITHIN_DEFAULT_MS, &within_ms)) {
        http_problem(a, 400, "bad_query",
                     "series is device/point, at a time (2026-11-22T03:05:10Z, or milliseconds "
                     "since 1970), within_ms how far the reading may be from it: 0 to 86400000",
                     NULL, NULL);
        return;
    }
    uint32_t i = web_series_find(w->store, series);
    if (i == UINT32_MAX) {
        web_refuse(a, WEB_NO_SERIES, "no such series in the configuration: device/point");
        return;
    }
    struct store_reader *r = web_reader(w);
    int64_t near_ms = 2 * store_series_at(w->store, i)->period_ms; /* nearly always enough */
    enum st st = r ? find(w, r, &f, near_ms > 0 ? near_ms : QUARTER_MS, within_ms, &e) : ST_IO;
    web_answer_begin(a, &j);
    if (st == ST_OK)
        st = put_all(&j, w, r, i, &f, &e);
    if (st == ST_OK) {
        web_answer_end(a, &j, 200);
        return;
    }
    buf_done(&a->body);
    web_refuse(a, WEB_NO_STORE, "%s", e.text);
}
