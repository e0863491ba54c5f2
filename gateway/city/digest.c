/* A day of a gateway (batch.cddl, "the days of a chain"): reckoned from what is held, beside the
 * digests that the gateway sealed of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/city/city_int.h"

#define RUNS_MAX 4096 /* of a day: one a chain, and more where a clock was set back */

enum st city_digest_keep(struct city_db *d, const struct city_entry_at *at,
                         const struct wire_entry *x, struct err *e)
{
    const struct wire_digest *g = &x->digest;

    if ((int64_t)g->seq_to >= at->seq) /* nothing can be counted before it was sealed */
        return ST_OK;
    return city_db_run(d,
                       city_db_bind(d, SQL_DIGEST_ADD, "iiiiiiiiib", at->batch, at->n, at->chain,
                                    at->seq, g->day, (int64_t)g->seq_from, (int64_t)g->seq_to,
                                    (int64_t)g->readings, (int64_t)g->gaps, g->hash,
                                    sizeof g->hash),
                       e);
}

enum st city_rest_keep(struct city_db *d, const struct city_entry_at *at,
                       const struct wire_entry *x, struct err *e)
{
    const struct wire_digest *g = &x->digest;

    return city_db_run(d,
                       city_db_bind(d, SQL_REST_ADD, "iibiiiiib", at->batch, at->n, x->chain.p,
                                    x->chain.n, g->day, (int64_t)g->seq_from, (int64_t)g->seq_to,
                                    (int64_t)g->readings, (int64_t)g->gaps, g->hash,
                                    sizeof g->hash),
                       e);
}

struct day {
    struct city_db *d;
    int64_t day;
    struct wire_day_run *run;
    int64_t *chain; /* row of each run */
    size_t n;
};

/* ---- which numbers ------------------------------------------------------------------------- */

static enum st add_run(struct day *y, int64_t chain, const uint8_t id[WIRE_ID_BYTES], uint64_t from,
                       uint64_t to, struct err *e)
{
    if (y->n == RUNS_MAX)
        return err_set(e, ST_FULL, "more than %d runs of batches in one day", RUNS_MAX);
    struct wire_day_run *r = &y->run[y->n];
    *r = (struct wire_day_run){.held = {.day = y->day, .seq_from = from, .seq_to = to}};
    memcpy(r->chain, id, WIRE_ID_BYTES);
    y->chain[y->n++] = chain;
    return ST_OK;
}

/* The digest in this row of SQL_DAY_TELLING, which covers its batch. */
static enum st add_said(struct day *y, int64_t chain, const uint8_t id[WIRE_ID_BYTES],
                        sqlite3_stmt *s, struct err *e)
{
    uint64_t from = (uint64_t)sqlite3_column_int64(s, 2);
    const struct wire_day_run *last = y->n ? &y->run[y->n - 1] : NULL;

    if (last != NULL && last->sealed && y->chain[y->n - 1] == chain && last->said.seq_from == from)
        return ST_OK;
    ERR_TRY(add_run(y, chain, id, from, (uint64_t)sqlite3_column_int64(s, 3), e));
    struct wire_day_run *r = &y->run[y->n - 1];
    r->sealed = true;
    r->said = r->held;
    r->sealed_in = (uint64_t)sqlite3_column_int64(s, 4);
    r->said.readings = (uint64_t)sqlite3_column_int64(s, 5);
    r->said.gaps = (uint64_t)sqlite3_column_int64(s, 6);
    r->elsewhere = city_db_blob(s, 8, r->sealed_chain, sizeof r->sealed_chain);
    return city_db_blob(s, 7, r->said.hash, WIRE_HASH_BYTES)
               ? ST_OK
               : err_set(e, ST_CORRUPT, "database: a digest without its hash");
}

/* The runs of one chain: numbers that a digest of the day covers, and what no digest covers, from
 * the batch before that tells its day to the last of this day. */
static enum st runs_of(struct day *y, int64_t chain, const uint8_t id[WIRE_ID_BYTES],
                       uint64_t first, uint64_t last, struct err *e)
{
    uint64_t before = 0;
    bool open = false; /* the last run is one of ours and goes on */
    sqlite3_stmt *s = city_db_bind(y->d, SQL_DAY_BEFORE, "ii", chain, (int64_t)first);
    enum st st = city_db_step(y->d, s, e);

    if (st == ST_OK)
        before = (uint64_t)sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    s = city_db_bind(y->d, SQL_DAY_TELLING, "iiii", chain, (int64_t)first, (int64_t)last, y->day);
    while ((st = city_db_step(y->d, s, e)) == ST_OK) {
        uint64_t seq = (uint64_t)sqlite3_column_int64(s, 0);
        bool ours = wire_day_of(sqlite3_column_int64(s, 1) - 1) == y->day;
        bool said = sqlite3_column_type(s, 2) != SQLITE_NULL;
        if (ours && said)
            st = add_said(y, chain, id, s, e);
        else if (ours && open)
            y->run[y->n - 1].held.seq_to = seq;
        else if (ours)
            st = add_run(y, chain, id, before + 1, seq, e);
        if (st != ST_OK)
            break;
        open = ours && !said;
        before = seq;
    }
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st find_runs(struct day *y, int64_t gateway, struct err *e)
{
    int64_t begin = wire_day_begin_ms(y->day);
    sqlite3_stmt *s =
        city_db_bind(y->d, SQL_DAY_CHAINS, "iii", gateway, begin, begin + WIRE_DAY_MS);
    enum st st;

    while ((st = city_db_step(y->d, s, e)) == ST_OK) {
        uint8_t id[WIRE_ID_BYTES];
        st = city_db_blob(s, 1, id, sizeof id)
                 ? runs_of(y, sqlite3_column_int64(s, 0), id, (uint64_t)sqlite3_column_int64(s, 2),
                           (uint64_t)sqlite3_column_int64(s, 3), e)
                 : err_set(e, ST_CORRUPT, "database: a chain without its id");
        if (st != ST_OK)
            break;
    }
    sqlite3_reset(s);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* ---- what they come to --------------------------------------------------------------------- */

/* Folds the hashes that a void entry names of *seq … to, from *seq on; *seq is behind them then. */
static enum st fold_void(const struct wire_entry *v, uint64_t *seq, uint64_t to,
                         struct wire_digest *g, struct err *e)
{
    struct wire_reader r = {v->hashes.p, v->hashes.p, v->hashes.p + v->hashes.n};
    struct wire_item it;
    enum st st = wire_next(&r, &it, e);

    for (uint64_t at = v->seq_from; st == ST_OK && at <= v->seq_to && at <= to; at++) {
        st = wire_next(&r, &it, e);
        if (st == ST_OK && at == *seq && it.span.n == WIRE_HASH_BYTES) {
            wire_days_fold(g->hash, it.span.p);
            (*seq)++;
        }
    }
    return st;
}

/* The control batch of this row of SQL_VOID_WHERE has a void entry over *seq. */
static enum st fold_voids(sqlite3_stmt *row, uint64_t *seq, uint64_t to, struct wire_digest *g,
                          struct err *e)
{
    uint64_t from = *seq;
    struct wire_batch b;
    struct wire_control c;
    struct wire_entry x;
    struct buf cose;

    buf_init(&cose, WIRE_BATCH_MAX);
    enum st st = city_batch_read(city_db_span(row, 0), &cose, &b, e);
    if (st == ST_OK)
        st = wire_control_open(&c, b.cose.payload.p, b.cose.payload.n, e);
    while (st == ST_OK && *seq == from && (st = wire_control_next(&c, &x, e)) == ST_OK)
        if (x.kind == WIRE_ENTRY_VOID && x.seq_from <= *seq && x.seq_to >= *seq)
            st = fold_void(&x, seq, to, g, e);
    wire_batch_done(&b);
    buf_done(&cose);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* The numbers from … to are not held: *known when void entries name all their hashes. */
static enum st fold_hole(struct day *y, int64_t chain, uint64_t from, uint64_t to,
                         struct wire_digest *g, bool *known, struct err *e)
{
    enum st st = ST_OK;

    while (st == ST_OK && *known && from <= to) {
        uint64_t at = from;
        sqlite3_stmt *s = city_db_bind(y->d, SQL_VOID_WHERE, "ii", chain, (int64_t)from);
        st = city_db_step(y->d, s, e);
        if (st == ST_OK)
            st = fold_voids(s, &from, to, g, e);
        sqlite3_reset(s);
        *known = from > at;
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st reckon(struct day *y, size_t i, struct err *e)
{
    struct wire_day_run *r = &y->run[i];
    struct wire_digest *g = &r->held;
    uint64_t next = g->seq_from;
    uint8_t hash[WIRE_HASH_BYTES];
    sqlite3_stmt *s = city_db_bind(y->d, SQL_DAY_BATCHES, "iii", y->chain[i], (int64_t)g->seq_from,
                                   (int64_t)g->seq_to);
    enum st st;

    r->whole = true;
    while ((st = city_db_step(y->d, s, e)) == ST_OK) {
        uint64_t seq = (uint64_t)sqlite3_column_int64(s, 0);
        if (next < seq)
            st = fold_hole(y, y->chain[i], next, seq - 1, g, &r->whole, e);
        if (st == ST_OK && !city_db_blob(s, 1, hash, sizeof hash))
            st = err_set(e, ST_CORRUPT, "database: a batch without its hash");
        if (st != ST_OK)
            break;
        wire_days_fold(g->hash, hash);
        g->readings += (uint64_t)sqlite3_column_int64(s, 2);
        g->gaps += (uint64_t)sqlite3_column_int64(s, 3);
        r->batches++;
        next = seq + 1;
    }
    sqlite3_reset(s);
    if (st == ST_NOT_FOUND && next <= g->seq_to)
        st = fold_hole(y, y->chain[i], next, g->seq_to, g, &r->whole, e);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st city_digest(struct city_db *d, int64_t gateway, const char *gw, int64_t day, int64_t now_ms,
                    const struct wire_key *sign, struct buf *out, struct err *e)
{
    struct day y = {.d = d, .day = day};
    struct wire_day w = {.day = day, .made_ms = now_ms};

    snprintf(w.gw, sizeof w.gw, "%s", gw);
    y.run = calloc(RUNS_MAX, sizeof *y.run);
    y.chain = calloc(RUNS_MAX, sizeof *y.chain);
    enum st st = y.run != NULL && y.chain != NULL
                     ? city_db_exec(d, "BEGIN", e) /* one moment for all of it */
                     : err_set(e, ST_MEMORY, "no memory for a digest");
    if (st == ST_OK) {
        st = find_runs(&y, gateway, e);
        for (size_t i = 0; i < y.n && st == ST_OK; i++)
            st = reckon(&y, i, e);
        sqlite3_exec(d->db, "COMMIT", NULL, NULL, NULL);
    }
    w.runs = y.run;
    w.nruns = y.n;
    if (st == ST_OK)
        st = wire_day_sign(&w, wire_key_signer(sign), out, e);
    free(y.run);
    free(y.chain);
    return st;
}
