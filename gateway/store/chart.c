/* Charts: rollups where there are any and the range is long, batches and the journal elsewhere. */
#include "gateway/store/chart_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VIEW_MS 500 /* a transaction is ended and begun again after so long */

struct chart {
    const struct store_chart_ask *ask;
    struct store_reader *r;
    struct store_db *db;
    struct store_chart *out;
    struct store_roll *roll; /* one for each point */
    struct store_roll_progress at;
    int64_t to_ms;        /* the end of the last point */
    int64_t read_from_ms; /* from here on readings are taken from batches */
    bool counter;
    struct store_chart_fixes fixes;
    struct store_meter *meter; /* its changes */
    uint32_t nmeter;
    struct store_counts counts;
    int64_t number;               /* of the series; -1: it has no rollups */
    struct buf bytes;             /* of a batch or row */
    struct store_kept *kept;      /* NULL: there is no memory for it */
    struct store_part_bytes part; /* what the batch has that was not kept */
    int64_t view_ms;
    char series[160];
};

static enum st view_begin(struct chart *c, struct err *e)
{
    c->view_ms = clk_physical_ms();
    return store_reader_begin(c->r, e);
}

/* Between two batches: a long transaction would keep the WAL from being folded. */
static enum st view_renew(struct chart *c, struct err *e)
{
    if (clk_physical_ms() - c->view_ms < VIEW_MS)
        return ST_OK;
    store_reader_end(c->r);
    return view_begin(c, e);
}

/* ---- what is asked ---- */

static enum st is_counter(struct chart *c, struct err *e)
{
    sqlite3_stmt *q = store_db_use(c->db, SQL_SERIES_QUANTITY, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, c->series, -1, SQLITE_STATIC);
    enum st st = store_db_row(c->db, q, e);
    const char *key = st == ST_OK ? (const char *)sqlite3_column_text(q, 0) : NULL;
    const struct quantity *quantity = key ? quantity_by_key(key) : NULL;
    c->counter = quantity && quantity->counter;
    sqlite3_reset(q);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st find_series(struct chart *c, struct err *e)
{
    sqlite3_stmt *q = store_db_use(c->db, SQL_SERIES_FIND, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, c->series, -1, SQLITE_STATIC);
    enum st st = store_db_row(c->db, q, e);
    c->number = st == ST_OK ? sqlite3_column_int64(q, 0) : -1;
    sqlite3_reset(q);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    ERR_TRY(is_counter(c, e));
    return store_roll_progress_get(c->db, &c->at, e);
}

/* The time from which on the store holds every batch: INT64_MIN when none has left it. */
static enum st held_from(struct chart *c, int64_t *ms, struct err *e)
{
    int64_t first = 0, before = 0;
    *ms = INT64_MIN;
    enum st st = store_db_int(c->db, SQL_BATCH_FIRST, 0, NULL, &first, e);
    if (st == ST_NOT_FOUND || (st == ST_OK && first == store_batch_id(1, 1)))
        return ST_OK;
    if (st != ST_OK)
        return st;
    before = first - 1;
    sqlite3_stmt *q = store_db_ask(c->db, SQL_BATCH_STEP, 1, &before, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_row(c->db, q, e));
    *ms = sqlite3_column_int64(q, 2);
    sqlite3_reset(q);
    return ST_OK;
}

static int64_t slot_up(enum store_span span, int64_t ms)
{
    int64_t slot = store_slot_of(span, ms);
    return store_slot_ms(span, slot) == ms ? ms : store_slot_ms(span, slot + 1);
}

/* Where points begin and how wide they are. */
static void lay_out(struct chart *c, enum store_chart_source source)
{
    static const int64_t unit[] = {1, STORE_QUARTER_MS, STORE_DAY_MS};
    struct store_chart *o = c->out;
    enum store_span span = source == STORE_CHART_1DAY ? STORE_DAY : STORE_QUARTER;
    o->source = source;
    o->from_ms = source == STORE_CHART_READINGS
                     ? c->ask->from_ms
                     : store_slot_ms(span, store_slot_of(span, c->ask->from_ms));
    int64_t length = c->ask->to_ms - o->from_ms, u = unit[source];
    int64_t units = (length - 1) / u + 1;
    o->step_ms = ((units - 1) / c->ask->points + 1) * u;
    o->n = (uint32_t)((length - 1) / o->step_ms + 1);
    c->to_ms = o->from_ms + o->n * o->step_ms;
    if (source == STORE_CHART_READINGS)
        c->to_ms = c->ask->to_ms;
}

/* Whether the batches of that time have more readings than a chart is worth, all series together.
 */
static enum st is_too_much(struct chart *c, bool *is, struct err *e)
{
    struct store_range x;
    int64_t n = 0;
    *is = false;
    if (c->ask->to_ms - c->ask->from_ms < STORE_CHART_DETAIL_MS)
        return ST_OK;
    ERR_TRY(store_range_open(&x, c->db, &c->at, c->ask->from_ms, c->ask->to_ms, e));
    const int64_t v[] = {x.lo, x.hi};
    ERR_TRY(store_db_int(c->db, SQL_READINGS_BETWEEN, 2, v, &n, e));
    *is = n > STORE_CHART_READINGS_MAX;
    return ST_OK;
}

static enum st plan(struct chart *c, struct err *e)
{
    int64_t length = c->ask->to_ms - c->ask->from_ms, held = 0;
    bool too_much = false;
    int64_t done = c->at.slot < 0 ? INT64_MIN : store_slot_ms(STORE_QUARTER, c->at.slot);
    ERR_TRY(held_from(c, &held, e));
    if (length <= STORE_CHART_READINGS_MS)
        ERR_TRY(is_too_much(c, &too_much, e));
    if (length <= STORE_CHART_READINGS_MS && c->ask->from_ms >= held && !too_much) {
        lay_out(c, STORE_CHART_READINGS);
        c->read_from_ms = c->out->from_ms;
        return ST_OK;
    }
    lay_out(c, length <= STORE_CHART_15MIN_MS ? STORE_CHART_15MIN : STORE_CHART_1DAY);
    c->read_from_ms = done > c->out->from_ms ? done : c->out->from_ms;
    if (length <= STORE_CHART_READINGS_MS && held < c->read_from_ms && !too_much)
        c->read_from_ms = slot_up(STORE_QUARTER, held); /* the part that is still held */
    return ST_OK;
}

static struct store_roll *roll_at(struct chart *c, int64_t t_ms)
{
    return &c->roll[(t_ms - c->out->from_ms) / c->out->step_ms];
}

/* ---- rollups ---- */

static enum st add_rows(struct chart *c, enum store_span span, int64_t from_ms, int64_t to_ms,
                        struct err *e)
{
    uint32_t group = (uint32_t)(c->number >> STORE_ROLL_GROUP_BITS);
    int64_t slot = store_slot_of(span, from_ms), end = store_slot_of(span, to_ms);
    enum st st;
    for (; (st = store_rolls_next(c->db, span, group, &slot, end, &c->bytes, e)) == ST_OK; slot++) {
        struct store_roll x;
        ERR_TRY(store_rolls_decode(c->bytes.p, c->bytes.n,
                                   (int)(c->number & (STORE_ROLL_GROUP - 1)), &x, e));
        store_meters_before(c->meter, c->nmeter, &x, store_slot_ms(span, slot),
                            store_slot_ms(span, slot + 1));
        store_roll_merge(roll_at(c, store_slot_ms(span, slot)), &x);
        c->out->rows++;
        c->out->bytes += c->bytes.n;
        ERR_TRY(view_renew(c, e));
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* Days as far as there are any, quarters up to where readings begin. */
static enum st add_rollups(struct chart *c, struct err *e)
{
    int64_t quarters_ms = c->out->from_ms, last = 0;
    if (c->number < 0 || c->out->source == STORE_CHART_READINGS)
        return ST_OK;
    if (c->out->source == STORE_CHART_1DAY) {
        enum st st = store_db_int(c->db, SQL_DAY_LAST, 0, NULL, &last, e);
        if (st == ST_OK) {
            int64_t days_ms = store_slot_ms(STORE_DAY, last + 1);
            days_ms = days_ms < c->to_ms ? days_ms : c->to_ms;
            ERR_TRY(add_rows(c, STORE_DAY, c->out->from_ms, days_ms, e));
            quarters_ms = days_ms > quarters_ms ? days_ms : quarters_ms;
        } else if (st != ST_NOT_FOUND) {
            return st;
        }
    }
    int64_t end = c->read_from_ms < c->to_ms ? c->read_from_ms : c->to_ms;
    return quarters_ms < end ? add_rows(c, STORE_QUARTER, quarters_ms, end, e) : ST_OK;
}

/* ---- batches ---- */

static uint32_t offset_of(const struct chart *c, int64_t t_ms)
{
    return (uint32_t)((t_ms - c->out->from_ms) % c->out->step_ms);
}

/* What was gathered of a counter grows from reading to reading. */
static void count_all(struct chart *c)
{
    store_counts_sort(&c->counts);
    for (uint32_t i = 0; i < c->counts.n; i++) {
        const struct store_counted *x = &c->counts.v[i];
        struct store_roll *r = roll_at(c, x->t_ms);
        store_meters_until(c->meter, c->nmeter, r, x->t_ms);
        store_roll_count(r, offset_of(c, x->t_ms), x->v);
    }
    c->counts.n = 0;
}

static enum st add_reading(struct chart *c, struct wire_reading *w, struct err *e)
{
    if (w->t_ms < c->read_from_ms || w->t_ms >= c->to_ms || !store_chart_fixes_apply(&c->fixes, w))
        return ST_OK;
    store_roll_add(roll_at(c, w->t_ms), offset_of(c, w->t_ms), w->v, w->q, false);
    if (!c->counter || !store_roll_trusts(w->q))
        return ST_OK;
    enum st st = store_counts_add(&c->counts, w->t_ms, w->v, e);
    if (st != ST_FULL)
        return st;
    count_all(c); /* what comes late now leaves the growth of its stretch unknown */
    return store_counts_add(&c->counts, w->t_ms, w->v, e);
}

static bool is(struct wire_span t, struct wire_span other)
{
    return t.n == other.n && memcmp(t.p, other.p, t.n) == 0;
}

/* Of the series whose readings may be this chart's; source 0 is its own. */
static enum st add_one(struct chart *c, size_t of, int64_t t_ms, struct num v, uint32_t q,
                       struct err *e)
{
    struct wire_reading r = {.t_ms = t_ms, .v = v, .q = q};
    store_chart_source(&c->fixes, of, &r.device, &r.point);
    return add_reading(c, &r, e);
}

/* A gap that goes on in the next batch is one. */
static void add_gap(struct chart *c, int64_t from_ms, int64_t to_ms, enum store_cause cause)
{
    struct store_chart *o = c->out;
    from_ms = from_ms > c->read_from_ms ? from_ms : c->read_from_ms;
    to_ms = to_ms < c->to_ms ? to_ms : c->to_ms;
    if (from_ms >= to_ms || !o->gap)
        return;
    struct store_chart_gap *last = o->ngaps ? &o->gap[o->ngaps - 1] : NULL;
    if (last && last->to_ms == from_ms && last->cause == cause)
        last->to_ms = to_ms;
    else if (o->ngaps == STORE_CHART_GAPS)
        o->gaps_cut = true;
    else
        o->gap[o->ngaps++] = (struct store_chart_gap){from_ms, to_ms, cause};
}

/* What it has is applied as each chart needs it, so that it can be kept as it was sealed. */
static enum st add_part(struct chart *c, size_t of, const struct store_part *p, int64_t add_ms,
                        struct err *e)
{
    for (uint32_t i = 0; of == 0 && i < p->gaps; i++)
        add_gap(c, p->gap[i].from_ms + add_ms, p->gap[i].to_ms + add_ms, p->gap[i].cause);
    for (uint32_t i = 0; i < p->readings; i++) {
        const struct store_part_reading *x = &p->reading[i];
        const struct num v = {.u = x->v, .kind = x->kind, .exp = x->exp};
        ERR_TRY(add_one(c, of, x->t_ms + add_ms, v, x->q, e));
    }
    return ST_OK;
}

static enum st open_batch(struct chart *c, int64_t id, struct wire_batch *b, struct err *e)
{
    ERR_TRY(store_batch_bytes(c->db, id, NULL, &c->bytes, e));
    c->out->batches++;
    c->out->bytes += c->bytes.n;
    return wire_batch_open_sealed(b, c->bytes.p, c->bytes.n, e);
}

static enum st add_batch(struct chart *c, int64_t id, int64_t from_ms, struct err *e)
{
    struct store_moved m;
    struct wire_batch b;
    struct store_part p;
    bool open = false;
    ERR_TRY(store_batch_moved(c->db, id, from_ms, &m, e));
    enum st st = ST_OK;
    for (size_t i = 0; m.known && st == ST_OK && i < c->fixes.n; i++) {
        uint32_t series = c->kept ? store_kept_series(c->kept, c->fixes.source[i]) : 0;
        bool kept = c->kept && store_kept_find(c->kept, series, id, &p);
        if (!kept && !open) {
            st = open_batch(c, id, &b, e);
            open = st == ST_OK;
        }
        if (!kept && st == ST_OK)
            st = store_part_take(&c->part, c->fixes.source[i], &b, &p, e);
        if (!kept && st == ST_OK && c->kept)
            store_kept_add(c->kept, series, id, &p);
        if (st == ST_OK)
            st = add_part(c, i, &p, m.add_ms, e);
    }
    if (open)
        wire_batch_done(&b);
    return st == ST_BAD
               ? err_wrap(e, ST_CORRUPT, "batch %llu", (unsigned long long)store_batch_seq(id))
               : st;
}

static enum st add_batches(struct chart *c, struct err *e)
{
    struct store_range x;
    bool wanted = false;
    int64_t id = 0, from_ms = 0;
    ERR_TRY(store_range_open(&x, c->db, &c->at, c->read_from_ms, c->to_ms, e));
    for (;;) {
        enum st st = store_range_next(&x, &id, &from_ms, &wanted, e);
        if (st == ST_OK && wanted)
            st = add_batch(c, id, from_ms, e);
        if (st != ST_OK)
            return st == ST_NOT_FOUND ? ST_OK : st;
        ERR_TRY(view_renew(c, e));
    }
}

/* A poll is of one device: those of others are not looked into. */
static enum st add_pending(void *ctx, const struct store_entry *x, struct err *e)
{
    struct chart *c = ctx;
    enum st st = ST_NOT_FOUND;
    for (size_t i = 0; i < c->fixes.n && st == ST_NOT_FOUND; i++) {
        struct wire_span device, point;
        struct wire_skim it;
        struct wire_skimmed w;
        struct num v;
        store_chart_source(&c->fixes, i, &device, &point);
        if (!is(x->device, device))
            continue;
        wire_skim_records(&it, x->senml.p, x->senml.n, x->n);
        while ((st = wire_skim_next(&it, NULL, &w, e)) == ST_OK) {
            if (!is(w.point, point))
                continue;
            ERR_TRY(wire_skim_value(&it, &w, &v, e));
            ERR_TRY(add_one(c, i, w.t_ms, v, w.q, e));
        }
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st add_readings(struct chart *c, struct err *e)
{
    if (c->read_from_ms >= c->to_ms)
        return ST_OK;
    ERR_TRY(add_batches(c, e));
    ERR_TRY(store_each_entry(c->r, add_pending, c, e)); /* the same view as the last batch's */
    count_all(c);
    return ST_OK;
}

/* ---- the answer ---- */

static void point_of(struct store_roll *r, const struct store_roll *before,
                     struct store_chart_point *p)
{
    p->count = r->count;
    p->good = r->good;
    if (r->count == 0)
        return;
    p->min = store_roll_num(r, r->min);
    p->max = store_roll_num(r, r->max);
    p->first = store_roll_num(r, r->first);
    p->last = store_roll_num(r, r->last);
    p->mean = store_roll_mean(r);
    if (!r->counter || r->disordered)
        return;
    if (before)
        store_roll_join(before, r);
    if (r->disordered)
        return;
    p->grown = store_roll_num(r, r->grown);
    p->resets = r->resets;
}

static int gap_order(const void *a, const void *b)
{
    const struct store_chart_gap *x = a, *y = b;
    return x->from_ms < y->from_ms ? -1 : x->from_ms > y->from_ms;
}

static void answer(struct chart *c)
{
    const struct store_roll *before = NULL;
    for (uint32_t i = c->out->n; i-- > 0;)
        if (c->roll[i].counter) {
            store_meters_until(c->meter, c->nmeter, &c->roll[i], c->to_ms);
            break;
        }
    for (uint32_t i = 0; i < c->out->n; i++) {
        point_of(&c->roll[i], before, &c->out->point[i]);
        if (c->roll[i].counter)
            before = &c->roll[i];
    }
    qsort(c->out->gap, c->out->ngaps, sizeof *c->out->gap, gap_order);
}

static enum st check(const struct store_chart_ask *a, struct err *e)
{
    if (a->points == 0 || a->points > STORE_CHART_POINTS)
        return err_set(e, ST_BAD, "points: 1 to %d", STORE_CHART_POINTS);
    if (a->from_ms < STORE_KNOWN_MS || a->to_ms > (INT64_C(1) << 52) || a->from_ms >= a->to_ms)
        return err_set(e, ST_BAD, "from and to: two times from 1987 on, from before to");
    if (!*a->device || strlen(a->device) > 64 || !*a->point || strlen(a->point) > 64)
        return err_set(e, ST_BAD, "series: device/point");
    return ST_OK;
}

static enum st read_all(struct chart *c, struct err *e)
{
    ERR_TRY(find_series(c, e));
    ERR_TRY(plan(c, e));
    c->roll = calloc(c->out->n, sizeof *c->roll);
    c->out->point = calloc(c->out->n, sizeof *c->out->point);
    c->out->gap = calloc(STORE_CHART_GAPS, sizeof *c->out->gap);
    if (!c->roll || !c->out->point || !c->out->gap)
        return err_set(e, ST_MEMORY, "no memory for a chart");
    ERR_TRY(store_meters_of(c->db, NULL, c->series, c->out->from_ms, c->to_ms, &c->meter,
                            &c->nmeter, e));
    ERR_TRY(store_chart_fixes_open(&c->fixes, c->db, c->series, c->out->from_ms, c->to_ms, e));
    ERR_TRY(add_rollups(c, e));
    c->kept = store_kept_of(c->r);
    if (c->kept)
        store_kept_turn(c->kept, c->fixes.n);
    return add_readings(c, e);
}

enum st store_chart_read(struct store_reader *r, const struct store_chart_ask *ask,
                         struct store_chart *out, struct err *e)
{
    struct chart c = {.ask = ask, .r = r, .db = store_reader_db(r), .out = out};
    *out = (struct store_chart){.n = 0};
    ERR_TRY(check(ask, e));
    (void)snprintf(c.series, sizeof c.series, "%s/%s", ask->device, ask->point);
    buf_init(&c.bytes, WIRE_BATCH_MAX);
    store_part_begin(&c.part);
    enum st st = view_begin(&c, e);
    if (st == ST_OK) {
        st = read_all(&c, e);
        store_reader_end(r);
    }
    if (st == ST_OK)
        answer(&c);
    free(c.roll);
    free(c.counts.v);
    store_chart_fixes_close(&c.fixes);
    free(c.meter);
    buf_done(&c.bytes);
    store_part_end(&c.part);
    return st;
}

void store_chart_done(struct store_chart *c)
{
    free(c->point);
    free(c->gap);
    *c = (struct store_chart){.n = 0};
}
