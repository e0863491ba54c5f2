#include "gateway/city/city_int.h"

#include <stdlib.h>

#include "gateway/base/clk.h"
#include "gateway/base/log.h"
#include "gateway/base/thr.h"

struct job {
    struct city_batch *b;
    struct job *next;
    enum city_code code;
    bool same, done;
    struct err e;
};

struct city_writer {
    struct city_db db;
    const struct wire_key *sign;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    struct job *first, **last;
    bool stop;
    struct thr thread;
};

/* Everything that waits goes into one transaction; if it fails, none of it is stored. */
static void commit(struct city_writer *w, struct job *jobs)
{
    int64_t now_ms = clk_now(clk_real()).utc_ms;
    struct err e = {0};
    enum st st = city_db_exec(&w->db, "BEGIN IMMEDIATE", &e);

    for (struct job *j = jobs; j != NULL && st == ST_OK; j = j->next) {
        j->code = city_keep(&w->db, w->sign, j->b, now_ms, &j->same, &j->e);
        if (j->code == CITY_UNAVAILABLE)
            st = err_set(&e, j->e.st, "%s", j->e.text);
    }
    if (st == ST_OK)
        st = city_db_exec(&w->db, "COMMIT", &e);
    if (st == ST_OK)
        return;
    sqlite3_exec(w->db.db, "ROLLBACK", NULL, NULL, NULL);
    for (struct job *j = jobs; j != NULL; j = j->next) {
        j->code = CITY_UNAVAILABLE;
        j->e = e;
    }
}

static void report(const struct job *jobs)
{
    static struct log_limit limit;

    for (const struct job *j = jobs; j != NULL; j = j->next) {
        const struct wire_header *h = &j->b->batch.header;
        char chain[WIRE_ID_TEXT];
        wire_hex(h->chain, sizeof h->chain, chain);
        if (j->code == CITY_OK && !j->same)
            log_info("stored %s %s/%llu n=%llu", h->gw, chain, (unsigned long long)h->seq,
                     (unsigned long long)j->b->n);
        else if (j->code != CITY_OK)
            log_limited(&limit, 20, LOG_LEVEL_WARN, "%s %s %s/%llu: %s", city_code_text(j->code),
                        h->gw, chain, (unsigned long long)h->seq, j->e.text);
    }
}

static void writer_main(void *arg)
{
    struct city_writer *w = arg;

    pthread_mutex_lock(&w->lock);
    while (!w->stop || w->first != NULL) {
        struct job *jobs = w->first;
        if (jobs == NULL) {
            pthread_cond_wait(&w->work, &w->lock);
            continue;
        }
        w->first = NULL;
        w->last = &w->first;
        pthread_mutex_unlock(&w->lock);
        commit(w, jobs);
        report(jobs);
        pthread_mutex_lock(&w->lock);
        for (struct job *j = jobs, *next; j != NULL; j = next) {
            next = j->next; /* j is its owner's again once it is done */
            j->done = true;
        }
        pthread_cond_broadcast(&w->done);
    }
    pthread_mutex_unlock(&w->lock);
}

enum st city_writer_open(struct city_writer **out, const char *path, const struct wire_key *sign,
                         struct err *e)
{
    struct city_writer *w = calloc(1, sizeof *w);
    enum st st;

    *out = NULL;
    if (w == NULL)
        return err_set(e, ST_MEMORY, "no memory for the writer");
    w->sign = sign;
    w->last = &w->first;
    pthread_mutex_init(&w->lock, NULL);
    thr_cond_init(&w->work);
    thr_cond_init(&w->done);
    st = city_db_open(&w->db, path, CITY_DB_WRITE, e);
    if (st == ST_OK)
        st = thr_start(&w->thread, "city-writer", writer_main, w, e);
    if (st != ST_OK) {
        city_writer_close(w);
        return st;
    }
    *out = w;
    return ST_OK;
}

enum city_code city_writer_put(struct city_writer *w, struct city_batch *b, bool *same,
                               struct err *e)
{
    struct job j = {.b = b};

    pthread_mutex_lock(&w->lock);
    *w->last = &j;
    w->last = &j.next;
    pthread_cond_signal(&w->work);
    while (!j.done)
        pthread_cond_wait(&w->done, &w->lock);
    pthread_mutex_unlock(&w->lock);
    *same = j.same;
    if (j.code != CITY_OK)
        err_set(e, j.e.st, "%s", j.e.text);
    return j.code;
}

void city_writer_close(struct city_writer *w)
{
    if (w == NULL)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
    thr_join(&w->thread);
    city_db_close(&w->db);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->done);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
