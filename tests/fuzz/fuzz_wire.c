/* Every reader of the wire room on the same bytes. Beside the sanitizers: what our CBOR reader
 * takes libcbor takes as well, to the same byte, and a batch that opens reads the same twice. */
// uses: wire libcbor
// seeds: tests/golden/*.hex tests/fuzz/corpus/batch/*
#include <cbor.h>

#include "tests/fuzz/envelope.h"

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

static bool same_span(struct wire_span a, struct wire_span b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

/* The quick walk over what is known to be good sees the same. */
static void demand_skimmed(struct wire_skim *k, const struct wire_reading *w)
{
    struct wire_skimmed x;
    struct num v;

    demand(!wire_skim_next(k, NULL, &x, NULL));
    demand(same_span(x.device, w->device) && same_span(x.point, w->point));
    demand(x.t_ms == w->t_ms && x.q == w->q);
    demand(!wire_skim_value(k, &x, &v, NULL) && num_cmp(v, w->v) == 0);
}

static void walk_again(const struct wire_batch *b)
{
    struct wire_senml s;
    struct wire_reading w;
    struct wire_skim k;
    struct wire_skimmed x;
    uint64_t left;

    demand(!wire_senml_open(&s, b->cose.payload.p, b->cose.payload.n, b->header.gw, &left, NULL));
    demand(!wire_skim_open(&k, b->cose.payload.p, b->cose.payload.n, NULL));
    while (!wire_senml_next(&s, &w, NULL)) {
        demand_skimmed(&k, &w);
        left--;
    }
    demand(left == 0);
    demand(wire_skim_next(&k, NULL, &x, NULL) == ST_NOT_FOUND);
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
    PLANT(b.header.seq > 8);
    wire_batch_done(&b);
}

static void try_payload(const uint8_t *data, size_t n)
{
    struct wire_control c;
    struct wire_entry entry;
    struct wire_senml s;
    struct wire_reading w;
    struct wire_skim k;
    struct wire_skimmed x;
    struct num v;

    if (!wire_skim_open(&k, data, n, NULL))
        while (!wire_skim_next(&k, NULL, &x, NULL))
            (void)!wire_skim_value(&k, &x, &v, NULL);
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

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    return envelope_mutate(data, n, max, seed);
}
