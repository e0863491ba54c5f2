/* The kernel's files of one value. They vanish, refuse and lie as the hardware does: all that is
 * not a line in its shape is no value. */
#include "gateway/connectivity/connectivity_int.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool path_make(char out[PATH_MAX], const char *dir, const char *name)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);
    return n > 0 && n < PATH_MAX;
}

bool connectivity_sysfs_line(const char *dir, const char *name, char *out, size_t size)
{
    char path[PATH_MAX];
    if (!path_make(path, dir, name))
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, out, size - 1); /* an interface that is off answers EINVAL */
    (void)close(fd);
    if (n <= 0)
        return false;
    out[n] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return out[0] != '\0';
}

bool connectivity_sysfs_int(const char *dir, const char *name, int64_t min, int64_t max,
                            int64_t *out)
{
    char text[32];
    struct num v;
    if (!connectivity_sysfs_line(dir, name, text, sizeof text) || !num_parse(text, &v) ||
        v.kind != NUM_DEC || v.exp != 0 || v.i < min || v.i > max)
        return false;
    *out = v.i;
    return true;
}

bool connectivity_sysfs_has(const char *dir, const char *name)
{
    char path[PATH_MAX];
    return path_make(path, dir, name) && access(path, F_OK) == 0;
}
