/* The read plan: the wanted points of a device in the requests that take the least line time. */
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/collect_int.h"

#define WIDTH_MAX 4 /* registers of the widest type that is read */

/* What a request must not cut: a whole point, with the one that scales it; or one register where
 * the profile allows to split. */
struct cell {
    const struct collect_point *is;
    unsigned from, to; /* of its address space, half-open */
    uint16_t value;
    bool scaled; /* its factor is in it, too */
};

/* The best way to read all cells from one on. */
struct tail {
    int64_t ns;
    size_t requests, end; /* how many; the first one is of the cells before `end` */
};

unsigned collect_point_width(const struct collect_point *p)
{
    if (collect_types[p->type].form == COLLECT_BIT)
        return 1;
    if (collect_types[p->type].form == COLLECT_STRING)
        return (unsigned)p->count;
    return collect_types[p->type].regs;
}

/* One request for [from, to), as the device wants it. */
static struct collect_request request(const struct collect_profile *p, int64_t function,
                                      unsigned from, unsigned to)
{
    if (p->even_addresses) {
        from -= from % 2;
        to += to % 2;
    }
    return (struct collect_request){
        .function = (uint8_t)function, .address = (uint16_t)from, .count = (uint16_t)(to - from)};
}

struct collect_request collect_plan_single(const struct collect_profile *p, size_t point,
                                           uint16_t *at)
{
    const struct collect_point *it = &p->points[point];
    unsigned from = (unsigned)it->address;
    struct collect_request r = request(p, it->function, from, from + collect_point_width(it));
    *at = (uint16_t)(from - r.address);
    return r;
}

static const struct collect_point *point_of(const struct collect_plan *plan,
                                            const struct collect_profile *p,
                                            const struct collect_item *item)
{
    return &p->points[plan->values[item->value].point];
}

struct collect_request collect_plan_range(const struct collect_plan *plan,
                                          const struct collect_profile *p, uint32_t first,
                                          uint32_t n)
{
    const struct collect_point *it = point_of(plan, p, &plan->items[first]);
    unsigned from = 65536, to = 0;
    for (uint32_t i = first; i < first + n; i++) {
        const struct collect_item *item = &plan->items[i];
        unsigned at = (unsigned)point_of(plan, p, item)->address + item->skip;
        from = at < from ? at : from;
        to = at + item->width > to ? at + item->width : to;
    }
    struct collect_request r = request(p, it->function, from, to);
    r.first = first;
    r.n = n;
    return r;
}

/* Says where the items of a request lie in its answer. */
static void place(struct collect_plan *plan, const struct collect_profile *p,
                  const struct collect_request *r)
{
    for (uint32_t i = r->first; i < r->first + r->n; i++) {
        struct collect_item *item = &plan->items[i];
        item->at = (uint16_t)(point_of(plan, p, item)->address + item->skip - r->address);
    }
}

bool collect_plan_forbids(const struct collect_profile *p, const struct collect_request *r)
{
    for (size_t i = 0; i < p->nforbidden; i++) {
        const struct collect_forbidden *f = &p->forbidden[i];
        if (f->function == r->function && f->from < r->address + r->count && r->address <= f->to)
            return true;
    }
    return false;
}

/* ---- cells ---------------------------------------------------------------------------------- */

static int by_address(const void *a, const void *b)
{
    const struct cell *x = a, *y = b;
    if (x->is->function != y->is->function)
        return x->is->function < y->is->function ? -1 : 1;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->is < y->is ? -1 : x->is > y->is;
}

/* The point alone, or with its factor where one request can hold both. */
static struct cell cell_of(const struct collect_profile *p, const struct collect_point *it)
{
    unsigned from = (unsigned)it->address;
    struct cell alone = {it, from, from + collect_point_width(it), 0, false}, both = alone;
    if (it->factor == 0 || p->split || !p->joined)
        return alone;
    unsigned factor = (unsigned)p->points[it->factor - 1].address;
    both.from = factor < both.from ? factor : both.from;
    both.to = factor + 1 > both.to ? factor + 1 : both.to;
    both.scaled = true;
    struct collect_request r = request(p, it->function, both.from, both.to);
    return both.to - both.from > p->most[it->function] || r.count > p->most[it->function] ||
                   collect_plan_forbids(p, &r)
               ? alone
               : both;
}

static bool is_read(const struct collect_point *it)
{
    return collect_types[it->type].form != COLLECT_STRING && !it->identity;
}

/* One cell for each wanted point, but for factors that are in all cells of theirs. */
static size_t whole_points(const struct collect_profile *p, const bool *wanted, struct cell *cells)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        const struct collect_point *it = &p->points[i];
        bool serves = false, alone = false;
        if (!wanted[i] || it->absent || !is_read(it))
            continue;
        for (size_t k = 0; it->hidden && k < p->n; k++)
            if (wanted[k] && !p->points[k].absent && p->points[k].factor == i + 1) {
                serves = true;
                alone |= !cell_of(p, &p->points[k]).scaled;
            }
        if (!serves || alone)
            cells[n++] = cell_of(p, it);
    }
    qsort(cells, n, sizeof *cells, by_address);
    return n;
}

static uint16_t value_of(const struct collect_plan *plan, size_t n, size_t point)
{
    size_t i = 0;
    while (i < n && plan->values[i].point != point)
        i++;
    return (uint16_t)i;
}

static bool is_series(const struct collect_point *p)
{
    return !p->hidden && (p->quantity_key || !collect_point_is_status(p));
}

/* The values: those of series in the cells' order, so that a poll's block is the front of them,
 * then what has no address, then what is no series, hidden points last. */
static void number(struct collect_plan *plan, const struct collect_profile *p, const bool *wanted,
                   struct cell *cells, size_t ncells)
{
    size_t n = 0;
    for (size_t i = 0; i < ncells; i++)
        if (is_series(cells[i].is))
            plan->values[n++].point = (uint16_t)(cells[i].is - p->points);
    for (size_t i = 0; i < p->n; i++)
        if (wanted[i] && p->points[i].absent && is_series(&p->points[i]) && is_read(&p->points[i]))
            plan->values[n++].point = (uint16_t)i;
    plan->nvalues = n;
    for (size_t i = 0; i < ncells; i++)
        if (!cells[i].is->hidden && !is_series(cells[i].is))
            plan->values[n++].point = (uint16_t)(cells[i].is - p->points);
    for (size_t i = 0; i < p->n; i++)
        if (wanted[i] && p->points[i].hidden && !p->points[i].absent)
            plan->values[n++].point = (uint16_t)i;
    for (size_t i = 0; i < n; i++)
        plan->values[i].width = (uint8_t)collect_point_width(&p->points[plan->values[i].point]);
    for (size_t i = 0; i < ncells; i++)
        cells[i].value = value_of(plan, n, (size_t)(cells[i].is - p->points));
    plan->nall = n;
}

/* Cuts cells into registers; there is room for them. */
static size_t registers(struct cell *cells, size_t n)
{
    size_t m = n;
    for (size_t i = 0; i < n; i++) {
        struct cell whole = cells[i];
        cells[i].to = whole.from + 1;
        for (unsigned at = whole.from + 1; at < whole.to; at++)
            cells[m++] = (struct cell){whole.is, at, at + 1, whole.value, false};
    }
    qsort(cells, m, sizeof *cells, by_address);
    return m;
}

/* ---- the least line time -------------------------------------------------------------------- */

/* Whether a device that refuses joined reads takes this one: it is exactly one of its points. */
static bool is_one_point(const struct cell *cells, size_t n, unsigned from, unsigned to)
{
    for (size_t i = 0; i < n; i++)
        if (cells[i].from == from && cells[i].to == to)
            return true;
    return false;
}

/* Finds the best first request for the cells from i on, when the best for all behind is known. What
 * is too long or forbidden stays so when it grows: cells are in order of their address. */
static void best_from(const struct collect_profile *p, const struct collect_line *line,
                      const struct cell *cells, size_t n, size_t i, struct tail *tails)
{
    int64_t function = cells[i].is->function;
    unsigned from = cells[i].from, to = 0;
    struct tail best = {INT64_MAX, 0, i + 1};
    for (size_t end = i + 1; end <= n && cells[end - 1].is->function == function; end++) {
        to = cells[end - 1].to > to ? cells[end - 1].to : to;
        struct collect_request r = request(p, function, from, to);
        if (end > i + 1 && (to - from > COLLECT_BITS_MAX || r.count > p->most[function] ||
                            collect_plan_forbids(p, &r)))
            break;
        if (!p->joined && !is_one_point(cells + i, end - i, from, to))
            continue;
        struct tail t = {collect_line_ns(line, r.function, r.count) + tails[end].ns,
                         tails[end].requests + 1, end};
        if (t.ns < best.ns || (t.ns == best.ns && t.requests <= best.requests))
            best = t;
    }
    tails[i] = best;
}

/* ---- the plan ------------------------------------------------------------------------------- */

/* The item of this value from `first` on; nitems: there is none. */
static uint32_t item_of(const struct collect_plan *plan, uint32_t first, uint16_t value)
{
    while (first < plan->nitems && plan->items[first].value != value)
        first++;
    return first;
}

/* Adds the cells to the plan as the items of one request. */
static void add_request(struct collect_plan *plan, const struct collect_profile *p,
                        const struct cell *cells, size_t n)
{
    struct collect_request *r = &plan->requests[plan->nrequests];
    uint32_t first = (uint32_t)plan->nitems;
    for (size_t i = 0; i < n; i++) {
        const struct cell *c = &cells[i];
        uint32_t same = item_of(plan, first, c->value);
        if (same < plan->nitems && p->split) /* the next register of a point that has begun here */
            plan->items[same].width++;
        else if (same == plan->nitems)
            plan->items[plan->nitems++] = (struct collect_item){
                .value = c->value,
                .skip = (uint8_t)(p->split ? c->from - (unsigned)c->is->address : 0),
                .width = p->split ? 1 : plan->values[c->value].width};
        if (!c->scaled)
            continue;
        uint16_t factor = value_of(plan, plan->nall, c->is->factor - 1U);
        if (item_of(plan, first, factor) == plan->nitems)
            plan->items[plan->nitems++] =
                (struct collect_item){.value = factor, .width = plan->values[factor].width};
    }
    *r = collect_plan_range(plan, p, first, (uint32_t)plan->nitems - first);
    r->join = (uint16_t)plan->nrequests++;
    place(plan, p, r);
}

static void fill(struct collect_plan *plan, const struct collect_profile *p,
                 const struct collect_line *line, const bool *wanted, struct cell *cells,
                 struct tail *tails)
{
    size_t n = whole_points(p, wanted, cells);
    number(plan, p, wanted, cells, n);
    if (p->split)
        n = registers(cells, n);
    tails[n] = (struct tail){0};
    for (size_t i = n; i-- > 0;)
        best_from(p, line, cells, n, i, tails);
    for (size_t i = 0; i < n; i = tails[i].end)
        add_request(plan, p, cells + i, tails[i].end - i);
    if (plan->nitems > 0)
        plan->probe = collect_plan_range(plan, p, 0, 1);
}

/* What is more than n and one is given back. */
static void *trim(void *p, size_t n, size_t size)
{
    void *less = realloc(p, (n + 1) * size);
    return less ? less : p;
}

enum st collect_plan_make(struct collect_plan *plan, const struct collect_profile *p,
                          const bool *wanted, const struct collect_line *line, struct err *e)
{
    size_t room = p->n * (p->split ? WIDTH_MAX : 2) + 1; /* 2: each with a factor */
    struct cell *cells = calloc(room, sizeof *cells);
    struct tail *tails = calloc(room, sizeof *tails);
    *plan = (struct collect_plan){.values = calloc(p->n + 1, sizeof *plan->values),
                                  .items = calloc(room, sizeof *plan->items),
                                  .requests = calloc(room, sizeof *plan->requests)};
    enum st st = ST_OK;
    if (cells && tails && plan->values && plan->items && plan->requests)
        fill(plan, p, line, wanted, cells, tails);
    else
        st = err_set(e, ST_MEMORY, "collect: no memory for a read plan");
    if (st != ST_OK)
        collect_plan_done(plan);
    free(cells);
    free(tails);
    if (st != ST_OK)
        return st;
    plan->values = trim(plan->values, plan->nall, sizeof *plan->values);
    plan->items = trim(plan->items, plan->nitems, sizeof *plan->items);
    plan->requests = trim(plan->requests, plan->nitems, sizeof *plan->requests);
    return ST_OK;
}

void collect_plan_cut(struct collect_plan *plan, const struct collect_profile *p, size_t i,
                      uint32_t at)
{
    struct collect_request *r = &plan->requests[i], whole = *r;
    memmove(r + 1, r, (plan->nrequests - i) * sizeof *r);
    plan->nrequests++;
    r[0] = collect_plan_range(plan, p, whole.first, at - whole.first);
    r[1] = collect_plan_range(plan, p, at, whole.first + whole.n - at);
    r[0].join = r[1].join = whole.join;
    place(plan, p, &r[0]);
    place(plan, p, &r[1]);
}

void collect_plan_rejoin(struct collect_plan *plan, const struct collect_profile *p,
                         const struct collect_request *whole)
{
    size_t n = 0;
    for (size_t i = 0; i < plan->nrequests; i++) {
        const struct collect_request *r = &plan->requests[i];
        if (r->join != whole->join)
            plan->requests[n++] = *r;
        else if (r->first == whole->first)
            plan->requests[n++] = *whole;
    }
    plan->nrequests = n;
    place(plan, p, whole);
}

const uint8_t *collect_plan_gather(struct collect_planned *v, const struct collect_item *item,
                                   const uint8_t *data)
{
    if (item->width == v->width)
        return memcpy(v->raw, data, 2U * v->width);
    memcpy(v->raw + 2U * item->skip, data, 2U * item->width);
    v->got = (uint8_t)(v->got + item->width);
    return v->got == v->width ? v->raw : NULL;
}

int64_t collect_plan_ns(const struct collect_plan *plan, const struct collect_line *line)
{
    int64_t ns = 0;
    for (size_t i = 0; i < plan->nrequests; i++)
        ns += collect_line_ns(line, plan->requests[i].function, plan->requests[i].count);
    return ns;
}

void collect_plan_done(struct collect_plan *plan)
{
    free(plan->values);
    free(plan->items);
    free(plan->requests);
    *plan = (struct collect_plan){0};
}
