#include "gateway/store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "gateway/store/page.h"

extern const unsigned char store_schema_001[], store_schema_002[], store_schema_003[],
    store_schema_004[], store_schema_005[], store_schema_006[], store_schema_007[],
    store_schema_008[];

/* schema[i] brings a file from version i to i + 1; fill, in the same transaction, puts into the new
 * tables what the old ones know. */
static const struct {
    const unsigned char *sql;
    enum st (*fill)(struct store_db *d, struct err *e);
} schema[] = {
    {store_schema_001, NULL}, {store_schema_002, NULL},
    {store_schema_003, NULL}, {store_schema_004, NULL},
    {store_schema_005, NULL}, /* filled by what comes next */
    {store_schema_006, NULL}, {store_schema_007, store_times_fill},
    {store_schema_008, NULL},
};
#define SCHEMA_VERSION ((int)(sizeof schema / sizeof *schema))

#define BUSY_MS 5000 /* a curious technician's sqlite3 may hold the lock for a moment */
/* The WAL is folded into the file at this size, or at this part of a small file's limit. */
#define WAL_BYTES (1024 * 1024)
#define WAL_PART 64
/* A file that is made now gets small pages: a batch of 2.6 kB takes six of them and not one of 4
 * KiB for itself, and a commit writes the changed parts only (decision 0008). */
#define NEW_FILE "PRAGMA page_size=512;"
/* Page caches in KiB: one writer, and a few readers that scan once. */
/* Debian's SQLite overwrites what is deleted: each batch would be written to flash once more when
 * it goes. What is forgotten here has been sent to others. */
#define WRITER_CACHE "PRAGMA cache_size=-128; PRAGMA secure_delete=OFF;"
#define READER_CACHE "PRAGMA cache_size=-64;"

static const char *const sql[STORE_SQLS] = {
#define STORE_SQL(id, text) [id] = text,
#include "gateway/store/sql.def"
#undef STORE_SQL
};

/* Whether a read of this file has failed since the last such question. The file keeps the errno of
 * its last failed read, and a read behind its end puts it back to none. */
static bool read_failed(sqlite3_file *f)
{
    int os = 0;
    sqlite3_int64 end = 0;
    char nothing;
    if (!f || !f->pMethods || f->pMethods->xFileControl(f, SQLITE_FCNTL_LAST_ERRNO, &os) ||
        !(os == EIO || os == ENXIO))
        return false;
    if (f->pMethods->xFileSize(f, &end) == SQLITE_OK)
        (void)f->pMethods->xRead(f, &nothing, 1, end);
    return true;
}

bool store_db_unread(struct store_db *d)
{
    sqlite3_file *db = NULL, *wal = NULL;
    (void)sqlite3_file_control(d->h, "main", SQLITE_FCNTL_FILE_POINTER, &db);
    (void)sqlite3_file_control(d->h, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
    bool failed = read_failed(db);
    failed = read_failed(wal) || failed;
    d->unread = d->unread || failed;
    return failed;
}

/* SQLite tells of a full disk, not of a quota or of a mount that turned read-only; and of damage
 * where a read failed, which may go better the next time. */
static int better_code(struct store_db *d, int code)
{
    int os = sqlite3_system_errno(d->h);
    if ((code & 0xff) == SQLITE_CORRUPT && store_db_unread(d))
        return SQLITE_IOERR_CORRUPTFS;
    if ((code & 0xff) != SQLITE_IOERR && (code & 0xff) != SQLITE_CANTOPEN)
        return code;
    return os == EDQUOT || os == ENOSPC ? SQLITE_FULL : os == EROFS ? SQLITE_READONLY : code;
}

/* What to do, for the mistakes that a technician can mend. */
static const char *advice(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return ": the disk, its quota or store.max_size is full; free space";
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return ": it cannot be written; check its owner, its mode and whether the mount is "
               "read-only";
    case SQLITE_CANTOPEN:
        return ": check that the folder exists and that this user may use it";
    case SQLITE_NOTADB:
        return ": not a fieldpost database; move it away or name another store.path";
    case SQLITE_CORRUPT:
        return ": damaged; start the gateway, which sets it aside and rescues what is readable";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ": another program holds it; close that one";
    case SQLITE_IOERR:
        return ": the storage fails; check the card and the kernel log";
    default:
        return "";
    }
}

void store_db_cut_advice(char *text)
{
    static const int of[] = {SQLITE_NOTADB, SQLITE_CORRUPT};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        char *at = strstr(text, advice(of[i]));
        if (at)
            *at = '\0';
    }
}

static enum st status_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return ST_FULL;
    case SQLITE_NOMEM:
        return ST_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ST_BUSY;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return ST_CORRUPT;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return ST_REFUSED;
    case SQLITE_CONSTRAINT:
        return ST_CONFLICT;
    default:
        return ST_IO;
    }
}

enum st store_db_fail(struct store_db *d, const char *doing, struct err *e)
{
    int told = d->h ? sqlite3_extended_errcode(d->h) : SQLITE_NOMEM;
    int code = d->h ? better_code(d, told) : told;
    if (code == SQLITE_FULL)
        d->full = sqlite3_system_errno(d->h) == EDQUOT ? EDQUOT : ENOSPC;
    if (d->suspect && status_of(code) == ST_CORRUPT)
        atomic_store(d->suspect, true);
    return err_set(e, status_of(code), "store %s: %s: %s%s", d->path ? d->path : "?", doing,
                   d->h && code == told ? sqlite3_errmsg(d->h) : sqlite3_errstr(code),
                   advice(code));
}

static enum st exec(struct store_db *d, const char *text, struct err *e)
{
    return sqlite3_exec(d->h, text, NULL, NULL, NULL) == SQLITE_OK ? ST_OK
                                                                   : store_db_fail(d, "open", e);
}

/* Creates the file for its owner alone: SQLite gives its WAL the same mode. */
static enum st make_private(const char *path, struct err *e)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(e, ST_IO, "store %s: %s%s", path, strerror(errno),
                       errno == ENOENT ? ": create its folder, or change store.path"
                                       : advice(SQLITE_PERM));
    close(fd);
    return ST_OK;
}

enum st store_db_open(struct store_db *d, const char *path, bool readonly, struct err *e)
{
    *d = (struct store_db){.lock = -1};
    d->path = strdup(path);
    if (!d->path)
        return err_set(e, ST_MEMORY, "store %s: no memory", path);
    enum st st = readonly ? ST_OK : make_private(path, e);
    int flags = readonly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    if (st == ST_OK && sqlite3_open_v2(path, &d->h, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        st = store_db_fail(d, "open", e);
    if (st == ST_OK) {
        sqlite3_extended_result_codes(d->h, 1);
        sqlite3_busy_timeout(d->h, BUSY_MS);
        /* Until it is known to be whole, closing it leaves database and WAL as they are. */
        sqlite3_db_config(d->h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        st = exec(d, readonly ? READER_CACHE : WRITER_CACHE, e);
    }
    /* The first read of the file: tells a database from anything else. */
    if (st == ST_OK)
        st = exec(d,
                  readonly ? "PRAGMA query_only=ON; SELECT count(*) FROM sqlite_schema"
                           : NEW_FILE "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
                  e);
    if (st != ST_OK)
        store_db_close(d);
    return st;
}

void store_db_close(struct store_db *d)
{
    for (int i = 0; i < STORE_SQLS; i++)
        sqlite3_finalize(d->stmt[i]);
    sqlite3_close(d->h);
    if (d->lock >= 0) /* only now: closing any descriptor drops SQLite's own locks on the file */
        close(d->lock);
    free(d->path);
    *d = (struct store_db){.lock = -1, .unread = d->unread};
}

static enum st user_version(struct store_db *d, int *v, struct err *e)
{
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(d->h, "PRAGMA user_version", -1, &q, NULL) != SQLITE_OK ||
        sqlite3_step(q) != SQLITE_ROW) {
        sqlite3_finalize(q);
        return store_db_fail(d, "read its version", e);
    }
    *v = sqlite3_column_int(q, 0);
    sqlite3_finalize(q);
    return ST_OK;
}

int store_db_version(void)
{
    return SCHEMA_VERSION;
}

enum st store_db_migrate(struct store_db *d, struct err *e)
{
    int have = 0;
    enum st st = user_version(d, &have, e);
    if (st != ST_OK)
        return st;
    if (have > SCHEMA_VERSION)
        return err_set(e, ST_UNSUPPORTED,
                       "store %s: written by a newer fieldpost (schema %d, this one knows %d); "
                       "install that version again, the file is untouched",
                       d->path, have, SCHEMA_VERSION);
    for (int v = have; v < SCHEMA_VERSION; v++) {
        char set[256]; /* the version once more, in a table: a flipped head contradicts it */
        snprintf(set, sizeof set,
                 "PRAGMA user_version=%d; PRAGMA application_id=%d; "
                 "INSERT OR REPLACE INTO meta VALUES ('schema', %d)",
                 v + 1, STORE_APPLICATION_ID, v + 1);
        st = exec(d, "BEGIN IMMEDIATE", e);
        if (st != ST_OK)
            return st;
        st = exec(d, (const char *)schema[v].sql, e);
        if (st == ST_OK && schema[v].fill)
            st = schema[v].fill(d, e);
        if (st == ST_OK)
            st = exec(d, set, e);
        if (st == ST_OK)
            st = exec(d, "COMMIT", e);
        if (st != ST_OK) {
            sqlite3_exec(d->h, "ROLLBACK", NULL, NULL, NULL);
            return st;
        }
    }
    return ST_OK;
}

enum st store_db_pages(struct store_db *d, struct store_pages *out, struct err *e)
{
    sqlite3_stmt *q = store_db_use(d, SQL_PAGES, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_row(d, q, e));
    *out = (struct store_pages){.used = sqlite3_column_int64(q, 0),
                                .bytes = sqlite3_column_int64(q, 1),
                                .all = sqlite3_column_int64(q, 2)};
    sqlite3_reset(q);
    return ST_OK;
}

enum st store_db_limit(struct store_db *d, int64_t bytes, struct err *e)
{
    struct store_pages p;
    ERR_TRY(store_db_pages(d, &p, e));
    int64_t page = p.bytes, pages = bytes / page;
    int64_t wal = pages / WAL_PART < WAL_BYTES / page ? pages / WAL_PART : WAL_BYTES / page;
    char set[96];
    (void)snprintf(set, sizeof set, "PRAGMA max_page_count=%lld; PRAGMA wal_autocheckpoint=%lld",
                   (long long)pages, (long long)(wal > 0 ? wal : 1));
    d->wal_bytes = wal * page;
    return exec(d, set, e);
}

enum st store_db_bytes(struct store_db *d, int64_t *bytes, struct err *e)
{
    struct store_pages p;
    ERR_TRY(store_db_pages(d, &p, e));
    *bytes = p.all * p.bytes;
    return ST_OK;
}

enum st store_db_own(struct store_db *d, struct err *e)
{
    d->lock = open(d->path, O_RDWR | O_CLOEXEC);
    if (d->lock < 0)
        return err_set(e, ST_IO, "store %s: %s", d->path, strerror(errno));
    if (flock(d->lock, LOCK_EX | LOCK_NB) == 0)
        return ST_OK;
    return err_set(e, ST_BUSY, "store %s: another fieldpost runs on it; stop that one first",
                   d->path);
}

sqlite3_stmt *store_db_use(struct store_db *d, enum store_sql id, struct err *e)
{
    sqlite3_stmt **q = &d->stmt[id];
    if (!*q &&
        sqlite3_prepare_v3(d->h, sql[id], -1, SQLITE_PREPARE_PERSISTENT, q, NULL) != SQLITE_OK) {
        (void)store_db_fail(d, "prepare", e);
        return NULL;
    }
    sqlite3_reset(*q);
    sqlite3_clear_bindings(*q);
    return *q;
}

enum st store_db_row(struct store_db *d, sqlite3_stmt *q, struct err *e)
{
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW)
        return ST_OK;
    enum st st = ST_NOT_FOUND;
    if (rc != SQLITE_DONE)
        st = store_db_fail(d, "read", e);
    sqlite3_reset(q);
    return st;
}

enum st store_db_has(struct store_db *d, enum store_sql id, int64_t v, struct err *e)
{
    sqlite3_stmt *q = store_db_use(d, id, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, v);
    enum st st = store_db_row(d, q, e);
    sqlite3_reset(q);
    return st;
}

enum st store_db_run(struct store_db *d, sqlite3_stmt *q, struct err *e)
{
    enum st st = ST_OK;
    if (sqlite3_step(q) != SQLITE_DONE)
        st = store_db_fail(d, "write", e);
    sqlite3_reset(q);
    sqlite3_clear_bindings(q);
    return st;
}

sqlite3_stmt *store_db_ask(struct store_db *d, enum store_sql id, size_t n, const int64_t *v,
                           struct err *e)
{
    sqlite3_stmt *q = store_db_use(d, id, e);
    for (size_t i = 0; q && i < n; i++)
        sqlite3_bind_int64(q, (int)i + 1, v[i]);
    return q;
}

enum st store_db_int(struct store_db *d, enum store_sql id, size_t n, const int64_t *v,
                     int64_t *out, struct err *e)
{
    sqlite3_stmt *q = store_db_ask(d, id, n, v, e);
    if (!q)
        return ST_IO;
    ERR_TRY(store_db_row(d, q, e));
    bool is = sqlite3_column_type(q, 0) != SQLITE_NULL;
    *out = sqlite3_column_int64(q, 0);
    sqlite3_reset(q);
    return is ? ST_OK : ST_NOT_FOUND;
}

enum st store_db_do(struct store_db *d, enum store_sql id, size_t n, const int64_t *v,
                    struct err *e)
{
    sqlite3_stmt *q = store_db_ask(d, id, n, v, e);
    return q ? store_db_run(d, q, e) : ST_IO;
}

/* What could not be rolled back when it failed (no memory, say) must not hold up all that follows,
 * nor take it into a transaction that nobody will commit. */
static enum st roll_back(struct store_db *d, struct err *e)
{
    if (sqlite3_get_autocommit(d->h))
        return ST_OK;
    return store_db_do(d, SQL_ROLLBACK, 0, NULL, e);
}

enum st store_db_begin(struct store_db *d, struct err *e)
{
    ERR_TRY(roll_back(d, e));
    return store_db_do(d, SQL_BEGIN, 0, NULL, e);
}

enum st store_db_end(struct store_db *d, enum st st, struct err *e)
{
    if (st == ST_OK) {
        st = store_db_do(d, SQL_COMMIT, 0, NULL, e);
        if (st == ST_OK)
            return ST_OK;
    }
    /* A failed COMMIT may or may not have ended the transaction already. */
    (void)!roll_back(d, NULL);
    return st;
}
