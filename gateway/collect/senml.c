/* SenML packs of others (RFC 8428), in JSON and CBOR: both become the same records, which are
 * resolved in one place. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "gateway/collect/push_int.h"

#define VERSION_MAX 10            /* RFC 8428 */
#define RELATIVE_S 268435456.0    /* 2^28: below, a time counts from now */
#define TIME_MAX_S 253402300799.0 /* the year 9999 */
#define NAME_MAX_BYTES 256
#define FIELDS_MAX 32
#define DEPTH_MAX 8

/* The labels of RFC 8428, table 2 and section 6; those that are not here carry no number. */
enum label { BASE_NAME, BASE_TIME, BASE_UNIT, BASE_VALUE, VERSION, NAME, TIME, UNIT, VALUE, TRUTH };
static const struct {
    const char *json;
    int cbor;
} labels[] = {[BASE_NAME] = {"bn", -2},  [BASE_TIME] = {"bt", -3}, [BASE_UNIT] = {"bu", -4},
              [BASE_VALUE] = {"bv", -5}, [VERSION] = {"bver", -1}, [NAME] = {"n", 0},
              [TIME] = {"t", 6},         [UNIT] = {"u", 1},        [VALUE] = {"v", 2},
              [TRUTH] = {"vb", 4}};
#define LABELS ((int)(sizeof labels / sizeof *labels))

struct field {
    struct wire_span text; /* p NULL: it is no text */
    struct num v;          /* a truth is 0 or 1 */
};
/* One record: which labels it has, and the base that is in force. */
struct record {
    struct field f[LABELS];
    bool has[LABELS];
};

static bool is_text(enum label l)
{
    return l == BASE_NAME || l == BASE_UNIT || l == NAME || l == UNIT;
}

static enum st bad(struct err *e, const char *what)
{
    return err_set(e, ST_BAD, "no SenML pack: %s", what);
}

/* ---- resolving ------------------------------------------------------------------------------ */

static struct num sum(struct num a, struct num b)
{
    struct num out, one = num_dec(1, 0);
    if (a.kind == NUM_NONE)
        return b;
    if (b.kind == NUM_NONE)
        return a;
    if (a.kind != NUM_FLT && b.kind == NUM_DEC && num_scale(a, one, b, &out))
        return out;
    return num_flt(num_double(a) + num_double(b));
}

/* The name behind the device's base; false: it is not the device's. */
static bool name_of(const struct record *base, const struct record *r, const char *prefix,
                    char out[NAME_MAX_BYTES])
{
    size_t n = 0;
    const struct field *parts[] = {base->has[BASE_NAME] ? &base->f[BASE_NAME] : NULL,
                                   r->has[NAME] ? &r->f[NAME] : NULL};
    for (size_t i = 0; i < 2; i++) {
        if (!parts[i])
            continue;
        if (n + parts[i]->text.n >= NAME_MAX_BYTES)
            return false;
        memcpy(out + n, parts[i]->text.p, parts[i]->text.n);
        n += parts[i]->text.n;
    }
    out[n] = '\0';
    size_t skip = prefix ? strlen(prefix) : 0;
    if (strlen(out) != n || n < skip || memcmp(out, prefix ? prefix : "", skip) != 0)
        return false;
    memmove(out, out + skip, n - skip + 1);
    return true;
}

static size_t point_named(const struct collect_pack *k, const char *name)
{
    const struct collect_profile *p = k->profile;
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->sources[i].from ? p->sources[i].from : p->points[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

static bool unit_fits(const struct quantity *q, const struct field *unit)
{
    if (!unit || unit->text.n == 0)
        return true; /* it does not say */
    return q->unit && strlen(q->unit) == unit->text.n &&
           memcmp(q->unit, unit->text.p, unit->text.n) == 0;
}

/* 0: it does not say. */
static bool time_of(const struct collect_pack *k, const struct record *base, const struct record *r,
                    int64_t *t_ms)
{
    struct num none = {.kind = NUM_NONE};
    struct num t =
        sum(base->has[BASE_TIME] ? base->f[BASE_TIME].v : none, r->has[TIME] ? r->f[TIME].v : none);
    double s = t.kind == NUM_NONE ? 0 : num_double(t);
    if (!(s > -RELATIVE_S && s < TIME_MAX_S))
        return false;
    if (t.kind == NUM_NONE || s == 0) /* "now" either way */
        *t_ms = 0;
    else
        *t_ms = (s < RELATIVE_S ? k->now_ms : 0) + (int64_t)llround(s * 1000);
    return true;
}

static enum st resolve(struct collect_pack *k, const char *prefix, struct record *base,
                       const struct record *r, struct err *e)
{
    static const enum label bases[] = {BASE_NAME, BASE_TIME, BASE_UNIT, BASE_VALUE};
    char name[NAME_MAX_BYTES];
    int64_t t_ms;
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++)
        if (r->has[bases[i]]) {
            base->f[bases[i]] = r->f[bases[i]];
            base->has[bases[i]] = true;
        }
    if (r->has[VERSION] && !(num_double(r->f[VERSION].v) <= VERSION_MAX))
        return bad(e, "of a version that is not known");
    if (!r->has[VALUE] && !r->has[TRUTH])
        return ST_OK;
    bool mine = name_of(base, r, prefix, name);
    k->empty = k->empty && !mine;
    size_t i = mine ? point_named(k, name) : SIZE_MAX;
    if (i == SIZE_MAX)
        return ST_OK;
    const struct field *unit = r->has[UNIT]           ? &r->f[UNIT]
                               : base->has[BASE_UNIT] ? &base->f[BASE_UNIT]
                                                      : NULL;
    if (!unit_fits(k->profile->points[i].quantity, unit) || !time_of(k, base, r, &t_ms)) {
        k->strange++;
        return ST_OK;
    }
    struct num v = r->has[VALUE] ? r->f[VALUE].v : r->f[TRUTH].v;
    if (r->has[VALUE] && base->has[BASE_VALUE] && v.kind != NUM_NONE)
        v = sum(base->f[BASE_VALUE].v, v);
    return collect_pack_add(k, i, v, false, t_ms) == ST_OK
               ? ST_OK
               : bad(e, "more values than a poll can hold");
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static enum st json_field(struct record *r, const char *key, const json_t *j, struct err *e)
{
    int l = 0;
    while (l < LABELS && strcmp(labels[l].json, key) != 0)
        l++;
    size_t n = strlen(key);
    if (l == LABELS) /* one with _ at its end must be understood */
        return n > 0 && key[n - 1] == '_' ? bad(e, "a field that must be understood") : ST_OK;
    struct field *f = &r->f[l];
    r->has[l] = true;
    if (is_text((enum label)l)) {
        if (!json_is_string(j))
            return bad(e, "a name or unit that is no text");
        f->text = (struct wire_span){(const uint8_t *)json_string_value(j), json_string_length(j)};
    } else if (l == TRUTH) {
        if (!json_is_boolean(j))
            return bad(e, "vb that is no truth");
        f->v = num_dec(json_is_true(j), 0);
    } else {
        if (!json_is_number(j))
            return bad(e, "a value or time that is no number");
        f->v = json_is_integer(j) ? num_dec(json_integer_value(j), 0)
                                  : collect_num_of(json_real_value(j));
    }
    return ST_OK;
}

static enum st read_json(struct collect_pack *k, const char *prefix, const void *p, size_t n,
                         struct err *e)
{
    json_t *j = collect_json_load(p, n, e), *item, *v;
    struct record base = {0};
    enum st st = ST_OK;
    size_t i;
    const char *key;
    if (!j)
        return ST_BAD;
    if (!json_is_array(j))
        st = bad(e, "no array of records");
    json_array_foreach(j, i, item)
    {
        struct record r = {0};
        if (st == ST_OK && !json_is_object(item))
            st = bad(e, "a record that is no object");
        json_object_foreach(item, key, v) if (st == ST_OK) st = json_field(&r, key, v, e);
        if (st == ST_OK)
            st = resolve(k, prefix, &base, &r, e);
    }
    json_decref(j);
    return st;
}

/* ---- CBOR ----------------------------------------------------------------------------------- */

static enum st skip(struct wire_reader *r, unsigned depth, struct err *e)
{
    struct wire_item it;
    ERR_TRY(wire_next_any(r, &it, e));
    uint64_t n = it.type == WIRE_ARRAY ? it.u : it.type == WIRE_MAP ? 2 * it.u : 0;
    if (it.type == WIRE_TAG)
        n = 1;
    if (n > 0 && depth == DEPTH_MAX)
        return bad(e, "nested too deep");
    for (uint64_t i = 0; i < n; i++)
        ERR_TRY(skip(r, depth + 1, e));
    return ST_OK;
}

static bool integer(const struct wire_item *it, int64_t *v)
{
    if ((it->type != WIRE_UINT && it->type != WIRE_NINT) || it->u > INT64_MAX)
        return false;
    *v = it->type == WIRE_UINT ? (int64_t)it->u : -1 - (int64_t)it->u;
    return true;
}

/* An integer, a float, or a decimal fraction (tag 4). */
static enum st cbor_number(struct wire_reader *r, struct num *v, struct err *e)
{
    struct wire_item it;
    int64_t exp, i;
    ERR_TRY(wire_next_any(r, &it, e));
    if (it.type == WIRE_FLOAT) {
        *v = collect_num_of(it.f);
        return ST_OK;
    }
    if (integer(&it, &i)) {
        *v = num_dec(i, 0);
        return ST_OK;
    }
    if (it.type != WIRE_TAG || it.u != 4)
        return bad(e, "a value or time that is no number");
    ERR_TRY(wire_next_any(r, &it, e));
    if (it.type != WIRE_ARRAY || it.u != 2)
        return bad(e, "a decimal fraction that is none");
    ERR_TRY(wire_next_any(r, &it, e));
    if (!integer(&it, &exp))
        return bad(e, "a decimal fraction that is none");
    ERR_TRY(wire_next_any(r, &it, e));
    if (!integer(&it, &i) || exp < NUM_EXP_MIN || exp > 18)
        return bad(e, "a decimal fraction without bounds");
    *v = exp > 0 ? num_flt((double)i * pow(10, (double)exp)) : num_dec(i, (int)exp);
    return ST_OK;
}

static enum st cbor_field(struct record *r, struct wire_reader *in, struct err *e)
{
    struct wire_item it;
    int64_t key;
    int l = 0;
    ERR_TRY(wire_next_any(in, &it, e));
    if (it.type == WIRE_TEXT && it.span.n > 0 && it.span.p[it.span.n - 1] == '_')
        return bad(e, "a field that must be understood");
    if (!integer(&it, &key))
        return it.type == WIRE_TEXT ? skip(in, 0, e) : bad(e, "a label that is none");
    while (l < LABELS && labels[l].cbor != key)
        l++;
    if (l == LABELS)
        return skip(in, 0, e);
    if (r->has[l])
        return bad(e, "a label twice in one record");
    r->has[l] = true;
    if (!is_text((enum label)l) && l != TRUTH)
        return cbor_number(in, &r->f[l].v, e);
    ERR_TRY(wire_next_any(in, &it, e));
    if (it.type != (l == TRUTH ? WIRE_BOOL : WIRE_TEXT))
        return bad(e, "a name, unit or truth of another type");
    r->f[l].text = it.span;
    r->f[l].v = num_dec((int64_t)it.u, 0);
    return ST_OK;
}

static enum st read_cbor(struct collect_pack *k, const char *prefix, const void *p, size_t n,
                         struct err *e)
{
    struct wire_reader in = {p, p, (const uint8_t *)p + n};
    struct record base = {0};
    struct wire_item all, one;
    ERR_TRY(wire_next_any(&in, &all, e));
    if (all.type != WIRE_ARRAY)
        return bad(e, "no array of records");
    for (uint64_t i = 0; i < all.u; i++) {
        struct record r = {0};
        ERR_TRY(wire_next_any(&in, &one, e));
        if (one.type != WIRE_MAP || one.u > FIELDS_MAX)
            return bad(e, "a record that is no map, or a large one");
        for (uint64_t f = 0; f < one.u; f++)
            ERR_TRY(cbor_field(&r, &in, e));
        ERR_TRY(resolve(k, prefix, &base, &r, e));
    }
    return in.p == in.end ? ST_OK : bad(e, "something behind its end");
}

enum st collect_senml_read(struct collect_pack *k, const char *base, const void *p, size_t n,
                           struct err *e)
{
    if (n == 0)
        return bad(e, "it is empty");
    k->empty = base != NULL;                   /* until a name is the device's */
    bool cbor = *(const uint8_t *)p >> 5 == 4; /* an array; no text of JSON begins like that */
    return cbor ? read_cbor(k, base, p, n, e) : read_json(k, base, p, n, e);
}
