/* Receipts that a person carried here in a file: for sites without a signal, whose batches reach
 * the city on a stick. They are worth what their signatures are worth, as those over the network
 * are, and go the same way (run.c). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/uplink/uplink_int.h"

#define WINDOW_BYTES (4 * UPLINK_RECEIPT_MAX)
#define FILE_MAX_BYTES (64 * 1024 * 1024) /* some 250,000 receipts */

struct carried {
    const struct uplink_taker *t;
    struct uplink_run *run;
    struct uplink_carried *n;
    int fd;
    uint8_t b[WINDOW_BYTES]; /* a part of the file */
    size_t at, end;
    bool whole; /* the file has no more */
    uint64_t items;
};

/* ---- the file: a CBOR sequence ---- */

static enum st fill(struct carried *c, struct err *e)
{
    memmove(c->b, c->b + c->at, c->end - c->at);
    c->end -= c->at;
    c->at = 0;
    while (!c->whole && c->end < WINDOW_BYTES) {
        ssize_t n = read(c->fd, c->b + c->end, WINDOW_BYTES - c->end);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_set(e, ST_IO, "cannot be read: %s", strerror(errno));
        }
        c->whole = n == 0;
        c->end += (size_t)n;
    }
    return ST_OK;
}

/* The next item; valid until the next call. ST_NOT_FOUND behind the last one. */
static enum st next_item(struct carried *c, struct wire_span *item, struct err *e)
{
    if (c->end - c->at < UPLINK_RECEIPT_MAX) {
        ERR_TRY(fill(c, e));
    }
    if (c->at == c->end) {
        return ST_NOT_FOUND;
    }
    struct wire_reader r = {c->b + c->at, c->b + c->at, c->b + c->end};
    if (wire_skip(&r, NULL) != ST_OK) {
        return err_set(e, ST_BAD, "is no file of receipts, or cut off, behind item %llu",
                       (unsigned long long)c->items);
    }
    *item = (struct wire_span){c->b + c->at, (size_t)(r.p - r.start)};
    c->at += item->n;
    c->items++;
    return ST_OK;
}

/* ---- one receipt ---- */

static void count_acked(void *ctx, const struct uplink_sent *s)
{
    struct carried *c = ctx;
    (void)s;
    c->n->acked++;
}

static enum st settle(struct carried *c, struct err *e)
{
    uint64_t before = c->n->acked, waiting = c->run->count;
    enum st st = uplink_run_settle(c->run, c->t->keys, c->t->nkeys, c->t->store, c->t->index,
                                   count_acked, c, e);
    if (st != ST_CORRUPT) {
        return st;
    }
    c->n->unsigned_ += waiting - (c->n->acked - before);
    return ST_OK;
}

static enum st take(struct carried *c, const struct wire_receipt *r, const struct wire_span *bytes,
                    struct err *e)
{
    struct store_batch b;
    bool acked = false;
    if (strcmp(r->gw, c->t->gw) != 0) {
        c->n->foreign++;
        return ST_OK;
    }
    enum st st = store_batch_find(c->t->reader, r->chain, r->seq, &b, e);
    if (st == ST_NOT_FOUND) {
        c->n->absent++;
        return ST_OK;
    }
    if (st == ST_OK && memcmp(b.hash, r->sha256, WIRE_HASH_BYTES) != 0) {
        c->n->other++;
        return ST_OK;
    }
    if (st == ST_OK) {
        st = store_batch_acked(c->t->reader, c->t->id, b.id, &acked, e);
    }
    if (st == ST_OK && acked) {
        c->n->known++;
        return ST_OK;
    }
    const struct buf receipt = {.p = (uint8_t *)(uintptr_t)bytes->p, .n = bytes->n};
    if (st == ST_OK) {
        st = uplink_run_add(c->run, c->t->gw, &b, &receipt, (struct mono){0}, e);
    }
    return st == ST_OK && c->run->count == UPLINK_RUN_MAX ? settle(c, e) : st;
}

enum st uplink_carried_take(const struct uplink_taker *t, const char *path,
                            struct uplink_carried *n, struct err *e)
{
    struct carried c = {.t = t, .n = n};
    struct stat sb;
    struct wire_span item = {NULL, 0};
    *n = (struct uplink_carried){0};
    c.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (c.fd < 0) {
        return err_set(e, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s: cannot be read: %s", path,
                       strerror(errno));
    }
    if (fstat(c.fd, &sb) != 0 || !S_ISREG(sb.st_mode) || sb.st_size > FILE_MAX_BYTES) {
        (void)close(c.fd);
        return err_set(e, ST_BAD, "%s: is no file of receipts", path);
    }
    c.run = calloc(1, sizeof(*c.run));
    enum st st = c.run ? ST_OK : err_set(e, ST_MEMORY, "no memory");
    if (c.run) {
        buf_init(&c.run->bytes, (size_t)UPLINK_RUN_MAX * UPLINK_RECEIPT_MAX);
    }
    while (st == ST_OK && (st = next_item(&c, &item, e)) == ST_OK) {
        struct wire_receipt r;
        struct wire_cose cose;
        if (wire_receipt_open(&r, &cose, item.p, item.n, NULL) != ST_OK) {
            n->strange++;
        } else {
            st = take(&c, &r, &item, e);
        }
        if (st == ST_OK && t->stop && thr_stop_wait(t->stop, 0)) {
            st = err_set(e, ST_STOPPED, "stopped");
        }
    }
    if (c.run && (st == ST_NOT_FOUND || st == ST_BAD)) { /* what stands before a cut is good */
        enum st settled = settle(&c, e);
        st = settled != ST_OK ? settled : st;
    }
    if (c.run) {
        buf_done(&c.run->bytes);
    }
    free(c.run);
    (void)close(c.fd);
    return st == ST_NOT_FOUND ? ST_OK : err_wrap(e, st, "%s", path);
}

/* ---- the folder beside the store ---- */

/* A file there is named by 16 characters, a dot and the uplink's id. */
#define SPOOL_PREFIX 17

/* A file that waits for this uplink; false when there is none. */
static bool spool_next(const char *store_path, const char *id, char *path, size_t size)
{
    char folder[1024];
    bool found = false;
    if (snprintf(folder, sizeof(folder), "%s" UPLINK_SPOOL, store_path) >= (int)sizeof(folder)) {
        return false;
    }
    DIR *d = opendir(folder);
    if (!d) {
        return false; /* nobody ever carried anything here */
    }
    for (const struct dirent *f; !found && (f = readdir(d));) {
        size_t n = strlen(f->d_name);
        found = n > SPOOL_PREFIX && f->d_name[SPOOL_PREFIX - 1] == '.' &&
                strcmp(f->d_name + SPOOL_PREFIX, id) == 0 &&
                snprintf(path, size, "%s/%s", folder, f->d_name) < (int)size;
    }
    (void)closedir(d);
    return found;
}

static void tell(const struct uplink_taker *t, enum st st, const struct uplink_carried *n,
                 const struct err *e)
{
    bool good = st == ST_OK && !n->unsigned_ && !n->other;
    store_event(t->store, good ? STORE_INFO : STORE_WARNING, "receipts.taken", t->id,
                "a file of receipts: %llu batches acknowledged, %llu were before; %llu not signed "
                "by this city, %llu for other bytes%s%s",
                (unsigned long long)n->acked, (unsigned long long)n->known,
                (unsigned long long)n->unsigned_, (unsigned long long)n->other,
                st == ST_OK ? "" : "; ", st == ST_OK ? "" : e->text);
}

enum st uplink_carried_all(const struct uplink_taker *t, uint64_t *acked, struct err *e)
{
    char path[1200];
    *acked = 0;
    while (spool_next(store_path(t->store), t->id, path, sizeof(path))) {
        struct uplink_carried n;
        struct err why = {0};
        enum st st = uplink_carried_take(t, path, &n, &why);
        enum st flushed = n.acked > 0 ? store_ack_flush(t->store, &why) : ST_OK;
        st = flushed == ST_OK ? st : flushed;
        if (st != ST_OK && st != ST_BAD) { /* the store: the file waits */
            return err_set(e, st, "%s", why.text);
        }
        *acked += n.acked;
        tell(t, st, &n, &why);
        if (unlink(path) != 0) { /* else it would come again and again */
            return err_set(e, ST_IO, "%s: cannot be removed: %s: remove it by hand", path,
                           strerror(errno));
        }
    }
    return ST_OK;
}
