/* Words of messages, and the arena. */
#include <limits.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/cfg_int.h"

#define BLOCK_BYTES 2048
#define WORD_MAX 64

struct cfg_block {
    struct cfg_block *next;
    size_t size;
    alignas(max_align_t) unsigned char bytes[];
};

void *cfg_arena_get(struct cfg_arena *a, size_t n)
{
    if (n > SIZE_MAX / 2) {
        return NULL;
    }
    n = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (n > a->left || !a->blocks) {
        size_t size = n > BLOCK_BYTES ? n : BLOCK_BYTES;
        struct cfg_block *b = calloc(1, sizeof(*b) + size);
        if (!b) {
            return NULL;
        }
        *b = (struct cfg_block){.next = a->blocks, .size = size};
        a->blocks = b;
        a->left = size;
    }
    void *p = a->blocks->bytes + (a->blocks->size - a->left);
    a->left -= n;
    return p;
}

void cfg_arena_done(struct cfg_arena *a)
{
    while (a->blocks) {
        struct cfg_block *next = a->blocks->next;
        free(a->blocks);
        a->blocks = next;
    }
    a->left = 0;
}

const char *cfg_shown(const char *s, char buf[CFG_SHOWN_BYTES])
{
    static const char more[] = "...";
    size_t n = strlen(s), max = CFG_SHOWN_BYTES - sizeof(more);
    if (n <= max) {
        memcpy(buf, s, n + 1);
        return buf;
    }
    while (max > 0 && ((unsigned char)s[max] & 0xc0) == 0x80) {
        max--; /* not inside a character */
    }
    memcpy(buf, s, max);
    memcpy(buf + max, more, sizeof(more));
    return buf;
}

/* Edit distance with swaps of neighbours (optimal string alignment), case folded. */
static int distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    if (na > WORD_MAX || nb > WORD_MAX) {
        return INT_MAX;
    }
    int rows[3][WORD_MAX + 1];
    for (size_t j = 0; j <= nb; j++) {
        rows[0][j] = (int)j;
    }
    for (size_t i = 1; i <= na; i++) {
        int *now = rows[i % 3], *before = rows[(i + 2) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int best = before[j - 1] + ((a[i - 1] | 0x20) != (b[j - 1] | 0x20));
            best = before[j] + 1 < best ? before[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                int swap = rows[(i + 1) % 3][j - 2] + 1;
                best = swap < best ? swap : best;
            }
            now[j] = best;
        }
    }
    return rows[na % 3][nb];
}

const char *cfg_nearest(const char *word, const char *const *list, size_t n)
{
    const char *best = NULL;
    int least = 0;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(word) > strlen(list[i]) ? strlen(word) : strlen(list[i]);
        int d = distance(word, list[i]);
        /* near: at most a third of the letters differ, and always one typing slip */
        if (d <= (len < 6 ? 1 : (int)(len / 3)) && (!best || d < least)) {
            best = list[i];
            least = d;
        }
    }
    return best;
}

const char *cfg_hint(const char *word, const char *const *list, size_t n, char buf[CFG_HINT_BYTES])
{
    char shown[CFG_SHOWN_BYTES];
    const char *near = cfg_nearest(word, list, n);
    if (near) {
        (void)snprintf(buf, CFG_HINT_BYTES, "; did you mean \"%s\"?", cfg_shown(near, shown));
        return buf;
    }
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const char *before = i == 0 ? "; known are: " : ", ";
        const char *text = cfg_shown(list[i], shown);
        if (at + strlen(before) + strlen(text) + sizeof(", ...") > CFG_HINT_BYTES) {
            (void)snprintf(buf + at, CFG_HINT_BYTES - at, ", ...");
            return buf;
        }
        at += (size_t)snprintf(buf + at, CFG_HINT_BYTES - at, "%s%s", before, text);
    }
    buf[at] = '\0';
    return buf;
}
