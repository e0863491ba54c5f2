/* Registers to values. Byte i of the big-endian value lies at i ^ flip on the wire: reversing the
 * registers flips the index bits above the lowest, reversing the bytes of each flips the lowest. */
#include <math.h>
#include <string.h>

#include "gateway/collect/collect_int.h"

#define TYPE_INFO(name, regs, form) [COLLECT_TYPE_##name] = {regs, COLLECT_##form},
const struct collect_type_info collect_types[COLLECT_TYPE_COUNT] = {COLLECT_TYPES(TYPE_INFO)};

#define TYPE_WORD(name, regs, form) {#name, COLLECT_TYPE_##name},
const struct cfg_word collect_type_words[] = {COLLECT_TYPES(TYPE_WORD){NULL, 0}};

const struct cfg_word collect_order_words[] = {
    {"ABCD", 0},
    {"CDAB", COLLECT_ORDER_WORDS},
    {"BADC", COLLECT_ORDER_BYTES},
    {"DCBA", COLLECT_ORDER_WORDS | COLLECT_ORDER_BYTES},
    {"ABCDEFGH", COLLECT_ORDER_WIDE},
    {"GHEFCDAB", COLLECT_ORDER_WIDE | COLLECT_ORDER_WORDS},
    {"BADCFEHG", COLLECT_ORDER_WIDE | COLLECT_ORDER_BYTES},
    {"HGFEDCBA", COLLECT_ORDER_WIDE | COLLECT_ORDER_WORDS | COLLECT_ORDER_BYTES},
    {NULL, 0}};

/* ---- preparing ------------------------------------------------------------------------------ */

/* n as an integer in units of 10^exp, for n.exp >= exp; false when it does not fit. */
static bool units(struct num n, int exp, int64_t *out)
{
    *out = n.i;
    for (int k = n.exp - exp; k > 0; k--)
        if (__builtin_mul_overflow(*out, INT64_C(10), out))
            return false;
    return n.kind == NUM_DEC;
}

/* A limit in units of 10^exp: the last unit inside it. What does not fit limits nothing. */
static int64_t limit_units(struct num n, int exp, bool upper)
{
    int64_t v = upper ? INT64_MAX : INT64_MIN, ten = 1;
    if (n.kind != NUM_DEC)
        return v;
    if (n.exp >= exp) {
        if (units(n, exp, &v))
            return v;
        return n.i < 0 ? INT64_MIN : INT64_MAX;
    }
    for (int k = exp - n.exp; k > 0; k--)
        if (__builtin_mul_overflow(ten, INT64_C(10), &ten))
            return upper ? (n.i < 0 ? -1 : 0) : (n.i > 0 ? 1 : 0);
    v = n.i / ten;
    if (n.i % ten != 0 && (n.i < 0) == upper)
        v += upper ? -1 : 1;
    return v;
}

/* The profile's valid range narrows what the quantity allows. */
static void limits_set(struct collect_decoder *d, const struct collect_point *p)
{
    d->min = p->valid[0];
    d->max = p->valid[1];
    if (p->quantity && p->quantity->limited) {
        struct num min = num_dec(p->quantity->min, -p->quantity->decimals);
        struct num max = num_dec(p->quantity->max, -p->quantity->decimals);
        if (d->min.kind == NUM_NONE || num_cmp(min, d->min) > 0)
            d->min = min;
        if (d->max.kind == NUM_NONE || num_cmp(max, d->max) < 0)
            d->max = max;
    }
    d->fmin = d->min.kind == NUM_NONE ? (double)-INFINITY : num_double(d->min);
    d->fmax = d->max.kind == NUM_NONE ? (double)INFINITY : num_double(d->max);
}

void collect_decoder_init(struct collect_decoder *d, const struct collect_point *p)
{
    const struct collect_type_info *t = &collect_types[p->type];
    *d = (struct collect_decoder){.form = t->form, .bytes = (uint8_t)(2 * t->regs)};
    if (t->regs == 0)
        return;
    d->flip = (uint8_t)((p->order & COLLECT_ORDER_WORDS ? d->bytes - 2 : 0) |
                        (p->order & COLLECT_ORDER_BYTES ? 1 : 0));
    d->mask = UINT64_MAX >> (64 - 8 * d->bytes);
    d->scale = p->scale;
    d->offset = p->offset;
    d->fscale = num_double(p->scale);
    d->foffset = num_double(p->offset);
    d->scaled = d->fscale != 1 || d->foffset != 0;
    limits_set(d, p);
    d->exp = p->scale.exp < p->offset.exp ? p->scale.exp : p->offset.exp;
    d->quick = units(p->scale, d->exp, &d->mul) && units(p->offset, d->exp, &d->add);
    d->lo = limit_units(d->min, d->exp, false);
    d->hi = limit_units(d->max, d->exp, true);
    for (size_t i = 0; i < p->no_value.n && i < COLLECT_MARKERS_MAX; i++) {
        d->markers[d->nmarkers] = (uint64_t)p->no_value.v[i] & d->mask;
        d->fmarkers[d->nmarkers++] = (double)p->no_value.v[i];
    }
}

/* ---- reading -------------------------------------------------------------------------------- */

static uint64_t gather(const struct collect_decoder *d, const uint8_t *p)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < d->bytes; i++)
        bits = bits << 8 | p[i ^ d->flip];
    return bits;
}

/* Whatever the quick way cannot hold. */
static uint16_t slow(const struct collect_decoder *d, struct num raw, struct num *v)
{
    if (!num_scale(raw, d->scale, d->offset, v)) {
        *v = (struct num){.kind = NUM_NONE};
        return 0;
    }
    bool out = (d->min.kind != NUM_NONE && num_cmp(*v, d->min) < 0) ||
               (d->max.kind != NUM_NONE && num_cmp(*v, d->max) > 0);
    return out ? WIRE_Q_LIMITS : 0;
}

static uint16_t integer(const struct collect_decoder *d, int64_t raw, struct num *v)
{
    int64_t i;
    if (!d->quick || __builtin_mul_overflow(raw, d->mul, &i) ||
        __builtin_add_overflow(i, d->add, &i))
        return slow(d, (struct num){.i = raw, .kind = NUM_DEC}, v);
    uint16_t q = i < d->lo || i > d->hi ? WIRE_Q_LIMITS : 0;
    int8_t exp = i == 0 ? 0 : d->exp;
    while (exp < 0 && i % 10 == 0) {
        i /= 10;
        exp++;
    }
    *v = (struct num){.i = i, .kind = NUM_DEC, .exp = exp};
    return q;
}

/* A marker of a float is met as a number (-9999) as well as bit by bit. */
static uint16_t floating(const struct collect_decoder *d, uint64_t bits, struct num *v)
{
    double f;
    if (d->bytes == 4) {
        uint32_t low = (uint32_t)bits;
        float single;
        memcpy(&single, &low, sizeof single);
        f = (double)single;
    } else {
        memcpy(&f, &bits, sizeof f);
    }
    for (unsigned i = 0; i < d->nmarkers; i++)
        if (f == d->fmarkers[i])
            return 0;
    if (d->scaled) { /* two roundings, on every machine: no fused multiply-add */
        volatile double product = f * d->fscale;
        f = product + d->foffset;
    }
    *v = num_flt(f);
    return v->kind != NUM_NONE && (f < d->fmin || f > d->fmax) ? WIRE_Q_LIMITS : 0;
}

static uint16_t bcd(const struct collect_decoder *d, uint64_t bits, struct num *v)
{
    int64_t raw = 0;
    for (int shift = 8 * d->bytes - 4; shift >= 0; shift -= 4) {
        int64_t digit = bits >> shift & 15;
        if (digit > 9)
            return 0;
        raw = raw * 10 + digit;
    }
    return integer(d, raw, v);
}

uint16_t collect_decode(const struct collect_decoder *d, const uint8_t *p, struct num *v)
{
    uint64_t bits = gather(d, p), sign = d->mask ^ d->mask >> 1;
    *v = (struct num){.kind = NUM_NONE};
    for (unsigned i = 0; i < d->nmarkers; i++)
        if (bits == d->markers[i])
            return 0;
    switch ((enum collect_form)d->form) {
    case COLLECT_UNSIGNED:
        if (bits > INT64_MAX)
            return slow(d, (struct num){.u = bits, .kind = NUM_UDEC}, v);
        return integer(d, (int64_t)bits, v);
    case COLLECT_SIGNED:
        return integer(d, (int64_t)((bits ^ sign) - sign), v);
    case COLLECT_FLOAT:
        return floating(d, bits, v);
    case COLLECT_BCD:
        return bcd(d, bits, v);
    case COLLECT_BIT:
    case COLLECT_STRING:
        break;
    }
    return 0;
}

uint16_t collect_decode_bit(const uint8_t *p, unsigned at, struct num *v)
{
    *v = (struct num){.i = p[at / 8] >> at % 8 & 1, .kind = NUM_DEC};
    return 0;
}

void collect_decode_text(const uint8_t *p, unsigned regs, int order, char *text, size_t n)
{
    size_t len = 0, end = 0, flip = order & COLLECT_ORDER_BYTES ? 1 : 0;
    for (size_t i = 0; i < 2 * (size_t)regs && len + 1 < n; i++) {
        size_t word = order & COLLECT_ORDER_WORDS ? regs - 1 - i / 2 : i / 2;
        uint8_t c = p[2 * word + (i % 2 ^ flip)];
        if (c == 0)
            break;
        text[len++] = (char)(c >= ' ' && c < 0x7f ? c : '?');
        if (c != ' ')
            end = len;
    }
    text[end] = '\0';
}
