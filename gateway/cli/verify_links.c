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

static enum st add_void(struct verify_set *s, const struct wire_batch *b,
                        const struct wire_entry *entry, struct err *e)
{
    struct wire_reader r = {entry->hashes.p, entry->hashes.p, entry->hashes.p + entry->hashes.n};
    struct wire_item it;
    uint64_t n = entry->seq_to - entry->seq_from + 1;
    struct verify_void *grown = realloc(s->voids, (s->nvoids + 1) * sizeof(struct verify_void));
    if (!grown) {
        return err_set(e, ST_MEMORY, "no memory");
    }
    s->voids = grown;
    struct verify_void *v = &s->voids[s->nvoids];
    *v = (struct verify_void){.from = entry->seq_from,
                              .to = entry->seq_to,
                              .hashes = malloc((size_t)n * WIRE_HASH_BYTES)};
    if (!v->hashes) {
        return err_set(e, ST_MEMORY, "no memory");
    }
    s->nvoids++;
    memcpy(v->chain, b->header.chain, WIRE_ID_BYTES);
    enum st st = wire_next(&r, &it, e); /* the array's head */
    for (uint64_t i = 0; st == ST_OK && i < n; i++) {
        st = wire_next(&r, &it, e);
        if (st == ST_OK) {
            memcpy(v->hashes + i * WIRE_HASH_BYTES, it.span.p, WIRE_HASH_BYTES);
        }
    }
    return st;
}

/* of: the chain that it is of; NULL: its own. */
static enum st add_digest(struct verify_set *s, const char *path, const struct wire_batch *b,
                          const uint8_t *of, const struct wire_digest *d, struct err *e)
{
    struct verify_digest *grown =
        realloc(s->digests, (s->ndigests + 1) * sizeof(struct verify_digest));
    char *copy = grown ? strdup(path) : NULL;
    s->digests = grown ? grown : s->digests;
    if (!copy) {
        return err_set(e, ST_MEMORY, "no memory");
    }
    struct verify_digest *v = &s->digests[s->ndigests++];
    *v = (struct verify_digest){.seq = of ? 0 : b->header.seq, .path = copy, .d = *d};
    (void)snprintf(v->gw, sizeof(v->gw), "%s", b->header.gw);
    memcpy(v->chain, of ? of : b->header.chain, WIRE_ID_BYTES);
    return ST_OK;
}

static enum st add_entries(struct verify_set *s, const char *path, const struct wire_batch *b,
                           bool *hands_over, struct err *e)
{
    struct wire_control c;
    struct wire_entry entry;
    enum st st = wire_control_open(&c, b->cose.payload.p, b->cose.payload.n, e);
    while (st == ST_OK && (st = wire_control_next(&c, &entry, e)) == ST_OK) {
        *hands_over = *hands_over || entry.kind == WIRE_ENTRY_KEY;
        if (entry.kind == WIRE_ENTRY_VOID) {
            st = add_void(s, b, &entry, e);
        } else if (entry.kind == WIRE_ENTRY_DIGEST) {
            st = add_digest(s, path, b, NULL, &entry.digest, e);
        } else if (entry.kind == WIRE_ENTRY_REST) {
            st = add_digest(s, path, b, entry.chain.p, &entry.digest, e);
        }
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st count_readings(uint64_t *n, const struct wire_batch *b, struct err *e)
{
    struct wire_senml r;
    return wire_senml_open(&r, b->cose.payload.p, b->cose.payload.n, b->header.gw, n, e);
}

enum st verify_add(struct verify_set *s, const char *path, const struct wire_batch *b,
                   const uint8_t hash[WIRE_HASH_BYTES], bool export, struct err *e)
{
    uint64_t n = 0;
    bool hands_over = false;
    enum st st = b->header.kind == WIRE_CONTROL ? add_entries(s, path, b, &hands_over, e)
                                                : count_readings(&n, b, e);
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
    *v = (struct verify_batch){
        .path = strdup(path), .export = export, .n = n, .hands_over = hands_over, .h = b->header};
    if (!v->path) {
        return err_set(e, ST_MEMORY, "no memory");
    }
    (void)snprintf(v->gw, sizeof(v->gw), "%s", b->header.gw);
    memcpy(v->hash, hash, WIRE_HASH_BYTES);
    v->h.gw = NULL; /* they belong to b */
    v->h.gaps = NULL;
    s->n++;
    s->readings += n;
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

const uint8_t *verify_voided(const struct verify_set *s, const uint8_t chain[WIRE_ID_BYTES],
                             uint64_t seq)
{
    for (size_t i = 0; i < s->nvoids; i++) {
        const struct verify_void *v = &s->voids[i];
        if (memcmp(v->chain, chain, WIRE_ID_BYTES) == 0 && v->from <= seq && v->to >= seq) {
            return v->hashes + (seq - v->from) * WIRE_HASH_BYTES;
        }
    }
    return NULL;
}

/* Whether void entries name all of from..to; the hash of the last one goes out. */
static bool given_up(const struct verify_set *s, const struct verify_batch *b, uint64_t from,
                     uint64_t to, const uint8_t **last_hash)
{
    while (from <= to && (*last_hash = verify_voided(s, b->h.chain, from)) != NULL) {
        from++;
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
    if (memcmp(a->h.kid, b->h.kid, WIRE_ID_BYTES) != 0) {
        fault(s, b, "is signed by another key than the batch before it in its chain");
    }
    if (a->hands_over) {
        fault(s, b, "stands behind the batch that ends its chain and names the next key");
    }
    const uint8_t *prev = a->hash;
    bool near = b->h.seq == a->h.seq + 1;
    if (!near && !given_up(s, b, a->h.seq + 1, b->h.seq - 1, &prev)) {
        if (s->seq_to || (b->export && !verify_has_manifest(s, b->gw))) {
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

bool verify_wants(const struct verify_set *s, uint64_t seq, int64_t from_ms, int64_t to_ms)
{
    return from_ms <= s->to_ms && to_ms >= s->from_ms &&
           (s->seq_to == 0 || (seq >= s->seq_from && seq <= s->seq_to));
}

static void say_missing(struct verify_set *s, const struct verify_batch *b, const char *where,
                        uint64_t from, uint64_t to)
{
    char text[96];
    const uint8_t *hash = NULL;
    if (from > to || given_up(s, b, from, to, &hash)) {
        return;
    }
    (void)snprintf(text, sizeof(text), "%s it %llu to %llu are missing", where,
                   (unsigned long long)from, (unsigned long long)to);
    fault(s, b, text);
}

void verify_range(struct verify_set *s)
{
    for (size_t i = 0; s->seq_to && i < s->n; i++) {
        const struct verify_batch *b = &s->v[i];
        if (i == 0 || !same_chain(&s->v[i - 1], b)) {
            say_missing(s, b, "before", s->seq_from, b->h.seq - 1);
        }
        if (i + 1 == s->n || !same_chain(b, &s->v[i + 1])) {
            say_missing(s, b, "behind", b->h.seq + 1, s->seq_to);
        }
    }
}

const struct verify_batch *verify_find(const struct verify_set *s, const char *gw,
                                       const uint8_t chain[WIRE_ID_BYTES], uint64_t seq)
{
    struct verify_batch key = {.h = {.seq = seq}};
    (void)snprintf(key.gw, sizeof(key.gw), "%s", gw);
    memcpy(key.h.chain, chain, WIRE_ID_BYTES);
    return s->n ? bsearch(&key, s->v, s->n, sizeof(s->v[0]), verify_by_place) : NULL;
}

void verify_done(struct verify_set *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->v[i].path);
    }
    for (size_t i = 0; i < s->nvoids; i++) {
        free(s->voids[i].hashes);
    }
    for (size_t i = 0; i < s->ndigests; i++) {
        free(s->digests[i].path);
    }
    free(s->digests);
    for (size_t i = 0; i < s->nmanifests; i++) {
        free(s->manifests[i].path);
        free(s->manifests[i].v);
    }
    free(s->v);
    free(s->voids);
    free(s->manifests);
    *s = (struct verify_set){0};
}
