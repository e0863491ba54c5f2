/* Batches that came on a stick (fieldpost export --sealed): through the same door as over HTTPS,
 * city_ingest and the writer. What the folder says of itself, names and manifest, is believed in
 * nothing: it only tells which files to look for, and that none is missing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/city/city_int.h"

#define FILE_MAX_BYTES (WIRE_BATCH_MAX + 64 * 1024) /* as a PUT */
#define TYPE "application/cose; cose-type=\"cose-sign1\""
#define LISTED_MAX                                                                                 \
    (4u << 20) /* of a gateway: 40 years of 5-minute windows; a bit is kept of each */
#define PASSES_MAX 16

struct import {
    const char *dir, *receipts_path;
    const struct city_import_to *to;
    struct city_imported *n;
    struct city_sign *sign;
    struct city_writer *writer;
    struct city_db db;
    FILE *receipts; /* under its own name only when it is whole; NULL: none wanted */
    char part[4096];
    uint64_t manifests;
    struct buf file;
    /* Of this folder, by their places in the manifest, which is read again: what the batches behind
     * may date yet. */
    uint8_t *waits; /* LISTED_MAX bits */
    uint64_t nwaits;
    bool last; /* no more of it comes */
};

static void say(struct import *m, const char *what, const char *why)
{
    m->n->refused++;
    m->to->refused(m->to->ctx, what, why);
}

/* ---- one batch ---- */

/* Exactly the bytes of a plain file; what a folder must not hold (a link, a pipe) is not followed.
 */
static enum st read_file(int at, const char *name, struct buf *out, struct err *e)
{
    struct stat sb;
    int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, ST_NOT_FOUND, "%s",
                       errno == ENOENT ? "missing, although the manifest names it"
                                       : strerror(errno));
    enum st st = ST_OK;
    out->n = 0;
    if (fstat(fd, &sb) != 0 || !S_ISREG(sb.st_mode))
        st = err_set(e, ST_BAD, "not a plain file");
    else if (sb.st_size > FILE_MAX_BYTES || buf_reserve(out, (size_t)sb.st_size + 1) != ST_OK)
        st = err_set(e, ST_BAD, "longer than a batch can be");
    for (ssize_t got = 1; st == ST_OK && got != 0 && out->n < (size_t)sb.st_size;) {
        got = read(fd, out->p + out->n, (size_t)sb.st_size - out->n);
        if (got > 0)
            out->n += (size_t)got;
        else if (got < 0 && errno != EINTR)
            st = err_set(e, ST_IO, "cannot be read: %s", strerror(errno));
    }
    close(fd);
    return st;
}

static enum st keep_receipt(struct import *m, const struct city_batch *b, struct err *e)
{
    if (!m->receipts || fwrite(b->receipt.p, 1, b->receipt.n, m->receipts) == b->receipt.n)
        return ST_OK;
    return err_set(e, ST_IO, "%s: %s", m->part, strerror(errno));
}

/* Of a box that was replaced: its time is not known, but what comes behind may tell. */
static bool may_wait(const struct import *m, const struct city_batch *b, enum city_code code)
{
    return !m->last && code == CITY_UNAUTHORIZED && b->batch.header.clk == 3;
}

/* The same steps as put_batch in serve.c. ST_IO: the city cannot go on. */
static enum st take(struct import *m, const struct city_where *w, const struct wire_listed *l,
                    const char *name, bool *waits, struct err *e)
{
    struct city_batch b;
    struct err why = {.text = ""};
    char text[ERR_TEXT_BYTES + 40];
    bool same = false;
    enum st st = ST_OK;
    enum city_code code = city_ingest(&m->db, w, TYPE, "zstd", m->file.p, m->file.n, &b, &why);
    if (code == CITY_OK && memcmp(b.sha256, l->sha256, sizeof b.sha256) != 0) {
        code = CITY_CONFLICT;
        err_set(&why, ST_CONFLICT, "not the batch that the manifest names");
    }
    if (code == CITY_OK && !b.known)
        code = city_writer_put(m->writer, &b, &same, &why);
    if (code == CITY_OK) {
        *(b.known || same ? &m->n->known : &m->n->stored) += 1;
        st = keep_receipt(m, &b, e);
    } else if (code == CITY_UNAVAILABLE) {
        st = err_set(e, ST_IO, "%s: %s", name, why.text);
    } else if (may_wait(m, &b, code)) {
        *waits = true;
    } else {
        snprintf(text, sizeof text, "%s: %s", city_code_text(code), why.text);
        say(m, name, text);
        city_writer_refused(m->writer, b.gateway, code, why.text);
    }
    city_batch_done(&b);
    return st;
}

/* The path follows from the entry's numbers alone: a manifest cannot point anywhere else. */
static enum st take_listed(struct import *m, int folder, const char *gw,
                           const struct wire_listed *l, bool *waits, struct err *e)
{
    struct city_where w = {.gw = gw, .seq = l->seq};
    char chain[WIRE_ID_TEXT], file[40], name[160];
    struct err why = {.text = ""};
    memcpy(w.chain, l->chain, sizeof w.chain);
    wire_hex(l->chain, WIRE_ID_BYTES, chain);
    snprintf(file, sizeof file, "%" PRIu64 ".cose.zst", l->seq);
    snprintf(name, sizeof name, "%s/%s/%s", gw, chain, file);
    int at = openat(folder, chain, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    enum st st = at >= 0 ? read_file(at, file, &m->file, &why)
                         : err_set(&why, ST_NOT_FOUND, "its folder: %s", strerror(errno));
    if (at >= 0)
        close(at);
    if (st == ST_OK)
        return take(m, &w, l, name, waits, e);
    say(m, name, why.text);
    return ST_OK;
}

/* ---- one gateway's folder ---- */

/* Of the n-th that is listed, from 1: whether it waited, and whether it waits now. */
static bool waited(const struct import *m, uint64_t n)
{
    return m->waits[(n - 1) / 8] >> (n - 1) % 8 & 1;
}

static void note(struct import *m, uint64_t n, bool waits)
{
    uint8_t bit = (uint8_t)(1U << (n - 1) % 8), *at = &m->waits[(n - 1) / 8];
    *at = (uint8_t)(waits ? *at | bit : *at & ~bit);
    m->nwaits += waits;
}

/* Takes all that the manifest lists, or again those that waited. *end: how it ended, ST_NOT_FOUND
 * when it is whole; why says what is wrong with it. */
static enum st pass(struct import *m, int folder, const char *gw, FILE *f, bool again, enum st *end,
                    bool *complete, struct err *why, struct err *e)
{
    char named[65];
    struct wire_listed l;
    uint64_t n = 0;
    m->nwaits = 0;
    *end = wire_manifest_open(f, named, why);
    if (*end == ST_OK && strcmp(named, gw) != 0)
        *end = err_set(why, ST_BAD, "is that of gateway %s", named);
    while (*end == ST_OK && (*end = wire_manifest_next(f, &n, &l, complete, why)) == ST_OK) {
        bool waits = false;
        if (n > LISTED_MAX) {
            *end = err_set(why, ST_BAD, "lists more than %u batches: no export does", LISTED_MAX);
            return ST_OK;
        }
        if (again && !waited(m, n))
            continue;
        ERR_TRY(take_listed(m, folder, gw, &l, &waits, e));
        note(m, n, waits);
    }
    return ST_OK;
}

/* Again, until none of them is dated by what came since; then it is said of each. What so many
 * passes do not take, the next import does. */
static enum st take_manifest(struct import *m, int folder, const char *gw, FILE *f, struct err *e)
{
    char what[100];
    struct err why = {.text = ""};
    uint64_t before = UINT64_MAX;
    bool complete = false;
    enum st end = ST_OK;
    snprintf(what, sizeof what, "%s/" WIRE_MANIFEST, gw);
    memset(m->waits, 0, LISTED_MAX / 8);
    ERR_TRY(pass(m, folder, gw, f, false, &end, &complete, &why, e));
    for (int i = 1; m->nwaits > 0 && !m->last; i++) {
        m->last = m->nwaits == before || i == PASSES_MAX;
        before = m->nwaits;
        rewind(f);
        ERR_TRY(pass(m, folder, gw, f, true, &end, &complete, &why, e));
    }
    m->last = false;
    if (end != ST_NOT_FOUND)
        say(m, what, why.text);
    else if (!complete)
        m->n->incomplete++;
    return ST_OK;
}

static enum st take_gateway(struct import *m, int root, const char *gw, struct err *e)
{
    int folder = openat(root, gw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return ST_OK; /* not a folder of ours */
    int fd = openat(folder, WIRE_MANIFEST, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
    enum st st = ST_OK;
    if (f) {
        m->manifests++;
        st = take_manifest(m, folder, gw, f, e);
        fclose(f);
    } else if (fd >= 0) {
        close(fd);
    }
    close(folder);
    return st;
}

static enum st take_folder(struct import *m, struct err *e)
{
    DIR *d = opendir(m->dir);
    if (!d)
        return err_set(e, ST_IO, "%s: cannot be read: %s", m->dir, strerror(errno));
    enum st st = ST_OK;
    for (const struct dirent *x; st == ST_OK && (errno = 0, x = readdir(d));)
        if (id_is_text(x->d_name))
            st = take_gateway(m, dirfd(d), x->d_name, e);
    if (st == ST_OK && errno != 0)
        st = err_set(e, ST_IO, "%s: cannot be read: %s", m->dir, strerror(errno));
    closedir(d);
    if (st == ST_OK && m->manifests == 0)
        st = err_set(e, ST_NOT_FOUND,
                     "%s: no export of a gateway: there is no GATEWAY/" WIRE_MANIFEST
                     " in it (a stick that was pulled too early has none: export again)",
                     m->dir);
    return st;
}

/* ---- the receipts ---- */

static enum st receipts_open(struct import *m, struct err *e)
{
    if (!m->receipts_path)
        return ST_OK;
    if (access(m->receipts_path, F_OK) == 0)
        return err_set(e, ST_CONFLICT, "%s exists already: name another file", m->receipts_path);
    if (snprintf(m->part, sizeof m->part, "%s.part", m->receipts_path) >= (int)sizeof m->part)
        return err_set(e, ST_BAD, "%s: the name is too long", m->receipts_path);
    m->receipts = fopen(m->part, "we");
    return m->receipts ? ST_OK : err_set(e, ST_IO, "%s: %s", m->part, strerror(errno));
}

/* Also after a failure: what is stored is worth its receipt. */
static enum st receipts_close(struct import *m, struct err *e)
{
    if (!m->receipts)
        return ST_OK;
    bool any = m->n->stored + m->n->known > 0;
    bool good = fflush(m->receipts) == 0 && fsync(fileno(m->receipts)) == 0;
    good = fclose(m->receipts) == 0 && good;
    if (good && any && rename(m->part, m->receipts_path) == 0)
        return ST_OK;
    enum st st = !any ? ST_OK
                      : err_set(e, ST_IO, "%s cannot be written: %s; import again for the receipts",
                                m->receipts_path, strerror(errno));
    unlink(m->part);
    return st;
}

enum st city_import(const struct city_cfg *cfg, const char *dir, const char *receipts,
                    const struct city_import_to *to, struct city_imported *n, struct err *e)
{
    struct import m = {.dir = dir, .receipts_path = receipts, .to = to, .n = n};
    struct err why = {.text = ""};
    *n = (struct city_imported){0};
    buf_init(&m.file, FILE_MAX_BYTES + 1);
    m.waits = malloc(LISTED_MAX / 8);
    enum st st = m.waits ? city_sign_open(&m.sign, cfg->sign_key, e)
                         : err_set(e, ST_MEMORY, "no memory for an import");
    if (st == ST_OK && clk_now(clk_real()).grade == CLK_UNKNOWN)
        st = err_set(e, ST_BUSY, "the clock is not set: receipts would carry a wrong time");
    if (st == ST_OK)
        st = receipts_open(&m, e);
    if (st == ST_OK)
        st = city_writer_open(&m.writer, cfg->db, m.sign, e);
    if (st == ST_OK)
        st = city_db_open(&m.db, cfg->db, CITY_DB_READ, e);
    if (st == ST_OK)
        st = take_folder(&m, e);
    enum st closed = receipts_close(&m, &why);
    if (st == ST_OK && closed != ST_OK)
        st = err_set(e, closed, "%s", why.text);
    free(m.waits);
    city_db_close(&m.db);
    city_writer_close(m.writer);
    city_sign_close(m.sign);
    buf_done(&m.file);
    return st;
}
