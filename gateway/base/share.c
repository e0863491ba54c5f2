#include "gateway/base/share.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *share_path(const char *what, char *buf, size_t n)
{
    static const char tail[] = "/../share/fieldpost/";
    ssize_t got = readlink("/proc/self/exe", buf, n);
    buf[got > 0 && (size_t)got < n ? got : 0] = '\0';
    const char *slash = strrchr(buf, '/');
    size_t at = slash ? (size_t)(slash - buf) : 0;
    if (!slash || at + sizeof(tail) + strlen(what) > n) {
        (void)snprintf(buf, n, "/usr/share/fieldpost/%s", what);
        return buf;
    }
    (void)snprintf(buf + at, n - at, "%s%s", tail, what);
    return buf;
}
