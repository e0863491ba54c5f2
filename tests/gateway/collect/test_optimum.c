/* The read plan against brute force: of random small sets of points, limits and lines no way to
 * share out the points among requests takes less line time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/collect/collect_int.h"

#define CASES 6000
#define POINTS_MAX 7
#define UNITS_MAX 8 /* registers that are shared out where values may be split */

static uint64_t random_state;

static unsigned below(unsigned n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 33) % n;
}

/* ---- one case ------------------------------------------------------------------------------- */

struct unit { /* what a request must not cut */
    int64_t function;
    unsigned from, to;
};
struct world {
    struct collect_profile p;
    struct collect_point points[POINTS_MAX];
    struct collect_forbidden forbidden[2];
    bool wanted[POINTS_MAX];
    struct collect_line line;
    struct unit units[UNITS_MAX];
    size_t nunits;
    int group[UNITS_MAX];
    int64_t least;
};

static unsigned width(const struct collect_point *p)
{
    static const unsigned regs[] = {[COLLECT_TYPE_u16] = 1,
                                    [COLLECT_TYPE_u32] = 2,
                                    [COLLECT_TYPE_u64] = 4,
                                    [COLLECT_TYPE_bit] = 1};
    return regs[p->type];
}

static bool add_unit(struct world *w, int64_t function, unsigned from, unsigned to)
{
    for (size_t i = 0; i < w->nunits; i++)
        if (w->units[i].function == function && w->units[i].from == from && w->units[i].to == to)
            return true;
    if (w->nunits == UNITS_MAX)
        return false;
    w->units[w->nunits++] = (struct unit){function, from, to};
    return true;
}

/* Line time of one request for [from, to), or -1: it must not be. */
static int64_t cost(const struct world *w, int64_t function, unsigned from, unsigned to)
{
    bool exact = false;
    for (size_t i = 0; i < w->nunits; i++)
        exact |=
            w->units[i].function == function && w->units[i].from == from && w->units[i].to == to;
    if (!w->p.joined && !exact)
        return -1;
    while (w->p.even_addresses && from % 2 != 0)
        from--;
    while (w->p.even_addresses && to % 2 != 0)
        to++;
    if (to - from > w->p.most[function])
        return -1;
    for (size_t i = 0; i < w->p.nforbidden; i++)
        for (unsigned at = from; at < to; at++)
            if (w->forbidden[i].function == function && at >= w->forbidden[i].from &&
                at <= w->forbidden[i].to)
                return -1;
    unsigned bytes = function <= 2 ? (to - from) / 8 + ((to - from) % 8 != 0) : 2 * (to - from);
    return w->line.request_ns + bytes * w->line.byte_ns;
}

/* Line time of the groups as they are, or -1. */
static int64_t cost_of_groups(const struct world *w, int ngroups)
{
    int64_t all = 0;
    for (int g = 0; g < ngroups; g++) {
        unsigned from = 65536, to = 0;
        int64_t function = 0;
        for (size_t i = 0; i < w->nunits; i++) {
            const struct unit *u = &w->units[i];
            if (w->group[i] != g)
                continue;
            if (function != 0 && function != u->function)
                return -1;
            function = u->function;
            from = u->from < from ? u->from : from;
            to = u->to > to ? u->to : to;
        }
        int64_t one = cost(w, function, from, to);
        if (one < 0)
            return -1;
        all += one;
    }
    return all;
}

/* Every way to share out the units from i on among ngroups groups and new ones. */
static void share_out(struct world *w, size_t i, int ngroups)
{
    if (i == w->nunits) {
        int64_t all = cost_of_groups(w, ngroups);
        if (all >= 0 && all < w->least)
            w->least = all;
        return;
    }
    for (w->group[i] = 0; w->group[i] <= ngroups; w->group[i]++)
        share_out(w, i + 1, ngroups + (w->group[i] == ngroups));
}

/* ---- drawing -------------------------------------------------------------------------------- */

/* false: some point has no request at all, or there are too many units; draw again. */
static bool draw(struct world *w)
{
    static const int types[] = {COLLECT_TYPE_u16, COLLECT_TYPE_u32, COLLECT_TYPE_u64};
    static const unsigned spread[] = {8, 20, 60, 400};
    unsigned n = 1 + below(POINTS_MAX), range = spread[below(4)], functions = 1 + below(2);
    *w = (struct world){.least = INT64_MAX};
    w->p = (struct collect_profile){.points = w->points,
                                    .n = n,
                                    .joined = below(5) != 0,
                                    .even_addresses = below(4) == 0,
                                    .forbidden = w->forbidden,
                                    .nforbidden = below(3)};
    w->p.split = w->p.joined && below(4) == 0;
    for (int f = 1; f <= 4; f++)
        w->p.most[f] = below(3) == 0 ? 1 + below(8) : below(2) == 0 ? 8 + below(60) : 125;
    for (size_t i = 0; i < 2; i++) {
        int64_t from = below(range);
        w->forbidden[i] = (struct collect_forbidden){1 + below(4), from, from + below(4)};
    }
    w->line = (struct collect_line){.byte_ns = 1 + below(1000), .request_ns = below(40000)};
    for (size_t i = 0; i < n; i++) {
        bool bits = below(6) == 0;
        w->points[i] = (struct collect_point){.function = (bits ? 1 : 3) + below(functions),
                                              .address = below(range),
                                              .type = bits ? COLLECT_TYPE_bit : types[below(3)]};
        w->wanted[i] = i == 0 || below(8) != 0;
    }
    for (size_t i = 0; i < n; i++) {
        const struct collect_point *p = &w->points[i];
        unsigned from = (unsigned)p->address, step = w->p.split ? 1 : width(p);
        for (unsigned at = from; w->wanted[i] && at < from + width(p); at += step)
            if (!add_unit(w, p->function, at, at + step))
                return false;
    }
    for (size_t i = 0; i < w->nunits; i++)
        if (cost(w, w->units[i].function, w->units[i].from, w->units[i].to) < 0)
            return false;
    return true;
}

/* ---- what the plan is worth ----------------------------------------------------------------- */

/* Line time of request r, which keeps the limits and is no longer than what its items need. */
static int64_t worth(const struct world *w, const struct collect_plan *plan,
                     const struct collect_request *r)
{
    unsigned from = 65536, to = 0;
    for (uint32_t i = r->first; i < r->first + r->n; i++) {
        unsigned at = (unsigned)r->address + plan->items[i].at, end = at + plan->items[i].width;
        from = at < from ? at : from;
        to = end > to ? end : to;
    }
    int64_t least = cost(w, r->function, from, to);
    assert_true(least >= 0);
    assert_int_equal(least, collect_line_ns(&w->line, r->function, r->count));
    return least;
}

/* Every register of every wanted point is read by the item that says so. */
static void all_is_read(const struct world *w, const struct collect_plan *plan)
{
    unsigned got[POINTS_MAX] = {0};
    for (size_t i = 0; i < plan->nrequests; i++) {
        const struct collect_request *r = &plan->requests[i];
        for (uint32_t k = r->first; k < r->first + r->n; k++) {
            const struct collect_item *item = &plan->items[k];
            const struct collect_point *p = &w->points[plan->values[item->value].point];
            assert_int_equal(p->function, r->function);
            assert_int_equal(r->address + item->at, p->address + item->skip);
            assert_true(item->at + item->width <= r->count);
            for (unsigned reg = item->skip; reg < item->skip + item->width; reg++) {
                assert_int_equal(got[plan->values[item->value].point] >> reg & 1, 0);
                got[plan->values[item->value].point] |= 1U << reg;
            }
        }
    }
    for (size_t i = 0; i < w->p.n; i++)
        assert_int_equal(got[i], w->wanted[i] ? (1U << width(&w->points[i])) - 1 : 0);
}

static void no_plan_takes_less_line_time(void **state)
{
    const char *given = getenv("FP_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 1;
    size_t joined = 0;
    (void)state;
    print_message("FP_SEED=%llu\n", (unsigned long long)seed);
    for (unsigned i = 0; i < CASES; i++) {
        static struct world w;
        struct collect_plan plan;
        random_state = (seed * CASES + i) * UINT64_C(0x9E3779B97F4A7C15) + 1;
        while (!draw(&w))
            continue;
        share_out(&w, 0, 0);
        assert_int_equal(collect_plan_make(&plan, &w.p, w.wanted, &w.line, NULL), ST_OK);
        int64_t ns = 0;
        for (size_t r = 0; r < plan.nrequests; r++)
            ns += worth(&w, &plan, &plan.requests[r]);
        if (ns != w.least || collect_plan_ns(&plan, &w.line) != ns)
            fail_msg("case %u of seed %llu: the plan takes %lld, the least is %lld", i,
                     (unsigned long long)seed, (long long)ns, (long long)w.least);
        all_is_read(&w, &plan);
        joined += plan.nrequests < plan.nitems;
        collect_plan_done(&plan);
    }
    assert_true(joined > CASES / 4); /* the cases are worth it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_plan_takes_less_line_time)};
    return cmocka_run_group_tests_name("optimum", tests, NULL, NULL);
}
