/* Files: read, checked, filled in. */
#include "gateway/base/cfg.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/cfg_int.h"

static enum st read_file(struct cfg *c, struct buf *out)
{
    enum st st = ST_IO;
    int fd = open(c->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat s;
    if (fd < 0 || fstat(fd, &s) != 0) {
        st = errno == ENOENT ? ST_NOT_FOUND : ST_IO;
        cfg_complain_at(c, 1, 1, "cannot be read: %s", strerror(errno));
        goto out;
    }
    if (!S_ISREG(s.st_mode)) {
        cfg_complain_at(c, 1, 1, "is not a file");
        goto out;
    }
    c->owner = s.st_uid;
    for (;;) {
        st = buf_reserve(out, 1);
        if (st != ST_OK) {
            if (st == ST_FULL) {
                cfg_complain_at(c, 1, 1, "is larger than 4 MiB");
                st = ST_BAD;
            }
            goto out;
        }
        ssize_t got = read(fd, out->p + out->n, out->cap - out->n);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            cfg_complain_at(c, 1, 1, "cannot be read: %s", strerror(errno));
            st = ST_IO;
            goto out;
        }
        if (got == 0) {
            break;
        }
        out->n += (size_t)got;
    }
out:
    if (fd >= 0) {
        (void)close(fd);
    }
    return st;
}

static enum st read_tree(struct cfg *c, struct cfg_arena *a, struct cfg_node **root)
{
    struct buf text;
    buf_init(&text, CFG_FILE_MAX_BYTES);
    enum st st = read_file(c, &text);
    if (st == ST_OK) {
        st = cfg_yaml_read(c, (const char *)text.p, text.n, a, root);
    }
    buf_done(&c->raw);
    c->raw = text; /* for cfg_take */
    if (st == ST_OK && (*root)->type != CFG_NODE_MAP) {
        cfg_complain_at(c, (*root)->line, (*root)->col, "must be a map of keys and values");
        st = ST_BAD;
    }
    return st;
}

static struct cfg *new_cfg(const char *path)
{
    struct cfg *c = calloc(1, sizeof(*c));
    if (!c) {
        return NULL;
    }
    buf_init(&c->text, (size_t)CFG_COMPLAINTS_MAX * (CFG_WHY_BYTES + 128 + strlen(path) + 32));
    c->path = strdup(path);
    if (!c->path) {
        cfg_free(c);
        return NULL;
    }
    return c;
}

/* The last word on a load: what is kept shrinks to what is needed. */
static enum st finish(struct cfg **out, struct cfg *c, enum st st, struct err *e)
{
    if (c->memory || st == ST_MEMORY) {
        enum st full = err_set(e, ST_MEMORY, "%s: no memory to read it", c->path);
        cfg_free(c);
        *out = NULL;
        return full;
    }
    *out = c;
    if (c->nplaces > 0) {
        struct cfg_place *less = realloc(c->places, c->nplaces * sizeof(*less));
        c->places = less ? less : c->places;
        c->places_cap = less ? c->nplaces : c->places_cap;
    }
    if (st == ST_OK && c->ncomplaints > 0) {
        st = ST_BAD;
    }
    if (st != ST_OK) {
        const char *text;
        size_t n = cfg_complaints(c, &text);
        int first = (int)strcspn(text, "\n");
        if (n > 1) {
            (void)err_set(e, st, "%.*s (and %zu more)", first, text, n - 1);
        } else {
            (void)err_set(e, st, "%.*s", first, text);
        }
    }
    return st;
}

enum st cfg_load(struct cfg **out, const char *path, const struct cfg_section *sections,
                 const char *const *ignore, struct err *e)
{
    *out = NULL;
    struct cfg *c = new_cfg(path);
    if (!c) {
        return err_set(e, ST_MEMORY, "%s: no memory to read it", path);
    }
    struct cfg_arena tree = {0};
    struct cfg_node *root = NULL;
    enum st st = read_tree(c, &tree, &root);
    const char *known[CFG_KEYS_MAX];
    size_t nknown = 0;
    for (const struct cfg_section *s = sections; s->key; s++) {
        assert(nknown < CFG_KEYS_MAX);
        known[nknown++] = s->key;
        if (root && st == ST_OK) {
            cfg_fill_section(c, s, root);
        } else {
            memset(s->dst, 0, s->map ? sizeof(struct cfg_items) : s->table->struct_size);
        }
    }
    size_t ours = nknown;
    for (; ignore && *ignore; ignore++) {
        assert(nknown < CFG_KEYS_MAX);
        known[nknown++] = *ignore;
    }
    for (const struct cfg_node *i = root && st == ST_OK ? root->first : NULL; i; i = i->next) {
        size_t k = 0;
        while (k < nknown && strcmp(known[k], i->key) != 0) {
            k++;
        }
        if (k == nknown) {
            cfg_complain_unknown(c, i, known, ours);
        }
    }
    cfg_arena_done(&tree);
    return finish(out, c, st, e);
}

enum st cfg_load_struct(struct cfg **out, const char *path, const struct cfg_table *table,
                        void *dst, struct err *e)
{
    *out = NULL;
    struct cfg *c = new_cfg(path);
    if (!c) {
        return err_set(e, ST_MEMORY, "%s: no memory to read it", path);
    }
    struct cfg_arena tree = {0};
    struct cfg_node *root = NULL;
    enum st st = read_tree(c, &tree, &root);
    memset(dst, 0, table->struct_size);
    if (st == ST_OK) {
        cfg_fill_struct(c, table, root, dst, true);
    }
    cfg_arena_done(&tree);
    return finish(out, c, st, e);
}

uid_t cfg_take(struct cfg *c, struct buf *out)
{
    *out = c->raw;
    buf_init(&c->raw, 0);
    return c->owner;
}

void cfg_free(struct cfg *c)
{
    if (!c) {
        return;
    }
    cfg_arena_done(&c->arena);
    free(c->places);
    free(c->complaints);
    buf_done(&c->text);
    buf_done(&c->raw);
    free(c->path);
    free(c);
}
