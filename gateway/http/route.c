#include "gateway/http/http_int.h"

#include <stdio.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decodes one part into *text and steps behind its NUL; false when no part may look like this. */
static bool part_decode(const char *p, size_t n, char **text)
{
    char *o = *text;

    for (size_t i = 0; i < n; i++) {
        int c = (unsigned char)p[i];
        if (c == '%') {
            int hi = n - i > 2 ? hex_digit(p[i + 1]) : -1;
            int lo = n - i > 2 ? hex_digit(p[i + 2]) : -1;
            if (hi < 0 || lo < 0)
                return false;
            c = hi * 16 + lo;
            i += 2;
        }
        if (c < 0x20 || c == 0x7f || c == '/')
            return false;
        *o++ = (char)c;
    }
    if (o == *text)
        return false;
    *o++ = '\0';
    *text = o;
    return true;
}

static bool route_match(const char *pattern, const char *path, char *text, const char **param)
{
    size_t params = 0;

    for (;;) {
        if (*pattern != '/' || *path != '/')
            return *pattern == '\0' && *path == '\0';
        pattern++;
        path++;
        size_t pn = strcspn(pattern, "/"), n = strcspn(path, "/");
        if (*pattern == '{') {
            if (params == HTTP_PARAMS_MAX)
                return false;
            param[params++] = text;
            if (!part_decode(path, n, &text))
                return false;
        } else if (pn != n || memcmp(pattern, path, n) != 0) {
            return false;
        }
        pattern += pn;
        path += n;
    }
}

const struct http_route *http_route_find(const struct http_route *routes, size_t n,
                                         const char *method, const char *path, char *text,
                                         const char **param, bool *known)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;

    *known = false;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < HTTP_PARAMS_MAX; k++)
            param[k] = NULL;
        if (!route_match(routes[i].pattern, path, text, param))
            continue;
        *known = true;
        if (strcmp(routes[i].method, wanted) == 0)
            return &routes[i];
    }
    return NULL;
}

void http_route_methods(const struct http_route *routes, size_t n, const char *path, char *text,
                        char *out, size_t out_n)
{
    const char *param[HTTP_PARAMS_MAX];
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < n && len < out_n; i++) {
        if (!route_match(routes[i].pattern, path, text, param))
            continue;
        int k = snprintf(out + len, out_n - len, "%s%s%s", len > 0 ? ", " : "", routes[i].method,
                         strcmp(routes[i].method, "GET") == 0 ? ", HEAD" : "");
        len += k > 0 ? (size_t)k : 0;
    }
}
