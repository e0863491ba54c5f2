#include "gateway/city/city_int.h"

#include <errno.h>
#include <string.h>

/* The readings of one gateway at a time pass through this table; `chain` is a row id, which is
 * the order of birth. */
static const char tables[] =
    "PRAGMA query_only = 0;"
    "CREATE TEMP TABLE r(series TEXT, ts INTEGER, value TEXT, q INTEGER, chain INTEGER,"
    " seq INTEGER, i INTEGER, boot BLOB);";
static const char add_text[] = "INSERT INTO temp.r VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
static const char list_text[] =
    "SELECT series, ts, value, q, lower(hex(c.chain)), seq FROM "
    "(SELECT *, min(chain) OVER (PARTITION BY series, ts, value, q, boot) AS first FROM temp.r) "
    "r JOIN main.chain c ON c.id = r.chain WHERE r.chain = first ORDER BY series, ts, r.chain, "
    "seq, i";

struct dump {
    struct city_db db;
    struct city_correction correction;
    sqlite3_stmt *add, *list;
    struct buf cose;
    FILE *out;
    bool raw;
};

static enum st add_reading(struct dump *d, const struct wire_reading *r, sqlite3_stmt *row,
                           int64_t i, struct err *e)
{
    char series[2 * WIRE_POINT_MAX + 2], value[NUM_TEXT_BYTES];
    int n = snprintf(series, sizeof series, "%.*s/%.*s", (int)r->device.n,
                     (const char *)r->device.p, (int)r->point.n, (const char *)r->point.p);
    struct wire_span boot = city_db_span(row, 5);

    if (n < 0 || (size_t)n >= sizeof series)
        return err_set(e, ST_CORRUPT, "a series name that is too long");
    sqlite3_reset(d->add);
    sqlite3_bind_text(d->add, 1, series, n, SQLITE_STATIC);
    sqlite3_bind_int64(d->add, 2, r->t_ms);
    sqlite3_bind_text(d->add, 3, num_text(r->v, value), -1, SQLITE_STATIC);
    sqlite3_bind_int64(d->add, 4, r->q);
    sqlite3_bind_int64(d->add, 5, sqlite3_column_int64(row, 4));
    sqlite3_bind_int64(d->add, 6, sqlite3_column_int64(row, 2));
    sqlite3_bind_int64(d->add, 7, i);
    sqlite3_bind_blob(d->add, 8, boot.p, (int)boot.n, SQLITE_STATIC);
    return city_db_run(&d->db, d->add, e);
}

static enum st add_batch(struct dump *d, sqlite3_stmt *row, struct err *e)
{
    struct wire_batch b;
    struct wire_senml m;
    struct wire_reading r;
    enum st st = city_batch_read(city_db_span(row, 3), &d->cose, &b, e);

    if (st == ST_OK)
        st = wire_senml_open(&m, b.cose.payload.p, b.cose.payload.n, b.header.gw, NULL, e);
    city_correction_of(&d->correction, row);
    for (int64_t i = 0; st == ST_OK && (st = wire_senml_next(&m, &r, e)) == ST_OK; i++)
        if (city_reading_correct(&d->correction, &r))
            st = add_reading(d, &r, row, i, e);
    if (st != ST_OK && st != ST_NOT_FOUND)
        st = err_wrap(e, st, "batch seq %lld", (long long)sqlite3_column_int64(row, 2));
    wire_batch_done(&b);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st print(struct dump *d, const char *gw, struct err *e)
{
    enum st st;

    sqlite3_reset(d->list);
    while ((st = city_db_step(&d->db, d->list, e)) == ST_OK) {
        int n = fprintf(d->out, "%s,%s,%lld,%s,%lld,%s,%lld\n", gw,
                        (const char *)sqlite3_column_text(d->list, 0),
                        (long long)sqlite3_column_int64(d->list, 1),
                        (const char *)sqlite3_column_text(d->list, 2),
                        (long long)sqlite3_column_int64(d->list, 3),
                        (const char *)sqlite3_column_text(d->list, 4),
                        (long long)sqlite3_column_int64(d->list, 5));
        if (n < 0) {
            sqlite3_reset(d->list);
            return err_set(e, ST_IO, "output: %s", strerror(errno));
        }
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st dump_gateway(struct dump *d, int64_t gateway, const char *gw, struct err *e)
{
    enum st st = city_db_exec(&d->db, "DELETE FROM temp.r", e);
    if (st == ST_OK)
        st = city_correct_load(&d->db, gateway, d->raw, &d->correction, e);
    sqlite3_stmt *s = city_db_bind(&d->db, SQL_READ_BATCHES, "iiiii", gateway, INT64_MIN, INT64_MAX,
                                   (int64_t)0, (int64_t)d->raw);

    while (st == ST_OK && (st = city_db_step(&d->db, s, e)) == ST_OK)
        st = add_batch(d, s, e);
    sqlite3_reset(s);
    city_correct_done(&d->correction);
    return st == ST_NOT_FOUND ? print(d, gw, e) : st;
}

enum st city_dump(const struct city_cfg *cfg, bool raw, FILE *out, struct err *e)
{
    struct dump d = {.out = out, .raw = raw};
    enum st st = city_db_open(&d.db, cfg->db, CITY_DB_READ, e);

    if (st != ST_OK)
        return st;
    buf_init(&d.cose, WIRE_BATCH_MAX);
    st = city_db_exec(&d.db, tables, e);
    if (st == ST_OK && (sqlite3_prepare_v2(d.db.db, add_text, -1, &d.add, NULL) != SQLITE_OK ||
                        sqlite3_prepare_v2(d.db.db, list_text, -1, &d.list, NULL) != SQLITE_OK))
        st = city_db_fail(&d.db, e);
    /* one moment for all of it, and one temporary transaction */
    if (st == ST_OK)
        st = city_db_exec(&d.db, "BEGIN", e);
    if (st == ST_OK && fprintf(out, "gateway,series,ts_ms,value,quality,chain,seq\n") < 0)
        st = err_set(e, ST_IO, "output: %s", strerror(errno));
    sqlite3_stmt *s = city_db_bind(&d.db, SQL_GATEWAYS, "");
    while (st == ST_OK && (st = city_db_step(&d.db, s, e)) == ST_OK)
        st = dump_gateway(&d, sqlite3_column_int64(s, 0), (const char *)sqlite3_column_text(s, 1),
                          e);
    sqlite3_reset(s);
    if (st == ST_NOT_FOUND)
        st = fflush(out) == 0 ? ST_OK : err_set(e, ST_IO, "output: %s", strerror(errno));
    sqlite3_finalize(d.add);
    sqlite3_finalize(d.list);
    buf_done(&d.cose);
    city_db_close(&d.db);
    return st;
}
