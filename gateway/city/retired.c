/* The signed retirements: why a series is no longer due. */
#include <string.h>

#include "gateway/city/city_int.h"

static enum st put(struct buf *out, sqlite3_stmt *s, bool json)
{
    struct wire_span id = city_db_span(s, 4);
    char chain[WIRE_ID_TEXT] = "";
    enum st st;

    if (id.n == WIRE_ID_BYTES)
        wire_hex(id.p, WIRE_ID_BYTES, chain);
    st = buf_printf(out,
                    json ? "{\"gateway\":\"%s\",\"series\":\"%s\",\"at_ms\":%lld"
                           ",\"reason\":"
                         : "%s,%s,%lld,",
                    (const char *)sqlite3_column_text(s, 0),
                    (const char *)sqlite3_column_text(s, 1), sqlite3_column_int64(s, 2));
    if (st == ST_OK)
        st = city_put_text(out, (const char *)sqlite3_column_text(s, 3), json);
    if (st == ST_OK)
        st = buf_printf(
            out, json ? ",\"chain\":\"%s\",\"seq\":%lld,\"received_ms\":%lld}" : ",%s,%lld,%lld\n",
            chain, sqlite3_column_int64(s, 5), sqlite3_column_int64(s, 6));
    return st;
}

static sqlite3_stmt *bind(struct city_db *d, const struct city_ask *q, int64_t gateway)
{
    (void)q;
    return city_db_bind(d, SQL_RETIRED, "i", gateway);
}

enum st city_retired(const struct city_cfg *cfg, const struct city_ask *q, FILE *out, struct err *e)
{
    static const struct city_table table = {"gateway,series,at_ms,reason,chain,seq,received_ms\n",
                                            bind, put};
    return city_print(cfg, q, &table, out, e);
}
