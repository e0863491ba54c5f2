/* Every profile against tests/golden/profile/MODEL.csv: registers, words and values that were typed
 * from a source, and never computed with our decoder (the README there says how). Each point of
 * each profile has a row; a profile says `verified: true` exactly when none of its rows is
 * unconfirmed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/sunspec_int.h"

#define PROFILES FP_SOURCE_DIR "/sensors/profile"
#define GOLDEN FP_SOURCE_DIR "/tests/golden/profile"
#define VERIFIED_MIN 20

enum { POINT, FUNCTION, ADDRESS, WORDS, VALUE, SOURCE, COLUMNS };

static const char *const kinds[] = {"example: ", "trace: ", "by hand: ", "unconfirmed: "};
enum { UNCONFIRMED = 3, KINDS };

struct file {
    const char *name;
    struct collect_profile p;
    bool seen[STORE_POLL_MAX]; /* by point: a row with a value */
    bool unconfirmed;
    unsigned line, mistakes;
};

__attribute__((format(printf, 2, 3))) static void wrong(struct file *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fprintf(stderr, "%s.csv:%u: ", f->name, f->line);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    f->mistakes++;
}

static const struct collect_point *find(struct file *f, const char *name)
{
    for (size_t i = 0; i < f->p.n; i++)
        if (strcmp(f->p.points[i].name, name) == 0)
            return &f->p.points[i];
    return NULL;
}

/* A SunSpec point has its scale factor behind its value. */
static unsigned wire_bytes(const struct collect_point *p, bool scaled)
{
    return p->function <= 2 ? 1 : 2 * collect_point_width(p) + (scaled ? 2U : 0);
}

/* "4366 3334": the bytes as on the wire; how many, or -1. */
static int parse_words(const char *text, uint8_t *wire, size_t size)
{
    size_t n = 0;
    for (; *text; text += 2) {
        unsigned byte;
        while (*text == ' ')
            text++;
        if (n == size || strspn(text, "0123456789ABCDEF") < 2 || sscanf(text, "%2x", &byte) != 1)
            return -1;
        wire[n++] = (uint8_t)byte;
    }
    return (int)n;
}

static void check_value(struct file *f, const struct collect_point *p, bool scaled,
                        char *const *row)
{
    uint8_t wire[2 * COLLECT_TEXT_REGISTERS + 2];
    struct num v = {.kind = NUM_NONE};
    char text[NUM_TEXT_BYTES];
    struct collect_point it = *p;
    uint16_t q = 0;
    int n = parse_words(row[WORDS], wire, sizeof wire);
    if (n < 0 || (unsigned)n != wire_bytes(p, scaled)) {
        wrong(f, "%s has %u bytes, not \"%s\"", p->name, wire_bytes(p, scaled), row[WORDS]);
        return;
    }
    if (p->type == COLLECT_TYPE_string)
        collect_decode_text(wire, (unsigned)p->count, p->order, text, sizeof text);
    else if (p->function <= 2)
        q = collect_decode_bit(wire, 0, &v);
    else if (!scaled ||
             collect_sunspec_scale(&it, p->scale, (int16_t)(wire[n - 2] << 8 | wire[n - 1])))
        q = collect_decode(&it.decoder, wire, &v);
    if (p->type != COLLECT_TYPE_string)
        (void)num_text(v, text);
    if (collect_point_is_status(p) && !num_parse(row[VALUE], &(struct num){0})) {
        int severity;
        const char *todo;
        collect_state_words(p, (uint64_t)v.i, 0, text, sizeof text, &severity, &todo);
    }
    if (strcmp(text, row[VALUE]) != 0)
        wrong(f, "%s: %s is \"%s\", its source says \"%s\"", p->name, row[WORDS], text, row[VALUE]);
    if (q != 0)
        wrong(f, "%s: %s is outside the limits of %s", p->name, row[VALUE], p->quantity->key);
}

/* "103+14/15": offset of the point, and of its scale factor (0: none), from that model's ID. */
static bool check_place(struct file *f, const struct collect_point *p, const char *text)
{
    unsigned id, offset, factor;
    bool named = false;
    if (sscanf(text, "%u+%u/%u", &id, &offset, &factor) != 3) {
        wrong(f, "write MODEL+OFFSET/FACTOR, not \"%s\"", text);
        return false;
    }
    for (size_t i = 0; i < p->models.n; i++)
        named |= p->models.v[i] == id;
    const struct sunspec_point *it = sunspec_point_of(id, p->reg);
    if (!named || !it || sunspec_offset(it, 1000, 40, (unsigned)p->block) != offset ||
        it->factor != factor)
        wrong(f, "%s is not at %s", p->name, text);
    return factor > 0;
}

static void check_row(struct file *f, char *const *row)
{
    const struct collect_point *p = find(f, row[POINT]);
    size_t kind = 0;
    while (kind < KINDS && strncmp(row[SOURCE], kinds[kind], strlen(kinds[kind])) != 0)
        kind++;
    if (kind == KINDS)
        wrong(f, "the source begins with none of the known kinds: \"%s\"", row[SOURCE]);
    f->unconfirmed |= kind == UNCONFIRMED;
    if (!p) {
        wrong(f, "the profile has no point %s", row[POINT]);
        return;
    }
    bool scaled = p->models.n > 0 && check_place(f, p, row[ADDRESS]);
    if (strtol(row[FUNCTION], NULL, 0) != p->function ||
        (p->models.n == 0 && strtol(row[ADDRESS], NULL, 0) != p->address))
        wrong(f, "%s is at function %s address %s, the profile reads %lld:%lld", p->name,
              row[FUNCTION], row[ADDRESS], (long long)p->function, (long long)p->address);
    f->seen[p - f->p.points] |= row[VALUE][0] != '\0';
    check_value(f, p, scaled, row);
}

/* The columns of a line, in place; the last may be empty. */
static size_t split(char *line, char **row)
{
    size_t n = 0;
    for (char *at; n < COLUMNS && (at = strsep(&line, ",")) != NULL;)
        row[n++] = at;
    return line ? COLUMNS + 1 : n;
}

static void read_rows(struct file *f)
{
    char path[1024], line[1024], *row[COLUMNS];
    (void)snprintf(path, sizeof path, "%s/%s.csv", GOLDEN, f->name);
    FILE *in = fopen(path, "r");
    if (!in) {
        wrong(f, "there is no golden file %s", path);
        return;
    }
    while (fgets(line, sizeof line, in)) {
        line[strcspn(line, "\n")] = '\0';
        if (f->line++ == 0)
            assert_string_equal(line, "point,function,address,words,value,source");
        else if (split(line, row) != COLUMNS)
            wrong(f, "not %d columns", COLUMNS);
        else
            check_row(f, row);
    }
    assert_int_equal(fclose(in), 0);
    for (size_t i = 0; i < f->p.n; i++)
        if (!f->seen[i] && !f->p.points[i].identity)
            wrong(f, "no row with a value for the point %s", f->p.points[i].name);
}

static unsigned check_profile(const char *name, size_t *verified)
{
    static struct file f;
    struct buf why;
    char *path = collect_profile_path(name, PROFILES, "");
    assert_non_null(path);
    f = (struct file){.name = name};
    buf_init(&why, 65536);
    if (collect_profile_load(&f.p, path, PROFILES, &why) != ST_OK)
        wrong(&f, "%.*s", (int)why.n, (const char *)why.p);
    else
        read_rows(&f);
    if (f.mistakes == 0 && f.p.verified == f.unconfirmed)
        wrong(&f, "verified is %s, but its rows are %s", f.p.verified ? "true" : "false",
              f.unconfirmed ? "unconfirmed" : "confirmed");
    if (!f.p.source || !f.p.what)
        wrong(&f, "the profile says not what it is and where it is from");
    *verified += f.mistakes == 0 && f.p.verified;
    (void)fprintf(stderr, "%-26s %s\n", name, f.p.verified ? "verified" : "unverified");
    collect_profile_done(&f.p);
    buf_done(&why);
    free(path);
    return f.mistakes;
}

static void every_profile_decodes_what_its_source_says(void **state)
{
    size_t n, verified = 0;
    unsigned mistakes = 0;
    char **names = collect_profile_names(PROFILES, &n);
    (void)state;
    assert_non_null(names);
    for (size_t i = 0; i < n; i++)
        mistakes += check_profile(names[i], &verified);
    free(names);
    (void)fprintf(stderr, "%zu profiles, %zu verified\n", n, verified);
    assert_int_equal(mistakes, 0);
    assert_true(verified >= VERIFIED_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_profile_decodes_what_its_source_says),
    };
    return cmocka_run_group_tests_name("golden", tests, NULL, NULL);
}
