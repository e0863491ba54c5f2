/* The one thread that hashes passwords, behind everything else that this process does: a request
 * that needs one waits meanwhile, and the server goes on. */
#include "gateway/web/web_int.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define OFTEN_MS 3000
#define NICE 10

static struct web_job *next(struct web_hasher *h)
{
    for (size_t i = 0; i < WEB_JOBS; i++)
        if (h->job[i].state == WEB_JOB_WAITS)
            return &h->job[i];
    return NULL;
}

static void run(struct web_job *j)
{
    for (size_t i = 0; i < j->n; i++)
        web_secret_hash(&j->work[i].secret, j->work[i].password, j->work[i].secret.hash);
}

static void hash_main(void *arg)
{
    struct web_hasher *h = arg;
    int64_t due_ms = clk_mono(clk_real()).ms + OFTEN_MS;
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE); /* of this thread alone, on Linux */
    pthread_mutex_lock(&h->lock);
    for (;;) {
        struct web_job *j = next(h);
        if (!j && h->closing)
            break;
        if (clk_mono(clk_real()).ms >= due_ms) { /* also where passwords come one after the other */
            due_ms += OFTEN_MS;
            pthread_mutex_unlock(&h->lock);
            h->often(h->ctx);
            pthread_mutex_lock(&h->lock);
            continue;
        }
        if (!j) {
            (void)thr_cond_wait(&h->wake, &h->lock, due_ms - clk_mono(clk_real()).ms);
            continue;
        }
        bool stop = h->closing;
        j->state = WEB_JOB_RUNS;
        pthread_mutex_unlock(&h->lock);
        if (!stop)
            run(j);
        pthread_mutex_lock(&h->lock);
        j->state = stop ? WEB_JOB_STOPPED : WEB_JOB_DONE;
        http_resume(j->impl); /* only wakes the server */
    }
    pthread_mutex_unlock(&h->lock);
}

enum st web_hasher_open(struct web_hasher *h, void (*often)(void *ctx), void *ctx, struct err *e)
{
    *h = (struct web_hasher){.often = often, .ctx = ctx};
    pthread_mutex_init(&h->lock, NULL);
    if (thr_cond_init(&h->wake) != 0) {
        pthread_mutex_destroy(&h->lock);
        return err_set(e, ST_MEMORY, "no memory for the page");
    }
    h->ready = true;
    return thr_start(&h->thread, "passwords", hash_main, h, e);
}

void web_hasher_close(struct web_hasher *h)
{
    if (!h->ready)
        return;
    pthread_mutex_lock(&h->lock);
    h->closing = true;
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->lock);
    thr_join(&h->thread);
}

void web_hasher_done(struct web_hasher *h)
{
    if (!h->ready)
        return;
    pthread_cond_destroy(&h->wake);
    pthread_mutex_destroy(&h->lock);
    h->ready = false;
}

/* The request is over. */
static void drop(void *job)
{
    struct web_job *j = job;
    pthread_mutex_lock(&j->of->lock);
    explicit_bzero(j->work, sizeof j->work);
    j->state = WEB_JOB_FREE;
    pthread_mutex_unlock(&j->of->lock);
}

const struct web_job *web_hash(struct web_hasher *h, const struct http_request *q,
                               const struct web_work *work, size_t n, struct http_answer *a)
{
    struct web_job *j = q->later->job;
    if (j && j->state == WEB_JOB_DONE)
        return j;
    if (j) {
        web_refuse(a, WEB_NO_STORE, "the gateway stops: try again");
        return NULL;
    }
    pthread_mutex_lock(&h->lock);
    for (size_t i = 0; i < WEB_JOBS && !j && !h->closing; i++)
        if (h->job[i].state == WEB_JOB_FREE)
            j = &h->job[i];
    if (j) {
        *j = (struct web_job){.of = h, .impl = q->impl, .n = n, .state = WEB_JOB_WAITS};
        memcpy(j->work, work, n * sizeof *work);
        http_later(q, j, drop); /* before that thread can be done */
        pthread_cond_signal(&h->wake);
    }
    pthread_mutex_unlock(&h->lock);
    if (!j) {
        web_refuse(a, WEB_NO_ROOM, "others are signing in: try again");
        http_answer_header(a, "Retry-After", "1");
    }
    return NULL;
}
