#include "tests/crash/nth.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- control ---- */

static struct nth *control;

/* Before any other constructor may call what we stand in front of: by system calls alone. */
__attribute__((constructor(101))) static void control_open(void)
{
    const char *path = getenv("FP_NTH");
    int flags = MAP_SHARED | (path ? 0 : MAP_ANONYMOUS), fd = -1;
    if (path)
        fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    long p = path && fd < 0
                 ? -1
                 : syscall(SYS_mmap, NULL, sizeof *control, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (p == -1)
        abort();               /* a test that injects nothing must not pass */
    control = (struct nth *)p; // NOLINT(performance-no-int-to-ptr)
    if (fd >= 0)
        (void)syscall(SYS_close, fd);
}

struct nth *nth_control(void)
{
    return control;
}

void nth_use(struct nth *n)
{
    control = n;
}

void nth_arm(enum nth_class class, int error, int64_t at, bool forever)
{
    nth_disarm();
    atomic_store(&control->failed, 0);
    atomic_store(&control->error, error);
    atomic_store(&control->forever, forever);
    atomic_store(&control->at, at);
    atomic_store(&control->armed, (int32_t) class + 1);
}

void nth_disarm(void)
{
    atomic_store(&control->armed, 0);
}

static int32_t paused;

void nth_pause(void)
{
    paused = atomic_exchange(&control->armed, 0);
}

void nth_resume(void)
{
    atomic_store(&control->armed, paused);
}

/* Counts one call; true: it must fail with control->error. */
static bool fails(enum nth_class class)
{
    int32_t armed = control ? atomic_load(&control->armed) : 0;
    if (armed == 0)
        return false;
    atomic_fetch_add(&control->calls[class], 1);
    if (armed != (int32_t) class + 1)
        return false;
    int64_t left = atomic_fetch_sub(&control->at, 1);
    if (left > 1 || (left < 1 && !atomic_load(&control->forever)))
        return false;
    atomic_fetch_add(&control->failed, 1);
    return true;
}

/* ---- files ---- */

static bool begins(const char *path)
{
    return strncmp(path, control->under, strlen(control->under)) == 0;
}

static bool is_meant(int fd)
{
    struct stat sb;
    if (!control || !atomic_load(&control->armed) || fstat(fd, &sb) != 0 || !S_ISREG(sb.st_mode))
        return false;
    if (!control->under[0])
        return true;
    char link[64], path[4096];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = 0;
    return n > 0 && begins(path);
}

static bool is_meant_path(const char *path)
{
    return control && begins(path);
}

static bool file_fails(enum nth_class class, int fd)
{
    int saved = errno;
    bool fail = is_meant(fd) && fails(class);
    errno = fail ? atomic_load(&control->error) : saved;
    return fail;
}

static bool path_fails(enum nth_class class, const char *path)
{
    int saved = errno;
    bool fail = is_meant_path(path) && fails(class);
    errno = fail ? atomic_load(&control->error) : saved;
    return fail;
}

static bool call_fails(enum nth_class class)
{
    int saved = errno;
    bool fail = fails(class);
    errno = fail ? atomic_load(&control->error) : saved;
    return fail;
}

/* The next one behind us; the sanitizers' is one of these. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
/* A function `name` that fails with `bad` when the condition says so. */
#define STAND_IN(type, bad, condition, name, parameters, arguments)                                \
    type name parameters                                                                           \
    {                                                                                              \
        static __typeof__(&name) real;                                                             \
        if (!real)                                                                                 \
            real = REAL(name);                                                                     \
        return (condition) ? (bad) : real arguments;                                               \
    }

STAND_IN(ssize_t, -1, file_fails(NTH_READ, fd), read, (int fd, void *p, size_t n), (fd, p, n))
STAND_IN(ssize_t, -1, file_fails(NTH_READ, fd), pread, (int fd, void *p, size_t n, off_t at),
         (fd, p, n, at))
STAND_IN(ssize_t, -1, file_fails(NTH_READ, fd), pread64, (int fd, void *p, size_t n, off64_t at),
         (fd, p, n, at))
STAND_IN(ssize_t, -1, file_fails(NTH_READ, fd), readv, (int fd, const struct iovec *v, int n),
         (fd, v, n))
STAND_IN(ssize_t, -1, file_fails(NTH_WRITE, fd), write, (int fd, const void *p, size_t n),
         (fd, p, n))
STAND_IN(ssize_t, -1, file_fails(NTH_WRITE, fd), pwrite,
         (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
STAND_IN(ssize_t, -1, file_fails(NTH_WRITE, fd), pwrite64,
         (int fd, const void *p, size_t n, off64_t at), (fd, p, n, at))
STAND_IN(ssize_t, -1, file_fails(NTH_WRITE, fd), writev, (int fd, const struct iovec *v, int n),
         (fd, v, n))
STAND_IN(int, -1, file_fails(NTH_SYNC, fd), fsync, (int fd), (fd))
STAND_IN(int, -1, file_fails(NTH_SYNC, fd), fdatasync, (int fd), (fd))
STAND_IN(int, -1, file_fails(NTH_SPACE, fd), ftruncate, (int fd, off_t n), (fd, n))
STAND_IN(int, -1, file_fails(NTH_SPACE, fd), ftruncate64, (int fd, off64_t n), (fd, n))
STAND_IN(int, -1, file_fails(NTH_SPACE, fd), fallocate, (int fd, int mode, off_t at, off_t n),
         (fd, mode, at, n))
STAND_IN(int, -1, file_fails(NTH_SPACE, fd), fallocate64, (int fd, int mode, off64_t at, off64_t n),
         (fd, mode, at, n))
/* These two return what others leave in errno. */
STAND_IN(int, errno, file_fails(NTH_SPACE, fd), posix_fallocate, (int fd, off_t at, off_t n),
         (fd, at, n))
STAND_IN(int, errno, file_fails(NTH_SPACE, fd), posix_fallocate64, (int fd, off64_t at, off64_t n),
         (fd, at, n))
STAND_IN(int, -1, path_fails(NTH_NAME, from), rename, (const char *from, const char *to),
         (from, to))
STAND_IN(int, -1, path_fails(NTH_NAME, path), unlink, (const char *path), (path))

static mode_t mode_of(int flags, va_list ap)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

#define STAND_IN_OPEN(name, parameters, arguments)                                                 \
    int name parameters                                                                            \
    {                                                                                              \
        static __typeof__(&name) real;                                                             \
        va_list ap;                                                                                \
        va_start(ap, flags);                                                                       \
        mode_t mode = mode_of(flags, ap);                                                          \
        va_end(ap);                                                                                \
        if (!real)                                                                                 \
            real = REAL(name);                                                                     \
        return path_fails(NTH_OPEN, path) ? -1 : real arguments;                                   \
    }

STAND_IN_OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
STAND_IN_OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
STAND_IN_OPEN(openat, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
STAND_IN_OPEN(openat64, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))

static bool is_from(const void *caller, const char *library)
{
    Dl_info from;
    return dladdr(caller, &from) && from.dli_fname && strstr(from.dli_fname, library);
}

/* ---- memory ---- */

/* Under GnuTLS, libtasn1 4.19 crashes without memory and GNU MP aborts: neither is ours to prove,
 * and a gateway that meets it is started again. (Where GNU MP asks by way of GnuTLS, nth_case.c
 * tells the abort apart.) While other calls fail nobody asks who calls here: the answer takes
 * longer than the call. */
static bool memory_fails(const void *caller)
{
    int32_t armed = control ? atomic_load(&control->armed) : 0;
    bool asked = armed == NTH_MEMORY + 1 || armed == NTH_CLASSES + 1;
    return asked && !is_from(caller, "libtasn1") && !is_from(caller, "libgmp") &&
           call_fails(NTH_MEMORY);
}
#define NO_MEMORY memory_fails(__builtin_return_address(0))

STAND_IN(void *, NULL, NO_MEMORY, malloc, (size_t n), (n))
STAND_IN(void *, NULL, NO_MEMORY, calloc, (size_t n, size_t size), (n, size))
STAND_IN(void *, NULL, NO_MEMORY, realloc, (void *p, size_t n), (p, n))
STAND_IN(void *, NULL, NO_MEMORY, reallocarray, (void *p, size_t n, size_t size), (p, n, size))
STAND_IN(char *, NULL, NO_MEMORY, strdup, (const char *s), (s))
STAND_IN(void *, MAP_FAILED, call_fails(NTH_MAP), mmap,
         (void *p, size_t n, int prot, int flags, int fd, off_t at), (p, n, prot, flags, fd, at))
STAND_IN(void *, MAP_FAILED, call_fails(NTH_MAP), mmap64,
         (void *p, size_t n, int prot, int flags, int fd, off64_t at), (p, n, prot, flags, fd, at))

void *mremap(void *p, size_t old, size_t n, int flags, ...)
{
    static __typeof__(&mremap) real;
    va_list ap;
    va_start(ap, flags);
    void *to = flags & MREMAP_FIXED ? va_arg(ap, void *) : NULL;
    va_end(ap);
    if (!real)
        real = REAL(mremap);
    return call_fails(NTH_MAP) ? MAP_FAILED : real(p, old, n, flags, to);
}

/* ---- network ---- */

STAND_IN(ssize_t, -1, call_fails(NTH_SEND), send, (int fd, const void *p, size_t n, int flags),
         (fd, p, n, flags))
STAND_IN(ssize_t, -1, call_fails(NTH_SEND), sendto,
         (int fd, const void *p, size_t n, int flags, const struct sockaddr *to, socklen_t len),
         (fd, p, n, flags, to, len))
STAND_IN(ssize_t, -1, call_fails(NTH_SEND), sendmsg, (int fd, const struct msghdr *m, int flags),
         (fd, m, flags))
STAND_IN(ssize_t, -1, call_fails(NTH_RECV), recv, (int fd, void *p, size_t n, int flags),
         (fd, p, n, flags))
STAND_IN(ssize_t, -1, call_fails(NTH_RECV), recvfrom,
         (int fd, void *p, size_t n, int flags, struct sockaddr *from, socklen_t *len),
         (fd, p, n, flags, from, len))
STAND_IN(ssize_t, -1, call_fails(NTH_RECV), recvmsg, (int fd, struct msghdr *m, int flags),
         (fd, m, flags))

/* ---- SQLite ---- */

/* The last call on this connection was one that we failed: what it says about errors is ours. */
static _Thread_local struct {
    sqlite3 *h;
    int code;
} last;

static bool sqlite_fails(enum nth_class class, sqlite3 *h)
{
    bool fail = fails(class);
    if (fail) {
        last.h = h;
        last.code = atomic_load(&control->error);
    } else if (last.h == h) {
        last.h = NULL;
    }
    return fail;
}

/* SQLite calls its own interface too, and there takes the error from the statement, which knows of
 * none: such a call would fail unnoticed. */
#define FROM_PRODUCT (!is_from(__builtin_return_address(0), "libsqlite3"))

STAND_IN(int, last.code, FROM_PRODUCT &&sqlite_fails(NTH_STEP, sqlite3_db_handle(q)), sqlite3_step,
         (sqlite3_stmt * q), (q))
/* sqlite3_open asks for its own error: of a connection that may stand where the last one stood. */
#define IS_LAST(h) (last.h && last.h == (h) && FROM_PRODUCT)
#define NO_STATEMENT(q) (*(q) = NULL, last.code)
STAND_IN(int, NO_STATEMENT(q), FROM_PRODUCT &&sqlite_fails(NTH_PREPARE, h), sqlite3_prepare_v2,
         (sqlite3 * h, const char *sql, int n, sqlite3_stmt **q, const char **tail),
         (h, sql, n, q, tail))
STAND_IN(int, NO_STATEMENT(q), FROM_PRODUCT &&sqlite_fails(NTH_PREPARE, h), sqlite3_prepare_v3,
         (sqlite3 * h, const char *sql, int n, unsigned flags, sqlite3_stmt **q, const char **tail),
         (h, sql, n, flags, q, tail))
STAND_IN(int, last.code, FROM_PRODUCT &&sqlite_fails(NTH_STEP, h), sqlite3_exec,
         (sqlite3 * h, const char *sql, int (*each)(void *, int, char **, char **), void *ctx,
          char **message),
         (h, sql, each, ctx, message))
STAND_IN(int, last.code & 0xff, IS_LAST(h), sqlite3_errcode, (sqlite3 * h), (h))
STAND_IN(int, last.code, IS_LAST(h), sqlite3_extended_errcode, (sqlite3 * h), (h))
STAND_IN(const char *, sqlite3_errstr(last.code), IS_LAST(h), sqlite3_errmsg, (sqlite3 * h), (h))
