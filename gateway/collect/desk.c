/* The desk of a bus: where errands wait for its thread. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "gateway/collect/collect_int.h"

enum st collect_desk_open(struct collect_desk *k, struct err *e)
{
    atomic_init(&k->wake, -1);
    return pthread_mutex_init(&k->lock, NULL) == 0 ? ST_OK
                                                   : err_set(e, ST_MEMORY, "collect: no memory");
}

void collect_desk_close(struct collect_desk *k)
{
    int wake = atomic_load(&k->wake);
    if (wake >= 0)
        (void)close(wake);
    (void)pthread_mutex_destroy(&k->lock);
}

/* A bus of which nobody asks anything has no eventfd: there may be hundreds. Its thread finds the
 * first one when it looks around, each second; where there can be none, it goes on like that. */
static void wake(struct collect_desk *k)
{
    int fd = atomic_load(&k->wake);
    uint64_t one = 1;
    if (fd < 0) {
        int none = -1;
        fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd >= 0 && !atomic_compare_exchange_strong(&k->wake, &none, fd)) {
            (void)close(fd);
            fd = none;
        }
    }
    if (fd >= 0)
        (void)!write(fd, &one, sizeof one); /* a full one wakes, too */
}

enum st collect_desk_leave(struct collect_desk *k, struct collect_errand *x)
{
    enum st st = ST_FULL;
    (void)pthread_mutex_lock(&k->lock);
    if (k->n < COLLECT_ERRANDS_MAX) {
        st = ST_OK;
        x->state = COLLECT_ERRAND_WAITING;
        x->over = false;
        x->settled = 0;
        k->waiting[k->n++] = x;
    }
    (void)pthread_mutex_unlock(&k->lock);
    if (st == ST_OK)
        wake(k);
    return st;
}

bool collect_desk_take_back(struct collect_desk *k, struct collect_errand *x)
{
    (void)pthread_mutex_lock(&k->lock);
    x->over = true;
    for (size_t i = 0; x->state == COLLECT_ERRAND_WAITING && i < k->n; i++)
        if (k->waiting[i] == x) {
            memmove(k->waiting + i, k->waiting + i + 1, (k->n - i - 1) * sizeof(void *));
            k->n--;
            x->state = COLLECT_ERRAND_NONE;
        }
    bool ours = x->state == COLLECT_ERRAND_NONE || x->state == COLLECT_ERRAND_DONE;
    (void)pthread_mutex_unlock(&k->lock);
    if (!ours)
        wake(k); /* a pause ends */
    return ours;
}

enum collect_errand_state collect_desk_state(struct collect_desk *k, struct collect_errand *x)
{
    (void)pthread_mutex_lock(&k->lock);
    enum collect_errand_state state = x->state;
    (void)pthread_mutex_unlock(&k->lock);
    return state;
}
