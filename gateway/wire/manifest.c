/* The manifest of a folder of sealed batches. It is a JSON document, and also a text of lines: the
 * head, one line for each batch, the end. Whoever reads it needs one line at a time, and a line is
 * taken only when it is, byte for byte, what the writer makes of the fields found in it. So there
 * is one form alone, and neither escapes nor repeated names to argue about. */
#include "gateway/wire/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_GATEWAY "{\"format\":\"fieldpost sealed export\",\"version\":1,\"gateway\":\""
#define HEAD HEAD_GATEWAY "%s\",\"made\":%lld,\"batches\":["
#define ENTRY                                                                                      \
    "{\"chain\":\"%s\",\"seq\":%llu,\"sha256\":\"%s\",\"kind\":\"%s\",\"n\":%llu,"                 \
    "\"from\":%lld,\"to\":%lld}"
#define END "],\"count\":%llu,\"complete\":%s}"
static const char *const kinds[] = {[WIRE_DATA] = "data", [WIRE_CONTROL] = "control"};

void wire_manifest_head(char line[WIRE_MANIFEST_LINE], const char *gw, int64_t made_ms)
{
    (void)snprintf(line, WIRE_MANIFEST_LINE, HEAD, gw, (long long)made_ms);
}

void wire_manifest_entry(char line[WIRE_MANIFEST_LINE], const struct wire_listed *b)
{
    char chain[WIRE_ID_TEXT], hash[2 * WIRE_HASH_BYTES + 1];
    wire_hex(b->chain, WIRE_ID_BYTES, chain);
    wire_hex(b->sha256, WIRE_HASH_BYTES, hash);
    (void)snprintf(line, WIRE_MANIFEST_LINE, ENTRY, chain, (unsigned long long)b->seq, hash,
                   kinds[b->kind], (unsigned long long)b->n, (long long)b->from_ms,
                   (long long)b->to_ms);
}

void wire_manifest_end(char line[WIRE_MANIFEST_LINE], uint64_t count, bool complete)
{
    (void)snprintf(line, WIRE_MANIFEST_LINE, END, (unsigned long long)count,
                   complete ? "true" : "false");
}

/* ---- one line, back into its fields ---- */

#define DIGITS "0123456789"
#define HEX DIGITS "abcdef"
#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define ID "ABCDEFGHIJKLMNOPQRSTUVWXYZ" LETTERS DIGITS "._-"
#define NUMBER_DIGITS 18 /* below INT64_MAX */

/* Reads along a line: what does not fit makes `p` NULL, and then all that follows. */
struct along {
    const char *p;
};

static void pass(struct along *a, const char *text)
{
    size_t n = strlen(text);
    a->p = a->p && strncmp(a->p, text, n) == 0 ? a->p + n : NULL;
}

/* At least one of these characters, and fewer than size. */
static void take_word(struct along *a, const char *of, char *out, size_t size)
{
    size_t n = a->p ? strspn(a->p, of) : 0;
    if (n == 0 || n >= size) {
        n = 0;
        a->p = NULL;
    } else {
        memcpy(out, a->p, n);
        a->p += n;
    }
    out[n] = '\0';
}

static uint64_t take_number(struct along *a)
{
    char digits[NUMBER_DIGITS + 1];
    take_word(a, DIGITS, digits, sizeof digits);
    return strtoull(digits, NULL, 10);
}

static bool head_read(const char *line, char gw[65])
{
    char again[WIRE_MANIFEST_LINE];
    struct along a = {line};
    pass(&a, HEAD_GATEWAY);
    take_word(&a, ID, gw, 65);
    pass(&a, "\",\"made\":");
    int64_t made = (int64_t)take_number(&a);
    if (!a.p || strchr("._-", gw[0]))
        return false;
    wire_manifest_head(again, gw, made);
    return strcmp(line, again) == 0;
}

static bool entry_read(const char *line, struct wire_listed *b)
{
    char chain[17], hash[65], kind[8], again[WIRE_MANIFEST_LINE];
    struct along a = {line};
    *b = (struct wire_listed){0};
    pass(&a, "{\"chain\":\"");
    take_word(&a, HEX, chain, sizeof chain);
    pass(&a, "\",\"seq\":");
    b->seq = take_number(&a);
    pass(&a, ",\"sha256\":\"");
    take_word(&a, HEX, hash, sizeof hash);
    pass(&a, "\",\"kind\":\"");
    take_word(&a, LETTERS, kind, sizeof kind);
    pass(&a, "\",\"n\":");
    b->n = take_number(&a);
    pass(&a, ",\"from\":");
    b->from_ms = (int64_t)take_number(&a);
    pass(&a, ",\"to\":");
    b->to_ms = (int64_t)take_number(&a);
    b->kind = strcmp(kind, kinds[WIRE_CONTROL]) == 0 ? WIRE_CONTROL : WIRE_DATA;
    if (!a.p || b->seq == 0 || !wire_unhex(chain, b->chain, WIRE_ID_BYTES) ||
        !wire_unhex(hash, b->sha256, WIRE_HASH_BYTES))
        return false;
    wire_manifest_entry(again, b);
    return strcmp(line, again) == 0;
}

static bool end_read(const char *line, uint64_t *count, bool *complete)
{
    char word[6], again[WIRE_MANIFEST_LINE];
    struct along a = {line};
    pass(&a, "],\"count\":");
    *count = take_number(&a);
    pass(&a, ",\"complete\":");
    take_word(&a, LETTERS, word, sizeof word);
    *complete = strcmp(word, "true") == 0;
    wire_manifest_end(again, *count, *complete);
    return strcmp(line, again) == 0;
}

/* ---- a file of these lines ---- */

/* One line without its newline and without the comma that joins entries; false at the end of the
 * file and for a line that is too long, holds a NUL or has no newline. */
static bool next_line(FILE *f, char line[WIRE_MANIFEST_LINE])
{
    if (!fgets(line, WIRE_MANIFEST_LINE, f))
        return false;
    size_t n = strlen(line);
    if (n == 0 || line[n - 1] != '\n')
        return false;
    line[n - 1] = '\0';
    return true;
}

enum st wire_manifest_open(FILE *f, char gw[65], struct err *e)
{
    char line[WIRE_MANIFEST_LINE];
    if (next_line(f, line) && head_read(line, gw))
        return ST_OK;
    return err_set(e, ST_BAD, "line 1 is not the head of a manifest");
}

enum st wire_manifest_next(FILE *f, uint64_t *read, struct wire_listed *b, bool *complete,
                           struct err *e)
{
    char line[WIRE_MANIFEST_LINE];
    uint64_t count = 0;
    if (!next_line(f, line))
        return err_set(e, ST_BAD, "it is cut off behind batch %llu", (unsigned long long)*read);
    if (line[0] == ']')
        return end_read(line, &count, complete) && count == *read && fgetc(f) == EOF
                   ? ST_NOT_FOUND
                   : err_set(e, ST_BAD, "its end does not fit the %llu batches before it",
                             (unsigned long long)*read);
    char *p = line; /* entries but the first begin with the comma that joins them */
    if (*read > 0 && *p++ != ',')
        return err_set(e, ST_BAD, "line %llu has no comma", (unsigned long long)*read + 2);
    if (!entry_read(p, b))
        return err_set(e, ST_BAD, "line %llu is not a batch", (unsigned long long)*read + 2);
    ++*read;
    return ST_OK;
}
