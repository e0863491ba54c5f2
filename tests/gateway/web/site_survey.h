/* The made-up site's survey: a ward with a lake and a part apart, samples of two operators that
 * were imported, and a walk that a phone may lead. What comes out is reckoned by the real room.
 * Header only; after site.h. */
#ifndef TESTS_GATEWAY_WEB_SITE_SURVEY_H
#define TESTS_GATEWAY_WEB_SITE_SURVEY_H

#include <math.h>

#include "gateway/connectivity/survey_int.h"

#define SITE_SURVEY SITE_DEVICES /* the index of its device, and of its series */
#define SITE_SURVEY_SERIES (SITE_MODEM_SERIES + SITE_MODEM_POINTS)
#define SITE_DAY_MS INT64_C(86400000)

static _Atomic bool site_has_gps;
static struct connectivity_phone site_phone;
static struct connectivity_area *site_area;
static const char site_ward[] =
    "{\"type\":\"MultiPolygon\",\"coordinates\":["
    "[[[108.930,14.801],[108.951,14.795],[108.972,14.806],[108.968,14.822],[108.975,14.838],"
    "[108.949,14.845],[108.934,14.833],[108.940,14.818],[108.930,14.801]],"
    "[[108.948,14.812],[108.957,14.811],[108.959,14.821],[108.950,14.824],[108.948,14.812]]],"
    "[[[108.982,14.810],[108.989,14.811],[108.986,14.819],[108.982,14.810]]]]}";
static const struct connectivity_survey_cfg site_survey_cfg = {
    .cell_m = 250, .covered_dbm = -110, .visited_percent = 50};

/* Along a spiral, so that the middle is heard better than the edge. */
static void site_walked(struct connectivity_csv *c, uint32_t plmn, int64_t t_ms, size_t n,
                        double turns)
{
    for (size_t i = 0; i < n; i++) {
        double part = (double)i / (double)n, a = 2 * M_PI * turns * part;
        int64_t dbm = -82 - (int64_t)(part * 36) - (int64_t)(i * 7 % 11);
        struct connectivity_sample s = {
            .t_ms = t_ms + 30000 * (int64_t)i,
            .lat = 14.820 + 0.024 * part * sin(a),
            .lon = 108.953 + 0.021 * part * cos(a),
            .plmn = plmn,
            .tech = i % 9 == 4 ? CONNECTIVITY_SURVEY_LTE : CONNECTIVITY_SURVEY_SA,
            .rsrp = i % 13 == 6 ? (struct num){.kind = NUM_NONE} : num_dec(dbm, 0)};
        c->sample[c->n++] = s;
    }
}

static void site_imports(struct site *s)
{
    static struct connectivity_sample room[2000];
    struct connectivity_csv c = {.sample = room};
    uint32_t fresh;
    int64_t morning = (site_now(s).utc_ms / SITE_DAY_MS - 1) * SITE_DAY_MS + 3600000;
    site_walked(&c, 45204, morning, 600, 9);
    site_walked(&c, 45202, morning, 120, 3);
    site_walked(&c, 45204, morning - 40 * SITE_DAY_MS, 300, 7);
    SITE_TRY(connectivity_import(s->path, &c, &fresh, e));
    SITE_TRY(connectivity_area_parse(&site_area, "ward.geojson", site_ward, strlen(site_ward), e));
}

static enum st site_survey_report(void *ctx, const struct web_survey_ask *ask, struct buf *out,
                                  struct err *e)
{
    const struct site *s = ctx;
    const struct connectivity_survey_ask by = {.cfg = &site_survey_cfg,
                                               .area = site_area,
                                               .store_path = s->path,
                                               .gateway = "tra-cau-01",
                                               .from_ms = ask->from_ms,
                                               .to_ms = ask->to_ms,
                                               .geojson = true,
                                               .most = ask->most,
                                               .go_on = ask->go_on,
                                               .ctx = ask->ctx};
    return connectivity_survey_report(&by, out, e);
}

static enum st site_position(void *ctx, const struct web_fix *f, bool *fresh, bool *used,
                             struct err *e)
{
    struct site *s = ctx;
    struct connectivity_phone_fix fix = {.lat = f->lat,
                                         .lon = f->lon,
                                         .accuracy_m = f->accuracy_m,
                                         .has_altitude = f->has_altitude,
                                         .stamp_ms = f->stamp_ms,
                                         .age_ms = f->age_ms};
    memcpy(fix.from, f->from, sizeof fix.from);
    *used = !atomic_load(&site_has_gps);
    return connectivity_phone_take(&site_phone, &fix, site_survey_cfg.cell_m, site_mono(s), fresh,
                                   e);
}

/* site_more: the device first, then what the rooms tell. */
static void site_survey(struct site *s, struct web_rooms *rooms)
{
    static const struct {
        const char *point, *quantity;
        int64_t v;
    } points[] = {{"state", "survey_state", 0}, {"source", "position_source", 1}};
    struct store_value v[2];
    if (!rooms) {
        site_device(s, "survey", "Khảo sát 5G", NULL, "connectivity", NULL, "survey", 30000);
        for (size_t i = 0; i < 2; i++)
            site_series(s, SITE_SURVEY, points[i].point, points[i].quantity);
        return;
    }
    for (uint32_t i = 0; i < 2; i++)
        v[i] = (struct store_value){num_dec(points[i].v, 0), SITE_SURVEY_SERIES + i, 0};
    site_put(s, SITE_SURVEY, v, 2);
    site_health(s, SITE_SURVEY, STORE_GOOD, "");
    site_imports(s);
    rooms->ctx = s;
    rooms->has_area = rooms->walks = rooms->browser = true;
    rooms->survey = site_survey_report;
    rooms->position = site_position;
}

#endif
