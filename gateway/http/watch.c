#include "gateway/http/http_int.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/base/clk.h"

#define DRAIN_MAX 8 /* lingering connections at a time; further ones are closed at once */

static int64_t now_ms(void)
{
    return clk_mono(clk_real()).ms;
}

/* Reads away what has come; true when the peer has ended or failed. */
static bool drain(int fd)
{
    char waste[4096];
    ssize_t n;

    /* bounded, so that one fast sender does not hold the thread */
    for (int i = 0; i < 64; i++) {
        n = recv(fd, waste, sizeof waste, MSG_DONTWAIT);
        if (n <= 0)
            return n == 0 || (errno != EAGAIN && errno != EINTR);
    }
    return false;
}

static void drain_end(struct http_watch *w, struct http_watch_slot *s)
{
    close(s->fd);
    s->fd = -1;
    s->draining = false;
    w->draining--;
}

/* Ends what is overdue; how long until the next may be. A deadline is never nearer than head_ms
 * when it is set, so sleeping so long misses none. Nothing here blocks. */
static int64_t watch_pass(struct http_watch *w, struct pollfd *p, nfds_t *np)
{
    int64_t now = now_ms(), wait = w->head_ms;

    *np = 2;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->n; i++) {
        struct http_watch_slot *s = &w->slots[i];
        if (s->fd < 0)
            continue;
        int64_t left = s->deadline_ms - now;
        if (s->draining && (left <= 0 || drain(s->fd))) {
            drain_end(w, s);
            continue;
        }
        /* the fd is open: removal takes this lock before libmicrohttpd closes it */
        if (left <= 0)
            shutdown(s->fd, SHUT_RDWR);
        else if (left < wait)
            wait = left;
        if (s->draining)
            p[(*np)++] = (struct pollfd){.fd = s->fd, .events = POLLIN};
    }
    pthread_mutex_unlock(&w->lock);
    return wait;
}

static void watch_main(void *arg)
{
    struct http_watch *w = arg;
    struct pollfd p[2 + DRAIN_MAX] = {{.fd = w->stop.fd, .events = POLLIN},
                                      {.fd = w->wake_fd, .events = POLLIN}};
    uint64_t waste;

    while (!atomic_load(&w->stop.set)) {
        nfds_t n;
        int64_t wait = watch_pass(w, p, &n);
        if (poll(p, n, (int)wait) > 0 && p[1].revents != 0 &&
            read(w->wake_fd, &waste, sizeof waste) < 0)
            continue; /* nobody waits for the count itself */
    }
}

enum st http_watch_open(struct http_watch *w, size_t n, int64_t grace_ms, int64_t head_ms,
                        struct err *e)
{
    enum st st;

    w->grace_ms = grace_ms;
    w->head_ms = head_ms;
    w->draining = 0;
    w->slots = calloc(n, sizeof *w->slots);
    if (w->slots == NULL)
        return err_set(e, ST_MEMORY, "no memory for %zu connections", n);
    w->n = n;
    for (size_t i = 0; i < n; i++)
        w->slots[i].fd = -1;
    pthread_mutex_init(&w->lock, NULL);
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    st = w->wake_fd >= 0 ? thr_stop_open(&w->stop, e)
                         : err_set(e, ST_IO, "no descriptor for the web server's watch");
    if (st == ST_OK) {
        st = thr_start(&w->thread, "http-watch", watch_main, w, e);
        if (st != ST_OK)
            thr_stop_close(&w->stop);
    }
    if (st != ST_OK) {
        if (w->wake_fd >= 0)
            close(w->wake_fd);
        pthread_mutex_destroy(&w->lock);
        free(w->slots);
        w->slots = NULL;
    }
    return st;
}

void http_watch_close(struct http_watch *w)
{
    if (w->slots == NULL)
        return;
    thr_stop_now(&w->stop);
    thr_join(&w->thread);
    thr_stop_close(&w->stop);
    for (size_t i = 0; i < w->n; i++) {
        if (w->slots[i].draining)
            drain_end(w, &w->slots[i]);
    }
    close(w->wake_fd);
    pthread_mutex_destroy(&w->lock);
    free(w->slots);
    w->slots = NULL;
}

struct http_watch_slot *http_watch_add(struct http_watch *w, int fd, const struct http_peer *peer)
{
    struct http_watch_slot *s = NULL;

    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->n && s == NULL; i++) {
        if (w->slots[i].fd < 0)
            s = &w->slots[i];
    }
    if (s != NULL)
        *s =
            (struct http_watch_slot){.fd = fd, .peer = *peer, .deadline_ms = now_ms() + w->head_ms};
    pthread_mutex_unlock(&w->lock);
    return s;
}

void http_watch_extend(struct http_watch *w, struct http_watch_slot *s, int64_t more_ms)
{
    int64_t deadline = now_ms() + w->grace_ms + more_ms;

    pthread_mutex_lock(&w->lock);
    s->deadline_ms = deadline;
    pthread_mutex_unlock(&w->lock);
}

void http_watch_head(struct http_watch *w, struct http_watch_slot *s)
{
    pthread_mutex_lock(&w->lock);
    if (s->kept)
        s->deadline_ms = now_ms() + w->head_ms;
    pthread_mutex_unlock(&w->lock);
}

void http_watch_rest(struct http_watch *w, struct http_watch_slot *s)
{
    pthread_mutex_lock(&w->lock);
    s->kept = true;
    s->deadline_ms = now_ms() + w->grace_ms + w->head_ms;
    pthread_mutex_unlock(&w->lock);
}

size_t http_watch_count(struct http_watch *w, const struct http_peer *peer, size_t *each)
{
    size_t all = 0;

    *each = 0;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->n; i++) {
        const struct http_watch_slot *s = &w->slots[i];
        bool open = s->fd >= 0 && !s->draining;
        all += open;
        *each += open && memcmp(&s->peer, peer, sizeof *peer) == 0;
    }
    pthread_mutex_unlock(&w->lock);
    return all;
}

void http_watch_linger(struct http_watch *w, struct http_watch_slot *s)
{
    pthread_mutex_lock(&w->lock);
    s->linger = true;
    pthread_mutex_unlock(&w->lock);
}

void http_watch_remove(struct http_watch *w, struct http_watch_slot *s)
{
    const uint64_t one = 1;
    bool wake = false;

    pthread_mutex_lock(&w->lock);
    int fd = s->linger && w->draining < DRAIN_MAX ? fcntl(s->fd, F_DUPFD_CLOEXEC, 3) : -1;
    *s = (struct http_watch_slot){.fd = fd};
    if (fd >= 0) {
        s->draining = wake = true;
        s->deadline_ms = now_ms() + w->grace_ms;
        w->draining++;
    }
    pthread_mutex_unlock(&w->lock);
    if (wake && write(w->wake_fd, &one, sizeof one) < 0)
        return; /* the count is full: it is awake */
}
