/* The times of which a rescue could bring no batch: they become gaps of the new chain. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/store/damage.h"
#include "gateway/store/rollup_int.h"

#define HOLES_MAX 64 /* further ones lengthen the last: too much is said rather than too little */
#define KNOWN_MS (2 * CLK_UNKNOWN_BASE_MS) /* earlier times count from a boot that is over */

struct holes {
    struct store *s;
    struct store_db
        *src;         /* the damaged database, for the windows of batches whose bytes are gone */
    int64_t since_ms; /* when that store began; 0: not known */
    int64_t n;
    int64_t from_ms, to_ms; /* of the last */
    uint64_t a, z;          /* numbers that are lacking, their time is not known yet; 0: none */
};

/* The acknowledged range of every required uplink, or the hole, from seq on: *z is its end. */
enum st store_acked(struct store *s, int64_t chain, uint64_t a, uint64_t z, struct err *e)
{
    bool any = false;
    for (uint32_t i = 0; i < s->nup; i++) {
        if (!s->up[i].required)
            continue;
        any = true;
        uint64_t from, to = 0;
        ERR_TRY(store_ack_range(&s->db, s, s->up[i].id, chain, a, &from, &to, e));
        if (to < z)
            return ST_NOT_FOUND;
    }
    return any ? ST_OK : ST_NOT_FOUND;
}

static enum st write_hole(struct holes *h, struct err *e)
{
    char key[32], value[64];
    if (h->n == 0)
        return ST_OK;
    /* By its time: the holes of several rescues stand side by side, and come in order. */
    (void)snprintf(key, sizeof key, "hole:%016llx", (unsigned long long)h->from_ms);
    (void)snprintf(value, sizeof value, "%lld %lld", (long long)h->from_ms, (long long)h->to_ms);
    return store_meta_set(h->s, key, value, strlen(value), e);
}

static enum st add(struct holes *h, int64_t from_ms, int64_t to_ms, struct err *e)
{
    if (from_ms >= to_ms || from_ms < KNOWN_MS)
        return ST_OK;
    if (h->n && (from_ms <= h->to_ms || h->n == HOLES_MAX)) {
        h->from_ms = from_ms < h->from_ms ? from_ms : h->from_ms;
        h->to_ms = to_ms > h->to_ms ? to_ms : h->to_ms;
        return ST_OK;
    }
    ERR_TRY(write_hole(h, e));
    h->from_ms = from_ms;
    h->to_ms = to_ms;
    h->n++;
    return ST_OK;
}

/* The windows of the batches a..z as the damaged database still tells them. */
static bool windows(struct holes *h, int64_t chain, uint64_t a, uint64_t z, int64_t *from_ms,
                    int64_t *to_ms)
{
    sqlite3_stmt *q = h->src ? store_db_use(h->src, SQL_OLD_LOST, NULL) : NULL;
    if (!q)
        return false;
    sqlite3_bind_int64(q, 1, store_batch_id(chain, a));
    sqlite3_bind_int64(q, 2, store_batch_id(chain, z));
    bool told = store_db_row(h->src, q, NULL) == ST_OK && sqlite3_column_type(q, 0) != SQLITE_NULL;
    *from_ms = sqlite3_column_int64(q, 0);
    *to_ms = sqlite3_column_int64(q, 1);
    sqlite3_reset(q);
    return told;
}

/* The time but where thinned values stand for what was given up in it. */
static enum st add_rest(struct holes *h, int64_t from_ms, int64_t to_ms, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&h->s->db, SQL_THINNED_IN, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, from_ms);
    sqlite3_bind_int64(q, 2, to_ms);
    enum st st;
    while ((st = store_db_row(&h->s->db, q, e)) == ST_OK) {
        int64_t a = sqlite3_column_int64(q, 0), z = sqlite3_column_int64(q, 1);
        st = add(h, from_ms, a, e);
        if (st != ST_OK)
            break;
        from_ms = z > from_ms ? z : from_ms;
    }
    sqlite3_reset(q);
    return st == ST_NOT_FOUND ? add(h, from_ms, to_ms, e) : st;
}

/* Batches a..z are not here: whether the city has them is looked up now, their time is known at the
 * next raw batch. */
static enum st lack(struct holes *h, int64_t chain, uint64_t a, uint64_t z, struct err *e)
{
    enum st st = a > z ? ST_OK : store_acked(h->s, chain, a, z, e);
    if (st != ST_NOT_FOUND)
        return st;
    h->a = h->a ? h->a : a;
    h->z = z;
    return ST_OK;
}

/* What is lacking lay in [from_ms, to_ms). Behind a raw batch that is here this is known; else the
 * damaged database may still say it, or the time since its file was made is taken: too much rather
 * than too little. */
static enum st tell(struct holes *h, int64_t chain, int64_t from_ms, int64_t to_ms, struct err *e)
{
    uint64_t a = h->a;
    h->a = 0;
    if (!a)
        return ST_OK;
    if (from_ms == INT64_MIN && !windows(h, chain, a, h->z, &from_ms, &to_ms)) {
        if (h->src || h->since_ms == 0) /* it says that they have left the store */
            return ST_OK;
        from_ms = h->since_ms;
    }
    return add_rest(h, from_ms, to_ms, e);
}

/* Only raw batches follow each other in time; theirs may have been found later. */
static enum st chain_holes(struct holes *h, int64_t chain, uint64_t last_seq, int64_t last_to_ms,
                           struct err *e)
{
    uint64_t next = 1;
    int64_t end_ms = INT64_MIN;
    struct store_moved m;
    sqlite3_stmt *q = store_db_use(&h->s->db, SQL_BATCH_WINDOWS, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, store_batch_id(chain, 1));
    sqlite3_bind_int64(q, 2, store_batch_id(chain + 1, 0));
    enum st st;
    while ((st = store_db_row(&h->s->db, q, e)) == ST_OK) {
        int64_t id = sqlite3_column_int64(q, 0), from_ms = sqlite3_column_int64(q, 1);
        st = lack(h, chain, next, store_batch_seq(id) - 1, e);
        next = store_batch_seq(id) + 1;
        if (st == ST_OK && sqlite3_column_int(q, 3) == 0) {
            st = store_batch_moved(&h->s->db, id, from_ms, &m, e);
            if (st == ST_OK)
                st = tell(h, chain, end_ms, from_ms + m.add_ms, e);
            end_ms = sqlite3_column_int64(q, 2) + m.add_ms;
        }
        if (st != ST_OK)
            break;
    }
    sqlite3_reset(q);
    if (st == ST_NOT_FOUND)
        st = lack(h, chain, next, last_seq, e);
    return st == ST_OK ? tell(h, chain, end_ms, last_to_ms, e) : st;
}

int64_t store_frames_from(const struct store *s)
{
    int64_t from_ms = clk_now(s->clk).utc_ms;
    for (size_t i = 0; i < s->nframes; i++)
        if (s->frames[i].grade != CLK_UNKNOWN && s->frames[i].t_ms < from_ms)
            from_ms = s->frames[i].t_ms;
    return from_ms;
}

/* Not even a chain is left: all up to what the journal has, or to now. */
static enum st all_lost(struct holes *h, struct err *e)
{
    return h->since_ms ? add(h, h->since_ms, store_frames_from(h->s), e) : ST_OK;
}

enum st store_holes_find(struct store *s, struct store_db *src, int64_t since_ms, int64_t *n,
                         struct err *e)
{
    struct holes h = {.s = s, .src = src, .since_ms = since_ms};
    int64_t chains = 0;
    sqlite3_stmt *q = store_db_use(&s->db, SQL_CHAINS_LAST, e);
    if (!q)
        return ST_IO;
    enum st st;
    while ((st = store_db_row(&s->db, q, e)) == ST_OK) {
        chains++;
        st = chain_holes(&h, sqlite3_column_int64(q, 0), (uint64_t)sqlite3_column_int64(q, 1),
                         sqlite3_column_int64(q, 2), e);
        if (st != ST_OK)
            break;
    }
    sqlite3_reset(q);
    if (st == ST_NOT_FOUND)
        st = chains ? ST_OK : all_lost(&h, e);
    if (st == ST_OK)
        st = write_hole(&h, e);
    *n = h.n;
    return st;
}

/* ---- for seal ---- */

enum store_cause store_silence(struct store *s)
{
    struct buf told;
    buf_init(&told, 16);
    bool after = store_meta_get(s, "silence", &told, NULL) == ST_OK;
    buf_done(&told);
    return after || s->storage_lost ? STORE_STORAGE : STORE_OFF;
}

enum st store_meta_drop(struct store *s, const char *key, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_META_DROP, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
    return store_db_run(&s->db, q, e);
}

enum st store_silence_told(struct store *s, struct err *e)
{
    s->storage_lost = false;
    return store_meta_drop(s, "silence", e);
}

static enum st hole_next(struct store *s, char *key, size_t n, int64_t *from_ms, int64_t *to_ms,
                         struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_HOLE_NEXT, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_row(&s->db, q, e));
    const char *text = (const char *)sqlite3_column_text(q, 1);
    char *end = NULL;
    *from_ms = text ? strtoll(text, &end, 10) : 0;
    *to_ms = end && *end == ' ' ? strtoll(end, &end, 10) : 0;
    bool sane = end && end != text && !*end && *from_ms < *to_ms;
    (void)snprintf(key, n, "%s", (const char *)sqlite3_column_text(q, 0));
    sqlite3_reset(q);
    return sane ? ST_OK : err_set(e, ST_CORRUPT, "store %s: a hole's times are damaged", s->path);
}

enum st store_hole_next(struct store *s, int64_t *from_ms, int64_t *to_ms, struct err *e)
{
    char key[32];
    return hole_next(s, key, sizeof key, from_ms, to_ms, e);
}

enum st store_hole_told(struct store *s, struct err *e)
{
    char key[32];
    int64_t a, z;
    ERR_TRY(hole_next(s, key, sizeof key, &a, &z, e));
    return store_meta_drop(s, key, e);
}
