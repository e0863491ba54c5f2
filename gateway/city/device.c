/* The certificates that were given, for the operator. */
#include <inttypes.h>
#include <stdio.h>

#include "gateway/city/est_int.h"

enum st city_distrust(const struct city_cfg *cfg, const char *id, int64_t *n, struct err *e)
{
    struct city_db d = {0};
    enum st st = city_db_open(&d, cfg->db, CITY_DB_WRITE, e);

    if (st == ST_OK)
        st = city_db_run(
            &d, city_db_bind(&d, SQL_DEVICE_REVOKE, "ti", id, clk_now(clk_real()).utc_ms), e);
    *n = st == ST_OK ? sqlite3_changes64(d.db) : 0;
    city_db_close(&d);
    return st;
}

static void print_time(FILE *out, sqlite3_stmt *s, int column)
{
    char text[CLK_TEXT_BYTES];

    if (sqlite3_column_type(s, column) != SQLITE_NULL)
        fputs(clk_text(sqlite3_column_int64(s, column), text), out);
    fputc(',', out);
}

enum st city_certs(const struct city_cfg *cfg, FILE *out, struct err *e)
{
    struct city_db d = {0};
    enum st st = city_db_open(&d, cfg->db, CITY_DB_READ, e);

    if (st != ST_OK)
        return st;
    fputs("gateway,serial,issued,expires,revoked,key\n", out);
    sqlite3_stmt *s = city_db_bind(&d, SQL_DEVICES, "");
    while ((st = city_db_step(&d, s, e)) == ST_OK) {
        fprintf(out, "%s,%s,", (const char *)sqlite3_column_text(s, 0),
                (const char *)sqlite3_column_text(s, 1));
        for (int column = 2; column <= 4; column++)
            print_time(out, s, column);
        fprintf(out, "%s\n", (const char *)sqlite3_column_text(s, 5));
    }
    city_db_close(&d);
    if (st == ST_NOT_FOUND)
        st = fflush(out) == 0 ? ST_OK : err_set(e, ST_IO, "the list could not be written");
    return st;
}
