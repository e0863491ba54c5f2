/* fieldpost verify: batches against public keys, offline: each by itself, then the chain links. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/verify.h"

static const char usage[] =
    "usage: fieldpost verify --key pub.pem [--key ...] FILE...\n"
    "\n"
    "FILE is a batch (COSE bytes, plain or as a zstd frame) or a folder: a USB export\n"
    "{gw}/{chain}/{seq}.cose.zst or a part of it. Checks header, signature and readings of every\n"
    "batch, that it lies where its header says, and that the batches of a chain follow each "
    "other;\n"
    "in a folder what its manifest names must be there, and without one a missing number is an\n"
    "error. Says on standard error what is off; exit code 1 then. No network and no store is\n"
    "needed.\n";

#define KEYS_MAX 16
#define FILE_MAX_BYTES (2 * WIRE_BATCH_MAX)

struct run {
    struct wire_pub *key[KEYS_MAX];
    size_t nkeys;
    struct verify_set set;
    struct buf file, cose;
};

static enum st read_file(const char *path, struct buf *out, struct err *e)
{
    enum st st = ST_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_set(e, ST_IO, "cannot be read: %s", strerror(errno));
    }
    out->n = 0;
    for (;;) {
        st = buf_reserve(out, 1);
        if (st != ST_OK) {
            st = err_set(e, st, "is too large for a batch");
            break;
        }
        ssize_t n = read(fd, out->p + out->n, out->cap - out->n);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            st = n == 0 ? ST_OK : err_set(e, ST_IO, "cannot be read: %s", strerror(errno));
            break;
        }
        out->n += (size_t)n;
    }
    (void)close(fd);
    return st;
}

static enum st check_signature(const struct run *r, const struct wire_batch *b, struct err *e)
{
    char kid[WIRE_ID_TEXT];
    for (size_t i = 0; i < r->nkeys; i++) {
        if (memcmp(wire_pub_kid(r->key[i]), b->header.kid, WIRE_ID_BYTES) == 0) {
            return wire_cose_verify(&b->cose, r->key[i], e);
        }
    }
    wire_hex(b->header.kid, WIRE_ID_BYTES, kid);
    return err_set(e, ST_CORRUPT, "is signed by key %s, which is not among the given ones", kid);
}

/* The bytes of one file: everything that one batch alone can break. */
static enum st check_batch(struct run *r, const char *path, bool export, struct err *e)
{
    static const uint8_t zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    struct wire_batch b;
    struct buf *bytes = &r->file;
    enum st st = read_file(path, &r->file, e);
    if (st != ST_OK) {
        return st;
    }
    if (r->file.n >= sizeof(zstd_magic) && memcmp(r->file.p, zstd_magic, sizeof(zstd_magic)) == 0) {
        r->cose.n = 0;
        bytes = &r->cose;
        st = wire_zstd_unpack(r->file.p, r->file.n, WIRE_BATCH_MAX, bytes, e);
        if (st != ST_OK) {
            return st;
        }
    }
    st = wire_batch_open(&b, bytes->p, bytes->n, e);
    if (st != ST_OK) {
        return st;
    }
    st = check_signature(r, &b, e);
    if (st == ST_OK && export) {
        st = verify_place(path, &b.header, e);
    }
    if (st == ST_OK) {
        uint8_t hash[WIRE_HASH_BYTES];
        wire_sha256(bytes->p, bytes->n, hash);
        st = verify_add(&r->set, path, &b, hash, export, e);
    }
    wire_batch_done(&b);
    return st;
}

static void check_file(struct run *r, const char *path, bool export)
{
    struct err e = {0};
    if (check_batch(r, path, export, &e) != ST_OK) {
        (void)fprintf(stderr, "%s: %s\n", path, e.text);
        r->set.faults++;
    }
}

static void check_manifest(struct run *r, const char *path)
{
    struct err e = {0};
    if (verify_manifest(&r->set, path, &e) != ST_OK) {
        (void)fprintf(stderr, "%s: %s\n", path, e.text);
        r->set.faults++;
    }
}

static bool ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), m = strlen(tail);
    return n > m && strcmp(s + n - m, tail) == 0;
}

static void check_path(struct run *r, const char *path)
{
    struct stat sb;
    if (stat(path, &sb) != 0 || !S_ISDIR(sb.st_mode)) {
        check_file(r, path, false);
        return;
    }
    char *copy = realpath(path, NULL); /* so that {gw}/{chain} show even for "." */
    char *const roots[] = {copy, NULL};
    FTS *tree = copy ? fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL) : NULL;
    if (!tree) {
        (void)fprintf(stderr, "%s: cannot be read: %s\n", path, strerror(errno));
        r->set.faults++;
        free(copy);
        return;
    }
    size_t files = 0;
    for (FTSENT *f; (f = fts_read(tree));) {
        if (f->fts_info == FTS_F && ends_with(f->fts_name, ".cose.zst")) {
            check_file(r, f->fts_path, true);
            files++;
        } else if (f->fts_info == FTS_F && strcmp(f->fts_name, WIRE_MANIFEST) == 0) {
            check_manifest(r, f->fts_path);
        } else if (f->fts_info == FTS_DNR || f->fts_info == FTS_ERR || f->fts_info == FTS_NS) {
            (void)fprintf(stderr, "%s: cannot be read: %s\n", f->fts_path, strerror(f->fts_errno));
            r->set.faults++;
        }
    }
    if (files == 0) {
        (void)fprintf(stderr, "%s: holds no batch (*.cose.zst)\n", path);
        r->set.faults++;
    }
    (void)fts_close(tree);
    free(copy);
}

static bool parse_options(int argc, char **argv, struct run *r, int *code)
{
    static const struct option options[] = {
        {"key", required_argument, NULL, 'k'}, {"help", no_argument, NULL, 'h'}, {0}};
    int o;
    optind = 0;
    while ((o = getopt_long(argc, argv, "k:h", options, NULL)) != -1) {
        struct err e = {0};
        if (o != 'k') {
            (void)cli_usage(o, usage, code);
            return false;
        }
        if (r->nkeys == KEYS_MAX || wire_pub_load(&r->key[r->nkeys], optarg, &e) != ST_OK) {
            log_error("%s", r->nkeys == KEYS_MAX ? "at most 16 keys" : e.text);
            return false;
        }
        r->nkeys++;
    }
    if (r->nkeys == 0 || optind == argc) {
        (void)cli_usage('?', usage, code);
        return false;
    }
    return true;
}

int cli_verify(int argc, char **argv)
{
    struct run r = {.nkeys = 0};
    int code = CLI_USAGE;
    buf_init(&r.file, FILE_MAX_BYTES);
    buf_init(&r.cose, WIRE_BATCH_MAX);
    if (parse_options(argc, argv, &r, &code)) {
        for (int i = optind; i < argc; i++) {
            check_path(&r, argv[i]);
        }
        verify_links(&r.set);
        verify_manifests(&r.set);
        (void)printf("%zu batches, %llu readings: %s\n", r.set.n,
                     (unsigned long long)r.set.readings, r.set.faults ? "not all is well" : "good");
        code = r.set.faults || fflush(stdout) != 0 ? CLI_FAILED : CLI_DONE;
    }
    verify_done(&r.set);
    buf_done(&r.file);
    buf_done(&r.cose);
    for (size_t i = 0; i < r.nkeys; i++) {
        wire_pub_free(r.key[i]);
    }
    return code;
}
