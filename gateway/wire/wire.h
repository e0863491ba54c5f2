/* What goes over the wire: SenML-CBOR, COSE_Sign1, receipts, heads, zstd, keys. Pure functions on
 * bytes (only the key functions touch files); knows neither store nor network.
 *
 * Sources: RFC 8949 (CBOR, deterministic encoding §4.2.1), RFC 9052/9053 (COSE, ES256), RFC 8428
 * (SenML), and the batch contract (gateway/doc/batch.cddl). Everything that breaks a rule of the
 * contract is refused by the readers; writers cannot produce it. Any thread, one object at a time.
 */
#ifndef GATEWAY_WIRE_WIRE_H
#define GATEWAY_WIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "gateway/base/buf.h"
#include "gateway/base/err.h"
#include "gateway/base/num.h"

#define WIRE_HASH_BYTES 32
#define WIRE_ID_BYTES 8              /* chain, boot, kid */
#define WIRE_BATCH_MAX (1024 * 1024) /* whole COSE bytes, uncompressed */
#define WIRE_HEADER_MAX (64 * 1024)
#define WIRE_ID_TEXT 17 /* hex of an id and NUL */

struct wire_span {
    const uint8_t *p;
    size_t n;
};

/* ---- keys ------------------------------------------------------------------------------- */

struct wire_key; /* a P-256 private key */
struct wire_pub; /* a P-256 public key */

/* Makes a key and writes it as PEM with mode 0600; ST_CONFLICT when path exists (never
 * overwritten), nothing left behind on failure. */
enum st wire_key_make(const char *path, struct err *e) ST_MUST_CHECK;
/* Refuses (ST_REFUSED, says the chmod to use) a file that group or others can read. */
enum st wire_key_load(struct wire_key **out, const char *path, struct err *e) ST_MUST_CHECK;
void wire_key_free(struct wire_key *k);
const struct wire_pub *wire_key_pub(const struct wire_key *k); /* borrowed */

/* Who signs. The private key may be elsewhere: in another process, in a token (gateway/signer). */
struct wire_signer {
    const struct wire_pub *pub; /* borrowed, like ctx */
    /* r || s, 32 bytes each, big endian, over a SHA-256; s may be above n/2: whoever calls makes it
     * low. A failure changes nothing. */
    enum st (*sign)(void *ctx, const uint8_t hash[WIRE_HASH_BYTES], uint8_t sig[64], struct err *e);
    void *ctx;
};
/* The key of this process, deterministic (RFC 6979); borrowed from k. */
const struct wire_signer *wire_key_signer(const struct wire_key *k);
/* Whether sig is a signature over hash by that key. ST_CORRUPT; ST_MEMORY: it is not known. */
enum st wire_pub_check(const struct wire_pub *k, const uint8_t hash[WIRE_HASH_BYTES],
                       const uint8_t sig[64], struct err *e) ST_MUST_CHECK;

/* PEM file: a public key ("BEGIN PUBLIC KEY") or a certificate that carries one. */
enum st wire_pub_load(struct wire_pub **out, const char *path, struct err *e) ST_MUST_CHECK;
/* DER SubjectPublicKeyInfo, named curve P-256, uncompressed point. */
enum st wire_pub_parse(struct wire_pub **out, const uint8_t *der, size_t n,
                       struct err *e) ST_MUST_CHECK;
/* An uncompressed point, 65 bytes. */
enum st wire_pub_point(struct wire_pub **out, const uint8_t point[65], struct err *e) ST_MUST_CHECK;
void wire_pub_free(struct wire_pub *k);
struct wire_span wire_pub_der(const struct wire_pub *k);                       /* borrowed */
enum st wire_pub_pem(const struct wire_pub *k, struct buf *out) ST_MUST_CHECK; /* NUL-free text */
const uint8_t *wire_pub_kid(const struct wire_pub *k);                         /* WIRE_ID_BYTES */

/* ---- small tools ------------------------------------------------------------------------ */

void wire_sha256(const void *p, size_t n, uint8_t out[WIRE_HASH_BYTES]);
enum st wire_random(void *p, size_t n, struct err *e) ST_MUST_CHECK; /* from the kernel */
void wire_hex(const uint8_t *p, size_t n, char *out);                /* 2n + 1 bytes */
bool wire_unhex(const char *text, uint8_t *out, size_t n);           /* exactly n bytes */
/* PBKDF2-HMAC-SHA-256 of a password. Takes long on purpose: not on a thread that others wait for.
 */
void wire_password_hash(const char *password, const uint8_t *salt, size_t salt_n, unsigned rounds,
                        uint8_t out[WIRE_HASH_BYTES]);
/* Compares in a time that says nothing of where they differ. */
bool wire_same(const uint8_t *a, const uint8_t *b, size_t n);
/* One frame with its content size, no dictionary; level 1 for the journal (with a checksum),
 * wire_batch_level for batches. A packer keeps its context between calls. */
struct wire_zstd;
enum st wire_zstd_open(struct wire_zstd **out, struct err *e) ST_MUST_CHECK;
void wire_zstd_close(struct wire_zstd *z);
enum st wire_zstd_pack(struct wire_zstd *z, int level, const void *p, size_t n, struct buf *out,
                       struct err *e) ST_MUST_CHECK; /* appends to out */
/* The level for a batch of n COSE bytes: above 128 KiB, a busy site's, the processor counts; below,
 * what the line costs (tests/bench/README.md, wire). */
int wire_batch_level(size_t n);
/* Refuses (ST_BAD) frames without content size, with a dictionary, window > 8 MiB, more than max
 * bytes, or anything behind the frame. Appends to out. */
enum st wire_zstd_unpack(const void *p, size_t n, size_t max, struct buf *out,
                         struct err *e) ST_MUST_CHECK;

/* Deterministic CBOR, appended to out: heads are the shortest, the caller orders map keys. */
enum st wire_put_uint(struct buf *out, uint64_t v) ST_MUST_CHECK;
enum st wire_put_int(struct buf *out, int64_t v) ST_MUST_CHECK;
enum st wire_put_text(struct buf *out, const char *s) ST_MUST_CHECK;
enum st wire_put_bytes(struct buf *out, const void *p, size_t n) ST_MUST_CHECK;
enum st wire_put_array(struct buf *out, uint64_t n) ST_MUST_CHECK;
enum st wire_put_map(struct buf *out, uint64_t n) ST_MUST_CHECK;
enum st wire_put_null(struct buf *out) ST_MUST_CHECK;
enum st wire_put_bool(struct buf *out, bool b) ST_MUST_CHECK;
/* batch.md rule 13: fewest bytes among the exact ones, ties integer, float, tag 4. v has a value.
 */
enum st wire_put_num(struct buf *out, struct num v) ST_MUST_CHECK;

/* A strict reader of deterministic CBOR over borrowed bytes: refuses indefinite lengths, heads
 * that are not the shortest, invalid UTF-8, and depth > 8. */
enum wire_type {
    WIRE_UINT,
    WIRE_NINT,  /* value is -1 - u */
    WIRE_BYTES, /* span */
    WIRE_TEXT,  /* span */
    WIRE_ARRAY, /* u items follow */
    WIRE_MAP,   /* u pairs follow */
    WIRE_TAG,   /* u is the tag, its item follows */
    WIRE_FLOAT, /* f */
    WIRE_BOOL,  /* u is 0 or 1 */
    WIRE_NULL,
    WIRE_SIMPLE /* any other simple value: u is its number */
};
struct wire_item {
    enum wire_type type;
    uint64_t u;
    double f;
    struct wire_span span;
};
struct wire_reader {
    const uint8_t *start, *p, *end;
};
enum st wire_next(struct wire_reader *r, struct wire_item *it, struct err *e) ST_MUST_CHECK;
/* The same over bytes of another's making: heads and floats need not be the shortest. */
enum st wire_next_any(struct wire_reader *r, struct wire_item *it, struct err *e) ST_MUST_CHECK;
/* Steps over one whole item, nested ones included. */
enum st wire_skip(struct wire_reader *r, struct err *e) ST_MUST_CHECK;

/* ---- SenML ------------------------------------------------------------------------------ */

/* Quality flags, the "q" of a record. */
enum {
    WIRE_Q_LIMITS = 1, /* outside its plausible limits */
    WIRE_Q_STUCK = 2,  /* has not changed for too long */
    WIRE_Q_FAULT = 4,  /* the device reports a fault */
    WIRE_Q_CALIBRATING = 8,
    WIRE_Q_HAND = 16, /* entered by hand */
    WIRE_Q_COMPUTED = 32,
    WIRE_Q_TIME_UNKNOWN = 64,
    WIRE_Q_TIME_CORRECTED = 128
};

/* The constant part of a point's records, encoded once: its name and, when it has one, its unit. */
#define WIRE_POINT_MAX 96
struct wire_point {
    uint8_t n;
    bool has_unit;
    uint8_t b[WIRE_POINT_MAX];
};
enum st wire_point_init(struct wire_point *p, const char *name, const char *unit,
                        struct err *e) ST_MUST_CHECK;

struct wire_record {
    const struct wire_point *point;
    struct num v; /* has a value */
    uint32_t q;
};
/* Appends the n > 0 records of one device poll (no array head): the first carries bn and bt, all
 * have the time t_ms. `base` is "<gateway>/<device>/". */
enum st wire_senml_poll(struct buf *out, const char *base, int64_t t_ms,
                        const struct wire_record *r, size_t n) ST_MUST_CHECK;

/* Reads records back, strictly. */
struct wire_senml {
    struct wire_reader r;
    uint64_t left;
    struct wire_span base, device; /* bn in force, and the device in it */
    int64_t base_ms;
    const char *gw; /* expected first part of bn; NULL: any */
};
struct wire_reading {
    struct wire_span device, point, unit; /* unit.p NULL when there is none */
    int64_t t_ms;
    struct num v;
    uint32_t q;
};
/* payload: a whole SenML array. `count` (may be NULL) gets the number of records. */
enum st wire_senml_open(struct wire_senml *s, const void *payload, size_t n, const char *gw,
                        uint64_t *count, struct err *e) ST_MUST_CHECK;
/* Records without an array head, as the journal keeps them: exactly `count` of them. */
void wire_senml_open_records(struct wire_senml *s, const void *p, size_t n, uint64_t count,
                             const char *gw);
/* ST_OK with *out, ST_NOT_FOUND at the end (and then nothing is left over), ST_BAD. */
enum st wire_senml_next(struct wire_senml *s, struct wire_reading *out,
                        struct err *e) ST_MUST_CHECK;

/* ---- batches ---------------------------------------------------------------------------- */

enum wire_kind { WIRE_DATA, WIRE_CONTROL };

struct wire_gap {
    const char *series; /* "device/point", "device" "/" "*", or "*" */
    int64_t from_ms, to_ms;
    const char *cause; /* wire_causes */
};
extern const char *const wire_causes[]; /* off bus device …, ends with NULL */

struct wire_header {
    enum wire_kind kind;
    uint8_t kid[WIRE_ID_BYTES];
    const char *gw;
    uint8_t chain[WIRE_ID_BYTES];
    uint64_t seq;
    uint8_t prev[WIRE_HASH_BYTES]; /* seq > 1 */
    bool after;                    /* seq == 1: follows another chain (else null) */
    uint8_t after_chain[WIRE_ID_BYTES];
    uint64_t after_seq;
    uint8_t after_hash[WIRE_HASH_BYTES];
    int64_t from_ms, to_ms;
    uint8_t boot[WIRE_ID_BYTES];
    int clk;
    bool step;
    const struct wire_gap *gaps;
    size_t ngaps;
    uint64_t for_from, for_to; /* a thinned batch; 0, 0: absent */
};

/* Encodes and signs; kid is the key's, s is low. The payload is taken as it is.
 * ST_BAD when the header breaks a rule. Appends the COSE bytes to out. ST_FULL when header or whole
 * would be too large (out unchanged). */
enum st wire_batch_sign(const struct wire_header *h, const void *payload, size_t n,
                        const struct wire_signer *key, struct buf *out,
                        struct err *e) ST_MUST_CHECK;
/* The same over a payload that lies in n parts: none need be joined before. */
enum st wire_batch_sign_parts(const struct wire_header *h, const struct wire_span *parts, size_t n,
                              const struct wire_signer *key, struct buf *out,
                              struct err *e) ST_MUST_CHECK;

/* A decoded COSE_Sign1: spans point into the input. */
struct wire_cose {
    struct wire_span whole, protected_, payload, signature;
};
/* A batch; `header.gw`, gap texts and arrays belong to it. Free with wire_batch_done. */
struct wire_batch {
    struct wire_cose cose;
    struct wire_header header;
    void *owned;
};
/* Structure and all rules that one batch alone can break, payload included (records or entries
 * are walked). Not the signature. ST_BAD; ST_UNSUPPORTED for another version of the contract. b
 * is empty after a failure. */
enum st wire_batch_open(struct wire_batch *b, const void *p, size_t n, struct err *e) ST_MUST_CHECK;
void wire_batch_done(struct wire_batch *b);
/* The same for a batch that this gateway sealed and whose bytes are those of then: the header alone
 * is read, the payload was walked before it was signed. */
enum st wire_batch_open_sealed(struct wire_batch *b, const void *p, size_t n,
                               struct err *e) ST_MUST_CHECK;
/* SHA-256 over what the signature (r and s, 32 bytes each, big endian) is for, for a verifier of
 * another library. ST_CORRUPT when s is above n/2: no other verifier asks. */
enum st wire_cose_digest(const struct wire_cose *c, uint8_t hash[WIRE_HASH_BYTES],
                         struct err *e) ST_MUST_CHECK;
/* ST_OK or ST_CORRUPT. s must be <= n/2. */
enum st wire_cose_verify(const struct wire_cose *c, const struct wire_pub *pub,
                         struct err *e) ST_MUST_CHECK;

/* Which key a message claims to be signed by: a hint. */
enum st wire_cose_kid(const struct wire_cose *c, uint8_t kid[WIRE_ID_BYTES],
                      struct err *e) ST_MUST_CHECK;

/* Control entries: a payload is an array of them. Writers append one entry each. */
enum st wire_put_plan(struct buf *out, const char *series, const char *quantity, const char *unit,
                      int64_t period_ms, int64_t from_ms) ST_MUST_CHECK;
enum st wire_put_retire(struct buf *out, const char *series, int64_t at_ms,
                        const char *reason) ST_MUST_CHECK;
enum st wire_put_void(struct buf *out, uint64_t seq_from, uint64_t seq_to,
                      const uint8_t (*hashes)[WIRE_HASH_BYTES], const char *cause) ST_MUST_CHECK;
enum st wire_put_time(struct buf *out, const uint8_t boot[WIRE_ID_BYTES], uint64_t seq_from,
                      uint64_t seq_to, int64_t add_ms, int64_t err_ms) ST_MUST_CHECK;
/* The next key: whoever trusts the key that signs the batch trusts this one, too. */
enum st wire_put_key(struct buf *out, const struct wire_pub *next) ST_MUST_CHECK;

/* What a `digest` entry says of batches of one chain and one day, numbers in a row (batch.cddl,
 * "the days of a chain"). Days are those of Viet Nam (UTC+7), counted from 1970-01-01 there. */
struct wire_digest {
    int64_t day;
    uint64_t seq_from, seq_to;
    uint64_t readings, gaps;       /* SenML records, entries of `gaps` in the headers */
    uint8_t hash[WIRE_HASH_BYTES]; /* folded from those of the batches */
};
enum st wire_put_digest(struct buf *out, const struct wire_digest *d) ST_MUST_CHECK;
/* The same of an earlier chain of the gateway, which ended without it. */
enum st wire_put_rest(struct buf *out, const uint8_t chain[WIRE_ID_BYTES],
                      const struct wire_digest *d) ST_MUST_CHECK;
enum st wire_put_config(struct buf *out, const uint8_t hash[WIRE_HASH_BYTES], int64_t at_ms,
                        const char *who) ST_MUST_CHECK;
/* What was written to a device while commissioning, and by whom. */
enum st wire_put_setup(struct buf *out, int64_t at_ms, const char *what,
                       const char *author) ST_MUST_CHECK;
/* What people changed that has no entry of its own with its author (decision 0044): what was done
 * ("user.added"), to whom or what (an id, or a series or device/STAR; NULL: nothing with a name),
 * what holds now, and who did it. Never a secret, nor a hash of one. */
enum st wire_put_change(struct buf *out, int64_t at_ms, const char *what, const char *about,
                        const char *now, const char *author) ST_MUST_CHECK;

/* What a `correct` entry does to the readings of a series within a time (decision 0018). */
#define WIRE_SERIES_BYTES 130 /* device/point and NUL */
enum wire_change { WIRE_INVALIDATE, WIRE_RESCALE, WIRE_REASSIGN, WIRE_CHANGES };
struct wire_fix {
    enum wire_change what;
    struct num scale, offset;       /* rescale: exact decimals */
    char target[WIRE_SERIES_BYTES]; /* reassign: device/point */
};
/* id is a text of the writer's; ST_BAD when a part breaks a rule. */
enum st wire_put_correct(struct buf *out, const char *id, const char *series, int64_t from_ms,
                         int64_t to_ms, const struct wire_fix *f, const char *reason,
                         const char *author) ST_MUST_CHECK;
enum wire_work { WIRE_CALIBRATION, WIRE_SWAP, WIRE_METER, WIRE_WORKS };
/* Their words, in that order; NULL at the end. */
extern const char *const wire_changes[WIRE_CHANGES + 1], *const wire_works[WIRE_WORKS + 1];
/* to_ms NULL: it is open. map: the CBOR of one, by the rules of batch.cddl. */
enum st wire_put_maintain(struct buf *out, const char *target, int64_t from_ms,
                          const int64_t *to_ms, enum wire_work work,
                          const struct wire_span *map) ST_MUST_CHECK;
/* Who brought a reading that was entered by hand, and what he noted (NULL: nothing). The reading
 * itself is in a data batch: its series, time and value name it. */
enum st wire_put_entered(struct buf *out, const char *series, int64_t at_ms, struct num value,
                         const char *author, const char *note) ST_MUST_CHECK;
/* An exact decimal: an integer, or tag 4 where it has decimals; never a float. */
enum st wire_put_exact(struct buf *out, struct num v) ST_MUST_CHECK;
enum st wire_next_exact(struct wire_reader *r, struct num *v, struct err *e) ST_MUST_CHECK;

enum wire_entry_kind {
    WIRE_ENTRY_PLAN,
    WIRE_ENTRY_RETIRE,
    WIRE_ENTRY_VOID,
    WIRE_ENTRY_TIME,
    WIRE_ENTRY_CORRECT,
    WIRE_ENTRY_DIGEST,
    WIRE_ENTRY_REST,
    WIRE_ENTRY_KEY,
    WIRE_ENTRY_MAINTAIN,
    WIRE_ENTRY_CONFIG,
    WIRE_ENTRY_SETUP,
    WIRE_ENTRY_ENTERED,
    WIRE_ENTRY_CHANGE,
    WIRE_ENTRY_OTHER
};
struct wire_entry {
    enum wire_entry_kind kind;
    struct wire_span name;                   /* "plan", … */
    struct wire_span series, quantity, unit; /* plan; retire, correct, maintain, entered: series */
    int64_t period_ms, at_ms; /* plan: from; retire, config, setup, entered, change: at; correct,
                                 maintain: from */
    int64_t to_ms;            /* correct; maintain: INT64_MAX when it is open */
    struct wire_span text; /* retire: reason; void: cause; correct: what to do; maintain: the work;
                              setup, change: what was done */
    struct wire_span id, arguments;  /* correct: CBOR of both; maintain: CBOR of the map */
    struct wire_span reason, author; /* correct; setup, config: author; entered: the note, n = 0:
                                        none; change: what holds now */
    struct wire_span about;          /* change; p NULL: of nothing that has a name */
    struct num value;                /* entered */
    bool force;                      /* entered, in a request: also outside its limits */
    uint64_t seq_from, seq_to;       /* void, time */
    struct wire_span hashes;         /* void: CBOR of the hash array */
    struct wire_span boot;           /* time */
    int64_t add_ms, err_ms;          /* time */
    struct wire_digest digest;       /* digest, rest; seq_from may be above seq_to */
    struct wire_span chain;          /* rest: whose batches these are */
    struct wire_span spki;           /* key: DER SubjectPublicKeyInfo, a good one */
    struct wire_span hash;           /* config: of the file */
};
struct wire_control {
    struct wire_reader r;
    uint64_t left;
    bool request; /* what a person asks for: `retire` may name device/STAR, and `entered` has its
                     unit and `force` instead of an author */
};
enum st wire_control_open(struct wire_control *c, const void *payload, size_t n,
                          struct err *e) ST_MUST_CHECK;
enum st wire_control_next(struct wire_control *c, struct wire_entry *out,
                          struct err *e) ST_MUST_CHECK; /* ST_NOT_FOUND at the end */

/* What a `correct` entry does; false when its arguments are not those of what it says. */
bool wire_fix_of(const struct wire_entry *x, struct wire_fix *out);
/* What a meter showed at its change, and what the new one did; false: it is no such entry, or does
 * not say. */
bool wire_meter_of(const struct wire_entry *x, struct num *last, struct num *first);
/* What several of them, told in order of their seal, make of one reading: one that takes it back
 * wins, each rescaling works on what the one before left, and the last new name counts. */
struct wire_fixed {
    bool gone;
    const struct wire_fix *name; /* NULL: its own */
};
void wire_fix_apply(const struct wire_fix *f, struct wire_fixed *x, struct num *v);

/* All that `correct` and `maintain` entries of one gateway say of its readings. */
struct wire_fixes;
enum st wire_fixes_open(struct wire_fixes **out, struct err *e) ST_MUST_CHECK;
void wire_fixes_close(struct wire_fixes *x);
/* Adds an entry, in order of seal; other kinds are passed over. Takes out what it replaces: a
 * `correct` with the same id, a calibration of the same series from the same time on. ST_FULL. */
enum st wire_fixes_add(struct wire_fixes *x, const struct wire_entry *entry,
                       struct err *e) ST_MUST_CHECK;
/* Applies them to a reading whose time is what it is in the end. false: it was taken back. Its
 * names may point into x then, until the next call. */
bool wire_fixes_apply(struct wire_fixes *x, struct wire_reading *r);

/* What a person asks of the gateway: one entry, for its seal room to check and seal. */
#define WIRE_REQUEST_MAX 16384
#define WIRE_WHO_MAX 128 /* bytes */
struct wire_request {
    uint8_t id[WIRE_ID_BYTES];
    struct wire_span who;
    int64_t at_ms;
    struct wire_span entry; /* its CBOR */
    struct wire_entry x;    /* retire, correct, maintain, setup or entered */
};
enum st wire_request_put(struct buf *out, const uint8_t id[WIRE_ID_BYTES], const char *who,
                         int64_t at_ms, const struct buf *entry) ST_MUST_CHECK;
/* Strict; spans point into p. ST_BAD. */
enum st wire_request_open(struct wire_request *q, const void *p, size_t n,
                          struct err *e) ST_MUST_CHECK;

/* ---- days -------------------------------------------------------------------------------- */

#define WIRE_DAY_MS INT64_C(86400000)
int64_t wire_day_of(int64_t utc_ms);
int64_t wire_day_begin_ms(int64_t day); /* UTC */
/* "2026-11-25"; ST_BAD outside of the years 0000 to 9999. */
#define WIRE_DAY_TEXT 11
enum st wire_day_text(int64_t day, char out[WIRE_DAY_TEXT]) ST_MUST_CHECK;
bool wire_day_parse(struct wire_span text, int64_t *day); /* false: no such day */

/* One batch as the reckoning of its day sees it. */
struct wire_day_batch {
    uint64_t seq;
    const uint8_t *hash;
    bool tells; /* its day: a data batch without `for` and with clk other than 3 */
    int64_t to_ms;
    uint64_t readings, gaps;
};
void wire_day_batch(struct wire_day_batch *out, const struct wire_header *h, uint64_t readings,
                    const uint8_t hash[WIRE_HASH_BYTES]); /* hash is borrowed */
/* Reckons the digests of a chain from its batches in order. */
struct wire_days {
    struct wire_digest run;  /* of whole days' batches so far; seq_to 0: none tells its day yet */
    struct wire_digest open; /* the same with those behind it, whose day the next one tells */
};
void wire_days_begin(struct wire_days *d, uint64_t seq); /* the first number that will be added */
uint64_t wire_days_next(const struct wire_days *d);      /* the number to add next */
/* b has that number. false: it is of another day. d->run is complete then, and d unchanged: go on
 * with wire_days_begin behind d->run.seq_to. */
bool wire_days_add(struct wire_days *d, const struct wire_day_batch *b);
/* One step of `hash`: what it is, with one more batch. It begins with zeros. */
void wire_days_fold(uint8_t hash[WIRE_HASH_BYTES], const uint8_t batch[WIRE_HASH_BYTES]);

/* ---- many batches that this gateway sealed ------------------------------------------------ */

/* Walks the records of such a payload at a fraction of what wire_senml_next takes. Whatever the
 * bytes, nothing outside them is read; the rules of the contract are not checked again. */
struct wire_skim {
    const uint8_t *p, *end;
    uint64_t left;
    struct wire_span device;
    int64_t base_ms;
};
struct wire_skimmed {
    struct wire_span device, point;
    int64_t t_ms;
    uint32_t q;
    bool opens;           /* the first record of a device's poll */
    const uint8_t *value; /* for wire_skim_value */
};
enum st wire_skim_open(struct wire_skim *s, const void *payload, size_t n,
                       struct err *e) ST_MUST_CHECK;
/* The same for n encoded records without an array's head. */
void wire_skim_records(struct wire_skim *s, const void *records, size_t bytes, uint64_t n);
/* The next record, or with `only` the next of that device. ST_NOT_FOUND at the end, ST_CORRUPT. */
enum st wire_skim_next(struct wire_skim *s, const struct wire_span *only, struct wire_skimmed *out,
                       struct err *e) ST_MUST_CHECK;
enum st wire_skim_value(const struct wire_skim *s, const struct wire_skimmed *r, struct num *v,
                        struct err *e) ST_MUST_CHECK;

/* ---- the city's answers ----------------------------------------------------------------- */

struct wire_receipt {
    char gw[65];
    uint8_t chain[WIRE_ID_BYTES];
    uint64_t seq;
    uint8_t sha256[WIRE_HASH_BYTES];
    uint64_t n;          /* SenML records, 0 for control */
    int64_t received_ms; /* UTC */
    uint64_t through_seq;
    uint8_t through_hash[WIRE_HASH_BYTES];
};
enum st wire_receipt_sign(const struct wire_receipt *r, const struct wire_signer *key,
                          struct buf *out, struct err *e) ST_MUST_CHECK;
/* Opens; the signature is a step of its own, wire_cose_verify, because a drain verifies only
 * the last receipt of a run. */
enum st wire_receipt_open(struct wire_receipt *r, struct wire_cose *cose, const void *p, size_t n,
                          struct err *e) ST_MUST_CHECK;

/* Chains in any order when signed; a head that was opened has them by id. */
struct wire_head_chain {
    uint8_t chain[WIRE_ID_BYTES];
    uint64_t through_seq; /* 0 and zero hash: nothing without a hole from seq 1 */
    uint8_t through_hash[WIRE_HASH_BYTES];
    uint64_t (*missing)[2]; /* ranges a..z inclusive, below the last seq held */
    size_t nmissing;
    uint64_t *broken;
    size_t nbroken;
};
struct wire_head {
    char gw[65];
    uint8_t nonce[64]; /* the characters of the query, sent as a text */
    size_t nonce_n;
    struct wire_head_chain *chains;
    size_t nchains;
    /* Whether this city keeps configurations, and SHA-256 of the one of this gateway that it would
     * give back; all zero: none. */
    bool keeps_config;
    uint8_t config[WIRE_HASH_BYTES];
    uint64_t trust; /* the number of the city's last notice; 0: it never gave one */
    void *owned;
};
enum st wire_head_sign(const struct wire_head *h, const struct wire_signer *key, struct buf *out,
                       struct err *e) ST_MUST_CHECK;
enum st wire_head_open(struct wire_head *h, struct wire_cose *cose, const void *p, size_t n,
                       struct err *e) ST_MUST_CHECK;
void wire_head_done(struct wire_head *h);

/* A day of a gateway as the city holds it: what it reckons itself, beside what was sealed. */
struct wire_day_run {
    uint8_t chain[WIRE_ID_BYTES];
    struct wire_digest held; /* hash counts when whole; readings and gaps of the batches held */
    uint64_t batches;        /* held, of seq_from … seq_to */
    bool whole;              /* the hash of every number is known */
    bool sealed;             /* the gateway's entry for these numbers is held: */
    uint64_t sealed_in;      /* its batch, */
    bool elsewhere;          /* of a chain that came later: */
    uint8_t sealed_chain[WIRE_ID_BYTES];
    struct wire_digest said;
};
struct wire_day {
    char gw[65];
    int64_t day, made_ms; /* made_ms: UTC */
    const struct wire_day_run *runs;
    size_t nruns;
};
enum st wire_day_sign(const struct wire_day *d, const struct wire_signer *key, struct buf *out,
                      struct err *e) ST_MUST_CHECK;

/* ---- a folder of sealed batches ---------------------------------------------------------- */

/* What is carried on a stick: {gw}/{chain}/{seq}.cose.zst, and for each gateway the file
 * {gw}/manifest.json that names these, written last (gateway/doc/man/fieldpost.1, SEALED EXPORT).
 * A JSON document whose lines are the head, one batch each, and the end; the entries but the first
 * begin with a comma. Lines are made and read without comma and newline. */
#define WIRE_MANIFEST "manifest.json"
#define WIRE_MANIFEST_LINE 400
struct wire_listed {
    uint8_t chain[WIRE_ID_BYTES];
    uint64_t seq;
    uint8_t sha256[WIRE_HASH_BYTES]; /* of the COSE bytes */
    enum wire_kind kind;
    uint64_t n; /* records */
    int64_t from_ms, to_ms;
};
void wire_manifest_head(char line[WIRE_MANIFEST_LINE], const char *gw, int64_t made_ms);
void wire_manifest_entry(char line[WIRE_MANIFEST_LINE], const struct wire_listed *b);
/* complete: all that was asked for is there; false: the stick was full. */
void wire_manifest_end(char line[WIRE_MANIFEST_LINE], uint64_t count, bool complete);
/* Reads the head. ST_BAD, as below, when a line is not byte for byte what the three above write: e
 * says which. */
enum st wire_manifest_open(FILE *f, char gw[65], struct err *e) ST_MUST_CHECK;
/* ST_OK with the next batch (*read counts them, from 0), ST_NOT_FOUND at a good end. */
enum st wire_manifest_next(FILE *f, uint64_t *read, struct wire_listed *b, bool *complete,
                           struct err *e) ST_MUST_CHECK;

/* ---- codes that people copy --------------------------------------------------------------- */

/* n symbols (a multiple of 4, at most WIRE_CODE_MAX) of an alphabet without look-alikes, in groups
 * of 4; the last one checks the others: no single wrong symbol, and no two that changed places,
 * fit. */
#define WIRE_CODE_MAX 28
#define WIRE_CODE_TEXT(n) ((n) + (n) / 4) /* with dashes and NUL */
/* The first 5 (n - 1) bits of bytes. */
void wire_code_write(const uint8_t *bytes, size_t n, char *out);
/* As somebody typed it: any case, spaces or dashes anywhere, I and L for 1, O for 0. out: the n
 * symbols alone and NUL. ST_BAD: e says what is wrong and never repeats the code. */
enum st wire_code_read(const char *text, size_t n, char *out, struct err *e) ST_MUST_CHECK;

/* ---- files, and what is kept at the city --------------------------------------------------- */

/* Puts a small file there, whole or not at all, also when the power is cut. ST_CONFLICT when it
 * exists and is not to be replaced. */
enum st wire_file_put(const char *path, const void *p, size_t n, unsigned mode, bool replace,
                      struct err *e) ST_MUST_CHECK;
/* Reads it whole; a NUL stands behind out->n. ST_FULL beyond out->max. */
enum st wire_file_get(const char *path, struct buf *out, struct err *e) ST_MUST_CHECK;
/* Appends base64 in one line. */
enum st wire_base64(const void *p, size_t n, struct buf *out) ST_MUST_CHECK;

/* What binds a batch key to a gateway: the proof that whoever holds this TLS certificate holds the
 * key, too (batch.cddl, key-proof). */
struct wire_bind {
    char gw[65];
    uint8_t cert[WIRE_HASH_BYTES]; /* SHA-256 of the TLS certificate (DER) over which it goes */
    bool replaces;                 /* the key of the box that had the id before is to end */
    struct wire_span spki;         /* the key; in the bytes that were opened */
};
enum st wire_bind_sign(const struct wire_bind *b, const struct wire_signer *key, struct buf *out,
                       struct err *e) ST_MUST_CHECK; /* spki is the key's */
/* Opens; the signature, by spki, is a step of its own. */
enum st wire_bind_open(struct wire_bind *b, struct wire_cose *cose, const void *p, size_t n,
                       struct err *e) ST_MUST_CHECK;

/* A configuration with the profile files that it names, for safe keeping at the city (batch.cddl,
 * config-deposit; decision 0024). All of it is plain text: UTF-8 without control characters. */
#define WIRE_DEPOSIT_MAX                                                                           \
    (960 * 1024) /* the files in all; with the envelope below WIRE_BATCH_MAX                       \
                  */
#define WIRE_DEPOSIT_FILE_MAX (256 * 1024)
#define WIRE_DEPOSIT_FILES 64
#define WIRE_DEPOSIT_NAME 255
struct wire_deposit_file {
    struct wire_span name, content;
};
struct wire_deposit {
    char gw[65];
    uint8_t kid[WIRE_ID_BYTES];    /* who signed; a hint */
    uint8_t hash[WIRE_HASH_BYTES]; /* of the configuration, as the chain's `config` entry has it */
    int64_t when_ms;               /* UTC: when it was signed */
    struct wire_span files;        /* CBOR of the next, whose first is the configuration */
    struct wire_deposit_file file[WIRE_DEPOSIT_FILES];
    size_t nfiles;
};
/* Appends the CBOR of such files to out, whose max bounds it. ST_FULL. */
enum st wire_deposit_files(const struct wire_deposit_file *v, size_t n, struct buf *out,
                           struct err *e) ST_MUST_CHECK;
/* Of d: gw, when_ms and files; hash and file are filled in. ST_BAD: a file breaks a bound or is no
 * plain text. */
enum st wire_deposit_sign(struct wire_deposit *d, const struct wire_signer *key, struct buf *out,
                          struct err *e) ST_MUST_CHECK;
/* Opens; the signature is a step of its own. Spans point into p. ST_BAD; ST_UNSUPPORTED. */
enum st wire_deposit_open(struct wire_deposit *d, struct wire_cose *cose, const void *p, size_t n,
                          struct err *e) ST_MUST_CHECK;

/* ---- the city changes its own keys (batch.cddl, notice; decision 0023) ---------------------- */

/* What of the city is trusted next, signed by the key that signs its receipts when it is made. */
#define WIRE_NOTICE_MAX 16384 /* bytes of one */
#define WIRE_NOTICES_MAX 64   /* that a city gives, and a gateway keeps */
#define WIRE_NOTICE_CAS 4
struct wire_notice {
    uint64_t n;                    /* 1, 2, …: without a hole */
    uint8_t prev[WIRE_HASH_BYTES]; /* hash of the one before; zeros at 1 */
    int64_t at_ms;                 /* UTC: when it was made */
    int64_t from_ms;               /* the city uses the next ones from then on … */
    int64_t until_ms;              /* … and those that they replace count until then */
    struct wire_span key;          /* the next receipt key (SubjectPublicKeyInfo); n 0: it stays */
    struct wire_span ca[WIRE_NOTICE_CAS]; /* the next CA certificates, DER */
    size_t ncas;                          /* 0: the CA stays */
    /* Of one that was opened: who claims to have signed it, and the hash of the whole. */
    uint8_t kid[WIRE_ID_BYTES];
    uint8_t hash[WIRE_HASH_BYTES];
};
enum st wire_notice_sign(const struct wire_notice *x, const struct wire_signer *key,
                         struct buf *out, struct err *e) ST_MUST_CHECK;
/* Opens; the signature is a step of its own (wire_cose_verify). Spans point into p. */
enum st wire_notice_open(struct wire_notice *x, struct wire_cose *cose, const void *p, size_t n,
                         struct err *e) ST_MUST_CHECK;
/* Cuts the next item off a CBOR sequence (RFC 8742). ST_NOT_FOUND at its end, ST_BAD. */
enum st wire_notice_next(struct wire_span *rest, struct wire_span *item,
                         struct err *e) ST_MUST_CHECK;

#include "gateway/wire/cert.h" /* certificates */

#endif
