/* What begins a rescue, in one transaction: the small tables by SQL, from both ends, and the
 * journals. */
#include <stdio.h>

#include "gateway/store/rescue_int.h"

#define FRAMES_TAKEN (STORE_FRAMES / 4 * 3)
#define INDICES_TAKEN (STORE_INDICES / 4 * 3)
#define SENML_TAKEN ((size_t)STORE_SENML_BYTES / 4 * 3)

/* ---- journals ---- */

struct taken {
    struct store_rescue *r;
    int64_t blobs, readings, left;
    size_t frames, indices, senml;
};

static enum st count_entry(void *ctx, const struct store_entry *x, struct err *e)
{
    struct taken *t = ctx;
    struct wire_senml it;
    struct wire_reading w;
    enum st st;
    wire_senml_open_records(&it, x->senml.p, x->senml.n, x->n, t->r->s->gateway);
    while ((st = wire_senml_next(&it, &w, e)) == ST_OK)
        t->readings++;
    t->frames++;
    t->indices += x->n + x->nmissed;
    t->senml += x->senml.n;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* One blob of a damaged store's journal into the table of the new one, when all of it is sound and
 * what is taken fits into memory. */
static enum st take_blob(void *ctx, struct wire_span packed, struct err *e)
{
    struct taken *t = ctx, was = *t;
    struct store *s = t->r->s;
    bool sound = store_entries_each(packed, count_entry, t, NULL) == ST_OK;
    if (!sound || t->frames > FRAMES_TAKEN || t->indices > INDICES_TAKEN ||
        t->senml > SENML_TAKEN) {
        *t = was;
        t->left++;
        return ST_OK;
    }
    t->blobs++;
    sqlite3_stmt *q = store_db_use(&s->db, SQL_JOURNAL_ADD, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_blob64(q, 1, packed.p, packed.n, SQLITE_STATIC);
    return store_db_run(&s->db, q, e);
}

/* The file's newest epoch counts unless the database had folded it already; what of it a lost seal
 * folded is found out by the batches. */
static enum st take_journal_file(struct taken *t, uint64_t known, struct err *e)
{
    struct store_jfile j;
    uint64_t newest = 0;
    ERR_TRY(store_jfile_open(&j, t->r->path, true, e));
    enum st st = store_jfile_newest(&j, &newest, e);
    if (st == ST_OK && newest && newest >= known)
        st = store_jfile_each(&j, newest, take_blob, t, e);
    t->left += j.damaged > 0;
    store_jfile_close(&j);
    return st;
}

static enum st take_journals(struct taken *t, struct err *e)
{
    struct store_rescue *r = t->r;
    uint64_t known = 0;
    sqlite3_stmt *q = r->readable ? store_db_use(&r->src, SQL_EPOCH, NULL) : NULL;
    if (q && store_db_row(&r->src, q, NULL) == ST_OK)
        known = (uint64_t)sqlite3_column_int64(q, 0);
    q = r->readable ? store_db_use(&r->src, SQL_JOURNAL_ALL, NULL) : NULL;
    while (q && store_db_row(&r->src, q, NULL) == ST_OK)
        ERR_TRY(take_blob(
            t, (struct wire_span){sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0)},
            e));
    return take_journal_file(t, known, e);
}

static const struct {
    enum store_sql from, back, to;
} tables[] = {{SQL_OLD_CHAINS, SQL_OLD_CHAINS_BACK, SQL_NEW_CHAIN},
              {SQL_OLD_WINDOWS, SQL_OLD_WINDOWS_BACK, SQL_NEW_WINDOW},
              {SQL_OLD_ACKS, SQL_OLD_ACKS_BACK, SQL_NEW_ACK},
              {SQL_OLD_RECEIPTS, SQL_OLD_RECEIPTS_BACK, SQL_NEW_RECEIPT},
              {SQL_OLD_REFUSED, SQL_OLD_REFUSED_BACK, SQL_NEW_REFUSED},
              {SQL_OLD_PLAN, SQL_OLD_PLAN_BACK, SQL_NEW_PLAN},
              {SQL_OLD_DIGESTED, SQL_OLD_DIGESTED_BACK, SQL_NEW_DIGESTED},
              {SQL_OLD_EVENTS, SQL_OLD_EVENTS_BACK, SQL_NEW_EVENT}};

/* Rows until the end (*whole) or until one that cannot be read. A row that the new table cannot
 * take was damaged. */
static enum st copy_rows(struct store_rescue *r, enum store_sql from, enum store_sql to,
                         bool *whole, struct err *e)
{
    struct store *s = r->s;
    sqlite3_stmt *q = store_db_use(&r->src, from, NULL);
    enum st row = q ? ST_OK : ST_CORRUPT;
    while (row == ST_OK && (row = store_db_row(&r->src, q, NULL)) == ST_OK) {
        sqlite3_stmt *w = store_db_use(&s->db, to, e);
        if (!w)
            return ST_IO;
        int n = sqlite3_column_count(q);
        for (int i = 0; i < n; i++)
            sqlite3_bind_value(w, i + 1, sqlite3_column_value(q, i));
        if (sqlite3_bind_parameter_count(w) > n)
            sqlite3_bind_int64(w, n + 1, (int64_t)s->epoch);
        enum st st = store_db_run(&s->db, w, e);
        if (st != ST_OK && st != ST_CONFLICT)
            return st;
    }
    if (q)
        sqlite3_reset(q);
    *whole = row == ST_NOT_FOUND;
    return ST_OK;
}

static enum st copy_tables(struct store_rescue *r, struct err *e)
{
    for (size_t i = 0; r->readable && i < sizeof tables / sizeof *tables; i++) {
        bool whole = false;
        ERR_TRY(copy_rows(r, tables[i].from, tables[i].to, &whole, e));
        if (!whole)
            ERR_TRY(copy_rows(r, tables[i].back, tables[i].to, &whole, e));
    }
    return store_db_do(&r->s->db, SQL_NEW_UNDIGESTED, 0, NULL, e);
}

void store_rescue_key(const struct store_rescue *r, char *out, size_t n)
{
    (void)snprintf(out, n, "rescue:%s", r->stamp);
}

enum st store_rescue_begin(struct store_rescue *r, struct err *e)
{
    struct store *s = r->s;
    struct taken t = {.r = r};
    char key[64];
    struct buf done;
    store_rescue_key(r, key, sizeof key);
    buf_init(&done, 16);
    enum st st = store_meta_get(s, key, &done, e);
    buf_done(&done);
    if (st != ST_NOT_FOUND)
        return st;
    ERR_TRY(store_db_begin(&s->db, e));
    st = copy_tables(r, e);
    if (st == ST_OK)
        st = take_journals(&t, e);
    if (st == ST_OK)
        st = store_meta_set(s, key, "1", 1, e);
    if (st == ST_OK)
        st = store_meta_set(s, "silence", "1", 1, e);
    ERR_TRY(store_db_end(&s->db, st, e));
    store_event(s, t.left ? STORE_ERROR : STORE_WARNING, "rescue.begin", r->path,
                "%lld readings of its journal are taken over, %lld parts of it could not be read; "
                "its batches follow",
                (long long)t.readings, (long long)t.left);
    return ST_OK;
}
