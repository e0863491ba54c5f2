/* Whether a frame answers our request: every byte but the data is checked. */
#include <string.h>

#include "gateway/collect/collect_int.h"

#define MBAP_BYTES 7
#define CRC_BYTES 2

static unsigned word(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

/* Modbus over Serial Line 1.02, 6.2.2; it goes over the line low byte first. */
static unsigned crc16(const uint8_t *p, size_t n)
{
    unsigned crc = 0xffff;
    while (n-- > 0) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1;
    }
    return crc;
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

size_t collect_answer_seal(uint8_t *adu, size_t n)
{
    unsigned crc = crc16(adu, n);
    adu[n] = (uint8_t)crc;
    adu[n + 1] = (uint8_t)(crc >> 8);
    return n + CRC_BYTES;
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

/* ---- in what was heard ---------------------------------------------------------------------- */

/* Bytes of the whole answer that begins at p, by its own head; 0: none does, or it is not all
 * there. Only an answer to this function is looked for: noise is passed byte by byte. */
static size_t whole_rtu(const uint8_t *p, size_t n, unsigned function)
{
    if (n < 5 || (p[1] & 0x7fU) != function)
        return 0;
    size_t size = p[1] & 0x80 ? 5 : 5U + p[2];
    if (n < size || crc16(p, size - CRC_BYTES) != (p[size - 2] | (unsigned)p[size - 1] << 8))
        return 0;
    return size;
}

static enum collect_fault find_rtu(const struct collect_heard *h, uint8_t unit,
                                   const struct collect_request *r, struct collect_answer *out)
{
    enum collect_fault worst = COLLECT_SILENT;
    size_t at = 0;
    bool echo = false;
    if (memcmp(h->p, h->sent, h->n < h->nsent ? h->n : h->nsent) == 0) {
        if (h->n < h->nsent)
            return COLLECT_SILENT; /* so far it is our own request that comes back */
        at = h->nsent;
        echo = true;
    }
    *out = (struct collect_answer){.echo = echo};
    while (at < h->n) {
        size_t size = whole_rtu(h->p + at, h->n - at, r->function);
        enum collect_fault f = COLLECT_GARBAGE;
        if (size > 0) {
            f = collect_answer_check(h->p + at, size, -1, unit, r, out);
            out->echo = echo;
        }
        if (f == COLLECT_GOOD || f == COLLECT_EXCEPTION) {
            out->more = at + size < h->n;
            return f;
        }
        if (worst != COLLECT_FOREIGN)
            worst = f;
        at += size > 0 ? size : 1;
    }
    return worst;
}

static enum collect_fault find_tcp(const struct collect_heard *h, uint8_t unit,
                                   const struct collect_request *r, struct collect_answer *out,
                                   bool *over)
{
    if (h->n < MBAP_BYTES - 1)
        return h->n == 0 ? COLLECT_SILENT : COLLECT_GARBAGE;
    size_t size = MBAP_BYTES - 1 + word(h->p + 4);
    *over = h->n >= size || size > h->room;
    return *over ? collect_answer_check(h->p, h->n < size ? h->n : size, (int)word(h->sent), unit,
                                        r, out)
                 : COLLECT_GARBAGE;
}

enum collect_fault collect_answer_find(const struct collect_heard *h, uint8_t unit,
                                       const struct collect_request *r, struct collect_answer *out,
                                       bool *over)
{
    enum collect_fault f;
    *out = (struct collect_answer){0};
    *over = false;
    if (h->tcp) {
        f = find_tcp(h, unit, r, out, over);
    } else {
        f = find_rtu(h, unit, r, out);
        *over = f == COLLECT_GOOD || f == COLLECT_EXCEPTION;
    }
    if (!*over)
        *over = h->n == h->room;
    return f;
}

/* ---- what came, for the line doctor --------------------------------------------------------- */

#define GATEWAY_PATH 10 /* exceptions of a converter: it has no line, or no answer on it */
#define GATEWAY_TARGET 11
#define STUB_BYTES 2 /* that a line brings where nobody answers */

/* Bytes of the whole answer to any read that begins at p; 0: none does. */
static size_t whole_any(const uint8_t *p, size_t n)
{
    unsigned of = n > 1 ? p[1] & 0x7fU : 0;
    return of >= 1 && of <= 4 ? whole_rtu(p, n, of) : 0;
}

bool collect_answer_has(const uint8_t *p, size_t n, uint8_t unit, const struct collect_request *r)
{
    for (size_t at = 0, size; at<n; at += size> 0 ? size : 1) {
        size = whole_any(p + at, n - at);
        if (size > 0 && p[at] == unit && p[at + 1] == r->function && p[at + 2] == data_bytes(r))
            return true;
    }
    return false;
}

/* Whole answers to reads, and loose bytes, among what was heard. */
struct pieces {
    unsigned own, earlier; /* own: could be to the request; earlier: the unit's, to another one */
    size_t loose;
    int unit, stranger; /* of the first one; of the last foreign one; -1: none */
};

static struct pieces take_apart(const uint8_t *p, size_t n, uint8_t unit, unsigned function,
                                size_t wanted)
{
    struct pieces all = {.unit = -1, .stranger = -1};
    for (size_t at = 0, size; at<n; at += size> 0 ? size : 1) {
        size = whole_any(p + at, n - at);
        bool own = size > 0 && p[at] == unit;
        bool right = own && (p[at + 1] & 0x7fU) == function && (size == wanted || p[at + 1] & 0x80);
        all.own += right;
        all.earlier += own && !right;
        all.loose += size == 0;
        if (size > 0 && all.unit < 0)
            all.unit = p[at];
        if (size > 0 && !own)
            all.stranger = p[at];
    }
    return all;
}

int collect_answer_within(const uint8_t *p, size_t n)
{
    return take_apart(p, n, 0, 0, 0).unit;
}

/* By its head, wherever it stands: the CRC is wrong, or the end is missing. */
static enum collect_sign_is damage(const uint8_t *p, size_t n, uint8_t unit,
                                   const struct collect_request *r, struct collect_sign *s)
{
    const uint8_t head[] = {unit, r->function, (uint8_t)data_bytes(r)};
    const uint8_t refusal[] = {unit, (uint8_t)(r->function | 0x80)};
    const uint8_t *at = n < sizeof head ? NULL : memmem(p, n, head, sizeof head);
    if (n == 5 && memcmp(p, refusal, sizeof refusal) == 0)
        return COLLECT_SIGN_DAMAGED;
    if (!at) /* a second one that speaks a byte later spoils all but the first */
        return p[0] == unit && n > s->wanted && n <= 2U * s->wanted ? COLLECT_SIGN_OVERLAP
                                                                    : COLLECT_SIGN_GARBAGE;
    s->beside = at > p;
    size_t rest = n - (size_t)(at - p);
    return rest < s->wanted    ? COLLECT_SIGN_CUT
           : rest == s->wanted ? COLLECT_SIGN_DAMAGED
                               : COLLECT_SIGN_OVERLAP;
}

static void sign_rtu(const uint8_t *p, size_t n, uint8_t unit, const struct collect_request *r,
                     struct collect_sign *s)
{
    struct pieces all = take_apart(p, n, unit, r->function, s->wanted);
    size_t blank = 0;
    for (size_t i = 0; i < n; i++)
        blank += p[i] == 0 || p[i] == 0xff;
    s->blank = 2 * blank > n;
    s->doubled = all.own > 1;
    s->belated = all.earlier > 0;
    s->strange = all.stranger >= 0;
    s->stranger = (uint8_t)(s->strange ? all.stranger : 0);
    if (s->is != COLLECT_SIGN_GARBAGE) {
        s->beside = all.own > 0 && all.loose > 0;
        return;
    }
    if (n <= STUB_BYTES) {
        s->is = COLLECT_SIGN_SILENT;
        s->beside = true;
    } else if (all.earlier > 0) {
        s->is = COLLECT_SIGN_OTHER;
    } else if (n > CRC_BYTES && crc16(p, n - CRC_BYTES) == (p[n - 2] | (unsigned)p[n - 1] << 8)) {
        s->is = p[0] == unit ? COLLECT_SIGN_OTHER : COLLECT_SIGN_FOREIGN;
    } else {
        s->is = (uint8_t)damage(p, n, unit, r, s);
    }
}

struct collect_sign collect_answer_sign(const struct collect_heard *h, uint8_t unit,
                                        const struct collect_request *r, enum collect_fault f,
                                        const struct collect_answer *a)
{
    static const uint8_t is[] = {
        [COLLECT_GOOD] = COLLECT_SIGN_GOOD,       [COLLECT_EXCEPTION] = COLLECT_SIGN_REFUSED,
        [COLLECT_SILENT] = COLLECT_SIGN_SILENT,   [COLLECT_GARBAGE] = COLLECT_SIGN_GARBAGE,
        [COLLECT_FOREIGN] = COLLECT_SIGN_FOREIGN,
    };
    struct collect_sign s = {.is = f < COLLECT_LOST ? is[f] : COLLECT_SIGN_OTHER,
                             .wanted = (uint16_t)(3 + data_bytes(r) + CRC_BYTES),
                             .took_ms = (uint32_t)a->took_ms};
    const uint8_t *p = h->p;
    size_t n = h->n;
    if (f == COLLECT_EXCEPTION && h->tcp &&
        (a->exception == GATEWAY_PATH || a->exception == GATEWAY_TARGET))
        s.is = COLLECT_SIGN_SILENT;
    if (!h->tcp && n >= h->nsent && memcmp(p, h->sent, h->nsent) == 0) {
        p += h->nsent;
        n -= h->nsent;
    }
    s.bytes = (uint16_t)n;
    if (f == COLLECT_SILENT && n > 0) /* it came after the time-out */
        s.is = a->late ? COLLECT_SIGN_LATE : COLLECT_SIGN_GARBAGE;
    if (!h->tcp)
        sign_rtu(p, n, unit, r, &s);
    return s;
}
