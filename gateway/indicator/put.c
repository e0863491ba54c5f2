/* Values into the store, then as readings into the journal.
 *
 * A row is in the store before its reading is put, and counts as unput until the journal has all of
 * them. So after a power cut there may be rows whose readings are nowhere, or are there already:
 * run_recover looks for them in what was journalled or sealed since, and puts what is missing. No
 * revision is lost, none is there twice. */
#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/run_int.h"

#define WAIT_MS 2000 /* for room in the queue */
#define CATALOGUE_BYTES 6

/* ---- rows ---- */

void run_rows_drop(struct run *r)
{
    for (size_t i = 0; i < r->nrows; i++)
        free(r->row[i].texts);
    r->nrows = r->nput = 0;
    r->written = false;
}

/* "p/q" in millionths, half away from zero, or as a float where that is too large. */
static struct num number_of(const char *text)
{
    struct num v = {.kind = NUM_NONE};
    mpq_t q;
    mpz_t n;
    if (!*text)
        return v;
    mpq_init(q);
    mpz_init(n);
    if (mpq_set_str(q, text, 10) == 0 && mpz_sgn(mpq_denref(q)) != 0) {
        int sign = mpz_sgn(mpq_numref(q));
        mpz_mul_ui(n, mpq_numref(q), 2000000);
        mpz_abs(n, n);
        mpz_add(n, n, mpq_denref(q));
        mpz_mul_ui(mpq_denref(q), mpq_denref(q), 2);
        mpz_fdiv_q(n, n, mpq_denref(q));
        if (sign < 0)
            mpz_neg(n, n);
        if (mpz_sizeinbase(n, 2) < 63) {
            char digits[32];
            v = num_dec((int64_t)strtoll(mpz_get_str(digits, 10, n), NULL, 10), -6);
        } else {
            v = num_flt(mpz_get_d(n) / 1e6);
        }
    }
    mpz_clear(n);
    mpq_clear(q);
    return v;
}

enum st run_row_add(struct run *r, const struct store_partial *p, uint32_t instance, struct err *e)
{
    struct run_row *to = &r->row[r->nrows];
    size_t nv = strlen(p->value) + 1, nn = strlen(p->numerator) + 1,
           nd = strlen(p->denominator) + 1;
    *to = (struct run_row){.p = *p, .instance = instance, .texts = malloc(nv + nn + nd)};
    if (!to->texts)
        return err_set(e, ST_MEMORY, "indicators: no memory for a value");
    to->p.indicator = r->in->v[instance].id;
    to->p.value = memcpy(to->texts, p->value, nv);
    to->p.numerator = memcpy(to->texts + nv, p->numerator, nn);
    to->p.denominator = memcpy(to->texts + nv + nn, p->denominator, nd);
    if (!num_parse(to->p.value, &to->value))
        to->value = (struct num){.kind = NUM_NONE};
    to->numerator = number_of(to->p.numerator);
    to->denominator = number_of(to->p.denominator);
    r->nrows++;
    return ST_OK;
}

/* ---- one after the other ---- */

enum st run_write(struct run *r, struct err *e)
{
    struct store_partial *row = calloc(r->nrows + 1, sizeof *row);
    struct store_partial_dirty *dirty = calloc(r->ndirty + (size_t)1, sizeof *dirty);
    enum st st = row && dirty ? ST_OK : err_set(e, ST_MEMORY, "indicators: no memory to write");
    for (size_t i = 0; i < r->nrows && st == ST_OK; i++)
        row[i] = r->row[i].p;
    for (uint32_t i = 0; i < r->ndirty && st == ST_OK; i++)
        dirty[i] = (struct store_partial_dirty){r->dirty[i].day, r->dirty[i].batch};
    const struct store_partials p = {.row = row,
                                     .n = r->nrows,
                                     .dirty = dirty,
                                     .ndirty = r->ndirty,
                                     .clean = &r->clean,
                                     .nclean = r->clean != INT32_MIN,
                                     .days = &r->folded,
                                     .ndays = r->folded.day != INT32_MIN,
                                     .forget_days_before = run_forget_before(r),
                                     .fed = r->fed,
                                     .progress = r->at};
    if (st == ST_OK)
        st = store_partials_write(r->store, &p, e);
    free(row);
    free(dirty);
    if (st == ST_OK) {
        r->written = r->nrows > 0;
        r->clean = r->folded.day = INT32_MIN;
    }
    return st;
}

static struct num count_of(uint64_t n)
{
    return num_udec(n, 0);
}

static struct num hash_of(const uint8_t *hash)
{
    uint64_t n = 0;
    for (size_t i = 0; i < CATALOGUE_BYTES; i++)
        n = n << 8 | hash[i];
    return num_udec(n, 0);
}

static enum st put_row(struct run *r, const struct run_row *w)
{
    const struct instance *i = &r->in->v[w->instance];
    const struct store_poll p = {.device = i->device,
                                 .due_ms = w->p.from_ms,
                                 .t_ms = w->p.to_ms - 1,
                                 .grade = clk_now(r->clk).grade,
                                 .cause = STORE_DEVICE,
                                 .n = INSTANCE_POINTS - 1};
    bool has = w->value.kind != NUM_NONE;
    struct store_value v[INSTANCE_POINTS] = {
        {count_of(w->p.revision), i->series[INSTANCE_REVISION], 0},
        {w->value, i->series[INSTANCE_VALUE], WIRE_Q_COMPUTED},
        {w->numerator, i->series[INSTANCE_NUMERATOR], WIRE_Q_COMPUTED},
        {w->denominator, i->series[INSTANCE_DENOMINATOR], WIRE_Q_COMPUTED},
        {count_of(w->p.due), i->series[INSTANCE_DUE], 0},
        {count_of(w->p.good), i->series[INSTANCE_GOOD], 0},
        {hash_of(w->p.catalogue), i->series[INSTANCE_CATALOGUE], 0},
        {count_of((uint64_t)w->p.reason), i->series[INSTANCE_REASON], 0}};
    struct store_poll q = p;
    q.n = has ? INSTANCE_POINTS - 1 : INSTANCE_POINTS; /* a value has no reason */
    return store_put(r->store, &q, v, WAIT_MS);
}

enum st run_put(struct run *r, struct err *e)
{
    for (; r->nput < r->nrows; r->nput++) {
        enum st st = put_row(r, &r->row[r->nput]);
        if (st != ST_OK)
            return err_set(e, st, "indicators: the queue has no room for values");
    }
    return r->nrows ? store_commit(r->store, e) : ST_OK;
}

enum st run_told(struct run *r, struct err *e)
{
    if (r->nrows)
        ERR_TRY(store_partials_put(r->store, e));
    run_rows_drop(r);
    return ST_OK;
}

enum st run_flush(struct run *r, struct err *e)
{
    r->flushing = true;
    if (!r->written)
        ERR_TRY(run_write(r, e));
    ERR_TRY(run_put(r, e));
    ERR_TRY(run_told(r, e));
    r->flushing = false;
    return ST_OK;
}

/* ---- after a power cut ---- */

struct recover {
    struct run *r;
    struct wire_span device; /* of the last record's poll */
    enum st st;
    struct err e;
};

static bool take_row(void *ctx, const struct store_partial *p)
{
    struct recover *x = ctx;
    struct run *r = x->r;
    for (uint32_t i = 0; i < r->in->n && r->nrows < RUN_ROWS; i++)
        if (strcmp(r->in->v[i].id, p->indicator) == 0)
            x->st = run_row_add(r, p, i, &x->e);
    return x->st == ST_OK;
}

static bool is_text(struct wire_span s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

/* A revision that is in the journal or in a batch: it need not be put. */
static bool found(void *ctx, const struct wire_reading *w)
{
    struct recover *x = ctx;
    struct run *r = x->r;
    if (!is_text(w->point, "revision"))
        return true;
    for (size_t i = 0; i < r->nrows; i++) {
        struct run_row *row = &r->row[i];
        if (w->t_ms == row->p.to_ms - 1 && is_text(w->device, row->p.indicator) &&
            num_cmp(w->v, count_of(row->p.revision)) == 0) {
            free(row->texts);
            *row = r->row[--r->nrows];
            break;
        }
    }
    return true;
}

static enum st look_in(struct recover *x, const struct store_batch *b, struct err *e)
{
    struct run *r = x->r;
    struct wire_batch w;
    struct wire_senml it;
    struct wire_reading one;
    r->cose.n = 0;
    ERR_TRY(wire_zstd_unpack(b->packed.p, b->packed.n, WIRE_BATCH_MAX, &r->cose, e));
    ERR_TRY(wire_batch_open_sealed(&w, r->cose.p, r->cose.n, e));
    enum st st =
        w.header.kind == WIRE_CONTROL
            ? ST_NOT_FOUND
            : wire_senml_open(&it, w.cose.payload.p, w.cose.payload.n, w.header.gw, NULL, e);
    while (st == ST_OK && (st = wire_senml_next(&it, &one, e)) == ST_OK)
        (void)found(x, &one);
    wire_batch_done(&w);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* What was put after the rows were written lies behind the progress that was written with them. */
enum st run_recover(struct run *r, struct err *e)
{
    struct recover x = {.r = r, .st = ST_OK};
    ERR_TRY(store_partial_unput_each(r->reader, take_row, &x, e));
    if (x.st != ST_OK) {
        if (e)
            *e = x.e;
        return x.st;
    }
    r->written = r->flushing = r->nrows > 0;
    enum st st = r->nrows ? ST_BUSY : ST_OK;
    for (int64_t at = r->at.batch; st == ST_BUSY;) {
        struct store_batch b;
        while ((st = store_batch_behind(r->reader, at, INT64_MIN, INT64_MAX, &b, e)) == ST_OK) {
            at = b.id;
            st = look_in(&x, &b, e);
            if (st == ST_CORRUPT || st == ST_BAD) /* another's to tell */
                st = ST_OK;
            if (st != ST_OK)
                return st;
        }
        if (st == ST_NOT_FOUND)
            st = store_pending_behind(r->reader, at, INT64_MIN, INT64_MAX, found, &x, e);
    }
    return st;
}
