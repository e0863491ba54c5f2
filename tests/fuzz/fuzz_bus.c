/* What is heard on a bus, in pieces: what is taken for the answer is one, by every byte of it, and
 * pieces make no difference. The first bytes choose the request, the others are heard.
 */
// uses: collect
// seeds: tests/fuzz/corpus/bus/*
#include <string.h>

#include "gateway/collect/collect_int.h"
#include "tests/fuzz/fuzz.h"

#define PREFIX 4
#define UNIT 9
#define HEARD_MAX 640

/* bit 0: TCP; function 1 to 4; count 1 to 32; piece: bytes at a time */
struct input {
    bool tcp;
    struct collect_request q;
    size_t piece, nsent;
    uint8_t sent[12];
};

/* Slow and by the book, beside the product's own. */
static unsigned crc_of(const uint8_t *p, size_t n)
{
    unsigned crc = 0xffff;
    for (size_t i = 0; i < 8 * n; i++) {
        if (i % 8 == 0)
            crc ^= p[i / 8];
        crc = crc >> 1 ^ (crc & 1 ? 0xa001U : 0);
    }
    return crc;
}

static void put_crc(uint8_t *p, size_t n)
{
    unsigned crc = crc_of(p, n);
    p[n] = (uint8_t)crc;
    p[n + 1] = (uint8_t)(crc >> 8);
}

static struct input read_input(const uint8_t *p)
{
    struct input in = {.tcp = p[0] & 1,
                       .q = {.function = (uint8_t)(1 + p[1] % 4),
                             .address = (uint16_t)(p[1] << 8 | p[2]),
                             .count = (uint16_t)(1 + p[2] % 32)},
                       .piece = 1U + p[3] % 64};
    uint8_t pdu[] = {UNIT, in.q.function,      (uint8_t)(in.q.address >> 8), (uint8_t)in.q.address,
                     0,    (uint8_t)in.q.count};
    if (in.tcp) {
        memcpy(in.sent, "\1\2\0\0\0\6", 6);
        memcpy(in.sent + 6, pdu, sizeof pdu);
        in.nsent = 12;
    } else {
        memcpy(in.sent, pdu, sizeof pdu);
        put_crc(in.sent, sizeof pdu);
        in.nsent = 8;
    }
    return in;
}

static unsigned data_bytes(const struct input *in)
{
    return in->q.function <= 2 ? (in->q.count + 7U) / 8 : 2U * in->q.count;
}

static void check_good(const struct input *in, const struct collect_heard *h,
                       const struct collect_answer *a)
{
    size_t head = in->tcp ? 9 : 3, bytes = data_bytes(in);
    demand(a->data >= h->p + head && a->data + bytes <= h->p + h->n);
    const uint8_t *pdu = a->data - 2;
    demand(pdu[-1] == UNIT && pdu[0] == in->q.function && pdu[1] == bytes);
    if (in->tcp) {
        demand(memcmp(h->p, "\1\2\0\0", 4) == 0 && h->p[4] == 0 && h->p[5] == bytes + 3);
        return;
    }
    const uint8_t *frame = pdu - 1;
    unsigned crc = crc_of(frame, 3 + bytes);
    demand(frame + 5 + bytes <= h->p + h->n);
    demand(frame[3 + bytes] == (crc & 0xff) && frame[4 + bytes] == crc >> 8);
    bool echoed = h->n >= in->nsent && memcmp(h->p, in->sent, in->nsent) == 0;
    demand(a->echo == echoed && (!echoed || frame >= h->p + in->nsent));
    PLANT(echoed && frame > h->p + in->nsent && a->more && in->q.function == 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < PREFIX || n > PREFIX + HEARD_MAX)
        return 0;
    struct input in = read_input(data);
    struct collect_heard h = {
        .tcp = in.tcp, .p = data + PREFIX, .sent = in.sent, .nsent = in.nsent, .room = HEARD_MAX};
    struct collect_answer a;
    bool over = false;
    n -= PREFIX;
    while (h.n < n && !over) {
        h.n += h.n + in.piece < n ? in.piece : n - h.n;
        enum collect_fault f = collect_answer_find(&h, UNIT, &in.q, &a, &over);
        demand(f == COLLECT_GOOD || f == COLLECT_EXCEPTION || f == COLLECT_SILENT ||
               f == COLLECT_GARBAGE || f == COLLECT_FOREIGN);
        demand(h.n > 0 || f == COLLECT_SILENT);
        if (f == COLLECT_GOOD)
            check_good(&in, &h, &a);
        if (f == COLLECT_GOOD || f == COLLECT_EXCEPTION)
            demand(over);
    }
    return 0;
}

/* Frames with a right sum, and echoes, are hardly ever made by chance. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    uint8_t frame[80];
    size_t size;
    n = LLVMFuzzerMutate(data, n, max);
    if (n < PREFIX || data[0] & 1 || seed % 4 == 0)
        return n;
    struct input in = read_input(data);
    if (seed % 4 == 1) { /* an echo before all */
        size = in.nsent;
        memcpy(frame, in.sent, size);
    } else {
        size = 3U + data_bytes(&in);
        memset(frame, (int)(seed >> 8), sizeof frame);
        frame[0] = (uint8_t)(UNIT + (seed % 16 == 2));
        frame[1] = in.q.function;
        frame[2] = (uint8_t)data_bytes(&in);
        put_crc(frame, size);
        size += 2;
    }
    if (n + size > max)
        return n;
    size_t at = seed % 4 == 1 ? PREFIX : PREFIX + (seed / 16) % (n - PREFIX + 1);
    memmove(data + at + size, data + at, n - at);
    memcpy(data + at, frame, size);
    return n + size;
}
