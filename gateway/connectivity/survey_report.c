/* The result of all samples of a time: those of the gateway's own walk, from its readings, and
 * those that were imported. */
#include "gateway/connectivity/survey_int.h"

#include <string.h>

/* The gateway's own readings of one poll become one sample. */
struct gather {
    const struct connectivity_survey_ask *ask;
    struct connectivity_survey *v;
    size_t n;     /* samples so far */
    int64_t t_ms; /* of what is gathered */
    struct num state, lat, lon, error_m, source, plmn, tech;
    struct num radio[2][3]; /* of LTE, of 5G: RSRP, RSRQ, SINR */
    enum st st;
    struct err *e;
};

static bool within(const struct connectivity_survey_ask *a, int64_t t_ms)
{
    return t_ms >= a->from_ms && t_ms < a->to_ms;
}

static enum st go_on(const struct connectivity_survey_ask *a, struct err *e)
{
    return !a->go_on || a->go_on(a->ctx) ? ST_OK
                                         : err_set(e, ST_STOPPED, "the report was given up");
}

static enum st add(struct gather *g, const struct connectivity_sample *s, struct err *e)
{
    if (g->ask->most > 0 && g->n == g->ask->most)
        return err_set(e, ST_FULL, "more than %zu samples: ask for fewer days", g->ask->most);
    g->n++;
    return connectivity_survey_add(g->v, s, e);
}

static bool whole(struct num n)
{
    return n.kind == NUM_DEC && n.exp == 0;
}

static void flush_sample(struct gather *g)
{
    bool good = whole(g->state) && g->state.i == CONNECTIVITY_WALK_SAMPLED &&
                g->lat.kind != NUM_NONE && g->lon.kind != NUM_NONE && whole(g->plmn) &&
                whole(g->tech);
    if (good && g->st == ST_OK) {
        struct connectivity_sample s = {.t_ms = g->t_ms,
                                        .lat = num_double(g->lat),
                                        .lon = num_double(g->lon),
                                        .plmn = (uint32_t)g->plmn.i,
                                        .tech = connectivity_survey_tech_of(g->tech.i),
                                        .own = true,
                                        .transfer = true,
                                        .browser = whole(g->source) &&
                                                   g->source.i == CONNECTIVITY_BY_BROWSER,
                                        .error_m = g->error_m};
        const struct num *leg = g->radio[s.tech != CONNECTIVITY_SURVEY_LTE];
        s.rsrp = leg[0];
        s.rsrq = leg[1];
        s.sinr = leg[2];
        g->st = add(g, &s, g->e);
    }
    *g = (struct gather){
        .ask = g->ask, .v = g->v, .n = g->n, .t_ms = INT64_MIN, .st = g->st, .e = g->e};
}

static bool is(struct wire_span name, const char *text)
{
    return name.n == strlen(text) && memcmp(name.p, text, name.n) == 0;
}

static bool gather(void *ctx, const struct store_told_reading *t)
{
    struct gather *g = ctx;
    const struct wire_reading *w = t->now;
    const struct {
        const char *point;
        struct num *to;
    } points[] = {
        {"state", &g->state},        {"latitude", &g->lat},        {"longitude", &g->lon},
        {"error", &g->error_m},      {"source", &g->source},       {"operator", &g->plmn},
        {"technology", &g->tech},    {"rsrp", &g->radio[0][0]},    {"rsrq", &g->radio[0][1]},
        {"sinr", &g->radio[0][2]},   {"nr_rsrp", &g->radio[1][0]}, {"nr_rsrq", &g->radio[1][1]},
        {"nr_sinr", &g->radio[1][2]}};
    if (t->gone || !is(w->device, CONNECTIVITY_SURVEY_ID) || !within(g->ask, w->t_ms))
        return true;
    if (w->t_ms != g->t_ms) {
        flush_sample(g);
        g->t_ms = w->t_ms;
    }
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        if (is(w->point, points[i].point))
            *points[i].to = w->v;
    return g->st == ST_OK;
}

static enum st own_samples(struct gather *g, struct err *e)
{
    const struct connectivity_survey_ask *a = g->ask;
    const struct store_readings_ask ask = {
        .from_ms = a->from_ms, .to_ms = a->to_ms, .part = a->part, .gateway = a->gateway};
    struct store_readings *all = NULL;
    enum st st = store_readings_open(&all, a->reader, &ask, e);
    while (st == ST_OK && g->st == ST_OK) {
        st = go_on(a, e);
        if (st == ST_OK)
            st = store_readings_step(all, gather, g, e);
    }
    flush_sample(g);
    store_readings_close(all);
    return g->st != ST_OK ? g->st : st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st add_imported(void *ctx, const struct connectivity_sample *s, struct err *e)
{
    struct gather *g = ctx;
    ERR_TRY(go_on(g->ask, e));
    return within(g->ask, s->t_ms) ? add(g, s, e) : ST_OK;
}

enum st connectivity_survey_report(const struct connectivity_survey_ask *ask, struct buf *out,
                                   struct err *e)
{
    struct connectivity_survey *v = NULL;
    enum st st = connectivity_survey_open(&v, ask->cfg, ask->area, e);
    struct gather g = {.ask = ask, .v = v, .t_ms = INT64_MIN, .e = e};
    if (st == ST_OK)
        st = connectivity_imported(ask->store_path, add_imported, &g, e);
    if (st == ST_OK && ask->reader)
        st = own_samples(&g, e);
    if (st == ST_OK)
        st = connectivity_survey_judge(v, e);
    if (st == ST_OK) {
        st = ask->geojson ? connectivity_survey_geojson(v, out) : connectivity_survey_text(v, out);
        if (st != ST_OK)
            (void)err_set(e, st, "the report is too long: ask for fewer days");
    }
    connectivity_survey_close(v);
    return st;
}
