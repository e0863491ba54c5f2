#include "gateway/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#undef err_set /* err.h has them for the analyzer */
#undef err_wrap

static const char *const names[] = {
    [ST_OK] = "ok",
    [ST_BUSY] = "busy",
    [ST_TIMEOUT] = "timeout",
    [ST_IO] = "io",
    [ST_BAD] = "bad",
    [ST_REFUSED] = "refused",
    [ST_CORRUPT] = "corrupt",
    [ST_NOT_FOUND] = "not_found",
    [ST_CONFLICT] = "conflict",
    [ST_FULL] = "full",
    [ST_MEMORY] = "memory",
    [ST_UNSUPPORTED] = "unsupported",
    [ST_STOPPED] = "stopped",
};

const char *err_name(enum st st)
{
    size_t i = (size_t)st;
    return i < sizeof(names) / sizeof(names[0]) ? names[i] : "unknown";
}

enum st err_set(struct err *e, enum st st, const char *fmt, ...)
{
    if (e) {
        /* through a copy: an argument may be e->text itself */
        char text[ERR_TEXT_BYTES];
        va_list ap;
        va_start(ap, fmt);
        if (vsnprintf(text, sizeof(text), fmt, ap) < 0) {
            text[0] = '\0';
        }
        va_end(ap);
        e->st = st;
        memcpy(e->text, text, sizeof(text));
    }
    return st;
}

enum st err_wrap(struct err *e, enum st st, const char *fmt, ...)
{
    if (!e) {
        return st;
    }
    char text[ERR_TEXT_BYTES];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof(text)) {
        /* a text that does not fit is cut */
        (void)!snprintf(text + n, sizeof(text) - (size_t)n, ": %.*s", ERR_TEXT_BYTES, e->text);
    }
    memcpy(e->text, text, sizeof(text));
    return e->st;
}
