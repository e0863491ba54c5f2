/* What a request is refused with, and the tokens of programs. */
#include "gateway/web/web_int.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int status;
    const char *code;
} problems[] = {[WEB_NO_JSON] = {400, "bad_json"},
                [WEB_NO_REQUEST] = {400, "bad_request"},
                [WEB_NO_TOKEN] = {401, "no_token"},
                [WEB_NO_SUCH_TOKEN] = {401, "wrong_token"},
                [WEB_NO_MORE] = {401, "expired"},
                [WEB_NO_SCOPE] = {403, "wrong_scope"},
                [WEB_NO_SESSION] = {401, "no_session"},
                [WEB_NO_PASSWORD] = {401, "wrong_password"},
                [WEB_NO_CODE] = {401, "wrong_code"},
                [WEB_NO_CSRF] = {403, "csrf"},
                [WEB_NO_ROLE] = {403, "wrong_role"},
                [WEB_NO_USER] = {404, "unknown_user"},
                [WEB_NO_TOKEN_OF] = {404, "unknown_token"},
                [WEB_NO_SERIES] = {404, "unknown_series"},
                [WEB_NO_DEVICE] = {404, "unknown_device"},
                [WEB_NO_BUS] = {404, "unknown_bus"},
                [WEB_NO_ALARM] = {404, "unknown_alarm"},
                [WEB_NO_CORRECTION] = {404, "unknown_correction"},
                [WEB_NO_ASKED] = {404, "unknown_request"},
                [WEB_NO_SURVEY] = {404, "no_survey"},
                [WEB_NO_FIT] = {409, "conflict"},
                [WEB_NO_FRESH] = {409, "stale_position"},
                [WEB_NO_EXACT] = {409, "inaccurate_position"},
                [WEB_NO_TURN] = {409, "other_phone"},
                [WEB_NO_TYPE] = {415, "unsupported_type"},
                [WEB_NO_RATE] = {429, "rate"},
                [WEB_NO_ROOM] = {503, "busy"},
                [WEB_NO_STORE] = {503, "unavailable"}};

void web_refuse(struct http_answer *a, enum web_no no, const char *fmt, ...)
{
    char text[ERR_TEXT_BYTES];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    http_problem(a, problems[no].status, problems[no].code, text, NULL, NULL);
    http_answer_header(a, "Cache-Control", "no-store");
    if (problems[no].status == 401)
        http_answer_header(a, "WWW-Authenticate", "Bearer");
}

void web_refuse_change(struct http_answer *a, enum st st, enum web_no missing, const struct err *e)
{
    static const struct {
        enum st st;
        enum web_no no;
    } table[] = {{ST_BAD, WEB_NO_REQUEST},
                 {ST_CONFLICT, WEB_NO_FIT},
                 {ST_REFUSED, WEB_NO_FIT},
                 {ST_FULL, WEB_NO_FIT},
                 {ST_BUSY, WEB_NO_ROOM}};
    enum web_no no = st == ST_NOT_FOUND ? missing : WEB_NO_STORE;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        no = table[i].st == st ? table[i].no : no;
    web_refuse(a, no, "%s", e->text);
    if (no == WEB_NO_ROOM)
        http_answer_header(a, "Retry-After", "1");
}

void web_refuse_rate(struct http_answer *a, const char *what, int64_t left_ms)
{
    int64_t s = (left_ms + 999) / 1000;
    web_refuse(a, WEB_NO_RATE, "too many %s: try again in %" PRId64 " s", what, s);
    http_answer_header(a, "Retry-After", "%" PRId64, s);
}

/* Wrong tokens hold up those who come from there with another. */
static void wrong_token(struct web *w, const char *peer, struct http_answer *a)
{
    struct mono now = clk_mono(w->clk);
    struct web_hold *h = web_hold_of(w->door->tokens, &w->door->holds, peer);
    int64_t left_ms = web_hold_left(h, now);
    if (left_ms > 0) {
        web_refuse_rate(a, "wrong tokens came from this address", left_ms);
        return;
    }
    int64_t delay_ms = web_hold_wrong(h, now);
    if (delay_ms > 0 && delay_ms < WEB_HOLD_MAX_MS) /* behind that it grows no more */
        store_event(w->store, STORE_WARNING, "token.wrong", NULL,
                    "%u wrong tokens at the API from %s; the next is looked at in %" PRId64 " s",
                    h->n, peer, delay_ms / 1000);
    web_refuse(a, WEB_NO_SUCH_TOKEN,
               "this is no token of this gateway, or it was removed: `fieldpost token list` "
               "names those that count");
}

/* Whether it has not ended. A clock that is not set cannot tell. */
static bool is_current(const struct web *w, const struct web_token *t, struct http_answer *a)
{
    struct clk_time now = clk_now(w->clk);
    char when[CLK_TEXT_BYTES];
    if (t->ends_ms == 0)
        return true;
    if (now.grade == CLK_UNKNOWN) {
        web_refuse(a, WEB_NO_STORE,
                   "the gateway's clock is not set, so nobody knows whether this "
                   "token has ended: wait for the clock, or set the date");
        return false;
    }
    if (now.utc_ms < t->ends_ms)
        return true;
    web_refuse(a, WEB_NO_MORE,
               "this token ended at %s: `fieldpost token remove %s`, then make another",
               clk_text(t->ends_ms, when), t->name);
    return false;
}

static bool has_scope(const struct web_token *t, enum web_scope scope, struct http_answer *a)
{
    if (scope == WEB_SCOPES || (t->scopes >> scope & 1))
        return true;
    web_refuse(a, WEB_NO_SCOPE, "the token of %s lacks the scope \"%s\"", t->name,
               web_scope_text[scope]);
    return false;
}

static bool is_console(const struct web *w, const char *text)
{
    uint8_t hash[WIRE_HASH_BYTES];
    wire_sha256(text, strlen(text), hash);
    return wire_same(hash, w->door->console, sizeof hash);
}

bool web_token_allows(struct web *w, const struct http_request *q, const char *text,
                      enum web_scope scope, struct web_who *who, struct http_answer *a)
{
    struct web_tokens all;
    struct web_token console = {.name = "console", .scopes = 1U << WEB_READ};
    struct err e;
    const struct web_token *t = is_console(w, text) ? &console : NULL;
    if (!t && web_tokens_read(store_path(w->store), &all, &e) != ST_OK) {
        web_refuse(a, WEB_NO_STORE, "no token can be checked: %s", e.text);
        return false;
    }
    t = t ? t : web_token_find(&all, text); /* one that is right never waits for wrong ones */
    if (!t) {
        wrong_token(w, q->peer, a);
        return false;
    }
    if (!is_current(w, t, a) || !has_scope(t, scope, a))
        return false;
    (void)snprintf(who->name, sizeof who->name, "%s", t->name);
    who->pass.by = t == &console ? WEB_BY_CONSOLE : WEB_BY_TOKEN;
    memcpy(who->pass.hash, t->hash, sizeof t->hash);
    return true;
}
