/* Configuration: YAML 1.2 through libfyaml, checked against one table per room.
 *
 * A room declares a struct and a table that says which key fills which member. cfg_load() reads a
 * file, fills the structs of all given tables and collects every mistake as
 * "file:line:col: what is wrong, what would be right"; an unknown key names the nearest known one.
 * The base room knows no room: main and the CLI hand it the tables. */
#ifndef GATEWAY_BASE_CFG_H
#define GATEWAY_BASE_CFG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gateway/base/buf.h"
#include "gateway/base/err.h"
#include "gateway/base/num.h"

enum cfg_kind {
    CFG_STRING,  /* char *, not empty */
    CFG_ID,      /* char *, [A-Za-z0-9][A-Za-z0-9._-]* and at most 64 bytes */
    CFG_INT,     /* int64_t, within [min, max] */
    CFG_REAL,    /* double, within [min, max] */
    CFG_BOOL,    /* bool; true or false */
    CFG_DECIMAL, /* struct num: exact decimal */
    CFG_RANGE,   /* struct num[2]: [min, max]; kind NUM_NONE in both when absent */
    CFG_SIZE,    /* int64_t bytes: "2GiB", "64KiB", "4096" */
    CFG_DATA,    /* int64_t bytes, as data is sold: "500MB", "2GB" */
    CFG_TIME,    /* int64_t ms: "10s", "5min", "500ms", "60d" */
    CFG_WORD,    /* int: one of `words` */
    CFG_STRINGS, /* struct cfg_strings */
    CFG_INTS,    /* struct cfg_ints: decimal or 0x numbers */
    CFG_STRUCT,  /* an embedded struct, keys in `sub` */
    CFG_MAP,     /* struct cfg_items: ids to structs described by `sub` */
    CFG_LIST,    /* struct cfg_items: a list of structs described by `sub` */
};

struct cfg_strings {
    char **v;
    size_t n;
};
struct cfg_ints {
    int64_t *v;
    size_t n;
};
/* n structs of sub->struct_size bytes each. In a CFG_MAP the struct's first member must be
 * `char *id`; order is the file's. */
struct cfg_items {
    void *v;
    size_t n;
};

struct cfg_word {
    const char *word; /* ends the table when NULL */
    int value;
};

/* As the only key of the table of a map or a list: an item is no map of keys, but this one value
 * ({theta: -110}, [[a, b], [c]]). */
#define CFG_WHOLE "*"

struct cfg_table;
struct cfg_field {
    const char *key; /* ends the table when NULL */
    enum cfg_kind kind;
    size_t offset;
    bool required;
    const char *dflt; /* one value as it would stand in the file; NULL: zero / absent */
    double min,
        max; /* CFG_INT, CFG_REAL; also CFG_TIME (ms), CFG_SIZE, CFG_DATA; unchecked when equal */
    const struct cfg_word *words;
    const struct cfg_table *sub;
    const char *help; /* one line, for `fieldpost check` and the manual */
};
struct cfg_table {
    size_t struct_size;
    const struct cfg_field *fields;
};

/* A top-level section: key in the file, its table, and where to put it. A section whose table's
 * fields are all optional may be absent. As a map of items (`buses:`, `devices:`) when map is
 * true: dst is then a struct cfg_items. */
struct cfg_section {
    const char *key; /* ends the array when NULL */
    const struct cfg_table *table;
    void *dst;
    bool map;
    bool required;
};

struct cfg; /* a loaded file: owns every string and item it filled in */

/* After ST_BAD the structs are filled as far as the file allows, so that later checks can add
 * their complaints: a member that is wrong or missing has its default, and a required string is
 * then "" and never NULL. A list that is written as one value is a list of one. */

#define CFG_FILE_MAX_BYTES (4 * 1024 * 1024)

/* Reads path into sections. Returns a cfg in every case but lack of memory (*out NULL then):
 * ST_OK, or ST_BAD / ST_NOT_FOUND / ST_IO with the messages in it. `ignore` (may be NULL, ends
 * with NULL) names top-level keys that belong to others. Bounded: file size, 8 levels, 100,000
 * nodes; aliases, anchors and tags are refused. */
enum st cfg_load(struct cfg **out, const char *path, const struct cfg_section *sections,
                 const char *const *ignore, struct err *e) ST_MUST_CHECK;
/* The same for one struct at the top of the file (a profile, the city's file). */
enum st cfg_load_struct(struct cfg **out, const char *path, const struct cfg_table *table,
                        void *dst, struct err *e) ST_MUST_CHECK;
/* Once: the bytes of the file as they were read, which are the caller's to free now, and the user
 * whose file it was. */
uid_t cfg_take(struct cfg *c, struct buf *out);
void cfg_free(struct cfg *c); /* also frees all strings and items */

const char *cfg_path(const struct cfg *c);
/* Adds a message of a later check (unknown profile, bus, quantity). `member` is the address of the
 * filled member that is wrong (or of an item): its line and column go in front; NULL: the file.
 * A member that was complained about while loading is not complained about again. */
void cfg_complain(struct cfg *c, const void *member, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Line number of the filled member, 0 when it stood on its default. */
int cfg_line(const struct cfg *c, const void *member);
/* Whether the file itself set this member. */
bool cfg_given(const struct cfg *c, const void *member);
/* All messages so far, in file order, each ending in "\n"; how many. */
size_t cfg_complaints(const struct cfg *c, const char **text);

/* A time as it stands in the file: "10s", "7d". */
bool cfg_time_parse(const char *text, int64_t *ms);

/* The name of the n in list that is nearest to word (edit distance), or NULL when none is near. */
const char *cfg_nearest(const char *word, const char *const *list, size_t n);

#endif
