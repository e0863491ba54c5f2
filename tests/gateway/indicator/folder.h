/* A catalogue's folder of a test's own, and what is complained about it. */
#ifndef TESTS_GATEWAY_INDICATOR_FOLDER_H
#define TESTS_GATEWAY_INDICATOR_FOLDER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "gateway/indicator/indicator_int.h"
#include "tests/support/temp.h"

#define SHIPPED FP_SOURCE_DIR "/gateway/indicator/catalogue"

/* A good file: an indicator `id` of one input, whose rest is `more`. */
#define FILE_OF(id, more)                                                                          \
    "id: " id "\nname: {vi: a, en: b}\nquantity: pm25\nunit: ug/m3\nlabel: measured\n"             \
    "sentence: {vi: c, en: d}\n" more
#define GOOD FILE_OF("good", "inputs: {x: {quantity: pm25}}\nformula: mean(x)\n")

struct folder {
    char *path;
    struct indicator_catalogue *catalogue;
    struct buf complaints;
    struct err e;
};

static inline void folder_open(struct folder *f)
{
    char path[512];
    *f = (struct folder){.path = temp_make()};
    assert_non_null(f->path);
    (void)snprintf(path, sizeof path, "%s/norm", f->path);
    assert_int_equal(mkdir(path, 0700), 0);
    buf_init(&f->complaints, INDICATOR_COMPLAINTS_MAX_BYTES);
}

static inline void folder_put_n(const struct folder *f, const char *name, const void *p, size_t n)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", f->path, name);
    FILE *to = fopen(path, "w");
    assert_non_null(to);
    assert_true(fwrite(p, 1, n, to) == n);
    assert_int_equal(fclose(to), 0);
}

static inline void folder_put(const struct folder *f, const char *name, const char *text)
{
    folder_put_n(f, name, text, strlen(text));
}

/* Loads it anew; before: another folder in front of it, or NULL. */
static inline enum st folder_load(struct folder *f, const char *before)
{
    const char *folders[] = {before ? before : f->path, before ? f->path : NULL, NULL};
    indicator_catalogue_close(f->catalogue);
    f->catalogue = NULL;
    f->complaints.n = 0;
    f->e.text[0] = '\0';
    enum st st = indicator_catalogue_open(&f->catalogue, folders, &f->complaints, &f->e);
    assert_non_null(f->catalogue);
    assert_int_equal(buf_put(&f->complaints, "", 1), ST_OK);
    f->complaints.n--;
    return st;
}

/* Whether "FOLDER/where: what" is among the complaints. */
static inline bool folder_says(const struct folder *f, const char *where, const char *what)
{
    char line[1024];
    (void)snprintf(line, sizeof line, "%s/%s: %s", f->path, where, what);
    return strstr((const char *)f->complaints.p, line) != NULL;
}

static inline size_t folder_lines(const struct folder *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->complaints.n; i++)
        n += f->complaints.p[i] == '\n';
    return n;
}

static inline void folder_close(struct folder *f)
{
    indicator_catalogue_close(f->catalogue);
    buf_done(&f->complaints);
    temp_done(f->path);
}

#endif
