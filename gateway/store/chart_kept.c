/* What charts read of sealed batches, for the next chart. A batch never changes, so what is kept of
 * it is never wrong: what moves, corrects or thins it is applied, or asked for, anew by each chart.
 */
#include "gateway/store/chart_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERIES_MAX 64
#define ALLOCATED 16 /* what malloc takes beside a block */

struct kept {
    int64_t id;      /* of the batch; 0: a free slot */
    uint32_t series; /* its place in `name` */
    uint32_t turn;   /* of the chart that used it last */
    uint32_t gaps, readings;
    void *block; /* the gaps, then the readings; NULL: neither */
};
struct store_kept {
    struct kept *slot; /* open addressing; `slots` is a power of two, half of them free */
    size_t slots, used, bytes;
    uint32_t turn;
    bool full; /* the chart that is drawn uses all that is kept */
    uint32_t names;
    char name[SERIES_MAX][WIRE_SERIES_BYTES];
};

static size_t bytes_of(const struct kept *x)
{
    size_t block =
        x->gaps * sizeof(struct store_chart_gap) + x->readings * sizeof(struct store_part_reading);
    return 2 * sizeof *x + block + (block ? ALLOCATED : 0);
}

static struct kept *place(struct kept *slot, size_t slots, uint32_t series, int64_t id)
{
    uint64_t h = ((uint64_t)id ^ (uint64_t)series << 40) * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = (size_t)(h >> 20) & (slots - 1);
    while (slot[i].id != 0 && (slot[i].id != id || slot[i].series != series))
        i = (i + 1) & (slots - 1);
    return &slot[i];
}

/* Into a table of so many slots, with what the chart that is drawn uses, or with everything. */
static bool move_to(struct store_kept *k, size_t slots, bool of_this_turn)
{
    struct kept *to = calloc(slots, sizeof *to);
    if (!to)
        return false;
    k->used = k->bytes = 0;
    for (size_t i = 0; i < k->slots; i++) {
        struct kept *x = &k->slot[i];
        if (x->id == 0)
            continue;
        if (of_this_turn && x->turn != k->turn) {
            free(x->block);
            continue;
        }
        *place(to, slots, x->series, x->id) = *x;
        k->used++;
        k->bytes += bytes_of(x);
    }
    free(k->slot);
    k->slot = to;
    k->slots = slots;
    return true;
}

static void forget(struct store_kept *k)
{
    for (size_t i = 0; i < k->slots; i++)
        free(k->slot[i].block);
    free(k->slot);
    *k = (struct store_kept){.turn = k->turn};
}

void store_kept_turn(struct store_kept *k, size_t series)
{
    k->turn++;
    k->full = false;
    if (k->names + series > SERIES_MAX)
        forget(k);
}

uint32_t store_kept_series(struct store_kept *k, const char *name)
{
    uint32_t i = 0;
    while (i < k->names && strcmp(k->name[i], name) != 0)
        i++;
    if (i == SERIES_MAX)
        return STORE_KEPT_NONE;
    if (i == k->names)
        (void)snprintf(k->name[k->names++], sizeof *k->name, "%s", name);
    return i;
}

bool store_kept_find(struct store_kept *k, uint32_t series, int64_t id, struct store_part *out)
{
    if (k->slots == 0 || series == STORE_KEPT_NONE)
        return false;
    struct kept *x = place(k->slot, k->slots, series, id);
    if (x->id == 0)
        return false;
    x->turn = k->turn;
    const struct store_chart_gap *gap = x->block;
    out->gap = gap;
    out->gaps = x->gaps;
    out->reading =
        x->block ? (const struct store_part_reading *)(const void *)(gap + x->gaps) : NULL;
    out->readings = x->readings;
    return true;
}

/* Room for one more: what this chart does not use makes way. */
static bool make_room(struct store_kept *k, size_t bytes)
{
    if (k->full || bytes > STORE_KEPT_BYTES)
        return false;
    if (k->bytes + bytes > STORE_KEPT_BYTES && !move_to(k, k->slots, true))
        return false;
    k->full = k->bytes + bytes > STORE_KEPT_BYTES;
    if (k->full)
        return false;
    return 2 * (k->used + 1) <= k->slots || move_to(k, k->slots ? 2 * k->slots : 64, false);
}

void store_kept_add(struct store_kept *k, uint32_t series, int64_t id, const struct store_part *p)
{
    struct kept x = {.id = id, .series = series, .turn = k->turn, .gaps = p->gaps};
    size_t gaps = p->gaps * sizeof *p->gap, readings = p->readings * sizeof *p->reading;
    x.readings = p->readings;
    if (series == STORE_KEPT_NONE || !make_room(k, bytes_of(&x)))
        return;
    if (gaps + readings > 0) {
        x.block = malloc(gaps + readings);
        if (!x.block)
            return;
        if (gaps > 0)
            memcpy(x.block, p->gap, gaps);
        if (readings > 0)
            memcpy((char *)x.block + gaps, p->reading, readings);
    }
    *place(k->slot, k->slots, series, id) = x;
    k->used++;
    k->bytes += bytes_of(&x);
}

struct store_kept *store_kept_of(struct store_reader *r)
{
    if (!r->kept)
        r->kept = calloc(1, sizeof *r->kept);
    return r->kept;
}

void store_kept_close(struct store_kept *k)
{
    if (!k)
        return;
    forget(k);
    free(k);
}
