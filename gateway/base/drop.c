#include "gateway/base/drop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PART ".part"
#define LEFT_S 60 /* small files are written and named at once */

static enum st fail(const char *path, const char *what, struct err *e)
{
    return err_set(e, ST_IO, "%s: %s: %s", path, what, strerror(errno));
}

enum st drop_give(int fd, const char *path, const struct stat *owner, struct err *e)
{
    struct stat sb;
    if (fstat(fd, &sb) != 0)
        return fail(path, "cannot be looked at", e);
    if (sb.st_uid == owner->st_uid || fchown(fd, owner->st_uid, owner->st_gid) == 0)
        return ST_OK;
    return err_set(e, ST_REFUSED,
                   "%s: the store is that of user %u: run this as that user or as root", path,
                   (unsigned)owner->st_uid);
}

static void parent_of(const char *path, char parent[DROP_PATH_BYTES])
{
    const char *slash = strrchr(path, '/');
    int n = slash ? (int)(slash - path) + (slash == path) : 1;
    (void)snprintf(parent, DROP_PATH_BYTES, "%.*s", n, slash ? path : ".");
}

static enum st sync_parent(const char *path, struct err *e)
{
    char parent[DROP_PATH_BYTES];
    parent_of(path, parent);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum st st = fd >= 0 && fsync(fd) == 0 ? ST_OK : fail(parent, "cannot be synced", e);
    if (fd >= 0)
        (void)close(fd);
    return st;
}

/* What is not there yet will belong to whoever has its folder. */
static bool owner_of(const char *path, struct stat *owner)
{
    char parent[DROP_PATH_BYTES];
    if (stat(path, owner) == 0)
        return true;
    parent_of(path, parent);
    return errno == ENOENT && stat(parent, owner) == 0;
}

enum st drop_open(const char *beside, const char *suffix, mode_t mode, char path[DROP_PATH_BYTES],
                  int *fd, struct err *e)
{
    struct stat owner;
    *fd = -1;
    if (snprintf(path, DROP_PATH_BYTES, "%s%s", beside, suffix) >= DROP_PATH_BYTES)
        return err_set(e, ST_BAD, "store.path is too long");
    if (!owner_of(beside, &owner))
        return fail(beside, "cannot be looked at", e);
    bool made = mkdir(path, mode) == 0;
    if (!made && errno != EEXIST)
        return fail(path, "cannot be made", e);
    if (made)
        ERR_TRY(sync_parent(path, e));
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return fail(path, "cannot be opened", e);
    enum st st = drop_give(folder, path, &owner, e);
    if (st != ST_OK)
        (void)close(folder);
    else
        *fd = folder;
    return st;
}

static bool ends(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* ---- what a kill leaves ---------------------------------------------------------------------- */

static bool is_left(int folder, const char *name)
{
    struct stat sb;
    return ends(name, PART) && fstatat(folder, name, &sb, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(sb.st_mode) && llabs((long long)time(NULL) - sb.st_mtim.tv_sec) > LEFT_S;
}

void drop_clean(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d && fd >= 0)
        (void)close(fd);
    for (const struct dirent *f; d && (f = readdir(d));)
        if (is_left(folder, f->d_name))
            (void)unlinkat(folder, f->d_name, 0); /* one that stays is met again */
    if (d)
        (void)closedir(d);
}

void drop_clean_at(const char *beside, const char *suffix)
{
    char path[DROP_PATH_BYTES];
    if (snprintf(path, sizeof path, "%s%s", beside, suffix) >= (int)sizeof path)
        return;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return;
    drop_clean(folder);
    (void)close(folder);
}

/* ---- writing --------------------------------------------------------------------------------- */

static enum st count(int folder, const char *path, size_t max, const char *but, struct err *e)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    size_t n = 0;
    if (!d) {
        if (fd >= 0)
            (void)close(fd);
        return fail(path, "cannot be read", e);
    }
    for (const struct dirent *f; (f = readdir(d));)
        n += f->d_name[0] != '.' && (!*but || !ends(f->d_name, but));
    (void)closedir(d);
    return n < max ? ST_OK
                   : err_set(e, ST_FULL,
                             "%s: %zu files wait there already: is the gateway running? Start it, "
                             "or remove them",
                             path, n);
}

static enum st write_all(int fd, const char *path, const uint8_t *p, size_t n, struct err *e)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = write(fd, p + at, n - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return fail(path, "cannot be written", e);
        at += (size_t)got;
    }
    return fsync(fd) == 0 ? ST_OK : fail(path, "cannot be synced", e);
}

enum st drop_put(int folder, const char *folder_path, const char *name, const void *p, size_t n,
                 size_t max, const char *but, struct err *e)
{
    char part[256];
    struct stat owner;
    drop_clean(folder);
    ERR_TRY(count(folder, folder_path, max, but, e));
    if (snprintf(part, sizeof part, "%s" PART, name) >= (int)sizeof part)
        return err_set(e, ST_BAD, "%s: too long a name", name);
    int fd = openat(folder, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST && unlinkat(folder, part, 0) == 0) /* of one that was killed */
        fd = openat(folder, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(folder_path, "cannot be written", e);
    enum st st = fstat(folder, &owner) == 0 ? drop_give(fd, folder_path, &owner, e)
                                            : fail(folder_path, "cannot be looked at", e);
    if (st == ST_OK)
        st = write_all(fd, folder_path, p, n, e);
    if (close(fd) != 0 && st == ST_OK)
        st = fail(folder_path, "cannot be written", e);
    if (st == ST_OK && (renameat(folder, part, folder, name) != 0 || fsync(folder) != 0))
        st = fail(folder_path, "a file cannot be named", e);
    if (st != ST_OK)
        (void)unlinkat(folder, part, 0);
    return st;
}
