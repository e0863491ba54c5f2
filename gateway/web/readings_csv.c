/* GET /api/v1/readings.csv: single readings, as a table for people, made while it is sent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/web/web_int.h"

#define SERIES_MAX 8
#define RANGE_MAX_MS (INT64_C(31) * 86400000)
#define AHEAD_BYTES (32 * 1024) /* of rows that are made before they are sent */
#define ROW_MAX (4 * 1024)
#define LOCAL_MS (INT64_C(7) * 3600000) /* Viet Nam, UTC+7, as on all of the page */
#define BOM "\xEF\xBB\xBF"              /* or spreadsheets take Vietnamese for something else */

static const char head[] = BOM "time_utc,time_local,ts_ms,series,unit,value,value_read,series_read,"
                               "state,quality,chain,seq\r\n";

struct web_csv {
    struct http_stream stream;
    struct web *web;
    struct store_reader *reader;
    struct store_readings *readings;
    void *words;
    char series[SERIES_MAX][WIRE_SERIES_BYTES];
    size_t n;
    struct buf rows;
    size_t sent;
    struct web_pass pass;
    enum st st; /* of the rows; ST_NOT_FOUND: that was all */
};

/* ---- a row ---------------------------------------------------------------------------------- */

/* RFC 4180; and what a spreadsheet might take for a formula stays a text. */
enum st web_csv_text(struct buf *b, const char *text, size_t n)
{
    bool formula = n > 0 && strchr("=+-@\t\r", text[0]);
    bool quoted = false;
    for (size_t i = 0; i < n && !quoted; i++)
        quoted = strchr(",\"\r\n", text[i]) != NULL;
    ERR_TRY(buf_printf(b, "%s%s", quoted ? "\"" : "", formula ? "'" : ""));
    for (size_t i = 0; i < n; i++)
        ERR_TRY(buf_put(b, text[i] == '"' ? "\"\"" : &text[i], text[i] == '"' ? 2 : 1));
    return buf_printf(b, "%s", quoted ? "\"" : "");
}

static enum st put_cell(struct buf *b, const char *text, size_t n)
{
    ERR_TRY(web_csv_text(b, text, n));
    return buf_put(b, ",", 1);
}

static enum st put_name(struct buf *b, const struct wire_reading *w)
{
    char name[WIRE_SERIES_BYTES + 16];
    int n = snprintf(name, sizeof name, "%.*s/%.*s", (int)w->device.n, (const char *)w->device.p,
                     (int)w->point.n, (const char *)w->point.p);
    return put_cell(b, name, (size_t)n < sizeof name ? (size_t)n : sizeof name - 1);
}

static enum st put_times(struct buf *b, int64_t t_ms)
{
    char utc[CLK_TEXT_BYTES], local[CLK_TEXT_BYTES];
    clk_text(t_ms + LOCAL_MS, local);
    local[strcspn(local, "Z")] = '\0';
    return buf_printf(b, "%s,%s+07:00,%lld,", clk_text(t_ms, utc), local, (long long)t_ms);
}

static enum st put_word(const struct web_csv *x, struct buf *b, const char *between,
                        const char *key)
{
    const char *word = web_language_word(x->words, key);
    return buf_printf(b, "%s%s", between, word ? word : key);
}

static enum st put_quality(const struct web_csv *x, struct buf *b, uint32_t q)
{
    struct buf text;
    char key[24];
    buf_init(&text, ROW_MAX);
    enum st st = q ? ST_OK : put_word(x, &text, "", "quality.good");
    for (unsigned flag = 1; flag <= WIRE_Q_TIME_CORRECTED && st == ST_OK; flag <<= 1) {
        (void)snprintf(key, sizeof key, "quality.%u", flag);
        if (q & flag)
            st = put_word(x, &text, text.n ? "; " : "", key);
    }
    if (st == ST_OK)
        st = put_cell(b, (const char *)text.p, text.n);
    buf_done(&text);
    return st;
}

static enum st put_state(const struct web_csv *x, struct buf *b, const struct store_told_reading *t)
{
    char key[32];
    (void)snprintf(key, sizeof key, "reading.%s", web_reading_state(t));
    const char *word = web_language_word(x->words, key);
    return put_cell(b, word ? word : key, strlen(word ? word : key));
}

static enum st put_row(struct web_csv *x, const struct store_told_reading *t)
{
    char value[NUM_TEXT_BYTES], read[NUM_TEXT_BYTES], chain[WIRE_ID_TEXT] = "";
    struct buf *b = &x->rows;
    const struct wire_span unit = t->now->unit;
    ERR_TRY(put_times(b, t->now->t_ms));
    ERR_TRY(put_name(b, t->now));
    ERR_TRY(put_cell(b, (const char *)unit.p, unit.n));
    ERR_TRY(buf_printf(b, "%s,%s,", t->gone ? "" : num_text(t->now->v, value),
                       num_text(t->sealed->v, read)));
    ERR_TRY(put_name(b, t->sealed));
    ERR_TRY(put_state(x, b, t));
    ERR_TRY(put_quality(x, b, t->now->q));
    if (!t->batch)
        return buf_printf(b, ",\r\n");
    wire_hex(t->batch->chain, sizeof t->batch->chain, chain);
    return buf_printf(b, "%s,%llu\r\n", chain, (unsigned long long)t->batch->seq);
}

/* Also of a thinned one, which is "device/point:mean" and so on. */
static bool is_of(const struct wire_reading *w, const char *series)
{
    size_t device = strcspn(series, "/"), point = strlen(series) - device - 1;
    return w->device.n == device && memcmp(w->device.p, series, device) == 0 &&
           w->point.n >= point && memcmp(w->point.p, series + device + 1, point) == 0 &&
           (w->point.n == point || w->point.p[point] == ':');
}

static bool take(void *ctx, const struct store_told_reading *t)
{
    struct web_csv *x = ctx;
    for (size_t i = 0; i < x->n; i++)
        if (is_of(t->now, x->series[i]) || is_of(t->sealed, x->series[i])) {
            x->st = put_row(x, t);
            break;
        }
    return x->st == ST_OK && x->rows.n < AHEAD_BYTES;
}

/* ---- the stream ----------------------------------------------------------------------------- */

/* One batch at a time, so that whoever asks for little waits for no one. */
static int64_t fill(void *ctx, char *to, size_t max)
{
    struct web_csv *x = ctx;
    if (!web_pass_holds(x->web, &x->pass))
        return HTTP_STREAM_BROKEN;
    if (x->sent == x->rows.n) {
        x->sent = x->rows.n = 0;
        if (x->st == ST_OK) {
            struct err e = {.text = "a row is too long"};
            enum st st = store_readings_step(x->readings, take, x, &e);
            x->st = st != ST_OK ? st : x->st;
            if (x->st != ST_OK && x->st != ST_NOT_FOUND)
                store_event(x->web->store, STORE_WARNING, "readings.broken", x->series[0],
                            "a table breaks off: %s", e.text);
        }
        if (x->st != ST_OK && x->st != ST_NOT_FOUND)
            return HTTP_STREAM_BROKEN;
        if (x->rows.n == 0 && x->st == ST_NOT_FOUND)
            return -1;
        if (x->rows.n == 0) {
            http_stream_wake(&x->stream);
            return 0;
        }
    }
    size_t n = x->rows.n - x->sent < max ? x->rows.n - x->sent : max;
    memcpy(to, x->rows.p + x->sent, n);
    x->sent += n;
    return (int64_t)n;
}

static void closed(void *ctx)
{
    struct web_csv *x = ctx;
    x->web->tables--;
    store_readings_close(x->readings);
    store_reader_close(x->reader);
    web_language_close(x->words);
    buf_done(&x->rows);
    free(x);
}

/* ---- what is asked -------------------------------------------------------------------------- */

/* "a/x,a/y" */
static bool names_of(struct web_csv *x, const char *text)
{
    while (text && *text) {
        size_t n = strcspn(text, ","), slash = strcspn(text, "/");
        if (x->n == SERIES_MAX || n >= WIRE_SERIES_BYTES || slash == 0 || slash + 1 >= n)
            return false;
        (void)snprintf(x->series[x->n++], WIRE_SERIES_BYTES, "%.*s", (int)n, text);
        text += n + (text[n] == ',');
    }
    return x->n > 0;
}

static bool read_ask(struct web_csv *x, const struct http_request *q,
                     struct store_readings_ask *ask, struct http_answer *a)
{
    const char *from = http_query(q, "from"), *to = http_query(q, "to");
    const char *language = http_query(q, "lang");
    if (names_of(x, http_query(q, "series")) && from && to && clk_parse(from, &ask->from_ms) &&
        clk_parse(to, &ask->to_ms) && ask->from_ms >= WEB_FIRST_MS && ask->from_ms < ask->to_ms &&
        ask->to_ms - ask->from_ms <= RANGE_MAX_MS && ask->to_ms <= WEB_LAST_MS) {
        x->words = web_language_open(language ? language : x->web->site.language);
        if (x->words)
            return true;
    }
    http_problem(
        a, 400, "bad_query",
        "series is device/point, up to 8 of them between commas; from and to are times "
        "(2026-11-22T03:05:10Z, or milliseconds since 1970) of 31 days at most; lang is vi "
        "or en",
        NULL, NULL);
    return false;
}

static bool all_known(struct web_csv *x, struct http_answer *a)
{
    struct err e = {.text = "the store cannot be read"};
    for (size_t i = 0; i < x->n; i++) {
        enum st st = web_series_find(x->web->store, x->series[i]) < UINT32_MAX
                         ? ST_OK
                         : store_series_known(x->reader, x->series[i], &e);
        if (st == ST_NOT_FOUND)
            web_refuse(a, WEB_NO_SERIES, "no such series: %s", x->series[i]);
        else if (st != ST_OK)
            web_refuse(a, WEB_NO_STORE, "%s", e.text);
        if (st != ST_OK)
            return false;
    }
    return true;
}

static bool begin(struct web_csv *x, const struct http_request *q, struct http_answer *a)
{
    struct err e = {.text = "the store cannot be read"};
    struct store_readings_ask ask = {.part = true, .gateway = x->web->site.id};
    if (!read_ask(x, q, &ask, a))
        return false;
    enum st st = store_reader_open_in(&x->reader, x->web->store, &e);
    if (st == ST_OK && !all_known(x, a))
        return false;
    if (st == ST_OK)
        st = store_readings_open(&x->readings, x->reader, &ask, &e);
    if (st == ST_OK)
        st = buf_put(&x->rows, head, sizeof head - 1);
    if (st != ST_OK)
        web_refuse(a, WEB_NO_STORE, "%s", e.text);
    return st == ST_OK;
}

void web_api_readings_csv(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    struct web_who who;
    if (!web_allows(w, q, &who, a))
        return;
    struct web_csv *x = w->tables < WEB_TABLES ? calloc(1, sizeof *x) : NULL;
    if (!x) {
        web_refuse(a, WEB_NO_ROOM, "%d tables are being fetched already: try again later",
                   WEB_TABLES);
        http_answer_header(a, "Retry-After", "5");
        return;
    }
    w->tables++;
    x->web = w;
    x->pass = who.pass;
    x->stream = (struct http_stream){fill, closed, x, NULL, true};
    buf_init(&x->rows, AHEAD_BYTES + ROW_MAX);
    if (!begin(x, q, a)) {
        closed(x);
        return;
    }
    a->status = 200;
    a->content_type = "text/csv; charset=utf-8; header=present";
    a->stream = &x->stream;
    http_answer_header(a, "Cache-Control", "no-store");
    int device = (int)strcspn(x->series[0], "/");
    http_answer_header(a, "Content-Disposition", "attachment; filename=\"%.*s-%.40s-readings.csv\"",
                       device < 40 ? device : 40, x->series[0],
                       x->n == 1 ? x->series[0] + device + 1 : "more");
}

const char *web_reading_state(const struct store_told_reading *t)
{
    const struct wire_reading *s = t->sealed, *n = t->now;
    if (t->gone)
        return "taken_back";
    bool same = num_cmp(s->v, n->v) == 0 && s->point.n == n->point.n &&
                s->device.n == n->device.n && memcmp(s->point.p, n->point.p, n->point.n) == 0 &&
                memcmp(s->device.p, n->device.p, n->device.n) == 0;
    return same ? "as_read" : "corrected";
}
