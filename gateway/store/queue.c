/* What other threads touch: the queue of polls, the board, events, calls to the writer.
 *
 * The queue is two buffers: store_put fills one while the writer drains the other, so the lock is
 * held for a copy or a swap only. */
#include "gateway/store/store_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* When the writer does not wait for its time: devices of one period are polled at once, and what
 * the queue has once held stays in memory. */
#define WAKE_BYTES (STORE_QUEUE_BYTES / 8)

static size_t entry_bytes(uint32_t n)
{
    return sizeof(struct store_poll) + n * sizeof(struct store_value);
}

static bool is_known(int64_t t_ms)
{
    return t_ms >= 2 * CLK_UNKNOWN_BASE_MS;
}

/* Whether it came late: the board has a later one. One that lies ahead of the clock says nothing:
 * the clock was set back. */
static bool is_late(const struct store_now *b, int64_t t_ms, int64_t now_ms)
{
    return b->count > 0 && t_ms < b->t_ms && b->t_ms <= now_ms &&
           is_known(t_ms) == is_known(b->t_ms);
}

void store_board_update(struct store *s, const struct store_poll *p, const struct store_value *v)
{
    struct mono now = clk_mono(s->clk);
    int64_t now_ms = clk_now(s->clk).utc_ms;
    bool ages = p->t_ms < now_ms && is_known(p->t_ms) == is_known(now_ms);
    pthread_mutex_lock(&s->board_lock);
    for (uint32_t i = 0; i < p->n; i++) {
        struct store_ser *x = &s->ser[v[i].series];
        struct store_now *b = &x->now;
        bool none = v[i].v.kind == NUM_NONE, late = !none && is_late(b, p->t_ms, now_ms);
        b->count += !none;
        if (late)
            continue;
        b->missing = none;
        if (none) {
            b->cause = p->cause;
            continue;
        }
        b->v = v[i].v;
        b->q = v[i].q | (p->t_ms >= x->calibrating_ms ? WIRE_Q_CALIBRATING : 0);
        b->t_ms = p->t_ms;
        b->read_at.ms = now.ms - (ages ? now_ms - p->t_ms : 0);
    }
    pthread_mutex_unlock(&s->board_lock);
}

/* What did not fit stays in a slot of its own per device, so that the gap is never lost. */
static void remember_lost(struct store *s, const struct store_poll *p)
{
    struct store_lost *l = &s->lost[p->device];
    if (!l->is)
        *l = (struct store_lost){p->due_ms, p->t_ms, p->grade,
                                 s->faulty ? STORE_STORAGE : STORE_QUEUE, true};
    l->t_ms = p->t_ms;
    s->any_lost = true;
    s->polls_dropped++;
}

enum st store_put(struct store *s, const struct store_poll *p, const struct store_value *v,
                  int64_t wait_ms)
{
    if (p->n == 0 || p->n > STORE_POLL_MAX || p->device >= s->ndev)
        return ST_BAD;
    const struct store_dev *d = &s->dev[p->device];
    for (uint32_t i = 0; i < p->n; i++)
        if (v[i].series - d->first >= d->n)
            return ST_BAD;
    store_board_update(s, p, v);

    size_t bytes = entry_bytes(p->n);
    enum st st = ST_OK;
    pthread_mutex_lock(&s->lock);
    int64_t until = clk_mono(s->clk).ms + wait_ms;
    while (!s->stopping && s->in_n + bytes > STORE_QUEUE_BYTES) {
        int64_t left = until - clk_mono(s->clk).ms;
        if (left <= 0)
            break;
        s->woken = true;
        pthread_cond_signal(&s->work);
        thr_cond_wait(&s->room, &s->lock, left);
    }
    if (s->stopping) {
        st = ST_STOPPED;
    } else if (s->in_n + bytes > STORE_QUEUE_BYTES) {
        remember_lost(s, p);
        st = ST_FULL;
    } else {
        if (s->in_n == 0)
            s->in_since = clk_mono(s->clk);
        memcpy(s->in + s->in_n, p, sizeof *p);
        memcpy(s->in + s->in_n + sizeof *p, v, p->n * sizeof *v);
        s->in_n += bytes;
        s->polls_queued++;
        if (s->in_n > WAKE_BYTES && !s->woken) {
            s->woken = true;
            pthread_cond_signal(&s->work);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}

void store_event(struct store *s, enum store_severity sev, const char *code, const char *subject,
                 const char *fmt, ...)
{
    struct clk_time t = clk_now(s->clk);
    pthread_mutex_lock(&s->lock);
    if (s->nevents == STORE_EVENTS_QUEUED) {
        s->events_dropped++;
    } else {
        struct store_event *v = &s->events[s->nevents++];
        v->t_ms = t.utc_ms;
        v->grade = t.grade;
        v->severity = sev;
        snprintf(v->code, sizeof v->code, "%s", code);
        snprintf(v->subject, sizeof v->subject, "%s", subject ? subject : "");
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(v->text, sizeof v->text, fmt, ap);
        va_end(ap);
    }
    pthread_mutex_unlock(&s->lock);
}

enum st store_event_write(struct store *s, const struct store_event *v, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_EVENT_ADD, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, v->t_ms);
    sqlite3_bind_int(q, 2, (int)v->grade);
    sqlite3_bind_int(q, 3, (int)v->severity);
    sqlite3_bind_text(q, 4, v->code, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 5, v->subject, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 6, v->text, -1, SQLITE_STATIC);
    return store_db_run(&s->db, q, e);
}

enum st store_events_write(struct store *s, uint32_t *n, struct err *e)
{
    struct store_event v[STORE_EVENTS_QUEUED];
    pthread_mutex_lock(&s->lock);
    *n = s->nevents;
    memcpy(v, s->events, *n * sizeof *v);
    uint32_t dropped = s->events_dropped;
    pthread_mutex_unlock(&s->lock);
    if (*n == 0)
        return ST_OK;
    if (dropped) {
        char *text = v[*n - 1].text;
        size_t used = strlen(text);
        snprintf(text + used, sizeof v->text - used, " (%u more events were dropped)", dropped);
    }
    enum st st = ST_OK;
    for (uint32_t i = 0; i < *n && st == ST_OK; i++)
        st = store_event_write(s, &v[i], e);
    if (st != ST_OK)
        return st;
    sqlite3_stmt *q = store_db_use(&s->db, SQL_EVENT_TRIM, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int(q, 1, STORE_EVENTS_KEPT);
    return store_db_run(&s->db, q, e);
}

void store_events_written(struct store *s, uint32_t n)
{
    pthread_mutex_lock(&s->lock);
    s->nevents -= n;
    memmove(s->events, s->events + n, s->nevents * sizeof *s->events);
    if (n)
        s->events_dropped = 0;
    pthread_mutex_unlock(&s->lock);
}

enum st store_call(struct store *s, enum st (*fn)(struct store *s, void *arg, struct err *e),
                   void *arg, struct err *e)
{
    struct store_call_node c = {.fn = fn, .arg = arg};
    pthread_mutex_lock(&s->lock);
    if (s->stopping) {
        pthread_mutex_unlock(&s->lock);
        return err_set(e, ST_STOPPED, "the store is closing");
    }
    struct store_call_node **last = &s->calls;
    while (*last)
        last = &(*last)->next;
    *last = &c;
    s->woken = true;
    pthread_cond_signal(&s->work);
    while (!c.done)
        thr_cond_wait(&s->called, &s->lock, 1000);
    pthread_mutex_unlock(&s->lock);
    if (c.st != ST_OK && e)
        *e = c.e;
    return c.st;
}

void store_wait(struct store *s, struct mono until)
{
    pthread_mutex_lock(&s->lock);
    while (!s->woken && !s->stopping) {
        int64_t left = until.ms - clk_mono(s->clk).ms;
        if (left <= 0)
            break;
        thr_cond_wait(&s->work, &s->lock, left);
    }
    s->woken = false;
    pthread_mutex_unlock(&s->lock);
}

void store_wait_sealed(struct store *s, int64_t ms)
{
    pthread_mutex_lock(&s->lock);
    uint64_t seen = s->seals;
    int64_t until = clk_mono(s->clk).ms + ms;
    while (s->seals == seen && !s->stopping) {
        int64_t left = until - clk_mono(s->clk).ms;
        if (left <= 0)
            break;
        thr_cond_wait(&s->sealed, &s->lock, left);
    }
    pthread_mutex_unlock(&s->lock);
}

void store_stop(struct store *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_broadcast(&s->work);
    pthread_cond_broadcast(&s->room);
    pthread_cond_broadcast(&s->called);
    pthread_cond_broadcast(&s->sealed);
    pthread_mutex_unlock(&s->lock);
}
