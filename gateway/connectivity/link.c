/* Link state and rate, as the kernel tells them (Documentation/ABI/testing/sysfs-class-net). */
#include "gateway/connectivity/connectivity_int.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool file_path(char out[PATH_MAX], const char *root, const char *interface, const char *name)
{
    int n = snprintf(out, PATH_MAX, "%s/%s/%s", root, interface, name);
    return n > 0 && n < PATH_MAX;
}

/* One short line; false when it cannot be read (an interface that is off answers EINVAL). */
static bool line_read(const char *root, const char *interface, const char *name, char *out,
                      size_t size)
{
    char path[PATH_MAX];
    if (!file_path(path, root, interface, name))
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, out, size - 1);
    (void)close(fd);
    if (n <= 0)
        return false;
    out[n] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return true;
}

static bool entry_exists(const char *root, const char *interface, const char *name)
{
    char path[PATH_MAX];
    return file_path(path, root, interface, name) && access(path, F_OK) == 0;
}

enum st connectivity_link_read(const char *root, const char *interface,
                               struct connectivity_link_state *out)
{
    char text[32];
    *out = (struct connectivity_link_state){0};
    if (!line_read(root, interface, "operstate", text, sizeof text))
        return ST_NOT_FOUND;
    /* Drivers without operational state say "unknown" (loopback, some modems): the carrier rules */
    bool unknown = strcmp(text, "unknown") == 0;
    out->up = strcmp(text, "up") == 0;
    if (unknown)
        out->up = line_read(root, interface, "carrier", text, sizeof text) && text[0] == '1';
    if (line_read(root, interface, "speed", text, sizeof text)) {
        char *end;
        long mbit = strtol(text, &end, 10);
        if (end != text && *end == '\0' && mbit > 0)
            out->rate_mbit = mbit; /* -1: not known now */
    }
    bool wired = entry_exists(root, interface, "device") &&
                 !entry_exists(root, interface, "wireless") &&
                 !entry_exists(root, interface, "phy80211");
    out->has_rate = out->rate_mbit > 0 || (wired && !out->up);
    return ST_OK;
}
