/* The configuration loader on any bytes. Beside the sanitizers: a file without complaints is ST_OK
 * and has its required members, one with complaints is not, and each complaint is one line that
 * begins with the file, a line and a column. */
// uses: base
// seeds: tests/fuzz/corpus/cfg/*
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gateway/base/cfg.h"
#include "tests/fuzz/fuzz.h"

/* libfyaml 0.7.12 loses 1 KiB on some texts that it refuses; every such text is refused once. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so";
}

struct item {
    char *id, *name;
    struct num scale, valid[2];
    int64_t every_ms, size_bytes, count;
    int word;
    bool on;
};
struct site {
    char *id;
    double real;
    struct cfg_strings strings;
    struct cfg_ints ints;
    struct item one;
    struct cfg_items map, list;
};

static const struct cfg_word words[] = {{"none", 0}, {"even", 1}, {NULL, 0}};
static const struct cfg_field item_fields[] = {
    {.key = "name", .kind = CFG_STRING, .offset = offsetof(struct item, name), .required = true},
    {.key = "scale", .kind = CFG_DECIMAL, .offset = offsetof(struct item, scale), .dflt = "1"},
    {.key = "valid", .kind = CFG_RANGE, .offset = offsetof(struct item, valid)},
    {.key = "every", .kind = CFG_TIME, .offset = offsetof(struct item, every_ms), .max = 60000},
    {.key = "size", .kind = CFG_SIZE, .offset = offsetof(struct item, size_bytes)},
    {.key = "count", .kind = CFG_INT, .offset = offsetof(struct item, count), .max = 9},
    {.key = "word", .kind = CFG_WORD, .offset = offsetof(struct item, word), .words = words},
    {.key = "on", .kind = CFG_BOOL, .offset = offsetof(struct item, on), .dflt = "true"},
    {.key = NULL}};
static const struct cfg_table item_table = {sizeof(struct item), item_fields};
static const struct cfg_field site_fields[] = {
    {.key = "id", .kind = CFG_ID, .offset = offsetof(struct site, id), .required = true},
    {.key = "real", .kind = CFG_REAL, .offset = offsetof(struct site, real)},
    {.key = "strings", .kind = CFG_STRINGS, .offset = offsetof(struct site, strings)},
    {.key = "ints", .kind = CFG_INTS, .offset = offsetof(struct site, ints)},
    {.key = "one", .kind = CFG_STRUCT, .offset = offsetof(struct site, one), .sub = &item_table},
    {.key = "map", .kind = CFG_MAP, .offset = offsetof(struct site, map), .sub = &item_table},
    {.key = "list", .kind = CFG_LIST, .offset = offsetof(struct site, list), .sub = &item_table},
    {.key = NULL}};
static const struct cfg_table site_table = {sizeof(struct site), site_fields};

static void check_complaints(const struct cfg *c, enum st st)
{
    const char *text, *path = cfg_path(c);
    size_t n = cfg_complaints(c, &text), lines = 0;
    demand((st == ST_OK) == (n == 0));
    while (*text) {
        int line = 0, col = 0;
        const char *end = strchr(text, '\n');
        demand(end && strncmp(text, path, strlen(path)) == 0);
        if (sscanf(text + strlen(path), ":%d:%d: ", &line, &col) == 2) {
            demand(line > 0 && col > 0);
            lines++;
        } else {
            demand(n > lines && !end[1]); /* "… more mistakes are not shown" comes last */
        }
        text = end + 1;
    }
    demand(lines <= n);
}

static void check_site(const struct site *s, const struct cfg *c)
{
    demand(s->id[0]);
    const struct item *items[] = {s->map.v, s->list.v};
    const size_t count[] = {s->map.n, s->list.n};
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < count[k]; i++) {
            demand(items[k][i].name[0] && items[k][i].every_ms <= 60000 && items[k][i].count <= 9);
            demand(cfg_line(c, &items[k][i].name) > 0);
            demand(k == 1 || items[k][i].id[0]);
        }
    }
    PLANT(s->map.n > 0 && cfg_given(c, &items[0]->valid) && s->ints.n > 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char path[64];
    struct site s;
    struct cfg *c = NULL;
    int fd = memfd_create("cfg", MFD_CLOEXEC);
    demand(fd >= 0 && write(fd, data, n) == (ssize_t)n);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    enum st st = cfg_load_struct(&c, path, &site_table, &s, NULL);
    demand(c);
    check_complaints(c, st);
    if (st == ST_OK) {
        check_site(&s, c);
    }
    cfg_complain(c, &s.real, "a later check");
    demand(cfg_complaints(c, NULL) > 0);
    cfg_free(c);
    (void)close(fd);
    return 0;
}

/* Puts text at `at`; the new length. */
static size_t insert(uint8_t *data, size_t n, size_t max, size_t at, const char *text)
{
    size_t len = strlen(text);
    if (n + len > max) {
        return n;
    }
    memmove(data + at + len, data + at, n - at);
    memcpy(data + at, text, len);
    return n + len;
}

/* YAML from nothing takes long: now and then a good file is put together from whole lines, and
 * half of the time a piece goes in somewhere. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    static const char *const line[] = {
        "real: -1.5\n",
        "strings: [a, 'b', \"c\"]\n",
        "ints: [1, 0x2]\n",
        "one: {name: d}\n",
        "map:\n  x: {name: b, scale: 0.1, valid: [1, 2.5]}\n  y:\n    name: c\n    size: 1KiB\n",
        "list:\n  - name: c\n    count: 5\n  - {name: d, word: even, on: false, every: 10s}\n"};
    static const char *const piece[] = {
        "id: a\n", "one:\n", "map:\n", "list:\n", "  ",    "{", "}",   "[",  "]",
        ": ",      "- ",     "\n",     "\"",      "'",     "#", "&a ", "*a", "!!str ",
        "<<: ",    "|\n",    ">\n",    "? ",      "---\n", "~", ", "};
    const size_t lines = sizeof(line) / sizeof(line[0]), pieces = sizeof(piece) / sizeof(piece[0]);
    if (seed % 8 == 0) {
        n = insert(data, 0, max, 0, "id: a\n");
        for (size_t i = 0; i < lines; i++) {
            n = seed >> (8 + i) & 1 ? insert(data, n, max, n, line[i]) : n;
        }
        return n;
    }
    if (seed % 2 == 0) {
        return LLVMFuzzerMutate(data, n, max);
    }
    return insert(data, n, max, n > 0 ? seed / 512 % (n + 1) : 0, piece[seed / 2 % pieces]);
}
