/* What lies beside the store and goes with a copy of it (store_backup): sheets of reports, and what
 * people asked for that is not sealed yet. A copy is one file, so they are rows of a table that
 * only copies have; whoever starts on a copy puts them back where they lay. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/drop.h"
#include "gateway/store/store_int.h"

#define FILE_MAX ((size_t)2 * 1024 * 1024)
#define NAME_BYTES 256 /* ".sheets/NAME" */

/* Sheets before what was asked: an act of a sheet is asked for before its file is there. */
static const struct {
    const char *folder, *end;
} kept[] = {{STORE_SHEETS, STORE_SHEET},
            {STORE_SHEETS, STORE_SHEET_NEW},
            {STORE_REQUESTS, STORE_REQUEST_WAITS}};

/* A statement on the table of copies: sql.def has only what a store can always prepare. */
static sqlite3_stmt *prepare(struct store_db *d, const char *text, struct err *e)
{
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(d->h, text, -1, &q, NULL) != SQLITE_OK)
        (void)store_db_fail(d, "prepare", e);
    return q;
}

static enum st run(struct store_db *d, const char *text, struct err *e)
{
    return sqlite3_exec(d->h, text, NULL, NULL, NULL) == SQLITE_OK ? ST_OK
                                                                   : store_db_fail(d, "write", e);
}

static bool ends(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

/* ---- into a copy -------------------------------------------------------------------------------
 */

static enum st add(struct store_db *to, const char *folder_path, const char *folder,
                   const char *file, struct err *e)
{
    char path[DROP_PATH_BYTES + NAME_BYTES], name[NAME_BYTES];
    struct buf b;
    if (snprintf(path, sizeof path, "%s/%s", folder_path, file) >= (int)sizeof path ||
        snprintf(name, sizeof name, "%s/%s", folder, file) >= (int)sizeof name)
        return err_set(e, ST_BAD, "%s/%s: too long a name", folder_path, file);
    buf_init(&b, FILE_MAX);
    enum st st = wire_file_get(path, &b, e);
    sqlite3_stmt *q =
        st == ST_OK ? prepare(to, "INSERT OR REPLACE INTO beside VALUES (?1, ?2)", e) : NULL;
    if (q) {
        sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
        sqlite3_bind_blob64(q, 2, b.p, b.n, SQLITE_STATIC);
        st = store_db_run(to, q, e);
        sqlite3_finalize(q);
    } else if (st == ST_OK) {
        st = ST_IO;
    }
    buf_done(&b);
    return st == ST_NOT_FOUND ? ST_OK : st; /* the gateway has taken it meanwhile */
}

static enum st add_folder(struct store_db *to, const char *store, size_t i, struct err *e)
{
    char path[DROP_PATH_BYTES];
    enum st st = ST_OK;
    if (snprintf(path, sizeof path, "%s%s", store, kept[i].folder) >= (int)sizeof path)
        return err_set(e, ST_BAD, "store.path is too long");
    DIR *d = opendir(path);
    if (!d)
        return errno == ENOENT ? ST_OK
                               : err_set(e, ST_IO, "%s: cannot be read: %s", path, strerror(errno));
    for (const struct dirent *f; st == ST_OK && (f = readdir(d));)
        if (f->d_name[0] != '.' && ends(f->d_name, kept[i].end))
            st = add(to, path, kept[i].folder, f->d_name, e);
    (void)closedir(d);
    return st;
}

enum st store_beside_copy(struct store_db *to, const char *store, struct err *e)
{
    ERR_TRY(run(
        to, "CREATE TABLE IF NOT EXISTS beside (name TEXT PRIMARY KEY, bytes BLOB NOT NULL)", e));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        ERR_TRY(add_folder(to, store, i, e));
    return ST_OK;
}

/* ---- and back ----------------------------------------------------------------------------------
 */

/* The folder of that name and the file in it; NULL: none that a copy has. */
static const char *folder_of(const char *name, const char **file)
{
    for (size_t i = 0; name && i < sizeof kept / sizeof *kept; i++) {
        size_t n = strlen(kept[i].folder);
        if (strncmp(name, kept[i].folder, n) != 0 || name[n] != '/')
            continue;
        *file = name + n + 1;
        if ((*file)[0] != '.' && !strchr(*file, '/') && ends(*file, kept[i].end))
            return kept[i].folder;
    }
    return NULL;
}

struct back {
    unsigned n;
    char other[NAME_BYTES]; /* one that is there with other content; "" */
};

static bool is_same(const char *path, const void *p, size_t n)
{
    struct buf b;
    buf_init(&b, FILE_MAX);
    bool same = wire_file_get(path, &b, NULL) == ST_OK && b.n == n && memcmp(b.p, p, n) == 0;
    buf_done(&b);
    return same;
}

/* What lies there is newer than the copy: it stays. */
static enum st put_back(struct store *s, sqlite3_stmt *q, struct back *x, struct err *e)
{
    const char *file = NULL, *name = (const char *)sqlite3_column_text(q, 0);
    const char *folder = folder_of(name, &file);
    const void *p = sqlite3_column_blob(q, 1);
    size_t n = (size_t)sqlite3_column_bytes(q, 1);
    char folder_path[DROP_PATH_BYTES], path[DROP_PATH_BYTES + NAME_BYTES];
    int fd = -1;
    if (!folder)
        return ST_OK;
    ERR_TRY(drop_open(s->path, folder, 0700, folder_path, &fd, e));
    (void)close(fd);
    if (snprintf(path, sizeof path, "%s/%s", folder_path, file) >= (int)sizeof path)
        return err_set(e, ST_BAD, "%s: too long a name", name);
    enum st st = wire_file_put(path, p, n, 0600, false, e);
    x->n += st == ST_OK;
    if (st == ST_CONFLICT && !is_same(path, p, n))
        (void)snprintf(x->other, sizeof x->other, "%s", name);
    return st == ST_CONFLICT ? ST_OK : st;
}

static enum st put_all_back(struct store *s, struct back *x, struct err *e)
{
    sqlite3_stmt *q = prepare(&s->db, "SELECT name, bytes FROM beside ORDER BY name", e);
    enum st st = q ? ST_OK : ST_IO;
    while (st == ST_OK && (st = store_db_row(&s->db, q, e)) == ST_OK)
        st = put_back(s, q, x, e);
    sqlite3_finalize(q);
    return st == ST_NOT_FOUND ? run(&s->db, "DROP TABLE beside", e) : st;
}

/* A start that cannot write them goes on all the same: the next one tries again. */
enum st store_beside_take(struct store *s, struct err *e)
{
    struct back x = {.n = 0};
    struct err why = {.text = ""};
    int64_t is = 0;
    ERR_TRY(store_db_int(&s->db, SQL_BESIDE_IS, 0, NULL, &is, e));
    if (!is)
        return ST_OK;
    enum st st = put_all_back(s, &x, &why);
    if (st != ST_OK)
        store_event(s, STORE_WARNING, "backup.stuck", s->path,
                    "sheets of reports and requests of the copy are not put back: %s", why.text);
    else
        store_event(s, x.other[0] ? STORE_WARNING : STORE_INFO, "backup.restored", s->path,
                    "%u sheets of reports and requests are back beside it%s%s%s", x.n,
                    x.other[0] ? "; " : "", x.other,
                    x.other[0] ? " was there with other content and stays: the copy has its own"
                               : "");
    return ST_OK;
}
