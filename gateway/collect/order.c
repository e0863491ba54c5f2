/* Values that cannot be, and the word order in which they could (decision 0042). A guess for
 * people: no reading is changed by it. */
#include <math.h>

#include "gateway/collect/collect_int.h"

#define POLLS 3        /* in a row, before it is said */
#define TINY 1e-6      /* no device sends so small a float: the words of a usual one, swapped */
#define FLOAT_MIN 1e-3 /* what another order must give to be believed, beside 0 */
#define FLOAT_MAX 1e7

/* Possible as it is configured. No value at all says nothing: it is how devices mark that. */
static bool is_odd(const struct collect_decoder *d, struct num v, uint16_t q)
{
    double f = fabs(num_double(v));
    return q & WIRE_Q_LIMITS || (d->form == COLLECT_FLOAT && f > 0 && f < TINY);
}

static bool would_do(const struct collect_decoder *as, unsigned flags, const uint8_t *whole)
{
    struct collect_decoder d = *as;
    struct num v;
    d.flip ^= (uint8_t)((flags & COLLECT_ORDER_WORDS ? d.bytes - 2 : 0) |
                        (flags & COLLECT_ORDER_BYTES ? 1 : 0));
    uint16_t q = collect_decode(&d, whole, &v);
    double f = fabs(num_double(v));
    return v.kind != NUM_NONE && !(q & WIRE_Q_LIMITS) &&
           (d.form != COLLECT_FLOAT || (f >= FLOAT_MIN && f <= FLOAT_MAX));
}

void collect_order_begin(struct collect_order *o)
{
    o->odd = 0;
    o->fits = (1 << COLLECT_ORDERS) - 2; /* all but the profile's own */
}

void collect_order_look(struct collect_order *o, const struct collect_point *p,
                        const uint8_t *whole, struct num v, uint16_t q)
{
    const struct collect_decoder *d = &p->decoder;
    if (d->bytes < 4 || d->form == COLLECT_BCD || v.kind == NUM_NONE || num_double(v) == 0)
        return;
    if (is_odd(d, v, q) && o->odd++ == 0) {
        o->order = p->order;
        o->bytes = d->bytes;
    }
    for (unsigned flags = 1; o->armed && flags < COLLECT_ORDERS; flags++)
        if (o->fits >> flags & 1 && !would_do(d, flags, whole))
            o->fits &= (uint8_t) ~(1U << flags);
}

static const char *word_of(const struct collect_order *o, unsigned flags)
{
    int want = o->order ^ (int)flags;
    if (o->bytes == 8)
        want |= COLLECT_ORDER_WIDE;
    for (size_t i = 0; collect_order_words[i].word; i++)
        if (collect_order_words[i].value == want)
            return collect_order_words[i].word;
    return NULL;
}

/* Swapped words are the usual mistake. One number whose bytes make sense in another way is chance;
 * two are not. */
static unsigned chosen(const struct collect_order *o)
{
    if (o->fits >> COLLECT_ORDER_WORDS & 1)
        return COLLECT_ORDER_WORDS;
    for (unsigned flags = COLLECT_ORDER_BYTES; o->odd > 1 && flags < COLLECT_ORDERS; flags++)
        if (o->fits >> flags & 1)
            return flags;
    return 0;
}

const char *collect_order_settle(struct collect_order *o)
{
    unsigned flags = o->armed && o->odd > 0 ? chosen(o) : 0;
    bool same = flags != 0 && o->kept == flags;
    o->run = same ? (uint8_t)(o->run + (o->run < POLLS)) : flags != 0;
    o->kept = (uint8_t)flags;
    o->armed = o->odd > 0;
    return o->run == POLLS ? word_of(o, flags) : NULL;
}
