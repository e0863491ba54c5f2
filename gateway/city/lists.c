/* Lists for people and programs: readings, gaps, completeness, alarms, changes, page by page, for
 * those who know the read token. */
#include "gateway/city/serve_int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PAGE_DEFAULT 1000
#define PAGE_MAX 10000
#define PAGE_BYTES ((size_t)8 * 1024 * 1024)

/* ---- who may read -------------------------------------------------------------------------- */

enum st city_token_read(struct city *c, const char *path, struct err *e)
{
    FILE *f = fopen(path, "re");

    if (f == NULL)
        return err_set(e, ST_IO, "read_token_file %s: %s", path, strerror(errno));
    if (fgets(c->token, sizeof c->token, f) == NULL)
        c->token[0] = '\0';
    fclose(f);
    c->token[strcspn(c->token, "\r\n")] = '\0';
    if (strlen(c->token) < 16)
        return err_set(e, ST_BAD,
                       "read_token_file %s: its first line must have 16 to %d characters", path,
                       CITY_TOKEN_MAX - 2);
    return ST_OK;
}

static bool loopback(const char *peer)
{
    return strncmp(peer, "127.", 4) == 0 || strcmp(peer, "::1") == 0;
}

/* In a time that does not tell how much of the token is right. */
static bool same_token(const char *given, const char *token)
{
    uint8_t x[WIRE_HASH_BYTES], y[WIRE_HASH_BYTES];
    unsigned diff = 0;

    wire_sha256(given, strlen(given), x);
    wire_sha256(token, strlen(token), y);
    for (size_t i = 0; i < WIRE_HASH_BYTES; i++)
        diff |= (unsigned)(x[i] ^ y[i]);
    return diff == 0;
}

static bool may_read(const struct city *c, const struct http_request *q)
{
    const char *given = http_header(q, "Authorization");

    if (c->token[0] == '\0')
        return loopback(q->peer);
    return given != NULL && strncmp(given, "Bearer ", 7) == 0 && same_token(given + 7, c->token);
}

/* ---- what is asked for ----------------------------------------------------------------------- */

/* false: the answer says what is wrong with the query. */
static bool query_of(const struct http_request *q, struct city_query *out, struct http_answer *a)
{
    const char *from = http_query(q, "from"), *to = http_query(q, "to");
    const char *limit = http_query(q, "limit"), *after = http_query(q, "after");
    const char *raw = http_query(q, "raw");
    const char *format = http_query(q, "format"), *accept = http_header(q, "Accept");
    const char *wrong = NULL;
    char row[24] = "";
    uint64_t v = 0;

    *out = (struct city_query){.from_ms = INT64_MIN, .to_ms = INT64_MAX, .limit = PAGE_DEFAULT};
    out->series = http_query(q, "series");
    if (from != NULL && !clk_parse(from, &out->from_ms))
        wrong = "from: write 2026-11-22T03:05:10Z or milliseconds";
    if (to != NULL && !clk_parse(to, &out->to_ms))
        wrong = "to: write 2026-11-22T03:05:10Z or milliseconds";
    if (limit != NULL && (!city_number(limit, PAGE_MAX, &out->limit) || out->limit == 0))
        wrong = "limit: 1 to 10000";
    if (format != NULL && strcmp(format, "csv") != 0 && strcmp(format, "json") != 0)
        wrong = "format: csv or json";
    if (raw != NULL && strcmp(raw, "0") != 0 && strcmp(raw, "1") != 0)
        wrong = "raw: 0 or 1";
    out->raw = raw != NULL && raw[0] == '1';
    out->json = format != NULL ? strcmp(format, "json") == 0
                               : accept != NULL && strstr(accept, "application/json") != NULL;
    if (after != NULL) {
        const char *dot = strchr(after, '.');
        snprintf(row, sizeof row, "%.*s", (int)(dot != NULL ? dot - after : 20), after);
        if (!city_number(row, INT64_MAX, &v))
            wrong = "after: as the page before gave it";
        out->after_row = (int64_t)v;
        v = 0;
        if (dot != NULL && !city_number(dot + 1, INT64_MAX, &v))
            wrong = "after: as the page before gave it";
        out->after_index = (int64_t)v;
    }
    if (wrong != NULL)
        http_problem(a, 400, "bad_request", wrong, NULL, NULL);
    return wrong == NULL;
}

enum listing { READINGS, GAPS, COMPLETENESS, ALARMS, CHANGES };

static enum st list(struct city_db *d, enum listing what, const struct city_query *q,
                    const char *gw, struct buf *out, int64_t *row, int64_t *index, struct err *e)
{
    switch (what) {
    case READINGS:
        return city_readings(d, q, out, row, index, e);
    case GAPS:
        return city_gaps(d, q, out, row, e);
    case COMPLETENESS:
        return city_completeness_page(d, q, gw, out, row, index, e);
    case ALARMS:
        return city_alarms_page(d, q, gw, out, row, e);
    case CHANGES:
        return city_changes_page(d, q, out, row, e);
    }
    return err_set(e, ST_UNSUPPORTED, "no such list");
}

static void get_list(struct city *c, const struct http_request *q, struct http_answer *a,
                     enum listing what)
{
    struct city_query query;
    struct err e = {.text = ""};
    int64_t row = 0, index = 0;

    if (!city_in_time(c, q, a))
        return;
    if (!may_read(c, q)) {
        city_problem(a, CITY_UNAUTHORIZED, "this needs the read token", NULL);
        return;
    }
    if (!query_of(q, &query, a))
        return;
    struct city_db *d = city_reader_take(c);
    enum city_code code = city_gateway_of(d, q->param[0], &query.gateway, &e);
    buf_init(&a->body, PAGE_BYTES);
    if (code == CITY_OK && list(d, what, &query, q->param[0], &a->body, &row, &index, &e) != ST_OK)
        code = CITY_UNAVAILABLE;
    city_reader_give(c, d);
    a->status = 200;
    a->content_type = query.json ? "application/json" : "text/csv; charset=utf-8";
    if (row > 0 && (what == READINGS || what == COMPLETENESS))
        http_answer_header(a, "Fieldpost-Next", "%" PRId64 ".%" PRId64, row, index);
    else if (row > 0)
        http_answer_header(a, "Fieldpost-Next", "%" PRId64, row);
    if (code != CITY_OK)
        city_problem(a, code, e.text, NULL);
}

void city_list_readings(void *ctx, const struct http_request *q, struct http_answer *a)
{
    get_list(ctx, q, a, READINGS);
}

void city_list_gaps(void *ctx, const struct http_request *q, struct http_answer *a)
{
    get_list(ctx, q, a, GAPS);
}

void city_list_completeness(void *ctx, const struct http_request *q, struct http_answer *a)
{
    get_list(ctx, q, a, COMPLETENESS);
}

void city_list_alarms(void *ctx, const struct http_request *q, struct http_answer *a)
{
    get_list(ctx, q, a, ALARMS);
}

void city_list_changes(void *ctx, const struct http_request *q, struct http_answer *a)
{
    get_list(ctx, q, a, CHANGES);
}
