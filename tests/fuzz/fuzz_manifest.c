/* The manifest of a stick on any bytes. Beside the sanitizers: what is read is, written again, the
 * same bytes, and nothing of it can leave its folder. */
// uses: wire
// seeds: tests/fuzz/corpus/manifest/*
#include <string.h>

#include "gateway/wire/wire.h"
#include "tests/fuzz/fuzz.h"

/* What has been written again so far must stand at the beginning of the input. */
struct again {
    const uint8_t *p;
    size_t n, at;
};

static void expect(struct again *a, const char *comma, const char *line)
{
    size_t c = strlen(comma), n = strlen(line);
    demand(a->n - a->at > c + n);
    demand(memcmp(a->p + a->at, comma, c) == 0 && memcmp(a->p + a->at + c, line, n) == 0);
    demand(a->p[a->at + c + n] == '\n');
    a->at += c + n + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char gw[65], line[WIRE_MANIFEST_LINE];
    struct wire_listed b;
    struct again a = {data, n, 0};
    uint64_t read = 0;
    bool complete = false, far = false;
    struct err e = {0};
    FILE *f = n ? fmemopen((void *)(uintptr_t)data, n, "r") : NULL;
    if (!f) {
        return 0;
    }
    enum st st = wire_manifest_open(f, gw, &e);
    if (st == ST_OK) {
        demand(gw[0] && gw[0] != '.' && !strpbrk(gw, "/:\\"));
        const uint8_t *end = memchr(data, '\n', n); /* `made` is not given back */
        demand(end);
        a.at = (size_t)(end - data) + 1;
    }
    while (st == ST_OK && (st = wire_manifest_next(f, &read, &b, &complete, &e)) == ST_OK) {
        wire_manifest_entry(line, &b);
        expect(&a, read > 1 ? "," : "", line);
        demand(b.seq > 0);
        far = far || b.seq > 2;
    }
    if (st == ST_NOT_FOUND) {
        wire_manifest_end(line, read, complete);
        expect(&a, "", line);
        demand(a.at == n);
        PLANT(far);
    } else {
        demand(st == ST_BAD && e.text[0]);
    }
    (void)fclose(f);
    return 0;
}

/* A byte changed anywhere seldom leaves a line that counts: half of the time a digit becomes
 * another one, or a whole line comes again. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    size_t at = n ? seed / 4 % n : 0;
    if (n == 0 || seed % 4 < 2) {
        return LLVMFuzzerMutate(data, n, max);
    }
    if (seed % 4 == 2) {
        for (; at < n && (data[at] < '0' || data[at] > '9'); at++) {
        }
        if (at < n) {
            data[at] = (uint8_t)('0' + seed / 7 % 10);
        }
        return n;
    }
    const uint8_t *from = memchr(data + at, '\n', n - at);
    const uint8_t *to = from ? memchr(from + 1, '\n', (size_t)(data + n - from) - 1) : NULL;
    size_t len = to ? (size_t)(to - from) : 0;
    if (len == 0 || n + len > max) {
        return n;
    }
    at = (size_t)(from - data);
    memmove(data + at + len, data + at, n - at); /* the line stands twice */
    return n + len;
}
