/* Alarms as a person or a program reads them. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "gateway/city/city_int.h"

enum form { TEXT, CSV, JSON };
struct list {
    const char *gw;
    struct buf *out;
    enum form form;
    uint64_t skip, limit, seen, rows;
};

static enum st put_row(struct buf *out, const char *gw, const struct city_alarm *a, bool json)
{
    enum st st = buf_printf(out,
                            json ? "{\"gateway\":\"%s\",\"alarm\":\"%s\",\"since_ms\":%" PRId64
                                   ",\"last_ms\":%" PRId64 ",\"count\":%" PRIu64 ",\"text\":"
                                 : "%s,%s,%" PRId64 ",%" PRId64 ",%" PRIu64 ",",
                            gw, city_alarm_text[a->kind], a->since_ms, a->last_ms, a->count);

    if (st == ST_OK)
        st = city_put_text(out, a->text, json);
    if (st == ST_OK)
        st = buf_printf(out, json ? ",\"do\":" : ",");
    if (st == ST_OK)
        st = city_put_text(out, city_alarm_do[a->kind], json);
    return st == ST_OK ? buf_printf(out, json ? "}" : "\n") : st;
}

static enum st put_text(struct buf *out, const char *gw, const struct city_alarm *a)
{
    char since[CLK_TEXT_BYTES] = "ever", last[CLK_TEXT_BYTES] = "now";

    if (a->since_ms > 0)
        clk_text(a->since_ms, since);
    if (a->last_ms > 0)
        clk_text(a->last_ms, last);
    return buf_printf(out, "%s: %s since %s, last %s, count %" PRIu64 ": %s\n    %s\n", gw,
                      city_alarm_text[a->kind], since, last, a->count, a->text,
                      city_alarm_do[a->kind]);
}

static enum st take(void *ctx, const struct city_alarm *a, struct err *e)
{
    struct list *l = ctx;
    enum st st = ST_OK;

    if (l->seen++ < l->skip)
        return ST_OK;
    if (l->rows == l->limit)
        return ST_STOPPED;
    if (l->form == JSON && l->rows > 0)
        st = buf_printf(l->out, ",\n");
    l->rows++;
    if (st == ST_OK)
        st = l->form == TEXT ? put_text(l->out, l->gw, a)
                             : put_row(l->out, l->gw, a, l->form == JSON);
    return st == ST_OK ? ST_OK : err_set(e, st, "no memory for alarms");
}

enum st city_alarms_page(struct city_db *d, const struct city_query *q, const char *gw,
                         struct buf *out, int64_t *next_row, struct err *e)
{
    struct list l = {.gw = gw,
                     .out = out,
                     .form = q->json ? JSON : CSV,
                     .skip = (uint64_t)q->after_row,
                     .limit = q->limit};
    const struct city_alarm_to to = {take, &l};
    enum st st = buf_printf(
        out, "%s", q->json ? "{\"alarms\":[\n" : "gateway,alarm,since_ms,last_ms,count,text,do\n");

    *next_row = 0;
    if (st == ST_OK) /* one moment for all of it */
        st = city_db_exec(d, "BEGIN", e);
    if (st != ST_OK)
        return st;
    st = city_alarms_of(d, q->gateway, clk_now(clk_real()).utc_ms, &to, e);
    sqlite3_exec(d->db, "COMMIT", NULL, NULL, NULL);
    if (st == ST_STOPPED) {
        *next_row = (int64_t)(l.skip + l.rows);
        st = ST_OK;
    }
    if (st != ST_OK || !q->json)
        return st;
    return *next_row > 0 ? buf_printf(out, "\n],\"next\":\"%" PRId64 "\"}\n", *next_row)
                         : buf_printf(out, "\n],\"next\":null}\n");
}

/* ---- fieldpost-city alarms ---- */

struct all {
    struct city_db *db;
    struct list list;
    FILE *out;
};

static enum st one(void *ctx, int64_t gateway, const char *gw, struct err *e)
{
    struct all *a = ctx;
    const struct city_alarm_to to = {take, &a->list};
    struct buf *text = a->list.out;

    a->list.gw = gw;
    enum st st = city_alarms_of(a->db, gateway, clk_now(clk_real()).utc_ms, &to, e);
    if (st == ST_OK && text->n > 0 && fwrite(text->p, 1, text->n, a->out) != text->n)
        st = err_set(e, ST_IO, "output: %s", strerror(errno));
    text->n = 0;
    return st == ST_OK ? ST_OK : err_wrap(e, st, "%s", gw);
}

enum st city_alarms(const struct city_cfg *cfg, const struct city_ask *q, FILE *out, struct err *e)
{
    struct city_db d = {0};
    struct buf line;
    struct all a = {&d, {.out = &line, .form = q->json ? JSON : TEXT, .limit = UINT64_MAX}, out};
    enum st st = city_cfg_check(cfg, e);

    buf_init(&line, (size_t)64 * 1024 * 1024);
    if (st == ST_OK)
        st = city_db_open(&d, cfg->db, CITY_DB_READ, e);
    if (st == ST_OK) /* one moment for all of it */
        st = city_db_exec(&d, "BEGIN", e);
    if (st == ST_OK && q->json && fputs("[", out) == EOF)
        st = err_set(e, ST_IO, "output: %s", strerror(errno));
    if (st == ST_OK)
        st = city_gateway_each(&d, q->gateway, one, &a, e);
    if (st == ST_OK && q->gateway == NULL) /* refusals of gateways that are not enrolled */
        st = one(&a, 0, "(unknown)", e);
    if (st == ST_OK && ((q->json && fputs("]\n", out) == EOF) || fflush(out) != 0))
        st = err_set(e, ST_IO, "output: %s", strerror(errno));
    buf_done(&line);
    city_db_close(&d);
    return st;
}
