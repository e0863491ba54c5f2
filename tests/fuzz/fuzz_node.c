/* What one of our nodes may answer while its blocks are walked: the input is its registers from 0
 * on, what lies behind them is refused. Where the check sum alone is against a table, it is put
 * right and the table walked again. Beside the sanitizers: the walk ends, asks for nothing outside
 * the space of addresses, and what it takes lies within its blocks and makes a profile that can be
 * loaded. */
// uses: collect
// seeds: tests/fuzz/corpus/node/*
#include <string.h>

#include "gateway/collect/node_int.h"
#include "tests/fuzz/fuzz.h"

#define REGISTERS 2048U

static uint8_t image[2 * REGISTERS];

static void walk(struct collect_node_walk *w, size_t n)
{
    uint16_t at, count;
    unsigned reads = 0;
    collect_node_walk_begin(w);
    while (collect_node_walk_next(w, &at, &count)) {
        demand(++reads <= COLLECT_NODE_READS);
        demand(count >= 1 && count <= 125 && at + count <= 65536);
        collect_node_walk_heard(w, (size_t)2 * (at + count) <= n ? image + (size_t)2 * at : NULL);
    }
    demand(w->state == COLLECT_NODE_DONE || w->state == COLLECT_NODE_BAD);
    demand(memchr(w->why, 0, sizeof w->why) &&
           (w->state == COLLECT_NODE_BAD) == (w->why[0] != '\0'));
}

static const struct collect_node_block *block_of(const struct collect_node_walk *w, unsigned id)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->blocks[i].id == id)
            return &w->blocks[i];
    return NULL;
}

static void put(size_t at, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        image[at + i] = (uint8_t)(v >> (24 - 8 * i));
}

/* The check sum of the table as it is, at both its places. */
static void put_right(const struct collect_node_walk *w)
{
    const struct collect_node_block *points = block_of(w, NODE_POINTS);
    uint32_t sum = node_crc32(0, image + (size_t)2 * points->address, (size_t)2 * points->length);
    put(2 * ((size_t)block_of(w, NODE_IDENTITY)->address + NODE_IDENTITY_hash), sum);
    put(2 * ((size_t)block_of(w, NODE_VALUES)->address + NODE_VALUES_hash), sum);
}

static void check(const struct collect_node_walk *w, struct collect_node_table *t)
{
    struct buf out = {.max = 1 << 16};
    char said[300];
    collect_node_table_read(w, t);
    demand(t->n >= 1 && t->n <= COLLECT_NODE_POINTS && t->n <= t->entries);
    demand(t->nsensors <= COLLECT_NODE_POINTS);
    demand(t->entry >= 3 && t->head >= 4 && t->head + t->entries * t->entry == t->values.length);
    demand(t->values.address + t->values.length <= 65535);
    demand(collect_node_profile(t, &out, said, sizeof said) == ST_OK);
    demand(memchr(said, 0, sizeof said));
    for (size_t i = 0; i < out.n; i++)
        demand(out.p[i] == '\n' || (out.p[i] >= ' ' && out.p[i] < 0x7f));
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct collect_node_walk w;
    struct collect_node_table t;
    if (n > sizeof image)
        n = sizeof image;
    memset(image, 0, sizeof image);
    memcpy(image, data, n);
    walk(&w, n);
    if (w.state == COLLECT_NODE_BAD && strstr(w.why, "check sum")) {
        put_right(&w);
        walk(&w, n);
    }
    if (w.state != COLLECT_NODE_DONE)
        return 0;
    check(&w, &t);
    PLANT(t.points[0].exponent > 0 && t.points[0].instance > 1);
    return 0;
}

/* Mostly a small word somewhere: bytes that change at random break the chain before its end. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    static const uint8_t words[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 24, 30, 60, 61, 0xFF};
    unsigned value = seed / 8 % sizeof words;
    size_t at = seed / 8 / sizeof words;
    if (n < 8 || seed % 8 == 0)
        return LLVMFuzzerMutate(data, n, max);
    at = at % (n / 2 - 1);
    data[2 * at] = words[value] == 0xFF ? 0xFF : 0;
    data[2 * at + 1] = words[value];
    return n;
}
