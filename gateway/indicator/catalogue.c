/* The catalogue: all files of its folders, loaded and checked, in an order in which they can be
 * computed. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gateway/indicator/indicator_int.h"
#include "gateway/wire/wire.h"

struct indicator_catalogue {
    struct indicator_file *files; /* by their names */
    size_t n;
    size_t *order, norder; /* indices of the indicators among them */
    uint8_t hash[WIRE_HASH_BYTES];
};

static enum st no_memory(struct err *e)
{
    return err_set(e, ST_MEMORY, "no memory for the catalogue of indicators");
}

/* ---- what there is -------------------------------------------------------------------------- */

static void file_done(struct indicator_file *f)
{
    cfg_free(f->cfg);
    buf_done(&f->raw);
    formula_free(f->def.num);
    formula_free(f->def.den);
    free(f->def.quantities);
    free(f->path);
    free(f->name);
}

/* A later folder's file takes the place of an earlier one's. ST_FULL: too many. */
static enum st add(struct indicator_catalogue *x, const char *folder, const char *prefix,
                   const char *name, bool own)
{
    struct indicator_file f = {.is_norm = *prefix != '\0', .own = own};
    if (asprintf(&f.path, "%s/%s%s", folder, prefix, name) < 0)
        return ST_MEMORY;
    if (asprintf(&f.name, "%s%s", prefix, name) < 0) {
        free(f.path);
        return ST_MEMORY;
    }
    size_t i = 0;
    while (i < x->n && strcmp(x->files[i].name, f.name) != 0)
        i++;
    if (i == INDICATOR_FILES_MAX) {
        file_done(&f);
        return ST_FULL;
    }
    if (i < x->n)
        file_done(&x->files[i]);
    x->n += i == x->n;
    x->files[i] = f;
    return ST_OK;
}

static enum st list(struct indicator_catalogue *x, const char *folder, const char *prefix, bool own,
                    struct buf *complaints)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, prefix) < 0)
        return ST_MEMORY;
    DIR *d = opendir(path);
    int why = errno;
    enum st st = ST_OK;
    free(path);
    if (!d && *prefix && why == ENOENT)
        return ST_OK; /* a site needs no norms of its own */
    if (!d)
        return buf_printf(complaints, "%s/%s:1:1: cannot be read: %s\n", folder, prefix,
                          strerror(why));
    for (const struct dirent *i; st == ST_OK && (i = readdir(d));) {
        size_t n = strlen(i->d_name);
        if (n > 5 && i->d_name[0] != '.' && strcmp(i->d_name + n - 5, ".yaml") == 0)
            st = add(x, folder, prefix, i->d_name, own);
    }
    (void)closedir(d);
    if (st == ST_FULL)
        st = buf_printf(complaints, "%s/%s:1:1: a catalogue has at most %d files\n", folder, prefix,
                        INDICATOR_FILES_MAX);
    return st;
}

static int by_name(const void *a, const void *b)
{
    const struct indicator_file *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* ---- loading -------------------------------------------------------------------------------- */

/* [a-z0-9-]+, short enough for ID.DEVICE to be an id. */
#define ID_MOST 40
static void check_id(struct indicator_file *f, char *const *id)
{
    const char *name = f->name + (f->is_norm ? strlen(INDICATOR_NORM_PREFIX) : 0);
    size_t n = strlen(name) - strlen(".yaml");
    size_t good = strspn(*id, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if ((*id)[good] != '\0' || good > ID_MOST)
        cfg_complain(f->cfg, id, "id: small letters, digits and dashes, at most %d", ID_MOST);
    else if (strlen(*id) != n || strncmp(*id, name, n) != 0)
        cfg_complain(f->cfg, id, "id: the file is %s: write id: %.*s", name, (int)n, name);
}

/* The bytes of the file are behind `all` then. */
static enum st load(struct indicator_file *f, struct buf *all, struct buf *complaints)
{
    struct stat s;
    struct buf raw;
    if (stat(f->path, &s) == 0 && s.st_size > INDICATOR_FILE_MAX_BYTES)
        return buf_printf(complaints, "%s:1:1: is larger than %d KiB\n", f->path,
                          INDICATOR_FILE_MAX_BYTES / 1024);
    enum st st =
        cfg_load_struct(&f->cfg, f->path, f->is_norm ? &indicator_norm_table : &indicator_def_table,
                        f->is_norm ? (void *)&f->norm : &f->def, NULL);
    if (!f->cfg)
        return ST_MEMORY;
    char **id = f->is_norm ? &f->norm.id : &f->def.id;
    if (*id) { /* else it is no YAML, and nothing was filled in */
        f->def.quantities = calloc(f->def.inputs.n + 1, sizeof(struct quantity *));
        if (!f->def.quantities)
            return ST_MEMORY;
        check_id(f, id);
        if (f->is_norm)
            indicator_norm_check(f);
        else
            indicator_def_check(f);
    }
    f->good = st == ST_OK && cfg_complaints(f->cfg, NULL) == 0;
    (void)cfg_take(f->cfg, &raw);
    st = buf_put(all, f->name, strlen(f->name) + 1);
    if (st == ST_OK)
        st = buf_put(all, raw.p, raw.n);
    if (f->own)
        f->raw = raw;
    else
        buf_done(&raw);
    return st;
}

static enum st load_all(struct indicator_catalogue *x, struct buf *complaints)
{
    struct buf all;
    enum st st = ST_OK;
    buf_init(&all, (size_t)INDICATOR_FILES_MAX * (INDICATOR_FILE_MAX_BYTES + 512));
    for (size_t i = 0; i < x->n && st == ST_OK; i++)
        st = load(&x->files[i], &all, complaints);
    wire_sha256(all.p, all.n, x->hash);
    buf_done(&all);
    return st;
}

/* Every file's mistakes; what no longer fits is left out. */
static void gather(const struct indicator_catalogue *x, struct buf *complaints)
{
    for (size_t i = 0; i < x->n; i++) {
        const char *text;
        if (x->files[i].cfg && cfg_complaints(x->files[i].cfg, &text) > 0 &&
            buf_put(complaints, text, strlen(text)) != ST_OK)
            return;
    }
}

static enum st judge(const struct buf *complaints, struct err *e)
{
    size_t n = 0;
    for (size_t i = 0; i < complaints->n; i++)
        n += complaints->p[i] == '\n';
    if (n == 0)
        return ST_OK;
    const char *text = (const char *)complaints->p;
    int first = (int)((const char *)memchr(text, '\n', complaints->n) - text);
    return n > 1 ? err_set(e, ST_BAD, "%.*s (and %zu more)", first, text, n - 1)
                 : err_set(e, ST_BAD, "%.*s", first, text);
}

enum st indicator_catalogue_open_for(struct indicator_catalogue **out, const char *const *folders,
                                     const struct indicator_cfg *site, struct cfg *c,
                                     struct buf *complaints, struct err *e)
{
    enum st st = ST_OK;
    struct indicator_catalogue *x = calloc(1, sizeof *x);
    *out = x;
    if (!x)
        return no_memory(e);
    x->files = calloc(INDICATOR_FILES_MAX, sizeof *x->files);
    x->order = calloc(INDICATOR_FILES_MAX, sizeof *x->order);
    if (!x->files || !x->order)
        return no_memory(e);
    for (size_t i = 0; folders[i] && st == ST_OK; i++) {
        st = list(x, folders[i], "", site && i > 0, complaints);
        if (st == ST_OK)
            st = list(x, folders[i], INDICATOR_NORM_PREFIX, site && i > 0, complaints);
    }
    qsort(x->files, x->n, sizeof *x->files, by_name);
    if (st == ST_OK)
        st = load_all(x, complaints);
    if (st == ST_OK && site)
        indicator_params_set(site, c, x->files, x->n);
    if (st == ST_OK)
        st = indicator_refer(x->files, x->n, x->order, &x->norder, e);
    if (st == ST_MEMORY || st == ST_FULL)
        return no_memory(e);
    gather(x, complaints);
    return judge(complaints, e);
}

enum st indicator_catalogue_open(struct indicator_catalogue **out, const char *const *folders,
                                 struct buf *complaints, struct err *e)
{
    return indicator_catalogue_open_for(out, folders, NULL, NULL, complaints, e);
}

void indicator_catalogue_close(struct indicator_catalogue *c)
{
    for (size_t i = 0; c && i < c->n; i++)
        file_done(&c->files[i]);
    if (c) {
        free(c->files);
        free(c->order);
    }
    free(c);
}

/* ---- looking in ----------------------------------------------------------------------------- */

size_t indicator_catalogue_count(const struct indicator_catalogue *c)
{
    return c->norder;
}

const struct indicator_def *indicator_catalogue_at(const struct indicator_catalogue *c, size_t i)
{
    return &c->files[c->order[i]].def;
}

const struct indicator_def *indicator_catalogue_find(const struct indicator_catalogue *c,
                                                     const char *id)
{
    for (size_t i = 0; i < c->norder; i++)
        if (strcmp(indicator_catalogue_at(c, i)->id, id) == 0)
            return indicator_catalogue_at(c, i);
    return NULL;
}

const struct indicator_norm *indicator_norm_find(const struct indicator_catalogue *c,
                                                 const char *id)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->files[i].is_norm && c->files[i].good && strcmp(c->files[i].norm.id, id) == 0)
            return &c->files[i].norm;
    return NULL;
}

const char *indicator_catalogue_path(const struct indicator_catalogue *c,
                                     const struct indicator_def *d)
{
    for (size_t i = 0; i < c->n; i++)
        if (&c->files[i].def == d)
            return c->files[i].path;
    return NULL;
}

const char *indicator_catalogue_take(struct indicator_catalogue *c, size_t i, struct buf *bytes)
{
    for (size_t k = 0; k < c->n; k++) {
        if (!c->files[k].own || i-- > 0)
            continue;
        *bytes = c->files[k].raw;
        buf_init(&c->files[k].raw, 0);
        return c->files[k].path;
    }
    return NULL;
}

const uint8_t *indicator_catalogue_hash(const struct indicator_catalogue *c)
{
    return c->hash;
}
