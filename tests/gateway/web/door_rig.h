/* A made-up site whose door is asked over HTTPS, with the gateway's own certificate and an injected
 * clock. Header only. */
#ifndef TESTS_GATEWAY_WEB_DOOR_RIG_H
#define TESTS_GATEWAY_WEB_DOOR_RIG_H

#include <jansson.h>

#include "gateway/web/web_int.h"
#include "tests/gateway/web/site.h"

#define SESSION "/api/v1/session"
#define FORM "{\"code\":\"%s\",\"name\":\"%s\",\"password\":\"%s\"}"
#define PASSWORD "trà đá vỉa hè"

static struct site site;
static struct http_client *client;
static struct http_reply reply;

static int start(void **state)
{
    (void)state;
    site_open(&site, "127.0.0.1:0");
    const struct http_client_cfg cfg = {.ca = site.cert,
                                        .connect_ms = 5000,
                                        .total_ms = 120000,
                                        .max_answer = 1 << 20,
                                        .user_agent = "test"};
    SITE_TRY(http_client_open(&client, &cfg, e));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    buf_done(&reply.body);
    http_client_close(client);
    site_close(&site);
    return 0;
}

/* Everything as at the beginning, but for the users. */
static int fresh(void **state)
{
    (void)state;
    struct web_door *d = site.web->door;
    site.back_ms = 0;
    site.clk.now = site_now;
    memset(d->session, 0, sizeof d->session);
    memset(d->holds.name, 0, sizeof d->holds.name);
    memset(d->holds.address, 0, sizeof d->holds.address);
    memset(d->holds.known, 0, sizeof d->holds.known);
    for (enum web_role r = WEB_VIEWER; r < WEB_ROLES; r++)
        site_user(&site, web_role_text[r], r, PASSWORD);
    return 0;
}

static int ask_by(struct http_client *c, struct http_reply *r, const char *method, const char *path,
                  const char *cookie, const char *more, const char *body)
{
    char url[256], cookies[256] = "X-None: 1";
    if (cookie)
        snprintf(cookies, sizeof cookies, "Cookie: %s", cookie);
    const char *headers[] = {cookies, more ? more : "X-None: 2", "Content-Type: application/json",
                             NULL};
    snprintf(url, sizeof url, "https://127.0.0.1:%u%s", web_port(site.web), path);
    const struct http_call call = {.method = method,
                                   .url = url,
                                   .headers = headers,
                                   .body = body,
                                   .body_n = body ? strlen(body) : 0};
    r->body.n = 0;
    SITE_TRY(http_client_do(c, &call, -1, r, e));
    return r->status;
}

static int ask(const char *method, const char *path, const char *cookie, const char *more,
               const char *body)
{
    return ask_by(client, &reply, method, path, cookie, more, body);
}

static inline const char *said(const char *key)
{
    static char text[512];
    json_t *j = json_loadb((const char *)reply.body.p, reply.body.n, 0, NULL);
    const char *s = json_string_value(json_object_get(j, key));
    snprintf(text, sizeof text, "%s", s ? s : "(none)");
    json_decref(j);
    return text;
}

static inline void sees(int status, const char *code)
{
    assert_string_equal(reply.status >= 400 ? said("code") : "", code);
    assert_int_equal(reply.status, status);
}

/* The server is idle meanwhile: the session is begun as it would. */
static inline void sign_in(const char *name, char cookie[128], char csrf[128])
{
    struct web_users all;
    char id[WEB_SESSION_HEX + 1], hex[2 * WIRE_HASH_BYTES + 1];
    SITE_TRY(web_users_read(site.path, &all, e));
    const struct web_user *u = web_user_find(&all, name);
    assert_non_null(u);
    SITE_TRY(web_session_begin(site.web->door->session, u, site_mono(&site), id, e));
    snprintf(cookie, 128, "__Host-fp_session=%s", id);
    web_csrf(id, hex);
    snprintf(csrf, 128, "X-CSRF-Token: %s", hex);
}

#endif
