/* Private to the configuration loader: its arena, the tree that a YAML file becomes, and the
 * reader of single values. */
#ifndef GATEWAY_BASE_CFG_INT_H
#define GATEWAY_BASE_CFG_INT_H

#include <sys/types.h>

#include "gateway/base/buf.h"
#include "gateway/base/cfg.h"

/* ---- memory that lives as long as its owner ---- */

struct cfg_block;
struct cfg_arena {
    struct cfg_block *blocks;
    size_t left; /* bytes free at the end of the newest block */
};
void *cfg_arena_get(struct cfg_arena *a, size_t n); /* zeroed and aligned; NULL: no memory */
void cfg_arena_done(struct cfg_arena *a);

#define CFG_COMPLAINTS_MAX 200
#define CFG_KEYS_MAX 64 /* of one table */

/* Where a member (or a whole item) stands in the file. */
struct cfg_place {
    const void *member;
    size_t size; /* of an item; 0: a single member */
    int line, col;
    bool bad; /* complained about already: later checks of it would only repeat */
};

struct cfg_complaint {
    int line, col;
    char *text; /* in the arena */
};

struct cfg {
    char *path;
    struct cfg_arena arena;
    struct cfg_place *places;
    size_t nplaces, places_cap;
    struct cfg_complaint *complaints;
    size_t ncomplaints; /* at most COMPLAINTS_MAX are kept */
    struct buf text;
    struct buf raw; /* the file as it was read */
    uid_t owner;
    bool memory; /* ran out of it while loading */
};

/* ---- the file as a tree ---- */

#define CFG_LEVELS_MAX 8
#define CFG_NODES_MAX 100000

enum cfg_node_type { CFG_NODE_SCALAR, CFG_NODE_MAP, CFG_NODE_LIST };
struct cfg_node {
    enum cfg_node_type type;
    bool plain;    /* a scalar that stands without quotes */
    int line, col; /* from 1 */
    int key_line, key_col;
    const char *key; /* in a map */
    const char *text;
    size_t text_n;                 /* strlen(text), unless it holds a NUL */
    struct cfg_node *first, *next; /* children of a map or list; neighbours */
};

/* Parses text into a tree. Mistakes go to c. *root is NULL when nothing usable came out.
 * ST_OK, ST_BAD or ST_MEMORY. */
enum st cfg_yaml_read(struct cfg *c, const char *text, size_t n, struct cfg_arena *a,
                      struct cfg_node **root) ST_MUST_CHECK;

/* ---- mistakes ---- */

void cfg_complain_at(struct cfg *c, int line, int col, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* s for a message: cut to a readable length at a character's end. */
#define CFG_SHOWN_BYTES 72
const char *cfg_shown(const char *s, char buf[CFG_SHOWN_BYTES]);
/* "; did you mean "x"?" or "; known are: a, b, c" */
#define CFG_HINT_BYTES 256
const char *cfg_hint(const char *word, const char *const *list, size_t n, char buf[CFG_HINT_BYTES]);

void cfg_place_put(struct cfg *c, struct cfg_place p);
void cfg_complain_unknown(struct cfg *c, const struct cfg_node *n, const char *const *known,
                          size_t nknown);

/* ---- filling ---- */

/* demand: whether required keys must be there. dst is zeroed. */
void cfg_fill_struct(struct cfg *c, const struct cfg_table *t, const struct cfg_node *n, char *dst,
                     bool demand);
void cfg_fill_section(struct cfg *c, const struct cfg_section *s, const struct cfg_node *root);

/* ---- values ---- */

/* Whether the scalar stands for nothing: empty, ~ or null without quotes. */
bool cfg_node_is_null(const struct cfg_node *n);
/* Reads one scalar into dst as the field's kind wants it (CFG_STRING to CFG_WORD but CFG_RANGE).
 * Strings go into a. On a mistake the text of it is in why and dst is untouched. */
#define CFG_WHY_BYTES 400
enum st cfg_value_read(const struct cfg_field *f, const struct cfg_node *n, struct cfg_arena *a,
                       void *dst, char why[CFG_WHY_BYTES]) ST_MUST_CHECK;
/* Decimal or 0x. */
bool cfg_int_parse(const char *text, int64_t *out);

#endif
