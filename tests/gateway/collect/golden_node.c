#include "tests/gateway/collect/golden_node.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct golden_frame golden[GOLDEN_FRAMES];
size_t golden_count;

/* The digits of one line, behind the others. */
static void put(uint8_t *to, size_t *n, const char *line)
{
    for (; *line; line++) {
        char pair[3] = {line[0], line[1], '\0'}, *end;
        if (isspace((unsigned char)*line))
            continue;
        unsigned long byte = strtoul(pair, &end, 16);
        assert_true(end == pair + 2 && *n < GOLDEN_BYTES);
        to[(*n)++] = (uint8_t)byte;
        line++;
    }
}

void golden_load(const char *path)
{
    FILE *f = fopen(path, "r");
    char line[256], part[32] = "";
    struct golden_frame *at = NULL;
    bool answer = false;
    golden_count = 0;
    memset(golden, 0, sizeof golden);
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "#\n")] = '\0';
        if (line[strspn(line, " ")] == '\0')
            continue;
        if (line[0] == '[') {
            assert_int_equal(sscanf(line, "[%31[a-z]]", part), 1);
        } else if (line[0] == '>') {
            assert_true(golden_count < GOLDEN_FRAMES);
            at = &golden[golden_count++];
            (void)snprintf(at->part, sizeof at->part, "%s", part);
            answer = false;
            put(at->request, &at->nrequest, line + 1);
        } else if (line[0] == '<') {
            assert_non_null(at);
            answer = true;
            if (!strstr(line, "none"))
                put(at->answer, &at->nanswer, line + 1);
        } else {
            assert_true(at && line[0] == ' ');
            put(answer ? at->answer : at->request, answer ? &at->nanswer : &at->nrequest, line);
        }
    }
    (void)fclose(f);
    assert_true(golden_count > 20);
}

void golden_words(const char *part, unsigned short words[GOLDEN_WORDS])
{
    const char *const parts[] = {"chain", "values", "diagnostics", part};
    memset(words, 0, GOLDEN_WORDS * sizeof *words);
    for (size_t p = 0; p < 4 && parts[p]; p++)
        for (size_t i = 0; i < golden_count; i++) {
            const struct golden_frame *g = &golden[i];
            unsigned first = (unsigned)g->request[2] << 8 | g->request[3];
            if (strcmp(g->part, parts[p]) != 0 || g->answer[1] != 3)
                continue;
            for (unsigned k = 0; k < g->answer[2] / 2U; k++) {
                assert_true(first + k < GOLDEN_WORDS);
                words[first + k] =
                    (unsigned short)(g->answer[3 + 2 * k] << 8 | g->answer[4 + 2 * k]);
            }
        }
}
