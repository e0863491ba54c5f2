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

#include "gateway/base/clk.h"
#include "gateway/base/log.h"
#include "gateway/cli/cli_int.h"
#include "gateway/cli/qr.h"
#include "gateway/cli/verify.h"

static const char usage[] =
    "usage: fieldpost verify --key pub.pem [--key ...] [--from T] [--to T] [--seq A-B] FILE...\n"
    "       fieldpost verify --key pub.pem [--key ...] --day DAY FILE...\n"
    "\n"
    "FILE is a batch (COSE bytes, plain or as a zstd frame), the text of a day's QR code, or a\n"
    "folder: a USB export {gw}/{chain}/{seq}.cose.zst or a part of it. Checks header, signature "
    "and\n"
    "readings of every batch, that it lies where its header says, and that the batches of a chain\n"
    "follow each other; in a folder what its manifest names must be there, and without one a\n"
    "missing number is an error. A key that a good batch names as the next one counts for its\n"
    "gateway: the first key of a gateway is enough. Says on standard error what is off; exit code\n"
    "1 then. No network and no store is needed.\n"
    "\n"
    "  --key F            the gateway's public key, or one of several\n"
    "  --from T, --to T   only batches whose windows touch the time from T to T: 2026-11-22,\n"
    "                     2026-11-22T03:05:10Z or milliseconds since 1970\n"
    "  --seq A-B          only the batches with these numbers; each of them must be there\n"
    "  --day DAY          also that all batches of this day are there, and are those that the\n"
    "                     gateway's digest of the day counts and hashes; such as 2026-11-25\n";

#define KEYS_MAX 16
#define FILE_MAX_BYTES (2 * WIRE_BATCH_MAX)

struct run {
    struct verify_keys keys;
    struct verify_set set;
    int64_t day; /* INT64_MIN: none is asked for */
    struct buf file, cose;
    struct { /* signed by a key that a batch may still name which comes later */
        char *path;
        bool export;
    } * later;
    size_t nlater;
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

/* Everything that one batch alone can break. */
static enum st check_bytes(struct run *r, const char *path, const struct buf *bytes, bool export,
                           struct err *e)
{
    struct wire_batch b;
    ERR_TRY(wire_batch_open(&b, bytes->p, bytes->n, e));
    enum st st = verify_signed(&r->keys, &b, e);
    if (st == ST_OK && export) {
        st = verify_place(path, &b.header, e);
    }
    if (st == ST_OK) {
        st = verify_learn(&r->keys, &b, e);
    }
    if (st == ST_OK && verify_wants(&r->set, b.header.seq, b.header.from_ms, b.header.to_ms)) {
        uint8_t hash[WIRE_HASH_BYTES];
        wire_sha256(bytes->p, bytes->n, hash);
        st = verify_add(&r->set, path, &b, hash, export, e);
    }
    wire_batch_done(&b);
    return st;
}

/* The text of a day's QR code: the batch in it, which holds that day's digest. */
static enum st check_proof(struct run *r, const char *path, struct err *e)
{
    char gw[65];
    int64_t day = 0;
    size_t before = r->set.ndigests;
    r->cose.n = 0;
    ERR_TRY(qr_proof_read((struct wire_span){r->file.p, r->file.n}, gw, &day, &r->cose, e));
    ERR_TRY(check_bytes(r, path, &r->cose, false, e));
    const struct verify_digest *g = &r->set.digests[before];
    if (r->set.ndigests != before + 1 || g->d.day != day || strcmp(g->gw, gw) != 0) {
        return err_set(e, ST_CORRUPT, "is not signed for the gateway and the day that it names");
    }
    (void)printf("%s: signed: batches %llu to %llu, %llu readings, %llu gaps\n", path,
                 (unsigned long long)g->d.seq_from, (unsigned long long)g->d.seq_to,
                 (unsigned long long)g->d.readings, (unsigned long long)g->d.gaps);
    return ST_OK;
}

static bool begins(const struct buf *b, const void *with, size_t n)
{
    return b->n >= n && memcmp(b->p, with, n) == 0;
}

static enum st check_batch(struct run *r, const char *path, bool export, struct err *e)
{
    static const uint8_t zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    ERR_TRY(read_file(path, &r->file, e));
    if (!export && begins(&r->file, QR_PROOF, strlen(QR_PROOF))) {
        return check_proof(r, path, e);
    }
    if (!begins(&r->file, zstd_magic, sizeof(zstd_magic))) {
        return check_bytes(r, path, &r->file, export, e);
    }
    r->cose.n = 0;
    ERR_TRY(wire_zstd_unpack(r->file.p, r->file.n, WIRE_BATCH_MAX, &r->cose, e));
    return check_bytes(r, path, &r->cose, export, e);
}

static void say(struct run *r, const char *path, const char *text)
{
    (void)fprintf(stderr, "%s: %s\n", path, text);
    r->set.faults++;
}

static void check_file(struct run *r, const char *path, bool export)
{
    struct err e = {0};
    enum st st = check_batch(r, path, export, &e);
    if (st == ST_NOT_FOUND) {
        void *grown = realloc(r->later, (r->nlater + 1) * sizeof(*r->later));
        r->later = grown ? grown : r->later;
        char *copy = grown ? strdup(path) : NULL;
        if (copy) {
            r->later[r->nlater].path = copy;
            r->later[r->nlater++].export = export;
            return;
        }
    }
    if (st != ST_OK) {
        say(r, path, e.text);
    }
}

/* As long as this brings a key to light: what no known key had signed. */
static void check_later(struct run *r)
{
    size_t known = 0;
    while (r->nlater > 0 && r->keys.n > known) {
        size_t kept = 0;
        known = r->keys.n;
        for (size_t i = 0; i < r->nlater; i++) {
            struct err e = {0};
            enum st st = check_batch(r, r->later[i].path, r->later[i].export, &e);
            if (st == ST_NOT_FOUND) {
                r->later[kept++] = r->later[i];
                continue;
            }
            if (st != ST_OK) {
                say(r, r->later[i].path, e.text);
            }
            free(r->later[i].path);
        }
        r->nlater = kept;
    }
    for (size_t i = 0; i < r->nlater; i++) {
        struct err e = {0};
        enum st st = check_batch(r, r->later[i].path, r->later[i].export, &e);
        if (st != ST_OK) {
            say(r, r->later[i].path, e.text);
        }
        free(r->later[i].path);
    }
    free(r->later);
}

static void check_manifest(struct run *r, const char *path)
{
    struct err e = {0};
    if (verify_manifest(&r->set, path, &e) != ST_OK) {
        say(r, path, e.text);
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

static bool add_key(struct run *r, const char *path)
{
    struct err e = {0};
    struct wire_pub *pub = NULL;
    if (r->keys.n == KEYS_MAX || wire_pub_load(&pub, path, &e) != ST_OK ||
        verify_key_add(&r->keys, pub, "", &e) != ST_OK) {
        log_error("%s", r->keys.n == KEYS_MAX ? "at most 16 keys" : e.text);
        return false;
    }
    return true;
}

/* "3-290": from 1, in order. */
static bool parse_seq(const char *text, struct verify_set *s)
{
    char *end;
    errno = 0;
    s->seq_from = strtoull(text, &end, 10);
    bool good = text[0] >= '1' && text[0] <= '9' && *end == '-' && end[1] >= '1' && end[1] <= '9';
    s->seq_to = good ? strtoull(end + 1, &end, 10) : 0;
    return good && *end == '\0' && errno == 0 && s->seq_from <= s->seq_to && s->seq_to <= INT64_MAX;
}

static bool take_option(struct run *r, int o)
{
    static const char *const wants[] = {['f'] = "a time such as 2026-11-22T03:05:10Z",
                                        ['t'] = "a time such as 2026-11-22T03:05:10Z",
                                        ['s'] = "numbers such as 3-290",
                                        ['d'] = "a day such as 2026-11-25"};
    bool good =
        o == 'f'   ? clk_parse(optarg, &r->set.from_ms)
        : o == 't' ? clk_parse(optarg, &r->set.to_ms)
        : o == 's'
            ? parse_seq(optarg, &r->set)
            : wire_day_parse((struct wire_span){(const uint8_t *)optarg, strlen(optarg)}, &r->day);
    if (!good) {
        (void)fprintf(stderr, "fieldpost verify: \"%s\" is not %s\n", optarg, wants[o]);
    }
    return good;
}

static bool parse_options(int argc, char **argv, struct run *r, int *code)
{
    static const struct option options[] = {{"key", required_argument, NULL, 'k'},
                                            {"from", required_argument, NULL, 'f'},
                                            {"to", required_argument, NULL, 't'},
                                            {"seq", required_argument, NULL, 's'},
                                            {"day", required_argument, NULL, 'd'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int o;
    optind = 0;
    while ((o = getopt_long(argc, argv, "k:h", options, NULL)) != -1) {
        if (o == 'h' || o == '?') {
            (void)cli_usage(o, usage, code);
            return false;
        }
        if (!(o == 'k' ? add_key(r, optarg) : take_option(r, o))) {
            return false;
        }
    }
    const struct verify_set *s = &r->set;
    bool part = s->seq_to || s->from_ms != INT64_MIN || s->to_ms != INT64_MAX;
    if (part && r->day != INT64_MIN) {
        (void)fputs("fieldpost verify: --day needs all batches: it does not go with --from, --to "
                    "and --seq\n",
                    stderr);
        return false;
    }
    if (r->keys.n == 0 || optind == argc) {
        (void)cli_usage('?', usage, code);
        return false;
    }
    return true;
}

/* What all of them together can break. */
static void check_set(struct run *r)
{
    if (r->set.n == 0 && r->set.faults == 0) {
        (void)fputs("no batch is among what was asked for\n", stderr);
        r->set.faults++;
    }
    verify_links(&r->set);
    verify_range(&r->set);
    verify_manifests(&r->set);
    if (r->day != INT64_MIN) {
        verify_day(&r->set, r->day);
    }
}

int cli_verify(int argc, char **argv)
{
    struct run r = {.day = INT64_MIN, .set = {.from_ms = INT64_MIN, .to_ms = INT64_MAX}};
    int code = CLI_USAGE;
    buf_init(&r.file, FILE_MAX_BYTES);
    buf_init(&r.cose, WIRE_BATCH_MAX);
    if (parse_options(argc, argv, &r, &code)) {
        for (int i = optind; i < argc; i++) {
            check_path(&r, argv[i]);
        }
        check_later(&r);
        check_set(&r);
        (void)printf("%zu batches, %llu readings: %s\n", r.set.n,
                     (unsigned long long)r.set.readings, r.set.faults ? "not all is well" : "good");
        code = r.set.faults || fflush(stdout) != 0 ? CLI_FAILED : CLI_DONE;
    }
    verify_done(&r.set);
    buf_done(&r.file);
    buf_done(&r.cose);
    verify_keys_done(&r.keys);
    return code;
}
