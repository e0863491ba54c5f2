/* How a request is gone through: by pieces, each one register of node.def with all that it counts.
 */
#ifndef FIRMWARE_MAP_INT_H
#define FIRMWARE_MAP_INT_H

#include "firmware/node/node.h"
#include "sensors/node.h"

/* A block, and what was found in it last, for a request goes on from there: 125 registers that are
 * each looked up from the beginning would take milliseconds. */
struct block {
    unsigned base; /* the address of its id */
    unsigned id, length, head, entry;
    const struct node_reg *last, *first; /* the first of an entry; NULL: none was found yet */
    unsigned behind_last, last_entry;    /* the address behind the last, and where it is */
    unsigned valued;                     /* entries up to the one that `value` is of; 0: none */
    struct measure_value value;
};

struct piece {
    unsigned at, count; /* where it begins */
    int reg;            /* its place in node_regs; -1: it says `number` */
    unsigned entry;
    uint32_t number;
};

/* The block that follows one; the first when b->id is 0. false: there is none. */
bool map_next_block(struct node *n, struct block *b);
/* The piece that holds the address; *b is zero, or as a lower address left it. false: there is none
 * there. */
bool map_find(struct node *n, unsigned at, struct block *b, struct piece *p);

#endif
