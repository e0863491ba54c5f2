#include "gateway/cli/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYNC_FILES 256 /* how many files wait for one sync: a stick is slow at each */
#define PART "writing.tmp"

struct folder {
    const struct sealed *x;
    const struct cli_config *c;
    struct store_reader *reader;
    int root, gw, chain; /* folders; -1: not open */
    uint8_t chain_id[WIRE_ID_BYTES];
    int manifest;                     /* while it grows, under the name PART */
    off_t manifest_bytes, last_entry; /* its length; where its last entry begins */
    struct wire_listed last;
    unsigned unsynced;
    struct sealed_done *done;
    struct buf have; /* what lies there already */
};

static enum st fail(const char *dir, const char *what, struct err *e)
{
    int code = errno;
    if (code == ENOSPC || code == EDQUOT) {
        return err_set(e, ST_FULL, "%s: full", dir);
    }
    return err_set(e, ST_IO, "%s: %s: %s", dir, what, strerror(code));
}

/* ---- files ---- */

static enum st put_all(const struct folder *f, int fd, const void *p, size_t n, struct err *e)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = write(fd, (const uint8_t *)p + at, n - at);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return fail(f->x->dir, "cannot be written", e);
        }
        at += (size_t)got;
    }
    return ST_OK;
}

static enum st open_folder(const struct folder *f, int at, const char *name, int *fd, struct err *e)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
    if (mkdirat(at, name, 0777) != 0 && errno != EEXIST) {
        return fail(f->x->dir, "a folder in it cannot be made", e);
    }
    *fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *fd >= 0 ? ST_OK : fail(f->x->dir, "a folder in it cannot be opened", e);
}

/* Whether the file holds exactly these bytes. */
static bool is_there(struct folder *f, const char *name, struct wire_span want)
{
    struct stat sb;
    int fd = openat(f->chain, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool same =
        fd >= 0 && fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode) && (uint64_t)sb.st_size == want.n;
    f->have.n = 0;
    same = same && buf_reserve(&f->have, want.n) == ST_OK;
    for (ssize_t got = 1; same && f->have.n < want.n && got > 0;) {
        got = read(fd, f->have.p + f->have.n, want.n - f->have.n);
        f->have.n += got > 0 ? (size_t)got : 0;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return same && f->have.n == want.n && memcmp(f->have.p, want.p, want.n) == 0;
}

/* Under its own name only when it is whole. */
static enum st write_file(struct folder *f, const char *name, struct wire_span bytes, struct err *e)
{
    int fd = openat(f->chain, PART, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0) {
        return fail(f->x->dir, "a file cannot be made", e);
    }
    enum st st = put_all(f, fd, bytes.p, bytes.n, e);
    if (close(fd) != 0 && st == ST_OK) {
        st = fail(f->x->dir, "cannot be written", e);
    }
    if (st == ST_OK && renameat(f->chain, PART, f->chain, name) != 0) {
        st = fail(f->x->dir, "a file cannot be named", e);
    }
    if (st != ST_OK) {
        (void)unlinkat(f->chain, PART, 0);
    }
    return st;
}

/* All files and folders written so far, at once. */
static enum st sync_files(struct folder *f, struct err *e)
{
    f->unsynced = 0;
    return syncfs(f->root) == 0 ? ST_OK : fail(f->x->dir, "cannot be written to the end", e);
}

/* ---- the manifest ---- */

static enum st put_line(struct folder *f, const char *comma, const char *line, struct err *e)
{
    char text[WIRE_MANIFEST_LINE + 4];
    int n = snprintf(text, sizeof(text), "%s%s\n", comma, line);
    ERR_TRY(put_all(f, f->manifest, text, (size_t)n, e));
    f->manifest_bytes += n;
    return ST_OK;
}

/* Two ids that differ in case alone are one folder on a FAT stick. */
static enum st refuse_other_gateway(const struct folder *f, struct err *e)
{
    char gw[65];
    int fd = openat(f->gw, WIRE_MANIFEST, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    FILE *old = fd >= 0 ? fdopen(fd, "r") : NULL;
    bool other =
        old && wire_manifest_open(old, gw, NULL) == ST_OK && strcmp(gw, f->c->gateway.id) != 0;
    if (old) {
        (void)fclose(old);
    } else if (fd >= 0) {
        (void)close(fd);
    }
    return other ? err_set(e, ST_CONFLICT,
                           "%s: its folder %s is that of gateway %s: take another folder or stick",
                           f->x->dir, f->c->gateway.id, gw)
                 : ST_OK;
}

static enum st begin_manifest(struct folder *f, struct err *e)
{
    char line[WIRE_MANIFEST_LINE];
    ERR_TRY(refuse_other_gateway(f, e));
    f->manifest = openat(f->gw, PART, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (f->manifest < 0) {
        return fail(f->x->dir, "a file cannot be made", e);
    }
    wire_manifest_head(line, f->c->gateway.id, clk_now(clk_real()).utc_ms);
    return put_line(f, "", line, e);
}

static enum st add_entry(struct folder *f, const struct store_batch *b, struct err *e)
{
    char line[WIRE_MANIFEST_LINE];
    struct wire_listed l = {
        .seq = b->seq, .kind = b->kind, .n = b->n, .from_ms = b->from_ms, .to_ms = b->to_ms};
    memcpy(l.chain, b->chain, WIRE_ID_BYTES);
    memcpy(l.sha256, b->hash, WIRE_HASH_BYTES);
    wire_manifest_entry(line, &l);
    off_t before = f->manifest_bytes;
    ERR_TRY(put_line(f, f->done->files ? "," : "", line, e));
    f->last_entry = before;
    f->last = l;
    f->done->files++;
    return ST_OK;
}

static void file_name(char out[40], uint64_t seq)
{
    (void)snprintf(out, 40, "%llu.cose.zst", (unsigned long long)seq);
}

/* Files are durable first: a manifest never names what a pulled stick could lose. */
static enum st end_manifest(struct folder *f, bool complete, struct err *e)
{
    char line[WIRE_MANIFEST_LINE];
    wire_manifest_end(line, f->done->files, complete);
    ERR_TRY(sync_files(f, e));
    ERR_TRY(put_line(f, "", line, e));
    if (fsync(f->manifest) != 0 || renameat(f->gw, PART, f->gw, WIRE_MANIFEST) != 0 ||
        fsync(f->gw) != 0) {
        return fail(f->x->dir, "the manifest cannot be written", e);
    }
    return ST_OK;
}

/* The stick is full: the last file makes room for the end of the manifest. */
static enum st end_short(struct folder *f, struct err *e)
{
    char path[64], chain[WIRE_ID_TEXT], name[40];
    struct err why = {0};
    enum st st = ST_FULL;
    if (f->done->files > 0 && ftruncate(f->manifest, f->last_entry) == 0 &&
        lseek(f->manifest, f->last_entry, SEEK_SET) == f->last_entry) {
        wire_hex(f->last.chain, WIRE_ID_BYTES, chain);
        file_name(name, f->last.seq);
        (void)snprintf(path, sizeof(path), "%s/%s", chain, name);
        (void)unlinkat(f->gw, path, 0);
        f->done->files--;
        st = end_manifest(f, false, &why);
    }
    if (st != ST_OK) {
        return err_set(
            e, ST_FULL,
            "%s: full, and no room for a manifest: free space there or take another stick",
            f->x->dir);
    }
    return err_set(e, ST_FULL,
                   "%s: full after %llu batches: these can be carried; for the rest free space or "
                   "take another stick, and run this again (a FAT stick also counts as full when a "
                   "folder holds some 20,000 files: give --from and --to then)",
                   f->x->dir, (unsigned long long)f->done->files);
}

/* ---- the walk ---- */

/* Whether the batch is asked for. */
static enum st is_wanted(const struct folder *f, const struct store_batch *b, bool *wanted,
                         struct err *e)
{
    const char *item = f->c->uplinks_cfg.v;
    *wanted = !f->x->unsent || f->c->uplinks_cfg.n == 0;
    for (size_t i = 0; i < f->c->uplinks_cfg.n && !*wanted; i++) {
        const char *id = *(char *const *)(const void *)item; /* a map's items begin with their id */
        bool acked = false;
        ERR_TRY(store_batch_acked(f->reader, id, b->id, &acked, e));
        *wanted = !acked;
        item += uplink_table.struct_size;
    }
    return ST_OK;
}

static enum st open_first(struct folder *f, struct err *e)
{
    if (f->gw >= 0) {
        return ST_OK;
    }
    if (mkdir(f->x->dir, 0777) != 0 && errno != EEXIST) {
        return fail(f->x->dir, "cannot be made", e);
    }
    f->root = open(f->x->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->root < 0) {
        return fail(f->x->dir, "cannot be opened", e);
    }
    ERR_TRY(open_folder(f, f->root, f->c->gateway.id, &f->gw, e));
    return begin_manifest(f, e);
}

static enum st put_batch(struct folder *f, const struct store_batch *b, struct err *e)
{
    char name[40], chain[WIRE_ID_TEXT];
    ERR_TRY(open_first(f, e));
    if (f->chain < 0 || memcmp(f->chain_id, b->chain, WIRE_ID_BYTES) != 0) {
        wire_hex(b->chain, WIRE_ID_BYTES, chain);
        ERR_TRY(open_folder(f, f->gw, chain, &f->chain, e));
        memcpy(f->chain_id, b->chain, WIRE_ID_BYTES);
    }
    file_name(name, b->seq);
    if (!is_there(f, name, b->packed)) {
        ERR_TRY(write_file(f, name, b->packed, e));
        f->done->written++;
        if (++f->unsynced == SYNC_FILES) {
            ERR_TRY(sync_files(f, e));
        }
    }
    return add_entry(f, b, e);
}

static enum st put_batches(struct folder *f, struct err *e)
{
    struct store_batch b = {.id = 0};
    enum st st;
    while ((st = store_batch_behind(f->reader, b.id, f->x->from_ms, f->x->to_ms, &b, e)) == ST_OK ||
           st == ST_CORRUPT) {
        bool wanted = false;
        if (st == ST_CORRUPT) { /* the others can still be saved */
            f->done->damaged++;
            continue;
        }
        ERR_TRY(is_wanted(f, &b, &wanted, e));
        if (wanted) {
            ERR_TRY(put_batch(f, &b, e));
        }
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st sealed_export(const struct sealed *x, const struct cli_config *c, struct sealed_done *done,
                      struct err *e)
{
    struct folder f = {
        .x = x, .c = c, .root = -1, .gw = -1, .chain = -1, .manifest = -1, .done = done};
    *done = (struct sealed_done){0};
    buf_init(&f.have, 2 * WIRE_BATCH_MAX);
    enum st st = store_reader_open(&f.reader, c->store.path, e);
    if (st == ST_OK) {
        st = put_batches(&f, e);
    }
    if (st == ST_OK && done->files == 0) {
        st = err_set(e, ST_NOT_FOUND, "nothing to export%s", x->unsent ? ": all is sent" : "");
    }
    if (st == ST_OK) {
        st = end_manifest(&f, done->damaged == 0, e);
    }
    if (st == ST_OK && done->damaged) {
        st = err_set(e, ST_CORRUPT, "store %s: %llu batches can no longer be read and are left out",
                     c->store.path, (unsigned long long)done->damaged);
    }
    if (st == ST_FULL && f.manifest >= 0) {
        st = end_short(&f, e);
    }
    if (f.manifest >= 0) {
        (void)close(f.manifest);
        (void)unlinkat(f.gw, PART, 0); /* gone when all went well */
    }
    for (size_t i = 0; i < 3; i++) {
        int fd = (const int[]){f.root, f.gw, f.chain}[i];
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    store_reader_close(f.reader);
    buf_done(&f.have);
    return st;
}
