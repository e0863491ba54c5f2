/* Both names of each call are defined below; the headers must not make one of them the other. */
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS
#include "tests/crash/recorder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 1024
#define NO_FILE UINT32_MAX
#define THE_DIR (UINT32_MAX - 1)

static struct {
    pthread_mutex_t lock;
    struct rec_log *log; /* NULL: nothing is recorded */
    char dir[512];
    int phase;
    struct name {
        char *name;
        uint32_t file;
    } * name; /* what the folder holds now */
    size_t nname;
    uint32_t fd[FDS]; /* file + 1; 0: not ours */
    void (*hook)(void *ctx);
    void *ctx;
} rec = {.lock = PTHREAD_MUTEX_INITIALIZER};
static _Thread_local bool in_hook;
static uint64_t random_state;

/* ---- the log ---- */

static char *copy_text(const char *t)
{
    char *c = t ? strdup(t) : NULL;
    rec.log->failed = rec.log->failed || (t && !c);
    return c;
}

static struct rec_op *add(enum rec_kind kind, uint32_t file)
{
    static struct rec_op spare;
    struct rec_log *l = rec.log;
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 1024;
        struct rec_op *op = realloc(l->op, cap * sizeof *op);
        if (!op) {
            l->failed = true;
            return &spare;
        }
        l->op = op;
        l->cap = cap;
    }
    struct rec_op *o = &l->op[l->n++];
    *o = (struct rec_op){.kind = kind, .file = file, .phase = rec.phase};
    return o;
}

static void add_write(uint32_t file, uint64_t off, const void *p, size_t n)
{
    uint8_t *data = malloc(n ? n : 1);
    if (!data) {
        rec.log->failed = true;
        return;
    }
    memcpy(data, p, n);
    struct rec_op *o = add(REC_WRITE, file);
    o->off = off;
    o->n = n;
    o->data = data;
}

static void add_size(uint32_t file, uint64_t n)
{
    add(REC_SIZE, file)->n = n;
}

static struct name *find(const char *name)
{
    for (size_t i = 0; i < rec.nname; i++)
        if (strcmp(rec.name[i].name, name) == 0)
            return &rec.name[i];
    return NULL;
}

static void forget(const char *name)
{
    struct name *x = find(name);
    if (!x)
        return;
    free(x->name);
    *x = rec.name[--rec.nname];
}

static void set_name(const char *name, uint32_t file)
{
    forget(name);
    struct name *v = realloc(rec.name, (rec.nname + 1) * sizeof *v);
    if (!v) {
        rec.log->failed = true;
        return;
    }
    rec.name = v;
    rec.name[rec.nname++] = (struct name){copy_text(name), file};
}

static uint32_t create(const char *name)
{
    uint32_t file = rec.log->files++;
    set_name(name, file);
    add(REC_CREATE, file)->name = copy_text(name);
    return file;
}

/* The name inside the folder; NULL: not ours. */
static const char *inside(const char *path)
{
    size_t n = strlen(rec.dir);
    if (!rec.log || strncmp(path, rec.dir, n) != 0 || path[n] != '/')
        return NULL;
    const char *name = path + n + 1, *shm = "-shm";
    size_t len = strlen(name);
    return len == 0 || (len >= strlen(shm) && strcmp(name + len - strlen(shm), shm) == 0) ? NULL
                                                                                          : name;
}

static bool is_dir(const char *path)
{
    size_t n = strlen(rec.dir);
    return rec.log && strncmp(path, rec.dir, n) == 0 &&
           (path[n] == 0 || strcmp(path + n, "/") == 0 || strcmp(path + n, "/.") == 0);
}

static uint32_t file_of(int fd)
{
    return rec.log && fd >= 0 && fd < FDS && rec.fd[fd] ? rec.fd[fd] - 1 : NO_FILE;
}

static size_t begin(void)
{
    pthread_mutex_lock(&rec.lock);
    return rec.log ? rec.log->n : 0;
}

static void end(size_t before)
{
    bool more = rec.log && rec.log->n > before && rec.hook && !in_hook;
    pthread_mutex_unlock(&rec.lock);
    if (!more)
        return;
    int e = errno;
    in_hook = true;
    rec.hook(rec.ctx);
    in_hook = false;
    errno = e;
}

/* ---- start and stop ---- */

static bool take_over(const char *name)
{
    char path[1024];
    uint8_t block[65536];
    snprintf(path, sizeof path, "%s/%s", rec.dir, name);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    uint32_t file = create(name);
    uint64_t off = 0;
    ssize_t n;
    while ((n = read(fd, block, sizeof block)) > 0) {
        add_write(file, off, block, (size_t)n);
        off += (size_t)n;
    }
    syscall(SYS_close, fd);
    add(REC_SYNC, file);
    return n == 0;
}

bool rec_start(struct rec_log *log, const char *dir)
{
    *log = (struct rec_log){0};
    snprintf(rec.dir, sizeof rec.dir, "%s", dir);
    rec.phase = 0;
    rec.log = log;
    memset(rec.fd, 0, sizeof rec.fd);
    DIR *d = opendir(dir);
    bool ok = d != NULL;
    for (struct dirent *x; ok && (x = readdir(d));)
        if (x->d_name[0] != '.')
            ok = take_over(x->d_name);
    if (d)
        closedir(d);
    add(REC_DIRSYNC, NO_FILE);
    return ok && !log->failed;
}

void rec_stop(void)
{
    rec.log = NULL;
    rec.hook = NULL;
    for (size_t i = 0; i < rec.nname; i++)
        free(rec.name[i].name);
    free(rec.name);
    rec.name = NULL;
    rec.nname = 0;
}

void rec_free(struct rec_log *log)
{
    for (size_t i = 0; i < log->n; i++) {
        free(log->op[i].data);
        free(log->op[i].name);
        free(log->op[i].to);
    }
    free(log->op);
    *log = (struct rec_log){0};
}

void rec_phase(int phase)
{
    rec.phase = phase;
}

void rec_watch(void (*hook)(void *ctx), void *ctx)
{
    rec.hook = hook;
    rec.ctx = ctx;
}

uint64_t rec_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void rec_random(uint64_t seed)
{
    random_state = seed;
}

/* ---- the calls ---- */

static void opened(int fd, const char *path, int flags)
{
    if (fd < 0 || fd >= FDS)
        return;
    size_t before = begin();
    const char *name = inside(path);
    rec.fd[fd] = is_dir(path) ? THE_DIR + 1 : 0;
    if (name) {
        struct name *x = find(name);
        if (x && flags & O_TRUNC)
            add_size(x->file, 0);
        rec.fd[fd] = (x ? x->file : create(name)) + 1;
    }
    end(before);
}

static int do_open(const char *path, int flags, unsigned mode)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    opened(fd, path, flags);
    return fd;
}

/* A relative path of openat is outside: the product names its files whole. */
static int do_openat(int at, const char *path, int flags, unsigned mode)
{
    int fd = (int)syscall(SYS_openat, at, path, flags, mode);
    opened(fd, path, flags);
    return fd;
}

static ssize_t wrote(int fd, const void *p, ssize_t n, uint64_t off)
{
    size_t before = begin();
    uint32_t file = file_of(fd);
    if (n > 0 && file < THE_DIR)
        add_write(file, off, p, (size_t)n);
    end(before);
    return n;
}

static int resized(int fd, int rc, uint64_t n)
{
    size_t before = begin();
    uint32_t file = file_of(fd);
    if (rc == 0 && file < THE_DIR)
        add_size(file, n);
    end(before);
    return rc;
}

static uint64_t size_of(int fd)
{
    struct stat sb;
    return fstat(fd, &sb) == 0 ? (uint64_t)sb.st_size : 0;
}

/* Where the next write of this descriptor goes. */
static uint64_t place(int fd)
{
    if ((fcntl(fd, F_GETFL) & O_APPEND) != 0)
        return size_of(fd);
    off_t at = lseek(fd, 0, SEEK_CUR);
    return at < 0 ? 0 : (uint64_t)at;
}

static int synced(int fd)
{
    size_t before = begin();
    uint32_t file = file_of(fd);
    if (file == THE_DIR)
        add(REC_DIRSYNC, NO_FILE);
    else if (file != NO_FILE)
        add(REC_SYNC, file);
    end(before);
    return 0;
}

static int do_fallocate(int fd, int mode, off_t off, off_t len)
{
    uint64_t was = size_of(fd);
    int rc = (int)syscall(SYS_fallocate, fd, mode, off, len);
    uint64_t now = size_of(fd);
    if (mode & ~FALLOC_FL_KEEP_SIZE && rc == 0) { /* punched, zeroed: nobody asks for these yet */
        fprintf(stderr, "recorder: fallocate mode %d is not known\n", mode);
        abort();
    }
    return now == was ? rc : resized(fd, rc, now);
}

static int renamed(const char *from, const char *to)
{
    int rc = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    size_t before = begin();
    const char *a = inside(from), *b = inside(to);
    struct name *x = a ? find(a) : NULL;
    if (rc == 0 && x && b) {
        uint32_t file = x->file;
        forget(a);
        set_name(b, file);
        struct rec_op *o = add(REC_RENAME, file);
        o->name = copy_text(a);
        o->to = copy_text(b);
    } else if (rc == 0 && (a || b)) {
        fprintf(stderr, "recorder: a file moved across the folder's edge: %s to %s\n", from, to);
        abort();
    }
    end(before);
    return rc;
}

static int unlinked(const char *path)
{
    int rc = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    size_t before = begin();
    const char *name = inside(path);
    struct name *x = name ? find(name) : NULL;
    if (rc == 0 && x) {
        struct rec_op *o = add(REC_UNLINK, x->file);
        o->name = copy_text(name);
        forget(name);
    }
    end(before);
    return rc;
}

/* The definitions that take the place of the C library's; its headers declare them. */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wnonnull-compare"
#endif

#define MODE_OF(flags, last)                                                                       \
    unsigned mode = 0;                                                                             \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                       \
        va_list ap;                                                                                \
        va_start(ap, last);                                                                        \
        mode = va_arg(ap, unsigned);                                                               \
        va_end(ap);                                                                                \
    }

int open(const char *path, int flags, ...)
{
    MODE_OF(flags, flags)
    return do_open(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE_OF(flags, flags)
    return do_open(path, flags, mode);
}

int openat(int at, const char *path, int flags, ...)
{
    MODE_OF(flags, flags)
    return do_openat(at, path, flags, mode);
}

int openat64(int at, const char *path, int flags, ...)
{
    MODE_OF(flags, flags)
    return do_openat(at, path, flags, mode);
}

int close(int fd)
{
    pthread_mutex_lock(&rec.lock);
    if (fd >= 0 && fd < FDS)
        rec.fd[fd] = 0;
    pthread_mutex_unlock(&rec.lock);
    return (int)syscall(SYS_close, fd);
}

ssize_t write(int fd, const void *p, size_t n)
{
    uint64_t off = file_of(fd) < THE_DIR ? place(fd) : 0;
    return wrote(fd, p, syscall(SYS_write, fd, p, n), off);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t off)
{
    return wrote(fd, p, syscall(SYS_pwrite64, fd, p, n, off), (uint64_t)off);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t off)
{
    return wrote(fd, p, syscall(SYS_pwrite64, fd, p, n, off), (uint64_t)off);
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t off)
{
    ssize_t sum = 0;
    for (int i = 0; i < n; i++) {
        ssize_t one = pwrite(fd, v[i].iov_base, v[i].iov_len, off + sum);
        if (one < 0)
            return sum ? sum : -1;
        sum += one;
        if ((size_t)one < v[i].iov_len)
            break;
    }
    return sum;
}

ssize_t pwritev64(int fd, const struct iovec *v, int n, off64_t off)
{
    return pwritev(fd, v, n, off);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
    if (file_of(fd) >= THE_DIR)
        return syscall(SYS_writev, fd, v, n);
    ssize_t sum = 0;
    for (int i = 0; i < n; i++) {
        ssize_t one = write(fd, v[i].iov_base, v[i].iov_len);
        if (one < 0)
            return sum ? sum : -1;
        sum += one;
        if ((size_t)one < v[i].iov_len)
            break;
    }
    return sum;
}

int ftruncate(int fd, off_t n)
{
    return resized(fd, (int)syscall(SYS_ftruncate, fd, n), (uint64_t)n);
}

int ftruncate64(int fd, off64_t n)
{
    return resized(fd, (int)syscall(SYS_ftruncate, fd, n), (uint64_t)n);
}

int fallocate(int fd, int mode, off_t off, off_t len)
{
    return do_fallocate(fd, mode, off, len);
}

int fallocate64(int fd, int mode, off64_t off, off64_t len)
{
    return do_fallocate(fd, mode, off, len);
}

int posix_fallocate(int fd, off_t off, off_t len)
{
    return do_fallocate(fd, 0, off, len) == 0 ? 0 : errno;
}

int posix_fallocate64(int fd, off64_t off, off64_t len)
{
    return do_fallocate(fd, 0, off, len) == 0 ? 0 : errno;
}

int fsync(int fd)
{
    return synced(fd);
}

int fdatasync(int fd)
{
    return synced(fd);
}

int rename(const char *from, const char *to)
{
    return renamed(from, to);
}

int unlink(const char *path)
{
    return unlinked(path);
}

int remove(const char *path)
{
    int rc = unlinked(path);
    return rc != 0 && errno == EISDIR ? rmdir(path) : rc;
}

ssize_t getrandom(void *p, size_t n, unsigned flags)
{
    if (!random_state)
        return syscall(SYS_getrandom, p, n, flags);
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)p)[i] = (uint8_t)rec_next(&random_state);
    return (ssize_t)n;
}
