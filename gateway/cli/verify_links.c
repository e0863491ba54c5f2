/* How batches must follow each other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/clk.h"
#include "gateway/cli/verify.h"

enum st verify_place(const char *path, const struct wire_header *h, struct err *e)
{
    char chain[WIRE_ID_TEXT], want[128];
    wire_hex(h->chain, WIRE_ID_BYTES, chain);
    int n = snprintf(want, sizeof(want), "/%s/%s/%llu.cose.zst", h->gw, chain,
                     (unsigned long long)h->seq);
    size_t have = strlen(path);
    if (n < 0 || (size_t)n > have || strcmp(path + have - (size_t)n, want) != 0) {
        return err_set(e, ST_CORRUPT, "does not lie where its header says: ...%s", want);
    }
    return ST_OK;
}

static enum st add_voids(struct verify_set *s, const struct wire_batch *b, struct err *e)
{
    struct wire_control c;
    struct wire_entry entry;
    enum st st = wire_control_open(&c, b->cose.payload.p, b->cose.payload.n, e);
    while (st == ST_OK && (st = wire_control_next(&c, &entry, e)) == ST_OK) {
        /* the array's last hash ends its bytes */
        if (entry.kind != WIRE_ENTRY_VOID || entry.hashes.n < WIRE_HASH_BYTES) {
            continue;
        }
        struct verify_void *grown = realloc(s->voids, (s->nvoids + 1) * sizeof(struct verify_void));
        if (!grown) {
            return err_set(e, ST_MEMORY, "no memory");
        }
        s->voids = grown;
        struct verify_void *v = &s->voids[s->nvoids++];
        *v = (struct verify_void){.from = entry.seq_from, .to = entry.seq_to};
        memcpy(v->chain, b->header.chain, WIRE_ID_BYTES);
        memcpy(v->last_hash, entry.hashes.p + entry.hashes.n - WIRE_HASH_BYTES, WIRE_HASH_BYTES);
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st count_readings(struct verify_set *s, const struct wire_batch *b, struct err *e)
{
    struct wire_senml r;
    uint64_t n = 0;
    enum st st = wire_senml_open(&r, b->cose.payload.p, b->cose.payload.n, b->header.gw, &n, e);
    s->readings += st == ST_OK ? n : 0;
    return st;
}

enum st verify_add(struct verify_set *s, const char *path, const struct wire_batch *b,
                   const uint8_t hash[WIRE_HASH_BYTES], bool export, struct err *e)
{
    enum st st = b->header.kind == WIRE_CONTROL ? add_voids(s, b, e) : count_readings(s, b, e);
    if (st != ST_OK) {
        return st;
    }
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 64;
        struct verify_batch *grown = realloc(s->v, cap * sizeof(*grown));
        if (!grown) {
            return err_set(e, ST_MEMORY, "no memory");
        }
        s->v = grown;
        s->cap = cap;
    }
    struct verify_batch *v = &s->v[s->n];
    *v = (struct verify_batch){.path = strdup(path), .export = export, .h = b->header};
    if (!v->path) {
        return err_set(e, ST_MEMORY, "no memory");
    }
    (void)snprintf(v->gw, sizeof(v->gw), "%s", b->header.gw);
    memcpy(v->hash, hash, WIRE_HASH_BYTES);
    v->h.gw = NULL; /* they belong to b */
    v->h.gaps = NULL;
    s->n++;
    return ST_OK;
}

int verify_by_place(const void *a, const void *b)
{
    const struct verify_batch *x = a, *y = b;
    int d = strcmp(x->gw, y->gw);
    d = d ? d : memcmp(x->h.chain, y->h.chain, WIRE_ID_BYTES);
    return d ? d : x->h.seq < y->h.seq ? -1 : x->h.seq > y->h.seq;
}

static bool same_chain(const struct verify_batch *a, const struct verify_batch *b)
{
    return strcmp(a->gw, b->gw) == 0 && memcmp(a->h.chain, b->h.chain, WIRE_ID_BYTES) == 0;
}

static void fault(struct verify_set *s, const struct verify_batch *b, const char *text)
{
    (void)fprintf(stderr, "%s: %s\n", b->path, text);
    s->faults++;
}

/* Whether void entries name all of from..to; the hash of the last one goes out. */
static bool given_up(const struct verify_set *s, const struct verify_batch *b, uint64_t from,
                     uint64_t to, const uint8_t **last_hash)
{
    for (bool found = true; found && from <= to;) {
        found = false;
        for (size_t i = 0; i < s->nvoids; i++) {
            const struct verify_void *v = &s->voids[i];
            if (memcmp(v->chain, b->h.chain, WIRE_ID_BYTES) == 0 && v->from <= from &&
                v->to >= from) {
                from = v->to + 1;
                *last_hash = v->last_hash;
                found = true;
            }
        }
    }
    return from > to;
}

/* `b` directly follows `a` in the same chain. */
static void check_windows(struct verify_set *s, const struct verify_batch *a,
                          const struct verify_batch *b)
{
    bool stepped = b->h.step || a->h.clk == CLK_UNKNOWN || b->h.clk == CLK_UNKNOWN ||
                   memcmp(a->h.boot, b->h.boot, WIRE_ID_BYTES) != 0 || a->h.for_to || b->h.for_to;
    if (!stepped && a->h.to_ms != b->h.from_ms) {
        fault(s, b, "its window does not begin where the one before ends");
    }
}

static void check_follow(struct verify_set *s, const struct verify_batch *a,
                         const struct verify_batch *b)
{
    if (a->h.seq == b->h.seq) {
        if (memcmp(a->hash, b->hash, WIRE_HASH_BYTES) != 0) {
            fault(s, b, "another batch has the same chain and number");
        }
        return;
    }
    const uint8_t *prev = a->hash;
    bool near = b->h.seq == a->h.seq + 1;
    if (!near && !given_up(s, b, a->h.seq + 1, b->h.seq - 1, &prev)) {
        if (b->export && !verify_has_manifest(s, b->gw)) {
            char text[96];
            (void)snprintf(text, sizeof(text), "before it %llu to %llu are missing",
                           (unsigned long long)a->h.seq + 1, (unsigned long long)b->h.seq - 1);
            fault(s, b, text);
        }
        return;
    }
    if (memcmp(b->h.prev, prev, WIRE_HASH_BYTES) != 0) {
        fault(s, b, "does not follow the batch before it: the chain is broken");
    }
    if (near) {
        check_windows(s, a, b);
    }
}

/* Where a chain follows another one that is here too, their link must fit. */
static void check_birth(struct verify_set *s, const struct verify_batch *b)
{
    for (size_t i = 0; b->h.seq == 1 && b->h.after && i < s->n; i++) {
        const struct verify_batch *a = &s->v[i];
        if (strcmp(a->gw, b->gw) == 0 && a->h.seq == b->h.after_seq &&
            memcmp(a->h.chain, b->h.after_chain, WIRE_ID_BYTES) == 0 &&
            memcmp(a->hash, b->h.after_hash, WIRE_HASH_BYTES) != 0) {
            fault(s, b, "does not follow the chain that it names: the link is broken");
        }
    }
}

void verify_links(struct verify_set *s)
{
    if (s->n == 0) {
        return;
    }
    qsort(s->v, s->n, sizeof(s->v[0]), verify_by_place);
    for (size_t i = 0; i < s->n; i++) {
        check_birth(s, &s->v[i]);
        if (i > 0 && same_chain(&s->v[i - 1], &s->v[i])) {
            check_follow(s, &s->v[i - 1], &s->v[i]);
        }
    }
}

void verify_done(struct verify_set *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->v[i].path);
    }
    for (size_t i = 0; i < s->nmanifests; i++) {
        free(s->manifests[i].path);
        free(s->manifests[i].v);
    }
    free(s->v);
    free(s->voids);
    free(s->manifests);
    *s = (struct verify_set){0};
}
