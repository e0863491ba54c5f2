/* Chains before the newest one: what they held when they ended. */
#include "gateway/store/damage.h"

static enum st one_row(struct store *s, enum store_sql id, const uint8_t *chain,
                       struct store_chain *out, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, id, e);
    if (!q)
        return ST_IO;
    if (chain)
        sqlite3_bind_blob(q, 1, chain, WIRE_ID_BYTES, SQLITE_STATIC);
    ERR_TRY(store_db_row(&s->db, q, e));
    bool ok = store_chain_read(q, out);
    sqlite3_reset(q);
    return ok ? ST_OK : err_set(e, ST_CORRUPT, "store %s: a chain's row is damaged", s->path);
}

enum st store_chain_find(struct store *s, const uint8_t *chain, struct store_chain *out,
                         struct err *e)
{
    return one_row(s, SQL_CHAIN_FIND, chain, out, e);
}

enum st store_chain_behind(struct store *s, const uint8_t *chain, struct store_chain *out,
                           struct err *e)
{
    return one_row(s, SQL_CHAIN_BEHIND, chain, out, e);
}

enum st store_acknowledged(struct store *s, const uint8_t *chain, uint64_t seq, struct err *e)
{
    int64_t row = 0;
    ERR_TRY(store_chain_row(&s->db, chain, &row, e));
    return store_acked(s, row, seq, seq, e);
}
