#include "gateway/http/http_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void http_answer_header(struct http_answer *a, const char *name, const char *fmt, ...)
{
    va_list ap;

    if (a->headers == sizeof a->header / sizeof a->header[0])
        return;
    a->header[a->headers].name = name;
    va_start(ap, fmt);
    vsnprintf(a->header[a->headers].value, sizeof a->header[0].value, fmt, ap);
    va_end(ap);
    a->headers++;
}

/* Length of the UTF-8 character at p, 0 when it is none. */
static size_t utf8_length(const char *p)
{
    const unsigned char *s = (const unsigned char *)p;
    size_t n = s[0] < 0x80                    ? 1
               : s[0] >= 0xc2 && s[0] <= 0xdf ? 2
               : s[0] >= 0xe0 && s[0] <= 0xef ? 3
               : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                              : 0;

    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

static enum st json_member(struct buf *b, const char *name, const char *text)
{
    enum st st = buf_printf(b, ",\"%s\":\"", name);

    while (st == ST_OK && *text != '\0') {
        size_t n = utf8_length(text);
        if (n == 1 && (*text == '"' || *text == '\\'))
            st = buf_printf(b, "\\%c", *text);
        else if (n == 1 && (*text < 0x20 || *text == 0x7f))
            st = buf_printf(b, "\\u%04x", (unsigned)*text);
        else
            st = n > 0 ? buf_put(b, text, n) : buf_put(b, "?", 1);
        text += n > 0 ? n : 1;
    }
    return st == ST_OK ? buf_put(b, "\"", 1) : st;
}

void http_problem(struct http_answer *a, int status, const char *code, const char *detail,
                  const char *member, const char *value)
{
    buf_done(&a->body);
    buf_init(&a->body, 8192);
    a->static_body = NULL;
    a->status = status;
    a->content_type = "application/problem+json";
    enum st st = buf_printf(&a->body, "{\"type\":\"about:blank\",\"status\":%d", status);
    if (st == ST_OK)
        st = json_member(&a->body, "code", code);
    if (st == ST_OK && detail != NULL)
        st = json_member(&a->body, "detail", detail);
    if (st == ST_OK && member != NULL && value != NULL)
        st = json_member(&a->body, member, value);
    if (st == ST_OK)
        st = buf_put(&a->body, "}\n", 2);
    if (st != ST_OK) /* no memory: the status alone must do */
        a->body.n = 0;
}

/* ---- for libmicrohttpd ---- */

struct MHD_Response *http_answer_response(struct http_answer *a, size_t *n)
{
    struct MHD_Response *resp;

    if (a->static_body != NULL || a->body.n == 0) {
        *n = a->static_body != NULL ? a->static_n : 0;
        /* libmicrohttpd wants a pointer to change nothing at; PERSISTENT bytes are only read */
        union {
            const void *in;
            void *out;
        } p = {a->static_body != NULL ? a->static_body : ""};
        resp = MHD_create_response_from_buffer(*n, p.out, MHD_RESPMEM_PERSISTENT);
        buf_done(&a->body);
        return resp;
    }
    *n = a->body.n;
    resp = MHD_create_response_from_buffer(a->body.n, a->body.p, MHD_RESPMEM_MUST_FREE);
    if (resp == NULL)
        buf_done(&a->body);
    memset(&a->body, 0, sizeof a->body);
    return resp;
}

static bool has_header(const struct http_answer *a, const char *name)
{
    for (size_t i = 0; i < a->headers; i++) {
        if (strcasecmp(a->header[i].name, name) == 0)
            return true;
    }
    return false;
}

bool http_answer_headers(struct MHD_Response *resp, const char *policy, const struct http_answer *a)
{
    const char *const own[][2] = {
        {"X-Content-Type-Options", "nosniff"},
        {"Content-Type", a->content_type},
        {"Content-Security-Policy", policy},
        {"Referrer-Policy", policy != NULL ? "no-referrer" : NULL},
    };
    bool ok = true;

    for (size_t i = 0; ok && i < sizeof own / sizeof *own; i++)
        ok = own[i][1] == NULL || has_header(a, own[i][0]) ||
             MHD_add_response_header(resp, own[i][0], own[i][1]) == MHD_YES;
    for (size_t i = 0; ok && i < a->headers; i++)
        ok = MHD_add_response_header(resp, a->header[i].name, a->header[i].value) == MHD_YES;
    return ok;
}
