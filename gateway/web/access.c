/* Who may do what: asked once for every request, before any of its body is read, and again by those
 * handlers that want to know who it is. What the table does not name takes most. */
#include "gateway/web/web_int.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TURNS 20 /* of the hasher's, a minute */

enum how { BY_ANYBODY, BY_SESSION, BY_TOKEN }; /* BY_TOKEN: or by session */

struct row {
    const char *method, *pattern;
    enum how how;
    enum web_role role;   /* the least */
    enum web_scope scope; /* WEB_SCOPES: any */
};
static const struct row rows[] = {
    {"GET", "/healthz", BY_ANYBODY, 0, 0},
    {"POST", "/api/v1/session", BY_ANYBODY, 0, 0},
    {"GET", "/api/v1/session", BY_ANYBODY, 0, 0},
    {"POST", "/api/v1/first", BY_ANYBODY, 0, 0},
    {"DELETE", "/api/v1/session", BY_SESSION, WEB_VIEWER, 0},
    {"POST", "/api/v1/password", BY_SESSION, WEB_VIEWER, 0},
    {"POST", "/api/v1/corrections", BY_TOKEN, WEB_TECHNICIAN, WEB_CORRECT},
    {"POST", "/api/v1/maintenance", BY_TOKEN, WEB_TECHNICIAN, WEB_MAINTAIN},
    {"POST", "/api/v1/retirements", BY_TOKEN, WEB_TECHNICIAN, WEB_RETIRE},
    {"POST", "/api/v1/slips", BY_TOKEN, WEB_TECHNICIAN, WEB_ENTER},
    {"POST", "/api/v1/readings", BY_TOKEN, WEB_TECHNICIAN, WEB_PUSH},
    {"GET", "/api/v1/requests/{id}", BY_TOKEN, WEB_VIEWER, WEB_SCOPES},
    {"POST", "/api/v1/buses/{bus}/units/{unit}/probe", BY_TOKEN, WEB_TECHNICIAN, WEB_PROBE},
    {"POST", "/api/v1/alarms/{alarm}/acknowledgement", BY_SESSION, WEB_TECHNICIAN, 0},
    {"GET", "/metrics", BY_TOKEN, WEB_VIEWER, WEB_METRICS},
    {"GET", "/api/v1/messages", BY_SESSION, WEB_TECHNICIAN, 0},
    {"GET", "/api/v1/users", BY_SESSION, WEB_ADMINISTRATOR, 0},
    {"GET", "/api/v1/tokens", BY_SESSION, WEB_ADMINISTRATOR, 0},
    {"POST", "/api/v1/position", BY_SESSION, WEB_TECHNICIAN, 0},
};
static const struct row to_read = {"GET", "", BY_TOKEN, WEB_VIEWER, WEB_READ};
static const struct row to_change = {"", "", BY_SESSION, WEB_ADMINISTRATOR, 0};
static const struct row free_page = {"GET", "", BY_ANYBODY, 0, 0};

static const struct row *row_of(const struct http_route *r)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].method, r->method) == 0 && strcmp(rows[i].pattern, r->pattern) == 0)
            return &rows[i];
    if (web_is_page(r))
        return &free_page;
    return strcmp(r->method, "GET") == 0 ? &to_read : &to_change;
}

/* ---- the Host ---- */

/* The host in "host:port", "[address]:port". */
static bool host_of(const char *text, char host[128])
{
    size_t n;
    if (*text == '[') {
        n = strcspn(++text, "]");
        if (text[n] != ']' || (text[n + 1] != '\0' && text[n + 1] != ':'))
            return false;
    } else {
        n = strcspn(text, ":");
    }
    if (n == 0 || n >= 128)
        return false;
    memcpy(host, text, n);
    host[n] = '\0';
    return true;
}

/* A page of another site may resolve its own name to this machine (DNS rebinding). An address is
 * nobody's name, and the certificate's names are ours. */
static bool is_ours(struct web *w, const char *host_port)
{
    struct web_door *d = w->door;
    char host[128];
    uint8_t address[16];
    if (!host_port || !host_of(host_port, host))
        return false;
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return true;
    pthread_mutex_lock(&d->lock);
    bool is = web_names_have(&d->names, host);
    pthread_mutex_unlock(&d->lock);
    return is;
}

static bool host_is_ours(struct web *w, const struct http_request *q, struct http_answer *a)
{
    if (is_ours(w, http_header(q, "Host")))
        return true;
    http_problem(a, 421, "wrong_host",
                 "this page answers to its addresses and its own names only: web.names adds one",
                 NULL, NULL);
    return false;
}

/* ---- sessions ---- */

/* What the page asks by itself is no use, or a tab that somebody left open would be one for ever:
 * it says so, but for the live stream, whose headers are the browser's. */
static bool is_use(const struct http_request *q)
{
    return q->route->handle != web_api_live && !http_header(q, "X-Unasked");
}

bool web_signed_in(struct web *w, const struct http_request *q, char id[WEB_SESSION_HEX + 1],
                   struct web_session **s, struct web_user *u, struct err *e)
{
    *s = NULL;
    err_set(e, ST_NOT_FOUND, "sign in again: the session has ended");
    if (!web_cookie_read(http_header(q, "Cookie"), id))
        return false;
    *s = web_session_find(w->door->session, id, clk_mono(w->clk), is_use(q));
    if (!*s || !web_session_user(w, *s, u, e))
        return false;
    web_address_hash(&w->door->holds, q->peer, (*s)->peer);
    return true;
}

/* A page of another site can make a browser send the cookie, but cannot know this. */
static bool csrf_is_good(const struct http_request *q, const char *id)
{
    char want[2 * WIRE_HASH_BYTES + 1];
    const char *said = http_header(q, "X-CSRF-Token");
    web_csrf(id, want);
    return said && strlen(said) == strlen(want) &&
           wire_same((const uint8_t *)said, (const uint8_t *)want, strlen(want));
}

static bool session_allows(struct web *w, const struct http_request *q, const struct row *row,
                           struct web_who *who, struct http_answer *a)
{
    char id[WEB_SESSION_HEX + 1];
    struct web_session *s;
    struct web_user u;
    struct err e;
    if (!http_header(q, "Cookie")) {
        web_refuse(a, WEB_NO_TOKEN,
                   "sign in, or send a token: Authorization: Bearer TOKEN (`fieldpost token add` "
                   "makes one)");
        return false;
    }
    if (!web_signed_in(w, q, id, &s, &u, &e)) {
        web_refuse(a, WEB_NO_SESSION, "%s", e.text);
        return false;
    }
    if (strcmp(q->route->method, "GET") != 0 && !csrf_is_good(q, id)) {
        web_refuse(a, WEB_NO_CSRF, "the header X-CSRF-Token must say what the sign-in answered");
        return false;
    }
    if (u.role < row->role) {
        web_refuse(a, WEB_NO_ROLE, "this takes the role %s, and %s is %s", web_role_text[row->role],
                   u.name, web_role_text[u.role]);
        return false;
    }
    (void)snprintf(who->name, sizeof who->name, "%s", u.name);
    who->pass = (struct web_pass){.by = WEB_BY_SESSION, .role = u.role};
    memcpy(who->pass.hash, s->id, sizeof s->id);
    return true;
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

bool web_allows(struct web *w, const struct http_request *q, struct web_who *who,
                struct http_answer *a)
{
    const struct row *row = row_of(q->route);
    const char *token = bearer(q);
    *who = (struct web_who){.name = ""};
    if (!host_is_ours(w, q, a))
        return false;
    if (row->how == BY_ANYBODY)
        return true;
    if (token && row->how != BY_TOKEN) {
        web_refuse(a, WEB_NO_SCOPE, "no token may do this: it takes a person who signs in");
        return false;
    }
    return token ? web_token_allows(w, q, token, row->scope, who, a)
                 : session_allows(w, q, row, who, a);
}

bool web_admit(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web_who who;
    return web_allows(web, q, &who, a);
}

/* ---- open and close ---- */

void web_trouble(struct web *w, enum web_trouble which, const char *text)
{
    static const char *const code[WEB_TROUBLES] = {[WEB_TROUBLE_MAKE] = "page.certificate",
                                                   [WEB_TROUBLE_USE] = "page.certificate",
                                                   [WEB_TROUBLE_ASK] = "page.certificate",
                                                   [WEB_TROUBLE_TELL] = "page.certificate",
                                                   [WEB_TROUBLE_CHANGE] = "change.untold"};
    char *said = w->door->troubles[which];
    if (text && strncmp(said, text, WEB_TROUBLE_TEXT - 1) != 0)
        store_event(w->store, STORE_WARNING, code[which], NULL, "%s", text);
    (void)snprintf(said, WEB_TROUBLE_TEXT, "%s", text ? text : "");
}

static void renew(struct web *w)
{
    struct err e;
    bool made;
    enum st st = web_tls_ready(w, &made, &e);
    web_trouble(w, WEB_TROUBLE_MAKE, st == ST_OK ? NULL : e.text);
    st = web_change_settle(store_path(w->store), &e);
    if (st != ST_BUSY) /* whoever has the lock settles it */
        web_trouble(w, WEB_TROUBLE_CHANGE, st == ST_OK ? NULL : e.text);
}

/* Each minute, and at once when the server took up other files, the city has answered or its
 * certificate is due. */
static void often(void *web)
{
    struct web *w = web;
    bool taken = atomic_exchange(&w->door->taken_up, false);
    if (w->door->turn++ % TURNS == 0 || taken || web_vouched_waits(w))
        renew(w);
}

enum st web_door_open(struct web *w, const struct web_cfg *cfg, struct err *e)
{
    struct web_door *d = calloc(1, sizeof *d);
    bool made;
    w->door = d;
    if (!d)
        return err_set(e, ST_MEMORY, "web: no memory");
    pthread_mutex_init(&d->lock, NULL);
    d->cfg = *cfg;
    d->vouched_due_ms = INT64_MAX;
    ERR_TRY(wire_random(d->holds.seed, sizeof d->holds.seed, e));
    ERR_TRY(wire_random(d->nobody, sizeof d->nobody, e));
    ERR_TRY(web_console_make(store_path(w->store), d->console, e));
    ERR_TRY(web_tls_ready(w, &made, e));
    return web_hasher_open(&d->hasher, often, w, e);
}

void web_door_stop(struct web *w)
{
    if (w->door)
        web_hasher_close(&w->door->hasher);
}

void web_door_close(struct web *w)
{
    if (!w->door)
        return;
    web_hasher_done(&w->door->hasher);
    pthread_mutex_destroy(&w->door->lock);
    explicit_bzero(w->door, sizeof *w->door);
    free(w->door);
    w->door = NULL;
}
