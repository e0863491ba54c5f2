/* Readings come in the order of their seal, and those that came late behind others of a later time.
 */
#include <stdlib.h>

#include "gateway/store/chart_int.h"

enum st store_counts_add(struct store_counts *x, int64_t t_ms, struct num v, struct err *e)
{
    if (x->n == STORE_ROLL_COUNTED)
        return ST_FULL;
    if (x->n == x->cap) {
        uint32_t cap = x->cap ? 2 * x->cap : 256;
        struct store_counted *p = reallocarray(x->v, cap, sizeof *p);
        if (!p)
            return err_set(e, ST_MEMORY, "no memory for a chart");
        x->v = p;
        x->cap = cap;
    }
    x->v[x->n] = (struct store_counted){.t_ms = t_ms, .order = x->n, .v = v};
    x->n++;
    return ST_OK;
}

static int by_time(const void *a, const void *b)
{
    const struct store_counted *x = a, *y = b;
    if (x->t_ms != y->t_ms)
        return x->t_ms < y->t_ms ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

void store_counts_sort(struct store_counts *x)
{
    if (x->n > 0)
        qsort(x->v, x->n, sizeof *x->v, by_time);
}
