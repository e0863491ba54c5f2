/* What the manifests of a folder name must be there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/verify.h"

static enum st read_entries(struct verify_manifest *m, FILE *f, struct err *e)
{
    uint64_t read = 0;
    bool complete = false;
    size_t cap = 0;
    enum st st = wire_manifest_open(f, m->gw, e);
    while (st == ST_OK) {
        if (m->n == cap) {
            cap = cap ? cap * 2 : 64;
            struct wire_listed *grown = realloc(m->v, cap * sizeof(*grown));
            if (!grown) {
                return err_set(e, ST_MEMORY, "no memory");
            }
            m->v = grown;
        }
        st = wire_manifest_next(f, &read, &m->v[m->n], &complete, e);
        m->n += st == ST_OK;
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st verify_manifest(struct verify_set *s, const char *path, struct err *e)
{
    struct verify_manifest *grown =
        realloc(s->manifests, (s->nmanifests + 1) * sizeof(struct verify_manifest));
    if (!grown) {
        return err_set(e, ST_MEMORY, "no memory");
    }
    s->manifests = grown;
    struct verify_manifest *m = &grown[s->nmanifests++];
    *m = (struct verify_manifest){.path = strdup(path)};
    FILE *f = fopen(path, "re");
    enum st st = !m->path ? err_set(e, ST_MEMORY, "no memory")
                 : !f     ? err_set(e, ST_IO, "cannot be read: %s", strerror(errno))
                          : read_entries(m, f, e);
    if (f) {
        (void)fclose(f);
    }
    return st;
}

bool verify_has_manifest(const struct verify_set *s, const char *gw)
{
    for (size_t i = 0; i < s->nmanifests; i++) {
        if (strcmp(s->manifests[i].gw, gw) == 0) {
            return true;
        }
    }
    return false;
}

void verify_manifests(struct verify_set *s)
{
    char chain[WIRE_ID_TEXT];
    for (size_t i = 0; i < s->nmanifests; i++) {
        const struct verify_manifest *m = &s->manifests[i];
        for (size_t k = 0; k < m->n; k++) {
            const struct wire_listed *l = &m->v[k];
            if (!verify_wants(s, l->seq, l->from_ms, l->to_ms)) {
                continue;
            }
            const struct verify_batch *b = verify_find(s, m->gw, l->chain, l->seq);
            if (b && memcmp(b->hash, m->v[k].sha256, WIRE_HASH_BYTES) == 0) {
                continue;
            }
            wire_hex(m->v[k].chain, WIRE_ID_BYTES, chain);
            (void)fprintf(stderr, "%s: %s/%llu.cose.zst %s\n", m->path, chain,
                          (unsigned long long)m->v[k].seq,
                          b ? "is another batch than the one that it names"
                            : "is missing or not good, although it names it");
            s->faults++;
        }
    }
}
