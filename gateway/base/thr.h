/* Threads with small stacks, and the one way to stop them: a flag and a wake-up. */
#ifndef GATEWAY_BASE_THR_H
#define GATEWAY_BASE_THR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "gateway/base/err.h"

/* A stop flag that threads can sleep on (an eventfd that stays readable once set). */
struct thr_stop {
    atomic_bool set;
    int fd;
};
enum st thr_stop_open(struct thr_stop *s, struct err *e) ST_MUST_CHECK;
void thr_stop_close(struct thr_stop *s);
void thr_stop_now(struct thr_stop *s); /* async-signal-safe */
/* Sleeps until ms have passed (-1: for ever) or stop is set; true when it is set. */
bool thr_stop_wait(struct thr_stop *s, int64_t ms);

struct thr {
    pthread_t id;
    bool running;
};
#define THR_STACK_BYTES (128 * 1024)
/* Starts main(arg) on a stack of THR_STACK_BYTES with all signals blocked; name <= 15 chars. */
enum st thr_start(struct thr *t, const char *name, void (*main)(void *), void *arg,
                  struct err *e) ST_MUST_CHECK;
void thr_join(struct thr *t); /* takes one that never started */

/* Condition variables on CLOCK_MONOTONIC. */
int thr_cond_init(pthread_cond_t *c);
/* Waits at most ms; true when it was signalled, false on time-out. */
bool thr_cond_wait(pthread_cond_t *c, pthread_mutex_t *m, int64_t ms);

#endif
