/* Where a register stands, by the tables of sensors/node.def. */
#include "firmware/node/map_int.h"

#define NODE_BLOCK(id, block, entry) NODE_##block,
static const uint8_t blocks[] = {
#include "sensors/node.def"
};
#undef NODE_BLOCK
#define NODE_BLOCK(id, block, entry) (entry),
static const uint8_t entry_lengths[] = {
#include "sensors/node.def"
};
#undef NODE_BLOCK
#define BLOCKS (sizeof blocks / sizeof *blocks)
_Static_assert(BLOCKS <= sizeof((struct node *)0)->heads, "each has its place");

static unsigned entries_of(const struct node *n, unsigned block)
{
    switch ((enum node_block)block) {
    case NODE_POINTS:
    case NODE_VALUES:
    case NODE_CALIBRATION:
        return n->measure.npoints;
    case NODE_SENSORS:
        return n->measure.nsensors;
    case NODE_IDENTITY:
    case NODE_DIAGNOSTICS:
    case NODE_LINE:
        break;
    }
    return 0;
}

/* The address behind a block; where the chain begins when there is none yet. */
static unsigned behind(const struct block *b)
{
    return b->id == 0 ? NODE_FIRST : b->base + 2 + b->length;
}

bool map_next_block(struct node *n, struct block *b)
{
    unsigned i = 0;
    while (b->id != 0 && blocks[i++] != b->id)
        ;
    if (i == BLOCKS)
        return false;
    b->base = behind(b);
    b->id = blocks[i];
    b->entry = entry_lengths[i];
    if (n->heads[i] == 0)
        n->heads[i] = (uint8_t)node_head(b->id);
    b->head = n->heads[i];
    b->length = b->head + b->entry * entries_of(n, b->id);
    return true;
}

/* The block that the address is in; *b is where the search begins. */
static bool find_block(struct node *n, unsigned at, struct block *b)
{
    while (at >= behind(b) || b->id == 0) {
        if (!map_next_block(n, b))
            return false;
    }
    return true;
}

/* The register at that offset of the head, or of an entry. */
static const struct node_reg *reg_at(struct block *b, bool field, unsigned offset)
{
    const struct node_reg *r = field && offset == 0 && b->first && b->first->block == b->id
                                   ? b->first
                                   : node_reg_at(b->id, field, offset);
    if (field && offset == 0)
        b->first = r;
    return r;
}

static struct piece piece_of(struct block *b, const struct node_reg *r, unsigned at, unsigned entry)
{
    b->last = r;
    b->last_entry = entry;
    b->behind_last = at + r->count;
    return (struct piece){at, r->count, (int)(r - node_regs), entry, 0};
}

/* What follows the last register within its head or entry: nearly always what is asked for. */
static bool next_piece(struct block *b, unsigned at, struct piece *p)
{
    const struct node_reg *last = b->last, *r;
    if (!last || at != b->behind_last)
        return false;
    r = last + 1;
    if (r == node_regs + node_reg_count || r->block != b->id || r->field != last->field ||
        r->offset != last->offset + last->count)
        return false;
    *p = piece_of(b, r, at, b->last_entry);
    return true;
}

static struct piece number_at(unsigned at, unsigned count, uint32_t number)
{
    return (struct piece){.at = at, .count = count, .reg = -1, .number = number};
}

bool map_find(struct node *n, unsigned at, struct block *b, struct piece *p)
{
    if (next_piece(b, at, p))
        return true;
    if (at < NODE_FIRST) {
        *p = at < 2 ? number_at(0, 2, NODE_MARK) : number_at(2, 1, NODE_VERSION);
        return true;
    }
    if (!find_block(n, at, b)) {
        *p = number_at(behind(b), 1, NODE_END);
        return at == behind(b);
    }
    if (at < b->base + 2) {
        *p = at == b->base ? number_at(at, 1, b->id) : number_at(at, 1, b->length);
        return true;
    }
    unsigned first = b->base + 2, offset = at - first, entry = 0;
    bool field = b->entry > 0 && offset >= b->head;
    if (field) {
        entry = (offset - b->head) / b->entry;
        first += b->head + entry * b->entry;
    }
    const struct node_reg *r = reg_at(b, field, at - first);
    if (r)
        *p = piece_of(b, r, first + r->offset, entry);
    else
        *p = number_at(at, 1, 0); /* a hole, should the table ever have one */
    return true;
}
