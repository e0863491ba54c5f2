/* The tree against the tables: what each member becomes. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/cfg_int.h"

static void *get(struct cfg *c, size_t n)
{
    void *p = cfg_arena_get(&c->arena, n);
    c->memory |= !p;
    return p;
}

static size_t count(const struct cfg_node *n)
{
    size_t k = 0;
    for (const struct cfg_node *i = n->first; i; i = i->next) {
        k++;
    }
    return k;
}

/* A scalar of a kind; `at` NULL: a default, which is ours and must be right. */
static bool fill_scalar(struct cfg *c, const struct cfg_field *f, const struct cfg_node *n,
                        const struct cfg_node *at, const char *what, void *dst)
{
    char why[CFG_WHY_BYTES] = "";
    enum st st = cfg_value_read(f, n, &c->arena, dst, why);
    c->memory |= st == ST_MEMORY;
    assert(at || st != ST_BAD);
    if (at) {
        cfg_place_put(c, (struct cfg_place){dst, 0, at->line, at->col, st != ST_OK});
    }
    if (st == ST_BAD) {
        char shown[CFG_SHOWN_BYTES];
        cfg_complain_at(c, n->line, n->col, "%s: %s", cfg_shown(what, shown), why);
    }
    return st == ST_OK;
}

static bool want_type(struct cfg *c, const struct cfg_node *n, enum cfg_node_type type,
                      const char *key, const char *what)
{
    if (n->type == type) {
        return true;
    }
    char shown[CFG_SHOWN_BYTES];
    cfg_complain_at(c, n->line, n->col, "%s: must be %s", cfg_shown(key, shown), what);
    return false;
}

/* One value stands for a list of one; what cannot be read is left out. */
static void fill_array(struct cfg *c, const struct cfg_field *f, const struct cfg_node *n,
                       void *dst)
{
    bool ints = f->kind == CFG_INTS, list = n->type == CFG_NODE_LIST;
    struct cfg_field item = *f;
    item.kind = ints ? CFG_INT : CFG_STRING;
    if (n->type == CFG_NODE_MAP) {
        (void)want_type(c, n, CFG_NODE_LIST, f->key, "a list: [a, b]");
        return;
    }
    cfg_place_put(c, (struct cfg_place){dst, 0, n->line, n->col, false});
    size_t size = ints ? sizeof(int64_t) : sizeof(char *), k = 0;
    char *v = get(c, (list ? count(n) : 1) * size);
    if (!v) {
        return;
    }
    for (const struct cfg_node *i = list ? n->first : n; i; i = list ? i->next : NULL) {
        if (fill_scalar(c, &item, i, i, f->key, v + k * size)) {
            k++;
        } else {
            c->nplaces -= c->nplaces > 0; /* the next one takes its slot */
        }
    }
    if (ints) {
        *(struct cfg_ints *)dst = (struct cfg_ints){(int64_t *)(void *)v, k};
    } else {
        *(struct cfg_strings *)dst = (struct cfg_strings){(char **)(void *)v, k};
    }
}

static void fill_range(struct cfg *c, const struct cfg_field *f, const struct cfg_node *n,
                       struct num *dst)
{
    struct cfg_field item = *f;
    item.kind = CFG_DECIMAL;
    struct num v[2];
    cfg_place_put(c, (struct cfg_place){dst, 0, n->line, n->col, false});
    if (c->memory) {
        return;
    }
    size_t mine = c->nplaces - 1;
    bool good = false;
    if (n->type != CFG_NODE_LIST || count(n) != 2) {
        cfg_complain_at(c, n->line, n->col, "%s: must be [min, max]", f->key);
    } else if (fill_scalar(c, &item, n->first, n->first, f->key, &v[0]) &&
               fill_scalar(c, &item, n->first->next, n->first->next, f->key, &v[1])) {
        good = num_cmp(v[0], v[1]) <= 0;
        if (!good) {
            cfg_complain_at(c, n->line, n->col, "%s: min is larger than max", f->key);
        }
    }
    c->nplaces = mine + 1; /* v is ours alone */
    c->places[mine].bad = !good;
    if (good) {
        dst[0] = v[0];
        dst[1] = v[1];
    }
}

static void fill_field(struct cfg *c, const struct cfg_field *f, const struct cfg_node *n,
                       void *dst);

/* An item that is one value; what it says of itself it says by `key`. */
static void fill_whole(struct cfg *c, const struct cfg_field *f, const struct cfg_node *n,
                       const char *key, char *item)
{
    struct cfg_field own = *f;
    own.key = key;
    fill_field(c, &own, n, item + f->offset);
}

static void fill_items(struct cfg *c, const struct cfg_table *t, const struct cfg_node *n,
                       const char *key, bool map, struct cfg_items *dst)
{
    if (cfg_node_is_null(n)) {
        return;
    }
    if (!want_type(c, n, map ? CFG_NODE_MAP : CFG_NODE_LIST, key,
                   map ? "a map of ids, each with its own keys" : "a list of items")) {
        return;
    }
    char *v = get(c, count(n) * t->struct_size);
    if (!v) {
        return;
    }
    *dst = (struct cfg_items){v, 0};
    for (const struct cfg_node *i = n->first; i; i = i->next, v += t->struct_size) {
        int line = map ? i->key_line : i->line, col = map ? i->key_col : i->col;
        cfg_place_put(c, (struct cfg_place){v, t->struct_size, line, col, false});
        if (map) {
            const struct cfg_field id = {.key = key, .kind = CFG_ID};
            const struct cfg_node name = {.type = CFG_NODE_SCALAR,
                                          .line = line,
                                          .col = col,
                                          .text = i->key,
                                          .text_n = strlen(i->key)};
            if (!fill_scalar(c, &id, &name, &name, key, v)) {
                *(const char **)v = "";
            }
        }
        const struct cfg_node none = {.type = CFG_NODE_MAP, .line = line, .col = col};
        const struct cfg_node *body = cfg_node_is_null(i) ? &none : i;
        if (strcmp(t->fields->key, CFG_WHOLE) == 0) {
            fill_whole(c, t->fields, i, map ? i->key : key, v);
        } else if (want_type(c, body, CFG_NODE_MAP, map ? i->key : key,
                             "a map of keys and values")) {
            cfg_fill_struct(c, t, body, v, true);
        } else {
            cfg_fill_struct(c, t, &none, v, false); /* later checks need not fear NULL */
        }
        dst->n++;
    }
}

static void fill_field(struct cfg *c, const struct cfg_field *f, const struct cfg_node *n,
                       void *dst)
{
    static const struct cfg_node none = {.type = CFG_NODE_MAP};
    switch (f->kind) {
    case CFG_STRINGS:
    case CFG_INTS:
        fill_array(c, f, n, dst);
        break;
    case CFG_RANGE:
        fill_range(c, f, n, dst);
        break;
    case CFG_STRUCT:
        cfg_place_put(c, (struct cfg_place){dst, f->sub->struct_size, n->line, n->col, false});
        if (want_type(c, n, CFG_NODE_MAP, f->key, "a map of keys and values")) {
            cfg_fill_struct(c, f->sub, n, dst, true);
        } else {
            cfg_fill_struct(c, f->sub, &none, dst, false);
        }
        break;
    case CFG_MAP:
    case CFG_LIST:
        cfg_place_put(c, (struct cfg_place){dst, 0, n->line, n->col, false});
        fill_items(c, f->sub, n, f->key, f->kind == CFG_MAP, dst);
        break;
    default:
        (void)fill_scalar(c, f, n, n, f->key, dst);
        break;
    }
}

/* What a member is when the file does not say, or says it wrong. */
static void fill_default(struct cfg *c, const struct cfg_field *f, void *dst)
{
    static const struct cfg_node none = {.type = CFG_NODE_MAP};
    if (f->kind == CFG_STRUCT) {
        cfg_fill_struct(c, f->sub, &none, dst, false);
    } else if (f->dflt) {
        assert(f->kind <= CFG_WORD && f->kind != CFG_RANGE);
        const struct cfg_node n = {
            .type = CFG_NODE_SCALAR, .text = f->dflt, .text_n = strlen(f->dflt)};
        (void)fill_scalar(c, f, &n, NULL, f->key, dst);
    } else if (f->required && (f->kind == CFG_STRING || f->kind == CFG_ID)) {
        *(const char **)dst = ""; /* so that later checks need not fear NULL */
    }
}

static const struct cfg_field *field_of(const struct cfg_table *t, const char *key)
{
    for (const struct cfg_field *f = t->fields; f->key; f++) {
        if (strcmp(f->key, key) == 0) {
            return f;
        }
    }
    return NULL;
}

static const struct cfg_node *child(const struct cfg_node *map, const char *key)
{
    for (const struct cfg_node *i = map->first; i; i = i->next) {
        if (strcmp(i->key, key) == 0) {
            return i;
        }
    }
    return NULL;
}

void cfg_complain_unknown(struct cfg *c, const struct cfg_node *n, const char *const *known,
                          size_t nknown)
{
    char shown[CFG_SHOWN_BYTES], hint[CFG_HINT_BYTES];
    cfg_complain_at(c, n->key_line, n->key_col, "unknown key \"%s\"%s", cfg_shown(n->key, shown),
                    cfg_hint(n->key, known, nknown, hint));
}

/* demand: whether required keys must be there. */
void cfg_fill_struct(struct cfg *c, const struct cfg_table *t, const struct cfg_node *n, char *dst,
                     bool demand)
{
    const char *known[CFG_KEYS_MAX];
    size_t nknown = 0;
    for (const struct cfg_field *f = t->fields; f->key; f++) {
        assert(nknown < CFG_KEYS_MAX);
        known[nknown++] = f->key;
        void *member = dst + f->offset;
        const struct cfg_node *v = child(n, f->key);
        fill_default(c, f, member);
        if (v) {
            fill_field(c, f, v, member);
        } else if (f->required && demand) {
            int line = n->key ? n->key_line : n->line, col = n->key ? n->key_col : n->col;
            cfg_complain_at(c, line, col, "\"%s\" is missing%s%s", f->key, f->help ? ": " : "",
                            f->help ? f->help : "");
            cfg_place_put(c, (struct cfg_place){member, 0, line, col, true});
        }
    }
    for (const struct cfg_node *i = n->first; i; i = i->next) {
        if (!field_of(t, i->key)) {
            cfg_complain_unknown(c, i, known, nknown);
        }
    }
}

/* The first key without which the section cannot be. */
static const char *needed(const struct cfg_section *s)
{
    for (const struct cfg_field *f = s->table->fields; !s->map && f->key; f++) {
        if (f->required) {
            return f->key;
        }
    }
    return NULL;
}

void cfg_fill_section(struct cfg *c, const struct cfg_section *s, const struct cfg_node *root)
{
    const struct cfg_node *n = child(root, s->key);
    const char *key = needed(s);
    size_t size = s->map ? sizeof(struct cfg_items) : s->table->struct_size;
    memset(s->dst, 0, size);
    if (n) {
        cfg_place_put(c, (struct cfg_place){s->dst, size, n->key_line, n->key_col, false});
    } else if (s->required || key) {
        cfg_complain_at(c, 1, 1, "section \"%s:\" is missing%s%s%s", s->key,
                        key ? "; it needs \"" : "", key ? key : "", key ? "\"" : "");
    }
    if (s->map) {
        if (n) {
            fill_items(c, s->table, n, s->key, true, s->dst);
        }
        return;
    }
    struct cfg_node body = {
        .type = CFG_NODE_MAP, .line = n ? n->key_line : 1, .col = n ? n->key_col : 1};
    if (n && !cfg_node_is_null(n) &&
        want_type(c, n, CFG_NODE_MAP, s->key, "a map of keys and values")) {
        body = *n;
    }
    /* who wrote the section at all must hear what it lacks */
    cfg_fill_struct(c, s->table, &body, s->dst,
                    n && (cfg_node_is_null(n) || n->type == CFG_NODE_MAP));
}
