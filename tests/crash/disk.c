#include "tests/crash/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const fault_name[FAULTS] = {
    [FAULT_KEPT] = "kept",           [FAULT_DROPPED] = "dropped",     [FAULT_TORN_512] = "torn 512",
    [FAULT_TORN_4096] = "torn 4096", [FAULT_REORDERED] = "reordered", [FAULT_ZEROED] = "zeroed",
};

static void *must(void *p)
{
    if (!p) {
        fprintf(stderr, "crash: no memory\n");
        exit(2);
    }
    return p;
}

static void list_add(struct disk_list *l, size_t x)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 16;
        l->v = must(realloc(l->v, l->cap * sizeof *l->v));
    }
    l->v[l->n++] = x;
}

/* ---- bytes ---- */

struct bytes {
    uint8_t *p;
    size_t n;
};

static void resize(struct bytes *b, size_t n)
{
    if (n <= b->n) {
        b->n = n;
        return;
    }
    b->p = must(realloc(b->p, n));
    memset(b->p + b->n, 0, n - b->n);
    b->n = n;
}

/* Puts the part of a write that lies in [from, to). */
static void put(struct bytes *b, const struct rec_op *o, size_t from, size_t to)
{
    size_t a = o->off > from ? o->off : from;
    size_t z = o->off + o->n < to ? o->off + o->n : to;
    if (a >= z)
        return;
    if (z > b->n)
        resize(b, z);
    memcpy(b->p + a, o->data + (a - o->off), z - a);
}

static void apply(struct bytes *b, const struct rec_op *o)
{
    if (o->kind == REC_SIZE)
        resize(b, o->n);
    else
        put(b, o, 0, SIZE_MAX);
}

/* The size after the first `upto` open calls. */
static size_t size_after(const struct disk *d, const struct disk_file *f, size_t upto)
{
    size_t n = f->n;
    for (size_t i = 0; i < upto; i++) {
        const struct rec_op *o = &d->log->op[f->open.v[i]];
        size_t end = o->off + o->n;
        if (o->kind == REC_SIZE)
            n = o->n;
        else if (end > n)
            n = end;
    }
    return n;
}

static size_t below(uint64_t *seed, size_t n)
{
    return (size_t)(rec_next(seed) % n);
}

/* One block of a torn file: the open calls up to one of them reached it, those behind it did not.
 */
static void tear_block(const struct disk *d, const struct disk_file *f, struct bytes *b, size_t at,
                       size_t block, size_t upto)
{
    for (size_t i = 0; i < upto; i++) {
        const struct rec_op *o = &d->log->op[f->open.v[i]];
        if (o->kind == REC_WRITE)
            put(b, o, at, at + block);
        else if (o->n < at + block && at < b->n) {
            size_t from = o->n > at ? o->n : at, to = at + block < b->n ? at + block : b->n;
            if (from < to)
                memset(b->p + from, 0, to - from);
        }
    }
}

static void tear(const struct disk *d, const struct disk_file *f, struct bytes *b, size_t block,
                 uint64_t *seed)
{
    size_t n = f->open.n, size = size_after(d, f, below(seed, n + 1)), most = f->n;
    for (size_t i = 0; i <= n; i++) {
        size_t s = size_after(d, f, i);
        most = s > most ? s : most;
    }
    resize(b, most);
    for (size_t at = 0; at < most; at += block) {
        size_t touch = 0;
        for (size_t i = 0; i < n; i++) {
            const struct rec_op *o = &d->log->op[f->open.v[i]];
            touch += o->kind == REC_SIZE || (o->off < at + block && o->off + o->n > at);
        }
        if (touch)
            tear_block(d, f, b, at, block, below(seed, n + 1));
    }
    resize(b, size);
}

/* Lengths reach the disk before the bytes: what was appended is zero, what was overwritten is old.
 */
static void zero(const struct disk *d, const struct disk_file *f, struct bytes *b)
{
    for (size_t i = 1; i <= f->open.n; i++)
        resize(b, size_after(d, f, i));
}

static void reorder(const struct disk *d, const struct disk_file *f, struct bytes *b, size_t tenths,
                    uint64_t *seed)
{
    for (size_t i = 0; i < f->open.n; i++)
        if (below(seed, 10) < tenths)
            apply(b, &d->log->op[f->open.v[i]]);
}

static struct bytes content(const struct disk *d, uint32_t file, enum fault fault, size_t tenths,
                            uint64_t *seed)
{
    const struct disk_file *f = &d->file[file];
    struct bytes b = {must(malloc(f->n + 1)), f->n};
    memcpy(b.p, f->n ? f->p : (const uint8_t *)"", f->n);
    if (f->open.n == 0)
        return b;
    switch (fault) {
    case FAULT_KEPT:
        for (size_t i = 0; i < f->open.n; i++)
            apply(&b, &d->log->op[f->open.v[i]]);
        break;
    case FAULT_TORN_512:
        tear(d, f, &b, 512, seed);
        break;
    case FAULT_TORN_4096:
        tear(d, f, &b, 4096, seed);
        break;
    case FAULT_REORDERED:
        reorder(d, f, &b, tenths, seed);
        break;
    case FAULT_ZEROED:
        zero(d, f, &b);
        break;
    case FAULT_DROPPED:
    case FAULTS:
        break;
    }
    return b;
}

/* ---- names ---- */

static void name_drop(struct disk_name *v, size_t *n, const char *name)
{
    for (size_t i = 0; i < *n; i++)
        if (strcmp(v[i].name, name) == 0) {
            v[i] = v[--*n];
            return;
        }
}

/* v has room for one more. */
static void name_apply(struct disk_name *v, size_t *n, const struct rec_op *o)
{
    if (o->kind != REC_CREATE)
        name_drop(v, n, o->name);
    if (o->kind == REC_UNLINK)
        return;
    const char *name = o->kind == REC_RENAME ? o->to : o->name;
    name_drop(v, n, name);
    v[(*n)++] = (struct disk_name){name, o->file};
}

/* The folder when the first `upto` of its open changes are durable. Free it. */
static struct disk_name *names_after(const struct disk *d, size_t upto, size_t *n)
{
    struct disk_name *v = must(calloc(d->nname + upto + 1, sizeof *v));
    *n = d->nname;
    for (size_t i = 0; i < d->nname; i++)
        v[i] = d->name[i];
    for (size_t i = 0; i < upto; i++)
        name_apply(v, n, &d->log->op[d->open.v[i]]);
    return v;
}

/* ---- the log, call by call ---- */

void disk_init(struct disk *d, const struct rec_log *log)
{
    *d = (struct disk){.log = log};
    d->file = must(calloc(log->files + 1, sizeof *d->file));
}

void disk_done(struct disk *d)
{
    for (uint32_t i = 0; i < d->log->files; i++) {
        free(d->file[i].p);
        free(d->file[i].open.v);
    }
    free(d->file);
    free(d->name);
    free(d->open.v);
}

unsigned disk_deaf;

static void sync_file(struct disk *d, uint32_t file)
{
    uint64_t none = 0;
    struct bytes b = content(d, file, FAULT_KEPT, 0, &none);
    free(d->file[file].p);
    d->file[file].p = b.p;
    d->file[file].n = b.n;
    d->file[file].open.n = 0;
}

static void sync_names(struct disk *d)
{
    size_t n;
    struct disk_name *v = names_after(d, d->open.n, &n);
    free(d->name);
    d->name = v;
    d->nname = n;
    d->open.n = 0;
}

void disk_to(struct disk *d, size_t at)
{
    for (; d->at < at; d->at++) {
        const struct rec_op *o = &d->log->op[d->at];
        switch (o->kind) {
        case REC_WRITE:
        case REC_SIZE:
            list_add(&d->file[o->file].open, d->at);
            break;
        case REC_SYNC:
            if (disk_deaf == 0 || ++d->syncs % disk_deaf != 0)
                sync_file(d, o->file);
            break;
        case REC_CREATE:
        case REC_RENAME:
        case REC_UNLINK:
            list_add(&d->open, d->at);
            break;
        case REC_DIRSYNC:
            sync_names(d);
            break;
        }
    }
}

/* ---- images ---- */

static void must_write(const char *dir, const char *name, const struct bytes *b)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, b->p, b->n) == (ssize_t)b->n;
    if (fd >= 0)
        close(fd);
    if (!ok) {
        perror(path);
        exit(2);
    }
}

static void empty(const char *dir)
{
    DIR *d = opendir(dir);
    if (!d) {
        perror(dir);
        exit(2);
    }
    for (struct dirent *x; (x = readdir(d));)
        if (x->d_name[0] != '.')
            (void)unlinkat(dirfd(d), x->d_name, 0);
    closedir(d);
}

void disk_image(const struct disk *d, enum fault fault, uint64_t seed, const char *dir)
{
    static const size_t tenths[] = {1, 5, 9};
    size_t how = tenths[below(&seed, 3)], upto = d->open.n, n;
    if (fault == FAULT_DROPPED)
        upto = 0;
    else if (fault != FAULT_KEPT && fault != FAULT_ZEROED)
        upto = below(&seed, d->open.n + 1);
    struct disk_name *v = names_after(d, upto, &n);
    empty(dir);
    for (size_t i = 0; i < n; i++) {
        struct bytes b = content(d, v[i].file, fault, how, &seed);
        must_write(dir, v[i].name, &b);
        free(b.p);
    }
    free(v);
}

static bool file_is(const char *dir, const char *name, const struct bytes *b)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    uint8_t *have = must(malloc(b->n + 1));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, have, b->n + 1) : -1;
    if (fd >= 0)
        close(fd);
    bool same = n == (ssize_t)b->n && memcmp(have, b->p, b->n) == 0;
    if (!same)
        fprintf(stderr, "crash: %s is not what was recorded (%zd bytes, recorded %zu)\n", path, n,
                b->n);
    free(have);
    return same;
}

bool disk_same(const struct disk *d, const char *dir)
{
    size_t n, there = 0;
    struct disk_name *v = names_after(d, d->open.n, &n);
    bool same = true;
    for (size_t i = 0; i < n; i++) {
        uint64_t none = 0;
        struct bytes b = content(d, v[i].file, FAULT_KEPT, 0, &none);
        same = file_is(dir, v[i].name, &b) && same;
        free(b.p);
    }
    free(v);
    DIR *p = opendir(dir);
    for (struct dirent *x; p && (x = readdir(p));)
        there += x->d_name[0] != '.' && !strstr(x->d_name, "-shm");
    if (p)
        closedir(p);
    if (there != n)
        fprintf(stderr, "crash: %s holds %zu files, recorded %zu\n", dir, there, n);
    return same && there == n;
}
