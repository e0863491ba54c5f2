/* One device, what stands behind one value, and asking a device now. */
#include <string.h>

#include "gateway/web/web_int.h"

/* The quantity that makes optical counters of particles see too much. */
#define HUMIDITY "humidity"

void web_put_profile(struct web_json *j, const struct web *w, const char *device)
{
    const struct web_rooms *m = &w->site.rooms;
    struct web_profile p;
    if (!m->profile || !m->profile(m->ctx, device, &p)) {
        web_json_text(j, "profile", NULL);
        return;
    }
    web_json_open(j, "profile", '{');
    web_json_text(j, "name", p.name);
    web_json_text(j, "model", p.model);
    web_json_text(j, "what", p.what);
    web_json_text(j, "source", p.source);
    web_json_bool(j, "verified", p.verified);
    web_json_close(j, '}');
}

uint32_t web_series_find(const struct store *s, const char *series)
{
    const char *slash = strchr(series, '/');
    size_t n = slash ? (size_t)(slash - series) : 0;
    for (uint32_t i = 0; slash && i < store_series_count(s); i++) {
        const struct store_series *x = store_series_at(s, i);
        const char *id = store_device_at(s, x->device)->id;
        if (strlen(id) == n && memcmp(id, series, n) == 0 && strcmp(x->point, slash + 1) == 0)
            return i;
    }
    return UINT32_MAX;
}

static uint32_t device_find(const struct store *s, const char *id)
{
    for (uint32_t i = 0; i < store_device_count(s); i++)
        if (strcmp(store_device_at(s, i)->id, id) == 0)
            return i;
    return UINT32_MAX;
}

void web_api_device(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    struct web_json j;
    uint32_t d = device_find(w->store, q->param[0]);
    if (d == UINT32_MAX) {
        web_refuse(a, WEB_NO_DEVICE, "no such device in the configuration");
        return;
    }
    web_answer_begin(a, &j);
    web_json_int(&j, "now_ms", clk_now(w->clk).utc_ms);
    web_put_device(&j, "device", w->store, d);
    web_put_profile(&j, w, q->param[0]);
    web_put_quantities(&j, w->store);
    web_json_open(&j, "points", '[');
    for (uint32_t i = 0; i < store_series_count(w->store); i++)
        if (store_series_at(w->store, i)->device == d)
            web_put_point(&j, NULL, w, i, true);
    web_json_close(&j, ']');
    web_answer_end(a, &j, 200);
}

/* ---- why this number ------------------------------------------------------------------------ */

void web_put_calibration(struct web_json *j, struct store_reader *r, const char *series,
                         int64_t t_ms)
{
    struct store_said c;
    char device[WIRE_SERIES_BYTES];
    (void)snprintf(device, sizeof device, "%.*s/*", (int)strcspn(series, "/"), series);
    if (!r || store_calibration_last(r, series, device, t_ms, &c, NULL) != ST_OK) {
        web_json_text(j, "calibration", NULL);
        return;
    }
    web_json_open(j, "calibration", '{');
    web_json_text(j, "series", c.series);
    web_json_int(j, "from_ms", c.from_ms);
    if (c.to_ms == INT64_MAX)
        web_json_text(j, "to_ms", NULL);
    else
        web_json_int(j, "to_ms", c.to_ms);
    web_json_close(j, '}');
}

/* Particles alone: water on them is seen as more of them. */
static bool is_particles(const struct quantity *q)
{
    return strncmp(q->key, "pm", 2) == 0;
}

static void put_humidity(struct web_json *j, struct web *w, uint32_t series)
{
    const struct store_series *s = store_series_at(w->store, series);
    for (uint32_t i = 0; is_particles(s->quantity) && i < store_series_count(w->store); i++) {
        const struct store_series *x = store_series_at(w->store, i);
        if (x->device == s->device && strcmp(x->quantity->key, HUMIDITY) == 0) {
            web_put_point(j, "humidity", w, i, false);
            return;
        }
    }
    web_json_text(j, "humidity", NULL);
}

static void put_receipt(struct web_json *j, struct store_reader *r, const char *uplink, int64_t id)
{
    bool acked = false;
    int64_t at_ms;
    if (store_batch_acked(r, uplink, id, &acked, NULL) != ST_OK)
        return;
    web_json_open(j, NULL, '{');
    web_json_text(j, "id", uplink);
    web_json_bool(j, "acknowledged", acked);
    if (acked && store_receipt_of(r, uplink, id, &at_ms, NULL) == ST_OK)
        web_json_int(j, "receipt_ms", at_ms);
    else
        web_json_text(j, "receipt_ms", NULL);
    web_json_close(j, '}');
}

void web_put_batch(struct web_json *j, const char *key, struct web *w, struct store_reader *r,
                   const struct store_batch *b)
{
    struct web_uplink up[WEB_UPLINKS_MAX];
    char chain[WIRE_ID_TEXT], hash[2 * WIRE_HASH_BYTES + 1];
    size_t n = web_uplinks(w, up);
    wire_hex(b->chain, sizeof b->chain, chain);
    wire_hex(b->hash, sizeof b->hash, hash);
    web_json_open(j, key, '{');
    web_json_text(j, "chain", chain);
    web_json_int(j, "seq", (int64_t)b->seq);
    web_json_text(j, "sha256", hash);
    web_json_int(j, "from_ms", b->from_ms);
    web_json_int(j, "to_ms", b->to_ms);
    web_json_int(j, "readings", (int64_t)b->n);
    web_json_open(j, "uplinks", '[');
    for (size_t i = 0; i < n; i++)
        put_receipt(j, r, up[i].id, b->id);
    web_json_close(j, ']');
    web_json_close(j, '}');
}

static void put_sealed(struct web_json *j, const char *key, struct web *w, struct store_reader *r,
                       int64_t t_ms)
{
    struct store_batch b;
    if (!r || store_batch_holding(r, t_ms, &b, NULL) != ST_OK)
        web_json_text(j, key, NULL);
    else
        web_put_batch(j, key, w, r, &b);
}

void web_api_why(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    struct web_json j;
    struct store_now now;
    const char *series = http_query(q, "series");
    uint32_t i = series ? web_series_find(w->store, series) : UINT32_MAX;
    if (i == UINT32_MAX) {
        if (series)
            web_refuse(a, WEB_NO_SERIES, "no such series in the configuration: device/point");
        else
            http_problem(a, 400, "bad_query", "series is needed: device/point", NULL, NULL);
        return;
    }
    const struct store_series *s = store_series_at(w->store, i);
    const char *device = store_device_at(w->store, s->device)->id;
    struct store_reader *r = web_reader(w);
    store_board(w->store, i, 1, &now);
    web_answer_begin(a, &j);
    web_json_int(&j, "now_ms", clk_now(w->clk).utc_ms);
    web_json_text(&j, "gateway", w->site.id);
    web_put_quantities(&j, w->store);
    web_put_point(&j, "point", w, i, true);
    web_put_device(&j, "device", w->store, s->device);
    web_put_profile(&j, w, device);
    web_put_calibration(&j, r, series, INT64_MAX);
    put_humidity(&j, w, i);
    put_sealed(&j, "batch", w, now.count > 0 ? r : NULL, now.t_ms);
    put_sealed(&j, "last_batch", w, r, INT64_MAX);
    web_answer_end(a, &j, 200);
}

/* ---- the operator's messages ---------------------------------------------------------------- */

void web_api_messages(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    const struct web_rooms *m = &w->site.rooms;
    struct web_message all[WEB_MESSAGES_MAX];
    struct web_json j;
    (void)q;
    char card[WEB_CARD_BYTES] = "";
    size_t n = m->messages ? m->messages(m->ctx, all, card) : 0;
    web_answer_begin(a, &j);
    web_json_text(&j, "card", card[0] ? card : NULL);
    web_json_open(&j, "messages", '[');
    for (size_t i = 0; i < n; i++) {
        web_json_open(&j, NULL, '{');
        web_json_text(&j, "from", all[i].from);
        web_json_int(&j, "at_ms", all[i].at_ms);
        web_json_text(&j, "text", all[i].text);
        web_json_close(&j, '}');
    }
    web_json_close(&j, ']');
    web_answer_end(a, &j, 200);
}

/* ---- asking now ----------------------------------------------------------------------------- */

void web_api_probe(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    const struct web_rooms *m = &w->site.rooms;
    struct web_who who;
    struct web_json j;
    struct num unit;
    struct err e = {.text = "nothing is asked here"};
    if (!web_allows(w, q, &who, a))
        return;
    if (!num_parse(q->param[1], &unit) || unit.kind != NUM_DEC || unit.exp != 0 || unit.i < 0 ||
        unit.i > 255) {
        web_refuse(a, WEB_NO_REQUEST, "a unit is a number from 0 to 255");
        return;
    }
    enum st st = m->probe ? m->probe(m->ctx, q->param[0], (int)unit.i, &e) : ST_NOT_FOUND;
    if (st != ST_OK) {
        web_refuse(a, st == ST_NOT_FOUND ? WEB_NO_BUS : WEB_NO_ROOM, "%s", e.text);
        if (st != ST_NOT_FOUND)
            http_answer_header(a, "Retry-After", "5");
        return;
    }
    store_event(w->store, STORE_INFO, "bus.probe", q->param[0], "%s has unit %d asked now",
                who.name, (int)unit.i);
    web_answer_begin(a, &j);
    web_json_text(&j, "bus", q->param[0]);
    web_json_int(&j, "unit", unit.i);
    web_json_text(&j, "state", "waiting");
    web_answer_end(a, &j, 202);
}
