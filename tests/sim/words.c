#include "tests/sim/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SPACE 65536u

/* One line into the whole space; [*from, *to) grows with it. false: it is none. */
static bool put_line(char *line, uint8_t *space, uint32_t *from, uint32_t *to)
{
    char *end;
    line[strcspn(line, "#\n")] = '\0';
    line += strspn(line, " ");
    if (*line == '\0')
        return true;
    unsigned long at = strtoul(line, &end, 10);
    if (end == line || *end != ':' || at >= SPACE)
        return false;
    for (line = end + 1; *(line += strspn(line, " ")) != '\0'; at++) {
        unsigned long word = strtoul(line, &end, 16);
        if (end != line + 4 || at >= SPACE)
            return false;
        line = end;
        space[2 * at] = (uint8_t)(word >> 8);
        space[2 * at + 1] = (uint8_t)word;
        *from = at < *from ? (uint32_t)at : *from;
        *to = at >= *to ? (uint32_t)at + 1 : *to;
    }
    return true;
}

static enum st adopt(struct sim_device *d, const uint8_t *space, uint32_t from, uint32_t to,
                     struct err *e)
{
    struct sim_bank b = {.first = from, .n = to - from};
    b.wire = calloc(b.n + 1, 2);
    b.point = calloc(b.n + 1, sizeof(*b.point));
    if (b.wire == NULL || b.point == NULL) {
        free(b.wire);
        free(b.point);
        return err_set(e, ST_MEMORY, "no memory for device %s", d->id);
    }
    memcpy(b.wire, space + 2 * (size_t)from, 2 * (size_t)b.n);
    free(d->banks[2].wire);
    free(d->banks[2].point);
    d->banks[2] = b;
    return ST_OK;
}

enum st sim_words_load(struct sim_device *d, const char *path, struct err *e)
{
    uint32_t from = SPACE, to = 0;
    char line[4096];
    unsigned n = 0;
    uint8_t *space = calloc(SPACE, 2);
    FILE *f = fopen(path, "re");
    enum st st = ST_OK;

    if (f == NULL || space == NULL)
        st = err_set(e, f ? ST_MEMORY : ST_IO, "%s: %s", path, strerror(errno));
    while (st == ST_OK && fgets(line, sizeof(line), f) != NULL) {
        n++;
        if (!put_line(line, space, &from, &to))
            st = err_set(e, ST_BAD, "%s:%u: write ADDRESS: WORD WORD …", path, n);
    }
    if (st == ST_OK && to == 0)
        st = err_set(e, ST_BAD, "%s has no words", path);
    if (st == ST_OK)
        st = adopt(d, space, from, to, e);
    if (f != NULL)
        (void)fclose(f);
    free(space);
    return st;
}
