/* The page's files: without a session, for they hold no data. */
#include "gateway/web/assets.h"

#include <string.h>
#include <strings.h>

#include "gateway/web/web_int.h"

static const char *const form_text[WEB_FORMS] = {
    [WEB_PLAIN] = NULL, [WEB_GZIP] = "gzip", [WEB_BROTLI] = "br"};

/* Nothing but our own files, no inline script or style, no frame around the page. */
static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/* Whether the parameters of one coding refuse it: ";q=0", "; q=0.0". */
static bool is_refused(const char *p, size_t n)
{
    const char *end = p + n, *q = memchr(p, ';', n);
    if (!q)
        return false;
    for (q++; q < end && (*q == ' ' || *q == '\t'); q++)
        ;
    if (end - q < 3 || (*q != 'q' && *q != 'Q') || q[1] != '=')
        return false;
    for (q += 2; q < end; q++)
        if (*q >= '1' && *q <= '9')
            return false;
    return true;
}

static bool is_named(const char *accepted, const char *coding)
{
    size_t want = strlen(coding);
    for (const char *p = accepted; *p; p += strcspn(p, ",")) {
        p += strspn(p, ", \t");
        size_t n = strcspn(p, ","), name = strcspn(p, ",; \t");
        if (name == want && strncasecmp(p, coding, want) == 0)
            return !is_refused(p, n);
    }
    return false;
}

enum web_form web_form_for(const char *accepted)
{
    enum web_form form = WEB_FORMS - 1;
    while (form > WEB_PLAIN && !(accepted && is_named(accepted, form_text[form])))
        form--;
    return form;
}

void web_page(void *web, const struct http_request *q, struct http_answer *a)
{
    const struct web_asset *f = web_assets, *end = f + web_assets_count;
    (void)web;
    while (f < end && strcmp(f->path, q->path) != 0)
        f++;
    if (f == end) { /* also a file of another version: the page is loaded again, see main.js */
        http_problem(a, 404, "not_found", "the page has no such file", NULL, NULL);
        return;
    }
    bool kept = strcmp(f->path, "/") != 0;
    const char *have = http_header(q, "If-None-Match");
    enum web_form form = web_form_for(http_header(q, "Accept-Encoding"));
    a->status = have && strstr(have, f->tag) ? 304 : 200;
    a->content_type = f->type;
    if (a->status == 200) {
        a->static_body = f->form[form].bytes;
        a->static_n = f->form[form].n;
        if (form != WEB_PLAIN)
            http_answer_header(a, "Content-Encoding", "%s", form_text[form]);
    }
    http_answer_header(a, "Vary", "Accept-Encoding");
    http_answer_header(a, "Content-Security-Policy", "%s", policy);
    http_answer_header(a, "Referrer-Policy", "no-referrer");
    http_answer_header(a, "Cache-Control", "%s", kept ? "max-age=31536000, immutable" : "no-cache");
    http_answer_header(a, "ETag", "%s", f->tag);
}
