#include "gateway/store/page.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_BYTES 100
#define WAL_HEAD_BYTES 32
#define FRAME_HEAD_BYTES 24
#define PAGE_MAX 65536
#define FRAMES_MAX 262144 /* of a WAL: 128 MiB of small pages; ours folds at 4 MiB */
#define BLOB_MAX (2 * (uint64_t)WIRE_BATCH_MAX)
#define LEAF 0x0d /* a leaf of a table */

static const char magic[16] = "SQLite format 3";

struct frame {
    uint32_t page, at; /* its place in the WAL, from 0 */
    bool fits;         /* its checksum; the rows of one that does not may be whole all the same */
};
struct store_pages {
    int db, wal;
    int64_t db_bytes;
    uint32_t size[2]; /* of a page; where it is not known, the two that our files have */
    size_t nsize;
    uint32_t wal_size;
    struct frame *frame; /* by page, then by age */
    size_t nframe;
    uint8_t page[PAGE_MAX], over[PAGE_MAX];
    struct buf row;
};

static uint32_t get16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) << 16 | get16(p + 2);
}

static bool read_all(int fd, int64_t at, void *to, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(fd, (uint8_t *)to + done, n - done, at + (int64_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

static bool is_page_size(uint32_t n)
{
    return n >= 512 && n <= PAGE_MAX && (n & (n - 1)) == 0;
}

static int64_t bytes_of(int fd)
{
    struct stat sb;
    return fd >= 0 && fstat(fd, &sb) == 0 ? sb.st_size : 0;
}

/* ---- heads ---- */

static uint32_t head_page_size(const uint8_t *h)
{
    uint32_t n = get16(h + 16);
    return n == 1 ? PAGE_MAX : n;
}

static bool head_is_sane(const uint8_t *h)
{
    static const uint8_t fixed[] = {0, 64, 32, 32}; /* reserved bytes, and three constants */
    return is_page_size(head_page_size(h)) && h[18] >= 1 && h[18] <= 2 && h[19] == h[18] &&
           memcmp(h + 20, fixed, sizeof fixed) == 0 && get32(h + 44) <= 4 && get32(h + 56) <= 1;
}

void store_page_head(const char *path, struct store_page_head *out)
{
    uint8_t h[HEAD_BYTES];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *out = (struct store_page_head){.file_bytes = fd < 0 ? -1 : bytes_of(fd)};
    if (fd < 0)
        return;
    if (read_all(fd, 0, h, sizeof h)) {
        out->sqlite = memcmp(h, magic, sizeof magic) == 0;
        out->sane = out->sqlite && head_is_sane(h);
        out->ours = get32(h + 68) == STORE_APPLICATION_ID;
    }
    close(fd);
}

/* ---- the WAL ---- */

struct wal {
    int fd;
    uint32_t page_size;
    bool big; /* its checksums take big-endian words */
    uint8_t salt[8];
    int64_t frames;
};

static void checksum(const struct wal *w, const uint8_t *p, size_t n, uint32_t sum[2])
{
    for (size_t i = 0; i < n; i += 8) {
        uint32_t x[2];
        memcpy(x, p + i, sizeof x);
        sum[0] += (w->big ? be32toh(x[0]) : le32toh(x[0])) + sum[1];
        sum[1] += (w->big ? be32toh(x[1]) : le32toh(x[1])) + sum[0];
    }
}

static int64_t frame_at(const struct wal *w, int64_t i)
{
    return WAL_HEAD_BYTES + i * (FRAME_HEAD_BYTES + (int64_t)w->page_size);
}

/* page_size: of the database, 0 when it is not known; it is believed more than a damaged head. */
static bool wal_open(struct wal *w, const char *db_path, uint32_t page_size)
{
    char name[4096];
    uint8_t h[WAL_HEAD_BYTES];
    uint32_t sum[2] = {0, 0};
    *w = (struct wal){.fd = -1};
    if (snprintf(name, sizeof name, "%s-wal", db_path) >= (int)sizeof name)
        return false;
    w->fd = open(name, O_RDONLY | O_CLOEXEC);
    if (w->fd < 0 || !read_all(w->fd, 0, h, sizeof h))
        return false;
    w->big = h[3] & 1;
    checksum(w, h, 24, sum);
    bool whole = sum[0] == get32(h + 24) && sum[1] == get32(h + 28);
    w->page_size = page_size && !whole ? page_size : get32(h + 8);
    if (!is_page_size(w->page_size) ||
        (!whole && !read_all(w->fd, frame_at(w, 0) + 8, h + 16, sizeof w->salt)))
        return false;
    memcpy(w->salt, h + 16, sizeof w->salt);
    w->frames = (bytes_of(w->fd) - WAL_HEAD_BYTES) / (FRAME_HEAD_BYTES + (int64_t)w->page_size);
    if (w->frames > FRAMES_MAX)
        w->frames = FRAMES_MAX;
    return true;
}

/* Whether the frame fits the checksum that stands in the one before it (or in the head). */
static bool frame_fits(const struct wal *w, int64_t i, uint8_t head[FRAME_HEAD_BYTES],
                       uint8_t *page)
{
    uint8_t seed[8];
    int64_t before = i ? frame_at(w, i - 1) + 16 : 24;
    if (!read_all(w->fd, before, seed, sizeof seed) ||
        !read_all(w->fd, frame_at(w, i), head, FRAME_HEAD_BYTES) ||
        !read_all(w->fd, frame_at(w, i) + FRAME_HEAD_BYTES, page, w->page_size) ||
        memcmp(head + 8, w->salt, sizeof w->salt) != 0)
        return false;
    uint32_t sum[2] = {get32(seed), get32(seed + 4)};
    checksum(w, head, 8, sum);
    checksum(w, page, w->page_size, sum);
    return sum[0] == get32(head + 16) && sum[1] == get32(head + 20);
}

bool store_wal_is_damaged(const char *db_path)
{
    struct wal w = {.fd = -1};
    uint8_t head[FRAME_HEAD_BYTES], *page = malloc(PAGE_MAX);
    bool wrong = false;
    int commits = 0;
    if (page && wal_open(&w, db_path, 0))
        for (int64_t i = 0; i < w.frames && commits < 2; i++) {
            bool fits = frame_fits(&w, i, head, page);
            wrong = wrong || !fits;
            commits += wrong && fits && get32(head + 4) > 0;
        }
    if (w.fd >= 0)
        close(w.fd);
    free(page);
    return commits >= 2;
}

static int by_page(const void *va, const void *vb)
{
    const struct frame *a = va, *b = vb;
    if (a->page != b->page)
        return a->page < b->page ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

/* Lists the WAL's frames, whole or not: what is read from them is proved by other means. */
static enum st list_frames(struct store_pages *p, const struct wal *w, struct err *e)
{
    p->frame = calloc((size_t)w->frames + 1, sizeof *p->frame);
    if (!p->frame)
        return err_set(e, ST_MEMORY, "rescue: no memory");
    for (int64_t i = 0; i < w->frames; i++) {
        uint8_t head[FRAME_HEAD_BYTES];
        bool fits = frame_fits(w, i, head, p->page);
        if (read_all(w->fd, frame_at(w, i), head, sizeof head) &&
            memcmp(head + 8, w->salt, sizeof w->salt) == 0)
            p->frame[p->nframe++] = (struct frame){get32(head), (uint32_t)i, fits};
    }
    qsort(p->frame, p->nframe, sizeof *p->frame, by_page);
    return ST_OK;
}

/* The newest frame of a page that fits; false: the WAL has none. */
static bool newest_frame(const struct store_pages *p, uint32_t page, uint32_t *at)
{
    size_t low = 0, high = p->nframe; /* the first entry of a later page */
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (p->frame[mid].page <= page)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low > 0 && p->frame[low - 1].page == page; low--)
        if (p->frame[low - 1].fits) {
            *at = p->frame[low - 1].at;
            return true;
        }
    return false;
}

/* ---- open ---- */

static enum st open_files(struct store_pages *p, const char *path, struct err *e)
{
    uint8_t h[HEAD_BYTES];
    struct wal w;
    uint32_t size = 0;
    enum st st = ST_OK;
    p->db = open(path, O_RDONLY | O_CLOEXEC);
    p->db_bytes = bytes_of(p->db);
    if (p->db >= 0 && read_all(p->db, 0, h, sizeof h) && memcmp(h, magic, sizeof magic) == 0 &&
        is_page_size(head_page_size(h)))
        size = head_page_size(h);
    if (wal_open(&w, path, size)) {
        p->wal_size = w.page_size;
        st = list_frames(p, &w, e);
    }
    p->wal = w.fd;
    if (size || p->wal_size)
        p->size[p->nsize++] = size ? size : p->wal_size;
    else { /* what this version makes, and SQLite's default, which earlier ones took */
        p->size[p->nsize++] = 512;
        p->size[p->nsize++] = 4096;
    }
    return st;
}

enum st store_pages_open(struct store_pages **out, const char *path, struct err *e)
{
    struct store_pages *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(e, ST_MEMORY, "rescue: no memory");
    p->db = p->wal = -1;
    buf_init(&p->row, BLOB_MAX + PAGE_MAX);
    enum st st = open_files(p, path, e);
    if (st != ST_OK) {
        store_pages_close(p);
        return st;
    }
    *out = p;
    return ST_OK;
}

void store_pages_close(struct store_pages *p)
{
    if (!p)
        return;
    if (p->db >= 0)
        close(p->db);
    if (p->wal >= 0)
        close(p->wal);
    buf_done(&p->row);
    free(p->frame);
    free(p);
}

int64_t store_pages_count(const struct store_pages *p)
{
    int64_t n = (int64_t)p->nframe;
    for (size_t i = 0; i < p->nsize; i++)
        n += p->db_bytes / p->size[i];
    return n;
}

/* ---- one page ---- */

static bool read_frame(const struct store_pages *p, uint32_t at, uint8_t *to)
{
    int64_t where = WAL_HEAD_BYTES + (int64_t)at * (FRAME_HEAD_BYTES + (int64_t)p->wal_size);
    return read_all(p->wal, where + FRAME_HEAD_BYTES, to, p->wal_size);
}

/* Page `page` (from 1) as it was last written. */
static bool read_page(const struct store_pages *p, uint32_t size, uint32_t page, uint8_t *to)
{
    uint32_t at;
    if (page == 0)
        return false;
    if (size == p->wal_size && newest_frame(p, page, &at))
        return read_frame(p, at, to);
    return read_all(p->db, ((int64_t)page - 1) * size, to, size);
}

/* SQLite's varint at *at of n bytes. */
static bool varint(const uint8_t *p, size_t n, size_t *at, uint64_t *out)
{
    *out = 0;
    for (int i = 0; i < 9 && *at < n; i++) {
        uint8_t b = p[(*at)++];
        if (i == 8) {
            *out = *out << 8 | b;
            return true;
        }
        *out = *out << 7 | (b & 0x7f);
        if (!(b & 0x80))
            return true;
    }
    return false;
}

/* Bytes of a payload that lie on the leaf itself; the rest is on overflow pages. */
static uint64_t local_bytes(uint64_t payload, uint32_t size)
{
    uint64_t most = size - 35, least = (size - 12) * 32 / 255 - 23;
    if (payload <= most)
        return payload;
    uint64_t n = least + (payload - least) % (size - 4);
    return n <= most ? n : least;
}

/* The whole payload of the cell at `at` into p->row. */
static bool read_cell(struct store_pages *p, uint32_t size, size_t at, int64_t *rowid)
{
    uint64_t payload, id;
    if (!varint(p->page, size, &at, &payload) || !varint(p->page, size, &at, &id) || payload < 3 ||
        payload > BLOB_MAX)
        return false;
    uint64_t here = local_bytes(payload, size);
    bool more = here < payload;
    if (at + here + (more ? 4 : 0) > size)
        return false;
    p->row.n = 0;
    if (buf_put(&p->row, p->page + at, here) != ST_OK)
        return false;
    uint32_t next = more ? get32(p->page + at + here) : 0;
    while (p->row.n < payload) {
        uint64_t left = payload - p->row.n;
        if (!read_page(p, size, next, p->over) ||
            buf_put(&p->row, p->over + 4, left < size - 4 ? left : size - 4) != ST_OK)
            return false;
        next = get32(p->over);
    }
    *rowid = (int64_t)id;
    return true;
}

/* Whether the row is (NULL, blob): NULL stands for the rowid. */
static bool is_blob_row(const struct buf *row, struct wire_span *blob)
{
    uint64_t head, first, second;
    size_t at = 0;
    if (!varint(row->p, row->n, &at, &head) || head > row->n ||
        !varint(row->p, head, &at, &first) || !varint(row->p, head, &at, &second) || at != head ||
        first != 0 || second < 12 || second % 2 != 0 || (second - 12) / 2 != row->n - head)
        return false;
    *blob = (struct wire_span){row->p + head, row->n - head};
    return true;
}

static bool read_unit(struct store_pages *p, int64_t i, uint32_t *size, uint32_t *page)
{
    if (i < (int64_t)p->nframe) {
        *size = p->wal_size;
        *page = p->frame[i].page;
        return read_frame(p, p->frame[i].at, p->page);
    }
    i -= (int64_t)p->nframe;
    for (size_t k = 0; k < p->nsize; k++) {
        int64_t n = p->db_bytes / p->size[k];
        if (i < n) {
            *size = p->size[k];
            *page = (uint32_t)i + 1;
            return read_all(p->db, i * p->size[k], p->page, *size);
        }
        i -= n;
    }
    return false;
}

enum st store_pages_rows(struct store_pages *p, int64_t i,
                         enum st (*each)(void *ctx, int64_t rowid, struct wire_span blob,
                                         struct err *e),
                         void *ctx, struct err *e)
{
    uint32_t size = 0, page = 0;
    if (!read_unit(p, i, &size, &page))
        return ST_OK;
    size_t start = page == 1 ? HEAD_BYTES : 0;
    uint32_t cells = get16(p->page + start + 3);
    if (p->page[start] != LEAF || start + 8 + 2 * (size_t)cells > size)
        return ST_OK;
    for (uint32_t c = 0; c < cells; c++) {
        int64_t rowid;
        struct wire_span blob;
        if (read_cell(p, size, get16(p->page + start + 8 + 2 * (size_t)c), &rowid) &&
            is_blob_row(&p->row, &blob))
            ERR_TRY(each(ctx, rowid, blob, e));
    }
    return ST_OK;
}
