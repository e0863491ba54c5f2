/* Is the store whole? A look at each start that costs milliseconds, and a slow one beside the work:
 * SQLite has no checksum, so a flipped bit in a batch is seen by the batch's own hash alone. */
#include "gateway/store/damage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/store/page.h"

#define NOT_OURS "not a fieldpost database; move it away or name another store.path"
#define UNREAD "the storage does not hand out what it holds; check the card and the kernel log"
#define ONE_PAGE 512 /* a database of no more has no table: one that we began to make */
#define EPOCHS_AHEAD (UINT64_C(1) << 20) /* more: it is the journal of another store */
#define SCRUB_MS 1000                    /* between two looks at batches */
#define SCRUB_BATCHES 4
#define SCRUB_AGAIN_MS (24 * INT64_C(3600000))

static enum st broken(const struct store *s, const char *why, struct err *e)
{
    return err_set(e, ST_CORRUPT, "store %s: %s", s->path, why);
}

static int64_t bytes_beside(const char *path, const char *suffix)
{
    char name[4096];
    struct stat sb;
    return snprintf(name, sizeof name, "%s%s", path, suffix) < (int)sizeof name &&
                   stat(name, &sb) == 0
               ? sb.st_size
               : -1;
}

/* A path is ours when the file says so, when our journal lies beside it, or when SQLite's WAL lies
 * beside what is no database any more. */
static bool is_ours(const struct store *s)
{
    struct store_page_head h;
    store_page_head(s->path, &h);
    return h.ours || bytes_beside(s->path, ".journal") >= 0 ||
           (!h.sqlite && bytes_beside(s->path, "-wal") > 0);
}

/* ---- before SQLite opens it ---- */

static enum st look_at_files(const struct store *s, struct err *e)
{
    struct store_page_head h;
    int64_t journal = bytes_beside(s->path, ".journal"), wal = bytes_beside(s->path, "-wal");
    store_page_head(s->path, &h);
    if (h.file_bytes <= 0 && (journal >= 0 || wal > 0))
        return broken(s,
                      h.file_bytes < 0 ? "the database is gone, its journal is there"
                                       : "the database is empty, its journal is there",
                      e);
    if (h.sqlite && !h.sane)
        return broken(s, "the head of the database is damaged", e);
    if (wal > 0 && store_wal_is_damaged(s->path))
        return broken(s, "the write-ahead log is damaged", e);
    return ST_OK;
}

/* ---- what SQLite says of it ---- */

/* ST_NOT_FOUND: the database has no such table. */
static enum st ask(struct store_db *d, const char *text, int64_t *out, struct err *e)
{
    sqlite3_stmt *q = NULL;
    enum st st = ST_OK;
    if (sqlite3_prepare_v2(d->h, text, -1, &q, NULL) != SQLITE_OK)
        st = (sqlite3_errcode(d->h) & 0xff) == SQLITE_ERROR ? ST_NOT_FOUND
                                                            : store_db_fail(d, "look", e);
    else if (sqlite3_step(q) == SQLITE_ROW)
        *out = sqlite3_column_int64(q, 0);
    else
        st = store_db_fail(d, "look", e);
    sqlite3_finalize(q);
    return st;
}

/* The version stands in the file's head and, sealed by the same transaction, in `meta`. */
static enum st look_at_version(const struct store *s, struct store_db *d, struct err *e)
{
    int64_t version = 0, tables = 0, told = 0;
    enum st st = ask(d, "PRAGMA user_version", &version, e);
    if (st == ST_OK)
        st = ask(d, "SELECT count(*) FROM sqlite_schema", &tables, e);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? broken(s, NOT_OURS, e) : st;
    if (version == 0 && tables == 0)
        return bytes_beside(s->path, ".journal") < 0
                   ? ST_OK
                   : broken(s, "the tables of the database are gone", e);
    st = ask(d, "SELECT coalesce((SELECT value FROM meta WHERE key = 'schema'), 0)", &told, e);
    if (st == ST_NOT_FOUND || version == 0) /* later versions may do without */
        return version > store_db_version() ? ST_OK : broken(s, NOT_OURS, e);
    if (st == ST_OK && told && told != version)
        return broken(s, "its schema is damaged", e);
    return st;
}

static enum st look_at_table(struct store *s, const char *name, struct err *e)
{
    char text[128];
    sqlite3_stmt *q = NULL;
    (void)snprintf(text, sizeof text, "PRAGMA quick_check(%s)", name);
    bool good = sqlite3_prepare_v2(s->db.h, text, -1, &q, NULL) == SQLITE_OK;
    int code = good ? sqlite3_step(q) : sqlite3_errcode(s->db.h);
    good = code == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(q, 0), "ok") == 0;
    bool damaged = code == SQLITE_ROW || (code & 0xff) == SQLITE_ERROR;
    enum st st = good                      ? ST_OK
                 : store_db_unread(&s->db) ? err_set(e, ST_IO, "store %s: %s", s->path, UNREAD)
                 : damaged                 ? ST_CORRUPT
                                           : store_db_fail(&s->db, "check", e);
    sqlite3_finalize(q);
    return st == ST_CORRUPT ? broken(s, "a table is damaged", e) : st;
}

/* The structure of all tables but the large ones: the scrub reads the batches' bytes beside the
 * work, and rollups are read when they are drawn. */
static enum st look_at_tables(struct store *s, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_LOOK_TABLES, e);
    enum st st = q ? ST_OK : ST_IO;
    while (st == ST_OK && (st = store_db_row(&s->db, q, e)) == ST_OK)
        st = look_at_table(s, (const char *)sqlite3_column_text(q, 0), e);
    if (q)
        sqlite3_reset(q);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st look_at_schema(struct store *s, struct err *e)
{
    for (int i = 0; i < STORE_SQLS; i++) {
        if (!store_db_use(&s->db, (enum store_sql)i, e)) {
            int code = sqlite3_errcode(s->db.h);
            return code == SQLITE_ERROR || code == SQLITE_CORRUPT
                       ? broken(s, "its schema is damaged", e)
                       : ST_IO;
        }
        sqlite3_finalize(s->db.stmt[i]); /* all of them would stay in memory */
        s->db.stmt[i] = NULL;
    }
    return ST_OK;
}

enum st store_batch_check(struct wire_span packed, const uint8_t hash[WIRE_HASH_BYTES],
                          struct buf *raw, struct err *e)
{
    uint8_t got[WIRE_HASH_BYTES];
    raw->n = 0;
    enum st st = wire_zstd_unpack(packed.p, packed.n, WIRE_BATCH_MAX, raw, NULL);
    if (st == ST_MEMORY)
        return err_set(e, st, "no memory for a batch");
    if (st == ST_OK)
        wire_sha256(raw->p, raw->n, got);
    return st == ST_OK && memcmp(got, hash, sizeof got) == 0
               ? ST_OK
               : err_set(e, ST_CORRUPT, "a batch has other bytes than its hash says");
}

/* The newest batch of the newest chain that has one, against all that is told of it. */
static enum st look_at_last(struct store *s, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_LOOK_LAST, e);
    if (!q)
        return ST_IO;
    enum st st = store_db_row(&s->db, q, e);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    uint8_t last[WIRE_HASH_BYTES], hash[WIRE_HASH_BYTES], chain[WIRE_ID_BYTES];
    struct wire_span packed = {sqlite3_column_blob(q, 5), (size_t)sqlite3_column_bytes(q, 5)};
    struct wire_batch b = {.owned = NULL};
    struct buf raw;
    buf_init(&raw, WIRE_BATCH_MAX);
    bool good = store_db_blob(q, 1, last, sizeof last) && store_db_blob(q, 2, hash, sizeof hash) &&
                store_db_blob(q, 6, chain, sizeof chain) && packed.p &&
                memcmp(last, hash, sizeof hash) == 0 &&
                sqlite3_column_int64(q, 3) == sqlite3_column_int64(q, 4);
    if (good)
        st = store_batch_check(packed, hash, &raw, e);
    if (good && st == ST_OK)
        st = wire_batch_open(&b, raw.p, raw.n, e);
    good = good && st == ST_OK && memcmp(b.header.chain, chain, sizeof chain) == 0 &&
           (int64_t)b.header.seq == sqlite3_column_int64(q, 0);
    sqlite3_reset(q);
    wire_batch_done(&b);
    buf_done(&raw);
    if (st == ST_MEMORY) /* which says nothing of the batch */
        return st;
    return good ? ST_OK : broken(s, "its newest batch is not the one that the chain names", e);
}

static enum st look_at_numbers(struct store *s, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_LOOK_NUMBERS, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_row(&s->db, q, e));
    bool odd = sqlite3_column_int64(q, 0) != 0;
    sqlite3_reset(q);
    return odd ? broken(s, "its numbers contradict each other", e) : ST_OK;
}

/* A journal of a later epoch than the database's: the database lost a seal. */
static enum st look_at_journal(struct store *s, struct err *e)
{
    struct store_jfile j;
    int64_t now = 0;
    uint64_t newest = 0;
    enum st asked = ask(&s->db, "SELECT coalesce(max(epoch), 0) FROM chain", &now, e);
    if (asked != ST_OK)
        return asked == ST_NOT_FOUND ? broken(s, "its schema is damaged", e) : asked;
    if (now == 0)
        return ST_OK;
    ERR_TRY(store_jfile_open(&j, s->path, true, e));
    s->storage_lost = j.fd < 0;
    enum st st = store_jfile_newest(&j, &newest, e);
    store_jfile_close(&j);
    if (st == ST_OK && newest > (uint64_t)now && newest - (uint64_t)now < EPOCHS_AHEAD)
        st = broken(s, "the journal is newer than the database", e);
    return st;
}

/* Somebody else's database must not even be touched. */
static enum st look_at_stranger(struct store *s, struct err *e)
{
    struct store_page_head h;
    struct store_db d;
    store_page_head(s->path, &h);
    if (h.file_bytes <= ONE_PAGE || is_ours(s))
        return ST_OK;
    ERR_TRY(store_db_open(&d, s->path, true, e));
    enum st st = look_at_version(s, &d, e);
    store_db_close(&d);
    return st;
}

static enum st open_whole(struct store *s, struct err *e)
{
    ERR_TRY(look_at_files(s, e));
    ERR_TRY(look_at_stranger(s, e));
    ERR_TRY(store_db_open(&s->db, s->path, false, e));
    ERR_TRY(store_db_own(&s->db, e));
    ERR_TRY(look_at_version(s, &s->db, e));
    ERR_TRY(store_db_migrate(&s->db, e));
    ERR_TRY(look_at_schema(s, e));
    ERR_TRY(look_at_tables(s, e));
    ERR_TRY(look_at_numbers(s, e));
    ERR_TRY(look_at_last(s, e));
    return look_at_journal(s, e);
}

static enum st open_new(struct store *s, struct err *e)
{
    ERR_TRY(store_db_open(&s->db, s->path, false, e));
    ERR_TRY(store_db_own(&s->db, e));
    return store_db_migrate(&s->db, e);
}

/* A read that the storage refuses may go well the next time; refused twice, it is lost. */
static enum st open_twice(struct store *s, struct err *e)
{
    enum st st = open_whole(s, e);
    if (st != ST_OK && s->db.unread) {
        store_db_close(&s->db);
        st = open_whole(s, e);
    }
    return st != ST_OK && s->db.unread ? broken(s, UNREAD, e) : st;
}

enum st store_whole_open(struct store *s, struct err *e)
{
    struct err why = {0};
    char reason[sizeof why.text];
    bool asked = false;
    ERR_TRY(store_aside_asked(s->path, &asked, reason, sizeof reason, e));
    enum st st = asked ? err_set(&why, ST_CORRUPT, "%s", reason) : open_twice(s, &why);
    if (st == ST_CORRUPT && (asked || is_ours(s))) {
        store_db_close(&s->db);
        ERR_TRY(store_aside_move(s->path, clk_now(s->clk).utc_ms, why.text, e));
        store_db_cut_advice(why.text);
        store_event(s, STORE_ERROR, "store.damaged", s->path, "%.200s; the files are set aside",
                    why.text);
        log_error("%s; the files are set aside", why.text);
        st = open_new(s, &why);
    }
    if (st == ST_OK)
        sqlite3_db_config(s->db.h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    else if (e)
        *e = why;
    return st;
}

/* ---- while it runs ---- */

enum st store_suspect(struct store *s, struct err *e)
{
    static const char why[] = "the database is damaged; it is set aside and rescued at the restart";
    if (!atomic_load(&s->marked)) {
        ERR_TRY(store_aside_ask(s->path, clk_now(s->clk).utc_ms, why, e));
        atomic_store(&s->marked, true);
    }
    return err_set(e, ST_CORRUPT, "store %s: %s", s->path, why);
}

bool store_damaged(struct store *s)
{
    return atomic_load(&s->marked);
}

/* One batch: its bytes, and what its row says of them. */
static enum st scrub_one(struct store *s, struct buf *raw, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_SCRUB, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, s->scrub_id);
    ERR_TRY(store_db_row(&s->db, q, e));
    uint8_t hash[WIRE_HASH_BYTES];
    struct wire_span packed = {sqlite3_column_blob(q, 2), (size_t)sqlite3_column_bytes(q, 2)};
    s->scrub_id = sqlite3_column_int64(q, 0);
    enum st st = store_db_blob(q, 1, hash, sizeof hash) && packed.p
                     ? store_batch_check(packed, hash, raw, e)
                     : err_set(e, ST_CORRUPT, "a batch has no bytes or no hash");
    sqlite3_reset(q);
    return st;
}

enum st store_scrub(struct store *s, struct err *e)
{
    struct buf raw;
    int64_t now = clk_mono(s->clk).ms;
    enum st st = ST_OK;
    if (now < s->scrub_due.ms)
        return ST_OK;
    s->scrub_due.ms = now + SCRUB_MS;
    buf_init(&raw, WIRE_BATCH_MAX);
    (void)sqlite3_db_release_memory(s->db.h); /* else a small file is never read again */
    for (int i = 0; i < SCRUB_BATCHES && st == ST_OK; i++)
        st = scrub_one(s, &raw, e);
    buf_done(&raw);
    if (st == ST_NOT_FOUND) {
        s->scrub_id = 0;
        s->scrub_due.ms = now + SCRUB_AGAIN_MS;
        return ST_OK;
    }
    if (st == ST_CORRUPT)
        atomic_store(&s->suspect, true);
    return st;
}
