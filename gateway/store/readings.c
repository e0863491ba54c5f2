/* All readings of a time, sealed or not, each once: what `fieldpost export` and the page hand out,
 * and where the one behind a number is looked for. */
#include <stdlib.h>
#include <string.h>

#include "gateway/store/chart_int.h"

#define LOOKS_MAX 4096 /* batches that are passed over in one step */

struct store_readings {
    struct store_reader *r;
    struct store_readings_ask ask;
    struct store_times *times; /* NULL: as sealed */
    struct store_roll_progress at;
    struct store_range range;
    int64_t after;          /* the id of the last batch that was looked at */
    struct store_batch row; /* that is open: */
    struct buf cose;
    struct wire_batch batch;
    struct wire_senml it;
    struct store_shift shift;
    bool open;
    struct buf pending; /* copied, at the end of all batches: */
    bool waits;
    size_t blob;   /* that is next, or begun: */
    uint64_t told; /* of its readings */
};

static enum st range_open(struct store_readings *x, struct err *e)
{
    ERR_TRY(store_db_do(store_reader_db(x->r), SQL_BEGIN_READ, 0, NULL, e));
    enum st st = store_roll_progress_get(store_reader_db(x->r), &x->at, e);
    if (st == ST_OK)
        st = store_range_open(&x->range, store_reader_db(x->r), &x->at, x->ask.from_ms,
                              x->ask.to_ms, e);
    enum st ended = store_db_do(store_reader_db(x->r), SQL_ROLLBACK, 0, NULL, e);
    return st != ST_OK ? st : ended;
}

enum st store_readings_open(struct store_readings **out, struct store_reader *r,
                            const struct store_readings_ask *ask, struct err *e)
{
    struct store_readings *x = calloc(1, sizeof *x);
    if (!x)
        return err_set(e, ST_MEMORY, "no memory for readings");
    x->r = r;
    x->ask = *ask;
    buf_init(&x->cose, WIRE_BATCH_MAX);
    buf_init(&x->pending, STORE_PENDING_MAX);
    /* as the entries are now: one that is sealed during the walk moves nothing of it */
    enum st st = ask->raw ? ST_OK : store_times_open(&x->times, r, e);
    if (st == ST_OK && ask->part)
        st = range_open(x, e);
    if (st == ST_OK)
        *out = x;
    else
        store_readings_close(x);
    return st;
}

static void close_batch(struct store_readings *x)
{
    if (x->open)
        wire_batch_done(&x->batch);
    x->open = false;
}

void store_readings_close(struct store_readings *x)
{
    if (!x)
        return;
    close_batch(x);
    store_times_close(x->times);
    buf_done(&x->cose);
    buf_done(&x->pending);
    free(x);
}

/* ---- which batch ---- */

/* Readings that were moved ahead may stand in an earlier window. */
static int64_t first_ms(const struct store_readings *x)
{
    int64_t reach_ms = x->times ? store_times_reach_ms(x->times) : 0;
    return x->ask.from_ms < INT64_MIN + reach_ms ? INT64_MIN : x->ask.from_ms - reach_ms;
}

/* The next that may have such a time. *found stays false where there are too many others to look at
 * now. */
static enum st range_next(struct store_readings *x, bool *found, struct err *e)
{
    int64_t id = 0, from_ms = 0;
    bool wanted = false;
    /* a view, so that what is found is still there to be read */
    ERR_TRY(store_db_do(store_reader_db(x->r), SQL_BEGIN_READ, 0, NULL, e));
    enum st st = ST_OK;
    for (int i = 0; i < LOOKS_MAX && st == ST_OK && !wanted; i++)
        st = store_range_next(&x->range, &id, &from_ms, &wanted, e);
    if (st == ST_OK && wanted)
        st = store_reader_load(x->r, id, &x->row, e);
    *found = st == ST_OK && wanted;
    x->after = store_range_passed(&x->range);
    enum st ended = store_db_do(store_reader_db(x->r), SQL_ROLLBACK, 0, NULL, e);
    return st != ST_OK ? st : ended;
}

/* A late reading precedes its window, so only the lower bound may pass over windows. */
static enum st next_batch(struct store_readings *x, bool *found, struct err *e)
{
    if (x->ask.part)
        return range_next(x, found, e);
    enum st st = store_batch_behind(x->r, x->after, first_ms(x), INT64_MAX, &x->row, e);
    *found = st == ST_OK;
    if (*found)
        x->after = x->row.id;
    return st;
}

static enum st in_batch(const struct store_readings *x, enum st st, struct err *e)
{
    char chain[WIRE_ID_TEXT];
    wire_hex(x->row.chain, WIRE_ID_BYTES, chain);
    return err_wrap(e, st, "batch %s/%llu", chain, (unsigned long long)x->row.seq);
}

static enum st open_batch(struct store_readings *x, struct err *e)
{
    x->cose.n = 0;
    ERR_TRY(wire_zstd_unpack(x->row.packed.p, x->row.packed.n, WIRE_BATCH_MAX, &x->cose, e));
    ERR_TRY(wire_batch_open(&x->batch, x->cose.p, x->cose.n, e));
    const struct wire_header *h = &x->batch.header;
    x->open = true;
    x->row.packed = (struct wire_span){NULL, 0};
    if (h->kind == WIRE_CONTROL) {
        close_batch(x);
        return ST_OK;
    }
    x->shift = (struct store_shift){0};
    if (x->times)
        x->shift = store_times_of(x->times, h->chain, h->boot, h->seq);
    return wire_senml_open(&x->it, x->batch.cose.payload.p, x->batch.cose.payload.n, h->gw, NULL,
                           e);
}

/* ---- the readings ---- */

/* false: whoever asked has enough for now. */
static bool tell(struct store_readings *x, const struct wire_reading *sealed,
                 store_readings_each *each, void *ctx)
{
    struct wire_reading now = *sealed;
    struct store_told_reading t = {.sealed = sealed, .now = &now, .gw = x->ask.gateway};
    t.gone = x->times &&
             !store_times_apply(x->times, x->open ? x->shift : (struct store_shift){0}, &now);
    if (now.t_ms < x->ask.from_ms || now.t_ms >= x->ask.to_ms)
        return true;
    if (x->open) {
        t.batch = &x->row;
        t.gw = x->batch.header.gw;
        t.shift = x->shift;
    }
    return each(ctx, &t);
}

static enum st of_batch(struct store_readings *x, store_readings_each *each, void *ctx,
                        struct err *e)
{
    struct wire_reading w;
    enum st st;
    while ((st = wire_senml_next(&x->it, &w, e)) == ST_OK)
        if (!tell(x, &w, each, ctx))
            return ST_OK;
    close_batch(x);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

struct pending {
    struct store_readings *x;
    store_readings_each *each;
    void *ctx;
    uint64_t at;
};

static bool each_pending(void *ctx, const struct wire_reading *w)
{
    struct pending *p = ctx;
    if (p->at++ < p->x->told)
        return true;
    p->x->told++;
    return tell(p->x, w, p->each, p->ctx);
}

/* As much as a batch at most, or one blob. */
static enum st of_pending(struct store_readings *x, store_readings_each *each, void *ctx,
                          struct err *e)
{
    size_t end = x->blob + WIRE_BATCH_MAX;
    bool stopped = false;
    while (x->blob < end && !stopped) {
        struct pending p = {x, each, ctx, 0};
        ERR_TRY(store_pending_next(&x->pending, &x->blob, each_pending, &p, &stopped, e));
        if (!stopped)
            x->told = 0;
    }
    return ST_OK;
}

/* What is sealed while this walks is met later, in its batch or at the end as pending: never twice,
 * never not at all. */
static enum st begin_next(struct store_readings *x, struct err *e)
{
    bool found = false;
    enum st st = next_batch(x, &found, e);
    if (st == ST_NOT_FOUND) {
        st = store_pending_copy(x->r, x->after, first_ms(x), INT64_MAX,
                                x->ask.part ? &x->ask : NULL, &x->pending, e);
        x->waits = st == ST_OK;
        return st == ST_BUSY ? ST_OK : st; /* one more was sealed */
    }
    if (st != ST_OK || !found)
        return st;
    st = open_batch(x, e);
    return st == ST_OK ? ST_OK : in_batch(x, st, e);
}

enum st store_readings_step(struct store_readings *x, store_readings_each *each, void *ctx,
                            struct err *e)
{
    if (!x->open && !x->waits)
        ERR_TRY(begin_next(x, e));
    if (x->waits)
        return of_pending(x, each, ctx, e);
    if (!x->open)
        return ST_OK;
    enum st st = of_batch(x, each, ctx, e);
    return st == ST_OK ? ST_OK : in_batch(x, st, e);
}

enum st store_series_known(struct store_reader *r, const char *series, struct err *e)
{
    sqlite3_stmt *q = store_db_use(store_reader_db(r), SQL_KNOWN, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, series, -1, SQLITE_STATIC);
    enum st st = store_db_row(store_reader_db(r), q, e);
    sqlite3_reset(q);
    return st;
}
