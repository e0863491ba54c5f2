/* GET /api/v1/survey.geojson: where in the ward which operator's 5G was measured. It may take a
 * minute, so a thread of its own reckons it while the request waits, and the server goes on. */
#include "gateway/web/web_int.h"

#include <sys/resource.h>
#include <unistd.h>

#define RANGE_MAX_MS (INT64_C(366) * 86400000)
#define ANSWER_MAX ((size_t)8 * 1024 * 1024)
#define SAMPLES_MAX 20000
#define TAKES_MAX_MS 60000
#define NICE 10

static bool go_on(void *surveyor)
{
    struct web_surveyor *x = surveyor;
    return !atomic_load(&x->stop) && clk_mono(clk_real()).ms < atomic_load(&x->until_ms);
}

static void survey_main(void *surveyor)
{
    struct web_surveyor *x = surveyor;
    const struct web_rooms *m = &x->web->site.rooms;
    const struct web_survey_ask ask = {
        .from_ms = x->from_ms, .to_ms = x->to_ms, .most = SAMPLES_MAX, .go_on = go_on, .ctx = x};
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE); /* of this thread alone, on Linux */
    pthread_mutex_lock(&x->lock);                          /* the request waits by now */
    pthread_mutex_unlock(&x->lock);
    enum st st = m->survey(m->ctx, &ask, &x->out, &x->err);
    pthread_mutex_lock(&x->lock);
    x->st = st;
    x->done = true;
    http_resume(x->impl); /* only wakes the server */
    pthread_cond_signal(&x->over);
    pthread_mutex_unlock(&x->lock);
}

/* The request is over, or its answer is made. */
static void drop(void *surveyor)
{
    struct web_surveyor *x = surveyor;
    atomic_store(&x->stop, true);
    thr_join(&x->thread);
    x->thread.running = false;
    buf_done(&x->out);
    pthread_mutex_lock(&x->lock);
    x->taken = false;
    pthread_mutex_unlock(&x->lock);
}

/* false: another one is being reckoned, or the gateway stops. */
static bool begin(struct web *w, const struct http_request *q, int64_t from_ms, int64_t to_ms)
{
    struct web_surveyor *x = &w->surveyor;
    pthread_mutex_lock(&x->lock);
    bool good = !x->taken && !x->closing;
    if (good) {
        x->web = w;
        x->impl = q->impl;
        x->from_ms = from_ms;
        x->to_ms = to_ms;
        x->done = false;
        atomic_store(&x->until_ms, clk_mono(clk_real()).ms + TAKES_MAX_MS);
        atomic_store(&x->stop, false);
        buf_init(&x->out, ANSWER_MAX);
        good = thr_start(&x->thread, "survey", survey_main, x, NULL) == ST_OK;
    }
    if (good) {
        x->taken = true;
        http_later(q, x, drop);
    }
    pthread_mutex_unlock(&x->lock);
    return good;
}

static void answer(struct web *w, struct http_answer *a)
{
    struct web_surveyor *x = &w->surveyor;
    if (x->st == ST_STOPPED && atomic_load(&x->stop)) {
        web_refuse(a, WEB_NO_STORE, "the gateway stops: try again");
    } else if (x->st == ST_STOPPED) {
        web_refuse(a, WEB_NO_STORE, "it took longer than %d s: ask for fewer days",
                   TAKES_MAX_MS / 1000);
    } else if (x->st != ST_OK) {
        web_refuse(a, WEB_NO_STORE, "%s", x->err.text);
    } else {
        a->body = x->out;
        x->out = (struct buf){.p = NULL};
        a->status = 200;
        a->content_type = "application/geo+json";
        http_answer_header(a, "Cache-Control", "no-store");
        http_answer_header(a, "Content-Disposition", "attachment; filename=\"%s-survey.geojson\"",
                           w->site.id);
    }
}

void web_api_survey(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    const char *from = http_query(q, "from"), *to = http_query(q, "to");
    int64_t from_ms, to_ms;
    if (q->later->job) {
        answer(w, a);
    } else if (!w->site.rooms.has_area || !w->site.rooms.survey) {
        web_refuse(a, WEB_NO_SURVEY, "no outline of a ward: see connectivity.survey.area");
    } else if (!from || !to || !clk_parse(from, &from_ms) || !clk_parse(to, &to_ms) ||
               from_ms < WEB_FIRST_MS || from_ms >= to_ms || to_ms > WEB_LAST_MS ||
               to_ms - from_ms > RANGE_MAX_MS) {
        http_problem(a, 400, "bad_query",
                     "from and to are times (2026-11-22T03:05:10Z, or milliseconds since 1970) of "
                     "366 days at most",
                     NULL, NULL);
    } else if (!begin(w, q, from_ms, to_ms)) {
        web_refuse(a, WEB_NO_ROOM, "another survey is being reckoned: try again");
        http_answer_header(a, "Retry-After", "2");
    }
}

enum st web_surveyor_open(struct web *w, struct err *e)
{
    struct web_surveyor *x = &w->surveyor;
    pthread_mutex_init(&x->lock, NULL);
    if (thr_cond_init(&x->over) != 0) {
        pthread_mutex_destroy(&x->lock);
        return err_set(e, ST_MEMORY, "no memory for the page");
    }
    x->ready = true;
    return ST_OK;
}

/* The request that waits is resumed by its thread. */
void web_surveyor_stop(struct web *w)
{
    struct web_surveyor *x = &w->surveyor;
    if (!x->ready)
        return;
    pthread_mutex_lock(&x->lock);
    x->closing = true;
    atomic_store(&x->stop, true);
    while (x->taken && !x->done)
        pthread_cond_wait(&x->over, &x->lock);
    pthread_mutex_unlock(&x->lock);
}

void web_surveyor_close(struct web *w)
{
    struct web_surveyor *x = &w->surveyor;
    if (!x->ready)
        return;
    pthread_cond_destroy(&x->over);
    pthread_mutex_destroy(&x->lock);
}
