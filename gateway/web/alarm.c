/* The alarms: how each stands, and a person who knows of one. */
#include "gateway/web/web_int.h"

#define A_TURN 4

size_t web_alarm_count(const struct web *w)
{
    const struct web_rooms *m = &w->site.rooms;
    struct web_alarm one[A_TURN];
    size_t n = 0, got = 0;
    while (m->alarms && (got = m->alarms(m->ctx, n, one, A_TURN)) > 0)
        n += got;
    return n;
}

static void put(struct web_json *j, const struct web_alarm *x, int64_t now_mono_ms)
{
    bool has = x->value.kind != NUM_NONE;
    web_json_open(j, NULL, '{');
    web_json_text(j, "id", x->id);
    web_json_text(j, "series", x->series);
    web_json_text(j, "state", x->state);
    web_json_text(j, "severity", x->severity);
    web_json_open(j, "text", '{');
    web_json_text(j, "vi", x->vi);
    web_json_text(j, "en", x->en);
    web_json_close(j, '}');
    web_json_text(j, "when", x->when);
    web_json_num(j, "limit", x->limit);
    web_json_num(j, "clear", x->clear);
    web_json_text(j, "unit", x->unit);
    web_json_int(j, "decimals", x->decimals);
    web_json_num(j, "value", x->value);
    if (has) {
        web_json_int(j, "t_ms", x->t_ms);
        web_json_int(j, "age_ms", now_mono_ms > x->at.ms ? now_mono_ms - x->at.ms : 0);
    } else {
        web_json_text(j, "t_ms", NULL);
        web_json_text(j, "age_ms", NULL);
    }
    web_json_int(j, "since_ms", x->since_ms);
    web_json_int(j, "acknowledged_ms", x->known_ms);
    web_json_text(j, "acknowledged_by", x->known_ms ? x->by : NULL);
    web_json_close(j, '}');
}

void web_api_alarms(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    const struct web_rooms *m = &w->site.rooms;
    struct web_alarm one[A_TURN];
    struct web_json j;
    size_t n = 0, got = 0;
    (void)q;
    web_answer_begin(a, &j);
    web_json_int(&j, "now_ms", clk_now(w->clk).utc_ms);
    web_json_open(&j, "alarms", '[');
    for (; m->alarms && (got = m->alarms(m->ctx, n, one, A_TURN)) > 0; n += got)
        for (size_t i = 0; i < got; i++)
            put(&j, &one[i], clk_mono(w->clk).ms);
    web_json_close(&j, ']');
    web_answer_end(a, &j, 200);
}

void web_api_acknowledge(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    const struct web_rooms *m = &w->site.rooms;
    struct web_who who;
    struct web_json j;
    struct err e = {.text = "no such alarm in the configuration"};
    if (!web_allows(w, q, &who, a))
        return;
    enum st st = m->acknowledge ? m->acknowledge(m->ctx, q->param[0], who.name, &e) : ST_NOT_FOUND;
    if (st != ST_OK) {
        web_refuse(a, st == ST_NOT_FOUND ? WEB_NO_ALARM : WEB_NO_FIT, "%s", e.text);
        return;
    }
    web_answer_begin(a, &j);
    web_json_text(&j, "id", q->param[0]);
    web_json_text(&j, "by", who.name);
    web_answer_end(a, &j, 202);
}
