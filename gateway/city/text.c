#include <string.h>

#include "gateway/city/city_int.h"

uint64_t city_hash(uint64_t h, const void *p, size_t n)
{
    const uint8_t *b = p;

    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * UINT64_C(1099511628211);
    return h;
}

enum st city_put_text(struct buf *out, const char *text, bool json)
{
    bool plain = !json && strpbrk(text, ",\"\r\n") == NULL;
    enum st st = ST_OK;

    if (plain)
        return buf_put(out, text, strlen(text));
    st = buf_put(out, "\"", 1);
    for (const char *p = text; st == ST_OK && *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (json && (c < 0x20 || c == 0x7f))
            st = buf_printf(out, "\\u%04x", c);
        else if (json && (c == '"' || c == '\\'))
            st = buf_printf(out, "\\%c", c);
        else
            st = buf_put(out, c == '"' ? "\"\"" : p, c == '"' ? 2 : 1);
    }
    return st == ST_OK ? buf_put(out, "\"", 1) : st;
}
