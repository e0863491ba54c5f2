/* LD_PRELOAD: the program lives `speed` times faster than its libraries.
 *
 * FP_WARP names a file of six int64: where the warp begins on the real CLOCK_MONOTONIC (ns), UTC
 * and time since boot at that moment (ns), speed, a step of the wall clock (ns, may change at any
 * time), the longest real wait of a network transfer (ms). A call that comes from the main
 * executable sees that time; libcurl, GnuTLS, libmodbus, libmicrohttpd and SQLite keep their own,
 * as peers and disks do. A wait of the program on a socket is real too and lasts SOCKET_MS at
 * least: who answers does not live faster. fp_warp.py writes the file. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CURL_DISABLE_TYPECHECK /* else curl_easy_setopt is a macro */
#include <curl/curl.h>

#define SOCKET_MS 300
#define NS INT64_C(1000000000)

struct warp {
    int64_t real_ns, utc_ns, boot_ns, speed;
    volatile int64_t step_ns;
    int64_t network_ms;
};
static const struct warp *warp; /* NULL: this process is not warped */
static uintptr_t from, to;      /* the main executable */
static int (*real_clock)(clockid_t, struct timespec *);
static int (*real_wait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
static int (*real_poll)(struct pollfd *, nfds_t, int);
static int (*real_ppoll)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
static CURLcode (*real_setopt)(CURL *, CURLoption, ...);

static int main_program(struct dl_phdr_info *info, size_t size, void *ctx)
{
    (void)size, (void)ctx;
    from = UINTPTR_MAX;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t at = info->dlpi_addr + p->p_vaddr;
        if (p->p_type != PT_LOAD)
            continue;
        from = at < from ? at : from;
        to = at + p->p_memsz > to ? at + p->p_memsz : to;
    }
    return 1; /* the first is the program itself */
}

static void find(void *to_pointer, const char *name)
{
    void *p = dlsym(RTLD_NEXT, name);
    memcpy(to_pointer, &p, sizeof p);
}

__attribute__((constructor)) static void begin(void)
{
    find(&real_clock, "clock_gettime");
    find(&real_wait, "pthread_cond_timedwait");
    find(&real_poll, "poll");
    find(&real_ppoll, "ppoll");
    find(&real_setopt, "curl_easy_setopt");
    dl_iterate_phdr(main_program, NULL);
    const char *path = getenv("FP_WARP");
    if (!path)
        return;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *warp, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        (void)fprintf(stderr, "warp: %s: %s\n", path, strerror(errno));
        _exit(2);
    }
    close(fd);
    warp = p;
}

static bool is_ours(const void *caller)
{
    return warp && (uintptr_t)caller >= from && (uintptr_t)caller < to;
}

static int64_t ns_of(const struct timespec *t)
{
    return (int64_t)t->tv_sec * NS + t->tv_nsec;
}

static struct timespec timespec_of(int64_t ns)
{
    return (struct timespec){ns / NS, ns % NS};
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    if (!real_clock) /* another constructor runs before ours */
        find(&real_clock, "clock_gettime");
    bool utc = id == CLOCK_REALTIME;
    if (!is_ours(__builtin_return_address(0)) ||
        !(utc || id == CLOCK_MONOTONIC || id == CLOCK_BOOTTIME))
        return real_clock(id, t);
    int rc = real_clock(CLOCK_MONOTONIC, t);
    int64_t gone = (ns_of(t) - warp->real_ns) * warp->speed;
    *t = timespec_of(gone + (utc ? warp->utc_ns + warp->step_ns : warp->boot_ns));
    return rc;
}

/* The program's condition variables are on CLOCK_MONOTONIC. */
int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until)
{
    if (!is_ours(__builtin_return_address(0)))
        return real_wait(c, m, until);
    struct timespec t = timespec_of(warp->real_ns + (ns_of(until) - warp->boot_ns) / warp->speed);
    return real_wait(c, m, &t);
}

static bool any_socket(const struct pollfd *p, nfds_t n)
{
    bool any = false;
    for (nfds_t i = 0; i < n; i++) {
        int type;
        socklen_t size = sizeof type;
        any = any || getsockopt(p[i].fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
    }
    return any;
}

int poll(struct pollfd *p, nfds_t n, int ms)
{
    if (ms < 0 || !is_ours(__builtin_return_address(0)))
        return real_poll(p, n, ms);
    if (any_socket(p, n))
        return real_poll(p, n, ms / warp->speed > SOCKET_MS ? (int)(ms / warp->speed) : SOCKET_MS);
    struct timespec t = timespec_of((int64_t)ms * 1000000 / warp->speed);
    return real_ppoll(p, n, &t, NULL);
}

/* Sleeps alone: the program waits for sockets with poll. */
int ppoll(struct pollfd *p, nfds_t n, const struct timespec *t, const sigset_t *mask)
{
    if (!t || !is_ours(__builtin_return_address(0)))
        return real_ppoll(p, n, t, mask);
    struct timespec scaled = timespec_of(ns_of(t) / warp->speed);
    return real_ppoll(p, n, &scaled, mask);
}

#undef curl_easy_setopt
CURLcode curl_easy_setopt(CURL *h, CURLoption option, ...)
{
    va_list args;
    va_start(args, option);
    void *arg = va_arg(args, void *); /* a long or a pointer: the same register */
    va_end(args);
    if (is_ours(__builtin_return_address(0)) &&
        (option == CURLOPT_TIMEOUT_MS || option == CURLOPT_CONNECTTIMEOUT_MS) &&
        (intptr_t)arg > warp->network_ms)
        return real_setopt(h, option, (long)warp->network_ms);
    return real_setopt(h, option, arg);
}
