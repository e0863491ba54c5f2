/* What the city is to keep of a configuration: the file, the profiles that it names by a path, and
 * the files of its folder of indicators, with those of territories: without them nobody else can
 * tell which days a report of this site is about.
 * Nothing else that it names goes along: keys, passwords and certificates stay in their files. */
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/config.h"

/* The path without "." parts, relative to the configuration where it lies beside or below it: as
 * the file is to be found on another box. The caller's to free. */
static char *name_of(const char *path, const char *config)
{
    const char *slash = strrchr(config, '/');
    size_t folder = slash ? (size_t)(slash - config) + 1 : 0;
    char *out = strdup(strncmp(path, config, folder) == 0 ? path + folder : path), *to = out;
    for (const char *from = out; from && *from;) {
        if (from[0] == '.' && from[1] == '/' && (from == out || from[-1] == '/')) {
            from += 2;
        } else {
            *to++ = *from++;
        }
    }
    if (to) {
        *to = '\0';
    }
    return out;
}

static bool is_installed(const char *path)
{
    char dir[512];
    size_t n = strlen(cli_profile_dir(dir, sizeof(dir)));
    return strncmp(path, dir, n) == 0 && path[n] == '/';
}

struct found {
    struct wire_deposit_file file[WIRE_DEPOSIT_FILES];
    char *name[WIRE_DEPOSIT_FILES];
    struct buf bytes[WIRE_DEPOSIT_FILES];
    size_t n;
};

/* One file; what is installed everywhere, or was taken already, is passed over. */
static enum st add(struct found *f, const char *path, const char *config, struct buf *bytes,
                   struct err *e)
{
    char *name = is_installed(path) ? NULL : name_of(path, config);
    bool known = is_installed(path);
    for (size_t i = 1; name && i < f->n; i++) {
        known = known || strcmp(f->name[i], name) == 0;
    }
    if (known || !name || f->n == WIRE_DEPOSIT_FILES) {
        free(name);
        buf_done(bytes);
        return known ? ST_OK
               : f->n == WIRE_DEPOSIT_FILES
                   ? err_set(e, ST_FULL, "it names more than %d files of profiles and indicators",
                             WIRE_DEPOSIT_FILES - 1)
                   : err_set(e, ST_MEMORY, "no memory for a name");
    }
    f->name[f->n] = name;
    f->bytes[f->n++] = *bytes;
    return ST_OK;
}

struct territories {
    struct found *f;
    const char *config;
};

static enum st add_territory(void *ctx, const char *path, struct buf *bytes, struct err *e)
{
    struct territories *t = ctx;
    return add(t->f, path, t->config, bytes, e);
}

static enum st encode(struct found *f, struct buf *out, struct err *e)
{
    for (size_t i = 0; i < f->n; i++) {
        f->file[i] = (struct wire_deposit_file){{(const uint8_t *)f->name[i], strlen(f->name[i])},
                                                {f->bytes[i].p, f->bytes[i].n}};
        if (f->bytes[i].n > WIRE_DEPOSIT_FILE_MAX) {
            return err_set(e, ST_FULL, "%s is larger than %d KiB", f->name[i],
                           WIRE_DEPOSIT_FILE_MAX / 1024);
        }
    }
    return wire_deposit_files(f->file, f->n, out, e);
}

enum st cli_deposit_files(struct cli_config *c, struct buf *out, struct err *e)
{
    const char *config = cfg_path(c->cfg), *slash = strrchr(config, '/'), *path;
    struct found *f = calloc(1, sizeof(*f));
    enum st st = f ? ST_OK : err_set(e, ST_MEMORY, "no memory for its files");
    if (f) {
        f->bytes[0] = c->raw;
        buf_init(&c->raw, 0);
        f->name[f->n++] = strdup(slash ? slash + 1 : config);
        st = f->name[0] ? ST_OK : err_set(e, ST_MEMORY, "no memory for a name");
    }
    struct buf bytes = {0};
    for (size_t i = 0; st == ST_OK && (path = collect_profile_take(c->collect_room, i, &bytes));
         i++) {
        st = add(f, path, config, &bytes, e);
        bytes = (struct buf){0};
    }
    for (size_t i = 0; st == ST_OK && (path = indicators_take(c->indicators_room, i, &bytes));
         i++) {
        st = add(f, path, config, &bytes, e);
        bytes = (struct buf){0};
    }
    if (st == ST_OK) {
        struct territories t = {f, config};
        st = report_territory_each_own(&c->indicator, c->cfg, add_territory, &t, e);
    }
    if (st == ST_OK) {
        st = encode(f, out, e);
    }
    for (size_t i = 0; f && i < f->n; i++) {
        free(f->name[i]);
        buf_done(&f->bytes[i]);
    }
    free(f);
    return st;
}
