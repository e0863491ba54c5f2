/* The read plan: the wanted points of a device in as few requests as pay. Greedy: a request grows
 * while the next point lies near enough and the device's limits allow. */
#include <stdlib.h>

#include "gateway/collect/collect_int.h"

/* A hole costs two bytes a register; another request costs 13 bytes of frames, two silences of 3.5
 * characters and the device's time to answer, some 10 characters at 9600 baud. */
#define HOLE_REGISTERS_MAX 16
#define HOLE_BITS_MAX 256

static bool reads_bits(const struct collect_point *p)
{
    return p->function <= 2;
}

unsigned collect_point_width(const struct collect_point *p)
{
    if (collect_types[p->type].form == COLLECT_BIT)
        return 1;
    if (collect_types[p->type].form == COLLECT_STRING)
        return (unsigned)p->count;
    return collect_types[p->type].regs;
}

static unsigned count_max(const struct collect_profile *p, bool bits)
{
    unsigned most = bits ? COLLECT_BITS_MAX : COLLECT_REGISTERS_MAX;
    return p->max_registers > 0 && p->max_registers < most ? (unsigned)p->max_registers : most;
}

/* The range that a request for [from, to) really asks for. */
static void widen(const struct collect_profile *p, unsigned *from, unsigned *to)
{
    if (p->even_addresses) {
        *from -= *from % 2;
        *to += *to % 2;
    }
}

struct collect_request collect_plan_single(const struct collect_profile *p, size_t point,
                                           uint16_t *at)
{
    const struct collect_point *it = &p->points[point];
    unsigned from = (unsigned)it->address, to = from + collect_point_width(it);
    widen(p, &from, &to);
    *at = (uint16_t)((unsigned)it->address - from);
    return (struct collect_request){.function = (uint8_t)it->function,
                                    .address = (uint16_t)from,
                                    .count = (uint16_t)(to - from)};
}

static int by_address(const void *a, const void *b, void *points)
{
    const struct collect_item *x = a, *y = b;
    const struct collect_point *p = (const struct collect_point *)points + x->point;
    const struct collect_point *q = (const struct collect_point *)points + y->point;
    if (p->function != q->function)
        return p->function < q->function ? -1 : 1;
    if (p->address != q->address)
        return p->address < q->address ? -1 : 1;
    return x->point < y->point ? -1 : x->point > y->point;
}

/* Whether the point joins request r; then *to is its new end. */
static bool joins(const struct collect_profile *p, const struct collect_request *r,
                  const struct collect_point *it, unsigned *to)
{
    bool bits = reads_bits(it);
    unsigned from = (unsigned)it->address, start = r->address;
    unsigned end = (unsigned)r->address + r->count;
    unsigned grown = from + collect_point_width(it) > end ? from + collect_point_width(it) : end;
    widen(p, &start, &grown);
    if (!p->joined || r->function != it->function || grown - start > count_max(p, bits) ||
        from > end + (bits ? HOLE_BITS_MAX : HOLE_REGISTERS_MAX))
        return false;
    *to = grown;
    return true;
}

static void join(struct collect_plan *plan, const struct collect_profile *p)
{
    struct collect_request *r = NULL;
    for (size_t i = 0; i < plan->nitems; i++) {
        struct collect_item *item = &plan->items[i];
        const struct collect_point *it = &p->points[item->point];
        unsigned to;
        if (r && joins(p, r, it, &to)) {
            r->count = (uint16_t)(to - r->address);
            item->at = (uint16_t)(it->address - r->address);
        } else {
            r = &plan->requests[plan->nrequests++];
            *r = collect_plan_single(p, item->point, &item->at);
            r->first = (uint32_t)i;
        }
        r->n++;
    }
}

enum st collect_plan_make(struct collect_plan *plan, const struct collect_profile *p,
                          const bool *wanted, struct err *e)
{
    *plan = (struct collect_plan){0};
    plan->items = calloc(p->n + 1, sizeof *plan->items);
    plan->requests = calloc(p->n + 1, sizeof *plan->requests);
    if (!plan->items || !plan->requests) {
        collect_plan_done(plan);
        return err_set(e, ST_MEMORY, "collect: no memory for a read plan");
    }
    for (size_t i = 0; i < p->n; i++)
        if (wanted[i] && collect_types[p->points[i].type].form != COLLECT_STRING)
            plan->items[plan->nitems++].point = (uint16_t)i;
    qsort_r(plan->items, plan->nitems, sizeof *plan->items, by_address, p->points);
    join(plan, p);
    if (plan->nitems > 0) {
        uint16_t at;
        plan->probe = collect_plan_single(p, plan->items[0].point, &at);
        struct collect_request *less =
            reallocarray(plan->requests, plan->nrequests, sizeof *plan->requests);
        plan->requests = less ? less : plan->requests;
    }
    return ST_OK;
}

void collect_plan_done(struct collect_plan *plan)
{
    free(plan->items);
    free(plan->requests);
    *plan = (struct collect_plan){0};
}
