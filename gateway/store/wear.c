/* What the flash under the store has gone through, as far as the kernel tells. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "gateway/store/store_int.h"

#define SECTOR_BYTES 512     /* of every `size` in sysfs, whatever the device's own is */
#define LIFE_STEP_PERCENT 10 /* JEDEC 84-B51: 0x01 is up to 10 % used … 0x0a up to 100 % */
#define LIFE_MAX 0x0b        /* more than its life */
#define PRE_EOL_MAX 3

/* A small file of sysfs or procfs, as text without its last line end. */
static bool read_text(const char *path, char *out, size_t n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got;
    do
        got = read(fd, out, n - 1);
    while (got < 0 && errno == EINTR);
    close(fd);
    out[got > 0 ? got : 0] = '\0';
    return got > 0;
}

/* A number at *p that is not above max; moves behind it. */
static bool take_number(const char **p, int base, int64_t max, int64_t *out)
{
    char *end;
    errno = 0;
    long long v = strtoll(*p, &end, base);
    if (end == *p || errno || v < 0 || v > max || (*end && !strchr(" \t\n", *end)))
        return false;
    *p = end;
    *out = v;
    return true;
}

int64_t store_wear_written(const char *io_path)
{
    static const char key[] = "\nwrite_bytes: ";
    char text[1024];
    int64_t v = -1;
    if (!read_text(io_path, text, sizeof text))
        return -1;
    const char *p = strstr(text, key);
    if (!p)
        return -1;
    p += sizeof key - 1;
    return take_number(&p, 10, INT64_MAX, &v) ? v : -1;
}

static bool read_at(const char *dir, const char *name, char *out, size_t n)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/%s", dir, name);
    return len > 0 && (size_t)len < sizeof path && read_text(path, out, n);
}

/* "0x02 0x01": how far the memory of each type is used up. */
static void read_life(const char *disk, struct store_wear *w)
{
    char text[64];
    if (!read_at(disk, "device/life_time", text, sizeof text))
        return;
    const char *p = text;
    for (int i = 0; i < 2; i++) {
        int64_t v;
        if (!take_number(&p, 16, LIFE_MAX, &v))
            return;
        w->life_percent[i] = v ? (int)v * LIFE_STEP_PERCENT : -1; /* 0: not defined */
    }
}

static void read_pre_eol(const char *disk, struct store_wear *w)
{
    char text[64];
    const char *p = text;
    int64_t v;
    if (read_at(disk, "device/pre_eol_info", text, sizeof text) &&
        take_number(&p, 16, PRE_EOL_MAX, &v))
        w->pre_eol = (int)v;
}

void store_wear_read(const char *sysfs, unsigned major_no, unsigned minor_no, struct store_wear *w)
{
    char link[PATH_MAX], disk[PATH_MAX], text[64];
    *w = (struct store_wear){.life_percent = {-1, -1}};
    int n = snprintf(link, sizeof link, "%s/dev/block/%u:%u", sysfs, major_no, minor_no);
    if (n < 0 || (size_t)n >= sizeof link || !realpath(link, disk))
        return;
    if (read_at(disk, "partition", text, sizeof text)) { /* its disk is the folder above */
        char *slash = strrchr(disk, '/');
        if (slash && slash != disk)
            *slash = '\0';
    }
    const char *p = text;
    int64_t sectors;
    if (read_at(disk, "size", text, sizeof text) &&
        take_number(&p, 10, INT64_MAX / SECTOR_BYTES, &sectors))
        w->capacity_bytes = sectors * SECTOR_BYTES;
    const char *name = strrchr(disk, '/');
    (void)snprintf(w->device, sizeof w->device, "%s", name ? name + 1 : "");
    read_life(disk, w);
    read_pre_eol(disk, w);
}
