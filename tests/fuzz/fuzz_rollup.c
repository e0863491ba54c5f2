/* The reader of a row of rollups. What it takes it takes whole and series by series alike, and what
 * it read is written and read again to the same. */
// uses: store
// seeds: tests/fuzz/corpus/rollup/*.hex
#include <string.h>

#include "gateway/store/rollup_int.h"
#include "tests/fuzz/fuzz.h"

static double size_of(double a)
{
    return a < 0 ? -a : a;
}

/* A mean of floats is kept as what it is above the least, in single precision. */
static bool same_mean(const struct store_roll *x, const struct store_roll *y)
{
    double a = store_roll_mean(x), b = store_roll_mean(y);
    double above = x->scale == STORE_ROLL_FLOAT ? a - x->min.f : 0;
    return (a != a && b != b) || a == b || size_of(a - b) <= (size_of(a) + size_of(above)) * 1e-5;
}

static void demand_same(const struct store_roll *a, const struct store_roll *b)
{
    char x[NUM_TEXT_BYTES], y[NUM_TEXT_BYTES];
    const union store_roll_value *const va[] = {&a->min, &a->max, &a->first, &a->last, &a->grown};
    const union store_roll_value *const vb[] = {&b->min, &b->max, &b->first, &b->last, &b->grown};
    demand(a->count == b->count && a->good == b->good && a->scale == b->scale);
    demand(a->counter == b->counter && a->resets == b->resets);
    for (size_t i = 0; i < sizeof va / sizeof *va; i++)
        demand(strcmp(num_text(store_roll_num(a, *va[i]), x),
                      num_text(store_roll_num(b, *vb[i]), y)) == 0);
    if (a->count)
        demand(same_mean(a, b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct store_roll all[STORE_ROLL_GROUP], back[STORE_ROLL_GROUP], one;
    struct buf b;
    if (store_rolls_decode(data, n, -1, all, NULL))
        return 0;
    for (int i = 0; i < STORE_ROLL_GROUP; i++) {
        demand(!store_rolls_decode(data, n, i, &one, NULL));
        demand_same(&all[i], &one);
        PLANT(all[i].resets > 7);
    }
    buf_init(&b, STORE_ROLL_BLOB_MAX);
    demand(!store_rolls_encode(all, &b, NULL));
    demand(!store_rolls_decode(b.p, b.n, -1, back, NULL));
    for (int i = 0; i < STORE_ROLL_GROUP; i++)
        demand_same(&all[i], &back[i]);
    buf_done(&b);
    return 0;
}
