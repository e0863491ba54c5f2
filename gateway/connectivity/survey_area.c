/* The outline of a ward: GeoJSON (RFC 7946), read by jansson. */
#include "gateway/connectivity/survey_int.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/depth.h"

#define DEPTH_MAX 16 /* of brackets: a FeatureCollection of GeometryCollections has 10 */
#define NEST_MAX 8   /* of geometries in each other */
#define WHERE_BYTES 160

struct where {
    const char *name;
    char path[WHERE_BYTES];
};

static enum st bad(const struct where *w, struct err *e, const char *what)
{
    return err_set(e, ST_BAD, "%s: %s: %s", w->name, w->path[0] ? w->path : "the whole", what);
}

/* Lengthens the path; the caller cuts it back to what it returns. */
static size_t step(struct where *w, const char *member, size_t i, bool index)
{
    size_t n = strlen(w->path);
    if (index)
        (void)snprintf(w->path + n, sizeof w->path - n, "%s[%zu]", member, i);
    else
        (void)snprintf(w->path + n, sizeof w->path - n, "%s%s", n ? "." : "", member);
    return n;
}

static bool room(void **p, size_t *cap, size_t n, size_t size)
{
    if (n < *cap)
        return true;
    size_t more = *cap ? 2 * *cap : 64;
    void *q = realloc(*p, more * size);
    if (!q)
        return false;
    *p = q;
    *cap = more;
    return true;
}

/* ---- what RFC 7946 says ---------------------------------------------------------------------- */

static enum st position(struct connectivity_area *a, const json_t *j, struct where *w,
                        struct err *e)
{
    const json_t *x = json_array_get(j, 0), *y = json_array_get(j, 1);
    if (!json_is_number(x) || !json_is_number(y))
        return bad(w, e, "a position is [longitude, latitude] in degrees");
    const struct connectivity_position p = {.lat = json_number_value(y),
                                            .lon = json_number_value(x)};
    if (!(fabs(p.lat) <= 90) || !(fabs(p.lon) <= 180))
        return bad(w, e,
                   "not a place on earth: write [longitude, latitude] in degrees, the longitude "
                   "first (of Viet Nam 102 to 110, then 8 to 24)");
    if (a->npositions == CONNECTIVITY_AREA_POSITIONS)
        return err_set(e, ST_FULL,
                       "%s: more than %d positions: simplify the outline (a metre is enough)",
                       w->name, CONNECTIVITY_AREA_POSITIONS);
    if (!room((void **)&a->position, &a->position_cap, a->npositions, sizeof *a->position))
        return err_set(e, ST_MEMORY, "%s: no memory", w->name);
    a->position[a->npositions++] = p;
    return ST_OK;
}

static enum st ring(struct connectivity_area *a, const json_t *j, struct where *w, struct err *e)
{
    size_t n = json_array_size(j), first = a->npositions;
    if (!json_is_array(j) || n < 4)
        return bad(w, e, "a ring is a list of four positions or more, the last like the first");
    if (!room((void **)&a->ring, &a->ring_cap, a->nrings, sizeof *a->ring))
        return err_set(e, ST_MEMORY, "%s: no memory", w->name);
    for (size_t i = 0; i < n; i++) {
        size_t cut = step(w, "", i, true);
        ERR_TRY(position(a, json_array_get(j, i), w, e));
        w->path[cut] = '\0';
    }
    const struct connectivity_position *p = &a->position[first], *q = &a->position[first + n - 1];
    if (p->lat != q->lat || p->lon != q->lon)
        return bad(w, e, "the ring is not closed: its last position must be its first");
    a->ring[a->nrings++] =
        (struct connectivity_ring){.first = first, .n = n, .polygon = a->npolygons};
    return ST_OK;
}

static enum st polygon(struct connectivity_area *a, const json_t *j, struct where *w, struct err *e)
{
    if (!json_is_array(j) || json_array_size(j) == 0)
        return bad(w, e, "a polygon is a list of rings: its outline, then its holes");
    for (size_t i = 0; i < json_array_size(j); i++) {
        size_t cut = step(w, "", i, true);
        ERR_TRY(ring(a, json_array_get(j, i), w, e));
        w->path[cut] = '\0';
    }
    a->npolygons++;
    return ST_OK;
}

static enum st geometry(struct connectivity_area *a, const json_t *j, struct where *w,
                        unsigned nest, struct err *e);

/* Each element of a list, as `one` reads it. */
static enum st each(struct connectivity_area *a, const json_t *j, const char *member,
                    struct where *w, unsigned nest, struct err *e)
{
    const json_t *list = json_object_get(j, member);
    bool polygons = strcmp(member, "coordinates") == 0;
    size_t whole = strlen(w->path), n = json_array_size(list);
    (void)step(w, member, 0, false);
    if (!json_is_array(list) || n == 0)
        return bad(w, e, "a list is needed here that is not empty");
    for (size_t i = 0; i < n; i++) {
        size_t cut = step(w, "", i, true);
        const json_t *one = json_array_get(list, i);
        ERR_TRY(polygons ? polygon(a, one, w, e) : geometry(a, one, w, nest + 1, e));
        w->path[cut] = '\0';
    }
    w->path[whole] = '\0';
    return ST_OK;
}

static enum st geometry(struct connectivity_area *a, const json_t *j, struct where *w,
                        unsigned nest, struct err *e)
{
    const char *type = json_string_value(json_object_get(j, "type"));
    char text[200];
    if (nest > NEST_MAX)
        return bad(w, e, "geometries are nested too deep");
    if (type && strcmp(type, "Polygon") == 0) {
        size_t cut = step(w, "coordinates", 0, false);
        ERR_TRY(polygon(a, json_object_get(j, "coordinates"), w, e));
        w->path[cut] = '\0';
        return ST_OK;
    }
    if (type && strcmp(type, "Feature") == 0) {
        size_t cut = step(w, "geometry", 0, false);
        ERR_TRY(geometry(a, json_object_get(j, "geometry"), w, nest + 1, e));
        w->path[cut] = '\0';
        return ST_OK;
    }
    if (type && strcmp(type, "MultiPolygon") == 0)
        return each(a, j, "coordinates", w, nest, e);
    if (type && strcmp(type, "GeometryCollection") == 0)
        return each(a, j, "geometries", w, nest, e);
    if (type && strcmp(type, "FeatureCollection") == 0)
        return each(a, j, "features", w, nest, e);
    (void)snprintf(
        text, sizeof text,
        "%s%.40s%s where an area is needed: \"type\" is Polygon, MultiPolygon, Feature or "
        "FeatureCollection",
        type ? "\"" : "no type", type ? type : "", type ? "\"" : "");
    return bad(w, e, text);
}

static void box(struct connectivity_area *a)
{
    a->south = a->north = a->position[0].lat;
    a->west = a->east = a->position[0].lon;
    for (size_t i = 1; i < a->npositions; i++) {
        const struct connectivity_position *p = &a->position[i];
        a->south = fmin(a->south, p->lat);
        a->north = fmax(a->north, p->lat);
        a->west = fmin(a->west, p->lon);
        a->east = fmax(a->east, p->lon);
    }
}

/* ---- in and out ------------------------------------------------------------------------------ */

enum st connectivity_area_parse(struct connectivity_area **out, const char *name, const void *text,
                                size_t n, struct err *e)
{
    struct where w = {.name = name};
    json_error_t je;
    double wide, high;
    *out = NULL;
    if (n > CONNECTIVITY_AREA_BYTES)
        return err_set(e, ST_FULL, "%s: more than %zu bytes: simplify the outline", name,
                       CONNECTIVITY_AREA_BYTES);
    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text = (const char *)text + 3;
        n -= 3;
    }
    if (!depth_fits(text, n, DEPTH_MAX))
        return err_set(e, ST_BAD, "%s: nested deeper than %d: this is no outline of an area", name,
                       DEPTH_MAX);
    json_t *j = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
    if (!j)
        return err_set(e, ST_BAD, "%s:%d:%d: no JSON: %s", name, je.line, je.column, je.text);
    struct connectivity_area *a = calloc(1, sizeof *a);
    enum st st = a ? geometry(a, j, &w, 0, e) : err_set(e, ST_MEMORY, "%s: no memory", name);
    json_decref(j);
    if (st == ST_OK) {
        box(a);
        connectivity_metres((a->south + a->north) / 2, &high, &wide);
        if ((a->east - a->west) * wide > CONNECTIVITY_AREA_SPAN_M ||
            (a->north - a->south) * high > CONNECTIVITY_AREA_SPAN_M)
            st = err_set(e, ST_BAD, "%s: the area is wider or higher than %d km: a ward is meant",
                         name, CONNECTIVITY_AREA_SPAN_M / 1000);
    }
    if (st != ST_OK)
        connectivity_area_free(a);
    else
        *out = a;
    return st;
}

enum st connectivity_file_read(const char *path, size_t max, struct buf *out, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 1;
    enum st st = ST_OK;
    buf_init(out, max + 1); /* one more tells what is too long */
    if (fd < 0)
        return err_set(e, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s: %s", path, strerror(errno));
    while (st == ST_OK && n > 0) {
        size_t want = max + 1 - out->n < 65536 ? max + 1 - out->n : 65536;
        st = want > 0 ? buf_reserve(out, want) : ST_FULL;
        n = st == ST_OK ? read(fd, out->p + out->n, want) : 0;
        out->n += n > 0 ? (size_t)n : 0;
        if (n < 0)
            st = err_set(e, ST_IO, "%s: %s", path, strerror(errno));
    }
    (void)close(fd);
    if (st == ST_FULL || out->n > max)
        st = err_set(e, ST_FULL, "%s: more than %zu KiB: cut it into smaller files", path,
                     max / 1024);
    else if (st == ST_MEMORY)
        (void)err_set(e, ST_MEMORY, "%s: no memory", path);
    return st;
}

enum st connectivity_area_load(struct connectivity_area **out, const char *path, struct err *e)
{
    struct buf b;
    *out = NULL;
    enum st st = connectivity_file_read(path, CONNECTIVITY_AREA_BYTES, &b, e);
    if (st == ST_OK)
        st = connectivity_area_parse(out, path, b.p, b.n, e);
    buf_done(&b);
    return st;
}

void connectivity_area_free(struct connectivity_area *a)
{
    if (!a)
        return;
    free(a->position);
    free(a->ring);
    free(a);
}

/* ---- inside ---------------------------------------------------------------------------------- */

bool connectivity_area_cross(const struct connectivity_position *p, double lat, double *lon)
{
    const struct connectivity_position *q = p + 1;
    if ((p->lat > lat) == (q->lat > lat))
        return false;
    *lon = p->lon + (lat - p->lat) / (q->lat - p->lat) * (q->lon - p->lon);
    return true;
}

bool connectivity_area_has(const struct connectivity_area *a, double lat, double lon)
{
    bool inside = false;
    size_t polygon_now = 0;
    double at;
    for (size_t i = 0; i < a->nrings; i++) {
        const struct connectivity_ring *r = &a->ring[i];
        if (r->polygon != polygon_now && inside)
            return true;
        polygon_now = r->polygon;
        for (size_t k = r->first; k + 1 < r->first + r->n; k++)
            inside ^= connectivity_area_cross(&a->position[k], lat, &at) && lon < at;
    }
    return inside;
}

/* ---- written ----------------------------------------------------------------------------------
 */

static enum st ring_json(const struct connectivity_area *a, const struct connectivity_ring *r,
                         struct buf *out)
{
    for (size_t k = r->first; k < r->first + r->n; k++)
        ERR_TRY(buf_printf(out, "%s[%.7f,%.7f]", k > r->first ? "," : "[", a->position[k].lon,
                           a->position[k].lat));
    return buf_printf(out, "]");
}

enum st connectivity_area_geojson(const struct connectivity_area *a, struct buf *out)
{
    ERR_TRY(buf_printf(out, "{\"type\":\"Feature\",\"geometry\":{\"type\":\"MultiPolygon\","
                            "\"coordinates\":[["));
    for (size_t i = 0; i < a->nrings; i++) {
        bool first = i == 0, same = !first && a->ring[i].polygon == a->ring[i - 1].polygon;
        ERR_TRY(buf_printf(out, "%s", first ? "" : same ? "," : "],["));
        ERR_TRY(ring_json(a, &a->ring[i], out));
    }
    return buf_printf(out, "]]},\"properties\":{\"kind\":\"area\"}}");
}
