/* What an administrator does with users and tokens. Each change is an event that names him. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/id.h"
#include "gateway/web/web_int.h"

#define DAY_MS INT64_C(86400000)
#define DAYS_MAX 36500

/* ---- users ---- */

static void put_user(struct web_json *j, const struct web_user *u)
{
    web_json_text(j, "name", u->name);
    web_json_text(j, "role", web_role_text[u->role]);
    web_json_int(j, "made_ms", u->made_ms);
}

void web_api_users(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    struct web_users all;
    struct web_json j;
    struct err e;
    (void)q;
    if (web_users_read(store_path(w->store), &all, &e) != ST_OK) {
        web_refuse(a, WEB_NO_STORE, "%s", e.text);
        return;
    }
    web_answer_begin(a, &j);
    web_json_open(&j, "users", '[');
    for (size_t i = 0; i < all.n; i++) {
        web_json_open(&j, NULL, '{');
        put_user(&j, &all.v[i]);
        web_json_close(&j, '}');
    }
    web_json_close(&j, ']');
    web_answer_end(a, &j, 200);
}

/* Writes the user, once its password, if there is a new one, is hashed. */
static void change(struct web *w, const struct http_request *q, struct web_user_put *p,
                   const char *password, const char *by, struct http_answer *a)
{
    struct web_work x = {.password = ""};
    struct web_users all;
    struct web_json j;
    struct err e = {.text = "there is no such user any more"};
    enum st st = ST_OK;
    if (password) {
        st = web_password_check(password, p->name, &e);
        if (st == ST_OK)
            st = web_secret_new(&x.secret, &e);
        (void)snprintf(x.password, sizeof x.password, "%s", password);
        const struct web_job *job = st == ST_OK ? web_hash(&w->door->hasher, q, &x, 1, a) : NULL;
        explicit_bzero(&x, sizeof x);
        if (st == ST_OK && !job)
            return;
        p->secret = job ? &job->work[0].secret : NULL;
    }
    if (st == ST_OK)
        st = web_user_put(store_path(w->store), p, by, clk_now(w->clk), &e);
    if (st == ST_OK)
        st = web_users_read(store_path(w->store), &all, &e);
    const struct web_user *u = st == ST_OK ? web_user_find(&all, p->name) : NULL;
    if (!u) {
        web_refuse_change(a, st == ST_OK ? ST_NOT_FOUND : st, WEB_NO_USER, &e);
        return;
    }
    web_answer_begin(a, &j);
    put_user(&j, u);
    web_answer_end(a, &j, p->how == WEB_USER_ADD ? 201 : 200);
}

/* name NULL: it stands in the body. */
static void user(struct web *w, const struct http_request *q, const char *name,
                 struct http_answer *a)
{
    const char *said = NULL, *role = NULL, *password = NULL;
    const bool add = !name;
    const struct web_word all[] = {{"name", &said, NULL, true},
                                   {"role", &role, NULL, add},
                                   {"password", &password, NULL, add},
                                   {NULL, NULL, NULL, false}};
    struct web_who who;
    enum web_role is = WEB_VIEWER;
    void *json = NULL;
    if (!web_allows(w, q, &who, a))
        return;
    bool good = web_words(q, &json, add ? all : all + 1, a);
    if (good && role && !web_role_parse(role, &is)) {
        web_refuse(a, WEB_NO_REQUEST, "role: viewer, technician or administrator");
        good = false;
    }
    if (good && !role && !password) {
        web_refuse(a, WEB_NO_REQUEST, "role, password, or both");
        good = false;
    }
    struct web_user_put p = {.name = add ? said : name,
                             .role = role ? &is : NULL,
                             .how = add ? WEB_USER_ADD : WEB_USER_CHANGE};
    if (good)
        change(w, q, &p, password, who.name, a);
    web_words_done(json);
}

void web_api_user_add(void *web, const struct http_request *q, struct http_answer *a)
{
    user(web, q, NULL, a);
}

void web_api_user_set(void *web, const struct http_request *q, struct http_answer *a)
{
    user(web, q, q->param[0], a);
}

static void gone(struct http_answer *a, enum st st, enum web_no missing, const struct err *e)
{
    if (st != ST_OK) {
        web_refuse_change(a, st, missing, e);
        return;
    }
    a->status = 204;
    http_answer_header(a, "Cache-Control", "no-store");
}

void web_api_user_remove(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    struct web_who who;
    struct err e;
    if (!web_allows(w, q, &who, a))
        return;
    gone(a,
         web_user_remove(store_path(w->store), q->param[0], false, who.name, clk_now(w->clk), &e),
         WEB_NO_USER, &e);
}

/* ---- tokens ---- */

static void put_token(struct web_json *j, const struct web_token *t)
{
    char scopes[WEB_SCOPES_TEXT];
    web_scopes_print(t->scopes, scopes);
    web_json_text(j, "name", t->name);
    web_json_text(j, "scopes", scopes);
    web_json_int(j, "made_ms", t->made_ms);
    if (t->ends_ms)
        web_json_int(j, "ends_ms", t->ends_ms);
    else
        web_json_text(j, "ends_ms", NULL);
}

void web_api_tokens(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    struct web_tokens all;
    struct web_json j;
    struct err e;
    (void)q;
    if (web_tokens_read(store_path(w->store), &all, &e) != ST_OK) {
        web_refuse(a, WEB_NO_STORE, "%s", e.text);
        return;
    }
    web_answer_begin(a, &j);
    web_json_open(&j, "tokens", '[');
    for (size_t i = 0; i < all.n; i++) {
        web_json_open(&j, NULL, '{');
        put_token(&j, &all.v[i]);
        web_json_close(&j, '}');
    }
    web_json_close(&j, ']');
    web_answer_end(a, &j, 200);
}

static bool token_of(const struct clk_time now, const char *name, const char *scopes, int64_t days,
                     struct web_token *t, struct err *e)
{
    *t = (struct web_token){.made_ms = now.utc_ms};
    if (!id_is_text(name) || !web_scopes_parse(scopes, &t->scopes)) {
        err_set(e, ST_BAD, "name: letters, digits, dots, _ and -; scopes: such as read,push");
        return false;
    }
    if (days < 0 || days > DAYS_MAX) {
        err_set(e, ST_BAD, "days: 1 to %d", DAYS_MAX);
        return false;
    }
    if (days > 0 && now.grade == CLK_UNKNOWN) {
        err_set(e, ST_BAD, "the clock is not set, so no end can be reckoned: leave days out");
        return false;
    }
    (void)snprintf(t->name, sizeof t->name, "%s", name);
    t->ends_ms = days > 0 ? now.utc_ms + days * DAY_MS : 0;
    return true;
}

void web_api_token_add(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    const char *name = NULL, *scopes = NULL;
    int64_t days = 0;
    const struct web_word want[] = {{"name", &name, NULL, true},
                                    {"scopes", &scopes, NULL, true},
                                    {"days", NULL, &days, false},
                                    {NULL, NULL, NULL, false}};
    char text[WEB_TOKEN_TEXT];
    struct web_token t;
    struct web_who who;
    struct web_json j;
    struct err e;
    void *json = NULL;
    if (!web_allows(w, q, &who, a))
        return;
    if (web_words(q, &json, want, a)) {
        enum st st =
            token_of(clk_now(w->clk), name, scopes, days, &t, &e)
                ? web_token_add(store_path(w->store), &t, who.name, clk_now(w->clk), text, &e)
                : ST_BAD;
        if (st != ST_OK) {
            web_refuse_change(a, st, WEB_NO_TOKEN_OF, &e);
        } else {
            web_answer_begin(a, &j);
            put_token(&j, &t);
            web_json_text(&j, "token", text);
            web_answer_end(a, &j, 201);
            explicit_bzero(text, sizeof text);
        }
    }
    web_words_done(json);
}

void web_api_token_remove(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    struct web_who who;
    struct err e;
    if (!web_allows(w, q, &who, a))
        return;
    gone(a, web_token_remove(store_path(w->store), q->param[0], who.name, clk_now(w->clk), &e),
         WEB_NO_TOKEN_OF, &e);
}
