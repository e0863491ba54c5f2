/* What was imported: files of samples beside the store. */
#include "gateway/connectivity/survey_int.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/drop.h"
#include "gateway/wire/wire.h"

#define NAME_HASH 16 /* bytes of the SHA-256 that a file is named after */

enum st connectivity_csv_load(const char *path, struct buf *out, struct err *e)
{
    return connectivity_file_read(path, CONNECTIVITY_CSV_BYTES, out, e);
}

/* ---- reading
 * ------------------------------------------------------------------------------------- */

static enum st one_file(const char *path, connectivity_import_each *each, void *ctx, struct err *e)
{
    const struct connectivity_csv_ask ask = {.now_ms = INT64_MAX - 86400000};
    struct connectivity_csv c = {.n = 0};
    struct buf b;
    enum st st = connectivity_csv_load(path, &b, e);
    if (st == ST_OK && connectivity_csv_read(&c, path, b.p, b.n, &ask, e) == ST_MEMORY)
        st = ST_MEMORY;
    else if (st == ST_OK && (c.n == 0 || c.bad > 0))
        st = err_set(e, ST_CORRUPT,
                     "%s: the file is damaged: remove it and import what it came from", path);
    for (size_t i = 0; i < c.n && st == ST_OK; i++)
        st = each(ctx, &c.sample[i], e);
    connectivity_csv_done(&c);
    buf_done(&b);
    return st;
}

static int is_import(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return n == 2 * NAME_HASH + 4 && strcmp(d->d_name + n - 4, ".csv") == 0;
}

enum st connectivity_imported(const char *store_path, connectivity_import_each *each, void *ctx,
                              struct err *e)
{
    char folder[DROP_PATH_BYTES], path[2 * DROP_PATH_BYTES];
    struct dirent **list = NULL;
    (void)snprintf(folder, sizeof folder, "%s" CONNECTIVITY_IMPORT_FOLDER, store_path);
    int n = scandir(folder, &list, is_import, alphasort);
    if (n < 0)
        return errno == ENOENT
                   ? ST_OK
                   : err_set(e, ST_IO, "%s: cannot be read: %s", folder, strerror(errno));
    enum st st = ST_OK;
    for (int i = 0; i < n; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name);
        if (st == ST_OK)
            st = one_file(path, each, ctx, e);
        free(list[i]);
    }
    free(list);
    return st;
}

/* ---- keeping
 * ------------------------------------------------------------------------------------- */

struct kept {
    struct connectivity_sample *s;
    size_t n, cap;
};

static int order(const void *a, const void *b)
{
    return connectivity_sample_cmp(a, b);
}

static enum st keep_one(void *ctx, const struct connectivity_sample *s, struct err *e)
{
    struct kept *k = ctx;
    if (k->n == k->cap) {
        size_t cap = k->cap ? 2 * k->cap : 1024;
        struct connectivity_sample *p = realloc(k->s, cap * sizeof *p);
        if (!p)
            return err_set(e, ST_MEMORY, "survey: no memory");
        k->s = p;
        k->cap = cap;
    }
    k->s[k->n++] = *s;
    return ST_OK;
}

/* Of a sorted list: those that `old` has not, each once. */
static size_t only_new(struct connectivity_sample *s, size_t n, const struct kept *old)
{
    size_t fresh = 0;
    for (size_t i = 0; i < n; i++) {
        bool again = fresh > 0 && order(&s[fresh - 1], &s[i]) == 0;
        bool known = old->n > 0 && bsearch(&s[i], old->s, old->n, sizeof *s, order);
        if (!again && !known)
            s[fresh++] = s[i];
    }
    return fresh;
}

/* ---- our own form ---------------------------------------------------------------------------- */

void connectivity_csv_done(struct connectivity_csv *c)
{
    free(c->sample);
    *c = (struct connectivity_csv){.n = 0};
}

enum st connectivity_csv_write(const struct connectivity_sample *s, size_t n, struct buf *out)
{
    char text[NUM_TEXT_BYTES];
    ERR_TRY(buf_printf(out, "time_ms,latitude,longitude,operator,technology,transfer,rsrp,rsrq,"
                            "sinr,nr_rsrp,nr_rsrq,nr_sinr\n"));
    for (size_t i = 0; i < n; i++) {
        const struct num v[] = {s[i].rsrp, s[i].rsrq, s[i].sinr};
        ERR_TRY(buf_printf(out, "%" PRId64 ",%.7f,%.7f,%u,%s,%d", s[i].t_ms, s[i].lat, s[i].lon,
                           (unsigned)s[i].plmn, connectivity_survey_tech_text[s[i].tech],
                           s[i].transfer));
        for (unsigned k = 0; k < 6; k++) { /* those of LTE, then those of 5G */
            bool here = (k >= 3) == (s[i].tech != CONNECTIVITY_SURVEY_LTE);
            ERR_TRY(buf_printf(out, ",%s", here ? num_text(v[k % 3], text) : ""));
        }
        ERR_TRY(buf_printf(out, "\n"));
    }
    return ST_OK;
}

static enum st write_file(const char *store_path, const struct connectivity_sample *s, size_t n,
                          struct err *e)
{
    char folder[DROP_PATH_BYTES], name[2 * NAME_HASH + 8];
    uint8_t hash[WIRE_HASH_BYTES];
    int fd = -1;
    struct buf b;
    buf_init(&b, CONNECTIVITY_CSV_BYTES);
    enum st st = connectivity_csv_write(s, n, &b);
    if (st != ST_OK)
        (void)err_set(e, st, "survey: the samples do not fit into one file: import smaller ones");
    else
        st = drop_open(store_path, CONNECTIVITY_IMPORT_FOLDER, 0700, folder, &fd, e);
    if (st == ST_OK) {
        wire_sha256(b.p, b.n, hash);
        wire_hex(hash, NAME_HASH, name);
        memcpy(name + 2 * NAME_HASH, ".csv", sizeof ".csv");
        drop_clean(fd);
        st = drop_put(fd, folder, name, b.p, b.n, CONNECTIVITY_IMPORT_FILES, "", e);
        (void)close(fd);
    }
    buf_done(&b);
    return st;
}

enum st connectivity_import(const char *store_path, const struct connectivity_csv *in,
                            uint32_t *fresh, struct err *e)
{
    struct kept old = {.n = 0}, now = {.n = 0};
    *fresh = 0;
    enum st st = connectivity_imported(store_path, keep_one, &old, e);
    for (size_t i = 0; i < in->n && st == ST_OK; i++)
        st = keep_one(&now, &in->sample[i], e);
    if (st == ST_OK && old.n > 0)
        qsort(old.s, old.n, sizeof *old.s, order);
    if (st == ST_OK && now.n > 0) {
        qsort(now.s, now.n, sizeof *now.s, order);
        *fresh = (uint32_t)only_new(now.s, now.n, &old);
    }
    if (st == ST_OK && old.n + *fresh > CONNECTIVITY_SAMPLES_MAX)
        st = err_set(e, ST_FULL,
                     "%s" CONNECTIVITY_IMPORT_FOLDER ": more than %d imported samples: remove old "
                     "files there",
                     store_path, CONNECTIVITY_SAMPLES_MAX);
    if (st == ST_OK && *fresh > 0)
        st = write_file(store_path, now.s, *fresh, e);
    free(old.s);
    free(now.s);
    return st;
}
