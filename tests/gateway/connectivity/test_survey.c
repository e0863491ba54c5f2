/* The survey's core: areas and cells whose number is known by hand, and what counts as covered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/connectivity/survey_int.h"

/* 0.01 degrees at the equator, where a degree has 110574.4 m to the north and 111319.4 m to the
 * east (phi is 0.05): 1105.7 m x 1113.2 m. */
#define SQUARE "[[0,0],[0.01,0],[0.01,0.01],[0,0.01],[0,0]]"
#define HOLE "[[0,0],[0,0.005],[0.005,0.005],[0.005,0],[0,0]]" /* 552.9 m x 556.6 m */
#define FAR "[[0.02,0],[0.03,0],[0.03,0.01],[0.02,0.01],[0.02,0]]"
#define POLYGON(rings) "{\"type\":\"Polygon\",\"coordinates\":[" rings "]}"

static struct connectivity_area *area_of(const char *text)
{
    struct connectivity_area *a = NULL;
    struct err e = {.text = ""};
    if (connectivity_area_parse(&a, "ward.geojson", text, strlen(text), &e) != ST_OK)
        fail_msg("%s", e.text);
    return a;
}

static uint32_t cells_of(const char *text, int64_t cell_m)
{
    struct connectivity_area *a = area_of(text);
    struct connectivity_grid *g = NULL;
    struct err e = {.text = ""};
    if (connectivity_grid_open(&g, a, cell_m, &e) != ST_OK)
        fail_msg("%s", e.text);
    uint32_t n = connectivity_grid_cells(g);
    for (uint32_t i = 0; i < n; i++) { /* a cell is found at its centre and near its corners */
        struct connectivity_cell c;
        connectivity_grid_cell(g, i, &c);
        double h = c.north - c.south, w = c.east - c.west;
        assert_int_equal(connectivity_grid_find(g, c.south + h / 2, c.west + w / 2), i);
        assert_int_equal(connectivity_grid_find(g, c.south + h / 99, c.west + w / 99), i);
        assert_int_equal(connectivity_grid_find(g, c.north - h / 99, c.east - w / 99), i);
        assert_true(connectivity_area_has(a, c.south + h / 2, c.west + w / 2));
    }
    connectivity_grid_close(g);
    connectivity_area_free(a);
    return n;
}

static void cells_are_those_whose_centre_is_inside(void **state)
{
    (void)state;
    double high, wide;
    /* WGS 84: 110574.3 and 111319.5 m at the equator, 55800 m to the east at 60 degrees */
    connectivity_metres(0, &high, &wide);
    assert_true(fabs(high - 110574.3) < 0.1 && fabs(wide - 111319.5) < 0.1);
    connectivity_metres(60, &high, &wide);
    assert_true(fabs(high - 111412.2) < 0.1 && fabs(wide - 55800.0) < 0.1);

    assert_int_equal(cells_of(POLYGON(SQUARE), 100), 11 * 11); /* centres at 50 … 1050 m */
    assert_int_equal(cells_of(POLYGON(SQUARE), 500), 2 * 2);   /* 250, 750; 1250 is outside */
    assert_int_equal(cells_of(POLYGON(SQUARE), 1000), 1);
    assert_int_equal(cells_of(POLYGON(SQUARE "," HOLE), 100), 11 * 11 - 6 * 6);
    /* 2226.4 to 3339.6 m: centres at 2250 … 3250 */
    assert_int_equal(
        cells_of("{\"type\":\"MultiPolygon\",\"coordinates\":[[" SQUARE "],[" FAR "]]}", 100),
        2 * 11 * 11);
    /* two that overlap are one area, and what is a hole of one is filled by the other */
    assert_int_equal(cells_of("{\"type\":\"GeometryCollection\",\"geometries\":[" POLYGON(
                                  SQUARE "," HOLE) "," POLYGON(SQUARE) "]}",
                              100),
                     11 * 11);
    assert_int_equal(cells_of("{\"type\":\"Feature\",\"properties\":{\"name\":\"Trà Câu\"},"
                              "\"geometry\":" POLYGON(SQUARE) "}",
                              100),
                     11 * 11);
    assert_int_equal(
        cells_of("\xef\xbb\xbf{\"type\":\"FeatureCollection\",\"features\":[{\"type\":\"Feature\","
                 "\"geometry\":" POLYGON(SQUARE) "},{\"type\":\"Feature\",\"geometry\":" POLYGON(
                     FAR) "}]}",
                 100),
        2 * 11 * 11);
}

static void the_grid_stays_where_it_is_when_the_outline_changes(void **state)
{
    (void)state;
    struct connectivity_cell c[2];
    const char *const text[] = {
        POLYGON("[[108.93,14.80],[108.97,14.80],[108.97,14.84],[108.93,14.84],[108.93,14.80]]"),
        POLYGON("[[108.92,14.79],[108.98,14.80],[108.97,14.85],[108.93,14.84],[108.92,14.79]]")};
    for (size_t i = 0; i < 2; i++) {
        struct connectivity_area *a = area_of(text[i]);
        struct connectivity_grid *g = NULL;
        assert_int_equal(connectivity_grid_open(&g, a, 100, NULL), ST_OK);
        int64_t at = connectivity_grid_find(g, 14.8203, 108.9511);
        assert_true(at >= 0);
        connectivity_grid_cell(g, (uint32_t)at, &c[i]);
        connectivity_grid_close(g);
        connectivity_area_free(a);
    }
    assert_memory_equal(&c[0], &c[1], sizeof c[0]);
}

static void refused(const char *text, const char *why)
{
    struct connectivity_area *a = NULL;
    struct err e = {.text = ""};
    enum st st = connectivity_area_parse(&a, "ward.geojson", text, strlen(text), &e);
    if (st == ST_OK || a || !strstr(e.text, why))
        fail_msg("%d \"%s\", wanted \"%s\"", st, e.text, why);
}

static void an_outline_that_is_wrong_says_where(void **state)
{
    (void)state;
    refused("{\"type\":\"Polygon\",\n\"coordinates\":[[}", "ward.geojson:2:");
    refused("", "no JSON");
    refused("[]", "the whole: no type where an area is needed");
    refused("{\"type\":\"Point\",\"coordinates\":[0,0]}", "\"Point\" where an area is needed");
    refused(POLYGON("[[0,0],[0.01,0],[0.01,0.01],[0,0.01]]"),
            "coordinates[0]: the ring is not closed");
    refused(POLYGON("[[0,0],[0.01,0],[0,0]]"), "coordinates[0]: a ring is a list of four");
    refused(POLYGON(SQUARE ",[[0,0],[0.01,0],[0,\"a\"],[0,0]]"),
            "coordinates[1][2]: a position is [longitude, latitude]");
    refused(POLYGON("[[14.8,108.9],[14.9,108.9],[14.9,109],[14.8,108.9]]"),
            "coordinates[0][0]: not a place on earth: write [longitude, latitude]");
    refused("{\"type\":\"FeatureCollection\",\"features\":[]}", "features: a list is needed");
    refused(
        "{\"type\":\"FeatureCollection\",\"features\":[{\"type\":\"Feature\",\"geometry\":" POLYGON(
            SQUARE) "},{\"type\":\"Feature\",\"geometry\":null}]}",
        "features[1].geometry: no type");
    refused("{\"type\":\"MultiPolygon\",\"coordinates\":[[" SQUARE "],[]]}",
            "coordinates[1]: a polygon is a list of rings");
    refused(POLYGON("[[0,0],[1,0],[1,1],[0,1],[0,0]]"), "wider or higher than 100 km");
    refused("{\"type\":\"Polygon\",\"type\":\"Polygon\",\"coordinates\":[]}", "duplicate");

    struct buf b; /* as deep as jansson would go, and it goes by calling itself */
    buf_init(&b, 8192);
    for (int i = 0; i < 4000; i++)
        assert_int_equal(buf_put(&b, "[", 1), ST_OK);
    assert_int_equal(buf_put(&b, "", 1), ST_OK);
    refused((const char *)b.p, "nested deeper");
    b.n = 0;
    for (int i = 0; i < 12; i++)
        assert_int_equal(buf_printf(&b, "{\"type\":\"Feature\",\"geometry\":"), ST_OK);
    assert_int_equal(buf_printf(&b, "null"), ST_OK);
    for (int i = 0; i < 12; i++)
        assert_int_equal(buf_put(&b, "}", 1), ST_OK);
    assert_int_equal(buf_put(&b, "", 1), ST_OK);
    refused((const char *)b.p, "geometries are nested too deep");
    buf_done(&b);

    buf_init(&b, 1024 * 1024);
    assert_int_equal(buf_printf(&b, "{\"type\":\"Polygon\",\"coordinates\":[[[0,0]"), ST_OK);
    for (int i = 0; i < CONNECTIVITY_AREA_POSITIONS; i++)
        assert_int_equal(buf_printf(&b, ",[0.01,0.0%d]", 1 + i % 9), ST_OK);
    assert_int_equal(buf_printf(&b, ",[0,0]]]}%c", 0), ST_OK);
    refused((const char *)b.p, "more than 20000 positions");
    buf_done(&b);
}

static void cells_too_many_or_none_say_which_size_to_take(void **state)
{
    (void)state;
    struct connectivity_area *a = area_of(POLYGON(SQUARE));
    struct connectivity_grid *g = NULL;
    struct err e = {.text = ""};
    assert_int_equal(connectivity_grid_open(&g, a, 10000, &e), ST_BAD);
    assert_non_null(strstr(e.text, "take smaller ones"));
    connectivity_area_free(a);
    a = area_of(POLYGON("[[0,0],[0.05,0],[0.05,0.05],[0,0.05],[0,0]]"));
    assert_int_equal(connectivity_grid_open(&g, a, 10, &e), ST_BAD);
    assert_non_null(strstr(e.text, "more than 100000 cells"));
    connectivity_area_free(a);
    a = area_of(POLYGON("[[0,0],[0.8,0],[0.8,0.8],[0,0.8],[0,0]]"));
    assert_int_equal(connectivity_grid_open(&g, a, 10, &e), ST_BAD);
    assert_non_null(strstr(e.text, "the box around the area"));
    assert_null(g);
    connectivity_area_free(a);
}

/* ---- the result
 * ---------------------------------------------------------------------------------- */

#define NOON INT64_C(1795582800000) /* 2026-11-25T05:00:00Z */
#define VIETTEL 45204
#define VINAPHONE 45202

/* In the cell of that row and column of SQUARE, at 500 m. */
static struct connectivity_sample at(int row, int col, enum connectivity_survey_tech tech, int rsrp)
{
    static int64_t t = NOON;
    return (struct connectivity_sample){.t_ms = t++,
                                        .lat = (row + 0.5) * 500 / 110574.4,
                                        .lon = (col + 0.5) * 500 / 111319.4,
                                        .plmn = VIETTEL,
                                        .tech = tech,
                                        .transfer = true,
                                        .rsrp = rsrp ? num_dec(rsrp, 0)
                                                     : (struct num){.kind = NUM_NONE}};
}

struct bench {
    struct connectivity_survey_cfg cfg;
    struct connectivity_area *area;
    struct connectivity_survey *v;
    const struct connectivity_survey_part *part;
    size_t parts;
    struct buf out;
};

static void bench_open(struct bench *b, struct connectivity_survey_cfg cfg)
{
    *b = (struct bench){.cfg = cfg, .area = area_of(POLYGON(SQUARE))};
    b->cfg.cell_m = 500;
    assert_int_equal(connectivity_survey_open(&b->v, &b->cfg, b->area, NULL), ST_OK);
    buf_init(&b->out, 1024 * 1024);
}

static void add(struct bench *b, struct connectivity_sample s)
{
    assert_int_equal(connectivity_survey_add(b->v, &s, NULL), ST_OK);
}

static const char *told(struct bench *b)
{
    assert_int_equal(connectivity_survey_judge(b->v, NULL), ST_OK);
    b->parts = connectivity_survey_parts(b->v, &b->part);
    assert_int_equal(connectivity_survey_text(b->v, &b->out), ST_OK);
    assert_int_equal(buf_put(&b->out, "", 1), ST_OK);
    return (const char *)b->out.p;
}

static void bench_close(struct bench *b)
{
    connectivity_survey_close(b->v);
    connectivity_area_free(b->area);
    buf_done(&b->out);
}

#define LTE CONNECTIVITY_SURVEY_LTE
#define ENDC CONNECTIVITY_SURVEY_ENDC
#define SA CONNECTIVITY_SURVEY_SA
#define NR CONNECTIVITY_SURVEY_NR
static const struct connectivity_survey_cfg usual = {.covered_dbm = -110, .visited_percent = 50};

static void a_cell_is_covered_by_at_least_half_of_its_samples(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, usual);
    add(&b, at(0, 0, ENDC, -110)); /* covered, on the threshold */
    add(&b, at(0, 1, SA, -111));   /* too weak */
    add(&b, at(1, 0, NR, -90));    /* half of two */
    add(&b, at(1, 0, LTE, -70));
    add(&b, at(1, 1, ENDC, -80)); /* one of three */
    add(&b, at(1, 1, LTE, -80));
    add(&b, at(1, 1, CONNECTIVITY_SURVEY_OTHER, 0));
    const char *text = told(&b);
    assert_int_equal(b.parts, 1);
    assert_int_equal(b.part->covered, 2);
    assert_int_equal(b.part->visited, 4);
    assert_int_equal(b.part->all, 4);
    assert_non_null(strstr(text,
                           "2026-11-25, operator 45204: 2 of 4 visited cells covered (50.0 %); "
                           "4 of 4 cells visited (100.0 %)"));
    assert_non_null(strstr(text, "no official one is known"));
    bench_close(&b);
}

static void below_the_visited_share_no_percentage_is_told(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, usual);
    add(&b, at(0, 0, SA, -80));
    const char *text = told(&b);
    assert_non_null(strstr(text,
                           "1 covered, 1 visited, 4 cells in all; no share is told: fewer than "
                           "50 % of the cells were visited"));
    assert_null(strstr(text, "(100.0 %)"));
    b.out.n = 0;
    assert_int_equal(connectivity_survey_geojson(b.v, &b.out), ST_OK);
    assert_int_equal(buf_put(&b.out, "", 1), ST_OK);
    assert_null(strstr((const char *)b.out.p, "_percent\":100"));
    assert_null(strstr((const char *)b.out.p, "covered_percent"));
    bench_close(&b);
    bench_open(&b, usual); /* on the bound there is one */
    add(&b, at(0, 0, SA, -80));
    add(&b, at(0, 1, LTE, -80));
    assert_non_null(
        strstr(told(&b), "1 of 2 visited cells covered (50.0 %); 2 of 4 cells visited"));
    bench_close(&b);
}

static void what_cannot_be_judged_visits_nothing(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, usual);
    add(&b, at(0, 0, ENDC, 0)); /* 5G, but how strong? */
    struct connectivity_sample s = at(0, 0, SA, -80);
    s.lat = 0.0199;
    add(&b, s); /* outside */
    s = at(0, 0, SA, -80);
    s.lat = 0.0099;
    add(&b, s); /* inside, in a cell whose centre is not */
    s = at(1, 1, LTE, -80);
    s.transfer = false;
    add(&b, s); /* it may have been idle */
    const char *text = told(&b);
    assert_int_equal(b.part->visited, 1);
    assert_int_equal(b.part->unjudged, 1);
    assert_int_equal(b.part->outside, 1);
    assert_int_equal(b.part->edge, 1);
    assert_int_equal(b.part->idle, 1);
    assert_non_null(
        strstr(text, "not counted: 1 outside of the area, 1 at its edge, 1 of 5G without"));
    assert_non_null(strstr(text, "an idle phone may show LTE where 5G is"));
    bench_close(&b);
}

static void operators_and_days_are_told_apart_and_a_sample_counts_once(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, usual);
    struct connectivity_sample s = at(0, 0, SA, -80);
    add(&b, s);
    add(&b, s);
    s.plmn = VINAPHONE;
    add(&b, s);
    s.t_ms = INT64_C(1795625999999); /* 23:59:59.999 in Viet Nam, and a moment later */
    add(&b, s);
    s.t_ms++;
    add(&b, s);
    (void)told(&b);
    assert_int_equal(b.parts, 3);
    assert_int_equal(b.part[0].plmn, VINAPHONE);
    assert_int_equal(b.part[0].samples, 2);
    assert_int_equal(b.part[1].day, b.part[0].day + 1);
    assert_int_equal(b.part[2].plmn, VIETTEL);
    assert_int_equal(b.part[2].samples, 1);
    bench_close(&b);
}

static void what_covers_is_what_the_configuration_says(void **state)
{
    (void)state;
    char sa[] = "sa", wrong[] = "6g", *words[] = {sa}, *bad[] = {wrong};
    struct bench b;
    bench_open(&b, (struct connectivity_survey_cfg){
                       .covered_by = {words, 1}, .covered_dbm = -100, .visited_percent = 1});
    add(&b, at(0, 0, SA, -101));
    add(&b, at(0, 1, SA, -100));
    add(&b, at(1, 0, ENDC, -80));
    add(&b, at(1, 1, NR, -80)); /* SA or EN-DC: nobody knows */
    (void)told(&b);
    assert_int_equal(b.part->covered, 1);
    assert_int_equal(b.part->visited, 3);
    assert_int_equal(b.part->unjudged, 1);
    bench_close(&b);
    struct connectivity_area *a = area_of(POLYGON(SQUARE));
    struct connectivity_survey *v = NULL;
    const struct connectivity_survey_cfg cfg = {.covered_by = {bad, 1}, .cell_m = 100};
    assert_int_equal(connectivity_survey_open(&v, &cfg, a, NULL), ST_BAD);
    assert_null(v);
    connectivity_area_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_those_whose_centre_is_inside),
        cmocka_unit_test(the_grid_stays_where_it_is_when_the_outline_changes),
        cmocka_unit_test(an_outline_that_is_wrong_says_where),
        cmocka_unit_test(cells_too_many_or_none_say_which_size_to_take),
        cmocka_unit_test(a_cell_is_covered_by_at_least_half_of_its_samples),
        cmocka_unit_test(below_the_visited_share_no_percentage_is_told),
        cmocka_unit_test(what_cannot_be_judged_visits_nothing),
        cmocka_unit_test(operators_and_days_are_told_apart_and_a_sample_counts_once),
        cmocka_unit_test(what_covers_is_what_the_configuration_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
