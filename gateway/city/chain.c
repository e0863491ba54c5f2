#include "gateway/city/city_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHAINS_MAX 1024 /* per head, the youngest */

/* The next number from `seq` on that no void covers. */
static enum st skip_void(struct city_db *d, int64_t chain, uint64_t *seq, struct err *e)
{
    for (;;) {
        sqlite3_stmt *s = city_db_bind(d, SQL_VOID_OVER, "ii", chain, (int64_t)*seq);
        enum st st = city_db_step(d, s, e);
        if (st != ST_OK)
            return st;
        int64_t to = sqlite3_column_int64(s, 0); /* 0: null */
        sqlite3_reset(s);
        if (to < (int64_t)*seq)
            return ST_OK;
        *seq = (uint64_t)to + 1;
    }
}

enum st city_through(struct city_db *d, int64_t chain, uint64_t *seq, uint8_t hash[WIRE_HASH_BYTES],
                     struct err *e)
{
    sqlite3_stmt *s = city_db_bind(d, SQL_BATCHES_BEHIND, "ii", chain, (int64_t)*seq);
    enum st st;

    while ((st = city_db_step(d, s, e)) == ST_OK) {
        uint64_t held = (uint64_t)sqlite3_column_int64(s, 0), next = *seq + 1;
        if (next < held)
            st = skip_void(d, chain, &next, e);
        if (st != ST_OK || next < held)
            break;
        if (!city_db_blob(s, 1, hash, WIRE_HASH_BYTES)) {
            st = err_set(e, ST_CORRUPT, "database: a batch without its hash");
            break;
        }
        *seq = held;
    }
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st city_hold(struct city_db *d, int64_t chain, uint64_t seq, struct err *e)
{
    enum st st = city_db_run(d, city_db_bind(d, SQL_RUN_ADD, "ii", chain, (int64_t)seq), e);

    return st == ST_OK
               ? city_db_run(d, city_db_bind(d, SQL_RUN_JOINED, "ii", chain, (int64_t)seq), e)
               : st;
}

enum st city_missing(struct city_db *d, int64_t chain, struct wire_head_chain *c, struct err *e)
{
    sqlite3_stmt *s = city_db_bind(d, SQL_RUNS_FROM, "ii", chain, (int64_t)c->through_seq);
    uint64_t next = c->through_seq + 1;
    enum st st = ST_OK;

    while (c->nmissing < CITY_RANGES_MAX && (st = city_db_step(d, s, e)) == ST_OK) {
        uint64_t held = (uint64_t)sqlite3_column_int64(s, 0);
        uint64_t last = (uint64_t)sqlite3_column_int64(s, 1);
        st = next < held ? skip_void(d, chain, &next, e) : ST_OK;
        if (st != ST_OK)
            break;
        if (next < held) {
            c->missing[c->nmissing][0] = next;
            c->missing[c->nmissing++][1] = held - 1;
        }
        next = last >= next ? last + 1 : next;
    }
    if (c->nmissing == CITY_RANGES_MAX)
        st = ST_OK;
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st broken_of(struct city_db *d, int64_t chain, struct wire_head_chain *c, struct err *e)
{
    sqlite3_stmt *s = city_db_bind(d, SQL_BROKEN, "ii", chain, (int64_t)CITY_RANGES_MAX);
    enum st st;

    while ((st = city_db_step(d, s, e)) == ST_OK)
        c->broken[c->nbroken++] = (uint64_t)sqlite3_column_int64(s, 0);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st chain_read(struct city_db *d, sqlite3_stmt *s, struct wire_head_chain *c,
                          struct err *e)
{
    int64_t chain = sqlite3_column_int64(s, 0);
    enum st st;

    if (!city_db_blob(s, 1, c->chain, sizeof c->chain) ||
        !city_db_blob(s, 3, c->through_hash, sizeof c->through_hash))
        return err_set(e, ST_CORRUPT, "database: a chain without its hash");
    c->through_seq = (uint64_t)sqlite3_column_int64(s, 2);
    c->missing = calloc(CITY_RANGES_MAX, sizeof *c->missing);
    c->broken = calloc(CITY_RANGES_MAX, sizeof *c->broken);
    if (c->missing == NULL || c->broken == NULL)
        return err_set(e, ST_MEMORY, "no memory for a head");
    st = city_missing(d, chain, c, e);
    return st == ST_OK ? broken_of(d, chain, c, e) : st;
}

enum st city_head(struct city_db *d, int64_t gateway, const char *gw, const char *nonce,
                  const struct wire_key *sign, struct buf *out, struct err *e)
{
    struct wire_head h = {.nonce_n = strlen(nonce)};
    enum st st = ST_OK;

    if (h.nonce_n > sizeof h.nonce)
        return err_set(e, ST_BAD, "the nonce is longer than %zu bytes", sizeof h.nonce);
    snprintf(h.gw, sizeof h.gw, "%s", gw);
    memcpy(h.nonce, nonce, h.nonce_n);
    h.chains = calloc(CHAINS_MAX, sizeof *h.chains);
    if (h.chains == NULL)
        return err_set(e, ST_MEMORY, "no memory for a head");
    /* one moment for all of it */
    st = city_db_exec(d, "BEGIN", e);
    sqlite3_stmt *s = city_db_bind(d, SQL_CHAINS, "ii", gateway, (int64_t)CHAINS_MAX);
    while (st == ST_OK && (st = city_db_step(d, s, e)) == ST_OK)
        st = chain_read(d, s, &h.chains[h.nchains++], e);
    sqlite3_reset(s);
    h.keeps_config = true;
    if (st == ST_NOT_FOUND && city_deposit_held(d, gateway, h.config, e) != ST_OK)
        st = ST_IO;
    if (st == ST_NOT_FOUND)
        st = city_trust_last(d, &h.trust, e);
    sqlite3_exec(d->db, "COMMIT", NULL, NULL, NULL);
    if (st == ST_OK)
        st = wire_head_sign(&h, wire_key_signer(sign), out, e);
    for (size_t i = 0; i < h.nchains; i++) {
        free(h.chains[i].missing);
        free(h.chains[i].broken);
    }
    free(h.chains);
    return st;
}
