/* The keys of the gateways: how each came, and whether it still counts. A revoked key signs nothing
 * new; what it signed before stays, with its receipts, and so do the keys that it named before. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/city/city_int.h"

enum st city_key_add(struct city_db *d, int64_t gateway, const struct wire_pub *pub, int64_t batch,
                     int64_t now_ms, struct err *e)
{
    struct wire_span der = wire_pub_der(pub);
    ERR_TRY(city_db_run(d,
                        city_db_bind(d, SQL_KEY_ADD, "ibb", gateway, wire_pub_kid(pub),
                                     (size_t)WIRE_ID_BYTES, der.p, der.n),
                        e));
    return city_db_run(
        d, city_db_bind(d, SQL_KEY_CAME, "ibii", gateway, der.p, der.n, now_ms, batch), e);
}

enum st city_key_named(struct city_db *d, int64_t gateway, int64_t batch,
                       const struct wire_entry *x, int64_t now_ms, struct err *e)
{
    struct wire_pub *pub = NULL;
    ERR_TRY(wire_pub_parse(&pub, x->spki.p, x->spki.n, e));
    enum st st = city_key_add(d, gateway, pub, batch, now_ms, e);
    wire_pub_free(pub);
    return st;
}

enum st city_key_revoked(struct city_db *d, int64_t key, bool *revoked, struct err *e)
{
    sqlite3_stmt *s = city_db_bind(d, SQL_KEY_REVOKED, "i", key);
    enum st st = city_db_step(d, s, e);
    *revoked = st == ST_OK;
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* ---- the operator's commands ---- */

static enum st gateway_row(struct city_db *d, const char *id, int64_t *row, struct err *e)
{
    sqlite3_stmt *s = city_db_bind(d, SQL_GATEWAY_FIND, "t", id);
    enum st st = city_db_step(d, s, e);
    *row = st == ST_OK ? sqlite3_column_int64(s, 0) : 0;
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? err_set(e, st, "gateway %s is not enrolled", id) : st;
}

static enum st revoke(struct city_db *d, const char *id, const uint8_t *kid, const char *kid_text,
                      const char *reason, int64_t now_ms, struct err *e)
{
    int64_t gateway = 0;
    ERR_TRY(gateway_row(d, id, &gateway, e));
    sqlite3_stmt *s = city_db_bind(d, SQL_KEYS, "ib", gateway, kid, (size_t)WIRE_ID_BYTES);
    enum st st = city_db_step(d, s, e);
    bool before = st == ST_OK && sqlite3_column_int(s, 2) != 0;
    sqlite3_reset(s);
    if (st == ST_NOT_FOUND)
        return err_set(e, st, "gateway %s has no key %s: see `fieldpost-city keys`", id, kid_text);
    if (st == ST_OK && before)
        return err_set(e, ST_CONFLICT, "key %s of %s is revoked already", kid_text, id);
    if (st != ST_OK)
        return st;
    return city_db_run(d,
                       city_db_bind(d, SQL_KEY_REVOKE, "ibit", gateway, kid, (size_t)WIRE_ID_BYTES,
                                    now_ms, reason),
                       e);
}

enum st city_revoke(const struct city_cfg *cfg, const char *id, const char *kid, const char *reason,
                    struct err *e)
{
    struct city_db d = {0};
    uint8_t bytes[WIRE_ID_BYTES];

    ERR_TRY(city_cfg_check(cfg, e));
    if (!wire_unhex(kid, bytes, sizeof bytes))
        return err_set(e, ST_BAD, "\"%s\": a kid is 16 hexadecimal digits", kid);
    if (reason[0] == '\0')
        return err_set(e, ST_BAD, "say why: the reason is kept with the key");
    ERR_TRY(city_db_open(&d, cfg->db, CITY_DB_WRITE, e));
    enum st st = city_db_exec(&d, "BEGIN IMMEDIATE", e);
    if (st == ST_OK)
        st = revoke(&d, id, bytes, kid, reason, clk_now(clk_real()).utc_ms, e);
    if (st == ST_OK)
        st = city_db_exec(&d, "COMMIT", e);
    city_db_close(&d); /* rolls back what was not committed */
    return st;
}

enum { C_GW, C_KID, C_SINCE, C_CHAIN, C_SEQ, C_BY, C_REVOKED, C_REASON };

static const char *when(sqlite3_stmt *s, int column, char out[CLK_TEXT_BYTES])
{
    if (sqlite3_column_type(s, column) == SQLITE_NULL)
        return "-";
    return clk_text(sqlite3_column_int64(s, column), out);
}

static const char *text(sqlite3_stmt *s, int column)
{
    const unsigned char *t = sqlite3_column_text(s, column);
    return t != NULL ? (const char *)t : "";
}

static void print_line(sqlite3_stmt *s, FILE *out)
{
    char since[CLK_TEXT_BYTES], revoked[CLK_TEXT_BYTES];
    bool named = sqlite3_column_type(s, C_SEQ) != SQLITE_NULL;

    fprintf(out, "%s %s since %s, ", text(s, C_GW), text(s, C_KID), when(s, C_SINCE, since));
    if (named)
        fprintf(out, "rotation by batch %s/%lld of key %s", text(s, C_CHAIN),
                (long long)sqlite3_column_int64(s, C_SEQ), text(s, C_BY));
    else
        fprintf(out, "enrolled");
    if (sqlite3_column_type(s, C_REVOKED) != SQLITE_NULL)
        fprintf(out, ", revoked %s: %s", when(s, C_REVOKED, revoked), text(s, C_REASON));
    fputc('\n', out);
}

static json_t *as_json(sqlite3_stmt *s)
{
    bool named = sqlite3_column_type(s, C_SEQ) != SQLITE_NULL;
    json_t *o = json_pack("{ss, ss, ss}", "gateway", text(s, C_GW), "kid", text(s, C_KID), "how",
                          named ? "rotation" : "enrolled");
    bool good = o != NULL;

    if (good && sqlite3_column_type(s, C_SINCE) != SQLITE_NULL)
        good = json_object_set_new(o, "since", json_integer(sqlite3_column_int64(s, C_SINCE))) == 0;
    if (good && named)
        good = json_object_set_new(o, "batch",
                                   json_pack("{ss, sI, ss}", "chain", text(s, C_CHAIN), "seq",
                                             (json_int_t)sqlite3_column_int64(s, C_SEQ),
                                             "signed_by", text(s, C_BY))) == 0;
    if (good && sqlite3_column_type(s, C_REVOKED) != SQLITE_NULL)
        good = json_object_set_new(o, "revoked",
                                   json_pack("{sI, ss}", "at",
                                             (json_int_t)sqlite3_column_int64(s, C_REVOKED),
                                             "reason", text(s, C_REASON))) == 0;
    if (good)
        return o;
    json_decref(o);
    return NULL;
}

enum st city_keys(const struct city_cfg *cfg, bool json, FILE *out, struct err *e)
{
    struct city_db d = {0};
    json_t *all = json ? json_array() : NULL;
    enum st st = city_cfg_check(cfg, e);

    if (st == ST_OK && json && all == NULL)
        st = err_set(e, ST_MEMORY, "no memory");
    if (st == ST_OK)
        st = city_db_open(&d, cfg->db, CITY_DB_READ, e);
    if (st == ST_OK) {
        sqlite3_stmt *s = city_db_bind(&d, SQL_KEY_LIST, "");
        while ((st = city_db_step(&d, s, e)) == ST_OK) {
            if (!json)
                print_line(s, out);
            else if (json_array_append_new(all, as_json(s)) != 0)
                st = err_set(e, ST_MEMORY, "no memory");
            if (st != ST_OK)
                break;
        }
        sqlite3_reset(s);
        st = st == ST_NOT_FOUND ? ST_OK : st;
    }
    if (st == ST_OK && json && (json_dumpf(all, out, JSON_INDENT(2)) != 0 || fputc('\n', out) < 0))
        st = err_set(e, ST_IO, "cannot write");
    if (st == ST_OK && fflush(out) != 0)
        st = err_set(e, ST_IO, "cannot write");
    json_decref(all);
    city_db_close(&d);
    return st;
}
