/* Cells of a fixed grid over an area; survey.h has the formulas. */
#include "gateway/connectivity/survey_int.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RADIUS_M 6378137.0                    /* a of WGS 84 */
#define ECCENTRIC 0.00669437999014            /* e2 of WGS 84 */
#define BOX_MAX (16 * CONNECTIVITY_CELLS_MAX) /* cells of the box around the area */

struct connectivity_grid {
    double lat0, lon0, dlat, dlon;  /* the origin, and a cell in degrees */
    int64_t row0, col0, rows, cols; /* the box around the area */
    uint32_t n;
    uint32_t *at;  /* of the box: which of the area's, from 1; 0: none */
    uint32_t *box; /* of the area's: which of the box */
};

void connectivity_metres(double lat, double *per_lat, double *per_lon)
{
    double phi = lat * M_PI / 180, s = sin(phi), w = sqrt(1 - ECCENTRIC * s * s);
    *per_lat = M_PI / 180 * RADIUS_M * (1 - ECCENTRIC) / (w * w * w);
    *per_lon = M_PI / 180 * RADIUS_M / w * cos(phi);
}

static void place(struct connectivity_grid *g, const struct connectivity_area *a, int64_t cell_m)
{
    double mlat, mlon;
    g->lat0 = floor((a->south + a->north) / 2 * 10) / 10;
    g->lon0 = floor((a->west + a->east) / 2 * 10) / 10;
    connectivity_metres(g->lat0 + 0.05, &mlat, &mlon);
    g->dlat = (double)cell_m / mlat;
    g->dlon = (double)cell_m / mlon;
    g->row0 = (int64_t)floor((a->south - g->lat0) / g->dlat);
    g->col0 = (int64_t)floor((a->west - g->lon0) / g->dlon);
    g->rows = (int64_t)floor((a->north - g->lat0) / g->dlat) - g->row0 + 1;
    g->cols = (int64_t)floor((a->east - g->lon0) / g->dlon) - g->col0 + 1;
}

/* Turns those over whose centre lies west of an edge of this polygon, in one row. */
static void ring_cross(const struct connectivity_grid *g, const struct connectivity_area *a,
                       const struct connectivity_ring *r, double lat, uint8_t *odd)
{
    double at;
    for (size_t k = r->first; k + 1 < r->first + r->n; k++) {
        if (!connectivity_area_cross(&a->position[k], lat, &at))
            continue;
        for (int64_t c = 0; c < g->cols; c++)
            odd[c] ^= g->lon0 + ((double)(g->col0 + c) + 0.5) * g->dlon < at;
    }
}

/* in[] of one row: as connectivity_area_has says of each centre. odd[] is for its use. */
static void row_fill(const struct connectivity_grid *g, const struct connectivity_area *a,
                     int64_t row, uint8_t *odd, uint8_t *in)
{
    double lat = g->lat0 + ((double)(g->row0 + row) + 0.5) * g->dlat;
    memset(in, 0, (size_t)g->cols);
    for (size_t i = 0; i < a->nrings; i++) {
        if (i == 0 || a->ring[i].polygon != a->ring[i - 1].polygon)
            memset(odd, 0, (size_t)g->cols);
        ring_cross(g, a, &a->ring[i], lat, odd);
        if (i + 1 == a->nrings || a->ring[i + 1].polygon != a->ring[i].polygon)
            for (int64_t c = 0; c < g->cols; c++)
                in[c] |= odd[c];
    }
}

static enum st fill(struct connectivity_grid *g, const struct connectivity_area *a, uint8_t *rows,
                    int64_t cell_m, struct err *e)
{
    for (int64_t r = 0; r < g->rows; r++) {
        uint8_t *in = rows, *odd = rows + g->cols;
        row_fill(g, a, r, odd, in);
        for (int64_t c = 0; c < g->cols; c++) {
            if (!in[c])
                continue;
            if (g->n == CONNECTIVITY_CELLS_MAX)
                return err_set(e, ST_BAD,
                               "the area has more than %d cells of %lld m: take larger ones "
                               "(connectivity.survey.cell)",
                               CONNECTIVITY_CELLS_MAX, (long long)cell_m);
            g->box[g->n++] = (uint32_t)(r * g->cols + c);
            g->at[r * g->cols + c] = g->n;
        }
    }
    if (g->n == 0)
        return err_set(e, ST_BAD,
                       "no cell of %lld m has its centre in the area: take smaller ones "
                       "(connectivity.survey.cell)",
                       (long long)cell_m);
    return ST_OK;
}

enum st connectivity_grid_open(struct connectivity_grid **out, const struct connectivity_area *a,
                               int64_t cell_m, struct err *e)
{
    *out = NULL;
    struct connectivity_grid *g = calloc(1, sizeof *g);
    if (!g)
        return err_set(e, ST_MEMORY, "survey: no memory");
    place(g, a, cell_m);
    if (g->rows > BOX_MAX / g->cols) {
        free(g);
        return err_set(e, ST_BAD,
                       "the box around the area has more than %d cells of %lld m: take larger ones "
                       "(connectivity.survey.cell)",
                       BOX_MAX, (long long)cell_m);
    }
    uint8_t *rows = calloc(2, (size_t)g->cols);
    g->at = calloc((size_t)(g->rows * g->cols), sizeof *g->at);
    g->box = calloc(CONNECTIVITY_CELLS_MAX, sizeof *g->box);
    enum st st = rows && g->at && g->box ? fill(g, a, rows, cell_m, e)
                                         : err_set(e, ST_MEMORY, "survey: no memory");
    free(rows);
    if (st != ST_OK)
        connectivity_grid_close(g);
    else
        *out = g;
    return st;
}

void connectivity_grid_close(struct connectivity_grid *g)
{
    if (!g)
        return;
    free(g->at);
    free(g->box);
    free(g);
}

uint32_t connectivity_grid_cells(const struct connectivity_grid *g)
{
    return g->n;
}

int64_t connectivity_grid_find(const struct connectivity_grid *g, double lat, double lon)
{
    double row = floor((lat - g->lat0) / g->dlat) - (double)g->row0;
    double col = floor((lon - g->lon0) / g->dlon) - (double)g->col0;
    if (!(row >= 0 && row < (double)g->rows && col >= 0 && col < (double)g->cols))
        return -1;
    return (int64_t)g->at[(int64_t)row * g->cols + (int64_t)col] - 1;
}

void connectivity_grid_cell(const struct connectivity_grid *g, uint32_t i,
                            struct connectivity_cell *out)
{
    out->row = g->row0 + g->box[i] / g->cols;
    out->col = g->col0 + g->box[i] % g->cols;
    out->south = g->lat0 + (double)out->row * g->dlat;
    out->west = g->lon0 + (double)out->col * g->dlon;
    out->north = g->lat0 + (double)(out->row + 1) * g->dlat;
    out->east = g->lon0 + (double)(out->col + 1) * g->dlon;
}
