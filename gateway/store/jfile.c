/* The journal's file: records of whole 4 KiB slots, each with the epoch that it belongs to.
 *
 * A synced append here dirties one page where SQLite's WAL dirties two or three (decision 0008).
 * A seal folds the journal by one transaction: it stores the batch and moves the epoch of the
 * database on. From then on nothing in the file counts, and the next record overwrites the first:
 * no truncation, no growth, nothing to undo after a power cut.
 *
 * A record is a head and its payload, padded to whole slots. One that a power cut tore has another
 * checksum; what stands behind it was never acknowledged to anybody. */
#include "gateway/store/store_int.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOT_BYTES 4096
#define CHECK_BYTES 16
static const uint8_t magic[4] = {'F', 'P', 'J', '1'};

struct head {
    uint8_t check[CHECK_BYTES]; /* first bytes of the SHA-256 over all that follows */
    uint8_t magic[4];
    uint32_t n;     /* bytes of the payload; little endian, as the epoch is */
    uint64_t epoch; /* of the database when it was written */
};
_Static_assert(sizeof(struct head) == 32, "the record's head has no holes");

static size_t record_bytes(size_t payload)
{
    return (sizeof(struct head) + payload + SLOT_BYTES - 1) / SLOT_BYTES * SLOT_BYTES;
}

static void checksum(const uint8_t *record, size_t payload, uint8_t out[WIRE_HASH_BYTES])
{
    wire_sha256(record + CHECK_BYTES, sizeof(struct head) - CHECK_BYTES + payload, out);
}

static enum st fail(const struct store_jfile *j, const char *doing, struct err *e)
{
    int code = errno;
    bool full = code == ENOSPC || code == EDQUOT;
    return err_set(e, full ? ST_FULL : ST_IO, "journal %s: %s: %s%s", j->path, doing,
                   strerror(code),
                   full            ? ": free space"
                   : code == EROFS ? ": check the mount, the card and the kernel log"
                   : code == EIO   ? ": the storage fails; check the card and the kernel log"
                                   : "");
}

/* The file's name must be as durable as its records. */
static enum st sync_folder(const struct store_jfile *j, struct err *e)
{
    char *copy = strdup(j->path);
    if (!copy)
        return err_set(e, ST_MEMORY, "journal %s: no memory", j->path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    if (fd < 0)
        return fail(j, "open its folder", e);
    enum st st = fsync(fd) == 0 ? ST_OK : fail(j, "sync its folder", e);
    close(fd);
    return st;
}

enum st store_jfile_open(struct store_jfile *j, const char *db_path, bool readonly, struct err *e)
{
    *j = (struct store_jfile){.fd = -1, .max = STORE_JFILE_BYTES};
    if (asprintf(&j->path, "%s.journal", db_path) < 0) {
        j->path = NULL;
        return err_set(e, ST_MEMORY, "store %s: no memory", db_path);
    }
    j->fd = open(j->path, readonly ? O_RDONLY | O_CLOEXEC : O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    enum st st = ST_OK;
    if (j->fd < 0 && !(readonly && errno == ENOENT)) /* none yet: nothing waits in it */
        st = fail(j, "open", e);
    if (st == ST_OK && !readonly)
        st = sync_folder(j, e);
    if (st != ST_OK)
        store_jfile_close(j);
    return st;
}

void store_jfile_close(struct store_jfile *j)
{
    if (j->fd >= 0)
        close(j->fd);
    free(j->path);
    *j = (struct store_jfile){.fd = -1};
}

/* ---- writing ---- */

/* A failure of the disk, remembered where it is full. */
static enum st fail_write(struct store_jfile *j, const char *doing, struct err *e)
{
    if (errno == ENOSPC || errno == EDQUOT)
        j->full = errno;
    return fail(j, doing, e);
}

static enum st write_all(struct store_jfile *j, const uint8_t *p, size_t n, struct err *e)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = pwrite(j->fd, p + done, n - done, j->end + (int64_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return fail_write(j, "write", e);
        done += (size_t)got;
    }
    return ST_OK;
}

enum st store_jfile_append(struct store_jfile *j, uint64_t epoch, struct wire_span payload,
                           struct err *e)
{
    size_t n = record_bytes(payload.n);
    if (payload.n > STORE_BLOB_MAX || j->end + (int64_t)n > j->max)
        return err_set(e, ST_FULL, "journal %s: it is full until the next window is sealed",
                       j->path);
    uint8_t *record = calloc(1, n), hash[WIRE_HASH_BYTES];
    if (!record)
        return err_set(e, ST_MEMORY, "journal %s: no memory", j->path);
    struct head h = {.n = htole32((uint32_t)payload.n), .epoch = htole64(epoch)};
    memcpy(h.magic, magic, sizeof magic);
    memcpy(record, &h, sizeof h);
    memcpy(record + sizeof h, payload.p, payload.n);
    checksum(record, payload.n, hash);
    memcpy(record, hash, CHECK_BYTES);
    enum st st = write_all(j, record, n, e);
    free(record);
    if (st == ST_OK && fdatasync(j->fd) != 0)
        st = fail_write(j, "sync", e);
    if (st == ST_OK) /* else the next try writes the same slots again, whatever became of them */
        j->end += (int64_t)n;
    return st;
}

/* ---- reading ---- */

/* Reads exactly n bytes at `at`; ST_NOT_FOUND behind the end of the file. */
static enum st read_at(const struct store_jfile *j, int64_t at, uint8_t *p, size_t n, struct err *e)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(j->fd, p + done, n - done, at + (int64_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(j, "read", e);
        if (got == 0)
            return ST_NOT_FOUND;
        done += (size_t)got;
    }
    return ST_OK;
}

/* The record at `at` into b; ST_CORRUPT: no whole record of this epoch (0: of any) stands there. */
static enum st read_record(const struct store_jfile *j, int64_t at, uint64_t epoch, struct buf *b,
                           struct err *e)
{
    struct head h;
    b->n = 0;
    ERR_TRY(read_at(j, at, (uint8_t *)&h, sizeof h, e));
    size_t n = le32toh(h.n);
    if (memcmp(h.magic, magic, sizeof magic) != 0 || (epoch && le64toh(h.epoch) != epoch) ||
        n > STORE_BLOB_MAX)
        return ST_CORRUPT;
    enum st st = buf_reserve(b, sizeof h + n);
    if (st != ST_OK)
        return err_set(e, st, "journal %s: no memory", j->path);
    ERR_TRY(read_at(j, at, b->p, sizeof h + n, e));
    uint8_t hash[WIRE_HASH_BYTES];
    checksum(b->p, n, hash);
    b->n = sizeof h + n;
    return memcmp(hash, b->p, CHECK_BYTES) == 0 ? ST_OK : ST_CORRUPT;
}

enum st store_jfile_each(struct store_jfile *j, uint64_t epoch,
                         enum st (*each)(void *ctx, struct wire_span payload, struct err *e),
                         void *ctx, struct err *e)
{
    struct buf b;
    enum st st = ST_OK, told = ST_OK;
    int64_t holes = 0;
    buf_init(&b, sizeof(struct head) + STORE_BLOB_MAX);
    j->end = j->damaged = 0;
    for (int64_t at = 0; j->fd >= 0 && at < STORE_JFILE_BYTES;) {
        st = read_record(j, at, epoch, &b, e);
        if (st == ST_CORRUPT) { /* the end, or a damaged record with others behind it */
            at += SLOT_BYTES;
            holes += SLOT_BYTES;
            continue;
        }
        if (st != ST_OK)
            break;
        struct wire_span payload = {b.p + sizeof(struct head), b.n - sizeof(struct head)};
        told = each(ctx, payload, e);
        if (told != ST_OK)
            break;
        j->damaged += holes;
        holes = 0;
        at += (int64_t)record_bytes(payload.n);
        j->end = at;
    }
    buf_done(&b);
    if (told != ST_OK)
        return told;
    return st == ST_NOT_FOUND || st == ST_CORRUPT ? ST_OK : st;
}

enum st store_jfile_newest(struct store_jfile *j, uint64_t *epoch, struct err *e)
{
    struct buf b;
    enum st st = ST_OK;
    *epoch = 0;
    buf_init(&b, sizeof(struct head) + STORE_BLOB_MAX);
    for (int64_t at = 0; j->fd >= 0 && at < STORE_JFILE_BYTES; at += SLOT_BYTES) {
        struct head h;
        st = read_record(j, at, 0, &b, e);
        if (st != ST_OK && st != ST_CORRUPT)
            break;
        if (st != ST_OK)
            continue;
        memcpy(&h, b.p, sizeof h);
        if (le64toh(h.epoch) > *epoch)
            *epoch = le64toh(h.epoch);
        at += (int64_t)record_bytes(b.n - sizeof h) - SLOT_BYTES;
    }
    buf_done(&b);
    return st == ST_NOT_FOUND || st == ST_CORRUPT ? ST_OK : st;
}
