/* What people changed at the gateways, and who: `change`, `setup` and `config` entries, which
 * change nothing here (decision 0044). */
#include <inttypes.h>
#include <string.h>

#include "gateway/city/city_int.h"

static const char head[] = "gateway,at_ms,what,about,now,author,chain,seq,received_ms\n";

enum st city_change_keep(struct city_db *d, const struct city_entry_at *at,
                         const struct wire_entry *x, struct err *e)
{
    char hash[2 * WIRE_HASH_BYTES + 1] = "";
    bool change = x->kind == WIRE_ENTRY_CHANGE;
    struct wire_span what = change ? x->text : x->name, now = change ? x->reason : x->text;

    if (x->kind == WIRE_ENTRY_CONFIG) {
        wire_hex(x->hash.p, x->hash.n, hash);
        now = (struct wire_span){(const uint8_t *)hash, strlen(hash)};
    }
    return city_db_run(d,
                       city_db_bind(d, SQL_CHANGE_ADD, "iiibbbb", at->batch, at->n, x->at_ms,
                                    what.p, what.n, x->about.p, x->about.n, now.p, now.n,
                                    x->author.p, x->author.n),
                       e);
}

static enum st put(struct buf *out, sqlite3_stmt *s, bool json)
{
    static const char *const names[] = {"what", "about", "now", "author"};
    struct wire_span id = city_db_span(s, 6);
    char chain[WIRE_ID_TEXT] = "";
    enum st st = buf_printf(out, json ? "{\"gateway\":\"%s\",\"at_ms\":%lld" : "%s,%lld",
                            (const char *)sqlite3_column_text(s, 0), sqlite3_column_int64(s, 1));

    if (id.n == WIRE_ID_BYTES)
        wire_hex(id.p, WIRE_ID_BYTES, chain);
    for (int i = 0; st == ST_OK && i < 4; i++) {
        st = json ? buf_printf(out, ",\"%s\":", names[i]) : buf_put(out, ",", 1);
        if (st == ST_OK)
            st = city_put_text(out, (const char *)sqlite3_column_text(s, 2 + i), json);
    }
    if (st != ST_OK)
        return st;
    return buf_printf(
        out, json ? ",\"chain\":\"%s\",\"seq\":%lld,\"received_ms\":%lld}" : ",%s,%lld,%lld\n",
        chain, sqlite3_column_int64(s, 7), sqlite3_column_int64(s, 8));
}

enum st city_changes_page(struct city_db *d, const struct city_query *q, struct buf *out,
                          int64_t *next_row, struct err *e)
{
    uint64_t rows = 0;
    enum st st = buf_printf(out, "%s", q->json ? "{\"changes\":[\n" : head);
    sqlite3_stmt *s = city_db_bind(d, SQL_CHANGES, "iiiii", q->gateway, q->after_row,
                                   (int64_t)q->limit + 1, q->from_ms, q->to_ms);

    *next_row = 0;
    while (st == ST_OK && (st = city_db_step(d, s, e)) == ST_OK) {
        if (rows++ == q->limit) {
            *next_row = q->after_row + (int64_t)q->limit;
            break;
        }
        st = q->json && rows > 1 ? buf_put(out, ",\n", 2) : ST_OK;
        if (st == ST_OK)
            st = put(out, s, q->json);
    }
    sqlite3_reset(s);
    if (st == ST_FULL)
        return err_set(e, st, "no memory for a page: ask with a smaller limit");
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    if (!q->json)
        return ST_OK;
    return *next_row > 0 ? buf_printf(out, "\n],\"next\":\"%" PRId64 "\"}\n", *next_row)
                         : buf_printf(out, "\n],\"next\":null}\n");
}

/* ---- fieldpost-city changes ---- */

static sqlite3_stmt *bind(struct city_db *d, const struct city_ask *q, int64_t gateway)
{
    return city_db_bind(d, SQL_CHANGES, "iiiii", gateway, (int64_t)0, INT64_MAX, q->from_ms,
                        q->to_ms);
}

enum st city_changes(const struct city_cfg *cfg, const struct city_ask *q, FILE *out, struct err *e)
{
    static const struct city_table table = {head, bind, put};
    return city_print(cfg, q, &table, out, e);
}
