/* What the store may take of the disk, and what of it goes first. */
#include <stdio.h>

#include "gateway/store/store_int.h"

#define LOOKS 64 /* ranges that one search may pass over: refused batches that wait for a void */
#define DROPPED_A_SEAL 8 /* batches that one seal may retire: bounded, faster than it grows */

#define SLACK_BYTES                                                                                \
    (128 * 1024)    /* of a transaction beside its batch: other pages, receipts, events */
#define FOLD_MS 200 /* for readers to let go of the WAL; the next try comes soon */

static int64_t percent(const struct store *s, int part)
{
    return s->limit_bytes / 100 * part;
}

/* ---- the WAL ---- */

/* Folds all of the WAL into the database and cuts it to nothing. ST_FULL: a reader needs it. */
static enum st fold_wal(struct store *s, struct err *e)
{
    sqlite3_busy_timeout(s->db.h, FOLD_MS);
    int rc = sqlite3_wal_checkpoint_v2(s->db.h, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_busy_timeout(s->db.h, STORE_BUSY_MS);
    if (rc == SQLITE_BUSY)
        return err_set(e, ST_FULL,
                       "store %s: max_size would be passed while another program reads the file: "
                       "end it (sqlite3, export, backup)",
                       s->path);
    return rc == SQLITE_OK ? ST_OK : store_db_fail(&s->db, "fold the WAL", e);
}

enum st store_begin(struct store *s, size_t bytes, struct err *e)
{
    int64_t budget = percent(s, STORE_WAL_PERCENT);
    int64_t slack = budget < SLACK_BYTES ? budget : SLACK_BYTES;
    int64_t need = (int64_t)(bytes + bytes / 8) + slack; /* frames have heads */
    if (store_file_bytes(s->path, "-wal") + need > budget)
        ERR_TRY(fold_wal(s, e));
    return store_db_begin(&s->db, e);
}

/* ---- the database ---- */

static enum st used_bytes(struct store *s, int64_t *bytes, struct err *e)
{
    struct store_pages p;
    ERR_TRY(store_db_pages(&s->db, &p, e));
    *bytes = p.used * p.bytes;
    return ST_OK;
}

/* The first number from *seq on that every required uplink has settled; ST_NOT_FOUND. */
static enum st next_settled(struct store *s, int64_t chain, uint64_t *seq, struct err *e)
{
    for (bool moved = true; moved;) {
        moved = false;
        for (uint32_t i = 0; i < s->nup; i++) {
            if (!s->up[i].required)
                continue;
            sqlite3_stmt *q = store_db_use(&s->db, SQL_ACK_FROM, e);
            if (!q)
                return ST_IO;
            sqlite3_bind_text(q, 1, s->up[i].id, -1, SQLITE_STATIC);
            sqlite3_bind_int64(q, 2, chain);
            sqlite3_bind_int64(q, 3, (int64_t)*seq);
            ERR_TRY(store_db_row(&s->db, q, e));
            uint64_t a = (uint64_t)sqlite3_column_int64(q, 0);
            sqlite3_reset(q);
            moved = moved || a > *seq;
            *seq = a > *seq ? a : *seq;
        }
    }
    return ST_OK;
}

/* The oldest batch behind *id that may be forgotten, not behind `last`; ST_NOT_FOUND. Unsent ones,
 * however many, are passed over by the acknowledged ranges, so that none of them hides what may go.
 */
static enum st next_to_go(struct store *s, int64_t *id, int64_t last, struct err *e)
{
    for (int looks = 0; looks < LOOKS; looks++) {
        sqlite3_stmt *q = store_db_use(&s->db, SQL_BATCH_AFTER, e);
        if (!q)
            return ST_IO;
        sqlite3_bind_int64(q, 1, *id);
        ERR_TRY(store_db_row(&s->db, q, e));
        int64_t found = sqlite3_column_int64(q, 0);
        sqlite3_reset(q);
        int64_t chain = found >> STORE_SEQ_BITS;
        uint64_t seq = store_batch_seq(found);
        enum st st = next_settled(s, chain, &seq, e);
        if (st == ST_NOT_FOUND) { /* nothing more in this chain */
            *id = store_batch_id(chain + 1, 0);
            continue;
        }
        if (st != ST_OK)
            return st;
        if (seq > store_batch_seq(found)) {
            *id = store_batch_id(chain, seq) - 1;
            continue;
        }
        *id = found;
        if (found > last)
            return ST_NOT_FOUND;
        st = store_db_has(&s->db, SQL_REFUSED_OPEN, found, e);
        if (st != ST_OK)
            return st == ST_NOT_FOUND ? ST_OK : st;
    }
    return ST_NOT_FOUND;
}

enum st store_retention(struct store *s, struct err *e)
{
    int64_t bytes = 0, id = 0;
    ERR_TRY(used_bytes(s, &bytes, e));
    ERR_TRY(store_age_step(s, e));
    /* or a batch waits that is larger than what is left below */
    bool crowded = bytes > percent(s, STORE_CROWDED_PERCENT) ||
                   bytes + s->refused_bytes > percent(s, STORE_SEAL_PERCENT);
    int64_t last = crowded ? INT64_MAX : s->age.old_id;
    enum st st = next_to_go(s, &id, last, e);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    ERR_TRY(store_begin(s, 0, e));
    struct store_gone gone = {0};
    for (int i = 0; i < DROPPED_A_SEAL && st == ST_OK; i++) {
        st = store_batch_drop(s, id, &gone, e);
        if (st == ST_OK)
            st = next_to_go(s, &id, last, e);
    }
    st = store_db_end(&s->db, st == ST_NOT_FOUND ? ST_OK : st, e);
    if (st == ST_OK)
        store_gone_tell(s, &gone);
    return st;
}

enum st store_room(struct store *s, size_t more, struct err *e)
{
    int64_t bytes = 0, want = (int64_t)(more + more / 16); /* rows and pages have their own part */
    ERR_TRY(used_bytes(s, &bytes, e));
    bool fits = bytes + want <= percent(s, STORE_SEAL_PERCENT);
    if (!fits || more) /* the journal's does not tell what a seal wants */
        s->refused_bytes = fits ? 0 : want;
    if (fits)
        return ST_OK;
    if (s->reserve_out)
        return err_set(e, ST_FULL,
                       "store %s: the disk is full, and no uplink has acknowledged what could make "
                       "way: free space on it",
                       s->path);
    return err_set(e, ST_FULL,
                   "store %s: store.max_size (%lld bytes) is used up by batches that no uplink has "
                   "acknowledged; bring the uplink back or raise max_size",
                   s->path, (long long)s->cfg.max_size_bytes);
}

enum st store_event_room(struct store *s, bool *yes, struct err *e)
{
    int64_t bytes = 0;
    ERR_TRY(used_bytes(s, &bytes, e));
    *yes = bytes <= percent(s, STORE_EVENT_PERCENT);
    return ST_OK;
}

enum st store_space(struct store *s, enum store_space *out, struct err *e)
{
    int64_t bytes = 0, id = 0;
    ERR_TRY(store_retention(s, e));
    ERR_TRY(used_bytes(s, &bytes, e));
    *out = STORE_ROOMY;
    /* A disk that others have filled may be emptied again; what is thinned is thinned for ever. */
    if (s->reserve_out || bytes <= percent(s, STORE_CROWDED_PERCENT))
        return ST_OK;
    enum st st = next_to_go(s, &id, INT64_MAX, e);
    if (st == ST_NOT_FOUND)
        *out =
            bytes + s->refused_bytes > percent(s, STORE_SEAL_PERCENT) ? STORE_SHORT : STORE_TIGHT;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st store_space_left(struct store *s, int64_t *bytes, struct err *e)
{
    int64_t used = 0, unsent = 0;
    ERR_TRY(used_bytes(s, &used, e));
    for (uint32_t i = 0; i < s->nup; i++)
        if (s->up[i].required && s->up[i].unsent.bytes > unsent)
            unsent = s->up[i].unsent.bytes;
    /* what is acknowledged makes way */
    *bytes = percent(s, STORE_CROWDED_PERCENT) - (used - s->held.bytes) - unsent;
    return ST_OK;
}
