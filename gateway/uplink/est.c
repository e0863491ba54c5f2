/* The client of Enrolment over Secure Transport, and of the registration of batch keys. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway/uplink/enrol_int.h"

#define CALL_MS 30000
#define AUTH_BYTES 256

/* Nothing is kept here, or this city keeps no such thing. */
static bool is_none(const char *code)
{
    return strcmp(code, "no_config") == 0 || strcmp(code, "not_found") == 0;
}

/* Why this answer is none that helps. */
static enum st complain(const struct uplink_est *s, const struct http_reply *r, struct err *e)
{
    char code[UPLINK_CODE_BYTES] = "", detail[256] = "";
    const struct buf *b = &r->body;

    if (strncasecmp(r->content_type, "application/problem+json", 24) == 0 &&
        uplink_problem_member(b->p, b->n, "code", code, sizeof(code))) {
        (void)uplink_problem_member(b->p, b->n, "detail", detail, sizeof(detail));
        bool later = r->status == 429 || r->status >= 500;
        enum st st = later                               ? ST_BUSY
                     : strcmp(code, "code_used") == 0    ? ST_CONFLICT
                     : r->status == 404 && is_none(code) ? ST_NOT_FOUND
                                                         : ST_REFUSED;
        return err_set(e, st, "the city says no (%d %s): %s", r->status, code, detail);
    }
    if (r->status >= 300 && r->status < 400) {
        return err_set(e, ST_BAD,
                       "%s: redirects (%d), which is not followed: no city answers there", s->url,
                       r->status);
    }
    if (r->status == 503 || r->status == 502 || r->status == 504) {
        return err_set(e, ST_BUSY, "%s: answer %d: try again later", s->url, r->status);
    }
    return err_set(e, ST_BAD,
                   "%s: answer %d of type %.60s is none of a city's: see the url, or a portal that "
                   "wants a login",
                   s->url, r->status, r->content_type[0] ? r->content_type : "(none)");
}

/* One request; its body is in out. */
static enum st call(const struct uplink_est *s, struct http_call *c, const char *path,
                    const char *type, struct buf *out, struct err *e)
{
    const struct http_client_cfg cfg = {.ca = s->pin ? NULL : s->ca,
                                        .pin = s->pin,
                                        .cert = s->cert,
                                        .connect_ms = UPLINK_CONNECT_MS,
                                        .total_ms = CALL_MS,
                                        .max_answer = out->max,
                                        .user_agent = "fieldpost"};
    struct http_client *client = NULL;
    struct http_reply r = {.retry_after_s = -1};
    char url[UPLINK_URL_BYTES];
    ERR_TRY(uplink_url_put(url, s->url, e, "%s", path));
    c->url = url;
    buf_init(&r.body, out->max);
    enum st st = http_client_open(&client, &cfg, e);
    if (st == ST_OK) {
        st = http_client_do(client, c, s->stop_fd, &r, e);
    }
    if (st == ST_OK && ((r.status != 200 && r.status != 201) ||
                        strncasecmp(r.content_type, type, strlen(type)) != 0)) {
        st = complain(s, &r, e);
    }
    if (st == ST_OK && buf_put(out, r.body.p, r.body.n) != ST_OK) {
        st = err_set(e, ST_MEMORY, "no memory for an answer");
    }
    http_client_close(client);
    buf_done(&r.body);
    c->url = NULL;
    return st;
}

static enum st certs(const struct uplink_est *s, struct http_call *c, const char *path,
                     struct wire_certs *out, struct err *e)
{
    struct buf body;
    buf_init(&body, WIRE_EST_MAX);
    enum st st = call(s, c, path, "application/pkcs7-mime", &body, e);
    if (st == ST_OK) {
        st = wire_certs_open(out, body.p, body.n, e);
    }
    buf_done(&body);
    return st;
}

enum st uplink_est_get(const struct uplink_est *s, const char *path, const char *type,
                       struct buf *out, struct err *e)
{
    struct http_call c = {.method = "GET"};
    return call(s, &c, path, type, out, e);
}

enum st uplink_est_cacerts(const struct uplink_est *s, struct wire_certs *out, struct err *e)
{
    struct http_call c = {.method = "GET"};
    return certs(s, &c, "/.well-known/est/cacerts", out, e);
}

/* "Authorization: Basic …"; the code is in no message and nowhere else. */
static enum st basic(const char *gw, const char *code, char header[AUTH_BYTES], struct err *e)
{
    char plain[160];
    struct buf b;
    int n = snprintf(plain, sizeof(plain), "%s:%s", gw, code);
    buf_init(&b, AUTH_BYTES);
    enum st st = n > 0 && (size_t)n < sizeof(plain) ? wire_base64(plain, (size_t)n, &b) : ST_FULL;
    if (st == ST_OK) {
        (void)snprintf(header, AUTH_BYTES, "Authorization: Basic %.*s", (int)b.n,
                       (const char *)b.p);
    } else {
        err_set(e, st, "the claim code is too long");
    }
    explicit_bzero(plain, sizeof(plain));
    buf_wipe(&b);
    return st;
}

enum st uplink_est_enroll(const struct uplink_est *s, const struct buf *csr, const char *code,
                          struct wire_certs *out, struct err *e)
{
    char auth[AUTH_BYTES];
    const char *headers[] = {"Content-Type: application/pkcs10",
                             "Content-Transfer-Encoding: base64", NULL, NULL};
    struct http_call c = {.method = "POST", .body = csr->p, .body_n = csr->n, .headers = headers};
    if (!code) {
        return certs(s, &c, "/.well-known/est/simplereenroll", out, e);
    }
    ERR_TRY(basic(s->gw, code, auth, e));
    headers[2] = auth;
    enum st st = certs(s, &c, "/.well-known/est/simpleenroll", out, e);
    explicit_bzero(auth, sizeof(auth));
    return st;
}

enum st uplink_est_page(const struct uplink_est *s, const struct buf *csr, struct wire_certs *out,
                        struct err *e)
{
    static const char *const headers[] = {"Content-Type: application/pkcs10",
                                          "Content-Transfer-Encoding: base64", NULL};
    struct http_call c = {.method = "POST", .body = csr->p, .body_n = csr->n, .headers = headers};
    return certs(s, &c, "/.well-known/est/page/simpleenroll", out, e);
}

enum st uplink_est_bind(const struct uplink_est *s, const struct buf *proof, struct buf *out,
                        struct err *e)
{
    static const char *const headers[] = {
        "Content-Type: application/cose; cose-type=\"cose-sign1\"", NULL};
    char path[128];
    struct http_call c = {
        .method = "PUT", .body = proof->p, .body_n = proof->n, .headers = headers};
    (void)snprintf(path, sizeof(path), "/v1/gateways/%s/keys", s->gw);
    return call(s, &c, path, "application/x-pem-file", out, e);
}
