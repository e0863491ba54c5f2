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
    uint64_t n;           /* readings */
    bool hands_over;      /* it has a `key` entry: nothing of its chain follows */
    struct wire_header h; /* without pointers */
};
/* Batches given up: the signed void entry of a control batch. */
struct verify_void {
    uint8_t chain[WIRE_ID_BYTES];
    uint64_t from, to;
    uint8_t *hashes; /* one after the other */
};
/* The digest of a day that a batch holds. */
struct verify_digest {
    char gw[65];
    uint8_t chain[WIRE_ID_BYTES]; /* whose batches it is of */
    uint64_t seq;                 /* of that batch; 0: it is of another chain */
    char *path;
    struct wire_digest d;
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
    struct verify_digest *digests;
    size_t ndigests;
    struct verify_manifest *manifests;
    size_t nmanifests;
    uint64_t readings;
    uint64_t linked; /* batches of the day that a link proves, and no digest */
    size_t faults;   /* each was said on stderr */
    /* What was asked for; others are left aside. */
    int64_t from_ms, to_ms;    /* windows that touch [from_ms, to_ms] */
    uint64_t seq_from, seq_to; /* numbers; seq_to 0: all */
};

/* verify_keys.c */
struct verify_key {
    struct wire_pub *pub;
    char gw[65]; /* "": given, for any gateway */
};
struct verify_keys {
    struct verify_key *v;
    size_t n;
};
/* Takes pub, also on failure. */
enum st verify_key_add(struct verify_keys *k, struct wire_pub *pub, const char *gw,
                       struct err *e) ST_MUST_CHECK;
/* ST_NOT_FOUND: by none of these; ST_CORRUPT. */
enum st verify_signed(const struct verify_keys *k, const struct wire_batch *b,
                      struct err *e) ST_MUST_CHECK;
/* Adds the keys that a batch names which verify_signed has found good. */
enum st verify_learn(struct verify_keys *k, const struct wire_batch *b,
                     struct err *e) ST_MUST_CHECK;
void verify_keys_done(struct verify_keys *k);

/* Whether path ends as the header says: {gw}/{chain}/{seq}.cose.zst */
enum st verify_place(const char *path, const struct wire_header *h, struct err *e) ST_MUST_CHECK;
enum st verify_add(struct verify_set *s, const char *path, const struct wire_batch *b,
                   const uint8_t hash[WIRE_HASH_BYTES], bool export, struct err *e) ST_MUST_CHECK;
/* Reads a manifest.json (wire.h). */
enum st verify_manifest(struct verify_set *s, const char *path, struct err *e) ST_MUST_CHECK;
/* Whether that is among what was asked for. */
bool verify_wants(const struct verify_set *s, uint64_t seq, int64_t from_ms, int64_t to_ms);
bool verify_has_manifest(const struct verify_set *s, const char *gw);
int verify_by_place(const void *a, const void *b); /* two struct verify_batch, for qsort */
/* Sorts and looks at each batch and the one before it. */
void verify_links(struct verify_set *s);
/* After verify_links: whether all that the manifests name is there. */
void verify_manifests(struct verify_set *s);
/* After verify_links: whether all numbers that were asked for are there, in each chain. */
void verify_range(struct verify_set *s);
/* After verify_links: whether the batches of that day are there and are those that were digested;
 * says on standard output what the digests are. */
void verify_day(struct verify_set *s, int64_t day);
/* The batch with this number; NULL. After verify_links. */
const struct verify_batch *verify_find(const struct verify_set *s, const char *gw,
                                       const uint8_t chain[WIRE_ID_BYTES], uint64_t seq);
/* The hash that a void entry names for it; NULL. */
const uint8_t *verify_voided(const struct verify_set *s, const uint8_t chain[WIRE_ID_BYTES],
                             uint64_t seq);
void verify_done(struct verify_set *s);

#endif
