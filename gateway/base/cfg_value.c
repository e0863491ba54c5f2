/* One scalar into one member. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/cfg_int.h"
#include "gateway/base/id.h"

struct unit {
    const char *suffix;
    int64_t factor;
};
static const struct unit sizes[] = {{"", 1},
                                    {"KiB", INT64_C(1) << 10},
                                    {"MiB", INT64_C(1) << 20},
                                    {"GiB", INT64_C(1) << 30},
                                    {NULL, 0}};
static const struct unit data[] = {{"MB", 1000000}, {"GB", 1000000000}, {NULL, 0}};
static const struct unit times[] = {{"ms", 1},      {"s", 1000},     {"min", 60000},
                                    {"h", 3600000}, {"d", 86400000}, {NULL, 0}};

bool cfg_node_is_null(const struct cfg_node *n)
{
    return n->type == CFG_NODE_SCALAR && n->plain &&
           (n->text_n == 0 || strcmp(n->text, "~") == 0 || strcmp(n->text, "null") == 0);
}

bool cfg_int_parse(const char *text, int64_t *out)
{
    const char *p = text;
    bool minus = *p == '-';
    p += minus;
    int base = p[0] == '0' && p[1] == 'x' ? 16 : 10;
    p += base == 16 ? 2 : 0;
    int64_t v = 0;
    if (!*p) {
        return false;
    }
    for (; *p; p++) {
        int d = *p >= '0' && *p <= '9'                 ? *p - '0'
                : base == 16 && *p >= 'a' && *p <= 'f' ? *p - 'a' + 10
                : base == 16 && *p >= 'A' && *p <= 'F' ? *p - 'A' + 10
                                                       : -1;
        if (d < 0 || __builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v)) {
            return false;
        }
    }
    *out = minus ? -v : v;
    return true;
}

static bool parse_unit(const char *text, const struct unit *units, int64_t *out)
{
    size_t n = strspn(text, "0123456789");
    char digits[24];
    if (n == 0 || n >= sizeof(digits)) {
        return false;
    }
    memcpy(digits, text, n);
    digits[n] = '\0';
    for (const struct unit *u = units; u->suffix; u++) {
        if (strcmp(text + n, u->suffix) == 0) {
            return cfg_int_parse(digits, out) && !__builtin_mul_overflow(*out, u->factor, out);
        }
    }
    return false;
}

bool cfg_time_parse(const char *text, int64_t *ms)
{
    return parse_unit(text, times, ms);
}

/* In the largest unit that divides it. */
static void unit_text(int64_t v, const struct unit *units, char *buf, size_t n)
{
    const struct unit *best = units;
    for (const struct unit *u = units; u->suffix; u++) {
        if (v % u->factor == 0 && v != 0) {
            best = u;
        }
    }
    (void)snprintf(buf, n, "%lld%s", (long long)(v / best->factor), best->suffix);
}

static enum st bad(char *why, const char *shown, const char *want)
{
    (void)snprintf(why, CFG_WHY_BYTES, "\"%s\" is not %s", shown, want);
    return ST_BAD;
}

static enum st read_string(const struct cfg_field *f, const struct cfg_node *n, struct cfg_arena *a,
                           void *dst, char *why)
{
    char shown[CFG_SHOWN_BYTES];
    if (f->kind == CFG_ID && !id_is(n->text, n->text_n)) {
        return bad(why, cfg_shown(n->text, shown),
                   "an id: letters, digits, dot, dash and underscore, a letter or digit first, "
                   "at most 64");
    }
    if (n->text_n == 0) {
        (void)snprintf(why, CFG_WHY_BYTES, "must not be empty");
        return ST_BAD;
    }
    for (size_t i = 0; i < n->text_n; i++) {
        if ((unsigned char)n->text[i] < ' ' || n->text[i] == 0x7f) {
            (void)snprintf(why, CFG_WHY_BYTES, "must be one line without control characters");
            return ST_BAD;
        }
    }
    char *copy = cfg_arena_get(a, n->text_n + 1);
    if (!copy) {
        return ST_MEMORY;
    }
    memcpy(copy, n->text, n->text_n);
    *(char **)dst = copy;
    return ST_OK;
}

static enum st out_of_range(const struct cfg_field *f, const char *shown, char *why)
{
    const struct unit *units = f->kind == CFG_SIZE   ? sizes
                               : f->kind == CFG_DATA ? data
                               : f->kind == CFG_TIME ? times
                                                     : NULL;
    if (units) {
        char lo[32], hi[32];
        unit_text((int64_t)f->min, units, lo, sizeof(lo));
        unit_text((int64_t)f->max, units, hi, sizeof(hi));
        (void)snprintf(why, CFG_WHY_BYTES, "\"%s\" is out of range: %s to %s", shown, lo, hi);
    } else {
        (void)snprintf(why, CFG_WHY_BYTES, "\"%s\" is out of range: %.15g to %.15g", shown, f->min,
                       f->max);
    }
    return ST_BAD;
}

static bool in_range(const struct cfg_field *f, double v)
{
    return !(f->min < f->max) || (v >= f->min && v <= f->max);
}

static enum st read_int(const struct cfg_field *f, const struct cfg_node *n, void *dst, char *why)
{
    char shown[CFG_SHOWN_BYTES];
    int64_t v;
    (void)cfg_shown(n->text, shown);
    if (f->kind == CFG_TIME && !parse_unit(n->text, times, &v)) {
        return bad(why, shown, "a time: a whole number and ms, s, min, h or d, such as 10s");
    }
    if (f->kind == CFG_SIZE && !parse_unit(n->text, sizes, &v)) {
        return bad(why, shown, "a size: a whole number and KiB, MiB or GiB, such as 64MiB");
    }
    if (f->kind == CFG_DATA && !parse_unit(n->text, data, &v)) {
        return bad(why, shown, "an amount of data: a whole number and MB or GB, such as 500MB");
    }
    if (f->kind == CFG_INT && !cfg_int_parse(n->text, &v)) {
        return bad(why, shown, "a whole number");
    }
    if (!in_range(f, (double)v)) {
        return out_of_range(f, shown, why);
    }
    *(int64_t *)dst = v;
    return ST_OK;
}

static enum st read_number(const struct cfg_field *f, const struct cfg_node *n, void *dst,
                           char *why)
{
    char shown[CFG_SHOWN_BYTES];
    struct num v;
    (void)cfg_shown(n->text, shown);
    if (!num_parse(n->text, &v)) {
        return bad(why, shown, "a decimal number such as -0.05 (no exponent)");
    }
    if (f->kind == CFG_DECIMAL) {
        *(struct num *)dst = v;
        return ST_OK;
    }
    if (!in_range(f, num_double(v))) {
        return out_of_range(f, shown, why);
    }
    *(double *)dst = num_double(v);
    return ST_OK;
}

static enum st read_word(const struct cfg_field *f, const struct cfg_node *n, void *dst, char *why)
{
    const char *list[64];
    size_t count = 0;
    for (const struct cfg_word *w = f->words; w->word; w++) {
        if (strcmp(w->word, n->text) == 0) {
            *(int *)dst = w->value;
            return ST_OK;
        }
        if (count < sizeof(list) / sizeof(list[0])) {
            list[count++] = w->word;
        }
    }
    char shown[CFG_SHOWN_BYTES], hint[CFG_HINT_BYTES];
    (void)snprintf(why, CFG_WHY_BYTES, "unknown word \"%s\"%s", cfg_shown(n->text, shown),
                   cfg_hint(n->text, list, count, hint));
    return ST_BAD;
}

enum st cfg_value_read(const struct cfg_field *f, const struct cfg_node *n, struct cfg_arena *a,
                       void *dst, char why[CFG_WHY_BYTES])
{
    char shown[CFG_SHOWN_BYTES];
    if (n->type != CFG_NODE_SCALAR) {
        (void)snprintf(why, CFG_WHY_BYTES, "must be one value, not a %s",
                       n->type == CFG_NODE_MAP ? "map" : "list");
        return ST_BAD;
    }
    if (cfg_node_is_null(n)) {
        (void)snprintf(why, CFG_WHY_BYTES, "has no value");
        return ST_BAD;
    }
    if (strlen(n->text) != n->text_n) {
        (void)snprintf(why, CFG_WHY_BYTES, "must not contain a NUL character");
        return ST_BAD;
    }
    switch (f->kind) {
    case CFG_STRING:
    case CFG_ID:
        return read_string(f, n, a, dst, why);
    case CFG_INT:
    case CFG_SIZE:
    case CFG_DATA:
    case CFG_TIME:
        return read_int(f, n, dst, why);
    case CFG_REAL:
    case CFG_DECIMAL:
        return read_number(f, n, dst, why);
    case CFG_BOOL:
        if (strcmp(n->text, "true") != 0 && strcmp(n->text, "false") != 0) {
            return bad(why, cfg_shown(n->text, shown), "true or false");
        }
        *(bool *)dst = n->text[0] == 't';
        return ST_OK;
    default:
        return read_word(f, n, dst, why);
    }
}
