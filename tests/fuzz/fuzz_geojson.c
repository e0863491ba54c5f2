/* Any bytes as the outline of a ward: what is taken has a box of the size that is allowed and a
 * grid whose cells lie inside, as the outline itself says; what is not says why. */
// uses: connectivity
// seeds: tests/fuzz/corpus/geojson/*
#include <math.h>
#include <string.h>

#include "gateway/connectivity/survey_int.h"
#include "tests/fuzz/fuzz.h"

static void check_cells(const struct connectivity_area *a, const struct connectivity_grid *g)
{
    uint32_t n = connectivity_grid_cells(g);
    demand(n > 0 && n <= CONNECTIVITY_CELLS_MAX);
    for (uint32_t i = 0; i < n; i += 1 + n / 64) {
        struct connectivity_cell c;
        connectivity_grid_cell(g, i, &c);
        double lat = (c.south + c.north) / 2, lon = (c.west + c.east) / 2;
        demand(c.south < c.north && c.west < c.east);
        demand(lat >= a->south - 1e-6 && lat <= a->north + 1e-6);
        demand(lon >= a->west - 1e-6 && lon <= a->east + 1e-6);
        demand(connectivity_grid_find(g, lat, lon) == i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct connectivity_area *a = NULL;
    struct connectivity_grid *g = NULL;
    struct err e = {.text = ""};
    enum st st = connectivity_area_parse(&a, "ward", data, n, &e);
    if (st != ST_OK) {
        demand(!a && e.text[0] && (st == ST_BAD || st == ST_FULL));
        return 0;
    }
    demand(a->npositions <= CONNECTIVITY_AREA_POSITIONS && a->npolygons > 0);
    demand(fabs(a->south) <= 90 && fabs(a->east) <= 180 && a->south <= a->north);
    demand(!connectivity_area_has(a, a->north + 0.001, a->east));
    st = connectivity_grid_open(&g, a, 1000, &e);
    demand(st == ST_OK ? g != NULL : st == ST_BAD && !g && e.text[0]);
    if (st == ST_OK)
        check_cells(a, g);
    connectivity_grid_close(g);
    PLANT(st == ST_OK && a->npolygons > 2 && a->nrings > a->npolygons);
    connectivity_area_free(a);
    return 0;
}

/* Half of the time what stands in brackets is doubled, or a digit becomes another: bytes alone
 * would seldom stay JSON. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    if (n == 0 || seed % 2 == 0)
        return LLVMFuzzerMutate(data, n, max);
    size_t from = seed / 4 % n, depth = 0, to;
    while (from < n && !strchr(seed % 4 == 1 ? "[{" : "0123456789", data[from]))
        from++;
    if (from == n || data[from] == '\0')
        return LLVMFuzzerMutate(data, n, max);
    if (seed % 4 == 3) {
        data[from] = (uint8_t)('0' + seed / 4 % 10);
        return n;
    }
    for (to = from; to < n; to++) {
        depth += data[to] == '[' || data[to] == '{';
        depth -= data[to] == ']' || data[to] == '}';
        if (depth == 0)
            break;
    }
    size_t more = to + 1 - from + 1;
    if (to == n || n + more > max)
        return LLVMFuzzerMutate(data, n, max);
    memmove(data + to + 1 + more, data + to + 1, n - to - 1);
    data[to + 1] = ',';
    memcpy(data + to + 2, data + from, more - 1);
    return n + more;
}
