/* The chain of blocks of one of our nodes: walked, never trusted. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gateway/collect/node_int.h"

#define MARK_REGISTERS 3 /* the mark and the version */
#define MAJOR(version) ((version) >> 8)
#define POINTS_HEAD 2 /* the least that a head of entries has */
#define VALUES_HEAD 4
#define POINT_LEAST 3 /* quantity, instance, exponent */
#define VALUE_LEAST 3 /* raw, state */

/* What is read of the blocks behind their heads. */
static const struct part {
    uint16_t block;
    uint16_t least, most; /* registers; most: the rest is left out */
} parts[] = {{NODE_IDENTITY, NODE_IDENTITY_hash + NODE_IDENTITY_hash_COUNT,
              NODE_IDENTITY_hash + NODE_IDENTITY_hash_COUNT},
             {NODE_POINTS, POINTS_HEAD, COLLECT_NODE_TABLE},
             {NODE_VALUES, VALUES_HEAD, VALUES_HEAD},
             {NODE_SENSORS, 0, COLLECT_NODE_TABLE}}; /* least 0: it may be without */
#define PARTS (sizeof parts / sizeof *parts)

static uint8_t *bytes_of(struct collect_node_walk *w, size_t part)
{
    uint8_t *const to[PARTS] = {w->identity, w->points, w->values, w->sensors};
    return to[part];
}

/* The first of that number; NULL: none. */
static const struct collect_node_block *block_of(const struct collect_node_walk *w, unsigned id)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->blocks[i].id == id)
            return &w->blocks[i];
    return NULL;
}

/* Registers that are read of it. */
static unsigned size_of(const struct collect_node_walk *w, size_t part)
{
    const struct collect_node_block *b = block_of(w, parts[part].block);
    unsigned n = b ? b->length : 0;
    return n < parts[part].most ? n : parts[part].most;
}

static unsigned u16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static uint32_t u32(const uint8_t *p)
{
    return (uint32_t)u16(p) << 16 | u16(p + 2);
}

__attribute__((format(printf, 2, 3))) static void refuse(struct collect_node_walk *w,
                                                         const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(w->why, sizeof w->why, format, args);
    va_end(args);
    w->state = COLLECT_NODE_BAD;
}

void collect_node_walk_begin(struct collect_node_walk *w)
{
    *w = (struct collect_node_walk){.at = NODE_FIRST};
}

bool collect_node_walk_next(const struct collect_node_walk *w, uint16_t *address, uint16_t *count)
{
    unsigned left;
    switch (w->state) {
    case COLLECT_NODE_MARK:
        *address = 0;
        *count = MARK_REGISTERS;
        return true;
    case COLLECT_NODE_HEAD:
        *address = (uint16_t)w->at;
        *count = 2;
        return true;
    case COLLECT_NODE_LAST:
        *address = (uint16_t)w->at;
        *count = 1;
        return true;
    case COLLECT_NODE_READ:
        left = size_of(w, w->part) - w->got;
        *address = (uint16_t)(block_of(w, parts[w->part].block)->address + w->got);
        *count = (uint16_t)(left < COLLECT_REGISTERS_MAX ? left : COLLECT_REGISTERS_MAX);
        return true;
    case COLLECT_NODE_DONE:
    case COLLECT_NODE_BAD:
        break;
    }
    return false;
}

/* ---- what came ------------------------------------------------------------------------------ */

static void heard_mark(struct collect_node_walk *w, const uint8_t *data)
{
    if (!data || u32(data) != NODE_MARK) {
        refuse(w, "it is none of our nodes: \"FPnd\" does not stand at its address 0");
        return;
    }
    w->version = (uint16_t)u16(data + 4);
    if (MAJOR(w->version) != MAJOR(NODE_VERSION)) {
        refuse(w, "it is a node of version %u.%u, and this fieldpost reads version %u: %s",
               MAJOR(w->version), w->version & 0xFFU, MAJOR(NODE_VERSION),
               MAJOR(w->version) > MAJOR(NODE_VERSION) ? "update fieldpost"
                                                       : "update the node's firmware");
        return;
    }
    w->state = COLLECT_NODE_HEAD;
}

/* All that the values rest on: the tables fit their blocks, the check sum, and each other. */
static void check(struct collect_node_walk *w)
{
    const struct collect_node_block *points = block_of(w, NODE_POINTS);
    const struct collect_node_block *values = block_of(w, NODE_VALUES);
    unsigned entry = u16(w->points), entries = u16(w->points + 2);
    unsigned vlen = u16(w->values), ventries = u16(w->values + 2);
    uint32_t hash = u32(w->identity + (size_t)2 * NODE_IDENTITY_hash);
    uint32_t sum = node_crc32(0, w->points, (size_t)2 * points->length);
    if (hash != sum)
        refuse(
            w,
            "its table of points is damaged: its check sum is %08lx, it should be %08lx. Restart "
            "it, or write its firmware anew",
            (unsigned long)sum, (unsigned long)hash);
    else if (u32(w->values + (size_t)2 * NODE_VALUES_hash) != hash)
        refuse(w, "its values are not those of its table of points");
    else if (entries == 0)
        refuse(w, "it has no points");
    else if (entry < POINT_LEAST || entry * entries + POINTS_HEAD > points->length)
        refuse(w, "its table of points cannot be: %u entries of %u registers in %u", entries, entry,
               points->length);
    else if (ventries != entries || vlen < VALUE_LEAST ||
             vlen * ventries + VALUES_HEAD > values->length)
        refuse(w, "its values cannot be: %u entries of %u registers in %u, for %u points", ventries,
               vlen, values->length, entries);
    else
        w->state = COLLECT_NODE_DONE;
}

/* The next block of which something is to be read, from that one on. */
static void read_from(struct collect_node_walk *w, size_t part)
{
    while (part < PARTS && size_of(w, part) == 0)
        part++;
    w->part = part;
    w->got = 0;
    w->state = COLLECT_NODE_READ;
    if (part == PARTS)
        check(w);
}

static void heard_end(struct collect_node_walk *w)
{
    for (size_t i = 0; i < PARTS; i++) {
        if (size_of(w, i) < parts[i].least) {
            refuse(w, "its block %u is not there, or too short", parts[i].block);
            return;
        }
    }
    if (block_of(w, NODE_POINTS)->length > COLLECT_NODE_TABLE) {
        refuse(w,
               "its table of points has %u registers, and %d are the most here: update fieldpost",
               block_of(w, NODE_POINTS)->length, COLLECT_NODE_TABLE);
        return;
    }
    read_from(w, 0);
}

static void heard_head(struct collect_node_walk *w, const uint8_t *data)
{
    if (!data) {
        w->state = COLLECT_NODE_LAST;
        return;
    }
    unsigned id = u16(data), length = u16(data + 2), next = w->at + 2 + length;
    if (id == NODE_END) {
        heard_end(w);
    } else if (next > NODE_END) {
        refuse(w, "its block %u at address %u cannot be %u registers long", id, w->at, length);
    } else if (w->n == COLLECT_NODE_BLOCKS) {
        refuse(w, "its chain of blocks has no end: more than %d", COLLECT_NODE_BLOCKS);
    } else {
        w->blocks[w->n++] = (struct collect_node_block){
            .id = (uint16_t)id, .length = (uint16_t)length, .address = (uint16_t)(w->at + 2)};
        w->at = next;
        if (next == NODE_END) /* one register is left: there is room for the end alone */
            w->state = COLLECT_NODE_LAST;
    }
}

static void heard_last(struct collect_node_walk *w, const uint8_t *data)
{
    if (data && u16(data) == NODE_END)
        heard_end(w);
    else
        refuse(w,
               "its chain of blocks breaks off: at address %u there is neither a block nor the "
               "end",
               w->at);
}

static void heard_part(struct collect_node_walk *w, const uint8_t *data)
{
    uint16_t address, count;
    (void)collect_node_walk_next(w, &address, &count);
    if (!data) {
        refuse(w, "it refuses to read its block %u at address %u", parts[w->part].block, address);
        return;
    }
    memcpy(bytes_of(w, w->part) + (size_t)2 * w->got, data, (size_t)2 * count);
    w->got += count;
    if (w->got == size_of(w, w->part))
        read_from(w, w->part + 1);
}

void collect_node_walk_heard(struct collect_node_walk *w, const uint8_t *data)
{
    switch (w->state) {
    case COLLECT_NODE_MARK:
        heard_mark(w, data);
        break;
    case COLLECT_NODE_HEAD:
        heard_head(w, data);
        break;
    case COLLECT_NODE_LAST:
        heard_last(w, data);
        break;
    case COLLECT_NODE_READ:
        heard_part(w, data);
        break;
    case COLLECT_NODE_DONE:
    case COLLECT_NODE_BAD:
        break;
    }
}
