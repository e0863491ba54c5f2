/* A copy of the store while its gateway runs. SQLite's backup starts over when the store has
 * changed between two steps; a store that seals every few minutes stands still long enough, and
 * for one that does not the last try copies in one piece. */
#include "gateway/store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEP_BYTES (1024 * 1024) /* of one read transaction */
#define STARTS 3                 /* so often the whole may be copied in steps */
#define SEALS 5                  /* so often one may come between the database and its journal */

struct copy {
    struct store_db from, to; /* the copy under its name while it is not whole */
    const char *name;         /* what it is to be called */
};

static enum st exec(struct store_db *d, const char *text, struct err *e)
{
    return sqlite3_exec(d->h, text, NULL, NULL, NULL) == SQLITE_OK ? ST_OK
                                                                   : store_db_fail(d, "copy", e);
}

/* A new file of this user alone. Nothing of it need be synced before it is whole. */
static enum st make_new(struct copy *c, struct err *e)
{
    if (access(c->name, F_OK) == 0)
        return err_set(e, ST_CONFLICT, "%s exists already: name another file", c->name);
    if (asprintf(&c->to.path, "%s.part", c->name) < 0) {
        c->to.path = NULL;
        return err_set(e, ST_MEMORY, "%s: no memory", c->name);
    }
    (void)unlink(c->to.path); /* of a backup that was killed */
    int fd = open(c->to.path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(e, ST_IO, "%s: cannot be made: %s", c->to.path, strerror(errno));
    close(fd);
    if (sqlite3_open_v2(c->to.path, &c->to.h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK)
        return store_db_fail(&c->to, "open", e);
    return exec(&c->to, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF", e);
}

static enum st copy_pages(struct copy *c, struct err *e)
{
    struct store_pages pages;
    int rc = SQLITE_OK;
    ERR_TRY(store_db_pages(&c->from, &pages, e));
    int step = (int)(STEP_BYTES / pages.bytes);
    sqlite3_backup *b = sqlite3_backup_init(c->to.h, "main", c->from.h, "main");
    if (!b)
        return store_db_fail(&c->to, "copy", e);
    for (int64_t left = STARTS * pages.used; rc == SQLITE_OK; left -= step)
        rc = sqlite3_backup_step(b, left > 0 ? step : -1);
    (void)sqlite3_backup_finish(b); /* its error is the step's */
    if (rc == SQLITE_DONE)
        return ST_OK;
    return err_set(e, rc == SQLITE_FULL ? ST_FULL : ST_IO, "%s: %s%s", c->to.path,
                   sqlite3_errstr(rc), rc == SQLITE_FULL ? ": free space there" : "");
}

/* A record of the journal's file goes where a seal puts what it leaves over: one file is all. */
static enum st add_record(void *ctx, struct wire_span payload, struct err *e)
{
    struct copy *c = ctx;
    sqlite3_stmt *q = store_db_use(&c->to, SQL_JOURNAL_ADD, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_blob64(q, 1, payload.p, payload.n, SQLITE_STATIC);
    return store_db_run(&c->to, q, e);
}

/* *moved: a seal came between, and what the file held for the copy may be overwritten, or what
 * waited beside the store is sealed and in neither. */
static enum st copy_journal(struct copy *c, bool *moved, struct err *e)
{
    struct store_jfile j;
    int64_t epoch = 0, now = 0, newest = 0, by_now = 0;
    ERR_TRY(store_db_int(&c->to, SQL_EPOCH, 0, NULL, &epoch, e));
    ERR_TRY(store_db_int(&c->to, SQL_NEWEST, 0, NULL, &newest, e));
    ERR_TRY(store_jfile_open(&j, c->from.path, true, e));
    enum st st = store_jfile_each(&j, (uint64_t)epoch, add_record, c, e);
    store_jfile_close(&j);
    if (st == ST_OK)
        st = store_db_int(&c->from, SQL_EPOCH, 0, NULL, &now, e);
    if (st == ST_OK)
        st = store_db_int(&c->from, SQL_NEWEST, 0, NULL, &by_now, e);
    *moved = now != epoch || by_now != newest;
    return st;
}

static enum st copy_all(struct copy *c, struct err *e)
{
    bool moved = true;
    enum st st = ST_OK;
    for (int i = 0; i < SEALS && moved && st == ST_OK; i++) {
        st = copy_pages(c, e);
        if (st == ST_OK)
            st = store_beside_copy(&c->to, c->from.path, e);
        if (st == ST_OK)
            st = copy_journal(c, &moved, e);
    }
    return st == ST_OK && moved
               ? err_set(e, ST_BUSY,
                         "store %s: windows are sealed faster than it can be copied; try again",
                         c->from.path)
               : st;
}

static enum st drop_meta(struct copy *c, const char *key, struct err *e)
{
    sqlite3_stmt *q = store_db_use(&c->to, SQL_META_DROP, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
    return store_db_run(&c->to, q, e);
}

/* Who wakes up on the copy must not go on with the chain: the machine that this store is of does
 * so itself. A store without a machine begins another. And no journal file that lies beside the
 * place where it is restored may count: its epoch leaps ahead. */
static enum st part_ways(struct copy *c, struct err *e)
{
    uint32_t leap = 0;
    int64_t epoch = 0;
    ERR_TRY(drop_meta(c, STORE_META_MACHINE, e));
    ERR_TRY(drop_meta(c, "epoch", e)); /* of a store without any chain: it draws another */
    ERR_TRY(wire_random(&leap, sizeof leap, e));
    ERR_TRY(store_db_int(&c->to, SQL_EPOCH, 0, NULL, &epoch, e));
    sqlite3_stmt *q = store_db_use(&c->to, SQL_EPOCH_SET, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, epoch + 1 + leap);
    ERR_TRY(store_db_run(&c->to, q, e));
    return exec(&c->to, "PRAGMA journal_mode=DELETE", e); /* folds the WAL: one file is all */
}

static enum st sync_path(const char *path, int flags, struct err *e)
{
    int fd = open(path, flags | O_CLOEXEC);
    enum st st = fd >= 0 && fsync(fd) == 0
                     ? ST_OK
                     : err_set(e, ST_IO, "%s: cannot be synced: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return st;
}

/* From here the copy has its name, and keeps it through a power cut. */
static enum st finish(struct copy *c, struct err *e)
{
    ERR_TRY(sync_path(c->to.path, O_RDWR, e));
    if (access(c->name, F_OK) == 0 || rename(c->to.path, c->name) != 0)
        return err_set(e, ST_CONFLICT, "%s cannot be made: another file may have that name",
                       c->name);
    char *copy = strdup(c->name);
    enum st st = copy ? sync_path(dirname(copy), O_RDONLY | O_DIRECTORY, e)
                      : err_set(e, ST_MEMORY, "%s: no memory", c->name);
    free(copy);
    return st;
}

static void drop_part(const char *path)
{
    static const char *const tails[] = {"", "-wal", "-shm"};
    char name[4096];
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++)
        if (snprintf(name, sizeof name, "%s%s", path, tails[i]) < (int)sizeof name)
            (void)unlink(name);
}

enum st store_backup(const char *path, const char *to, struct err *e)
{
    struct copy c = {.from = {.lock = -1}, .to = {.lock = -1}, .name = to};
    enum st st = store_db_open(&c.from, path, true, e);
    if (st == ST_OK)
        st = make_new(&c, e);
    if (st == ST_OK)
        st = copy_all(&c, e);
    if (st == ST_OK)
        st = part_ways(&c, e);
    char *part = c.to.path;
    c.to.path = NULL;
    store_db_close(&c.to);
    store_db_close(&c.from);
    c.to.path = part;
    if (st == ST_OK)
        st = finish(&c, e);
    if (st != ST_OK && part)
        drop_part(part);
    free(part);
    return st;
}
