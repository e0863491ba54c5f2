/* What the periods of a day come to, and what of it differs from what was said before. */
#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/run_int.h"

static int64_t period_of(const struct instance *i)
{
    return i->def->period == INDICATOR_HOUR ? INDICATOR_HOUR_MS : INDICATOR_DAY_MS;
}

/* "p/q"; to be freed. NULL: no memory. */
static char *text_of(mpq_srcptr q, bool has)
{
    if (!has)
        return strdup("");
    static const char one[] = "/1";
    size_t n = mpz_sizeinbase(mpq_numref(q), 10) + mpz_sizeinbase(mpq_denref(q), 10) + 3;
    char *own = malloc(n + sizeof one);
    if (!own)
        return NULL;
    mpq_get_str(own, 10, q);
    if (!strchr(own, '/'))
        memcpy(own + strlen(own), one, sizeof one);
    return own;
}

/* ---- values of other instances --------------------------------------------------------------- */

/* Where the givens of an instance begin. */
static uint32_t first_given(const struct instances *in, uint32_t at)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < at; i++)
        n += in->v[i].nsources;
    return n;
}

/* The number of a source's series in the fold: behind those that are fed from outside. */
static uint32_t series_of(const struct day *d, uint32_t at, uint32_t source)
{
    const struct instance *i = &d->in->v[at];
    uint32_t n = 0;
    for (uint32_t k = 0; k < i->nmembers; k++)
        n += d->day >= i->member[k].from_day && d->day <= i->member[k].until_day;
    return n + source;
}

/* What the others came to in periods that end at upto_ms or before, each once. */
static enum st give(struct day *d, uint32_t at, int64_t upto_ms, struct err *e)
{
    const struct instance *i = &d->in->v[at];
    uint32_t first = i->nsources ? first_given(d->in, at) : 0;
    for (uint32_t k = 0; k < i->nsources; k++) {
        uint32_t from = i->source[k].instance;
        int64_t length_ms = period_of(&d->in->v[from]);
        uint32_t *n = &d->given[first + k];
        for (; d->from_ms + (*n + 1) * length_ms <= upto_ms; ++*n) {
            const struct day_got *got = &d->got[from * INDICATOR_HOURS + *n];
            const struct fold_reading w = {series_of(d, at, k),
                                           d->from_ms + (*n + 1) * length_ms - 1, got->v,
                                           WIRE_Q_COMPUTED};
            if (got->has)
                ERR_TRY(fold_put(d->fold[at], &w, e));
        }
    }
    return ST_OK;
}

/* ---- one period ---- */

static bool is_same(const struct store_partial *a, const struct store_partial *b)
{
    return a->reason == b->reason && strcmp(a->value, b->value) == 0 &&
           strcmp(a->numerator, b->numerator) == 0 && strcmp(a->denominator, b->denominator) == 0 &&
           a->due == b->due && a->good == b->good;
}

/* A row, unless that is what was said last; `said`: or nothing was. */
static enum st compare(struct run *r, uint32_t at, struct store_partial *p, bool said,
                       struct err *e)
{
    struct store_partial was;
    enum st st = store_partial_find(r->reader, p->indicator, p->from_ms, &was, &r->texts, e);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    if (st == ST_OK ? is_same(&was, p) : said)
        return ST_OK;
    p->revision = st == ST_OK ? was.revision + 1 : 0;
    return run_row_add(r, p, at, e);
}

static enum st one(struct run *r, struct day *d, uint32_t at, int64_t from_ms, struct err *e)
{
    const struct instance *i = &d->in->v[at];
    struct fold_result *x = &r->result;
    char value[NUM_TEXT_BYTES];
    int64_t length_ms = period_of(i);
    ERR_TRY(give(d, at, from_ms + length_ms, e));
    ERR_TRY(fold_result(d->fold[at], from_ms, INT64_MAX, x, e));
    d->got[at * INDICATOR_HOURS + (size_t)((from_ms - d->from_ms) / length_ms)] =
        (struct day_got){x->reason == FOLD_OK, x->value};
    char *num = text_of(x->num, x->has_num), *den = text_of(x->den, x->has_den);
    struct store_partial p = {.indicator = i->id,
                              .from_ms = from_ms,
                              .to_ms = from_ms + length_ms,
                              .reason = (int)x->reason,
                              .value = x->reason == FOLD_OK ? num_text(x->value, value) : "",
                              .numerator = num,
                              .denominator = den,
                              .due = x->due,
                              .good = x->good,
                              .at_ms = clk_now(r->clk).utc_ms};
    memcpy(p.catalogue, indicator_catalogue_hash(r->x->catalogue), sizeof p.catalogue);
    enum st st = num && den ? compare(r, at, &p, false, e)
                            : err_set(e, ST_MEMORY, "indicators: no memory for a value");
    free(num);
    free(den);
    return st;
}

/* What was said of a period in which nothing feeds it any more. */
static enum st take_back(struct run *r, uint32_t at, int64_t from_ms, int64_t to_ms, struct err *e)
{
    struct store_partial p = {.indicator = r->in->v[at].id,
                              .from_ms = from_ms,
                              .to_ms = to_ms,
                              .reason = FOLD_MISSING,
                              .value = "",
                              .numerator = "",
                              .denominator = "",
                              .at_ms = clk_now(r->clk).utc_ms};
    memcpy(p.catalogue, indicator_catalogue_hash(r->x->catalogue), sizeof p.catalogue);
    return compare(r, at, &p, true, e);
}

enum st run_values(struct run *r, struct day *d, int64_t after_ms, int64_t upto_ms, struct err *e)
{
    for (uint32_t at = 0; at < d->in->n; at++) {
        int64_t length_ms = period_of(&d->in->v[at]);
        for (int64_t from_ms = d->from_ms; from_ms < d->to_ms; from_ms += length_ms) {
            int64_t end_ms = from_ms + length_ms;
            if (r->stays[at] || end_ms > upto_ms || end_ms <= after_ms ||
                (!d->fold[at] && after_ms != INT64_MIN)) /* all of them, or nothing is new */
                continue;
            if (r->nrows == RUN_ROWS)
                ERR_TRY(run_flush(r, e));
            ERR_TRY(d->fold[at] ? one(r, d, at, from_ms, e) : take_back(r, at, from_ms, end_ms, e));
        }
    }
    return ST_OK;
}
