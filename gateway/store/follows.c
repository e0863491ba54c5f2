/* The chain that a new store follows: that of the box which this one replaces, as the city's signed
 * head named it (fieldpost enroll --replaces). A note beside the store, for the store is not there
 * yet. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/store/damage.h"

#define NOTE_BYTES 128
#define PATH_BYTES 4096

static enum st note_path(const char *store_path, char out[PATH_BYTES], struct err *e)
{
    int n = snprintf(out, PATH_BYTES, "%s" STORE_FOLLOWS, store_path);
    return n > 0 && n < PATH_BYTES
               ? ST_OK
               : err_set(e, ST_BAD, "store %s: the path is too long", store_path);
}

enum st store_follows_write(const char *store_path, const struct store_follows *f, struct err *e)
{
    char path[PATH_BYTES];
    struct buf b;
    ERR_TRY(note_path(store_path, path, e));
    buf_init(&b, NOTE_BYTES);
    enum st st = wire_put_array(&b, 4);
    if (st == ST_OK)
        st = wire_put_bytes(&b, f->chain, sizeof f->chain);
    if (st == ST_OK)
        st = wire_put_uint(&b, f->seq);
    if (st == ST_OK)
        st = wire_put_bytes(&b, f->hash, sizeof f->hash);
    if (st == ST_OK)
        st = wire_put_uint(&b, (uint64_t)f->to_ms);
    st = st == ST_OK ? wire_file_put(path, b.p, b.n, 0600, true, e)
                     : err_set(e, st, "%s: no memory", path);
    buf_done(&b);
    return st;
}

static bool read_bytes(struct wire_reader *r, void *out, size_t n)
{
    struct wire_item it;
    if (wire_next(r, &it, NULL) != ST_OK || it.type != WIRE_BYTES || it.span.n != n)
        return false;
    memcpy(out, it.span.p, n);
    return true;
}

static bool read_number(struct wire_reader *r, uint64_t *out)
{
    struct wire_item it;
    if (wire_next(r, &it, NULL) != ST_OK || it.type != WIRE_UINT || it.u > INT64_MAX)
        return false;
    *out = it.u;
    return true;
}

static bool read_note(const struct buf *b, struct store_follows *f)
{
    struct wire_reader r = {b->p, b->p, b->p + b->n};
    struct wire_item it;
    uint64_t to_ms = 0;
    bool good = wire_next(&r, &it, NULL) == ST_OK && it.type == WIRE_ARRAY && it.u == 4 &&
                read_bytes(&r, f->chain, sizeof f->chain) && read_number(&r, &f->seq) &&
                read_bytes(&r, f->hash, sizeof f->hash) && read_number(&r, &to_ms) && r.p == r.end;
    f->to_ms = (int64_t)to_ms;
    return good && f->seq > 0;
}

/* The other's chain, ended: the next one follows it and begins where its last window did. */
static enum st add(struct store *s, const struct store_follows *f, struct err *e)
{
    uint8_t zero[WIRE_ID_BYTES] = {0};
    int64_t now_ms = store_frames_from(s);
    sqlite3_stmt *q = store_db_use(&s->db, SQL_NEW_CHAIN, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int64(q, 1, 1);
    sqlite3_bind_blob(q, 2, f->chain, WIRE_ID_BYTES, SQLITE_STATIC);
    sqlite3_bind_blob(q, 3, zero, sizeof zero, SQLITE_STATIC); /* its key is another's */
    sqlite3_bind_int64(q, 7, (int64_t)f->seq);
    sqlite3_bind_blob(q, 8, f->hash, WIRE_HASH_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(q, 9, f->to_ms > 0 && f->to_ms < now_ms ? f->to_ms : now_ms);
    sqlite3_bind_int64(q, 10, CLK_HOLDOVER);
    sqlite3_bind_blob(q, 11, zero, sizeof zero, SQLITE_STATIC); /* and so is its boot */
    sqlite3_bind_int64(q, 12, (int64_t)s->epoch);
    return store_db_run(&s->db, q, e);
}

enum st store_follows_take(struct store *s, struct err *e)
{
    char path[PATH_BYTES];
    struct store_chain last;
    struct store_follows f;
    struct buf b;
    ERR_TRY(note_path(s->path, path, e));
    if (access(path, F_OK) != 0)
        return ST_OK;
    enum st st = store_chain_last(s, &last, e);
    if (st == ST_NOT_FOUND) {
        buf_init(&b, NOTE_BYTES);
        st = wire_file_get(path, &b, e);
        if (st == ST_OK && !read_note(&b, &f))
            st = err_set(e, ST_BAD, "%s: damaged: run `fieldpost enroll --replaces` again", path);
        buf_done(&b);
        if (st == ST_OK)
            st = add(s, &f, e);
        if (st == ST_OK)
            store_event(s, STORE_INFO, "chain.successor", s->path,
                        "this box goes on where the one that it replaces ended");
    }
    /* a cut between the two leaves a note that says what is done */
    if (st == ST_OK && unlink(path) != 0 && errno != ENOENT)
        st = err_set(e, ST_IO, "%s: %s", path, strerror(errno));
    return st;
}
