/* POST /api/v1/position: where a technician's phone is, for the walk of a survey (decision 0054).
 */
#include "gateway/web/web_int.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#define APART_MS 200 /* positions, of all phones together */

static const struct {
    enum st st;
    enum web_no no;
} refusals[] = {{ST_NOT_FOUND, WEB_NO_SURVEY},
                {ST_BAD, WEB_NO_REQUEST},
                {ST_TIMEOUT, WEB_NO_FRESH},
                {ST_REFUSED, WEB_NO_EXACT},
                {ST_CONFLICT, WEB_NO_TURN}};

static enum web_no refusal_of(enum st st)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (refusals[i].st == st)
            return refusals[i].no;
    return WEB_NO_STORE;
}

static bool is_too_soon(struct web *w, struct http_answer *a)
{
    int64_t now = clk_mono(w->clk).ms, left = w->position.ms + APART_MS - now;
    if (w->position.ms > 0 && left > 0) {
        web_refuse_rate(a, "positions", left);
        return true;
    }
    w->position.ms = now;
    return false;
}

static void take(struct web *w, const struct web_who *who, struct web_fix *f, struct http_answer *a)
{
    const struct web_rooms *m = &w->site.rooms;
    bool fresh = false, used = false;
    struct err e = {.text = "no walk takes a position here"};
    struct web_json j;
    memcpy(f->from, who->pass.hash, sizeof f->from);
    enum st st = m->position ? m->position(m->ctx, f, &fresh, &used, &e) : ST_NOT_FOUND;
    if (st != ST_OK) {
        web_refuse(a, refusal_of(st), "%s", e.text);
        return;
    }
    if (fresh)
        store_event(w->store, STORE_INFO, "survey.position", NULL,
                    "%s lets a phone tell where the walk is", who->name);
    web_answer_begin(a, &j);
    web_json_bool(&j, "used", used);
    web_answer_end(a, &j, 200);
}

/* ST_BAD: no JSON; ST_REFUSED: JSON, and not these numbers. */
static enum st read_fix(struct web_fix *f, const struct http_request *q, struct err *e)
{
    enum { LAT, LON, ACCURACY, STAMP, AGE, NEEDED, ALTITUDE = NEEDED, WORDS };
    static const char *const word[WORDS] = {"lat",      "lon",    "accuracy_m",
                                            "stamp_ms", "age_ms", "altitude_m"};
    double v[WORDS];
    bool there[WORDS] = {false};
    void *json = NULL;
    enum st st = web_json_read(&json, q->body, q->body_n, e);
    for (void *m = st == ST_OK ? json_object_iter(json) : NULL; m && st == ST_OK;
         m = json_object_iter_next(json, m)) {
        size_t i = 0;
        while (i < WORDS && strcmp(word[i], json_object_iter_key(m)) != 0)
            i++;
        if (i == WORDS || !json_is_number(json_object_iter_value(m))) {
            st = err_set(e, ST_REFUSED, "%.40s: %s", json_object_iter_key(m),
                         i == WORDS ? "no such word here" : "a number belongs here");
        } else {
            v[i] = json_number_value(json_object_iter_value(m));
            there[i] = true;
        }
    }
    json_decref(json);
    for (size_t i = 0; i < NEEDED && st == ST_OK; i++)
        if (!there[i])
            st = err_set(e, ST_REFUSED, "%s: is missing", word[i]);
    if (st != ST_OK)
        return st;
    f->lat = v[LAT];
    f->lon = v[LON];
    f->accuracy_m = v[ACCURACY];
    f->has_altitude = there[ALTITUDE];
    /* what is beyond all is beyond the walk's limits, too */
    f->stamp_ms = fabs(v[STAMP]) < 1e17 ? (int64_t)v[STAMP] : -1;
    f->age_ms = fabs(v[AGE]) < 1e17 ? (int64_t)v[AGE] : -1;
    return ST_OK;
}

void web_api_position(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    struct web_who who;
    struct web_fix f = {.lat = 0};
    struct err e;
    if (!web_allows(w, q, &who, a) || is_too_soon(w, a))
        return;
    if (!web_is_json(q)) {
        web_refuse(a, WEB_NO_TYPE, "the body is JSON: say Content-Type: application/json");
        return;
    }
    enum st st = read_fix(&f, q, &e);
    if (st == ST_OK)
        take(w, &who, &f, a);
    else
        web_refuse(a, st == ST_BAD ? WEB_NO_JSON : WEB_NO_REQUEST, "%s", e.text);
}
