/* A broker delivers once or more: a kill between a commit and its acknowledgement brings the same
 * message to the next start. What carries its own time shows that it was there. */
#include <string.h>

#include "gateway/collect/push_int.h"

/* A message that was acknowledged too late was the last one before the end: what was sealed since
 * then is recent. */
#define RECALL_MS INT64_C(7200000)

bool collect_seen_has(const struct collect_seen *s, uint64_t mark)
{
    for (size_t i = 0; i < COLLECT_SEEN_MAX; i++)
        if (s->mark[i] == mark)
            return true;
    return false;
}

void collect_seen_add(struct collect_seen *s, uint64_t mark)
{
    s->mark[s->at] = mark;
    s->at = (s->at + 1) % COLLECT_SEEN_MAX;
}

uint64_t collect_reading_mark(const char *device, size_t device_n, const char *point,
                              size_t point_n, int64_t t_ms, struct num v)
{
    char text[NUM_TEXT_BYTES];
    uint64_t h = collect_mark(0, device, device_n);
    h = collect_mark(collect_mark(h, "/", 1), point, point_n);
    h = collect_mark(h, &t_ms, sizeof t_ms);
    (void)num_text(v, text);
    return collect_mark(h, text, strlen(text));
}

struct recall {
    struct collect_seen *seen;
    const struct collect_bus *bus;
    struct thr_stop *stop;
    bool blind; /* the clock is unknown: which batches are recent cannot be told */
};

static bool is_sent(const struct collect_bus *b, const struct wire_reading *w)
{
    for (size_t i = 0; i < b->n; i++) {
        const char *id = b->devices[i]->cfg->id;
        if (strlen(id) == w->device.n && memcmp(id, w->device.p, w->device.n) == 0)
            return true;
    }
    return false;
}

static bool recall(void *ctx, const struct wire_reading *w)
{
    const struct recall *a = ctx;
    if (is_sent(a->bus, w)) /* only these can come again */
        collect_seen_add(a->seen,
                         collect_reading_mark((const char *)w->device.p, w->device.n,
                                              (const char *)w->point.p, w->point.n, w->t_ms, w->v));
    return !atomic_load(&a->stop->set);
}

static enum st recall_batch(struct recall *a, const struct store_batch *b, struct err *e)
{
    struct buf cose;
    struct wire_batch batch = {0};
    struct wire_senml it;
    struct wire_reading w;
    buf_init(&cose, WIRE_BATCH_MAX);
    enum st st = wire_zstd_unpack(b->packed.p, b->packed.n, WIRE_BATCH_MAX, &cose, e);
    if (st == ST_OK)
        st = wire_batch_open_sealed(&batch, cose.p, cose.n, e);
    if (st == ST_OK) {
        st = wire_senml_open(&it, batch.cose.payload.p, batch.cose.payload.n, NULL, NULL, e);
        while (st == ST_OK && (st = wire_senml_next(&it, &w, e)) == ST_OK)
            (void)recall(a, &w);
        st = st == ST_NOT_FOUND ? ST_OK : st;
        wire_batch_done(&batch);
    }
    buf_done(&cose);
    return st;
}

static enum st walk(struct recall *a, struct store_reader *r, int64_t from_ms, struct err *e)
{
    struct store_batch b;
    enum st st;
    int64_t after = 0;
    for (;;) {
        while ((st = store_batch_behind(r, after, from_ms, INT64_MAX, &b, e)) == ST_OK) {
            after = b.id;
            if (atomic_load(&a->stop->set))
                return ST_OK;
            if (b.kind == WIRE_DATA && !a->blind)
                ERR_TRY(recall_batch(a, &b, e));
        }
        if (st != ST_NOT_FOUND)
            return st;
        st = store_pending_behind(r, after, from_ms, INT64_MAX, recall, a, e);
        if (st != ST_BUSY)
            return st;
    }
}

enum st collect_seen_recall(struct collect_seen *s, const struct collect_bus_job *job,
                            const struct collect_bus *b, struct clk_time now, struct err *e)
{
    struct recall a = {s, b, job->stop, now.grade == CLK_UNKNOWN};
    struct store_reader *r;
    ERR_TRY(store_reader_open_in(&r, job->store, e));
    enum st st = walk(&a, r, a.blind ? INT64_MIN : now.utc_ms - RECALL_MS, e);
    store_reader_close(r);
    return st;
}
