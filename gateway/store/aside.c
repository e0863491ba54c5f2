/* The dated files beside the database: names, renames, their cap. */
#include "gateway/store/damage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MARKER ".setaside"
#define RESCUED ".rescued"
#define DAMAGED ".damaged-"
#define SAME_SECOND 100 /* sets of one second */
/* The database goes last: when it stands under its dated name, all is done. */
static const char *const parts[] = {".journal", "-wal", ""};
#define PARTS (sizeof parts / sizeof *parts)

static enum st fail(const char *doing, const char *name, struct err *e)
{
    int code = errno;
    return err_set(e, code == ENOSPC || code == EDQUOT ? ST_FULL : ST_IO, "store: %s %s: %s", doing,
                   name ? name : "a dated file", name ? strerror(code) : "no memory");
}

char *store_aside_name(const char *path, const char *stamp, const char *suffix)
{
    char *name = NULL;
    return asprintf(&name, "%s" DAMAGED "%s%s", path, stamp, suffix) < 0 ? NULL : name;
}

static bool there(const char *name)
{
    struct stat sb;
    return name && lstat(name, &sb) == 0;
}

static enum st sync_folder(const char *path, struct err *e)
{
    char *copy = strdup(path);
    int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    free(copy);
    if (fd < 0)
        return fail("open the folder of", path, e);
    enum st st = fsync(fd) == 0 ? ST_OK : fail("sync the folder of", path, e);
    close(fd);
    return st;
}

/* ---- the sets ---- */

/* The stamp of a set, from the name of its database; NULL: another file. */
static const char *stamp_of(const char *base, const char *name)
{
    size_t n = strlen(base), dated = strlen(DAMAGED);
    if (strncmp(name, base, n) != 0 || strncmp(name + n, DAMAGED, dated) != 0)
        return NULL;
    const char *stamp = name + n + dated;
    size_t len = strlen(stamp);
    return len > 0 && len < STORE_STAMP_BYTES && strspn(stamp, "0123456789TZ-") == len ? stamp
                                                                                       : NULL;
}

static bool is_rescued(const char *path, const char *stamp)
{
    char *mark = store_aside_name(path, stamp, RESCUED);
    bool is = there(mark);
    free(mark);
    return is;
}

enum which { ANY, WAITING, DONE };

/* The first set in order of the stamps behind `after`. */
static enum st next_set(const char *path, const char *after, enum which which,
                        char stamp[STORE_STAMP_BYTES], struct err *e)
{
    char *one = strdup(path), *two = strdup(path);
    DIR *d = one && two ? opendir(dirname(one)) : NULL;
    if (!d) {
        enum st st = fail("list the folder of", path, e);
        free(one);
        free(two);
        return st;
    }
    const char *base = basename(two);
    bool found = false;
    for (struct dirent *x = readdir(d); x; x = readdir(d)) {
        const char *s = stamp_of(base, x->d_name);
        if (!s || strcmp(s, after) <= 0 || (found && strcmp(s, stamp) >= 0) ||
            (which != ANY && is_rescued(path, s) != (which == DONE)))
            continue;
        (void)snprintf(stamp, STORE_STAMP_BYTES, "%s", s);
        found = true;
    }
    closedir(d);
    free(one);
    free(two);
    return found ? ST_OK : ST_NOT_FOUND;
}

enum st store_aside_next(const char *path, const char *after, char stamp[STORE_STAMP_BYTES],
                         struct err *e)
{
    return next_set(path, after, WAITING, stamp, e);
}

static int64_t set_bytes(const char *path, const char *stamp)
{
    int64_t sum = 0;
    for (size_t i = 0; i < PARTS; i++) {
        struct stat sb;
        char *name = store_aside_name(path, stamp, parts[i]);
        if (name && stat(name, &sb) == 0)
            sum += sb.st_size;
        free(name);
    }
    return sum;
}

int64_t store_aside_birth(const char *path, const char *stamp)
{
    int64_t birth_ms = 0;
    for (size_t i = 0; i < PARTS; i++) {
        struct statx sb;
        char *name = store_aside_name(path, stamp, parts[i]);
        if (name && statx(AT_FDCWD, name, 0, STATX_BTIME, &sb) == 0 &&
            (sb.stx_mask & STATX_BTIME)) {
            int64_t ms = (int64_t)sb.stx_btime.tv_sec * 1000;
            birth_ms = birth_ms && birth_ms < ms ? birth_ms : ms;
        }
        free(name);
    }
    return birth_ms;
}

void store_aside_sum(const char *path, int64_t *sets, int64_t *bytes)
{
    char after[STORE_STAMP_BYTES] = "", stamp[STORE_STAMP_BYTES];
    *sets = *bytes = 0;
    while (next_set(path, after, ANY, stamp, NULL) == ST_OK) {
        ++*sets;
        *bytes += set_bytes(path, stamp);
        memcpy(after, stamp, sizeof after);
    }
}

/* The mark goes last: a cut in between leaves a rescued set that the next trim removes. */
static void remove_set(const char *path, const char *stamp)
{
    static const char *const all[] = {".journal", "-wal", "-shm", "", RESCUED};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char *name = store_aside_name(path, stamp, all[i]);
        if (name)
            (void)unlink(name);
        free(name);
    }
}

void store_aside_trim(const char *path, int64_t sets, int64_t bytes, int64_t *gone, bool *over)
{
    char stamp[STORE_STAMP_BYTES];
    int64_t n, sum;
    *gone = 0;
    store_aside_sum(path, &n, &sum);
    while (n > 1 && (n > sets || sum > bytes) && next_set(path, "", DONE, stamp, NULL) == ST_OK) {
        char later[STORE_STAMP_BYTES];
        if (next_set(path, stamp, ANY, later, NULL) != ST_OK)
            break; /* the newest stays */
        remove_set(path, stamp);
        ++*gone;
        store_aside_sum(path, &n, &sum);
    }
    *over = n > sets || sum > bytes;
}

enum st store_aside_rescued(const char *path, const char *stamp, struct err *e)
{
    char *mark = store_aside_name(path, stamp, RESCUED);
    char *shm = store_aside_name(path, stamp, "-shm"); /* SQLite's, of our reading; no data */
    int fd = mark ? open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
    enum st st = fd < 0 ? fail("create", mark, e) : ST_OK;
    if (fd >= 0)
        close(fd);
    if (shm)
        (void)unlink(shm);
    free(shm);
    free(mark);
    return st == ST_OK ? sync_folder(path, e) : st;
}

/* ---- setting aside ---- */

static char *marker_name(const char *path)
{
    char *name = NULL;
    return asprintf(&name, "%s" MARKER, path) < 0 ? NULL : name;
}

/* A stamp that no set has yet. */
static void new_stamp(const char *path, int64_t utc_ms, char stamp[STORE_STAMP_BYTES])
{
    time_t t = (time_t)(utc_ms / 1000);
    struct tm tm;
    char second[24] = "0", first[STORE_STAMP_BYTES];
    if (gmtime_r(&t, &tm))
        (void)strftime(second, sizeof second, "%Y%m%dT%H%M%SZ", &tm);
    (void)snprintf(stamp, STORE_STAMP_BYTES, "%s", second);
    for (int i = 2; i < SAME_SECOND; i++) {
        char *name = store_aside_name(path, stamp, "");
        bool taken = there(name);
        free(name);
        if (!taken)
            return;
        (void)snprintf(first, sizeof first, "%s-%02d", second, i);
        memcpy(stamp, first, sizeof first);
    }
}

enum st store_aside_ask(const char *path, int64_t utc_ms, const char *why, struct err *e)
{
    char stamp[STORE_STAMP_BYTES], *name = marker_name(path);
    new_stamp(path, utc_ms, stamp);
    int fd = name ? open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    enum st st = fd < 0 || dprintf(fd, "%s\n%s\n", stamp, why) < 0 || fsync(fd) != 0
                     ? fail("write", name, e)
                     : ST_OK;
    if (fd >= 0)
        close(fd);
    free(name);
    return st == ST_OK ? sync_folder(path, e) : st;
}

/* The marker's stamp and reason; a stamp that is none was torn: nothing was renamed yet. */
static bool read_marker(const char *path, char stamp[STORE_STAMP_BYTES], char *why, size_t n)
{
    char *name = marker_name(path), text[512] = "";
    FILE *f = name ? fopen(name, "re") : NULL;
    free(name);
    if (!f)
        return false;
    size_t got = fread(text, 1, sizeof text - 1, f);
    text[got] = 0;
    (void)fclose(f);
    char *line = strchr(text, '\n');
    if (line)
        *line++ = 0;
    bool torn = !line || strlen(text) >= STORE_STAMP_BYTES || strlen(text) < 8 ||
                strspn(text, "0123456789TZ-") != strlen(text);
    (void)snprintf(stamp, STORE_STAMP_BYTES, "%s", torn ? "" : text);
    if (line)
        line[strcspn(line, "\n")] = 0;
    (void)snprintf(why, n, "%s", line ? line : "");
    return true;
}

static enum st remove_marker(const char *path, struct err *e)
{
    char *name = marker_name(path);
    enum st st = name && (unlink(name) == 0 || errno == ENOENT) ? ST_OK : fail("remove", name, e);
    free(name);
    return st == ST_OK ? sync_folder(path, e) : st;
}

enum st store_aside_asked(const char *path, bool *asked, char *why, size_t n, struct err *e)
{
    char stamp[STORE_STAMP_BYTES];
    *asked = read_marker(path, stamp, why, n);
    if (!*asked || !stamp[0])
        return ST_OK;
    char *name = store_aside_name(path, stamp, "");
    bool done = there(name);
    free(name);
    if (!done)
        return ST_OK;
    *asked = false;
    return remove_marker(path, e);
}

static enum st move_part(const char *path, const char *stamp, const char *suffix, struct err *e)
{
    char *from = NULL, *to = store_aside_name(path, stamp, suffix);
    if (asprintf(&from, "%s%s", path, suffix) < 0)
        from = NULL;
    enum st st = ST_OK;
    if (!from || !to)
        st = err_set(e, ST_MEMORY, "store %s: no memory", path);
    else if (there(from) && there(to))
        st = err_set(e, ST_CONFLICT, "store %s: %s exists already: move it away", path, to);
    else if (there(from) && rename(from, to) != 0)
        st = fail("rename", from, e);
    free(from);
    free(to);
    return st;
}

/* An empty file stands for a database that is gone, so that there is something to rename last. */
static enum st hold(const char *path, int *fd, struct err *e)
{
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0)
        return fail("open", path, e);
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return ST_OK;
    close(*fd);
    return err_set(e, ST_BUSY, "store %s: another fieldpost runs on it; stop that one first", path);
}

enum st store_aside_move(const char *path, int64_t utc_ms, const char *why, struct err *e)
{
    char stamp[STORE_STAMP_BYTES], was[256];
    int lock = -1;
    ERR_TRY(hold(path, &lock, e));
    enum st st = ST_OK;
    if (!read_marker(path, stamp, was, sizeof was) || !stamp[0]) {
        st = store_aside_ask(path, utc_ms, why, e);
        if (st == ST_OK && (!read_marker(path, stamp, was, sizeof was) || !stamp[0]))
            st = err_set(e, ST_IO, "store %s: the marker " MARKER " cannot be read back", path);
    }
    for (size_t i = 0; i < PARTS && st == ST_OK; i++) {
        st = move_part(path, stamp, parts[i], e);
        if (st == ST_OK) /* one after the other, also on the storage */
            st = sync_folder(path, e);
    }
    if (st == ST_OK)
        st = remove_marker(path, e);
    close(lock);
    return st;
}
