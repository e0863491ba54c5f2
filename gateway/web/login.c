/* Signing in and out, the first administrator, and one's own password. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/id.h"
#include "gateway/web/web_int.h"

#define COOKIE WEB_COOKIE "=%s; Path=/; HttpOnly; Secure; SameSite=Strict"

/* A browser that sends for another site says so. */
static bool from_elsewhere(const struct http_request *q, struct http_answer *a)
{
    const char *origin = http_header(q, "Origin"), *host = http_header(q, "Host");
    if (!origin || (host && strncmp(origin, "https://", 8) == 0 && strcmp(origin + 8, host) == 0))
        return false;
    web_refuse(a, WEB_NO_CSRF, "this came from the page of another site");
    return true;
}

bool web_words(const struct http_request *q, void **json, const struct web_word *w,
               struct http_answer *a)
{
    struct err e;
    *json = NULL;
    if (!web_is_json(q)) {
        web_refuse(a, WEB_NO_TYPE, "the body is JSON: say Content-Type: application/json");
        return false;
    }
    enum st st = web_words_read(json, w, q->body, q->body_n, &e);
    if (st != ST_OK)
        web_refuse(a, st == ST_BAD ? WEB_NO_JSON : WEB_NO_REQUEST, "%s", e.text);
    return st == ST_OK;
}

static void answer(struct http_answer *a, const struct web_user *u, const char *id)
{
    struct web_json j;
    char csrf[2 * WIRE_HASH_BYTES + 1];
    web_csrf(id, csrf);
    web_answer_begin(a, &j);
    web_json_text(&j, "name", u->name);
    web_json_text(&j, "role", web_role_text[u->role]);
    web_json_text(&j, "csrf", csrf);
    web_answer_end(a, &j, 200);
}

static void begin(struct web *w, const struct http_request *q, const struct web_user *u,
                  struct http_answer *a)
{
    char id[WEB_SESSION_HEX + 1];
    struct err e;
    if (web_session_begin(w->door->session, u, clk_mono(w->clk), id, &e) != ST_OK) {
        web_refuse(a, WEB_NO_STORE, "%s", e.text);
        return;
    }
    web_holds_right(&w->door->holds, u->name, q->peer, clk_mono(w->clk));
    store_event(w->store, STORE_INFO, "session.begin", u->name, "signed in from %s as %s", q->peer,
                web_role_text[u->role]);
    answer(a, u, id);
    http_answer_header(a, "Set-Cookie", COOKIE, id);
    explicit_bzero(id, sizeof id);
}

/* true: the answer is made. */
static bool is_held(struct web *w, const struct http_request *q, const char *name,
                    struct http_answer *a)
{
    int64_t left_ms = web_holds_left(&w->door->holds, name, q->peer, clk_mono(w->clk));
    if (left_ms <= 0)
        return false;
    web_refuse_rate(a, "wrong passwords were tried", left_ms);
    return true;
}

/* Counted before it is known, so that many at once are not better than one behind the other; what
 * was right is forgiven. */
static void count(struct web *w, const struct http_request *q, const char *name)
{
    int64_t delay_ms = web_holds_wrong(&w->door->holds, name, q->peer, clk_mono(w->clk));
    if (delay_ms > 0 && delay_ms < WEB_HOLD_MAX_MS) /* behind that it grows no more */
        store_event(w->store, STORE_WARNING, "session.wrong", name,
                    "many sign-ins failed, the last from %s; the next is looked at in %" PRId64
                    " s",
                    q->peer, delay_ms / 1000);
    if (delay_ms > 0)
        web_change_locked(w, name, delay_ms);
}

/* ---- signing in ---- */

static void wrong(struct http_answer *a)
{
    web_refuse(a, WEB_NO_PASSWORD, "name or password is wrong");
}

/* The password that came, to be hashed as that of the user; nobody's takes as long. */
static bool work_of(const struct web *w, const struct web_user *u, const char *password,
                    struct web_work *x, struct err *e)
{
    if (u) {
        x->secret = u->secret;
    } else {
        if (web_secret_new(&x->secret, e) != ST_OK)
            return false;
        memcpy(x->secret.salt, w->door->nobody, sizeof x->secret.salt);
    }
    (void)snprintf(x->password, sizeof x->password, "%s", password);
    return true;
}

static void sign_in(struct web *w, const struct http_request *q, const char *name,
                    const char *password, struct http_answer *a)
{
    struct web_users all;
    struct web_work x = {.password = ""};
    struct err e;
    const struct web_job *j;
    bool asked = q->later->job != NULL;
    if (!asked && is_held(w, q, name, a))
        return;
    if (web_users_read(store_path(w->store), &all, &e) != ST_OK) {
        web_refuse(a, WEB_NO_STORE, "%s", e.text);
        return;
    }
    const struct web_user *u = web_user_find(&all, name);
    if (!work_of(w, u, password, &x, &e)) {
        web_refuse(a, WEB_NO_STORE, "%s", e.text);
        return;
    }
    j = web_hash(&w->door->hasher, q, &x, 1, a);
    explicit_bzero(&x, sizeof x);
    if (!j && !asked && q->later->waits)
        count(w, q, name);
    if (!j)
        return;
    const struct web_secret *got = &j->work[0].secret;
    bool same = u && wire_same(got->salt, u->secret.salt, sizeof got->salt) &&
                wire_same(got->hash, u->secret.hash, sizeof got->hash);
    if (same)
        begin(w, q, u, a);
    else
        wrong(a);
}

void web_api_sign_in(void *web, const struct http_request *q, struct http_answer *a)
{
    const char *name = NULL, *password = NULL;
    const struct web_word w[] = {{"name", &name, NULL, true},
                                 {"password", &password, NULL, true},
                                 {NULL, NULL, NULL, false}};
    void *json = NULL;
    if (!from_elsewhere(q, a) && web_words(q, &json, w, a)) {
        if (!id_is_text(name) || strlen(password) > WEB_PASSWORD_MAX)
            wrong(a); /* nobody's */
        else
            sign_in(web, q, name, password, a);
    }
    web_words_done(json);
}

/* ---- who is signed in ---- */

static bool nobody_yet(struct web *w)
{
    struct web_users all;
    return web_users_read(store_path(w->store), &all, NULL) == ST_OK && all.n == 0;
}

void web_api_session(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    char id[WEB_SESSION_HEX + 1];
    struct web_session *s;
    struct web_user u;
    struct err e;
    struct web_json j;
    if (web_signed_in(w, q, id, &s, &u, &e)) {
        answer(a, &u, id);
        return;
    }
    if (!nobody_yet(w)) {
        web_refuse(a, WEB_NO_SESSION, "%s", e.text);
        return;
    }
    web_answer_begin(a, &j);
    web_json_text(&j, "type", "about:blank");
    web_json_int(&j, "status", 401);
    web_json_text(&j, "code", "no_session");
    web_json_text(&j, "detail",
                  "there is no user yet: `fieldpost user claim` on the gateway prints a code");
    web_json_bool(&j, "first", true);
    web_answer_end(a, &j, 401);
    if (a->status == 401)
        a->content_type = "application/problem+json";
}

void web_api_sign_out(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    char id[WEB_SESSION_HEX + 1];
    struct web_session *s;
    struct web_user u;
    struct web_who who;
    struct err e;
    if (!web_allows(w, q, &who, a))
        return;
    if (web_signed_in(w, q, id, &s, &u, &e))
        web_session_end(s);
    a->status = 204;
    http_answer_header(a, "Set-Cookie", COOKIE "; Max-Age=0", "");
    http_answer_header(a, "Cache-Control", "no-store");
}

/* ---- the first administrator ---- */

static bool claim_is_good(struct web *w, const struct http_request *q, const char *code,
                          struct http_answer *a)
{
    struct err e;
    enum st st = web_claim_check(store_path(w->store), code, &e);
    if (st == ST_OK) /* one that is right never waits for wrong ones */
        return true;
    if (st == ST_REFUSED || st == ST_IO) {
        web_refuse(a, WEB_NO_STORE, "%s", e.text);
        return false;
    }
    if (is_held(w, q, "", a))
        return false;
    count(w, q, "");
    web_refuse(a, WEB_NO_CODE, "%s", e.text);
    return false;
}

static enum st make_first(struct web *w, const struct http_request *q, const char *code,
                          const char *name, const struct web_secret *s, struct web_users *all,
                          struct err *e)
{
    const char *store = store_path(w->store);
    const enum web_role role = WEB_ADMINISTRATOR;
    const struct web_user_put p = {.name = name,
                                   .role = &role,
                                   .secret = s,
                                   .how = WEB_USER_SET,
                                   .from = q->peer,
                                   .claim = code};
    ERR_TRY(web_user_put(store, &p, "the claim code", clk_now(w->clk), e));
    return web_users_read(store, all, e);
}

static void first(struct web *w, const struct http_request *q, const char *code, const char *name,
                  const char *password, struct http_answer *a)
{
    struct web_work x = {.password = ""};
    struct web_users all;
    struct err e = {.text = "there is no such user any more"};
    if (!claim_is_good(w, q, code, a))
        return;
    if (!id_is_text(name) || web_password_check(password, name, &e) != ST_OK) {
        web_refuse(a, WEB_NO_REQUEST, "%s",
                   id_is_text(name) ? e.text : "name: 1 to 64 letters, digits, dots, _ and -");
        return;
    }
    enum st st = web_secret_new(&x.secret, &e);
    (void)snprintf(x.password, sizeof x.password, "%s", password);
    const struct web_job *j = st == ST_OK ? web_hash(&w->door->hasher, q, &x, 1, a) : NULL;
    explicit_bzero(&x, sizeof x);
    if (!j && st == ST_OK)
        return;
    if (st == ST_OK)
        st = make_first(w, q, code, name, &j->work[0].secret, &all, &e);
    const struct web_user *u = st == ST_OK ? web_user_find(&all, name) : NULL;
    if (u)
        begin(w, q, u, a);
    else
        web_refuse_change(a, st == ST_OK ? ST_IO : st, WEB_NO_CODE, &e);
}

void web_api_first(void *web, const struct http_request *q, struct http_answer *a)
{
    const char *code = NULL, *name = NULL, *password = NULL;
    const struct web_word w[] = {{"code", &code, NULL, true},
                                 {"name", &name, NULL, true},
                                 {"password", &password, NULL, true},
                                 {NULL, NULL, NULL, false}};
    void *json = NULL;
    if (!from_elsewhere(q, a) && web_words(q, &json, w, a))
        first(web, q, code, name, password, a);
    web_words_done(json);
}

/* ---- one's own password ---- */

static void change(struct web *w, const struct http_request *q, const struct web_user *u,
                   const char *old, const char *password, struct http_answer *a)
{
    struct web_work x[2] = {{.secret = u->secret}};
    struct web_user now = *u;
    struct err e;
    bool asked = q->later->job != NULL;
    if (!asked && is_held(w, q, u->name, a))
        return;
    if (web_password_check(password, u->name, &e) != ST_OK) {
        web_refuse(a, WEB_NO_REQUEST, "%s", e.text);
        return;
    }
    enum st st = web_secret_new(&x[1].secret, &e);
    (void)snprintf(x[0].password, sizeof x[0].password, "%s", old);
    (void)snprintf(x[1].password, sizeof x[1].password, "%s", password);
    const struct web_job *j = st == ST_OK ? web_hash(&w->door->hasher, q, x, 2, a) : NULL;
    explicit_bzero(x, sizeof x);
    if (!j && st == ST_OK && !asked && q->later->waits)
        count(w, q, u->name);
    if (!j && st == ST_OK)
        return;
    if (st == ST_OK && !wire_same(j->work[0].secret.hash, u->secret.hash, WIRE_HASH_BYTES)) {
        wrong(a);
        return;
    }
    if (st == ST_OK) {
        now.secret = j->work[1].secret;
        const struct web_user_put p = {
            .name = u->name, .secret = &now.secret, .how = WEB_USER_CHANGE};
        st = web_user_put(store_path(w->store), &p, u->name, clk_now(w->clk), &e);
    }
    if (st == ST_OK)
        begin(w, q, &now, a); /* every session of the old password is over */
    else
        web_refuse_change(a, st, WEB_NO_SESSION, &e);
}

void web_api_password(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    const char *old = NULL, *password = NULL;
    const struct web_word want[] = {
        {"password", &old, NULL, true}, {"new", &password, NULL, true}, {NULL, NULL, NULL, false}};
    char id[WEB_SESSION_HEX + 1];
    struct web_session *s;
    struct web_user u;
    struct web_who who;
    struct err e;
    void *json = NULL;
    if (!web_allows(w, q, &who, a))
        return;
    if (!web_signed_in(w, q, id, &s, &u, &e))
        web_refuse(a, WEB_NO_SESSION, "%s", e.text);
    else if (web_words(q, &json, want, a))
        change(w, q, &u, old, password, a);
    web_words_done(json);
}
