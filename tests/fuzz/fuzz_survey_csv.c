/* Any bytes as the file of a survey app: what is taken lies within its limits, every line is
 * counted once, what is told can be shown on a terminal, and our own form gives back the same
 * samples. */
// uses: connectivity
// seeds: tests/fuzz/corpus/survey_csv/*
#include <math.h>
#include <string.h>

#include "gateway/connectivity/survey_int.h"
#include "tests/fuzz/fuzz.h"

static const struct connectivity_csv_ask asks[] = {
    {.utc_offset_ms = 25200000, .now_ms = INT64_C(1795622400000)},
    {.now_ms = INT64_C(1795622400000),
     .t_ms = INT64_C(1795582800000),
     .plmn = 45204,
     .has_tech = true,
     .tech = CONNECTIVITY_SURVEY_NR}};

static void within(struct num v, int low, int high)
{
    demand(v.kind == NUM_NONE || (v.kind == NUM_DEC && num_cmp(v, num_dec(low, 0)) >= 0 &&
                                  num_cmp(v, num_dec(high, 0)) <= 0));
}

static void check(const struct connectivity_sample *s)
{
    demand(fabs(s->lat) <= 90 && fabs(s->lon) <= 180 && (s->lat != 0 || s->lon != 0));
    demand(s->t_ms >= INT64_C(1420070400000) && s->t_ms < asks[0].now_ms + 86400000);
    demand(s->plmn >= 10000 && s->plmn <= 999999);
    demand(s->tech < CONNECTIVITY_SURVEY_TECHS && !s->own);
    within(s->rsrp, -156, -31);
    within(s->rsrq, -43, 20);
    within(s->sinr, -23, 40);
    demand(s->tech != CONNECTIVITY_SURVEY_OTHER ||
           (s->rsrp.kind == NUM_NONE && s->rsrq.kind == NUM_NONE && s->sinr.kind == NUM_NONE));
}

static void again(const struct connectivity_csv *c)
{
    struct connectivity_csv d = {.n = 0};
    struct buf b;
    buf_init(&b, 16 * 1024 * 1024);
    demand(connectivity_csv_write(c->sample, c->n, &b) == ST_OK);
    demand(connectivity_csv_read(&d, "own", b.p, b.n, &asks[0], NULL) == ST_OK);
    demand(d.n == c->n && d.bad == 0 && d.neighbour == 0);
    for (size_t i = 0; i < d.n; i++)
        demand(connectivity_sample_cmp(&c->sample[i], &d.sample[i]) == 0);
    connectivity_csv_done(&d);
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct connectivity_csv c = {.n = 0};
    struct err e = {.text = ""};
    bool rare = false;
    if (n == 0)
        return 0;
    size_t lines = 1;
    for (size_t i = 1; i < n; i++)
        lines += data[i] == '\n';
    enum st st = connectivity_csv_read(&c, "log.csv", data + 1, n - 1, &asks[data[0] % 2], &e);
    demand(st == ST_OK || (st == ST_BAD && e.text[0]));
    demand(c.n + c.bad + c.neighbour == c.rows && c.rows <= lines);
    for (uint32_t i = 0; i < c.bad && i < CONNECTIVITY_CSV_TOLD; i++) {
        demand(c.told[i].line >= 1 && c.told[i].line <= lines && c.told[i].why[0]);
        for (const char *p = c.told[i].why; *p; p++)
            demand(*p >= 0x20 && *p < 0x7f);
    }
    for (size_t i = 0; i < c.n; i++) {
        check(&c.sample[i]);
        rare |= c.sample[i].tech == CONNECTIVITY_SURVEY_SA && c.sample[i].rsrp.kind != NUM_NONE &&
                c.bad > 0;
    }
    demand((st == ST_OK) == (c.n > 0));
    if (st == ST_OK)
        again(&c);
    connectivity_csv_done(&c);
    (void)rare;
    PLANT(rare);
    return 0;
}
