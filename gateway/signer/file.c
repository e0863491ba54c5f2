/* The names of key files, and how a next key takes over. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/signer/signer_int.h"

static enum st fail(const char *path, const char *what, struct err *e)
{
    return err_set(e, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s: %s: %s", path, what,
                   strerror(errno));
}

enum st signer_next_path(const char *key, char out[SIGNER_PATH], struct err *e)
{
    int n = snprintf(out, SIGNER_PATH, "%s.next", key);
    return n > 0 && n < SIGNER_PATH ? ST_OK : err_set(e, ST_BAD, "seal.key: the path is too long");
}

enum st signer_make_next(const char *key, struct err *e)
{
    char next[SIGNER_PATH];
    struct stat was, sb;
    ERR_TRY(signer_next_path(key, next, e));
    if (stat(key, &was) != 0)
        return fail(key, "the key in force cannot be looked at", e);
    enum st st = wire_key_make(next, e);
    if (st != ST_OK && st != ST_CONFLICT)
        return st;
    /* Also when it was there: a cut may have come before this. Root gives away a plain file that
     * has this name alone, and nothing that somebody has put in its place. */
    int fd = open(next, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool good = fd >= 0 && fstat(fd, &sb) == 0;
    if (good && (!S_ISREG(sb.st_mode) || sb.st_nlink != 1)) {
        errno = EPERM;
        good = false;
    }
    if (good && (sb.st_uid != was.st_uid || sb.st_gid != was.st_gid))
        good = fchown(fd, was.st_uid, was.st_gid) == 0;
    if (!good)
        st = fail(next, "cannot be given to the owner of the key in force", e);
    if (fd >= 0)
        (void)close(fd);
    return st;
}

static enum st sync_folder(const char *path, struct err *e)
{
    char folder[SIGNER_PATH];
    const char *slash = strrchr(path, '/');
    (void)snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1,
                   slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum st st = fd >= 0 && fsync(fd) == 0 ? ST_OK : fail(folder, "cannot be synced", e);
    if (fd >= 0)
        (void)close(fd);
    return st;
}

enum st signer_file_promote(const char *key, const uint8_t kid[WIRE_ID_BYTES], struct err *e)
{
    char next[SIGNER_PATH], old[SIGNER_PATH], hex[WIRE_ID_TEXT];
    struct stat a, b;
    ERR_TRY(signer_next_path(key, next, e));
    wire_hex(kid, WIRE_ID_BYTES, hex);
    int n = snprintf(old, sizeof old, "%s.%s", key, hex);
    if (n < 0 || n >= (int)sizeof old)
        return err_set(e, ST_BAD, "seal.key: the path is too long");
    if (access(next, F_OK) != 0)
        return errno == ENOENT ? sync_folder(key, e) : fail(next, "cannot be looked at", e);
    if (link(key, old) != 0 && errno != EEXIST)
        return fail(old, "the old key cannot be put aside", e);
    if (stat(key, &a) != 0 || stat(old, &b) != 0)
        return fail(key, "cannot be looked at", e);
    if (a.st_dev != b.st_dev || a.st_ino != b.st_ino)
        return err_set(e, ST_CONFLICT, "%s exists already, and a key is never overwritten: move it",
                       old);
    ERR_TRY(sync_folder(key, e));
    if (rename(next, key) != 0)
        return fail(key, "the next key cannot take its name", e);
    return sync_folder(key, e);
}
