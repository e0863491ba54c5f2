#include "gateway/base/id.h"

#include <string.h>

bool id_is(const void *p, size_t n)
{
    const unsigned char *s = p;
    if (n == 0 || n > ID_MAX_BYTES)
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = s[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!alnum && (i == 0 || (c != '.' && c != '_' && c != '-')))
            return false;
    }
    return true;
}

bool id_is_text(const char *text)
{
    return id_is(text, strlen(text));
}

uint64_t id_hash(uint64_t h, const void *p, size_t n)
{
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * UINT64_C(1099511628211);
    return h;
}
