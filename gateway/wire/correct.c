/* What `correct` entries do to readings (batch.cddl, decision 0018): one place for all who apply
 * them, so that gateway and city come to the same. */
#include "gateway/wire/wire_int.h"

enum st wire_put_exact(struct buf *out, struct num v)
{
    enum st st;

    if (v.kind != NUM_DEC)
        return ST_BAD;
    if (v.exp == 0)
        return wire_put_int(out, v.i);
    st = buf_put(out, "\xc4\x82", 2);
    if (!st)
        st = wire_put_int(out, v.exp);
    return st ? st : wire_put_int(out, v.i);
}

enum st wire_next_exact(struct wire_reader *r, struct num *v, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_reader ahead = *r;
    struct wire_item it;
    int64_t exp = 0, mantissa;
    enum st st = wire_next(&ahead, &it, e);

    if (st)
        return st;
    if (it.type == WIRE_TAG && it.u == 4) {
        *r = ahead;
        st = wire_expect_count(r, WIRE_ARRAY, 2, e);
        if (!st)
            st = wire_expect_int(r, &exp, e);
        if (!st && (exp >= 0 || exp < NUM_EXP_MIN))
            return wire_bad(r, at, e, "a decimal fraction out of range");
    }
    if (!st)
        st = wire_expect_int(r, &mantissa, e);
    if (st)
        return st;
    if (exp && mantissa % 10 == 0)
        return wire_bad(r, at, e, "a decimal that is not in its one form");
    *v = (struct num){.i = mantissa, .kind = NUM_DEC, .exp = (int8_t)exp};
    return ST_OK;
}

enum st wire_put_arguments(struct buf *out, const struct wire_fix *f)
{
    enum st st;

    if (f->what == WIRE_INVALIDATE)
        return wire_put_null(out);
    if (f->what == WIRE_REASSIGN)
        return wire_put_text(out, f->target);
    st = wire_put_array(out, 2);
    if (!st)
        st = wire_put_exact(out, f->scale);
    return st ? st : wire_put_exact(out, f->offset);
}

static bool read_rescale(struct wire_reader *r, struct wire_fix *out)
{
    out->what = WIRE_RESCALE;
    return wire_expect_count(r, WIRE_ARRAY, 2, NULL) == ST_OK &&
           wire_next_exact(r, &out->scale, NULL) == ST_OK &&
           wire_next_exact(r, &out->offset, NULL) == ST_OK;
}

static bool read_reassign(struct wire_reader *r, const struct wire_entry *x, struct wire_fix *out)
{
    struct wire_item it;

    out->what = WIRE_REASSIGN;
    if (wire_expect(r, WIRE_TEXT, &it, NULL) != ST_OK || !wire_is_series(it.span, false) ||
        it.span.n >= sizeof(out->target) ||
        (it.span.n == x->series.n && memcmp(it.span.p, x->series.p, it.span.n) == 0))
        return false;
    memcpy(out->target, it.span.p, it.span.n);
    return true;
}

bool wire_fix_of(const struct wire_entry *x, struct wire_fix *out)
{
    struct wire_reader r = wire_reader_of(x->arguments.p, x->arguments.n);
    struct wire_item it;
    bool good;

    memset(out, 0, sizeof(*out));
    if (x->at_ms >= x->to_ms)
        return false;
    if (wire_is(x->text, "rescale"))
        good = read_rescale(&r, out);
    else if (wire_is(x->text, "reassign"))
        good = read_reassign(&r, x, out);
    else
        good = wire_expect(&r, WIRE_NULL, &it, NULL) == ST_OK;
    return good && wire_end(&r);
}

/* Exact where decimals can be; else in binary64, where each step is rounded by itself on every
 * machine (-ffp-contract=off). A result beyond binary64 is none. */
static struct num rescaled(struct num v, const struct wire_fix *f)
{
    struct num out;

    if (num_cmp(f->scale, num_dec(1, 0)) == 0 && f->offset.i == 0)
        return v;
    if (num_scale(v, f->scale, f->offset, &out))
        return out;
    return num_flt(num_double(v) * num_double(f->scale) + num_double(f->offset));
}

void wire_fix_apply(const struct wire_fix *f, struct wire_fixed *x, struct num *v)
{
    if (f->what == WIRE_INVALIDATE)
        x->gone = true;
    else if (f->what == WIRE_REASSIGN)
        x->name = f;
    else if (v->kind != NUM_NONE)
        *v = rescaled(*v, f);
    x->gone = x->gone || v->kind == NUM_NONE;
}

bool wire_meter_of(const struct wire_entry *x, struct num *last, struct num *first)
{
    struct wire_reader r = wire_reader_of(x->arguments.p, x->arguments.n);
    struct wire_item map, key;
    bool said[2] = {false, false};
    uint64_t i;

    if (!wire_is(x->text, "meter") || wire_expect(&r, WIRE_MAP, &map, NULL) != ST_OK)
        return false;
    for (i = 0; i < map.u; i++) {
        if (wire_next(&r, &key, NULL) != ST_OK)
            return false;
        bool text = key.type == WIRE_TEXT;
        bool is_last = text && wire_is(key.span, "last");
        bool is_first = text && wire_is(key.span, "first");

        if (!is_last && !is_first) {
            if (wire_skip(&r, NULL) != ST_OK)
                return false;
        } else if (wire_next_exact(&r, is_last ? last : first, NULL) != ST_OK) {
            return false;
        }
        said[0] = said[0] || is_last;
        said[1] = said[1] || is_first;
    }
    return said[0] && said[1];
}
