/* The map's tables. */
#include "sensors/node.h"

#define NODE_REG(block, name, offset, type, count, may)                                            \
    {NODE_##block, false, #name, (offset), (count), NODE_##type, NODE_##may},
#define NODE_FIELD(block, name, offset, type, count, may)                                          \
    {NODE_##block, true, #name, (offset), (count), NODE_##type, NODE_##may},
const struct node_reg node_regs[] = {
#include "sensors/node.def"
};
#undef NODE_REG
#undef NODE_FIELD
const size_t node_reg_count = sizeof node_regs / sizeof *node_regs;

const struct node_reg *node_reg_at(unsigned block, bool field, unsigned offset)
{
    for (size_t i = 0; i < node_reg_count; i++) {
        const struct node_reg *r = &node_regs[i];
        if (r->block == block && r->field == field && offset >= r->offset &&
            offset < (unsigned)r->offset + r->count)
            return r;
    }
    return NULL;
}

unsigned node_head(unsigned block)
{
    unsigned n = 0;
    for (size_t i = 0; i < node_reg_count; i++) {
        const struct node_reg *r = &node_regs[i];
        if (r->block == block && !r->field && (unsigned)r->offset + r->count > n)
            n = (unsigned)r->offset + r->count;
    }
    return n;
}

uint32_t node_crc32(uint32_t crc, const uint8_t *p, size_t n)
{
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1U ? crc >> 1 ^ 0xEDB88320U : crc >> 1;
    }
    return ~crc;
}
