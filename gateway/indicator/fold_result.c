#include <string.h>

#include "gateway/indicator/fold_int.h"

const char *const fold_reason_text[FOLD_REASONS] = {
    [FOLD_OK] = "ok",           [FOLD_INCOMPLETE] = "incomplete",
    [FOLD_MISSING] = "missing", [FOLD_DIVISION] = "division",
    [FOLD_COUNTER] = "counter", [FOLD_RANGE] = "range",
    [FOLD_NORM] = "norm",       [FOLD_NO_HOURS] = "no_hours"};

bool fold_fatal(enum fold_reason r)
{
    return r == FOLD_DIVISION || r == FOLD_COUNTER || r == FOLD_RANGE || r == FOLD_NORM;
}

enum fold_reason fold_worse(enum fold_reason a, enum fold_reason b)
{
    if (a == FOLD_OK || b == FOLD_OK || fold_fatal(a) != fold_fatal(b)) {
        return a == FOLD_OK || (b != FOLD_OK && fold_fatal(b)) ? b : a;
    }
    return a < b ? a : b;
}

void fold_result_init(struct fold_result *r)
{
    memset(r, 0, sizeof *r);
    mpq_inits(r->num, r->den, (mpq_ptr)NULL);
}

void fold_result_done(struct fold_result *r)
{
    mpq_clears(r->num, r->den, (mpq_ptr)NULL);
}

/* Whether each input that has to has brought a value. */
static bool all_there(const struct fold *f)
{
    const struct indicator_input *inputs = f->def->inputs.v;
    const struct cfg_strings *require = f->def->require.v;
    for (size_t i = 0; i < f->def->inputs.n; i++) {
        if (!inputs[i].optional && !(f->brought >> i & 1)) {
            return false;
        }
    }
    for (size_t k = 0; k < f->def->require.n; k++) {
        bool one = false;
        for (size_t j = 0; j < require[k].n; j++) {
            for (size_t i = 0; i < f->def->inputs.n; i++) {
                one = one || (f->brought >> i & 1 && strcmp(require[k].v[j], inputs[i].id) == 0);
            }
        }
        if (!one) {
            return false;
        }
    }
    return true;
}

/* An input that no formula looks into has brought its readings. */
static void note_unused(struct fold *f, const struct fold_span *p)
{
    uint32_t used = 0;
    for (uint16_t i = 0; i < f->nterms; i++) {
        const struct fold_term *t = &f->term[i];
        used |= UINT32_C(1) << t->t->input;
        for (unsigned k = 0; k < t->ninputs; k++) {
            used |= UINT32_C(1) << t->inputs[k];
        }
    }
    for (unsigned i = 0; i < f->def->inputs.n; i++) {
        if (!(used >> i & 1) && fold_good(f, i, p) > 0) {
            f->brought |= UINT32_C(1) << i;
        }
    }
}

static bool text_fits(const struct fold_result *r)
{
    return mpz_sizeinbase(mpq_numref(r->num), 10) + mpz_sizeinbase(mpq_denref(r->num), 10) + 3 <
               PARTIAL_TEXT_BYTES &&
           mpz_sizeinbase(mpq_numref(r->den), 10) + mpz_sizeinbase(mpq_denref(r->den), 10) + 3 <
               PARTIAL_TEXT_BYTES;
}

/* Numerator and denominator, and the worse of their reasons. */
static enum fold_reason both(struct fold *f, const struct fold_span *p, struct fold_result *out)
{
    enum fold_reason why = fold_eval(f, f->def->num, f->num_term, p, out->num), of_den = FOLD_OK;
    if (f->def->den) {
        of_den = fold_eval(f, f->def->den, f->den_term, p, out->den);
    } else {
        mpq_set_ui(out->den, 1, 1);
    }
    note_unused(f, p);
    why = fold_worse(why, of_den);
    if (why == FOLD_OK && !all_there(f)) {
        why = FOLD_MISSING;
    }
    if (why == FOLD_OK && !text_fits(out)) {
        why = FOLD_RANGE;
    }
    out->has_num = out->has_den = why == FOLD_OK;
    if (!out->has_num) {
        mpq_set_ui(out->num, 0, 1);
        mpq_set_ui(out->den, 0, 1);
    }
    return why;
}

enum fold_reason fold_quotient(const struct indicator_def *def, const mpq_t num, const mpq_t den,
                               mpq_t scratch, struct num *out)
{
    mpq_t factor;
    *out = (struct num){.kind = NUM_NONE};
    if (mpq_sgn(den) == 0) {
        return FOLD_DIVISION;
    }
    mpq_init(factor);
    rational_set_num(factor, def->factor);
    mpq_div(scratch, num, den);
    mpq_mul(scratch, scratch, factor);
    mpq_clear(factor);
    *out = rational_round(scratch, def->q->decimals);
    return out->kind == NUM_NONE ? FOLD_RANGE : FOLD_OK;
}

bool fold_complete(const struct indicator_def *def, uint64_t due, uint64_t good)
{
    return good * 100 >= (uint64_t)def->completeness * due;
}

enum st fold_result(struct fold *f, int64_t from_ms, int64_t now_ms, struct fold_result *out,
                    struct err *e)
{
    int64_t length = f->slots == 1 ? INDICATOR_DAY_MS : INDICATOR_HOUR_MS, at = from_ms - f->day_ms;
    if (!f->def->num || at < 0 || at % length != 0 || at >= INDICATOR_DAY_MS) {
        return err_set(e, ST_BAD, "indicator %s has no period that begins at %lld", f->def->id,
                       (long long)from_ms);
    }
    struct fold_span p = {.slot = (unsigned)(at / length),
                          .hour = f->reach + (unsigned)(at / INDICATOR_HOUR_MS),
                          .nhours = (unsigned)(length / INDICATOR_HOUR_MS),
                          .from_ms = from_ms,
                          .to_ms = from_ms + length};
    f->now_ms = now_ms;
    f->brought = 0;
    out->from_ms = p.from_ms;
    out->to_ms = p.to_ms;
    out->value = (struct num){.kind = NUM_NONE};
    out->due = out->good = 0;
    for (uint32_t i = 0; i < f->nones; i++) {
        out->due += fold_due(&f->one[i], p.from_ms, p.to_ms, now_ms);
    }
    for (unsigned i = 0; i < f->def->inputs.n; i++) {
        out->good += fold_good(f, i, &p);
    }
    out->reason = both(f, &p, out);
    if (!fold_complete(f->def, out->due, out->good)) {
        out->reason = FOLD_INCOMPLETE;
    }
    if (out->reason == FOLD_OK) {
        out->reason = fold_quotient(f->def, out->num, out->den, f->q, &out->value);
    }
    return ST_OK;
}
