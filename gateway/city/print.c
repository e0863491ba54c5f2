/* A table of the database as a command of fieldpost-city prints it: CSV, or one JSON array. */
#include <errno.h>
#include <string.h>

#include "gateway/city/city_int.h"

#define LINE_MAX_BYTES ((size_t)64 * 1024 * 1024) /* of texts that gateways sealed */

static enum st print_rows(struct city_db *d, sqlite3_stmt *s, const struct city_table *t, bool json,
                          FILE *out, struct err *e)
{
    struct buf line;
    bool first = true;
    enum st st = ST_OK;

    buf_init(&line, LINE_MAX_BYTES);
    if (fputs(json ? "[" : t->head, out) == EOF)
        st = err_set(e, ST_IO, "output: %s", strerror(errno));
    while (st == ST_OK && (st = city_db_step(d, s, e)) == ST_OK) {
        line.n = 0;
        st = json && !first ? buf_put(&line, ",\n", 2) : ST_OK;
        if (st == ST_OK)
            st = t->put(&line, s, json);
        first = false;
        if (st != ST_OK)
            err_set(e, st, "no memory for a line");
        else if (fwrite(line.p, 1, line.n, out) != line.n)
            st = err_set(e, ST_IO, "output: %s", strerror(errno));
    }
    sqlite3_reset(s);
    buf_done(&line);
    if (st != ST_NOT_FOUND)
        return st;
    return (json && fputs("]\n", out) == EOF) || fflush(out) != 0
               ? err_set(e, ST_IO, "output: %s", strerror(errno))
               : ST_OK;
}

enum st city_print(const struct city_cfg *cfg, const struct city_ask *q, const struct city_table *t,
                   FILE *out, struct err *e)
{
    struct city_db d = {0};
    int64_t gateway = 0; /* no row has it: all */
    enum st st = city_cfg_check(cfg, e);

    if (st == ST_OK)
        st = city_db_open(&d, cfg->db, CITY_DB_READ, e);
    if (st == ST_OK && q->gateway != NULL)
        st = city_gateway_find(&d, q->gateway, &gateway, e);
    if (st == ST_OK)
        st = print_rows(&d, t->bind(&d, q, gateway), t, q->json, out, e);
    city_db_close(&d);
    return st;
}
