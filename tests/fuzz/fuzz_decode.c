/* A point and an answer out of the same bytes: what the answer check lets through lies within the
 * frame, and what the decoder makes of it is what exact arithmetic says, in its one normal form. */
// uses: collect
// seeds: tests/fuzz/corpus/decode/*
#include <math.h>
#include <string.h>

#include "gateway/collect/collect_int.h"
#include "tests/fuzz/fuzz.h"

#define HEAD_BYTES 32
#define REGISTERS 4 /* of the request: one value of any type */

static int64_t take(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | p[i];
    return (int64_t)(v << (64 - 8 * n)) >> (64 - 8 * n);
}

/* A point as a checked profile could hold it. */
static struct collect_point point_of(const uint8_t *p, int64_t *marker)
{
    struct collect_point it = {.type = p[0] % COLLECT_TYPE_COUNT, .order = p[1] % 4};
    it.scale = num_dec(take(p + 2, 4), -(p[6] % 12));
    it.offset = num_dec(take(p + 8, 8), -(p[7] % 12));
    if (it.scale.kind == NUM_NONE || num_double(it.scale) == 0)
        it.scale = num_dec(1, 0);
    *marker = take(p + 16, 8);
    it.no_value = (struct cfg_ints){marker, p[24] & 1};
    it.quantity = &quantity_table[p[25] % quantity_count];
    return it;
}

/* The raw number, read the long way. */
static bool raw_of(const struct collect_point *it, const uint8_t *p, struct num *raw)
{
    unsigned bytes = 2U * collect_types[it->type].regs, word, byte;
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++) {
        word = it->order & COLLECT_ORDER_WORDS ? bytes / 2 - 1 - i / 2 : i / 2;
        byte = it->order & COLLECT_ORDER_BYTES ? 1 - i % 2 : i % 2;
        v = v << 8 | p[2 * word + byte];
    }
    if (collect_types[it->type].form == COLLECT_SIGNED) {
        *raw = num_dec((int64_t)(v << (64 - 8 * bytes)) >> (64 - 8 * bytes), 0);
        return true;
    }
    *raw = num_udec(v, 0);
    return collect_types[it->type].form == COLLECT_UNSIGNED;
}

static bool outside(const struct quantity *q, struct num v)
{
    return q->limited && (num_cmp(v, num_dec(q->min, -q->decimals)) < 0 ||
                          num_cmp(v, num_dec(q->max, -q->decimals)) > 0);
}

static void check_value(const struct collect_point *it, const uint8_t *p, struct num v, uint16_t q)
{
    struct num raw, exact = {.kind = NUM_NONE};
    demand(v.kind != NUM_NONE || q == 0);
    demand(v.kind != NUM_FLT || isfinite(v.f));
    if (v.kind == NUM_DEC)
        demand(num_cmp(v, num_dec(v.i, v.exp)) == 0 && num_dec(v.i, v.exp).exp == v.exp);
    if (v.kind != NUM_NONE)
        demand((q == WIRE_Q_LIMITS) == outside(it->quantity, v));
    if (!raw_of(it, p, &raw) || it->no_value.n > 0)
        return;
    if (!num_scale(raw, it->scale, it->offset, &exact))
        exact.kind = NUM_NONE;
    demand(v.kind == exact.kind);
    demand(v.kind == NUM_NONE || (num_cmp(v, exact) == 0 && v.exp == exact.exp));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct collect_request request = {.function = 3, .count = REGISTERS};
    struct collect_answer a;
    int64_t marker;
    if (n < HEAD_BYTES)
        return 0;
    struct collect_point it = point_of(data, &marker);
    const uint8_t *adu = data + HEAD_BYTES;
    n -= HEAD_BYTES;
    bool serial = data[26] & 1;
    if (collect_answer_check(adu, n, serial ? -1 : 0x0102, 9, &request, &a) != COLLECT_GOOD)
        return 0;
    demand(a.data >= adu && a.data + sizeof(uint16_t) * REGISTERS <= adu + n);
    char text[2 * REGISTERS + 1];
    collect_decode_text(a.data, REGISTERS, it.order, text, sizeof text);
    demand(memchr(text, 0, sizeof text) != NULL);
    if (it.offset.kind == NUM_NONE || collect_types[it.type].regs == 0)
        return 0;
    struct num v;
    collect_decoder_init(&it.decoder, &it);
    uint16_t q = collect_decode(&it.decoder, a.data, &v);
    check_value(&it, a.data, v, q);
    PLANT(collect_types[it.type].form == COLLECT_BCD && v.kind == NUM_DEC && q == WIRE_Q_LIMITS);
    return 0;
}
