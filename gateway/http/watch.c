#include "gateway/http/http_int.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "gateway/base/clk.h"

static int64_t now_ms(void)
{
    return clk_mono(clk_real()).ms;
}

/* Shuts down what is overdue; how long until the next may be. A deadline is never nearer than
 * the grace when it is set, so sleeping so long misses none. */
static int64_t watch_pass(struct http_watch *w)
{
    int64_t now = now_ms(), wait = w->grace_ms;

    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->n; i++) {
        struct http_watch_slot *s = &w->slots[i];
        if (s->fd < 0)
            continue;
        int64_t left = s->deadline_ms - now;
        /* shutdown() does not block; the fd is open, for removal takes this lock before close. */
        if (left <= 0)
            shutdown(s->fd, SHUT_RDWR);
        else if (left < wait)
            wait = left;
    }
    pthread_mutex_unlock(&w->lock);
    return wait;
}

static void watch_main(void *arg)
{
    struct http_watch *w = arg;

    while (!thr_stop_wait(&w->stop, watch_pass(w))) {
    }
}

enum st http_watch_open(struct http_watch *w, size_t n, int64_t grace_ms, struct err *e)
{
    w->grace_ms = grace_ms;
    w->slots = calloc(n, sizeof *w->slots);
    if (w->slots == NULL)
        return err_set(e, ST_MEMORY, "no memory for %zu connections", n);
    w->n = n;
    for (size_t i = 0; i < n; i++)
        w->slots[i].fd = -1;
    pthread_mutex_init(&w->lock, NULL);
    enum st st = thr_stop_open(&w->stop, e);
    if (st == ST_OK) {
        st = thr_start(&w->thread, "http-watch", watch_main, w, e);
        if (st != ST_OK)
            thr_stop_close(&w->stop);
    }
    if (st != ST_OK) {
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
    pthread_mutex_destroy(&w->lock);
    free(w->slots);
    w->slots = NULL;
}

struct http_watch_slot *http_watch_add(struct http_watch *w, int fd)
{
    struct http_watch_slot *s = NULL;

    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->n && s == NULL; i++) {
        if (w->slots[i].fd < 0)
            s = &w->slots[i];
    }
    if (s != NULL) {
        s->fd = fd;
        s->deadline_ms = now_ms() + w->grace_ms;
    }
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

void http_watch_remove(struct http_watch *w, struct http_watch_slot *s)
{
    pthread_mutex_lock(&w->lock);
    s->fd = -1;
    pthread_mutex_unlock(&w->lock);
}
