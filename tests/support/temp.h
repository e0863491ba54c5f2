/* Folders and files of the test's own, below TMPDIR. */
#ifndef TESTS_SUPPORT_TEMP_H
#define TESTS_SUPPORT_TEMP_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static inline int temp_remove_one(const char *path, const struct stat *sb, int type, struct FTW *f)
{
    (void)sb;
    (void)type;
    (void)f;
    return remove(path);
}

static inline const char *temp_base(void)
{
    const char *base = getenv("TMPDIR");
    return base && *base ? base : "/tmp";
}

/* NULL when it cannot be made. Free with temp_done. */
static inline char *temp_make(void)
{
    char *path = NULL;
    if (asprintf(&path, "%s/fieldpost-test-XXXXXX", temp_base()) < 0)
        return NULL;
    if (!mkdtemp(path)) {
        free(path);
        return NULL;
    }
    return path;
}

/* A name for mkdtemp and mkstemp in n bytes; where TMPDIR is too long for these, below /tmp. */
static inline char *temp_name(char *out, size_t n)
{
    int len = snprintf(out, n, "%s/fp-XXXXXX", temp_base());
    if (len < 0 || (size_t)len >= n)
        (void)snprintf(out, n, "/tmp/fp-XXXXXX");
    return out;
}

static inline void temp_done(char *path)
{
    if (path)
        nftw(path, temp_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
}

#endif
