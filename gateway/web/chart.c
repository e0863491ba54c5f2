/* GET /api/v1/chart: one series over time, as columns. */
#include "gateway/web/web_int.h"

#include <string.h>

#define CHART_POINTS_DEFAULT 500
#define CSV_MAX (1024 * 1024) /* 2000 rows are some 400 kB */

static const char *const source_text[] = {[STORE_CHART_READINGS] = "readings",
                                          [STORE_CHART_15MIN] = "15min",
                                          [STORE_CHART_1DAY] = "1day"};

/* Columns, as a chart library wants them; a point without readings is null in all but `count`. */
enum chart_column { CHART_COUNT, CHART_GOOD, CHART_MIN, CHART_MEAN, CHART_MAX, CHART_GROWN };

static void put_column(struct web_json *j, const char *key, enum chart_column column,
                       const struct store_chart *c)
{
    web_json_open(j, key, '[');
    for (uint32_t i = 0; i < c->n; i++) {
        const struct store_chart_point *p = &c->point[i];
        const struct num value[] = {[CHART_COUNT] = num_dec(p->count, 0),
                                    [CHART_GOOD] = num_dec(p->good, 0),
                                    [CHART_MIN] = p->min,
                                    [CHART_MEAN] = p->count ? num_flt(p->mean) : p->min,
                                    [CHART_MAX] = p->max,
                                    [CHART_GROWN] = p->grown};
        web_json_num(j, NULL, value[column]);
    }
    web_json_close(j, ']');
}

static void put_resets(struct web_json *j, const struct store_chart *c)
{
    web_json_open(j, "resets", '[');
    for (uint32_t i = 0; i < c->n; i++)
        web_json_int(j, NULL, c->point[i].resets);
    web_json_close(j, ']');
}

static void put_chart(struct web_json *j, const struct store_series *s, const struct store_chart *c)
{
    const struct quantity *q = s ? s->quantity : NULL;
    web_json_text(j, "quantity", q ? q->key : NULL);
    web_json_text(j, "unit", q ? q->unit : NULL);
    web_json_text(j, "source", source_text[c->source]);
    web_json_int(j, "from_ms", c->from_ms);
    web_json_int(j, "step_ms", c->step_ms);
    put_column(j, "count", CHART_COUNT, c);
    put_column(j, "good", CHART_GOOD, c);
    put_column(j, "min", CHART_MIN, c);
    put_column(j, "mean", CHART_MEAN, c);
    put_column(j, "max", CHART_MAX, c);
    if (q && q->counter) {
        put_column(j, "grown", CHART_GROWN, c);
        put_resets(j, c);
    }
    web_json_open(j, "gaps", '[');
    for (uint32_t i = 0; i < c->ngaps; i++) {
        web_json_open(j, NULL, '{');
        web_json_int(j, "from_ms", c->gap[i].from_ms);
        web_json_int(j, "to_ms", c->gap[i].to_ms);
        web_json_text(j, "cause", store_cause_text[c->gap[i].cause]);
        web_json_close(j, '}');
    }
    web_json_close(j, ']');
    web_json_bool(j, "gaps_cut", c->gaps_cut);
}

static bool is_empty(const struct store_chart *c)
{
    uint32_t i = 0;
    while (i < c->n && c->point[i].count == 0)
        i++;
    return i == c->n;
}

/* ---- as a table ---- */

/* Why nothing was read at any time of it; "" where that is not known. */
static const char *gap_of(const struct store_chart *c, int64_t from_ms, int64_t to_ms)
{
    for (uint32_t i = 0; i < c->ngaps; i++)
        if (c->gap[i].from_ms < to_ms && c->gap[i].to_ms > from_ms)
            return store_cause_text[c->gap[i].cause];
    return "";
}

static enum st put_cell(struct buf *b, struct num v)
{
    char text[NUM_TEXT_BYTES];
    return v.kind == NUM_NONE ? buf_put(b, ",", 1) : buf_printf(b, ",%s", num_text(v, text));
}

static enum st put_row(struct buf *b, const char *series, const char *unit,
                       const struct store_chart *c, uint32_t i)
{
    const struct store_chart_point *p = &c->point[i];
    int64_t from_ms = c->from_ms + i * c->step_ms, to_ms = from_ms + c->step_ms;
    char when[CLK_TEXT_BYTES];
    bool any = p->count > 0;
    const struct num none = {.kind = NUM_NONE};
    ERR_TRY(buf_printf(b, "%s,%s,%s,%lld,%lld,%u,%u", series, unit ? unit : "",
                       clk_text(from_ms, when), (long long)from_ms, (long long)to_ms, p->count,
                       p->good));
    ERR_TRY(put_cell(b, any ? p->min : none));
    ERR_TRY(put_cell(b, any ? num_flt(p->mean) : none));
    ERR_TRY(put_cell(b, any ? p->max : none));
    return buf_printf(b, ",%s\r\n", gap_of(c, from_ms, to_ms));
}

static void answer_csv(const struct store_series *s, const struct store_chart *c,
                       const char *series, struct http_answer *a)
{
    buf_init(&a->body, CSV_MAX);
    enum st st =
        buf_printf(&a->body, "series,unit,from,from_ms,to_ms,count,good,min,mean,max,gap\r\n");
    for (uint32_t i = 0; i < c->n && st == ST_OK; i++)
        st = put_row(&a->body, series, s ? s->quantity->unit : NULL, c, i);
    if (st != ST_OK) {
        http_problem(a, 503, "unavailable", "no memory for the table", NULL, NULL);
        return;
    }
    a->status = 200;
    a->content_type = "text/csv; charset=utf-8; header=present";
    http_answer_header(a, "Cache-Control", "no-store");
    int device = (int)strcspn(series, "/"); /* ids are of letters that a name of a file may have */
    http_answer_header(a, "Content-Disposition", "attachment; filename=\"%.*s-%.40s.csv\"",
                       device < 40 ? device : 40, series, series + device + 1);
}

static void answer_chart(struct web *w, const struct store_chart_ask *ask, const char *series,
                         bool csv, struct http_answer *a)
{
    struct err e = {.text = "the store cannot be read"};
    struct store_chart c = {.n = 0};
    struct store_reader *r = web_reader(w);
    uint32_t i = web_series_find(w->store, series);
    const struct store_series *s = i < UINT32_MAX ? store_series_at(w->store, i) : NULL;
    enum st st = r ? store_chart_read(r, ask, &c, &e) : ST_IO;
    if (st == ST_BAD) {
        http_problem(a, 400, "bad_query", e.text, NULL, NULL);
    } else if (st != ST_OK) {
        http_problem(a, 503, "unavailable", e.text, NULL, NULL);
    } else if (!s && is_empty(&c)) {
        http_problem(a, 404, "unknown_series", "no such series: device/point", NULL, NULL);
    } else if (csv) {
        answer_csv(s, &c, series, a);
    } else {
        struct web_json j;
        web_answer_begin(a, &j);
        web_json_text(&j, "series", series);
        put_chart(&j, s, &c);
        web_answer_end(a, &j, 200);
    }
    store_chart_done(&c);
}

static void chart(struct web *web, bool csv, const struct http_request *q, struct http_answer *a)
{
    const char *series = http_query(q, "series"), *from = http_query(q, "from");
    const char *to = http_query(q, "to"), *slash = series ? strchr(series, '/') : NULL;
    struct store_chart_ask ask = {.from_ms = 0};
    char device[160];
    int64_t points;
    if (!slash || (size_t)(slash - series) >= sizeof device || !from || !to ||
        !clk_parse(from, &ask.from_ms) || !clk_parse(to, &ask.to_ms) ||
        !web_query_int(q, "points", 1, STORE_CHART_POINTS, CHART_POINTS_DEFAULT, &points)) {
        http_problem(a, 400, "bad_query",
                     "series is device/point, from and to are times (2026-11-22T03:05:10Z, or "
                     "milliseconds since 1970), points is 1 to 2000",
                     NULL, NULL);
        return;
    }
    memcpy(device, series, (size_t)(slash - series));
    device[slash - series] = '\0';
    ask.device = device;
    ask.point = slash + 1;
    ask.points = (uint32_t)points;
    answer_chart(web, &ask, series, csv, a);
}

void web_api_chart(void *web, const struct http_request *q, struct http_answer *a)
{
    chart(web, false, q, a);
}

void web_api_chart_csv(void *web, const struct http_request *q, struct http_answer *a)
{
    chart(web, true, q, a);
}
