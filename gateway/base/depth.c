#include "gateway/base/depth.h"

bool depth_fits(const char *p, size_t n, unsigned most)
{
    unsigned depth = 0;
    bool text = false;
    for (size_t i = 0; i < n; i++) {
        if (text && p[i] == '\\')
            i++;
        else if (p[i] == '"')
            text = !text;
        else if (!text && (p[i] == '[' || p[i] == '{') && ++depth > most)
            return false;
        else if (!text && (p[i] == ']' || p[i] == '}') && depth > 0)
            depth--;
    }
    return true;
}
