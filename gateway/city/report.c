/* Completeness, reckoned from the batches themselves: nothing is kept beside them. Piece by piece
 * of time the batches that count are opened, their readings counted and their gaps laid out
 * (tally.c); then the piece's hours are printed. */
#include <stdlib.h>
#include <string.h>

#include "gateway/city/report_int.h"

#define REPEATS_MAX ((size_t)1 << 20) /* readings of a piece where chains overlap: 16 MiB */
#define CHAINS_MAX 4096               /* that have readings in one piece */

/* Readings that more than one chain may hold, by hash; the chain that was first counts. */
struct repeats {
    struct {
        uint64_t hash;
        int64_t chain;
    } * v;
    size_t n;
    struct {
        int64_t chain, from_ms, to_ms;
    } * span;
    size_t spans;
};

struct report {
    struct city_db *db;
    int64_t gateway;
    int64_t moves; /* 1: `time` entries move some of its batches */
    struct city_plan plan;
    struct city_tally tally;
    struct city_correction correction;
    struct repeats repeats;
    struct buf cose;
};

/* ---- what two chains say twice ---- */

static enum st spans_read(struct report *r, int64_t from_ms, int64_t to_ms, struct err *e)
{
    struct repeats *p = &r->repeats;
    sqlite3_stmt *s = city_db_bind(r->db, SQL_SPANS, "iiii", r->gateway, from_ms, to_ms, r->moves);
    enum st st;

    p->spans = 0;
    if (p->n > 0)
        memset(p->v, 0, REPEATS_MAX * sizeof *p->v);
    p->n = 0;
    while ((st = city_db_step(r->db, s, e)) == ST_OK) {
        if (p->spans == CHAINS_MAX) {
            st = err_set(e, ST_FULL, "more than %d chains in one report", CHAINS_MAX);
            break;
        }
        p->span[p->spans].chain = sqlite3_column_int64(s, 0);
        p->span[p->spans].from_ms = sqlite3_column_int64(s, 1);
        p->span[p->spans++].to_ms = sqlite3_column_int64(s, 2);
    }
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* Whether another chain has readings of these times too. */
static bool may_repeat(const struct repeats *p, int64_t chain, int64_t from_ms, int64_t to_ms)
{
    for (size_t i = 0; i < p->spans; i++)
        if (p->span[i].chain != chain && p->span[i].from_ms <= to_ms && p->span[i].to_ms >= from_ms)
            return true;
    return false;
}

static uint64_t mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

/* Identical in series, time, value, quality and boot (DESIGN section 6), in an earlier chain. Equal
 * hashes of different readings are less likely than a damaged disk. */
static enum st repeated(struct report *r, sqlite3_stmt *row, uint32_t series,
                        const struct wire_reading *x, bool *out, struct err *e)
{
    struct repeats *p = &r->repeats;
    struct wire_span boot = city_db_span(row, 5);
    int64_t chain = sqlite3_column_int64(row, 4);
    uint64_t h = mix(mix(series + 1, (uint64_t)x->t_ms), x->q), b = 0;

    *out = false;
    if (p->v == NULL && (p->v = calloc(REPEATS_MAX, sizeof *p->v)) == NULL)
        return err_set(e, ST_MEMORY, "no memory for a report");
    memcpy(&b, boot.p, boot.n < sizeof b ? boot.n : sizeof b);
    h = mix(mix(mix(h, x->v.u), (uint64_t)x->v.kind << 8 | (uint8_t)x->v.exp), b) | 1;
    for (size_t i = (size_t)(h >> 20) & (REPEATS_MAX - 1);; i = (i + 1) & (REPEATS_MAX - 1)) {
        if (p->v[i].hash == h) {
            *out = p->v[i].chain != chain;
            return ST_OK;
        }
        if (p->v[i].hash != 0)
            continue;
        if (p->n >= REPEATS_MAX / 4 * 3)
            return err_set(e, ST_FULL, "more readings that two chains hold than a report can keep");
        p->v[i].hash = h;
        p->v[i].chain = chain;
        p->n++;
        return ST_OK;
    }
}

/* ---- one batch ---- */

static enum st gaps(struct report *r, const struct wire_header *h, int64_t add_ms, struct err *e)
{
    for (size_t i = 0; i < h->ngaps; i++) {
        struct city_iv x = {.from_ms = h->gaps[i].from_ms + add_ms,
                            .to_ms = h->gaps[i].to_ms + add_ms};
        while (x.why < CITY_WHY_SIGNED && strcmp(wire_causes[x.why], h->gaps[i].cause) != 0)
            x.why++;
        if (x.why == CITY_WHY_SIGNED || !city_plan_target(&r->plan, h->gaps[i].series, &x.target))
            continue;
        enum st st = city_tally_gap(&r->tally, x);
        if (st != ST_OK)
            return err_set(e, st, "more gaps than a report can hold");
    }
    return ST_OK;
}

/* "point:count" stands for so many readings; the other thinned values for none. */
static enum st thinned(struct report *r, const struct wire_skim *s, const struct wire_skimmed *x,
                       const uint8_t *colon, struct err *e)
{
    struct wire_span point = {x->point.p, (size_t)(colon - x->point.p)};
    struct num v;

    if (x->point.n - point.n != 6 || memcmp(colon, ":count", 6) != 0)
        return ST_OK;
    enum st st = wire_skim_value(s, x, &v, e);
    uint32_t series = city_plan_find(&r->plan, x->device, point, UINT32_MAX);
    if (st == ST_OK && series != UINT32_MAX && v.kind == NUM_DEC && v.exp == 0 && v.i > 0)
        city_tally_thinned(&r->tally, series, x->t_ms + r->correction.add_ms, (uint64_t)v.i);
    return st;
}

/* One reading; `last` is the series before it. */
static enum st reading(struct report *r, sqlite3_stmt *row, const struct wire_skim *s,
                       const struct wire_skimmed *x, bool twice, uint32_t *last, struct err *e)
{
    const uint8_t *colon = memchr(x->point.p, ':', x->point.n);
    struct wire_reading w = {
        .device = x->device, .point = x->point, .t_ms = x->t_ms, .q = x->q, .v = {.u = 0}};
    bool again = false;
    enum st st = ST_OK;

    if (colon != NULL)
        return thinned(r, s, x, colon, e);
    uint32_t series = city_plan_find(&r->plan, x->device, x->point, *last);
    if (series == UINT32_MAX && !r->plan.corrected)
        return ST_OK;
    *last = series != UINT32_MAX ? series : *last;
    if (twice || r->plan.corrected)
        st = wire_skim_value(s, x, &w.v, e);
    bool taken = st == ST_OK && !city_reading_correct(&r->correction, &w);
    if (r->plan.corrected && !taken) /* it may be another series' now */
        series = city_plan_find(&r->plan, w.device, w.point, UINT32_MAX);
    if (st == ST_OK && twice && series != UINT32_MAX)
        st = repeated(r, row, series, &w, &again, e);
    if (st == ST_OK && series != UINT32_MAX && !again)
        city_tally_reading(&r->tally, series, w.t_ms, w.q, taken);
    return st;
}

static enum st batch(struct report *r, sqlite3_stmt *row, struct err *e)
{
    struct wire_span stored = city_db_span(row, 3);
    struct wire_batch b = {.owned = NULL};
    struct wire_skim s;
    struct wire_skimmed x;
    uint32_t last = UINT32_MAX;

    city_correction_of(&r->correction, row);
    r->cose.n = 0;
    enum st st = wire_zstd_unpack(stored.p, stored.n, WIRE_BATCH_MAX, &r->cose, e);
    if (st == ST_OK)
        st = wire_batch_open_sealed(&b, r->cose.p, r->cose.n, e);
    if (st == ST_OK)
        st = gaps(r, &b.header, r->correction.add_ms, e);
    if (st == ST_OK)
        st = wire_skim_open(&s, b.cose.payload.p, b.cose.payload.n, e);
    int64_t add_ms = r->correction.add_ms;
    bool twice =
        may_repeat(&r->repeats, sqlite3_column_int64(row, 4), sqlite3_column_int64(row, 8) + add_ms,
                   sqlite3_column_int64(row, 9) + add_ms);
    while (st == ST_OK && (st = wire_skim_next(&s, NULL, &x, e)) == ST_OK)
        st = reading(r, row, &s, &x, twice, &last, e);
    if (st != ST_OK && st != ST_NOT_FOUND && st != ST_FULL)
        st = err_wrap(e, st, "batch seq %lld", (long long)sqlite3_column_int64(row, 2));
    wire_batch_done(&b);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* ---- all of a gateway ---- */

static enum st piece(struct report *r, int64_t from_ms, int64_t to_ms, struct err *e)
{
    enum st st = city_tally_begin(&r->tally, from_ms, to_ms, e);
    from_ms -= r->tally.margin_ms;
    to_ms += r->tally.margin_ms;
    if (st == ST_OK)
        st = spans_read(r, from_ms, to_ms, e);
    if (st != ST_OK)
        return st;
    sqlite3_stmt *s =
        city_db_bind(r->db, SQL_TALLY_BATCHES, "iiii", r->gateway, from_ms, to_ms, r->moves);
    while ((st = city_db_step(r->db, s, e)) == ST_OK && (st = batch(r, s, e)) == ST_OK)
        ;
    sqlite3_reset(s);
    if (st != ST_NOT_FOUND)
        return st;
    city_tally_end(&r->tally);
    return ST_OK;
}

/* Hands on the hours of the piece that are complete. */
static enum st hand_on(struct report *r, const struct city_report *q, struct err *e)
{
    const struct city_tally *t = &r->tally;

    for (size_t h = 0; h < t->hours; h++) {
        int64_t from = (t->hour0 + (int64_t)h) * CITY_HOUR_MS, end = from + CITY_HOUR_MS;
        if (end > t->to_ms && t->to_ms < q->end_ms)
            break;
        for (uint32_t i = 0; i < r->plan.n; i++) {
            const struct city_cell *c = city_tally_cell(t, h, i);
            if (c->due_ms > 0)
                ERR_TRY(q->row(q->ctx, &r->plan, from > q->from_ms ? from : q->from_ms,
                               end < q->end_ms ? end : q->end_ms, i, c, e));
        }
    }
    return ST_OK;
}

static enum st pieces(struct report *r, struct city_report *q, struct err *e)
{
    int64_t from_ms = q->from_ms, first_ms = INT64_MAX;

    for (size_t i = 0; i < r->plan.n; i++)
        if (r->plan.series[i].ndue > 0 && r->plan.series[i].due[0].from_ms < first_ms)
            first_ms = r->plan.series[i].due[0].from_ms;
    if (from_ms < first_ms)
        from_ms = first_ms;
    q->end_ms = q->to_ms;
    if (q->max_ms > 0 && from_ms < q->to_ms && q->to_ms - from_ms > q->max_ms)
        q->end_ms = (from_ms + q->max_ms) / CITY_HOUR_MS * CITY_HOUR_MS;
    for (int64_t end; from_ms < q->end_ms; from_ms = end) {
        end = city_tally_fits(&r->tally, from_ms, q->end_ms);
        enum st st = piece(r, from_ms, end, e);
        while (st == ST_FULL && r->tally.hours > 1) { /* repeats, gaps: less at once */
            end = (from_ms / CITY_HOUR_MS + (int64_t)r->tally.hours / 2) * CITY_HOUR_MS;
            st = piece(r, from_ms, end, e);
        }
        if (st == ST_OK)
            st = hand_on(r, q, e);
        if (st != ST_OK)
            return st;
    }
    return q->row(q->ctx, &r->plan, 0, 0, 0, NULL, e);
}

static enum st moves_read(struct report *r, struct err *e)
{
    sqlite3_stmt *s = city_db_bind(r->db, SQL_MOVED_ANY, "i", r->gateway);
    enum st st = city_db_step(r->db, s, e);

    r->moves = st == ST_OK ? sqlite3_column_int64(s, 0) : 0;
    sqlite3_reset(s);
    return st;
}

enum st city_report_run(struct city_db *d, struct city_report *q, struct err *e)
{
    struct report r = {.db = d, .gateway = q->gateway};

    buf_init(&r.cose, WIRE_BATCH_MAX);
    r.repeats.span = calloc(CHAINS_MAX, sizeof *r.repeats.span);
    enum st st = r.repeats.span != NULL ? city_correct_load(d, q->gateway, false, &r.correction, e)
                                        : err_set(e, ST_MEMORY, "no memory for a report");
    if (st == ST_OK)
        st = moves_read(&r, e);
    if (st == ST_OK)
        st = city_plan_read(&r.plan, d, q->gateway, e);
    if (st == ST_OK)
        st = city_tally_open(&r.tally, &r.plan, e);
    if (st == ST_OK)
        st = pieces(&r, q, e);
    city_correct_done(&r.correction);
    city_tally_done(&r.tally);
    city_plan_done(&r.plan);
    free(r.repeats.v);
    free(r.repeats.span);
    buf_done(&r.cose);
    return st;
}
