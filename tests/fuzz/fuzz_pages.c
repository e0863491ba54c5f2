/* The reader of a damaged database and its WAL, page by page. The input is four bytes with the
 * length of the database (big-endian), the database, and the WAL. Beside the sanitizers: a blob is
 * never longer than allowed, and a page that is asked twice answers alike. */
// uses: store
// seeds: tests/fuzz/corpus/pages/*.hex
#include <string.h>
#include <unistd.h>

#include "gateway/store/page.h"
#include "tests/fuzz/fuzz.h"

#define PAGES_MAX 4096 /* of one input; a head may promise more */

static char db[64], wal[64];

static void done(void)
{
    (void)unlink(db);
    (void)unlink(wal);
}

static void write_file(const char *path, const uint8_t *p, size_t n)
{
    FILE *f = fopen(path, "w");
    demand(f && fwrite(p, 1, n, f) == n && fclose(f) == 0);
}

struct seen {
    uint64_t rows, bytes;
    bool far;
};

static enum st each(void *ctx, int64_t rowid, struct wire_span blob, struct err *e)
{
    struct seen *s = ctx;
    (void)e;
    demand(blob.n <= 2 * (size_t)WIRE_BATCH_MAX);
    s->rows++;
    for (size_t i = 0; i < blob.n; i++) /* all of it may be read */
        s->bytes += blob.p[i];
    s->far = s->far || blob.n == 699 || rowid > 4;
    return ST_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct store_pages *p = NULL;
    struct store_page_head h;
    struct seen a = {0}, b = {0};
    if (n < 4)
        return 0;
    size_t cut = (size_t)data[0] << 24 | (size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3];
    cut = cut < n - 4 ? cut : n - 4;
    if (!db[0]) {
        (void)snprintf(db, sizeof db, "/dev/shm/fuzz-pages-%ld.db", (long)getpid());
        (void)snprintf(wal, sizeof wal, "%s-wal", db);
        demand(atexit(done) == 0);
    }
    write_file(db, data + 4, cut);
    write_file(wal, data + 4 + cut, n - 4 - cut);
    store_page_head(db, &h);
    demand(h.file_bytes == (int64_t)cut && (h.sqlite || !h.sane));
    (void)store_wal_is_damaged(db);
    demand(!store_pages_open(&p, db, NULL));
    int64_t pages = store_pages_count(p);
    demand(pages >= 0);
    for (int64_t i = 0; i < pages && i < PAGES_MAX; i++) {
        demand(!store_pages_rows(p, i, each, &a, NULL));
        demand(!store_pages_rows(p, i, each, &b, NULL));
    }
    demand(a.rows == b.rows && a.bytes == b.bytes);
    PLANT(a.far);
    store_pages_close(p);
    return 0;
}
