/* The thread of the indicators, and the room itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/indicator/run_int.h"

#define IDLE_MS 2000
#define RETRY_MS 10000
#define STOOD_MAX DAY_STOOD_MAX

/* ---- a run ---- */

static enum st load_dirty(struct run *r, struct err *e)
{
    struct store_partial_dirty d;
    enum st st;
    for (int32_t from = INT32_MIN;
         (st = store_partial_dirty_next(r->reader, from, &d, e)) == ST_OK && r->ndirty < RUN_DIRTY;
         from = d.day + 1)
        r->dirty[r->ndirty++] = (struct run_dirty){d.day, d.batch, clk_mono(r->clk)};
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* Nothing is the matter with a figure that is not due yet. */
static void well(const struct run *r)
{
    struct store_health h = {.state = STORE_GOOD, .since_ms = clk_now(r->clk).utc_ms};
    store_health_set(r->store, r->x->age_device, &h);
    for (uint32_t i = 0; i < r->in->n; i++)
        store_health_set(r->store, r->in->v[i].device, &h);
}

enum st run_open(struct run **out, const struct indicators *x, struct store *s,
                 const struct clk *clk, struct err *e)
{
    struct run *r = calloc(1, sizeof *r);
    *out = NULL;
    if (!r)
        return err_set(e, ST_MEMORY, "indicators: no memory");
    *r = (struct run){.x = x,
                      .in = x->instances,
                      .store = s,
                      .clk = clk,
                      .clean = INT32_MIN,
                      .like = UINT32_MAX,
                      .folded = {.day = INT32_MIN}};
    buf_init(&r->cose, WIRE_BATCH_MAX);
    buf_init(&r->texts, STOOD_MAX);
    buf_init(&r->stood, STOOD_MAX);
    buf_init(&r->before, STOOD_MAX);
    fold_result_init(&r->result);
    r->row = calloc(RUN_ROWS, sizeof *r->row);
    r->dirty = calloc(RUN_DIRTY + (size_t)1, sizeof *r->dirty);
    r->stays = calloc(r->in->n + (size_t)1, sizeof *r->stays);
    enum st st = r->row && r->dirty && r->stays ? store_reader_open_in(&r->reader, s, e)
                                                : err_set(e, ST_MEMORY, "indicators: no memory");
    if (st == ST_OK)
        st = store_partial_progress_get(r->reader, &r->at, e);
    if (st == ST_NOT_FOUND)
        st = ST_OK;
    r->data_batch = r->at.batch;
    if (st == ST_OK)
        st = load_dirty(r, e);
    if (st == ST_OK)
        st = run_recover(r, e);
    if (st == ST_OK) {
        well(r);
        *out = r;
    } else {
        run_close(r);
    }
    return st;
}

void run_close(struct run *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->nrows && r->row; i++)
        free(r->row[i].texts);
    free(r->row);
    free(r->dirty);
    free(r->stays);
    fed_done(&r->gone);
    day_close(r->open);
    store_times_close(r->times);
    store_reader_close(r->reader);
    buf_done(&r->cose);
    buf_done(&r->texts);
    buf_done(&r->stood);
    buf_done(&r->before);
    fold_result_done(&r->result);
    free(r);
}

int32_t run_forget_before(struct run *r)
{
    struct store_batch b;
    if (store_batch_behind(r->reader, 0, INT64_MIN, INT64_MAX, &b, NULL) != ST_OK ||
        b.from_ms < 2 * CLK_UNKNOWN_BASE_MS)
        return INT32_MIN;
    int32_t held = indicator_day_of(b.from_ms), open = r->open ? r->open->day : held;
    return (held < open ? held : open) - 2; /* where the first that is held began */
}

enum st run_step(struct run *r, struct err *e)
{
    struct store_stats stats;
    if (clk_now(r->clk).grade == CLK_UNKNOWN)
        return ST_NOT_FOUND; /* values have times of the calendar */
    if (r->flushing)
        return run_flush(r, e);
    run_rows_drop(r); /* of what failed half way: it is computed again */
    store_stats(r->store, &stats);
    if (stats.rescuing)
        return ST_NOT_FOUND; /* batches come in no order */
    if (!r->open && r->at.done_ms)
        ERR_TRY(run_reopen(r, indicator_day_of(r->at.done_ms), e));
    ERR_TRY(run_fed(r, e));
    enum st st = run_walk(r, e);
    return st == ST_NOT_FOUND ? run_redo(r, e) : st;
}

/* ---- the room ---- */

enum st indicators_declare(struct indicators *x, struct store *s, struct err *e)
{
    if (!x->catalogue)
        return ST_OK;
    enum st st = run_age_declare(x, s, e);
    if (st == ST_OK)
        st = instances_open(&x->instances, x, s, e);
    return st == ST_OK ? instances_declare(x->instances, s, e) : st;
}

bool indicators_any(const struct indicators *x)
{
    return x->instances != NULL;
}

void indicators_main(void *arg)
{
    const struct indicators_job *job = arg;
    struct run *r = NULL;
    struct log_limit limit = {0};
    int64_t wait_ms = 0;
    while (!thr_stop_wait(job->stop, wait_ms)) {
        struct err e = {.text = ""};
        enum st st = r ? run_step(r, &e) : run_open(&r, job->indicators, job->store, job->clk, &e);
        if (r)
            run_age(r);
        wait_ms = st == ST_OK ? 0 : st == ST_NOT_FOUND ? IDLE_MS : RETRY_MS;
        if (st != ST_OK && st != ST_NOT_FOUND && st != ST_STOPPED)
            log_limited(&limit, 2, LOG_LEVEL_ERROR, "indicators: %s", e.text);
    }
    run_close(r);
}
