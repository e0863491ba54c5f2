/* Whether a frame answers our request: every byte but the data is checked. */
#include "gateway/collect/collect_int.h"

#define MBAP_BYTES 7
#define CRC_BYTES 2

static unsigned word(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static size_t data_bytes(const struct collect_request *r)
{
    return r->function <= 2 ? (r->count + 7U) / 8 : 2U * r->count;
}

size_t collect_answer_bytes(const struct collect_request *r)
{
    return MBAP_BYTES + 2 + data_bytes(r);
}

size_t collect_answer_whole(const uint8_t *adu, size_t n, size_t whole)
{
    size_t said = n < MBAP_BYTES ? whole : word(adu + 4) + MBAP_BYTES - 1U;
    return said < whole ? said : whole;
}

enum collect_fault collect_answer_check(const uint8_t *adu, size_t n, int transaction, uint8_t unit,
                                        const struct collect_request *r, struct collect_answer *out)
{
    size_t head = transaction < 0 ? 1 : MBAP_BYTES, tail = transaction < 0 ? CRC_BYTES : 0;
    *out = (struct collect_answer){0};
    if (n < head + 2 + tail)
        return COLLECT_GARBAGE;
    if (transaction >= 0 && (word(adu) != (unsigned)transaction || word(adu + 2) != 0 ||
                             word(adu + 4) != n - MBAP_BYTES + 1))
        return COLLECT_GARBAGE;
    if (adu[head - 1] != unit)
        return COLLECT_FOREIGN;
    const uint8_t *pdu = adu + head;
    size_t size = n - head - tail;
    size_t bytes = data_bytes(r);
    if (pdu[0] == (r->function | 0x80) && size == 2) {
        out->exception = pdu[1];
        return COLLECT_EXCEPTION;
    }
    if (pdu[0] != r->function || pdu[1] != bytes || size != 2 + bytes)
        return COLLECT_GARBAGE;
    out->data = pdu + 2;
    return COLLECT_GOOD;
}
