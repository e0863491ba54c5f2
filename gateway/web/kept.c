/* Small files beside the store that say who may do what: their owner's alone, whole or not at all,
 * one writer at a time. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/base/drop.h"
#include "gateway/web/web_int.h"

static enum st path_of(const char *store, const char *suffix, char path[DROP_PATH_BYTES],
                       struct err *e)
{
    return snprintf(path, DROP_PATH_BYTES, "%s%s", store, suffix) < DROP_PATH_BYTES
               ? ST_OK
               : err_set(e, ST_BAD, "store.path is too long");
}

/* Whoever else may read it knows no secret, but whoever may write it would make some. */
enum st web_kept_read(const char *store, const char *suffix, char *text, size_t size, struct err *e)
{
    char path[DROP_PATH_BYTES];
    struct stat sb;
    size_t n = 0;
    ssize_t got = 1;
    ERR_TRY(path_of(store, suffix, path, e));
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return ST_NOT_FOUND;
    if (fd < 0)
        return err_set(e, ST_IO, "%s: %s: it must be the gateway's user's", path, strerror(errno));
    bool good = fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode) && !(sb.st_mode & 077) &&
                (sb.st_uid == geteuid() || sb.st_uid == 0 || geteuid() == 0);
    while (good && got > 0 && n < size - 1) {
        got = read(fd, text + n, size - 1 - n);
        n += got > 0 ? (size_t)got : 0;
    }
    (void)close(fd);
    if (!good)
        return err_set(e, ST_REFUSED, "%s: not a file that its owner alone may use: chmod 600 it",
                       path);
    if (got < 0)
        return err_set(e, ST_IO, "%s: cannot be read", path);
    text[n] = '\0';
    return strlen(text) == n && n < size - 1 ? ST_OK
                                             : err_set(e, ST_CORRUPT, "%s: no such file", path);
}

enum st web_kept_lines(const char *store, const char *suffix, const char *head, size_t most,
                       web_kept_line *take, void *ctx, struct err *e)
{
    size_t size = strlen(head) + most * WEB_KEPT_LINE + 1;
    char *text = malloc(size);
    enum st st = text ? web_kept_read(store, suffix, text, size, e)
                      : err_set(e, ST_MEMORY, "%s%s: no memory", store, suffix);
    if (st == ST_OK && strncmp(text, head, strlen(head)) != 0)
        st = err_set(e, ST_CORRUPT, "%s%s: not written by fieldpost", store, suffix);
    size_t line = 1;
    for (const char *at = text + (st == ST_OK ? strlen(head) : 0); st == ST_OK && *at;) {
        size_t n = strcspn(at, "\n");
        if (line++ > most || at[n] != '\n' || n >= WEB_KEPT_LINE || !take(ctx, at, n))
            st = err_set(e, ST_CORRUPT, "%s%s: line %zu is not what fieldpost writes", store,
                         suffix, line);
        at += n + 1;
    }
    free(text);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

bool web_kept_words(const char *line, size_t n, char copy[WEB_KEPT_LINE], char **word, size_t words)
{
    char *at = copy;
    memcpy(copy, line, n);
    copy[n] = '\0';
    for (size_t i = 0; i < words; i++)
        if (!(word[i] = strsep(&at, " ")))
            return false;
    return true;
}

enum st web_kept_write(const char *store, const char *suffix, const struct buf *b, struct err *e)
{
    char path[DROP_PATH_BYTES];
    struct stat owner;
    ERR_TRY(path_of(store, suffix, path, e));
    ERR_TRY(wire_file_put(path, b->p, b->n, 0600, true, e));
    if (stat(store, &owner) != 0) /* the store is not there yet: its folder's owner */
        return ST_OK;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    enum st st = fd >= 0 ? drop_give(fd, path, &owner, e)
                         : err_set(e, ST_IO, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return st;
}

/* -1: errno. */
static int folder_of(const char *store)
{
    char folder[DROP_PATH_BYTES];
    const char *slash = strrchr(store, '/');
    (void)snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - store) + 1 : 1,
                   slash ? store : ".");
    return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

enum st web_kept_remove(const char *store, const char *suffix, struct err *e)
{
    char path[DROP_PATH_BYTES];
    ERR_TRY(path_of(store, suffix, path, e));
    if (unlink(path) != 0)
        return errno == ENOENT ? ST_OK : err_set(e, ST_IO, "%s: %s", path, strerror(errno));
    int fd = folder_of(store); /* what is gone stays gone when the power goes now */
    enum st st =
        fd >= 0 && fsync(fd) == 0 ? ST_OK : err_set(e, ST_IO, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return st;
}

#define WAIT_MS 100
#define STEP_MS 5
static int64_t wait_ms = WAIT_MS;

void web_kept_wait(int64_t ms)
{
    wait_ms = ms;
}

/* flock() itself waits without end, or not at all. */
static enum st lock(int fd, const char *store, struct err *e)
{
    const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
    const int64_t end_ms = clk_mono(clk_real()).ms + wait_ms;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_set(e, ST_IO, "the folder of %s: %s", store, strerror(errno));
        if (clk_mono(clk_real()).ms >= end_ms)
            return err_set(e, ST_BUSY, "another program changes users or tokens now: try again");
        (void)nanosleep(&step, NULL);
    }
    return ST_OK;
}

/* The lock is on the folder: a file itself is another one each time. Nobody but the store's user
 * and root goes on. */
enum st web_kept_lock(const char *store, int *fd, struct err *e)
{
    struct stat owner;
    if (stat(store, &owner) == 0 && geteuid() != 0 && geteuid() != owner.st_uid)
        return err_set(e, ST_REFUSED,
                       "%s: the store is that of user %u: run this as that user or as root", store,
                       (unsigned)owner.st_uid);
    *fd = folder_of(store);
    return *fd >= 0 ? lock(*fd, store, e)
                    : err_set(e, ST_IO, "the folder of %s: %s", store, strerror(errno));
}

bool web_kept_number(const char *text, int64_t *out)
{
    struct num v;
    bool good = num_parse(text, &v) && v.kind == NUM_DEC && v.exp == 0;
    *out = good ? v.i : 0;
    return good;
}
