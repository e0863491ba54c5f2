/* Small files that must be whole or not there: keys and certificates. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/wire/wire_int.h"

static bool write_synced(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t put = write(fd, p, n);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        p += put;
        n -= (size_t)put;
    }
    return fsync(fd) == 0;
}

static int open_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    free(folder);
    return fd;
}

/* What root puts there belongs to whoever owns the folder: the gateway must be able to read it. */
static bool give(int fd, int folder)
{
    struct stat s;

    return geteuid() != 0 || (fstat(folder, &s) == 0 && fchown(fd, s.st_uid, s.st_gid) == 0);
}

enum st wire_file_put(const char *path, const void *p, size_t n, unsigned mode, bool replace,
                      struct err *e)
{
    char *tmp = NULL;
    enum st st = ST_OK;

    /* Written beside it first: a cut leaves no half file under the name. */
    if (asprintf(&tmp, "%s.XXXXXX", path) < 0)
        return err_set(e, ST_MEMORY, "no memory for a path");
    int folder = open_folder(path);
    int fd = folder >= 0 ? mkostemp(tmp, O_CLOEXEC) : -1; /* mode 0600 */
    bool good = fd >= 0 && (mode == 0600 || fchmod(fd, mode) == 0) && give(fd, folder) &&
                write_synced(fd, p, n) && (replace ? rename(tmp, path) : link(tmp, path)) == 0;
    int why = errno;
    if (fd >= 0 && (!good || !replace))
        unlink(tmp);
    if (good && fsync(folder) != 0) { /* the name itself must last */
        good = false;
        why = errno;
    }
    if (fd >= 0)
        close(fd);
    if (folder >= 0)
        close(folder);
    if (!good)
        st = why == EEXIST ? err_set(e, ST_CONFLICT, "%s: exists, and is never overwritten", path)
                           : err_set(e, ST_IO, "%s: %s", path, strerror(why));
    free(tmp);
    return st;
}

enum st wire_file_get(const char *path, struct buf *out, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum st st = ST_OK;
    uint8_t part[4096];
    ssize_t got = 1;

    if (fd < 0)
        return err_set(e, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s: %s", path, strerror(errno));
    while (st == ST_OK && got != 0) {
        got = read(fd, part, sizeof part);
        if (got > 0)
            st = buf_put(out, part, (size_t)got);
        else if (got < 0 && errno != EINTR)
            st = ST_IO;
    }
    if (st == ST_OK)
        st = buf_put(out, "", 1); /* PEM parsers want a NUL */
    explicit_bzero(part, sizeof part);
    close(fd);
    if (st != ST_OK)
        return err_set(e, st, "%s: %s", path,
                       st == ST_FULL ? "too large for what it should be" : "cannot be read");
    out->n--;
    return ST_OK;
}
