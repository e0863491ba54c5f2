/* A folder of the test's own, removed at the end. */
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

/* NULL when it cannot be made. Free with temp_done. */
static inline char *temp_make(void)
{
    const char *base = getenv("TMPDIR");
    char *path = NULL;
    if (asprintf(&path, "%s/fieldpost-test-XXXXXX", base ? base : "/tmp") < 0)
        return NULL;
    if (!mkdtemp(path)) {
        free(path);
        return NULL;
    }
    return path;
}

static inline void temp_done(char *path)
{
    if (path)
        nftw(path, temp_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
}

#endif
