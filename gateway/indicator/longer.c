#include <stdlib.h>

#include "gateway/indicator/fold_int.h"

struct longer {
    const struct indicator_def *def;
    int64_t from_ms, to_ms;
    uint64_t due, good, days; /* days: that brought what is needed */
    mpq_t num, den, value;
};

enum st longer_open(struct longer **out, const struct indicator_def *def, struct err *e)
{
    struct longer *l = calloc(1, sizeof *l);
    *out = l;
    if (!l) {
        return err_set(e, ST_MEMORY, "no memory for a period of indicator %s", def->id);
    }
    l->def = def;
    l->from_ms = INT64_MAX;
    l->to_ms = INT64_MIN;
    mpq_inits(l->num, l->den, l->value, (mpq_ptr)NULL);
    return ST_OK;
}

void longer_close(struct longer *l)
{
    if (l) {
        mpq_clears(l->num, l->den, l->value, (mpq_ptr)NULL);
        free(l);
    }
}

enum st longer_add(struct longer *l, const struct fold_result *day, struct err *e)
{
    bool ratio = l->def->longer == INDICATOR_RATIO;
    l->from_ms = day->from_ms < l->from_ms ? day->from_ms : l->from_ms;
    l->to_ms = day->to_ms > l->to_ms ? day->to_ms : l->to_ms;
    l->due += day->due;
    l->good += day->good;
    if (ratio ? !day->has_num || !day->has_den : day->value.kind == NUM_NONE) {
        return ST_OK;
    }
    if (ratio) {
        mpq_add(l->num, l->num, day->num);
        mpq_add(l->den, l->den, day->den);
    } else {
        rational_set_num(l->value, day->value);
        int more = l->days > 0 ? mpq_cmp(l->value, l->num) : 0;
        bool extreme = l->def->longer == INDICATOR_MAX || l->def->longer == INDICATOR_MIN;
        if (!extreme) {
            mpq_add(l->num, l->num, l->value);
        } else if (l->days == 0 || (l->def->longer == INDICATOR_MAX ? more > 0 : more < 0)) {
            mpq_set(l->num, l->value);
        }
    }
    l->days++;
    return rational_fits(l->num) && rational_fits(l->den)
               ? ST_OK
               : err_set(e, ST_FULL, "indicator %s: a sum over days is too large", l->def->id);
}

enum st longer_result(struct longer *l, struct fold_result *out, struct err *e)
{
    bool ratio = l->def->longer == INDICATOR_RATIO, mean = l->def->longer == INDICATOR_MEAN;
    (void)e;
    out->from_ms = l->from_ms;
    out->to_ms = l->to_ms;
    out->due = l->due;
    out->good = l->good;
    out->value = (struct num){.kind = NUM_NONE};
    out->has_num = out->has_den = l->days > 0 && l->def->longer != INDICATOR_NONE;
    mpq_set_ui(out->num, 0, 1);
    mpq_set_ui(out->den, 0, 1);
    out->reason = FOLD_MISSING;
    if (out->has_num) {
        mpq_set(out->num, l->num);
        rational_set_ratio(out->den, mean ? (int64_t)l->days : 1, 1);
        if (ratio) {
            mpq_set(out->den, l->den);
        }
        out->reason = FOLD_OK;
    }
    if (!fold_complete(l->def, l->due, l->good)) {
        out->reason = FOLD_INCOMPLETE;
    } else if (out->reason == FOLD_OK && ratio) {
        out->reason = fold_quotient(l->def, out->num, out->den, l->value, &out->value);
    } else if (out->reason == FOLD_OK) {
        mpq_div(l->value, out->num, out->den);
        out->value = rational_round(l->value, l->def->q->decimals);
        out->reason = out->value.kind == NUM_NONE ? FOLD_RANGE : FOLD_OK;
    }
    return ST_OK;
}

struct num indicator_distance(struct num value, struct num target)
{
    struct num out = {.kind = NUM_NONE};
    return num_scale(target, num_dec(-1, 0), value, &out) ? out : (struct num){.kind = NUM_NONE};
}

bool indicator_holds(int cmp, enum indicator_op op)
{
    switch (op) {
    case INDICATOR_LT:
        return cmp < 0;
    case INDICATOR_LE:
        return cmp <= 0;
    case INDICATOR_GT:
        return cmp > 0;
    case INDICATOR_GE:
        return cmp >= 0;
    case INDICATOR_EQ:
        return cmp == 0;
    default:
        return cmp != 0;
    }
}

bool indicator_met(struct num value, enum indicator_op op, struct num target)
{
    return value.kind != NUM_NONE && target.kind != NUM_NONE &&
           indicator_holds(num_cmp(value, target), op);
}
