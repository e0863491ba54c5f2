#include "gateway/base/thr.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "gateway/base/clk.h"

/* Sanitizers make frames several times larger. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_FACTOR 8
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK_FACTOR 8
#endif
#endif
#ifndef STACK_FACTOR
#define STACK_FACTOR 1
#endif

enum st thr_stop_open(struct thr_stop *s, struct err *e)
{
    atomic_init(&s->set, false);
    s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->fd < 0) {
        return err_set(e, ST_IO, "cannot make an eventfd: %s", strerror(errno));
    }
    return ST_OK;
}

void thr_stop_close(struct thr_stop *s)
{
    if (s->fd >= 0) {
        (void)close(s->fd);
    }
    s->fd = -1;
}

void thr_stop_now(struct thr_stop *s)
{
    int saved = errno;
    uint64_t one = 1;
    atomic_store(&s->set, true);
    /* fails only when the counter is full, and then it is readable already */
    (void)!write(s->fd, &one, sizeof(one));
    errno = saved;
}

bool thr_stop_wait(struct thr_stop *s, int64_t ms)
{
    int64_t until = ms < 0 ? -1 : clk_physical_ms() + ms;
    while (!atomic_load(&s->set)) {
        int64_t left = until < 0 ? -1 : until - clk_physical_ms();
        if (until >= 0 && left <= 0) {
            break;
        }
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        /* woken by a signal, by time or by the stop: the loop's condition tells them apart */
        (void)poll(&p, 1, left > 3600000 ? 3600000 : (int)left);
    }
    return atomic_load(&s->set);
}

struct launch {
    void (*main)(void *);
    void *arg;
};

static void *trampoline(void *p)
{
    struct launch l = *(struct launch *)p;
    free(p);
    l.main(l.arg);
    return NULL;
}

enum st thr_start(struct thr *t, const char *name, void (*main)(void *), void *arg, struct err *e)
{
    t->running = false;
    struct launch *l = malloc(sizeof(*l));
    if (!l) {
        return err_set(e, ST_MEMORY, "no memory to start thread %s", name);
    }
    *l = (struct launch){main, arg};
    pthread_attr_t attr;
    int rc = pthread_attr_init(&attr);
    if (rc != 0) {
        free(l);
        return err_set(e, ST_MEMORY, "cannot start thread %s: %s", name, strerror(rc));
    }
    sigset_t all, old;
    (void)sigfillset(&all);
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}; /* a thread's own */
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        (void)sigdelset(&all, faults[i]);
    rc = pthread_attr_setstacksize(&attr, (size_t)THR_STACK_BYTES * STACK_FACTOR);
    if (rc == 0) {
        /* a new thread inherits the mask: no signal can reach it, not even at its start */
        (void)pthread_sigmask(SIG_SETMASK, &all, &old);
        rc = pthread_create(&t->id, &attr, trampoline, l);
        (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    (void)pthread_attr_destroy(&attr);
    if (rc != 0) {
        free(l);
        return err_set(e, ST_MEMORY, "cannot start thread %s: %s", name, strerror(rc));
    }
    (void)pthread_setname_np(t->id, name); /* only for the eye: ps, gdb */
    t->running = true;
    return ST_OK;
}

void thr_join(struct thr *t)
{
    if (t->running) {
        (void)pthread_join(t->id, NULL);
        t->running = false;
    }
}

int thr_cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);
    if (rc != 0) {
        return rc;
    }
    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (rc == 0) {
        rc = pthread_cond_init(c, &attr);
    }
    (void)pthread_condattr_destroy(&attr);
    return rc;
}

bool thr_cond_wait(pthread_cond_t *c, pthread_mutex_t *m, int64_t ms)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    if (ms < 0) {
        ms = 0;
    }
    t.tv_sec += (time_t)(ms / 1000);
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return pthread_cond_timedwait(c, m, &t) == 0;
}
