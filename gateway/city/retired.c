/* The signed retirements: why a series is no longer due. */
#include <errno.h>
#include <string.h>

#include "gateway/city/city_int.h"

static enum st put(struct buf *out, sqlite3_stmt *s, bool json, bool first)
{
    struct wire_span id = city_db_span(s, 4);
    char chain[WIRE_ID_TEXT] = "";
    enum st st;

    if (id.n == WIRE_ID_BYTES)
        wire_hex(id.p, WIRE_ID_BYTES, chain);
    st = buf_printf(out,
                    json ? "%s{\"gateway\":\"%s\",\"series\":\"%s\",\"at_ms\":%lld"
                           ",\"reason\":"
                         : "%s%s,%s,%lld,",
                    json && !first ? ",\n" : "", (const char *)sqlite3_column_text(s, 0),
                    (const char *)sqlite3_column_text(s, 1), sqlite3_column_int64(s, 2));
    if (st == ST_OK)
        st = city_put_text(out, (const char *)sqlite3_column_text(s, 3), json);
    if (st == ST_OK)
        st = buf_printf(
            out, json ? ",\"chain\":\"%s\",\"seq\":%lld,\"received_ms\":%lld}" : ",%s,%lld,%lld\n",
            chain, sqlite3_column_int64(s, 5), sqlite3_column_int64(s, 6));
    return st;
}

static enum st list(struct city_db *d, const struct city_ask *q, FILE *out, struct err *e)
{
    int64_t gateway = 0; /* no row has it: all */
    struct buf line;
    bool first = true;
    enum st st = q->gateway != NULL ? city_gateway_find(d, q->gateway, &gateway, e) : ST_OK;

    if (st != ST_OK)
        return st;
    buf_init(&line, 64 * 1024);
    if (fputs(q->json ? "[" : "gateway,series,at_ms,reason,chain,seq,received_ms\n", out) == EOF)
        st = err_set(e, ST_IO, "output: %s", strerror(errno));
    sqlite3_stmt *s = city_db_bind(d, SQL_RETIRED, "i", gateway);
    while (st == ST_OK && (st = city_db_step(d, s, e)) == ST_OK) {
        line.n = 0;
        st = put(&line, s, q->json, first);
        first = false;
        if (st != ST_OK)
            err_set(e, st, "no memory for a line");
        else if (fwrite(line.p, 1, line.n, out) != line.n)
            st = err_set(e, ST_IO, "output: %s", strerror(errno));
    }
    sqlite3_reset(s);
    buf_done(&line);
    if (st == ST_NOT_FOUND)
        st = (q->json && fputs("]\n", out) == EOF) || fflush(out) != 0
                 ? err_set(e, ST_IO, "output: %s", strerror(errno))
                 : ST_OK;
    return st;
}

enum st city_retired(const struct city_cfg *cfg, const struct city_ask *q, FILE *out, struct err *e)
{
    struct city_db d = {0};
    enum st st = city_cfg_check(cfg, e);

    if (st == ST_OK)
        st = city_db_open(&d, cfg->db, CITY_DB_READ, e);
    if (st == ST_OK)
        st = list(&d, q, out, e);
    city_db_close(&d);
    return st;
}
