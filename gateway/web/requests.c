/* What people, and programs with a token, ask for: the same requests as on the command line, into
 * the same folder, and what became of them. */
#include "gateway/web/web_int.h"

#include <stdio.h>
#include <string.h>

#define BY_MAX 60 /* "token: by" is the author */

bool web_is_json(const struct http_request *q)
{
    static const char json[] = "application/json";
    const char *type = http_header(q, "Content-Type");
    size_t n = sizeof json - 1;
    return type && strncasecmp(type, json, n) == 0 && strchr("; ", type[n]);
}

/* A failure of the store's to what the API says. */
static void refuse(struct http_answer *a, enum st st, const struct store_ask *ask,
                   const struct err *e)
{
    enum web_no no = st == ST_BAD         ? WEB_NO_REQUEST
                     : st == ST_CONFLICT  ? WEB_NO_FIT
                     : st == ST_FULL      ? WEB_NO_ROOM
                     : st != ST_NOT_FOUND ? WEB_NO_STORE
                     : ask->undo          ? WEB_NO_CORRECTION
                                          : WEB_NO_SERIES;
    web_refuse(a, no, "%s", e->text);
    if (no == WEB_NO_ROOM)
        http_answer_header(a, "Retry-After", "5");
}

/* The name of the user or of the token, which nobody can choose in a request, and behind it the
 * person's. */
static bool author(const struct web_who *t, const char *by, char who[WIRE_WHO_MAX + 1])
{
    _Static_assert(sizeof t->name + 2 + BY_MAX <= WIRE_WHO_MAX + 1, "an author");
    if (by && (strlen(by) == 0 || strlen(by) > BY_MAX))
        return false;
    (void)snprintf(who, WIRE_WHO_MAX + 1, "%s%s%s", t->name, by ? ": " : "", by ? by : "");
    return true;
}

static void answer(struct http_answer *a, const struct store_request *q)
{
    struct web_json j;
    web_answer_begin(a, &j);
    web_json_text(&j, "request", q->hex);
    if (q->correction[0])
        web_json_text(&j, "correction", q->correction);
    web_json_text(&j, "state", "waiting");
    web_json_text(
        &j, "text",
        "within seconds the gateway seals it or says why not: see the address in Location");
    web_answer_end(a, &j, 202);
    http_answer_header(a, "Location", "/api/v1/requests/%s", q->hex);
}

static enum st hand_over(struct web *w, const struct store_ask *ask, const char *who,
                         struct store_request *q, struct err *e)
{
    struct clk_time now = clk_now(w->clk);
    struct store_reader *r = web_reader(w);
    ERR_TRY(store_request_make(q, ask, who, now.utc_ms, r, e));
    if (!r)
        return err_set(e, ST_IO, "the store cannot be read now: try again");
    ERR_TRY(store_request_check(w->store, r, &q->open, now.grade == CLK_UNKNOWN ? 0 : now.utc_ms,
                                NULL, NULL, e));
    return store_request_put(store_path(w->store), q, e);
}

static void take(struct web *w, const struct web_who *t, const struct store_ask *ask,
                 struct http_answer *a)
{
    char who[WIRE_WHO_MAX + 1];
    struct store_request q = {.at_ms = 0};
    struct err e;
    if (!author(t, ask->by, who)) {
        web_refuse(a, WEB_NO_REQUEST, "by: a name of 1 to %d bytes", BY_MAX);
        return;
    }
    enum st st = hand_over(w, ask, who, &q, &e);
    if (st == ST_OK) {
        store_event(w->store, STORE_INFO, "request.asked", ask->series,
                    "%.*s: %s asked through the API; request %s", (int)q.open.x.name.n,
                    (const char *)q.open.x.name.p, who, q.hex);
        answer(a, &q);
    } else {
        refuse(a, st, ask, &e);
    }
    store_request_free(&q);
}

static void serve(struct web *w, enum store_ask_kind kind, const struct http_request *q,
                  struct http_answer *a)
{
    struct web_who who;
    struct web_ask x;
    struct err e;
    if (!web_allows(w, q, &who, a))
        return;
    if (!web_is_json(q)) {
        web_refuse(a, WEB_NO_TYPE, "the body is JSON: say Content-Type: application/json");
        return;
    }
    enum st st = web_ask_read(&x, kind, q->body, q->body_n, &e);
    if (st == ST_OK)
        take(w, &who, &x.ask, a);
    else
        web_refuse(a,
                   st == ST_BAD       ? WEB_NO_JSON
                   : st == ST_REFUSED ? WEB_NO_REQUEST
                                      : WEB_NO_STORE,
                   "%s", e.text);
    web_ask_done(&x);
}

void web_api_correct(void *web, const struct http_request *q, struct http_answer *a)
{
    serve(web, STORE_CORRECT, q, a);
}

void web_api_maintain(void *web, const struct http_request *q, struct http_answer *a)
{
    serve(web, STORE_MAINTAIN, q, a);
}

void web_api_retire(void *web, const struct http_request *q, struct http_answer *a)
{
    serve(web, STORE_RETIRE, q, a);
}

void web_api_enter(void *web, const struct http_request *q, struct http_answer *a)
{
    serve(web, STORE_ENTER, q, a);
}

void web_api_request(void *web, const struct http_request *q, struct http_answer *a)
{
    static const char *const state[] = {
        [STORE_WAITS] = "waiting", [STORE_SEALED] = "sealed", [STORE_REFUSED] = "refused"};
    struct web *w = web;
    struct web_who who;
    struct store_fate f = {.seq = 0};
    struct web_json j;
    char chain[WIRE_ID_TEXT];
    struct err e = {.text = "the store cannot be read now: try again"};
    if (!web_allows(w, q, &who, a))
        return;
    struct store_reader *r = web_reader(w);
    enum st st = r ? store_request_fate(store_path(w->store), r, q->param[0], &f, &e) : ST_IO;
    if (st != ST_OK) {
        web_refuse(a, st == ST_NOT_FOUND ? WEB_NO_ASKED : WEB_NO_STORE, "%s", e.text);
        return;
    }
    web_answer_begin(a, &j);
    web_json_text(&j, "request", q->param[0]);
    web_json_text(&j, "state", state[f.is]);
    if (f.is == STORE_SEALED) {
        wire_hex(f.chain, sizeof f.chain, chain);
        web_json_text(&j, "chain", chain);
        web_json_int(&j, "seq", (int64_t)f.seq);
    }
    if (f.is == STORE_REFUSED)
        web_json_text(&j, "text", f.why);
    web_answer_end(a, &j, 200);
}
