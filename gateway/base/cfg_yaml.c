/* YAML to a small tree with positions. It is built from parser events: aliases, anchors, tags,
 * depth and size are refused before anything is built from them. */
#include <libfyaml.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/cfg_int.h"

struct reading {
    struct cfg *c;
    struct cfg_arena *arena;
    struct fy_parser *parser;
    size_t nodes;
};

static void position(struct fy_event *v, int *line, int *col)
{
    const struct fy_mark *m = fy_event_start_mark(v);
    *line = m ? m->line + 1 : 1;
    *col = m ? m->column + 1 : 1;
}

static enum st refuse(struct reading *r, struct fy_event *v, const char *what)
{
    int line, col;
    position(v, &line, &col);
    cfg_complain_at(r->c, line, col, "%s", what);
    return ST_BAD;
}

static enum st take_scalar(struct reading *r, struct fy_event *v, struct cfg_node *n)
{
    size_t len = 0;
    const char *text = fy_token_get_text(v->scalar.value, &len);
    char *copy = cfg_arena_get(r->arena, len + 1);
    if (!copy || !text) {
        return ST_MEMORY;
    }
    memcpy(copy, text, len);
    n->type = CFG_NODE_SCALAR;
    n->text = copy;
    n->text_n = len;
    enum fy_scalar_style style = fy_scalar_token_get_style(v->scalar.value);
    n->plain = style == FYSS_PLAIN;
    if (style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) {
        n->col -= n->col > 1; /* the mark stands behind the quote */
    }
    return ST_OK;
}

static enum st new_node(struct reading *r, struct fy_event *v, struct cfg_node **out)
{
    if (r->nodes++ >= CFG_NODES_MAX) {
        return refuse(r, v, "the file has more than 100000 values; split the site");
    }
    struct cfg_node *n = cfg_arena_get(r->arena, sizeof(*n));
    if (!n) {
        return ST_MEMORY;
    }
    position(v, &n->line, &n->col);
    *out = n;
    return ST_OK;
}

static enum st take_node(struct reading *r, struct fy_event *v, int level, struct cfg_node **out);

/* The next event, its node, and freed again. *end is set instead at the event `last`. */
static enum st next_node(struct reading *r, int level, enum fy_event_type last,
                         struct cfg_node **out, bool *end)
{
    struct fy_event *v = fy_parser_parse(r->parser);
    if (!v) {
        return ST_BAD; /* the parser says why */
    }
    *end = v->type == last;
    enum st st = *end ? ST_OK : take_node(r, v, level, out);
    fy_parser_event_free(r->parser, v);
    return st;
}

static enum st take_list(struct reading *r, int level, struct cfg_node *list)
{
    struct cfg_node **tail = &list->first;
    for (;;) {
        struct cfg_node *item = NULL;
        bool end;
        enum st st = next_node(r, level + 1, FYET_SEQUENCE_END, &item, &end);
        if (st != ST_OK || end) {
            return st;
        }
        *tail = item;
        tail = &item->next;
    }
}

static enum st check_key(struct reading *r, const struct cfg_node *key)
{
    if (key->type != CFG_NODE_SCALAR || key->text_n == 0 || strlen(key->text) != key->text_n) {
        cfg_complain_at(r->c, key->line, key->col, "a key must be a plain word");
        return ST_BAD;
    }
    if (key->plain && strcmp(key->text, "<<") == 0) {
        cfg_complain_at(r->c, key->line, key->col, "merge keys are not supported; write it out");
        return ST_BAD;
    }
    return ST_OK;
}

static int by_key(const void *a, const void *b)
{
    const struct cfg_node *const *x = a, *const *y = b;
    int d = strcmp((*x)->key, (*y)->key);
    return d != 0 ? d : (*x)->key_line - (*y)->key_line;
}

/* Sorted, because a map may have as many keys as the file has values. */
static enum st refuse_repeats(struct reading *r, struct cfg_node *map, size_t n)
{
    if (n < 2) {
        return ST_OK;
    }
    struct cfg_node **v = malloc(n * sizeof(struct cfg_node *));
    if (!v) {
        return ST_MEMORY;
    }
    size_t k = 0;
    for (struct cfg_node *i = map->first; i; i = i->next) {
        v[k++] = i;
    }
    qsort(v, k, sizeof(struct cfg_node *), by_key);
    for (size_t i = 1; i < k; i++) {
        if (strcmp(v[i - 1]->key, v[i]->key) == 0) {
            char shown[CFG_SHOWN_BYTES];
            cfg_complain_at(r->c, v[i]->key_line, v[i]->key_col,
                            "\"%s\" stands here again; the first is in line %d",
                            cfg_shown(v[i]->key, shown), v[i - 1]->key_line);
        }
    }
    free(v);
    return ST_OK;
}

static enum st take_map(struct reading *r, int level, struct cfg_node *map)
{
    struct cfg_node **tail = &map->first;
    for (size_t n = 0;; n++) {
        struct cfg_node *key = NULL, *value = NULL;
        bool end;
        enum st st = next_node(r, level + 1, FYET_MAPPING_END, &key, &end);
        if (st != ST_OK) {
            return st;
        }
        if (end) {
            return refuse_repeats(r, map, n);
        }
        st = check_key(r, key);
        if (st != ST_OK) {
            return st;
        }
        st = next_node(r, level + 1, FYET_MAPPING_END, &value, &end);
        if (st != ST_OK || end) {
            return st != ST_OK ? st : ST_BAD; /* the parser gives every key a value */
        }
        value->key = key->text;
        value->key_line = key->line;
        value->key_col = key->col;
        *tail = value;
        tail = &value->next;
    }
}

static enum st take_node(struct reading *r, struct fy_event *v, int level, struct cfg_node **out)
{
    if (v->type == FYET_ALIAS) {
        return refuse(r, v, "aliases (*name) are not supported; write the value out");
    }
    if (fy_event_get_anchor_token(v)) {
        return refuse(r, v, "anchors (&name) are not supported; write the value out");
    }
    if (fy_event_get_tag_token(v)) {
        return refuse(r, v, "tags (!name) are not supported; write the plain value");
    }
    struct cfg_node *n = NULL;
    enum st st = new_node(r, v, &n);
    if (st != ST_OK) {
        return st;
    }
    if (v->type != FYET_SCALAR && level >= CFG_LEVELS_MAX) {
        return refuse(r, v, "nested more than 8 levels deep");
    }
    switch (v->type) {
    case FYET_SCALAR:
        st = take_scalar(r, v, n);
        break;
    case FYET_SEQUENCE_START:
        n->type = CFG_NODE_LIST;
        st = take_list(r, level, n);
        break;
    case FYET_MAPPING_START:
        n->type = CFG_NODE_MAP;
        st = take_map(r, level, n);
        break;
    default:
        st = ST_BAD;
        break;
    }
    *out = n;
    return st;
}

static enum st take_stream(struct reading *r, struct cfg_node **root)
{
    for (;;) {
        struct fy_event *v = fy_parser_parse(r->parser);
        if (!v) {
            return ST_BAD;
        }
        enum st st = ST_OK;
        bool end = v->type == FYET_STREAM_END;
        if (v->type == FYET_DOCUMENT_START && *root) {
            st = refuse(r, v, "a second document (---) is not supported");
        } else if (v->type == FYET_SCALAR || v->type == FYET_SEQUENCE_START ||
                   v->type == FYET_MAPPING_START || v->type == FYET_ALIAS) {
            st = take_node(r, v, 0, root);
        }
        fy_parser_event_free(r->parser, v);
        if (st != ST_OK || end) {
            return st;
        }
    }
}

/* What libfyaml has to say, in our form; true when it said something. */
static bool repeat_errors(struct cfg *c, struct fy_diag *diag)
{
    void *iter = NULL;
    struct fy_diag_error *d;
    bool any = false;
    while ((d = fy_diag_errors_iterate(diag, &iter))) {
        if (d->type >= FYET_ERROR && d->msg) {
            cfg_complain_at(c, d->line > 0 ? d->line : 1, d->column > 0 ? d->column : 1,
                            "not valid YAML: %s", d->msg);
            any = true;
        }
    }
    return any;
}

/* Bytes of the UTF-8 character at p, at least one byte before end; 0: it is none. */
static size_t character(const uint8_t *p, const uint8_t *end)
{
    static const struct {
        uint8_t lo, hi, next_lo, next_hi; /* first byte, second byte: RFC 3629, section 4 */
        size_t n;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (*p < forms[i].lo || *p > forms[i].hi) {
            continue;
        }
        bool good = (size_t)(end - p) >= forms[i].n &&
                    (forms[i].n == 1 || (p[1] >= forms[i].next_lo && p[1] <= forms[i].next_hi));
        for (size_t k = 2; good && k < forms[i].n; k++) {
            good = p[k] >= 0x80 && p[k] <= 0xbf;
        }
        return good ? forms[i].n : 0;
    }
    return 0;
}

/* libfyaml 0.7.12 does not return from a directive with bytes that are not UTF-8: only clean text
 * without directives gets there. */
static enum st refuse_dirt(struct cfg *c, const char *text, size_t n)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + n;
    int line = 1, col = 1;
    for (size_t len = 0; p < end; p += len) {
        len = character(p, end);
        if (len == 0) {
            cfg_complain_at(c, line, col, "not valid YAML: not UTF-8 text (byte 0x%02x)", *p);
            return ST_BAD;
        }
        if ((*p < ' ' && *p != '\n' && *p != '\r' && *p != '\t') || *p == 0x7f) {
            cfg_complain_at(c, line, col, "not valid YAML: a control character (0x%02x)", *p);
            return ST_BAD;
        }
        if (*p == '%' && col == 1) {
            cfg_complain_at(c, line, col, "directives (%%NAME) are not supported; leave it out");
            return ST_BAD;
        }
        bool newline = *p == '\n' || (*p == '\r' && (p + 1 == end || p[1] != '\n'));
        line += newline;
        col = newline ? 1 : col + 1;
    }
    return ST_OK;
}

enum st cfg_yaml_read(struct cfg *c, const char *text, size_t n, struct cfg_arena *a,
                      struct cfg_node **root)
{
    static const struct fy_diag_cfg silent = {.level = FYET_ERROR,
                                              .module_mask = (1U << FYEM_MAX) - 1};
    struct reading r = {.c = c, .arena = a};
    enum st st = ST_MEMORY;
    *root = NULL;
    struct fy_diag *diag = NULL;
    if (refuse_dirt(c, text, n) != ST_OK) {
        return ST_BAD;
    }
    diag = fy_diag_create(&silent);
    if (!diag) {
        goto out;
    }
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg cfg = {
        .flags = FYPCF_QUIET | FYPCF_JSON_NONE | FYPCF_DEFAULT_VERSION_1_2,
        .diag = diag,
    };
    r.parser = fy_parser_create(&cfg);
    if (!r.parser || fy_parser_set_string(r.parser, text, n) != 0) {
        goto out;
    }
    st = take_stream(&r, root);
    if (st == ST_BAD && !repeat_errors(c, diag) && cfg_complaints(c, NULL) == 0) {
        cfg_complain_at(c, 1, 1, "not valid YAML");
    }
    if (st == ST_OK && !*root) {
        cfg_complain_at(c, 1, 1, "the file is empty");
        st = ST_BAD;
    }
out:
    if (st != ST_OK) {
        *root = NULL; /* a tree cut short would only bring complaints that are not true */
    }
    fy_parser_destroy(r.parser);
    fy_diag_destroy(diag);
    return st;
}
