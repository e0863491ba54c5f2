/* Readings that a program posts, answered once they are durable. */
#include <string.h>

#include "gateway/web/web_int.h"

static bool is_senml(const struct http_request *q)
{
    static const char *const types[] = {"application/senml+json", "application/senml+cbor"};
    const char *type = http_header(q, "Content-Type");
    for (size_t i = 0; type && i < sizeof types / sizeof *types; i++) {
        size_t n = strlen(types[i]);
        if (strncasecmp(type, types[i], n) == 0 && strchr("; ", type[n]))
            return true;
    }
    return false;
}

void web_api_readings(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    struct web_who who;
    struct web_json j;
    struct err e = {0};
    size_t taken = 0;
    if (!web_allows(w, q, &who, a))
        return;
    if (!is_senml(q)) {
        web_refuse(a, WEB_NO_TYPE,
                   "the body is SenML: say Content-Type: application/senml+json, or +cbor");
        return;
    }
    enum st st = w->site.post ? w->site.post(w->site.post_ctx, q->body, q->body_n, &taken, &e)
                              : err_set(&e, ST_NOT_FOUND, "nobody takes readings here");
    if (st != ST_OK) {
        web_refuse(a,
                   st == ST_BAD         ? WEB_NO_REQUEST
                   : st == ST_NOT_FOUND ? WEB_NO_SERIES
                                        : WEB_NO_STORE,
                   "%s", e.text);
        if (st != ST_BAD && st != ST_NOT_FOUND)
            http_answer_header(a, "Retry-After", "5");
        return;
    }
    web_answer_begin(a, &j);
    web_json_int(&j, "readings", (int64_t)taken);
    web_answer_end(a, &j, 200);
}
