/* From samples to covered, visited and all cells of each operator and day. */
#include "gateway/connectivity/radio_int.h"
#include "gateway/connectivity/survey_int.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/wire/wire.h"

const char *const connectivity_survey_tech_text[CONNECTIVITY_SURVEY_TECHS] = {
    [CONNECTIVITY_SURVEY_LTE] = "lte",
    [CONNECTIVITY_SURVEY_ENDC] = "en-dc",
    [CONNECTIVITY_SURVEY_SA] = "sa",
    [CONNECTIVITY_SURVEY_NR] = "nr",
    [CONNECTIVITY_SURVEY_OTHER] = "other"};

enum verdict { COVERED, NOT, UNJUDGED };
/* What became of a sample's place. */
enum { OUTSIDE = -1, EDGE = -2 };

struct judged {
    struct connectivity_sample s;
    int64_t cell; /* or one of the above */
    enum verdict verdict;
};
struct visit {
    uint32_t part, cell, samples, covered;
};
struct connectivity_survey {
    const struct connectivity_survey_cfg *cfg;
    const struct connectivity_area *area;
    struct connectivity_grid *grid;
    unsigned by; /* a bit for each technology that covers */
    struct judged *sample;
    size_t n, cap;
    struct connectivity_survey_part *part;
    size_t nparts;
    struct visit *visit; /* of cells, in the order of the parts */
    size_t nvisits;
};

enum connectivity_survey_tech connectivity_survey_tech_of(int64_t act)
{
    switch (act) {
    case CONNECTIVITY_ACT_LTE:
    case 10: /* LTE at a 5G core */
        return CONNECTIVITY_SURVEY_LTE;
    case CONNECTIVITY_ACT_ENDC:
        return CONNECTIVITY_SURVEY_ENDC;
    case CONNECTIVITY_ACT_SA:
        return CONNECTIVITY_SURVEY_SA;
    case CONNECTIVITY_ACT_NGRAN:
        return CONNECTIVITY_SURVEY_NR;
    default:
        return CONNECTIVITY_SURVEY_OTHER;
    }
}

#define ORDER(x, y)                                                                                \
    do {                                                                                           \
        if ((x) != (y))                                                                            \
            return (x) < (y) ? -1 : 1;                                                             \
    } while (0)

static int num_order(struct num a, struct num b)
{
    if (a.kind == NUM_NONE || b.kind == NUM_NONE)
        return (a.kind != NUM_NONE) - (b.kind != NUM_NONE);
    return num_cmp(a, b);
}

int connectivity_sample_cmp(const struct connectivity_sample *a,
                            const struct connectivity_sample *b)
{
    int64_t day_a = wire_day_of(a->t_ms), day_b = wire_day_of(b->t_ms);
    int order;
    ORDER(a->plmn, b->plmn);
    ORDER(day_a, day_b);
    ORDER(a->lat, b->lat);
    ORDER(a->lon, b->lon);
    ORDER(a->t_ms, b->t_ms);
    ORDER(a->tech, b->tech);
    ORDER(a->own, b->own);
    ORDER(a->transfer, b->transfer);
    if ((order = num_order(a->rsrp, b->rsrp)) != 0 || (order = num_order(a->rsrq, b->rsrq)) != 0)
        return order;
    return num_order(a->sinr, b->sinr);
}

/* ---- open, add, close ------------------------------------------------------------------------ */

bool connectivity_survey_word(const char *word, unsigned *bit)
{
    for (unsigned i = 0; i <= CONNECTIVITY_SURVEY_SA; i++)
        if (strcmp(word, connectivity_survey_tech_text[i]) == 0) {
            *bit = 1U << i;
            return true;
        }
    return false;
}

enum st connectivity_survey_open(struct connectivity_survey **out,
                                 const struct connectivity_survey_cfg *cfg,
                                 const struct connectivity_area *area, struct err *e)
{
    *out = NULL;
    struct connectivity_survey *v = calloc(1, sizeof *v);
    if (!v)
        return err_set(e, ST_MEMORY, "survey: no memory");
    v->cfg = cfg;
    v->area = area;
    v->by = cfg->covered_by.n ? 0 : 1U << CONNECTIVITY_SURVEY_ENDC | 1U << CONNECTIVITY_SURVEY_SA;
    enum st st = connectivity_grid_open(&v->grid, area, cfg->cell_m, e);
    for (size_t i = 0; i < cfg->covered_by.n && st == ST_OK; i++) {
        unsigned bit = 0;
        if (!connectivity_survey_word(cfg->covered_by.v[i], &bit))
            st =
                err_set(e, ST_BAD, "survey.covered_by: no technology \"%s\"", cfg->covered_by.v[i]);
        v->by |= bit;
    }
    if (st != ST_OK)
        connectivity_survey_close(v);
    else
        *out = v;
    return st;
}

void connectivity_survey_close(struct connectivity_survey *v)
{
    if (!v)
        return;
    connectivity_grid_close(v->grid);
    free(v->sample);
    free(v->part);
    free(v->visit);
    free(v);
}

enum st connectivity_survey_add(struct connectivity_survey *v, const struct connectivity_sample *s,
                                struct err *e)
{
    if (v->n == CONNECTIVITY_SAMPLES_MAX)
        return err_set(e, ST_FULL, "more than %d samples: ask for fewer days (--from, --to)",
                       CONNECTIVITY_SAMPLES_MAX);
    if (v->n == v->cap) {
        size_t cap = v->cap ? 2 * v->cap : 256;
        struct judged *p = realloc(v->sample, cap * sizeof *p);
        if (!p)
            return err_set(e, ST_MEMORY, "survey: no memory");
        v->sample = p;
        v->cap = cap;
    }
    v->sample[v->n++] = (struct judged){.s = *s};
    return ST_OK;
}

/* ---- the judgement --------------------------------------------------------------------------- */

static enum verdict judge(const struct connectivity_survey *v, const struct connectivity_sample *s)
{
    unsigned is = s->tech == CONNECTIVITY_SURVEY_NR
                      ? 1U << CONNECTIVITY_SURVEY_ENDC | 1U << CONNECTIVITY_SURVEY_SA
                      : 1U << s->tech;
    unsigned counts = is & v->by;
    if (counts == 0)
        return NOT;
    if (counts != is || s->rsrp.kind == NUM_NONE) /* one of the two would count: nobody knows */
        return UNJUDGED;
    return num_cmp(s->rsrp, num_dec(v->cfg->covered_dbm, 0)) >= 0 ? COVERED : NOT;
}

static int by_sample(const void *a, const void *b)
{
    const struct judged *x = a, *y = b;
    return connectivity_sample_cmp(&x->s, &y->s);
}

static int by_cell(const void *a, const void *b)
{
    const struct judged *x = a, *y = b;
    int64_t day_x = wire_day_of(x->s.t_ms), day_y = wire_day_of(y->s.t_ms);
    ORDER(x->s.plmn, y->s.plmn);
    ORDER(day_x, day_y);
    ORDER(x->cell, y->cell);
    return by_sample(a, b);
}

static bool same_part(const struct connectivity_survey_part *p, const struct connectivity_sample *s)
{
    return p->plmn == s->plmn && p->day == wire_day_of(s->t_ms);
}

static void count(struct connectivity_survey *v, const struct judged *j)
{
    struct connectivity_survey_part *p = &v->part[v->nparts - 1];
    bool is_5g = j->s.tech == CONNECTIVITY_SURVEY_ENDC || j->s.tech == CONNECTIVITY_SURVEY_SA ||
                 j->s.tech == CONNECTIVITY_SURVEY_NR;
    p->samples++;
    p->own += j->s.own;
    p->outside += j->cell == OUTSIDE;
    p->edge += j->cell == EDGE;
    if (j->cell < 0)
        return;
    p->unjudged += j->verdict == UNJUDGED;
    p->idle += !is_5g && !j->s.transfer;
    if (j->verdict == UNJUDGED)
        return;
    struct visit *last = v->nvisits ? &v->visit[v->nvisits - 1] : NULL;
    if (!last || last->part != v->nparts - 1 || last->cell != j->cell) {
        last = &v->visit[v->nvisits++];
        *last = (struct visit){.part = (uint32_t)(v->nparts - 1), .cell = (uint32_t)j->cell};
    }
    last->samples++;
    last->covered += j->verdict == COVERED;
}

enum st connectivity_survey_judge(struct connectivity_survey *v, struct err *e)
{
    size_t n = 0;
    if (v->n == 0)
        return ST_OK;
    qsort(v->sample, v->n, sizeof *v->sample, by_sample);
    for (size_t i = 0; i < v->n; i++)
        if (n == 0 || by_sample(&v->sample[n - 1], &v->sample[i]) != 0)
            v->sample[n++] = v->sample[i];
    v->n = n;
    for (size_t i = 0; i < n; i++) {
        struct judged *j = &v->sample[i];
        bool in = connectivity_area_has(v->area, j->s.lat, j->s.lon);
        j->cell = in ? connectivity_grid_find(v->grid, j->s.lat, j->s.lon) : OUTSIDE;
        if (in && j->cell < 0)
            j->cell = EDGE;
        j->verdict = judge(v, &j->s);
    }
    qsort(v->sample, n, sizeof *v->sample, by_cell);
    v->part = calloc(n, sizeof *v->part); /* one sample may be one part, and visit one cell */
    v->visit = calloc(n, sizeof *v->visit);
    if (!v->part || !v->visit)
        return err_set(e, ST_MEMORY, "survey: no memory");
    for (size_t i = 0; i < n; i++) {
        const struct judged *j = &v->sample[i];
        if (v->nparts == 0 || !same_part(&v->part[v->nparts - 1], &j->s))
            v->part[v->nparts++] =
                (struct connectivity_survey_part){.plmn = j->s.plmn,
                                                  .day = wire_day_of(j->s.t_ms),
                                                  .all = connectivity_grid_cells(v->grid)};
        count(v, j);
    }
    for (size_t i = 0; i < v->nvisits; i++) {
        struct connectivity_survey_part *p = &v->part[v->visit[i].part];
        p->visited++;
        p->covered += 2 * v->visit[i].covered >= v->visit[i].samples;
    }
    for (size_t i = 0; i < v->nparts; i++)
        v->part[i].enough =
            v->part[i].visited > 0 &&
            (int64_t)v->part[i].visited * 100 >= v->cfg->visited_percent * (int64_t)v->part[i].all;
    return ST_OK;
}

size_t connectivity_survey_parts(const struct connectivity_survey *v,
                                 const struct connectivity_survey_part **out)
{
    *out = v->part;
    return v->nparts;
}

/* ---- what is told ---------------------------------------------------------------------------- */

/* In 0.1 %, half up. */
static uint32_t share(uint32_t part, uint32_t whole)
{
    return (uint32_t)((UINT64_C(2000) * part + whole) / (UINT64_C(2) * whole));
}

static enum st rule_text(const struct connectivity_survey *v, struct buf *out)
{
    const char *between = "";
    for (unsigned i = 0; i < CONNECTIVITY_SURVEY_TECHS; i++) {
        if (!(v->by & 1U << i))
            continue;
        ERR_TRY(buf_printf(out, "%s%s", between, connectivity_survey_tech_text[i]));
        between = ", ";
    }
    return ST_OK;
}

static enum st part_text(const struct connectivity_survey *v,
                         const struct connectivity_survey_part *p, struct buf *out)
{
    char day[WIRE_DAY_TEXT] = "?";
    (void)(wire_day_text(p->day, day) == ST_OK);
    ERR_TRY(buf_printf(out, "\n%s, operator %u: ", day, (unsigned)p->plmn));
    if (p->enough) {
        uint32_t c = share(p->covered, p->visited), s = share(p->visited, p->all);
        ERR_TRY(buf_printf(out,
                           "%u of %u visited cells covered (%u.%u %%); %u of %u cells visited "
                           "(%u.%u %%)\n",
                           p->covered, p->visited, c / 10, c % 10, p->visited, p->all, s / 10,
                           s % 10));
    } else {
        ERR_TRY(buf_printf(out,
                           "%u covered, %u visited, %u cells in all; no share is told: fewer than "
                           "%" PRId64 " %% of the cells were visited\n",
                           p->covered, p->visited, p->all, v->cfg->visited_percent));
    }
    ERR_TRY(buf_printf(out,
                       "  %u samples, %u by this gateway, %u imported; not counted: %u outside of "
                       "the area, %u at its edge, %u of 5G without its signal\n",
                       p->samples, p->own, p->samples - p->own, p->outside, p->edge, p->unjudged));
    if (p->idle > 0)
        ERR_TRY(
            buf_printf(out,
                       "  %u samples without 5G are not known to be taken while data flowed: an "
                       "idle phone may show LTE where 5G is\n",
                       p->idle));
    return ST_OK;
}

enum st connectivity_survey_text(const struct connectivity_survey *v, struct buf *out)
{
    ERR_TRY(buf_printf(out, "%u cells of %" PRId64 " m; covered: ",
                       connectivity_grid_cells(v->grid), v->cfg->cell_m));
    ERR_TRY(rule_text(v, out));
    ERR_TRY(buf_printf(out,
                       " with an RSRP of %" PRId64 " dBm or more (a threshold of this project: no "
                       "official one is known)\n",
                       v->cfg->covered_dbm));
    if (v->nparts == 0)
        ERR_TRY(buf_printf(out, "no samples\n"));
    for (size_t i = 0; i < v->nparts; i++)
        ERR_TRY(part_text(v, &v->part[i], out));
    return ST_OK;
}

/* ---- GeoJSON --------------------------------------------------------------------------------- */

static enum st who_json(const struct connectivity_survey_part *p, struct buf *out)
{
    char day[WIRE_DAY_TEXT] = "?";
    (void)(wire_day_text(p->day, day) == ST_OK);
    return buf_printf(out, "\"operator\":\"%u\",\"date\":\"%s\"", (unsigned)p->plmn, day);
}

static enum st cell_json(const struct connectivity_survey *v, uint32_t i, struct buf *out)
{
    struct connectivity_cell c;
    connectivity_grid_cell(v->grid, i, &c);
    return buf_printf(
        out,
        ",\n{\"type\":\"Feature\",\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[["
        "%.7f,%.7f],[%.7f,%.7f],[%.7f,%.7f],[%.7f,%.7f],[%.7f,%.7f]]]},"
        "\"properties\":{\"kind\":\"cell\",\"row\":%" PRId64 ",\"col\":%" PRId64 ",",
        c.west, c.south, c.east, c.south, c.east, c.north, c.west, c.north, c.west, c.south, c.row,
        c.col);
}

static enum st cells_json(const struct connectivity_survey *v, struct buf *out)
{
    uint32_t cells = connectivity_grid_cells(v->grid);
    bool *seen = calloc(cells, sizeof *seen);
    enum st st = seen ? ST_OK : ST_MEMORY;
    for (size_t i = 0; i < v->nvisits && st == ST_OK; i++) {
        const struct visit *x = &v->visit[i];
        seen[x->cell] = true;
        st = cell_json(v, x->cell, out);
        st = st == ST_OK ? who_json(&v->part[x->part], out) : st;
        if (st == ST_OK)
            st = buf_printf(out, ",\"state\":\"%s\",\"samples\":%u,\"covered_samples\":%u}}",
                            2 * x->covered >= x->samples ? "covered" : "visited", x->samples,
                            x->covered);
    }
    for (uint32_t i = 0; i < cells && st == ST_OK; i++) {
        if (seen[i])
            continue;
        st = cell_json(v, i, out);
        st = st == ST_OK ? buf_printf(out, "\"state\":\"not visited\"}}") : st;
    }
    free(seen);
    return st;
}

static enum st value_json(const char *key, struct num n, struct buf *out)
{
    char text[NUM_TEXT_BYTES];
    return n.kind == NUM_NONE ? ST_OK : buf_printf(out, ",\"%s\":%s", key, num_text(n, text));
}

static enum st sample_json(const struct judged *j, struct buf *out)
{
    static const char *const verdict[] = {"covered", "not covered", "not judged"};
    char t[CLK_TEXT_BYTES];
    ERR_TRY(buf_printf(out,
                       ",\n{\"type\":\"Feature\",\"geometry\":{\"type\":\"Point\",\"coordinates\":["
                       "%.7f,%.7f]},\"properties\":{\"kind\":\"sample\",\"time\":\"%s\","
                       "\"operator\":\"%u\",\"technology\":\"%s\",\"from\":\"%s\","
                       "\"transfer\":%s,\"state\":\"%s\"",
                       j->s.lon, j->s.lat, clk_text(j->s.t_ms, t), (unsigned)j->s.plmn,
                       connectivity_survey_tech_text[j->s.tech], j->s.own ? "gateway" : "import",
                       j->s.transfer ? "true" : "null",
                       j->cell == OUTSIDE ? "outside"
                       : j->cell == EDGE  ? "edge"
                                          : verdict[j->verdict]));
    ERR_TRY(value_json("rsrp", j->s.rsrp, out));
    ERR_TRY(value_json("rsrq", j->s.rsrq, out));
    ERR_TRY(value_json("sinr", j->s.sinr, out));
    ERR_TRY(value_json("error_m", j->s.error_m, out));
    if (j->s.own)
        ERR_TRY(buf_printf(out, ",\"position\":\"%s\"", j->s.browser ? "browser" : "gpsd"));
    return buf_printf(out, "}}");
}

static enum st parts_json(const struct connectivity_survey *v, struct buf *out)
{
    for (size_t i = 0; i < v->nparts; i++) {
        const struct connectivity_survey_part *p = &v->part[i];
        ERR_TRY(buf_printf(out, "%s{", i ? ",\n" : ""));
        ERR_TRY(who_json(p, out));
        ERR_TRY(buf_printf(out,
                           ",\"covered\":%u,\"visited\":%u,\"all\":%u,\"samples\":%u,\"own\":%u,"
                           "\"outside\":%u,\"edge\":%u,\"unjudged\":%u,\"idle\":%u",
                           p->covered, p->visited, p->all, p->samples, p->own, p->outside, p->edge,
                           p->unjudged, p->idle));
        if (p->enough) {
            uint32_t c = share(p->covered, p->visited), s = share(p->visited, p->all);
            ERR_TRY(buf_printf(out, ",\"covered_percent\":%u.%u,\"visited_percent\":%u.%u", c / 10,
                               c % 10, s / 10, s % 10));
        }
        ERR_TRY(buf_printf(out, "}"));
    }
    return ST_OK;
}

enum st connectivity_survey_geojson(const struct connectivity_survey *v, struct buf *out)
{
    ERR_TRY(buf_printf(out,
                       "{\"type\":\"FeatureCollection\",\"survey\":{\"cell_m\":%" PRId64
                       ",\"covered_dbm\":%" PRId64 ",\"visited_min_percent\":%" PRId64
                       ",\"parts\":[",
                       v->cfg->cell_m, v->cfg->covered_dbm, v->cfg->visited_percent));
    ERR_TRY(parts_json(v, out));
    ERR_TRY(buf_printf(out, "]},\n\"features\":[\n"));
    ERR_TRY(connectivity_area_geojson(v->area, out));
    ERR_TRY(cells_json(v, out));
    for (size_t i = 0; i < v->n; i++)
        ERR_TRY(sample_json(&v->sample[i], out));
    return buf_printf(out, "\n]}\n");
}
