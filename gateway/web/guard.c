/* Who may ask for changes: whoever holds a token with the scope, on this machine. */
#include "gateway/web/web_int.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FREE 5           /* wrong tokens that cost nothing: a mistake is no attack */
#define FORGET_MS 600000 /* without another one they are forgotten */
#define DELAY_MAX_MS 60000

static const struct {
    int status;
    const char *code;
} problems[] = {[WEB_NO_JSON] = {400, "bad_json"},
                [WEB_NO_REQUEST] = {400, "bad_request"},
                [WEB_NO_TOKEN] = {401, "no_token"},
                [WEB_NO_SUCH_TOKEN] = {401, "wrong_token"},
                [WEB_NO_MORE] = {401, "expired"},
                [WEB_NO_SCOPE] = {403, "wrong_scope"},
                [WEB_NO_PEER] = {403, "wrong_peer"},
                [WEB_NO_SERIES] = {404, "unknown_series"},
                [WEB_NO_CORRECTION] = {404, "unknown_correction"},
                [WEB_NO_ASKED] = {404, "unknown_request"},
                [WEB_NO_FIT] = {409, "conflict"},
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

/* Wrong tokens hold up all who come with one, a right one, too: longer each time, a minute at most.
 * All of this machine is one peer. */
static bool is_held(struct web *w, struct http_answer *a)
{
    struct mono now = clk_mono(w->clk);
    int64_t left_ms = w->wrong.until.ms - now.ms;
    if (w->wrong.n > 0 && now.ms - w->wrong.last.ms > FORGET_MS)
        w->wrong.n = 0;
    if (w->wrong.n <= FREE || left_ms <= 0)
        return false;
    int64_t s = (left_ms + 999) / 1000;
    web_refuse(a, WEB_NO_RATE,
               "too many wrong tokens came from this machine: try again in %" PRId64 " s", s);
    http_answer_header(a, "Retry-After", "%" PRId64, s);
    return true;
}

static void note_wrong(struct web *w)
{
    struct web_wrong *x = &w->wrong;
    x->last = clk_mono(w->clk);
    if (++x->n <= FREE)
        return;
    unsigned twice = x->n - FREE - 1;
    int64_t delay_ms = twice < 6 ? INT64_C(1000) << twice : DELAY_MAX_MS;
    x->until.ms = x->last.ms + (delay_ms < DELAY_MAX_MS ? delay_ms : DELAY_MAX_MS);
    if (twice <= 6) /* then it is told; the delay grows no more */
        store_event(w->store, STORE_WARNING, "token.wrong", NULL,
                    "%u wrong tokens at the API of this machine; the next is looked at in %" PRId64
                    " s",
                    x->n, delay_ms / 1000);
}

/* The token of "Authorization: Bearer TOKEN"; NULL: there is none. */
static const char *bearer(const struct http_request *q)
{
    const char *text = http_header(q, "Authorization");
    if (!text || strncasecmp(text, "Bearer ", 7) != 0)
        return NULL;
    text += 7;
    return text + strspn(text, " ");
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

bool web_allows(struct web *w, const struct http_request *q, enum web_scope scope,
                struct web_token *who, struct http_answer *a)
{
    struct web_tokens all;
    struct err e;
    if (!web_is_here(q->peer)) {
        web_refuse(
            a, WEB_NO_PEER,
            "tokens are taken from this machine alone (127.0.0.1, ::1), for this page has no "
            "TLS: come through ssh -L");
        return false;
    }
    const char *text = bearer(q);
    if (!text) {
        web_refuse(
            a, WEB_NO_TOKEN,
            "a token is needed: Authorization: Bearer TOKEN; `fieldpost token add` makes one");
        return false;
    }
    if (is_held(w, a))
        return false;
    if (web_tokens_read(store_path(w->store), &all, &e) != ST_OK) {
        web_refuse(a, WEB_NO_STORE, "no token can be checked: %s", e.text);
        return false;
    }
    const struct web_token *t = web_token_find(&all, text);
    if (!t) {
        note_wrong(w);
        web_refuse(a, WEB_NO_SUCH_TOKEN,
                   "this is no token of this gateway, or it was removed: `fieldpost token list` "
                   "names those that count");
        return false;
    }
    if (!is_current(w, t, a) || !has_scope(t, scope, a))
        return false;
    *who = *t;
    return true;
}
