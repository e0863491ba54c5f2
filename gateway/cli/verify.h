/* Private to the CLI: what `verify` remembers of each batch, and how batches must follow each
 * other. */
#ifndef GATEWAY_CLI_VERIFY_H
#define GATEWAY_CLI_VERIFY_H

#include "gateway/wire/wire.h"

struct verify_batch {
    char *path;
    char gw[65];
    uint8_t hash[WIRE_HASH_BYTES];
    bool export;          /* from a folder: without a manifest, numbers have no holes there */
    struct wire_header h; /* without pointers */
};
/* Batches given up: the signed void entry of a control batch. */
struct verify_void {
    uint8_t chain[WIRE_ID_BYTES];
    uint64_t from, to;
    uint8_t last_hash[WIRE_HASH_BYTES];
};
struct verify_manifest {
    char *path;
    char gw[65];
    struct wire_listed *v;
    size_t n;
};
struct verify_set {
    struct verify_batch *v;
    size_t n, cap;
    struct verify_void *voids;
    size_t nvoids;
    struct verify_manifest *manifests;
    size_t nmanifests;
    uint64_t readings;
    size_t faults; /* each was said on stderr */
};

/* Whether path ends as the header says: {gw}/{chain}/{seq}.cose.zst */
enum st verify_place(const char *path, const struct wire_header *h, struct err *e) ST_MUST_CHECK;
enum st verify_add(struct verify_set *s, const char *path, const struct wire_batch *b,
                   const uint8_t hash[WIRE_HASH_BYTES], bool export, struct err *e) ST_MUST_CHECK;
/* Reads a manifest.json (wire.h). */
enum st verify_manifest(struct verify_set *s, const char *path, struct err *e) ST_MUST_CHECK;
bool verify_has_manifest(const struct verify_set *s, const char *gw);
int verify_by_place(const void *a, const void *b); /* two struct verify_batch, for qsort */
/* Sorts and looks at each batch and the one before it. */
void verify_links(struct verify_set *s);
/* After verify_links: whether all that the manifests name is there. */
void verify_manifests(struct verify_set *s);
void verify_done(struct verify_set *s);

#endif
