/* The bytes of a LoRaWAN payload, by the mapping's port, first byte and type. */
#include <string.h>

#include "gateway/collect/push_int.h"

#define RAW_INFO(name, bytes, form)                                                                \
    [COLLECT_RAW_##name] = {bytes, COLLECT_RAW_##form, UINT32_C(1) << (8 * (bytes)-1)},
static const struct {
    uint8_t bytes, form;
    uint32_t sign; /* the highest bit */
} raws[COLLECT_RAW_COUNT] = {COLLECT_RAWS(RAW_INFO)};

static struct num number(const struct collect_source *s, const uint8_t *p)
{
    unsigned bytes = raws[s->raw].bytes;
    uint32_t bits = 0;
    for (unsigned i = 0; i < bytes; i++)
        bits = bits << 8 | p[s->little ? bytes - 1 - i : i];
    switch (raws[s->raw].form) {
    case COLLECT_RAW_FLOAT: {
        float f;
        memcpy(&f, &bits, sizeof f);
        return num_flt((double)f);
    }
    case COLLECT_RAW_SIGNED: {
        uint32_t sign = raws[s->raw].sign;
        return num_dec((int64_t)(bits & (sign - 1)) - (int64_t)(bits & sign), 0);
    }
    case COLLECT_RAW_BIT:
        return num_dec(bits >> s->bit & 1, 0);
    default:
        return num_dec(bits, 0);
    }
}

enum st collect_payload_read(struct collect_pack *k, int64_t port, const uint8_t *p, size_t n,
                             int64_t t_ms)
{
    for (size_t i = 0; i < k->profile->n; i++) {
        const struct collect_source *s = &k->profile->sources[i];
        if (s->port != port || s->port == 0 || (size_t)s->at + raws[s->raw].bytes > n)
            continue;
        ERR_TRY(collect_pack_add(k, i, number(s, p + s->at), false, t_ms));
    }
    return ST_OK;
}
