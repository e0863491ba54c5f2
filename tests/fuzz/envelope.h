/* A mutator for COSE_Sign1 messages. */
#ifndef TESTS_FUZZ_ENVELOPE_H
#define TESTS_FUZZ_ENVELOPE_H

#include <string.h>

#include "gateway/wire/wire_int.h"
#include "tests/fuzz/fuzz.h"

#define ENVELOPE_BYTES 16 /* more than its heads can grow by */

/* Changes one CBOR item among the n bytes at p, of at most max; `spare` has max bytes. */
static inline size_t envelope_item(uint8_t *p, size_t n, size_t max, uint8_t *spare, unsigned seed)
{
    struct wire_reader r = wire_reader_of(p, n);
    struct wire_item it;
    size_t at[65], items = 0, k, tail, size;
    uint64_t more = seed * UINT64_C(0x9e3779b97f4a7c15); /* random bits */

    do
        at[items] = (size_t)(r.p - p);
    while (items < 64 && !wire_next(&r, &it, NULL) && ++items);
    if (items == 0)
        return LLVMFuzzerMutate(p, n, max);
    k = seed % items;
    tail = n - at[k + 1];
    memcpy(spare, p + at[k + 1], tail);
    /* of an integer often another one in its shortest form, which plain mutation rarely hits */
    if (p[at[k]] >> 5 < 2 && more >> 63 && max - tail - at[k] >= WIRE_CBOR_HEAD_BYTES)
        size = (size_t)(wire_store_head(p + at[k], p[at[k]] >> 5, more >> (more % 64)) - p);
    else
        size = at[k] + LLVMFuzzerMutate(p + at[k], at[k + 1] - at[k], max - tail - at[k]);
    memcpy(p + size, spare, tail);
    return size + tail;
}

/* Changes the header or the payload of a message and keeps its envelope whole, so that the fuzzer's
 * work goes behind it. */
static inline size_t envelope_mutate(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    struct wire_span part[3];
    struct wire_cose c;
    uint8_t *work, *p;
    size_t i;

    if (seed % 16 == 0 || max < n + ENVELOPE_BYTES || wire_cose_open(&c, data, n, NULL))
        return LLVMFuzzerMutate(data, n, max);
    work = malloc(4 * max);
    demand(work);
    part[0] = c.protected_;
    part[1] = c.payload;
    part[2] = c.signature;
    for (i = 0, p = work; i < 3; i++, p += max) {
        memcpy(p, part[i].p, part[i].n);
        part[i].p = p;
    }
    i = seed / 16 % 2;
    part[i].n = envelope_item(work + i * max, part[i].n, part[i].n + max - n - ENVELOPE_BYTES,
                              work + 3 * max, seed / 32);
    p = data;
    *p++ = 0xd2;
    *p++ = 0x84;
    for (i = 0; i < 3; i++) {
        p = wire_store_head(p, 2, part[i].n);
        memcpy(p, part[i].p, part[i].n);
        p += part[i].n;
        if (i == 0)
            *p++ = 0xa0;
    }
    free(work);
    return (size_t)(p - data);
}

#endif
