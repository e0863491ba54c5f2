/* The survey: where in a ward which operator's 5G was measured, by the gateway itself on a walk or
 * by a phone's survey app. A part of connectivity.h, which includes it.
 *
 * A proxy for the plans' "coverage of the area": cells of a fixed grid in which samples were taken,
 * and which of these are covered. It is neither the operator's coverage map nor a share of people.
 *
 * All but the walk is for tools, on their one thread, without global state. */
#ifndef GATEWAY_CONNECTIVITY_SURVEY_H
#define GATEWAY_CONNECTIVITY_SURVEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/base/buf.h"
#include "gateway/base/cfg.h"
#include "gateway/base/num.h"

/* Section `connectivity.survey`. */
struct connectivity_survey_cfg {
    char *area;                    /* GeoJSON file; NULL: none */
    int64_t cell_m;                /* side of a cell */
    struct cfg_strings covered_by; /* technologies; none: EN-DC and SA */
    int64_t covered_dbm;           /* and from this RSRP on */
    int64_t visited_percent;       /* of all cells: below it no share is told */
    char *gpsd;                    /* host:port; NULL: none */
    bool browser;                  /* a phone may tell the position, by the page; with neither the
                                      gateway does not walk */
    int64_t every_ms;
    char *interface, *transfer; /* of the modem; what is fetched while it is asked, or NULL */
    int64_t sample_bytes, month_bytes;
    char *name, *place;
};

/* ---- a sample -------------------------------------------------------------------------------- */

enum connectivity_survey_tech {
    CONNECTIVITY_SURVEY_LTE,
    CONNECTIVITY_SURVEY_ENDC,  /* 5G beside LTE */
    CONNECTIVITY_SURVEY_SA,    /* 5G alone */
    CONNECTIVITY_SURVEY_NR,    /* 5G, and nobody says which of the two */
    CONNECTIVITY_SURVEY_OTHER, /* older ones */
    CONNECTIVITY_SURVEY_TECHS
};
extern const char *const connectivity_survey_tech_text[CONNECTIVITY_SURVEY_TECHS];
/* Of 3GPP's AcT, as the series `technology` has it. */
enum connectivity_survey_tech connectivity_survey_tech_of(int64_t act);

struct connectivity_sample {
    int64_t t_ms;    /* UTC */
    double lat, lon; /* degrees, WGS 84 */
    uint32_t plmn;   /* MCC and MNC: 45204 */
    enum connectivity_survey_tech tech;
    bool own;                    /* by this gateway's modem, else imported */
    bool transfer;               /* known to be taken while data flowed; own ones are */
    struct num rsrp, rsrq, sinr; /* dBm, dB, dB; of 5G where the technology is one, else of LTE */
    /* Of own ones, where it was told: whose position it is, and how far off that may be (m). */
    bool browser;
    struct num error_m;
};
#define CONNECTIVITY_SAMPLES_MAX 200000
/* By operator, day (of Viet Nam), position, time and the rest; 0: the same sample. */
int connectivity_sample_cmp(const struct connectivity_sample *a,
                            const struct connectivity_sample *b);

/* ---- the area (survey_area.c): RFC 7946 ------------------------------------------------------ */

#define CONNECTIVITY_AREA_BYTES ((size_t)1024 * 1024)
#define CONNECTIVITY_AREA_POSITIONS 20000
#define CONNECTIVITY_AREA_SPAN_M 100000 /* wide and high, at most: see the grid */
struct connectivity_area;
/* Polygon, MultiPolygon, GeometryCollection of these, Feature, FeatureCollection; rings behind the
 * first of a polygon are holes. `name` is for messages, which say where: line and column of what is
 * no JSON, else the member (features[2].geometry.coordinates[0][3]). ST_BAD, ST_FULL, ST_MEMORY;
 * load: ST_NOT_FOUND, ST_IO, too. */
enum st connectivity_area_parse(struct connectivity_area **out, const char *name, const void *text,
                                size_t n, struct err *e) ST_MUST_CHECK;
enum st connectivity_area_load(struct connectivity_area **out, const char *path,
                               struct err *e) ST_MUST_CHECK;
void connectivity_area_free(struct connectivity_area *a); /* takes NULL */
/* Inside, by an odd number of edges to the east; edges are straight in degrees (RFC 7946, 3.1.1).
 */
bool connectivity_area_has(const struct connectivity_area *a, double lat, double lon);
/* Appends it as a Feature: a MultiPolygon, longitude first, with the property kind "area". */
enum st connectivity_area_geojson(const struct connectivity_area *a, struct buf *out) ST_MUST_CHECK;

/* ---- the grid (survey_grid.c) -------------------------------------------------------------------
 *
 * Squares of cell_m metres on a local equirectangular projection:
 *
 *     row = floor((lat - lat0) * mlat / cell_m)    mlat = pi/180 * M    M = a (1 - e2) / w^3
 *     col = floor((lon - lon0) * mlon / cell_m)    mlon = pi/180 * N cos(phi)    N = a / w
 *     w = sqrt(1 - e2 sin^2(phi)), a = 6378137 m, e2 = 0.00669437999014
 *
 * M and N are the ellipsoid's radii of curvature (NGA.STND.0036, WGS 84; Snyder, Map Projections,
 * USGS PP 1395, p. 24 f.). lat0 and lon0 are the middle of the area's box rounded down to 0.1
 * degrees and phi is lat0 + 0.05: an edit of the outline leaves the cells where they are. At 50 km
 * from phi, the most that an area may have, a cell is 0.3 % narrower or wider than it says; in a
 * ward 0.05 %.
 *
 * Squares and not hexagons or geohashes: they have one size everywhere in the ward, a side in
 * metres that a report can name, and a formula that anybody can check. A cell is one of the area's
 * when its centre is inside: so cells at the edge are neither all in nor all out. */
#define CONNECTIVITY_CELLS_MAX 100000
struct connectivity_grid;
/* Borrows the area. ST_BAD: no cell has its centre inside, or too many have; e says which size to
 * take. */
enum st connectivity_grid_open(struct connectivity_grid **out, const struct connectivity_area *a,
                               int64_t cell_m, struct err *e) ST_MUST_CHECK;
void connectivity_grid_close(struct connectivity_grid *g); /* takes NULL */
uint32_t connectivity_grid_cells(const struct connectivity_grid *g);
/* 0 … cells - 1, from the south-west, row by row; -1: in none of the area's. */
int64_t connectivity_grid_find(const struct connectivity_grid *g, double lat, double lon);
struct connectivity_cell {
    int64_t row, col;
    double south, west, north, east; /* degrees */
};
void connectivity_grid_cell(const struct connectivity_grid *g, uint32_t i,
                            struct connectivity_cell *out);

/* ---- the result (survey_result.c) ------------------------------------------------------------ */

struct connectivity_survey;
/* Of one operator on one day. A cell is visited when a sample of it can be judged, and covered when
 * at least half of these are covered: a technology of covered_by, heard with covered_dbm or more.
 */
struct connectivity_survey_part {
    uint32_t plmn;
    int64_t day;                     /* wire_day_of */
    uint32_t covered, visited, all;  /* cells */
    uint32_t samples, outside, edge; /* edge: inside, in a cell whose centre is not */
    uint32_t unjudged;               /* 5G without its signal */
    uint32_t idle;                   /* not 5G, and not known to be taken in a transfer */
    uint32_t own;
    bool enough; /* of the cells were visited: a share may be told */
};
/* ST_BAD for what covered_by does not know. cfg and area are borrowed. */
enum st connectivity_survey_open(struct connectivity_survey **out,
                                 const struct connectivity_survey_cfg *cfg,
                                 const struct connectivity_area *area, struct err *e) ST_MUST_CHECK;
void connectivity_survey_close(struct connectivity_survey *v); /* takes NULL */
/* ST_FULL beyond CONNECTIVITY_SAMPLES_MAX. */
enum st connectivity_survey_add(struct connectivity_survey *v, const struct connectivity_sample *s,
                                struct err *e) ST_MUST_CHECK;
/* Once, behind the last sample; a sample that was added twice counts once. */
enum st connectivity_survey_judge(struct connectivity_survey *v, struct err *e) ST_MUST_CHECK;
size_t connectivity_survey_parts(const struct connectivity_survey *v,
                                 const struct connectivity_survey_part **out);
/* Appends: for people; a FeatureCollection of the area, the cells that were visited (for each
 * operator and day), those that never were, and the samples, with the parts as its member "survey".
 * A share is
 * covered of visited cells, in 0.1 %, half up. ST_FULL, ST_MEMORY. */
enum st connectivity_survey_text(const struct connectivity_survey *v,
                                 struct buf *out) ST_MUST_CHECK;
enum st connectivity_survey_geojson(const struct connectivity_survey *v,
                                    struct buf *out) ST_MUST_CHECK;

/* ---- a survey app's file (survey_csv.c, survey_field.c) ------------------------------------- */

#define CONNECTIVITY_CSV_BYTES ((size_t)32 * 1024 * 1024)
#define CONNECTIVITY_CSV_TOLD 20
struct connectivity_csv_ask {
    int64_t utc_offset_ms;              /* of times that do not say theirs */
    int64_t t_ms;                       /* of files without times; 0: none is given */
    int64_t now_ms;                     /* what lies a day or more behind it is wrong */
    uint32_t plmn;                      /* of files without an operator; 0: none is given */
    enum connectivity_survey_tech tech; /* of files that do not say it … */
    bool has_tech;                      /* … when this is set */
};
struct connectivity_csv {
    struct connectivity_sample *sample; /* in the order of the file */
    size_t n, cap;
    uint32_t rows;      /* without the head, comments and empty lines */
    uint32_t neighbour; /* cells that did not serve: no samples */
    uint32_t bad;
    struct {
        uint32_t line; /* from 1, of the file */
        char why[120];
    } told[CONNECTIVITY_CSV_TOLD]; /* the first of the bad */
};
/* Reads the whole file: header-named columns, in any order, separated by tab, semicolon or comma;
 * fieldpost(1), survey, has the names. Takes a BOM, CRLF, quoted fields, lines
 * that begin with #, decimal commas. ST_BAD: nothing of it can be used; e says why. Free it with
 * connectivity_csv_done, also after a failure. */
enum st connectivity_csv_read(struct connectivity_csv *out, const char *name, const void *text,
                              size_t n, const struct connectivity_csv_ask *ask,
                              struct err *e) ST_MUST_CHECK;
void connectivity_csv_done(struct connectivity_csv *c);
/* Appends samples in our own form, which connectivity_csv_read takes with nothing lost. */
enum st connectivity_csv_write(const struct connectivity_sample *s, size_t n,
                               struct buf *out) ST_MUST_CHECK;

/* ---- imports (survey_import.c)
 * -------------------------------------------------------------------- */

/* Beside the store, in the folder <store><this>, one file of samples for each import, mode 0600.
 * They are no readings: a phone measured them, and the gateway's signature says what the gateway
 * saw. */
#define CONNECTIVITY_IMPORT_FOLDER ".survey"
#define CONNECTIVITY_IMPORT_FILES 500
typedef enum st connectivity_import_each(void *ctx, const struct connectivity_sample *s,
                                         struct err *e);
/* Tells all samples that were imported. ST_CORRUPT: one of the files is damaged; it says which. */
enum st connectivity_imported(const char *store_path, connectivity_import_each *each, void *ctx,
                              struct err *e) ST_MUST_CHECK;
/* Keeps those samples of `in` that are not kept yet, all of them or, after a failure, none; *fresh:
 * how many. ST_FULL, ST_REFUSED (another user's store), ST_IO. */
enum st connectivity_import(const char *store_path, const struct connectivity_csv *in,
                            uint32_t *fresh, struct err *e) ST_MUST_CHECK;
/* A file of at most CONNECTIVITY_CSV_BYTES; free it, also after a failure. */
enum st connectivity_csv_load(const char *path, struct buf *out, struct err *e) ST_MUST_CHECK;

/* ---- the report (survey_report.c) ------------------------------------------------------------ */

struct store_reader;
struct connectivity_survey_ask {
    const struct connectivity_survey_cfg *cfg;
    const struct connectivity_area *area;
    const char *store_path;      /* imports lie beside it */
    const char *gateway;         /* its id */
    struct store_reader *reader; /* of the walk's samples; NULL: there is no store yet */
    int64_t from_ms, to_ms;      /* UTC; INT64_MIN, INT64_MAX: no bound */
    bool part;                   /* only batches of that time are opened (store_readings_ask) */
    bool geojson;                /* else for people */
    size_t most;                 /* samples, at most; 0: CONNECTIVITY_SAMPLES_MAX */
    bool (*go_on)(void *ctx);    /* asked between two steps; may be NULL */
    void *ctx;
};
/* The result of all samples of that time, imported and own, appended to `out`. The same samples
 * give the same bytes. ST_FULL: more samples than `most`, or more bytes than `out` takes;
 * ST_STOPPED: go_on said no; else as connectivity_imported and store_readings_step. Any thread. */
enum st connectivity_survey_report(const struct connectivity_survey_ask *ask, struct buf *out,
                                   struct err *e) ST_MUST_CHECK;

#endif
