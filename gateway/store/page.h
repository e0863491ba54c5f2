/* Private to the store: the raw pages of a SQLite file that is not trusted any more, and of the WAL
 * beside it. Finds the rows of two columns (rowid, blob) in every leaf of a table, whatever became
 * of the b-tree above it. Source: sqlite.org/fileformat2.html, sections 1.3, 1.6, 2.1 and 4.1.
 * Reads only; one thread. */
#ifndef GATEWAY_STORE_PAGE_H
#define GATEWAY_STORE_PAGE_H

#include "gateway/wire/wire.h"

struct store_pages;
/* Opens `path` and `path-wal`, each of which may be missing or cut short. ST_IO, ST_MEMORY. */
enum st store_pages_open(struct store_pages **out, const char *path, struct err *e) ST_MUST_CHECK;
void store_pages_close(struct store_pages *p);
/* How many pages there are to look at: those of the WAL first, then the file's. Where the page size
 * is not known the file counts once for each that our files may have. */
int64_t store_pages_count(const struct store_pages *p);
/* Calls each() for every row on page i that is a blob of at most WIRE_BATCH_MAX * 2 bytes; `blob`
 * is valid for the call. Stops with what each() returns; a page that makes no sense has no rows. */
enum st store_pages_rows(struct store_pages *p, int64_t i,
                         enum st (*each)(void *ctx, int64_t rowid, struct wire_span blob,
                                         struct err *e),
                         void *ctx, struct err *e) ST_MUST_CHECK;

/* Whether a WAL was damaged behind the back of SQLite, which would drop all that stands behind the
 * place without a word: a frame is wrong, and behind it stand two commits or more. (One may be
 * there after a power cut: the frames of the last commit reach the storage in any order.) */
bool store_wal_is_damaged(const char *db_path);
/* What the first bytes of a database file say. */
struct store_page_head {
    bool sqlite;        /* they are SQLite's */
    bool sane;          /* and the constants in them are right */
    bool ours;          /* application_id */
    int64_t file_bytes; /* -1: there is no such file */
};
#define STORE_APPLICATION_ID 0x46504f53 /* "FPOS" */
void store_page_head(const char *path, struct store_page_head *out);

#endif
