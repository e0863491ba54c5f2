/* Every reader of the wire room on the same bytes. Beside the sanitizers: what our CBOR reader
 * takes libcbor takes as well, to the same byte, and a batch that opens reads the same twice. */
// uses: wire libcbor
#include <stdio.h>
#include <stdlib.h>

#include <cbor.h>

#include "gateway/wire/wire_int.h"

#define ENVELOPE_BYTES 16 /* more than its heads can grow by */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max);

#define demand(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s\n", #condition);                                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* libcbor 0.8 refuses the tags 6 to 20, COSE_Sign1 among them, and simple values below 20. */
static bool is_beyond_libcbor(uint8_t b)
{
    return (b >= 0xc6 && b <= 0xd4) || (b >= 0xe0 && b <= 0xf3) || b == 0xf8;
}

static void try_cbor(const uint8_t *data, size_t n)
{
    struct wire_reader r = {data, data, data + n};
    struct cbor_load_result result;
    cbor_item_t *item;
    const uint8_t *b;

    if (wire_skip(&r, NULL))
        return;
    for (b = data; b < r.p; b++)
        if (is_beyond_libcbor(*b))
            return;
    item = cbor_load(data, n, &result);
    demand(item && result.read == (size_t)(r.p - data));
    cbor_decref(&item);
}

static void walk_again(const struct wire_batch *b)
{
    struct wire_senml s;
    struct wire_reading w;
    uint64_t left;

    demand(!wire_senml_open(&s, b->cose.payload.p, b->cose.payload.n, b->header.gw, &left, NULL));
    while (!wire_senml_next(&s, &w, NULL))
        left--;
    demand(left == 0);
}

static void try_batch(const uint8_t *data, size_t n)
{
    struct wire_batch b;

    if (wire_batch_open(&b, data, n, NULL))
        return;
    try_cbor(b.cose.protected_.p, b.cose.protected_.n);
    try_cbor(b.cose.payload.p, b.cose.payload.n);
    if (b.header.kind == WIRE_DATA)
        walk_again(&b);
#ifdef FP_PLANTED
    if (b.header.clk == 1) { /* no seed has it */
        (void)fprintf(stderr, "planted bug\n");
        abort();
    }
#endif
    wire_batch_done(&b);
}

static void try_payload(const uint8_t *data, size_t n)
{
    struct wire_control c;
    struct wire_entry entry;
    struct wire_senml s;
    struct wire_reading w;

    if (!wire_control_open(&c, data, n, NULL))
        while (!wire_control_next(&c, &entry, NULL))
            ;
    if (!wire_senml_open(&s, data, n, NULL, NULL, NULL))
        while (!wire_senml_next(&s, &w, NULL))
            ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct wire_receipt receipt;
    struct wire_head head;
    struct wire_cose cose;
    struct buf out;

    buf_init(&out, WIRE_BATCH_MAX);
    (void)!wire_zstd_unpack(data, n, WIRE_BATCH_MAX, &out, NULL);
    buf_done(&out);
    try_cbor(data, n);
    if (wire_cose_open(&cose, data, n, NULL))
        return 0;
    try_payload(cose.payload.p, cose.payload.n);
    (void)!wire_receipt_open(&receipt, &cose, data, n, NULL);
    if (!wire_head_open(&head, &cose, data, n, NULL))
        wire_head_done(&head);
    try_batch(data, n);
    return 0;
}

/* Changes one CBOR item among the n bytes at p, of at most max; `spare` has max bytes. */
static size_t mutate_item(uint8_t *p, size_t n, size_t max, uint8_t *spare, unsigned seed)
{
    struct wire_reader r = wire_reader_of(p, n);
    struct wire_item it;
    size_t at[65], items = 0, k, tail, size;

    do
        at[items] = (size_t)(r.p - p);
    while (items < 64 && !wire_next(&r, &it, NULL) && ++items);
    if (items == 0)
        return LLVMFuzzerMutate(p, n, max);
    k = seed % items;
    tail = n - at[k + 1];
    memcpy(spare, p + at[k + 1], tail);
    size = at[k] + LLVMFuzzerMutate(p + at[k], at[k + 1] - at[k], max - tail - at[k]);
    memcpy(p + size, spare, tail);
    return size + tail;
}

/* Changes the header or the payload of a message and keeps its envelope whole, so that the fuzzer's
 * work goes behind it. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
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
    part[i].n = mutate_item(work + i * max, part[i].n, part[i].n + max - n - ENVELOPE_BYTES,
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
