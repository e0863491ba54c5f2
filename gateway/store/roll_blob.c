/* The bytes of a row of rollups: see rollup_int.h. A file may be damaged, so the reader trusts
 * nothing in them. */
#include "gateway/store/rollup_int.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define VERSION 1
#define FORM_COUNTER 32
#define PRESENT_BYTES (STORE_ROLL_GROUP / 8)
#define EXACT 9007199254740992.0 /* 2^53: integers up to here are exact in a double */

enum column {
    COUNT,
    BAD,
    FORM,
    MIN,
    MAX,
    FIRST,
    LAST,
    MEAN,
    GROWN, /* from here on: of counters alone */
    RESETS,
    FROM,
    TO,
    COLUMNS
};

static bool is_float(const struct store_roll *r)
{
    return r->scale == STORE_ROLL_FLOAT;
}

/* Whether its growth can be told. */
static bool grows(const struct store_roll *r)
{
    return r->counter && !r->disordered && (!is_float(r) || isfinite(r->grown.f));
}

/* ---- writer ---- */

static enum st put_amount(struct buf *out, const struct store_roll *r, union store_roll_value a)
{
    return is_float(r) ? wire_put_num(out, num_flt(a.f)) : wire_put_int(out, a.i);
}

static enum st put_above(struct buf *out, const struct store_roll *r, union store_roll_value a)
{
    return is_float(r) ? wire_put_num(out, num_flt(a.f))
                       : wire_put_uint(out, (uint64_t)a.i - (uint64_t)r->min.i);
}

static enum st put_mean(struct buf *out, const struct store_roll *r)
{
    double mean = store_roll_mean(r);
    if (!isfinite(mean))
        return wire_put_null(out);
    if (is_float(r)) {
        double above = mean > r->min.f ? mean - r->min.f : 0;
        return wire_put_num(out, num_flt(above < (double)FLT_MAX ? (double)(float)above : above));
    }
    double least = (double)r->min.i * r->count;
    if (fabs(r->sum) < EXACT && fabs(least) < EXACT && r->sum >= least && r->sum == rint(r->sum))
        return wire_put_uint(out, (uint64_t)(r->sum - least));
    ERR_TRY(wire_put_array(out, 1));
    return wire_put_num(out, num_flt(mean));
}

static enum st put_end(struct buf *out, const struct store_roll *r, union store_roll_value end,
                       union store_roll_value like)
{
    return end.i == like.i ? wire_put_null(out) : put_amount(out, r, end);
}

static enum st put_cell(struct buf *out, const struct store_roll *r, enum column c)
{
    switch (c) {
    case COUNT:
        return wire_put_uint(out, r->count);
    case BAD:
        return wire_put_uint(out, r->count - r->good);
    case FORM:
        return wire_put_uint(out, r->scale + (grows(r) ? FORM_COUNTER : 0u));
    case MIN:
        return put_amount(out, r, r->min);
    case MAX:
        return put_above(out, r, r->max);
    case FIRST:
        return put_above(out, r, r->first);
    case LAST:
        return put_above(out, r, r->last);
    case MEAN:
        return put_mean(out, r);
    case GROWN:
        return put_amount(out, r, r->grown);
    case RESETS:
        return wire_put_uint(out, r->resets);
    case FROM:
        return put_end(out, r, r->from, r->first);
    case TO:
        return put_end(out, r, r->to, r->last);
    default:
        return ST_BAD;
    }
}

static enum st put_columns(const struct store_roll *r, size_t n, size_t ncounters, struct buf *out)
{
    for (enum column c = COUNT; c < COLUMNS; c++) {
        ERR_TRY(wire_put_array(out, c < GROWN ? n : ncounters));
        for (size_t i = 0; i < STORE_ROLL_GROUP; i++)
            if (r[i].count && (c < GROWN || grows(&r[i])))
                ERR_TRY(put_cell(out, &r[i], c));
    }
    return ST_OK;
}

enum st store_rolls_encode(const struct store_roll r[STORE_ROLL_GROUP], struct buf *out,
                           struct err *e)
{
    uint8_t present[PRESENT_BYTES] = {0};
    size_t n = 0, ncounters = 0;
    for (size_t i = 0; i < STORE_ROLL_GROUP; i++)
        if (r[i].count) {
            present[i / 8] |= (uint8_t)(1u << i % 8);
            n++;
            ncounters += grows(&r[i]);
        }
    enum st st = wire_put_array(out, 2 + COLUMNS);
    if (st == ST_OK)
        st = wire_put_uint(out, VERSION);
    if (st == ST_OK)
        st = wire_put_bytes(out, present, sizeof present);
    if (st == ST_OK)
        st = put_columns(r, n, ncounters, out);
    return st == ST_OK ? ST_OK : err_set(e, st, "rollups: no room for a row");
}

/* ---- reader ---- */

static enum st corrupt(struct err *e, const char *what)
{
    return err_set(e, ST_CORRUPT, "rollups: a damaged row: %s", what);
}

static enum st next(struct wire_reader *r, enum wire_type type, struct wire_item *it, struct err *e)
{
    enum st st = wire_next(r, it, NULL);
    return st == ST_OK && it->type == type ? ST_OK : corrupt(e, "an item of the wrong type");
}

static enum st next_u32(struct wire_reader *r, uint32_t *v, struct err *e)
{
    struct wire_item it;
    ERR_TRY(next(r, WIRE_UINT, &it, e));
    *v = (uint32_t)it.u;
    return it.u <= UINT32_MAX ? ST_OK : corrupt(e, "a number that is too large");
}

/* A number that is held as binary64: an integer, a float, or a decimal fraction. */
static enum st next_double(struct wire_reader *r, double *f, struct err *e)
{
    struct num v;
    struct wire_item it;
    enum st st = wire_next(r, &it, NULL);
    if (st != ST_OK)
        return corrupt(e, "it is cut short");
    v = (struct num){.u = it.u, .kind = NUM_UDEC};
    if (it.type == WIRE_FLOAT) {
        *f = it.f;
        return isfinite(it.f) ? ST_OK : corrupt(e, "a value that is not finite");
    }
    if (it.type == WIRE_UINT || it.type == WIRE_NINT) {
        *f = it.type == WIRE_UINT ? num_double(v) : -1 - num_double(v);
        return ST_OK;
    }
    if (it.type != WIRE_TAG || it.u != 4)
        return corrupt(e, "a value that is no number");
    ERR_TRY(next(r, WIRE_ARRAY, &it, e));
    if (it.u != 2)
        return corrupt(e, "a decimal without exponent");
    ERR_TRY(next(r, WIRE_NINT, &it, e));
    if (it.u >= -NUM_EXP_MIN)
        return corrupt(e, "an exponent out of range");
    v.exp = (int8_t)(-1 - (int)it.u);
    if (wire_next(r, &it, NULL) != ST_OK || (it.type != WIRE_UINT && it.type != WIRE_NINT) ||
        it.u > INT64_MAX)
        return corrupt(e, "a decimal without mantissa");
    v.kind = NUM_DEC;
    v.i = it.type == WIRE_UINT ? (int64_t)it.u : -1 - (int64_t)it.u;
    *f = num_double(v);
    return ST_OK;
}

static enum st next_amount(struct wire_reader *r, const struct store_roll *x,
                           union store_roll_value *a, struct err *e)
{
    struct wire_item it;
    if (is_float(x))
        return next_double(r, &a->f, e);
    if (wire_next(r, &it, NULL) != ST_OK || (it.type != WIRE_UINT && it.type != WIRE_NINT) ||
        it.u > INT64_MAX)
        return corrupt(e, "an amount that is no integer");
    a->i = it.type == WIRE_UINT ? (int64_t)it.u : -1 - (int64_t)it.u;
    return ST_OK;
}

static enum st next_above(struct wire_reader *r, const struct store_roll *x,
                          union store_roll_value *a, struct err *e)
{
    struct wire_item it;
    if (is_float(x)) {
        ERR_TRY(next_double(r, &a->f, e));
        return a->f >= x->min.f ? ST_OK : corrupt(e, "a value below the least");
    }
    ERR_TRY(next(r, WIRE_UINT, &it, e));
    if (it.u > (uint64_t)INT64_MAX - (uint64_t)x->min.i)
        return corrupt(e, "an amount that is too large");
    a->i = (int64_t)((uint64_t)x->min.i + it.u);
    return ST_OK;
}

static double pow10_of(unsigned n)
{
    double p = 1;
    while (n-- > 0)
        p *= 10; /* exact up to 10^22; a mean beside the exact ones needs no more */
    return p;
}

static enum st next_mean(struct wire_reader *r, struct store_roll *x, struct err *e)
{
    struct wire_reader ahead = *r;
    struct wire_item it;
    double f;
    if (wire_next(&ahead, &it, NULL) != ST_OK)
        return corrupt(e, "it is cut short");
    if (it.type == WIRE_NULL) {
        *r = ahead;
        x->sum = (double)NAN;
        return ST_OK;
    }
    if (is_float(x)) {
        ERR_TRY(next_double(r, &f, e));
        x->sum = (x->min.f + f) * x->count;
        if (f < 0)
            return corrupt(e, "a mean below the least");
        return isfinite(x->sum) ? ST_OK : corrupt(e, "a mean that is too large");
    }
    *r = ahead;
    if (it.type == WIRE_UINT) {
        x->sum = (double)x->min.i * x->count + (double)it.u;
        return ST_OK;
    }
    if (it.type != WIRE_ARRAY || it.u != 1)
        return corrupt(e, "a mean that is no number");
    ERR_TRY(next_double(r, &f, e));
    x->sum = f * pow10_of(x->scale) * x->count;
    return isfinite(x->sum) ? ST_OK : corrupt(e, "a mean that is too large");
}

static enum st next_end(struct wire_reader *r, const struct store_roll *x,
                        union store_roll_value like, union store_roll_value *a, struct err *e)
{
    struct wire_reader ahead = *r;
    struct wire_item it;
    if (wire_next(&ahead, &it, NULL) != ST_OK || it.type != WIRE_NULL)
        return next_amount(r, x, a, e);
    *r = ahead;
    *a = like;
    return ST_OK;
}

static enum st next_cell(struct wire_reader *r, struct store_roll *x, enum column c, struct err *e)
{
    uint32_t u;
    switch (c) {
    case COUNT:
        ERR_TRY(next_u32(r, &x->count, e));
        return x->count ? ST_OK : corrupt(e, "a series without readings");
    case BAD:
        ERR_TRY(next_u32(r, &u, e));
        x->good = x->count - u;
        return u <= x->count ? ST_OK : corrupt(e, "more bad readings than there are");
    case FORM:
        ERR_TRY(next_u32(r, &u, e));
        x->counter = (u & FORM_COUNTER) != 0;
        x->scale = (uint8_t)(u & (FORM_COUNTER - 1));
        return u < 2 * FORM_COUNTER && x->scale <= STORE_ROLL_FLOAT ? ST_OK
                                                                    : corrupt(e, "an unknown form");
    case MIN:
        return next_amount(r, x, &x->min, e);
    case MAX:
        return next_above(r, x, &x->max, e);
    case FIRST:
        return next_above(r, x, &x->first, e);
    case LAST:
        return next_above(r, x, &x->last, e);
    case MEAN:
        return next_mean(r, x, e);
    case GROWN:
        return next_amount(r, x, &x->grown, e);
    case RESETS:
        return next_u32(r, &x->resets, e);
    case FROM:
        return next_end(r, x, x->first, &x->from, e);
    case TO:
        return next_end(r, x, x->last, &x->to, e);
    default:
        return ST_BAD;
    }
}

/* Which series of the group a row holds, in order. */
struct rows {
    uint8_t index[STORE_ROLL_GROUP];
    bool counter[STORE_ROLL_GROUP];
    size_t n, ncounters;
};

/* One list: the items of the series asked for go into out, the others are stepped over. */
static enum st next_column(struct wire_reader *r, struct rows *rows, enum column c, int only,
                           struct store_roll *out, struct err *e)
{
    struct wire_item it;
    ERR_TRY(next(r, WIRE_ARRAY, &it, e));
    if (it.u != (c < GROWN ? rows->n : rows->ncounters))
        return corrupt(e, "a list of the wrong length");
    for (size_t i = 0; i < rows->n; i++) {
        if (c >= GROWN && !rows->counter[i])
            continue;
        if (only < 0 || rows->index[i] == only) {
            ERR_TRY(next_cell(r, &out[only < 0 ? rows->index[i] : 0], c, e));
            continue;
        }
        struct store_roll other = {0};
        if (c != FORM)
            ERR_TRY(wire_skip(r, NULL) == ST_OK ? ST_OK : corrupt(e, "it is cut short"));
        else
            ERR_TRY(next_cell(r, &other, c, e));
        if (c == FORM)
            rows->counter[i] = other.counter;
    }
    return ST_OK;
}

static void note_counters(struct rows *rows, int only, const struct store_roll *out)
{
    for (size_t i = 0; i < rows->n; i++) {
        if (only < 0 || rows->index[i] == only)
            rows->counter[i] = out[only < 0 ? rows->index[i] : 0].counter;
        rows->ncounters += rows->counter[i];
    }
}

enum st store_rolls_decode(const void *p, size_t n, int only, struct store_roll *out, struct err *e)
{
    struct wire_reader r = {p, p, (const uint8_t *)p + n};
    struct rows rows = {.n = 0};
    struct wire_item it;
    memset(out, 0, (only < 0 ? STORE_ROLL_GROUP : 1) * sizeof *out);
    ERR_TRY(next(&r, WIRE_ARRAY, &it, e));
    uint64_t members = it.u;
    ERR_TRY(next(&r, WIRE_UINT, &it, e));
    if (it.u != VERSION)
        return err_set(e, ST_UNSUPPORTED, "rollups: version %llu is not known",
                       (unsigned long long)it.u);
    ERR_TRY(next(&r, WIRE_BYTES, &it, e));
    if (members != 2 + COLUMNS || it.span.n != PRESENT_BYTES)
        return corrupt(e, "its head");
    for (unsigned i = 0; i < STORE_ROLL_GROUP; i++)
        if (it.span.p[i / 8] >> i % 8 & 1)
            rows.index[rows.n++] = (uint8_t)i;
    for (enum column c = COUNT; c < COLUMNS; c++) {
        ERR_TRY(next_column(&r, &rows, c, only, out, e));
        if (c == FORM)
            note_counters(&rows, only, out);
    }
    for (size_t i = 0; i < (only < 0 ? STORE_ROLL_GROUP : 1); i++) {
        const struct store_roll *x = &out[i];
        if (is_float(x) ? x->first.f > x->max.f || x->last.f > x->max.f
                        : x->first.i > x->max.i || x->last.i > x->max.i)
            return corrupt(e, "a value above the greatest");
    }
    return r.p == r.end ? ST_OK : corrupt(e, "bytes behind it");
}
