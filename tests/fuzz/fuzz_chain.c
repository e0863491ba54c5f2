/* What a device may answer while its SunSpec models are walked: the first byte chooses the place
 * that is tried first, then each answer is a byte (0xFF: refused) and the registers that were asked
 * for. Beside the sanitizers: it ends, asks for nothing outside the space of addresses, and what it
 * found lies in order within it. */
// uses: collect
// seeds: tests/fuzz/corpus/chain/*
#include <string.h>

#include "gateway/collect/sunspec_int.h"
#include "tests/fuzz/fuzz.h"

#define STEP_BYTES 5 /* of an answer with a head */
#define READS_MAX (COLLECT_BASES + 2 * COLLECT_CHAIN_MAX + 2)

static void check_chain(const struct collect_walk *w)
{
    unsigned at = w->chain.base + 2U;
    demand(w->chain.n <= COLLECT_CHAIN_MAX);
    for (size_t i = 0; i < w->chain.n; i++) {
        const struct collect_model *m = &w->chain.models[i];
        const struct sunspec_models *known = sunspec_models_of(m->id);
        demand(m->id != 0 && m->id != SUNSPEC_END && m->address == at);
        at += SUNSPEC_HEAD + m->length;
        demand(at + SUNSPEC_HEAD <= 65536);
        if (m->blocks > 0)
            demand(known &&
                   (unsigned)(known->first + known->size * m->blocks) <= SUNSPEC_HEAD + m->length);
        for (size_t k = 0; k < sunspec_point_count; k++) {
            const struct sunspec_point *p = &sunspec_points[k];
            unsigned offset = m->id >= p->from && m->id <= p->to
                                  ? sunspec_offset(p, m->length, m->blocks, 1 + m->blocks / 2)
                                  : 0;
            demand(offset == 0 || m->address + offset + p->size <= at);
        }
    }
}

/* Of a whole chain alone, so that the fuzzer keeps one with blocks. */
__attribute__((unused)) static bool one_block(const struct collect_chain *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->models[i].blocks > 0)
            return c->models[i].blocks == 1 && c->n > 1;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct collect_walk w;
    uint16_t at, count;
    unsigned reads = 0;
    if (n == 0)
        return 0;
    collect_walk_begin(&w, data[0]);
    data++, n--;
    while (collect_walk_next(&w, &at, &count)) {
        demand(++reads <= READS_MAX);
        demand((count == 1 || count == 2) && at + count <= 65536);
        bool refused = n < 1U + 2 * count || data[0] == 0xFF;
        collect_walk_heard(&w, refused ? NULL : data + 1);
        size_t used = n == 0 ? 0 : refused ? 1 : 1U + 2 * count;
        data += used;
        n -= used;
    }
    demand(w.state == COLLECT_WALK_DONE || w.state == COLLECT_WALK_BAD);
    demand(memchr(w.why, 0, sizeof w.why) && (w.state == COLLECT_WALK_BAD) == (w.why[0] != '\0'));
    check_chain(&w);
    PLANT(w.state == COLLECT_WALK_DONE && one_block(&w.chain));
    return 0;
}

/* Mostly a small word somewhere (a model's number, length or count), or a model twice: bytes that
 * change at random break the chain before its end. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    static const uint8_t words[] = {0, 1, 2, 3, 8, 48, 65, 66, 68, 101, 103, 160, 203, 0xFF};
    unsigned value = seed / 8 % sizeof words;
    size_t at = seed / 8 / sizeof words;
    if (n < 8 || seed % 8 == 0)
        return LLVMFuzzerMutate(data, n, max);
    if (seed % 8 == 1 && n + STEP_BYTES <= max) {
        at = 1 + at % (n - STEP_BYTES);
        memmove(data + at + STEP_BYTES, data + at, n - at);
        return n + STEP_BYTES;
    }
    at = 1 + at % (n - 2);
    data[at] = words[value] == 0xFF ? 0xFF : 0;
    data[at + 1] = words[value];
    return n;
}
