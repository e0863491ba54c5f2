/* The register map of our sensor node, as tables and numbers; node.def says what it means.
 *
 * No OS, no memory of its own, pure: any thread. */
#ifndef SENSORS_NODE_H
#define SENSORS_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NODE_BLOCK(id, block, entry) NODE_##block = (id),
enum node_block {
#include "sensors/node.def"
};
#undef NODE_BLOCK

#define NODE_BLOCK(id, block, entry) NODE_##block##_ENTRY = (entry),
enum node_entry { /* registers of an entry */
#include "sensors/node.def"
};
#undef NODE_BLOCK

#define NODE_STATE(number, name) NODE_##name = (number),
enum node_state {
#include "sensors/node.def"
    NODE_STATES
};
#undef NODE_STATE

#define NODE_RESET(number, name) NODE_RESET_##name = (number),
enum node_reset {
#include "sensors/node.def"
};
#undef NODE_RESET

#define NODE_COMMAND(number, name) NODE_COMMAND_##name = (number),
enum node_command {
#include "sensors/node.def"
};
#undef NODE_COMMAND

/* Offsets: NODE_IDENTITY_model, NODE_POINTS_quantity; and registers that it has of its own:
 * NODE_IDENTITY_model_COUNT. */
#define NODE_REG(block, name, offset, type, count, may)                                            \
    NODE_##block##_##name = (offset), NODE_##block##_##name##_COUNT = (count),
#define NODE_FIELD NODE_REG
enum node_offset {
#include "sensors/node.def"
};
#undef NODE_REG
#undef NODE_FIELD

enum node_type { NODE_U16, NODE_S16, NODE_U32, NODE_S32, NODE_TEXT };
enum node_may { NODE_READ, NODE_WRITE };
struct node_reg {
    uint8_t block;
    bool field; /* of an entry; else of the head */
    const char *name;
    uint8_t offset, count; /* registers */
    enum node_type type;
    enum node_may may;
};
extern const struct node_reg node_regs[]; /* in the order of node.def */
extern const size_t node_reg_count;

/* The register of a block's head, or of its entries, that stands at that offset; NULL: none. */
const struct node_reg *node_reg_at(unsigned block, bool field, unsigned offset);
/* Registers of the head as this version has it. 0: no such block. */
unsigned node_head(unsigned block);

/* CRC-32 (IEEE 802.3: reflected 0xEDB88320, begins and ends inverted) of n bytes; `crc` is 0 for
 * the first of several pieces, else what the piece before gave. */
uint32_t node_crc32(uint32_t crc, const uint8_t *p, size_t n);

#endif
