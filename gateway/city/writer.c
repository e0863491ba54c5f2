#include "gateway/city/city_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

#define REFUSED_MAX 256       /* counts that wait to be written */
#define REFUSED_EVERY_MS 1000 /* a flood of refusals costs one commit each */
#define TOLD_MAX 64
#define TOLD_AGAIN_MS (60 * 60 * 1000)
#define LOOK_AGAIN_MS (10 * 1000)

struct refusal {
    int64_t gateway;
    uint64_t count;
    enum city_code code;
    char why[128];
};
/* Alarms that the log has: each gateway is looked at once in ten seconds at most, and each of
 * its kinds told once an hour. */
struct told {
    int64_t gateway, at_ms;
    int kind; /* CITY_ALARMS: the look itself */
};

struct city_writer {
    struct city_db db;
    struct refusal refusal[REFUSED_MAX]; /* under the lock */
    size_t nrefusal;
    struct refusal writing[REFUSED_MAX]; /* the thread's */
    int64_t refused_ms;                  /* monotonic: when they were written last */
    struct told told[TOLD_MAX];
    size_t ntold;
    struct city_sign *keys;
    const struct wire_key *sign; /* of this commit */
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

    if (st == ST_OK)
        st = city_sign_now(w->keys, &w->db, now_ms, &w->sign, &e);
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

/* Whether it is long enough ago; notes that it is now. The oldest note goes for a new one. */
static bool again(struct city_writer *w, int64_t gateway, int kind, int64_t after_ms)
{
    int64_t now_ms = clk_mono(clk_real()).ms;
    struct told *t = NULL;

    for (size_t i = 0; i < TOLD_MAX && t == NULL; i++)
        if (w->told[i].at_ms > 0 && w->told[i].gateway == gateway && w->told[i].kind == kind)
            t = &w->told[i];
    if (t != NULL && now_ms - t->at_ms < after_ms)
        return false;
    if (t == NULL)
        t = &w->told[w->ntold++ % TOLD_MAX];
    *t = (struct told){gateway, now_ms, kind};
    return true;
}

struct telling {
    struct city_writer *w;
    const struct city_batch *b;
};

static enum st tell(void *ctx, const struct city_alarm *a, struct err *e)
{
    struct telling *t = ctx;
    static struct log_limit limit;

    (void)e;
    if (a->kind >= CITY_ALARM_CLONE && a->kind <= CITY_ALARM_BROKEN &&
        again(t->w, t->b->gateway, (int)a->kind, TOLD_AGAIN_MS))
        log_limited(&limit, 20, LOG_LEVEL_WARN, "ALARM %s %s: %s", city_alarm_text[a->kind],
                    t->b->batch.header.gw, a->text);
    return ST_OK;
}

/* What has just arrived may be the first sign of a second box. */
static void look(struct city_writer *w, const struct job *jobs)
{
    static struct log_limit limit;

    for (const struct job *j = jobs; j != NULL; j = j->next) {
        struct telling t = {w, j->b};
        const struct city_alarm_to to = {tell, &t};
        struct err e = {.text = ""};
        bool may = j->code == CITY_CONFLICT;
        enum st st =
            j->code == CITY_OK && !j->same ? city_alarm_may(&w->db, j->b, &may, &e) : ST_OK;
        if (st == ST_OK && may && again(w, j->b->gateway, CITY_ALARMS, LOOK_AGAIN_MS))
            st = city_alarms_of(&w->db, j->b->gateway, clk_now(clk_real()).utc_ms, &to, &e);
        if (st != ST_OK)
            log_limited(&limit, 5, LOG_LEVEL_WARN, "alarms: %s", e.text);
    }
}

/* ---- refusals ---- */

/* Under the lock: takes those that may be written now; how many. */
static size_t take_refusals(struct city_writer *w)
{
    int64_t now_ms = clk_mono(clk_real()).ms;
    size_t n = w->nrefusal;

    if (n == 0 || (now_ms - w->refused_ms < REFUSED_EVERY_MS && !w->stop))
        return 0;
    memcpy(w->writing, w->refusal, n * sizeof *w->writing);
    w->nrefusal = 0;
    w->refused_ms = now_ms;
    pthread_cond_broadcast(&w->done);
    return n;
}

/* What cannot be written now is counted no more: the log has had it. */
static void write_refusals(struct city_writer *w, size_t n)
{
    static struct log_limit limit;
    const struct refusal *r = w->writing;
    int64_t now_ms = clk_now(clk_real()).utc_ms;
    struct err e = {.text = ""};
    enum st st = n > 0 ? city_db_exec(&w->db, "BEGIN IMMEDIATE", &e) : ST_NOT_FOUND;

    if (st == ST_NOT_FOUND)
        return;
    for (size_t i = 0; i < n && st == ST_OK; i++)
        st = city_db_run(&w->db,
                         city_db_bind(&w->db, SQL_REFUSED_ADD, "itiit", r[i].gateway,
                                      city_code_text(r[i].code), now_ms, (int64_t)r[i].count,
                                      r[i].why),
                         &e);
    if (st == ST_OK)
        st = city_db_exec(&w->db, "COMMIT", &e);
    if (st != ST_OK) {
        sqlite3_exec(w->db.db, "ROLLBACK", NULL, NULL, NULL);
        log_limited(&limit, 2, LOG_LEVEL_WARN, "refusals are not counted: %s", e.text);
    }
}

void city_writer_refused(struct city_writer *w, int64_t gateway, enum city_code code,
                         const char *why)
{
    size_t i = 0;

    pthread_mutex_lock(&w->lock);
    for (;;) {
        for (i = 0; i < w->nrefusal; i++)
            if (w->refusal[i].gateway == gateway && w->refusal[i].code == code)
                break;
        if (i < REFUSED_MAX)
            break;
        pthread_cond_wait(&w->done, &w->lock);
    }
    if (i == w->nrefusal) {
        w->refusal[w->nrefusal++] = (struct refusal){.gateway = gateway, .code = code};
        pthread_cond_signal(&w->work);
    }
    w->refusal[i].count++;
    snprintf(w->refusal[i].why, sizeof w->refusal[i].why, "%s", why);
    pthread_mutex_unlock(&w->lock);
}

/* Waits for work, under the lock; true when only refusals are to be written. */
static bool wait_for_work(struct city_writer *w)
{
    int64_t left_ms = w->refused_ms + REFUSED_EVERY_MS - clk_mono(clk_real()).ms;

    if (w->nrefusal == 0)
        pthread_cond_wait(&w->work, &w->lock);
    else if (left_ms > 0 && !w->stop)
        thr_cond_wait(&w->work, &w->lock, left_ms);
    else
        return true;
    return false;
}

static void writer_main(void *arg)
{

    struct city_writer *w = arg;

    pthread_mutex_lock(&w->lock);
    while (!w->stop || w->first != NULL || w->nrefusal > 0) {
        struct job *jobs = w->first;
        if (jobs == NULL && !wait_for_work(w))
            continue;
        w->first = NULL;
        w->last = &w->first;
        size_t n = take_refusals(w);
        pthread_mutex_unlock(&w->lock);
        if (jobs != NULL) {
            commit(w, jobs);
            report(jobs);
            look(w, jobs);
        }
        write_refusals(w, n);
        pthread_mutex_lock(&w->lock);
        for (struct job *j = jobs, *next; j != NULL; j = next) {
            next = j->next; /* j is its owner's again once it is done */
            j->done = true;
        }
        pthread_cond_broadcast(&w->done);
    }
    pthread_mutex_unlock(&w->lock);
}

enum st city_writer_open(struct city_writer **out, const char *path, struct city_sign *keys,
                         struct err *e)
{
    struct city_writer *w = calloc(1, sizeof *w);
    enum st st;

    *out = NULL;
    if (w == NULL)
        return err_set(e, ST_MEMORY, "no memory for the writer");
    w->keys = keys;
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
